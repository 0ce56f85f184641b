//! What all fuzz targets do.

use hindsight::readers::READERS;

/// Reads a file of these bytes with the reader of that name. A file may be refused; nothing may panic, hang or ask for
/// memory that the file is too small for.
pub fn read(name: &str, bytes: &[u8]) {
    let reader = READERS.iter().find(|reader| reader.name == name).expect("a target has its reader's name");
    let _ = (reader.read)(bytes);
}
