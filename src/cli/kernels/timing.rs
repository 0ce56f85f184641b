//! How long a launch takes: the median of some samples.

use hindsight::report::number::duration;
use hindsight_kernels::Cost;
use hindsight_kernels::trial::Trial;
use indicatif::ProgressBar;

/// A sample is as many launches as take about this long, so that the clock and the start of a submission do not count.
const SAMPLE_SECONDS: f64 = 0.05;
/// A launch shorter than this is one of many in a step.
const SHORT_SECONDS: f64 = 1e-3;
const LAUNCHES_A_STEP: usize = 64;
const MOST_STEPS: f64 = 1000.0;
/// A launch longer than this is measured less often.
const LONG_SECONDS: f64 = 1.0;

/// Seconds a launch, of each sample, least first.
pub struct Timing {
    samples: Vec<f64>,
    launches: usize,
}

/// Times a launch that has been computed before, so that nothing is left to be compiled.
pub fn measure(trial: &mut Trial, live: &ProgressBar) -> Timing {
    let mut once = trial.seconds(1);
    let mut launches = 1;
    if once < SHORT_SECONDS {
        launches = LAUNCHES_A_STEP;
        trial.repeat(launches);
        once = trial.seconds(1);
    }
    let steps = (SAMPLE_SECONDS / (once * launches as f64).max(1e-9)).clamp(1.0, MOST_STEPS) as usize;
    let count = if once > LONG_SECONDS { 3 } else { 9 };
    let sample = |number: usize| {
        live.set_message(format!("timing, sample {} of {count}", number + 1));
        trial.seconds(steps)
    };
    let mut samples: Vec<f64> = (0..count).map(sample).collect();
    samples.sort_by(f64::total_cmp);
    Timing { samples, launches: steps * launches }
}

impl Timing {
    /// For people: median, spread and rates.
    pub fn text(&self, cost: &Cost) -> String {
        let (least, median, most) =
            (self.samples[0], self.samples[self.samples.len() / 2], self.samples[self.samples.len() - 1]);
        let rate = |amount: f64, unit: &str| {
            if amount > 0.0 { format!(", {:.2} {unit}", amount / median / 1e9) } else { String::new() }
        };
        format!(
            "{} (median of {} samples of {}; {} to {}){}{}",
            duration(median),
            self.samples.len(),
            if self.launches == 1 { "1 launch".into() } else { format!("{} launches", self.launches) },
            duration(least),
            duration(most),
            rate(cost.flops, "GFLOP/s"),
            rate(cost.bytes, "GB/s"),
        )
    }
}
