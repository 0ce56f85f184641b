//! The tape: a list of nodes, equal ones merged as they are recorded.

use super::op::Op;
use super::site::Site;
use super::var::Var;
use hindsight_kernels::{Binary, Kind, Stride, Unary};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// One recorded operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// From which nodes; all have smaller numbers.
    pub inputs: Vec<usize>,
    /// Shape of one run's value.
    pub shape: Vec<usize>,
    /// What the value consists of.
    pub values: Values,
}

/// What a value consists of.
pub type Values = Kind;

impl Node {
    /// Elements of one run's value.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A buffer that outlives a replay, as the tape sees it: `rows` rows of `shape`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its number in the store.
    pub id: usize,
    /// Element of the buffer with which it begins.
    pub offset: usize,
    /// Shape of a row.
    pub shape: Vec<usize>,
    /// Rows; 1 for a plain value.
    pub rows: usize,
    /// What it holds.
    pub values: Values,
}

/// A recording.
#[derive(Default)]
pub struct Tape {
    name: Option<&'static str>,
    nodes: RefCell<Vec<Node>>,
    /// Where each node was recorded. Beside the nodes, so that equal ones are equal wherever they were.
    sites: RefCell<Vec<Site>>,
    /// What is recorded now stands for this place.
    stands_for: Cell<Option<Site>>,
    known: RefCell<HashMap<Node, usize>>,
    assignments: RefCell<Vec<(Stored, Stride, usize)>>,
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Tape {
        Tape::default()
    }

    /// An empty tape with a name for what will be recorded on it, as profiles show it.
    pub fn named(name: &'static str) -> Tape {
        Tape { name: Some(name), ..Tape::default() }
    }

