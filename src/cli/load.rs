//! Reading a benchmark's data set for a command that runs on it.

use super::CliError;
use super::counted::Counted;
use clap::Args;
use hindsight::data::ImageSet;
use hindsight::data::benchmarks::Benchmark;
use std::path::PathBuf;

#[derive(Args)]
pub struct DataFolder {
    /// A folder of data sets, looked through first [default: $HINDSIGHT_DATA, then the platform's; see `hindsight data`]
    #[arg(long = "data", value_name = "DIR", help_heading = "Where")]
    folder: Option<PathBuf>,
}

impl DataFolder {
    /// Why the folder would change nothing, if one is named and none of these benchmarks looks for its data set.
    pub fn without_effect(&self, benchmarks: &[&dyn Benchmark]) -> Option<String> {
        let unread = self.folder.is_some() && benchmarks.iter().all(|benchmark| benchmark.is_built_in());
        let titles = || benchmarks.iter().map(|benchmark| benchmark.title()).collect::<Vec<_>>().join(", ");
        unread.then(|| format!("--data would change nothing: the data set of {} is part of the program", titles()))
    }

    /// The folder, if one is named.
    pub fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.folder.iter_mut()
    }

    /// The benchmark's data set, from now on kept.
    ///
    /// # Errors
    /// Where it is not there, what to do about it; where it is damaged, which file and how.
    pub fn load(&self, benchmark: &'static dyn Benchmark, quiet: bool) -> Result<&'static ImageSet, CliError> {
        let counted = Counted::images();
        let set = benchmark.load(self.folder.as_deref(), &|notice| {
            if !quiet {
                counted.notice(notice);
            }
        });
        counted.end();
        Ok(set?)
    }
}
