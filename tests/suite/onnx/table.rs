//! The tables of `tests/onnx/README.md`.

use super::case::folder;
use std::fs::read_to_string;

/// A row: an operator, or a reason, and its cases.
pub struct Row {
    pub head: String,
    pub count: usize,
    pub cases: Vec<String>,
}

pub struct Tables {
    /// By operator.
    pub covered: Vec<Row>,
    /// Of these, what a software adapter leaves out.
    pub slow: Vec<Row>,
    /// By reason.
    pub uncovered: Vec<Row>,
}

pub fn tables() -> Tables {
    let text = text("README.md");
    let section = |title: &str| {
        let begin = text.split_once(&format!("\n## {title}\n")).unwrap_or_else(|| panic!("no section '{title}'"));
        rows(begin.1.split("\n## ").next().unwrap_or_default())
    };
    let slow = section("Covered, but not by a software adapter");
    Tables { covered: section("Covered"), slow, uncovered: section("Not covered") }
}

/// A text beside the cases.
pub fn text(name: &str) -> String {
    read_to_string(folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Of a table's rows, whose last cells are a count and names, those behind the rule.
fn rows(text: &str) -> Vec<Row> {
    text.lines().filter(|line| line.starts_with("| ")).filter_map(row).collect()
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
    let [head, .., count, names] = cells[..] else { return None };
    let cases = names.split_whitespace().map(|name| name.trim_matches('`').to_string()).collect();
    Some(Row { head: head.to_string(), count: count.parse().ok()?, cases })
}
