//! A list of launches made ready for a device, to be replayed.

use crate::autotune;
use crate::cpu::CpuProgram;
use crate::device::Device;
use crate::gpu::GpuProgram;
use crate::kernel::Cost;
use crate::launch::Launch;
use crate::store::{Memory, Store};
use crate::timing::{Lane, Pass, Stopwatch, Watch};
use std::ops::Range;

/// Whether a step may read what an earlier one wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// It may: training.
    Sequential,
    /// It must not: evaluation. Steps may run at the same time.
    Independent,
}

/// Launches, compiled for a device and bound to a store's buffers.
pub struct Executable {
    launches: Vec<Launch>,
    program: Backend,
}

enum Backend {
    F32(CpuProgram<f32>),
    F64(CpuProgram<f64>),
    Gpu(GpuProgram),
    Dry,
}

impl Executable {
    /// Compiles shaders, makes temporaries (`temporaries`: elements a run) and binds everything.
    pub fn new(device: &Device, store: &Store, launches: Vec<Launch>, temporaries: Vec<usize>) -> Executable {
        let program = match (device, &store.memory) {
            (Device::Cpu, Memory::F32(_)) => Backend::F32(CpuProgram::new(launches.clone(), temporaries)),
            (Device::Oracle, Memory::F64(_)) => Backend::F64(CpuProgram::new(launches.clone(), temporaries)),
            (Device::Gpu(gpu), Memory::Gpu(memory)) => {
                if gpu.autotunes() {
                    autotune::choose_for(gpu, &launches);
                }
                Backend::Gpu(GpuProgram::new(gpu, store, memory, &launches, &temporaries))
            }
            (Device::Dry, Memory::Dry) => Backend::Dry,
            _ => panic!("the store belongs to another device"),
        };
        Executable { launches, program }
    }

    /// The launches of one step.
    pub fn launches(&self) -> &[Launch] {
        &self.launches
    }

    /// Work of one step of one run.
    pub fn cost(&self) -> Cost {
        self.launches
            .iter()
            .map(Launch::cost)
            .fold(Cost::default(), |a, b| Cost { flops: a.flops + b.flops, bytes: a.bytes + b.bytes })
    }

    /// Replays steps `steps`. Returns when the work is done (CPU) or handed over (GPU).
    pub fn run(&self, store: &mut Store, steps: Range<usize>, order: Order) {
        match (&self.program, &mut store.memory) {
            (Backend::F32(p), Memory::F32(m)) => drop(run_cpu(p, m, steps, order, |_| ())),
            (Backend::F64(p), Memory::F64(m)) => drop(run_cpu(p, m, steps, order, |_| ())),
            (Backend::Gpu(p), Memory::Gpu(_)) => p.run(steps),
            (Backend::Dry, Memory::Dry) => {}
            _ => panic!("the store belongs to another device"),
        }
    }

    /// The same with the same result, and when each launch ran. Waits for the device.
    ///
    /// # Panics
    /// If the stopwatch's clock is not one of the device's ([`Device::clocks`]).
    pub fn run_timed(&self, store: &mut Store, steps: Range<usize>, order: Order, stopwatch: Stopwatch) -> Vec<Pass> {
        let lane = |lane| Lane::new(stopwatch, lane);
        match (&self.program, &mut store.memory) {
            (Backend::F32(p), Memory::F32(m)) => Lane::passes(run_cpu(p, m, steps, order, lane)),
            (Backend::F64(p), Memory::F64(m)) => Lane::passes(run_cpu(p, m, steps, order, lane)),
            (Backend::Gpu(p), Memory::Gpu(_)) => p.run_timed(steps, stopwatch),
            (Backend::Dry, Memory::Dry) => vec![],
            _ => panic!("the store belongs to another device"),
        }
    }
}

fn run_cpu<F: crate::cpu::kernel_call::TwinCall, W: Watch>(
    p: &CpuProgram<F>,
    m: &mut crate::store::HostMemory<F>,
    steps: Range<usize>,
    order: Order,
    watch: impl Fn(usize) -> W + Sync,
) -> Vec<W> {
    match order {
        Order::Sequential => p.run_in_order(m, steps, watch),
        Order::Independent => p.run_independent(m, steps, watch),
    }
}
