//! Variants of kernels: classes, choices that are timed, kept, told and repeated.

use crate::cli::{hindsight, stderr};
use crate::gpu::adapter;
use hindsight_kernels::autotune::{self, Tunable};
use hindsight_kernels::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn product(m: usize, n: usize, k: usize) -> MatMul {
    MatMul { m, n, k, ta: false, tb: false, ones: Ones::No, bytes: false }
}

#[test]
fn products_of_like_sizes_are_of_one_class_and_of_other_storage_of_another() {
    let class = |product: MatMul| class("matmul", &product);
    assert_eq!(class(product(785, 256, 20)), class(product(1000, 200, 32)));
    let all = [
        product(785, 256, 20),
        product(785, 256, 33),
        MatMul { ta: true, ..product(785, 256, 20) },
        MatMul { tb: true, ..product(785, 256, 20) },
        MatMul { ones: Ones::Column, ..product(785, 256, 20) },
        MatMul { ones: Ones::Row, ta: true, ..product(785, 256, 20) },
        MatMul { bytes: true, ..product(785, 256, 20) },
    ];
    let classes: std::collections::BTreeSet<_> = all.into_iter().map(class).collect();
    assert_eq!(classes.len(), all.len(), "{classes:?}");
}

/// How many tiles there are is decided by the shares, too.
#[test]
fn gradients_of_filters_in_more_shares_are_of_another_class() {
    let window = Window {
        batch: 64,
        input: [8; 2],
        channels: 4,
        filters: 4,
        taps: [3; 2],
        stride: [1; 2],
        padding: [1; 2],
        output: [8; 2],
    };
    let class = |window, shares| class("conv_filters", &Conv { window, part: ConvPart::FilterShares(shares) });
    assert_ne!(class(window, 4), class(Window { batch: 128, ..window }, 8), "shares of 16 images each");
}

#[test]
fn hardware_has_a_choice_for_every_product_and_can_run_each_candidate() {
    let hardware = translate::adapter_for(None, false);
    let small = Traits { workgroup_memory: 16 << 10, workgroup_threads: 256, ..hardware.clone() };
    for adapter in [hardware, small] {
        for [m, n, k] in
            [[1, 256, 784], [20, 10, 256], [785, 256, 20], [20, 256, 784], [4096, 4096, 4096], [20, 180, 20480]]
        {
            let candidates = Variant::candidates(&product(m, n, k), &adapter);
            assert!((3..=6).contains(&candidates.len()), "{m} x {n} x {k}: {candidates:?}");
            assert!(candidates.iter().all(|variant| variant.runs_on(&adapter)), "{m} x {n} x {k}: {candidates:?}");
        }
    }
}

#[test]
fn variants_are_timed_and_the_fastest_comes_first() {
    let Some(Device::Gpu(gpu)) = adapter() else { return };
    let variants: Vec<_> = ["plain", "16x16s16"].into_iter().filter_map(Variant::named).collect();
    let timed = autotune::time(&gpu, &product(30, 40, 50) as &dyn Tunable, &variants);
    assert_eq!(timed.len(), variants.len());
    assert!(variants.iter().all(|variant| timed.iter().any(|timed| timed.variant == *variant)));
    assert!(timed[0].seconds > 0.0 && timed.is_sorted_by(|a, b| a.seconds <= b.seconds), "{timed:?}");
}

#[test]
fn choices_outlive_the_program_and_a_damaged_file_is_no_file() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("kernels").join("adapter.json");
    let choices = Choices::kept_in(&file);
    choices.make("matmul 1 x 2 x 4".into(), Variant::Plain);
    choices.keep().unwrap();
    assert_eq!(Choices::kept_in(&file).of("matmul 1 x 2 x 4"), Some(Variant::Plain));
    for damaged in ["", "{\"matmul 1 x 2 x 4\": \"pla", "[1]", "{\"matmul 1 x 2 x 4\": \"of another version\"}"] {
        fs::write(&file, damaged).unwrap();
        assert_eq!(Choices::kept_in(&file), Choices::default(), "{damaged}");
    }
}

#[test]
fn a_variant_that_is_told_computes_the_product() {
    if adapter().is_none() {
        return;
    }
    let told = |name: &str| Tuning::Told(BTreeMap::from([(class("matmul", &product(30, 40, 50)), name.into())]));
    let device = Device::open_tuned(&DeviceChoice::Gpu, &told("32x32s4")).unwrap();
    let view = |n| View::whole(BufferId::Stored(n));
    let launch = |product: MatMul| {
        Launch::new(std::sync::Arc::new(product), Epilogue::default(), vec![view(0), view(1)], view(2))
    };
    assert_eq!(device.variant(&launch(product(30, 40, 50))), "matmul_tiled 32x32s4");
    assert_ne!(device.variant(&launch(product(300, 40, 50))), "matmul_tiled 32x32s4");
    let refused = Device::open_tuned(&DeviceChoice::Gpu, &told("33x33")).err().unwrap().to_string();
    assert!(refused.contains("no variant is called '33x33'"), "{refused}");
}

fn results(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("results.json")).unwrap()).unwrap()
}

/// Trained with told variants, and again by the manifest of that run.
#[test]
fn a_manifest_repeats_the_variants_of_its_run_and_so_its_bits() {
    if adapter().is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let [manifest, first, again] = ["m.json", "first", "again"].map(|name| home.path().join(name));
    let told = BTreeMap::from([(class("matmul", &MatMul { ones: Ones::Column, ..product(10, 256, 784) }), "16x16s16")]);
    fs::write(&manifest, serde_json::json!({ "device": { "kernels": told } }).to_string()).unwrap();
    let train = |manifest: &Path, out: &Path| {
        let paths = ["--kernels-from", manifest.to_str().unwrap(), "--out", out.to_str().unwrap()];
        let tiny = ["run", "--method=finetune", "--device=gpu", "--tasks=2", "--images=50", "--test-images=100"];
        let output = hindsight(&[&tiny[..], &["--seeds=1"], &paths].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        results(out)
    };
    let one = train(&manifest, &first);
    assert_eq!(one.pointer("/manifest/device/kernels"), Some(&serde_json::json!(told)));
    let two = train(&first.join("manifest.json"), &again);
    assert_eq!(one["runs"][0]["matrix"], two["runs"][0]["matrix"]);
    assert_eq!(fs::read(first.join("losses.csv")).unwrap(), fs::read(again.join("losses.csv")).unwrap());
}

#[test]
fn a_manifest_that_names_no_variants_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let manifest = home.path().join("m.json");
    for (text, hint) in
        [("", "EOF"), ("{\"device\": {}}", "names no variants"), ("{\"device\": {\"kernels\": 3}}", "map")]
    {
        fs::write(&manifest, text).unwrap();
        let output = hindsight(&["run", "--device=cpu", "--kernels-from", manifest.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(hint), "{text}: {}", stderr(&output));
    }
}

#[test]
fn there_is_nothing_to_tune_on_the_cpu() {
    let output = hindsight(&["tune-kernels", "--device=cpu"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("nothing to tune"), "{}", stderr(&output));
}
