//! Run directories: names that count up, one process at a time, and the files in them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::RwLock;

use serde_json::{Value, json};
use tandem::config::{Activation, Balance};
use tandem::data::{Input, Part, Schema, Target};
use tandem::fault::{Exit, exit_of, hint_of};
use tandem::model::file::load;
use tandem::model::layout::Layout;
use tandem::model::network::{Head, Network, Trunk};
use tandem::objective::{COUPLINGS, Objective, Pair};
use tandem::run::directory::RunDirectory;
use tandem::run::train::point::{Point, TaskPoint};

/// Between fork and exec, a new process holds the locks of this one. So a test that releases a lock
/// and takes it again locks this for reading, and a test that starts a process locks it for
/// writing.
static SPAWN: RwLock<()> = RwLock::new(());

fn network() -> Network {
    let head = |name: &str| Head {
        activation: Activation::Relu,
        ..Head::multiclass(name, vec!["a".into(), "b".into()])
    };
    let trunk = Trunk { layers: vec![2], activation: Activation::Relu, dropout: 0.0 };
    Network {
        inputs: 4,
        embeddings: Vec::new(),
        architecture: Default::default(),
        trunk,
        tasks: vec![head("left"), head("right")],
    }
}

fn objective(pairs: usize) -> Objective {
    let pair = Pair { coupling: COUPLINGS[0], a: 0, b: 1, strength: 0.5 };
    Objective {
        weights: vec![1.0, 1.0],
        pairs: vec![pair; pairs],
        entropy: 0.0,
        balance: Balance::default(),
        per_epoch: 1,
    }
}

fn point(split: &str, step: u64, epoch: u64, loss: f64) -> Point {
    let task = |k: f64| TaskPoint {
        loss: Some(loss * k),
        rows: 10,
        metrics: vec![("accuracy", k / 4.0), ("log_loss", loss * k)],
    };
    let tasks = vec![task(1.0), task(2.0)];
    Point {
        step,
        epoch,
        split: split.into(),
        loss: Some(loss),
        tasks,
        couplings: vec![0.125],
        gate_entropy: None,
        gates: Vec::new(),
        weights: Vec::new(),
        residual: None,
        conflict: None,
        learning_rate: 1e-3,
        seconds: step as f64,
    }
}

/// A new run directory `out` in `root`, with its record files open.
fn begun(root: &Path, parts: &[Part]) -> RunDirectory {
    let mut run = RunDirectory::create(Some(&root.join("out")), "x").unwrap();
    run.begin(&network(), &objective(1), parts).unwrap();
    run
}

fn lines(run: &RunDirectory, name: &str) -> Vec<String> {
    let text = fs::read_to_string(run.path().join(name)).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(str::to_owned).collect()
}

/// The rows of `metrics.csv`, each as (column, cell) pairs.
fn rows(run: &RunDirectory) -> Vec<Vec<(String, String)>> {
    let mut reader = csv::Reader::from_path(run.path().join("metrics.csv")).unwrap();
    let header = reader.headers().unwrap().clone();
    let row = |r: csv::StringRecord| {
        header.iter().zip(&r).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    };
    reader.records().map(|r| row(r.unwrap())).collect()
}

fn cell<'r>(row: &'r [(String, String)], column: &str) -> &'r str {
    &row.iter().find(|(name, _)| name == column).unwrap_or_else(|| panic!("no column {column}")).1
}

fn fails(result: anyhow::Result<RunDirectory>, exit: Exit, words: &str) {
    let error = result.map(|_| ()).unwrap_err();
    assert_eq!(exit_of(&error), exit, "{error:#}");
    assert!(error.to_string().contains(words) && hint_of(&error).is_some(), "{error:#}");
}

