// matmul_subgroup: C[r,m,n] = Σ_k op(A)[r,m,k] · op(B)[r,k,n]   (r: run)
//
//   A  [m, k], or [k, m] if TA; with ONES_M op(A) has one row more than is stored, of ones
//   B  [k, n], or [n, k] if TB; with ONES_K B has one row more, [k + 1, n], added to every row of C
//   C  [m, n], after the epilogue; of a convolution stored [n, m]
//
// Where C has few columns its transpose is computed instead, of which a tile computes more: A is then what is called B
// elsewhere, and B what is called A, C is stored [n, m], and the ones change sides. With ONES_N op(B) has one column more
// than is stored, of ones; with BIAS_M A has one row more, [k + 1, m], added to every column of C.
//
// For software Vulkan, where a subgroup is one vector register of the CPU. A workgroup is one subgroup
// of eight lanes and owns 24 x 64 of C (or 4 to 20 x 64, or 20 x 32): a lane owns eight neighbouring columns, all rows of
// them. Four k at a time, each lane loads its share of 8 x 4 blocks of A, four numbers each, and the
// lanes hand them round by shuffles; of B it loads the 4 x 8 that it needs for its own columns. Nothing
// is loaded twice in a workgroup, whichever way the operands are stored.
//
// Why so: such a driver turns a load from a buffer into a loop over the lanes that puts one word at a time
// into a register by way of memory, and stalls each time. A load from a texture is a vector load a lane and
// a transposition, so operands are read from mirrors of their buffers (kernels/src/gpu/mirror.rs). A shuffle
// from a fixed lane is one instruction (a broadcast is a loop). There is no workgroup memory, no barrier and
// no branch in the loop: indices are clamped to the operand, what lies past the end of k is 0 in A and B,
// and only the last store asks what is inside C. Larger blocks make programs so long that the CPU waits for
// instructions, and the driver for seconds. Loops end in a `break`: the driver computes what follows one once more, for no lane,
// which is all of a `for` loop's body. Parameters are some thirty instructions each, so none is read in a loop.
//
// A shuffle names lanes 0 to 7 only, so any subgroup of eight or more lanes computes the same.
// Grid: x column tiles, y row tiles, z runs; any m, n, k and offset.
//
// Loading: a number a texel, always right. By four: four numbers a texel, where the view's offset, its step
// stride and the length of its stored rows (A: k, TA: columns stored; B: n, TB: k) are multiples of 4. Images:
// bytes of [m, k] as x / 255, four to a texel, k a multiple of 4, not TA; or sixteen (see matmul_images.wgsl). For convolutions: `filters`
// and `patches`, which are nowhere stored (see patches.wgsl); by four where pixels have a multiple of four channels.
// Storing: a number at a time, always right; or four, where the view's offset, its step stride and the length of C's stored
// rows are multiples of 4: a store is a loop over the lanes, too, which then has four numbers to put away in each turn.
// Followed by columns.wgsl, or for convolutions patches.wgsl. Launched, costed and held to its oracle by
// kernels/src/matmul.rs and conv.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var a: texture_storage_2d<r32float, read>;
@group(0) @binding(4) var b: texture_storage_2d<r32float, read>;

override TA: bool;
override TB: bool;
override ONES_K: bool;
override ONES_M: bool;
override ONES_N: bool = false;
override BIAS_M: bool = false;

// The views of the operands.
override A: u32 = 1u;
override B: u32 = 2u;

// What a workgroup covers of C: rows, by `main` a multiple of 4 up to 24, and columns.
override ROWS: u32 = 24u;
const TILE_N: u32 = 64u;
const NARROW_N: u32 = 32u;
const SUBGROUP: u32 = 8u;

// m, n, k. Read once; and with a lane's 0 added, since the driver
// compiles anew, at every launch, what it sees to branch on parameters alone.
var<private> size: vec4<u32>;

fn read_size(lane: u32) {
    size = vec4(params.size.xy, depth(), 0u) + vec4(lane / SUBGROUP);
}

