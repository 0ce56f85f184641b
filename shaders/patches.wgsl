// patches: the images of a convolution as a matrix, a row for each place of the filters, of what they see there.
//
// Follows a matmul shader, whose operand this is without being stored anywhere: the product with the filters
// is the convolution (implicit GEMM). A column is a filter's row, column and channel, the channel last. Images are
// [batch, height, width, channels]; what a filter sees past their edge is 0.
//
// Two walks: FORWARD, places are those of the output, each seeing the input at place · stride − padding + tap.
// Backward (for the input's gradient), places are those of the input, each seeing the output that it went
// into: (place + padding − tap) / stride, where that is whole.
//
// All sizes are constants, so that no division is by a variable. Launched by kernels/src/conv.rs.

override FORWARD: bool;
// Of the images that are seen.
override HEIGHT: u32;
override WIDTH: u32;
override CHANNELS: u32;
// Places in a row, and in an image.
override PLACES_X: u32;
override PLACES: u32;
override TAPS_X: u32;
override STRIDE_Y: u32;
override STRIDE_X: u32;
override PAD_Y: u32;
override PAD_X: u32;

struct Pixel {
    at: u32,
    inside: bool,
}

// Where one coordinate of a tap lies in the images, or past their edge. What would be negative wraps round to a
// large number, and is past the edge, too.
fn seen(place: u32, tap: u32, stride: u32, pad: u32, length: u32) -> vec2<u32> {
    if FORWARD {
        let at = place * stride + tap - pad;
        return vec2(min(at, length - 1u), u32(at < length));
    }
    let at = place + pad - tap;
    let whole = at / stride;
    return vec2(min(whole, length - 1u), u32(whole < length && at % stride == 0u));
}

// The number in a row and column of the matrix.
fn patch_at(row: u32, column: u32) -> Pixel {
    let tap = column / CHANNELS;
    let place = row % PLACES;
    let y = seen(place / PLACES_X, tap / TAPS_X, STRIDE_Y, PAD_Y, HEIGHT);
    let x = seen(place % PLACES_X, tap % TAPS_X, STRIDE_X, PAD_X, WIDTH);
    let at = ((row / PLACES * HEIGHT + y.x) * WIDTH + x.x) * CHANNELS + column % CHANNELS;
    return Pixel(at, y.y + x.y == 2u);
}

// Where filters [taps, into, CHANNELS] keep what leads from one of `into` channels, a row, to a tap and channel.
fn filter_at(row: u32, column: u32, into: u32) -> u32 {
    return (column / CHANNELS * into + row) * CHANNELS + column % CHANNELS;
}
