//! `hindsight run`: each method in turn, then the table and the run folder.
//!
//! What is finished is never lost: it is saved after every method, printed where it cannot be
//! saved, and kept when a later method fails or is interrupted. How far a method has come is kept in checkpoints, one of them
//! when it is to stop, until all is finished.

use super::args::{RunArgs, RunCommand};
use super::progress::Live;
use super::{CliError, Left, interrupt, print, profile, run_command, say};
use hindsight::data::{ImageSet, benchmarks};
use hindsight::device::Device;
use hindsight::experiment::{self, Checkpoints, Experiment, ExperimentError, FinishedRun, Origin, UnfinishedRun};
use hindsight::program::Recorder;
use hindsight::report::manifest::DeviceRecord;
use hindsight::report::{FolderError, Manifest, Results, RunFolder, divergences, table, time};
use hindsight::settings::RunSpec;
use hindsight::tune::Tuned;
use std::path::{Path, PathBuf};
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
    interrupt::watch();
    if let Some(folder) = &command.resume {
        return resume(folder);
    }
    refuse(&command.run);
    let started = SystemTime::now();
    let folder = folder(&command.run, started)?;
    let origin = Origin::of_this_program(time::rfc3339(started));
    let checkpoints = Checkpoints::new(folder.place(), command.often.every(), origin.clone());
    train(&command.run, folder, origin, Kept::Progress(checkpoints))
}

/// Goes on with what a folder has checkpoints of.
fn resume(path: &Path) -> Result<(), CliError> {
    let none = || CliError::NoCheckpoint(path.to_owned());
    if !path.is_dir() {
        return Err(none());
    }
    let folder = RunFolder::resume(path)?;
    let origin = Checkpoints::origin(folder.place())?.ok_or_else(none)?;
    let mut command = run_command(&origin).ok_or_else(none)?;
    command.run.resolve(Path::new(&origin.directory.0));
    let checkpoints = Checkpoints::new(folder.place(), command.often.every(), origin.clone());
    train(&command.run, folder, origin, Kept::Progress(checkpoints))
}

/// A run whose launches are all timed, and each single one kept for `steps` steps of each program.
pub fn run_profiled(args: &RunArgs, steps: usize) -> Result<(), CliError> {
    interrupt::watch();
    refuse(args);
    let started = SystemTime::now();
    train(args, folder(args, started)?, Origin::of_this_program(time::rfc3339(started)), Kept::Profile { steps })
}

/// What is kept of a run beside its results.
enum Kept {
    /// How far it has come.
    Progress(Checkpoints),
    /// When launches ran.
    Profile { steps: usize },
}

fn folder(args: &RunArgs, started: SystemTime) -> Result<RunFolder, CliError> {
    let Some(path) = &args.out else { return Ok(RunFolder::default_for(args.benchmark, started)?) };
    match RunFolder::create(path, args.overwrite) {
        Err(FolderError::Occupied(_)) if Checkpoints::are_in(&RunFolder::place_of_unfinished(path)) => {
            Err(CliError::Unfinished(path.clone()))
        }
        folder => Ok(folder?),
    }
}

fn train(args: &RunArgs, folder: RunFolder, origin: Origin, kept: Kept) -> Result<(), CliError> {
    let tuned = args.read_tuned()?;
    for chosen in tuned.iter().filter(|tuned| tuned.saw_evaluation_tasks()) {
        say(format!(
            "warning: the values of {} were chosen on evaluation tasks (tune --leak): its results are not to be reported",
            chosen.method
        ));
    }
    // A driver takes as long to start as data to be read.
    let (data, device) = rayon::join(|| args.data.load(args.benchmark(), args.quiet), || args.place.open());
    let (data, device) = (data?, device?);
    if args.explain || matches!(kept, Kept::Profile { .. }) {
        profile::explain(args, &tuned, &device)?;
    }
    let mut session = Session::new(args, tuned, data, folder, &device, origin)?;
    let (checkpoints, recorder) = match kept {
        Kept::Progress(checkpoints) => (Some(checkpoints), None),
        Kept::Profile { steps } => (None, Some(Recorder::timing(&device, steps))),
    };
    session.live = session.live.record_with(recorder.clone());
    let outcome = session.train_all(&device, checkpoints);
    session.live.end();
    let concluded = session.conclude(outcome);
    match recorder.filter(|_| !session.results.runs.is_empty()) {
        Some(recorder) => concluded.and(profile::conclude(&recorder, session.folder.place())),
        None => concluded,
    }
}

