//! From a tape to launches that a device replays.
//!
//! `fuse` decides which nodes get a launch and which are computed on the way; `plan` decides where
//! every value lies. A [`Session`] holds the buffers of a set of runs and replays programs over them.

mod abreast;
mod chains;
mod dependencies;
mod explain;
mod footprint;
mod fuse;
mod kernels;
mod maps;
mod pace;
mod plan;
mod precision;
mod recorder;
mod session;
mod split;

pub use explain::{Attribution, ExplainedLaunch, Explanation};
pub use footprint::{Cpu, Footprint};
pub use precision::Precision;
pub use recorder::{Recorded, Recorder, Total};
pub use session::{Content, OtherBuffers, Program, Session, SessionState, Stop};
