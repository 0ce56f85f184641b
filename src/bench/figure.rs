//! The roofline as a figure: a point a case, its colour the heading it stands under.

use super::file::Measurements;
use crate::report::figure::{Cloud, Roof, Svg, roofline as draw};

/// Rates over intensity under the roofs of the fastest and the largest copy. What does no arithmetic has no place in it.
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
    let rates =
        [("memory", f64::INFINITY), ("cache", 0.0)].map(|(name, bytes)| (name, ceilings.bandwidth(bytes) / 1e9));
    let mut slopes: Vec<(String, f64)> =
        rates.iter().map(|(name, rate)| (format!("{name} {rate:.0} GB/s"), *rate)).collect();
    // Where small copies are no faster, there is one slope.
    slopes.dedup_by_key(|(_, rate)| *rate);
    let roof = Roof { peak: (format!("multiply-adds {peak:.0} GFLOP/s"), peak), slopes };
    draw(&format!("Kernels on {}", machine.adapter), &roof, &clouds)
}
