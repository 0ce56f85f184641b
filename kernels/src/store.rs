//! Buffers that outlive a replay: parameters, anchors, index streams, images.

use crate::bytes::Bytes;
use crate::device::Device;
use crate::float::Float;
use crate::gpu::{GpuMemory, GpuReading};

/// What a buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Numbers.
    Float,
    /// Indices or class numbers.
    Index,
    /// Images: bytes that stand for b / 255.
    Bytes,
}

/// A buffer's description.
#[derive(Clone, Debug)]
pub struct BufferInfo {
    /// For messages.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Elements for one run.
    pub elements: usize,
    /// One for all runs, rather than one a run.
    pub shared: bool,
}

/// All buffers of a set of runs on one device.
pub struct Store {
    runs: usize,
    infos: Vec<BufferInfo>,
    pub(crate) memory: Memory,
}

pub(crate) enum Memory {
    F32(HostMemory<f32>),
    F64(HostMemory<f64>),
    Gpu(GpuMemory),
    Dry,
}

/// One buffer on the CPU.
#[derive(Debug, Default)]
pub(crate) enum HostBuffer<F> {
    #[default]
    Absent,
    Float(Vec<F>),
    Index(Vec<u32>),
    Bytes(Bytes),
}

/// Buffers on the CPU; both lists are indexed by the buffer's number.
pub(crate) struct HostMemory<F> {
    pub shared: Vec<HostBuffer<F>>,
    pub runs: Vec<Vec<HostBuffer<F>>>,
}

impl<F: Float> HostMemory<F> {
    fn allocate(&mut self, info: &BufferInfo) {
        let make = |wanted: bool| match info.kind {
            _ if !wanted => HostBuffer::Absent,
            Kind::Float => HostBuffer::Float(vec![F::ZERO; info.elements]),
            Kind::Index => HostBuffer::Index(vec![0; info.elements]),
            Kind::Bytes => HostBuffer::Bytes(Bytes::new(vec![0; info.elements])),
        };
        self.shared.push(make(info.shared));
        self.runs.iter_mut().for_each(|run| run.push(make(!info.shared)));
    }

    fn buffer(&mut self, shared: bool, id: usize, run: usize) -> &mut HostBuffer<F> {
        if shared { &mut self.shared[id] } else { &mut self.runs[run][id] }
    }

    fn write_floats(&mut self, shared: bool, id: usize, run: usize, offset: usize, values: &[f64]) {
        let HostBuffer::Float(buffer) = self.buffer(shared, id, run) else { unreachable!("kind was checked") };
        buffer[offset..offset + values.len()].iter_mut().zip(values).for_each(|(b, &v)| *b = F::of(v));
    }

    fn write_indices(&mut self, shared: bool, id: usize, run: usize, offset: usize, values: &[u32]) {
        let HostBuffer::Index(buffer) = self.buffer(shared, id, run) else { unreachable!("kind was checked") };
        buffer[offset..offset + values.len()].copy_from_slice(values);
    }

    fn read(&self, id: usize, run: usize) -> Vec<f64> {
        match &self.runs[run][id] {
            HostBuffer::Float(buffer) => buffer.iter().map(|x| x.wide()).collect(),
            _ => panic!("buffer {id} does not hold one row of numbers a run"),
        }
    }

    /// All runs' parts of a buffer of words.
    fn parts(&mut self, id: usize) -> impl Iterator<Item = &mut [u8]> {
        self.runs.iter_mut().map(move |run| match &mut run[id] {
            HostBuffer::Float(buffer) => bytemuck::cast_slice_mut(buffer),
            HostBuffer::Index(buffer) => bytemuck::cast_slice_mut(buffer),
            _ => panic!("buffer {id} does not hold one row of words a run"),
        })
    }

    fn content(&mut self, id: usize) -> Vec<u8> {
        let mut content = vec![];
        self.parts(id).for_each(|part| content.extend_from_slice(part));
        content
    }

    fn restore(&mut self, id: usize, mut content: &[u8]) {
        for part in self.parts(id) {
            part.copy_from_slice(content.split_off(..part.len()).expect("its length was checked"));
        }
    }
}

impl Store {
    /// An empty store for `runs` runs side by side.
    pub fn new(device: &Device, runs: usize) -> Store {
        assert!(runs > 0, "a store needs at least one run");
        let memory = match device {
            Device::Cpu => Memory::F32(HostMemory { shared: vec![], runs: (0..runs).map(|_| vec![]).collect() }),
            Device::Oracle => Memory::F64(HostMemory { shared: vec![], runs: (0..runs).map(|_| vec![]).collect() }),
            Device::Gpu(gpu) => Memory::Gpu(GpuMemory::new(gpu.clone(), runs)),
            Device::Dry => Memory::Dry,
        };
        Store { runs, infos: vec![], memory }
    }

    /// Runs side by side.
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// A buffer's description.
    pub fn info(&self, id: usize) -> &BufferInfo {
        &self.infos[id]
    }

    /// Adds a buffer of zeros and returns its number.
    pub fn allocate(&mut self, info: BufferInfo) -> usize {
        assert!(info.elements > 0, "buffer {} would be empty", info.name);
        match &mut self.memory {
            Memory::F32(m) => m.allocate(&info),
            Memory::F64(m) => m.allocate(&info),
            Memory::Gpu(m) => m.allocate(&info),
            Memory::Dry => {}
        }
        self.infos.push(info);
        self.infos.len() - 1
    }

    fn check(&self, id: usize, kind: Kind, offset: usize, length: usize) -> bool {
        let info = &self.infos[id];
        assert!(info.kind == kind, "{} holds {:?}, not {kind:?}", info.name, info.kind);
        let end = offset + length;
        assert!(end <= info.elements, "{}: elements {offset}..{end} of {}", info.name, info.elements);
        info.shared
    }

