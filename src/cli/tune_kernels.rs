//! `hindsight tune-kernels`: times the variants of each kernel on a GPU and keeps the fastest.

use super::place::Place;
use super::{CliError, print, refuse};
use clap::Args;
use hindsight::bench::{Case, cases};
use hindsight::report::Grid;
use hindsight_kernels::autotune::{self, Choice, Timed};
use hindsight_kernels::{Device, Gpu};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Args)]
pub struct TuneKernelsArgs {
    /// Only products in whose kernel, name or size this stands (`hindsight bench --list` has them)
    #[arg(long, value_name = "PATTERN")]
    only: Option<String>,

    #[command(flatten)]
    place: Place,
}

pub fn run(args: &TuneKernelsArgs) -> Result<(), CliError> {
    let device = args.place.open()?;
    let Device::Gpu(gpu) = &device else {
        refuse("the CPU computes each kernel in one way; there is nothing to tune. `hindsight devices` lists GPUs");
    };
    let matches = |case: &Case| args.only.as_ref().is_none_or(|pattern| case.matches(pattern));
    let products = |case: &Case| case.kernel.describe().as_tunable().is_some();
    let cases: Vec<_> = cases::all(&device).into_iter().filter(|case| products(case) && matches(case)).collect();
    if cases.is_empty() {
        refuse(format!("no product has '{}' in its kernel, name or size", args.only.as_deref().unwrap_or_default()));
    }
    let mut table = Grid::new(&["Products", "chosen", "each", "of the likeliest's time", "behind it"]);
    let bar = ProgressBar::new(cases.len() as u64);
    bar.set_style(ProgressStyle::with_template("{pos} of {len}: {msg}").expect("a template of known keys"));
    let mut seen = BTreeSet::new();
    for case in &cases {
        bar.set_message(case.name.clone());
        let choice = tune(gpu, case).filter(|choice| seen.insert(choice.class.clone()));
        table.rows.extend(choice.map(|choice| row(&choice)));
        bar.inc(1);
    }
    bar.finish_and_clear();
    if table.rows.is_empty() {
        return print(&format!("{}: each kernel has one variant here; there is nothing to tune.\n", device.describe()));
    }
    let kept = match gpu.traits().choices.keep() {
        Ok(Some(file)) => format!("Kept in {}.", file.display()),
        Ok(None) => "Kept nowhere: there is no folder for caches.".into(),
        Err(error) => format!("warning: not kept ({error}); the next run times them again"),
    };
    print(&format!("{}\n\n{}\n{kept}\n", device.describe(), table.to_text()))
}

fn tune(gpu: &Arc<Gpu>, case: &Case) -> Option<Choice> {
    autotune::choose(gpu, case.kernel.describe())
}

fn row(choice: &Choice) -> Vec<String> {
    let [first, others @ ..] = choice.timed.as_slice() else { panic!("a choice is among several") };
    let likeliest = choice.timed.iter().find(|timed| timed.variant == choice.likeliest).expect("it is a candidate");
    let one = |timed: &Timed| format!("{} {:.1}", timed.variant.name(), 1e6 * timed.seconds);
    vec![
        choice.class.clone(),
        first.variant.name().into(),
        format!("{:.1} us", 1e6 * first.seconds),
        format!("{:.2}", first.seconds / likeliest.seconds),
        others.iter().map(one).collect::<Vec<_>>().join(", "),
    ]
}
