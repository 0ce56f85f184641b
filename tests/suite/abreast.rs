//! Launches that do the same beside one another, in one.

use crate::gpu::adapter;
use crate::kernels::{RUNS, numbers};
use hindsight::autodiff::{Stored, Tape};
use hindsight::program::{Recorder, Session};
use hindsight_kernels::catalogue::InVariant;
use hindsight_kernels::*;
use std::sync::Arc;

/// Elements of an operand: numbers, or indices below another number.
#[derive(Clone, Copy)]
enum Operand {
    Float(usize),
    Index(usize, u32),
}

/// A sum and a broadcast behind the kernel's value, if it has one.
fn epilogue(kernel: &dyn Describe) -> Epilogue {
    let accesses = vec![Access::Full, Access::Spread { mid: kernel.elements(), inner: 1 }];
    let instructions = vec![
        if kernel.only_epilogue() { Instruction::Constant(0.5) } else { Instruction::Value },
        Instruction::Extra(0),
        Instruction::Binary(Binary::Add, 0, 1),
        Instruction::Extra(1),
        Instruction::Binary(Binary::Mul, 2, 3),
    ];
    Epilogue { instructions, extras: accesses }
}

/// A kernel computed twice, on operands of which all but the last lie apart: in one launch, or one after the other.
fn twice(device: &Device, kernel: &Arc<dyn Kernel>, operands: &[Operand], in_one: bool) -> Vec<Vec<f64>> {
    let mut store = Store::new(device, RUNS);
    let elements = kernel.describe().elements();
    let mut views = vec![];
    for (n, operand) in operands.iter().copied().chain([elements, 1, elements].map(Operand::Float)).enumerate() {
        let (kind, size) = match operand {
            Operand::Float(size) => (Kind::Float, size),
            Operand::Index(size, _) => (Kind::Index, size),
        };
        // Aligned for four at a time, or not.
        let apart = if size % 4 == 0 { size + 8 } else { size + 3 };
        let info = BufferInfo { name: "operand".into(), kind, elements: apart + size, shared: false };
        let id = store.allocate(info);
        for run in 0..RUNS {
            let values = numbers(apart + size, 10 * n + run);
            match operand {
                Operand::Float(_) => store.write(id, run, 0, &values),
                Operand::Index(_, below) => {
                    let index = |x: &f64| (x.abs() * f64::from(below)) as u32;
                    store.write_index(id, run, 0, &values.iter().map(index).collect::<Vec<_>>());
                }
            }
        }
        // What both share does not lie apart.
        let apart = if n + 1 == operands.len() { 0 } else { apart };
        views.push(View { apart, ..View::whole(BufferId::Stored(id)) });
    }
    let output = views.pop().expect("the last one is the output");
    let launch = Launch { abreast: 2, ..Launch::new(kernel.clone(), epilogue(kernel.describe()), views, output) };
    let single = |which: usize| {
        let own = |view: &View| View { offset: which * view.apart, apart: 0, ..*view };
        let (inputs, output) = (launch.inputs.iter().map(own).collect(), own(&launch.output));
        Launch { inputs, output, abreast: 1, ..launch.clone() }
    };
    let launches = if in_one { vec![launch.clone()] } else { vec![single(0), single(1)] };
    Executable::new(device, &store, launches, vec![]).run(&mut store, 0..1, Order::Sequential);
    let BufferId::Stored(out) = output.buffer else { unreachable!("it was allocated in the store") };
    store.read(out)
}

fn holds(kernel: impl Kernel + 'static, operands: &[Operand]) {
    let kernel: Arc<dyn Kernel> = Arc::new(kernel);
    let wanted = twice(&Device::Oracle, &kernel, operands, false);
    for device in [Some(Device::Oracle), Some(Device::Cpu), adapter()].into_iter().flatten() {
        let found = twice(&device, &kernel, operands, true);
        for (i, (a, b)) in wanted.iter().flatten().zip(found.iter().flatten()).enumerate() {
            let near = (a - b).abs() <= 2e-5 * (1.0 + a.abs());
            assert!(near, "{kernel:?} on {}: element {i} is {b}, not {a}", device.adapter_name());
        }
    }
}

