//! Matrix product, all four transpositions, with an implicit column or row of ones.
//!
//! Shaders: `matmul_plain`, `matmul_row`, `matmul_tiled`, `matmul_cooperative`, `matmul_subgroup`.

pub(crate) mod shader;
mod subgroup_tiles;
pub(crate) mod tile;

use self::tile::{TILES, Tile};
use crate::autotune::Tunable;
use crate::bytes::Bytes;
use crate::catalogue::InVariant;
use crate::choices::class;
use crate::cpu::PIECE;
use crate::cpu::gemm::{Matrix, gemm};
use crate::cpu::sparse::{Dense, all_finite, product_of_mostly_zeros};
use crate::float::Float;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Kernel, Shader, Twin};
use crate::summation::sum_rows;
use crate::view::View;
use std::ops::Range;
use std::sync::Arc;

/// Where a matrix product has ones appended to its left operand. The two are each other's
/// derivative: a layer with its bias in the last row of its weights is `[x, 1] · w`, and the
/// gradient of those weights `[x, 1]ᵀ · dy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ones {
    /// Plain product.
    #[default]
    No,
    /// `[a, 1] · b`: a column of ones at the end of a; b has one row more, the bias.
    Column,
    /// `[a, 1]ᵀ · b`: the last row of the result is the column sum of b.
    Row,
}

/// `out[m, n] = op(a)[m, k] · op(b)[k, n]`, where op transposes if asked to. With [`Ones::Column`] b is
/// `[k + 1, n]`; with [`Ones::Row`] m counts the row of ones, and a is stored `[k, m - 1]`.
///
/// With u = 2^-24, an element is off by at most 8194 · u · Σ|a · b| on the CPU, and by (8194 + k /
/// 8192) · u · Σ|a · b| on a GPU, whose cooperative and subgroup variants are not taken for more
/// than 8192 terms, but where they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MatMul {
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result.
    pub n: usize,
    /// Length of the sums (without the ones).
    pub k: usize,
    /// a is stored `[k, m]`.
    pub ta: bool,
    /// b is stored `[n, k]`.
    pub tb: bool,
    /// Ones appended to a.
    pub ones: Ones,
    /// a is images: bytes that stand for b / 255, `[m, k]`, shared by all runs.
    pub bytes: bool,
}

/// The ways to compute a product on a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variant {
    /// One thread an element.
    Plain,
    /// A row of the result at a time, straight from memory: one row, on hardware.
    Row,
    /// Blocks through workgroup memory, in a tile of [`TILES`]: hardware.
    Tiled(Tile),
    /// Matrices of 8 x 8 that a subgroup has together, where an adapter has such and they were asked for.
    Cooperative,
    /// A register tile shared by subgroup shuffles: software Vulkan.
    Subgroup,
}

impl Variant {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Variant> {
        let tiles = TILES.map(Variant::Tiled).into_iter();
        [Variant::Plain, Variant::Subgroup, Variant::Row].into_iter().chain(tiles).chain([Variant::Cooperative])
    }

