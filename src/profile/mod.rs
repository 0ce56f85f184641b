//! What a recorder saw while runs were trained, as tables, as a trace and as a page.

mod explain;
mod figures;
mod page;
mod sums;
mod tables;
mod trace;

pub use explain::explain;

use crate::bench::Ceilings;
use crate::program::{Recorded, Recorder};

/// Where the time of a run went.
pub struct Profile {
    /// What computed.
    device: String,
    /// What told the time.
    clock: &'static str,
    /// Nanoseconds from the first preparation to now.
    wall_ns: u64,
    /// The programs that ran.
    programs: Vec<Recorded>,
    /// What the device can do at all.
    ceilings: Option<Ceilings>,
}

impl Profile {
    /// What was recorded so far; `None` where nothing was timed.
    pub fn of(recorder: &Recorder) -> Option<Profile> {
        let stopwatch = recorder.stopwatch()?;
        let programs: Vec<_> = recorder.programs().into_iter().filter(|program| program.steps > 0).collect();
        (!programs.is_empty()).then(|| Profile {
            device: recorder.device().describe(),
            clock: stopwatch.clock.describe(),
            wall_ns: stopwatch.elapsed_ns(),
            programs,
            ceilings: None,
        })
    }

    /// The same under the device's ceilings: tables and figures then say how near a roofline launches come.
    pub fn under(self, ceilings: Ceilings) -> Profile {
        Profile { ceilings: Some(ceilings), ..self }
    }

    /// Nanoseconds inside the launches that tables and figures count: not those of first steps. Threads add up.
    fn counted_ns(&self) -> u64 {
        self.programs.iter().map(Recorded::counted_ns).sum()
    }

    /// Nanoseconds during which a pass was under way.
    fn covered_ns(&self) -> u64 {
        let mut passes: Vec<(u64, u64)> =
            self.programs.iter().flat_map(|program| &program.passes).map(|&(_, start, end)| (start, end)).collect();
        passes.sort_unstable();
        let (mut covered, mut until) = (0, 0);
        for (start, end) in passes {
            covered += end.saturating_sub(start.max(until));
            until = until.max(end);
        }
        covered
    }

    /// Where the time went, in a few sentences.
    fn summary(&self) -> Vec<String> {
        let sum = |ns: fn(&Recorded) -> u64| self.programs.iter().map(ns).sum::<u64>();
        let (busy, passes, gaps) = (sum(Recorded::busy_ns), sum(Recorded::passes_ns), sum(|program| program.gaps_ns));
        let ceilings = self.ceilings.as_ref().map(|ceilings| {
            format!(
                "The roofline is what the device could do, measured after the run: {:.0} GFLOP/s of multiply-adds and up to {:.0} \
                 GB/s{}. What finds its operands in a nearer cache than a copy of so much may be above it.",
                ceilings.fma_flops_per_s / 1e9,
                ceilings.bandwidth(0.0) / 1e9,
                if self.programs.iter().any(|program| program.part < 1.0) { ", of which a thread has its part" } else { "" },
            )
        });
        let mut sentences = vec![
            format!("On {}. Times are by {}.", self.device, self.clock),
            format!(
                "{} of {} in all were spent in passes, which took {}: {:.1} % of that in launches, {:.1} % in gaps between \
                 them. What is outside of passes is the host's: data, streams of batches, compiling.",
                tables::time(self.covered_ns()),
                tables::time(self.wall_ns),
                tables::time(passes),
                sums::percent(busy, passes),
                sums::percent(gaps, passes),
            ),
            format!(
                "The first step of each program, in which drivers compile and caches fill, is left out of all that follows \
                 but the column of its name: {} in all.",
                tables::time(sum(|program| program.first_ns))
            ),
        ];
        sentences.extend(ceilings);
        sentences
    }
}
