//! Masked heads: an example may only be one of its task's classes.

use crate::autodiff::Var;
use crate::data::stream::TaskPlan;

/// What keeps a class out. An infinity would be NaN wherever it is multiplied by zero.
const NEVER: f64 = -1e30;

/// The masks of tasks, `[tasks, classes]`: 0 for a task's classes, [`NEVER`] for the others.
pub(super) fn masks_of(tasks: &[TaskPlan], classes: usize) -> Vec<f64> {
    let of = |task| (0..classes as u32).map(move |class| value(task, class));
    tasks.iter().flat_map(of).collect()
}

fn value(task: &TaskPlan, class: u32) -> f64 {
    if task.classes.contains(&class) { 0.0 } else { NEVER }
}

/// The logits of classes that a mask of the same shape lets in; [`NEVER`] for the others, whatever theirs are.
///
/// To add the mask and do no more is right only where sums are computed as they are written. WGSL lets a compiler
/// reorder them: HAL's drift, (a + mask) − (b + mask), may become a − b, in which every class takes part.
pub(super) fn masked<'t>(logits: Var<'t>, mask: Var<'t>) -> Var<'t> {
    logits * (mask + 1.0).step() + mask
}
