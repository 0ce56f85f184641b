//! What a run folder holds besides its results, to be read by other programs.

use crate::report::run;
use hindsight::experiment::{Anchors, FinishedRun, RunRecord};
use hindsight::report::{export, tensorboard};
use serde_json::Value;

fn finished() -> FinishedRun {
    let images = (0..6).map(|n| (0..784).map(|p| f64::from((n * 7 + p) % 11) / 10.0).collect()).collect();
    FinishedRun {
        record: RunRecord { matrix: vec![vec![0.5, 0.25], vec![0.75, 0.5]], ..run("hal", 3, 0.7) },
        losses: vec![vec![2.5, 1.25], vec![f64::NAN, 0.5]],
        anchors: Some(Anchors { classes: 3, shape: [28, 28, 1], images }),
        parameters: vec![],
    }
}

#[test]
fn a_line_of_json_is_a_run_with_its_losses_and_null_for_what_is_no_number() {
    let text = export::runs_jsonl(&[finished(), finished()]);
    assert_eq!(text.lines().count(), 2);
    let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(line["method"], "hal");
    assert_eq!(line["losses"], serde_json::json!([[2.5, 1.25], [null, 0.5]]));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("runs.jsonl"), &text).unwrap();
    let (read, wrong) = export::read_losses(folder.path(), &[finished().record]);
    assert_eq!((read.len(), wrong), (2, None));
    assert!(read[0].is_of(&finished().record));
    let flat = read[0].flat();
    assert_eq!((flat[0], flat[1], flat[3]), (2.5, 1.25, 0.5));
    assert!(flat[2].is_nan());
}

#[test]
fn losses_are_a_line_a_step() {
    let text = export::losses_csv(&[finished()]);
    assert_eq!(text, "method,seed,task,step,loss\nhal,3,1,1,2.5\nhal,3,1,2,1.25\nhal,3,2,1,NaN\nhal,3,2,2,0.5\n");
}

#[test]
fn anchors_are_an_array_that_numpy_reads() {
    let anchors = finished().anchors.unwrap();
    let bytes = export::anchors_npy(&anchors);
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
    assert!(header.contains("'shape': (2, 3, 28, 28)") && header.contains("'<f4'"), "{header}");
    assert!((10 + length) % 64 == 0 && header.ends_with('\n'));
    let data = &bytes[10 + length..];
    assert_eq!(data.len(), 2 * 3 * 784 * 4);
    let number = |i: usize| f32::from_le_bytes(data[4 * i..4 * i + 4].try_into().unwrap());
    assert_eq!(number(784 + 5), anchors.images[1][5] as f32);
}

#[test]
fn anchors_are_a_picture_with_a_row_a_task() {
    let bytes = export::anchors_png(&finished().anchors.unwrap());
    let decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (3 * 30, 2 * 30));
    // The first anchor's pixel 10 is its lightest, pixel 0 its darkest; the frame is grey.
    let at = |x: usize, y: usize| pixels[y * 90 + x];
    assert_eq!((at(0, 0), at(1, 1), at(11, 1)), (96, 0, 255));
}

/// A record is a length, a checksum, that many bytes, a checksum.
fn records(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut records = vec![];
    while !bytes.is_empty() {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        records.push(&bytes[12..12 + length]);
        bytes = &bytes[12 + length + 4..];
    }
    records
}

#[test]
fn events_hold_every_finite_loss_and_the_accuracies_of_every_task() {
    let bytes = tensorboard::events(&finished());
    let of =
        |tag: &str| records(&bytes).into_iter().filter(|r| r.windows(tag.len()).any(|w| w == tag.as_bytes())).count();
    assert_eq!(of("loss"), 3, "three of four losses are finite");
    assert_eq!(of("accuracy on the tasks so far"), 2);
    assert_eq!(of("accuracy on the new task"), 2);
}