#[test]
fn names_count_up_and_nothing_is_overwritten() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("runs/demo-2")).unwrap();
    fs::write(root.path().join("runs/demo-4"), "a file").unwrap();
    let base = root.path().join("runs");
    let runs: Vec<RunDirectory> =
        (0..3).map(|_| RunDirectory::numbered(&base, "demo").unwrap()).collect();
    let names: Vec<_> =
        runs.iter().map(|r| r.path().file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["demo-1", "demo-3", "demo-5"]);
    assert_eq!(fs::read_dir(base.join("demo-2")).unwrap().count(), 0);
    assert_eq!(fs::read_to_string(base.join("demo-4")).unwrap(), "a file");
    assert!(RunDirectory::numbered(&base, "other").unwrap().path().ends_with("other-1"));
    assert!(RunDirectory::numbered(&base, "../out").unwrap().path().starts_with(&base));
}

#[test]
fn processes_at_once_get_different_directories() {
    let root = tempfile::tempdir().unwrap();
    let make = || RunDirectory::numbered(root.path(), "demo").unwrap();
    let runs: Vec<RunDirectory> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let mut paths: Vec<_> = runs.iter().map(RunDirectory::path).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), 16);
}

/// The other process of the next test, which runs in its own directory.
#[test]
fn maker() {
    if std::env::var_os("TANDEM_TEST_MAKE").is_some() {
        let run = RunDirectory::create(None, "demo").unwrap();
        assert_eq!(run.path(), Path::new("runs").join("demo-1"));
    }
}

#[test]
fn the_default_place_is_runs() {
    let root = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "run_directory::maker"])
        .env("TANDEM_TEST_MAKE", "1")
        .current_dir(root.path())
        .stdout(Stdio::null());
    let status = {
        let _alone = SPAWN.write().unwrap();
        command.spawn().unwrap()
    }
    .wait()
    .unwrap();
    assert!(status.success());
    assert!(root.path().join("runs/demo-1").is_dir());
}

#[test]
fn out_is_taken_if_new_or_empty() {
    let root = tempfile::tempdir().unwrap();
    let deep = root.path().join("a/b/c");
    assert_eq!(RunDirectory::create(Some(&deep), "x").unwrap().path(), deep);
    let empty = root.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert_eq!(RunDirectory::create(Some(&empty), "x").unwrap().path(), empty);
}

#[test]
fn out_with_something_in_it_is_73() {
    let _whole = SPAWN.read().unwrap();
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("precious"), "1").unwrap();
    fails(RunDirectory::create(Some(root.path()), "x"), Exit::CantCreate, "not empty");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    let out = root.path().join("out");
    drop(RunDirectory::create(Some(&out), "x").unwrap());
    fails(RunDirectory::create(Some(&out), "x"), Exit::CantCreate, "not empty");
}

#[test]
fn out_that_cannot_be_made_is_73() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    fails(
        RunDirectory::create(Some(&file.join("out")), "x"),
        Exit::CantCreate,
        "cannot be created",
    );
    fails(RunDirectory::create(Some(&file), "x"), Exit::CantCreate, "cannot be created");
    fails(RunDirectory::numbered(&file, "x"), Exit::CantCreate, "cannot be created");
    fails(
        RunDirectory::numbered(root.path(), &"x".repeat(300)),
        Exit::CantCreate,
        "cannot be created",
    );
}

#[test]
fn a_second_holder_is_75_until_the_first_is_gone() {
    let _whole = SPAWN.read().unwrap();
    let root = tempfile::tempdir().unwrap();
    let run = RunDirectory::numbered(root.path(), "x").unwrap();
    let path = run.path().to_owned();
    let words = format!("in use by another process ({})", std::process::id());
    fails(RunDirectory::open(&path), Exit::Busy, &words);
    fails(RunDirectory::create(Some(&path), "x"), Exit::Busy, &words);
    drop(run);
    RunDirectory::open(&path).unwrap();
    fails(RunDirectory::open(&path.join("none")), Exit::NoInput, "no such run directory");
}

/// The process that [`a_lock_ends_with_its_process`] starts: it holds the given run directory until
/// it is killed. Run as a test by itself it does nothing.
#[test]
fn holder() {
    let Ok(path) = std::env::var("TANDEM_TEST_HOLD") else { return };
    let _run = RunDirectory::open(Path::new(&path)).unwrap();
    println!("held");
    std::thread::sleep(std::time::Duration::from_secs(60));
}

