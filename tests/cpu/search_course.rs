//! Which trial runs next: against an independent writing of algorithm 2 of Li et al., and whatever
//! the order in which results are told.

use std::collections::HashSet;

use tandem::rng::{Purpose, below, uniform};
use tandem::search::course::{Course, Job, Method, Settings};
use tandem::search::space::{Dimension, Range, Scale, Space};

const METHODS: [Method; 4] = [Method::Grid, Method::Random, Method::Halving, Method::Tpe];

/// The order in which results are told.
#[derive(Clone, Copy, Debug)]
enum Order {
    Begun,
    Reversed,
    Random,
    /// One result, the one of the job that began last, before more jobs are asked for.
    OneLast,
    /// One result, of any job.
    OneRandom,
}

const ORDERS: [Order; 5] =
    [Order::Begun, Order::Reversed, Order::Random, Order::OneLast, Order::OneRandom];

fn space() -> Space {
    let range = |low, high, scale, whole| Some(Range { low, high, scale, whole, points: 3 });
    let dimension = |range, others: &[&str]| Dimension {
        key: "k".into(),
        range,
        others: others.iter().map(|other| String::from(*other)).collect(),
    };
    let dimensions = vec![
        dimension(range(1e-4, 1e-1, Scale::Log, false), &[]),
        dimension(range(0.1, 0.5, Scale::Linear, false), &["0"]),
        dimension(None, &["\"a\"", "\"b\""]),
    ];
    Space { dimensions }
}

fn settings(method: Method, trials: usize, workers: usize) -> Settings {
    let shares = match method {
        Method::Halving => vec![1.0 / 27.0, 1.0 / 9.0, 1.0 / 3.0, 1.0],
        _ => vec![1.0],
    };
    Settings { method, trials, fixed: 1, workers, seed: 11, eta: 3, shares }
}

/// A job that began, with the point of its trial.
type Begun = (Job, Option<Vec<f64>>);

/// Plays a course to its end, and checks what holds for every course; the jobs in the order in
/// which they were handed out.
fn play(settings: &Settings, order: Order, score: &dyn Fn(Job) -> Option<f64>) -> Vec<Begun> {
    let mut course = Course::new(settings.clone(), space());
    let (mut out, mut begun, mut told) = (Vec::new(), Vec::new(), HashSet::new());
    for round in 0.. {
        for job in course.ready() {
            let is_after = job.rung == 0
                || told.contains(&Job { trial: job.trial, rung: job.rung - 1 })
                    && score(Job { trial: job.trial, rung: job.rung - 1 }).is_some();
            assert!(is_after, "{job:?} was not to begin");
            begun.push((job, course.point(job.trial).map(<[f64]>::to_vec)));
            out.push(job);
        }
        assert!(out.len() <= settings.workers.max(1));
        assert_eq!(out.is_empty(), course.is_over(), "{settings:?} {order:?}");
        if out.is_empty() {
            break;
        }
        let random = |n: usize| below(n as u64, 3, Purpose::Synthetic, 0, round) as usize;
        let chosen: Vec<Job> = match order {
            Order::Begun => std::mem::take(&mut out),
            Order::Reversed => out.drain(..).rev().collect(),
            Order::Random => (0..out.len()).map(|_| out.remove(random(out.len()))).collect(),
            Order::OneLast => out.pop().into_iter().collect(),
            Order::OneRandom => vec![out.remove(random(out.len()))],
        };
        for job in chosen {
            assert!(!course.is_over());
            course.tell(job, score(job));
            told.insert(job);
        }
    }
    let once: HashSet<Job> = begun.iter().map(|(job, _)| *job).collect();
    assert_eq!(once.len(), begun.len());
    begun
}

fn trials(begun: &[Begun]) -> usize {
    begun.iter().filter(|(job, _)| job.rung == 0).count()
}

/// A score that depends on the trial and a little on the rung; one of nine fails.
fn made(job: Job) -> Option<f64> {
    let draw = |stream, index: usize| uniform(9, Purpose::Synthetic, stream, index as u64);
    let score = draw(0, job.trial) + 0.3 * draw(1, 100 * job.rung + job.trial);
    (draw(2, 100 * job.rung + job.trial) > 1.0 / 9.0).then_some(score)
}

#[test]
fn courses_do_not_depend_on_the_order_of_results() {
    for method in METHODS {
        for workers in [1, 2, 3, 8, 40] {
            let settings = settings(method, 30, workers);
            let expected = play(&settings, Order::Begun, &made);
            for order in ORDERS {
                let found = play(&settings, order, &made);
                assert_eq!(found, expected, "{method:?} {workers} {order:?}");
            }
        }
    }
}

