//! Something long that is counted, bytes or images: a bar on a terminal, now and then a plain line elsewhere, nothing
//! before it has taken a while.

use super::say;
use hindsight::data::mini_imagenet::Notice;
use hindsight::files::shown;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What takes no longer needs no bar; and in a log, a line more often tells nothing new.
const A_WHILE: Duration = Duration::from_secs(2);

pub struct Counted {
    bar: ProgressBar,
    bytes: bool,
    terminal: bool,
    last_shown: Mutex<Instant>,
}

impl Counted {
    /// Bytes that are fetched.
    pub fn bytes() -> Self {
        Self::new(true, "{bar:24.cyan/dim} {binary_bytes} of {binary_total_bytes}, about {eta} left")
    }

    /// Images that are decoded.
    pub fn images() -> Self {
        Self::new(false, "{bar:24.cyan/dim} {pos} of {len} images decoded, about {eta} left")
    }

    fn new(bytes: bool, template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_style(ProgressStyle::with_template(template).expect("the template is well-formed"));
        Self { bar, bytes, terminal: stderr().is_terminal(), last_shown: Mutex::new(Instant::now()) }
    }

    /// There are so many, of so many where that is known.
    pub fn at(&self, done: u64, of: Option<u64>) {
        of.into_iter().for_each(|of| self.bar.set_length(of));
        self.bar.set_position(done);
        // Whoever finds it locked has nothing newer to show than whoever holds it.
        let Ok(mut last) = self.last_shown.try_lock() else { return };
        let shown = self.terminal && !self.bar.is_hidden();
        if shown || last.elapsed() < A_WHILE {
            return;
        }
        match self.terminal {
            true => self.bar.set_draw_target(ProgressDrawTarget::stderr()),
            false => say(self.line(done, of)),
        }
        *last = Instant::now();
    }

    fn line(&self, done: u64, of: Option<u64>) -> String {
        let count = |n: u64| if self.bytes { HumanBytes(n).to_string() } else { n.to_string() };
        let whole = of.map(|of| format!(" of {}", count(of))).unwrap_or_default();
        format!("{}{whole}{}", count(done), if self.bytes { "" } else { " images decoded" })
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// Shows what a reader of images has to say.
    pub fn notice(&self, notice: Notice<'_>) {
        match notice {
            Notice::Decoded { done, of } => self.at(done as u64, Some(of as u64)),
            Notice::NotKept { file, source } => self.bar.suspend(|| {
                let file = shown(file);
                say(format!(
                    "warning: {file}: cannot be written ({source}); the images will be decoded again next time"
                ));
            }),
        }
    }
}
