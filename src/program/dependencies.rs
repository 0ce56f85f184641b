//! What must be computed before what, while launches of a step are joined.

use hindsight_kernels::{BufferId, Launch};
use std::collections::{BTreeMap, BTreeSet};

/// Launches by number, and which of them stand for others by now.
pub(super) struct Dependencies {
    /// Those that each needs to be done before, itself.
    needs: Vec<BTreeSet<usize>>,
    /// And with those that these need, and so on.
    all: Vec<Set>,
    /// The launch that stands for each.
    stands: Vec<usize>,
}

/// Launches, a bit each: there are thousands, and whether one needs another is asked as often.
#[derive(Clone)]
struct Set(Vec<u64>);

impl Set {
    fn empty(count: usize) -> Set {
        Set(vec![0; count.div_ceil(64)])
    }

    fn has(&self, n: usize) -> bool {
        self.0[n / 64] >> (n % 64) & 1 == 1
    }

    fn insert(&mut self, n: usize) {
        self.0[n / 64] |= 1 << (n % 64);
    }

    fn extend(&mut self, other: &Set) {
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own |= other);
    }
}

impl Dependencies {
    /// A launch needs those before it that write what it reads or writes, or read what it writes.
    pub fn of(launches: &[Launch]) -> Dependencies {
        let (mut written, mut read) =
            (BTreeMap::<BufferId, Vec<usize>>::new(), BTreeMap::<BufferId, Vec<usize>>::new());
        let (mut needs, mut all) = (Vec::<BTreeSet<usize>>::new(), Vec::<Set>::new());
        for (n, launch) in launches.iter().enumerate() {
            let to = launch.output.buffer;
            let before = launch.views().flat_map(|view| written.get(&view.buffer)).chain(read.get(&to)).flatten();
            let before: BTreeSet<usize> = before.copied().collect();
            let mut set = Set::empty(launches.len());
            for &needed in &before {
                set.insert(needed);
                set.extend(&all[needed]);
            }
            needs.push(before);
            all.push(set);
            launch.inputs.iter().for_each(|view| read.entry(view.buffer).or_default().push(n));
            written.entry(to).or_default().push(n);
        }
        Dependencies { needs, all, stands: (0..launches.len()).collect() }
    }

    /// From now on the first launch stands for the second one, too.
    pub fn join(&mut self, first: usize, second: usize) {
        self.stands.iter_mut().filter(|stands| **stands == second).for_each(|stands| *stands = first);
        let needed = std::mem::take(&mut self.needs[second]);
        self.needs[first].extend(needed);
        // Who needs one of them needs both.
        let mut both = self.all[first].clone();
        both.extend(&self.all[second]);
        self.all[first] = both.clone();
        [first, second].into_iter().for_each(|n| both.insert(n));
        let needing = self.all.iter_mut().filter(|set| set.has(first) || set.has(second));
        needing.for_each(|set| set.extend(&both));
    }

    /// Whether the second launch needs the first one.
    pub fn needs(&self, second: usize, first: usize) -> bool {
        self.all[self.stands[second]].has(self.stands[first])
    }

    /// Whether the second launch needs one that needs the first one.
    pub fn needs_by_others(&self, second: usize, first: usize) -> bool {
        let first = self.stands[first];
        self.needed(second).any(|needed| needed != first && self.all[needed].has(first))
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
