//! `compare`: a configuration beside separate networks and plain sharing, and runs beside each
//! other.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use crate::common::program::{NET, Ran, Room};
use tandem::rng::{Purpose, normal, uniform};

/// Two tasks with a coupling and weights, without dropout.
const BOTH: &str = "
[data]
train = \"train.csv\"
valid = \"valid.csv\"
test = \"test.csv\"
[trunk]
layers = [12, 6]
[task.a]
layers = [5]
weight = 2.0
[task.b]
layers = [5]
[[coupling]]
kind = \"soft_sharing\"
strength = 0.05
[train]
epochs = 6
batch_size = 16
patience = 2
";

fn compare(room: &Room, out: &str, more: &[&str]) -> Ran {
    room.on_reference(&[&["compare", "net.toml", "--out", out][..], more].concat())
}

fn document(room: &Room, out: &str) -> Value {
    serde_json::from_str(&room.text(&format!("{out}/compare.json"))).unwrap()
}

/// A metric of a task by a model, on the test part.
fn evaluated(room: &Room, model: &str, task: &str, metric: &str) -> f64 {
    let args = ["evaluate", model, "--data", "test.csv", "--json"];
    room.on_reference(&args).expect(0).json()["tasks"][task][metric].as_f64().unwrap()
}

#[test]
fn packed_and_unpacked_networks_have_equal_numbers() {
    let room = Room::new(BOTH);
    for device in ["reference", "cpu"] {
        let run = |out: &str, packed: &str| {
            let args = ["compare", "net.toml", "--out", out, "--repeats", "2", "--packed", packed];
            room.run(&[&args[..], &["--device", device]].concat()).expect(0);
            let mut found = document(&room, out)["found"].clone();
            for way in ["separate", "configured", "equal"] {
                found["ways"][way].as_object_mut().unwrap().remove("seconds");
            }
            found
        };
        let (one, many) = (format!("{device}-one"), format!("{device}-many"));
        let (packed, unpacked) = (run(&one, "on"), run(&many, "off"));
        assert_eq!(packed, unpacked, "{device}");
        // Not the figures alone: each network is the same.
        for task in ["a", "b"] {
            let (packed, alone) = (
                format!("{one}/separate-2/best/{task}"),
                format!("{many}/separate-2-{task}/model"),
            );
            assert_eq!(tensors(&room, &packed, task), tensors(&room, &alone, task), "{device}");
        }
    }
}

/// The tensors of the network of one task, under the names that they have where it is alone.
fn tensors(room: &Room, model: &str, task: &str) -> Vec<(String, Vec<u8>)> {
    let bytes = room.bytes(&format!("{model}/model.safetensors"));
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mine = format!("task.{task}.");
    let own = |name: &str| match name.strip_prefix(&format!("{mine}trunk.")) {
        Some(rest) => Some(format!("trunk.{rest}")),
        None => (name.starts_with(&mine) || name.starts_with("trunk.")).then(|| name.to_owned()),
    };
    let tensors = file.tensors().into_iter();
    let mut all: Vec<_> =
        tensors.filter_map(|(name, view)| Some((own(&name)?, view.data().to_vec()))).collect();
    all.sort();
    assert_eq!(all.len(), 8, "{model}");
    all
}

#[test]
fn figures_are_those_of_runs_and_evaluate() {
    let room = Room::new(BOTH);
    let ran = compare(&room, "all", &["--repeats", "2", "--json"]).expect(0);
    let found = ran.json();
    assert_eq!(document(&room, "all")["found"]["tasks"], found["tasks"]);
    assert_eq!((&found["part"], &found["rows"]), (&"test".into(), &30.into()));
    room.train("plain", &["--seed", "1"]).expect(0);
    room.same("all/configured-2", "plain");
    let equal = ["--seed", "1", "--set", "task.a.weight=1", "--set", "coupling=[]"];
    room.train("equal", &equal).expect(0);
    room.same("all/equal-2", "equal");
    for task in ["a", "b"] {
        let values = &found["tasks"][task]["values"];
        for (way, model) in [
            ("configured", "all/configured-2".to_owned()),
            ("equal", "all/equal-2".to_owned()),
            ("separate", format!("all/separate-2/best/{task}")),
        ] {
            let value = values[way]["seeds"][1].as_f64().unwrap();
            let expected = evaluated(&room, &model, task, "accuracy");
            assert!((value - expected).abs() < 1e-12, "{task} {way}: {value}, {expected}");
        }
        let mean = |way: &str| values[way]["mean"].as_f64().unwrap();
        let percent = 100.0 * (mean("configured") - mean("separate")) / mean("separate");
        let difference = &found["tasks"][task]["differences"]["configured"];
        assert!((difference["percent"].as_f64().unwrap() - percent).abs() < 1e-9, "{difference}");
    }
    let text = room.text("all/compare.txt");
    for piece in ["configured by separate", "equal by separate", "parameters", "2 seeds"] {
        assert!(text.contains(piece), "no \"{piece}\": {text}");
    }
    // Two networks have the parameters of two trunks.
    let trunk = 5 * 12 + 12 + 12 * 6 + 6;
    let of = |way: &str| found["ways"][way]["parameters"].as_u64().unwrap();
    assert_eq!(of("separate"), of("configured") + trunk);
}

