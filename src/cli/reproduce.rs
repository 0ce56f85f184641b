//! `hindsight reproduce`: the paper's tables and figures, cell by cell.

use super::args::{HowOften, within};
use super::load::DataFolder;
use super::place::Place;
use super::progress::Live;
use super::sizes::SizeArgs;
use super::tune::not_used_lines;
use super::{CliError, interrupt, names, print, say};
use clap::Args;
use hindsight::data::DataError;
use hindsight::data::benchmarks::{self, Benchmark};
use hindsight::device::Device;
use hindsight::experiment::{self, Checkpoints, ExperimentError, FinishedRun, Origin};
use hindsight::files;
use hindsight::report::manifest::DeviceRecord;
use hindsight::report::{Lock, Results, benchmark_title, paper, time, write_file};
use hindsight::reproduce::{AnchorPicture, Cell, Cells, Reproduction, Selection, Target, markdown, page};
use hindsight::settings::Settings;
use std::path::PathBuf;
use std::time::SystemTime;

#[derive(Args)]
pub struct ReproduceArgs {
    /// Tables and figures of the paper, or all
    #[arg(required = true, value_name = "WHAT", value_parser = names::target())]
    what: Vec<Option<Target>>,

    /// Only these methods, separated by commas
    #[arg(long, value_name = "METHOD", value_delimiter = ',', value_parser = names::method())]
    only: Vec<&'static str>,

    /// Only these benchmarks, separated by commas [default: the paper's whose data sets are here]
    #[arg(long, value_delimiter = ',', value_parser = names::benchmark())]
    benchmark: Vec<&'static str>,

    /// Seeds of every cell: 0, 1, 2, ... (the paper has 5)
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = within(1..=1000))]
    seeds: u64,

    #[command(flatten)]
    sizes: SizeArgs,

    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    data: DataFolder,

    /// Where finished cells are kept and reused, and tables, figures and report.html are written
    #[arg(long, value_name = "DIR", default_value = "reproduction")]
    out: PathBuf,

    /// Take finished cells from these run folders of `hindsight run`, too; separated by commas
    #[arg(long, value_name = "DIR", value_delimiter = ',')]
    reuse: Vec<PathBuf>,

    #[command(flatten)]
    often: HowOften,

    /// List the cells, and which are finished
    #[arg(long)]
    dry_run: bool,

    /// No progress, only the tables
    #[arg(long, short)]
    quiet: bool,
}

/// Bytes of the largest file of Figure 2's points that is read.
const LARGEST_PICTURE: u64 = 1 << 26;

/// What is to be made, and what of it is there.
struct Work<'a> {
    args: &'a ReproduceArgs,
    selection: Selection,
    targets: Vec<Target>,
    cells: Cells,
}

pub fn run(args: &ReproduceArgs) -> Result<(), CliError> {
    interrupt::watch();
    let _lock = if args.dry_run { None } else { Some(Lock::take(&args.out)?) };
    let device = args.place.open()?;
    let work = Work::new(args, &device)?;
    let needed = work.needed();
    let missing: Vec<&Cell> = needed.iter().filter(|cell| work.find(cell).is_none()).collect();
    if args.dry_run {
        return print(&work.list(&needed));
    }
    // A program that died after it had kept a cell has left its checkpoints.
    for cell in needed.iter().filter(|cell| !missing.contains(cell)) {
        Checkpoints::remove(&work.cells.path(cell));
    }
    let pictured = work.pictured();
    let picture_missing = pictured.is_some() && work.picture().is_none();
    let tasks = missing.iter().map(|cell| cell.settings.tasks).sum::<usize>();
    let tasks_pictured = pictured.as_ref().filter(|_| picture_missing).map_or(0, |cell| cell.settings.tasks);
    let mut live = Live::new(tasks + tasks_pictured, args.quiet, interrupt::watch());
    if !args.quiet {
        live.say(&format!("device: {}; {} of {} cells to compute", device.describe(), missing.len(), needed.len()));
        let not_used = missing.iter().flat_map(|cell| work.cells.made_otherwise(cell)).collect();
        not_used_lines("cells", &args.out.join("cells"), not_used).iter().for_each(|line| live.say(line));
    }
    let outcome = work.compute(&missing, &device, &mut live).and_then(|()| match pictured {
        Some(cell) if picture_missing => work.compute_picture(&cell, &device, &mut live),
        _ => Ok(()),
    });
    live.end();
    if let Err(CliError::Paused(_)) = outcome {
        let finished = needed.iter().filter(|cell| work.find(cell).is_some()).count();
        say(format!("{finished} of {} cells are finished", needed.len()));
    }
    outcome?;
    work.write(&device)
}

