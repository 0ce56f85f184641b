//! A user's own WGSL text as a kernel: read, checked, and refused in words instead of a panic.

use crate::expr::Epilogue;
use crate::gpu::epilogue::{Part, Width, Writer};
use crate::gpu::{Gpu, Traits};
use crate::kernel::{Cost, Describe, Input, Kernel, Shader, spread_groups};
use crate::view::View;

/// A WGSL text, and how it is to be launched.
#[derive(Clone, Debug)]
pub struct OwnText {
    /// Its file, for messages.
    pub file: String,
    /// The text. Binding 2 is the output, 3 the first input, and so on; `main` is the entry point.
    pub source: String,
    /// Elements of each input: numbers in single precision.
    pub inputs: Vec<usize>,
    /// Elements of the output.
    pub elements: usize,
    /// Workgroups in x and y; without them one thread an element.
    pub groups: Option<[u32; 2]>,
    /// Up to eight numbers in `params.size` and `params.more`.
    pub size: Vec<u32>,
    /// Floating-point operations of a launch.
    pub flops: f64,
}

/// A WGSL text that can't be launched.
#[derive(Debug, thiserror::Error)]
pub enum WgslError {
    /// It is not valid WGSL.
    #[error("{file} is not valid WGSL\n{words}")]
    Invalid {
        /// The file.
        file: String,
        /// Naga's own, with line and reason.
        words: String,
    },
    /// It is not laid out as kernels are.
    #[error("{file}: {reason}")]
    Layout {
        /// The file.
        file: String,
        /// What was wanted.
        reason: String,
    },
    /// The adapter does not take it.
    #[error("{file}: {adapter} refuses it: {reason}")]
    Refused {
        /// The file.
        file: String,
        /// The adapter.
        adapter: String,
        /// The driver's words.
        reason: String,
    },
}

/// A user's kernel. It has no twin, so it runs on adapters alone, and nothing says whether its result is right.
#[derive(Clone, Debug)]
pub struct OwnKernel {
    text: OwnText,
    groups: [u32; 2],
}

const FIRST_INPUT: u32 = 3;
/// The prelude has twelve views, one of which is the output's.
const MOST_INPUTS: usize = 11;

impl OwnKernel {
    /// Checks a text and has the adapter compile it.
    ///
    /// # Errors
    /// If naga finds it invalid, its bindings are others than the shapes ask for, or the adapter refuses it.
    pub fn new(gpu: &Gpu, text: OwnText) -> Result<OwnKernel, WgslError> {
        let module = text.parse()?;
        let layout = |reason: String| WgslError::Layout { file: text.file.clone(), reason };
        text.check_bindings(&module).map_err(layout)?;
        let entry = module.entry_points.iter().find(|e| e.name == "main" && e.stage == naga::ShaderStage::Compute);
        let entry = entry.ok_or_else(|| layout("it has no entry point `@compute fn main`".into()))?;
        let threads = entry.workgroup_size.iter().product::<u32>().max(1) as usize;
        let groups = text.groups.unwrap_or(spread_groups(text.elements.div_ceil(threads)));
        let largest = text.inputs.iter().chain([&text.elements]).max().map_or(0, |n| 4 * *n as u64);
        if largest > gpu.largest_buffer() {
            let most = gpu.largest_buffer();
            return Err(layout(format!("a shape takes {largest} bytes, and the adapter binds at most {most}")));
        }
        if let Some(reason) = gpu.refusal("own", &[PRELUDE, &text.source, &identity(&text.source)].join("\n"), "main") {
            let (file, adapter) = (text.file, gpu.traits().name.clone());
            return Err(WgslError::Refused { file, adapter, reason });
        }
        Ok(OwnKernel { text, groups })
    }
}

const PRELUDE: &str = include_str!("../../shaders/prelude.wgsl");

/// An epilogue that changes nothing, behind a kernel's text.
fn identity(kernel: &str) -> String {
    let epilogue = &Epilogue::default();
    let part = Part { epilogue, extras: vec![], by_four: false };
    Writer { parts: &[part], first_also: 0, half: false, width: Width::of(kernel) }.write()
}

