//! Times and work of launches, added up by what they have in common.

use super::Profile;
use crate::bench::Ceilings;
use crate::program::{ExplainedLaunch, Recorded, Total};
use hindsight_kernels::Cost;
use std::collections::BTreeMap;

/// Launches that have something in common.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sum {
    pub ns: u64,
    pub launches: u64,
    pub flops: f64,
    pub bytes: f64,
    /// Nanoseconds that the roofline gives them, where ceilings are known.
    pub roofline_ns: f64,
}

impl Sum {
    pub fn of(total: &Total, cost: Cost) -> Sum {
        let runs = total.runs as f64;
        let (flops, bytes) = (cost.flops * runs, cost.bytes * runs);
        Sum { ns: total.ns, launches: total.count, flops, bytes, roofline_ns: 0.0 }
    }

    /// Under the ceilings of the part of a device that computed each of them.
    fn under(self, ceilings: &Ceilings, part: f64) -> Sum {
        let bandwidth = ceilings.bandwidth(self.bytes / self.launches.max(1) as f64);
        let seconds = (self.flops / ceilings.fma_flops_per_s).max(self.bytes / bandwidth);
        Sum { roofline_ns: 1e9 * seconds / part, ..self }
    }

    pub fn add(&mut self, other: Sum) {
        self.ns += other.ns;
        self.launches += other.launches;
        self.flops += other.flops;
        self.bytes += other.bytes;
        self.roofline_ns += other.roofline_ns;
    }

    /// How much of the time that they took the roofline gives them, in percent.
    pub fn of_roofline(&self) -> f64 {
        100.0 * self.roofline_ns / self.ns.max(1) as f64
    }

    /// GFLOP/s: operations a nanosecond.
    pub fn gflops(&self) -> f64 {
        self.flops / self.ns.max(1) as f64
    }

    /// GB/s: bytes a nanosecond, of those that must be read and written at least once.
    pub fn gbytes(&self) -> f64 {
        self.bytes / self.ns.max(1) as f64
    }
}

/// Part of a whole, in percent.
pub(super) fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

impl Profile {
    /// A program's launches with their sums.
    pub(super) fn launches<'a>(&'a self, program: &'a Recorded) -> impl Iterator<Item = (&'a ExplainedLaunch, Sum)> {
        let launches = program.explanation.launches.iter().zip(&program.totals);
        launches.map(|(launch, total)| {
            let sum = Sum::of(total, launch.cost);
            let under = self.ceilings.as_ref().map_or(sum, |ceilings| sum.under(ceilings, program.part));
            (launch, under)
        })
    }

    /// Seconds of all launches and of the gaps between them, first steps left out; and those that the ceilings give these
    /// launches: to compute, to move bytes, or to be launched. Threads work side by side.
    pub fn measured_and_predicted_s(&self) -> [f64; 2] {
        let launch_ns = self.ceilings.as_ref().map_or(0.0, |ceilings| 1e9 * ceilings.launch_s);
        let predicted_ns = |program: &Recorded| {
            let least = |(_, sum): (_, Sum)| sum.roofline_ns.max(launch_ns * sum.launches as f64);
            self.launches(program).map(least).sum::<f64>()
        };
        let side_by_side = |ns: &dyn Fn(&Recorded) -> f64| {
            self.programs.iter().map(|program| program.part * ns(program)).sum::<f64>() / 1e9
        };
        let measured_ns = |program: &Recorded| (program.counted_ns() + program.gaps_ns) as f64;
        [side_by_side(&measured_ns), side_by_side(&predicted_ns)]
    }

    /// Seconds inside the launches of a step of one run, of the program of that name which was compiled last.
    pub fn last_step_of_a_run_s(&self, name: &str) -> Option<f64> {
        let program = self.programs.iter().rev().find(|program| program.explanation.name == name)?;
        let steps = program.totals.first()?.runs;
        Some(program.counted_ns() as f64 / 1e9 / steps.max(1) as f64)
    }

    /// Sums of all launches that have the same key, the longest first.
    pub(super) fn by(&self, key: impl Fn(&ExplainedLaunch) -> String) -> Vec<(String, Sum)> {
        grouped(self.programs.iter().flat_map(|program| self.launches(program)).map(|(launch, sum)| (key(launch), sum)))
    }

    /// Sums a kernel and variant.
    pub(super) fn by_kernel(&self) -> Vec<(String, Sum)> {
        self.by(kernel)
    }
}

/// A kernel and its variant, where that has a name of its own.
pub(super) fn kernel(launch: &ExplainedLaunch) -> String {
    match &launch.variant[..] {
        variant if variant == launch.kernel || variant == "twin" => launch.kernel.clone(),
        variant => format!("{} ({variant})", launch.kernel),
    }
}

/// Sums of equal keys, the longest first.
pub(super) fn grouped<K: Ord>(sums: impl Iterator<Item = (K, Sum)>) -> Vec<(K, Sum)> {
    let mut groups: BTreeMap<K, Sum> = BTreeMap::new();
    sums.for_each(|(key, sum)| groups.entry(key).or_default().add(sum));
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.ns));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::CopyRate;

    #[test]
    fn a_launch_as_fast_as_its_part_of_the_device_can_is_at_its_roofline() {
        let copies = vec![CopyRate { bytes: 1e3, bytes_per_s: 8e9 }, CopyRate { bytes: 1e6, bytes_per_s: 2e9 }];
        let ceilings = Ceilings { fma_flops_per_s: 4e9, copies, launch_s: 0.0 };
        let share = |flops: f64, bytes: f64, ns: u64, part: f64| {
            let total = Total { count: 10, runs: 10, ns };
            Sum::of(&total, Cost { flops, bytes }).under(&ceilings, part).of_roofline()
        };
        // Ten launches of 4,000 operations; of 8,000 bytes, which a cache does not hold; of 800, which it does.
        assert_eq!(share(4e3, 1.0, 10_000, 1.0), 100.0);
        assert_eq!(share(4e3, 1.0, 20_000, 0.5), 100.0);
        assert_eq!(share(1.0, 8e3, 80_000, 1.0), 50.0);
        assert_eq!(share(1.0, 800.0, 1_000, 1.0), 100.0);
    }
}
