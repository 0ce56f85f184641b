//! Answers averaged over draws, and the keys of the noise of all draws.

use super::gaussian::Kept;
use crate::autodiff::{Stored, Tape, Var};
use crate::methods::{Answer, Lab, Test, Tested};
use crate::program::Program;
use crate::random::Stream;

/// Keys of the noise: words of a run's own, and a counter that never comes again.
pub(super) struct Noise {
    words: Vec<[u32; 2]>,
    used: u32,
}

impl Noise {
    pub fn new(lab: &Lab) -> Noise {
        let words = |run| {
            let word = lab.generator(run, Stream::Noise, 0).next_u64();
            [word as u32, (word >> 32) as u32]
        };
        Noise { words: (0..lab.runs()).map(words).collect(), used: 0 }
    }

    /// Writes `count` new keys.
    pub fn write(&mut self, lab: &mut Lab, to: &Stored, count: usize) {
        let counters = self.used..self.used + count as u32;
        for (run, [a, b]) in self.words.iter().enumerate() {
            let keys: Vec<u32> = counters.clone().flat_map(|counter| [counter, *a, *b]).collect();
            lab.session.write_index(to, run, &keys);
        }
        self.used = counters.end;
    }
}

/// Answers averaged over draws of q.
pub(super) struct Prediction {
    keys: Stored,
    draw: Program,
    test: Test,
}

impl Prediction {
    pub fn new(lab: &mut Lab, q: &Kept) -> Prediction {
        let (draws, weights) = (lab.settings.test_samples, lab.model.parameters());
        let keys = lab.session.indices("test noise keys", draws, &[3]);
        let table = lab.session.rows("drawn parameters", draws, &[weights]);
        let tape = Tape::named("draw for the test");
        let q = q.load(&tape);
        tape.assign_row(&table, q.draw(tape.row(&keys).normal(&[weights])));
        lab.count_not_finite(&tape, &[q.mean, q.log_variance]);
        let draw = lab.session.compile(&tape);
        let test = lab.compile_test(|tape, batches| {
            let drawn = tape.load(&table);
            // Draw by draw: of what is computed of one, nothing is kept while the next answers.
            let answers = |i: usize| {
                let theta = drawn.slice(i * weights, &[weights]);
                lab.logits(theta, batches).into_iter().map(of_draw).collect::<Vec<_>>()
            };
            let sums = (0..draws).map(answers).reduce(|sums, more| sums.into_iter().zip(more).map(sum).collect());
            sums.expect("there is at least one draw")
        });
        Prediction { keys, draw, test }
    }

    /// Draws anew, and hands a test over.
    pub fn test(&self, lab: &mut Lab, noise: &mut Noise) -> Tested {
        let draws = lab.settings.test_samples;
        noise.write(lab, &self.keys, draws);
        lab.session.run(&self.draw, 0..draws);
        lab.run_test(&self.test)
    }
}

/// What a single draw answers.
fn of_draw(logits: Var<'_>) -> Answer<'_> {
    Answer { scores: logits.softmax(), not_finite: logits.count_not_finite() }
}

fn sum<'t>((a, b): (Answer<'t>, Answer<'t>)) -> Answer<'t> {
    Answer { scores: a.scores + b.scores, not_finite: a.not_finite + b.not_finite }
}
