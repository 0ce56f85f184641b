//! The few messages and fields of onnx.proto that the cases need, under the field numbers published there.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct Model {
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<Tensor>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Node {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(float, tag = "2")]
    pub f: f32,
    #[prost(int64, tag = "3")]
    pub i: i64,
    #[prost(bytes = "vec", tag = "4")]
    pub s: Vec<u8>,
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    #[prost(string, tag = "8")]
    pub name: String,
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
}

impl Tensor {
    /// Its elements, whatever they are stored as.
    pub fn numbers(&self) -> Vec<f64> {
        const FLOAT: i32 = 1;
        const INT64: i32 = 7;
        match self.data_type {
            FLOAT => self.words().map(|word| f64::from(f32::from_le_bytes(word))).collect(),
            INT64 => self.words().map(|word| i64::from_le_bytes(word) as f64).collect(),
            other => panic!("tensor {}: elements of data type {other}", self.name),
        }
    }

    fn words<const BYTES: usize>(&self) -> impl Iterator<Item = [u8; BYTES]> {
        let (words, rest) = self.raw_data.as_chunks();
        assert!(rest.is_empty(), "tensor {}: {} bytes too many", self.name, rest.len());
        words.iter().copied()
    }
}
