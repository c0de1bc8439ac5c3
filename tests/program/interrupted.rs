//! `tandem train --resume` as users use it, run directories that are in use or not writable, and
//! full disks.

use std::fs;
use std::path::Path;

use crate::common::program::{NET, Ran, Room, STEPS, rows};
use serde_json::Value;

/// [`NET`] with another trunk and a constant learning rate, so that a short run equals the first
/// steps of a longer one.
fn steady(width: usize) -> String {
    let net = NET.replace("schedule = \"cosine\"\nwarmup_steps = 5\n", "");
    net.replace("layers = [12]", &format!("layers = [{width}]"))
}

/// A room with a run `whole` that was not interrupted.
fn room() -> Room {
    room_of(12)
}

fn room_of(width: usize) -> Room {
    let room = Room::new(&steady(width));
    room.train("whole", &[]).expect(0);
    room
}

/// Runs the first steps of that run.
fn stopped(room: &Room, run: &str, steps: u64) {
    room.train(run, &["--max-steps", &steps.to_string()]).expect(0);
}

/// The flags that take a run to its end.
const ON: [&str; 2] = ["--max-steps", "156"];

/// Asserts that the weights after the last step equal those of the whole run. The best ones may
/// differ, because the end of each part of a run is validated too.
fn ends_alike(room: &Room, run: &str) {
    let last = |run: &str| room.bytes(&format!("{run}/last/model.safetensors"));
    assert!(last(run) == last("whole"), "{run} ended with other weights");
}

/// The names and contents of all files in a directory, except the lock.
fn everything(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap().flatten() {
        match entry.path().is_dir() {
            true => found.extend(everything(&entry.path())),
            false if entry.file_name() == ".lock" => {}
            false => {
                found.push((entry.path().display().to_string(), fs::read(entry.path()).unwrap()))
            }
        }
    }
    found.sort();
    found
}

// --- going on ---