/// The benchmarks that were asked for; else those of the paper whose data sets are there.
fn present(args: &ReproduceArgs) -> Result<Vec<&'static dyn Benchmark>, CliError> {
    let named: Vec<_> = args.benchmark.iter().filter_map(|name| benchmarks::find(name)).collect();
    if let Some(message) = args.data.without_effect(&named).filter(|_| !named.is_empty()) {
        super::refuse(message);
    }
    let mut found = vec![];
    for &benchmark in benchmarks::registry() {
        let asked = args.benchmark.contains(&benchmark.name());
        let in_paper = paper::row(benchmark.name(), "finetune", 1).is_some();
        let usual = args.benchmark.is_empty() && in_paper;
        if !asked && !usual {
            continue;
        }
        match args.data.load(benchmark, args.quiet) {
            Ok(_) => found.push(benchmark),
            Err(error) if asked => return Err(error),
            Err(_) if args.quiet => {}
            Err(CliError::Data(DataError::NotFound(_))) => {
                let title = benchmark.title();
                say(format!("{title} is left out: its data set is not here; `hindsight data` says how to get it"));
            }
            Err(error) => say(format!("{} is left out: {error}", benchmark.title())),
        }
    }
    Ok(found)
}

impl<'a> Work<'a> {
    fn new(args: &'a ReproduceArgs, device: &Device) -> Result<Self, CliError> {
        let all = args.what.contains(&None);
        let wanted = |target: &Target| all || args.what.contains(&Some(*target));
        let targets = Target::ALL.into_iter().filter(wanted).collect();
        let benchmarks = present(args)?;
        let selection = Selection {
            only: args.only.iter().map(|name| name.to_string()).collect(),
            sizes: benchmarks.iter().map(|b| (b.name().to_string(), args.sizes.of(*b))).collect(),
            benchmarks: benchmarks.iter().map(|b| b.name().to_string()).collect(),
            seeds: (0..args.seeds).collect(),
        };
        let record = DeviceRecord::of(device);
        let mut cells = Cells::new(&args.out.join("cells"), record);
        for folder in &args.reuse {
            if let Err(differences) = cells.reuse(Results::read(folder)?) {
                let differs = differences.join(", ");
                say(format!("warning: {} is not reused: other {differs}", files::shown(folder)));
            }
        }
        Ok(Work { args, selection, targets, cells })
    }

    /// Every cell once, in the order in which targets need them.
    fn needed(&self) -> Vec<Cell> {
        let mut cells: Vec<Cell> = vec![];
        for (target, benchmark) in self.places() {
            for entry in target.entries(benchmark, &self.selection) {
                if !cells.contains(&entry.cell) {
                    cells.push(entry.cell);
                }
            }
        }
        cells
    }

    fn places(&self) -> impl Iterator<Item = (Target, &String)> {
        self.targets.iter().flat_map(|target| self.selection.benchmarks.iter().map(|benchmark| (*target, benchmark)))
    }

    fn find(&self, cell: &Cell) -> Option<Vec<experiment::RunRecord>> {
        self.cells.find(cell).unwrap_or_else(|error| {
            say(format!("warning: {error}"));
            None
        })
    }

    fn list(&self, needed: &[Cell]) -> String {
        let line = |cell: &Cell| {
            let state = match self.find(cell).and_then(|runs| runs.first().map(|run| run.total_seconds)) {
                Some(seconds) => format!("finished in {seconds:.0} s"),
                None => "to compute".into(),
            };
            format!("{state:<18} {}\n", cell.command())
        };
        needed.iter().map(line).collect()
    }

    fn compute(&self, missing: &[&Cell], device: &Device, live: &mut Live) -> Result<(), CliError> {
        for (number, cell) in missing.iter().enumerate() {
            if !self.args.quiet {
                live.say(&format!("cell {} of {}: {}", number + 1, missing.len(), cell.command()));
            }
            let started = SystemTime::now();
            let runs = self.train(cell, device, live)?;
            self.cells.keep(cell, &runs, DeviceRecord::of(device), started)?;
            Checkpoints::remove(&self.cells.path(cell));
        }
        Ok(())
    }

