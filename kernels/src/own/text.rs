//! WGSL as words and marks, for what must be known of a text before naga reads it.

use std::collections::BTreeSet;

/// Most bytes of a text. The largest published shaders have one and a half million.
pub const MOST_BYTES: u64 = 2 << 20;
/// Most brackets that are open at a time: naga's own limit is lower, but not for all of them.
const MOST_OPEN: usize = 256;
/// Most operators of one expression, those of the expressions around it included: naga, and the drivers, follow them by
/// recursion.
const MOST_OPERATORS: usize = 2048;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Mark(u8),
}

/// Tokens with the bytes at which they begin; comments are left out.
fn tokens(text: &str) -> impl Iterator<Item = (usize, Token<'_>)> {
    let bytes = text.as_bytes();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let byte = *bytes.get(at)?;
            let start = at;
            if bytes[at..].starts_with(b"//") {
                at += bytes[at..].iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len() - at);
            } else if bytes[at..].starts_with(b"/*") {
                at = end_of_comment(bytes, at);
            } else if byte.is_ascii_whitespace() {
                at += 1;
            } else if is_word(byte) {
                at += bytes[at..].iter().position(|byte| !is_word(*byte)).unwrap_or(bytes.len() - at);
                // A word ends at ASCII, so at a character's end.
                return Some((start, Token::Word(&text[start..at])));
            } else {
                at += 1;
                return Some((start, Token::Mark(byte)));
            }
        }
    })
}

/// Where a comment ends that begins at `at`: such comments can stand in one another.
fn end_of_comment(bytes: &[u8], mut at: usize) -> usize {
    let mut open = 0;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (open, at) = (open + 1, at + 2),
            [b'*', b'/', ..] => (open, at) = (open - 1, at + 2),
            _ => at += 1,
        }
        if open == 0 {
            break;
        }
    }
    at
}

/// A text that is nested too deeply: the byte at which it is, and what it has too many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooDeep {
    /// The byte.
    pub at: usize,
    /// What is counted.
    pub what: &'static str,
    /// How many of it are read.
    pub most: usize,
}

/// Operators that were met since a bracket opened: in the expression at hand, and open `<`, which may be a template's.
#[derive(Clone, Copy, Default)]
struct Level {
    operators: usize,
    angles: usize,
}

/// Checks that reading a text needs no deep recursion.
///
/// # Errors
/// If brackets, operators, templates or branches that follow one another are nested more deeply than a person would write.
pub fn check_depth(text: &str) -> Result<(), TooDeep> {
    let mut levels = vec![Level::default()];
    let mut total = 0;
    let mut closed_brace = false;
    for (at, token) in tokens(text) {
        let top = levels.last_mut().expect("the outermost level is never closed");
        let goes_on = token == Token::Word("else");
        if std::mem::take(&mut closed_brace) && !goes_on {
            total -= std::mem::take(top).sum();
        }
        match token {
            Token::Word("else") => (top.operators, total) = (top.operators + 1, total + 1),
            Token::Word(_) => {}
            Token::Mark(b'(' | b'[' | b'{') => {
                (top.operators, total) = (top.operators + 1, total + 1);
                levels.push(Level::default());
            }
            Token::Mark(mark @ (b')' | b']' | b'}')) => {
                closed_brace = mark == b'}';
                if levels.len() > 1 {
                    total -= levels.pop().unwrap_or_default().sum();
                }
            }
            Token::Mark(b',') => total -= std::mem::take(&mut top.operators),
            Token::Mark(b';') => total -= std::mem::take(top).sum(),
            Token::Mark(b'<') => (top.angles, total) = (top.angles + 1, total + 1),
            Token::Mark(b'>') if top.angles > 0 => (top.angles, total) = (top.angles - 1, total - 1),
            Token::Mark(_) => (top.operators, total) = (top.operators + 1, total + 1),
        }
        if levels.len() > MOST_OPEN {
            return Err(TooDeep { at, what: "brackets in one another", most: MOST_OPEN });
        }
        if total > MOST_OPERATORS {
            return Err(TooDeep { at, what: "operators or branches in one statement", most: MOST_OPERATORS });
        }
    }
    Ok(())
}

