// cross_entropy: out[row] = ln Σ_c exp(x[row, c]) - x[row, label[row]]
//
// One thread a row, around the row's maximum. Its gradient is softmax minus one-hot, which the tape
// composes. Launched, costed and held to its oracle by kernels/src/cross_entropy.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read> label: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let row = (group.x + group.y * groups.x) * 64u + lane;
    let classes = params.size.y;
    if row < params.size.x {
        let first = base(1u, group.z) + row * classes;
        var largest = x[first];
        for (var c = 1u; c < classes; c++) {
            largest = max(largest, x[first + c]);
        }
        var total = 0.0;
        for (var c = 0u; c < classes; c++) {
            total += exp(x[first + c] - largest);
        }
        let own = x[first + label[base(2u, group.z) + row]];
        out[base(0u, group.z) + row] = epilogue(log(total) - (own - largest), row, group.z);
    }
}
