//! A run's progress as a picture: accuracy over tasks, loss over steps.

use super::figure::{self, Curve, Field, Svg};
use super::groups::{Group, groups};
use super::{Spread, benchmark_title};
use crate::experiment::RunRecord;

/// `average-accuracy.svg`: after each task the mean accuracy over the tasks seen so far, with a band of one
/// standard deviation over seeds. Diverged runs are left out.
pub fn average_accuracy_svg(runs: &[RunRecord]) -> String {
    average_accuracy(&groups(runs)).standalone()
}

/// That picture of some groups.
pub fn average_accuracy(groups: &[Group<'_>]) -> Svg {
    let title = groups.first().map_or("", |group| benchmark_title(&group.first().benchmark));
    let curve = |group: &Group<'_>| {
        let sound = group.sound();
        let tasks = sound.first().map_or(0, |run| run.matrix.len());
        let points = (1..=tasks).filter_map(|task| Some((task as f64, accuracy_after(task, &sound)?)));
        Curve { name: group.label.clone(), points: points.collect() }
    };
    let curves: Vec<Curve> = groups.iter().map(curve).filter(|curve| !curve.points.is_empty()).collect();
    let title = format!("{title}: accuracy on the tasks seen so far");
    figure::lines(&title, "tasks learned", "average accuracy, %", &curves)
}

/// Over runs, the accuracy after `tasks` tasks, averaged over these, in percent. None where there is no run.
pub fn accuracy_after(tasks: usize, runs: &[&RunRecord]) -> Option<Spread> {
    let seen = |run: &&RunRecord| run.matrix[tasks - 1][..tasks].iter().sum::<f64>();
    let percents = runs.iter().map(|run| 100.0 * seen(run) / tasks as f64);
    Spread::of(&percents.collect::<Vec<_>>())
}

/// A heat map a group: its mean accuracy matrix.
pub fn matrix_figures(groups: &[Group<'_>]) -> Vec<(Svg, String)> {
    let map = |group: &Group<'_>| {
        let field = Field::counted("after learning task", "accuracy on task", mean_matrix(group)?);
        let svg = figure::heat_map(&group.label, &field);
        Some((svg, format!("{}: a row after each task, a column for each task", group.label)))
    };
    groups.iter().filter_map(map).collect()
}

/// The mean matrix of runs that did not diverge; none where all did.
fn mean_matrix(group: &Group<'_>) -> Option<Vec<Vec<f64>>> {
    let sound = group.sound();
    let tasks = sound.first()?.matrix.len();
    let mean = |i: usize, j: usize| sound.iter().map(|run| run.matrix[i][j]).sum::<f64>() / sound.len() as f64;
    Some((0..tasks).map(|i| (0..tasks).map(|j| mean(i, j)).collect()).collect())
}
