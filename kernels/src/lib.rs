//! Hand-written GPU kernels and the devices that run them.
//!
//! A [`Kernel`] at a shape knows its WGSL shader, its cost, and the plain-Rust twin that the shader must
//! equal. A [`Launch`] says where its operands lie. An [`Executable`] replays a list of launches over a
//! [`Store`] of buffers, on a GPU through wgpu or on the CPU by the twins. Every buffer has a leading
//! axis of runs. Nothing here knows a gradient.

mod argmax;
pub mod autotune;
mod bytes;
pub mod catalogue;
mod ceiling_copy;
mod ceiling_fma;
pub mod check;
mod choices;
mod choose;
mod conv;
mod count_correct;
mod count_not_finite;
mod cpu;
mod cross_entropy;
mod device;
mod executable;
mod expr;
pub mod files;
mod float;
mod frame;
mod gather_pixels;
mod gather_rows;
mod gpu;
mod kernel;
mod largest;
mod launch;
mod log_softmax;
mod loops;
mod map;
mod matmul;
pub mod memory;
mod normal;
pub mod own;
mod rescale;
mod scatter_add_rows;
mod store;
mod sum;
mod summation;
mod timing;
pub mod translate;
pub mod trial;
mod view;

pub use argmax::Argmax;
pub use bytes::Bytes;
pub use ceiling_copy::CeilingCopy;
pub use ceiling_fma::CeilingFma;

pub use choices::{Choices, ChoicesError, Tuning, class};
pub use choose::{Chosen, choose};
pub use conv::{Conv, ConvPart, Window};
pub use count_correct::CountCorrect;
pub use count_not_finite::CountNotFinite;
pub use cross_entropy::CrossEntropy;
pub use device::{AdapterSummary, Device, DeviceChoice, DeviceError, EmptyChoice, Mark, Room, host, processor};
pub use executable::{Executable, Order};
pub use expr::{Access, Binary, Epilogue, Instruction, Unary};
pub use float::Float;
pub use gather_pixels::{BLANK, GatherPixels};
pub use gather_rows::GatherRows;
pub use gpu::{AdapterKind, Counts, Gpu, GpuReading, OwnProgram, Traits};
pub use kernel::{Cost, Describe, Input, Kernel, Shader, Twin, spread_groups};
pub use largest::Largest;
pub use launch::Launch;
pub use log_softmax::LogSoftmax;
pub use loops::TooManyIterations;
pub use map::Map;
pub use matmul::tile::{TILES, Tile};
pub use matmul::{MatMul, Ones, Variant};
pub use normal::Normal;
pub use own::{KernelShapes, Number, Wgsl, WgslError};
pub use rescale::Rescale;
pub use scatter_add_rows::ScatterAddRows;
pub use store::{BufferInfo, Kind, Reading, Store};
pub use sum::Sum;
pub use timing::{Clock, Pass, Span, Stopwatch};
pub use view::{BufferId, Stride, View, aligned};
