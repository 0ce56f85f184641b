//! Programs on a GPU through wgpu: adapters, pipelines, buffers, submissions.
//!
//! A replay is one compute pass with every launch of every step in it. Pipelines are shared by shape: sizes are in a
//! uniform buffer, a slot a launch; where operands lie at a step goes with each launch, as immediates. Bindings are
//! reflected from the WGSL.

mod cleared;
mod cooperative;
mod timed;

use self::cleared::Cleared;
use crate::choices::{Choices, Tuning};
use crate::device::{AdapterSummary, DeviceError};
use crate::half;
use crate::launch::{BufferId, Launch, Operand, Shader, Stride, View, aligned};
use crate::mirror::{self, Mirrors, Original, Read, Stale, Words};
use crate::store::{BufferInfo, Kind, Store};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

/// What a kernel may want to know of an adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct Traits {
    /// The adapter's name.
    pub name: String,
    /// Driver and version.
    pub driver: String,
    /// Vulkan, Metal or DX12.
    pub backend: String,
    /// Discrete, integrated, virtual, software.
    pub kind: String,
    /// A CPU that plays a GPU.
    pub software: bool,
    /// Lanes of a subgroup, where subgroup operations exist and the number is fixed.
    pub subgroup: Option<u32>,
    /// Matrices of 8 x 8 numbers that a subgroup has together, where they are there and were asked for.
    pub cooperative: bool,
    /// Integers of 64 bits in shaders.
    pub wide_integers: bool,
    /// Numbers of 16 bits in buffers.
    pub half: bool,
    /// Bytes of workgroup memory.
    pub workgroup_memory: usize,
    /// Threads that a workgroup may have.
    pub workgroup_threads: usize,
    /// Which variants compute products here.
    pub choices: Arc<Choices>,
}

impl Traits {
    /// Whether results in rows of so many elements are best computed four at a time, of operands that lie as `views` say.
    /// What a software adapter takes for loads and stores is time for each of them, not for its bytes.
    pub(crate) fn best_by_four(&self, row: usize, views: &[&View]) -> bool {
        self.software && row.is_multiple_of(4) && views.iter().all(|view| view.is_by_four())
    }
}

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

struct Pipeline {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    /// Bindings that the shader declares.
    bindings: Vec<wgpu::BindGroupLayoutEntry>,
}

fn adapters() -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    pollster::block_on(wgpu::Instance::new(descriptor).enumerate_adapters(wgpu::Backends::all()))
}

fn traits(adapter: &wgpu::Adapter) -> Traits {
    let (info, limits) = (adapter.get_info(), adapter.limits());
    let fixed = info.subgroup_min_size == info.subgroup_max_size;
    let subgroup = adapter.features().contains(wgpu::Features::SUBGROUP) && fixed;
    Traits {
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
        backend: format!("{:?}", info.backend),
        kind: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => "discrete GPU",
            wgpu::DeviceType::IntegratedGpu => "integrated GPU",
            wgpu::DeviceType::VirtualGpu => "virtual GPU",
            wgpu::DeviceType::Cpu => "software",
            wgpu::DeviceType::Other => "other",
        }
        .into(),
        software: info.device_type == wgpu::DeviceType::Cpu,
        subgroup: subgroup.then_some(info.subgroup_min_size),
        cooperative: cooperative::are_used(adapter),
        wide_integers: adapter.features().contains(wgpu::Features::SHADER_INT64),
        half: adapter.features().contains(wgpu::Features::SHADER_F16),
        workgroup_memory: limits.max_compute_workgroup_storage_size as usize,
        workgroup_threads: limits.max_compute_invocations_per_workgroup as usize,
        choices: Arc::default(),
        name: info.name,
    }
}

pub(crate) fn summaries() -> Vec<AdapterSummary> {
    let summary = |(index, adapter): (usize, &wgpu::Adapter)| {
        let (limits, features) = (adapter.limits(), adapter.features());
        let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
        let present = |name: &str, flag| features.contains(flag).then(|| name.to_string());
        AdapterSummary {
            index,
            traits: traits(adapter),
            limits: vec![
                ("largest buffer".into(), mib(limits.max_buffer_size)),
                ("largest binding".into(), mib(limits.max_storage_buffer_binding_size)),
                ("storage buffers a shader".into(), limits.max_storage_buffers_per_shader_stage.to_string()),
                ("workgroup memory".into(), format!("{} KiB", limits.max_compute_workgroup_storage_size >> 10)),
                ("threads a workgroup".into(), limits.max_compute_invocations_per_workgroup.to_string()),
            ],
            features: [
                present("subgroups", wgpu::Features::SUBGROUP),
                present("64-bit integers", wgpu::Features::SHADER_INT64),
                present("f16", wgpu::Features::SHADER_F16),
                present("timestamps", wgpu::Features::TIMESTAMP_QUERY),
                present("timestamps inside passes", wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES),
                cooperative::feature(adapter),
            ]
            .into_iter()
            .flatten()
            .collect(),
        }
    };
    adapters().iter().enumerate().map(summary).collect()
}

