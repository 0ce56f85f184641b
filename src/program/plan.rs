//! Where every value lies: views, pieces of a whole, states written in place, and temporaries that are
//! used again as soon as nobody needs them.

use super::abreast::{self, Launches};
use super::explain::Attribution;
use super::fuse::{Chain, chains};
use super::kernels::kernel;
use super::maps;
use super::precision::{Precision, WORTH_HALVING, is_activation};
use super::split::{Split, split};
use crate::autodiff::{Node, Op, Site, Tape};
use hindsight_kernels::{Access, BufferId, Epilogue, Instruction, Launch, Map, View};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Launches, what each of them computes of the tape, and the program's own buffers.
pub(super) struct Plan {
    pub launches: Vec<Launch>,
    pub attributions: Vec<Attribution>,
    pub temporaries: Vec<Temporary>,
}

/// A buffer of a program's own, of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Temporary {
    pub elements: usize,
    /// Its numbers are kept in half precision.
    pub half: bool,
}

impl Temporary {
    pub fn bytes(&self) -> u64 {
        self.elements as u64 * if self.half { 2 } else { 4 }
    }
}

/// What one launch computes, before places are known.
struct Job {
    chain: Chain,
    /// Where the result goes, if not where the chain's node lies.
    to: Option<View>,
}

struct Planner<'a> {
    nodes: &'a [Node],
    sites: &'a [Site],
    jobs: Vec<Job>,
    /// Values that lie inside another: the whole, and the offset.
    inside: BTreeMap<usize, (usize, usize)>,
    /// Values that are written straight into a stored buffer.
    assigned: BTreeMap<usize, View>,
}

/// Plans one step of a tape.
pub(super) fn plan(tape: &Tape, precision: Precision) -> Plan {
    let Split { tape, assignments } = split(tape);
    let (nodes, sites) = (tape.nodes(), tape.sites());
    let mut roots: Vec<usize> = assignments.iter().map(|a| a.1).collect();
    add_detached_roots(&nodes, &mut roots);
    let jobs = chains(&nodes, &roots).into_iter().map(|chain| Job { chain, to: None }).collect();
    let mut planner =
        Planner { nodes: &nodes, sites: &sites, jobs, inside: BTreeMap::new(), assigned: BTreeMap::new() };
    planner.join_pieces();
    planner.assign(&assignments);
    planner.finish(precision)
}

/// Constants and the like that are assigned as they are need a launch, which `chains` gives to roots.
fn add_detached_roots(nodes: &[Node], roots: &mut Vec<usize>) {
    let behind: Vec<usize> = roots.iter().map(|&r| behind(nodes, r)).collect();
    roots.extend(behind.into_iter().filter(|&r| nodes[r].op.is_elementwise()));
}

fn behind(nodes: &[Node], mut id: usize) -> usize {
    while matches!(nodes[id].op, Op::Reshape) {
        id = nodes[id].inputs[0];
    }
    id
}

/// A launch that copies one value.
fn copy(of: usize, node: usize) -> Chain {
    let epilogue = Epilogue { instructions: vec![Instruction::Extra(0)], extras: vec![Access::Full] };
    Chain { node, host: None, epilogue, extras: vec![of], members: vec![] }
}

