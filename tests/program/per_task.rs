//! A selection of its own for each task: `train.keep_best = "per_task"`, a table of patience, and
//! `predict --best-per-task`.

use serde_json::Value;

use crate::common::program::{NET, Room, rows};
use tandem::rng::{Purpose, uniform};

/// Settings under which two tasks are at their best in different epochs: `quick` has 20 labels with
/// much noise and is learned by heart soon, `slow` has 200 with little.
const NET_OF_TWO: &str = "
[data]
train = \"train.csv\"
valid = \"valid.csv\"
test = \"test.csv\"
[trunk]
layers = [24]
[task.slow]
target = \"a\"
[task.quick]
target = \"b\"
[optimizer]
learning_rate = 1e-2
[train]
epochs = 40
batch_size = 16
keep_best = \"per_task\"
checkpoint_every = \"5s\"
keep = 200
";

/// The rows of the house, of which every `keep`-th keeps its label `b`, half of them at random.
fn noisy(seed: u64, count: u64, keep: u64) -> String {
    let mut text = String::new();
    for (row, line) in rows(seed, count).lines().enumerate() {
        let row = row as u64;
        let cut = line.rfind(',').unwrap();
        let label = match row {
            0 => "b",
            _ if !row.is_multiple_of(keep) => "",
            _ if uniform(7, Purpose::Synthetic, seed, row) < 0.5 => "1",
            _ => &line[cut + 1..],
        };
        text += &format!("{},{label}\n", &line[..cut]);
    }
    text
}

fn room() -> Room {
    let room = Room::new(NET_OF_TWO);
    room.write("train.csv", noisy(1, 200, 10));
    room.write("valid.csv", noisy(2, 100, 1));
    room.write("test.csv", noisy(3, 60, 1));
    room
}

/// The losses of a task in the validation points of a run, each with its epoch.
fn losses(room: &Room, run: &str, task: &str) -> Vec<(u64, f64)> {
    let text = room.text(&format!("{run}/metrics.jsonl"));
    let points = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let valid = points.filter(|point| point["split"] == "valid");
    let of = |p: Value| (p["epoch"].as_u64().unwrap(), p["tasks"][task]["loss"].as_f64().unwrap());
    valid.map(of).collect()
}

/// The loss of a task by a model, on a file.
fn evaluated(room: &Room, model: &str, data: &str, task: &str) -> f64 {
    let found = room.on_reference(&["evaluate", model, "--data", data, "--json"]).expect(0).json();
    found["tasks"][task]["loss"].as_f64().unwrap()
}

#[test]
fn each_task_keeps_the_model_that_is_best_for_it() {
    let room = room();
    let ran = room.train("run", &["--json"]).expect(0).json();
    let mut epochs = Vec::new();
    for task in ["slow", "quick"] {
        let all = losses(&room, "run", task);
        let (epoch, least) = all
            .iter()
            .copied()
            .reduce(|best, next| if next.1 < best.1 { next } else { best })
            .unwrap();
        let best = &ran["best_per_task"][task];
        assert_eq!(best["epoch"].as_u64(), Some(epoch));
        let model = format!("run/best/{task}");
        let near = |found: f64, expected: f64| {
            assert!((found - expected).abs() <= 1e-6 * expected, "{task}: {found}, {expected}");
        };
        near(best["valid"]["loss"].as_f64().unwrap(), least);
        near(evaluated(&room, &model, "valid.csv", task), least);
        near(evaluated(&room, &model, "test.csv", task), best["test"]["loss"].as_f64().unwrap());
        let common = ran["valid"]["tasks"][task]["loss"].as_f64().unwrap();
        let own = best["valid"]["loss"].as_f64().unwrap();
        assert!(own <= common, "{task}: {own} alone, {common} by the common model");
        epochs.push(epoch);
    }
    assert!(epochs[1] + 5 < epochs[0], "the tasks are at their best in epochs {epochs:?}");
    // The table for people says the same.
    let text = room.train("again", &[]).expect(0).out;
    assert!(text.contains(&format!("best for quick: epoch {}, valid loss ", epochs[1])), "{text}");
    room.same("run", "again");
    // The common model does not depend on it.
    room.train("common", &["--set", "train.keep_best=common"]).expect(0);
    assert!(!room.path("common/best").exists());
    let model = |run: &str| room.bytes(&format!("{run}/model/model.safetensors"));
    assert_eq!(model("common"), model("run"));
}

