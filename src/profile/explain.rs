//! What each program of a method does in a step, launch by launch: `hindsight run --explain`.

use crate::program::Explanation;
use crate::report::Grid;
use crate::report::number::amount;

/// A program's name, with its method's.
pub(super) fn title(program: &Explanation) -> String {
    format!("{}: {}", program.method, program.name)
}

/// What a step of it takes, in one line.
pub(super) fn step(program: &Explanation) -> String {
    let (count, cost) = (program.launches.len(), program.cost());
    format!(
        "{count} {} a step; of one run {}, {} read and written, {} of temporaries",
        if count == 1 { "launch" } else { "launches" },
        amount(cost.flops, "FLOP"),
        amount(cost.bytes, "B"),
        amount(program.temporaries as f64, "B")
    )
}

/// Programs, of several with one name (a method whose step grows with the tasks) the last.
pub(super) fn distinct<'a>(programs: impl Iterator<Item = &'a Explanation>) -> Vec<&'a Explanation> {
    let mut distinct: Vec<&Explanation> = vec![];
    for program in programs {
        match distinct.iter_mut().find(|known| (&known.method, &known.name) == (&program.method, &program.name)) {
            Some(known) => *known = program,
            None => distinct.push(program),
        }
    }
    distinct
}

/// A row a launch.
pub(super) fn grid(program: &Explanation) -> Grid {
    let mut grid = Grid::new(&["", "kernel", "variant", "shape", "epilogue of x", "operation", "recorded at"]);
    for (number, launch) in program.launches.iter().enumerate() {
        grid.push(vec![
            (number + 1).to_string(),
            launch.kernel.clone(),
            launch.variant.clone(),
            launch.shape.clone(),
            launch.epilogue.clone(),
            launch.operation(),
            launch.lines(),
        ]);
    }
    grid
}

/// How to read the tables.
pub(super) const LEGEND: &str = "x: what the kernel computed; a, b, ..: further operands; a semicolon stands between the \
results of one launch. 2 of: two launches in one, whose operands lie apart. Operation + n: n more are computed \
on the way, and recorded there or at the lines in brackets. ∂: recorded by the gradient of that line, ∂∂: by the gradient \
of its gradient.";

/// All programs, for the screen. Ends with a newline.
pub fn explain(programs: &[Explanation]) -> String {
    let text = |program: &Explanation| {
        format!("{}: {}\n{}\n", title(program), step(program), grid(program).to_text_of_words())
    };
    let texts: String = distinct(programs.iter()).into_iter().map(text).collect();
    format!("{texts}{LEGEND}\n")
}
