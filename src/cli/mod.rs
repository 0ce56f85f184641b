//! The command line: what may be asked for, and how the answer ends.

mod args;
mod devices;
mod interrupt;
mod names;
mod progress;
mod run;

use clap::{CommandFactory, Parser, Subcommand};
use hindsight::device::DeviceError;
use hindsight::experiment::ExperimentError;
use hindsight::report::FolderError;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  hindsight run                          Finetune, ER-Ring and HAL on Permuted MNIST
  hindsight run --method hal --seeds 5   HAL alone, on five seeds as in the paper
  hindsight devices                      the GPUs that --device can name

`hindsight run --help` lists the methods, the benchmarks and every setting.";

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
    Run(Box<args::RunArgs>),
    /// List the GPUs that --device can name
    Devices,
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
    #[error("error: {source}\n{}", kept(*finished, folder.as_deref()))]
    Experiment {
        /// What happened.
        source: ExperimentError,
        /// Runs that finished.
        finished: usize,
        /// Where they were written, if they could be.
        folder: Option<PathBuf>,
    },
    /// The answer could not be printed.
    #[error("error: cannot write to standard output: {0}")]
    Output(io::Error),
    /// Ctrl-C; what was finished by then is kept.
    #[error("interrupted: {}", kept(*finished, folder.as_deref()))]
    Interrupted {
        /// Runs that finished.
        finished: usize,
        /// Where they were written, if they could be.
        folder: Option<PathBuf>,
    },
}

impl CliError {
    /// 130 after Ctrl-C, as shells have it, else 1. (2, a wrong command line, is clap's.)
    pub fn exit_code(&self) -> ExitCode {
        match self {
            CliError::Interrupted { .. } => ExitCode::from(130),
            _ => ExitCode::FAILURE,
        }
    }
}

fn kept(finished: usize, folder: Option<&Path>) -> String {
    match (finished, folder) {
        (0, _) => "no run had finished, nothing was written".into(),
        (n, Some(folder)) => format!("{n} finished run(s) are in {}", folder.display()),
        (n, None) => format!("{n} finished run(s) are printed above"),
    }
}

/// Does what the command line says. A wrong command line ends the program here, with clap's help.
pub fn run() -> Result<(), CliError> {
    match Cli::parse().command {
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Devices) => devices::run(),
        None => print(&Cli::command().render_help().to_string()),
    }
}

/// Prints an answer. A reader who has seen enough (`| head`) is no failure.
fn print(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Output(error)),
        _ => Ok(()),
    }
}
