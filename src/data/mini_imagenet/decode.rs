//! A JPEG as 84 x 84 pixels.

use super::super::DataError;
use super::super::resize::resize;
use super::SIDE;
use std::path::Path;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// The image in `bytes`, which `file` had: row by row, a pixel's red, green and blue side by side. An image of another size is resized,
/// whatever its proportions, as the set's authors did.
///
/// # Errors
/// If it is no whole JPEG.
pub fn decode(file: &Path, bytes: &[u8]) -> Result<Vec<u8>, DataError> {
    let unexpected = |found: String| DataError::Unexpected {
        file: file.into(),
        expected: "a whole JPEG image".into(),
        found,
        remedy: "replace it with a fresh copy",
    };
    if !is_ended(bytes) {
        return Err(unexpected(format!("{} bytes without a JPEG's end", bytes.len())));
    }
    // Some of ImageNet's photographs are grey, or in a printer's colours.
    let options = DecoderOptions::default().set_strict_mode(true).jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let pixels = decoder.decode().map_err(|damage| unexpected(format!("damage ({damage})")))?;
    match decoder.dimensions() {
        Some((SIDE, SIDE)) if pixels.len() == 3 * SIDE * SIDE => Ok(pixels),
        Some((width, height)) if pixels.len() == 3 * width * height => Ok(resize(&pixels, [width, height], SIDE)),
        size => Err(unexpected(format!("{} bytes of pixels for a size of {size:?}", pixels.len()))),
    }
}

/// Whether an end follows the last scan's start. A decoder shows what is missing as grey; neither marker can occur
/// within a scan.
fn is_ended(bytes: &[u8]) -> bool {
    let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
    matches!((last(0xda), last(0xd9)), (Some(scan), Some(end)) if scan < end)
}
