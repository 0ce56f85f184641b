//! GFLOP/s of kernels on the CPU and on the GPU if there is one, checked against the f64 oracle first.
//!
//! `cargo bench --bench NAME -- [cpu|gpu] [--save]`; `--save` writes benches/runs/NAME-<device>.json.

use hindsight_kernels::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

/// A kernel to measure.
pub struct Case {
    /// What a model does with it.
    pub name: &'static str,
    /// Its sizes, for the table.
    pub size: String,
    /// The kernel.
    pub kernel: Arc<dyn Kernel>,
    /// Elements of its two operands.
    pub operands: [usize; 2],
    /// Length of its sums.
    pub terms: usize,
}

/// Each kernel takes about this long, a sample.
const SAMPLE_SECONDS: f64 = 0.2;
const SAMPLES: usize = 7;

/// Runs that keep all of the device busy: on the CPU runs are what its threads share.
fn runs(device: &Device) -> usize {
    if matches!(device, Device::Cpu) { rayon::current_num_threads() } else { 1 }
}

struct Bench {
    store: Store,
    executable: Executable,
    out: usize,
}

impl Bench {
    fn new(device: &Device, case: &Case) -> Bench {
        let runs = runs(device);
        let mut store = Store::new(device, runs);
        let mut buffer = |name: &str, elements, seed: f64| {
            let id = store.allocate(BufferInfo { name: name.into(), kind: Kind::Float, elements, shared: false });
            let values: Vec<f64> = (0..elements).map(|i| (i as f64 * 0.731 + seed).sin()).collect();
            (0..runs).for_each(|run| store.write(id, run, 0, &values));
            id
        };
        let inputs: Vec<usize> =
            case.operands.iter().zip([0.1, 0.7]).map(|(&elements, seed)| buffer("operand", elements, seed)).collect();
        let out = buffer("out", case.kernel.describe().elements(), 0.0);
        let launch = Launch {
            kernel: case.kernel.clone(),
            epilogue: Epilogue::default(),
            inputs: inputs.into_iter().map(|id| View::whole(BufferId::Stored(id))).collect(),
            output: View::whole(BufferId::Stored(out)),
        };
        let executable = Executable::new(device, &store, vec![launch], vec![]);
        Bench { store, executable, out }
    }

    /// Seconds that `steps` products take, and what they give.
    fn time(&mut self, steps: usize) -> (f64, Vec<f64>) {
        let start = Instant::now();
        self.executable.run(&mut self.store, 0..steps, Order::Sequential);
        let out = self.store.read(self.out).remove(0); // waits
        (start.elapsed().as_secs_f64(), out)
    }
}

/// GFLOP/s of each sample, least first.
fn measure(device: &Device, case: &Case) -> Vec<f64> {
    let (_, expected) = Bench::new(&Device::Oracle, case).time(1);
    let mut bench = Bench::new(device, case);
    let (_, found) = bench.time(1);
    for (i, (x, y)) in expected.iter().zip(&found).enumerate() {
        // Terms are up to 1, and each addition rounds the sum so far, which may end larger than they are.
        let tolerance = 1e-6 * (case.terms as f64 + (case.terms as f64).sqrt() * x.abs());
        assert!((x - y).abs() < tolerance, "{}: element {i} is {y}, not {x}", case.name);
    }
    let trial = 3;
    let steps = (SAMPLE_SECONDS / (bench.time(trial).0 / trial as f64)).ceil().max(1.0) as usize;
    let flops = case.kernel.describe().cost().flops * (steps * runs(device)) as f64;
    let mut rates: Vec<f64> = (0..SAMPLES).map(|_| flops / bench.time(steps).0 / 1e9).collect();
    rates.sort_by(f64::total_cmp);
    rates
}

fn table(device: &Device, cases: &[Case]) -> Value {
    println!("\n{}", device.describe());
    println!("{:<40} {:>22} {:>10} {:>16}", "", "size", "GFLOP/s", "least .. most");
    let row = |case: &Case| {
        let rates = measure(device, case);
        let (median, least, most) = (rates[SAMPLES / 2], rates[0], rates[SAMPLES - 1]);
        println!("{:<40} {:>22} {median:>10.1} {least:>8.1} .. {most:.1}", case.name, case.size);
        json!({ "name": case.name, "size": case.size, "gflops": rates })
    };
    let rows: Vec<Value> = cases.iter().map(row).collect();
    json!({ "machine": machine(), "adapter": device.describe(), "driver": device.driver(), "cores": rayon::current_num_threads(), "rows": rows })
}

/// The processor, where the system tells.
fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("model name"));
    line.map_or(std::env::consts::ARCH.to_string(), |name| name.trim_start_matches([' ', '\t', ':']).to_string())
}

/// Measures the cases on the devices that the command line names.
pub fn run(name_of_bench: &str, cases: &[Case]) {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |name: &str| args.iter().any(|a| a == name) || !args.iter().any(|a| a == "cpu" || a == "gpu");
    let mut devices = vec![];
    if wanted("cpu") {
        devices.push(("cpu", Device::Cpu));
    }
    if wanted("gpu") {
        match Device::open(&DeviceChoice::Gpu) {
            Ok(device) => devices.push(("gpu", device)),
            Err(error) => println!("no GPU: {error}"),
        }
    }
    for (name, device) in devices {
        let result = table(&device, cases);
        if args.iter().any(|a| a == "--save") {
            let path = format!("{}/benches/runs/{name_of_bench}-{name}.json", env!("CARGO_MANIFEST_DIR"));
            std::fs::write(&path, serde_json::to_string_pretty(&result).expect("numbers and text")).expect("writable");
            println!("wrote {path}");
        }
    }
}
