//! Hashes the sources that compute, for the program to record with its results (`hindsight::SOURCES`).
//!
//! Results of other sources are not reused and not averaged with those of these. Counted are the contents of all files
//! below, in the order of their paths, whatever their line endings. Not counted is what only shows results: the command
//! line, reports (but t-SNE), profiles, benchmarks of kernels. A package without the folder `kernels` has that crate by
//! its version in Cargo.lock.

use std::path::{Path, PathBuf};
use std::{env, fs};

const COUNTED: [&str; 6] = ["Cargo.toml", "Cargo.lock", "src", "kernels/Cargo.toml", "kernels/src", "shaders"];
const NOT_COUNTED: [&str; 5] = ["src/main.rs", "src/cli", "src/report", "src/profile", "src/bench"];
const COUNTED_AFTER_ALL: &str = "src/report/tsne.rs";

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo names the package's folder"));
    println!("cargo::rerun-if-changed=build.rs");
    let mut files = vec![];
    for name in COUNTED.into_iter().filter(|name| root.join(name).exists()) {
        list(&root, name.into(), &mut files);
    }
    files.retain(|name| is_counted(name));
    files.sort();
    let mut hash = Fnv::new();
    for name in &files {
        // A file that comes or goes changes another, which names it.
        println!("cargo::rerun-if-changed={name}");
        let content = fs::read(root.join(name)).unwrap_or_else(|error| panic!("{name}: cannot be read ({error})"));
        hash.part(name.as_bytes());
        hash.part(&without_carriage_returns(&content));
    }
    println!("cargo::rustc-env=HINDSIGHT_SOURCES={:032x}", hash.0);
}

/// All files at or below `name`, by their paths from `root` with `/` between folders.
fn list(root: &Path, name: String, files: &mut Vec<String>) {
    match fs::read_dir(root.join(&name)) {
        Ok(entries) => {
            for entry in entries.flatten() {
                list(root, format!("{name}/{}", entry.file_name().to_string_lossy()), files);
            }
        }
        Err(_) => files.push(name),
    }
}

fn is_counted(name: &str) -> bool {
    let source = [".rs", ".wgsl", ".toml", ".lock"].iter().any(|end| name.ends_with(end));
    let shows = NOT_COUNTED.iter().any(|folder| name == *folder || name.starts_with(&format!("{folder}/")));
    source && (!shows || name == COUNTED_AFTER_ALL)
}

/// A checkout may have lines end as Windows has them.
fn without_carriage_returns(content: &[u8]) -> Vec<u8> {
    let followed = |i: usize| content.get(i + 1) == Some(&b'\n');
    let kept = content.iter().enumerate().filter(|(i, byte)| **byte != b'\r' || !followed(*i));
    kept.map(|(_, byte)| *byte).collect()
}

/// FNV-1a of 128 bits: against chance, not against malice.
struct Fnv(u128);

impl Fnv {
    fn new() -> Fnv {
        Fnv(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    /// Adds bytes and how many they are, so that no two lists of parts are alike.
    fn part(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(&(bytes.len() as u64).to_le_bytes()) {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
}
