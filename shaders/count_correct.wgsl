// count_correct: out[0] = number of rows whose largest entry of x[row, :] is at label[row]
//
// One workgroup a run: each thread counts every 256th row, then a tree adds the counts. A row with a
// NaN is never right. Launched, costed and held to its oracle by kernels/src/count_correct.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read> label: array<u32>;

var<workgroup> count: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let classes = params.size.y;
    var right = 0.0;
    for (var row = lane; row < params.size.x; row += 256u) {
        let first = base(1u, group.z) + row * classes;
        var largest = x[first];
        var best = 0u;
        var broken = false;
        for (var c = 0u; c < classes; c++) {
            let value = x[first + c];
            broken = broken || (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u;
            best = select(best, c, value > largest);
            largest = select(largest, value, value > largest);
        }
        right += select(0.0, 1.0, !broken && best == label[base(2u, group.z) + row]);
    }
    count[lane] = right;
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            count[lane] += count[lane + half];
        }
    }
    if lane == 0u {
        out[base(0u, group.z)] = epilogue(count[0], 0u, group.z);
    }
}
