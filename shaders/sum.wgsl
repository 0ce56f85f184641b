// sum: out[outer, inner] = Σ_mid x[outer, mid, inner]
//
// One thread a sum; neighbouring threads read neighbouring elements where inner > 1. 128 terms are
// added to one another before they meet the others, so that no long sum swallows them. For long
// sums of adjacent elements see sum_wide. Launched, costed and held to its oracle by
// kernels/src/sum.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let outer = params.size.x;
    let mid = params.size.y;
    let inner = params.size.z;
    let i = (group.x + group.y * groups.x) * 256u + lane;
    if i < outer * inner {
        let first = base(1u, group.z) + i / inner * mid * inner + i % inner;
        var total = 0.0;
        var part = 0.0;
        for (var m = 0u; m < mid; m++) {
            part += x[first + m * inner];
            if m % 128u == 127u {
                total += part;
                part = 0.0;
            }
        }
        total += part;
        out[base(0u, group.z) + i] = epilogue(total, i, group.z);
    }
}
