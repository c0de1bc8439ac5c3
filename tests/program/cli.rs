//! The program as users and scripts use it: verbs, streams, files, exit codes.
//!
//! Most runs are on the float64 reference, which needs no adapter; some are on this machine's
//! adapter.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use tandem::rng::{Purpose, normal};
use tempfile::TempDir;

/// Two tasks of three classes each, so that their heads can be coupled; the last batch is short.
const NET: &str = "
[data]
train = \"train.csv\"
test = \"test.csv\"
split = [0.9, 0.1, 0.0]
ignore = [\"id\"]
[trunk]
layers = [8]
[task.colour]
[task.size]
[optimizer]
learning_rate = 1e-2
[train]
epochs = 3
batch_size = 48
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

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }

    /// The number of lines of stderr that begin with `word`.
    fn lines(&self, word: &str) -> usize {
        self.err.lines().filter(|line| line.starts_with(word)).count()
    }
}

/// A directory with data and a configuration, in which the program is started.
struct Room(TempDir);

impl Room {
    fn new() -> Room {
        let room = Room(tempfile::tempdir().unwrap());
        room.write("train.csv", labelled(1, 300));
        room.write("test.csv", labelled(2, 60));
        room.write("net.toml", NET);
        room
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.path(name), contents).unwrap();
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The program, ready to start in this room, with backtraces. Variables of the tester's
    /// environment that it reads are removed.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
        for name in [
            "WGPU_BACKEND",
            "WGPU_ADAPTER_NAME",
            "WGPU_POWER_PREF",
            "NO_COLOR",
            "CLICOLOR_FORCE",
            "XDG_RUNTIME_DIR",
        ] {
            command.env_remove(name);
        }
        command
            .env("TERM", "xterm-256color")
            .env("RUST_BACKTRACE", "1")
            .env("RUST_LIB_BACKTRACE", "1");
        command.current_dir(self.0.path()).args(args).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Runs a verb on the float64 reference.
    fn on_reference(&self, args: &[&str]) -> Ran {
        self.run(&[args, &["--device", "reference"]].concat())
    }

    /// Trains into the run directory `out`.
    fn train(&self, out: &str, more: &[&str]) -> Ran {
        self.on_reference(&[&["train", "net.toml", "--out", out][..], more].concat()).expect(0)
    }

    /// Metrics of a model on the test file.
    fn evaluate(&self, model: &str) -> Value {
        self.on_reference(&["evaluate", model, "--data", "test.csv", "--json"]).expect(0).json()
    }

    /// The points of a run, without the seconds.
    fn points(&self, run: &str) -> Vec<Value> {
        let text = self.text(&format!("{run}/metrics.jsonl"));
        text.lines().map(|line| without_seconds(serde_json::from_str(line).unwrap())).collect()
    }
}

fn without_seconds(mut point: Value) -> Value {
    point.as_object_mut().unwrap().remove("seconds");
    point
}

/// One row: three features, and two labels that depend on them.
fn row(seed: u64, row: usize) -> ([f64; 3], &'static str, &'static str) {
    let x = [0, 1, 2].map(|i| normal(seed, Purpose::Synthetic, i, row as u64));
    let colour =
        if x[0] + 0.3 * x[2] > 0.0 { "red" } else { ["green", "blue"][usize::from(x[1] > 0.0)] };
    let size =
        if x[1] - x[0] > 0.7 { "large" } else { ["small", "medium"][usize::from(x[2] > 0.0)] };
    (x, colour, size)
}

fn labelled(seed: u64, rows: usize) -> String {
    let line = |i: usize| {
        let ([x, y, z], colour, size) = row(seed, i);
        format!("{i},{x:.4},{y:.4},{z:.4},{colour},{size}\n")
    };
    "id,x,y,z,colour,size\n".to_string() + &(0..rows).map(line).collect::<String>()
}

/// Rows without labels; their columns are in another order, and one column is unknown to the model.
fn unlabelled(rows: usize) -> String {
    let line = |i: usize| {
        let ([x, y, z], _, _) = row(3, i);
        format!("{z:.4},\"note {i}, \"\"quoted\"\" é\",{y:.4},{x:.4}\n")
    };
    "z,note,y,x\n".to_string() + &(0..rows).map(line).collect::<String>()
}

/// Header and records of a CSV text.
fn table(text: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let cells = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
    let header = cells(reader.headers().unwrap());
    let records = reader.records().map(|record| cells(&record.unwrap())).collect();
    (header, records)
}

