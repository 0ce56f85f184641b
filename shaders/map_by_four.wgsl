// map_by_four: out[i .. i + 4] = epilogue(i)   (i: every fourth element of a run)
//
// One thread four elements; as `map`, for software adapters, to which a load or a store is a loop over the lanes. The number
// of elements, and where they begin, are multiples of four. Launched, costed and held to its oracle by kernels/src/map.rs.

@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = 4u * ((group.x + group.y * groups.x) * 256u + lane);
    if i < params.size.x {
        out[(base(0u, group.z) + i) / 4u] = epilogue(vec4(0.0), i, group.z);
    }
}
