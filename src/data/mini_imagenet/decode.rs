//! A JPEG as 84 x 84 pixels.

use super::super::DataError;
use super::super::resize::resize;
use super::SIDE;
use super::outline::Outline;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// The most bytes of a file. ImageNet's largest has 15 MB.
pub const LARGEST_FILE: u64 = 1 << 26;
/// Images of more pixels are decoded one at a time: a decoder needs up to 15 bytes a pixel.
const LARGE: usize = 1 << 22;

/// The image in `bytes`, which `file` had: row by row, a pixel's red, green and blue side by side. An image of another size is resized,
/// whatever its proportions, as the set's authors did.
///
/// # Errors
/// If it is no whole JPEG, or has more pixels than any photograph of the set.
pub fn decode(file: &Path, bytes: &[u8]) -> Result<Vec<u8>, DataError> {
    let unexpected = |found: String| DataError::Unexpected {
        file: file.into(),
        expected: "a whole JPEG image".into(),
        found,
        remedy: "replace it with a fresh copy, or save it anew as a baseline or progressive JPEG",
    };
    let outline = Outline::of(bytes).map_err(unexpected)?;
    let [width, height] = outline.size;
    static ONE: Mutex<()> = Mutex::new(());
    let _one = (width * height > LARGE).then(|| ONE.lock().unwrap_or_else(PoisonError::into_inner));
    let pixels = pixels(&outline.guarded(bytes), outline.size)
        .map_err(|damage| unexpected(format!("damage, or a scan that ends early ({damage})")))?;
    Ok(if outline.size == [SIDE, SIDE] { pixels } else { resize(&pixels, outline.size, SIDE) })
}

fn pixels(bytes: &[u8], [width, height]: [usize; 2]) -> Result<Vec<u8>, String> {
    // Some of ImageNet's photographs are grey, or in a printer's colours.
    let options = DecoderOptions::default().set_strict_mode(true).jpeg_set_out_colorspace(ColorSpace::RGB);
    let options = options.set_max_width(width).set_max_height(height);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let pixels = decoder.decode().map_err(|damage| damage.to_string())?;
    match decoder.dimensions() == Some((width, height)) && pixels.len() == 3 * width * height {
        true => Ok(pixels),
        false => Err(format!("{} bytes of pixels", pixels.len())),
    }
}
