//! Where time goes: lines of methods, clocks around launches, the trace, `--explain`.

use crate::cli::{hindsight, stdout};
use crate::gpu::{adapter, lab, small};
use crate::hal::launches;
use hindsight::autodiff::{Site, Tape};
use hindsight::device::{Clock, Device};
use hindsight::experiment::{self, Experiment};
use hindsight::methods;
use hindsight::profile::Profile;
use hindsight::program::{Recorder, Session};
use hindsight::settings::RunSpec;
use hindsight_kernels::Pass;
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn a_node_knows_the_line_that_recorded_it_and_equal_ones_the_first() {
    let mut session = Session::new(&Device::Dry, 1);
    let x = session.state("x", &[3]);
    let tape = Tape::new();
    let loaded = tape.load(&x);
    let (first, line) = (loaded.exp() + 1.0, line!());
    let again = loaded.exp();
    let _ = again.total();
    let sites = tape.sites();
    let here = |line| Site { file: file!(), line, order: 0 };
    // x, exp x, 1, exp x + 1, its sum: the second exp x is the first one.
    assert_eq!(sites.len(), 5);
    assert_eq!(sites[1..4], [here(line); 3]);
    assert_eq!(sites[4], here(line + 2));
    assert_eq!(first.shape(), [3]);
}

#[test]
fn what_grad_records_stands_for_the_line_whose_rule_it_is() {
    let mut session = Session::new(&Device::Dry, 1);
    let x = session.state("x", &[3]);
    let tape = Tape::new();
    let loaded = tape.load(&x);
    let (y, line) = (loaded.exp() * loaded.ln(), line!());
    let before = tape.sites().len();
    let slope = tape.grad(y, loaded);
    let asked = line!() - 1;
    let first = tape.sites()[before..].to_vec();
    let of_rule = |site: &Site| site.line == line && site.order == 1;
    let of_call = |site: &Site| site.line == asked && site.order == 0;
    assert!(first.iter().all(|site| of_rule(site) || of_call(site)), "{first:?}");
    assert!(first.iter().any(of_rule) && first.iter().any(of_call), "{first:?}");
    let before = tape.sites().len();
    tape.grad(slope, loaded);
    let second = tape.sites()[before..].to_vec();
    assert!(second.iter().any(|site| site.line == line && site.order == 2), "{second:?}");
    assert!(second.iter().all(|site| site.file == file!()), "{second:?}");
}

/// Two tasks of a method, recorded; and the parameters they led to.
fn recorded(method: &str, recorder: Option<&Recorder>, device: &Device) -> Vec<Vec<f64>> {
    let mut lab = lab(device, &small(), &[3, 4]);
    if let Some(recorder) = recorder {
        lab.session.record_with(recorder.of(method));
    }
    let mut learner = methods::find(method).unwrap().start(&mut lab);
    (0..2).for_each(|task| learner.learn(&mut lab, task));
    learner.test(&mut lab, 1).unwrap().rows();
    let theta = lab.theta.clone();
    lab.session.read(&theta)
}

#[test]
fn each_launch_of_every_method_has_a_line_of_the_method_the_model_or_the_memory() {
    for method in methods::registry() {
        let recorder = Recorder::explaining(&Device::Cpu);
        let runs = RunSpec::seeds(&small(), &[0]);
        let experiment = Experiment { benchmark: "permuted-mnist".into(), method: method.name().into(), runs };
        experiment::explain(&experiment, &recorder).unwrap();
        assert!(!recorder.programs().is_empty());
        for program in recorder.programs() {
            for launch in &program.explanation.launches {
                let of = &launch.of;
                let sites = of.fused.iter().map(|(_, site)| site).chain([&of.site]);
                for site in sites {
                    let home = ["src/methods/", "src/nn/", "src/memory/"].iter().any(|part| site.file.contains(part));
                    assert!(home, "{}, {}: {launch:?}", method.name(), program.explanation.name);
                }
            }
        }
    }
}

