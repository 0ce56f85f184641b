//! The numbers that the paper prints, digit for digit, to stand beside ours.

use crate::data::benchmarks;
use crate::experiment::RunRecord;
use crate::methods;
use crate::settings::{AnchorKind, Knob, Settings};

/// One row of the paper's tables, as printed: accuracy in percent, forgetting as a fraction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PaperRow {
    /// Accuracy (Eq. 2), percent.
    pub accuracy: f64,
    /// Its standard deviation over five seeds; 0 where none is printed.
    pub accuracy_sd: f64,
    /// Forgetting (Eq. 3), a fraction; NaN where none is printed.
    pub forgetting: f64,
    /// Its standard deviation over five seeds; 0 where none is printed.
    pub forgetting_sd: f64,
}

/// Method, memory per class and task, accuracy and deviation, forgetting and deviation. Memory zero marks a
/// method without a memory: its row stands beside every memory size.
type Printed = &'static [(&'static str, usize, [f64; 4])];

/// Tables 1, 2 (the row of two examples), 5 and 6.
const PERMUTED_MNIST: Printed = &[
    ("finetune", 0, [53.5, 1.46, 0.29, 0.01]),
    ("ewc", 0, [63.1, 1.40, 0.18, 0.01]),
    ("vcl", 0, [51.8, 1.54, 0.44, 0.01]),
    ("vcl-random", 1, [52.3, 0.66, 0.43, 0.01]),
    ("agem", 1, [62.1, 1.39, 0.21, 0.01]),
    ("mer", 1, [69.9, 0.40, 0.14, 0.01]),
    ("er", 1, [70.2, 0.56, 0.12, 0.01]),
    ("mir", 1, [71.1, 0.41, 0.11, 0.01]),
    ("hal", 1, [73.6, 0.31, 0.09, 0.01]),
    ("clone", 0, [81.4, 0.35, 0.0, 0.0]),
    ("multitask", 0, [83.0, 0.0, 0.0, 0.0]),
    ("er", 2, [71.9, 0.31, 0.11, 0.01]),
    ("vcl-random", 3, [55.8, 1.29, 0.39, 0.01]),
    ("agem", 3, [63.2, 1.47, 0.20, 0.01]),
    ("mer", 3, [74.9, 0.49, 0.14, 0.01]),
    ("er", 3, [73.5, 0.43, 0.09, 0.01]),
    ("hal", 3, [76.2, 0.52, 0.07, 0.01]),
    ("vcl-random", 5, [58.5, 1.21, 0.36, 0.01]),
    ("agem", 5, [64.1, 0.74, 0.19, 0.01]),
    ("mer", 5, [78.3, 0.19, 0.09, 0.01]),
    ("er", 5, [75.8, 0.24, 0.07, 0.01]),
    ("hal", 5, [78.4, 0.27, 0.05, 0.01]),
];

/// Tables 1, 5 and 6.
const ROTATED_MNIST: Printed = &[
    ("finetune", 0, [41.9, 1.37, 0.50, 0.01]),
    ("ewc", 0, [44.1, 0.99, 0.47, 0.01]),
    ("vcl", 0, [48.2, 0.99, 0.50, 0.01]),
    ("vcl-random", 1, [54.4, 1.44, 0.44, 0.01]),
    ("agem", 1, [50.9, 0.92, 0.40, 0.01]),
    ("mer", 1, [66.0, 2.04, 0.23, 0.01]),
    ("er", 1, [65.9, 0.41, 0.24, 0.01]),
    ("hal", 1, [68.4, 0.72, 0.21, 0.01]),
    ("clone", 0, [87.5, 0.11, 0.0, 0.0]),
    ("multitask", 0, [83.3, 0.0, 0.0, 0.0]),
    ("vcl-random", 3, [61.2, 0.12, 0.37, 0.01]),
    ("agem", 3, [49.9, 1.49, 0.41, 0.01]),
    ("mer", 3, [76.5, 0.30, 0.12, 0.01]),
    ("er", 3, [74.7, 0.56, 0.15, 0.01]),
    ("hal", 3, [77.0, 0.66, 0.12, 0.01]),
    ("vcl-random", 5, [64.4, 0.16, 0.33, 0.01]),
    ("agem", 5, [53.0, 1.52, 0.38, 0.01]),
    ("mer", 5, [77.3, 1.13, 0.11, 0.01]),
    ("er", 5, [76.5, 0.48, 0.13, 0.01]),
    ("hal", 5, [78.7, 0.97, 0.11, 0.01]),
];

