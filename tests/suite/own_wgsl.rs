//! Compute shaders as users have them, in `tests/wgsl/`: dispatched as they stand, and held to the same in plain Rust.

use crate::cli::{hindsight, stderr, stdout};
use crate::gpu::adapter;
use hindsight::bench::own::{BufferSpec, Own, OwnError, Request};
use hindsight::device::Device;
use hindsight::npy;
use hindsight_kernels::Gpu;
use hindsight_kernels::own::{KernelShapes, Wgsl, WgslError};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn gpu() -> Option<Arc<Gpu>> {
    match adapter() {
        Some(Device::Gpu(gpu)) => Some(gpu),
        _ => None,
    }
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wgsl").join(name)
}

fn request(buffers: &[&str], values: &[(&str, Value)]) -> Request {
    Request {
        buffers: buffers.iter().map(|text| text.parse::<BufferSpec>().unwrap()).collect(),
        values: values.iter().map(|(name, value)| (name.to_string(), value.clone())).collect(),
        tolerance: 1e-5,
        ..Request::default()
    }
}

fn plain(gpu: &Arc<Gpu>, name: &str, request: &Request) -> Own {
    let text = fs::read_to_string(file(name)).unwrap();
    Own::plain(gpu, name, &text, request, 0.0).unwrap_or_else(|error| panic!("{error}"))
}

/// What one dispatch leaves in a buffer.
fn result(gpu: &Arc<Gpu>, name: &str, request: &Request, buffer: &str) -> Vec<f64> {
    let own = plain(gpu, name, request);
    own.run();
    own.numbers(buffer).unwrap()
}

/// A `.npy` file of whole numbers.
fn whole(folder: &Path, name: &str, numbers: &[u32]) -> String {
    let header = format!("{{'descr': '<u4', 'fortran_order': False, 'shape': ({},), }}\n", numbers.len());
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes().chain(numbers.iter().flat_map(|n| n.to_le_bytes())));
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().into()
}

fn singles(folder: &Path, name: &str, numbers: &[f32]) -> String {
    let path = folder.join(name);
    fs::write(&path, npy::encode(&[numbers.len()], numbers.iter().copied())).unwrap();
    path.to_str().unwrap().into()
}

fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= 1e-4 * expected.abs().max(1.0), "{i}: {found} is not {expected}");
    }
}

#[test]
fn a_prefix_sum_has_two_buffers_that_it_writes_and_two_entry_points() {
    let Some(gpu) = gpu() else { return };
    let home = tempfile::tempdir().unwrap();
    let n = 1000_u32;
    let within = Request { entry: Some("within".into()), ..request(&["data=1000:u32:iota", "sums=4"], &[]) };
    let own = plain(&gpu, "prefix_sum.wgsl", &within);
    own.run();
    let (data, sums) = (own.numbers("data").unwrap(), own.numbers("sums").unwrap());
    let block = |i: u32| (i / 256 * 256..=i).sum::<u32>();
    assert_eq!(data, (0..n).map(|i| f64::from(block(i))).collect::<Vec<_>>());
    assert_eq!(sums, [255, 511, 767, 999].map(|i| f64::from(block(i))));
    let halfway: Vec<u32> = data.iter().map(|x| *x as u32).collect();
    let [data, sums] = [
        format!("data={}", whole(home.path(), "data.npy", &halfway)),
        format!("sums={}", whole(home.path(), "sums.npy", &sums.iter().map(|x| *x as u32).collect::<Vec<_>>())),
    ];
    let across = Request { entry: Some("across".into()), ..request(&[&data, &sums], &[]) };
    let all: Vec<f64> = (0..n).map(|i| f64::from(i * (i + 1) / 2)).collect();
    assert_eq!(result(&gpu, "prefix_sum.wgsl", &across, "data"), all);
}

