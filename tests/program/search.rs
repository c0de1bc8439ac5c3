//! `search`: trials as runs, with the same bytes as alone; going on; what is refused; the test part
//! is not looked at before the end.

use std::fs;

use serde_json::Value;

use crate::common::program::{NET, Ran, Room};

/// [`NET`] with few epochs and a search over a rate, widths, λ and dropout.
fn net() -> String {
    NET.replace("epochs = 12", "epochs = 4").replace("patience = 11", "patience = 3")
        + "
[search]
trials = 7
workers = 3
eta = 2
seeds = 2
[search.space]
\"optimizer.learning_rate\" = { log = [1e-3, 1e-1] }
\"trunk.layers\" = { choice = [[6], [12], [8, 8]] }
\"coupling.0.strength\" = { log = [1e-3, 1.0], or = [0] }
\"trunk.dropout\" = { linear = [0.0, 0.4] }
"
}

fn search(room: &Room, out: &str, more: &[&str]) -> Ran {
    room.on_reference(&[&["search", "net.toml", "--out", out][..], more].concat())
}

/// The record of a search.
fn record(room: &Room, out: &str) -> Value {
    serde_json::from_str(&room.text(&format!("{out}/search.json"))).unwrap()
}

/// Everything in a record but times.
fn timeless(mut record: Value) -> Value {
    record["seconds"] = Value::Null;
    record["found"]["seconds"] = Value::Null;
    record["found"]["directory"] = Value::Null;
    for key in ["run", "settings"] {
        record["found"]["best"][key] = Value::Null;
    }
    record["jobs"].as_array_mut().unwrap().iter_mut().for_each(|job| job["seconds"] = Value::Null);
    record
}

/// The column of a table of trials.
fn column(room: &Room, out: &str, name: &str) -> Vec<String> {
    let text = room.text(&format!("{out}/trials.csv"));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let at = reader.headers().unwrap().iter().position(|head| head == name).unwrap();
    reader.records().map(|record| record.unwrap()[at].to_owned()).collect()
}

#[test]
fn trials_are_the_runs_of_their_settings() {
    let room = Room::new(&net());
    let ran = search(&room, "all", &["--json"]).expect(0);
    let found = ran.json();
    assert_eq!(found["trials"], 7);
    let rungs = column(&room, "all", "rung");
    assert_eq!(
        (rungs.len(), &column(&room, "all", "name")[..2]),
        (7, &["defaults".into(), "λ = 0".into()][..])
    );
    assert!(rungs.contains(&"1".to_owned()) && rungs.contains(&"3".to_owned()), "{rungs:?}");
    // A trial that was paused and went on is the run that was never paused; test data apart.
    let whole = rungs.iter().position(|rung| rung == "3").unwrap() + 1;
    let settings = room.text(&format!("all/trial-{whole}/config.toml"));
    room.write("trial.toml", settings.replace("test.csv", "valid.csv"));
    room.on_reference(&["train", "trial.toml", "--out", "alone"]).expect(0);
    let own = |run: &str, file: &str| room.bytes(&format!("{run}/{file}"));
    for file in ["model/model.safetensors", "last/model.safetensors"] {
        assert!(own("alone", file) == own(&format!("all/trial-{whole}"), file), "{file}");
    }
    // The figure of the table is the score of the kept model.
    let objective: Vec<f64> = column(&room, "all", "relative_loss")
        .iter()
        .map(|figure| figure.parse().unwrap())
        .collect();
    let best = found["best"]["trial"].as_u64().unwrap() as usize;
    assert_eq!(rungs[best - 1], "3");
    let least = (0..7).filter(|trial| rungs[*trial] == "3").map(|trial| objective[trial]);
    assert_eq!(objective[best - 1], least.fold(f64::INFINITY, f64::min));
    assert_eq!(-found["best"]["score"].as_f64().unwrap(), objective[best - 1]);
    // The best settings train to the best trial.
    room.on_reference(&["train", "all/best.toml", "--out", "again"]).expect(0);
    assert!(
        own("again", "model/model.safetensors")
            == own(&format!("all/trial-{best}"), "model/model.safetensors")
    );
    // They are there from other seeds, and predict together.
    for seed in [1, 2] {
        let config = room.text(&format!("all/best/repeat-{seed}/config.toml"));
        assert!(config.contains(&format!("seed = {seed}\n")), "{config}");
    }
    room.on_reference(&["predict", "all/best", "--data", "test.csv"])
        .expect(0)
        .says(&["the models of 2 repeats predict together"]);
    assert_eq!(found["test"]["part"], "test");
    assert_eq!(found["valid"]["part"], "valid");
    // The page of compare has the same figures of the same runs.
    let args = ["compare", "all/beside/defaults", "all/best", "--json"];
    let compared = room.on_reference(&args).expect(0).json();
    assert_eq!(
        compared["tasks"]["a"]["values"]["all/best/repeat-1"],
        found["test"]["tasks"]["a"]["values"]["best"]
    );
    room.is_tidy("all");
}

