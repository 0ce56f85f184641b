//! Long rows and long sums: right to a stated bound on the CPU, in double precision and on the
//! adapter, also where its driver leaves loops after 65,535 iterations; what would be wrong there
//! is refused.

use crate::cli::{hindsight, stderr, stdout};
use crate::gpu::adapter;
use crate::kernels::numbers;
use hindsight::npy;
use hindsight_kernels::catalogue::{self, Entry, Values};
use hindsight_kernels::trial::{Elements, Trial};
use hindsight_kernels::*;
use proptest::prelude::*;

/// Half the distance from 1 to the next number.
const U: f64 = 1.0 / (1 << 24) as f64;

fn entry(name: &str, sizes: &[(&str, usize)]) -> (&'static Entry, Values) {
    let entry = catalogue::find(name).unwrap();
    (entry, entry.complete(sizes).unwrap())
}

fn devices() -> Vec<Device> {
    [Some(Device::Cpu), Some(Device::Oracle), adapter()].into_iter().flatten().collect()
}

/// Numbers in single precision.
fn floats(numbers: impl IntoIterator<Item = f64>) -> Elements {
    Elements::Numbers(numbers.into_iter().map(|x| f64::from(x as f32)).collect())
}

fn constant(count: usize, x: f64) -> Elements {
    floats(std::iter::repeat_n(x, count))
}

/// A kernel's result is that of double precision, within its tolerance, on the CPU and the
/// adapter.
fn holds(name: &str, sizes: &[(&str, usize)], variant: Option<Variant>, operands: &[Elements]) {
    let (entry, values) = entry(name, sizes);
    let launch = entry.launch(&values, variant);
    let reference = Trial::new(&Device::Oracle, launch.clone(), operands).result();
    for device in [Some(Device::Cpu).filter(|_| variant.is_none()), adapter()].into_iter().flatten() {
        device.check_loops(std::slice::from_ref(&launch)).unwrap();
        let found = Trial::new(&device, launch.clone(), operands).result();
        let off = entry.first_off(&launch, operands, [&found, &reference], entry.tolerance);
        assert_eq!(off, None, "{name} {sizes:?} on {}", device.adapter_name());
    }
}

#[test]
fn long_rows_are_right_on_every_device() {
    for classes in [511, 512, 65_536, 200_000] {
        // The largest entry is the last but one, twice.
        let row = numbers(3 * classes, 1).into_iter().enumerate();
        let x = row.map(|(i, x)| if i % classes >= classes - 2 { 2.0 } else { x });
        let x = [floats(x)];
        let sizes = [("rows", 3), ("classes", classes)];
        holds("argmax", &sizes, None, &x);
        let labels = Elements::Indices(vec![classes as u32 - 2, classes as u32 - 1, classes as u32 - 2]);
        let with_labels = [x[0].clone(), labels];
        holds("count_correct", &sizes, None, &with_labels);
        let (entry, values) = entry("count_correct", &sizes);
        for device in devices() {
            let count = Trial::new(&device, entry.launch(&values, None), &with_labels).result();
            assert_eq!(count, [2.0], "{classes} on {}", device.adapter_name());
        }
    }
    for classes in [21_845, 32_768, 100_000] {
        let x = [floats(numbers(3 * classes, 2).into_iter().map(|x| 9.0 * x))];
        let sizes = [("rows", 3), ("classes", classes)];
        holds("log_softmax", &sizes, None, &x);
        let labels = Elements::Indices(vec![0, classes as u32 - 1, 77]);
        holds("cross_entropy", &sizes, None, &[x[0].clone(), labels]);
    }
    holds("rescale", &[("rows", 2), ("width", 300_000)], None, &[floats(numbers(600_000, 3))]);
    holds("largest", &[("rows", 1), ("width", 9_000), ("count", 70)], None, &[floats(numbers(9_000, 4))]);
}