#[test]
fn results_are_taken_once_and_of_running_jobs_alone() {
    let settings = settings(Method::Halving, 9, 2);
    let mut course = Course::new(settings, space());
    let jobs = course.ready();
    assert_eq!(jobs, [Job { trial: 0, rung: 0 }, Job { trial: 1, rung: 0 }]);
    assert_eq!(course.ready(), []);
    // Neither has begun.
    course.tell(Job { trial: 2, rung: 0 }, Some(1.0));
    course.tell(Job { trial: 0, rung: 1 }, Some(1.0));
    assert_eq!(course.ready(), []);
    // Trial 1 ends after trial 0 in virtual time, so it decides nothing yet; its first score holds.
    course.tell(jobs[1], Some(f64::NAN));
    course.tell(jobs[1], Some(9.0));
    assert_eq!((course.ready(), course.point(2)), (vec![], None));
    course.tell(jobs[0], Some(0.5));
    assert_eq!(course.ready(), [Job { trial: 2, rung: 0 }, Job { trial: 3, rung: 0 }]);
    course.tell(Job { trial: 2, rung: 0 }, Some(0.4));
    // Of three trials one is promoted, and it is not the one whose score is no number.
    assert_eq!(course.ready(), [Job { trial: 0, rung: 1 }]);
}

/// `SCORES` of `fixtures/asha.py`; `None` has failed.
const SCORES: [[Option<u32>; 13]; 4] = {
    const fn row(values: [u32; 13]) -> [Option<u32>; 13] {
        let mut row = [None; 13];
        let mut at = 0;
        while at < 13 {
            row[at] = if values[at] == 0 { None } else { Some(values[at]) };
            at += 1;
        }
        row
    }
    [
        row([41, 55, 12, 73, 0, 68, 30, 90, 55, 21, 84, 77, 60]),
        row([45, 50, 20, 0, 0, 80, 35, 70, 58, 25, 75, 79, 61]),
        row([46, 51, 22, 70, 0, 66, 36, 72, 59, 26, 71, 69, 62]),
        row([47, 52, 23, 74, 0, 85, 37, 73, 57, 27, 76, 78, 63]),
    ]
};

/// The output of `fixtures/asha.py`: eta, workers, and the trials and rungs in the order in which
/// they begin.
const EXPECTED: [(u64, usize, &str); 6] = [
    (
        3,
        1,
        "0:0 1:0 2:0 1:1 3:0 3:1 4:0 5:0 5:1 5:2 6:0 7:0 7:1 8:0 9:0 10:0 \
         10:1 11:0 11:1 11:2 12:0 11:3",
    ),
    (
        3,
        2,
        "0:0 1:0 2:0 3:0 1:1 3:1 4:0 5:0 6:0 5:1 7:0 5:2 7:1 8:0 9:0 10:0 \
         10:1 11:0 12:0 11:1 11:2 11:3",
    ),
    (
        3,
        3,
        "0:0 1:0 2:0 3:0 4:0 1:1 3:1 5:0 6:0 5:1 7:0 8:0 5:2 7:1 9:0 10:0 \
         11:0 10:1 11:1 12:0 11:2 11:3",
    ),
    (
        2,
        1,
        "0:0 1:0 1:1 2:0 3:0 3:1 1:2 4:0 5:0 5:1 5:2 5:3 6:0 7:0 7:1 7:2 \
         7:3 8:0 9:0 8:1 10:0 10:1 10:2 10:3 11:0 11:1 11:2 12:0 12:1",
    ),
    (
        2,
        2,
        "0:0 1:0 2:0 1:1 3:0 4:0 3:1 5:0 1:2 5:1 5:2 6:0 7:0 5:3 7:1 7:2 \
         7:3 8:0 9:0 8:1 10:0 10:1 10:2 11:0 11:1 11:2 10:3 12:0 12:1",
    ),
    (
        2,
        3,
        "0:0 1:0 2:0 3:0 1:1 4:0 3:1 5:0 6:0 5:1 1:2 7:0 5:2 7:1 7:2 8:0 \
         5:3 9:0 8:1 7:3 10:0 10:1 10:2 10:3 11:0 11:1 12:0 11:2 12:1",
    ),
];

#[test]
fn promotions_are_those_of_the_algorithm() {
    for (eta, workers, expected) in EXPECTED {
        let shares = match eta {
            3 => vec![1.0 / 27.0, 1.0 / 9.0, 1.0 / 3.0, 1.0],
            _ => vec![1.0 / 30.0, 1.0 / 10.0, 3.0 / 10.0, 1.0],
        };
        let settings = Settings { eta, shares, ..settings(Method::Halving, 13, workers) };
        let score = |job: Job| SCORES[job.rung][job.trial].map(f64::from);
        for order in ORDERS {
            let begun = play(&settings, order, &score);
            let found: Vec<String> =
                begun.iter().map(|(job, _)| format!("{}:{}", job.trial, job.rung)).collect();
            assert_eq!(found.join(" "), expected, "eta {eta}, {workers} workers, {order:?}");
        }
    }
}

