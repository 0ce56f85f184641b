//! Replays in which each launch's time is told, by the best clock that the adapter has.
//!
//! Every submission is waited for and read back, so a timed replay as a whole is slower than another. Its launches are
//! the same, in the same order, and so are their results.

use super::{Gpu, GpuProgram};
use crate::timing::{Clock, Pass, Slot, Span, Stopwatch};
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

/// Timestamps that a set can hold on every adapter.
const MOST_TIMESTAMPS: usize = wgpu::QUERY_SET_MAX_QUERIES as usize;
/// Launches in a pass: a pair of timestamps each, and one for the pass.
const LAUNCHES_A_PASS: usize = MOST_TIMESTAMPS / 2 - 1;

/// Timestamps of one submission, and the way by which they come back.
pub(super) struct Timestamps {
    set: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    landing: wgpu::Buffer,
    count: u32,
}

impl Gpu {
    pub(crate) fn clocks(&self) -> Vec<Clock> {
        let features = self.device.features();
        let has = |feature: wgpu::Features, clock| features.contains(feature).then_some(clock);
        let inside = wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES;
        let bounds = has(wgpu::Features::TIMESTAMP_QUERY, Clock::PassBounds);
        [has(inside, Clock::InsidePass), bounds, Some(Clock::Waits)].into_iter().flatten().collect()
    }
}

impl GpuProgram {
    /// Replays steps and waits for them.
    pub(crate) fn run_timed(&self, steps: Range<usize>, stopwatch: Stopwatch) -> Vec<Pass> {
        assert!(self.gpu.clocks().contains(&stopwatch.clock), "this adapter has no clock {:?}", stopwatch.clock);
        self.gpu.wait(); // What was handed over before is not timed.
        let slots: Vec<Slot> =
            steps.flat_map(|step| (0..self.launches.len()).map(move |launch| (step, launch))).collect();
        let passes = slots.chunks(LAUNCHES_A_PASS);
        match stopwatch.clock {
            Clock::InsidePass if !self.prepares() => passes.map(|slots| self.one_pass(slots, stopwatch)).collect(),
            Clock::InsidePass | Clock::PassBounds => passes.map(|slots| self.pass_each(slots, stopwatch)).collect(),
            Clock::Waits | Clock::Thread => passes.map(|slots| self.wait_each(slots, stopwatch)).collect(),
        }
    }

    /// Whether something is copied or cleared between launches, which ends a pass.
    fn prepares(&self) -> bool {
        !self.mirrors.is_empty() || self.launches.iter().any(|launch| launch.cleared.is_some())
    }

    fn one_pass(&self, slots: &[Slot], stopwatch: Stopwatch) -> Pass {
        let timestamps = Timestamps::new(&self.gpu, 2 + 2 * slots.len());
        let submitted = self.submit(slots.len(), stopwatch, |encoder| {
            let mut pass = encoder.begin_compute_pass(&timestamps.around_pass(0));
            for (n, &(step, launch)) in slots.iter().enumerate() {
                let at = 2 + 2 * n as u32;
                pass.write_timestamp(&timestamps.set, at);
                self.launches[launch].encode(&mut pass, step);
                pass.write_timestamp(&timestamps.set, at + 1);
            }
            drop(pass);
            timestamps.resolve(encoder);
        });
        self.pass_of(&timestamps, true, submitted, slots)
    }

    fn pass_each(&self, slots: &[Slot], stopwatch: Stopwatch) -> Pass {
        let timestamps = Timestamps::new(&self.gpu, 2 * slots.len());
        let submitted = self.submit(slots.len(), stopwatch, |encoder| {
            let mut stale = self.mirrors.all_stale();
            for (n, &(step, launch)) in slots.iter().enumerate() {
                let launch = &self.launches[launch];
                self.prepare(launch, &mut stale, encoder);
                launch.encode(&mut encoder.begin_compute_pass(&timestamps.around_pass(2 * n as u32)), step);
                launch.written.iter().for_each(|(id, words)| self.mirrors.written(&mut stale, *id, words));
            }
            timestamps.resolve(encoder);
        });
        self.pass_of(&timestamps, false, submitted, slots)
    }

    fn wait_each(&self, slots: &[Slot], stopwatch: Stopwatch) -> Pass {
        let mut stale = self.mirrors.all_stale();
        let span = |&(step, launch): &Slot| {
            let start_ns = self.submit(1, stopwatch, |encoder| {
                self.prepare(&self.launches[launch], &mut stale, encoder);
                self.launches[launch].encode(&mut encoder.begin_compute_pass(&Default::default()), step);
            });
            self.launches[launch].written.iter().for_each(|(id, words)| self.mirrors.written(&mut stale, *id, words));
            self.gpu.wait();
            Span { launch, step, run: None, start_ns, end_ns: stopwatch.elapsed_ns() }
        };
        let start_ns = stopwatch.elapsed_ns();
        let spans = slots.iter().map(span).collect();
        Pass { lane: 0, start_ns, end_ns: stopwatch.elapsed_ns(), spans }
    }

    /// Encodes and submits; returns when it was submitted.
    fn submit(&self, launches: usize, stopwatch: Stopwatch, encode: impl FnOnce(&mut wgpu::CommandEncoder)) -> u64 {
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        encode(&mut encoder);
        let commands = encoder.finish();
        let submitted = stopwatch.elapsed_ns();
        self.gpu.counters.submissions.fetch_add(1, Relaxed);
        self.gpu.counters.launches.fetch_add(launches as u64, Relaxed);
        self.gpu.queue.submit([commands]);
        submitted
    }

    fn pass_of(&self, timestamps: &Timestamps, own_bounds: bool, submitted: u64, slots: &[Slot]) -> Pass {
        let tick_ns = f64::from(self.gpu.queue.get_timestamp_period());
        Pass::of_ticks(&timestamps.read(&self.gpu), own_bounds, tick_ns, submitted, slots)
    }
}

impl Timestamps {
    pub(super) fn new(gpu: &Gpu, count: usize) -> Timestamps {
        use wgpu::BufferUsages as Use;
        let bytes = count as u64 * 8;
        Timestamps {
            set: gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("timestamps"),
                ty: wgpu::QueryType::Timestamp,
                count: count as u32,
            }),
            resolved: gpu.buffer("timestamps", bytes, Use::QUERY_RESOLVE | Use::COPY_SRC),
            landing: gpu.buffer("timestamps read back", bytes, Use::MAP_READ | Use::COPY_DST),
            count: count as u32,
        }
    }

    /// A pass that writes when it begins and when it ends.
    pub(super) fn around_pass(&self, first: u32) -> wgpu::ComputePassDescriptor<'_> {
        wgpu::ComputePassDescriptor {
            label: Some("timed"),
            timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                query_set: &self.set,
                beginning_of_pass_write_index: Some(first),
                end_of_pass_write_index: Some(first + 1),
            }),
        }
    }

    pub(super) fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.resolve_query_set(&self.set, 0..self.count, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.landing, 0, u64::from(self.count) * 8);
    }

    /// Waits for them.
    pub(super) fn read(&self, gpu: &Gpu) -> Vec<u64> {
        self.landing
            .slice(..)
            .map_async(wgpu::MapMode::Read, |result| result.expect("the device was lost before timestamps were read"));
        gpu.wait();
        let mapped = self.landing.slice(..).get_mapped_range().expect("the range was mapped and waited for");
        bytemuck::pod_collect_to_vec(&mapped)
    }
}
