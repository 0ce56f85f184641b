//! An order of images in which neighbours look alike, for kernels that meet two of them at a time.

use rayon::prelude::*;
use std::cmp::Reverse;

/// Images among which each one's partner is sought. (Among more, partners are hardly more alike.)
const NEIGHBOURS: usize = 500;

/// The numbers of images of `pixels` bytes, ordered so that the two of each pair, 2p and 2p + 1, differ in few lit pixels.
pub fn in_pairs(images: &[u8], pixels: usize) -> Vec<usize> {
    let neighbourhoods = images.par_chunks(NEIGHBOURS * pixels).enumerate();
    let in_pairs = |(n, images)| pair_up(images, pixels).into_iter().map(move |i| n * NEIGHBOURS + i);
    neighbourhoods.flat_map_iter(in_pairs).collect()
}

/// Follows each image by the one that differs from it in the fewest, those with most of them first.
fn pair_up(images: &[u8], pixels: usize) -> Vec<usize> {
    let masks: Vec<Vec<u64>> = images.chunks_exact(pixels).map(mask).collect();
    let lit = |image: &usize| masks[*image].iter().map(|word| word.count_ones()).sum::<u32>();
    let mut alone: Vec<usize> = (0..masks.len()).collect();
    alone.sort_by_key(|image| Reverse(lit(image)));
    let mut order = vec![];
    while !alone.is_empty() {
        let image = alone.remove(0);
        let differing =
            |other: usize| -> u32 { masks[image].iter().zip(&masks[other]).map(|(a, b)| (a ^ b).count_ones()).sum() };
        let nearest = (0..alone.len()).min_by_key(|&at| differing(alone[at]));
        order.push(image);
        order.extend(nearest.map(|at| alone.remove(at)));
    }
    order
}

/// A bit a pixel: whether it is lit.
fn mask(image: &[u8]) -> Vec<u64> {
    let word = |pixels: &[u8]| pixels.iter().enumerate().fold(0, |word, (i, &p)| word | u64::from(p != 0) << i);
    image.chunks(64).map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_is_there_once_and_those_alike_are_neighbours() {
        // Image i is lit in places i % 300 to i % 300 + 99: image i + 300 is the same one.
        let lit = |i: usize, pixel: usize| u8::from((i % 300..i % 300 + 100).contains(&pixel));
        let images: Vec<u8> = (0..301).flat_map(|i| (0..400).map(move |pixel| lit(i, pixel))).collect();
        let order = in_pairs(&images, 400);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..301).collect::<Vec<_>>());
        assert!(order.chunks(2).any(|pair| pair == [0, 300]));
    }
}
