//! How long the program takes to say something. The figures depend on the machine, so they are
//! measured in `make soak` alone.

use std::time::Instant;

use crate::common::program::{NET, Ran, Room};

/// Median of the seconds of nine starts.
fn median_seconds(room: &Room, args: &[&str]) -> f64 {
    let seconds = |_| {
        let begun = Instant::now();
        let mut command = room.command(args);
        let ran = Ran::of(command.env("VK_DRIVER_FILES", "/nonexistent").output().unwrap());
        assert!(!ran.expect(0).out.is_empty());
        begun.elapsed().as_secs_f64()
    };
    let mut all: Vec<f64> = (0..9).map(seconds).collect();
    all.sort_by(f64::total_cmp);
    all[4]
}

#[test]
#[ignore = "measures time: make soak"]
fn help_and_version_take_less_than_50_ms() {
    let room = Room::new(NET);
    for args in [&["--help"][..], &["--version"], &["train", "--help"], &["help"]] {
        let median = median_seconds(&room, args);
        assert!(median < 0.05, "{args:?}: {median} s");
    }
}
