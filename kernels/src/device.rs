//! Which device computes, and how a user names it.

use crate::choices::{ChoicesError, Tuning};
use crate::choose::{Chosen, choose};
use crate::executable::Order;
use crate::gpu::{Gpu, Traits};
use crate::launch::Launch;
use crate::memory;
use crate::timing::Clock;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where programs run.
#[derive(Clone)]
pub enum Device {
    /// The CPU twins in single precision.
    Cpu,
    /// The CPU twins in double precision: what shaders and gradients are held to.
    Oracle,
    /// An adapter through wgpu.
    Gpu(Arc<Gpu>),
    /// Nowhere: programs are compiled, and neither they nor their buffers come to be. To see what they would take.
    Dry,
}

/// How much fits on a device, where that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes in all.
    pub memory: Option<u64>,
    /// Bytes of one buffer, of all runs.
    pub buffer: Option<u64>,
}

/// What a user asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The best hardware GPU that opens, else the CPU.
    Auto,
    /// The best adapter that opens, hardware before software.
    Gpu,
    /// The CPU.
    Cpu,
    /// An adapter by its index.
    Index(usize),
    /// An adapter by a part of its name.
    Named(String),
}

/// A text that names no device at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a device is auto, gpu, cpu, or an index or part of a name from `hindsight devices`; found nothing")]
pub struct EmptyChoice;

impl std::str::FromStr for DeviceChoice {
    type Err = EmptyChoice;
    fn from_str(text: &str) -> Result<DeviceChoice, EmptyChoice> {
        let text = text.trim();
        Ok(match text.to_ascii_lowercase().as_str() {
            "" => return Err(EmptyChoice),
            "auto" => DeviceChoice::Auto,
            "gpu" => DeviceChoice::Gpu,
            "cpu" => DeviceChoice::Cpu,
            // No machine has an adapter of an index that is too large to be one.
            _ if text.bytes().all(|c| c.is_ascii_digit()) => DeviceChoice::Index(text.parse().unwrap_or(usize::MAX)),
            _ => DeviceChoice::Named(text.to_string()),
        })
    }
}

/// Why a device can't be had.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// No adapter at all.
    #[error(
        "no GPU adapter was found (`hindsight devices` lists them): install a Vulkan, Metal or DX12 driver, or use --device cpu"
    )]
    NoAdapter,
    /// None of that name or index.
    #[error("no adapter has {wanted}. There are: {present}. `hindsight devices` tells more")]
    Unknown {
        /// What was asked for: an index, or a part of a name.
        wanted: String,
        /// What there is.
        present: String,
    },
    /// Several of that name.
    #[error("'{wanted}' is in the name of several adapters: {candidates}. Give the index of one of them")]
    Ambiguous {
        /// The part of a name that was asked for.
        wanted: String,
        /// The adapters that have it, with their indices.
        candidates: String,
    },
    /// A variant that is unknown.
    #[error(transparent)]
    Choices(#[from] ChoicesError),
    /// The driver refused.
    #[error("{adapter} refused to open: {reason}. Try another one (`hindsight devices` lists them) or --device cpu")]
    Refused {
        /// The adapter.
        adapter: String,
        /// The driver's words.
        reason: String,
    },
}

/// One adapter, for a list.
#[derive(Clone, Debug)]
pub struct AdapterSummary {
    /// To be named by.
    pub index: usize,
    /// What it is.
    pub traits: Traits,
    /// Limits that matter here, by name.
    pub limits: Vec<(String, String)>,
    /// Features that matter here and are present.
    pub features: Vec<String>,
}

impl Device {
    /// Opens what was asked for; nothing is timed there ([`Tuning::Off`]).
    ///
    /// # Errors
    /// If there is no such device, or it refuses.
    pub fn open(choice: &DeviceChoice) -> Result<Device, DeviceError> {
        Device::open_tuned(choice, &Tuning::Off)
    }

    /// Opens what was asked for, with variants of kernels as `tuning` says.
    ///
    /// # Errors
    /// If there is no such device, it refuses, or a variant that was told is unknown.
    pub fn open_tuned(choice: &DeviceChoice, tuning: &Tuning) -> Result<Device, DeviceError> {
        Device::open_first(choice, tuning).map(|(device, _)| device)
    }

    /// Opens the first adapter that does open of those that a choice allows, or the CPU where it allows that. Returns it with
    /// the refusals of the adapters before it.
    ///
    /// # Errors
    /// If there is no such device, all refuse, or a variant that was told is unknown.
    pub fn open_first(choice: &DeviceChoice, tuning: &Tuning) -> Result<(Device, Vec<DeviceError>), DeviceError> {
        let adapters = match choice {
            DeviceChoice::Cpu => vec![],
            _ => crate::gpu::summaries(),
        };
        let Chosen { adapters, or_cpu } = choose(choice, &adapters)?;
        let mut refusals = vec![];
        for index in adapters {
            match Gpu::open(index, tuning) {
                Ok(gpu) => return Ok((Device::Gpu(Arc::new(gpu)), refusals)),
                Err(refused @ DeviceError::Refused { .. }) => refusals.push(refused),
                Err(other) => return Err(other),
            }
        }
        match refusals.pop() {
            Some(refused) if !or_cpu => Err(refused),
            last => {
                refusals.extend(last);
                Ok((Device::Cpu, refusals))
            }
        }
    }

    /// How much fits on it.
    pub fn room(&self) -> Room {
        match self {
            Device::Cpu | Device::Oracle => Room { memory: memory::free(), buffer: None },
            // An adapter tells what one buffer may be, and nobody what all may.
            Device::Gpu(gpu) => Room { buffer: Some(gpu.largest_buffer()), ..Room::default() },
            Device::Dry => Room::default(),
        }
    }

