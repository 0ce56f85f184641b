//! Convolutions: the twins against the definition, the shaders against the twins, the rules against finite
//! differences.

use crate::gpu::adapter;
use crate::gradients::check;
use crate::kernels::{Operand, RUNS, holds_from, in_turns, numbers};
use hindsight::autodiff::{Padding, Tape};
use hindsight::program::Session;
use hindsight_kernels::catalogue::InVariant;
use hindsight_kernels::*;
use proptest::prelude::*;
use std::sync::Arc;

/// The definition: every tap of every filter at every place, with what is at each end of it.
fn meet(w: &Window, mut visit: impl FnMut(usize, usize, usize)) {
    let [high, wide] = w.output;
    for (b, y, x) in (0..w.batch * high * wide).map(|p| (p / (high * wide), p / wide % high, p % wide)) {
        for (ty, tx) in (0..w.taps[0] * w.taps[1]).map(|t| (t / w.taps[1], t % w.taps[1])) {
            let (iy, ix) = (y * w.stride[0] + ty, x * w.stride[1] + tx);
            let inside = |at: usize, axis: usize| at.checked_sub(w.padding[axis]).filter(|&i| i < w.input[axis]);
            let (Some(iy), Some(ix)) = (inside(iy, 0), inside(ix, 1)) else { continue };
            for (c, f) in (0..w.channels * w.filters).map(|i| (i / w.filters, i % w.filters)) {
                let input = ((b * w.input[0] + iy) * w.input[1] + ix) * w.channels + c;
                let filter = ((ty * w.taps[1] + tx) * w.channels + c) * w.filters + f;
                visit(input, filter, ((b * high + y) * wide + x) * w.filters + f);
            }
        }
    }
}

fn elements(w: &Window, part: ConvPart) -> usize {
    match part {
        ConvPart::Output => w.output_elements(),
        ConvPart::Input => w.input_elements(),
        ConvPart::Filters => w.filter_elements(),
        ConvPart::FilterShares(shares) => shares * w.filter_elements(),
    }
}

/// Output, input and filters, each beside what it is computed from.
const PARTS: [(ConvPart, [ConvPart; 2]); 3] = [
    (ConvPart::Output, [ConvPart::Filters, ConvPart::Input]),
    (ConvPart::Input, [ConvPart::Filters, ConvPart::Output]),
    (ConvPart::Filters, [ConvPart::Output, ConvPart::Input]),
];

