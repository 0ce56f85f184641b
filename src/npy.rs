//! NumPy's arrays in files (`.npy`, format 1 to 3): read with care, since they come from elsewhere, and written.
//!
//! The crate for it, npyz 0.9, multiplies the lengths in a header unchecked, so that a damaged one ends a debug build and
//! wraps around in a release, and asks for as much memory as the header says that it is long. This reader takes what NumPy
//! writes for arrays of numbers, and never asks for more memory than the file has bytes for.

use crate::files::{self, shown};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// An array in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its axes; none for a single number.
    pub shape: Vec<usize>,
    /// Its elements, the last axis fastest.
    pub elements: Elements,
}

/// Elements, by the type that they have in the file.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// `float32`
    Float32(Vec<f32>),
    /// `float64`
    Float64(Vec<f64>),
    /// `uint8`
    Bytes(Vec<u8>),
    /// Any other type of whole numbers, as NumPy calls it.
    Integers(&'static str, Vec<i128>),
}

impl Elements {
    /// The type, as NumPy calls it.
    pub fn dtype(&self) -> &'static str {
        match self {
            Elements::Float32(_) => "float32",
            Elements::Float64(_) => "float64",
            Elements::Bytes(_) => "uint8",
            Elements::Integers(dtype, _) => dtype,
        }
    }
}

/// Why a file is no array that can be read here.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", shown(.path))]
pub struct NpyError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub problem: Problem,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It cannot be opened or read.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// Something else.
    #[error("is no .npy file: wanted the bytes \\x93NUMPY at its start, found {0}")]
    Magic(String),
    /// A format that does not exist yet.
    #[error("is .npy format {0}; wanted format 1, 2 or 3, as numpy.save writes them")]
    Version(u8),
    /// The header is not as NumPy writes it.
    #[error("has a damaged header: wanted {wanted}, found {found}")]
    Header {
        /// What should be there.
        wanted: &'static str,
        /// What is.
        found: String,
    },
    /// Elements of another type.
    #[error(
        "holds elements of type '{0}'; wanted float32, float64, or whole numbers, little-endian: save array.astype('<f4')"
    )]
    Type(String),
    /// Column-major.
    #[error("is in Fortran order; wanted C order: save numpy.ascontiguousarray(array)")]
    Order,
    /// Too short or too long.
    #[error("holds {found} bytes of elements; wanted {wanted}, for {elements} of {dtype}")]
    Length {
        /// Bytes that the header asks for.
        wanted: usize,
        /// Bytes that there are.
        found: u64,
        /// The shape.
        elements: String,
        /// The type.
        dtype: &'static str,
    },
}

/// Reads a file.
///
/// # Errors
/// If it cannot be read, or is not such an array; the message says what was wanted.
pub fn read(path: &Path) -> Result<Array, NpyError> {
    let wrap = |problem| NpyError { path: path.into(), problem };
    let (file, size) = files::open(path).map_err(|error| wrap(error.into()))?;
    parse_from(BufReader::new(file), size).map_err(wrap)
}

/// The longest header that is read, in bytes: NumPy's own limit is 10,000, and a damaged length can be 4 GiB.
const LONGEST_HEADER: usize = 1 << 16;

/// A type of elements: how NumPy writes it, how it calls it, and its size in bytes.
type Type = (&'static str, &'static str, usize);

const TYPES: [Type; 10] = [
    ("<f4", "float32", 4),
    ("<f8", "float64", 8),
    ("|u1", "uint8", 1),
    ("|i1", "int8", 1),
    ("<u2", "uint16", 2),
    ("<i2", "int16", 2),
    ("<u4", "uint32", 4),
    ("<i4", "int32", 4),
    ("<u8", "uint64", 8),
    ("<i8", "int64", 8),
];

/// Reads an array from a file's bytes.
///
/// # Errors
/// If they are not one; the message says what was wanted.
pub fn parse(bytes: &[u8]) -> Result<Array, Problem> {
    parse_from(bytes, bytes.len() as u64)
}

/// Reads an array from a file of `size` bytes, which are compared with its header before memory is asked for.
fn parse_from(mut file: impl Read, size: u64) -> Result<Array, Problem> {
    let (header, data) = header(&mut file, size)?;
    let descr = after(&header, "'descr':", "an entry 'descr'")?;
    let named = quoted(descr).ok_or_else(|| damaged("a type in quotes", descr))?;
    let (_, dtype, size) =
        *TYPES.iter().find(|(descr, ..)| *descr == named).ok_or_else(|| Problem::Type(shortened(named)))?;
    let order = after(&header, "'fortran_order':", "an entry 'fortran_order'")?;
    let fortran = match (order.starts_with("False"), order.starts_with("True")) {
        (true, _) => false,
        (_, true) => true,
        _ => return Err(damaged("True or False as 'fortran_order'", order)),
    };
    let shape = after(&header, "'shape':", "an entry 'shape'")?;
    let shape = tuple(shape).ok_or_else(|| damaged("a tuple of whole numbers as 'shape'", shape))?;
    // With one axis, both orders are the same.
    if fortran && shape.iter().filter(|&&length| length > 1).count() > 1 {
        return Err(Problem::Order);
    }
    let length = shape.iter().try_fold(size, |product, &axis| product.checked_mul(axis));
    match length {
        Some(length) if length as u64 == data => {
            let mut bytes = vec![0; length];
            file.read_exact(&mut bytes)?;
            Ok(Array { shape, elements: elements(dtype, bytes) })
        }
        _ => {
            let elements = shortened(&format!("{shape:?}"));
            Err(Problem::Length { wanted: length.unwrap_or(usize::MAX), found: data, elements, dtype })
        }
    }
}

