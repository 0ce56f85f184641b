//! The tiles that `matmul_tiled` comes in, as data: which to take for a product, and the shader's text with one.

use crate::gpu::Traits;
use crate::matmul::MatMul;

/// What a workgroup of `matmul_tiled` covers, and how its threads share that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// Its name: rows and columns of the result; and behind an s the threads that share a sum, where there are several.
    pub name: &'static str,
    rows: usize,
    columns: usize,
    /// Of k, at a time.
    depth: usize,
    /// Quads of 4 x 4 that a thread owns, down and across.
    quads: [usize; 2],
    /// Threads that share a sum.
    slices: usize,
}

const fn tile(name: &'static str, [rows, columns, depth]: [usize; 3], quads: [usize; 2], slices: usize) -> Tile {
    Tile { name, rows, columns, depth, quads, slices }
}

/// All of them, from those for few rows to those for large squares.
pub const TILES: [Tile; 7] = [
    tile("4x16s64", [4, 16, 256], [1, 1], 64),
    tile("16x16s16", [16, 16, 128], [1, 1], 16),
    tile("32x32s4", [32, 32, 64], [1, 1], 4),
    tile("32x32", [32, 32, 16], [1, 1], 1),
    tile("64x64", [64, 64, 16], [1, 1], 1),
    tile("32x128", [32, 128, 16], [2, 2], 1),
    tile("128x64", [128, 64, 16], [2, 2], 1),
];

impl Tile {
    /// The tile of that name.
    pub fn named(name: &str) -> Option<Tile> {
        TILES.into_iter().find(|tile| tile.name == name)
    }

    /// Those worth a try for a product, the likeliest first: what was the fastest on the largest GPU at hand (an H100), and
    /// its neighbours for others. By one run's sizes, since the choice must not depend on how many runs there are.
    pub(crate) fn candidates(product: &MatMul) -> impl Iterator<Item = Tile> {
        let MatMul { m, n, k, .. } = *product;
        let elements = m * n;
        let names: &[&str] = match () {
            () if m <= 4 => &["4x16s64", "16x16s16", "32x32s4"],
            () if k <= 32 && elements >= 1 << 14 => &["32x32s4", "32x32", "64x64"],
            () if elements < 1 << 15 => &["4x16s64", "16x16s16", "32x32s4"],
            () if elements <= 1 << 16 => &["16x16s16", "32x32s4", "32x32"],
            () if elements < 1 << 18 => &["32x32s4", "16x16s16", "32x32"],
            () if m <= 48 => &["32x32", "32x32s4", "64x64", "32x128"],
            () if elements < 1 << 20 => &["32x32", "64x64", "128x64"],
            () => &["64x64", "128x64", "32x32", "32x128"],
        };
        names.iter().map(|name| Tile::named(name).expect("a tile of the list"))
    }

    /// Whether an adapter has the workgroup memory and the threads for it.
    pub(crate) fn fits(&self, adapter: &Traits) -> bool {
        self.memory() <= adapter.workgroup_memory && self.threads() <= adapter.workgroup_threads
    }

    /// Threads of a workgroup.
    pub fn threads(&self) -> usize {
        self.rows * self.columns / (16 * self.quads[0] * self.quads[1]) * self.slices
    }

    /// Bytes of workgroup memory.
    pub fn memory(&self) -> usize {
        16 * (self.rows + self.columns) * (self.depth / 4 + 1)
    }

    /// Rows and columns of the result that a workgroup covers.
    pub(crate) fn covers(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// The shader's text with this tile.
    pub(crate) fn write(&self, text: &str) -> String {
        let constants = [
            ("TILE_M", self.rows),
            ("TILE_N", self.columns),
            ("TILE_K", self.depth),
            ("QUADS_M", self.quads[0]),
            ("QUADS_N", self.quads[1]),
            ("SLICES", self.slices),
        ];
        let words = |side: usize| side * self.depth / 4 / self.threads();
        let counts = [("H", self.quads[0]), ("G", self.quads[1]), ("I", words(self.rows)), ("J", words(self.columns))];
        let mut written = String::with_capacity(2 * text.len());
        for line in text.lines() {
            let declared = constants.iter().find(|(name, _)| line.starts_with(&format!("const {name}: u32 = ")));
            match (declared, line.split_once("; // [each ")) {
                (Some((name, value)), _) => written.push_str(&format!("const {name}: u32 = {value}u;\n")),
                (None, Some((line, letters))) => {
                    let each = |lines: Vec<String>, letter: &str| {
                        let (_, count) = counts.iter().find(|(name, _)| *name == letter).expect("a letter that counts");
                        let numbered = |line: &String| (0..*count).map(|i| number(line, letter, i)).collect::<Vec<_>>();
                        lines.iter().flat_map(numbered).collect()
                    };
                    let lines = letters.trim_end_matches(']').split(' ').fold(vec![format!("{line};")], each);
                    lines.iter().for_each(|line| written.extend([line, "\n"]));
                }
                (None, None) => written.extend([line, "\n"]),
            }
        }
        written
    }
}

/// A line with a number in place of a letter, where that is a word or a part of a name between underscores.
fn number(line: &str, letter: &str, i: usize) -> String {
    let word = |word: &str| match word {
        _ if word == letter => format!("{i}u"),
        _ => {
            let parts: Vec<_> =
                word.split('_').map(|part| if part == letter { i.to_string() } else { part.to_string() }).collect();
            parts.join("_")
        }
    };
    let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut numbered = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| in_word(c) != in_word(first)).unwrap_or(rest.len());
        let (head, tail) = rest.split_at(end);
        if in_word(first) {
            numbered.push_str(&word(head))
        } else {
            numbered.push_str(head)
        }
        rest = tail;
    }
    numbered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_once_for_each_pair_of_numbers() {
        let tile = Tile::named("128x64").unwrap();
        let written = tile.write("const TILE_M: u32 = 1u;\nsum_H_G = add(sum_H_G, x_H, G); // [each H G]\nHeight\n");
        assert_eq!(
            written,
            "const TILE_M: u32 = 128u;\nsum_0_0 = add(sum_0_0, x_0, 0u);\nsum_0_1 = add(sum_0_1, x_0, 1u);\n\
             sum_1_0 = add(sum_1_0, x_1, 0u);\nsum_1_1 = add(sum_1_1, x_1, 1u);\nHeight\n"
        );
    }

    #[test]
    fn every_tile_is_copied_in_whole_words_and_has_room_for_its_slices() {
        for tile in TILES {
            for side in tile.covers() {
                assert_eq!(side * tile.depth % (4 * tile.threads()), 0, "{}", tile.name);
            }
            assert!(tile.slices == 1 || tile.threads() * 32 <= tile.memory(), "{}", tile.name);
            assert!(tile.slices == 1 || tile.quads == [1, 1], "{}", tile.name);
        }
    }
}
