// matmul_tiled: C[r,m,n] = Σ_k op(A)[r,m,k] · op(B)[r,k,n]   (r: run)
//
//   A  [m, k], or [k, m] if TA; with ONES_M op(A) has one row more than is stored, of ones
//   B  [k, n], or [n, k] if TB; with ONES_K B has one row more, [k + 1, n], added to every row of C
//   C  [m, n], after the epilogue; of a convolution stored [n, m]
//
// For hardware. A workgroup owns TILE_M x TILE_N of C and goes through k TILE_K at a time: its threads copy a block
// of each operand to workgroup memory, four neighbours at once, and then multiply. A thread owns QUADS_M x QUADS_N
// quads of 4 x 4 of C, and takes four k of its rows and columns at a time: a value read from far away serves a
// tile, and one read from workgroup memory a quad or two, while the sums stay in registers. Where there are few
// rows and columns, the threads are SLICES times as many, each slice of them takes its share of a block's k, and a
// tree adds what they have: long sums are then short.
//
// Operands lie in a block as they are stored: where neighbours are k, a row of the block is a row (or column) of
// the tile, padded by one word of four to keep threads on different banks; else it is a k. Turning four words of
// four only renames registers. Indices are clamped to the operand and what lies past the end of k is 0, so no thread
// leaves before a barrier. Grid: x column tiles, y row tiles, z runs.
//
// The constants below are one tile of many: kernels/src/tile.rs has the list, and writes them. A line that ends in
// [each X Y] stands for as many lines as there are of X and Y, with their numbers in place of the letters, since the sums
// would lie in memory if a compiler did not unroll a loop over them. H and G: quads of a thread, down and across;
// I and J: words of four that a thread copies of A's block and of B's.
//
// Loading: scalars, always right. By four: where the view's offset, its step stride and the length of its stored
// rows (A: k, TA: columns stored; B: n, TB: k) are multiples of 4. Images: bytes of [m, k] as x / 255, four to a
// word, k a multiple of 4, not TA. For convolutions: `filters` and `patches`, which are nowhere stored (see
// patches.wgsl); by four where pixels have a multiple of four channels.
// Followed by columns.wgsl, or for convolutions patches.wgsl. Launched, costed and held to its oracle by
// kernels/src/matmul.rs and conv.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> a: array<f32>;
@group(0) @binding(4) var<storage, read> b: array<f32>;

override TA: bool;
override TB: bool;
override ONES_K: bool;
override ONES_M: bool;

// What a workgroup covers of C, and of k at a time; quads of a thread; threads that share a sum.
const TILE_M: u32 = 16u;
const TILE_N: u32 = 16u;
const TILE_K: u32 = 16u;
const QUADS_M: u32 = 1u;
const QUADS_N: u32 = 1u;
const SLICES: u32 = 4u;

const ACROSS: u32 = TILE_N / (4u * QUADS_N);
const DOWN: u32 = TILE_M / (4u * QUADS_M);
const THREADS: u32 = ACROSS * DOWN * SLICES;
// Words of four in a row of k, padded; and of the blocks of A and B.
const K_WORDS: u32 = TILE_K / 4u;
const K_ROW: u32 = K_WORDS + 1u;
const BLOCK_A: u32 = TILE_M * K_ROW;
const BLOCK_B: u32 = TILE_N * K_ROW;
var<workgroup> block: array<vec4<f32>, BLOCK_A + BLOCK_B>;

// Stand for numbers in lines that end in [each ..]; as they are, the text computes with one quad a thread.
const H: u32 = 0u;
const G: u32 = 0u;
const I: u32 = 0u;
const J: u32 = 0u;

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

// Word `i` of those that all threads copy of A: neighbouring threads take neighbours in memory.
fn word_of_a(start: u32, row: u32, k: u32, i: u32) -> vec4<f32> {
    if TA {
        return four_of_a(start, row + i % (TILE_M / 4u) * 4u, k + i / (TILE_M / 4u));
    }
    return four_of_a(start, row + i / K_WORDS, k + i % K_WORDS * 4u);
}
fn place_of_a(i: u32) -> u32 {
    return select(i / K_WORDS * K_ROW + i % K_WORDS, i, TA);
}
fn word_of_b(start: u32, k: u32, col: u32, i: u32) -> vec4<f32> {
    if TB {
        return four_of_b(start, k + i % K_WORDS * 4u, col + i / K_WORDS);
    }
    return four_of_b(start, k + i / (TILE_N / 4u), col + i % (TILE_N / 4u) * 4u);
}
fn place_of_b(i: u32) -> u32 {
    return BLOCK_A + select(i, i / K_WORDS * K_ROW + i % K_WORDS, TB);
}

