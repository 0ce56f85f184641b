//! Where data sets lie that are not part of the program.

use super::fetch::Download;
use super::{DataError, cifar100, mini_imagenet};
use crate::files::shown;
use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The variable that names a folder of data sets.
pub const DATA_VARIABLE: &str = "HINDSIGHT_DATA";
/// The variable that names the folder for what can be computed again.
pub const CACHE_VARIABLE: &str = "HINDSIGHT_CACHE";

/// A data set that is looked for.
pub struct DataSet {
    /// As the command line has it.
    pub name: &'static str,
    /// As people write it.
    pub title: &'static str,
    /// Its usual names inside a folder of data sets, the best first.
    pub names: &'static [&'static str],
    /// Usual names of versions that are not read. They count only where no other version lies, so that reading says why.
    pub unread_names: &'static [&'static str],
    /// Whether a folder of data sets is this data set itself, or its archive.
    pub is_it: fn(&Path) -> bool,
    /// How to come by it.
    pub remedy: &'static str,
    /// Where it can be fetched, if its terms allow that.
    pub download: Option<Download>,
    /// Compares the one at a path with what is published, or reads all of it, and says which.
    pub verify: fn(&Path, mini_imagenet::Progress<'_>) -> Result<&'static str, DataError>,
}

/// The data sets that are looked for.
pub const DATA_SETS: [&DataSet; 2] = [&cifar100::DATA_SET, &mini_imagenet::DATA_SET];

/// A data set is nowhere.
#[derive(Debug, thiserror::Error)]
#[error("no {title}; {remedy}\nlooked for:{}", lines(looked))]
pub struct NotFound {
    /// The data set.
    pub title: &'static str,
    /// Every place that was looked at, in order.
    pub looked: Vec<PathBuf>,
    /// How to come by it.
    pub remedy: &'static str,
}

fn lines(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("\n  {}", shown(path))).collect()
}

/// The folders of data sets, in the order in which they are looked through: the one that was given, that of
/// `HINDSIGHT_DATA`, and the platform's for this program (`~/.local/share/hindsight` and its like).
pub fn folders(given: Option<&Path>) -> Vec<PathBuf> {
    let platform = choose_native_strategy().ok().map(|platform| platform.data_dir().join("hindsight"));
    [given.map(Path::to_owned), variable(DATA_VARIABLE), platform].into_iter().flatten().collect()
}

/// The folder for what can be computed again: that of `HINDSIGHT_CACHE`, else the platform's.
pub fn cache_folder() -> Option<PathBuf> {
    let platform = || choose_native_strategy().ok().map(|platform| platform.cache_dir().join("hindsight"));
    variable(CACHE_VARIABLE).or_else(platform)
}

/// A variable's path. An empty one is as good as unset, as shells have it.
fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| *value != OsString::new()).map(PathBuf::from)
}

impl DataSet {
    /// Where it lies in the first of `folders` that has it.
    ///
    /// # Errors
    /// Lists every place that was looked at.
    pub fn find(&self, folders: &[PathBuf]) -> Result<PathBuf, NotFound> {
        let unread = |folder: &PathBuf| existing(folder, self.unread_names);
        let found = folders.iter().find_map(|folder| self.find_in(folder)).or_else(|| folders.iter().find_map(unread));
        if let Some(found) = found {
            return Ok(found);
        }
        let looked = folders.iter().flat_map(|folder| self.names.iter().map(|name| folder.join(name))).collect();
        Err(NotFound { title: self.title, looked, remedy: self.remedy })
    }

    fn find_in(&self, folder: &Path) -> Option<PathBuf> {
        existing(folder, self.names).or_else(|| (self.is_it)(folder).then(|| folder.to_owned()))
    }
}

/// The first of `names` that `folder` has.
fn existing(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    names.iter().map(|name| folder.join(name)).find(|path| path.exists())
}
