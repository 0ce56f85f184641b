//! What kernels make of NaN, infinities and -0, as `hindsight kernels list` says: the same on all
//! devices, or declared undefined on a GPU.

use crate::cli::{hindsight, stdout};
use crate::gpu::adapter;
use hindsight_kernels::catalogue;
use hindsight_kernels::trial::{Elements, Trial};
use hindsight_kernels::{Device, Variant};

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

/// The result on the devices for which the rule is declared is the wanted one; on a GPU for which
/// it is not, there is one.
fn gives(name: &str, sizes: &[(&str, usize)], operands: &[Elements], wanted: &[f64]) {
    let entry = catalogue::find(name).unwrap();
    let launch = entry.launch(&entry.complete(sizes).unwrap(), None);
    for device in [Some(Device::Cpu), Some(Device::Oracle), adapter()].into_iter().flatten() {
        let found = Trial::new(&device, launch.clone(), operands).result();
        assert_eq!(found.len(), wanted.len());
        if matches!(device, Device::Gpu(_)) && !entry.non_finite.on_gpus {
            continue;
        }
        let same = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-5 || a == b || (a.is_nan() && b.is_nan());
        let as_declared = found.iter().zip(wanted).all(same);
        assert!(as_declared, "{name} on {}: {found:?}, declared {wanted:?}", device.adapter_name());
    }
}

fn floats(x: &[f64]) -> Elements {
    Elements::Numbers(x.to_vec())
}

/// Rows of so many entries, of which those are what is given, and the others 0; short, and shared
/// by threads.
fn rows_with(entries: &[&[f64]], width: usize) -> Elements {
    let row = |entries: &&[f64]| [entries, &vec![0.0; width - entries.len()][..]].concat();
    Elements::Numbers(entries.iter().flat_map(row).collect())
}

