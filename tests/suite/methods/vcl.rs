//! Variational continual learning: divergence, noise, and posteriors that are known exactly.

use super::{SEED, assert_same, computed, tiny, trained};
use hindsight::autodiff::Var;
use hindsight::autodiff::gradcheck::gradcheck;
use hindsight::methods::vcl::Gaussian;
use hindsight::settings::Settings;
use hindsight_kernels::{Input, Kernel, Normal};

/// ∫ q ln (q / p) by the trapezoidal rule, which is exact to rounding for what falls off so fast.
fn divergence(q: (f64, f64), p: (f64, f64)) -> f64 {
    let log = |x: f64, (mean, variance): (f64, f64)| {
        -0.5 * ((x - mean).powi(2) / variance + (2.0 * std::f64::consts::PI * variance).ln())
    };
    let (width, steps) = (12.0 * q.1.sqrt(), 4000);
    let h = 2.0 * width / f64::from(steps);
    (0..=steps).map(|i| q.0 - width + h * f64::from(i)).map(|x| h * log(x, q).exp() * (log(x, q) - log(x, p))).sum()
}

#[test]
fn divergence_of_gaussians_is_its_integral() {
    let (mean, log_variance) = ([0.3, -1.0, 2.0], [-0.5, 0.7, -3.0]);
    let (prior_mean, prior_log_variance) = ([0.0, -0.4, 1.9], [0.0, -1.0, 0.2]);
    let inputs = [&mean, &log_variance, &prior_mean, &prior_log_variance];
    let found = computed(&inputs.map(|x| (&[3_usize][..], &x[..])), |_, x| {
        let prior = Gaussian { mean: x[2], log_variance: x[3] };
        Gaussian { mean: x[0], log_variance: x[1] }.divergence(&prior)
    });
    let each = |i: usize| divergence((mean[i], log_variance[i].exp()), (prior_mean[i], prior_log_variance[i].exp()));
    let expected: f64 = (0..3).map(each).sum();
    assert!((found[0] - expected).abs() < 1e-9, "{} is not {expected}", found[0]);
}

#[test]
fn divergence_has_the_gradient_that_finite_differences_find() {
    let x = [0.3, -1.0, 2.0, -0.5, 0.7, -3.0];
    gradcheck(&x, &[0.4, -0.2, 0.9, 0.5, -0.8, 0.1], |scene, q| {
        let prior =
            Gaussian { mean: scene.input(&[3], &[0.0, -0.4, 1.9]), log_variance: scene.input(&[3], &[0.0, -1.0, 0.2]) };
        halves(q).divergence(&prior)
    })
    .unwrap();
}

