//! Several arrays of labels, each with a name: `labels = { a = "a.npy", b = "b.npy" }`.

use tandem::config::read::from_text;
use tandem::config::write::to_toml;
use tandem::data::Parts;
use tandem::data::load::door::load;
use tandem::rng::{Purpose, below, normal};

use crate::common::program::Room;

const ROWS: u64 = 60;

const NET: &str = "
[data]
train = { features = \"x.npy\", labels = { kind = \"kind.npy\", size = \"size.npy\" } }
[trunk]
layers = [4]
[task.kind]
[task.size]
type = \"regression\"
target = [\"size.0\", \"size.1\"]
[train]
epochs = 2
";

/// The same numbers as one array of labels with names for its columns.
const ONE: &str = "{ features = \"x.npy\", labels = \"all.npy\", label_names = [\"kind\", \
                   \"size.0\", \"size.1\"] }";

/// An NPY file of f64.
fn npy(shape: &str, values: impl Iterator<Item = f64>) -> Vec<u8> {
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({shape}), }}");
    let header = format!("{header:<117}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.bytes());
    values.for_each(|x| file.extend(x.to_le_bytes()));
    file
}

fn size(row: u64, at: u64) -> f64 {
    normal(3, Purpose::Synthetic, 10 + at, row)
}

/// A class, or a blank.
fn kind(row: u64) -> f64 {
    if row % 7 == 3 { f64::NAN } else { below(3, 3, Purpose::Synthetic, 20, row) as f64 }
}

fn room() -> Room {
    let room = Room::new(NET);
    let rows = |n: u64| (0..n).flat_map(|row| [size(row, 5), size(row, 6)]);
    room.write("x.npy", npy("60, 2", rows(ROWS)));
    room.write("kind.npy", npy("60,", (0..ROWS).map(kind)));
    room.write("size.npy", npy("60, 2", (0..ROWS).flat_map(|row| [size(row, 0), size(row, 1)])));
    let all = (0..ROWS).flat_map(|row| [kind(row), size(row, 0), size(row, 1)]);
    room.write("all.npy", npy("60, 3", all));
    room.write("short.npy", npy("59,", (0..59).map(kind)));
    room
}

fn parts(room: &Room, overrides: &[&str]) -> Parts {
    let overrides: Vec<String> = overrides.iter().map(|o| o.to_string()).collect();
    let config = from_text(NET, "net.toml", &room.path(""), &overrides).unwrap();
    let again = from_text(&to_toml(&config), "config.toml", std::path::Path::new("/"), &[]);
    assert_eq!(again.unwrap(), config);
    load(&config.data, &config.tasks).unwrap()
}

#[test]
fn labels_with_names_are_those_of_one_array() {
    let room = room();
    let one = format!("data.train={ONE}");
    for memory in [&[][..], &["data.memory=2KB"]] {
        let (named, one) = (parts(&room, memory), parts(&room, &[&[&one[..]], memory].concat()));
        assert_eq!(named.train.stored().is_some(), !memory.is_empty());
        assert_eq!(named.train.labels, one.train.labels);
        assert_eq!(named.train.labels.len(), 3);
        assert_eq!(
            (&named.schema.input, &named.schema.targets),
            (&one.schema.input, &one.schema.targets)
        );
        let files: Vec<&str> =
            named.hashes.iter().map(|(file, _)| file.rsplit('/').next().unwrap()).collect();
        assert_eq!(files, ["x.npy", "kind.npy", "size.npy"]);
    }
}

#[test]
fn a_model_of_named_labels_is_evaluated_on_named_labels() {
    let room = room();
    room.train("run", &[]).expect(0);
    let one = format!("data.train={ONE}");
    room.train("one", &["--set", &one]).expect(0);
    assert_eq!(
        room.bytes("run/model/model.safetensors"),
        room.bytes("one/model/model.safetensors")
    );
    let on = |verb: &str, run: &str, data: &str| {
        room.on_reference(&[verb, run, "--data", data, "--json"])
    };
    let whole = on("evaluate", "run", "x.npy,size=size.npy,kind=kind.npy").expect(0).json();
    let expected = on("evaluate", "one", "x.npy,all.npy").expect(0).json();
    assert_eq!(whole["tasks"], expected["tasks"]);
    // Some of the labels are enough.
    let some = on("evaluate", "run", "x.npy,kind=kind.npy").expect(0).json();
    assert_eq!(some["tasks"]["kind"], whole["tasks"]["kind"]);
    on("predict", "run", "x.npy").expect(0);
    let how = "write --data FEATURES.npy,kind=kind.npy,size=size.npy";
    for (data, found) in [
        ("x.npy,colour=kind.npy", "the model has no labels \"colour\""),
        ("x.npy,kind=kind.npy,kind=kind.npy", "the labels \"kind\" are given twice"),
        ("x.npy,all.npy", "the labels of the model have names"),
    ] {
        on("evaluate", "run", data).refused(2, &[found, how]);
    }
    on("evaluate", "run", "x.npy")
        .refused(65, &["no labels", "x.npy,kind=".replace("x.npy", "FEATURES.npy").as_str()]);
    on("evaluate", "run", "x.npy,kind=short.npy").refused(65, &["short.npy: 59 rows"]);
    on("evaluate", "run", "x.npy,kind=size.npy").refused(65, &["2 columns", "has 1"]);
    on("evaluate", "one", "x.npy,kind=kind.npy").refused(2, &["the model has no labels \"kind\""]);
}

#[test]
fn what_labels_with_names_cannot_be_is_refused() {
    let room = room();
    let train = |labels: &str, more: &[&str]| {
        let set = format!("data.train={{ features = \"x.npy\", labels = {labels} }}");
        room.train("run", &[&["--set", &set], more].concat())
    };
    train("{}", &[]).refused(78, &["data.train.labels: must be one array or more"]);
    train("{ a = 3 }", &[]).refused(78, &["data.train.labels.a: must be"]);
    train("{ a = \"a.csv\" }", &[])
        .refused(78, &["data.train.labels.a: must be the path of a .npy"]);
    train("{ features = \"kind.npy\" }", &[]).refused(78, &["\"features\" cannot be the name"]);
    train("{ \"a,b\" = \"kind.npy\" }", &[]).refused(78, &["\"a,b\" cannot be the name"]);
    let names = "{ kind = \"kind.npy\", size = \"size.npy\" }, label_names = [\"a\"]";
    train(names, &[]).refused(78, &["data.train.label_names: has no effect"]);
    let good = "{ kind = \"kind.npy\", size = \"size.npy\" }";
    let valid = |labels: &str| {
        let set = format!("data.valid={{ features = \"x.npy\", labels = {labels} }}");
        train(good, &["--set", &set])
    };
    valid("{ kind = \"kind.npy\" }").refused(78, &["data.valid: has no labels \"size\""]);
    valid("{ kind = \"kind.npy\", sise = \"size.npy\" }")
        .refused(78, &["data.valid: has labels \"sise\"", "size"]);
    valid("\"all.npy\"").refused(78, &["data.valid: is a pair of NPY files"]);
    valid("{ size = \"size.npy\", kind = \"kind.npy\" }").expect(0);
    train("{ kind = \"short.npy\", size = \"size.npy\" }", &[])
        .refused(65, &["short.npy: 59 rows"]);
}
