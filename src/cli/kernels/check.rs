//! `hindsight kernels check`: every shader of the catalogue, in every variant, for every target.

use super::error::KernelsError;
use super::program::ProgramArgs;
use crate::cli::{CliError, print};
use clap::Args;
use hindsight::report::Grid;
use hindsight_kernels::check::{Checked, Spirv, Verdict, cases, cases_of};
use hindsight_kernels::translate::Target;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal;

#[derive(Args)]
pub struct CheckArgs {
    #[command(flatten)]
    program: ProgramArgs,
}

pub fn run(args: &CheckArgs) -> Result<(), CliError> {
    let spirv = Spirv::find();
    let all = match args.program.launches()? {
        Some(launches) => cases_of(&launches),
        None => cases(),
    };
    let bar = bar(all.len());
    let checked: Vec<Checked> = bar.wrap_iter(all.into_iter()).map(|case| case.check(spirv.as_ref())).collect();
    bar.finish_and_clear();
    print(&report(&checked, spirv.as_ref()))?;
    let failed = checked.iter().flat_map(|c| c.verdicts.values()).filter(|v| matches!(v, Verdict::Failed(_))).count();
    if failed == 0 { Ok(()) } else { Err(KernelsError::Invalid(failed).into()) }
}

fn bar(shaders: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:24.cyan/dim} {pos} of {len} shaders");
    ProgressBar::new(shaders as u64).with_style(style.expect("the template is well-formed"))
}

fn report(checked: &[Checked], spirv: Option<&Spirv>) -> String {
    let by = match spirv {
        Some(spirv) => format!("SPIR-V is also validated by {}", spirv.version()),
        None => "spirv-val is not installed: SPIR-V is as naga writes it".into(),
    };
    let versions: Vec<&str> = Target::ALL.iter().map(|target| target.version()).collect();
    let mut text = format!(
        "{}\nTargets: {}. Each is written by naga from what it has validated; no platform's own compiler is asked.\n{by}.\n",
        table(checked),
        versions.join("; ")
    );
    for (reason, count) in not_expressible(checked) {
        text += &format!("\n-  {count} {reason}\n");
    }
    for Checked { case, verdicts } in checked {
        for (target, verdict) in verdicts {
            if let Verdict::Failed(reason) = verdict {
                text += &format!("\nFAILED: {} as {}: {reason}\n", case.text(), target.name());
            }
        }
    }
    text
}

/// A row a kernel and variant, a column a target: how many passed of how many.
fn table(checked: &[Checked]) -> String {
    let names = Target::ALL.iter().map(|target| target.name());
    let header: Vec<&str> = ["kernel", "shaders"].into_iter().chain(names).collect();
    let mut grid = Grid::new(&header);
    let mut groups: BTreeMap<String, Vec<&Checked>> = BTreeMap::new();
    for one in checked {
        let variant = one.case.variant.map(|variant| format!(" {}", variant.name())).unwrap_or_default();
        groups.entry(format!("{}{variant}", one.case.name)).or_default().push(one);
    }
    for (name, group) in groups {
        let cells = Target::ALL.iter().map(|target| cell(&group, *target));
        grid.push([name, group.len().to_string()].into_iter().chain(cells).collect());
    }
    grid.to_text()
}

/// `9`, `5, 4 -`, `8, 1 FAILED`
fn cell(group: &[&Checked], target: Target) -> String {
    let count = |wanted: fn(&Verdict) -> bool| group.iter().filter(|one| wanted(&one.verdicts[&target])).count();
    let counts = [
        (count(|v| matches!(v, Verdict::Passed)), "passed"),
        (count(|v| matches!(v, Verdict::NotExpressible(_))), "-"),
        (count(|v| matches!(v, Verdict::Failed(_))), "FAILED"),
    ];
    let said = counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    said.collect::<Vec<_>>().join(", ")
}

fn not_expressible(checked: &[Checked]) -> BTreeMap<&str, usize> {
    let mut reasons = BTreeMap::new();
    for verdict in checked.iter().flat_map(|one| one.verdicts.values()) {
        if let Verdict::NotExpressible(reason) = verdict {
            *reasons.entry(reason.as_str()).or_default() += 1;
        }
    }
    reasons
}
