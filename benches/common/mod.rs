//! GFLOP/s of some kernels on the CPU and on the GPU if there is one: a part of what `hindsight bench` measures, by the
//! same code.
//!
//! `cargo bench --bench NAME -- [cpu|gpu] [--save]`; `--save` writes benches/runs/NAME-<device>.json.

use hindsight::bench::{Effort, Measurements, Row, cases, measure, table};
use hindsight::device::{self, Device, DeviceChoice, Tuning};

/// Measures the cases of `kernels` on the devices that the command line names.
pub fn run(name_of_bench: &str, kernels: &[&str]) {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let asked = |name: &str| args.iter().any(|a| a == name) || !args.iter().any(|a| a == "cpu" || a == "gpu");
    for (name, choice) in [("cpu", DeviceChoice::Cpu), ("gpu", DeviceChoice::Gpu)] {
        if !asked(name) {
            continue;
        }
        match device::open(&choice, &Tuning::default()) {
            Ok(device) => {
                let measurements = measure_all(&device, kernels);
                if args.iter().any(|a| a == "--save") {
                    save(&measurements, &format!("{name_of_bench}-{name}"));
                }
            }
            Err(error) => println!("{error}"),
        }
    }
}

fn measure_all(device: &Device, kernels: &[&str]) -> Measurements {
    let mut all = Measurements::begin(device, Effort::FULL).unwrap_or_else(|wrong| panic!("ceilings: {wrong}"));
    print!("\n{}\n{}\n{}", device.describe(), table::ceilings(&all.ceilings), table::header());
    for case in cases::all(device).iter().filter(|case| kernels.contains(&case.kernel.describe().name())) {
        let measured = measure(device, case, Effort::FULL).unwrap_or_else(|wrong| panic!("{}: {wrong}", case.name));
        let row = Row::new(measured, &all.ceilings);
        print!("{}", table::line(&row, None));
        all.cases.push(row);
    }
    all
}

fn save(measurements: &Measurements, name: &str) {
    let path = format!("{}/benches/runs/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::write(&path, measurements.to_json()).expect("writable");
    println!("wrote {path}");
}
