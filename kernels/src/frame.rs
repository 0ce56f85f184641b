//! Images with zeros around them, a strip at a time, and the places from which filters see them.

use crate::float::Float;
use std::ops::Range;

/// How filters see images. Pairs are (y, x).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    /// Height and width of an image.
    pub size: [usize; 2],
    pub channels: usize,
    /// Zeros above and to the left.
    pub before: [usize; 2],
    /// Where the first place begins to see, zeros counted.
    pub first: [usize; 2],
    pub stride: [usize; 2],
    pub taps: [usize; 2],
    /// Places in an image.
    pub places: [usize; 2],
    /// Where the first place's result lands in an image of results, and how much further the next ones' do.
    pub lands: (usize, [usize; 2]),
}

/// A place of the filters, in elements, counted from the beginning of a strip.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Where it begins to see.
    pub sees: usize,
    /// Where its result goes.
    pub lands: usize,
}

impl Sight {
    /// Numbers that a row of a filter sees side by side.
    pub fn run(&self) -> usize {
        self.taps[1] * self.channels
    }

    /// Numbers that a filter sees.
    pub fn numbers(&self) -> usize {
        self.taps[0] * self.run()
    }

    /// Numbers of an image, without zeros.
    fn image(&self) -> usize {
        self.size[0] * self.size[1] * self.channels
    }

    /// Rows or columns, zeros counted, that all places see.
    fn reach(&self, axis: usize) -> usize {
        self.first[axis] + (self.places[axis] - 1) * self.stride[axis] + self.taps[axis]
    }

    /// Whether no place sees past an edge.
    fn stays_inside(&self) -> bool {
        (0..2).all(|axis| self.before[axis] == 0 && self.reach(axis) <= self.size[axis])
    }
}

/// Some images, or some rows of places in one.
pub(crate) struct Strip {
    images: Range<usize>,
    rows: Range<usize>,
}

impl Strip {
    /// The number of its places, of so many in a row.
    fn count(&self, wide: usize) -> usize {
        self.images.len() * self.rows.len() * wide
    }
}

/// A strip of images with its zeros.
pub(crate) struct Frame<F> {
    sight: Sight,
    /// Numbers from one row to the next, and from one image to the next.
    row: usize,
    image: usize,
    /// Images and rows of places in a strip.
    images: usize,
    rows: usize,
    /// Nothing, where images need no zeros.
    seen: Vec<F>,
}

/// Numbers of a strip: they stay in a core's second-level cache, beside filters.
const NUMBERS: usize = 1 << 15;

impl<F: Float> Frame<F> {
    pub fn new(sight: &Sight, columns: usize) -> Frame<F> {
        let inside = sight.stays_inside();
        let row =
            sight.channels * if inside { sight.size[1] } else { sight.reach(1).max(sight.before[1] + sight.size[1]) };
        let high = |rows: usize| (rows - 1) * sight.stride[0] + sight.taps[0];
        let whole = high(sight.places[0]) * row;
        let rows = (NUMBERS / row).saturating_sub(sight.taps[0]) / sight.stride[0] + 1;
        let beside = sight.places[0] * sight.places[1] * columns;
        let (images, rows) =
            ((NUMBERS / whole.max(beside)).max(1), if whole > NUMBERS { rows } else { sight.places[0] });
        let (image, seen) = match inside {
            true => (sight.image(), vec![]),
            false => (high(rows) * row, vec![F::ZERO; images * high(rows) * row]),
        };
        Frame { sight: *sight, row, image, images, rows, seen }
    }

    /// Numbers from one row of what is seen to the next.
    pub fn row(&self) -> usize {
        self.row
    }

    /// The places in a full strip, whose results take `image` elements an image.
    pub fn places(&self, image: usize) -> Vec<Place> {
        let Sight { channels, first, stride, places: [_, wide], lands: (lands, [down, right]), .. } = self.sight;
        let mut places = Vec::with_capacity(self.images * self.rows * wide);
        for (n, y) in (0..self.images).flat_map(|n| (0..self.rows).map(move |y| (n, y))) {
            let (sees, lands) = (n * self.image + y * stride[0] * self.row, n * image + lands + y * down);
            places.extend(
                (0..wide)
                    .map(|x| Place { sees: sees + (first[1] + x * stride[1]) * channels, lands: lands + x * right }),
            );
        }
        places
    }

    /// Strips that cover all places in so many images.
    pub fn strips(&self, images: usize) -> impl Iterator<Item = Strip> + use<F> {
        let (at_a_time, rows, high) = (self.images, self.rows, self.sight.places[0]);
        (0..images).step_by(at_a_time).flat_map(move |n| {
            (0..high)
                .step_by(rows)
                .map(move |y| Strip { images: n..(n + at_a_time).min(images), rows: y..(y + rows).min(high) })
        })
    }

    /// The strip's number of places, and where its results begin in those of all images, of which each takes `image`.
    pub fn lands(&self, strip: &Strip, image: usize) -> (usize, usize) {
        let Sight { places: [_, wide], lands: (_, [down, _]), .. } = self.sight;
        (strip.count(wide), strip.images.start * image + strip.rows.start * down)
    }

    /// The number of the strip's first place, among those in all images, and of the one behind its last.
    pub fn numbers(&self, strip: &Strip) -> Range<usize> {
        let [high, wide] = self.sight.places;
        let first = (strip.images.start * high + strip.rows.start) * wide;
        first..first + strip.count(wide)
    }

    /// What is seen from the places of a strip.
    pub fn around<'a>(&'a mut self, strip: &Strip, images: &'a [F]) -> &'a [F] {
        let Sight { size: [height, width], channels, before, first, stride, taps, .. } = self.sight;
        let top = first[0] + strip.rows.start * stride[0];
        if self.seen.is_empty() {
            return &images[strip.images.start * self.image + top * self.row..];
        }
        let pixels = width * channels;
        for (image, seen) in images[strip.images.start * height * pixels..]
            .chunks_exact(height * pixels)
            .zip(self.seen.chunks_exact_mut(self.image).take(strip.images.len()))
        {
            let high = (strip.rows.len() - 1) * stride[0] + taps[0];
            for (r, seen) in seen.chunks_exact_mut(self.row).take(high).enumerate() {
                // What is beside the pixels has been zero from the beginning.
                let seen = &mut seen[before[1] * channels..][..pixels];
                match (top + r).checked_sub(before[0]).filter(|&y| y < height) {
                    Some(y) => seen.copy_from_slice(&image[y * pixels..][..pixels]),
                    None => seen.fill(F::ZERO),
                }
            }
        }
        &self.seen
    }
}
