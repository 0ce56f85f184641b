//! Taps, strides and padding as ONNX writes them, as the tape wants them.

use super::case::Case;
use hindsight::autodiff::Padding;

pub struct Window {
    pub taps: [usize; 2],
    pub stride: [usize; 2],
    pub padding: Padding,
}

impl Window {
    /// Of a convolution or a pooling over images of this height and width.
    pub fn of(case: &Case, input: [usize; 2]) -> Window {
        let (taps, stride) = (taps(case), stride(case));
        let mut padding = match case.text("auto_pad") {
            Some("SAME_UPPER") => Padding::same(input, taps, stride),
            Some("SAME_LOWER") => odd_one_first(Padding::same(input, taps, stride)),
            _ => pads(case),
        };
        if case.flag("ceil_mode") {
            padding.rows[1] += overhang(input[0], padding.rows, taps[0], stride[0]);
            padding.columns[1] += overhang(input[1], padding.columns, taps[1], stride[1]);
        }
        Window { taps, stride, padding }
    }

    /// Of the convolution whose input's gradient, of outputs of this height and width, a `ConvTranspose` is.
    pub fn of_transpose(case: &Case, output: [usize; 2]) -> Window {
        let (taps, stride) = (taps(case), stride(case));
        let wanted = match (case.text("auto_pad"), case.ints("output_shape")) {
            (_, Some(shape)) => pair(shape, 1),
            (Some("SAME_UPPER" | "SAME_LOWER"), None) => [0, 1].map(|i| output[i] * stride[i]),
            _ => return Window { taps, stride, padding: pads(case) },
        };
        // Where less than the wanted size is reached, the rest is zeros at the end, and nothing is cut off.
        let cut = [0, 1].map(|i| ((output[i] - 1) * stride[i] + taps[i]).saturating_sub(wanted[i]));
        let padding = Padding { rows: halves(cut[0]), columns: halves(cut[1]) };
        let upper = case.text("auto_pad") == Some("SAME_UPPER");
        Window { taps, stride, padding: if upper { padding } else { odd_one_first(padding) } }
    }
}

/// Numbers of two axes, or of the second one where images have but one.
fn pair(numbers: Vec<usize>, of_the_first: usize) -> [usize; 2] {
    match numbers[..] {
        [x] => [of_the_first, x],
        [y, x] => [y, x],
        _ => panic!("numbers of one or two axes are wanted: {numbers:?}"),
    }
}

/// Those of the attribute, else those that the filters have.
fn taps(case: &Case) -> [usize; 2] {
    pair(case.ints("kernel_shape").unwrap_or_else(|| case.inputs[1].shape[2..].to_vec()), 1)
}

fn stride(case: &Case) -> [usize; 2] {
    case.ints("strides").map_or([1, 1], |strides| pair(strides, 1))
}

/// ONNX first writes what is before every axis, then what is behind.
fn pads(case: &Case) -> Padding {
    let Some(pads) = case.ints("pads") else { return Padding::NONE };
    let (before, behind) = pads.split_at(pads.len() / 2);
    let (before, behind) = (pair(before.to_vec(), 0), pair(behind.to_vec(), 0));
    Padding { rows: [before[0], behind[0]], columns: [before[1], behind[1]] }
}

fn halves(zeros: usize) -> [usize; 2] {
    [zeros / 2, zeros - zeros / 2]
}

fn odd_one_first(padding: Padding) -> Padding {
    let [rows, columns] = [padding.rows, padding.columns].map(|[a, b]| [b, a]);
    Padding { rows, columns }
}

/// How far the last window reaches behind the padding if none may be left out.
fn overhang(input: usize, padding: [usize; 2], taps: usize, stride: usize) -> usize {
    let room = input + padding[0] + padding[1] - taps;
    room.next_multiple_of(stride) - room
}
