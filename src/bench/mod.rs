//! How fast each kernel is on a device, beside what the device can do at all.
//!
//! A [`Case`] is a kernel at a shape, from one table ([`cases`]). It is held to its oracle, then timed ([`measure()`]), and
//! put under the roofline that the device's own [`Ceilings`] draw. [`Measurements`] are a file of that, which a later run
//! can be compared with ([`compare`]). How a whole experiment's cost grows with its sizes is in [`growth`].

mod case;
pub mod cases;
mod ceilings;
pub mod compare;
mod figure;
mod file;
pub mod growth;
mod measure;
pub mod own;
pub mod peers;
mod row;
pub mod table;

pub use case::{Case, Operand};
pub use ceilings::{Bound, Ceilings, CopyRate};
pub use figure::roofline;
pub use file::{FileError, Machine, Measurements, SCHEMA};
pub use measure::{Effort, Measured, Rig, Wrong, measure, measure_runs, usual_runs};
pub use row::Row;
