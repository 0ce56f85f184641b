//! CIFAR-100: the binary version of its authors, packed or unpacked.
//!
//! A record is a coarse label, a fine label, and 1,024 bytes each of red, green and blue, row by row. Source:
//! Alex Krizhevsky's page, <https://www.cs.toronto.edu/~kriz/cifar.html>. The fine labels are the classes.

use super::fetch::Download;
use super::locate::{self, DataSet};
use super::md5sum::{self, Summed};
use super::{Checksum, DataError, ImageSet, unreadable};
use crate::files;
use flate2::bufread::GzDecoder;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use tar::Archive;

/// Pixels of a side.
pub const SIDE: usize = 32;
/// Classes, the fine labels.
pub const CLASSES: usize = 100;
/// Groups of classes, the coarse labels, of which no benchmark knows.
pub const COARSE_CLASSES: usize = 20;
/// Training images.
pub const TRAIN_IMAGES: usize = 50_000;
/// Test images.
pub const TEST_IMAGES: usize = 10_000;

/// Bytes of a channel.
const PLANE: usize = SIDE * SIDE;
/// Bytes of a record.
pub const RECORD: usize = 2 + 3 * PLANE;
/// The parts of the binary version.
const PARTS: [&str; 2] = ["train.bin", "test.bin"];
const REMEDY: &str = "move it away and run `hindsight data fetch cifar-100`";
/// What a Python version is called, packed and unpacked.
const PYTHON: &str = "cifar-100-python";
/// What the archive may have beside its two parts once unpacked: headers, padding, lists of names.
const BESIDE_PARTS: u64 = 1 << 20;

/// Where it is looked for.
pub const DATA_SET: DataSet = DataSet {
    name: "cifar-100",
    title: "CIFAR-100",
    names: &["cifar-100-binary.tar.gz", "cifar-100-binary"],
    unread_names: &["cifar-100-python.tar.gz", PYTHON],
    is_it: |path| path.join(PARTS[0]).is_file() || path.is_file() && path.file_name() == Some(DOWNLOAD.file.as_ref()),
    remedy: "run `hindsight data fetch cifar-100`, or put cifar-100-binary.tar.gz, or train.bin and test.bin of it in \
             a folder cifar-100-binary, into a folder that --data or HINDSIGHT_DATA names",
    download: Some(DOWNLOAD),
    verify: |path, _| verify(path),
};

/// Where the binary version is fetched from.
pub const DOWNLOAD: Download = Download {
    url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    mirror_variable: "HINDSIGHT_CIFAR100_URL",
    file: "cifar-100-binary.tar.gz",
    size: 168_513_733,
    md5: "03b5dce01913d631647c71ecec9e9cb8",
};

/// The published sums of its archives.
const PUBLISHED: [(&str, &str); 2] =
    [(DOWNLOAD.file, DOWNLOAD.md5), ("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85")];

/// Finds it, `data_dir` first, and reads it.
///
/// # Errors
/// Says where it was looked for, or which file is damaged and how.
pub fn load(data_dir: Option<&Path>) -> Result<ImageSet, DataError> {
    read(&DATA_SET.find(&locate::folders(data_dir))?)
}

/// The archive at `path`, or the folder that has its files or their folder.
///
/// # Errors
/// Names the file that is missing, unreadable, damaged, of another size, or has a label too large.
pub fn read(path: &Path) -> Result<ImageSet, DataError> {
    read_sized(path, [TRAIN_IMAGES, TEST_IMAGES])
}

/// As [`read`], of files with other numbers of training and test images: an excerpt.
///
/// # Errors
/// As [`read`].
pub fn read_sized(path: &Path, images: [usize; 2]) -> Result<ImageSet, DataError> {
    if is_python_version(path) {
        return Err(DataError::Unexpected {
            file: path.into(),
            expected: "the binary version".into(),
            found: "the Python version, which is not read".into(),
            remedy: "leave it for the programs that read it, and run `hindsight data fetch cifar-100` for the binary one",
        });
    }
    let (checksums, [train, test]) = if path.is_dir() { unpacked(path, images)? } else { packed(path, images)? };
    Ok(ImageSet {
        shape: [SIDE, SIDE, 3],
        classes: CLASSES,
        train_images: train.images,
        train_labels: train.labels,
        test_images: test.images,
        test_labels: test.labels,
        checksums,
    })
}

/// Compares the archive at `path` with what is published; an unpacked copy, of which nothing is, is read whole.
///
/// # Errors
/// Names the file and what is wrong with it.
pub fn verify(path: &Path) -> Result<&'static str, DataError> {
    let name = path.file_name().unwrap_or_default();
    let Some((_, published)) = PUBLISHED.iter().find(|(file, _)| name == *file).filter(|_| path.is_file()) else {
        return read(path).map(|_| "whole (no checksums of its unpacked files are published)");
    };
    let found = md5sum::of_file(path).map_err(unreadable(path))?;
    match found == *published {
        true if is_python_version(path) => Ok("as published, but the Python version, which is not read"),
        true => Ok("as published"),
        false => Err(unexpected(path, &format!("MD5 sum {published}, as published"), &found)),
    }
}

fn is_python_version(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(PYTHON) || path.join("train").is_file()
}

