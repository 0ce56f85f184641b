//! `hindsight reproduce`: the paper's numbers are the paper's, cells are computed once, and what is marked is
//! far off.

#[cfg(unix)]
use crate::cli::interrupted_at;
use crate::cli::{hindsight, hindsight_at, stderr, stdout};
use hindsight::data::benchmarks;
use hindsight::experiment::RunRecord;
use hindsight::methods;
use hindsight::report::{Spread, paper, table};
use hindsight::reproduce::{Selection, Target};
use hindsight::settings::{AnchorKind, Settings};
use std::fs;
use std::path::Path;
use std::process::Output;

const TINY: [&str; 9] = [
    "--device=cpu",
    "--tasks",
    "2",
    "--images",
    "50",
    "--test-images",
    "100",
    "--seeds=2",
    "--benchmark=permuted-mnist",
];

fn reproduce(out: &Path, what: &[&str]) -> Output {
    hindsight(&[&["reproduce"], what, &TINY[..], &["--out", out.to_str().unwrap()]].concat())
}

fn whole() -> Selection {
    Selection {
        only: vec![],
        benchmarks: vec!["permuted-mnist".into(), "rotated-mnist".into()],
        seeds: vec![0, 1, 2, 3, 4],
        sizes: [].into(),
    }
}

#[test]
fn every_cell_of_the_tables_has_the_papers_number_where_it_prints_one() {
    let missing = |target: Target, benchmark: &str| {
        let entries = target.entries(benchmark, &whole());
        let none = entries.iter().filter(|e| paper::row_of(benchmark, &e.cell.method, &e.cell.settings).is_none());
        none.map(|e| e.label.clone()).collect::<Vec<_>>()
    };
    assert_eq!(missing(Target::Table1, "permuted-mnist"), ["iCaRL"]);
    assert_eq!(missing(Target::Table1, "rotated-mnist"), ["MIR", "iCaRL"]);
    for target in [Target::Table2, Target::Table3, Target::Table5, Target::Table6, Target::Table7] {
        assert_eq!(missing(target, "permuted-mnist"), [""; 0], "{target:?}");
    }
    assert_eq!(missing(Target::Table5, "rotated-mnist"), [""; 0]);
    assert_eq!(Target::Table1.entries("permuted-mnist", &whole()).len(), methods::registry().len());
}

#[test]
fn digits_are_those_of_the_paper() {
    let accuracy = |benchmark: &str, method: &str, change: &dyn Fn(&mut Settings)| {
        let mut settings =
            methods::paper_settings(methods::find(method).unwrap(), benchmarks::find(benchmark).unwrap());
        change(&mut settings);
        paper::row_of(benchmark, method, &settings).map(|row| (row.accuracy, row.accuracy_sd))
    };
    assert_eq!(accuracy("rotated-mnist", "mer", &|_| {}), Some((66.0, 2.04)));
    assert_eq!(accuracy("permuted-mnist", "vcl-random", &|s| s.memory_per_class = 5), Some((58.5, 1.21)));
    assert_eq!(accuracy("permuted-mnist", "hal", &|s| s.lambda = 0.01), Some((72.8, 0.52)));
    assert_eq!(accuracy("permuted-mnist", "hal", &|s| s.anchors = AnchorKind::Oracle), Some((73.9, 0.41)));
    assert_eq!(accuracy("permuted-mnist", "hal", &|s| s.lambda = 0.02), None);
    assert_eq!(accuracy("permuted-mnist", "hal", &|s| s.tasks = 19), None);
}

#[test]
fn a_difference_is_marked_beyond_two_deviations_of_both() {
    let spread = |mean, sd| Some(Spread { mean, sd });
    assert_eq!(table::difference(spread(72.0, 0.3), spread(73.0, 0.4), 1), "-1.0");
    assert_eq!(table::difference(spread(71.9, 0.3), spread(73.0, 0.4), 1), "-1.1 *");
    assert_eq!(table::difference(None, spread(73.0, 0.4), 1), "-");
}

fn training_times(out: &Path) -> Vec<(String, f64)> {
    let cells = fs::read_dir(out.join("cells")).unwrap().flatten();
    let mut times: Vec<(String, f64)> = cells
        .filter_map(|cell| {
            let text = fs::read_to_string(cell.path().join("results.json")).ok()?;
            let results: hindsight::report::Results = serde_json::from_str(&text).unwrap();
            let RunRecord { train_seconds, .. } = results.runs[0];
            Some((cell.file_name().to_string_lossy().into_owned(), train_seconds))
        })
        .collect();
    times.sort_by(|a, b| a.0.cmp(&b.0));
    times
}

