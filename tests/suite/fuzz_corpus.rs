//! The corpora of the fuzz targets: every file is read by its reader, as it is and changed, without a panic, a hang or
//! more memory than its size allows. `fuzz/` goes on from the same files.

use hindsight::readers::{READERS, Reader};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A reader that takes longer for some kilobytes hangs.
const HANG: Duration = Duration::from_secs(10);
/// Changed files that each reader is given, shared among those of its corpus.
const CHANGED: usize = 4000;
/// Bytes that a process may need besides what a file asks for: code that is loaded, buffers, pieces of the heap.
const BESIDE: usize = 24 << 20;

fn folder(part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(part)
}

/// The files of a reader's corpus, by name.
fn corpus(reader: &Reader) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder("corpus").join(reader.name)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Names in a folder of `fuzz/`, without what follows a dot.
fn names(part: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder(part)).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_reader_has_a_fuzz_target_and_a_small_corpus() {
    let readers: BTreeSet<String> = READERS.iter().map(|reader| reader.name.to_owned()).collect();
    assert_eq!(names("fuzz_targets"), readers);
    assert_eq!(names("corpus"), readers);
    let manifest = fs::read_to_string(folder("Cargo.toml")).unwrap();
    assert!(readers.iter().all(|name| manifest.contains(&format!("[[bin]]\nname = \"{name}\"\n"))));
    let files: Vec<_> = READERS.iter().flat_map(corpus).collect();
    assert!(files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() < 500_000);
}

#[test]
fn every_reader_takes_a_file_of_its_corpus_and_refuses_another() {
    for reader in READERS {
        let files = corpus(reader);
        let taken = files.iter().filter(|(_, bytes)| (reader.read)(bytes).is_ok()).count();
        assert!((1..files.len()).contains(&taken), "{}: {taken} of {}", reader.name, files.len());
    }
}

#[test]
fn changed_files_are_read_or_refused() {
    for reader in READERS {
        let files = corpus(reader);
        let mut random = ChaCha12Rng::seed_from_u64(0);
        for (path, bytes) in &files {
            for _ in 0..CHANGED / files.len() {
                let changed = changed(bytes, &files[random.random_range(0..files.len())].1, &mut random);
                let start = Instant::now();
                let _ = (reader.read)(&changed);
                assert!(
                    start.elapsed() < HANG,
                    "{}, changed: {:?}",
                    path.display(),
                    changed.escape_ascii().to_string()
                );
            }
        }
    }
}

/// `bytes` with one to four changes, some of them from `other`.
fn changed(bytes: &[u8], other: &[u8], random: &mut impl Rng) -> Vec<u8> {
    const EXTREMES: [&[u8]; 6] = [&[0], &[0xff], &[0; 8], &[0xff; 8], &[0x7f, 0xff, 0xff, 0xff], &[0, 0, 0, 0x80]];
    let mut bytes = bytes.to_vec();
    for _ in 0..random.random_range(1..=4) {
        let at = random.random_range(0..=bytes.len());
        let end = (at + random.random_range(0..16)).min(bytes.len());
        match random.random_range(0..6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = random.random(),
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(at),
            4 => drop(bytes.splice(at..end, EXTREMES[random.random_range(0..EXTREMES.len())].iter().copied())),
            _ => {
                let from = random.random_range(0..=other.len());
                let to = (from + random.random_range(0..64)).min(other.len());
                drop(bytes.splice(at..end, other[from..to].iter().copied()));
            }
        }
    }
    bytes
}

/// The variable by which a process knows that it is to measure, apart from all other tests.
const ALONE: &str = "HINDSIGHT_TESTS_MEASURE_READERS";

#[cfg(target_os = "linux")]
#[test]
fn no_file_asks_for_more_memory_than_its_size_allows() {
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests.args(["fuzz_corpus::measured_alone", "--exact", "--nocapture", "--test-threads=1"]).env(ALONE, "1");
    let output = tests.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("all readers were measured"));
}

/// What [`no_file_asks_for_more_memory_than_its_size_allows`] runs in a process of its own.
#[cfg(target_os = "linux")]
#[test]
fn measured_alone() {
    if std::env::var_os(ALONE).is_none() {
        return;
    }
    for reader in READERS {
        for (path, bytes) in corpus(reader) {
            let before = resident("VmRSS:");
            // From here on, the highest is that since now.
            fs::write("/proc/self/clear_refs", "5").unwrap();
            let _ = (reader.read)(&bytes);
            let needed = resident("VmHWM:").saturating_sub(before);
            let allowed = BESIDE + bytes.len() * reader.memory;
            assert!(needed <= allowed, "{}: {needed} bytes of memory, {allowed} allowed", path.display());
        }
    }
    println!("all readers were measured");
}

/// A line of this process's state, in bytes.
#[cfg(target_os = "linux")]
fn resident(line: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let kilobytes = status.lines().find_map(|found| found.strip_prefix(line)?.trim().strip_suffix(" kB"));
    1024 * kilobytes.unwrap().trim().parse::<usize>().unwrap()
}