#[test]
fn long_sums_are_right_on_every_device() {
    for [outer, mid, inner] in [[1, 3_000_001, 1], [3, 70_001, 2], [1, 1_000, 33_000], [2, 129, 7]] {
        let sizes = [("outer", outer), ("mid", mid), ("inner", inner)];
        holds("sum", &sizes, None, &[floats(numbers(outer * mid * inner, 5))]);
    }
    for rows in [511, 512, 100_000] {
        let index = Elements::Indices((0..rows as u32).map(|i| i * 7 % 3).collect());
        let sizes = [("rows", rows), ("table", 3), ("width", 5)];
        holds("scatter_add_rows", &sizes, None, &[floats(numbers(5 * rows, 6)), index]);
    }
    for (m, k) in [(1, 233_017), (1, 500_000), (5, 300_000), (3, 8_200)] {
        let operands = [floats(numbers(m * k, 7)), floats(numbers(3 * k, 8))];
        holds("matmul", &[("m", m), ("n", 3), ("k", k)], None, &operands);
    }
    let images = Elements::Bytes((0..2 * 70_000).map(|i| (i * 37 % 256) as u8).collect());
    let sizes = [("m", 2), ("n", 3), ("k", 70_000), ("bytes", 1)];
    holds("matmul", &sizes, None, &[images, floats(numbers(3 * 70_000, 9))]);
    // 307,200 places.
    let sizes = [("batch", 300), ("height", 32), ("width", 32), ("out_height", 32), ("out_width", 32)];
    let sizes = [&sizes[..], &[("channels", 1), ("filters", 2)]].concat();
    holds("conv_filters", &sizes, None, &[floats(numbers(2 * 307_200, 10)), floats(numbers(307_200, 11))]);
}

/// Each variant near the most terms that it may have on a driver with a loop budget, and beyond.
#[test]
fn variants_are_right_up_to_the_budget_and_refused_beyond() {
    let Some(Device::Gpu(gpu)) = adapter() else { return };
    let Some(budget) = gpu.traits().loop_budget else { return };
    for (name, terms_a_turn) in [("plain", 1.0), ("subgroup", 16.0 / 6.0)] {
        let variant = Variant::named(name);
        let most = ((budget - 128) as f64 * terms_a_turn) as usize / 16 * 16;
        for m in [1, 9] {
            let operands = [floats(numbers(m * most, 12)), floats(numbers(2 * most, 13))];
            holds("matmul", &[("m", m), ("n", 2), ("k", most)], variant, &operands);
        }
        let (entry, values) = entry("matmul", &[("m", 1), ("n", 2), ("k", most + 16)]);
        let refused = Device::Gpu(gpu.clone()).check_loops(&[entry.launch(&values, variant)]).unwrap_err();
        assert!(refused.iterations > budget && refused.to_string().contains("--device cpu"), "{refused}");
    }
}

/// A plain loop stops at 16,777,216 ones, and makes 402,740 of 4,194,304 times 0.1.
#[test]
fn long_sums_do_not_stick() {
    let sum = |device: &Device, outer, mid, inner, x| {
        let (entry, values) = entry("sum", &[("outer", outer), ("mid", mid), ("inner", inner)]);
        Trial::new(device, entry.launch(&values, None), &[constant(outer * mid * inner, x)]).result()
    };
    for device in devices() {
        let name = device.adapter_name();
        assert_eq!(sum(&device, 1, 20_000_000, 1, 1.0), [20_000_000.0], "{name}");
        let exact = 4_194_304.0 * f64::from(0.1_f32);
        for inner in [1, 2] {
            let found = sum(&device, 1, 4_194_304, inner, 0.1)[0];
            // In units in the last place of single precision, of which one is 1/32 there.
            let most = if matches!(device, Device::Gpu(_)) { 8.0 } else { 3.0 };
            assert!((found - exact).abs() <= most / 32.0, "{name}, inner {inner}: {found}, exactly {exact}");
        }
    }
}

