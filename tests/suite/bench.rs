//! The bench: verified before timed, under the right roof, compared with its noise.

use crate::cli::{hindsight, stderr, stdout};
use crate::gpu::adapter;
use hindsight::bench::compare::{Change, Verdict};
use hindsight::bench::{Bound, Case, Ceilings, CopyRate, Effort, Machine, Measured, Operand, cases, growth, measure};
use hindsight::device::Device;
use hindsight_kernels::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// 100 GFLOP/s, 80 GB/s for 1 MB or less, 10 GB/s beyond, 1 us a launch.
fn ceilings() -> Ceilings {
    let copy = |bytes, bytes_per_s| CopyRate { bytes, bytes_per_s };
    Ceilings { fma_flops_per_s: 1e11, copies: vec![copy(1e6, 8e10), copy(1e8, 1e10)], launch_s: 1e-6 }
}

fn measured(flops: f64, bytes: f64, seconds: &[f64]) -> Measured {
    Measured {
        kernel: "kernel".into(),
        group: "group".into(),
        name: "name".into(),
        size: "size".into(),
        runs: 1,
        flops,
        bytes,
        seconds: seconds.to_vec(),
        verified: true,
    }
}

#[test]
fn the_roofline_is_the_lower_of_its_slope_and_the_peak() {
    let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-12, "{a} is not {b}");
    // 100 FLOP a byte: 10⁹ FLOP at the peak.
    close(ceilings().roofline_s(&measured(1e9, 1e7, &[1.0])), 1e-2);
    // 1 FLOP a byte: 10⁷ bytes at 10 GB/s.
    close(ceilings().roofline_s(&measured(1e7, 1e7, &[1.0])), 1e-3);
    // No FLOP at all, and few enough bytes for the cache's rate.
    close(ceilings().roofline_s(&measured(0.0, 8e5, &[1.0])), 1e-5);
    let row = hindsight::bench::Row::new(measured(1e9, 1e7, &[0.02, 0.04, 0.05]), &ceilings());
    close(row.roofline_share, 0.25);
    close(row.gflop_per_s, 25.0);
    close(row.intensity, 100.0);
}

#[test]
fn a_case_is_bound_by_what_takes_longest_at_the_ceilings() {
    let bound = |flops, bytes| ceilings().bound(&measured(flops, bytes, &[1.0]));
    assert_eq!([bound(1e9, 1e7), bound(1e7, 1e7), bound(100.0, 400.0)], [Bound::Compute, Bound::Memory, Bound::Launch]);
}

#[test]
fn a_slow_small_copy_takes_nothing_from_the_bandwidth() {
    let launched = CopyRate { bytes: 1e4, bytes_per_s: 1e9 };
    let ceilings = Ceilings { copies: [vec![launched], ceilings().copies].concat(), ..ceilings() };
    assert_eq!([1e3, 1e5, 1e7, 1e9].map(|bytes| ceilings.bandwidth(bytes)), [8e10, 8e10, 1e10, 1e10]);
}

#[test]
fn a_case_is_slower_only_if_the_noise_of_both_does_not_explain_it() {
    let verdict =
        |before: &[f64], now: &[f64]| Change::between(&measured(1.0, 1.0, before), &measured(1.0, 1.0, now)).verdict();
    let (steady, slower) = ([0.99, 1.0, 1.01], [1.29, 1.3, 1.31]);
    assert_eq!(verdict(&steady, &slower), Verdict::Slower);
    assert_eq!(verdict(&slower, &steady), Verdict::Faster);
    // The same medians, where either run's samples differ by more than a third.
    assert_eq!(verdict(&[0.9, 1.0, 1.25], &slower), Verdict::Same);
    assert_eq!(verdict(&steady, &[1.1, 1.3, 1.5]), Verdict::Same);
    assert_eq!(verdict(&steady, &[1.0, 1.01, 1.02]), Verdict::Same);
}

/// Multiply-adds, of which single precision leaves eight out.
#[derive(Debug)]
struct Lazy {
    honest: CeilingFma,
    launches: Arc<AtomicUsize>,
}

