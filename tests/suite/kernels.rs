//! Every shader against its twin in double precision, on ragged shapes, with three runs, offsets, and an
//! epilogue; and every shader validated by naga.

use crate::gpu::adapter;
use hindsight_kernels::catalogue::InVariant;
use hindsight_kernels::*;
use std::sync::Arc;

/// Deterministic numbers in (-1, 1).
pub fn numbers(n: usize, seed: usize) -> Vec<f64> {
    (0..n).map(|i| (((i + 31 * seed) as f64 * 78.233).sin() * 43758.5453).fract()).collect()
}

pub enum Operand {
    Float(usize),
    Index {
        elements: usize,
        below: u32,
    },
    Bytes(usize),
    /// Images of so many pixels: the first 24 and those from number 48 on with some lit in the middle, the others blank.
    Images {
        images: usize,
        pixels: usize,
    },
}

pub const RUNS: usize = 3;

/// Runs one launch on a device, with numbers from element `first` of their buffers on, and returns the output
/// of each run.
fn launch(device: &Device, kernel: &Arc<dyn Kernel>, operands: &[Operand], first: usize) -> Vec<Vec<f64>> {
    let mut store = Store::new(device, RUNS);
    let elements = kernel.describe().elements();
    let mut inputs = Vec::new();
    for (n, operand) in operands.iter().enumerate() {
        let (kind, offset, size) = match *operand {
            Operand::Float(size) => (Kind::Float, first, size),
            Operand::Index { elements, .. } => (Kind::Index, first, elements),
            Operand::Bytes(size) => (Kind::Bytes, 0, size),
            Operand::Images { images, pixels } => (Kind::Bytes, 0, images * pixels),
        };
        let id = store.allocate(BufferInfo {
            name: "operand".into(),
            kind,
            elements: size + offset,
            shared: kind == Kind::Bytes,
        });
        for run in 0..RUNS {
            let seed = n * RUNS + run;
            match *operand {
                Operand::Float(size) => store.write(id, run, offset, &numbers(size, seed)),
                Operand::Index { elements, below } => {
                    let index: Vec<u32> =
                        numbers(elements, seed).iter().map(|x| (x.abs() * f64::from(below)) as u32 % below).collect();
                    store.write_index(id, run, offset, &index);
                }
                Operand::Bytes(size) if run == 0 => {
                    let bytes: Vec<u8> = numbers(size, seed).iter().map(|x| (x * 255.0).max(0.0) as u8).collect();
                    store.write_bytes(id, &bytes);
                }
                Operand::Images { images, pixels } if run == 0 => {
                    let lit = |i: usize| {
                        let (image, pixel) = (i / pixels, i % pixels);
                        !(24..48).contains(&image)
                            && (pixels / 3..pixels / 2).contains(&pixel)
                            && (image + pixel) % 7 != 0
                    };
                    let byte = |i: usize| if lit(i) { (i * 37 % 255) as u8 + 1 } else { 0 };
                    store.write_bytes(id, &(0..images * pixels).map(byte).collect::<Vec<u8>>());
                }
                Operand::Bytes(_) | Operand::Images { .. } => {}
            }
        }
        inputs.push(View { offset, ..View::whole(BufferId::Stored(id)) });
    }
    let extra = store.allocate(BufferInfo { name: "extra".into(), kind: Kind::Float, elements, shared: false });
    (0..RUNS).for_each(|run| store.write(extra, run, 0, &numbers(elements, 90 + run)));
    inputs.push(View::whole(BufferId::Stored(extra)));
    let out =
        store.allocate(BufferInfo { name: "out".into(), kind: Kind::Float, elements: elements + 8, shared: false });
    use Instruction::{Constant, Extra, Value};
    let instructions = vec![
        Value,
        Extra(0),
        Constant(0.5),
        Instruction::Binary(Binary::Mul, 1, 2),
        Instruction::Binary(Binary::Add, 0, 3),
    ];
    let epilogue = Epilogue { instructions, extras: vec![Access::Full] };
    let output = View { offset: 4, ..View::whole(BufferId::Stored(out)) };
    let launch = Launch::new(kernel.clone(), epilogue, inputs, output);
    let executable = Executable::new(device, &store, vec![launch], vec![]);
    executable.run(&mut store, 0..1, Order::Sequential);
    store.read(out)
}

