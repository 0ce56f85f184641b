//! Methods that replay: ER-Ring, A-GEM, MER, MIR, iCaRL, and HAL's step through its look-ahead.

use super::reference::{Vector, Weighted, World, dot, forward, gradient, log_softmax, logits, loss, moved, pullback};
use super::{SEED, assert_same, computed, tiny, tiny_for, trained};
use hindsight::memory::{Example, Reservoir, RingBuffer};
use hindsight::methods::agem::project;
use hindsight::methods::icarl::herd;
use hindsight::methods::mir::most_interfered;
use hindsight::random::{Generator, Stream, generator};
use hindsight::settings::{AnchorKind, Settings};

fn draws(stream: Stream) -> Generator {
    generator(SEED, stream, 0)
}

/// The batches of a task, each with what ER-Ring replays beside it.
fn with_replay(world: &World, task: usize, ring: &mut RingBuffer, draws: &mut Generator) -> Vec<Vec<Weighted>> {
    let mut batches = vec![];
    for batch in world.examples(task).chunks(10) {
        let joint = [batch, &ring.sample(draws, 10)].concat();
        batch.iter().for_each(|&example| ring.push(example));
        batches.push(world.mean(&joint));
    }
    ring.end_task();
    batches
}

#[test]
fn er_follows_the_mean_gradient_of_batch_and_memory() {
    let found = trained("er", &tiny());
    let world = World::new(&tiny(), SEED);
    let (mut ring, mut draws, mut theta) = (RingBuffer::new(1, 10), draws(Stream::Memory), found[0].clone());
    for task in 0..2 {
        for batch in with_replay(&world, task, &mut ring, &mut draws) {
            theta = moved(&theta, -0.1, &gradient(&theta, &batch));
        }
        assert_same(&found[task + 1], &theta);
    }
}

#[test]
fn hal_follows_the_gradient_through_the_look_ahead() {
    let settings = Settings { anchors: AnchorKind::Real, lambda: 0.5, ..tiny() };
    let found = trained("hal", &settings);
    let world = World::new(&settings, SEED);
    let (mut ring, mut memory, mut theta) = (RingBuffer::new(1, 10), draws(Stream::Memory), found[0].clone());
    for batch in with_replay(&world, 0, &mut ring, &mut memory) {
        theta = moved(&theta, -0.1, &gradient(&theta, &batch));
    }
    assert_same(&found[1], &theta);
    // All ten anchors, so that their order does not matter: a class that was not seen has a blank one.
    let last = |class: u8| world.examples(0).into_iter().rev().find(|e| e.label == class);
    let anchors: Vec<Vector> = (0..10).map(|c| last(c).map_or(vec![0.0; 784], |e| world.pixels(e))).collect();
    for batch in with_replay(&world, 1, &mut ring, &mut memory) {
        let g = gradient(&theta, &batch);
        let ahead = moved(&theta, -0.1, &g);
        let slope = |e: &Vector| {
            let drift = moved(&logits(&theta, e), -1.0, &logits(&ahead, e));
            drift.iter().map(|d| 2.0 * d * settings.lambda / 10.0).collect::<Vector>()
        };
        let slopes: Vec<(Vector, Vector)> = anchors.iter().map(|e| (e.clone(), slope(e))).collect();
        let here = pullback(&theta, &slopes);
        let there = pullback(&ahead, &slopes);
        // (I − αH) of what the look-ahead's side pulls: H · v by a central difference of gradients.
        let h = 1e-5 / dot(&there, &there).sqrt();
        let curved =
            moved(&gradient(&moved(&theta, h, &there), &batch), -1.0, &gradient(&moved(&theta, -h, &there), &batch));
        let through = moved(&there, -0.1 / (2.0 * h), &curved);
        theta = moved(&theta, -0.1, &moved(&moved(&g, 1.0, &here), -1.0, &through));
    }
    let apart = |a: &[f64]| a.iter().zip(&theta).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    // A difference of gradients keeps ten digits of sixteen, and h below 1e-5 of the curvature's.
    assert!(apart(&found[2]) < 1e-6, "off by {}", apart(&found[2]));
    let first_order = trained("hal", &Settings { first_order: true, ..settings });
    assert!(apart(&first_order[2]) > 1e-4, "the second-order term is only {}", apart(&first_order[2]));
}