impl Level {
    fn sum(self) -> usize {
        self.operators + self.angles
    }
}

/// The line of a byte, counted from 1.
pub fn line(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Names in a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Names<'a> {
    /// Those that it declares outside of functions.
    pub declared: BTreeSet<&'a str>,
    /// All words.
    pub words: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    /// Finds them.
    pub fn of(text: &'a str) -> Names<'a> {
        let mut names = Names::default();
        let (mut open, mut angles, mut is_next) = (0_usize, 0_usize, false);
        for (_, token) in tokens(text) {
            match token {
                Token::Mark(b'(' | b'[' | b'{') => open += 1,
                Token::Mark(b')' | b']' | b'}') => open = open.saturating_sub(1),
                Token::Mark(b'<') if open == 0 => angles += 1,
                Token::Mark(b'>') if open == 0 => angles = angles.saturating_sub(1),
                Token::Mark(b';') => angles = 0,
                Token::Mark(_) => {}
                Token::Word(word) => {
                    names.words.insert(word);
                    if open == 0 && angles == 0 {
                        if is_next {
                            names.declared.insert(word);
                        }
                        is_next = matches!(word, "fn" | "struct" | "alias" | "const" | "override" | "var");
                    }
                }
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_past_comments_templates_and_attributes() {
        let text = "enable f16; // struct a {}\n/* fn b() {} /* const c = 1; */ fn d() {} */\n\
                    @group(0) @binding(2) var<storage, read_write> out: array<f32>;\n\
                    @id(3) override tile: u32 = 8u; const n = 3; alias T = vec4<f32>; struct Params { base: u32 }\n\
                    @compute @workgroup_size(64) fn main() { let inner = 1; var<function> other = n; }";
        let names = Names::of(text);
        assert_eq!(names.declared, BTreeSet::from(["out", "tile", "n", "T", "Params", "main"]));
        assert!(names.words.contains("base") && names.words.contains("inner") && !names.words.contains("d"));
    }

    #[test]
    fn only_what_is_nested_or_chained_without_end_is_too_deep() {
        let long = format!("const t = array({});", vec!["1 + 2 * 3"; 5000].join(", "));
        let many = "fn f() { if (a < b) { c = d[0] + 1; } else { return; } }\n".repeat(3000);
        let shifts = format!("fn f() {{ {} }}", "x = x << 1u; y = select(a < b, c < d, x > y);".repeat(3000));
        for text in [&long, &many, &shifts] {
            assert_eq!(check_depth(text), Ok(()), "{}", &text[..40]);
        }
        let n = 20_000;
        let deep = [
            format!("const a = {}1{};", "(".repeat(n), ")".repeat(n)),
            format!("const a = {}1;", "-".repeat(n)),
            format!("const a = {}1;", "1 + ".repeat(n)),
            format!("fn f() {{ {}{} }}", "{".repeat(n), "}".repeat(n)),
            format!("fn f() {{ x = a{}; }}", "[0]".repeat(n)),
            format!("fn f() {{ x = a{}; }}", ".x".repeat(n)),
            format!("var a: {}f32{};", "array<".repeat(n), ", 1>".repeat(n)),
            format!("var a: {}f32{};", "ptr<function, ".repeat(n), ">".repeat(n)),
            format!("fn f() {{ if (a) {{}} {} }}", "else if (a) {}".repeat(n)),
            format!("fn f() {{ x = {}1{}; }}", "f(1, ".repeat(n), ")".repeat(n)),
        ];
        for text in &deep {
            assert!(check_depth(text).is_err(), "{}", &text[..40]);
        }
    }

    #[test]
    fn any_bytes_have_tokens() {
        for text in ["/*", "/* /* */", "é(ü", "\"", "))))", "}", ">>>", "//", "\0"] {
            assert!(tokens(text).count() < 9);
            assert_eq!(check_depth(text), Ok(()));
        }
        assert_eq!(line("a\nb\nc", 4), 3);
    }
}
