//! Every architecture through the program: training, going on, evaluation, prediction, folds,
//! `inspect` and `explain`; what is told of gates, and what is refused.

use serde_json::Value;

use crate::common::ARCHITECTURES;
use crate::common::program::{NET, Room};

/// The network of [`NET`] with another architecture, and 26 steps.
fn net(architecture: &str) -> String {
    let net = NET.replace("layers = [12]", "layers = [12, 6]").replace("epochs = 12", "epochs = 2");
    format!("{net}[architecture]\n{architecture}\n")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// The last point of a split.
fn last_point(room: &Room, run: &str, split: &str) -> Value {
    let text = room.text(&format!("{run}/metrics.jsonl"));
    let mut points = text.lines().map(json).filter(|point| point["split"] == split);
    points.next_back().unwrap()
}

#[test]
fn every_architecture_trains_goes_on_and_predicts() {
    for architecture in ARCHITECTURES {
        let room = Room::new(&net(architecture));
        room.train("whole", &["--set", "train.keep=100"]).expect(0);
        room.same_from(10);

        let evaluated = room.on_reference(&["evaluate", "whole", "--data", "test.csv", "--json"]);
        let evaluated = json(&evaluated.expect(0).out);
        let told = last_point(&room, "whole", "test");
        for task in ["a", "b"] {
            let [found, expected] =
                [&evaluated, &told].map(|of| of["tasks"][task]["loss"].as_f64());
            assert_eq!(found, expected, "{architecture}: {task}");
        }
        room.on_reference(&["predict", "whole", "--data", "test.csv", "--out", "p.csv"]).expect(0);
        assert_eq!(room.text("p.csv").lines().count(), 31, "{architecture}");

        let inspected = room.run(&["inspect", "whole", "--json"]).expect(0);
        let explained = room.run(&["explain", "net.toml", "--json"]).expect(0);
        let [model, plan] = [json(&inspected.out), json(&explained.out)];
        assert_eq!(model["sharing"], plan["sharing"], "{architecture}");
        assert_eq!(model["parameters"], plan["parameters"], "{architecture}");
        let groups = model["sharing"]["groups"].as_array().unwrap();
        let sum: u64 = groups.iter().map(|group| group["parameters"].as_u64().unwrap()).sum();
        assert_eq!(Some(sum), model["parameters"].as_u64(), "{architecture}");
        for of in [&["inspect", "whole", "--dot"][..], &["explain", "net.toml", "--dot"]] {
            let dot = room.run(of).expect(0).out;
            assert!(dot.starts_with("digraph network {") && dot.trim_end().ends_with('}'), "{dot}");
            assert_eq!(dot.matches("task.a.0").count(), 1, "{dot}");
        }
    }
}

#[test]
fn folds_train_networks_of_an_architecture() {
    let room = Room::new(&net("kind = \"mmoe\""));
    let text = room.text("net.toml").replace("valid = \"valid.csv\"\ntest = \"test.csv\"\n", "");
    room.write("net.toml", text);
    room.train("folds", &["--k-fold", "2"]).expect(0);
    room.on_reference(&["predict", "folds", "--data", "test.csv", "--out", "p.csv"]).expect(0);
}

#[test]
fn points_have_the_mean_weights_of_gates() {
    let room = Room::new(&net("kind = \"mmoe\"\nexperts = 3"));
    room.train("run", &[]).expect(0);
    for split in ["valid", "test"] {
        let point = last_point(&room, "run", split);
        for gate in ["task.a.gate", "task.b.gate"] {
            let weights = point["gates"][gate].as_object().unwrap();
            let names: Vec<&str> = weights.keys().map(String::as_str).collect();
            assert_eq!(names, ["expert.0", "expert.1", "expert.2"]);
            let sum: f64 = weights.values().map(|weight| weight.as_f64().unwrap()).sum();
            assert!((sum - 1.0).abs() < 1e-6, "{gate}: {sum}");
        }
    }
    assert_eq!(last_point(&room, "run", "train").get("gates"), None);
    let table = room.text("run/metrics.csv");
    let header = table.lines().next().unwrap();
    assert!(header.contains("valid/task.a.gate/expert.2"), "{header}");
    assert!(!header.contains("train/task.a.gate"), "{header}");
}

#[test]
fn the_entropy_of_gates_is_part_of_the_loss() {
    let architecture = "kind = \"dselect_k\"\nentropy = 0.5";
    let net = net(architecture).replace("[[coupling]]", "[[nothing]]");
    let couplings = net.find("[[nothing]]").unwrap();
    let net = net[..couplings].to_owned() + &net[net.find("[optimizer]").unwrap()..];
    let room = Room::new(&net);
    room.train("run", &[]).expect(0);
    for split in ["train", "valid", "test"] {
        let point = last_point(&room, "run", split);
        let loss = |task: &str| point["tasks"][task]["loss"].as_f64().unwrap();
        let entropy = point["gate_entropy"].as_f64().unwrap();
        let (found, expected) =
            (point["loss"].as_f64().unwrap(), loss("a") + loss("b") + 0.5 * entropy);
        assert!((found - expected).abs() < 1e-6, "{split}: {found}, {expected}");
        // Two selectors of two bits for each of two tasks: at most 4 ln 4.
        assert!(entropy > 0.0 && entropy <= 4.0 * 4.0_f64.ln() + 1e-4, "{split}: {entropy}");
    }
}

/// Weights of a gate by its bias alone: one expert gets nothing.
#[test]
fn an_expert_that_no_gate_uses_is_named() {
    let room = Room::new(&net("kind = \"mmoe\"\nexperts = 3"));
    room.train("first", &["--set", "train.max_steps=1"]).expect(0);
    let mut bytes = room.bytes("first/model/model.safetensors");
    let end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = json(std::str::from_utf8(&bytes[8..end]).unwrap());
    for task in ["a", "b"] {
        let offsets = &header[format!("task.{task}.gate.bias")]["data_offsets"];
        let third = end + offsets[0].as_u64().unwrap() as usize + 8;
        bytes[third..third + 4].copy_from_slice(&(-30.0f32).to_le_bytes());
    }
    room.write("first/model/model.safetensors", bytes);
    let more = ["--init-from", "first/model", "--set", "train.max_steps=2"];
    let ran = room.train("second", &more).expect(0);
    ran.says(&["experts that no gate uses on the valid rows: expert.2 (0.00 of an equal share)"]);
    let ran = room.train("third", &[]).expect(0);
    assert!(!ran.err.contains("no gate uses"), "{}", ran.err);
}

/// Numbers that lie in the order of the tasks are not taken over in another one.
#[test]
fn weights_of_another_order_of_tasks_or_another_tree_are_refused() {
    let room = Room::new(&net("kind = \"cross_stitch\""));
    room.train("stitched", &["--set", "train.max_steps=1"]).expect(0);
    let text = room.text("net.toml");
    let (a, b) = (text.find("[task.a]").unwrap(), text.find("[task.b]").unwrap());
    let end = text.find("[[coupling]]").unwrap();
    let swapped = [&text[..a], &text[b..end], &text[a..b], &text[end..]].concat();
    room.write("swapped.toml", swapped);
    let swapped = ["train", "swapped.toml", "--out", "run", "--init-from", "stitched/model"];
    room.on_reference(&swapped)
        .refused(78, &["the model has another order of tasks", "write them as a, b"]);
    room.train("again", &["--init-from", "stitched/model", "--set", "architecture.own=0.5"])
        .expect(0);

    let tree = |groups: &str| format!("architecture.branches=[[[\"a\",\"b\"]],{groups}]");
    let kind = [
        "--set",
        "architecture={ kind = \"branched\", branches = [[[\"a\", \"b\"]], [[\"a\"], \
                [\"b\"]]] }",
        "--set",
        "train.max_steps=1",
    ];
    room.train("tree", &kind).expect(0);
    let other = tree("[[\"b\"],[\"a\"]]");
    for part in ["all", "trunk"] {
        let more =
            [&kind[..], &["--set", &other, "--init-from", "tree/model", "--init-part", part]];
        room.train("run", &more.concat()).refused(78, &["the model has another architecture"]);
    }
}

#[test]
fn a_learned_tree_is_told_as_a_given_one() {
    let room = Room::new(&net("kind = \"branched\"\nlearn = true"));
    room.train("learned", &[]).expect(0);
    let shown = room.run(&["inspect", "learned"]).expect(0).out;
    let line = shown.lines().find(|line| line.contains("branches = ")).unwrap();
    let branches = line.split("branches = ").nth(1).unwrap();
    room.write("net.toml", net(&format!("kind = \"branched\"\nbranches = {branches}")));
    room.train("given", &[]).expect(0);
}

#[test]
fn what_an_architecture_cannot_have_is_refused() {
    let room = Room::new(NET);
    let cases: [(&[&str], &str); 13] = [
        (&["kind=mmoe", "levels=2"], "belongs to kind = \"ple\""),
        (&["experts=3"], "belongs to kind ="),
        (&["kind=mmoe", "experts=0"], "architecture.experts"),
        (&["kind=mmoe", "experts=5000"], "architecture.experts"),
        (&["kind=moe"], "architecture.kind"),
        (&["kind=mmoe", "expert=3"], "did you mean architecture.experts?"),
        (&["kind=dselect_k", "select=5"], "select = 5, expected 1 to experts = 4"),
        (&["kind=cross_stitch", "own=1.5"], "architecture.own"),
        (&["kind=branched"], "architecture.branches: is missing"),
        (&["kind=branched", "branches=[[[\"a\"]]]"], "no group has \"b\""),
        (&["kind=branched", "branches=[[[\"a\", \"b\"]], [[\"a\", \"b\"]]]"], "the trunk has 1"),
        (
            &["kind=branched", "learn=true", "temperature=[1, 2]"],
            "the second must not be above the first",
        ),
        (&["kind=branched", "learn=true", "branches=[]"], "the tree is learned"),
    ];
    for (keys, words) in cases {
        let keys: Vec<String> = keys.iter().map(|key| format!("architecture.{key}")).collect();
        let sets: Vec<&str> = keys.iter().flat_map(|key| ["--set", key.as_str()]).collect();
        room.train("run", &sets).refused(78, &[words]);
    }
    let none =
        ["--set", "architecture.kind=mmoe", "--set", "trunk.layers=[]", "--set", "trunk.dropout=0"];
    room.train("run", &none).refused(78, &["mmoe needs layers in the trunk"]);
    let frozen = ["--set", "architecture.kind=separate", "--set", "trunk.freeze=true"];
    room.train("run", &frozen)
        .refused(78, &["trunk.freeze: has no effect", "no layers are shared"]);
    room.train("whole", &["--set", "train.max_steps=1"]).expect(0);
    let dotted = NET.replace("[task.b]", "[task.\"a.trunk\"]\ntarget = \"b\"");
    let dotted = dotted.replace("layers = [12]", "layers = [12, 6]");
    room.write("dotted.toml", dotted + "[architecture]\nkind = \"separate\"\n");
    let ran = room.on_reference(&["train", "dotted.toml", "--out", "run"]);
    ran.refused(78, &["two layers are called task.a.trunk.0: rename a task"]);
    let stitched = ["--set", "architecture.kind=cross_stitch", "--init-from", "whole/model"];
    room.train("run", &stitched).refused(
        78,
        &["the model has another architecture", "architecture shared", "architecture cross_stitch"],
    );
    room.run(&["inspect", "train.csv", "--dot"]).refused(2, &["--dot is for models"]);
}