/// Whatever the number of jobs that a search has done before it is interrupted.
#[test]
fn a_search_goes_on_to_the_same_result() {
    let room = Room::new(&net());
    search(&room, "whole", &[]).expect(0);
    let whole = record(&room, "whole");
    let jobs = whole["jobs"].as_array().unwrap().len();
    assert!(jobs > 8, "{jobs}");
    // The first three jobs are handed out at once; what comes then follows from them.
    for (kept, over) in [(0, false), (1, false), (3, false), (jobs, false), (jobs, true)] {
        let copied = room.program("cp").args(["-r", "whole", "part"]).status().unwrap();
        assert!(copied.success());
        let mut part = whole.clone();
        let is_kept = |job: &Value| {
            let first = job["trial"].as_u64().unwrap() < kept as u64 && job["rung"] == 0;
            kept == jobs || first
        };
        part["jobs"].as_array_mut().unwrap().retain(is_kept);
        (part["over"], part["found"]) = (over.into(), Value::Null);
        room.write("part/search.json", part.to_string());
        if over {
            // Within the runs from several seeds.
            fs::remove_dir_all(room.path("part/best/repeat-2")).unwrap();
        }
        if kept < jobs {
            // Trials that the record does not know of began behind the interruption.
            fs::remove_dir_all(room.path("part/trial-3")).unwrap();
            fs::remove_dir_all(room.path("part/best")).unwrap();
        }
        room.on_reference(&["search", "--resume", "part"]).expect(0);
        assert_eq!(timeless(record(&room, "part")), timeless(whole.clone()), "{kept} jobs kept");
        let values = |out: &str| column(&room, out, "optimizer.learning_rate");
        assert_eq!(values("part"), values("whole"), "{kept}");
        let same = |file: &str| {
            room.bytes(&format!("part/{file}")) == room.bytes(&format!("whole/{file}"))
        };
        assert!(same("best.toml") && same("trial-3/model/model.safetensors"), "{kept}");
        assert!(same("best/repeat-2/model/model.safetensors"), "{kept}");
        fs::remove_dir_all(room.path("part")).unwrap();
    }
}

#[test]
fn a_signal_stops_a_search_and_it_goes_on() {
    let room = Room::new(&net());
    search(&room, "whole", &[]).expect(0);
    let args = ["search", "net.toml", "--out", "run", "--device", "reference"];
    let mut child = room
        .command(&args)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while room.last_step("run/trial-3") < 5 {
        assert!(child.try_wait().unwrap().is_none(), "the search ended before its third trial");
    }
    let id = child.id().to_string();
    assert!(room.program("kill").args(["-INT", &id]).status().unwrap().success());
    let ran = Ran::of(child.wait_with_output().unwrap());
    ran.expect(130).says(&["go on with: tandem search --resume run"]);
    // On the device that it began with.
    room.run(&["search", "--resume", "run"]).expect(0).says(&["float64 reference"]);
    assert_eq!(timeless(record(&room, "run")), timeless(record(&room, "whole")));
}

