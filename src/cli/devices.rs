//! `hindsight devices`: the adapters, their limits and features that matter here.

use super::{CliError, print};
use hindsight::device::{self, AdapterSummary, Traits};

const NONE: &str = "\
No GPU adapter was found: this needs a Vulkan, Metal or DX12 driver.
Everything works without one, with `--device cpu`, which `auto` takes here.
";

pub fn run() -> Result<(), CliError> {
    let adapters = device::list();
    if adapters.is_empty() {
        return print(NONE);
    }
    let listed: Vec<String> = adapters.iter().map(describe).collect();
    print(&format!(
        "{}\n`--device` takes an index, a part of a name that no other adapter has, or cpu.\n",
        listed.join("\n")
    ))
}

fn describe(adapter: &AdapterSummary) -> String {
    let AdapterSummary { index, traits: Traits { name, backend, driver, kind, .. }, limits, features } = adapter;
    let mut text = format!("{index}  {name}\n");
    let features = if features.is_empty() { "none that matter here".into() } else { features.join(", ") };
    let kind = kind.to_string();
    let facts = [("type", &kind), ("backend", backend), ("driver", driver), ("features", &features)];
    let limits = limits.iter().map(|(name, value)| (name.as_str(), value));
    for (name, value) in facts.into_iter().chain(limits) {
        text += &format!("   {name:<20} {value}\n");
    }
    text
}
