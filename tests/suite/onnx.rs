//! Published cases of the ONNX backend test suite, from their original files. `tests/onnx/README.md` says which are
//! covered and why the others are not, and is what these tests read to know what to run.

mod case;
mod operators;
mod proto;
mod table;
mod window;

use crate::gpu::own_adapter;
use case::{Case, Tensor, folder};
use hindsight::autodiff::{Stored, Tape, Var};
use hindsight::program::Session;
use hindsight_kernels::Device;
use operators::{Bench, record};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use table::{Tables, tables, text};

const CONVOLUTION: &[&str] = &["Conv"];
const TRANSPOSED: &[&str] = &["ConvTranspose"];
const POOLING: &[&str] = &["AveragePool", "GlobalAveragePool"];
const NORMALISATION: &[&str] = &["BatchNormalization"];
const ACTIVATION: &[&str] = &["Relu", "Softmax", "LogSoftmax"];
const LOSS: &[&str] = &["SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"];
const PRODUCT: &[&str] = &["Gemm", "MatMul"];

#[test]
fn published_convolution_cases_come_out_as_published() {
    come_out_as_published(CONVOLUTION);
}

#[test]
fn published_transposed_convolution_cases_come_out_as_published() {
    come_out_as_published(TRANSPOSED);
}

#[test]
fn published_pooling_cases_come_out_as_published() {
    come_out_as_published(POOLING);
}

#[test]
fn published_normalisation_cases_come_out_as_published() {
    come_out_as_published(NORMALISATION);
}

#[test]
fn published_activation_cases_come_out_as_published() {
    come_out_as_published(ACTIVATION);
}

#[test]
fn published_loss_cases_come_out_as_published() {
    come_out_as_published(LOSS);
}

#[test]
fn published_matrix_product_cases_come_out_as_published() {
    come_out_as_published(PRODUCT);
}

/// Every considered case is covered or not, once, and every operator covered has a test above.
#[test]
fn every_case_is_covered_or_has_a_reason() {
    let Tables { covered, slow, uncovered } = tables();
    let tested = [CONVOLUTION, TRANSPOSED, POOLING, NORMALISATION, ACTIVATION, LOSS, PRODUCT].concat();
    assert!(covered.iter().all(|row| tested.contains(&row.head.as_str())), "only {tested:?} are tested");
    for row in covered.iter().chain(&slow).chain(&uncovered) {
        assert_eq!(row.count, row.cases.len(), "{}", row.head);
    }
    let covers = |name: &String| covered.iter().any(|row| row.cases.contains(name));
    assert!(slow.iter().flat_map(|row| &row.cases).all(covers), "what a software adapter leaves out is covered");
    let mut listed: Vec<_> = covered.into_iter().chain(uncovered).flat_map(|row| row.cases).collect();
    listed.sort();
    let mut considered: Vec<_> = text("cases.txt").lines().map(str::to_string).collect();
    considered.sort();
    assert_eq!(listed, considered);
}

/// The files of all covered cases, and of no others, are here with the checksums that were published with them.
#[test]
fn published_files_are_unchanged() {
    let sums = text("SHA256SUMS");
    let sums: BTreeMap<_, _> =
        sums.lines().filter_map(|line| line.split_once("  ")).map(|(sum, file)| (file, sum)).collect();
    for (file, sum) in &sums {
        let bytes = std::fs::read(folder().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let found: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, *sum, "{file}");
    }
    let case_of = |file: &str| file.splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
    let with_files: BTreeSet<_> = sums.keys().map(|file| case_of(file)).collect();
    let covered: BTreeSet<_> = tables().covered.into_iter().flat_map(|row| row.cases).collect();
    assert_eq!(with_files, covered);
}

/// Tests have adapters of their own: what takes time are convolutions' shaders, one for each size of window and image,
/// which an adapter compiles one after another.
fn come_out_as_published(operators: &[&str]) {
    let Tables { covered, slow, .. } = tables();
    let devices: Vec<_> = [Some(Device::Oracle), Some(Device::Cpu), own_adapter()].into_iter().flatten().collect();
    let leaves_out = |device: &Device, name: &String| {
        let software = matches!(device, Device::Gpu(gpu) if gpu.traits().software);
        software && slow.iter().any(|row| row.cases.contains(name))
    };
    let mut wrong = Vec::new();
    for operator in operators {
        let row = covered.iter().find(|row| row.head == *operator);
        let row = row.unwrap_or_else(|| panic!("tests/onnx/README.md has no row of {operator}"));
        for name in &row.cases {
            let case = Case::read(name);
            assert_eq!(case.node.op_type, *operator, "{name}");
            for device in devices.iter().filter(|device| !leaves_out(device, name)) {
                let device_name = device.adapter_name();
                // The last line says where it was, should a shape not fit: that panics, and names no case.
                println!("{name} on {device_name}");
                wrong.extend(differences(device, &case).iter().map(|what| format!("{name} on {device_name}: {what}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A line for each of the case's outputs that is not what is published.
fn differences(device: &Device, case: &Case) -> Vec<String> {
    let tape = Tape::new();
    let mut bench = Bench { session: Session::new(device, 1), tape: &tape };
    let outcome = record(case, &mut bench);
    assert_eq!(outcome.len(), case.outputs.len(), "every published output is compared");
    let mut session = bench.session;
    let mut store = |value: Var<'_>| {
        let stored = session.state("output", &value.shape());
        tape.assign(&stored, value);
        stored
    };
    let pairs: Vec<_> = outcome.into_iter().map(|(value, published)| (store(value), published)).collect();
    let program = session.compile(&tape);
    session.run(&program, 0..1);
    let compare = |(stored, published): (Stored, Tensor)| difference(&session.read(&stored)[0], &published.numbers);
    pairs.into_iter().filter_map(compare).collect()
}

/// The first element that is further from what is published than rounding takes it. What is published was computed and
/// stored in single precision, so even exact arithmetic is off by up to 2⁻²⁴ = 6e-8 for each term of the longest sum,
/// of 128 terms: 8e-6. Where a sum cancels, this is relative to its terms, which are of the order of the largest element.
/// ONNX's own runner allows 1e-3.
fn difference(found: &[f64], published: &[f64]) -> Option<String> {
    if found.len() != published.len() {
        return Some(format!("{} elements, published are {}", found.len(), published.len()));
    }
    let largest = published.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let near = |found: f64, published: f64| (found - published).abs() <= 1e-5 * published.abs() + 1e-6 * largest;
    let at = found.iter().zip(published).position(|(&found, &published)| !near(found, published))?;
    Some(format!("element {at} is {}, published is {}", found[at], published[at]))
}
