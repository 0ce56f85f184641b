//! `hindsight kernels`: the catalogue is whole, every shader is what each backend takes, and can be shown; a user's arrays
//! are in `arrays`.

mod arrays;

use crate::cli::{hindsight, stderr, stdout};
use crate::gpu::adapter;
use crate::kernels::numbers;
use hindsight_kernels::catalogue;
use hindsight_kernels::check::{Checked, Spirv, Verdict, cases, cases_of};
use hindsight_kernels::translate::{Composed, Target, Translation, adapter_for};
use hindsight_kernels::trial::{self, Difference, Trial};
use hindsight_kernels::{Device, Kind, Variant};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    fs::read_dir(folder).unwrap().flat_map(|entry| below(entry.unwrap().path())).collect()
}

/// The names that the kernels of a source file give themselves.
fn names_in(source: &str) -> Vec<&str> {
    let bodies = source.split("impl Describe for ").skip(1);
    let named =
        bodies.filter_map(|body| body.split_once("fn name(").map(|(_, rest)| rest.split("fn ").next().unwrap()));
    named.flat_map(|name| name.split('"').skip(1).step_by(2)).collect()
}

#[test]
fn every_kernel_is_in_the_catalogue() {
    let sources = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels/src"));
    let texts: Vec<String> = sources.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    // "own" is what a user brings.
    let kernels: BTreeSet<&str> = texts.iter().flat_map(|text| names_in(text)).filter(|name| *name != "own").collect();
    let listed: BTreeSet<&str> = catalogue::entries().map(|entry| entry.name).collect();
    assert!(kernels.contains("matmul") && kernels.contains("conv_filters"), "{kernels:?}");
    assert_eq!(kernels, listed, "a kernel is an entry of kernels/src/catalogue/, of the name that it gives itself");
}

/// A file's first line says what it is, whatever else is cut out of it or put in.
#[test]
fn every_shader_file_is_checked() {
    let checked = cases();
    for path in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders")) {
        let text = fs::read_to_string(&path).unwrap();
        let first = text.lines().next().unwrap();
        let uses = checked.iter().filter(|shader| shader.composed.source.contains(first)).count();
        assert!(uses > 0, "{} is in no shader of the catalogue", path.display());
    }
}

#[test]
fn every_shader_is_valid_for_every_target_or_says_why_not() {
    let (all, spirv) = (cases(), Spirv::find());
    assert!(all.len() > 80, "{}", all.len());
    for shader in all {
        let Checked { case: shader, verdicts } = shader.check(spirv.as_ref());
        for (target, verdict) in verdicts {
            let wide = shader.composed.source.contains("u64>") && shader.software;
            let cooperative = shader.variant == Some(Variant::Cooperative);
            match verdict {
                Verdict::Passed => {}
                // The two reasons that there are: OpenGL has no integers of 64 bits, and naga cooperative matrices in two languages.
                Verdict::NotExpressible(_) => {
                    let lacks_matrices = matches!(target, Target::Glsl | Target::Hlsl) && cooperative;
                    assert!(lacks_matrices || target == Target::Glsl && wide, "{}", shader.text());
                }
                Verdict::Failed(reason) => panic!("{} as {}: {reason}", shader.text(), target.name()),
            }
        }
    }
}

#[test]
fn products_and_convolutions_are_checked_in_every_variant() {
    let all = cases();
    for name in ["matmul", "conv", "conv_input", "conv_filters"] {
        for variant in Variant::all() {
            let entries = all.iter().filter(|shader| shader.name == name && shader.variant == Some(variant));
            assert!(entries.count() >= 4, "{name} {variant:?}");
        }
    }
    let of = |name: &str, entry: &str| all.iter().any(|shader| shader.name == name && shader.composed.entry == entry);
    assert!(["main", "narrow", "single", "images"].into_iter().all(|entry| of("matmul", entry)) && of("conv", "main"));
    let has_rows = |rows: f64| all.iter().any(|shader| shader.composed.constants.contains(&("ROWS", rows)));
    assert!([24.0, 20.0, 16.0, 8.0].into_iter().all(has_rows));
    assert!(all.iter().any(|shader| shader.composed.source.contains("texture_storage_2d<rgba32float, read>")));
}

/// Operands as an entry wants them: numbers, and whole numbers within their bounds.
fn operands(entry: &catalogue::Entry, values: &catalogue::Values) -> Vec<trial::Elements> {
    let of = |(n, operand): (usize, catalogue::Operand)| {
        let count = operand.lengths(values).iter().product();
        // Anything else would be refused as a user's, too.
        let below = (1..=8).rev().find(|below| operand.out_of_bounds(&[below - 1], values).is_none()).unwrap();
        match operand.kind() {
            Kind::Float => trial::Elements::Numbers(numbers(count, n).iter().map(|x| x.abs() + 0.1).collect()),
            Kind::Index => trial::Elements::Indices((0..count as u32).map(|i| i * 7 % below).collect()),
            Kind::Bytes => trial::Elements::Bytes((0..count).map(|i| (i * 37 % 256) as u8).collect()),
        }
    };
    (entry.operands)(values).into_iter().enumerate().map(of).collect()
}

#[test]
fn what_the_catalogue_says_of_operands_and_result_is_what_kernels_take() {
    for entry in catalogue::entries() {
        for (n, values) in entry.cases().iter().enumerate() {
            let (launch, operands) = (entry.launch(values, None), operands(entry, values));
            let result: usize = (entry.result)(values).iter().map(|axis| axis.length(values)).product();
            assert_eq!(launch.kernel.describe().elements(), result, "{}", entry.name);
            assert_eq!(launch.kernel.describe().name(), entry.name);
            let oracle = Trial::new(&Device::Oracle, launch.clone(), &operands).result();
            // Shaders take long to compile; their own tests have every form of them.
            let gpu = adapter().filter(|_| n == 0);
            for device in [Some(Device::Cpu), gpu].into_iter().flatten() {
                let found = Trial::new(&device, launch.clone(), &operands).result();
                let difference = Difference::between(&found, &oracle);
                assert!(difference.of_largest < 1e-4, "{} {values:?}: {difference:?}", entry.name);
            }
        }
    }
}

