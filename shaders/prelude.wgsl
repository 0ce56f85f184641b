// prelude: stands before every kernel. Says where operands lie.
//
// A view is where an operand begins at this step, in elements (images: in words of four bytes), and how that
// moves with the run. The host says both with each launch of each step. Composed by kernels/src/gpu/pipeline.rs.

// Of each view, 0 being the output, then the kernel's inputs, then the epilogue's; four to a vector.
struct Views {
    offsets: array<vec4<u32>, 3>,
    run_strides: array<vec4<u32>, 3>,  // 0: the same for all runs
}
var<immediate> views: Views;

struct Params {
    size: vec4<u32>,
    more: vec4<u32>,
    apart: array<vec4<u32>, 3>,  // of each view, from one to the next of those that are computed abreast; 0: the same for all
}
@group(0) @binding(1) var<uniform> params: Params;

// How many launches in one: each run is that many to a kernel.
override ABREAST: u32 = 1u;

fn base(view: u32, run: u32) -> u32 {
    let four = view / 4u;
    let own = view % 4u;
    return views.offsets[four][own] + run / ABREAST * views.run_strides[four][own]
        + run % ABREAST * params.apart[four][own];
}

// Where a mirror (see kernels/src/gpu/mirror.rs) keeps number `i` of its buffer, one a texel, or four.
fn texel(i: u32) -> vec2<u32> {
    return vec2(i % 4096u, i / 4096u);
}
fn texel_of_four(i: u32) -> vec2<u32> {
    return vec2(i % 4096u / 4u, i / 4096u);
}
