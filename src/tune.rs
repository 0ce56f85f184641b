//! Choosing hyper-parameters as the paper does: every point of a method's grid (Appendix C) is run on tuning
//! tasks, many side by side in one program, and the one with the highest average accuracy is taken.

use crate::experiment::{Experiment, RunRecord};
use crate::methods::Method;
use crate::report::figure::{Field, Svg, heat_map};
use crate::settings::{Knob, RunSpec, Settings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A point of a grid.
pub type Configuration = BTreeMap<Knob, f64>;

/// What is to be tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The benchmark.
    pub benchmark: String,
    /// The method.
    pub method: String,
    /// What all configurations have in common, the tuning tasks among it.
    pub settings: Settings,
    /// A run each of every configuration.
    pub seeds: Vec<u64>,
    /// The product of the grid's values.
    pub configurations: Vec<Configuration>,
}

/// A configuration and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The values of the knobs.
    pub knobs: Configuration,
    /// Average accuracy after the last tuning task, mean over seeds.
    pub accuracy: f64,
    /// Forgetting, mean over seeds.
    pub forgetting: f64,
    /// Whether a run diverged: then it is never chosen.
    pub diverged: bool,
}

/// `tuned.json`: the choice, and all that it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuned {
    /// The benchmark that it is for.
    pub benchmark: String,
    /// The method that it is for.
    pub method: String,
    /// The chosen values.
    pub knobs: Configuration,
    /// Its average accuracy on the tuning tasks.
    pub accuracy: f64,
    /// Seeds of every configuration.
    pub seeds: Vec<u64>,
    /// What all configurations had in common; the knobs in it are the method's usual ones.
    pub settings: Settings,
    /// The whole grid.
    pub grid: Vec<Outcome>,
}

/// The product of a method's grid, the first knob slowest.
pub fn configurations(method: &dyn Method) -> Vec<Configuration> {
    method.grid().into_iter().fold(vec![Configuration::new()], |points, (knob, values)| {
        let with = |point: &Configuration, value: f64| {
            let mut point = point.clone();
            point.insert(knob, value);
            point
        };
        points.iter().flat_map(|point| values.iter().map(|value| with(point, *value)).collect::<Vec<_>>()).collect()
    })
}

impl Plan {
    /// Experiments of at most `runs` runs each, all of one program.
    pub fn chunks(&self, runs: usize) -> Vec<Experiment> {
        let specs: Vec<RunSpec> = self.configurations.iter().flat_map(|knobs| self.specs(knobs)).collect();
        // A configuration's seeds stay together.
        let size = (runs / self.seeds.len()).max(1) * self.seeds.len();
        let experiment = |runs: &[RunSpec]| Experiment {
            benchmark: self.benchmark.clone(),
            method: self.method.clone(),
            runs: runs.to_vec(),
        };
        specs.chunks(size).map(experiment).collect()
    }

    fn specs(&self, knobs: &Configuration) -> Vec<RunSpec> {
        let mut settings = self.settings.clone();
        knobs.iter().for_each(|(knob, value)| settings.set(*knob, *value));
        RunSpec::seeds(&settings, &self.seeds)
    }

    /// What came of every configuration, from the records of all chunks in order.
    pub fn outcomes(&self, records: &[RunRecord]) -> Vec<Outcome> {
        let outcome = |(knobs, runs): (&Configuration, &[RunRecord])| {
            let mean = |of: fn(&RunRecord) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
            Outcome {
                knobs: knobs.clone(),
                accuracy: mean(|run| run.accuracy),
                forgetting: mean(|run| run.forgetting),
                diverged: runs.iter().any(|run| run.diverged),
            }
        };
        self.configurations.iter().zip(records.chunks(self.seeds.len())).map(outcome).collect()
    }

    /// The choice: the highest accuracy, the first of equals. None where all diverged.
    pub fn choose(&self, grid: Vec<Outcome>) -> Option<Tuned> {
        let sound = grid.iter().filter(|outcome| !outcome.diverged);
        let best = sound.reduce(|best, next| if next.accuracy > best.accuracy { next } else { best })?.clone();
        Some(Tuned {
            benchmark: self.benchmark.clone(),
            method: self.method.clone(),
            knobs: best.knobs,
            accuracy: best.accuracy,
            seeds: self.seeds.clone(),
            settings: self.settings.clone(),
            grid,
        })
    }
}

impl Tuned {
    /// `grid.csv`: a line a configuration.
    pub fn csv(&self) -> String {
        let names: String = self.knobs.keys().map(|knob| format!("{knob},")).collect();
        let line = |outcome: &Outcome| {
            let values: String = outcome.knobs.values().map(|value| format!("{value},")).collect();
            format!("{values}{},{},{}\n", outcome.accuracy, outcome.forgetting, outcome.diverged)
        };
        format!("{names}accuracy,forgetting,diverged\n{}", self.grid.iter().map(line).collect::<String>())
    }

    /// A heat map of accuracy for every pair of knobs, the best over the others; of the one, where there is one.
    pub fn heat_maps(&self) -> Vec<(String, Svg)> {
        let knobs: Vec<Knob> = self.knobs.keys().copied().collect();
        let map = |a: Knob, b: Knob| {
            let (rows, columns) = (self.values(a), self.values(b));
            let best = |x: f64, y: f64| {
                let there = self.grid.iter().filter(|o| !o.diverged && o.knobs[&a] == x && o.knobs[&b] == y);
                there.map(|outcome| outcome.accuracy).fold(f64::NAN, f64::max)
            };
            let of_row = |x: &f64| columns.iter().map(|y| best(*x, *y)).collect();
            let field = Field {
                row: a.to_string(),
                column: b.to_string(),
                rows: rows.iter().map(f64::to_string).collect(),
                columns: columns.iter().map(f64::to_string).collect(),
                values: rows.iter().map(of_row).collect(),
            };
            (format!("{a}-{b}"), heat_map(&format!("{} on tuning tasks, %", self.method), &field))
        };
        let mut pairs: Vec<(Knob, Knob)> =
            knobs.iter().enumerate().flat_map(|(i, a)| knobs[i + 1..].iter().map(|b| (*a, *b))).collect();
        if let [only] = knobs[..] {
            pairs.push((only, only));
        }
        pairs.into_iter().map(|(a, b)| map(a, b)).collect()
    }

    fn values(&self, knob: Knob) -> Vec<f64> {
        let mut values: Vec<f64> = self.grid.iter().map(|outcome| outcome.knobs[&knob]).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        values
    }
}
