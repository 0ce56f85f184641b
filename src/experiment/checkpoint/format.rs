//! A checkpoint as a safetensors file: `accuracy` `[runs, tasks learned, tasks]` (-1 where logits, -2 where parameters were not
//! finite); `losses` `[runs, steps]` and how many steps each task has, `steps`, which is one task more where one was learned and
//! not tested; `seconds` of training and in all; for an oracle the models of its first pass; how many steps of all programs were
//! `computed`; and each buffer of numbers by a number and its name, `[runs, elements]`.
//!
//! The header's entry `checksum` is the SHA-256 sum of the whole file, in which these 64 digits are zeros. Nothing of a
//! file is used before its size and its sum are found right, and then every shape is compared with what is expected.

use crate::data::md5sum::hex;
use crate::files;
use crate::methods::{Learned, can_be_found};
use crate::program::{Content, SessionState};
use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};
use std::fmt::Display;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// Runs after some of their tasks.
pub struct Checkpoint {
    /// What the tests of each run found so far: accuracies, or that numbers were not finite.
    pub rows: Vec<Vec<Vec<f64>>>,
    /// The losses of each run's steps, task by task; of one task more, where it was learned and not tested.
    pub losses: Vec<Vec<Vec<f64>>>,
    /// What training took.
    pub train: Duration,
    /// What all took.
    pub total: Duration,
    /// The models after the last task, where an oracle knows them.
    pub future: Option<Vec<Learned>>,
    /// How far the runs' session has come.
    pub state: SessionState,
}

/// What a checkpoint of some runs must be.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Runs.
    pub runs: usize,
    /// Tasks of a run, learned or not.
    pub tasks: usize,
    /// Parameters of the model.
    pub parameters: usize,
    /// Running averages of the model.
    pub statistics: usize,
    /// Bytes of the file at most.
    pub bytes: u64,
}

pub fn said(error: impl Display) -> String {
    error.to_string()
}

/// The name of the header's entry with the checksum.
const CHECKSUM: &str = "checksum";
/// What stands for its digits while the sum is computed.
const NO_SUM: [u8; 64] = [b'0'; 64];
/// Bytes of the largest header that safetensors files may have.
const LARGEST_HEADER: u64 = 100_000_000;

/// Where a file has its checksum's digits. The entry's name in quotes, unescaped, is nowhere else in a header.
fn digits(bytes: &[u8]) -> Option<Range<usize>> {
    let mark = format!("\"{CHECKSUM}\":\"");
    let length = usize::try_from(u64::from_le_bytes(*bytes.first_chunk()?)).ok()?;
    let header = bytes.get(8..length.checked_add(8)?)?;
    let at = 8 + mark.len() + header.windows(mark.len()).position(|window| window == mark.as_bytes())?;
    Some(at..at + NO_SUM.len()).filter(|place| place.end <= bytes.len())
}

/// The sum of a file whose checksum is at `place`.
fn sum(bytes: &[u8], place: &Range<usize>) -> String {
    let mut sum = Sha256::new();
    [&bytes[..place.start], &NO_SUM, &bytes[place.end..]].into_iter().for_each(|part| sum.update(part));
    hex(&sum.finalize())
}

/// Whether a file is what was written, to the last bit; if not, why.
fn verify(bytes: &[u8]) -> Result<(), String> {
    let place = digits(bytes).ok_or("it has no checksum: it is damaged, or of an earlier version")?;
    match sum(bytes, &place).as_bytes() == &bytes[place] {
        true => Ok(()),
        false => Err("it is damaged: its checksum is not that of its content".into()),
    }
}

/// Reads a checkpoint of at most `most` bytes, and verifies its checksum. If it is none, why.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let (file, size) = files::open(path).map_err(said)?;
    read_from(file, size, most)
}

