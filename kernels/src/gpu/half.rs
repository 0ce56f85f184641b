//! Numbers kept in half precision: 16 bits in memory, 32 in arithmetic.
//!
//! Shaders and twins are written for single precision. Of what lies in half precision a shader's declaration is rewritten
//! here and every load widened, and the epilogue, in which every kernel ends, narrows what it returns; the CPU
//! rounds what a twin has computed to the numbers that would be kept.

use crate::launch::Launch;

/// A kernel's text whose operands lie where a launch says: in half precision where its views do.
pub(crate) fn kept_in_half(text: &str, launch: &Launch) -> String {
    let own = launch.inputs.iter().take(launch.kernel.describe().inputs());
    let views = std::iter::once(&launch.output).chain(own);
    let halves = views.enumerate().filter(|(_, view)| view.buffer.is_half());
    halves.fold(text.to_string(), |text, (n, _)| narrowed(&text, FIRST_BINDING + n))
}

/// The binding of the output; the kernel's inputs follow.
const FIRST_BINDING: usize = 2;

/// Whether a launch reads or writes half precision.
pub(crate) fn any_half(launch: &Launch) -> bool {
    launch.views().any(|view| view.buffer.is_half())
}

/// The text with the array at a binding in half precision, and its loads widened. (A result is stored as the epilogue
/// returns it.)
fn narrowed(text: &str, binding: usize) -> String {
    let declaration = format!("@binding({binding}) var<storage, ");
    let (before, after) = text.split_once(&declaration).expect("an operand in half precision is a buffer");
    let (declared, after) = after.split_once(';').expect("a declaration ends");
    let (access, declared) = declared.split_once("> ").expect("a buffer is declared with its access");
    let (name, kind) = declared.split_once(": array<").expect("a buffer is an array");
    let kind = kind.strip_suffix('>').expect("an array's type ends");
    let half = kind.replace("f32", "f16");
    assert_ne!(half, kind, "binding {binding} holds {kind}, which has no half");
    let after = if access == "read" { widened(after, name, kind) } else { after.to_string() };
    format!("{before}{declaration}{access}> {name}: array<{half}>;{after}")
}

/// The text with each `name[..]` as `kind(name[..])`.
fn widened(text: &str, name: &str, kind: &str) -> String {
    let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(&format!("{name}[")) {
        let (before, load) = rest.split_at(at);
        written.push_str(before);
        let index = name.len() + 1;
        if before.ends_with(in_word) {
            written.push_str(&load[..index]);
            rest = &load[index..];
            continue;
        }
        let end = index + closing(&load[index..]);
        written.push_str(&format!("{kind}({name}[{}])", widened(&load[index..end], name, kind)));
        rest = &load[end + 1..];
    }
    written + rest
}

/// Where the bracket closes that was open before the text.
fn closing(text: &str) -> usize {
    let mut open = 1;
    let closes = |c: char| {
        open += i32::from(c == '[') - i32::from(c == ']');
        open == 0
    };
    text.find(closes).expect("brackets close")
}

#[cfg(test)]
mod tests {
    use super::narrowed;

    #[test]
    fn loads_are_widened_wherever_they_stand_and_nothing_else_is() {
        let text = "@binding(3) var<storage, read> a: array<f32>;\n\
                    @binding(4) var<storage, read> data: array<f32>;\n\
                    x = data[a[i] + b[2]] * a[j]; // [a]";
        let written = "@binding(3) var<storage, read> a: array<f16>;\n\
                       @binding(4) var<storage, read> data: array<f32>;\n\
                       x = data[f32(a[i]) + b[2]] * f32(a[j]); // [a]";
        assert_eq!(narrowed(text, 3), written);
    }

    #[test]
    fn words_of_four_are_widened_whole_and_a_result_is_stored_as_it_comes() {
        let text = "@binding(2) var<storage, read_write> out: array<f32>;\n\
                    @binding(3) var<storage, read> a: array<vec4<f32>>;\n\
                    out[i] = epilogue(a[row[i] / 4u].x, i, run);";
        let written = "@binding(2) var<storage, read_write> out: array<f16>;\n\
                       @binding(3) var<storage, read> a: array<vec4<f16>>;\n\
                       out[i] = epilogue(vec4<f32>(a[row[i] / 4u]).x, i, run);";
        assert_eq!(narrowed(&narrowed(text, 3), 2), written);
    }
}
