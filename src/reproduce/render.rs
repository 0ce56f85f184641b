//! What comes of finished cells: tables and figures, as Markdown and as a page.

use super::{AnchorPicture, Entry, Target};
use crate::experiment::RunRecord;
use crate::report::figure::{self, Bar, Curve, Svg};
use crate::report::groups::{Group, groups};
use crate::report::html::Page;
use crate::report::table::{difference, divergences, measured, plus_minus, printed};
use crate::report::{
    Grid, Spread, accuracy_after, average_accuracy, benchmark_title, matrix_figures, method_title, paper,
};

/// A target on one benchmark, with what its cells gave.
#[derive(Clone, Debug)]
pub struct Reproduction {
    /// The table or figure.
    pub target: Target,
    /// The benchmark.
    pub benchmark: String,
    /// Its rows or points, each with its runs.
    pub entries: Vec<(Entry, Vec<RunRecord>)>,
    /// For Figure 2.
    pub picture: Option<AnchorPicture>,
}

const ABOUT: &str = "Ours and the paper's, mean ± population standard deviation over seeds. A difference is marked (*) \
where it is more than two standard deviations of both: the root of the sum of their squares.";

impl Reproduction {
    /// For headings.
    pub fn title(&self) -> String {
        format!("{}, {}", self.target.title(), benchmark_title(&self.benchmark))
    }

    /// The numbers: a row an entry.
    pub fn grid(&self) -> Grid {
        if self.target == Target::Figure3 { self.over_tasks() } else { self.beside_the_paper() }
    }

    fn beside_the_paper(&self) -> Grid {
        let accuracy = matches!(self.target, Target::Table5 | Target::Figure1 | Target::Table7);
        let forgetting = self.target == Target::Table6;
        let mut header = vec!["Method"];
        if !forgetting {
            header.extend(["Accuracy %", "paper", "differs"]);
        }
        if !accuracy {
            header.extend(["Forgetting", "paper", "differs"]);
        }
        header.extend(["seeds", "training s", "all s"]);
        let mut grid = Grid::new(&header);
        for (entry, runs) in &self.entries {
            for group in groups(runs) {
                grid.push(row(entry, &group, !forgetting, !accuracy));
            }
        }
        grid
    }

    /// The figures, if it is one; accuracy over tasks for Table 1.
    pub fn figures(&self) -> Vec<Svg> {
        let title = self.title();
        match self.target {
            Target::Table1 | Target::Figure3 => vec![average_accuracy(&self.groups())],
            Target::Figure1 => vec![self.over_memory(&title)],
            Target::Figure4 => vec![self.times(&title)],
            Target::Figure2 => self.picture.as_ref().map(|picture| picture.draw().to_vec()).unwrap_or_default(),
            _ => vec![],
        }
    }