/// Where there is an adapter, it is compared; the f32 twin always is.
pub fn holds(kernel: impl Kernel + 'static, operands: &[Operand]) {
    holds_from(3, kernel, operands);
}

pub fn holds_from(first: usize, kernel: impl Kernel + 'static, operands: &[Operand]) {
    let kernel: Arc<dyn Kernel> = Arc::new(kernel);
    let oracle = launch(&Device::Oracle, &kernel, operands, first);
    for device in [Some(Device::Cpu), adapter()].into_iter().flatten() {
        let found = launch(&device, &kernel, operands, first);
        for (run, (a, b)) in oracle.iter().zip(&found).enumerate() {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                // Sums of up to 800 numbers below 1, in single precision; guards must stay zero.
                let close = (a - b).abs() <= 2e-5 * (1.0 + a.abs());
                assert!(
                    close,
                    "{kernel:?} on {}: run {run}, element {i}: {b}, the oracle says {a}",
                    device.adapter_name()
                );
            }
        }
    }
}

/// Every form of a product: transpositions, and ones appended.
const FORMS: [(bool, bool, Ones); 6] = [
    (false, false, Ones::No),
    (true, false, Ones::No),
    (false, true, Ones::No),
    (true, true, Ones::No),
    (false, false, Ones::Column),
    (true, false, Ones::Row),
];

/// Of some cases those that a variant is to meet at a turn: all; but a tile so many of them, which go round with turns and tiles. (They
/// are one text, of which each tile and case is a program of its own to compile.)
pub fn in_turns<T>(cases: &[T], variant: Variant, turn: usize, at_a_time: usize) -> impl Iterator<Item = &T> {
    let number = TILES.iter().position(|&tile| variant == Variant::Tiled(tile));
    let (first, count) = number.map_or((0, cases.len()), |number| (turn * at_a_time + number, at_a_time));
    cases.iter().cycle().skip(first % cases.len()).take(count)
}

/// Rows of any length from an odd element on, and rows that can be loaded eight elements at a time; many columns, and few. Every
/// tile meets every form in rows of both kinds.
#[test]
fn every_variant_of_matmul_equals_oracle() {
    let Some(Device::Gpu(gpu)) = adapter() else { return };
    let odd = [(3, 67, 35, 20), (3, 40, 72, 24), (3, 20, 27, 21)];
    let by_eight = [(8, 65, 72, 24), (8, 33, 8, 16), (8, 9, 80, 21), (8, 20, 20, 12)];
    for (turn, (first, m, n, k)) in odd.into_iter().enumerate().chain(by_eight.into_iter().enumerate()) {
        for variant in Variant::all().filter(|v| v.runs_on(gpu.traits())) {
            for &(ta, tb, ones) in in_turns(&FORMS, variant, turn, FORMS.len() / odd.len()) {
                let a = if ones == Ones::Row { (m - 1) * k } else { m * k };
                let b = if ones == Ones::Column { (k + 1) * n } else { k * n };
                let product = MatMul { m, n, k, ta, tb, ones, bytes: false };
                holds_from(first, InVariant(product, variant), &[Operand::Float(a), Operand::Float(b)]);
            }
            let with_images = in_turns(&[true, false], variant, turn, 1).any(|&now| now);
            if with_images && k % 4 == 0 {
                let images = MatMul { m, n, k, ta: false, tb: false, ones: Ones::No, bytes: true };
                holds_from(first, InVariant(images, variant), &[Operand::Bytes(m * k), Operand::Float(k * n)]);
            }
        }
    }
}

