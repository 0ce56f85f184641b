//! Where a launch's operands lie, as shaders are told: see `shaders/prelude.wgsl`.

use crate::store::Kind;
use crate::view::{Stride, View};

/// Most views that a launch can have.
pub(super) const VIEWS: usize = 12;

/// A view in the words of a shader.
pub(super) struct Place {
    offset: u32,
    run_stride: u32,
    pub apart: u32,
    step: Stride,
}

impl Place {
    /// Of a buffer in which a run's part is so many words from the next one's.
    pub fn new(view: &View, run_stride: usize, kind: Kind) -> Place {
        let scale = if kind == Kind::Bytes { 4 } else { 1 };
        let whole = [view.offset, view.step.stride, view.apart].iter().all(|bytes| bytes.is_multiple_of(scale));
        assert!(whole, "images must begin at a word");
        let words = |elements: usize| u32::try_from(elements).expect("a buffer has fewer than 2^32 elements");
        let step = Stride { stride: view.step.stride / scale, ..view.step };
        let [offset, apart] = [view.offset, view.apart].map(|elements| words(elements / scale));
        Place { offset, run_stride: words(run_stride), apart, step }
    }

    /// Where it begins at a step.
    fn at(&self, step: usize) -> u32 {
        self.offset + u32::try_from(self.step.at(step)).expect("a buffer has fewer than 2^32 elements")
    }
}

/// What a shader finds in its immediates: see shaders/prelude.wgsl.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Views {
    offsets: [u32; VIEWS],
    run_strides: [u32; VIEWS],
}

impl Views {
    /// Of places, as they are at a step.
    pub fn at(places: &[Place], step: usize) -> Views {
        let mut views = Views { offsets: [0; VIEWS], run_strides: [0; VIEWS] };
        for ((offset, run_stride), place) in views.offsets.iter_mut().zip(&mut views.run_strides).zip(places) {
            (*offset, *run_stride) = (place.at(step), place.run_stride);
        }
        views
    }
}
