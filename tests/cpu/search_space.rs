//! Values at coordinates, and grids; the expected values are worked out by hand.

use tandem::search::space::{Dimension, Range, Scale, Space};

fn range(low: f64, high: f64, scale: Scale, whole: bool, points: usize) -> Option<Range> {
    Some(Range { low, high, scale, whole, points })
}

fn space(dimensions: Vec<(Option<Range>, &[&str])>) -> Space {
    let dimension = |(range, others): (Option<Range>, &[&str])| Dimension {
        key: "k".into(),
        range,
        others: others.iter().map(|other| String::from(*other)).collect(),
    };
    Space { dimensions: dimensions.into_iter().map(dimension).collect() }
}

fn one(range: Option<Range>, others: &[&str]) -> Space {
    space(vec![(range, others)])
}

fn text(space: &Space, u: f64) -> String {
    space.value(0, u).unwrap().text
}

#[test]
fn numbers_are_spread_and_read_well() {
    let rate = one(range(1e-5, 1e-1, Scale::Log, false, 5), &[]);
    assert_eq!(text(&rate, 0.0), "1e-5");
    assert_eq!(text(&rate, 0.5), "0.001");
    // 10^(-5 + 4/3)
    assert_eq!(text(&rate, 1.0 / 3.0), "0.0002154");
    assert_eq!(text(&rate, 1.0 - f64::EPSILON), "0.1");
    assert_eq!(rate.value(0, 0.5).unwrap().number, Some(0.001));
    let linear = one(range(-1.0, 2.0, Scale::Linear, false, 5), &[]);
    assert_eq!(text(&linear, 0.0), "-1.0");
    assert_eq!(text(&linear, 0.123_456_7), "-0.6296");
    assert_eq!(text(&linear, 1.0 / 3.0 + 1e-12), "0.0");
    assert_eq!(text(&linear, 1.0 - f64::EPSILON), "2.0");
}

#[test]
fn rounded_numbers_stay_within_the_bounds() {
    let odd = one(range(0.333_333, 0.666_666, Scale::Linear, false, 5), &[]);
    assert_eq!(text(&odd, 0.0), "0.333333");
    assert_eq!(text(&odd, 1.0 - f64::EPSILON), "0.666666");
    for n in 0..1000 {
        let number = odd.value(0, f64::from(n) / 1000.0).unwrap().number.unwrap();
        assert!((0.333_333..=0.666_666).contains(&number));
    }
    // Four digits would leave two values.
    let narrow = one(range(1000.0, 1001.0, Scale::Linear, false, 5), &[]);
    assert_eq!(text(&narrow, 0.123_456), "1000.12");
    // A low bound near nothing draws nothing to itself.
    let wide = one(range(1e-12, 1.0, Scale::Log, false, 5), &[]);
    assert_eq!(text(&wide, 1.0 / 12.0), "1e-11");
}

#[test]
fn whole_numbers_have_equal_shares() {
    let few = one(range(1.0, 4.0, Scale::Linear, true, 9), &[]);
    let texts: Vec<String> = (0..8).map(|n| text(&few, (f64::from(n) + 0.5) / 8.0)).collect();
    assert_eq!(texts, ["1", "1", "2", "2", "3", "3", "4", "4"]);
    assert_eq!(text(&few, 0.0), "1");
    assert_eq!(text(&few, 1.0 - f64::EPSILON), "4");
    // From -0.5 to 0.5 it is 0, without a sign.
    let signed = one(range(-2.0, 2.0, Scale::Linear, true, 5), &[]);
    assert_eq!([0.39, 0.41, 0.45, 0.59].map(|u| text(&signed, u)), ["-1", "0", "0", "0"]);
    let log = one(range(8.0, 512.0, Scale::Log, true, 4), &[]);
    // exp((ln 7.5 + ln 512.5) / 2) = 61.998
    assert_eq!(text(&log, 0.5), "62");
    assert_eq!((text(&log, 0.0), text(&log, 0.999_999)), ("8".into(), "512".into()));
    let large = one(range(0.0, 1e6, Scale::Linear, true, 4), &[]);
    assert_eq!(text(&large, 0.123_456), "123500");
}

