// gather_pixels_by_four: out[b, p .. p + 4] = images[image[b], maps[which[b], p .. p + 4]] / 255   (p: a multiple of four)
//
// One thread four pixels; as `gather_pixels`, for software adapters, to which a load or a store is a loop over the lanes, and
// a division by what is no constant another. Rows, and where output and maps begin, are multiples of four. Launched, costed and
// held to its oracle by kernels/src/gather_pixels.rs.

@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> images: array<u32>;
@group(0) @binding(4) var<storage, read> image: array<u32>;
@group(0) @binding(5) var<storage, read> maps: array<vec4<u32>>;
@group(0) @binding(6) var<storage, read> which: array<u32>;

override WIDTH: u32;

const BLANK = 0xffffffffu;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = 4u * ((group.x + group.y * groups.x) * 256u + lane);
    let run = group.z;
    if i < params.size.x * WIDTH {
        let b = i / WIDTH;
        let p = maps[(base(3u, run) + which[base(4u, run) + b] * WIDTH + i % WIDTH) / 4u];
        let first = base(1u, run) * 4u + image[base(2u, run) + b] * WIDTH;
        let levels = vec4(level(first, p.x), level(first, p.y), level(first, p.z), level(first, p.w));
        out[(base(0u, run) + i) / 4u] = epilogue(levels, i, run);
    }
}

// Of a pixel of the image that begins at byte `first`. A blank one still reads somewhere that exists: pixel 0.
fn level(first: u32, pixel: u32) -> f32 {
    let byte = first + select(pixel, 0u, pixel == BLANK);
    return select(f32(images[byte / 4u] >> (byte % 4u * 8u) & 255u) / 255.0, 0.0, pixel == BLANK);
}
