//! The matrix products that the MLP is made of, and some squares.

mod common;

fn main() {
    common::run("matmul", &["matmul"]);
}
