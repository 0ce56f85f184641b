//! What is reported is what was measured: diverged runs stay out of means, files are whole or
//! absent, nothing of the user's is overwritten, and `results.json` keeps its promises.

use hindsight::experiment::{DivergedAt, NotFinite, RunRecord};
use hindsight::report::manifest::DeviceRecord;
use hindsight::report::{FolderError, Manifest, Results, RunFolder, Spread, average_accuracy_svg, paper, table, time};
use hindsight::settings::{AnchorKind, Settings};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

pub fn run(method: &str, seed: u64, accuracy: f64) -> RunRecord {
    let settings = Settings::default();
    RunRecord {
        benchmark: "permuted-mnist".into(),
        method: method.into(),
        preset: settings.preset,
        memory_per_class: 1,
        seed,
        accuracy,
        forgetting: 0.25,
        matrix: vec![vec![0.75, 0.125], vec![0.5, accuracy]],
        train_seconds: 1.5,
        total_seconds: 2.5,
        diverged: false,
        diverged_at: None,
        settings,
    }
}

/// The same of as many tasks as its settings say, as files must have it.
pub fn whole(method: &str, seed: u64, accuracy: f64) -> RunRecord {
    let mut matrix = vec![vec![0.5; 20]; 19];
    matrix.push(vec![accuracy; 20]);
    RunRecord { matrix, accuracy, ..run(method, seed, accuracy) }
}

fn diverged(method: &str, seed: u64) -> RunRecord {
    let diverged_at = Some(DivergedAt { task: 3, step: Some(12), found: NotFinite::Loss });
    RunRecord { diverged: true, diverged_at, ..run(method, seed, 0.1) }
}

pub fn results(runs: Vec<RunRecord>) -> Results {
    let manifest = Manifest {
        version: "0.1.0".into(),
        sources: "00".repeat(16),
        command: vec!["hindsight".into(), "run".into()],
        started_at: time::rfc3339(UNIX_EPOCH),
        benchmark: "permuted-mnist".into(),
        methods: vec!["hal".into()],
        seeds: vec![0, 1],
        settings: [("hal".to_string(), Settings::default())].into(),
        device: DeviceRecord {
            taken: "cpu".into(),
            adapter: "cpu".into(),
            driver: "none".into(),
            processor: "a processor".into(),
            kernels: BTreeMap::new(),
        },
        datasets: BTreeMap::from([("images".into(), "md5:00".into())]),
    };
    Results::new(manifest, runs)
}

