//! ResNet-S's convolutions on the CPU beside matrix products: one of 512 cubed, and the one that would compute the same if
//! patches had been written out (which are given to it for nothing). All three in turns, so that a machine that gets
//! slower slows all of them; ratios are medians over the turns.
//!
//! `cargo bench --bench conv_beside_product -- [--save]`; `--save` writes benches/runs/conv-beside-product-cpu.json.

use hindsight::bench::cases;
use hindsight::device::Device;
use hindsight_kernels::{
    BufferId, BufferInfo, Epilogue, Executable, Kernel, Kind, Launch, MatMul, Ones, Order, Store, View, processor,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

const TURNS: usize = 25;
/// Seconds that each of the three takes in a turn, at least.
const TURN_S: f64 = 0.004;

/// A kernel with operands, a run a thread.
struct Ready {
    store: Store,
    executable: Executable,
    flops: f64,
    steps: usize,
}

impl Ready {
    fn new(kernel: Arc<dyn Kernel>, operands: [usize; 2]) -> Ready {
        let runs = rayon::current_num_threads();
        let mut store = Store::new(&Device::Cpu, runs);
        let info = |name: &str, elements| BufferInfo { name: name.into(), kind: Kind::Float, elements, shared: false };
        let inputs = operands.map(|elements| {
            let id = store.allocate(info("operand", elements));
            let values: Vec<f64> = (0..elements).map(|i| (i as f64 * 0.731).sin()).collect();
            (0..runs).for_each(|run| store.write(id, run, 0, &values));
            View::whole(BufferId::Stored(id))
        });
        let out = store.allocate(info("out", kernel.describe().elements()));
        let flops = kernel.describe().cost().flops * runs as f64;
        let output = View::whole(BufferId::Stored(out));
        let launch = Launch { kernel, epilogue: Epilogue::default(), inputs: inputs.to_vec(), output };
        let executable = Executable::new(&Device::Cpu, &store, vec![launch], vec![]);
        let mut ready = Ready { store, executable, flops, steps: 1 };
        ready.rate(); // warms up
        ready.steps = (TURN_S / (ready.flops / ready.rate() / 1e9)).ceil() as usize;
        ready
    }

    /// GFLOP/s of a turn.
    fn rate(&mut self) -> f64 {
        let start = Instant::now();
        self.executable.run(&mut self.store, 0..self.steps, Order::Sequential);
        self.flops * self.steps as f64 / start.elapsed().as_secs_f64() / 1e9
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn square(n: usize) -> Ready {
    let product = MatMul { m: n, n, k: n, ta: false, tb: false, ones: Ones::No, bytes: false };
    Ready::new(Arc::new(product), [n * n; 2])
}

fn main() {
    let mut square = square(512);
    let mut rows: Vec<Value> = vec![];
    println!("{}, {} threads", processor(), rayon::current_num_threads());
    println!("{:64} GFLOP/s  % of 512 cubed  % of the same product", "");
    for case in cases::all(&Device::Cpu) {
        let Some(tunable) = case.kernel.describe().as_tunable().filter(|_| case.group.starts_with("Conv")) else {
            continue;
        };
        let product = tunable.product();
        let mut conv = Ready::new(case.kernel.clone(), tunable.operands());
        let mut same = Ready::new(Arc::new(product), [product.m * product.k, product.k * product.n]);
        let turns: Vec<[f64; 3]> = (0..TURNS).map(|_| [conv.rate(), square.rate(), same.rate()]).collect();
        let rate = median(turns.iter().map(|turn| turn[0]).collect());
        let share = |of: usize| 100.0 * median(turns.iter().map(|turn| turn[0] / turn[of]).collect());
        println!("{:44}{:20}{rate:7.0}{:16.0}{:23.0}", case.name, case.size, share(1), share(2));
        rows.push(json!({
            "name": case.name, "size": case.size, "gflop_per_s": rate, "of_512_cubed": share(1) / 100.0,
            "of_the_same_product": share(2) / 100.0, "turns": turns,
        }));
    }
    if std::env::args().any(|arg| arg == "--save") {
        let path = format!("{}/benches/runs/conv-beside-product-cpu.json", env!("CARGO_MANIFEST_DIR"));
        let all = json!({
            "machine": processor(), "threads": rayon::current_num_threads(),
            "turns": "GFLOP/s of the convolution, of 512 cubed, of the same product", "cases": rows,
        });
        std::fs::write(&path, serde_json::to_string_pretty(&all).expect("finite")).expect("writable");
        println!("wrote {path}");
    }
}