    /// Its name; a tile's is that of the tile.
    pub fn name(self) -> &'static str {
        match self {
            Variant::Plain => "plain",
            Variant::Row => "row",
            Variant::Tiled(tile) => tile.name,
            Variant::Cooperative => "cooperative",
            Variant::Subgroup => "subgroup",
        }
    }

    /// The variant of that name.
    pub fn named(name: &str) -> Option<Variant> {
        Variant::all().find(|variant| variant.name() == name)
    }

    /// Whether the adapter can run it.
    pub fn runs_on(self, adapter: &Traits) -> bool {
        match self {
            Variant::Plain | Variant::Row => true,
            Variant::Tiled(tile) => tile.fits(adapter),
            Variant::Cooperative => adapter.cooperative && adapter.subgroup.is_some_and(|lanes| lanes <= 32),
            Variant::Subgroup => adapter.subgroup == Some(8),
        }
    }

    /// Those worth a try for a product on an adapter, the likeliest first, by what both are. Measured: through workgroup
    /// memory a software adapter reaches a tenth of what subgroup shuffles give; hardware is the other way round.
    pub fn candidates(product: &MatMul, adapter: &Traits) -> Vec<Variant> {
        if adapter.software {
            let deep = Variant::named(FOR_LONG_SUMS).filter(|deep| product.k > TERMS && deep.runs_on(adapter));
            if let Some(deep) = deep {
                return vec![deep];
            }
            return vec![if Variant::Subgroup.runs_on(adapter) { Variant::Subgroup } else { Variant::Plain }];
        }
        let fitting = |variant: &Variant| variant.runs_on(adapter);
        let row = (product.m == 1).then_some(Variant::Row);
        let tiles = Tile::candidates(product).map(Variant::Tiled).filter(fitting);
        let cooperative = (product.m > 1 && product.k <= TERMS).then_some(Variant::Cooperative).filter(fitting);
        let mut candidates: Vec<_> = row.into_iter().chain(tiles).chain(cooperative).collect();
        // Where workgroup memory is scarce.
        for small in ["32x32", "64x64", "plain"].into_iter().filter_map(Variant::named).filter(fitting) {
            if candidates.len() < FEWEST_CANDIDATES && !candidates.contains(&small) {
                candidates.push(small);
            }
        }
        candidates
    }

    /// What computes a kernel's product on the adapter, where output and operands lie there: what was measured to be the fastest, or
    /// the likeliest.
    pub fn chosen(kernel: &str, tunable: &dyn Tunable, adapter: &Traits, views: &[View]) -> Variant {
        let made = adapter.choices.of(&class(kernel, tunable)).filter(|variant| variant.runs_on(adapter));
        match made.unwrap_or_else(|| Variant::candidates(&tunable.product(), adapter)[0]) {
            // It reads mirrors, which have no half precision.
            Variant::Subgroup if views.iter().any(|view| view.buffer.is_half()) => Variant::Plain,
            variant => variant,
        }
    }
}

/// Fewer would leave nothing to choose.
const FEWEST_CANDIDATES: usize = 3;

/// Terms of a sum that are added to one another before they meet those that were added up before:
/// in single precision, a long sum swallows small terms. (Sums of so many keep the order, and the
/// bits, that their variant gives them.)
pub(crate) const TERMS: usize = 8192;

/// What computes long sums on software Vulkan: each of 64 threads adds a share of them.
const FOR_LONG_SUMS: &str = "4x16s64";

/// Fewer rows do not pay for the right operand's rearrangement.
const FEWEST_ROWS: usize = 32;

impl MatMul {
    /// Strides (row, column) of op(a) and op(b).
    fn strides(&self) -> ([usize; 2], [usize; 2]) {
        let stored_m = if self.ones == Ones::Row { self.m - 1 } else { self.m };
        let a = if self.ta { [1, stored_m] } else { [self.k, 1] };
        let b = if self.tb { [1, self.k] } else { [self.n, 1] };
        (a, b)
    }

    /// The product of which this one's result is the transpose: operands change places. (The ones stay with the operand that
    /// has them, which is the right one then.)
    pub(crate) fn transposed(&self) -> MatMul {
        let MatMul { m, n, ta, tb, .. } = *self;
        MatMul { m: n, n: m, ta: !tb, tb: !ta, ..*self }
    }

    fn images<F: Float>(&self, images: &Bytes, offset: usize, b: &[F], out: &mut [F]) {
        assert!(!self.ta && !self.tb && self.ones != Ones::Row, "matmul: images stand on the left, as they are");
        // Where zeros are passed over, 0 · ∞ would be left out, or not, as the next image is lit
        // there.
        if self.k > TERMS || !all_finite(&b[..self.k * self.n]) {
            let bytes = &images.data()[offset..offset + self.m * self.k];
            let levels: [F; 256] = std::array::from_fn(|byte| F::of(byte as f64 / 255.0));
            let a: Vec<F> = bytes.iter().map(|&byte| levels[usize::from(byte)]).collect();
            return self.block(0..self.m, out, &a, b);
        }
        let first = offset / self.k;
        images.lit(self.k).product(first..first + self.m, self.dense(b), out);
    }

    fn dense<'a, F>(&self, b: &'a [F]) -> Dense<'a, F> {
        let (weights, bias) = b.split_at(self.k * self.n);
        Dense { weights, n: self.n, bias: (self.ones == Ones::Column).then_some(bias) }
    }
}

