//! A user's own WGSL file on the command line: its buffers or shapes, and what it must look like.

use super::{CliError, refuse};
use clap::Args;
use hindsight::bench::own::{BufferSpec, Own, Request};
use hindsight::device::{Device, DeviceChoice};
use hindsight::files;
use hindsight_kernels::own::{KernelShapes, MOST_BYTES, Wgsl};
use std::path::PathBuf;

pub const HELP: &str = "\
A WGSL file of your own (--wgsl FILE):
  Any compute shader runs as it stands. Buffers of a known size hold zeros unless they are filled; those that end in an
  array without a length need a shape. A shape counts numbers as they lie in the buffer, the padding of vec3 included; a
  binding has exactly so many bytes. Types are f16, f32, f64, i32, i64, u32 and u64, by default the file's own; fills
  are zero (the default), one, iota, random, a number, or an array in a .npy file.
    hindsight bench --wgsl scan.wgsl --buffer data=65536:u32:iota --buffer sums=256 --dispatch 256
    hindsight bench --wgsl boids.wgsl --uniform 'params={\"dt\": 0.04, \"rules\": [0.1, 0.02, 0.05]}' \\
        --buffer before=1500x4:random --buffer after=1500x4 --override SIZE=64 --expect after=boids.npy
  Without --dispatch there is one invocation an element of the largest array that is written. Where a dispatch reads what
  it has written, buffers are filled anew before each, which is not timed. --list shows what a file declares.

A kernel in the form of this project's own (--out-shape):
  A prelude's functions stand behind the file: `params`, `base`, and `epilogue`, which takes and returns what `out` holds.
  A name that the file declares itself is left to it.
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
  Inputs hold numbers in (-1, 1) in single precision.
    hindsight bench --wgsl twice.wgsl --in 1000x256 --out-shape 1000x256 --flops 256000

  In both forms a GPU is needed: --device auto takes the best adapter here, software too. The kernel is timed and put under
  the roofline. Without --expect nothing says whether its result is right.";

#[derive(Args)]
#[command(next_help_heading = "A WGSL file of your own")]
pub struct OwnArgs {
    /// Measure the compute shader in this file instead (see the end of --help)
    #[arg(long, value_name = "FILE", conflicts_with = "only")]
    wgsl: Option<PathBuf>,

    /// A buffer of the file: NAME=SHAPE[:TYPE][:FILL] or NAME=FILE.npy; may be given several times
    #[arg(long, value_name = "NAME=SHAPE", value_parser = buffer, requires = "wgsl", conflicts_with = "out_shape")]
    buffer: Vec<BufferSpec>,

    /// What a uniform, or another buffer, holds: a struct by its fields, vectors and arrays as lists, matrices as lists
    /// of columns; may be given several times
    #[arg(long, value_name = "NAME=JSON", value_parser = value, requires = "wgsl", conflicts_with = "out_shape")]
    uniform: Vec<(String, serde_json::Value)>,

    /// The value of a constant that the file lets one override; may be given several times
    #[arg(long = "override", value_name = "NAME=VALUE", value_parser = constant, requires = "wgsl", conflicts_with = "out_shape")]
    constant: Vec<(String, f64)>,

    /// The entry point [default: the only one, or `main`]
    #[arg(long, value_name = "NAME", requires = "wgsl", conflicts_with = "out_shape")]
    entry: Option<String>,

    /// Workgroups in x, y and z [default: one invocation an element of the largest array that is written]
    #[arg(long, value_name = "X[,Y[,Z]]", value_parser = dispatch, requires = "wgsl", conflicts_with = "out_shape")]
    dispatch: Option<[u32; 3]>,

    /// What a buffer must hold after one dispatch; may be given several times
    #[arg(long, value_name = "NAME=FILE.npy", value_parser = expected, requires = "wgsl", conflicts_with = "out_shape")]
    expect: Vec<(String, PathBuf)>,

    /// How far a number may be from what is expected, of it or of 1 where it is smaller; whole numbers must be equal
    #[arg(long, value_name = "SHARE", value_parser = not_negative, requires = "expect", default_value_t = 1e-5)]
    tolerance: f64,

    /// The shapes of its inputs, such as 20x784,784x256, in the form of this project's kernels
    #[arg(long = "in", value_name = "SHAPE", value_delimiter = ',', value_parser = shape, requires = "out_shape")]
    inputs: Vec<Shape>,

    /// The shape of its output, in the form of this project's kernels
    #[arg(long, value_name = "SHAPE", value_parser = shape, requires = "wgsl")]
    out_shape: Option<Shape>,

    /// Workgroups in x and y [default: one thread an element of the output]
    #[arg(long, value_name = "X[,Y]", value_parser = workgroups, requires = "out_shape")]
    workgroups: Option<[u32; 2]>,

    /// Up to eight numbers for params.size and params.more [default: elements of the output]
    #[arg(long, value_name = "N", value_delimiter = ',', requires = "out_shape")]
    size: Vec<u32>,

