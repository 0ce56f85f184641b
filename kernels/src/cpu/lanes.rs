//! Vectors of numbers, as wide as the processor has them: what hand-written loops over registers are made of.

use pulp::Simd;

/// A number type whose vectors the processor knows.
pub trait Lanes: Copy {
    /// Numbers side by side in a register.
    type Vector<S: Simd>: Copy;
    /// How many.
    fn lanes<S: Simd>() -> usize;
    /// `x` in each.
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Vector<S>;
    /// `a · b + sum`, rounded once where the processor does it in one go.
    fn multiply_add<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, sum: Self::Vector<S>) -> Self::Vector<S>;
    /// The sum of its numbers.
    fn sum<S: Simd>(simd: S, vector: Self::Vector<S>) -> Self;
    /// Numbers as vectors, without those that fill none.
    fn vectors<S: Simd>(numbers: &[Self]) -> &[Self::Vector<S>];
    /// The same, to be written.
    fn vectors_mut<S: Simd>(numbers: &mut [Self]) -> &mut [Self::Vector<S>];
}

macro_rules! lanes {
    ($t:ty, $vector:ident, $lanes:ident, $splat:ident, $fused:ident, $sum:ident, $vectors:ident, $vectors_mut:ident) => {
        impl Lanes for $t {
            type Vector<S: Simd> = S::$vector;
            #[inline(always)]
            fn lanes<S: Simd>() -> usize {
                S::$lanes
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: Self) -> S::$vector {
                simd.$splat(x)
            }
            #[inline(always)]
            fn multiply_add<S: Simd>(simd: S, a: S::$vector, b: S::$vector, sum: S::$vector) -> S::$vector {
                simd.$fused(a, b, sum)
            }
            #[inline(always)]
            fn sum<S: Simd>(simd: S, vector: S::$vector) -> $t {
                simd.$sum(vector)
            }
            #[inline(always)]
            fn vectors<S: Simd>(numbers: &[Self]) -> &[S::$vector] {
                S::$vectors(numbers).0
            }
            #[inline(always)]
            fn vectors_mut<S: Simd>(numbers: &mut [Self]) -> &mut [S::$vector] {
                S::$vectors_mut(numbers).0
            }
        }
    };
}
lanes!(f32, f32s, F32_LANES, splat_f32s, mul_add_e_f32s, reduce_sum_f32s, as_simd_f32s, as_mut_simd_f32s);
lanes!(f64, f64s, F64_LANES, splat_f64s, mul_add_e_f64s, reduce_sum_f64s, as_simd_f64s, as_mut_simd_f64s);
