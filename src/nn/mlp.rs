//! The multi-layer perceptron of the MNIST benchmarks.

use crate::autodiff::Var;
use crate::random::Generator;

/// Fully connected layers with ReLU between them. A layer's weights are `[in + 1, out]` in the
/// parameter vector, the last row its biases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mlp {
    /// Units, from the input to the logits.
    pub units: Vec<usize>,
}

impl Mlp {
    /// 784-256-256-10, as the paper has it.
    pub fn mnist() -> Mlp {
        Mlp { units: vec![784, 256, 256, 10] }
    }

    /// Parameters, biases included.
    pub fn parameters(&self) -> usize {
        self.units.windows(2).map(|w| (w[0] + 1) * w[1]).sum()
    }

    /// Length of the last hidden layer, the features phi.
    pub fn features(&self) -> usize {
        self.units[self.units.len() - 2]
    }

    /// Weights normal(0, 0.1) truncated at two standard deviations, biases 0.1.
    pub fn initial(&self, generator: &mut Generator) -> Vec<f64> {
        let mut theta = Vec::with_capacity(self.parameters());
        for w in self.units.windows(2) {
            theta.extend((0..w[0] * w[1]).map(|_| generator.truncated_normal(0.1)));
            theta.extend(std::iter::repeat_n(0.1, w[1]));
        }
        theta
    }

    /// Each layer's weights as views of the parameter vector.
    pub fn layers<'t>(&self, theta: Var<'t>) -> Vec<Var<'t>> {
        let mut offset = 0;
        let mut layer = |w: &[usize]| {
            let shape = [w[0] + 1, w[1]];
            offset += shape[0] * shape[1];
            theta.slice(offset - shape[0] * shape[1], &shape)
        };
        self.units.windows(2).map(&mut layer).collect()
    }

    /// Features `[rows, features]` and logits `[rows, classes]` of `x [rows, inputs]`.
    pub fn forward<'t>(&self, theta: Var<'t>, x: Var<'t>) -> (Var<'t>, Var<'t>) {
        forward(&self.layers(theta), x)
    }

    /// Logits of `x`.
    pub fn logits<'t>(&self, theta: Var<'t>, x: Var<'t>) -> Var<'t> {
        self.forward(theta, x).1
    }

    /// Features and logits of images as they are, where the model was trained on images whose pixels a
    /// map moved. To move the weights once is cheaper than to move every image, and the same.
    pub fn forward_unmapped<'t>(&self, theta: Var<'t>, images: Var<'t>, unmap: &Unmap<'t>) -> (Var<'t>, Var<'t>) {
        let mut layers = self.layers(theta);
        layers[0] = unmap.weights(layers[0]);
        forward(&layers, images)
    }
}

/// How a task's images came from the original ones, as the first layer's weights `[inputs + 1, units]`
/// need it.
pub struct Unmap<'t> {
    /// For each original pixel (and the bias) a row of the weights that it meets, `[inputs + 1]`, and
    /// 1 where it does and 0 where it does not; no mask where all do. A pixel shown twice meets two rows.
    pub places: Vec<(Var<'t>, Option<Var<'t>>)>,
}

impl<'t> Unmap<'t> {
    fn weights(&self, layer: Var<'t>) -> Var<'t> {
        let units = layer.shape()[1];
        let met = |(rows, mask): &(Var<'t>, Option<Var<'t>>)| {
            let rows = layer.gather_rows(*rows);
            mask.map_or(rows, |mask| rows * mask.spread(1, units))
        };
        self.places.iter().map(met).reduce(|a, b| a + b).expect("a pixel meets at least one row")
    }
}

fn forward<'t>(layers: &[Var<'t>], x: Var<'t>) -> (Var<'t>, Var<'t>) {
    let (last, hidden) = layers.split_last().expect("a model has layers");
    let features = hidden.iter().fold(x, |x, &w| x.affine(w).relu());
    (features, features.affine(*last))
}
