//! How much memory runs take, and what happens where they do not fit.

use hindsight::autodiff::Tape;
use hindsight::device::{Device, Room};
use hindsight::experiment::{self, Experiment, ExperimentError, Observer, Progress};
use hindsight::program::{Cpu, Footprint, Session};
use hindsight::settings::{RunSpec, Settings};

fn footprint() -> Footprint {
    Footprint {
        shared: 100,
        per_run: 40,
        temporaries: 10,
        host: 7,
        cpu: None,
        largest_shared: (100, "images".into()),
        largest_per_run: (20, "theta".into()),
    }
}

#[test]
fn as_many_runs_fit_as_nine_tenths_of_the_memory_hold() {
    let fit = |memory: u64| footprint().runs_that_fit(Room { memory: Some(memory), ..Room::default() }, 5, false);
    // 90 % of 280 is 252: the shared 100, and three times 50.
    assert_eq!([fit(10_000), fit(280), fit(277), fit(167), fit(166)], [5, 3, 2, 1, 0]);
}

#[test]
fn threads_of_a_cpu_have_the_temporaries_and_checkpoints_take_copies() {
    let footprint = Footprint { cpu: Some(Cpu { threads: 2, resident: 1000 }), ..footprint() };
    assert_eq!(footprint.of_runs(5), 100 + 5 * (40 + 7) + 2 * 10);
    assert_eq!(footprint.in_use(1), 1000 + 100 + 47 + 10);
    let room = |memory: u64| Room { memory: Some(memory), ..Room::default() };
    let fit = |memory: u64, kept: bool| footprint.runs_that_fit(room(memory), 9, kept);
    // 90 % of 400 is 360: 100, 20, and five times 47, or one time that and two copies of 40, and no second time.
    assert_eq!([fit(400, false), fit(400, true)], [5, 1]);
    assert_eq!(footprint.runs_that_fit(Room::default(), 9, true), 9);
}

#[test]
fn a_buffer_of_all_runs_must_fit_a_binding() {
    let fit = |buffer: u64| footprint().runs_that_fit(Room { buffer: Some(buffer), ..Room::default() }, 9, false);
    assert_eq!([fit(1000), fit(119), fit(100), fit(99)], [9, 5, 5, 0]);
}

#[test]
fn an_error_names_what_helps_and_no_flag_that_does_not() {
    let buffer = |name: &str| (name.to_string(), 200 << 20, 128 << 20);
    let (name, needed, there) = buffer("training images");
    let images = ExperimentError::SharedBuffer { name, needed, there }.to_string();
    assert!(images.contains("200 MiB") && images.contains("--device cpu") && !images.contains("--images"), "{images}");
    let (name, needed, there) = buffer("anchors");
    let own = ExperimentError::Buffer { name, needed, there }.to_string();
    assert!(own.contains("'anchors'") && own.contains("--images"), "{own}");
}

#[test]
fn temporaries_count_as_long_as_their_program_lives() {
    let mut session = Session::new(&Device::Dry, 3);
    let (x, y) = (session.state("x", &[10, 10]), session.state("y", &[10, 10]));
    session.images("images", 1, &[7, 3], &[0; 21]);
    let program = |session: &Session| {
        let tape = Tape::new();
        let product = tape.load(&x).matmul(tape.load(&x));
        tape.assign(&y, product.matmul(product));
        session.compile(&tape)
    };
    let first = program(&session);
    drop(first);
    let one = session.footprint();
    assert_eq!((one.shared, one.per_run, one.temporaries), (21, 4 * 200, 4 * 100));
    let _both = (program(&session), program(&session));
    assert_eq!(session.footprint().temporaries, 4 * 200);
}

struct Groups(Vec<(usize, usize)>);
impl Observer for Groups {
    fn prepared(&mut self, _: &str, footprint: &Footprint, at_a_time: usize, runs: usize, _: usize) {
        // Images that all runs share, and two layers' weights a run at the least.
        assert!(footprint.shared > 60_000 * 784 && footprint.per_run > 4 * 269_322);
        self.0.push((at_a_time, runs));
    }
    fn task_finished(&mut self, _: &Progress<'_>) {}
    fn wants_parameters(&self) -> bool {
        true
    }
}

#[test]
fn every_method_can_be_prepared_without_a_device() {
    let settings = Settings { tasks: 2, images_per_task: 30, test_images: 50, ..Settings::default() };
    for method in hindsight::methods::registry() {
        let runs = RunSpec::seeds(&settings, &[1, 2]);
        let experiment = Experiment { benchmark: "rotated-mnist".into(), method: method.name().into(), runs };
        let mut groups = Groups(vec![]);
        experiment::run(&experiment, &Device::Dry, &mut groups).unwrap();
        assert_eq!(groups.0, [(2, 2)], "{}", method.name());
    }
}

#[test]
fn runs_in_groups_are_those_side_by_side() {
    let settings = Settings { tasks: 2, images_per_task: 30, test_images: 50, ..Settings::default() };
    let runs = RunSpec::seeds(&settings, &[1, 2, 3]);
    let experiment = Experiment { benchmark: "permuted-mnist".into(), method: "er".into(), runs };
    let mut groups = Groups(vec![]);
    let mut matrices = |at_most: usize| {
        let finished = experiment::run_in_groups(&experiment, &Device::Cpu, &mut groups, at_most).unwrap();
        finished.into_iter().map(|run| (run.record.seed, run.record.matrix, run.parameters)).collect::<Vec<_>>()
    };
    assert_eq!(matrices(2), matrices(usize::MAX));
    assert_eq!(groups.0, [(2, 3), (3, 3)]);
}

/// The line of standard error that says what memory is taken, and the peak that the system measured, both in MiB.
#[cfg(target_os = "linux")]
fn announced_and_measured(args: &[&str]) -> (f64, f64) {
    use std::io::{BufRead, BufReader};
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("run");
    let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_hindsight"))
        .args([&["run", "--device=cpu", "--out", out.to_str().unwrap()], args].concat())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", run.id());
    let lines = BufReader::new(run.stderr.take().unwrap()).lines();
    // To the end: the program writes more lines than this one.
    let said = std::thread::spawn(move || {
        let mib = |line: String| line.strip_suffix(" MiB")?.rsplit_once(' ')?.1.parse::<f64>().ok();
        lines.map_while(Result::ok).filter_map(mib).collect::<Vec<f64>>()
    });
    let mut peak = 0.0;
    while run.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let found = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak = found.map_or(peak, |kilobytes| kilobytes.trim().parse::<f64>().unwrap() / 1024.0);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(run.wait().unwrap().success());
    (said.join().unwrap()[0], peak)
}

#[cfg(target_os = "linux")]
#[test]
fn the_memory_that_is_announced_is_what_is_measured() {
    let sizes = ["--tasks=2", "--images=20", "--test-images=50"];
    for (method, seeds, more) in [
        ("er", "--seeds=300", &[][..]),
        ("finetune", "--seeds=1", &[]),
        ("hal", "--seeds=40", &["--anchor-steps=2", "--finetune-steps=2"]),
    ] {
        let (announced, measured) = announced_and_measured(&[&["--method", method, seeds], &sizes[..], more].concat());
        let off = announced / measured - 1.0;
        assert!(off.abs() < 0.15, "{method}, {seeds}: {announced} MiB announced, {measured:.0} MiB measured");
    }
}
