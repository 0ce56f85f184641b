//! An own continual-learning method: SGD whose step shrinks with the squared length of the parameters.

use hindsight::autodiff::Tape;
use hindsight::data::benchmarks;
use hindsight::device::Device;
use hindsight::methods::{BatchStream, Lab, Learner, Method};
use hindsight::program::Program;
use hindsight::settings::{RunSpec, Settings};

struct WeightDecay;

struct Work {
    stream: BatchStream,
    step: Program,
}

impl Method for WeightDecay {
    fn name(&self) -> &'static str {
        "weight-decay"
    }
    fn title(&self) -> &'static str {
        "Weight decay"
    }
    fn summary(&self) -> &'static str {
        "finetuning with a penalty on large weights"
    }
    fn start(&self, lab: &mut Lab) -> Box<dyn Learner> {
        let stream = lab.stream("batch", lab.settings.steps(), lab.settings.batch);
        let tape = Tape::named("training step");
        let theta = tape.load(&lab.theta);
        let batch = lab.batch(&tape, &stream);
        let loss = lab.loss(theta, &batch) + theta.squared().total() * 1e-4;
        lab.update(theta, theta - tape.grad(loss, theta).scaled(lab.rate(&tape)), &batch);
        tape.assign_row(&lab.losses, loss);
        Box::new(Work { step: lab.session.compile(&tape), stream })
    }
}

impl Learner for Work {
    fn learn(&mut self, lab: &mut Lab, task: usize) {
        lab.feed(&self.stream, task, 0);
        lab.session.run(&self.step, 0..lab.settings.steps());
        lab.end_task();
    }
    fn step(&self) -> &Program {
        &self.step
    }
}

#[cfg_attr(test, test)]
fn an_own_method_learns() {
    let settings = Settings { tasks: 2, images_per_task: 500, test_images: 1000, ..Settings::default() };
    let benchmark = benchmarks::find("permuted-mnist").expect("it is registered");
    let data = benchmark.data().expect("MNIST is built in");
    let mut lab =
        Lab::new(&Device::Cpu, benchmark, data, &RunSpec::seeds(&settings, &[0, 1])).expect("MNIST has so many images");
    let mut learner = WeightDecay.start(&mut lab);
    for task in 0..settings.tasks {
        learner.learn(&mut lab, task);
        println!("after task {}: accuracy of each run on each task {:.2?}", task + 1, lab.test());
    }
    assert!(lab.test().iter().all(|run| run[1] > 0.4));
}

#[cfg(not(test))]
fn main() {
    an_own_method_learns();
}
