//! How much work a session hands over before it asks again whether to stop.

use hindsight_kernels::{Cost, Device, Mark};
use std::time::{Duration, Instant};

/// Between two questions, about.
const TARGET: Duration = Duration::from_millis(100);
/// What a launch costs beside its arithmetic and its bytes, in operations.
const OF_A_LAUNCH: f64 = 3e5;
/// What a byte costs, in operations.
const OF_A_BYTE: f64 = 4.0;

/// Work by an estimate in operations, of which as many are handed over at a time as a device does in [`TARGET`].
pub(super) struct Pace {
    at_a_time: f64,
    handed: f64,
    since: Instant,
    mark: Option<Mark>,
}

/// Operations of a step of one run, about.
pub(super) fn work(cost: Cost, launches: usize) -> f64 {
    cost.flops + OF_A_BYTE * cost.bytes + OF_A_LAUNCH * launches as f64
}

impl Pace {
    pub fn new() -> Pace {
        Pace { at_a_time: 1e7, handed: 0.0, since: Instant::now(), mark: None }
    }

    /// How many steps of so much work each to hand over next.
    pub fn steps(&mut self, work: f64) -> usize {
        if self.handed == 0.0 {
            self.since = Instant::now();
        }
        ((self.at_a_time - self.handed) / work).max(1.0) as usize
    }

    /// So much was handed over. Where that is enough, waits until the device is done with what came before it.
    pub fn handed(&mut self, work: f64, device: &Device) {
        self.handed += work;
        if self.handed < self.at_a_time {
            return;
        }
        device.keep_up(&mut self.mark);
        let took = self.since.elapsed().as_secs_f64().max(1e-6);
        self.at_a_time *= (TARGET.as_secs_f64() / took * self.handed / self.at_a_time).clamp(0.25, 4.0);
        self.handed = 0.0;
    }
}