#[test]
fn a_workgroup_is_as_wide_as_its_constant_says() {
    let Some(gpu) = gpu() else { return };
    for (width, given) in [(64, None), (16, Some(16.0))] {
        let overrides = given.iter().map(|value| ("WIDTH".to_string(), *value)).collect();
        // Without --dispatch, one invocation an element of what is written: of its blocks.
        let dispatch = Some([500_u32.div_ceil(width), 1, 1]);
        let request = Request { overrides, dispatch, ..request(&["x=500:one", "sums=32"], &[]) };
        let sums = result(&gpu, "reduction.wgsl", &request, "sums");
        let block = |i: u32| f64::from((500 - (i * width).min(500)).min(width));
        assert_eq!(sums, (0..32).map(block).collect::<Vec<_>>());
    }
    let wgsl = |overrides: &[(String, f64)]| {
        Wgsl::plain("x.wgsl", &fs::read_to_string(file("reduction.wgsl")).unwrap(), None, overrides)
    };
    assert_eq!(wgsl(&[("WIDTH".into(), 16.0)]).unwrap().workgroups_for(160), [10, 1, 1]);
    let error = wgsl(&[("width".into(), 16.0)]).err().unwrap().to_string();
    assert!(error.contains("'width'") && error.contains("WIDTH"), "{error}");
    let error = Wgsl::plain("t.wgsl", &fs::read_to_string(file("transpose.wgsl")).unwrap(), None, &[]);
    let error = error.err().unwrap().to_string();
    assert!(error.contains("--override") && error.contains("HEIGHT"), "{error}");
}

#[test]
fn a_histogram_sees_as_many_elements_as_there_are() {
    let Some(gpu) = gpu() else { return };
    let request = Request { dispatch: Some([8, 1, 1]), ..request(&["values=1000:u32:iota", "bins=16:u32:iota"], &[]) };
    let own = plain(&gpu, "histogram.wgsl", &request);
    own.run();
    // It adds to what the bins held: each dispatch begins with that anew.
    own.run();
    let bin = |b: u32| f64::from(b + 1000 / 16 + u32::from(b < 1000 % 16));
    assert_eq!(own.numbers("bins").unwrap(), (0..16).map(bin).collect::<Vec<_>>());
    assert_eq!(own.numbers("seen").unwrap(), [1000.0]);
}

#[test]
fn boids_take_their_rules_from_a_struct() {
    let Some(gpu) = gpu() else { return };
    let home = tempfile::tempdir().unwrap();
    let particles: Vec<f32> = (0..4 * 50).map(|i| (i as f32 * 0.7).sin()).collect();
    let before = format!("before={}", singles(home.path(), "before.npy", &particles));
    let (delta, pull, limit) = (0.04, 0.02, 0.9);
    let rules = ("rules", json!({"delta": delta, "pull": pull, "limit": limit}));
    let after = result(&gpu, "boids.wgsl", &request(&[&before, "after=50x4"], &[rules]), "after");
    let p: Vec<f64> = particles.iter().map(|x| f64::from(*x)).collect();
    let mut expected = vec![];
    for i in 0..50 {
        let others = (0..50).filter(|j| *j != i);
        let middle = [0, 1].map(|axis| others.clone().map(|j| p[4 * j + axis]).sum::<f64>() / 49.0);
        let v = [0, 1].map(|axis| p[4 * i + 2 + axis] + (middle[axis] - p[4 * i + axis]) * pull);
        let length = v[0].hypot(v[1]);
        let v = v.map(|x| x / length * length.min(limit));
        expected.extend([p[4 * i] + v[0] * delta, p[4 * i + 1] + v[1] * delta, v[0], v[1]]);
    }
    close(&after, &expected);
}

#[test]
fn a_stencil_knows_the_sizes_of_its_image() {
    let Some(gpu) = gpu() else { return };
    let image = ("image", json!({"size": [13, 9]}));
    let request = Request { dispatch: Some([2, 2, 1]), ..request(&["pixels=9x13:iota", "blurred=9x13"], &[image]) };
    let blurred = result(&gpu, "stencil.wgsl", &request, "blurred");
    let mean = |x: i32, y: i32| {
        let near = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| ((x + dx).clamp(0, 12), (y + dy).clamp(0, 8))));
        near.map(|(x, y)| f64::from(y * 13 + x)).sum::<f64>() / 9.0
    };
    close(&blurred, &(0..9 * 13).map(|i| mean(i % 13, i / 13)).collect::<Vec<_>>());
}

#[test]
fn a_product_has_tiles_whose_constant_is_known_by_a_number() {
    let Some(gpu) = gpu() else { return };
    let (rows, inner, columns) = (10, 7, 12);
    let sizes = ("sizes", json!({"rows": rows, "inner": inner, "columns": columns}));
    let product = |i: usize| {
        let (row, column) = (i / columns, i % columns);
        (0..inner).map(|k| ((row * inner + k) * (k * columns + column)) as f64).sum::<f64>()
    };
    let expected: Vec<f64> = (0..rows * columns).map(product).collect();
    for tile in [4_u32, 8] {
        let request = Request {
            overrides: vec![("7".into(), tile.into())],
            dispatch: Some([12_u32.div_ceil(tile), 10_u32.div_ceil(tile), 1]),
            ..request(&["a=10x7:iota", "b=7x12:f32:iota", "product=10x12"], std::slice::from_ref(&sizes))
        };
        close(&result(&gpu, "matmul.wgsl", &request, "product"), &expected);
    }
}

