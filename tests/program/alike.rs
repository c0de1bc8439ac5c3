//! Values that other programs write differently mean the same as in training.

use std::path::Path;

use tandem::config::read::from_text;
use tandem::data::load::door::{load, load_with};
use tandem::data::{Dataset, Features, Parts, UNLABELLED};

struct Room(tempfile::TempDir);

impl Room {
    fn new() -> Room {
        Room(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, text: &str) -> String {
        std::fs::write(self.0.path().join(name), text).unwrap();
        self.0.path().join(name).display().to_string()
    }

    fn load(&self, text: &str) -> Parts {
        let config = from_text(text, "x.toml", self.0.path(), &[]).unwrap();
        load(&config.data, &config.tasks).unwrap()
    }
}

fn words(data: &Dataset) -> Vec<u32> {
    match &data.features {
        Features::Cells { values: words, .. } => words.clone(),
        Features::F32(values) => values.iter().map(|x| x.to_bits()).collect(),
        _ => unreachable!(),
    }
}

/// Numbers as categories, true and false, and blanks in numbers: first as one program writes them,
/// then as another one does.
#[test]
fn equal_values_in_different_spellings() {
    let room = Room::new();
    let rows = |way: [&str; 6]| {
        let [a, b, yes, no, blank, number] = way;
        let row = |i: usize| {
            let (code, truth) = ([a, b, b][i % 3], [yes, no][i % 2]);
            format!(
                "{code},{truth},{},{}\n",
                [blank, number, number, number, number][i % 5],
                ["u", "v"][i % 2]
            )
        };
        "code,flag,x,t\n".to_owned() + &(0..60).map(row).collect::<String>()
    };
    room.put("train.csv", &rows(["50", "7", "True", "False", "-9", "2"]));
    let other = room.put("other.csv", &rows(["50.0", "7.0", "1", "0", "-9.0", "2.0"]));
    let parts = room.load(
        "[data]\nsplit = [1.0, 0.0, 0.0]\ntrain = \"train.csv\"\nmissing = [\"\", \
         \"-9\"]\n[feature.code]\ntype = \"category\"\n[feature.flag]\ntype = \
         \"binary\"\n[task.t]\n",
    );
    let (read, _) = load_with(&parts.schema, &other, true).unwrap();
    assert_eq!(words(&read), words(&parts.train));
    assert_eq!(read.labels, parts.train.labels);
}

/// Programs that have blanks in floats only write a column of yes and no with blanks as floats.
#[test]
fn yes_and_no_as_floats() {
    let room = Room::new();
    room.put("train.csv", "x,a,b,c\n1,0.0,1.0,1.0\n2,1.0,,0.0\n3,0.0,0.0,1.0\n4,1.0,1.0,\n");
    let parts = room.load(
        "[data]\nsplit = [1.0, 0.0, 0.0]\ntrain = \"train.csv\"\n[task.m]\ntype = \
         \"multilabel\"\ntarget = [\"a\", \"b\"]\n[task.c]\ntype = \"binary\"\npositive = \"1\"\n",
    );
    assert_eq!(
        parts.train.labels,
        [vec![0, 1, 0, 1], vec![1, UNLABELLED, 0, 1], vec![1, 0, 1, UNLABELLED]]
    );
    let whole = room.put("whole.csv", "x,a,b,c\n1,0,1,1\n");
    let (read, _) = load_with(&parts.schema, &whole, true).unwrap();
    assert_eq!(read.labels, [vec![0], vec![1], vec![1]]);
}

#[test]
fn a_validation_part_without_labels_picks_nothing() {
    let room = Room::new();
    room.put("train.csv", "x,t\n1,a\n2,b\n3,a\n4,b\n");
    room.put("valid.csv", "x,t\n1,\n2,\n");
    let parts = room.load(
        "[data]\nsplit = [1.0, 0.0, 0.0]\ntrain = \"train.csv\"\nvalid = \"valid.csv\"\n[task.t]\n",
    );
    assert!(parts.valid.is_none());
    assert!(
        parts.notices.iter().any(|n| n.contains("no row of the validation part has a label")),
        "{:?}",
        parts.notices
    );
}

#[test]
fn weights_of_classes_that_do_not_exist() {
    let room = Room::new();
    room.put("train.csv", "x,t\n1,a\n2,b\n3,a\n4,b\n");
    for (weights, said) in
        [("{ nope = 3.0 }", "\"nope\" is no class"), ("{ a = 0.0, b = 0.0 }", "all are zero")]
    {
        let text = format!(
            "[data]\nsplit = [1.0, 0.0, 0.0]\ntrain = \"train.csv\"\n[task.t]\ntype = \
             \"multiclass\"\nclass_weights = {weights}\n"
        );
        let config = from_text(&text, "x.toml", Path::new(room.0.path()), &[]).unwrap();
        let parts = load(&config.data, &config.tasks).unwrap();
        let error = tandem::model::network::Network::new(&config, &parts.schema).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}
