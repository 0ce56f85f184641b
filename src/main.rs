//! The program `hindsight`: see `hindsight --help`, and README.md.

// They panic where nothing can be written (a closed terminal, a full disk): `cli::say` and `cli::print` do not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            cli::say(&error);
            error.exit_code()
        }
    }
}
