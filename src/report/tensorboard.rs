//! Event files for TensorBoard: the loss of every step, and accuracies after every task.

use crate::experiment::FinishedRun;
use crate::metrics::AccuracyMatrix;
use tfrecord::{EventMeta, EventWriter};

/// A run's event file.
pub fn events(run: &FinishedRun) -> Vec<u8> {
    let mut file = Vec::new();
    write(&mut file, run).expect("writing into memory does not fail");
    file
}

fn write(file: &mut Vec<u8>, run: &FinishedRun) -> Result<(), tfrecord::Error> {
    let mut writer = EventWriter::from_writer(file, Default::default())?;
    let mut scalar = |step: usize, tag: &str, value: f64| {
        // TensorBoard has no place for what is not finite.
        if value.is_finite() {
            writer.write_scalar(tag, EventMeta::new(step as i64, 0.0), value as f32)
        } else {
            Ok(())
        }
    };
    for (step, loss) in run.losses.iter().flatten().enumerate() {
        scalar(step + 1, "loss", *loss)?;
    }
    let mut matrix = AccuracyMatrix::new(run.record.matrix.len());
    run.record.matrix.iter().for_each(|row| matrix.push(row.clone()));
    for (task, accuracy) in matrix.average_so_far().into_iter().enumerate() {
        scalar(task + 1, "accuracy on the tasks so far", accuracy)?;
        scalar(task + 1, "accuracy on the new task", run.record.matrix[task][task])?;
    }
    Ok(())
}
