//! Values that are one of a few names. The names come from the registries, so the help, the errors
//! and the programs agree; clap suggests the nearest name for a mistyped one.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use hindsight::data::locate::{DATA_SETS, DataSet};
use hindsight::program::Precision;
use hindsight::reproduce::Target;
use hindsight::settings::{AnchorKind, AnchorNorm, Angles, Preset};
use hindsight::{data::benchmarks, methods};
use hindsight_kernels::Variant;
use hindsight_kernels::catalogue::{self, Entry};
use hindsight_kernels::translate::Target as Language;

/// A parser of one of `choices`: its name, what it means, its value.
fn one_of<T: Clone + Send + Sync + 'static>(
    choices: Vec<(&'static str, &'static str, T)>,
) -> impl TypedValueParser<Value = T> {
    let values = choices.iter().map(|(name, help, _)| PossibleValue::new(*name).help(*help));
    PossibleValuesParser::new(values).map(move |given| {
        let mut known = choices.iter();
        known.find(|(name, ..)| *name == given).expect("clap lets only these pass").2.clone()
    })
}

pub fn method() -> impl TypedValueParser<Value = &'static str> {
    one_of(methods::registry().iter().map(|m| (m.name(), m.summary(), m.name())).collect())
}

pub fn benchmark() -> impl TypedValueParser<Value = &'static str> {
    one_of(benchmarks::registry().iter().map(|b| (b.name(), b.summary(), b.name())).collect())
}

pub fn data_set() -> impl TypedValueParser<Value = &'static DataSet> {
    one_of(DATA_SETS.iter().map(|set| (set.name, set.title, *set)).collect())
}

pub fn preset() -> impl TypedValueParser<Value = Preset> {
    one_of(vec![
        ("official", "What the authors' released code does; reaches their numbers", Preset::Official),
        ("paper", "The pseudo-code of the paper, word for word", Preset::Paper),
    ])
}

pub fn anchors() -> impl TypedValueParser<Value = AnchorKind> {
    one_of(vec![
        ("learned", "Learned in hindsight: the method of the paper", AnchorKind::Learned),
        ("real", "The last real image of each class (Table 4)", AnchorKind::Real),
        ("mean", "The running mean image of each class", AnchorKind::Mean),
        ("oracle", "Learned against a model that has seen the future tasks (Table 3)", AnchorKind::Oracle),
    ])
}

pub fn anchor_norm() -> impl TypedValueParser<Value = AnchorNorm> {
    one_of(vec![
        ("batch", "The statistics of the step's anchors", AnchorNorm::Batch),
        ("frozen", "Running averages", AnchorNorm::Frozen),
        ("joint", "The statistics of the batch and the anchors together", AnchorNorm::Joint),
    ])
}

pub fn precision() -> impl TypedValueParser<Value = Precision> {
    one_of(vec![
        ("f32", "All in single precision", Precision::Single),
        ("f16-storage", "Activations in half precision, all else and all arithmetic in single", Precision::HalfStorage),
    ])
}

pub fn angles() -> impl TypedValueParser<Value = Angles> {
    one_of(vec![
        ("sorted", "One in each of T equal parts of 0 to 180 degrees, growing (the paper's)", Angles::Sorted),
        ("shuffled", "Those, in an order of the seed's own: a much easier stream", Angles::Shuffled),
        ("uniform", "Anywhere in 0 to 180 degrees, the seed's own", Angles::Uniform),
    ])
}

/// A table or figure of the paper; none stands for all.
pub fn target() -> impl TypedValueParser<Value = Option<Target>> {
    let one = |target: Target| (&*target.name().leak(), target.title(), Some(target));
    one_of(Target::ALL.into_iter().map(one).chain([("all", "All of them", None)]).collect())
}

pub fn kernel() -> impl TypedValueParser<Value = &'static Entry> {
    one_of(catalogue::entries().map(|entry| (entry.name, entry.computes, entry)).collect())
}

pub fn variant() -> impl TypedValueParser<Value = Variant> {
    let about = |variant: Variant| match variant {
        Variant::Plain => "One thread an element",
        Variant::Row => "A row at a time, straight from memory: for products of one row, on hardware",
        Variant::Cooperative => "Matrices of 8 x 8 that a subgroup has together, where there are such",
        Variant::Subgroup => "A register tile shared by subgroup shuffles, for software Vulkan",
        Variant::Tiled(_) => "Blocks through workgroup memory, for hardware",
    };
    one_of(Variant::all().map(|variant| (variant.name(), about(variant), variant)).collect())
}

/// A form in which a shader is shown.
#[derive(Clone, Copy)]
pub enum Form {
    /// As it is written.
    Source,
    /// Translated.
    In(Language),
}

pub fn form() -> impl TypedValueParser<Value = Form> {
    let one = |language: Language| (language.name(), language.version(), Form::In(language));
    let source = ("source", "As it is written, with the constants it is given", Form::Source);
    one_of([source].into_iter().chain(Language::ALL.into_iter().map(one)).collect())
}
