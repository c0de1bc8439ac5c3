//! The tree-structured Parzen estimator (Bergstra, Bardenet, Bengio and Kegl, "Algorithms for
//! hyper-parameter optimization", NeurIPS 2011, section 4).

use super::Scored;
use super::draw::{Draw, Stream};
use super::kernel::{Density, places, tune};
use super::space::Space;

/// Candidates, of which the best one is proposed.
const CANDIDATES: usize = 24;

/// What is known when a point is proposed.
pub struct Known<'p> {
    /// The points that have ended, with their scores.
    pub scored: &'p [Scored<'p>],
    /// The points that have not ended; they count among the bad ones, so that points which are
    /// proposed one after the other are not all the same.
    pub pending: &'p [&'p [f64]],
}

/// Number of points to begin with before one is proposed.
pub fn starts(dimensions: usize) -> usize {
    let _ = dimensions;
    if tune(1) == 0 { 10 } else { tune(1) as usize }
}

/// Number of good ones among n points.
fn good_ones(n: usize) -> usize {
    let nf = n as f64;
    let good = match tune(2) {
        0 => 0.15 * nf,
        1 => 0.1 * nf,
        2 => 0.25 * nf.sqrt(),
        3 => 0.5 * nf.sqrt(),
        4 => 1.0 * nf.sqrt(),
        _ => 0.25 * nf,
    };
    good.ceil() as usize
}

/// The proposed point of a trial: of some candidates drawn from the density of the good points, the
/// one with the highest ratio of that density to the density of the bad points (Bergstra et al.
/// 2011, equation 2). Candidates that are new come first. Failed points are the worst ones.
pub fn propose(
    space: &Space,
    known: &Known,
    is_new: &dyn Fn(&[f64]) -> bool,
    seed: u64,
    trial: usize,
) -> Vec<f64> {
    let mut order: Vec<&Scored> = known.scored.iter().collect();
    // The sort is stable: of equal scores the earlier one is better.
    let worth = |scored: &Scored| scored.1.unwrap_or(f64::NEG_INFINITY);
    order.sort_by(|a, b| worth(b).total_cmp(&worth(a)));
    let points: Vec<&[f64]> = order.iter().map(|scored| scored.0).collect();
    let (good, bad) = points.split_at(good_ones(points.len()).min(points.len()));
    let bad: Vec<&[f64]> = bad.iter().chain(known.pending).copied().collect();
    let (good, bad) = (Density::new(space, good), Density::new(space, &bad));
    let mut draw = Draw::new(seed, Stream::Trial(trial as u64));
    let mut best: Option<((bool, f64), Vec<f64>)> = None;
    let cands = if tune(6) == 0 { CANDIDATES } else { tune(6) as usize };
    for _ in 0..cands {
        let at = good.sample(&mut draw);
        let point: Vec<f64> =
            space.dimensions.iter().zip(&at).map(|(dim, place)| dim.coordinate(*place)).collect();
        let worth = (is_new(&point), good.log(&at) - bad.log(&at));
        let is_better = best.as_ref().is_none_or(|(before, _)| {
            worth.0.cmp(&before.0).then(worth.1.total_cmp(&before.1)).is_gt()
        });
        if is_better {
            best = Some((worth, point));
        }
    }
    let _ = places;
    best.map(|(_, point)| point).unwrap_or_default()
}
