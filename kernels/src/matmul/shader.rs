//! Which shader text computes a [`MatMul`], and how it is launched.

use super::subgroup_tiles::SubgroupTiles;
use crate::kernel::Shader;
use crate::matmul::{MatMul, Ones, TERMS, Variant};
use crate::view::View;
use std::borrow::Cow;

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
    /// Shares of the places that are summed over apart.
    pub shares: usize,
    /// Places of each.
    pub share: usize,
    /// Whether places that meet no tap are left alone.
    pub over_zeros: bool,
}

impl Patches {
    /// Sets of places that are computed apart, (y, x): see the shader.
    pub fn sets(&self) -> [usize; 2] {
        if self.forward { [1, 1] } else { self.stride }
    }

    /// Sets that a launch computes, (y, x): as many as there are first taps for them to meet, or all.
    fn computed_sets(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.sets()[axis].min(if self.over_zeros { self.taps[axis] } else { usize::MAX }))
    }

    /// Products that a launch computes: one a set, and one a share.
    pub fn products(&self) -> usize {
        self.computed_sets().iter().product::<usize>() * self.shares
    }

    /// Height and width of an image's places of one set.
    pub fn places_of_set(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.places[axis].div_ceil(self.sets()[axis]))
    }

    /// Taps that a place of a set meets at most, (y, x).
    pub fn taps_of_set(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.taps[axis].div_ceil(self.sets()[axis]))
    }

    /// Where so many tiles of columns are a set.
    fn constants(&self, set_tiles: usize) -> Vec<(&'static str, f64)> {
        let ([places_y, places_x], [_, set_taps_x]) = (self.places_of_set(), self.taps_of_set());
        let constants = [
            ("FORWARD", usize::from(self.forward)),
            ("HEIGHT", self.seen[0]),
            ("WIDTH", self.seen[1]),
            ("CHANNELS", self.channels),
            ("HIGH", self.places[0]),
            ("WIDE", self.places[1]),
            ("PLACES_X", places_x),
            ("PLACES", places_y * places_x),
            ("SETS_X", self.computed_sets()[1]),
            ("SET_TILES", set_tiles),
            ("SHARE", self.share),
            ("TAPS_Y", self.taps[0]),
            ("TAPS_X", self.taps[1]),
            ("SET_TAPS_X", set_taps_x),
            ("STRIDE_Y", self.stride[0]),
            ("STRIDE_X", self.stride[1]),
            ("PAD_Y", self.padding[0]),
            ("PAD_X", self.padding[1]),
        ];
        constants.into_iter().map(|(name, value)| (name, value as f64)).collect()
    }
}

/// The shader of one variant, where output and operands lie as `views` say; with `patches`, of a convolution, whose
/// result is stored transposed.
pub(crate) fn shader(product: &MatMul, patches: Option<&Patches>, variant: Variant, views: &[View]) -> Shader {
    let text = text(variant);
    let (product, views, transposed) = match variant {
        Variant::Subgroup if patches.is_none() && SubgroupTiles::of(&text).are_better_transposed(product) => {
            (&product.transposed(), &[views[0], views[2], views[1]][..], true)
        }
        _ => (product, views, false),
    };
    let (entry, [rows, columns]) = match variant {
        _ if by_sixteen(variant, product, views) => ("images", SubgroupTiles::of(&text).tile(product).1),
        Variant::Tiled(tile) => ("main", tile.covers()),
        Variant::Plain | Variant::Row | Variant::Cooperative => {
            ("main", ["TILE_M", "TILE_N"].map(|side| number(&text, side)))
        }
        Variant::Subgroup => SubgroupTiles::of(&text).tile(product),
    };
    let set_tiles = product.n.div_ceil(columns);
    let products = patches.map_or(1, Patches::products);
    let groups = [(products * set_tiles) as u32, product.m.div_ceil(rows) as u32];
    assert!(groups.iter().all(|&g| g <= 65_535), "{product:?} is too large for one launch: {groups:?} workgroups");
    let mut constants = constants(product, variant, rows, transposed);
    constants.extend(patches.map(|patches| patches.constants(set_tiles)).unwrap_or_default());
    let size = vec![product.m as u32, product.n as u32, product.k as u32, 0];
    let kind = if let Variant::Tiled(tile) = variant { tile.name } else { "" };
    let text = written(text, product, patches, variant, views, transposed);
    let over_zeros = patches.is_some_and(|patches| patches.over_zeros);
    let iterations = iterations(variant, product.k);
    Shader { source: text.into(), entry, kind, constants, size, groups, over_zeros, iterations }
}

