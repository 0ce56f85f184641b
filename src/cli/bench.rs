//! `hindsight bench`: what a device can do at all, then how near to that each kernel comes.

use super::place::Place;
use super::{CliError, interrupt, print};
use clap::Args;
use hindsight::bench::compare::Verdict;
use hindsight::bench::{self, Case, Ceilings, Effort, Machine, Measured, Measurements, Row, cases, table};
use hindsight::device::Device;
use hindsight::report::{FolderError, write_file};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

#[derive(Args)]
#[command(after_long_help = super::own_wgsl::HELP)]
pub struct BenchArgs {
    /// Only cases in whose kernel, name or size this stands
    #[arg(long, value_name = "PATTERN")]
    only: Option<String>,

    /// Fewer and shorter samples: to see whether it works, not for numbers
    #[arg(long)]
    pub quick: bool,

    /// Runs side by side that a launch computes [default: as many as the CPU has threads, on a GPU one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), conflicts_with_all = ["list", "peers", "growth"])]
    runs: Option<u16>,

    /// What would be measured, without measuring it
    #[arg(long)]
    list: bool,

    #[command(flatten)]
    place: Place,

    /// Write the measurements there as JSON, and beside it the roofline as SVG
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Replace files that are there
    #[arg(long)]
    overwrite: bool,

    /// Measurements that --out wrote earlier: mark what has become slower or faster since
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,

    /// Compare with a file of another processor or adapter, too
    #[arg(long, requires = "compare")]
    force: bool,

    /// The same work by others' programs instead, those of benches/peers/ that are installed: HAL in PyTorch and JAX, and
    /// on a GPU products in burn and meganeura
    #[arg(long, conflicts_with_all = ["only", "list", "compare", "wgsl"])]
    peers: bool,

    /// How the cost of HAL grows instead: with runs side by side, tasks, batch, memory and anchors, beside a prediction
    #[arg(long, conflicts_with_all = ["only", "list", "compare", "wgsl", "peers"])]
    growth: bool,

    /// Where those programs are
    #[arg(long, value_name = "DIR", requires = "peers", default_value = super::peers::FOLDER)]
    peers_in: PathBuf,

    #[command(flatten)]
    own: super::own_wgsl::OwnArgs,
}

/// What has been measured so far, and a bar while that goes on.
struct Session<'a> {
    device: &'a Device,
    before: Option<Measurements>,
    measurements: Measurements,
    /// Side by side.
    runs: usize,
    wrong: usize,
    bar: ProgressBar,
}

pub fn run(args: &BenchArgs) -> Result<(), CliError> {
    if args.list
        && let Some(listed) = args.own.listed()?
    {
        return print(&listed);
    }
    let device = args.place.open_as(&args.own.device(&args.place.device))?;
    if args.peers {
        refuse_to_replace(args)?;
        return super::peers::run(args, &device, &args.peers_in);
    }
    if args.growth {
        return super::growth::run(args, &device);
    }
    if let Some(own) = args.own.prepared(&device, args.runs)? {
        // Before the ceilings, which take seconds: it may be wrong.
        own.verify()?;
        let before = before(args, &Machine::of(&device))?;
        refuse_to_replace(args)?;
        let mut session = Session::start(args, &device, before, 1)?;
        session.print("\nYour own\n")?;
        let measured = own.measure(session.measurements.effort, device.is_hardware());
        session.add(measured)?;
        session.bar.finish_and_clear();
        return session.conclude(args, 1);
    }
    let cases = chosen(args, &device);
    if args.list {
        return print(&grouped(&cases).map(|(heading, case)| heading + &table::listed(case)).collect::<String>());
    }
    let before = before(args, &Machine::of(&device))?;
    refuse_to_replace(args)?;
    let mut session = Session::start(args, &device, before, cases.len())?;
    let stop = interrupt::watch();
    for (heading, case) in grouped(&cases) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        session.print(&heading)?;
        session.measure(case)?;
    }
    session.bar.finish_and_clear();
    session.conclude(args, cases.len())
}

/// The cases of the table that are asked for. Ends the program where there are none.
fn chosen(args: &BenchArgs, device: &Device) -> Vec<Case> {
    let asked = |case: &Case| args.only.as_ref().is_none_or(|pattern| case.matches(pattern));
    let cases: Vec<Case> = cases::all(device).into_iter().filter(asked).collect();
    if cases.is_empty() {
        let pattern = args.only.as_deref().unwrap_or_default();
        super::refuse(format!(
            "no case has '{pattern}' in its kernel, name or size; `hindsight bench --list` has them"
        ));
    }
    cases
}

/// Each case with the heading that is to stand above it, if it is the first under it.
fn grouped(cases: &[Case]) -> impl Iterator<Item = (String, &Case)> {
    let mut last = "";
    cases.iter().map(move |case| {
        let heading = if case.group == last { String::new() } else { format!("\n{}\n", case.group) };
        last = case.group;
        (heading, case)
    })
}

/// The earlier measurements, if they are asked for and say something beside those to come.
fn before(args: &BenchArgs, machine: &Machine) -> Result<Option<Measurements>, CliError> {
    let Some(path) = &args.compare else { return Ok(None) };
    let before = Measurements::read(path)?;
    match before.not_comparable(machine) {
        Some(why) if !args.force => Err(CliError::NotComparable { path: path.clone(), why }),
        _ => Ok(Some(before)),
    }
}

