//! A user's own WGSL file: its buffers filled, its result compared with what is expected, then timed.

mod buffer;

pub use self::buffer::{BufferSpec, Fill, shape};

use super::case::waves;
use super::measure::{Effort, Measured, samples};
use crate::npy::{self, NpyError};
use hindsight_kernels::own::{Buffer, KernelShapes, Number, Space, Wgsl, WgslError};
use hindsight_kernels::{Gpu, OwnProgram};
use std::path::PathBuf;
use std::sync::Arc;

/// How a file with bindings of its own is dispatched.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The entry point, where there are several.
    pub entry: Option<String>,
    /// Values of constants that can be overridden.
    pub overrides: Vec<(String, f64)>,
    /// Buffers by name, shape and fill.
    pub buffers: Vec<BufferSpec>,
    /// Buffers by name and JSON value.
    pub values: Vec<(String, serde_json::Value)>,
    /// Workgroups; without them one invocation an element of the largest array that is written.
    pub dispatch: Option<[u32; 3]>,
    /// Buffers by name, and the file of what one dispatch makes of them.
    pub expected: Vec<(String, PathBuf)>,
    /// How far a number may be from what is expected: so much of it, or of 1 where it is smaller.
    pub tolerance: f64,
}

/// A file that cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// The file itself, or what it is given.
    #[error(transparent)]
    Wgsl(#[from] WgslError),
    /// An array.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// A result that is not what is expected.
    #[error(
        "{file}: `{buffer}` is not what is expected: {count} of {elements} elements differ by more than the tolerance \
         {tolerance:e}, first element {element}: found {found}, expected {expected}"
    )]
    Unexpected {
        /// The WGSL file.
        file: String,
        /// The buffer.
        buffer: String,
        /// Elements that differ.
        count: usize,
        /// All elements.
        elements: usize,
        /// The tolerance; 0 for whole numbers.
        tolerance: f64,
        /// The first element that differs.
        element: usize,
        /// What the adapter computed.
        found: f64,
        /// What the array holds.
        expected: f64,
    },
}

/// A file that is ready to be dispatched.
pub struct Own {
    wgsl: Wgsl,
    program: OwnProgram,
    contents: Vec<Vec<u8>>,
    name: String,
    size: String,
    runs: usize,
    /// Of all runs.
    flops: f64,
    expected: Vec<(usize, npy::Array)>,
    tolerance: f64,
}

impl Own {
    /// Makes a file ready whose bindings are its own.
    ///
    /// # Errors
    /// If it is invalid, a buffer that it needs is not given or does not fit it, or the adapter refuses it.
    pub fn plain(gpu: &Arc<Gpu>, file: &str, text: &str, request: &Request, flops: f64) -> Result<Own, OwnError> {
        let wgsl = Wgsl::plain(file, text, request.entry.as_deref(), &request.overrides)?;
        let contents = contents(&wgsl, request, gpu.largest_buffer())?;
        let written = wgsl.buffers.iter().zip(&contents).filter(|(buffer, _)| buffer.space == Space::ReadWrite);
        let elements = written.map(|(buffer, bytes)| buffer.elements(bytes.len() as u64)).max().unwrap_or(1);
        let dispatch = request.dispatch.unwrap_or_else(|| wgsl.workgroups_for(elements));
        let mut expected = vec![];
        for (name, path) in &request.expected {
            let n = find(&wgsl, name)?;
            expected.push((n, npy::read(path)?));
            let (buffer, array) = (&wgsl.buffers[n], &expected[expected.len() - 1].1);
            let count = contents[n].len() / buffer.number.unwrap_or(Number::U32).width();
            let given: usize = array.shape.iter().product();
            if given != count {
                let path = path.display();
                return Err(wgsl.layout(format!("`{name}` has {count} numbers, and {path} has {given}")).into());
            }
        }
        let program = OwnProgram::new(gpu, &wgsl, &contents, dispatch)?;
        let [[x, y, z], [a, b, c]] = [dispatch, wgsl.workgroup];
        let size = format!("{x}x{y}x{z} of {a}x{b}x{c}");
        let (name, tolerance) = (short_name(file), request.tolerance);
        Ok(Own { wgsl, program, contents, name, size, runs: 1, flops, expected, tolerance })
    }

