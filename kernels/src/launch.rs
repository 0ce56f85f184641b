//! What a launch is: a kernel, where its operands lie, and where its result goes.

use crate::expr::{Access, Epilogue};
use crate::gpu::Traits;
use crate::gpu::epilogue::{Extra, Lies, Part, Width, Writer};
use crate::kernel::{Cost, Kernel, Shader};
use crate::view::{BufferId, Stride, View};
use std::sync::Arc;

/// One entry of a compiled program.
#[derive(Clone, Debug)]
pub struct Launch {
    /// What is computed.
    pub kernel: Arc<dyn Kernel>,
    /// What is done to each element before it is written.
    pub epilogue: Epilogue,
    /// The kernel's inputs, then the epilogue's extras.
    pub inputs: Vec<View>,
    /// Where the result goes.
    pub output: View,
    /// How many launches it stands for, which do the same to operands that lie apart.
    pub abreast: usize,
    /// Of a map: others of as many elements, which are computed before it, element by element. What they write it may read.
    pub before: Vec<Launch>,
}

/// An operand of a launch: where it lies; its elements, where they are known; and how an epilogue reads it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand {
    pub view: View,
    pub elements: Option<usize>,
    access: Option<Access>,
}

impl Launch {
    /// One that stands for itself alone.
    pub fn new(kernel: Arc<dyn Kernel>, epilogue: Epilogue, inputs: Vec<View>, output: View) -> Launch {
        Launch { kernel, epilogue, inputs, output, abreast: 1, before: vec![] }
    }

    /// What it computes, in order: what is before it, and itself.
    pub fn parts(&self) -> impl Iterator<Item = &Launch> {
        self.before.iter().chain([self])
    }

    /// All that it reads and writes; some of it several times.
    pub fn views(&self) -> impl Iterator<Item = &View> {
        self.parts().flat_map(|part| std::iter::once(&part.output).chain(&part.inputs))
    }

    /// The same, to be moved.
    pub fn views_mut(&mut self) -> impl Iterator<Item = &mut View> {
        let Launch { inputs, output, before, .. } = self;
        let before = before.iter_mut().flat_map(|part| part.inputs.iter_mut().chain([&mut part.output]));
        inputs.iter_mut().chain([output]).chain(before)
    }

    /// Its operands in the order in which a shader numbers them: the output, the inputs, the outputs of what is before it, and
    /// what that reads besides.
    pub(crate) fn operands(&self) -> Vec<Operand> {
        let output = |part: &Launch| {
            let elements = part.kernel.describe().elements();
            Operand { view: part.output, elements: Some(elements), access: None }
        };
        let own = (0..self.inputs.len()).map(|n| self.input(n));
        let mut all: Vec<_> = std::iter::once(output(self)).chain(own).chain(self.before.iter().map(output)).collect();
        for part in &self.before {
            for input in (0..part.inputs.len()).map(|n| part.input(n)) {
                if number_of(&all, &input).is_none() {
                    all.push(input);
                }
            }
        }
        all
    }

    fn input(&self, n: usize) -> Operand {
        let extra = n.checked_sub(self.kernel.describe().inputs());
        let access = extra.map(|extra| self.epilogue.extras[extra]);
        Operand { view: self.inputs[n], elements: self.elements_of(n), access }
    }

    /// What the kernel asks of an adapter.
    pub(crate) fn shader(&self, adapter: &Traits) -> Shader {
        let kernel = self.kernel.describe();
        let views: Vec<View> = self.operands().iter().map(|operand| operand.view).collect();
        let can_be_cleared = self.epilogue.is_identity() && self.abreast == 1 && self.output.step == Stride::FIXED;
        let can_be_cleared = can_be_cleared && !self.output.buffer.is_half();
        let over_zeros = if can_be_cleared { kernel.shader_over_zeros(adapter, &views) } else { None };
        let mut shader = over_zeros.unwrap_or_else(|| kernel.shader(adapter, &views));
        shader.constants.extend((self.abreast > 1).then_some(("ABREAST", self.abreast as f64)));
        shader
    }

    /// Elements of input number `n`, where they are known.
    fn elements_of(&self, n: usize) -> Option<usize> {
        let kernel = self.kernel.describe();
        let Some(extra) = n.checked_sub(kernel.inputs()) else {
            return kernel.as_tunable().map(|product| product.operands()[n]);
        };
        Some(match self.epilogue.extras[extra] {
            Access::Full => kernel.elements(),
            Access::Spread { mid, .. } => kernel.elements() / mid,
            Access::OneHot { classes } => kernel.elements() / classes,
            Access::Place { length, .. } => length,
        })
    }

