enable f16;
diagnostic(off, derivative_uniformity);
// Numbers of 16 bits.
@group(0) @binding(0) var<storage, read> x: array<f16>;
@group(0) @binding(1) var<storage, read_write> y: array<f16>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x < arrayLength(&y) { y[id.x] = x[id.x] * 0.5h + 1.0h; }
}
