// matmul_cooperative: C[r,m,n] = Σ_k op(A)[r,m,k] · op(B)[r,k,n]   (r: run), by matrices of 8 x 8 that a subgroup has together
//
//   A  [m, k], or [k, m] if TA; with ONES_M op(A) has one row more than is stored, of ones
//   B  [k, n], or [n, k] if TB; with ONES_K B has one row more, [k + 1, n], added to every row of C
//   C  [m, n], after the epilogue; of a convolution stored [n, m]
//
// For adapters that have such matrices of 32-bit floats. A workgroup of four subgroups, or more, owns 32 x 64 of C, each of them 16 x 32:
// threads copy a block of each operand to workgroup memory, four neighbours at once, whichever way it is stored; subgroups load
// matrices from there, which serve four or two products each. Sums go back through workgroup memory, since which lane
// has which of a matrix's numbers is the adapter's own affair, and an epilogue asks. What lies past the end of k is 0, so no
// thread leaves before a barrier. Subgroups have 32 lanes at most. Grid: x column tiles, y row tiles,
// z runs.
//
// Followed by matmul_operands.wgsl, and columns.wgsl, or for convolutions patches.wgsl. Launched, costed and held to its oracle by
// kernels/src/matmul.rs and conv.rs.

const TILE_M: u32 = 32u;
const TILE_N: u32 = 64u;
const TILE_K: u32 = 16u;
const SIDE: u32 = 8u;
const OWN_M: u32 = 16u;
const OWN_N: u32 = 32u;
const PARTS_ACROSS: u32 = TILE_N / OWN_N;
const PARTS: u32 = TILE_M / OWN_M * PARTS_ACROSS;
const THREADS: u32 = 32u * PARTS;

// Row by row: op(A), op(B) and C.
var<workgroup> block_a: array<f32, TILE_M * TILE_K>;
var<workgroup> block_b: array<f32, TILE_K * TILE_N>;
var<workgroup> sums: array<f32, TILE_M * TILE_N>;

alias Left = coop_mat8x8<f32, A>;
alias Right = coop_mat8x8<f32, B>;
alias Sum = coop_mat8x8<f32, C>;

fn copy_a(start: u32, row: u32, k: u32, thread: u32) {
    for (var i = thread; i < TILE_M * TILE_K / 4u; i += THREADS) {
        if TA {
            let down = i % (TILE_M / 4u) * 4u;
            let along = i / (TILE_M / 4u);
            let x = four_of_a(start, row + down, k + along);
            let at = down * TILE_K + along;
            block_a[at] = x.x;
            block_a[at + TILE_K] = x.y;
            block_a[at + 2u * TILE_K] = x.z;
            block_a[at + 3u * TILE_K] = x.w;
        } else {
            let down = i / (TILE_K / 4u);
            let along = i % (TILE_K / 4u) * 4u;
            let x = four_of_a(start, row + down, k + along);
            let at = down * TILE_K + along;
            block_a[at] = x.x;
            block_a[at + 1u] = x.y;
            block_a[at + 2u] = x.z;
            block_a[at + 3u] = x.w;
        }
    }
}

fn copy_b(start: u32, k: u32, col: u32, thread: u32) {
    for (var i = thread; i < TILE_K * TILE_N / 4u; i += THREADS) {
        if TB {
            let along = i % (TILE_K / 4u) * 4u;
            let across = i / (TILE_K / 4u);
            let x = four_of_b(start, k + along, col + across);
            let at = along * TILE_N + across;
            block_b[at] = x.x;
            block_b[at + TILE_N] = x.y;
            block_b[at + 2u * TILE_N] = x.z;
            block_b[at + 3u * TILE_N] = x.w;
        } else {
            let along = i / (TILE_N / 4u);
            let across = i % (TILE_N / 4u) * 4u;
            let x = four_of_b(start, k + along, col + across);
            let at = along * TILE_N + across;
            block_b[at] = x.x;
            block_b[at + 1u] = x.y;
            block_b[at + 2u] = x.z;
            block_b[at + 3u] = x.w;
        }
    }
}

