//! A user's own WGSL file: read, checked against an adapter's limits and its own declarations, and refused in words.
//!
//! A file is taken as it stands, or with a prelude's functions added behind it. Either way its bindings are found by naga,
//! and [`crate::gpu::OwnProgram`] dispatches it.

mod added;
mod layout;
mod text;
mod uniformity;

pub use self::layout::Number;
pub use self::text::MOST_BYTES;

use naga::back::{PipelineConstants, pipeline_constants};
use naga::proc::Layouter;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Handle, Module, ShaderStage, StorageAccess, Type};
use std::thread;

/// A WGSL file that can't be dispatched.
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
    /// It is nested so deeply that to read it, or have a driver compile it, could overflow the stack.
    #[error("{file}:{line}: more than {most} {what}; write it with fewer, in several statements or functions")]
    TooDeep {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What there are too many of.
        what: &'static str,
        /// How many are read.
        most: usize,
    },
    /// A barrier that not all invocations of a workgroup reach.
    #[error(
        "{file}:{line}: a barrier that not all invocations of a workgroup reach; move it out of what depends on them\n{words}"
    )]
    Divergent {
        /// The file.
        file: String,
        /// The barrier's line, from 1.
        line: u32,
        /// Both lines, with what decides who reaches it.
        words: String,
    },
    /// What was asked for does not go with what it declares.
    #[error("{file}: {reason}")]
    Layout {
        /// The file.
        file: String,
        /// What was expected, what was found.
        reason: String,
    },
    /// A buffer of another size than its binding needs.
    #[error("{file}: `{binding}` is {ty} and needs {needed}; it was given {given} bytes. Give it another shape")]
    Size {
        /// The file.
        file: String,
        /// The binding's name.
        binding: String,
        /// Its type.
        ty: String,
        /// The bytes that it needs, in words.
        needed: String,
        /// The bytes that it was given.
        given: u64,
    },
    /// More than the adapter has.
    #[error("{file}: {what} is {asked}; {adapter} has at most {most}")]
    Limit {
        /// The file.
        file: String,
        /// The adapter.
        adapter: String,
        /// What is limited.
        what: String,
        /// What the file or the command asks for.
        asked: u64,
        /// The limit.
        most: u64,
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

/// How a binding is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// `var<uniform>`
    Uniform,
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    ReadWrite,
}

/// A buffer that an entry point uses.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// Its name in the file.
    pub name: String,
    /// Its `@group`.
    pub group: u32,
    /// Its `@binding`.
    pub binding: u32,
    /// How it is used.
    pub space: Space,
    /// How its type is written.
    pub ty: String,
    /// Bytes that it needs at least.
    pub least: u64,
    /// Of an array without a fixed length at its end: where that begins, and the bytes of an element.
    pub tail: Option<(u64, u64)>,
    /// The numbers that it consists of, where all are of one kind.
    pub number: Option<Number>,
    /// Whether it is read as well as written, so that a second dispatch may compute something else.
    pub in_place: bool,
    handle: Handle<Type>,
}

impl Buffer {
    /// How many elements its last array has in so many bytes.
    pub fn elements(&self, bytes: u64) -> u64 {
        self.tail.map_or(1, |(begins, stride)| bytes.saturating_sub(begins) / stride)
    }
}

/// The shapes of a kernel in the form of the project's own: binding 2 is the output, 3 the first input.
#[derive(Clone, Debug, Default)]
pub struct KernelShapes {
    /// Elements of each input.
    pub inputs: Vec<usize>,
    /// Elements of the output.
    pub elements: usize,
    /// Up to eight numbers for `params.size` and `params.more`.
    pub size: Vec<u32>,
}

