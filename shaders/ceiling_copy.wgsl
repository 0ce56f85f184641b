// ceiling_copy: out[i] = x[i], a vector at a time
//
// Nothing but a read and a write: how many bytes a second an adapter can move. One thread a vector, of four floats or, where
// an adapter moves words one by one, of four words of 64 bits; workgroups are whole, so that no branch stands before
// the load. Without epilogue: it measures the adapter, not a program. Launched, costed and held to its oracle by
// kernels/src/ceiling_copy.rs.

@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = (group.x + group.y * groups.x) * 256u + lane;
    // `base` divides by what a step needs; a copy that is measured has none.
    let shift = params.size.x;  // 2^shift floats a vector
    let first_out = (views.run_strides[0].x * group.z) >> shift;
    let first_x = (views.run_strides[0].y * group.z) >> shift;
    out[first_out + i] = x[first_x + i];
}
