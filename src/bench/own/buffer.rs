//! Buffers as a command line names them: `name=shape[:type][:fill]`, or `name=file.npy`.

use super::OwnError;
use crate::bench::case::hashes;
use crate::npy::{self, Array, Elements};
use hindsight_kernels::own::{Buffer, Number, Wgsl};
use std::path::PathBuf;

/// What a buffer holds before each dispatch.
#[derive(Clone, Debug, PartialEq)]
pub enum Fill {
    /// The same number everywhere.
    Number(f64),
    /// 0, 1, 2, ...
    Iota,
    /// Numbers without a pattern, the same each time: in [-1, 1), or below 2^31 where they are whole.
    Random,
    /// An array.
    File(PathBuf),
}

/// A buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct BufferSpec {
    /// Its name in the WGSL file.
    pub name: String,
    /// Its numbers by axis; without it, as many as the file has.
    pub shape: Option<Vec<usize>>,
    /// Their kind; without it, that of the WGSL file.
    pub number: Option<Number>,
    /// What they are.
    pub fill: Fill,
}

/// Numbers that a shape may have.
const MOST_NUMBERS: usize = 1 << 31;

/// A shape: positive whole numbers with `x` between them.
///
/// # Errors
/// If it is not one, or has too many elements.
pub fn shape(text: &str) -> Result<Vec<usize>, String> {
    let sizes: Option<Vec<usize>> = text.split('x').map(|size| size.parse().ok().filter(|size| *size > 0)).collect();
    let sizes = sizes.ok_or("a shape is positive whole numbers with x between them, such as 20x784")?;
    let elements = sizes.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
    match elements.filter(|elements| *elements <= MOST_NUMBERS) {
        Some(_) => Ok(sizes),
        None => Err(format!("a shape has at most {MOST_NUMBERS} elements")),
    }
}

impl std::str::FromStr for BufferSpec {
    type Err = String;
    fn from_str(text: &str) -> Result<BufferSpec, String> {
        let form = "give NAME=SHAPE[:TYPE][:FILL] or NAME=FILE.npy, such as data=1024x4:u32:iota";
        let (name, rest) = text.split_once('=').ok_or(form)?;
        let name = name.trim().to_string();
        if name.is_empty() || rest.is_empty() {
            return Err(form.into());
        }
        if rest.ends_with(".npy") && !rest.starts_with(|c: char| c.is_ascii_digit() && rest.contains(':')) {
            return Ok(BufferSpec { name, shape: None, number: None, fill: Fill::File(rest.into()) });
        }
        let (sizes, rest) = rest.split_once(':').map_or((rest, None), |(sizes, rest)| (sizes, Some(rest)));
        let shape = Some(shape(sizes)?);
        let (first, last) = match rest {
            None => (None, None),
            Some(rest) => rest.split_once(':').map_or((Some(rest), None), |(first, last)| (Some(first), Some(last))),
        };
        let number = first.and_then(|first| Number::ALL.iter().find(|(name, _)| *name == first)).map(|(_, n)| *n);
        // What is no type is a fill, which may be a path with colons.
        let fill = if number.is_some() { last } else { rest };
        let fill = fill.map_or(Ok(Fill::Number(0.0)), fill_of)?;
        Ok(BufferSpec { name, shape, number, fill })
    }
}

fn fill_of(text: &str) -> Result<Fill, String> {
    match (text, text.parse::<f64>()) {
        ("zero", _) => Ok(Fill::Number(0.0)),
        ("one", _) => Ok(Fill::Number(1.0)),
        ("iota", _) => Ok(Fill::Iota),
        ("random", _) => Ok(Fill::Random),
        (_, Ok(number)) => Ok(Fill::Number(number)),
        _ if text.ends_with(".npy") => Ok(Fill::File(text.into())),
        _ => {
            let types: Vec<&str> = Number::ALL.iter().map(|(name, _)| *name).collect();
            Err(format!(
                "'{text}' is neither a type ({}) nor a fill (zero, one, iota, random, a number, or a file.npy)",
                types.join(", ")
            ))
        }
    }
}

impl BufferSpec {
    /// Its bytes, of which there may be `most`.
    pub(super) fn bytes(&self, wgsl: &Wgsl, buffer: &Buffer, most: u64) -> Result<Vec<u8>, OwnError> {
        let refused = |reason: String| OwnError::from(wgsl.layout(format!("`{}` {reason}", self.name)));
        let number = match (self.number, buffer.number) {
            (Some(given), Some(declared)) if given != declared => {
                let (given, declared) = (given.name(), declared.name());
                return Err(refused(format!("consists of {declared}, not of {given}; leave the type out")));
            }
            (given, declared) => given.or(declared).unwrap_or(Number::U32),
        };
        let fits = |count: usize| match (count as u64).checked_mul(number.width() as u64) {
            Some(bytes) if bytes <= most => Ok(count),
            _ => Err(refused(format!(
                "is given {count} numbers of type {}; the adapter binds {most} bytes",
                number.name()
            ))),
        };
        if let Fill::File(path) = &self.fill {
            let array = npy::read(path)?;
            let given: usize = array.shape.iter().product();
            let count = fits(self.shape.as_ref().map_or(given, |shape| shape.iter().product()))?;
            if count != given {
                return Err(refused(format!("is given {count} numbers, and {} has {given}", path.display())));
            }
            return from_array(&array, number).map_err(|reason| refused(format!("({}) {reason}", path.display())));
        }
        let count = fits(self.shape.as_ref().map_or(1, |shape| shape.iter().product()))?;
        let mut bytes = Vec::with_capacity(count * number.width());
        match self.fill {
            Fill::Number(value) => {
                if !number.is_float() && (value.fract() != 0.0 || value.is_nan()) {
                    return Err(refused(format!("holds whole numbers, and {value} is none")));
                }
                (0..count).for_each(|_| number.push(value, &mut bytes));
            }
            Fill::Iota => (0..count).for_each(|i| number.push(i as f64, &mut bytes)),
            _ => hashes(count, 1).for_each(|hash| {
                let value =
                    if number.is_float() { f64::from(hash) / f64::from(1 << 30) - 1.0 } else { f64::from(hash) };
                number.push(value, &mut bytes);
            }),
        }
        Ok(bytes)
    }
}

/// An array as numbers of a kind.
fn from_array(array: &Array, number: Number) -> Result<Vec<u8>, String> {
    let mut bytes = vec![];
    let dtype = array.elements.dtype();
    match &array.elements {
        Elements::Float32(x) if number.is_float() => x.iter().for_each(|x| number.push((*x).into(), &mut bytes)),
        Elements::Float64(x) if number.is_float() => x.iter().for_each(|x| number.push(*x, &mut bytes)),
        Elements::Bytes(x) => x.iter().try_for_each(|x| number.push_whole((*x).into(), &mut bytes))?,
        Elements::Integers(_, x) => x.iter().try_for_each(|x| number.push_whole(*x, &mut bytes))?,
        _ => return Err(format!("holds {dtype}; it consists of {}", number.name())),
    }
    Ok(bytes)
}
