//! Every shader of the catalogue, in every variant and for every kind of adapter, held to every target.

use crate::catalogue::{self, Entry};
use crate::launch::Launch;
use crate::matmul::Variant;
use crate::translate::{Composed, Target, TranslateError, Translation, adapter_for};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

/// A shader to check.
pub struct Case {
    /// The kernel.
    pub name: &'static str,
    /// In which way it is computed, where there are several.
    pub variant: Option<Variant>,
    /// The attributes that it has, or which launch of a program it is.
    pub attributes: String,
    /// For software Vulkan, where that gets another one.
    pub software: bool,
    /// The shader itself.
    pub composed: Composed,
}

/// What became of a shader in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is valid.
    Passed,
    /// The language has no words for it, for this reason.
    NotExpressible(String),
    /// It is wrong.
    Failed(String),
}

/// A shader, and what became of it in every language.
pub struct Checked {
    /// The shader.
    pub case: Case,
    /// In every language.
    pub verdicts: BTreeMap<Target, Verdict>,
}

/// All shaders: each kernel at its defaults and corners, in each variant, for hardware and for software adapters. What comes
/// out the same is there once.
pub fn cases() -> Vec<Case> {
    let mut launches = vec![];
    for entry in catalogue::entries() {
        for values in entry.cases() {
            let attributes = values.text(entry.attributes);
            launches.extend(variants(entry).into_iter().map(|v| (entry.launch(&values, v), v, attributes.clone())));
        }
    }
    distinct(launches.into_iter())
}

/// The shaders of a program's launches, likewise.
pub fn cases_of(launches: &[Launch]) -> Vec<Case> {
    let all = launches.iter().enumerate().flat_map(|(n, launch)| {
        let variants = catalogue::find(launch.kernel.describe().name()).map_or(vec![None], variants);
        variants.into_iter().map(move |variant| (launch.clone(), variant, format!("launch {n}")))
    });
    distinct(all)
}

fn variants(entry: &Entry) -> Vec<Option<Variant>> {
    if entry.in_variants { entry.variants().into_iter().map(Some).collect() } else { vec![None] }
}

/// What a driver compiles.
fn key(shader: &Composed) -> String {
    format!("{} {:?} {}", shader.entry, shader.constants, shader.source)
}

fn distinct(launches: impl Iterator<Item = (Launch, Option<Variant>, String)>) -> Vec<Case> {
    let mut seen = BTreeSet::new();
    let both = launches.flat_map(|launch| [(launch.clone(), false), (launch, true)]);
    let case = |((launch, variant, attributes), software): ((Launch, _, _), bool)| {
        let composed = Composed::of(&launch, &adapter_for(variant, software));
        Case { name: composed.name, variant, attributes, software, composed }
    };
    both.map(case).filter(|case| seen.insert(key(&case.composed))).collect()
}

impl Case {
    /// What it is, for people.
    pub fn text(&self) -> String {
        let variant = self.variant.map(|variant| format!(", variant {}", variant.name())).unwrap_or_default();
        let software = if self.software { ", on software" } else { "" };
        format!("{}({}){variant}{software}", self.name, self.attributes)
    }

    /// Translates it to every language; SPIR-V is shown to a validator if there is one.
    pub fn check(self, spirv: Option<&Spirv>) -> Checked {
        let resolved = self.composed.resolve();
        let verdict = |target: Target| {
            let translation = resolved.as_ref().map_err(Clone::clone).and_then(|valid| valid.translate(target));
            match (translation, spirv) {
                (Ok(Translation::Words(words)), Some(spirv)) => match spirv.validate(&words) {
                    Ok(()) => Verdict::Passed,
                    Err(reason) => Verdict::Failed(reason),
                },
                (Ok(_), _) => Verdict::Passed,
                (Err(error @ TranslateError::NotExpressible { .. }), _) => Verdict::NotExpressible(error.to_string()),
                (Err(error), _) => Verdict::Failed(error.to_string()),
            }
        };
        let verdicts = Target::ALL.into_iter().map(|target| (target, verdict(target))).collect();
        Checked { case: self, verdicts }
    }
}

/// The validator of SPIRV-Tools.
pub struct Spirv {
    version: String,
}

impl Spirv {
    /// The one that is installed, if one is.
    pub fn find() -> Option<Spirv> {
        let answer =
            Command::new("spirv-val").arg("--version").output().ok().filter(|answer| answer.status.success())?;
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        Some(Spirv { version: format!("spirv-val ({})", text.lines().next().unwrap_or("of unknown version")) })
    }

    /// Its name and version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Shows it a module for Vulkan 1.1.
    ///
    /// # Errors
    /// What it finds wrong.
    pub fn validate(&self, words: &[u32]) -> Result<(), String> {
        let bytes = Translation::Words(words.to_vec()).bytes();
        let said = |error: std::io::Error| format!("spirv-val could not be run: {error}");
        let mut validator = Command::new("spirv-val")
            .args(["--target-env", "vulkan1.1", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(said)?;
        let mut input = validator.stdin.take().expect("it was piped");
        // It reads all before it says anything; one that ends early is judged by its status.
        let _ = input.write_all(&bytes);
        drop(input);
        let answer = validator.wait_with_output().map_err(said)?;
        match answer.status.success() {
            true => Ok(()),
            false => Err(format!("spirv-val: {}", String::from_utf8_lossy(&answer.stderr).trim())),
        }
    }
}
