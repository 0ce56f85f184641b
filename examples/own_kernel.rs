//! An own WGSL kernel: its shader, its twin, launched on whatever device there is, checked and timed.

use hindsight_kernels::*;
use std::sync::Arc;
use std::time::Instant;

/// `out[i] = x[i] · |x[i]|`
#[derive(Debug)]
struct SignedSquare {
    elements: usize,
}

// Binding 2 is the output, 3 the first input; a prelude brings `params` and `base`, and an epilogue follows.
const SHADER: &str = "
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = (group.x + group.y * groups.x) * 256u + lane;
    if i < params.size.x {
        let value = x[base(1u, group.z) + i];
        out[base(0u, group.z) + i] = epilogue(value * abs(value), i, group.z);
    }
}";

impl Describe for SignedSquare {
    fn name(&self) -> &'static str {
        "signed_square"
    }
    fn elements(&self) -> usize {
        self.elements
    }
    fn inputs(&self) -> usize {
        1
    }
    fn cost(&self) -> Cost {
        Cost { flops: self.elements as f64, bytes: 8.0 * self.elements as f64 }
    }
    fn shader(&self, _: &Traits, _: &[View]) -> Shader {
        Shader::per_element(SHADER, vec![self.elements as u32], self.elements)
    }
}

impl Twin for SignedSquare {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        for (out, &x) in out.iter_mut().zip(inputs[0].float()) {
            *out = if x < F::ZERO { -(x * x) } else { x * x };
        }
    }
}

/// Launches the kernel on a device; returns the output and the seconds of a warm replay.
fn launch(device: &Device, values: &[f64]) -> (Vec<f64>, f64) {
    let mut store = Store::new(device, 1);
    let mut buffer = |name: &str| {
        let info = BufferInfo { name: name.into(), kind: Kind::Float, elements: values.len(), shared: false };
        store.allocate(info)
    };
    let (x, out) = (buffer("x"), buffer("out"));
    store.write(x, 0, 0, values);
    let kernel = Arc::new(SignedSquare { elements: values.len() });
    let [input, output] = [x, out].map(|id| View::whole(BufferId::Stored(id)));
    let launch = Launch::new(kernel, Epilogue::default(), vec![input], output);
    let executable = Executable::new(device, &store, vec![launch], vec![]);
    executable.run(&mut store, 0..1, Order::Sequential); // compiles
    store.read(out);
    let start = Instant::now();
    executable.run(&mut store, 0..1, Order::Sequential);
    let result = store.read(out).remove(0); // waits
    (result, start.elapsed().as_secs_f64())
}

#[cfg_attr(test, test)]
fn an_own_kernel_is_launched_checked_and_timed() {
    let values: Vec<f64> = (0..100_000).map(|i| f64::from(i - 50_000) / 1000.0).collect();
    let (expected, _) = launch(&Device::Oracle, &values);
    let device = Device::open(&DeviceChoice::Gpu).unwrap_or(Device::Cpu);
    let (found, seconds) = launch(&device, &values);
    let worst = expected.iter().zip(&found).map(|(a, b)| (a - b).abs() / (1.0 + a.abs())).fold(0.0, f64::max);
    println!("{}: largest relative error {worst:.1e}, {:.0} us with the read-back", device.describe(), seconds * 1e6);
    assert!(worst < 1e-6);
}

#[cfg(not(test))]
fn main() {
    an_own_kernel_is_launched_checked_and_timed();
}
