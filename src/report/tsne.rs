//! t-SNE (van der Maaten and Hinton, 2008): points of many dimensions as a picture of two.

use crate::random::{Stream, generator};

/// Places points `[points, width]` in a plane, near ones near.
///
/// # Panics
/// If there are fewer than four points, for which there is no picture.
pub fn tsne(points: &[Vec<f32>]) -> Vec<(f64, f64)> {
    assert!(points.len() >= 4, "t-SNE: {} points are too few for a picture", points.len());
    // The crate adds up in parallel, in an order that depends on which thread was idle, and an embedding magnifies a
    // rounding into another picture: one thread has one order.
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread can be started");
    one_thread.install(|| embed(points))
}

fn embed(points: &[Vec<f32>]) -> Vec<(f64, f64)> {
    // A point's neighbourhood, as the method's authors advise; less where there are few points.
    let perplexity = 30.0_f32.min((points.len() - 1) as f32 / 3.0);
    let distance = |a: &&[f32], b: &&[f32]| a.iter().zip(*b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
    let rows: Vec<&[f32]> = points.iter().map(Vec::as_slice).collect();
    let mut embedding = bhtsne::tSNE::<f32, &[f32], 2>::new(&rows);
    // Where points begin is drawn here, so that a picture comes out the same again.
    let mut random = generator(0, Stream::Noise, 0);
    let begin: Vec<f32> = (0..2 * points.len()).map(|_| 1e-4 * random.normal() as f32).collect();
    embedding.initial_embedding(begin).perplexity(perplexity).epochs(1000);
    let flat = embedding.exact(distance).embedding();
    flat.chunks_exact(2).map(|at| (f64::from(at[0]), f64::from(at[1]))).collect()
}
