//! An order of images in which neighbours look alike, and of their pixels in which those come together that are seldom lit; for
//! kernels that meet several images at a time and pass over what none of these has lit: two of them on the CPU (kernels/src/cpu/sparse/),
//! a tile of them on software Vulkan, pixel by pixel (shaders/matmul_subgroup.wgsl), and on hardware, by blocks of pixels
//! (shaders/matmul_tiled.wgsl).

use rayon::prelude::*;
use std::cmp::Reverse;

/// Images of a group: a tile of hardware, and several of software Vulkan.
const GROUP: usize = 64;
/// Pixels that are loaded together.
const WORD: usize = 4;

/// The numbers of images of `pixels` bytes, of which a step computes `at_a_time`. Those of a step are ordered in groups of
/// 64 which together have few words of four pixels lit, and those of a group so that the two of each pair,
/// 2p and 2p + 1, differ in few lit pixels.
pub fn in_groups(images: &[u8], pixels: usize, at_a_time: usize) -> Vec<usize> {
    let steps = images.par_chunks(at_a_time * pixels).enumerate();
    let in_groups = |(step, images): (usize, &[u8])| {
        let ordered = group(images, pixels).into_iter().flat_map(|group| pair_up(group, images, pixels));
        ordered.map(|image| step * at_a_time + image).collect::<Vec<_>>()
    };
    steps.flat_map_iter(in_groups).collect()
}

/// The numbers of an image's pixels, four and four that are neighbours: first those that most of the images have lit.
pub fn by_use(images: &[u8], pixels: usize) -> Vec<usize> {
    let numbers: Vec<usize> = (0..pixels).collect();
    let mut uses = vec![0; pixels.div_ceil(WORD)];
    for image in images.chunks_exact(pixels) {
        uses.iter_mut().zip(image.chunks(WORD)).for_each(|(uses, word)| *uses += usize::from(is_lit(word)));
    }
    let mut words: Vec<(usize, &[usize])> = uses.into_iter().zip(numbers.chunks(WORD)).collect();
    words.sort_by_key(|(uses, _)| Reverse(*uses));
    words.into_iter().flat_map(|(_, word)| word).copied().collect()
}

/// Groups, each begun by the image with the least lit: to it comes which adds the least to what the group has lit.
fn group(images: &[u8], pixels: usize) -> Vec<Vec<usize>> {
    let lit: Vec<Mask> = images.chunks_exact(pixels).map(|image| mask(image.chunks(WORD).map(is_lit))).collect();
    let mut left: Vec<usize> = (0..lit.len()).collect();
    left.sort_by_key(|&image| Reverse(count(&lit[image])));
    let mut groups = vec![];
    while let Some(first) = left.pop() {
        let (mut group, mut all) = (vec![first], lit[first].clone());
        while group.len() < GROUP {
            let added = |at: usize| all.iter().zip(&lit[left[at]]).map(|(a, b)| (b & !a).count_ones()).sum::<u32>();
            let Some(next) = (0..left.len()).min_by_key(|&at| added(at)) else { break };
            // The order of the rest stays, by which the next group begins.
            let next = left.remove(next);
            all.iter_mut().zip(&lit[next]).for_each(|(a, b)| *a |= b);
            group.push(next);
        }
        groups.push(group);
    }
    groups
}

/// Follows each image by the one of its group that differs from it in the fewest pixels, those with most of them first.
fn pair_up(group: Vec<usize>, images: &[u8], pixels: usize) -> Vec<usize> {
    let lit = |image: usize| mask(images[image * pixels..][..pixels].iter().map(|&pixel| pixel != 0));
    let mut alone: Vec<(usize, Mask)> = group.into_iter().map(|image| (image, lit(image))).collect();
    alone.sort_by_key(|(_, lit)| Reverse(count(lit)));
    let mut order = vec![];
    while !alone.is_empty() {
        let (image, lit) = alone.remove(0);
        let differing = |other: &Mask| lit.iter().zip(other).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
        let nearest = (0..alone.len()).min_by_key(|&at| differing(&alone[at].1));
        order.push(image);
        order.extend(nearest.map(|at| alone.remove(at).0));
    }
    order
}

/// A bit for each of many.
type Mask = Vec<u64>;

fn mask(lit: impl Iterator<Item = bool>) -> Mask {
    let mut words = vec![];
    for (i, lit) in lit.enumerate() {
        words.resize(i / 64 + 1, 0);
        words[i / 64] |= u64::from(lit) << (i % 64);
    }
    words
}

fn count(mask: &Mask) -> u32 {
    mask.iter().map(|word| word.count_ones()).sum()
}

fn is_lit(pixels: &[u8]) -> bool {
    pixels.iter().any(|&pixel| pixel != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Image i is lit in places i % 300 to i % 300 + 99.
    fn bands(count: usize) -> Vec<u8> {
        let lit = |i: usize, pixel: usize| u8::from((i % 300..i % 300 + 100).contains(&pixel));
        (0..count).flat_map(|i| (0..400).map(move |pixel| lit(i, pixel))).collect()
    }

    #[test]
    fn every_image_is_there_once_among_those_of_its_step() {
        let order = in_groups(&bands(301), 400, 100);
        for (step, numbers) in order.chunks(100).enumerate() {
            let mut sorted = numbers.to_vec();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(step * 100..(step * 100 + 100).min(301)), "step {step}");
        }
    }

    #[test]
    fn those_that_differ_least_are_a_pair() {
        // Image 300 is image 0 once more.
        let order = in_groups(&bands(301), 400, 301);
        assert!(order.chunks(2).any(|pair| pair.contains(&0) && pair.contains(&300)), "{order:?}");
    }

    #[test]
    fn pixels_that_more_images_have_lit_come_first_and_words_stay_whole() {
        // The second image has a pixel of the second word lit, all three have one of the last.
        let images = [[0, 0, 0, 0, 0, 0, 0, 0, 0, 9], [0, 0, 0, 0, 0, 7, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 0, 0, 1, 0]];
        assert_eq!(by_use(&images.concat(), 10), [8, 9, 4, 5, 6, 7, 0, 1, 2, 3]);
    }

    #[test]
    fn groups_have_less_lit_than_images_as_they_come() {
        // Bands that follow one another in a shuffled order.
        let bands = bands(300);
        let images: Vec<u8> = (0..1200).flat_map(|i| bands[i * 7 % 300 * 400..][..400].to_vec()).collect();
        let lit_by_groups = |order: &[usize]| -> usize {
            let pixel_is_lit = |group: &[usize], p: usize| group.iter().any(|&i| images[i * 400 + p] != 0);
            order.chunks(GROUP).map(|group| (0..400).filter(|&p| pixel_is_lit(group, p)).count()).sum()
        };
        let as_they_come: Vec<usize> = (0..1200).collect();
        let [ordered, before] = [in_groups(&images, 400, 1200), as_they_come].map(|order| lit_by_groups(&order));
        assert!(2 * ordered < before, "{ordered} places of groups are lit, {before} before");
    }
}