    /// Makes a kernel ready that is in the form of the project's own, for so many runs side by side. Its inputs hold numbers in
    /// (-1, 1); without `groups` there is one invocation an element of the output.
    ///
    /// # Errors
    /// If it is invalid, its bindings are others than the shapes ask for, or the adapter refuses it.
    pub fn kernel(
        gpu: &Arc<Gpu>,
        file: &str,
        text: &str,
        shapes: &KernelShapes,
        groups: Option<[u32; 2]>,
        runs: usize,
        flops: f64,
    ) -> Result<Own, OwnError> {
        let wgsl = Wgsl::kernel(file, text, shapes, &[])?;
        let largest = shapes.inputs.iter().chain([&shapes.elements]).max().map_or(0, |n| 4 * *n as u64 * runs as u64);
        if largest > gpu.largest_buffer() {
            let most = gpu.largest_buffer();
            return Err(wgsl
                .layout(format!("a shape takes {largest} bytes, and the adapter binds at most {most}"))
                .into());
        }
        let content = |buffer: &Buffer| match buffer.binding {
            1 => shapes.params(),
            2 => vec![0; 4 * KernelShapes::of_runs(shapes.elements, runs)],
            n => {
                let (n, elements) = (n as usize - 3, shapes.inputs[n as usize - 3]);
                let mut run: Vec<f32> = waves(elements, n as f64).map(|x| x as f32).collect();
                run.resize(KernelShapes::stride(elements), 0.0);
                let mut all = run.repeat(runs);
                all.truncate(KernelShapes::of_runs(elements, runs));
                bytemuck::cast_slice(&all).to_vec()
            }
        };
        let contents: Vec<Vec<u8>> = wgsl.buffers.iter().map(content).collect();
        let [x, y] = groups.unwrap_or_else(|| {
            let [x, y, _] = wgsl.workgroups_for(shapes.elements as u64);
            [x, y]
        });
        let program = OwnProgram::new(gpu, &wgsl, &contents, [x, y, runs as u32])?;
        let inputs: Vec<String> = shapes.inputs.iter().map(usize::to_string).collect();
        let size = format!("{} > {}", inputs.join(", "), shapes.elements);
        let (name, expected, flops) = (short_name(file), vec![], flops * runs as f64);
        Ok(Own { wgsl, program, contents, name, size, runs, flops, expected, tolerance: 0.0 })
    }

    /// Says what its sizes are, for the table.
    pub fn with_size(mut self, size: String) -> Own {
        self.size = size;
        self
    }

    /// The file's name and sizes, for the table.
    pub fn title(&self) -> (&str, &str) {
        (&self.name, &self.size)
    }

    /// Dispatches once, on buffers as they were filled.
    pub fn run(&self) {
        self.program.restore(&self.contents);
        self.program.run();
    }

    /// The numbers in a buffer, where all are of one kind; else its words.
    pub fn numbers(&self, name: &str) -> Option<Vec<f64>> {
        let n = self.wgsl.buffers.iter().position(|buffer| buffer.name == name)?;
        Some(self.wgsl.buffers[n].number.unwrap_or(Number::U32).read(&self.program.content(n)))
    }

    /// Dispatches once, and compares the result with what is expected.
    ///
    /// # Errors
    /// If an element is another.
    pub fn verify(&self) -> Result<(), OwnError> {
        self.run();
        for (n, array) in &self.expected {
            let buffer = &self.wgsl.buffers[*n];
            let number = buffer.number.unwrap_or(Number::U32);
            let found = number.read(&self.program.content(*n));
            let tolerance = if number.is_float() { self.tolerance } else { 0.0 };
            let expected = floats(array);
            // Written so that what is not a number is near to itself alone.
            let near = |(found, expected): (&f64, &f64)| {
                (found - expected).abs() <= tolerance * expected.abs().max(1.0)
                    || found == expected
                    || (found.is_nan() && expected.is_nan())
            };
            let far: Vec<usize> = (0..found.len()).filter(|i| !near((&found[*i], &expected[*i]))).collect();
            if let Some(&element) = far.first() {
                return Err(OwnError::Unexpected {
                    file: self.wgsl.file.clone(),
                    buffer: buffer.name.clone(),
                    count: far.len(),
                    elements: found.len(),
                    tolerance,
                    element,
                    found: found[element],
                    expected: expected[element],
                });
            }
        }
        Ok(())
    }

