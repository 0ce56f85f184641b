//! Some runs in lock-step, task by task: learned, tested, kept.

use super::checkpoint::{Checkpoint, CheckpointError, Keeper};
use super::{Anchors, DivergedAt, ExperimentError, FinishedRun, NotFinite, Observer, Progress, RunRecord};
use crate::methods::{self, Lab, Learner, PARAMETERS_NOT_FINITE, Tested};
use crate::metrics::AccuracyMatrix;
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
    keeper: Option<Keeper>,
}

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
        Trial { benchmark, specs, lab, rows, losses, train, earlier, started: now, free: now, keeper }
    }

    /// Learns and tests every task, after those that `kept` has.
    pub fn run(
        mut self,
        method: &dyn methods::Method,
        kept: Option<Checkpoint>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<FinishedRun>, ExperimentError> {
        let mut learner = method.start(&mut self.lab);
        let (mut done, tasks) = (0, self.lab.settings.tasks);
        if let Some(kept) = kept {
            done = self.go_on_from(kept, &mut *learner)?;
            observer.resumed(method.name(), done, tasks);
        }
        let mut waiting: Option<Handed> = None;
        for task in done..tasks {
            if observer.stop_requested() {
                return Err(ExperimentError::Interrupted);
            }
            let handed = self.hand_over(&mut *learner, task);
            // A GPU has this task to learn while the host waits for what became of the last one.
            if let Some(last) = waiting.take() {
                self.settle(last, &*learner, method, observer);
            }
            if handed.losses.as_ref().is_some_and(|(losses, _)| losses.is_coming()) {
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
        let total = self.total();
        let anchors = self.read_anchors(&*learner);
        let theta = self.lab.theta.clone();
        let parameters = self.lab.session.read(&theta);
        Ok(self.finish(method.name(), total, anchors, parameters))
    }

    fn total(&self) -> Duration {
        self.earlier + self.started.elapsed()
    }

    /// Takes up runs where a checkpoint has them: what the host decides in the tasks before, it decides again, and what
    /// the device had computed is read. The number of those tasks.
    fn go_on_from(&mut self, kept: Checkpoint, learner: &mut dyn Learner) -> Result<usize, CheckpointError> {
        self.lab.session.keep_still();
        for task in 0..kept.tasks() {
            learner.learn(&mut self.lab, task);
            // A reading on its way from a GPU may not be dropped before it is there.
            learner.test(&mut self.lab, task).map(Tested::rows);
        }
        let keeper = self.keeper.as_ref().expect("who read it keeps the next");
        self.lab.session.restore(&kept.contents).map_err(|other| keeper.unusable(&other))?;
        let done = kept.tasks();
        (self.train, self.earlier, self.losses, self.rows) = (kept.train, kept.total, kept.losses, kept.rows);
        Ok(done)
    }

    /// Writes a checkpoint after all tasks that were settled. Nothing else may have been handed over.
    fn keep(&mut self, observer: &mut dyn Observer) {
        let total = self.total();
        let Trial { lab, rows, losses, train, keeper, .. } = self;
        let checkpoint = Checkpoint {
            rows: rows.clone(),
            losses: losses.clone(),
            train: *train,
            total,
            future: lab.future.clone(),
            contents: lab.session.contents(),
        };
        if let Some(Err(error)) = keeper.as_mut().map(|keeper| keeper.write(checkpoint)) {
            observer.checkpoint_failed(&error);
        }
    }

    fn hand_over(&mut self, learner: &mut dyn Learner, task: usize) -> Handed {
        let begun = Instant::now();
        learner.learn(&mut self.lab, task);
        let rows = learner.losses(&self.lab, task);
        let all = self.lab.losses.clone();
        let losses = (!rows.is_empty()).then(|| (self.lab.session.read_later(&all), rows));
        let is_coming = losses.as_ref().is_some_and(|(losses, _)| losses.is_coming());
        let learned = (!is_coming).then(|| begun.elapsed());
        Handed { task, begun, learned, losses, tested: learner.test(&mut self.lab, task) }
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
        let (read, rows) = losses.map_or_else(Default::default, |(losses, rows)| (losses.wait(), rows));
        for (run, losses) in self.losses.iter_mut().enumerate() {
            losses.push(rows.iter().map(|row| read[run][*row]).collect());
        }
        self.train += learned.unwrap_or_else(|| begun.max(self.free).elapsed());
        let found: Vec<Vec<f64>> = match tested {
            Some(tested) => tested.rows(),
            None => self.rows.iter().map(|rows| rows.last().cloned().unwrap_or_default()).collect(),
        };
        self.free = Instant::now();
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
