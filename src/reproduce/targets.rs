//! Which experiments a table or figure of the paper needs.

use super::Cell;
use crate::data::benchmarks;
use crate::methods::{self, Method};
use crate::report::paper::{self, SENSITIVITY_BENCHMARKS, sensitivity_values};
use crate::settings::{AnchorKind, Knob, Settings, Sizes};
use std::collections::BTreeMap;

/// A table or figure of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// All methods, one example a class and task.
    Table1,
    /// ER-Ring with twice the memory, as large as HAL's with its anchors.
    Table2,
    /// HAL beside anchors that know the future.
    Table3,
    /// HAL beside real images for anchors. (The paper has it for Split CIFAR.)
    Table4,
    /// Accuracy with three and five examples a class and task.
    Table5,
    /// Forgetting with three and five examples a class and task.
    Table6,
    /// HAL with one hyper-parameter moved.
    Table7,
    /// Accuracy over the size of the memory.
    Figure1,
    /// Images and anchors by t-SNE.
    Figure2,
    /// Accuracy on the tasks seen so far, as tasks are learned.
    Figure3,
    /// Training time.
    Figure4,
}

/// What is wanted of the targets.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Methods; all where there are none.
    pub only: Vec<String>,
    /// Benchmarks.
    pub benchmarks: Vec<String>,
    /// Seeds of every cell.
    pub seeds: Vec<u64>,
    /// Smaller versions than the paper's, by benchmark.
    pub sizes: BTreeMap<String, Sizes>,
}

/// A row of a table, or a point of a figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What it is called there.
    pub label: String,
    /// Its place on the horizontal axis of a figure.
    pub x: f64,
    /// The experiment.
    pub cell: Cell,
}

/// Methods with an episodic memory, as Tables 5 and 6 and Figure 1 compare them.
const WITH_MEMORY: [&str; 6] = ["vcl-random", "icarl", "agem", "mer", "er", "hal"];
const PERMUTED: &str = "permuted-mnist";

impl Target {
    /// All of them.
    pub const ALL: [Target; 11] = [
        Target::Table1,
        Target::Table2,
        Target::Table3,
        Target::Table4,
        Target::Table5,
        Target::Table6,
        Target::Table7,
        Target::Figure1,
        Target::Figure2,
        Target::Figure3,
        Target::Figure4,
    ];