    /// Whether values can be kept in half precision. (A CPU rounds them to it, and saves nothing.)
    pub fn has_half(&self) -> bool {
        if let Device::Gpu(gpu) = self { gpu.traits().half } else { true }
    }

    /// What can tell the time of a launch here, the best first.
    pub fn clocks(&self) -> Vec<Clock> {
        match self {
            Device::Gpu(gpu) => gpu.clocks(),
            _ => vec![Clock::Thread],
        }
    }

    /// The variant that computes a launch here: a shader and its entry point, or the twin.
    pub fn variant(&self, launch: &Launch) -> String {
        match self {
            Device::Gpu(gpu) => launch.shader(gpu.traits()).variant(),
            _ => "twin".into(),
        }
    }

    /// Which variants were chosen here so far: names by class. Only a GPU has variants.
    pub fn choices(&self) -> BTreeMap<String, String> {
        match self {
            Device::Gpu(gpu) => gpu.traits().choices.names(),
            _ => BTreeMap::new(),
        }
    }

    /// Whether it is a GPU, and no CPU that plays one.
    pub fn is_hardware(&self) -> bool {
        matches!(self, Device::Gpu(gpu) if !gpu.traits().software)
    }

    /// How much of the device may compute one launch, of so many runs in that order: on the CPU as many of its threads as
    /// share a run.
    pub fn part_of_a_launch(&self, runs: usize, order: Order) -> f64 {
        let sharing = match (self, order) {
            (Device::Gpu(_), _) => return 1.0,
            (_, Order::Sequential) => crate::cpu::threads_of_a_run(runs),
            (_, Order::Independent) => 1,
        };
        sharing as f64 / rayon::current_num_threads() as f64
    }

    /// The fewest steps to hand over at a time, of so many runs, that keep all of the device busy.
    pub fn steps_at_a_time(&self, runs: usize, order: Order) -> usize {
        let threads = rayon::current_num_threads();
        match (self, order) {
            (Device::Gpu(_) | Device::Dry, _) => 1,
            (_, Order::Independent) => threads.div_ceil(runs),
            // Each run is computed by as many threads; else threads take runs in turns of an eighth.
            (_, Order::Sequential) => {
                if runs <= threads {
                    1
                } else {
                    8
                }
            }
        }
    }

    /// Waits until a GPU has done what it was handed before `mark`, and moves the mark to now. What was handed over
    /// between two calls is so what it has to do meanwhile. The CPU is never behind.
    pub fn keep_up(&self, mark: &mut Option<Mark>) {
        let Device::Gpu(gpu) = self else { return };
        if let Some(Mark(before)) = mark.replace(Mark(gpu.now())) {
            gpu.wait_until(before);
        }
    }

    /// Takes these variants from now on, by class, as [`choices`](Self::choices) names them. Nothing is written.
    ///
    /// # Errors
    /// If a variant is unknown; none is taken then.
    pub fn choose(&self, names: &BTreeMap<String, String>) -> Result<(), ChoicesError> {
        match self {
            Device::Gpu(gpu) => gpu.traits().choices.take(names),
            _ => Ok(()),
        }
    }

    /// What a run's bits depend on, by name: an adapter and its driver, or a processor, however many threads it has.
    pub fn identity(&self) -> BTreeMap<&'static str, String> {
        let (name, of) = match self {
            Device::Gpu(_) => ("driver", self.driver()),
            _ => ("processor", processor()),
        };
        [("adapter", self.adapter_name()), (name, of)].into()
    }

    /// All adapters of this machine.
    pub fn list() -> Vec<AdapterSummary> {
        crate::gpu::summaries()
    }

    /// What computes: an adapter's name, or `cpu`.
    pub fn adapter_name(&self) -> String {
        match self {
            Device::Cpu => "cpu".into(),
            Device::Oracle => "cpu, double precision".into(),
            Device::Dry => "nowhere".into(),
            Device::Gpu(gpu) => gpu.traits().name.clone(),
        }
    }

    /// The driver and its version; for the CPU, the number of threads.
    pub fn driver(&self) -> String {
        match self {
            Device::Gpu(gpu) => gpu.traits().driver.clone(),
            _ => format!("{} threads", rayon::current_num_threads()),
        }
    }

    /// Bits of the CPU's vectors where some kernels take wider ones than others do, because they are faster here.
    pub fn wide_vectors(&self) -> Option<usize> {
        matches!(self, Device::Cpu).then(crate::cpu::vectors::wide_bits).flatten()
    }

    /// One line for people.
    pub fn describe(&self) -> String {
        match self {
            Device::Gpu(gpu) => {
                let t = gpu.traits();
                format!("{} ({}, {}, {})", t.name, t.kind, t.backend, t.driver)
            }
            _ => format!("{}, {}", self.adapter_name(), self.driver()),
        }
    }
}

/// A point in what was handed to a GPU.
pub struct Mark(wgpu::SubmissionIndex);

/// This machine's name, where the system tells.
pub fn host() -> String {
    sysinfo::System::host_name().unwrap_or_else(|| "an unnamed machine".into())
}

/// The processor's name, where the system tells; else its architecture.
pub fn processor() -> String {
    let mut system = sysinfo::System::new();
    system.refresh_cpu_all();
    let name = system.cpus().first().map(|cpu| cpu.brand().trim().to_string()).filter(|name| !name.is_empty());
    name.unwrap_or_else(|| std::env::consts::ARCH.into())
}
