//! What a program does, launch by launch, and which lines of which method asked for it.

use super::plan::{Plan, Temporary};
use crate::autodiff::Site;
use hindsight_kernels::{Access, Cost, Device, Epilogue, Instruction, Launch};

/// The part of a tape that a launch computes.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribution {
    /// The operation whose kernel it is; without one, the last of its chain.
    pub operation: String,
    /// The line that recorded it.
    pub site: Site,
    /// What else is computed on the way, and where it was recorded.
    pub fused: Vec<(String, Site)>,
}

impl Attribution {
    /// That of one launch that computes what another would, too; it stands for its own line.
    pub(super) fn with(mut self, other: &Attribution) -> Attribution {
        self.fused.push((other.operation.clone(), other.site));
        self.fused.extend(other.fused.iter().cloned());
        self
    }
}

/// A launch, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainedLaunch {
    /// Name of the kernel.
    pub kernel: String,
    /// The variant that computes it on the device.
    pub variant: String,
    /// The kernel's sizes.
    pub shape: String,
    /// What is done to each of its elements `x` before they are written; empty where nothing is.
    pub epilogue: String,
    /// What it computes of the tape.
    pub of: Attribution,
    /// Work for one run.
    pub cost: Cost,
}

/// A compiled program, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Name of the method whose it is.
    pub method: String,
    /// What it is for: the name of its tape, or the line that compiled it.
    pub name: String,
    /// The launches of a step.
    pub launches: Vec<ExplainedLaunch>,
    /// Bytes of its temporaries, for one run.
    pub temporaries: u64,
}

impl ExplainedLaunch {
    fn new(device: &Device, launch: &Launch, of: &Attribution) -> ExplainedLaunch {
        let kernel = launch.kernel.describe();
        ExplainedLaunch {
            kernel: kernel.name().into(),
            variant: device.variant(launch),
            shape: if launch.abreast > 1 {
                format!("{} of {}", launch.abreast, kernel.shape())
            } else {
                kernel.shape()
            },
            epilogue: launch.parts().map(|part| formula(&part.epilogue)).collect::<Vec<_>>().join("; "),
            of: of.clone(),
            cost: launch.cost(),
        }
    }

    /// The line that it stands for.
    pub fn line(&self) -> String {
        self.of.site.to_string()
    }

    /// That line, and in brackets the others that have a part in it.
    pub fn lines(&self) -> String {
        let of = &self.of;
        let mut others: Vec<Site> = of.fused.iter().map(|(_, site)| *site).filter(|site| *site != of.site).collect();
        others.sort_unstable();
        others.dedup();
        let others: Vec<String> = others.iter().map(Site::to_string).collect();
        if others.is_empty() { of.site.to_string() } else { format!("{} ({})", of.site, others.join(", ")) }
    }

    /// The operation that it stands for, and how many more are computed on the way.
    pub fn operation(&self) -> String {
        let Attribution { operation, fused, .. } = &self.of;
        if fused.is_empty() { operation.clone() } else { format!("{operation} + {}", fused.len()) }
    }
}

impl Explanation {
    /// Explains what a plan becomes on a device.
    pub(super) fn new(device: &Device, method: &str, name: &str, plan: &Plan) -> Explanation {
        let launches = plan.launches.iter().zip(&plan.attributions);
        let launches = launches.map(|(launch, of)| ExplainedLaunch::new(device, launch, of)).collect();
        let temporaries = plan.temporaries.iter().map(Temporary::bytes).sum();
        Explanation { method: method.into(), name: name.into(), launches, temporaries }
    }

    /// Work of one step of one run.
    pub fn cost(&self) -> Cost {
        let costs = self.launches.iter().map(|launch| launch.cost);
        costs.fold(Cost::default(), |a, b| Cost { flops: a.flops + b.flops, bytes: a.bytes + b.bytes })
    }
}

/// Instructions that can still be read as one formula.
const MOST_INSTRUCTIONS: usize = 16;

/// An epilogue as a formula of the kernel's value `x` and the extra inputs `a`, `b`, ...; one that is read otherwise
/// than element by element says how.
fn formula(epilogue: &Epilogue) -> String {
    match epilogue.instructions.len() {
        0 => String::new(),
        n if n > MOST_INSTRUCTIONS => {
            format!("{} operations on x and {} inputs", epilogue.operations(), epilogue.extras.len())
        }
        n => term(epilogue, n - 1, false),
    }
}

fn term(epilogue: &Epilogue, instruction: usize, inner: bool) -> String {
    let of = |n: usize| term(epilogue, n, true);
    match epilogue.instructions[instruction] {
        Instruction::Value => "x".into(),
        Instruction::Constant(number) => constant(number),
        Instruction::Extra(e) => {
            let name = char::from(b'a' + e as u8);
            match epilogue.extras[e] {
                Access::Full => name.into(),
                Access::Spread { .. } => format!("spread({name})"),
                Access::OneHot { .. } => format!("one_hot({name})"),
                Access::Place { .. } => format!("place({name})"),
            }
        }
        Instruction::Unary(op, n) => format!("{}({})", format!("{op:?}").to_lowercase(), term(epilogue, n, false)),
        Instruction::Binary(op, a, b) => {
            let text = format!("{} {} {}", of(a), op.symbol(), of(b));
            if inner { format!("({text})") } else { text }
        }
    }
}

/// With the digits that single precision has.
fn constant(number: f64) -> String {
    let number = number as f32;
    if number != 0.0 && number.abs() < 1e-3 { format!("{number:e}") } else { number.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hindsight_kernels::{Binary, Unary};

    #[test]
    fn an_epilogue_reads_as_a_formula() {
        let epilogue = Epilogue {
            instructions: vec![
                Instruction::Value,
                Instruction::Extra(0),
                Instruction::Binary(Binary::Add, 0, 1),
                Instruction::Unary(Unary::Relu, 2),
                Instruction::Constant(0.5),
                Instruction::Binary(Binary::Mul, 3, 4),
                Instruction::Extra(1),
                Instruction::Binary(Binary::Sub, 5, 6),
            ],
            extras: vec![Access::Spread { mid: 2, inner: 3 }, Access::Full],
        };
        assert_eq!(formula(&epilogue), "(relu(x + spread(a)) * 0.5) - b");
        assert_eq!(formula(&Epilogue::default()), "");
        assert_eq!([0.1, 1e-12, 0.0, 1.0 - 0.9].map(constant), ["0.1", "1e-12", "0", "0.1"]);
    }
}
