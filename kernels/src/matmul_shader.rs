//! Which shader text computes a [`MatMul`], and how it is launched.

use crate::gpu::Traits;
use crate::launch::{Shader, View};
use crate::matmul::{MatMul, Ones, Variant};

/// The right operand of a convolution's product: see `shaders/patches.wgsl`. Pairs are (y, x).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patches {
    /// Places are the output's and see the input; else the other way round.
    pub forward: bool,
    /// Height and width of the images that are seen.
    pub seen: [usize; 2],
    pub channels: usize,
    /// Height and width of the images that see them.
    pub places: [usize; 2],
    pub taps: [usize; 2],
    pub stride: [usize; 2],
    pub padding: [usize; 2],
}

impl Patches {
    fn constants(&self) -> Vec<(&'static str, f64)> {
        let constants = [
            ("FORWARD", usize::from(self.forward)),
            ("HEIGHT", self.seen[0]),
            ("WIDTH", self.seen[1]),
            ("CHANNELS", self.channels),
            ("PLACES_X", self.places[1]),
            ("PLACES", self.places[0] * self.places[1]),
            ("TAPS_X", self.taps[1]),
            ("STRIDE_Y", self.stride[0]),
            ("STRIDE_X", self.stride[1]),
            ("PAD_Y", self.padding[0]),
            ("PAD_X", self.padding[1]),
        ];
        constants.into_iter().map(|(name, value)| (name, value as f64)).collect()
    }
}

/// The shader of one variant, for operands that lie where `inputs` says; with `patches`, of a convolution, whose
/// result is stored transposed.
pub(crate) fn shader(
    product: &MatMul,
    patches: Option<&Patches>,
    variant: Variant,
    adapter: &Traits,
    inputs: &[View],
) -> Shader {
    let text = variant.source();
    // The tall shader takes five times as long to compile: it must have work.
    let tall = variant == Variant::Subgroup && product.m > 2 * number(text, "TILE_M") && product.k >= 64;
    let (entry, rows) = if tall { ("tall", "TALL_M") } else { ("main", "TILE_M") };
    let groups = [product.n.div_ceil(number(text, "TILE_N")) as u32, product.m.div_ceil(number(text, rows)) as u32];
    assert!(groups.iter().all(|&g| g <= 65_535), "{product:?} is too large for one launch: {groups:?} workgroups");
    let flag = |b: bool| f64::from(u8::from(b));
    let mut constants = vec![
        ("TA", flag(product.ta)),
        ("TB", flag(product.tb)),
        ("TC", flag(patches.is_some())),
        ("ONES_K", flag(product.ones == Ones::Column)),
        ("ONES_M", flag(product.ones == Ones::Row)),
    ];
    constants.extend(patches.map(Patches::constants).unwrap_or_default());
    let size = vec![product.m as u32, product.n as u32, product.k as u32, 0];
    Shader { source: load(product, patches, variant, adapter, inputs).into(), entry, constants, size, groups }
}

/// The variant's text with each operand loaded in the best way it can be.
fn load(product: &MatMul, patches: Option<&Patches>, variant: Variant, adapter: &Traits, inputs: &[View]) -> String {
    let mut text = variant.source().to_string();
    if product.bytes {
        text = with_load(&text, 'a', "bytes", "u32");
    }
    let wide = variant == Variant::Subgroup && adapter.wide_integers;
    let mut any_wide = false;
    if let Some(patches) = patches {
        let by_four = variant == Variant::Subgroup && patches.channels.is_multiple_of(4);
        let wide = wide && by_four && [inputs[1].offset, inputs[1].step.stride].iter().all(|n| n.is_multiple_of(4));
        any_wide |= wide;
        text = match (wide, by_four) {
            (true, _) => with_load(&text, 'b', "patches wide", "vec2<u64>"),
            (false, true) => with_load(&text, 'b', "patches by four", "f32"),
            (false, false) => with_load(&text, 'b', "patches", "f32"),
        };
        if !patches.forward {
            text = with_load(&text, 'a', if by_four { "filters by four" } else { "filters" }, "f32");
        }
        text.push_str(include_str!("../../shaders/patches.wgsl"));
    }
    if !wide {
        return text;
    }
    let stored_m = if product.ones == Ones::Row { product.m - 1 } else { product.m };
    let rows = [if product.ta { stored_m } else { product.k }, if product.tb { product.k } else { product.n }];
    let elsewhere = [product.bytes || patches.is_some_and(|p| !p.forward), patches.is_some()];
    for (i, operand) in ['a', 'b'].into_iter().enumerate() {
        if !elsewhere[i] && is_wide(&inputs[i], rows[i]) {
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
