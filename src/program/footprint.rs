//! How much memory the buffers and programs of a session take, and how many runs fit on a device.

use super::plan::Temporary;
use hindsight_kernels::{Kind, Launch, Room};
use std::sync::{Arc, Mutex, PoisonError};

/// What runs take, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// For all runs together: images.
    pub shared: u64,
    /// For each run, at most at a time.
    pub per_run: u64,
    /// The largest buffer that is shared, and its name.
    pub largest_shared: (u64, String),
    /// One run's part of the largest buffer of the others, and its name.
    pub largest_per_run: (u64, String),
}

/// Part of a device's memory that may be used: other programs want some, and so does this one beside its buffers.
const USABLE: f64 = 0.9;

impl Footprint {
    /// How many runs fit side by side: at most `wanted`, and 0 where not even one does.
    pub fn runs_that_fit(&self, room: Room, wanted: usize) -> usize {
        let whole = |bytes: u64, part: u64| bytes.checked_div(part).unwrap_or(u64::MAX);
        let memory = room.memory.map_or(u64::MAX, |bytes| {
            whole(((bytes as f64 * USABLE) as u64).saturating_sub(self.shared), self.per_run)
        });
        let buffer = room.buffer.map_or(u64::MAX, |bytes| {
            if self.largest_shared.0 > bytes { 0 } else { whole(bytes, self.largest_per_run.0) }
        });
        memory.min(buffer).min(wanted as u64) as usize
    }

    /// What so many runs take in all.
    pub fn of_runs(&self, runs: usize) -> u64 {
        self.shared + self.per_run * runs as u64
    }
}

/// Keeps count.
#[derive(Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<Count>>);

#[derive(Default)]
struct Count {
    /// Of all programs, where nothing is computed.
    launches: Vec<Launch>,
    now_per_run: u64,
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
                count.add(bytes);
            }
        });
    }

    pub fn hold(&self, temporaries: &[Temporary]) -> Held {
        let bytes = temporaries.iter().map(Temporary::bytes).sum();
        self.count(|count| {
            for temporary in temporaries {
                keep_larger(&mut count.most.largest_per_run, temporary.bytes(), "a value of a step");
            }
            count.add(bytes);
        });
        Held { ledger: self.clone(), bytes }
    }
}

impl Count {
    fn add(&mut self, bytes: u64) {
        self.now_per_run += bytes;
        self.most.per_run = self.most.per_run.max(self.now_per_run);
    }
}

fn keep_larger(largest: &mut (u64, String), bytes: u64, name: &str) {
    if bytes > largest.0 {
        *largest = (bytes, name.into());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.ledger.count(|count| count.now_per_run -= self.bytes);
    }
}
