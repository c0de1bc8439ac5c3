//! `train --repeats N`: the same training from several seeds, and `predict` with all of them.

use std::fs;

use serde_json::Value;

use crate::common::program::{NET, Room};

const SHORT: [&str; 2] = ["--epochs", "4"];

fn room() -> Room {
    Room::new(NET)
}

fn repeats(room: &Room, out: &str, more: &[&str]) -> Value {
    room.train(out, &[&["--repeats", "3", "--json"], &SHORT[..], more].concat()).expect(0).json()
}

#[test]
fn repeats_are_the_runs_of_their_seeds() {
    let room = room();
    let found = repeats(&room, "all", &["--seed", "5"]);
    assert_eq!((&found["run"], &found["repeats"]), (&"all".into(), &3.into()));
    let (mut means, mut figures) = (Vec::new(), Vec::new());
    for (number, seed) in [(1, "5"), (2, "6"), (3, "7")] {
        let one = format!("one-{seed}");
        let ran = room.train(&one, &[&["--seed", seed, "--json"], &SHORT[..]].concat());
        figures.push(ran.expect(0).json()["test"]["tasks"]["a"]["accuracy"].as_f64().unwrap());
        room.same(&format!("all/repeat-{number}"), &one);
        let args = ["predict", &one, "--data", "test.csv"];
        means.push(probabilities(&room.on_reference(&args).expect(0).out));
    }
    let mean = figures.iter().sum::<f64>() / 3.0;
    let spread = (figures.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
    let accuracy = &found["tasks"]["a"]["accuracy"];
    for (key, expected) in [("mean", mean), ("spread", spread)] {
        assert!((accuracy[key].as_f64().unwrap() - expected).abs() < 1e-12, "{key}: {accuracy}");
    }
    assert_eq!(accuracy["repeats"], serde_json::json!(figures));
    // predict averages probabilities.
    let ran = room.on_reference(&["predict", "all", "--data", "test.csv"]).expect(0);
    let together = probabilities(&ran.out);
    assert!(ran.err.contains("the models of 3 repeats predict together"), "{ran:#?}");
    assert_eq!(together.len(), 30 * 6);
    for (place, found) in together.iter().enumerate() {
        let mean = means.iter().map(|of_one| of_one[place]).sum::<f64>() / 3.0;
        assert!((found - mean).abs() < 1e-6, "{place}: {found}, expected {mean}");
    }
    let table = room.train("text", &[&["--repeats", "2"], &SHORT[..]].concat()).expect(0).out;
    assert!(table.contains("mean") && table.contains("on the test part"), "{table}");
}

/// The numbers of all columns of probabilities, row by row.
fn probabilities(text: &str) -> Vec<f64> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let is_probability = |name: &str| [":0", ":1", ":2"].iter().any(|end| name.ends_with(end));
    let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    records
        .iter()
        .flat_map(|record| {
            let cells = header.iter().zip(record).filter(|(name, _)| is_probability(name));
            cells.map(|(_, cell)| cell.parse().unwrap()).collect::<Vec<f64>>()
        })
        .collect()
}

#[test]
fn repeats_go_on_where_they_were_stopped() {
    let room = room();
    repeats(&room, "whole", &[]);
    assert!(room.program("cp").args(["-r", "whole", "part"]).status().unwrap().success());
    // As it stood while the second one was trained.
    let mut summary: Value = serde_json::from_str(&room.text("part/repeats.json")).unwrap();
    summary.as_object_mut().unwrap().remove("tasks");
    summary["tested"][1] = Value::Null;
    summary["tested"][2] = Value::Null;
    room.write("part/repeats.json", summary.to_string());
    fs::remove_dir_all(room.path("part/repeat-3")).unwrap();
    for step in room.checkpoints("part/repeat-2").into_iter().filter(|step| *step > 10) {
        fs::remove_dir_all(room.path(&format!("part/repeat-2/checkpoints/step-{step}"))).unwrap();
    }
    room.on_reference(&["predict", "part", "--data", "test.csv"])
        .refused(66, &["repeat 2 of 3 has not ended", "tandem train --resume part"]);
    room.resume("part", &[]).expect(0).says(&["repeat 1 of 3, seed 0 has ended: it is kept"]);
    for number in 1..=3 {
        room.same(&format!("part/repeat-{number}"), &format!("whole/repeat-{number}"));
    }
    assert_eq!(room.text("part/repeats.json"), room.text("whole/repeats.json"));
    // Longer: each goes on, each from its own seed.
    room.resume("part", &["--epochs", "6"]).expect(0);
    room.train("longer", &["--seed", "2", "--epochs", "6", "--set", "optimizer.schedule=constant"])
        .expect(0);
    let text = room.text("part/repeat-3/config.toml");
    assert!(text.contains("seed = 2\n") && text.contains("epochs = 6\n"), "{text}");
}

/// Where there is nothing left to do, members keep their settings, and that is said.
#[test]
fn repeats_that_have_nothing_to_do_go_on_again() {
    let room = room();
    let early = ["--set", "train.patience=2", "--set", "optimizer.learning_rate=1e-30"];
    room.train("run", &[&early[..], &["--repeats", "2"]].concat()).expect(0);
    let longer = ["--epochs", "20"];
    room.resume("run", &longer).expect(0).says(&["nothing to do"]);
    room.resume("run", &[]).expect(0).says(&[
        "run/repeat-1: train.epochs is 12 there, and 20 for the whole; it is kept as it is",
    ]);
    let best = ["predict", "run", "--data", "test.csv", "--best-per-task"];
    room.on_reference(&best).refused(66, &["run: is a run of 2 repeats", "run/repeat-1"]);
}

/// Lines of runs that train at the same time stand between each other.
#[test]
fn the_fault_of_a_repeat_names_it() {
    let room = room();
    room.write("wild.toml", NET.replace("learning_rate = 5e-3", "learning_rate = 1e30"));
    let own = ["train", "wild.toml", "--device", "cpu", "--threads", "2", "--out", "run"];
    let ran = room.run(&[&own[..], &["--repeats", "2"], &SHORT].concat()).expect(3);
    assert!(ran.err.contains("error: repeat "), "{ran:#?}");
}

#[test]
fn what_repeats_cannot_be_is_refused() {
    let room = room();
    room.train("no", &["--repeats", "1"]).expect(2).says(&["--repeats"]);
    room.train("no", &["--repeats", "2", "--k-fold", "2"]).expect(2).says(&["--k-fold"]);
    room.train("no", &["--repeats", "3", "--seed", "9223372036854775807"])
        .refused(78, &["train.seed", "3 repeats need as many seeds"]);
    repeats(&room, "run", &[]);
    let summary = room.text("run/repeats.json");
    for damaged in ["{", "{\"repeats\": 0}", "{\"repeats\": 18446744073709551615}"] {
        room.write("run/repeats.json", damaged);
        room.resume("run", &[]).refused(65, &["does not say how many repeats there are"]);
        room.on_reference(&["predict", "run", "--data", "test.csv"])
            .refused(66, &["repeat 1 of 3 has not ended"]);
    }
    room.write("run/repeats.json", summary);
    room.resume("run", &["--seed", "4"]).refused(78, &["train.seed", "cannot change its seeds"]);
    room.on_reference(&["evaluate", "run", "--data", "test.csv"])
        .refused(66, &["run: is a run of 3 repeats", "run/repeat-1"]);
}
