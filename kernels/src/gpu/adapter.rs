//! Adapters: which there are, and what kernels may want to know of one.

use super::cooperative;
use crate::choices::Choices;
use crate::device::AdapterSummary;
use crate::view::View;
use std::sync::Arc;

/// What computes behind an adapter, in the order in which one is preferred to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdapterKind {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the CPU's memory.
    Integrated,
    /// A GPU of a virtual machine.
    Virtual,
    /// A driver does not say what.
    Other,
    /// The CPU.
    Software,
}

impl std::fmt::Display for AdapterKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            AdapterKind::Discrete => "discrete GPU",
            AdapterKind::Integrated => "integrated GPU",
            AdapterKind::Virtual => "virtual GPU",
            AdapterKind::Other => "other",
            AdapterKind::Software => "software",
        })
    }
}

/// What a kernel may want to know of an adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct Traits {
    /// The adapter's name.
    pub name: String,
    /// Driver and version.
    pub driver: String,
    /// Vulkan, Metal or DX12.
    pub backend: String,
    /// What stands behind it.
    pub kind: AdapterKind,
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
    /// Iterations of all its loops together after which the driver has an invocation leave them,
    /// without a word; if it does.
    pub loop_budget: Option<usize>,
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

/// What Mesa's software Vulkan allows (LP_MAX_TGSI_LOOP_ITERATIONS).
pub(crate) const LLVMPIPE_LOOPS: usize = 65_535;

pub(super) fn adapters() -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    pollster::block_on(wgpu::Instance::new(descriptor).enumerate_adapters(wgpu::Backends::all()))
}

pub(super) fn traits(adapter: &wgpu::Adapter) -> Traits {
    let (info, limits) = (adapter.get_info(), adapter.limits());
    let fixed = info.subgroup_min_size == info.subgroup_max_size;
    let subgroup = adapter.features().contains(wgpu::Features::SUBGROUP) && fixed;
    Traits {
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
        backend: format!("{:?}", info.backend),
        kind: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => AdapterKind::Discrete,
            wgpu::DeviceType::IntegratedGpu => AdapterKind::Integrated,
            wgpu::DeviceType::VirtualGpu => AdapterKind::Virtual,
            wgpu::DeviceType::Cpu => AdapterKind::Software,
            wgpu::DeviceType::Other => AdapterKind::Other,
        },
        software: info.device_type == wgpu::DeviceType::Cpu,
        subgroup: subgroup.then_some(info.subgroup_min_size),
        cooperative: cooperative::are_used(adapter),
        wide_integers: adapter.features().contains(wgpu::Features::SHADER_INT64),
        half: adapter.features().contains(wgpu::Features::SHADER_F16),
        workgroup_memory: limits.max_compute_workgroup_storage_size as usize,
        workgroup_threads: limits.max_compute_invocations_per_workgroup as usize,
        loop_budget: info.driver.contains("llvmpipe").then_some(LLVMPIPE_LOOPS),
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