#[test]
fn matmul_equals_oracle_on_ragged_shapes() {
    for (m, n, k) in [
        (1, 1, 1),
        (1, 70, 96),
        (1, 33, 21),
        (6, 64, 40),
        (20, 10, 256),
        (3, 65, 7),
        (20, 33, 784),
        (25, 64, 4),
        (70, 72, 136),
    ] {
        for (ta, tb, ones) in FORMS {
            if ones == Ones::Row && m == 1 {
                continue; // a stored operand would be empty
            }
            let stored_m = if ones == Ones::Row { m - 1 } else { m };
            let stored_k = if ones == Ones::Column { k + 1 } else { k };
            let kernel = MatMul { m, n, k, ta, tb, ones, bytes: false };
            holds_from(8, kernel, &[Operand::Float(stored_m * k), Operand::Float(stored_k * n)]);
        }
    }
}

#[test]
fn matmul_reads_images_as_fractions_of_255() {
    for (m, n, k, ones) in [(5, 10, 8, Ones::No), (1, 70, 784, Ones::Column), (30, 140, 784, Ones::Column)] {
        let kernel = MatMul { m, n, k, ta: false, tb: false, ones, bytes: true };
        let rows = if ones == Ones::Column { k + 1 } else { k };
        holds(kernel, &[Operand::Bytes(m * k), Operand::Float(rows * n)]);
    }
}

#[test]
fn blank_pixels_may_be_passed_over_and_change_nothing() {
    for (m, k) in [(70, 48), (70, 784), (30, 4), (50, 36)] {
        for ones in [Ones::No, Ones::Column] {
            let kernel = MatMul { m, n: 72, k, ta: false, tb: false, ones, bytes: true };
            let rows = if ones == Ones::Column { k + 1 } else { k };
            let operands = [Operand::Images { images: m, pixels: k }, Operand::Float(rows * 72)];
            holds_from(8, kernel, &operands);
            for name in ["32x32", "64x64", "4x16s64"] {
                holds_from(8, InVariant(kernel, Variant::named(name).unwrap()), &operands);
            }
        }
    }
}

#[test]
fn sums_equal_oracle() {
    for (outer, mid, inner) in [(1, 1, 1), (3, 5, 7), (2, 300, 1), (1, 1000, 1), (4, 20, 3), (2, 2100, 6), (3, 2500, 1)]
    {
        holds(Sum { outer, mid, inner }, &[Operand::Float(outer * mid * inner)]);
    }
}

#[test]
fn row_kernels_equal_oracle() {
    for (rows, classes) in [(1, 2), (20, 10), (70, 33)] {
        let x = Operand::Float(rows * classes);
        holds(LogSoftmax { rows, classes }, &[x]);
        let labels = || Operand::Index { elements: rows, below: classes as u32 };
        holds(CrossEntropy { rows, classes }, &[Operand::Float(rows * classes), labels()]);
        holds(Argmax { rows, classes }, &[Operand::Float(rows * classes)]);
        holds(CountCorrect { rows, classes }, &[Operand::Float(rows * classes), labels()]);
        holds(Largest { rows, width: classes, count: 3 }, &[Operand::Float(rows * classes)]);
        holds(Rescale { rows, width: classes }, &[Operand::Float(rows * classes)]);
    }
}

