//! A store's buffers on a GPU.

use super::Gpu;
use crate::store::{BufferInfo, Kind};
use crate::view::aligned;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A store's buffers on a GPU: run after run, each run's part on a boundary of 64 elements.
pub(crate) struct GpuMemory {
    gpu: Arc<Gpu>,
    runs: usize,
    pub(super) buffers: Vec<wgpu::Buffer>,
    /// Words from one run to the next; 0 for a shared buffer.
    pub(super) strides: Vec<usize>,
}

impl GpuMemory {
    pub(crate) fn new(gpu: Arc<Gpu>, runs: usize) -> GpuMemory {
        GpuMemory { gpu, runs, buffers: vec![], strides: vec![] }
    }

    pub(crate) fn allocate(&mut self, info: &BufferInfo) {
        let words = if info.kind == Kind::Bytes { info.elements.div_ceil(4) } else { info.elements };
        let (stride, copies) = if info.shared { (0, 1) } else { (aligned(words), self.runs) };
        self.buffers.push(self.gpu.storage(&info.name, aligned(words) * copies));
        self.strides.push(stride);
    }

    /// Writes words; `offset` is in elements of four bytes.
    pub(crate) fn write(&mut self, id: usize, run: usize, offset: usize, bytes: &[u8]) {
        let at = (run * self.strides[id] + offset) as u64 * 4;
        self.gpu.queue.write_buffer(&self.buffers[id], at, bytes);
    }

    pub(crate) fn read_later(&self, id: usize, elements: usize) -> GpuReading {
        let (gpu, stride) = (&self.gpu, self.strides[id]);
        let size = (stride * self.runs * 4) as u64;
        let landing = gpu.buffer("read back", size, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&self.buffers[id], 0, &landing, 0, size);
        gpu.counters.submissions.fetch_add(1, Relaxed);
        let submission = gpu.queue.submit([encoder.finish()]);
        landing
            .slice(..)
            .map_async(wgpu::MapMode::Read, |result| result.expect("the device was lost before a read-back"));
        GpuReading { gpu: gpu.clone(), landing, submission, runs: self.runs, stride, elements }
    }
}

/// Numbers on their way from a GPU.
pub struct GpuReading {
    gpu: Arc<Gpu>,
    landing: wgpu::Buffer,
    submission: wgpu::SubmissionIndex,
    runs: usize,
    stride: usize,
    elements: usize,
}

impl GpuReading {
    /// Whether the device has done all that it was asked for: some drivers compute while they are handed work. Asks, and does not wait.
    pub(crate) fn is_there(&self) -> bool {
        let status = self.gpu.device.poll(wgpu::PollType::Poll).expect("the device was lost while it was computing");
        status.is_queue_empty()
    }

    pub(crate) fn wait(self) -> Vec<Vec<f64>> {
        self.parts(|words| bytemuck::cast_slice(words).iter().map(|&x: &f32| x.into()).collect())
    }

    /// The words as they are, one run's after the other's.
    pub(crate) fn bytes(self) -> Vec<u8> {
        self.parts(|words| bytemuck::cast_slice(words).to_vec()).concat()
    }

    /// Waits, and makes something of each run's words.
    fn parts<T>(self, of: impl Fn(&[u32]) -> T) -> Vec<T> {
        let GpuReading { gpu, landing, submission, runs, stride, elements } = self;
        gpu.wait_for(wgpu::PollType::Wait { submission_index: Some(submission), timeout: None });
        let mapped = landing.slice(..).get_mapped_range().expect("the range was mapped and waited for");
        let words: &[u32] = bytemuck::cast_slice(&mapped);
        (0..runs).map(|r| of(&words[r * stride..r * stride + elements])).collect()
    }
}