/// A run goes on without a configuration, from the middle of an epoch, started in another working
/// directory.
#[test]
fn a_run_goes_on_to_the_same_bytes() {
    let room = Room::new(NET);
    // Validation at the end of the first part adds a point, so that part is stopped by time and not
    // by a number of steps.
    room.train("whole", &[]).expect(0);
    let mut begun = room.command(&["train", "net.toml", "--out", "run", "--device", "reference"]);
    let mut child = begun
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while room.last_step("run") < 16 {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before its 16th step");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    fs::remove_file(room.path("net.toml")).unwrap();
    fs::create_dir(room.path("elsewhere")).unwrap();
    let run = room.path("run").display().to_string();
    let mut command = room.command(&["train", "--resume", &run, "--device", "reference"]);
    Ran::of(command.current_dir(room.path("elsewhere")).output().unwrap())
        .expect(0)
        .says(&["going on after step "]);
    room.same("run", "whole");
    room.is_tidy("run");
}

/// Where points come at the ends of epochs alone, a run that goes on from the middle of an epoch
/// has the row of the epoch before it.
#[test]
fn a_pause_in_the_middle_of_an_epoch_keeps_the_row_before_it() {
    for rare in ["", "evaluate_every = \"2e\"\n", "evaluate_every = \"20s\"\n"] {
        let net =
            NET.replace("log_every = \"1s\"", "keep = 100\n").replace("epochs = 12", "epochs = 5");
        let room = Room::new(&(net + rare));
        room.train("whole", &[]).expect(0);
        for step in [10, 30, 40] {
            room.same_from(step);
        }
    }
}

/// Points after the checkpoint are removed, whatever they contain; new points are appended.
#[test]
fn metrics_are_cut_back_and_appended_to() {
    let room = room();
    stopped(&room, "run", 30);
    let known = room.points("run").len();
    for ending in [
        "{\"step\": 31, \"epoch\": 3, \"split\": \"train\"}\n{\"step\": 32, \"ep",
        "not JSON at all\n",
    ] {
        let metrics = room.path("run/metrics.jsonl");
        fs::write(&metrics, room.text("run/metrics.jsonl") + ending).unwrap();
        room.resume("run", &["--max-steps", "30"]).expect(0);
        assert_eq!(room.points("run").len(), known);
    }
    let before = room.text("run/metrics.jsonl");
    room.resume("run", &["--max-steps", "40"]).expect(0);
    // The test point belonged to the end, which is later now.
    let (kept, test) = before.trim_end().rsplit_once('\n').unwrap();
    assert!(room.text("run/metrics.jsonl").starts_with(kept) && test.contains("\"test\""));
    let of_part = |part: &str| -> Vec<u64> {
        let named = format!("\"split\":\"{part}\"");
        room.points("run").iter().filter(|p| p.contains(&named)).map(|p| of(p, "step")).collect()
    };
    assert_eq!(of_part("train"), (1..=40).collect::<Vec<u64>>());
    assert_eq!((of_part("valid"), of_part("test")), (vec![13, 26, 30, 39, 40], vec![40]));
}

fn of(point: &str, key: &str) -> u64 {
    serde_json::from_str::<Value>(point).unwrap()[key].as_u64().unwrap()
}

/// A finished run gets more epochs, by flag or key; from here on the learning rate follows the
/// longer schedule.
#[test]
fn a_finished_run_is_taken_further() {
    let room = Room::new(&NET.replace("epochs = 12", "epochs = 4"));
    room.train("run", &[]).expect(0);
    let done = room
        .resume("run", &[])
        .expect(0)
        .says(&["going on after step 52 (", "the run is finished: --epochs or --max-steps"]);
    assert!(!done.err.contains("changed: "), "{done:#?}");
    room.resume("run", &["--epochs", "6"]).expect(0).says(&[
        "changed: train.epochs = 6, before 4",
        "the learning rate now falls to 0 over 78 steps",
    ]);
    room.resume("run", &["--set", "train.epochs=7"])
        .expect(0)
        .says(&["changed: train.epochs = 7, before 6", "over 91 steps"]);
    assert_eq!((room.last_step("run"), room.checkpoints("run")), (91, vec![91, 90]));
    // The run directory has the new settings.
    assert!(room.text("run/config.toml").contains("epochs = 7"));
    let rates = |step: u64| {
        let points = room.text("run/metrics.jsonl");
        let point = points
            .lines()
            .map(|l| serde_json::from_str::<Value>(l).unwrap())
            .find(|p| p["step"] == step && p["split"] == "train");
        point.unwrap()["learning_rate"].as_f64().unwrap()
    };
    let cosine = |step: f64, total: f64| {
        5e-3 * 0.5 * (1.0 + (std::f64::consts::PI * (step - 5.0) / (total - 5.0)).cos())
    };
    for (step, total) in [(52, 52.0), (60, 78.0), (85, 91.0)] {
        let expected = cosine(step as f64 - 1.0, total);
        assert!(
            (rates(step) - expected).abs() < 1e-9,
            "step {step}: {} and not {expected}",
            rates(step)
        );
    }
}

#[test]
fn changed_settings_are_listed() {
    let room = room();
    stopped(&room, "run", 30);
    let ran = room
        .resume(
            "run",
            &[
                "--max-steps",
                "35",
                "--set",
                "optimizer.learning_rate=1e-4",
                "--set",
                "task.b.weight=0.5",
            ],
        )
        .expect(0);
    ran.says(&[
        "changed: optimizer.learning_rate = 0.0001, before 0.005",
        "changed: task.b.weight = 0.5, before 1",
        "changed: train.max_steps = 35, before 30",
    ]);
}

#[test]
fn the_checkpoint_before_a_damaged_one_is_used() {
    let room = room();
    stopped(&room, "run", 30);
    assert_eq!(room.checkpoints("run"), [30, 25]);
    let name = "run/checkpoints/step-30/second_moment.safetensors";
    let mut bytes = room.bytes(name);
    *bytes.last_mut().unwrap() ^= 1;
    room.write(name, bytes);
    room.resume("run", &ON).expect(0).says(&[
        "step-30/second_moment.safetensors: is not as it was written",
        "; the checkpoint before it is used",
        "going on after step 25 (",
    ]);
    assert_eq!(room.checkpoints("run"), [STEPS, 155]);
    ends_alike(&room, "run");
    // If all checkpoints are damaged, the run does not start anew by itself.
    for step in room.checkpoints("run") {
        fs::remove_file(room.path(&format!("run/checkpoints/step-{step}/manifest.json"))).unwrap();
    }
    let before = everything(&room.path("run/checkpoints"));
    room.resume("run", &[]).refused(65, &["no checkpoint is whole", "step-156/manifest.json"]);
    assert_eq!(everything(&room.path("run/checkpoints")), before);
}

/// With `keep = 1` and a damaged newest checkpoint, the one that is written next must not be
/// removed.
#[test]
fn a_damaged_checkpoint_does_not_count() {
    let room = room();
    stopped(&room, "run", 30);
    room.write("run/checkpoints/step-30/manifest.json", "{}");
    room.resume("run", &["--max-steps", "28", "--keep", "1", "--checkpoint-every", "1s"]).expect(0);
    assert_eq!(room.checkpoints("run"), [28]);
    room.resume("run", &ON).expect(0).says(&["going on after step 28 ("]);
}

#[test]
fn without_checkpoints_a_run_begins_anew() {
    let room = room();
    stopped(&room, "run", 30);
    fs::remove_dir_all(room.path("run/checkpoints")).unwrap();
    room.resume("run", &ON).expect(0).says(&["the run has no checkpoint yet: it begins anew"]);
    room.same("run", "whole");
}

/// Files that a kill leaves between a write and a rename are removed.
#[test]
fn half_written_files_are_removed() {
    let room = room();
    stopped(&room, "run", 30);
    for name in
        ["run/.config.toml.tmp", "run/model/.model.safetensors.tmp", "run/last/.config.json.tmp"]
    {
        room.write(name, "half");
    }
    fs::create_dir(room.path("run/checkpoints/.tmp-31-1")).unwrap();
    fs::create_dir(room.path("run/checkpoints/.tmp-old-20-1")).unwrap();
    room.write("run/checkpoints/.tmp-31-1/model.safetensors", "half");
    // The checkpoint was renamed to make room for a new one of the same step, which never came.
    fs::rename(room.path("run/checkpoints/step-30"), room.path("run/checkpoints/.was-step-30"))
        .unwrap();
    room.resume("run", &ON).expect(0).says(&["going on after step 30 ("]);
    room.is_tidy("run");
    ends_alike(&room, "run");
}

/// Whenever a run with given initial weights is killed, it goes on with these weights.
#[test]
fn given_weights_are_there_before_the_first_step() {
    let room = room();
    for (run, alone, part) in [
        ("a", "b", &["--init-part", "all"][..]),
        ("c", "d", &["--init-part", "trunk", "--freeze", "trunk"]),
    ] {
        let flags =
            [&["--init-from", "whole", "--seed", "7", "--keep", "99", "--epochs", "5"], part]
                .concat();
        room.train(alone, &flags).expect(0);
        let mut command = room.command(
            &[&["train", "net.toml", "--out", run, "--device", "reference"], &flags[..]].concat(),
        );
        let mut child = command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while !room.path(&format!("{run}/config.toml")).exists() {
            assert!(child.try_wait().unwrap().is_none(), "the run ended");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // A faster machine has more checkpoints by now.
        for step in room.checkpoints(run).into_iter().filter(|step| *step > 0) {
            fs::remove_dir_all(room.path(&format!("{run}/checkpoints/step-{step}"))).unwrap();
        }
        room.resume(run, &[]).expect(0).says(&["going on after step 0 ("]);
        room.same(run, alone);
    }
}

/// Accuracies are positive, and errors are compared as negative numbers: the old best score would
/// stay the best for ever.
#[test]
fn another_way_to_pick_the_model_forgets_the_best_score() {
    let room = room();
    stopped(&room, "run", 39);
    let ran =
        room.resume("run", &["--max-steps", "52", "--set", "train.select=a.log_loss"]).expect(0);
    let ran = ran.says(&[
        "changed: train.select",
        "the best score so far was by another train.select and is forgotten",
    ]);
    assert!(ran.out.contains("model: epoch 4, the kept one"), "{ran:#?}");
    let again = room.resume("run", &["--max-steps", "53"]).expect(0);
    assert!(!again.err.contains("forgotten"), "{again:#?}");
}

#[test]
fn a_run_with_nothing_left_to_do_says_so_and_keeps_its_settings() {
    let room = Room::new(NET);
    stopped(&room, "run", 30);
    let idle = |run: &str, flags: &[&str], pieces: &[&str]| {
        let before = room.bytes(&format!("{run}/config.toml"));
        let ran =
            room.resume(run, flags).expect(0).says(pieces).says(&["settings stay as they were"]);
        assert!(!ran.err.contains("changed: ") && !ran.err.contains("falls to 0"), "{ran:#?}");
        assert!(room.bytes(&format!("{run}/config.toml")) == before, "other settings");
    };
    idle("run", &["--max-steps", "20"], &["nothing to do, 30 steps are done and 20 wanted"]);
    // At this rate only the first epoch is an improvement.
    room.train("early", &["--set", "train.patience=2", "--set", "optimizer.learning_rate=1e-30"])
        .expect(0);
    assert_eq!(room.last_step("early"), 39);
    let pieces = [
        "early stopping ended the run, 2 epochs without improvement at a patience of 2",
        "--set train.patience=3 or more",
    ];
    idle("early", &["--epochs", "20"], &pieces);
    room.resume("early", &["--set", "train.patience=3"]).expect(0);
    assert_eq!(room.last_step("early"), 52);
}

/// If the file of points lost its end, a notice says so once, and each later point is there once.
#[test]
fn lost_points_are_reported_and_none_appears_twice() {
    let room = room();
    stopped(&room, "run", 30);
    // There are 30 training points, and validation points after steps 13, 26 and 30; the first 20
    // lines end with step 19.
    let known: Vec<String> =
        room.text("run/metrics.jsonl").lines().take(20).map(|line| format!("{line}\n")).collect();
    room.write("run/metrics.jsonl", known.concat());
    let lost = ["run/metrics.jsonl: 20 lines up to step 30 where there were 33"];
    room.resume("run", &["--max-steps", "34"]).expect(0).says(&lost);
    // Goes on from the same checkpoint once more, as after a kill.
    fs::remove_dir_all(room.path("run/checkpoints/step-34")).unwrap();
    room.resume("run", &["--max-steps", "34"]).expect(0).says(&lost);
    let last = room.resume("run", &["--max-steps", "40"]).expect(0);
    assert!(!last.err.contains("metrics.jsonl"), "{last:#?}");
    let of_part = |part: &str| -> Vec<u64> {
        let named = format!("\"split\":\"{part}\"");
        room.points("run").iter().filter(|p| p.contains(&named)).map(|p| of(p, "step")).collect()
    };
    assert_eq!(of_part("train"), (1..=19).chain(31..=40).collect::<Vec<u64>>());
    assert_eq!((of_part("valid"), of_part("test")), (vec![13, 34, 39, 40], vec![40]));
}

// --- what cannot be the same run ---

#[test]
fn another_shape_is_refused_with_the_difference() {
    let room = room();
    stopped(&room, "run", 30);
    let before = everything(&room.path("run"));
    let (weights, trunk) = (
        "from these weights with --init-from RUN/last\n",
        "--init-from RUN/last --init-part trunk\n",
    );
    for (set, pieces, instead) in [
        (
            "trunk.layers=[13]",
            ["trunk.layers", "the run has [12], now it is to be [13]"],
            "or begin a new run\n",
        ),
        (
            "task.a.layers=[6] --set task.b.layers=[6]",
            ["task.a.layers", "the run has [5], now it is to be [6]"],
            trunk,
        ),
        (
            "train.batch_size=17",
            ["train.batch_size", "the run has 16, now it is to be 17"],
            weights,
        ),
        ("trunk.activation=tanh", ["trunk.activation", "\"tanh\""], weights),
        ("data.ignore=[\"x0\"]", ["data.ignore", "\"x0\""], "or begin a new run\n"),
    ] {
        let sets: Vec<&str> = ["--set"].into_iter().chain(set.split(' ')).collect();
        room.resume("run", &sets).refused(78, &pieces).says(&[instead]);
    }
    assert_eq!(everything(&room.path("run")), before, "a refusal changed something");
}

#[test]
fn other_data_is_refused_and_moved_data_is_not() {
    let room = room();
    stopped(&room, "run", 30);
    room.write("other.csv", rows(3, 200));
    let other = format!("data.train={}", room.path("other.csv").display());
    room.resume("run", &["--set", &other])
        .refused(65, &["other.csv", "is not the data that the run began with: BLAKE3"]);
    fs::rename(room.path("train.csv"), room.path("moved.csv")).unwrap();
    room.resume("run", &ON).refused(66, &["train.csv"]);
    let moved = format!("data.train={}", room.path("moved.csv").display());
    room.resume("run", &["--set", &moved, ON[0], ON[1]]).expect(0);
    ends_alike(&room, "run");
}

/// A manifest of a later format whose own hash is correct.
#[test]
fn a_newer_checkpoint_is_refused() {
    let room = room();
    stopped(&room, "run", 30);
    let path = "run/checkpoints/step-30/manifest.json";
    let text = room
        .text(path)
        .replacen("\"format\": 1,", "\"format\": 2,\n  \"more\": [],", 1)
        .replacen("\"0.", "\"9.", 1);
    let (head, _) = text.rsplit_once("\"blake3\": \"").unwrap();
    let open = |seal: &str| format!("{head}\"blake3\": \"{seal}\"\n}}\n");
    room.write(path, open(blake3::hash(open("").as_bytes()).to_hex().as_str()));
    let newer = [
        "step-30/manifest.json: format 2, written by tandem \"9.",
        "is newer than this program",
        "update tandem",
    ];
    room.resume("run", &[]).refused(65, &newer);
    // The same for a model, in a run or in a checkpoint.
    for model in ["run/model", "run/checkpoints/step-25"] {
        let config = room.text(&format!("{model}/config.json")).replacen(
            "\"format\": 1",
            "\"format\": 2",
            1,
        );
        room.write(&format!("{model}/config.json"), config);
        room.on_reference(&["predict", model, "--data", "valid.csv"])
            .refused(65, &["config.json: format 2", "is newer than this program"]);
    }
}

// --- how often, how many ---

#[test]
fn checkpoints_follow_their_interval_and_their_number() {
    let room = Room::new(&steady(12).replace("checkpoint_every = \"5s\"\n", ""));
    let flags = |run: &str, every: &str, keep: &str, steps: &str| {
        room.train(run, &["--checkpoint-every", every, "--keep", keep, "--max-steps", steps])
            .expect(0);
        room.checkpoints(run)
    };
    assert_eq!(flags("epochs", "1e", "9", "30"), [30, 26, 13]);
    assert_eq!(flags("two", "2e", "9", "60"), [60, 52, 26]);
    assert_eq!(flags("steps", "7s", "9", "30"), [30, 28, 21, 14, 7]);
    assert_eq!(flags("three", "7s", "3", "30"), [30, 28, 21]);
    assert_eq!(flags("minutes", "10m", "9", "30"), [30]);
    assert_eq!(flags("hours", "1h", "1", "30"), [30]);
    // With an interval of no time, a checkpoint is due after every submission.
    room.train(
        "often",
        &[
            "--checkpoint-every",
            "0.0000001m",
            "--keep",
            "99",
            "--max-steps",
            "30",
            "--steps-per-submission",
            "3",
        ],
    )
    .expect(0);
    assert_eq!(room.checkpoints("often"), [30, 29, 26, 25, 22, 19, 16, 13, 12, 9, 6, 3]);
    for bad in ["0s", "5", "1d"] {
        room.train("bad", &["--checkpoint-every", bad]).refused(78, &["train.checkpoint_every"]);
    }
}

/// After a value that is not finite, the message names the last good checkpoint, and it can be
/// read.
#[test]
fn the_last_good_checkpoint_is_named() {
    let room = Room::new(&steady(12));
    let sgd = ["--set", "optimizer.kind=sgd", "--set", "optimizer.learning_rate=1e25"];
    let ran = room
        .run(
            &[&["train", "net.toml", "--out", "run", "--checkpoint-every", "1s"][..], &sgd]
                .concat(),
        )
        .expect(3);
    let (step, kept) = (room.last_step("run"), room.checkpoints("run"));
    let named = format!("last good checkpoint: run/checkpoints/step-{}", kept[0]);
    ran.says(&[
        &format!("step {}: ", step + 1),
        "learning rate 1e25",
        "gradient norm ",
        "rows ",
        "of the training part",
        &named,
        "hint: ",
    ]);
    assert_eq!(kept[0], step);
}

// --- in use ---

#[cfg(unix)]
#[test]
fn a_second_process_gets_75_and_harms_nothing() {
    let room = room();
    let mut command = room.command(&[
        "train",
        "net.toml",
        "--out",
        "run",
        "--epochs",
        "100000",
        "--device",
        "reference",
    ]);
    let mut child = command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while room.checkpoints("run").is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "the first run ended");
    }
    let (config, environment) = (room.bytes("run/config.toml"), room.bytes("run/environment.json"));
    for _ in 0..3 {
        let busy = format!("in use by another process ({})", child.id());
        room.train("run", &[]).refused(75, &[&busy]);
        room.resume("run", &["--epochs", "3"])
            .refused(75, &[&busy, "wait for that run to end; a new run can go elsewhere"]);
    }
    assert!(child.try_wait().unwrap().is_none(), "the first run ended");
    assert_eq!(
        (config, environment),
        (room.bytes("run/config.toml"), room.bytes("run/environment.json"))
    );
    crate::common::program::signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let (last, points) = (room.last_step("run"), room.points("run"));
    assert!(
        points.iter().filter(|p| p.contains("\"train\"")).map(|p| of(p, "step")).eq(1..=last),
        "points are missing or stand twice"
    );
    room.resume("run", &["--max-steps", &(last + 3).to_string()])
        .expect(0)
        .says(&[&format!("going on after step {last} (")]);
}

