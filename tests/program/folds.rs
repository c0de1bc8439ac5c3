//! `train --k-fold N`: which rows are in which fold, which files a run over the folds leaves, and
//! which settings it refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tandem::config::read::from_file;
use tandem::data::load::door::load;
use tandem::data::{Dataset, Parts};
use tandem::rng::{Purpose, below, normal};
use tempfile::TempDir;

const ROWS: u64 = 150;
/// The group of a row is its number modulo this.
const GROUPS: u64 = 12;

/// The number of a row is an unscaled feature, so that the data of a part shows which rows it has.
const NET: &str = "
[data]
train = \"rows.csv\"
ignore = [\"g\", \"w\"]
[feature.id]
type = \"numeric\"
scale = \"none\"
clip = 0
[trunk]
layers = [4]
[task.colour]
[task.price]
type = \"regression\"
[optimizer]
learning_rate = 1e-3
[train]
epochs = 2
batch_size = 32
";

/// The exit code and the output of a process.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: std::process::Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn expect(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }
}

/// A directory with data and a configuration.
struct Room(TempDir);

impl Room {
    fn new() -> Room {
        let room = Room(tempfile::tempdir().unwrap());
        let line = |row: u64| {
            let colour = ["red", "green", "blue"][below(3, 1, Purpose::Synthetic, 0, row) as usize];
            let x = normal(1, Purpose::Synthetic, 1, row);
            let (price, weight) = (2.0 * x + normal(1, Purpose::Synthetic, 2, row), 1 + row % 3);
            format!("{row},{x:.3},{colour},{price:.3},{weight},g{}\n", row % GROUPS)
        };
        let text = "id,x,colour,price,w,g\n".to_owned() + &(0..ROWS).map(line).collect::<String>();
        fs::write(room.path("rows.csv"), text).unwrap();
        fs::write(room.path("net.toml"), NET).unwrap();
        room
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
        command
            .current_dir(self.0.path())
            .args(args)
            .args(["--device", "reference"])
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// The rows of each part, by the configuration with some keys set.
    fn parts(&self, keys: &[&str]) -> [BTreeSet<u64>; 3] {
        let keys: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
        parts_of(&self.path("net.toml"), &keys)
    }

    /// The rows of each part of each fold.
    fn folds(&self, folds: usize, keys: &[&str]) -> Vec<[BTreeSet<u64>; 3]> {
        let number = format!("data.folds={folds}");
        (1..=folds)
            .map(|fold| {
                self.parts(&[&[number.as_str(), &format!("data.fold={fold}")], keys].concat())
            })
            .collect()
    }
}

/// The row numbers of each part.
fn parts_of(path: &Path, keys: &[String]) -> [BTreeSet<u64>; 3] {
    let config = from_file(path, keys).unwrap();
    let Parts { train, valid, test, .. } = load(&config.data, &config.tasks).unwrap();
    let rows = |data: &Dataset| -> BTreeSet<u64> {
        let numbers: BTreeSet<u64> = (0..data.rows).map(|row| data.row(row)[0] as u64).collect();
        assert_eq!(numbers.len(), data.rows, "a row stands twice in a part");
        numbers
    };
    [
        rows(&train),
        valid.map(|data| rows(&data)).unwrap_or_default(),
        test.map(|data| rows(&data)).unwrap_or_default(),
    ]
}

// --- rows ---

/// Asserts that each row is tested once, and that in each fold every row is in exactly one part.
fn partitions(folds: &[[BTreeSet<u64>; 3]], has_validation: bool) {
    let all: BTreeSet<u64> = (0..ROWS).collect();
    let mut tested = Vec::new();
    for [train, valid, test] in folds {
        assert_eq!(valid.is_empty(), !has_validation);
        assert!(!train.is_empty() && !test.is_empty());
        assert_eq!(train.len() + valid.len() + test.len(), all.len());
        assert_eq!(train.iter().chain(valid).chain(test).copied().collect::<BTreeSet<_>>(), all);
        tested.extend(test.iter().copied());
    }
    tested.sort_unstable();
    assert_eq!(tested, all.into_iter().collect::<Vec<_>>(), "each row is tested once");
}

#[test]
fn each_row_is_tested_once_and_is_in_one_part() {
    let room = Room::new();
    for folds in [2, 3, 7] {
        partitions(&room.folds(folds, &[]), true);
        partitions(&room.folds(folds, &["data.split=[1.0, 0.0, 0.0]"]), false);
        partitions(&room.folds(folds, &["data.split=[0.5, 0.5, 0.0]", "data.split_seed=9"]), true);
    }
}

/// With folds the test part of the split is not needed, so its rows are trained on.
#[test]
fn the_share_of_the_test_part_is_trained_on() {
    let room = Room::new();
    let [train, valid, test] = &room.folds(5, &["data.split=[0.2, 0.2, 0.6]"])[0];
    assert!(
        train.len() > 2 * valid.len() && train.len() > 2 * test.len(),
        "{} {} {}",
        train.len(),
        valid.len(),
        test.len()
    );
}

#[test]
fn folds_follow_the_seed_of_the_split_alone() {
    let room = Room::new();
    let tested = |keys: &[&str]| {
        room.folds(3, keys).into_iter().map(|[_, _, test]| test).collect::<Vec<_>>()
    };
    let plain = tested(&[]);
    assert_eq!(tested(&["train.seed=5", "data.split=[0.6, 0.4, 0.0]"]), plain);
    assert_ne!(tested(&["data.split_seed=5"]), plain);
}

#[test]
fn rows_of_a_group_stay_together() {
    let room = Room::new();
    let grouped = ["data.group=g", "data.ignore=[\"w\"]", "data.split=[0.5, 0.5, 0.0]"];
    for folds in [2, 3] {
        let folds = room.folds(folds, &grouped);
        partitions(&folds, true);
        for parts in &folds {
            let groups = parts
                .each_ref()
                .map(|rows| rows.iter().map(|row| row % GROUPS).collect::<BTreeSet<_>>());
            let in_all: usize = groups.iter().map(BTreeSet::len).sum();
            assert_eq!(in_all as u64, GROUPS, "{groups:?}");
        }
    }
    // Without the key, rows of a group are in several parts.
    let torn: usize = room
        .parts(&["data.folds=2", "data.fold=1"])
        .iter()
        .map(|rows| rows.iter().map(|r| r % GROUPS).collect::<BTreeSet<_>>().len())
        .sum();
    assert!(torn as u64 > GROUPS);
}

// --- what a run leaves ---

fn model(room: &Room, run: &str) -> BTreeMap<String, Vec<u8>> {
    let files = ["model/model.safetensors", "model/schema.json", "last/model.safetensors"];
    files.into_iter().map(|file| (file.to_owned(), room.bytes(&format!("{run}/{file}")))).collect()
}

/// Asserts that the configuration that a fold leaves gives the same model again.
fn reproduces(keys: &[&str]) {
    let room = Room::new();
    let sets: Vec<&str> = keys.iter().flat_map(|key| ["--set", key]).collect();
    room.run(&[&["train", "net.toml", "--out", "run", "--k-fold", "3"][..], &sets].concat())
        .expect(0);
    let models: Vec<_> = (1..=3).map(|fold| model(&room, &format!("run/fold-{fold}"))).collect();
    for fold in 1..=3 {
        let [path, out] = [format!("run/fold-{fold}/config.toml"), format!("again-{fold}")];
        room.run(&["train", &path, "--out", &out]).expect(0);
        assert!(model(&room, &out) == models[fold - 1], "{keys:?}: fold {fold}");
        assert_eq!(
            room.bytes(&path),
            room.bytes(&format!("{out}/config.toml")),
            "{keys:?}: fold {fold}"
        );
    }
    assert!(models[0] != models[1] && models[1] != models[2], "the folds are one");
    assert!(!room.path("run/fold-4").exists() && !room.path("run/fold-0").exists());
}

#[test]
fn the_configuration_of_a_fold_reproduces_it() {
    reproduces(&[]);
}

#[test]
fn it_reproduces_it_with_groups_and_weights() {
    reproduces(&[
        "data.group=g",
        "data.row_weight=w",
        "data.ignore=[]",
        "data.split=[0.5, 0.5, 0.0]",
        "data.split_seed=3",
    ]);
}

#[test]
fn it_reproduces_it_without_validation() {
    reproduces(&["data.split=[1.0, 0.0, 0.0]"]);
}

/// The flag wins over a fold that the configuration sets.
#[test]
fn the_flag_wins_over_a_fold_that_is_set() {
    let room = Room::new();
    let run = |out: &str, more: &[&str]| {
        room.run(&[&["train", "net.toml", "--out", out, "--k-fold", "2"][..], more].concat())
            .expect(0);
        [1, 2].map(|fold| model(&room, &format!("{out}/fold-{fold}")))
    };
    assert!(run("a", &[]) == run("b", &["--set", "data.folds=5", "--set", "data.fold=4"]));
}

#[test]
fn the_json_has_mean_and_spread_of_what_the_folds_tested() {
    let room = Room::new();
    let ran = room.run(&["train", "net.toml", "--out", "run", "--k-fold", "4", "--json"]).expect(0);
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&found["run"], &found["folds"]), (&"run".into(), &4.into()));
    let mut metrics = 0;
    for (task, of_task) in found["tasks"].as_object().unwrap() {
        for (name, value) in of_task.as_object().unwrap() {
            let folds: Vec<f64> =
                value["folds"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            let tested: Vec<f64> = (1..=4)
                .map(|fold| tested(&room, fold)["tasks"][task][name].as_f64().unwrap())
                .collect();
            assert_eq!(folds, tested, "{task} {name}");
            let mean = folds.iter().sum::<f64>() / 4.0;
            let spread = (folds.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / 3.0).sqrt();
            for (key, expected) in [("mean", mean), ("spread", spread)] {
                let found = value[key].as_f64().unwrap();
                assert!(
                    (found - expected).abs() <= 1e-12 * expected.abs().max(1.0),
                    "{task} {name} {key}: {found}, expected {expected}"
                );
            }
            metrics += 1;
        }
    }
    assert_eq!(found["tasks"].as_object().unwrap().keys().collect::<Vec<_>>(), ["colour", "price"]);
    // The loss and three metrics of colour, which has too few classes for top_k; the loss and three
    // metrics of price.
    assert_eq!(metrics, 8, "{found:#}");
}