/// As [`read`], from a file of `size` bytes.
pub fn read_from(mut file: impl Read, size: u64, most: u64) -> Result<Vec<u8>, String> {
    if size > most {
        return Err(format!("it has {size} bytes, where these runs need at most {most}"));
    }
    // What the header says of the size is compared before memory is asked for.
    let cut = |_| "it is cut short".to_string();
    let mut bytes = vec![0; 8];
    file.read_exact(&mut bytes).map_err(cut)?;
    let length = u64::from_le_bytes(*bytes.first_chunk().expect("eight bytes were read"));
    if length > LARGEST_HEADER.min(size.saturating_sub(8)) {
        return Err("it is damaged: its header does not fit it".into());
    }
    bytes.resize(8 + length as usize, 0);
    file.read_exact(&mut bytes[8..]).map_err(cut)?;
    let tensors: Metadata = serde_json::from_slice(&bytes[8..]).map_err(|error| format!("it is damaged: {error}"))?;
    let (body, wanted) = (size - 8 - length, tensors.data_len());
    if wanted as u64 != body {
        return Err(format!("it is cut short or damaged: {body} bytes follow its header, not {wanted}"));
    }
    bytes.try_reserve_exact(body as usize).map_err(said)?;
    file.take(body).read_to_end(&mut bytes).map_err(said)?;
    verify(&bytes).map(|()| bytes)
}

/// A file of these bytes with the checksum that they ask for: what a fuzzer needs to get past it.
pub fn summed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(place) = digits(&bytes) {
        let sum = sum(&bytes, &place);
        bytes[place].copy_from_slice(sum.as_bytes());
    }
    bytes
}

/// An entry of a file's header.
pub fn header(bytes: &[u8], name: &str) -> Result<String, String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(said)?;
    let entry = metadata.metadata().as_ref().and_then(|entries| entries.get(name));
    entry.cloned().ok_or_else(|| format!("it does not say its {name}"))
}

/// A tensor to be written.
struct Tensor {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    /// Numbers, of which all the innermost lists have one length.
    fn of(name: &str, shape: Vec<usize>, values: impl Iterator<Item = f64>) -> Tensor {
        Tensor { name: name.into(), dtype: Dtype::F64, shape, bytes: values.flat_map(f64::to_le_bytes).collect() }
    }

    /// The losses of runs, task by task, and how many each task has.
    fn losses(losses: &[Vec<Vec<f64>>]) -> [Tensor; 2] {
        let steps: Vec<usize> = losses[0].iter().map(Vec::len).collect();
        let shape = vec![losses.len(), steps.iter().sum()];
        let all = Tensor::of("losses", shape, losses.iter().flatten().flatten().copied());
        [all, Tensor::of("steps", vec![steps.len()], steps.iter().map(|&steps| steps as f64))]
    }

    /// A buffer of so many runs, by a name that no other has.
    fn state(number: usize, content: Content, runs: usize) -> Tensor {
        let Content { name, width, bytes } = content;
        let dtype = if width == 8 { Dtype::F64 } else { Dtype::F32 };
        Tensor {
            name: format!("state/{number:04} {name}"),
            dtype,
            shape: vec![runs, bytes.len() / width / runs],
            bytes,
        }
    }
}

impl Checkpoint {
    /// An oracle's first pass, of so many runs: nothing is measured in it.
    pub fn of_first_pass(runs: usize, state: SessionState) -> Checkpoint {
        let [rows, losses] = [(); 2].map(|()| vec![vec![]; runs]);
        let [train, total] = [Duration::ZERO; 2];
        Checkpoint { rows, losses, train, total, future: None, state }
    }

    /// Tasks that were learned and tested.
    pub fn tasks(&self) -> usize {
        self.rows[0].len()
    }

