//! Times the variants that may compute a product on a GPU, and keeps the fastest.

use crate::ceiling_fma::CeilingFma;
use crate::choices::class;
use crate::device::Device;
use crate::executable::{Executable, Order};
use crate::gpu::Gpu;
use crate::kernel::{Describe, Kernel};
use crate::launch::Launch;
use crate::matmul::{MatMul, Variant};
use crate::store::{BufferInfo, Kind, Store};
use crate::view::{BufferId, View};
use std::sync::{Arc, mpsc};
use std::time::Instant;

/// A kernel that is a product of matrices, and so comes in variants.
pub trait Tunable {
    /// The product.
    fn product(&self) -> MatMul;
    /// How many of these a launch of one run computes.
    fn products(&self) -> usize {
        1
    }
    /// Elements of its two operands.
    fn operands(&self) -> [usize; 2];
    /// The kernel, computed in one way whatever the adapter would choose.
    fn in_variant(&self, variant: Variant) -> Arc<dyn Kernel>;
}

/// What a variant took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed {
    /// The variant.
    pub variant: Variant,
    /// Seconds a launch, the least of several samples.
    pub seconds: f64,
}

/// A sample takes so many seconds, if that takes no more than so many launches.
const SAMPLE_S: f64 = 1e-3;
const MOST_LAUNCHES: usize = 64;
/// Launches of a step: beside so many, the one that counts steps weighs little.
const LAUNCHES_A_STEP: usize = 8;
const SAMPLES: usize = 4;
/// What is this many times as slow as another in its first launch is not timed again.
const HOPELESS: f64 = 4.0;

/// Runs side by side for which variants are timed: the five seeds that the paper has, and so most experiments. The choice serves any
/// number, since a run's bits must not depend on how many there are.
const RUNS: usize = 5;

/// Times each variant on the kernel's sizes, of several runs; the fastest comes first. The first launch of each, in which drivers
/// compile, is not counted. Variants take turns, so that a GPU whose clock rises favours none.
pub fn time(gpu: &Arc<Gpu>, kernel: &dyn Tunable, variants: &[Variant]) -> Vec<Timed> {
    let device = Device::Gpu(gpu.clone());
    let mut store = Store::new(&device, RUNS);
    let launches = launches(kernel, variants, &mut store);
    let executable = |launch: &Launch, copies: usize, store: &Store| {
        Executable::new(&device, store, vec![launch.clone(); copies], vec![])
    };
    let single: Vec<_> = launches.iter().map(|launch| executable(launch, 1, &store)).collect();
    let run = |executable: &Executable, steps: usize, store: &mut Store| {
        let start = Instant::now();
        executable.run(store, 0..steps, Order::Sequential);
        gpu.wait();
        start.elapsed().as_secs_f64()
    };
    for executable in &single {
        run(executable, 1, &mut store);
    }
    let alone: Vec<f64> = single.iter().map(|executable| run(executable, 1, &mut store)).collect();
    let least = alone.iter().copied().fold(f64::INFINITY, f64::min);
    let wanted = ((SAMPLE_S / least).ceil() as usize).clamp(1, MOST_LAUNCHES);
    let copies = wanted.min(LAUNCHES_A_STEP);
    let steps = wanted.div_ceil(copies);
    let mut timed = vec![];
    let mut racing = vec![];
    for ((&variant, launch), seconds) in variants.iter().zip(&launches).zip(alone) {
        let races = seconds < HOPELESS * least;
        if races {
            racing.push((timed.len(), executable(launch, copies, &store)));
        }
        timed.push(Timed { variant, seconds: if races { f64::INFINITY } else { seconds } });
    }
    for _ in 0..SAMPLES {
        for (n, executable) in &racing {
            timed[*n].seconds = timed[*n].seconds.min(run(executable, steps, &mut store) / (steps * copies) as f64);
        }
    }
    timed.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    timed
}

/// A new buffer of a store: zeros, or images, which would be passed over if they were blank.
fn buffer(store: &mut Store, elements: usize, kind: Kind) -> View {
    let id = store.allocate(BufferInfo { name: "operand".into(), kind, elements, shared: kind == Kind::Bytes });
    if kind == Kind::Bytes {
        store.write_bytes(id, &vec![1; elements]);
    }
    View::whole(BufferId::Stored(id))
}