    /// As the command line has it: `table1`, ...
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// What it shows.
    pub fn title(self) -> &'static str {
        match self {
            Target::Table1 => "Table 1: all methods, one example a class and task",
            Target::Table2 => "Table 2: replay with twice the memory",
            Target::Table3 => "Table 3: anchors that know the future",
            Target::Table4 => "Table 4: real images for anchors",
            Target::Table5 => "Table 5: accuracy with larger memories",
            Target::Table6 => "Table 6: forgetting with larger memories",
            Target::Table7 => "Table 7: HAL's hyper-parameters",
            Target::Figure1 => "Figure 1: accuracy over the size of the memory",
            Target::Figure2 => "Figure 2: images and anchors",
            Target::Figure3 => "Figure 3: accuracy as tasks are learned",
            Target::Figure4 => "Figure 4: training time",
        }
    }

    /// Its rows or points on one benchmark, as far as they are wanted. None for Figure 2, whose picture is of a
    /// single run.
    pub fn entries(self, benchmark: &str, selection: &Selection) -> Vec<Entry> {
        let entry = |method: &str, label: String, x: f64, change: &dyn Fn(&mut Settings)| {
            let method = methods::find(method)?;
            let wanted = selection.only.is_empty() || selection.only.iter().any(|name| name == method.name());
            let model = benchmarks::find(benchmark)?.model();
            (wanted && method.trains(&model)).then(|| Entry {
                label,
                x,
                cell: selection.cell(benchmark, method, change),
            })
        };
        let plain = |method: &str, m: usize| {
            let title = methods::find(method)?.title();
            entry(method, title.into(), m as f64, &|s| s.memory_per_class = m)
        };
        let of_memory = |(method, m): (&str, usize)| {
            let title = methods::find(method).map_or(method, |m| m.title());
            entry(method, format!("{title}, {m} a class and task"), m as f64, &|s| s.memory_per_class = m)
        };
        let hal_with = |label: &str, anchors: AnchorKind| entry("hal", label.into(), 0.0, &|s| s.anchors = anchors);
        let larger: Vec<&str> =
            WITH_MEMORY.into_iter().filter(|method| paper::row(benchmark, method, 3).is_some()).collect();
        let found: Vec<Option<Entry>> = match self {
            Target::Table1 | Target::Figure4 => methods::registry().iter().map(|m| plain(m.name(), 1)).collect(),
            Target::Table2 if paper::row(benchmark, "er", 2).is_some() => vec![
                plain("er", 1),
                entry("er", "ER-Ring, 2 |M|".into(), 2.0, &|s| s.memory_per_class = 2),
                plain("hal", 1),
            ],
            Target::Table3 if paper::anchors_row(benchmark, AnchorKind::Oracle).is_some() => {
                vec![hal_with("HAL", AnchorKind::Learned), hal_with("HAL, oracle anchors", AnchorKind::Oracle)]
            }
            Target::Table4 => {
                vec![hal_with("HAL", AnchorKind::Learned), hal_with("HAL, real anchors", AnchorKind::Real)]
            }
            Target::Table5 | Target::Table6 => {
                [3, 5].into_iter().flat_map(|m| larger.iter().map(move |method| (*method, m))).map(of_memory).collect()
            }
            Target::Table7 if SENSITIVITY_BENCHMARKS.contains(&benchmark) => {
                let moved = |knob: Knob, value: f64| {
                    entry("hal", format!("HAL, {knob} {value}"), value, &|s| s.set(knob, value))
                };
                let knobs = [Knob::Lambda, Knob::Gamma, Knob::Beta];
                knobs
                    .into_iter()
                    .flat_map(|k| sensitivity_values(k).into_iter().map(move |v| (k, v)))
                    .map(|(k, v)| moved(k, v))
                    .collect()
            }
            // Multitask has learned every task before its first test.
            Target::Figure3 => {
                methods::registry().iter().filter(|m| m.name() != "multitask").map(|m| plain(m.name(), 1)).collect()
            }
            Target::Figure1 => {
                larger.iter().flat_map(|method| (1..=5).map(move |m| (*method, m))).map(of_memory).collect()
            }
            Target::Table2 | Target::Table3 | Target::Table7 | Target::Figure2 => vec![],
        };
        found.into_iter().flatten().collect()
    }
}

impl Selection {
    /// The settings that a benchmark has for all methods.
    pub fn settings(&self, benchmark: &str) -> Settings {
        let mut settings = Settings::default();
        benchmarks::find(benchmark).expect("a selection's benchmarks are registered").paper_settings(&mut settings);
        self.sizes.get(benchmark).copied().unwrap_or_default().of(settings)
    }

    fn cell(&self, benchmark: &str, method: &dyn Method, change: &dyn Fn(&mut Settings)) -> Cell {
        let of = benchmarks::find(benchmark).expect("a selection's benchmarks are registered");
        let mut settings =
            self.sizes.get(benchmark).copied().unwrap_or_default().of(methods::paper_settings(method, of));
        change(&mut settings);
        Cell { benchmark: benchmark.into(), method: method.name().into(), settings, seeds: self.seeds.clone() }
    }

    /// The run that Figure 2 shows: HAL, the first seed.
    pub fn pictured(&self) -> Cell {
        let hal = methods::find("hal").expect("HAL is registered");
        let mut cell = self.cell(PERMUTED, hal, &|_| {});
        cell.seeds.truncate(1);
        cell
    }
}
