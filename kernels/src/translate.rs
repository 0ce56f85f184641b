//! Shaders as the drivers of other platforms get them: composed, checked and translated by naga. No adapter is needed.

use crate::gpu::{AdapterKind, Traits, compose};
use crate::launch::Launch;
use crate::matmul::Variant;
use naga::back::{glsl, hlsl, msl, pipeline_constants, spv, wgsl};
use naga::proc::BoundsCheckPolicies;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{Module, ShaderStage};

/// A language of shaders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// WebGPU's own, with all constants in their places and without what is not used.
    Wgsl,
    /// Vulkan's.
    Spirv,
    /// Metal's.
    Msl,
    /// Direct3D's.
    Hlsl,
    /// OpenGL's.
    Glsl,
}

impl Target {
    /// All of them.
    pub const ALL: [Target; 5] = [Target::Wgsl, Target::Spirv, Target::Msl, Target::Hlsl, Target::Glsl];

    /// Its name, as a file's ending.
    pub fn name(self) -> &'static str {
        match self {
            Target::Wgsl => "wgsl",
            Target::Spirv => "spirv",
            Target::Msl => "msl",
            Target::Hlsl => "hlsl",
            Target::Glsl => "glsl",
        }
    }

    /// Which version of it.
    pub fn version(self) -> &'static str {
        match self {
            Target::Wgsl => "WGSL",
            Target::Spirv => "SPIR-V 1.3",
            Target::Msl => "Metal Shading Language 2.3",
            Target::Hlsl => "HLSL, shader model 6.0",
            Target::Glsl => "GLSL 4.50",
        }
    }
}

/// A shader in a target's language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Translation {
    /// Text.
    Text(String),
    /// SPIR-V.
    Words(Vec<u32>),
}

impl Translation {
    /// For people: text as it is, SPIR-V disassembled.
    pub fn text(&self) -> String {
        match self {
            Translation::Text(text) => text.clone(),
            Translation::Words(words) => disassembly(words),
        }
    }

    /// For a file.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Translation::Text(text) => text.clone().into_bytes(),
            Translation::Words(words) => words.iter().flat_map(|word| word.to_le_bytes()).collect(),
        }
    }
}

fn disassembly(words: &[u32]) -> String {
    use rspirv::binary::Disassemble;
    let module = rspirv::dr::load_words(words).expect("what naga writes has the form of SPIR-V");
    module.disassemble() + "\n"
}

/// Why there is no translation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TranslateError {
    /// The shader is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The language has no words for it.
    #[error("not expressible in {}: {reason}", .target.version())]
    NotExpressible {
        /// The language.
        target: Target,
        /// What it lacks.
        reason: &'static str,
    },
}

/// What an adapter is that runs products in this variant; by default, plain hardware, or such `software` as there is.
pub fn adapter_for(variant: Option<Variant>, software: bool) -> Traits {
    let cooperative = variant == Some(Variant::Cooperative);
    let subgroups = cooperative || variant == Some(Variant::Subgroup) || (software && variant.is_none());
    let wide_integers = software;
    let software = software || matches!(variant, Some(Variant::Plain | Variant::Subgroup));
    Traits {
        name: "any".into(),
        driver: String::new(),
        backend: "Vulkan".into(),
        kind: if software { AdapterKind::Software } else { AdapterKind::Discrete },
        software,
        subgroup: subgroups.then_some(8),
        cooperative,
        wide_integers,
        half: true,
        workgroup_memory: 48 << 10,
        workgroup_threads: 1024,
        loop_budget: None,
        choices: Default::default(),
    }
}

/// A whole shader, as a device is handed it: a text, where it begins, and the values of its constants.
#[derive(Clone, Debug, PartialEq)]
pub struct Composed {
    /// The kernel.
    pub name: &'static str,
    /// WGSL: prelude, kernel, epilogue.
    pub source: String,
    /// The entry point.
    pub entry: &'static str,
    /// Pipeline-overridable constants.
    pub constants: Vec<(&'static str, f64)>,
    /// The numbers in `params.size` and `params.more`.
    pub size: Vec<u32>,
    /// Workgroups in x and y; z counts the runs.
    pub groups: [u32; 2],
    capabilities: Capabilities,
}

impl Composed {
    /// The shader of a launch on such an adapter.
    pub fn of(launch: &Launch, adapter: &Traits) -> Composed {
        let kernel = launch.kernel.describe();
        let shader = launch.shader(adapter);
        let mut capabilities = Capabilities::IMMEDIATES;
        capabilities.set(Capabilities::SUBGROUP, adapter.subgroup.is_some());
        capabilities.set(Capabilities::COOPERATIVE_MATRIX, adapter.cooperative);
        capabilities.set(Capabilities::SHADER_INT64, adapter.wide_integers);
        capabilities.set(Capabilities::SHADER_FLOAT16, adapter.half);
        Composed {
            name: kernel.name(),
            source: compose(adapter, launch, &shader.source),
            entry: shader.entry,
            constants: shader.constants,
            size: shader.size,
            groups: shader.groups,
            capabilities,
        }
    }

