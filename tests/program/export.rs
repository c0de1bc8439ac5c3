//! `tandem export`: what an ONNX file computes is what `predict` writes, for every architecture,
//! every type of task and every kind of column; and the card beside a model.

use std::collections::HashMap;

use tandem::data::Features;
use tandem::data::load::door::load_with;
use tandem::model::file::load;

use crate::common::program::{Draws, NET, Ran, Room};
use crate::onnx::{Onnx, Tensor};

const SETTINGS: &str = "
[data]
train = \"train.csv\"
split = [0.8, 0.2, 0.0]
[feature.city]
type = \"category\"
embed = 3
[feature.code]
missing = [\"\", \"-9\"]
scale = \"minmax\"
[trunk]
layers = [9, 6]
dropout = 0.2
[optimizer]
learning_rate = 1e-2
[train]
epochs = 3
batch_size = 50
";
const TASKS: &str = "
[task.level]
[task.yes]
type = \"binary\"
layers = [4]
[task.price]
type = \"regression\"
layers = [5]
[task.visits]
type = \"count\"
[task.abc]
type = \"multilabel\"
target = [\"a\", \"b\", \"c\"]
[task.range]
type = \"regression\"
target = [\"low\", \"high\"]
loss = \"quantile\"
quantile = 0.9
";
const LABELS: &str = "level,yes,price,visits,a,b,c,low,high";

/// Tables with five kinds of columns: to train on, and rows with blanks, unknown values, other
/// spellings and numbers of any size.
fn table(rows: u64, seed: u64, strange: bool) -> String {
    let mut draws = Draws::new(seed);
    let header = "age,balance,job,city,member,code";
    let mut text = if strange { format!("{header}\n") } else { format!("{header},{LABELS}\n") };
    for _ in 0..rows {
        let age = 20.0 + 60.0 * draws.uniform();
        let (balance, code) = (2e4 * draws.uniform() - 1e4, draws.below(100));
        let (job, city) = (draws.below(4), draws.below(30));
        let member = draws.below(2) == 1;
        let mut cells = [
            format!("{age:.2}"),
            format!("{balance:.1}"),
            ["clerk", "nurse", "pilot", "none"][job as usize].into(),
            format!("town {city}"),
            if member { "yes" } else { "no" }.into(),
            code.to_string(),
        ];
        for (place, cell) in cells.iter_mut().enumerate() {
            let is_number = [0, 1, 5].contains(&place);
            if draws.below(15) == 0 {
                *cell = if place == 5 { "-9".into() } else { String::new() };
            } else if strange && draws.below(8) == 0 {
                let numbers = ["1e30", "-1e30", "1e-30", "-0", "-0.0", "123456789", "-9.0", "NA"];
                let texts = [" pilot ", "diver", "Yes", "TRUE", "?", "n", "0", "NULL"];
                let among = if is_number { numbers } else { texts };
                *cell = among[draws.below(8) as usize].into();
            }
        }
        text += &cells.join(",");
        if !strange {
            let score = (age - 50.0) / 15.0 + job as f64 - 1.5 + f64::from(u8::from(member));
            let level = ["low", "middle", "high"][(score + 2.0).clamp(0.0, 2.9) as usize];
            text += &format!(
                ",{level},{},{:.2},{},{},{},{},{:.2},{:.2}",
                if score > 0.5 { "Y" } else { "N" },
                250.0 + 40.0 * score,
                (score / 3.0 + 1.0).exp() as u64,
                city % 2,
                u8::from(age > 40.0),
                u8::from(score > 0.0),
                10.0 + score,
                15.0 + 2.0 * score
            );
        }
        text.push('\n');
    }
    text
}

fn room(more: &str) -> Room {
    let room = Room::new(&format!("{SETTINGS}{more}{TASKS}"));
    room.write("train.csv", table(400, 1, false));
    room.write("rows.csv", table(300, 2, true));
    room
}

/// The ONNX file of a run, with what `predict` writes for the rows of a file.
fn exported(room: &Room, data: &str) -> (Onnx, Vec<HashMap<String, String>>) {
    room.run(&["export", "run", "--format", "onnx", "--out", "model.onnx"]).expect(0);
    room.on_reference(&["predict", "run", "--data", data, "--out", "out.csv"]).expect(0);
    (Onnx::read(&room.bytes("model.onnx")), records(&room.text("out.csv")))
}

fn records(text: &str) -> Vec<HashMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(Result::unwrap).collect()
}

/// The inputs of a model for rows of a table. Words that mean "blank" between numbers are NaN.
fn inputs(onnx: &Onnx, rows: &[HashMap<String, String>]) -> HashMap<String, Tensor> {
    let of = |(name, kind, dims): &(String, i64, Vec<String>)| {
        assert_eq!(dims[..], ["rows", "1"], "{name}");
        let cells = rows.iter().map(|row| row[name].trim().to_owned());
        let number = |cell: String| cell.parse().unwrap_or(f64::NAN);
        let tensor = match kind {
            8 => Tensor::texts(cells.collect()),
            11 => Tensor::numbers(&[rows.len(), 1], cells.map(number).collect()),
            other => panic!("{name} has type {other}"),
        };
        (name.clone(), tensor)
    };
    onnx.inputs.iter().map(of).collect()
}

/// Asserts that outputs are what `predict` wrote.
fn agrees(onnx: &Onnx, found: &HashMap<String, Tensor>, rows: &[HashMap<String, String>]) {
    let tasks: serde_json::Value = serde_json::from_str(&onnx.facts["tasks"]).unwrap();
    for (task, facts) in tasks.as_object().unwrap() {
        let order = facts.get("classes").or(facts.get("columns")).and_then(|list| list.as_array());
        let order: Vec<String> = order
            .into_iter()
            .flatten()
            .map(|name| format!("{task}:{}", name.as_str().unwrap()))
            .collect();
        if facts["type"] == "multiclass" || facts["type"] == "binary" {
            let classes: Vec<&String> = rows.iter().map(|row| &row[task]).collect();
            assert_eq!(found[task].texts.iter().collect::<Vec<_>>(), classes, "{task}");
        }
        let shares = found.get(&format!("{task}:probabilities"));
        let columns = if shares.is_none() && order.len() < 2 { vec![task.clone()] } else { order };
        let numbers = &shares.unwrap_or_else(|| &found[task]).numbers;
        assert_eq!(numbers.len(), rows.len() * columns.len(), "{task}");
        let spread = if shares.is_some() { 0.0 } else { spread(rows, &columns) };
        for (row, numbers) in rows.iter().zip(numbers.chunks(columns.len())) {
            for (column, found) in columns.iter().zip(numbers) {
                let expected: f64 = row[column].parse().unwrap();
                let most = 1e-5 * expected.abs().max(spread);
                assert!((found - expected).abs() <= most, "{column}: {found}, {expected}");
            }
        }
    }
}

/// The standard deviation of columns: numbers near 0 are differences of larger ones.
fn spread(rows: &[HashMap<String, String>], columns: &[String]) -> f64 {
    let numbers =
        rows.iter().flat_map(|row| columns.iter().map(|c| row[c].parse::<f64>().unwrap()));
    let numbers: Vec<f64> = numbers.collect();
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    (numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / numbers.len() as f64).sqrt()
}

/// Trains, exports and compares; returns the file.
fn check(room: &Room, more: &[&str]) -> Onnx {
    room.train("run", more).expect(0);
    let (onnx, rows) = exported(room, "rows.csv");
    let found = onnx.run(inputs(&onnx, &rows));
    agrees(&onnx, &found, &rows);
    // The number of rows is free.
    let three = onnx.run(inputs(&onnx, &rows[5..8]));
    agrees(&onnx, &three, &rows[5..8]);
    onnx
}

#[test]
fn a_file_takes_the_columns_of_the_table_and_gives_what_predict_writes() {
    let room = room("");
    let onnx = check(&room, &[]);
    assert_eq!(onnx.ir, 8);
    assert_eq!(onnx.operators, [(String::new(), 17), ("ai.onnx.ml".into(), 3)]);
    assert_eq!(onnx.producer, format!("tandem {}", env!("CARGO_PKG_VERSION")));
    let names = |list: &[(String, i64, Vec<String>)]| -> Vec<String> {
        list.iter().map(|(name, kind, dims)| format!("{name} {kind} {}", dims.join(" "))).collect()
    };
    assert_eq!(
        names(&onnx.inputs),
        ["age 11 rows 1", "balance 11 rows 1", "job 8 rows 1", "city 8 rows 1", "member 8 rows 1"]
            .into_iter()
            .chain(["code 11 rows 1"])
            .collect::<Vec<_>>()
    );
    assert_eq!(
        names(&onnx.outputs),
        [
            "level 8 rows",
            "level:probabilities 1 rows 3",
            "yes 8 rows",
            "yes:probabilities 1 rows 2",
            "price 11 rows",
            "visits 11 rows",
            "abc:probabilities 1 rows 3",
            "range 11 rows 2"
        ]
    );
    let hash = blake3::hash(&room.bytes("run/model/model.safetensors"));
    assert_eq!(onnx.facts["model.safetensors.blake3"], hash.to_hex().to_string());
}

#[test]
fn every_activation_is_exported() {
    for activation in ["tanh", "gelu", "silu", "identity"] {
        check(&room(""), &["--set", &format!("trunk.activation={activation}")]);
    }
}

#[test]
fn every_architecture_is_exported() {
    for keys in [
        "kind = \"separate\"",
        "kind = \"mmoe\"\nexperts = 3",
        "kind = \"mmoe\"\nexperts = 1\ngates = \"one\"",
        "kind = \"cgc\"\nexperts = 1\ntask_experts = 1",
        "kind = \"ple\"\nexperts = 2\ntask_experts = 1\nlevels = 2",
        "kind = \"cross_stitch\"",
        "kind = \"mtan\"",
        "kind = \"dselect_k\"\nexperts = 5\nselect = 2",
        "kind = \"dselect_k\"\nexperts = 4\nselect = 1\ngates = \"task\"",
        "kind = \"branched\"\nlearn = true",
    ] {
        let no_vectors =
            if keys.contains("separate") { "feature.city.embed=0" } else { "train.seed=3" };
        check(&room(&format!("[architecture]\n{keys}\n")), &["--set", no_vectors]);
    }
}

#[test]
fn what_onnx_cannot_encode_enters_as_numbers() {
    let settings = "[data]\ntrain = \"train.csv\"\nsplit = [1.0, 0.0, 0.0]\n[feature.note]\ntype = \
                    \"text\"\nbuckets = 8\nembed = 2\n[trunk]\nlayers = [4]\n[task.y]\ntype = \
                    \"regression\"\n[train]\nepochs = 2\n";
    let room = Room::new(settings);
    let row =
        |i: u32| format!("2020-0{}-1{},red {}fox", i % 9 + 1, i % 7, "big ".repeat(i as usize % 3));
    let labelled = (0..40).map(|i| format!("{},{i}\n", row(i))).collect::<String>();
    room.write("train.csv", format!("day,note,y\n{labelled}"));
    let rows = (0..40).map(|i| row(i) + "\n").collect::<String>();
    room.write("rows.csv", format!("day,note\n{rows}"));
    room.train("run", &[]).expect(0);
    let (onnx, rows) = exported(&room, "rows.csv");
    let told = ["cannot encode column \"day\": its input takes a date", "column \"note\""];
    room.run(&["export", "run", "--format", "onnx"]).expect(0).says(&told);
    assert!(onnx.doc.contains("Input day: a date as its encoded numbers"), "{}", onnx.doc);
    let model = load(&room.path("run")).unwrap();
    let (data, _) =
        load_with(&model.schema, room.path("rows.csv").to_str().unwrap(), false).unwrap();
    let Features::Cells { values, slots } = data.features else { panic!("no codes") };
    let (mut day, mut note) = (Vec::new(), Vec::new());
    for row in values.chunks(slots) {
        day.extend(row[..6].iter().map(|x| f64::from(f32::from_bits(*x))));
        let count = |bucket: u32| row[6..].iter().filter(|code| **code == bucket).count() as f64;
        note.extend((0..8).map(count));
    }
    let day = Tensor { is_single: true, ..Tensor::numbers(&[40, 6], day) };
    let note = Tensor { is_single: true, ..Tensor::numbers(&[40, 8], note) };
    agrees(&onnx, &onnx.run([("day".into(), day), ("note".into(), note)].into()), &rows);
}

#[test]
fn images_are_one_input() {
    let room = Room::new("");
    let run = ["demo", "--out", "run", "--max-steps", "20", "--device", "cpu"];
    room.run(&run).expect(0);
    room.run(&["export", "run", "--format", "onnx", "--out", "model.onnx"]).expect(0);
    let data = "digits-overlay:test";
    room.run(&["predict", "run", "--data", data, "--out", "out.csv", "--device", "cpu"]).expect(0);
    let (onnx, rows) = (Onnx::read(&room.bytes("model.onnx")), records(&room.text("out.csv")));
    let shape = ["rows", "12", "12"].map(str::to_owned).to_vec();
    assert_eq!(onnx.inputs, [("image".to_owned(), 2, shape)]);
    let model = load(&room.path("run")).unwrap();
    let (data, _) = load_with(&model.schema, data, false).unwrap();
    let Features::U8 { values, .. } = data.features else { panic!("no images") };
    let pixels = values[..200 * 144].iter().map(|x| f64::from(*x)).collect();
    let images = Tensor::numbers(&[200, 12, 12], pixels);
    agrees(&onnx, &onnx.run([("image".to_owned(), images)].into()), &rows[..200]);
}

/// A NumPy file of 64-bit numbers.
fn npy(width: usize, numbers: &[f64]) -> Vec<u8> {
    let rows = numbers.len() / width;
    let header =
        format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows}, {width}), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
    bytes
}

