//! What got slower since another run, and whether the samples of both are sure of it.

use super::file::{Machine, Measurements};
use super::measure::Measured;

/// How a case's time has changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The median now, in medians of before: above 1 is slower.
    pub ratio: f64,
    /// A ratio, or its inverse, up to which samples differ among themselves.
    pub noise: f64,
}

/// What a change means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// More time than the noise explains.
    Slower,
    /// Less time than the noise explains.
    Faster,
    /// Nothing that the noise does not explain.
    Same,
}

impl Change {
    /// From one measurement of a case to another.
    pub fn between(before: &Measured, now: &Measured) -> Change {
        let noise = (1.0 + before.spread()) * (1.0 + now.spread());
        Change { ratio: now.median() / before.median(), noise }
    }

    /// What it means.
    pub fn verdict(&self) -> Verdict {
        match self.ratio {
            ratio if ratio > self.noise => Verdict::Slower,
            ratio if ratio < 1.0 / self.noise => Verdict::Faster,
            _ => Verdict::Same,
        }
    }
}

impl Measurements {
    /// How a case has changed since these were measured, if it is among them.
    pub fn change_to(&self, now: &Measured) -> Option<Change> {
        let same =
            |m: &&Measured| (&m.kernel, &m.name, &m.size, m.runs) == (&now.kernel, &now.name, &now.size, now.runs);
        let before = self.cases.iter().map(|row| &row.measured).find(same)?;
        Some(Change::between(before, now))
    }

    /// Why times of that machine say nothing beside these; nothing where they do. (Another driver is worth a comparison.)
    pub fn not_comparable(&self, machine: &Machine) -> Option<String> {
        let facts = |m: &Machine| {
            [("processor", m.processor.clone()), ("adapter", m.adapter.clone()), ("threads", m.threads.to_string())]
        };
        let mut differences =
            facts(&self.machine).into_iter().zip(facts(machine)).filter(|(then, now)| then.1 != now.1);
        differences.next().map(|((what, then), (_, now))| format!("its {what} is '{then}', this one's is '{now}'"))
    }
}
