//! Times and work of launches, added up by what they have in common.

use super::Profile;
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
}

impl Sum {
    pub fn of(total: &Total, cost: Cost) -> Sum {
        let runs = total.runs as f64;
        Sum { ns: total.ns, launches: total.count, flops: cost.flops * runs, bytes: cost.bytes * runs }
    }

    pub fn add(&mut self, other: Sum) {
        self.ns += other.ns;
        self.launches += other.launches;
        self.flops += other.flops;
        self.bytes += other.bytes;
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

/// A program's launches with their sums.
pub(super) fn launches(program: &Recorded) -> impl Iterator<Item = (&ExplainedLaunch, Sum)> {
    let launches = program.explanation.launches.iter().zip(&program.totals);
    launches.map(|(launch, total)| (launch, Sum::of(total, launch.cost)))
}

impl Profile {
    /// Sums of all launches that have the same key, the longest first.
    pub(super) fn by(&self, key: impl Fn(&ExplainedLaunch) -> String) -> Vec<(String, Sum)> {
        grouped(self.programs.iter().flat_map(launches).map(|(launch, sum)| (key(launch), sum)))
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
