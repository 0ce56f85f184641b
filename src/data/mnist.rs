//! The MNIST data set: built into the program, or read from a folder.

use std::io::ErrorKind;
use std::path::Path;

use md5::{Digest, Md5};

use super::image_set::{Checksum, ImageSet};
use super::md5sum::hex;
use super::{DataError, idx};
use crate::files;

/// Pixels of an image: 28 x 28, row by row.
pub const PIXELS: usize = 28 * 28;
/// Training images.
pub const TRAIN_IMAGES: usize = 60_000;
/// Test images.
pub const TEST_IMAGES: usize = 10_000;
/// Digits.
pub const CLASSES: usize = 10;

/// The most bytes of a file. The training images have 47 MB, packed or not.
const LARGEST_FILE: u64 = 1 << 26;

/// The published names, in the order in which a set's checksums list them.
const NAMES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// The published MD5 sums of those files, gzipped.
pub const PUBLISHED: [&str; 4] = [
    "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "d53e105ee54ea40749a09fcbcd1e9432",
    "9fb629c4189551a2d022fa330f9573f3",
    "ec29112dd5afa0611ce80d1b7f02629c",
];

const BUILT_IN: [&[u8]; 4] = [
    include_bytes!("../../data/mnist/train-images-idx3-ubyte.gz"),
    include_bytes!("../../data/mnist/train-labels-idx1-ubyte.gz"),
    include_bytes!("../../data/mnist/t10k-images-idx3-ubyte.gz"),
    include_bytes!("../../data/mnist/t10k-labels-idx1-ubyte.gz"),
];

/// A file as it was read.
struct File<'a> {
    name: String,
    bytes: std::borrow::Cow<'a, [u8]>,
}

/// The copy that is part of the program. Unpacks 55 MB; keep the result.
///
/// # Errors
/// If there is no memory for it.
pub fn built_in() -> Result<ImageSet, DataError> {
    let file = |i: usize| File { name: format!("{}.gz", NAMES[i]), bytes: BUILT_IN[i].into() };
    from_files([0, 1, 2, 3].map(file))
}

/// The four files in `folder`, or others of the same dimensions (Fashion-MNIST, KMNIST), each
/// plain or gzipped, named `train-images-idx3-ubyte` or `train-images.idx3-ubyte` and so on.
///
/// # Errors
/// Names the file that is missing, unreadable, damaged, of other dimensions, or has a label
/// beyond 9.
pub fn from_folder(folder: impl AsRef<Path>) -> Result<ImageSet, DataError> {
    let [a, b, c, d] = NAMES.map(|name| find(folder.as_ref(), name));
    from_files([a?, b?, c?, d?])
}

fn from_files(files: [File<'_>; 4]) -> Result<ImageSet, DataError> {
    let checksums = files.iter().map(File::checksum).collect();
    let [train_images, train_labels, test_images, test_labels] = files;
    Ok(ImageSet {
        shape: [28, 28, 1],
        classes: CLASSES,
        train_images: train_images.images(TRAIN_IMAGES)?,
        train_labels: train_labels.labels(TRAIN_IMAGES)?,
        test_images: test_images.images(TEST_IMAGES)?,
        test_labels: test_labels.labels(TEST_IMAGES)?,
        checksums,
    })
}

impl File<'_> {
    fn checksum(&self) -> Checksum {
        Checksum { file: self.name.clone(), md5: hex(&Md5::digest(&self.bytes)) }
    }

    fn images(self, count: usize) -> Result<Vec<u8>, DataError> {
        self.array(&[count, 28, 28])
    }

    fn labels(self, count: usize) -> Result<Vec<u8>, DataError> {
        let file = self.name.clone();
        let labels = self.array(&[count])?;
        match labels.iter().position(|&label| usize::from(label) >= CLASSES) {
            Some(position) => Err(DataError::Label { file, position, found: labels[position] }),
            None => Ok(labels),
        }
    }

    fn array(self, expected: &[usize]) -> Result<Vec<u8>, DataError> {
        // Dimensions are compared before memory is asked for: a packed file of a kilobyte can have a gigabyte of data.
        let idx = idx::open(&self.name, &self.bytes)?;
        if idx.dims != expected {
            return Err(DataError::Dimensions { expected: expected.to_vec(), found: idx.dims, file: self.name });
        }
        Ok(idx.read()?.bytes)
    }
}

/// The first spelling of `name` that `folder` has.
fn find(folder: &Path, name: &'static str) -> Result<File<'static>, DataError> {
    let dotted = name.replace("-idx", ".idx");
    let spellings = [name, &dotted].map(|name| [name.to_owned(), format!("{name}.gz")]);
    for name in spellings.into_iter().flatten() {
        let path = folder.join(&name);
        match files::read(&path, LARGEST_FILE) {
            Ok(bytes) => {
                return Ok(File { name, bytes: bytes.into() });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(DataError::Unreadable { path, source }),
        }
    }
    Err(DataError::Missing { folder: folder.to_owned(), file: name })
}
