// log_softmax: out[row, c] = x[row, c] - ln Σ_c exp(x[row, c])
//
// LANES threads share a row: one does it alone (heads have 10 to 100 classes), or, where rows are
// long, a workgroup does, whose trees in workgroup memory join what its threads have. The row's
// maximum is taken out first, so that exp can't overflow, and not added to ln Σ again, which would
// be rounded to the maximum's step. A thread adds up to 128 terms to one another before they meet
// the others, so that no long sum swallows them.
//
// The maximum is found among bits as whole numbers, since a compiler may assume that no float is
// NaN or infinite. A row with NaN or inf, or of -inf alone, is NaN; -inf beside finite entries is
// the logarithm of 0. Launched, costed and held to its oracle by kernels/src/log_softmax.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;

override LANES: u32;

var<workgroup> keys: array<u32, 64>;
var<workgroup> sums: array<f32, 64>;

const NAN: u32 = 0x7fc00000u;
const MINUS_INF: u32 = 0xff800000u;

// A whole number that is larger where the float is: above 0, and the largest one for NaN.
fn key_of(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    let key = select(bits | 0x80000000u, ~bits, bits > 0x80000000u);
    return select(key, 0xffffffffu, (bits & 0x7fffffffu) > 0x7f800000u);
}

// The float of a key.
fn value_of(key: u32) -> f32 {
    return bitcast<f32>(select(~key, key & 0x7fffffffu, key >= 0x80000000u));
}

// The value, or a float of other bits.
fn or_bits(value: f32, other: u32, is_other: bool) -> f32 {
    return bitcast<f32>(select(bitcast<u32>(value), other, is_other));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let row = (group.x + group.y * groups.x) * (64u / LANES) + lane / LANES;
    let classes = select(0u, params.size.y, row < params.size.x);
    let first = base(1u, group.z) + row * classes;
    var key = 0u;
    for (var c = lane % LANES; c < classes; c += LANES) {
        key = max(key, key_of(x[first + c]));
    }
    if LANES > 1u {
        keys[lane] = key;
        for (var half = LANES / 2u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if lane < half {
                keys[lane] = max(keys[lane], keys[lane + half]);
            }
        }
        workgroupBarrier();
        key = keys[0];
    }
    // Of inf and above, and of -inf.
    let broken = key >= 0xff800000u || key <= 0x007fffffu;
    let largest = value_of(key);
    var total = 0.0;
    var part = 0.0;
    var terms = 0u;
    for (var c = lane % LANES; c < classes; c += LANES) {
        let value = x[first + c];
        part += select(exp(value - largest), 0.0, bitcast<u32>(value) == MINUS_INF);
        terms += 1u;
        if terms % 128u == 0u {
            total += part;
            part = 0.0;
        }
    }
    total += part;
    if LANES > 1u {
        sums[lane] = total;
        for (var half = LANES / 2u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if lane < half {
                sums[lane] += sums[lane + half];
            }
        }
        workgroupBarrier();
        total = sums[0];
    }
    let log_total = log(total);
    let to = base(0u, group.z);
    for (var c = lane % LANES; c < classes; c += LANES) {
        let i = row * classes + c;
        let value = x[first + c];
        let logarithm = or_bits(value - largest - log_total, MINUS_INF, bitcast<u32>(value) == MINUS_INF);
        out[to + i] = epilogue(or_bits(logarithm, NAN, broken), i, group.z);
    }
}
