// sum_wide: out[outer, inner] = Σ_mid x[outer, mid, inner], for long sums
//
// A workgroup shares COLUMNS sums that lie side by side, THREADS / COLUMNS threads each: one sum
// where inner is 1. A thread adds every so many-th term, four at a time so that their loads are
// under way together: 16 times four to one another, and 16 of those, before they meet the others,
// so that no long sum swallows them. Then a tree in workgroup memory adds what the threads have,
// in an order that depends on the shape alone. Launched, costed and held to its oracle by
// kernels/src/sum.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;

override COLUMNS: u32;
override THREADS: u32;

var<workgroup> partial: array<f32, 256>;

// Term `m` of the sum that begins at `first`, 0 behind its last.
fn term(first: u32, m: u32) -> f32 {
    let last = params.size.y - 1u;
    return select(0.0, x[first + min(m, last) * params.size.z], m <= last);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let outer = params.size.x;
    let inner = params.size.z;
    let columns = (inner + COLUMNS - 1u) / COLUMNS;
    let number = group.x + group.y * groups.x;
    let column = number % columns * COLUMNS + lane % COLUMNS;
    let row = number / columns;
    let inside = row < outer && column < inner;
    let first = base(1u, group.z) + select(0u, row * params.size.y * inner + column, inside);
    let apart = THREADS / COLUMNS;
    var total = vec4(0.0);
    var block = vec4(0.0);
    var part = vec4(0.0);
    var terms = 0u;
    for (var m = lane / COLUMNS; m < params.size.y; m += 4u * apart) {
        part += vec4(term(first, m), term(first, m + apart), term(first, m + 2u * apart), term(first, m + 3u * apart));
        terms += 1u;
        if terms % 16u == 0u {
            block += part;
            part = vec4(0.0);
        }
        if terms % 256u == 0u {
            total += block;
            block = vec4(0.0);
        }
    }
    total += block + part;
    partial[lane] = (total.x + total.y) + (total.z + total.w);
    for (var half = THREADS / 2u; half >= COLUMNS; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            partial[lane] += partial[lane + half];
        }
    }
    if lane < COLUMNS && inside {
        let i = row * inner + column;
        out[base(0u, group.z) + i] = epilogue(partial[lane], i, group.z);
    }
}
