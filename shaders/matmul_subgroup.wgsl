// matmul_subgroup: C[r,m,n] = Σ_k op(A)[r,m,k] · op(B)[r,k,n]   (r: run)
//
//   A  [m, k], or [k, m] if TA; with ONES_M op(A) has one row more than is stored, of ones
//   B  [k, n], or [n, k] if TB; with ONES_K B has one row more, [k + 1, n], added to every row of C
//   C  [m, n], after the epilogue
//
// For software Vulkan, where a subgroup is one vector register of the CPU. A workgroup is one subgroup
// of eight lanes and owns 24 x 64 of C (or 96 x 64): a lane owns two times four neighbouring columns, all
// rows of them, in registers. Four k at a time, each lane loads its share of 8 x 4 blocks of A, four
// numbers each, and the lanes hand them round by broadcast; of B it loads the 4 x 4 that it needs for
// its own columns. Nothing is loaded twice in a workgroup, whichever way the operands are stored.
//
// Why so: such a driver turns the load of each word into a loop over the lanes that puts one word at a
// time into a register, and that is where most of the time goes; a broadcast from a fixed lane is one
// shuffle. So the tile is as large as twenty rows, the usual batch, can fill, and four times as tall
// where there are more rows; operands are loaded in words of 64 bits where they are aligned; and there
// is no workgroup memory, no barrier and no branch in the loop. Indices are clamped to the operand,
// what lies past the end of k is 0, and only the last store asks what is inside C.
//
// A broadcast names lanes 0 to 7 only, so any subgroup of eight or more lanes computes the same.
// Grid: x column tiles, y row tiles, z runs; any m, n, k and offset.
//
// Loading: scalars, always right. Images: bytes of [m, k] as x / 255, four to a word, k a multiple of
// 4, not TA. Wide, operand by operand: array<vec2<u64>>, two floats a word, where the adapter has
// 64-bit integers and the view's offset, its run and step strides and the length of its stored rows
// (A: k, TA: columns stored; B: n, TB: k) are all multiples of 4.
// Launched, costed and held to its oracle by kernels/src/matmul.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> a: array<f32>;
@group(0) @binding(4) var<storage, read> b: array<f32>;

override TA: bool;
override TB: bool;
override ONES_K: bool;
override ONES_M: bool;

// What a workgroup covers of C.
const TILE_M: u32 = 24u;
const TALL_M: u32 = 96u;
const TILE_N: u32 = 64u;
const SUBGROUP: u32 = 8u;

const NEXT = vec4(0u, 1u, 2u, 3u);

// All loads: four neighbours in a stored row, from element `at` on. The row holds `left` more, at
// least one; what would lie past its end is 0.
// [load_a]
fn load_a(start: u32, at: u32, left: u32) -> vec4<f32> {
    let i = start + at + min(NEXT, vec4(left - 1u));
    return select(vec4(0.0), vec4(a[i.x], a[i.y], a[i.z], a[i.w]), NEXT < vec4(left));
}
// [/load_a]

/*
// [load_a bytes]
fn load_a(start: u32, at: u32, left: u32) -> vec4<f32> {
    return unpack4x8unorm(a[start + at / 4u]);
}
// [/load_a bytes]
// [load_a wide]
fn load_a(start: u32, at: u32, left: u32) -> vec4<f32> {
    let words = a[(start + at) / 4u];
    return bitcast<vec4<f32>>(vec4(u32(words.x), u32(words.x >> 32u), u32(words.y), u32(words.y >> 32u)));
}
// [/load_a wide]
*/

// [load_b]
fn load_b(start: u32, at: u32, left: u32) -> vec4<f32> {
    let i = start + at + min(NEXT, vec4(left - 1u));
    return select(vec4(0.0), vec4(b[i.x], b[i.y], b[i.z], b[i.w]), NEXT < vec4(left));
}
// [/load_b]