/// Tasks of all types, with blanks and weights of rows: each is measured as `evaluate` does.
#[test]
fn tasks_of_all_types_are_measured_as_evaluate_does() {
    let table = |seed: u64, rows: u64| {
        let mut text = String::from("x0,x1,x2,w,yes,t0,t1,t2,p0,p1,n,kind\n");
        for row in 0..rows {
            let x: Vec<f64> = (0..3).map(|i| normal(seed, Purpose::Synthetic, i, row)).collect();
            let u = |stream: u64| uniform(seed, Purpose::Synthetic, stream, row);
            let blank =
                |stream: u64, text: String| if u(stream) < 0.2 { String::new() } else { text };
            let yes = |at: f64, stream: u64| u8::from(at + u(stream) > 0.5).to_string();
            let cells = [
                format!("{:.3},{:.3},{:.3},{:.2}", x[0], x[1], x[2], 0.5 + u(20)),
                blank(30, yes(x[0], 21)),
                blank(31, yes(x[1], 22)),
                blank(32, yes(x[2], 23)),
                blank(33, yes(x[0] + x[1], 24)),
                blank(34, format!("{:.3}", 100.0 + 7.0 * x[0] + u(25))),
                blank(35, format!("{:.3}", 5.0 * x[1] - u(26))),
                blank(36, format!("{}", (2.0 * (x[2].exp() + u(27))) as u64)),
                blank(37, ["a", "b", "c"][(u(28) * 3.0) as usize].to_owned()),
            ];
            text += &(cells.join(",") + "\n");
        }
        text
    };
    let room = Room::new(
        "[data]\ntrain = \"train.csv\"\nvalid = \"valid.csv\"\ntest = \"test.csv\"\nrow_weight = \
         \"w\"\n[task.yes]\ntype = \"binary\"\n[task.tags]\ntype = \"multilabel\"\ntarget = \
         [\"t0\", \"t1\", \"t2\"]\n[task.price]\ntype = \"regression\"\ntarget = [\"p0\", \
         \"p1\"]\n[task.n]\ntype = \"count\"\n[task.kind]\ntype = \"multiclass\"\n[trunk]\nlayers = \
         [8]\n[train]\nepochs = 3\n",
    );
    room.write("train.csv", table(1, 200));
    room.write("valid.csv", table(2, 80));
    room.write("test.csv", table(3, 90));
    let found = compare(&room, "run", &["--repeats", "2", "--json"]).expect(0).json();
    for (task, metric) in [
        ("yes", "auc"),
        ("tags", "auc"),
        ("price", "rmse"),
        ("n", "deviance"),
        ("kind", "accuracy"),
    ] {
        let of_task = &found["tasks"][task];
        assert_eq!(of_task["metric"], metric);
        assert_eq!(of_task["higher_is_better"], !["rmse", "deviance"].contains(&metric));
        for (way, model) in [
            ("configured", "run/configured-1".to_owned()),
            ("separate", format!("run/separate-1/best/{task}")),
        ] {
            let value = of_task["values"][way]["seeds"][0].as_f64().unwrap();
            let expected = evaluated(&room, &model, task, metric);
            assert!(
                (value - expected).abs() < 1e-9 * expected,
                "{task} {way}: {value}, {expected}"
            );
        }
        let interval = &of_task["differences"]["configured"]["interval"];
        let percent = of_task["differences"]["configured"]["percent"].as_f64().unwrap();
        assert!(
            interval[0].as_f64().unwrap() <= percent && percent <= interval[1].as_f64().unwrap(),
            "{task}: {of_task}"
        );
    }
}

