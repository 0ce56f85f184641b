// advance: step += 1, the last launch of every replay. Stands alone: no prelude, no epilogue.

@group(0) @binding(0) var<storage, read_write> step: array<u32>;

@compute @workgroup_size(1)
fn main() {
    step[0] += 1u;
}