impl OwnText {
    /// The user's text stands first here, so that lines in messages are those of the file.
    fn parse(&self) -> Result<naga::Module, WgslError> {
        let whole = [&self.source, PRELUDE, &identity(&self.source)].join("\n");
        let invalid = |words: String| WgslError::Invalid { file: self.file.clone(), words: words.trim_end().into() };
        let module = naga::front::wgsl::parse_str(&whole)
            .map_err(|error| invalid(error.emit_to_string_with_path(&whole, &self.file)))?;
        // What an adapter lacks, it says itself.
        let mut validator =
            naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::all());
        validator.validate(&module).map_err(|error| invalid(error.emit_to_string_with_path(&whole, &self.file)))?;
        Ok(module)
    }

    /// Binding 2 is written, those from 3 on are read, one a shape; 0 and 1 are the prelude's.
    fn check_bindings(&self, module: &naga::Module) -> Result<(), String> {
        if self.inputs.len() > MOST_INPUTS {
            return Err(format!("{} inputs; the prelude has views for {MOST_INPUTS}", self.inputs.len()));
        }
        let end = FIRST_INPUT + self.inputs.len() as u32;
        let mut seen = vec![false; end as usize];
        seen[0] = true; // the prelude declares 1 alone, and keeps 0
        for (_, variable) in module.global_variables.iter() {
            let Some(binding) = &variable.binding else { continue };
            let (group, number, name) = (binding.group, binding.binding, variable.name.as_deref().unwrap_or("?"));
            if group != 0 || number >= end {
                let shapes = self.inputs.len();
                return Err(format!(
                    "`{name}` is binding {number} of group {group}; with {shapes} shapes after --in, bindings of \
                     group 0 end at {}",
                    end - 1
                ));
            }
            if std::mem::replace(&mut seen[number as usize], true) {
                return Err(format!("`{name}` is a second binding {number}; 0 and 1 are the prelude's"));
            }
            if number >= 2 && !is_array(module, variable, number == 2) {
                let access = if number == 2 { "read_write" } else { "read" };
                return Err(format!("`{name}`, binding {number}, must be an array in var<storage, {access}>"));
            }
        }
        match seen.iter().position(|seen| !seen) {
            Some(2) => Err("it declares no binding 2, the output".into()),
            Some(number) => Err(format!("it declares no binding {number}, which --in has a shape for")),
            None => Ok(()),
        }
    }
}

fn is_array(module: &naga::Module, variable: &naga::GlobalVariable, written: bool) -> bool {
    let naga::AddressSpace::Storage { access } = variable.space else { return false };
    let array = matches!(module.types[variable.ty].inner, naga::TypeInner::Array { .. });
    array && access.contains(naga::StorageAccess::STORE) == written
}

impl Describe for OwnKernel {
    fn name(&self) -> &'static str {
        "own"
    }
    fn elements(&self) -> usize {
        self.text.elements
    }
    fn inputs(&self) -> usize {
        self.text.inputs.len()
    }
    fn cost(&self) -> Cost {
        let elements = self.text.inputs.iter().sum::<usize>() + self.text.elements;
        Cost { flops: self.text.flops, bytes: 4.0 * elements as f64 }
    }
    fn shader(&self, _: &Traits, _: &[View]) -> Shader {
        Shader::new(self.text.source.clone().into(), self.text.size.clone(), self.groups)
    }
}

impl Kernel for OwnKernel {
    fn describe(&self) -> &dyn Describe {
        self
    }
    fn twin_f32(&self, _: &mut [f32], _: &[Input<'_, f32>]) {
        panic!("{}: a user's kernel has no twin, it runs on an adapter", self.text.file)
    }
    fn twin_f64(&self, _: &mut [f64], _: &[Input<'_, f64>]) {
        panic!("{}: a user's kernel has no twin, it runs on an adapter", self.text.file)
    }
}
