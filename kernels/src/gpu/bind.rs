//! How launches are bound to the buffers that their operands lie in.

use super::Gpu;
use super::cleared::Cleared;
use super::memory::GpuMemory;
use super::mirror::{Mirrors, Original, Read, Words};
use super::pipeline::Pipeline;
use super::views::{Places, VIEWS};
use crate::kernel::Shader;
use crate::launch::{Launch, Operand};
use crate::store::{Kind, Store};
use crate::view::{BufferId, aligned};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A launch that can be encoded.
pub(super) struct Ready {
    pipeline: Arc<Pipeline>,
    group: wgpu::BindGroup,
    grid: [u32; 3],
    places: Places,
    /// What it reads of mirrors.
    pub reads: Vec<Read>,
    /// What it writes.
    pub written: Vec<(BufferId, Words)>,
    /// What must hold zeros before it.
    pub cleared: Option<Cleared>,
}

impl Ready {
    /// As it is at a step.
    pub fn encode(&self, pass: &mut wgpu::ComputePass<'_>, step: usize) {
        pass.set_pipeline(&self.pipeline.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.set_immediates(0, bytemuck::bytes_of(&self.places.at(step)));
        let [x, y, z] = self.grid;
        pass.dispatch_workgroups(x, y, z);
    }
}

/// The buffers that a program's operands lie in.
pub(super) struct Buffers<'a> {
    store: &'a Store,
    memory: &'a GpuMemory,
    /// Each with the words from one run's part to the next.
    temporaries: Vec<(wgpu::Buffer, usize)>,
}

impl<'a> Buffers<'a> {
    /// Those of a store, and temporaries of so many elements a run, which are made.
    pub fn new(
        gpu: &Gpu,
        store: &'a Store,
        memory: &'a GpuMemory,
        launches: &[Launch],
        temporaries: &[usize],
    ) -> Buffers<'a> {
        let halves: BTreeSet<usize> = launches.iter().filter_map(|launch| launch.output.buffer.half()).collect();
        let temporary = |(id, &elements): (usize, &usize)| {
            let (stride, numbers_a_word) = (aligned(elements), if halves.contains(&id) { 2 } else { 1 });
            (gpu.storage("temporary", stride * store.runs() / numbers_a_word), stride)
        };
        Buffers { store, memory, temporaries: temporaries.iter().enumerate().map(temporary).collect() }
    }

    /// The buffer, the words from one run's part to the next (0: all runs share it), and what it holds.
    fn buffer(&self, id: BufferId) -> (&wgpu::Buffer, usize, Kind) {
        match id {
            BufferId::Stored(id) => (&self.memory.buffers[id], self.memory.strides[id], self.store.info(id).kind),
            BufferId::Temporary(id) | BufferId::Half(id) => {
                let (buffer, stride) = &self.temporaries[id];
                (buffer, *stride, Kind::Float)
            }
        }
    }

    /// The buffer as a mirror sees it.
    fn original(&self, id: BufferId) -> Original<'_> {
        match self.buffer(id) {
            (buffer, 0, _) => Original { id, buffer, runs: 1, stride: buffer.size() as usize / 4 },
            (buffer, stride, _) => Original { id, buffer, runs: self.store.runs(), stride },
        }
    }

    /// The words of a run's part in which an operand of so many launches abreast lies: all, where it moves, or may be of any length.
    fn words(&self, operand: &Operand, abreast: usize) -> Words {
        let Operand { view, elements, .. } = operand;
        let a_word = if self.buffer(view.buffer).2 == Kind::Bytes { 4 } else { 1 };
        match elements.filter(|_| view.step.stride == 0) {
            None => 0..self.original(view.buffer).stride,
            Some(elements) => {
                let end = view.offset + (abreast - 1) * view.apart + elements;
                view.offset / a_word..end.div_ceil(a_word)
            }
        }
    }
}

/// Words of a launch's slot in the uniform buffer: 8 sizes, and of 12 views how far they are apart; rounded up to 256 bytes.
const SLOT: usize = 64;
/// Where that begins.
const APART: usize = 8;

/// Binds a program's launches, one after another.
pub(super) struct Binder<'a> {
    gpu: &'a Gpu,
    buffers: Buffers<'a>,
    /// What does not change from step to step, a slot a launch.
    params: wgpu::Buffer,
    slots: Vec<u32>,
    mirrors: Mirrors,
}

