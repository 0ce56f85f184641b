// scatter_add_rows: out[t, c] = Σ_{b: index[b] = t} x[b, c]
//
// One thread an element of the result, which looks through all b: batches are short, the order of the
// sum is fixed, and no atomics are needed. Launched, costed and held to its oracle by
// kernels/src/scatter_add_rows.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read> index: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = (group.x + group.y * groups.x) * 256u + lane;
    let rows = params.size.x;
    let width = params.size.z;
    if i < params.size.y * width {
        let t = i / width;
        let column = base(1u, group.z) + i % width;
        let first = base(2u, group.z);
        var total = 0.0;
        for (var b = 0u; b < rows; b++) {
            if index[first + b] == t {
                total += x[column + b * width];
            }
        }
        out[base(0u, group.z) + i] = epilogue(total, i, group.z);
    }
}