impl Kernel for Lazy {
    fn describe(&self) -> &dyn Describe {
        &self.honest
    }
    fn twin_f32(&self, out: &mut [f32], inputs: &[Input<'_, f32>]) {
        self.launches.fetch_add(1, Ordering::Relaxed);
        CeilingFma { rounds: self.honest.rounds - 8, ..self.honest }.twin_f32(out, inputs);
    }
    fn twin_f64(&self, out: &mut [f64], inputs: &[Input<'_, f64>]) {
        self.honest.twin_f64(out, inputs);
    }
}

fn case(kernel: impl Kernel + 'static, operands: Vec<Operand>, terms: usize) -> Case {
    let (kernel, epilogue) = (Arc::new(kernel), Epilogue::default());
    Case { group: "", name: "".into(), size: "".into(), kernel, epilogue, operands, terms, has_oracle: true }
}

fn multiply_adds(kernel: impl Kernel + 'static, factors: [f64; 2]) -> Case {
    case(kernel, vec![Operand::Floats(300), Operand::Values(factors.to_vec())], 512)
}

#[test]
fn a_wrong_kernel_is_refused_before_it_is_timed() {
    let launches = Arc::new(AtomicUsize::new(0));
    let lazy = Lazy { honest: CeilingFma { elements: 300, rounds: 512 }, launches: launches.clone() };
    let wrong = measure(&Device::Cpu, &multiply_adds(lazy, [1.0, 1.0]), Effort::QUICK).unwrap_err();
    // Twelve chains, each eight short.
    assert!((wrong.expected - wrong.found - 96.0).abs() < 0.1, "{wrong}");
    let verified = rayon::current_num_threads();
    assert_eq!(launches.load(Ordering::Relaxed), verified, "each run once, to be verified, and never to be timed");
}

#[test]
fn the_kernels_behind_the_ceilings_compute_what_they_say() {
    for device in [Some(Device::Cpu), adapter()].into_iter().flatten() {
        for factors in [[1.0, 1.0], [0.984375, 0.25], [-0.5, 3.0]] {
            let fma = multiply_adds(CeilingFma { elements: 300, rounds: 512 }, factors);
            measure(&device, &fma, Effort::QUICK).unwrap_or_else(|e| panic!("{}: {e}", device.adapter_name()));
        }
        let copy = case(CeilingCopy { elements: 6144 }, vec![Operand::Floats(6144)], 1);
        measure(&device, &copy, Effort::QUICK).unwrap_or_else(|e| panic!("{}: {e}", device.adapter_name()));
    }
}

#[test]
fn every_kernel_has_a_case_and_every_case_its_own_name() {
    let all = cases::all(&Device::Cpu);
    let kernels: BTreeSet<&str> = all.iter().map(|case| case.kernel.describe().name()).collect();
    let not_kernels = ["prelude", "columns", "patches", "ceiling_fma", "ceiling_copy"];
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders")).unwrap() {
        let stem = entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
        // matmul_tiled is a variant of matmul.
        let measured = kernels.iter().any(|kernel| stem == *kernel || stem.starts_with(&format!("{kernel}_")));
        assert!(measured || not_kernels.contains(&stem.as_str()), "{stem} is measured nowhere: see src/bench/cases.rs");
    }
    let names: BTreeSet<_> = all.iter().map(|c| (c.kernel.describe().name(), &c.name, &c.size)).collect();
    assert_eq!(names.len(), all.len(), "two cases of one name can't be compared with earlier ones");
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_command_measures_writes_what_the_schema_says_and_compares() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("bench.json");
    let path = file.to_str().unwrap();
    let tiny = ["bench", "--device=cpu", "--quick", "--only", "MIR's choice"];
    let output = hindsight(&[&tiny[..], &["--out", path]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("multiply-adds") && stdout(&output).contains("10 of 50"), "{}", stdout(&output));

    let schema: Value = serde_json::from_str(include_str!("../../docs/bench.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut written = read(&file);
    let errors: Vec<String> = validator.iter_errors(&written).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    assert!(!validator.is_valid(&json!({ "schema": 1, "cases": [] })), "the schema checks nothing");
    assert_eq!(written["cases"].as_array().unwrap().len(), 1);
    let figure = fs::read_to_string(home.path().join("bench.svg")).unwrap();
    assert!(figure.starts_with("<svg") && figure.contains("multiply-adds") && figure.contains("memory"), "{figure}");

    let again = hindsight(&[&tiny[..], &["--out", path]].concat());
    assert!(!again.status.success() && stderr(&again).contains("--overwrite"), "{}", stderr(&again));

    // As if it had taken a thousandth of the time.
    written["cases"][0]["seconds"] = json!([1e-12, 1e-12, 1e-12]);
    fs::write(&file, written.to_string()).unwrap();
    let compared = hindsight(&[&tiny[..], &["--compare", path]].concat());
    assert!(compared.status.success(), "slower is marked, no failure: {}", stderr(&compared));
    assert!(stdout(&compared).contains("SLOWER") && stdout(&compared).contains("1 slower"), "{}", stdout(&compared));

    written["machine"]["processor"] = json!("Z80");
    fs::write(&file, written.to_string()).unwrap();
    let refused = hindsight(&[&tiny[..], &["--compare", path]].concat());
    assert!(!refused.status.success() && stderr(&refused).contains("Z80"), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("--force"), "{}", stderr(&refused));
}

#[test]
fn as_many_runs_are_measured_as_are_asked_for_and_compared_with_no_other_number() {
    let home = tempfile::tempdir().unwrap();
    let [three, four] = ["three.json", "four.json"].map(|name| home.path().join(name).display().to_string());
    let tiny = ["bench", "--device=cpu", "--quick", "--only", "MIR's choice", "--runs"];
    assert!(hindsight(&[&tiny[..], &["3", "--out", &three]].concat()).status.success());
    let output = hindsight(&[&tiny[..], &["4", "--out", &four, "--compare", &three]].concat());
    assert!(stdout(&output).contains("0 within noise, 1 not measured before"), "{}", stdout(&output));
    let cases = [&three, &four].map(|file| read(Path::new(file))["cases"][0].clone());
    assert_eq!([&cases[0]["runs"], &cases[1]["runs"]], [3, 4]);
    assert_eq!(cases[0]["bytes"].as_f64().unwrap() * 4.0, cases[1]["bytes"].as_f64().unwrap() * 3.0);
    assert!(!hindsight(&[&tiny[..], &["0"]].concat()).status.success());
}

#[test]
fn another_driver_is_comparable_and_another_adapter_is_not() {
    let machine = Machine::of(&Device::Cpu);
    let measurements = hindsight::bench::Measurements {
        schema: 1,
        version: "".into(),
        command: vec![],
        started_at: "".into(),
        machine: machine.clone(),
        effort: Effort::QUICK,
        ceilings: ceilings(),
        cases: vec![],
    };
    assert_eq!(measurements.not_comparable(&Machine { driver: "newer".into(), ..machine.clone() }), None);
    let why = measurements.not_comparable(&Machine { adapter: "other".into(), ..machine }).unwrap();
    assert!(why.contains("cpu") && why.contains("other"), "{why}");
}

#[test]
fn a_pattern_that_no_case_has_is_refused_with_a_way_out() {
    let output = hindsight(&["bench", "--device=cpu", "--only", "matmull"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--list"), "{}", stderr(&output));
    let listed = hindsight(&["bench", "--device=cpu", "--list", "--only", "LAYER 1"]);
    assert!(stdout(&listed).contains("layer 1, batch 20") && !stdout(&listed).contains("batch 20  x"));
}

#[test]
fn files_that_are_not_measurements_are_named() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("other.json");
    for (content, reason) in [("{", "EOF"), ("{}", "no schema"), (r#"{"schema": 9}"#, "format is 9")] {
        fs::write(&file, content).unwrap();
        let output = hindsight(&["bench", "--device=cpu", "--quick", "--compare", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(reason) && stderr(&output).contains("other.json"), "{}", stderr(&output));
    }
}

const TWICE: &str = "@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) at: vec3<u32>) {
    if at.x < params.size.x {
        out[base(0u, at.z) + at.x] = 2.0 * x[base(1u, at.z) + at.x];
    }
}
";

#[test]
fn a_users_wgsl_is_timed_and_said_to_be_unverified() {
    if adapter().is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("twice.wgsl");
    fs::write(&file, TWICE).unwrap();
    let own = ["bench", "--device=gpu", "--quick", "--wgsl", file.to_str().unwrap(), "--in", "30x4"];
    let output = hindsight(&[&own[..], &["--out-shape", "120", "--flops", "120"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let line = stdout(&output).lines().find(|line| line.contains("twice.wgsl")).unwrap().to_owned();
    assert!(line.contains("30x4 > 120") && line.contains("not verified"), "{line}");
    let nowhere = hindsight(&[&own[..], &["--out-shape", "120", "--device=cpu"]].concat());
    assert_eq!(nowhere.status.code(), Some(2), "{}", stderr(&nowhere));
}

#[test]
fn bad_wgsl_is_an_error_with_its_line_and_what_was_wanted() {
    let Some(Device::Gpu(gpu)) = adapter() else { return };
    let refused = |source: &str, inputs: &[usize]| {
        let shapes = KernelShapes { inputs: inputs.to_vec(), elements: 120, size: vec![120] };
        let own = hindsight::bench::own::Own::kernel(&gpu, "own.wgsl", source, &shapes, None, 1, 0.0);
        own.err().unwrap().to_string()
    };
    let says = |source: &str, inputs: &[usize], words: &[&str]| {
        let error = refused(source, inputs);
        assert!(words.iter().all(|word| error.contains(word)), "{words:?} are not all in: {error}");
    };
    let x = [120];
    says(&TWICE.replace("2.0 *", "2.0 **"), &x, &["own.wgsl:6:"]);
    says(&TWICE.replace("params.size.x {", "params.length {"), &x, &["own.wgsl:5:", "length"]);
    says(&TWICE.replace("2.0 * x", "2u * x"), &x, &["own.wgsl:6:"]);
    says(&TWICE.replace("fn main", "fn other"), &x, &["@compute fn main"]);
    says(TWICE, &[120, 120], &["no binding 4"]);
    says(TWICE, &[], &["`x` is binding 3", "end at 2"]);
    says(&TWICE.replace("read> x", "read_write> x"), &x, &["`x`, binding 3", "var<storage, read>"]);
    says(&TWICE.replace("@workgroup_size(64)", "@workgroup_size(65536)"), &x, &["own.wgsl", "Workgroup size"]);
    // Valid, but no adapter has so many threads in a workgroup.
    says(&TWICE.replace("@workgroup_size(64)", "@workgroup_size(8192)"), &x, &["own.wgsl", "8192", "at most"]);
}

/// A stand-in for Python: a shell script. It finds the module that is asked for where `imports` says so.
#[cfg(unix)]
fn python(folder: &std::path::Path, imports: bool, script: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("python");
    let import = if imports { "exit 0" } else { "exit 1" };
    std::fs::write(&path, format!("#!/bin/sh\nif [ \"$1\" = -c ]; then {import}; fi\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().into()
}

#[cfg(unix)]
#[test]
fn a_peer_tells_its_time_or_why_it_does_not() {
    use hindsight::bench::peers::{PeerError, Work, peers};
    let home = tempfile::tempdir().unwrap();
    let peer = &peers(Work::Hal(5), false, false)[0];
    let time = |imports: bool, script: &str| peer.time(home.path(), &python(home.path(), imports, script), false);
    let absent = |hint: &str, found: Result<_, PeerError>| match found {
        Err(PeerError::Absent(why)) => assert!(why.contains(hint), "{why}"),
        other => panic!("{other:?}"),
    };
    absent("there is no", time(true, "exit 0"));
    std::fs::write(home.path().join("hal_torch.py"), "").unwrap();
    absent("pip install torch", time(false, "exit 0"));
    assert_eq!(time(true, "echo out of memory >&2; exit 3"), Err(PeerError::Failed("out of memory".into())));
    assert!(matches!(time(true, "echo nothing"), Err(PeerError::Failed(_))));
    let line = r#"echo warming up; echo '{"peer": "PyTorch", "what": "hal 5", "seconds": 2.5, "accuracy": 72.5}'"#;
    let told = time(true, line).unwrap();
    assert_eq!((told.what.as_str(), told.seconds, told.accuracy), ("hal 5", 2.5, Some(72.5)));
    let product = &peers(Work::Product([8, 8, 8]), true, true)[0];
    absent("cargo build --release --manifest-path", product.time(home.path(), "python3", true));
}

#[test]
fn a_predicted_cost_is_twice_for_twice_the_runs_and_not_for_more_memory() {
    // One rate for everything, and no launch: what remains is the work of the programs.
    let copies = vec![CopyRate { bytes: 1e9, bytes_per_s: 1e9 }];
    let ceilings = Ceilings { fma_flops_per_s: 1e9, copies, launch_s: 0.0 };
    let predicted = |name: &str, value: usize| {
        let axis = growth::axes().into_iter().find(|axis| axis.name == name).unwrap();
        let point = axis.measure(&Device::Cpu, &ceilings, value, 1).unwrap();
        assert!(point.measured_s > 0.0 && point.training_step_s > 0.0 && point.search_step_s > 0.0, "{point:?}");
        point.predicted_s
    };
    let two_runs = predicted("runs side by side", 2);
    // First steps, which are left out, are a few of each program's.
    assert!((predicted("runs side by side", 4) / two_runs - 2.0).abs() < 0.02);
    assert!((predicted("memory", 16) / two_runs - 1.0).abs() < 1e-9);
    assert!(predicted("tasks", 4) > two_runs);
}
