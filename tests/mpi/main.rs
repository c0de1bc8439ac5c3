//! Several processes that `mpirun` starts on this machine, on its own slots: they train together,
//! with the bits of one.

#[path = "../common/mod.rs"]
mod common;

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::program::{NET, Ran, Room};
use serde_json::Value;

fn room() -> Room {
    Room::new(NET)
}

/// A launch of so many ranks, with the arguments of each.
fn launch(room: &Room, of_ranks: &[(usize, &[&str])]) -> Command {
    let mut command = room.program("mpirun");
    command.args(["--oversubscribe", "--quiet"]);
    // Tests may run as root, in a container.
    for name in ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] {
        command.env(name, "1");
    }
    for (i, (count, args)) in of_ranks.iter().enumerate() {
        command.args(if i > 0 { &[":"][..] } else { &[] });
        command.args(["-n", &count.to_string()]).arg(env!("CARGO_BIN_EXE_tandem")).args(*args);
    }
    command
}

fn on_ranks(room: &Room, count: usize, args: &[&str]) -> Ran {
    let args = [args, &["--progress", "none"]].concat();
    Ran::of(launch(room, &[(count, &args)]).output().unwrap())
}

fn train(room: &Room, count: usize, out: &str, more: &[&str]) -> Ran {
    on_ranks(room, count, &[&["train", "net.toml", "--out", out], more].concat())
}

/// The points of a run without their times.
fn points(room: &Room, run: &str) -> Vec<Value> {
    let text = room.text(&format!("{run}/metrics.jsonl"));
    let point = |line: &str| {
        let mut point: Value = serde_json::from_str(line).unwrap();
        point.as_object_mut().unwrap().remove("seconds");
        point
    };
    text.lines().map(point).collect()
}

fn same(room: &Room, a: &str, b: &str) {
    for file in ["model/model.safetensors", "last/model.safetensors", "config.toml"] {
        let [a, b] = [a, b].map(|run| room.bytes(&format!("{run}/{file}")));
        assert!(a == b, "{file} differs");
    }
    assert_eq!(points(room, a), points(room, b));
}

#[test]
fn ranks_give_the_bytes_of_one() {
    let room = room();
    for (name, device) in [("cpu", "cpu"), ("adapter", "auto")] {
        let run = |count: usize| format!("{name}-{count}");
        for count in [1, 2, 4] {
            let ran = train(&room, count, &run(count), &["--device", device]).expect(0);
            let told = ["batches are cut into 8 shards".to_owned(), format!("{count} ranks: ")];
            let told: Vec<&str> = told.iter().map(String::as_str).collect();
            ran.says(&told[..if count > 1 { 2 } else { 1 }]);
        }
        same(&room, &run(1), &run(2));
        same(&room, &run(1), &run(4));
    }
    // A process that MPI did not start has all shards itself.
    let alone = ["train", "net.toml", "--set", "train.shards=8", "--out", "alone"];
    room.run(&[&alone[..], &["--device", "cpu"]].concat()).expect(0);
    same(&room, "cpu-1", "alone");
}

/// The adapter's own memory of a value that was not finite is forgotten with that of the others.
#[test]
fn a_step_that_is_skipped_is_skipped_by_all() {
    let room = room();
    let wild = "3e38,3e38,3e38,3e38,3e38,0,0\n";
    room.write("train.csv", room.text("train.csv") + wild);
    let plain = |name: &str| format!("[feature.{name}]\nscale = \"none\"\nclip = false\n");
    room.write("net.toml", [NET, &plain("x0"), &plain("x1")].concat());
    for count in [1, 2] {
        let more = ["--on-nan", "skip", "--max-steps", "13", "--set", "train.evaluate_every=1s"];
        let ran = train(&room, count, &format!("skips-{count}"), &more).expect(0);
        ran.says(&["the step is skipped"]);
    }
    same(&room, "skips-1", "skips-2");
}

#[test]
fn a_run_goes_on_with_another_number_of_ranks() {
    let room = room();
    let cpu = ["--device", "cpu", "--checkpoint-every", "20s"];
    train(&room, 2, "whole", &cpu).expect(0);
    let child = {
        let args = [&["train", "net.toml", "--out", "cut"], &cpu[..]].concat();
        let mut command = launch(&room, &[(4, &args)]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let begun = Instant::now();
    let checkpoints = room.path("cut/checkpoints");
    while fs::read_dir(&checkpoints).map_or(0, Iterator::count) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "no checkpoint");
        std::thread::sleep(Duration::from_millis(2));
    }
    // One rank dies, and the launcher ends the others.
    let ranks = Command::new("pgrep").args(["-P", &child.id().to_string()]).output().unwrap();
    let ranks = String::from_utf8(ranks.stdout).unwrap();
    let victim = ranks.lines().last().map(str::to_owned);
    if let Some(victim) = victim {
        Command::new("kill").args(["-KILL", &victim]).status().unwrap();
    }
    let mut child = child;
    child.wait().unwrap();
    let go_on = ["train", "--resume", "cut", "--device", "cpu"];
    on_ranks(&room, 1, &go_on).expect(0);
    same(&room, "whole", "cut");
}

#[test]
fn ranks_that_differ_are_refused_before_the_first_step() {
    let room = room();
    let args = |epochs| ["train", "net.toml", "--out", "no", "--epochs", epochs];
    let ran = launch(&room, &[(1, &args("3")), (1, &args("4"))]).output().unwrap();
    let said = ["rank 1 has another command than rank 0: train net.toml --out no --epochs 4"];
    Ran::of(ran).expect(78).says(&said);
    let ran = train(&room, 3, "no", &["--device", "cpu"]).expect(78);
    ran.says(&["train.shards: 8 shards of a batch, and 3 ranks that share them"]);
    assert!(!room.path("no").exists());
    let alone = ["--device", "cpu", "--set", "train.shards=1"];
    train(&room, 2, "no", &alone).expect(78).says(&["1 shards of a batch, and 2 ranks"]);
    train(&room, 1, "one", &alone).expect(0);
    train(&room, 2, "no", &["--device", "reference"]).expect(2).says(&["float64"]);
}

/// The first rank alone reads the data: another table elsewhere changes nothing.
#[test]
fn a_search_on_ranks_has_the_table_of_one() {
    let room = room();
    let search = |count: usize, out: &str| {
        let args = ["search", "net.toml", "--trials", "8", "--param"];
        let rest = ["optimizer.learning_rate=log:1e-4..1e-1", "--device", "cpu", "--out", out];
        let args = [&args[..], &rest, &["--no-report"]].concat();
        let ran = match count {
            1 => room.run(&args),
            _ => on_ranks(&room, count, &args),
        };
        ran.expect(0)
    };
    search(1, "one");
    search(3, "three").says(&["3 runs at a time, each on a rank of its own"]);
    let table = |run: &str| {
        let text = room.text(&format!("{run}/trials.csv"));
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let seconds = reader.headers().unwrap().iter().position(|name| name == "seconds");
        let mut rows: Vec<Vec<String>> = reader
            .records()
            .map(|row| {
                let row = row.unwrap();
                let cells = row.iter().enumerate().filter(|(i, _)| Some(*i) != seconds);
                cells.map(|(_, cell)| cell.to_owned()).collect()
            })
            .collect();
        rows.sort();
        rows
    };
    assert_eq!(table("one"), table("three"));
    assert_eq!(room.text("one/best.toml"), room.text("three/best.toml"));
}
