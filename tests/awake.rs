//! The threads that keep processors awake for a software adapter are of the lowest scheduling
//! class, and they run only while there is work.

#![cfg(target_os = "linux")] // threads are looked up in /proc

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tandem::kernels::tuning::Class;
use tandem::run::machine::Machine;
use tandem::run::train::{Options, Silent, train};

/// `SCHED_IDLE` of sched(7).
const IDLE: &str = "5";

/// Directories in /proc of the threads that keep processors awake.
fn threads() -> Vec<PathBuf> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    tasks
        .filter(|task| {
            fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "awake")
        })
        .collect()
}

/// The fields of `/proc/PID/task/TID/stat` from the third one on: the second one, the name, may
/// hold spaces.
fn fields(thread: &Path) -> Vec<String> {
    let stat = fs::read_to_string(thread.join("stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().map(str::to_owned).collect()
}

/// How many times the threads were put on a processor, all together.
fn turns(threads: &[PathBuf]) -> u64 {
    let last = |text: String| text.split_whitespace().nth(2).unwrap().parse::<u64>().unwrap();
    threads.iter().map(|task| last(fs::read_to_string(task.join("schedstat")).unwrap())).sum()
}

/// Waits until every thread sleeps. The time-out only ends a hang.
fn wait_until_asleep(threads: &[PathBuf]) {
    let begun = Instant::now();
    while threads.iter().any(|thread| fields(thread)[0] != "S") {
        assert!(begun.elapsed() < Duration::from_secs(60), "the threads never sleep");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether the process may use more than one processor, and each of them all the time.
fn has_whole_processors() -> bool {
    let available = std::thread::available_parallelism().unwrap().get();
    let count = |range: &str| match range.split_once('-') {
        Some((first, last)) => last.parse::<usize>().unwrap() - first.parse::<usize>().unwrap() + 1,
        None => 1,
    };
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let allowed: Option<usize> = list.map(|list| list.trim().split(',').map(count).sum());
    available > 1 && allowed == Some(available)
}

#[test]
fn processors_are_kept_awake_while_there_is_work_and_no_longer() {
    let gpu = common::gpu();
    assert!(threads().is_empty(), "nothing was asked for yet");
    let tables =
        "[trunk]\nlayers = [64]\n[task.a]\n[task.b]\n[train]\nepochs = 6\nbatch_size = 32\n";
    let plan = common::plan(tables, common::synthetic(1, 1600, 20, &[3, 3]), &[3, 3]);
    train(&plan, Machine::Device(Box::new(gpu.clone())), Options::default(), &mut Silent).unwrap();
    let threads = threads();
    if gpu.entry.class != Class::Software {
        assert!(threads.is_empty(), "{threads:?}");
        return;
    }
    assert_eq!(
        !threads.is_empty(),
        has_whole_processors(),
        "where a quota counts their time there are none"
    );
    for thread in &threads {
        // Field 41 of proc(5) is the scheduling class.
        assert_eq!(fields(thread)[38], IDLE, "{}", thread.display());
    }
    wait_until_asleep(&threads);
    let before = turns(&threads);
    assert!(before >= threads.len() as u64, "they never ran");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(turns(&threads) - before, 0, "they ran after the work was done");
}