pub fn save(folder: &Path, runs: Vec<RunRecord>) -> Result<(), FolderError> {
    let tasks = json!({ "0": [{ "degrees": 3.5 }, { "degrees": 99.0 }] });
    let mut folder = RunFolder::create(folder, true)?;
    folder.save(&results(runs), &tasks)?;
    folder.finish()
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_diverged_run_is_named_and_never_averaged_in() {
    let text = table(&[run("hal", 0, 0.7), run("hal", 1, 0.72), diverged("hal", 2)]);
    assert!(text.contains("71.0 ± 1.00"), "{text}");
    assert!(text.contains("2 of 3"), "{text}");
    assert!(text.contains("DIVERGED: HAL, seed 2 at task 3, step 12"), "{text}");
}

#[test]
fn a_method_whose_runs_all_diverged_has_no_mean() {
    let text = table(&[run("er", 0, 0.7), diverged("hal", 0)]);
    let line = text.lines().find(|line| line.starts_with("HAL ")).unwrap();
    assert!(line.contains("diverged") && line.contains("0 of 1"), "{line}");
    assert!(!average_accuracy_svg(&[run("er", 0, 0.7), diverged("hal", 0)]).contains("HAL"));
    let empty = average_accuracy_svg(&[diverged("hal", 0)]);
    assert!(empty.contains("</svg>") && empty.len() < 10_000, "a picture without curves is a small one");
}

#[test]
fn the_table_shows_the_papers_number_and_the_difference() {
    let text = table(&[run("hal", 0, 0.746)]);
    let line = text.lines().find(|line| line.starts_with("HAL ")).unwrap();
    assert!(line.contains("73.6 ± 0.31") && line.contains("+1.0"), "{line}");
}

#[test]
fn another_experiment_is_not_compared_with_the_paper() {
    let mut shorter = run("finetune", 0, 0.5);
    shorter.settings.tasks = 5;
    assert_eq!(paper::row_for(&shorter), None);
    let mut first_order = run("hal", 0, 0.7);
    first_order.settings.first_order = true;
    assert_eq!(paper::row_for(&first_order), None);
    let mut real = run("hal", 0, 0.7);
    real.settings.anchors = AnchorKind::Real;
    assert_eq!(paper::row_for(&real), None);
}

#[test]
fn a_method_without_memory_has_one_row_for_every_memory_size() {
    let accuracy = |method, memory| paper::row("permuted-mnist", method, memory).map(|r| r.accuracy);
    assert_eq!(accuracy("finetune", 5), Some(53.5));
    assert_eq!(accuracy("hal", 3), Some(76.2));
    assert_eq!(accuracy("hal", 2), None);
}

#[test]
fn deviations_are_of_the_population() {
    assert_eq!(Spread::of(&[1.0, 3.0]), Some(Spread { mean: 2.0, sd: 1.0 }));
    assert_eq!(Spread::of(&[]), None);
}

#[test]
fn results_json_satisfies_its_schema() {
    let home = tempfile::tempdir().unwrap();
    save(home.path(), vec![run("hal", 0, 0.7), diverged("hal", 1)]).unwrap();
    let schema: Value = serde_json::from_str(include_str!("../../docs/results.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let written = read_json(&home.path().join("results.json"));
    let errors: Vec<String> = validator.iter_errors(&written).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    assert!(!validator.is_valid(&json!({ "schema": 1, "runs": [] })), "the schema checks nothing");
}

#[test]
fn results_read_back_are_the_results_written() {
    let home = tempfile::tempdir().unwrap();
    let runs = vec![run("hal", 0, 0.7123456789), diverged("hal", 1)];
    save(home.path(), runs.clone()).unwrap();
    let text = fs::read_to_string(home.path().join("results.json")).unwrap();
    assert_eq!(serde_json::from_str::<Results>(&text).unwrap(), results(runs));
}

#[test]
fn a_row_of_the_matrix_is_one_line_of_the_file() {
    let text = results(vec![run("hal", 0, 0.7)]).to_json();
    assert!(text.lines().any(|line| line.trim() == "[0.75, 0.125],"), "{text}");
}

#[test]
fn a_run_folder_holds_results_manifest_matrices_and_picture() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("new/run");
    save(&folder, vec![run("hal", 4, 0.7)]).unwrap();
    let csv = fs::read_to_string(folder.join("matrices/hal-seed4.csv")).unwrap();
    assert_eq!(csv, "after_task,task_1,task_2\n1,0.75,0.125\n2,0.5,0.7\n");
    assert_eq!(read_json(&folder.join("manifest.json"))["tasks"]["0"][0], json!({ "degrees": 3.5 }));
    assert_eq!(read_json(&folder.join("results.json"))["manifest"].get("tasks"), None);
    let svg = fs::read_to_string(folder.join("average-accuracy.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("HAL") && svg.contains("Permuted MNIST"));
    let left = fs::read_dir(&folder).unwrap().flatten();
    assert!(left.into_iter().all(|e| !e.path().to_string_lossy().ends_with(".part")));
}

#[test]
fn an_existing_run_folder_is_refused_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("results.json"), "precious").unwrap();
    let error = RunFolder::create(home.path(), false).unwrap_err();
    assert!(matches!(error, FolderError::Occupied(_)));
    assert!(error.to_string().contains("--overwrite"), "{error}");
    assert_eq!(fs::read_to_string(home.path().join("results.json")).unwrap(), "precious");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn an_empty_folder_is_taken_and_a_file_is_not() {
    let home = tempfile::tempdir().unwrap();
    assert!(RunFolder::create(home.path(), false).is_ok());
    let file = home.path().join("file");
    fs::write(&file, "precious").unwrap();
    assert!(matches!(RunFolder::create(&file, true), Err(FolderError::NotAFolder(_))));
}

#[test]
fn overwriting_leaves_no_matrix_of_the_run_before() {
    let home = tempfile::tempdir().unwrap();
    save(home.path(), vec![run("er", 0, 0.6)]).unwrap();
    save(home.path(), vec![run("hal", 0, 0.7)]).unwrap();
    assert!(!home.path().join("matrices/er-seed0.csv").exists());
    assert!(home.path().join("matrices/hal-seed0.csv").exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_that_names_the_file() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("file"), "").unwrap();
    let error = save(&home.path().join("file/below"), vec![run("hal", 0, 0.7)]).unwrap_err();
    assert!(matches!(error, FolderError::Unwritable { .. }));
    assert!(error.to_string().contains("file/below"), "{error}");
}

#[test]
fn dates_are_right_across_leap_days() {
    let at = |seconds| time::rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!(at(0), "1970-01-01T00:00:00Z");
    assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
    assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
    assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00Z");
    let name = time::for_a_name(UNIX_EPOCH + Duration::from_secs(951_782_399));
    assert_eq!(name, "2000-02-28-235959");
}
