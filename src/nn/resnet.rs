//! The reduced ResNet-18 of the image benchmarks (He et al., 2016; Lopez-Paz and Ranzato, 2017).
//!
//! A stem of one convolution; stages of basic blocks, each with more filters than the last and, from the second on,
//! half the height and width; the mean over all places; a linear layer. Convolutions are 3x3 (1x1 on a shortcut that
//! must change its shape), pad with as many zeros as keep ⌈length / stride⌉ places, have no bias, and are each
//! followed by a batch normalisation.

use super::Outcome;
use super::norm::{Statistics, fold};
use crate::autodiff::{Padding, Var};
use crate::random::Generator;

/// A residual network on images `[height, width, channels]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResNet {
    /// Height, width, channels.
    pub image: [usize; 3],
    /// Filters of each stage; the stem has as many as the first.
    pub filters: Vec<usize>,
    /// Basic blocks of a stage.
    pub blocks: usize,
    /// Classes.
    pub classes: usize,
}

/// A convolution and its normalisation: filters `[taps, taps, from, into]`, gains, biases.
#[derive(Clone, Copy)]
struct Layer {
    taps: usize,
    from: usize,
    into: usize,
    stride: usize,
}

impl Layer {
    fn weights(&self) -> usize {
        self.taps * self.taps * self.from * self.into
    }
}

/// A basic block: two convolutions, and the shortcut's where input and output differ in shape.
struct Block {
    convolutions: [Layer; 2],
    shortcut: Option<Layer>,
}

impl ResNet {
    /// Filters of each stage of the paper's network, ResNet-S, which has two blocks a stage.
    pub const SMALL: [usize; 4] = [20, 40, 80, 160];

    /// ResNet-S.
    pub fn small(image: [usize; 3], classes: usize) -> ResNet {
        ResNet { image, filters: ResNet::SMALL.to_vec(), blocks: 2, classes }
    }

    /// Length of the features phi.
    pub fn features(&self) -> usize {
        self.filters[self.filters.len() - 1]
    }

    fn stem(&self) -> Layer {
        Layer { taps: 3, from: self.image[2], into: self.filters[0], stride: 1 }
    }

    fn body(&self) -> Vec<Block> {
        let mut from = self.filters[0];
        let mut body = Vec::new();
        for (stage, &into) in self.filters.iter().enumerate() {
            for block in 0..self.blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let layer = |taps, from, stride| Layer { taps, from, into, stride };
                body.push(Block {
                    convolutions: [layer(3, from, stride), layer(3, into, 1)],
                    shortcut: (stride != 1 || from != into).then(|| layer(1, from, stride)),
                });
                from = into;
            }
        }
        body
    }

    /// In the order in which the parameter vector has them.
    fn layers(&self) -> Vec<Layer> {
        let of_block = |block: Block| block.convolutions.into_iter().chain(block.shortcut);
        std::iter::once(self.stem()).chain(self.body().into_iter().flat_map(of_block)).collect()
    }

    /// Length of the parameter vector.
    pub fn parameters(&self) -> usize {
        let layers = self.layers().iter().map(|layer| layer.weights() + 2 * layer.into).sum::<usize>();
        layers + (self.features() + 1) * self.classes
    }

    /// Length of the vector of running averages.
    pub fn statistics(&self) -> usize {
        self.layers().iter().map(|layer| 2 * layer.into).sum()
    }

    /// Weights uniform within ±1/√(taps · channels), of the linear layer and its biases within ±1/√features; gains 1,
    /// biases 0.
    pub fn initial(&self, generator: &mut Generator) -> Vec<f64> {
        let mut theta = Vec::with_capacity(self.parameters());
        let mut uniform = |count: usize, bound: f64, to: &mut Vec<f64>| {
            to.extend((0..count).map(|_| bound * (2.0 * generator.unit_f64() - 1.0)));
        };
        for layer in self.layers() {
            uniform(layer.weights(), 1.0 / ((layer.taps * layer.from) as f64).sqrt(), &mut theta);
            theta.extend(std::iter::repeat_n(1.0, layer.into));
            theta.extend(std::iter::repeat_n(0.0, layer.into));
        }
        uniform((self.features() + 1) * self.classes, 1.0 / (self.features() as f64).sqrt(), &mut theta);
        theta
    }

    /// Running averages before the first step: means of 0, variances of 1.
    pub fn initial_statistics(&self) -> Vec<f64> {
        let of = |layer: Layer| [vec![0.0; layer.into], vec![1.0; layer.into]].concat();
        self.layers().into_iter().flat_map(of).collect()
    }

    /// Features and logits of `images [rows, height · width · channels]`.
    pub fn forward<'t>(&self, theta: Var<'t>, images: Var<'t>, statistics: Statistics<'t>) -> Outcome<'t> {
        let rows = images.shape()[0];
        let [height, width, channels] = self.image;
        let mut walk = Walk { theta, at: 0, statistics, statistics_at: 0, moments: vec![] };
        let mut x = walk.layer(images.reshape(&[rows, height, width, channels]), self.stem()).relu();
        for block in self.body() {
            let inner = walk.layer(x, block.convolutions[0]).relu();
            let outer = walk.layer(inner, block.convolutions[1]);
            let shortcut = block.shortcut.map_or(x, |layer| walk.layer(x, layer));
            x = (outer + shortcut).relu();
        }
        let places = x.shape()[1] * x.shape()[2];
        let features = x.reshape(&[rows, places, self.features()]).mean(1);
        let logits = features.affine(walk.take(&[self.features() + 1, self.classes]));
        let own = matches!(statistics, Statistics::Batch { .. });
        Outcome { features, logits, statistics: own.then(|| theta.tape().join(&walk.moments)) }
    }
}

/// A way through the layers, and how much of the parameters and averages is behind it.
struct Walk<'t> {
    theta: Var<'t>,
    at: usize,
    statistics: Statistics<'t>,
    statistics_at: usize,
    moments: Vec<Var<'t>>,
}

impl<'t> Walk<'t> {
    /// The next parameters.
    fn take(&mut self, shape: &[usize]) -> Var<'t> {
        self.at += shape.iter().product::<usize>();
        self.theta.slice(self.at - shape.iter().product::<usize>(), shape)
    }

    /// A convolution of `x [rows, height, width, channels]`, and its normalisation.
    fn layer(&mut self, x: Var<'t>, layer: Layer) -> Var<'t> {
        let (taps, stride) = ([layer.taps; 2], [layer.stride; 2]);
        let filters = self.take(&[layer.taps, layer.taps, layer.from, layer.into]);
        let (gain, bias) = (self.take(&[layer.into]), self.take(&[layer.into]));
        let shape = x.shape();
        let seen = x.conv(filters, stride, Padding::same([shape[1], shape[2]], taps, stride));
        let shape = seen.shape();
        let by_place = seen.reshape(&[shape[0], shape[1] * shape[2], shape[3]]);
        let normalisation = fold(by_place, gain, bias, self.statistics, self.statistics_at);
        self.statistics_at += 2 * layer.into;
        self.moments.extend(normalisation.moments);
        normalisation.apply(by_place).reshape(&shape)
    }
}