/// Iterations of loops that an invocation takes at most, where sums have `k` terms.
fn iterations(variant: Variant, k: usize) -> usize {
    /// Of loops whose lengths are constants: stores, sums of what threads share.
    const OTHERS: usize = 128;
    let of_sums = match variant {
        Variant::Plain => k,
        Variant::Row => k.div_ceil(256),
        Variant::Tiled(tile) => k.div_ceil(tile.depth()) + 1,
        // Of 16 a turn, in each of which three small loops copy and multiply.
        Variant::Cooperative => 8 * k.div_ceil(16),
        // Of 16 pixels that are lit: a turn of each of two loops, and four of a third. (Others
        // take fewer.)
        Variant::Subgroup => 6 * k.div_ceil(16),
    };
    of_sums + OTHERS
}

/// What a variant's text leaves open, but for what a convolution adds; of tiles of so many `rows`.
fn constants(product: &MatMul, variant: Variant, rows: usize, transposed: bool) -> Vec<(&'static str, f64)> {
    let flag = |b: bool| f64::from(u8::from(b));
    let [column, row] = [Ones::Column, Ones::Row].map(|ones| product.ones == ones);
    let mut constants = vec![
        ("TA", flag(product.ta)),
        ("TB", flag(product.tb)),
        ("ONES_K", flag(column && !transposed)),
        ("ONES_M", flag(row && !transposed)),
    ];
    if matches!(variant, Variant::Tiled(_)) {
        constants.extend([("IMAGES", flag(product.bytes)), ("LONG", flag(product.k > TERMS))]);
    }
    if matches!(variant, Variant::Plain | Variant::Row | Variant::Tiled(_)) {
        constants.push(("TERMS", TERMS as f64));
    }
    if variant == Variant::Subgroup {
        constants.push(("ROWS", rows as f64));
    }
    if transposed {
        constants.extend([
            ("A", 2.0),
            ("B", 1.0),
            ("BIAS_M", flag(column)),
            ("ONES_N", flag(row)),
            ("TRANSPOSED", 1.0),
        ]);
    }
    constants
}

/// The text with the left operand where the right one is bound, and the other way round.
fn exchanged(text: &str) -> String {
    let [a, b, meanwhile] = ["@binding(3)", "@binding(4)", "@binding(of the left operand)"];
    text.replace(a, meanwhile).replace(b, a).replace(meanwhile, b)
}

/// How operands are loaded in words of four.
const OPERANDS: &str = include_str!("../../../shaders/matmul_operands.wgsl");

fn followed(text: &str, by: &str) -> String {
    [text, by].join("\n")
}

/// A variant's text.
pub(crate) fn text(variant: Variant) -> Cow<'static, str> {
    match variant {
        Variant::Plain => include_str!("../../../shaders/matmul_plain.wgsl").into(),
        Variant::Row => followed(include_str!("../../../shaders/matmul_row.wgsl"), OPERANDS).into(),
        Variant::Cooperative => followed(include_str!("../../../shaders/matmul_cooperative.wgsl"), OPERANDS).into(),
        Variant::Tiled(tile) => {
            followed(&tile.write(include_str!("../../../shaders/matmul_tiled.wgsl")), OPERANDS).into()
        }
        Variant::Subgroup => include_str!("../../../shaders/matmul_subgroup.wgsl").into(),
    }
}

