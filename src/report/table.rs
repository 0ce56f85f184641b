//! The table on the screen: every method, its mean and deviation over seeds, and the paper's beside it.

use super::groups::{Group, groups};
use super::{Grid, Spread, benchmark_title, method_title, paper};
use crate::experiment::{DivergedAt, NotFinite, RunRecord};
use crate::methods;
use crate::program::Precision;
use crate::settings::{AnchorKind, Setting, Settings};
use std::fmt::Write;

const HEADER: [&str; 8] = ["Method", "Accuracy %", "paper", "differs", "Forgetting", "paper", "differs", "runs"];

/// What was run, a row a method, and a line for each run that diverged. Ends with a newline.
pub fn table(runs: &[RunRecord]) -> String {
    let Some(first) = runs.first() else {
        return "No run finished.\n".into();
    };
    let mut text = format!("{}\n\n{}\n", heading(first, runs), grid(&groups(runs)).to_text());
    if runs.iter().any(|run| paper::row_for(run).is_some()) {
        text +=
            "paper: five seeds, Tables 1 to 7; differs: ours less the paper's, * more than two deviations of both\n";
    }
    for line in divergences(runs) {
        text += &line;
        text.push('\n');
    }
    text
}

/// A row a group.
pub fn grid(groups: &[Group<'_>]) -> Grid {
    let mut grid = Grid::new(&HEADER);
    groups.iter().for_each(|group| grid.push(row(group)));
    grid
}

/// One line for each diverged run, saying where it did and that no mean contains it.
pub fn divergences<'a>(runs: impl IntoIterator<Item = &'a RunRecord>) -> Vec<String> {
    let line = |run: &RunRecord| {
        let place = run.diverged_at.map_or(String::new(), place);
        let title = method_title(&run.method);
        format!("DIVERGED: {title}, seed {}{place}; left out of the means.", run.seed)
    };
    runs.into_iter().filter(|run| run.diverged).map(line).collect()
}

fn place(at: DivergedAt) -> String {
    match (at.step, at.found) {
        (Some(step), _) => format!(" at task {}, step {step}", at.task),
        (None, NotFinite::Parameters) => format!(" in task {} (its parameters are not finite)", at.task),
        (None, _) => format!(" in task {} (logits of the test after it are not finite)", at.task),
    }
}

fn heading(first: &RunRecord, runs: &[RunRecord]) -> String {
    let Settings { tasks, images_per_task, test_images, .. } = &first.settings;
    let mut seeds: Vec<u64> = runs.iter().map(|run| run.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    // What no method here reads says nothing about these runs.
    let reads = |run: &RunRecord, setting| methods::find(&run.method).is_none_or(|m| m.reads().contains(&setting));
    let reader = |setting| runs.iter().find(|run| reads(run, setting));
    let memory = reader(Setting::Memory).map(|run| format!("memory {} per class and task", run.memory_per_class));
    let preset =
        reader(Setting::Preset).map(|run| format!("preset {}{}", run.settings.preset, switches(&run.settings)));
    let precision = Some(first.settings.precision).filter(|p| *p != Precision::Single).map(|p| p.to_string());
    let seeds = Some(format!("seeds {}", seeds.join(" ")));
    let parts: Vec<String> = [memory, preset, precision, seeds].into_iter().flatten().collect();
    format!(
        "{}: {tasks} tasks of {images_per_task} images, tested on {test_images} after each\n{}",
        benchmark_title(&first.benchmark),
        parts.join(", ")
    )
}

/// The switches that turn a method into a relative of itself, where they were used.
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

fn row(group: &Group<'_>) -> Vec<String> {
    let sound = group.sound();
    let (accuracy, forgetting) = measured(group);
    let paper = paper::row_for(group.first());
    let paper_accuracy = paper.map(|p| Spread { mean: p.accuracy, sd: p.accuracy_sd });
    let paper_forgetting =
        paper.filter(|p| p.forgetting.is_finite()).map(|p| Spread { mean: p.forgetting, sd: p.forgetting_sd });
    let runs = match sound.len() == group.runs.len() {
        true => sound.len().to_string(),
        false => format!("{} of {}", sound.len(), group.runs.len()),
    };
    vec![
        group.label.clone(),
        accuracy.map_or("diverged".into(), |s| plus_minus(s, 1)),
        printed(paper_accuracy, 1),
        difference(accuracy, paper_accuracy, 1),
        forgetting.map_or("diverged".into(), |s| plus_minus(s, 2)),
        printed(paper_forgetting, 2),
        difference(forgetting, paper_forgetting, 2),
        runs,
    ]
}

/// Accuracy in percent and forgetting over the runs that did not diverge.
pub fn measured(group: &Group<'_>) -> (Option<Spread>, Option<Spread>) {
    let over = |metric: fn(&RunRecord) -> f64| Spread::of(&group.sound().into_iter().map(metric).collect::<Vec<_>>());
    (over(|run| 100.0 * run.accuracy), over(|run| run.forgetting))
}

/// The paper's own precision: its accuracies have one decimal, every deviation two.
pub fn plus_minus(spread: Spread, decimals: usize) -> String {
    format!("{:.decimals$} ± {:.2}", spread.mean, spread.sd)
}

/// A number of the paper's, which prints no deviation for some.
pub fn printed(paper: Option<Spread>, decimals: usize) -> String {
    match paper {
        Some(Spread { mean, sd: 0.0 }) => format!("{mean:.decimals$}"),
        Some(spread) => plus_minus(spread, decimals),
        None => "-".into(),
    }
}

/// Ours less theirs; marked where that is more than two standard deviations of both, which are independent.
pub fn difference(ours: Option<Spread>, theirs: Option<Spread>, decimals: usize) -> String {
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return "-".into() };
    let (apart, deviation) = (ours.mean - theirs.mean, ours.sd.hypot(theirs.sd));
    format!("{apart:+.decimals$}{}", if apart.abs() > 2.0 * deviation { " *" } else { "" })
}
