//! The random coreset: some examples of each task that training never sees.

use super::Example;
use crate::random::Generator;

/// Examples left out of the training of each task, in an order that no task stands out in: one pass over them
/// ends with all tasks alike.
#[derive(Clone, Debug, Default)]
pub struct Coreset {
    examples: Vec<Example>,
}

impl Coreset {
    /// Takes `size` of a task's examples out of them (one at least stays), and shuffles what it holds.
    pub fn take(&mut self, random: &mut Generator, examples: &mut Vec<Example>, size: usize) {
        let taken = random.sample_without_replacement(size.min(examples.len() - 1), examples.len());
        self.examples.extend(taken.iter().map(|&i| examples[i]));
        let mut at = 0..;
        examples.retain(|_| !taken.contains(&at.next().expect("it never ends")));
        random.shuffle(&mut self.examples);
    }

    /// What it holds.
    pub fn examples(&self) -> &[Example] {
        &self.examples
    }
}
