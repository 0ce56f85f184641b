// Keeps the even numbers, in no order, and counts them.
struct Kept { count: atomic<u32>, @align(8) numbers: array<u32> }
@group(0) @binding(0) var<storage, read> numbers: array<u32>;
@group(0) @binding(1) var<storage, read_write> kept: Kept;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= arrayLength(&numbers) || numbers[id.x] % 2u == 1u { return; }
    kept.numbers[atomicAdd(&kept.count, 1u)] = numbers[id.x];
}