/// The settings, the scores and the models of a search do not depend on a single byte of what the
/// test part says.
#[test]
fn the_test_part_is_not_looked_at_before_the_end() {
    let room = Room::new(&net());
    search(&room, "clean", &[]).expect(0);
    // The same classes at random, with features far off.
    let mut rows = room.text("test.csv").lines().map(str::to_owned).collect::<Vec<_>>();
    let labels: Vec<String> = rows[1..].iter().rev().cloned().collect();
    rows.splice(
        1..,
        labels.iter().map(|row| {
            let cells: Vec<&str> = row.split(',').collect();
            let poisoned = |cell: &&str| match cell.parse::<f64>() {
                Ok(number) if cell.contains('.') => format!("{}", number * 1e6 + 12345.5),
                _ => (*cell).to_owned(),
            };
            cells.iter().map(poisoned).collect::<Vec<_>>().join(",")
        }),
    );
    room.write("test.csv", rows.join("\n") + "\n");
    search(&room, "poisoned", &[]).expect(0);
    let untested = |out: &str| {
        let mut record = timeless(record(&room, out));
        record["data"] = Value::Null;
        record["found"]["test"] = Value::Null;
        let sentences = record["found"]["sentences"].as_array_mut().unwrap();
        sentences.retain(|line| !line.as_str().unwrap().contains("on the test part"));
        record
    };
    assert_eq!(untested("clean"), untested("poisoned"));
    assert_ne!(record(&room, "clean")["found"]["test"], record(&room, "poisoned")["found"]["test"]);
    assert_eq!(room.bytes("clean/best.toml"), room.bytes("poisoned/best.toml"));
    for trial in 1..=7 {
        let points = room.text(&format!("poisoned/trial-{trial}/metrics.jsonl"));
        assert!(!points.contains("\"test\""), "{points}");
    }
}

#[test]
fn every_method_searches() {
    let net =
        net().replace("trials = 7\nworkers = 3\neta = 2\n", "").replace("epochs = 4", "epochs = 2");
    let room = Room::new(&net);
    for (method, more, trials) in [
        ("random", &["--trials", "4"][..], 4),
        ("tpe", &["--trials", "5", "--set", "search.workers=2"], 5),
        ("halving", &["--trials", "4", "--set", "search.eta=2"], 4),
        (
            "grid",
            &[
                "--set",
                "search.space.\"optimizer.learning_rate\"={ log = [1e-3, 1e-2], points = 2 }",
                "--set",
                "search.space.\"coupling.0.strength\"={ choice = [0.0, 0.1] }",
                "--set",
                "search.space.\"trunk.dropout\"={ choice = [0.1] }",
            ],
            14,
        ),
    ] {
        let args = [&["--method", method, "--json", "--no-report"], more].concat();
        let found = search(&room, method, &args).expect(0).json();
        assert_eq!(found["trials"], trials, "{method}");
    }
    // What the file says for another method has no use, and is said.
    let net = room.text("net.toml").replace("seeds = 2", "seeds = 2\neta = 2\ntrials = 4");
    room.write("net.toml", net);
    search(&room, "other", &["--method", "tpe", "--no-report", "--trials", "3"])
        .expect(0)
        .says(&["search.eta has no use with this --method"]);
    let rates = column(&room, "grid", "optimizer.learning_rate");
    // Behind the defaults and λ = 0 each point of the grid comes once: 2 · 3 · 2 · 1.
    assert_eq!(rates[2..].iter().filter(|rate| *rate == "0.01").count(), 6);
    let widths = column(&room, "grid", "trunk.layers");
    let zeros = column(&room, "grid", "coupling.0.strength");
    let all: std::collections::BTreeSet<_> =
        (2..14).map(|at| (&rates[at], &widths[at], &zeros[at])).collect();
    assert_eq!(all.len(), 12, "{all:?}");
}

#[test]
fn a_space_of_its_own_is_said() {
    let room = Room::new(&NET.replace("epochs = 12", "epochs = 1"));
    let args = ["--trials", "3", "--method", "random", "--repeats", "2"];
    search(&room, "own", &args).expect(0).says(&[
        "no [search.space] is given: searched are optimizer.learning_rate, trunk.layers, \
         trunk.dropout, optimizer.weight_decay, coupling.0.strength, coupling.1.strength, \
         task.b.weight",
    ]);
    // Without couplings there is no λ.
    assert_eq!(column(&room, "own", "name"), ["defaults", "λ = 0", ""]);
    let strengths = column(&room, "own", "coupling.0.strength");
    assert_eq!(&strengths[..2], ["0.05", "0.0"]);
}

