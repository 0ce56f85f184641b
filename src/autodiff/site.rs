//! Where in the source a node was recorded.

use std::fmt;
use std::panic::Location;

/// A line of the source that asked the tape for something: of a method, a model, a test, never of the tape itself.
///
/// What `grad` appends stands for the line of the node whose rule it is; the sum that it returns, for the line that
/// called it. Equal nodes are one: the first line that recorded it stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site {
    /// The file, as the compiler was given it: within this package `src/..`.
    pub file: &'static str,
    /// The line.
    pub line: u32,
    /// 0: recorded there. 1: the gradient of what was; 2: the gradient of that.
    pub order: u8,
}

impl Site {
    /// The line that called the function that is marked `#[track_caller]`.
    #[track_caller]
    pub(crate) fn here() -> Site {
        let place = Location::caller();
        Site { file: place.file(), line: place.line(), order: 0 }
    }

    /// Where the gradient of what was recorded here is recorded.
    pub(crate) fn differentiated(self) -> Site {
        Site { order: self.order.saturating_add(1), ..self }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        if self.order > 0 {
            write!(f, " {}", "∂".repeat(self.order.into()))?;
        }
        Ok(())
    }
}
