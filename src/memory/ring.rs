//! The ring buffer: the last m examples of each class of each task.

use super::Example;
use crate::random::Generator;

/// An episodic memory of `per_class` slots for each class of each task, written at every batch.
///
/// A task's slots can be sampled only once the task has ended, and only those that were filled: a
/// class the task never showed leaves no trace. (The authors' code would replay its empty, all-zero
/// slots.)
#[derive(Clone, Debug)]
pub struct RingBuffer {
    per_class: usize,
    /// The current task's slots, class by class.
    slots: Vec<Option<Example>>,
    /// For each class, the slot of the current task that is written next.
    next: Vec<usize>,
    /// For each class, its latest example.
    last: Vec<Option<Example>>,
    /// The filled slots of the tasks that have ended.
    past: Vec<Example>,
}

impl RingBuffer {
    /// An empty memory of `per_class` slots a task for each of `classes` classes.
    ///
    /// # Panics
    /// If `per_class` is 0.
    pub fn new(per_class: usize, classes: usize) -> Self {
        assert!(per_class > 0, "RingBuffer: a class needs at least one slot");
        Self {
            per_class,
            slots: vec![None; per_class * classes],
            next: vec![0; classes],
            last: vec![None; classes],
            past: Vec::new(),
        }
    }

    /// Writes an example of the current task over the oldest of its class.
    ///
    /// # Panics
    /// If the class is unknown, or the previous task was not ended.
    pub fn push(&mut self, example: Example) {
        let class = usize::from(example.label);
        assert!(class < self.next.len(), "RingBuffer: class {class} of {}", self.next.len());
        assert!(
            self.slots.iter().flatten().all(|other| other.task == example.task),
            "RingBuffer: task {} before the end of the last one",
            example.task
        );
        self.slots[class * self.per_class + self.next[class]] = Some(example);
        self.next[class] = (self.next[class] + 1) % self.per_class;
        self.last[class] = Some(example);
    }

    /// Ends the current task: from now on its slots can be sampled.
    pub fn end_task(&mut self) {
        self.past.extend(self.slots.iter_mut().filter_map(Option::take));
        // The authors' counter runs on into the next task, which has slots of its own: either way a
        // class keeps its last m, and starting at 0 makes a task's slots independent of the past.
        self.next.fill(0);
    }

    /// How many examples can be sampled.
    pub fn len(&self) -> usize {
        self.past.len()
    }

    /// Whether nothing can be sampled yet, as throughout the first task.
    pub fn is_empty(&self) -> bool {
        self.past.is_empty()
    }

    /// The examples that can be sampled: task by task, then class by class.
    pub fn samplable(&self) -> &[Example] {
        &self.past
    }

    /// `n` examples of past tasks, without replacement; all of them, in random order, when there
    /// are fewer.
    pub fn sample(&self, random: &mut Generator, n: usize) -> Vec<Example> {
        let chosen = random.sample_without_replacement(n.min(self.len()), self.len());
        chosen.into_iter().map(|i| self.past[i]).collect()
    }

    /// The latest example of a class, of the current task or of an earlier one.
    ///
    /// # Panics
    /// If the class is unknown.
    pub fn last_of_class(&self, class: u8) -> Option<Example> {
        self.last[usize::from(class)]
    }
}
