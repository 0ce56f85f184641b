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
pub const TILES: [Tile; 13] = [
    tile("4x16s64", [4, 16, 256], [1, 1], 64),
    tile("16x16s16", [16, 16, 128], [1, 1], 16),
    tile("32x32s4", [32, 32, 64], [1, 1], 4),
    tile("40x32s8", [40, 32, 64], [5, 1], 8),
    tile("40x64s4", [40, 64, 32], [5, 1], 4),
    tile("80x64s4", [80, 64, 32], [5, 1], 4),
    tile("32x32", [32, 32, 16], [1, 1], 1),
    tile("20x256", [20, 256, 8], [5, 1], 1),
    tile("40x128", [40, 128, 16], [5, 1], 1),
    tile("80x64", [80, 64, 16], [5, 1], 1),
    tile("64x64", [64, 64, 16], [2, 2], 1),
    tile("128x64", [128, 64, 16], [2, 2], 1),
    tile("128x128", [128, 128, 16], [2, 2], 1),
];

impl Tile {
    /// The tile of that name.
    pub fn named(name: &str) -> Option<Tile> {
        TILES.into_iter().find(|tile| tile.name == name)
    }

    /// Those worth a try for a product, the likeliest first: what was the fastest on the largest GPU at hand (an H200; small
    /// ones on an H100, too), and its neighbours for others. By one run's sizes, since the choice must not depend on how many runs there are.
    pub(crate) fn candidates(product: &MatMul) -> impl Iterator<Item = Tile> {
        let MatMul { m, n, k, .. } = *product;
        let names = if n >= 1 << 12 && m <= 256 { for_many_places(m, n, k) } else { for_elements(m, m * n, k) };
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

    /// Terms of a sum between one barrier and the next.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Bytes of workgroup memory.
    pub fn memory(&self) -> usize {
        16 * self.depth * (self.padded(self.rows) + self.padded(self.columns))
    }

    /// Words of four in a row of a block in workgroup memory (the shader's ROW_A and ROW_B).
    fn padded(&self, side: usize) -> usize {
        (side / 4) | (32 / self.depth).max(1)
    }

    /// Rows and columns of the result that a workgroup covers.
    pub(crate) fn covers(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// The shader's text with this tile.
    pub(crate) fn write(&self, text: &str) -> String {
        let mut written = String::with_capacity(4 * text.len());
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            match line.split_once("// [repeat ") {
                Some((_, letter)) => {
                    let repeated: Vec<_> = lines.by_ref().take_while(|line| !line.contains("// [end]")).collect();
                    let letter = letter.trim_end_matches(']');
                    for i in 0..self.times(letter) {
                        repeated.iter().for_each(|line| self.write_line(&number(line, letter, i), &mut written));
                    }
                }
                None => self.write_line(line, &mut written),
            }
        }
        written
    }

    /// A line, or the lines that it stands for.
    fn write_line(&self, line: &str, written: &mut String) {
        let constants = [
            ("TILE_M", self.rows),
            ("TILE_N", self.columns),
            ("TILE_K", self.depth),
            ("QUADS_M", self.quads[0]),
            ("QUADS_N", self.quads[1]),
            ("SLICES", self.slices),
        ];
        let name = line.strip_prefix("const ").and_then(|rest| rest.split_once(": u32 = ")).map(|(name, _)| name);
        let declared = constants.iter().find(|(constant, _)| name == Some(constant));
        let lines = match (declared, line.split_once("; // [each ")) {
            (Some((name, value)), _) => vec![format!("const {name}: u32 = {value}u;")],
            (None, Some((line, letters))) => {
                let each = |lines: Vec<String>, letter: &str| {
                    let numbered =
                        |line: &String| (0..self.times(letter)).map(|i| number(line, letter, i)).collect::<Vec<_>>();
                    lines.iter().flat_map(numbered).collect()
                };
                letters.trim_end_matches(']').split(' ').fold(vec![format!("{line};")], each)
            }
            (None, None) => vec![line.into()],
        };
        lines.iter().for_each(|line| written.extend([line, "\n"]));
    }

    /// How many lines stand where the shader's text has a letter: see there.
    fn times(&self, letter: &str) -> usize {
        let words = |side: usize| (side * self.depth / 4).div_ceil(self.threads());
        match letter {
            "K" => self.depth / self.slices,
            "H" => self.quads[0],
            "G" => self.quads[1],
            "I" => words(self.rows),
            "J" => words(self.columns),
            _ => panic!("{letter} counts nothing"),
        }
    }
}

/// Candidates for convolutions, whose columns are places and whose rows are channels. (Those of ResNet-S are multiples of 20.)
fn for_many_places(m: usize, n: usize, k: usize) -> &'static [&'static str] {
    match () {
        () if m <= 48 && n < 1 << 16 => &["32x32", "40x64s4", "64x64", "32x32s4"],
        () if m <= 48 && k <= 64 => &["32x32", "64x64", "20x256"],
        () if m <= 24 => &["20x256", "32x32", "64x64"],
        () if m <= 48 => &["40x128", "64x64", "20x256", "32x32"],
        () if n < 1 << 14 => &["40x64s4", "80x64s4", "32x32", "64x64"],
        () => &["80x64", "128x64", "64x64", "40x128"],
    }
}

/// Candidates for other products, by how many elements their results have.
fn for_elements(m: usize, elements: usize, k: usize) -> &'static [&'static str] {
    match () {
        () if m == 1 => &["4x16s64", "16x16s16"],
        () if m <= 4 => &["4x16s64", "16x16s16", "32x32s4"],
        () if k <= 32 && elements >= 1 << 14 => &["32x32", "32x32s4", "64x64"],
        () if k > 1 << 10 && elements < 1 << 15 => &["16x16s16", "4x16s64", "40x32s8", "40x64s4", "32x32s4"],
        () if m >= 1 << 10 && elements < 1 << 15 => &["32x32", "16x16s16", "32x32s4"],
        () if elements < 1 << 15 => &["16x16s16", "32x32s4", "4x16s64"],
        () if elements <= 1 << 16 => &["16x16s16", "32x32s4", "40x32s8", "32x32"],
        () if elements <= 1 << 18 => &["32x32s4", "16x16s16", "32x32", "40x64s4"],
        () if elements < 1 << 20 => &["128x64", "32x32", "64x64"],
        () if elements < 1 << 22 => &["64x64", "128x64", "32x32"],
        () => &["128x128", "64x64", "128x64"],
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
    fn lines_are_repeated_together_once_a_step() {
        let tile = Tile::named("40x64s4").unwrap();
        let repeated = tile.write("a\n// [repeat K]\nlet x_K_H = K + H; // [each H]\nlet y_K = K;\n// [end]\nb\n");
        assert_eq!(repeated.lines().count(), 1 + 8 * 6 + 1);
        assert_eq!(repeated.lines().nth(1 + 6 + 4), Some("let x_1_4 = 1u + 4u;"));
        assert_eq!(repeated.lines().nth(1 + 6 + 5), Some("let y_1 = 1u;"));
    }

    #[test]
    fn every_tile_is_shared_out_whole_and_has_room_for_what_slices_hand_on() {
        for tile in TILES {
            let [across, down] = [tile.columns / tile.quads[1], tile.rows / tile.quads[0]];
            assert_eq!([across % 4, down % 4, tile.depth % 4, tile.depth % tile.slices], [0; 4], "{}", tile.name);
            let words = tile.depth * tile.padded(tile.columns);
            assert!(tile.slices == 1 || tile.threads() / 2 * 4 <= words, "{}", tile.name);
        }
    }
}
