// matmul_subgroup: C[r,m,n] = Σ_k op(A)[r,m,k] · op(B)[r,k,n]   (r: run)
//
//   A  [m, k], or [k, m] if TA; with ONES_M op(A) has one row more than is stored, of ones
//   B  [k, n], or [n, k] if TB; with ONES_K B has one row more, [k + 1, n], added to every row of C
//   C  [m, n], after the epilogue; stored [n, m] with TC
//
// For software Vulkan, where a subgroup is one vector register of the CPU. A workgroup is one subgroup
// of eight lanes and owns 24 x 64 of C (or 96 x 64): a lane owns eight neighbouring columns, all rows of
// them, in registers. Eight k at a time, each lane loads its share of 8 x 8 blocks of A, eight numbers
// each, and the lanes hand them round by broadcast; of B it loads the 8 x 8 that it needs for its own
// columns. Nothing is loaded twice in a workgroup, whichever way the operands are stored.
//
// Why so: such a driver turns the load of each word into a loop over the lanes that puts one word at a
// time into a register, and that is where most of the time goes; a broadcast from a fixed lane is one
// shuffle. So the tile is as large as twenty rows, the usual batch, can fill, and four times as tall
// where there are more rows; operands are loaded in words of 64 bits where they are aligned; and there
// is no workgroup memory, no barrier and no branch in the loop. Indices are clamped to the operand,
// what lies past the end of k is 0 in B at least, and only the last store asks what is inside C.
//
// A broadcast names lanes 0 to 7 only, so any subgroup of eight or more lanes computes the same.
// Grid: x column tiles, y row tiles, z runs; any m, n, k and offset.
//
// Loading: scalars, always right. Images: bytes of [m, k] as x / 255, four to a word, k a multiple of
// 4, not TA. Wide, operand by operand: array<vec4<u64>>, two floats a word, where the adapter has
// 64-bit integers and the view's offset, its run and step strides and the length of its stored rows
// (A: k, TA: columns stored; B: n, TB: k) are all multiples of 8. For convolutions: `filters` and `patches`,
// which are nowhere stored (see patches.wgsl); by fours where an image's pixels have a multiple of four
// channels, in words of 64 bits where, further, the view and its strides are multiples of four.
// Launched, costed and held to its oracle by kernels/src/matmul.rs and conv.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> a: array<f32>;
@group(0) @binding(4) var<storage, read> b: array<f32>;

override TA: bool;
override TB: bool;
override TC: bool;
override ONES_K: bool;
override ONES_M: bool;

// What a workgroup covers of C.
const TILE_M: u32 = 24u;
const TALL_M: u32 = 96u;
const TILE_N: u32 = 64u;
const SUBGROUP: u32 = 8u;

// Eight neighbours, as two columns of four; and eight times eight.
alias Eight = mat2x4<f32>;
alias Block = array<Eight, 8>;

const FIRST = vec4(0u, 1u, 2u, 3u);
const SECOND = vec4(4u, 5u, 6u, 7u);
const ZERO = Eight(vec4(0.0), vec4(0.0));

// All loads: eight neighbours of a stored row, from `column` on. The row has `length` numbers, of which at
// least one is left; what would lie past its end is 0.
// [load_a]
fn load_a(start: u32, row: u32, column: u32, length: u32) -> Eight {
    let left = length - column;
    let at = start + row * length + column;
    let i = at + min(FIRST, vec4(left - 1u));
    let j = at + min(SECOND, vec4(left - 1u));
    return Eight(
        select(vec4(0.0), vec4(a[i.x], a[i.y], a[i.z], a[i.w]), FIRST < vec4(left)),
        select(vec4(0.0), vec4(a[j.x], a[j.y], a[j.z], a[j.w]), SECOND < vec4(left)));
}
// [/load_a]