fn column(header: &[String], name: &str) -> usize {
    header
        .iter()
        .position(|h| h == name)
        .unwrap_or_else(|| panic!("no column {name} in {header:?}"))
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

// --- help, streams, colours ---

/// Help must not open a driver, which takes long. The Vulkan loader prints messages as soon as a
/// program calls it, so here they are counted. `make soak` also measures the time.
#[test]
fn help_and_version_need_no_adapter_and_look_for_none() {
    let room = Room::new();
    let run = |args: &[&str]| {
        let mut command = room.command(args);
        command.env("VK_DRIVER_FILES", "/nonexistent").env("VK_LOADER_DEBUG", "all");
        Ran::of(command.output().unwrap())
    };
    for args in [&["--help"][..], &["--version"], &["train", "--help"], &["help"]] {
        let ran = run(args).expect(0);
        assert!(!ran.out.is_empty(), "{ran:#?}");
        assert_eq!(ran.err, "", "{args:?}");
    }
    if cfg!(target_os = "linux") {
        let found = run(&["devices", "--backend", "vulkan"]);
        assert!(found.err.contains("Vulkan Loader"), "the loader prints nothing: {found:#?}");
    }
}

#[test]
fn help_names_every_verb() {
    let help = Room::new().run(&["--help"]).expect(0).out;
    for verb in
        ["demo", "train", "evaluate", "predict", "explain", "devices", "doctor", "bench", "man"]
    {
        assert!(help.lines().any(|line| line.trim_start().starts_with(verb)), "{verb}: {help}");
    }
}

#[test]
fn json_is_one_document() {
    let room = Room::new();
    let summary = room.train("run", &["--json", "-v"]).json();
    assert_eq!((&summary["ended"], &summary["run"]), (&"finished".into(), &"run".into()));
    assert_eq!(summary["steps"], 18);
    for split in ["train", "valid", "test"] {
        assert!(summary[split]["tasks"]["colour"]["accuracy"].is_f64(), "{summary:#}");
    }
    room.on_reference(&["explain", "net.toml", "--json"]).expect(0).json();
    room.on_reference(&["predict", "run", "--data", "test.csv", "--json"]).expect(0).json();
    room.on_reference(&[
        "bench",
        "step",
        "--inputs",
        "4",
        "--trunk",
        "5",
        "--classes",
        "3",
        "--batch",
        "6",
        "--steps",
        "2",
        "--json",
    ])
    .expect(0)
    .json();
}

#[test]
fn no_escape_byte_off_a_terminal() {
    let room = Room::new();
    room.train("run", &[]);
    let all: &[&[&str]] = &[
        &["train", "net.toml"],
        &["train", "net.toml", "--progress", "bar"],
        &["train", "net.toml", "--color", "auto", "-v"],
        &["train", "missing.toml"],
        &["train", "net.toml", "--set", "trunk.layer=1"],
        &["evaluate", "run", "--data", "test.csv"],
        &["predict", "run", "--data", "test.csv"],
        &["explain", "net.toml"],
        &["train", "--no-such-flag"],
        &["--help"],
    ];
    for args in all {
        let ran = room.on_reference(args);
        let all = ran.out.clone() + &ran.err;
        assert!(!all.is_empty() && !all.contains(['\x1b', '\r']), "{args:?}: {ran:#?}");
    }
}

#[test]
fn colours_where_they_are_asked_for() {
    let room = Room::new();
    let colours = |args: &[&str], no_color: bool| {
        let mut command = room.command(&[&["train", "missing.toml"][..], args].concat());
        if no_color {
            command.env("NO_COLOR", "1");
        }
        let ran = Ran::of(command.output().unwrap()).expect(66);
        assert!(ran.err.contains("error") && ran.err.contains("hint"));
        ran.err.contains("\x1b[")
    };
    assert!(colours(&["--color", "always"], false));
    assert!(!colours(&["--color", "never"], false));
    assert!(!colours(&["--color", "auto"], true));
    assert!(!colours(&[], true));
}

#[test]
fn quiet_is_quiet() {
    let room = Room::new();
    assert_eq!(room.train("run", &["-q"]).err, "");
    assert_eq!(
        room.on_reference(&["evaluate", "run", "--data", "test.csv", "-q"]).expect(0).err,
        ""
    );
    assert_eq!(
        room.on_reference(&["predict", "run", "--data", "test.csv", "--out", "p.csv", "-q"])
            .expect(0)
            .err,
        ""
    );
}

#[test]
fn one_line_per_epoch_by_default() {
    let room = Room::new();
    assert_eq!(room.train("a", &[]).lines("epoch "), 3);
    assert_eq!(room.train("b", &["--progress", "plain"]).lines("epoch "), 3);
    assert_eq!(room.train("c", &["--progress", "none"]).lines("epoch "), 0);
}

/// Starts a verb and closes one of its streams.
fn with_closed(room: &Room, args: &[&str], close: fn(&mut Child)) -> Option<i32> {
    let mut child =
        room.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    close(&mut child);
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert!(!ran.err.contains("panicked"), "{ran:#?}");
    ran.code
}

#[test]
fn a_closed_stdout_is_no_error() {
    let room = Room::new();
    room.write("many.csv", labelled(4, 3000));
    room.train("run", &[]);
    let args = ["predict", "run", "--data", "many.csv", "--device", "reference"];
    assert_eq!(with_closed(&room, &args, |child| drop(child.stdout.take())), Some(0));
}

/// A closed stderr must not end a training run.
#[test]
fn a_closed_stderr_ends_no_training() {
    let room = Room::new();
    let args = ["train", "net.toml", "--epochs", "200", "--out", "run", "--device", "reference"];
    assert_eq!(with_closed(&room, &args, |child| drop(child.stderr.take())), Some(0));
    assert!(room.path("run/last/model.safetensors").exists());
}

// --- the run directory ---

#[test]
fn the_run_directory_has_its_files() {
    let room = Room::new();
    room.train("run", &[]);
    for name in ["config.toml", "environment.json", "metrics.jsonl", "metrics.csv", "train.log"] {
        assert!(!room.bytes(&format!("run/{name}")).is_empty(), "{name}");
    }
    for directory in ["model", "last"] {
        for name in ["model.safetensors", "config.json", "schema.json"] {
            assert!(
                !room.bytes(&format!("run/{directory}/{name}")).is_empty(),
                "{directory}/{name}"
            );
        }
    }
    let environment: Value = serde_json::from_str(&room.text("run/environment.json")).unwrap();
    assert_eq!(environment["version"], env!("CARGO_PKG_VERSION"));
    for key in ["commit", "adapter", "limits", "kernels", "data"] {
        assert!(environment.get(key).is_some(), "{key}: {environment:#}");
    }
    assert_eq!(environment["data"].as_object().unwrap().len(), 2, "{environment:#}");
}

#[test]
fn metrics_have_the_promised_keys() {
    let room = Room::new();
    let coupling = ["--set", "coupling.0.kind=soft_sharing", "--set", "coupling.0.strength=0.5"];
    room.train("run", &[&coupling[..], &["--set", "task.size.weight=2"]].concat());
    let point_keys = BTreeSet::from([
        "step",
        "epoch",
        "split",
        "loss",
        "tasks",
        "couplings",
        "learning_rate",
        "seconds",
    ]);
    for line in room.text("run/metrics.jsonl").lines() {
        let point: Value = serde_json::from_str(line).unwrap();
        assert_eq!(keys(&point), point_keys);
        assert_eq!(keys(&point["tasks"]), BTreeSet::from(["colour", "size"]));
        assert!(
            keys(&point["tasks"]["size"])
                .is_superset(&BTreeSet::from(["loss", "accuracy", "log_loss"]))
        );
        assert_eq!(keys(&point["couplings"][0]), BTreeSet::from(["kind", "pair", "value"]));
        assert_eq!(point["couplings"][0]["pair"], serde_json::json!(["colour", "size"]));
        let number = |value: &Value| value.as_f64().unwrap();
        let [colour, size] = ["colour", "size"].map(|task| number(&point["tasks"][task]["loss"]));
        let total = colour + 2.0 * size + 0.5 * number(&point["couplings"][0]["value"]);
        assert!((number(&point["loss"]) - total).abs() < 1e-9, "{point:#}");
    }
    let splits: Vec<String> =
        room.points("run").iter().map(|p| p["split"].as_str().unwrap().to_owned()).collect();
    assert_eq!(splits, ["train", "valid", "train", "valid", "train", "valid", "test"]);
}

#[test]
fn the_table_has_a_row_an_epoch() {
    let room = Room::new();
    room.train("run", &["--set", "train.log_every=2s"]);
    let (header, records) = table(&room.text("run/metrics.csv"));
    // The last row holds the test metrics of the model that is kept.
    assert_eq!(records.len(), 4);
    let epochs: Vec<&String> =
        records.iter().map(|record| &record[column(&header, "epoch")]).collect();
    assert_eq!(epochs[..3], ["1", "2", "3"]);
    for (row, name) in [
        (2, "train/loss"),
        (2, "train/colour/accuracy"),
        (2, "valid/size/loss"),
        (3, "test/colour/log_loss"),
    ] {
        let last: f64 =
            records[row][column(&header, name)].parse().unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(last.is_finite());
        assert_eq!(records[5 - row][column(&header, name)], "", "{name}");
    }
}

#[test]
fn the_configuration_of_a_run_reproduces_it() {
    let room = Room::new();
    room.train(
        "a",
        &["--set", "trunk.dropout=0.2", "--set", "optimizer.schedule=cosine", "--seed", "5"],
    );
    room.on_reference(&["train", "a/config.toml", "--out", "b"]).expect(0);
    for file in [
        "model/model.safetensors",
        "last/model.safetensors",
        "model/schema.json",
        "model/config.json",
        "config.toml",
    ] {
        assert!(room.bytes(&format!("a/{file}")) == room.bytes(&format!("b/{file}")), "{file}");
    }
    assert_eq!(room.points("a"), room.points("b"));
}

#[test]
fn run_directories_count_up() {
    let room = Room::new();
    for expected in ["runs/net-1", "runs/net-2", "runs/net-3"] {
        let summary =
            room.on_reference(&["train", "net.toml", "--epochs", "1", "--json"]).expect(0).json();
        assert_eq!(Path::new(summary["run"].as_str().unwrap()), Path::new(expected));
        assert!(room.path(expected).join("model").is_dir());
    }
}

#[test]
fn nothing_is_overwritten() {
    let room = Room::new();
    room.train("run", &[]);
    let before = room.bytes("run/metrics.jsonl");
    let ran = room.on_reference(&["train", "net.toml", "--out", "run"]).expect(73);
    assert!(ran.err.contains("run: ") && ran.lines("hint: ") == 1, "{ran:#?}");
    assert_eq!(room.bytes("run/metrics.jsonl"), before);
    fs::create_dir(room.path("other")).unwrap();
    room.write("other/mine.txt", "mine");
    room.on_reference(&["train", "net.toml", "--out", "other"]).expect(73);
    assert_eq!(fs::read_dir(room.path("other")).unwrap().count(), 1);
    fs::create_dir(room.path("empty")).unwrap();
    room.train("empty", &["--epochs", "1"]);
}

// --- stopping ---

#[test]
fn early_stopping_is_a_success() {
    let room = Room::new();
    let summary =
        room.train("run", &["--set", "train.patience=2", "--epochs", "500", "--json"]).json();
    assert_eq!(summary["ended"], "early stopping");
    let (best, steps) =
        (summary["best_epoch"].as_u64().unwrap(), summary["steps"].as_u64().unwrap());
    assert_eq!(steps, (best + 2) * 6, "{summary:#}");
}

#[test]
fn steps_and_time_can_be_bounded() {
    let room = Room::new();
    let summary = room.train("a", &["--max-steps", "7", "--json"]).json();
    assert_eq!((&summary["ended"], &summary["steps"]), (&"finished".into(), &7.into()));
    let summary =
        room.train("b", &["--max-time", "0.3s", "--epochs", "1000000", "-q", "--json"]).json();
    assert_eq!(summary["ended"], "time over");
    assert!(room.path("b/last/model.safetensors").exists());
}

/// Starts a run that would never end, and waits for its first point.
#[cfg(unix)]
fn endless(room: &Room, out: &str) -> Child {
    let args = [
        "train",
        "net.toml",
        "--epochs",
        "1000000000",
        "--out",
        out,
        "--progress",
        "none",
        "--device",
        "reference",
    ];
    let child = room.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let metrics = room.path(out).join("metrics.jsonl");
    let begun = Instant::now();
    while !fs::read_to_string(&metrics).is_ok_and(|text| text.contains('\n')) {
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(30),
            "no point in {}",
            metrics.display()
        );
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    child
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// A signal ends a run with the signal's exit code; the weights are in `last/`.
#[cfg(unix)]
fn stopped_by(name: &str, code: i32) {
    let room = Room::new();
    let child = endless(&room, "run");
    signal(&child, name);
    let ran = Ran::of(child.wait_with_output().unwrap()).expect(code);
    assert_eq!(ran.lines("error"), 0, "{ran:#?}");
    assert_eq!(room.evaluate("run/last")["rows"], 60);
    assert_eq!(room.evaluate("run")["rows"], 60);
    let text = room.text("run/metrics.jsonl");
    assert!(
        text.ends_with('\n')
            && text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok())
    );
}

#[cfg(unix)]
#[test]
fn an_interrupt_keeps_what_was_learned() {
    stopped_by("-INT", 130);
}

#[cfg(unix)]
#[test]
fn a_termination_keeps_what_was_learned() {
    stopped_by("-TERM", 143);
}

/// While data is read, a signal ends the program at once, although here the reading never ends.
#[cfg(unix)]
#[test]
fn a_signal_ends_the_reading_of_data_at_once() {
    let room = Room::new();
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let _ = fs::remove_file(room.path("train.csv"));
        assert!(Command::new("mkfifo").arg(room.path("train.csv")).status().unwrap().success());
        let args = ["train", "net.toml", "--out", "run", "--device", "reference"];
        let mut child =
            room.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The pipe opens when the program reads it.
        let pipe = fs::OpenOptions::new().write(true).open(room.path("train.csv")).unwrap();
        signal(&child, name);
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if begun.elapsed() > std::time::Duration::from_secs(30) {
                child.kill().unwrap();
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert!(!room.path("run").exists(), "a run directory was made");
        drop(pipe);
    }
}

#[cfg(unix)]
#[test]
fn a_run_directory_is_for_one_process() {
    let room = Room::new();
    let child = endless(&room, "run");
    let ran = room.on_reference(&["train", "net.toml", "--out", "run"]);
    signal(&child, "-TERM");
    Ran::of(child.wait_with_output().unwrap()).expect(143);
    assert!(ran.expect(75).err.contains("in use"));
}

// --- models ---

#[test]
fn an_evaluation_agrees_with_the_test_point() {
    let room = Room::new();
    let test = room.train("run", &["--json"]).json()["test"].clone();
    let found = room.evaluate("run");
    assert_eq!(keys(&found), BTreeSet::from(["rows", "loss", "tasks"]));
    assert_eq!(found["rows"], 60);
    for task in ["colour", "size"] {
        assert_eq!(found["tasks"][task]["rows"], 60);
        for metric in ["loss", "accuracy", "log_loss"] {
            let [f, e] = [&found["tasks"][task][metric], &test["tasks"][task][metric]]
                .map(|v| v.as_f64().unwrap());
            // The model's parameters were rounded to f32.
            assert!((f - e).abs() <= 1e-6 * e.abs(), "{task}.{metric}: {f}, in the run {e}");
        }
    }
}

#[test]
fn a_model_can_be_named_in_three_ways() {
    let room = Room::new();
    room.train("run", &[]);
    let expected = room.evaluate("run");
    assert_eq!(room.evaluate("run/model"), expected);
    assert_eq!(room.evaluate("run/model/model.safetensors"), expected);
}

/// Predictions are new columns after the input's, in the order of tasks and classes.
#[test]
fn predictions_keep_rows_and_columns() {
    let room = Room::new();
    room.write("new.csv", unlabelled(25));
    room.train("run", &[]);
    let ran = room.on_reference(&["predict", "run", "--data", "new.csv"]).expect(0);
    let ((inputs, given), (header, records)) = (table(&unlabelled(25)), table(&ran.out));
    let new = [
        "colour",
        "colour:blue",
        "colour:green",
        "colour:red",
        "size",
        "size:large",
        "size:medium",
        "size:small",
    ];
    assert_eq!(header[..4], inputs[..]);
    assert_eq!(header[4..], new.map(str::to_owned)[..]);
    assert_eq!(records.len(), 25);
    for (record, given) in records.iter().zip(&given) {
        assert_eq!(record[..4], given[..]);
        for first in [4, 8] {
            let p: Vec<f64> =
                record[first + 1..first + 4].iter().map(|cell| cell.parse().unwrap()).collect();
            assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{record:?}");
            let best = (0..3).max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap();
            assert_eq!(header[first + 1 + best], format!("{}:{}", header[first], record[first]));
        }
    }
}

#[test]
fn predictions_go_to_a_file_or_into_json() {
    let room = Room::new();
    room.write("new.csv", unlabelled(25));
    room.train("run", &[]);
    let expected = room.on_reference(&["predict", "run", "--data", "new.csv"]).expect(0).out;
    let ran =
        room.on_reference(&["predict", "run", "--data", "new.csv", "--out", "p.csv"]).expect(0);
    assert_eq!((ran.out.as_str(), room.text("p.csv")), ("", expected.clone()));
    let json =
        room.on_reference(&["predict", "run", "--data", "new.csv", "--json"]).expect(0).json();
    assert_eq!(json["rows"], 25);
    let (header, records) = table(&expected);
    for (record, prediction) in records.iter().zip(json["predictions"].as_array().unwrap()) {
        assert_eq!(prediction["colour"]["class"], record[column(&header, "colour")]);
        let probability = prediction["size"]["probabilities"]["small"].as_f64().unwrap();
        let cell: f64 = record[column(&header, "size:small")].parse().unwrap();
        assert!((probability - cell).abs() < 1e-6);
    }
}

/// A labelled file can be predicted too: its columns stay, and the accuracy is the one that
/// `evaluate` prints.
#[test]
fn predictions_agree_with_the_evaluation() {
    let room = Room::new();
    room.train("run", &[]);
    let ran = room.on_reference(&["predict", "run", "--data", "test.csv"]).expect(0);
    let (header, records) = table(&ran.out);
    let hits = |task: &str| {
        let (label, found) = (column(&header, task), column(&header, &format!("{task}:predicted")));
        records.iter().filter(|record| record[label] == record[found]).count() as f64
            / records.len() as f64
    };
    let evaluation = room.evaluate("run");
    for task in ["colour", "size"] {
        assert!(
            (hits(task) - evaluation["tasks"][task]["accuracy"].as_f64().unwrap()).abs() < 1e-12,
            "{task}"
        );
    }
}

#[test]
fn training_starts_from_given_weights() {
    let room = Room::new();
    room.train("a", &[]);
    room.train(
        "b",
        &["--init-from", "a", "--max-steps", "1", "--set", "optimizer.learning_rate=1e-30"],
    );
    assert!(room.bytes("a/model/model.safetensors") == room.bytes("b/model/model.safetensors"));
    assert_eq!(room.evaluate("a"), room.evaluate("b"));
}

#[test]
fn weights_of_another_shape_are_refused() {
    let room = Room::new();
    room.train("a", &[]);
    for set in [
        "trunk.layers=[9]",
        "trunk.layers=[8,8]",
        "task.size.layers=[4]",
        "data.ignore=[\"id\",\"z\"]",
    ] {
        let ran = room
            .on_reference(&["train", "net.toml", "--init-from", "a", "--set", set, "--out", "b"])
            .expect(78);
        assert!(ran.err.contains("--init-from") && ran.lines("hint: ") == 1, "{ran:#?}");
        assert!(!room.path("b").exists(), "{set}: a run directory was made");
    }
}

/// A model with other column names, or another order of columns, is refused as a start even if its
/// width fits.
#[test]
fn weights_of_other_columns_are_refused() {
    let room = Room::new();
    room.train("a", &[]);
    let header = |names: &str| labelled(1, 300).replacen("x,y,z", names, 1);
    for (names, text) in [
        (
            "x,z,y",
            "column 2 is \"y\" of width 1 in the model, \"z\" of width 1 in this configuration",
        ),
        ("w,y,z", "column 1 is \"x\" of width 1 in the model, \"w\" of width 1"),
    ] {
        room.write("other.csv", header(names));
        for part in ["all", "trunk"] {
            let args = [
                "train",
                "net.toml",
                "--init-from",
                "a",
                "--init-part",
                part,
                "--out",
                "b",
                "--set",
            ];
            let sets = ["data.train=other.csv", "--set", "data.test=other.csv"];
            let ran = room.on_reference(&[&args[..], &sets].concat()).expect(78);
            assert!(
                ran.err.contains("--init-from a")
                    && ran.err.contains(text)
                    && ran.lines("hint: ") == 1,
                "{ran:#?}"
            );
            assert!(!room.path("b").exists(), "a run directory was made");
        }
    }
    // Other numbers in the same columns only change the scaling; the columns stay the same.
    room.write("other.csv", labelled(3, 200));
    room.train("b", &["--init-from", "a", "--set", "data.train=other.csv", "--epochs", "1"]);
}

/// The seed changes weights and order, but never which rows are tested on.
#[test]
fn the_seed_does_not_change_the_test_part() {
    let room = Room::new();
    room.train("a", &["--seed", "0"]);
    room.train("b", &["--seed", "7"]);
    assert!(room.bytes("a/model/model.safetensors") != room.bytes("b/model/model.safetensors"));
    let still = |out: &str, seed: &str| {
        let flags = [
            "--init-from",
            "a",
            "--seed",
            seed,
            "--max-steps",
            "1",
            "--set",
            "optimizer.learning_rate=1e-30",
            "--json",
        ];
        let summary = room.train(out, &flags).json();
        ["valid", "test"].map(|split| summary[split]["tasks"].clone())
    };
    assert_eq!(still("c", "0"), still("d", "7"));
}

// --- adapters ---

#[cfg(target_os = "linux")]
#[test]
fn no_adapter_names_the_package() {
    let room = Room::new();
    for args in [
        &["train", "net.toml"][..],
        &["devices"],
        &["doctor"],
        &["bench", "gemm", "--m", "8", "--n", "8", "--k", "8"],
    ] {
        let mut command = room.command(args);
        command.args(["-q", "--backend", "vulkan"]).env("VK_DRIVER_FILES", "/nonexistent");
        let ran = Ran::of(command.output().unwrap()).expect(69);
        assert!(ran.err.contains("mesa-vulkan-drivers"), "{ran:#?}");
        assert_eq!(
            (ran.lines("error: "), ran.lines("hint: "), ran.err.lines().count()),
            (1, 1, 2),
            "{ran:#?}"
        );
    }
    let ran = room.run(&["train", "net.toml", "--backend", "metal"]).expect(69);
    assert!(ran.err.contains("metal") && ran.lines("hint: ") == 1, "{ran:#?}");
    assert!(!room.path("runs").exists(), "a run directory was made");
}

#[cfg(target_os = "linux")]
#[test]
fn explain_works_without_an_adapter_and_says_so() {
    let room = Room::new();
    let explain = |args: &[&str]| {
        Ran::of(room.command(args).env("VK_DRIVER_FILES", "/nonexistent").output().unwrap())
            .expect(0)
    };
    let ran = explain(&["explain", "net.toml"]);
    assert!(ran.err.contains("no adapter") && ran.err.contains("cpu"), "{ran:#?}");
    for text in [
        "class cpu",
        "trunk.0.weight",
        "task.size.0.bias",
        "dense_forward",
        "softmax_cross_entropy",
        "adam",
    ] {
        assert!(ran.out.contains(text), "{text}: {}", ran.out);
    }
    let json = explain(&["explain", "net.toml", "--json"]).json();
    assert_eq!(json["class"], "cpu");
    assert!(json["dispatches"].as_array().is_some_and(|d| d.len() > 4), "{json:#}");
}

#[test]
fn an_unknown_device_is_refused_with_a_list() {
    let room = Room::new();
    for device in ["no such adapter", "999"] {
        let ran = room.run(&["train", "net.toml", "--device", device]).expect(69);
        assert!(ran.err.contains(device), "{ran:#?}");
        assert_eq!((ran.lines("error: "), ran.lines("hint: ")), (1, 1), "{ran:#?}");
    }
}

#[test]
fn devices_lists_what_a_run_would_take() {
    let room = Room::new();
    let json = room.run(&["devices", "--json"]).expect(0).json();
    let chosen = json["chosen"].as_u64().unwrap() as usize;
    let adapter = &json["adapters"][chosen];
    assert!(json["reason"].is_string() && adapter["name"].is_string(), "{json:#}");
    let ran = room.run(&["devices", "--device", &chosen.to_string()]).expect(0);
    assert!(ran.out.contains(adapter["name"].as_str().unwrap()), "{ran:#?}");
}

/// A run on the adapter keeps both streams clean: no output of the driver, and only JSON on stdout.
#[test]
fn a_run_on_the_adapter() {
    let room = Room::new();
    let ran = room.run(&["train", "net.toml", "--out", "run", "--json"]).expect(0);
    assert_eq!((ran.lines("error"), ran.lines("hint")), (0, 0), "{ran:#?}");
    assert!(!ran.err.contains(['\x1b', '\r']), "{ran:#?}");
    assert_eq!(ran.json()["steps"], 18);
    let environment: Value = serde_json::from_str(&room.text("run/environment.json")).unwrap();
    assert!(
        environment["adapter"]["name"].is_string() && environment["limits"].is_object(),
        "{environment:#}"
    );
    let ran = room.run(&["evaluate", "run", "--data", "test.csv", "--json", "-q"]).expect(0);
    assert_eq!(ran.err, "");
    let [f, e] = [ran.json(), room.evaluate("run")].map(|json| json["loss"].as_f64().unwrap());
    assert!((f - e).abs() <= 1e-5 * e, "{f} on the adapter, {e} on the reference");
}

const DEVICE_CLOCK: &str = "timestamps of the device";
const WALL_CLOCK: &str = "wall clock of single submissions";

/// Asserts that the profile in a JSON document has the dispatches of `explain`, and that its
/// figures agree with each other.
fn assert_profile(found: &Value, explained: &Value, clock: &str) {
    let (lines, dispatches) =
        (found["profile"].as_array().unwrap(), explained["dispatches"].as_array().unwrap());
    assert_eq!(found["profile_clock"], clock);
    assert_eq!(lines.len(), dispatches.len());
    let (number, best) = (|value: &Value| value.as_f64().unwrap_or(f64::NAN), &found["ceilings"]);
    for (i, (line, dispatch)) in lines.iter().zip(dispatches).enumerate() {
        assert_eq!(
            (&line["number"], &line["kernel"], &line["for"]),
            (&i.into(), &dispatch["kernel"], &dispatch["for"])
        );
        let seconds = 1e-6 * number(&line["us_per_step"]);
        assert!(seconds > 0.0 && number(&line["bytes"]) > 0.0, "{line:#}");
        for (speed, amount, share) in [
            ("gflop_per_s", &dispatch["flop"], "of_best_gflop_per_s"),
            ("gb_per_s", &line["bytes"], "of_best_gb_per_s"),
        ] {
            let expected = 1e-9 * number(amount) / seconds;
            assert!(
                (number(&line[speed]) - expected).abs() <= 1e-9 * expected,
                "{speed}: {line:#}"
            );
            let expected = number(&line[speed]) / number(&best[speed]);
            assert!(
                (number(&line[share]) - expected).abs() <= 1e-9 * expected,
                "{share}: {line:#}"
            );
        }
    }
    let shares: f64 = lines.iter().map(|line| number(&line["share"])).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{shares}");
}

/// By the device's clock, and by the wall clock with default limits, which exclude the device's
/// clock.
#[test]
fn a_profile_has_every_dispatch_and_changes_no_result() {
    let room = Room::new();
    let devices = room.run(&["devices", "--json"]).expect(0).json();
    let features = &devices["adapters"][devices["chosen"].as_u64().unwrap() as usize]["features"];
    let own = if features.as_array().unwrap().contains(&"timestamps".into()) {
        DEVICE_CLOCK
    } else {
        WALL_CLOCK
    };
    for (name, limits, clock) in
        [("own", &[][..], own), ("wall", &["--default-limits"][..], WALL_CLOCK)]
    {
        let run = |args: &[&str]| room.run(&[args, limits].concat()).expect(0);
        let explained = run(&["explain", "net.toml", "--json"]).json();
        assert_profile(
            &run(&["train", "net.toml", "--out", name, "--json", "--profile"]).json(),
            &explained,
            clock,
        );
        let plain = format!("{name}-plain");
        assert!(run(&["train", "net.toml", "--out", &plain, "--json"]).json()["profile"].is_null());
        let model = |run: &str| room.bytes(&format!("{run}/last/model.safetensors"));
        assert!(model(name) == model(&plain), "{name}: the parameters differ");
    }
}

/// The shortest run that can be profiled has one step.
#[test]
fn a_profile_of_one_step_is_a_table() {
    let room = Room::new();
    let ran =
        room.run(&["train", "net.toml", "--max-steps", "1", "--profile", "--out", "run"]).expect(0);
    let lines: Vec<&str> = ran.out.lines().collect();
    let head = lines
        .iter()
        .position(|line| line.contains("µs per step"))
        .unwrap_or_else(|| panic!("{ran:#?}"));
    let count = room.run(&["explain", "net.toml", "--json"]).expect(0).json()["dispatches"]
        .as_array()
        .unwrap()
        .len();
    let numbers: Vec<usize> = lines[head + 1..]
        .iter()
        .map_while(|line| line.split_whitespace().next()?.parse().ok())
        .collect();
    assert_eq!(numbers, (0..count).collect::<Vec<_>>(), "{}", ran.out);
    let below = lines[head + 1 + count..].join("\n");
    for said in [
        "means of 1 steps",
        "so a step takes longer than without --profile",
        "best: ",
        "GFLOP/s",
        "GB/s, adam over",
    ] {
        assert!(below.contains(said), "{said}: {below}");
    }
}

#[test]
fn a_benchmark_has_a_profile_where_asked() {
    let room = Room::new();
    let shape = [
        "bench",
        "step",
        "--inputs",
        "4",
        "--trunk",
        "5",
        "--classes",
        "3,3",
        "--batch",
        "6",
        "--steps",
        "2",
        "--rows",
        "50",
        "--json",
    ];
    let begun = Instant::now();
    let found = room.run(&[&shape[..], &["--profile"]].concat()).expect(0).json();
    let (lines, count) =
        (found["profile"].as_array().unwrap(), found["dispatches_per_step"].as_f64().unwrap());
    assert_eq!(lines.len(), count as usize, "{found:#}");
    let products = lines
        .iter()
        .filter(|line| line["flop"] != 0)
        .map(|line| line["share"].as_f64().unwrap())
        .sum::<f64>();
    let number = |key: &str| found[key].as_f64().unwrap_or_else(|| panic!("{key}: {found:#}"));
    assert!(
        (number("product_share") - products).abs() < 1e-9 && products > 0.0 && products < 1.0,
        "{found:#}"
    );
    assert!(
        number("encode_us_per_step") > number("submit_us_per_step")
            && number("submit_us_per_step") > 0.0,
        "{found:#}"
    );
    assert!(
        (number("encode_us_per_dispatch") * count - number("encode_us_per_step")).abs() < 1e-6,
        "{found:#}"
    );
    let first = number("first_step_seconds");
    assert!(
        first > 1e-3 * found["ms_per_step"]["min"].as_f64().unwrap()
            && first < begun.elapsed().as_secs_f64(),
        "{found:#}"
    );
    assert!(room.run(&shape).expect(0).json()["profile"].is_null());
}

/// The first step is timed on every machine; the shares of host and device only exist on a device.
#[test]
fn a_benchmark_on_the_reference_reports_no_device() {
    let room = Room::new();
    let shape = [
        "bench",
        "step",
        "--inputs",
        "4",
        "--trunk",
        "5",
        "--classes",
        "3",
        "--batch",
        "6",
        "--steps",
        "2",
        "--rows",
        "50",
        "--json",
    ];
    let found = room.on_reference(&shape).expect(0).json();
    for key in
        ["encode_us_per_step", "submit_us_per_step", "encode_us_per_dispatch", "product_share"]
    {
        assert!(
            found.as_object().unwrap().contains_key(key) && found[key].is_null(),
            "{key}: {found:#}"
        );
    }
    assert!(
        found["first_step_seconds"].as_f64().unwrap() > 0.0
            && found["steps_per_submission"].as_u64().unwrap() > 0,
        "{found:#}"
    );
}

/// With a learning rate that is far too large, the message names step and tensor, and `last/` holds
/// the parameters before that step.
#[test]
fn a_value_that_is_not_finite_on_the_adapter() {
    let room = Room::new();
    let ran = room
        .run(&[
            "train",
            "net.toml",
            "--out",
            "run",
            "--set",
            "optimizer.kind=sgd",
            "--set",
            "optimizer.learning_rate=1e30",
        ])
        .expect(3);
    assert!(ran.err.contains("error: step ") && ran.err.contains("is not finite"), "{ran:#?}");
    assert_eq!((ran.lines("error"), ran.lines("hint")), (1, 1), "{ran:#?}");
    assert!(room.path("run/last/model.safetensors").exists());
}

#[test]
fn a_value_that_is_not_finite_on_the_reference() {
    let room = Room::new();
    let args = [
        "train",
        "net.toml",
        "--out",
        "run",
        "--set",
        "optimizer.kind=sgd",
        "--set",
        "optimizer.learning_rate=1e38",
    ];
    let ran = room.on_reference(&args).expect(3);
    assert!(ran.err.contains("error: step ") && ran.err.contains("is not finite"), "{ran:#?}");
}

// --- exit codes ---

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_failed_write() {
    let room = Room::new();
    room.train("run", &[]);
    room.on_reference(&["predict", "run", "--data", "test.csv", "--out", "/dev/full"]).expect(74);
    for args in [&["evaluate", "run"][..], &["predict", "run"]] {
        let args = [args, &["--data", "test.csv", "--device", "reference"]].concat();
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = Ran::of(room.command(&args).stdout(full).output().unwrap()).expect(74);
        assert_eq!((ran.lines("error: "), ran.out.len()), (1, 0), "{ran:#?}");
    }
}

/// (command, exit code, text in stderr). `run` is a model; [`spoil`] makes the other files.
const BAD: &[(&str, i32, &str)] = &[
    ("", 2, "Usage"),
    ("frobnicate", 2, "frobnicate"),
    ("train", 2, "CONFIG"),
    ("train net.toml --no-such-flag", 2, "--no-such-flag"),
    ("train net.toml --epochs many", 2, "--epochs"),
    ("train net.toml --seed -1", 2, "-1"),
    ("train net.toml -q -v", 2, "--verbose"),
    ("train net.toml --steps-per-submission 65", 2, "65"),
    ("train net.toml --backend opengl", 2, "opengl"),
    ("train net.toml --color sometimes", 2, "sometimes"),
    ("evaluate run", 2, "--data"),
    ("evaluate run --data digits-overlay:best", 2, "digits-overlay:best"),
    ("bench step --classes 1", 2, "--classes"),
    ("bench step --trunk wide", 2, "wide"),
    ("bench step --coupling none,none", 2, "--coupling"),
    ("train net.toml --init-part trunk", 2, "--init-from"),
    ("train net.toml --allow-nonfinite", 2, "--init-from"),
    ("train --resume run --init-part trunk", 2, "cannot be used with"),
    ("train --resume run --allow-nonfinite", 2, "cannot be used with"),
    ("demo --init-part trunk", 2, "--init-from"),
    ("train net.toml --retry-device 1", 2, "--retry-device goes on where an adapter is lost"),
    ("train --resume run --retry-device 1", 2, "--retry-device goes on where an adapter is lost"),
    ("train net.toml --profile", 2, "--profile times what an adapter runs"),
    ("bench step --profile", 2, "--profile times what an adapter runs"),
    ("bench step --profile --sweep batch=1,2", 2, "cannot be used with"),
    ("bench step --svg s.svg", 2, "--svg draws a sweep"),
    ("bench step --sweep depth=1,2", 2, "depth"),
    ("bench step --sweep batch", 2, "no values"),
    ("bench step --sweep batch=1,x", 2, "\"x\": expected a whole number"),
    ("bench step --sweep batch=0..8", 2, "\"0\": expected a whole number"),
    ("bench step --sweep batch=8", 2, "more than one value"),
    ("bench step --sweep batch=8,4", 2, "4 stands after 8"),
    ("bench step --sweep batch=4,8..16,16", 2, "16 stands after 16"),
    ("bench step --sweep batch=8..4", 2, "8..4 goes down"),
    ("bench step --sweep batch=8..100", 2, "8..64 or 8..128"),
    ("bench step --sweep heads=1,20000", 2, "too many heads"),
    ("bench step --sweep batch=1,2 --sweep heads=1,2", 2, "multiple times"),
    ("bench step --sweep batch=1,2 --batch 2", 2, "--batch has no effect"),
    ("bench step --sweep trunk=1,2 --trunk none", 2, "there is no trunk"),
    ("bench step --sweep heads=1,2 --coupling agreement", 2, "pairs of heads"),
    ("bench gemm --m 0", 2, "--m"),
    ("evaluate truncated --data test.csv", 65, "truncated/model.safetensors"),
    ("evaluate newer --data test.csv", 65, "newer than this program"),
    ("evaluate no-schema --data test.csv", 65, "no-schema/schema.json"),
    ("evaluate net.toml --data test.csv", 65, "net.toml"),
    ("evaluate run --data digits-overlay:test", 65, "columns of a table"),
    ("evaluate run --data unlabelled.csv", 65, "\"colour\", \"size\""),
    ("evaluate run --data purple.csv", 65, "purple.csv:2: column \"colour\": \"purple\""),
    ("predict run --data word.csv", 65, "word.csv:3: column \"z\": \"three\" is not a number"),
    ("predict run --data nan.csv", 65, "nan.csv:2: column \"y\""),
    ("predict run --data huge.csv", 65, "huge.csv:2: column \"y\""),
    ("predict run --data ragged.csv", 65, "ragged.csv:3: 2 cells"),
    ("predict run --data column.csv", 65, "\"z\""),
    ("predict run --data empty.csv", 65, "empty"),
    ("predict run --data header.csv", 65, "no rows"),
    ("predict run --data quote.csv", 65, "quote.csv:2"),
    ("predict run --data latin.csv", 65, "latin.csv:2"),
    ("predict run --data junk.csv.gz", 65, "junk.csv.gz"),
    ("train net.toml --init-from net.toml", 65, "net.toml"),
    ("train net.toml --set data.train=word.csv --set data.ignore=[]", 78, "task.colour.target"),
    ("train missing.toml", 66, "missing.toml"),
    ("train .", 66, "directory"),
    ("train net.toml --init-from missing", 66, "missing"),
    ("train net.toml --set data.train=missing.csv", 66, "missing.csv"),
    ("evaluate missing --data test.csv", 66, "missing"),
    ("evaluate . --data test.csv", 66, "no model"),
    ("evaluate no-weights --data test.csv", 66, "no-weights/model.safetensors"),
    ("evaluate run --data missing.csv", 66, "missing.csv"),
    ("predict run --data .", 66, "directory"),
    ("train net.toml --out net.toml", 73, "net.toml"),
    ("train net.toml --out run", 73, "not empty"),
    ("predict run --data test.csv --out missing/p.csv", 73, "missing/p.csv"),
    ("bench step --sweep batch=1,2 --svg missing/s.svg", 73, "missing/s.svg"),
    ("bench step --sweep batch=1,2 --svg .", 73, "cannot be created"),
    ("train net.toml --epochs 0", 78, "train.epochs"),
    ("train net.toml --max-time soon", 78, "train.max_time"),
    ("train net.toml --set epochs", 78, "section.key=value"),
    ("train net.toml --set trunk.layer=[8]", 78, "trunk.layers"),
    ("train net.toml --set trunk.layers=8", 78, "trunk.layers"),
    ("train net.toml --set trunk.dropout=1", 78, "trunk.dropout"),
    ("train net.toml --set trunk.activation=rleu", 78, "relu"),
    ("train net.toml --set task.color.weight=2", 78, "colour"),
    ("train net.toml --set task.colour.target=hue", 78, "hue"),
    ("train net.toml --set data.ignore=[\"zz\"]", 78, "zz"),
    ("train net.toml --set data.split=[0.5,0.5]", 78, "data.split"),
    ("train net.toml --set optimizer.learning_rate=nan", 78, "optimizer.learning_rate"),
    ("train net.toml --set optimizer.momentum=0.9", 78, "optimizer.momentum"),
    ("train net.toml --set train.batch_size=0", 78, "train.batch_size"),
    (
        "train net.toml --accumulate 49",
        78,
        "train.accumulate: 49 parts of a batch, and a batch has 48 rows",
    ),
    (
        "train net.toml --accumulate 277 --set train.batch_size=full",
        78,
        "train.accumulate: 277 parts of a batch, and a batch has 276 rows",
    ),
    (
        "train net.toml --set feature.x.embed=4",
        78,
        "type numeric, and the key is for category and text",
    ),
    ("train net.toml --set train.select=colour.f2", 78, "train.select"),
    ("train net.toml --set coupling.0.kind=agreement", 78, "classes differ"),
    ("train net.toml --set coupling.0.kind=friendship", 78, "friendship"),
    ("train unclosed.toml", 78, "unclosed.toml:1:"),
    ("train binary.toml", 78, "binary.toml"),
    ("train blank.toml", 78, "data.train"),
    ("explain net.toml --set trunk.layers=8", 78, "trunk.layers"),
];

/// Makes the files of [`BAD`].
fn spoil(room: &Room) {
    room.train("run", &[]);
    for model in ["truncated", "newer", "no-schema", "no-weights"] {
        fs::create_dir(room.path(model)).unwrap();
        for file in ["model.safetensors", "config.json", "schema.json"] {
            fs::copy(room.path("run/model").join(file), room.path(model).join(file)).unwrap();
        }
    }
    room.write("truncated/model.safetensors", &room.bytes("run/model/model.safetensors")[..100]);
    let mut config: Value = serde_json::from_str(&room.text("run/model/config.json")).unwrap();
    config["format"] = 999.into();
    room.write("newer/config.json", config.to_string());
    room.write("no-schema/schema.json", "{");
    fs::remove_file(room.path("no-weights/model.safetensors")).unwrap();
    room.write("unlabelled.csv", unlabelled(3));
    room.write("purple.csv", "x,y,z,colour,size\n1,2,3,purple,small\n");
    room.write("word.csv", "x,y,z\n1,2,3\n1,2,three\n");
    room.write("nan.csv", "x,y,z\n1,inf,3\n");
    room.write("huge.csv", "x,y,z\n1,1e39,3\n");
    room.write("ragged.csv", "x,y,z\n1,2,3\n1,2\n");
    room.write("column.csv", "x,y\n1,2\n");
    room.write("empty.csv", "");
    room.write("header.csv", "x,y,z\n");
    room.write("quote.csv", "x,y,z\n1,2,\"3\n");
    room.write("latin.csv", b"x,y,z\n1,\xe9,3\n");
    room.write("junk.csv.gz", b"\x1f\x8bjunk");
    room.write("unclosed.toml", "[data\n");
    room.write("binary.toml", b"\xff\xfe");
    room.write("blank.toml", "");
}

fn ends_with_both(err: &str) -> bool {
    let lines: Vec<&str> = err.lines().collect();
    let [.., error, hint] = lines[..] else { return false };
    error.starts_with("error: ") && hint.starts_with("hint: ")
}

/// What is wrong with the program's answer to a bad command, if anything.
fn complaint(ran: &Ran, code: i32, text: &str) -> Option<String> {
    let plain = !["panicked", "RUST_BACKTRACE", "stack backtrace", "\x1b"]
        .iter()
        .any(|bad| ran.err.contains(bad));
    // The parser of the command line has its own words for what to do, and prints only the usage if
    // there is no verb.
    let errors = if code == 2 { ran.lines("error: ") <= 1 } else { ran.lines("error: ") == 1 };
    let hints = if code == 2 { ran.lines("hint: ") <= 1 } else { ran.lines("hint: ") == 1 };
    let rules = [
        (ran.code == Some(code), format!("exit {:?}, expected {code}", ran.code)),
        (ran.err.contains(text), format!("stderr lacks \"{text}\"")),
        (plain, "a panic, a backtrace or an escape byte".to_owned()),
        (errors, "not exactly one line of error".to_owned()),
        (hints, "not exactly one hint".to_owned()),
        (
            code == 2 || ends_with_both(&ran.err),
            "an error and its hint are not the last two lines".to_owned(),
        ),
        (ran.out.is_empty(), "something on stdout".to_owned()),
    ];
    rules.into_iter().find(|(kept, _)| !kept).map(|(_, broken)| broken)
}

#[test]
fn bad_input_has_its_exit_code_one_error_and_one_hint() {
    let room = Room::new();
    spoil(&room);
    let mut complaints = Vec::new();
    for (command, code, text) in BAD {
        let mut args: Vec<&str> = command.split_whitespace().collect();
        let has_device = args.is_empty()
            || args.contains(&"--backend")
            || args.contains(&"gemm")
            || args == ["frobnicate"];
        if !has_device {
            args.extend(["--device", "reference"]);
        }
        let ran = room.run(&args);
        if let Some(complaint) = complaint(&ran, *code, text) {
            complaints.push(format!("tandem {command}: {complaint}\n{}", ran.err));
        }
    }
    assert!(
        complaints.is_empty(),
        "{} of {}:\n{}",
        complaints.len(),
        BAD.len(),
        complaints.join("\n")
    );
    assert!(!room.path("runs").exists(), "a run directory was made");
}

/// This file provokes every exit code of the program, except 70 for a lost device, which
/// `tests/gpu/limits.rs` provokes.
#[test]
fn the_table_covers_the_codes() {
    let codes: BTreeSet<i32> = BAD.iter().map(|(_, code, _)| *code).collect();
    assert_eq!(codes, BTreeSet::from([2, 65, 66, 73, 78]));
}

/// Tiles that were measured, tiles from the cache, and default tiles give the same bytes.
#[test]
fn tiles_change_no_result() {
    let room = Room::new();
    let train = |out: &str, tune: &str| {
        let args = ["train", "net.toml", "--out", out, "--tune", tune, "--set", "train.epochs=1"];
        let cache = room.path("cache");
        Ran::of(room.command(&args).env("TANDEM_CACHE_DIR", &cache).output().unwrap()).expect(0);
        let environment =
            std::fs::read_to_string(room.path(&format!("{out}/environment.json"))).unwrap();
        let tiles =
            serde_json::from_str::<serde_json::Value>(&environment).unwrap()["kernels"]["tiles"]
                .clone();
        let origins: Vec<String> = tiles
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["origin"].as_str().unwrap().into())
            .collect();
        (std::fs::read(room.path(&format!("{out}/last/model.safetensors"))).unwrap(), origins)
    };
    let (off, forced, cached) =
        (train("off", "off"), train("forced", "force"), train("cached", "cached"));
    assert_eq!(
        [off.1, forced.1, cached.1],
        [vec!["default"; 3], vec!["measured"; 3], vec!["cache"; 3]]
    );
    assert!(off.0 == forced.0 && forced.0 == cached.0, "models differ");
}

