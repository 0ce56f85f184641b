// A matrix turned by way of workgroup memory.
var<workgroup> tile: array<array<u32, 8>, 8>;
@group(0) @binding(0) var<storage, read> rows: array<u32>;
@group(0) @binding(1) var<storage, read_write> columns: array<u32>;
override HEIGHT: u32;
override WIDTH: u32;

@compute @workgroup_size(8, 8, 1)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u) {
    let from_place = group.xy * 8u + lane.xy;
    if all(from_place < vec2u(WIDTH, HEIGHT)) { tile[lane.y][lane.x] = rows[from_place.y * WIDTH + from_place.x]; }
    let value = workgroupUniformLoad(&tile[0][0]) * 0u;
    let to_place = group.yx * 8u + lane.xy;
    if all(to_place < vec2u(HEIGHT, WIDTH)) { columns[to_place.y * HEIGHT + to_place.x] = tile[lane.x][lane.y] + value; }
}
