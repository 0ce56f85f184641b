//! Results of another program, device or data are neither reused nor averaged, unless that is asked for.

use crate::cli::{hindsight, stderr, stdout};
use crate::report::{results, save, whole};
use hindsight::SOURCES;
use hindsight::experiment::Experiment;
use hindsight::report::manifest::Provenance;
use hindsight::report::{Results, Source, Summary};
use hindsight::settings::{RunSpec, Settings};
use hindsight::tune::Chunks;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// What `build.rs` says of itself, computed another way: from sorted paths, by 128-bit FNV-1a.
fn hash_of_sources(root: &Path) -> String {
    let mut names: Vec<String> = vec![];
    let mut folders = vec!["src".to_string(), "kernels/src".into(), "shaders".into()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).unwrap().flatten() {
            let name = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() { folders.push(name) } else { names.push(name) }
        }
    }
    let shows = ["src/cli/", "src/report/", "src/profile/", "src/bench/", "src/main.rs"];
    names.retain(|name| name.ends_with(".rs") || name.ends_with(".wgsl"));
    names.retain(|name| name == "src/report/tsne.rs" || !shows.iter().any(|start| name.starts_with(start)));
    names.extend(["Cargo.toml", "Cargo.lock", "kernels/Cargo.toml"].map(String::from));
    names.sort();
    let mut hash = 0x6c62272e07bb014262b821756295c58d_u128;
    let mut take = |bytes: Vec<u8>| {
        let length = (bytes.len() as u64).to_le_bytes();
        for byte in bytes.into_iter().chain(length) {
            hash = (hash ^ u128::from(byte)).wrapping_mul((1 << 88) + 0x13b);
        }
    };
    for name in names {
        let text = fs::read_to_string(root.join(&name)).unwrap().replace("\r\n", "\n");
        take(name.into_bytes());
        take(text.into_bytes());
    }
    format!("{hash:032x}")
}

#[test]
fn sources_that_compute_are_known_by_their_hash() {
    assert_eq!(SOURCES, hash_of_sources(Path::new(env!("CARGO_MANIFEST_DIR"))));
}

fn source(folder: &str, change: impl FnOnce(&mut Results), seeds: std::ops::Range<u64>) -> Source {
    let accuracy = |seed: u64| 0.5 + seed as f64 / 100.0;
    let mut results = results(seeds.map(|seed| whole("hal", seed, accuracy(seed))).collect());
    change(&mut results);
    Source { folder: folder.into(), results, losses: vec![] }
}

type Change = fn(&mut Results);

#[test]
fn runs_that_were_made_differently_are_apart_and_labelled_by_what_differs() {
    let changes: [(Change, &str); 6] = [
        (|r| r.manifest.sources = "ab".repeat(16), "sources abababab"),
        (|r| r.manifest.version = "0.2.0".into(), "version 0.2.0"),
        (|r| r.manifest.device.adapter = "a GPU".into(), "device a GPU"),
        (|r| r.manifest.device.processor = "another".into(), "processor another"),
        (|r| drop(r.manifest.device.kernels.insert("matmul".into(), "tiled".into())), "kernel variants"),
        (|r| drop(r.manifest.datasets.insert("images".into(), "md5:01".into())), "data"),
    ];
    for (change, label) in changes {
        let with_variant: Change = |r| drop(r.manifest.device.kernels.insert("matmul".into(), "row".into()));
        let a = source("a", with_variant, 0..5);
        let b = source(
            "b",
            |results| {
                with_variant(results);
                change(results);
            },
            0..10,
        );
        let text = Summary::new(&[a, b], false).text();
        // The means of seeds 0 to 4 and 0 to 9, and none of 0 to 4 of one with 5 to 9 of the other.
        assert!(text.contains("52.0 ± 1.41") && text.contains("54.5 ± 2.87"), "{label}: {text}");
        assert!(text.contains(label), "{label}: {text}");
    }
}

#[test]
fn threads_of_a_cpu_and_kernels_that_only_one_needed_make_no_difference() {
    let a = source("a", |r| r.manifest.device.driver = "2 threads".into(), 0..5);
    let b = source(
        "b",
        |r| {
            r.manifest.device.driver = "16 threads".into();
            r.manifest.device.kernels.insert("conv".into(), "tiled".into());
        },
        5..10,
    );
    let text = Summary::new(&[a, b], false).text();
    assert!(text.contains("54.5 ± 2.87") && text.contains("10"), "{text}");
}

#[test]
fn pooling_counts_each_seed_once_as_the_first_folder_has_it_and_says_so() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    save(&home.path().join("a"), vec![whole("hal", 0, 0.5), whole("hal", 1, 0.6)]).unwrap();
    let mut b = results(vec![whole("hal", 1, 0.9), whole("hal", 2, 0.7)]);
    b.manifest.device.adapter = "a GPU".into();
    fs::create_dir(home.path().join("b")).unwrap();
    fs::write(home.path().join("b/results.json"), b.to_json()).unwrap();
    let report = |more: &[&str]| {
        hindsight(&[&["report", &at("a"), &at("b"), "--overwrite", "--out", &at("p.html")], more].concat())
    };
    let apart = stdout(&report(&[]));
    assert!(
        apart.contains("55.0 ± 5.00") && apart.contains("80.0 ± 10.00") && apart.contains("device a GPU"),
        "{apart}"
    );
    let pooled = stdout(&report(&["--pool"]));
    // 0.5 and 0.6 of a, 0.7 of b.
    assert!(pooled.contains("60.0 ± 8.16"), "{pooled}");
    assert!(pooled.contains("seed 1: that of") && pooled.contains("differ in device"), "{pooled}");
}

