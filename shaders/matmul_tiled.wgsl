// matmul_tiled: C[r,m,n] = Σ_k op(A)[r,m,k] · op(B)[r,k,n]   (r: run)
//
//   A  [m, k], or [k, m] if TA; with ONES_M op(A) has one row more than is stored, of ones
//   B  [k, n], or [n, k] if TB; with ONES_K B has one row more, [k + 1, n], added to every row of C
//   C  [m, n], after the epilogue; of a convolution stored [n, m]
//
// For hardware. A workgroup owns TILE_M x TILE_N of C and goes through k TILE_K at a time: its threads copy a block
// of each operand to workgroup memory, four neighbours at once, and then multiply; while they do, the next block is
// on its way. A thread owns QUADS_M x QUADS_N quads of 4 x 4 of C: a value read from far away serves a tile, and a word
// of four read from workgroup memory a row or column of quads, while the sums stay in registers. Where there are few
// rows and columns, the threads are SLICES times as many, each slice of them takes its share of a block's k, and a
// tree adds what they have: long sums are then short.
//
// In workgroup memory a row is a k, however operands are stored. Indices are clamped to the operand and what lies past the
// end of k is 0, so no thread leaves before a barrier. Grid: x column tiles, y row tiles, z runs.
//
// Of images, blocks of pixels that no row of the tile has lit are passed over.
//
// The constants below are one tile of many: kernels/src/matmul/tile.rs has the list, and writes them. A line that ends in
// [each X Y] stands for as many lines as there are of X and Y, with their numbers in place of the letters, since the sums
// would lie in memory if a compiler did not unroll a loop over them; and so do lines from [repeat X] to [end]. K: steps of a
// block; H and G: quads of a thread, down and across;
// I and J: words of four that a thread copies of A's block and of B's.
//
// Storing: a number at a time, always right; or four, where the view's offset, its step stride and the length of C's stored
// rows are multiples of 4.
// Followed by matmul_operands.wgsl, and columns.wgsl, or for convolutions patches.wgsl. Launched, costed and held to its oracle by
// kernels/src/matmul.rs and conv.rs.

override IMAGES: bool;
// Whether there are more than TERMS of k: what so many add up to is then set aside, so that no
// long sum swallows the next.
override LONG: bool;

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
// Words of four of a row or column, as they are loaded where neighbours are k; and in the blocks of A and B, whose rows are
// padded so that threads which write at once write to different banks.
const K_WORDS: u32 = TILE_K / 4u;
const PADDED: u32 = max(8u / K_WORDS, 1u);
const ROW_A: u32 = TILE_M / 4u | PADDED;
const ROW_B: u32 = TILE_N / 4u | PADDED;
const STEPS: u32 = TILE_K / SLICES;
// The blocks of A and B: a row for each k, which a step of all slices takes next to one another. Their first index is a number in
// the text, and what the others are clamped to is found once, so that no load has to compute where it goes.
var<workgroup> block_a: array<array<array<vec4<f32>, ROW_A>, SLICES>, STEPS>;
var<workgroup> block_b: array<array<array<vec4<f32>, ROW_B>, SLICES>, STEPS>;

// Whether a block of images has a pixel lit: of this block, and of the next.
var<workgroup> lit: array<atomic<u32>, 2>;

// Stand for numbers in lines that end in [each ..]; as they are, the text computes with one quad a thread.
const K: u32 = 0u;
const H: u32 = 0u;
const G: u32 = 0u;
const I: u32 = 0u;
const J: u32 = 0u;

// Which word a thread copies as its `number`th, of lines of so many words: the line, and the word in it. Neighbouring
// threads take neighbours in memory, and one thread, where that is possible, the same word of several lines.
fn word_of(thread: u32, number: u32, words: u32) -> vec2<u32> {
    if THREADS % words == 0u {
        return vec2(thread / words + number * (THREADS / words), thread % words);
    }
    let i = thread + number * THREADS;
    return vec2(i / words, i % words);
}

fn word_of_a(start: u32, row: u32, k: u32, thread: u32, number: u32) -> vec4<f32> {
    if TA {
        let word = word_of(thread, number, TILE_M / 4u);
        return four_of_a(start, row + word.y * 4u, k + word.x);
    }
    let word = word_of(thread, number, K_WORDS);
    return four_of_a(start, row + word.x, k + word.y * 4u);
}
fn word_of_b(start: u32, k: u32, col: u32, thread: u32, number: u32) -> vec4<f32> {
    if TB {
        let word = word_of(thread, number, K_WORDS);
        return four_of_b(start, k + word.y * 4u, col + word.x);
    }
    let word = word_of(thread, number, TILE_N / 4u);
    return four_of_b(start, k + word.x, col + word.y * 4u);
}