// What a lane computes: rows from `row` to before `end`, columns from `col` on, of which run; and where the operands of that
// run begin.
struct Own {
    row: u32,
    end: u32,
    col: u32,
    run: u32,
    from_a: u32,
    from_b: u32,
}

fn own_part(tile: vec3<u32>, columns: u32, lane: u32) -> Own {
    let of_set = tile_of_set(tile.x);
    read_size(lane);
    let from_a = base(A, tile.z) + first_term() * size.x;
    let row = tile.y * ROWS;
    return Own(row, min(row + ROWS, size.x), of_set * columns + lane * 8u % columns, tile.z, from_a, base(B, tile.z));
}

// Eight neighbours, as two columns of four; those of four k; and of four rows.
alias Eight = mat2x4<f32>;
alias Deep = array<Eight, 4>;
alias Block = array<Eight, 4>;

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
    return select(0.0, textureLoad(a, texel(first + min(column, length - 1u))).x, column < length);
}
// [/load_a]

/*
// [load_a by four]
fn load_a(start: u32, row: u32, column: u32, length: u32) -> vec4<f32> {
    return textureLoad(a, texel_of_four(start + row * length + min(column, length - 4u)));
}
// [/load_a by four]
// [load_a bytes]
fn load_a(start: u32, row: u32, column: u32, length: u32) -> vec4<f32> {
    return textureLoad(a, texel(start + (row * length + column) / 4u));
}
// [/load_a bytes]
// [load_a bytes by sixteen]
fn load_a(start: u32, row: u32, column: u32, length: u32) -> vec4<f32> {
    let word = start + (row * length + column) / 4u;
    return shades(textureLoad(a, texel_of_four(word))[word % 4u]);
}
// [/load_a bytes by sixteen]
// [load_a filters]
fn load_a(start: u32, row: u32, column: u32, length: u32) -> vec4<f32> {
    return vec4(one_filter(start, row, column, length), one_filter(start, row, column + 1u, length),
        one_filter(start, row, column + 2u, length), one_filter(start, row, column + 3u, length));
}
fn one_filter(start: u32, row: u32, column: u32, length: u32) -> f32 {
    let i = start + filter_at(row, min(column, length - 1u), size.x);
    return select(0.0, textureLoad(a, texel(i)).x, column < length);
}
// [/load_a filters]
// [load_a filters by four]
fn load_a(start: u32, row: u32, column: u32, length: u32) -> vec4<f32> {
    return textureLoad(a, texel_of_four(start + filter_at(row, min(column, length - 4u), size.x)));
}
// [/load_a filters by four]
*/

// Of B, where a number lies is the sum of what its row and its column say, of which one stays the same all along a loop.
// [load_b]
alias RowOfB = u32;
struct ColumnsOfB {
    at: vec4<u32>,
    inside: vec4<bool>,
}
fn row_of_b(start: u32, row: u32, length: u32) -> RowOfB {
    return start + row * length;
}
fn columns_of_b(column: u32, length: u32) -> ColumnsOfB {
    let all = column + FOUR;
    return ColumnsOfB(min(all, vec4(length - 1u)), all < vec4(length));
}
fn load_b(row: RowOfB, columns: ColumnsOfB) -> vec4<f32> {
    let at = row + columns.at;
    return select(vec4(0.0), vec4(one_b(at.x), one_b(at.y), one_b(at.z), one_b(at.w)), columns.inside);
}
fn one_b(at: u32) -> f32 {
    return textureLoad(b, texel(at)).x;
}
// [/load_b]

