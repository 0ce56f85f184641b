// rescale: out[row, :] = (x[row, :] - min) / (max - min), and 0 where a row is all the same
//
// One workgroup a row: each thread looks at every 64th element, then a tree in workgroup memory finds
// the extremes. Launched, costed and held to its oracle by kernels/src/rescale.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;

var<workgroup> low: array<f32, 64>;
var<workgroup> high: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let row = group.x + group.y * groups.x;
    let width = select(0u, params.size.y, row < params.size.x);
    let first = base(1u, group.z) + row * width;
    low[lane] = x[first];
    high[lane] = x[first];
    for (var c = lane; c < width; c += 64u) {
        low[lane] = min(low[lane], x[first + c]);
        high[lane] = max(high[lane], x[first + c]);
    }
    for (var half = 32u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            low[lane] = min(low[lane], low[lane + half]);
            high[lane] = max(high[lane], high[lane + half]);
        }
    }
    workgroupBarrier();
    let range = high[0] - low[0];
    for (var c = lane; c < width; c += 64u) {
        let i = row * width + c;
        let value = select(0.0, (x[first + c] - low[0]) / range, range > 0.0);
        out[base(0u, group.z) + i] = epilogue(value, i, group.z);
    }
}
