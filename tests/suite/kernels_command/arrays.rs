//! `hindsight kernels run`: a user's arrays are computed with, or refused by what was wanted.

use crate::cli::{hindsight, stderr, stdout};
use crate::gpu::adapter;
use hindsight::npy::{self, Array, Elements};
use hindsight_kernels::{Device, Variant};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

/// Files of a test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().into()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    fn floats(&self, name: &str, shape: &[usize], element: impl Fn(usize) -> f32) -> String {
        let elements: Vec<f32> = (0..shape.iter().product()).map(element).collect();
        self.write(name, &npy::encode(shape, elements.into_iter()))
    }

    /// A file of any type, as NumPy writes it but for what is put in.
    fn raw(&self, name: &str, descr: &str, order: &str, shape: &str, data: &[u8]) -> String {
        self.write(name, &raw(descr, order, shape, data))
    }
}

fn raw(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn a_product_of_arrays_is_the_product_on_every_device() {
    let (m, n, k) = (13, 7, 21);
    let (a, b) = (|i: usize| (i as f32 * 0.37).sin(), |i: usize| (i as f32 * 0.11).cos());
    let folder = Folder::new();
    let (left, right) = (folder.floats("a.npy", &[k, m], a), folder.floats("b.npy", &[k, n], b));
    let gpu = adapter().map(|_| "gpu");
    for device in ["cpu"].into_iter().chain(gpu) {
        let out = folder.path("c.npy");
        let args = ["kernels", "run", "matmul", "--attr", "ta=true", "--device", device];
        let output = hindsight(&[&args[..], &["--in", &left, "--in", &right, "--out", &out]].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(stdout(&output).contains("m = 13, n = 7, k = 21, ta = true"), "{}", stdout(&output));
        let Array { shape, elements: Elements::Float32(found) } = npy::read(Path::new(&out)).unwrap() else { panic!() };
        assert_eq!(shape, [m, n]);
        for (i, found) in found.iter().enumerate() {
            let terms = (0..k).map(|p| f64::from(a(p * m + i / n)) * f64::from(b(p * n + i % n)));
            let wanted: f64 = terms.sum();
            assert!((f64::from(*found) - wanted).abs() < 1e-5, "{device}, element {i}: {found}, wanted {wanted}");
        }
    }
}

#[test]
fn every_variant_that_an_adapter_runs_gives_the_same_product() {
    let Some(device) = adapter() else { return };
    let Device::Gpu(gpu) = &device else { panic!("an adapter is a GPU") };
    let folder = Folder::new();
    let a = folder.floats("a.npy", &[30, 24], |i| (i as f32 * 0.7).sin());
    let b = folder.floats("b.npy", &[24, 40], |i| (i as f32 * 0.3).sin());
    for variant in Variant::all() {
        let name = variant.name();
        let args = ["kernels", "run", "matmul", "--device", "gpu", "--variant", name, "--in", &a, "--in", &b];
        let output = hindsight(&args);
        if variant.runs_on(gpu.traits()) {
            let text = stdout(&output);
            let (_, difference) = text.split_once("double precision: ").unwrap();
            let difference: f64 = difference.split(' ').next().unwrap().parse().unwrap();
            assert!(difference < 1e-5, "{text}");
        } else {
            let wanted = match variant {
                Variant::Cooperative => "wants cooperative matrices of single precision",
                _ => "wants subgroups of eight lanes",
            };
            assert!(stderr(&output).contains(wanted), "{}", stderr(&output));
        }
    }
}

#[test]
fn indices_and_images_come_from_arrays_too() {
    let folder = Folder::new();
    let table = folder.floats("table.npy", &[3, 2], |i| i as f32);
    let index = folder.raw("index.npy", "'<i8'", "False", "(2,)", &[2_i64, 0].map(i64::to_le_bytes).concat());
    let out = folder.path("rows.npy");
    let args = ["kernels", "run", "gather_rows", "--device=cpu", "--in", &table, "--in", &index, "--out", &out];
    let output = hindsight(&args);
    assert!(output.status.success(), "{}", stderr(&output));
    let rows = Array { shape: vec![2, 2], elements: Elements::Float32(vec![4.0, 5.0, 0.0, 1.0]) };
    assert_eq!(npy::read(Path::new(&out)).unwrap(), rows);

    let images = folder.raw("images.npy", "'|u1'", "False", "(1, 4)", &[0, 51, 102, 255]);
    let weights = folder.floats("weights.npy", &[4, 1], |_| 1.0);
    let args = ["kernels", "run", "matmul", "--attr=bytes=true", "--device=cpu", "--in", &images, "--in", &weights];
    let output = hindsight(&[&args[..], &["--out", &out]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let Elements::Float32(sum) = npy::read(Path::new(&out)).unwrap().elements else { panic!() };
    assert!((sum[0] - 1.6).abs() < 1e-6, "{sum:?}");
}

#[test]
fn double_precision_is_rounded_and_that_is_said() {
    let folder = Folder::new();
    let x = folder.raw("x.npy", "'<f8'", "False", "(2,)", &[0.1_f64, -2.5].map(f64::to_le_bytes).concat());
    let out = folder.path("y.npy");
    let args = ["kernels", "run", "map", "--attr=function=neg", "--device=cpu", "--in", &x, "--out", &out];
    let output = hindsight(&args);
    assert!(stderr(&output).contains("x.npy: float64, rounded to float32"), "{}", stderr(&output));
    assert_eq!(npy::read(Path::new(&out)).unwrap().elements, Elements::Float32(vec![-0.1, 2.5]));
}

#[test]
fn bad_arrays_are_refused_by_what_was_wanted() {
    let folder = Folder::new();
    let good = folder.floats("b.npy", &[4, 3], |i| i as f32);
    let whole = fs::read(&good).unwrap();
    let cases = [
        (folder.path("nowhere.npy"), "cannot be read: "),
        (folder.write("text.npy", b"1, 2, 3\n"), "wanted the bytes \\x93NUMPY at its start, found 1, 2, "),
        (folder.write("empty.npy", b""), "at its start, found nothing"),
        (folder.write("version.npy", b"\x93NUMPY\x09\x00\x10\x00"), "format 9; wanted format 1, 2 or 3"),
        (folder.write("cut.npy", &whole[..40]), "wanted a header as long as it says, found 40 bytes in all"),
        (
            folder.write("short.npy", &whole[..whole.len() - 2]),
            "holds 46 bytes of elements; wanted 48, for [4, 3] of float32",
        ),
        (folder.write("long.npy", &[&whole[..], b"x"].concat()), "holds 49 bytes of elements; wanted 48"),
        (
            folder.raw("nan.npy", "'<f4'", "False", "(nan, 3)", &[]),
            "wanted a tuple of whole numbers as 'shape', found `(nan, 3)",
        ),
        (folder.raw("order.npy", "'<f4'", "True", "(4, 3)", &[0; 48]), "in Fortran order; wanted C order"),
        (
            folder.raw("unclear.npy", "'<f4'", "Maybe", "(4, 3)", &[0; 48]),
            "wanted True or False as 'fortran_order', found `Maybe",
        ),
        (
            folder.raw("big.npy", "'>f4'", "False", "(4, 3)", &[0; 48]),
            "type '>f4'; wanted float32, float64, or whole numbers",
        ),
        (folder.raw("complex.npy", "'<c8'", "False", "(4, 3)", &[0; 96]), "type '<c8'; wanted float32"),
        (folder.raw("record.npy", "[('x', '<f4')]", "False", "(12,)", &[0; 48]), "wanted a type in quotes, found `[("),
        (
            folder.raw("huge.npy", "'<f4'", "False", "(4294967296, 4294967296)", &[]),
            "holds 0 bytes of elements; wanted",
        ),
        (folder.raw("int.npy", "'<i4'", "False", "(2, 4)", &[0; 32]), "a must be float32, and the array is int32"),
        (folder.floats("vector.npy", &[4], |_| 1.0), "a of matmul must be [m, k], and the array is [4]"),
        (
            folder.floats("none.npy", &[0, 4], |_| 1.0),
            "none.npy: a of matmul must be [m, k], no axis empty, and the array is [0, 4]",
        ),
    ];
    for (bad, hint) in cases {
        let output = hindsight(&["kernels", "run", "matmul", "--device=cpu", "--in", &bad, "--in", &good]);
        assert_eq!(output.status.code(), Some(1), "{bad}: {}", stderr(&output));
        assert!(stderr(&output).contains(hint), "{bad}: wanted '{hint}', said {}", stderr(&output));
        assert!(stderr(&output).lines().count() == 1, "{bad}: {}", stderr(&output));
    }
}

#[test]
fn arrays_that_do_not_go_together_are_refused() {
    let folder = Folder::new();
    let [a, b] = [("a.npy", [2, 5]), ("b.npy", [4, 3])].map(|(name, shape)| folder.floats(name, &shape, |_| 1.0));
    let labels = folder.raw("labels.npy", "'<u4'", "False", "(2,)", &[1_u32, 7].map(u32::to_le_bytes).concat());
    let negative = folder.raw("negative.npy", "'<i4'", "False", "(2,)", &[-1_i32, 0].map(i32::to_le_bytes).concat());
    let cases: [(&[&str], &str); 8] = [
        (
            &["matmul", "--in", &a, "--in", &b],
            "b.npy: b of matmul must be [k, n] with k = 5 (of a), and the array is [4, 3]",
        ),
        (&["matmul", "--in", &a], "matmul reads a float32 [m, k], and b float32 [k, n]; 1 array is given"),
        (
            &["matmul", "--in", &a, "--in", &b, "--attr", "k=4"],
            "a.npy: a of matmul must be [m, k] with k = 4 (of --attr)",
        ),
        (&["matmul", "--in", &a, "--in", &b, "--attr", "size=4"], "matmul has no attribute 'size'; it has m, n, k, ta"),
        (&["matmul", "--in", &a, "--in", &b, "--attr", "ta=1"], "ta must be true or false, not 1"),
        (
            &["cross_entropy", "--in", &a, "--in", &labels],
            "label must be from 0 to below classes = 5, and element 1 is 7",
        ),
        (&["cross_entropy", "--in", &a, "--in", &negative], "and element 0 is -1"),
        (
            &["conv", "--in", &a, "--in", &b],
            "filters of conv must be [taps_y, taps_x, channels, filters], and the array is [2, 5]",
        ),
    ];
    for (args, hint) in cases {
        let output = hindsight(&[&["kernels", "run", "--device=cpu"], args].concat());
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(hint), "{args:?}: wanted '{hint}', said {}", stderr(&output));
    }
}

/// As NumPy 2.4 writes numpy.arange(6, dtype='<f4').reshape(2, 3).
#[test]
fn what_is_written_is_read_and_looks_as_numpy_has_it() {
    let bytes = npy::encode(&[2, 3], (0..6).map(|i| i as f32));
    let text = String::from_utf8_lossy(&bytes[10..128]);
    assert_eq!(text.trim_end(), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
    assert_eq!((bytes.len(), bytes[127]), (128 + 24, b'\n'));
    let read = npy::parse(&bytes).unwrap();
    assert_eq!(read, Array { shape: vec![2, 3], elements: Elements::Float32(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]) });
    for shape in [&[][..], &[1], &[7], &[1, 1, 2, 3]] {
        let count = shape.iter().product();
        let read = npy::parse(&npy::encode(shape, vec![0.5; count].into_iter())).unwrap();
        assert_eq!(read, Array { shape: shape.to_vec(), elements: Elements::Float32(vec![0.5; count]) });
    }
}

proptest! {
    #[test]
    fn the_reader_of_arrays_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = npy::parse(&bytes);
        let _ = npy::parse(&[b"\x93NUMPY\x01\x00", &bytes[..]].concat());
        let _ = npy::parse(&[b"\x93NUMPY\x02\x00", &bytes[..]].concat());
    }

    #[test]
    fn a_damaged_header_never_panics(shape in "[(0-9, )a-z'-]{0,40}", descr in "'?[<>|][a-zA-Z][0-9]{0,20}'?", at: usize, byte: u8) {
        let mut bytes = raw(&descr, "False", &shape, &[0; 16]);
        let _ = npy::parse(&bytes);
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = npy::parse(&bytes);
    }

    #[test]
    fn what_is_read_has_as_many_elements_as_its_shape(shape in proptest::collection::vec(0_usize..5, 0..4)) {
        let count: usize = shape.iter().product();
        let read = npy::parse(&npy::encode(&shape, vec![1.0; count].into_iter())).unwrap();
        prop_assert_eq!(read.shape, shape);
        prop_assert_eq!(read.elements, Elements::Float32(vec![1.0; count]));
    }
}
