//! Convolution on the tape, and the two operations that its gradients are made of.

use super::op::Op;
use super::var::Var;
use hindsight_kernels::{Conv, ConvPart, Window};

/// Zeros around images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Padding {
    /// Above and below.
    pub rows: [usize; 2],
    /// To the left and to the right.
    pub columns: [usize; 2],
}

impl Padding {
    /// None.
    pub const NONE: Padding = Padding { rows: [0, 0], columns: [0, 0] };

    /// As many zeros as make the output `⌈length / stride⌉` long, the odd one below and to the right: TensorFlow's
    /// SAME.
    pub fn same(input: [usize; 2], taps: [usize; 2], stride: [usize; 2]) -> Padding {
        let of = |axis: usize| {
            let reach = (input[axis].div_ceil(stride[axis]) - 1) * stride[axis] + taps[axis];
            let zeros = reach.saturating_sub(input[axis]);
            [zeros / 2, zeros - zeros / 2]
        };
        Padding { rows: of(0), columns: of(1) }
    }
}

impl<'t> Var<'t> {
    /// This input `[batch, height, width, channels]` under `filters [taps_y, taps_x, channels, filters]`: the output
    /// `[batch, (height + padding − taps_y) / stride_y + 1, .., filters]`. (A cross-correlation, as in every library.)
    #[track_caller]
    pub fn conv(self, filters: Var<'t>, stride: [usize; 2], padding: Padding) -> Var<'t> {
        let (x, w) = (self.shape(), filters.shape());
        let fits = x.len() == 4 && w.len() == 4 && x[3] == w[2] && stride.iter().all(|&s| s > 0);
        assert!(fits, "conv: input {x:?}, filters {w:?}, stride {stride:?}");
        let along = |length: usize, zeros: [usize; 2], taps: usize, stride: usize| {
            let room = (length + zeros[0] + zeros[1]).checked_sub(taps);
            room.unwrap_or_else(|| panic!("conv: filters {w:?} do not fit the input {x:?} with {padding:?}")) / stride
                + 1
        };
        let window = Window {
            batch: x[0],
            input: [x[1], x[2]],
            channels: x[3],
            filters: w[3],
            taps: [w[0], w[1]],
            stride,
            padding: [padding.rows[0], padding.columns[0]],
            output: [along(x[1], padding.rows, w[0], stride[0]), along(x[2], padding.columns, w[1], stride[1])],
        };
        filters.conv_output(self, window)
    }

    /// These filters over an input.
    #[track_caller]
    pub(super) fn conv_output(self, input: Var<'t>, window: Window) -> Var<'t> {
        let shape = vec![window.batch, window.output[0], window.output[1], window.filters];
        self.float(Op::Conv(Conv { window, part: ConvPart::Output }), &[self, input], shape)
    }

    /// The input's gradient, of these filters and the output's cotangent.
    #[track_caller]
    pub(super) fn conv_input(self, slope: Var<'t>, window: Window) -> Var<'t> {
        let shape = vec![window.batch, window.input[0], window.input[1], window.channels];
        self.float(Op::Conv(Conv { window, part: ConvPart::Input }), &[self, slope], shape)
    }

    /// The filters' gradient, of this cotangent of the output and the input.
    #[track_caller]
    pub(super) fn conv_filters(self, input: Var<'t>, window: Window) -> Var<'t> {
        let shape = vec![window.taps[0], window.taps[1], window.channels, window.filters];
        self.float(Op::Conv(Conv { window, part: ConvPart::Filters }), &[self, input], shape)
    }
}
