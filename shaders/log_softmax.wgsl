// log_softmax: out[row, c] = x[row, c] - ln Σ_c exp(x[row, c])
//
// One thread a row: heads have 10 to 100 classes. The row's maximum is taken out first, so that exp
// can't overflow, and not added to ln Σ again, which would be rounded to the maximum's step.
// Launched, costed and held to its oracle by kernels/src/log_softmax.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;

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
        let log_total = log(total);
        let to = base(0u, group.z);
        for (var c = 0u; c < classes; c++) {
            let i = row * classes + c;
            out[to + i] = epilogue(x[first + c] - largest - log_total, i, group.z);
        }
    }
}
