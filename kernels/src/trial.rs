//! One launch on arrays from elsewhere: what it computes on a device, and how long it takes.

use crate::device::Device;
use crate::executable::{Executable, Order};
use crate::launch::Launch;
use crate::store::{BufferInfo, Kind, Store};
use crate::view::BufferId;
use std::time::Instant;

/// An operand's elements.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// Numbers.
    Numbers(Vec<f64>),
    /// Whole numbers.
    Indices(Vec<u32>),
    /// Images.
    Bytes(Vec<u8>),
}

impl Elements {
    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Elements::Numbers(x) => x.len(),
            Elements::Indices(x) => x.len(),
            Elements::Bytes(x) => x.len(),
        }
    }

    /// The kind of buffer that holds them.
    pub fn kind(&self) -> Kind {
        match self {
            Elements::Numbers(_) => Kind::Float,
            Elements::Indices(_) => Kind::Index,
            Elements::Bytes(_) => Kind::Bytes,
        }
    }
}

/// A launch made ready for a device.
pub struct Trial {
    device: Device,
    store: Store,
    launch: Launch,
    executable: Executable,
    output: usize,
}

impl Trial {
    /// Places the operands on a device and compiles the launch, which reads and writes buffers 0, 1, ... in this order.
    ///
    /// # Panics
    /// If the launch writes another buffer than the one after its operands.
    pub fn new(device: &Device, launch: Launch, operands: &[Elements]) -> Trial {
        let mut store = Store::new(device, 1);
        for (number, elements) in operands.iter().enumerate() {
            let (kind, shared) = (elements.kind(), elements.kind() == Kind::Bytes);
            let info = BufferInfo { name: format!("operand {number}"), kind, elements: elements.count(), shared };
            let id = store.allocate(info);
            match elements {
                Elements::Numbers(x) => store.write(id, 0, 0, x),
                Elements::Indices(x) => store.write_index(id, 0, 0, x),
                Elements::Bytes(x) => store.write_bytes(id, x),
            }
        }
        let elements = launch.kernel.describe().elements();
        let output = store.allocate(BufferInfo { name: "result".into(), kind: Kind::Float, elements, shared: false });
        assert_eq!(launch.output.buffer, BufferId::Stored(output), "the result comes after the operands");
        let executable = Executable::new(device, &store, vec![launch.clone()], vec![]);
        Trial { device: device.clone(), store, launch, executable, output }
    }

    /// Computes once, and reads the result.
    pub fn result(&mut self) -> Vec<f64> {
        self.executable.run(&mut self.store, 0..1, Order::Sequential);
        self.store.read(self.output).remove(0)
    }

    /// Lets a step have so many launches, all the same: on a GPU a step is counted by a launch of its own, which short ones
    /// would be timed with.
    pub fn repeat(&mut self, launches: usize) {
        self.executable = Executable::new(&self.device, &self.store, vec![self.launch.clone(); launches], vec![]);
    }

    /// Seconds a launch, of so many steps one after another, until the device is done.
    pub fn seconds(&mut self, steps: usize) -> f64 {
        let start = Instant::now();
        self.executable.run(&mut self.store, 0..steps, Order::Sequential);
        if let Device::Gpu(gpu) = &self.device {
            gpu.wait();
        }
        start.elapsed().as_secs_f64() / (steps * self.executable.launches().len()) as f64
    }
}

/// How far a result is from its oracle's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Difference {
    /// The largest difference.
    pub absolute: f64,
    /// The same as a fraction of the largest finite number of the oracle's, if that is not 0.
    pub of_largest: f64,
    /// The largest difference as a fraction of the element itself, where that is not 0. What is near 0 because large
    /// terms cancel is far off by this measure, on any device.
    pub of_own: f64,
}

impl Difference {
    /// Of a result and the oracle's. What is the same infinity, or NaN in both, does not differ; NaN in one differs
    /// infinitely.
    pub fn between(found: &[f64], oracle: &[f64]) -> Difference {
        let (mut difference, mut largest) = (Difference::default(), 0.0_f64);
        for (&found, &oracle) in found.iter().zip(oracle) {
            largest = largest.max(if oracle.is_finite() { oracle.abs() } else { 0.0 });
            let apart = apart(found, oracle);
            difference.absolute = difference.absolute.max(apart);
            if oracle != 0.0 && apart > 0.0 {
                difference.of_own =
                    difference.of_own.max(if oracle.is_finite() { apart / oracle.abs() } else { apart });
            }
        }
        if largest > 0.0 {
            difference.of_largest = difference.absolute / largest;
        }
        difference
    }
}

/// How far two numbers are from each other; what is the same infinity, or NaN in both, not at all.
pub(crate) fn apart(found: f64, oracle: f64) -> f64 {
    match (found - oracle).abs() {
        _ if found == oracle || (found.is_nan() && oracle.is_nan()) => 0.0,
        apart if apart.is_nan() => f64::INFINITY,
        apart => apart,
    }
}

#[cfg(test)]
mod tests {
    use super::Difference;

    #[test]
    fn differences_are_absolute_of_the_largest_and_of_the_element() {
        let difference = Difference::between(&[4.0, 0.0, 1.5], &[4.0, 0.25, 1.0]);
        assert_eq!(difference, Difference { absolute: 0.5, of_largest: 0.125, of_own: 1.0 });
        assert_eq!(Difference::between(&[1.0], &[0.0]), Difference { absolute: 1.0, of_largest: 0.0, of_own: 0.0 });
    }

    #[test]
    fn nan_differs_from_all_but_nan_and_infinity_from_all_but_itself() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        assert_eq!(Difference::between(&[nan, inf, 2.0], &[nan, inf, 2.0]), Difference::default());
        for (found, oracle) in [(nan, 1.0), (1.0, nan), (1.0, inf), (inf, 1.0), (inf, -inf)] {
            assert_eq!(Difference::between(&[found], &[oracle]).absolute, inf, "{found} and {oracle}");
        }
    }
}
