//! Runs that are trained in the same dispatches have the bits that each has alone.

use std::sync::{Arc, Mutex};

use crate::common::{Tape, config, gpu};
use anyhow::Result;
use tandem::data::{Parts, Schema};
use tandem::device::Gpu;
use tandem::device::adapter::Wish;
use tandem::run::checkpoint::Snapshot;
use tandem::run::machine::Machine;
use tandem::run::train::point::Point;
use tandem::run::train::{Observer, Options, Outcome, Plan, train, train_with_retries};

/// Features of a row.
const WIDTH: usize = 7;

/// A plan of two tasks with equal heads. All plans have the same rows.
fn plan(tables: &str) -> Plan {
    let text = format!(
        "[task.a]\nlayers = [6]\n[task.b]\nlayers = [6]\n[train]\nepochs = 4\nbatch_size = 48\n\
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

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|n| n.to_bits()).collect()
}

/// What must be equal of two runs.
fn facts(outcome: &Outcome, told: &Tape) -> (Vec<u32>, Vec<u32>, u64, u64, String) {
    let kept: Vec<Point> =
        outcome.kept.iter().map(|p| Point { seconds: 0.0, ..p.clone() }).collect();
    let said = format!("{kept:?} {:?} {:?}", told.points, std::mem::discriminant(&outcome.ended));
    (bits(&outcome.last), bits(&outcome.best), outcome.steps, outcome.best_step, said)
}

type Facts = (Vec<u32>, Vec<u32>, u64, u64, String);

fn run(plan: &Plan, machine: Machine, options: Options) -> (Facts, Tape) {
    let mut told = Tape::default();
    let outcome = train(plan, machine, options, &mut told).unwrap();
    (facts(&outcome, &told), told)
}

/// The plans, as many at a time as there are seats.
fn together(plans: &[(Plan, Options)], seats: usize) -> Vec<(Facts, Tape)> {
    let machine = Machine::Device(Box::new(gpu().clone())).packing(seats).unwrap();
    together_on(&machine, plans, seats)
}