/// Training or test images, and their labels.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// Row by row, a pixel's channels side by side.
    pub images: Vec<u8>,
    /// The fine labels.
    pub labels: Vec<u8>,
}

fn unpacked(folder: &Path, images: [usize; 2]) -> Result<(Vec<Checksum>, [Part; 2]), DataError> {
    let inner = folder.join("cifar-100-binary");
    let folder = if inner.is_dir() { &inner } else { folder };
    let part = |i: usize| -> Result<_, DataError> {
        let path = folder.join(PARTS[i]);
        let (file, size) = files::open(&path).map_err(unreadable(&path))?;
        let mut file = Summed::new(BufReader::new(file));
        let part = part(&path, size, &mut file, images[i])?;
        let md5 = file.finish().map_err(unreadable(&path))?;
        Ok((Checksum { file: PARTS[i].into(), md5 }, part))
    };
    let ((a, train), (b, test)) = (part(0)?, part(1)?);
    Ok((vec![a, b], [train, test]))
}

fn packed(path: &Path, images: [usize; 2]) -> Result<(Vec<Checksum>, [Part; 2]), DataError> {
    let (file, _) = files::open(path).map_err(unreadable(path))?;
    let mut file = BufReader::new(Summed::new(file));
    let parts = read_archive(path, &mut file, images)?;
    let md5 = file.into_inner().finish().map_err(unreadable(path))?;
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok((vec![Checksum { file, md5 }], parts))
}

/// The parts in a gzipped tar archive, which `path` had, of so many training and test images.
///
/// # Errors
/// Says what is wrong with the archive, or with a part.
pub fn read_archive(path: &Path, file: impl BufRead, images: [usize; 2]) -> Result<[Part; 2], DataError> {
    let damaged = |source: io::Error| unexpected(path, "a whole gzipped tar archive", &format!("damage ({source})"));
    let most = (images[0] + images[1]) as u64 * RECORD as u64 + BESIDE_PARTS;
    let mut archive = Archive::new(GzDecoder::new(file).take(most));
    let mut parts = [None, None];
    // Raw entries: those of long names and other extensions are none of the parts, and are passed over, not kept in memory.
    for entry in archive.entries().map_err(damaged)?.raw(true) {
        let entry = entry.map_err(damaged)?;
        let name = entry.path().map_err(damaged)?.into_owned();
        let Some(i) = PARTS.iter().position(|part| name.file_name() == Some(OsStr::new(part))) else { continue };
        if !entry.header().entry_type().is_file() || parts[i].is_some() {
            return Err(unexpected(&path.join(PARTS[i]), "one regular file of that name", "another, or a link"));
        }
        parts[i] = Some(part(&path.join(PARTS[i]), entry.size(), entry, images[i])?);
    }
    // Only at its very end does a gzip layer say whether all before was right.
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(damaged)?;
    if rest.limit() == 0 {
        return Err(unexpected(path, &format!("less than {most} bytes once unpacked"), "more"));
    }
    let [Some(train), Some(test)] = parts else {
        return Err(unexpected(path, "train.bin and test.bin in the archive", "not both of them"));
    };
    Ok([train, test])
}

/// A part from a file of `size` bytes, which is compared before memory is asked for.
fn part(file: &Path, size: u64, mut reader: impl Read, images: usize) -> Result<Part, DataError> {
    let expected = images * RECORD;
    let wanted = format!("{expected} bytes, {images} records of {RECORD}");
    if size != expected as u64 {
        return Err(unexpected(file, &wanted, &size.to_string()));
    }
    let mut bytes = vec![0; expected];
    reader.read_exact(&mut bytes).map_err(|source| unexpected(file, &wanted, &format!("fewer ({source})")))?;
    parse(file, &bytes)
}

/// The records in `bytes`, which `file` had.
///
/// # Errors
/// Names the file, and the record that is cut off or has a label too large.
pub fn parse(file: &Path, bytes: &[u8]) -> Result<Part, DataError> {
    let (records, rest) = bytes.as_chunks::<RECORD>();
    if !rest.is_empty() {
        return Err(unexpected(file, &format!("records of {RECORD} bytes"), &format!("a last one of {}", rest.len())));
    }
    for (i, [coarse, fine, ..]) in records.iter().enumerate() {
        if usize::from(*coarse) >= COARSE_CLASSES || usize::from(*fine) >= CLASSES {
            let found = format!("{coarse} and {fine} in record {i}");
            return Err(unexpected(file, "coarse labels below 20 and fine ones below 100", &found));
        }
    }
    Ok(Part { images: interleaved(records), labels: records.iter().map(|record| record[1]).collect() })
}

/// Each record's three planes as one, a pixel's channels side by side.
fn interleaved(records: &[[u8; RECORD]]) -> Vec<u8> {
    let mut images = vec![0; records.len() * 3 * PLANE];
    for (image, record) in images.chunks_exact_mut(3 * PLANE).zip(records) {
        for (p, pixel) in image.chunks_exact_mut(3).enumerate() {
            pixel.copy_from_slice(&[0, 1, 2].map(|channel| record[2 + channel * PLANE + p]));
        }
    }
    images
}

fn unexpected(file: &Path, expected: &str, found: &str) -> DataError {
    DataError::Unexpected { file: file.into(), expected: expected.into(), found: found.into(), remedy: REMEDY }
}
