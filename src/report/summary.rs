//! Any set of run folders side by side, protocol by protocol.

use super::figure::{self, Bar, Curve, Svg};
use super::groups::{Group, groups};
use super::html::Page;
use super::table::{divergences, grid};
use super::{Manifest, Results, Spread, average_accuracy, benchmark_title, export, matrix_figures};
use crate::experiment::RunRecord;
use std::path::PathBuf;

/// A run folder that was read.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it is.
    pub folder: PathBuf,
    /// Its `results.json`.
    pub results: Results,
    /// Its losses, if it has them.
    pub losses: Vec<export::Losses>,
}

/// Runs on streams of the same size and kind, which may stand in one table.
struct Chapter<'a> {
    title: String,
    groups: Vec<Group<'a>>,
}

/// What a run's stream was, in words.
fn protocol(run: &RunRecord) -> String {
    let s = &run.settings;
    let mut text = format!(
        "{}: {} tasks of {} images, tested on {}",
        benchmark_title(&run.benchmark),
        s.tasks,
        s.images_per_task,
        s.test_images
    );
    if run.benchmark == "rotated-mnist" {
        text += &format!(", {} angles", s.angles);
    }
    if s.task_set != crate::settings::TaskSet::Evaluation {
        text += &format!(", {} tasks", s.task_set);
    }
    text
}

/// Runs of all sources; one that was found before, to the last digit, is counted once.
fn distinct(sources: &[Source]) -> Vec<&RunRecord> {
    let mut runs: Vec<&RunRecord> = vec![];
    let same = |a: &RunRecord, b: &RunRecord| {
        (&a.benchmark, &a.method, a.seed, &a.settings, &a.matrix)
            == (&b.benchmark, &b.method, b.seed, &b.settings, &b.matrix)
    };
    for run in sources.iter().flat_map(|source| &source.results.runs) {
        if !runs.iter().any(|known| same(known, run)) {
            runs.push(run);
        }
    }
    runs
}

fn chapters(sources: &[Source]) -> Vec<Chapter<'_>> {
    let runs = distinct(sources);
    let mut titles: Vec<String> = vec![];
    for title in runs.iter().map(|run| protocol(run)) {
        if !titles.contains(&title) {
            titles.push(title);
        }
    }
    let chapter = |title: String| {
        let groups = groups(runs.iter().copied().filter(|run| protocol(run) == title));
        Chapter { title, groups }
    };
    titles.into_iter().map(chapter).collect()
}

/// The tables of all sources.
pub fn summary_text(sources: &[Source]) -> String {
    let mut text = String::new();
    for chapter in chapters(sources) {
        text += &format!("{}\n\n{}\n", chapter.title, grid(&chapter.groups).to_text());
        for line in divergences(chapter.groups.iter().flat_map(|group| group.runs.iter().copied())) {
            text += &format!("{line}\n");
        }
    }
    text
}

/// Tables, curves, times, matrices and losses of all sources, and how they came about.
pub fn summary_page(sources: &[Source]) -> Page {
    let mut page = Page::new("hindsight: runs compared");
    page.text(
        "Mean ± population standard deviation over seeds; runs of different settings are never in one mean. \
         A difference from the paper is marked (*) where it is more than two standard deviations of both.",
    );
    for chapter in chapters(sources) {
        page.section(&chapter.title);
        page.table(&grid(&chapter.groups));
        for line in divergences(chapter.groups.iter().flat_map(|group| group.runs.iter().copied())) {
            page.text(&line);
        }
        page.figure(&average_accuracy(&chapter.groups), "Mean over seeds, with a band of one standard deviation");
        page.figure(&times(&chapter.groups), "Of all seeds in lock-step; testing included in the number at the end");
        if let Some(svg) = losses(sources, &chapter) {
            page.figure(&svg, "Mean over seeds, of twenty steps at a time");
        }
        page.heading("Accuracy on each task after each task, mean over seeds, percent");
        page.figures(&matrix_figures(&chapter.groups));
    }
    page.section("How these runs came about");
    for source in sources {
        let Manifest { version, command, started_at, device, .. } = &source.results.manifest;
        page.heading(&source.folder.display().to_string());
        page.code(&command.join(" "));
        page.text(&format!("Version {version}, started {started_at}, on {}, {}.", device.taken, device.driver));
    }
    page
}

fn times(groups: &[Group<'_>]) -> Svg {
    let bar = |group: &Group<'_>| {
        let run = group.first();
        let label = format!("{:.1} s of {:.0}", run.train_seconds, run.total_seconds);
        Bar { name: group.label.clone(), value: run.train_seconds, label }
    };
    figure::bars("Training time", &groups.iter().map(bar).collect::<Vec<_>>())
}

/// Steps whose mean is one point of a curve of losses.
const SMOOTHED: usize = 20;

fn losses(sources: &[Source], chapter: &Chapter<'_>) -> Option<Svg> {
    let curve = |group: &Group<'_>| {
        let own = |losses: &&export::Losses| group.runs.iter().any(|run| losses.is_of(run));
        let of_runs: Vec<Vec<f64>> =
            sources.iter().flat_map(|source| &source.losses).filter(own).map(export::Losses::flat).collect();
        let steps = of_runs.iter().map(Vec::len).min()?;
        let mean = |from: usize| {
            let to = (from + SMOOTHED).min(steps);
            let of_run = |losses: &Vec<f64>| losses[from..to].iter().sum::<f64>() / (to - from) as f64;
            let spread = Spread::of(&of_runs.iter().map(of_run).filter(|l| l.is_finite()).collect::<Vec<_>>())?;
            Some((to as f64, spread))
        };
        let points: Vec<_> = (0..steps).step_by(SMOOTHED).filter_map(mean).collect();
        (!points.is_empty()).then(|| Curve { name: group.label.clone(), points })
    };
    let curves: Vec<Curve> = chapter.groups.iter().filter_map(curve).collect();
    (!curves.is_empty()).then(|| figure::lines("Training loss", "steps", "loss", &curves))
}
