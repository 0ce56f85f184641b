//! What a compiled program keeps of the tape's meaning while it rearranges the work.

use crate::gpu::adapter;
use hindsight::autodiff::{Stored, Tape, Var};
use hindsight::device::Device;
use hindsight::nn::Mlp;
use hindsight::program::{Program, Session};

const RATE: f64 = 0.3;

struct Scene {
    session: Session,
    model: Mlp,
    theta: Stored,
    images: Stored,
    labels: Stored,
    out: Stored,
}

impl Scene {
    fn new() -> Scene {
        let model = Mlp { units: vec![5, 4, 4, 3] };
        let n = model.parameters();
        let mut session = Session::new(&Device::Oracle, 1);
        let theta = session.state("theta", &[n]);
        let images = session.state("images", &[3, 5]);
        let labels = session.indices("labels", 1, &[3]);
        let out = session.state("out", &[n]);
        let numbers = |n: usize| (0..n).map(|i| ((i as f64 + 1.0) * 7.233).sin() * 0.8).collect::<Vec<_>>();
        session.write(&theta, 0, &numbers(n));
        session.write(&images, 0, &numbers(15));
        session.write_index(&labels, 0, &[1, 0, 2]);
        Scene { session, model, theta, images, labels, out }
    }

    fn loss<'t>(&self, tape: &'t Tape, theta: Var<'t>) -> Var<'t> {
        let logits = self.model.logits(theta, tape.load(&self.images));
        logits.cross_entropy(tape.load(&self.labels)).mean(0)
    }

    fn compile(&self, record: impl for<'t> FnOnce(&'t Tape)) -> Program {
        let tape = Tape::new();
        record(&tape);
        self.session.compile(&tape)
    }

    fn read(&mut self, program: &Program, from: &Stored) -> Vec<f64> {
        self.session.run(program, 0..1);
        self.session.read(from).remove(0)
    }
}

/// How many launches pass over more than `elements` elements without a kernel of their own.
fn maps(program: &Program, elements: usize) -> usize {
    let is_map = |l: &&hindsight_kernels::Launch| {
        l.kernel.describe().name() == "map" && l.kernel.describe().elements() > elements
    };
    program.launches().iter().filter(is_map).count()
}

#[test]
fn a_step_is_written_layer_by_layer_and_no_layer_sees_anothers_new_weights() {
    let mut scene = Scene::new();
    let before = scene.session.read(&scene.theta).remove(0);
    let gradient = scene.compile(|tape| {
        let theta = tape.load(&scene.theta);
        tape.assign(&scene.out, tape.grad(scene.loss(tape, theta), theta));
    });
    let step = scene.compile(|tape| {
        let theta = tape.load(&scene.theta);
        tape.assign(&scene.theta, theta - tape.grad(scene.loss(tape, theta), theta) * RATE);
    });
    assert_eq!(maps(&step, 3), 0, "the step ends in the products: {:?}", step.launches());
    let (out, theta) = (scene.out.clone(), scene.theta.clone());
    let gradient = scene.read(&gradient, &out);
    let after = scene.read(&step, &theta);
    for ((b, g), a) in before.iter().zip(&gradient).zip(&after) {
        assert!((b - RATE * g - a).abs() < 1e-14, "{b} - {RATE} * {g} is not {a}");
    }
}

/// FLOP of a program's products.
fn products(program: &Program) -> f64 {
    let kernels = program.launches().iter().map(|launch| launch.kernel.describe());
    kernels.filter(|kernel| kernel.name() == "matmul").map(|kernel| kernel.cost().flops).sum()
}

#[test]
fn a_gradient_that_some_of_the_images_have_is_computed_from_those_alone() {
    const SOME: usize = 2;
    let mut scene = Scene::new();
    let (model, out) = (scene.model.clone(), scene.out.clone());
    let compile = |scene: &Scene, together: bool| {
        scene.compile(|tape| {
            let (theta, images) = (tape.load(&scene.theta), tape.load(&scene.images));
            let labels = tape.load(&scene.labels).slice(0, &[SOME]);
            let logits = match together {
                true => model.logits(theta, images).slice(0, &[SOME, 3]),
                false => model.logits(theta, images.slice(0, &[SOME, 5])),
            };
            let gradient = tape.grad(logits.cross_entropy(labels).mean(0), theta);
            tape.assign(&scene.out, tape.grad(gradient.squared().total(), theta));
        })
    };
    let (together, apart) = (compile(&scene, true), compile(&scene, false));
    let weights: usize = model.units.windows(2).map(|w| w[0] * w[1]).sum();
    let forward = |rows: f64| 2.0 * rows * weights as f64;
    assert_eq!(products(&together) - forward(3.0), products(&apart) - forward(SOME as f64));
    let (together, apart) = (scene.read(&together, &out), scene.read(&apart, &out));
    let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-13;
    assert!(together.iter().zip(&apart).all(near) && apart.iter().any(|g| g.abs() > 1e-3), "{together:?}\n{apart:?}");
}

