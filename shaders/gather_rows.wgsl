// gather_rows: out[b, c] = table[index[b], c]
//
// One thread an element. Launched, costed and held to its oracle by kernels/src/gather_rows.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> table: array<f32>;
@group(0) @binding(4) var<storage, read> index: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = (group.x + group.y * groups.x) * 256u + lane;
    let width = params.size.y;
    if i < params.size.x * width {
        let row = index[base(2u, group.z) + i / width];
        let value = table[base(1u, group.z) + row * width + i % width];
        out[base(0u, group.z) + i] = epilogue(value, i, group.z);
    }
}
