//! Runs of one protocol, the only ones that are ever averaged.

use super::manifest::Provenance;
use super::method_title;
use crate::experiment::RunRecord;
use crate::settings::Settings;
use serde_json::{Map, Value};

/// Runs that differ in their seeds only.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// The method's title, and what tells it from other groups of the method.
    pub label: String,
    /// Its runs.
    pub runs: Vec<&'a RunRecord>,
    /// What else made each run; empty where nobody said.
    made: Vec<&'a Provenance>,
}

impl<'a> Group<'a> {
    /// A run that stands for all.
    pub fn first(&self) -> &'a RunRecord {
        self.runs[0]
    }

    /// Runs that did not diverge.
    pub fn sound(&self) -> Vec<&'a RunRecord> {
        self.runs.iter().copied().filter(|run| !run.diverged).collect()
    }

    fn takes(&self, run: &RunRecord, made: Option<&Provenance>) -> bool {
        let own = self.first();
        let same = (&own.benchmark, &own.method, &own.settings) == (&run.benchmark, &run.method, &run.settings);
        // A seed that is there already is another run of it.
        same && made.is_none_or(|made| self.made.iter().all(|own| own.agrees(made)))
            && self.runs.iter().all(|own| own.seed != run.seed)
    }
}

/// Groups in the order in which their first runs come, of runs that were all made by the same program on one device.
pub fn groups<'a>(runs: impl IntoIterator<Item = &'a RunRecord>) -> Vec<Group<'a>> {
    groups_as_made(runs.into_iter().map(|run| (run, None)))
}

/// Groups in the order in which their first runs come: runs of one group agree in all that made them, where that is given.
pub fn groups_as_made<'a>(runs: impl IntoIterator<Item = (&'a RunRecord, Option<&'a Provenance>)>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for (run, made) in runs {
        match groups.iter_mut().find(|group| group.takes(run, made)) {
            Some(group) => {
                group.runs.push(run);
                group.made.extend(made);
            }
            None => groups.push(Group { label: String::new(), runs: vec![run], made: made.into_iter().collect() }),
        }
    }
    let labels: Vec<String> = (0..groups.len()).map(|i| label(&groups, i)).collect();
    groups.iter_mut().zip(labels).for_each(|(group, label)| group.label = label);
    groups
}

/// The method's title, with the settings in which its groups differ, and what made them where settings are equal.
fn label(groups: &[Group<'_>], own: usize) -> String {
    let run = groups[own].first();
    let of_method =
        |group: &&Group<'_>| (&group.first().benchmark, &group.first().method) == (&run.benchmark, &run.method);
    let relatives: Vec<&Group<'_>> = groups.iter().filter(of_method).collect();
    let fields = fields(&run.settings);
    let differs = |name: &&String| {
        relatives.iter().any(|group| self::fields(&group.first().settings).get(*name) != fields.get(*name))
    };
    let mut marks: Vec<String> = fields
        .keys()
        .filter(differs)
        .map(|name| format!("{} {}", name.replace('_', " "), text(&fields[name])))
        .collect();
    let twins: Vec<usize> =
        (0..groups.len()).filter(|&i| of_method(&&groups[i]) && groups[i].first().settings == run.settings).collect();
    let aspects = |i: usize| groups[i].made.first().map(|made| made.aspects());
    if let Some(made) = groups[own].made.first() {
        let others: Vec<&Provenance> = twins.iter().filter_map(|&i| groups[i].made.first().copied()).collect();
        let differs = |name: &str| others.iter().any(|other| made.differences(other).contains(&name));
        marks.extend(
            made.aspects().into_iter().filter(|(name, _)| differs(name)).map(|(name, is)| format!("{name} {is}")),
        );
    }
    // What is alike in all that was recorded, and has other numbers.
    let alike: Vec<usize> = twins.into_iter().filter(|&i| aspects(i) == aspects(own)).collect();
    if alike.len() > 1 {
        let number = alike.iter().position(|&i| i == own).unwrap_or(0) + 1;
        marks.push(format!("again, {number} of {}", alike.len()));
    }
    let title = method_title(&run.method);
    if marks.is_empty() { title.into() } else { format!("{title} ({})", marks.join(", ")) }
}

fn fields(settings: &Settings) -> Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(fields)) => fields,
        _ => unreachable!("settings are an object of plain values"),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
