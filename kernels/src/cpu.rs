//! Programs on the CPU: each launch by its kernel's twin.
//!
//! Runs are the parallel axis. A thread takes a run, replays some steps, puts it back and takes the
//! next: five runs keep two cores busy to the end. Temporaries belong to the thread, so they stay in
//! its cache whichever run it serves, and a run's numbers can't depend on its neighbours'. Where there
//! are fewer runs than threads, several threads share a run's larger launches: rows, which are computed
//! to the same bits whoever computes them.

mod dots;
pub(crate) mod gemm;
pub(crate) mod kernel_call;
pub(crate) mod lanes;
pub(crate) mod slide;
pub(crate) mod sparse;
pub(crate) mod vectors;

use self::kernel_call::TwinCall;
use crate::float::Float;
use crate::kernel::Input;
use crate::launch::Launch;
use crate::store::{HostBuffer, HostMemory};
use crate::timing::Watch;
use crate::view::{BufferId, View};
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
    scratch: Scratch<F>,
    /// Threads that share its launches.
    threads: usize,
}

/// What a launch needs besides its operands.
#[derive(Default)]
struct Scratch<F> {
    /// What the kernel computed, where its epilogue reads what the output held.
    computed: Vec<F>,
    /// The epilogue's.
    registers: Vec<F>,
}

/// The stored buffers, those of all runs and those of one, as a step of that run finds them.
#[derive(Clone, Copy)]
struct Around<'a, F> {
    shared: &'a [HostBuffer<F>],
    run: &'a [HostBuffer<F>],
    step: usize,
}

/// Threads that share each of so many runs.
pub(crate) fn threads_of_a_run(runs: usize) -> usize {
    (rayon::current_num_threads() / runs.max(1)).max(1)
}

/// A write into a stored buffer that waits until all steps are done.
type Deferred<F> = (usize, usize, Vec<F>);

impl<F: TwinCall> CpuProgram<F> {
    pub(crate) fn new(launches: Vec<Launch>, temporaries: Vec<usize>) -> Self {
        CpuProgram { launches, temporaries, pool: Mutex::default() }
    }

    fn arena(&self, threads: usize) -> Arena<F> {
        let pooled = self.pool.lock().expect("no thread panics with the pool").pop();
        let arena = pooled.unwrap_or_else(|| Arena {
            temporaries: self.temporaries.iter().map(|&n| vec![F::ZERO; n]).collect(),
            scratch: Scratch::default(),
            threads,
        });
        Arena { threads, ..arena }
    }

    fn give_back(&self, arena: Arena<F>) {
        self.pool.lock().expect("no thread panics with the pool").push(arena);
    }

    /// Replays `steps` in order, each run for itself. Returns those that looked on, one a thread.
    pub(crate) fn run_in_order<W: Watch>(
        &self,
        memory: &mut HostMemory<F>,
        steps: Range<usize>,
        watch: impl Fn(usize) -> W,
    ) -> Vec<W> {
        let threads = rayon::current_num_threads().min(memory.runs.len());
        let sharing = threads_of_a_run(memory.runs.len());
        // Small turns share the runs evenly among threads; large ones keep a run's state in cache.
        let turn = (steps.len() / 8).max(1);
        let (shared, last) = (&memory.shared, steps.end);
        let waiting: VecDeque<_> = memory.runs.iter_mut().enumerate().map(|run| (steps.start, run)).collect();
        let waiting = &Mutex::new(waiting);
        let mut watches: Vec<W> = (0..threads).map(watch).collect();
        rayon::scope(|scope| {
            for watch in &mut watches {
                scope.spawn(move |_| {
                    let mut arena = self.arena(sharing);
                    watch.open();
                    loop {
                        let next = waiting.lock().expect("no thread panics with the queue").pop_front();
                        let Some((at, (number, run))) = next else { break };
                        let end = (at + turn).min(last);
                        (at..end).for_each(|step| self.step(shared, run, &mut arena, (number, step), watch));
                        if end < last {
                            waiting.lock().expect("no thread panics with the queue").push_back((end, (number, run)));
                        }
                    }
                    watch.close();
                    self.give_back(arena);
                });
            }
        });
        watches
    }