#[test]
fn the_columns_of_an_array_are_one_input() {
    let settings = "[data]\ntrain = { features = \"x.npy\", labels = \"y.npy\" }\nsplit = [1.0, 0.0, \
                    0.0]\n[trunk]\nlayers = [4]\n[task.y]\ntype = \"regression\"\ntarget = \
                    \"labels.0\"\n[train]\nepochs = 2\n";
    let room = Room::new(settings);
    let mut draws = Draws::new(5);
    let mut x: Vec<f64> = (0..180).map(|_| 5.0 * draws.uniform()).collect();
    x[4] = f64::NAN;
    room.write("x.npy", npy(3, &x));
    room.write("y.npy", npy(1, &(0..60).map(|row| x[3 * row]).collect::<Vec<f64>>()));
    room.train("run", &[]).expect(0);
    let (onnx, rows) = exported(&room, "x.npy");
    assert_eq!(onnx.inputs[0].2, ["rows", "3"]);
    let x = Tensor::numbers(&[60, 3], x);
    agrees(&onnx, &onnx.run([("features".to_owned(), x)].into()), &rows);
}

#[test]
fn an_output_gives_way_to_an_input_of_its_name() {
    let settings = "[data]\ntrain = \"train.csv\"\nsplit = [1.0, 0.0, 0.0]\n[trunk]\nlayers = [4]\n\
                    [task.x]\ntype = \"regression\"\ntarget = \"y\"\n[train]\nepochs = 2\n";
    let room = Room::new(settings);
    let row = |i: u32| format!("{i},{}\n", 2 * i);
    room.write("train.csv", format!("x,y\n{}", (0..40).map(row).collect::<String>()));
    room.train("run", &[]).expect(0);
    let ran = room.run(&["export", "run", "--format", "onnx", "--json"]).expect(0);
    let ran = ran.says(&["an input is called x, so the output is called x:predicted"]);
    assert_eq!(ran.json()["outputs"], serde_json::json!(["x:predicted"]));
}