/*
// [load_b by four]
alias RowOfB = u32;
alias ColumnsOfB = u32;
fn row_of_b(start: u32, row: u32, length: u32) -> RowOfB {
    return start + row * length;
}
fn columns_of_b(column: u32, length: u32) -> ColumnsOfB {
    return min(column, length - 4u);
}
fn load_b(row: RowOfB, columns: ColumnsOfB) -> vec4<f32> {
    return textureLoad(b, texel_of_four(row + columns));
}
// [/load_b by four]
// [load_b patches]
alias RowOfB = Part;
alias ColumnsOfB = array<Part, 4>;
fn row_of_b(start: u32, row: u32, length: u32) -> RowOfB {
    return part_of_row(start, row);
}
fn columns_of_b(column: u32, length: u32) -> ColumnsOfB {
    let all = min(column + FOUR, vec4(length - 1u));
    return ColumnsOfB(part_of_column(all.x), part_of_column(all.y), part_of_column(all.z), part_of_column(all.w));
}
fn load_b(row: RowOfB, columns: ColumnsOfB) -> vec4<f32> {
    return vec4(one_pixel(row, columns[0]), one_pixel(row, columns[1]),
        one_pixel(row, columns[2]), one_pixel(row, columns[3]));
}
fn one_pixel(row: RowOfB, column: Part) -> f32 {
    let pixel = pixel_of_parts(row, column);
    return select(0.0, textureLoad(b, texel(pixel.at)).x, pixel.inside);
}
// [/load_b patches]
// [load_b patches by four]
alias RowOfB = Part;
alias ColumnsOfB = Part;
fn row_of_b(start: u32, row: u32, length: u32) -> RowOfB {
    return part_of_row(start, row);
}
fn columns_of_b(column: u32, length: u32) -> ColumnsOfB {
    return part_of_column(min(column, length - 4u));
}
fn load_b(row: RowOfB, columns: ColumnsOfB) -> vec4<f32> {
    let pixel = pixel_of_parts(row, columns);
    return select(vec4(0.0), textureLoad(b, texel_of_four(pixel.at)), pixel.inside);
}
// [/load_b patches by four]
*/

// The lane's share of op(A)[row .. row + 8, k .. k + 4]: row `lane`, all four k; or if TA, where neighbours are
// rows, k + `lane` % 4 of the upper or the lower four rows.
fn share_of_a(start: u32, row: u32, k: u32, lane: u32) -> vec4<f32> {
    if !TA {
        return load_a(start, min(row + lane, size.x - 1u), k, size.z);
    }
    let stored_m = size.x - u32(ONES_M);
    let first = row + lane / 4u * 4u;
    let own_k = k + lane % 4u;
    var x = load_a(start, min(own_k, size.z - 1u), first, stored_m);
    if ONES_M {
        x = select(x, vec4(1.0), first + FOUR == vec4(stored_m));
    }
    return select(vec4(0.0), x, own_k < size.z);
}

// What a lane's columns say of where op(B) lies: rows of B if TB, or twice four of its columns.
struct Columns {
    rows: array<RowOfB, 8>,
    left: ColumnsOfB,
    right: ColumnsOfB,
}

fn own_columns(own: Own) -> Columns {
    let stored_n = size.y - u32(ONES_N);
    return Columns(
        array<RowOfB, 8>(own_row(own, 0u), own_row(own, 1u), own_row(own, 2u), own_row(own, 3u),
            own_row(own, 4u), own_row(own, 5u), own_row(own, 6u), own_row(own, 7u)),
        columns_of_b(own.col, stored_n), columns_of_b(own.col + 4u, stored_n));
}

fn own_row(own: Own, column: u32) -> RowOfB {
    return row_of_b(own.from_b, min(own.col + column, size.y - 1u), size.z);
}

// op(B)[k .. k + 4, the lane's columns].
fn block_of_b(own: Own, columns: Columns, k: u32) -> Deep {
    if TB {
        let of_k = columns_of_b(k, size.z);
        let p = transpose(mat4x4(load_b(columns.rows[0], of_k), load_b(columns.rows[1], of_k),
            load_b(columns.rows[2], of_k), load_b(columns.rows[3], of_k)));
        let q = transpose(mat4x4(load_b(columns.rows[4], of_k), load_b(columns.rows[5], of_k),
            load_b(columns.rows[6], of_k), load_b(columns.rows[7], of_k)));
        return Deep(Eight(p[0], q[0]), Eight(p[1], q[1]), Eight(p[2], q[2]), Eight(p[3], q[3]));
    }
    return Deep(eight_of_b(own, columns, k), eight_of_b(own, columns, k + 1u),
        eight_of_b(own, columns, k + 2u), eight_of_b(own, columns, k + 3u));
}

