//! Intervals of differences are compared with those of scipy and numpy: `fixtures/compare.json`
//! holds their numbers, written by `fixtures/compare.py`.

use serde_json::Value;
use tandem::config::{Activation, TaskKind};
use tandem::data::{Dataset, Features, Target};
use tandem::model::loss::Loss;
use tandem::model::network::Head;
use tandem::run::compare::interval::{Compared, Samples, compare, students};
use tandem::run::compare::sample::Sample;

const CLASSES: [&str; 2] = ["no", "yes"];

fn head() -> Head {
    Head {
        name: "t".into(),
        kind: TaskKind::Multiclass,
        classes: CLASSES.map(String::from).to_vec(),
        columns: Vec::new(),
        layers: Vec::new(),
        activation: Activation::Identity,
        dropout: 0.0,
        loss: Loss::CrossEntropy {
            label_smoothing: 0.0,
            focal_gamma: 0.0,
            class_weights: Vec::new(),
        },
        threshold: None,
        top_k: None,
        pool: None,
    }
}

/// A task whose label is class 1 in every row, which is predicted where `hits` has a 1.
fn sample(hits: &[f64]) -> Sample {
    let logits: Vec<f32> = hits.iter().flat_map(|hit| [0.5, *hit as f32]).collect();
    let data = Dataset {
        rows: hits.len(),
        features: Features::F32(vec![0.0; hits.len()]),
        labels: vec![vec![1; hits.len()]],
        weights: None,
        table: None,
        tokens: None,
    };
    let target = Target::multiclass("t", CLASSES.map(String::from).to_vec());
    Sample::new(&head(), &target, &data, 0, &logits)
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// The samples of a way of training, for the first seeds.
fn samples(cases: &Value, way: usize, seeds: usize) -> Samples {
    let all = cases["hits"][way].as_array().unwrap();
    all.iter().take(seeds).map(|hits| vec![sample(&numbers(hits))]).collect()
}

fn compared(cases: &Value, seeds: usize, key: u64) -> Compared {
    let [base, other] = [0, 1].map(|way| samples(cases, way, seeds));
    compare(&base, &other, &[true], 240, key)
}

/// Ends of an interval agree within a part of its width: both come from draws.
fn near(found: Option<[f64; 2]>, expected: &Value) {
    let (found, expected) = (found.unwrap(), numbers(expected));
    let width = expected[1] - expected[0];
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() < 0.05 * width, "{found}, expected {expected}");
    }
}

#[test]
fn intervals_equal_those_of_scipy() {
    let cases: Value = serde_json::from_str(include_str!("../fixtures/compare.json")).unwrap();
    let all = compared(&cases, 3, 7);
    let percent = cases["percent"].as_f64().unwrap();
    assert!((all.tasks[0].percent.unwrap() - percent).abs() < 1e-9, "{all:?}");
    assert_eq!(all.resamplings, 2000);
    near(all.tasks[0].interval, &cases["rows_and_seeds"]);
    let student = numbers(&cases["student"]);
    for (found, expected) in all.tasks[0].over_seeds.unwrap().iter().zip(student) {
        assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
    }
    // With one task its difference is the mean.
    assert_eq!(all.mean, all.tasks[0]);
    let one = compared(&cases, 1, 7);
    near(one.tasks[0].interval, &cases["one_seed"]);
    assert_eq!(one.tasks[0].over_seeds, None);
    // The key alone decides the draws.
    assert_eq!(compared(&cases, 3, 7).tasks, all.tasks);
    assert_ne!(compared(&cases, 3, 8).tasks, all.tasks);
}

#[test]
fn a_difference_that_is_not_defined_is_absent() {
    let (none, some) = (vec![0.0; 240], vec![1.0; 240]);
    let of = |hits: &[f64]| -> Samples { vec![vec![sample(hits)]; 2] };
    // No share of nothing.
    let found = compare(&of(&none), &of(&some), &[true], 240, 0);
    assert_eq!(found.tasks[0].percent, None);
    assert_eq!(found.tasks[0].interval, None);
    assert_eq!(found.mean.percent, None);
    assert_eq!(found.tasks[0].sign(), 0);
    // Where less is better the sign turns.
    let half: Vec<f64> = (0..240).map(|row| f64::from(row % 2)).collect();
    let found = compare(&of(&some), &of(&half), &[false], 240, 0);
    assert_eq!(found.tasks[0].percent, Some(50.0));
    assert_eq!(found.tasks[0].sign(), 1);
    assert_eq!(students(&[Some(1.0), None]), None);
    assert_eq!(students(&[Some(1.0)]), None);
}
