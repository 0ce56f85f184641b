//! Normal noise from a counter: every element is a function of its number and a key, so that nothing has
//! to be kept between draws and the order of computation does not matter.
//!
//! The bits are those of `pcg4d` (Jarzynski and Olano, "Hash Functions for GPU Rendering", 2020), a pair of
//! which becomes two normals (Box and Muller). Logarithm, sine and cosine are written out, the same in WGSL
//! and here: the built-in ones may be off by 2^-11.

use crate::cpu::vectors;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Kernel, Shader};
use crate::view::View;
use std::f32::consts::{LN_2, SQRT_2, TAU};

/// `out[i]`: standard normal, the i-th number of `key`. Input: key `[3]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Normal {
    /// Numbers.
    pub elements: usize,
}

impl Describe for Normal {
    fn name(&self) -> &'static str {
        "normal"
    }
    fn elements(&self) -> usize {
        self.elements
    }
    fn inputs(&self) -> usize {
        1
    }
    fn cost(&self) -> Cost {
        // Hash, logarithm, root, sine and cosine of a pair: about 60 operations.
        Cost { flops: 30.0 * self.elements as f64, bytes: 4.0 * self.elements as f64 }
    }
    fn shader(&self, _: &Traits, _: &[View]) -> Shader {
        let quads = quads(self.elements);
        let size = vec![self.elements as u32, quads as u32];
        Shader::per_element(include_str!("../../shaders/normal.wgsl"), size, quads)
    }
}

impl Kernel for Normal {
    fn describe(&self) -> &dyn Describe {
        self
    }

    fn twin_f32(&self, out: &mut [f32], inputs: &[Input<'_, f32>]) {
        vectors::narrow(Fill { out, key: key(inputs[0].index()) });
    }

    fn twin_f64(&self, out: &mut [f64], inputs: &[Input<'_, f64>]) {
        let key = key(inputs[0].index());
        let quads = quads(out.len());
        for quad in 0..quads {
            let [a, b, c, d] = pcg4d([quad as u32, key[0], key[1], key[2]]);
            let pair = |x: u32, y: u32| {
                let length = (-2.0 * f64::from(open_unit(x)).ln()).sqrt();
                let (sin, cos) = (std::f64::consts::TAU * f64::from(unit(y))).sin_cos();
                [length * cos, length * sin]
            };
            let [first, second] = [pair(a, b), pair(c, d)];
            let normals = [first[0], first[1], second[0], second[1]];
            for (out, normal) in out.chunks_mut(quads).zip(normals) {
                out.get_mut(quad).into_iter().for_each(|out| *out = normal);
            }
        }
    }
}

/// A hash gives four numbers: one in each quarter of the output.
fn quads(elements: usize) -> usize {
    elements.div_ceil(4)
}

fn key(key: &[u32]) -> [u32; 3] {
    [key[0], key[1], key[2]]
}

/// Four words from four.
#[inline(always)]
fn pcg4d(v: [u32; 4]) -> [u32; 4] {
    let mut v = v.map(|x| x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    let stir = |v: &mut [u32; 4]| {
        v[0] = v[0].wrapping_add(v[1].wrapping_mul(v[3]));
        v[1] = v[1].wrapping_add(v[2].wrapping_mul(v[0]));
        v[2] = v[2].wrapping_add(v[0].wrapping_mul(v[1]));
        v[3] = v[3].wrapping_add(v[1].wrapping_mul(v[2]));
    };
    stir(&mut v);
    v = v.map(|x| x ^ x >> 16);
    stir(&mut v);
    v
}

/// In [0, 1), a multiple of 2^-24. (Signed, because vector units convert that in one instruction.)
#[inline(always)]
fn unit(x: u32) -> f32 {
    (x >> 8) as i32 as f32 * (1.0 / (1 << 24) as f32)
}

/// In (0, 1]: a logarithm follows.
#[inline(always)]
fn open_unit(x: u32) -> f32 {
    ((x >> 8) + 1) as i32 as f32 * (1.0 / (1 << 24) as f32)
}

/// Hashes that are computed side by side: loops of this length become vector instructions.
const LANES: usize = 64;

/// Computed with what vector instructions the processor has. (A closure that could be called twice would
/// not be compiled for them.)
struct Fill<'a> {
    out: &'a mut [f32],
    key: [u32; 3],
}

impl pulp::NullaryFnOnce for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let mut words = [[0; LANES]; 4];
        let mut normals = [[0.0; LANES]; 4];
        let quads = quads(self.out.len());
        for first in (0..quads).step_by(LANES) {
            hash(first as u32, self.key, &mut words);
            pairs(&words, &mut normals);
            for (out, normals) in self.out.chunks_mut(quads).zip(&normals) {
                let end = out.len().min(first + LANES);
                if first < end {
                    out[first..end].copy_from_slice(&normals[..end - first]);
                }
            }
        }
    }
}

