//! Resizing: each new pixel is the mean of the old ones under it, weighted by a triangle.

/// A triangle's weights for one new pixel of a row or column, and the first old pixel that they weigh.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// An image of `width` times `height` pixels, of three channels side by side, as one of `side` times `side`.
///
/// # Panics
/// If `pixels` is of another size, or a size is zero.
pub fn resize(pixels: &[u8], [width, height]: [usize; 2], side: usize) -> Vec<u8> {
    assert_eq!(pixels.len(), 3 * width * height, "an image of {width} x {height} pixels");
    let columns = taps(width, side);
    // A row at a time: a photograph in numbers of four bytes is large.
    let narrow = |row: &[u8]| weighed(&row.iter().map(|&byte| f32::from(byte)).collect::<Vec<f32>>(), 3, &columns);
    let narrow: Vec<f32> = pixels.chunks_exact(3 * width).flat_map(narrow).collect();
    let square = weighed(&narrow, 3 * side, &taps(height, side));
    square.into_iter().map(|value| value.round() as u8).collect()
}

/// For each of `to` pixels in the place of `from`, the old ones under its triangle, whose half base is a pixel of the
/// coarser of both grids.
fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f32 / to as f32;
    let reach = scale.max(1.0);
    let tap = |new: usize| {
        let centre = (new as f32 + 0.5) * scale;
        let first = (centre - reach).floor().max(0.0) as usize;
        let end = ((centre + reach).ceil() as usize).min(from);
        let weight = |old: usize| (1.0 - (old as f32 + 0.5 - centre).abs() / reach).max(0.0);
        let sum: f32 = (first..end).map(weight).sum();
        Taps { first, weights: (first..end).map(|old| weight(old) / sum).collect() }
    };
    (0..to).map(tap).collect()
}

/// Sums of the items that taps name, an item being `size` numbers.
fn weighed(items: &[f32], size: usize, taps: &[Taps]) -> Vec<f32> {
    let mut sums = vec![0.0; size * taps.len()];
    for (sum, Taps { first, weights }) in sums.chunks_exact_mut(size).zip(taps) {
        for (item, weight) in items.chunks_exact(size).skip(*first).zip(weights) {
            sum.iter_mut().zip(item).for_each(|(sum, value)| *sum += weight * value);
        }
    }
    sums
}
