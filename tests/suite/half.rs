//! Values kept in half precision: which are, what shaders read and write of them, and what becomes of training.

use crate::conv::WINDOWS;
use crate::gpu::{adapter, lab, lab_on, small};
use crate::kernels::{in_turns, numbers};
use hindsight::data::benchmarks;
use hindsight::methods;
use hindsight::program::Precision;
use hindsight::settings::Settings;
use hindsight_kernels::catalogue::InVariant;
use hindsight_kernels::*;
use std::sync::Arc;

const RUNS: usize = 2;

/// A kernel of two operands, all in half precision, and `0.5 x + y` of its results x and another such value y, in half
/// precision, too; of each run.
fn in_half(device: &Device, kernel: Arc<dyn Kernel>, sizes: [usize; 2]) -> Vec<Vec<f64>> {
    let mut store = Store::new(device, RUNS);
    let elements = kernel.describe().elements();
    let sizes = [sizes[0], sizes[1], elements, elements];
    let mut stored = |n: usize| {
        let id = store.allocate(BufferInfo { name: "x".into(), kind: Kind::Float, elements: sizes[n], shared: false });
        (0..RUNS).for_each(|run| store.write(id, run, 0, &numbers(sizes[n], 10 * n + run)));
        View::whole(BufferId::Stored(id))
    };
    let (operands, out) = ([0, 1, 2].map(&mut stored), stored(3));
    let half = |n| View::whole(BufferId::Half(n));
    let copy = |from: View, to: View, n: usize| {
        let epilogue = Epilogue { instructions: vec![Instruction::Extra(0)], extras: vec![Access::Full] };
        Launch::new(Arc::new(Map { elements: sizes[n] }), epilogue, vec![from], to)
    };
    let instructions = vec![
        Instruction::Value,
        Instruction::Constant(0.5),
        Instruction::Binary(Binary::Mul, 0, 1),
        Instruction::Extra(0),
        Instruction::Binary(Binary::Add, 2, 3),
    ];
    // The last operand of the epilogue is where the result goes.
    let epilogue = Epilogue { instructions, extras: vec![Access::Full] };
    let computed = Launch::new(kernel, epilogue, [0, 1, 2].map(half).to_vec(), half(2));
    let mut launches: Vec<Launch> = operands.into_iter().enumerate().map(|(n, from)| copy(from, half(n), n)).collect();
    launches.extend([computed, copy(half(2), out, 3)]);
    let executable = Executable::new(device, &store, launches, sizes[..3].to_vec());
    executable.run(&mut store, 0..1, Order::Sequential);
    let BufferId::Stored(out) = out.buffer else { unreachable!() };
    store.read(out)
}

fn holds(kernel: impl Kernel + 'static, sizes: [usize; 2]) {
    let kernel: Arc<dyn Kernel> = Arc::new(kernel);
    let oracle = in_half(&Device::Oracle, kernel.clone(), sizes);
    let half = |x: &f64| *x == f64::from(half_of(*x));
    assert!(oracle.iter().flatten().all(half), "the oracle keeps what half precision has");
    for device in [Some(Device::Cpu), adapter()].into_iter().flatten() {
        for (a, b) in oracle.iter().flatten().zip(in_half(&device, kernel.clone(), sizes).iter().flatten()) {
            // A sum that lies between two such numbers may be rounded to either, and a driver may cut instead of round.
            let close = (a - b).abs() <= a.abs().max(6.1e-5) / 1024.0;
            assert!(close, "{kernel:?} on {}: {b}, the oracle says {a}", device.adapter_name());
        }
    }
}

/// The nearest number with 11 binary digits, of numbers that are not small.
fn half_of(x: f64) -> f32 {
    let unit = 2_f64.powi(x.abs().max(6.1e-5).log2().floor() as i32 - 10);
    ((x / unit).round_ties_even() * unit) as f32
}

