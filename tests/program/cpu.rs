//! `--device cpu`: who gets it, with which words, and what it does as adapters do it.

use std::process::Command;

use serde_json::Value;

use crate::common::program::{NET, Ran, Room};

/// A room whose runs are short.
fn room() -> Room {
    Room::new(&NET.replace("epochs = 12", "epochs = 3"))
}

/// The program without any driver.
fn without_driver(room: &Room, args: &[&str]) -> Command {
    let mut command = room.command(args);
    command.env("VK_DRIVER_FILES", "/nonexistent");
    command
}

fn ran(mut command: Command) -> Ran {
    Ran::of(command.output().unwrap())
}

fn environment(room: &Room, run: &str) -> Value {
    serde_json::from_str(&room.text(&format!("{run}/environment.json"))).unwrap()
}

/// Trains on the processor.
fn train(room: &Room, out: &str, more: &[&str]) -> Ran {
    room.run(&[&["train", "net.toml", "--out", out, "--device", "cpu"], more].concat())
}

#[test]
fn a_run_on_the_processor_is_like_one_on_the_reference() {
    let room = room();
    let json = train(&room, "cpu", &["--json"]).expect(0).json();
    let expected = room.train("reference", &["--json"]).expect(0).json();
    let losses = |json: &Value| {
        ["train", "valid", "test"].map(|split| json[split]["loss"].as_f64().unwrap())
    };
    for (found, expected) in losses(&json).into_iter().zip(losses(&expected)) {
        assert!((found - expected).abs() < 1e-5 * expected, "{found} {expected}");
    }
    let adapter = &environment(&room, "cpu")["adapter"];
    assert_eq!(adapter["name"], "cpu");
    assert!(adapter["threads"].as_u64().unwrap() > 0 && adapter["instructions"].is_string());
}

/// What splits the work differently changes no byte of the model; what rounds elsewhere is near.
#[test]
fn threads_submissions_and_streaming_change_no_byte() {
    let room = room();
    let whole = train(&room, "one", &["--threads", "1", "--json"]).expect(0).json();
    let model = room.bytes("one/model/model.safetensors");
    let ways: [&[&str]; 4] = [
        &["--threads", "3"],
        &["--steps-per-submission", "7"],
        &["--resident", "off"],
        &["--profile"],
    ];
    for (number, way) in ways.into_iter().enumerate() {
        let out = format!("run{number}");
        train(&room, &out, way).expect(0);
        assert!(room.bytes(&format!("{out}/model/model.safetensors")) == model, "{way:?}");
    }
    let parts = train(&room, "parts", &["--accumulate", "3", "--json"]).expect(0).json();
    let [whole, parts] = [whole, parts].map(|json| json["valid"]["loss"].as_f64().unwrap());
    assert!((whole - parts).abs() < 1e-5 * whole, "{whole} {parts}");
}

#[test]
fn a_profile_names_its_clock() {
    let room = room();
    let profile = train(&room, "run", &["--profile"]).expect(0);
    for text in ["dense_forward", "taken by wall clock", "GFLOP/s"] {
        assert!(profile.out.contains(text) || profile.err.contains(text), "{text}: {profile:#?}");
    }
}

#[test]
fn a_run_goes_on_to_the_same_bytes() {
    let constant = NET.replace("schedule = \"cosine\"\nwarmup_steps = 5\n", "");
    let room = Room::new(&constant.replace("epochs = 12", "epochs = 3"));
    train(&room, "whole", &["--max-steps", "39"]).expect(0);
    train(&room, "part", &["--max-steps", "17"]).expect(0);
    room.run(&["train", "--resume", "part", "--device", "cpu", "--max-steps", "39"]).expect(0);
    assert!(
        room.bytes("part/last/model.safetensors") == room.bytes("whole/last/model.safetensors")
    );
}

#[test]
fn the_environment_sets_the_default() {
    let room = room();
    let with = |device: &str, args: &[&str]| {
        let mut command = room.command(args);
        command.env("TANDEM_DEVICE", device);
        ran(command)
    };
    let args = ["train", "net.toml", "--out", "a", "--max-steps", "1"];
    with("cpu", &args).expect(0).says(&["adapter: cpu (f32, ", "TANDEM_DEVICE asks for it"]);
    let args = ["train", "net.toml", "--out", "b", "--max-steps", "1", "--device", "reference"];
    with("cpu", &args).expect(0).says(&["adapter: float64 reference"]);
    let args = ["train", "net.toml", "--out", "c", "--max-steps", "1"];
    with("no such", &args).refused(69, &["TANDEM_DEVICE no such"]);
    with("reference", &[&args[..], &["--profile"]].concat())
        .refused(2, &["--profile", "TANDEM_DEVICE reference"]);
    with("", &["devices"]).expect(0);
}

