//! When launches ran, and by which clock: what a profile is made of.

use std::time::Instant;

/// What tells when a launch began and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The CPU's, read by a thread before and after each launch's twin.
    Thread,
    /// The GPU's, inside the one pass that holds all launches.
    InsidePass,
    /// The GPU's, at the bounds of a pass for each launch: gaps then hold what a pass costs.
    PassBounds,
    /// The host's, around a submission for each launch and a wait for it: times then hold what those cost.
    Waits,
}

impl Clock {
    /// One line for people.
    pub fn describe(self) -> &'static str {
        match self {
            Clock::Thread => "the CPU's clock around each launch, a track a thread; the table adds up threads",
            Clock::InsidePass => "the GPU's timestamps around each launch, inside one pass for all",
            Clock::PassBounds => {
                "the GPU's timestamps at the bounds of a pass for each launch; gaps hold what a pass costs"
            }
            Clock::Waits => {
                "no timestamps on this adapter: the host's clock around each launch and a wait for it, which times hold"
            }
        }
    }
}

/// A clock, and the moment from which times are counted.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    /// What tells the time.
    pub clock: Clock,
    started: Instant,
}

impl Stopwatch {
    /// One that starts now.
    pub fn start(clock: Clock) -> Stopwatch {
        Stopwatch { clock, started: Instant::now() }
    }

    /// Nanoseconds since it was started, by the host.
    pub fn elapsed_ns(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }
}

/// One launch of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Number of the launch in its program.
    pub launch: usize,
    /// The step.
    pub step: usize,
    /// The run, where each runs for itself; `None` where a launch computes all of them.
    pub run: Option<usize>,
    /// Nanoseconds since the stopwatch was started.
    pub start_ns: u64,
    /// Nanoseconds since the stopwatch was started.
    pub end_ns: u64,
}

impl Span {
    /// How long it took.
    pub fn duration_ns(&self) -> u64 {
        self.end_ns - self.start_ns
    }
}

/// Launches that followed one another: a pass on a GPU, the work of one thread on the CPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// The thread; 0 on a GPU.
    pub lane: usize,
    /// Nanoseconds since the stopwatch was started.
    pub start_ns: u64,
    /// Nanoseconds since the stopwatch was started.
    pub end_ns: u64,
    /// In the order of time.
    pub spans: Vec<Span>,
}

/// A launch of a step, before its time is known.
pub(crate) type Slot = (usize, usize);

impl Pass {
    /// How long it took, by its own bounds.
    pub fn duration_ns(&self) -> u64 {
        self.end_ns - self.start_ns
    }

    /// Time inside launches.
    pub fn busy_ns(&self) -> u64 {
        self.spans.iter().map(Span::duration_ns).sum()
    }

    /// Idle time between one launch and the next.
    pub fn gaps_ns(&self) -> u64 {
        self.spans.windows(2).map(|pair| pair[1].start_ns.saturating_sub(pair[0].end_ns)).sum()
    }

    /// A pass by the GPU's ticks: where it began and ended, if it has bounds of its own, then a pair a launch. It is
    /// placed where the host submitted it, since the two clocks have no moment in common.
    pub(crate) fn of_ticks(ticks: &[u64], own_bounds: bool, tick_ns: f64, submitted_ns: u64, slots: &[Slot]) -> Pass {
        let (bounds, pairs) = ticks.split_at(if own_bounds { 2 } else { 0 });
        assert_eq!(pairs.len(), 2 * slots.len(), "two ticks a launch");
        let first = ticks.iter().copied().min().unwrap_or(0);
        let ns = |tick: u64| submitted_ns + ((tick - first) as f64 * tick_ns) as u64;
        let span = |(&(step, launch), pair): (&Slot, &[u64])| {
            // A driver may tell a later time first, by a tick.
            let (start_ns, end_ns) = (ns(pair[0]), ns(pair[1].max(pair[0])));
            Span { launch, step, run: None, start_ns, end_ns }
        };
        let spans = slots.iter().zip(pairs.chunks_exact(2)).map(span).collect();
        let all = if own_bounds { bounds } else { pairs };
        let bound = |pick: fn(u64, u64) -> u64| all.iter().copied().reduce(pick).map_or(submitted_ns, ns);
        Pass { lane: 0, start_ns: bound(u64::min), end_ns: bound(u64::max), spans }
    }
}

