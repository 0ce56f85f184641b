//! A seed means the same on every platform and in later versions, and each use of it is its own.

use hindsight::random::{Stream, generator};

const STREAMS: [Stream; 7] = [
    Stream::Initialisation,
    Stream::Data,
    Stream::Order,
    Stream::Memory,
    Stream::Anchors,
    Stream::Noise,
    Stream::Angles,
];

#[test]
fn a_seed_means_what_it_meant_in_the_first_version() {
    let first = STREAMS.map(|stream| generator(7, stream, 2).next_u64());
    let golden = [
        0xfd6f_1d7e_737e_fae3,
        0x9230_21b7_d606_9db9,
        0xa8bd_8da1_2fe1_537c,
        0xf89c_1f44_731d_13a8,
        0x53f7_f3f4_f677_8225,
        0x26b9_d6c7_7438_1385,
        0x2189_d968_415a_9121,
    ];
    assert_eq!(first, golden);

    // Floats too to the last bit: no libm is involved.
    let mut random = generator(7, Stream::Memory, 0);
    assert_eq!(random.sample_without_replacement(8, 100), [58, 49, 6, 79, 56, 1, 91, 73]);
    assert_eq!(random.below(1_000_000), 134_488);
    assert_eq!(random.unit_f64(), 0.815_186_518_606_584_8);
    assert_eq!(random.normal(), 0.366_635_095_623_746_63);
    assert_eq!(random.truncated_normal(0.1), -0.112_138_316_633_623_17);
}

#[test]
fn seeds_streams_and_tasks_share_no_sequence() {
    let mut first = Vec::new();
    for seed in 0..4 {
        for stream in STREAMS {
            first.extend((0..4).map(|task| generator(seed, stream, task).next_u64()));
        }
    }
    let count = first.len();
    first.sort_unstable();
    first.dedup();
    assert_eq!(first.len(), count);
}

#[test]
fn below_gives_every_number_equally_often() {
    let mut random = generator(0, Stream::Noise, 0);
    let mut counts = [0_i32; 7];
    for _ in 0..70_000 {
        counts[random.below(7)] += 1;
    }
    // Five standard deviations of a binomial count.
    assert!(counts.iter().all(|count| (count - 10_000).abs() < 463), "{counts:?}");
}

#[test]
fn a_shuffle_loses_and_repeats_nothing() {
    let mut items: Vec<u32> = (0..1_000).collect();
    generator(0, Stream::Order, 0).shuffle(&mut items);
    assert!(!items.is_sorted());
    items.sort_unstable();
    assert!(items.into_iter().eq(0..1_000));
}

#[test]
fn a_smaller_sample_is_a_prefix_of_a_larger_one() {
    let sample = |k| generator(3, Stream::Data, 0).sample_without_replacement(k, 50);
    assert_eq!(sample(10), sample(50)[..10]);
}

#[test]
fn normals_have_mean_0_and_variance_1() {
    let mut random = generator(0, Stream::Noise, 0);
    let draws: Vec<f64> = (0..100_000).map(|_| random.normal()).collect();
    let moment = |power| draws.iter().map(|z| z.powi(power)).sum::<f64>() / draws.len() as f64;
    assert!(moment(1).abs() < 0.016, "{}", moment(1));
    assert!((moment(2) - 1.0).abs() < 0.023, "{}", moment(2));
    assert!((moment(4) - 3.0).abs() < 0.16, "{}", moment(4));
}

#[test]
fn a_truncated_normal_stays_within_two_standard_deviations() {
    let mut random = generator(0, Stream::Initialisation, 0);
    let draws: Vec<f64> = (0..100_000).map(|_| random.truncated_normal(0.1)).collect();
    assert!(draws.iter().all(|weight| weight.abs() <= 0.2));
    // Truncation at 2 leaves a standard deviation of 0.8796.
    let variance = draws.iter().map(|weight| weight * weight).sum::<f64>() / draws.len() as f64;
    assert!((variance.sqrt() - 0.087_96).abs() < 0.001, "{}", variance.sqrt());
}