    /// A file that says `about` itself.
    pub fn into_bytes(self, about: &[(&str, &String)]) -> Result<Vec<u8>, String> {
        let seconds = [self.train, self.total].map(|time| time.as_secs_f64());
        let matrix = vec![self.rows.len(), self.rows[0].len(), self.rows[0].first().map_or(0, Vec::len)];
        let mut tensors = vec![
            Tensor::of("accuracy", matrix, self.rows.iter().flatten().flatten().copied()),
            Tensor::of("seconds", vec![2], seconds.into_iter()),
            Tensor::of("computed", vec![1], [self.state.steps as f64].into_iter()),
        ];
        tensors.extend(Tensor::losses(&self.losses));
        if let Some(future) = &self.future {
            let of = |name, part: fn(&Learned) -> &Vec<f64>| {
                let values = future.iter().flat_map(part).copied();
                Tensor::of(name, vec![future.len(), part(&future[0]).len()], values)
            };
            tensors.extend([of("future/theta", |l| &l.theta), of("future/statistics", |l| &l.statistics)]);
        }
        let runs = self.rows.len();
        tensors.extend(
            self.state.contents.into_iter().enumerate().map(|(number, content)| Tensor::state(number, content, runs)),
        );
        let views = tensors.iter().map(|tensor| {
            let Tensor { name, dtype, shape, bytes } = tensor;
            Ok((name, TensorView::new(*dtype, shape.clone(), bytes).map_err(said)?))
        });
        let views: Vec<_> = views.collect::<Result<_, String>>()?;
        let zeros = String::from_utf8_lossy(&NO_SUM).into_owned();
        let about = about.iter().map(|(name, text)| ((*name).into(), (*text).clone()));
        let about = about.chain([(CHECKSUM.into(), zeros)]).collect();
        let mut bytes = safetensors::serialize(views, Some(about)).map_err(said)?;
        let place = digits(&bytes).expect("the header has a checksum");
        let sum = sum(&bytes, &place);
        bytes[place].copy_from_slice(sum.as_bytes());
        Ok(bytes)
    }

    /// What a file that was [`read`] holds; if it is not what is expected, why.
    pub fn of_bytes(bytes: &[u8], expected: &Expected) -> Result<Checkpoint, String> {
        let file = SafeTensors::deserialize(bytes).map_err(said)?;
        let [train, total] = numbers(&file, "seconds", &[2])?[..] else { unreachable!("its shape was compared") };
        let [computed] = numbers(&file, "computed", &[1])?[..] else { unreachable!("its shape was compared") };
        let time = |seconds| Duration::try_from_secs_f64(seconds).map_err(said);
        let mut states: Vec<_> = file.iter().filter(|(name, _)| name.starts_with("state/")).collect();
        states.sort_by_key(|(name, _)| *name);
        let rows = rows(&file, expected)?;
        Ok(Checkpoint {
            losses: losses(&file, expected.runs, rows[0].len())?,
            rows,
            train: time(train)?,
            total: time(total)?,
            future: future(&file, expected)?,
            state: SessionState {
                steps: computed as u64,
                contents: states.into_iter().map(|(name, tensor)| content(name, &tensor)).collect::<Result<_, _>>()?,
            },
        })
    }
}

