//! How much memory the buffers and programs of a session take, and how many runs fit on a device.

use super::plan::Temporary;
use hindsight_kernels::{Kind, Launch, Room};
use std::sync::{Arc, Mutex, PoisonError};

/// What runs take, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// For all runs together: images.
    pub shared: u64,
    /// For each run: its buffers.
    pub per_run: u64,
    /// For each run of a GPU, and each thread of a CPU: temporaries of programs, at most at a time.
    pub temporaries: u64,
    /// For each run, beside a device: its stream of tasks and its losses.
    pub host: u64,
    /// The CPU's threads and what this process has already, where the CPU computes.
    pub cpu: Option<Cpu>,
    /// The largest buffer that is shared, and its name.
    pub largest_shared: (u64, String),
    /// One run's part of the largest buffer of the others, and its name.
    pub largest_per_run: (u64, String),
}

/// What a CPU's memory is taken by beside buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Threads, each of which has the temporaries of the run that it computes.
    pub threads: usize,
    /// Bytes that this process has before runs are: the program, and the data set.
    pub resident: u64,
}

/// Part of a device's memory that may be used: other programs want some, and so does this one beside its buffers.
const USABLE: f64 = 0.9;

impl Footprint {
    /// How many runs fit side by side, with their checkpoint if one is to be `kept`: at most `wanted`, and 0 where not even one
    /// does.
    pub fn runs_that_fit(&self, room: Room, wanted: usize, kept: bool) -> usize {
        let fits = |runs: usize| {
            let memory = room.memory.is_none_or(|bytes| {
                let checkpoint = if kept { self.of_checkpoint(runs) } else { 0 };
                self.of_runs(runs) + checkpoint <= (bytes as f64 * USABLE) as u64
            });
            let buffer = room
                .buffer
                .is_none_or(|bytes| self.largest_shared.0 <= bytes && self.largest_per_run.0 * runs as u64 <= bytes);
            memory && buffer
        };
        // More runs never take less.
        let (mut fit, mut too_many) = (0, wanted + 1);
        while too_many - fit > 1 {
            let middle = fit + (too_many - fit) / 2;
            if fits(middle) { fit = middle } else { too_many = middle }
        }
        fit
    }

    /// What so many runs take in all: on a GPU of its memory, on a CPU with what belongs to them beside its buffers.
    pub fn of_runs(&self, runs: usize) -> u64 {
        let runs = runs as u64;
        match self.cpu {
            None => self.shared + (self.per_run + self.temporaries) * runs,
            Some(Cpu { threads, .. }) => {
                self.shared + (self.per_run + self.host) * runs + self.temporaries * runs.min(threads as u64)
            }
        }
    }

    /// What this process, or a GPU, has in use at most while so many runs are trained.
    pub fn in_use(&self, runs: usize) -> u64 {
        self.cpu.map_or(0, |cpu| cpu.resident) + self.of_runs(runs)
    }

    /// What is added to that while a checkpoint of so many runs is written.
    pub fn of_checkpoint(&self, runs: usize) -> u64 {
        COPIES * self.per_run * runs as u64
    }
}

/// Copies of the runs' buffers while a checkpoint is written: as they were read, and as a file.
const COPIES: u64 = 2;

/// Keeps count.
#[derive(Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<Count>>);

#[derive(Default)]
struct Count {
    /// Of all programs, where nothing is computed.
    launches: Vec<Launch>,
    /// Temporaries that there are now.
    temporaries: u64,
    most: Footprint,
}

/// Temporaries that live as long as this.
pub(super) struct Held {
    ledger: Ledger,
    bytes: u64,
}

/// Numbers and indices have four bytes.
const WORD: u64 = 4;

impl Ledger {
    fn count<T>(&self, change: impl FnOnce(&mut Count) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn footprint(&self) -> Footprint {
        self.count(|count| count.most.clone())
    }

    /// Programs are compiled to be looked at: their launches.
    pub fn compiled(&self, launches: &[Launch]) {
        self.count(|count| count.launches.extend_from_slice(launches));
    }

    pub fn launches(&self) -> Vec<Launch> {
        self.count(|count| count.launches.clone())
    }

    pub fn store(&self, name: &str, elements: usize, kind: Kind, shared: bool) {
        let bytes = elements as u64 * if kind == Kind::Bytes { 1 } else { WORD };
        self.count(|count| {
            if shared {
                count.most.shared += bytes;
                keep_larger(&mut count.most.largest_shared, bytes, name);
            } else {
                keep_larger(&mut count.most.largest_per_run, bytes, name);
                count.most.per_run += bytes;
            }
        });
    }

    pub fn hold(&self, temporaries: &[Temporary]) -> Held {
        let bytes = temporaries.iter().map(Temporary::bytes).sum();
        self.count(|count| {
            for temporary in temporaries {
                keep_larger(&mut count.most.largest_per_run, temporary.bytes(), "a value of a step");
            }
            count.temporaries += bytes;
            count.most.temporaries = count.most.temporaries.max(count.temporaries);
        });
        Held { ledger: self.clone(), bytes }
    }
}

fn keep_larger(largest: &mut (u64, String), bytes: u64, name: &str) {
    if bytes > largest.0 {
        *largest = (bytes, name.into());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.ledger.count(|count| count.temporaries -= self.bytes);
    }
}