/// The test point of a fold.
fn tested(room: &Room, fold: usize) -> Value {
    let text = String::from_utf8(room.bytes(&format!("run/fold-{fold}/metrics.jsonl"))).unwrap();
    let points: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    points.into_iter().rfind(|point| point["split"] == "test").unwrap()
}

#[test]
fn the_table_has_a_line_for_each_metric() {
    let room = Room::new();
    let out = room.run(&["train", "net.toml", "--out", "run", "--k-fold", "2"]).expect(0).out;
    for start in ["colour   loss", "colour   accuracy", "price    rmse"] {
        let line = out
            .lines()
            .find(|line| line.starts_with(start))
            .unwrap_or_else(|| panic!("{start}: {out}"));
        let numbers = line.split_whitespace().filter(|word| word.parse::<f64>().is_ok()).count();
        assert_eq!(numbers, 5, "mean, spread, number of folds, two folds: {line}");
    }
    assert!(out.contains("run directory: run"), "{out}");
}

// --- what is refused ---

#[test]
fn folds_of_data_that_is_not_split_are_a_usage_error() {
    let room = Room::new();
    fs::write(
        room.path("idx.toml"),
        "[data]\ntrain = { images = \"i\", labels = \"l\" }\n[task.t]\n",
    )
    .unwrap();
    fs::write(room.path("digits.toml"), "[data]\ntrain = \"digits-overlay\"\n[task.left]\n")
        .unwrap();
    let all: &[&[&str]] = &[
        &["train", "idx.toml", "--k-fold", "3"],
        &["train", "digits.toml", "--k-fold", "3"],
        &["demo", "--k-fold", "3"],
        &["train", "net.toml", "--k-fold", "3", "--set", "data.test=rows.csv"],
        &[
            "train",
            "net.toml",
            "--k-fold",
            "3",
            "--set",
            "data.split_column=g",
            "--set",
            "data.ignore=[\"w\"]",
        ],
        &["train", "net.toml", "--k-fold", "1"],
        &["train", "net.toml", "--k-fold", "0"],
        &["train", "net.toml", "--k-fold", "1001"],
        &["train", "net.toml", "--k-fold", "two"],
    ];
    for args in all {
        let ran = room.run(&[*args, &["--out", "run"]].concat()).expect(2);
        assert!(ran.err.contains("--k-fold") && ran.out.is_empty(), "{args:?}: {ran:#?}");
        assert!(!room.path("run").exists(), "{args:?}");
    }
}

