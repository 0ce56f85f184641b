//! The roofline as a figure: a point a case, its colour the heading it stands under.

use super::file::Measurements;
use crate::report::figure::{Cloud, Roof, Svg, roofline as draw};

/// Rates over intensity under the roofs of the smallest and the largest copy. What does no arithmetic has no place in it.
pub fn roofline(measurements: &Measurements) -> Svg {
    let Measurements { machine, ceilings, cases, .. } = measurements;
    let mut clouds: Vec<Cloud> = vec![];
    for row in cases.iter().filter(|row| row.measured.flops > 0.0) {
        let group = &row.measured.group;
        if !clouds.iter().any(|cloud| cloud.name == *group) {
            clouds.push(Cloud { name: group.clone(), points: vec![], large: vec![] });
        }
        let cloud = clouds.iter_mut().find(|cloud| cloud.name == *group).expect("it is there now");
        cloud.points.push((row.intensity, row.gflop_per_s));
    }
    let peak = ceilings.fma_flops_per_s / 1e9;
    let copies = [("memory", ceilings.copies.last()), ("cache", ceilings.copies.first())];
    let slope = |(name, copy): (&str, Option<&super::CopyRate>)| {
        let rate = copy?.bytes_per_s / 1e9;
        Some((format!("{name} {rate:.0} GB/s"), rate))
    };
    let roof = Roof {
        peak: (format!("multiply-adds {peak:.0} GFLOP/s"), peak),
        slopes: copies.into_iter().filter_map(slope).collect(),
    };
    draw(&format!("Kernels on {}", machine.adapter), &roof, &clouds)
}
