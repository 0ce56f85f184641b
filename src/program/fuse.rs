//! Which nodes are stored, and which are computed on the way into another.
//!
//! An elementwise node is computed inside whatever reads it, as long as that is one place, or the node
//! costs nothing to repeat (a constant, a broadcast, a mask, a single number, which few others are computed from). What remains is
//! stored: each such node is the end of a chain, which becomes the epilogue of a kernel (a product, a sum) whose result only the
//! chain reads, or a launch of its own.

use crate::autodiff::{Node, Op};
use hindsight_kernels::{Access, Binary, Epilogue, Instruction, Unary};
use std::collections::{BTreeMap, BTreeSet};

/// A stored value: a kernel (or none: a plain map), and the chain that ends in `node`.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    /// The value that is stored.
    pub node: usize,
    /// The node whose kernel computes what the chain begins with.
    pub host: Option<usize>,
    /// The chain.
    pub epilogue: Epilogue,
    /// The nodes that the epilogue's extras read.
    pub extras: Vec<usize>,
    /// The nodes that are computed on the way, and at its end.
    pub members: Vec<usize>,
}

/// Extras a chain may have: with a kernel's own operands they must fit the adapter's bindings.
const MOST_EXTRAS: usize = 5;

/// Elements up to which what could be computed once, in a launch of its own, is computed anew for each: a launch that waits for another
/// takes a GPU microseconds.
const FEW: usize = 1024;

/// The chains, in an order in which they can be computed. Nodes that nothing in `roots` needs are
/// left out.
pub(super) fn chains(nodes: &[Node], roots: &[usize]) -> Vec<Chain> {
    let mut stored_by_force = BTreeSet::new();
    loop {
        let fusion = Fusion::new(nodes, roots, &stored_by_force);
        match fusion.chains() {
            Ok(chains) => return chains,
            Err(too_many) => stored_by_force.extend(too_many),
        }
    }
}

struct Fusion<'a> {
    nodes: &'a [Node],
    live: Vec<bool>,
    /// Someone needs the value in a buffer.
    stored: Vec<bool>,
    /// The stored nodes whose chains compute the node, or read it element by element.
    read_by: Vec<BTreeSet<usize>>,
    /// A single number, and all that it is computed from since the last kernel are such.
    number: Vec<bool>,
}

/// Whether the node passes its elements on unchanged, in order.
fn transparent(op: Op) -> bool {
    matches!(op, Op::Reshape)
}

/// Whether it may be computed again wherever it is read: single numbers may.
fn cheap(node: &Node) -> bool {
    node.elements() == 1
        || matches!(
            node.op,
            Op::Constant(_) | Op::OneHot | Op::Spread { .. } | Op::Place { .. } | Op::Unary(Unary::Step)
        )
}

