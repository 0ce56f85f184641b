// Sums up to each element in two passes: within blocks, then with what stands before a block.
const BLOCK = 256u;

@group(0) @binding(0) var<storage, read_write> data: array<u32>;
@group(0) @binding(1) var<storage, read_write> sums: array<u32>;

var<workgroup> block: array<u32, BLOCK>;

@compute @workgroup_size(256)
fn within(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lane: u32,
          @builtin(workgroup_id) group: vec3u) {
    let inside = id.x < arrayLength(&data);
    block[lane] = select(0u, data[id.x], inside);
    workgroupBarrier();
    for (var step = 1u; step < BLOCK; step *= 2u) {
        var before = 0u;
        if lane >= step { before = block[lane - step]; }
        workgroupBarrier();
        block[lane] += before;
        workgroupBarrier();
    }
    if inside { data[id.x] = block[lane]; }
    if lane == BLOCK - 1u { sums[group.x] = block[lane]; }
}

@compute @workgroup_size(256)
fn across(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
    if id.x >= arrayLength(&data) { return; }
    var before = 0u;
    for (var b = 0u; b < group.x; b++) { before += sums[b]; }
    data[id.x] += before;
}
