//! Launches that do the same to different operands, and of which neither needs the other, become one: where two models see the
//! same images, one for each layer. A small launch takes a GPU no longer for being larger.

use super::dependencies::Dependencies;
use super::explain::Attribution;
use super::plan::Temporary;
use hindsight_kernels::{BufferId, Launch, View, aligned};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Elements of results and temporaries up to which launches are joined: larger ones keep a GPU busy by themselves, and joined they would
/// need the memory of both at once.
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
    let (order, pairs, holders) = (joiner.dependencies.order(), joiner.pairs, joiner.holders);
    rewritten(all, &order, &pairs, &holders)
}

/// Pairs of temporaries, the second of which lies behind the first in the buffer of both.
type Placed = Vec<[usize; 2]>;

struct Joiner<'a> {
    all: &'a Launches,
    /// By what a launch does, earlier launches that do it.
    known: HashMap<String, Vec<usize>>,
    dependencies: Dependencies,
    /// Of each pair the launch whose operands lie first, and the other.
    pairs: BTreeMap<usize, usize>,
    /// Launches that are in a pair.
    paired: BTreeSet<usize>,
    /// By each temporary that lies with another, the first of the two.
    holders: BTreeMap<usize, usize>,
    /// The launches that write each temporary.
    writers: BTreeMap<usize, Vec<usize>>,
}

impl<'a> Joiner<'a> {
    fn new(all: &'a Launches) -> Joiner<'a> {
        Joiner {
            all,
            known: HashMap::new(),
            dependencies: Dependencies::of(&all.launches),
            pairs: BTreeMap::new(),
            paired: BTreeSet::new(),
            holders: BTreeMap::new(),
            writers: writers(&all.launches),
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
        let free = known.iter().copied().filter(|launch| !self.paired.contains(launch)).collect();
        known.push(launch);
        free
    }

    /// Joins two launches, the second one's operands behind the first one's; if that is possible.
    fn join(&mut self, first: usize, second: usize) -> bool {
        let Some(placed) = self.placed(first, second) else { return false };
        let dependent = self.dependencies.needs(first, second) || self.dependencies.needs(second, first);
        if dependent || placed.iter().any(|pair| self.one_is_read_where_the_other_is_written(*pair)) {
            return false;
        }
        self.holders.extend(placed.iter().flat_map(|&[first, second]| [(first, first), (second, first)]));
        self.pairs.insert(first, second);
        self.paired.extend([first, second]);
        self.dependencies.join(first, second);
        true
    }

    /// What must be placed so that these two can be joined, if it can be.
    fn placed(&self, first: usize, second: usize) -> Option<Placed> {
        let [a, b] = [first, second].map(|launch| &self.all.launches[launch]);
        let mut placed = Placed::new();
        let all_apart = a.views().zip(b.views()).all(|(a, b)| self.lie_apart(a, b, &mut placed));
        all_apart.then_some(placed)
    }

    /// Whether two operands are the same, or lie apart in one buffer, where temporaries can be placed so.
    fn lie_apart(&self, a: &View, b: &View, placed: &mut Placed) -> bool {
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
                let small = self.all.temporaries[&i].elements <= SMALL;
                alike && small && i != j && self.place([i, j], placed)
            }
            _ => false,
        }
    }

    /// Whether the second temporary can lie behind the first one, or already does.
    fn place(&self, pair: [usize; 2], placed: &mut Placed) -> bool {
        let [first, second] = pair;
        let lies_so = self.holders.get(&second) == Some(&first) && first != second;
        let free = |id: usize| !self.holders.contains_key(&id) && !placed.iter().flatten().any(|&other| other == id);
        if lies_so || placed.contains(&pair) {
            return true;
        }
        let both = free(first) && free(second);
        if both {
            placed.push(pair);
        }
        both
    }

    /// Whether a launch reads one of two temporaries and writes the other: it would read the buffer that it writes.
    fn one_is_read_where_the_other_is_written(&self, pair: [usize; 2]) -> bool {
        let reads = |launch: usize, id: usize| {
            self.all.launches[launch].inputs.iter().any(|view| view.buffer == BufferId::Temporary(id))
        };
        let writers = |id: usize| self.writers.get(&id).into_iter().flatten();
        let [first, second] = pair;
        writers(first).any(|&n| reads(n, second)) || writers(second).any(|&n| reads(n, first))
    }
}

/// The launches that write each temporary.
fn writers(launches: &[Launch]) -> BTreeMap<usize, Vec<usize>> {
    let mut writers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (n, launch) in launches.iter().enumerate() {
        if let Some(id) = launch.output.temporary() {
            writers.entry(id).or_default().push(n);
        }
    }
    writers
}

/// The launches in that order, with pairs joined and their temporaries behind one another.
fn rewritten(
    all: Launches,
    order: &[usize],
    pairs: &BTreeMap<usize, usize>,
    holders: &BTreeMap<usize, usize>,
) -> Launches {
    let Launches { launches, attributions, mut temporaries } = all;
    let length = |id: usize| aligned(temporaries[&id].elements);
    let moved = |view: &View| match view.buffer {
        BufferId::Temporary(id) => match holders.get(&id) {
            Some(&first) if first != id => {
                View { buffer: BufferId::Temporary(first), offset: view.offset + length(first), ..*view }
            }
            _ => *view,
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
    let attributed = |n: &usize| match pairs.get(n) {
        Some(&second) => attributions[*n].clone().with(&attributions[second]),
        None => attributions[*n].clone(),
    };
    let attributions = order.iter().map(attributed).collect();
    for (second, first) in holders.iter().filter(|(id, holder)| id != holder) {
        let behind = temporaries.remove(second).expect("it was a temporary");
        let holder = temporaries.get_mut(first).expect("so was this");
        holder.elements = aligned(holder.elements) + behind.elements;
    }
    Launches { launches: joined_launches, attributions, temporaries }
}
