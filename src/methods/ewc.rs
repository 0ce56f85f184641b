//! Elastic Weight Consolidation (Kirkpatrick et al., 2017), online, as the authors' released code has it.
//!
//! θ theta · θ* the last task's parameters · F Fisher information, diagonal · λ lambda
//!
//! θ ← θ − α ∇(CE(B) + λ Σ F (θ − θ*)²). Every ten batches, and after those that are left at a task's end, F ← 0.1 F + 0.9 ·
//! the mean of the squares of their gradients; it goes on from task to task, and the penalty sees it scaled to [0, 1] over
//! all weights.

use super::{BatchStream, Lab, Learner, Method, RATES};
use crate::autodiff::{Stored, Tape, Var};
use crate::program::Program;
use crate::settings::{Knob, Setting, Settings};

/// Elastic weight consolidation.
pub struct Ewc;

impl Method for Ewc {
    fn name(&self) -> &'static str {
        "ewc"
    }
    fn title(&self) -> &'static str {
        "EWC"
    }
    fn summary(&self) -> &'static str {
        "a penalty on moving weights that mattered, by their Fisher information"
    }
    fn reads(&self) -> &'static [Setting] {
        &[Setting::Rate, Setting::Lambda, Setting::FisherBatches]
    }
    fn paper_settings(&self, settings: &mut Settings) {
        settings.lambda = 10.0;
    }
    fn grid(&self) -> Vec<(Knob, &'static [f64])> {
        vec![(Knob::Rate, &RATES), (Knob::Lambda, &[0.1, 1.0, 10.0, 100.0, 1000.0])]
    }
    fn start(&self, lab: &mut Lab) -> Box<dyn Learner> {
        Box::new(Work::new(lab))
    }
}

/// How much of the Fisher information an update replaces.
const RENEWAL: f64 = 0.9;

/// Σ F (θ − θ*)²
pub fn penalty<'t>(theta: Var<'t>, last: Var<'t>, fisher: Var<'t>) -> Var<'t> {
    (fisher * (theta - last).squared()).total()
}

struct Work {
    stream: BatchStream,
    step: Program,
    /// Renews F from the squares of `fisher_batches` batches that have been added up.
    renew: Program,
    /// Renews F from those of the batches that are left at a task's end, if any are.
    renew_from_rest: Option<Program>,
    /// Keeps θ* and the scaled F for the next task.
    consolidate: Program,
}

/// What the penalty and the Fisher information are kept in, each a number a weight.
struct Kept {
    squares: Stored,
    fisher: Stored,
    scaled: Stored,
    last: Stored,
}

impl Work {
    fn new(lab: &mut Lab) -> Work {
        let stream = lab.stream("batch", lab.settings.steps(), lab.settings.batch);
        let mut state = |name: &str| lab.session.state(name, &[lab.model.parameters()]);
        let kept = Kept {
            squares: state("squared gradients"),
            fisher: state("Fisher information"),
            scaled: state("scaled Fisher information"),
            last: state("theta of the last task"),
        };

        let step = Tape::named("training step");
        let theta = step.load(&lab.theta);
        let batch = lab.batch(&step, &stream);
        let loss = lab.loss(theta, &batch);
        // F is zero in the first task, and with it the penalty.
        let kept_away = penalty(theta, step.load(&kept.last), step.load(&kept.scaled));
        let total = loss + kept_away * lab.knob(&step, Knob::Lambda);
        step.assign(&kept.squares, step.load(&kept.squares) + step.grad(loss, theta).squared());
        lab.update(theta, theta - step.grad(total, theta).scaled(lab.rate(&step)), &batch);
        step.assign_row(&lab.losses, loss);

        let every = lab.settings.fisher_batches;
        let renew = renewal(lab, &kept, every);
        let rest = lab.settings.steps() % every;
        let renew_from_rest = (rest > 0).then(|| renewal(lab, &kept, rest));

        let consolidate = Tape::named("consolidate");
        let weights = lab.model.parameters();
        let fisher = consolidate.load(&kept.fisher);
        consolidate.assign(&kept.scaled, fisher.reshape(&[1, weights]).rescale());
        lab.count_not_finite(&consolidate, &[fisher]);
        consolidate.assign(&kept.last, consolidate.load(&lab.theta) + 0.0);

        let [step, consolidate] = [&step, &consolidate].map(|tape| lab.session.compile(tape));
        Work { stream, step, renew, renew_from_rest, consolidate }
    }
}

/// Renews F from the squares of so many batches, and begins to add up anew.
fn renewal(lab: &Lab, kept: &Kept, batches: usize) -> Program {
    let tape = Tape::named("renew the Fisher information");
    let mean = tape.load(&kept.squares) * (1.0 / batches as f64);
    tape.assign(&kept.fisher, tape.load(&kept.fisher) * (1.0 - RENEWAL) + mean * RENEWAL);
    tape.assign(&kept.squares, tape.constant(0.0, &kept.squares.shape));
    lab.session.compile(&tape)
}

impl Learner for Work {
    fn learn(&mut self, lab: &mut Lab, task: usize) {
        lab.write_task(&self.stream, task);
        let (steps, every) = (lab.settings.steps(), lab.settings.fisher_batches);
        for first in (0..steps).step_by(every) {
            lab.session.run(&self.step, first..steps.min(first + every));
            let renew = if first + every <= steps { Some(&self.renew) } else { self.renew_from_rest.as_ref() };
            lab.session.run(renew.expect("batches are left only where it is compiled"), 0..1);
        }
        lab.session.run(&self.consolidate, 0..1);
    }

    fn step(&self) -> &Program {
        &self.step
    }
}