#[test]
fn a_gradient_of_weights_is_not_written_out_to_meet_other_images() {
    const IMAGES: usize = 20;
    const FEW: usize = 3;
    const PIXELS: usize = 400;
    const UNITS: usize = 300;
    let mut session = Session::new(&Device::Oracle, 1);
    let shapes = [("images", [IMAGES, PIXELS]), ("few", [FEW, PIXELS]), ("slopes", [FEW, UNITS])];
    let [images, few, slopes] = shapes.map(|(name, shape)| session.state(name, &shape));
    let out = session.state("out", &[IMAGES, UNITS]);
    let number = |i: usize| ((i * 37 % 101) as f64 - 50.0) / 50.0;
    for stored in [&images, &few, &slopes] {
        session.write(stored, 0, &(0..stored.shape.iter().product::<usize>()).map(number).collect::<Vec<_>>());
    }
    let tape = Tape::new();
    let gradient = tape.load(&few).affine_weights(tape.load(&slopes));
    tape.assign(&out, tape.load(&images).affine(gradient));
    let program = session.compile(&tape);
    assert_eq!(program.launches().len(), 2, "{:?}", program.launches());
    assert!(products(&program) < 1e6, "{}", products(&program));
    session.run(&program, 0..1);
    let alike = |image: usize, other: usize| {
        1.0 + (0..PIXELS).map(|p| number(image * PIXELS + p) * number(other * PIXELS + p)).sum::<f64>()
    };
    let met = |image: usize, unit: usize| (0..FEW).map(|f| alike(image, f) * number(f * UNITS + unit)).sum::<f64>();
    for (i, found) in session.read(&out).remove(0).into_iter().enumerate() {
        let expected = met(i / UNITS, i % UNITS);
        assert!((found - expected).abs() < 1e-9, "{i}: {found}, not {expected}");
    }
}

#[test]
fn a_product_that_is_met_transposed_is_computed_as_it_was_recorded() {
    let mut session = Session::new(&Device::Oracle, 1);
    let shapes = [("images", [20, 400]), ("few", [3, 500]), ("slopes", [3, 400])];
    let [images, few, slopes] = shapes.map(|(name, shape)| session.state(name, &shape));
    let out = session.state("out", &[20, 500]);
    for stored in [&images, &few, &slopes] {
        session.write(stored, 0, &vec![0.5; stored.shape.iter().product()]);
    }
    let tape = Tape::new();
    let product = tape.load(&few).matmul_transposed(tape.load(&slopes), true, false);
    tape.assign(&out, tape.load(&images).matmul_transposed(product, false, true));
    let program = session.compile(&tape);
    session.run(&program, 0..1);
    assert_eq!(session.read(&out).remove(0), vec![400.0 * 0.5 * 3.0 * 0.25; 20 * 500]);
}

#[test]
fn gradients_of_one_layer_by_the_same_images_are_one_product() {
    let mut session = Session::new(&Device::Oracle, 1);
    let shapes = [("batch", [4, 5]), ("anchors", [2, 5]), ("slopes", [6, 3]), ("anchors' slopes", [2, 3])];
    let [batch, anchors, slopes, of_anchors] = shapes.map(|(name, shape)| session.state(name, &shape));
    let out = session.state("out", &[6, 3]);
    let number = |i: usize, stored: &Stored| ((i * 37 + stored.shape.iter().product::<usize>()) % 11) as f64 - 5.0;
    let all =
        |stored: &Stored| (0..stored.shape.iter().product::<usize>()).map(|i| number(i, stored)).collect::<Vec<_>>();
    for stored in [&batch, &anchors, &slopes, &of_anchors] {
        session.write(stored, 0, &all(stored));
    }
    let tape = Tape::new();
    let few = tape.load(&anchors);
    let joined = tape.join(&[tape.load(&batch), few]).reshape(&[6, 5]);
    tape.assign(&out, joined.affine_weights(tape.load(&slopes)) + few.affine_weights(tape.load(&of_anchors)));
    let program = session.compile(&tape);
    assert_eq!(program.launches().iter().filter(|l| l.kernel.describe().name() == "matmul").count(), 1);
    session.run(&program, 0..1);
    let (images, other) = ([all(&batch), all(&anchors)].concat(), all(&of_anchors));
    let slope = |row: usize, unit: usize| {
        all(&slopes)[row * 3 + unit] + if row < 4 { 0.0 } else { other[(row - 4) * 3 + unit] }
    };
    let seen = |row: usize, pixel: usize| if pixel < 5 { images[row * 5 + pixel] } else { 1.0 };
    let expected = |i: usize| (0..6).map(|row| seen(row, i / 3) * slope(row, i % 3)).sum::<f64>();
    assert_eq!(session.read(&out).remove(0), (0..18).map(expected).collect::<Vec<_>>());
}