impl Describe for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }
    fn shape(&self) -> String {
        let MatMul { m, n, k, .. } = self;
        let (ta, tb) = (if self.ta { "ᵀ" } else { "" }, if self.tb { "ᵀ" } else { "" });
        match self.ones {
            Ones::No => format!("[{m}, {k}]{ta} · [{k}, {n}]{tb}"),
            Ones::Column => format!("[{m}, {k} + 1] · [{k} + 1, {n}]"),
            Ones::Row => format!("[{} + 1, {k}]ᵀ · [{k}, {n}]", m - 1),
        }
    }
    fn elements(&self) -> usize {
        self.m * self.n
    }
    fn inputs(&self) -> usize {
        2
    }
    /// Equal blocks of rows. Gradients of weights are as large as weights: of them as few as a core's cache has room for, so
    /// that an epilogue finds there what it adds to the weights.
    fn rows(&self) -> usize {
        let fit = |blocks: &usize| self.m.is_multiple_of(*blocks) && self.m / blocks * self.n <= PIECE;
        let most = if self.ta { self.m / FEWEST_ROWS } else { 1 };
        (1..=most).find(fit).unwrap_or(1)
    }
    fn cost(&self) -> Cost {
        let [m, n, k] = [self.m, self.n, self.k].map(|x| x as f64);
        let a = if self.bytes { m * k } else { 4.0 * m * k };
        Cost { flops: 2.0 * m * n * k, bytes: a + 4.0 * (k * n + m * n) }
    }
    fn as_tunable(&self) -> Option<&dyn Tunable> {
        Some(self)
    }
    fn shader(&self, adapter: &Traits, views: &[View]) -> Shader {
        Variant::chosen(self.name(), self, adapter, views).shader(self, views)
    }
}

impl Tunable for MatMul {
    fn product(&self) -> MatMul {
        *self
    }
    fn operands(&self) -> [usize; 2] {
        let MatMul { m, n, k, .. } = *self;
        match self.ones {
            Ones::No => [m * k, k * n],
            Ones::Column => [m * k, (k + 1) * n],
            Ones::Row => [(m - 1) * k, k * n],
        }
    }
    fn in_variant(&self, variant: Variant) -> Arc<dyn Kernel> {
        Arc::new(InVariant(*self, variant))
    }
}

impl Variant {
    /// The shader that computes `product` in this way, where output and operands lie as `views` say.
    pub fn shader(self, product: &MatMul, views: &[View]) -> Shader {
        shader::shader(product, None, self, views)
    }
}

impl Twin for MatMul {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        self.compute_rows(0..self.rows(), out, inputs);
    }

    fn compute_rows<F: Float>(&self, rows: Range<usize>, out: &mut [F], inputs: &[Input<'_, F>]) {
        let b = inputs[1].float();
        if let Input::Bytes(images, offset) = inputs[0] {
            return self.images(images, offset, b, out);
        }
        let length = self.m / self.rows();
        let met_as_stored = !self.ta && !self.tb && self.k <= TERMS;
        if met_as_stored && product_of_mostly_zeros(inputs[0].float(), self.k, self.dense(b), out) {
            return;
        }
        for (block, out) in rows.zip(out.chunks_mut(length * self.n)) {
            self.block(block * length..(block + 1) * length, out, inputs[0].float(), b);
        }
    }
}

impl MatMul {
    /// Computes some rows. Blocks are the same whoever computes them, and so are their bits.
    fn block<F: Float>(&self, rows: Range<usize>, out: &mut [F], a: &[F], b: &[F]) {
        let ([ra, ca], [rb, cb]) = self.strides();
        let MatMul { m, n, k, .. } = *self;
        let a = Matrix { data: &a[rows.start * ra..], row: ra, column: ca };
        let right = Matrix { data: b, row: rb, column: cb };
        match self.ones {
            Ones::No => gemm([rows.len(), n, k], a, right, out, false),
            Ones::Column => {
                let bias = &b[k * n..(k + 1) * n];
                out.chunks_exact_mut(n).for_each(|row| row.copy_from_slice(bias));
                gemm([rows.len(), n, k], a, right, out, true);
            }
            Ones::Row => {
                let (product, sums) = out.split_at_mut((rows.end.min(m - 1) - rows.start) * n);
                gemm([product.len() / n, n, k], a, right, product, false);
                if rows.end == m {
                    // In the last block, which has the row of ones.
                    sum_rows(b[..k * n].chunks_exact(n), sums);
                }
            }
        }
    }
}
