//! What is added to a kernel's text that asks for it: where operands lie, and an epilogue that changes nothing.
//!
//! Nothing of it can collide with a user's names: what the text declares itself is not added, and whatever else is needed
//! has a prefix that the text has nowhere. It stands behind the text, so that lines in messages are those of the file and
//! directives stand first.

use super::text::Names;
use crate::gpu::epilogue::Width;

/// The prelude's sizes have twelve views, one of which is the output's.
pub const MOST_INPUTS: usize = 11;
/// Words of the uniform buffer at binding 1: eight sizes, and of twelve views the elements from one run to the next.
pub const PARAMS: usize = 20;

/// The text that is to follow `source`.
pub fn added(source: &str) -> String {
    let names = Names::of(source);
    let asked = |name: &str| names.words.contains(name) && !names.declared.contains(name);
    let prefix = (0..)
        .map(|n| format!("hindsight{n}_"))
        .find(|prefix| names.words.iter().all(|word| !word.starts_with(prefix.as_str())))
        .expect("a text has fewer words than there are numbers");
    let params = if names.declared.contains("params") { format!("{prefix}params") } else { "params".into() };
    let base = format!("{prefix}base");
    let value = match Width::of(source) {
        Width::One => "f32",
        Width::Four => "vec4<f32>",
    };
    let begins = if names.declared.contains("Begins") { format!("{prefix}Begins") } else { "Begins".into() };
    let mut text = format!(
        "\nstruct {prefix}Params {{ size: vec4<u32>, more: vec4<u32>, strides: array<vec4<u32>, 3> }}\n\
         @group(0) @binding(1) var<uniform> {params}: {prefix}Params;\n\
         fn {base}(view: u32, run: u32) -> u32 {{ return run * {params}.strides[view / 4u][view % 4u]; }}\n\
         struct {begins} {{ view0: u32 }}\n"
    );
    let functions = [
        ("base", format!("(view: u32, run: u32) -> u32 {{ return {base}(view, run); }}")),
        ("begins", format!("(run: u32) -> {begins} {{ return {begins}({base}(0u, run)); }}")),
        ("epilogue", format!("(value: {value}, i: u32, run: u32) -> {value} {{ return value; }}")),
        ("epilogue_at", format!("(value: {value}, i: u32, at: {begins}) -> {value} {{ return value; }}")),
    ];
    for (name, rest) in functions.iter().filter(|(name, _)| asked(name)) {
        text += &format!("fn {name}{rest}\n");
    }
    text
}
