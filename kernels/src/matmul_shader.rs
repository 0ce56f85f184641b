//! Which shader text computes a [`MatMul`](crate::MatMul), and how it is launched.

use crate::gpu::Traits;
use crate::launch::{Shader, View};
use crate::matmul::{MatMul, Ones, Variant};

pub(crate) fn shader(product: &MatMul, adapter: &Traits, _inputs: &[View]) -> Shader {
    shader_of(product, Variant::for_adapter(adapter))
}

/// The shader of one variant.
pub(crate) fn shader_of(product: &MatMul, variant: Variant) -> Shader {
    let text = variant.source();
    let groups = [product.n.div_ceil(number(text, "TILE_N")) as u32, product.m.div_ceil(number(text, "TILE_M")) as u32];
    let flag = |b: bool| f64::from(u8::from(b));
    let constants = vec![
        ("TA", flag(product.ta)),
        ("TB", flag(product.tb)),
        ("ONES_K", flag(product.ones == Ones::Column)),
        ("ONES_M", flag(product.ones == Ones::Row)),
    ];
    let size = vec![product.m as u32, product.n as u32, product.k as u32, 0];
    let source = if product.bytes { with_bytes(text).into() } else { text.into() };
    Shader { source, constants, size, groups }
}

/// A number that the shader declares: it is the one place that says how large its tile is.
fn number(text: &str, name: &str) -> usize {
    let declared = text.split(&format!("const {name}: u32 = ")).nth(1).and_then(|t| t.split('u').next());
    declared.and_then(|t| t.parse().ok()).unwrap_or_else(|| panic!("the shader declares no {name}"))
}

/// The text with its left operand read as bytes: the shader carries both ways to load it.
fn with_bytes(text: &str) -> String {
    let text = text.replace("var<storage, read> a: array<f32>;", "var<storage, read> a: array<u32>;");
    let (before, rest) = text.split_once("// [load_a]").expect("the shader marks how it loads a");
    let (_, after) = rest.split_once("// [/load_a]").expect("the shader marks where loading a ends");
    let bytes = after.split_once("// [load_a bytes]").and_then(|(_, t)| t.split_once("// [/load_a bytes]"));
    let (bytes, _) = bytes.expect("the shader carries a way to load bytes");
    format!("{before}{bytes}{after}")
}
