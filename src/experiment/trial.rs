//! Some runs in lock-step, task by task: learned, tested, kept.

use super::checkpoint::{Checkpoint, CheckpointError, Keeper};
use super::{
    Anchors, DivergedAt, ExperimentError, FinishedRun, NotFinite, Observer, Progress, RunRecord, TOO_FAR,
    UnfinishedRun, finite,
};
use crate::methods::{self, Lab, Learner, PARAMETERS_NOT_FINITE, Tested};
use crate::metrics::AccuracyMatrix;
use crate::program::Stop;
use crate::settings::RunSpec;
use hindsight_kernels::Reading;
use std::time::{Duration, Instant};

/// One group of runs on its way through the tasks.
pub(super) struct Trial<'a> {
    benchmark: &'a str,
    specs: &'a [RunSpec],
    lab: Lab,
    /// What the tests after each task found of each run, as [`Tested::rows`] has it.
    rows: Vec<Vec<Vec<f64>>>,
    /// The losses of each run's steps, task by task.
    losses: Vec<Vec<Vec<f64>>>,
    train: Duration,
    /// What was spent before, where a checkpoint was gone on from.
    earlier: Duration,
    started: Instant,
    /// When the device was done with the last test.
    free: Instant,
    /// What the last task took.
    took: Option<Duration>,
    /// The losses of the task at hand, of each run, where it was learned before and not tested.
    pending: Option<Vec<Vec<f64>>>,
    keeper: Option<Keeper>,
}

/// A GPU has the next task to learn while the host waits for the test of one that took no longer. (Longer ones can be stopped within,
/// for which the host does not hand over much more than the device has done.)
const SHORT: Duration = Duration::from_secs(1);

/// A task that was handed over, to be learned and then tested.
struct Handed {
    task: usize,
    begun: Instant,
    /// What learning took, where the device was done when it had been handed over.
    learned: Option<Duration>,
    /// The losses of its steps, and where among those read they are; none where it trained nothing.
    losses: Option<(Reading, Vec<usize>)>,
    tested: Option<Tested>,
}

