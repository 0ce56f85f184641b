//! The profile as one page of HTML that needs nothing else.

use super::{Profile, explain};
use crate::report::html::Page;

impl Profile {
    /// Tables, flame view, work and rates, timelines, and what each program does.
    pub fn page(&self) -> Page {
        let mut page = Page::new("hindsight: where the time went");
        self.summary().iter().for_each(|line| page.text(line));
        page.section("Programs");
        page.table(&self.programs());
        page.figure(&self.passes(), "When each program's passes ran. What is empty is the host's time");
        page.section("Flame view");
        let levels = "From above: method and program, line of the source, kernel, launch. As wide as the time it took; \
                      point at a block for its name";
        page.figure(&self.flame(), levels);
        page.section("Kernels");
        page.table(&self.kernels());
        page.figure(&self.intensity(), INTENSITY);
        page.section("Lines of the source");
        page.table(&self.lines());
        page.section("A step of each program, launch by launch");
        page.figure(
            &self.typical_steps(),
            "Each row is drawn as long as the page is wide. What is empty is a gap between launches",
        );
        page.section("What each program does in a step");
        page.text(explain::LEGEND);
        for program in explain::distinct(self.programs.iter().map(|program| &program.explanation)) {
            let line = format!("{}: {}", explain::title(program), explain::step(program));
            page.folded(&line, &explain::grid(program));
        }
        page
    }
}

const INTENSITY: &str = "Each circle is a kernel at a shape, its area the time it took. To the right: more arithmetic a byte \
that must be moved. The lines are the rates of multiply-adds and of the fastest copy that were measured on the device after the run";