/// The header's text, and how many of the file's `size` bytes follow it.
fn header(file: &mut impl Read, size: u64) -> Result<(String, u64), Problem> {
    const MAGIC: &[u8] = b"\x93NUMPY";
    let cut = || Problem::Header { wanted: "a header as long as it says", found: format!("{size} bytes in all") };
    // A length has two bytes in format 1, and four in formats 2 and 3.
    let start = take(file, MAGIC.len() + 6)?;
    let Some(rest) = start.strip_prefix(MAGIC) else {
        let start = &start[..start.len().min(MAGIC.len())];
        return Err(Problem::Magic(if start.is_empty() { "nothing".into() } else { start.escape_ascii().to_string() }));
    };
    let (length, begun) = match *rest {
        [1, _, a, b, ref begun @ ..] => (usize::from(u16::from_le_bytes([a, b])), begun),
        [2 | 3, _, a, b, c, d] => (u32::from_le_bytes([a, b, c, d]) as usize, &[][..]),
        [1..=3, ..] | [] => return Err(cut()),
        [version, ..] => return Err(Problem::Version(version)),
    };
    if length > LONGEST_HEADER {
        return Err(Problem::Header { wanted: "a header of at most 65,536 bytes", found: format!("one of {length}") });
    }
    let begun = &begun[..begun.len().min(length)];
    let rest = take(file, length - begun.len())?;
    let header = [begun, &rest].concat();
    let before = start.len() - begun.len() + header.len();
    let data = size.checked_sub(before as u64).filter(|_| header.len() == length).ok_or_else(cut)?;
    let text = String::from_utf8(header).map_err(|error| Problem::Header {
        wanted: "text",
        found: excerpt(&error.as_bytes()[..error.as_bytes().len().min(60)].escape_ascii().to_string()),
    })?;
    Ok((text, data))
}

/// The next `size` bytes of a file, or fewer at its end.
fn take(file: &mut impl Read, size: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    file.take(size as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What follows a key of the header.
fn after<'a>(header: &'a str, key: &str, wanted: &'static str) -> Result<&'a str, Problem> {
    header.split_once(key).map(|(_, rest)| rest.trim_start()).ok_or_else(|| damaged(wanted, header))
}

fn damaged(wanted: &'static str, found: &str) -> Problem {
    Problem::Header { wanted, found: excerpt(found) }
}

fn excerpt(text: &str) -> String {
    let short = shortened(text.trim());
    if short.is_empty() { "nothing".into() } else { format!("`{short}`") }
}

/// The start of a text from a file, without control characters.
fn shortened(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_debug).collect()
}

fn quoted(text: &str) -> Option<&str> {
    let (inside, _) = text.strip_prefix('\'')?.split_once('\'')?;
    Some(inside)
}

/// `(3, 4)`, `(3,)` or `()`.
fn tuple(text: &str) -> Option<Vec<usize>> {
    let (inside, _) = text.strip_prefix('(')?.split_once(')')?;
    let inside = inside.trim();
    let inside = inside.strip_suffix(',').unwrap_or(inside);
    if inside.is_empty() {
        return Some(vec![]);
    }
    inside.split(',').map(|length| length.trim().parse().ok()).collect()
}

fn elements(dtype: &'static str, data: Vec<u8>) -> Elements {
    macro_rules! each {
        ($t:ty, $to:ty) => {{
            let (words, _) = data.as_chunks::<{ size_of::<$t>() }>();
            words.iter().map(|word| <$t>::from_le_bytes(*word) as $to).collect()
        }};
    }
    match dtype {
        "float32" => Elements::Float32(each!(f32, f32)),
        "float64" => Elements::Float64(each!(f64, f64)),
        "uint8" => Elements::Bytes(data),
        "int8" => Elements::Integers(dtype, each!(i8, i128)),
        "uint16" => Elements::Integers(dtype, each!(u16, i128)),
        "int16" => Elements::Integers(dtype, each!(i16, i128)),
        "uint32" => Elements::Integers(dtype, each!(u32, i128)),
        "int32" => Elements::Integers(dtype, each!(i32, i128)),
        "uint64" => Elements::Integers(dtype, each!(u64, i128)),
        "int64" => Elements::Integers(dtype, each!(i64, i128)),
        _ => unreachable!("all types are listed"),
    }
}

/// An array of `float32` as a file's bytes: format 1, C order.
///
/// # Panics
/// If the shape has more or fewer elements.
pub fn encode(shape: &[usize], elements: impl ExactSizeIterator<Item = f32>) -> Vec<u8> {
    assert_eq!(shape.iter().product::<usize>(), elements.len(), "npy: {shape:?} of {} elements", elements.len());
    let axes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}{comma}), }}", axes.join(", "));
    // Magic, version 1.0, length; then the header, padded so that data begins at a multiple of 64.
    let padding = 63 - (10 + header.len()) % 64;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(((header.len() + padding + 1) as u16).to_le_bytes());
    bytes.extend(header.bytes().chain(std::iter::repeat_n(b' ', padding)).chain([b'\n']));
    bytes.extend(elements.flat_map(f32::to_le_bytes));
    bytes
}
