//! Matrix products in meganeura on blade, as a peer: `meganeura-peer [software] 512x512x512 ..` (rows x columns x terms).
//!
//! Tuned and warmed up before it is timed. Prints a line of JSON a product: seconds each, the median of samples in which
//! many products wait for the device once.

use blade_graphics::{Context, DeviceReportStatus};
use meganeura::{CoopPolicy, GpuOptions, Graph, Mode, Session, SessionConfig, SessionOptions, TuneOptions};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SAMPLES: usize = 7;
const SAMPLE_S: f64 = 0.3;
/// Products that are handed to the device at a time: burn's number.
const PART: usize = 32;

/// The first GPU, or the first processor that plays one.
fn device(software: bool) -> Result<Arc<Context>, String> {
    let mut why = format!("there is no Vulkan adapter that is {}", if software { "software" } else { "a GPU" });
    for report in Context::enumerate().map_err(|error| error.to_string())? {
        let adapter = report.information;
        match report.status {
            _ if adapter.is_software_emulated != software => {}
            DeviceReportStatus::Rejected(reason) => why = format!("{} will not do: {reason}", adapter.device_name),
            DeviceReportStatus::Available { .. } => {
                let options = GpuOptions { device_id: Some(report.device_id), timing: false };
                return meganeura::init_gpu_context_with(options).map(Arc::new).map_err(|error| error.to_string());
            }
        }
    }
    Err(why)
}

/// Uniform numbers from -1 to 1, the same each time.
fn random(count: usize, mut state: u64) -> Vec<f32> {
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn seconds(gpu: &Arc<Context>, [m, n, k]: [usize; 3]) -> Result<f64, String> {
    // By default, matrix units that take only f16 would round the factors first: they are not used, those for f32 are.
    // Serially is with a barrier after each: products that share a factor would be packed into one dispatch otherwise.
    let f32_units = gpu.capabilities().cooperative_matrix.f32_tile > 0;
    let coop = if f32_units { CoopPolicy::Auto } else { CoopPolicy::Disabled };
    let options = SessionOptions { coop, serial_dispatch: true, ..Default::default() };

    let mut graph = Graph::new();
    let (a, b) = (graph.input("a", &[m, k]), graph.parameter("b", &[k, n]));
    let product = graph.matmul(a, b);
    graph.set_outputs(vec![product]);
    let config =
        SessionConfig { mode: Mode::Inference, gpu: Some(gpu.clone()), runtime: options.clone(), ..Default::default() };
    let mut one = meganeura::build(&graph, config).0;
    let (a, b) = (random(m * k, 1), random(k * n, 2));
    let run = |session: &mut Session| {
        let start = Instant::now();
        session.step();
        session.wait();
        start.elapsed().as_secs_f64()
    };
    let load = |session: &mut Session| {
        session.set_input("a", &a);
        session.set_parameter("b", &b);
        run(session); // the first is slower
    };
    load(&mut one);
    let times = ((SAMPLE_S / run(&mut one)).ceil() as usize).clamp(1, 1000);

    // A step waits for the one before it. So that many products wait once, they are a step together: the plan of the one,
    // repeated, and handed over in parts, as burn does it, lest the device wait until the last is encoded.
    let mut plan = one.plan().clone();
    plan.dispatches = vec![plan.dispatches[0].clone(); times];
    let mut many = Session::with_context_opts(plan, gpu.clone(), options);
    // The search for the best tile would not get to its end on a slow device within the limits that it has by default.
    let search = TuneOptions {
        max_time: Duration::from_secs(120),
        max_scratch_bytes: 1 << 30,
        dispatches_per_sample: times.min(16) as u32,
        ..Default::default()
    };
    many.tune_with(search).map_err(|error| error.to_string())?;
    many.set_submission_chunks(times.div_ceil(PART));
    load(&mut many);
    let mut samples: Vec<f64> = (0..SAMPLES).map(|_| run(&mut many) / times as f64).collect();
    samples.sort_by(f64::total_cmp);

    // Sixteen sums, the corners among them, held to what f32 gives and factors of f16 would not.
    let sums = many.read_output(m * n);
    for (row, column) in (0..16).map(|i| (i / 4 * (m - 1) / 3, i % 4 * (n - 1) / 3)) {
        let exact: f64 = (0..k).map(|i| a[row * k + i] as f64 * b[i * n + column] as f64).sum();
        let sum = sums[row * n + column] as f64;
        let right = (sum - exact).abs() <= 1e-5 * (k as f64).sqrt();
        if !right {
            return Err(format!("wrong: {sum} instead of {exact} in row {row}, column {column}"));
        }
    }
    Ok(samples[SAMPLES / 2])
}

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let software = args.first().is_some_and(|arg| arg == "software");
    if software {
        args.remove(0);
    }
    let fail = |why: String| -> ! {
        eprintln!("{why}");
        std::process::exit(1)
    };
    let gpu = device(software).unwrap_or_else(|why| fail(why));
    for shape in &args {
        let sizes: Vec<usize> = shape.split('x').map(|n| n.parse().expect("rows x columns x terms")).collect();
        let seconds = seconds(&gpu, sizes.try_into().expect("three sizes")).unwrap_or_else(|why| fail(why));
        println!("{{\"peer\": \"meganeura 0.3 on blade\", \"what\": \"matmul {shape}\", \"seconds\": {seconds:e}}}");
    }
}
