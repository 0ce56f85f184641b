//! The data sets of the image benchmarks: read as they are published, or refused by name; once decoded, kept.

use flate2::Compression;
use flate2::write::GzEncoder;
use hindsight::data::cifar100::{self, RECORD};
use hindsight::data::mini_imagenet::{self, Notice, Size, decode};
use hindsight::data::resize::resize;
use hindsight::data::{DataError, ImageSet, digits, md5sum};
use jpeg_encoder::{ColorType, Encoder};
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// A record in which pixel p is (p, p + 1, p + 2), modulo 256.
fn record(coarse: u8, fine: u8) -> Vec<u8> {
    let planes = (0..3).flat_map(|channel| (0..1024).map(move |p| (p + channel) as u8));
    [coarse, fine].into_iter().chain(planes).collect()
}

pub fn records(labels: impl IntoIterator<Item = u8>) -> Vec<u8> {
    labels.into_iter().flat_map(|label| record(label / 5, label)).collect()
}

/// The published archive's layout, with the given parts.
pub fn archive(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, bytes) in parts {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("cifar-100-binary/{name}"), *bytes).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// An archive of three training images and two test images.
pub fn small_archive() -> Vec<u8> {
    archive(&[("fine_label_names.txt", b"apple"), ("test.bin", &records([7, 99])), ("train.bin", &records([3, 1, 2]))])
}

pub fn read_small(path: &Path) -> Result<ImageSet, DataError> {
    cifar100::read_sized(path, [3, 2])
}

pub fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
    fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path.as_ref().to_owned()
}

/// That it is an error which says all of `parts`.
pub fn complains<T, E: std::fmt::Display>(result: Result<T, E>, parts: &[&str]) {
    let message = result.err().expect("it was accepted").to_string();
    for part in parts {
        assert!(message.contains(part), "no {part:?} in {message:?}");
    }
}

#[test]
fn cifar_100_reads_the_same_packed_and_unpacked() {
    let home = tempfile::tempdir().unwrap();
    let packed = write(home.path().join("cifar-100-binary.tar.gz"), small_archive());
    let inner = home.path().join("cifar-100-binary");
    write(inner.join("train.bin"), records([3, 1, 2]));
    write(inner.join("test.bin"), records([7, 99]));
    let packed = read_small(&packed).unwrap();
    assert_eq!((packed.shape, packed.classes), ([32, 32, 3], 100));
    assert_eq!((&packed.train_labels[..], &packed.test_labels[..]), (&[3, 1, 2][..], &[7, 99][..]));
    for unpacked in [&inner, home.path()].map(|path| read_small(path).unwrap()) {
        assert!(unpacked.train_images == packed.train_images && unpacked.test_images == packed.test_images);
        assert_eq!(unpacked.train_labels, packed.train_labels);
        assert_eq!(unpacked.checksums.iter().map(|sum| &*sum.file).collect::<Vec<_>>(), ["train.bin", "test.bin"]);
    }
}

#[test]
fn a_pixels_channels_lie_side_by_side_though_the_file_has_planes() {
    let part = cifar100::parse(Path::new("train.bin"), &records([0, 5])).unwrap();
    assert_eq!(part.images.len(), 2 * 32 * 32 * 3);
    assert!(part.images.chunks(3).enumerate().all(|(p, rgb)| rgb == [p as u8, (p + 1) as u8, (p + 2) as u8]));
}

#[test]
fn a_checksum_is_that_of_the_file_as_it_was_read() {
    let home = tempfile::tempdir().unwrap();
    let path = write(home.path().join("cifar-100-binary.tar.gz"), small_archive());
    let checksums = read_small(&path).unwrap().checksums;
    assert_eq!(checksums.len(), 1);
    assert_eq!(checksums[0].file, "cifar-100-binary.tar.gz");
    assert_eq!(checksums[0].md5, md5sum::of_file(&path).unwrap());
    // As RFC 1321 has it.
    assert_eq!(md5sum::of_file(&write(home.path().join("abc"), "abc")).unwrap(), "900150983cd24fb0d6963f7d28e17f72");
}

#[test]
fn a_truncated_archive_is_named_with_what_was_expected() {
    let home = tempfile::tempdir().unwrap();
    let whole = small_archive();
    for length in [0, 1, 20, whole.len() / 2, whole.len() - 1] {
        let path = write(home.path().join("c.tar.gz"), &whole[..length]);
        complains(read_small(&path), &["c.tar.gz", "expected", "found", "hindsight data fetch cifar-100"]);
    }
}