/// A million terms that are all alike, whose roundings all go one way: a plain loop is off by a
/// percent.
#[test]
fn what_sums_products_keeps_to_its_bound() {
    const K: usize = 1 << 20;
    let exact = K as f64 * f64::from(0.1_f32);
    let (tenths, ones, zeros) = (constant(K, 0.1), constant(K, 1.0), Elements::Indices(vec![0; K]));
    let image: &[(&str, usize)] =
        &[("batch", 16), ("height", 256), ("width", 256), ("out_height", 256), ("out_width", 256)];
    let one = [("channels", 1), ("filters", 1), ("pad_y", 0), ("pad_x", 0)];
    let cases = [
        ("matmul", vec![("m", 1), ("n", 1), ("k", K)], vec![tenths.clone(), ones.clone()]),
        ("matmul", vec![("m", 2), ("n", 1), ("k", K), ("ta", 1), ("ones", 2)], vec![ones.clone(), tenths.clone()]),
        (
            "matmul",
            vec![("m", 1), ("n", 1), ("k", K), ("ones", 1)],
            vec![tenths.clone(), floats(std::iter::repeat_n(1.0, K).chain([0.0]))],
        ),
        ("conv_filters", [image, &one].concat(), vec![tenths.clone(), ones]),
        ("scatter_add_rows", vec![("rows", K), ("table", 1), ("width", 1)], vec![tenths, zeros]),
    ];
    for (name, sizes, operands) in cases {
        for device in devices() {
            let (entry, values) = entry(name, &sizes);
            let found = Trial::new(&device, entry.launch(&values, None), &operands).result();
            let bound = (8194.0 + K as f64 / 8192.0) * U * exact;
            let all_near = found.iter().all(|x| (x - exact).abs() <= bound);
            assert!(all_near, "{name} on {}: {found:?}, exactly {exact}, give or take {bound}", device.adapter_name());
        }
    }
}

#[test]
fn denominators_of_many_classes_keep_their_digits() {
    const CLASSES: usize = 1_000_000;
    // The first class is twice as likely as each of the others.
    let logits = floats([2_f64.ln()].into_iter().chain(std::iter::repeat_n(0.1, CLASSES - 1)));
    let Elements::Numbers(x) = &logits else { panic!() };
    let wanted = (x[0].exp() + (CLASSES - 1) as f64 * x[1].exp()).ln() - x[0];
    for device in devices() {
        let (entry, values) = entry("cross_entropy", &[("rows", 1), ("classes", CLASSES)]);
        let operands = [logits.clone(), Elements::Indices(vec![0])];
        let loss = Trial::new(&device, entry.launch(&values, None), &operands).result()[0];
        assert!((loss - wanted).abs() < 2e-5, "{}: {loss}, wanted {wanted}", device.adapter_name());
        let (entry, values) = self::entry("log_softmax", &[("rows", 1), ("classes", CLASSES)]);
        let logs = Trial::new(&device, entry.launch(&values, None), &operands[..1]).result();
        assert!((logs[0] + wanted).abs() < 2e-5, "{}: {}, wanted -{wanted}", device.adapter_name(), logs[0]);
    }
}

fn summed(kernel: Sum, rows: std::ops::Range<usize>, x: &[f32]) -> Vec<f32> {
    let mut out = vec![f32::NAN; rows.len() * kernel.elements() / kernel.rows()];
    kernel.rows_f32(rows, &mut out, &[Input::Float(x)]);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// 129 roundings of half a unit at most, whatever the length; and the same bits whoever
    /// computes them.
    #[test]
    fn a_sum_is_off_by_a_bound_that_does_not_grow(
        outer in 1_usize..4, mid in 1_usize..5000, inner in 1_usize..6, seed in 0_usize..1000, offset in -1.0_f64..1.0,
    ) {
        let kernel = Sum { outer, mid, inner };
        let x: Vec<f32> = numbers(outer * mid * inner, seed).iter().map(|x| (x + offset) as f32).collect();
        let found = summed(kernel, 0..kernel.rows(), &x);
        for (i, &found) in found.iter().enumerate() {
            let terms = || (0..mid).map(|m| f64::from(x[(i / inner * mid + m) * inner + i % inner]));
            let (sum, sizes): (f64, f64) = (terms().sum(), terms().map(f64::abs).sum());
            prop_assert!((f64::from(found) - sum).abs() <= 129.0 * U * sizes, "{}: {} and {}", i, found, sum);
        }
        let row = |row| summed(kernel, row..row + 1, if outer == 1 { &x } else { &x[..] });
        let apart: Vec<f32> = (0..kernel.rows()).flat_map(row).collect();
        prop_assert_eq!(apart, found);
    }
}

