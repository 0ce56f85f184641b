//! Live progress: a bar on a terminal, now and then a plain line elsewhere, nothing when quiet.

use super::say;
use hindsight::experiment::{CheckpointError, Checkpoints, Observer, Progress};
use hindsight::program::{Footprint, Recorder, Stop};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// In a log, a line more often than this tells nothing new.
const BETWEEN_LINES: Duration = Duration::from_secs(2);

/// Watches the methods train, one after another, and passes Ctrl-C on to them.
pub struct Live {
    bar: ProgressBar,
    plain: bool,
    quiet: bool,
    started: Instant,
    last_line: Instant,
    stop: Arc<AtomicBool>,
    recorder: Option<Recorder>,
    checkpoints: Option<Checkpoints>,
    parameters: bool,
    /// Tasks that were finished before.
    resumed: u64,
}

impl Live {
    /// Progress of `tasks` tasks in all, over all methods.
    pub fn new(tasks: usize, quiet: bool, stop: Arc<AtomicBool>) -> Self {
        let terminal = stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(Some(tasks as u64), target(terminal && !quiet));
        let style = ProgressStyle::with_template("{bar:24.cyan/dim} {wide_msg}");
        bar.set_style(style.expect("the template is well-formed"));
        bar.set_message("preparing");
        bar.tick();
        let now = Instant::now();
        Self {
            bar,
            plain: !terminal && !quiet,
            quiet,
            started: now,
            last_line: now,
            stop,
            recorder: None,
            checkpoints: None,
            parameters: false,
            resumed: 0,
        }
    }

    /// From now on keeps checkpoints there.
    pub fn keep(&mut self, checkpoints: Checkpoints) {
        self.checkpoints = Some(checkpoints);
    }

    /// From now on runs end with their parameters, or without.
    pub fn want_parameters(&mut self, wanted: bool) {
        self.parameters = wanted;
    }

    /// Lets a recorder look on.
    pub fn record_with(self, recorder: Option<Recorder>) -> Self {
        Self { recorder, ..self }
    }

    /// Says something above the bar.
    pub fn say(&self, text: &str) {
        self.bar.suspend(|| say(text));
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// How long it has run.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Time left, if the tasks to come take as long as those before. Methods differ, so: about.
    fn left(&self) -> Duration {
        let done = self.bar.position();
        let to_come = self.bar.length().unwrap_or(0).saturating_sub(done);
        self.elapsed().mul_f64(to_come as f64 / (done - self.resumed).max(1) as f64)
    }
}

impl Observer for Live {
    fn prepared(&mut self, method: &str, footprint: &Footprint, at_a_time: usize, runs: usize, tasks: usize) {
        let groups = runs.div_ceil(at_a_time);
        self.bar.inc_length(((groups - 1) * tasks) as u64);
        if self.quiet {
            return;
        }
        let mib = footprint.in_use(at_a_time).div_ceil(1 << 20);
        let apart = if groups > 1 { format!(" of {runs}, as more do not fit") } else { String::new() };
        let noun = if at_a_time == 1 { "run" } else { "runs" };
        self.say(&format!("{method}: {at_a_time} {noun} side by side{apart}, {mib} MiB"));
    }

    fn task_finished(&mut self, progress: &Progress<'_>) {
        self.bar.inc(1);
        let line = format!("{}, about {} s left", describe(progress), self.left().as_secs());
        let due = self.last_line.elapsed() >= BETWEEN_LINES || progress.task == progress.tasks;
        if self.plain && due {
            say(&line);
            self.last_line = Instant::now();
        }
        self.bar.set_message(line);
    }

    fn stop(&self) -> Option<Stop> {
        let stop = self.stop.clone();
        Some(Arc::new(move |_| stop.load(Ordering::Relaxed)))
    }

    fn checkpoints(&self) -> Option<&Checkpoints> {
        self.checkpoints.as_ref()
    }

    fn wants_parameters(&self) -> bool {
        self.parameters
    }

    fn resumed(&mut self, method: &str, done: usize, tasks: usize, within: bool) {
        self.resumed += done as u64;
        self.bar.inc(done as u64);
        if !self.quiet {
            let (after, task) = if within { ("within", done + 1) } else { ("after", done) };
            self.say(&format!("{method}: goes on {after} task {task} of {tasks}"));
        }
    }

    fn checkpoint_failed(&mut self, error: &CheckpointError) {
        self.say(&format!("warning: {error} (going on; if this run is cut short, what it has not finished is lost)"));
    }

    fn recorder(&self) -> Option<&Recorder> {
        self.recorder.as_ref()
    }
}

fn target(shown: bool) -> ProgressDrawTarget {
    if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}

fn describe(progress: &Progress<'_>) -> String {
    let Progress { method, task, tasks, accuracy_so_far } = progress;
    let mean = accuracy_so_far.iter().sum::<f64>() / accuracy_so_far.len().max(1) as f64;
    format!("{method}: task {task} of {tasks}, accuracy so far {:.1} %", 100.0 * mean)
}