impl Planner<'_> {
    fn behind(&self, id: usize) -> usize {
        behind(self.nodes, id)
    }

    /// The value whose buffer holds `id`, and where in it.
    fn holder(&self, id: usize) -> (usize, usize) {
        let node = &self.nodes[id];
        match node.op {
            Op::Reshape => self.holder(node.inputs[0]),
            Op::Slice { offset } => {
                let (holder, at) = self.holder(node.inputs[0]);
                (holder, at + offset)
            }
            _ => match self.inside.get(&id) {
                Some(&(whole, offset)) => {
                    let (holder, at) = self.holder(whole);
                    (holder, at + offset)
                }
                None => (id, 0),
            },
        }
    }

    fn operands(&self, chain: &Chain) -> Vec<usize> {
        let own = chain.host.map(|h| self.nodes[h].inputs.clone()).unwrap_or_default();
        own.into_iter().chain(chain.extras.iter().copied()).collect()
    }

    /// Lets the parts of every concatenation be computed where they belong; copies those that can't.
    fn join_pieces(&mut self) {
        let live: BTreeSet<usize> =
            self.jobs.iter().flat_map(|j| self.operands(&j.chain)).map(|id| self.whole_of(id)).collect();
        let wholes: Vec<usize> =
            (0..self.nodes.len()).filter(|&id| self.nodes[id].op == Op::Concat && live.contains(&id)).collect();
        let mut copies = Vec::new();
        for &whole in &wholes {
            let mut offset = 0;
            for &part in &self.nodes[whole].inputs {
                let source = self.behind(part);
                let computed = self.jobs.iter().any(|j| j.chain.node == source);
                if computed && !self.inside.contains_key(&source) {
                    self.inside.insert(source, (whole, offset));
                } else {
                    copies.push((whole, offset, part));
                }
                offset += self.nodes[part].elements();
            }
        }
        self.separate(&mut copies);
        // Inner wholes first: their nodes have smaller numbers.
        copies.sort_unstable();
        for (whole, offset, part) in copies {
            let to = View { offset, ..View::whole(BufferId::Temporary(whole)) };
            // As soon as all of the part is there.
            let source = self.holder(part).0;
            let writes = |j: &Job| match j.to {
                Some(to) => to.buffer == BufferId::Temporary(source),
                None => self.holder(j.chain.node).0 == source,
            };
            let at = self.jobs.iter().rposition(writes).map_or(0, |last| last + 1);
            self.jobs.insert(at, Job { chain: copy(part, part), to: Some(to) });
        }
    }

    /// The concatenation behind views, else the node itself.
    fn whole_of(&self, id: usize) -> usize {
        match self.nodes[id].op {
            Op::Reshape | Op::Slice { .. } => self.whole_of(self.nodes[id].inputs[0]),
            _ => id,
        }
    }

    /// A launch can't read the buffer that it writes: parts for which it would are computed apart.
    fn separate(&mut self, copies: &mut Vec<(usize, usize, usize)>) {
        while let Some(node) = self.part_read_beside(copies) {
            let (whole, offset) = self.inside.remove(&node).expect("it lies in a whole");
            copies.push((whole, offset, node));
        }
    }

    /// A part whose launch reads its whole; or that is copied to another place of it.
    fn part_read_beside(&self, copies: &[(usize, usize, usize)]) -> Option<usize> {
        let reads_own_whole = |chain: &&Chain| {
            let whole = self.inside.get(&chain.node).map(|&(whole, _)| self.holder(whole).0);
            whole.is_some_and(|whole| self.operands(chain).iter().any(|&id| self.holder(id).0 == whole))
        };
        let computed = self.jobs.iter().map(|job| &job.chain).find(reads_own_whole).map(|chain| chain.node);
        let twice = |&&(whole, _, part): &&(usize, usize, usize)| self.holder(part).0 == self.holder(whole).0;
        computed.or_else(|| copies.iter().find(twice).map(|&(.., part)| self.behind(part)))
    }

    /// Writes assigned values straight into their buffers where no later launch reads the old value,
    /// else by a copy at the end.
    fn assign(&mut self, assignments: &[(View, usize)]) {
        let mut late = Vec::new();
        for &(to, node) in assignments {
            let (holder, at) = self.holder(node);
            let whole = at == 0 && self.nodes[holder].elements() == self.nodes[node].elements();
            // What goes to two places of a buffer is copied to both: no launch reads the buffer that it writes.
            let here = |other: &&(View, usize)| other.0.buffer == to.buffer && self.holder(other.1).0 == holder;
            let once = assignments.iter().filter(here).count() == 1;
            if whole && once && self.can_write_early(holder, to) {
                self.assigned.insert(holder, to);
            } else {
                late.push((to, node));
            }
        }
        let overwritten: BTreeSet<BufferId> = assignments.iter().map(|a| a.0.buffer).collect();
        for (to, node) in &late {
            let reads = self.stored_view(*node).map(|v| v.buffer);
            let own = reads.is_none_or(|buffer| buffer == to.buffer || !overwritten.contains(&buffer));
            assert!(own, "assign: a state takes the old value of another that is assigned too; add 0 to it first");
        }
        self.jobs.extend(late.into_iter().map(|(to, node)| Job { chain: copy(node, node), to: Some(to) }));
    }

    fn can_write_early(&self, holder: usize, to: View) -> bool {
        let Some(at) = self.jobs.iter().position(|j| j.chain.node == holder && j.to.is_none()) else { return false };
        if self.assigned.contains_key(&holder) || self.inside.contains_key(&holder) {
            return false;
        }
        let job = &self.jobs[at].chain;
        let own = self.operands(job).len() - job.extras.len();
        let in_place = |(i, &id): (usize, &usize)| {
            i >= own && self.stored_view(id) == Some(to) && job.epilogue.extras[i - own] == Access::Full
        };
        // A launch may read the buffer that it writes only there, element by element.
        let reads_buffer = |id: usize| self.view(id).buffer == to.buffer;
        let harmless = |operand: (usize, &usize)| !reads_buffer(*operand.1) || in_place(operand);
        let written = self.nodes[holder].elements();
        let reads_later = |j: &Job| self.operands(&j.chain).iter().any(|&id| self.touches(id, to, written));
        // Nor may another that writes the same buffer read what would lie there.
        let reads_beside = |j: &Job| {
            self.assigned.get(&j.chain.node).is_some_and(|other| other.buffer == to.buffer)
                && self.operands(&j.chain).iter().any(|&id| self.holder(id).0 == holder)
        };
        self.operands(job).iter().enumerate().all(harmless)
            && !self.jobs[at + 1..].iter().any(|j| reads_later(j) || reads_beside(j))
    }

    /// Whether a value lies where `length` elements from `view` on are written.
    fn touches(&self, id: usize, view: View, length: usize) -> bool {
        let apart = |own: View| {
            let end = own.offset + self.nodes[id].elements();
            own.step == view.step && (end <= view.offset || view.offset + length <= own.offset)
        };
        self.stored_view(id).is_some_and(|own| own.buffer == view.buffer && !apart(own))
    }

    /// The view of a value that was stored before the step began.
    fn stored_view(&self, id: usize) -> Option<View> {
        let (holder, offset) = self.holder(id);
        match self.nodes[holder].op {
            Op::Load { buffer, from } => Some(View { offset: from + offset, ..View::whole(BufferId::Stored(buffer)) }),
            Op::Row(buffer, step) => Some(View { offset, step, ..View::whole(BufferId::Stored(buffer)) }),
            _ => None,
        }
    }

    /// The view of any value; temporaries are still numbered by their holder.
    fn view(&self, id: usize) -> View {
        let (holder, offset) = self.holder(id);
        match (self.stored_view(id), self.assigned.get(&holder)) {
            (Some(view), _) => view,
            (None, Some(view)) => View { offset: view.offset + offset, ..*view },
            (None, None) => View { offset, ..View::whole(BufferId::Temporary(holder)) },
        }
    }

    fn finish(self, precision: Precision) -> Plan {
        let launches: Vec<Launch> = self.jobs.iter().map(|job| self.launch(job)).collect();
        let attributions = self.jobs.iter().map(|job| self.attribution(&job.chain)).collect();
        let halves = if precision == Precision::HalfStorage { self.halves(&launches) } else { BTreeSet::new() };
        let holders = launches.iter().flat_map(Launch::views).filter_map(View::temporary);
        let temporary =
            |holder: usize| Temporary { elements: self.nodes[holder].elements(), half: halves.contains(&holder) };
        let temporaries = holders.map(|holder| (holder, temporary(holder))).collect();
        let Launches { mut launches, attributions, temporaries } =
            maps::join(abreast::join(Launches { launches, attributions, temporaries }));
        let temporaries = reuse(&mut launches, &temporaries);
        Plan { launches, attributions, temporaries }
    }

    /// The values for which half precision is enough.
    fn halves(&self, launches: &[Launch]) -> BTreeSet<usize> {
        let (mut halves, mut wholes) = (BTreeSet::new(), BTreeSet::new());
        for (job, launch) in self.jobs.iter().zip(launches) {
            let BufferId::Temporary(holder) = launch.output.buffer else { continue };
            let large = self.nodes[holder].elements() >= WORTH_HALVING;
            // All that is written there must be such.
            if large && self.half_is_enough(job, launch, &halves) && !wholes.contains(&holder) {
                halves.insert(holder);
            } else {
                halves.remove(&holder);
                wholes.insert(holder);
            }
        }
        halves
    }

    /// Whether a job computes activations, or only rearranges such.
    fn half_is_enough(&self, job: &Job, launch: &Launch, halves: &BTreeSet<usize>) -> bool {
        let chain = &job.chain;
        let of_gradient = |&id: &usize| self.sites[id].order > 0;
        if of_gradient(&chain.node) || chain.members.iter().any(of_gradient) {
            return false;
        }
        let in_half = |view: &View| matches!(view.buffer, BufferId::Temporary(id) if halves.contains(&id));
        let mut full = launch.inputs.iter().zip(&chain.epilogue.extras).filter(|(_, access)| **access == Access::Full);
        match chain.host {
            Some(host) => is_activation(self.nodes[host].op),
            None => full.any(|(view, _)| in_half(view)),
        }
    }

    /// A launch stands for its kernel's node; without a kernel, for the end of its chain.
    fn attribution(&self, chain: &Chain) -> Attribution {
        let main = chain.host.unwrap_or_else(|| self.behind(chain.node));
        let named = |id: usize| (self.nodes[id].op.name(), self.sites[id]);
        let (operation, site) = match chain.members[..] {
            [] => ("Copy".into(), self.sites[main]),
            _ => named(main),
        };
        let fused = chain.members.iter().filter(|&&id| id != main).map(|&id| named(id)).collect();
        Attribution { operation, site, fused }
    }

    fn launch(&self, job: &Job) -> Launch {
        let chain = &job.chain;
        let kernel = match chain.host {
            Some(host) => {
                let inputs: Vec<&Node> = self.nodes[host].inputs.iter().map(|&i| &self.nodes[i]).collect();
                kernel(&self.nodes[host], &inputs)
            }
            None => Arc::new(Map { elements: self.nodes[chain.node].elements() }),
        };
        let inputs = self.operands(chain).into_iter().map(|id| self.view(id)).collect();
        let output = job.to.unwrap_or_else(|| self.view(chain.node));
        Launch::new(kernel, chain.epilogue.clone(), inputs, output)
    }
}