fn together_on(machine: &Machine, plans: &[(Plan, Options)], seats: usize) -> Vec<(Facts, Tape)> {
    let next = Mutex::new(0);
    let mut found: Vec<(usize, (Facts, Tape))> = std::thread::scope(|scope| {
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

fn alone(plan: &Plan, options: &Options) -> (Facts, Tape) {
    run(plan, Machine::Device(Box::new(gpu().clone())), options.clone())
}

/// Runs that differ in all that runs of one list of dispatches may differ in.
fn many() -> Vec<Plan> {
    let widths = [16, 12, 5, 33];
    (0..20)
        .map(|i| {
            let dropout = [0.0, 0.2, 0.4][i % 3];
            let rate = if i % 4 == 1 { 0.5 } else { 1e-3 * (1 + i) as f64 };
            let strength = 0.05 * (1 + i % 5) as f64;
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
    let machine = Machine::Device(Box::new(gpu().clone())).packing(16).unwrap();
    let found = together_on(&machine, &plans, 16);
    // Runs that wait for each other go together.
    let shared = machine.runs_per_step().unwrap();
    assert!(shared > 1.0, "{shared} runs per step");
    let mut stopped = 0;
    for (i, ((plan, options), (facts, _))) in plans.iter().zip(&found).enumerate() {
        let (expected, _) = alone(plan, options);
        assert!(*facts == expected, "run {i}: {:?}\n{:?}", facts.4, expected.4);
        stopped += usize::from(facts.2 < plan.total_steps);
    }
    assert!(stopped > 0, "no run stopped early");
}

#[test]
fn a_run_goes_on_beside_others_from_a_checkpoint_of_a_run_alone() {
    let plans = many();
    let whole: Vec<Facts> = plans.iter().take(4).map(|p| alone(p, &Options::default()).0).collect();
    let first: Vec<(Plan, Options)> = plans
        .iter()
        .take(4)
        .map(|plan| {
            let until = Some(plan.steps_per_epoch + 3);
            (plan.clone(), Options { until, ..Options::default() })
        })
        .collect();
    // Two were alone, and two beside each other; then all are together.
    let mut before: Vec<Tape> = first[..2].iter().map(|(p, o)| alone(p, o).1).collect();
    before.extend(together(&first[2..], 2).into_iter().map(|(_, told)| told));
    let rest: Vec<(Plan, Options)> = plans
        .iter()
        .zip(&before)
        .map(|(plan, told)| {
            let resume = told.snapshots.last().map(|snapshot| (**snapshot).clone());
            assert!(resume.as_ref().is_some_and(|s| s.steps > 0), "no checkpoint");
            (plan.clone(), Options { resume, ..Options::default() })
        })
        .collect();
    for (i, (whole, (found, _))) in whole.iter().zip(together(&rest, 4)).enumerate() {
        assert!(whole.0 == found.0 && whole.1 == found.1, "run {i}");
        assert_eq!((whole.2, whole.3), (found.2, found.3), "run {i}");
    }
}

/// Runs of other dispatches, and with more members than seats.
#[test]
fn runs_of_several_kinds_share_a_pack() {
    let tables = [
        "[trunk]\nlayers = [16]\n",
        "[trunk]\nlayers = [16, 8]\n",
        "[trunk]\nlayers = [16]\nactivation = \"tanh\"\n",
        "[architecture]\nkind = \"mmoe\"\nexperts = 3\n[trunk]\nlayers = [12]\n",
        "[balance]\nmethod = \"pcgrad\"\n[trunk]\nlayers = [16]\n",
        "[optimizer]\nkind = \"sgd\"\nlearning_rate = 1e-2\n[trunk]\nlayers = [16]\n",
    ];
    let plans: Vec<(Plan, Options)> = (0..12)
        .map(|i| (plan(&format!("seed = {i}\n{}", tables[i % 6])), Options::default()))
        .collect();
    let found = together(&plans, 5);
    for (i, ((plan, options), (facts, _))) in plans.iter().zip(&found).enumerate() {
        let (expected, _) = alone(plan, options);
        assert!(*facts == expected, "run {i}: {:?}\n{:?}", facts.4, expected.4);
    }
}

/// A value that is not finite ends one run and no other, also where it goes back or skips a step.
#[test]
fn a_broken_run_does_not_touch_the_others() {
    let with = |more: &str, rate: &str| {
        plan(&format!("{more}[optimizer]\nlearning_rate = {rate}\n[trunk]\nlayers = [16]\n"))
    };
    let plans: Vec<(Plan, Options)> = [
        with("", "1e-2"),
        with("on_nan = \"stop\"\n", "1e30"),
        with("on_nan = \"skip\"\n", "1e30"),
        with("on_nan = \"rollback\"\n", "1e30"),
        with("seed = 4\n", "1e-3"),
    ]
    .map(|plan| (plan, Options::default()))
    .into();
    let found = together(&plans, 5);
    for (i, ((plan, options), (facts, _))) in plans.iter().zip(&found).enumerate() {
        let (expected, _) = alone(plan, options);
        assert!(*facts == expected, "run {i}: {:?}\n{:?}", facts.4, expected.4);
    }
}

/// Data and tables that fit once are shared; where other data finds no room, its run is alone.
#[test]
fn what_finds_no_room_runs_alone() {
    let plans: Vec<(Plan, Options)> =
        many().into_iter().take(3).map(|plan| (plan, Options::default())).collect();
    let machine = Machine::Device(Box::new(gpu().clone())).packing(1).unwrap();
    std::thread::scope(|scope| {
        let runs: Vec<_> = plans
            .iter()
            .map(|(plan, options)| {
                let machine = machine.clone();
                scope.spawn(move || run(plan, machine, options.clone()).0)
            })
            .collect();
        for ((plan, options), found) in plans.iter().zip(runs) {
            assert!(found.join().unwrap() == alone(plan, options).0);
        }
    });
}

/// Destroys its device after some steps, once, where it has one; keeps the last snapshot.
struct Destroyer {
    gpu: Option<Gpu>,
    last: Option<Arc<Snapshot>>,
    losses: usize,
}

impl Observer for Destroyer {
    fn point(&mut self, point: &Point) -> Result<()> {
        if point.step > 12
            && let Some(gpu) = self.gpu.take()
        {
            gpu.destroy();
        }
        Ok(())
    }

    fn wants_checkpoints(&self) -> bool {
        true
    }

    fn checkpoint(&mut self, snapshot: &Arc<Snapshot>) -> Result<()> {
        self.last = Some(Arc::clone(snapshot));
        Ok(())
    }

    fn lost(&mut self, _: &anyhow::Error) -> Result<Option<Snapshot>> {
        self.losses += 1;
        Ok(self.last.as_deref().cloned())
    }
}

/// All members of a pack hear of the loss of their device, and go on with devices of their own.
#[test]
fn all_members_go_on_after_their_device_was_lost() {
    let own = crate::common::open(&Wish::default());
    let machine = Machine::Device(Box::new(own.clone())).packing(4).unwrap();
    let plans: Vec<Plan> = many().into_iter().take(4).collect();
    let losses: usize = std::thread::scope(|scope| {
        let runs: Vec<_> = plans
            .iter()
            .enumerate()
            .map(|(i, plan)| {
                let (machine, gpu) = (machine.clone(), (i == 2).then(|| own.clone()));
                scope.spawn(move || {
                    let mut watch = Destroyer { gpu, last: None, losses: 0 };
                    let open = || {
                        let gpu = crate::common::open(&Wish::default());
                        Ok(Machine::Device(Box::new(gpu)))
                    };
                    let (options, mut open) = (Options::default(), open);
                    let ended =
                        train_with_retries(plan, machine, options, 1, &mut open, &mut watch);
                    (ended.unwrap(), watch.losses)
                })
            })
            .collect();
        let ended: Vec<(Outcome, usize)> =
            runs.into_iter().map(|run| run.join().unwrap()).collect();
        for ((outcome, _), plan) in ended.iter().zip(&plans) {
            let (whole, _) = alone(plan, &Options::default());
            assert!(bits(&outcome.last) == whole.0 && bits(&outcome.best) == whole.1);
        }
        ended.iter().map(|(_, losses)| losses).sum()
    });
    assert!(losses >= 2, "{losses} runs have lost their device");
}