    /// Floating-point operations of a dispatch; without them only bytes are counted
    #[arg(long, value_name = "N", default_value_t = 0.0, value_parser = not_negative, requires = "wgsl")]
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

/// Numbers of four bytes that a buffer of 32-bit sizes holds.
const LARGEST_SHAPE: usize = 1 << 30;

fn shape(text: &str) -> Result<Shape, String> {
    let shape = Shape(hindsight::bench::own::shape(text)?);
    match shape.elements() {
        1..=LARGEST_SHAPE => Ok(shape),
        _ => Err(format!("a shape has at most {LARGEST_SHAPE} elements")),
    }
}

fn counts<const N: usize>(text: &str) -> Option<[u32; N]> {
    let mut counts = [1; N];
    let given: Option<Vec<u32>> = text.split(',').map(|n| n.trim().parse().ok().filter(|n| *n > 0)).collect();
    let given = given.filter(|given| given.len() <= N)?;
    counts[..given.len()].copy_from_slice(&given);
    Some(counts)
}

fn workgroups(text: &str) -> Result<[u32; 2], String> {
    let counts = counts::<2>(text).filter(|counts| counts.iter().all(|n| *n <= 65_535));
    counts.ok_or_else(|| "one or two whole numbers from 1 to 65535, such as 64,2".into())
}

fn dispatch(text: &str) -> Result<[u32; 3], String> {
    counts::<3>(text).ok_or_else(|| "one to three whole numbers above 0, such as 64,2".into())
}

fn buffer(text: &str) -> Result<BufferSpec, String> {
    text.parse()
}

fn named<'a>(text: &'a str, form: &str) -> Result<(String, &'a str), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.trim().is_empty()).ok_or(form)?;
    Ok((name.trim().into(), value))
}

fn value(text: &str) -> Result<(String, serde_json::Value), String> {
    let (name, value) = named(text, "give NAME=JSON, such as params={\"n\": 3}")?;
    let value = serde_json::from_str(value).map_err(|error| format!("{name}: not JSON ({error})"))?;
    Ok((name, value))
}

fn constant(text: &str) -> Result<(String, f64), String> {
    let form = "give NAME=VALUE, a number, true or false, such as TILE=16";
    let (name, value) = named(text, form)?;
    let value = match value.trim() {
        "true" => 1.0,
        "false" => 0.0,
        number => number.parse().ok().filter(|x: &f64| x.is_finite()).ok_or(form)?,
    };
    Ok((name, value))
}

fn expected(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = named(text, "give NAME=FILE.npy")?;
    Ok((name, path.into()))
}

fn not_negative(text: &str) -> Result<f64, String> {
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

    /// The name and text of the user's file, if there is one.
    fn text(&self) -> Result<Option<(String, String)>, CliError> {
        let Some(path) = &self.wgsl else { return Ok(None) };
        let unreadable = |source| CliError::UnreadableWgsl { path: path.clone(), source };
        let text = files::read_text(path, MOST_BYTES).map_err(unreadable)?;
        Ok(Some((files::shown(path).to_string(), text)))
    }

    /// What the user's file declares, if there is one.
    pub fn listed(&self) -> Result<Option<String>, CliError> {
        let Some((file, text)) = self.text()? else { return Ok(None) };
        if self.out_shape.is_some() {
            refuse("--list shows the bindings of a file as it stands; leave --out-shape out");
        }
        let entries = match &self.entry {
            Some(entry) => vec![entry.clone()],
            None => Wgsl::entry_points(&file, &text)?,
        };
        let mut listed = String::new();
        for entry in &entries {
            listed += &match Wgsl::plain(&file, &text, Some(entry), &self.constant) {
                Ok(wgsl) => wgsl.listed(),
                // Others of the file may have what can be bound.
                Err(error) if entries.len() > 1 => format!("{error} ({entry})\n"),
                Err(error) => return Err(error.into()),
            };
        }
        if entries.is_empty() {
            listed = format!("{file}: no compute entry point\n");
        }
        Ok(Some(listed))
    }

    /// The user's file, ready to be dispatched, if there is one.
    pub fn prepared(&self, device: &Device, runs: Option<u16>) -> Result<Option<Own>, CliError> {
        let Some((file, text)) = self.text()? else { return Ok(None) };
        let Device::Gpu(gpu) = device else {
            refuse("a WGSL file runs on an adapter, not on the cpu; leave --device out, or name an adapter");
        };
        let Some(out) = &self.out_shape else {
            // Clap lets them pass beside what conflicts with the flag that they require.
            if !self.inputs.is_empty() || self.workgroups.is_some() || !self.size.is_empty() {
                refuse(
                    "--in, --workgroups and --size are for kernels in the form of this project's own: give --out-shape",
                );
            }
            if runs.is_some() {
                refuse("--runs is for kernels in the form of this project's own, with --out-shape; leave it out");
            }
            let request = Request {
                entry: self.entry.clone(),
                overrides: self.constant.clone(),
                buffers: self.buffer.clone(),
                values: self.uniform.clone(),
                dispatch: self.dispatch,
                expected: self.expect.clone(),
                tolerance: self.tolerance,
            };
            return Ok(Some(Own::plain(gpu, &file, &text, &request, self.flops)?));
        };
        if self.size.len() > 8 {
            refuse(format!("--size takes up to eight numbers, not {}", self.size.len()));
        }
        let shapes = KernelShapes {
            inputs: self.inputs.iter().map(Shape::elements).collect(),
            elements: out.elements(),
            size: if self.size.is_empty() { vec![out.elements() as u32] } else { self.size.clone() },
        };
        let runs = runs.map_or(1, usize::from);
        let own = Own::kernel(gpu, &file, &text, &shapes, self.workgroups, runs, self.flops)?;
        let inputs: Vec<String> = self.inputs.iter().map(Shape::to_string).collect();
        Ok(Some(own.with_size(format!("{} > {out}", inputs.join(", ")))))
    }
}
