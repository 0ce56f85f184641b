// matmul_row: C[r,m,n] = Σ_k op(A)[r,m,k] · op(B)[r,k,n]   (r: run), a row of C at a time
//
//   A  [m, k], or [k, m] if TA; with ONES_M op(A) has one row more than is stored, of ones
//   B  [k, n], or [n, k] if TB; with ONES_K B has one row more, [k + 1, n], added to every row of C
//   C  [m, n], after the epilogue; of a convolution stored [n, m]
//
// For hardware, and products of one row: all there is to do is to read B once. A workgroup owns COLUMNS of a row of C. Its threads
// stand in the order in which B lies, ACROSS of them by a stored row, each at four neighbours, and ask for many words before they
// need the first: if TB a row is a column of C, whose k they share; else it is a k, and DOWN of them share each sum. Then they
// add up what they have through workgroup memory. What lies past the end of k is 0. Grid: x columns, y rows, z runs.
//
// Followed by matmul_operands.wgsl, and columns.wgsl, or for convolutions patches.wgsl. Launched, costed and held to its oracle by
// kernels/src/matmul.rs and conv.rs.

const TILE_M: u32 = 1u;
const TILE_N: u32 = 32u;
const COLUMNS: u32 = TILE_N;
const ACROSS: u32 = 8u;
const DOWN: u32 = 32u;
const THREADS: u32 = ACROSS * DOWN;
// Sums of each four neighbours, by who shares them; then, of each column, those that are left: so many that all threads have one.
var<workgroup> fours: array<array<vec4<f32>, ACROSS>, DOWN>;
const SHARES: u32 = THREADS / COLUMNS;
var<workgroup> shares: array<array<f32, SHARES + 1u>, COLUMNS>;

// op(A)[row, k .. k + 4].
fn four_k_of_a(start: u32, row: u32, k: u32) -> vec4<f32> {
    if !TA {
        return four_of_a(start, row, k);
    }
    let first = row / 4u * 4u;
    let i = row % 4u;
    return vec4(four_of_a(start, first, k)[i], four_of_a(start, first, k + 1u)[i],
        four_of_a(start, first, k + 2u)[i], four_of_a(start, first, k + 3u)[i]);
}

// If TB: the products of k .. k + 4 in one column.
fn along_k(from_a: u32, from_b: u32, row: u32, col: u32, k: u32) -> vec4<f32> {
    return four_k_of_a(from_a, row, k) * four_of_b(from_b, k, col);
}

// Else: sums over k .. k + 4 in the columns col .. col + 4.
fn along_columns(from_a: u32, from_b: u32, row: u32, col: u32, k: u32) -> vec4<f32> {
    let x = four_k_of_a(from_a, row, k);
    return (x.x * four_of_b(from_b, k, col) + x.y * four_of_b(from_b, k + 1u, col))
        + (x.z * four_of_b(from_b, k + 2u, col) + x.w * four_of_b(from_b, k + 3u, col));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let run = tile.z;
    let row = tile.y;
    let col = tile_of_set(tile.x) * COLUMNS;
    let depth = depth();
    let from_a = base(1u, run) + first_term() * params.size.x;
    let from_b = base(2u, run);
    let across = thread % ACROSS;
    let down = thread / ACROSS;

    // Asked for first, needed last.
    let own_column = col + thread;
    var bias = 0.0;
    if ONES_K && thread < COLUMNS {
        bias = load_b(from_b, depth, own_column / 4u * 4u, params.size.y)[own_column % 4u];
    }
    // Eight words of B a turn. What TERMS of k add up to is set aside, so that no long sum
    // swallows the next.
    var total = vec4<f32>();
    var sum = vec4<f32>();
    if TB {
        let column = col + down;
        let next = 4u * ACROSS;
        for (var k = 4u * across; k < depth; k += 8u * next) {
            sum += ((along_k(from_a, from_b, row, column, k) + along_k(from_a, from_b, row, column, k + next))
                + (along_k(from_a, from_b, row, column, k + 2u * next) + along_k(from_a, from_b, row, column, k + 3u * next)))
                + ((along_k(from_a, from_b, row, column, k + 4u * next) + along_k(from_a, from_b, row, column, k + 5u * next))
                + (along_k(from_a, from_b, row, column, k + 6u * next) + along_k(from_a, from_b, row, column, k + 7u * next)));
            if k % TERMS >= TERMS - 8u * next {
                total += sum;
                sum = vec4<f32>();
            }
        }
        sum += total;
        shares[down][across] = (sum.x + sum.y) + (sum.z + sum.w);
    } else {
        let column = col + 4u * across;
        let next = 4u * DOWN;
        for (var k = 4u * down; k < depth; k += 2u * next) {
            sum += along_columns(from_a, from_b, row, column, k) + along_columns(from_a, from_b, row, column, k + next);
            if k % TERMS >= TERMS - 2u * next {
                total += sum;
                sum = vec4<f32>();
            }
        }
        fours[down][across] = sum + total;
        workgroupBarrier();
        let c = thread % COLUMNS;
        let share = thread / COLUMNS;
        var part = 0.0;
        for (var i = share; i < DOWN; i += SHARES) {
            part += fours[i][c / 4u][c % 4u];
        }
        shares[c][share] = part;
    }
    workgroupBarrier();

    if thread < COLUMNS && own_column < params.size.y && has_place(own_column) {
        var value = 0.0;
        for (var i = 0u; i < SHARES; i++) {
            value += shares[thread][i];
        }
        let i = stored_at(row, own_column, params.size.x, params.size.y);
        out[base(0u, run) + i] = epilogue(value + bias, i, run);
    }
}
