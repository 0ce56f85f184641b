// gather_rows_by_four: out[b, c .. c + 4] = table[index[b], c .. c + 4]   (c: a multiple of four)
//
// One thread four elements; as `gather_rows`, for software adapters, to which a load or a store is a loop over the lanes, and
// a division by what is no constant another. Rows, and where operands begin, are multiples of four. Launched, costed and held
// to its oracle by kernels/src/gather_rows.rs.

@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> index: array<u32>;

override WIDTH: u32;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = 4u * ((group.x + group.y * groups.x) * 256u + lane);
    if i < params.size.x * WIDTH {
        let row = index[base(2u, group.z) + i / WIDTH];
        let values = table[(base(1u, group.z) + row * WIDTH + i % WIDTH) / 4u];
        out[(base(0u, group.z) + i) / 4u] = epilogue(values, i, group.z);
    }
}