fn eight_of_b(own: Own, columns: Columns, k: u32) -> Eight {
    let stored_n = size.y - u32(ONES_N);
    let of_k = row_of_b(own.from_b, min(k, size.z - 1u), stored_n);
    let inside = k < size.z;
    return Eight(select(vec4(0.0), with_ones(load_b(of_k, columns.left), own.col), inside),
        select(vec4(0.0), with_ones(load_b(of_k, columns.right), own.col + 4u), inside));
}

fn with_ones(x: vec4<f32>, col: u32) -> vec4<f32> {
    if ONES_N {
        return select(x, vec4(1.0), col + FOUR == vec4(size.y - 1u));
    }
    return x;
}

// What four rows' sums begin with, from `below` the tile's first on: the bias, or nothing.
fn bias(own: Own, below: u32) -> Block {
    if BIAS_M {
        let x = load_a(own.from_a, size.z, own.row + below, size.x);
        return Block(row_of(x.x), row_of(x.y), row_of(x.z), row_of(x.w));
    }
    var c = row_of(0.0);
    if ONES_K {
        let of_ones = row_of_b(own.from_b, size.z, size.y);
        c = Eight(load_b(of_ones, columns_of_b(own.col, size.y)), load_b(of_ones, columns_of_b(own.col + 4u, size.y)));
    }
    return Block(c, c, c, c);
}

// What all sums of a tile begin with.
fn biases(own: Own) -> array<Block, 6> {
    return array<Block, 6>(bias(own, 0u), bias(own, 4u), bias(own, 8u),
        bias(own, 12u), bias(own, 16u), bias(own, 20u));
}

fn row_of(x: f32) -> Eight {
    return Eight(vec4(x), vec4(x));
}

// Adds the product of four rows of A, of which lanes from `first` on have shares, this one `share`, and the block `y` of B.
fn multiply(sums: Block, share: vec4<f32>, first: u32, y: Deep) -> Block {
    return add_rows(sums, mat4x4(subgroupShuffle(share, first), subgroupShuffle(share, first + 1u),
        subgroupShuffle(share, first + 2u), subgroupShuffle(share, first + 3u)), y);
}

// The same of all four shares. Transposing only renames registers.
fn add_rows(sums: Block, shares: mat4x4<f32>, y: Deep) -> Block {
    var rows = shares;
    if TA {
        rows = transpose(shares);
    }
    return Block(add(sums[0], rows[0], y), add(sums[1], rows[1], y), add(sums[2], rows[2], y), add(sums[3], rows[3], y));
}

// In rising k.
fn add(sum: Eight, x: vec4<f32>, y: Deep) -> Eight {
    return sum + x.x * y[0] + x.y * y[1] + x.z * y[2] + x.w * y[3];
}

// Column by column, `at` being where the run's operands begin. The block moves along, since to ask it for a column by a number costs
// a loop over the lanes; and the loop's end is not a constant, or the driver would unroll it, with a copy of the epilogue for each column.
// [store]
fn store(own: Own, at: Begins, below: u32, sums: Block) {
    let row = own.row + below;
    var rows = sums;
    var c = own.col;
    loop {
        if c < size.y && has_place(c) {
            put(own, at, row, c, rows[0][0].x);
            put(own, at, row + 1u, c, rows[1][0].x);
            put(own, at, row + 2u, c, rows[2][0].x);
            put(own, at, row + 3u, c, rows[3][0].x);
        }
        rows = next_column(rows);
        c += 1u;
        if c >= min(own.col + 8u, size.y) {
            break;
        }
    }
}

fn put(own: Own, at: Begins, row: u32, col: u32, sum: f32) {
    if row < own.end {
        let i = stored_at(row, col, size.x, size.y);
        out[at.view0 + i] = epilogue_at(sum, i, at);
    }
}
// [/store]

