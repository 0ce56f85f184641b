// matmul_operands: what matmul_tiled, matmul_row and matmul_cooperative, which it follows, read and write, and how they load
// four neighbours of an operand.
//
// Scalars, always right. By four: where the view's offset, its step stride and the length of its stored
// rows (A: k, TA: columns stored; B: n, TB: k) are multiples of 4. Images: bytes of [m, k] as x / 255, four to a
// word, k a multiple of 4, not TA. For convolutions: `filters` and `patches`, which are nowhere stored (see
// patches.wgsl); by four where pixels have a multiple of four channels.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> a: array<f32>;
@group(0) @binding(4) var<storage, read> b: array<f32>;

override TA: bool;
override TB: bool;
override ONES_K: bool;
override ONES_M: bool;
// So many of k are added up at a time.
override TERMS: u32;

const FOUR = vec4(0u, 1u, 2u, 3u);

// All loads: four neighbours of a stored row, from `column` on. The row has `length` numbers; what would lie
// past its end is 0, or anything if `column` is.
// [load_a]
fn load_a(start: u32, row: u32, column: u32, length: u32) -> vec4<f32> {
    let first = start + row * length;
    return vec4(one_a(first, column, length), one_a(first, column + 1u, length),
        one_a(first, column + 2u, length), one_a(first, column + 3u, length));
}
fn one_a(first: u32, column: u32, length: u32) -> f32 {
    return select(0.0, a[first + min(column, length - 1u)], column < length);
}
// [/load_a]

/*
// [load_a by four]
fn load_a(start: u32, row: u32, column: u32, length: u32) -> vec4<f32> {
    return a[(start + row * length + min(column, length - 4u)) / 4u];
}
// [/load_a by four]
// [load_a bytes]
fn load_a(start: u32, row: u32, column: u32, length: u32) -> vec4<f32> {
    return unpack4x8unorm(a[start + (row * length + min(column, length - 4u)) / 4u]);
}
// [/load_a bytes]
// [load_a filters]
fn load_a(start: u32, row: u32, column: u32, length: u32) -> vec4<f32> {
    return vec4(one_filter(start, row, column, length), one_filter(start, row, column + 1u, length),
        one_filter(start, row, column + 2u, length), one_filter(start, row, column + 3u, length));
}
fn one_filter(start: u32, row: u32, column: u32, length: u32) -> f32 {
    let i = start + filter_at(row, min(column, length - 1u), params.size.x);
    return select(0.0, a[i], column < length);
}
// [/load_a filters]
// [load_a filters by four]
fn load_a(start: u32, row: u32, column: u32, length: u32) -> vec4<f32> {
    return a[(start + filter_at(row, min(column, length - 4u), params.size.x)) / 4u];
}
// [/load_a filters by four]
*/

// [load_b]
fn load_b(start: u32, row: u32, column: u32, length: u32) -> vec4<f32> {
    let first = start + row * length;
    return vec4(one_b(first, column, length), one_b(first, column + 1u, length),
        one_b(first, column + 2u, length), one_b(first, column + 3u, length));
}
fn one_b(first: u32, column: u32, length: u32) -> f32 {
    return select(0.0, b[first + min(column, length - 1u)], column < length);
}
// [/load_b]

/*
// [load_b by four]
fn load_b(start: u32, row: u32, column: u32, length: u32) -> vec4<f32> {
    return b[(start + row * length + min(column, length - 4u)) / 4u];
}
// [/load_b by four]
// [load_b patches]
fn load_b(start: u32, row: u32, column: u32, length: u32) -> vec4<f32> {
    return vec4(one_pixel(start, row, column, length), one_pixel(start, row, column + 1u, length),
        one_pixel(start, row, column + 2u, length), one_pixel(start, row, column + 3u, length));
}
fn one_pixel(start: u32, row: u32, column: u32, length: u32) -> f32 {
    let pixel = patch_at(start, row, min(column, length - 1u));
    return select(0.0, b[pixel.at], pixel.inside && column < length);
}
// [/load_b patches]
// [load_b patches by four]
fn load_b(start: u32, row: u32, column: u32, length: u32) -> vec4<f32> {
    let pixel = patch_at(start, row, min(column, length - 4u));
    return select(vec4(0.0), b[pixel.at / 4u], pixel.inside);
}
// [/load_b patches by four]
*/

// op(A)[row, k .. k + 4], or if TA, where neighbours are rows, op(A)[row .. row + 4, k].
fn four_of_a(start: u32, row: u32, k: u32) -> vec4<f32> {
    let m = params.size.x;
    let depth = depth();
    if !TA {
        return select(vec4(0.0), load_a(start, min(row, m - 1u), k, depth), k < depth);
    }
    let stored_m = m - u32(ONES_M);
    var x = load_a(start, min(k, depth - 1u), row, stored_m);
    if ONES_M {
        x = select(x, vec4(1.0), row + FOUR == vec4(stored_m));
    }
    return select(vec4(0.0), x, k < depth);
}

// op(B)[k, col .. col + 4], or if TB op(B)[k .. k + 4, col].
fn four_of_b(start: u32, k: u32, col: u32) -> vec4<f32> {
    let n = params.size.y;
    let depth = depth();
    if TB {
        return select(vec4(0.0), load_b(start, min(col, n - 1u), k, depth), k < depth);
    }
    return select(vec4(0.0), load_b(start, min(k, depth - 1u), col, n), k < depth);
}