/*
// [load_a bytes]
fn load_a(start: u32, row: u32, column: u32, length: u32) -> Eight {
    let word = start + (row * length + column) / 4u;
    return Eight(unpack4x8unorm(a[word]), unpack4x8unorm(a[word + 1u]));
}
// [/load_a bytes]
// [load_a wide]
fn load_a(start: u32, row: u32, column: u32, length: u32) -> Eight {
    let words = a[(start + row * length + column) / 8u];
    return Eight(four(words.xy), four(words.zw));
}
// [/load_a wide]
// [load_a filters]
fn load_a(start: u32, row: u32, column: u32, length: u32) -> Eight {
    return Eight(
        vec4(one_filter(start, row, column, length), one_filter(start, row, column + 1u, length),
            one_filter(start, row, column + 2u, length), one_filter(start, row, column + 3u, length)),
        vec4(one_filter(start, row, column + 4u, length), one_filter(start, row, column + 5u, length),
            one_filter(start, row, column + 6u, length), one_filter(start, row, column + 7u, length)));
}
fn one_filter(start: u32, row: u32, column: u32, length: u32) -> f32 {
    let x = a[start + filter_at(row, min(column, length - 1u), params.size.x)];
    return select(0.0, x, column < length);
}
// [/load_a filters]
// [load_a filters by four]
fn load_a(start: u32, row: u32, column: u32, length: u32) -> Eight {
    return Eight(four_filters(start, row, column, length), four_filters(start, row, column + 4u, length));
}
fn four_filters(start: u32, row: u32, column: u32, length: u32) -> vec4<f32> {
    let i = start + filter_at(row, min(column, length - 4u), params.size.x);
    return select(vec4(0.0), vec4(a[i], a[i + 1u], a[i + 2u], a[i + 3u]), column < length);
}
// [/load_a filters by four]
*/

// [load_b]
fn load_b(start: u32, row: u32, column: u32, length: u32) -> Eight {
    let left = length - column;
    let at = start + row * length + column;
    let i = at + min(FIRST, vec4(left - 1u));
    let j = at + min(SECOND, vec4(left - 1u));
    return Eight(
        select(vec4(0.0), vec4(b[i.x], b[i.y], b[i.z], b[i.w]), FIRST < vec4(left)),
        select(vec4(0.0), vec4(b[j.x], b[j.y], b[j.z], b[j.w]), SECOND < vec4(left)));
}
// [/load_b]

/*
// [load_b wide]
fn load_b(start: u32, row: u32, column: u32, length: u32) -> Eight {
    let words = b[(start + row * length + column) / 8u];
    return Eight(four(words.xy), four(words.zw));
}
// [/load_b wide]
// [load_b patches]
fn load_b(start: u32, row: u32, column: u32, length: u32) -> Eight {
    return Eight(
        vec4(one_pixel(start, row, column, length), one_pixel(start, row, column + 1u, length),
            one_pixel(start, row, column + 2u, length), one_pixel(start, row, column + 3u, length)),
        vec4(one_pixel(start, row, column + 4u, length), one_pixel(start, row, column + 5u, length),
            one_pixel(start, row, column + 6u, length), one_pixel(start, row, column + 7u, length)));
}
fn one_pixel(start: u32, row: u32, column: u32, length: u32) -> f32 {
    let pixel = patch_at(row, min(column, length - 1u));
    return select(0.0, b[start + pixel.at], pixel.inside && column < length);
}
// [/load_b patches]
// [load_b patches by four]
fn load_b(start: u32, row: u32, column: u32, length: u32) -> Eight {
    return Eight(four_pixels(start, row, column, length), four_pixels(start, row, column + 4u, length));
}
fn four_pixels(start: u32, row: u32, column: u32, length: u32) -> vec4<f32> {
    let pixel = patch_at(row, min(column, length - 4u));
    let i = start + pixel.at;
    return select(vec4(0.0), vec4(b[i], b[i + 1u], b[i + 2u], b[i + 3u]), pixel.inside && column < length);
}
// [/load_b patches by four]
// [load_b patches wide]
fn load_b(start: u32, row: u32, column: u32, length: u32) -> Eight {
    return Eight(four_pixels(start, row, column, length), four_pixels(start, row, column + 4u, length));
}
fn four_pixels(start: u32, row: u32, column: u32, length: u32) -> vec4<f32> {
    let pixel = patch_at(row, min(column, length - 4u));
    return select(vec4(0.0), four(b[(start + pixel.at) / 4u]), pixel.inside && column < length);
}
// [/load_b patches wide]
// [wide]
fn four(words: vec2<u64>) -> vec4<f32> {
    return bitcast<vec4<f32>>(vec4(u32(words.x), u32(words.x >> 32u), u32(words.y), u32(words.y >> 32u)));
}
// [/wide]
*/

