//! `hindsight tune`: a method's grid on the tuning tasks, chunk by chunk.

use super::args::{HowOften, count, within};
use super::load::DataFolder;
use super::place::Place;
use super::progress::Live;
use super::sizes::ImageArgs;
use super::{CliError, interrupt, names, print, say};
use clap::Args;
use hindsight::data::benchmarks::{self, Benchmark};
use hindsight::data::stream::TUNING_TASKS;
use hindsight::device::Device;
use hindsight::experiment::{self, Checkpoints, Experiment, ExperimentError, Origin, RunRecord};
use hindsight::files;
use hindsight::methods;
use hindsight::report::manifest::{DeviceRecord, Provenance};
use hindsight::report::{Grid, Lock, time, write_file};
use hindsight::settings::{Settings, TaskSet};
use hindsight::tune::{Chunks, Plan, Tuned, configurations};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Runs in one program unless told otherwise: a hundred megabytes of parameters and what belongs to them on
/// the CPU, and within what every GPU binds at once.
const CHUNK: usize = 49;

#[derive(Args)]
pub struct TuneArgs {
    /// The benchmark whose tuning tasks are learned
    #[arg(long, default_value = "permuted-mnist", value_parser = names::benchmark())]
    benchmark: &'static str,

    /// The method whose grid (Appendix C) is run
    #[arg(long, default_value = "hal", value_parser = names::method())]
    method: &'static str,

    /// Seeds of every configuration: 0, 1, 2, ...
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = within(1..=1000))]
    seeds: u64,

    #[command(flatten)]
    images: ImageArgs,

    /// Runs side by side in one program
    #[arg(long, value_name = "N", default_value_t = CHUNK, value_parser = count(1..=4096))]
    chunk: usize,

    /// Tune on the first evaluation tasks instead, as the released code does (a leak: never report on them)
    #[arg(long)]
    leak: bool,

    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    data: DataFolder,

    /// Where finished chunks are kept and reused, and the choice is written [default: tuned/<benchmark>-<method>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    #[command(flatten)]
    often: HowOften,

    /// No progress, only the choice
    #[arg(long, short)]
    quiet: bool,
}

pub fn run(args: &TuneArgs) -> Result<(), CliError> {
    interrupt::watch();
    let benchmark = benchmarks::find(args.benchmark).expect("the command line lets only registered ones pass");
    if !benchmark.has_tuning_tasks() && !args.leak {
        return Err(CliError::NoTuningTasks(benchmark.title()));
    }
    if let Some(message) = args.data.without_effect(&[benchmark]) {
        super::refuse(message);
    }
    let data = args.data.load(benchmark, args.quiet)?;
    let plan = plan(args, benchmark);
    if plan.configurations.len() == 1 {
        return Err(CliError::NoGrid(args.method));
    }
    let device = args.place.open()?;
    let default = || Path::new("tuned").join(format!("{}-{}", args.benchmark, args.method));
    let out = args.out.clone().unwrap_or_else(default);
    let _lock = Lock::take(&out)?;
    let chunks = plan.chunks(args.chunk);
    let made = Provenance::here(&DeviceRecord::of(&device), benchmarks::checksums(data));
    let folder = Chunks::new(&out.join("chunks"), made);
    let kept: Vec<Option<Vec<RunRecord>>> = chunks.iter().map(|chunk| find(&folder, chunk)).collect();
    let missing = kept.iter().filter(|records| records.is_none()).count();
    let mut live = Live::new(missing * TUNING_TASKS, args.quiet, interrupt::watch());
    if !args.quiet {
        let (all, count) = (plan.configurations.len(), chunks.len());
        live.say(&format!(
            "device: {}; {all} configurations, {missing} of {count} chunks to compute",
            device.describe()
        ));
        let not_used = chunks.iter().zip(&kept).filter(|(_, records)| records.is_none());
        let not_used: Vec<_> = not_used.flat_map(|(chunk, _)| folder.made_otherwise(chunk)).collect();
        not_used_lines("chunks", &out.join("chunks"), not_used).iter().for_each(|line| live.say(line));
    }
    let mut records = vec![];
    for (chunk, known) in chunks.iter().zip(kept) {
        records.extend(match known {
            Some(known) => known,
            None => compute(args, chunk, &folder, &device, &mut live, &out)?,
        });
    }
    live.end();
    let tuned = plan.choose(plan.outcomes(&records)).ok_or(CliError::AllDiverged)?;
    write(&tuned, &out)?;
    print(&describe(&tuned, &out))
}

