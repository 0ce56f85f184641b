// How many numbers fall into each of sixteen bins, counted per workgroup first.
@group(0) @binding(0) var<storage, read> values: array<u32>;
@group(0) @binding(1) var<storage, read_write> bins: array<atomic<u32>, 16>;
@group(0) @binding(2) var<storage, read_write> seen: atomic<u32>;

var<workgroup> own: array<atomic<u32>, 16>;

@compute @workgroup_size(128)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
    if lane < 16u { atomicStore(&own[lane], 0u); }
    workgroupBarrier();
    if id.x < arrayLength(&values) {
        atomicAdd(&own[values[id.x] % 16u], 1u);
        atomicMax(&seen, arrayLength(&values));
    }
    workgroupBarrier();
    if lane < 16u { atomicAdd(&bins[lane], atomicLoad(&own[lane])); }
}
