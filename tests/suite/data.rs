//! Data sets are what was published or a named error, and a seed fixes its stream of tasks.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use hindsight::data::idx::{Idx, parse};
use hindsight::data::mnist::{self, CLASSES, PIXELS, TEST_IMAGES, TRAIN_IMAGES};
use hindsight::data::rotated_mnist::{angles, rotation};
use hindsight::data::stream::{BLANK, HELD_OUT, TaskPlan, shown_at};
use hindsight::data::{Checksum, ImageSet, benchmarks};
use hindsight::device::Device;
use hindsight::methods::{self, Lab, Tested};
use hindsight::random::{Stream, generator};
use hindsight::settings::{Angles, RunSpec, Settings, TaskSet};
use proptest::prelude::*;

/// An IDX file of 2 x 3 bytes.
const SMALL: [u8; 18] = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn complaint(bytes: &[u8]) -> String {
    parse("digits", bytes).unwrap_err().to_string()
}

/// Whether the complaint about `bytes` names the file and says all of `parts`.
fn complains(bytes: &[u8], parts: &[&str]) {
    let message = complaint(bytes);
    for part in ["digits: expected", "found", "replace the file"].iter().chain(parts) {
        assert!(message.contains(part), "no {part:?} in {message:?}");
    }
}

fn plans(benchmark: &str, settings: &Settings, seed: u64) -> Vec<TaskPlan> {
    let benchmark = benchmarks::find(benchmark).unwrap();
    benchmark.stream(benchmark.data().unwrap(), settings, seed).unwrap()
}

fn sized(tasks: usize, images_per_task: usize, task_set: TaskSet) -> Settings {
    Settings { tasks, images_per_task, task_set, ..Settings::default() }
}

/// The permuted tasks that a seed is evaluated on.
fn stream(seed: u64, tasks: usize, images: usize) -> Vec<TaskPlan> {
    plans("permuted-mnist", &sized(tasks, images, TaskSet::Evaluation), seed)
}

/// Made-up digits of which none is a 3: 100 training images beside those held out, and 50 for tests.
fn digits_without_threes() -> &'static ImageSet {
    let labels = |count: usize| (0..count).map(|n| [0, 1, 2, 4, 5, 6, 7, 8, 9][n % 9]).collect::<Vec<u8>>();
    let images = |labels: &[u8]| {
        let image = |(n, label): (usize, &u8)| {
            let label = usize::from(*label);
            (0..784).map(move |p| if p / 78 == label { 200 + (n * 7 + p) as u8 % 50 } else { 0 })
        };
        labels.iter().enumerate().flat_map(image).collect::<Vec<u8>>()
    };
    let (train_labels, test_labels) = (labels(5100), labels(50));
    Box::leak(Box::new(ImageSet {
        shape: [28, 28, 1],
        classes: 10,
        train_images: images(&train_labels),
        test_images: images(&test_labels),
        train_labels,
        test_labels,
        checksums: vec![],
    }))
}

#[test]
fn tasks_that_have_all_digits_learn_those_that_there_are() {
    let data = digits_without_threes();
    for name in ["permuted-mnist", "rotated-mnist"] {
        let benchmark = benchmarks::find(name).unwrap();
        let settings = Settings {
            tasks: 2,
            images_per_task: 100,
            test_images: 50,
            anchor_steps: 2,
            finetune_steps: 2,
            samples: 2,
            test_samples: 2,
            ..Settings::default()
        };
        for method in methods::registry() {
            let mut lab = Lab::new(&Device::Cpu, benchmark, data, &RunSpec::seeds(&settings, &[0])).unwrap();
            let mut learner = method.start(&mut lab);
            for task in 0..2 {
                learner.learn(&mut lab, task);
                let found = learner.test(&mut lab, task).map(Tested::rows).unwrap_or_default();
                let fine = found.iter().flatten().all(|found| (0.0..=1.0).contains(found));
                assert!(fine, "{} on {name}: {found:?}", method.name());
            }
        }
        let refusal = |settings: &Settings| benchmark.stream(data, settings, 0).unwrap_err().to_string();
        let said = refusal(&Settings { images_per_task: 101, ..settings.clone() });
        assert!(said.contains("expected 101") && said.contains("--images 100"), "{said}");
        let said = refusal(&Settings { test_images: 51, ..settings });
        assert!(said.contains("expected 51") && said.contains("--test-images 50"), "{said}");
    }
}