    /// Times it. Where a dispatch reads what it writes, buffers are filled anew before each, which is not timed.
    pub fn measure(&self, effort: Effort, hardware: bool) -> Measured {
        self.program.restore(&self.contents);
        let seconds = samples(effort, hardware, &mut |dispatches| self.program.seconds(dispatches));
        let stored = self.wgsl.buffers.iter().zip(&self.contents).filter(|(buffer, _)| buffer.space != Space::Uniform);
        let bytes = stored.map(|(_, bytes)| bytes.len()).sum::<usize>().max(4);
        Measured {
            kernel: "own".into(),
            group: "Your own".into(),
            name: self.name.clone(),
            size: self.size.clone(),
            runs: self.runs,
            flops: self.flops,
            bytes: bytes as f64,
            seconds,
            verified: !self.expected.is_empty(),
        }
    }
}

fn short_name(file: &str) -> String {
    let name = std::path::Path::new(file).file_name();
    name.map_or(file.to_string(), |name| name.to_string_lossy().into_owned())
}

fn floats(array: &npy::Array) -> Vec<f64> {
    match &array.elements {
        npy::Elements::Float32(x) => x.iter().map(|x| f64::from(*x)).collect(),
        npy::Elements::Float64(x) => x.clone(),
        npy::Elements::Bytes(x) => x.iter().map(|x| f64::from(*x)).collect(),
        npy::Elements::Integers(_, x) => x.iter().map(|x| *x as f64).collect(),
    }
}

/// The number of the buffer of a name.
fn find(wgsl: &Wgsl, name: &str) -> Result<usize, WgslError> {
    let names = || wgsl.buffers.iter().map(|buffer| buffer.name.as_str()).collect::<Vec<_>>().join(", ");
    let found = wgsl.buffers.iter().position(|buffer| buffer.name == name);
    found.ok_or_else(|| wgsl.layout(format!("its `{}` uses no buffer `{name}`; it uses: {}", wgsl.entry, names())))
}

/// What each buffer holds before a dispatch.
fn contents(wgsl: &Wgsl, request: &Request, most: u64) -> Result<Vec<Vec<u8>>, OwnError> {
    let mut contents: Vec<Option<Vec<u8>>> = vec![None; wgsl.buffers.len()];
    let mut put = |name: &str, bytes: Vec<u8>| {
        let n = find(wgsl, name)?;
        match contents[n].replace(bytes) {
            Some(_) => Err(wgsl.layout(format!("`{name}` is given twice; give one --buffer or --uniform for it"))),
            None => Ok(()),
        }
    };
    for spec in &request.buffers {
        let buffer = &wgsl.buffers[find(wgsl, &spec.name)?];
        put(&spec.name, spec.bytes(wgsl, buffer, most)?)?;
    }
    for (name, value) in &request.values {
        put(name, wgsl.bytes(&wgsl.buffers[find(wgsl, name)?], value)?)?;
    }
    // A type without an array of any length says itself how many bytes it has.
    let missing = wgsl.buffers.iter().zip(&contents).filter(|(buffer, given)| buffer.tail.is_some() && given.is_none());
    let missing: Vec<String> = missing.map(|(buffer, _)| format!("`{}` ({})", buffer.name, buffer.ty)).collect();
    if !missing.is_empty() {
        let reason = format!("it does not say how long {} is; give --buffer NAME=SHAPE for each", missing.join(", "));
        return Err(wgsl.layout(reason).into());
    }
    let filled = contents.into_iter().zip(&wgsl.buffers);
    Ok(filled.map(|(given, buffer)| given.unwrap_or_else(|| vec![0; buffer.least as usize])).collect())
}
