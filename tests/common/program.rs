//! Starts the program as a process, in a directory of its own with a table and a configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tandem::rng::{Purpose, below, normal, uniform};
use tempfile::TempDir;

/// A configuration with everything that has a state: dropout, couplings, moments, a learning rate
/// that changes, early stopping, a best model. An epoch has 13 steps, the last one with a short
/// batch; the run has 156 steps.
pub const NET: &str = "
[data]
train = \"train.csv\"
valid = \"valid.csv\"
test = \"test.csv\"
[trunk]
layers = [12]
dropout = 0.1
[task.a]
layers = [5]
[task.b]
layers = [5]
[[coupling]]
kind = \"soft_sharing\"
strength = 0.05
[[coupling]]
kind = \"agreement\"
strength = 0.1
[optimizer]
learning_rate = 5e-3
schedule = \"cosine\"
warmup_steps = 5
[train]
epochs = 12
batch_size = 16
patience = 11
log_every = \"1s\"
checkpoint_every = \"5s\"
";

/// The number of steps of [`NET`].
pub const STEPS: u64 = 156;

/// The exit code and the output of a process.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    pub fn expect(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// The JSON document on stdout.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }

    /// Asserts that stderr contains each of `pieces`.
    pub fn says(self, pieces: &[&str]) -> Ran {
        pieces
            .iter()
            .for_each(|piece| assert!(self.err.contains(piece), "no \"{piece}\": {self:#?}"));
        self
    }

    /// Asserts one error line, one hint line, the exit code, and `pieces` in stderr.
    pub fn refused(self, code: i32, pieces: &[&str]) -> Ran {
        let lines = |word: &str| self.err.lines().filter(|line| line.starts_with(word)).count();
        assert_eq!((lines("error: "), lines("hint: ")), (1, 1), "{self:#?}");
        assert!(!self.err.contains("panicked"), "{self:#?}");
        self.expect(code).says(pieces)
    }
}

/// A directory in which the program is started.
pub struct Room(TempDir);

impl Room {
    pub fn new(net: &str) -> Room {
        Room::on(memory(), net)
    }

    /// A room in the directory `folder`.
    pub fn on(folder: TempDir, net: &str) -> Room {
        let room = Room(folder);
        room.write("train.csv", rows(1, 200));
        room.write("valid.csv", rows(2, 40));
        room.write("test.csv", rows(3, 30));
        room.write("net.toml", net);
        room
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.path(name), contents).unwrap();
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }

    /// A program, ready to start in this room. Variables of the tester's environment that tandem
    /// reads are removed.
    pub fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        for name in [
            "TANDEM_DEVICE",
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
            .env("TANDEM_CACHE_DIR", self.path("cache"))
            .current_dir(self.0.path())
            .stdin(Stdio::null());
        command
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_tandem"));
        command.args(args);
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Runs a verb on the float64 reference.
    pub fn on_reference(&self, args: &[&str]) -> Ran {
        self.run(&[args, &["--device", "reference"]].concat())
    }

    /// Trains into the run directory `out`.
    pub fn train(&self, out: &str, more: &[&str]) -> Ran {
        self.on_reference(&[&["train", "net.toml", "--out", out][..], more].concat())
    }

    /// Goes on with a run.
    pub fn resume(&self, run: &str, more: &[&str]) -> Ran {
        self.on_reference(&[&["train", "--resume", run][..], more].concat())
    }

    /// The steps of the checkpoints of a run, newest first.
    pub fn checkpoints(&self, run: &str) -> Vec<u64> {
        tandem::run::checkpoint::list(&self.path(run).join("checkpoints"))
            .into_iter()
            .map(|(step, _)| step)
            .collect()
    }

    /// The highest step in the complete lines of `metrics.jsonl`, or 0. The last line may be about
    /// the model that was kept, which is of an earlier step.
    pub fn last_step(&self, run: &str) -> u64 {
        let text = fs::read_to_string(self.path(run).join("metrics.jsonl")).unwrap_or_default();
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        lines
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["step"].as_u64().unwrap())
            .max()
            .unwrap_or(0)
    }

    /// Everything that must not depend on interruptions: models, points and table, without the
    /// seconds.
    pub fn result(&self, run: &str) -> Vec<(String, Vec<u8>)> {
        let files = ["model.safetensors", "config.json", "schema.json"];
        let best = fs::read_dir(self.path(run).join("best")).into_iter().flatten().flatten();
        let mut models: Vec<String> = best
            .map(|entry| format!("best/{}", entry.file_name().to_string_lossy()))
            .chain(["model", "last"].map(String::from))
            .collect();
        models.sort();
        let names =
            models.iter().flat_map(|model| files.map(|file| format!("{run}/{model}/{file}")));
        let mut all: Vec<_> =
            names.map(|name| (name[run.len()..].to_owned(), self.bytes(&name))).collect();
        all.push(("points".into(), self.points(run).join("\n").into_bytes()));
        all.push(("table".into(), table(&self.path(run).join("metrics.csv"))));
        all
    }

    /// Lines of `metrics.jsonl` without the seconds.
    pub fn points(&self, run: &str) -> Vec<String> {
        let timeless = |line: &str| {
            let mut point: Value =
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            point.as_object_mut().unwrap().remove("seconds");
            point.to_string()
        };
        self.text(&format!("{run}/metrics.jsonl")).lines().map(timeless).collect()
    }

    /// Asserts that two runs left the same files.
    pub fn same(&self, run: &str, other: &str) {
        let (found, expected) = (self.result(run), self.result(other));
        assert_eq!(found.len(), expected.len(), "files of {run} and {other}");
        for ((name, found), (_, expected)) in found.into_iter().zip(expected) {
            assert!(found == expected, "{name} of {run} and {other} differ");
        }
    }

    /// Asserts that the run `whole`, copied to `part` and taken up at a checkpoint, ends with the
    /// same files.
    pub fn same_from(&self, step: u64) {
        let copied = self.program("cp").args(["-r", "whole", "part"]).status().unwrap();
        assert!(copied.success());
        for later in self.checkpoints("part").into_iter().filter(|at| *at > step) {
            let name = format!("part/checkpoints/step-{later}");
            fs::remove_dir_all(self.path(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        assert_eq!(self.checkpoints("part")[0], step);
        self.resume("part", &[]).expect(0);
        self.same("whole", "part");
        fs::remove_dir_all(self.path("part")).unwrap();
    }

    /// Asserts that no temporary file is left in a run directory.
    pub fn is_tidy(&self, run: &str) {
        let mut folders = vec![self.path(run)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                assert!(
                    !name.contains("tmp") && !name.starts_with(".was"),
                    "{} was left",
                    entry.path().display()
                );
                folders.extend(entry.path().is_dir().then(|| entry.path()));
            }
        }
    }
}

/// `metrics.csv` without the seconds.
fn table(path: &Path) -> Vec<u8> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let seconds = rows[0].iter().position(|name| name == "seconds").unwrap();
    let cells = |row: &csv::StringRecord| {
        row.iter().enumerate().filter(|(i, _)| *i != seconds).map(|(_, c)| c.to_owned()).collect()
    };
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let cells: Vec<String> = cells(row);
            cells.join(",")
        })
        .collect();
    lines.join("\n").into_bytes()
}

