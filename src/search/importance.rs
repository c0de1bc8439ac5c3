//! How much each dimension matters: functional analysis of variance over a forest (Hutter, Hoos and
//! Leyton-Brown, "An efficient approach for assessing hyperparameter importance", ICML 2014).

use super::Scored;
use super::forest::{Leaf, Row, tree};

/// Number of trees.
const TREES: u64 = 64;
/// Fewest scores.
pub const FEWEST: usize = 8;

/// The share of the variance of the score that each dimension alone explains (Hutter et al. 2014,
/// algorithm 2), the mean over the trees. Failed points are left out. `None` for fewer than
/// [`FEWEST`] scores, or where these, or the values of all trees, do not vary.
pub fn importance(points: &[Scored], dimensions: usize, seed: u64) -> Option<Vec<f64>> {
    let mut rows: Vec<Row> = Vec::new();
    for (point, score) in points {
        rows.extend(score.filter(|score| score.is_finite()).map(|score| (*point, score)));
    }
    if rows.len() < FEWEST {
        return None;
    }
    let rows = scaled(rows);
    let of_tree = |number| shares(&tree(&rows, dimensions, seed, number), dimensions);
    let trees: Vec<Vec<f64>> = (0..TREES).filter_map(of_tree).collect();
    let mean = |dimension: usize| {
        trees.iter().filter_map(|shares| shares.get(dimension)).sum::<f64>() / trees.len() as f64
    };
    (!trees.is_empty()).then(|| (0..dimensions).map(mean).collect())
}

/// The rows with scores between 0 and 1, so that what is too small to matter is so for all scores.
/// Scores that do not vary, or that overflow, become no numbers: no cut is found, and nothing said.
fn scaled(mut rows: Vec<Row>) -> Vec<Row> {
    let low = rows.iter().map(|row| row.1).fold(f64::INFINITY, f64::min);
    let high = rows.iter().map(|row| row.1).fold(f64::NEG_INFINITY, f64::max);
    rows.iter_mut().for_each(|row| row.1 = (row.1 - low) / (high - low));
    rows
}

/// The width of a side.
fn width(side: &[f64; 2]) -> f64 {
    let [low, high] = side;
    high - low
}

/// The share of each dimension in the variance of a tree; `None` where it has none.
fn shares(leaves: &[Leaf], dimensions: usize) -> Option<Vec<f64>> {
    let volume = |leaf: &Leaf| leaf.sides.iter().map(width).product::<f64>();
    let mean: f64 = leaves.iter().map(|leaf| volume(leaf) * leaf.value).sum();
    let variance: f64 = leaves.iter().map(|leaf| volume(leaf) * (leaf.value - mean).powi(2)).sum();
    let share = |dimension| alone(leaves, dimension, mean) / variance;
    (variance > 0.0).then(|| (0..dimensions).map(share).collect())
}

/// The variance of the marginal of a dimension: the mean of the tree over all others, which is
/// constant between two cuts (Hutter et al. 2014, equation 5).
fn alone(leaves: &[Leaf], dimension: usize, mean: f64) -> f64 {
    let side = |leaf: &Leaf| leaf.sides.get(dimension).copied().unwrap_or([0.0, 1.0]);
    let mut cuts: Vec<f64> = leaves.iter().flat_map(side).collect();
    cuts.sort_by(f64::total_cmp);
    cuts.dedup();
    let pieces = cuts.windows(2).filter_map(|pair| <&[f64; 2]>::try_from(pair).ok());
    let variance = |piece: &[f64; 2]| {
        let [low, high] = piece;
        let covers = |leaf: &&Leaf| side(leaf)[0] <= *low && *high <= side(leaf)[1];
        let others = |leaf: &Leaf| {
            let sides = leaf.sides.iter().enumerate().filter(|(at, _)| *at != dimension);
            sides.map(|(_, side)| width(side)).product::<f64>()
        };
        let marginal: f64 =
            leaves.iter().filter(covers).map(|leaf| others(leaf) * leaf.value).sum();
        width(piece) * (marginal - mean).powi(2)
    };
    pieces.map(variance).sum()
}
