// A product in tiles of workgroup memory, whose edge can be overridden by a number.
@id(7) override TILE: u32 = 4;
struct Sizes { rows: u32, inner: u32, columns: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage> a: array<f32>;
@group(0) @binding(2) var<storage> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> product: array<f32>;

var<workgroup> tile_a: array<f32, TILE * TILE>;
var<workgroup> tile_b: array<f32, TILE * TILE>;

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_id) lane: vec3u) {
    var sum = 0.0;
    for (var first = 0u; first < sizes.inner; first += TILE) {
        let column = first + lane.x;
        let row = first + lane.y;
        let place = lane.y * TILE + lane.x;
        tile_a[place] = select(0.0, a[id.y * sizes.inner + column], id.y < sizes.rows && column < sizes.inner);
        tile_b[place] = select(0.0, b[row * sizes.columns + id.x], row < sizes.inner && id.x < sizes.columns);
        workgroupBarrier();
        for (var k = 0u; k < TILE; k++) { sum += tile_a[lane.y * TILE + k] * tile_b[k * TILE + lane.x]; }
        workgroupBarrier();
    }
    if id.y < sizes.rows && id.x < sizes.columns { product[id.y * sizes.columns + id.x] = sum; }
}
