//! An independent perceptron in plain loops and double precision, and the images as tasks show them.

use crate::gpu::permuted;
use hindsight::data::stream::{BLANK, TaskPlan};
use hindsight::memory::Example;
use hindsight::settings::Settings;

/// Layers of 784, 256, 256 and 10 units, each followed by a bias, as the parameter vector has them.
const UNITS: [usize; 4] = [784, 256, 256, 10];

pub type Vector = Vec<f64>;

/// An image, its label, and what it counts.
pub type Weighted = (Vector, usize, f64);

/// A seed's tasks, and what their examples look like.
pub struct World {
    plans: Vec<TaskPlan>,
}

impl World {
    pub fn new(settings: &Settings, seed: u64) -> World {
        World { plans: permuted().stream(permuted().data().unwrap(), settings, seed).unwrap() }
    }

    pub fn examples(&self, task: usize) -> Vec<Example> {
        let labels = &permuted().data().unwrap().train_labels;
        let example = |&image: &u32| Example { image, label: labels[image as usize], task: task as u32 };
        self.plans[task].images.iter().map(example).collect()
    }

    pub fn pixels(&self, example: Example) -> Vector {
        let images = &permuted().data().unwrap().train_images;
        let image = &images[example.image as usize * 784..][..784];
        let shown = |&p: &u32| if p == BLANK { 0.0 } else { f64::from(image[p as usize]) / 255.0 };
        self.plans[example.task as usize].map.iter().map(shown).collect()
    }

    /// Examples of which each has its share.
    pub fn mean(&self, examples: &[Example]) -> Vec<Weighted> {
        let share = 1.0 / examples.len() as f64;
        examples.iter().map(|&e| (self.pixels(e), usize::from(e.label), share)).collect()
    }
}

/// What every layer receives: the image, the hidden units, and at last the logits.
pub fn forward(theta: &[f64], x: &[f64]) -> Vec<Vector> {
    let mut values = vec![x.to_vec()];
    let mut offset = 0;
    for (layer, w) in UNITS.windows(2).enumerate() {
        let weights = &theta[offset..offset + (w[0] + 1) * w[1]];
        offset += weights.len();
        let mut out = weights[w[0] * w[1]..].to_vec();
        for (x, row) in values[layer].iter().zip(weights.chunks(w[1])).filter(|(x, _)| **x != 0.0) {
            out.iter_mut().zip(row).for_each(|(o, w)| *o += x * w);
        }
        if layer + 2 < UNITS.len() {
            out.iter_mut().for_each(|o| *o = o.max(0.0));
        }
        values.push(out);
    }
    values
}

pub fn logits(theta: &[f64], x: &[f64]) -> Vector {
    forward(theta, x).pop().unwrap()
}

pub fn log_softmax(logits: &[f64]) -> Vector {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total = most + logits.iter().map(|l| (l - most).exp()).sum::<f64>().ln();
    logits.iter().map(|l| l - total).collect()
}

/// Adds to `gradient` that of Σ `slope` · logits of `x`.
fn add_pullback(theta: &[f64], x: &[f64], slope: &[f64], gradient: &mut [f64]) {
    let values = forward(theta, x);
    let mut slope = slope.to_vec();
    let mut end = theta.len();
    for layer in (0..UNITS.len() - 1).rev() {
        let (ins, outs) = (UNITS[layer], UNITS[layer + 1]);
        let start = end - (ins + 1) * outs;
        for (row, x) in gradient[start..end].chunks_mut(outs).zip(values[layer].iter().chain([&1.0])) {
            row.iter_mut().zip(&slope).for_each(|(g, s)| *g += x * s);
        }
        let back = |(row, x): (&[f64], &f64)| {
            if *x > 0.0 { row.iter().zip(&slope).map(|(w, s)| w * s).sum() } else { 0.0 }
        };
        slope = theta[start..end].chunks(outs).zip(&values[layer]).map(back).collect();
        end = start;
    }
}

/// The gradient of Σ slopes · logits over images.
pub fn pullback(theta: &[f64], images: &[(Vector, Vector)]) -> Vector {
    let mut gradient = vec![0.0; theta.len()];
    images.iter().for_each(|(x, slope)| add_pullback(theta, x, slope, &mut gradient));
    gradient
}

/// The weighted sum of cross-entropies, and its gradient.
pub fn loss(theta: &[f64], batch: &[Weighted]) -> (f64, Vector) {
    let mut total = 0.0;
    let slopes: Vec<(Vector, Vector)> = batch
        .iter()
        .map(|(x, label, weight)| {
            let logs = log_softmax(&logits(theta, x));
            total -= weight * logs[*label];
            let slope = |(class, log): (usize, &f64)| weight * (log.exp() - f64::from(u8::from(class == *label)));
            (x.clone(), logs.iter().enumerate().map(slope).collect())
        })
        .collect();
    (total, pullback(theta, &slopes))
}

pub fn gradient(theta: &[f64], batch: &[Weighted]) -> Vector {
    loss(theta, batch).1
}

/// `a + by · b`
pub fn moved(a: &[f64], by: f64, b: &[f64]) -> Vector {
    a.iter().zip(b).map(|(a, b)| a + by * b).collect()
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
