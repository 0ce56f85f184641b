//! The tiles of `matmul_subgroup`: which to take for a product, and whether for its transpose.

use super::shader::number;
use crate::matmul::MatMul;

/// Tiles of all columns that a workgroup has, and one of half as many.
pub(crate) struct SubgroupTiles {
    wide: [Tile; 6],
    narrow: Tile,
}

/// What a workgroup computes, and by which entry point of the shader.
#[derive(Clone, Copy)]
struct Tile {
    entry: &'static str,
    rows: usize,
    columns: usize,
}

impl SubgroupTiles {
    /// Those of the shader's text.
    pub(crate) fn of(text: &str) -> SubgroupTiles {
        let wide = |rows| Tile { entry: "main", rows, columns: number(text, "TILE_N") };
        SubgroupTiles {
            wide: [24, 20, 16, 12, 8, 4].map(wide),
            narrow: Tile { entry: "narrow", rows: 20, columns: number(text, "NARROW_N") },
        }
    }

    /// The entry point for a product, and rows and columns of its tiles.
    pub(crate) fn tile(&self, product: &MatMul) -> (&'static str, [usize; 2]) {
        let highest = self.wide[0];
        let Tile { entry, rows, columns } = match product {
            _ if is_single(product) => Tile { entry: "single", rows: 1, ..highest },
            MatMul { bytes: true, .. } => highest,
            _ => self.best(product.m, product.n),
        };
        (entry, [rows, columns])
    }

    /// Whether its transpose, of which a tile's columns are rows, is computed at less cost by wide tiles: there is a little
    /// in the way that it is stored. (What has few columns is slow to load as a right operand, by narrow tiles, too.)
    pub(crate) fn are_better_transposed(&self, product: &MatMul) -> bool {
        let cost = |m, n| self.cost(self.best_wide(m, n), m, n);
        let MatMul { m, n, bytes, .. } = *product;
        !bytes && !is_single(product) && 7 * cost(n, m) <= 6 * cost(m, n)
    }

    fn best(&self, m: usize, n: usize) -> Tile {
        let wide = self.best_wide(m, n);
        let is_narrow = n <= self.narrow.columns && self.cost(self.narrow, m, n) < self.cost(wide, m, n);
        if is_narrow { self.narrow } else { wide }
    }

    fn best_wide(&self, m: usize, n: usize) -> Tile {
        self.wide.into_iter().min_by_key(|&tile| self.cost(tile, m, n)).expect("there are some")
    }

    /// What so many rows and columns cost: in twentieths of what eight rows cost beside the right operand, which each tile loads
    /// anew at the price of seven tenths. (Measured.) Narrow tiles load half of it, and half as often as they compute eight
    /// rows of all columns, at a fifth more for handing out two shares.
    fn cost(&self, tile: Tile, m: usize, n: usize) -> usize {
        let fours = tile.rows / 4;
        let one = if tile.columns == self.narrow.columns { 7 + 6 * fours } else { 14 + 10 * fours };
        m.div_ceil(tile.rows) * n.div_ceil(tile.columns) * one
    }
}

/// Whether it is a row, of which lanes load 32 numbers at a time.
fn is_single(product: &MatMul) -> bool {
    product.m == 1 && !product.ta
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matmul::{Ones, Variant};

    #[test]
    fn a_tile_computes_little_in_vain() {
        let tiles = SubgroupTiles::of(&crate::matmul::shader::text(Variant::Subgroup));
        let product = |m, n| MatMul { m, n, k: 256, ta: true, tb: false, ones: Ones::No, bytes: false };
        let rows = |m| tiles.tile(&product(m, 256)).1[0];
        assert_eq!([3, 8, 10, 20, 30, 40, 80, 785].map(rows), [4, 8, 12, 20, 16, 20, 20, 24]);
        let columns = |(m, n)| tiles.tile(&product(m, n)).1[1];
        assert_eq!([(20, 27), (40, 20), (20, 32), (20, 33), (8, 20)].map(columns), [32, 32, 32, 64, 64]);
        let transposed = |m, n| tiles.are_better_transposed(&product(m, n));
        assert!(transposed(2500, 10) && transposed(20, 10) && transposed(257, 1));
        assert!(!transposed(785, 256) && !transposed(20, 256) && !transposed(64, 64));
    }
}