const TINY: [&str; 7] = [
    "--device=cpu",
    "--images=30",
    "--test-images=50",
    "--seeds=1",
    "--benchmark=permuted-mnist",
    "--tasks=2",
    "--only=er",
];

/// As another version of the program would have written it.
fn age(path: &Path, pointer: &str) {
    let mut value: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    *value.pointer_mut(pointer).unwrap() = json!("ff".repeat(16));
    fs::write(path, value.to_string()).unwrap();
}

fn only_entry(folder: &Path) -> std::path::PathBuf {
    let entries: Vec<_> = fs::read_dir(folder).unwrap().flatten().collect();
    assert_eq!(entries.len(), 1);
    entries[0].path()
}

/// The same name with another hash of what made it.
fn renamed(path: &Path) -> std::path::PathBuf {
    let name = path.file_name().unwrap().to_str().unwrap();
    let end = name.rfind('-').unwrap();
    path.with_file_name(format!("{}-00000000{}", &name[..end], if name.ends_with(".json") { ".json" } else { "" }))
}

#[test]
fn cells_of_other_sources_are_not_reused_and_that_is_said() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().to_str().unwrap();
    let reproduce = || hindsight(&[&["reproduce", "table1", "--out", out], &TINY[..]].concat());
    assert!(reproduce().status.success());
    let cell = only_entry(&home.path().join("cells"));
    age(&cell.join("results.json"), "/manifest/sources");
    fs::rename(&cell, renamed(&cell)).unwrap();
    let again = stderr(&reproduce());
    assert!(again.contains("1 of 1 cells to compute"), "{again}");
    assert!(again.contains("1 finished cells in") && again.contains("made by other sources"), "{again}");
}

#[test]
fn a_damaged_cell_is_computed_again_whatever_is_wrong_with_it() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().to_str().unwrap();
    let reproduce = || hindsight(&[&["reproduce", "table1", "figure3", "--out", out], &TINY[..]].concat());
    assert!(reproduce().status.success());
    let path = only_entry(&home.path().join("cells")).join("results.json");
    let whole: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for (pointer, value) in [
        ("/runs/0/matrix", json!([[0.5]])),
        ("/runs/0/matrix/0/0", json!(7)),
        ("/runs/0/settings/tasks", json!(4_000_000_000_u32)),
        ("/runs", json!([])),
        ("/schema", json!(7)),
    ] {
        let mut damaged = whole.clone();
        *damaged.pointer_mut(pointer).unwrap() = value;
        fs::write(&path, damaged.to_string()).unwrap();
        let again = reproduce();
        assert!(again.status.success() && stderr(&again).contains("computed anew"), "{pointer}: {}", stderr(&again));
        let mended = stderr(&reproduce());
        assert!(mended.contains("0 of 1 cells to compute"), "{pointer}: {mended}");
    }
}

#[test]
fn chunks_of_other_sources_are_not_reused_and_damaged_ones_computed_again() {
    let home = tempfile::tempdir().unwrap();
    let args = ["tune", "--device=cpu", "--images=30", "--test-images=50", "--method=finetune", "--out"];
    let tune = || hindsight(&[&args[..], &[home.path().to_str().unwrap()]].concat());
    let first = tune();
    assert!(first.status.success(), "{}", stderr(&first));
    let chunk = only_entry(&home.path().join("chunks"));
    let mut value: Value = serde_json::from_str(&fs::read_to_string(&chunk).unwrap()).unwrap();
    value["records"][0]["matrix"] = json!([[0.5]]);
    fs::write(&chunk, value.to_string()).unwrap();
    let again = tune();
    assert!(stderr(&again).contains("computed anew") && stdout(&again) == stdout(&first), "{}", stderr(&again));
    age(&chunk, "/made/sources");
    fs::rename(&chunk, renamed(&chunk)).unwrap();
    let again = stderr(&tune());
    assert!(again.contains("1 of 1 chunks to compute"), "{again}");
    assert!(again.contains("1 finished chunks in") && again.contains("made by other sources"), "{again}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn numbers_come_back_from_a_file_to_the_bit(seconds in 0.0..1e6_f64, loss in any::<f64>()) {
        let folder = tempfile::tempdir().unwrap();
        let made = Provenance::of(&results(vec![]).manifest);
        let chunks = Chunks::new(folder.path(), made);
        let record = hindsight::experiment::RunRecord { train_seconds: seconds, ..whole("hal", 3, 0.7) };
        let runs = RunSpec::seeds(&Settings::default(), &[3]);
        let experiment = Experiment { benchmark: "permuted-mnist".into(), method: "hal".into(), runs };
        chunks.keep(&experiment, std::slice::from_ref(&record)).unwrap();
        prop_assert_eq!(chunks.find(&experiment).unwrap(), Some(vec![record]));
        if loss.is_finite() {
            let back: f64 = serde_json::from_str(&serde_json::to_string(&loss).unwrap()).unwrap();
            prop_assert_eq!(back.to_bits(), loss.to_bits());
        }
    }
}

#[test]
fn axes_of_a_run_that_diverged_end() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let record = whole("finetune", 0, 0.1);
    save(&home.path().join("a"), vec![record.clone()]).unwrap();
    let mut line = serde_json::to_value(&record).unwrap();
    line["losses"] = json!(vec![vec![2.5e9; 40]; 2]);
    fs::write(home.path().join("a/runs.jsonl"), line.to_string() + "\n").unwrap();
    let output = hindsight(&["report", &at("a"), "--out", &at("page.html")]);
    assert!(output.status.success(), "{}", stderr(&output));
    let page = fs::read_to_string(at("page.html")).unwrap();
    assert!(page.contains("Training loss") && page.contains("2.50e9") && page.len() < 1 << 20);
}