/// A table in which one task has many labels and another few; `of` gives the numbers behind them.
fn made(seed: u64, rows: u64, few: u64, of: impl Fn(&[f64]) -> [f64; 2]) -> String {
    let mut text = String::from("x0,x1,x2,x3,x4,x5,a,b\n");
    for row in 0..rows {
        let x: Vec<f64> = (0..6).map(|i| normal(seed, Purpose::Synthetic, i, row)).collect();
        let [a, b] = of(&x);
        let class = |y: f64, stream: u64| match uniform(seed, Purpose::Synthetic, stream, row) {
            u if u < 0.05 => u8::from(y < 0.0),
            _ => u8::from(y >= 0.0),
        };
        for x in &x {
            let _ = write!(text, "{x:.4},");
        }
        let b = if row % few == 0 { class(b, 11).to_string() } else { String::new() };
        let _ = writeln!(text, "{},{b}", class(a, 10));
    }
    text
}

const MADE: &str = "
[data]
train = \"train.csv\"
valid = \"valid.csv\"
test = \"test.csv\"
[task.a]
type = \"binary\"
[task.b]
type = \"binary\"
[optimizer]
learning_rate = 2e-2
[train]
epochs = 30
batch_size = 32
";

/// The sentence about a task.
fn said(room: &Room, out: &str, task: &str) -> String {
    let found = document(room, out)["found"]["sentences"].clone();
    let all = found.as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_owned());
    let mut of_task = all.filter(|sentence| sentence.contains(&format!("\"{task}\"")));
    of_task.next().unwrap()
}

/// One unit cannot serve two tasks that look at different columns: the one that weighs little
/// loses.
#[test]
fn sharing_that_hurts_is_called_so() {
    let room = Room::new(&format!("{MADE}[trunk]\nlayers = [1]\nactivation = \"identity\"\n"));
    let table = |seed, rows| made(seed, rows, 1, |x| [x[0] + x[1], x[2] - x[3]]);
    room.write("train.csv", table(1, 400));
    room.write("valid.csv", table(2, 200));
    room.write("test.csv", table(3, 300));
    compare(&room, "run", &["--repeats", "3", "--set", "task.b.weight=0.02"]).expect(0);
    let hurt = said(&room, "run", "b");
    assert!(hurt.contains("sharing as configured hurts \"b\" (negative transfer)"), "{hurt}");
}

/// What two tasks have in common is learned from the labels of both.
#[test]
fn sharing_that_helps_is_called_so() {
    let room = Room::new(&format!("{MADE}[trunk]\nlayers = [8]\n"));
    let product = |x: &[f64]| [x[0] * x[1] + 0.3 * x[2], x[0] * x[1] + 0.3 * x[2]];
    room.write("train.csv", made(1, 800, 20, product));
    room.write("valid.csv", made(2, 300, 1, product));
    room.write("test.csv", made(3, 400, 1, product));
    compare(&room, "run", &["--repeats", "3"]).expect(0);
    let helped = said(&room, "run", "b");
    assert!(
        helped.contains("plain sharing helps") || helped.contains("as configured helps"),
        "{helped}"
    );
}

#[test]
fn a_comparison_goes_on_where_it_was_stopped() {
    let room = Room::new(BOTH);
    compare(&room, "whole", &["--repeats", "2"]).expect(0);
    assert!(room.program("cp").args(["-r", "whole", "part"]).status().unwrap().success());
    let mut summary = document(&room, "part");
    summary.as_object_mut().unwrap().remove("found");
    let count = summary["tested"].as_array().unwrap().len();
    assert_eq!(count, 6);
    for number in 2..count {
        summary["tested"][number] = Value::Null;
        let name = summary["members"][number].as_str().unwrap();
        // The third was under way, the others had not begun.
        if number > 2 {
            fs::remove_dir_all(room.path(&format!("part/{name}"))).unwrap();
        }
    }
    room.write("part/compare.json", summary.to_string());
    let go_on =
        |more: &[&str]| room.on_reference(&[&["compare", "--resume", "part"][..], more].concat());
    go_on(&["--epochs", "9"]).refused(78, &["train.epochs", "cannot change"]);
    go_on(&[]).expect(0).says(&["configured-1 of 2, seed 0 has ended: it is kept"]);
    let timeless = |out: &str| {
        let mut found = document(&room, out)["found"].clone();
        found["ways"] = Value::Null;
        found
    };
    assert_eq!(timeless("part"), timeless("whole"));
    room.on_reference(&["compare", "--resume", "whole/equal-1"])
        .refused(66, &["whole/equal-1: is no comparison"]);
    room.on_reference(&["compare", "--resume", "nothing"]).refused(66, &["nothing"]);
}

