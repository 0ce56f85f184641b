// ceiling_fma: out[i] = Σ_j y_j after `rounds` times y_j = y_j · a + b, from y_j = x[i] + j   (j: 12 chains)
//
// Nothing but multiply-adds: how many an adapter can do. One thread an element. Each has twelve chains that do not wait
// for one another, three vectors of four, since a multiply-add takes a few cycles and one can begin in each; a and b come
// from a buffer, so nothing can be computed beforehand. Without epilogue: it measures the adapter, not a program. Launched,
// costed and held to its oracle by kernels/src/ceiling_fma.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read> factors: array<f32>;  // a, b

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = (group.x + group.y * groups.x) * 256u + lane;
    let a = vec4(factors[base(2u, group.z)]);
    let b = vec4(factors[base(2u, group.z) + 1u]);
    var p = vec4(x[base(1u, group.z) + i]) + vec4(0.0, 1.0, 2.0, 3.0);
    var q = p + vec4(4.0);
    var r = p + vec4(8.0);
    for (var n = 0u; n < params.size.y; n += 8u) {
        p = fma(p, a, b); q = fma(q, a, b); r = fma(r, a, b);
        p = fma(p, a, b); q = fma(q, a, b); r = fma(r, a, b);
        p = fma(p, a, b); q = fma(q, a, b); r = fma(r, a, b);
        p = fma(p, a, b); q = fma(q, a, b); r = fma(r, a, b);
        p = fma(p, a, b); q = fma(q, a, b); r = fma(r, a, b);
        p = fma(p, a, b); q = fma(q, a, b); r = fma(r, a, b);
        p = fma(p, a, b); q = fma(q, a, b); r = fma(r, a, b);
        p = fma(p, a, b); q = fma(q, a, b); r = fma(r, a, b);
    }
    if i < params.size.x {
        out[base(0u, group.z) + i] = dot(p + q + r, vec4(1.0));
    }
}
