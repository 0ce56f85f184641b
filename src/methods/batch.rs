//! Batches: as a method writes them, rows of index streams on the device, and as a step of its program sees them.

use super::Lab;
use crate::autodiff::{Stored, Tape, Var};
use crate::memory::Example;

/// Index streams from which a step's batch is read, row by row.
pub struct BatchStream {
    image: Stored,
    task: Stored,
    label: Stored,
    weight: Stored,
}

impl BatchStream {
    /// Batches that it holds.
    pub fn rows(&self) -> usize {
        self.image.rows
    }

    /// Places of a batch.
    pub fn size(&self) -> usize {
        self.image.shape[0]
    }
}

/// A batch as a step sees it.
#[derive(Clone, Copy)]
pub struct Batch<'t> {
    /// `[rows, pixels]`
    pub pixels: Var<'t>,
    /// `[rows]`
    pub labels: Var<'t>,
    /// `[rows]`; as a rule they add up to 1, and a place without an example has 0.
    pub weights: Var<'t>,
    /// Where an example may only be one of its task's classes, `[rows, classes]`: 0 for those, as good as −∞ for others.
    pub mask: Option<Var<'t>>,
}

impl<'t> Batch<'t> {
    /// These images and others in one pass. The labels are of these alone.
    pub fn beside(&self, others: &Batch<'t>) -> Batch<'t> {
        let tape = self.pixels.tape();
        let rows = self.labels.elements() + others.labels.elements();
        let join = |a: Var<'t>, b: Var<'t>| {
            let width = a.elements() / self.labels.elements();
            tape.join(&[a, b]).reshape(&[rows, width])
        };
        Batch {
            pixels: join(self.pixels, others.pixels),
            labels: self.labels,
            weights: join(self.weights, others.weights).reshape(&[rows]),
            mask: self.mask.zip(others.mask).map(|(a, b)| join(a, b)),
        }
    }

    /// The weighted sum of its examples' cross-entropies, given their logits `[rows, classes]`.
    #[track_caller]
    pub fn loss(&self, logits: Var<'t>) -> Var<'t> {
        (logits.cross_entropy(self.labels) * self.weights).total()
    }
}

impl Lab {
    /// A stream of `rows` batches of `size`.
    pub fn stream(&mut self, name: &str, rows: usize, size: usize) -> BatchStream {
        let s = &mut self.session;
        BatchStream {
            image: s.indices(&format!("{name}: image"), rows, &[size]),
            task: s.indices(&format!("{name}: task"), rows, &[size]),
            label: s.indices(&format!("{name}: label"), rows, &[size]),
            weight: s.rows(&format!("{name}: weight"), rows, &[size]),
        }
    }

    /// The batch of a step: images are permuted, or turned, on the device.
    pub fn batch<'t>(&self, tape: &'t Tape, stream: &BatchStream) -> Batch<'t> {
        self.first_of_batch(tape, stream, stream.size())
    }

    /// The batch of a step where `every` steps see the same one.
    pub fn batch_every<'t>(&self, tape: &'t Tape, stream: &BatchStream, every: usize) -> Batch<'t> {
        self.read_batch(tape, stream, |stored| tape.row_every(stored, every))
    }

    /// The first `count` examples of a step's batch.
    pub fn first_of_batch<'t>(&self, tape: &'t Tape, stream: &BatchStream, count: usize) -> Batch<'t> {
        self.read_batch(tape, stream, |stored| tape.row(stored).slice(0, &[count]))
    }

    fn read_batch<'t>(&self, tape: &'t Tape, stream: &BatchStream, first: impl Fn(&Stored) -> Var<'t>) -> Batch<'t> {
        let (image, task) = (first(&stream.image), first(&stream.task));
        let pixels = self.prepare(tape.load(&self.images).gather_pixels(image, tape.load(&self.maps), task));
        Batch { pixels, labels: first(&stream.label), weights: first(&stream.weight), mask: self.mask(tape, task) }
    }

    /// Writes batches into a stream, from row 0 on. Each example has its share of the batch; a place without
    /// one weighs nothing.
    pub fn write_batches(&mut self, stream: &BatchStream, run: usize, batches: &[Vec<Example>]) {
        self.write_weighted(stream, run, batches, |count| 1.0 / count as f64);
    }

    /// Writes batches in which each example weighs 1.
    pub fn write_examples(&mut self, stream: &BatchStream, run: usize, batches: &[Vec<Example>]) {
        self.write_weighted(stream, run, batches, |_| 1.0);
    }

    fn write_weighted(
        &mut self,
        stream: &BatchStream,
        run: usize,
        batches: &[Vec<Example>],
        weight: impl Fn(usize) -> f64,
    ) {
        let size = stream.size();
        let blank = Example { image: 0, label: 0, task: 0 };
        let padded: Vec<Example> =
            batches.iter().flat_map(|b| b.iter().copied().chain(std::iter::repeat(blank)).take(size)).collect();
        let weights: Vec<f64> =
            batches.iter().flat_map(|b| (0..size).map(|i| if i < b.len() { weight(b.len()) } else { 0.0 })).collect();
        let s = &mut self.session;
        s.write_index(&stream.image, run, &padded.iter().map(|e| e.image).collect::<Vec<_>>());
        s.write_index(&stream.task, run, &padded.iter().map(|e| e.task).collect::<Vec<_>>());
        s.write_index(&stream.label, run, &padded.iter().map(|e| e.label.into()).collect::<Vec<_>>());
        s.write(&stream.weight, run, &weights);
    }

    /// Writes a task's batches as they come.
    pub fn write_task(&mut self, stream: &BatchStream, task: usize) {
        for run in 0..self.runs() {
            let batches: Vec<_> =
                self.examples(run, task).chunks(self.settings.batch).map(<[Example]>::to_vec).collect();
            self.write_batches(stream, run, &batches);
        }
    }
}
