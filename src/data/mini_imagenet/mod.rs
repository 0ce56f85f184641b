//! miniImageNet: 100 classes of ImageNet, at least 600 images a class, scaled to 84 x 84.
//!
//! Its usual split is by classes, for few-shot learning. Here, as in the paper, each class is split instead: its first
//! 500 images are for training and the next 100 for testing.

mod decode;
mod listing;
mod outline;

use super::locate::{self, DataSet};
use super::{Checksum, DataError, ImageSet, cache, unreadable};
use crate::files;
pub use decode::decode;
use listing::Listing;
pub(crate) use listing::parse_list;
use rayon::prelude::*;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Pixels of a side.
pub const SIDE: usize = 84;
/// Bytes of an image.
const PIXELS: usize = SIDE * SIDE * 3;
/// What the decoded set is called in a list of checksums: it has no one file.
const CHECKSUM_NAME: &str = "mini-imagenet, decoded";
/// How often progress is told, in images.
const STRIDE: usize = 100;

/// Where it is looked for.
pub const DATA_SET: DataSet = DataSet {
    name: "mini-imagenet",
    title: "miniImageNet",
    names: &["mini-imagenet", "miniimagenet", "mini_imagenet"],
    unread_names: &[],
    is_it: listing::is_it,
    remedy: "ImageNet's terms let nobody pass its images on, so it cannot be fetched: into a folder that --data or \
             HINDSIGHT_DATA names, put a folder mini-imagenet with either a folder of JPEGs for each of the 100 classes \
             (n01532829/*.jpg, or train/n01532829/*.jpg, val/... and test/...), 600 or more a class, or the lists \
             train.csv, val.csv and test.csv of Ravi and Larochelle beside a folder images of JPEGs",
    download: None,
    verify: |path, progress| read(path, None, WHOLE, progress).map(|_| "whole (it has no published checksums)"),
};

/// How many classes there are, and images of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Classes.
    pub classes: usize,
    /// Training images of a class.
    pub train: usize,
    /// Test images of a class.
    pub test: usize,
}

/// The whole set.
pub const WHOLE: Size = Size { classes: 100, train: 500, test: 100 };

/// What there is to say while images are decoded.
#[derive(Debug)]
pub enum Notice<'a> {
    /// So many images are.
    Decoded {
        /// So far.
        done: usize,
        /// In all.
        of: usize,
    },
    /// They are, but cannot be kept, so they will be again the next time.
    NotKept {
        /// Where they would be.
        file: &'a Path,
        /// What the system said.
        source: &'a io::Error,
    },
}

/// Is told what there is to say, from many threads.
pub type Progress<'a> = &'a (dyn Fn(Notice<'_>) + Sync);

/// Finds it, `data_dir` first, and reads it. The first time all images are decoded, which takes seconds for small ones
/// and minutes for ImageNet's own; they are kept in the cache folder (1.3 GB).
///
/// # Errors
/// Says where it was looked for, or which file or class is not as expected and how.
pub fn load(data_dir: Option<&Path>, progress: Progress<'_>) -> Result<ImageSet, DataError> {
    let folder = DATA_SET.find(&locate::folders(data_dir))?;
    read(&folder, locate::cache_folder().as_deref(), WHOLE, progress)
}

/// The set in `folder`, of which the images are kept in the folder `cache`.
///
/// # Errors
/// Names the file or class that is not as expected, and how.
pub fn read(folder: &Path, cache: Option<&Path>, size: Size, progress: Progress<'_>) -> Result<ImageSet, DataError> {
    let listing = Listing::of(folder, size)?;
    let Some(cache) = cache else { return decode_all(&listing, progress) };
    // One file, whatever folder the set came from: at this size, files that nobody deletes are worse than another decoding.
    let file = cache.join("mini-imagenet.images");
    let key = listing.key()?;
    let images = |of_class: usize| size.classes * of_class;
    let sizes = [SIDE, SIDE, 3, size.classes, images(size.train), images(size.test)];
    if let Some(set) = cache::read(&file, &key, CHECKSUM_NAME, sizes) {
        return Ok(set);
    }
    let set = decode_all(&listing, progress)?;
    if let Err(source) = cache::write(&file, &key, &set) {
        progress(Notice::NotKept { file: &file, source: &source });
    }
    Ok(set)
}

fn decode_all(listing: &Listing, progress: Progress<'_>) -> Result<ImageSet, DataError> {
    let [train, test] = [listing.train(), listing.test()];
    let done = AtomicUsize::new(0);
    let of = train.len() + test.len();
    let one = |(image, (file, _)): (&mut [u8], &(&Path, u8))| -> Result<(), DataError> {
        let bytes = files::read(file, decode::LARGEST_FILE).map_err(unreadable(file))?;
        image.copy_from_slice(&decode(file, &bytes)?);
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(STRIDE) || done == of {
            progress(Notice::Decoded { done, of });
        }
        Ok(())
    };
    let images = |files: &[(&Path, u8)]| {
        let mut images = vec![0; files.len() * PIXELS];
        images.par_chunks_exact_mut(PIXELS).zip(files).try_for_each(one).map(|()| images)
    };
    let labels = |files: &[(&Path, u8)]| files.iter().map(|(_, label)| *label).collect();
    let set = ImageSet {
        shape: [SIDE, SIDE, 3],
        classes: listing.classes(),
        train_images: images(&train)?,
        train_labels: labels(&train),
        test_images: images(&test)?,
        test_labels: labels(&test),
        checksums: Vec::new(),
    };
    Ok(ImageSet { checksums: vec![Checksum { file: CHECKSUM_NAME.into(), md5: cache::sum(&set) }], ..set })
}
