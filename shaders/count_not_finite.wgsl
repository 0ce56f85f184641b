// count_not_finite: out[b] = number of entries of block b of x that are NaN or infinite
//
// One workgroup a block: each thread counts every 256th entry by the bits of its exponent, as a compiler may take it that no
// number is NaN or infinite; then a tree adds the counts. Launched, costed and held to its oracle by
// kernels/src/count_not_finite.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;

const EXPONENT: u32 = 0x7f800000u;

var<workgroup> count: array<u32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let block = group.x + group.y * groups.x;
    let first = block * params.size.y;
    let end = min(first + params.size.y, params.size.x);
    var found = 0u;
    for (var i = first + lane; i < end; i += 256u) {
        found += select(0u, 1u, (bitcast<u32>(x[base(1u, group.z) + i]) & EXPONENT) == EXPONENT);
    }
    count[lane] = found;
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            count[lane] += count[lane + half];
        }
    }
    if lane == 0u && first < params.size.x {
        out[base(0u, group.z) + block] = epilogue(f32(count[0]), block, group.z);
    }
}
