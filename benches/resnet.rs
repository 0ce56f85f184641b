//! A step of ER-Ring and of HAL on ResNet-S, 32 x 32 images: 10 images and 10 of the memory, 10 anchors.
//!
//! `cargo bench --bench resnet -- [cpu|gpu] [--save]`; `benches/peers/resnet_torch.py` is the same in PyTorch.

use hindsight::autodiff::{Stored, Tape, Var};
use hindsight::device::{Device, DeviceChoice};
use hindsight::methods::hal::{Anchoring, objective};
use hindsight::nn::{ResNet, Statistics};
use hindsight::program::{Program, Session};
use hindsight::random::{Stream, generator};
use serde_json::{Value, json};
use std::time::Instant;

const BATCH: usize = 20;
const ANCHORS: usize = 10;
const RATE: f64 = 0.03;
const SAMPLES: usize = 5;

/// Parameters and data of some runs, and a step.
struct Bench {
    session: Session,
    theta: Stored,
    program: Program,
}

fn logits<'t>(model: &ResNet, theta: Var<'t>, images: &Stored) -> Var<'t> {
    let (tape, rows) = (theta.tape(), images.shape[0]);
    let shares = tape.constant(1.0 / rows as f64, &[rows]);
    model.forward(theta, tape.load(images), Statistics::Batch { shares }).logits
}

impl Bench {
    fn new(device: &Device, runs: usize, hal: bool) -> Bench {
        let model = ResNet::small([32, 32, 3], 100);
        let pixels = 32 * 32 * 3;
        let mut session = Session::new(device, runs);
        let theta = session.state("theta", &[model.parameters()]);
        let images = session.state("images", &[BATCH, pixels]);
        let anchors = session.state("anchors", &[ANCHORS, pixels]);
        let labels = session.indices("labels", 1, &[BATCH]);
        for run in 0..runs {
            let mut random = generator(run as u64, Stream::Initialisation, 0);
            session.write(&theta, run, &model.initial(&mut random));
            let mut noise = |count: usize| (0..count).map(|_| random.unit_f64() - 0.5).collect::<Vec<_>>();
            session.write(&images, run, &noise(BATCH * pixels));
            session.write(&anchors, run, &noise(ANCHORS * pixels));
            session.write_index(&labels, run, &(0..BATCH as u32).collect::<Vec<_>>());
        }
        let tape = Tape::new();
        let at = tape.load(&theta);
        let loss = logits(&model, at, &images).cross_entropy(tape.load(&labels)).mean(0);
        let rate = tape.constant(RATE, &[]);
        let total = if hal {
            let weights = tape.constant(1.0 / ANCHORS as f64, &[ANCHORS]);
            let predict = |at| logits(&model, at, &anchors);
            let (now, lambda) = (predict(at), tape.constant(1.0, &[]));
            objective(predict, at, loss, rate, &Anchoring { now, weights, lambda, first_order: false })
        } else {
            loss
        };
        tape.assign(&theta, at - tape.grad(total, at).scaled(rate));
        let start = Instant::now();
        let program = session.compile(&tape);
        println!(
            "{} step: {} launches, {:.2} GFLOP, compiled in {:.2} s",
            if hal { "HAL" } else { "ER-Ring" },
            program.launches().len(),
            program.cost().flops / 1e9,
            start.elapsed().as_secs_f64()
        );
        Bench { session, theta, program }
    }

    /// Seconds a step, least first.
    fn measure(&mut self, steps: usize) -> Vec<f64> {
        let mut time = || {
            let start = Instant::now();
            self.session.run(&self.program, 0..steps);
            self.session.read(&self.theta); // waits
            start.elapsed().as_secs_f64() / steps as f64
        };
        time();
        let mut seconds: Vec<f64> = (0..SAMPLES).map(|_| time()).collect();
        seconds.sort_by(f64::total_cmp);
        seconds
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let gpu = args.iter().any(|a| a == "gpu");
    let device = if gpu { Device::open(&DeviceChoice::Gpu).expect("a GPU") } else { Device::Cpu };
    println!("{}", device.describe());
    let mut rows: Vec<Value> = vec![];
    let (numbers, longer) = if device.is_hardware() { (&[1, 2, 5, 20][..], 10) } else { (&[1, 2][..], 1) };
    for &runs in numbers {
        for (name, hal, steps) in [("ER-Ring", false, 4 * longer), ("HAL", true, 2 * longer)] {
            let mut bench = Bench::new(&device, runs, hal);
            let seconds = bench.measure(steps);
            let median = seconds[SAMPLES / 2];
            let rate = bench.program.cost().flops * runs as f64 / median / 1e9;
            println!(
                "{name}, {runs} runs side by side: {:.1} ms a step ({:.1} .. {:.1}), {rate:.0} GFLOP/s",
                1e3 * median,
                1e3 * seconds[0],
                1e3 * seconds[SAMPLES - 1]
            );
            rows.push(json!({ "step": name, "runs": runs, "seconds": seconds }));
        }
    }
    if args.iter().any(|a| a == "--save") {
        let name = if gpu { "gpu" } else { "cpu" };
        let path = format!("{}/benches/runs/resnet-{name}.json", env!("CARGO_MANIFEST_DIR"));
        let all = json!({ "adapter": device.describe(), "driver": device.driver(), "rows": rows });
        std::fs::write(&path, serde_json::to_string_pretty(&all).expect("numbers and text")).expect("writable");
        println!("wrote {path}");
    }
}
