//! Images as bytes, shared by all runs, with their non-zero pixels listed for the CPU.

use crate::cpu::sparse::Images;
use std::sync::OnceLock;

/// Rows of bytes; byte b stands for b / 255.
#[derive(Debug, Default)]
pub struct Bytes {
    data: Vec<u8>,
    /// Four pixels of five are blank in MNIST.
    lit: OnceLock<Images>,
}

impl Bytes {
    /// Wraps bytes.
    pub fn new(data: Vec<u8>) -> Bytes {
        Bytes { data, lit: OnceLock::new() }
    }

    /// All bytes.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The pixels that are not zero, in rows of `width`, listed at the first call.
    pub(crate) fn lit(&self, width: usize) -> &Images {
        self.lit.get_or_init(|| Images::list(&self.data, width))
    }
}
