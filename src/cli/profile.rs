//! `hindsight profile`: a run that is timed launch by launch; and `run --explain`.

use super::args::{RunArgs, count};
use super::run::run_profiled;
use super::{CliError, print};
use clap::Args;
use hindsight::bench::{Ceilings, Effort};
use hindsight::device::Device;
use hindsight::experiment::{self, Experiment};
use hindsight::profile::Profile;
use hindsight::program::Recorder;
use hindsight::report::write_file;
use hindsight::settings::RunSpec;
use hindsight::tune::Tuned;
use std::path::Path;

#[derive(Args)]
pub struct ProfileArgs {
    /// Steps of each program whose launches are kept one by one, for the trace (all are timed and added up)
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = count(1..=100_000), help_heading = "The profile")]
    steps: usize,

    #[command(flatten)]
    run: RunArgs,
}

pub fn run(args: &ProfileArgs) -> Result<(), CliError> {
    run_profiled(&args.run, args.steps)
}

/// Prints what the programs of each method do.
pub fn explain(args: &RunArgs, tuned: &[Tuned], device: &Device) -> Result<(), CliError> {
    let recorder = Recorder::explaining(device);
    for method in &args.method {
        let experiment = Experiment {
            benchmark: args.benchmark.into(),
            method: (*method).into(),
            runs: RunSpec::seeds(&args.settings(method, tuned), &args.seeds()[..1]),
        };
        experiment::explain(&experiment, &recorder)?;
    }
    let programs: Vec<_> = recorder.programs().into_iter().map(|program| program.explanation).collect();
    print(&hindsight::profile::explain(&programs))
}

/// Prints where the time went, and writes the trace and the page; nothing where nothing ran.
pub fn conclude(recorder: &Recorder, folder: &Path) -> Result<(), CliError> {
    let Some(profile) = Profile::of(recorder) else { return Ok(()) };
    let ceilings = Ceilings::measure(recorder.device(), Effort::QUICK);
    let profile = profile.under(ceilings.map_err(CliError::Ceilings)?);
    print(&format!("\n{}", profile.to_text()))?;
    let (page, trace) = (folder.join("profile.html"), folder.join("trace.json"));
    write_file(&page, profile.page().render())?;
    write_file(&trace, profile.trace().to_string())?;
    print(&format!(
        "\nThe same with figures: {}. The first steps, launch by launch: {} (open it at ui.perfetto.dev).\n",
        page.display(),
        trace.display()
    ))
}
