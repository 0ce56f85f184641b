//! Maps of as many elements that read the same, or one what another writes, become one launch, which reads it once: Adam's moments,
//! and the step that is made of them.

use super::abreast::Launches;
use super::dependencies::Dependencies;
use super::explain::Attribution;
use hindsight_kernels::{Access, Launch, View};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Operands that a launch may have, so that it fits the bindings of every adapter.
const MOST_OPERANDS: usize = 8;

/// Joins what can be joined. What remains is in an order in which it can be computed.
pub(super) fn join(all: Launches) -> Launches {
    let mut joiner = Joiner {
        launches: &all.launches,
        dependencies: Dependencies::of(&all.launches),
        groups: BTreeMap::new(),
        touch: HashMap::new(),
    };
    for launch in 0..all.launches.len() {
        joiner.place(launch);
    }
    let (order, groups) = (joiner.dependencies.order(), joiner.groups);
    let group = |n: &usize| groups.get(n).map_or(vec![*n], Clone::clone);
    let launches = order.iter().map(|n| joined(group(n).iter().map(|&n| all.launches[n].clone()).collect())).collect();
    let attributions = order.iter().map(|n| attributed(group(n).iter().map(|&n| &all.attributions[n]))).collect();
    Launches { launches, attributions, ..all }
}

struct Joiner<'a> {
    launches: &'a [Launch],
    dependencies: Dependencies,
    /// Maps that are joined, in order, by the first of them.
    groups: BTreeMap<usize, Vec<usize>>,
    /// The groups that read or write what lies there.
    touch: HashMap<View, BTreeSet<usize>>,
}

impl Joiner<'_> {
    /// Puts a map in the first group to which it can belong, or else in one of its own.
    fn place(&mut self, map: usize) {
        if !is_joinable(&self.launches[map]) {
            return;
        }
        let near: BTreeSet<usize> =
            full(&self.launches[map]).flat_map(|view| self.touch.get(view)).flatten().copied().collect();
        let first = near.into_iter().find(|first| self.fits(map, &self.groups[first])).unwrap_or(map);
        self.groups.entry(first).or_default().push(map);
        for view in self.launches[map].views() {
            self.touch.entry(*view).or_default().insert(first);
        }
        if first != map {
            self.dependencies.join(first, map);
        }
    }

    fn fits(&self, map: usize, group: &[usize]) -> bool {
        let (own, first) = (&self.launches[map], group[0]);
        let others = || group.iter().map(|&n| &self.launches[n]);
        let as_many = own.kernel.describe().elements() == self.launches[first].kernel.describe().elements();
        let operands: HashSet<&View> = others().chain([own]).flat_map(Launch::views).collect();
        as_many
            && others().any(|other| shares(other, own))
            && others().all(|other| element_by_element(other, own))
            && operands.len() <= MOST_OPERANDS
            && !self.dependencies.needs(first, map)
            && !self.dependencies.needs_by_others(map, first)
    }
}

fn is_joinable(launch: &Launch) -> bool {
    let half = launch.views().any(|view| view.buffer.is_half());
    launch.kernel.describe().only_epilogue() && launch.abreast == 1 && !half
}

fn reads(launch: &Launch) -> impl Iterator<Item = (&View, &Access)> {
    launch.inputs.iter().zip(&launch.epilogue.extras)
}

/// What a map reads element by element.
fn full(launch: &Launch) -> impl Iterator<Item = &View> {
    reads(launch).filter(|(_, access)| **access == Access::Full).map(|(view, _)| view)
}

/// Whether the second of two maps reads what the first one reads or writes.
fn shares(first: &Launch, second: &Launch) -> bool {
    full(second).any(|view| *view == first.output || full(first).any(|other| other == view))
}

/// Whether two maps write different buffers, of which either reads what the other writes element by element, if at all.
fn element_by_element(first: &Launch, second: &Launch) -> bool {
    let reads_so = |reader: &Launch, writer: &Launch| {
        let apart = |(view, access): (&View, &Access)| {
            view.buffer != writer.output.buffer || (*view == writer.output && *access == Access::Full)
        };
        reads(reader).all(apart)
    };
    first.output.buffer != second.output.buffer && reads_so(first, second) && reads_so(second, first)
}

/// One launch of several.
fn joined(mut maps: Vec<Launch>) -> Launch {
    let last = maps.pop().expect("a group has a map");
    Launch { before: maps, ..last }
}

/// It stands for the last of them; the others are computed on the way.
fn attributed<'a>(of: impl Iterator<Item = &'a Attribution>) -> Attribution {
    of.cloned().reduce(|before, last| last.with(&before)).expect("a group has a map")
}
