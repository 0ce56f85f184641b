// gather_pixels: out[b, p] = images[image[b], maps[which[b], p]] / 255, or 0 where the map is blank
//
// One thread a pixel. Images are bytes, four to a word, shared by all runs; a map says which pixel of
// the original stands at p: a permutation, or a rotation with blank corners. Launched, costed and held
// to its oracle by kernels/src/gather_pixels.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> images: array<u32>;
@group(0) @binding(4) var<storage, read> image: array<u32>;
@group(0) @binding(5) var<storage, read> maps: array<u32>;
@group(0) @binding(6) var<storage, read> which: array<u32>;

const BLANK = 0xffffffffu;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = (group.x + group.y * groups.x) * 256u + lane;
    let run = group.z;
    let width = params.size.y;
    if i < params.size.x * width {
        let b = i / width;
        let p = maps[base(3u, run) + which[base(4u, run) + b] * width + i % width];
        // A blank pixel still reads somewhere that exists: pixel 0.
        let byte = base(1u, run) * 4u + image[base(2u, run) + b] * width + select(p, 0u, p == BLANK);
        let level = f32(images[byte / 4u] >> (byte % 4u * 8u) & 255u) / 255.0;
        out[base(0u, run) + i] = epilogue(select(level, 0.0, p == BLANK), i, run);
    }
}