#[test]
fn a_step_of_a_bitonic_sort_is_in_place_and_timed_on_the_same_keys() {
    let Some(gpu) = gpu() else { return };
    let home = tempfile::tempdir().unwrap();
    let keys: Vec<u32> = (0..100).map(|i| i * 37 % 101).collect();
    let (apart, block) = (2, 4);
    let mut expected = keys.clone();
    for i in 0..100_usize {
        let other = i ^ apart;
        if other > i && other < 100 && (keys[i] > keys[other]) == (i & block == 0) {
            expected.swap(i, other);
        }
    }
    let buffer = format!("keys={}", whole(home.path(), "keys.npy", &keys));
    let mut request = request(&[&buffer], &[("at", json!({"apart": apart, "block": block}))]);
    request.expected = vec![("keys".into(), whole(home.path(), "sorted.npy", &expected).into())];
    let own = plain(&gpu, "bitonic.wgsl", &request);
    own.verify().unwrap();
    let measured = own.measure(hindsight::bench::Effort::QUICK, false);
    assert!(measured.verified && measured.seconds.iter().all(|s| *s > 0.0), "{measured:?}");
    own.verify().unwrap();
}

#[test]
fn life_has_two_groups_with_none_between() {
    let Some(gpu) = gpu() else { return };
    let home = tempfile::tempdir().unwrap();
    let (width, height) = (10_usize, 6_usize);
    let cells: Vec<u32> = (0..60).map(|i| u32::from(i * i % 7 < 3)).collect();
    let now = format!("now={}", whole(home.path(), "now.npy", &cells));
    let request =
        Request { dispatch: Some([2, 1, 1]), ..request(&[&now, "next=6x10"], &[("size", json!([width, height]))]) };
    let next = result(&gpu, "life.wgsl", &request, "next");
    let lives = |i: usize| {
        let near = (0..9).filter(|n| *n != 4).map(|n| (i % width + width + n % 3 - 1, i / width + height + n / 3 - 1));
        let around: u32 = near.map(|(x, y)| cells[y % height * width + x % width]).sum();
        f64::from(u32::from(around == 3 || (around == 2 && cells[i] == 1)))
    };
    assert_eq!(next, (0..60).map(lives).collect::<Vec<_>>());
}

#[test]
fn numbers_of_16_bits_are_computed_or_refused_in_words() {
    let Some(gpu) = gpu() else { return };
    let request = request(&["x=100:iota", "y=100"], &[]);
    if gpu.traits().half {
        let expected: Vec<f64> = (0..100).map(|i| f64::from(i) / 2.0 + 1.0).collect();
        assert_eq!(result(&gpu, "half.wgsl", &request, "y"), expected);
    } else {
        let text = fs::read_to_string(file("half.wgsl")).unwrap();
        let error = Own::plain(&gpu, "half.wgsl", &text, &request, 0.0).err().unwrap().to_string();
        assert!(error.contains("f16") && error.contains("refuses it"), "{error}");
    }
    let odd = Request { buffers: vec!["x=3".parse().unwrap(), "y=4".parse().unwrap()], ..Request::default() };
    let text = fs::read_to_string(file("half.wgsl")).unwrap();
    let error = Own::plain(&gpu, "half.wgsl", &text, &odd, 0.0).err().unwrap().to_string();
    assert!(error.contains("`x`") && error.contains("multiple of 4"), "{error}");
}

#[test]
fn structs_in_structs_lie_as_wgsl_has_them() {
    let Some(gpu) = gpu() else { return };
    let turn = [[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]];
    let shift = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [10.0, 20.0, 30.0, 1.0]];
    let scene = json!({
        "turn": turn, "shift": shift, "scale": [[2.0, 0.0], [0.0, 3.0]],
        "light": {"colour": [1.0, 2.0, 3.0], "strength": 0.5, "at": [[0, 0, 0, 0], [0, 0, 0, 7]]},
        "count": 5,
    });
    // Points have a fourth number that is padding.
    let request = request(&["points=6x4:iota", "moved=6x4"], &[("scene", scene)]);
    let moved = result(&gpu, "transform.wgsl", &request, "moved");
    let point = |i: usize| {
        let [x, y, z] = [0, 1, 2].map(|n| (4 * i + n) as f64);
        [(10.0 - y) * 2.0 + 0.5, (20.0 + x) * 3.0 + 1.0, 30.0 + z + 1.5, 1.0 + 7.0]
    };
    let expected: Vec<f64> = (0..5).flat_map(point).chain([0.0; 4]).collect();
    close(&moved, &expected);
}

