// argmax: out[row] = number of the largest entry of x[row, :], the first of equals
//
// One thread a row; a row with a NaN has no largest entry and gets the number of classes. NaN is told by
// its bits, since a compiler may assume that there is none. Launched, costed and held to its oracle by
// kernels/src/argmax.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let row = (group.x + group.y * groups.x) * 64u + lane;
    let classes = params.size.y;
    if row < params.size.x {
        let first = base(1u, group.z) + row * classes;
        var best = 0u;
        var broken = false;
        for (var c = 0u; c < classes; c++) {
            broken = broken || (bitcast<u32>(x[first + c]) & 0x7fffffffu) > 0x7f800000u;
            best = select(best, c, x[first + c] > x[first + best]);
        }
        out[base(0u, group.z) + row] = epilogue(f32(select(best, classes, broken)), row, group.z);
    }
}