/// A WGSL file that has been read: its entry point, with all constants in their places.
pub struct Wgsl {
    /// Its file, for messages.
    pub file: String,
    /// The entry point.
    pub entry: String,
    /// Invocations of a workgroup.
    pub workgroup: [u32; 3],
    /// The buffers that the entry point uses, by group and binding.
    pub buffers: Vec<Buffer>,
    /// Bytes of workgroup memory.
    pub workgroup_memory: u64,
    pub(crate) source: String,
    pub(crate) constants: Vec<(String, f64)>,
    module: Module,
    layouter: Layouter,
}

/// Deeper types have no meaning on any adapter: WGSL itself ends at 15.
const DEEPEST_TYPE: usize = 32;
/// Naga, and drivers, follow declarations by recursion.
const STACK: usize = 256 << 20;

/// Runs something where there is stack for any text that passes [`text::check_depth`].
///
/// # Errors
/// If there is no memory for the stack, or it panics.
pub(crate) fn on_large_stack<T: Send>(run: impl FnOnce() -> T + Send) -> Result<T, String> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("wgsl".into()).stack_size(STACK).spawn_scoped(scope, run);
        let thread = thread.map_err(|error| format!("there is no memory to read it in ({error})"))?;
        thread.join().map_err(|_| "naga or the driver panicked over it, which is a fault of theirs".into())
    })
}

impl Wgsl {
    /// Reads a file's text as it stands. Without `entry` there must be one compute entry point, or one of the name `main`.
    ///
    /// # Errors
    /// If it is not valid WGSL, is nested too deeply, lacks the entry point or a constant, or uses what is no buffer.
    pub fn plain(file: &str, text: &str, entry: Option<&str>, constants: &[(String, f64)]) -> Result<Wgsl, WgslError> {
        let wgsl = Reader { file, text };
        wgsl.check_depth()?;
        wgsl.read(text.to_string(), entry, constants, |_| Ok(()))
    }

    /// Reads the text of a kernel in the project's own form: `params`, `base` and `epilogue` are added to it.
    ///
    /// # Errors
    /// As [`plain`](Self::plain), and if its bindings are others than the shapes ask for.
    pub fn kernel(
        file: &str,
        text: &str,
        shapes: &KernelShapes,
        constants: &[(String, f64)],
    ) -> Result<Wgsl, WgslError> {
        let wgsl = Reader { file, text };
        wgsl.check_depth()?;
        let whole = format!("{text}\n{}", added::added(text));
        let kernel = wgsl.read(whole, Some("main"), constants, |module| check_kernel(module, shapes))?;
        Ok(kernel)
    }

    /// The names of a text's compute entry points.
    ///
    /// # Errors
    /// If it is not valid WGSL or is nested too deeply.
    pub fn entry_points(file: &str, text: &str) -> Result<Vec<String>, WgslError> {
        let wgsl = Reader { file, text };
        wgsl.check_depth()?;
        let module = wgsl.on_stack(|| wgsl.parse(text).map(|(module, _)| module))??;
        Ok(compute(&module).map(|entry| entry.name.clone()).collect())
    }

    /// The entry point and its buffers, for people: a line each.
    pub fn listed(&self) -> String {
        let [x, y, z] = self.workgroup;
        let mut listed = format!("{}: {}, workgroups of {x}x{y}x{z}\n", self.file, self.entry);
        for Buffer { name, group, binding, space, ty, least, tail, .. } in &self.buffers {
            let space = match space {
                Space::Uniform => "uniform",
                Space::Read => "read",
                Space::ReadWrite => "read_write",
            };
            let bytes = match tail {
                None => format!("{least} bytes"),
                Some((0, stride)) => format!("{stride} bytes an element"),
                Some((begins, stride)) => format!("{begins} bytes, then {stride} an element"),
            };
            listed += &format!("  {group:>3} {binding:>3}  {space:<10}  {name:<24} {ty:<32} {bytes}\n");
        }
        listed
    }