/// The words of quads `first`, `first + 1`, ...
#[inline(always)]
fn hash(first: u32, key: [u32; 3], [a, b, c, d]: &mut [[u32; LANES]; 4]) {
    for lane in 0..LANES {
        let word = pcg4d([first + lane as u32, key[0], key[1], key[2]]);
        a[lane] = word[0];
        b[lane] = word[1];
        c[lane] = word[2];
        d[lane] = word[3];
    }
}

#[inline(always)]
fn pairs([a, b, c, d]: &[[u32; LANES]; 4], [first, second, third, fourth]: &mut [[f32; LANES]; 4]) {
    for (lengths, angles, x, y) in [(a, b, first, second), (c, d, third, fourth)] {
        for lane in 0..LANES {
            let length = (-2.0 * ln(open_unit(lengths[lane]))).sqrt();
            let (sin, cos) = sin_cos_turns(unit(angles[lane]));
            x[lane] = length * cos;
            y[lane] = length * sin;
        }
    }
}

/// The natural logarithm of a positive normal number.
#[inline(always)]
fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    let mantissa = f32::from_bits(bits & 0x7f_ffff | 0x3f80_0000);
    let exponent = (bits >> 23) as i32 - 127;
    // Around 1, so that what is near 1 keeps its digits: ln m = 2 artanh s, with |s| < 0.172.
    let high = mantissa > SQRT_2;
    let mantissa = if high { 0.5 * mantissa } else { mantissa };
    let exponent = if high { exponent + 1 } else { exponent };
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let z = s * s;
    let series = 1.0 + z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0))));
    exponent as f32 * LN_2 + 2.0 * s * series
}

/// Added to a small number, it leaves the nearest whole one in the last bits.
const ROUNDING: f32 = 12_582_912.0;

/// Sine and cosine of `turns` whole turns, `turns` in [0, 1).
#[inline(always)]
fn sin_cos_turns(turns: f32) -> (f32, f32) {
    // The nearest quarter turn, and what is left: an eighth of a turn at most.
    let rounded = 4.0 * turns + ROUNDING;
    let quarter = rounded.to_bits();
    let t = TAU * (turns - 0.25 * (rounded - ROUNDING));
    let z = t * t;
    let sin = t * (1.0 - z * (1.0 / 6.0 - z * (1.0 / 120.0 - z * (1.0 / 5040.0 - z * (1.0 / 362_880.0)))));
    let cos = 1.0 - z * (1.0 / 2.0 - z * (1.0 / 24.0 - z * (1.0 / 720.0 - z * (1.0 / 40_320.0))));
    let (s, c) = if quarter & 1 == 1 { (cos, sin) } else { (sin, cos) };
    let sin_sign = if quarter & 2 == 2 { -1.0 } else { 1.0 };
    let cos_sign = if (quarter + 1) & 2 == 2 { -1.0 } else { 1.0 };
    (sin_sign * s, cos_sign * c)
}
