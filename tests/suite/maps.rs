//! Maps that share what they read, in one launch.

use crate::gpu::adapter;
use crate::kernels::{RUNS, numbers};
use hindsight::autodiff::{Tape, Var};
use hindsight::program::Session;
use hindsight_kernels::*;
use std::sync::Arc;

fn devices() -> impl Iterator<Item = Device> {
    [Some(Device::Oracle), Some(Device::Cpu), adapter()].into_iter().flatten()
}

/// A sum of two inputs, and half of the first one.
fn sum_and_half() -> [Epilogue; 2] {
    use Instruction::{Binary, Constant, Extra};
    let sum = vec![Extra(0), Extra(1), Binary(hindsight_kernels::Binary::Add, 0, 1)];
    let half = vec![Extra(0), Constant(0.5), Binary(hindsight_kernels::Binary::Mul, 0, 1)];
    [
        Epilogue { instructions: sum, extras: vec![Access::Full; 2] },
        Epilogue { instructions: half, extras: vec![Access::Full] },
    ]
}

/// x ← x + g, then y ← x / 2 by the new x, and g ← g + x: in one launch or in three, from an element of each buffer on.
fn three_maps(device: &Device, elements: usize, first: [usize; 3], in_one: bool) -> Vec<Vec<f64>> {
    let mut store = Store::new(device, RUNS);
    let mut n = 0;
    let [x, g, y] = first.map(|offset| {
        let info = BufferInfo { name: "x".into(), kind: Kind::Float, elements: offset + elements + 2, shared: false };
        let id = store.allocate(info);
        (0..RUNS).for_each(|run| store.write(id, run, 0, &numbers(offset + elements + 2, 10 * n + run)));
        n += 1;
        View { offset, ..View::whole(BufferId::Stored(id)) }
    });
    let [sum, half] = sum_and_half();
    let map = |epilogue: &Epilogue, inputs: Vec<View>, output: View| {
        Launch::new(Arc::new(Map { elements }), epilogue.clone(), inputs, output)
    };
    let mut launches = vec![map(&sum, vec![x, g], x), map(&half, vec![x], y), map(&sum, vec![g, x], g)];
    if in_one {
        let last = launches.pop().expect("there are three");
        launches = vec![Launch { before: launches, ..last }];
    }
    Executable::new(device, &store, launches, vec![]).run(&mut store, 0..2, Order::Sequential);
    let id = |view: View| if let BufferId::Stored(id) = view.buffer { id } else { unreachable!("it is stored") };
    [x, g, y].into_iter().flat_map(|view| store.read(id(view))).collect()
}

#[test]
fn several_maps_in_one_launch_are_those_maps() {
    // Few, ragged, and so many that software Vulkan reads them from mirrors; each result by four or not.
    for elements in [1, 30, 64, 5000] {
        for first in [[0, 0, 0], [8, 4, 12], [3, 4, 8], [4, 3, 8], [4, 8, 3]] {
            let wanted = three_maps(&Device::Oracle, elements, first, false);
            for device in devices() {
                let found = three_maps(&device, elements, first, true);
                let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-5;
                let all = wanted.iter().flatten().zip(found.iter().flatten()).all(near);
                assert!(all, "{elements} from {first:?} on {}", device.adapter_name());
            }
        }
    }
}

const ELEMENTS: usize = 40;

/// Two steps of a tape on three states; how many maps each launch has, and what the states hold then.
fn outcome<'t>(
    device: &Device,
    tape: &'t Tape,
    record: impl Fn([Var<'t>; 3]) -> [Var<'t>; 3],
) -> (Vec<usize>, Vec<f64>) {
    let mut session = Session::new(device, 1);
    let states = ["x", "m", "v"].map(|name| session.state(name, &[ELEMENTS]));
    for (n, state) in states.iter().enumerate() {
        session.write(state, 0, &numbers(ELEMENTS, n));
    }
    let values = record(states.each_ref().map(|state| tape.load(state)));
    states.iter().zip(values).for_each(|(state, value)| tape.assign(state, value));
    let program = session.compile(tape);
    session.run(&program, 0..2);
    let maps = program.launches().iter().map(|launch| launch.parts().count()).collect();
    (maps, states.iter().flat_map(|state| session.read(state).remove(0)).collect())
}

/// By hand: what `record` says of one element, twice.
fn by_hand(step: impl Fn([f64; 3]) -> [f64; 3]) -> Vec<f64> {
    let states = [0, 1, 2].map(|n| numbers(ELEMENTS, n));
    let after: Vec<[f64; 3]> = (0..ELEMENTS).map(|i| step(step([0, 1, 2].map(|n| states[n][i])))).collect();
    (0..3).flat_map(|n| after.iter().map(move |values| values[n])).collect()
}

#[test]
fn moments_and_the_step_made_of_them_are_one_launch() {
    let wanted = by_hand(|[x, m, v]| {
        let slope = x.exp();
        let (m, v) = (m * 0.9 + slope * 0.1, v * v * 0.99 + slope * slope * 0.01);
        [x - m / (v.sqrt() + 1e-3), m, v]
    });
    for device in devices() {
        let tape = Tape::new();
        let (maps, found) = outcome(&device, &tape, |[x, m, v]| {
            let slope = x.exp();
            let (m, v) = (m * 0.9 + slope * 0.1, v * v * 0.99 + slope * slope * 0.01);
            [x - m / (v.sqrt() + 1e-3), m, v]
        });
        assert_eq!(maps, [4], "the slope, two moments, the step");
        assert!(found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-4 * (1.0 + b.abs())), "{found:?}");
    }
}

/// x and m change places: neither reads what the other has written in the same step.
#[test]
fn maps_see_what_they_would_see_in_launches_of_their_own() {
    let wanted = by_hand(|[x, m, v]| [m + v, x * 2.0, x - m]);
    for device in devices() {
        let tape = Tape::new();
        let (_, found) = outcome(&device, &tape, |[x, m, v]| [m + v, x * 2.0, x - m]);
        assert!(found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-5), "{}", device.adapter_name());
    }
}

/// The sum needs all of the first map, and the second map needs the sum.
#[test]
fn a_map_that_needs_another_kernels_result_waits_for_it() {
    for device in devices() {
        let tape = Tape::new();
        let (maps, found) = outcome(&device, &tape, |[x, m, v]| {
            let grown = x.exp();
            let largest = grown.reshape(&[8, 5]).sum(0).spread(0, 8).reshape(&[ELEMENTS]);
            [grown, m, v + grown / largest]
        });
        assert!(maps.iter().all(|&maps| maps == 1), "{maps:?}");
        let mut states = [0, 1, 2].map(|n| numbers(ELEMENTS, n));
        for _ in 0..2 {
            states[0].iter_mut().for_each(|x| *x = x.exp());
            let column = |i: usize| (0..8).map(|row| states[0][row * 5 + i % 5]).sum::<f64>();
            let shares: Vec<f64> = (0..ELEMENTS).map(|i| states[0][i] / column(i)).collect();
            states[2].iter_mut().zip(shares).for_each(|(v, share)| *v += share);
        }
        let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-4 * (1.0 + b.abs());
        assert!(found.iter().zip(states.iter().flatten()).all(near), "{}", device.adapter_name());
    }
}
