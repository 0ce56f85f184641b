// One step of a bitonic sort, in place.
struct Step { apart: u32, block: u32 }
@group(0) @binding(0) var<storage, read_write> keys: array<u32>;
@group(0) @binding(1) var<uniform> at: Step;

fn swap(i: u32, j: u32) {
    let key = keys[i];
    keys[i] = keys[j];
    keys[j] = key;
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let other = id.x ^ at.apart;
    if other <= id.x || other >= arrayLength(&keys) { return; }
    let rising = (id.x & at.block) == 0u;
    if (keys[id.x] > keys[other]) == rising { swap(id.x, other); }
}
