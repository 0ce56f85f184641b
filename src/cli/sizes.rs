//! The flags that say how large a benchmark is, for every command that runs one.

use super::args::count;
use clap::Args;
use hindsight::data::benchmarks::{Benchmark, Limits};
use hindsight::settings::Sizes;

#[derive(Args, Clone, Copy)]
#[command(next_help_heading = "The protocol")]
pub struct SizeArgs {
    /// Tasks in the stream (paper, Experiments: 20 on MNIST, 17 elsewhere)
    #[arg(long, value_name = "N", value_parser = count(1..=1000))]
    pub tasks: Option<usize>,

    #[command(flatten)]
    pub images: ImageArgs,
}

/// Of a task.
#[derive(Args, Clone, Copy)]
pub struct ImageArgs {
    /// Training images a task, each seen once (paper: 1000 on MNIST; 500 of each of 5 classes elsewhere)
    #[arg(long, value_name = "N", value_parser = count(1..=1_000_000))]
    pub images: Option<usize>,

    /// Training images a class and task, instead of --images (the paper's text says 250, its numbers come of 500)
    #[arg(long, value_name = "N", value_parser = count(1..=1_000_000), conflicts_with = "images")]
    pub per_class: Option<usize>,

    /// Test images of each task, after every task (10000 on MNIST, 500 elsewhere)
    #[arg(long, value_name = "N", value_parser = count(1..=1_000_000))]
    pub test_images: Option<usize>,
}

impl SizeArgs {
    /// The sizes of a benchmark. Ends the program where it has not as much.
    pub fn of(&self, benchmark: &dyn Benchmark) -> Sizes {
        let sizes = self.images.of(benchmark);
        refuse_more(benchmark, "tasks", self.tasks, benchmark.limits().tasks);
        Sizes { tasks: self.tasks, ..sizes }
    }
}

impl ImageArgs {
    /// The sizes of a benchmark. Ends the program where it has not as much.
    pub fn of(&self, benchmark: &dyn Benchmark) -> Sizes {
        let Limits { images_per_task, test_images, .. } = benchmark.limits();
        let images = self.images.or(self.per_class.map(|n| n * benchmark.task_classes()));
        refuse_more(benchmark, "training images a task", images, images_per_task);
        refuse_more(benchmark, "test images a task", self.test_images, test_images);
        Sizes { tasks: None, images_per_task: images, test_images: self.test_images }
    }
}

/// clap knows no bound that depends on another flag.
fn refuse_more(benchmark: &dyn Benchmark, what: &str, asked: Option<usize>, most: usize) {
    if let Some(asked) = asked.filter(|asked| *asked > most) {
        super::refuse(format!("{} has at most {most} {what}, not {asked}", benchmark.title()));
    }
}
