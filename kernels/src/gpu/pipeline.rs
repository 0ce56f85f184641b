//! WGSL texts, and what a driver makes of them.

use super::Gpu;
use super::adapter::Traits;
use super::half;
use super::views::Views;
use crate::kernel::Shader;
use crate::launch::Launch;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, MutexGuard};

/// A shader, compiled.
pub(super) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
    /// Bindings that the shader declares.
    pub bindings: Vec<wgpu::BindGroupLayoutEntry>,
}

impl Pipeline {
    /// Bindings that are textures, and their formats.
    pub fn mirrored(&self) -> impl Iterator<Item = (u32, wgpu::TextureFormat)> {
        self.bindings.iter().filter_map(|e| match e.ty {
            wgpu::BindingType::StorageTexture { format, .. } => Some((e.binding, format)),
            _ => None,
        })
    }
}

impl Gpu {
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
    pub(super) fn compile_all(&self, launches: &[Launch]) -> Vec<(Shader, Arc<Pipeline>)> {
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

/// Elements from which on mirrors for an epilogue are worth their copies.
const MIRRORED_EPILOGUE: usize = 4096;

/// Prelude, kernel, epilogue: one WGSL text.
pub(crate) fn compose(adapter: &Traits, launch: &Launch, kernel: &str) -> String {
    let mirrored = adapter.software && launch.kernel.describe().elements() >= MIRRORED_EPILOGUE;
    let epilogue = launch.epilogue_wgsl(kernel, mirrored);
    let prelude = include_str!("../../../shaders/prelude.wgsl");
    let (halves, cooperative) = (half::any_half(launch), kernel.contains("coop_mat"));
    let enabled = [(halves, "enable f16;\n"), (cooperative, "enable wgpu_cooperative_matrix;\n")];
    let enabled: String = enabled.iter().filter(|(needed, _)| *needed).map(|(_, line)| *line).collect();
    let kernel = if halves { half::kept_in_half(kernel, launch) } else { kernel.into() };
    format!("{enabled}{prelude}\n{kernel}\n{epilogue}")
}
