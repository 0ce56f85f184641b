// Particles that fly towards the middle of all others, no faster than a limit.
struct Particle { position: vec2f, velocity: vec2f }
struct Rules { delta: f32, pull: f32, limit: f32 }

@binding(0) @group(0) var<uniform> rules: Rules;
@binding(1) @group(0) var<storage, read> before: array<Particle>;
@binding(2) @group(0) var<storage, read_write> after: array<Particle>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let count = arrayLength(&before);
    let index = id.x;
    if index >= count { return; }
    var middle = vec2f();
    for (var i = 0u; i < count; i++) {
        if i != index { middle += before[i].position; }
    }
    middle /= f32(count - 1u);
    var velocity = before[index].velocity + (middle - before[index].position) * rules.pull;
    velocity = normalize(velocity) * clamp(length(velocity), 0.0, rules.limit);
    after[index] = Particle(before[index].position + velocity * rules.delta, velocity);
}
