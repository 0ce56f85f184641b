//! `hindsight report`: any set of run folders, side by side.

use super::{CliError, print, say};
use clap::Args;
use hindsight::files::shown_lines;
use hindsight::report::{FolderError, Results, Source, Summary, export, write_file};
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct ReportArgs {
    /// Run folders that `hindsight run` or `hindsight reproduce` wrote
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,

    /// Average runs of equal settings whatever made them: other devices, drivers, versions, data. A seed that is in several
    /// folders counts once, as the first of them has it
    #[arg(long)]
    pool: bool,

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
                say(shown_lines(&error.to_string()));
                failed = Some(error);
            }
        }
    }
    // What can be read is not lost for what can't.
    if !sources.is_empty() {
        let summary = Summary::new(&sources, args.pool);
        print(&summary.text())?;
        write_file(&args.out, summary.page().render())?;
        print(&format!("Written to {}.\n", args.out.display()))?;
    }
    failed.map_or(Ok(()), |_| Err(CliError::Incomplete { read: sources.len(), named: args.folders.len() }))
}

fn read(folder: &Path) -> Result<Source, CliError> {
    let results = Results::read(folder)?;
    let (losses, wrong) = export::read_losses(folder, &results.runs);
    if let Some(wrong) = wrong {
        say(format!("warning: {}", shown_lines(&wrong)));
    }
    Ok(Source { folder: folder.to_owned(), results, losses })
}
