//! The metrics of continual learning, all computed from the accuracy matrix alone.
//!
//! `a[i][j]` is the accuracy on task j's test images after training on task i, a fraction; T is the
//! number of tasks. Formulas count tasks from 1, as the paper does; indices count from 0. With one
//! task nothing can be forgotten or transferred, and those metrics are 0.

/// Accuracy on every task after every task: T x T once it is complete.
#[derive(Clone, Debug, PartialEq)]
pub struct AccuracyMatrix {
    tasks: usize,
    rows: Vec<Vec<f64>>,
}

impl AccuracyMatrix {
    /// A matrix for `tasks` tasks, without rows yet.
    ///
    /// # Panics
    /// If there are no tasks.
    pub fn new(tasks: usize) -> Self {
        assert!(tasks > 0, "AccuracyMatrix: a stream has at least one task");
        Self { tasks, rows: Vec::with_capacity(tasks) }
    }

    /// Appends the accuracies on all T tasks after the next task.
    ///
    /// # Panics
    /// If the row has not T entries, one of them is no fraction (NaN included), or there are T rows
    /// already.
    pub fn push(&mut self, row: Vec<f64>) {
        let Self { tasks, rows } = self;
        assert!(rows.len() < *tasks, "AccuracyMatrix: a row beyond the {tasks} tasks");
        assert!(row.len() == *tasks, "AccuracyMatrix: {} accuracies for {tasks} tasks", row.len());
        assert!(row.iter().all(|a| (0.0..=1.0).contains(a)), "AccuracyMatrix: not all fractions: {row:?}");
        rows.push(row);
    }

    /// The rows so far; row i is after task i.
    pub fn rows(&self) -> &[Vec<f64>] {
        &self.rows
    }

    /// Average accuracy after the last task: `mean_j a[T][j]` (Eq. 2 of the paper).
    ///
    /// # Panics
    /// Like every metric below, if a row is missing.
    pub fn accuracy(&self) -> f64 {
        mean(self.last().iter().copied())
    }

    /// Forgetting: `mean over j < T of max over l in 1..T-1 of (a[l][j] - a[T][j])` (Eq. 3).
    ///
    /// The maximum is over all rows but the last, those before task j was trained too. Negative
    /// where the last task helped the earlier ones.
    pub fn forgetting(&self) -> f64 {
        self.mean_drop(|task| self.best(task, 0, self.tasks - 1))
    }

    /// Forgetting as Mammoth computes it: the maximum includes the last row, so it is never
    /// negative, and starts at task j's own (Mammoth tests no task before it was trained).
    pub fn forgetting_mammoth(&self) -> f64 {
        self.mean_drop(|task| self.best(task, task, self.tasks))
    }

    /// Forgetting as Avalanche computes it: `mean over j < T of (a[j][j] - a[T][j])`.
    pub fn forgetting_avalanche(&self) -> f64 {
        self.mean_drop(|task| self.rows[task][task])
    }

    /// Backward transfer: `mean over j < T of (a[T][j] - a[j][j])` (Lopez-Paz and Ranzato, 2017).
    pub fn backward_transfer(&self) -> f64 {
        let last = self.last();
        mean((0..self.tasks - 1).map(|task| last[task] - self.rows[task][task]))
    }

    /// Forward transfer: `mean over j > 1 of (a[j-1][j] - b[j])` (Lopez-Paz and Ranzato, 2017), with
    /// b the accuracies of a randomly initialised model.
    ///
    /// # Panics
    /// If `baseline` has not T entries.
    pub fn forward_transfer(&self, baseline: &[f64]) -> f64 {
        self.last();
        let tasks = self.tasks;
        assert!(baseline.len() == tasks, "forward_transfer: {} of {tasks} baselines", baseline.len());
        mean((1..tasks).map(|task| self.rows[task - 1][task] - baseline[task]))
    }

    /// Learning accuracy: `mean_j a[j][j]`, how well each task is learned when it comes.
    pub fn learning_accuracy(&self) -> f64 {
        self.last();
        mean((0..self.tasks).map(|task| self.rows[task][task]))
    }

    /// For each row so far, the mean over the tasks seen by then: the curve of a run.
    pub fn average_so_far(&self) -> Vec<f64> {
        let rows = self.rows.iter().enumerate();
        rows.map(|(i, row)| mean(row[..=i].iter().copied())).collect()
    }

    fn last(&self) -> &[f64] {
        let (found, tasks) = (self.rows.len(), self.tasks);
        assert!(found == tasks, "AccuracyMatrix: {found} of {tasks} rows");
        &self.rows[tasks - 1]
    }

    /// The best accuracy on `task` over rows `from..to`.
    fn best(&self, task: usize, from: usize, to: usize) -> f64 {
        let column = self.rows[from..to].iter().map(|row| row[task]);
        column.fold(f64::NEG_INFINITY, f64::max)
    }

    /// The mean, over all tasks but the last, of `before(task)` minus the final accuracy.
    fn mean_drop(&self, before: impl Fn(usize) -> f64) -> f64 {
        let last = self.last();
        mean((0..self.tasks - 1).map(|task| before(task) - last[task]))
    }
}

/// Mean and population standard deviation (ddof 0), as the paper's tables print them.
///
/// # Panics
/// If there are no values.
pub fn mean_sd(values: &[f64]) -> (f64, f64) {
    assert!(!values.is_empty(), "mean_sd: no values");
    let average = mean(values.iter().copied());
    let variance = mean(values.iter().map(|value| (value - average).powi(2)));
    (average, variance.sqrt())
}

/// The mean, 0 for nothing.
fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1);
    // Starts from +0: the sum of nothing is -0 in Rust.
    values.fold(0.0, |sum, value| sum + value) / count as f64
}
