//! Fewer points for pictures, by rules that pages state.

/// Distance on either axis, as a share of its range, below which a point of a curve is left out.
pub const STEP: f64 = 1.0 / 400.0;

/// A curve within the unit square with fewer points: the first, the last, and each that lies at
/// least [`STEP`] away from the last one that was kept, on either axis.
pub fn curve(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut kept: Vec<[f64; 2]> = Vec::new();
    for (number, point) in points.iter().enumerate() {
        let is_end = number == 0 || number + 1 == points.len();
        let is_far = |last: &[f64; 2]| (0..2).any(|axis| (point[axis] - last[axis]).abs() >= STEP);
        if is_end || kept.last().is_none_or(is_far) {
            kept.push(*point);
        }
    }
    kept
}

/// Numbers of at most `most` of `count` things, evenly spread, with the first one.
pub fn spread(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let kept = count.min(most);
    (0..kept).map(move |k| k * count / kept.max(1))
}
