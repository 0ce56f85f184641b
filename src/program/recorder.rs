//! Who looks on while a session compiles and replays programs: what they are, and when their launches ran.

use super::explain::Explanation;
use super::plan::Plan;
use hindsight_kernels::{Clock, Device, Order, Pass, Span, Stopwatch};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps what sessions tell it. A clone keeps it in the same place.
#[derive(Clone)]
pub struct Recorder {
    device: Device,
    method: String,
    stopwatch: Option<Stopwatch>,
    /// Steps of each program of which every launch is kept.
    kept_steps: usize,
    programs: Arc<Mutex<Vec<Recorded>>>,
}

/// Times of one launch over all steps.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Total {
    /// How often it ran.
    pub count: u64,
    /// How often, counted for each run that it computed.
    pub runs: u64,
    /// Nanoseconds in all.
    pub ns: u64,
}

/// A program, and what became of it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// What it is.
    pub explanation: Explanation,
    /// A total a launch, without the first step.
    pub totals: Vec<Total>,
    /// Nanoseconds inside the launches of the first step, of all runs: drivers compile shaders and caches fill in it.
    pub first_ns: u64,
    /// Steps that were replayed.
    pub steps: usize,
    /// How much of the device may compute one of its launches: on the CPU the threads that share a run, of all.
    pub part: f64,
    /// When its passes began and ended, and on which lane: `(lane, start_ns, end_ns)`.
    pub passes: Vec<(usize, u64, u64)>,
    /// Idle nanoseconds between launches, inside passes.
    pub gaps_ns: u64,
    /// The launches of its first steps. Where one was left out, a pass ends.
    pub kept: Vec<Pass>,
}

impl Recorder {
    /// Keeps what programs are, as this device would compute them.
    pub fn explaining(device: &Device) -> Recorder {
        Recorder {
            device: device.clone(),
            method: String::new(),
            stopwatch: None,
            kept_steps: 0,
            programs: Arc::default(),
        }
    }

    /// Tells the time of every launch, too, by the best clock of the device; each single one for the first `kept_steps`
    /// steps of each program.
    pub fn timing(device: &Device, kept_steps: usize) -> Recorder {
        Self::timing_by(device, device.clocks()[0], kept_steps)
    }

    /// The same by one of the device's clocks.
    pub fn timing_by(device: &Device, clock: Clock, kept_steps: usize) -> Recorder {
        Recorder { stopwatch: Some(Stopwatch::start(clock)), kept_steps, ..Self::explaining(device) }
    }

    /// One that keeps the programs of a method apart from those of others, in the same place.
    pub fn of(&self, method: &str) -> Recorder {
        Recorder { method: method.into(), ..self.clone() }
    }

    /// The device that it is for.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// By what it tells the time, if it does.
    pub fn stopwatch(&self) -> Option<Stopwatch> {
        self.stopwatch
    }

    /// All programs so far, in the order in which they were compiled.
    pub fn programs(&self) -> Vec<Recorded> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A program was compiled. Returns its number; one that is the same as an earlier one has that one's.
    pub(super) fn compiled(&self, name: &str, plan: &Plan) -> usize {
        let explanation = Explanation::new(&self.device, &self.method, name, plan);
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        programs.iter().position(|known| known.explanation == explanation).unwrap_or_else(|| {
            programs.push(Recorded::new(explanation));
            programs.len() - 1
        })
    }

    /// Steps of a program were replayed, of `runs` runs.
    pub(super) fn ran(&self, program: usize, steps: Range<usize>, runs: usize, order: Order, passes: Vec<Pass>) {
        let part = self.device.part_of_a_launch(runs, order);
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        programs[program].part = part;
        programs[program].add(steps, runs, passes, self.kept_steps);
    }
}

impl Recorded {
    fn new(explanation: Explanation) -> Recorded {
        let totals = vec![Total::default(); explanation.launches.len()];
        Recorded { explanation, totals, first_ns: 0, steps: 0, part: 1.0, passes: vec![], gaps_ns: 0, kept: vec![] }
    }

    fn add(&mut self, steps: Range<usize>, runs: usize, passes: Vec<Pass>, kept_steps: usize) {
        let before = steps.start + kept_steps.saturating_sub(self.steps);
        let first = (self.steps == 0).then_some(steps.start);
        for pass in passes {
            for span in &pass.spans {
                if first == Some(span.step) {
                    self.first_ns += span.duration_ns();
                    continue;
                }
                let total = &mut self.totals[span.launch];
                total.count += 1;
                total.runs += if span.run.is_some() { 1 } else { runs as u64 };
                total.ns += span.duration_ns();
            }
            self.gaps_ns += pass.gaps_ns();
            self.passes.push((pass.lane, pass.start_ns, pass.end_ns));
            self.kept.extend(parts(pass, |span| span.step < before));
        }
        self.steps += steps.len();
    }

    /// Nanoseconds inside launches, those of the first step included.
    pub fn busy_ns(&self) -> u64 {
        self.first_ns + self.counted_ns()
    }

    /// Nanoseconds inside launches, without those of the first step.
    pub fn counted_ns(&self) -> u64 {
        self.totals.iter().map(|total| total.ns).sum()
    }

    /// Nanoseconds of all passes, by their own bounds.
    pub fn passes_ns(&self) -> u64 {
        self.passes.iter().map(|(_, start, end)| end - start).sum()
    }
}

/// The pass, if all of it is wanted; else those stretches of it that are. (A thread may have found nothing to do.)
fn parts(pass: Pass, wanted: impl Fn(&Span) -> bool) -> Vec<Pass> {
    if !pass.spans.is_empty() && pass.spans.iter().all(&wanted) {
        return vec![pass];
    }
    let stretches = pass.spans.chunk_by(|a, b| wanted(a) == wanted(b)).filter(|stretch| wanted(&stretch[0]));
    let part = |spans: &[Span]| {
        let (start_ns, end_ns) = (spans[0].start_ns, spans[spans.len() - 1].end_ns);
        Pass { lane: pass.lane, start_ns, end_ns, spans: spans.to_vec() }
    };
    stretches.map(part).collect()
}
