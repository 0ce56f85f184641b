//! The episodic memory holds the last m examples of each class of each past task, and no other.

use hindsight::memory::{Coreset, Example, Reservoir, RingBuffer};
use hindsight::random::{Stream, generator};

fn example(task: u32, label: u8, image: u32) -> Example {
    Example { image, label, task }
}

/// `tasks` ended tasks that each show images 0..40 of four classes in turn.
fn filled(per_class: usize, tasks: u32) -> RingBuffer {
    let mut memory = RingBuffer::new(per_class, 4);
    for task in 0..tasks {
        for image in 0..40 {
            memory.push(example(task, (image % 4) as u8, image));
        }
        memory.end_task();
    }
    memory
}

#[test]
fn the_current_task_is_never_replayed() {
    let mut memory = filled(2, 1);
    memory.push(example(1, 0, 99));
    let replayed = memory.sample(&mut generator(0, Stream::Memory, 0), 100);
    assert!(replayed.iter().all(|example| example.task == 0));
    memory.end_task();
    assert!(memory.samplable().contains(&example(1, 0, 99)));
}

#[test]
fn nothing_is_replayed_in_the_first_task() {
    let mut memory = RingBuffer::new(1, 10);
    memory.push(example(0, 3, 7));
    assert!(memory.is_empty());
    assert!(memory.sample(&mut generator(0, Stream::Memory, 0), 10).is_empty());
}

#[test]
fn a_class_keeps_its_last_m_examples() {
    let memory = filled(3, 2);
    for task in 0..2 {
        for label in 0..4_u8 {
            let kept = memory.samplable().iter().filter(|e| (e.task, e.label) == (task, label));
            let mut images: Vec<u32> = kept.map(|example| example.image).collect();
            images.sort_unstable();
            assert_eq!(images, [28, 32, 36].map(|image| image + u32::from(label)));
        }
    }
}

#[test]
fn the_capacity_is_m_slots_a_class_a_task() {
    assert_eq!(filled(2, 5).len(), 2 * 4 * 5);
}

#[test]
fn a_class_that_was_never_seen_has_no_slot_to_replay() {
    let mut memory = RingBuffer::new(2, 10);
    memory.push(example(0, 9, 5));
    memory.end_task();
    assert_eq!(memory.samplable(), [example(0, 9, 5)]);
}

#[test]
fn a_sample_repeats_nothing_and_is_everything_when_fewer_are_there() {
    let memory = filled(1, 5);
    let mut random = generator(0, Stream::Memory, 0);
    for (asked, got) in [(10, 10), (20, 20), (50, 20)] {
        let mut sample = memory.sample(&mut random, asked);
        sample.sort_unstable_by_key(|example| (example.task, example.image));
        sample.dedup();
        assert_eq!(sample.len(), got);
    }
}

#[test]
fn every_slot_is_replayed_equally_often() {
    let memory = filled(1, 5);
    let mut random = generator(0, Stream::Memory, 0);
    let mut counts = [[0_i32; 4]; 5];
    for _ in 0..2_000 {
        for example in memory.sample(&mut random, 10) {
            counts[example.task as usize][usize::from(example.label)] += 1;
        }
    }
    // Five standard deviations of a binomial count with probability 1/2.
    assert!(counts.iter().flatten().all(|count| (count - 1_000).abs() < 112), "{counts:?}");
}

#[test]
fn the_last_example_of_a_class_outlives_its_task() {
    let mut memory = filled(2, 1);
    assert_eq!(memory.last_of_class(1), Some(example(0, 1, 37)));
    memory.push(example(1, 1, 5));
    assert_eq!(memory.last_of_class(1), Some(example(1, 1, 5)));
    assert_eq!(RingBuffer::new(1, 10).last_of_class(1), None);
}

#[test]
#[should_panic(expected = "task 1 before the end of the last one")]
fn a_task_that_was_not_ended_is_a_programming_error() {
    let mut memory = RingBuffer::new(1, 10);
    memory.push(example(0, 0, 0));
    memory.push(example(1, 1, 0));
}

#[test]
fn a_reservoir_keeps_every_example_equally_often() {
    // 40 examples pass through 8 slots, 4,000 times: each is kept 800 times, give or take five deviations.
    let mut random = generator(0, Stream::Memory, 0);
    let mut kept = [0; 40];
    for _ in 0..4000 {
        let mut reservoir = Reservoir::new(8);
        (0..40).for_each(|image| reservoir.push(&mut random, Example { image, label: 0, task: 0 }));
        assert_eq!(reservoir.examples().len(), 8);
        reservoir.examples().iter().for_each(|e| kept[e.image as usize] += 1);
    }
    let deviation = (4000.0 * 0.2 * 0.8_f64).sqrt();
    assert!(kept.iter().all(|&n| (f64::from(n) - 800.0).abs() < 5.0 * deviation), "{kept:?}");
}

#[test]
fn a_reservoir_samples_what_is_wanted_without_replacement() {
    let mut random = generator(0, Stream::Memory, 0);
    let mut reservoir = Reservoir::new(10);
    (0..6).for_each(|image| reservoir.push(&mut random, Example { image, label: 0, task: image % 2 }));
    let sample = reservoir.sample(&mut random, 10, |e| e.task == 1);
    let mut images: Vec<u32> = sample.iter().map(|e| e.image).collect();
    images.sort_unstable();
    assert_eq!(images, [1, 3, 5], "all there are, once each");
    assert_eq!(reservoir.sample(&mut random, 2, |_| true).len(), 2);
}

#[test]
fn a_coreset_is_taken_out_of_each_task_and_in_no_order_of_tasks() {
    let mut coreset = Coreset::default();
    for task in 0..20 {
        let mut examples: Vec<Example> = (0..100).map(|image| Example { image, label: 0, task }).collect();
        coreset.take(&mut generator(0, Stream::Memory, task.into()), &mut examples, 10);
        let taken: Vec<_> = coreset.examples().iter().filter(|e| e.task == task).collect();
        assert_eq!((taken.len(), examples.len()), (10, 90));
        assert!(taken.iter().all(|e| !examples.contains(e)));
    }
    // The mean place of each task's examples: 100 in any order, 5 to 195 in that of tasks; its deviation is 18.
    let place = |task: u32| {
        let places = (0..200).filter(|&i| coreset.examples()[i].task == task);
        places.sum::<usize>() as f64 / 10.0
    };
    assert!(
        (0..20).all(|task| (place(task) - 99.5).abs() < 4.0 * 18.0),
        "{:?}",
        (0..20).map(place).collect::<Vec<_>>()
    );
}