/*
// [store by four]
// Row by row.
fn store(own: Own, at: Begins, below: u32, sums: Block) {
    var row = own.row + below;
    let end = min(row + 4u, own.end);
    var rows = sums;
    loop {
        if row < end {
            put(at, row, own.col, rows[0][0]);
            put(at, row, own.col + 4u, rows[0][1]);
        }
        rows = Block(rows[1], rows[2], rows[3], rows[3]);
        row += 1u;
        if row >= end {
            break;
        }
    }
}

fn put(at: Begins, row: u32, col: u32, sums: vec4<f32>) {
    if col < size.y {
        let i = row * size.y + col;
        out[(at.view0 + i) / 4u] = epilogue_at(sums, i, at);
    }
}
// [/store by four]
// [store places by four]
fn store(own: Own, at: Begins, below: u32, sums: Block) {
    let row = own.row + below;
    var rows = sums;
    var c = own.col;
    loop {
        if c < size.y && has_place(c) && row < own.end {
            let i = stored_at(row, c, size.x, size.y);
            let four = vec4(rows[0][0].x, rows[1][0].x, rows[2][0].x, rows[3][0].x);
            out[(at.view0 + i) / 4u] = epilogue_at(four, i, at);
        }
        rows = next_column(rows);
        c += 1u;
        if c >= min(own.col + 8u, size.y) {
            break;
        }
    }
}
// [/store places by four]
*/

fn next_column(rows: Block) -> Block {
    return Block(next(rows[0]), next(rows[1]), next(rows[2]), next(rows[3]));
}

fn next(row: Eight) -> Eight {
    return Eight(vec4(row[0].yzw, row[1].x), vec4(row[1].yzw, 0.0));
}

// A tile of all columns. What no tile of so many rows computes is no part of its program.
@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let own = own_part(tile, TILE_N, lane);
    let columns = own_columns(own);
    var sums = biases(own);
    // (Pixels of some sets meet no tap.)
    if size.z > 0u {
        var k = 0u;
        loop {
            let y = block_of_b(own, columns, k);
            let upper = share_of_a(own.from_a, own.row, k, lane);
            sums[0] = multiply(sums[0], upper, 0u, y);
            if ROWS > 4u {
                sums[1] = multiply(sums[1], upper, 4u, y);
            }
            if ROWS > 8u {
                let middle = share_of_a(own.from_a, own.row + 8u, k, lane);
                sums[2] = multiply(sums[2], middle, 0u, y);
                if ROWS > 12u {
                    sums[3] = multiply(sums[3], middle, 4u, y);
                }
            }
            if ROWS > 16u {
                let lower = share_of_a(own.from_a, own.row + 16u, k, lane);
                sums[4] = multiply(sums[4], lower, 0u, y);
                if ROWS > 20u {
                    sums[5] = multiply(sums[5], lower, 4u, y);
                }
            }
            k += 4u;
            if k >= size.z {
                break;
            }
        }
    }
    store_all(own, sums);
}

fn store_all(own: Own, sums: array<Block, 6>) {
    let at = begins(own.run);
    store(own, at, 0u, sums[0]);
    if ROWS > 4u {
        store(own, at, 4u, sums[1]);
    }
    if ROWS > 8u {
        store(own, at, 8u, sums[2]);
    }
    if ROWS > 12u {
        store(own, at, 12u, sums[3]);
    }
    if ROWS > 16u {
        store(own, at, 16u, sums[4]);
    }
    if ROWS > 20u {
        store(own, at, 20u, sums[5]);
    }
}

