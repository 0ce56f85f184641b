//! Mirrors: textures that repeat a program's buffers, word by word.
//!
//! On software Vulkan a load from a buffer is a loop over the lanes with a stall in each turn, fifteen times as
//! slow as a load from a texture (see ARCHITECTURE.md). A shader that declares an operand as a texture is bound
//! to the mirror of the operand's buffer. The words that a launch reads are copied before it, where they have been
//! written since they were copied last.

use crate::gpu::Gpu;
use crate::view::BufferId;
use std::ops::Range;

/// Words in a row of a mirror, as shaders/prelude.wgsl says. Buffers on a GPU are whole rows.
pub(crate) const ROW: usize = 4096;

/// Rows between two that are copied, up to which one copy of all costs less than two.
const FEW_ROWS: usize = 6;

/// Words of each run's part of a buffer.
pub(crate) type Words = Range<usize>;

/// A buffer on the device: how many runs have a part of it, one every so many words.
#[derive(Clone, Copy)]
pub(crate) struct Original<'a> {
    pub id: BufferId,
    pub buffer: &'a wgpu::Buffer,
    pub runs: usize,
    pub stride: usize,
}

/// A texture and the buffer that it repeats.
struct Mirror {
    id: BufferId,
    format: wgpu::TextureFormat,
    buffer: wgpu::Buffer,
    runs: usize,
    stride: usize,
    texture: wgpu::Texture,
}

/// What a launch reads of a mirror.
pub(crate) struct Read {
    pub mirror: usize,
    pub words: Words,
}

/// The mirrors of a program's buffers.
#[derive(Default)]
pub(crate) struct Mirrors(Vec<Mirror>);

/// Which words of each mirror do not repeat the buffer as it is now: ranges that do not overlap.
pub(crate) struct Stale(Vec<Vec<Words>>);

impl Mirrors {
    /// The number of the mirror of a buffer in a format, made at the first call.
    pub(crate) fn of(&mut self, gpu: &Gpu, original: Original<'_>, format: wgpu::TextureFormat) -> usize {
        let Original { id, buffer, runs, stride } = original;
        if let Some(n) = self.0.iter().position(|m| m.id == id && m.format == format) {
            return n;
        }
        let texture = gpu.texture(format, buffer.size() as usize / (ROW * 4));
        self.0.push(Mirror { id, format, buffer: buffer.clone(), runs, stride, texture });
        self.0.len() - 1
    }

    /// Whether no launch reads one.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a shader is bound to.
    pub(crate) fn view(&self, mirror: usize) -> wgpu::TextureView {
        self.0[mirror].texture.create_view(&Default::default())
    }

    /// Before anything is copied.
    pub(crate) fn all_stale(&self) -> Stale {
        Stale(self.0.iter().map(|mirror| std::iter::once(0..mirror.stride).collect()).collect())
    }

    /// Whether some of what a launch reads must be copied first.
    pub(crate) fn any_stale(&self, stale: &Stale, reads: &[Read]) -> bool {
        reads.iter().any(|read| common(&stale.0[read.mirror], &read.words).is_some())
    }

    /// Copies what a launch reads and is stale.
    pub(crate) fn refresh(&self, stale: &mut Stale, reads: &[Read], encoder: &mut wgpu::CommandEncoder) {
        for Read { mirror, words } in reads {
            let of_mirror = &mut stale.0[*mirror];
            if let Some(words) = common(of_mirror, words) {
                self.0[*mirror].copy(&words, encoder);
                remove(of_mirror, &words);
            }
        }
    }

    /// A launch has written to these words of this buffer.
    pub(crate) fn written(&self, stale: &mut Stale, id: BufferId, words: &Words) {
        for (_, of_mirror) in self.0.iter().zip(&mut stale.0).filter(|(mirror, _)| mirror.id == id) {
            remove(of_mirror, words);
            of_mirror.push(words.clone());
        }
    }
}

impl Mirror {
    /// Copies the rows in which these words of each run lie.
    fn copy(&self, words: &Words, encoder: &mut wgpu::CommandEncoder) {
        let last = self.texture.height() as usize;
        let rows = |run: usize| {
            let start = run * self.stride;
            (start + words.start) / ROW..(start + words.end).div_ceil(ROW).min(last)
        };
        let mut pieces: Vec<Range<usize>> = vec![];
        for rows in (0..self.runs).map(rows) {
            match pieces.last_mut() {
                Some(piece) if rows.start <= piece.end + FEW_ROWS => piece.end = piece.end.max(rows.end),
                _ => pieces.push(rows),
            }
        }
        pieces.into_iter().for_each(|rows| self.copy_rows(rows, encoder));
    }

    fn copy_rows(&self, rows: Range<usize>, encoder: &mut wgpu::CommandEncoder) {
        let bytes_per_row = ROW * 4;
        let layout = wgpu::TexelCopyBufferLayout {
            offset: (rows.start * bytes_per_row) as u64,
            bytes_per_row: Some(bytes_per_row as u32),
            rows_per_image: None,
        };
        let from = wgpu::TexelCopyBufferInfo { buffer: &self.buffer, layout };
        let origin = wgpu::Origin3d { x: 0, y: rows.start as u32, z: 0 };
        let to = wgpu::TexelCopyTextureInfo { origin, ..self.texture.as_image_copy() };
        let size = wgpu::Extent3d { height: rows.len() as u32, ..self.texture.size() };
        encoder.copy_buffer_to_texture(from, to, size);
    }
}

/// The shortest range that holds all words which both some of `ranges` and `words` have, if there are any.
fn common(ranges: &[Words], words: &Words) -> Option<Words> {
    let both = ranges.iter().map(|range| range.start.max(words.start)..range.end.min(words.end));
    both.filter(|range| !range.is_empty()).reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))
}

/// Takes words out of ranges.
fn remove(ranges: &mut Vec<Words>, words: &Words) {
    let beside = |range: &Words| [range.start..range.end.min(words.start), range.start.max(words.end)..range.end];
    *ranges = ranges.iter().flat_map(beside).filter(|range| !range.is_empty()).collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_common_is_removed_and_nothing_else() {
        let mut stale = vec![0..10, 20..30];
        assert_eq!(common(&stale, &(5..25)), Some(5..25));
        assert_eq!(common(&stale, &(12..18)), None);
        assert_eq!(common(&stale, &(8..18)), Some(8..10));
        remove(&mut stale, &(5..25));
        assert_eq!(stale, [0..5, 25..30]);
        remove(&mut stale, &(26..28));
        assert_eq!(stale, [0..5, 25..26, 28..30]);
        remove(&mut stale, &(0..40));
        assert!(stale.is_empty());
    }
}
