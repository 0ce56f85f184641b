//! Digits in colour: a small set that is part of the program, for trying out what is meant for colour images.
//!
//! The digits are those of Alpaydin and Kaynak (`data/digits/LICENSE.md`), 8 x 8 pixels, each in an ink of its own.

use super::md5sum::Summed;
use super::{Checksum, ImageSet};
use flate2::read::GzDecoder;
use std::io::Read;

/// Pixels of a side.
pub const SIDE: usize = 8;
/// Digits.
pub const CLASSES: usize = 10;
/// Training images of a digit: the first ones. The file goes from writer to writer, so most of the others are by people
/// that training has not seen.
pub const TRAIN_PER_CLASS: usize = 140;
/// Test images of a digit: the next ones. The digit 8 has no more.
pub const TEST_PER_CLASS: usize = 34;
/// Images of a digit that are used.
const IMAGES_PER_CLASS: usize = TRAIN_PER_CLASS + TEST_PER_CLASS;
/// The MD5 sum of its file.
pub const PUBLISHED: &str = "9b335364a7bfd63947c7480a5bd51f2d";

const FILE: &[u8] = include_bytes!("../../data/digits/digits.csv.gz");
/// The darkest level of grey.
const DARKEST: f64 = 16.0;
/// The golden section: its multiples fill the colour circle evenly, however many there are.
const TURN: f64 = 0.618_033_988_749_894_8;

/// The set.
pub fn built_in() -> ImageSet {
    let mut file = Summed::new(FILE);
    let mut text = String::new();
    GzDecoder::new(&mut file).read_to_string(&mut text).expect("the built-in file is gzipped text");
    let md5 = file.finish().expect("memory can be read");
    let mut seen = [0; CLASSES];
    let mut set = ImageSet {
        shape: [SIDE, SIDE, 3],
        classes: CLASSES,
        train_images: Vec::new(),
        train_labels: Vec::new(),
        test_images: Vec::new(),
        test_labels: Vec::new(),
        checksums: vec![Checksum { file: "digits.csv.gz".into(), md5 }],
    };
    for (number, line) in text.lines().enumerate() {
        let numbers: Vec<u8> =
            line.split(',').map(|number| number.parse().expect("the built-in file is CSV")).collect();
        let (&digit, greys) = numbers.split_last().expect("a line has a number");
        let seen = &mut seen[usize::from(digit)];
        let (images, labels) = match *seen {
            0..TRAIN_PER_CLASS => (&mut set.train_images, &mut set.train_labels),
            TRAIN_PER_CLASS..IMAGES_PER_CLASS => (&mut set.test_images, &mut set.test_labels),
            _ => continue,
        };
        *seen += 1;
        let ink = ink(number);
        images
            .extend(greys.iter().flat_map(|&grey| ink.map(|level| (level * f64::from(grey) / DARKEST).round() as u8)));
        labels.push(digit);
    }
    set
}

/// The colour of an image: a point of the colour circle, full and bright.
fn ink(number: usize) -> [f64; 3] {
    let hue = (number as f64 * TURN).fract();
    [0.0, 1.0, 2.0].map(|channel| {
        let from_channel = (6.0 * (hue + channel / 3.0) % 6.0 - 3.0).abs();
        255.0 * (from_channel - 1.0).clamp(0.0, 1.0)
    })
}
