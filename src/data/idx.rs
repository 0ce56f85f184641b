//! The IDX format of the MNIST files, plain or gzipped.
//!
//! Two zero bytes, a type code (8: unsigned byte), the number of dimensions, each dimension as a
//! big-endian u32, then the data, last dimension fastest. Source: the MNIST page of LeCun, Cortes
//! and Burges, <http://yann.lecun.com/exdb/mnist/>.

use std::io::{self, Read};

use flate2::bufread::GzDecoder;

/// The most data that is read, in bytes: a damaged header must not ask for all memory.
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
#[error("{file}: {damage}; {}", damage.remedy())]
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
    /// There is no memory for the data.
    #[error("expected memory for {0} bytes of data, found less")]
    Memory(usize),
    /// Something follows the gzip layer.
    #[error("expected the gzip layer to end the file, found {0} bytes after it")]
    AfterGzip(usize),
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
    #[error("expected {expected} bytes of data for dimensions {dims:?}, found {found}{}", or_more(*expected, *found))]
    Length {
        /// The dimensions of the header.
        dims: Vec<usize>,
        /// Their product.
        expected: usize,
        /// The bytes after the header, of a gzipped file up to one too many.
        found: usize,
    },
}

impl Damage {
    fn remedy(&self) -> &'static str {
        match self {
            Damage::Memory(_) => "close other programs, or raise the limit that this one has",
            _ => "replace the file with a fresh copy",
        }
    }
}

fn or_more(expected: usize, found: usize) -> &'static str {
    if found == expected + 1 { " or more" } else { "" }
}

/// Reads the bytes of an IDX file, unpacking them first where they are gzipped.
///
/// # Errors
/// Names the file as `name` and its damage, with what was expected and what was found.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Idx, IdxError> {
    open(name, bytes)?.read()
}

/// Reads an IDX file's header, and leaves its data where it is.
///
/// # Errors
/// As [`parse`], of the header.
pub fn open<'a>(name: &'a str, bytes: &'a [u8]) -> Result<Unread<'a>, IdxError> {
    let mut source = match bytes.starts_with(&[0x1f, 0x8b]) {
        true => Source::Packed(GzDecoder::new(bytes), bytes.len()),
        false => Source::Plain(bytes),
    };
    let dims = source.header().map_err(|damage| IdxError { file: name.to_owned(), damage })?;
    Ok(Unread { dims, name, source })
}

/// An IDX file of which the header has been read, and the data has not.
pub struct Unread<'a> {
    /// The array's dimensions, slowest first.
    pub dims: Vec<usize>,
    name: &'a str,
    source: Source<'a>,
}

impl Unread<'_> {
    /// Reads the data: no more than the dimensions ask for, whatever the file unpacks to.
    ///
    /// # Errors
    /// As [`parse`].
    pub fn read(self) -> Result<Idx, IdxError> {
        let Self { dims, name, mut source } = self;
        let bytes = source.data(&dims).map_err(|damage| IdxError { file: name.to_owned(), damage })?;
        Ok(Idx { dims, bytes })
    }
}

/// The bytes of a file, unpacked as they are read.
enum Source<'a> {
    Plain(&'a [u8]),
    /// With the size of the packed file, in bytes.
    Packed(GzDecoder<&'a [u8]>, usize),
}

impl Source<'_> {
    /// The next `size` bytes, or fewer at the end.
    fn take(&mut self, size: usize) -> Result<Vec<u8>, Damage> {
        let mut bytes = Vec::new();
        let memory = || Damage::Memory(size);
        match self {
            Source::Plain(rest) => {
                let next;
                (next, *rest) = rest.split_at(size.min(rest.len()));
                bytes.try_reserve_exact(next.len()).map_err(|_| memory())?;
                bytes.extend(next);
            }
            Source::Packed(decoder, packed) => {
                let packed = *packed;
                let read = decoder.take(size as u64).read_to_end(&mut bytes);
                read.map_err(|source| match source.kind() {
                    io::ErrorKind::OutOfMemory => memory(),
                    _ => Damage::Gzip { packed, source },
                })?;
            }
        }
        Ok(bytes)
    }

    /// The dimensions.
    fn header(&mut self) -> Result<Vec<usize>, Damage> {
        let start = self.take(4)?;
        let &[zero, also_zero, code, rank] = start.as_slice() else {
            return Err(Damage::ShortHeader { expected: 4, found: start.len() });
        };
        if (zero, also_zero) != (0, 0) {
            return Err(Damage::Magic(zero, also_zero));
        }
        if code != 8 {
            return Err(Damage::TypeCode(code));
        }
        if rank == 0 {
            return Err(Damage::NoDimensions);
        }
        let size = 4 * usize::from(rank);
        let dims = self.take(size)?;
        if dims.len() < size {
            return Err(Damage::ShortHeader { expected: 4 + size, found: 4 + dims.len() });
        }
        let (dims, _) = dims.as_chunks();
        Ok(dims.iter().map(|&dim| u32::from_be_bytes(dim) as usize).collect())
    }

    /// All that follows the header, which has to be as much as `dims` say.
    fn data(&mut self, dims: &[usize]) -> Result<Vec<u8>, Damage> {
        let Some(expected) = product(dims).filter(|&size| size <= LARGEST) else {
            return Err(Damage::Absurd(dims.to_vec()));
        };
        let bytes = self.take(expected)?;
        // Only at its very end does a gzip layer say whether all before was right.
        let more = self.take(1)?.len();
        let more = match self {
            Source::Plain(rest) => more + rest.len(),
            Source::Packed(..) => more,
        };
        if bytes.len() < expected || more > 0 {
            return Err(Damage::Length { dims: dims.to_vec(), expected, found: bytes.len() + more });
        }
        match self {
            Source::Packed(decoder, _) if !decoder.get_ref().is_empty() => {
                Err(Damage::AfterGzip(decoder.get_ref().len()))
            }
            _ => Ok(bytes),
        }
    }
}

fn product(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim))
}