/// Kernels that are new to the driver, which a second device compiles at the same time, and kernels
/// that it knows give the same bytes.
#[test]
fn kernels_that_are_new_to_the_driver_change_no_result() {
    let room = Room::new();
    let train = |out: &str| {
        let args = ["train", "net.toml", "--out", out, "--set", "train.epochs=1"];
        let command = &mut room.command(&args);
        command
            .env("TANDEM_CACHE_DIR", room.path("cache"))
            .env("MESA_SHADER_CACHE_DIR", room.path("driver"));
        Ran::of(command.output().unwrap()).expect(0);
        let entries = std::fs::read_dir(room.path("cache"))
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path());
        let met: Vec<String> = entries
            .filter(|p| p.to_string_lossy().ends_with("-met"))
            .map(|p| std::fs::read_to_string(p).unwrap())
            .collect();
        (std::fs::read(room.path(&format!("{out}/last/model.safetensors"))).unwrap(), met)
    };
    let (new, known) = (train("new"), train("known"));
    assert!(new.0 == known.0, "models differ");
    assert_eq!(new.1, known.1, "met again");
    let cores = std::thread::available_parallelism().unwrap().get();
    if tandem::device::Gpu::open(&Default::default()).unwrap().entry.class
        == tandem::kernels::tuning::Class::Software
        && cores > 1
    {
        assert!(new.1.len() == 1 && new.1[0].lines().count() >= 6, "{:?}", new.1);
    }
}
