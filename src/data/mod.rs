//! Images and the streams of tasks made from them.
//!
//! Everything here is indices and bytes on the host; nothing knows a device or a model.

pub(crate) mod alike;
pub mod benchmarks;
pub(crate) mod cache;
pub mod cifar100;
pub mod digits;
pub mod fetch;
pub mod idx;
pub mod image_set;
pub mod locate;
pub mod md5sum;
pub mod mini_imagenet;
pub mod mnist;
pub mod permuted_mnist;
pub mod resize;
pub mod rotated_mnist;
pub mod split;
pub mod stream;

use crate::files::shown;
use std::path::{Path, PathBuf};

pub use idx::IdxError;
pub use image_set::{Checksum, ImageSet};
pub use locate::NotFound;

/// What can be wrong with a data set on disk.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file under none of its usual names.
    #[error(
        "{}: no {file} (also looked for it with .gz, and spelled with a dot before idx); \
         put the four MNIST files there, or leave the folder out to use the built-in copy",
        shown(folder)
    )]
    Missing {
        /// Where it was looked for.
        folder: PathBuf,
        /// Its published name, without `.gz`.
        file: &'static str,
    },
    /// A file that is there and cannot be read.
    #[error("{}: cannot be read ({source}); check its permissions, and that it is the file", shown(path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that is not a whole IDX file.
    #[error(transparent)]
    Damaged(#[from] IdxError),
    /// A whole IDX file of other dimensions.
    #[error(
        "{file}: expected dimensions {expected:?}, found {found:?}; is this another data set's file, \
         or images where labels should be?"
    )]
    Dimensions {
        /// The file.
        file: String,
        /// What MNIST has.
        expected: Vec<usize>,
        /// What the file has.
        found: Vec<usize>,
    },
    /// A label that is no digit.
    #[error(
        "{file}: expected labels 0 to 9, found {found} at position {position}; \
         use a data set of at most ten classes"
    )]
    Label {
        /// The file.
        file: String,
        /// Which label, from 0.
        position: usize,
        /// Its value.
        found: u8,
    },
    /// Fewer images than a stream of tasks takes.
    #[error("{whose}: expected {expected} or more for each task, found {found}; {remedy}")]
    TooFew {
        /// Which images, of which class.
        whose: String,
        /// How many there are.
        found: usize,
        /// How many a task takes of them.
        expected: usize,
        /// What to do next.
        remedy: String,
    },
    /// A data set that is in none of the places where it is looked for.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// A file or folder that is not what its data set has.
    #[error("{}: expected {expected}, found {found}; {remedy}", shown(file))]
    Unexpected {
        /// The file or folder.
        file: PathBuf,
        /// What the data set has.
        expected: String,
        /// What was there.
        found: String,
        /// What to do next.
        remedy: &'static str,
    },
}

/// A system's complaint about `path`, as the error it becomes.
fn unreadable(path: &Path) -> impl Fn(std::io::Error) -> DataError {
    |source| DataError::Unreadable { path: path.to_owned(), source }
}