/// Renumbers temporaries so that those whose lives do not overlap share a buffer; returns the buffers.
fn reuse(launches: &mut [Launch], temporaries: &BTreeMap<usize, Temporary>) -> Vec<Temporary> {
    let mut lives: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for (at, launch) in launches.iter().enumerate() {
        for id in launch.views().filter_map(View::temporary) {
            lives.entry(id).or_insert((at, at)).1 = at;
        }
    }
    // The largest first: each buffer is as large as its first value, and smaller ones find room in time.
    let mut order: Vec<_> =
        lives.into_iter().map(|(id, life)| (Reverse(temporaries[&id].elements), life, id)).collect();
    order.sort_unstable();
    let mut buffers: Vec<(Temporary, Vec<(usize, usize)>)> = Vec::new(); // and when it is taken
    let mut place = BTreeMap::new();
    for (_, life, id) in order {
        let own = temporaries[&id];
        let apart = |taken: &(usize, usize)| taken.1 < life.0 || life.1 < taken.0;
        let free = |(buffer, taken): &(Temporary, Vec<_>)| buffer.half == own.half && taken.iter().all(apart);
        let slot = buffers.iter().position(free).unwrap_or_else(|| {
            buffers.push((own, vec![]));
            buffers.len() - 1
        });
        buffers[slot].1.push(life);
        place.insert(id, if own.half { BufferId::Half(slot) } else { BufferId::Temporary(slot) });
    }
    for view in launches.iter_mut().flat_map(Launch::views_mut) {
        if let Some(id) = view.temporary() {
            view.buffer = place[&id];
        }
    }
    buffers.into_iter().map(|(buffer, _)| buffer).collect()
}