fn window() -> impl Strategy<Value = Window> {
    let sizes = (1..3usize, [1..12usize, 1..12], 1..10usize, 1..14usize);
    let moves = ([1..4usize, 1..4], [1..4usize, 1..4], [0..3usize, 0..3], [0..3usize, 0..3]);
    (sizes, moves).prop_filter_map(
        "a filter fits",
        |((batch, input, channels, filters), (taps, stride, padding, behind))| {
            let along = |i: usize| Some((input[i] + padding[i] + behind[i]).checked_sub(taps[i])? / stride[i] + 1);
            let output = [along(0)?, along(1)?];
            Some(Window { batch, input, channels, filters, taps, stride, padding, output })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn each_part_of_a_convolution_is_its_definition(w in window()) {
        for (part, from) in PARTS {
            let [a, b] = [numbers(elements(&w, from[0]), 1), numbers(elements(&w, from[1]), 2)];
            let mut wanted = vec![0.0; elements(&w, part)];
            meet(&w, |input, filter, output| match part {
                ConvPart::Output => wanted[output] += a[filter] * b[input],
                ConvPart::Input => wanted[input] += a[filter] * b[output],
                ConvPart::Filters | ConvPart::FilterShares(_) => wanted[filter] += a[output] * b[input],
            });
            let mut found = vec![f64::NAN; wanted.len()];
            Conv { window: w, part }.twin_f64(&mut found, &[Input::Float(&a), Input::Float(&b)]);
            for (found, wanted) in found.iter().zip(&wanted) {
                prop_assert!((found - wanted).abs() < 1e-12 * (1.0 + wanted.abs()), "{part:?}: {found}, {wanted}");
            }
            // Vectors of single precision hold other parts of a row.
            let [a, b] = [a, b].map(|numbers| numbers.into_iter().map(|x| x as f32).collect::<Vec<_>>());
            let mut found = vec![f32::NAN; wanted.len()];
            Conv { window: w, part }.twin_f32(&mut found, &[Input::Float(&a), Input::Float(&b)]);
            for (&found, wanted) in found.iter().zip(&wanted) {
                let close = (f64::from(found) - wanted).abs() < 1e-4 * (1.0 + wanted.abs());
                prop_assert!(close, "{part:?} in single precision: {found}, {wanted}");
            }
        }
    }
}

const PLAIN: Window = Window {
    batch: 2,
    input: [9, 7],
    channels: 4,
    filters: 8,
    taps: [3, 3],
    stride: [1, 1],
    padding: [1, 1],
    output: [9, 7],
};

/// Channels of every alignment, filters that hang over, strides that leave pixels out; and the element from which on
/// operands are to lie. In the first half all can be loaded and stored four at a time: as many as there are parts, so that each
/// tile meets each part in both halves.
pub const WINDOWS: [(usize, Window); 2 * PARTS.len()] = [
    (8, PLAIN),
    (4, Window { channels: 20, filters: 12, stride: [2, 2], padding: [0, 0], output: [5, 4], ..PLAIN }),
    (8, Window { channels: 16, filters: 60, taps: [1, 1], stride: [2, 2], padding: [0, 0], output: [5, 4], ..PLAIN }),
    (3, Window { channels: 3, filters: 5, ..PLAIN }),
    (3, Window { channels: 6, taps: [2, 5], stride: [3, 1], padding: [0, 2], output: [3, 7], ..PLAIN }),
    (5, Window { channels: 10, filters: 9, stride: [2, 2], padding: [1, 1], output: [5, 4], ..PLAIN }),
];

#[test]
fn gradients_of_shares_of_the_images_add_up() {
    for (_, window) in WINDOWS {
        let (a, b) = (numbers(window.output_elements(), 1), numbers(window.input_elements(), 2));
        let gradient = |part| {
            let mut found = vec![f64::NAN; elements(&window, part)];
            Conv { window, part }.twin_f64(&mut found, &[Input::Float(&a), Input::Float(&b)]);
            found
        };
        let (whole, shares) = (gradient(ConvPart::Filters), gradient(ConvPart::FilterShares(window.batch)));
        for (i, whole) in whole.iter().enumerate() {
            let sum: f64 = shares.iter().skip(i).step_by(window.filter_elements()).sum();
            assert!((sum - whole).abs() < 1e-12 * (1.0 + whole.abs()), "{window:?}: {sum} of shares, {whole}");
        }
    }
}

#[test]
fn long_sums_of_early_stages_are_shared_and_those_of_the_last_are_not() {
    let stage = |side: usize, channels: usize, batch: usize| {
        let (input, output) = ([side; 2], [side; 2]);
        Window { batch, input, channels, filters: channels, output, ..PLAIN }.shares()
    };
    assert_eq!([stage(32, 20, 20), stage(16, 40, 20), stage(4, 160, 20)], [10, 2, 1]);
    assert_eq!([stage(32, 20, 256), stage(16, 40, 256), stage(8, 80, 256), stage(4, 160, 256)], [128, 32, 8, 2]);
}

/// One and many tiles.
#[test]
fn every_shader_of_a_convolution_equals_oracle() {
    let Some(Device::Gpu(gpu)) = adapter() else { return };
    for (turn, (first, window)) in WINDOWS.into_iter().enumerate() {
        for variant in Variant::all().filter(|v| v.runs_on(gpu.traits())) {
            for &(part, from) in in_turns(&PARTS, variant, turn, 1) {
                let operands = from.map(|of| Operand::Float(elements(&window, of)));
                holds_from(first, InVariant(Conv { window, part }, variant), &operands);
                if part == ConvPart::Filters {
                    let shares = ConvPart::FilterShares(window.batch);
                    holds_from(first, InVariant(Conv { window, part: shares }, variant), &operands);
                }
            }
        }
    }
}

/// Strides that leave pixels out, and filters that hang over. On software Vulkan such pixels are not computed.
#[test]
fn pixels_that_no_filter_meets_get_zeros_and_what_lies_beside_nothing() {
    let sparse = Window { stride: [3, 2], taps: [2, 1], padding: [1, 1], output: [3, 4], ..PLAIN };
    for window in [WINDOWS[2].1, WINDOWS[4].1, sparse, Window { stride: [2, 4], output: [5, 2], ..sparse }] {
        for guard in [0, 4] {
            let of = |device: &Device, clock| input_gradient_over_sevens(device, window, guard, clock);
            let wanted = of(&Device::Oracle, None);
            assert!(wanted[0].contains(&0.0) && wanted.iter().all(|run| run[..guard] == run[run.len() - guard..]));
            let Some(adapter) = adapter() else { return };
            for clock in std::iter::once(None).chain(adapter.clocks().into_iter().map(Some)) {
                let found = of(&adapter, clock);
                let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-5;
                assert!(wanted.iter().flatten().zip(found.iter().flatten()).all(close), "{window:?} {guard} {clock:?}");
            }
        }
    }
}

/// The gradient of the input of three runs, between so many guards in a buffer that held sevens.
fn input_gradient_over_sevens(device: &Device, window: Window, guard: usize, clock: Option<Clock>) -> Vec<Vec<f64>> {
    let mut store = Store::new(device, RUNS);
    let mut buffer = |name: &str, elements: usize, number: &dyn Fn(usize) -> Vec<f64>| {
        let (kind, shared) = (Kind::Float, false);
        let id = store.allocate(BufferInfo { name: name.into(), kind, elements, shared });
        (0..RUNS).for_each(|run| store.write(id, run, 0, &number(run)));
        View::whole(BufferId::Stored(id))
    };
    let [filters, slopes, pixels] = [window.filter_elements(), window.output_elements(), window.input_elements()];
    let inputs = vec![
        buffer("filters", filters, &|run| numbers(filters, run)),
        buffer("slopes", slopes, &|run| numbers(slopes, RUNS + run)),
    ];
    let out = buffer("out", pixels + 2 * guard, &|_| vec![7.0; pixels + 2 * guard]);
    let kernel = Arc::new(Conv { window, part: ConvPart::Input });
    let launch = Launch::new(kernel, Epilogue::default(), inputs, View { offset: guard, ..out });
    let executable = Executable::new(device, &store, vec![launch], vec![]);
    match clock {
        None => executable.run(&mut store, 0..2, Order::Sequential),
        Some(clock) => drop(executable.run_timed(&mut store, 0..2, Order::Sequential, Stopwatch::start(clock))),
    }
    let BufferId::Stored(out) = out.buffer else { unreachable!("it was allocated in the store") };
    store.read(out)
}

/// The whole trilinear form: filters and input both of the variable.
#[test]
fn rules_of_convolution_hold() {
    let same = Padding::same([5, 4], [3, 3], [2, 2]);
    for (stride, padding) in
        [([1, 1], Padding { rows: [1, 1], columns: [1, 1] }), ([2, 2], same), ([2, 1], Padding::NONE)]
    {
        check(40 + 54, move |_, x| x.slice(0, &[1, 5, 4, 2]).conv(x.slice(40, &[3, 3, 2, 3]), stride, padding));
    }
    check(40 + 6, |_, x| x.slice(0, &[1, 5, 4, 2]).conv(x.slice(40, &[1, 1, 2, 3]), [2, 2], Padding::NONE));
}

#[test]
fn same_padding_is_that_of_tensorflow() {
    let odd = Padding { rows: [0, 1], columns: [0, 1] };
    assert_eq!(Padding::same([32, 32], [3, 3], [2, 2]), odd);
    assert_eq!(Padding::same([32, 32], [3, 3], [1, 1]), Padding { rows: [1, 1], columns: [1, 1] });
    assert_eq!(Padding::same([21, 21], [3, 3], [2, 2]), Padding { rows: [1, 1], columns: [1, 1] });
    assert_eq!(Padding::same([8, 8], [1, 1], [2, 2]), Padding::NONE);
}

/// A block's end: convolution, bias, shortcut, ReLU. On an adapter it gives what it gives in double precision.
#[test]
fn bias_addition_and_relu_ride_on_a_convolution() {
    let outcome = |device: &Device| {
        let mut session = Session::new(device, 1);
        let mut input = |name: &str, shape: &[usize], seed: usize| {
            let stored = session.state(name, shape);
            session.write(&stored, 0, &numbers(shape.iter().product(), seed));
            stored
        };
        let (x, w) = (input("x", &[2, 6, 5, 4], 1), input("w", &[3, 3, 4, 7], 2));
        let (bias, shortcut) = (input("bias", &[7], 3), input("shortcut", &[2, 6, 5, 7], 4));
        let out = session.state("out", &[2, 6, 5, 7]);
        let tape = Tape::new();
        let sum = tape.load(&x).conv(tape.load(&w), [1, 1], Padding::same([6, 5], [3, 3], [1, 1]));
        let bias = tape.load(&bias).spread(0, 2 * 6 * 5).reshape(&[2, 6, 5, 7]);
        tape.assign(&out, (sum + bias + tape.load(&shortcut)).relu());
        let program = session.compile(&tape);
        assert_eq!(program.launches().len(), 1, "{:?}", program.launches());
        session.run(&program, 0..1);
        session.read(&out).remove(0)
    };
    let wanted = outcome(&Device::Oracle);
    assert!(wanted.iter().any(|&y| y > 0.0) && wanted.contains(&0.0));
    for device in [Some(Device::Cpu), adapter()].into_iter().flatten() {
        let found = outcome(&device);
        assert!(wanted.iter().zip(&found).all(|(a, b)| (a - b).abs() < 1e-5), "{}", device.adapter_name());
    }
}