#[test]
fn kept_numbers_follow_their_count_in_one_buffer() {
    let Some(gpu) = gpu() else { return };
    // A count, four bytes of padding, a hundred numbers.
    let evens = Request { dispatch: Some([3, 1, 1]), ..request(&["numbers=150:u32:iota", "kept=102"], &[]) };
    let own = plain(&gpu, "compact.wgsl", &evens);
    own.run();
    let kept = own.numbers("kept").unwrap();
    assert_eq!(kept[0], 75.0);
    let mut numbers: Vec<f64> = kept[2..77].to_vec();
    numbers.sort_by(f64::total_cmp);
    assert_eq!(numbers, (0..75).map(|i| f64::from(2 * i)).collect::<Vec<_>>());
    let given = request(&["numbers=4:u32:one"], &[("kept", json!({"count": 5, "numbers": [9, 8, 7]}))]);
    assert_eq!(result(&gpu, "compact.wgsl", &given, "kept"), [5.0, 0.0, 9.0, 8.0, 7.0]);
}

#[test]
fn a_transpose_goes_through_workgroup_memory() {
    let Some(gpu) = gpu() else { return };
    let request = Request {
        overrides: vec![("WIDTH".into(), 11.0), ("HEIGHT".into(), 5.0)],
        dispatch: Some([2, 1, 1]),
        ..request(&["rows=5x11:iota", "columns=11x5"], &[])
    };
    let columns = result(&gpu, "transpose.wgsl", &request, "columns");
    assert_eq!(columns, (0..55).map(|i| f64::from(i % 5 * 11 + i / 5)).collect::<Vec<_>>());
}

#[test]
fn collatz_has_a_loop_whose_end_differs() {
    let Some(gpu) = gpu() else { return };
    let steps = result(&gpu, "collatz.wgsl", &request(&["v_indices=30:iota"], &[]), "v_indices");
    let count = |start: u64| {
        let next = |n: &u64| (*n > 1).then(|| if n.is_multiple_of(2) { n / 2 } else { 3 * n + 1 });
        (std::iter::successors(Some(start), next).count() - 1) as f64
    };
    assert_eq!(steps, (0..30).map(count).collect::<Vec<_>>());
}

const COPY: &str = "@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
    y[id.x] = x[id.x] + f32(arrayLength(&x));
}
";

fn refused(gpu: &Arc<Gpu>, text: &str, buffers: &[&str], words: &[&str]) {
    let error = Own::plain(gpu, "own.wgsl", text, &request(buffers, &[]), 0.0).err().unwrap().to_string();
    assert!(words.iter().all(|word| error.contains(word)), "{words:?} are not all in: {error}");
}

#[test]
fn bindings_have_the_bytes_that_were_asked_for() {
    let Some(gpu) = gpu() else { return };
    // Nothing is bound, and one workgroup is dispatched.
    let nothing = "@compute @workgroup_size(1) fn main() {}";
    assert!(Own::plain(&gpu, "n", nothing, &Request::default(), 0.0).is_ok());
    let own = Own::plain(&gpu, "c", COPY, &request(&["x=10:one", "y=10"], &[]), 0.0).unwrap();
    own.run();
    assert_eq!(own.numbers("y").unwrap(), [11.0; 10]);
    let fixed = COPY.replace("x: array<f32>;", "x: array<f32, 5000>;").replace("f32(arrayLength(&x))", "0.0");
    refused(&gpu, &fixed, &["x=16", "y=16"], &["`x`", "array<f32, 5000>", "20000 bytes", "given 64 bytes"]);
    refused(&gpu, &fixed.replace("5000", "1024"), &["x=10", "y=10"], &["4096 bytes", "given 40 bytes"]);
    let vectors = COPY.replace("y: array<f32>", "y: array<vec4f>").replace("y[id.x] =", "y[id.x].x =");
    refused(&gpu, &vectors, &["x=4", "y=6"], &["`y`", "16 bytes for each element", "24"]);
    refused(&gpu, COPY, &["x=4"], &["`y` (array<f32>)", "--buffer"]);
    refused(&gpu, COPY, &["x=4", "y=4", "z=4"], &["no buffer `z`", "x, y"]);
    refused(&gpu, COPY, &["x=4:u32", "y=4"], &["f32", "u32"]);
    refused(&gpu, COPY, &["x=4", "y=4", "x=4"], &["`x` is given twice"]);
    // In the project's own form as well.
    let kernel = |length: &str| {
        let text = TWICE.replace("x: array<f32>", &format!("x: array<f32{length}>"));
        let shapes = KernelShapes { inputs: vec![16], elements: 16, size: vec![16] };
        Own::kernel(&gpu, "own.wgsl", &text, &shapes, None, 1, 0.0).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(kernel(""), Ok(()));
    assert!(kernel(", 5000").unwrap_err().contains("20000 bytes"));
}

const TWICE: &str = "@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) at: vec3<u32>) {
    if at.x < params.size.x {
        out[base(0u, at.z) + at.x] = epilogue(2.0 * x[base(1u, at.z) + at.x], at.x, at.z);
    }
}
";

