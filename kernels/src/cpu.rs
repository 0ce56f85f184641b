//! Programs on the CPU: each launch by its kernel's twin.
//!
//! Runs are the parallel axis. A thread takes a run, replays some steps, puts it back and takes the
//! next: five runs keep two cores busy to the end. Temporaries belong to the thread, so they stay in
//! its cache whichever run it serves, and a run's numbers can't depend on its neighbours'.

use crate::float::Float;
use crate::kernel_call::TwinCall;
use crate::launch::{BufferId, Input, Launch, View};
use crate::store::{HostBuffer, HostMemory};
use rayon::prelude::*;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Mutex;

/// A program's launches, with a pool of temporaries for the threads.
pub(crate) struct CpuProgram<F> {
    launches: Vec<Launch>,
    /// Elements of each temporary.
    temporaries: Vec<usize>,
    pool: Mutex<Vec<Arena<F>>>,
}

struct Arena<F> {
    temporaries: Vec<Vec<F>>,
    scratch: Vec<F>,
}

/// A write into a stored buffer that waits until all steps are done.
type Deferred<F> = (usize, usize, Vec<F>);

impl<F: TwinCall> CpuProgram<F> {
    pub(crate) fn new(launches: Vec<Launch>, temporaries: Vec<usize>) -> Self {
        CpuProgram { launches, temporaries, pool: Mutex::default() }
    }

    fn arena(&self) -> Arena<F> {
        let pooled = self.pool.lock().expect("no thread panics with the pool").pop();
        pooled.unwrap_or_else(|| Arena {
            temporaries: self.temporaries.iter().map(|&n| vec![F::ZERO; n]).collect(),
            scratch: vec![],
        })
    }

    fn give_back(&self, arena: Arena<F>) {
        self.pool.lock().expect("no thread panics with the pool").push(arena);
    }

    /// Replays `steps` in order, each run for itself.
    pub(crate) fn run_in_order(&self, memory: &mut HostMemory<F>, steps: Range<usize>) {
        let threads = rayon::current_num_threads().min(memory.runs.len());
        // Small turns share the runs evenly among threads; large ones keep a run's state in cache.
        let turn = (steps.len() / 8).max(1);
        let shared = &memory.shared;
        let waiting: VecDeque<_> = memory.runs.iter_mut().map(|run| (steps.start, run)).collect();
        let waiting = Mutex::new(waiting);
        rayon::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|_| {
                    let mut arena = self.arena();
                    loop {
                        let next = waiting.lock().expect("no thread panics with the queue").pop_front();
                        let Some((at, run)) = next else { break };
                        let end = (at + turn).min(steps.end);
                        (at..end).for_each(|step| self.step(shared, run, &mut arena, step));
                        if end < steps.end {
                            waiting.lock().expect("no thread panics with the queue").push_back((end, run));
                        }
                    }
                    self.give_back(arena);
                });
            }
        });
    }

    /// Replays `steps` in any order and at the same time: no step may read what another writes.
    pub(crate) fn run_independent(&self, memory: &mut HostMemory<F>, steps: Range<usize>) {
        let jobs: Vec<(usize, usize)> =
            (0..memory.runs.len()).flat_map(|r| steps.clone().map(move |s| (r, s))).collect();
        let (shared, runs) = (&memory.shared, &memory.runs);
        let results: Vec<Vec<Deferred<F>>> = jobs
            .par_iter()
            .with_max_len(1)
            .map(|&(run, step)| {
                let mut arena = self.arena();
                let deferred = self.deferred_step(shared, &runs[run], &mut arena, step);
                self.give_back(arena);
                deferred
            })
            .collect();
        for (&(run, _), deferred) in jobs.iter().zip(results) {
            for (id, offset, values) in deferred {
                let HostBuffer::Float(buffer) = &mut memory.runs[run][id] else { panic!("an output must be floats") };
                buffer[offset..offset + values.len()].copy_from_slice(&values);
            }
        }
    }

    fn step(&self, shared: &[HostBuffer<F>], run: &mut [HostBuffer<F>], arena: &mut Arena<F>, step: usize) {
        for launch in &self.launches {
            let start = start(&launch.output, step);
            // Taking the output out of its place leaves the inputs free to be borrowed.
            match launch.output.buffer {
                BufferId::Stored(id) => {
                    let mut buffer = std::mem::take(&mut run[id]);
                    let HostBuffer::Float(out) = &mut buffer else { panic!("an output must be floats, one row a run") };
                    self.launch(launch, shared, run, arena, step, &mut out[start..]);
                    run[id] = buffer;
                }
                BufferId::Temporary(id) => {
                    let mut out = std::mem::take(&mut arena.temporaries[id]);
                    self.launch(launch, shared, run, arena, step, &mut out[start..]);
                    arena.temporaries[id] = out;
                }
            }
        }
    }

    fn deferred_step(
        &self,
        shared: &[HostBuffer<F>],
        run: &[HostBuffer<F>],
        arena: &mut Arena<F>,
        step: usize,
    ) -> Vec<Deferred<F>> {
        let mut deferred = Vec::new();
        for launch in &self.launches {
            let start = start(&launch.output, step);
            match launch.output.buffer {
                BufferId::Stored(id) => {
                    let mut out = vec![F::ZERO; launch.kernel.describe().elements()];
                    self.launch(launch, shared, run, arena, step, &mut out);
                    deferred.push((id, start, out));
                }
                BufferId::Temporary(id) => {
                    let mut out = std::mem::take(&mut arena.temporaries[id]);
                    self.launch(launch, shared, run, arena, step, &mut out[start..]);
                    arena.temporaries[id] = out;
                }
            }
        }
        deferred
    }

    fn launch(
        &self,
        launch: &Launch,
        shared: &[HostBuffer<F>],
        run: &[HostBuffer<F>],
        arena: &mut Arena<F>,
        step: usize,
        out: &mut [F],
    ) {
        let kernel = launch.kernel.describe();
        let out = &mut out[..kernel.elements()];
        let mut scratch = std::mem::take(&mut arena.scratch);
        let inputs: Vec<Input<'_, F>> =
            launch
                .inputs
                .iter()
                .map(|view| {
                    if *view == launch.output { Input::Out } else { input(view, shared, run, &arena.temporaries, step) }
                })
                .collect();
        let (own, extras) = inputs.split_at(kernel.inputs());
        let reads_old = !kernel.only_epilogue() && extras.iter().any(|x| matches!(x, Input::Out));
        let old = reads_old.then(|| out.to_vec());
        F::call(&*launch.kernel, out, own);
        launch.epilogue.apply(out, old.as_deref(), extras, &mut scratch);
        arena.scratch = scratch;
    }
}

fn start(view: &View, step: usize) -> usize {
    view.offset + view.step.at(step)
}

fn input<'a, F: Float>(
    view: &View,
    shared: &'a [HostBuffer<F>],
    run: &'a [HostBuffer<F>],
    temporaries: &'a [Vec<F>],
    step: usize,
) -> Input<'a, F> {
    let start = start(view, step);
    let id = match view.buffer {
        BufferId::Temporary(id) => return Input::Float(&temporaries[id][start..]),
        BufferId::Stored(id) => id,
    };
    let own = &run[id];
    match if matches!(own, HostBuffer::Absent) { &shared[id] } else { own } {
        HostBuffer::Float(x) => Input::Float(&x[start..]),
        HostBuffer::Index(x) => Input::Index(&x[start..]),
        HostBuffer::Bytes(x) => Input::Bytes(x, start),
        HostBuffer::Absent => panic!("buffer {id} is read in the launch that writes it"),
    }
}
