//! Mirrors: textures that repeat a program's buffers, word by word.
//!
//! On software Vulkan a load from a buffer is a loop over the lanes with a stall in each turn, fifteen times as
//! slow as a load from a texture (see ARCHITECTURE.md). A shader that declares an operand as a texture is bound
//! to the mirror of the operand's buffer, which is copied before the first launch that reads it and again
//! after a launch has written the buffer.

use crate::gpu::Gpu;
use crate::launch::BufferId;

/// Numbers in a row of a mirror, as shaders/prelude.wgsl says. Buffers on a GPU are whole rows.
pub(crate) const ROW: usize = 4096;

/// A texture and the buffer that it repeats.
struct Mirror {
    id: BufferId,
    format: wgpu::TextureFormat,
    buffer: wgpu::Buffer,
    texture: wgpu::Texture,
}

/// The mirrors of a program's buffers.
#[derive(Default)]
pub(crate) struct Mirrors(Vec<Mirror>);

/// Which mirrors repeat their buffers as these are now.
pub(crate) struct Fresh(Vec<bool>);

impl Mirrors {
    /// The number of the mirror of a buffer in a format, made at the first call.
    pub(crate) fn of(&mut self, gpu: &Gpu, id: BufferId, format: wgpu::TextureFormat, buffer: &wgpu::Buffer) -> usize {
        if let Some(n) = self.0.iter().position(|m| m.id == id && m.format == format) {
            return n;
        }
        let texture = gpu.texture(format, buffer.size() as usize / (ROW * 4));
        self.0.push(Mirror { id, format, buffer: buffer.clone(), texture });
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
    pub(crate) fn none_fresh(&self) -> Fresh {
        Fresh(vec![false; self.0.len()])
    }

    /// Whether one of those that a launch reads must be copied first.
    pub(crate) fn any_stale(&self, fresh: &Fresh, read: &[usize]) -> bool {
        read.iter().any(|&n| !fresh.0[n])
    }

    /// Copies what a launch reads and is not fresh.
    pub(crate) fn refresh(&self, fresh: &mut Fresh, read: &[usize], encoder: &mut wgpu::CommandEncoder) {
        for &n in read {
            if !std::mem::replace(&mut fresh.0[n], true) {
                self.0[n].copy(encoder);
            }
        }
    }

    /// A launch has written to this buffer.
    pub(crate) fn written(&self, fresh: &mut Fresh, id: BufferId) {
        for (mirror, fresh) in self.0.iter().zip(&mut fresh.0) {
            *fresh &= mirror.id != id;
        }
    }
}

impl Mirror {
    fn copy(&self, encoder: &mut wgpu::CommandEncoder) {
        let layout =
            wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(ROW as u32 * 4), rows_per_image: None };
        let from = wgpu::TexelCopyBufferInfo { buffer: &self.buffer, layout };
        encoder.copy_buffer_to_texture(from, self.texture.as_image_copy(), self.texture.size());
    }
}