/// A CSV table with `count` rows: five numbers and the labels of two tasks of three classes that
/// depend on them.
pub fn rows(seed: u64, count: u64) -> String {
    let mut text = String::from("x0,x1,x2,x3,x4,a,b\n");
    for row in 0..count {
        let x: Vec<f64> = (0..5).map(|i| normal(seed, Purpose::Synthetic, i, row)).collect();
        let noisy = |y: f64, stream: u64| {
            if uniform(seed, Purpose::Synthetic, stream, row) < 0.1 { 0.0 } else { y }
        };
        let class = |y: f64| {
            if y < -0.5 {
                0
            } else if y < 0.5 {
                1
            } else {
                2
            }
        };
        let numbers: Vec<String> = x.iter().map(|x| format!("{x:.4}")).collect();
        text += &format!(
            "{},{},{}\n",
            numbers.join(","),
            class(noisy(x[0] + x[1], 10)),
            class(noisy(x[0] - x[2], 11))
        );
    }
    text
}

/// A directory in memory if possible, because a disk takes long to confirm what is written.
pub fn memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// Waits until a process ends; `None` if it runs longer than `most`.
pub fn wait(child: &mut Child, most: Duration) -> Option<ExitStatus> {
    let begun = Instant::now();
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return Some(status),
            None if begun.elapsed() > most => return None,
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Waits until a process has taken the signals that were sent to it. The time-out only ends a hang.
pub fn wait_for_delivery(child: &Child) {
    let status = format!("/proc/{}/status", child.id());
    let pending = || {
        let text = fs::read_to_string(&status).ok()?;
        let set = text.lines().find_map(|line| line.strip_prefix("ShdPnd:"))?;
        u64::from_str_radix(set.trim(), 16).ok()
    };
    let begun = Instant::now();
    while pending().is_some_and(|set| set != 0) {
        assert!(begun.elapsed() < Duration::from_secs(60), "the signals are not taken");
        std::thread::sleep(Duration::from_millis(1));
    }
    // The handler runs soon after the signal was taken. Systems without /proc rely on this alone.
    std::thread::sleep(Duration::from_millis(100));
}

/// Sends a signal to a process.
pub fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// A sequence of random numbers that depends on a seed alone.
pub struct Draws(pub u64, u64);

impl Draws {
    pub fn new(seed: u64) -> Draws {
        Draws(seed, 0)
    }

    /// A random number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.1 += 1;
        below(n, self.0, Purpose::Synthetic, 77, self.1)
    }

    /// A random number from 0 to 1.
    pub fn uniform(&mut self) -> f64 {
        self.1 += 1;
        uniform(self.0, Purpose::Synthetic, 78, self.1)
    }
}
