//! Several sources, each with the tasks that it labels: their rows are those of one merged table,
//! they are drawn in the shares that were asked for, and a run goes on from any step.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Result;
use tandem::config::Config;
use tandem::config::read::from_text;
use tandem::config::write::to_toml;
use tandem::data::load::door::load;
use tandem::data::split::mixture::Mixture;
use tandem::data::{Features, Parts, SourceRows, UNLABELLED};
use tandem::fault::hint_of;
use tandem::rng::{Purpose, below, normal};
use tandem::run::checkpoint::Snapshot;
use tandem::run::machine::Machine;
use tandem::run::train::{Observer, Options, Outcome, Plan, train};

use crate::common::program::Room;
use crate::common::{Bench, whole};

/// Rows of the two sources.
const ROWS: [u64; 2] = [150, 40];

const SOURCES: &str = "
[data]
split = [1.0, 0.0, 0.0]
[[source]]
train = \"first.csv\"
tasks = [\"a\"]
[[source]]
train = \"second.csv\"
tasks = [\"b\"]
";

const MERGED: &str = "
[data]
train = \"merged.csv\"
split = [1.0, 0.0, 0.0]
";

const NET: &str = "
[trunk]
layers = [6]
[task.a]
[task.b]
type = \"regression\"
[train]
epochs = 3
batch_size = 16
";

/// The cells of a row: a number, a number that only the first source has, a category that only the
/// second has, and both labels. The second source has a label `a` that its tasks do not name.
fn cells(source: usize, row: u64) -> [String; 5] {
    let stream = 10 * source as u64;
    let number = |at: u64| format!("{:.4}", normal(5, Purpose::Synthetic, stream + at, row));
    let pick = |words: [&str; 3], at: u64| {
        words[below(3, 5, Purpose::Synthetic, stream + at, row) as usize].to_owned()
    };
    let kind = pick(["red", "green", "blue"], 3);
    [number(1), number(2), kind, pick(["yes", "no", "no"], 4), number(5)]
}

/// The files of both sources, and the table in which they are merged by hand.
fn room(head: &str) -> Room {
    let room = Room::new(&format!("{head}{NET}"));
    let (mut first, mut second) = ("x,y,a\n".to_owned(), "kind,x,b,a\n".to_owned());
    let mut merged = "x,y,a,kind,b\n".to_owned();
    for row in 0..ROWS[0] {
        let [x, y, _, a, _] = cells(0, row);
        writeln!(first, "{x},{y},{a}").unwrap();
        writeln!(merged, "{x},{y},{a},,").unwrap();
    }
    for row in 0..ROWS[1] {
        let [x, _, kind, a, b] = cells(1, row);
        writeln!(second, "{kind},{x},{b},{a}").unwrap();
        writeln!(merged, "{x},,,{kind},{b}").unwrap();
    }
    room.write("first.csv", first);
    room.write("second.csv", second);
    room.write("merged.csv", merged);
    room
}

fn config(room: &Room, head: &str, overrides: &[&str]) -> Config {
    let overrides: Vec<String> = overrides.iter().map(|o| o.to_string()).collect();
    from_text(&format!("{head}{NET}"), "net.toml", &room.path(""), &overrides)
        .unwrap_or_else(|e| panic!("{overrides:?}: {e}"))
}

fn parts(config: &Config) -> Parts {
    load(&config.data, &config.tasks).unwrap()
}

fn plan(room: &Room, head: &str, overrides: &[&str]) -> Plan {
    let config = config(room, head, overrides);
    let parts = parts(&config);
    Plan::new(config, parts).unwrap()
}

fn numbers(features: &Features) -> Vec<u32> {
    match features {
        Features::F32(values) => values.iter().map(|x| x.to_bits()).collect(),
        Features::Cells { values, .. } => values.clone(),
        Features::Stored(stored) => stored.fetch(0..stored.rows).unwrap(),
        Features::U8 { .. } => unreachable!(),
    }
}

#[test]
fn rows_of_sources_are_those_of_the_merged_table() {
    let room = room(SOURCES);
    let [own, merged] = [SOURCES, MERGED].map(|head| parts(&config(&room, head, &[])));
    assert_eq!(own.train.rows as u64, ROWS[0] + ROWS[1]);
    assert!(numbers(&own.train.features) == numbers(&merged.train.features));
    assert_eq!(own.train.labels, merged.train.labels);
    assert_eq!(own.schema.input, merged.schema.input);
    assert_eq!(own.schema.targets, merged.schema.targets);
    // The first source has no label b, and the labels a of the second are not read.
    let blank = |task: usize| own.train.labels[task].iter().filter(|l| **l == UNLABELLED).count();
    assert_eq!([blank(0) as u64, blank(1) as u64], [ROWS[1], ROWS[0]]);
    let of = |parts: &Parts| -> Vec<(String, usize)> {
        parts.sources.iter().map(|source| (source.name.clone(), source.rows)).collect()
    };
    assert_eq!(of(&own), [("first".to_owned(), 150), ("second".to_owned(), 40)]);
    let told = own.notices.iter().any(|notice| {
        notice
            == "source \"second\": the labels in \"a\" are not read, since its tasks do not \
                   name them"
    });
    assert!(told, "{:?}", own.notices);
}

#[test]
fn gradients_of_a_batch_are_those_of_the_merged_table() {
    let room = room(SOURCES);
    let [mut own, mut merged] =
        [SOURCES, MERGED].map(|head| Bench::new(plan(&room, head, &[]), &whole()));
    let order = own.plan.order(0);
    assert_eq!(order, merged.plan.order(0), "proportional is the shuffled union");
    let parameters = own.random_parameters(3);
    for step in 0..own.plan.steps_per_epoch {
        let gradients = [&mut own, &mut merged].map(|bench| {
            let buffer = bench.built.buffers.order;
            tandem::schedule::Engine::upload(&mut bench.engine, buffer, 0, &order).unwrap();
            let first = step as usize * 16;
            let rows = (order.len() - first).min(16);
            bench.train(&parameters, &bench.step(step, first, rows));
            bench.gradients()
        });
        let [own, merged] = gradients;
        assert!(own.iter().any(|x| x.abs() > 1e-3), "no gradient");
        let gap = own.iter().zip(&merged).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(gap <= 1e-6, "step {step}: {gap}");
    }
}

#[test]
fn a_thousand_steps_have_the_shares_that_were_asked_for() {
    let rows = vec![900, 100, 37];
    let total: usize = rows.iter().sum();
    let firsts = [0, 900, 1000];
    for weights in [[1.0, 1.0, 1.0], [5.0, 2.0, 1.0], [1.0, 30.0, 3.0], [0.9, 0.1, 0.037]] {
        let mixture = Mixture::new(rows.clone(), &weights);
        let asked = weights.map(|weight| weight / weights.iter().sum::<f64>());
        let (mut counts, mut seen) = ([0usize; 3], vec![0usize; total]);
        let (mut steps, mut epoch) = (0, 0);
        while steps < 1000 {
            let order = mixture.order(7, epoch, None);
            assert_eq!(order.len(), total);
            assert_eq!(order, mixture.order(7, epoch, None), "a function of seed and epoch");
            assert_ne!(order, mixture.order(8, epoch, None));
            let mut before = [0usize; 3];
            for batch in order.chunks(32).take(1000 - steps) {
                for &row in batch {
                    let source = firsts.iter().filter(|first| **first <= row as usize).count() - 1;
                    counts[source] += 1;
                    before[source] += 1;
                    seen[row as usize] += 1;
                }
                steps += 1;
                // Every stretch from the beginning of an epoch has these shares, up to a few rows.
                let taken: usize = before.iter().sum();
                for source in 0..3 {
                    let gap = before[source] as f64 - asked[source] * taken as f64;
                    assert!(gap.abs() <= 4.0, "{weights:?}: step {steps}: {before:?}");
                }
            }
            epoch += 1;
        }
        let drawn: usize = counts.iter().sum();
        for source in 0..3 {
            let share = counts[source] as f64 / drawn as f64;
            assert!((share - asked[source]).abs() <= 0.01, "{weights:?}: {share}");
            // A source is walked through as a whole before it begins again.
            let end = firsts.get(source + 1).copied().unwrap_or(total);
            let times = &seen[firsts[source]..end];
            assert!(times.iter().max().unwrap() - times.iter().min().unwrap() <= 1);
        }
    }
}

#[test]
fn every_way_of_sampling_gives_its_shares() {
    let room = room(SOURCES);
    let share = |overrides: &[&str]| -> f64 {
        let plan = plan(&room, SOURCES, overrides);
        let order: Vec<u32> = (0..20).flat_map(|epoch| plan.order(epoch)).collect();
        assert_eq!(order.len() as u64, 20 * (ROWS[0] + ROWS[1]));
        order.iter().filter(|row| u64::from(**row) < ROWS[0]).count() as f64 / order.len() as f64
    };
    let roots = [150f64.sqrt(), 40f64.sqrt()];
    for (overrides, expected) in [
        (&[][..], 150.0 / 190.0),
        (&["data.sampling=proportional"], 150.0 / 190.0),
        (&["data.sampling=equal"], 0.5),
        (&["data.sampling={ temperature = 2 }"], roots[0] / (roots[0] + roots[1])),
        (&["source.1.weight=3"], 0.25),
        (&["source.0.weight=1.5", "source.1.weight=0.5"], 0.75),
    ] {
        let found = share(overrides);
        assert!((found - expected).abs() < 0.005, "{overrides:?}: {found}");
    }
}

/// Keeps the snapshots of a run.
#[derive(Default)]
struct Tape(Vec<Arc<Snapshot>>);

impl Observer for Tape {
    fn wants_checkpoints(&self) -> bool {
        true
    }

    fn checkpoint(&mut self, snapshot: &Arc<Snapshot>) -> Result<()> {
        self.0.push(Arc::clone(snapshot));
        Ok(())
    }
}

fn run(plan: &Plan, resume: Option<Snapshot>, at_once: usize) -> (Outcome, Tape) {
    let mut tape = Tape::default();
    let steps_per_submission = Some(at_once);
    let options = Options { resume, steps_per_submission, ..Options::default() };
    let outcome = train(plan, Machine::Reference, options, &mut tape).unwrap();
    (outcome, tape)
}

#[test]
fn a_run_of_several_sources_goes_on_from_every_step() {
    let room = room(SOURCES);
    let bits =
        |outcome: &Outcome| -> Vec<u32> { outcome.last.iter().map(|x| x.to_bits()).collect() };
    for sampling in [&["data.sampling=equal"][..], &["source.1.weight=2", "trunk.dropout=0.2"]] {
        let plan = plan(&room, SOURCES, &[sampling, &["train.checkpoint_every=1s"]].concat());
        let (outcome, tape) = run(&plan, None, 3);
        assert!(tape.0.iter().map(|s| s.steps).eq(1..=plan.total_steps), "a checkpoint a step");
        for snapshot in &tape.0 {
            let at_once = 1 + snapshot.steps as usize % 5;
            let (again, _) = run(&plan, Some((**snapshot).clone()), at_once);
            assert!(bits(&again) == bits(&outcome), "after a pause at step {}", snapshot.steps);
        }
    }
}

#[test]
fn each_source_is_split_by_the_numbers_of_its_own_rows() {
    let head = SOURCES.replace("split = [1.0, 0.0, 0.0]", "split = [0.6, 0.2, 0.2]");
    let room = room(&head);
    let own = parts(&config(&room, &head, &[]));
    // The split of a table of 40 rows alone.
    let alone = "[data]\ntrain = \"second.csv\"\nsplit = [0.6, 0.2, 0.2]\nignore = [\"a\"]\n";
    let net = "[task.b]\ntype = \"regression\"\nscale = \"none\"";
    let alone = from_text(&format!("{alone}{net}"), "net.toml", &room.path(""), &[]).unwrap();
    let alone = parts(&alone);
    let labelled = |labels: &[u32]| labels.iter().filter(|l| **l != UNLABELLED).count();
    for (own, alone) in [(&own.valid, &alone.valid), (&own.test, &alone.test)] {
        let (own, alone) = (own.as_ref().unwrap(), alone.as_ref().unwrap());
        assert_eq!(labelled(&own.labels[1]), alone.rows);
    }
    assert_eq!(own.sources[1].rows, alone.train.rows);
    let rows = [&own.train, own.valid.as_ref().unwrap(), own.test.as_ref().unwrap()];
    assert_eq!(rows.iter().map(|part| part.rows as u64).sum::<u64>(), ROWS[0] + ROWS[1]);
}

#[test]
fn a_source_with_files_of_its_own_is_not_split() {
    let head = SOURCES.replace("split = [1.0, 0.0, 0.0]\n", "").replace(
        "tasks = [\"b\"]",
        "tasks = [\"b\"]\nvalid = \"more.csv\"\ntest = [\"more.csv\", \"other.csv\"]",
    );
    let room = room(&head);
    room.write("more.csv", "b,x,kind\n0.5,1.5,red\n,1.25,green\n");
    room.write("other.csv", "b,x,kind\n0.25,-1.5,blue\n");
    let config = config(&room, &head, &[]);
    assert_eq!(config.data.split, Some([0.8, 0.1, 0.1]));
    let found = parts(&config);
    assert_eq!(found.sources[1].rows as u64, ROWS[1], "all of it trains");
    let [valid, test] = [found.valid.as_ref().unwrap(), found.test.as_ref().unwrap()];
    let labelled = |labels: &[u32]| labels.iter().filter(|l| **l != UNLABELLED).count();
    assert_eq!((labelled(&valid.labels[1]), labelled(&test.labels[1])), (1, 2));
    assert!(labelled(&valid.labels[0]) > 0 && labelled(&test.labels[0]) > 0);
    // What is written reads back as the same.
    let text = to_toml(&config);
    let again = from_text(&text, "config.toml", std::path::Path::new("/"), &[]).unwrap();
    assert_eq!(again, config);
    assert_eq!(numbers(&parts(&again).train.features), numbers(&found.train.features));
}

#[test]
fn sources_that_go_to_disk_have_the_rows_that_they_have_in_memory() {
    let head = SOURCES.replace("split = [1.0, 0.0, 0.0]", "split = [0.7, 0.2, 0.1]");
    let room = room(&head);
    let [memory, disk] =
        [&[][..], &["data.memory=12KB"]].map(|set| parts(&config(&room, &head, set)));
    assert!(disk.train.stored().is_some());
    assert_eq!((&memory.sources, memory.train.rows), (&disk.sources, disk.train.rows));
    // Columns are fitted on a sample there, so numbers are scaled otherwise; labels are the same.
    assert_eq!(memory.train.labels[0], disk.train.labels[0]);
    let rows = |parts: &Parts| parts.there().map(|(_, part)| part.rows).collect::<Vec<_>>();
    assert_eq!(rows(&memory), rows(&disk));
    let config = config(&room, &head, &["data.memory=12KB", "data.sampling=equal"]);
    let parts = load(&config.data, &config.tasks).unwrap();
    let error = Plan::new(config, parts).unwrap_err();
    assert!(error.to_string().contains("data.sampling"), "{error}");
    assert!(hint_of(&error).unwrap().contains("data.memory"));
}

#[test]
fn a_run_of_several_sources_says_what_an_epoch_is_and_predicts_without_a_column() {
    let room = room(SOURCES);
    room.train("run", &["--set", "data.sampling=equal"]).expect(0).says(&[
        "one epoch is 190 rows: \"first\" 50.0 % (150 rows, 0.63 times over), \"second\" 50.0 % \
         (40 rows, 2.38 times over)",
    ]);
    let ran = room.train("told", &["--epochs", "1"]).expect(0);
    ran.says(&[
        "source \"first\": its files lack the columns \"kind\", whose cells are blank there",
    ]);
    // A name in other letters is another column.
    let second = room.text("second.csv");
    room.write("second.csv", second.replacen('x', "X", 1));
    let ran = room.train("case", &["--epochs", "1"]).expect(0);
    ran.says(&["source \"second\"", "it has \"X\" for \"x\": give one value one name"]);
    room.write("second.csv", second);
    room.write("new.csv", "x,y\n0.5,0.25\n");
    room.write("whole.csv", "x,y,kind\n0.5,0.25,\n");
    let of = |file: &str| room.on_reference(&["predict", "run", "--data", file]).expect(0);
    let (lacking, whole) = (of("new.csv"), of("whole.csv"));
    let last =
        |out: &str| out.lines().last().unwrap().split(',').skip(3).collect::<Vec<_>>().join(",");
    let first: Vec<&str> = lacking.out.lines().last().unwrap().split(',').skip(2).collect();
    assert_eq!(first.join(","), last(&whole.out), "{lacking:?} {whole:?}");
    lacking.says(&["columns that are not there count as blank", "\"kind\""]);
    // x is in both sources.
    room.write("less.csv", "y,kind\n0.5,red\n");
    room.on_reference(&["predict", "run", "--data", "less.csv"])
        .refused(65, &["column missing: \"x\""]);
    room.write("other.csv", "z\n1\n");
    room.on_reference(&["predict", "run", "--data", "other.csv"])
        .refused(65, &["3 columns missing: \"x\", \"y\", \"kind\""]);
    room.on_reference(&["evaluate", "run", "--data", "merged.csv", "--json"]).expect(0);
    room.resume("run", &["--epochs", "4"]).expect(0);
    room.resume("run", &["--epochs", "5", "--set", "data.sampling={ temperature = 2 }"])
        .refused(78, &["data.sampling", "a run that goes on cannot change it"]);
}

/// As from the command line: the state lies in a checkpoint, and the rows are read again.
#[test]
fn a_run_of_several_sources_goes_on_from_its_files() {
    let room = room(SOURCES);
    for (name, sampling) in [("p", "proportional"), ("e", "equal"), ("t", "{ temperature = 3 }")] {
        let sampling = format!("data.sampling={sampling}");
        let (whole, part) = (format!("{name}-whole"), format!("{name}-part"));
        room.train(&whole, &["--set", &sampling]).expect(0);
        room.train(&part, &["--set", &sampling, "--max-steps", "17"]).expect(0);
        room.resume(&part, &["--max-steps", "1000"]).expect(0);
        let model = |run: &str| room.bytes(&format!("{run}/model/model.safetensors"));
        assert_eq!(model(&whole), model(&part), "{sampling}");
    }
}

#[test]
fn what_sources_cannot_be_is_refused() {
    let room = room(SOURCES);
    room.write("tokens.conll", "a\tX\n");
    let tokens = SOURCES.replace("first.csv", "tokens.conll");
    room.write("tokens.toml", format!("{tokens}{NET}"));
    room.run(&["train", "tokens.toml"]).refused(78, &["tokens.conll is a file of sentences"]);
    let whole = format!("{SOURCES}{NET}");
    let refused = |text: &str, overrides: &[&str], words: &[&str]| {
        let overrides: Vec<String> = overrides.iter().map(|o| o.to_string()).collect();
        let config = from_text(text, "net.toml", &room.path(""), &overrides);
        let error = config
            .and_then(|config| {
                load(&config.data, &config.tasks).and_then(|parts| Plan::new(config, parts))
            })
            .expect_err(&format!("{overrides:?}"));
        let hint = hint_of(&error).unwrap_or_else(|| panic!("no hint: {error}"));
        let said = format!("{error} | {hint}");
        words.iter().for_each(|word| assert!(said.contains(word), "{overrides:?} {word}: {said}"));
    };
    let set = |overrides: &[&str], words: &[&str]| refused(&whole, overrides, words);
    set(&["data.train=merged.csv"], &["data.train: has no effect", "[[source]]"]);
    set(&["data.valid=merged.csv"], &["data.valid: has no effect", "table of its source"]);
    set(&["source.0.tasks=[\"c\"]"], &["source.0.tasks: there is no task \"c\"", "known"]);
    set(&["source.0.tasks=[]"], &["source.0.tasks: names no task"]);
    set(&["source.1.tasks=[\"a\"]"], &["source: no source labels task \"b\""]);
    set(&["source.0.tasks=[\"a\", \"b\"]"], &["source.0.tasks", "\"b\" is not in", "first.csv"]);
    set(&["source.1.name=first"], &["source.1.name: \"first\" is the name of source.0 too"]);
    set(&["source.0.weight=0"], &["source.0.weight", "above 0"]);
    set(&["source.0.weight=2", "data.sampling=equal"], &["data.sampling: has no effect"]);
    set(&["source.0.weight=1e6"], &["source.1.weight", "none of source \"second\""]);
    set(&["data.sampling=evenly"], &["data.sampling: \"evenly\" is not known"]);
    set(&["data.sampling={ temperature = 0 }"], &["data.sampling.temperature"]);
    set(
        &["data.sampling=equal", "train.batch_size=full"],
        &["data.sampling", "nothing is shuffled"],
    );
    set(&["data.missing=[\"-9\"]"], &["data.missing: does not have the empty text", "add \"\""]);
    set(&["source.0.train=digits-overlay"], &["source.0.train: must be a table"]);
    set(&["source.0.train=none.csv"], &["none.csv"]);
    set(&["source.0.train=x.npy"], &["source.0.train", "no file of a format with names"]);
    let own = whole.replace("split = [1.0, 0.0, 0.0]\n", "");
    let by_column = &["source.0.valid=first.csv", "data.split_column=part"];
    refused(&own, by_column, &["data.split_column: has no effect", "files of its own"]);
    let one = format!("[[source]]\ntrain = \"merged.csv\"\ntasks = [\"a\", \"b\"]\n{NET}");
    refused(&one, &["data.sampling=equal"], &["data.sampling: has no effect", "one source"]);
    refused(&one, &["source.0.weight=2"], &["source.0.weight: has no effect"]);
    let shared = whole.replace("[task.b]", "[task.b2]\ntarget = \"a\"\n[task.b]");
    refused(&shared, &[], &["source.0.tasks: names \"a\" and not \"b2\", which read the same"]);
}

#[test]
fn a_temperature_above_one_lies_between_proportional_and_equal() {
    let rows = |rows: usize| SourceRows { name: rows.to_string(), rows, tasks: vec!["a".into()] };
    let notice = Mixture::new(vec![300, 100], &[1.0, 1.0]).notice(&[rows(300), rows(100)]);
    assert_eq!(
        notice,
        "one epoch is 400 rows: \"300\" 50.0 % (300 rows, 0.67 times over), \"100\" 50.0 % (100 \
         rows, 2.00 times over)"
    );
}
