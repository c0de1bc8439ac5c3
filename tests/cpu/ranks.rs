//! Several ranks give the bits of one.

use std::num::NonZero;
use std::time::{Duration, Instant};

use crate::common::ranks::{Odd, elsewhere, on_ranks};
use crate::common::{Tape, config, synthetic};
use tandem::cpu::Threads;
use tandem::data::{Dataset, Features, Parts, Schema, UNLABELLED};
use tandem::fault::{Exit, FaultKind, exit_of, kind_of};
use tandem::ranks::{Patience, end, local, look_around, serve};
use tandem::run::machine::{Machine, Processor};
use tandem::run::train::point::Point;
use tandem::run::train::{Options, Outcome, Plan, train};

const WIDTH: usize = 7;
const PATIENCE: Duration = Duration::from_secs(60);

fn plan(tables: &str, train: &str) -> Plan {
    plan_on(tables, train, |features| features)
}

/// Makes features of another kind.
type Turned = fn(Features) -> Features;

/// A plan on features of another kind.
fn plan_on(tables: &str, train: &str, turned: Turned) -> Plan {
    let epochs = if train.contains("epochs") { "" } else { "epochs = 3" };
    let text = format!(
        "[task.a]\nlayers = [6]\n[task.b]\nlayers = [6]\n[task.c]\n\
         [train]\n{epochs}\nbatch_size = 48\nlog_every = \"1s\"\n{train}\n{tables}"
    );
    let config = config(&text);
    let names = ["0", "1", "2", "3"];
    let tasks: Vec<(&str, &[&str])> =
        config.tasks.iter().map(|t| (t.name.as_str(), &names[..])).collect();
    let schema = Schema::for_arrays(WIDTH, &tasks);
    let part = |seed: u64, rows: usize| {
        let mut part = synthetic(seed, rows, WIDTH, &[4, 4, 4]);
        // Blanks: denominators are those of whole batches.
        part.labels[1].iter_mut().step_by(3).for_each(|label| *label = UNLABELLED);
        Dataset { features: turned(part.features), ..part }
    };
    let parts = Parts::new(schema, part(1, 400), Some(part(2, 90)), Some(part(3, 70))).unwrap();
    Plan::new(config, parts).unwrap()
}

fn cpu() -> Machine {
    let threads = Threads::new(Some(NonZero::<usize>::MIN)).unwrap();
    Machine::Cpu(Processor { threads, reason: "a test".into() })
}

type Facts = (Vec<u32>, Vec<u32>, String);

fn facts(outcome: &Outcome, told: &Tape) -> Facts {
    let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect();
    let kept: Vec<Point> =
        outcome.kept.iter().map(|p| Point { seconds: 0.0, ..p.clone() }).collect();
    let said = format!("{kept:?} {:?} {:?}", told.points, std::mem::discriminant(&outcome.ended));
    (bits(&outcome.last), bits(&outcome.best), said)
}

fn ranks(plan: &Plan, count: usize) -> Facts {
    ranks_with(plan, count, Options::default(), Odd::None)
}

fn ranks_with(plan: &Plan, count: usize, options: Options, odd: Odd) -> Facts {
    let mut told = Tape::default();
    let machines = (0..count).map(|_| cpu()).collect();
    let (outcome, ended, spent) = on_ranks(plan, machines, options, &mut told, (PATIENCE, odd));
    for (rank, ended) in (1..).zip(ended) {
        assert_eq!(ended.unwrap(), 0, "rank {rank} of {count}");
    }
    assert_eq!(spent.exchanges > 0, count > 1);
    facts(&outcome.unwrap(), &told)
}

/// The error of a training with something odd about the other ranks.
fn error(patience: Duration, odd: Odd) -> anyhow::Error {
    let (plan, machines) = (plan("", "epochs = 20\nshards = 8"), vec![cpu(), cpu()]);
    let options = Options { steps_per_submission: Some(1), ..Options::default() };
    let patience = (patience, odd);
    on_ranks(&plan, machines, options, &mut Tape::default(), patience).0.unwrap_err()
}

#[test]
fn a_rank_that_goes_astray_is_named() {
    let found = error(PATIENCE, Odd::Bit);
    assert_eq!(exit_of(&found), Exit::Config);
    let said = "after step 50 rank 1 had other parameters than rank 0";
    assert_eq!(format!("{found:#}"), said);
}

#[test]
fn a_rank_that_hangs_is_named() {
    let found = error(Duration::from_secs(1), Odd::Slow(7));
    assert_eq!(exit_of(&found), Exit::Internal);
    assert_eq!(format!("{found:#}"), "rank 1 has not answered for 1 s");
    assert_eq!(kind_of(&found), FaultKind::Gone);
}

/// A process that was stopped itself, and goes on, blames no other one for that time.
#[test]
fn a_rank_that_was_stopped_begins_to_wait_anew() {
    let patience = Duration::from_millis(400);
    let net = local(2, patience).remove(0);
    let mut wait = Patience::default();
    let missing = || vec![1];
    wait.wait(&*net, missing).unwrap();
    std::thread::sleep(2 * patience);
    wait.wait(&*net, missing).unwrap();
    let begun = Instant::now();
    while wait.wait(&*net, missing).is_ok() {}
    assert!(begun.elapsed() >= patience / 2, "given up after {:?}", begun.elapsed());
    assert!(net.lost().has(1));
}