#[test]
fn a_lock_ends_with_its_process() {
    use std::io::{BufRead, BufReader};
    let root = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "run_directory::holder", "--nocapture"])
        .env("TANDEM_TEST_HOLD", root.path())
        .stdout(Stdio::piped());
    let mut child = {
        let _alone = SPAWN.write().unwrap();
        command.spawn().unwrap()
    };
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(output.any(|line| line.unwrap().contains("held")));
    fails(RunDirectory::open(root.path()), Exit::Busy, &format!("({})", child.id()));
    child.kill().unwrap();
    child.wait().unwrap();
    RunDirectory::open(root.path()).unwrap();
}

#[test]
fn configuration_environment_and_log() {
    let root = tempfile::tempdir().unwrap();
    let mut run = RunDirectory::numbered(root.path(), "x").unwrap();
    run.write_config("[data]\n").unwrap();
    run.write_config("[train]\n").unwrap();
    run.write_environment(&json!({"version": "0.1.0", "hashes": {"a": "b"}})).unwrap();
    run.log("one").unwrap();
    run.log("two").unwrap();
    assert_eq!(fs::read_to_string(run.path().join("config.toml")).unwrap(), "[train]\n");
    let environment: Value =
        serde_json::from_str(&fs::read_to_string(run.path().join("environment.json")).unwrap())
            .unwrap();
    assert_eq!(environment["hashes"]["a"], "b");
    assert_eq!(lines(&run, "train.log"), ["one", "two"]);
}

#[test]
fn each_point_is_a_line_of_json_at_once() {
    let root = tempfile::tempdir().unwrap();
    let mut run = begun(root.path(), &Part::ALL);
    for (i, split) in ["train", "valid", "test"].into_iter().enumerate() {
        let point = point(split, 7, 1, 0.1 + 0.2);
        run.point(&point).unwrap();
        let lines = lines(&run, "metrics.jsonl");
        assert_eq!(lines.len(), i + 1);
        let value: Value = serde_json::from_str(&lines[i]).unwrap();
        assert_eq!(value, point.json(&network(), &objective(1)));
        let keys: Vec<&String> = value.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            ["step", "epoch", "split", "loss", "tasks", "couplings", "learning_rate", "seconds"]
        );
    }
}

#[test]
fn equal_runs_leave_equal_metrics_except_the_seconds() {
    let of_run = |seconds: f64| {
        let root = tempfile::tempdir().unwrap();
        let mut run = begun(root.path(), &Part::ALL);
        for epoch in 1..=3 {
            for split in ["train", "valid"] {
                run.point(&Point {
                    seconds,
                    ..point(split, 10 * epoch, epoch, 1.0 / epoch as f64)
                })
                .unwrap();
            }
            run.end_epoch().unwrap();
        }
        run.point(&Point { seconds, ..point("test", 30, 3, 0.7) }).unwrap();
        ["metrics.jsonl", "metrics.csv"]
            .map(|name| fs::read_to_string(run.path().join(name)).unwrap())
    };
    let (a, b) = (of_run(1.5), of_run(2.5));
    assert_ne!(a, b);
    assert_eq!(a[0].replace("\"seconds\":1.5", "\"seconds\":2.5"), b[0]);
    assert_eq!(a[1].replace(",1.5,", ",2.5,"), b[1]);
}