/// The first signal lets the step end; the second one does not. The only step of an epoch here
/// takes far longer than the rest of the test, and leaves a point where it ends.
#[cfg(unix)]
#[test]
fn the_second_interrupt_ends_the_step() {
    let room = Room::new(
        &NET.replace("layers = [12]", "layers = [1500, 1500]")
            .replace("batch_size = 16", "batch_size = \"full\""),
    );
    room.write("train.csv", crate::common::program::rows(1, 500));
    let mut command = room.command(&["train", "net.toml", "--out", "run", "--device", "reference"]);
    let mut child = command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !room.path("run/checkpoints").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended");
    }
    // Lets the step begin.
    std::thread::sleep(std::time::Duration::from_millis(500));
    crate::common::program::signal(&child, "-INT");
    crate::common::program::wait_for_delivery(&child);
    assert!(child.try_wait().unwrap().is_none(), "the first signal ended the program");
    crate::common::program::signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let steps = room.points("run").len();
    assert_eq!((steps, room.checkpoints("run").len()), (0, 0), "the step was waited for");
    assert!(!room.path("run/last").exists());
}

// --- full and read-only ---

/// A limit on the size of files acts like a full disk: the write fails, what was committed stays,
/// and the run can go on.
#[cfg(unix)]
#[test]
fn a_file_that_may_not_grow_is_a_failed_write() {
    // The limit lies between the weights in f32 and the moments in f64.
    let room = room_of(800);
    stopped(&room, "run", 30);
    let before = everything(&room.path("run/checkpoints"));
    let limited = |args: &str| {
        let text = format!(
            "ulimit -f 128; exec {} {args} --device reference",
            env!("CARGO_BIN_EXE_tandem")
        );
        Ran::of(room.program("sh").args(["-c", &text]).output().unwrap())
    };
    let ran = limited("train --resume run --max-steps 156")
        .refused(74, &["step-35", "cannot be written", "tandem train --resume run"]);
    assert!(!ran.err.contains("step-40"), "{ran:#?}");
    assert_eq!(everything(&room.path("run/checkpoints")), before);
    limited("train net.toml --out new")
        .refused(74, &["new/checkpoints/step-5", "cannot be written"]);
    assert_eq!(room.checkpoints("new"), [0; 0]);
    room.is_tidy("new");
    room.resume("run", &ON).expect(0).says(&["going on after step 30 ("]);
    ends_alike(&room, "run");
}