impl Pipeline {
    /// Bindings that are textures, and their formats.
    fn mirrored(&self) -> impl Iterator<Item = (u32, wgpu::TextureFormat)> {
        self.bindings.iter().filter_map(|e| match e.ty {
            wgpu::BindingType::StorageTexture { format, .. } => Some((e.binding, format)),
            _ => None,
        })
    }
}

impl Gpu {
    /// Bytes that a buffer may have to be bound whole.
    pub(crate) fn largest_buffer(&self) -> u64 {
        let limits = self.device.limits();
        limits.max_buffer_size.min(limits.max_storage_buffer_binding_size)
    }

    /// Opens adapter number `index` of [`summaries`].
    pub(crate) fn open(index: usize, tuning: &Tuning) -> Result<Gpu, DeviceError> {
        let adapters = adapters();
        let adapter = adapters.get(index).ok_or(DeviceError::NoAdapter)?;
        let mut traits = traits(adapter);
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

    /// The pipeline for a complete WGSL text, compiled at its first use.
    fn pipeline(&self, text: &Text<'_>) -> Arc<Pipeline> {
        let key = text.key();
        if let Some(pipeline) = self.pipelines().get(&key) {
            return pipeline.clone();
        }
        // Compiled with the list open to others, who compile something else meanwhile.
        let pipeline = Arc::new(self.compile(text));
        self.pipelines().entry(key).or_insert(pipeline).clone()
    }

    fn pipelines(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Pipeline>>> {
        self.pipelines.lock().expect("no thread panics with the pipelines")
    }

    /// The shaders of some launches, compiled. Texts are written, and compiled, side by side: a driver takes tens of milliseconds for each.
    fn compile_all(&self, launches: &[Launch]) -> Vec<(Shader, Arc<Pipeline>)> {
        let shaders: Vec<Shader> = launches.par_iter().map(|launch| launch.shader(&self.traits)).collect();
        let text = |(launch, shader)| Text::new(&self.traits, launch, shader);
        let texts: Vec<Text<'_>> = launches.par_iter().zip(&shaders).map(text).collect();
        let keys: Vec<String> = texts.par_iter().map(Text::key).collect();
        let different: BTreeMap<&String, &Text<'_>> = keys.iter().zip(&texts).collect();
        let compiled = |(key, text)| (key, self.pipeline(text));
        let pipelines: BTreeMap<&String, Arc<Pipeline>> = different.into_par_iter().map(compiled).collect();
        let of_each: Vec<_> = keys.iter().map(|key| pipelines[key].clone()).collect();
        shaders.into_iter().zip(of_each).collect()
    }

    /// Has the driver compile what some launches need, so that it is there when they are made ready.
    pub(crate) fn prepare(&self, launches: &[Launch]) {
        self.compile_all(launches);
    }

    /// Why the adapter does not take a WGSL text in which naga finds nothing wrong; nothing where it does.
    pub(crate) fn refusal(&self, name: &str, source: &str, entry: &str) -> Option<String> {
        // A driver that fails to compile is an internal error.
        let scopes =
            [wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::Internal].map(|f| self.device.push_error_scope(f));
        self.compile(&Text { name, source: source.into(), entry, constants: &[] });
        let errors = scopes.into_iter().rev().filter_map(|scope| pollster::block_on(scope.pop()));
        errors.map(|error| error.to_string()).next()
    }

    fn compile(&self, Text { name, source, entry, constants }: &Text<'_>) -> Pipeline {
        let name = *name;
        self.counters.pipelines.fetch_add(1, Relaxed);
        let entries = reflect(name, source);
        let layout = self
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(name), entries: &entries });
        let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(name),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: size_of::<Views>() as u32,
        });
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(name),
            source: wgpu::ShaderSource::Wgsl(source.as_str().into()),
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(entry),
            compilation_options: wgpu::PipelineCompilationOptions { constants, ..Default::default() },
            cache: None,
        });
        Pipeline { pipeline, layout, bindings: entries }
    }
}