#[test]
fn two_launches_in_one_are_those_launches() {
    use Operand::{Float, Index};
    for size in [7, 64] {
        let product = MatMul { m: 3, n: size, k: 33, ta: false, tb: false, ones: Ones::Column, bytes: false };
        holds(product, &[Float(3 * 33), Float(34 * size)]);
        for name in ["plain", "4x16s64"] {
            holds(InVariant(product, Variant::named(name).unwrap()), &[Float(3 * 33), Float(34 * size)]);
        }
        holds(Sum { outer: size, mid: 5, inner: 1 }, &[Float(5 * size)]);
        holds(LogSoftmax { rows: 4, classes: size }, &[Float(4 * size)]);
        holds(CrossEntropy { rows: 4, classes: size }, &[Float(4 * size), Index(4, size as u32)]);
        holds(GatherRows { rows: 5, width: size }, &[Float(9 * size), Index(5, 9)]);
        holds(Map { elements: size }, &[]);
    }
}

/// Images, two models' weights in one buffer, and room for a result.
struct Scene {
    session: Session,
    x: Stored,
    weights: [Stored; 2],
    out: Stored,
}

impl Scene {
    fn new(device: &Device, images: usize, units: usize) -> Scene {
        let mut session = Session::new(device, RUNS);
        let (x, weights) = (session.state("x", &[images, units]), session.states_abreast("w", &[units, units]));
        let out = session.state("out", &[images, units]);
        for run in 0..RUNS {
            for (n, stored) in std::iter::once(&x).chain(&weights).enumerate() {
                session.write(stored, run, &numbers(stored.shape.iter().product(), 7 * n + run));
            }
        }
        Scene { session, x, weights, out }
    }

    /// How many launches each launch of a step stands for; and what they compute.
    fn outcome(mut self, record: impl Fn(&Tape, &Scene)) -> (Vec<usize>, Vec<Vec<f64>>) {
        let tape = Tape::new();
        record(&tape, &self);
        let program = self.session.compile(&tape);
        self.session.run(&program, 0..1);
        let abreast = program.launches().iter().map(|launch| launch.abreast).collect();
        (abreast, self.session.read(&self.out))
    }
}

fn equal_on_all_devices(wanted: &[Vec<f64>], of: impl Fn(&Device) -> Vec<Vec<f64>>) {
    for device in [Some(Device::Cpu), adapter()].into_iter().flatten() {
        let found = of(&device);
        let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-4 * (1.0 + a.abs());
        assert!(wanted.iter().flatten().zip(found.iter().flatten()).all(near), "{}", device.adapter_name());
    }
}

#[test]
fn a_layer_of_two_models_is_one_launch_unless_it_is_large() {
    let of = |device: &Device, images: usize| {
        Scene::new(device, images, 6).outcome(|tape, scene| {
            let x = tape.load(&scene.x);
            let [first, second] = scene.weights.each_ref().map(|weights| {
                let weights = tape.load(weights);
                x.matmul(weights).relu().matmul(weights).log_softmax()
            });
            tape.assign(&scene.out, first * second);
        })
    };
    let (abreast, wanted) = of(&Device::Oracle, 5);
    assert_eq!(abreast, [2, 2, 1, 1], "two layers of both; what joins them is an epilogue");
    assert_eq!(of(&Device::Cpu, 20_000).0, [1; 6]);
    equal_on_all_devices(&wanted, |device| of(device, 5).1);
    let product = |x: &[f64], w: &[f64]| -> Vec<f64> {
        (0..30).map(|i| (0..6).map(|k| x[i / 6 * 6 + k] * w[k * 6 + i % 6]).sum()).collect()
    };
    let log_softmax = |row: &[f64]| -> Vec<f64> {
        let total = row.iter().map(|x| x.exp()).sum::<f64>().ln();
        row.iter().map(|x| x - total).collect()
    };
    for (run, wanted) in wanted.iter().enumerate() {
        let model = |w: &[f64]| -> Vec<f64> {
            let hidden: Vec<f64> = product(&numbers(30, run), w).iter().map(|y| y.max(0.0)).collect();
            product(&hidden, w).chunks(6).flat_map(log_softmax).collect()
        };
        let [first, second] = [1, 2].map(|n| model(&numbers(36, 7 * n + run)));
        for (found, (a, b)) in wanted.iter().zip(first.iter().zip(&second)) {
            assert!((found - a * b).abs() < 1e-9, "run {run}: {found}, not {a} times {b}");
        }
    }
}

