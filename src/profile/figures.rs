//! The figures of a profile. A kernel has one colour in all of them.

use super::sums::{self, Sum, kernel, percent};
use super::trace::steps;
use super::{Profile, explain, tables};
use crate::program::{ExplainedLaunch, Recorded};
use crate::report::figure::{self, Block, Bounds, Flame, Strip, Svg, Work};
use hindsight_kernels::Span;

/// Passes that lie closer than this part of the whole are drawn as one.
const NEAR: f64 = 0.001;

impl Profile {
    /// Names of kernels, in the order of their colours: the one that takes longest first.
    fn legend(&self) -> Vec<String> {
        self.by_kernel().into_iter().map(|(name, _)| name).collect()
    }

    /// When each program's passes ran.
    pub(super) fn passes(&self) -> Svg {
        let whole = self.wall_ns.max(1) as f64;
        let strip = |program: &Recorded| {
            let mut passes: Vec<(u64, u64)> = program.passes.iter().map(|&(_, start, end)| (start, end)).collect();
            passes.sort_unstable();
            let mut ranges: Vec<(f64, f64)> = vec![];
            for (start, end) in passes.into_iter().map(|(start, end)| (start as f64 / whole, end as f64 / whole)) {
                match ranges.last_mut() {
                    Some(last) if start - last.1 < NEAR => last.1 = last.1.max(end),
                    _ => ranges.push((start, end)),
                }
            }
            let name = explain::title(&program.explanation);
            let block = |(start, end): (f64, f64)| Block { range: start..end, series: 0, name: name.clone() };
            let blocks = ranges.into_iter().map(block).collect();
            Strip { label: format!("{} in passes", tables::time(program.passes_ns())), name, blocks }
        };
        let title = format!("{} from the first preparation to the end", tables::time(self.wall_ns));
        figure::strips(&title, &[], &self.programs.iter().map(strip).collect::<Vec<_>>())
    }

    /// The step of each program that was neither fast nor slow among those kept.
    pub(super) fn typical_steps(&self) -> Svg {
        let legend = self.legend();
        let strip = |program: &Recorded| {
            let mut kept: Vec<&[Span]> = program.kept.iter().flat_map(steps).collect();
            kept.sort_by_key(|step| length(step));
            let step = kept.get(kept.len() / 2)?;
            Some(self.strip(program, step, &legend))
        };
        let strips: Vec<Strip> = self.programs.iter().filter_map(strip).collect();
        figure::strips("A typical step, from its first launch to its last", &legend, &strips)
    }

    fn strip(&self, program: &Recorded, step: &[Span], legend: &[String]) -> Strip {
        let (start, length) = (step[0].start_ns, length(step).max(1) as f64);
        let part = |ns: u64| (ns - start) as f64 / length;
        let block = |span: &Span| {
            let launch = &program.explanation.launches[span.launch];
            let took = tables::time(span.duration_ns());
            Block {
                range: part(span.start_ns)..part(span.end_ns),
                series: place(legend, launch),
                name: format!("{} {}\n{}\n{took}", kernel(launch), launch.shape, launch.line()),
            }
        };
        let busy: u64 = step.iter().map(Span::duration_ns).sum();
        let label = format!(
            "{}, {} launches, {:.0} % of it in them",
            tables::time(length as u64),
            step.len(),
            percent(busy, length as u64)
        );
        Strip { name: explain::title(&program.explanation), label, blocks: step.iter().map(block).collect() }
    }

