// normal: out[i] = the i-th standard normal number of a key
//
// One thread four numbers, one in each quarter of the output: pcg4d (Jarzynski and Olano, 2020) hashes the
// thread's number and the key to four words, and each pair of words becomes two normals (Box and Muller). Logarithm, sine and cosine are written
// out, since the built-in ones may be off by 2^-11. Launched, costed and held to its oracle by
// kernels/src/normal.rs.

@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> key: array<u32>;

fn stir(w: vec4<u32>) -> vec4<u32> {
    var v = w;
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    return v;
}

fn pcg4d(w: vec4<u32>) -> vec4<u32> {
    let v = stir(w * 1664525u + 1013904223u);
    return stir(v ^ (v >> vec4(16u)));
}

// The natural logarithm of a positive normal number, around 1: ln m = 2 artanh s, with |s| < 0.172.
fn natural_log(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    let full = bitcast<f32>((bits & 0x7fffffu) | 0x3f800000u);
    let high = full > 1.41421356;
    let mantissa = select(full, 0.5 * full, high);
    let exponent = i32(bits >> 23u) - select(127, 126, high);
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let z = s * s;
    let series = 1.0 + z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0))));
    return f32(exponent) * 0.69314718 + 2.0 * s * series;
}

// Cosine and sine of `turns` whole turns: the nearest quarter turn, and a series for what is left.
fn cos_sin_turns(turns: f32) -> vec2<f32> {
    let quarter = i32(4.0 * turns + 0.5);
    let t = 6.28318531 * (turns - 0.25 * f32(quarter));
    let z = t * t;
    let sine = t * (1.0 - z * (1.0 / 6.0 - z * (1.0 / 120.0 - z * (1.0 / 5040.0 - z * (1.0 / 362880.0)))));
    let cosine = 1.0 - z * (1.0 / 2.0 - z * (1.0 / 24.0 - z * (1.0 / 720.0 - z * (1.0 / 40320.0))));
    let swapped = select(vec2(cosine, sine), vec2(sine, cosine), (quarter & 1) == 1);
    return swapped * vec2(select(1.0, -1.0, ((quarter + 1) & 2) == 2), select(1.0, -1.0, (quarter & 2) == 2));
}

fn pair(length_word: u32, angle_word: u32) -> vec2<f32> {
    let length = sqrt(-2.0 * natural_log(f32((length_word >> 8u) + 1u) / 16777216.0));
    return length * cos_sin_turns(f32(angle_word >> 8u) / 16777216.0);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let quad = (group.x + group.y * groups.x) * 256u + lane;
    let quads = params.size.y;
    if quad < quads {
        let at = base(1u, group.z);
        let words = pcg4d(vec4(quad, key[at], key[at + 1u], key[at + 2u]));
        let normals = vec4(pair(words.x, words.y), pair(words.z, words.w));
        for (var c = 0u; c < 4u; c++) {
            let i = quad + c * quads;
            if i < params.size.x {
                out[base(0u, group.z) + i] = epilogue(normals[c], i, group.z);
            }
        }
    }
}