#[test]
fn more_folds_than_rows_are_refused() {
    let room = Room::new();
    fs::write(
        room.path("rows.csv"),
        "id,x,colour,price,w,g\n0,1,red,1,1,a\n1,2,blue,3,1,b\n2,3,red,2,1,c\n",
    )
    .unwrap();
    let args = [
        "train",
        "net.toml",
        "--k-fold",
        "50",
        "--out",
        "run",
        "--set",
        "data.split=[1.0, 0.0, 0.0]",
    ];
    let ran = room.run(&args).expect(78);
    assert!(ran.err.contains("data.folds: fold 4 of 50 leaves"), "{ran:#?}");
}

/// As tandem 0.1.0 split, the group in the fold may be the only one of the validation part; without
/// validation rows nothing would pick the model.
#[test]
fn a_fold_that_takes_all_validation_rows_is_refused() {
    let room = Room::new();
    let keys = |fold: usize, seed: usize| {
        let number = format!("data.fold={fold}");
        let seed = format!("data.split_seed={seed}");
        [
            "data.group=g",
            "data.ignore=[\"w\"]",
            "data.split=[0.8, 0.2, 0.0]",
            "data.folds=2",
            &number,
            &seed,
            "version=\"0.1\"",
        ]
        .map(str::to_owned)
    };
    let mut refused = 0;
    for (fold, seed) in (0..20).flat_map(|seed| [(1, seed), (2, seed)]) {
        let config = from_file(&room.path("net.toml"), &keys(fold, seed)).unwrap();
        match load(&config.data, &config.tasks) {
            Ok(parts) => {
                assert!(parts.valid.is_some_and(|valid| valid.rows > 0), "fold {fold}, seed {seed}")
            }
            Err(error) => refused += usize::from(error.to_string().contains(" 0 to validate on")),
        }
    }
    assert!(refused > 0);
}