fn transposed(x: Block) -> Block {
    let p = transpose(mat4x4(x[0][0], x[1][0], x[2][0], x[3][0]));
    let q = transpose(mat4x4(x[4][0], x[5][0], x[6][0], x[7][0]));
    let r = transpose(mat4x4(x[0][1], x[1][1], x[2][1], x[3][1]));
    let s = transpose(mat4x4(x[4][1], x[5][1], x[6][1], x[7][1]));
    return Block(
        Eight(p[0], q[0]), Eight(p[1], q[1]), Eight(p[2], q[2]), Eight(p[3], q[3]),
        Eight(r[0], s[0]), Eight(r[1], s[1]), Eight(r[2], s[2]), Eight(r[3], s[3]));
}

// The lane's share of op(A)[row .. row + 8, k .. k + 8]: row `lane`, all eight k; or if TA, where
// neighbours are rows, all eight rows of k + `lane`.
fn share_of_a(start: u32, row: u32, k: u32, lane: u32) -> Eight {
    let depth = params.size.z;
    if !TA {
        return load_a(start, min(row + lane, params.size.x - 1u), k, depth);
    }
    let stored_m = params.size.x - u32(ONES_M);
    let at = min(row, stored_m - 1u);
    var x = load_a(start, min(k + lane, depth - 1u), at, stored_m);
    if ONES_M {
        x[0] = select(x[0], vec4(1.0), row + FIRST == vec4(stored_m));
        x[1] = select(x[1], vec4(1.0), row + SECOND == vec4(stored_m));
    }
    return within(x, k + lane < depth);
}

fn within(x: Eight, inside: bool) -> Eight {
    return Eight(select(vec4(0.0), x[0], inside), select(vec4(0.0), x[1], inside));
}

// op(B)[k .. k + 8, col .. col + 8]: a row for each k.
fn block_of_b(start: u32, k: u32, col: u32) -> Block {
    let n = params.size.y;
    let depth = params.size.z;
    if TB {
        let i = min(col + FIRST, vec4(n - 1u));
        let j = min(col + SECOND, vec4(n - 1u));
        return transposed(Block(
            load_b(start, i.x, k, depth), load_b(start, i.y, k, depth),
            load_b(start, i.z, k, depth), load_b(start, i.w, k, depth),
            load_b(start, j.x, k, depth), load_b(start, j.y, k, depth),
            load_b(start, j.z, k, depth), load_b(start, j.w, k, depth)));
    }
    let first = min(col, n - 1u);
    let i = min(k + FIRST, vec4(depth - 1u));
    let j = min(k + SECOND, vec4(depth - 1u));
    return Block(
        load_b(start, i.x, first, n),
        within(load_b(start, i.y, first, n), k + 1u < depth),
        within(load_b(start, i.z, first, n), k + 2u < depth),
        within(load_b(start, i.w, first, n), k + 3u < depth),
        within(load_b(start, j.x, first, n), k + 4u < depth),
        within(load_b(start, j.y, first, n), k + 5u < depth),
        within(load_b(start, j.z, first, n), k + 6u < depth),
        within(load_b(start, j.w, first, n), k + 7u < depth));
}

// What eight rows' sums begin with: the bias, or nothing.
fn bias(start: u32, col: u32) -> Block {
    var c = ZERO;
    if ONES_K {
        let first = min(col, params.size.y - 1u);
        c = load_b(start, params.size.z, first, params.size.y);
    }
    return Block(c, c, c, c, c, c, c, c);
}

