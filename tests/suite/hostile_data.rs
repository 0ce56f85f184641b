//! Data files that are cut, crafted or not files at all: each is refused with its name, soon and in little memory.

use crate::image_data::{SMALL, archive, complains, encoded, lists, read_mini, read_small, records, tree, write};
use flate2::Compression;
use flate2::write::GzEncoder;
use hindsight::data::locate::DATA_SETS;
use hindsight::data::mini_imagenet::{self, decode};
use hindsight::data::{DataError, cifar100, idx, md5sum, mnist};
use hindsight::npy;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// An image of `side` pixels whose blocks all differ, as a JPEG.
fn photograph(side: usize, set: impl Fn(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let pixels: Vec<u8> = (0..side * side * 3).map(|i| (i * i / 7 % 251) as u8).collect();
    let mut bytes = vec![];
    let mut encoder = Encoder::new(&mut bytes, 80);
    set(&mut encoder);
    encoder.encode(&pixels, side as u16, side as u16, ColorType::Rgb).unwrap();
    bytes
}

/// Baseline and progressive JPEGs, with restarts and without, in colour and in grey.
fn kinds() -> Vec<Vec<u8>> {
    vec![
        photograph(40, |_| {}),
        photograph(40, |encoder| encoder.set_restart_interval(3)),
        photograph(40, |encoder| encoder.set_sampling_factor(SamplingFactor::F_1_1)),
        photograph(40, |encoder| encoder.set_progressive(true)),
        photograph(40, |encoder| {
            encoder.set_progressive(true);
            encoder.set_restart_interval(4);
        }),
        encoded(40, 40, &[100], ColorType::Luma),
    ]
}

/// Where a JPEG's first scan begins.
fn first_scan(jpeg: &[u8]) -> usize {
    jpeg.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap()
}

/// As [`decode`], of a file that has no name of its own.
fn decoded(jpeg: &[u8]) -> Result<Vec<u8>, DataError> {
    decode(Path::new("a.jpg"), jpeg)
}

#[test]
fn a_jpeg_whose_scan_is_cut_and_closed_is_refused() {
    for (kind, jpeg) in kinds().iter().enumerate() {
        assert!(decoded(jpeg).is_ok(), "kind {kind}");
        for length in first_scan(jpeg)..jpeg.len() - 2 {
            let cut = [&jpeg[..length], &[0xff, 0xd9]].concat();
            assert!(decoded(&cut).is_err(), "kind {kind} cut to {length} of {} bytes is taken", jpeg.len());
        }
    }
    let half = photograph(200, |_| {});
    let cut = [&half[..half.len() / 2], &[0xff, 0xd9]].concat();
    complains(decoded(&cut), &["a.jpg: expected a whole JPEG image, found", "ends early", "fresh copy"]);
}

#[test]
fn what_follows_a_jpegs_end_and_what_stands_before_its_frame_is_passed_over() {
    let jpeg = &photograph(40, |_| {});
    let pixels = decoded(jpeg).unwrap();
    // A preview in a segment of its own is a whole JPEG; so is what some cameras append.
    let preview = &jpeg[..300];
    let length = (preview.len() as u16 + 2).to_be_bytes();
    let with_preview = [&jpeg[..2], &[0xff, 0xe1], &length, preview, &jpeg[2..]].concat();
    for other in [with_preview, [jpeg, &jpeg[..]].concat(), [jpeg, &b"trailing"[..]].concat()] {
        assert!(decoded(&other).unwrap() == pixels);
    }
}

#[test]
fn a_jpeg_of_more_pixels_or_scans_than_photographs_have_is_refused_before_it_is_decoded() {
    let jpeg = photograph(40, |_| {});
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let sized = |width: u16, height: u16| {
        let mut jpeg = jpeg.clone();
        jpeg[frame + 5..][..2].copy_from_slice(&height.to_be_bytes());
        jpeg[frame + 7..][..2].copy_from_slice(&width.to_be_bytes());
        jpeg
    };
    complains(decoded(&sized(65_535, 65_535)), &["found 65535 x 65535 pixels, where 1 to 67108864 are read"]);
    complains(decoded(&sized(0, 40)), &["found 0 x 40 pixels"]);
    // Each scan is a few bytes, and would pass over all 64 million pixels.
    let mut many = photograph(40, |encoder| encoder.set_progressive(true));
    let frame = many.windows(2).position(|pair| pair == [0xff, 0xc2]).unwrap();
    many[frame + 5..][..4].copy_from_slice(&[0x1f, 0x40, 0x1f, 0x40]);
    many.truncate(first_scan(&many));
    (0..100).for_each(|_| many.extend([0xff, 0xda, 0, 8, 1, 1, 0, 1, 5, 2, 0]));
    many.extend([0xff, 0xd9]);
    complains(decoded(&many), &["scans that pass over more than"]);
}

#[test]
fn a_progressive_jpeg_without_some_of_its_scans_is_refused() {
    let jpeg = photograph(40, |encoder| encoder.set_progressive(true));
    let scans: Vec<usize> = (0..jpeg.len() - 1).filter(|&at| jpeg[at..at + 2] == [0xff, 0xda]).collect();
    assert!(scans.len() > 2, "{scans:?}");
    for &scan in &scans[1..] {
        complains(decoded(&[&jpeg[..scan], &[0xff, 0xd9]].concat()), &["found an image without all of its scans"]);
    }
}

#[test]
fn a_baseline_jpeg_in_several_scans_is_refused_since_its_decoder_leaves_rows_out() {
    let jpeg = photograph(40, |encoder| encoder.set_optimized_huffman_tables(true));
    complains(decoded(&jpeg), &["a baseline image in several scans", "save it anew"]);
}

#[test]
fn attributes_that_macos_keeps_beside_images_are_passed_over() {
    let home = tempfile::tempdir().unwrap();
    tree(home.path());
    let set = read_mini(home.path()).unwrap();
    for wnid in ["n01000000", "n02000000"] {
        write(home.path().join(wnid).join(format!("._{wnid}_0.JPEG")), "attributes");
        write(home.path().join(wnid).join(".DS_Store"), "places of icons");
    }
    let again = read_mini(home.path()).unwrap();
    assert!(again.train_images == set.train_images && again.test_images == set.test_images);
}

#[test]
fn a_list_names_images_inside_its_folder_only() {
    let home = tempfile::tempdir().unwrap();
    lists(home.path());
    for name in ["../a.jpg", "/etc/passwd", "a/../../b.jpg", ".", ""] {
        write(home.path().join("val.csv"), format!("filename,label\n{name},n01000000\n"));
        complains(read_mini(home.path()), &["val.csv: expected a file's name", "in line 2"]);
    }
}

#[test]
fn a_list_that_is_larger_than_any_is_refused_unread() {
    let home = tempfile::tempdir().unwrap();
    lists(home.path());
    // A sparse file takes no room.
    fs::File::create(home.path().join("val.csv")).unwrap().set_len(1 << 40).unwrap();
    complains(read_mini(home.path()), &["val.csv", "1099511627776 bytes"]);
    fs::remove_file(home.path().join("val.csv")).unwrap();
    lists(home.path());
    fs::File::create(home.path().join("images/n02000000a.jpg")).unwrap().set_len(1 << 40).unwrap();
    complains(read_mini(home.path()), &["n02000000a.jpg", "1099511627776 bytes"]);
}

#[test]
fn the_python_version_is_left_to_its_programs_and_hides_no_other() {
    let home = tempfile::tempdir().unwrap();
    let folders = ["a", "b"].map(|name| home.path().join(name));
    let python = folders[0].join("cifar-100-python");
    write(python.join("train"), "a pickle");
    let found = DATA_SETS[0].find(&folders).unwrap();
    assert_eq!(found, python);
    let message = cifar100::read(&found).err().unwrap().to_string();
    assert!(!message.contains("delete") && !message.contains("move"), "{message}");
    assert!(message.contains("leave it") && message.contains("hindsight data fetch cifar-100"), "{message}");
    let binary = write(folders[1].join("cifar-100-binary.tar.gz"), "");
    assert_eq!(DATA_SETS[0].find(&folders).unwrap(), binary);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A tar entry: type, name, content.
fn entry(kind: tar::EntryType, name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).unwrap();
    header.set_size(content.len() as u64);
    header.set_entry_type(kind);
    header.set_cksum();
    let padding = vec![0; content.len().next_multiple_of(512) - content.len()];
    [header.as_bytes(), content, &padding].concat()
}

fn packed(entries: &[Vec<u8>]) -> Vec<u8> {
    gzip(&[entries.concat(), vec![0; 1024]].concat())
}

#[test]
fn an_archive_is_unpacked_no_further_than_its_parts_are_large() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("cifar-100-binary.tar.gz");
    let [train, test] = [records([3, 1, 2]), records([7, 99])];
    let parts = || {
        let file = |name, bytes| entry(tar::EntryType::Regular, name, bytes);
        [file("cifar-100-binary/train.bin", &train), file("cifar-100-binary/test.bin", &test)]
    };
    // What a part is called in an extension of its own is passed over, since it can be of any length.
    let small = entry(tar::EntryType::GNULongName, "././@LongLink", b"a/long/name");
    write(&path, packed(&[vec![small], parts().to_vec()].concat()));
    assert!(read_small(&path).is_ok());
    // All are a few kilobytes once packed.
    let zeros = vec![0; 16 << 20];
    for kind in [tar::EntryType::GNULongName, tar::EntryType::XHeader, tar::EntryType::Regular] {
        for bomb in [
            vec![vec![entry(kind, "x", &zeros)], parts().to_vec()],
            vec![parts().to_vec(), vec![entry(kind, "x", &zeros)]],
        ] {
            write(&path, packed(&bomb.concat()));
            complains(read_small(&path), &["cifar-100-binary.tar.gz: expected", "found"]);
        }
    }
    write(&path, gzip(&zeros));
    complains(read_small(&path), &["cifar-100-binary.tar.gz: expected", "found"]);
}