#[test]
fn a_missing_table_has_its_usual_message() {
    let room = Room::new();
    room.run(&["train", "net.toml", "--k-fold", "3", "--set", "data.train=no.csv"]).expect(66);
}

#[cfg(unix)]
fn interrupt(child: &Child) {
    assert!(
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success()
    );
}

/// A signal ends the whole run, not just a fold.
#[cfg(unix)]
#[test]
fn an_interrupt_ends_all_folds() {
    let room = Room::new();
    let args = [
        "train",
        "net.toml",
        "--k-fold",
        "3",
        "--epochs",
        "1000000000",
        "--out",
        "run",
        "--progress",
        "none",
    ];
    let child = room.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (metrics, begun) = (room.path("run/fold-1/metrics.jsonl"), Instant::now());
    while !fs::read_to_string(&metrics).is_ok_and(|text| text.contains('\n')) {
        assert!(begun.elapsed() < Duration::from_secs(60), "no point in {}", metrics.display());
        std::thread::sleep(Duration::from_millis(10));
    }
    interrupt(&child);
    let ran = Ran::of(child.wait_with_output().unwrap()).expect(130);
    assert!(ran.out.is_empty(), "no summary of folds that were not run: {ran:#?}");
    let piece = "stopped by a signal in fold 1 of 3; go on with: tandem train --resume run\n";
    assert!(ran.err.contains(piece), "no \"{piece}\": {ran:#?}");
    // Folds that were under way beside it are stopped as well, and others do not begin.
    let begun = (1..=3).filter(|fold| room.path(&format!("run/fold-{fold}")).exists()).count();
    let processors = std::thread::available_parallelism().unwrap().get();
    assert!((1..=processors.min(3)).contains(&begun), "{begun} folds");
    for fold in 1..=begun {
        assert!(room.path(&format!("run/fold-{fold}/last/model.safetensors")).exists());
    }
    assert!(!room.path("run/folds.csv").exists());
}
