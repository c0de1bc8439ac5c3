//! Threads that keep processors awake for a software adapter: of the lowest class, and only while
//! there is work.

#![cfg(target_os = "linux")] // threads are looked up in /proc

mod common;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tandem::device::Gpu;
use tandem::device::adapter::Wish;
use tandem::kernels::tuning::Class;
use tandem::run::machine::Machine;
use tandem::run::train::{Options, Silent, train};

/// `SCHED_IDLE` of sched(7).
const IDLE: &str = "5";

/// Threads that keep processors awake.
fn threads() -> Vec<PathBuf> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    tasks
        .filter(|task| {
            fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "awake")
        })
        .collect()
}

/// Nanoseconds on a processor.
fn spent(threads: &[PathBuf]) -> u64 {
    let first = |text: String| text.split(' ').next().unwrap().parse::<u64>().unwrap();
    threads.iter().map(|task| first(fs::read_to_string(task.join("schedstat")).unwrap())).sum()
}

#[test]
fn processors_are_kept_awake_while_there_is_work_and_no_longer() {
    let gpu = Gpu::open(&Wish::default())
        .unwrap_or_else(|e| panic!("{e:#}: {:?}", tandem::fault::hint_of(&e)));
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
    let are_whole = fs::read_to_string("/proc/self/status").unwrap().lines().any(|line| {
        let of = |list: &str| {
            list.split(',')
                .map(|r| r.split_once('-').map_or(1, |(a, b)| count(a, b)))
                .sum::<usize>()
        };
        line.strip_prefix("Cpus_allowed_list:").is_some_and(|list| {
            of(list.trim()) == std::thread::available_parallelism().unwrap().get()
        })
    });
    let are_whole = are_whole && std::thread::available_parallelism().unwrap().get() > 1;
    assert_eq!(!threads.is_empty(), are_whole, "where a quota counts their time there are none");
    for task in &threads {
        let stat = fs::read_to_string(task.join("stat")).unwrap();
        // Field 41; the name before the third may hold anything.
        let policy =
            stat.rsplit_once(')').unwrap().1.split_whitespace().nth(38).unwrap().to_owned();
        assert_eq!(policy, IDLE, "{stat}");
    }
    std::thread::sleep(Duration::from_millis(100));
    let before = spent(&threads);
    assert!(before > 0 || !are_whole, "they never ran");
    std::thread::sleep(Duration::from_millis(300));
    assert!(
        spent(&threads) - before < 30_000_000,
        "{} ns after the work was done",
        spent(&threads) - before
    );
}

fn count(first: &str, last: &str) -> usize {
    last.trim().parse::<usize>().unwrap() - first.trim().parse::<usize>().unwrap() + 1
}
