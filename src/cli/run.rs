//! `hindsight run`: each method in turn, then the table and the run folder.
//!
//! What is finished is never lost: it is saved after every method, printed where it cannot be
//! saved, and kept when a later method fails or is interrupted. What a method has learned in more than a minute is kept
//! in checkpoints until all is finished.

use super::args::{RunArgs, RunCommand};
use super::progress::Live;
use super::{CliError, interrupt, print, profile, run_command};
use hindsight::data::{ImageSet, benchmarks};
use hindsight::device::Device;
use hindsight::experiment::{self, Checkpoints, Experiment, ExperimentError, FinishedRun, Origin};
use hindsight::program::Recorder;
use hindsight::report::manifest::DeviceRecord;
use hindsight::report::{FolderError, Manifest, Results, RunFolder, divergences, table, time};
use hindsight::settings::RunSpec;
use hindsight::tune::Tuned;
use std::path::Path;
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

pub fn run(command: &RunCommand) -> Result<(), CliError> {
    if let Some(folder) = &command.resume {
        return resume(folder);
    }
    let started = SystemTime::now();
    train_and_keep(command, folder(&command.run, started)?, origin(started), true)
}

/// Goes on with what a folder has checkpoints of.
fn resume(folder: &Path) -> Result<(), CliError> {
    let none = || CliError::NoCheckpoint(folder.to_owned());
    let origin = Checkpoints::origin(folder)?.ok_or_else(none)?;
    let command = run_command(&origin.command).ok_or_else(none)?;
    train_and_keep(&command, RunFolder::create(folder, true)?, origin, false)
}

fn train_and_keep(command: &RunCommand, folder: RunFolder, origin: Origin, anew: bool) -> Result<(), CliError> {
    let checkpoints = Checkpoints::new(folder.path(), command.often.every(), origin.clone());
    train(&command.run, folder, origin, Kept::Progress { checkpoints, anew })
}

/// A run whose launches are all timed, and each single one kept for `steps` steps of each program.
pub fn run_profiled(args: &RunArgs, steps: usize) -> Result<(), CliError> {
    let started = SystemTime::now();
    train(args, folder(args, started)?, origin(started), Kept::Profile { steps })
}

/// What is kept of a run beside its results.
enum Kept {
    /// How far it has come; `anew`, nothing that is kept already.
    Progress { checkpoints: Checkpoints, anew: bool },
    /// When launches ran.
    Profile { steps: usize },
}

fn origin(started: SystemTime) -> Origin {
    let command = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    Origin { command, started_at: time::rfc3339(started) }
}

fn folder(args: &RunArgs, started: SystemTime) -> Result<RunFolder, CliError> {
    let Some(path) = &args.out else { return Ok(RunFolder::default_for(args.benchmark, started)) };
    match RunFolder::create(path, args.overwrite) {
        Err(FolderError::Occupied(_)) if Checkpoints::are_in(path) => Err(CliError::Unfinished(path.clone())),
        folder => Ok(folder?),
    }
}

fn train(args: &RunArgs, folder: RunFolder, origin: Origin, kept: Kept) -> Result<(), CliError> {
    refuse_repeated_method(args);
    refuse_untrainable(args);
    if let Some(message) = args.without_effect() {
        super::refuse(message);
    }
    let tuned = args.read_tuned()?;
    for chosen in tuned.iter().filter(|tuned| tuned.saw_evaluation_tasks()) {
        eprintln!(
            "warning: the values of {} were chosen on evaluation tasks (tune --leak): its results are not to be reported",
            chosen.method
        );
    }
    // A driver takes as long to start as data to be read.
    let (data, device) = rayon::join(|| args.data.load(args.benchmark(), args.quiet), || args.place.open());
    let (data, device) = (data?, device?);
    if args.explain || matches!(kept, Kept::Profile { .. }) {
        profile::explain(args, &tuned, &device)?;
    }
    let mut session = Session::new(args, tuned, data, folder, &device, origin)?;
    let mut recorder = None;
    match kept {
        Kept::Progress { checkpoints, anew } => {
            if anew {
                Checkpoints::remove(session.folder.path());
            }
            session.live.keep(checkpoints);
        }
        Kept::Profile { steps } => recorder = Some(Recorder::timing(&device, steps)),
    }
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
        origin: Origin,
    ) -> Result<Self, CliError> {
        let settings = args.settings(args.method[0], &tuned);
        let tasks = args.benchmark().describe_tasks(data, &settings, &args.seeds())?;
        let live = Live::new(args.method.len() * settings.tasks, args.quiet, interrupt::watch());
        if !args.quiet {
            live.say(&format!("device: {}", device.describe()));
        }
        Ok(Self {
            args,
            folder,
            tasks,
            results: Results::new(manifest(args, &tuned, data, device, origin), Vec::new()),
            finished: Vec::new(),
            tuned,
            live,
        })
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
            Ok(()) => saved.and_then(|()| {
                Checkpoints::remove(self.folder.path());
                self.say_where()
            }),
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
        let path = || self.folder.path().to_owned();
        let folder = written.then(path);
        let resumable = Checkpoints::are_in(self.folder.path()).then(path);
        match error {
            ExperimentError::Interrupted => {
                CliError::Interrupted { finished: self.results.runs.len(), folder, resumable }
            }
            source => CliError::Experiment { source, finished: self.results.runs.len(), folder },
        }
    }
}

fn manifest(args: &RunArgs, tuned: &[Tuned], data: &ImageSet, device: &Device, origin: Origin) -> Manifest {
    Manifest {
        version: env!("CARGO_PKG_VERSION").into(),
        sources: hindsight::SOURCES.into(),
        command: origin.command,
        started_at: origin.started_at,
        benchmark: args.benchmark.into(),
        methods: args.method.iter().map(|&name| name.into()).collect(),
        seeds: args.seeds(),
        settings: args.method.iter().map(|&name| (name.into(), args.settings(name, tuned))).collect(),
        device: DeviceRecord::of(device),
        datasets: benchmarks::checksums(data),
    }
}