#[test]
fn a_users_names_and_directives_do_not_meet_the_preludes() {
    let Some(gpu) = gpu() else { return };
    let shapes = KernelShapes { inputs: vec![10], elements: 10, size: vec![10] };
    let twice = |text: &str| {
        let own = Own::kernel(&gpu, "own.wgsl", text, &shapes, None, 3, 0.0).unwrap_or_else(|e| panic!("{e}\n{text}"));
        own.run();
        (own.numbers("x").unwrap(), own.numbers("out").unwrap())
    };
    let (x, out) = twice(TWICE);
    // Runs lie twelve elements apart: the last one ends with the buffer.
    assert_eq!(out.len(), 34);
    assert!((0..34).all(|i| out[i] == 2.0 * x[i]), "{out:?}");
    let own_names = "struct Params { base: u32 } struct Views { a: u32 } struct Begins { b: u32 } override ABREAST = 3;
        fn begins() -> Params { return Params(1u); } fn epilogue_at(texel: u32) -> u32 { return texel; } ";
    assert_eq!(twice(&format!("{own_names}{TWICE}")).1, out);
    // What a file declares is its own.
    let own_base = TWICE.replace("@compute", "fn base(view: u32, run: u32) -> u32 { return run * 12u; } @compute");
    assert_eq!(twice(&own_base).1, out);
    let own_params = TWICE.replace("params.size.x", "params").replace("@compute", "const params = 10u; @compute");
    assert_eq!(twice(&own_params).1, out);
    let prefixed = TWICE.replace("out[", "let hindsight0_base = 1; out[");
    assert_eq!(twice(&prefixed).1, out);
    for directive in ["diagnostic(off, derivative_uniformity);", "requires readonly_and_readwrite_storage_textures;"] {
        assert_eq!(twice(&format!("{directive}\n{TWICE}")).1, out);
    }
    if gpu.traits().half {
        assert_eq!(twice(&format!("enable f16;\n{TWICE}")).1, out);
    }
    let wrong = |text: &str| Own::kernel(&gpu, "own.wgsl", text, &shapes, None, 1, 0.0).err().unwrap().to_string();
    for directive in ["enable nothing_of_the_kind;", "requires nothing_of_the_kind;", "diagnostic(loud, x);"] {
        let error = wrong(&format!("// A line.\n{directive}\n{TWICE}"));
        assert!(error.contains("own.wgsl:2:"), "{error}");
    }
    let error = wrong(&TWICE.replace("params.size.x {", "params.length {"));
    assert!(error.contains("own.wgsl:5:") && error.contains("length"), "{error}");
    let error = wrong(&format!("{TWICE}alias u32 = f32;"));
    assert!(error.contains("own.wgsl"), "{error}");
    let error = wrong(&format!("{TWICE}@group(0) @binding(1) var<uniform> mine: vec4u;"));
    assert!(error.contains("second binding 1") && error.contains("prelude"), "{error}");
}