#[test]
fn the_table_has_a_column_for_each_split_task_and_metric() {
    let root = tempfile::tempdir().unwrap();
    let run = begun(root.path(), &[Part::Train, Part::Valid]);
    let of_split = |s: &str| {
        // F1 needs all rows of a part; a training point has only the metrics that steps give.
        let metrics = ["loss", "accuracy", "macro_f1", "log_loss"]
            .into_iter()
            .filter(|m| *m != "macro_f1" || s != "train");
        let tasks = ["left", "right"]
            .iter()
            .flat_map(|t| metrics.clone().map(move |m| format!("{s}/{t}/{m}")));
        let names: Vec<String> = [format!("{s}/loss")]
            .into_iter()
            .chain(tasks)
            .chain([format!("{s}/soft_sharing/left/right")])
            .collect();
        names.join(",")
    };
    let header =
        format!("epoch,step,learning_rate,seconds,{},{}", of_split("train"), of_split("valid"));
    assert_eq!(lines(&run, "metrics.csv"), [header]);
    let mut twice = RunDirectory::numbered(root.path(), "twice").unwrap();
    twice.begin(&network(), &objective(2), &[Part::Train, Part::Valid]).unwrap();
    assert_eq!(lines(&twice, "metrics.csv"), lines(&run, "metrics.csv"));
}

#[test]
fn a_row_per_epoch_with_the_figures_of_the_points() {
    let root = tempfile::tempdir().unwrap();
    let mut run = begun(root.path(), &Part::ALL);
    for epoch in 1..=2 {
        run.point(&point("train", 5 * epoch, epoch, 0.1 * epoch as f64)).unwrap();
        run.point(&point("valid", 5 * epoch, epoch, 0.3 * epoch as f64)).unwrap();
        assert_eq!(rows(&run).len() as u64, epoch - 1);
        run.end_epoch().unwrap();
        run.end_epoch().unwrap();
        assert_eq!(rows(&run).len() as u64, epoch);
    }
    // A point about the kept model, which is of the first epoch: it gets a row of its own, not the
    // row of another epoch.
    run.point(&point("test", 5, 1, 0.9)).unwrap();
    run.end_epoch().unwrap();
    let rows = rows(&run);
    assert_eq!(rows.len(), 3);
    let shown = |row: usize| {
        ["epoch", "step", "learning_rate", "train/loss", "valid/right/loss", "valid/left/accuracy"]
            .map(|c| cell(&rows[row], c))
    };
    assert_eq!(shown(0), ["1", "5", "0.001", "0.1", "0.6", "0.25"]);
    assert_eq!(shown(1), ["2", "10", "0.001", "0.2", "1.2", "0.25"]);
    let test = |row: usize| {
        ["test/loss", "test/left/loss", "test/right/accuracy", "test/soft_sharing/left/right"]
            .map(|c| cell(&rows[row], c))
    };
    assert_eq!((test(0), test(1)), ([""; 4], [""; 4]));
    assert_eq!(test(2), ["0.9", "0.9", "0.5", "0.125"]);
    assert_eq!(shown(2), ["1", "5", "0.001", "", "", ""]);
}

#[test]
fn a_test_point_before_the_row_is_in_it() {
    let root = tempfile::tempdir().unwrap();
    let mut run = begun(root.path(), &Part::ALL);
    run.point(&point("train", 3, 1, 1.0)).unwrap();
    run.point(&point("test", 3, 1, 2.0)).unwrap();
    run.end_epoch().unwrap();
    assert_eq!(cell(&rows(&run)[0], "test/loss"), "2.0");
    assert_eq!(cell(&rows(&run)[0], "valid/loss"), "");
}

#[test]
fn several_training_points_of_an_epoch_are_averaged_by_steps() {
    let root = tempfile::tempdir().unwrap();
    let mut run = begun(root.path(), &[Part::Train]);
    run.point(&point("train", 3, 1, 1.0)).unwrap();
    run.point(&point("train", 4, 1, 5.0)).unwrap();
    run.end_epoch().unwrap();
    assert_eq!((cell(&rows(&run)[0], "train/loss"), cell(&rows(&run)[0], "step")), ("2.0", "4"));
    run.point(&point("train", 8, 2, 0.3)).unwrap();
    run.end_epoch().unwrap();
    assert_eq!(cell(&rows(&run)[1], "train/loss"), "0.3");
}

