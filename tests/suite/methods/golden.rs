//! The losses of ten steps of every method are a golden file: a change of kernels may not move them beyond what rounding
//! does. `HINDSIGHT_WRITE_GOLDEN=1` writes it anew, from double precision.

use super::{SEED, tiny_for};
use crate::gpu::{adapter, lab};
use hindsight::device::Device;
use hindsight::methods::{self, Method};
use hindsight::settings::Settings;
use std::collections::BTreeMap;
use std::path::Path;

/// The losses of five steps on each of two tasks; Multitask takes its ten in the first, and VCL-Random sets a batch of each apart.
fn trace(device: &Device, method: &dyn Method) -> Vec<f64> {
    // Every unit of every draw may stand so near to zero that rounding moves it across: VCL takes two draws.
    // EWC's penalty is to show after five batches.
    let settings = Settings { images_per_task: 50, samples: 2, fisher_batches: 1, ..tiny_for(method.name()) };
    let mut lab = lab(device, &settings, &[SEED]);
    let mut learner = method.start(&mut lab);
    let losses = lab.losses.clone();
    let mut of_task = |task| {
        learner.learn(&mut lab, task);
        let read = lab.session.read(&losses).remove(0);
        learner.losses(&lab, task).into_iter().map(|row| read[row]).collect::<Vec<f64>>()
    };
    [of_task(0), of_task(1)].concat()
}

#[test]
fn losses_of_every_method_are_what_they_were() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/losses.json");
    if std::env::var_os("HINDSIGHT_WRITE_GOLDEN").is_some() {
        let traces: BTreeMap<_, _> =
            methods::registry().iter().map(|m| (m.name(), trace(&Device::Oracle, *m))).collect();
        std::fs::write(&path, serde_json::to_string_pretty(&traces).unwrap() + "\n").unwrap();
    }
    let golden: BTreeMap<String, Vec<f64>> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for method in methods::registry() {
        let expected = golden.get(method.name()).unwrap_or_else(|| panic!("no golden losses of {}", method.name()));
        for device in [Some(Device::Cpu), adapter()].into_iter().flatten() {
            let found = trace(&device, *method);
            assert_eq!(found.len(), expected.len(), "{}", method.name());
            for (step, (found, expected)) in found.iter().zip(expected).enumerate() {
                // Ten steps in single precision: rounding of 1e-7 grows a hundredfold.
                let close = (found - expected).abs() <= 1e-4 * (1.0 + expected.abs());
                assert!(close, "{} on {}, step {step}: {found}, was {expected}", method.name(), device.adapter_name());
            }
        }
    }
}