#[test]
fn agem_takes_out_what_points_against_the_memory() {
    let settings = tiny_for("agem");
    let found = trained("agem", &settings);
    let world = World::new(&settings, SEED);
    let (mut ring, mut draws, mut theta) = (RingBuffer::new(1, 10), draws(Stream::Memory), found[0].clone());
    let mut against = 0;
    for task in 0..2 {
        let remembered: Vec<Vec<Example>> = (0..2).map(|_| ring.sample(&mut draws, 256)).collect();
        for (batch, memory) in world.examples(task).chunks(10).zip(remembered) {
            let mut g = gradient(&theta, &world.mean(batch));
            if task > 0 {
                let reference = gradient(&theta, &world.mean(&memory));
                let product = dot(&g, &reference);
                if product < 0.0 {
                    against += 1;
                    g = moved(&g, -product / dot(&reference, &reference), &reference);
                }
            }
            theta = moved(&theta, -0.1, &g);
            batch.iter().for_each(|&example| ring.push(example));
        }
        ring.end_task();
        assert_same(&found[task + 1], &theta);
    }
    println!("{against} of 2 steps pointed against the memory");
}

#[test]
fn agem_step_never_points_against_memory_and_is_the_plain_one_where_that_does_not() {
    let reference = [0.5, -2.0, 1.0];
    for g in [[1.0, 1.0, 0.3], [1.0, -1.0, 0.2], [-0.5, 2.0, -1.0], [0.0, 0.0, 0.0]] {
        let found = computed(&[(&[3], &g), (&[3], &reference)], |_, x| project(x[0], x[1]));
        assert!(dot(&found, &reference) >= -1e-12);
        if dot(&g, &reference) >= 0.0 {
            assert_eq!(found, g);
        } else {
            // What is taken out lies along the reference, and no more than needed.
            assert!(dot(&found, &reference).abs() < 1e-12);
            let share = dot(&g, &reference) / dot(&reference, &reference);
            assert_same(&found, &moved(&g, -share, &reference));
        }
    }
    let g = [1.0, 2.0, 3.0];
    assert_eq!(computed(&[(&[3], &g), (&[3], &[0.0; 3])], |_, x| project(x[0], x[1])), g, "an empty memory");
}

/// MER in plain loops: the parameters after each task, and where the inner loop of the last batch led.
fn mer(settings: &Settings, start: &[f64]) -> (Vec<Vector>, Vector) {
    let world = World::new(settings, SEED);
    let (mut reservoir, mut draws) = (Reservoir::new(20), draws(Stream::Memory));
    let (mut theta, mut found, mut led_to) = (start.to_vec(), vec![], vec![]);
    for task in 0..2 {
        for batch in world.examples(task).chunks(10) {
            led_to = theta.clone();
            for example in reservoir.sample(&mut draws, 10, |_| true) {
                led_to = moved(&led_to, -settings.rate, &gradient(&led_to, &world.mean(&[example])));
            }
            let rate = settings.rate * settings.multiplier;
            led_to = moved(&led_to, -rate, &gradient(&led_to, &world.mean(batch)));
            theta = moved(&theta, settings.interpolation, &moved(&led_to, -1.0, &theta));
            batch.iter().for_each(|&example| reservoir.push(&mut draws, example));
        }
        found.push(theta.clone());
    }
    (found, led_to)
}

#[test]
fn mer_goes_a_part_of_the_way_of_its_inner_loop() {
    let settings = tiny_for("mer");
    let found = trained("mer", &settings);
    let (expected, _) = mer(&settings, &found[0]);
    assert_same(&found[1], &expected[0]);
    assert_same(&found[2], &expected[1]);
}

#[test]
fn mer_with_interpolation_1_is_its_inner_loop() {
    let settings = Settings { interpolation: 1.0, ..tiny_for("mer") };
    let found = trained("mer", &settings);
    assert_same(&found[2], &mer(&settings, &found[0]).1);
}

#[test]
fn mir_replays_the_ten_whose_loss_would_rise_most() {
    // Candidates and memory that differ in number: 40 of 60 slots.
    let settings = Settings { images_per_task: 60, tasks: 2, candidates: 15, memory_per_class: 3, ..tiny() };
    let found = trained("mir", &settings);
    let world = World::new(&settings, SEED);
    let (mut reservoir, mut draws, mut theta) = (Reservoir::new(60), draws(Stream::Memory), found[0].clone());
    for task in 0..2 {
        for batch in world.examples(task).chunks(10) {
            let candidates = reservoir.sample(&mut draws, 15, |e| (e.task as usize) < task);
            let mut g = gradient(&theta, &world.mean(batch));
            if task > 0 {
                assert_eq!(candidates.len(), 15);
                let ahead = moved(&theta, -0.1, &g);
                let rise = |e: &Example| {
                    let one = world.mean(&[*e]);
                    loss(&ahead, &one).0 - loss(&theta, &one).0
                };
                let mut ranked: Vec<(f64, Example)> = candidates.iter().map(|e| (rise(e), *e)).collect();
                ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
                let chosen: Vec<Example> = ranked.iter().take(10).map(|(_, e)| *e).collect();
                g = moved(&g, 1.0, &gradient(&theta, &world.mean(&chosen)));
            }
            theta = moved(&theta, -0.1, &g);
            batch.iter().for_each(|&example| reservoir.push(&mut draws, example));
        }
        assert_same(&found[task + 1], &theta);
    }
}