    /// A JSON value as the bytes of a buffer.
    ///
    /// # Errors
    /// If it does not have the form of the buffer's type.
    pub fn bytes(&self, buffer: &Buffer, value: &serde_json::Value) -> Result<Vec<u8>, WgslError> {
        layout::bytes(&self.module, &self.layouter, buffer.handle, value)
            .map_err(|reason| self.layout(format!("`{}`: {reason}", buffer.name)))
    }

    /// An error of what was asked for.
    pub fn layout(&self, reason: String) -> WgslError {
        WgslError::Layout { file: self.file.clone(), reason }
    }

    /// Workgroups for one invocation an element.
    pub fn workgroups_for(&self, elements: u64) -> [u32; 3] {
        let threads = self.workgroup.iter().map(|n| u64::from(*n)).product::<u64>().max(1);
        let groups = elements.div_ceil(threads).clamp(1, 65_535 * 65_535) as usize;
        let [x, y] = crate::kernel::spread_groups(groups);
        [x, y, 1]
    }

    /// Compares what a dispatch needs with what the adapter has.
    pub(crate) fn check(
        &self,
        adapter: &str,
        limits: &wgpu::Limits,
        bytes: &[u64],
        dispatch: [u32; 3],
    ) -> Result<(), WgslError> {
        let count = |space: fn(Space) -> bool| self.buffers.iter().filter(|b| space(b.space)).count() as u64;
        let axes = ["x", "y", "z"];
        let threads = self.workgroup.iter().map(|n| u64::from(*n)).product();
        let sizes = [
            limits.max_compute_workgroup_size_x,
            limits.max_compute_workgroup_size_y,
            limits.max_compute_workgroup_size_z,
        ];
        let limit = |what: &str, asked: u64, most: u64| (what.to_string(), asked, most);
        let mut all = vec![
            limit("workgroup memory in bytes", self.workgroup_memory, limits.max_compute_workgroup_storage_size.into()),
            limit(
                "the number of invocations of a workgroup",
                threads,
                limits.max_compute_invocations_per_workgroup.into(),
            ),
            limit(
                "the number of storage buffers",
                count(|space| space != Space::Uniform),
                limits.max_storage_buffers_per_shader_stage.into(),
            ),
            limit(
                "the number of uniform buffers",
                count(|space| space == Space::Uniform),
                limits.max_uniform_buffers_per_shader_stage.into(),
            ),
        ];
        for n in 0..3 {
            all.push(limit(
                &format!("the size of a workgroup in {}", axes[n]),
                self.workgroup[n].into(),
                sizes[n].into(),
            ));
            all.push(limit(
                &format!("the number of workgroups in {}", axes[n]),
                dispatch[n].into(),
                limits.max_compute_workgroups_per_dimension.into(),
            ));
        }
        for (buffer, bytes) in self.buffers.iter().zip(bytes) {
            let binding = match buffer.space {
                Space::Uniform => limits.max_uniform_buffer_binding_size,
                _ => limits.max_storage_buffer_binding_size,
            };
            let most = binding.min(limits.max_buffer_size);
            all.push(limit(&format!("the size of `{}` in bytes", buffer.name), *bytes, most));
            let groups = u64::from(limits.max_bind_groups);
            all.push(limit(&format!("the group of `{}`", buffer.name), buffer.group.into(), groups.saturating_sub(1)));
            let most = u64::from(limits.max_bindings_per_bind_group).saturating_sub(1);
            all.push(limit(&format!("the binding of `{}`", buffer.name), buffer.binding.into(), most));
        }
        match all.into_iter().find(|(_, asked, most)| asked > most) {
            Some((what, asked, most)) => {
                Err(WgslError::Limit { file: self.file.clone(), adapter: adapter.into(), what, asked, most })
            }
            None => Ok(()),
        }
    }

