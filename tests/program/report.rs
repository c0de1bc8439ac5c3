//! The page of a run: its files, its figures, what it says of hostile names and of missing data.

use std::fs;

use serde_json::Value;

use crate::common::program::{NET, Room};

/// A table of two classes, one number and one count, whose names are hostile; every fifth label of
/// the number is blank.
fn hostile() -> String {
    let mut table = String::from("x,<i>z,\"<b>\"\"&\",a'b\n");
    for row in 0..240 {
        let (x, z) = (row * 37 % 101, row * 59 % 103);
        let class = if x > z { "<script>alert(1)</script>" } else { "\"&amp;]]>" };
        let number = if row % 5 == 0 { String::new() } else { (2 * x - z).to_string() };
        table += &format!("{x},{z},\"{}\",{number}\n", class.replace('"', "\"\""));
    }
    table
}

const HOSTILE: &str = "
[data]
train = \"hostile.csv\"
split = [0.6, 0.4, 0.0]
[trunk]
layers = [6]
[task.class]
target = '<b>\"&'
[task.number]
target = \"a'b\"
type = \"regression\"
[train]
epochs = 3
";

/// A line y = 2 a − b, and a column that says nothing.
fn plane(rows: std::ops::Range<i32>) -> String {
    let mut table = String::from("a,b,c,y\n");
    for i in rows {
        let [a, b, c] = [(37, 101, 50.5), (59, 103, 51.5), (71, 97, 48.5)]
            .map(|(step, length, half)| f64::from(i * step % length) / half - 1.0);
        table += &format!("{a},{b},{c},{}\n", 2.0 * a - b);
    }
    table
}

const PLANE: &str = "
[data]
train = \"train.csv\"
valid = \"valid.csv\"
[trunk]
layers = []
[task.y]
type = \"regression\"
[optimizer]
learning_rate = 0.05
schedule = \"cosine\"
[train]
epochs = 60
batch_size = 100
";

/// The exact values of all numbers of a page.
fn values(page: &str) -> Vec<f64> {
    let cells = page.split("<data value=\"").skip(1);
    cells.map(|cell| cell[..cell.find('"').unwrap()].parse().unwrap()).collect()
}

fn facts(room: &Room, run: &str) -> Value {
    serde_json::from_str(&room.text(&format!("{run}/report.json"))).unwrap()
}

/// The last value of a column of `metrics.csv` that is not blank.
fn last(csv: &str, column: &str) -> f64 {
    let mut lines = csv.lines();
    let at = lines.next().unwrap().split(',').position(|name| name == column).unwrap();
    let cells = lines.filter_map(|line| line.split(',').nth(at).filter(|cell| !cell.is_empty()));
    cells.collect::<Vec<_>>().pop().unwrap().parse().unwrap()
}

#[test]
fn a_run_leaves_a_page_whose_figures_are_those_of_the_run() {
    let room = Room::new(NET);
    let ran = room.train("run", &["--json"]).expect(0).says(&["page: run/report.html"]);
    let page = room.text("run/report.html");
    let (values, result) = (values(&page), ran.json());
    for part in ["train", "valid", "test"] {
        for task in ["a", "b"] {
            for (metric, value) in result[part]["tasks"][task].as_object().unwrap() {
                let value = value.as_f64().unwrap();
                assert!(values.contains(&value), "{part} {task} {metric} {value}");
            }
        }
    }
    let csv = room.text("run/metrics.csv");
    for column in ["test/loss", "test/a/loss", "test/a/accuracy", "test/b/macro_f1"] {
        let value = last(&csv, column);
        assert!(values.contains(&value), "{column} {value}");
    }
    // The confusion is of the validation part, and of its 40 rows.
    let facts = facts(&room, "run");
    assert_eq!((facts["part"].as_str(), facts["rows"].as_u64()), (Some("valid"), Some(40)));
    let confusion = facts["tasks"][0]["seen"]["classes"]["confusion"].as_array().unwrap();
    let cell = |row: usize, column: usize| confusion[row][column].as_f64().unwrap();
    let all: f64 =
        (0..3).flat_map(|row| (0..3).map(move |c| (row, c))).map(|(r, c)| cell(r, c)).sum();
    let right = (0..3).map(|k| cell(k, k)).sum::<f64>() / all;
    assert_eq!(all, 40.0);
    assert!((right - result["valid"]["tasks"]["a"]["accuracy"].as_f64().unwrap()).abs() < 1e-12);
    // No script, and nothing from elsewhere; each picture is a file, too.
    for piece in ["<script", "http://", "https://", "src=", "url("] {
        let page = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!page.contains(piece), "{piece}");
    }
    let pictures = page.matches("<svg").count();
    assert!(pictures > 8, "{pictures}");
    assert_eq!(fs::read_dir(room.path("run/plots")).unwrap().count(), pictures);
    assert!(page.len() < 2_000_000);
}

#[test]
fn equal_runs_give_equal_facts_and_a_page_made_anew_is_the_same() {
    let room = Room::new(NET);
    room.train("one", &[]).expect(0);
    room.train("two", &[]).expect(0);
    assert_eq!(room.text("one/report.json"), room.text("two/report.json"));
    let (page, facts) = (room.text("one/report.html"), facts(&room, "one"));
    fs::remove_file(room.path("one/report.html")).unwrap();
    fs::remove_dir_all(room.path("one/plots")).unwrap();
    room.on_reference(&["report", "one"]).expect(0);
    assert_eq!(room.text("one/report.html"), page);
    // Measured again from the data, it is the same but for the combined loss with couplings.
    fs::remove_file(room.path("one/report.json")).unwrap();
    room.on_reference(&["report", "one"]).expect(0);
    let again = self::facts(&room, "one");
    for key in ["tasks", "labels", "together", "kept", "part"] {
        assert_eq!(again[key], facts[key], "{key}");
    }
    assert_eq!(again["figures"]["test"]["tasks"], facts["figures"]["test"]["tasks"]);
}

