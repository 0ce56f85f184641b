//! Every rule, in the middle of a graph, to second order, against finite differences in double precision.

use hindsight::autodiff::gradcheck::{Scene, gradcheck};
use hindsight::autodiff::{GradError, Tape, Var};
use hindsight::program::Session;
use hindsight_kernels::Device;

fn numbers(n: usize, seed: f64) -> Vec<f64> {
    (0..n).map(|i| ((i as f64 + 1.0) * 12.9898 + seed).sin() * 0.9).collect()
}

/// Holds `f` in the middle of a graph: what follows it is not linear, and weighs its elements unequally.
pub fn check(n: usize, f: impl for<'t> Fn(&mut Scene<'t>, Var<'t>) -> Var<'t>) {
    gradcheck(&numbers(n, 0.1), &numbers(n, 2.0), |scene, x| {
        let y = f(scene, x);
        let weights = scene.input(&y.shape(), &numbers(y.elements(), 0.3));
        ((y * weights).squared() + y * weights).total()
    })
    .unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn elementwise_rules_hold() {
    check(6, |_, x| x.exp());
    check(6, |_, x| (x.squared() + 1.0).ln());
    check(6, |_, x| (x.squared() + 0.5).sqrt());
    check(6, |_, x| -x.relu());
    check(6, |_, x| x / (x.squared() + 2.0) - 3.0 * x + 1.0 / (x + 4.0));
    check(6, |_, x| x * x * x - x.exp() * x);
}

#[test]
fn shape_rules_hold() {
    check(6, |_, x| x.reshape(&[2, 3]).sum(0));
    check(6, |_, x| x.reshape(&[2, 3]).mean(1).spread(1, 4));
    check(6, |_, x| x.reshape(&[2, 3]).spread(1, 2) * 2.0);
    check(6, |_, x| x.slice(1, &[4]).place(2, 9).exp());
    check(6, |_, x| x.slice(0, &[2, 2]).matmul(x.slice(2, &[2, 2])));
    check(6, |_, x| x.slice(0, &[1]).spread_to(&[3]) * x.slice(3, &[3]));
}

#[test]
fn all_four_transpositions_of_matmul_hold() {
    for (ta, tb) in [(false, false), (true, false), (false, true), (true, true)] {
        check(18, move |_, x| {
            let a = x.slice(0, if ta { &[3, 2] } else { &[2, 3] });
            let b = x.slice(6, if tb { &[4, 3] } else { &[3, 4] });
            a.matmul_transposed(b, ta, tb)
        });
    }
}

#[test]
fn products_with_ones_hold() {
    check(22, |_, x| x.slice(0, &[2, 3]).affine(x.slice(6, &[4, 4])));
    check(14, |_, x| x.slice(0, &[2, 3]).affine_weights(x.slice(6, &[2, 4])));
}

#[test]
fn softmax_and_cross_entropy_rules_hold() {
    check(6, |_, x| x.reshape(&[2, 3]).log_softmax());
    check(6, |_, x| x.reshape(&[2, 3]).softmax());
    check(6, |scene, x| {
        let labels = scene.index(&[2, 0]);
        x.reshape(&[2, 3]).cross_entropy(labels)
    });
}

#[test]
fn gather_and_scatter_rules_hold() {
    check(6, |scene, x| {
        let index = scene.index(&[2, 0, 2, 1]);
        x.reshape(&[3, 2]).gather_rows(index)
    });
    check(6, |scene, x| {
        let index = scene.index(&[3, 0, 3]);
        x.reshape(&[3, 2]).scatter_add_rows(index, 4)
    });
}

#[test]
fn a_gradient_stops_where_it_is_told_to() {
    let tape = Tape::new();
    let mut session = Session::new(&Device::Oracle, 1);
    let (x, result) = (session.state("x", &[2]), session.state("result", &[2]));
    session.write(&x, 0, &[3.0, -2.0]);
    let v = tape.load(&x);
    tape.assign(&result, tape.grad(v.detach() * v + v.step(), v));
    let program = session.compile(&tape);
    session.run(&program, 0..1);
    assert_eq!(session.read(&result), [[3.0, -2.0]]);
}

#[test]
fn a_missing_rule_names_its_operation() {
    let tape = Tape::new();
    let mut session = Session::new(&Device::Oracle, 1);
    let x = session.state("x", &[2, 3]);
    let v = tape.load(&x);
    let error = tape.try_grad(v.argmax(), v).unwrap_err();
    assert_eq!(error, GradError::MissingRule { operation: "Argmax".into() });
    assert!(error.to_string().contains("Argmax"));
}

#[test]
#[should_panic(expected = "Add: shapes [2, 3] and [3] differ")]
fn nothing_broadcasts_silently() {
    let tape = Tape::new();
    let _ = tape.constant(1.0, &[2, 3]) + tape.constant(1.0, &[3]);
}
