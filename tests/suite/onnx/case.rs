//! A published case: one operator, what goes in, what comes out.

use super::proto;
use prost::Message;
use std::path::{Path, PathBuf};

/// Where the published files lie.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx")
}

pub struct Case {
    pub node: proto::Node,
    pub inputs: Vec<Tensor>,
    pub outputs: Vec<Tensor>,
}

impl Case {
    pub fn read(name: &str) -> Case {
        let folder = folder().join(name);
        let model: proto::Model = decode(&folder.join("model.onnx"));
        let graph = model.graph.expect("a model has a graph");
        let [node] = <[_; 1]>::try_from(graph.node).unwrap_or_else(|nodes| panic!("{name}: {} nodes", nodes.len()));
        let mut published = Files { folder: folder.join("test_data_set_0"), number: 0 };
        let inputs = node.input.iter().map(|input| match graph.initializer.iter().find(|t| t.name == *input) {
            Some(tensor) => Tensor::from(tensor),
            None => published.next("input"),
        });
        let inputs = inputs.collect();
        published.number = 0;
        let outputs = node.output.iter().map(|_| published.next("output")).collect();
        Case { node, inputs, outputs }
    }

    fn attribute(&self, name: &str) -> Option<&proto::Attribute> {
        self.node.attribute.iter().find(|a| a.name == name)
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name).map(|a| a.i)
    }

    pub fn flag(&self, name: &str) -> bool {
        self.int(name).is_some_and(|i| i != 0)
    }

    pub fn float(&self, name: &str, default: f64) -> f64 {
        self.attribute(name).map_or(default, |a| f64::from(a.f))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.attribute(name).map(|a| std::str::from_utf8(&a.s).expect("a string attribute is UTF-8"))
    }

    pub fn ints(&self, name: &str) -> Option<Vec<usize>> {
        let natural = |&i: &i64| usize::try_from(i).unwrap_or_else(|_| panic!("{name}: {i} is negative"));
        self.attribute(name).map(|a| a.ints.iter().map(natural).collect())
    }
}

/// `input_0.pb`, `input_1.pb`, ... of a data set.
struct Files {
    folder: PathBuf,
    number: usize,
}

impl Files {
    fn next(&mut self, what: &str) -> Tensor {
        self.number += 1;
        Tensor::from(&decode::<proto::Tensor>(&self.folder.join(format!("{what}_{}.pb", self.number - 1))))
    }
}

fn decode<M: Message + Default>(path: &Path) -> M {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    M::decode(&*bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A tensor on the host; labels are whole numbers.
#[derive(Clone)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub numbers: Vec<f64>,
}

impl From<&proto::Tensor> for Tensor {
    fn from(tensor: &proto::Tensor) -> Tensor {
        let (shape, numbers) = (tensor.dims.iter().map(|&d| d as usize).collect::<Vec<_>>(), tensor.numbers());
        assert_eq!(shape.iter().product::<usize>(), numbers.len(), "tensor {}: {shape:?}", tensor.name);
        Tensor { shape, numbers }
    }
}

impl Tensor {
    /// Its axes in another order.
    pub fn permuted(&self, order: &[usize]) -> Tensor {
        let shape: Vec<_> = order.iter().map(|&axis| self.shape[axis]).collect();
        let step = |axis: usize| self.shape[axis + 1..].iter().product::<usize>();
        let source = |mut flat: usize| {
            let mut at = 0;
            for (&axis, &length) in order.iter().zip(&shape).rev() {
                at += flat % length * step(axis);
                flat /= length;
            }
            at
        };
        Tensor { numbers: (0..self.numbers.len()).map(|flat| self.numbers[source(flat)]).collect(), shape }
    }

    /// Axis `axis` behind all others: of images `[batch, channels, height, width]` the engine's layout, of scores
    /// the rows that a softmax is taken over.
    pub fn with_last(&self, axis: usize) -> Tensor {
        let others = (0..self.shape.len()).filter(|&a| a != axis);
        self.permuted(&others.chain([axis]).collect::<Vec<_>>())
    }

    /// Images, or filters, of one dimension as such of height 1.
    pub fn flat(mut self) -> Tensor {
        if self.shape.len() == 3 {
            self.shape.insert(2, 1);
        }
        assert_eq!(self.shape.len(), 4, "images of one or two dimensions are wanted: {:?}", self.shape);
        self
    }
}