pub fn refuse_to_replace(args: &BenchArgs) -> Result<(), CliError> {
    let Some(out) = &args.out else { return Ok(()) };
    if out.extension().is_some_and(|extension| extension == "svg") {
        super::refuse("--out names the JSON file; the SVG is written beside it. Name it .json");
    }
    let files = [out.clone(), out.with_extension("svg")];
    match files.into_iter().find(|file| file.exists() && !args.overwrite) {
        Some(file) => Err(FolderError::FileExists(file).into()),
        None => Ok(()),
    }
}

impl<'a> Session<'a> {
    /// Measures the ceilings and says them.
    fn start(
        args: &BenchArgs,
        device: &'a Device,
        before: Option<Measurements>,
        cases: usize,
    ) -> Result<Session<'a>, CliError> {
        let bar = bar(cases);
        let effort = if args.quick { Effort::QUICK } else { Effort::FULL };
        bar.set_message("the device's own ceilings");
        let measurements = Measurements::begin(device, effort).map_err(CliError::Ceilings)?;
        let runs = args.runs.map_or(bench::usual_runs(device), usize::from);
        let session = Session { device, before, measurements, runs, wrong: 0, bar };
        let Machine { processor, threads, .. } = &session.measurements.machine;
        session.print(&format!(
            "{}; {processor}, {threads} threads{}\n\nCeilings\n{}",
            device.describe(),
            args.runs.map_or(String::new(), |runs| format!("; runs side by side: {runs}")),
            table::ceilings(&session.measurements.ceilings)
        ))?;
        if let Some(bits) = device.wide_vectors() {
            session.print(&format!(
                "  Multiply-adds and convolutions are in vectors of {bits} bits, other arithmetic is in 256.\n"
            ))?;
        }
        session.print(&session.ceilings_before())?;
        session.print(&format!("\n{}", table::header()))?;
        Ok(session)
    }

    /// What has become of the ceilings: a machine that is slower as a whole makes every case slower.
    fn ceilings_before(&self) -> String {
        let Some(before) = &self.before else { return String::new() };
        let (then, now) = (&before.ceilings, &self.measurements.ceilings);
        let fma = now.fma_flops_per_s / then.fma_flops_per_s;
        let bandwidth = |c: &Ceilings| c.bandwidth(f64::INFINITY);
        format!(
            "  Compared with {}, {}: multiply-adds at {fma:.2} of the rate then, the largest copy at {:.2}, a launch in \
             {:.2} of the time.\n",
            before.started_at,
            before.machine.driver,
            bandwidth(now) / bandwidth(then),
            now.launch_s / then.launch_s
        )
    }

    fn measure(&mut self, case: &Case) -> Result<(), CliError> {
        self.bar.set_message(format!("{}: {}", case.group, case.name));
        let measured = bench::measure_runs(self.device, case, self.runs, self.measurements.effort);
        self.bar.inc(1);
        match measured {
            Ok(measured) => self.add(measured),
            Err(wrong) => {
                self.wrong += 1;
                self.print(&format!("  {:<44} {:<20} WRONG, not timed: {wrong}\n", case.name, case.size))
            }
        }
    }

    fn add(&mut self, measured: Measured) -> Result<(), CliError> {
        let change = self.before.as_ref().and_then(|before| before.change_to(&measured));
        let row = Row::new(measured, &self.measurements.ceilings);
        self.print(&table::line(&row, change))?;
        self.measurements.cases.push(row);
        Ok(())
    }

    /// The table goes to standard output, the bar stands on the other.
    fn print(&self, text: &str) -> Result<(), CliError> {
        self.bar.suspend(|| print(text))
    }

    fn conclude(&self, args: &BenchArgs, cases: usize) -> Result<(), CliError> {
        print(&self.summary())?;
        if let Some(out) = &args.out {
            let svg = out.with_extension("svg");
            write_file(out, self.measurements.to_json())?;
            write_file(&svg, bench::roofline(&self.measurements).standalone())?;
            print(&format!("Written to {} and {}.\n", out.display(), svg.display()))?;
        }
        let measured = self.measurements.cases.len();
        match self.wrong {
            wrong if wrong > 0 => Err(CliError::WrongKernels(wrong)),
            _ if measured < cases => Err(CliError::StoppedBench { measured, cases }),
            _ => Ok(()),
        }
    }

    fn summary(&self) -> String {
        let Some(before) = &self.before else { return "\n".into() };
        let cases = &self.measurements.cases;
        let changes: Vec<_> = cases.iter().filter_map(|row| before.change_to(&row.measured)).collect();
        let count = |verdict| changes.iter().filter(|change| change.verdict() == verdict).count();
        format!(
            "\n{} slower, {} faster, {} within noise, {} not measured before. (Noise is the spread of both runs' samples; \
             a machine that is slower as a whole shows in its ceilings.)\n",
            count(Verdict::Slower),
            count(Verdict::Faster),
            count(Verdict::Same),
            cases.len() - changes.len()
        )
    }
}

pub fn bar(cases: usize) -> ProgressBar {
    let target = if stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(cases as u64), target);
    let style = ProgressStyle::with_template("{bar:24.cyan/dim} {pos} of {len}  {wide_msg}");
    bar.set_style(style.expect("the template is well-formed"));
    bar
}
