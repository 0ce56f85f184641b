//! `hindsight kernels show`: a shader as a driver gets it. No adapter is needed.

use super::attribute;
use super::error::KernelsError;
use super::program::ProgramArgs;
use crate::cli::names::Form;
use crate::cli::{CliError, names, print, refuse};
use clap::Args;
use hindsight::report::{Grid, write_file};
use hindsight_kernels::catalogue::Entry;
use hindsight_kernels::translate::{Composed, Translation, adapter_for};
use hindsight_kernels::{Launch, Variant};
use std::path::PathBuf;

#[derive(Args)]
pub struct ShowArgs {
    /// The kernel
    #[arg(value_parser = names::kernel(), required_unless_present = "method", conflicts_with = "method")]
    kernel: Option<&'static Entry>,

    #[command(flatten)]
    program: ProgramArgs,

    /// Which launch of the program to show [default: a list of all]
    #[arg(long, value_name = "N", requires = "method", help_heading = "A program")]
    launch: Option<usize>,

    /// The language
    #[arg(long, default_value = "source", value_parser = names::form())]
    target: Form,

    /// How a product or convolution is computed [default: the likeliest tile, as on plain hardware]
    #[arg(long, value_parser = names::variant())]
    variant: Option<Variant>,

    /// As software Vulkan gets it
    #[arg(long)]
    software: bool,

    /// An attribute of the kernel, as `hindsight kernels list NAME` explains them; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = attribute, conflicts_with = "method")]
    attr: Vec<(String, String)>,

    /// Write the shader to a file: SPIR-V in binary, which is else disassembled
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn run(args: &ShowArgs) -> Result<(), CliError> {
    let Some(launches) = args.program.launches()? else {
        let kernel = args.kernel.expect("clap wants a kernel or a program");
        return show(args, &composed(args, kernel)?);
    };
    match args.launch {
        None => print(&table(&args.program.title(), &launches)),
        Some(n) => match launches.get(n) {
            Some(launch) => show(args, &Composed::of(launch, &adapter_for(args.variant, args.software))),
            None => refuse(format!("{} has launches 0 to {}, not {n}", args.program.title(), launches.len() - 1)),
        },
    }
}

fn composed(args: &ShowArgs, entry: &Entry) -> Result<Composed, KernelsError> {
    if args.variant.is_some() && entry.variants().is_empty() {
        refuse(format!("{} is computed in one way only; leave --variant out", entry.name));
    }
    let values = entry.parse(&args.attr).map_err(KernelsError::Attributes)?;
    Ok(Composed::of(&entry.launch(&values, args.variant), &adapter_for(args.variant, args.software)))
}

fn show(args: &ShowArgs, shader: &Composed) -> Result<(), CliError> {
    let translated = shader.resolve().and_then(|valid| match args.target {
        Form::In(target) => valid.translate(target),
        Form::Source => Ok(Translation::Text(header(shader) + &shader.source)),
    });
    let translation = translated.map_err(|source| KernelsError::Shader { kernel: shader.name, source })?;
    match &args.out {
        Some(path) => Ok(write_file(path, translation.bytes())?),
        None => print(&translation.text()),
    }
}

/// What the text does not say: where it begins, what its constants are, how it is launched.
fn header(shader: &Composed) -> String {
    let constants: Vec<String> = shader.constants.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let [x, y] = shader.groups;
    let with = if constants.is_empty() { String::new() } else { format!(", {}", constants.join(", ")) };
    format!(
        "// {}: entry point {}{with}; {x} x {y} workgroups a run; sizes {:?}\n\n",
        shader.name, shader.entry, shader.size
    )
}

fn table(title: &str, launches: &[Launch]) -> String {
    let mut grid = Grid::new(&["launch", "sizes", "operands", "chained", "flops", "bytes"]);
    for (n, launch) in launches.iter().enumerate() {
        let (kernel, cost) = (launch.kernel.describe(), launch.cost());
        let [operands, chained] = [launch.inputs.len(), launch.epilogue.operations()].map(|n| n.to_string());
        grid.push(vec![
            format!("{n:>3}  {}", kernel.name()),
            kernel.shape(),
            operands,
            chained,
            cost.flops.to_string(),
            cost.bytes.to_string(),
        ]);
    }
    format!(
        "{title}, one step of one run in the second task: {} launches\n\n{}\n\
         `--launch N` shows a shader; `chained`: operations that are fused into it.\n",
        launches.len(),
        grid.to_text(),
    )
}
