//! The number types of the CPU twins: `f32` makes programs work, `f64` is the oracle.

use crate::cpu::lanes::Lanes;
use half::f16;
use half::slice::HalfFloatSliceExt;
use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// A floating-point type that every CPU twin can compute in.
pub trait Float:
    Copy
    + Default
    + Debug
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + Lanes
    + bytemuck::Pod
{
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// Rounds to this type.
    fn of(value: f64) -> Self;
    /// Widens to `f64`, exactly.
    fn wide(self) -> f64;
    /// e to the power of `self`.
    fn exp(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// Whether it is neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// Whether it is NaN.
    fn is_nan(self) -> bool;
    /// `self · a + b`, rounded once. Fast only where the processor has it.
    fn fused(self, a: Self, b: Self) -> Self;
    /// Rounds numbers to those that half precision has: to the nearest, and beyond 65,504 to infinity.
    fn round_to_half(values: &mut [Self]);
}

/// Numbers that are rounded at a time: they stay in the first-level cache.
const AT_A_TIME: usize = 1024;

macro_rules! float {
    ($t:ty, $narrow:ident, $widen:ident) => {
        impl Float for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            fn of(value: f64) -> Self {
                value as $t
            }
            fn wide(self) -> f64 {
                self.into()
            }
            fn exp(self) -> Self {
                <$t>::exp(self)
            }
            fn ln(self) -> Self {
                <$t>::ln(self)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                <$t>::sqrt(self)
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                <$t>::is_finite(self)
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                <$t>::is_nan(self)
            }
            #[inline(always)]
            fn fused(self, a: Self, b: Self) -> Self {
                <$t>::mul_add(self, a, b)
            }
            fn round_to_half(values: &mut [Self]) {
                let mut halves = [f16::ZERO; AT_A_TIME];
                for values in values.chunks_mut(AT_A_TIME) {
                    let halves = &mut halves[..values.len()];
                    halves.$narrow(values);
                    halves.$widen(values);
                }
            }
        }
    };
}
float!(f32, convert_from_f32_slice, convert_to_f32_slice);
float!(f64, convert_from_f64_slice, convert_to_f64_slice);
