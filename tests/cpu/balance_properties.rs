//! The properties that the papers of balancing claim, each on random gradients that conflict; and
//! that each of them can fail.

use crate::balance::solve;
use crate::common::recorded::{direction, norm, products, solver, table_of};
use crate::common::{Bench, whole};
use tandem::kernels::params::Step;
use tandem::rng::{Purpose, normal};
use tandem::run::train::conflict::Conflict;

/// Random gradients of tasks, the sizes of which differ by powers of ten.
fn gradients(seed: u64, tasks: usize, spread: f64) -> Vec<Vec<f64>> {
    let element = |t: usize, i: usize| normal(seed, Purpose::Synthetic, t as u64, i as u64);
    let size = |t: usize| 10f64.powf(spread * normal(seed, Purpose::Synthetic, 99, t as u64));
    (0..tasks).map(|t| (0..tasks + 4).map(|i| size(t) * element(t, i)).collect()).collect()
}

/// The weights that a method gives these gradients.
fn weigh(method: &str, jacobian: &[Vec<f64>]) -> Vec<f64> {
    let tasks = jacobian.len();
    let mut bench = Bench::new(solver(&table_of(method), tasks), &whole());
    let step = Step { key_low: 5, key_high: 7, number: 1, ..Step::default() };
    solve(&mut bench, &products(jacobian), &vec![1.0; tasks], &step)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The way in which gradients are weighed.
type Weigh<'w> = &'w dyn Fn(&[Vec<f64>]) -> Vec<f64>;

/// The mean gradient, which has none of the properties but one.
fn mean(jacobian: &[Vec<f64>]) -> Vec<f64> {
    vec![1.0 / jacobian.len() as f64; jacobian.len()]
}

const SEEDS: std::ops::Range<u64> = 0..12;

/// The largest conflict of a direction with a gradient, as a cosine.
fn conflict(weigh: Weigh) -> f64 {
    let of = |seed: u64| {
        let jacobian = gradients(seed, 2 + seed as usize % 7, 0.5);
        let found = direction(&jacobian, &weigh(&jacobian));
        let cosine = |g: &Vec<f64>| -dot(g, &found) / (norm(g) * norm(&found));
        jacobian.iter().map(cosine).fold(f64::MIN, f64::max)
    };
    SEEDS.map(of).fold(f64::MIN, f64::max)
}

#[test]
fn no_gradient_conflicts_with_the_direction() {
    for method in ["mgda", "upgrad_exact", "dual_proj_exact", "nash_mtl", "config"] {
        let found = conflict(&|jacobian| weigh(method, jacobian));
        assert!(found < 1e-6, "{method}: cosine {found:e}");
    }
    assert!(conflict(&mean) > 0.05, "the mean has no conflict: the test says nothing");
}

/// The largest change of a weight, relative to the largest weight, if tasks come in another order.
fn permuted(weigh: Weigh) -> f64 {
    let of = |seed: u64| {
        let jacobian = gradients(seed, 2 + seed as usize % 7, 0.5);
        let there = weigh(&jacobian);
        let turned: Vec<Vec<f64>> = jacobian.iter().rev().cloned().collect();
        let back: Vec<f64> = weigh(&turned).into_iter().rev().collect();
        let difference: Vec<f64> = there.iter().zip(&back).map(|(a, b)| a - b).collect();
        norm(&difference) / norm(&there)
    };
    SEEDS.map(of).fold(0.0, f64::max)
}

#[test]
fn the_order_of_tasks_does_not_matter() {
    let methods = [
        "mgda",
        "cagrad",
        "imtl_g",
        "nash_mtl",
        "fairgrad",
        "aligned_mtl_min",
        "upgrad",
        "dual_proj",
        "config",
    ];
    for method in methods {
        let found = permuted(&|jacobian| weigh(method, jacobian));
        assert!(found < 1e-6, "{method}: {found:e}");
    }
    // The order decides in PCGrad.
    assert!(permuted(&|jacobian| weigh("pcgrad", jacobian)) > 1e-3);
}

/// The largest change of a direction, relative to its length, if gradients are scaled.
fn scaled(weigh: Weigh) -> f64 {
    let of = |seed: u64| {
        let jacobian = gradients(seed, 2 + seed as usize % 7, 0.2);
        let factor = |t: usize| 10f64.powf(0.7 * normal(seed, Purpose::Synthetic, 77, t as u64));
        let large: Vec<Vec<f64>> = jacobian
            .iter()
            .enumerate()
            .map(|(t, g)| g.iter().map(|x| factor(t) * x).collect())
            .collect();
        let [a, b] = [&jacobian, &large].map(|j| {
            let found = direction(j, &weigh(j));
            let length = norm(&found);
            found.into_iter().map(|x| x / length).collect::<Vec<f64>>()
        });
        norm(&a.iter().zip(&b).map(|(a, b)| a - b).collect::<Vec<f64>>())
    };
    SEEDS.map(of).fold(0.0, f64::max)
}

#[test]
fn the_scale_of_gradients_does_not_matter() {
    for method in ["nash_mtl", "fairgrad_alpha_1", "config"] {
        let found = scaled(&|jacobian| weigh(method, jacobian));
        assert!(found < 1e-6, "{method}: {found:e}");
    }
    assert!(scaled(&mean) > 0.1);
    assert!(scaled(&|jacobian| weigh("mgda", jacobian)) > 0.1);
}

/// How far a direction is from being linear in the scales of the gradients.
fn bent(weigh: Weigh) -> f64 {
    let of = |seed: u64| {
        let jacobian = gradients(seed, 2 + seed as usize % 7, 0.2);
        let factor =
            |part: u64, t: usize| 1.0 + normal(seed, Purpose::Synthetic, 60 + part, t as u64).abs();
        let by = |factor: &dyn Fn(usize) -> f64| {
            let scaled: Vec<Vec<f64>> = jacobian
                .iter()
                .enumerate()
                .map(|(t, g)| g.iter().map(|x| factor(t) * x).collect())
                .collect();
            direction(&scaled, &weigh(&scaled))
        };
        let (a, b) = (by(&|t| factor(0, t)), by(&|t| factor(1, t)));
        let both = by(&|t| factor(0, t) + factor(1, t));
        let apart: Vec<f64> =
            both.iter().zip(a.iter().zip(&b)).map(|(both, (a, b))| both - a - b).collect();
        norm(&apart) / norm(&both)
    };
    SEEDS.map(of).fold(0.0, f64::max)
}

#[test]
fn upgrad_is_linear_under_scaling() {
    let found = bent(&|jacobian| weigh("upgrad_exact", jacobian));
    assert!(found < 1e-6, "{found:e}");
    assert!(bent(&|jacobian| weigh("dual_proj_exact", jacobian)) > 1e-3);
}

/// How far the smallest slope is below the square of the direction, relative to it: at the point of
/// least norm of a convex hull none is.
fn slack(weigh: Weigh) -> f64 {
    let of = |seed: u64| {
        let jacobian = gradients(seed, 2 + seed as usize % 7, 0.2);
        let weights = weigh(&jacobian);
        let sum: f64 = weights.iter().sum();
        let is_inside = weights.iter().all(|w| *w >= 0.0) && (sum - 1.0).abs() < 1e-9;
        assert!(is_inside, "{weights:?}");
        let found = direction(&jacobian, &weights);
        let square = dot(&found, &found);
        jacobian.iter().map(|g| (square - dot(g, &found)) / square).fold(f64::MIN, f64::max)
    };
    SEEDS.map(of).fold(f64::MIN, f64::max)
}

#[test]
fn mgda_keeps_the_conditions_of_the_least_norm() {
    let found = slack(&|jacobian| weigh("mgda", jacobian));
    assert!(found < 1e-6, "{found:e}");
    assert!(slack(&mean) > 0.1);
}

/// How far apart the projections of a direction on the unit gradients are, relative to the largest.
fn apart(weigh: Weigh) -> f64 {
    let of = |seed: u64| {
        let jacobian = gradients(seed, 2 + seed as usize % 7, 0.5);
        let found = direction(&jacobian, &weigh(&jacobian));
        let all: Vec<f64> = jacobian.iter().map(|g| dot(g, &found) / norm(g)).collect();
        let most = all.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        all.iter().map(|x| (x - all[0]).abs()).fold(0.0, f64::max) / most
    };
    SEEDS.map(of).fold(0.0, f64::max)
}

#[test]
fn imtl_g_and_config_project_equally_on_all_gradients() {
    for method in ["imtl_g", "config"] {
        let found = apart(&|jacobian| weigh(method, jacobian));
        assert!(found < 1e-6, "{method}: {found:e}");
    }
    assert!(apart(&mean) > 0.1);
    assert!(apart(&|jacobian| weigh("upgrad", jacobian)) > 0.1);
}

#[test]
fn two_equal_tasks_get_equal_weights() {
    let methods = [
        "mgda",
        "nash_mtl",
        "fairgrad",
        "imtl_g",
        "aligned_mtl_min",
        "upgrad",
        "dual_proj",
        "config",
    ];
    for method in methods {
        for seed in SEEDS {
            let mut jacobian = gradients(seed, 3, 0.2);
            jacobian[2] = jacobian[0].clone();
            let weights = weigh(method, &jacobian);
            let apart = (weights[0] - weights[2]).abs() / norm(&weights);
            // Equal gradients make the problem of MGDA singular; a ridge decides.
            let limit = if method == "mgda" { 1e-3 } else { 1e-5 };
            assert!(apart < limit, "{method}: {weights:?}");
        }
    }
}

#[test]
fn pcgrad_is_upgrad_for_two_tasks() {
    for seed in SEEDS {
        let jacobian = gradients(seed, 2, 0.5);
        let (sum, half) = (weigh("pcgrad", &jacobian), weigh("upgrad_exact", &jacobian));
        let difference: Vec<f64> = sum.iter().zip(&half).map(|(a, b)| a - 2.0 * b).collect();
        assert!(norm(&difference) < 1e-6 * norm(&sum), "{sum:?} and twice {half:?}");
    }
}

/// Products of one layer of the gradients of two tasks, and of a change that follows neither.
fn observed(a: f32, b: f32, inner: f32) -> [f32; 9] {
    [a * a, inner, 0.0, inner, b * b, 0.0, 0.0, 0.0, 1.0]
}

#[test]
fn alignment_is_that_of_steps_in_which_tasks_meet() {
    let mut conflict = Conflict::new(2, 1);
    conflict.add(&observed(1.0, 0.0, 0.0), &[1.0, 1.0]);
    conflict.add(&observed(0.0, 3.0, 0.0), &[1.0, 1.0]);
    assert_eq!((conflict.steps(), conflict.alignment(), conflict.mean_cosine()), (2, None, None));
    conflict.add(&observed(2.0, 2.0, 0.0), &[1.0, 1.0]);
    assert!((conflict.alignment().unwrap() - 1.0).abs() < 1e-7, "{conflict:?}");
    conflict.add(&observed(2.0, 2.0, 4.0), &[1.0, 1.0]);
    let both = (1.0 + 2f64.sqrt()) / 2.0;
    assert!((conflict.alignment().unwrap() - both).abs() < 1e-7, "{conflict:?}");
    assert_eq!(conflict.steps(), 4);
}
