//! Kernels that measure what a device can do at all.

use super::Entry;
use super::attributes::size;
use super::operands::{axes, numbers};
use super::promises::{NonFinite, Tolerance};
use super::rows::PLAIN;
use crate::ceiling_copy::CeilingCopy;
use crate::ceiling_fma::CeilingFma;
use std::sync::Arc;

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "ceiling_copy",
        computes: "out[i] = x[i]: what a device moves at most",
        attributes: &[size("elements", 4096, "elements, a multiple of 2048")],
        operands: |_| vec![numbers("x", "elements")],
        result: |_| axes("elements"),
        kernel: |v, _| Arc::new(CeilingCopy { elements: v.get("elements") }),
        limits: |v| multiple(v.get("elements"), "elements", 2048),
        non_finite: NonFinite::on_cpus("copied as they are"),
        ..PLAIN
    },
    Entry {
        name: "ceiling_fma",
        computes: "out[i] = Σ_j y_j after y_j = y_j · a + b many times, from y_j = x[i] + j: what a device computes at most",
        attributes: &[size("elements", 1000, "elements"), size("rounds", 64, "times, a multiple of 8")],
        operands: |_| vec![numbers("x", "elements"), numbers("factors", "2")],
        result: |_| axes("elements"),
        kernel: |v, _| Arc::new(CeilingFma { elements: v.get("elements"), rounds: v.get("rounds") }),
        limits: |v| multiple(v.get("rounds"), "rounds", 8),
        tolerance: Tolerance::of_largest(1e-4),
        non_finite: NonFinite::on_cpus("as IEEE 754 has it"),
        ..PLAIN
    },
];

fn multiple(value: usize, name: &str, of: usize) -> Result<(), String> {
    if value.is_multiple_of(of) { Ok(()) } else { Err(format!("{name} must be a multiple of {of}, not {value}")) }
}