// Which row of the tile is row `r` of quad number `quad` down of a thread, and which column.
fn row_of(down: u32, quad: u32, r: u32) -> u32 {
    return select(down + (quad * 4u + r) * DOWN, (down + quad * DOWN) * 4u + r, TA);
}
fn column_of(across: u32, quad: u32, c: u32) -> u32 {
    return select((across + quad * ACROSS) * 4u + c, across + (quad * 4u + c) * ACROSS, TB);
}

// Four rows of A's block, each of four k, the `word`th; and four k of B's, each of four columns.
fn rows_of_a(down: u32, quad: u32, word: u32) -> mat4x4<f32> {
    if TA {
        let at = word * TILE_M + down + quad * DOWN;
        return transpose(mat4x4(block[at], block[at + TILE_M / 4u], block[at + TILE_M / 2u], block[at + TILE_M / 4u * 3u]));
    }
    let at = row_of(down, quad, 0u) * K_ROW + word;
    return mat4x4(block[at], block[at + DOWN * K_ROW], block[at + 2u * DOWN * K_ROW], block[at + 3u * DOWN * K_ROW]);
}
fn columns_of_b(across: u32, quad: u32, word: u32) -> mat4x4<f32> {
    if TB {
        let at = BLOCK_A + column_of(across, quad, 0u) * K_ROW + word;
        return transpose(mat4x4(block[at], block[at + ACROSS * K_ROW], block[at + 2u * ACROSS * K_ROW], block[at + 3u * ACROSS * K_ROW]));
    }
    let at = BLOCK_A + word * TILE_N + across + quad * ACROSS;
    return mat4x4(block[at], block[at + TILE_N / 4u], block[at + TILE_N / 2u], block[at + TILE_N / 4u * 3u]);
}

// Adds the product of four rows and four columns, of four k.
fn add(sums: mat4x4<f32>, x: mat4x4<f32>, y: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4(add_row(sums[0], x[0], y), add_row(sums[1], x[1], y), add_row(sums[2], x[2], y), add_row(sums[3], x[3], y));
}
fn add_row(sum: vec4<f32>, x: vec4<f32>, y: mat4x4<f32>) -> vec4<f32> {
    return sum + x.x * y[0] + x.y * y[1] + x.z * y[2] + x.w * y[3];
}

fn put(at: u32, quad: mat4x4<f32>) {
    block[at] = quad[0];
    block[at + 1u] = quad[1];
    block[at + 2u] = quad[2];
    block[at + 3u] = quad[3];
}
fn take(at: u32) -> mat4x4<f32> {
    return mat4x4(block[at], block[at + 1u], block[at + 2u], block[at + 3u]);
}

fn store(row: u32, col: u32, run: u32, sum: f32) {
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
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let run = tile.z;
    let row = tile.y * TILE_M;
    let col = tile_of_set(tile.x) * TILE_N;
    let depth = depth();
    let from_a = base(1u, run) + first_term() * params.size.x;
    let from_b = base(2u, run);
    let across = thread % ACROSS;
    let down = thread / ACROSS % DOWN;
    let slice = thread / (ACROSS * DOWN);

    var sum_H_G = mat4x4<f32>(); // [each H G]
    for (var k = 0u; k < depth; k += TILE_K) {
        let a_I = word_of_a(from_a, row, k, thread + I * THREADS); // [each I]
        let b_J = word_of_b(from_b, k, col, thread + J * THREADS); // [each J]
        workgroupBarrier();
        block[place_of_a(thread + I * THREADS)] = a_I; // [each I]
        block[place_of_b(thread + J * THREADS)] = b_J; // [each J]
        workgroupBarrier();
        for (var word = slice; word < K_WORDS; word += SLICES) {
            let x_H = rows_of_a(down, H, word); // [each H]
            let y_G = columns_of_b(across, G, word); // [each G]
            sum_H_G = add(sum_H_G, x_H, y_G); // [each H G]
        }
    }

    if SLICES == 1u {
        for (var i = 0u; i < 16u; i += 1u) {
            store(row + row_of(down, H, i / 4u), col + column_of(across, G, i % 4u), run, sum_H_G[i / 4u][i % 4u]); // [each H G]
        }
        return;
    }
    // The upper half of the slices hand what they have to the lower half, until one has all. (A slice's thread has one quad.)
    for (var half = SLICES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if slice >= half && slice < 2u * half {
            put((thread - half * ACROSS * DOWN) * 4u, sum_H_G); // [each H G]
        }
        workgroupBarrier();
        if slice < half {
            sum_H_G += take(thread * 4u); // [each H G]
        }
    }
    workgroupBarrier();
    if slice == 0u {
        put(thread * 4u, sum_H_G); // [each H G]
    }
    workgroupBarrier();
    for (var i = thread; i < TILE_M * TILE_N; i += THREADS) {
        let owner = i / 16u;
        let r = row_of(owner / ACROSS, 0u, i / 4u % 4u);
        let c = column_of(owner % ACROSS, 0u, i % 4u);
        store(row + r, col + c, run, block[i / 4u][i % 4u]);
    }
}
