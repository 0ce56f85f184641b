//! Hindsight Anchor Learning and its rivals, on a hand-rolled GPU compute engine.
//!
//! From the bottom: [`hindsight_kernels`] launches WGSL; [`autodiff`] records computations and
//! differentiates them to any order; [`program`] compiles a recording into launches and replays it;
//! [`nn`], [`data`], [`memory`] and [`methods`] are the benchmark, [`settings`] what may be set of it;
//! [`experiment`] is the protocol and [`report`] what comes of it,
//! [`reproduce`] the paper's tables and figures,
//! [`tune`] the choice of hyper-parameters,
//! [`profile`] where the time of a run went, [`mod@bench`] how fast the kernels are.
//! [`files`] reads files that come from elsewhere, [`npy`] reads and writes NumPy's arrays.

#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod autodiff;
pub mod bench;
pub mod data;
pub mod device;
mod disk;
pub mod experiment;
pub mod memory;
pub mod methods;
pub mod metrics;
pub mod nn;
pub mod npy;
pub mod profile;
pub mod program;
pub mod random;
#[doc(hidden)]
pub mod readers;
pub mod report;
pub mod reproduce;
pub mod settings;
pub mod tune;

pub use hindsight_kernels::files;

/// The hash of the sources that compute: results of other sources are neither reused nor averaged with this program's.
/// (`build.rs` says which sources these are.)
pub const SOURCES: &str = env!("HINDSIGHT_SOURCES");
