//! Which files a class has, in order, from a tree of folders or from the lists of Ravi and Larochelle.

use super::super::md5sum::hex;
use super::super::{DataError, unreadable};
use super::{SIDE, Size};
use crate::files;
use md5::{Digest, Md5};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The parts of the split by classes, in which images of a class are taken in this order.
const SPLITS: [&str; 3] = ["train", "val", "test"];
const LAYOUTS: &str = "class folders (n01532829 and so on, also in train, val and test), or train.csv, val.csv and \
                       test.csv beside images";
const REMEDY: &str = "see what `hindsight data` says about its layout";
/// The most bytes of a list. Those of Ravi and Larochelle have 1.3 MB.
const LARGEST_LIST: u64 = 1 << 22;
/// To be raised when the same files decode to other pixels.
const DECODING: u32 = 1;

/// The files of each class in order, by WordNet id.
type Files = BTreeMap<String, Vec<PathBuf>>;

/// The files that are used, by class.
pub struct Listing {
    folder: PathBuf,
    size: Size,
    classes: Vec<Vec<PathBuf>>,
}

impl Listing {
    /// That of `folder`, which has at least the images of `size`.
    pub fn of(folder: &Path, size: Size) -> Result<Self, DataError> {
        let files = if has_lists(folder) { from_lists(folder)? } else { from_tree(folder)? };
        let unexpected =
            |expected, found| DataError::Unexpected { file: folder.into(), expected, found, remedy: REMEDY };
        if files.is_empty() {
            return Err(unexpected(LAYOUTS.into(), "neither".into()));
        }
        if files.len() != size.classes {
            return Err(unexpected(format!("{} classes", size.classes), files.len().to_string()));
        }
        let wanted = size.train + size.test;
        if let Some((wnid, files)) = files.iter().find(|(_, files)| files.len() < wanted) {
            return Err(unexpected(format!("{wanted} images or more of class {wnid}"), files.len().to_string()));
        }
        let used = |mut files: Vec<PathBuf>| {
            files.truncate(wanted);
            files
        };
        Ok(Self { folder: folder.into(), size, classes: files.into_values().map(used).collect() })
    }

    pub fn classes(&self) -> usize {
        self.classes.len()
    }

    /// Training images with their labels, class by class.
    pub fn train(&self) -> Vec<(&Path, u8)> {
        self.labelled(|files| &files[..self.size.train])
    }

    /// Test images with their labels, class by class.
    pub fn test(&self) -> Vec<(&Path, u8)> {
        self.labelled(|files| &files[self.size.train..])
    }

    fn labelled<'a>(&'a self, part: impl Fn(&'a [PathBuf]) -> &'a [PathBuf]) -> Vec<(&'a Path, u8)> {
        let class =
            |(label, files): (u8, &'a Vec<PathBuf>)| part(files).iter().map(move |file| (file.as_path(), label));
        (0..).zip(&self.classes).flat_map(class).collect()
    }

    /// What the decoded images are kept under: names, sizes and times of change, not contents. Reading 60,000 small files
    /// costs minutes where they lie on a disk that turns, and finding a change is all that it could do better; whoever
    /// changes a file and sets its time back has meant to. Names are relative, so that the folder may move.
    pub fn key(&self) -> Result<String, DataError> {
        let mut md5 = Md5::new();
        md5.update(format!("{DECODING} {SIDE} {:?}\n", self.size));
        for file in self.classes.iter().flatten() {
            let about = fs::metadata(file).map_err(unreadable(file))?;
            let changed = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let name = file.strip_prefix(&self.folder).unwrap_or(file);
            md5.update(format!("{name:?} {} {changed:?}\n", about.len()));
        }
        Ok(hex(&md5.finalize()))
    }
}

/// Whether a folder is laid out as this set, going by a look at its top.
pub fn is_it(folder: &Path) -> bool {
    has_lists(folder) || class_folders(folder).is_ok_and(|classes| !classes.is_empty())
}

fn has_lists(folder: &Path) -> bool {
    folder.join("images").is_dir() && SPLITS.iter().any(|split| list(folder, split).is_file())
}

fn list(folder: &Path, split: &str) -> PathBuf {
    folder.join(format!("{split}.csv"))
}

fn from_lists(folder: &Path) -> Result<Files, DataError> {
    let mut files = Files::new();
    for list in SPLITS.map(|split| list(folder, split)) {
        let text = files::read_text(&list, LARGEST_LIST).map_err(unreadable(&list))?;
        parse_list(&list, &text, &folder.join("images"), &mut files)?;
    }
    Ok(files)
}

/// Adds the images of a list, `text`, which lie in `folder`.
///
/// # Errors
/// Names the list, and the line that is none of an image.
pub fn parse_list(list: &Path, text: &str, folder: &Path, files: &mut Files) -> Result<(), DataError> {
    let unexpected = |line: usize, expected: &str, found: &str| DataError::Unexpected {
        file: list.into(),
        expected: format!("{expected} in line {line}"),
        found: format!("{found:?}"),
        remedy: "replace the list with a fresh copy",
    };
    let mut lines = (1..).zip(text.lines());
    let header = lines.next().map_or("", |(_, header)| header);
    if header.trim_start_matches('\u{feff}') != "filename,label" {
        return Err(unexpected(1, "filename,label", excerpt(header)));
    }
    for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
        match line.split_once(',') {
            Some((name, wnid)) if is_wnid(wnid) && is_inside(name) => {
                files.entry(wnid.into()).or_default().push(folder.join(name));
            }
            _ => return Err(unexpected(number, "a file's name, a comma and a WordNet id", excerpt(line))),
        }
    }
    Ok(())
}

fn from_tree(folder: &Path) -> Result<Files, DataError> {
    let mut files = Files::new();
    for (wnid, class) in class_folders(folder)? {
        files.entry(wnid).or_default().extend(images(&class)?);
    }
    Ok(files)
}

/// The class folders directly in `folder`, then those in its splits.
fn class_folders(folder: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let mut found = Vec::new();
    let splits = SPLITS.iter().map(|split| folder.join(split)).filter(|split| split.is_dir());
    for parent in [folder.to_owned()].into_iter().chain(splits) {
        for path in entries(&parent)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if is_wnid(&name) && path.is_dir() {
                found.push((name, path));
            }
        }
    }
    Ok(found)
}

fn images(class: &Path) -> Result<Vec<PathBuf>, DataError> {
    // macOS keeps a file's attributes in a file `._name` beside it, where the disk cannot keep them.
    let is_jpeg = |path: &PathBuf| {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        let attributes = path.file_name().unwrap_or_default().as_encoded_bytes().starts_with(b"._");
        (extension == "jpg" || extension == "jpeg") && !attributes
    };
    Ok(entries(class)?.into_iter().filter(is_jpeg).collect())
}

/// What a folder holds, sorted by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths: Vec<PathBuf> = entries.map_err(unreadable(folder))?;
    paths.sort();
    Ok(paths)
}

/// Whether a name that a list gives stays inside its folder.
fn is_inside(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let inside = |part| matches!(part, Component::Normal(_));
    parts.next().is_some_and(inside) && parts.all(inside)
}

/// The start of a line: a damaged list can be one long line.
fn excerpt(line: &str) -> &str {
    line.split_at(line.floor_char_boundary(80)).0
}

/// A WordNet id: n and eight digits.
fn is_wnid(name: &str) -> bool {
    name.strip_prefix('n').is_some_and(|digits| digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}
