// patches: the images of a convolution as a matrix, a row for each place of the filters, of what they see there.
//
// Follows a matmul shader, whose operand this is without being stored anywhere: the product with the filters
// is the convolution (implicit GEMM). A column is a filter's row, column and channel, the channel last. Images are
// [batch, height, width, channels]; what a filter sees past their edge is 0.
//
// Two walks: FORWARD, places are those of the output, each seeing the input at place · stride − padding + tap.
// Backward (for the input's gradient), places are those of the input, each seeing the output that it went
// into: (place + padding − tap) / stride, where that is whole. For places a stride apart it is whole for the same
// taps: they are a set, and a workgroup computes places of one set, by its taps alone. Sets are numbered by the first tap
// that they meet, those last that meet none. Of a set, columns of C are its places in all images, SET_TILES tiles of them;
// and k counts its taps.
//
// The filters' gradient sums over all places. It may be computed for shares of them, SHARE places each, one after another in
// C: long sums that few workgroups would compute are then short ones of many, to be added up.
//
// All sizes are constants, so that no division is by a variable. Launched by kernels/src/conv.rs.

override FORWARD: bool;
// Of the images that are seen.
override HEIGHT: u32;
override WIDTH: u32;
override CHANNELS: u32;
// Of the images that see.
override HIGH: u32;
override WIDE: u32;
// Sets in a row, of those that are computed: all, or only those that meet a tap, over zeros.
override SETS_X: u32;
// Places of a set in a row, and in an image; where places are the output's there is one set.
override PLACES_X: u32;
override PLACES: u32;
override SET_TILES: u32;
override TAPS_Y: u32;
override TAPS_X: u32;
override STRIDE_Y: u32;
override STRIDE_X: u32;
override PAD_Y: u32;
override PAD_X: u32;

// Places of a share of them, of the filters' gradient.
override SHARE: u32;

// Taps in a row of those that a set meets, at most: others meet one less.
override SET_TAPS_X: u32;

// What a workgroup computes, (y, x): its set's first place; the taps that it meets, and the first of them; and which
// pixel the first place meets by that.
var<private> own_set: vec2<u32>;
var<private> taps: vec2<u32>;
var<private> first_tap: vec2<u32>;
var<private> first_seen: vec2<u32>;
// Or which share of the places.
var<private> share: u32;

// Which tile of the set's columns is a tile of all.
fn tile_of_set(tile: u32) -> u32 {
    let number = tile / SET_TILES;
    if FORWARD {
        share = number;
        return tile % SET_TILES;
    }
    let all = vec2(TAPS_Y, TAPS_X);
    let stride = vec2(STRIDE_Y, STRIDE_X);
    let padding = vec2(PAD_Y, PAD_X);
    first_tap = vec2(number / SETS_X, number % SETS_X);
    own_set = (first_tap + stride - padding % stride) % stride;
    first_seen = (own_set + padding) / stride;
    taps = select(vec2(0u), (all - first_tap + stride - 1u) / stride, first_tap < all);
    return tile % SET_TILES;
}

fn depth() -> u32 {
    return select(taps.y * taps.x * CHANNELS, params.size.z, FORWARD);
}

// The first of the terms that a sum has, where terms are places.
fn first_term() -> u32 {
    return share * SHARE;
}

// The pixel of a column of C, (y, x), which for some columns of a set is past the edge.
fn pixel_of(column: u32) -> vec2<u32> {
    let place = column % PLACES;
    return vec2(place / PLACES_X, place % PLACES_X) * vec2(STRIDE_Y, STRIDE_X) + own_set;
}

fn has_place(column: u32) -> bool {
    let pixel = pixel_of(column);
    return FORWARD || (pixel.x < HIGH && pixel.y < WIDE);
}

// C is stored place by place; the filters' gradient share by share, and of those number by number.
fn stored_at(row: u32, column: u32, rows: u32, columns: u32) -> u32 {
    let pixel = pixel_of(column);
    let place = (column / PLACES * HIGH + pixel.x) * WIDE + pixel.y;
    return select(place, share * columns + column, FORWARD) * rows + row;
}

struct Pixel {
    at: u32,
    inside: bool,
}

// A tap by its number; of those that the set meets.
fn tap_at(number: u32) -> vec2<u32> {
    if FORWARD {
        return vec2(number / TAPS_X, number % TAPS_X);
    }
    let y = select(number / max(SET_TAPS_X - 1u, 1u), number / SET_TAPS_X, taps.y == SET_TAPS_X);
    return vec2(y, number - y * taps.y);
}

// What a row or a column of the matrix says of the pixel where they meet: a part of its coordinates (y, x), and of where it
// is stored. What would be negative wraps round: the sum of two parts is right, and a negative coordinate is a large number.
struct Part {
    of_pixel: vec2<u32>,
    of_at: u32,
}

// The pixel that the first tap meets, of images that begin at `start`.
fn part_of_row(start: u32, row: u32) -> Part {
    let of_all = first_term() + row;
    let number = of_all % PLACES;
    let place = vec2(number / PLACES_X, number % PLACES_X);
    let pixel = select(place + first_seen, place * vec2(STRIDE_Y, STRIDE_X) - vec2(PAD_Y, PAD_X), vec2(FORWARD));
    return Part(pixel, start + ((of_all / PLACES * HEIGHT + pixel.x) * WIDTH + pixel.y) * CHANNELS);
}

// How far from it another tap's is, and which of its channels.
fn part_of_column(column: u32) -> Part {
    let tap = tap_at(column / CHANNELS);
    let away = select(vec2(0u) - tap, tap, vec2(FORWARD));
    return Part(away, (away.x * WIDTH + away.y) * CHANNELS + column % CHANNELS);
}

fn pixel_of_parts(row: Part, column: Part) -> Pixel {
    let pixel = row.of_pixel + column.of_pixel;
    let inside = pixel.x < HEIGHT && pixel.y < WIDTH;
    return Pixel(select(0u, row.of_at + column.of_at, inside), inside);
}

// The number in a row and column of the matrix. What is past the edge is not inside.
fn patch_at(start: u32, row: u32, column: u32) -> Pixel {
    return pixel_of_parts(part_of_row(start, row), part_of_column(column));
}

// Where filters [taps, into, CHANNELS] keep what leads from one of `into` channels, a row, to a tap and channel.
fn filter_at(row: u32, column: u32, into: u32) -> u32 {
    let tap = first_tap + tap_at(column / CHANNELS) * vec2(STRIDE_Y, STRIDE_X);
    return ((tap.x * TAPS_X + tap.y) * into + row) * CHANNELS + column % CHANNELS;
}