/// A rank that dies while it has nothing to do is noticed in the end: nobody waits for it.
#[test]
fn a_rank_that_died_unnoticed_is_found_in_the_end() {
    let mut nets = local(3, PATIENCE).into_iter();
    let leader = nets.next().unwrap();
    let lives = nets.next().unwrap();
    drop(nets);
    std::thread::scope(|scope| {
        let lives = scope.spawn(move || {
            let code = serve(&lives, &mut |_| panic!("there is no program")).unwrap();
            (code, lives.lost().is_empty())
        });
        let gone: Vec<String> = look_around(&*leader).iter().map(ToString::to_string).collect();
        assert_eq!(gone, ["rank 2 has gone"]);
        end(&*leader, 0);
        // The others hear of it.
        assert_eq!(lives.join().unwrap(), (0, false));
    });
}

/// A run that another rank has for itself, to its end or until that rank dies.
#[test]
fn a_run_elsewhere_has_its_own_bits() {
    let plan = plan("[trunk]\nlayers = [12]\ndropout = 0.2", "");
    let alone = {
        let mut told = Tape::default();
        let outcome = train(&plan, cpu(), Options::default(), &mut told).unwrap();
        facts(&outcome, &told)
    };
    for odd in [Odd::None, Odd::Dies(1), Odd::Dies(4)] {
        let mut told = Tape::default();
        let outcome = elsewhere(&plan, cpu(), &mut told, odd).unwrap();
        let found = facts(&outcome, &told);
        assert!((&found.0, &found.1) == (&alone.0, &alone.1), "{odd:?}: parameters differ");
        assert!(odd != Odd::None || found == alone, "figures differ");
    }
}

/// Trainings that differ in what is summed over a batch.
const KINDS: [(&str, &str, &str); 13] = [
    ("many parameters", "[trunk]\nlayers = [2000]", ""),
    (
        "dropout, clipping, couplings",
        "[trunk]\nlayers = [12]\ndropout = 0.2\n\
      [optimizer]\nclip_norm = 1.0\n[[coupling]]\nkind = \"agreement\"\nstrength = 0.3\n\
      [[coupling]]\nkind = \"soft_sharing\"\nstrength = 0.1",
        "",
    ),
    ("parts", "", "accumulate = 16"),
    ("mmoe", "[architecture]\nkind = \"mmoe\"\nexperts = 3", ""),
    ("ple", "[architecture]\nkind = \"ple\"", ""),
    ("uncertainty", "[balance]\nmethod = \"uncertainty\"", ""),
    ("dwa", "[balance]\nmethod = \"dwa\"", ""),
    ("pcgrad", "[balance]\nmethod = \"pcgrad\"", ""),
    ("mgda on planes", "[balance]\nmethod = \"mgda\"\nspace = \"representation\"", ""),
    ("nash_mtl, observed", "[balance]\nmethod = \"nash_mtl\"\nobserve = 3\nevery = 2", ""),
    ("gradnorm", "[balance]\nmethod = \"gradnorm\"", ""),
    ("famo", "[balance]\nmethod = \"famo\"", ""),
    ("db_mtl", "[balance]\nmethod = \"db_mtl\"", ""),
];

#[test]
fn any_number_of_ranks_gives_the_same_bits() {
    for (name, tables, train) in KINDS {
        let plan = plan(tables, &format!("shards = 8\n{train}"));
        let one = ranks(&plan, 1);
        for count in [2, 4, 8] {
            let found = ranks(&plan, count);
            assert!(found.0 == one.0, "{name}: parameters differ on {count} ranks");
            assert!(found == one, "{name}: figures differ on {count} ranks");
        }
    }
}

/// Where rows are streamed a rank gets those of its shards, and no others.
#[test]
fn streamed_rows_go_to_the_ranks_that_need_them() {
    let bytes = |features: Features| {
        let Features::F32(values) = features else { panic!("no numbers") };
        let values = values.iter().map(|x| (100.0 + 20.0 * x) as u8).collect();
        Features::U8 { values, scale: 0.01 }
    };
    // Rows of seven bytes begin within words.
    let kinds: [(&str, Turned, usize); 2] = [("f32", |features| features, 28), ("u8", bytes, 7)];
    for (name, turned, row) in kinds {
        let plan = plan_on("", "shards = 8", turned);
        let resident = ranks(&plan, 1);
        // Several steps at once, and one; in the end each part is evaluated in several pieces.
        for (steps, bytes) in [(3, 3 * 48 * (row as u64 + 16)), (1, 1)] {
            let streamed = |count: usize| {
                let steps_per_submission = Some(steps);
                let options =
                    Options { streamed: Some(bytes), steps_per_submission, ..Options::default() };
                let most = (48 / count * row).div_ceil(4) + 1;
                ranks_with(&plan, count, options, Odd::Narrow(most))
            };
            // Pieces are others than where rows are resident.
            let one = streamed(1);
            for count in [2, 4, 8] {
                let found = streamed(count);
                assert!(found.0 == resident.0, "{name}: parameters differ on {count} ranks");
                assert!(found == one, "{name}: figures differ on {count} ranks");
            }
        }
    }
}

/// The sums of shards are those of the batch, up to rounding.
#[test]
fn shards_change_the_order_of_additions_alone() {
    for (name, tables, more) in KINDS {
        let last = |shards: usize| {
            let plan = plan(tables, &format!("max_steps = 3\nshards = {shards}\n{more}"));
            train(&plan, cpu(), Options::default(), &mut Tape::default()).unwrap().last
        };
        let (one, eight) = (last(1), last(8));
        let far = one.iter().zip(&eight).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(far < 2e-4, "{name}: {far}");
        assert!(one != eight, "{name}: nothing was cut");
    }
}
