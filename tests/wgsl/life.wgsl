// The game of life on a torus: what changes in a group of its own.
@group(0) @binding(0) var<uniform> size: vec2u;
@group(2) @binding(0) var<storage, read> now: array<u32>;
@group(2) @binding(3) var<storage, read_write> next: array<u32>;

fn cell(x: u32, y: u32) -> u32 { return now[(y % size.y) * size.x + x % size.x]; }

@compute @workgroup_size(8, 8)
fn step(@builtin(global_invocation_id) id: vec3u) {
    let x = id.x + size.x;
    let y = id.y + size.y;
    let around = cell(x - 1, y - 1) + cell(x, y - 1) + cell(x + 1, y - 1) + cell(x - 1, y) + cell(x + 1, y)
        + cell(x - 1, y + 1) + cell(x, y + 1) + cell(x + 1, y + 1);
    if id.x >= size.x || id.y >= size.y { return; }
    switch around {
        case 2u: { next[id.y * size.x + id.x] = cell(id.x, id.y); }
        case 3u: { next[id.y * size.x + id.x] = 1u; }
        default: { next[id.y * size.x + id.x] = 0u; }
    }
}