// Adds the product of eight rows of A, of which `share` is this lane's, and the block `y` of B.
fn multiply(sums: Block, share: Eight, y: Block) -> Block {
    var x = Block(
        Eight(subgroupBroadcast(share[0], 0u), subgroupBroadcast(share[1], 0u)),
        Eight(subgroupBroadcast(share[0], 1u), subgroupBroadcast(share[1], 1u)),
        Eight(subgroupBroadcast(share[0], 2u), subgroupBroadcast(share[1], 2u)),
        Eight(subgroupBroadcast(share[0], 3u), subgroupBroadcast(share[1], 3u)),
        Eight(subgroupBroadcast(share[0], 4u), subgroupBroadcast(share[1], 4u)),
        Eight(subgroupBroadcast(share[0], 5u), subgroupBroadcast(share[1], 5u)),
        Eight(subgroupBroadcast(share[0], 6u), subgroupBroadcast(share[1], 6u)),
        Eight(subgroupBroadcast(share[0], 7u), subgroupBroadcast(share[1], 7u)));
    // A row of A, of its eight k. Transposing only renames registers.
    if TA {
        x = transposed(x);
    }
    return Block(
        add(sums[0], x[0], y), add(sums[1], x[1], y), add(sums[2], x[2], y), add(sums[3], x[3], y),
        add(sums[4], x[4], y), add(sums[5], x[5], y), add(sums[6], x[6], y), add(sums[7], x[7], y));
}

// In rising k.
fn add(sum: Eight, x: Eight, y: Block) -> Eight {
    let upper = sum + x[0].x * y[0] + x[0].y * y[1] + x[0].z * y[2] + x[0].w * y[3];
    return upper + x[1].x * y[4] + x[1].y * y[5] + x[1].z * y[6] + x[1].w * y[7];
}

// The ends of the loops are not constants, or the driver would unroll them, with 64 copies of the epilogue.
fn store(row: u32, col: u32, run: u32, sums: Block) {
    let start = base(0u, run);
    var rows = sums;
    for (var r = row; r < min(row + 8u, params.size.x); r += 1u) {
        for (var c = col; c < min(col + 8u, params.size.y); c += 1u) {
            let i = select(r * params.size.y + c, c * params.size.x + r, TC);
            out[start + i] = epilogue(rows[r - row][(c - col) / 4u][c % 4u], i, run);
        }
    }
}

// 24 rows of the lane's part of C.
struct Rows {
    top: Block,
    middle: Block,
    bottom: Block,
}

fn first_rows(start: u32, col: u32) -> Rows {
    let c = bias(start, col);
    return Rows(c, c, c);
}

fn multiply_rows(sums: Rows, start: u32, row: u32, k: u32, lane: u32, y: Block) -> Rows {
    return Rows(
        multiply(sums.top, share_of_a(start, row, k, lane), y),
        multiply(sums.middle, share_of_a(start, row + 8u, k, lane), y),
        multiply(sums.bottom, share_of_a(start, row + 16u, k, lane), y));
}

fn store_rows(row: u32, col: u32, run: u32, sums: Rows) {
    store(row, col, run, sums.top);
    store(row + 8u, col, run, sums.middle);
    store(row + 16u, col, run, sums.bottom);
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let run = tile.z;
    let row = tile.y * TILE_M;
    let col = tile.x * TILE_N + lane * 8u;
    let from_a = base(1u, run);
    let from_b = base(2u, run);
    var sums = first_rows(from_b, col);
    for (var k = 0u; k < params.size.z; k += 8u) {
        sums = multiply_rows(sums, from_a, row, k, lane, block_of_b(from_b, k, col));
    }
    store_rows(row, col, run, sums);
}

// Four times as tall: what is loaded of B serves four times as many rows.
@compute @workgroup_size(SUBGROUP)
fn tall(@builtin(workgroup_id) tile: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let run = tile.z;
    let row = tile.y * TALL_M;
    let col = tile.x * TILE_N + lane * 8u;
    let from_a = base(1u, run);
    let from_b = base(2u, run);
    var s0 = first_rows(from_b, col);
    var s1 = s0;
    var s2 = s0;
    var s3 = s0;
    for (var k = 0u; k < params.size.z; k += 8u) {
        let y = block_of_b(from_b, k, col);
        s0 = multiply_rows(s0, from_a, row, k, lane, y);
        s1 = multiply_rows(s1, from_a, row + TILE_M, k, lane, y);
        s2 = multiply_rows(s2, from_a, row + 2u * TILE_M, k, lane, y);
        s3 = multiply_rows(s3, from_a, row + 3u * TILE_M, k, lane, y);
    }
    store_rows(row, col, run, s0);
    store_rows(row + TILE_M, col, run, s1);
    store_rows(row + 2u * TILE_M, col, run, s2);
    store_rows(row + 3u * TILE_M, col, run, s3);
}
