// prelude: stands before every kernel. Says where operands lie.
//
// A view is where an operand begins at this step, in elements (images: in words of four bytes), and how that
// moves with the run. What moves with the step is written by advance.wgsl. Composed by kernels/src/gpu.rs.

struct View {
    offset: u32,
    run_stride: u32,   // 0: the same for all runs
    apart: u32,        // from one to the next of those that are computed abreast; 0: the same for all
    pad: u32,
}

struct Params {
    size: vec4<u32>,
    more: vec4<u32>,
    views: array<View, 12>,  // 0: the output; then the kernel's inputs; then the epilogue's
}

@group(0) @binding(1) var<uniform> params: Params;

// How many launches in one: each run is that many to a kernel.
override ABREAST: u32 = 1u;

fn base(view: u32, run: u32) -> u32 {
    let v = params.views[view];
    return v.offset + run / ABREAST * v.run_stride + run % ABREAST * v.apart;
}

// Where a mirror (see kernels/src/mirror.rs) keeps number `i` of its buffer, one a texel, or four.
fn texel(i: u32) -> vec2<u32> {
    return vec2(i % 4096u, i / 4096u);
}
fn texel_of_four(i: u32) -> vec2<u32> {
    return vec2(i % 4096u / 4u, i / 4096u);
}