#[test]
fn of_equal_scores_the_earlier_trial_is_better() {
    let begun = play(&settings(Method::Halving, 9, 1), Order::Begun, &|_| Some(0.5));
    let above: Vec<Job> = begun.iter().map(|(job, _)| *job).filter(|job| job.rung > 0).collect();
    let expected = [(0, 1), (1, 1), (2, 1), (0, 2), (0, 3)];
    assert_eq!(above, expected.map(|(trial, rung)| Job { trial, rung }));
}

#[test]
fn one_trial_reaches_the_last_rung() {
    for eta in [0, 2, 3, 4] {
        for count in 1..40 {
            for workers in [1, 3, 8] {
                let settings = Settings { eta, ..settings(Method::Halving, count, workers) };
                let begun = play(&settings, Order::Begun, &made);
                assert_eq!(trials(&begun), count);
                let is_last = |job: Job| job.rung == 3 && made(job).is_some();
                let is_left = |job: Job| {
                    let next = Job { trial: job.trial, rung: job.rung + 1 };
                    job.rung < 3 && made(job).is_some() && !begun.iter().any(|(j, _)| *j == next)
                };
                let reached = begun.iter().any(|(job, _)| is_last(*job));
                let left = begun.iter().any(|(job, _)| is_left(*job));
                assert!(reached || !left, "{count} trials, eta {eta}, {workers} workers");
            }
        }
    }
    // With nine trials, one worker and no surprises it is the best one.
    let rising = |job: Job| Some(job.trial as f64);
    let begun = play(&settings(Method::Halving, 9, 1), Order::Begun, &rising);
    assert_eq!(begun.last().map(|(job, _)| *job), Some(Job { trial: 8, rung: 3 }));
}

#[test]
fn failed_trials_are_never_promoted() {
    let all = |_: Job| None;
    for method in METHODS {
        for workers in [1, 4] {
            let begun = play(&settings(method, 12, workers), Order::Begun, &all);
            assert_eq!((begun.len(), trials(&begun)), (12, 12), "{method:?}");
        }
    }
    // Only the last trial is good, and only until rung 2.
    let one = |job: Job| (job.trial == 11 && job.rung < 2).then_some(0.0);
    let begun = play(&settings(Method::Halving, 12, 4), Order::Reversed, &one);
    let above: Vec<Job> = begun.iter().map(|(job, _)| *job).filter(|job| job.rung > 0).collect();
    assert_eq!(above, [Job { trial: 11, rung: 1 }, Job { trial: 11, rung: 2 }]);
}

#[test]
fn grids_begin_every_combination_once() {
    let space = space();
    // Three numbers, three numbers and 0, two words.
    assert_eq!(space.combinations(), Some(24));
    for (fixed, most, expected) in [(1, 100, 25), (0, 24, 24), (3, 27, 27), (1, 10, 10)] {
        let settings = Settings { fixed, ..settings(Method::Grid, most, 4) };
        let begun = play(&settings, Order::Random, &made);
        assert_eq!(begun.len(), expected);
        assert_eq!(Course::new(settings, space.clone()).trials(), expected);
        let texts: HashSet<Vec<String>> =
            begun.iter().flat_map(|(_, point)| point).map(|point| space.texts(point)).collect();
        assert_eq!(texts.len(), expected - fixed);
    }
}

#[test]
fn small_courses_end() {
    for method in METHODS {
        for (count, fixed, workers) in
            [(0, 0, 1), (1, 0, 1), (1, 1, 1), (1, 2, 3), (2, 5, 1), (3, 2, 0), (5, 5, 9)]
        {
            for shares in [vec![], vec![1.0], vec![0.5, 1.0], vec![1.0, 0.5, f64::NAN]] {
                let settings = Settings { fixed, shares, ..settings(method, count, workers) };
                let begun = play(&settings, Order::OneLast, &|job| Some(job.trial as f64));
                assert_eq!(trials(&begun), count, "{settings:?}");
                for (job, point) in &begun {
                    assert_eq!(point.is_none(), job.trial < fixed);
                }
            }
        }
    }
}

#[test]
fn trials_differ_while_there_are_other_values() {
    let dimension = |others: &[&str]| Dimension {
        key: "k".into(),
        range: None,
        others: others.iter().map(|other| String::from(*other)).collect(),
    };
    let dimensions = vec![dimension(&["1", "2", "3", "4"]), dimension(&["5", "6", "7", "8"])];
    let space = Space { dimensions };
    for method in [Method::Random, Method::Halving, Method::Tpe] {
        for seed in 0..20 {
            let settings = Settings { fixed: 0, seed, ..settings(method, 20, 3) };
            let mut course = Course::new(settings, space.clone());
            let mut texts = Vec::new();
            while !course.is_over() {
                for job in course.ready() {
                    if job.rung == 0 {
                        texts.push(space.texts(course.point(job.trial).unwrap()));
                    }
                    course.tell(job, Some(job.trial as f64));
                }
            }
            // All 16, and no other trial.
            let first: HashSet<&Vec<String>> = texts.iter().take(16).collect();
            assert_eq!((first.len(), texts.len()), (16, 16), "{method:?} {seed}");
        }
    }
}
