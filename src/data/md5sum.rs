//! MD5 sums, which is what data sets publish for their files.

use crate::files;
use md5::{Digest, Md5};
use std::io::{self, BufReader, Read};
use std::path::Path;

/// A reader that sums up what is read through it.
pub struct Summed<R> {
    reader: R,
    md5: Md5,
}

impl<R: Read> Summed<R> {
    /// Nothing read yet.
    pub fn new(reader: R) -> Self {
        Self { reader, md5: Md5::new() }
    }

    /// Reads the rest, and gives the sum of the whole in lower-case hexadecimal.
    ///
    /// # Errors
    /// If the reader fails.
    pub fn finish(mut self) -> io::Result<String> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(hex(&self.md5.finalize()))
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.md5.update(&buffer[..read]);
        Ok(read)
    }
}

/// The sum of a file.
///
/// # Errors
/// If it cannot be read, or is not a regular file.
pub fn of_file(path: &Path) -> io::Result<String> {
    Summed::new(BufReader::with_capacity(1 << 16, files::open(path)?.0)).finish()
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
