//! Episodic memories: which past examples a method may replay.
//!
//! They keep indices, not pixels: the images are already where the training step runs.

mod coreset;
mod reservoir;
mod ring;

pub use coreset::Coreset;
pub use reservoir::Reservoir;
pub use ring::RingBuffer;

/// A training example, as a memory refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Example {
    /// Index into the data set's training images.
    pub image: u32,
    /// Its class.
    pub label: u8,
    /// The task it was seen in, from 0, which says how the image is shown.
    pub task: u32,
}