/// A launch of each variant, on buffers of a store.
fn launches(kernel: &dyn Tunable, variants: &[Variant], store: &mut Store) -> Vec<Launch> {
    let product = kernel.product();
    let mut buffer = |elements: usize, kind: Kind| buffer(store, elements, kind);
    let [a, b] = kernel.operands();
    let left = buffer(a, if product.bytes { Kind::Bytes } else { Kind::Float });
    let inputs = vec![left, buffer(b, Kind::Float)];
    let output = buffer(kernel.in_variant(variants[0]).describe().elements(), Kind::Float);
    let launch =
        |&variant: &Variant| Launch::new(kernel.in_variant(variant), Default::default(), inputs.clone(), output);
    variants.iter().map(launch).collect()
}

/// What was chosen for a class of products, and from what.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The class.
    pub class: String,
    /// What would be taken unmeasured.
    pub likeliest: Variant,
    /// The candidates, the chosen one first.
    pub timed: Vec<Timed>,
}

/// Chooses a variant for a kernel, whatever was chosen before. Nothing, where there is no choice.
pub fn choose(gpu: &Arc<Gpu>, kernel: &dyn Describe) -> Option<Choice> {
    kernel.as_tunable()?;
    compile(gpu, std::iter::once(kernel));
    choose_among_compiled(gpu, kernel)
}

fn choose_among_compiled(gpu: &Arc<Gpu>, kernel: &dyn Describe) -> Option<Choice> {
    let tunable = kernel.as_tunable()?;
    let candidates = Variant::candidates(&tunable.product(), gpu.traits());
    if candidates.len() < 2 {
        return None;
    }
    let timed = time(gpu, tunable, &candidates);
    let class = class(kernel.name(), tunable);
    gpu.traits().choices.make(class.clone(), timed[0].variant);
    Some(Choice { class, likeliest: candidates[0], timed })
}

/// Compiles all candidates of some kernels side by side. The GPU computes something meanwhile: its clock would rest, and takes a tenth
/// of a second to rise, in which the order of the candidates need not be that of later.
fn compile<'a>(gpu: &Arc<Gpu>, kernels: impl Iterator<Item = &'a dyn Describe>) {
    let mut store = Store::new(&Device::Dry, 1);
    let candidates = |kernel: &dyn Describe| {
        let tunable = kernel.as_tunable().expect("only what comes in variants is new");
        match Variant::candidates(&tunable.product(), gpu.traits()) {
            all if all.len() < 2 => vec![],
            all => self::launches(tunable, &all, &mut store),
        }
    };
    let launches: Vec<Launch> = kernels.flat_map(candidates).collect();
    if launches.is_empty() {
        return;
    }
    std::thread::scope(|scope| {
        let (busy, compiled) = mpsc::channel();
        scope.spawn(move || keep_busy(gpu, &compiled));
        gpu.prepare(&launches);
        drop(busy);
    });
}

/// Has a GPU multiply and add as long as the other end of the channel is there.
fn keep_busy(gpu: &Arc<Gpu>, until: &mpsc::Receiver<()>) {
    let device = Device::Gpu(gpu.clone());
    let mut store = Store::new(&device, 1);
    let kernel = CeilingFma { elements: 1 << 16, rounds: 1 << 12 };
    let [x, factors, output] = [kernel.elements, 2, kernel.elements].map(|n| buffer(&mut store, n, Kind::Float));
    let inputs = vec![x, factors];
    let launch = Launch::new(Arc::new(kernel), Default::default(), inputs, output);
    let executable = Executable::new(&device, &store, vec![launch], vec![]);
    while until.try_recv() == Err(mpsc::TryRecvError::Empty) {
        executable.run(&mut store, 0..1, Order::Sequential);
        gpu.wait();
    }
}

/// Chooses for each product among the launches for whose class no variant is chosen yet. Choices that are to be kept are
/// written to their file at once.
pub(crate) fn choose_for(gpu: &Arc<Gpu>, launches: &[Launch]) {
    let choices = &gpu.traits().choices;
    let is_new = |kernel: &&dyn Describe| {
        let is_new = |tunable: &dyn Tunable| choices.of(&class(kernel.name(), tunable)).is_none();
        kernel.as_tunable().is_some_and(is_new)
    };
    let kernels = || launches.iter().map(|launch| launch.kernel.describe());
    compile(gpu, kernels().filter(is_new));
    let mut chosen = false;
    for kernel in kernels() {
        // Another of its class may have come before it.
        chosen |= is_new(&kernel) && choose_among_compiled(gpu, kernel).is_some();
    }
    if chosen {
        // A cache that can't be written costs time at the next start, and nothing else.
        let _ = choices.keep();
    }
}
