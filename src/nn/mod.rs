//! Models as functions of a flat parameter vector.

mod mlp;
mod norm;
mod resnet;

pub use mlp::{Mlp, Unmap};
pub use norm::{KEPT, Statistics};
pub use resnet::ResNet;

use crate::autodiff::Var;
use crate::random::Generator;

/// A classifier of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Model {
    /// Fully connected.
    Mlp(Mlp),
    /// Convolutional, with batch normalisation.
    ResNet(ResNet),
}

/// What a model makes of images.
pub struct Outcome<'t> {
    /// The last hidden layer, phi: `[rows, features]`.
    pub features: Var<'t>,
    /// `[rows, classes]`
    pub logits: Var<'t>,
    /// The means and variances that the images themselves were normalised by, where they were: see
    /// [`Model::statistics`].
    pub statistics: Option<Var<'t>>,
}

impl Model {
    /// Numbers of an image.
    pub fn inputs(&self) -> usize {
        match self {
            Model::Mlp(mlp) => mlp.units[0],
            Model::ResNet(resnet) => resnet.image.iter().product(),
        }
    }

    /// Classes.
    pub fn classes(&self) -> usize {
        match self {
            Model::Mlp(mlp) => mlp.units[mlp.units.len() - 1],
            Model::ResNet(resnet) => resnet.classes,
        }
    }

    /// Length of the features phi.
    pub fn features(&self) -> usize {
        match self {
            Model::Mlp(mlp) => mlp.features(),
            Model::ResNet(resnet) => resnet.features(),
        }
    }

    /// Length of the parameter vector.
    pub fn parameters(&self) -> usize {
        match self {
            Model::Mlp(mlp) => mlp.parameters(),
            Model::ResNet(resnet) => resnet.parameters(),
        }
    }

    /// Length of the vector of running averages: of each normalisation the means, then the variances. 0 where there are
    /// none.
    pub fn statistics(&self) -> usize {
        match self {
            Model::Mlp(_) => 0,
            Model::ResNet(resnet) => resnet.statistics(),
        }
    }

    /// Images that it is shown at a time out of training, at most: so many that to rearrange its weights for them costs
    /// little, or as leave its hidden layers in memory.
    pub fn at_a_time(&self) -> usize {
        match self {
            Model::Mlp(_) => 2500,
            Model::ResNet(_) => 50,
        }
    }

    /// Parameters to start from.
    pub fn initial(&self, generator: &mut Generator) -> Vec<f64> {
        match self {
            Model::Mlp(mlp) => mlp.initial(generator),
            Model::ResNet(resnet) => resnet.initial(generator),
        }
    }

    /// Running averages to start from: means of 0, variances of 1.
    pub fn initial_statistics(&self) -> Vec<f64> {
        match self {
            Model::Mlp(_) => vec![],
            Model::ResNet(resnet) => resnet.initial_statistics(),
        }
    }

    /// Features and logits of `images [rows, inputs]`.
    pub fn forward<'t>(&self, theta: Var<'t>, images: Var<'t>, statistics: Statistics<'t>) -> Outcome<'t> {
        match self {
            Model::Mlp(mlp) => {
                let (features, logits) = mlp.forward(theta, images);
                Outcome { features, logits, statistics: None }
            }
            Model::ResNet(resnet) => resnet.forward(theta, images, statistics),
        }
    }
}
