// count_correct: out[0] = number of rows whose largest entry of x[row, :] is at label[row]
//
// One workgroup a run. LANES threads share a row: each counts every 256th row, or, where rows are
// long and few, all of them look through one row after another; then a tree adds the counts.
// Entries are compared by their bits as whole numbers, since a compiler may assume that no float
// is NaN; a row with a NaN is never right. Launched, costed and held to its oracle by
// kernels/src/count_correct.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read> label: array<u32>;

override LANES: u32;

var<workgroup> keys: array<u32, 256>;
var<workgroup> places: array<u32, 256>;
var<workgroup> count: array<f32, 256>;

const NAN: u32 = 0xffffffffu;

// A whole number that is larger where the float is: above 0, and the largest one for NaN.
fn key_of(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    let key = select(bits | 0x80000000u, ~bits, bits > 0x80000000u);
    return select(key, NAN, (bits & 0x7fffffffu) > 0x7f800000u);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let rows = params.size.x;
    var right = 0.0;
    for (var start = 0u; start < rows; start += 256u / LANES) {
        let row = min(start + lane / LANES, rows - 1u);
        let first = base(1u, group.z) + row * params.size.y;
        var largest = 0u;
        var best = 0u;
        for (var c = lane % LANES; c < params.size.y; c += LANES) {
            let key = key_of(x[first + c]);
            best = select(best, c, key > largest);
            largest = max(largest, key);
        }
        if LANES > 1u {
            workgroupBarrier();
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
        let counts = lane % LANES == 0u && start + lane / LANES < rows;
        right += select(0.0, 1.0, counts && largest != NAN && best == label[base(2u, group.z) + row]);
    }
    count[lane] = right;
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            count[lane] += count[lane + half];
        }
    }
    if lane == 0u {
        out[base(0u, group.z)] = epilogue(count[0], 0u, group.z);
    }
}
