//! Who writes to a folder: one process at a time.

use super::{FolderError, time};
use crate::disk;
use hindsight_kernels::host;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::time::SystemTime;

/// The file that says who writes to the folder that it is in.
pub(super) const LOCK: &str = ".lock";

/// A folder that this process alone writes to, as long as this lives. The system releases it when the process dies.
///
/// When it ends, the folder is removed if it was made by it and nothing is in it.
#[derive(Debug)]
pub struct Lock {
    folder: PathBuf,
    /// Whether the folder was made for it.
    made: bool,
    /// Locked, where the file system has locks.
    _file: File,
}

impl Lock {
    /// Takes a folder, which is made if it is not there, and removes what a process that died has left half written in it.
    ///
    /// # Errors
    /// If another process has it, or it cannot be made or written to.
    pub fn take(folder: &Path) -> Result<Lock, FolderError> {
        let mut made = false;
        loop {
            made |= make(folder)?;
            if let Some(lock) = Lock::take_made(folder, made)? {
                return Ok(lock);
            }
        }
    }

    /// Takes a folder that is made for it; nothing, if there is one already.
    ///
    /// # Errors
    /// If it cannot be made or written to.
    pub fn take_new(folder: &Path) -> Result<Option<Lock>, FolderError> {
        if make(folder)? { Lock::take_made(folder, true) } else { Ok(None) }
    }

    /// Nothing, where its last owner has just removed the folder, or the file.
    fn take_made(folder: &Path, made: bool) -> Result<Option<Lock>, FolderError> {
        let path = folder.join(LOCK);
        let unwritable = |source| FolderError::Unwritable { path: path.clone(), source };
        let mut options = OpenOptions::new();
        let mut file = match options.read(true).write(true).create(true).truncate(false).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(unwritable)?,
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(FolderError::InUse { path: folder.to_owned(), holder: holder(&mut file) });
            }
            // There are file systems without locks.
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        let own = own_words();
        file.set_len(0).and_then(|()| file.write_all(own.as_bytes())).map_err(unwritable)?;
        // The file that was locked may have been removed by its last owner, and another be there. (Where a lock keeps others
        // from reading, it also keeps them from removing.)
        match fs::read_to_string(&path) {
            Ok(words) if words != own => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            _ => {}
        }
        disk::sweep(folder);
        Ok(Some(Lock { folder: folder.to_owned(), made, _file: file }))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.folder.join(LOCK));
        if self.made {
            let _ = fs::remove_dir(&self.folder); // where it is empty
        }
    }
}

/// Makes a folder, if it is not there; says whether it was not.
fn make(folder: &Path) -> Result<bool, FolderError> {
    let unwritable = |source| FolderError::Unwritable { path: folder.to_owned(), source };
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        disk::create_dir_all(parent).map_err(unwritable)?;
    }
    match disk::create_dir(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(FolderError::NotAFolder(folder.to_owned())),
        Err(error) => Err(unwritable(error)),
    }
}

/// This process, for others to read.
fn own_words() -> String {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let since = time::rfc3339(SystemTime::now());
    format!("process {} on {} since {since}: {}\n", process::id(), host(), words.join(" "))
}

/// What another process has written, in one line.
fn holder(file: &mut File) -> String {
    let mut words = vec![];
    let _ = file.take(1000).read_to_end(&mut words);
    let words = String::from_utf8_lossy(&words);
    let line: String = words.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.is_empty() { "another process".into() } else { line }
}
