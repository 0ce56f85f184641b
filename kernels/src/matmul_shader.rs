//! Which shader text computes a [`MatMul`](crate::MatMul), and how it is launched.

use crate::gpu::Traits;
use crate::launch::{Shader, View};
use crate::matmul::{MatMul, Ones, Variant};

/// The shader of one variant, for operands that lie where `inputs` says.
pub(crate) fn shader(product: &MatMul, variant: Variant, adapter: &Traits, inputs: &[View]) -> Shader {
    let text = variant.source();
    // The tall shader takes five times as long to compile: it must have work.
    let tall = variant == Variant::Subgroup && product.m > 2 * number(text, "TILE_M") && product.k >= 64;
    let (entry, rows) = if tall { ("tall", "TALL_M") } else { ("main", "TILE_M") };
    let groups = [product.n.div_ceil(number(text, "TILE_N")) as u32, product.m.div_ceil(number(text, rows)) as u32];
    let flag = |b: bool| f64::from(u8::from(b));
    let constants = vec![
        ("TA", flag(product.ta)),
        ("TB", flag(product.tb)),
        ("ONES_K", flag(product.ones == Ones::Column)),
        ("ONES_M", flag(product.ones == Ones::Row)),
    ];
    let size = vec![product.m as u32, product.n as u32, product.k as u32, 0];
    Shader { source: load(product, variant, adapter, inputs).into(), entry, constants, size, groups }
}

/// The variant's text with each operand loaded in the best way it can be.
fn load(product: &MatMul, variant: Variant, adapter: &Traits, inputs: &[View]) -> String {
    let mut text = variant.source().to_string();
    if product.bytes {
        text = with_load(&text, 'a', "bytes", "u32");
    }
    if variant != Variant::Subgroup || !adapter.wide_integers {
        return text;
    }
    let stored_m = if product.ones == Ones::Row { product.m - 1 } else { product.m };
    let rows = [if product.ta { stored_m } else { product.k }, if product.tb { product.k } else { product.n }];
    let mut any_wide = false;
    for (i, operand) in ['a', 'b'].into_iter().enumerate() {
        if is_wide(&inputs[i], rows[i]) && !(i == 0 && product.bytes) {
            text = with_load(&text, operand, "wide", "vec4<u64>");
            any_wide = true;
        }
    }
    if any_wide {
        text.push_str(&block(variant.source(), "wide"));
    }
    text
}

/// Whether an operand whose stored rows have `row` elements can be loaded eight elements at a time. (Runs
/// lie a multiple of 64 elements apart.)
fn is_wide(view: &View, row: usize) -> bool {
    [view.offset, view.step.stride, row].iter().all(|n| n.is_multiple_of(8))
}

/// A number that the shader declares: it is the one place that says how large its tile is.
fn number(text: &str, name: &str) -> usize {
    let declared = text.split(&format!("const {name}: u32 = ")).nth(1).and_then(|t| t.split('u').next());
    declared.and_then(|t| t.parse().ok()).unwrap_or_else(|| panic!("the shader declares no {name}"))
}

/// The text with an operand loaded in another `way`, all of which it carries, from an array of `element`.
fn with_load(text: &str, operand: char, way: &str, element: &str) -> String {
    let plain = block(text, &format!("load_{operand}"));
    let other = block(text, &format!("load_{operand} {way}"));
    let declared = format!("var<storage, read> {operand}: array<f32>;");
    assert!(text.contains(&declared), "the shader declares no {operand}");
    text.replacen(&plain, &other, 1).replace(&declared, &declared.replace("f32", element))
}

/// What stands between the marks of that name.
fn block(text: &str, name: &str) -> String {
    let marked = text.split_once(&format!("// [{name}]\n")).and_then(|(_, t)| t.split_once(&format!("// [/{name}]")));
    marked.unwrap_or_else(|| panic!("the shader marks no {name}")).0.to_string()
}
