//! Where an operand lies: in which buffer, and where in it at each step.

/// A buffer: one that outlives a replay (in the [`Store`](crate::Store)), or one of the program's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BufferId {
    /// Number in the store.
    Stored(usize),
    /// Number among the program's temporaries.
    Temporary(usize),
    /// The same, of one whose numbers are kept in half precision.
    Half(usize),
}

impl BufferId {
    /// Whether its numbers are kept in half precision.
    pub fn is_half(self) -> bool {
        self.half().is_some()
    }

    /// Its number among the temporaries, where it is one in half precision.
    pub(crate) fn half(self) -> Option<usize> {
        if let BufferId::Half(id) = self { Some(id) } else { None }
    }
}

/// Which row of a per-step buffer a step sees: `(step / every) % period`, times `stride` elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stride {
    /// Elements from one row to the next; 0: every step sees the same.
    pub stride: usize,
    /// Steps that see the same row.
    pub every: usize,
    /// Rows before the first one comes again.
    pub period: usize,
}

impl Stride {
    /// Every step sees the same elements.
    pub const FIXED: Stride = Stride { stride: 0, every: 1, period: 1 };

    /// Elements to skip at `step`.
    pub fn at(&self, step: usize) -> usize {
        step / self.every % self.period * self.stride
    }
}

/// Where an operand begins: elements into a buffer, in every run alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The buffer.
    pub buffer: BufferId,
    /// Elements (for bytes: bytes) from the start of the run's part.
    pub offset: usize,
    /// Movement with the step.
    pub step: Stride,
    /// Elements from here to where the operand of the next of several launches abreast begins ([`Launch::abreast`](crate::Launch::abreast)); 0: it
    /// is the same for all.
    pub apart: usize,
}

impl View {
    /// The view from the start of a buffer, the same at every step.
    pub fn whole(buffer: BufferId) -> View {
        View { buffer, offset: 0, step: Stride::FIXED, apart: 0 }
    }

    /// The number of the temporary in which it lies, if it lies in one.
    pub fn temporary(&self) -> Option<usize> {
        if let BufferId::Temporary(id) = self.buffer { Some(id) } else { None }
    }

    /// Whether it begins at a multiple of four elements, in every run and at every step. (Runs lie [`aligned`].)
    pub(crate) fn is_by_four(&self) -> bool {
        self.is_by(4)
    }

    /// The same of so many elements, up to sixteen.
    pub(crate) fn is_by(&self, many: usize) -> bool {
        [self.offset, self.step.stride, self.apart].iter().all(|elements| elements.is_multiple_of(many))
    }
}

/// Elements, rounded up, from one to the next of several that lie in one buffer, such as the parts of a GPU's runs: each then begins
/// where four neighbours can be loaded at a time, on a boundary of 64.
pub fn aligned(elements: usize) -> usize {
    elements.next_multiple_of(64)
}