    /// Compares a buffer's size with what its type needs.
    pub(crate) fn check_size(&self, buffer: &Buffer, given: u64) -> Result<(), WgslError> {
        let needed = match buffer.tail {
            _ if given < buffer.least => format!("{} bytes at least", buffer.least),
            Some((0, stride)) if !given.is_multiple_of(stride) => format!("{stride} bytes for each element"),
            Some((begins, stride)) if given > buffer.least && !(given - begins).is_multiple_of(stride) => {
                format!("{begins} bytes and {stride} for each element of its array")
            }
            _ if !given.is_multiple_of(4) => "a multiple of 4 bytes, as every binding does".into(),
            _ => return Ok(()),
        };
        let (file, binding, ty) = (self.file.clone(), buffer.name.clone(), buffer.ty.clone());
        Err(WgslError::Size { file, binding, ty, needed, given })
    }
}

fn compute(module: &Module) -> impl Iterator<Item = &naga::EntryPoint> {
    module.entry_points.iter().filter(|entry| entry.stage == ShaderStage::Compute)
}

/// A text on its way to naga.
struct Reader<'a> {
    file: &'a str,
    /// What the user wrote: the beginning of what is read.
    text: &'a str,
}

impl Reader<'_> {
    fn invalid(&self, words: &str) -> WgslError {
        WgslError::Invalid { file: self.file.into(), words: words.trim_end().into() }
    }

    fn layout(&self, reason: String) -> WgslError {
        WgslError::Layout { file: self.file.into(), reason }
    }

    fn check_depth(&self) -> Result<(), WgslError> {
        text::check_depth(self.text).map_err(|text::TooDeep { at, what, most }| WgslError::TooDeep {
            file: self.file.into(),
            line: text::line(self.text, at),
            what,
            most,
        })
    }

    fn on_stack<T: Send>(&self, run: impl FnOnce() -> T + Send) -> Result<T, WgslError> {
        on_large_stack(run).map_err(|reason| self.layout(reason))
    }

    /// Naga's words, of which none may be about text that the user has not written.
    fn words(&self, words: String, at: Option<u32>) -> WgslError {
        match at {
            Some(line) if line as usize > text::line(self.text, self.text.len()) => self.invalid(
                "it gives another meaning to a name of WGSL's own, such as `u32` or `vec4`, which the functions that are \
                 added to it need",
            ),
            _ => self.invalid(&words),
        }
    }

    fn parse(&self, whole: &str) -> Result<(Module, ModuleInfo), WgslError> {
        let module = naga::front::wgsl::parse_str(whole).map_err(|error| {
            let at = error.location(whole).map(|at| at.line_number);
            self.words(error.emit_to_string_with_path(whole, self.file), at)
        })?;
        if layout::deepest(&module) > DEEPEST_TYPE {
            return Err(self.invalid(&format!("its types stand in one another, more than {DEEPEST_TYPE} deep")));
        }
        // What an adapter lacks, it says itself.
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
        let info = validator.validate(&module).map_err(|error| {
            let at = error.location(whole).map(|at| at.line_number);
            self.words(error.emit_to_string_with_path(whole, self.file), at)
        })?;
        Ok((module, info))
    }

    fn read(
        &self,
        whole: String,
        entry: Option<&str>,
        constants: &[(String, f64)],
        check: impl Fn(&Module) -> Result<(), String> + Sync,
    ) -> Result<Wgsl, WgslError> {
        self.on_stack(|| {
            let (module, info) = self.parse(&whole)?;
            check(&module).map_err(|reason| self.layout(reason))?;
            let entry = self.entry(&module, entry)?;
            let given: PipelineConstants = constants.iter().cloned().collect();
            let stage = Some((ShaderStage::Compute, entry.as_str()));
            let (module, info) = pipeline_constants::process_overrides(&module, &info, stage, &given)
                .map_err(|error| self.layout(self.constant(&module, &error)))?;
            let number = module
                .entry_points
                .iter()
                .position(|point| point.name == entry && point.stage == ShaderStage::Compute)
                .expect("the entry point was found");
            let point = &module.entry_points[number];
            if let Some(found) = uniformity::divergent_barrier(&module, point) {
                return Err(self.divergent(&whole, found));
            }
            let mut layouter = Layouter::default();
            layouter.update(module.to_ctx()).map_err(|error| self.layout(error.to_string()))?;
            let info = info.get_entry_point(number);
            let workgroup = point.workgroup_size;
            let mut workgroup_memory = 0;
            let mut buffers = vec![];
            for (handle, variable) in module.global_variables.iter().filter(|(handle, _)| !info[*handle].is_empty()) {
                if variable.space == AddressSpace::WorkGroup {
                    workgroup_memory += u64::from(layouter[variable.ty].size).next_multiple_of(16);
                }
                buffers.extend(self.buffer(&module, &layouter, variable, info[handle])?);
            }
            buffers.sort_by_key(|buffer| (buffer.group, buffer.binding));
            let module = module.into_owned();
            let (file, constants) = (self.file.to_string(), constants.to_vec());
            let source = whole.clone();
            Ok(Wgsl { file, entry, workgroup, buffers, workgroup_memory, source, constants, module, layouter })
        })?
    }

    /// The entry point that is meant.
    fn entry(&self, module: &Module, wanted: Option<&str>) -> Result<String, WgslError> {
        let names: Vec<&str> = compute(module).map(|entry| entry.name.as_str()).collect();
        let listed = || if names.is_empty() { "none".into() } else { names.join(", ") };
        match (wanted, &names[..]) {
            (Some(wanted), _) if names.contains(&wanted) => Ok(wanted.into()),
            (Some("main"), _) => Err(self
                .layout(format!("it has no entry point `@compute fn main`; its compute entry points: {}", listed()))),
            (Some(wanted), _) => {
                Err(self.layout(format!("it has no compute entry point '{wanted}'; there are: {}", listed())))
            }
            (None, []) => {
                Err(self.layout("it has no compute entry point, `@compute @workgroup_size(..) fn ..`".into()))
            }
            (None, [name]) => Ok((*name).into()),
            (None, _) if names.contains(&"main") => Ok("main".into()),
            (None, _) => {
                Err(self.layout(format!("it has several compute entry points; name one by --entry: {}", listed())))
            }
        }
    }

    fn constant(&self, module: &Module, error: &pipeline_constants::PipelineConstantError) -> String {
        use pipeline_constants::PipelineConstantError as Error;
        let name = |constant: &naga::Override| match (constant.id, &constant.name) {
            (Some(id), Some(name)) => Some(format!("{id} ({name})")),
            (Some(id), None) => Some(id.to_string()),
            (None, name) => name.clone(),
        };
        let all: Vec<String> = module.overrides.iter().filter_map(|(_, constant)| name(constant)).collect();
        let all = if all.is_empty() { "none".into() } else { all.join(", ") };
        match error {
            Error::MissingValue(name) => {
                format!("the constant '{name}' has no value; give one by --override {name}=VALUE")
            }
            Error::NotFound(name) => format!("it has no constant '{name}' that can be overridden; there are: {all}"),
            other => format!("its constants can't be resolved: {other}; those that can be overridden are: {all}"),
        }
    }

    fn divergent(&self, whole: &str, found: uniformity::Divergent) -> WgslError {
        #[derive(Debug, thiserror::Error)]
        #[error("this barrier is reached by some invocations of a workgroup and not by others")]
        struct Barrier;
        let mut error = naga::WithSpan::new(Barrier).with_span(found.barrier, "the barrier");
        if let Some(because) = found.because {
            error = error.with_span(because, "this differs between the invocations of a workgroup");
        }
        let words = error.emit_to_string_with_path(whole, self.file).trim_end().to_string();
        WgslError::Divergent { file: self.file.into(), line: found.barrier.location(whole).line_number, words }
    }

    /// A global variable as a buffer, if it is bound.
    fn buffer(
        &self,
        module: &Module,
        layouter: &Layouter,
        variable: &naga::GlobalVariable,
        used: naga::valid::GlobalUse,
    ) -> Result<Option<Buffer>, WgslError> {
        let name = variable.name.clone().unwrap_or_else(|| "?".into());
        let ty = layout::written(module, variable.ty);
        let space = match variable.space {
            AddressSpace::Uniform => Space::Uniform,
            AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => Space::ReadWrite,
            AddressSpace::Storage { .. } => Space::Read,
            AddressSpace::Handle => {
                return Err(self.layout(format!("`{name}` is {ty}; only buffers can be bound here")));
            }
            AddressSpace::Immediate => {
                return Err(self.layout(format!("`{name}` is immediate data; only buffers can be bound here")));
            }
            _ => return Ok(None),
        };
        let Some(binding) = &variable.binding else { return Ok(None) };
        if matches!(module.types[variable.ty].inner, naga::TypeInner::BindingArray { .. }) {
            return Err(self.layout(format!("`{name}` is {ty}; one buffer a binding can be bound here")));
        }
        use naga::valid::GlobalUse as Use;
        let in_place = space == Space::ReadWrite && used.intersects(Use::READ | Use::ATOMIC);
        Ok(Some(Buffer {
            name,
            group: binding.group,
            binding: binding.binding,
            space,
            ty,
            least: layouter[variable.ty].size.into(),
            tail: layout::tail(module, variable.ty),
            number: layout::number(module, variable.ty),
            in_place,
            handle: variable.ty,
        }))
    }
}

