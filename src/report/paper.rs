//! The numbers the paper prints, to stand beside ours.
//!
//! Permuted MNIST of Table 1 (one example per class per task) and of Tables 5 and 6 (three and
//! five), digit for digit. The two oracle rows of Table 1 are left out: they have no memory and
//! no deviations, and no method here yet.

use crate::experiment::RunRecord;
use crate::settings::AnchorKind;

/// One row of the paper's tables, as printed: accuracy in percent, forgetting as a fraction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PaperRow {
    /// Accuracy (Eq. 2), percent.
    pub accuracy: f64,
    /// Its standard deviation over five seeds.
    pub accuracy_sd: f64,
    /// Forgetting (Eq. 3), a fraction.
    pub forgetting: f64,
    /// Its standard deviation over five seeds.
    pub forgetting_sd: f64,
}

/// Memory zero marks a method without a memory: its row stands beside every memory size.
#[rustfmt::skip]
const PERMUTED_MNIST: &[(&str, usize, [f64; 4])] = &[
    // method, memory,   accuracy   sd  forgetting  sd
    ("finetune",   0, [53.5, 1.46, 0.29, 0.01]),
    ("ewc",        0, [63.1, 1.40, 0.18, 0.01]),
    ("vcl",        0, [51.8, 1.54, 0.44, 0.01]),
    ("vcl-random", 1, [52.3, 0.66, 0.43, 0.01]),
    ("agem",       1, [62.1, 1.39, 0.21, 0.01]),
    ("mer",        1, [69.9, 0.40, 0.14, 0.01]),
    ("er",         1, [70.2, 0.56, 0.12, 0.01]),
    ("mir",        1, [71.1, 0.41, 0.11, 0.01]),
    ("hal",        1, [73.6, 0.31, 0.09, 0.01]),
    ("vcl-random", 3, [55.8, 1.29, 0.39, 0.01]),
    ("agem",       3, [63.2, 1.47, 0.20, 0.01]),
    ("mer",        3, [74.9, 0.49, 0.14, 0.01]),
    ("er",         3, [73.5, 0.43, 0.09, 0.01]),
    ("hal",        3, [76.2, 0.52, 0.07, 0.01]),
    ("vcl-random", 5, [58.5, 1.21, 0.36, 0.01]),
    ("agem",       5, [64.1, 0.74, 0.19, 0.01]),
    ("mer",        5, [78.3, 0.19, 0.09, 0.01]),
    ("er",         5, [75.8, 0.24, 0.07, 0.01]),
    ("hal",        5, [78.4, 0.27, 0.05, 0.01]),
];

/// The paper's row for a method at `memory` examples per class per task, where it prints one.
pub fn row(benchmark: &str, method: &str, memory: usize) -> Option<PaperRow> {
    let printed = match benchmark {
        "permuted-mnist" => PERMUTED_MNIST,
        _ => return None,
    };
    let mut rows = printed.iter();
    let (.., [accuracy, accuracy_sd, forgetting, forgetting_sd]) =
        *rows.find(|(name, m, _)| *name == method && (*m == memory || *m == 0))?;
    Some(PaperRow { accuracy, accuracy_sd, forgetting, forgetting_sd })
}

/// The paper's row for a run, if the run followed the paper's protocol: a shorter stream or
/// another kind of anchor is another experiment, and no number of the paper's belongs beside it.
pub fn row_for(run: &RunRecord) -> Option<PaperRow> {
    let settings = &run.settings;
    let protocol = settings.tasks == 20 && settings.images_per_task == 1000;
    let itself = !settings.first_order && settings.anchors == AnchorKind::Learned;
    let comparable = protocol && (itself || run.method != "hal");
    comparable.then(|| row(&run.benchmark, &run.method, run.memory_per_class))?
}