#[test]
fn a_launch_that_needs_another_stays_behind_it() {
    let of = |device: &Device| {
        Scene::new(device, 5, 6).outcome(|tape, scene| {
            let [first, second] = scene.weights.each_ref().map(|weights| tape.load(weights));
            let hidden = tape.load(&scene.x).log_softmax().matmul(first).relu();
            tape.assign(&scene.out, hidden.log_softmax().matmul(second).relu() + 0.5);
        })
    };
    let (abreast, wanted) = of(&Device::Oracle);
    assert_eq!(abreast, [1; 4]);
    equal_on_all_devices(&wanted, |device| of(device).1);
}

/// The step writes one model while the next launches read the other: what was read before is not moved behind.
#[test]
fn what_reads_a_state_does_so_before_it_is_written() {
    let of = |device: &Device| {
        Scene::new(device, 5, 6).outcome(|tape, scene| {
            let x = tape.load(&scene.x);
            let [first, second] = scene.weights.each_ref().map(|weights| x.matmul(tape.load(weights)).log_softmax());
            tape.assign(&scene.weights[0], tape.load(&scene.weights[0]) * 2.0);
            tape.assign(&scene.out, first * second);
        })
    };
    let (abreast, wanted) = of(&Device::Oracle);
    assert_eq!(abreast[0], 2);
    equal_on_all_devices(&wanted, |device| of(device).1);
}

/// Neither waits for the other to add what that has computed: the sum is computed where it is read.
#[test]
fn two_products_that_are_added_are_one_launch() {
    let of = |device: &Device| {
        Scene::new(device, 5, 6).outcome(|tape, scene| {
            let x = tape.load(&scene.x);
            let [first, second] = scene.weights.each_ref().map(|weights| x.matmul(tape.load(weights)));
            let sum = first + second;
            tape.assign(&scene.x, sum.squared());
            tape.assign(&scene.out, sum.exp());
        })
    };
    let (abreast, wanted) = of(&Device::Oracle);
    assert_eq!(abreast, [2, 1], "both products; both maps of their sum");
    equal_on_all_devices(&wanted, |device| of(device).1);
    let [x, a, b] = [0, 7, 14].map(|seed| numbers(36, seed));
    let sum = |i: usize| (0..6).map(|k| x[i / 6 * 6 + k] * (a[k * 6 + i % 6] + b[k * 6 + i % 6])).sum::<f64>();
    assert!(wanted[0].iter().enumerate().all(|(i, found)| (found - sum(i).exp()).abs() < 1e-9), "{wanted:?}");
}

/// In what `--explain` and profiles say of it.
#[test]
fn a_launch_that_is_two_names_the_lines_of_both() {
    let (device, tape) = (Device::Oracle, Tape::new());
    let mut scene = Scene::new(&device, 5, 6);
    let recorder = Recorder::explaining(&device);
    scene.session.record_with(recorder.clone());
    let (x, weights) = (tape.load(&scene.x), scene.weights.each_ref().map(|weights| tape.load(weights)));
    let first = x.matmul(weights[0]);
    let second = x.matmul(weights[1]);
    tape.assign(&scene.x, (first + second).squared());
    tape.assign(&scene.out, (first + second).exp());
    scene.session.compile(&tape);
    let launch = recorder.programs()[0].explanation.launches[0].clone();
    let sites = [line!() - 6, line!() - 5].map(|line| format!("{}:{line}", file!()));
    assert_eq!(launch.lines(), format!("{} ({})", sites[0], sites[1]));
    assert_eq!(launch.operation(), "MatMul + 1");
}

#[test]
fn an_epilogue_may_read_what_its_kernel_reads() {
    let of = |device: &Device| {
        Scene::new(device, 5, 6).outcome(|tape, scene| {
            let x = tape.load(&scene.x);
            tape.assign(&scene.out, x.matmul(tape.load(&scene.weights[0])) + x);
        })
    };
    let (abreast, wanted) = of(&Device::Oracle);
    assert_eq!(abreast, [1]);
    equal_on_all_devices(&wanted, |device| of(device).1);
}
