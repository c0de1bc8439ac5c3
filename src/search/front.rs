//! Points of which none is better in every respect, and the volume that they cover. Higher is
//! better in each objective.

/// Whether `a` is at least as good as `b` in each objective and better in one.
fn dominates(a: &[f64], b: &[f64]) -> bool {
    let mut pairs = a.iter().zip(b);
    let better = a.iter().zip(b).any(|(a, b)| a > b);
    better && pairs.all(|(a, b)| a >= b)
}

/// The numbers of the points that no other point dominates, in their order. Equal points stay
/// together; a point that is not finite is never among them.
pub fn front(points: &[Vec<f64>]) -> Vec<usize> {
    let whole = |point: &[f64]| point.iter().all(|value| value.is_finite());
    let stays = |point: &[f64]| {
        whole(point) && !points.iter().any(|other| whole(other) && dominates(other, point))
    };
    (0..points.len()).filter(|at| points.get(*at).is_some_and(|point| stays(point))).collect()
}

/// The volume between the points and a reference point (Zitzler and Thiele, "Multiobjective
/// evolutionary algorithms: a comparative case study and the strength Pareto approach", 1999). A
/// point counts where it is above the reference in every objective. The volume is exact: slices by
/// the last objective (Fonseca, Paquete and Lopez-Ibanez, "An improved dimension-sweep algorithm
/// for the hypervolume indicator", 2006), down to two objectives.
pub fn hypervolume(points: &[Vec<f64>], reference: &[f64]) -> f64 {
    let above = |point: &&Vec<f64>| {
        point.len() == reference.len()
            && point.iter().zip(reference).all(|(a, b)| a > b && a.is_finite())
    };
    let points: Vec<&[f64]> = points.iter().filter(above).map(Vec::as_slice).collect();
    volume(points, reference)
}

/// The volume of points that are above the reference. Further objectives of the points, which the
/// reference lacks, are passed over.
fn volume(mut points: Vec<&[f64]>, reference: &[f64]) -> f64 {
    let Some((floor, rest)) = reference.split_last() else { return 0.0 };
    let last = |point: &[f64]| point.get(rest.len()).copied().unwrap_or(*floor);
    points.sort_by(|a, b| last(b).total_cmp(&last(a)));
    if rest.is_empty() {
        return points.first().map_or(0.0, |point| last(point) - floor);
    }
    let mut sum = 0.0;
    let mut widest = 0.0f64;
    for (count, point) in points.iter().enumerate() {
        let below = points.get(count + 1).map_or(*floor, |next| last(next));
        let height = last(point) - below;
        // Of two objectives a slice is as wide as the widest point so far.
        let slice = match rest {
            [left] => {
                widest = widest.max(point.first().map_or(0.0, |value| value - left));
                widest
            }
            _ if height > 0.0 => volume(points.iter().take(count + 1).copied().collect(), rest),
            _ => 0.0,
        };
        sum += height * slice;
    }
    sum
}