    /// The epilogue in WGSL, behind a kernel's text. It finds numbers in mirrors of their buffers, if `mirrored`.
    pub(crate) fn epilogue_wgsl(&self, kernel: &str, mirrored: bool) -> String {
        let operands = self.operands();
        let parts: Vec<Part<'_>> =
            self.parts().enumerate().map(|(n, part)| self.written(n, part, &operands, mirrored)).collect();
        let (half, first_also) = (self.output.buffer.is_half(), 1 + self.inputs.len());
        Writer { parts: &parts, first_also, half, width: Width::of(kernel) }.write()
    }

    /// Part number `n` as a shader has it.
    fn written<'a>(&self, n: usize, part: &'a Launch, operands: &[Operand], mirrored: bool) -> Part<'a> {
        let own = part.kernel.describe().inputs();
        let number = |e: usize| match n < self.before.len() {
            true => number_of(operands, &part.input(e)).expect("it is among the operands"),
            false => 1 + own + e,
        };
        let extra = |(e, (view, access)): (usize, (&View, &Access))| Extra {
            lies: self.lies(n, view, access, mirrored),
            by_four: view.is_by_four(),
            number: number(e),
        };
        let extras = part.inputs[own..].iter().zip(&part.epilogue.extras).enumerate().map(extra).collect();
        Part { epilogue: &part.epilogue, extras, by_four: part.output.is_by_four() }
    }

    /// Where part number `n` finds an extra.
    fn lies(&self, n: usize, view: &View, access: &Access, mirrored: bool) -> Lies {
        let full = *access == Access::Full;
        let also = self.before.iter().position(|part| full && part.output == *view);
        let is_old_value = full && *view == self.output;
        match view.buffer {
            BufferId::Half(_) if is_old_value => Lies::Output,
            BufferId::Half(_) => Lies::Half,
            _ if also.is_some_and(|also| also < n) => Lies::Computed(also.expect("it is one")),
            _ if mirrored && !matches!(access, Access::OneHot { .. }) => Lies::Mirror,
            _ if is_old_value => Lies::Output,
            _ => also.map_or(Lies::Buffer, Lies::Also),
        }
    }

    /// Work for one run, epilogue included.
    pub fn cost(&self) -> Cost {
        let kernel = self.kernel.describe();
        let elements = kernel.elements() as f64;
        let cost = kernel.cost();
        let flops = cost.flops + elements * self.epilogue.operations() as f64;
        let bytes = cost.bytes + 4.0 * elements * self.epilogue.extras.len() as f64 - self.saved_bytes();
        let (abreast, before) = (self.abreast as f64, self.before.iter().map(Launch::cost));
        let own = Cost { flops: abreast * flops, bytes: abreast * bytes };
        let all = before.fold(own, |a, b| Cost { flops: a.flops + b.flops, bytes: a.bytes + b.bytes });
        Cost { bytes: all.bytes - self.read_again_bytes(), ..all }
    }

    /// Bytes that a map reads which one before it has read or written.
    fn read_again_bytes(&self) -> f64 {
        let (mut known, mut again): (Vec<&View>, usize) = (vec![], 0);
        for part in self.parts().filter(|_| !self.before.is_empty()) {
            again += part.inputs.iter().filter(|view| known.contains(view)).count();
            known.extend(part.inputs.iter().chain([&part.output]));
        }
        4.0 * (again * self.kernel.describe().elements()) as f64
    }

    /// Bytes that are not read and written, since results, and operands of products and epilogues, are kept in half precision.
    fn saved_bytes(&self) -> f64 {
        let kernel = self.kernel.describe();
        let operands = kernel.as_tunable().map_or([0; 2], |product| product.operands());
        let sizes = operands.into_iter().take(kernel.inputs()).chain(std::iter::repeat(kernel.elements()));
        let read = self.inputs.iter().zip(sizes).chain([(&self.output, kernel.elements())]);
        read.filter(|(view, _)| view.buffer.is_half()).map(|(_, elements)| 2.0 * elements as f64).sum()
    }
}

/// Which of the operands is this one, which an epilogue reads.
fn number_of(operands: &[Operand], input: &Operand) -> Option<usize> {
    operands.iter().position(|known| known.access == input.access && known.view == input.view)
}
