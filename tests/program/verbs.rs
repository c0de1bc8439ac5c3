//! From a table to predictions with the verbs alone: init, inspect, train, evaluate, predict. All
//! runs are on the float64 reference.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tandem::config::read;
use tandem::data::load::door::load;
use tandem::rng::{Purpose, uniform};
use tandem::run::train::Plan;
use tempfile::TempDir;

/// The exit code and the output of a process.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn expect(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(!self.out.contains('\x1b') && !self.err.contains('\x1b'), "{self:#?}");
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }

    /// Asserts the exit code, an error on one line, and a hint on the next.
    fn refused(self, code: i32, words: &[&str]) {
        let ran = self.expect(code);
        assert!(ran.err.contains("error: ") && ran.err.contains("\nhint: "), "{ran:#?}");
        words.iter().for_each(|word| assert!(ran.err.contains(word), "{word}: {ran:#?}"));
    }
}

struct Room(TempDir);

impl Room {
    fn new() -> Room {
        let room = Room(tempfile::tempdir().unwrap());
        room.write("rows.csv", &rows(240, true));
        room
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    fn fed(&self, args: &[&str], input: &str) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
        command.current_dir(self.0.path()).args(args).args(["--device", "reference"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.fed(args, "")
    }

    /// A room with a model with tasks of all types, in the run directory `run`.
    fn trained() -> Room {
        let room = Room::new();
        room.run(&[&["init", "--data", "rows.csv", "--out", "c.toml"][..], &ALL].concat())
            .expect(0);
        room.run(&["train", "c.toml", "--out", "run", "--epochs", "2"]).expect(0);
        room
    }
}

/// Targets of every type.
const ALL: [&str; 10] = [
    "--target",
    "won",
    "--target",
    "colour",
    "--target",
    "price",
    "--target",
    "visits:count",
    "--target",
    "a,b:multilabel",
];

/// Labels of every type, all with blanks, numbers with "?" for a blank, words, and a name for each
/// row.
fn rows(count: u64, labelled: bool) -> String {
    let mut text = "id,x,place,note".to_string()
        + if labelled { ",won,colour,price,visits,a,b\n" } else { "\n" };
    for row in 0..count {
        let u = |i: u64| uniform(7, Purpose::Synthetic, i, row);
        let x = if u(0) < 0.1 { "?".to_string() } else { format!("{:.3}", u(1)) };
        text += &format!(
            "r{row},{x},{},{}",
            ["north", "south", "?"][(3.0 * u(2)) as usize],
            ["=1+1", "-fine-", "\"two, words\""][(3.0 * u(3)) as usize]
        );
        if labelled {
            let blank = |i: u64, label: String| if u(i) < 0.2 { String::new() } else { label };
            text += &format!(",{}", blank(4, if u(1) > 0.5 { "yes" } else { "no" }.into()));
            text +=
                &format!(",{}", blank(5, ["red", "green", "blue"][(3.0 * u(1)) as usize].into()));
            text += &format!(",{}", blank(6, format!("{:.2}", 100.0 + 20.0 * u(1))));
            text += &format!(",{}", blank(7, ((6.0 * u(1)) as u64).to_string()));
            text += &format!(
                ",{},{}",
                blank(8, u64::from(u(1) > 0.3).to_string()),
                blank(9, u64::from(u(2) > 0.3).to_string())
            );
        }
        text.push('\n');
    }
    text
}

fn records(text: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().iter().map(String::from).collect();
    (
        header,
        reader.records().map(|record| record.unwrap().iter().map(String::from).collect()).collect(),
    )
}

// --- init ---

#[test]
fn the_configuration_that_init_writes_trains_unchanged() {
    let room = Room::new();
    let ran = room
        .run(&[&["init", "--data", "rows.csv", "--out", "c.toml"][..], &ALL].concat())
        .expect(0);
    assert!(ran.out.is_empty() && ran.err.contains("c.toml written"), "{ran:#?}");
    let text = room.text("c.toml");
    for line in [
        "missing = \"auto\"                # texts that mean that a cell is blank; found: \"\", \
         \"?\"",
        "ignore = [\"id\"]",
        "positive = \"yes\"",
        "type = \"multiclass\"",
        "type = \"regression\"",
        "type = \"count\"",
        "type = \"multilabel\"",
        "target = [\"a\", \"b\"]",
        "rows are labelled for both won and colour",
    ] {
        assert!(text.contains(line), "{line}:\n{text}");
    }
    let config = read::from_file(&room.path("c.toml"), &[]).unwrap();
    assert_eq!(config.tasks.len(), 5);
    let parts = load(&config.data, &config.tasks).unwrap();
    Plan::new(config, parts).unwrap();
    room.run(&["train", "c.toml", "--out", "run", "--max-steps", "4"]).expect(0);
    assert!(room.path("run/model/model.safetensors").exists());
}

#[test]
fn init_prints_to_stdout_and_never_overwrites() {
    let room = Room::new();
    let ran = room.run(&["init", "--data", "rows.csv", "--target", "won"]).expect(0);
    assert!(ran.out.starts_with("# 240 rows"), "{ran:#?}");
    let config = read::from_text(&ran.out, "printed", Path::new("."), &[]).unwrap();
    assert_eq!(config.tasks[0].name, "won");
    let document =
        room.run(&["init", "--data", "rows.csv", "--target", "won", "--json"]).expect(0).json();
    assert_eq!(document["config"].as_str().map(str::trim_end), Some(ran.out.trim_end()));
    assert_eq!(document["tasks"][0]["type"], "binary");
    room.write("c.toml", "mine");
    room.run(&["init", "--data", "rows.csv", "--target", "won", "--out", "c.toml"])
        .refused(73, &["c.toml"]);
    assert_eq!(room.text("c.toml"), "mine");
    room.run(&["init", "--data", "rows.csv", "--target", "won", "--out", "no/such/c.toml"])
        .refused(73, &["cannot be created"]);
}

#[test]
fn init_refuses_targets_that_cannot_be_learnt() {
    let room = Room::new();
    room.run(&["init", "--data", "rows.csv"]).refused(2, &["--target"]);
    room.run(&["init", "--data", "rows.csv", "--target", "colr"]).refused(2, &["colr", "colour"]);
    room.run(&["init", "--data", "rows.csv", "--target", "won:binry"])
        .refused(2, &["binry", "binary"]);
    room.run(&["init", "--data", "rows.csv", "--target", "id"]).refused(2, &["different texts"]);
    room.run(&["init", "--data", "rows.csv", "--target", "won", "--target", "won:multiclass"])
        .refused(2, &["twice"]);
    room.run(&["init", "--data", "none.csv", "--target", "won"]).refused(66, &["none.csv"]);
    room.run(&["init", "--data", "rows.csv", "--target", "price:count"]).refused(65, &["count"]);
}

#[test]
fn init_handles_slips_rare_labels_and_odd_names() {
    let room = Room::new();
    let mut text = "the size,when,my label:2\n".to_string();
    for row in 0..60 {
        let size = if row == 7 { "3O".into() } else { (row % 13).to_string() };
        let label = ["a", "b", "c"][row % 3];
        text += &format!(
            "{size},2020-01-{:02},{}\n",
            1 + row % 28,
            if row == 9 { "seldom" } else { label }
        );
    }
    room.write("odd.csv", &text);
    fs::create_dir(room.path("sub")).unwrap();
    room.run(&["init", "--data", "odd.csv", "--target", "my label:2", "--out", "sub/c.toml"])
        .expect(0);
    let text = room.text("sub/c.toml");
    for line in [
        "[task.my_label_2]",
        "target = \"my label:2\"",
        "[feature.\"the size\"]",
        "\"3O\"",
        "\"seldom\"",
        "date",
    ] {
        assert!(text.contains(line), "{line}:\n{text}");
    }
    room.run(&["train", "sub/c.toml", "--out", "run", "--max-steps", "2"]).expect(0);
}

#[test]
fn give_aways_become_notes() {
    let room = Room::new();
    let line = |row: u64| format!("{},{row}\n", ["yes,p", "no,q", "no,q"][(row % 3) as usize]);
    room.write(
        "given.csv",
        &("label,secret,n\n".to_string()
            + &(0..90).map(|row| line(row * 7 % 90)).collect::<String>()),
    );
    let ran = room.run(&["init", "--data", "given.csv", "--target", "label"]).expect(0);
    assert!(
        ran.out
            .lines()
            .any(|line| line.starts_with("# Note: ")
                && line.contains("\"secret\" nearly determines")),
        "{ran:#?}"
    );
}

/// Tables that are hard to guess from: few rows, a class with few rows, other delimiters, no column
/// names.
#[test]
fn small_and_plain_tables_train_too() {
    let room = Room::new();
    room.write(
        "few.csv",
        "a;b;label\n1;x;u\n2;y;v\n3;x;u\n4;y;v\n5;x;u\n6;y;v\n7;x;u\n8;z;v\n9;x;u\n10;y;v\n11;x;u\\
         n12;y;v\n",
    );
    room.run(&["init", "--data", "few.csv", "--target", "label", "--out", "few.toml"]).expect(0);
    room.run(&["train", "few.toml", "--out", "few", "--max-steps", "2"]).expect(0);
    let bare: String = (0..90)
        .map(|row| format!("{},{},{}\n", row % 11, row % 7, ["p", "q", "r"][row % 3]))
        .collect();
    room.write("bare.csv", &bare);
    room.run(&[
        "init",
        "--data",
        "bare.csv",
        "--no-header",
        "--target",
        "2:binary",
        "--target",
        "0:regression",
        "--out",
        "bare.toml",
    ])
    .expect(0);
    let text = room.text("bare.toml");
    assert!(text.contains("header = false") && text.contains("positive = \"p\""), "{text}");
    room.run(&["train", "bare.toml", "--out", "bare", "--max-steps", "2"]).expect(0);
    room.write(
        "seldom.csv",
        &("n,label\n".to_string()
            + &(0..80)
                .map(|row| format!("{row}.5,{}\n", ["no", "yes"][usize::from(row == 41)]))
                .collect::<String>()),
    );
    room.run(&["init", "--data", "seldom.csv", "--target", "label", "--out", "seldom.toml"])
        .expect(0);
    room.run(&["train", "seldom.toml", "--out", "seldom", "--max-steps", "2"]).expect(0);
}

// --- inspect ---

#[test]
fn a_table_is_inspected() {
    let room = Room::new();
    let told =
        room.run(&["inspect", "rows.csv", "--target", "won", "--target", "price"]).expect(0).out;
    for word in [
        "240 rows, 10 columns",
        "numeric",
        "category, names rows",
        "labelled for both won and price",
        "\"yes\"",
    ] {
        assert!(told.contains(word), "{word}: {told}");
    }
    let document = room
        .run(&["inspect", "rows.csv", "--target", "won", "--target", "price", "--json"])
        .expect(0)
        .json();
    assert_eq!(document["rows"], 240);
    let columns = document["columns"].as_array().unwrap();
    let of = |name: &str| columns.iter().find(|column| column["name"] == name).unwrap();
    let (_, cells) = records(&room.text("rows.csv"));
    let blank = |at: usize, text: &str| cells.iter().filter(|cells| cells[at] == text).count();
    assert_eq!(of("x")["blank"], blank(1, "?"));
    assert_eq!(of("x")["type"], "numeric");
    assert_eq!(of("won")["blank"], blank(4, ""));
    let won = &document["tasks"][0];
    assert_eq!(won["labelled"], 240 - blank(4, ""));
    assert!(
        won["labels"]
            .as_array()
            .unwrap()
            .iter()
            .any(|label| label["value"] == "yes" && label["rows"] == blank(4, "yes"))
    );
    let both = cells.iter().filter(|cells| !cells[4].is_empty() && !cells[6].is_empty()).count();
    assert_eq!(document["overlap"][0]["rows"], both);
    room.write("bare.csv", "1,2\n3,4\n");
    let bare = room.run(&["inspect", "bare.csv", "--no-header", "--json"]).expect(0).json();
    assert_eq!((bare["rows"].as_u64(), bare["columns"][1]["name"].as_str()), (Some(2), Some("1")));
}

#[test]
fn a_model_is_inspected_and_distinguished_from_a_table() {
    let room = Room::trained();
    for model in ["run", "run/model", "run/model/model.safetensors"] {
        let document = room.run(&["inspect", model, "--json"]).expect(0).json();
        assert_eq!(document["kind"], "model");
        assert_eq!(document["bytes"].as_u64(), document["parameters"].as_u64().map(|n| 4 * n));
        assert_eq!(document["tasks"].as_array().unwrap().len(), 5);
        assert!(
            document["tasks"][0]["threshold"].is_number()
                && document["tasks"][1]["threshold"].is_null()
        );
    }
    let told = room.run(&["inspect", "run"]).expect(0).out;
    for word in ["trunk.0.weight", "place", "parameters", "poisson", "from probability"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    room.run(&["inspect", "run", "--target", "won"]).refused(2, &["--target"]);
    room.run(&["inspect", "none.csv"]).refused(66, &["none.csv"]);
    room.run(&["inspect", "c.toml"]).refused(65, &["c.toml"]);
}

// --- predict ---

#[test]
fn predictions_keep_rows_and_columns_in_every_format() {
    let room = Room::trained();
    room.write("new.csv", &rows(30, false));
    let printed = room.run(&["predict", "run", "--data", "new.csv"]).expect(0).out;
    let piped = room.fed(&["predict", "run", "--data", "-"], &rows(30, false)).expect(0).out;
    assert_eq!(printed, piped);
    let (header, out) = records(&printed);
    let (given, input) = records(&rows(30, false));
    assert_eq!(header[..given.len()], given);
    for name in ["won", "won:yes", "colour", "colour:red", "price", "visits", "a-b:a", "a-b:b"] {
        assert!(header.iter().any(|known| known == name), "{name}: {header:?}");
    }
    assert_eq!(out.len(), 30);
    out.iter().zip(&input).for_each(|(out, input)| assert_eq!(out[..input.len()], input[..]));
    // A cell that a spreadsheet would compute is quoted.
    assert!(printed.contains(",\"=1+1\",") && printed.contains(",\"-fine-\","), "{printed}");

    room.run(&["predict", "run", "--data", "new.csv", "--out", "p.jsonl"]).expect(0);
    let lines: Vec<Value> =
        room.text("p.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 30);
    let price = header.iter().position(|name| name == "price").unwrap();
    for (line, out) in lines.iter().zip(&out) {
        assert_eq!(
            line.as_object().unwrap().keys().collect::<Vec<_>>(),
            header.iter().collect::<Vec<_>>()
        );
        assert_eq!(
            (line["id"].as_str(), line["won"].as_str()),
            (Some(out[0].as_str()), Some(out[given.len()].as_str()))
        );
        assert_eq!(line["price"].as_f64(), out[price].parse().ok());
        let shares = line["won:yes"].as_f64().unwrap() + line["won:no"].as_f64().unwrap();
        assert!((shares - 1.0).abs() < 1e-12, "{line}");
    }
    let jsonl =
        room.run(&["predict", "run", "--data", "new.csv", "--format", "jsonl"]).expect(0).out;
    assert_eq!(jsonl, room.text("p.jsonl"));
    room.run(&["predict", "run", "--data", "new.csv", "--format", "csv", "--out", "q.jsonl"])
        .expect(0);
    assert_eq!(room.text("q.jsonl"), printed);
    room.run(&["predict", "run", "--data", "new.csv", "--out", "p.parquet"]).expect(0);
    let parquet = tandem::data::read::read(
        &[room.path("p.parquet")],
        &tandem::data::table::options::Options::default(),
    )
    .unwrap();
    assert_eq!((parquet.rows, &parquet.names), (30, &header));
    for (row, out) in out.iter().enumerate() {
        for (column, cell) in out.iter().enumerate() {
            let found = parquet.cell(row, column);
            let near = |a: &str, b: &str| {
                a.parse::<f64>().is_ok_and(|a| b.parse::<f64>().is_ok_and(|b| (a - b).abs() < 1e-6))
            };
            assert!(
                found == *cell || near(&found, cell),
                "{} of row {row}: {found}, {cell}",
                header[column]
            );
        }
    }
    // Predictions in Parquet can be used as data again; numbers stay numbers.
    room.run(&["predict", "run", "--data", "p.parquet", "--out", "q.parquet"]).expect(0);
    room.run(&["predict", "run", "--data", "new.csv", "--format", "parquet"])
        .refused(2, &["--format parquet"]);
    room.run(&["predict", "run", "--data", "new.csv", "--format", "jsonl", "--json"])
        .refused(2, &["--format"]);
    room.run(&["predict", "run", "--data", "new.csv", "--out", "no/such/p.csv"])
        .refused(73, &["p.csv"]);
}

// --- evaluate ---

#[test]
fn tasks_without_labels_are_left_out() {
    let room = Room::trained();
    let whole = room.run(&["evaluate", "run", "--data", "rows.csv", "--json"]).expect(0).json();
    assert_eq!(whole["tasks"].as_object().unwrap().len(), 5);
    // One label column is missing, one is blank in all rows.
    let (header, cells) = records(&room.text("rows.csv"));
    let mut text =
        header.iter().filter(|name| *name != "won").cloned().collect::<Vec<_>>().join(",") + "\n";
    for row in &cells {
        let cell = |(name, cell): (&String, &String)| {
            if name == "price" { String::new() } else { format!("\"{cell}\"") }
        };
        text += &(header
            .iter()
            .zip(row)
            .filter(|(name, _)| *name != "won")
            .map(cell)
            .collect::<Vec<_>>()
            .join(",")
            + "\n");
    }
    room.write("some.csv", &text);
    let ran = room.run(&["evaluate", "run", "--data", "some.csv", "--json"]).expect(0);
    assert!(ran.err.contains("task won is left out: there is no column \"won\""), "{ran:#?}");
    assert!(ran.err.contains("task price is left out: no row is labelled"), "{ran:#?}");
    let some = ran.json();
    assert_eq!(
        some["tasks"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["colour", "visits", "a-b"]
    );
    assert_eq!(some["tasks"]["visits"], whole["tasks"]["visits"]);
    let losses: f64 = some["tasks"]
        .as_object()
        .unwrap()
        .values()
        .map(|task| task["loss"].as_f64().unwrap())
        .sum();
    assert!((losses - some["loss"].as_f64().unwrap()).abs() < 1e-9, "{some}");
    let told = room.run(&["evaluate", "run", "--data", "some.csv"]).expect(0).out;
    assert!(told.contains("colour") && !told.contains("won") && !told.contains("price"), "{told}");
    room.write("none.csv", &rows(20, false));
    room.run(&["evaluate", "run", "--data", "none.csv"]).refused(65, &["columns missing", "won"]);
    room.write("blank.csv", "id,x,place,note,won\nr1,1,north,n,\n");
    room.run(&["evaluate", "run", "--data", "blank.csv"])
        .refused(65, &["blank.csv", "no row has a label"]);
    room.write("less.csv", "id,x,note,won\nr1,1,n,yes\n");
    room.run(&["evaluate", "run", "--data", "less.csv"]).refused(65, &["column missing", "place"]);
}

#[test]
fn confusion_matrices_are_printed_with_verbose() {
    let room = Room::trained();
    let document = room.run(&["evaluate", "run", "--data", "rows.csv", "--json"]).expect(0).json();
    let colour = &document["tasks"]["colour"];
    let table: Vec<Vec<f64>> = serde_json::from_value(colour["confusion"].clone()).unwrap();
    let (sum, right): (f64, f64) =
        (table.iter().flatten().sum(), (0..3).map(|class| table[class][class]).sum());
    assert_eq!(Some(sum), colour["rows"].as_f64());
    assert!((right / sum - colour["accuracy"].as_f64().unwrap()).abs() < 1e-12, "{colour}");
    assert_eq!(colour["classes"].as_array().unwrap().len(), 3);
    assert!(document["tasks"]["won"]["confusion"].is_null());
    let told = |more: &[&str]| {
        room.run(&[&["evaluate", "run", "--data", "rows.csv"][..], more].concat()).expect(0).out
    };
    assert!(!told(&[]).contains("one line per label"));
    assert!(told(&["-v"]).contains("colour: one line per label"));
}
