//! Programs of others that do the same work as this one, under benches/peers/: which there are, and what they took.

use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::{Command, Stdio};

/// A program of others, and how it is called.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    /// What it is, before it has told itself.
    pub name: &'static str,
    host: Host,
    args: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Host {
    /// A script, and the module that it needs.
    Python { script: &'static str, module: &'static str },
    /// A package of its own, to be built where it lies.
    Package { folder: &'static str, binary: &'static str },
}

/// What a program took for a piece of work: the line of JSON that it prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerTime {
    /// The program, with its version and way.
    pub peer: String,
    /// The work: `hal 5` (seeds), `matmul 512x512x512` (rows, columns, terms).
    pub what: String,
    /// Seconds, without compiling.
    pub seconds: f64,
    /// Mean final accuracy in percent, where something was trained.
    #[serde(default)]
    pub accuracy: Option<f64>,
}

/// A program that did not tell.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PeerError {
    /// It is not here.
    #[error("not installed: {0}")]
    Absent(String),
    /// It is, and fails.
    #[error("failed: {0}")]
    Failed(String),
}

/// The work on which programs are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// HAL on Permuted MNIST, twenty tasks of so many seeds, all tests.
    Hal(usize),
    /// A product: rows, columns, terms.
    Product([usize; 3]),
}

impl Work {
    /// As programs name it.
    pub fn name(&self) -> String {
        match self {
            Work::Hal(seeds) => format!("hal {seeds}"),
            Work::Product([m, n, k]) => format!("matmul {m}x{n}x{k}"),
        }
    }
}

/// The programs that do some work on the processor, or on the first GPU, which may be a CPU that plays one (`software`).
pub fn peers(work: Work, gpu: bool, software: bool) -> Vec<Peer> {
    let python = |name, script, module, args: &[&str]| Peer {
        name,
        host: Host::Python { script, module },
        args: args.iter().map(|arg| arg.to_string()).chain(["--json".into()]).collect(),
    };
    match work {
        Work::Hal(seeds) => {
            let (seeds, device) = (seeds.to_string(), if gpu { "cuda" } else { "cpu" });
            let torch = ["--seeds", &seeds, "--device", device];
            vec![
                python("PyTorch, eager", "hal_torch.py", "torch", &torch),
                python("PyTorch, compiled", "hal_torch.py", "torch", &[&torch[..], &["--compile"]].concat()),
                python("JAX, jit + scan", "hal_jax.py", "jax", &["--seeds", &seeds]),
                python("JAX, jit + scan + vmap", "hal_jax.py", "jax", &["--seeds", &seeds, "--vmap"]),
            ]
        }
        Work::Product([m, n, k]) => {
            let software = software.then(|| "software".to_string());
            let args: Vec<String> = software.into_iter().chain([format!("{m}x{n}x{k}")]).collect();
            let package =
                |name, folder, binary| Peer { name, host: Host::Package { folder, binary }, args: Vec::clone(&args) };
            vec![
                package("burn on wgpu", "burn", "burn-peer"),
                package("meganeura on blade", "meganeura", "meganeura-peer"),
            ]
        }
    }
}

impl Peer {
    /// Runs it, from its folder `peers`. `python` is the interpreter.
    ///
    /// # Errors
    /// If it is not installed, fails, or does not say what it took.
    pub fn time(&self, peers: &Path, python: &str, gpu: bool) -> Result<PeerTime, PeerError> {
        let mut command = self.command(peers, python)?;
        command.args(&self.args).stdin(Stdio::null());
        if !gpu {
            command.env("JAX_PLATFORMS", "cpu");
        }
        let output = command.output().map_err(|error| PeerError::Failed(error.to_string()))?;
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            let last = complained.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it does not say why");
            return Err(PeerError::Failed(last.trim().into()));
        }
        let time = said.lines().rev().find_map(|line| serde_json::from_str(line).ok());
        time.ok_or_else(|| PeerError::Failed("it does not say what it took".into()))
    }

    fn command(&self, peers: &Path, python: &str) -> Result<Command, PeerError> {
        match &self.host {
            Host::Python { script, module } => {
                let script = peers.join(script);
                if !script.is_file() {
                    return Err(PeerError::Absent(format!("there is no {}", script.display())));
                }
                let import = Command::new(python).args(["-c", &format!("import {module}, numpy")]).output();
                match import {
                    Ok(output) if output.status.success() => {}
                    _ => return Err(PeerError::Absent(format!("`{python} -m pip install {module} numpy` does it"))),
                }
                let mut command = Command::new(python);
                command.arg(script);
                Ok(command)
            }
            Host::Package { folder, binary } => {
                let manifest = peers.join(folder).join("Cargo.toml");
                let built = peers.join(folder).join("target").join("release").join(binary);
                if !built.is_file() {
                    let build = format!("`cargo build --release --manifest-path {}` does it", manifest.display());
                    return Err(PeerError::Absent(build));
                }
                Ok(Command::new(built))
            }
        }
    }
}
