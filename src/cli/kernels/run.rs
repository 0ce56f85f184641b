//! `hindsight kernels run`: a kernel on a user's own arrays, beside its twin in double precision.

use super::arrays;
use super::attribute;
use super::error::KernelsError;
use super::timing::{self, Timing};
use crate::cli::{CliError, names, place, print, refuse};
use clap::Args;
use hindsight::device::{Device, DeviceChoice, Tuning};
use hindsight::npy;
use hindsight::report::write_file;
use hindsight_kernels::catalogue::{Entry, Tolerance, Values, are_finite};
use hindsight_kernels::trial::{Difference, Elements, Trial};
use hindsight_kernels::{Launch, Variant};
use indicatif::ProgressBar;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Args)]
pub struct RunArgs {
    /// The kernel
    #[arg(value_parser = names::kernel())]
    kernel: &'static Entry,

    /// An array that it reads, in the order of `hindsight kernels list`; float64 is rounded to float32
    #[arg(long = "in", value_name = "FILE.npy")]
    inputs: Vec<PathBuf>,

    /// Where to write the result, float32; not written where it is off by more than --tolerance
    /// [default: nowhere]
    #[arg(long, value_name = "FILE.npy")]
    out: Option<PathBuf>,

    /// An attribute that the arrays do not tell; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = attribute)]
    attr: Vec<(String, String)>,

    /// How a GPU computes a product or convolution [default: as it suits the adapter]
    #[arg(long, value_parser = names::variant())]
    variant: Option<Variant>,

    /// How far an element may be from that of double precision, as a fraction of what `hindsight
    /// kernels list NAME` says: for sums, of the sum of its terms' absolute values; else of the
    /// largest number. Beyond it, the command fails with exit code 1 [default: the kernel's own,
    /// listed there]
    #[arg(long, value_name = "FRACTION", value_parser = fraction)]
    tolerance: Option<f64>,

    /// auto (the best hardware GPU, else cpu), gpu, cpu, or an index or part of a name from `hindsight devices`
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
}

pub fn run(args: &RunArgs) -> Result<(), CliError> {
    let entry = args.kernel;
    if args.variant.is_some() && entry.variants().is_empty() {
        refuse(format!("{} is computed in one way only; leave --variant out", entry.name));
    }
    let (values, operands) = arrays::read(entry, &args.attr, &args.inputs)?;
    let device = place::open(&args.device, &Tuning::Off)?;
    refuse_variant(args.variant, &device)?;
    refuse_too_large(entry, &values, &operands, &device)?;
    let launch = entry.launch(&values, args.variant);
    device.check_loops(std::slice::from_ref(&launch)).map_err(KernelsError::Loops)?;
    let fraction = args.tolerance.unwrap_or(entry.tolerance.fraction);
    let tolerance = Tolerance { fraction, ..entry.tolerance };
    // What a kernel makes of NaN and infinities is promised on some devices only.
    let judged = entry.non_finite.on_gpus || !matches!(device, Device::Gpu(_)) || are_finite(&operands);
    let live = ProgressBar::new_spinner().with_message("computing in double precision");
    live.enable_steady_tick(Duration::from_millis(100));
    let oracle = Trial::new(&Device::Oracle, launch.clone(), &operands).result();
    live.set_message(format!("computing on {}", device.adapter_name()));
    let mut trial = Trial::new(&device, launch.clone(), &operands);
    let result = trial.result();
    let off = entry.first_off(&launch, &operands, [&result, &oracle], tolerance).filter(|_| judged);
    if let Some(off) = off {
        live.finish_and_clear();
        return Err(KernelsError::Off { off, tolerance: tolerance.text() }.into());
    }
    let times = timing::measure(&mut trial, &live);
    live.finish_and_clear();
    if let Some(path) = &args.out {
        let shape: Vec<usize> = (entry.result)(&values).iter().map(|axis| axis.length(&values)).collect();
        write_file(path, npy::encode(&shape, result.iter().map(|x| *x as f32)))?;
    }
    let judgement = match judged {
        true => format!("within the tolerance: {}", tolerance.text()),
        false => "not judged: with NaN or infinities among the operands, the result is undefined on a GPU".into(),
    };
    print(&report(args, &device, &values, &launch, (&Difference::between(&result, &oracle), &judgement), &times))
}

/// A number from 0 on.
fn fraction(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|x: &f64| x.is_finite() && *x >= 0.0);
    number.ok_or_else(|| "give a number from 0 on, such as 1e-4".into())
}

/// Only a GPU has variants, and not every GPU each.
fn refuse_variant(variant: Option<Variant>, device: &Device) -> Result<(), KernelsError> {
    let Some(variant) = variant else { return Ok(()) };
    let reason = match device {
        Device::Gpu(gpu) if variant.runs_on(gpu.traits()) => return Ok(()),
        Device::Gpu(_) if variant == Variant::Subgroup => {
            "it wants subgroups of eight lanes; take another variant or --device"
        }
        Device::Gpu(_) if variant == Variant::Cooperative => {
            "it wants cooperative matrices of single precision (`hindsight devices` lists them), and \
             HINDSIGHT_COOPERATIVE_MATRICES=1; take another variant or --device"
        }
        Device::Gpu(_) => "it wants more workgroup memory or threads; take another variant or --device",
        _ => "variants are a GPU's; leave --variant out, or take --device gpu",
    };
    Err(KernelsError::Variant { variant, device: device.adapter_name(), reason })
}

/// Everything lies several times in host memory: as it was read and with its absolute values, in
/// double precision; as the oracle has it; and as the device does.
fn refuse_too_large(
    entry: &Entry,
    values: &Values,
    operands: &[Elements],
    device: &Device,
) -> Result<(), KernelsError> {
    const COPIES: u64 = 3 * 8 + 4;
    let result = (entry.result)(values).iter().map(|axis| axis.length(values) as u64).product::<u64>();
    let elements: u64 = operands.iter().map(|operand| operand.count() as u64).sum::<u64>() + result;
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let refused = |needed, there| Err(KernelsError::Memory { needed: mib(needed), there: mib(there) });
    if let Some(there) = Device::Oracle.room().memory.filter(|there| elements * COPIES > *there) {
        return refused(elements * COPIES, there);
    }
    let largest = operands.iter().map(|operand| operand.count() as u64).chain([result]).max().unwrap_or(0);
    match device.room().buffer.filter(|there| largest * 4 > *there) {
        Some(there) => refused(largest * 4, there),
        None => Ok(()),
    }
}

fn report(
    args: &RunArgs,
    device: &Device,
    values: &Values,
    launch: &Launch,
    (difference, judgement): (&Difference, &str),
    times: &Timing,
) -> String {
    let variant = args.variant.map(|variant| format!(", {}", variant.name())).unwrap_or_default();
    let threads = if matches!(device, Device::Cpu) { ", on one of them: a run is one thread's" } else { "" };
    let written = args.out.as_ref().map(|path| format!("written     {}\n", path.display())).unwrap_or_default();
    format!(
        "{} on {}{threads}{variant}\n\
         attributes  {}\n\
         difference  from the twin in double precision: {:.2e} at most; {:.2e} of the largest element, {:.2e} of the element itself\n\
         \x20           {judgement}\n\
         time        {}\n\
         {written}",
        args.kernel.name,
        device.describe(),
        values.text(args.kernel.attributes),
        difference.absolute,
        difference.of_largest,
        difference.of_own,
        times.text(&launch.cost()),
    )
}