#[test]
fn runs_are_compared_beside_each_other() {
    let room = Room::new(NET);
    let short = ["--epochs", "4"];
    for seed in ["0", "1"] {
        room.train(&format!("one-{seed}"), &[&["--seed", seed], &short[..]].concat()).expect(0);
        let plain = ["--set", "coupling=[]", "--seed", seed];
        room.train(&format!("two-{seed}"), &[&plain[..], &short[..]].concat()).expect(0);
    }
    let all = ["compare", "two-1", "two-0", "one-0", "one-1"];
    let found = room.on_reference(&[&all[..], &["--json"]].concat()).expect(0).json();
    assert_eq!(found["seeds"], serde_json::json!([0, 1]));
    assert_eq!(found["beside"], "two-1");
    for (way, runs) in [("two-1", ["two-0", "two-1"]), ("one-0", ["one-0", "one-1"])] {
        for (seed, run) in runs.into_iter().enumerate() {
            let value = found["tasks"]["b"]["values"][way]["seeds"][seed].as_f64().unwrap();
            let expected = evaluated(&room, run, "b", "accuracy");
            assert!((value - expected).abs() < 1e-12, "{run}: {value}, expected {expected}");
        }
    }
    let two = |a: &str, b: &str| room.on_reference(&["compare", a, b]);
    two("one-0", "one-1").refused(2, &["the same training from several seeds"]);
    room.on_reference(&["compare", "one-0", "two-0", "two-1"])
        .refused(2, &["the seeds of \"one-0\" are [0]", "[0, 1]"]);
    two("one-0", "two-1").refused(2, &["the seeds of \"one-0\" are [0]", "[1]"]);
    two("one-0", "one-0").refused(2, &["one-0 stands twice"]);
    // One seed says nothing, however large a difference of rows is.
    let silent = two("one-0", "two-0").expect(0).out;
    assert!(silent.contains("cannot be told") && silent.contains("one seed"), "{silent}");
    // A run of repeats stands for its members.
    let repeats = ["--repeats", "2", "--set", "coupling=[]", "--epochs", "4"];
    room.train("both", &repeats).expect(0);
    let args = ["compare", "both", "one-0", "one-1", "--json"];
    let again = room.on_reference(&args).expect(0).json();
    assert_eq!(
        again["tasks"]["b"]["values"]["both/repeat-1"],
        found["tasks"]["b"]["values"]["two-1"]
    );
    let weightless = ["--set", "task.a.weight=0", "--set", "coupling=[]", "--epochs", "4"];
    room.train("weightless", &weightless).expect(0);
    let left = room.on_reference(&["compare", "one-0", "weightless", "--json"]).expect(0);
    assert_eq!(left.json()["tasks"].as_object().unwrap().keys().collect::<Vec<_>>(), ["b"]);
    left.says(&["task \"a\" is left out: a run gives it the weight 0"]);
    room.on_reference(&["compare", "one-0"]).refused(2, &["one run is compared with nothing"]);
    room.on_reference(&["compare", "one-0", "net.toml"]).refused(2, &["net.toml: is no run"]);
    room.on_reference(&["compare", "one-0", "two-0", "--epochs", "3"])
        .refused(2, &["settings of training: runs that exist are only compared"]);
    // Other rows, and other parts of the same rows.
    let table = room.text("train.csv") + "0,0,0,0,0,1,1\n";
    room.write("more.csv", table);
    room.train("other", &[&["--set", "data.train=more.csv"], &short[..]].concat()).expect(0);
    two("one-0", "other").refused(65, &["other: was trained on other data than one-0"]);
    room.write("test.csv", room.text("valid.csv"));
    two("one-0", "two-0").refused(65, &["test.csv", "is not the data that one-0 was trained on"]);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let room = Room::new(BOTH);
    let more = |more: &[&str]| compare(&room, "no", more);
    more(&["--packed", "on", "--set", "trunk.dropout=0.5"])
        .refused(2, &["--packed on would give other numbers: dropout"]);
    more(&["--init-from", "x"]).refused(2, &["--init-from has no use in a comparison"]);
    more(&["--k-fold", "3"]).refused(2, &["--k-fold has no use in a comparison"]);
    more(&["--against", "nothing"]).expect(2).says(&["nothing"]);
    room.write("net.toml", BOTH.split("[[coupling]]").next().unwrap().replace("weight = 2.0", ""));
    more(&["--against", "equal"]).refused(2, &["the configuration is plain sharing"]);
    let told = more(&["--repeats", "2", "--epochs", "1", "--set", "trunk.dropout=0.1"]).expect(0);
    told.says(&[
        "equal is what the configuration is: it stands once",
        "separate networks are trained one by one, not as one graph: dropout",
    ]);
    assert!(room.path("no/separate-1-a/model").is_dir() && !room.path("no/equal-1").exists());
}

