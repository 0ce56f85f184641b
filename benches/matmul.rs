//! GFLOP/s of the matrix products that the models are made of, and of some squares, on the CPU and on
//! the GPU if there is one, checked against the f64 oracle first.
//!
//! `cargo bench --bench matmul -- [cpu|gpu] [--save]`; `--save` writes benches/runs/matmul-<device>.json.

use hindsight_kernels::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

/// Each product takes about this long, a sample.
const SAMPLE_SECONDS: f64 = 0.2;
const SAMPLES: usize = 7;

/// What a model does with it, and the product.
fn products() -> Vec<(&'static str, MatMul)> {
    let product = |m, n, k| MatMul { m, n, k, ta: false, tb: false, ones: Ones::No, bytes: false };
    let layer = |m, n, k| MatMul { ones: Ones::Column, ..product(m, n, k) };
    vec![
        ("layer 1, batch 20", layer(20, 256, 784)),
        ("layer 2, batch 20", layer(20, 256, 256)),
        ("layer 3, batch 20", layer(20, 10, 256)),
        ("gradient of layer 1's weights", MatMul { ta: true, ones: Ones::Row, ..product(785, 256, 20) }),
        ("gradient of layer 2's weights", MatMul { ta: true, ones: Ones::Row, ..product(257, 256, 20) }),
        ("gradient of layer 2's input", MatMul { tb: true, ..product(20, 256, 256) }),
        ("layer 1 of one image", layer(1, 256, 784)),
        ("layer 2, 1000 images", layer(1000, 256, 256)),
        ("layer 3, 1000 images", layer(1000, 10, 256)),
        ("200 x 784 x 256", product(200, 256, 784)),
        ("512 cubed", product(512, 512, 512)),
        ("1024 cubed", product(1024, 1024, 1024)),
    ]
}

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
    fn new(device: &Device, product: MatMul) -> Bench {
        let runs = runs(device);
        let mut store = Store::new(device, runs);
        let mut buffer = |name: &str, elements, seed: f64| {
            let id = store.allocate(BufferInfo { name: name.into(), kind: Kind::Float, elements, shared: false });
            let values: Vec<f64> = (0..elements).map(|i| (i as f64 * 0.731 + seed).sin()).collect();
            (0..runs).for_each(|run| store.write(id, run, 0, &values));
            id
        };
        let MatMul { m, n, k, ones, .. } = product;
        let a = buffer("a", m * k, 0.1);
        let b = buffer("b", (k + usize::from(ones == Ones::Column)) * n, 0.7);
        let out = buffer("out", m * n, 0.0);
        let launch = Launch {
            kernel: Arc::new(product),
            epilogue: Epilogue::default(),
            inputs: [a, b].map(|id| View::whole(BufferId::Stored(id))).to_vec(),
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
fn measure(device: &Device, product: MatMul) -> Vec<f64> {
    let (_, expected) = Bench::new(&Device::Oracle, product).time(1);
    let mut bench = Bench::new(device, product);
    let (_, found) = bench.time(1);
    for (i, (x, y)) in expected.iter().zip(&found).enumerate() {
        // Sums of k products of numbers up to 1 in f32.
        assert!((x - y).abs() < 1e-6 * product.k as f64, "{product:?}: element {i} is {y}, not {x}");
    }
    let trial = 20;
    let steps = (SAMPLE_SECONDS / (bench.time(trial).0 / trial as f64)).ceil().max(1.0) as usize;
    let flops = product.cost().flops * (steps * runs(device)) as f64;
    let mut rates: Vec<f64> = (0..SAMPLES).map(|_| flops / bench.time(steps).0 / 1e9).collect();
    rates.sort_by(f64::total_cmp);
    rates
}

fn table(device: &Device) -> Value {
    println!("\n{}", device.describe());
    println!("{:<32} {:>16} {:>10} {:>16}", "product", "m x n x k", "GFLOP/s", "least .. most");
    let row = |(name, product): (&str, MatMul)| {
        let rates = measure(device, product);
        let (median, least, most) = (rates[SAMPLES / 2], rates[0], rates[SAMPLES - 1]);
        let size = format!("{} x {} x {}", product.m, product.n, product.k);
        println!("{name:<32} {size:>16} {median:>10.1} {least:>8.1} .. {most:.1}");
        json!({ "product": name, "m": product.m, "n": product.n, "k": product.k, "gflops": rates })
    };
    let rows: Vec<Value> = products().into_iter().map(row).collect();
    json!({ "machine": machine(), "adapter": device.describe(), "driver": device.driver(), "cores": rayon::current_num_threads(), "rows": rows })
}

/// The processor, where the system tells.
fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("model name"));
    line.map_or(std::env::consts::ARCH.to_string(), |name| name.trim_start_matches([' ', '\t', ':']).to_string())
}

fn main() {
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
        let result = table(&device);
        if args.iter().any(|a| a == "--save") {
            let path = format!("{}/benches/runs/matmul-{name}.json", env!("CARGO_MANIFEST_DIR"));
            std::fs::write(&path, serde_json::to_string_pretty(&result).expect("numbers and text")).expect("writable");
            println!("wrote {path}");
        }
    }
}
