//! `hindsight bench --growth`: how the cost of HAL grows with its sizes, beside a prediction.

use super::bench::{BenchArgs, bar, refuse_to_replace};
use super::{CliError, interrupt, print, say};
use hindsight::bench::growth::{Axis, Point, axes};
use hindsight::bench::{Ceilings, Effort, Machine, table};
use hindsight::device::Device;
use hindsight::report::{Grid, write_file};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// Experiments a point: the median is told.
const SAMPLES: usize = 3;

pub fn run(args: &BenchArgs, device: &Device) -> Result<(), CliError> {
    refuse_to_replace(args)?;
    let (effort, samples) = if args.quick { (Effort::QUICK, 1) } else { (Effort::FULL, SAMPLES) };
    let axes = axes();
    let bar = bar(axes.iter().map(|axis| axis.values.len()).sum());
    bar.set_message("the device's own ceilings");
    let ceilings = Ceilings::measure(device, effort).map_err(CliError::Ceilings)?;
    let machine = Machine::of(device);
    let heading = format!("{}; {}, {} threads", device.describe(), machine.processor, machine.threads);
    bar.suspend(|| print(&format!("{heading}\n\nCeilings\n{}\n{INTRODUCTION}\n", table::ceilings(&ceilings))))?;
    let stop = interrupt::watch();
    let mut measured: Vec<Value> = vec![];
    'axes: for axis in &axes {
        let mut points: Vec<Point> = vec![];
        for &value in axis.values {
            if stop.load(Ordering::Relaxed) {
                break 'axes;
            }
            bar.set_message(format!("{} {value}", axis.name));
            if bar.is_hidden() {
                say(format!("{} {value} ..", axis.name));
            }
            points.push(axis.measure(device, &ceilings, value, samples)?);
            bar.inc(1);
        }
        bar.suspend(|| print(&format!("\n{}: {}\n{}", axis.name, axis.what, grid(axis, &points).to_text())))?;
        measured.push(json!({ "name": axis.name, "what": axis.what, "points": points }));
    }
    bar.finish_and_clear();
    let Some(out) = &args.out else { return Ok(()) };
    let command: Vec<String> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let file = json!({
        "schema": 1, "command": command, "machine": machine, "samples": samples, "ceilings": ceilings, "axes": measured,
    });
    write_file(out, serde_json::to_string_pretty(&file).expect("plain values") + "\n")?;
    print(&format!("\nWritten to {}.\n", out.display()))
}

const INTRODUCTION: &str = "\
HAL on Permuted MNIST: 2 runs, 3 tasks of 40 steps, 20 search steps an anchor, 1,000 test images of each task after
every task; each table moves one of these. Steps are of one run, the training step's in the last task. Measured: all
launches and the gaps between them, without first steps. Predicted: what no such launch can be faster than, by the
ceilings above. Growth: as many times the first row.
";

fn grid(axis: &Axis, points: &[Point]) -> Grid {
    let header = [axis.name, "training step", "search step", "measured", "predicted", "roof %", "growth", "predicted"];
    let mut grid = Grid::new(&header);
    for point in points {
        let growth = |of: fn(&Point) -> f64| format!("{:.2}", of(point) / of(&points[0]));
        grid.push(vec![
            point.value.to_string(),
            format!("{:.3} ms", 1e3 * point.training_step_s),
            format!("{:.3} ms", 1e3 * point.search_step_s),
            format!("{:.2} s", point.measured_s),
            format!("{:.2} s", point.predicted_s),
            format!("{:.0}", 100.0 * point.predicted_s / point.measured_s),
            growth(|point| point.measured_s),
            growth(|point| point.predicted_s),
        ]);
    }
    grid
}
