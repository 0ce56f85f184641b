//! Which variant computes a product on an adapter: chosen by measuring, kept in a file, or given.

use crate::autotune::Tunable;
use crate::files;
use crate::gpu::Traits;
use crate::matmul::{MatMul, Ones, Variant, shader};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

/// Variants by the class of a product ([`class`]). Shared by all programs of a device.
#[derive(Debug, Default)]
pub struct Choices {
    made: Mutex<BTreeMap<String, Variant>>,
    /// Where they are kept.
    file: Option<PathBuf>,
}

/// Where a device's choices come from.
#[derive(Clone, Debug, Default)]
pub enum Tuning {
    /// Nothing is timed: the likeliest variant of each.
    #[default]
    Off,
    /// What is in a file of this folder, one an adapter, driver and state of the shaders; what is not, is timed when it is
    /// needed and then kept there. Without a folder it is kept nowhere.
    Kept(Option<PathBuf>),
    /// These and no others: names of variants by class.
    Told(BTreeMap<String, String>),
}

impl Tuning {
    /// The choices for an adapter, to begin with.
    pub(crate) fn choices(&self, adapter: &Traits) -> Result<Choices, ChoicesError> {
        match self {
            Tuning::Off | Tuning::Kept(None) => Ok(Choices::default()),
            Tuning::Kept(Some(folder)) => Ok(Choices::kept_in(&folder.join(file_name(adapter)))),
            Tuning::Told(names) => Choices::told(names),
        }
    }
}

/// A file for each adapter, what is used of it, its driver and the state of the shaders that come in variants.
fn file_name(adapter: &Traits) -> String {
    let shaders = Variant::all().map(shader::text);
    let parts = [
        include_str!("../../shaders/columns.wgsl"),
        include_str!("../../shaders/patches.wgsl"),
        include_str!("../../shaders/matmul_images.wgsl"),
    ];
    let cooperative = if adapter.cooperative { "cooperative" } else { "" };
    let told = [adapter.name.as_str(), &adapter.driver, &adapter.backend, cooperative];
    let mut hash = 0xcbf2_9ce4_8422_2325_u64; // FNV-1a: the same on every machine and with every version of Rust
    let mut take = |text: &str| {
        for byte in text.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    told.into_iter().chain(parts).for_each(&mut take);
    shaders.for_each(|text| take(&text));
    let name: String = adapter.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("{}-{hash:016x}.json", name.to_lowercase())
}

/// Bytes of the largest file of choices that is read: a thousand times what an experiment writes.
const LARGEST_FILE: u64 = 1 << 24;

/// Choices that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ChoicesError {
    /// A variant that this version does not have.
    #[error("no variant is called '{name}', which is to compute '{class}'; another version chose it")]
    Unknown {
        /// What the file has.
        name: String,
        /// For which products.
        class: String,
    },
}

/// Products that are computed in the same variant: of the same kernel, stored alike, and of the same sizes when these
/// are rounded up to powers of two; and as many a launch of one run, rounded alike. How many runs there are is no part of it, since a
/// run's bits must not depend on that.
pub fn class(kernel: &str, tunable: &dyn Tunable) -> String {
    let MatMul { m, n, k, ta, tb, ones, bytes } = tunable.product();
    let [m, n, k] = [m, n, k].map(usize::next_power_of_two);
    let words = [
        (ta, " ta"),
        (tb, " tb"),
        (ones == Ones::Column, " ones in k"),
        (ones == Ones::Row, " ones in m"),
        (bytes, " of bytes"),
    ];
    let told: String = words.into_iter().filter_map(|(is, word)| is.then_some(word)).collect();
    let products = tunable.products().next_power_of_two();
    let beside = if products > 1 { format!(" in {products}") } else { String::new() };
    format!("{kernel} {m} x {n} x {k}{told}{beside}")
}

impl Choices {
    /// Those that a file keeps, and that are to be kept there. What is no such file holds none: they can be made again.
    pub fn kept_in(file: &Path) -> Choices {
        let read = files::read(file, LARGEST_FILE).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let made = read.and_then(|names| by_name(&names).ok()).unwrap_or_default();
        Choices { made: Mutex::new(made), file: Some(file.into()) }
    }

    /// Choices that were told, and are kept nowhere.
    ///
    /// # Errors
    /// If a name is no variant's.
    pub fn told(names: &BTreeMap<String, String>) -> Result<Choices, ChoicesError> {
        Ok(Choices { made: Mutex::new(by_name(names)?), file: None })
    }

    fn made(&self) -> MutexGuard<'_, BTreeMap<String, Variant>> {
        self.made.lock().expect("no thread panics with the choices")
    }

    /// The choice for a class.
    pub fn of(&self, class: &str) -> Option<Variant> {
        self.made().get(class).copied()
    }

    /// Makes a choice.
    pub fn make(&self, class: String, variant: Variant) {
        self.made().insert(class, variant);
    }

    /// Makes these choices, by their names, and none where one is no variant's.
    pub(crate) fn take(&self, names: &BTreeMap<String, String>) -> Result<(), ChoicesError> {
        self.made().extend(by_name(names)?);
        Ok(())
    }

    /// All of them: names of variants by class.
    pub fn names(&self) -> BTreeMap<String, String> {
        self.made().iter().map(|(class, variant)| (class.clone(), variant.name().to_string())).collect()
    }

    /// Writes them to their file, if they have one, and says which. Another process never sees half a file.
    ///
    /// # Errors
    /// What the system says.
    pub fn keep(&self) -> io::Result<Option<&Path>> {
        let Some(file) = &self.file else { return Ok(None) };
        let text = serde_json::to_string_pretty(&self.names()).expect("a map of strings has no reason to fail");
        files::replace(file, |part| writeln!(part, "{text}"))?;
        Ok(Some(file))
    }
}

impl PartialEq for Choices {
    fn eq(&self, other: &Choices) -> bool {
        self.names() == other.names()
    }
}

fn by_name(names: &BTreeMap<String, String>) -> Result<BTreeMap<String, Variant>, ChoicesError> {
    let variant = |(class, name): (&String, &String)| match Variant::named(name) {
        Some(variant) => Ok((class.clone(), variant)),
        None => Err(ChoicesError::Unknown { name: name.clone(), class: class.clone() }),
    };
    names.iter().map(variant).collect()
}
