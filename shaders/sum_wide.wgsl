// sum_wide: out[outer] = Σ_mid x[outer, mid], for long rows
//
// One workgroup a row: each thread adds every 64th element, then a tree in workgroup memory adds the
// 64 partial sums, in an order that depends on the row's length alone. Launched, costed and held to
// its oracle by kernels/src/sum.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;

var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let row = group.x + group.y * groups.x;
    let mid = select(0u, params.size.y, row < params.size.x);
    let first = base(1u, group.z) + row * mid;
    var total = 0.0;
    for (var m = lane; m < mid; m += 64u) {
        total += x[first + m];
    }
    partial[lane] = total;
    for (var half = 32u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            partial[lane] += partial[lane + half];
        }
    }
    if lane == 0u && row < params.size.x {
        out[base(0u, group.z) + row] = epilogue(partial[0], row, group.z);
    }
}