    fn groups(&self) -> Vec<Group<'_>> {
        groups(self.entries.iter().flat_map(|(_, runs)| runs))
    }

    /// Accuracy on the tasks seen so far at four points of the stream. The paper prints no numbers for it.
    fn over_tasks(&self) -> Grid {
        let tasks = self.entries.first().map_or(0, |(entry, _)| entry.cell.settings.tasks);
        let mut shown: Vec<usize> = (1..=4).map(|quarter| (tasks * quarter).div_ceil(4)).collect();
        shown.dedup();
        let header: Vec<String> =
            shown.iter().map(|task| format!("after task {task}, %")).chain(["seeds".into()]).collect();
        let mut grid = Grid::new(&[&["Method"], &header.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat());
        for (entry, runs) in &self.entries {
            for group in groups(runs) {
                let after = |&task: &usize| accuracy_after(task, &group.sound());
                let cells = shown.iter().map(|task| after(task).map_or("diverged".into(), |s| plus_minus(s, 1)));
                grid.push([entry.label.clone()].into_iter().chain(cells).chain([seeds(&group)]).collect());
            }
        }
        grid
    }

    fn over_memory(&self, title: &str) -> Svg {
        let mut curves: Vec<Curve> = vec![];
        for (entry, runs) in &self.entries {
            let Some(accuracy) = groups(runs).first().and_then(|group| measured(group).0) else { continue };
            let name = method_title(&entry.cell.method);
            match curves.iter_mut().find(|curve| curve.name == name) {
                Some(curve) => curve.points.push((entry.x, accuracy)),
                None => curves.push(Curve { name: name.into(), points: vec![(entry.x, accuracy)] }),
            }
        }
        figure::lines(title, "examples a class and task", "accuracy, %", &curves)
    }

    fn times(&self, title: &str) -> Svg {
        let bar = |(entry, runs): &(Entry, Vec<RunRecord>)| {
            let seconds = runs.first()?.train_seconds;
            Some(Bar { name: entry.label.clone(), value: seconds, label: format!("{seconds:.1} s") })
        };
        figure::bars(title, &self.entries.iter().filter_map(bar).collect::<Vec<_>>())
    }

    fn commands(&self) -> Vec<String> {
        self.entries.iter().map(|(entry, _)| entry.cell.command()).collect()
    }

    fn divergences(&self) -> Vec<String> {
        divergences(self.entries.iter().flat_map(|(_, runs)| runs))
    }
}

fn row(entry: &Entry, group: &Group<'_>, accuracy: bool, forgetting: bool) -> Vec<String> {
    let (our_accuracy, our_forgetting) = measured(group);
    let paper = paper::row_for(group.first());
    let mut row = vec![entry.label.clone()];
    let mut compare = |ours: Option<Spread>, theirs: Option<Spread>, decimals: usize| {
        row.push(ours.map_or("diverged".into(), |s| plus_minus(s, decimals)));
        row.push(printed(theirs, decimals));
        row.push(difference(ours, theirs, decimals));
    };
    if accuracy {
        compare(our_accuracy, paper.map(|p| Spread { mean: p.accuracy, sd: p.accuracy_sd }), 1);
    }
    if forgetting {
        let printed = paper.filter(|p| p.forgetting.is_finite());
        compare(our_forgetting, printed.map(|p| Spread { mean: p.forgetting, sd: p.forgetting_sd }), 2);
    }
    row.push(seeds(group));
    row.push(format!("{:.1}", group.first().train_seconds));
    row.push(format!("{:.0}", group.first().total_seconds));
    row
}

/// How many runs a mean is of; of how many, if some diverged.
fn seeds(group: &Group<'_>) -> String {
    let (sound, all) = (group.sound().len(), group.runs.len());
    if sound == all { all.to_string() } else { format!("{sound} of {all}") }
}

/// A target as Markdown: the table, and the command of every row.
pub fn markdown(reproduction: &Reproduction) -> String {
    let mut text = format!("## {}\n\n{ABOUT}\n\n{}\n", reproduction.title(), reproduction.grid().to_markdown());
    for line in reproduction.divergences() {
        text += &format!("{line}\n\n");
    }
    for command in reproduction.commands() {
        text += &format!("    {command}\n");
    }
    text
}

/// Everything on one page.
pub fn page(reproductions: &[Reproduction], about: &[String]) -> Page {
    let mut page = Page::new("Hindsight Anchor Learning: the paper's tables and figures, and ours");
    page.text(ABOUT);
    about.iter().for_each(|line| page.text(line));
    for reproduction in reproductions {
        page.section(&reproduction.title());
        if !reproduction.entries.is_empty() {
            page.table(&reproduction.grid());
        }
        reproduction.divergences().iter().for_each(|line| page.text(line));
        reproduction.figures().iter().for_each(|svg| page.figure(svg, &reproduction.title()));
        if reproduction.target == Target::Table1 {
            page.heading("Accuracy on each task after each task, mean over seeds, percent");
            page.figures(&matrix_figures(&reproduction.groups()));
        }
        if !reproduction.entries.is_empty() {
            page.heading("Commands");
            reproduction.commands().iter().for_each(|command| page.code(command));
        }
    }
    page
}
