//! The buffers of a set of runs on a device, and programs replayed over them.

use super::footprint::{Footprint, Held, Ledger};
use super::pace::{Pace, work};
use super::plan::plan;
use super::precision::Precision;
use super::recorder::Recorder;
use crate::autodiff::{Site, Stored, Tape};
use hindsight_kernels::{BufferInfo, Cost, Device, Executable, Kind, Launch, Order, Reading, Store, aligned};
use std::ops::Range;
use std::sync::Arc;

/// Runs side by side on one device: every buffer has one part a run.
pub struct Session {
    device: Device,
    store: Store,
    ledger: Ledger,
    recorder: Option<Recorder>,
    precision: Precision,
    /// Steps of all programs so far, computed or passed over.
    steps: u64,
    computes: Computes,
    stop: Option<Stop>,
    pace: Pace,
}

/// Which steps a session computes.
enum Computes {
    /// All.
    All,
    /// Those after a state, which its buffers then take.
    After(SessionState),
    /// None any more: buffers stay as they were when it was to stop.
    Nothing,
}

/// Whether a session should stop. It is asked between steps, and told how many there have been.
pub type Stop = Arc<dyn Fn(u64) -> bool + Send + Sync>;

/// How far a session has come: what another of the same buffers, for which the host does the same, goes on from.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionState {
    /// Steps of all programs.
    pub steps: u64,
    /// What all buffers of numbers held that are not shared, in the order in which they were made.
    pub contents: Vec<Content>,
}

/// What a buffer of numbers holds, of all runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// The buffer's name.
    pub name: String,
    /// Bytes of one number.
    pub width: usize,
    /// One run's numbers after the other's, bit for bit.
    pub bytes: Vec<u8>,
}

/// A tape compiled for a session.
pub struct Program {
    executable: Executable,
    /// Of a step of one run, by [`work`].
    work: f64,
    /// Its number with the session's recorder, if there was one.
    number: Option<usize>,
    /// Its temporaries are in the session's ledger as long as it lives.
    _held: Held,
}

/// Contents of buffers that a session does not have.
#[derive(Debug, thiserror::Error)]
#[error("its buffers are not those of this version of the program")]
pub struct OtherBuffers;

impl Program {
    /// The launches of one step.
    pub fn launches(&self) -> &[Launch] {
        self.executable.launches()
    }

    /// Work of one step of one run.
    pub fn cost(&self) -> Cost {
        self.executable.cost()
    }
}

impl Session {
    /// A session for `runs` runs.
    pub fn new(device: &Device, runs: usize) -> Session {
        Session {
            device: device.clone(),
            store: Store::new(device, runs),
            ledger: Ledger::default(),
            recorder: None,
            precision: Precision::default(),
            steps: 0,
            computes: Computes::All,
            stop: None,
            pace: Pace::new(),
        }
    }

    /// From now on programs are compiled to keep their values so.
    pub fn keep_in(&mut self, precision: Precision) {
        self.precision = precision;
    }

    /// From now on tells a recorder what is compiled and, if it tells the time, when launches run. Results do not change.
    pub fn record_with(&mut self, recorder: Recorder) {
        self.recorder = Some(recorder);
    }

    /// What its buffers, and the temporaries of its programs, have taken so far at most.
    pub fn footprint(&self) -> Footprint {
        self.ledger.footprint()
    }

    /// The launches of all its programs so far, on [`Device::Dry`]; none on other devices.
    pub fn launches(&self) -> Vec<Launch> {
        self.ledger.launches()
    }