    /// Replays `steps` in any order and at the same time: no step may read what another writes. Returns those that
    /// looked on, one a step of a run.
    pub(crate) fn run_independent<W: Watch>(
        &self,
        memory: &mut HostMemory<F>,
        steps: Range<usize>,
        watch: impl Fn(usize) -> W + Sync,
    ) -> Vec<W> {
        let jobs: Vec<(usize, usize)> =
            (0..memory.runs.len()).flat_map(|r| steps.clone().map(move |s| (r, s))).collect();
        let (shared, runs) = (&memory.shared, &memory.runs);
        let (results, watches): (Vec<Vec<Deferred<F>>>, Vec<W>) = jobs
            .par_iter()
            .with_max_len(1)
            .map(|&(run, step)| {
                let mut arena = self.arena(1);
                let mut watch = watch(rayon::current_thread_index().unwrap_or(0));
                watch.open();
                let deferred = self.deferred_step(shared, &runs[run], &mut arena, (run, step), &mut watch);
                watch.close();
                self.give_back(arena);
                (deferred, watch)
            })
            .unzip();
        for (&(run, _), deferred) in jobs.iter().zip(results) {
            for (id, offset, values) in deferred {
                let HostBuffer::Float(buffer) = &mut memory.runs[run][id] else { panic!("an output must be floats") };
                buffer[offset..offset + values.len()].copy_from_slice(&values);
            }
        }
        watches
    }

    /// One step (`at`: number of the run, and the step).
    fn step(
        &self,
        shared: &[HostBuffer<F>],
        run: &mut [HostBuffer<F>],
        arena: &mut Arena<F>,
        at: (usize, usize),
        watch: &mut impl Watch,
    ) {
        let (number, step) = at;
        for (n, launch) in self.launches.iter().enumerate() {
            watch.time(number, step, n, || self.in_place(launch, shared, run, arena, step));
        }
    }

