//! From what a user says, and the shapes of the user's arrays, to the values of all attributes.

use super::Entry;
use super::attributes::{Attribute, Usual, Values};
use super::operands::{Axis, Operand, shape_text};
use std::collections::BTreeMap;

/// Why a kernel cannot be had as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// No attribute of that name.
    #[error("{kernel} has no attribute '{found}'; it has {known}")]
    UnknownAttribute {
        /// The kernel.
        kernel: &'static str,
        /// What was asked for.
        found: String,
        /// What there is.
        known: String,
    },
    /// A value that the attribute cannot have.
    #[error("{kernel}: {attribute} must be {wanted}, not {found}")]
    Value {
        /// The kernel.
        kernel: &'static str,
        /// The attribute.
        attribute: &'static str,
        /// What it must be.
        wanted: String,
        /// What was given.
        found: String,
    },
    /// Values that do not go together.
    #[error("{kernel}: {reason}")]
    Limits {
        /// The kernel.
        kernel: &'static str,
        /// What must hold.
        reason: String,
    },
    /// More or fewer arrays than it reads.
    #[error("{kernel} reads {wanted}; {found} given")]
    Arrays {
        /// The kernel.
        kernel: &'static str,
        /// Its operands.
        wanted: String,
        /// How many arrays there are.
        found: String,
    },
    /// An array whose shape is not the operand's.
    #[error("{operand} of {kernel} must be {wanted}, and the array is {found:?}")]
    Shape {
        /// The kernel.
        kernel: &'static str,
        /// Number of the operand.
        number: usize,
        /// The operand's name.
        operand: &'static str,
        /// The shape that it must have.
        wanted: String,
        /// The shape that it has.
        found: Vec<usize>,
    },
}

impl CatalogueError {
    /// The kernel that was asked for.
    pub fn kernel(&self) -> &'static str {
        match self {
            CatalogueError::UnknownAttribute { kernel, .. }
            | CatalogueError::Value { kernel, .. }
            | CatalogueError::Limits { kernel, .. }
            | CatalogueError::Arrays { kernel, .. }
            | CatalogueError::Shape { kernel, .. } => kernel,
        }
    }
}

/// What is known of an attribute, and who said so.
type Known = BTreeMap<&'static str, (usize, &'static str)>;

impl Entry {
    /// The values of all attributes, where some are given and the others are what they usually are.
    ///
    /// # Errors
    /// If there is no such attribute, or the values do not go together.
    pub fn complete(&self, given: &[(&str, usize)]) -> Result<Values, CatalogueError> {
        let known = given.iter().map(|&(name, value)| Ok((self.attribute(name)?.name, (value, "--attr"))));
        self.finish(known.collect::<Result<_, _>>()?)
    }

    /// The same, given as text: `("ta", "true")`.
    ///
    /// # Errors
    /// If there is no such attribute, it cannot have the value, or the values do not go together.
    pub fn parse(&self, given: &[(String, String)]) -> Result<Values, CatalogueError> {
        self.finish(self.known(given)?)
    }

    /// The values of all attributes, where arrays of these shapes are what it reads, and some are given.
    ///
    /// # Errors
    /// As [`parse`](Entry::parse), or if the shapes are not those of the operands.
    pub fn fit(&self, given: &[(String, String)], shapes: &[&[usize]]) -> Result<Values, CatalogueError> {
        let mut known = self.known(given)?;
        let operands = (self.operands)(&self.with_usual(&known));
        if operands.len() != shapes.len() {
            let wanted = operands.iter().map(Operand::text).collect::<Vec<_>>().join(", and ");
            let found = if shapes.len() == 1 { "1 array is".into() } else { format!("{} arrays are", shapes.len()) };
            return Err(CatalogueError::Arrays { kernel: self.name, wanted, found });
        }
        for (number, (operand, shape)) in operands.iter().zip(shapes).enumerate() {
            if !bind(operand, shape, &mut known) {
                let found = shape.to_vec();
                let wanted = wanted(operand, &known) + if found.contains(&0) { ", no axis empty" } else { "" };
                return Err(CatalogueError::Shape { kernel: self.name, number, operand: operand.name, wanted, found });
            }
        }
        self.finish(known)
    }