/// Ends the program over what clap finds nothing wrong with, before there is a folder.
fn refuse(args: &RunArgs) {
    refuse_repeated_method(args);
    refuse_untrainable(args);
    if let Some(message) = args.without_effect() {
        super::refuse(message);
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

    fn train_all(&mut self, device: &Device, checkpoints: Option<Checkpoints>) -> Result<(), ExperimentError> {
        for (number, method) in self.args.method.iter().enumerate() {
            if let Some(checkpoints) = &checkpoints {
                self.live.keep(checkpoints.clone().keeping_ends(number + 1 < self.args.method.len()));
            }
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
        self.folder.save_details(&self.finished)?;
        self.folder.save(&self.results, &self.tasks)?;
        if self.args.tensorboard { self.folder.save_events(&self.finished) } else { Ok(()) }
    }

    /// Saves and prints the table; where saving fails, prints the results themselves.
    fn conclude(&mut self, outcome: Result<(), ExperimentError>) -> Result<(), CliError> {
        let mut saved = self.save();
        if saved.is_ok() && outcome.is_ok() {
            saved = self.folder.save_unfinished(&[]).and_then(|_| self.folder.finish());
        }
        if saved.is_ok() && outcome.is_ok() {
            Checkpoints::remove(self.folder.path());
        }
        let printed = self.print_results(saved.is_err());
        for line in divergences(&self.results.runs) {
            say(format!("warning: {line}"));
        }
        match outcome {
            Ok(()) => match saved {
                Ok(()) => printed.and_then(|()| self.say_where()),
                Err(source) => Err(CliError::NotSaved { source, resumable: self.resumable() }),
            },
            Err(error) => Err(self.cut_short(error, saved)),
        }
    }

    /// Prints the table, and what is to be found nowhere else.
    fn print_results(&self, all: bool) -> Result<(), CliError> {
        match self.results.runs.is_empty() {
            true => Ok(()),
            false if all => print(&(table(&self.results.runs) + &self.results.to_json())),
            false => print(&table(&self.results.runs)),
        }
    }

    fn say_where(&self) -> Result<(), CliError> {
        let folder = self.folder.path().display();
        print(&format!("\nWritten to {folder} after {} s.\n", self.live.elapsed().as_secs()))
    }

    /// The run folder, if it has checkpoints.
    fn resumable(&self) -> Option<PathBuf> {
        Checkpoints::are_in(self.folder.place()).then(|| self.folder.path().to_owned())
    }

    /// The error to end with after an experiment that did not come to its end.
    fn cut_short(&self, error: ExperimentError, saved: Result<(), FolderError>) -> CliError {
        let finished = self.results.runs.len();
        let folder = (saved.is_ok() && finished > 0).then(|| self.folder.place().to_owned());
        if let Err(error) = saved {
            say(format!("error: {error}"));
        }
        let mut left = Left { finished, folder, unfinished: None, resumable: self.resumable() };
        match error {
            ExperimentError::Interrupted(unfinished) => {
                left.unfinished = self.save_unfinished(&unfinished);
                CliError::Interrupted(Box::new(left))
            }
            source => CliError::Experiment { source, left: Box::new(left) },
        }
    }

    /// Where what is known of runs that were stopped is to be found, if it could be written and there is any.
    fn save_unfinished(&self, runs: &[UnfinishedRun]) -> Option<PathBuf> {
        match self.folder.save_unfinished(runs) {
            Ok(path) => path,
            Err(error) => {
                say(format!("warning: {error}"));
                None
            }
        }
    }
}

fn manifest(args: &RunArgs, tuned: &[Tuned], data: &ImageSet, device: &Device, origin: Origin) -> Manifest {
    Manifest {
        version: env!("CARGO_PKG_VERSION").into(),
        sources: hindsight::SOURCES.into(),
        command: origin.words(),
        started_at: origin.started_at,
        benchmark: args.benchmark.into(),
        methods: args.method.iter().map(|&name| name.into()).collect(),
        seeds: args.seeds(),
        settings: args.method.iter().map(|&name| (name.into(), args.settings(name, tuned))).collect(),
        device: DeviceRecord::of(device),
        datasets: benchmarks::checksums(data),
    }
}