#[test]
fn without_a_page_there_is_none() {
    let room = Room::new(NET);
    room.train("run", &["--no-report", "--max-steps", "2"]).expect(0);
    for name in ["report.html", "report.json", "plots"] {
        assert!(!room.path("run").join(name).exists(), "{name}");
    }
    room.train("other", &["--no-report", "--importance"]).expect(2);
    room.on_reference(&["report", "nowhere"]).refused(66, &["nowhere", "no run directory"]);
}

#[test]
fn hostile_names_stay_texts() {
    let room = Room::new(HOSTILE);
    room.write("hostile.csv", hostile());
    room.train("<i>run", &["--importance"]).expect(0);
    let page = room.text("<i>run/report.html");
    assert!(!page.contains("<script") && !page.contains("<b>\""), "markup of the data");
    assert!(!page.contains("<i>"), "markup of names");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(page.contains("<h1>&lt;i&gt;run</h1>"));
    assert!(page.contains("<th scope=\"row\">class: &lt;b&gt;&quot;&amp;</th>"));
    for entry in fs::read_dir(room.path("<i>run/plots")).unwrap() {
        let path = entry.unwrap().path();
        let svg = fs::read_to_string(&path).unwrap();
        assert!(!svg.contains("<script") && !svg.contains("<i>"), "{path:?}");
    }
}

#[test]
fn a_page_goes_without_data_that_is_gone() {
    let room = Room::new(NET);
    room.train("run", &[]).expect(0);
    fs::remove_file(room.path("run/report.json")).unwrap();
    room.write("valid.csv", "x0,x1,x2,x3,x4,a,b\n1,2,3,4,5,0,1\n");
    let other = ["cannot be measured again", "is not that of the run"];
    room.on_reference(&["report", "run"]).expect(0).says(&other);
    fs::remove_file(room.path("train.csv")).unwrap();
    room.on_reference(&["report", "run"])
        .expect(0)
        .says(&["cannot be measured again", "train.csv"]);
    let page = room.text("run/report.html");
    assert!(page.contains("Loss of a") && page.contains("the kept model was not measured"));
    assert!(!page.contains("Confusion of a") && !room.path("run/report.json").exists());
    room.on_reference(&["report", "run", "--importance"]).refused(66, &["train.csv"]);
}

#[test]
fn several_runs_stand_side_by_side() {
    let room = Room::new(NET);
    room.train("one", &[]).expect(0);
    room.train("two", &["--seed", "1", "--set", "trunk.layers=[9]"]).expect(0);
    let said = room.on_reference(&["report", "one", "two"]).expect(0);
    assert_eq!(said.out, "page: runs/report-1/report.html\n");
    let page = room.text("runs/report-1/report.html");
    let values = values(&page);
    for run in ["one", "two"] {
        let value = last(&room.text(&format!("{run}/metrics.csv")), "test/a/loss");
        assert!(values.contains(&value), "{run}");
    }
    assert!(page.contains("<th scope=\"row\">train.seed</th><td>0</td><td>1</td>"));
    assert!(page.contains("<th scope=\"row\">trunk.layers</th>"));
    assert!(page.contains("loss of a, valid"));
    room.on_reference(&["report", "one", "two", "--out", "both"]).expect(0);
    assert_eq!(room.text("both/report.html"), page);
}

#[test]
fn a_run_is_whole_where_its_page_cannot_be_written() {
    let room = Room::new(NET);
    room.train("run", &["--epochs", "2", "--no-report"]).expect(0);
    room.write("run/plots", "a file where a directory is to be");
    let said = room.resume("run", &["--epochs", "3"]).expect(0);
    said.says(&["warning: run: no page", "plots"]);
}

/// scikit-learn's `permutation_importance` of a linear regression on the same rows, scored by R²
/// with 200 repeats: means 1.594417, 0.3986044 and 0, deviations 0.085 and 0.020 of one repeat.
#[test]
fn importance_is_that_of_scikit_learn() {
    let room = Room::new(PLANE);
    room.write("train.csv", plane(0..400));
    room.write("valid.csv", plane(400..800));
    room.train("run", &["--importance"]).expect(0);
    let importance = &facts(&room, "run")["importance"];
    assert_eq!((importance["rows"].as_u64(), importance["repeats"].as_u64()), (Some(400), Some(5)));
    let task = &importance["tasks"][0];
    assert_eq!(task["metric"], "r2");
    assert!(task["value"].as_f64().unwrap() > 0.9999, "{task}");
    let r2 = |column: usize, key: &str| task["columns"][column][1][key].as_f64().unwrap();
    // Four standard errors of a mean over five repeats.
    assert!((r2(0, "mean") - 1.594417).abs() < 4.0 * 0.0852 / 5f64.sqrt(), "{task}");
    assert!((r2(1, "mean") - 0.3986044).abs() < 4.0 * 0.0198 / 5f64.sqrt(), "{task}");
    assert!(r2(2, "mean").abs() < 1e-3, "{task}");
    assert!(r2(0, "sd") > 0.01 && r2(0, "sd") < 0.3, "{task}");
    let page = room.text("run/report.html");
    assert!(values(&page).contains(&r2(0, "mean")));
    // Report measures the same anew.
    fs::remove_file(room.path("run/report.json")).unwrap();
    room.on_reference(&["report", "run", "--importance"]).expect(0);
    assert_eq!(facts(&room, "run")["importance"]["tasks"], importance["tasks"]);
}
