//! `hindsight run`: each method in turn, then the table and the run folder.
//!
//! What is finished is never lost: it is saved after every method, printed where it cannot be
//! saved, and kept when a later method fails or is interrupted.

use super::args::RunArgs;
use super::progress::Live;
use super::{CliError, interrupt, print, profile};
use hindsight::data::{ImageSet, benchmarks};
use hindsight::device::Device;
use hindsight::experiment::{self, Experiment, ExperimentError, FinishedRun};
use hindsight::program::Recorder;
use hindsight::report::manifest::DeviceRecord;
use hindsight::report::{FolderError, Manifest, Results, RunFolder, divergences, table, time};
use hindsight::settings::RunSpec;
use hindsight::tune::Tuned;
use std::time::SystemTime;

/// One `hindsight run`: where it writes, and what has finished so far.
struct Session<'a> {
    args: &'a RunArgs,
    folder: RunFolder,
    tasks: serde_json::Value,
    results: Results,
    finished: Vec<FinishedRun>,
    tuned: Vec<Tuned>,
    live: Live,
}

pub fn run(args: &RunArgs) -> Result<(), CliError> {
    run_profiled(args, None)
}

/// The same; with `profiled`, times every launch, and keeps each single one for that many steps of each program.
pub fn run_profiled(args: &RunArgs, profiled: Option<usize>) -> Result<(), CliError> {
    refuse_repeated_method(args);
    refuse_untrainable(args);
    let started = SystemTime::now();
    let data = args.data.load(args.benchmark(), args.quiet)?;
    let folder = match &args.out {
        Some(path) => RunFolder::create(path, args.overwrite)?,
        None => RunFolder::default_for(args.benchmark, started),
    };
    let tuned = args.read_tuned()?;
    let device = args.place.open()?;
    if args.explain || profiled.is_some() {
        profile::explain(args, &tuned, &device)?;
    }
    let recorder = profiled.map(|steps| Recorder::timing(&device, steps));
    let mut session = Session::new(args, tuned, data, folder, &device, started);
    session.live = session.live.record_with(recorder.clone());
    let outcome = session.train_all(&device);
    session.live.end();
    let concluded = session.conclude(outcome);
    match recorder.filter(|_| !session.results.runs.is_empty()) {
        Some(recorder) => concluded.and(profile::conclude(&recorder, session.folder.path())),
        None => concluded,
    }
}

/// clap has no rule for this.
fn refuse_repeated_method(args: &RunArgs) {
    if let Some(name) = args.repeated_method() {
        super::refuse(format!("the method '{name}' is named twice in --method; name it once"));
    }
}

/// Before anything is trained, so that no method's results wait for a refusal.
fn refuse_untrainable(args: &RunArgs) {
    for name in &args.method {
        if let Err(error) = experiment::find(args.benchmark, name) {
            super::refuse(error);
        }
    }
}

impl<'a> Session<'a> {
    fn new(
        args: &'a RunArgs,
        tuned: Vec<Tuned>,
        data: &ImageSet,
        folder: RunFolder,
        device: &Device,
        started: SystemTime,
    ) -> Self {
        let settings = args.settings(args.method[0], &tuned);
        let live = Live::new(args.method.len() * settings.tasks, args.quiet, interrupt::watch());
        if !args.quiet {
            live.say(&format!("device: {}", device.describe()));
        }
        Self {
            args,
            folder,
            tasks: args.benchmark().describe_tasks(data, &settings, &args.seeds()),
            results: Results::new(manifest(args, &tuned, data, device, started), Vec::new()),
            finished: Vec::new(),
            tuned,
            live,
        }
    }

    fn train_all(&mut self, device: &Device) -> Result<(), ExperimentError> {
        for method in &self.args.method {
            match self.train(method, device) {
                Ok(runs) => {
                    self.results.runs.extend(runs.iter().map(|run| run.record.clone()));
                    self.finished.extend(runs);
                    self.results.manifest.device.kernels = device.choices();
                }
                Err(error) => return Err(error),
            }
            if let Err(error) = self.save() {
                self.live.say(&format!("warning: {error} (going on; the results will be printed)"));
            }
        }
        Ok(())
    }

    fn train(&mut self, method: &str, device: &Device) -> Result<Vec<FinishedRun>, ExperimentError> {
        let experiment = Experiment {
            benchmark: self.args.benchmark.into(),
            method: method.into(),
            runs: RunSpec::seeds(&self.args.settings(method, &self.tuned), &self.args.seeds()),
        };
        experiment::run(&experiment, device, &mut self.live)
    }

    /// Writes what is finished; nothing when nothing is, so that old results stay.
    fn save(&self) -> Result<(), FolderError> {
        if self.results.runs.is_empty() {
            return Ok(());
        }
        self.folder.save(&self.results, &self.tasks)?;
        self.folder.save_details(&self.finished)?;
        if self.args.tensorboard { self.folder.save_events(&self.finished) } else { Ok(()) }
    }

    /// Prints the table and saves; where that fails, prints the results themselves.
    fn conclude(&self, outcome: Result<(), ExperimentError>) -> Result<(), CliError> {
        let runs = &self.results.runs;
        if !runs.is_empty() {
            print(&table(runs))?;
        }
        for line in divergences(runs) {
            eprintln!("warning: {line}");
        }
        let saved = self.save();
        if saved.is_err() {
            print(&self.results.to_json())?;
        }
        let saved = saved.map_err(CliError::from);
        match outcome {
            Ok(()) => saved.and_then(|()| self.say_where()),
            Err(error) => Err(self.cut_short(error, saved)),
        }
    }

    fn say_where(&self) -> Result<(), CliError> {
        let folder = self.folder.path().display();
        print(&format!("\nWritten to {folder} after {} s.\n", self.live.elapsed().as_secs()))
    }

    /// The error to end with after an experiment that did not come to its end.
    fn cut_short(&self, error: ExperimentError, saved: Result<(), CliError>) -> CliError {
        let written = saved.is_ok() && !self.results.runs.is_empty();
        if let Err(error) = saved {
            eprintln!("{error}");
        }
        let folder = written.then(|| self.folder.path().to_owned());
        match error {
            ExperimentError::Interrupted => CliError::Interrupted { finished: self.results.runs.len(), folder },
            source => CliError::Experiment { source, finished: self.results.runs.len(), folder },
        }
    }
}

fn manifest(args: &RunArgs, tuned: &[Tuned], data: &ImageSet, device: &Device, started: SystemTime) -> Manifest {
    Manifest {
        version: env!("CARGO_PKG_VERSION").into(),
        command: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
        started_at: time::rfc3339(started),
        benchmark: args.benchmark.into(),
        methods: args.method.iter().map(|&name| name.into()).collect(),
        seeds: args.seeds(),
        settings: args.method.iter().map(|&name| (name.into(), args.settings(name, tuned))).collect(),
        device: DeviceRecord::of(device),
        datasets: benchmarks::checksums(data),
    }
}