impl<'a> Trial<'a> {
    pub fn new(benchmark: &'a str, specs: &'a [RunSpec], lab: Lab, keeper: Option<Keeper>) -> Trial<'a> {
        let (rows, losses, now) = (vec![vec![]; lab.runs()], vec![vec![]; lab.runs()], Instant::now());
        let [train, earlier] = [Duration::ZERO; 2];
        let (took, pending) = (None, None);
        Trial { benchmark, specs, lab, rows, losses, train, earlier, started: now, free: now, took, pending, keeper }
    }

    /// Learns and tests every task, after those that `kept` has. Where more runs follow, a checkpoint is left at the end.
    pub fn run(
        mut self,
        method: &dyn methods::Method,
        kept: Option<Checkpoint>,
        more_follow: bool,
        observer: &mut dyn Observer,
    ) -> Result<Vec<FinishedRun>, ExperimentError> {
        let mut learner = method.start(&mut self.lab);
        let (mut done, tasks, stop) = (0, self.lab.settings.tasks, observer.stop());
        if let Some(kept) = kept {
            done = self.go_on_from(kept, &mut *learner)?;
            observer.resumed(method.name(), done, tasks, self.lab.session.is_behind());
        }
        let mut waiting: Option<Handed> = None;
        for task in done..tasks {
            let is_short = self.took.is_some_and(|took| took < SHORT);
            let handed = match self.is_to_stop(&stop) {
                true => None,
                false => {
                    self.lab.session.stop_when(stop.clone().filter(|_| !is_short));
                    self.hand_over(&mut *learner, task)
                }
            };
            if let Some(last) = waiting.take() {
                self.settle(last, &*learner, method, observer);
            }
            let Some(handed) = handed else { return Err(self.cut_short(method, observer)) };
            if self.lab.session.is_behind() {
                return Err(self.unusable(&TOO_FAR).into());
            }
            if is_short && handed.losses.as_ref().is_some_and(|(losses, _)| losses.is_coming()) {
                waiting = Some(handed);
            } else {
                self.settle(handed, &*learner, method, observer);
            }
            if self.keeper.as_ref().is_some_and(Keeper::is_due) {
                if let Some(last) = waiting.take() {
                    self.settle(last, &*learner, method, observer);
                }
                self.keep(observer);
            }
        }
        if let Some(last) = waiting {
            self.settle(last, &*learner, method, observer);
        }
        if self.lab.session.is_behind() {
            return Err(self.unusable(&TOO_FAR).into());
        }
        if self.keeper.as_ref().is_some_and(|keeper| (more_follow || keeper.keeps_ends()) && done < tasks) {
            self.keep(observer);
        }
        let total = self.total();
        let anchors = self.read_anchors(&*learner);
        let theta = self.lab.theta.clone();
        let parameters = match observer.wants_parameters() {
            true => self.lab.session.read(&theta),
            false => vec![vec![]; self.lab.runs()],
        };
        Ok(self.finish(method.name(), total, anchors, parameters))
    }

    fn is_to_stop(&self, stop: &Option<Stop>) -> bool {
        stop.as_ref().is_some_and(|stop| stop(self.lab.session.steps()))
    }

    fn total(&self) -> Duration {
        self.earlier + self.started.elapsed()
    }

    /// Takes up runs where a checkpoint has them: what the host decides in the tasks before, it decides again, and what
    /// the device had computed is read. The number of tasks that were settled.
    fn go_on_from(&mut self, kept: Checkpoint, learner: &mut dyn Learner) -> Result<usize, CheckpointError> {
        let (done, steps) = (kept.tasks(), kept.state.steps);
        if let Err(other) = self.lab.session.go_on_from(kept.state) {
            return Err(self.unusable(&other));
        }
        for task in 0..done {
            learner.learn(&mut self.lab, task);
            // A reading on its way from a GPU may not be dropped before it is there.
            learner.test(&mut self.lab, task).map(Tested::rows);
        }
        if self.lab.session.steps() > steps {
            return Err(self.unusable(&TOO_FAR));
        }
        (self.train, self.earlier, self.losses, self.rows) = (kept.train, kept.total, kept.losses, kept.rows);
        if self.losses.iter().all(|losses| losses.len() == done + 1) {
            self.pending = self.losses.iter_mut().map(Vec::pop).collect();
        }
        Ok(done)
    }

    /// That the runs' checkpoint is none.
    fn unusable(&self, reason: &dyn std::fmt::Display) -> CheckpointError {
        self.keeper.as_ref().expect("who read it keeps the next").unusable(reason)
    }

    /// Writes a checkpoint of how far all has come that was handed over. No test may be waited for.
    fn keep(&mut self, observer: &mut dyn Observer) {
        let total = self.total();
        let Trial { lab, rows, losses, train, pending, keeper, .. } = self;
        // Where a run is behind its checkpoint, or the host alone has been at work, there is nothing new to be kept.
        let has_moved = !lab.session.is_behind() && (lab.session.steps() > 0 || lab.future.is_some());
        let Some(keeper) = keeper.as_mut().filter(|_| has_moved) else { return };
        let mut losses = losses.clone();
        for (losses, of_task) in losses.iter_mut().zip(pending.iter().flatten()) {
            losses.push(of_task.clone());
        }
        let checkpoint = Checkpoint {
            rows: rows.clone(),
            losses,
            train: *train,
            total,
            future: lab.future.clone(),
            state: lab.session.capture(),
        };
        if let Err(error) = keeper.write(checkpoint, lab.session.device()) {
            observer.checkpoint_failed(&error);
        }
    }

    /// What is known of the runs when they are stopped, which their checkpoint has, too.
    fn cut_short(mut self, method: &dyn methods::Method, observer: &mut dyn Observer) -> ExperimentError {
        self.keep(observer);
        let unfinished = |(run, spec): (usize, &RunSpec)| UnfinishedRun {
            benchmark: self.benchmark.into(),
            method: method.name().into(),
            seed: spec.seed,
            finished_tasks: self.rows[run].len(),
            matrix: self.rows[run].iter().map(|row| fractions(row)).collect(),
            losses: self.losses[run].iter().map(|losses| finite(losses)).collect(),
            settings: spec.settings.clone(),
        };
        ExperimentError::Interrupted(self.specs.iter().enumerate().map(unfinished).collect())
    }

    /// Hands a task over, to be learned and tested. Nothing, where it was to stop on the way.
    fn hand_over(&mut self, learner: &mut dyn Learner, task: usize) -> Option<Handed> {
        let begun = Instant::now();
        learner.learn(&mut self.lab, task);
        if self.lab.session.is_stopped() {
            self.train += begun.elapsed();
            return None;
        }
        let losses = match self.pending.take() {
            Some(losses) => {
                let rows = (0..losses[0].len()).collect();
                Some((Reading::There(losses), rows))
            }
            None => {
                let rows = learner.losses(&self.lab, task);
                let all = self.lab.losses.clone();
                (!rows.is_empty()).then(|| (self.lab.session.read_later(&all), rows))
            }
        };
        let is_coming = losses.as_ref().is_some_and(|(losses, _)| losses.is_coming());
        let learned = (!is_coming).then(|| begun.elapsed());
        let tested = learner.test(&mut self.lab, task);
        if self.lab.session.is_stopped() {
            self.train += learned.unwrap_or_else(|| begun.elapsed());
            self.pending = Some(self.each(losses));
            tested.map(Tested::rows);
            return None;
        }
        Some(Handed { task, begun, learned, losses, tested })
    }

    /// Waits for a task's losses: a list a run, empty where it trained nothing.
    fn each(&self, losses: Option<(Reading, Vec<usize>)>) -> Vec<Vec<f64>> {
        match losses {
            Some((losses, rows)) => {
                let of_run = |read: Vec<f64>| rows.iter().map(|row| read[*row]).collect();
                losses.wait().into_iter().map(of_run).collect()
            }
            None => vec![vec![]; self.lab.runs()],
        }
    }

    /// Waits for a task's losses and test, and says how it went.
    fn settle(
        &mut self,
        handed: Handed,
        learner: &dyn Learner,
        method: &dyn methods::Method,
        observer: &mut dyn Observer,
    ) {
        let Handed { task, begun, learned, losses, tested } = handed;
        let of_task = self.each(losses);
        self.losses.iter_mut().zip(of_task).for_each(|(of_run, of_task)| of_run.push(of_task));
        let begun = begun.max(self.free);
        self.train += learned.unwrap_or_else(|| begun.elapsed());
        let found: Vec<Vec<f64>> = match tested {
            Some(tested) => tested.rows(),
            None => self.rows.iter().map(|rows| rows.last().cloned().unwrap_or_default()).collect(),
        };
        self.free = Instant::now();
        self.took = Some(self.free - begun);
        for (rows, found) in self.rows.iter_mut().zip(found) {
            rows.push(learner.row(found, rows));
        }
        let mean = |rows: &Vec<Vec<f64>>| fractions(&rows[task])[..=task].iter().sum::<f64>() / (task + 1) as f64;
        let accuracy_so_far: Vec<f64> = self.rows.iter().map(mean).collect();
        observer.task_finished(&Progress {
            method: method.name(),
            task: task + 1,
            tasks: self.lab.settings.tasks,
            accuracy_so_far: &accuracy_so_far,
        });
    }

    fn read_anchors(&mut self, learner: &dyn Learner) -> Vec<Option<Anchors>> {
        let Some(table) = learner.anchors() else { return vec![None; self.lab.runs()] };
        let (pixels, classes, shape) = (table.shape[0], self.lab.task_classes(), self.lab.image_shape());
        let images = |flat: Vec<f64>| flat.chunks_exact(pixels).map(<[f64]>::to_vec).collect();
        let anchors = |flat: Vec<f64>| Anchors { classes, shape, images: images(flat) };
        self.lab.session.read(table).into_iter().map(|flat| Some(anchors(flat))).collect()
    }

    fn finish(
        self,
        method: &str,
        total: Duration,
        anchors: Vec<Option<Anchors>>,
        parameters: Vec<Vec<f64>>,
    ) -> Vec<FinishedRun> {
        let Trial { benchmark, specs, rows, losses, train, .. } = self;
        let record = |RunSpec { seed, settings }: &RunSpec, rows: &[Vec<f64>], losses: &[Vec<f64>]| {
            let mut matrix = AccuracyMatrix::new(settings.tasks);
            rows.iter().for_each(|row| matrix.push(fractions(row)));
            let diverged_at = diverged_at(rows, losses);
            RunRecord {
                benchmark: benchmark.into(),
                method: method.into(),
                preset: settings.preset,
                memory_per_class: settings.memory_per_class,
                seed: *seed,
                accuracy: matrix.accuracy(),
                forgetting: matrix.forgetting(),
                matrix: matrix.rows().to_vec(),
                train_seconds: train.as_secs_f64(),
                total_seconds: total.as_secs_f64(),
                diverged: diverged_at.is_some(),
                diverged_at,
                settings: settings.clone(),
            }
        };
        let runs = specs.iter().zip(rows).zip(losses).zip(anchors.into_iter().zip(parameters));
        runs.map(|(((spec, rows), losses), (anchors, parameters))| FinishedRun {
            record: record(spec, &rows, &losses),
            losses,
            anchors,
            parameters,
        })
        .collect()
    }
}

/// A row of the accuracy matrix from what a test found: where it found no fraction, no answer is right.
fn fractions(row: &[f64]) -> Vec<f64> {
    row.iter().map(|found| found.max(0.0)).collect()
}

/// Where a run's losses, or what its tests found, first had a number that is not finite.
fn diverged_at(rows: &[Vec<f64>], losses: &[Vec<f64>]) -> Option<DivergedAt> {
    (0..rows.len()).find_map(|task| {
        if let Some(step) = losses[task].iter().position(|loss| !loss.is_finite()) {
            return Some(DivergedAt { task: task + 1, step: Some(step + 1), found: NotFinite::Loss });
        }
        let least = rows[task].iter().copied().fold(0.0, f64::min);
        let found = if least == PARAMETERS_NOT_FINITE { NotFinite::Parameters } else { NotFinite::Logits };
        (least < 0.0).then_some(DivergedAt { task: task + 1, step: None, found })
    })
}