    /// Reads and checks the text, and puts the constants in their places.
    ///
    /// # Errors
    /// If the text is no valid WGSL, or asks for more than its adapter has.
    pub fn resolve(&self) -> Result<Resolved, TranslateError> {
        let (module, info) = parse(&self.source, self.capabilities)?;
        let constants = self.constants.iter().map(|(name, value)| (name.to_string(), *value)).collect();
        let entry = (ShaderStage::Compute, self.entry);
        let (module, info) = pipeline_constants::process_overrides(&module, &info, Some(entry), &constants)
            .map_err(|error| TranslateError::Invalid(describe(&error)))?;
        let mut module = module.into_owned();
        // Nothing refers to them any longer.
        module.overrides.clear();
        Ok(Resolved { module, info: info.into_owned(), entry: self.entry.into(), capabilities: self.capabilities })
    }
}

fn parse(source: &str, capabilities: Capabilities) -> Result<(Module, ModuleInfo), TranslateError> {
    let module =
        naga::front::wgsl::parse_str(source).map_err(|error| TranslateError::Invalid(error.emit_to_string(source)))?;
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .validate(&module)
        .map_err(|error| TranslateError::Invalid(error.emit_to_string(source)))?;
    Ok((module, info))
}

/// An error, and what caused it.
fn describe(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// A valid shader without open constants.
pub struct Resolved {
    module: Module,
    info: ModuleInfo,
    entry: String,
    capabilities: Capabilities,
}

impl Resolved {
    /// The shader in another language.
    ///
    /// # Errors
    /// If the language cannot express it, or naga does not translate it.
    pub fn translate(&self, target: Target) -> Result<Translation, TranslateError> {
        if let Some(reason) = self.lacking(target) {
            return Err(TranslateError::NotExpressible { target, reason });
        }
        let invalid = |error: &dyn std::error::Error| TranslateError::Invalid(describe(error));
        match target {
            Target::Wgsl => self.wgsl().map(Translation::Text),
            Target::Spirv => self.spirv().map(Translation::Words).map_err(|error| invalid(&error)),
            Target::Msl => self.msl().map(Translation::Text).map_err(|error| invalid(&error)),
            Target::Hlsl => self.hlsl().map(Translation::Text).map_err(|error| invalid(&error)),
            Target::Glsl => self.glsl().map(Translation::Text).map_err(|error| invalid(&error)),
        }
    }

    /// What a language lacks that the shader needs.
    fn lacking(&self, target: Target) -> Option<&'static str> {
        let wide = |(_, ty): (_, &naga::Type)| match ty.inner {
            naga::TypeInner::Scalar(scalar) | naga::TypeInner::Vector { scalar, .. } => {
                scalar.width == 8 && matches!(scalar.kind, naga::ScalarKind::Uint | naga::ScalarKind::Sint)
            }
            _ => false,
        };
        let cooperative = |(_, ty): (_, &naga::Type)| matches!(ty.inner, naga::TypeInner::CooperativeMatrix { .. });
        let types = || self.module.types.iter();
        match target {
            Target::Glsl | Target::Hlsl if types().any(cooperative) => Some("naga knows no cooperative matrices there"),
            Target::Glsl if types().any(wide) => Some("it has no integers of 64 bits"),
            _ => None,
        }
    }

    /// Written, and read again: what naga writes must be what it reads.
    fn wgsl(&self) -> Result<String, TranslateError> {
        let text = wgsl::write_string(&self.module, &self.info, wgsl::WriterFlags::empty())
            .map_err(|error| TranslateError::Invalid(describe(&error)))?;
        parse(&text, self.capabilities)?;
        Ok(text)
    }

    fn spirv(&self) -> Result<Vec<u32>, spv::Error> {
        let options = spv::Options { lang_version: (1, 3), flags: spv::WriterFlags::DEBUG, ..Default::default() };
        let entry = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: self.entry.clone() };
        spv::write_vec(&self.module, &self.info, &options, Some(&entry))
    }

    fn msl(&self) -> Result<String, msl::Error> {
        let options = msl::Options { lang_version: (2, 3), ..Default::default() };
        let pipeline = msl::PipelineOptions { entry_point: self.entry_point(), ..Default::default() };
        Ok(msl::write_string(&self.module, &self.info, &options, &pipeline)?.0)
    }

    fn hlsl(&self) -> Result<String, hlsl::Error> {
        let options = hlsl::Options {
            shader_model: hlsl::ShaderModel::V6_0,
            immediates_target: Some(hlsl::BindTarget::default()),
            ..Default::default()
        };
        let pipeline = hlsl::PipelineOptions { entry_point: self.entry_point() };
        let mut text = String::new();
        hlsl::Writer::new(&mut text, &options, &pipeline).write(&self.module, &self.info, None)?;
        Ok(text)
    }

    fn glsl(&self) -> Result<String, glsl::Error> {
        let options = glsl::Options { version: glsl::Version::Desktop(450), ..Default::default() };
        let pipeline = glsl::PipelineOptions {
            shader_stage: ShaderStage::Compute,
            entry_point: self.entry.clone(),
            multiview: None,
        };
        let mut text = String::new();
        let policies = BoundsCheckPolicies::default();
        glsl::Writer::new(&mut text, &self.module, &self.info, &options, &pipeline, policies)?.write()?;
        Ok(text)
    }

    fn entry_point(&self) -> Option<(ShaderStage, String)> {
        Some((ShaderStage::Compute, self.entry.clone()))
    }
}