#[test]
fn a_packed_file_reads_as_the_plain_one() {
    let expected = Idx { dims: vec![2, 3], bytes: vec![1, 2, 3, 4, 5, 6] };
    assert_eq!(parse("digits", &SMALL).unwrap(), expected);
    assert_eq!(parse("digits", &gzip(&SMALL)).unwrap(), expected);
}

#[test]
fn a_truncated_file_is_named_with_what_was_expected_and_found() {
    complains(&SMALL[..16], &["6 bytes of data for dimensions [2, 3]", "found 4"]);
    complains(&SMALL[..7], &["header of 12 bytes", "a file of 7"]);
    complains(&[], &["header of 4 bytes", "a file of 0"]);
}

#[test]
fn a_truncated_gzip_file_is_never_read_in_part() {
    let packed = gzip(&SMALL);
    for length in 2..packed.len() {
        complains(&packed[..length], &["whole gzip file", &format!("{length} bytes")]);
    }
}

#[test]
fn bytes_too_many_are_named() {
    complains(&[&SMALL[..], &[0]].concat(), &["6 bytes of data", "found 7"]);
    complains(&[&gzip(&SMALL)[..], &[0, 0]].concat(), &["found 2 bytes after it"]);
}

#[test]
fn a_file_of_another_kind_is_named_by_its_first_bytes() {
    complains(b"<html>", &["two zero bytes", "0x3c 0x68"]);
    complains(&[0, 0, 13, 1, 0, 0, 0, 0], &["0x08", "0x0d"]);
    complains(&[0, 0, 8, 0], &["at least one dimension"]);
}

