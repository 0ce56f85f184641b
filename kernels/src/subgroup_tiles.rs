//! The tiles of `matmul_subgroup`, as its text declares them: which to take for a product, and whether for its transpose.

use crate::matmul::MatMul;
use crate::matmul_shader::number;

/// Rows of the tiles, and the columns that all of them have.
pub(crate) struct SubgroupTiles {
    /// By the entry points that compute them.
    rows: [(&'static str, usize); 3],
    columns: usize,
}

impl SubgroupTiles {
    /// Those of the shader's text.
    pub(crate) fn of(text: &str) -> SubgroupTiles {
        let rows = [("main", "TILE_M"), ("medium", "MEDIUM_M"), ("low", "LOW_M")];
        SubgroupTiles { rows: rows.map(|(entry, rows)| (entry, number(text, rows))), columns: number(text, "TILE_N") }
    }

    /// The entry point for a product, and rows and columns of its tiles.
    pub(crate) fn tile(&self, product: &MatMul) -> (&'static str, [usize; 2]) {
        let (entry, rows) = match product {
            _ if is_single(product) => ("single", 1),
            MatMul { bytes: true, .. } => ("images", self.rows[0].1),
            _ => self.best(product.m),
        };
        (entry, [rows, self.columns])
    }

    /// Whether its transpose, of which a tile's columns are rows, is computed at much less cost: there is a little in the way
    /// that it is stored.
    pub(crate) fn are_better_transposed(&self, product: &MatMul) -> bool {
        let cost = |m: usize, n: usize| cost(m, self.best(m).1) * n.div_ceil(self.columns);
        let MatMul { m, n, bytes, .. } = *product;
        !bytes && !is_single(product) && 4 * cost(n, m) <= 3 * cost(m, n)
    }

    fn best(&self, m: usize) -> (&'static str, usize) {
        self.rows.into_iter().min_by_key(|&(_, rows)| cost(m, rows)).expect("there are some")
    }
}

/// Whether it is a row, of which lanes load 32 numbers at a time.
fn is_single(product: &MatMul) -> bool {
    product.m == 1 && !product.ta
}

/// What `m` rows cost in tiles of `rows`: in tenths of what eight rows cost beside the right operand, which each tile loads
/// anew at the price of seven. (Measured.)
fn cost(m: usize, rows: usize) -> usize {
    m.div_ceil(rows) * (7 + 10 * rows / 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matmul::{Ones, Variant};

    #[test]
    fn a_tile_computes_little_in_vain() {
        let tiles = SubgroupTiles::of(&crate::matmul_shader::text(Variant::Subgroup));
        let product = |m, n| MatMul { m, n, k: 256, ta: true, tb: false, ones: Ones::No, bytes: false };
        let rows = |m| tiles.tile(&product(m, 256)).1[0];
        assert_eq!([8, 10, 20, 30, 40, 785].map(rows), [8, 16, 24, 16, 24, 24]);
        let transposed = |m, n| tiles.are_better_transposed(&product(m, n));
        assert!(transposed(2500, 10) && transposed(20, 10) && transposed(257, 1));
        assert!(!transposed(785, 256) && !transposed(20, 256) && !transposed(64, 64));
    }
}
