//! Sobol points are compared with those of `scipy.stats.qmc.Sobol(scramble=False)`, scipy 1.17.1.
//! The order is the same too, that of the Gray code.

use tandem::search::sobol::{DIMENSIONS, plain, point};

/// The first 16 points in 6 dimensions, in sixteenths: `Sobol(6, scramble=False).random(16) * 16`.
const FIRST: [[u32; 6]; 16] = [
    [0, 0, 0, 0, 0, 0],
    [8, 8, 8, 8, 8, 8],
    [12, 4, 4, 4, 12, 12],
    [4, 12, 12, 12, 4, 4],
    [6, 6, 10, 14, 6, 2],
    [14, 14, 2, 6, 14, 10],
    [10, 2, 14, 10, 10, 14],
    [2, 10, 6, 2, 2, 6],
    [3, 5, 15, 7, 9, 5],
    [11, 13, 7, 15, 1, 13],
    [15, 1, 11, 3, 5, 9],
    [7, 9, 3, 11, 13, 1],
    [5, 3, 5, 9, 15, 7],
    [13, 11, 13, 1, 7, 15],
    [9, 7, 1, 13, 3, 11],
    [1, 15, 9, 5, 11, 3],
];

/// Point 12345 in 32 dimensions, in parts of 2^14: `fast_forward(12345)`, then `random(1) * 2**14`.
/// It needs every direction number of the table.
const LATE: [u32; 32] = [
    10501, 13327, 2627, 8631, 14557, 965, 2085, 1857, 13137, 7039, 1217, 9811, 15253, 15431, 565,
    10499, 1025, 835, 5233, 5627, 3265, 1331, 9945, 14135, 7231, 4845, 5997, 7897, 1437, 6627,
    4701, 10847,
];

#[test]
fn points_are_those_of_scipy() {
    for (n, expected) in FIRST.iter().enumerate() {
        let expected: Vec<f64> = expected.iter().map(|part| f64::from(*part) / 16.0).collect();
        assert_eq!(plain(n as u64, 6), expected, "point {n}");
    }
    let expected: Vec<f64> = LATE.iter().map(|part| f64::from(*part) / 16384.0).collect();
    assert_eq!(plain(12345, 32), expected);
    assert_eq!(DIMENSIONS, 32);
}

#[test]
fn points_of_a_seed_are_shifted_and_leave_out_the_first() {
    let shift: Vec<f64> = point(7, 0, 6).iter().map(|u| (u + 0.5).fract()).collect();
    for n in 0..64 {
        let shifted = point(7, n, 6);
        for ((u, plain), shift) in shifted.iter().zip(plain(n + 1, 6)).zip(&shift) {
            let expected = (plain + shift).fract();
            let apart = (u - expected).abs();
            assert!(apart.min(1.0 - apart) < 1e-12, "point {n}: {u}, expected {expected}");
            assert!((0.0..1.0).contains(u));
        }
    }
    assert_ne!(point(7, 0, 6), point(8, 0, 6));
    assert_eq!(point(7, 5, 6), point(7, 5, 6));
    // Coordinates are not shifted alike.
    assert!(shift.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn coordinates_beyond_the_directions_are_random() {
    let points: Vec<Vec<f64>> = (0..256).map(|n| point(1, n, DIMENSIONS + 3)).collect();
    assert!(points.iter().flatten().all(|u| (0.0..1.0).contains(u)));
    for dimension in 0..DIMENSIONS + 3 {
        let of: Vec<f64> = points.iter().map(|point| point[dimension]).collect();
        let mean = of.iter().sum::<f64>() / 256.0;
        assert!((mean - 0.5).abs() < 0.06, "dimension {dimension} has mean {mean}");
        assert!(of.iter().enumerate().all(|(n, u)| !of[..n].contains(u)));
    }
    // More dimensions do not change the first ones.
    assert_eq!(point(1, 9, DIMENSIONS + 3)[..6], point(1, 9, 6)[..]);
}

#[test]
fn odd_requests_are_answered() {
    assert_eq!(point(1, 3, 0), Vec::<f64>::new());
    assert_eq!(point(1, u64::MAX, 2).len(), 2);
}