#[test]
fn the_launches_of_a_program_are_checked_too() {
    let launches = hindsight::experiment::launches_of_step("permuted-mnist", "hal").unwrap();
    let cases = cases_of(&launches);
    assert!(cases.len() > launches.len(), "{} of {}", cases.len(), launches.len());
    for case in cases {
        let Checked { case, verdicts } = case.check(None);
        let right = |(target, verdict): (&Target, &Verdict)| match verdict {
            Verdict::NotExpressible(_) => *target == Target::Glsl && case.software,
            verdict => *verdict == Verdict::Passed,
        };
        assert!(verdicts.iter().all(right), "{}: {verdicts:?}", case.text());
    }
}

#[test]
fn a_wrong_shader_is_found_wrong() {
    let entry = catalogue::find("sum").unwrap();
    let launch = entry.launch(&entry.complete(&[]).unwrap(), None);
    let good = Composed::of(&launch, &adapter_for(None, false));
    let mut bad = good.clone();
    bad.source = bad.source.replace("+= x[", "+= y[");
    assert!(good.resolve().is_ok());
    let error = bad.resolve().err().unwrap().to_string();
    assert!(error.contains("no definition in scope for identifier: `y`"), "{error}");
    let mut case = cases().pop().unwrap();
    case.composed = bad;
    assert!(case.check(None).verdicts.values().all(|verdict| matches!(verdict, Verdict::Failed(_))));
    if let Some(spirv) = Spirv::find() {
        assert!(spirv.validate(&[0x0723_0203, 0x0001_0300, 0, 1, 0]).is_err(), "a module without a memory model");
    }
    // What the adapter has not is not valid either.
    let subgroup = catalogue::find("matmul").unwrap();
    let launch = subgroup.launch(&subgroup.complete(&[]).unwrap(), Some(Variant::Subgroup));
    assert!(Composed::of(&launch, &adapter_for(Variant::named("64x64"), false)).resolve().is_err());
}

#[test]
fn constants_have_their_values_in_a_translation() {
    let entry = catalogue::find("matmul").unwrap();
    let launch = entry.launch(&entry.parse(&[("ta".into(), "true".into())]).unwrap(), Variant::named("64x64"));
    let shader = Composed::of(&launch, &adapter_for(None, false));
    assert!(shader.source.contains("override TA: bool;"));
    for target in Target::ALL {
        let translation = shader.resolve().unwrap().translate(target).unwrap();
        let text = translation.text();
        assert!(!text.contains("override"), "{}", target.name());
        let marks = match target {
            Target::Wgsl => "@compute",
            Target::Spirv => "OpEntryPoint GLCompute",
            Target::Msl => "kernel void",
            Target::Hlsl => "[numthreads(64, 1, 1)]",
            Target::Glsl => "#version 450",
        };
        assert!(text.contains(marks), "{}: {text}", target.name());
        if let Translation::Words(words) = &translation {
            assert_eq!(words[0], 0x0723_0203, "the first word of SPIR-V");
            assert_eq!(translation.bytes()[..4], [0x03, 0x02, 0x23, 0x07]);
        }
    }
}

#[test]
fn check_says_what_passed_of_every_kernel() {
    let output = hindsight(&["kernels", "check"]);
    assert!(output.status.success(), "{}", stdout(&output));
    for entry in catalogue::entries() {
        let lines = stdout(&output).lines().filter(|line| line.split(' ').next() == Some(entry.name)).count();
        assert_eq!(lines, entry.variants().len().max(1), "{}", stdout(&output));
    }
}

#[test]
fn list_names_every_kernel_and_its_attributes() {
    let all = stdout(&hindsight(&["kernels", "list"]));
    for entry in catalogue::entries() {
        assert!(all.contains(&format!("{}: {}", entry.name, entry.computes)), "{all}");
        let one = stdout(&hindsight(&["kernels", "list", entry.name]));
        for attribute in entry.attributes {
            assert!(one.contains(attribute.meaning), "{one}");
        }
    }
    assert!(all.contains("variants    plain, subgroup, row, 4x16s64"), "{all}");
    let unknown = hindsight(&["kernels", "list", "matmull"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("'matmul'"), "{}", stderr(&unknown));
}

#[test]
fn show_needs_no_adapter_and_knows_programs() {
    let text = stdout(&hindsight(&["kernels", "show", "matmul", "--variant", "subgroup", "--attr", "k=96"]));
    assert!(text.contains("matmul_subgroup: C[r,m,n]") && text.contains("fn epilogue("), "{text}");
    let step = stdout(&hindsight(&["kernels", "show", "--program", "hal"]));
    let launches = step.lines().filter(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit())).count();
    assert!(step.contains(&format!("{launches} launches")) && launches > 10, "{step}");
    let fused = hindsight(&["kernels", "show", "--program", "hal", "--launch", "0", "--target", "msl"]);
    assert!(stdout(&fused).contains("kernel void"), "{}", stderr(&fused));
    let beyond = hindsight(&["kernels", "show", "--program", "hal", "--launch", &launches.to_string()]);
    assert!(
        stderr(&beyond).contains(&format!("launches 0 to {}, not {launches}", launches - 1)),
        "{}",
        stderr(&beyond)
    );
}