/// A disk that is really full, if this machine lets the test mount one.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_no_checkpoint() {
    let room = Room::new(&steady(100));
    let tandem = env!("CARGO_BIN_EXE_tandem");
    // 600 KiB hold some checkpoints, but not nine.
    let text = format!(
        "mkdir disk && mount -t tmpfs -o size=600k none disk || exit 99
         {tandem} train net.toml --out disk/run --keep 9 --device reference; echo $? > code
         cp -r disk/run left; rm -rf disk/run/last disk/run/model
         {tandem} train --resume disk/run --keep 1 --max-steps 1 --device reference 2> again; echo \
         $? > again-code"
    );
    let ran = Ran::of(room.program("unshare").args(["-rm", "sh", "-c", &text]).output().unwrap());
    if !room.path("code").exists() {
        eprintln!("skipped, no disk could be mounted: {ran:?}");
        return;
    }
    assert_eq!(room.text("code").trim(), "74", "{ran:#?}");
    assert!(
        ran.err.contains("error: ")
            && ran.err.contains("No space left")
            && !ran.err.contains("panicked"),
        "{ran:#?}"
    );
    let kept = room.checkpoints("left");
    assert!(!kept.is_empty(), "{ran:#?}");
    for step in &kept {
        tandem::run::checkpoint::load(&room.path(&format!("left/checkpoints/step-{step}")))
            .unwrap();
    }
    room.resume("left", &["--max-steps", &(kept[0] + 2).to_string()])
        .expect(0)
        .says(&[&format!("going on after step {} (", kept[0])]);
    room.is_tidy("left");
    assert!(room.text("again").contains("going on after step"), "{}", room.text("again"));
}

