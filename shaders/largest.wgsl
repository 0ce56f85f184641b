// largest: out[row, c] = 1 where x[row, c] is one of the row's `count` largest entries, else 0
//
// One thread an entry, which counts those that come before it: larger ones, and equal ones to its
// left. Rows are a few dozen to a thousand entries. Entries are compared by their bits as whole
// numbers, since a compiler may assume that no float is NaN; NaN neither counts nor is chosen, and
// -0 equals 0. Launched, costed and held to its oracle by kernels/src/largest.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;

// A whole number that is larger where the float is: above 0, and 0 for NaN.
fn key_of(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    let key = select(bits | 0x80000000u, ~bits, bits > 0x80000000u);
    return select(key, 0u, (bits & 0x7fffffffu) > 0x7f800000u);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = (group.x + group.y * groups.x) * 256u + lane;
    let width = params.size.y;
    if i < params.size.x * width {
        let first = base(1u, group.z) + i / width * width;
        let own = key_of(x[first + i % width]);
        var before = 0u;
        for (var c = 0u; c < width; c++) {
            let other = key_of(x[first + c]);
            before += select(0u, 1u, other > own || (other == own && c < i % width));
        }
        let chosen = before < params.size.z && own != 0u;
        out[base(0u, group.z) + i] = epilogue(select(0.0, 1.0, chosen), i, group.z);
    }
}