fn put_out(row: u32, col: u32, run: u32, sum: f32) {
    let m = params.size.x;
    let n = params.size.y;
    if row < m && col < n && has_place(col) {
        var value = sum;
        if ONES_K {
            value += load_b(base(2u, run), depth(), col / 4u * 4u, n)[col % 4u];
        }
        let i = stored_at(row, col, m, n);
        out[base(0u, run) + i] = epilogue(value, i, run);
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_index) thread: u32,
        @builtin(subgroup_id) subgroup: u32) {
    let run = tile.z;
    let row = tile.y * TILE_M;
    let col = tile_of_set(tile.x) * TILE_N;
    let depth = depth();
    let from_a = base(1u, run) + first_term() * params.size.x;
    let from_b = base(2u, run);
    // Where a subgroup's part of the tile begins. (Where there are more subgroups than parts, several compute the same one: what is
    // computed together must be by all.)
    let part = subgroup % PARTS;
    let down = part / PARTS_ACROSS * OWN_M;
    let across = part % PARTS_ACROSS * OWN_N;

    // A matrix for each 8 x 8 of the part: row, column.
    var s00 = Sum();
    var s01 = Sum();
    var s02 = Sum();
    var s03 = Sum();
    var s10 = Sum();
    var s11 = Sum();
    var s12 = Sum();
    var s13 = Sum();
    for (var k = 0u; k < depth; k += TILE_K) {
        workgroupBarrier();
        copy_a(from_a, row, k, thread);
        copy_b(from_b, k, col, thread);
        workgroupBarrier();
        for (var i = 0u; i < TILE_K; i += SIDE) {
            let at_a = down * TILE_K + i;
            let at_b = i * TILE_N + across;
            let x0 = coopLoadT<Left>(&block_a[at_a], TILE_K);
            let x1 = coopLoadT<Left>(&block_a[at_a + SIDE * TILE_K], TILE_K);
            let y0 = coopLoadT<Right>(&block_b[at_b], TILE_N);
            let y1 = coopLoadT<Right>(&block_b[at_b + SIDE], TILE_N);
            let y2 = coopLoadT<Right>(&block_b[at_b + 2u * SIDE], TILE_N);
            let y3 = coopLoadT<Right>(&block_b[at_b + 3u * SIDE], TILE_N);
            s00 = coopMultiplyAdd(x0, y0, s00);
            s01 = coopMultiplyAdd(x0, y1, s01);
            s02 = coopMultiplyAdd(x0, y2, s02);
            s03 = coopMultiplyAdd(x0, y3, s03);
            s10 = coopMultiplyAdd(x1, y0, s10);
            s11 = coopMultiplyAdd(x1, y1, s11);
            s12 = coopMultiplyAdd(x1, y2, s12);
            s13 = coopMultiplyAdd(x1, y3, s13);
        }
    }

    let at = down * TILE_N + across;
    coopStoreT(s00, &sums[at], TILE_N);
    coopStoreT(s01, &sums[at + SIDE], TILE_N);
    coopStoreT(s02, &sums[at + 2u * SIDE], TILE_N);
    coopStoreT(s03, &sums[at + 3u * SIDE], TILE_N);
    let below = at + SIDE * TILE_N;
    coopStoreT(s10, &sums[below], TILE_N);
    coopStoreT(s11, &sums[below + SIDE], TILE_N);
    coopStoreT(s12, &sums[below + 2u * SIDE], TILE_N);
    coopStoreT(s13, &sums[below + 3u * SIDE], TILE_N);
    workgroupBarrier();
    for (var i = thread; i < TILE_M * TILE_N; i += THREADS) {
        put_out(row + i / TILE_N, col + i % TILE_N, run, sums[i]);
    }
}