    fn attribute(&self, name: &str) -> Result<&'static Attribute, CatalogueError> {
        let known = || self.attributes.iter().map(|attribute| attribute.name).collect::<Vec<_>>().join(", ");
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
            .ok_or_else(|| CatalogueError::UnknownAttribute { kernel: self.name, found: name.into(), known: known() })
    }

    fn refused(&self, attribute: &Attribute, found: String) -> CatalogueError {
        CatalogueError::Value { kernel: self.name, attribute: attribute.name, wanted: attribute.wanted(), found }
    }

    fn known(&self, given: &[(String, String)]) -> Result<Known, CatalogueError> {
        let one = |(name, text): &(String, String)| {
            let attribute = self.attribute(name)?;
            let refused = || self.refused(attribute, text.clone());
            Ok((attribute.name, (attribute.parse(text).ok_or_else(refused)?, "--attr")))
        };
        given.iter().map(one).collect()
    }

    /// All values: those that are known, else what they usually are.
    fn with_usual(&self, known: &Known) -> Values {
        let mut values = Values::default();
        for attribute in self.attributes {
            let usual = |values: &Values| match attribute.usual {
                Usual::Is(value) => value,
                Usual::Follows(from) => from(values),
            };
            let value = known.get(attribute.name).map_or_else(|| usual(&values), |known| known.0);
            values.0.insert(attribute.name, value);
        }
        values
    }

    fn finish(&self, known: Known) -> Result<Values, CatalogueError> {
        let values = self.with_usual(&known);
        for attribute in self.attributes {
            let value = values.get(attribute.name);
            if !attribute.allows(value) {
                return Err(self.refused(attribute, value.to_string()));
            }
        }
        let limits = |reason| CatalogueError::Limits { kernel: self.name, reason };
        let shapes = (self.operands)(&values).into_iter().map(|operand| operand.shape).chain([(self.result)(&values)]);
        if !shapes.into_iter().all(|shape| is_addressable(&shape, &values)) {
            return Err(limits("an operand or the result would have no elements, or more than 2^31".into()));
        }
        (self.limits)(&values).map_err(limits)?;
        Ok(values)
    }
}

/// Shaders count elements in 32 bits.
fn is_addressable(shape: &[Axis], values: &Values) -> bool {
    let length = |axis: &Axis| axis.attribute.map_or(0, |name| values.get(name)).checked_add_signed(axis.more);
    let elements = shape.iter().try_fold(1_usize, |product, axis| product.checked_mul(length(axis)?));
    elements.is_some_and(|elements| (1..=1 << 31).contains(&elements))
}

/// Learns the attributes that an array's shape tells. False where it contradicts what is known.
fn bind(operand: &Operand, shape: &[usize], known: &mut Known) -> bool {
    let agrees = |(axis, &length): (&Axis, &usize)| {
        let Some(value) = length.checked_add_signed(-axis.more) else { return false };
        match axis.attribute {
            _ if length == 0 => false,
            None => value == 0,
            Some(name) => known.entry(name).or_insert((value, operand.name)).0 == value,
        }
    };
    operand.shape.len() == shape.len() && operand.shape.iter().zip(shape).all(agrees)
}

/// `[k, n] with k = 4 (of a)`
fn wanted(operand: &Operand, known: &Known) -> String {
    let said = |axis: &Axis| {
        let name = axis.attribute?;
        let (value, by) = known.get(name).filter(|(_, by)| *by != operand.name)?;
        Some(format!("{name} = {value} (of {by})"))
    };
    let said: Vec<String> = operand.shape.iter().filter_map(said).collect();
    let with = if said.is_empty() { String::new() } else { format!(" with {}", said.join(", ")) };
    format!("{}{with}", shape_text(&operand.shape))
}
