// Steps of each number until it is 1, in place.
@group(0) @binding(0) var<storage, read_write> v_indices: array<u32>;

fn steps(start: u32) -> u32 {
    var n = start;
    var i = 0u;
    loop {
        if n <= 1u { break; }
        if n % 2u == 0u { n /= 2u; } else { n = 3u * n + 1u; }
        i += 1u;
    }
    return i;
}

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    v_indices[id.x] = steps(v_indices[id.x]);
}
