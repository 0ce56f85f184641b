//! Reading of files that come from elsewhere: regular files only, no more than a limit, and names that are safe to print.

use std::fmt::{self, Write};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Opens a regular file, or a link to one, and gives its size in bytes.
///
/// # Errors
/// If it cannot be opened, or is a folder, a pipe, a socket or a device, which could be read for ever.
pub fn open(path: &Path) -> io::Result<(File, u64)> {
    // Before it is opened: to open a pipe waits for whoever writes to it.
    let regular = |about: fs::Metadata| match about.is_file() {
        true => Ok(about.len()),
        false if about.is_dir() => Err(io::Error::new(io::ErrorKind::IsADirectory, "a folder, not a regular file")),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "a pipe, socket or device, not a regular file")),
    };
    regular(fs::metadata(path)?)?;
    let file = File::open(path)?;
    let size = regular(file.metadata()?)?;
    Ok((file, size))
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// As [`open`], and if the file is larger, which is found before memory is asked for.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let (file, size) = open(path)?;
    let too_large = |size: u64| {
        let message = format!("{size} bytes, where at most {most} are read");
        Err(io::Error::new(io::ErrorKind::FileTooLarge, message))
    };
    if size > most {
        return too_large(size);
    }
    let mut bytes = Vec::with_capacity(size as usize);
    // It may have grown since.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { too_large(bytes.len() as u64) } else { Ok(bytes) }
}

/// Reads a regular file of at most `most` bytes of UTF-8.
///
/// # Errors
/// As [`read`], and if the file is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Writes a file of a cache: whole or not at all, and never over what another process is writing. What processes that died
/// left of such files in its folder is removed.
///
/// # Errors
/// What the system says; nothing is left of the file then.
pub fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    sweep(folder);
    let (mut file, part) = create_part(path)?;
    let written = write(&mut file).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        let _ = fs::remove_file(&part); // the first error is the one to tell
    }
    written
}

/// The end of the name of a file that is being written.
const PART: &str = ".part";
/// A file that nobody has written to for so long belongs to a process that died.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A new file beside `path`, under a name that nothing else has.
fn create_part(path: &Path) -> io::Result<(File, PathBuf)> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Relaxed);
        let part = path.with_extension(format!("{}-{number}{PART}", process::id()));
        match File::create_new(&part) {
            // Of another machine or container, or of a process that died.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            file => return Ok((file?, part)),
        }
    }
}

/// Removes abandoned files that were being written. One that can't be removed is harmless.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_part = entry.file_name().as_encoded_bytes().ends_with(PART.as_bytes());
        let changed = entry.metadata().ok().filter(fs::Metadata::is_file).and_then(|about| about.modified().ok());
        let age = changed.and_then(|changed| changed.elapsed().ok());
        if is_part && age.is_some_and(|age| age > ABANDONED) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A path as a message may have it: on one line, without control characters, with other bytes than UTF-8 as `\xff`.
pub fn shown(path: &Path) -> Shown<'_> {
    Shown { bytes: path.as_os_str().as_encoded_bytes(), lines: false }
}

/// A text from a file as a message may have it: see [`shown`].
pub fn shown_text(text: &str) -> Shown<'_> {
    Shown { bytes: text.as_bytes(), lines: false }
}

/// A text of several lines: as [`shown_text`], except that line feeds and tabs stay.
pub fn shown_lines(text: &str) -> Shown<'_> {
    Shown { bytes: text.as_bytes(), lines: true }
}

/// See [`shown`].
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    bytes: &'a [u8],
    /// Whether line feeds and tabs stay.
    lines: bool,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                if is_safe(c) || self.lines && matches!(c, '\n' | '\t') {
                    f.write_char(c)?
                } else {
                    c.escape_default().fmt(f)?
                }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

/// Whether a character changes neither the terminal's state nor the order in which others are shown.
fn is_safe(c: char) -> bool {
    let reorders = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks = matches!(c, '\u{2028}' | '\u{2029}');
    !(c.is_control() || reorders || breaks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_one_line_of_plain_text() {
        assert_eq!(shown_text("näme 名.jpg").to_string(), "näme 名.jpg");
        assert_eq!(shown_text("a\u{1b}[2J\n\u{202e}b\u{9b}").to_string(), r"a\u{1b}[2J\n\u{202e}b\u{9b}");
        assert_eq!(shown_lines("a\n\tb\r\u{7}\n").to_string(), "a\n\tb\\r\\u{7}\n");
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_no_text_are_shown_as_numbers() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"a\xff\xfeb"));
        assert_eq!(shown(path).to_string(), r"a\xff\xfeb");
    }

    #[test]
    fn files_are_read_up_to_a_limit() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert_eq!(read(&path, 4).unwrap_err().to_string(), "5 bytes, where at most 4 are read");
        assert!(open(home.path()).unwrap_err().to_string().contains("not a regular file"));
        fs::write(&path, [0xff]).unwrap();
        assert_eq!(read_text(&path, 5).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_file_is_replaced_whole_and_what_a_dead_process_left_is_removed() {
        use std::io::Write;
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("deep/a.json");
        replace(&path, |file| file.write_all(b"first")).unwrap();
        let [old, new] = ["b.77.part", "c.77-1.part"].map(|name| path.with_file_name(name));
        [&old, &new].into_iter().for_each(|part| fs::write(part, "half").unwrap());
        let long_ago = std::time::SystemTime::now() - 2 * ABANDONED;
        File::options().write(true).open(&old).unwrap().set_modified(long_ago).unwrap();
        let failed = replace(&path, |file| {
            file.write_all(b"sec")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        replace(&path, |file| file.write_all(b"second")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        let names = fs::read_dir(path.parent().unwrap()).unwrap().flatten().map(|entry| entry.path());
        let mut names: Vec<PathBuf> = names.collect();
        names.sort();
        assert_eq!(names, [path, new], "the abandoned file is gone, and the one that is being written stays");
    }
}