#[test]
fn what_exceeds_the_adapter_is_said_by_name_and_limit() {
    let Some(gpu) = gpu() else { return };
    let limit = gpu.traits().workgroup_memory / 4 + 1;
    let shared =
        COPY.replace("y[id.x] =", "shared_numbers[id.x % 7u] = 1.0; workgroupBarrier(); y[id.x] = shared_numbers[3] +");
    let shared = format!("{shared}var<workgroup> shared_numbers: array<f32, {limit}>;");
    refused(&gpu, &shared, &["x=4", "y=4"], &["workgroup memory", &gpu.traits().workgroup_memory.to_string()]);
    let threads = gpu.traits().workgroup_threads;
    let large = COPY.replace("@workgroup_size(64)", &format!("@workgroup_size(64, {})", threads / 64 + 1));
    refused(&gpu, &large, &["x=4", "y=4"], &["invocations of a workgroup", &threads.to_string()]);
    let many = Request { dispatch: Some([1, 1 << 20, 1]), ..request(&["x=4", "y=4"], &[]) };
    let error = Own::plain(&gpu, "own.wgsl", COPY, &many, 0.0).err().unwrap().to_string();
    assert!(error.contains("workgroups in y") && error.contains("65535"), "{error}");
    let group = COPY.replace("@group(0) @binding(1)", "@group(900) @binding(1)");
    refused(&gpu, &group, &["x=4", "y=4"], &["the group of `y`"]);
    refused(&gpu, COPY, &["x=2000000000", "y=4"], &["`x`", "bytes"]);
    let texture = COPY.replace("y[id.x] =", "y[id.x] = textureLoad(image, vec2(0), 0).x +");
    let texture = format!("{texture}@group(0) @binding(2) var image: texture_2d<f32>;");
    refused(&gpu, &texture, &["x=4", "y=4"], &["`image`", "texture"]);
}

/// `COPY` with shared memory, and `statements` before the end.
fn with_barrier(statements: &str) -> String {
    format!(
        "var<workgroup> shared_numbers: array<f32, 64>;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
struct In {{ @builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u }}
fn wait(how: bool) {{ if how {{ workgroupBarrier(); }} }}
fn fill(to: ptr<function, u32>, n: u32) {{ *to = n; }}
@compute @workgroup_size(64) fn main(in: In) {{
    shared_numbers[in.lane] = x[in.lane];
{statements}
    y[in.lane] = shared_numbers[63u - in.lane];
}}"
    )
}

#[test]
fn barriers_that_some_do_not_reach_are_refused_with_their_line() {
    let divergent = [
        "if in.lane < 32u { workgroupBarrier(); }",
        "if in.lane < 32u { return; }\n workgroupBarrier();",
        "for (var i = 0u; i < in.lane; i++) { workgroupBarrier(); }",
        "loop { if x[in.lane] > 1.0 { break; } workgroupBarrier(); }",
        "wait(in.lane == 3u);",
        "var n = 1u; if in.lane == 0u { n = 2u; } if n == 1u { storageBarrier(); }",
        "var n = 1u; fill(&n, in.lane); if n == 1u { workgroupBarrier(); }",
        "switch in.lane { case 1u: { workgroupBarrier(); } default: {} }",
        "if shared_numbers[0] > 0.0 { workgroupBarrier(); }",
        "if y[in.group.x] > 0.0 { let n = workgroupUniformLoad(&shared_numbers[0]); }",
        "if in.group.x == 0u && in.lane == 0u { workgroupBarrier(); }",
    ];
    for statements in divergent {
        let error = Wgsl::plain("own.wgsl", &with_barrier(statements), None, &[]).err();
        let Some(WgslError::Divergent { line: found, .. }) = error else { panic!("{statements}: {error:?}") };
        // The barrier's own line: in `wait`, where that is called.
        let line = if statements.starts_with("wait") { 5 } else { 9 + statements.matches('\n').count() };
        assert_eq!(found as usize, line, "{statements}");
    }
    let uniform = [
        "workgroupBarrier();",
        "if in.group.x == 1u { workgroupBarrier(); }",
        "if x[in.group.x] > 0.0 { workgroupBarrier(); } else { storageBarrier(); }",
        "for (var i = 0u; i < arrayLength(&y); i++) { workgroupBarrier(); if in.lane > i { continue; } }\nworkgroupBarrier();",
        "if in.lane < 32u { shared_numbers[in.lane] += 1.0; }\n workgroupBarrier();",
        "wait(in.group.y == 3u); wait(true);",
        "if workgroupUniformLoad(&shared_numbers[0]) > 0.0 { workgroupBarrier(); }",
        "for (var i = in.lane; i < 64u; i += 3u) { if x[i] > 0.0 { break; } }\n workgroupBarrier();",
        "var n = 1u; fill(&n, in.group.x); if n == 1u { workgroupBarrier(); }",
        "switch in.lane { case 1u: { shared_numbers[1] = 2.0; break; } default: {} } workgroupBarrier();",
    ];
    for statements in uniform {
        // The loop with `continue` is left by a condition that is the same for all.
        let read = Wgsl::plain("own.wgsl", &with_barrier(statements), None, &[]).map(|_| ());
        let continues = statements.contains("continue");
        assert_eq!(read.is_ok(), !continues, "{statements}: {read:?}");
    }
}