#[test]
fn nan_is_the_largest_entry_and_never_right() {
    let entries: [&[f64]; 6] =
        [&[1.0, NAN, 3.0, -NAN], &[NAN, INF, 2.0], &[-INF, -0.0, 0.0], &[-1.0, INF, INF], &[-0.0, -INF], &[NAN; 4]];
    for width in [4, 1000] {
        let x = rows_with(&entries, width);
        let sizes = [("rows", 6), ("classes", width)];
        gives("argmax", &sizes, std::slice::from_ref(&x), &[1.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        // Labels that are the largest entries': those of the rows without NaN are right.
        let labels = Elements::Indices(vec![1, 0, 1, 1, 0, 0]);
        gives("count_correct", &sizes, &[x, labels], &[3.0]);
    }
}

#[test]
fn nan_is_never_chosen() {
    let x = floats(&[NAN, -INF, 0.0, -0.0, NAN, INF, 1.0, NAN]);
    let sizes = |count| [("rows", 1), ("width", 8), ("count", count)];
    gives("largest", &sizes(3), std::slice::from_ref(&x), &[0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
    gives("largest", &sizes(7), &[x], &[0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0]);
}

#[test]
fn rows_with_what_is_not_finite_are_nan_throughout() {
    let x = floats(&[NAN, 0.0, 1.0, 0.0, INF, 1.0, -INF, 0.0, 0.0, -0.0, 0.0, 0.0, 2.0, 4.0, 3.0]);
    let wanted = [&[NAN; 9][..], &[0.0, 0.0, 0.0, 0.0, 1.0, 0.5]].concat();
    gives("rescale", &[("rows", 5), ("width", 3)], &[x], &wanted);
}

#[test]
fn a_softmax_of_what_is_not_finite_is_nan_and_of_minus_infinity_0() {
    let entries: [&[f64]; 6] = [&[NAN, 1.0], &[1.0, NAN], &[INF, 1.0], &[-INF, -INF], &[-INF, 1.0], &[-0.0, 0.0]];
    let x = rows_with(&entries, 2);
    let half = -(2_f64.ln());
    let logs = [&[NAN; 8][..], &[-INF, 0.0, half, half]].concat();
    gives("log_softmax", &[("rows", 6), ("classes", 2)], std::slice::from_ref(&x), &logs);
    let labels = Elements::Indices(vec![1, 0, 1, 0, 0, 1]);
    gives("cross_entropy", &[("rows", 6), ("classes", 2)], &[x, labels], &[NAN, NAN, NAN, NAN, INF, -half]);
    // Rows that threads share.
    let x = rows_with(&[&[1.0, NAN], &[1.0, INF], &[-INF, 0.0]], 1000);
    let all = 999_f64.ln();
    let labels = Elements::Indices(vec![0, 0, 7]);
    gives("cross_entropy", &[("rows", 3), ("classes", 1000)], &[x.clone(), labels], &[NAN, NAN, all]);
    let labels = Elements::Indices(vec![0, 0, 0]);
    gives("cross_entropy", &[("rows", 3), ("classes", 1000)], &[x, labels], &[NAN, NAN, INF]);
}

#[test]
fn sums_follow_ieee_754_on_cpus() {
    for mid in [4, 300] {
        let x = rows_with(&[&[1.0, NAN], &[INF, 1.0], &[INF, 0.0, -INF], &[-INF, -INF]], mid);
        gives("sum", &[("outer", 4), ("mid", mid), ("inner", 1)], &[x], &[NAN, INF, NAN, -INF]);
    }
    let index = Elements::Indices(vec![0, 1, 1, 0]);
    let x = floats(&[1.0, NAN, INF, -1.0]);
    gives("scatter_add_rows", &[("rows", 4), ("table", 3), ("width", 1)], &[x, index], &[0.0, NAN, 0.0]);
}

/// Whether zeros are passed over depends on how many there are, on k, and on what stands beside
/// them; the result does not.
#[test]
fn a_zero_that_meets_infinity_is_nan_in_every_product_on_cpus() {
    for (m, k) in [(2, 4), (3, 8196), (200, 500)] {
        let (entry, n) = (catalogue::find("matmul").unwrap(), 70);
        let infinite = |i: usize| if i == 5 { INF } else { 0.5 };
        let b = Elements::Numbers((0..k * n).map(infinite).collect());
        // Of images and of numbers: the first row alone has something where the infinity is.
        let lit = |i: usize| i == 0;
        let images = Elements::Bytes((0..m * k).map(|i| if lit(i) { 255 } else { 0 }).collect());
        let numbers = Elements::Numbers((0..m * k).map(|i| if lit(i) { 1.0 } else { 0.0 }).collect());
        for (a, bytes) in [(images, 1), (numbers, 0)] {
            let values = entry.complete(&[("m", m), ("n", n), ("k", k), ("bytes", bytes)]).unwrap();
            let launch = entry.launch(&values, None);
            for device in [Device::Cpu, Device::Oracle] {
                let found = Trial::new(&device, launch.clone(), &[a.clone(), b.clone()]).result();
                for (i, &x) in found.iter().enumerate() {
                    let (row, column) = (i / n, i % n);
                    let right = match (row, column) {
                        (0, 5) => x == INF,
                        (_, 5) => x.is_nan(),
                        (0, _) => x == 0.5,
                        _ => x == 0.0,
                    };
                    assert!(right, "{m} x {k}, bytes {bytes}, {}: [{row}, {column}] is {x}", device.adapter_name());
                }
            }
        }
    }
}

#[test]
fn a_convolution_with_what_is_not_finite_is_not_finite_on_cpus() {
    let entry = catalogue::find("conv").unwrap();
    let sizes = [("batch", 1), ("height", 5), ("width", 5), ("channels", 1), ("filters", 1)];
    let launch = entry.launch(&entry.complete(&sizes).unwrap(), Some(Variant::Plain));
    for special in [NAN, INF, -INF] {
        let image = Elements::Numbers((0..25).map(|i| if i == 0 { special } else { 1.0 }).collect());
        for device in [Device::Cpu, Device::Oracle] {
            let found = Trial::new(&device, launch.clone(), &[floats(&[1.0; 9]), image.clone()]).result();
            for (i, x) in found.iter().enumerate() {
                // Filters of 3 x 3 see the first pixel from four places.
                assert_eq!(x.is_finite(), i / 5 > 1 || i % 5 > 1, "{special}: {found:?}");
            }
        }
    }
}

#[test]
fn functions_follow_ieee_754_on_cpus_and_rows_are_copied_everywhere() {
    let x = [NAN, INF, -INF, -0.0];
    let functions: [(&str, [f64; 4]); 6] = [
        ("relu", [NAN, INF, 0.0, 0.0]),
        ("step", [0.0, 1.0, 0.0, 0.0]),
        ("neg", [NAN, -INF, INF, 0.0]),
        ("exp", [NAN, INF, 0.0, 1.0]),
        ("ln", [NAN, INF, NAN, -INF]),
        ("sqrt", [NAN, INF, NAN, 0.0]),
    ];
    for (number, (_, wanted)) in functions.iter().enumerate() {
        gives("map", &[("elements", 4), ("function", number)], &[floats(&x)], wanted);
    }
    let index = Elements::Indices(vec![1, 0]);
    gives("gather_rows", &[("rows", 2), ("table", 2), ("width", 2)], &[floats(&x), index], &[-INF, -0.0, NAN, INF]);
}

#[test]
fn the_list_says_what_becomes_of_what_is_not_finite() {
    let all = stdout(&hindsight(&["kernels", "list"]));
    for entry in catalogue::entries() {
        assert!(all.contains(&format!("  not finite  {}\n", entry.non_finite.text())), "{}: {all}", entry.name);
        assert!(all.contains(&format!("  tolerance   {}\n", entry.tolerance.text())), "{}: {all}", entry.name);
    }
    assert!(all.contains("NaN counts as the largest entry, as in NumPy") && all.contains("; on a GPU undefined"));
}