#[test]
fn timing_changes_no_bit_of_the_result_whatever_the_clock() {
    for device in [Some(Device::Cpu), adapter()].into_iter().flatten() {
        let plain = recorded("er", None, &device);
        for clock in device.clocks() {
            let timed = recorded("er", Some(&Recorder::timing_by(&device, clock, 1)), &device);
            assert_eq!(plain, timed, "{clock:?}");
        }
    }
    let recorder = Recorder::timing(&Device::Cpu, 1);
    assert_eq!(recorded("hal", None, &Device::Cpu), recorded("hal", Some(&recorder), &Device::Cpu));
}

#[test]
fn every_launch_of_every_step_is_timed_once_and_the_first_steps_are_kept() {
    let kept = 2;
    for device in [Some(Device::Cpu), adapter()].into_iter().flatten() {
        let recorder = Recorder::timing(&device, kept);
        recorded("er", Some(&recorder), &device);
        let programs = recorder.programs();
        let step = programs.iter().find(|program| program.explanation.name == "training step").unwrap();
        // Two tasks of 60 images in batches of 10, two runs.
        assert_eq!(step.steps, 12);
        let each_run_alone = matches!(device, Device::Cpu);
        // The first step is counted apart.
        let counted = if each_run_alone { 22 } else { 11 };
        assert!(step.totals.iter().all(|total| (total.runs, total.count) == (22, counted)), "{:?}", step.totals);
        assert!(step.first_ns > 0 && step.busy_ns() == step.first_ns + step.counted_ns());
        let spans: usize = step.kept.iter().map(|pass| pass.spans.len()).sum();
        assert_eq!(spans, step.totals.len() * kept * if each_run_alone { 2 } else { 1 });
    }
}

/// Passes of products of some 10 ms each on software Vulkan, where a timestamp costs 40 us: what is between launches
/// is under 1 % of a pass, also on a machine that is busy with other tests.
fn passes(device: &Device, clock: Clock) -> Vec<Pass> {
    let mut session = Session::new(device, 1);
    let (a, b) = (session.state("a", &[512, 512]), session.state("b", &[512, 512]));
    session.write(&a, 0, &vec![0.5; 512 * 512]);
    let tape = Tape::new();
    tape.assign(&b, tape.load(&a).matmul(tape.load(&a)));
    let program = session.compile(&tape);
    session.run(&program, 0..1); // compiles its shaders
    let recorder = Recorder::timing_by(device, clock, 100);
    session.record_with(recorder.clone());
    let program = session.compile(&tape);
    (0..5).for_each(|_| session.run(&program, 0..4));
    recorder.programs().remove(0).kept
}

#[test]
fn launches_and_gaps_agree_with_the_pass_within_5_percent() {
    let Some(device) = adapter() else { return };
    for clock in device.clocks() {
        let passes = passes(&device, clock);
        assert_eq!(passes.len(), 5);
        let part = |ns: fn(&Pass) -> u64| {
            let parts = passes.iter().map(|pass| ns(pass) as f64 / pass.duration_ns() as f64);
            parts.fold(0.0, f64::max)
        };
        let (all, launches) = (part(|pass| pass.busy_ns() + pass.gaps_ns()), part(Pass::busy_ns));
        println!("{clock:?}: launches and gaps {:.2} %, launches {:.2} % of the pass", 100.0 * all, 100.0 * launches);
        assert!((0.95..=1.0 + 1e-9).contains(&all), "{clock:?}: {all}");
        // With all launches in one pass nothing else is in it.
        assert!(clock != Clock::InsidePass || launches >= 0.95, "{launches}");
    }
}

/// An event's beginning and end in nanoseconds.
fn range(event: &Value) -> (u64, u64) {
    let ns = |key: &str| (event[key].as_f64().unwrap() * 1e3).round() as u64;
    (ns("ts"), ns("ts") + ns("dur"))
}

