//! How runs came about, for a checkpoint from which their command goes on.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::OsString;
use std::path::PathBuf;

/// How runs came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The command line, one entry an argument.
    pub command: Vec<Argument>,
    /// Where it was typed: what its relative paths are relative to.
    pub directory: Argument,
    /// When it started: UTC, RFC 3339.
    pub started_at: String,
}

/// A word of a command line, byte for byte.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument(pub OsString);

impl Origin {
    /// This program's own command, which started then.
    pub fn of_this_program(started_at: String) -> Origin {
        let directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        Origin {
            command: std::env::args_os().map(Argument).collect(),
            directory: Argument(directory.into()),
            started_at,
        }
    }

    /// Another command of this program, which started then.
    pub fn of(command: Vec<String>, started_at: String) -> Origin {
        let command = command.into_iter().map(|word| Argument(word.into())).collect();
        Origin { command, ..Origin::of_this_program(started_at) }
    }

    /// The words of the command. What is no Unicode is replaced.
    pub fn words(&self) -> Vec<String> {
        self.command.iter().map(|Argument(word)| word.to_string_lossy().into_owned()).collect()
    }
}

/// As a string, where it is one.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    Raw(OsString),
}

impl Serialize for Argument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = self.0.to_str().map_or_else(|| Form::Raw(self.0.clone()), |text| Form::Text(text.into()));
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Argument, D::Error> {
        Ok(Argument(match Form::deserialize(deserializer)? {
            Form::Text(text) => text.into(),
            Form::Raw(raw) => raw,
        }))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::{Argument, Origin};
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn words_that_are_no_unicode_come_back_byte_for_byte() {
        let raw = Argument(OsString::from_vec(vec![b'-', 0xff, b'x']));
        let origin = Origin { command: vec![Argument("run".into()), raw], ..Origin::of(vec![], "then".into()) };
        let text = serde_json::to_string(&origin).unwrap();
        assert!(text.contains(r#""run""#), "{text}");
        assert_eq!(serde_json::from_str::<Origin>(&text).unwrap(), origin);
    }
}
