//! Gradients against finite differences, in double precision on the oracles, to second order.

use super::tape::{Stored, Tape};
use super::var::Var;
use crate::program::Session;
use hindsight_kernels::Device;

/// Where and by how much a gradient is off.
#[derive(Debug, thiserror::Error)]
#[error("order {order}: along a random direction the tape says {tape}, finite differences {differences}")]
pub struct Mismatch {
    /// 1: the gradient; 2: the gradient of the gradient.
    pub order: usize,
    /// The tape's derivative.
    pub tape: f64,
    /// The central difference.
    pub differences: f64,
}

/// Checks `f`, a scalar function of a vector, at `x`: its derivative along `direction`, and the
/// derivative of that along it again. Holds the rules inside `f` in the middle of a graph, as `f`
/// decides what follows them.
pub fn gradcheck(
    x: &[f64],
    direction: &[f64],
    f: impl for<'t> Fn(&mut Scene<'t>, Var<'t>) -> Var<'t>,
) -> Result<(), Mismatch> {
    let slope = |at: &[f64], order: usize| evaluate(at, direction, order, &f);
    // The best step of a central difference is the cube root of the precision; values are of order 1.
    let h = 1e-5;
    let moved = |by: f64| x.iter().zip(direction).map(|(x, d)| x + by * d).collect::<Vec<_>>();
    for order in [1, 2] {
        let tape = slope(x, order);
        let differences = (slope(&moved(h), order - 1) - slope(&moved(-h), order - 1)) / (2.0 * h);
        // Truncation is O(h²), rounding 1e-16 / h: both near 1e-10 of the values involved.
        if (tape - differences).abs() > 1e-6 * (1.0 + tape.abs().max(differences.abs())) || tape.is_nan() {
            return Err(Mismatch { order, tape, differences });
        }
    }
    Ok(())
}

/// What a checked function may use besides its argument: further inputs, with their values.
pub struct Scene<'t> {
    tape: &'t Tape,
    session: Session,
}

impl<'t> Scene<'t> {
    /// The tape.
    pub fn tape(&self) -> &'t Tape {
        self.tape
    }

    /// A constant input.
    pub fn input(&mut self, shape: &[usize], values: &[f64]) -> Var<'t> {
        let stored = self.session.state("input", shape);
        self.session.write(&stored, 0, values);
        self.tape.load(&stored)
    }

    /// Indices.
    pub fn index(&mut self, values: &[u32]) -> Var<'t> {
        let stored = self.session.indices("index", 1, &[values.len()]);
        self.session.write_index(&stored, 0, values);
        self.tape.load(&stored)
    }
}

/// The `order`-th derivative of `f` along `direction` at `x`.
fn evaluate(
    x: &[f64],
    direction: &[f64],
    order: usize,
    f: &impl for<'t> Fn(&mut Scene<'t>, Var<'t>) -> Var<'t>,
) -> f64 {
    let tape = Tape::new();
    let mut session = Session::new(&Device::Oracle, 1);
    let (at, along, result): (Stored, Stored, Stored) =
        (session.state("x", &[x.len()]), session.state("direction", &[x.len()]), session.state("result", &[]));
    session.write(&at, 0, x);
    session.write(&along, 0, direction);
    let mut scene = Scene { tape: &tape, session };
    let (at, along) = (tape.load(&at), tape.load(&along));
    let mut value = f(&mut scene, at);
    for _ in 0..order {
        value = (tape.grad(value, at) * along).total();
    }
    tape.assign(&result, value.reshape(&[]));
    let mut session = scene.session;
    let program = session.compile(&tape);
    session.run(&program, 0..1);
    session.read(&result)[0][0]
}
