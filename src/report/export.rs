//! What else a run folder holds: losses step by step, anchors as numbers and as a picture.

use crate::experiment::{Anchors, FinishedRun, RunRecord, UnfinishedRun, finite};
use crate::{files, npy};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// One line of `runs.jsonl`.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    record: &'a RunRecord,
    /// Task by task. JSON has no NaN: a loss that is not finite is null.
    losses: Vec<Vec<Option<f64>>>,
}

/// `runs.jsonl`: a line a run, its record and its losses.
pub fn runs_jsonl(runs: &[FinishedRun]) -> String {
    let line = |run: &FinishedRun| {
        let losses = run.losses.iter().map(|losses| finite(losses)).collect();
        let line = Line { record: &run.record, losses };
        serde_json::to_string(&line).expect("records have string keys, and memory does not fail") + "\n"
    };
    runs.iter().map(line).collect()
}

/// `unfinished.jsonl`: a line a run that was stopped and had finished a task.
pub fn unfinished_jsonl(runs: &[UnfinishedRun]) -> String {
    let line = |run: &UnfinishedRun| serde_json::to_string(run).expect("records have string keys") + "\n";
    runs.iter().filter(|run| run.finished_tasks > 0).map(line).collect()
}

/// A run's losses, as `runs.jsonl` keeps them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Losses {
    #[serde(flatten)]
    record: RunRecord,
    losses: Vec<Vec<Option<f64>>>,
}

impl Losses {
    /// Whether they are this run's.
    pub fn is_of(&self, run: &RunRecord) -> bool {
        self.record == *run
    }

    /// Whether they can be those of one of these runs; if not, why.
    fn check(&self, runs: &[RunRecord]) -> Result<(), String> {
        let Losses { record: RunRecord { method, seed, settings, .. }, losses } = self;
        let known = runs.iter().any(|run| self.is_of(run));
        match known {
            false => Err("it is of no run in results.json".into()),
            true if losses.len() > settings.tasks => Err(format!(
                "{method}, seed {seed}: it has losses of {} tasks, and the run has {} tasks",
                losses.len(),
                settings.tasks
            )),
            true => Ok(()),
        }
    }

    /// One after another; what was not finite is NaN.
    pub fn flat(&self) -> Vec<f64> {
        self.losses.iter().flatten().map(|loss| loss.unwrap_or(f64::NAN)).collect()
    }
}

/// Bytes of the largest `runs.jsonl` that is read.
const LARGEST_LOSSES: u64 = 1 << 32;

/// The losses of these runs that a run folder has in its `runs.jsonl`, which it may be without: they are an extra. What is
/// there and cannot be read is left out and said.
pub fn read_losses(folder: &Path, runs: &[RunRecord]) -> (Vec<Losses>, Option<String>) {
    let path = folder.join("runs.jsonl");
    let left_out = |reason: String| Some(format!("{}: {reason}; losses are left out", files::shown(&path)));
    let file = match files::open(&path) {
        Ok((_, size)) if size > LARGEST_LOSSES => return (vec![], left_out(format!("it has {size} bytes"))),
        Ok((file, size)) => BufReader::new(file.take(size)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (vec![], None),
        Err(error) => return (vec![], left_out(error.to_string())),
    };
    let (losses, wrong) = parse_losses(file, runs);
    (losses, wrong.and_then(left_out))
}

/// The losses of these runs, a line each, and what is wrong with the first of the lines that cannot be read.
pub fn parse_losses(lines: impl BufRead, runs: &[RunRecord]) -> (Vec<Losses>, Option<String>) {
    let (mut losses, mut wrong) = (vec![], None);
    for (number, line) in lines.split(b'\n').enumerate() {
        let read = line.map_err(|error| error.to_string());
        let read = read.and_then(|line| serde_json::from_slice(&line).map_err(|error| error.to_string()));
        let read = read.and_then(|read: Losses| read.check(runs).map(|()| read));
        match read {
            Ok(read) => losses.push(read),
            Err(reason) => wrong = wrong.or_else(|| Some(format!("line {}: {reason}", number + 1))),
        }
    }
    (losses, wrong)
}

/// `losses.csv`: a line a step. A loss that is not finite is as it is, `NaN` or `inf`.
pub fn losses_csv(runs: &[FinishedRun]) -> String {
    let mut text = String::from("method,seed,task,step,loss\n");
    for run in runs {
        for (task, losses) in run.losses.iter().enumerate() {
            for (step, loss) in losses.iter().enumerate() {
                let RunRecord { method, seed, .. } = &run.record;
                // Losses are single precision.
                text += &format!("{method},{seed},{},{},{}\n", task + 1, step + 1, *loss as f32);
            }
        }
    }
    text
}

/// Anchors as a NumPy array, `[tasks, classes, height, width]` of little-endian f32; colours are a last axis of 3.
pub fn anchors_npy(anchors: &Anchors) -> Vec<u8> {
    let [height, width, channels] = anchors.shape;
    let shape = [anchors.images.len() / anchors.classes, anchors.classes, height, width, channels];
    let axes = if channels == 1 { &shape[..4] } else { &shape[..] };
    let pixels: Vec<f32> = anchors.images.iter().flatten().map(|pixel| *pixel as f32).collect();
    npy::encode(axes, pixels.into_iter())
}

/// Between images, and around them.
const FRAME: u8 = 96;

/// Anchors as a picture: a row a task, a column a class, each scaled from its darkest to its lightest number.
pub fn anchors_png(anchors: &Anchors) -> Vec<u8> {
    let [height, wide, channels] = anchors.shape;
    let (columns, rows) = (anchors.classes, anchors.images.len() / anchors.classes);
    let (width, tall) = (columns * (wide + 2), rows * (height + 2));
    let mut levels = vec![FRAME; width * tall * channels];
    for (n, image) in anchors.images.iter().enumerate() {
        let (left, top) = (n % columns * (wide + 2) + 1, n / columns * (height + 2) + 1);
        let low = image.iter().copied().fold(f64::INFINITY, f64::min);
        let range = image.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low;
        let level = |x: &f64| if range > 0.0 { (255.0 * (x - low) / range).round() as u8 } else { 0 };
        for (y, line) in image.chunks(wide * channels).enumerate() {
            let at = ((top + y) * width + left) * channels;
            levels[at..at + line.len()].iter_mut().zip(line).for_each(|(to, x)| *to = level(x));
        }
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, tall as u32);
    encoder.set_color(if channels == 3 { png::ColorType::Rgb } else { png::ColorType::Grayscale });
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&levels));
    written.expect("a picture of the right size is written into memory");
    file
}
