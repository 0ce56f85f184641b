//! The flags that name a method's compiled step.

use super::error::KernelsError;
use crate::cli::load::DataFolder;
use crate::cli::{CliError, names, refuse};
use clap::Args;
use hindsight::data::benchmarks;
use hindsight::{experiment, methods};
use hindsight_kernels::Launch;

#[derive(Args)]
#[command(next_help_heading = "A program")]
pub struct ProgramArgs {
    /// The compiled step of a method, instead of a kernel
    #[arg(long = "program", value_name = "METHOD", value_parser = names::method())]
    method: Option<&'static str>,

    /// The benchmark whose model it trains
    #[arg(long, default_value = "permuted-mnist", value_parser = names::benchmark(), requires = "method")]
    benchmark: &'static str,

    #[command(flatten)]
    data: DataFolder,
}

impl ProgramArgs {
    /// Its launches, if a program is asked for. Ends the program where the method cannot train the benchmark's model.
    pub fn launches(&self) -> Result<Option<Vec<Launch>>, CliError> {
        let Some(method) = self.method else { return Ok(None) };
        if let Err(error) = experiment::find(self.benchmark, method) {
            refuse(error);
        }
        let benchmark = benchmarks::find(self.benchmark).expect("the command line lets only registered ones pass");
        if let Some(message) = self.data.without_effect(&[benchmark]) {
            crate::cli::refuse(message);
        }
        self.data.load(benchmark, false)?;
        let launches = experiment::launches_of_step(self.benchmark, method).map_err(KernelsError::Program)?;
        Ok(Some(launches))
    }

    /// What it is, for people.
    pub fn title(&self) -> String {
        let title = self.method.and_then(methods::find).map_or("nothing", |method| method.title());
        let benchmark = benchmarks::find(self.benchmark).map_or(self.benchmark, |benchmark| benchmark.title());
        format!("{title} on {benchmark}")
    }
}