    /// A launch into the buffers of its outputs. (Maps in turns, a few thousand elements of each, gained nothing.)
    fn in_place(
        &self,
        launch: &Launch,
        shared: &[HostBuffer<F>],
        run: &mut [HostBuffer<F>],
        arena: &mut Arena<F>,
        step: usize,
    ) {
        for launch in launch.parts() {
            // Taking the output out of its place leaves the inputs free to be borrowed.
            match launch.output.buffer {
                BufferId::Stored(id) => {
                    let mut buffer = std::mem::take(&mut run[id]);
                    let HostBuffer::Float(out) = &mut buffer else { panic!("an output must be floats, one row a run") };
                    self.abreast(launch, Around { shared, run, step }, arena, out);
                    run[id] = buffer;
                }
                BufferId::Temporary(id) | BufferId::Half(id) => {
                    let mut out = std::mem::take(&mut arena.temporaries[id]);
                    self.abreast(launch, Around { shared, run, step }, arena, &mut out);
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
        at: (usize, usize),
        watch: &mut impl Watch,
    ) -> Vec<Deferred<F>> {
        let (number, step) = at;
        let around = Around { shared, run, step };
        let mut deferred = Vec::new();
        for (n, launch) in self.launches.iter().enumerate() {
            watch.time(number, step, n, || {
                launch.parts().for_each(|launch| self.deferred(launch, around, arena, &mut deferred));
            });
        }
        deferred
    }

    /// A launch whose result waits, if a stored buffer takes it.
    fn deferred(&self, launch: &Launch, around: Around<'_, F>, arena: &mut Arena<F>, deferred: &mut Vec<Deferred<F>>) {
        match launch.output.buffer {
            BufferId::Stored(id) => {
                for which in 0..launch.abreast {
                    let mut out = vec![F::ZERO; launch.kernel.describe().elements()];
                    self.launch(launch, which, around, arena, &mut out);
                    deferred.push((id, start(&launch.output, around.step, which), out));
                }
            }
            BufferId::Temporary(id) | BufferId::Half(id) => {
                let mut out = std::mem::take(&mut arena.temporaries[id]);
                self.abreast(launch, around, arena, &mut out);
                arena.temporaries[id] = out;
            }
        }
    }

    /// All that a launch stands for, into the buffer of its output.
    fn abreast(&self, launch: &Launch, around: Around<'_, F>, arena: &mut Arena<F>, out: &mut [F]) {
        for which in 0..launch.abreast {
            let start = start(&launch.output, around.step, which);
            self.launch(launch, which, around, arena, &mut out[start..]);
        }
    }

    /// One of those that a launch stands for.
    fn launch(&self, launch: &Launch, which: usize, around: Around<'_, F>, arena: &mut Arena<F>, out: &mut [F]) {
        let kernel = launch.kernel.describe();
        let (elements, rows) = (kernel.elements(), kernel.rows());
        let out = &mut out[..elements];
        let of = |view: &View| match *view == launch.output {
            true => Input::Out,
            false => around.input(view, which, &arena.temporaries),
        };
        let inputs: Vec<Input<'_, F>> = launch.inputs.iter().map(of).collect();
        let at_a_time = rows.div_ceil(pieces(launch, arena.threads));
        if at_a_time == rows {
            return compute(launch, 0..rows, out, &inputs, &mut arena.scratch);
        }
        out.par_chunks_mut(at_a_time * (elements / rows)).enumerate().for_each(|(piece, out)| {
            let rows = piece * at_a_time..((piece + 1) * at_a_time).min(rows);
            compute(launch, rows, out, &inputs, &mut Scratch::default());
        });
    }
}

/// Work of a launch, in floating-point operations and bytes, from which on a thread more pays: some tens of microseconds.
const WORTH_A_THREAD: f64 = 4e5;

/// How many threads, of so many, compute a launch.
fn pieces(launch: &Launch, threads: usize) -> usize {
    if threads == 1 {
        return 1;
    }
    let cost = launch.cost();
    let worth = ((cost.flops / 8.0 + cost.bytes) / WORTH_A_THREAD) as usize;
    worth.min(threads).clamp(1, launch.kernel.describe().rows())
}

/// Elements of the output after which its epilogue follows a kernel: a core's cache has room for them and for the epilogue's
/// operands.
pub(crate) const PIECE: usize = 1 << 16;

/// Computes some rows of a launch's output, which are all of `out`, piece by piece where an epilogue is to follow.
fn compute<F: TwinCall>(
    launch: &Launch,
    rows: Range<usize>,
    out: &mut [F],
    inputs: &[Input<'_, F>],
    scratch: &mut Scratch<F>,
) {
    let kernel = launch.kernel.describe();
    let row = kernel.elements() / kernel.rows();
    let at_a_time = if launch.epilogue.is_identity() { rows.len() } else { (PIECE / row).clamp(1, rows.len()) };
    for (piece, out) in out.chunks_mut(at_a_time * row).enumerate() {
        let first = rows.start + piece * at_a_time;
        compute_piece(launch, first..(first + at_a_time).min(rows.end), out, inputs, scratch);
    }
}

fn compute_piece<F: TwinCall>(
    launch: &Launch,
    rows: Range<usize>,
    out: &mut [F],
    inputs: &[Input<'_, F>],
    scratch: &mut Scratch<F>,
) {
    let kernel = launch.kernel.describe();
    let (own, extras) = inputs.split_at(kernel.inputs());
    let reads_old = !kernel.only_epilogue() && extras.iter().any(|x| matches!(x, Input::Out));
    let first = rows.start * (kernel.elements() / kernel.rows());
    let Scratch { computed, registers } = scratch;
    if reads_old {
        computed.resize(computed.len().max(out.len()), F::ZERO);
        F::call(&*launch.kernel, rows, &mut computed[..out.len()], own);
        launch.epilogue.apply(out, first, Some(computed), extras, registers);
    } else {
        F::call(&*launch.kernel, rows, out, own);
        launch.epilogue.apply(out, first, None, extras, registers);
    }
    if launch.output.buffer.is_half() {
        F::round_to_half(out);
    }
}

/// Where an operand begins at a step, of one of those that a launch stands for.
fn start(view: &View, step: usize, which: usize) -> usize {
    view.offset + view.step.at(step) + which * view.apart
}

impl<'a, F: Float> Around<'a, F> {
    /// An operand of one of those that a launch stands for.
    fn input(self, view: &View, which: usize, temporaries: &'a [Vec<F>]) -> Input<'a, F> {
        let start = start(view, self.step, which);
        let id = match view.buffer {
            BufferId::Temporary(id) | BufferId::Half(id) => return Input::Float(&temporaries[id][start..]),
            BufferId::Stored(id) => id,
        };
        let own = &self.run[id];
        match if matches!(own, HostBuffer::Absent) { &self.shared[id] } else { own } {
            HostBuffer::Float(x) => Input::Float(&x[start..]),
            HostBuffer::Index(x) => Input::Index(&x[start..]),
            HostBuffer::Bytes(x) => Input::Bytes(x, start),
            HostBuffer::Absent => panic!("buffer {id} is read in the launch that writes it"),
        }
    }
}
