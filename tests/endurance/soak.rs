//! A long run of the program on the adapter, with evaluations and checkpoints: its memory does not
//! grow, it leaves no files open, and it reports no value that is not finite.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::common::program::{NET, Room, rows};
use serde_json::Value;

const STEPS: u64 = 100_000;
/// Steps after which memory and times of a process are steady.
const WARM: u64 = 20_000;

/// The state of a process at one time.
#[derive(Clone, Copy, Debug)]
struct Sample {
    step: u64,
    /// Resident memory in KiB.
    resident: u64,
    files: usize,
    /// Processor seconds; other programs on the machine hardly change them.
    busy: f64,
}

/// The step in the last complete line of a file that grows.
fn last_step(path: &Path) -> Option<u64> {
    let mut file = fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(4096))).ok()?;
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    let line = text[..text.rfind('\n')?].rsplit('\n').next()?.to_owned();
    serde_json::from_str::<Value>(&line).ok()?["step"].as_u64()
}

fn sample(child: &Child, metrics: &Path) -> Option<Sample> {
    let process = format!("/proc/{}", child.id());
    let status = fs::read_to_string(format!("{process}/status")).ok()?;
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .ok()?;
    let files = fs::read_dir(format!("{process}/fd")).ok()?.count();
    Some(Sample {
        step: last_step(metrics)?,
        resident,
        files,
        busy: busy(&fs::read_to_string(format!("{process}/stat")).ok()?)?,
    })
}

/// User and system time of `/proc/N/stat`, in hundredths of seconds. The name before them may hold
/// spaces.
fn busy(stat: &str) -> Option<f64> {
    let ticks: Vec<f64> = stat
        .rsplit_once(')')?
        .1
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|n| n.parse().ok())
        .collect();
    Some(ticks.iter().sum::<f64>() / 100.0)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The seconds per step of each epoch, as (step at the end, seconds).
fn step_times(metrics: &str) -> Vec<(u64, f64)> {
    let points = metrics.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let trained: Vec<(u64, f64)> = points
        .filter(|p| p["split"] == "train")
        .map(|p| (p["step"].as_u64().unwrap(), p["seconds"].as_f64().unwrap()))
        .collect();
    trained
        .windows(2)
        .map(|pair| (pair[1].0, (pair[1].1 - pair[0].1) / (pair[1].0 - pair[0].0) as f64))
        .collect()
}

#[test]
#[ignore = "takes minutes: make soak"]
fn a_hundred_thousand_steps() {
    let net = NET
        .replace("patience = 11\n", "")
        .replace("log_every = \"1s\"\n", "")
        .replace("epochs = 12", "epochs = 1000");
    let room = Room::new(&net.replace("checkpoint_every = \"5s\"", "checkpoint_every = \"500s\""));
    room.write("train.csv", rows(1, 1600));
    let child = room
        .command(&["train", "net.toml", "--out", "run"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let (mut child, metrics, mut samples) =
        (child.unwrap(), room.path("run/metrics.jsonl"), Vec::new());
    let mut stderr = child.stderr.take().unwrap();
    let listener = std::thread::spawn(move || {
        let mut said = String::new();
        stderr.read_to_string(&mut said).map(|_| said)
    });
    while child.try_wait().unwrap().is_none() {
        samples.extend(sample(&child, &metrics));
        std::thread::sleep(Duration::from_millis(100));
    }
    let said = listener.join().unwrap().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    assert!(!said.contains("not finite") && room.last_step("run") == STEPS, "{said}");

    // After the last step files are closed, so only samples before it count.
    let warm: Vec<Sample> =
        samples.iter().copied().filter(|s| (WARM..STEPS).contains(&s.step)).collect();
    let tenth = warm.len() / 10;
    let resident = |samples: &[Sample]| samples.iter().map(|s| s.resident).max().unwrap();
    let files = |samples: &[Sample]| samples.iter().map(|s| s.files).min().unwrap();
    let (first, last) = (&warm[..tenth], &warm[warm.len() - tenth..]);
    let times = step_times(&room.text("run/metrics.jsonl"));
    let time = |from: u64, to: u64| {
        median(
            times.iter().filter(|(step, _)| (from..to).contains(step)).map(|(_, t)| *t).collect(),
        )
    };
    let (early, late) = (time(WARM, 2 * WARM), time(STEPS - WARM, STEPS + 1));
    let work = |from: u64, to: u64| {
        let at = |step: u64| warm.iter().find(|s| s.step >= step).or(warm.last()).unwrap();
        1e3 * (at(to).busy - at(from).busy) / (at(to).step - at(from).step) as f64
    };
    let (worked, works) = (work(WARM, 2 * WARM), work(STEPS - WARM, STEPS));
    eprintln!(
        "resident memory {} KiB at first, {} KiB at step {WARM}, {} KiB at the end; open files {} \
         and {}; a step {:.3} ms and {:.3} ms ({:+.1} %), {worked:.3} ms and {works:.3} ms of \
         processors ({:+.1} %)",
        samples[0].resident,
        resident(first),
        resident(last),
        files(first),
        files(last),
        1e3 * early,
        1e3 * late,
        100.0 * (late / early - 1.0),
        100.0 * (works / worked - 1.0)
    );
    let grown = resident(last).saturating_sub(resident(first));
    assert!(grown <= 1024, "the process grew by {grown} KiB after step {WARM}");
    assert_eq!(files(first), files(last), "files stay open");
}