#[test]
fn an_archive_with_links_or_with_a_part_twice_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c.tar.gz");
    let bytes = records([3, 1, 2]);
    write(&path, packed(&[entry(tar::EntryType::Symlink, "x/train.bin", b"")]));
    complains(read_small(&path), &["train.bin: expected one regular file of that name"]);
    write(&path, archive(&[("train.bin", &bytes), ("train.bin", &bytes)]));
    complains(read_small(&path), &["train.bin: expected one regular file of that name"]);
}

#[test]
fn a_packed_idx_file_is_unpacked_no_further_than_its_data_is_large() {
    let folder = tempfile::tempdir().unwrap();
    let dims = |count: u32| [&[0, 0, 8, 3][..], &count.to_be_bytes(), &[0, 0, 0, 28, 0, 0, 0, 28]].concat();
    // 64 MiB of zeros after the header of a data set that is larger, and of an empty one.
    let zeros = vec![0; 64 << 20];
    write(folder.path().join("train-images-idx3-ubyte.gz"), gzip(&[dims(700_000), zeros.clone()].concat()));
    for name in ["train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"] {
        write(folder.path().join(name), "");
    }
    complains(mnist::from_folder(folder.path()), &["dimensions [60000, 28, 28], found [700000, 28, 28]"]);
    let bytes = gzip(&[dims(0), zeros].concat());
    complains(idx::parse("a", &bytes), &["expected 0 bytes of data for dimensions [0, 28, 28], found 1 or more"]);
}