/// What a pipeline is compiled from.
struct Text<'a> {
    name: &'a str,
    source: String,
    entry: &'a str,
    constants: &'a [(&'static str, f64)],
}

impl<'a> Text<'a> {
    fn new(adapter: &Traits, launch: &'a Launch, shader: &'a Shader) -> Text<'a> {
        let Shader { source, entry, constants, .. } = shader;
        Text { name: launch.kernel.describe().name(), source: compose(adapter, launch, source), entry, constants }
    }

    fn key(&self) -> String {
        format!("{}{:?}{}", self.entry, self.constants, self.source)
    }
}

/// The bindings that a WGSL text declares: the shader is the one place that says what they are.
fn reflect(name: &str, source: &str) -> Vec<wgpu::BindGroupLayoutEntry> {
    let module =
        naga::front::wgsl::parse_str(source).unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(source)));
    let entry = |(_, variable): (_, &naga::GlobalVariable)| {
        let buffer = |ty| wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None };
        let ty = match (variable.space, &module.types[variable.ty].inner) {
            (naga::AddressSpace::Uniform, _) => buffer(wgpu::BufferBindingType::Uniform),
            (naga::AddressSpace::Storage { access }, _) => {
                buffer(wgpu::BufferBindingType::Storage { read_only: !access.contains(naga::StorageAccess::STORE) })
            }
            (
                naga::AddressSpace::Handle,
                naga::TypeInner::Image { class: naga::ImageClass::Storage { format, .. }, .. },
            ) => wgpu::BindingType::StorageTexture {
                access: wgpu::StorageTextureAccess::ReadOnly,
                format: texture_format(*format),
                view_dimension: wgpu::TextureViewDimension::D2,
            },
            _ => return None,
        };
        Some(wgpu::BindGroupLayoutEntry {
            binding: variable.binding.as_ref()?.binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty,
            count: None,
        })
    };
    module.global_variables.iter().filter_map(entry).collect()
}

/// The formats that a mirror can have: a number, or four, to a texel.
fn texture_format(format: naga::StorageFormat) -> wgpu::TextureFormat {
    match format {
        naga::StorageFormat::R32Float => wgpu::TextureFormat::R32Float,
        naga::StorageFormat::Rgba32Float => wgpu::TextureFormat::Rgba32Float,
        naga::StorageFormat::Rgba8Unorm => wgpu::TextureFormat::Rgba8Unorm,
        naga::StorageFormat::Rgba32Uint => wgpu::TextureFormat::Rgba32Uint,
        _ => panic!("no mirror has the format {format:?}"),
    }
}