// 20 rows of 32 columns, for products that have no more columns: the upper four lanes have the columns of the lower four, and
// of every eight k the last four.
@compute @workgroup_size(SUBGROUP)
fn narrow(@builtin(workgroup_id) tile: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    var own = own_part(tile, NARROW_N, lane);
    let columns = own_columns(own);
    var sums = array<Block, 5>();
    if size.z > 0u {
        var k = 0u;
        loop {
            let y = block_of_b(own, columns, k + lane / 4u * 4u);
            let a0 = shares_of_a(own.from_a, own.row, k, lane);
            sums[0] = multiply_halves(sums[0], a0, 0u, lane, y);
            sums[1] = multiply_halves(sums[1], a0, 4u, lane, y);
            let a1 = shares_of_a(own.from_a, own.row + 8u, k, lane);
            sums[2] = multiply_halves(sums[2], a1, 0u, lane, y);
            sums[3] = multiply_halves(sums[3], a1, 4u, lane, y);
            let a2 = shares_of_a(own.from_a, own.row + 16u, k, lane);
            sums[4] = multiply_halves(sums[4], a2, 0u, lane, y);
            k += 8u;
            if k >= size.z {
                break;
            }
        }
    }
    let at = begins(own.run);
    own.col = select(own.col, size.y, lane >= 4u); // upper lanes store nothing
    store(own, at, 0u, joined(bias(own, 0u), sums[0], lane));
    store(own, at, 4u, joined(bias(own, 4u), sums[1], lane));
    store(own, at, 8u, joined(bias(own, 8u), sums[2], lane));
    store(own, at, 12u, joined(bias(own, 12u), sums[3], lane));
    store(own, at, 16u, joined(bias(own, 16u), sums[4], lane));
}

// The lane's shares of eight rows: of four k, and of the next four.
fn shares_of_a(start: u32, row: u32, k: u32, lane: u32) -> mat2x4<f32> {
    let next = share_of_a(start, row, k + 4u, lane);
    return mat2x4(share_of_a(start, row, k, lane), select(vec4(0.0), next, k + 4u < size.z));
}

// As `multiply`, for lower lanes by the first shares, for upper lanes by the second.
fn multiply_halves(sums: Block, shares: mat2x4<f32>, first: u32, lane: u32, y: Deep) -> Block {
    let is_upper = lane >= 4u;
    return add_rows(sums, mat4x4(one_of(shares, first, is_upper), one_of(shares, first + 1u, is_upper),
        one_of(shares, first + 2u, is_upper), one_of(shares, first + 3u, is_upper)), y);
}

fn one_of(shares: mat2x4<f32>, of_lane: u32, is_upper: bool) -> vec4<f32> {
    return select(subgroupShuffle(shares[0], of_lane), subgroupShuffle(shares[1], of_lane), is_upper);
}

// What sums begin with, and what both halves of the lanes add. Right in lower lanes.
fn joined(begin: Block, sums: Block, lane: u32) -> Block {
    return Block(begin[0] + both(sums[0], lane), begin[1] + both(sums[1], lane),
        begin[2] + both(sums[2], lane), begin[3] + both(sums[3], lane));
}

fn both(row: Eight, lane: u32) -> Eight {
    return row + Eight(of_upper(row[0], lane), of_upper(row[1], lane));
}

// What the lane four above has.
fn of_upper(x: vec4<f32>, lane: u32) -> vec4<f32> {
    let even = select(subgroupShuffle(x, 4u), subgroupShuffle(x, 6u), lane >= 2u);
    let odd = select(subgroupShuffle(x, 5u), subgroupShuffle(x, 7u), lane >= 2u);
    return select(even, odd, lane % 2u == 1u);
}

// A row: a lane loads four of every 32 k.
@compute @workgroup_size(SUBGROUP)
fn single(@builtin(workgroup_id) tile: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let own = own_part(tile, TILE_N, lane);
    let columns = own_columns(own);
    let start = bias(own, 0u);
    var sum = start[0];
    var k = 0u;
    loop {
        let share = load_a(own.from_a, own.row, k + lane * 4u, size.z);
        let end = min(k + 32u, size.z);
        var of_lane = 0u;
        loop {
            sum = add(sum, subgroupShuffle(share, of_lane), block_of_b(own, columns, k));
            of_lane += 1u;
            k += 4u;
            if k >= end {
                break;
            }
        }
        if k >= size.z {
            break;
        }
    }
    store(own, begins(own.run), 0u, Block(sum, sum, sum, sum));
}
