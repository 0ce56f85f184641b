//! The first steps of each program as a trace: Trace Event Format, which ui.perfetto.dev and chrome://tracing open.
//!
//! A process a method, a track a program and thread; in a track a pass holds steps, and a step its launches.

use super::{Profile, sums::Sum};
use crate::program::{ExplainedLaunch, Recorded, Total};
use hindsight_kernels::{Pass, Span};
use serde_json::{Value, json};

impl Profile {
    /// The trace. Times are microseconds since the preparation began.
    pub fn trace(&self) -> Value {
        let mut methods: Vec<&str> = vec![];
        let mut events = vec![];
        let mut track = 0;
        for program in &self.programs {
            let method = &program.explanation.method[..];
            let process = methods.iter().position(|known| *known == method).unwrap_or_else(|| {
                methods.push(method);
                let name = format!("{method} on {}", self.device);
                events.push(named("process_name", methods.len(), 0, &name));
                methods.len() - 1
            });
            let mut lanes: Vec<usize> = program.kept.iter().map(|pass| pass.lane).collect();
            lanes.sort_unstable();
            lanes.dedup();
            for lane in lanes {
                track += 1;
                let place = (process + 1, track);
                let thread = if lane == 0 { String::new() } else { format!(", thread {}", lane + 1) };
                events.push(named("thread_name", place.0, place.1, &format!("{}{thread}", program.explanation.name)));
                let passes = program.kept.iter().filter(|pass| pass.lane == lane);
                passes.for_each(|pass| push_pass(&mut events, program, pass, place));
            }
        }
        json!({ "displayTimeUnit": "ns", "otherData": { "clock": self.clock }, "traceEvents": events })
    }
}

fn named(what: &str, process: usize, track: usize, name: &str) -> Value {
    json!({ "ph": "M", "name": what, "pid": process, "tid": track, "args": { "name": name } })
}

fn event(category: &str, name: &str, (pid, tid): (usize, usize), start_ns: u64, end_ns: u64, args: Value) -> Value {
    let us = |ns: u64| ns as f64 / 1e3;
    json!({ "ph": "X", "cat": category, "name": name, "pid": pid, "tid": tid, "ts": us(start_ns),
            "dur": us(end_ns - start_ns), "args": args })
}

fn push_pass(events: &mut Vec<Value>, program: &Recorded, pass: &Pass, place: (usize, usize)) {
    let args = json!({ "launches": pass.spans.len(), "busy_us": pass.busy_ns() as f64 / 1e3,
                       "gaps_us": pass.gaps_ns() as f64 / 1e3 });
    events.push(event("pass", "pass", place, pass.start_ns, pass.end_ns, args));
    for step in steps(pass) {
        let (first, last) = (step[0], step[step.len() - 1]);
        let args = json!({ "step": first.step, "run": first.run });
        events.push(event("step", &format!("step {}", first.step), place, first.start_ns, last.end_ns, args));
        for span in step {
            let launch = &program.explanation.launches[span.launch];
            events.push(event("launch", &launch.kernel, place, span.start_ns, span.end_ns, details(launch, span)));
        }
    }
}

/// The launches of a pass, step by step.
pub(super) fn steps(pass: &Pass) -> impl Iterator<Item = &[Span]> {
    pass.spans.chunk_by(|a, b| (a.run, a.step) == (b.run, b.step))
}

fn details(launch: &ExplainedLaunch, span: &Span) -> Value {
    let total = Total { count: 1, runs: 1, ns: span.duration_ns() };
    let sum = Sum::of(&total, launch.cost);
    json!({ "variant": launch.variant, "shape": launch.shape, "epilogue": launch.epilogue,
            "operation": launch.operation(), "line": launch.lines(), "flops_a_run": sum.flops, "bytes_a_run": sum.bytes })
}
