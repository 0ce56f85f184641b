// argmax: out[row] = number of the largest entry of x[row, :], the first of equals
//
// LANES threads share a row: one does it alone, or, where rows are long, a workgroup does, whose
// tree in workgroup memory finds the largest of what its threads have. Entries are compared by
// their bits as whole numbers, since a compiler may assume that no float is NaN: NaN counts as the
// largest entry, as in NumPy, and -0 as 0. Launched, costed and held to its oracle by
// kernels/src/argmax.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;

override LANES: u32;

var<workgroup> keys: array<u32, 64>;
var<workgroup> places: array<u32, 64>;

// A whole number that is larger where the float is: above 0, and the largest one for NaN.
fn key_of(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    let key = select(bits | 0x80000000u, ~bits, bits > 0x80000000u);
    return select(key, 0xffffffffu, (bits & 0x7fffffffu) > 0x7f800000u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let row = (group.x + group.y * groups.x) * (64u / LANES) + lane / LANES;
    let inside = row < params.size.x;
    let classes = select(0u, params.size.y, inside);
    let first = base(1u, group.z) + row * classes;
    var largest = 0u;
    var best = 0u;
    for (var c = lane % LANES; c < classes; c += LANES) {
        let key = key_of(x[first + c]);
        best = select(best, c, key > largest);
        largest = max(largest, key);
    }
    if LANES > 1u {
        keys[lane] = largest;
        places[lane] = best;
        for (var half = LANES / 2u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if lane < half {
                let other = keys[lane + half];
                let place = places[lane + half];
                if other > largest || (other == largest && place < best) {
                    largest = other;
                    best = place;
                }
                keys[lane] = largest;
                places[lane] = best;
            }
        }
    }
    if lane % LANES == 0u && inside {
        out[base(0u, group.z) + row] = epilogue(f32(best), row, group.z);
    }
}
