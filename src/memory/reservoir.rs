//! The reservoir: every example seen so far is kept with the same probability (Vitter, 1985).

use super::Example;
use crate::random::Generator;

/// An episodic memory of a fixed number of slots. What it holds can be sampled at once.
#[derive(Clone, Debug)]
pub struct Reservoir {
    capacity: usize,
    seen: usize,
    slots: Vec<Example>,
}

impl Reservoir {
    /// An empty memory.
    ///
    /// # Panics
    /// If `capacity` is 0.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "Reservoir: it needs at least one slot");
        Self { capacity, seen: 0, slots: Vec::new() }
    }

    /// Offers an example: it takes a free slot, or that of another with probability capacity / seen.
    pub fn push(&mut self, random: &mut Generator, example: Example) {
        self.seen += 1;
        if self.slots.len() < self.capacity {
            self.slots.push(example);
            return;
        }
        let slot = random.below(self.seen);
        if slot < self.capacity {
            self.slots[slot] = example;
        }
    }

    /// What it holds.
    pub fn examples(&self) -> &[Example] {
        &self.slots
    }

    /// `n` examples of those that `wanted` lets pass, without replacement; all of them, in random order, when
    /// there are fewer.
    pub fn sample(&self, random: &mut Generator, n: usize, wanted: impl Fn(&Example) -> bool) -> Vec<Example> {
        let from: Vec<Example> = self.slots.iter().copied().filter(|example| wanted(example)).collect();
        let chosen = random.sample_without_replacement(n.min(from.len()), from.len());
        chosen.into_iter().map(|i| from[i]).collect()
    }
}
