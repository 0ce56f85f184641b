//! The matrix products that the MLP is made of, and some squares.

mod common;

use common::Case;
use hindsight_kernels::*;
use std::sync::Arc;

/// What a model does with it, and the product.
fn products() -> Vec<(&'static str, MatMul)> {
    let product = |m, n, k| MatMul { m, n, k, ta: false, tb: false, ones: Ones::No, bytes: false };
    let layer = |m, n, k| MatMul { ones: Ones::Column, ..product(m, n, k) };
    vec![
        ("layer 1, batch 20", layer(20, 256, 784)),
        ("layer 2, batch 20", layer(20, 256, 256)),
        ("layer 3, batch 20", layer(20, 10, 256)),
        ("gradient of layer 1's weights", MatMul { ta: true, ones: Ones::Row, ..product(785, 256, 20) }),
        ("gradient of layer 2's weights", MatMul { ta: true, ones: Ones::Row, ..product(257, 256, 20) }),
        ("gradient of layer 2's input", MatMul { tb: true, ..product(20, 256, 256) }),
        ("layer 1 of one image", layer(1, 256, 784)),
        ("layer 2, 1000 images", layer(1000, 256, 256)),
        ("layer 3, 1000 images", layer(1000, 10, 256)),
        ("200 x 784 x 256", product(200, 256, 784)),
        ("512 cubed", product(512, 512, 512)),
        ("1024 cubed", product(1024, 1024, 1024)),
    ]
}

fn main() {
    let case = |(name, product): (&'static str, MatMul)| {
        let MatMul { m, n, k, ones, .. } = product;
        let operands = [m * k, (k + usize::from(ones == Ones::Column)) * n];
        Case { name, size: format!("{m} x {n} x {k}"), kernel: Arc::new(product), operands, terms: k }
    };
    common::run("matmul", &products().into_iter().map(case).collect::<Vec<_>>());
}
