//! Which adapters a user's choice means, of those that a machine has.

use crate::device::{AdapterSummary, DeviceChoice, DeviceError};

/// The devices that a choice allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Indices of adapters, in the order in which they are to be tried.
    pub adapters: Vec<usize>,
    /// Whether the CPU is taken where none of them opens.
    pub or_cpu: bool,
}

/// Finds the adapters that a choice means: for `auto` and `gpu` discrete hardware, then integrated, then any other, and of
/// equals the one that is listed first; `gpu` ends with software, which `auto` never takes.
///
/// # Errors
/// If there is no such adapter, or a part of a name is in several and is not the whole name of one alone.
pub fn choose(choice: &DeviceChoice, adapters: &[AdapterSummary]) -> Result<Chosen, DeviceError> {
    let one = |adapter: &AdapterSummary| Ok(Chosen { adapters: vec![adapter.index], or_cpu: false });
    match choice {
        DeviceChoice::Cpu => Ok(Chosen { adapters: vec![], or_cpu: true }),
        DeviceChoice::Auto => Ok(Chosen { adapters: preferred(adapters, |a| !a.traits.software), or_cpu: true }),
        _ if adapters.is_empty() => Err(DeviceError::NoAdapter),
        DeviceChoice::Gpu => Ok(Chosen { adapters: preferred(adapters, |_| true), or_cpu: false }),
        DeviceChoice::Index(index) => match adapters.iter().find(|adapter| adapter.index == *index) {
            Some(adapter) => one(adapter),
            None => Err(unknown(format!("the index {index}"), adapters)),
        },
        DeviceChoice::Named(wanted) => {
            let small = wanted.to_lowercase();
            let name = |adapter: &AdapterSummary| adapter.traits.name.to_lowercase();
            let having: Vec<_> = adapters.iter().filter(|adapter| name(adapter).contains(&small)).collect();
            let being: Vec<_> = having.iter().copied().filter(|adapter| name(adapter) == small).collect();
            match (&having[..], &being[..]) {
                ([], _) => Err(unknown(format!("'{wanted}' in its name"), adapters)),
                ([adapter], _) | (_, [adapter]) => one(adapter),
                _ => Err(DeviceError::Ambiguous { wanted: wanted.clone(), candidates: listed(having) }),
            }
        }
    }
}

fn preferred(adapters: &[AdapterSummary], allowed: impl Fn(&AdapterSummary) -> bool) -> Vec<usize> {
    let mut allowed: Vec<_> = adapters.iter().filter(|adapter| allowed(adapter)).collect();
    allowed.sort_by_key(|adapter| (adapter.traits.software, adapter.traits.kind, adapter.index));
    allowed.into_iter().map(|adapter| adapter.index).collect()
}

fn unknown(wanted: String, adapters: &[AdapterSummary]) -> DeviceError {
    DeviceError::Unknown { wanted, present: listed(adapters.iter().collect()) }
}

fn listed(adapters: Vec<&AdapterSummary>) -> String {
    let listed =
        |a: &&AdapterSummary| format!("{} {} ({}, {})", a.index, a.traits.name, a.traits.kind, a.traits.backend);
    adapters.iter().map(listed).collect::<Vec<_>>().join("; ")
}
