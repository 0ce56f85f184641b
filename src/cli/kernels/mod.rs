//! `hindsight kernels`: what the kernels are, their shaders in any backend's language, whether all of them are valid, and
//! a kernel on a user's own arrays.

mod arrays;
mod check;
mod error;
mod list;
mod run;
mod show;
mod timing;

pub use error::KernelsError;

use super::CliError;
use clap::{Args, Subcommand};

#[derive(Args)]
#[command(disable_help_subcommand = true)]
pub struct KernelsArgs {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// Every kernel: what it computes, what it reads, what may be chosen of it
    List(list::ListArgs),
    /// The shader of a kernel, or of a launch of a method's compiled step, in the language of any backend
    Show(show::ShowArgs),
    /// Validate every shader in every variant, and translate it to every language; spirv-val takes part where installed
    Check,
    /// Run a kernel on your own NumPy arrays, compare it with its twin in double precision, time it
    Run(run::RunArgs),
}

pub fn run(args: &KernelsArgs) -> Result<(), CliError> {
    match &args.action {
        None => list::run(&list::ListArgs::default()),
        Some(Action::List(args)) => list::run(args),
        Some(Action::Show(args)) => show::run(args),
        Some(Action::Check) => check::run(),
        Some(Action::Run(args)) => run::run(args),
    }
}

/// `name=value`
fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("give NAME=VALUE, such as ta=true")?;
    Ok((name.trim().into(), value.trim().into()))
}
