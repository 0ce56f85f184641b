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

/// Tables 1, 2 (the row of two examples), 5 and 6.
const SPLIT_CIFAR100: Printed = &[
    ("finetune", 0, [42.9, 2.07, 0.25, 0.03]),
    ("ewc", 0, [42.4, 3.02, 0.26, 0.02]),
    ("icarl", 1, [46.4, 1.21, 0.16, 0.01]),
    ("agem", 1, [54.9, 2.92, 0.14, 0.03]),
    ("mer", 1, [49.7, 2.97, 0.19, 0.03]),
    ("er", 1, [56.2, 1.93, 0.13, 0.01]),
    ("mir", 1, [57.1, 1.81, 0.12, 0.01]),
    ("hal", 1, [60.4, 0.54, 0.10, 0.01]),
    ("clone", 0, [60.3, 0.55, 0.0, 0.0]),
    ("multitask", 0, [68.3, 0.0, 0.0, 0.0]),
    ("er", 2, [58.6, 2.68, 0.12, 0.01]),
    ("icarl", 3, [51.7, 1.41, 0.13, 0.02]),
    ("agem", 3, [56.9, 3.45, 0.13, 0.03]),
    ("mer", 3, [57.7, 2.59, 0.11, 0.01]),
    ("er", 3, [60.9, 1.44, 0.09, 0.01]),
    ("hal", 3, [62.9, 1.49, 0.08, 0.01]),
    ("icarl", 5, [51.2, 1.32, 0.13, 0.02]),
    ("agem", 5, [59.9, 2.64, 0.10, 0.02]),
    ("mer", 5, [60.6, 2.09, 0.09, 0.02]),
    ("er", 5, [62.6, 1.77, 0.06, 0.01]),
    ("hal", 5, [64.4, 2.15, 0.06, 0.01]),
];

/// Tables 1, 5 and 6.
const SPLIT_MINI_IMAGENET: Printed = &[
    ("finetune", 0, [34.7, 2.69, 0.26, 0.03]),
    ("ewc", 0, [37.7, 3.29, 0.21, 0.03]),
    ("agem", 1, [48.2, 2.49, 0.13, 0.02]),
    ("mer", 1, [45.5, 1.49, 0.15, 0.01]),
    ("er", 1, [49.0, 2.61, 0.12, 0.02]),
    ("mir", 1, [49.3, 2.15, 0.12, 0.01]),
    ("hal", 1, [51.6, 2.02, 0.10, 0.01]),
    ("clone", 0, [50.3, 1.00, 0.0, 0.0]),
    ("multitask", 0, [63.5, 0.0, 0.0, 0.0]),
    ("agem", 3, [51.6, 2.69, 0.10, 0.02]),
    ("mer", 3, [49.4, 3.43, 0.12, 0.02]),
    ("er", 3, [53.5, 1.42, 0.07, 0.02]),
    ("hal", 3, [56.5, 0.87, 0.06, 0.02]),
    ("agem", 5, [54.3, 1.56, 0.08, 0.01]),
    ("mer", 5, [54.8, 1.79, 0.07, 0.01]),
    ("er", 5, [54.2, 3.23, 0.08, 0.01]),
    ("hal", 5, [57.2, 1.54, 0.06, 0.01]),
];

/// Tables 3 and 4: HAL with other anchors.
const OTHER_ANCHORS: [(&str, AnchorKind, [f64; 4]); 3] = [
    ("permuted-mnist", AnchorKind::Oracle, [73.9, 0.41, 0.09, 0.01]),
    ("split-cifar100", AnchorKind::Oracle, [61.1, 0.94, 0.09, 0.01]),
    ("split-cifar100", AnchorKind::Real, [58.0, 0.15, 0.12, 0.01]),
];

/// Table 7: HAL's accuracy with one hyper-parameter moved, on Permuted MNIST and on Split CIFAR-100.
const SENSITIVITY: [(Knob, f64, [f64; 2], [f64; 2]); 9] = [
    (Knob::Lambda, 0.01, [72.8, 0.52], [58.5, 1.25]),
    (Knob::Lambda, 0.1, [73.6, 0.31], [59.2, 0.91]),
    (Knob::Lambda, 1.0, [73.2, 0.85], [60.4, 0.54]),
    (Knob::Gamma, 0.01, [73.1, 0.20], [59.8, 0.65]),
    (Knob::Gamma, 0.1, [73.6, 0.31], [60.4, 0.54]),
    (Knob::Gamma, 1.0, [73.4, 0.41], [60.2, 1.21]),
    (Knob::Beta, 0.1, [72.5, 0.95], [58.7, 1.17]),
    (Knob::Beta, 0.5, [73.6, 0.31], [60.4, 0.54]),
    (Knob::Beta, 0.9, [72.9, 0.39], [59.6, 1.05]),
];

/// The benchmarks that Table 7 has, in the order of its columns.
pub const SENSITIVITY_BENCHMARKS: [&str; 2] = ["permuted-mnist", "split-cifar100"];

/// The values of a hyper-parameter that Table 7 has.
pub fn sensitivity_values(knob: Knob) -> Vec<f64> {
    SENSITIVITY.iter().filter(|row| row.0 == knob).map(|row| row.1).collect()
}

/// The row of Tables 1, 2, 5 and 6 for a method at `memory` examples per class per task, where there is one.
pub fn row(benchmark: &str, method: &str, memory: usize) -> Option<PaperRow> {
    let printed = match benchmark {
        "permuted-mnist" => PERMUTED_MNIST,
        "rotated-mnist" => ROTATED_MNIST,
        "split-cifar100" => SPLIT_CIFAR100,
        "split-mini-imagenet" => SPLIT_MINI_IMAGENET,
        _ => return None,
    };
    let mut rows = printed.iter();
    let (.., numbers) = *rows.find(|(name, m, _)| *name == method && (*m == memory || *m == 0))?;
    Some(PaperRow::of(numbers))
}

/// The row of Tables 3 and 4 for HAL with such anchors.
pub fn anchors_row(benchmark: &str, anchors: AnchorKind) -> Option<PaperRow> {
    let found = OTHER_ANCHORS.iter().find(|(name, kind, _)| (*name, *kind) == (benchmark, anchors));
    found.map(|(.., numbers)| PaperRow::of(*numbers))
}

impl PaperRow {
    fn of([accuracy, accuracy_sd, forgetting, forgetting_sd]: [f64; 4]) -> PaperRow {
        PaperRow { accuracy, accuracy_sd, forgetting, forgetting_sd }
    }
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
        anchor_norm: paper.anchor_norm,
        precision: paper.precision,
        ..settings.clone()
    };
    let single = settings.memory_per_class == paper.memory_per_class;
    if plain == paper {
        if method != "hal" || settings.anchors == AnchorKind::Learned {
            return row(benchmark, method, settings.memory_per_class);
        }
        return anchors_row(benchmark, settings.anchors).filter(|_| single);
    }
    let column = SENSITIVITY_BENCHMARKS.iter().position(|name| *name == benchmark)?;
    let moved = SENSITIVITY.iter().find(|(knob, value, ..)| {
        let mut there = paper.clone();
        there.set(*knob, *value);
        there == plain
    });
    let (_, _, permuted, cifar) = *moved.filter(|_| method == "hal" && single)?;
    let [accuracy, deviation] = [permuted, cifar][column];
    Some(PaperRow::of([accuracy, deviation, f64::NAN, 0.0]))
}

/// What the paper prints for a run of its protocol.
pub fn row_for(run: &RunRecord) -> Option<PaperRow> {
    row_of(&run.benchmark, &run.method, &run.settings)
}
