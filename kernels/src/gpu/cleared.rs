//! What is filled with zeros before a launch, by the adapter itself.

use crate::view::{View, aligned};
use std::ops::Range;

/// Bytes of a buffer that are filled with zeros.
pub(super) struct Cleared {
    buffer: wgpu::Buffer,
    ranges: Vec<Range<u64>>,
}

impl Cleared {
    /// Where an output of so many elements lies in each of the runs' parts, which are `stride` words apart.
    pub fn of_runs(buffer: &wgpu::Buffer, output: &View, elements: usize, runs: usize, stride: usize) -> Cleared {
        let part = |run: usize| run * stride + output.offset..run * stride + output.offset + elements;
        let whole = output.offset == 0 && aligned(elements) == stride;
        let parts: Vec<_> =
            if whole { std::iter::once(0..runs * stride).collect() } else { (0..runs).map(part).collect() };
        let bytes = |words: Range<usize>| words.start as u64 * 4..words.end as u64 * 4;
        Cleared { buffer: buffer.clone(), ranges: parts.into_iter().map(bytes).collect() }
    }

    /// Between passes.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        for bytes in &self.ranges {
            encoder.clear_buffer(&self.buffer, bytes.start, Some(bytes.end - bytes.start));
        }
    }
}
