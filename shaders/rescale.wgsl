// rescale: out[row, :] = (x[row, :] - min) / (max - min), and 0 where a row is all the same
//
// One workgroup a row: each thread looks at every 64th element, then a tree in workgroup memory
// finds the extremes: among bits as whole numbers, since a compiler may assume that no float is
// NaN or infinite. A row that holds either is NaN throughout. Launched, costed and held to its
// oracle by kernels/src/rescale.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;

var<workgroup> low: array<u32, 64>;
var<workgroup> high: array<u32, 64>;

const NAN: u32 = 0x7fc00000u;

// A whole number that is larger where the float is: above 0, and the largest one for NaN.
fn key_of(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    let key = select(bits | 0x80000000u, ~bits, bits > 0x80000000u);
    return select(key, 0xffffffffu, (bits & 0x7fffffffu) > 0x7f800000u);
}

// The float of a key.
fn value_of(key: u32) -> f32 {
    return bitcast<f32>(select(~key, key & 0x7fffffffu, key >= 0x80000000u));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let row = group.x + group.y * groups.x;
    let width = select(0u, params.size.y, row < params.size.x);
    let first = base(1u, group.z) + row * width;
    low[lane] = key_of(x[first]);
    high[lane] = low[lane];
    for (var c = lane; c < width; c += 64u) {
        let key = key_of(x[first + c]);
        low[lane] = min(low[lane], key);
        high[lane] = max(high[lane], key);
    }
    for (var half = 32u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            low[lane] = min(low[lane], low[lane + half]);
            high[lane] = max(high[lane], high[lane + half]);
        }
    }
    workgroupBarrier();
    // Of inf and above, and of -inf.
    let broken = high[0] >= 0xff800000u || low[0] <= 0x007fffffu;
    let least = value_of(low[0]);
    let range = value_of(high[0]) - least;
    for (var c = lane; c < width; c += 64u) {
        let i = row * width + c;
        let value = select(0.0, (x[first + c] - least) / range, range > 0.0);
        out[base(0u, group.z) + i] = epilogue(bitcast<f32>(select(bitcast<u32>(value), NAN, broken)), i, group.z);
    }
}
