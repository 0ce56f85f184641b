//! Which of the processor's vectors a loop is computed in.
//!
//! Vectors of 512 bits multiply and add twice as fast as those of 256 on some processors (measured: Zen 5). Others compute them in
//! two turns (Zen 4), and lose by them where they are not full. Nothing but time tells which.

use pulp::WithSimd;

/// Computes in the vectors that multiply and add the fastest. That is timed, so nothing may depend on it: sums may have
/// lanes of their own, but not join them.
#[inline(always)]
pub(crate) fn fastest<Op: WithSimd>(op: Op) -> Op::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(wide) = x86::wide_if_faster() {
        return pulp::Simd::vectorize(wide, op);
    }
    narrow(op)
}

/// Bits of a vector of [`fastest`], where they are more than those of [`narrow`].
pub(crate) fn wide_bits() -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    return x86::wide_if_faster().map(|_| 512);
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// Computes in vectors of at most 256 bits: for sums that join lanes, and for loops that the compiler makes vectors of, which calls
/// a function for every fused multiply-add where the same loop is compiled for wider ones, too.
#[inline(always)]
pub(crate) fn narrow<Op: WithSimd>(op: Op) -> Op::Output {
    #[cfg(target_arch = "x86_64")]
    return match pulp::x86::V3::try_new() {
        Some(simd) => pulp::Simd::vectorize(simd, op),
        None => pulp::Simd::vectorize(pulp::Scalar, op),
    };
    #[cfg(not(target_arch = "x86_64"))]
    pulp::Arch::new().dispatch(op)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use crate::ceiling_fma::Chains;
    use pulp::Simd;
    use pulp::x86::{V3, V4};
    use std::hint::black_box;
    use std::sync::OnceLock;
    use std::time::Instant;

    /// How many times as fast wider vectors must be: so that chance does not choose.
    const WORTH: f64 = 1.4;

    /// How often both are timed: so often that a processor which is interrupted, or lowers its clock for wide vectors first, has
    /// the time for one as it should be.
    const TIMES: usize = 50;

    pub fn wide_if_faster() -> Option<V4> {
        static PAY: OnceLock<bool> = OnceLock::new();
        let (wide, narrow) = (V4::try_new()?, V3::try_new()?);
        PAY.get_or_init(|| seconds(narrow) > WORTH * seconds(wide)).then_some(wide)
    }

    /// The least seconds in which some hundred thousand multiply-adds were done.
    fn seconds(simd: impl Simd) -> f64 {
        let (x, mut out) = ([0.0; 128], [0.0; 128]);
        let mut once = || {
            let start = Instant::now();
            simd.vectorize(Chains { out: black_box(&mut out), x: &x, a: 1.0, b: 1.0, rounds: 256 });
            start.elapsed().as_secs_f64()
        };
        (0..TIMES).map(|_| once()).fold(f64::INFINITY, f64::min)
    }
}