impl<'a> Fusion<'a> {
    fn new(nodes: &'a [Node], roots: &[usize], by_force: &BTreeSet<usize>) -> Fusion<'a> {
        let count = nodes.len();
        let mut f = Fusion {
            nodes,
            live: vec![false; count],
            stored: vec![false; count],
            read_by: vec![BTreeSet::new(); count],
            number: vec![false; count],
        };
        for id in 0..count {
            f.number[id] = f.is_number(id);
        }
        for &root in roots {
            f.live[root] = true;
            f.stored[root] = true;
        }
        for id in (0..count).rev() {
            if f.live[id] {
                f.decide(id, by_force.contains(&id));
            }
        }
        f
    }

    /// All readers of `id` have been decided: decides `id`, and tells its inputs.
    fn decide(&mut self, id: usize, by_force: bool) {
        let node = &self.nodes[id];
        let elementwise = node.op.is_elementwise();
        let repeated = cheap(node) || self.adds_two_alike(id);
        if elementwise && (by_force || (self.read_by[id].len() != 1 && !repeated)) {
            self.stored[id] = true;
        }
        let readers = if self.stored[id] && elementwise { BTreeSet::from([id]) } else { self.read_by[id].clone() };
        for &input in &node.inputs {
            self.live[input] = true;
            let in_order = matches!(node.op, Op::Unary(_) | Op::Binary(_));
            if in_order || self.spreads_a_number(id) || (transparent(node.op) && !self.stored[id]) {
                self.read_by[input].extend(&readers);
            } else {
                self.stored[input] = true;
            }
        }
    }

    fn is_number(&self, id: usize) -> bool {
        let node = &self.nodes[id];
        let of_numbers = || node.inputs.iter().all(|&input| self.number[input]);
        let single = node.elements() == 1;
        match node.op {
            Op::Unary(_) | Op::Binary(_) | Op::Spread { .. } | Op::Reshape => single && of_numbers(),
            Op::OneHot | Op::Place { .. } => false,
            _ => single,
        }
    }

    /// Whether few elements are a number that a chain can compute for each of them.
    fn spreads_a_number(&self, id: usize) -> bool {
        let node = &self.nodes[id];
        matches!(node.op, Op::Spread { .. })
            && node.elements() <= FEW
            && self.number[node.inputs[0]]
            && self.nodes[self.behind(node.inputs[0])].op.is_elementwise()
    }

    /// Whether a node adds up what two launches compute that differ in their operands alone. They may become one, if neither of them
    /// has to wait for the other to add what that has computed.
    fn adds_two_alike(&self, id: usize) -> bool {
        let node = &self.nodes[id];
        if node.op != Op::Binary(Binary::Add) || node.elements() > FEW {
            return false;
        }
        let [a, b] = [0, 1].map(|i| self.behind(node.inputs[i]));
        let shapes = |id: usize| self.nodes[id].inputs.iter().map(|&input| &self.nodes[input].shape);
        self.is_heavy(a) && self.nodes[a].op == self.nodes[b].op && shapes(a).eq(shapes(b))
    }

    /// The node behind reshapes.
    fn behind(&self, mut id: usize) -> usize {
        while transparent(self.nodes[id].op) {
            id = self.nodes[id].inputs[0];
        }
        id
    }

    fn is_heavy(&self, id: usize) -> bool {
        let op = self.nodes[id].op;
        !op.is_elementwise() && !op.is_view() && op != Op::Concat
    }

    /// Whether the chain that ends in `root` may compute this kernel's result as it begins.
    fn hosts(&self, id: usize, root: usize) -> bool {
        let as_large = self.nodes[id].elements() == self.nodes[root].elements();
        self.is_heavy(id) && as_large && !self.stored[id] && self.read_by[id] == BTreeSet::from([root])
    }

    /// The chains; or, where some would read too much, a node of each to store.
    fn chains(&self) -> Result<Vec<Chain>, Vec<usize>> {
        let (mut chains, mut hosted, mut too_many) = (BTreeMap::new(), BTreeSet::new(), vec![]);
        for id in (0..self.nodes.len()).filter(|&id| self.live[id]) {
            if self.nodes[id].op.is_elementwise() && self.stored[id] {
                match self.chain(id) {
                    Ok(chain) => {
                        hosted.extend(chain.host);
                        chains.insert(id, chain);
                    }
                    Err(node) => too_many.push(node),
                }
            }
        }
        if !too_many.is_empty() {
            return Err(too_many);
        }
        for id in (0..self.nodes.len()).filter(|&id| self.live[id] && self.is_heavy(id) && !hosted.contains(&id)) {
            chains.insert(
                id,
                Chain { node: id, host: Some(id), epilogue: Epilogue::default(), extras: vec![], members: vec![id] },
            );
        }
        Ok(chains.into_values().collect())
    }

    /// The chain that ends in an elementwise node; or, where it would read too much, a node of it to store.
    fn chain(&self, root: usize) -> Result<Chain, usize> {
        let mut members = BTreeSet::new();
        self.collect(root, root, &mut members);
        let host = members.iter().rev().copied().find(|&id| self.hosts(id, root));
        let mut builder = Builder {
            fusion: self,
            root,
            host,
            epilogue: Epilogue::default(),
            extras: vec![],
            done: BTreeMap::new(),
            members: vec![],
        };
        builder.emit(root);
        if builder.extras.len() > MOST_EXTRAS {
            let inner = || members.iter().rev().copied().filter(|&id| id != root && self.inside(id, root));
            let number = inner().find(|&id| self.number[id] && !self.nodes[id].inputs.is_empty());
            let other = || inner().find(|&id| !cheap(&self.nodes[id]));
            return Err(number.or_else(other).expect("a chain with many inputs has inner nodes"));
        }
        Ok(Chain { node: root, host, epilogue: builder.epilogue, extras: builder.extras, members: builder.members })
    }

    /// Whether an elementwise node is computed inside the chain that ends in `root`.
    fn inside(&self, id: usize, root: usize) -> bool {
        self.nodes[id].op.is_elementwise() && (id == root || !self.stored[id])
    }

    /// The chain's nodes, and those that it reads.
    fn collect(&self, id: usize, root: usize, members: &mut BTreeSet<usize>) {
        let id = self.behind(id);
        let computed = matches!(self.nodes[id].op, Op::Unary(_) | Op::Binary(_)) || self.spreads_a_number(id);
        if !members.insert(id) || !self.inside(id, root) || !computed {
            return;
        }
        for &input in &self.nodes[id].inputs {
            // A stored reshape ends the chain as any stored node does.
            self.collect(input, root, members);
        }
    }
}

struct Builder<'a, 'f> {
    fusion: &'f Fusion<'a>,
    root: usize,
    host: Option<usize>,
    epilogue: Epilogue,
    extras: Vec<usize>,
    done: BTreeMap<usize, usize>,
    members: Vec<usize>,
}

impl Builder<'_, '_> {
    /// The register that holds a node's value.
    fn emit(&mut self, id: usize) -> usize {
        let id = self.fusion.behind(id);
        if let Some(&register) = self.done.get(&id) {
            return register;
        }
        let node = &self.fusion.nodes[id];
        let instruction = if Some(id) == self.host {
            Instruction::Value
        } else if !self.fusion.inside(id, self.root) {
            self.extra(id, self.access(node))
        } else {
            match node.op {
                Op::Spread { .. } if self.computes_number(id) => return self.emit(node.inputs[0]),
                Op::Constant(bits) => Instruction::Constant(f64::from_bits(bits)),
                Op::Unary(op) => Instruction::Unary(op, self.emit(node.inputs[0])),
                Op::Binary(op) => {
                    let (a, b) = (self.emit(node.inputs[0]), self.emit(node.inputs[1]));
                    Instruction::Binary(op, a, b)
                }
                Op::Spread { .. } if node.elements() == 1 => self.extra(node.inputs[0], self.access(node)),
                Op::Spread { mid, inner } => self.extra(node.inputs[0], Access::Spread { mid, inner }),
                Op::OneHot => self.extra(node.inputs[0], Access::OneHot { classes: node.shape[1] }),
                Op::Place { offset } => {
                    let length = self.fusion.nodes[node.inputs[0]].elements();
                    self.extra(node.inputs[0], Access::Place { offset, length })
                }
                op => unreachable!("{} is not elementwise", op.name()),
            }
        };
        if Some(id) == self.host || self.fusion.inside(id, self.root) {
            self.members.push(id);
        }
        self.epilogue.instructions.push(instruction);
        self.done.insert(id, self.epilogue.instructions.len() - 1);
        self.epilogue.instructions.len() - 1
    }

    /// How a value is read that is as large as the chain's result, or a number.
    fn access(&self, node: &Node) -> Access {
        match (node.elements(), self.fusion.nodes[self.root].elements()) {
            (1, mid) if mid > 1 => Access::Spread { mid, inner: 1 },
            _ => Access::Full,
        }
    }

    /// Whether what a node spreads is computed in the chain, of a single number as it is.
    fn computes_number(&self, id: usize) -> bool {
        let input = self.fusion.behind(self.fusion.nodes[id].inputs[0]);
        self.fusion.inside(input, self.root) && self.fusion.spreads_a_number(id)
    }

    fn extra(&mut self, id: usize, access: Access) -> Instruction {
        let known = self.extras.iter().zip(&self.epilogue.extras).position(|(&e, &a)| (e, a) == (id, access));
        Instruction::Extra(known.unwrap_or_else(|| {
            self.extras.push(id);
            self.epilogue.extras.push(access);
            self.extras.len() - 1
        }))
    }
}
