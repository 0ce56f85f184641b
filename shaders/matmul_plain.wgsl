// matmul_plain: C[r,m,n] = Σ_k op(A)[r,m,k] · op(B)[r,k,n]   (r: run)
//
//   A  [m, k], or [k, m] if TA; with ONES_M op(A) has one row more than is stored, of ones
//   B  [k, n], or [n, k] if TB; with ONES_K B has one row more, [k + 1, n], added to every row of C
//   C  [m, n], after the epilogue; of a convolution stored [n, m]
//
// One thread an element, in rising k, TERMS of them to one another before they meet the others:
// the version to read first, and the one that the others are compared with. Neighbouring threads
// own neighbouring columns, so that they share what they read of A and read B side by side. Grid:
// x column tiles, y row tiles, z runs; any m, n, k and offset.
//
// Loading: scalars, or images: bytes of [m, k] as x / 255, four to a word, k a multiple of 4, not TA. For
// convolutions: `filters` and `patches`, which are nowhere stored (see patches.wgsl).
// Followed by columns.wgsl, or for convolutions patches.wgsl. Launched, costed and held to its oracle by
// kernels/src/matmul.rs and conv.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> a: array<f32>;
@group(0) @binding(4) var<storage, read> b: array<f32>;

override TA: bool;
override TB: bool;
override ONES_K: bool;
override ONES_M: bool;
override TERMS: u32;

// What a workgroup covers of C.
const TILE_M: u32 = 8u;
const TILE_N: u32 = 8u;

// All loads: the number in `row` and `column` of the operand as it is stored, in rows of `length`.
// [load_a]
fn load_a(start: u32, row: u32, column: u32, length: u32) -> f32 {
    return a[start + row * length + column];
}
// [/load_a]

// [load_b]
fn load_b(start: u32, row: u32, column: u32, length: u32) -> f32 {
    return b[start + row * length + column];
}
// [/load_b]

/*
// [load_a bytes]
fn load_a(start: u32, row: u32, column: u32, length: u32) -> f32 {
    let at = row * length + column;
    return unpack4x8unorm(a[start + at / 4u])[at % 4u];
}
// [/load_a bytes]
// [load_a filters]
fn load_a(start: u32, row: u32, column: u32, length: u32) -> f32 {
    return a[start + filter_at(row, column, params.size.x)];
}
// [/load_a filters]
// [load_b patches]
fn load_b(start: u32, row: u32, column: u32, length: u32) -> f32 {
    let pixel = patch_at(start, row, column);
    return select(0.0, b[pixel.at], pixel.inside);
}
// [/load_b patches]
*/

@compute @workgroup_size(TILE_N, TILE_M)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_id) thread: vec3<u32>) {
    let m = params.size.x;
    let n = params.size.y;
    let col = tile_of_set(tile.x) * TILE_N + thread.x;
    let row = tile.y * TILE_M + thread.y;
    let k = depth();
    let run = tile.z;
    if row >= m || col >= n || !has_place(col) {
        return;
    }
    let stored_m = m - u32(ONES_M);
    let from_a = base(1u, run) + first_term() * params.size.x;
    let from_b = base(2u, run);
    // The lengths of stored rows.
    let row_a = select(k, stored_m, TA);
    let row_b = select(n, k, TB);

    var total = 0.0;
    var sum = 0.0;
    if ONES_K {
        sum = load_b(from_b, k, col, row_b);
    }
    if ONES_M && row == stored_m {
        for (var p = 0u; p < k; p += 1u) {
            sum += load_b(from_b, select(p, col, TB), select(col, p, TB), row_b);
            if p % TERMS == TERMS - 1u {
                total += sum;
                sum = 0.0;
            }
        }
    } else {
        for (var p = 0u; p < k; p += 1u) {
            sum += load_a(from_a, select(row, p, TA), select(p, row, TA), row_a)
                * load_b(from_b, select(p, col, TB), select(col, p, TB), row_b);
            if p % TERMS == TERMS - 1u {
                total += sum;
                sum = 0.0;
            }
        }
    }
    let i = stored_at(row, col, m, n);
    out[base(0u, run) + i] = epilogue(total + sum, i, run);
}
