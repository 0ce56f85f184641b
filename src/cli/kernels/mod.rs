//! `hindsight kernels`: what the kernels are, their shaders in any backend's language, whether all of them are valid, and
//! a kernel on a user's own arrays.

mod arrays;
mod check;
mod error;
mod list;
mod program;
mod run;
mod show;
mod timing;

pub use error::KernelsError;

use super::CliError;
use clap::{Args, Subcommand};

const EXAMPLES: &str = "\
Examples:
  hindsight kernels list matmul                                 what it reads, and every attribute
  hindsight kernels show matmul --variant 64x64 --target msl    its shader, as Metal gets it
  hindsight kernels show --program hal                          the launches of HAL's compiled step
  hindsight kernels run matmul --in a.npy --in b.npy --out c.npy --device gpu";

#[derive(Args)]
#[command(disable_help_subcommand = true, after_help = EXAMPLES)]
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
    Check(check::CheckArgs),
    /// Run a kernel on your own NumPy arrays, compare it with its twin in double precision, time
    /// it; fails where it is off
    Run(run::RunArgs),
}

pub fn run(args: &KernelsArgs) -> Result<(), CliError> {
    match &args.action {
        None => list::run(&list::ListArgs::default()),
        Some(Action::List(args)) => list::run(args),
        Some(Action::Show(args)) => show::run(args),
        Some(Action::Check(args)) => check::run(args),
        Some(Action::Run(args)) => run::run(args),
    }
}

/// `name=value`
fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("give NAME=VALUE, such as ta=true")?;
    Ok((name.trim().into(), value.trim().into()))
}
