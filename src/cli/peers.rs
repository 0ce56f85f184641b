//! `hindsight bench --peers`: the same work by others' programs, on this machine, right after ours.

use super::bench::{BenchArgs, bar};
use super::progress::Live;
use super::{CliError, interrupt, print, say};
use hindsight::bench::peers::{PeerTime, Work, peers};
use hindsight::bench::{Effort, Machine, cases, measure};
use hindsight::data::benchmarks;
use hindsight::device::Device;
use hindsight::experiment::{self, Experiment};
use hindsight::methods::{self, paper_settings};
use hindsight::report::{Grid, write_file};
use hindsight::settings::{RunSpec, Settings};
use hindsight_kernels::Device::Gpu;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Where the programs are, seen from the folder of this one's source.
pub const FOLDER: &str = "benches/peers";
/// The interpreter, where it is not `python3`.
const PYTHON: &str = "HINDSIGHT_PYTHON";
const PRODUCTS: [[usize; 3]; 2] = [[512, 512, 512], [200, 256, 784]];

pub fn run(args: &BenchArgs, device: &Device, folder: &Path) -> Result<(), CliError> {
    if !folder.is_dir() {
        super::refuse(format!(
            "there is no folder {} with programs of others; name it with --peers-in, or call this where the source lies",
            folder.display()
        ));
    }
    let mut work = vec![];
    if !is_software(device) {
        work.push(Work::Hal(if args.quick { 1 } else { 5 }));
    }
    if matches!(device, Gpu(_)) {
        work.extend(PRODUCTS.map(Work::Product));
    }
    print(&format!("{}; {}\n\n", device.describe(), Machine::of(device).processor))?;
    let stop = interrupt::watch();
    let mut all = vec![];
    for work in work {
        let ours = PeerTime { peer: "hindsight".into(), what: work.name(), ..ours(work, device)? };
        let theirs = compared(work, &ours, device, folder, &stop)?;
        all.extend(theirs);
        all.push(ours);
    }
    let Some(out) = &args.out else { return Ok(()) };
    let file = serde_json::json!({ "machine": Machine::of(device), "times": all });
    write_file(out, serde_json::to_string_pretty(&file).expect("plain values") + "\n")?;
    print(&format!("Written to {}.\n", out.display()))
}

/// Prints what others take for the same work, as far as they can be timed here, and returns it.
fn compared(
    work: Work,
    ours: &PeerTime,
    device: &Device,
    folder: &Path,
    stop: &AtomicBool,
) -> Result<Vec<PeerTime>, CliError> {
    let hardware = device.is_hardware();
    let peers = peers(work, hardware, is_software(device));
    let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".into());
    let mut grid = Grid::new(&[&work.name(), "seconds", "of ours", "accuracy %"]);
    grid.push(row(ours, ours));
    let (bar, mut times) = (bar(peers.len()), vec![]);
    for peer in peers.iter().take_while(|_| !stop.load(Ordering::Relaxed)) {
        bar.set_message(peer.name);
        if bar.is_hidden() {
            say(format!("{}: {} ..", work.name(), peer.name));
        }
        match peer.time(folder, &python, hardware) {
            Ok(time) => {
                grid.push(row(&time, ours));
                times.push(time);
            }
            Err(why) => grid.push(vec![peer.name.into(), "-".into(), why.to_string(), "-".into()]),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    print(&format!("{}\n", grid.to_text()))?;
    Ok(times)
}

fn is_software(device: &Device) -> bool {
    matches!(device, Gpu(gpu) if gpu.traits().software)
}

fn row(time: &PeerTime, ours: &PeerTime) -> Vec<String> {
    let accuracy = time.accuracy.map_or("-".into(), |accuracy| format!("{accuracy:.1}"));
    vec![time.peer.clone(), format!("{:.3e}", time.seconds), format!("{:.2}", time.seconds / ours.seconds), accuracy]
}

/// What this program takes.
fn ours(work: Work, device: &Device) -> Result<PeerTime, CliError> {
    let (seconds, accuracy) = match work {
        Work::Hal(seeds) => hal(seeds, device)?,
        Work::Product([m, n, k]) => {
            let size = format!("{m} x {n} x {k}");
            let case = cases::all(device).into_iter().find(|case| case.size == size && case.matches("matmul"));
            let case = case.expect("the product is among the cases");
            (measure(device, &case, Effort::FULL).map_err(|_| CliError::WrongKernels(1))?.median(), None)
        }
    };
    Ok(PeerTime { peer: String::new(), what: String::new(), seconds, accuracy })
}

/// HAL on Permuted MNIST, after two tasks of it in which everything is compiled, as in the peers.
fn hal(seeds: usize, device: &Device) -> Result<(f64, Option<f64>), CliError> {
    let benchmark = benchmarks::find("permuted-mnist").expect("it is registered");
    let settings = paper_settings(methods::find("hal").expect("it is registered"), benchmark);
    let train = |settings: &Settings, seeds: &[u64]| {
        let runs = RunSpec::seeds(settings, seeds);
        let mut live = Live::new(settings.tasks, false, interrupt::watch());
        let experiment = Experiment { benchmark: "permuted-mnist".into(), method: "hal".into(), runs };
        let start = Instant::now();
        let finished = experiment::run(&experiment, device, &mut live);
        live.end();
        let seconds = start.elapsed().as_secs_f64();
        finished.map(|runs| (seconds, runs)).map_err(CliError::from)
    };
    let all: Vec<u64> = (0..seeds as u64).collect();
    train(&Settings { tasks: 2, ..settings.clone() }, &all[..1])?;
    let (seconds, runs) = train(&settings, &all)?;
    let accuracy = runs.iter().map(|run| run.record.accuracy).sum::<f64>() / runs.len() as f64;
    Ok((seconds, Some(100.0 * accuracy)))
}
