//! Why a kernel was not listed, shown, checked or run.

use hindsight::experiment::ExperimentError;
use hindsight::npy::NpyError;
use hindsight_kernels::catalogue::{CatalogueError, Off};
use hindsight_kernels::translate::TranslateError;
use hindsight_kernels::{TooManyIterations, Variant};
use std::path::PathBuf;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum KernelsError {
    /// The kernel cannot be had with such attributes.
    #[error("{0}; `hindsight kernels list {kernel}` explains its attributes", kernel = .0.kernel())]
    Attributes(CatalogueError),
    /// Files and kernel do not go together.
    #[error("{0}; give each with --in, in this order")]
    Count(CatalogueError),
    /// A file is no array.
    #[error(transparent)]
    File(#[from] NpyError),
    /// An array is not what the kernel reads.
    #[error("{}: {reason}", .path.display())]
    Array {
        /// The file.
        path: PathBuf,
        /// What was wanted, and what was found.
        reason: String,
    },
    /// Arrays and result do not fit.
    #[error(
        "the arrays, the result and the oracle's take {needed} MiB, and free are {there} MiB; take smaller arrays, or another --device"
    )]
    Memory {
        /// MiB that are needed.
        needed: u64,
        /// MiB that there are.
        there: u64,
    },
    /// A result that is not its reference's; nothing was written.
    #[error(
        "element {} of the result is {:e}, and in double precision {:e}: off by {:.2e}, where at most {:.2e} is allowed \
         ({tolerance}); nothing was written. Take another --device or --variant, or allow it with a larger --tolerance",
        .off.element, .off.found, .off.reference, (.off.found - .off.reference).abs(), .off.allowed
    )]
    Off {
        /// The element.
        off: Off,
        /// What was allowed.
        tolerance: String,
    },
    /// A launch that the device's driver would not compute to its end.
    #[error(transparent)]
    Loops(#[from] TooManyIterations),
    /// A variant that the device cannot run.
    #[error("{device} cannot run the variant {}: {reason}", .variant.name())]
    Variant {
        /// The variant.
        variant: Variant,
        /// The device.
        device: String,
        /// What it would need.
        reason: &'static str,
    },
    /// A shader is wrong, or cannot be said in a language.
    #[error("{kernel}: {source}")]
    Shader {
        /// The kernel.
        kernel: &'static str,
        /// What is wrong.
        source: TranslateError,
    },
    /// A program cannot be compiled.
    #[error(transparent)]
    Program(#[from] ExperimentError),
    /// Shaders are wrong; which, has been said.
    #[error("{0} translations are not valid; which and why is said above")]
    Invalid(usize),
}