#[test]
fn no_text_ends_the_program() {
    let n = 20_000;
    let body = |text: String| format!("@compute @workgroup_size(1) fn main() {{ var x = 1; {text} }}");
    let texts = [
        body(format!("x = {}1{};", "(".repeat(n), ")".repeat(n))),
        body(format!("x = {}1;", "-".repeat(n))),
        body(format!("x = {}1;", "1 + ".repeat(n))),
        body(format!("{}{}", "{".repeat(n), "}".repeat(n))),
        body(format!("if x == 1 {{}} {}", "else if x == 2 {} ".repeat(n))),
        format!("var<private> a: {}f32{};", "array<".repeat(n), ", 1>".repeat(n)),
        (0..n).rev().map(|i| format!("alias T{} = array<T{i}, 1>;", i + 1)).collect(),
        (0..n).rev().map(|i| format!("const c{} = c{i} + 1;", i + 1)).collect::<String>() + "const c0 = 1;",
        "\0\u{feff}\"'@@@<<<>>>".into(),
        "/*".repeat(n),
        String::new(),
    ];
    for text in texts {
        let error = Wgsl::plain("own.wgsl", &text, None, &[]).err().map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.contains("own.wgsl")), "{}", &text[..text.len().min(40)]);
    }
    // As deep as a person may write.
    let deep = body(format!("x = {}1{};", "(".repeat(50), ")".repeat(50)) + &format!("x = {}1;", "1 + ".repeat(1000)));
    assert!(Wgsl::plain("own.wgsl", &deep, None, &[]).is_ok());
}

#[test]
fn files_that_are_no_text_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("own.wgsl");
    for (content, words) in [(vec![0xff, 0xfe], "utf-8"), (vec![b' '; (2 << 20) + 1], "at most 2097152")] {
        fs::write(&path, content).unwrap();
        let output = hindsight(&["bench", "--list", "--wgsl", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stderr(&output).contains(words) && stderr(&output).contains("own.wgsl"), "{}", stderr(&output));
    }
    let output = hindsight(&["bench", "--list", "--wgsl", home.path().to_str().unwrap()]);
    assert!(stderr(&output).contains("not a regular file"), "{}", stderr(&output));
}

#[test]
fn buffers_are_named_in_one_argument() {
    let spec = |text: &str| text.parse::<BufferSpec>();
    for text in ["data", "=4", "data=", "data=0", "data=4x", "data=4:f33", "data=4:u32:blue", "data=4294967296"] {
        assert!(spec(text).is_err(), "{text}");
    }
    use hindsight::bench::own::Fill;
    use hindsight_kernels::Number;
    let of = |shape: &[usize], number, fill| BufferSpec { name: "a".into(), shape: Some(shape.to_vec()), number, fill };
    assert_eq!(spec("a=4x2"), Ok(of(&[4, 2], None, Fill::Number(0.0))));
    assert_eq!(spec("a=4:u32"), Ok(of(&[4], Some(Number::U32), Fill::Number(0.0))));
    assert_eq!(spec("a=4:one"), Ok(of(&[4], None, Fill::Number(1.0))));
    assert_eq!(spec("a=4:f32:-2.5"), Ok(of(&[4], Some(Number::F32), Fill::Number(-2.5))));
    assert_eq!(spec("a=4:c:/x.npy"), Ok(of(&[4], None, Fill::File("c:/x.npy".into()))));
    let file = BufferSpec { name: "a".into(), shape: None, number: None, fill: Fill::File("x.npy".into()) };
    assert_eq!(spec("a=x.npy"), Ok(file));
}

