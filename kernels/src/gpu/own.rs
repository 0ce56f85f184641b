//! A user's own WGSL on an adapter: its buffers, of exactly the bytes that were asked for, and its dispatches.

use super::Gpu;
use super::timed::Timestamps;
use crate::own::{Space, Wgsl, WgslError, on_large_stack};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// An entry point that is bound to its buffers.
pub struct OwnProgram {
    gpu: Arc<Gpu>,
    pipeline: wgpu::ComputePipeline,
    groups: Vec<(u32, wgpu::BindGroup)>,
    buffers: Vec<wgpu::Buffer>,
    /// What buffers hold before a dispatch, of those that it changes.
    originals: Vec<(wgpu::Buffer, usize)>,
    /// Whether a dispatch reads what one before has written.
    in_place: bool,
    dispatch: [u32; 3],
}

/// Dispatches of one submission.
const DISPATCHES_A_SUBMISSION: usize = 256;

impl OwnProgram {
    /// Has the adapter compile a text, and makes its buffers, which hold `contents` in the order of [`Wgsl::buffers`].
    ///
    /// # Errors
    /// If a buffer's size is not what its type needs, something exceeds the adapter's limits, or the adapter refuses it.
    pub fn new(gpu: &Arc<Gpu>, wgsl: &Wgsl, contents: &[Vec<u8>], dispatch: [u32; 3]) -> Result<OwnProgram, WgslError> {
        let sizes: Vec<u64> = contents.iter().map(|bytes| bytes.len() as u64).collect();
        wgsl.buffers.iter().zip(&sizes).try_for_each(|(buffer, size)| wgsl.check_size(buffer, *size))?;
        wgsl.check(&gpu.traits().name, &gpu.device.limits(), &sizes, dispatch)?;
        let refused = |reason: String| WgslError::Refused {
            file: wgsl.file.clone(),
            adapter: gpu.traits().name.clone(),
            reason: reason.trim_end().into(),
        };
        // A driver that fails to compile is an internal error.
        let filters = [wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::OutOfMemory];
        let made = on_large_stack(|| {
            let scopes = filters.map(|filter| gpu.device.push_error_scope(filter));
            let program = OwnProgram::make(gpu, wgsl, contents, dispatch);
            // Drivers compile at the first dispatch, or find then that memory is short.
            gpu.queue.submit([program.encoded(1)]);
            gpu.wait();
            let errors = scopes.into_iter().rev().filter_map(|scope| pollster::block_on(scope.pop()));
            match errors.map(|error| error.to_string()).next() {
                Some(error) => Err(error),
                None => Ok(program),
            }
        });
        let program = made.and_then(|made| made).map_err(refused)?;
        program.restore(contents);
        Ok(program)
    }

