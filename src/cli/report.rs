//! `hindsight report`: any set of run folders, side by side.

use super::{CliError, print};
use clap::Args;
use hindsight::report::{FolderError, Results, Source, export, summary_page, summary_text, write_file};
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct ReportArgs {
    /// Run folders that `hindsight run` or `hindsight reproduce` wrote
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,

    /// The page to write: one file that needs no network
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    out: PathBuf,

    /// Replace a page that is there
    #[arg(long)]
    overwrite: bool,
}

pub fn run(args: &ReportArgs) -> Result<(), CliError> {
    if args.out.exists() && !args.overwrite {
        return Err(FolderError::FileExists(args.out.clone()).into());
    }
    let read: Vec<_> = args.folders.iter().map(|folder| read(folder)).collect();
    let mut sources = vec![];
    let mut failed = None;
    for source in read {
        match source {
            Ok(source) => sources.push(source),
            Err(error) => {
                eprintln!("{error}");
                failed = Some(error);
            }
        }
    }
    // What can be read is not lost for what can't.
    if !sources.is_empty() {
        print(&summary_text(&sources))?;
        write_file(&args.out, summary_page(&sources).render())?;
        print(&format!("Written to {}.\n", args.out.display()))?;
    }
    failed.map_or(Ok(()), |_| Err(CliError::Incomplete { read: sources.len(), named: args.folders.len() }))
}

fn read(folder: &Path) -> Result<Source, CliError> {
    let results = Results::read(folder)?;
    let losses = std::fs::read_to_string(folder.join("runs.jsonl")).map_or(vec![], |text| export::read_losses(&text));
    Ok(Source { folder: folder.to_owned(), results, losses })
}
