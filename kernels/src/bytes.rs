//! Images as bytes, shared by all runs, with their non-zero pixels listed for the CPU.

use std::sync::OnceLock;

/// Rows of bytes; byte b stands for b / 255.
#[derive(Debug, Default)]
pub struct Bytes {
    data: Vec<u8>,
    sparse: OnceLock<Sparse>,
}

/// The non-zero pixels of each row: four pixels of five are blank in MNIST.
#[derive(Debug)]
pub struct Sparse {
    starts: Vec<u32>,
    /// Column and byte of each non-zero pixel, row after row.
    pixels: Vec<(u16, u8)>,
}

impl Bytes {
    /// Wraps bytes.
    pub fn new(data: Vec<u8>) -> Bytes {
        Bytes { data, sparse: OnceLock::new() }
    }

    /// All bytes.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The non-zero pixels with rows of `width`, listed at the first call.
    pub fn sparse(&self, width: usize) -> &Sparse {
        self.sparse.get_or_init(|| {
            let mut starts = vec![0];
            let mut pixels = Vec::new();
            for row in self.data.chunks_exact(width) {
                pixels.extend(row.iter().enumerate().filter(|(_, b)| **b != 0).map(|(c, &b)| (c as u16, b)));
                starts.push(pixels.len() as u32);
            }
            Sparse { starts, pixels }
        })
    }
}

impl Sparse {
    /// The non-zero pixels of one row.
    pub fn row(&self, row: usize) -> &[(u16, u8)] {
        &self.pixels[self.starts[row] as usize..self.starts[row + 1] as usize]
    }
}
