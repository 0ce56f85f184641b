//! Any set of run folders side by side, protocol by protocol.

use super::figure::{self, Bar, Curve, Svg};
use super::groups::{Group, groups_as_made};
use super::html::Page;
use super::manifest::Provenance;
use super::table::{divergences, grid};
use super::{Manifest, Results, Spread, average_accuracy, benchmark_title, export, matrix_figures, method_title};
use crate::experiment::RunRecord;
use crate::files;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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

/// A run, and what made it.
struct Made<'a> {
    run: &'a RunRecord,
    by: Provenance,
    folder: &'a Path,
}

/// Runs of all sources; one that was found before, to the last digit and made alike, is counted once.
fn distinct(sources: &[Source]) -> Vec<Made<'_>> {
    let mut all: Vec<Made<'_>> = vec![];
    for source in sources {
        let by = Provenance::of(&source.results.manifest);
        for run in &source.results.runs {
            let same =
                |known: &Made<'_>| is_of_same(known.run, run) && known.run.matrix == run.matrix && known.by.agrees(&by);
            if !all.iter().any(same) {
                all.push(Made { run, by: by.clone(), folder: &source.folder });
            }
        }
    }
    all
}

/// Whether two runs are of one seed and one protocol.
fn is_of_same(a: &RunRecord, b: &RunRecord) -> bool {
    (&a.benchmark, &a.method, a.seed, &a.settings) == (&b.benchmark, &b.method, b.seed, &b.settings)
}

/// Runs of which each seed counts once, whatever made them: that of the folder that was named first. What is left out is
/// said.
fn pooled(all: Vec<Made<'_>>) -> (Vec<Made<'_>>, Vec<String>) {
    let (mut kept, mut said): (Vec<Made<'_>>, Vec<String>) = (vec![], vec![]);
    for made in all {
        match kept.iter().find(|known| is_of_same(known.run, made.run)) {
            Some(known) => said.push(format!(
                "{}, seed {}: that of {} counts, that of {} is left out",
                method_title(&made.run.method),
                made.run.seed,
                files::shown(known.folder),
                files::shown(made.folder)
            )),
            None => kept.push(made),
        }
    }
    let differences: BTreeSet<&str> = kept.iter().flat_map(|made| kept[0].by.differences(&made.by)).collect();
    if !differences.is_empty() {
        let names: Vec<&str> = differences.into_iter().collect();
        said.push(format!("pooled: runs that differ in {} are in one mean", names.join(", ")));
    }
    (kept, said)
}

/// What is reported: the runs that count, and what is to be said of it.
pub struct Summary<'a> {
    sources: &'a [Source],
    runs: Vec<Made<'a>>,
    notes: Vec<String>,
    pool: bool,
}

impl<'a> Summary<'a> {
    /// Of all that was read. Runs that were made differently are in one mean only where they are to be pooled.
    pub fn new(sources: &'a [Source], pool: bool) -> Summary<'a> {
        let all = distinct(sources);
        let (runs, notes) = if pool { pooled(all) } else { (all, vec![]) };
        Summary { sources, runs, notes, pool }
    }

    fn chapters(&self) -> Vec<Chapter<'_>> {
        let mut titles: Vec<String> = vec![];
        for title in self.runs.iter().map(|made| protocol(made.run)) {
            if !titles.contains(&title) {
                titles.push(title);
            }
        }
        let chapter = |title: String| {
            let runs = self.runs.iter().filter(|made| protocol(made.run) == title);
            let groups = groups_as_made(runs.map(|made| (made.run, (!self.pool).then_some(&made.by))));
            Chapter { title, groups }
        };
        titles.into_iter().map(chapter).collect()
    }

    /// The tables of all sources.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for chapter in self.chapters() {
            text += &format!("{}\n\n{}\n", chapter.title, grid(&chapter.groups).to_text());
            for line in divergences(chapter.groups.iter().flat_map(|group| group.runs.iter().copied())) {
                text += &format!("{line}\n");
            }
        }
        for note in &self.notes {
            text += &format!("{note}\n");
        }
        text
    }

    /// Tables, curves, times, matrices and losses of all sources, and how they came about.
    pub fn page(&self) -> Page {
        let mut page = Page::new("hindsight: runs compared");
        page.text(
            "Mean ± population standard deviation over seeds; runs of different settings are never in one mean. \
         A difference from the paper is marked (*) where it is more than two standard deviations of both.",
        );
        self.notes.iter().for_each(|note| page.text(note));
        for chapter in self.chapters() {
            page.section(&chapter.title);
            page.table(&grid(&chapter.groups));
            for line in divergences(chapter.groups.iter().flat_map(|group| group.runs.iter().copied())) {
                page.text(&line);
            }
            page.figure(&average_accuracy(&chapter.groups), "Mean over seeds, with a band of one standard deviation");
            page.figure(
                &times(&chapter.groups),
                "Of all seeds in lock-step; testing included in the number at the end",
            );
            if let Some(svg) = losses(self.sources, &chapter) {
                page.figure(&svg, "Mean over seeds, of twenty steps at a time");
            }
            page.heading("Accuracy on each task after each task, mean over seeds, percent");
            page.figures(&matrix_figures(&chapter.groups));
        }
        page.section("How these runs came about");
        for source in self.sources {
            let Manifest { version, command, started_at, device, .. } = &source.results.manifest;
            let sources = Provenance::of(&source.results.manifest).sources();
            page.heading(&files::shown(&source.folder).to_string());
            page.code(&command.join(" "));
            page.text(&format!(
                "Version {version}, sources {sources}, started {started_at}, on {}, {}.",
                device.taken, device.driver
            ));
        }
        page
    }
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