    /// Of a cell that takes long: the same command goes on with it.
    fn checkpoints(&self, cell: &Cell) -> Checkpoints {
        let origin = Origin::of(cell.arguments(), time::rfc3339(SystemTime::now()));
        Checkpoints::new(&self.cells.path(cell), self.args.often.every(), origin)
    }

    fn train(&self, cell: &Cell, device: &Device, live: &mut Live) -> Result<Vec<FinishedRun>, CliError> {
        live.keep(self.checkpoints(cell));
        experiment::run(&cell.experiment(), device, live).map_err(|error| match error {
            ExperimentError::Interrupted(_) => CliError::Paused(self.args.out.clone()),
            error => error.into(),
        })
    }

    /// The run that Figure 2 shows, if it is wanted.
    fn pictured(&self) -> Option<Cell> {
        let wanted = self.targets.contains(&Target::Figure2)
            && self.selection.benchmarks.iter().any(|benchmark| benchmark == "permuted-mnist")
            && (self.selection.only.is_empty() || self.selection.only.iter().any(|name| name == "hal"));
        wanted.then(|| self.selection.pictured())
    }

    fn picture_path(&self) -> Option<PathBuf> {
        Some(self.cells.path(&self.pictured()?).join("figure2.json"))
    }

    fn picture(&self) -> Option<AnchorPicture> {
        AnchorPicture::read(&files::read_text(&self.picture_path()?, LARGEST_PICTURE).ok()?)
    }

    fn compute_picture(&self, cell: &Cell, device: &Device, live: &mut Live) -> Result<(), CliError> {
        live.want_parameters(true);
        let runs = self.train(cell, device, live)?;
        let picture = AnchorPicture::of(cell, &runs[0]).expect("HAL has anchors");
        let path = self.picture_path().expect("the picture is wanted");
        write_file(&path, serde_json::to_string(&picture).expect("a picture is plain numbers"))?;
        Checkpoints::remove(&self.cells.path(cell));
        Ok(())
    }

    fn reproductions(&self) -> Vec<Reproduction> {
        let make = |(target, benchmark): (Target, &String)| {
            let entries = target.entries(benchmark, &self.selection);
            let with_runs = entries.into_iter().filter_map(|entry| {
                let runs = self.find(&entry.cell)?;
                Some((entry, runs))
            });
            let of_figure_2 = target == Target::Figure2 && benchmark == "permuted-mnist";
            let picture = if of_figure_2 { self.picture() } else { None };
            Reproduction { target, benchmark: benchmark.clone(), entries: with_runs.collect(), picture }
        };
        self.places().map(make).filter(|made| !made.entries.is_empty() || made.picture.is_some()).collect()
    }

    /// Tables on the screen and as Markdown, figures as SVG, and everything on one page.
    fn write(&self, device: &Device) -> Result<(), CliError> {
        let made = self.reproductions();
        for one in &made {
            let stem = format!("{}-{}", one.target.name(), one.benchmark);
            if !one.entries.is_empty() {
                print(&format!("{}\n\n{}\n", one.title(), one.grid().to_text()))?;
                write_file(&self.args.out.join(format!("{stem}.md")), markdown(one))?;
            }
            for (number, svg) in one.figures().iter().enumerate() {
                write_file(&self.args.out.join(format!("{stem}-{}.svg", number + 1)), svg.standalone())?;
            }
        }
        let size = |name: &String| {
            let Settings { tasks, images_per_task, test_images, .. } = self.selection.settings(name);
            let title = benchmark_title(name);
            format!("{title}: {tasks} tasks of {images_per_task} images, each tested on {test_images} after each.")
        };
        let mut about: Vec<String> = self.selection.benchmarks.iter().map(size).collect();
        let version = env!("CARGO_PKG_VERSION");
        about.push(format!("{} seeds; hindsight {version}, on {}.", self.args.seeds, device.describe()));
        let path = self.args.out.join("report.html");
        write_file(&path, page(&made, &about).render())?;
        print(&format!("Written to {}; the page is {}.\n", self.args.out.display(), path.display()))
    }
}
