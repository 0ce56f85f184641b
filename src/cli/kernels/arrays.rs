//! A user's arrays as a kernel's operands. What does not fit is refused by file, with what was wanted and what is there.

use super::error::KernelsError;
use crate::cli::say;
use hindsight::npy::{self, Array};
use hindsight_kernels::Kind;
use hindsight_kernels::catalogue::{CatalogueError, Entry, Operand, Values};
use hindsight_kernels::trial::Elements;
use std::path::{Path, PathBuf};

/// Reads the files, and learns from their shapes what `attributes` do not say.
///
/// # Errors
/// If a file is not an array that the kernel can read, or the arrays do not go together.
pub fn read(
    entry: &Entry,
    attributes: &[(String, String)],
    files: &[PathBuf],
) -> Result<(Values, Vec<Elements>), KernelsError> {
    let arrays: Vec<Array> = files.iter().map(|path| npy::read(path)).collect::<Result<_, _>>()?;
    let shapes: Vec<&[usize]> = arrays.iter().map(|array| &*array.shape).collect();
    let values = entry.fit(attributes, &shapes).map_err(|error| match error {
        CatalogueError::Shape { number, .. } => {
            KernelsError::Array { path: files[number].clone(), reason: error.to_string() }
        }
        CatalogueError::Arrays { .. } => KernelsError::Count(error),
        _ => KernelsError::Attributes(error),
    })?;
    let operands = (entry.operands)(&values);
    let read = operands.iter().zip(arrays).zip(files);
    let elements: Result<_, _> = read.map(|((operand, array), path)| elements(operand, array, path, &values)).collect();
    Ok((values, elements?))
}

fn elements(operand: &Operand, array: Array, path: &Path, values: &Values) -> Result<Elements, KernelsError> {
    let refused = |reason| KernelsError::Array { path: path.into(), reason };
    let dtype = array.elements.dtype();
    match (operand.kind(), array.elements) {
        (Kind::Float, npy::Elements::Float32(x)) => Ok(Elements::Numbers(x.into_iter().map(f64::from).collect())),
        (Kind::Float, npy::Elements::Float64(x)) => {
            say(format!("{}: float64, rounded to float32", path.display()));
            Ok(Elements::Numbers(x.into_iter().map(|x| f64::from(x as f32)).collect()))
        }
        (Kind::Bytes, npy::Elements::Bytes(x)) => Ok(Elements::Bytes(x)),
        (Kind::Index, npy::Elements::Bytes(x)) => {
            indices(operand, x.into_iter().map(i128::from), values).map_err(refused)
        }
        (Kind::Index, npy::Elements::Integers(_, x)) => indices(operand, x.into_iter(), values).map_err(refused),
        _ => {
            let wanted = if operand.kind() == Kind::Index { "whole numbers, such as uint32" } else { operand.dtype() };
            Err(refused(format!("{} must be {wanted}, and the array is {dtype}", operand.name)))
        }
    }
}

fn indices(operand: &Operand, array: impl Iterator<Item = i128>, values: &Values) -> Result<Elements, String> {
    let wanted = operand.bound(values);
    let refused = |at: usize, found: i128| format!("{} must be {wanted}, and element {at} is {found}", operand.name);
    let word = |(at, x): (usize, i128)| u32::try_from(x).map_err(|_| refused(at, x));
    let words: Vec<u32> = array.enumerate().map(word).collect::<Result<_, _>>()?;
    match operand.out_of_bounds(&words, values) {
        Some((at, found)) => Err(refused(at, found.into())),
        None => Ok(Elements::Indices(words)),
    }
}
