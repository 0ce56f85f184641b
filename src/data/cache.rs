//! An image set in a file of its own, for those that take long to decode.
//!
//! The file: [`MAGIC`]; a key of 32 bytes; the [`sum`], as 32 hexadecimal digits, of all that follows; six sizes as
//! little-endian u64; labels and images. A file that is not exactly this, to the last bit, is no file: what is in it
//! can be computed again.

use super::md5sum::hex;
use super::{Checksum, ImageSet};
use crate::files;
use md5::{Digest, Md5};
use rayon::prelude::*;
use std::borrow::Cow;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

const MAGIC: &[u8; 16] = b"hindsight img 1\n";
/// What a hexadecimal MD5 sum has.
const SUM: usize = 32;
const SIZES: usize = 6;
/// Bytes that are summed up together.
const PIECE: usize = 1 << 20;

/// The set in the file at `path`, if there is one, it was made from what has `key`, and it has `sizes`: height, width,
/// channels, classes, training images and test images. `name` is what its checksum is listed as.
pub fn read(path: &Path, key: &str, name: &str, sizes: [usize; SIZES]) -> Option<ImageSet> {
    let (file, length) = files::open(path).ok()?;
    read_from(BufReader::with_capacity(1 << 16, file), length, key, name, sizes)
}

/// As [`read`], from a file of `length` bytes.
pub fn read_from(mut file: impl Read, length: u64, key: &str, name: &str, sizes: [usize; SIZES]) -> Option<ImageSet> {
    let [found_magic, found_key, sum] = [MAGIC.len(), SUM, SUM].map(|size| take(&mut file, size));
    let sum = String::from_utf8(sum?).ok()?;
    if found_magic? != MAGIC || found_key? != key.as_bytes() {
        return None;
    }
    let set = body(file, length.checked_sub((MAGIC.len() + 2 * SUM) as u64)?, sizes)?;
    let whole = self::sum(&set) == sum && is_consistent(&set);
    whole.then(|| ImageSet { checksums: vec![Checksum { file: name.into(), md5: sum }], ..set })
}

/// All that follows the sum, if it has `length` bytes and these sizes.
fn body(mut file: impl Read, length: u64, expected: [usize; SIZES]) -> Option<ImageSet> {
    let sizes = take(&mut file, 8 * SIZES)?;
    let (sizes, _) = sizes.as_chunks();
    // What is there is compared before memory is asked for.
    if !sizes.iter().map(|&size| u64::from_le_bytes(size)).eq(expected.map(|size| size as u64)) {
        return None;
    }
    let [height, width, channels, classes, train, test] = expected;
    let pixels = height * width * channels;
    if length != (8 * SIZES + (train + test) * (pixels + 1)) as u64 {
        return None;
    }
    Some(ImageSet {
        shape: [height, width, channels],
        classes,
        train_labels: take(&mut file, train)?,
        test_labels: take(&mut file, test)?,
        train_images: take(&mut file, train * pixels)?,
        test_images: take(&mut file, test * pixels)?,
        checksums: Vec::new(),
    })
}

fn take(file: &mut impl Read, size: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; size];
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn is_consistent(set: &ImageSet) -> bool {
    set.train_labels.iter().chain(&set.test_labels).all(|&label| usize::from(label) < set.classes)
}

/// The sum that [`read`] lists for `set`: of the sums of its pieces, which all cores make at once.
pub fn sum(set: &ImageSet) -> String {
    let parts = parts(set);
    let pieces: Vec<&[u8]> = parts.iter().flat_map(|part| part.chunks(PIECE)).collect();
    let sums: Vec<_> = pieces.par_iter().map(Md5::digest).collect();
    hex(&Md5::digest(sums.concat()))
}

/// Writes the file at `path`: whole, or not at all.
pub fn write(path: &Path, key: &str, set: &ImageSet) -> io::Result<()> {
    files::replace(path, |file| {
        file.write_all(MAGIC)?;
        file.write_all(key.as_bytes())?;
        file.write_all(sum(set).as_bytes())?;
        parts(set).iter().try_for_each(|part| file.write_all(part))
    })
}

/// All that follows the sum.
fn parts(set: &ImageSet) -> [Cow<'_, [u8]>; 5] {
    let [height, width, channels] = set.shape;
    let sizes = [height, width, channels, set.classes, set.train_labels.len(), set.test_labels.len()];
    let sizes: Vec<u8> = sizes.iter().flat_map(|&size| (size as u64).to_le_bytes()).collect();
    let bytes = [&set.train_labels, &set.test_labels, &set.train_images, &set.test_images];
    let [a, b, c, d] = bytes.map(|bytes| bytes.as_slice().into());
    [sizes.into(), a, b, c, d]
}