/// Numbers of this shape.
fn numbers(file: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Vec<f64>, String> {
    let tensor = file.tensor(name).map_err(said)?;
    match (tensor.dtype(), tensor.shape()) {
        (Dtype::F64, found) if found == shape => Ok(bytemuck::pod_collect_to_vec(tensor.data())),
        (dtype, found) => Err(format!("its '{name}' is {dtype:?} {found:?}, where F64 {shape:?} is expected")),
    }
}

/// The accuracy matrices so far.
fn rows(file: &SafeTensors<'_>, expected: &Expected) -> Result<Vec<Vec<Vec<f64>>>, String> {
    let &Expected { runs, tasks, .. } = expected;
    let learned = match *file.tensor("accuracy").map_err(said)?.shape() {
        [found, 0, _] if found == runs => return Ok(vec![vec![]; runs]),
        [_, learned, _] => learned,
        _ => tasks,
    };
    let values = numbers(file, "accuracy", &[runs, learned, tasks])?;
    if learned > tasks {
        return Err(format!("it is of {learned} tasks, and the runs have {tasks}"));
    }
    if !values.iter().copied().all(can_be_found) {
        return Err("its 'accuracy' is not all between 0 and 1, -1 or -2".into());
    }
    let of_run = |run: &[f64]| run.chunks_exact(tasks).map(<[f64]>::to_vec).collect();
    Ok(values.chunks_exact(learned * tasks).map(of_run).collect())
}

/// The losses of `learned` tasks, or of one more.
fn losses(file: &SafeTensors<'_>, runs: usize, learned: usize) -> Result<Vec<Vec<Vec<f64>>>, String> {
    let of = file.tensor("steps").map_err(said)?.shape().first().map_or(0, |&of| of.clamp(learned, learned + 1));
    let steps: Vec<usize> = numbers(file, "steps", &[of])?.into_iter().map(|steps| steps as usize).collect();
    let all = steps.iter().try_fold(0_usize, |all, steps| all.checked_add(*steps));
    let all = all.ok_or("its 'steps' are more than there can be")?;
    let values = numbers(file, "losses", &[runs, all])?;
    let of_run = |run: usize| {
        let mut rest = &values[run * all..(run + 1) * all];
        let mut of_task = |&steps: &usize| rest.split_off(..steps).expect("steps add up to all").to_vec();
        steps.iter().map(&mut of_task).collect()
    };
    Ok((0..runs).map(of_run).collect())
}

fn future(file: &SafeTensors<'_>, expected: &Expected) -> Result<Option<Vec<Learned>>, String> {
    if file.tensor("future/theta").is_err() {
        return Ok(None);
    }
    let &Expected { runs, parameters, statistics, .. } = expected;
    let part = |name, width: usize| -> Result<Vec<Vec<f64>>, String> {
        let values = numbers(file, name, &[runs, width])?;
        Ok((0..runs).map(|run| values[run * width..(run + 1) * width].to_vec()).collect())
    };
    let models = part("future/theta", parameters)?.into_iter().zip(part("future/statistics", statistics)?);
    Ok(Some(models.map(|(theta, statistics)| Learned { theta, statistics }).collect()))
}

fn content(name: &str, tensor: &TensorView<'_>) -> Result<Content, String> {
    let width = match tensor.dtype() {
        Dtype::F32 => 4,
        Dtype::F64 => 8,
        other => return Err(format!("'{name}' is {other:?}")),
    };
    let (_, name) = name.split_once(' ').ok_or_else(|| format!("'{name}' has no number"))?;
    Ok(Content { name: name.into(), width, bytes: tensor.data().to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: Expected = Expected { runs: 2, tasks: 3, parameters: 4, statistics: 0, bytes: 1 << 20 };

    fn checkpoint() -> Checkpoint {
        let learned = |start: f64| Learned { theta: vec![start; 4], statistics: vec![] };
        let content = |name: &str| Content { name: name.into(), width: 4, bytes: (0..32).collect() };
        Checkpoint {
            rows: vec![vec![vec![0.5, 0.25, 0.0]; 2]; 2],
            losses: vec![vec![vec![1.0, 2.0], vec![f64::INFINITY]], vec![vec![3.0, 4.0], vec![5.0]]],
            train: Duration::from_secs(3),
            total: Duration::from_secs(4),
            future: Some(vec![learned(1.0), learned(2.0)]),
            state: SessionState { steps: 12, contents: vec![content("theta"), content("losses \"checksum\":\"")] },
        }
    }

    fn file() -> Vec<u8> {
        let origin = r#"{"command":["\"checksum\":\""]}"#.to_string();
        checkpoint().into_bytes(&[("origin", &origin)]).unwrap()
    }

    fn read_back(bytes: &[u8]) -> Result<Checkpoint, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        std::fs::write(&path, bytes).unwrap();
        Checkpoint::of_bytes(&read(&path, EXPECTED.bytes)?, &EXPECTED)
    }

    #[test]
    fn what_is_written_is_read() {
        let (read, written) = (read_back(&file()).unwrap(), checkpoint());
        assert_eq!((&read.rows, &read.losses, &read.state), (&written.rows, &written.losses, &written.state));
        assert_eq!((read.train, read.total), (written.train, written.total));
        assert_eq!(read.future.unwrap()[1].theta, [2.0; 4]);
    }

    #[test]
    fn one_changed_bit_anywhere_is_found() {
        let whole = file();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(read_back(&changed).is_err(), "byte {at} of {} was changed", whole.len());
        }
    }

    #[test]
    fn a_file_of_any_other_length_is_refused() {
        let whole = file();
        for length in 0..whole.len() {
            assert!(read_back(&whole[..length]).is_err(), "{length} of {} bytes", whole.len());
        }
        assert!(read_back(&[&whole[..], &[0]].concat()).is_err());
    }
}