#[test]
fn json_that_does_not_fit_is_refused_by_its_place() {
    let text = fs::read_to_string(file("transform.wgsl")).unwrap();
    let wgsl = Wgsl::plain("transform.wgsl", &text, None, &[]).unwrap();
    let scene = wgsl.buffers.iter().find(|buffer| buffer.name == "scene").unwrap();
    let whole = json!({
        "turn": [[0, 1, 0], [1, 0, 0], [0, 0, 1]], "shift": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
        "scale": [[1, 0], [0, 1]], "light": {"colour": [1, 2, 3], "strength": 1, "at": [[0, 0, 0, 0], [0, 0, 0, 0]]},
        "count": -1,
    });
    let bytes = wgsl.bytes(scene, &whole).unwrap();
    // 48 of turn, 64 of move, 16 of scale, 48 of light, 4 of count, and as many as make it a multiple of 16.
    assert_eq!(bytes.len(), 192);
    assert_eq!(bytes[176..180], (-1_i32).to_le_bytes());
    assert_eq!(bytes[16..20], 1_f32.to_le_bytes(), "the second column begins at 16");
    let with = |pointer: &str, value: Value| {
        let mut changed = whole.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        wgsl.bytes(scene, &changed).unwrap_err().to_string()
    };
    let cases = [
        ("/count", json!(1.5), "value.count", "i32"),
        ("/count", json!(3_000_000_000_u32), "value.count", "3000000000"),
        ("/light/colour", json!([1, 2]), "value.light.colour", "3 elements"),
        ("/light/at", json!("here"), "value.light.at", "a list"),
        ("/turn/1", json!(7), "value.turn[1]", "column"),
        ("/light", json!({"colour": [1, 2, 3]}), "value.light", "'strength'"),
        ("/light", json!({"hue": 1}), "value.light", "no field 'hue'"),
    ];
    for (pointer, value, place, word) in cases {
        let error = with(pointer, value);
        assert!(error.contains(place) && error.contains(word), "{error}");
    }
}

#[test]
fn the_command_compares_lists_and_measures() {
    let listed = hindsight(&["bench", "--list", "--wgsl", file("prefix_sum.wgsl").to_str().unwrap()]);
    assert!(listed.status.success(), "{}", stderr(&listed));
    for words in ["within, workgroups of 256x1x1", "across", "data", "read_write", "4 bytes an element"] {
        assert!(stdout(&listed).contains(words), "{words} is not in {}", stdout(&listed));
    }
    if gpu().is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let json = home.path().join("own.json");
    let right: Vec<f32> = (0..6).map(|i| i as f32 + 6.0).collect();
    let wrong: Vec<f32> = right.iter().enumerate().map(|(i, x)| if i == 4 { x * 1.001 } else { *x }).collect();
    let [right, wrong] = [("right.npy", right), ("wrong.npy", wrong)].map(|(name, x)| singles(home.path(), name, &x));
    let wgsl = home.path().join("copy.wgsl");
    fs::write(&wgsl, COPY).unwrap();
    let run = |more: &[&str]| {
        let what = ["bench", "--quick", "--device=gpu", "--wgsl", wgsl.to_str().unwrap()];
        hindsight(&[&what[..], &["--buffer", "x=6:iota", "--buffer", "y=6"], more].concat())
    };
    let expect = format!("y={right}");
    let output = run(&["--expect", &expect, "--out", json.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    let line = stdout(&output).lines().find(|line| line.contains("copy.wgsl")).unwrap().to_owned();
    assert!(line.contains("1x1x1 of 64x1x1") && !line.contains("not verified"), "{line}");
    let written: Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!([&written["cases"][0]["verified"], &written["cases"][0]["bytes"]], [&json!(true), &json!(48.0)]);
    let expect = format!("y={wrong}");
    let output = run(&["--expect", &expect]);
    assert_eq!(output.status.code(), Some(1));
    for words in ["`y`", "1 of 6 elements", "first element 4", "found 10", "expected 10.01"] {
        assert!(stderr(&output).contains(words), "{words} is not in {}", stderr(&output));
    }
    assert!(run(&["--expect", &expect, "--tolerance", "0.01"]).status.success());
    let short = format!("y={}", whole(home.path(), "short.npy", &[1, 2]));
    assert!(stderr(&run(&["--expect", &short])).contains("`y` has 6 numbers"));
    for more in [&["--out-shape", "4"][..], &["--in", "4"], &["--runs", "2"]] {
        assert_eq!(run(more).status.code(), Some(2), "{more:?}");
    }
}

#[test]
fn an_expected_result_that_is_not_there_is_named() {
    let Some(gpu) = gpu() else { return };
    let mut request = request(&["x=4", "y=4"], &[]);
    request.expected = vec![("y".into(), "nowhere.npy".into())];
    let error = Own::plain(&gpu, "own.wgsl", COPY, &request, 0.0).err().unwrap();
    assert!(matches!(error, OwnError::Npy(_)) && error.to_string().contains("nowhere.npy"), "{error}");
}
