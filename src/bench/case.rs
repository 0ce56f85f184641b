//! What is measured: a kernel at a shape, and numbers for its operands.

use hindsight_kernels::{BufferId, BufferInfo, Cost, Epilogue, Kernel, Kind, Launch, Store, View};
use std::sync::Arc;

/// A kernel at a shape.
#[derive(Clone, Debug)]
pub struct Case {
    /// The heading it stands under, and its colour in the figure.
    pub group: &'static str,
    /// What a model does with it.
    pub name: String,
    /// Its sizes, for the table.
    pub size: String,
    /// The kernel.
    pub kernel: Arc<dyn Kernel>,
    /// What is done to each element before it is written.
    pub epilogue: Epilogue,
    /// The kernel's inputs, then the epilogue's extras.
    pub operands: Vec<Operand>,
    /// Length of its sums: each addition rounds.
    pub terms: usize,
    /// Whether it has a twin to be compared with: a user's own kernel has none.
    pub has_oracle: bool,
}

/// The numbers of an operand, the same in every run.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// So many numbers in (-1, 1).
    Floats(usize),
    /// These numbers.
    Values(Vec<f64>),
    /// So many indices, all smaller than `below`.
    Indices {
        /// How many.
        elements: usize,
        /// What they are smaller than.
        below: usize,
    },
    /// So many bytes of images, four of five zero as in MNIST.
    Images(usize),
}

impl Case {
    /// Work of one launch of one run.
    pub fn cost(&self) -> Cost {
        self.launch(vec![], View::whole(BufferId::Stored(0))).cost()
    }

    /// Whether a user who asks for `pattern` means this one: a part of any of its names, in small or capital letters.
    pub fn matches(&self, pattern: &str) -> bool {
        let names = [self.kernel.describe().name(), self.group, &self.name, &self.size].join(" ");
        names.to_lowercase().contains(&pattern.to_lowercase())
    }

    pub(super) fn launch(&self, inputs: Vec<View>, output: View) -> Launch {
        Launch::new(self.kernel.clone(), self.epilogue.clone(), inputs, output)
    }
}

impl Operand {
    /// Makes a buffer of it and writes every run's part.
    pub(super) fn allocate(&self, store: &mut Store, number: usize) -> usize {
        let (kind, elements) = match self {
            Operand::Floats(elements) => (Kind::Float, *elements),
            Operand::Values(values) => (Kind::Float, values.len()),
            Operand::Indices { elements, .. } => (Kind::Index, *elements),
            Operand::Images(bytes) => (Kind::Bytes, *bytes),
        };
        let shared = kind == Kind::Bytes;
        let id = store.allocate(BufferInfo { name: format!("operand {number}"), kind, elements, shared });
        let number = number as f64;
        match self {
            Operand::Floats(elements) => write(store, id, &waves(*elements, number).collect::<Vec<_>>()),
            Operand::Values(values) => write(store, id, values),
            Operand::Indices { elements, below } => {
                let index: Vec<u32> = hashes(*elements, number as u32).map(|hash| hash % *below as u32).collect();
                (0..store.runs()).for_each(|run| store.write_index(id, run, 0, &index));
            }
            Operand::Images(bytes) => {
                let pixel = |hash: u32| if hash.is_multiple_of(5) { 1 + (hash >> 8) as u8 / 2 } else { 0 };
                store.write_bytes(id, &hashes(*bytes, 1).map(pixel).collect::<Vec<u8>>());
            }
        }
        id
    }
}

fn write(store: &mut Store, id: usize, values: &[f64]) {
    (0..store.runs()).for_each(|run| store.write(id, run, 0, values));
}

/// Numbers in (-1, 1) that single precision holds exactly, so that device and oracle begin with the same.
pub(super) fn waves(count: usize, number: f64) -> impl Iterator<Item = f64> {
    (0..count).map(move |i| f64::from((i as f64 * 0.731 + 0.6 * number + 0.1).sin() as f32))
}

/// Numbers without a pattern.
pub(super) fn hashes(count: usize, number: u32) -> impl Iterator<Item = u32> {
    (0..count as u32).map(move |i| {
        let mixed = (i ^ number.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b);
        let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0xc2b2_ae35);
        (mixed ^ (mixed >> 16)) & 0x7fff_ffff
    })
}