impl<'a> Binder<'a> {
    /// For so many launches.
    pub fn new(gpu: &'a Gpu, buffers: Buffers<'a>, launches: usize) -> Binder<'a> {
        use wgpu::BufferUsages as Use;
        let params = gpu.buffer("params", (launches * SLOT) as u64 * 4, Use::UNIFORM | Use::COPY_DST);
        Binder { gpu, buffers, params, slots: vec![], mirrors: Mirrors::default() }
    }

    /// Makes the next launch ready.
    pub fn bind(&mut self, launch: &Launch, shader: &Shader, pipeline: Arc<Pipeline>) -> Ready {
        let (kernel, operands) = (launch.kernel.describe(), launch.operands());
        assert!(operands.len() <= VIEWS, "{}: {} operands, {VIEWS} are possible", kernel.name(), operands.len());
        let mut places = Places::default();
        for (n, Operand { view, .. }) in operands.iter().enumerate() {
            let (_, stride, kind) = self.buffers.buffer(view.buffer);
            places.put(n, view, stride, kind);
        }
        let slot = self.fill_slot(&shader.size, &places);

        let mirrored = self.mirrored(&pipeline, &operands);
        let group = self.group(kernel.name(), &pipeline, &operands, &mirrored, slot);
        let words = |operand: &Operand| self.buffers.words(operand, launch.abreast);
        let read = |(binding, mirror): (u32, usize)| Read { mirror, words: words(at(binding, &operands)) };
        let also = &operands[1 + launch.inputs.len()..][..launch.before.len()];
        let written = operands[..1].iter().chain(also).map(|to| (to.view.buffer, words(to))).collect();
        let cleared = shader.over_zeros.then(|| {
            let Original { buffer, runs, stride, .. } = self.buffers.original(launch.output.buffer);
            Cleared::of_runs(buffer, &launch.output, kernel.elements(), runs, stride)
        });
        let [x, y] = shader.groups;
        let grid = [x, y, (self.buffers.store.runs() * launch.abreast) as u32];
        Ready { reads: mirrored.into_iter().map(read).collect(), pipeline, group, grid, places, written, cleared }
    }

    /// What was made for all launches together.
    pub fn finish(self) -> Mirrors {
        self.gpu.queue.write_buffer(&self.params, 0, bytemuck::cast_slice(&self.slots));
        self.mirrors
    }

    /// Fills the next slot, and returns at which byte it begins.
    fn fill_slot(&mut self, size: &[u32], places: &Places) -> u64 {
        let mut slot = [0; SLOT];
        slot[..size.len()].copy_from_slice(size);
        slot[APART..][..VIEWS].copy_from_slice(&places.apart);
        let begins = self.slots.len() as u64 * 4;
        self.slots.extend(slot);
        begins
    }

    /// The bindings that are mirrors, and which of these each is.
    fn mirrored(&mut self, pipeline: &Pipeline, operands: &[Operand]) -> Vec<(u32, usize)> {
        let mut mirror = |(binding, format)| {
            let original = self.buffers.original(at(binding, operands).view.buffer);
            (binding, self.mirrors.of(self.gpu, original, format))
        };
        pipeline.mirrored().map(&mut mirror).collect()
    }

    /// All that a pipeline's shader declares.
    fn group(
        &self,
        name: &str,
        pipeline: &Pipeline,
        operands: &[Operand],
        mirrored: &[(u32, usize)],
        slot: u64,
    ) -> wgpu::BindGroup {
        let textures: Vec<_> = mirrored.iter().map(|&(_, mirror)| self.mirrors.view(mirror)).collect();
        let resource = |binding: u32| match binding {
            1 => wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &self.params,
                offset: slot,
                size: std::num::NonZero::new(SLOT as u64 * 4),
            }),
            binding => match mirrored.iter().position(|&(other, _)| other == binding) {
                Some(n) => wgpu::BindingResource::TextureView(&textures[n]),
                None => self.buffers.buffer(at(binding, operands).view.buffer).0.as_entire_binding(),
            },
        };
        let entry = |entry: &wgpu::BindGroupLayoutEntry| wgpu::BindGroupEntry {
            binding: entry.binding,
            resource: resource(entry.binding),
        };
        self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(name),
            layout: &pipeline.layout,
            entries: &pipeline.bindings.iter().map(entry).collect::<Vec<_>>(),
        })
    }
}

/// The operand at a binding: those come behind the parameters.
fn at(binding: u32, operands: &[Operand]) -> &Operand {
    &operands[binding as usize - 2]
}
