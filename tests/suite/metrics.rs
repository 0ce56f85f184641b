//! Every metric is the formula it names, on the accuracy matrix alone.

use hindsight::metrics::{AccuracyMatrix, mean_sd};
use proptest::collection::vec;
use proptest::prelude::*;

fn matrix(rows: &[Vec<f64>]) -> AccuracyMatrix {
    let mut matrix = AccuracyMatrix::new(rows.len());
    rows.iter().for_each(|row| matrix.push(row.clone()));
    matrix
}

/// Three tasks; the second is best before it was trained, the first after the last task.
fn example() -> AccuracyMatrix {
    matrix(&[vec![0.5, 0.9, 0.1], vec![0.6, 0.8, 0.2], vec![0.7, 0.4, 0.9]])
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "found {found}, expected {expected}");
}

#[test]
fn accuracy_is_the_mean_of_the_last_row() {
    close(example().accuracy(), (0.7 + 0.4 + 0.9) / 3.0);
}

#[test]
fn forgetting_ignores_the_last_row_and_counts_rows_before_training() {
    close(example().forgetting(), ((0.6 - 0.7) + (0.9 - 0.4)) / 2.0);
}

#[test]
fn forgetting_is_negative_when_the_last_task_helps() {
    assert!(matrix(&[vec![0.5, 0.1], vec![0.7, 0.9]]).forgetting() < 0.0);
}

#[test]
fn the_mammoth_variant_includes_the_last_row_and_starts_at_the_task() {
    close(example().forgetting_mammoth(), ((0.7 - 0.7) + (0.8 - 0.4)) / 2.0);
}

#[test]
fn the_avalanche_variant_compares_with_the_diagonal() {
    close(example().forgetting_avalanche(), ((0.5 - 0.7) + (0.8 - 0.4)) / 2.0);
}

#[test]
fn forward_transfer_is_measured_just_before_a_task_against_a_random_model() {
    let transfer = example().forward_transfer(&[0.3, 0.1, 0.15]);
    close(transfer, ((0.9 - 0.1) + (0.2 - 0.15)) / 2.0);
}

#[test]
fn learning_accuracy_is_the_mean_of_the_diagonal() {
    close(example().learning_accuracy(), (0.5 + 0.8 + 0.9) / 3.0);
}

#[test]
fn the_curve_averages_only_tasks_seen_by_then() {
    let curve = example().average_so_far();
    for (found, expected) in curve.into_iter().zip([0.5, 0.7, 2.0 / 3.0]) {
        close(found, expected);
    }
}

#[test]
fn one_task_forgets_and_transfers_nothing() {
    let single = matrix(&[vec![0.8]]);
    let zeros = [
        single.forgetting(),
        single.forgetting_mammoth(),
        single.forgetting_avalanche(),
        single.backward_transfer(),
        single.forward_transfer(&[0.1]),
    ];
    // By bits: a negative zero would print as "-0.0".
    assert_eq!(zeros.map(f64::to_bits), [0; 5]);
}

#[test]
#[should_panic(expected = "not all fractions")]
fn a_nan_never_enters_a_mean() {
    AccuracyMatrix::new(2).push(vec![0.5, f64::NAN]);
}

#[test]
#[should_panic(expected = "1 of 2 rows")]
fn an_unfinished_run_has_no_accuracy() {
    let mut matrix = AccuracyMatrix::new(2);
    matrix.push(vec![0.5, 0.5]);
    matrix.accuracy();
}

#[test]
fn the_standard_deviation_is_the_population_one() {
    let (mean, sd) = mean_sd(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
    close(mean, 5.0);
    close(sd, 2.0);
    assert_eq!(mean_sd(&[0.7]), (0.7, 0.0));
}

fn any_matrix() -> impl Strategy<Value = AccuracyMatrix> {
    let rows = (1..8_usize).prop_flat_map(|tasks| vec(vec(0.0..=1.0, tasks), tasks));
    rows.prop_map(|rows| matrix(&rows))
}

proptest! {
    #[test]
    fn a_constant_matrix_forgets_and_transfers_nothing(value in 0.0..=1.0, tasks in 1..10_usize) {
        let constant = matrix(&vec![vec![value; tasks]; tasks]);
        close(constant.accuracy(), value);
        close(constant.learning_accuracy(), value);
        prop_assert_eq!(constant.forgetting(), 0.0);
        prop_assert_eq!(constant.forgetting_mammoth(), 0.0);
        prop_assert_eq!(constant.forgetting_avalanche(), 0.0);
        prop_assert_eq!(constant.forward_transfer(&vec![value; tasks]), 0.0);
    }

    #[test]
    fn the_variants_keep_their_order(matrix in any_matrix()) {
        // Each maximum is over a superset of the next one's rows.
        prop_assert!(matrix.forgetting() >= matrix.forgetting_avalanche());
        prop_assert!(matrix.forgetting_mammoth() >= matrix.forgetting_avalanche());
        prop_assert!(matrix.forgetting_mammoth() >= 0.0);
        close(matrix.backward_transfer(), -matrix.forgetting_avalanche());
    }

    #[test]
    fn the_curve_ends_at_the_accuracy(matrix in any_matrix()) {
        prop_assert_eq!(matrix.average_so_far().last().copied(), Some(matrix.accuracy()));
    }
}