    fn make(gpu: &Arc<Gpu>, wgsl: &Wgsl, contents: &[Vec<u8>], dispatch: [u32; 3]) -> OwnProgram {
        use wgpu::BufferUsages as Use;
        let label = Some(wgsl.file.as_str());
        let layout_entry = |buffer: &crate::own::Buffer| wgpu::BindGroupLayoutEntry {
            binding: buffer.binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: match buffer.space {
                    Space::Uniform => wgpu::BufferBindingType::Uniform,
                    space => wgpu::BufferBindingType::Storage { read_only: space == Space::Read },
                },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        };
        let made = wgsl.buffers.iter().zip(contents).map(|(buffer, bytes)| {
            let kind = if buffer.space == Space::Uniform { Use::UNIFORM } else { Use::STORAGE };
            gpu.buffer(&buffer.name, bytes.len() as u64, kind | Use::COPY_DST | Use::COPY_SRC)
        });
        let buffers: Vec<wgpu::Buffer> = made.collect();
        let last = wgsl.buffers.iter().map(|buffer| buffer.group + 1).max().unwrap_or(0);
        let of_group = |group: u32| wgsl.buffers.iter().enumerate().filter(move |(_, buffer)| buffer.group == group);
        let layouts: Vec<Option<wgpu::BindGroupLayout>> = (0..last)
            .map(|group| {
                let entries: Vec<_> = of_group(group).map(|(_, buffer)| layout_entry(buffer)).collect();
                let descriptor = wgpu::BindGroupLayoutDescriptor { label, entries: &entries };
                (!entries.is_empty()).then(|| gpu.device.create_bind_group_layout(&descriptor))
            })
            .collect();
        let groups = (0..last).zip(&layouts).filter_map(|(group, layout)| {
            let entry = |(n, buffer): (usize, &crate::own::Buffer)| wgpu::BindGroupEntry {
                binding: buffer.binding,
                resource: buffers[n].as_entire_binding(),
            };
            let entries: Vec<_> = of_group(group).map(entry).collect();
            let layout = layout.as_ref()?;
            let descriptor = wgpu::BindGroupDescriptor { label, layout, entries: &entries };
            Some((group, gpu.device.create_bind_group(&descriptor)))
        });
        let groups = groups.collect();
        let layouts: Vec<_> = layouts.iter().map(Option::as_ref).collect();
        let layout = gpu.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &layouts,
            immediate_size: 0,
        });
        gpu.counters.pipelines.fetch_add(1, Relaxed);
        let module = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label,
            source: wgpu::ShaderSource::Wgsl(wgsl.source.as_str().into()),
        });
        let constants: Vec<(&str, f64)> = wgsl.constants.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let pipeline = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&layout),
            module: &module,
            entry_point: Some(&wgsl.entry),
            compilation_options: wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() },
            cache: None,
        });
        let in_place = wgsl.buffers.iter().any(|buffer| buffer.in_place);
        let written =
            wgsl.buffers.iter().enumerate().filter(|(_, buffer)| in_place && buffer.space == Space::ReadWrite);
        let original = |(n, buffer): (usize, &crate::own::Buffer)| {
            let copy = gpu.buffer(&buffer.name, contents[n].len() as u64, Use::COPY_SRC | Use::COPY_DST);
            gpu.queue.write_buffer(&copy, 0, &contents[n]);
            (copy, n)
        };
        let originals = written.map(original).collect();
        let program = OwnProgram { gpu: gpu.clone(), pipeline, groups, buffers, originals, in_place, dispatch };
        program.restore(contents);
        program
    }

    /// Whether a second dispatch reads what the first has written: then buffers are restored before each that is timed.
    pub fn in_place(&self) -> bool {
        self.in_place
    }

    /// Makes the buffers hold `contents`.
    pub fn restore(&self, contents: &[Vec<u8>]) {
        let each = self.buffers.iter().zip(contents);
        each.for_each(|(buffer, bytes)| self.gpu.queue.write_buffer(buffer, 0, bytes));
    }

    /// Dispatches once, and waits for it.
    pub fn run(&self) {
        self.submit(1);
        self.gpu.wait();
    }

    /// The bytes of a buffer.
    pub fn content(&self, buffer: usize) -> Vec<u8> {
        use wgpu::BufferUsages as Use;
        let (gpu, buffer) = (&self.gpu, &self.buffers[buffer]);
        let landing = gpu.buffer("read back", buffer.size(), Use::MAP_READ | Use::COPY_DST);
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &landing, 0, buffer.size());
        gpu.queue.submit([encoder.finish()]);
        let there = |result: Result<(), _>| result.expect("the device was lost before a buffer was read");
        landing.slice(..).map_async(wgpu::MapMode::Read, there);
        gpu.wait();
        landing.slice(..).get_mapped_range().expect("the range was mapped and waited for").to_vec()
    }

    /// Seconds that so many dispatches take together, in which buffers are not restored.
    pub fn seconds(&self, dispatches: usize) -> f64 {
        let mut left = dispatches;
        let mut seconds = 0.0;
        while left > 0 {
            let now = left.min(DISPATCHES_A_SUBMISSION);
            left -= now;
            seconds += match self.in_place {
                false => self.waited(now),
                true if self.gpu.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) => self.stamped(now),
                true => (0..now).map(|_| self.restored_and_waited()).sum(),
            };
        }
        seconds
    }

    fn waited(&self, dispatches: usize) -> f64 {
        let start = Instant::now();
        self.submit(dispatches);
        self.gpu.wait();
        start.elapsed().as_secs_f64()
    }

    fn restored_and_waited(&self) -> f64 {
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        self.encode_originals(&mut encoder);
        self.gpu.queue.submit([encoder.finish()]);
        self.gpu.wait();
        self.waited(1)
    }

    /// By the adapter's own clock, so that what restores the buffers is left out.
    fn stamped(&self, dispatches: usize) -> f64 {
        let timestamps = Timestamps::new(&self.gpu, 2 * dispatches);
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        for n in 0..dispatches {
            self.encode_originals(&mut encoder);
            self.encode(&mut encoder.begin_compute_pass(&timestamps.around_pass(2 * n as u32)));
        }
        timestamps.resolve(&mut encoder);
        self.count(dispatches);
        self.gpu.queue.submit([encoder.finish()]);
        let tick = f64::from(self.gpu.queue.get_timestamp_period()) * 1e-9;
        let ticks = timestamps.read(&self.gpu);
        let seconds: f64 =
            ticks.as_chunks::<2>().0.iter().map(|[begin, end]| end.saturating_sub(*begin) as f64 * tick).sum();
        // Some drivers write nothing.
        if seconds > 0.0 { seconds } else { (0..dispatches).map(|_| self.restored_and_waited()).sum() }
    }

    fn encode_originals(&self, encoder: &mut wgpu::CommandEncoder) {
        for (copy, n) in &self.originals {
            encoder.copy_buffer_to_buffer(copy, 0, &self.buffers[*n], 0, copy.size());
        }
    }

    fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        self.groups.iter().for_each(|(number, group)| pass.set_bind_group(*number, group, &[]));
        let [x, y, z] = self.dispatch;
        pass.dispatch_workgroups(x, y, z);
    }

    fn encoded(&self, dispatches: usize) -> wgpu::CommandBuffer {
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        (0..dispatches).for_each(|_| self.encode(&mut pass));
        drop(pass);
        encoder.finish()
    }

    fn submit(&self, dispatches: usize) {
        self.count(dispatches);
        self.gpu.queue.submit([self.encoded(dispatches)]);
    }

    fn count(&self, dispatches: usize) {
        self.gpu.counters.submissions.fetch_add(1, Relaxed);
        self.gpu.counters.launches.fetch_add(dispatches as u64, Relaxed);
    }
}