#[test]
fn values_share_the_unit_interval() {
    // Four shares and one.
    let dropout = one(range(0.1, 0.5, Scale::Linear, false, 3), &["0"]);
    assert_eq!(text(&dropout, 0.4), "0.3");
    assert_eq!(text(&dropout, 0.799_999_999_999), "0.5");
    assert_eq!(text(&dropout, 0.8), "0");
    assert_eq!(dropout.value(0, 0.999).unwrap().number, Some(0.0));
    // A grid keeps to the shares, at both ends.
    for (others, points) in [(1, 3), (4, 7), (6, 2)] {
        let text = vec!["0"; others];
        let beside = one(range(0.1, 0.5, Scale::Linear, false, points), &text).grid();
        let last = beside.point(points - 1).unwrap()[0];
        let share = 4.0 / (4.0 + others as f64);
        assert!(last < share && last > share - 1e-12 && beside.point(0) == Some(vec![0.0]));
    }
    // Four shares and two.
    let two = one(range(0.1, 0.5, Scale::Linear, false, 3), &["0", "\"x\""]);
    assert_eq!([0.66, 0.67, 0.83, 0.84].map(|u| text(&two, u))[1..], ["0", "0", "\"x\""]);
    assert_eq!(two.value(0, 0.9).unwrap().number, None);
    let choice = one(None, &["[64]", "[64, 32]", "inf"]);
    assert_eq!(
        [0.0, 0.33, 0.34, 0.66, 0.67, 0.999].map(|u| text(&choice, u)),
        ["[64]", "[64]", "[64, 32]", "[64, 32]", "inf", "inf"]
    );
    assert_eq!(choice.value(0, 0.9).unwrap().number, None);
}

#[test]
fn odd_requests_are_answered() {
    let empty = one(None, &[]);
    assert_eq!(empty.value(0, 0.5), None);
    assert_eq!(empty.value(1, 0.5), None);
    assert_eq!(empty.combinations(), Some(0));
    assert_eq!(empty.grid().point(0), None);
    assert_eq!(Space::default().combinations(), Some(1));
    let choice = one(None, &["1", "2"]);
    assert_eq!([-1.0, 1.0, 5.0, f64::NAN].map(|u| text(&choice, u)), ["1", "2", "2", "1"]);
    // Bounds that have changed places, that are the same, or that a logarithm lacks.
    for (low, high) in [(2.0, 1.0), (1.0, 1.0), (0.0, 1.0), (f64::NAN, 1.0), (-1e300, 1e300)] {
        for scale in [Scale::Linear, Scale::Log] {
            for whole in [false, true] {
                for points in [0, 1, 3] {
                    let odd = one(range(low, high, scale, whole, points), &["0"]);
                    let grid = odd.grid();
                    let count = grid.combinations().unwrap();
                    assert!((0..count).all(|at| grid.point(at).is_some_and(|p| p[0] < 1.0)));
                    assert!(odd.value(0, 0.5).is_some());
                }
            }
        }
    }
}

fn grid_texts(space: &Space) -> Vec<String> {
    let grid = space.grid();
    let count = grid.combinations().unwrap();
    let points = (0..count).map(|at| grid.point(at).unwrap());
    let texts: Vec<String> = points.map(|point| space.texts(&point).join(" ")).collect();
    assert_eq!(grid.point(count), None);
    texts
}

#[test]
fn grids_have_every_combination_once() {
    let both =
        space(vec![(range(1e-4, 1e-2, Scale::Log, false, 3), &["0"]), (None, &["\"a\"", "\"b\""])]);
    assert_eq!(both.combinations(), Some(8));
    assert_eq!(
        grid_texts(&both),
        [
            "0.0001 \"a\"",
            "0.0001 \"b\"",
            "0.001 \"a\"",
            "0.001 \"b\"",
            "0.01 \"a\"",
            "0.01 \"b\"",
            "0 \"a\"",
            "0 \"b\"",
        ]
    );
    // The middle of the shares of other values.
    let words = one(None, &["1", "2"]).grid();
    assert_eq!([0, 1].map(|at| words.point(at)), [Some(vec![0.25]), Some(vec![0.75])]);
    let linear = one(range(0.333_333, 0.7, Scale::Linear, false, 3), &[]);
    assert_eq!(grid_texts(&linear), ["0.333333", "0.5167", "0.7"]);
    // Whole numbers that are fewer than the points, and one point.
    let whole = one(range(1.0, 3.0, Scale::Linear, true, 7), &["8"]);
    assert_eq!(grid_texts(&whole), ["1", "2", "3", "8"]);
    assert_eq!(
        grid_texts(&one(range(16.0, 256.0, Scale::Log, true, 5), &[])),
        ["16", "32", "64", "128", "256"]
    );
    assert_eq!(grid_texts(&one(range(1.0, 3.0, Scale::Linear, false, 1), &[])), ["1.0"]);
}

#[test]
fn combinations_that_overflow_are_none() {
    let ten = range(0.0, 1.0, Scale::Linear, false, 10);
    let large = space((0..20).map(|_| (ten.clone(), [].as_slice())).collect());
    assert_eq!(large.combinations(), None);
    assert!(large.grid().point(12_345).is_some());
}
