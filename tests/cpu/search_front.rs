//! Fronts and volumes: by hand, and against random points.

use tandem::rng::{Purpose, uniform};
use tandem::search::front::{front, hypervolume};

fn rows<const N: usize>(points: &[[f64; N]]) -> Vec<Vec<f64>> {
    points.iter().map(|point| point.to_vec()).collect()
}

#[test]
fn fronts_have_what_nothing_dominates() {
    let points = rows(&[[1.0, 3.0], [2.0, 2.0], [1.0, 2.0], [3.0, 1.0], [2.0, 2.0], [0.0, 3.0]]);
    assert_eq!(front(&points), [0, 1, 3, 4]);
    assert_eq!(front(&rows(&[[1.0], [3.0], [2.0]])), [1]);
    assert_eq!(front(&rows(&[[1.0, f64::NAN], [0.0, 0.0], [f64::INFINITY, 1.0]])), [1]);
    assert_eq!(front(&[]), Vec::<usize>::new());
    let corners = rows(&[[1.0, 1.0, 2.0], [1.0, 2.0, 1.0], [2.0, 1.0, 1.0], [1.0, 1.0, 1.0]]);
    assert_eq!(front(&corners), [0, 1, 2]);
}

#[test]
fn volumes_are_those_worked_out_by_hand() {
    assert_eq!(hypervolume(&rows(&[[3.0, 1.0], [2.0, 2.0], [1.0, 3.0]]), &[0.0, 0.0]), 6.0);
    // A dominated point adds nothing, nor does one that is not above the reference.
    let more = rows(&[[3.0, 1.0], [2.0, 2.0], [1.0, 3.0], [1.0, 1.0], [9.0, 0.0], [2.0, 2.0]]);
    assert_eq!(hypervolume(&more, &[0.0, 0.0]), 6.0);
    assert_eq!(hypervolume(&more, &[1.0, -1.0]), 6.0 + 8.0 - 1.0 - 2.0);
    assert_eq!(hypervolume(&rows(&[[2.0], [5.0]]), &[1.0]), 4.0);
    let corners = rows(&[[2.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 2.0]]);
    assert_eq!(hypervolume(&corners, &[0.0; 3]), 4.0);
    // 6 + 6, less the 1 x 2 x 1 that both cover.
    assert_eq!(hypervolume(&rows(&[[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]]), &[0.0; 3]), 10.0);
    assert_eq!(hypervolume(&rows(&[[3.0, 3.0, 2.0], [4.0, 4.0, 3.0]]), &[1.0; 3]), 18.0);
    assert_eq!(hypervolume(&[], &[0.0, 0.0]), 0.0);
    assert_eq!(hypervolume(&rows(&[[1.0, 1.0]]), &[]), 0.0);
    assert_eq!(hypervolume(&rows(&[[1.0, f64::NAN], [f64::INFINITY, 1.0]]), &[0.0, 0.0]), 0.0);
}

#[test]
fn volumes_agree_with_random_points() {
    let draw = |stream: u64, at: usize| uniform(5, Purpose::Synthetic, stream, at as u64);
    for dimensions in [2, 3, 4, 5] {
        let points: Vec<Vec<f64>> =
            (0..20).map(|n| (0..dimensions).map(|d| draw(1, 10 * n + d)).collect()).collect();
        let reference = vec![0.1; dimensions];
        let total = 200_000;
        let mut inside = 0;
        for n in 0..total {
            let at: Vec<f64> = (0..dimensions).map(|d| draw(2, 10 * n + d)).collect();
            let is_above = at.iter().all(|value| *value > 0.1);
            let covers = |point: &Vec<f64>| point.iter().zip(&at).all(|(a, b)| a >= b);
            let above = |point: &Vec<f64>| point.iter().all(|value| *value > 0.1);
            let covered = points.iter().any(|point| above(point) && covers(point));
            inside += usize::from(is_above && covered);
        }
        let expected = inside as f64 / total as f64;
        let found = hypervolume(&points, &reference);
        assert!((found - expected).abs() < 0.005, "{dimensions}: {found}, expected {expected}");
    }
}
