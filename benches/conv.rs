//! The convolutions that ResNet-S is made of, on 32 x 32 images: each, its input's gradient, its filters' gradient.

mod common;

fn main() {
    common::run("conv", &["conv", "conv_input", "conv_filters"]);
}
