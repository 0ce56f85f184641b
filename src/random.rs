//! Named random streams: what a seed means, on every platform and in later versions.
//!
//! A generator is ChaCha12 with the key `seed (8 bytes, little-endian) ‖ the stream's name, padded
//! with zeros to 24 bytes` and the task's index as its nonce, so no two (seed, stream, task) share a
//! sequence and a draw added to one moves no other. The distributions are written out here, in
//! integer and correctly rounded operations only: a library's may change with its version, and
//! `ln` and `cos` differ from one platform's libm to the next.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// What a random number is for; each use has its own sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Initial weights.
    Initialisation,
    /// What a task is: its permutation and its images.
    Data,
    /// The order of examples, where it is not already part of the data.
    Order,
    /// What the episodic memory keeps and replays.
    Memory,
    /// Which anchors a step uses, and where a learned anchor starts.
    Anchors,
    /// Variational noise.
    Noise,
    /// Angles of rotated tasks.
    Angles,
    /// Which classes a split task has.
    Classes,
}

impl Stream {
    /// The name that enters the key. Renaming one changes what every seed means.
    fn name(self) -> &'static str {
        match self {
            Self::Initialisation => "initialisation",
            Self::Data => "data",
            Self::Order => "order",
            Self::Memory => "memory",
            Self::Anchors => "anchors",
            Self::Noise => "noise",
            Self::Angles => "angles",
            Self::Classes => "classes",
        }
    }
}

/// The generator of one stream of a seed, for one task (0 where a stream knows no tasks).
pub fn generator(seed: u64, stream: Stream, task: u64) -> Generator {
    let name = stream.name().as_bytes();
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..8 + name.len()].copy_from_slice(name);
    let mut chacha = ChaCha12Rng::from_seed(key);
    chacha.set_stream(task);
    Generator(chacha)
}

/// A sequence of random draws; see [`generator`].
#[derive(Clone, Debug)]
pub struct Generator(ChaCha12Rng);

impl Generator {
    /// 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `0..n`, without bias (Lemire, 2019, "Fast random integer generation in an interval").
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "below: there is no number below 0");
        let n = n as u64;
        loop {
            let wide = u128::from(self.next_u64()) * u128::from(n);
            // The low half is below 2^64 mod n for exactly the draws that would favour some results.
            if wide as u64 >= n.wrapping_neg() % n {
                return (wide >> 64) as usize;
            }
        }
    }

    /// Uniform in [0, 1), a multiple of 2^-53.
    pub fn unit_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Puts `items` in a uniformly random order (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        self.shuffle_front(items, items.len());
    }

    /// `k` different numbers of `0..n`, in random order. A smaller `k` gives a prefix of a larger one.
    ///
    /// # Panics
    /// If `k` is more than `n`.
    pub fn sample_without_replacement(&mut self, k: usize, n: usize) -> Vec<usize> {
        assert!(k <= n, "sample_without_replacement: {k} of {n}");
        let mut items: Vec<usize> = (0..n).collect();
        self.shuffle_front(&mut items, k);
        items.truncate(k);
        items
    }

    /// Standard normal (Box–Muller, in Marsaglia's polar form).
    pub fn normal(&mut self) -> f64 {
        loop {
            let x = 2.0 * self.unit_f64() - 1.0;
            let y = 2.0 * self.unit_f64() - 1.0;
            let square = x * x + y * y;
            if 0.0 < square && square < 1.0 {
                // y would give a second normal; keeping it would be hidden state between draws.
                return x * (-2.0 * ln(square) / square).sqrt();
            }
        }
    }

    /// Normal with mean 0 and standard deviation `sd` before truncation; draws beyond 2 `sd` are
    /// drawn again, as TensorFlow's `truncated_normal` does.
    pub fn truncated_normal(&mut self, sd: f64) -> f64 {
        loop {
            let z = self.normal();
            if z.abs() <= 2.0 {
                return sd * z;
            }
        }
    }

    /// The first `k` steps of Fisher–Yates: the first `k` items become a random sample of all.
    fn shuffle_front<T>(&mut self, items: &mut [T], k: usize) {
        for i in 0..k {
            items.swap(i, i + self.below(items.len() - i));
        }
    }
}

/// The natural logarithm of a normal positive number, the same bits everywhere.
fn ln(x: f64) -> f64 {
    let mut exponent = (x.to_bits() >> 52) as i32 - 1023;
    let mut mantissa = f64::from_bits(x.to_bits() & ((1 << 52) - 1) | 1023 << 52);
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa /= 2.0;
        exponent += 1;
    }
    // ln m = 2 artanh z = 2 (z + z³/3 + z⁵/5 + ...); with |z| < 0.172 twelve terms are enough.
    let z = (mantissa - 1.0) / (mantissa + 1.0);
    let series = (0..12).rev().fold(0.0, |sum, k| sum * z * z + 1.0 / f64::from(2 * k + 1));
    f64::from(exponent) * std::f64::consts::LN_2 + 2.0 * z * series
}

#[cfg(test)]
mod tests {
    use super::ln;

    #[test]
    fn the_portable_logarithm_is_the_logarithm() {
        for x in [1e-300, 2.0_f64.powi(-105), 1e-9, 0.3, 0.5, 0.7072, 0.999_999, 1.0] {
            assert!((ln(x) - x.ln()).abs() <= 4e-16 * x.ln().abs(), "{x}: {} {}", ln(x), x.ln());
        }
    }
}
