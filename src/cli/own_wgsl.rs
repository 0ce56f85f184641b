//! A user's own WGSL file on the command line: its shapes, and what it must look like.

use super::CliError;
use clap::Args;
use hindsight::bench::{Case, Operand};
use hindsight::device::{Device, DeviceChoice};
use hindsight_kernels::{Epilogue, OwnKernel, OwnText};
use std::path::PathBuf;
use std::sync::Arc;

pub const HELP: &str = "\
A kernel of your own (--wgsl FILE):
  The file declares its buffers and an entry point; a prelude (shaders/prelude.wgsl) and `epilogue`, which
  takes and returns what `out` holds, are added to it.
    @group(0) @binding(2) var<storage, read_write> out: array<f32>;
    @group(0) @binding(3) var<storage, read> x: array<f32>;          // the first shape of --in; 4 is the second, ...

    @compute @workgroup_size(256)
    fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
            @builtin(local_invocation_index) lane: u32) {
        let i = (group.x + group.y * groups.x) * 256u + lane;
        if i < params.size.x {                                       // elements of the output, or --size
            out[base(0u, group.z) + i] = x[base(1u, group.z) + i] * 2.0;
        }
    }
  Inputs hold numbers in (-1, 1) in single precision. A GPU is needed: --device auto takes the first adapter here.
  It is timed and put under the roofline; there is no oracle for it, so its result is not verified.
    hindsight bench --wgsl twice.wgsl --in 1000x256 --out-shape 1000x256 --flops 256000";

#[derive(Args)]
#[command(next_help_heading = "A kernel of your own")]
pub struct OwnArgs {
    /// Measure the kernel in this WGSL file instead (see the end of --help)
    #[arg(long, value_name = "FILE", requires = "out_shape", conflicts_with_all = ["only", "list"])]
    wgsl: Option<PathBuf>,

    /// The shapes of its inputs, such as 20x784,784x256
    #[arg(long = "in", value_name = "SHAPE", value_delimiter = ',', value_parser = shape, requires = "wgsl")]
    inputs: Vec<Shape>,

    /// The shape of its output
    #[arg(long, value_name = "SHAPE", value_parser = shape, requires = "wgsl")]
    out_shape: Option<Shape>,

    /// Workgroups in x and y [default: one thread an element of the output]
    #[arg(long, value_name = "X[,Y]", value_parser = workgroups, requires = "wgsl")]
    workgroups: Option<[u32; 2]>,

    /// Up to eight numbers for params.size and params.more [default: elements of the output]
    #[arg(long, value_name = "N", value_delimiter = ',', requires = "wgsl")]
    size: Vec<u32>,

    /// Floating-point operations of a launch; without them only bytes are counted
    #[arg(long, value_name = "N", default_value_t = 0.0, value_parser = operations, requires = "wgsl")]
    flops: f64,
}

#[derive(Clone, Debug)]
struct Shape(Vec<usize>);

impl Shape {
    fn elements(&self) -> usize {
        self.0.iter().product()
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.iter().map(usize::to_string).collect::<Vec<_>>().join("x"))
    }
}

/// Buffers are counted in 32 bits.
const LARGEST_SHAPE: usize = 1 << 30;

fn shape(text: &str) -> Result<Shape, String> {
    let sizes: Option<Vec<usize>> = text.split('x').map(|size| size.parse().ok().filter(|size| *size > 0)).collect();
    let sizes = sizes.ok_or("a shape is positive whole numbers with x between them, such as 20x784")?;
    let elements = sizes.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
    match elements.filter(|elements| *elements <= LARGEST_SHAPE) {
        Some(_) => Ok(Shape(sizes)),
        None => Err(format!("a shape has at most {LARGEST_SHAPE} elements")),
    }
}

fn workgroups(text: &str) -> Result<[u32; 2], String> {
    let (x, y) = text.split_once(',').unwrap_or((text, "1"));
    let count = |text: &str| text.parse().ok().filter(|n| (1..=65_535).contains(n));
    match (count(x), count(y)) {
        (Some(x), Some(y)) => Ok([x, y]),
        _ => Err("one or two whole numbers from 1 to 65535, such as 64,2".into()),
    }
}

fn operations(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    number.ok_or_else(|| "a number that is not negative, such as 1e6".into())
}

impl OwnArgs {
    /// The device to open: a WGSL file needs an adapter, of whatever kind.
    pub fn device(&self, asked: &DeviceChoice) -> DeviceChoice {
        match (&self.wgsl, asked) {
            (Some(_), DeviceChoice::Auto) => DeviceChoice::Gpu,
            _ => asked.clone(),
        }
    }

    /// The user's kernel, if there is one.
    pub fn case(&self, device: &Device) -> Result<Option<Case>, CliError> {
        let (Some(path), Some(out)) = (&self.wgsl, &self.out_shape) else { return Ok(None) };
        if self.size.len() > 8 {
            super::refuse(format!("--size takes up to eight numbers, not {}", self.size.len()));
        }
        let Device::Gpu(gpu) = device else {
            super::refuse("a WGSL file runs on an adapter, not on the cpu; leave --device out, or name an adapter");
        };
        let unreadable = |source| CliError::UnreadableWgsl { path: path.clone(), source };
        let text = OwnText {
            file: path.display().to_string(),
            source: std::fs::read_to_string(path).map_err(unreadable)?,
            inputs: self.inputs.iter().map(Shape::elements).collect(),
            elements: out.elements(),
            groups: self.workgroups,
            size: if self.size.is_empty() { vec![out.elements() as u32] } else { self.size.clone() },
            flops: self.flops,
        };
        let operands = text.inputs.iter().map(|elements| Operand::Floats(*elements)).collect();
        let inputs: Vec<String> = self.inputs.iter().map(Shape::to_string).collect();
        let kernel = OwnKernel::new(gpu, text)?;
        Ok(Some(Case {
            group: "Your own",
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            size: format!("{} > {out}", inputs.join(", ")),
            kernel: Arc::new(kernel),
            epilogue: Epilogue::default(),
            operands,
            terms: 1,
            has_oracle: false,
        }))
    }
}
