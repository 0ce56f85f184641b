//! Every flag of `hindsight run` with every method: it changes the result, or is refused by its name.

use super::args::RunCommand;
use super::{Cli, Command};
use clap::{CommandFactory, Parser};
use hindsight::device::Device;
use hindsight::experiment::{self, Experiment, FinishedRun, Observer, Progress};
use hindsight::methods::{self, Method};
use hindsight::report::paper;
use hindsight::settings::{Knob, RunSpec, Settings, TaskSet};
use hindsight::tune::Tuned;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// Flags that are about something else than results, each with what that is.
const ABOUT: &[(&str, &str)] = &[
    ("method", "what the walk is over"),
    ("device", "where it is computed: numbers agree within rounding"),
    ("no-autotune", "how fast a GPU computes"),
    ("kernels-from", "how fast a GPU computes"),
    ("out", "where results are written"),
    ("overwrite", "what becomes of other results"),
    ("tensorboard", "what is written beside the results"),
    ("explain", "what is printed beside the results"),
    ("quiet", "what is printed beside the results"),
    ("checkpoint-every", "what is kept while it runs"),
    ("resume", "another run, which is gone on with"),
];

/// A value other than the usual one, for each flag that takes one and is not in [`ABOUT`].
const VALUES: &[(&str, &str)] = &[
    ("benchmark", "rotated-mnist"),
    ("preset", "paper"),
    ("seeds", "2"),
    ("seed-from", "1"),
    ("tasks", "4"),
    ("images", "30"),
    ("per-class", "3"),
    ("test-images", "30"),
    ("memory", "2"),
    ("angles", "uniform"),
    ("rate", "0.2"),
    ("tuned", "tuned.json"),
    ("memory-batch", "5"),
    ("lambda", "500"),
    ("gamma", "3"),
    ("beta", "0.9"),
    ("anchor-steps", "4"),
    ("finetune-steps", "4"),
    ("anchors", "oracle"),
    ("anchor-norm", "joint"),
    ("fisher-batches", "1"),
    ("interpolation", "0.3"),
    ("multiplier", "2"),
    ("candidates", "12"),
    ("samples", "3"),
    ("test-samples", "4"),
    ("epochs", "2"),
    ("precision", "f16-storage"),
    ("data", "/nowhere"),
];

/// What becomes of a command line.
#[derive(PartialEq)]
enum Outcome {
    Refused(String),
    /// A hash of the seed, losses, parameters, anchors and accuracies of every run.
    Result(u64),
}

struct Silent;