    /// Runs side by side.
    pub fn runs(&self) -> usize {
        self.store.runs()
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    fn stored(&mut self, name: &str, rows: usize, shape: &[usize], values: Kind, shared: bool) -> Stored {
        let elements = rows * shape.iter().product::<usize>();
        self.ledger.store(name, elements, values, shared);
        let id = self.store.allocate(BufferInfo { name: name.into(), kind: values, elements, shared });
        Stored { id, offset: 0, shape: shape.to_vec(), rows, values }
    }

    /// Numbers, zero at first.
    pub fn state(&mut self, name: &str, shape: &[usize]) -> Stored {
        self.stored(name, 1, shape, Kind::Float, false)
    }

    /// Several of the same shape in one buffer, zero at first: what does the same with each of them is one launch.
    pub fn states_abreast<const N: usize>(&mut self, name: &str, shape: &[usize]) -> [Stored; N] {
        let elements = shape.iter().product();
        let apart = aligned(elements);
        let all = self.stored(name, 1, &[(N - 1) * apart + elements], Kind::Float, false);
        std::array::from_fn(|n| Stored { offset: n * apart, shape: shape.to_vec(), ..all.clone() })
    }

    /// `rows` rows of numbers, one a step.
    pub fn rows(&mut self, name: &str, rows: usize, shape: &[usize]) -> Stored {
        self.stored(name, rows, shape, Kind::Float, false)
    }

    /// `rows` rows of indices, one a step.
    pub fn indices(&mut self, name: &str, rows: usize, shape: &[usize]) -> Stored {
        self.stored(name, rows, shape, Kind::Index, false)
    }

    /// Images, the same for all runs; `rows` groups of `shape`.
    pub fn images(&mut self, name: &str, rows: usize, shape: &[usize], data: &[u8]) -> Stored {
        let stored = self.stored(name, rows, shape, Kind::Bytes, true);
        self.store.write_bytes(stored.id, data);
        stored
    }

    /// Indices that are the same for all runs.
    pub fn shared_indices(&mut self, name: &str, rows: usize, shape: &[usize], data: &[u32]) -> Stored {
        let stored = self.stored(name, rows, shape, Kind::Index, true);
        self.store.write_index(stored.id, 0, 0, data);
        stored
    }

    /// Writes one run's numbers, from the first on.
    pub fn write(&mut self, to: &Stored, run: usize, values: &[f64]) {
        self.write_at(to, run, 0, values);
    }

    /// Writes one run's indices, from the first on.
    pub fn write_index(&mut self, to: &Stored, run: usize, values: &[u32]) {
        if !self.is_stopped() {
            self.store.write_index(to.id, run, to.offset, values);
        }
    }

    /// Writes one run's numbers from element `offset` on.
    pub fn write_at(&mut self, to: &Stored, run: usize, offset: usize, values: &[f64]) {
        if !self.is_stopped() {
            self.store.write(to.id, run, to.offset + offset, values);
        }
    }

    /// The numbers of every run. Waits for the device.
    pub fn read(&mut self, from: &Stored) -> Vec<Vec<f64>> {
        let mut runs = self.store.read(from.id);
        for run in &mut runs {
            run.drain(..from.offset);
            run.truncate(from.rows * from.shape.iter().product::<usize>());
        }
        runs
    }

    /// The numbers of every run as they will be when all that was handed over so far is done, of a buffer that is held whole. Does not
    /// wait for a GPU.
    pub fn read_later(&mut self, from: &Stored) -> Reading {
        assert_eq!(from.offset, 0, "read_later: a part of a buffer");
        self.store.read_later(from.id)
    }

    /// How far it has come. Waits for the device.
    pub fn capture(&mut self) -> SessionState {
        SessionState { steps: self.steps, contents: self.contents() }
    }

    /// What all buffers of numbers hold that are not shared, in the order in which they were made. Waits for the device.
    /// (Indices are written by the host alone, which writes them again.)
    pub fn contents(&mut self) -> Vec<Content> {
        let ids: Vec<usize> = self.own().collect();
        let content = |id: usize| {
            let (name, width) = (self.store.info(id).name.clone(), self.store.width(id));
            Content { name, width, bytes: self.store.content(id) }
        };
        ids.into_iter().map(content).collect()
    }

    /// Makes all buffers of numbers hold what another session's held when these were its [`contents`](Self::contents).
    ///
    /// # Errors
    /// If they are not this session's buffers; nothing is written then.
    pub fn restore(&mut self, contents: &[Content]) -> Result<(), OtherBuffers> {
        self.compare(contents)?;
        let ids: Vec<usize> = self.own().collect();
        ids.into_iter().zip(contents).for_each(|(id, content)| self.store.restore(id, &content.bytes));
        Ok(())
    }

    fn compare(&self, contents: &[Content]) -> Result<(), OtherBuffers> {
        let fits = |(id, content): (usize, &Content)| {
            let (info, width, bytes) = (self.store.info(id), self.store.width(id), self.store.content_size(id));
            (&info.name, width, bytes) == (&content.name, content.width, content.bytes.len())
        };
        let all = self.own().count() == contents.len() && self.own().zip(contents).all(fits);
        if all { Ok(()) } else { Err(OtherBuffers) }
    }

    /// Goes on from there: steps before it are passed over, so that what the host decides for them can be decided again
    /// without their being computed. Until then, readings have no meaning.
    ///
    /// # Errors
    /// If they are not this session's buffers, or it has begun.
    pub fn go_on_from(&mut self, state: SessionState) -> Result<(), OtherBuffers> {
        self.compare(&state.contents)?;
        if self.steps > 0 {
            return Err(OtherBuffers);
        }
        // Before the first step the host makes the state.
        if state.steps > 0 {
            self.computes = Computes::After(state);
        }
        Ok(())
    }

    /// Steps of all programs so far, computed or passed over.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// From now on asks whether to stop, several times a second, and hands a GPU no more than it does in that time. None: no longer.
    pub fn stop_when(&mut self, stop: Option<Stop>) {
        self.stop = stop;
    }

    /// Whether it was to stop. It then computes nothing any more, and nothing is written to its buffers.
    pub fn is_stopped(&self) -> bool {
        matches!(self.computes, Computes::Nothing)
    }

    /// Whether it passes steps over.
    pub fn is_behind(&self) -> bool {
        matches!(self.computes, Computes::After(_))
    }

    /// The buffers of numbers that are not shared.
    fn own(&self) -> impl Iterator<Item = usize> {
        let own = |info: &BufferInfo| !info.shared && info.kind == Kind::Float;
        self.store.infos().iter().enumerate().filter(move |(_, info)| own(info)).map(|(id, _)| id)
    }

    /// Compiles a tape: drops what nothing needs, fuses, places, binds.
    #[track_caller]
    pub fn compile(&self, tape: &Tape) -> Program {
        let plan = plan(tape, self.precision);
        let compiled_at = Site::here().to_string();
        let name = tape.name().unwrap_or(&compiled_at);
        let number = self.recorder.as_ref().map(|recorder| recorder.compiled(name, &plan));
        let held = self.ledger.hold(&plan.temporaries);
        if let Device::Dry = self.device {
            self.ledger.compiled(&plan.launches);
        }
        let elements = plan.temporaries.iter().map(|temporary| temporary.elements).collect();
        let executable = Executable::new(&self.device, &self.store, plan.launches, elements);
        let work = work(executable.cost(), executable.launches().len());
        Program { executable, work, number, _held: held }
    }

    /// Replays steps in order. Does not wait for a GPU.
    pub fn run(&mut self, program: &Program, steps: Range<usize>) {
        self.replay(program, steps, Order::Sequential);
    }

    /// Replays steps of which none reads what another writes.
    pub fn run_independent(&mut self, program: &Program, steps: Range<usize>) {
        self.replay(program, steps, Order::Independent);
    }

    fn replay(&mut self, program: &Program, mut steps: Range<usize>, order: Order) {
        while !steps.is_empty() {
            let count = match &self.computes {
                Computes::Nothing => return,
                Computes::After(state) => steps.len().min((state.steps - self.steps) as usize),
                Computes::All => self.at_a_time(program, order).min(steps.len()),
            };
            let now = steps.start..steps.start + count;
            steps.start = now.end;
            self.steps += count as u64;
            match std::mem::replace(&mut self.computes, Computes::All) {
                Computes::After(state) if state.steps > self.steps => self.computes = Computes::After(state),
                Computes::After(state) => self.restore(&state.contents).expect("they were compared"),
                _ => self.compute(program, now, order),
            }
        }
    }

    /// Steps after which it is asked whether to stop.
    fn at_a_time(&mut self, program: &Program, order: Order) -> usize {
        let runs = self.store.runs();
        let timed = self.recorder.as_ref().is_some_and(|recorder| recorder.stopwatch().is_some());
        match self.stop {
            Some(_) if !timed => {
                self.pace.steps(program.work * runs as f64).max(self.device.steps_at_a_time(runs, order))
            }
            _ => usize::MAX,
        }
    }

    /// Computes steps, and sees whether to stop after them.
    fn compute(&mut self, program: &Program, steps: Range<usize>, order: Order) {
        let count = steps.len();
        let timed =
            self.recorder.as_ref().and_then(|recorder| Some((recorder, recorder.stopwatch()?, program.number?)));
        match timed {
            None => program.executable.run(&mut self.store, steps, order),
            Some((recorder, stopwatch, number)) => {
                let passes = program.executable.run_timed(&mut self.store, steps.clone(), order, stopwatch);
                recorder.ran(number, steps, self.store.runs(), order, passes);
            }
        }
        let Some(stop) = &self.stop else { return };
        self.pace.handed(program.work * (count * self.store.runs()) as f64, &self.device);
        if stop(self.steps) {
            self.computes = Computes::Nothing;
        }
    }
}
