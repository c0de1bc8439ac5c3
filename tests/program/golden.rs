//! Runs of earlier versions: every later version must load their models and checkpoints, predict
//! what they predicted, and go on with them.
//!
//! `tests/fixtures/golden/make.sh` wrote them, once per version; existing ones are never written
//! again.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::program::Room;

/// Runs by version and machine. They were stopped in the middle of an epoch, after 20 of 36 steps.
const RUNS: [&str; 2] = ["0.1.0-reference", "0.1.0-adapter"];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)
        } else {
            fs::copy(entry.path(), target).map(|_| ()).unwrap()
        }
    }
}

/// A room with a copy of all of them.
fn room() -> Room {
    let room = Room::new("");
    copy(&golden(), &room.path("golden"));
    room
}

/// Asserts that two tables have the same cells; numbers may differ by a millionth.
fn alike(found: &str, expected: &str, what: &str) {
    assert_eq!(found.lines().count(), expected.lines().count(), "{what}");
    for (found, expected) in found.lines().zip(expected.lines()) {
        let cells = found.split(',').zip(expected.split(','));
        assert_eq!(found.split(',').count(), expected.split(',').count(), "{what}");
        for (a, b) in cells {
            let numbers = a.parse::<f64>().ok().zip(b.parse::<f64>().ok());
            let close = numbers.is_some_and(|(a, b)| (a - b).abs() <= 1e-6 * b.abs().max(1.0));
            assert!(a == b || close, "{what}: {found}, expected {expected}");
        }
    }
}

#[test]
fn old_models_predict_what_they_predicted() {
    let room = room();
    for run in RUNS {
        for (model, recorded) in [("model", "model"), ("checkpoints/step-20", "step-20")] {
            let path = format!("golden/{run}/{model}");
            let found =
                room.on_reference(&["predict", &path, "--data", "golden/rows.csv"]).expect(0);
            alike(&found.out, &room.text(&format!("golden/{run}/{recorded}.csv")), &path);
        }
    }
}

/// Goes on from the recorded step to the end of the plan, which the recorded run reached as well.
#[test]
fn old_runs_go_on() {
    let room = room();
    for run in RUNS {
        let path = format!("golden/{run}");
        let data = ["train", "valid"].map(|part| {
            format!("data.{part}={}", room.path(&format!("golden/{part}.csv")).display())
        });
        let ran = room
            .resume(&path, &["--set", &data[0], "--set", &data[1], "--max-steps", "36"])
            .expect(0);
        // A key that did not exist yet is not reported as a change.
        assert!(!ran.err.contains("changed: train.precision"), "{}", ran.err);
        let ran = ran.says(&["going on after step 20 ("]);
        assert!(!ran.err.contains("damaged") && !ran.err.contains("before it is used"), "{ran:#?}");
        let found = room
            .on_reference(&["predict", &format!("{path}/last"), "--data", "golden/rows.csv"])
            .expect(0);
        alike(&found.out, &room.text(&format!("golden/{run}/end.csv")), run);
        assert_eq!(room.last_step(&path), 36);
    }
}
