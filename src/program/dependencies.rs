//! What must be computed before what, while launches of a step are joined.

use hindsight_kernels::{BufferId, Launch};
use std::collections::{BTreeMap, BTreeSet};

/// Launches by number, and which of them stand for others by now.
pub(super) struct Dependencies {
    /// Those that each needs to be done before.
    needs: Vec<BTreeSet<usize>>,
    /// The launch that stands for each.
    stands: Vec<usize>,
}

impl Dependencies {
    /// A launch needs those before it that write what it reads or writes, or read what it writes.
    pub fn of(launches: &[Launch]) -> Dependencies {
        let (mut written, mut read) =
            (BTreeMap::<BufferId, Vec<usize>>::new(), BTreeMap::<BufferId, Vec<usize>>::new());
        let mut needs = vec![];
        for (n, launch) in launches.iter().enumerate() {
            let to = launch.output.buffer;
            let before = launch.views().flat_map(|view| written.get(&view.buffer)).chain(read.get(&to)).flatten();
            needs.push(before.copied().collect());
            launch.inputs.iter().for_each(|view| read.entry(view.buffer).or_default().push(n));
            written.entry(to).or_default().push(n);
        }
        Dependencies { needs, stands: (0..launches.len()).collect() }
    }

    /// From now on the first launch stands for the second one, too.
    pub fn join(&mut self, first: usize, second: usize) {
        self.stands.iter_mut().filter(|stands| **stands == second).for_each(|stands| *stands = first);
        let needed = std::mem::take(&mut self.needs[second]);
        self.needs[first].extend(needed);
    }

    /// Whether the second launch needs the first one.
    pub fn needs(&self, second: usize, first: usize) -> bool {
        self.needed(second).any(|needed| needed == self.stands[first]) || self.needs_by_others(second, first)
    }

    /// Whether the second launch needs one that needs the first one.
    pub fn needs_by_others(&self, second: usize, first: usize) -> bool {
        let wanted = self.stands[first];
        let mut left: Vec<usize> = self.needed(second).filter(|&needed| needed != wanted).collect();
        let mut seen: BTreeSet<usize> = left.iter().copied().collect();
        while let Some(launch) = left.pop() {
            for needed in self.needed(launch) {
                if needed == wanted {
                    return true;
                }
                if seen.insert(needed) {
                    left.push(needed);
                }
            }
        }
        false
    }

    /// An order in which what stands for all can be computed: as they are numbered, as far as possible.
    pub fn order(&self) -> Vec<usize> {
        let (mut order, mut done) = (vec![], BTreeSet::new());
        self.stands.iter().for_each(|&launch| self.visit(launch, &mut done, &mut order));
        order
    }

    fn visit(&self, launch: usize, done: &mut BTreeSet<usize>, order: &mut Vec<usize>) {
        if done.insert(launch) {
            self.needed(launch).for_each(|needed| self.visit(needed, done, order));
            order.push(launch);
        }
    }

    /// What stands for those that a launch needs itself.
    fn needed(&self, launch: usize) -> impl Iterator<Item = usize> {
        let own = self.stands[launch];
        self.needs[own].iter().map(|&needed| self.stands[needed]).filter(move |&needed| needed != own)
    }
}
