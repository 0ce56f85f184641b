//! `hindsight kernels list`: from the catalogue.

use crate::cli::{CliError, names, print};
use clap::Args;
use hindsight_kernels::catalogue::{self, Attribute, Entry, Takes, shape_text};

#[derive(Args, Default)]
pub struct ListArgs {
    /// Only this one, with every attribute explained [default: all, in short]
    #[arg(value_parser = names::kernel())]
    kernel: Option<&'static Entry>,
}

pub fn run(args: &ListArgs) -> Result<(), CliError> {
    match args.kernel {
        Some(entry) => print(&whole(entry)),
        None => {
            let all: Vec<String> = catalogue::entries().map(short).collect();
            print(&format!("{}\n{EXPLAINED}", all.join("\n")))
        }
    }
}

const EXPLAINED: &str = "\
tolerance: how far a result may be from that of double precision; not finite: what becomes of NaN and infinities.
`hindsight kernels list NAME` explains a kernel's attributes.
";

fn short(entry: &'static Entry) -> String {
    let attributes: Vec<String> = entry.attributes.iter().map(named).collect();
    head(entry) + &line("attributes", &attributes.join(", "))
}

fn named(attribute: &Attribute) -> String {
    match attribute.takes {
        Takes::Size | Takes::Count => attribute.name.into(),
        Takes::Flag => format!("{}=false|true", attribute.name),
        Takes::OneOf(words) => format!("{}={}", attribute.name, words.join("|")),
    }
}

fn whole(entry: &'static Entry) -> String {
    let explained = |attribute: &Attribute| {
        let value = format!("{} ({}, default {})", attribute.meaning, attribute.wanted(), attribute.default_text());
        line(&format!("  {}", attribute.name), &value)
    };
    head(entry) + "  attributes\n" + &entry.attributes.iter().map(explained).collect::<String>()
}

/// Name, meaning, operands, result, what is promised of it, variants.
fn head(entry: &'static Entry) -> String {
    let values = entry.complete(&[]).expect("defaults are valid");
    let reads: Vec<String> = (entry.operands)(&values).iter().map(|operand| operand.text()).collect();
    let mut text = format!("{}: {}\n", entry.name, entry.computes);
    text += &line("reads", &reads.join("; "));
    text += &line("gives", &format!("float32 {}", shape_text(&(entry.result)(&values))));
    text += &line("tolerance", &entry.tolerance.text());
    text += &line("not finite", &entry.non_finite.text());
    let variants: Vec<String> = entry.variants().iter().map(|variant| variant.name().to_string()).collect();
    if !variants.is_empty() {
        text += &line("variants", &variants.join(", "));
    }
    text
}

fn line(title: &str, what: &str) -> String {
    format!("  {title:<12}{what}\n")
}
