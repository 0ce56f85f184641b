//! Readers of files that come from elsewhere, by name: what the fuzz targets in `fuzz/` run, and the replay of their
//! corpora in `cargo test`.

use crate::bench::Measurements;
use crate::data::{cache, cifar100, idx, mini_imagenet};
use crate::experiment::checkpoint::format::{self, Checkpoint, Expected};
use crate::npy;
use crate::report::{Results, Source, Summary, export, manifest};
use crate::tune::Tuned;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// A reader of one kind of file.
pub struct Reader {
    /// Name of its fuzz target and of its corpus.
    pub name: &'static str,
    /// Reads a file of these bytes; says what is wrong with it.
    pub read: fn(&[u8]) -> Result<(), String>,
    /// The most bytes of memory that it may need for each byte of a file, beside a constant.
    pub memory: usize,
}

/// All of them.
pub const READERS: &[Reader] = &[
    // A gzip layer unpacks to at most 1,032 times its size, and a growing buffer is up to twice as large as what it holds.
    Reader { name: "idx", read: |bytes| said(idx::parse("file", bytes)), memory: 3 * 1032 },
    Reader { name: "cifar100", read: |bytes| said(cifar100::parse(Path::new("file"), bytes)), memory: 2 },
    Reader {
        name: "cifar100_archive",
        read: |bytes| said(cifar100::read_archive(Path::new("file"), bytes, [3, 2])),
        memory: 2,
    },
    // A grey block of 64 pixels takes one bit at least: 512 pixels a byte, of three numbers in the end, of 15 bytes before.
    Reader { name: "jpeg", read: |bytes| said(mini_imagenet::decode(Path::new("file"), bytes)), memory: 512 * 18 },
    Reader { name: "image_list", read: |bytes| said(image_list(bytes)), memory: 40 },
    Reader { name: "kept_images", read: kept_images, memory: 2 },
    // Whole numbers of a byte become such of sixteen.
    Reader { name: "npy", read: |bytes| said(npy::parse(bytes)), memory: 18 },
    Reader { name: "checkpoint", read: checkpoint, memory: 12 },
    Reader { name: "results", read: results, memory: 4000 },
    Reader { name: "losses", read: losses, memory: 100 },
    Reader { name: "manifest", read: |bytes| said(manifest::kernels_of(bytes)), memory: 200 },
    Reader { name: "tuned", read: |bytes| said(serde_json::from_slice::<Tuned>(bytes)), memory: 200 },
    Reader { name: "measurements", read: |bytes| said(Measurements::parse(Path::new("file"), bytes)), memory: 200 },
];

fn said<T>(result: Result<T, impl Display>) -> Result<(), String> {
    result.map(|_| ()).map_err(|error| error.to_string())
}

fn image_list(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    said(mini_imagenet::parse_list(Path::new("list"), text, Path::new("images"), &mut Default::default()))
}

/// Of two runs of three tasks and a model of four parameters. What the checksum alone would refuse is read all the same.
fn checkpoint(bytes: &[u8]) -> Result<(), String> {
    let expected = Expected { runs: 2, tasks: 3, parameters: 4, statistics: 0, bytes: 1 << 24 };
    let bytes = format::summed(bytes);
    let bytes = format::read_from(&bytes[..], bytes.len() as u64, expected.bytes)?;
    format::header(&bytes, "origin")?;
    Checkpoint::of_bytes(&bytes, &expected).map(|_| ())
}

/// What is read is put on a page, too: numbers that no run has must not stop that.
fn results(bytes: &[u8]) -> Result<(), String> {
    let folder = PathBuf::from("folder");
    let results = Results::parse(&folder, bytes).map_err(|error| error.to_string())?;
    let sources = [Source { folder, results, losses: vec![] }];
    let summary = Summary::new(&sources, false);
    summary.text();
    summary.page().render();
    Ok(())
}

/// Lines that cannot be read are left out.
fn losses(bytes: &[u8]) -> Result<(), String> {
    let records = bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let (read, _) = export::parse_losses(bytes, &records.collect::<Vec<_>>());
    if read.is_empty() { Err("no line of losses".into()) } else { Ok(()) }
}

/// A set of one class, of two training images and a test image, 2 x 1 pixels each.
fn kept_images(bytes: &[u8]) -> Result<(), String> {
    let key = "0123456789abcdef0123456789abcdef";
    let set = cache::read_from(bytes, bytes.len() as u64, key, "file", [1, 2, 3, 1, 2, 1]);
    set.map(|_| ()).ok_or_else(|| "not the images that were kept".into())
}
