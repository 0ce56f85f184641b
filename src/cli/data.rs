//! `hindsight data`: which data sets are here, whether they are what was published, and fetching those that may be.

use super::counted::Counted;
use super::{CliError, names, print};
use clap::{Args, Subcommand};
use hindsight::data::fetch::{Fetched, TIMEOUT};
use hindsight::data::locate::{DATA_SETS, DATA_VARIABLE, DataSet, folders};
use hindsight::data::{DataError, digits, mnist};
use hindsight::files::shown;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Args)]
#[command(disable_help_subcommand = true)]
pub struct DataArgs {
    #[command(subcommand)]
    action: Option<Action>,

    /// A folder of data sets, looked through first and fetched into [default: $HINDSIGHT_DATA, then the platform's]
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Action {
    /// Compare what is here with the published checksums; read whole what has none
    Verify,
    /// Fetch a data set, going on where an earlier try broke off (mirror: $HINDSIGHT_CIFAR100_URL)
    Fetch {
        /// Which
        #[arg(value_parser = names::data_set())]
        name: &'static DataSet,

        /// Seconds without an answer, or with less than 1 KiB per second, after which a server is given up
        #[arg(long, value_name = "SECONDS", default_value_t = TIMEOUT.as_secs(), value_parser = clap::value_parser!(u64).range(1..=86_400))]
        timeout: u64,
    },
}

pub fn run(args: &DataArgs) -> Result<(), CliError> {
    let folders = folders(args.data.as_deref());
    match args.action {
        None => list(&folders),
        Some(Action::Verify) => verify(&folders),
        Some(Action::Fetch { name, timeout }) => fetch(name, &folders, Duration::from_secs(timeout)),
    }
}

fn list(folders: &[PathBuf]) -> Result<(), CliError> {
    let mut text = row("MNIST", "built in") + &row("Digits", "built in");
    let mut remedies = String::new();
    for set in DATA_SETS {
        match set.find(folders) {
            Ok(path) => text += &row(set.title, &shown(&path).to_string()),
            Err(missing) => {
                text += &row(set.title, "not found");
                remedies += &format!("\n{}: {}.\n", set.title, missing.remedy);
            }
        }
    }
    text += &format!(
        "\nLooked for, in this order, in the folders of --data and {DATA_VARIABLE} and the platform's data folder:\n"
    );
    folders.iter().for_each(|folder| text += &format!("  {}\n", shown(folder)));
    text += "\nas one of:\n";
    DATA_SETS.iter().for_each(|set| text += &format!("  {}\n", set.names.join(", ")));
    print(&(text + &remedies))
}

fn row(title: &str, what: &str) -> String {
    format!("{title:<14}{what}\n")
}

fn verify(folders: &[PathBuf]) -> Result<(), CliError> {
    let mut wrong = 0;
    let mut text = String::new();
    for (title, set, published) in
        [("MNIST", mnist::built_in()?, &mnist::PUBLISHED[..]), ("Digits", digits::built_in(), &[digits::PUBLISHED][..])]
    {
        let right = set.checksums.iter().map(|sum| &*sum.md5).eq(published.iter().copied());
        wrong += usize::from(!right);
        text += &row(title, if right { "as published: built in" } else { "built in, but not as published" });
    }
    for set in DATA_SETS {
        let Ok(path) = set.find(folders) else {
            text += &row(set.title, "not found");
            continue;
        };
        match verdict(set, &path) {
            Ok(verdict) => text += &row(set.title, &format!("{verdict}: {}", shown(&path))),
            Err(error) => {
                wrong += 1;
                text += &row(set.title, &error.to_string());
            }
        }
    }
    print(&text)?;
    if wrong == 0 { Ok(()) } else { Err(CliError::Unverified(wrong)) }
}

fn verdict(set: &DataSet, path: &Path) -> Result<&'static str, DataError> {
    let counted = Counted::images();
    let verdict = (set.verify)(path, &|notice| counted.notice(notice));
    counted.end();
    verdict
}

fn fetch(set: &'static DataSet, folders: &[PathBuf], timeout: Duration) -> Result<(), CliError> {
    let Some(download) = set.download else { return Err(CliError::NotForFetching(set.title, set.remedy)) };
    let folder = folders.first().ok_or(CliError::NoDataFolder)?;
    let counted = Counted::bytes();
    let fetched = download.fetch(&download.source(), folder, timeout, &|have, of| counted.at(have, of.0));
    counted.end();
    print(&match fetched? {
        Fetched::New(path) => format!("Fetched, and as published: {}\n", shown(&path)),
        Fetched::Present(path) => format!("There already, and as published: {}\n", shown(&path)),
    })
}
