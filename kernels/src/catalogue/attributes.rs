//! What may be chosen of a kernel: sizes, flags, alternatives.

use std::collections::BTreeMap;

/// What an attribute may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A whole number from 1 to 2^31.
    Size,
    /// A whole number from 0 to 2^31.
    Count,
    /// `true` or `false`.
    Flag,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// What an attribute is where neither a user nor an array says.
#[derive(Clone, Copy)]
pub(super) enum Usual {
    Is(usize),
    /// What follows from the attributes before it.
    Follows(fn(&Values) -> usize),
}

/// Something that may be chosen of a kernel.
#[derive(Clone, Copy)]
pub struct Attribute {
    /// As `--attr` has it.
    pub name: &'static str,
    /// What it may be.
    pub takes: Takes,
    /// What it means.
    pub meaning: &'static str,
    pub(super) usual: Usual,
}

/// A size that an array tells, or that is this one.
pub(super) const fn size(name: &'static str, usual: usize, meaning: &'static str) -> Attribute {
    Attribute { name, takes: Takes::Size, meaning, usual: Usual::Is(usual) }
}

/// A size that an array tells, or that follows from those before it.
pub(super) const fn follows(name: &'static str, from: fn(&Values) -> usize, meaning: &'static str) -> Attribute {
    Attribute { name, takes: Takes::Size, meaning, usual: Usual::Follows(from) }
}

pub(super) const fn count(name: &'static str, usual: usize, meaning: &'static str) -> Attribute {
    Attribute { name, takes: Takes::Count, meaning, usual: Usual::Is(usual) }
}

pub(super) const fn flag(name: &'static str, meaning: &'static str) -> Attribute {
    Attribute { name, takes: Takes::Flag, meaning, usual: Usual::Is(0) }
}

/// The first word is the default.
pub(super) const fn one_of(name: &'static str, words: &'static [&'static str], meaning: &'static str) -> Attribute {
    Attribute { name, takes: Takes::OneOf(words), meaning, usual: Usual::Is(0) }
}

/// Shaders count in 32 bits.
const LARGEST: usize = 1 << 31;

impl Attribute {
    /// The default, for people: at the defaults of all others, where it follows from them.
    pub fn default_text(&self) -> String {
        match self.usual {
            Usual::Is(value) => self.text(value),
            Usual::Follows(_) => "from the others".into(),
        }
    }

    /// A value, for people.
    pub fn text(&self, value: usize) -> String {
        match self.takes {
            Takes::Size | Takes::Count => value.to_string(),
            Takes::Flag => (value == 1).to_string(),
            Takes::OneOf(words) => words[value].into(),
        }
    }

    /// What it may be, for people.
    pub fn wanted(&self) -> String {
        match self.takes {
            Takes::Size => "a whole number from 1 to 2^31".into(),
            Takes::Count => "a whole number from 0 to 2^31".into(),
            Takes::Flag => "true or false".into(),
            Takes::OneOf(words) => format!("one of {}", words.join(", ")),
        }
    }

    /// The value that a text stands for.
    pub(super) fn parse(&self, text: &str) -> Option<usize> {
        let number = || text.parse::<usize>().ok();
        let value = match self.takes {
            Takes::Size | Takes::Count => number(),
            Takes::Flag => ["false", "true"].iter().position(|word| *word == text),
            Takes::OneOf(words) => words.iter().position(|word| *word == text),
        };
        value.filter(|&value| self.allows(value))
    }

    pub(super) fn allows(&self, value: usize) -> bool {
        match self.takes {
            Takes::Size => (1..=LARGEST).contains(&value),
            Takes::Count => value <= LARGEST,
            Takes::Flag => value <= 1,
            Takes::OneOf(words) => value < words.len(),
        }
    }
}

/// The values of a kernel's attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values(pub(super) BTreeMap<&'static str, usize>);

impl Values {
    /// The value of an attribute.
    ///
    /// # Panics
    /// If the kernel has none of that name.
    pub fn get(&self, name: &str) -> usize {
        *self.0.get(name).unwrap_or_else(|| panic!("the kernel has no attribute '{name}'"))
    }

    pub(super) fn is(&self, flag: &str) -> bool {
        self.get(flag) == 1
    }

    /// For people: `m = 64, ta = true`, in the order of the entry's attributes.
    pub fn text(&self, attributes: &[Attribute]) -> String {
        let one = |attribute: &Attribute| format!("{} = {}", attribute.name, attribute.text(self.get(attribute.name)));
        attributes.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}
