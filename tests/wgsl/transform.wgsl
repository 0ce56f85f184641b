// Points moved by a scene's matrices: structs in structs, and vectors of three numbers in sixteen bytes.
struct Light { colour: vec3f, strength: f32, at: array<vec4f, 2> }
struct Scene { turn: mat3x3f, shift: mat4x4f, scale: mat2x2f, light: Light, count: i32 }

@group(1) @binding(5) var<uniform> scene: Scene;
@group(1) @binding(6) var<storage, read> points: array<vec3f>;
@group(1) @binding(7) var<storage, read_write> moved: array<vec4f>;

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if i32(id.x) >= scene.count { return; }
    let turned = scene.turn * points[id.x];
    let place = scene.shift * vec4f(turned, 1.0);
    let scaled = vec4f(scene.scale * place.xy, place.zw);
    moved[id.x] = scaled + vec4f(scene.light.colour * scene.light.strength, scene.light.at[1].w);
}