/*
// [load_b wide]
fn load_b(start: u32, at: u32, left: u32) -> vec4<f32> {
    let words = b[(start + at) / 4u];
    return bitcast<vec4<f32>>(vec4(u32(words.x), u32(words.x >> 32u), u32(words.y), u32(words.y >> 32u)));
}
// [/load_b wide]
*/

// The lane's share of op(A)[row .. row + 8, k .. k + 4]: row `lane`, all four k; or if TA, where
// neighbours are rows, half of the rows of one k: lanes 2p and 2p + 1 hold the upper and lower of k + p.
fn share_of_a(start: u32, row: u32, k: u32, lane: u32) -> vec4<f32> {
    let depth = params.size.z;
    if !TA {
        return load_a(start, min(row + lane, params.size.x - 1u) * depth + k, depth - k);
    }
    let stored_m = params.size.x - u32(ONES_M);
    let mine = row + lane % 2u * 4u;
    let at = min(mine, stored_m - 1u);
    let p = k + lane / 2u;
    var x = load_a(start, min(p, depth - 1u) * stored_m + at, stored_m - at);
    if ONES_M {
        x = select(x, vec4(1.0), mine + NEXT == vec4(stored_m));
    }
    return select(vec4(0.0), x, p < depth);
}

// op(B)[k .. k + 4, col .. col + 4], a column of the matrix for each k.
fn block_of_b(start: u32, k: u32, col: u32) -> mat4x4<f32> {
    let n = params.size.y;
    let depth = params.size.z;
    if TB {
        let at = min(col + NEXT, vec4(n - 1u)) * depth + k;
        let left = depth - k;
        return transpose(mat4x4(
            load_b(start, at.x, left), load_b(start, at.y, left), load_b(start, at.z, left), load_b(start, at.w, left)));
    }
    let first = min(col, n - 1u);
    let at = min(k + NEXT, vec4(depth - 1u)) * n + first;
    let left = n - first;
    return mat4x4(
        load_b(start, at.x, left),
        select(vec4(0.0), load_b(start, at.y, left), k + 1u < depth),
        select(vec4(0.0), load_b(start, at.z, left), k + 2u < depth),
        select(vec4(0.0), load_b(start, at.w, left), k + 3u < depth));
}

// Eight rows of four columns.
alias Block = array<vec4<f32>, 8>;

// What the sums begin with: the bias, or nothing.
fn bias(start: u32, col: u32) -> Block {
    var c = vec4(0.0);
    if ONES_K {
        let first = min(col, params.size.y - 1u);
        c = load_b(start, params.size.z * params.size.y + first, params.size.y - first);
    }
    return Block(c, c, c, c, c, c, c, c);
}

// The eight rows of A, four k each, of which `x` is this lane's share.
fn rows_of_a(x: vec4<f32>) -> Block {
    let x0 = subgroupBroadcast(x, 0u);
    let x1 = subgroupBroadcast(x, 1u);
    let x2 = subgroupBroadcast(x, 2u);
    let x3 = subgroupBroadcast(x, 3u);
    let x4 = subgroupBroadcast(x, 4u);
    let x5 = subgroupBroadcast(x, 5u);
    let x6 = subgroupBroadcast(x, 6u);
    let x7 = subgroupBroadcast(x, 7u);
    if TA {
        // Transposing only renames registers.
        let upper = transpose(mat4x4(x0, x2, x4, x6));
        let lower = transpose(mat4x4(x1, x3, x5, x7));
        return Block(upper[0], upper[1], upper[2], upper[3], lower[0], lower[1], lower[2], lower[3]);
    }
    return Block(x0, x1, x2, x3, x4, x5, x6, x7);
}

// Adds the product of eight rows of A and the block `y` of B.
fn multiply(sums: Block, x: Block, y: mat4x4<f32>) -> Block {
    return Block(
        add(sums[0], x[0], y), add(sums[1], x[1], y), add(sums[2], x[2], y), add(sums[3], x[3], y),
        add(sums[4], x[4], y), add(sums[5], x[5], y), add(sums[6], x[6], y), add(sums[7], x[7], y));
}

