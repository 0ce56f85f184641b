//! Changes to files of results: each is one of the calls here, so that tests can let any of them fail.
//!
//! Where `HINDSIGHT_FAIL_IO` is a number n, the n-th call fails once, as on a full disk.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Fails if it is this call that is to.
fn attempt() -> io::Result<()> {
    static FAILS: OnceLock<Option<u64>> = OnceLock::new();
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let number = || std::env::var("HINDSIGHT_FAIL_IO").ok()?.parse().ok();
    match FAILS.get_or_init(number) {
        Some(fails) if CALLS.fetch_add(1, Relaxed) + 1 == *fails => {
            Err(io::Error::new(io::ErrorKind::StorageFull, "call HINDSIGHT_FAIL_IO was to fail"))
        }
        _ => Ok(()),
    }
}

/// Makes a folder that is not there.
pub fn create_dir(path: &Path) -> io::Result<()> {
    attempt()?;
    fs::create_dir(path)
}

/// Makes a folder and those that it is in, where they are not there.
pub fn create_dir_all(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    attempt()?;
    fs::create_dir_all(path)
}

/// Renames, and makes that last.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    attempt()?;
    fs::rename(from, to)?;
    sync_folder(to)
}

/// Removes a file or a folder with all that is in it; nothing, where there is none.
pub fn remove(path: &Path) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    attempt()?;
    if found.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// Writes a file under a temporary name beside `path` and renames it: a reader, and who comes after a power cut, sees all of
/// it or nothing.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_dir_all(parent)?;
    }
    attempt()?;
    let (mut file, part) = create_part(path)?;
    let written = attempt()
        .and_then(|()| file.write_all(content))
        .and_then(|()| attempt())
        .and_then(|()| file.sync_all())
        .and_then(|()| rename(&part, path));
    if written.is_err() {
        let _ = fs::remove_file(&part); // the first error is the one to tell
    }
    written
}

const PART: &str = ".part";

/// A new file beside `path`, under a name that no other process has.
fn create_part(path: &Path) -> io::Result<(File, PathBuf)> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    loop {
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or(OsStr::new("file")));
        name.push(format!(".{}-{}{PART}", process::id(), NUMBER.fetch_add(1, Relaxed)));
        let part = path.with_file_name(name);
        match File::create_new(&part) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {} // of another machine, or of a process that died
            file => return Ok((file?, part)),
        }
    }
}

/// Removes what processes that died left of files that they were writing, in a folder that nobody else writes to, and in those
/// that are in it.
pub fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_part =
            || name.as_encoded_bytes().starts_with(b".") && name.as_encoded_bytes().ends_with(PART.as_bytes());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => sweep(&entry.path()),
            Ok(kind) if kind.is_file() && is_part() => drop(fs::remove_file(entry.path())),
            _ => {}
        }
    }
}

/// Makes what was renamed in a folder last.
fn sync_folder(of: &Path) -> io::Result<()> {
    attempt()?;
    // Where a folder can't be opened, or synchronised, the system does it in its own time.
    if cfg!(unix) {
        let folder = of.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_write_one_file_leave_one_of_their_contents_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        let contents: Vec<Vec<u8>> = (0..8).map(|byte| vec![byte; 10_000]).collect();
        std::thread::scope(|scope| {
            for content in &contents {
                let path = &path;
                scope.spawn(move || (0..20).for_each(|_| write(path, content).unwrap()));
            }
        });
        assert!(contents.contains(&fs::read(&path).unwrap()));
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_process_left_is_swept_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let inner = home.path().join("checkpoints");
        fs::create_dir(&inner).unwrap();
        let (_, part) = create_part(&inner.join("a.safetensors")).unwrap();
        let others = [home.path().join("mnist.gz.part"), home.path().join(".hidden")];
        others.iter().for_each(|other| fs::write(other, "").unwrap());
        sweep(home.path());
        assert!(!part.exists() && others.iter().all(|other| other.exists()));
    }
}