/// A small run.
fn small() -> Room {
    let room = Room::new(NET);
    room.train("run", &["--epochs", "1"]).expect(0);
    room
}

#[test]
fn files_are_written_beside_the_model_and_replaced_with_a_word() {
    let room = small();
    for (format, file) in [("onnx", "run/model/model.onnx"), ("torch", "run/model/model.py")] {
        let export = |room: &Room| room.run(&["export", "run", "--format", format]).expect(0);
        export(&room).says(&[file, ": written, "]);
        let before = room.bytes(file);
        export(&room).says(&[file, ": replaced, "]);
        assert!(room.bytes(file) == before, "{file} is not the same twice");
    }
    room.on_reference(&["evaluate", "run", "--data", "test.csv"]).expect(0);
    // The file has weights of its own, which are those of the model before.
    let ran = room.resume("run", &["--epochs", "2"]).expect(0);
    ran.says(&["model.onnx was made from the model before"]);
    room.train("more", &["--init-from", "run", "--epochs", "1"]).expect(0);
}

#[test]
fn what_cannot_be_exported_is_refused() {
    let room = small();
    let export = |model: &str, more: &[&str]| -> Ran {
        room.run(&[&["export", model, "--format", "onnx"][..], more].concat())
    };
    export("none", &[]).refused(66, &["none: there is no such file"]);
    let own = "run/model/config.json";
    export("run", &["--out", own]).refused(73, &["is the model's own config.json", "--out"]);
    export("run", &["--out", "no/folder/x.onnx"]).refused(73, &["no/folder/x.onnx", "--out"]);
    assert_eq!(room.run(&["export", "run"]).code, Some(2));
    assert_eq!(room.run(&["export", "run", "--format", "keras"]).code, Some(2));
    let config = room.text(own).replacen("\"format\": 1", "\"format\": 2", 1);
    room.write(own, config);
    export("run", &[]).refused(65, &["format 2", "update tandem"]);
}