    /// Its name, if it has one.
    pub fn name(&self) -> Option<&'static str> {
        self.name
    }

    /// A copy of all nodes.
    pub fn nodes(&self) -> Vec<Node> {
        self.nodes.borrow().clone()
    }

    /// What is written at the end of a step: where, with which stride, and which node.
    pub fn assignments(&self) -> Vec<(Stored, Stride, usize)> {
        self.assignments.borrow().clone()
    }

    /// Where each node was recorded.
    pub fn sites(&self) -> Vec<Site> {
        self.sites.borrow().clone()
    }

    pub(super) fn site(&self, id: usize) -> Site {
        self.sites.borrow()[id]
    }

    /// Records on behalf of another place than those that call the tape.
    pub(crate) fn standing_for<T>(&self, site: Site, record: impl FnOnce() -> T) -> T {
        let before = self.stands_for.replace(Some(site));
        let recorded = record();
        self.stands_for.set(before);
        recorded
    }

    pub(super) fn node(&self, id: usize) -> Node {
        self.nodes.borrow()[id].clone()
    }

    pub(super) fn var(&self, id: usize) -> Var<'_> {
        Var { tape: self, id }
    }

    /// Appends a node, or finds its equal.
    #[track_caller]
    pub(crate) fn record(&self, op: Op, inputs: &[Var<'_>], shape: Vec<usize>, values: Values) -> Var<'_> {
        let node = Node { op, inputs: inputs.iter().map(|v| v.id).collect(), shape, values };
        if let Some(&id) = self.known.borrow().get(&node) {
            return self.var(id);
        }
        let site = match self.stands_for.get() {
            Some(site) => site,
            None => Site::here(),
        };
        self.sites.borrow_mut().push(site);
        let mut nodes = self.nodes.borrow_mut();
        self.known.borrow_mut().insert(node.clone(), nodes.len());
        nodes.push(node);
        self.var(nodes.len() - 1)
    }

    /// A stored buffer, whole: `shape`, or `[rows, shape..]` where there are several rows.
    #[track_caller]
    pub fn load(&self, stored: &Stored) -> Var<'_> {
        let mut shape = stored.shape.clone();
        if stored.rows > 1 {
            shape.insert(0, stored.rows);
        }
        self.record(Op::Load { buffer: stored.id, from: stored.offset }, &[], shape, stored.values)
    }

    /// The row that a step sees: row `step % rows`.
    #[track_caller]
    pub fn row(&self, stored: &Stored) -> Var<'_> {
        self.row_every(stored, 1)
    }

    /// The row that a step sees where `every` steps see the same: row `step / every % rows`.
    #[track_caller]
    pub fn row_every(&self, stored: &Stored, every: usize) -> Var<'_> {
        assert_eq!(stored.offset, 0, "row: a part of a buffer has no rows");
        self.record(Op::Row(stored.id, stride(stored, every)), &[], stored.shape.clone(), stored.values)
    }

    /// A number everywhere.
    #[track_caller]
    pub fn constant(&self, value: f64, shape: &[usize]) -> Var<'_> {
        self.record(Op::Constant(value.to_bits()), &[], shape.to_vec(), Kind::Float)
    }

    /// Values one after another, flat.
    #[track_caller]
    pub fn join<'t>(&'t self, parts: &[Var<'t>]) -> Var<'t> {
        let elements = parts.iter().map(Var::elements).sum();
        self.record(Op::Concat, parts, vec![elements], Kind::Float)
    }

    /// At the end of every step `stored` takes this value. All reads in the step see the old one.
    pub fn assign(&self, stored: &Stored, value: Var<'_>) {
        assert_eq!(stored.rows, 1, "assign: the buffer has {} rows, use assign_row", stored.rows);
        self.assign_to(stored, Stride::FIXED, value);
    }

    /// At the end of every step the row of `stored` that the step sees takes this value.
    pub fn assign_row(&self, stored: &Stored, value: Var<'_>) {
        self.assign_to(stored, stride(stored, 1), value);
    }

    fn assign_to(&self, stored: &Stored, stride: Stride, value: Var<'_>) {
        let (want, have) = (stored.shape.iter().product::<usize>(), value.elements());
        assert_eq!(want, have, "assign: {:?} into {:?}", value.shape(), stored.shape);
        assert!(stored.values == Kind::Float, "assign: a buffer of {:?} is written by the host alone", stored.values);
        self.assignments.borrow_mut().push((stored.clone(), stride, value.id));
    }

    #[track_caller]
    pub(crate) fn unary(&self, op: Unary, x: Var<'_>) -> Var<'_> {
        let node = self.node(x.id);
        if let Op::Constant(bits) = node.op {
            return self.constant(op.apply(f64::from_bits(bits)), &node.shape);
        }
        if let (Unary::Neg, Op::Unary(Unary::Neg)) = (op, node.op) {
            return self.var(node.inputs[0]);
        }
        self.record(Op::Unary(op), &[x], node.shape, Kind::Float)
    }

    /// Records `a op b`; folds constants, and what multiplies by one or adds zero.
    #[track_caller]
    pub(crate) fn binary(&self, op: Binary, a: Var<'_>, b: Var<'_>) -> Var<'_> {
        let (left, right) = (self.node(a.id), self.node(b.id));
        assert_eq!(left.shape, right.shape, "{op:?}: shapes {:?} and {:?} differ", left.shape, right.shape);
        let number = |node: &Node| match node.op {
            Op::Constant(bits) => Some(f64::from_bits(bits)),
            _ => None,
        };
        let (a, b) = (self.var(a.id), self.var(b.id));
        match (op, number(&left), number(&right)) {
            (_, Some(x), Some(y)) => self.constant(op.apply(x, y), &left.shape),
            (Binary::Mul, _, Some(1.0)) | (Binary::Div, _, Some(1.0)) => a,
            (Binary::Add, _, Some(0.0)) | (Binary::Sub, _, Some(0.0)) => a,
            (Binary::Mul, Some(1.0), _) | (Binary::Add, Some(0.0), _) => b,
            // Two factors in one, and constants to the right, so that equal products are found equal.
            (Binary::Mul, Some(_), None) => self.binary(op, b, a),
            (Binary::Mul, None, Some(y)) => {
                match (left.op, left.inputs.get(1).map(|&i| self.node(i)).as_ref().and_then(number)) {
                    (Op::Binary(Binary::Mul), Some(x)) => {
                        self.binary(op, self.var(left.inputs[0]), self.constant(x * y, &left.shape))
                    }
                    _ => self.record(Op::Binary(op), &[a, b], left.shape, Kind::Float),
                }
            }
            _ => self.record(Op::Binary(op), &[a, b], left.shape, Kind::Float),
        }
    }
}

/// What has one row is the same at every step.
fn stride(stored: &Stored, every: usize) -> Stride {
    if stored.rows == 1 {
        return Stride::FIXED;
    }
    Stride { stride: stored.shape.iter().product(), every, period: stored.rows }
}