/// A directory that is not writable is noticed before the first step.
#[cfg(unix)]
#[test]
fn read_only_places_are_noticed_before_training() {
    use std::os::unix::fs::PermissionsExt;
    let room = room();
    stopped(&room, "run", 30);
    room.write("file", "");
    room.train("file/run", &[]).refused(73, &["file/run"]);
    let Some(user) = unprivileged(&room) else {
        return eprintln!("skipped: everything may be written by this user");
    };
    let lock = |path: &str, mode: u32| {
        fs::set_permissions(room.path(path), fs::Permissions::from_mode(mode)).unwrap()
    };
    let goes_on = || {
        Ran::of(
            user(&["train", "--resume", "run", "--max-steps", "40", "--device", "reference"])
                .output()
                .unwrap(),
        )
    };
    let before = room.last_step("run");
    for path in ["run/checkpoints", "run"] {
        lock(path, 0o555);
        let ran = goes_on().refused(73, &[path, "cannot be created"]);
        assert!(!ran.err.contains("choose"), "a hint that --resume forbids: {ran:#?}");
        assert_eq!((room.last_step("run"), room.checkpoints("run")), (before, vec![30, 25]));
    }
    let new = Ran::of(
        user(&["train", "net.toml", "--out", "run/new", "--device", "reference"]).output().unwrap(),
    );
    new.refused(73, &["run/new"]);
    lock("run", 0o777);
    lock("run/checkpoints", 0o777);
    goes_on().expect(0);
}

/// How to start the program as a user to whom permissions apply: root becomes nobody, if nobody can
/// read the program.
#[cfg(unix)]
fn unprivileged(room: &Room) -> Option<impl Fn(&[&str]) -> std::process::Command + '_> {
    use std::os::unix::process::CommandExt;
    let is_root = Ran::of(room.program("id").arg("-u").output().unwrap()).out.trim() == "0";
    let copy = room.path("program");
    let program = if is_root { copy.clone() } else { env!("CARGO_BIN_EXE_tandem").into() };
    if is_root {
        fs::copy(env!("CARGO_BIN_EXE_tandem"), &copy).unwrap();
        assert!(room.program("chmod").args(["-R", "a+rwX", "."]).status().unwrap().success());
        assert!(room.program("chown").args(["-R", "65534", "run"]).status().unwrap().success());
    }
    let command = move |args: &[&str]| {
        let mut command = room.program(&program);
        command.args(args);
        if is_root {
            command.uid(65534).gid(65534);
        }
        command
    };
    command(&["--version"]).output().is_ok_and(|output| output.status.success()).then_some(command)
}