#[test]
fn a_part_of_another_size_is_named_with_both_sizes() {
    let home = tempfile::tempdir().unwrap();
    write(home.path().join("test.bin"), records([7, 99]));
    let train = write(home.path().join("train.bin"), &records([1, 2, 3])[1..]);
    complains(read_small(home.path()), &["train.bin: expected 9222 bytes, 3 records of 3074, found 9221"]);
    // The size that counts is the published one.
    fs::write(&train, records([1, 2, 3])).unwrap();
    complains(cifar100::read(home.path()), &["train.bin: expected 153700000 bytes", "50000 records", "found 9222"]);
    fs::remove_file(&train).unwrap();
    complains(read_small(home.path()), &["train.bin: cannot be read"]);
    let packed = write(home.path().join("c.tar.gz"), archive(&[("train.bin", &records([1, 2, 3]))]));
    complains(read_small(&packed), &["c.tar.gz: expected train.bin and test.bin in the archive"]);
}

#[test]
fn a_label_too_large_is_named_with_its_record() {
    let file = Path::new("train.bin");
    let two = |coarse, fine| [record(0, 0), record(coarse, fine)].concat();
    complains(cifar100::parse(file, &two(0, 100)), &["train.bin", "fine ones below 100", "0 and 100 in record 1"]);
    complains(cifar100::parse(file, &two(20, 0)), &["coarse labels below 20", "20 and 0 in record 1"]);
}