#[test]
fn a_common_factor_leaves_the_operand_of_a_product() {
    let mut session = Session::new(&Device::Oracle, 1);
    let (a, b, out) = (session.state("a", &[2, 6]), session.state("b", &[6, 3]), session.state("out", &[2, 3]));
    let scale = session.state("scale", &[]);
    let numbers = |n: usize| (0..n).map(|i| i as f64 - 4.0).collect::<Vec<_>>();
    session.write(&a, 0, &numbers(12));
    session.write(&b, 0, &numbers(18));
    session.write(&scale, 0, &[0.25]);
    let tape = Tape::new();
    let scaled = -tape.load(&b).scaled(tape.load(&scale));
    tape.assign(&out, tape.load(&a).matmul(scaled));
    let program = session.compile(&tape);
    assert_eq!(program.launches().len(), 1, "{:?}", program.launches());
    session.run(&program, 0..1);
    let (a, b) = (numbers(12), numbers(18));
    let element = |r: usize, c: usize| -0.25 * (0..6).map(|k| a[r * 6 + k] * b[k * 3 + c]).sum::<f64>();
    let expected: Vec<f64> = (0..6).map(|i| element(i / 3, i % 3)).collect();
    assert_eq!(session.read(&out).remove(0), expected);
}

#[test]
fn a_whole_may_have_a_part_twice_and_parts_computed_from_one_another() {
    let mut session = Session::new(&Device::Oracle, 1);
    let (out, x) = (session.state("out", &[1, 3]), session.state("x", &[1, 3]));
    session.write(&x, 0, &[1.0, 2.0, -1.0]);
    let tape = Tape::new();
    let twice = tape.load(&x) * 2.0;
    // The product needs the whole in a buffer of its own.
    let whole = tape.join(&[twice, twice.squared() + 1.0, twice]).reshape(&[3, 3]);
    tape.assign(&out, tape.load(&x).matmul(whole));
    let program = session.compile(&tape);
    session.run(&program, 0..1);
    // [2, 4, -2], [5, 17, 5], [2, 4, -2] times 1, 2, -1
    assert_eq!(session.read(&out).remove(0), [10.0, 34.0, 10.0]);
}

#[test]
fn parts_of_a_state_may_be_computed_from_one_another() {
    let mut session = Session::new(&Device::Oracle, 1);
    let (state, x) = (session.state("state", &[8]), session.state("x", &[2]));
    session.write(&x, 0, &[1.5, -2.0]);
    let tape = Tape::new();
    let twice = tape.load(&x) * 2.0;
    let thrice = tape.load(&x) * 3.0;
    tape.assign(&state, tape.join(&[twice, twice.squared() + 1.0, thrice, thrice]));
    let program = session.compile(&tape);
    session.run(&program, 0..1);
    assert_eq!(session.read(&state).remove(0), [3.0, -4.0, 10.0, 17.0, 4.5, -6.0, 4.5, -6.0]);
}

/// Two numbers computed from a third, and what few elements, or many, are computed from them.
#[test]
fn a_number_that_few_elements_are_computed_from_costs_no_launch() {
    let outcome = |device: &Device, elements: usize| {
        let mut session = Session::new(device, 1);
        let [x, root, share] = ["x", "root", "share"].map(|name| session.state(name, &[elements]));
        session.write(&x, 0, &(0..elements).map(|i| 1.0 + (i % 7) as f64).collect::<Vec<_>>());
        let tape = Tape::new();
        let values = tape.load(&x);
        let squares = values.squared().total();
        tape.assign(&root, values * (squares + 1.0).sqrt().spread_to(&[elements]));
        tape.assign(&share, values / (squares * 0.5).spread_to(&[elements]));
        let program = session.compile(&tape);
        session.run(&program, 0..1);
        let numbers = program.launches().iter().filter(|launch| launch.kernel.describe().elements() == 1).count();
        (numbers, [session.read(&root).remove(0), session.read(&share).remove(0)])
    };
    // The sum; and where there are many, both numbers in one.
    for (elements, numbers) in [(10, 1), (2000, 2)] {
        let value = |i: usize| 1.0 + (i % 7) as f64;
        let squares: f64 = (0..elements).map(|i| value(i) * value(i)).sum();
        for device in [Some(Device::Oracle), Some(Device::Cpu), adapter()].into_iter().flatten() {
            let (found, [root, share]) = outcome(&device, elements);
            assert_eq!(found, numbers, "{elements} elements");
            for i in 0..elements {
                let near = |found: f64, wanted: f64| (found - wanted).abs() < 1e-5 * wanted;
                let both =
                    near(root[i], value(i) * (squares + 1.0).sqrt()) && near(share[i], value(i) / (squares * 0.5));
                assert!(both, "{} of {elements} on {}", i, device.adapter_name());
            }
        }
    }
}