/// A pipe that nobody writes to: whoever reads it, waits.
#[cfg(unix)]
fn pipe(path: impl AsRef<Path>) {
    let _ = fs::remove_file(&path);
    assert!(Command::new("mkfifo").arg(path.as_ref()).status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_file_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    pipe(at("cifar-100-binary.tar.gz"));
    complains(read_small(&at("cifar-100-binary.tar.gz")), &["cifar-100-binary.tar.gz", "regular file"]);
    complains(md5sum::of_file(&at("cifar-100-binary.tar.gz")), &["regular file"]);
    pipe(at("train.bin"));
    complains(read_small(home.path()), &["train.bin", "regular file"]);
    pipe(at("train-images-idx3-ubyte"));
    complains(mnist::from_folder(home.path()), &["train-images-idx3-ubyte", "regular file"]);
    pipe(at("a.npy"));
    complains(npy::read(&at("a.npy")), &["a.npy", "regular file"]);
    complains(npy::read(Path::new("/dev/zero")), &["/dev/zero", "regular file"]);
}

#[cfg(unix)]
#[test]
fn a_pipe_among_images_lists_or_kept_images_is_refused_or_passed_over() {
    let home = tempfile::tempdir().unwrap();
    let (root, cache) = (home.path().join("set"), home.path().join("cache"));
    lists(&root);
    let whole = read_mini(&root).unwrap();
    fs::create_dir(&cache).unwrap();
    // Kept images can be made again.
    pipe(cache.join("mini-imagenet.images"));
    let read = |cache: Option<&Path>| mini_imagenet::read(&root, cache, SMALL, &|_| {});
    assert!(read(Some(&cache)).unwrap().train_images == whole.train_images);
    pipe(root.join("images/n01000000a.jpg"));
    complains(read(None), &["n01000000a.jpg", "regular file"]);
    pipe(root.join("val.csv"));
    complains(read(None), &["val.csv", "regular file"]);
}

#[test]
fn names_from_files_reach_no_terminal_as_they_are() {
    let home = tempfile::tempdir().unwrap();
    tree(home.path());
    write(home.path().join("n01000000/\u{1b}[2J\n.jpg"), "no image");
    let message = read_mini(home.path()).err().unwrap().to_string();
    assert!(!message.contains(['\u{1b}', '\n']) && message.contains("[2J"), "{message:?}");
    let mut npy = npy::encode(&[1], [0.5].into_iter());
    let at = npy.windows(3).position(|bytes| bytes == b"<f4").unwrap();
    npy[at] = 0x1b;
    let message = npy::parse(&npy).unwrap_err().to_string();
    assert!(!message.contains('\u{1b}') && message.contains("f4"), "{message:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn too_little_memory_is_not_called_a_damaged_file() {
    // From too little to load the program at all up to enough.
    for mebibytes in (60..150).step_by(10) {
        let limited = format!("ulimit -v {}; exec \"$0\" data verify --data /nowhere", mebibytes << 10);
        let output = Command::new("sh").args(["-c", &limited, env!("CARGO_BIN_EXE_hindsight")]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked") && !said.contains("fresh copy"), "{mebibytes} MiB: {said}");
    }
}

#[test]
fn an_npy_file_that_claims_more_than_it_has_asks_for_no_memory() {
    let home = tempfile::tempdir().unwrap();
    let header = |text: &str| [&b"\x93NUMPY\x02\x00"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let path = home.path().join("a.npy");
    write(&path, header("{'descr': '|u1', 'fortran_order': False, 'shape': (1099511627776,), }"));
    complains(npy::read(&path), &["holds 0 bytes of elements; wanted 1099511627776"]);
    // And one that has more than it claims is not read to its end.
    fs::File::options().append(true).open(&path).unwrap().set_len(1 << 41).unwrap();
    complains(npy::read(&path), &["wanted 1099511627776"]);
    write(&path, b"\x93NUMPY\x02\x00\xff\xff\xff\xff");
    complains(npy::read(&path), &["wanted a header of at most 65,536 bytes, found one of 4294967295"]);
}