#[test]
fn a_trial_that_fails_is_told_and_others_go_on() {
    let net = NET.replace("epochs = 12", "epochs = 2")
        + "
[search]
method = \"random\"
trials = 5
seeds = 1
[search.space]
\"optimizer.learning_rate\" = { choice = [1e-3, 1e38] }
";
    let room = Room::new(&net);
    let found = search(&room, "all", &["--json"]).expect(0).says(&["failed: "]).json();
    let failed = column(&room, "all", "failed");
    let count = failed.iter().filter(|why| !why.is_empty()).count();
    assert!(count > 0 && found["failed"] == count, "{failed:?}");
    assert_ne!(found["best"]["values"]["optimizer.learning_rate"], "1e38");
    // All of them.
    room.write("net.toml", net.replace("choice = [1e-3, 1e38]", "choice = [2e38, 3e38]"));
    search(&room, "none", &["--set", "optimizer.learning_rate=1e38"])
        .refused(78, &["all trials failed, the first one so: "]);
}

#[test]
fn a_front_lies_between_two_objectives() {
    let net = net()
        .replace("trials = 7\nworkers = 3\neta = 2\n", "trials = 5\n")
        .replace(
            "seeds = 2",
            "pareto = [\"a.accuracy\", \"b.accuracy\"]\nreference = [0.0, 0.0]\nseeds = 1",
        )
        .replace("epochs = 4", "epochs = 2");
    let room = Room::new(&net);
    let found = search(&room, "front", &["--json"]).expect(0).json();
    let front = &found["front"];
    let trials = front["trials"].as_array().unwrap();
    let figures: Vec<(f64, f64)> = trials
        .iter()
        .map(|t| (t["figures"][0].as_f64().unwrap(), t["figures"][1].as_f64().unwrap()))
        .collect();
    let mut corners: Vec<(f64, f64)> = Vec::new();
    for (trial, (a, b)) in trials.iter().zip(&figures) {
        let is_dominated = figures.iter().any(|(x, y)| x >= a && y >= b && (x > a || y > b));
        assert_eq!(trial["on_front"] == true, !is_dominated, "{front:#}");
        corners.extend((!is_dominated).then_some((*a, *b)));
    }
    // The area below the front, as a sum of columns.
    corners.sort_by(|x, y| x.0.total_cmp(&y.0));
    let (mut area, mut before) = (0.0, 0.0);
    for (a, b) in corners {
        area += (a - before) * b;
        before = a;
    }
    assert!((front["hypervolume"].as_f64().unwrap() - area).abs() < 1e-12, "{front:#}");
    // Preferences are weights of the tasks, twice as large in the sum as one weight.
    let preference: f64 = column(&room, "front", "preference.a.accuracy")[2].parse().unwrap();
    let settings: toml::Table = room.text("front/trial-3/config.toml").parse().unwrap();
    let weight = |task: &str| settings["task"][task]["weight"].as_float().unwrap();
    assert!((weight("a") - 2.0 * preference).abs() < 1e-3, "{preference} {}", weight("a"));
    assert!((weight("a") + weight("b") - 2.0).abs() < 1e-9);
}