    /// Programs, in them lines, in them kernels, in them launches.
    pub(super) fn flame(&self) -> Svg {
        let legend = self.legend();
        let of_program = |program: &Recorded| {
            let launches: Vec<(&ExplainedLaunch, Sum)> = self.launches(program).collect();
            let part = |launches: &[(&ExplainedLaunch, Sum)], key: &dyn Fn(&ExplainedLaunch) -> String| {
                sums::grouped(launches.iter().map(|(launch, sum)| (key(launch), *sum)))
            };
            let lines = part(&launches, &|launch| launch.line()).into_iter().map(|(line, sum)| {
                let here: Vec<_> = launches.iter().filter(|(launch, _)| launch.line() == line).copied().collect();
                let kernels = part(&here, &kernel).into_iter().map(|(name, sum)| {
                    let own = here.iter().filter(|(launch, _)| kernel(launch) == name);
                    let colour = own.clone().next().map(|(launch, _)| place(&legend, launch));
                    let single = own.map(|(launch, sum)| self.block(&launch.shape, *sum, colour, vec![])).collect();
                    self.block(&name, sum, colour, widest_first(single))
                });
                self.block(&line, sum, None, kernels.collect())
            });
            let mut all = Sum::default();
            launches.iter().for_each(|(_, sum)| all.add(*sum));
            self.block(&explain::title(&program.explanation), all, None, lines.collect())
        };
        let programs = widest_first(self.programs.iter().map(of_program).collect());
        let all = Flame {
            name: format!("all launches: {}", tables::time(self.counted_ns())),
            detail: String::new(),
            value: self.counted_ns() as f64,
            series: None,
            parts: programs,
        };
        figure::flame("Where the time of launches went", &all)
    }

    fn block(&self, name: &str, sum: Sum, series: Option<usize>, parts: Vec<Flame>) -> Flame {
        let detail = format!(
            "{}, {:.1} %, {} launches, {:.1} GFLOP/s, {:.1} GB/s, {} % of the roofline",
            tables::time(sum.ns),
            percent(sum.ns, self.counted_ns()),
            sum.launches,
            sum.gflops(),
            sum.gbytes(),
            tables::roofline(&sum)
        );
        Flame { name: name.into(), detail, value: sum.ns as f64, series, parts }
    }

    /// Each kernel at each shape: its rate over its intensity.
    pub(super) fn intensity(&self) -> Svg {
        let legend = self.legend();
        let all = self.programs.iter().flat_map(|program| self.launches(program));
        let groups = sums::grouped(all.map(|(launch, sum)| ((place(&legend, launch), launch.shape.clone()), sum)));
        let most = groups.first().map_or(1, |(_, sum)| sum.ns.max(1)) as f64;
        let work = |((series, shape), sum): &((usize, String), Sum)| Work {
            name: format!(
                "{} {shape}\n{:.1} GFLOP/s, {:.1} GB/s, {} % of the roofline",
                legend[*series],
                sum.gflops(),
                sum.gbytes(),
                tables::roofline(sum)
            ),
            intensity: sum.flops / sum.bytes.max(1.0),
            rate: sum.gflops(),
            weight: sum.ns as f64 / most,
            series: *series,
        };
        let highest = |rate: fn(&Sum) -> f64| groups.iter().map(|(_, sum)| rate(sum)).fold(1e-9, f64::max);
        let part = self.programs.iter().map(|program| program.part).fold(0.0, f64::max);
        let bounds = match &self.ceilings {
            Some(ceilings) => {
                let [arithmetic, bytes] = [ceilings.fma_flops_per_s, ceilings.bandwidth(0.0)].map(|x| part * x / 1e9);
                Bounds { arithmetic, bytes }
            }
            None => Bounds { arithmetic: highest(Sum::gflops), bytes: highest(Sum::gbytes) },
        };
        let works: Vec<Work> = groups.iter().map(work).collect();
        figure::intensity("Rate over operations a byte", &legend, &works, bounds)
    }
}

/// From the first launch's beginning to the last one's end.
fn length(step: &[Span]) -> u64 {
    step[step.len() - 1].end_ns - step[0].start_ns
}

fn place(legend: &[String], launch: &ExplainedLaunch) -> usize {
    let name = kernel(launch);
    legend.iter().position(|known| *known == name).expect("the legend has every kernel")
}

fn widest_first(mut parts: Vec<Flame>) -> Vec<Flame> {
    parts.sort_by(|a, b| b.value.total_cmp(&a.value));
    parts
}