/// The variant's text with each operand loaded, and the result stored, in the best way it can be.
fn written(
    text: Cow<'static, str>,
    product: &MatMul,
    patches: Option<&Patches>,
    variant: Variant,
    views: &[View],
    transposed: bool,
) -> String {
    let unstored = |beside: bool| usize::from(product.ones == Ones::Row && beside);
    let (stored_m, stored_n) = (product.m - unstored(!transposed), product.n - unstored(transposed));
    let rows = [if product.ta { stored_m } else { product.k }, if product.tb { product.k } else { stored_n }];
    // What an operand is, if it can be read in words of four.
    let by_four = |operand: usize, row: usize| match variant {
        _ if !is_by_four(&views[1 + operand], row) => None,
        Variant::Plain => None,
        Variant::Row | Variant::Tiled(_) | Variant::Cooperative => Some("<storage, read> {}: array<vec4<f32>>"),
        Variant::Subgroup => Some(" {}: texture_storage_2d<rgba32float, read>"),
    };
    let mut text = match patches {
        _ if by_sixteen(variant, product, views) => {
            let text = followed(&text, include_str!("../../../shaders/matmul_images.wgsl"));
            with_load(&text, 'a', "bytes by sixteen", " a: texture_storage_2d<rgba32uint, read>")
        }
        _ if product.bytes => with_load(&text, 'a', "bytes", images(variant)),
        Some(patches) if !patches.forward => with_words(&text, 'a', "filters", by_four(0, patches.channels)),
        _ => with_words(&text, 'a', "", by_four(0, rows[0])),
    };
    text = match patches {
        Some(patches) => with_words(&text, 'b', "patches", by_four(1, patches.channels)),
        None => with_words(&text, 'b', "", by_four(1, rows[1])),
    };
    let by_columns = patches.is_some() || transposed;
    let row = if by_columns { product.m } else { product.n };
    let stores_four = matches!(variant, Variant::Tiled(_) | Variant::Subgroup);
    if stores_four && is_by_four(&views[0], row) {
        let way = if by_columns { "places by four" } else { "by four" };
        text = in_another_way(&text, "store", way);
        text = declared(&text, 2, "<storage, read_write> out: array<vec4<f32>>");
    }
    text.push_str(match patches {
        Some(_) => include_str!("../../../shaders/patches.wgsl"),
        None => include_str!("../../../shaders/columns.wgsl"),
    });
    if transposed { exchanged(&text) } else { text }
}

/// Whether what has stored rows (for images: pixels) of `row` elements can be loaded or stored four at a time.
fn is_by_four(view: &View, row: usize) -> bool {
    view.is_by_four() && row.is_multiple_of(4)
}

/// Whether the left operand is images that are read sixteen pixels at a time.
fn by_sixteen(variant: Variant, product: &MatMul, views: &[View]) -> bool {
    variant == Variant::Subgroup && product.bytes && views[1].is_by(16) && product.k.is_multiple_of(16)
}

/// The text with an operand loaded in a `way`: four numbers at a time where it is declared as such.
fn with_words(text: &str, operand: char, way: &str, by_four: Option<&str>) -> String {
    match (way, by_four) {
        ("", None) => text.to_string(),
        (_, None) => with_load(text, operand, way, ""),
        (_, Some(declared)) => {
            let way = format!("{way} by four");
            with_load(text, operand, way.trim(), &declared.replace("{}", &operand.to_string()))
        }
    }
}

/// A number that the shader declares: it is the one place that says how large its tile is.
pub(crate) fn number(text: &str, name: &str) -> usize {
    let declared = text.split(&format!("const {name}: u32 = ")).nth(1).and_then(|t| t.split('u').next());
    declared.and_then(|t| t.parse().ok()).unwrap_or_else(|| panic!("the shader declares no {name}"))
}

/// Images as they are declared: bytes, four to a word or a texel.
fn images(variant: Variant) -> &'static str {
    match variant {
        Variant::Subgroup => " a: texture_storage_2d<rgba8unorm, read>",
        Variant::Plain | Variant::Row | Variant::Tiled(_) | Variant::Cooperative => "<storage, read> a: array<u32>",
    }
}

/// The text with an operand loaded in another `way`; and, unless this is empty, declared as `kind` says.
fn with_load(text: &str, operand: char, way: &str, kind: &str) -> String {
    let text = in_another_way(text, &format!("load_{operand}"), way);
    let binding = if operand == 'a' { 3 } else { 4 };
    if kind.is_empty() { text } else { declared(&text, binding, kind) }
}

/// The text with what is marked `name` replaced by another `way` of it, all of which it carries.
fn in_another_way(text: &str, name: &str, way: &str) -> String {
    text.replacen(&block(text, name), &block(text, &format!("{name} {way}")), 1)
}

/// The text with what is at a binding declared as `kind` says.
fn declared(text: &str, binding: u32, kind: &str) -> String {
    let binding = format!("@binding({binding}) var");
    let (before, after) = text.split_once(&binding).expect("the shader declares its operands");
    let (_, after) = after.split_once(';').expect("a declaration ends");
    format!("{before}{binding}{kind};{after}")
}

/// What stands between the marks of that name.
fn block(text: &str, name: &str) -> String {
    let marked = text.split_once(&format!("// [{name}]\n")).and_then(|(_, t)| t.split_once(&format!("// [/{name}]")));
    marked.unwrap_or_else(|| panic!("the shader marks no {name}")).0.to_string()
}