#[test]
fn each_task_is_predicted_by_the_model_that_is_best_for_it() {
    let room = room();
    room.train("run", &[]).expect(0);
    let table = |model: &str, more: &[&str]| {
        let args = [&["predict", model, "--data", "test.csv"][..], more].concat();
        let text = room.on_reference(&args).expect(0).out;
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let column = |i: usize| records.iter().map(|r| r[i].to_owned()).collect::<Vec<_>>();
        header.iter().enumerate().map(|(i, name)| (name.to_owned(), column(i))).collect::<Vec<_>>()
    };
    let best = table("run", &["--best-per-task"]);
    for task in ["slow", "quick"] {
        let alone = table(&format!("run/best/{task}"), &[]);
        let of = |all: &[(String, Vec<String>)]| {
            all.iter().filter(|(name, _)| name.starts_with(task)).cloned().collect::<Vec<_>>()
        };
        assert!(of(&best).len() > 2, "{best:?}");
        assert_eq!(of(&best), of(&alone));
    }
    assert_ne!(best, table("run", &[]));
    // A task without one is predicted by model/, which is said.
    std::fs::remove_dir_all(room.path("run/best/slow")).unwrap();
    room.on_reference(&["predict", "run", "--data", "test.csv", "--best-per-task"])
        .expect(0)
        .says(&["task \"slow\" has no best model of its own: model/ predicts it"]);
    room.train("common", &["--set", "train.keep_best=common", "--epochs", "1"]).expect(0);
    room.on_reference(&["predict", "common", "--data", "test.csv", "--best-per-task"])
        .refused(66, &["common: has no models that are best for single tasks", "keep_best"]);
}

#[test]
fn best_models_of_tasks_survive_an_interruption_at_any_checkpoint() {
    let room = room();
    let net = NET_OF_TWO.replace("epochs = 40", "epochs = 8\npatience = { quick = 2, slow = 3 }");
    room.write("net.toml", net);
    room.train("whole", &[]).expect(0);
    let steps = room.checkpoints("whole");
    assert!(steps.len() > 10, "{steps:?}");
    for step in steps {
        room.same_from(step);
    }
}

#[test]
fn a_run_ends_when_all_tasks_are_done() {
    let room = room();
    let patience = "train.patience={ quick = 2, slow = 4 }";
    let run = ["--set", patience, "--epochs", "400", "--json"];
    let ran = room.train("run", &run).expect(0);
    assert_eq!(ran.json()["ended"], "early stopping");
    let mut ends = Vec::new();
    for (task, most) in [("quick", 2), ("slow", 4)] {
        // By hand: the first epoch after which `most` evaluations were no better than the best.
        let (mut best, mut worse, mut end) = (f64::INFINITY, 0, 0);
        for (epoch, loss) in losses(&room, "run", task) {
            worse = if loss < best { 0 } else { worse + 1 };
            best = best.min(loss);
            if worse == most {
                end = epoch;
                break;
            }
        }
        let said = format!("task \"{task}\" is done: {most} evaluations without a better figure");
        assert!(ran.err.contains(&said), "{ran:#?}");
        // What comes after that does not count.
        assert_eq!(ran.json()["best_per_task"][task]["epoch"], end - most, "{task}");
        ends.push(end);
    }
    let epochs = losses(&room, "run", "slow").len() as u64;
    assert_eq!(epochs, ends.into_iter().max().unwrap());
    room.resume("run", &[]).expect(0).says(&["nothing to do, early stopping ended the run"]);
    // A task that is not named is never done.
    let half = ["--set", "train.patience={ quick = 2 }", "--epochs", "30", "--json"];
    assert_eq!(room.train("half", &half).expect(0).json()["ended"], "finished");
}

#[test]
fn what_has_no_effect_or_cannot_change_is_refused() {
    let room = room();
    let set = |key: &'static str| ["--set", key];
    room.train("no", &set("train.patience={ qick = 2 }"))
        .refused(78, &["train.patience", "\"qick\"", "quick"]);
    room.train("no", &set("train.patience={ quick = -2 }")).refused(78, &["train.patience.quick"]);
    room.train("no", &set("train.keep_best=each")).refused(78, &["train.keep_best", "per_task"]);
    room.train("run", &["--epochs", "2"]).expect(0);
    room.resume("run", &["--set", "train.keep_best=common"]).refused(78, &["train.keep_best"]);
    let bare = NET.replace("valid = \"valid.csv\"\n", "").replace("patience = 11\n", "");
    room.write("net.toml", bare);
    room.train("no", &set("train.keep_best=per_task"))
        .refused(78, &["train.keep_best: has no effect", "validation"]);
}

