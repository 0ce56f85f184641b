//! Every kernel: what it computes, what it reads, what may be chosen of it, and the kernel at given sizes.
//!
//! One list, from which kernels are shown to people, translated, checked, and run on arrays from elsewhere.

mod attributes;
mod ceilings;
mod fit;
mod in_variant;
mod operands;
mod products;
mod promises;
mod rows;
mod tables;

pub use attributes::{Attribute, Takes, Values};
pub use fit::CatalogueError;
pub use in_variant::{InVariant, Product};
pub use operands::{Axis, Holds, Operand, shape_text};
pub use promises::{NonFinite, Off, Scale, Tolerance, are_finite};

use crate::expr::Epilogue;
use crate::kernel::Kernel;
use crate::launch::Launch;
use crate::matmul::Variant;
use crate::view::{BufferId, View};
use std::sync::Arc;

/// A kernel of the catalogue, at any size.
pub struct Entry {
    /// The stem of its files, as [`Describe::name`](crate::Describe::name) has it.
    pub name: &'static str,
    /// What it computes, in one line.
    pub computes: &'static str,
    /// What may be chosen: sizes, flags, alternatives.
    pub attributes: &'static [Attribute],
    /// Whether a GPU may compute it in any [`Variant`]: a product, or a convolution.
    pub in_variants: bool,
    /// What it reads. Kinds and axes depend on flags and alternatives alone, never on sizes.
    pub operands: fn(&Values) -> Vec<Operand>,
    /// The axes of the result.
    pub result: fn(&Values) -> Vec<Axis>,
    /// The kernel at these values, in one of its variants, or as the adapter would have it.
    kernel: fn(&Values, Option<Variant>) -> Arc<dyn Kernel>,
    epilogue: fn(&Values) -> Epilogue,
    /// What else must hold of the values, or why it does not.
    limits: fn(&Values) -> Result<(), String>,
    /// How far its result may be from that of its twin in double precision, where nothing else is
    /// asked for.
    pub tolerance: Tolerance,
    /// What becomes of NaN and infinities.
    pub non_finite: NonFinite,
    /// Values at which it is checked beside the defaults.
    corners: &'static [&'static [(&'static str, usize)]],
}

/// All of them, by name.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    let rooms = [ceilings::ENTRIES, products::ENTRIES, rows::ENTRIES, tables::ENTRIES];
    let mut all: Vec<&Entry> = rooms.into_iter().flatten().collect();
    all.sort_by_key(|entry| entry.name);
    all.into_iter()
}

/// The kernel of that name.
pub fn find(name: &str) -> Option<&'static Entry> {
    entries().find(|entry| entry.name == name)
}

impl Entry {
    /// The variants that it has: none, if there is one way only.
    pub fn variants(&self) -> Vec<Variant> {
        if self.in_variants { Variant::all().collect() } else { vec![] }
    }

    /// Its launch at these values: operands in buffers 0, 1, ... of a store, the result in the next.
    pub fn launch(&self, values: &Values, variant: Option<Variant>) -> Launch {
        let view = |n| View::whole(BufferId::Stored(n));
        let operands = (self.operands)(values).len();
        let (kernel, epilogue) = ((self.kernel)(values, variant), (self.epilogue)(values));
        Launch::new(kernel, epilogue, (0..operands).map(view).collect(), view(operands))
    }

    /// The values at which it is checked: the defaults, and corners such as ragged sizes and each flag.
    pub fn cases(&self) -> Vec<Values> {
        let corner = |corner: &&[(&str, usize)]| self.complete(corner).expect("corners of the catalogue are valid");
        [&[][..]].iter().chain(self.corners).map(corner).collect()
    }
}
