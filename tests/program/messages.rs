//! Messages that new users meet early: each names what was meant and what to write instead.

use crate::common::program::{NET, Room};

/// A configuration with one file for all parts.
fn bare() -> Room {
    Room::new(&NET.replace("valid = \"valid.csv\"\n", "").replace("test = \"test.csv\"\n", ""))
}

#[test]
fn two_shares_are_shown_as_three() {
    let room = bare();
    let set = |room: &Room, share: &str, pieces: &[&str]| {
        room.train("run", &["--set", &format!("data.split={share}")]).refused(78, pieces);
    };
    set(
        &room,
        "[0.8, 0.2]",
        &[
            "found two, [0.8, 0.2]",
            "split = [0.8, 0.2, 0.0] to validate",
            "[0.8, 0.0, 0.2] to test",
        ],
    );
    set(&room, "[1.0]", &["must be three shares", "one share for each part"]);
    set(&room, "[0.4, 0.2, 0.2, 0.2]", &["must be three shares", "found 4"]);
    let room = Room::new(&NET.replace("valid = \"valid.csv\"\n", ""));
    set(&room, "[0.8, 0.2]", &["write split = [0.8, 0.2, 0.0]", "data.test is given"]);
    let room = Room::new(&NET.replace("test = \"test.csv\"\n", ""));
    set(&room, "[0.8, 0.2]", &["write split = [0.8, 0.0, 0.2]", "data.valid is given"]);
}

/// With a file of validation rows, nothing is cut off the training file.
#[test]
fn nothing_is_cut_off_the_training_file_for_a_part_with_its_own_file() {
    let room = Room::new(&NET.replace("test = \"test.csv\"\n", ""));
    let ran = room.train("run", &["--epochs", "1"]).expect(0);
    assert!(ran.err.contains("labelled for a: train 200 of 200, valid 40 of 40\n"), "{}", ran.err);
    let ran =
        room.train("split", &["--epochs", "1", "--set", "data.split=[0.8, 0.0, 0.2]"]).expect(0);
    assert!(ran.err.contains(", test "), "{}", ran.err);
}

#[test]
fn the_keys_of_a_column_are_listed() {
    for key in ["skale", "zzz", "scaling"] {
        let ran = bare().train("run", &["--set", &format!("feature.x0.{key}=1")]);
        ran.refused(
            78,
            &[
                &format!("feature.x0.{key}: unknown key"),
                "known here: type, missing, decimal, dates, scale, clip, min_count",
            ],
        );
    }
}

#[test]
fn an_address_is_no_file() {
    let room = bare();
    room.train("run", &["--epochs", "1"]).expect(0);
    let url = "https://example.org/a/d.csv?x=1";
    let is_said = |args: &[&str], code: i32| {
        room.on_reference(args).refused(
            code,
            &["is an address, and files are read from this machine alone", "download it first"],
        );
    };
    is_said(&["train", "https://example.org/c.toml"], 66);
    is_said(&["train", "net.toml", "--set", &format!("data.train={url}")], 78);
    is_said(&["train", "net.toml", "--set", &format!("data.valid={url}")], 78);
    is_said(&["train", "net.toml", "--init-from", "http://example.org/m.safetensors"], 66);
    is_said(&["predict", "run", "--data", url], 66);
    is_said(&["evaluate", "run", "--data", url], 66);
    is_said(&["init", "--data", url, "--target", "a"], 66);
    let path = format!("file://{}", room.path("test.csv").display());
    room.on_reference(&["predict", "run", "--data", &path])
        .refused(66, &["give the path alone: \"/"]);
    room.on_reference(&["predict", "run", "--data", "s3://bucket/d.csv"])
        .refused(66, &["bring it here first"]);
}

#[test]
fn quiet_and_verbose_are_both_named() {
    for args in [["train", "net.toml", "-q", "-v"], ["train", "net.toml", "--verbose", "--quiet"]] {
        bare()
            .on_reference(&args)
            .refused(2, &["-q (--quiet) and -v (--verbose)", "leave one of the two out"]);
    }
    bare().run(&["devices", "-qv"]).refused(2, &["-q (--quiet)"]);
}

#[test]
fn a_run_directory_is_explained() {
    let room = bare();
    room.train("run", &["--epochs", "1"]).expect(0);
    let whole = room.on_reference(&["explain", "net.toml"]).expect(0).out;
    let ran = room
        .on_reference(&["explain", "run"])
        .expect(0)
        .says(&["run is a directory: its config.toml is explained"]);
    assert_eq!(ran.out, whole);
    room.train("folds", &["--epochs", "1", "--k-fold", "2"]).expect(0);
    room.on_reference(&["explain", "folds"]).expect(0).says(&["its folds.toml is explained"]);
    std::fs::create_dir(room.path("empty")).unwrap();
    room.on_reference(&["explain", "empty"])
        .refused(66, &["empty: is no run directory", "name a configuration"]);
}

/// If there are many columns, the message names label columns first, and the last columns too.
#[test]
fn label_columns_are_named_first() {
    let room = bare();
    let names: Vec<String> = (0..20).map(|i| format!("column{i}")).collect();
    let line = |row: usize| {
        (0..20).map(|i| ((row * (i + 3)) % 7).to_string()).collect::<Vec<_>>().join(",")
            + &format!(",{},{}\n", row % 2, row / 2 % 2)
    };
    room.write("wide.csv", names.join(",") + ",a,b\n" + &(0..60).map(line).collect::<String>());
    let train = |key: &str| room.train("run", &["--set", "data.train=wide.csv", "--set", key]);
    train("data.ignore=[\"??\"]").refused(
        78,
        &["no column \"??\"", "the columns are \"a\", \"b\", \"column0\"", "(22 in all)"],
    );
    train("task.a.target=??").refused(
        78,
        &[
            "no column \"??\"",
            "the columns are \"b\", \"column0\"",
            "\"column19\", \"a\" (22 in all)",
        ],
    );
    room.train("run", &["--set", "data.train=wide.csv", "--epochs", "1"]).expect(0);
    room.write("none.csv", "p,q\n1,2\n");
    let ran = room.on_reference(&["evaluate", "run", "--data", "none.csv"]);
    assert!(ran.err.contains("missing"), "{ran:#?}");
}
