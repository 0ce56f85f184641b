//! Reverse accumulation: walks the tape backwards and appends what the rules say.

use super::rules::rule;
use super::site::Site;
use super::tape::Tape;
use super::var::Var;
use super::zeros::Field;
use hindsight_kernels::Kind;
use std::collections::BTreeMap;

/// Why there is no gradient.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GradError {
    /// A value on the way has no rule.
    #[error("{operation} has no gradient rule; detach its input, or add the rule to src/autodiff/rules.rs")]
    MissingRule {
        /// Its name.
        operation: String,
    },
}

impl Tape {
    /// The gradient of the sum of `y`'s elements with respect to `x`, in `x`'s shape. Panics where a
    /// rule is missing, naming the operation.
    #[track_caller]
    pub fn grad<'t>(&'t self, y: Var<'t>, x: Var<'t>) -> Var<'t> {
        match self.try_grad(y, x) {
            Ok(gradient) => gradient,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`Tape::grad`], or the reason why there is none.
    #[track_caller]
    pub fn try_grad<'t>(&'t self, y: Var<'t>, x: Var<'t>) -> Result<Var<'t>, GradError> {
        let asked = Site::here();
        let reaches = self.reaches(y.id, x.id);
        let mut received: BTreeMap<usize, Vec<Var<'t>>> = BTreeMap::new();
        received.insert(y.id, vec![y.constant_like(1.0)]);
        // Nodes are numbered in the order of computation, so the largest has all its cotangents.
        while let Some((id, cotangents)) = received.pop_last() {
            let site = if id == x.id { asked } else { self.site(id).differentiated() };
            let dy = self.standing_for(site, || self.accumulate(self.var(id), cotangents));
            if id == x.id {
                return Ok(dy);
            }
            let node = self.node(id);
            let inputs: Vec<_> = node.inputs.iter().map(|&i| self.var(i)).collect();
            if !node.inputs.iter().any(|&i| reaches[i] && self.node(i).values == Kind::Float) {
                continue;
            }
            let cotangents = self.standing_for(site, || rule(node.op, &inputs, self.var(id), dy));
            let cotangents = cotangents.ok_or_else(|| GradError::MissingRule { operation: node.op.name() })?;
            for (input, cotangent) in inputs.iter().zip(cotangents) {
                if let (true, Some(cotangent)) = (reaches[input.id], cotangent) {
                    received.entry(input.id).or_default().push(cotangent);
                }
            }
        }
        Ok(x.constant_like(0.0))
    }

    /// For each node up to `last`, whether it depends on `x`.
    fn reaches(&self, last: usize, x: usize) -> Vec<bool> {
        let mut reaches = vec![false; last + 1];
        for id in x..=last {
            reaches[id] = id == x || self.node(id).inputs.iter().any(|&i| reaches[i]);
        }
        reaches
    }

    /// The sum of a node's cotangents. Pieces that tile it (the layers of a parameter vector) are
    /// joined, not added up as fields of zeros.
    fn accumulate<'t>(&'t self, node: Var<'t>, cotangents: Vec<Var<'t>>) -> Var<'t> {
        let shape = node.shape();
        let total = node.elements();
        // What lies in the same place is one piece, flat.
        let mut pieces: BTreeMap<(usize, usize), Var<'t>> = BTreeMap::new();
        let mut whole = Vec::new();
        for cotangent in cotangents {
            match Field::of(cotangent) {
                Some(Field { offset, piece }) => {
                    let piece = piece.reshape(&[piece.elements()]);
                    let there = pieces.get(&(offset, piece.elements())).map_or(piece, |&before| before + piece);
                    pieces.insert((offset, piece.elements()), there);
                }
                None => whole.push(cotangent),
            }
        }
        let tiles = pieces.keys().try_fold(0, |end, &(offset, length)| (offset == end).then_some(end + length));
        if tiles == Some(total) {
            let parts: Vec<_> = pieces.into_values().collect();
            whole.push(self.join(&parts).reshape(&shape));
        } else {
            whole.extend(pieces.iter().map(|(&(offset, _), piece)| piece.place(offset, total).reshape(&shape)));
        }
        whole.into_iter().reduce(|a, b| a + b).unwrap_or_else(|| node.constant_like(0.0))
    }
}
