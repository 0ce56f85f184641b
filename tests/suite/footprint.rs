//! How much memory runs take, and what happens where they do not fit.

use hindsight::autodiff::Tape;
use hindsight::device::{Device, Room};
use hindsight::experiment::{self, Experiment, ExperimentError, Observer, Progress};
use hindsight::program::{Footprint, Session};
use hindsight::settings::{RunSpec, Settings};

fn footprint() -> Footprint {
    Footprint {
        shared: 100,
        per_run: 50,
        largest_shared: (100, "images".into()),
        largest_per_run: (20, "theta".into()),
    }
}

#[test]
fn as_many_runs_fit_as_nine_tenths_of_the_memory_hold() {
    let fit = |memory: u64| footprint().runs_that_fit(Room { memory: Some(memory), buffer: None }, 5);
    // 90 % of 280 is 252: the shared 100, and three times 50.
    assert_eq!([fit(10_000), fit(280), fit(277), fit(167), fit(166)], [5, 3, 2, 1, 0]);
}

#[test]
fn a_buffer_of_all_runs_must_fit_a_binding() {
    let fit = |buffer: u64| footprint().runs_that_fit(Room { memory: None, buffer: Some(buffer) }, 9);
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
    assert_eq!((one.shared, one.per_run), (21, 4 * 300));
    let _both = (program(&session), program(&session));
    assert_eq!(session.footprint().per_run, 4 * 400);
}

struct Groups(Vec<(usize, usize)>);
impl Observer for Groups {
    fn prepared(&mut self, _: &str, footprint: &Footprint, at_a_time: usize, runs: usize, _: usize) {
        // Images that all runs share, and two layers' weights a run at the least.
        assert!(footprint.shared > 60_000 * 784 && footprint.per_run > 4 * 269_322);
        self.0.push((at_a_time, runs));
    }
    fn task_finished(&mut self, _: &Progress<'_>) {}
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