// Which row of a block is a k: those that are loaded together are K_WORDS rows apart, so that it is neighbours whom
// neighbouring threads write. (Any order of the terms is right that is the same in both blocks.)
fn row_of_k(k: u32) -> u32 {
    return k % 4u * K_WORDS + k / 4u;
}

fn put_number_a(r: u32, i: u32, x: f32) {
    block_a[r / SLICES][r % SLICES][i / 4u][i % 4u] = x;
}
fn put_a(thread: u32, number: u32, x: vec4<f32>) {
    if TILE_M * K_WORDS % THREADS != 0u && thread + number * THREADS >= TILE_M * K_WORDS {
        return;
    }
    if TA {
        let word = word_of(thread, number, TILE_M / 4u);
        let r = row_of_k(word.x);
        block_a[r / SLICES][r % SLICES][word.y] = x;
        return;
    }
    let word = word_of(thread, number, K_WORDS);
    put_number_a(word.y, word.x, x.x);
    put_number_a(word.y + K_WORDS, word.x, x.y);
    put_number_a(word.y + 2u * K_WORDS, word.x, x.z);
    put_number_a(word.y + 3u * K_WORDS, word.x, x.w);
}
fn put_number_b(r: u32, i: u32, x: f32) {
    block_b[r / SLICES][r % SLICES][i / 4u][i % 4u] = x;
}
fn put_b(thread: u32, number: u32, x: vec4<f32>) {
    if TILE_N * K_WORDS % THREADS != 0u && thread + number * THREADS >= TILE_N * K_WORDS {
        return;
    }
    if !TB {
        let word = word_of(thread, number, TILE_N / 4u);
        let r = row_of_k(word.x);
        block_b[r / SLICES][r % SLICES][word.y] = x;
        return;
    }
    let word = word_of(thread, number, K_WORDS);
    put_number_b(word.y, word.x, x.x);
    put_number_b(word.y + K_WORDS, word.x, x.y);
    put_number_b(word.y + 2u * K_WORDS, word.x, x.z);
    put_number_b(word.y + 3u * K_WORDS, word.x, x.w);
}

// Notes whether a word of a block has a pixel lit, and that nothing is known of the next block.
fn see(turn: u32, x: vec4<f32>, thread: u32) {
    if any(x != vec4<f32>()) {
        atomicStore(&lit[turn], 1u);
    }
    if thread == 0u {
        atomicStore(&lit[1u - turn], 0u);
    }
}

// Adds the product of a column of four and a row of four.
fn add(sums: mat4x4<f32>, x: vec4<f32>, y: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(sums[0] + x.x * y, sums[1] + x.y * y, sums[2] + x.z * y, sums[3] + x.w * y);
}

// Where slices hand on what they have: workgroup memory again.
fn put_joined(i: u32, x: vec4<f32>) {
    block_b[i / (ROW_B * SLICES)][i / ROW_B % SLICES][i % ROW_B] = x;
}
fn joined(i: u32) -> vec4<f32> {
    return block_b[i / (ROW_B * SLICES)][i / ROW_B % SLICES][i % ROW_B];
}
fn put_quad(owner: u32, quad: mat4x4<f32>) {
    put_joined(owner * 4u, quad[0]);
    put_joined(owner * 4u + 1u, quad[1]);
    put_joined(owner * 4u + 2u, quad[2]);
    put_joined(owner * 4u + 3u, quad[3]);
}
fn joined_quad(owner: u32) -> mat4x4<f32> {
    return mat4x4(joined(owner * 4u), joined(owner * 4u + 1u), joined(owner * 4u + 2u), joined(owner * 4u + 3u));
}

// Adds up a quad of all slices, and stores it and its neighbours, of which the first begins at `row` and `col`. The upper half of the
// slices hand what they have to the lower half, until one has all; then all threads store.
fn join(sums: mat4x4<f32>, row: u32, col: u32, run: u32, thread: u32) {
    let slice = thread / (ACROSS * DOWN);
    var sum = sums;
    for (var half = SLICES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if slice >= half && slice < 2u * half {
            put_quad(thread - half * ACROSS * DOWN, sum);
        }
        workgroupBarrier();
        if slice < half {
            sum += joined_quad(thread);
        }
    }
    workgroupBarrier();
    if slice == 0u {
        put_quad(thread, sum);
    }
    workgroupBarrier();
    store_joined(row, col, run, thread);
}

