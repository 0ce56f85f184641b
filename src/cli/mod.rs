//! The command line: what may be asked for, and how the answer ends.

mod args;
mod bench;
mod counted;
mod data;
mod devices;
mod growth;
mod interrupt;
mod kernels;
mod load;
mod names;
mod own_wgsl;
mod peers;
mod place;
mod profile;
mod progress;
mod report;
mod reproduce;
mod run;
mod sizes;
mod tune;
mod tune_kernels;
#[cfg(test)]
mod walk;

use clap::{CommandFactory, Parser, Subcommand};
use hindsight::bench::own::OwnError;
use hindsight::bench::{FileError, Wrong};
use hindsight::data::DataError;
use hindsight::data::fetch::FetchError;
use hindsight::device::DeviceError;
use hindsight::experiment::{CheckpointError, ExperimentError, Origin};
use hindsight::files;
use hindsight::report::{FolderError, ReadError};
use hindsight_kernels::WgslError;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples (`hindsight run --help` lists the methods, the benchmarks and every setting):
  hindsight run                          Finetune, ER-Ring and HAL on Permuted MNIST
  hindsight run --method hal --seeds 5   HAL alone, on five seeds as in the paper
  hindsight reproduce table1             all methods beside the paper's numbers, as one page";

/// Hindsight Anchor Learning and its rivals, a continual-learning benchmark, with or without a GPU
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Train methods on a benchmark, print a table, write a run folder
    Run(Box<args::RunCommand>),
    /// Make the paper's tables and figures, ours beside the paper's, as one page
    Reproduce(Box<reproduce::ReproduceArgs>),
    /// Compare run folders, on the screen and as one page
    Report(report::ReportArgs),
    /// Choose a method's hyper-parameters on the tuning tasks
    Tune(Box<tune::TuneArgs>),
    /// Show which data sets are here; verify or fetch them
    Data(data::DataArgs),
    /// Run, and tell where the time went: by kernel, by line, as a trace and a page
    Profile(Box<profile::ProfileArgs>),
    /// List the GPUs that --device can name
    Devices,
    /// Measure what a device can do at all, then how near to that each kernel comes
    Bench(Box<bench::BenchArgs>),
    /// Time the variants of each kernel on a GPU and keep the fastest
    TuneKernels(Box<tune_kernels::TuneKernelsArgs>),
    /// List the kernels, show their shaders, check them all, run one on your own arrays
    Kernels(Box<kernels::KernelsArgs>),
}

/// The `hindsight run` that a command line is, as a checkpoint has it.
fn run_command(origin: &Origin) -> Option<args::RunCommand> {
    match Cli::try_parse_from(origin.command.iter().map(|word| &word.0)).ok()?.command? {
        Command::Run(run) => Some(*run),
        _ => None,
    }
}

/// Ends the program over a command line that clap itself finds nothing wrong with, in clap's way.
fn refuse(message: impl std::fmt::Display) -> ! {
    Cli::command().error(clap::error::ErrorKind::ValueValidation, message).exit()
}