#[test]
fn retrieval_takes_the_largest_rises_of_those_present() {
    let (before, after) = ([1.0, 2.0, 0.5, 0.1, 3.0], [1.5, 2.1, 2.5, 9.9, 2.0]);
    let present = [1.0, 1.0, 1.0, 0.0, 1.0];
    let chosen = |count| {
        computed(&[(&[5], &before), (&[5], &after), (&[5], &present)], |_, x| most_interfered(x[0], x[1], x[2], count))
    };
    assert_eq!(chosen(2), [1.0, 0.0, 1.0, 0.0, 0.0]);
    assert_eq!(chosen(5), present, "a place without an example is never taken");
}

/// Features of length 1.
fn features(theta: &[f64], x: &[f64]) -> Vector {
    let hidden = forward(theta, x).swap_remove(2);
    let length = (dot(&hidden, &hidden) + 1e-12).sqrt();
    hidden.iter().map(|h| h / length).collect()
}

#[test]
fn icarl_distils_the_last_model_on_exemplars_nearest_to_their_class_mean() {
    let found = trained("icarl", &tiny());
    let world = World::new(&tiny(), SEED);
    let mut theta = found[0].clone();
    for batch in world.examples(0).chunks(10) {
        theta = moved(&theta, -0.1, &gradient(&theta, &world.mean(batch)));
    }
    assert_same(&found[1], &theta);
    let last = theta.clone();
    // One exemplar a class: whose features are nearest to the mean of the class's.
    let exemplar = |class: u8| {
        let own: Vec<Vector> =
            world.examples(0).into_iter().filter(|e| e.label == class).map(|e| world.pixels(e)).collect();
        let mean = own.iter().fold(vec![0.0; 256], |sum, x| moved(&sum, 1.0 / own.len() as f64, &features(&last, x)));
        let distance = |x: &Vector| {
            let apart = moved(&mean, -1.0, &features(&last, x));
            dot(&apart, &apart)
        };
        own.into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))
    };
    let exemplars: Vec<Vector> = (0..10).filter_map(exemplar).collect();
    let mut draws = draws(Stream::Memory);
    for batch in world.examples(1).chunks(10) {
        let chosen = draws.sample_without_replacement(exemplars.len().min(10), exemplars.len());
        let slope = |x: &Vector| {
            let before = log_softmax(&logits(&last, x));
            let now = log_softmax(&logits(&theta, x));
            now.iter().zip(before).map(|(n, b)| (n.exp() - b.exp()) / chosen.len() as f64).collect::<Vector>()
        };
        let slopes: Vec<(Vector, Vector)> =
            chosen.iter().map(|&i| (exemplars[i].clone(), slope(&exemplars[i]))).collect();
        let g = moved(&gradient(&theta, &world.mean(batch)), 1.0, &pullback(&theta, &slopes));
        theta = moved(&theta, -0.1, &g);
    }
    assert_same(&found[2], &theta);
}

#[test]
fn herding_brings_the_mean_of_the_chosen_nearest_to_the_class_mean() {
    // Eight images on the unit circle, all of one class, of which three are chosen in turn.
    let angles = [0.1_f64, 0.9, 1.3, 2.0, 0.4, 1.1, 2.4, 0.7];
    let points: Vec<[f64; 2]> = angles.iter().map(|a| [a.cos(), a.sin()]).collect();
    let mean = points.iter().fold([0.0; 2], |m, p| [m[0] + p[0] / 8.0, m[1] + p[1] / 8.0]);
    let (mut sum, mut available) = ([0.0; 2], [1.0; 8]);
    for k in 1..=3 {
        let nearest = |i: usize| {
            let apart = [0, 1].map(|c| mean[c] - (sum[c] + points[i][c]) / f64::from(k));
            dot(&apart, &apart)
        };
        let free = (0..8).filter(|&i| available[i] == 1.0);
        let expected = free.min_by(|&a, &b| nearest(a).total_cmp(&nearest(b))).unwrap();
        let inputs: [(&[usize], &[f64]); 5] = [
            (&[8, 2], points.as_flattened()),
            (&[1, 2], &mean),
            (&[1, 2], &sum),
            (&[1, 8], &available),
            (&[], &[1.0 / f64::from(k)]),
        ];
        let chosen = computed(&inputs, |_, x| herd(x[0], x[1], x[2], x[3], x[4]));
        assert_eq!(chosen.iter().position(|c| *c == 1.0), Some(expected));
        assert_eq!(chosen.iter().sum::<f64>(), 1.0);
        sum = [0, 1].map(|c| sum[c] + points[expected][c]);
        available[expected] = 0.0;
    }
}
