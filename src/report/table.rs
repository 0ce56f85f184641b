//! The final table: every method, its mean and deviation over seeds, and the paper's beside it.

use super::{Spread, benchmark_title, by_method, method_title, paper};
use crate::experiment::RunRecord;
use crate::settings::{AnchorKind, Settings};
use std::fmt::Write;

const HEADER: [&str; 8] = ["Method", "Accuracy %", "paper", "differs", "Forgetting", "paper", "differs", "runs"];

/// What was run, a row a method, and a line for each run that diverged. Ends with a newline.
pub fn table(runs: &[RunRecord]) -> String {
    let Some(first) = runs.first() else {
        return "No run finished.\n".into();
    };
    let mut rows = vec![HEADER.map(String::from)];
    rows.extend(by_method(runs).iter().map(|(method, members)| row(method, members)));
    let mut text = format!("{}\n\n{}\n", heading(first, runs), aligned(&rows));
    if runs.iter().any(|run| paper::row_for(run).is_some()) {
        text += "paper: five seeds, Tables 1, 5 and 6; differs: ours less the paper's\n";
    }
    for line in divergences(runs) {
        text += &line;
        text.push('\n');
    }
    text
}

/// One line for each diverged run, saying where it did and that no mean contains it.
pub fn divergences(runs: &[RunRecord]) -> Vec<String> {
    let diverged = runs.iter().filter(|run| run.diverged);
    diverged
        .map(|run| {
            let place = run.diverged_at.map_or(String::new(), |at| format!(" at task {}, step {}", at.task, at.step));
            let title = method_title(&run.method);
            format!("DIVERGED: {title}, seed {}{place}; left out of the means.", run.seed)
        })
        .collect()
}

fn heading(first: &RunRecord, runs: &[RunRecord]) -> String {
    let Settings { tasks, images_per_task, test_images, preset, .. } = &first.settings;
    let mut seeds: Vec<u64> = runs.iter().map(|run| run.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    format!(
        "{}: {tasks} tasks of {images_per_task} images, tested on {test_images} after each\n\
         memory {} per class and task, preset {preset}{}, seeds {}",
        benchmark_title(&first.benchmark),
        first.memory_per_class,
        switches(&first.settings),
        seeds.join(" ")
    )
}

/// The switches that turn HAL into a relative of itself, where they were used.
fn switches(settings: &Settings) -> String {
    let mut text = String::new();
    if settings.first_order {
        text += ", first order";
    }
    if settings.anchors != AnchorKind::Learned {
        let _ = write!(text, ", {} anchors", settings.anchors);
    }
    text
}

fn row(method: &str, members: &[&RunRecord]) -> [String; 8] {
    let sound: Vec<&RunRecord> = members.iter().copied().filter(|run| !run.diverged).collect();
    let over = |metric: fn(&RunRecord) -> f64| Spread::of(&sound.iter().map(|run| metric(run)).collect::<Vec<_>>());
    let accuracy = over(|run| 100.0 * run.accuracy);
    let forgetting = over(|run| run.forgetting);
    let paper = sound.first().and_then(|run| paper::row_for(run));
    let paper_accuracy = paper.map(|p| Spread { mean: p.accuracy, sd: p.accuracy_sd });
    let paper_forgetting = paper.map(|p| Spread { mean: p.forgetting, sd: p.forgetting_sd });
    let runs = match sound.len() == members.len() {
        true => sound.len().to_string(),
        false => format!("{} of {}", sound.len(), members.len()),
    };
    [
        method_title(method).into(),
        accuracy.map_or("diverged".into(), |s| plus_minus(s, 1)),
        paper_accuracy.map_or("-".into(), |s| plus_minus(s, 1)),
        difference(accuracy, paper_accuracy, 1),
        forgetting.map_or("diverged".into(), |s| plus_minus(s, 2)),
        paper_forgetting.map_or("-".into(), |s| plus_minus(s, 2)),
        difference(forgetting, paper_forgetting, 2),
        runs,
    ]
}

/// The paper's own precision: its accuracies have one decimal, every deviation two.
fn plus_minus(spread: Spread, decimals: usize) -> String {
    format!("{:.decimals$} ± {:.2}", spread.mean, spread.sd)
}

fn difference(ours: Option<Spread>, theirs: Option<Spread>, decimals: usize) -> String {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => format!("{:+.decimals$}", ours.mean - theirs.mean),
        _ => "-".into(),
    }
}

/// Columns two spaces apart: names to the left, numbers to the right, no lines drawn.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let mut text = String::new();
    for row in rows {
        let _ = write!(text, "{:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(widths).skip(1) {
            let _ = write!(text, "   {cell:>width$}");
        }
        text.push('\n');
    }
    text
}
