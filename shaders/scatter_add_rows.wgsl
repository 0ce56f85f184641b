// scatter_add_rows: out[t, c] = Σ_{b: index[b] = t} x[b, c]
//
// LANES threads share an element of the result and look through all b: one for short batches; else
// every so many-th b each, and a tree in workgroup memory adds what they have. The order of the
// sum depends on the shape alone, and no atomics are needed. Of 128 b a thread adds the terms to
// one another before they meet the others, so that no long sum swallows them. Launched, costed and
// held to its oracle by kernels/src/scatter_add_rows.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read> index: array<u32>;

override LANES: u32;

var<workgroup> partial: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let elements = 256u / LANES;
    let i = (group.x + group.y * groups.x) * elements + lane % elements;
    let width = params.size.z;
    let inside = i < params.size.y * width;
    let rows = select(0u, params.size.x, inside);
    let t = i / width;
    let column = base(1u, group.z) + i % width;
    let first = base(2u, group.z);
    var total = 0.0;
    var part = 0.0;
    var terms = 0u;
    for (var b = lane / elements; b < rows; b += LANES) {
        if index[first + b] == t {
            part += x[column + b * width];
        }
        terms += 1u;
        if terms % 128u == 0u {
            total += part;
            part = 0.0;
        }
    }
    total += part;
    if LANES > 1u {
        partial[lane] = total;
        for (var half = LANES / 2u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if lane < half * elements {
                partial[lane] += partial[lane + half * elements];
            }
        }
        total = partial[lane];
    }
    if lane < elements && inside {
        out[base(0u, group.z) + i] = epilogue(total, i, group.z);
    }
}