impl Observer for Silent {
    fn task_finished(&mut self, _: &Progress<'_>) {}
}

/// A tiny run of a method, but for the flags that clash with another one.
fn tiny(method: &dyn Method, flag: &str) -> Vec<String> {
    let mut flags = vec![("tasks", "2"), ("images", "40"), ("test-images", "20"), ("seeds", "1")];
    match method.name() {
        "hal" => flags.extend([("anchor-steps", "3"), ("finetune-steps", "3")]),
        // Its memory counts where a step points against it, which takes a while.
        "agem" => (flags[0], flags[1]) = (("tasks", "3"), ("images", "100")),
        _ => {}
    }
    let clashes = [("images", "per-class"), ("finetune-steps", "preset")];
    let clash = |name: &str| name == flag || clashes.contains(&(name, flag));
    let kept = flags.into_iter().filter(|(name, _)| !clash(name));
    let own = format!("--method={}", method.name());
    ["hindsight".into(), "run".into(), own].into_iter().chain(kept.map(|(name, value)| written(name, value))).collect()
}

fn written(name: &str, value: &str) -> String {
    format!("--{name}={value}")
}

fn parsed(arguments: &[String]) -> RunCommand {
    let Some(Command::Run(command)) = Cli::try_parse_from(arguments).unwrap_or_else(|e| panic!("{e}")).command else {
        panic!("it is a run");
    };
    *command
}

/// Does what `hindsight run` does, but for what it prints and writes.
fn outcome(arguments: &[String]) -> Outcome {
    let args = parsed(arguments).run;
    if let Some(message) = args.without_effect() {
        return Outcome::Refused(message);
    }
    let tuned = match args.read_tuned() {
        Ok(tuned) => tuned,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    let of_method = |method: &&str| {
        let runs = RunSpec::seeds(&args.settings(method, &tuned), &args.seeds());
        let experiment = Experiment { benchmark: args.benchmark.into(), method: (*method).into(), runs };
        experiment::run(&experiment, &Device::Cpu, &mut Silent).unwrap()
    };
    let mut hash = DefaultHasher::new();
    for FinishedRun { record, losses, anchors, parameters } in args.method.iter().flat_map(of_method) {
        record.seed.hash(&mut hash);
        let images = anchors.map(|anchors| anchors.images).unwrap_or_default();
        let all = [record.matrix, losses, images, vec![parameters]];
        all.iter().flatten().flatten().for_each(|number| number.to_bits().hash(&mut hash));
    }
    Outcome::Result(hash.finish())
}

/// A tuned.json for ER-Ring.
fn write_tuned(path: &Path) {
    let tuned = Tuned {
        benchmark: "permuted-mnist".into(),
        method: "er".into(),
        knobs: BTreeMap::from([(Knob::Rate, 0.3)]),
        accuracy: 0.5,
        seeds: vec![0],
        settings: Settings { task_set: TaskSet::Tuning, ..Settings::default() },
        grid: vec![],
    };
    std::fs::write(path, serde_json::to_string(&tuned).unwrap()).unwrap();
}

#[test]
fn every_flag_changes_the_result_of_a_method_or_is_refused_by_name() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("tuned.json");
    write_tuned(&file);
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    let names: Vec<&str> =
        run.get_arguments().map(|flag| flag.get_long().expect("every flag has a long name")).collect();
    let known = |name: &&str| ABOUT.iter().any(|(about, _)| about == name);
    let added: Vec<String> = names
        .iter()
        .filter(|name| !known(name) && !matches!(**name, "help" | "version"))
        .map(|name| match (*name, VALUES.iter().find(|(of, _)| of == name)) {
            ("tuned", _) => written("tuned", file.to_str().unwrap()),
            (_, Some((_, value))) => written(name, value),
            ("first-order", None) => "--first-order".into(),
            _ => panic!("--{name} is new: give it a value in VALUES, or say in ABOUT what it is about"),
        })
        .collect();
    let pairs: Vec<(&dyn Method, &String)> =
        methods::registry().iter().flat_map(|method| added.iter().map(move |flag| (*method, flag))).collect();
    let plain: Vec<Outcome> = methods::registry().par_iter().map(|method| outcome(&tiny(*method, ""))).collect();
    pairs.par_iter().for_each(|(method, flag)| {
        let name = flag[2..].split('=').next().unwrap();
        let place = methods::registry().iter().position(|m| m.name() == method.name()).unwrap();
        let with = outcome(&[tiny(*method, name), vec![(*flag).clone()]].concat());
        assert!(with != plain[place], "{flag} changes nothing of {}", method.name());
        let read = |setting: &&hindsight::settings::Setting| &setting.flag()[2..] == name;
        let is_read = method.reads().iter().find(read).is_some();
        match with {
            Outcome::Refused(message) => {
                let named = message.contains(&format!("--{name}")) || message.contains("tuned.json");
                assert!(named, "{flag} with {}: {message}", method.name());
                // A perceptron has no batch normalisation.
                assert!(!is_read || name == "anchor-norm", "{} reads what it refuses: {message}", method.name());
            }
            Outcome::Result(_) => {
                let size =
                    ["benchmark", "seeds", "seed-from", "tasks", "images", "per-class", "test-images", "precision"];
                let tuned = name == "tuned" && method.name() == "er";
                assert!(
                    is_read || tuned || size.contains(&name),
                    "{} does not say that it reads {flag}",
                    method.name()
                );
            }
        }
    });
}

#[test]
fn a_refusal_says_why_and_what_would_read_the_flag() {
    let refusal = |flags: &[&str]| {
        let arguments: Vec<String> = ["hindsight", "run"].iter().chain(flags).map(|flag| (*flag).into()).collect();
        parsed(&arguments).run.without_effect()
    };
    let refused = |flags: &[&str], parts: &[&str]| {
        let message = refusal(flags).unwrap_or_else(|| panic!("{flags:?} are taken"));
        parts.iter().for_each(|part| assert!(message.contains(part), "{message}"));
    };
    refused(&["--method=finetune,er", "--epochs=2"], &["--epochs", "finetune, er", "multitask"]);
    refused(&["--method=er", "--angles=uniform"], &["--angles", "permuted-mnist", "rotated-mnist"]);
    refused(&["--method=hal", "--anchor-norm=joint"], &["--anchor-norm", "batch normalisation"]);
    refused(&["--method=hal", "--preset=paper", "--finetune-steps=9"], &["--finetune-steps", "--preset paper"]);
    refused(&["--method=hal", "--anchors=real", "--gamma=1"], &["--gamma", "--anchors"]);
    refused(&["--method=hal", "--anchors=mean", "--anchor-steps=9"], &["--anchor-steps"]);
    refused(&["--method=hal", "--anchor-steps=0", "--beta=0.1"], &["--beta", "--anchor-steps 0"]);
    refused(&["--method=finetune", "--memory=3"], &["--memory ", "er"]);
    refused(&["--method=vcl", "--rate=0.3"], &["--rate"]);
    refused(&["--benchmark=split-digits", "--data=/x"], &["--data", "Split Digits"]);
    // One method that reads it is enough; and what is not on the command line is never refused.
    for taken in [
        &["--method=finetune,hal", "--gamma=1"][..],
        &["--method=finetune"],
        &["--method=hal", "--benchmark=split-digits", "--anchor-norm=joint"],
        &["--benchmark=split-cifar100", "--data=/x"],
        &["--method=hal", "--anchors=oracle", "--finetune-steps=9"],
    ] {
        assert_eq!(refusal(taken), None, "{taken:?}");
    }
}

#[test]
fn a_setting_is_recorded_for_the_methods_that_read_it() {
    let arguments = ["hindsight", "run", "--method=finetune,multitask,er", "--epochs=3", "--memory=5"];
    let args = parsed(&arguments.map(String::from)).run;
    let of = |method| {
        let settings = args.settings(method, &[]);
        (settings.epochs, settings.memory_per_class)
    };
    assert_eq!((of("finetune"), of("multitask"), of("er")), ((1, 1), (3, 1), (1, 5)));
    // So a method without a memory stays the paper's, whatever others remember.
    assert!(paper::row_of("permuted-mnist", "finetune", &args.settings("finetune", &[])).is_some());
}

#[test]
fn a_choice_for_another_method_is_refused_and_so_is_a_second_one() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("tuned.json");
    write_tuned(&file);
    let read = |method: &str, files: &[&Path]| {
        let files: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
        let arguments = ["hindsight", "run", &format!("--method={method}"), &format!("--tuned={}", files.join(","))];
        parsed(&arguments.map(String::from)).run.read_tuned().map_err(|error| error.to_string())
    };
    assert_eq!(read("finetune,er", &[&file]).unwrap().len(), 1);
    let other = read("hal", &[&file]).unwrap_err();
    assert!(other.contains("it is for er, and this run is of hal"), "{other}");
    let twice = read("er", &[&file, &file]).unwrap_err();
    assert!(twice.contains("another file is for er"), "{twice}");
}