// In rising k.
fn add(sum: vec4<f32>, x: vec4<f32>, y: mat4x4<f32>) -> vec4<f32> {
    return sum + x.x * y[0] + x.y * y[1] + x.z * y[2] + x.w * y[3];
}

// The ends of the loops are not constants, or the driver would unroll them, with 32 copies of the epilogue.
fn store(row: u32, col: u32, run: u32, sums: Block) {
    let start = base(0u, run);
    var rows = sums;
    for (var r = row; r < min(row + 8u, params.size.x); r += 1u) {
        for (var c = col; c < min(col + 4u, params.size.y); c += 1u) {
            let i = r * params.size.y + c;
            out[start + i] = epilogue(rows[r - row][c - col], i, run);
        }
    }
}

// 24 rows of the lane's part of C: three times eight; left and right columns.
struct Rows {
    l0: Block,
    l1: Block,
    l2: Block,
    r0: Block,
    r1: Block,
    r2: Block,
}

fn first_rows(start: u32, left: u32, right: u32) -> Rows {
    let l = bias(start, left);
    let r = bias(start, right);
    return Rows(l, l, l, r, r, r);
}

fn multiply_rows(s: Rows, start: u32, row: u32, k: u32, lane: u32, l: mat4x4<f32>, r: mat4x4<f32>) -> Rows {
    let x0 = rows_of_a(share_of_a(start, row, k, lane));
    let x1 = rows_of_a(share_of_a(start, row + 8u, k, lane));
    let x2 = rows_of_a(share_of_a(start, row + 16u, k, lane));
    return Rows(
        multiply(s.l0, x0, l), multiply(s.l1, x1, l), multiply(s.l2, x2, l),
        multiply(s.r0, x0, r), multiply(s.r1, x1, r), multiply(s.r2, x2, r));
}

fn store_rows(row: u32, left: u32, right: u32, run: u32, s: Rows) {
    store(row, left, run, s.l0);
    store(row + 8u, left, run, s.l1);
    store(row + 16u, left, run, s.l2);
    store(row, right, run, s.r0);
    store(row + 8u, right, run, s.r1);
    store(row + 16u, right, run, s.r2);
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let run = tile.z;
    let row = tile.y * TILE_M;
    let left = tile.x * TILE_N + lane * 4u;
    let right = left + TILE_N / 2u;
    let from_a = base(1u, run);
    let from_b = base(2u, run);
    var sums = first_rows(from_b, left, right);
    for (var k = 0u; k < params.size.z; k += 4u) {
        let l = block_of_b(from_b, k, left);
        let r = block_of_b(from_b, k, right);
        sums = multiply_rows(sums, from_a, row, k, lane, l, r);
    }
    store_rows(row, left, right, run, sums);
}

// Four times as tall: what is loaded of B serves four times as many rows.
@compute @workgroup_size(SUBGROUP)
fn tall(@builtin(workgroup_id) tile: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let run = tile.z;
    let row = tile.y * TALL_M;
    let left = tile.x * TILE_N + lane * 4u;
    let right = left + TILE_N / 2u;
    let from_a = base(1u, run);
    let from_b = base(2u, run);
    var s0 = first_rows(from_b, left, right);
    var s1 = s0;
    var s2 = s0;
    var s3 = s0;
    for (var k = 0u; k < params.size.z; k += 4u) {
        let l = block_of_b(from_b, k, left);
        let r = block_of_b(from_b, k, right);
        s0 = multiply_rows(s0, from_a, row, k, lane, l, r);
        s1 = multiply_rows(s1, from_a, row + TILE_M, k, lane, l, r);
        s2 = multiply_rows(s2, from_a, row + 2u * TILE_M, k, lane, l, r);
        s3 = multiply_rows(s3, from_a, row + 3u * TILE_M, k, lane, l, r);
    }
    store_rows(row, left, right, run, s0);
    store_rows(row + TILE_M, left, right, run, s1);
    store_rows(row + 2u * TILE_M, left, right, run, s2);
    store_rows(row + 3u * TILE_M, left, right, run, s3);
}