/// Three runs beside each other have the bits of each alone.
#[test]
fn bits_of_long_sums_do_not_depend_on_the_number_of_runs() {
    let (mid, classes) = (70_001, 3_000);
    let results = |device: &Device, seeds: &[usize]| {
        let mut store = Store::new(device, seeds.len());
        let mut buffer =
            |elements| store.allocate(BufferInfo { name: "x".into(), kind: Kind::Float, elements, shared: false });
        let [x, sum, logs] = [mid, 1, 2 * classes].map(&mut buffer);
        seeds.iter().enumerate().for_each(|(run, &seed)| store.write(x, run, 0, &numbers(mid, seed)));
        let view = |id| View::whole(BufferId::Stored(id));
        let launches = vec![
            Launch::new(
                std::sync::Arc::new(Sum { outer: 1, mid, inner: 1 }),
                Epilogue::default(),
                vec![view(x)],
                view(sum),
            ),
            Launch::new(
                std::sync::Arc::new(LogSoftmax { rows: 2, classes }),
                Epilogue::default(),
                vec![view(x)],
                view(logs),
            ),
        ];
        Executable::new(device, &store, launches, vec![]).run(&mut store, 0..1, Order::Sequential);
        let (sums, logs) = (store.read(sum), store.read(logs));
        sums.into_iter().zip(logs).map(|(sum, logs)| [sum, logs].concat()).collect::<Vec<_>>()
    };
    for device in [Some(Device::Cpu), adapter()].into_iter().flatten() {
        let together = results(&device, &[1, 2, 3]);
        for seed in [1, 2, 3] {
            assert_eq!(results(&device, &[seed])[0], together[seed - 1], "{}", device.adapter_name());
        }
    }
}

#[test]
fn a_result_beyond_the_tolerance_fails_and_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (x, out) = (path("x.npy"), path("sum.npy"));
    std::fs::write(&x, npy::encode(&[1, 1000, 1], (0..1000).map(|i| (i as f32).sin()))).unwrap();
    let run = |tolerance: &[&str]| {
        hindsight(&[&["kernels", "run", "sum", "--device=cpu", "--in", &x, "--out", &out], tolerance].concat())
    };
    let refused = run(&["--tolerance", "0"]);
    assert_eq!(refused.status.code(), Some(1), "{}", stdout(&refused));
    let said = stderr(&refused);
    assert!(said.contains("element 0 of the result is") && said.contains("nothing was written"), "{said}");
    assert!(!std::path::Path::new(&out).exists());
    let taken = run(&[]);
    assert!(taken.status.success(), "{}", stderr(&taken));
    assert!(stdout(&taken).contains("within the tolerance: 2e-5 of the sum of its terms' absolute values"));
    assert!(std::path::Path::new(&out).exists());
    for bad in ["-1", "nan", "many"] {
        assert_eq!(run(&[&format!("--tolerance={bad}")]).status.code(), Some(2), "{bad}");
    }
}

#[test]
fn what_a_driver_would_not_finish_is_refused_before_it_is_computed() {
    let Some(Device::Gpu(gpu)) = adapter() else { return };
    if gpu.traits().loop_budget.is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (x, out) = (path("x.npy"), path("out.npy"));
    std::fs::write(&x, npy::encode(&[1, 66_000], (0..66_000).map(|i| i as f32))).unwrap();
    let args = ["kernels", "run", "largest", "--device=gpu", "--in", &x, "--out", &out];
    let output = hindsight(&args);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    let wanted = "largest (rows 1, width 66000, count 3) takes up to 66000 iterations of loops in one invocation";
    assert!(said.contains(wanted) && said.contains("65535") && said.contains("--device cpu"), "{said}");
    assert!(!std::path::Path::new(&out).exists());
}