/// A store's buffers on a GPU: run after run, each run's part on a boundary of 64 elements.
pub(crate) struct GpuMemory {
    gpu: Arc<Gpu>,
    runs: usize,
    buffers: Vec<wgpu::Buffer>,
    /// Words from one run to the next; 0 for a shared buffer.
    strides: Vec<usize>,
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

/// A program's launches, with their pipelines and bind groups.
pub(crate) struct GpuProgram {
    gpu: Arc<Gpu>,
    launches: Vec<Ready>,
    mirrors: Mirrors,
}

struct Ready {
    pipeline: Arc<Pipeline>,
    group: wgpu::BindGroup,
    grid: [u32; 3],
    /// Where its operands lie, of each view.
    places: Vec<Place>,
    /// What it reads of mirrors.
    reads: Vec<Read>,
    /// What it writes.
    written: Vec<(BufferId, Words)>,
    /// What must hold zeros before it.
    cleared: Option<Cleared>,
}

impl Ready {
    fn encode(&self, pass: &mut wgpu::ComputePass<'_>, step: usize) {
        pass.set_pipeline(&self.pipeline.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.set_immediates(0, bytemuck::bytes_of(&Views::at(&self.places, step)));
        let [x, y, z] = self.grid;
        pass.dispatch_workgroups(x, y, z);
    }
}

/// Most views that a launch can have.
const VIEWS: usize = 12;
/// Words of a launch's slot in the uniform buffer: 8 sizes, and of 12 views how far they are apart; rounded up to 256 bytes.
const SLOT: usize = 64;
/// Where that begins.
const APART: usize = 8;
/// Launches in one submission: enough to hide its cost, few enough to let the device start early.
const LAUNCHES_A_SUBMISSION: usize = 4096;

impl GpuProgram {
    pub(crate) fn new(
        gpu: &Arc<Gpu>,
        store: &Store,
        memory: &GpuMemory,
        launches: &[Launch],
        temporaries: &[usize],
    ) -> GpuProgram {
        let halves: BTreeSet<usize> = launches.iter().filter_map(|launch| launch.output.buffer.half()).collect();
        let temporary = |(id, &elements): (usize, &usize)| {
            let (stride, numbers_a_word) = (aligned(elements), if halves.contains(&id) { 2 } else { 1 });
            (gpu.storage("temporary", stride * store.runs() / numbers_a_word), stride)
        };
        let temporaries: Vec<(wgpu::Buffer, usize)> = temporaries.iter().enumerate().map(temporary).collect();
        let place = |id: BufferId| match id {
            BufferId::Stored(id) => (&memory.buffers[id], memory.strides[id], store.info(id).kind),
            BufferId::Temporary(id) | BufferId::Half(id) => (&temporaries[id].0, temporaries[id].1, Kind::Float),
        };
        let mut slots = vec![0_u32; SLOT * launches.len().max(1)];
        use wgpu::BufferUsages as Use;
        let params = gpu.buffer("params", slots.len() as u64 * 4, Use::UNIFORM | Use::COPY_DST);
        let mut ready = Vec::new();
        let mut mirrors = Mirrors::default();
        for (n, (launch, (shader, pipeline))) in launches.iter().zip(gpu.compile_all(launches)).enumerate() {
            let kernel = launch.kernel.describe();
            let operands = launch.operands();
            let slot = &mut slots[n * SLOT..(n + 1) * SLOT];
            slot[..shader.size.len()].copy_from_slice(&shader.size);
            assert!(operands.len() <= VIEWS, "{}: {} operands, {VIEWS} are possible", kernel.name(), operands.len());
            let places: Vec<Place> = operands
                .iter()
                .map(|Operand { view, .. }| {
                    let (_, stride, kind) = place(view.buffer);
                    Place::new(view, stride, kind)
                })
                .collect();
            slot[APART..].iter_mut().zip(&places).for_each(|(word, place)| *word = place.apart);
            let operand = |binding: u32| operands[binding as usize - 2].view.buffer;
            let original = |id: BufferId| match place(id) {
                (buffer, 0, _) => Original { id, buffer, runs: 1, stride: buffer.size() as usize / 4 },
                (buffer, stride, _) => Original { id, buffer, runs: store.runs(), stride },
            };
            let mirrored: Vec<(u32, usize)> =
                pipeline.mirrored().map(|(b, format)| (b, mirrors.of(gpu, original(operand(b)), format))).collect();
            let textures: Vec<_> = mirrored.iter().map(|&(_, mirror)| mirrors.view(mirror)).collect();
            let words = |&Operand { view, elements, .. }: &Operand| {
                let elements = elements.map(|elements| elements + (launch.abreast - 1) * view.apart);
                words_of(&view, elements, place(view.buffer).2).unwrap_or(0..original(view.buffer).stride)
            };
            let resource = |binding: u32| match binding {
                1 => wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &params,
                    offset: (n * SLOT * 4) as u64,
                    size: std::num::NonZero::new(SLOT as u64 * 4),
                }),
                b => match mirrored.iter().position(|m| m.0 == b) {
                    Some(m) => wgpu::BindingResource::TextureView(&textures[m]),
                    None => place(operand(b)).0.as_entire_binding(),
                },
            };
            let entries: Vec<_> = pipeline
                .bindings
                .iter()
                .map(|e| wgpu::BindGroupEntry { binding: e.binding, resource: resource(e.binding) })
                .collect();
            let group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(kernel.name()),
                layout: &pipeline.layout,
                entries: &entries,
            });
            let [x, y] = shader.groups;
            let read = |(binding, mirror): (u32, usize)| Read { mirror, words: words(&operands[binding as usize - 2]) };
            let reads = mirrored.into_iter().map(read).collect();
            let also = &operands[1 + launch.inputs.len()..][..launch.before.len()];
            let written = [&operands[..1], also].concat().iter().map(|to| (to.view.buffer, words(to))).collect();
            let cleared = shader.over_zeros.then(|| {
                let Original { buffer, runs, stride, .. } = original(launch.output.buffer);
                Cleared::of_runs(buffer, &launch.output, kernel.elements(), runs, stride)
            });
            let grid = [x, y, (store.runs() * launch.abreast) as u32];
            ready.push(Ready { pipeline, group, grid, places, reads, written, cleared });
        }
        gpu.queue.write_buffer(&params, 0, bytemuck::cast_slice(&slots));
        GpuProgram { gpu: gpu.clone(), launches: ready, mirrors }
    }

    /// What a launch needs before it that no launch does, and a pass can't: copies, and zeros.
    fn prepare(&self, launch: &Ready, stale: &mut Stale, encoder: &mut wgpu::CommandEncoder) {
        self.mirrors.refresh(stale, &launch.reads, encoder);
        launch.cleared.iter().for_each(|cleared| cleared.encode(encoder));
    }

    /// Hands all steps over; waits for none of them.
    pub(crate) fn run(&self, steps: Range<usize>) {
        let steps_a_submission = (LAUNCHES_A_SUBMISSION / self.launches.len().max(1)).max(1);
        let mut next = steps.start;
        // The host may have written since the last replay.
        let mut stale = self.mirrors.all_stale();
        while next < steps.end {
            let now = next..steps.end.min(next + steps_a_submission);
            let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
            let mut pass = None;
            for (step, launch) in now.clone().flat_map(|step| self.launches.iter().map(move |launch| (step, launch))) {
                if launch.cleared.is_some() || self.mirrors.any_stale(&stale, &launch.reads) {
                    drop(pass.take());
                    self.prepare(launch, &mut stale, &mut encoder);
                }
                let begin = || encoder.begin_compute_pass(&Default::default()).forget_lifetime();
                launch.encode(pass.get_or_insert_with(begin), step);
                launch.written.iter().for_each(|(id, words)| self.mirrors.written(&mut stale, *id, words));
            }
            drop(pass);
            self.gpu.counters.submissions.fetch_add(1, Relaxed);
            self.gpu.counters.launches.fetch_add((now.len() * self.launches.len()) as u64, Relaxed);
            self.gpu.queue.submit([encoder.finish()]);
            next = now.end;
        }
    }
}

