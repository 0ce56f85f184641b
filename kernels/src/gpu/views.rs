//! Where a launch's operands lie, as shaders are told: see `shaders/prelude.wgsl`.

use crate::store::Kind;
use crate::view::{Stride, View};

/// Most views that a launch can have.
pub(super) const VIEWS: usize = 12;

/// What a shader finds in its immediates: see shaders/prelude.wgsl.
#[derive(Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Views {
    offsets: [u32; VIEWS],
    run_strides: [u32; VIEWS],
}

/// Where a launch's operands lie, in the words of a shader.
#[derive(Default)]
pub(super) struct Places {
    /// As they are at step 0.
    first: Views,
    /// Those that move with the step: most do not.
    moving: Vec<(usize, Stride)>,
    /// Of each, how far it is from that of the next launch abreast.
    pub apart: [u32; VIEWS],
}

impl Places {
    /// Of view number `n`: it is of a buffer that holds that `kind`, in which a run's part is so many words from the next one's.
    pub fn put(&mut self, n: usize, view: &View, run_stride: usize, kind: Kind) {
        let scale = if kind == Kind::Bytes { 4 } else { 1 };
        let whole = [view.offset, view.step.stride, view.apart].iter().all(|bytes| bytes.is_multiple_of(scale));
        assert!(whole, "images must begin at a word");
        self.first.offsets[n] = word(view.offset / scale);
        self.first.run_strides[n] = word(run_stride);
        self.apart[n] = word(view.apart / scale);
        if view.step.stride > 0 {
            self.moving.push((n, Stride { stride: view.step.stride / scale, ..view.step }));
        }
    }

    /// As they are at a step.
    pub fn at(&self, step: usize) -> Views {
        let mut views = self.first;
        self.moving.iter().for_each(|(n, stride)| views.offsets[*n] += word(stride.at(step)));
        views
    }
}

fn word(elements: usize) -> u32 {
    u32::try_from(elements).expect("a buffer has fewer than 2^32 elements")
}
