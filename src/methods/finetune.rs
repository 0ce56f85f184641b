//! Finetune: plain SGD on the stream.   θ ← θ − α ∇CE(B)

use super::er::Sgd;
use super::{Lab, Learner, Method};

/// A single model trained on the stream, with nothing against forgetting.
pub struct Finetune;

impl Method for Finetune {
    fn name(&self) -> &'static str {
        "finetune"
    }
    fn title(&self) -> &'static str {
        "Finetune"
    }
    fn summary(&self) -> &'static str {
        "plain SGD on the stream, nothing against forgetting"
    }
    fn start(&self, lab: &mut Lab) -> Box<dyn Learner> {
        Box::new(Sgd::new(lab, 0))
    }
}