/// The words of a run's part in which an operand of so many elements lies; unknown where it moves, or may be of any length.
fn words_of(view: &View, elements: Option<usize>, kind: Kind) -> Option<Words> {
    let a_word = if kind == Kind::Bytes { 4 } else { 1 };
    let elements = elements.filter(|_| view.step.stride == 0)?;
    Some(view.offset / a_word..(view.offset + elements).div_ceil(a_word))
}

/// A view in the words of a shader.
struct Place {
    offset: u32,
    run_stride: u32,
    apart: u32,
    step: Stride,
}

impl Place {
    fn new(view: &View, run_stride: usize, kind: Kind) -> Place {
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
struct Views {
    offsets: [u32; VIEWS],
    run_strides: [u32; VIEWS],
}

impl Views {
    fn at(places: &[Place], step: usize) -> Views {
        let mut views = Views { offsets: [0; VIEWS], run_strides: [0; VIEWS] };
        for ((offset, run_stride), place) in views.offsets.iter_mut().zip(&mut views.run_strides).zip(places) {
            (*offset, *run_stride) = (place.at(step), place.run_stride);
        }
        views
    }
}

/// Elements from which on mirrors for an epilogue are worth their copies.
const MIRRORED_EPILOGUE: usize = 4096;

/// Prelude, kernel, epilogue: one WGSL text.
pub(crate) fn compose(adapter: &Traits, launch: &Launch, kernel: &str) -> String {
    let mirrored = adapter.software && launch.kernel.describe().elements() >= MIRRORED_EPILOGUE;
    let epilogue = launch.epilogue_wgsl(kernel, mirrored);
    let prelude = include_str!("../../shaders/prelude.wgsl");
    let (halves, cooperative) = (half::any_half(launch), kernel.contains("coop_mat"));
    let enabled = [(halves, "enable f16;\n"), (cooperative, "enable wgpu_cooperative_matrix;\n")];
    let enabled: String = enabled.iter().filter(|(needed, _)| *needed).map(|(_, line)| *line).collect();
    let kernel = if halves { half::kept_in_half(kernel, launch) } else { kernel.into() };
    format!("{enabled}{prelude}\n{kernel}\n{epilogue}")
}