fn plan(args: &TuneArgs, benchmark: &'static dyn Benchmark) -> Plan {
    let method = methods::find(args.method).expect("the command line lets only registered ones pass");
    let settings = Settings {
        task_set: if args.leak { TaskSet::Evaluation } else { TaskSet::Tuning },
        tasks: TUNING_TASKS,
        ..args.images.of(benchmark).of(methods::paper_settings(method, benchmark))
    };
    Plan {
        benchmark: args.benchmark.into(),
        method: args.method.into(),
        settings,
        seeds: (0..args.seeds).collect(),
        configurations: configurations(method),
    }
}

fn find(folder: &Chunks, chunk: &Experiment) -> Option<Vec<RunRecord>> {
    folder.find(chunk).unwrap_or_else(|error| {
        say(format!("warning: {error}"));
        None
    })
}

/// How many finished things of a folder are not used, for each list of what differs in what made them.
pub fn not_used_lines(what: &str, folder: &Path, differences: Vec<Vec<&str>>) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for differs in differences {
        *counts.entry(differs.join(", ")).or_default() += 1;
    }
    let folder = files::shown(folder);
    let line = |(differs, count): (&String, &usize)| {
        format!("{count} finished {what} in {folder} are not used: made by other {differs}")
    };
    counts.iter().map(line).collect()
}

fn compute(
    args: &TuneArgs,
    chunk: &Experiment,
    folder: &Chunks,
    device: &Device,
    live: &mut Live,
    out: &Path,
) -> Result<Vec<RunRecord>, CliError> {
    let progress = folder.path(chunk).with_extension("");
    let origin = Origin::of_this_program(time::rfc3339(SystemTime::now()));
    live.keep(Checkpoints::new(&progress, args.often.every(), origin));
    let finished = experiment::run(chunk, device, live).map_err(|error| match error {
        ExperimentError::Interrupted(_) => CliError::Paused(out.to_owned()),
        error => error.into(),
    })?;
    let records: Vec<RunRecord> = finished.into_iter().map(|run| run.record).collect();
    folder.keep(chunk, &records)?;
    Checkpoints::remove(&progress);
    let _ = std::fs::remove_dir(progress); // It is empty.
    Ok(records)
}

fn write(tuned: &Tuned, out: &Path) -> Result<(), CliError> {
    write_file(&out.join("tuned.json"), serde_json::to_string_pretty(tuned).expect("a choice is plain values") + "\n")?;
    write_file(&out.join("grid.csv"), tuned.csv())?;
    for (name, svg) in tuned.heat_maps() {
        write_file(&out.join(format!("heat-map-{name}.svg")), svg.standalone())?;
    }
    Ok(())
}

/// The best ten, and where everything is.
fn describe(tuned: &Tuned, out: &Path) -> String {
    let mut best: Vec<_> = tuned.grid.iter().filter(|outcome| !outcome.diverged).collect();
    best.sort_by(|a, b| b.accuracy.total_cmp(&a.accuracy));
    let names: Vec<String> = tuned.knobs.keys().map(|knob| knob.to_string()).collect();
    let header: Vec<&str> = names.iter().map(String::as_str).chain(["accuracy %", "forgetting"]).collect();
    let mut grid = Grid::new(&header);
    for outcome in best.iter().take(10) {
        let values = outcome.knobs.values().map(f64::to_string);
        let scores = [format!("{:.1}", 100.0 * outcome.accuracy), format!("{:.2}", outcome.forgetting)];
        grid.push(values.chain(scores).collect());
    }
    let diverged = tuned.grid.len() - best.len();
    let file = out.join("tuned.json");
    let leak = if tuned.saw_evaluation_tasks() { ", on evaluation tasks: never report on them" } else { "" };
    format!(
        "{}\nThe first is chosen, of {} configurations ({diverged} diverged){leak}. Written to {}.\n\
         Use it: hindsight run --benchmark {} --method {} --tuned {}\n",
        grid.to_text(),
        tuned.grid.len(),
        out.display(),
        tuned.benchmark,
        tuned.method,
        file.display()
    )
}