#[test]
fn the_mean_weights_of_a_balancer_are_tried() {
    let room = Room::new(&NET.replace("epochs = 12", "epochs = 3"));
    room.train("run", &["--set", "balance.method=dwa", "--set", "task.b.weight=0.5"]).expect(0);
    let args = ["search", "--from", "run", "--out", "frozen", "--repeats", "2", "--json"];
    let found = room.on_reference(&args).expect(0).json();
    // log_every = "1s": each step has a point.
    let weights: Vec<f64> = room
        .text("run/metrics.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|point| point["split"] == "train")
        .map(|point| point["balance"]["weights"]["b"].as_f64().unwrap())
        .collect();
    let mean = weights.iter().sum::<f64>() / weights.len() as f64;
    assert!((found["weights"]["b"].as_f64().unwrap() - mean).abs() < 1e-12);
    let settings: toml::Table = room.text("frozen/best.toml").parse().unwrap();
    let weight = settings["task"]["b"]["weight"].as_float().unwrap();
    assert!((weight - 0.5 * mean).abs() < 1e-12, "{weight}");
    assert_eq!(settings["balance"]["method"].as_str(), Some("none"));
    let ways = found["test"]["ways"].as_object().unwrap();
    assert_eq!(ways.keys().collect::<Vec<_>>(), ["dwa", "unbalanced", "frozen"]);
    // It goes on, too.
    fs::remove_dir_all(room.path("frozen/best/repeat-2")).unwrap();
    let mut journal = record(&room, "frozen");
    journal["found"] = Value::Null;
    room.write("frozen/search.json", journal.to_string());
    let again = room.on_reference(&["search", "--resume", "frozen", "--json"]).expect(0).json();
    assert_eq!(again["test"], found["test"]);
    room.train("plain", &[]).expect(0);
    room.on_reference(&["search", "--from", "plain"])
        .refused(78, &["balance.method: plain: the run has no method that finds weights"]);
    room.on_reference(&["search", "--from", "nowhere"]).refused(66, &["is no run directory"]);
}

#[test]
fn every_bad_space_has_its_sentence() {
    let room = Room::new(NET);
    let refused = |args: &[&str], code: i32, pieces: &[&str]| {
        search(&room, "bad", args).refused(code, pieces);
        assert!(!room.path("bad").exists(), "{args:?}");
    };
    let param =
        |param: &str, code: i32, pieces: &[&str]| refused(&["--param", param], code, pieces);
    param(
        "optimizer.learning_rate",
        2,
        &["--param \"optimizer.learning_rate\": must read KEY=VALUES"],
    );
    param("optimizer.learning_rate=log:1", 2, &["a range is written LOW..HIGH"]);
    param("optimizer.learning_rate=log:a..b", 2, &["must have numbers as ends of a range"]);
    param("trunk.dropout=logg:0.1..0.2", 2, &["\"logg\" is no scale: log or linear"]);
    param("=1", 2, &["must read KEY=VALUES"]);
    param("coupling.7.strength=0.1|1", 78, &["there are 2 [[coupling]] tables, numbered from 0"]);
    param("balance.observe=1|2", 78, &["is not searched: it changes no result"]);
    param("trunk.dropout=0.1||0.2", 2, &["a value is missing"]);
    param(
        "optimizer.learning_rate=log:0..1",
        78,
        &["0.0 has no logarithm", "or = [0] adds the value 0"],
    );
    param("optimizer.learning_rate=log:1..0.1", 78, &["0.1 is not above 1.0"]);
    param(
        "optimizer.lerning_rate=log:1e-4..1",
        78,
        &[
            "search.space.\"optimizer.lerning_rate\": the value 0.0001 is refused: \
         optimizer.lerning_rate: unknown key",
            "did you mean optimizer.learning_rate?",
        ],
    );
    param("trunk.dropout=linear:0..1.5", 78, &["the value 1.5 is refused: trunk.dropout: must be"]);
    param(
        "trunk.layers=[12]|\"wide\"",
        78,
        &["the value \"wide\" is refused: trunk.layers: must be a list"],
    );
    param("train.batch_size=log:8..64.5", 78, &["the value 64.5 is refused: train.batch_size"]);
    param(
        "task.c.weight=log:0.1..1",
        78,
        &["the value 0.1 is refused", "task.c: there is no such task to override"],
    );
    param("train.seed=1|2|3", 78, &["is not searched: the best of several seeds is luck"]);
    param("data.split_seed=1|2", 78, &["is not searched: trials on other rows cannot be compared"]);
    param("task.a.type=multiclass|binary", 78, &["it says what a task is, not how it is learned"]);
    param("train.max_time=10|20", 78, &["trials that the clock ends cannot be compared"]);
    param("trunk.dropout=0.1|0.1", 78, &["0.1 stands twice"]);
    let set = |set: &str, code: i32, pieces: &[&str]| refused(&["--set", set], code, pieces);
    set("search.trials=1", 78, &["search.trials: must be an integer from 2 to 100000, found 1"]);
    set("search.method=bayes", 78, &["search.method: \"bayes\" is not known"]);
    set("search.eta=1", 78, &["search.eta"]);
    set("search.trails=9", 78, &["search.trails: unknown key", "did you mean search.trials?"]);
    set(
        "search.space.\"trunk.dropout\"={ linear = [0, 0.5], log = [1, 2] }",
        78,
        &["has both linear and log"],
    );
    set(
        "search.space.\"trunk.dropout\"={ points = 3 }",
        78,
        &["has no effect, since method is not \"grid\""],
    );
    set("search.space.\"trunk.dropout\"={ or = [0] }", 78, &["says no values"]);
    set("search.space.\"trunk.dropout\"={ around = [0] }", 78, &["\"around\" is not known here"]);
    set("search.space.\"trunk.dropout\"=0.5", 78, &["must be a table of values"]);
    set("search.objective=a.auc", 78, &["search.objective: \"a.auc\" is not known"]);
    set("search.objective=[\"loss\", \"mean\"]", 78, &["each is one metric of one task"]);
    set("search.pareto=[\"a.accuracy\"]", 78, &["a front lies between two metrics or more"]);
    set("search.reference=[0.5]", 78, &["has no effect, since there is no front"]);
    set("train.max_time=5", 78, &["train.max_time: trials that the clock ends cannot be compared"]);
    refused(
        &["--objective", "loss", "--param", "coupling.0.strength=log:0.1..1"],
        78,
        &["is a part of the combined loss that trials are compared by"],
    );
    refused(
        &["--param", "task.a.weight=log:0.1..1|0"],
        78,
        &["is 0 in some trials, and a task of weight 0 has no part in what is compared"],
    );
    refused(
        &["--param", "task.a.weight=linear:0..1"],
        78,
        &["is 0 in some trials, and a task of weight 0 has no part in what is compared"],
    );
    refused(
        &["--param", "task.a.weight=log:0.1..1", "--set", "task.a.weight=0"],
        78,
        &["is 0 as it stands, and a task of weight 0 has no part in what is compared"],
    );
    refused(
        &["--param", "trunk.dropout=0.1|0.2", "--param", "trunk.dropout=0.3|0.4"],
        2,
        &["its key stands twice"],
    );
    refused(
        &["--set", "train.on_nan=rollback", "--method", "halving"],
        78,
        &["halving makes some where it pauses a trial"],
    );
    refused(
        &["--set", "search.objective=[\"a.accuracy\", \"b.loss\"]"],
        78,
        &["b.loss\" has a scale of its own: it would decide alone"],
    );
    refused(
        &["--objective", "a.accuracy", "--param", "task.a.weight=log:0.1..1|0"],
        78,
        &["is 0 in some trials, and a task of weight 0 has no part in what is compared"],
    );
    refused(&["--trials", "2"], 78, &["are those of defaults and of λ = 0: none is left"]);
    refused(&["--seed", "9223372036854775807"], 78, &["6 repeats need as many seeds"]);
    refused(
        &["--method", "grid", "--trials", "5"],
        78,
        &["search.trials: has no effect, since a grid has as many trials as it has points"],
    );
    refused(&["--k-fold", "3"], 2, &["--k-fold has no use in this search"]);
    refused(&["--init-from", "x"], 2, &["--init-from has no use in this search"]);
    room.on_reference(&["search", "--resume", "nowhere"]).refused(66, &["nowhere: is no search"]);
    room.on_reference(&["search"]).expect(2);
    let blind = NET.replace("valid = \"valid.csv\"\n", "").replace("patience = 11\n", "");
    room.write("net.toml", blind);
    refused(&[], 78, &["there is no validation data, and trials are compared on it"]);
}

/// A table of settings for a search is nothing to those who do not search.
#[test]
fn training_reads_past_the_space() {
    let room = Room::new(&net());
    room.train("with", &[]).expect(0);
    room.write("net.toml", net().split("[search]").next().unwrap());
    room.train("without", &[]).expect(0);
    room.same("with", "without");
    room.write("net.toml", net().replace("trials = 7", "trails = 7"));
    room.train("bad", &[]).refused(78, &["search.trails: unknown key"]);
}

/// Number of columns of the made problems.
const COLUMNS: usize = 100;

/// A table whose two labels are sums of its columns with these coefficients, and normal noise.
fn sums(rows: u64, stream: u64, coefficients: [&[f64]; 2], noise: f64) -> String {
    let draw = |row: u64, at: usize| {
        tandem::rng::normal(5, tandem::rng::Purpose::Synthetic, stream, row * 128 + at as u64)
    };
    let names: Vec<String> = (0..COLUMNS).map(|at| format!("x{at}")).collect();
    let mut text = names.join(",") + ",a,b\n";
    for row in 0..rows {
        let cells: Vec<f64> = (0..COLUMNS).map(|at| draw(row, at)).collect();
        let label = |task: usize| {
            let sum: f64 = cells.iter().zip(coefficients[task]).map(|(x, c)| x * c).sum();
            sum + noise * draw(row, COLUMNS + task)
        };
        let shown: Vec<String> =
            cells.iter().copied().chain([label(0), label(1)]).map(|x| format!("{x}")).collect();
        text += &(shown.join(",") + "\n");
    }
    text
}

/// Two linear tasks, trained to the end, with λ of their coupling alone to be found.
fn linear(trials: usize) -> String {
    let mut text = format!(
        "
[data]
train = \"train.csv\"
valid = \"valid.csv\"
[trunk]
layers = []
[task.a]
type = \"regression\"
scale = \"none\"
[task.b]
type = \"regression\"
scale = \"none\"
[[coupling]]
kind = \"soft_sharing\"
strength = 0.01
[optimizer]
learning_rate = 0.05
schedule = \"cosine\"
[train]
epochs = 300
batch_size = \"full\"
evaluate_every = \"300e\"
log_every = \"300e\"
[search]
method = \"random\"
trials = {trials}
seeds = 1
[search.space]
\"coupling.0.strength\" = {{ log = [1e-3, 30.0], or = [0] }}
"
    );
    (0..COLUMNS).for_each(|at| text += &format!("[feature.x{at}]\nscale = \"none\"\n"));
    text
}

/// Coefficients, normal with this spread around others.
fn around(centre: &[f64], spread: f64, stream: u64) -> Vec<f64> {
    let draw = |at| tandem::rng::normal(5, tandem::rng::Purpose::Synthetic, stream, at as u64);
    centre.iter().enumerate().map(|(at, c)| c + spread * draw(at)).collect()
}

/// Two tasks have a common head up to normal differences of variance τ² each, and normal noise of
/// variance σ² on n rows. With the loss `mean (y − x θ)²` the posterior mean has λ = σ² / (n τ²):
/// `n / 2σ² Σ (y − x θ)² / n + ‖θ_a − θ_b‖² / 4τ²` is that loss with `½ λ ‖θ_a − θ_b‖²`, times
/// n / 2σ².
#[test]
fn the_best_strength_of_a_coupling_is_found() {
    let (rows, noise, spread) = (300.0, 3.0, 0.3);
    let known = noise * noise / (rows * spread * spread);
    let room = Room::new(&linear(32));
    let centre = around(&[0.0; COLUMNS], 1.0, 100);
    let (a, b) = (around(&centre, spread, 101), around(&centre, spread, 102));
    room.write("train.csv", sums(rows as u64, 1, [&a, &b], noise));
    room.write("valid.csv", sums(1000, 2, [&a, &b], 0.0));
    let found = search(&room, "all", &["--json", "--no-report"]).expect(0).json();
    let strength: f64 =
        found["best"]["values"]["coupling.0.strength"].as_str().unwrap().parse().unwrap();
    assert!((known / 2.0..known * 2.0).contains(&strength), "{strength}, expected about {known}");
    let ways: Vec<&String> = found["valid"]["ways"].as_object().unwrap().keys().collect();
    assert_eq!(ways, ["defaults", "best, λ = 0", "best"]);
    // Opposite tasks: every coupling hurts.
    let opposite: Vec<f64> = a.iter().map(|c| -c).collect();
    room.write("train.csv", sums(400, 1, [&a, &opposite], 0.1));
    room.write("valid.csv", sums(400, 2, [&a, &opposite], 0.0));
    let found = search(&room, "none", &["--json", "--no-report", "--trials", "8"]).expect(0).json();
    assert_eq!(found["best"]["values"]["coupling.0.strength"], "0.0");
    let sentences = found["sentences"].to_string();
    assert!(sentences.contains("λ = 0: the best settings have no coupling"), "{sentences}");
}

/// A trial counts by its settings: no equal ones are tried where the space has no others, and a
/// part of the configuration that has no effect beside a value goes, too.
#[test]
fn small_and_conditional_spaces_are_searched() {
    let net =
        NET.replace("epochs = 12", "epochs = 1") + "[architecture]\nkind = \"mmoe\"\nexperts = 3\n";
    let room = Room::new(&net);
    let args = ["--method", "random", "--trials", "9", "--repeats", "2", "--no-report", "--json"];
    let kinds = ["--param", "architecture.kind=shared|mmoe|cgc"];
    let found = search(&room, "kinds", &[&args[..], &kinds].concat()).expect(0).json();
    assert_eq!(found["trials"], 4);
    let mut tried = column(&room, "kinds", "architecture.kind");
    assert_eq!(tried.remove(0), "mmoe");
    tried.sort();
    assert_eq!(tried, ["cgc", "mmoe", "shared"]);
    let both = [&args[..], &kinds, &["--param", "architecture.experts=2|4"]].concat();
    search(&room, "both", &both).expect(0);
    let (kinds, experts) =
        (column(&room, "both", "architecture.kind"), column(&room, "both", "architecture.experts"));
    for (kind, experts) in kinds.iter().zip(&experts) {
        assert_eq!(kind == "shared", experts.is_empty(), "{kind} {experts}");
    }
    // Names with dots, on the line and in the file.
    let dotted = NET
        .replace("[task.a]", "[task.\"a.b\"]\ntarget = \"a\"")
        .replace("epochs = 12", "epochs = 1");
    room.write("net.toml", dotted);
    let args = ["--param", "task.\"a.b\".weight=0.5|2.0", "--trials", "3", "--repeats", "2"];
    search(&room, "dots", &[&args[..], &["--method", "random", "--no-report"]].concat()).expect(0);
    assert_eq!(column(&room, "dots", "task.\"a.b\".weight")[0], "1.0");
}

/// A record that is not of this search is no record.
#[test]
fn a_damaged_record_is_refused() {
    let room = Room::new(&net().replace("epochs = 4", "epochs = 2"));
    search(&room, "all", &["--no-report"]).expect(0);
    let whole = record(&room, "all");
    let refused = |change: &dyn Fn(&mut Value), code: i32, piece: &str| {
        let mut record = whole.clone();
        change(&mut record);
        room.write("all/search.json", record.to_string());
        room.on_reference(&["search", "--resume", "all"]).refused(code, &[piece]);
    };
    let begin = "has jobs that a search of these settings does not do";
    refused(&|r| r["jobs"][3]["trial"] = 99.into(), 65, begin);
    refused(&|r| r["jobs"][3]["rung"] = 9.into(), 65, begin);
    refused(&|r| r["shares"][0] = (-1.0).into(), 65, "has shares that are none");
    refused(&|r| r["version"] = "9.9.9".into(), 65, "is of tandem \"9.9.9\", this is ");
    refused(&|r| r["jobs"] = 1.into(), 65, "is not the record of a search");
    room.write("all/search.json", whole.to_string());
    room.write("all/search.toml", room.text("all/search.toml") + "# more\n");
    room.on_reference(&["search", "--resume", "all"])
        .refused(78, &["search.toml: is not what the search began with"]);
}

/// Settings of a trial that somebody has changed are not taken for those of the search.
#[test]
fn changed_trials_are_refused() {
    let room = Room::new(&net().replace("epochs = 4", "epochs = 2"));
    search(&room, "all", &["--no-report"]).expect(0);
    let mut journal = record(&room, "all");
    (journal["over"], journal["found"]) = (false.into(), Value::Null);
    let is_first = |job: &Value| job["trial"] == 0 && job["rung"] == 0;
    journal["jobs"].as_array_mut().unwrap().retain(is_first);
    room.write("all/search.json", journal.to_string());
    let settings = room.text("all/trial-2/config.toml");
    let other = settings.replace("learning_rate = 0.005", "learning_rate = 0.006");
    assert_ne!(settings, other);
    room.write("all/trial-2/config.toml", other);
    room.on_reference(&["search", "--resume", "all"])
        .refused(65, &["trial-2/config.toml: optimizer.learning_rate is 0.006 there, and 0.005"]);
    // One that cannot be read is trained anew.
    room.write("all/trial-2/config.toml", "x = [");
    room.on_reference(&["search", "--resume", "all", "--no-report"]).expect(0);
    assert_eq!(column(&room, "all", "relative_loss").len(), 7);
}