/// Looks on while a thread works. Nobody does: `()`.
pub(crate) trait Watch: Send {
    /// A thread, or what it does in one go, begins.
    fn open(&mut self) {}
    /// Calls `work`, a launch.
    fn time(&mut self, run: usize, step: usize, launch: usize, work: impl FnOnce());
    /// It ends.
    fn close(&mut self) {}
}

impl Watch for () {
    #[inline(always)]
    fn time(&mut self, _: usize, _: usize, _: usize, work: impl FnOnce()) {
        work();
    }
}

/// What a thread did when.
pub(crate) struct Lane {
    stopwatch: Stopwatch,
    pass: Pass,
}

impl Lane {
    pub(crate) fn new(stopwatch: Stopwatch, lane: usize) -> Lane {
        Lane { stopwatch, pass: Pass { lane, ..Pass::default() } }
    }

    /// The passes of all threads, each of which may have worked in several goes.
    pub(crate) fn passes(lanes: Vec<Lane>) -> Vec<Pass> {
        let mut passes: Vec<Pass> = lanes.into_iter().map(|lane| lane.pass).collect();
        passes.sort_by_key(|pass| (pass.lane, pass.start_ns));
        passes.dedup_by(|next, pass| {
            let same = next.lane == pass.lane;
            if same {
                pass.end_ns = next.end_ns;
                pass.spans.append(&mut next.spans);
            }
            same
        });
        passes
    }
}

impl Watch for Lane {
    fn open(&mut self) {
        self.pass.start_ns = self.stopwatch.elapsed_ns();
    }

    fn time(&mut self, run: usize, step: usize, launch: usize, work: impl FnOnce()) {
        let start_ns = self.stopwatch.elapsed_ns();
        work();
        let end_ns = self.stopwatch.elapsed_ns();
        self.pass.spans.push(Span { launch, step, run: Some(run), start_ns, end_ns });
    }

    fn close(&mut self) {
        self.pass.end_ns = self.stopwatch.elapsed_ns();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pass of two launches, in ticks of 2.5 ns: 10 ticks before the first, 20 in it, 4 idle, 60 in the second,
    /// 6 until the end.
    const TICKS: [u64; 6] = [1000, 1100, 1010, 1030, 1034, 1094];

    #[test]
    fn ticks_become_times_and_launches_and_gaps_add_up_to_the_pass() {
        let pass = Pass::of_ticks(&TICKS, true, 2.5, 500, &[(7, 0), (7, 1)]);
        assert_eq!((pass.start_ns, pass.end_ns, pass.duration_ns()), (500, 750, 250));
        assert_eq!(pass.spans[1], Span { launch: 1, step: 7, run: None, start_ns: 585, end_ns: 735 });
        assert_eq!((pass.busy_ns(), pass.gaps_ns()), (200, 10));
        let bounds = (pass.spans[0].start_ns - pass.start_ns) + (pass.end_ns - pass.spans[1].end_ns);
        assert_eq!(pass.busy_ns() + pass.gaps_ns() + bounds, pass.duration_ns());
    }

    #[test]
    fn without_bounds_of_its_own_a_pass_is_from_its_first_launch_to_its_last() {
        let pass = Pass::of_ticks(&TICKS[2..], false, 1.0, 0, &[(0, 0), (0, 1)]);
        assert_eq!((pass.start_ns, pass.end_ns), (0, 84));
        assert_eq!(pass.busy_ns() + pass.gaps_ns(), pass.duration_ns());
    }

    #[test]
    fn a_launch_that_seems_to_end_before_it_began_takes_no_time() {
        let pass = Pass::of_ticks(&[5, 4], false, 1.0, 0, &[(0, 0)]);
        assert_eq!(pass.busy_ns(), 0);
    }

    #[test]
    fn what_a_thread_did_in_several_goes_is_one_pass() {
        let stopwatch = Stopwatch::start(Clock::Thread);
        let lane = |lane: usize, start: u64| {
            let span = Span { launch: 0, step: 0, run: Some(0), start_ns: start, end_ns: start + 5 };
            Lane { stopwatch, pass: Pass { lane, start_ns: start, end_ns: start + 6, spans: vec![span] } }
        };
        let passes = Lane::passes(vec![lane(1, 10), lane(0, 30), lane(0, 0)]);
        assert_eq!(passes.len(), 2);
        assert_eq!((passes[0].lane, passes[0].start_ns, passes[0].end_ns, passes[0].gaps_ns()), (0, 0, 36, 25));
        assert_eq!(passes[1].spans.len(), 1);
    }
}