#[test]
fn a_second_reproduction_computes_nothing_and_a_damaged_cell_again() {
    let home = tempfile::tempdir().unwrap();
    let what = ["table1", "figure4", "--only", "finetune,er"];
    let first = reproduce(home.path(), &what);
    assert!(first.status.success(), "{}", stderr(&first));
    assert!(stderr(&first).contains("2 of 2 cells to compute"), "{}", stderr(&first));
    for file in
        ["table1-permuted-mnist.md", "table1-permuted-mnist-1.svg", "figure4-permuted-mnist-1.svg", "report.html"]
    {
        assert!(home.path().join(file).exists(), "{file}");
    }
    let times = training_times(home.path());
    assert_eq!(times.len(), 2);
    let second = reproduce(home.path(), &what);
    assert!(stderr(&second).contains("0 of 2 cells to compute"), "{}", stderr(&second));
    assert_eq!(training_times(home.path()), times);
    assert_eq!(stdout(&first), stdout(&second));
    // A larger wish computes what is missing only.
    let more = reproduce(home.path(), &["table1", "--only", "finetune,er,clone", "--quiet"]);
    assert!(more.status.success());
    assert_eq!(training_times(home.path()).len(), 3);
    let damaged = home.path().join("cells").join(&times[0].0).join("results.json");
    fs::write(&damaged, "{ half").unwrap();
    let third = reproduce(home.path(), &what);
    assert!(stderr(&third).contains("computed anew") && stderr(&third).contains("1 of 2 cells"), "{}", stderr(&third));
    assert_eq!(training_times(home.path()).len(), 3);
}

/// The first cell is kept when the second begins, which is then interrupted.
#[cfg(unix)]
#[test]
fn a_killed_reproduction_goes_on_with_what_is_missing() {
    let home = tempfile::tempdir().unwrap();
    let sizes = ["reproduce", "table2", "--device=cpu", "--tasks=8", "--images=300", "--test-images=100", "--seeds=1"];
    let rest = ["--benchmark=permuted-mnist", "--only=er,hal", "--out", home.path().to_str().unwrap()];
    let args = [&sizes[..], &rest[..]].concat();
    let (code, said) = interrupted_at("cell 2 of 3", &args);
    assert_eq!(code, Some(130), "{said}");
    let kept = training_times(home.path());
    assert!(!kept.is_empty() && kept.len() < 3 && said.contains("goes on"), "{said}");
    let second = hindsight(&args);
    assert!(second.status.success(), "{}", stderr(&second));
    let all = training_times(home.path());
    assert!(all.len() == 3 && kept.iter().all(|cell| all.contains(cell)), "finished cells are not computed again");
}

#[test]
fn a_dry_run_lists_the_cells_and_computes_none() {
    let home = tempfile::tempdir().unwrap();
    let output = reproduce(home.path(), &["table7", "--dry-run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    // Nine entries, of which three are the same: the paper's own settings.
    assert_eq!(stdout(&output).lines().count(), 7, "{}", stdout(&output));
    assert!(stdout(&output).contains("--lambda 0.01") && !home.path().join("cells").exists());
}

#[test]
fn figure_2_shows_the_images_of_a_task_and_its_anchors() {
    let home = tempfile::tempdir().unwrap();
    let output = reproduce(home.path(), &["figure2"]);
    assert!(output.status.success(), "{}", stderr(&output));
    for number in [1, 2] {
        let svg = fs::read_to_string(home.path().join(format!("figure2-permuted-mnist-{number}.svg"))).unwrap();
        assert_eq!(svg.matches("<circle").count(), 50 + 10);
    }
}

#[test]
fn figure_3_follows_the_accuracy_on_the_tasks_seen_so_far() {
    let home = tempfile::tempdir().unwrap();
    let output = reproduce(home.path(), &["figure3", "--only", "er,multitask"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let cell = fs::read_dir(home.path().join("cells")).unwrap().next().unwrap().unwrap();
    let text = fs::read_to_string(cell.path().join("results.json")).unwrap();
    let results: hindsight::report::Results = serde_json::from_str(&text).unwrap();
    let mean = |of: &dyn Fn(&RunRecord) -> f64| 100.0 * results.runs.iter().map(of).sum::<f64>() / 2.0;
    let after_1 = format!("{:.1} ±", mean(&|run| run.matrix[0][0]));
    let after_2 = format!("{:.1} ±", mean(&|run| run.accuracy));
    let table = fs::read_to_string(home.path().join("figure3-permuted-mnist.md")).unwrap();
    let row = table.lines().find(|line| line.starts_with("| ER-Ring")).unwrap();
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    assert!(table.contains("| after task 1, % | after task 2, % |"), "{table}");
    assert!(cells[2].starts_with(&after_1) && cells[3].starts_with(&after_2), "{row}: {after_1} {after_2}");
    // Multitask has seen every task before its first test: it has no course to show.
    assert!(!table.contains("Multitask") && home.path().join("figure3-permuted-mnist-1.svg").exists());
}

#[test]
fn benchmarks_of_the_paper_whose_data_is_not_here_are_left_out_and_that_is_said() {
    let home = tempfile::tempdir().unwrap();
    let output = hindsight_at(home.path(), &["reproduce", "table1", "--dry-run", "--device=cpu"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("Split CIFAR-100 is left out"), "{}", stderr(&output));
    let cells = stdout(&output);
    assert!(cells.contains("rotated-mnist") && !cells.contains("split-"), "{cells}");
}
