//! Matrix products in burn on wgpu, as a peer: `burn-peer [software] 512x512x512 ..` (rows x columns x terms).
//!
//! Autotuned and warmed up, as burn does both by itself. Prints a line of JSON a product: seconds each, the median of samples
//! in which many products wait for the device once.

use burn::tensor::{Device, DeviceKind, Distribution, Tensor};
use std::time::Instant;

const SAMPLES: usize = 7;
const SAMPLE_S: f64 = 0.3;

fn seconds(device: &Device, [m, n, k]: [usize; 3]) -> f64 {
    let random = |shape: [usize; 2]| Tensor::<2>::random(shape, Distribution::Uniform(-1.0, 1.0), device);
    let (a, b) = (random([m, k]), random([k, n]));
    let run = |times: usize| {
        let start = Instant::now();
        for _ in 0..times {
            std::hint::black_box(a.clone().matmul(b.clone()));
        }
        device.sync().expect("the device computes");
        start.elapsed().as_secs_f64() / times as f64
    };
    run(3); // tunes and compiles
    let times = ((SAMPLE_S / run(3)).ceil() as usize).clamp(1, 1000);
    let mut samples: Vec<f64> = (0..SAMPLES).map(|_| run(times)).collect();
    samples.sort_by(f64::total_cmp);
    samples[SAMPLES / 2]
}

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let software = args.first().is_some_and(|arg| arg == "software");
    if software {
        args.remove(0);
    }
    let device = Device::wgpu(if software { DeviceKind::Cpu } else { DeviceKind::DefaultDevice });
    for shape in &args {
        let sizes: Vec<usize> = shape.split('x').map(|n| n.parse().expect("rows x columns x terms")).collect();
        let seconds = seconds(&device, sizes.try_into().expect("three sizes"));
        println!("{{\"peer\": \"burn 0.22 on wgpu\", \"what\": \"matmul {shape}\", \"seconds\": {seconds:e}}}");
    }
}