/// A constant added to all logits changes nothing, though it leaves single precision few digits for their sum.
#[test]
fn log_softmax_and_cross_entropy_keep_their_digits_at_large_logits() {
    let outcome = |device: &Device, first: f64| {
        let mut store = Store::new(device, 1);
        let mut buffer =
            |kind, elements| store.allocate(BufferInfo { name: "logits".into(), kind, elements, shared: false });
        let [x, labels] = [buffer(Kind::Float, 4), buffer(Kind::Index, 1)];
        let [logs, loss] = [buffer(Kind::Float, 4), buffer(Kind::Float, 1)];
        store.write(x, 0, 0, &[0.0, 1.0, 2.0, 3.0].map(|logit| first + logit));
        store.write_index(labels, 0, 0, &[1]);
        let view = |id| View::whole(BufferId::Stored(id));
        let launch = |kernel: Arc<dyn Kernel>, inputs, output| {
            let epilogue = Epilogue { instructions: vec![Instruction::Value], extras: vec![] };
            Launch::new(kernel, epilogue, inputs, view(output))
        };
        let launches = vec![
            launch(Arc::new(LogSoftmax { rows: 1, classes: 4 }), vec![view(x)], logs),
            launch(Arc::new(CrossEntropy { rows: 1, classes: 4 }), vec![view(x), view(labels)], loss),
        ];
        let executable = Executable::new(device, &store, launches, vec![]);
        executable.run(&mut store, 0..1, Order::Sequential);
        [store.read(logs).remove(0), store.read(loss).remove(0)].concat()
    };
    let wanted = outcome(&Device::Oracle, 0.0);
    for device in [Some(Device::Cpu), adapter()].into_iter().flatten() {
        let found = outcome(&device, 10_000.0);
        let near = wanted.iter().zip(&found).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near, "{}: {found:?}, wanted: {wanted:?}", device.adapter_name());
    }
}

#[test]
fn noise_equals_oracle() {
    for elements in [1, 6, 257, 300_000] {
        holds(Normal { elements }, &[Operand::Index { elements: 3, below: u32::MAX }]);
    }
}

#[test]
fn gathers_and_scatters_equal_oracle() {
    // The last of them lie so that four neighbours can be read and written at a time.
    for (first, rows, table, width) in [(3, 1, 1, 1), (3, 20, 7, 13), (3, 5, 40, 300), (8, 5, 40, 300)] {
        let index = || Operand::Index { elements: rows, below: table as u32 };
        holds_from(first, GatherRows { rows, width }, &[Operand::Float(table * width), index()]);
        holds_from(first, ScatterAddRows { rows, table, width }, &[Operand::Float(rows * width), index()]);
        let (images, maps) =
            (Operand::Bytes(table * width), Operand::Index { elements: 3 * width, below: width as u32 });
        let which = Operand::Index { elements: rows, below: 3 };
        holds_from(first, GatherPixels { rows, width }, &[images, index(), maps, which]);
    }
}

#[test]
fn every_shader_is_valid_wgsl() {
    let prelude = include_str!("../../shaders/prelude.wgsl");
    let columns = include_str!("../../shaders/columns.wgsl");
    let operands = include_str!("../../shaders/matmul_operands.wgsl");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/shaders");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let kind = if text.contains("out: array<vec4<f32>>") { "vec4<f32>" } else { "f32" };
        let epilogue = format!(
            "struct Begins {{ view0: u32 }}
             fn begins(run: u32) -> Begins {{ return Begins(base(0u, run)); }}
             fn epilogue(value: {kind}, i: u32, run: u32) -> {kind} {{ return value; }}
             fn epilogue_at(value: {kind}, i: u32, at: Begins) -> {kind} {{ return value; }}"
        );
        let text = match name.as_str() {
            "prelude" => text,
            "matmul_operands" | "matmul_images" => continue, // a part of others
            "matmul_cooperative" => {
                ["enable wgpu_cooperative_matrix;", prelude, &text, operands, columns, &epilogue].join("\n")
            }
            "matmul_row" | "matmul_tiled" => [prelude, &text, operands, columns, &epilogue].join("\n"),
            product if product.starts_with("matmul") => format!("{prelude}\n{text}\n{columns}\n{epilogue}"),
            _ => format!("{prelude}\n{text}\n{epilogue}"),
        };
        let module =
            naga::front::wgsl::parse_str(&text).unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(&text)));
        let mut validator =
            naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::all());
        validator.validate(&module).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        seen += 1;
    }
    assert!(seen >= 15, "only {seen} shaders were found in {folder}");
}
