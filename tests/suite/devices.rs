//! Which adapter `--device` means, on machines that nobody here has.

use crate::cli::{hindsight, stderr};
use hindsight::device::{AdapterSummary, DeviceChoice, DeviceError};
use hindsight_kernels::translate::adapter_for;
use hindsight_kernels::{AdapterKind, Chosen, Traits, choose};

fn machine(adapters: &[(&str, AdapterKind)]) -> Vec<AdapterSummary> {
    let summary = |(index, (name, kind)): (usize, &(&str, AdapterKind))| AdapterSummary {
        index,
        traits: Traits {
            name: name.to_string(),
            kind: *kind,
            software: *kind == AdapterKind::Software,
            ..adapter_for(None, false)
        },
        limits: vec![],
        features: vec![],
    };
    adapters.iter().enumerate().map(summary).collect()
}

fn chosen(text: &str, adapters: &[(&str, AdapterKind)]) -> Result<Chosen, DeviceError> {
    choose(&text.parse().unwrap(), &machine(adapters))
}

fn one(index: usize) -> Chosen {
    Chosen { adapters: vec![index], or_cpu: false }
}

use AdapterKind::{Discrete, Integrated, Other, Software, Virtual};
const LLVM: (&str, AdapterKind) = ("llvmpipe (LLVM 15.0.6, 256 bits)", Software);

#[test]
fn digits_are_an_index_and_nothing_else() {
    let two = [LLVM, LLVM];
    assert_eq!(chosen("1", &two).unwrap(), one(1));
    assert_eq!(chosen("01", &two).unwrap(), one(1));
    for index in ["5", "15", "256", "99999999999999999999999999"] {
        assert!(matches!(chosen(index, &two), Err(DeviceError::Unknown { .. })), "{index}");
    }
    // A name that is digits can be had by a part that is not, and "+1" is no index.
    assert_eq!(chosen("llvm 15.0", &[LLVM]).unwrap(), one(0));
    assert!(matches!(chosen("+1", &two), Err(DeviceError::Unknown { .. })));
}

#[test]
fn a_text_without_a_name_is_refused() {
    for text in ["", " ", "\t"] {
        assert!(text.parse::<DeviceChoice>().is_err(), "{text:?}");
    }
    let output = hindsight(&["run", "--device", ""]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("hindsight devices"), "{}", stderr(&output));
}

#[test]
fn a_name_that_several_have_is_an_error_that_lists_them() {
    let adapters = [("NVIDIA H200", Discrete), LLVM, ("NVIDIA H200", Discrete), ("NVIDIA H200 NVL", Discrete)];
    assert_eq!(chosen("LLVMpipe", &adapters).unwrap(), one(1));
    assert_eq!(chosen("nvl", &adapters).unwrap(), one(3));
    let error = chosen("nvidia", &adapters).unwrap_err().to_string();
    for candidate in ["0 NVIDIA H200 (discrete GPU", "2 NVIDIA H200 (", "3 NVIDIA H200 NVL", "index"] {
        assert!(error.contains(candidate), "{candidate} is not in: {error}");
    }
    assert!(!error.contains("llvmpipe"), "{error}");
    // Two have the whole name; where one has, it is meant, though the name is a part of another's.
    assert!(matches!(chosen("NVIDIA H200", &adapters), Err(DeviceError::Ambiguous { .. })));
    assert_eq!(chosen("nvidia h200", &adapters[1..]).unwrap(), one(1));
    let error = chosen("radeon", &adapters).unwrap_err().to_string();
    assert!(error.contains("'radeon'") && error.contains("1 llvmpipe"), "{error}");
}

#[test]
fn hardware_with_its_own_memory_comes_first_and_software_last() {
    let adapters = [LLVM, ("a", Other), ("b", Virtual), ("c", Integrated), ("d", Discrete), ("e", Discrete)];
    assert_eq!(chosen("auto", &adapters).unwrap(), Chosen { adapters: vec![4, 5, 3, 2, 1], or_cpu: true });
    assert_eq!(chosen("gpu", &adapters).unwrap(), Chosen { adapters: vec![4, 5, 3, 2, 1, 0], or_cpu: false });
    assert_eq!(chosen("auto", &[LLVM]).unwrap(), Chosen { adapters: vec![], or_cpu: true });
    assert_eq!(chosen("GPU", &[LLVM]).unwrap(), one(0));
    assert_eq!(chosen("cpu", &adapters).unwrap(), Chosen { adapters: vec![], or_cpu: true });
    assert_eq!(chosen("auto", &[]).unwrap(), Chosen { adapters: vec![], or_cpu: true });
    assert!(matches!(chosen("gpu", &[]), Err(DeviceError::NoAdapter)));
    assert!(matches!(chosen("0", &[]), Err(DeviceError::NoAdapter)));
}

#[test]
fn a_user_is_told_which_adapters_refused() {
    let refused = |adapter: &str| DeviceError::Refused { adapter: adapter.into(), reason: "no memory".into() };
    let said = hindsight::device::passed_over(&[refused("A"), refused("B")], &hindsight::device::Device::Cpu).unwrap();
    for part in ["A refused to open: no memory", "B refused to open", "Taking cpu instead"] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
    assert_eq!(hindsight::device::passed_over(&[], &hindsight::device::Device::Cpu), None);
}