/// What was found by trying to make a comparison say something wrong.
#[test]
fn a_comparison_that_goes_on_trusts_nothing() {
    let room = Room::new(BOTH);
    compare(&room, "run", &["--repeats", "2"]).expect(0);
    let copy = |to: &str| {
        assert!(room.program("cp").args(["-r", "run", to]).status().unwrap().success());
    };
    let go_on = |dir: &str| room.on_reference(&["compare", "--resume", dir]);
    // A network that was trained further.
    copy("longer");
    room.resume("longer/configured-1", &["--epochs", "9", "--set", "train.patience=0"]).expect(0);
    go_on("longer").refused(78, &["longer/configured-1: train.epochs is 9 there, and 6"]);
    // A best model that was lost.
    copy("lost");
    fs::remove_dir_all(room.path("lost/separate-1/best/b")).unwrap();
    go_on("lost").refused(66, &["lost/separate-1: has lost the best model of \"b\""]);
    // A model whose columns are scaled otherwise, as another version may have made it.
    copy("scaled");
    let schema = "scaled/configured-1/model/schema.json";
    let mut value: Value = serde_json::from_str(&room.text(schema)).unwrap();
    value["input"]["columns"][0]["offset"] = 0.123.into();
    room.write(schema, value.to_string());
    go_on("scaled").refused(65, &["configured-1/model: its columns, scaling or class names"]);
    // A packed network without a checkpoint begins with the weights that it began with.
    copy("anew");
    let mut summary = document(&room, "anew");
    let number = summary["members"].as_array().unwrap().iter().position(|m| m == "separate-1");
    summary["tested"][number.unwrap()] = Value::Null;
    room.write("anew/compare.json", summary.to_string());
    fs::remove_dir_all(room.path("anew/separate-1/checkpoints")).unwrap();
    go_on("anew").expect(0);
    room.same("anew/separate-1", "run/separate-1");
    // A damaged summary.
    copy("damaged");
    for (key, value) in [("repeats", 0), ("repeats", u64::MAX), ("separate", 0)] {
        let mut summary = document(&room, "run");
        summary[key] = if key == "repeats" { value.into() } else { false.into() };
        summary["equal"] = Value::Bool(key == "repeats");
        room.write("damaged/compare.json", summary.to_string());
        go_on("damaged").refused(65, &["says what no comparison is"]);
    }
    room.write("damaged/compare.json", "{");
    go_on("damaged").refused(65, &["does not say what is compared"]);
    // Other rows than those of a network that was kept.
    copy("rows");
    fs::remove_dir_all(room.path("rows/configured-1")).unwrap();
    let rows = room.text("test.csv");
    room.write("test.csv", rows.clone() + rows.lines().nth(1).unwrap() + "\n");
    go_on("rows").refused(65, &["test.csv", "is not the data that the first network"]);
    room.on_reference(&["compare", "--resume", "run", "--repeats", "3"]).expect(2);
}

#[test]
fn networks_are_packed_only_where_that_changes_nothing() {
    let room = Room::new(BOTH);
    let words = |name: &str| {
        let text = room.text(name);
        let mut lines = text.lines().enumerate().map(|(row, line)| match row {
            0 => format!("{line},note\n"),
            _ => format!("{line},{} {}\n", ["red", "blue", "green"][row % 3], ["x", "y"][row % 2]),
        });
        lines.by_ref().collect::<String>()
    };
    for name in ["train.csv", "valid.csv", "test.csv"] {
        room.write(name, words(name));
    }
    let text = ["--repeats", "2", "--epochs", "1", "--set", "feature.note.type=text"];
    compare(&room, "text", &text)
        .expect(0)
        .says(&["separate networks are trained one by one, not as one graph: ", "learned vectors"]);
    // A task without a label in the validation part.
    let bare: String = room
        .text("valid.csv")
        .lines()
        .enumerate()
        .map(|(row, line)| {
            let cells: Vec<&str> = line.split(',').collect();
            let blank = |place: usize| if row > 0 && place == 6 { "" } else { cells[place] };
            (0..cells.len()).map(blank).collect::<Vec<_>>().join(",") + "\n"
        })
        .collect();
    room.write("valid.csv", bare);
    let more = ["--repeats", "2", "--epochs", "1", "--set", "train.select=a.log_loss"];
    compare(&room, "bare", &more)
        .expect(0)
        .says(&["not as one graph: task \"b\" has no label in the validation part"]);
}