const FIRST_INPUT: u32 = 3;

/// Binding 2 is written, those from 3 on are read, one a shape; 0 and 1 are the prelude's.
fn check_kernel(module: &Module, shapes: &KernelShapes) -> Result<(), String> {
    let count = shapes.inputs.len();
    if count > added::MOST_INPUTS {
        return Err(format!("{count} inputs; the prelude has views for {}", added::MOST_INPUTS));
    }
    let end = FIRST_INPUT + count as u32;
    let mut seen = vec![false; end as usize];
    seen[0] = true; // the prelude declares 1 alone, and keeps 0
    for (_, variable) in module.global_variables.iter() {
        let Some(binding) = &variable.binding else { continue };
        let (group, number, name) = (binding.group, binding.binding, variable.name.as_deref().unwrap_or("?"));
        if group != 0 || number >= end {
            return Err(format!(
                "`{name}` is binding {number} of group {group}; with {count} shapes after --in, bindings of group 0 end at \
                 {}. (Without --out-shape a file is taken as it stands, with --buffer for its bindings.)",
                end - 1
            ));
        }
        if std::mem::replace(&mut seen[number as usize], true) {
            let name = name.strip_prefix("hindsight").map_or(name, |_| "params");
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

fn is_array(module: &Module, variable: &naga::GlobalVariable, written: bool) -> bool {
    let AddressSpace::Storage { access } = variable.space else { return false };
    let array = matches!(module.types[variable.ty].inner, naga::TypeInner::Array { .. });
    array && access.contains(StorageAccess::STORE) == written
}

impl KernelShapes {
    /// The words of the uniform buffer at binding 1, of runs that lie so many elements apart.
    pub fn params(&self) -> Vec<u8> {
        let mut words = self.size.clone();
        words.resize(8, 0);
        words.push(KernelShapes::stride(self.elements) as u32);
        words.extend(self.inputs.iter().map(|elements| KernelShapes::stride(*elements) as u32));
        words.resize(added::PARAMS, 0);
        bytemuck::cast_slice(&words).to_vec()
    }

    /// Elements from one run's part to the next: kernels that read four numbers at a time find them in every run.
    pub fn stride(elements: usize) -> usize {
        elements.next_multiple_of(4)
    }

    /// Elements of a buffer of so many runs.
    pub fn of_runs(elements: usize, runs: usize) -> usize {
        (runs - 1) * KernelShapes::stride(elements) + elements
    }
}