#[cfg(target_os = "linux")]
#[test]
fn without_an_adapter_the_processor_is_taken_and_named() {
    let room = room();
    let args = ["train", "net.toml", "--out", "run", "--max-steps", "3"];
    ran(without_driver(&room, &args)).expect(0).says(&[
        "adapter: cpu (f32, ",
        "no adapter: ",
        "found none",
    ]);
    let devices = ran(without_driver(&room, &["devices"])).expect(0);
    assert!(devices.out.contains("* cpu: the processor"), "{devices:#?}");
    let json = ran(without_driver(&room, &["devices", "--json"])).expect(0).json();
    assert_eq!((&json["chosen"], json["adapters"].as_array().unwrap().len()), (&"cpu".into(), 0));
    ran(without_driver(&room, &["doctor"])).expect(0);
    let args = ["train", "net.toml", "--out", "none", "--backend", "vulkan"];
    ran(without_driver(&room, &args)).refused(69, &["no adapter"]);
    let args = ["train", "net.toml", "--out", "none", "--device", "llvmpipe"];
    ran(without_driver(&room, &args)).refused(69, &["no adapter"]);
}

/// Where a software adapter is all there is, a model is applied by the processor.
#[test]
fn models_are_applied_by_the_processor_where_there_is_no_gpu() {
    let room = room();
    train(&room, "run", &[]).expect(0);
    let is_software = room.run(&["devices", "--json"]).json()["adapters"][0]["class"] == "software";
    let takes = if is_software { "adapter: cpu (f32, " } else { "adapter: " };
    for verb in ["evaluate", "predict"] {
        let args = [verb, "run", "--data", "test.csv"];
        room.run(&args).expect(0).says(&[takes]);
        let told = room.run(&[&args[..], &["--device", "reference"]].concat()).expect(0);
        told.says(&["adapter: float64 reference"]);
    }
    let one = room.run(&["predict", "run", "--data", "test.csv", "--device", "cpu"]).expect(0);
    let two = ["predict", "run", "--data", "test.csv", "--device", "cpu", "--threads", "2"];
    assert_eq!(one.out, room.run(&two).expect(0).out);
}

#[test]
fn flags_that_would_have_no_effect_are_refused() {
    let room = room();
    let refused = |args: &[&str], pieces: &[&str]| {
        let args = [&["train", "net.toml", "--out", "run"], args].concat();
        room.run(&args).refused(2, pieces);
        assert!(!room.path("run").exists(), "{args:?}");
    };
    refused(&["--threads", "2"], &["--threads 2", "--device cpu"]);
    refused(&["--threads", "2", "--device", "reference"], &["--threads 2", "reference"]);
    refused(&["--backend", "vulkan", "--device", "cpu"], &["--backend", "--device cpu"]);
    refused(&["--default-limits", "--device", "cpu"], &["--default-limits", "--device cpu"]);
    refused(&["--retry-device", "1", "--device", "cpu"], &["--retry-device", "--device cpu"]);
    room.run(&["train", "net.toml", "--device", "cpu", "--threads", "0"]).expect(2);
}

#[test]
fn verbs_that_measure_run_on_the_processor() {
    let room = room();
    let args = ["bench", "step", "--inputs", "9", "--trunk", "8", "--classes", "3,2", "--steps"];
    let args = [&args[..], &["5", "--profile", "--device", "cpu", "--json"]].concat();
    let json = room.run(&args).expect(0).json();
    assert_eq!(json["adapter"], "cpu");
    assert_eq!(json["profile_clock"], "wall clock");
    let args = ["bench", "gemm", "--m", "33", "--n", "70", "--k", "129", "--device", "cpu"];
    let json = room.run(&[&args[..], &["--json"]].concat()).expect(0).json();
    for product in ["nn", "nt", "tn"] {
        assert!(json[product]["max_error"].as_f64().unwrap() < 1e-4, "{json:#}");
    }
    let doctor = room.run(&["doctor", "--device", "cpu", "--json"]).expect(0).json();
    assert_eq!(doctor["passed"], true);
    room.run(&["doctor", "--device", "reference"]).refused(2, &["float64 reference"]);
}

#[test]
fn a_value_that_is_not_finite_ends_the_run() {
    let room = room();
    let args = ["--set", "optimizer.learning_rate=1e30", "--set", "optimizer.kind=sgd"];
    train(&room, "run", &args).expect(3);
}
