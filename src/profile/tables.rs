//! The tables of a profile: a row a program, a kernel, a line of the source.

use super::sums::{Sum, percent};
use super::{Profile, explain};
use crate::program::Recorded;
use crate::report::Grid;
use crate::report::number::duration;

/// Lines of the source that the screen shows; the page shows all.
const MOST_LINES: usize = 20;

/// Nanoseconds as a time.
pub(super) fn time(ns: u64) -> String {
    duration(ns as f64 / 1e9)
}

impl Profile {
    /// Everything that the screen shows. Ends with a newline.
    pub fn to_text(&self) -> String {
        let lines = self.lines();
        let more = lines.rows.len().saturating_sub(MOST_LINES);
        let shown = Grid { rows: lines.rows.iter().take(MOST_LINES).cloned().collect(), ..lines };
        let rest = if more > 0 { format!("and {more} more lines, on the page\n") } else { String::new() };
        format!(
            "{}\n\n{}\n{}\n{}{rest}",
            self.summary().join("\n"),
            self.programs().to_text(),
            self.kernels().to_text(),
            shown.to_text()
        )
    }

    /// A row a program.
    pub(super) fn programs(&self) -> Grid {
        let header = [
            "Program",
            "share %",
            "time",
            "steps",
            "first step",
            "launches a step",
            "gaps %",
            "GFLOP/s",
            "GB/s",
            "roof %",
        ];
        let mut grid = Grid::new(&header);
        let mut programs: Vec<&Recorded> = self.programs.iter().collect();
        programs.sort_by_key(|program| std::cmp::Reverse(program.counted_ns()));
        for program in programs {
            let mut all = Sum::default();
            self.launches(program).for_each(|(_, sum)| all.add(sum));
            grid.push(vec![
                explain::title(&program.explanation),
                format!("{:.1}", percent(all.ns, self.counted_ns())),
                time(all.ns),
                program.steps.to_string(),
                time(program.first_ns),
                program.explanation.launches.len().to_string(),
                format!("{:.1}", percent(program.gaps_ns, program.passes_ns())),
                rate(all.gflops()),
                rate(all.gbytes()),
                roofline(&all),
            ]);
        }
        grid
    }

    /// A row a kernel and variant.
    pub(super) fn kernels(&self) -> Grid {
        self.grid("Kernel", &self.by_kernel())
    }

    /// A row a line of the source.
    pub(super) fn lines(&self) -> Grid {
        self.grid("Line", &self.by(|launch| launch.line()))
    }

    fn grid(&self, what: &str, groups: &[(String, Sum)]) -> Grid {
        let mut grid = Grid::new(&[what, "share %", "time", "launches", "each", "GFLOP/s", "GB/s", "roof %"]);
        for (name, sum) in groups {
            grid.push(vec![
                name.clone(),
                format!("{:.1}", percent(sum.ns, self.counted_ns())),
                time(sum.ns),
                sum.launches.to_string(),
                time(sum.ns / sum.launches.max(1)),
                rate(sum.gflops()),
                rate(sum.gbytes()),
                roofline(sum),
            ]);
        }
        grid
    }
}

/// Percent of the roofline; a dash where no ceilings are known.
pub(super) fn roofline(sum: &Sum) -> String {
    match sum.of_roofline() {
        0.0 => "-".into(),
        percent if percent < 0.95 => format!("{percent:.1}"),
        percent => format!("{percent:.0}"),
    }
}

/// A rate; a dash where nothing of the kind was done.
fn rate(rate: f64) -> String {
    match rate {
        0.0 => "-".into(),
        _ if rate < 0.01 => "<0.01".into(),
        _ if rate < 10.0 => format!("{rate:.2}"),
        _ => format!("{rate:.1}"),
    }
}