/// Table 3: HAL with oracle anchors, on Permuted MNIST.
const ORACLE: PaperRow = PaperRow { accuracy: 73.9, accuracy_sd: 0.41, forgetting: 0.09, forgetting_sd: 0.01 };

/// Table 7: HAL's accuracy on Permuted MNIST with one hyper-parameter moved.
const SENSITIVITY: [(Knob, f64, f64, f64); 9] = [
    (Knob::Lambda, 0.01, 72.8, 0.52),
    (Knob::Lambda, 0.1, 73.6, 0.31),
    (Knob::Lambda, 1.0, 73.2, 0.85),
    (Knob::Gamma, 0.01, 73.1, 0.20),
    (Knob::Gamma, 0.1, 73.6, 0.31),
    (Knob::Gamma, 1.0, 73.4, 0.41),
    (Knob::Beta, 0.1, 72.5, 0.95),
    (Knob::Beta, 0.5, 73.6, 0.31),
    (Knob::Beta, 0.9, 72.9, 0.39),
];

/// The values of a hyper-parameter that Table 7 has.
pub fn sensitivity_values(knob: Knob) -> Vec<f64> {
    SENSITIVITY.iter().filter(|row| row.0 == knob).map(|row| row.1).collect()
}

/// The row of Tables 1, 2, 5 and 6 for a method at `memory` examples per class per task, where there is one.
pub fn row(benchmark: &str, method: &str, memory: usize) -> Option<PaperRow> {
    let printed = match benchmark {
        "permuted-mnist" => PERMUTED_MNIST,
        "rotated-mnist" => ROTATED_MNIST,
        _ => return None,
    };
    let mut rows = printed.iter();
    let (.., [accuracy, accuracy_sd, forgetting, forgetting_sd]) =
        *rows.find(|(name, m, _)| *name == method && (*m == memory || *m == 0))?;
    Some(PaperRow { accuracy, accuracy_sd, forgetting, forgetting_sd })
}

/// What the paper prints for a method with these settings, if they are among those that it reports: a shorter
/// stream or another hyper-parameter is another experiment, and no number of the paper's belongs beside it.
pub fn row_of(benchmark: &str, method: &str, settings: &Settings) -> Option<PaperRow> {
    let paper = methods::paper_settings(methods::find(method)?, benchmarks::find(benchmark)?);
    // What the paper varies, or does not know of.
    let plain = Settings {
        memory_per_class: paper.memory_per_class,
        test_samples: paper.test_samples,
        preset: paper.preset,
        anchors: paper.anchors,
        ..settings.clone()
    };
    let permuted_hal = (benchmark, method) == ("permuted-mnist", "hal");
    let single = settings.memory_per_class == paper.memory_per_class;
    if plain == paper {
        return match settings.anchors {
            AnchorKind::Learned => row(benchmark, method, settings.memory_per_class),
            AnchorKind::Oracle if permuted_hal && single => Some(ORACLE),
            _ if method == "hal" => None,
            _ => row(benchmark, method, settings.memory_per_class),
        };
    }
    let moved = SENSITIVITY.iter().find(|(knob, value, ..)| {
        let mut there = paper.clone();
        there.set(*knob, *value);
        there == plain
    });
    let (_, _, accuracy, accuracy_sd) = *moved.filter(|_| permuted_hal && single)?;
    Some(PaperRow { accuracy, accuracy_sd, forgetting: f64::NAN, forgetting_sd: 0.0 })
}

/// What the paper prints for a run of its protocol.
pub fn row_for(run: &RunRecord) -> Option<PaperRow> {
    row_of(&run.benchmark, &run.method, &run.settings)
}
