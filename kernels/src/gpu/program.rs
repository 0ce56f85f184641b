//! A program: launches that are bound to buffers, and replayed.

use super::Gpu;
use super::bind::{Binder, Buffers, Ready};
use super::memory::GpuMemory;
use super::mirror::{Mirrors, Stale};
use crate::launch::Launch;
use crate::loops::within_budget;
use crate::store::Store;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A program's launches, with their pipelines and bind groups.
pub(crate) struct GpuProgram {
    pub(super) gpu: Arc<Gpu>,
    pub(super) launches: Vec<Ready>,
    pub(super) mirrors: Mirrors,
}

/// Launches in one submission: enough to hide its cost, few enough to let the device start early.
const LAUNCHES_A_SUBMISSION: usize = 4096;

impl GpuProgram {
    /// Compiles the launches and binds them to a store's buffers, and to temporaries of so many elements a run.
    ///
    /// # Panics
    /// If the driver would leave the loops of a launch
    /// ([`Device::check_loops`](crate::Device::check_loops) tells before).
    pub(crate) fn new(
        gpu: &Arc<Gpu>,
        store: &Store,
        memory: &GpuMemory,
        launches: &[Launch],
        temporaries: &[usize],
    ) -> GpuProgram {
        let mut binder = Binder::new(gpu, Buffers::new(gpu, store, memory, launches, temporaries), launches.len());
        if let Err(error) = launches.iter().try_for_each(|launch| within_budget(launch, gpu.traits())) {
            panic!("{error}");
        }
        let compiled = launches.iter().zip(gpu.compile_all(launches));
        let launches = compiled.map(|(launch, (shader, pipeline))| binder.bind(launch, &shader, pipeline)).collect();
        GpuProgram { gpu: gpu.clone(), launches, mirrors: binder.finish() }
    }

    /// What a launch needs before it that no launch does, and a pass can't: copies, and zeros.
    pub(super) fn prepare(&self, launch: &Ready, stale: &mut Stale, encoder: &mut wgpu::CommandEncoder) {
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