#[test]
fn names_of_tasks_become_names_of_directories() {
    let names = ["..", "A", "a.b", ".hidden", "x-1", "a"];
    let tasks: String =
        names.iter().map(|name| format!("[task.{name:?}]\ntarget = \"a\"\n")).collect();
    let net = NET_OF_TWO.split("[task.slow]").next().unwrap().to_owned()
        + &tasks
        + "[train]\nepochs = 1\nkeep_best = \"per_task\"\n";
    let room = Room::new(&net);
    room.train("run", &["--set", "data.ignore=[\"b\"]"]).expect(0);
    let mut found: Vec<String> = std::fs::read_dir(room.path("run/best"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, ["%0", "%1", "%3", "%5", "a.b", "x-1"]);
    room.on_reference(&["predict", "run", "--data", "test.csv", "--best-per-task"]).expect(0);
}

/// The tensors of a model whose names begin in one of these ways.
fn tensors(room: &Room, model: &str, starts: &[&str]) -> Vec<(String, Vec<u8>)> {
    let bytes = room.bytes(&format!("{model}/model.safetensors"));
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let named = file.tensors().into_iter();
    let mut all: Vec<_> = named
        .filter(|(name, _)| starts.iter().any(|start| name.starts_with(start)))
        .map(|(name, view)| (name, view.data().to_vec()))
        .collect();
    all.sort();
    assert!(!all.is_empty());
    all
}

#[test]
fn a_task_that_is_done_can_be_frozen() {
    let room = room();
    for optimizer in ["adamw", "sgd"] {
        let patience = "train.patience={ quick = 2, slow = 0 }";
        let kind = format!("optimizer.kind={optimizer}");
        let set = ["--set", patience, "--set", &kind, "--set", "optimizer.weight_decay=0.05"];
        let set = [&set[..], &["--set", "train.checkpoint_every=1e", "--epochs", "20"]].concat();
        let frozen = format!("frozen-{optimizer}");
        let ran =
            room.train(&frozen, &[&set[..], &["--set", "train.freeze_finished=true"]].concat());
        let ran = ran.expect(0);
        let said = "the last one after step ";
        let at = ran.err.find(said).unwrap_or_else(|| panic!("{ran:#?}")) + said.len();
        let digits = ran.err[at..].chars().take_while(char::is_ascii_digit).collect::<String>();
        let step: u64 = digits.parse().unwrap();
        assert!((26..240).contains(&step), "done after step {step} of 260");
        let checkpoint = format!("{frozen}/checkpoints/step-{step}");
        let last = format!("{frozen}/last");
        let own = ["task.quick."];
        assert_eq!(tensors(&room, &last, &own), tensors(&room, &checkpoint, &own), "{optimizer}");
        // From there on the others learn as if the task had the weight 0.
        let without = format!("without-{optimizer}");
        assert!(room.program("cp").args(["-r", &frozen, &without]).status().unwrap().success());
        for later in room.checkpoints(&without).into_iter().filter(|at| *at > step) {
            let path = format!("{without}/checkpoints/step-{later}");
            std::fs::remove_dir_all(room.path(&path)).unwrap();
        }
        let weightless = [
            "--set",
            "train.freeze_finished=false",
            "--set",
            "task.quick.weight=0",
            "--epochs",
            "20",
        ];
        room.resume(&without, &weightless).expect(0);
        let others = ["trunk.", "task.slow."];
        assert_eq!(
            tensors(&room, &last, &others),
            tensors(&room, &format!("{without}/last"), &others),
            "{optimizer}"
        );
        room.train("free", &set).expect(0);
        assert_ne!(tensors(&room, "free/last", &others), tensors(&room, &last, &others));
        std::fs::remove_dir_all(room.path("free")).unwrap();
    }
    // It survives an interruption.
    let more = "epochs = 12\npatience = { quick = 2, slow = 30 }\nfreeze_finished = true";
    room.write("net.toml", NET_OF_TWO.replace("epochs = 40", more));
    room.train("whole", &[]).expect(0).says(&["task \"quick\" is done"]);
    for step in room.checkpoints("whole").into_iter().step_by(7) {
        room.same_from(step);
    }
    let common = ["--set", "train.patience=3"];
    room.train("no", &common).refused(78, &["train.freeze_finished: has no effect"]);
    let balanced = ["--set", "balance.method=uncertainty"];
    room.train("no", &balanced).refused(78, &["train.freeze_finished", "uncertainty"]);
}
