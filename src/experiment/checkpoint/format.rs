//! A checkpoint as a safetensors file: `accuracy` and `losses` `[runs, tasks, ...]`, `seconds` of training and in all, for an
//! oracle the models of its first pass, and each buffer by a number and its name, `[runs, elements]`.

use crate::methods::Learned;
use crate::program::Content;
use hindsight_kernels::Kind;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::fmt::Display;
use std::time::Duration;

/// Runs after some of their tasks.
pub struct Checkpoint {
    /// The accuracy matrix of each run so far.
    pub rows: Vec<Vec<Vec<f64>>>,
    /// The losses of each run's steps, task by task.
    pub losses: Vec<Vec<Vec<f64>>>,
    /// What training took.
    pub train: Duration,
    /// What all took.
    pub total: Duration,
    /// The models after the last task, where an oracle knows them.
    pub future: Option<Vec<Learned>>,
    /// What the runs' buffers hold.
    pub contents: Vec<Content>,
}

pub fn said(error: impl Display) -> String {
    error.to_string()
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

    /// `[runs, tasks, ...]`
    fn by_task(name: &str, lists: &[Vec<Vec<f64>>]) -> Tensor {
        let shape = vec![lists.len(), lists[0].len(), lists[0].first().map_or(0, Vec::len)];
        Tensor::of(name, shape, lists.iter().flatten().flatten().copied())
    }

    /// A buffer of so many runs, by a name that no other has.
    fn state(number: usize, content: Content, runs: usize) -> Tensor {
        let Content { name, kind, width, bytes } = content;
        let dtype = match (kind, width) {
            (Kind::Float, 8) => Dtype::F64,
            (Kind::Float, _) => Dtype::F32,
            _ => Dtype::U32,
        };
        Tensor {
            name: format!("state/{number:04} {name}"),
            dtype,
            shape: vec![runs, bytes.len() / width / runs],
            bytes,
        }
    }
}

impl Checkpoint {
    /// Tasks that were learned.
    pub fn tasks(&self) -> usize {
        self.rows[0].len()
    }

    /// A file that says `about` itself.
    pub fn into_bytes(self, about: &[(&str, &String)]) -> Result<Vec<u8>, String> {
        let seconds = [self.train, self.total].map(|time| time.as_secs_f64());
        let mut tensors = vec![
            Tensor::by_task("accuracy", &self.rows),
            Tensor::by_task("losses", &self.losses),
            Tensor::of("seconds", vec![2], seconds.into_iter()),
        ];
        if let Some(future) = &self.future {
            let of = |name, part: fn(&Learned) -> &Vec<f64>| {
                let values = future.iter().flat_map(part).copied();
                Tensor::of(name, vec![future.len(), part(&future[0]).len()], values)
            };
            tensors.extend([of("future/theta", |l| &l.theta), of("future/statistics", |l| &l.statistics)]);
        }
        let runs = self.rows.len();
        tensors.extend(
            self.contents.into_iter().enumerate().map(|(number, content)| Tensor::state(number, content, runs)),
        );
        let views = tensors.iter().map(|tensor| {
            let Tensor { name, dtype, shape, bytes } = tensor;
            Ok((name, TensorView::new(*dtype, shape.clone(), bytes).map_err(said)?))
        });
        let views: Vec<_> = views.collect::<Result<_, String>>()?;
        let about = about.iter().map(|(name, text)| ((*name).into(), (*text).clone())).collect();
        safetensors::serialize(views, Some(about)).map_err(said)
    }

    /// What a file holds; if not, why.
    pub fn of_bytes(bytes: &[u8]) -> Result<Checkpoint, String> {
        let file = SafeTensors::deserialize(bytes).map_err(said)?;
        let [train, total] = numbers(&file, "seconds")?[..] else { return Err("it has no two times".into()) };
        let time = |seconds| Duration::try_from_secs_f64(seconds).map_err(said);
        let mut states: Vec<_> = file.iter().filter(|(name, _)| name.starts_with("state/")).collect();
        states.sort_by_key(|(name, _)| *name);
        let checkpoint = Checkpoint {
            rows: by_task(&file, "accuracy")?,
            losses: by_task(&file, "losses")?,
            train: time(train)?,
            total: time(total)?,
            future: future(&file)?,
            contents: states.into_iter().map(|(name, tensor)| content(name, &tensor)).collect::<Result<_, _>>()?,
        };
        let runs = checkpoint.rows.len();
        let is_matrix = |rows: &Vec<Vec<f64>>| {
            let is_row = |row: &Vec<f64>| rows.len() <= row.len() && row.iter().all(|a| (0.0..=1.0).contains(a));
            !rows.is_empty() && rows.iter().all(is_row)
        };
        let is_whole = runs > 0 && checkpoint.losses.len() == runs && checkpoint.rows.iter().all(is_matrix);
        if is_whole { Ok(checkpoint) } else { Err("it is damaged".into()) }
    }
}

fn numbers(file: &SafeTensors<'_>, name: &str) -> Result<Vec<f64>, String> {
    let tensor = file.tensor(name).map_err(said)?;
    match tensor.dtype() {
        Dtype::F64 => Ok(bytemuck::pod_collect_to_vec(tensor.data())),
        other => Err(format!("its {name} are {other:?}")),
    }
}

/// What [`Tensor::by_task`] wrote.
fn by_task(file: &SafeTensors<'_>, name: &str) -> Result<Vec<Vec<Vec<f64>>>, String> {
    let values = numbers(file, name)?;
    let &[_, tasks, width] = file.tensor(name).map_err(said)?.shape() else {
        return Err(format!("its {name} are not one list a run and task"));
    };
    let of_run = |run: &[f64]| run.chunks_exact(width.max(1)).map(<[f64]>::to_vec).collect();
    Ok(values.chunks_exact((tasks * width).max(1)).map(of_run).collect())
}

fn future(file: &SafeTensors<'_>) -> Result<Option<Vec<Learned>>, String> {
    let Ok(theta) = file.tensor("future/theta") else { return Ok(None) };
    let runs = theta.shape()[0];
    let part = |name| -> Result<Vec<Vec<f64>>, String> {
        let values = numbers(file, name)?;
        let width = values.len() / runs.max(1);
        Ok((0..runs).map(|run| values[run * width..(run + 1) * width].to_vec()).collect())
    };
    let models = part("future/theta")?.into_iter().zip(part("future/statistics")?);
    Ok(Some(models.map(|(theta, statistics)| Learned { theta, statistics }).collect()))
}

fn content(name: &str, tensor: &TensorView<'_>) -> Result<Content, String> {
    let (kind, width) = match tensor.dtype() {
        Dtype::F32 => (Kind::Float, 4),
        Dtype::F64 => (Kind::Float, 8),
        Dtype::U32 => (Kind::Index, 4),
        other => return Err(format!("'{name}' is {other:?}")),
    };
    let (_, name) = name.split_once(' ').ok_or_else(|| format!("'{name}' has no number"))?;
    Ok(Content { name: name.into(), kind, width, bytes: tensor.data().to_vec() })
}