#[test]
fn the_trace_is_of_events_that_nest_and_add_up() {
    let recorder = Recorder::timing(&Device::Cpu, 3);
    recorded("hal", Some(&recorder), &Device::Cpu);
    let text = Profile::of(&recorder).unwrap().trace().to_string();
    let trace: Value = serde_json::from_str(&text).unwrap();
    let mut tracks: BTreeMap<(u64, u64), Vec<&Value>> = BTreeMap::new();
    for event in trace["traceEvents"].as_array().unwrap() {
        let place = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
        match event["ph"].as_str().unwrap() {
            "M" => assert!(!event["args"]["name"].as_str().unwrap().is_empty()),
            "X" => tracks.entry(place).or_default().push(event),
            other => panic!("an event of phase {other}"),
        }
    }
    assert!(tracks.len() >= 5, "{} tracks", tracks.len());
    for events in tracks.values() {
        let mut open: Vec<(&str, u64, u64)> = vec![];
        let (mut end_of_pass, mut busy, mut told) = (0, 0, 0);
        for event in events {
            let ((start, end), category) = (range(event), event["cat"].as_str().unwrap());
            open.retain(|(known, ..)| match category {
                "pass" => false,
                "step" => *known == "pass",
                _ => *known != "launch",
            });
            if let Some((outer, from, until)) = open.last() {
                assert!(*from <= start && end <= *until, "{category} {start}..{end} in {outer} {from}..{until}");
            }
            match category {
                "pass" => {
                    assert!(start >= end_of_pass && busy == told);
                    (end_of_pass, busy) = (end, 0);
                    told = (event["args"]["busy_us"].as_f64().unwrap() * 1e3).round() as u64;
                }
                "launch" => busy += end - start,
                _ => {}
            }
            open.push((category, start, end));
        }
        assert_eq!(busy, told, "launches add up to what the pass says");
    }
}

#[test]
fn explain_prints_as_many_launches_as_a_step_has() {
    let sizes = "--tasks=3 --images=60 --test-images=100 --seeds=1 --anchor-steps=3 --finetune-steps=3 --device=cpu";
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("run");
    let mut args = vec!["run", "--explain", "--method=hal,er", "--out", out.to_str().unwrap()];
    args.extend(sizes.split(' '));
    let output = stdout(&hindsight(&args));
    let printed = |program: &str| {
        let line = output.lines().find_map(|line| line.strip_prefix(program)).unwrap_or_else(|| panic!("{output}"));
        line.split(' ').next().unwrap().parse::<usize>().unwrap()
    };
    assert_eq!(printed("hal: training step: "), launches("hal", false));
    assert_eq!(printed("er: training step: "), launches("er", false));
    // Each waits for the one before, a hundred steps an anchor: two passes through the network and back, and Adam.
    assert!(printed("hal: anchor search: ") <= 11);
    assert!(printed("hal: test: ") > 0);
    assert!(output.lines().any(|line| line.starts_with("HAL")), "{output}");
}

#[test]
fn a_profile_is_a_run_with_tables_a_trace_and_a_page_that_needs_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("run");
    let sizes = ["--tasks=2", "--images=50", "--test-images=200", "--seeds=1", "--device=cpu", "--method=er"];
    let output = hindsight(&[&["profile", "--steps=2", "--out", out.to_str().unwrap()], &sizes[..]].concat());
    let text = stdout(&output);
    assert!(output.status.success(), "{text}");
    for row in ["ER-Ring", "er: training step", "er: test", "matmul", "src/nn/mlp.rs:"] {
        assert!(text.lines().any(|line| line.starts_with(row)), "{row} is not in\n{text}");
    }
    let products = text.lines().find(|line| line.starts_with("matmul")).unwrap();
    let of_roofline: f64 = products.split_whitespace().next_back().unwrap().parse().unwrap();
    assert!(text.contains("roof %") && of_roofline > 0.0, "{products}");
    assert!(out.join("results.json").exists());
    let trace = std::fs::read_to_string(out.join("trace.json")).unwrap();
    assert!(serde_json::from_str::<Value>(&trace).unwrap()["traceEvents"].as_array().unwrap().len() > 20);
    let page = std::fs::read_to_string(out.join("profile.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), 4);
    let foreign = page.replace("http://www.w3.org/2000/svg", "");
    assert!(["http", "src=", "@import", "<script"].iter().all(|link| !foreign.contains(link)));
}
