// prelude: stands before every kernel. Says which step of a program this is and where operands lie.
//
// A view is where an operand begins, in elements (images: in words of four bytes), and how that moves
// with the run and with the step. Composed by kernels/src/gpu.rs.

struct View {
    offset: u32,
    run_stride: u32,   // 0: the same for all runs
    step_stride: u32,  // 0: the same at every step
    every: u32,        // steps that see the same row
    period: u32,       // rows before the first one comes again
    pad0: u32,
    pad1: u32,
    pad2: u32,
}

struct Params {
    size: vec4<u32>,
    more: vec4<u32>,
    views: array<View, 12>,  // 0: the output; then the kernel's inputs; then the epilogue's
}

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<uniform> params: Params;

fn base(view: u32, run: u32) -> u32 {
    let v = params.views[view];
    return v.offset + run * v.run_stride + step[0] / v.every % v.period * v.step_stride;
}
