// advance: step += 1, the last launch of every replay; then where the operands that move with the step lie next.
//
// One thread: few operands move, and every other kernel would pay for a division an operand and thread.
// Stands alone: no prelude, no epilogue. Composed and launched by kernels/src/gpu.rs.

struct Moving {
    word: u32,    // of all launches' parameters: where the operand begins
    offset: u32,  // where it begins at step 0
    stride: u32,  // from one row to the next
    every: u32,   // steps that see the same row
    period: u32,  // rows before the first one comes again
}

struct Step {
    number: u32,
    moving: u32,  // operands that move
}

@group(0) @binding(0) var<storage, read_write> step: Step;
@group(0) @binding(1) var<storage, read_write> params: array<u32>;
@group(0) @binding(2) var<storage, read> moving: array<Moving>;

@compute @workgroup_size(1)
fn main() {
    step.number += 1u;
    for (var i = 0u; i < step.moving; i++) {
        let m = moving[i];
        params[m.word] = m.offset + step.number / m.every % m.period * m.stride;
    }
}
