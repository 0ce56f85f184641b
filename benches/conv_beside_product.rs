//! ResNet-S's convolutions on the CPU beside matrix products: one of 512 cubed, and the one that would compute the same if
//! patches had been written out (which are given to it for nothing). All three in turns, so that a machine that gets
//! slower slows all of them; ratios are medians over the turns.
//!
//! `cargo bench --bench conv_beside_product -- [--save]`; `--save` writes benches/runs/conv-beside-product-cpu.json.

use hindsight::bench::{Case, Rig, cases};
use hindsight::device::Device;
use hindsight_kernels::processor;
use serde_json::{Value, json};

const TURNS: usize = 25;
/// Seconds that each of the three takes in a turn, at least.
const TURN_S: f64 = 0.004;

/// A case that takes turns with others.
struct InTurns<'a> {
    rig: Rig<'a>,
    steps: usize,
}

impl<'a> InTurns<'a> {
    fn new(case: &'a Case) -> InTurns<'a> {
        let mut rig = Rig::new(&Device::Cpu, case);
        let steps = rig.steps_that_take(TURN_S);
        InTurns { rig, steps }
    }

    /// GFLOP/s of a turn.
    fn rate(&mut self) -> f64 {
        self.rig.flops() * self.steps as f64 / self.rig.time(self.steps) / 1e9
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let square = cases::product("", "512 cubed", cases::plain(512, 512, 512));
    let mut square = InTurns::new(&square);
    let mut rows: Vec<Value> = vec![];
    println!("{}, {} threads", processor(), rayon::current_num_threads());
    println!("{:64} GFLOP/s  % of 512 cubed  % of the same product", "");
    for case in cases::all(&Device::Cpu) {
        let Some(tunable) = case.kernel.describe().as_tunable().filter(|_| case.group.starts_with("Conv")) else {
            continue;
        };
        let same = cases::product("", "the same product", tunable.product());
        let (mut conv, mut same) = (InTurns::new(&case), InTurns::new(&same));
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
