//! What an epilogue reads and computes on an adapter, against its twin in double precision: every way in which an extra
//! input may lie under the output, in buffers and in mirrors, and where four numbers are neighbours and where not.

use crate::gpu::adapter;
use crate::kernels::numbers;
use hindsight_kernels::*;
use std::sync::Arc;

const RUNS: usize = 2;

/// An extra input: how it is read, and the element of its buffer at which it begins.
type Extra = (Access, usize);

/// Numbers, or rows, of an extra for so many elements of output.
fn length(access: Access, elements: usize) -> usize {
    match access {
        Access::Full => elements,
        Access::Spread { mid, .. } => elements / mid,
        Access::OneHot { classes } => elements / classes,
        Access::Place { length, .. } => length,
    }
}

/// e^-|x| and its like of each extra, weighted and added to half of what the output held.
fn instructions(extras: usize) -> Vec<Instruction> {
    use Instruction::{Constant, Extra};
    let mut list = vec![Extra(0), Constant(0.5), Instruction::Binary(Binary::Mul, 0, 1)];
    for e in 1..=extras {
        let (sum, x) = (list.len() - 1, list.len());
        list.extend([
            Extra(e),
            Instruction::Unary(Unary::Relu, x),
            Instruction::Unary(Unary::Step, x),
            Instruction::Unary(Unary::Neg, x),
            Instruction::Unary(Unary::Exp, x + 3),
            Constant(0.1 * e as f64 + 0.3),
            Instruction::Binary(Binary::Mul, x + 4, x + 5),
            Instruction::Binary(Binary::Sub, x + 1, x + 2),
            Instruction::Binary(Binary::Add, x + 6, x + 7),
            Instruction::Binary(Binary::Add, sum, x + 8),
        ]);
    }
    list
}

/// The output of each run, which begins at `first`.
fn computed(device: &Device, elements: usize, first: usize, extras: &[Extra]) -> Vec<Vec<f64>> {
    let mut store = Store::new(device, RUNS);
    let buffer = |store: &mut Store, kind, elements| {
        store.allocate(BufferInfo { name: "operand".into(), kind, elements, shared: false })
    };
    let out = buffer(&mut store, Kind::Float, first + elements + 3);
    let output = View { offset: first, ..View::whole(BufferId::Stored(out)) };
    (0..RUNS).for_each(|run| store.write(out, run, first, &numbers(elements, run)));
    let mut inputs = vec![output];
    for (e, &(access, offset)) in extras.iter().enumerate() {
        let length = length(access, elements);
        let classes = if let Access::OneHot { classes } = access { Some(classes) } else { None };
        let id = buffer(&mut store, if classes.is_some() { Kind::Index } else { Kind::Float }, offset + length);
        for run in 0..RUNS {
            let values = numbers(length, 10 * e + run);
            match classes {
                Some(classes) => {
                    let class = |x: &f64| (x.abs() * classes as f64) as u32;
                    store.write_index(id, run, offset, &values.iter().map(class).collect::<Vec<_>>());
                }
                None => store.write(id, run, offset, &values),
            }
        }
        inputs.push(View { offset, ..View::whole(BufferId::Stored(id)) });
    }
    let accesses = std::iter::once(Access::Full).chain(extras.iter().map(|extra| extra.0)).collect();
    let epilogue = Epilogue { instructions: instructions(extras.len()), extras: accesses };
    let launch = Launch::new(Arc::new(Map { elements }), epilogue, inputs, output);
    Executable::new(device, &store, vec![launch], vec![]).run(&mut store, 0..1, Order::Sequential);
    store.read(out)
}

fn holds(elements: usize, first: usize, extras: &[Extra]) {
    let oracle = computed(&Device::Oracle, elements, first, extras);
    for device in [Some(Device::Cpu), adapter()].into_iter().flatten() {
        let found = computed(&device, elements, first, extras);
        for (i, (a, b)) in oracle.iter().flatten().zip(found.iter().flatten()).enumerate() {
            let device = device.adapter_name();
            assert!((a - b).abs() < 1e-5, "{elements} from {first}, {extras:?}, on {device}: {i} is {b}, not {a}");
        }
    }
}

#[test]
fn an_extra_is_read_as_its_access_says_wherever_it_begins() {
    // Few elements, which are read from buffers; and many, from mirrors.
    for times in [1, 120] {
        let elements = 48 * times;
        let inner_most = [Access::Spread { mid: 4, inner: 1 }, Access::Spread { mid: 3, inner: 1 }];
        let middle = [Access::Spread { mid: 3, inner: 4 }, Access::Spread { mid: 2, inner: 3 }];
        let places = [(8, 12), (3, 5), (elements - 4, 4), (0, elements)]
            .map(|(offset, length)| Access::Place { offset, length });
        let one_hot = [Access::OneHot { classes: 4 }, Access::OneHot { classes: 6 }];
        for (first, offset) in [(0, 0), (8, 4), (8, 3), (5, 8)] {
            for accesses in [&[Access::Full][..], &inner_most, &middle, &places, &one_hot] {
                let extras: Vec<Extra> = accesses.iter().map(|&access| (access, offset)).collect();
                holds(elements, first, &extras);
            }
        }
    }
}

#[test]
fn elements_that_are_no_multiple_of_four_are_all_computed() {
    for elements in [1, 3, 4097, 4102] {
        holds(elements, 4, &[(Access::Full, 4)]);
    }
}
