//! Launches that do the same to different operands, and of which neither needs the other, become one: where two models see the
//! same images, one for each layer. A GPU takes as long for two small launches as for two large ones.

use super::dependencies::Dependencies;
use super::explain::Attribution;
use super::plan::Temporary;
use hindsight_kernels::{BufferId, Launch, View};
use std::collections::{BTreeMap, HashMap};

/// Elements of a result up to which launches are joined: larger ones keep a GPU busy by themselves, and joined they would need the
/// memory of both at once.
const SMALL: usize = 1 << 15;

/// Launches of a step whose temporaries are numbered by what they hold, and how large these are.
pub(super) struct Launches {
    pub launches: Vec<Launch>,
    pub attributions: Vec<Attribution>,
    pub temporaries: BTreeMap<usize, Temporary>,
}

/// Joins what can be joined. What remains is in an order in which it can be computed.
pub(super) fn join(all: Launches) -> Launches {
    let mut joiner = Joiner::new(&all);
    for launch in 0..all.launches.len() {
        for other in joiner.alike(launch) {
            // Operands that are stored lie as they lie, in one order or the other.
            if joiner.join(other, launch) || joiner.join(launch, other) {
                break;
            }
        }
    }
    let (order, pairs, beside) = (joiner.dependencies.order(), joiner.pairs, joiner.beside);
    rewritten(all, &order, &pairs, &beside)
}

/// A temporary that lies behind another in the buffer of both.
type Beside = BTreeMap<usize, usize>;

struct Joiner<'a> {
    all: &'a Launches,
    /// By what a launch does, earlier launches that do it.
    known: HashMap<String, Vec<usize>>,
    dependencies: Dependencies,
    /// Of each pair the launch whose operands lie first, and the other.
    pairs: BTreeMap<usize, usize>,
    beside: Beside,
}

impl<'a> Joiner<'a> {
    fn new(all: &'a Launches) -> Joiner<'a> {
        Joiner {
            all,
            known: HashMap::new(),
            dependencies: Dependencies::of(&all.launches),
            pairs: BTreeMap::new(),
            beside: Beside::new(),
        }
    }

    /// Earlier launches that do what this one does, and have no partner yet.
    fn alike(&mut self, launch: usize) -> Vec<usize> {
        let Launch { kernel, epilogue, output, .. } = &self.all.launches[launch];
        let kernel = kernel.describe();
        let own_buffer = |id| self.all.temporaries[&id].elements == kernel.elements();
        let joinable = kernel.elements() <= SMALL
            && matches!(output.buffer, BufferId::Temporary(id) if output.offset == 0 && own_buffer(id));
        if !joinable {
            return vec![];
        }
        let known = self.known.entry(format!("{kernel:?} {epilogue:?}")).or_default();
        let paired = |&launch: &usize| self.pairs.iter().any(|(&first, &second)| first == launch || second == launch);
        let free = known.iter().copied().filter(|launch| !paired(launch)).collect();
        known.push(launch);
        free
    }

    /// Joins two launches, the second one's operands behind the first one's; if that is possible.
    fn join(&mut self, first: usize, second: usize) -> bool {
        let Some(beside) = self.placed(first, second) else { return false };
        let dependent = self.dependencies.needs(first, second) || self.dependencies.needs(second, first);
        if dependent || self.read_where_written(&beside) {
            return false;
        }
        self.beside = beside;
        self.pairs.insert(first, second);
        self.dependencies.join(first, second);
        true
    }

    /// What lies behind what, if these two are to be joined.
    fn placed(&self, first: usize, second: usize) -> Option<Beside> {
        let [a, b] = [first, second].map(|launch| &self.all.launches[launch]);
        let mut beside = self.beside.clone();
        for (a, b) in a.views().zip(b.views()) {
            if !self.lie_apart(a, b, &mut beside) {
                return None;
            }
        }
        Some(beside)
    }

    /// Whether two operands are the same, or lie apart in one buffer, where temporaries can be placed so.
    fn lie_apart(&self, a: &View, b: &View, beside: &mut Beside) -> bool {
        if a == b {
            return true;
        }
        match (a.buffer, b.buffer) {
            (BufferId::Stored(i), BufferId::Stored(j)) => {
                let as_aligned = !a.offset.is_multiple_of(4) || b.offset.is_multiple_of(4);
                i == j && a.step == b.step && a.offset < b.offset && as_aligned
            }
            (BufferId::Temporary(i), BufferId::Temporary(j)) => {
                let alike = a.offset == b.offset && self.all.temporaries[&i] == self.all.temporaries[&j];
                alike && i != j && place(i, j, beside)
            }
            _ => false,
        }
    }

    /// Whether a launch would read the buffer that it writes.
    fn read_where_written(&self, beside: &Beside) -> bool {
        let buffer = |view: &View| match view.buffer {
            BufferId::Temporary(id) => Some(holder(id, beside)),
            _ => None,
        };
        self.all.launches.iter().any(|launch| {
            let written = buffer(&launch.output);
            let reads = |view: &View| *view != launch.output && buffer(view) == written;
            written.is_some() && launch.inputs.iter().any(reads)
        })
    }
}

/// Whether one temporary can lie behind another, or already does.
fn place(first: usize, second: usize, beside: &mut Beside) -> bool {
    if beside.get(&second) == Some(&first) {
        return true;
    }
    let free = |id: usize| !beside.contains_key(&id) && !beside.values().any(|&holder| holder == id);
    let both = free(first) && free(second);
    if both {
        beside.insert(second, first);
    }
    both
}

/// The temporary in whose buffer one lies.
fn holder(id: usize, beside: &Beside) -> usize {
    beside.get(&id).copied().unwrap_or(id)
}

/// The launches in that order, with pairs joined and their temporaries behind one another.
fn rewritten(all: Launches, order: &[usize], pairs: &BTreeMap<usize, usize>, beside: &Beside) -> Launches {
    let Launches { launches, attributions, mut temporaries } = all;
    let length = |id: usize| aligned(temporaries[&id].elements);
    let moved = |view: &View| match view.buffer {
        BufferId::Temporary(id) => match beside.get(&id) {
            Some(&first) => View { buffer: BufferId::Temporary(first), offset: view.offset + length(first), ..*view },
            None => *view,
        },
        _ => *view,
    };
    let joined = |&n: &usize| {
        let Launch { inputs, output, .. } = &launches[n];
        let second = pairs.get(&n).map(|&second| &launches[second]);
        let apart = |own: &View, other: Option<&View>| {
            let (own, other) = (moved(own), other.map(moved));
            View { apart: other.map_or(0, |other| other.offset - own.offset), ..own }
        };
        let inputs = inputs.iter().enumerate().map(|(i, view)| apart(view, second.map(|s| &s.inputs[i]))).collect();
        let output = apart(output, second.map(|s| &s.output));
        Launch { inputs, output, abreast: if second.is_some() { 2 } else { 1 }, ..launches[n].clone() }
    };
    let joined_launches = order.iter().map(joined).collect();
    let attributions = order.iter().map(|&n| attributions[n].clone()).collect();
    for (second, first) in beside {
        let behind = temporaries.remove(second).expect("it was a temporary");
        let holder = temporaries.get_mut(first).expect("so was this");
        holder.elements = aligned(holder.elements) + behind.elements;
    }
    Launches { launches: joined_launches, attributions, temporaries }
}

/// Elements from one to the next of several that lie in one buffer: each begins where those of a run may begin.
pub(super) fn aligned(elements: usize) -> usize {
    elements.next_multiple_of(64)
}
