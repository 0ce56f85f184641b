//! The table on the screen: a line a case, as it is measured.

use super::case::Case;
use super::ceilings::{Bound, Ceilings};
use super::compare::{Change, Verdict};
use super::row::Row;
use crate::report::number::{duration, three_digits};

/// What the columns of [`line()`] are.
pub fn header() -> String {
    format!(
        "  {:<44} {:<20} {:>9} {:>5} {:>8} {:>7} {:>7} {:>6}  {}\n",
        "", "size", "time", "±", "GFLOP/s", "GB/s", "FLOP/B", "% roof", "bound by"
    )
}

/// A case; where it was measured before, with what has changed.
pub fn line(row: &Row, change: Option<Change>) -> String {
    let Row { measured, median_s, spread, gflop_per_s, gb_per_s, intensity, roofline_share, bound } = row;
    let bound = match bound {
        Bound::Compute => "compute",
        Bound::Memory => "memory",
        Bound::Launch => "launch",
    };
    let mut line = format!(
        "  {:<44} {:<20} {:>9} {:>3.0} % {:>8} {:>7} {:>7} {:>4.0} %  {bound:<8}",
        measured.name,
        measured.size,
        duration(*median_s),
        50.0 * spread,
        short(*gflop_per_s),
        short(*gb_per_s),
        short(*intensity),
        100.0 * roofline_share
    );
    if !measured.verified {
        line += "  not verified";
    }
    line += &change.map_or(String::new(), described);
    line.trim_end().to_string() + "\n"
}

/// A case that has not been measured.
pub fn listed(case: &Case) -> String {
    let (cost, kernel) = (case.cost(), case.kernel.describe().name());
    let (million, thousand) = (short(cost.flops / 1e6), short(cost.bytes / 1e3));
    format!("  {kernel:<16} {:<44} {:<20} {million:>8} MFLOP {thousand:>8} kB\n", case.name, case.size)
}

/// The ceilings, a line each.
pub fn ceilings(ceilings: &Ceilings) -> String {
    let mut text = format!("  multiply-adds {:>12} GFLOP/s\n", short(ceilings.fma_flops_per_s / 1e9));
    for copy in &ceilings.copies {
        let size = if copy.bytes < 1e6 { (copy.bytes / 1024.0, "KiB") } else { (copy.bytes / 1_048_576.0, "MiB") };
        text += &format!("  copy, {:>4.0} {} {:>11} GB/s\n", size.0, size.1, short(copy.bytes_per_s / 1e9));
    }
    text + &format!("  launch        {:>12}\n", duration(ceilings.launch_s))
}

fn described(change: Change) -> String {
    let Change { ratio, noise } = change;
    let mark = match change.verdict() {
        Verdict::Slower => "  SLOWER",
        Verdict::Faster => "  faster",
        Verdict::Same => "",
    };
    format!("  {ratio:.2} of before, noise {noise:.2}{mark}")
}

/// Three digits; a dash for nothing.
fn short(value: f64) -> String {
    if value == 0.0 { "-".into() } else { three_digits(value) }
}