/// Means, then log variances.
fn halves(v: Var<'_>) -> Gaussian<'_> {
    let half = v.elements() / 2;
    Gaussian { mean: v.slice(0, &[half]), log_variance: v.slice(half, &[half]) }
}

/// Moves (mean, log variance) of two weights down the gradient of what VCL minimises, to the end. The toy's
/// likelihood is Gaussian: `y = x · w + noise`, with inputs that have one weight each, so that the posterior's
/// weights are independent. Noise of ±1 has the moments that a quadratic sees: the expectation is exact.
fn converged(prior: [f64; 4], x: &[f64], y: &[f64], noise_variance: f64) -> [f64; 4] {
    let mut q = prior;
    for _ in 0..4000 {
        let rows = y.len();
        let slope = computed(&[(&[4], &q), (&[4], &prior), (&[rows, 2], x), (&[rows, 1], y)], |tape, v| {
            let misfit = |sign: f64| {
                let w = halves(v[0]).draw(tape.constant(sign, &[2]));
                (v[3] - v[2].matmul(w.reshape(&[2, 1]))).squared().total() * (0.5 / noise_variance)
            };
            let cost = (misfit(1.0) + misfit(-1.0)) * 0.5 + halves(v[0]).divergence(&halves(v[1]));
            tape.grad(cost, v[0])
        });
        q.iter_mut().zip(slope).for_each(|(q, slope)| *q -= 0.02 * slope);
    }
    q
}

/// Bayes' rule for one weight: precisions add, and means weigh by them.
fn exact(prior: (f64, f64), x: &[f64], y: &[f64], noise_variance: f64) -> (f64, f64) {
    let precision = 1.0 / prior.1 + x.iter().map(|x| x * x).sum::<f64>() / noise_variance;
    let pull = prior.0 / prior.1 + x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>() / noise_variance;
    (pull / precision, 1.0 / precision)
}

#[test]
fn a_converged_posterior_of_a_conjugate_problem_is_the_exact_one_task_after_task() {
    // Two tasks; each row shows one of two weights.
    let tasks =
        [([1.0, 0.0, 0.0, 2.0, -0.5, 0.0], [0.7, -1.2, 0.1]), ([0.0, 1.5, 0.8, 0.0, 0.0, -1.0], [0.4, 1.1, 0.3])];
    let noise = 0.5;
    let mut q = [0.0; 4];
    let mut known = [(0.0, 1.0); 2];
    for (x, y) in tasks {
        q = converged(q, &x, &y, noise);
        for weight in 0..2 {
            let column: Vec<f64> = x.iter().skip(weight).step_by(2).copied().collect();
            known[weight] = exact(known[weight], &column, &y, noise);
            let (mean, variance) = known[weight];
            assert!((q[weight] - mean).abs() < 1e-6, "mean {} is not {mean}", q[weight]);
            assert!(
                (q[2 + weight].exp() - variance).abs() < 1e-6,
                "variance {} is not {variance}",
                q[2 + weight].exp()
            );
        }
    }
}

fn noise(key: [u32; 3], count: usize) -> Vec<f64> {
    let mut out = vec![0.0; count];
    Normal { elements: count }.twin_f64(&mut out, &[Input::Index(&key)]);
    out
}

#[test]
fn noise_is_standard_normal_and_differs_by_key() {
    let count = 100_000;
    let moments = |x: &[f64], power: i32| x.iter().map(|x| x.powi(power)).sum::<f64>() / x.len() as f64;
    for key in [[0, 0, 0], [1, 0, 0], [7, 1 << 31, 12]] {
        let x = noise(key, count);
        // Five standard errors: sqrt(1, 2, 15, 96 / n).
        for (power, expected, error) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0_f64)] {
            let found = moments(&x, power);
            assert!((found - expected).abs() < 5.0 * (error / count as f64).sqrt(), "moment {power}: {found}");
        }
    }
    let apart = |a: [u32; 3], b: [u32; 3]| {
        let products: f64 = noise(a, count).iter().zip(noise(b, count)).map(|(a, b)| a * b).sum();
        (products / count as f64).abs() < 5.0 / (count as f64).sqrt()
    };
    assert!(apart([0, 0, 0], [1, 0, 0]) && apart([5, 1, 2], [5, 1, 3]) && apart([5, 1, 2], [5, 2, 2]));
}

/// Without noise in the likelihood's slope (one draw, deviation near nothing) a step of VCL is one of Adam's.
#[test]
fn vcl_moves_its_means_and_ends_a_task_with_them_as_parameters() {
    let found = trained("vcl", &tiny());
    // Four steps of Adam in the first task (two of them the fit), two in the second, each at most 0.001 long
    // and a little more: no weight moves further, and most of those that matter move.
    let most = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(most(&found[0], &found[1]) < 4.5e-3 && most(&found[0], &found[1]) > 3e-3);
    assert!(most(&found[1], &found[2]) < 2.5e-3 && most(&found[1], &found[2]) > 1.5e-3);
    assert_same(&found[2], &trained("vcl", &tiny())[2]);
}

#[test]
fn a_coreset_is_left_out_of_training() {
    assert_eq!(SEED, 3);
    let plain = trained("vcl", &tiny());
    let random = trained("vcl-random", &Settings { memory_per_class: 1, ..tiny() });
    assert_eq!(plain[0], random[0]);
    assert_ne!(plain[1], random[1]);
}
