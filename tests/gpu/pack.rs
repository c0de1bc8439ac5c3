//! Runs that are trained in the same dispatches have the bits that each has alone.

use std::sync::{Arc, Mutex};

use crate::common::{config, gpu};
use anyhow::Result;
use tandem::data::{Parts, Schema};
use tandem::run::checkpoint::Snapshot;
use tandem::run::machine::Machine;
use tandem::run::train::point::Point;
use tandem::run::train::{Observer, Options, Outcome, Plan, train};

/// Features of a row.
const WIDTH: usize = 7;

/// A plan of two tasks with equal heads. All plans have the same rows.
fn plan(tables: &str) -> Plan {
    let text = format!(
        "[task.a]\nlayers = [6]\n[task.b]\nlayers = [6]\n[train]\nepochs = 3\nbatch_size = 48\n\
         log_every = \"1s\"\n{tables}"
    );
    let config = config(&text);
    let names = ["0", "1", "2", "3"];
    let tasks: Vec<(&str, &[&str])> =
        config.tasks.iter().map(|t| (t.name.as_str(), &names[..])).collect();
    let schema = Schema::for_arrays(WIDTH, &tasks);
    let part = |seed: u64, rows: usize| crate::common::synthetic(seed, rows, WIDTH, &[4, 4]);
    let parts = Parts::new(schema, part(1, 400), Some(part(2, 90)), Some(part(3, 70))).unwrap();
    Plan::new(config, parts).unwrap()
}

/// What a run tells, without the seconds, which differ from run to run.
#[derive(Default)]
struct Told {
    points: Vec<Point>,
    snapshots: Vec<Arc<Snapshot>>,
}

impl Observer for Told {
    fn point(&mut self, point: &Point) -> Result<()> {
        self.points.push(Point { seconds: 0.0, ..point.clone() });
        Ok(())
    }

    fn wants_checkpoints(&self) -> bool {
        true
    }

    fn checkpoint(&mut self, snapshot: &Arc<Snapshot>) -> Result<()> {
        self.snapshots.push(Arc::clone(snapshot));
        Ok(())
    }
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|n| n.to_bits()).collect()
}

/// What must be equal of two runs.
fn facts(outcome: &Outcome, told: &Told) -> (Vec<u32>, Vec<u32>, u64, u64, String) {
    let kept: Vec<Point> =
        outcome.kept.iter().map(|p| Point { seconds: 0.0, ..p.clone() }).collect();
    let said = format!("{kept:?} {:?} {:?}", told.points, std::mem::discriminant(&outcome.ended));
    (bits(&outcome.last), bits(&outcome.best), outcome.steps, outcome.best_step, said)
}

type Facts = (Vec<u32>, Vec<u32>, u64, u64, String);

fn run(plan: &Plan, machine: Machine, options: Options) -> (Facts, Told) {
    let mut told = Told::default();
    let outcome = train(plan, machine, options, &mut told).unwrap();
    (facts(&outcome, &told), told)
}

/// The plans, as many at a time as there are seats.
fn together(plans: &[(Plan, Options)], seats: usize) -> Vec<(Facts, Told)> {
    let machine = Machine::Device(Box::new(gpu().clone())).packing(seats).unwrap();
    let next = Mutex::new(0);
    let mut found: Vec<(usize, (Facts, Told))> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..seats)
            .map(|_| {
                scope.spawn(|| {
                    let mut found = Vec::new();
                    loop {
                        let i = {
                            let mut next = next.lock().unwrap();
                            *next += 1;
                            *next - 1
                        };
                        let Some((plan, options)) = plans.get(i) else { return found };
                        found.push((i, run(plan, machine.clone(), options.clone())));
                    }
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    found.sort_by_key(|(i, _)| *i);
    found.into_iter().map(|(_, found)| found).collect()
}

fn alone(plan: &Plan, options: &Options) -> (Facts, Told) {
    run(plan, Machine::Device(Box::new(gpu().clone())), options.clone())
}

/// Runs that differ in all that runs of one list of dispatches may differ in.
fn many() -> Vec<Plan> {
    let widths = [16, 12, 5, 33];
    (0..20)
        .map(|i| {
            let dropout = [0.0, 0.2, 0.4][i % 3];
            let (rate, strength) = (1e-3 * (1 + i) as f64, 0.05 * (1 + i % 5) as f64);
            let patience = if i % 4 == 1 { "patience = 1\n" } else { "" };
            plan(&format!(
                "seed = {i}\n{patience}[optimizer]\nlearning_rate = {rate}\nclip_norm = {}\n\
                 weight_decay = {}\n[trunk]\nlayers = [{}]\ndropout = {dropout}\n\
                 [[coupling]]\nkind = \"agreement\"\nstrength = {strength}\n",
                1.0 + i as f64,
                0.01 * i as f64,
                widths[i % 4],
            ))
        })
        .collect()
}

#[test]
fn members_have_the_bits_that_they_have_alone() {
    let plans: Vec<(Plan, Options)> =
        many().into_iter().map(|plan| (plan, Options::default())).collect();
    let found = together(&plans, 16);
    let mut stopped = 0;
    for (i, ((plan, options), (facts, _))) in plans.iter().zip(&found).enumerate() {
        let (expected, _) = alone(plan, options);
        assert!(*facts == expected, "run {i}: {:?}\n{:?}", facts.4, expected.4);
        stopped += usize::from(facts.2 < plan.total_steps);
    }
    assert!(stopped > 0, "no run stopped early");
}
