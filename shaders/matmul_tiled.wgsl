// matmul_tiled: C[r,m,n] = Σ_k op(A)[r,m,k] · op(B)[r,k,n]   (r: run)
//
//   A  [m, k], or [k, m] if TA; with ONES_M op(A) has one row more than is stored, of ones
//   B  [k, n], or [n, k] if TB; with ONES_K B has one row more, [k + 1, n], added to every row of C
//   C  [m, n], after the epilogue; stored [n, m] with TC
//
// For discrete GPUs. A workgroup of 256 threads owns 64 x 64 of C and goes through k sixteen at a time:
// all threads copy a block of each operand to workgroup memory, then each thread multiplies out its
// 4 x 4, so that a value read from far away serves 64 threads and one read from workgroup memory four.
// Both blocks are kept k first: whichever way an operand is stored, the inner loop reads four numbers
// of each, side by side, and makes sixteen products. The copy walks each operand along its own rows, and so stays
// coalesced in all four transpositions. Indices are clamped to the operand and what lies past the end
// of k is 0, so no thread leaves before a barrier. Grid: x column tiles, y row tiles, z runs.
//
// Loading: scalars, or images: bytes of [m, k] as x / 255, four to a word, k a multiple of 4, not TA. For
// convolutions: `filters` and `patches`, which are nowhere stored (see patches.wgsl).
// Launched, costed and held to its oracle by kernels/src/matmul.rs and conv.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> a: array<f32>;
@group(0) @binding(4) var<storage, read> b: array<f32>;

override TA: bool;
override TB: bool;
override TC: bool;
override ONES_K: bool;
override ONES_M: bool;

// What a workgroup covers of C, and how much of k at a time.
const TILE_M: u32 = 64u;
const TILE_N: u32 = 64u;
const TILE_K: u32 = 16u;
const THREADS: u32 = 256u;

// [k][row] and [k][column]; one number of padding a row keeps the copies of a transposed operand off
// one bank. Scalars, since a thread that writes one component of a vector may touch the others.
const ROW_A: u32 = TILE_M + 1u;
const ROW_B: u32 = TILE_N + 1u;
var<workgroup> block_a: array<f32, TILE_K * ROW_A>;
var<workgroup> block_b: array<f32, TILE_K * ROW_B>;

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
    let pixel = patch_at(row, column);
    return select(0.0, b[start + pixel.at], pixel.inside);
}
// [/load_b patches]
*/

// op(A)[row, p], 0 past the end of k.
fn value_a(start: u32, row: u32, p: u32) -> f32 {
    let depth = params.size.z;
    let stored_m = params.size.x - u32(ONES_M);
    let r = min(row, stored_m - 1u);
    let q = min(p, depth - 1u);
    var x = load_a(start, select(r, q, TA), select(q, r, TA), select(depth, stored_m, TA));
    if ONES_M {
        x = select(x, 1.0, row == stored_m);
    }
    return select(0.0, x, p < depth);
}

// op(B)[p, col], 0 past the end of k.
fn value_b(start: u32, p: u32, col: u32) -> f32 {
    let n = params.size.y;
    let depth = params.size.z;
    let c = min(col, n - 1u);
    let q = min(p, depth - 1u);
    return select(0.0, load_b(start, select(q, c, TB), select(c, q, TB), select(n, depth, TB)), p < depth);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let m = params.size.x;
    let n = params.size.y;
    let depth = params.size.z;
    let run = tile.z;
    let row = tile.y * TILE_M;
    let col = tile.x * TILE_N;
    let from_a = base(1u, run);
    let from_b = base(2u, run);
    let my_row = thread / 16u * 4u;
    let my_col = thread % 16u * 4u;

    // Rows of the thread's 4 x 4.
    var c0 = vec4(0.0);
    var c1 = vec4(0.0);
    var c2 = vec4(0.0);
    var c3 = vec4(0.0);
    for (var k = 0u; k < depth; k += TILE_K) {
        for (var i = thread; i < TILE_M * TILE_K; i += THREADS) {
            // Neighbouring threads take neighbours in memory.
            let r = select(i / TILE_K, i % TILE_M, TA);
            let p = select(i % TILE_K, i / TILE_M, TA);
            block_a[p * ROW_A + r] = value_a(from_a, row + r, k + p);
        }
        for (var i = thread; i < TILE_N * TILE_K; i += THREADS) {
            let c = select(i % TILE_N, i / TILE_K, TB);
            let p = select(i / TILE_N, i % TILE_K, TB);
            block_b[p * ROW_B + c] = value_b(from_b, k + p, col + c);
        }
        workgroupBarrier();
        for (var p = 0u; p < TILE_K; p += 1u) {
            let i = p * ROW_A + my_row;
            let j = p * ROW_B + my_col;
            let x = vec4(block_a[i], block_a[i + 1u], block_a[i + 2u], block_a[i + 3u]);
            let y = vec4(block_b[j], block_b[j + 1u], block_b[j + 2u], block_b[j + 3u]);
            c0 += x.x * y;
            c1 += x.y * y;
            c2 += x.z * y;
            c3 += x.w * y;
        }
        workgroupBarrier();
    }

    var sums = array(c0, c1, c2, c3);
    let start = base(0u, run);
    for (var i = 0u; i < 16u; i += 1u) {
        let r = row + my_row + i / 4u;
        let c = col + my_col + i % 4u;
        if r < m && c < n {
            var value = sums[i / 4u][i % 4u];
            if ONES_K {
                value += load_b(from_b, depth, c, n);
            }
            let at = select(r * n + c, c * m + r, TC);
            out[start + at] = epilogue(value, at, run);
        }
    }
}