/// Why the program ends without having done what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The run folder cannot be had.
    #[error("error: {0}")]
    Folder(#[from] FolderError),
    /// The device cannot be had.
    #[error("error: {0}")]
    Device(#[from] DeviceError),
    /// The experiment failed; what was finished by then is kept.
    #[error("error: {source}\n{left}")]
    Experiment {
        /// What happened.
        source: ExperimentError,
        /// What there is of it.
        left: Box<Left>,
    },
    /// Results could not be written at the end; they have been printed.
    #[error("error: {source}{}", going_on(resumable.as_deref()))]
    NotSaved {
        /// What happened.
        source: FolderError,
        /// The run folder, if it has checkpoints.
        resumable: Option<PathBuf>,
    },
    /// Results cannot be read.
    #[error("error: {0}")]
    Read(#[from] ReadError),
    /// Some of the folders that were named could not be read; which, has been said.
    #[error("error: {read} of {named} folders could be read")]
    Incomplete {
        /// Folders that are in the report.
        read: usize,
        /// Folders that were named.
        named: usize,
    },
    /// A method whose hyper-parameters the paper does not choose.
    #[error("error: the paper has no grid for '{0}'; set its values by hand, see `hindsight run --help`")]
    NoGrid(&'static str),
    /// A benchmark that has all its classes in its evaluation tasks.
    #[error(
        "error: {0} has no tasks to spare for tuning; take another benchmark, or --leak for its first evaluation tasks"
    )]
    NoTuningTasks(&'static str),
    /// No configuration is left to choose.
    #[error("error: every configuration diverged; try smaller learning rates by hand, see `hindsight run --help`")]
    AllDiverged,
    /// Ctrl-C; what was finished by then is kept.
    #[error("interrupted: what is finished is in {}; the same command goes on with the rest", .0.display())]
    Paused(PathBuf),
    /// A file of chosen values that cannot be used.
    #[error(
        "error: {}: {}; give a tuned.json that `hindsight tune` wrote",
        files::shown(path),
        files::shown_text(reason)
    )]
    Tuned {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A manifest whose variants of kernels cannot be taken.
    #[error("error: {}: {reason}; give the manifest.json of a run on a GPU", .path.display())]
    KernelsFrom {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder whose runs can be gone on with, named for new ones.
    #[error(
        "error: {folder} holds a run that was cut short: go on with it by `hindsight run --resume {folder}`, or begin anew \
         with --overwrite",
        folder = .0.display()
    )]
    Unfinished(PathBuf),
    /// A folder whose runs cannot be gone on with.
    #[error(
        "error: {} has no checkpoint of a `hindsight run` to go on from: it is finished, or was killed before the first one; \
         then its folder counts as empty, so give the same command again",
        .0.display()
    )]
    NoCheckpoint(PathBuf),
    /// A checkpoint cannot be read.
    #[error("error: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// A data set is missing or damaged.
    #[error("error: {0}")]
    Data(#[from] DataError),
    /// A data set cannot be fetched now.
    #[error("error: {0}")]
    Fetch(#[from] FetchError),
    /// A data set cannot be fetched at all.
    #[error("error: {0}: {1}")]
    NotForFetching(&'static str, &'static str),
    /// Some data sets are not what they should be; which, has been said.
    #[error("error: {0} of the data sets here are not as they should be")]
    Unverified(usize),
    /// A kernel cannot be shown, or run, or is not as it should be.
    #[error("error: {0}")]
    Kernels(#[from] kernels::KernelsError),
    /// There is no folder to fetch into.
    #[error("error: there is no home folder to fetch into; name a folder with --data")]
    NoDataFolder,
    /// A file of measurements cannot be read.
    #[error("error: {0}")]
    Measurements(#[from] FileError),
    /// Times of another machine.
    #[error("error: {}: {why}, so times differ for that alone; compare all the same with --force", .path.display())]
    NotComparable {
        /// The file.
        path: PathBuf,
        /// What differs.
        why: String,
    },
    /// The device cannot even multiply and copy.
    #[error(
        "error: the device fails the kernels that measure its ceilings ({0}); try another one, or its newest driver"
    )]
    Ceilings(Wrong),
    /// Kernels whose results are not the oracle's; which, has been said.
    #[error("error: {0} of the kernels compute something wrong on this device; the table says which")]
    WrongKernels(usize),
    /// Ctrl-C; what was measured by then is printed, and written if it was to be.
    #[error("interrupted: {measured} of {cases} cases were measured")]
    StoppedBench {
        /// Cases that were measured.
        measured: usize,
        /// Cases that were asked for.
        cases: usize,
    },
    /// A user's kernel cannot be read.
    #[error("error: {}: cannot be read ({source}); name a WGSL file after --wgsl", hindsight::files::shown(.path))]
    UnreadableWgsl {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A user's kernel cannot be read for its bindings.
    #[error("error: {0}")]
    Wgsl(#[from] WgslError),
    /// A user's kernel cannot be dispatched, or computes something else than is expected.
    #[error("error: {0}")]
    Own(#[from] OwnError),
    /// The answer could not be printed.
    #[error("error: cannot write to standard output: {0}")]
    Output(io::Error),
    /// Ctrl-C; what was finished by then is kept.
    #[error("interrupted: {0}")]
    Interrupted(Box<Left>),
}

impl From<ExperimentError> for CliError {
    /// Of an experiment that leaves nothing.
    fn from(source: ExperimentError) -> CliError {
        CliError::Experiment { source, left: Box::default() }
    }
}

/// What an experiment leaves that did not come to its end.
#[derive(Debug, Default)]
pub struct Left {
    /// Runs that finished.
    pub finished: usize,
    /// Where they were written, if they could be.
    pub folder: Option<PathBuf>,
    /// Where finished tasks of the others were written, if there are any and they could be.
    pub unfinished: Option<PathBuf>,
    /// The run folder, if it has checkpoints.
    pub resumable: Option<PathBuf>,
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.finished, &self.folder) {
            (0, _) => write!(f, "no run had finished")?,
            (n, Some(folder)) => write!(f, "{n} finished run(s) are in {}", folder.display())?,
            (n, None) => write!(f, "{n} finished run(s) are printed above")?,
        }
        if let Some(path) = &self.unfinished {
            write!(f, "; finished tasks of the others are in {}", path.display())?;
        }
        f.write_str(&going_on(self.resumable.as_deref()))
    }
}

impl CliError {
    /// 130 after Ctrl-C, as shells have it, else 1. (2, a wrong command line, is clap's.)
    pub fn exit_code(&self) -> ExitCode {
        match self {
            CliError::Interrupted(_) | CliError::Paused(_) | CliError::StoppedBench { .. } => ExitCode::from(130),
            _ => ExitCode::FAILURE,
        }
    }
}

fn going_on(resumable: Option<&Path>) -> String {
    resumable.map_or_else(String::new, |folder| format!("; go on with `hindsight run --resume {}`", folder.display()))
}

/// Does what the command line says. A wrong command line ends the program here, with clap's help.
pub fn run() -> Result<(), CliError> {
    match Cli::parse().command {
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Reproduce(args)) => reproduce::run(&args),
        Some(Command::Report(args)) => report::run(&args),
        Some(Command::Tune(args)) => tune::run(&args),
        Some(Command::Data(args)) => data::run(&args),
        Some(Command::Profile(args)) => profile::run(&args),
        Some(Command::Devices) => devices::run(),
        Some(Command::Bench(args)) => bench::run(&args),
        Some(Command::TuneKernels(args)) => tune_kernels::run(&args),
        Some(Command::Kernels(args)) => kernels::run(&args),
        None => print(&Cli::command().render_help().to_string()),
    }
}

/// Writes a line to standard error. That it can't be written (a closed terminal, a full disk) is no reason to end.
pub fn say(text: impl std::fmt::Display) {
    // Nothing that came from a file does more on a terminal than be shown.
    let _ = io::stderr().write_all(format!("{}\n", files::shown_lines(&text.to_string())).as_bytes());
}

/// Prints an answer. A reader who has seen enough (`| head`) is no failure.
fn print(text: &str) -> Result<(), CliError> {
    // Nothing that came from a file does more on a terminal than be shown.
    let text = files::shown_lines(text).to_string();
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Output(error)),
        _ => Ok(()),
    }
}
