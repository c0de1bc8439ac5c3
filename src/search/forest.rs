//! A small forest of regression trees over points in the unit cube (Breiman, "Random forests",
//! 2001). A tree is kept as its leaves, which are boxes.

use super::draw::{Draw, Stream};

/// Fewest points of a leaf.
const LEAF: usize = 2;
/// What a cut takes at least from the sum of squares: less is rounding.
const GAIN: f64 = 1e-12;
/// Most cuts of a box.
const DEPTH: usize = 64;

/// A box of the unit cube, and the mean score of the points in it.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    /// The bounds of each dimension.
    pub(super) sides: Vec<[f64; 2]>,
    /// The mean score.
    pub(super) value: f64,
}

/// A point and its score, which is between 0 and 1.
pub(super) type Row<'p> = (&'p [f64], f64);

/// Where a box is cut.
struct Cut {
    dimension: usize,
    at: f64,
    /// What the cut takes from the sum of squares.
    gain: f64,
}

/// Coordinate of a row.
fn coordinate(row: &Row, dimension: usize) -> f64 {
    row.0.get(dimension).copied().unwrap_or(0.0)
}

/// The mean score of rows.
fn mean(rows: &[Row]) -> f64 {
    rows.iter().map(|row| row.1).sum::<f64>() / rows.len().max(1) as f64
}

/// The best cut of a dimension: the one that takes most from the sum of squares (Breiman, Friedman,
/// Olshen and Stone, "Classification and regression trees", 1984, section 8.4).
fn cut(rows: &[Row], dimension: usize) -> Option<Cut> {
    let mut order = rows.to_vec();
    order.sort_by(|a, b| coordinate(a, dimension).total_cmp(&coordinate(b, dimension)));
    let (count, center) = (order.len(), mean(rows));
    let mut sum = 0.0;
    let mut best: Option<Cut> = None;
    for (before, pair) in order.windows(2).enumerate() {
        let [left, right] = pair else { continue };
        sum += left.1 - center;
        let (under, above) = (before + 1, count - before - 1);
        let [low, high] = [left, right].map(|row| coordinate(row, dimension));
        let gain = sum * sum * (1.0 / under as f64 + 1.0 / above as f64);
        let is_better = gain > best.as_ref().map_or(GAIN, |best| best.gain);
        if under >= LEAF && above >= LEAF && low < high && is_better {
            best = Some(Cut { dimension, at: low + (high - low) / 2.0, gain });
        }
    }
    best
}

/// The leaves of a tree over these rows, in a box that may be cut so many times more.
fn grow(rows: Vec<Row>, sides: Vec<[f64; 2]>, more: usize, leaves: &mut Vec<Leaf>) {
    let cuts = (0..sides.len()).filter_map(|dimension| cut(&rows, dimension));
    let best = cuts.max_by(|a, b| a.gain.total_cmp(&b.gain)).filter(|_| more > 0);
    let Some(cut) = best else {
        leaves.push(Leaf { value: mean(&rows), sides });
        return;
    };
    let (under, above) = rows.into_iter().partition(|row| coordinate(row, cut.dimension) < cut.at);
    let part = |which: usize, mut sides: Vec<[f64; 2]>| {
        if let Some(end) = sides.get_mut(cut.dimension).and_then(|side| side.get_mut(which)) {
            *end = cut.at;
        }
        sides
    };
    grow(under, part(1, sides.clone()), more - 1, leaves);
    grow(above, part(0, sides), more - 1, leaves);
}

/// The leaves of a tree over rows that are drawn with replacement.
pub(super) fn tree(rows: &[Row], dimensions: usize, seed: u64, number: u64) -> Vec<Leaf> {
    let mut draw = Draw::new(seed, Stream::Tree(number));
    let drawn = rows.iter().filter_map(|_| rows.get(draw.below(rows.len())).copied()).collect();
    let mut leaves = Vec::new();
    grow(drawn, vec![[0.0, 1.0]; dimensions], DEPTH, &mut leaves);
    leaves
}