#[test]
fn absurd_dimensions_ask_for_no_memory() {
    for rank in [2, 9, 255] {
        let header = [&[0, 0, 8, rank][..], &vec![0xff; 4 * usize::from(rank)]].concat();
        complains(&header, &["4294967295"]);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_the_parser(bytes in any::<Vec<u8>>()) {
        let _ = parse("digits", &bytes);
        let _ = parse("digits", &gzip(&bytes));
        let _ = parse("digits", &[&[0x1f, 0x8b, 8, 0][..], &bytes].concat());
        let _ = parse("digits", &[&[0, 0, 8][..], &bytes].concat());
    }

    #[test]
    fn any_damaged_byte_of_a_gzip_file_is_no_panic(at in 0..60_usize, byte: u8) {
        let mut packed = gzip(&SMALL);
        let length = packed.len();
        packed[at % length] = byte;
        let _ = parse("digits", &packed);
    }
}

#[test]
fn built_in_files_have_the_published_checksums() {
    let mnist = mnist::built_in().unwrap();
    let published = [
        ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
    ];
    let published = published.map(|(file, md5)| Checksum { file: file.into(), md5: md5.into() });
    assert_eq!(mnist.checksums, published);
}

#[test]
fn built_in_images_are_mnist() {
    let mnist = mnist::built_in().unwrap();
    assert_eq!(mnist.train_images.len(), TRAIN_IMAGES * PIXELS);
    assert_eq!(mnist.test_images.len(), TEST_IMAGES * PIXELS);
    assert_eq!(mnist.train_labels[..10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    assert_eq!(mnist.test_labels[..10], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
    // The mean pixel that every MNIST tutorial normalises by.
    let sum: u64 = mnist.train_images.iter().map(|&pixel| u64::from(pixel)).sum();
    let mean = sum as f64 / (255 * TRAIN_IMAGES * PIXELS) as f64;
    assert!((mean - 0.1307).abs() < 5e-5, "{mean}");
}

/// Fills a folder with files of MNIST's dimensions in which every pixel and label is 3.
fn blank_folder(folder: &Path) {
    let file = |name: &str, dims: &[usize], packed: bool| {
        let mut bytes = vec![0, 0, 8, dims.len() as u8];
        dims.iter().for_each(|&dim| bytes.extend((dim as u32).to_be_bytes()));
        bytes.resize(bytes.len() + dims.iter().product::<usize>(), 3);
        let bytes = if packed { gzip(&bytes) } else { bytes };
        fs::write(folder.join(name), bytes).unwrap();
    };
    // One of each spelling.
    file("train-images.idx3-ubyte", &[TRAIN_IMAGES, 28, 28], false);
    file("train-labels-idx1-ubyte", &[TRAIN_IMAGES], false);
    file("t10k-images-idx3-ubyte.gz", &[TEST_IMAGES, 28, 28], true);
    file("t10k-labels.idx1-ubyte.gz", &[TEST_IMAGES], true);
}

#[test]
fn a_folder_may_spell_and_pack_its_files_in_any_usual_way() {
    let folder = tempfile::tempdir().unwrap();
    blank_folder(folder.path());
    let mnist = mnist::from_folder(folder.path()).unwrap();
    assert!(mnist.train_images.iter().chain(&mnist.test_labels).all(|&byte| byte == 3));
    assert_eq!(mnist.checksums[3].file, "t10k-labels.idx1-ubyte.gz");
}

#[test]
fn what_is_wrong_in_a_folder_is_named_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let complaint = || match mnist::from_folder(folder.path()) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    };
    assert!(complaint().contains("no train-images-idx3-ubyte"), "{}", complaint());
    blank_folder(folder.path());
    let labels = folder.path().join("t10k-labels.idx1-ubyte.gz");

    let mut bytes = [&[0, 0, 8, 1, 0, 0, 0x27, 0x10][..], &[0; TEST_IMAGES]].concat();
    bytes[8 + 42] = CLASSES as u8;
    fs::write(&labels, &bytes).unwrap();
    assert!(complaint().contains("t10k-labels.idx1-ubyte.gz: expected labels 0 to 9, found 10 at position 42"));

    fs::write(&labels, &bytes[..500]).unwrap();
    assert!(complaint().contains("t10k-labels.idx1-ubyte.gz: expected 10000 bytes of data"));

    fs::write(&labels, SMALL).unwrap();
    assert!(complaint().contains("t10k-labels.idx1-ubyte.gz: expected dimensions [10000], found [2, 3]"));

    fs::remove_file(&labels).unwrap();
    fs::create_dir(&labels).unwrap();
    assert!(complaint().contains("cannot be read"), "{}", complaint());
}

#[test]
fn a_permutation_is_drawn_once_and_is_a_bijection() {
    let tasks = stream(0, 20, 10);
    assert_eq!(tasks, stream(0, 20, 10));
    for (t, task) in tasks.iter().enumerate() {
        let mut pixels = task.map.clone();
        pixels.sort_unstable();
        assert!(pixels.into_iter().eq(0..PIXELS as u32));
        assert!(tasks[..t].iter().all(|other| other.map != task.map));
    }
}

#[test]
fn the_first_task_is_permuted_too() {
    assert!(!stream(0, 1, 10)[0].map.is_sorted());
}

#[test]
fn an_inverse_undoes_its_permutation() {
    let map = &stream(0, 1, 10)[0].map;
    let inverse: Vec<u32> = shown_at(map).into_iter().map(|places| places[0]).collect();
    for p in 0..PIXELS {
        assert_eq!(inverse[map[p] as usize], p as u32);
        assert_eq!(map[inverse[p] as usize], p as u32);
    }
}

#[test]
fn a_task_draws_no_image_twice_and_none_of_the_held_out() {
    for mut task in stream(0, 20, 1_000) {
        task.images.sort_unstable();
        task.images.dedup();
        assert_eq!(task.images.len(), 1_000);
        assert!(task.images.iter().all(|&i| (HELD_OUT..TRAIN_IMAGES).contains(&(i as usize))));
    }
}

#[test]
fn no_tuning_task_is_an_evaluation_task() {
    let evaluation = stream(0, 20, 10);
    for tuning in plans("permuted-mnist", &sized(3, 10, TaskSet::Tuning), 0) {
        assert!(evaluation.iter().all(|task| task.map != tuning.map && task.images != tuning.images));
    }
}

#[test]
fn a_task_does_not_depend_on_how_many_or_how_large_tasks_are() {
    let few = stream(4, 2, 10);
    let many = stream(4, 20, 1_000);
    for (small, large) in few.iter().zip(&many) {
        assert_eq!(small.map, large.map);
        assert_eq!(small.images, large.images[..10]);
    }
}

#[test]
fn a_seed_is_the_same_stream_in_later_versions() {
    let task = &stream(0, 1, 4)[0];
    assert_eq!(task.map[..4], [15, 374, 62, 531]);
    assert_eq!(task.images, [42_109, 27_415, 53_930, 7_428]);
    // Seeds differ, and other uses of a seed do not touch its tasks.
    assert_ne!(stream(1, 1, 4)[0].map, task.map);
    generator(0, Stream::Order, 3).next_u64();
    assert_eq!(stream(0, 1, 4)[0], *task);
}

/// A digit turned by the definition, pixel by pixel: counter-clockwise about the centre, rows growing
/// downwards, each pixel the nearest original one.
fn turned(image: &[u8], degrees: f64) -> Vec<u8> {
    let turn = degrees * std::f64::consts::PI / 180.0;
    let mut out = vec![0; 784];
    for row in 0..28 {
        for column in 0..28 {
            // Right and up from the centre.
            let (right, up) = (f64::from(column) - 13.5, 13.5 - f64::from(row));
            let (length, angle) = (right.hypot(up), up.atan2(right) - turn);
            let (from_column, from_row) = (13.5 + length * angle.cos(), 13.5 - length * angle.sin());
            let (c, r) = ((from_column + 0.5).floor(), (from_row + 0.5).floor());
            if (0.0..28.0).contains(&c) && (0.0..28.0).contains(&r) {
                out[row as usize * 28 + column as usize] = image[r as usize * 28 + c as usize];
            }
        }
    }
    out
}

#[test]
fn rotated_tasks_show_what_the_definition_of_a_rotation_shows() {
    let data = benchmarks::find("rotated-mnist").unwrap().data().unwrap();
    for plan in plans("rotated-mnist", &sized(20, 10, TaskSet::Evaluation), 3) {
        let degrees = plan.about["degrees"].as_f64().unwrap();
        for &image in &plan.images {
            let image = &data.train_images[image as usize * 784..][..784];
            let shown: Vec<u8> = plan.map.iter().map(|&p| if p == BLANK { 0 } else { image[p as usize] }).collect();
            assert_eq!(shown, turned(image, degrees), "{degrees} degrees");
        }
    }
}

#[test]
fn a_quarter_turn_is_a_transposition() {
    // The topmost row goes to the left column, read from the bottom up: counter-clockwise.
    let map = rotation(90.0);
    assert!((0..784).all(|p| map[p] as usize == (p % 28) * 28 + (27 - p / 28)));
    assert!((0..784).all(|p| rotation(0.0)[p] as usize == p));
}

#[test]
fn sorted_angles_grow_in_equal_parts_and_are_the_same_for_every_seed() {
    let settings = sized(20, 10, TaskSet::Evaluation);
    let found = angles(&settings, 0);
    assert!(found.iter().enumerate().all(|(t, a)| (9.0 * t as f64..9.0 * (t + 1) as f64).contains(a)), "{found:?}");
    assert_eq!(found, angles(&settings, 1));
    let shuffled = |seed| angles(&Settings { angles: Angles::Shuffled, ..settings.clone() }, seed);
    assert_ne!(shuffled(0), shuffled(1));
    let mut sorted = shuffled(1);
    sorted.sort_by(f64::total_cmp);
    assert_eq!(sorted, found);
    let uniform = |seed| angles(&Settings { angles: Angles::Uniform, ..settings.clone() }, seed);
    assert!(uniform(0) != uniform(1) && uniform(0).iter().all(|a| (0.0..180.0).contains(a)));
    assert!(angles(&sized(3, 10, TaskSet::Tuning), 0).iter().all(|a| !found.contains(a)));
}

#[test]
fn every_shown_pixel_is_found_again_where_it_is_shown() {
    for degrees in [0.0, 17.0, 45.0, 133.0] {
        let map = rotation(degrees);
        let places = shown_at(&map);
        let shown = places.iter().flatten().filter(|at| **at != BLANK).count();
        assert_eq!(shown, map.iter().filter(|p| **p != BLANK).count());
        for (pixel, at) in places.iter().enumerate() {
            assert!(at.iter().filter(|at| **at != BLANK).all(|&at| map[at as usize] as usize == pixel));
        }
    }
}