#[test]
fn products_of_values_in_half_precision_are_their_products() {
    let traits = adapter().map(|device| if let Device::Gpu(gpu) = device { gpu.traits().clone() } else { panic!() });
    let forms =
        [(false, false, Ones::Column), (true, false, Ones::Row), (false, true, Ones::No), (true, true, Ones::No)];
    let runs_here = |variant: &Variant| traits.as_ref().is_none_or(|traits| variant.runs_on(traits));
    for (turn, (m, n, k)) in [(5, 36, 20), (33, 64, 32)].into_iter().enumerate() {
        let product = |(ta, tb, ones)| MatMul { m, n, k, ta, tb, ones, bytes: false };
        let sizes = |ones| [m * k, (k + usize::from(ones == Ones::Column)) * n];
        forms.into_iter().for_each(|form| holds(product(form), sizes(form.2)));
        for variant in Variant::all().filter(|variant| *variant != Variant::Subgroup).filter(runs_here) {
            for &form in in_turns(&forms, variant, turn, 2) {
                holds(InVariant(product(form), variant), sizes(form.2));
            }
        }
    }
}

#[test]
fn convolutions_of_values_in_half_precision_are_their_convolutions() {
    for (_, window) in WINDOWS {
        let [input, filters, output] = [window.input_elements(), window.filter_elements(), window.output_elements()];
        holds(Conv { window, part: ConvPart::Output }, [filters, input]);
        holds(Conv { window, part: ConvPart::Input }, [filters, output]);
        holds(Conv { window, part: ConvPart::Filters }, [output, input]);
    }
}

fn trained(device: &Device, precision: Precision) -> (Vec<f64>, usize, usize) {
    let mut lab = lab(device, &Settings { precision, ..small() }, &[7]);
    let mut learner = methods::find("hal").unwrap().start(&mut lab);
    (0..2).for_each(|task| learner.learn(&mut lab, task));
    let written = |launch: &&Launch| launch.output.buffer.is_half();
    let launches = learner.step().launches();
    let (halves, all) = (launches.iter().filter(written).count(), launches.len());
    let theta = lab.theta.clone();
    (lab.session.read(&theta).remove(0), halves, all)
}

fn apart(a: &[f64], b: &[f64]) -> f64 {
    let square = |x: f64| x * x;
    let distance: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
    (distance / a.iter().copied().map(square).sum::<f64>()).sqrt()
}

#[test]
fn activations_are_kept_in_half_precision_and_training_hardly_notices() {
    let (whole, none, all) = trained(&Device::Cpu, Precision::Single);
    let (half, some, same) = trained(&Device::Cpu, Precision::HalfStorage);
    assert_eq!((none, all), (0, same), "and no launch is added");
    // Two hidden layers of batch and anchors, and two of the anchors at the parameters ahead.
    assert!((4..all / 2).contains(&some), "{some} of {all} launches write half precision");
    let differ = apart(&whole, &half);
    assert!(differ > 0.0 && differ < 1e-2, "parameters are {differ} of their length apart");
}

#[test]
fn an_adapter_keeps_halves_as_the_cpu_rounds_to_them() {
    let Some(gpu) = adapter() else { return };
    let (cpu, ..) = trained(&Device::Cpu, Precision::HalfStorage);
    let (gpu, ..) = trained(&gpu, Precision::HalfStorage);
    // A number may be rounded to either neighbour, here and there.
    let differ = apart(&cpu, &gpu);
    assert!(differ < 1e-3, "parameters are {differ} of their length apart");
}

#[test]
fn a_residual_network_takes_less_memory_with_activations_in_half_precision() {
    let taken = |precision| {
        let (benchmark, method) = (benchmarks::find("split-digits").unwrap(), methods::find("er").unwrap());
        let settings = Settings { precision, ..methods::paper_settings(method, benchmark) };
        let mut lab = lab_on(benchmark, &Device::Dry, &settings, &[7]);
        method.start(&mut lab).learn(&mut lab, 0);
        lab.session.footprint().temporaries
    };
    let (whole, half) = (taken(Precision::Single), taken(Precision::HalfStorage));
    assert!(half < whole, "{half} bytes of temporaries a run, and {whole} in single precision");
}