    /// Writes numbers into one run's part, from element `offset` on. (For a shared buffer, `run` is 0.)
    pub fn write(&mut self, id: usize, run: usize, offset: usize, values: &[f64]) {
        let shared = self.check(id, Kind::Float, offset, values.len());
        match &mut self.memory {
            Memory::F32(m) => m.write_floats(shared, id, run, offset, values),
            Memory::F64(m) => m.write_floats(shared, id, run, offset, values),
            Memory::Gpu(m) => {
                let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
                m.write(id, run, offset, bytemuck::cast_slice(&values));
            }
            Memory::Dry => {}
        }
    }

    /// Writes indices into one run's part, from element `offset` on.
    pub fn write_index(&mut self, id: usize, run: usize, offset: usize, values: &[u32]) {
        let shared = self.check(id, Kind::Index, offset, values.len());
        match &mut self.memory {
            Memory::F32(m) => m.write_indices(shared, id, run, offset, values),
            Memory::F64(m) => m.write_indices(shared, id, run, offset, values),
            Memory::Gpu(m) => m.write(id, run, offset, bytemuck::cast_slice(values)),
            Memory::Dry => {}
        }
    }

    /// Replaces the images of a shared buffer of bytes.
    pub fn write_bytes(&mut self, id: usize, data: &[u8]) {
        self.check(id, Kind::Bytes, 0, data.len());
        match &mut self.memory {
            Memory::F32(m) => m.shared[id] = HostBuffer::Bytes(Bytes::new(data.to_vec())),
            Memory::F64(m) => m.shared[id] = HostBuffer::Bytes(Bytes::new(data.to_vec())),
            Memory::Gpu(m) => {
                let mut padded = data.to_vec();
                padded.resize(data.len().next_multiple_of(4), 0);
                m.write(id, 0, 0, &padded);
            }
            Memory::Dry => {}
        }
    }

    /// Reads a buffer of numbers, one list a run. Waits for the device.
    pub fn read(&mut self, id: usize) -> Vec<Vec<f64>> {
        self.read_later(id).wait()
    }

    /// Reads a buffer of numbers as it will be when all that was handed to the device so far is done. Does not wait for it.
    pub fn read_later(&mut self, id: usize) -> Reading {
        let elements = self.infos[id].elements;
        assert!(
            !self.check(id, Kind::Float, 0, elements),
            "{} is shared: it holds what was written",
            self.infos[id].name
        );
        match &mut self.memory {
            Memory::F32(m) => Reading::There((0..self.runs).map(|r| m.read(id, r)).collect()),
            Memory::F64(m) => Reading::There((0..self.runs).map(|r| m.read(id, r)).collect()),
            Memory::Gpu(m) => Reading::Coming(m.read_later(id, elements)),
            Memory::Dry => Reading::There(vec![vec![0.0; elements]; self.runs]),
        }
    }

    /// Bytes of a number, or index, of a buffer that is not shared.
    pub fn width(&self, id: usize) -> usize {
        match (&self.memory, self.infos[id].kind) {
            (Memory::F64(_), Kind::Float) => size_of::<f64>(),
            _ => size_of::<u32>(),
        }
    }

    /// What a buffer of numbers or indices holds, bit for bit: one run's after the other's. Waits for the device.
    ///
    /// # Panics
    /// If the buffer is shared.
    pub fn content(&mut self, id: usize) -> Vec<u8> {
        let bytes = self.content_size(id);
        match &mut self.memory {
            Memory::F32(m) => m.content(id),
            Memory::F64(m) => m.content(id),
            Memory::Gpu(m) => m.read_later(id, self.infos[id].elements).bytes(),
            Memory::Dry => vec![0; bytes],
        }
    }

    /// Makes a buffer hold what [`content`](Self::content) had read.
    ///
    /// # Panics
    /// If the buffer is shared, or has another size.
    pub fn restore(&mut self, id: usize, content: &[u8]) {
        assert!(content.len() == self.content_size(id), "{}: {} bytes", self.infos[id].name, content.len());
        match &mut self.memory {
            Memory::F32(m) => m.restore(id, content),
            Memory::F64(m) => m.restore(id, content),
            Memory::Gpu(m) => {
                let parts = content.chunks_exact(content.len() / self.runs);
                parts.enumerate().for_each(|(run, part)| m.write(id, run, 0, part));
            }
            Memory::Dry => {}
        }
    }

    /// Bytes of all runs' parts of a buffer.
    ///
    /// # Panics
    /// If the buffer is shared.
    pub fn content_size(&self, id: usize) -> usize {
        let info = &self.infos[id];
        assert!(!info.shared, "{} is shared: it holds what was written", info.name);
        info.elements * self.width(id) * self.runs
    }

    /// The descriptions of all buffers, by their numbers.
    pub fn infos(&self) -> &[BufferInfo] {
        &self.infos
    }
}

/// Numbers that a device was asked for.
pub enum Reading {
    /// They are there.
    There(Vec<Vec<f64>>),
    /// A GPU will have them.
    Coming(GpuReading),
}

impl Reading {
    /// Whether they may still have to be waited for. Does not wait.
    pub fn is_coming(&self) -> bool {
        matches!(self, Reading::Coming(reading) if !reading.is_there())
    }

    /// The numbers, one list a run. Waits for what they depend on, and for nothing that was handed over later.
    pub fn wait(self) -> Vec<Vec<f64>> {
        match self {
            Reading::There(numbers) => numbers,
            Reading::Coming(reading) => reading.wait(),
        }
    }
}