#[test]
fn a_python_file_has_the_parts_that_its_model_needs() {
    let room = room("[architecture]\nkind = \"dselect_k\"\nexperts = 4\nselect = 2\n");
    room.train("run", &[]).expect(0);
    let ran = room.run(&["export", "run", "--format", "torch", "--out", "model.py"]).expect(0);
    ran.says(&["name the directory of the model when it runs: run/model"]);
    let text = room.text("model.py");
    for piece in [
        "[\"expert.0.0\",\"dense\",\"inputs\",\"relu\"]",
        "\"level\":\"task.level.0\"",
        "def category(",
        "def binary(",
        "select, smooth = rule",
    ] {
        assert!(text.contains(piece), "no {piece}:\n{text}");
    }
    for piece in ["# [", "# ]", "def date(", "def words(", "\"mask\"", "VERSION"] {
        assert!(!text.contains(piece), "{piece}:\n{text}");
    }
    let mut python = room.program("python3");
    python.args(["-c", "compile(open('model.py').read(), 'm', 'exec')"]);
    let Ok(output) = python.output() else { return eprintln!("python3 is not installed") };
    Ran::of(output).expect(0);
}

#[test]
fn a_model_has_a_card() {
    let room = room("");
    room.train("run", &[]).expect(0);
    room.train("same", &[]).expect(0);
    for model in ["model", "last"] {
        let card = room.text(&format!("run/{model}/README.md"));
        assert_eq!(card, room.text(&format!("same/{model}/README.md")));
        for piece in [
            "---\nlibrary_name: tandem\ntags:\n- multi-task-learning\n- tabular-classification\n- \
             tabular-regression\n",
            "| level | multiclass | one of 3 classes of \"level\": ",
            "| age | numeric | (x − ",
            "| city | category | 30 values, a learned vector of 3 each: ",
            "architecture: shared, layers of 9, 6 (relu), ",
            "    tandem predict MODEL --data FILE\n",
        ] {
            assert!(card.contains(piece), "no {piece}:\n{card}");
        }
        assert_eq!(card.contains("## Figures"), model == "model");
    }
    let card = room.text("run/model/README.md");
    let told = room.on_reference(&["inspect", "run", "--json"]).expect(0).json();
    assert!(card.contains(&format!(" {} parameters", told["parameters"])), "{told}\n{card}");
    let point = room.points("run").into_iter().rfind(|line| line.contains("\"valid\"")).unwrap();
    let point: serde_json::Value = serde_json::from_str(&point).unwrap();
    let accuracy = point["tasks"]["level"]["accuracy"].as_f64().unwrap();
    let shown = format!("{accuracy:.5}");
    assert!(card.contains(&format!("accuracy {}", shown.trim_end_matches('0'))), "{shown}\n{card}");
}