#[test]
fn the_python_version_is_named_as_such() {
    let home = tempfile::tempdir().unwrap();
    let archive = write(home.path().join("cifar-100-python.tar.gz"), "");
    let pickles = home.path().join("cifar-100-python");
    write(pickles.join("train"), "");
    for path in [&archive, &pickles] {
        complains(cifar100::read(path), &["expected the binary version", "the Python version", "data fetch cifar-100"]);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_no_cifar_100_and_no_panic(bytes in any::<Vec<u8>>()) {
        prop_assert!(cifar100::parse(Path::new("x"), &bytes).is_ok() == bytes.is_empty());
        let home = tempfile::tempdir().unwrap();
        let path = write(home.path().join("x.tar.gz"), &bytes);
        prop_assert!(read_small(&path).is_err());
    }

    #[test]
    fn a_damaged_archive_is_refused_or_reads_as_a_whole_set(at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()) {
        let home = tempfile::tempdir().unwrap();
        let mut bytes = small_archive();
        *at.get_mut(&mut bytes) = byte;
        let path = write(home.path().join("x.tar.gz"), &bytes);
        if let Ok(set) = read_small(&path) {
            prop_assert_eq!((set.train_images.len(), set.test_images.len()), (3 * 3072, 2 * 3072));
            prop_assert!(set.train_labels.iter().chain(&set.test_labels).all(|&label| label < 100));
        }
        fs::write(&path, &bytes[..cut.index(bytes.len())]).unwrap();
        prop_assert!(read_small(&path).is_err());
    }

    #[test]
    fn damaged_records_are_refused_or_parse(at in 0..2 * RECORD, byte: u8) {
        let mut bytes = records([4, 9]);
        bytes[at] = byte;
        if let Ok(part) = cifar100::parse(Path::new("x"), &bytes) {
            prop_assert_eq!(part.images.len(), 2 * 3072);
            prop_assert!(part.labels.iter().all(|&label| label < 100));
        }
    }
}

#[test]
fn digits_in_colour_are_the_published_ones_each_in_an_ink_of_its_own() {
    let set = digits::built_in();
    assert_eq!(set.checksums[0].md5, digits::PUBLISHED);
    assert_eq!((set.shape, set.classes), ([8, 8, 3], 10));
    assert_eq!(set.train_labels[..12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    for (images, labels, each) in
        [(&set.train_images, &set.train_labels, 140), (&set.test_images, &set.test_labels, 34)]
    {
        assert_eq!((images.len(), labels.len()), (10 * each * 8 * 8 * 3, 10 * each));
        assert!((0..10).all(|digit| labels.iter().filter(|&&label| label == digit).count() == each));
    }
    // The first image's third row, and what its ink makes of it: red, as the colour circle begins.
    let levels = [0, 3, 15, 2, 0, 11, 8, 0].map(|grey: u32| [(grey * 255 + 8) / 16, 0, 0].map(|level| level as u8));
    assert_eq!(set.train_images[2 * 8 * 3..3 * 8 * 3], *levels.concat());
    // Whatever the ink, its brightest channel shows the digit as it is.
    let brightest = set.train_images.chunks(8 * 8 * 3).map(|image| *image.iter().max().unwrap());
    assert!(brightest.min().unwrap() >= 200);
    let mean = |channel: usize| {
        let levels = set.train_images.iter().skip(channel).step_by(3);
        levels.map(|&level| f64::from(level)).sum::<f64>() / (set.train_images.len() / 3) as f64
    };
    assert!([1, 2].iter().all(|&channel| (mean(channel) / mean(0) - 1.0).abs() < 0.02), "{:?}", [0, 1, 2].map(mean));
}

/// A JPEG of one colour.
fn jpeg(width: usize, height: usize, colour: [u8; 3]) -> Vec<u8> {
    encoded(width, height, &colour, ColorType::Rgb)
}

pub fn encoded(width: usize, height: usize, colour: &[u8], kind: ColorType) -> Vec<u8> {
    let mut bytes = vec![];
    Encoder::new(&mut bytes, 100).encode(&colour.repeat(width * height), width as u16, height as u16, kind).unwrap();
    bytes
}

/// Three classes of two training images and one test image.
pub const SMALL: Size = Size { classes: 3, train: 2, test: 1 };
/// Out of order, since folders are not.
const WNIDS: [&str; 3] = ["n02000000", "n01000000", "n03000000"];

/// How red image `i` of the class with this id is.
fn red(wnid: &str, i: usize) -> u8 {
    let class = wnid[1..3].parse::<u8>().unwrap();
    50 * class + 10 * i as u8
}

/// Writes image `i` of a class.
fn photograph(path: impl AsRef<Path>, wnid: &str, i: usize) {
    write(path, jpeg(84, 84, [red(wnid, i), 0, 0]));
}

/// A folder a class, of three images each, and one image too many in the last.
pub fn tree(root: &Path) {
    for wnid in WNIDS {
        (0..3).for_each(|i| photograph(root.join(wnid).join(format!("{wnid}_{i}.JPEG")), wnid, i));
    }
    photograph(root.join("n03000000/z.jpg"), "n03000000", 3);
    write(root.join("n03000000/notes.txt"), "not an image");
    write(root.join("README/a.jpg"), "not a class");
}

fn silent(_: Notice<'_>) {}

pub fn read_mini(root: &Path) -> Result<ImageSet, DataError> {
    mini_imagenet::read(root, None, SMALL, &silent)
}

/// The images as how red their middle is, JPEG's rounding away.
fn reds(images: &[u8]) -> Vec<u8> {
    images.chunks(84 * 84 * 3).map(|image| (image[3 * (42 * 84 + 42)] + 5) / 10 * 10).collect()
}

/// That the classes are in the order of their ids, and images in order within them.
fn is_small_set(set: &ImageSet) {
    assert_eq!((set.shape, set.classes), ([84, 84, 3], 3));
    assert_eq!((&set.train_labels[..], &set.test_labels[..]), (&[0, 0, 1, 1, 2, 2][..], &[0, 1, 2][..]));
    assert_eq!(reds(&set.train_images), [50, 60, 100, 110, 150, 160]);
    assert_eq!(reds(&set.test_images), [70, 120, 170]);
}

#[test]
fn classes_are_numbered_by_sorted_id_and_split_within_each() {
    let home = tempfile::tempdir().unwrap();
    tree(home.path());
    is_small_set(&read_mini(home.path()).unwrap());
}

#[test]
fn folders_of_splits_are_taken_one_after_another() {
    let home = tempfile::tempdir().unwrap();
    for wnid in WNIDS {
        // By name alone, the test image would come first.
        photograph(home.path().join("val").join(wnid).join("a.jpg"), wnid, 2);
        (0..2).for_each(|i| photograph(home.path().join("train").join(wnid).join(format!("b{i}.jpg")), wnid, i));
    }
    is_small_set(&read_mini(home.path()).unwrap());
}

/// The layout of Ravi and Larochelle; a class is in one list only, its images in the list's order.
pub fn lists(root: &Path) {
    for (split, wnid) in ["train", "val", "test"].into_iter().zip(WNIDS) {
        let names = ["c", "a", "b"].map(|name| format!("{wnid}{name}.jpg"));
        let lines: Vec<String> = names.iter().map(|name| format!("{name},{wnid}\r\n")).collect();
        write(root.join(format!("{split}.csv")), format!("filename,label\r\n{}", lines.concat()));
        names.iter().enumerate().for_each(|(i, name)| photograph(root.join("images").join(name), wnid, i));
    }
}

#[test]
fn lists_give_the_order_of_their_lines() {
    let home = tempfile::tempdir().unwrap();
    lists(home.path());
    is_small_set(&read_mini(home.path()).unwrap());
}

#[test]
fn a_wrong_list_is_named_with_its_line() {
    let home = tempfile::tempdir().unwrap();
    lists(home.path());
    let list = home.path().join("val.csv");
    write(&list, "filename,label\na.jpg,n01000000\nb.jpg\n");
    complains(read_mini(home.path()), &["val.csv: expected", "in line 3, found \"b.jpg\""]);
    write(&list, "name,class\n");
    complains(read_mini(home.path()), &["val.csv: expected filename,label in line 1, found \"name,class\""]);
    fs::remove_file(&list).unwrap();
    complains(read_mini(home.path()), &["val.csv: cannot be read"]);
    lists(home.path());
    fs::remove_file(home.path().join("images/n02000000a.jpg")).unwrap();
    complains(read_mini(home.path()), &["n02000000a.jpg: cannot be read"]);
}

#[test]
fn a_set_with_too_little_is_named_with_what_it_lacks() {
    let home = tempfile::tempdir().unwrap();
    complains(read_mini(home.path()), &["expected class folders", "found neither", "hindsight data"]);
    tree(home.path());
    fs::remove_file(home.path().join("n02000000/n02000000_1.JPEG")).unwrap();
    complains(read_mini(home.path()), &["expected 3 images or more of class n02000000, found 2"]);
    fs::remove_dir_all(home.path().join("n02000000")).unwrap();
    complains(read_mini(home.path()), &["expected 3 classes, found 2"]);
}

#[test]
fn a_file_that_is_no_whole_jpeg_is_named() {
    let (file, whole) = (Path::new("a.jpg"), jpeg(84, 84, [90, 20, 30]));
    for length in 0..whole.len() {
        complains(decode(file, &whole[..length]), &["a.jpg: expected a whole JPEG image, found", "replace it"]);
    }
    assert_eq!(decode(file, &whole).unwrap().len(), 84 * 84 * 3);
}

#[test]
fn grey_images_and_those_in_printing_inks_become_red_green_and_blue() {
    let middle = |colour: &[u8], kind| {
        let bytes = encoded(84, 84, colour, kind);
        decode(Path::new("a.jpg"), &bytes).unwrap()[3 * (42 * 84 + 42)..][..3].to_vec()
    };
    assert_eq!(middle(&[100], ColorType::Luma), [100, 100, 100]);
    let red = middle(&[0, 255, 255, 0], ColorType::Cmyk);
    assert!(red[0] > 250 && red[1] < 5 && red[2] < 5, "{red:?}");
}

proptest! {
    #[test]
    fn a_damaged_jpeg_is_refused_or_is_84_pixels_wide(
        side in 1..40_usize, progressive: bool, damage: [(prop::sample::Index, u8); 2]
    ) {
        let mut bytes = vec![];
        let mut encoder = Encoder::new(&mut bytes, 90);
        encoder.set_progressive(progressive);
        let pixels: Vec<u8> = (0..side * side * 3).map(|i| (i * 37 % 251) as u8).collect();
        encoder.encode(&pixels, side as u16, side as u16, ColorType::Rgb).unwrap();
        damage.iter().for_each(|(at, byte)| *at.get_mut(&mut bytes) = *byte);
        if let Ok(image) = decode(Path::new("a.jpg"), &bytes) {
            prop_assert_eq!(image.len(), 84 * 84 * 3);
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_jpeg_and_no_panic(bytes in any::<Vec<u8>>()) {
        let _ = decode(Path::new("a.jpg"), &bytes);
        let _ = decode(Path::new("a.jpg"), &[&[0xff, 0xd8, 0xff, 0xda][..], &bytes, &[0xff, 0xd9]].concat());
    }
}

proptest! {
    // Each of them writes a whole set.
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn arbitrary_lists_are_no_panic(text in "(filename,label\n)?([a-z.]{0,4},?n?[0-9]{8}\r?\n){0,4}.{0,9}") {
        let home = tempfile::tempdir().unwrap();
        lists(home.path());
        write(home.path().join("test.csv"), &text);
        let _ = read_mini(home.path());
    }
}

#[test]
fn resizing_is_the_mean_under_a_triangle() {
    // Three rows of four pixels to one pixel: by hand, weights 1/8, 3/8, 3/8, 1/8 along, 1/5, 3/5, 1/5 down.
    let pixels: Vec<u8> = (0..12).flat_map(|p| [p * 10, 100, 255 - p]).collect();
    let along = [0.125, 0.375, 0.375, 0.125];
    let down = [0.2, 0.6, 0.2];
    let mean = |channel: usize| -> f64 {
        (0..12).map(|p| down[p / 4] * along[p % 4] * f64::from(pixels[3 * p + channel])).sum()
    };
    let expected = [0, 1, 2].map(|channel| mean(channel).round() as u8);
    assert_eq!(resize(&pixels, [4, 3], 1), expected);
}

#[test]
fn resizing_keeps_flat_images_and_left_from_right() {
    for (width, height) in [(1, 1), (84, 84), (500, 333), (33, 250)] {
        assert!(resize(&[7, 80, 200].repeat(width * height), [width, height], 84).chunks(3).all(|p| p == [7, 80, 200]));
    }
    let ramp: Vec<u8> = (0..200 * 100).flat_map(|p| [(p % 200) as u8, (p / 200) as u8, 0]).collect();
    let small = resize(&ramp, [200, 100], 84);
    let at = |x: usize, y: usize| [small[3 * (84 * y + x)], small[3 * (84 * y + x) + 1]].map(f64::from);
    for (x, y) in [(10, 10), (42, 20), (70, 70)] {
        let expected = [(x as f64 + 0.5) * 200.0 / 84.0 - 0.5, (y as f64 + 0.5) * 100.0 / 84.0 - 0.5];
        assert!(at(x, y).iter().zip(expected).all(|(a, b)| (a - b).abs() <= 0.51), "{:?} {expected:?}", at(x, y));
    }
}

/// What reading says: how many images were decoded, how often they could not be kept.
fn read_kept(root: &Path, cache: &Path) -> (ImageSet, usize, usize) {
    let said = Mutex::new((0, 0));
    let progress = |notice: Notice<'_>| match notice {
        Notice::Decoded { done, of } => said.lock().unwrap().0 += usize::from(done == of) * of,
        Notice::NotKept { .. } => said.lock().unwrap().1 += 1,
    };
    let set = mini_imagenet::read(root, Some(cache), SMALL, &progress).unwrap();
    let (decoded, not_kept) = *said.lock().unwrap();
    (set, decoded, not_kept)
}

#[test]
fn decoded_images_are_kept_until_a_file_changes() {
    let home = tempfile::tempdir().unwrap();
    let (root, cache) = (home.path().join("set"), home.path().join("cache/of it"));
    tree(&root);
    let (first, decoded, _) = read_kept(&root, &cache);
    assert_eq!(decoded, 9);
    let (again, decoded, _) = read_kept(&root, &cache);
    assert_eq!(decoded, 0);
    is_small_set(&again);
    assert_eq!(first.checksums, again.checksums);
    assert_eq!(first.checksums[0].md5.len(), 32);
    photograph(root.join("n01000000/n01000000_0.JPEG"), "n01000000", 4);
    let (changed, decoded, _) = read_kept(&root, &cache);
    assert_eq!((decoded, reds(&changed.train_images)[0]), (9, 90));
    assert_ne!(first.checksums, changed.checksums);
    // Nothing but the one file is left.
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
}

#[test]
fn a_damaged_cache_is_made_anew() {
    let home = tempfile::tempdir().unwrap();
    let (root, cache) = (home.path().join("set"), home.path().join("cache"));
    tree(&root);
    read_kept(&root, &cache);
    let file = cache.join("mini-imagenet.images");
    let whole = fs::read(&file).unwrap();
    let damage = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    // The magic, the key, the sum, each size, a label, a pixel; an end too early, too late, nothing.
    let places = [0, 20, 60, 80, 88, 96, 104, 112, 120, 128, 5000, whole.len() - 1].map(damage);
    let lengths = [&whole[..whole.len() - 1], &[&whole[..], &[0]].concat(), &whole[..100], &[]].map(<[u8]>::to_vec);
    for bytes in places.into_iter().chain(lengths) {
        fs::write(&file, &bytes).unwrap();
        let (set, decoded, _) = read_kept(&root, &cache);
        assert_eq!(decoded, 9);
        is_small_set(&set);
        assert!(fs::read(&file).unwrap() == whole);
    }
}

#[test]
fn a_cache_that_cannot_be_written_costs_only_time() {
    let home = tempfile::tempdir().unwrap();
    tree(home.path());
    let file = write(home.path().join("a file"), "where the cache folder should be");
    let (set, decoded, not_kept) = read_kept(home.path(), &file);
    assert_eq!((decoded, not_kept), (9, 1));
    is_small_set(&set);
}
