//! Figure 2: the images of a task and its anchors, by t-SNE, as pixels and as features of the trained model.

use super::Cell;
use crate::autodiff::Tape;
use crate::data::benchmarks;
use crate::experiment::FinishedRun;
use crate::nn::Mlp;
use crate::program::Session;
use crate::report::figure::{self, Cloud, Svg};
use crate::report::tsne;
use hindsight_kernels::{BLANK, Device};
use serde::{Deserialize, Serialize};

/// Where images and anchors come to lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnchorPicture {
    /// The class of each point: images first, then anchors.
    classes: Vec<usize>,
    /// How many are images.
    images: usize,
    pixels: Vec<(f64, f64)>,
    features: Vec<(f64, f64)>,
}

impl AnchorPicture {
    /// The picture of a run's last task. None for a run without anchors.
    pub fn of(cell: &Cell, run: &FinishedRun) -> Option<AnchorPicture> {
        let anchors = run.anchors.as_ref()?;
        let benchmark = benchmarks::find(&cell.benchmark)?;
        let data = benchmark.data().ok()?;
        let plan = benchmark.stream(data, &cell.settings, cell.seeds[0]).ok()?.pop()?;
        let shown = |&image: &u32| {
            let image = &data.train_images[image as usize * data.pixels()..][..data.pixels()];
            let pixel = |&p: &u32| if p == BLANK { 0.0 } else { f32::from(image[p as usize]) / 255.0 };
            plan.map.iter().map(pixel).collect::<Vec<f32>>()
        };
        let mut points: Vec<Vec<f32>> = plan.images.iter().map(shown).collect();
        let mut classes: Vec<usize> = plan.images.iter().map(|&i| data.train_labels[i as usize].into()).collect();
        let images = points.len();
        let last = &anchors.images[anchors.images.len() - anchors.classes..];
        points.extend(last.iter().map(|anchor| anchor.iter().map(|pixel| *pixel as f32).collect()));
        classes.extend(0..anchors.classes);
        let features = features(&run.parameters, &points);
        Some(AnchorPicture { classes, images, pixels: tsne(&points), features: tsne(&features) })
    }

    /// The picture that a file's text is, if it is one.
    pub fn read(text: &str) -> Option<AnchorPicture> {
        let picture: AnchorPicture = serde_json::from_str(text).ok()?;
        let AnchorPicture { classes, images, pixels, features } = &picture;
        let of_all = |points: &[(f64, f64)]| points.len() == classes.len();
        let whole = of_all(pixels) && of_all(features) && *images <= classes.len();
        // A cloud a class.
        (whole && classes.iter().all(|class| *class < 1000)).then_some(picture)
    }

    /// As pixels, and as features.
    pub fn draw(&self) -> [Svg; 2] {
        let clouds = |at: &[(f64, f64)]| {
            let cloud = |class: usize| {
                let of = |from: usize, to: usize| {
                    (from..to).filter(|&i| self.classes[i] == class).map(|i| at[i]).collect::<Vec<_>>()
                };
                Cloud { name: class.to_string(), points: of(0, self.images), large: of(self.images, at.len()) }
            };
            (0..=self.classes.iter().copied().max().unwrap_or(0)).map(cloud).collect::<Vec<_>>()
        };
        [
            figure::points("Images of the last task and its anchors (large): pixels", &clouds(&self.pixels)),
            figure::points("Images of the last task and its anchors (large): features", &clouds(&self.features)),
        ]
    }
}

/// The last hidden layer of the model for each image.
fn features(theta: &[f64], images: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let model = Mlp::mnist();
    let mut session = Session::new(&Device::Cpu, 1);
    let parameters = session.state("theta", &[theta.len()]);
    let pixels = session.state("images", &[images.len(), model.units[0]]);
    let found = session.state("features", &[images.len(), model.features()]);
    session.write(&parameters, 0, theta);
    session.write(&pixels, 0, &images.iter().flatten().map(|p| f64::from(*p)).collect::<Vec<_>>());
    let tape = Tape::new();
    tape.assign(&found, model.forward(tape.load(&parameters), tape.load(&pixels)).0);
    let program = session.compile(&tape);
    session.run(&program, 0..1);
    let flat = session.read(&found).remove(0);
    flat.chunks_exact(model.features()).map(|row| row.iter().map(|x| *x as f32).collect()).collect()
}
