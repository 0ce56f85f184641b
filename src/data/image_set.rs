//! A data set in memory: images as bytes, and their classes.

/// Images and their classes, in two parts.
#[derive(Clone)]
pub struct ImageSet {
    /// Height, width and channels of an image. Its bytes lie row by row, a pixel's channels side by side.
    pub shape: [usize; 3],
    /// Classes: labels are below it.
    pub classes: usize,
    /// Training images, one after another.
    pub train_images: Vec<u8>,
    /// A label a training image.
    pub train_labels: Vec<u8>,
    /// Test images, one after another.
    pub test_images: Vec<u8>,
    /// A label a test image.
    pub test_labels: Vec<u8>,
    /// What was read, in the order in which it was read.
    pub checksums: Vec<Checksum>,
}

impl ImageSet {
    /// Bytes of an image.
    pub fn pixels(&self) -> usize {
        self.shape.iter().product()
    }
}

/// What a file was, for a run's manifest.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Checksum {
    /// The file's name, without its folder.
    pub file: String,
    /// MD5 of the file as it was read, packed or not, in lower-case hexadecimal.
    pub md5: String,
}