// Stores a quad; and those that slices have joined in workgroup memory.
// [store]
fn store(row: u32, col: u32, run: u32, sums: mat4x4<f32>) {
    store_row(row, col, run, sums[0]);
    store_row(row + 1u, col, run, sums[1]);
    store_row(row + 2u, col, run, sums[2]);
    store_row(row + 3u, col, run, sums[3]);
}
fn store_row(row: u32, col: u32, run: u32, sums: vec4<f32>) {
    put_out(row, col, run, sums.x);
    put_out(row, col + 1u, run, sums.y);
    put_out(row, col + 2u, run, sums.z);
    put_out(row, col + 3u, run, sums.w);
}
fn store_joined(row: u32, col: u32, run: u32, thread: u32) {
    for (var i = thread; i < ACROSS * DOWN * 16u; i += THREADS) {
        let quad = i / 16u;
        put_out(row + quad / ACROSS * 4u + i / 4u % 4u, col + quad % ACROSS * 4u + i % 4u, run, joined(i / 4u)[i % 4u]);
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
// [/store]

/*
// [store by four]
fn store(row: u32, col: u32, run: u32, sums: mat4x4<f32>) {
    put_out(row, col, run, sums[0]);
    put_out(row + 1u, col, run, sums[1]);
    put_out(row + 2u, col, run, sums[2]);
    put_out(row + 3u, col, run, sums[3]);
}
fn store_joined(row: u32, col: u32, run: u32, thread: u32) {
    for (var i = thread; i < ACROSS * DOWN * 4u; i += THREADS) {
        let quad = i / 4u;
        put_out(row + quad / ACROSS * 4u + i % 4u, col + quad % ACROSS * 4u, run, joined(i));
    }
}
fn put_out(row: u32, col: u32, run: u32, sums: vec4<f32>) {
    let n = params.size.y;
    if row < params.size.x && col < n {
        var values = sums;
        if ONES_K {
            values += load_b(base(2u, run), depth(), col, n);
        }
        let i = row * n + col;
        out[(base(0u, run) + i) / 4u] = epilogue(values, i, run);
    }
}
// [/store by four]
// [store places by four]
fn store(row: u32, col: u32, run: u32, sums: mat4x4<f32>) {
    let columns = transpose(sums);
    put_out(row, col, run, columns[0]);
    put_out(row, col + 1u, run, columns[1]);
    put_out(row, col + 2u, run, columns[2]);
    put_out(row, col + 3u, run, columns[3]);
}
fn store_joined(row: u32, col: u32, run: u32, thread: u32) {
    for (var i = thread; i < ACROSS * DOWN * 4u; i += THREADS) {
        let quad = i / 4u;
        let c = i % 4u;
        let rows = joined_quad(quad);
        let four = vec4(rows[0][c], rows[1][c], rows[2][c], rows[3][c]);
        put_out(row + quad / ACROSS * 4u, col + quad % ACROSS * 4u + c, run, four);
    }
}
fn put_out(row: u32, col: u32, run: u32, sums: vec4<f32>) {
    let m = params.size.x;
    let n = params.size.y;
    if row < m && col < n && has_place(col) {
        let i = stored_at(row, col, m, n);
        out[(base(0u, run) + i) / 4u] = epilogue(sums, i, run);
    }
}
// [/store places by four]
*/

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

    var total_H_G = mat4x4<f32>(); // [each H G]
    var sum_H_G = mat4x4<f32>(); // [each H G]
    var a_I = word_of_a(from_a, row, 0u, thread, I); // [each I]
    var b_J = word_of_b(from_b, 0u, col, thread, J); // [each J]
    for (var k = TILE_K; k < depth + TILE_K; k += TILE_K) {
        workgroupBarrier();
        put_a(thread, I, a_I); // [each I]
        put_b(thread, J, b_J); // [each J]
        let turn = k / TILE_K % 2u;
        if IMAGES {
            see(turn, a_I, thread); // [each I]
        }
        workgroupBarrier();
        if k < depth {
            a_I = word_of_a(from_a, row, k, thread, I); // [each I]
            b_J = word_of_b(from_b, k, col, thread, J); // [each J]
        }
        if !IMAGES || atomicLoad(&lit[turn]) != 0u {
            // [repeat K]
            let x_K_H = block_a[K][slice][down + H * DOWN]; // [each H]
            let y_K_G = block_b[K][slice][across + G * ACROSS]; // [each G]
            sum_H_G = add(sum_H_G, x_K_H, y_K_G); // [each H G]
            // [end]
        }
        if LONG && k % TERMS == 0u {
            total_H_G += sum_H_G; // [each H G]
            sum_H_G = mat4x4<f32>(); // [each H G]
        }
    }
    if LONG {
        sum_H_G += total_H_G; // [each H G]
    }

    if SLICES == 1u {
        store(row + (down + H * DOWN) * 4u, col + (across + G * ACROSS) * 4u, run, sum_H_G); // [each H G]
        return;
    }
    join(sum_H_G, row + H * DOWN * 4u, col + G * ACROSS * 4u, run, thread); // [each H G]
}
