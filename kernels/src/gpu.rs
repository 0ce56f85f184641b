//! Programs on a GPU through wgpu: adapters, pipelines, buffers, submissions.
//!
//! A replay is one compute pass with every launch of every step in it. Pipelines are shared by shape: sizes are in a
//! uniform buffer, a slot a launch; where operands lie at a step goes with each launch, as immediates. Bindings are
//! reflected from the WGSL.

mod adapter;
mod bind;
mod cleared;
mod cooperative;
pub(crate) mod epilogue;
mod half;
mod memory;
mod mirror;
mod own;
mod pipeline;
mod program;
mod timed;
mod views;

#[cfg(test)]
pub(crate) use self::adapter::LLVMPIPE_LOOPS;
pub(crate) use self::adapter::summaries;
pub use self::adapter::{AdapterKind, Traits};
pub(crate) use self::memory::GpuMemory;
pub use self::memory::GpuReading;
pub use self::own::OwnProgram;
pub(crate) use self::pipeline::compose;
pub(crate) use self::program::GpuProgram;

use self::pipeline::Pipeline;
use crate::choices::Tuning;
use crate::device::DeviceError;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// What has been asked of a GPU so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Command buffers submitted.
    pub submissions: u64,
    /// Launches encoded.
    pub launches: u64,
    /// Buffers made.
    pub buffers: u64,
    /// Pipelines compiled.
    pub pipelines: u64,
    /// Times the host waited for the device.
    pub waits: u64,
}

#[derive(Default)]
struct Counters {
    submissions: AtomicU64,
    launches: AtomicU64,
    buffers: AtomicU64,
    pipelines: AtomicU64,
    waits: AtomicU64,
}

/// An open adapter.
pub struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    traits: Traits,
    autotunes: bool,
    pipelines: Mutex<BTreeMap<String, Arc<Pipeline>>>,
    counters: Counters,
}

impl Gpu {
    /// Bytes that a buffer may have to be bound whole.
    pub fn largest_buffer(&self) -> u64 {
        let limits = self.device.limits();
        limits.max_buffer_size.min(limits.max_storage_buffer_binding_size)
    }

    /// Opens adapter number `index` of [`summaries`].
    pub(crate) fn open(index: usize, tuning: &Tuning) -> Result<Gpu, DeviceError> {
        let adapters = adapter::adapters();
        let adapter = adapters.get(index).ok_or(DeviceError::NoAdapter)?;
        let mut traits = adapter::traits(adapter);
        traits.choices = Arc::new(tuning.choices(&traits)?);
        let mut wanted = wgpu::Features::SUBGROUP
            | wgpu::Features::SHADER_INT64
            | wgpu::Features::SHADER_F16
            | wgpu::Features::TIMESTAMP_QUERY
            | wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES;
        wanted.set(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX, traits.cooperative);
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("hindsight"),
            required_features: wgpu::Features::IMMEDIATES | (adapter.features() & wanted),
            experimental_features: cooperative::leave(&traits),
            // What the adapter has: images need large bindings, fused kernels many of them.
            required_limits: adapter.limits(),
            ..Default::default()
        };
        let refused =
            |e: wgpu::RequestDeviceError| DeviceError::Refused { adapter: traits.name.clone(), reason: e.to_string() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).map_err(refused)?;
        let autotunes = matches!(tuning, Tuning::Kept { .. });
        Ok(Gpu { device, queue, traits, autotunes, pipelines: Mutex::default(), counters: Counters::default() })
    }

    /// What the adapter is.
    pub fn traits(&self) -> &Traits {
        &self.traits
    }

    /// Whether variants for which no choice was made yet are timed.
    pub(crate) fn autotunes(&self) -> bool {
        self.autotunes
    }

    /// What has been asked of it so far.
    pub fn counts(&self) -> Counts {
        let c = &self.counters;
        Counts {
            submissions: c.submissions.load(Relaxed),
            launches: c.launches.load(Relaxed),
            buffers: c.buffers.load(Relaxed),
            pipelines: c.pipelines.load(Relaxed),
            waits: c.waits.load(Relaxed),
        }
    }

    /// Waits until all that was submitted is done.
    pub fn wait(&self) {
        self.wait_for(wgpu::PollType::wait_indefinitely());
    }

    /// Submits what waits for a submission, and says how far that is.
    pub(crate) fn now(&self) -> wgpu::SubmissionIndex {
        self.queue.submit([])
    }

    /// Waits until all that was submitted by then is done.
    pub(crate) fn wait_until(&self, then: wgpu::SubmissionIndex) {
        self.wait_for(wgpu::PollType::Wait { submission_index: Some(then), timeout: None });
    }

    fn wait_for(&self, what: wgpu::PollType) {
        self.counters.waits.fetch_add(1, Relaxed);
        self.device.poll(what).expect("the device was lost while it was computing");
    }

    fn buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        self.counters.buffers.fetch_add(1, Relaxed);
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes.max(4),
            usage,
            mapped_at_creation: false,
        })
    }

    fn storage(&self, label: &str, words: usize) -> wgpu::Buffer {
        use wgpu::BufferUsages as Use;
        let words = if self.traits.software { words.next_multiple_of(mirror::ROW) } else { words };
        self.buffer(label, words as u64 * 4, Use::STORAGE | Use::COPY_DST | Use::COPY_SRC)
    }

    /// A texture of so many rows of a mirror, for shaders to read.
    pub(crate) fn texture(&self, format: wgpu::TextureFormat, rows: usize) -> wgpu::Texture {
        self.counters.buffers.fetch_add(1, Relaxed);
        let words = format.block_copy_size(None).expect("a mirror holds numbers") / 4;
        self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("mirror"),
            size: wgpu::Extent3d { width: mirror::ROW as u32 / words, height: rows as u32, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage: wgpu::TextureUsages::COPY_DST | wgpu::TextureUsages::STORAGE_BINDING,
            view_formats: &[],
        })
    }
}
