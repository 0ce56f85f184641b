// The mean of a pixel and its eight neighbours; those past an edge are the edge's.
struct Image { size: vec2<u32> }

@group(0) @binding(0) var<uniform> image: Image;
@group(0) @binding(1) var<storage, read> pixels: array<f32>;
@group(0) @binding(2) var<storage, read_write> blurred: array<f32>;

fn at(place: vec2<i32>) -> f32 {
    let inside = vec2<u32>(clamp(place, vec2<i32>(0), vec2<i32>(image.size) - 1));
    return pixels[inside.y * image.size.x + inside.x];
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if any(id.xy >= image.size) { return; }
    var sum = 0.0;
    for (var y = -1; y <= 1; y++) {
        for (var x = -1; x <= 1; x++) { sum += at(vec2<i32>(id.xy) + vec2(x, y)); }
    }
    blurred[id.y * image.size.x + id.x] = sum / 9.0;
}