#[test]
fn metrics_that_are_not_finite_are_null_and_blank() {
    let root = tempfile::tempdir().unwrap();
    let mut run = begun(root.path(), &[Part::Train]);
    run.point(&point("train", 1, 1, f64::NAN)).unwrap();
    run.end_epoch().unwrap();
    assert!(lines(&run, "metrics.jsonl")[0].contains("\"loss\":null"));
    assert_eq!(cell(&rows(&run)[0], "train/loss"), "");
    run.point(&point("train", 2, 2, f64::INFINITY)).unwrap();
    run.point(&point("train", 3, 2, 1.0)).unwrap();
    run.end_epoch().unwrap();
    assert_eq!(cell(&rows(&run)[1], "train/loss"), "");
}

#[test]
fn an_opened_run_goes_on_where_it_ended() {
    let _whole = SPAWN.read().unwrap();
    let root = tempfile::tempdir().unwrap();
    let mut run = begun(root.path(), &Part::ALL);
    run.point(&point("train", 1, 1, 1.0)).unwrap();
    run.end_epoch().unwrap();
    let path = run.path().to_owned();
    drop(run);
    let mut run = RunDirectory::open(&path).unwrap();
    run.begin(&network(), &objective(1), &Part::ALL).unwrap();
    run.point(&point("train", 2, 2, 0.5)).unwrap();
    run.end_epoch().unwrap();
    assert_eq!(lines(&run, "metrics.jsonl").len(), 2);
    let losses: Vec<String> =
        rows(&run).iter().map(|row| cell(row, "train/loss").to_owned()).collect();
    assert_eq!(losses, ["1.0", "0.5"]);
}

#[test]
fn both_models_are_saved_and_found() {
    let root = tempfile::tempdir().unwrap();
    let run = RunDirectory::numbered(root.path(), "x").unwrap();
    let network = network();
    let layout = Layout::new(&network).unwrap();
    let target = |head: &Head| Target {
        columns: vec!["y".into()],
        ..Target::multiclass(&head.name, head.classes.clone())
    };
    let input = Input::grey(2, 2, 1.0, None);
    let schema = Schema::new(input, network.tasks.iter().map(target).collect());
    let (best, last) = (vec![0.0; layout.len], vec![0.0; layout.len]);
    run.save_model(&network, &layout, &schema, &best).unwrap();
    run.save_last(&network, &layout, &schema, &last).unwrap();
    assert_eq!(load(run.path()).unwrap().directory, run.path().join("model"));
    assert_eq!(load(&run.path().join("last")).unwrap().schema, schema);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_74() {
    let _whole = SPAWN.read().unwrap();
    let root = tempfile::tempdir().unwrap();
    let full = |run: &RunDirectory, name: &str| {
        std::os::unix::fs::symlink("/dev/full", run.path().join(name)).unwrap()
    };
    let is_74 = |result: anyhow::Result<()>, name: &str| {
        let error = result.unwrap_err();
        assert_eq!(exit_of(&error), Exit::Io, "{error:#}");
        assert!(error.to_string().contains(name) && hint_of(&error).is_some(), "{error:#}");
    };
    let mut run = RunDirectory::numbered(root.path(), "x").unwrap();
    full(&run, "metrics.jsonl");
    run.begin(&network(), &objective(1), &[Part::Train]).unwrap();
    is_74(run.point(&point("train", 1, 1, 1.0)), "metrics.jsonl");
    let mut run = RunDirectory::numbered(root.path(), "y").unwrap();
    full(&run, "metrics.csv");
    is_74(run.begin(&network(), &objective(1), &[Part::Train]), "metrics.csv");
}

#[cfg(target_os = "linux")]
#[test]
fn a_directory_with_a_link_is_not_opened() {
    let _whole = SPAWN.read().unwrap();
    let root = tempfile::tempdir().unwrap();
    let path = RunDirectory::numbered(root.path(), "x").unwrap().path().to_owned();
    assert!(RunDirectory::open(&path).is_ok());
    fs::remove_file(path.join("train.log")).unwrap();
    std::os::unix::fs::symlink("/dev/full", path.join("train.log")).unwrap();
    fails(RunDirectory::open(&path), Exit::Data, "train.log");
}
