//! The IDX format of the MNIST files, plain or gzipped.
//!
//! Two zero bytes, a type code (8: unsigned byte), the number of dimensions, each dimension as a
//! big-endian u32, then the data, last dimension fastest. Source: the MNIST page of LeCun, Cortes
//! and Burges, <http://yann.lecun.com/exdb/mnist/>.

use std::borrow::Cow;
use std::io::Read;

use flate2::bufread::GzDecoder;

/// The largest file that is unpacked, in bytes: a damaged header must not ask for all memory.
const LARGEST: usize = 1 << 30;

/// An array of unsigned bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// The array's dimensions, slowest first.
    pub dims: Vec<usize>,
    /// Its elements, as many as the product of `dims`.
    pub bytes: Vec<u8>,
}

/// A file that is not a whole IDX file of unsigned bytes.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {damage}; replace the file with a fresh copy")]
pub struct IdxError {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub damage: Damage,
}

/// How a file is damaged: what was expected, and what was found.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The gzip layer is cut off or corrupt.
    #[error("expected a whole gzip file, found one of {packed} bytes that does not unpack ({source})")]
    Gzip {
        /// The packed size, in bytes.
        packed: usize,
        /// What the decoder said.
        source: std::io::Error,
    },
    /// Something follows the gzip layer.
    #[error("expected the gzip layer to end the file, found {0} bytes after it")]
    AfterGzip(usize),
    /// More data than is ever unpacked.
    #[error("expected at most {LARGEST} bytes once unpacked, found more")]
    TooLarge,
    /// The file ends before its header does.
    #[error("expected a header of {expected} bytes, found a file of {found}")]
    ShortHeader {
        /// The header's size, in bytes, as far as it is known.
        expected: usize,
        /// The file's, unpacked.
        found: usize,
    },
    /// Not an IDX file at all.
    #[error("expected two zero bytes, as an IDX file starts, found {0:#04x} {1:#04x}")]
    Magic(u8, u8),
    /// An IDX file of something else.
    #[error("expected type code 0x08 (unsigned byte), found {0:#04x}")]
    TypeCode(u8),
    /// An IDX file of nothing.
    #[error("expected at least one dimension, found none")]
    NoDimensions,
    /// Dimensions whose product no file has.
    #[error("expected dimensions with a product of at most {LARGEST}, found {0:?}")]
    Absurd(Vec<usize>),
    /// The data and the dimensions disagree.
    #[error("expected {expected} bytes of data for dimensions {dims:?}, found {found}")]
    Length {
        /// The dimensions of the header.
        dims: Vec<usize>,
        /// Their product.
        expected: usize,
        /// The bytes after the header.
        found: usize,
    },
}

/// Reads the bytes of an IDX file, unpacking them first where they are gzipped.
///
/// # Errors
/// Names the file as `name` and its damage, with what was expected and what was found.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Idx, IdxError> {
    unpack(bytes).and_then(|plain| parse_plain(&plain)).map_err(|damage| IdxError { file: name.to_owned(), damage })
}

fn unpack(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Damage> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes.into());
    }
    let mut plain = Vec::new();
    let mut decoder = GzDecoder::new(bytes).take(LARGEST as u64 + 1);
    decoder.read_to_end(&mut plain).map_err(|source| Damage::Gzip { packed: bytes.len(), source })?;
    if plain.len() > LARGEST {
        return Err(Damage::TooLarge);
    }
    match decoder.into_inner().into_inner() {
        [] => Ok(plain.into()),
        rest => Err(Damage::AfterGzip(rest.len())),
    }
}

fn parse_plain(file: &[u8]) -> Result<Idx, Damage> {
    let short = |expected| Damage::ShortHeader { expected, found: file.len() };
    let (&[zero, also_zero, code, rank], rest) = file.split_first_chunk().ok_or(short(4))?;
    if (zero, also_zero) != (0, 0) {
        return Err(Damage::Magic(zero, also_zero));
    }
    if code != 8 {
        return Err(Damage::TypeCode(code));
    }
    if rank == 0 {
        return Err(Damage::NoDimensions);
    }
    let dims_size = 4 * usize::from(rank);
    let (dims, data) = rest.split_at_checked(dims_size).ok_or(short(4 + dims_size))?;
    let (dims, _) = dims.as_chunks();
    let dims: Vec<usize> = dims.iter().map(|&dim| u32::from_be_bytes(dim) as usize).collect();
    let Some(expected) = product(&dims).filter(|&size| size <= LARGEST) else {
        return Err(Damage::Absurd(dims));
    };
    if data.len() != expected {
        return Err(Damage::Length { dims, expected, found: data.len() });
    }
    Ok(Idx { dims, bytes: data.to_vec() })
}

fn product(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim))
}
