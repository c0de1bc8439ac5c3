//! What the module `data` refuses: each malformed or malicious input with its exit code, message
//! and hint.

use std::io::Write;
use std::path::{Path, PathBuf};

use tandem::config::{Data, Decimal, Feature, FeatureKind, Overlay, Scale, Source, Task, TaskKind};
use tandem::data::images::digits;
use tandem::data::load::door::{load, load_with};
use tandem::data::{Column, Dataset, Encoding, Input, Parts, Scaling, Schema, Target};
use tandem::fault::{Exit, Fault, exit_of, hint_of};
use tandem::rng;

/// A directory with files, a configuration for the CSV file `train.csv` with the task `y`, and the
/// paths of the inputs.
struct Room {
    dir: tempfile::TempDir,
    data: Data,
    tasks: Vec<Task>,
}

fn room() -> Room {
    let dir = tempfile::tempdir().unwrap();
    let train = table(dir.path().join("train.csv"));
    let data = Data::new(train);
    Room { dir, data, tasks: vec![task("y")] }
}

fn table(path: PathBuf) -> Source {
    Source::Table(vec![path])
}

fn task(name: &str) -> Task {
    Task::multiclass(name)
}

impl Room {
    fn file(self, name: &str, bytes: impl AsRef<[u8]>) -> Room {
        std::fs::write(self.dir.path().join(name), bytes).unwrap();
        self
    }

    fn csv(self, key: &str, name: &str) -> Room {
        let source = Some(table(self.dir.path().join(name)));
        self.edit(|room| {
            *(if key == "valid" { &mut room.data.valid } else { &mut room.data.test }) = source
        })
    }

    fn idx(self, images: Vec<u8>, labels: Vec<u8>) -> Room {
        self.file("images", images)
            .file("labels", labels)
            .edit(|room| room.data.train = source(room.dir.path()))
    }

    fn edit(mut self, edit: impl FnOnce(&mut Room)) -> Room {
        edit(&mut self);
        self
    }

    /// Loads and expects a refusal: the exit code, all `pieces` in the message, `hint` in the hint;
    /// one line each.
    #[track_caller]
    fn refused(self, exit: Exit, pieces: &[&str], hint: &str) {
        check(load(&self.data, &self.tasks).map(|_| ()), exit, pieces, hint);
    }
}

fn source(dir: &Path) -> Source {
    Source::Idx { images: dir.join("images"), labels: dir.join("labels") }
}

#[track_caller]
fn check(result: anyhow::Result<()>, exit: Exit, pieces: &[&str], hint: &str) {
    let error = result.expect_err("was accepted");
    let message = error.to_string();
    assert_eq!(exit_of(&error), exit, "{message}");
    for piece in pieces {
        assert!(message.contains(piece), "{message:?} does not say {piece:?}");
    }
    let found = hint_of(&error).expect("no hint");
    assert!(found.contains(hint), "hint {found:?} does not say {hint:?}");
    assert!(
        !message.chars().chain(found.chars()).any(char::is_control),
        "control characters in {message:?} / {found:?}"
    );
}

/// A room with this `train.csv`, in which the column `a` is declared numeric.
fn numbers(text: impl AsRef<[u8]>) -> Room {
    csv(text).edit(|room| room.data.features = vec![of_type("a", FeatureKind::Numeric)])
}

fn of_type(column: &str, kind: FeatureKind) -> Feature {
    Feature { kind: Some(kind), ..Feature::new(column) }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| text.to_string()).collect()
}

/// A room with this `train.csv`.
fn csv(text: impl AsRef<[u8]>) -> Room {
    room().file("train.csv", text)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn idx(dims: &[u32], values: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dims.len() as u8];
    file.extend(dims.iter().flat_map(|d| d.to_be_bytes()));
    file.extend(values);
    file
}

fn utf16(text: &str, bom: bool) -> Vec<u8> {
    let units = bom.then_some(0xfeff).into_iter().chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

// ---- the file ----

#[test]
fn a_missing_file() {
    room().refused(Exit::NoInput, &["train.csv", "cannot be opened"], "check the path");
}

#[test]
fn a_directory() {
    let room = room();
    std::fs::create_dir(room.dir.path().join("train.csv")).unwrap();
    room.refused(Exit::NoInput, &["train.csv", "cannot be read"], "directory");
}

#[test]
fn an_empty_file() {
    csv("").refused(Exit::Data, &["train.csv: the file is empty"], "header line");
    csv("\n\r\n\n").refused(Exit::Data, &["train.csv: the file is empty"], "header line");
}

#[test]
fn a_header_and_no_rows() {
    csv("a,y\n").refused(
        Exit::Data,
        &["train.csv: the file has a header and no rows"],
        "at least one row",
    );
    csv("a,y\n\n\n").refused(Exit::Data, &["header and no rows"], "at least one row");
}

#[test]
fn utf16_with_and_without_a_mark() {
    csv(utf16("a,y\n1,2\n", true)).refused(Exit::Data, &["train.csv: the text is UTF-16"], "UTF-8");
    csv(utf16("a,y\n1,2\n", false)).refused(
        Exit::Data,
        &["train.csv: the text is UTF-16"],
        "UTF-8",
    );
    let big_endian: Vec<u8> =
        utf16("a,y\n1,2\n", false).chunks(2).flat_map(|c| [c[1], c[0]]).collect();
    csv(big_endian).refused(Exit::Data, &["train.csv: the text is UTF-16"], "UTF-8");
}

#[test]
fn latin_1() {
    csv(b"a,y\n1,p\n2,caf\xe9\n").refused(
        Exit::Data,
        &["train.csv:3", "0xE9 is not UTF-8"],
        "LATIN1",
    );
}

#[test]
fn a_nul_byte() {
    csv(b"a,y\n1,p\n2,\0\n").refused(Exit::Data, &["train.csv:3", "NUL byte"], "damaged");
    // The reader marks the end of the file by a NUL: a line with a NUL must not be taken for it.
    csv(b"a,y\n1,p\n\0\n2,q\n").refused(Exit::Data, &["train.csv:3", "NUL byte"], "damaged");
}

#[test]
fn a_damaged_gzip_stream() {
    let packed = gzip(b"a,y\n1,p\n2,q\n");
    csv(&packed[..packed.len() - 9]).refused(
        Exit::Data,
        &["train.csv", "truncated or damaged"],
        "again",
    );
    let mut flipped = packed.clone();
    let checksum = flipped.len() - 6;
    flipped[checksum] ^= 1;
    csv(flipped).refused(Exit::Data, &["truncated or damaged"], "again");
    csv([0x1f, 0x8b]).refused(Exit::Data, &["truncated or damaged"], "again");
    csv([&packed[..], b"tail"].concat()).refused(Exit::Data, &["truncated or damaged"], "again");
}

#[test]
fn a_gzip_bomb() {
    let bomb = gzip(&vec![b'1'; 64 << 20]);
    assert!(bomb.len() < 100_000);
    csv(&bomb).refused(
        Exit::Data,
        &["train.csv", "unpacks to more than 200 times"],
        "unpack it first",
    );
    room().idx(bomb, idx(&[1], &[0])).refused(
        Exit::Data,
        &["images", "unpacks to more than 200 times"],
        "unpack it first",
    );
}

#[test]
fn a_gzip_bomb_of_many_members() {
    let member = gzip(&vec![b'1'; 8 << 20]);
    csv(member.repeat(8)).refused(
        Exit::Data,
        &["unpacks to more than 200 times"],
        "unpack it first",
    );
}

// ---- the header ----

#[test]
fn a_column_twice() {
    csv("a,b, a,y\n1,2,3,p\n").refused(
        Exit::Data,
        &["train.csv:1", "column \"a\" is in the header twice"],
        "rename",
    );
}

#[test]
fn a_column_without_a_name() {
    csv(",a,y\nx,1,p\n").refused(
        Exit::Data,
        &["train.csv:1", "column 1 of the header has no name"],
        "index=False",
    );
    csv("a,y,\n1,p,\n").refused(
        Exit::Data,
        &["column 3 of the header has no name"],
        "delimiter at the end",
    );
}

#[test]
fn too_many_columns() {
    let header: Vec<String> = (0..65_537).map(|i| format!("c{i}")).collect();
    csv(header.join(",") + "\n" + &"0,".repeat(65_536) + "0\n").refused(
        Exit::Data,
        &["train.csv:1", "65537 columns"],
        "keep",
    );
}

#[test]
fn a_target_that_is_not_there() {
    let pieces = ["task.label.target", "there is no column \"label\"", "train.csv"];
    csv("a,labels\n1,p\n").edit(|r| r.tasks = vec![task("label")]).refused(
        Exit::Config,
        &pieces,
        "did you mean \"labels\"?",
    );
}

#[test]
fn a_feature_that_is_not_there() {
    let feature = |column: &str| vec![Feature { scale: Some(Scale::None), ..Feature::new(column) }];
    let room = || csv("age,y\n1,p\n2,q\n");
    room().edit(|r| r.data.features = feature("aeg")).refused(
        Exit::Config,
        &["feature.aeg", "no column \"aeg\""],
        "did you mean \"age\"?",
    );
    room().edit(|r| r.data.features = feature("zzz")).refused(
        Exit::Config,
        &["feature.zzz"],
        "the columns are \"y\", \"age\"",
    );
    room().edit(|r| r.data.features = feature("y")).refused(
        Exit::Config,
        &["feature.y", "label column"],
        "remove",
    );
}

#[test]
fn an_ignored_column_that_is_not_there() {
    let pieces = ["data.ignore", "there is no column \"idd\""];
    csv("id,a,y\n1,2,p\n").edit(|r| r.data.ignore = vec!["idd".into()]).refused(
        Exit::Config,
        &pieces,
        "\"id\"",
    );
}

#[test]
fn no_feature_left() {
    csv("a,y\n1,p\n2,q\n").edit(|r| r.data.ignore = vec!["a".into()]).refused(
        Exit::Config,
        &["no feature columns"],
        "keep",
    );
    let pieces = ["data.train", "no feature columns", "column \"a\" holds \"1\" in every row"];
    csv("a,y\n1,p\n1,q\n").refused(Exit::Config, &pieces, "differs between rows");
    let ignored = |r: &mut Room| r.data.features = vec![of_type("a", FeatureKind::Ignore)];
    csv("a,y\n1,p\n2,q\n").edit(ignored).refused(Exit::Config, &["no feature columns"], "keep");
}

// ---- records ----

#[test]
fn unequal_lengths() {
    csv("a,b,y\n1,2,p\n3,q\n").refused(
        Exit::Data,
        &["train.csv:3: 2 cells, the header has 3"],
        "one cell per column",
    );
    csv("a,b,y\n1,2,p\n1,2,q,\n").refused(
        Exit::Data,
        &["train.csv:3: 4 cells, the header has 3"],
        "one cell per column",
    );
}

#[test]
fn line_numbers_are_those_of_an_editor() {
    // Blank lines, CRLF, and a cell with a line break come before the bad one.
    numbers("\na,y\r\n\r\n1,\"p\nq\"\r\n\r\nx,q\r\n").refused(
        Exit::Data,
        &["train.csv:7: column \"a\": \"x\""],
        "correct the cell",
    );
    numbers("a,y\r1,p\r\rx,q\r").refused(
        Exit::Data,
        &["train.csv:4: column \"a\": \"x\""],
        "correct the cell",
    );
    numbers("a,y\n1,p\n\n\n\nx,q").refused(
        Exit::Data,
        &["train.csv:6: column \"a\": \"x\""],
        "correct the cell",
    );
    let many = "1,p\r\n".repeat(5000);
    csv(format!("a,y\r\n{many}\r\n2,q\r\n3,p,\r\n")).refused(
        Exit::Data,
        &["train.csv:5004: 3 cells"],
        "one cell",
    );
}

#[test]
fn a_quote_that_is_never_closed() {
    csv("a,y\n1,p\n2,\"q\n3,p\n").refused(
        Exit::Data,
        &["train.csv:3", "a quote in this record is never closed"],
        "quote",
    );
    csv("a,y\n1,p\n2,\"q").refused(Exit::Data, &["train.csv:3", "never closed"], "quote");
    csv("\"a,y\n1,p\n").refused(Exit::Data, &["train.csv:1", "never closed"], "quote");
}

#[test]
fn a_record_without_end() {
    let endless = format!("a,y\n1,p\n2,\"{}\n", "q".repeat(17 << 20));
    csv(endless).refused(Exit::Data, &["train.csv:3", "longer than 16777216 bytes"], "quote");
    csv(",".repeat(17 << 20)).refused(
        Exit::Data,
        &["train.csv:1", "longer than 16777216 bytes"],
        "quote",
    );
}

// ---- cells ----

#[test]
fn a_letter_for_a_digit() {
    let rows = "31,p\n".repeat(1038);
    let pieces = ["train.csv:1041: column \"age\": \"3O\" is not a number"];
    let hint = "correct the cell, or add \"3O\" to the texts that mean \"blank\"";
    csv(format!("age,y\n30,p\n{rows}3O,q\n")).refused(Exit::Data, &pieces, hint);
}

#[test]
fn numbers_that_are_not_finite() {
    for cell in ["inf", "-inf", "Infinity", "1e999", "-1e999"] {
        let pieces = ["train.csv:3: column \"a\"", cell, "is not a finite number"];
        csv(format!("a,y\n1,p\n{cell},q\n")).refused(Exit::Data, &pieces, "correct the cell");
    }
    let empty = |r: &mut Room| r.data.missing = Some(texts(&[""]));
    for cell in ["NaN", "nan"] {
        let pieces = ["train.csv:3: column \"a\"", cell, "is not a finite number"];
        csv(format!("a,y\n1,p\n{cell},q\n")).edit(empty).refused(
            Exit::Data,
            &pieces,
            "correct the cell",
        );
    }
}

#[test]
fn numbers_of_another_country() {
    let point = |r: &mut Room| r.data.decimal = Decimal::Point;
    let pieces = ["train.csv:3: column \"a\": \"3,5\" is not a number"];
    // No notation fits both cells.
    numbers("a;y\n1.5;p\n3,5;q\n").refused(
        Exit::Data,
        &pieces,
        "write all numbers of the column alike",
    );
    numbers("a,y\n1,p\n\"1,2,3\",q\n").edit(point).refused(
        Exit::Data,
        &["\"1,2,3\" is not a number"],
        "write all numbers of the column alike",
    );
}

#[test]
fn texts_that_look_like_numbers() {
    for cell in ["0x10", "1_000", "1 2", "12a", "--1", "=1+1", "٣"] {
        numbers(format!("a,y\n1,p\n{cell},q\n")).refused(
            Exit::Data,
            &["train.csv:3: column \"a\"", cell, "is not a number"],
            "its [feature.NAME]",
        );
    }
}

#[test]
fn a_hostile_cell_is_printed_harmlessly() {
    let cell = format!("\x1b[2J{}", "x".repeat(10_000));
    numbers(format!("a,y\n{cell},p\n1,q\n")).refused(
        Exit::Data,
        &["train.csv:2", "\\u{1b}[2Jxxx", "…"],
        "correct the cell",
    );
    let feature = |r: &mut Room| r.data.features = vec![of_type("a\x07\nb", FeatureKind::Numeric)];
    let room = csv("\"a\x07\nb\",y\nz,p\n1,q\n").edit(feature);
    room.refused(Exit::Data, &["train.csv:3: column \"a\\u{7}\\nb\""], "correct the cell");
}

#[test]
fn blanks_that_are_not_among_the_texts_for_blank() {
    let missing = |r: &mut Room| r.data.missing = Some(texts(&["NA"]));
    let rows = "1,p\n2,q\n".repeat(10);
    csv(format!("a,y\n{rows},q\n")).edit(missing).refused(
        Exit::Data,
        &["train.csv:22: column \"a\": \"\" is not a number"],
        "add \"\"",
    );
    let empty = |r: &mut Room| r.data.missing = Some(texts(&[""]));
    csv(format!("a,y\n{rows}NA,q\n")).edit(empty).refused(
        Exit::Data,
        &["train.csv:22: column \"a\": \"NA\" is not a number"],
        "add \"NA\"",
    );
    let own = |r: &mut Room| {
        r.data.features =
            vec![Feature { missing: Some(vec![]), ..of_type("a", FeatureKind::Numeric) }]
    };
    csv("a,y\n1,p\n,q\n").edit(own).refused(
        Exit::Data,
        &["train.csv:3: column \"a\": \"\" is not a number"],
        "(missing)",
    );
}

#[test]
fn dates_that_are_none() {
    let feature = |r: &mut Room| r.data.features = vec![of_type("a", FeatureKind::Date)];
    for cell in [
        "2021-02-29",
        "1900-02-29",
        "2020-13-01",
        "2020-00-01",
        "2020-01-32",
        "20-01-01",
        "2020/01-02",
        "2020-01-02T25:00",
        "2020-01-02x",
        "2020-01-02 12:3",
        "2020-01-02 12:30:",
        "7",
    ] {
        let pieces = ["train.csv:3: column \"a\"", cell, "is not a date"];
        csv(format!("a,y\n2020-01-01,p\n{cell},q\n")).edit(feature).refused(
            Exit::Data,
            &pieces,
            "2020-01-31T12:30:00",
        );
    }
    let rows = "2020-01-01,p\n2020-01-02,q\n".repeat(10);
    let pieces = ["train.csv:22: column \"a\": \"2020-1-32\" is not a date"];
    csv(format!("a,y\n{rows}2020-1-32,p\n")).refused(
        Exit::Data,
        &pieces,
        "write dates as 2020-01-31",
    );
}

#[test]
fn settings_that_do_not_fit_the_type_of_a_column() {
    let with = |feature: Feature| {
        csv("a,b,c,y\n1,u,7,p\n2,v,8,q\n3,w,9,p\n").edit(|r| r.data.features = vec![feature])
    };
    let bare = Feature::new("a");
    let pieces = ["feature.a.max_values: has no effect", "of type numeric"];
    with(Feature { max_values: Some(3), ..bare.clone() }).refused(
        Exit::Config,
        &pieces,
        "type = \"category\"",
    );
    with(Feature { min_count: Some(3), ..bare.clone() }).refused(
        Exit::Config,
        &["feature.a.min_count"],
        "type = \"category\"",
    );
    with(Feature { slots: Some(3), ..bare.clone() }).refused(
        Exit::Config,
        &["feature.a.slots"],
        "type = \"text\"",
    );
    with(Feature { ngrams: Some(3), ..bare.clone() }).refused(
        Exit::Config,
        &["feature.a.ngrams"],
        "type = \"text\"",
    );
    with(Feature { buckets: Some(3), ..bare }).refused(
        Exit::Config,
        &["feature.a.buckets"],
        "type = \"text\"",
    );
    let pieces = ["feature.b.scale: has no effect", "of type category"];
    with(Feature { scale: Some(Scale::MinMax), ..Feature::new("b") }).refused(
        Exit::Config,
        &pieces,
        "type = \"numeric\"",
    );
    let pieces = ["feature.b.type", "holds 3 values, expected two: \"u\", \"v\", \"w\""];
    with(of_type("b", FeatureKind::Binary)).refused(Exit::Config, &pieces, "type = \"category\"");
}

#[test]
fn numbers_too_large() {
    let none = |r: &mut Room| {
        r.data.features = vec![Feature { scale: Some(Scale::None), ..Feature::new("a") }]
    };
    csv("a,y\n1,p\n1e39,q\n").edit(none).refused(
        Exit::Data,
        &["train.csv:3: column \"a\"", "1e39", "32-bit"],
        "unit",
    );
    csv("a,y\n1e308,p\n-1e308,q\n1e308,p\n").refused(
        Exit::Data,
        &["train.csv", "column \"a\"", "too large"],
        "unit",
    );
    csv("a,y\n1,p\n2,q\n").file("valid.csv", "a,y\n1e300,p\n").csv("valid", "valid.csv").refused(
        Exit::Data,
        &["valid.csv:2: column \"a\"", "1e300"],
        "unit",
    );
}

// ---- labels ----

#[test]
fn a_label_that_training_does_not_know() {
    let pieces = ["valid.csv:4: column \"y\": \"r\" is not a class of task \"y\""];
    csv("a,y\n1,p\n2,q\n")
        .file("valid.csv", "a,y\n1,p\n\n2,r\n")
        .csv("valid", "valid.csv")
        .refused(Exit::Data, &pieces, "\"p\", \"q\"");
    let pieces = ["test.csv:2: column \"y\": \"1.5\" is not a class"];
    csv("a,y\n1,1\n2,2\n").file("test.csv", "a,y\n1,1.5\n").csv("test", "test.csv").refused(
        Exit::Data,
        &pieces,
        "\"1\", \"2\"",
    );
}

#[test]
fn a_label_of_one_validation_row_alone() {
    let rows: String = (0..40)
        .map(|i| format!("{i},{}\n", if i == 7 { "rare" } else { ["p", "q"][i % 2] }))
        .collect();
    let seed = (0..)
        .find(|&seed| {
            tandem::data::split::shares::split(40, [0.5, 0.5, 0.0], seed).unwrap()[1].contains(&7)
        })
        .unwrap();
    let room = csv(format!("a,y\n{rows}"))
        .edit(|r| (r.data.split, r.data.split_seed) = (Some([0.5, 0.5, 0.0]), seed));
    room.refused(
        Exit::Data,
        &["train.csv:9: column \"y\": \"rare\" is not a class"],
        "the training part has the labels",
    );
}

#[test]
fn a_label_in_no_group() {
    let group = |name: &str, values: &[&str]| {
        (name.to_owned(), values.iter().map(|v| v.to_string()).collect::<Vec<_>>())
    };
    let groups = vec![group("even", &["0", "2"]), group("odd", &["1"])];
    let room = csv("a,y\n1,0\n2,3\n").edit(|r| r.tasks[0].groups = groups);
    room.refused(
        Exit::Data,
        &["train.csv:3: column \"y\": \"3\" is in no group of task \"y\""],
        "task.y.groups",
    );
}

#[test]
fn a_label_in_two_groups() {
    let groups = vec![
        ("even".to_owned(), vec!["0".to_owned(), "2".into()]),
        ("odd".into(), vec!["1".into(), "2".into()]),
    ];
    let room = csv("a,y\n1,0\n2,1\n").edit(|r| r.tasks[0].groups = groups);
    room.refused(
        Exit::Config,
        &["task.y.groups: the label \"2\" is in \"even\" and in \"odd\""],
        "one group",
    );
}

#[test]
fn fewer_than_two_classes() {
    csv("a,y\n1,p\n2,p\n").refused(
        Exit::Data,
        &["train.csv", "column \"y\"", "the one label \"p\""],
        "task.y",
    );
    let room =
        csv("a,y\n1,p\n").edit(|r| r.tasks[0].groups = vec![("all".into(), vec!["p".into()])]);
    room.refused(Exit::Config, &["task.y.groups", "one group"], "add a group");
}

/// A room with this `train.csv`, in which the task `y` has another type.
fn of_kind(kind: TaskKind, text: &str) -> Room {
    csv(text).edit(|room| room.tasks[0].kind = kind)
}

#[test]
fn a_task_without_a_label() {
    let pieces = ["train.csv: task \"y\" has no label: column \"y\" is blank in all 2 rows of \
                   the training part"];
    for kind in [
        TaskKind::Multiclass,
        TaskKind::Binary,
        TaskKind::Multilabel,
        TaskKind::Regression,
        TaskKind::Count,
    ] {
        of_kind(kind, "a,y\n1,\n2,\n").refused(Exit::Data, &pieces, "remove the task");
    }
    let two = |r: &mut Room| r.tasks[0].targets = texts(&["y", "z"]);
    let room = of_kind(TaskKind::Regression, "a,y,z\n1,,\n2,,\n").edit(two);
    room.refused(
        Exit::Data,
        &["task \"y\" has no label: columns \"y\", \"z\" are blank"],
        "missing of task.y",
    );
    let other = |r: &mut Room| r.data.missing = Some(texts(&["NA"]));
    csv("a,y\n1,NA\n2,NA\n").edit(other).refused(Exit::Data, &["has no label"], "target");
    let valid = |r: &mut Room| (r.data.split, r.data.split_seed) = (Some([0.5, 0.5, 0.0]), 1);
    let seven = tandem::data::split::shares::split(20, [0.5, 0.5, 0.0], 1).unwrap()[1][0];
    let rows: String =
        (0..20).map(|i| format!("{i},{}\n", if i == seven { "1" } else { "" })).collect();
    let pieces = ["task \"y\" has no label", "rows of the training part"];
    of_kind(TaskKind::Regression, &format!("a,y\n{rows}")).edit(valid).refused(
        Exit::Data,
        &pieces,
        "a larger training part",
    );
}

#[test]
fn a_binary_task_with_other_than_two_labels() {
    let pieces =
        ["train.csv", "column \"y\"", "holds 3 labels, a binary task has two: \"p\", \"q\", \"r\""];
    of_kind(TaskKind::Binary, "a,y\n1,p\n2,q\n3,r\n").refused(
        Exit::Data,
        &pieces,
        "positive = \"…\" (one label against the others) in task.y",
    );
    of_kind(TaskKind::Binary, "a,y\n1,p\n2,p\n3,\n").refused(
        Exit::Data,
        &["the one label \"p\""],
        "task.y",
    );
    let group = |name: &str, values: &[&str]| (name.to_owned(), texts(values));
    let three = vec![group("a", &["p"]), group("b", &["q"]), group("c", &["r"])];
    let room =
        of_kind(TaskKind::Binary, "a,y\n1,p\n2,q\n3,r\n").edit(|r| r.tasks[0].groups = three);
    room.refused(
        Exit::Config,
        &["task.y.groups: 3 groups, a binary task has two: \"a\", \"b\", \"c\""],
        "two groups",
    );
    let two = vec![group("a", &["p"]), group("b", &["q", "r"])];
    let room = of_kind(TaskKind::Binary, "a,y\n1,p\n2,q\n3,r\n");
    let room = room.edit(|r| (r.tasks[0].groups, r.tasks[0].positive) = (two, Some("p".into())));
    room.refused(
        Exit::Config,
        &["task.y.positive: \"p\" is none of the task's groups"],
        "\"a\", \"b\"",
    );
    let positive = |r: &mut Room| r.tasks[0].positive = Some("maybe".into());
    of_kind(TaskKind::Binary, "a,y\n1,p\n2,q\n3,r\n").edit(positive).refused(
        Exit::Data,
        &["holds 3 labels"],
        "multiclass",
    );
    let one = |r: &mut Room| r.tasks[0].positive = Some("p".into());
    let room = of_kind(TaskKind::Binary, "a,y\n1,p\n2,q\n3,r\n")
        .edit(one)
        .file("valid.csv", "a,y\n1,p\n2,s\n")
        .csv("valid", "valid.csv");
    room.refused(
        Exit::Data,
        &["valid.csv:3: column \"y\": \"s\" is in no group of task \"y\""],
        "task.y.groups",
    );
    let pieces = ["task.y.positive: \"maybe\" is no label of column \"y\""];
    of_kind(TaskKind::Binary, "a,y\n1,p\n2,q\n").edit(positive).refused(
        Exit::Config,
        &pieces,
        "\"p\", \"q\"",
    );
    let room = of_kind(TaskKind::Binary, "a,y\n1,p\n2,q\n")
        .file("valid.csv", "a,y\n1,p\n2,\n3,r\n")
        .csv("valid", "valid.csv");
    room.refused(
        Exit::Data,
        &["valid.csv:4: column \"y\": \"r\" is not a class of task \"y\""],
        "\"p\", \"q\"",
    );
}

#[test]
fn labels_that_are_not_what_the_task_needs() {
    let multilabel = |cell: &str| of_kind(TaskKind::Multilabel, &format!("a,y\n1,0\n2,{cell}\n"));
    for cell in ["2", "maybe", "-1", "0.5"] {
        let pieces =
            ["train.csv:3: column \"y\"", cell, "is neither yes nor no, as task \"y\" needs"];
        multilabel(cell).refused(Exit::Data, &pieces, "add it to missing in task.y");
    }
    let two = |r: &mut Room| r.tasks[0].targets = texts(&["y", "z"]);
    let room = of_kind(TaskKind::Multilabel, "a,y,z\n1,0,1\n2,1,x\n").edit(two);
    room.refused(Exit::Data, &["train.csv:3: column \"z\": \"x\" is neither"], "no or yes");
    let empty = |r: &mut Room| r.data.missing = Some(texts(&[""]));
    for cell in ["x", "NA", "nan", "inf", "1e999", "1 2"] {
        let pieces =
            ["train.csv:3: column \"y\"", cell, "is not a finite number, as task \"y\" needs"];
        of_kind(TaskKind::Regression, &format!("a,y\n1,0\n2,{cell}\n")).edit(empty).refused(
            Exit::Data,
            &pieces,
            "add it to missing in task.y",
        );
    }
    for cell in ["-1", "1.5", "x", "nan", "1e30"] {
        let pieces = ["train.csv:3: column \"y\"", cell, "is not a count, as task \"y\" needs"];
        let room = of_kind(TaskKind::Count, &format!("a,y\n1,0\n2,{cell}\n")).edit(empty);
        room.refused(Exit::Data, &pieces, "a whole number from 0");
    }
    let room = of_kind(TaskKind::Count, "a,y\n1,0\n2,1\n")
        .file("test.csv", "a,y\n1,2\n\n1,two\n")
        .csv("test", "test.csv");
    room.refused(Exit::Data, &["test.csv:4: column \"y\": \"two\" is not a count"], "whole number");
    let room = of_kind(TaskKind::Regression, "a,y\n1,0\n2,1\n")
        .file("valid.csv", "a,y\n1,1e300\n")
        .csv("valid", "valid.csv");
    room.refused(
        Exit::Data,
        &["valid.csv:2: column \"y\": \"1e300\" is too large for task \"y\" after scaling"],
        "correct",
    );
    let pieces = ["train.csv", "column \"y\"", "too large, or too close to each other"];
    of_kind(TaskKind::Regression, "a,y\n1,1e308\n2,-1e308\n3,1e308\n").refused(
        Exit::Data,
        &pieces,
        "unit",
    );
}

// ---- columns that say something of rows ----

#[test]
fn weights_that_are_none() {
    let weight = |r: &mut Room| r.data.row_weight = Some("w".into());
    for cell in ["-1", "", "x", "nan", "inf", "1e300"] {
        let pieces = [
            "train.csv:3: column \"w\"",
            cell,
            "is no weight, expected a finite number, 0 or above",
        ];
        csv(format!("a,w,y\n1,1,p\n2,{cell},q\n")).edit(weight).refused(
            Exit::Data,
            &pieces,
            "every row needs a weight",
        );
    }
    let room = csv("a,w,y\n1,0,p\n2,-0,q\n").edit(weight);
    room.refused(
        Exit::Data,
        &["train.csv: column \"w\" of the training part holds no weight above 0"],
        "a weight above 0",
    );
    csv("a,ww,y\n1,1,p\n2,1,q\n").edit(weight).refused(
        Exit::Config,
        &["data.row_weight: there is no column \"w\""],
        "did you mean \"ww\"?",
    );
    let room = csv("a,w,y\n1,1,p\n2,1,q\n")
        .edit(weight)
        .file("valid.csv", "a,y\n1,p\n")
        .csv("valid", "valid.csv");
    room.refused(Exit::Data, &["valid.csv: column missing: \"w\""], "\"a\", \"y\"");
    let feature = |r: &mut Room| r.data.features = vec![Feature::new("w")];
    let room = csv("a,w,y\n1,1,p\n2,1,q\n").edit(weight).edit(feature);
    room.refused(Exit::Config, &["feature.w", "no feature"], "remove this table");
}

#[test]
fn split_columns_that_name_no_part() {
    let by_column = |r: &mut Room| r.data.split_column = Some("s".into());
    for cell in ["", "Train", "validation", "1"] {
        let pieces = ["train.csv:3: column \"s\"", cell, "names no part"];
        csv(format!("a,s,y\n1,train,p\n2,{cell},q\n")).edit(by_column).refused(
            Exit::Data,
            &pieces,
            "write train, valid or test",
        );
    }
    let room = csv("a,s,y\n1,test,p\n2,valid,q\n").edit(by_column);
    room.refused(
        Exit::Config,
        &["data.split_column: no row says train in column \"s\""],
        "write train",
    );
    csv("a,y\n1,p\n2,q\n").edit(by_column).refused(
        Exit::Config,
        &["data.split_column: there is no column \"s\""],
        "columns are",
    );
}

#[test]
fn groups_that_are_blank_or_too_few() {
    let grouped =
        |r: &mut Room| (r.data.group, r.data.split) = (Some("g".into()), Some([0.5, 0.5, 0.0]));
    let room = csv("a,g,y\n1,u,p\n2,,q\n").edit(grouped);
    room.refused(Exit::Data, &["train.csv:3: column \"g\": the group is blank"], "fill the cell");
    let room = csv("a,g,y\n1,u,p\n2,u,q\n3,u,q\n").edit(grouped);
    room.refused(Exit::Config, &["data.split: the", "part is empty"], "larger share");
    csv("a,y\n1,p\n2,q\n").edit(grouped).refused(
        Exit::Config,
        &["data.group: there is no column \"g\""],
        "columns are",
    );
}

#[test]
fn tables_of_several_files_that_do_not_fit_together() {
    let both = |r: &mut Room| {
        r.data.train =
            Source::Table(vec![r.dir.path().join("train.csv"), r.dir.path().join("more.csv")])
    };
    csv("a,y\n1,p\n2,q\n").edit(both).refused(
        Exit::NoInput,
        &["more.csv", "cannot be opened"],
        "check the path",
    );
    csv("a,y\n1,p\n").file("more.csv", "a,z\n1,p\n").edit(both).refused(
        Exit::Data,
        &["more.csv", "\"z\""],
        "same columns",
    );
    csv("a,y\n1,p\n").file("more.csv", "a,b,y\n1,p,2\n").edit(both).refused(
        Exit::Data,
        &["more.csv"],
        "same columns",
    );
    let slip = format!("a,y\n{}", "1,q\n2,p\n".repeat(10));
    csv(slip).file("more.csv", "a,y\n7,q\nx,q\n").edit(both).refused(
        Exit::Data,
        &["more.csv:3: column \"a\": \"x\" is not a number"],
        "correct the cell",
    );
    let pattern = |r: &mut Room| r.data.train = table(r.dir.path().join("part-*.csv"));
    room().edit(pattern).refused(
        Exit::NoInput,
        &["part-*.csv", "no file matches"],
        "check folder and pattern",
    );
}

// ---- parts ----

#[test]
fn an_empty_part() {
    let room = csv("a,y\n1,p\n2,q\n3,p\n").edit(|r| r.data.split = Some([0.98, 0.01, 0.01]));
    room.refused(
        Exit::Config,
        &["data.split: the valid part is empty", "none of 3 rows", "0.01"],
        "larger share",
    );
}

#[test]
fn a_validation_file_without_a_column() {
    let pieces = ["valid.csv", "2 columns missing: \"height\", \"weight\""];
    let room = csv("age,height,weight,y\n1,1,1,p\n2,2,2,q\n")
        .file("valid.csv", "age,heigth,y\n1,1,p\n")
        .csv("valid", "valid.csv");
    room.refused(Exit::Data, &pieces, "\"heigth\"; is that \"height\"?");
}

#[test]
fn parts_of_different_kinds() {
    let room = csv("a,y\n1,p\n2,q\n").edit(|r| r.data.valid = Some(source(r.dir.path())));
    room.refused(Exit::Config, &["data.valid", "a table"], "one format");
    let room = room_of_images().csv("test", "test.csv");
    room.refused(Exit::Config, &["data.test", "images"], "one format");
}

#[test]
fn keys_that_do_not_fit_the_source() {
    let overlay = |r: &mut Room| r.data.overlay = Some(Overlay { shift: 1, seed: 0 });
    csv("a,y\n1,p\n").edit(overlay).refused(Exit::Config, &["data.overlay"], "IDX");
    room_of_images().edit(|r| r.data.ignore = vec!["a".into()]).refused(
        Exit::Config,
        &["data.ignore", "no columns"],
        "remove",
    );
    let feature = |r: &mut Room| {
        r.data.features = vec![Feature { scale: Some(Scale::None), ..Feature::new("a") }]
    };
    room_of_images().edit(feature).refused(Exit::Config, &["feature.a", "no columns"], "remove");
    room().edit(built_in).edit(overlay).refused(
        Exit::Config,
        &["data.overlay", "built-in"],
        "remove",
    );
    room().edit(built_in).csv("valid", "v.csv").refused(
        Exit::Config,
        &["data.valid", "built-in"],
        "remove",
    );
}

fn built_in(room: &mut Room) {
    room.data.train = Source::BuiltIn("digits-overlay".into());
}

// ---- IDX ----

/// Two images of one pixel, labels 0 and 1.
fn room_of_images() -> Room {
    room().idx(idx(&[2, 1, 1], &[5, 6]), idx(&[2], &[0, 1]))
}

/// A room with these images and two good labels.
fn images(bytes: impl Into<Vec<u8>>) -> Room {
    room().idx(bytes.into(), idx(&[2], &[0, 1]))
}

#[test]
fn sizes_that_a_tiny_file_cannot_hold() {
    let huge = 1 << 31;
    images(idx(&[huge, huge, huge], &[1, 2])).refused(
        Exit::Data,
        &["images", "[2147483648, 2147483648, 2147483648]", "the file holds 2"],
        "IDX",
    );
    images(idx(&[u32::MAX, 1, 1], &[])).refused(
        Exit::Data,
        &["images", "4294967295 values, the file holds 0"],
        "IDX",
    );
    // The product is 2^64: in 64 bits it wraps to 0.
    images(idx(&[1 << 22, 1 << 21, 1 << 21], &[])).refused(
        Exit::Data,
        &["18446744073709551616 values, the file holds 0"],
        "IDX",
    );
    room().idx(idx(&[2, 1, 1], &[1, 2]), idx(&[huge], &[0])).refused(
        Exit::Data,
        &["labels", "2147483648 values, the file holds 1"],
        "IDX",
    );
}

#[test]
fn idx_files_too_short_or_too_long() {
    images(idx(&[2, 1, 1], &[1])).refused(
        Exit::Data,
        &["images", "[2, 1, 1] = 2 values, the file holds 1"],
        "IDX",
    );
    images(idx(&[2, 1, 1], &[1, 2, 3])).refused(Exit::Data, &["images", "the file holds 3"], "IDX");
    for length in 0..16 {
        images(&idx(&[2, 1, 1], &[])[..length]).refused(
            Exit::Data,
            &["images", "expected 16 or more"][..if length < 4 { 1 } else { 2 }],
            "IDX",
        );
    }
}

#[test]
fn files_that_are_not_idx() {
    images("a,y\n1,p\n").refused(
        Exit::Data,
        &["images: not an IDX file: 8 bytes that begin [61, 2C, 79, 0A]"],
        "MNIST",
    );
    images("").refused(Exit::Data, &["images: not an IDX file: 0 bytes"], "MNIST");
    images([&[0, 0, 0x0d, 3][..], &[0; 12]].concat()).refused(
        Exit::Data,
        &["IDX type 0x0D, expected 0x08"],
        "u8",
    );
    images([&[0, 0, 8, 255][..], &[0; 64]].concat()).refused(
        Exit::Data,
        &["255 dimensions, expected 3 for images"],
        "IDX",
    );
}

#[test]
fn images_and_labels_swapped() {
    let room = room().idx(idx(&[2], &[0, 1]), idx(&[2, 1, 1], &[5, 6]));
    room.refused(Exit::Data, &["images: 1 dimensions, expected 3", "swapped?"], "IDX");
}

#[test]
fn images_of_no_size() {
    images(idx(&[0, 28, 28], &[])).refused(
        Exit::Data,
        &["images: no images", "[0, 28, 28]"],
        "IDX",
    );
    images(idx(&[2, 0, 28], &[])).refused(Exit::Data, &["no images"], "IDX");
}

#[test]
fn another_number_of_labels_than_of_images() {
    images(idx(&[1, 1, 1], &[1])).refused(
        Exit::Data,
        &["labels: 2 labels for 1 images", "images"],
        "same part",
    );
    images(idx(&[3, 1, 1], &[1, 2, 3])).refused(
        Exit::Data,
        &["labels: 2 labels for 3 images", "images"],
        "same part",
    );
}

#[test]
fn a_label_byte_that_training_does_not_know() {
    let test = |r: &mut Room| {
        r.data.test = Some(Source::Idx {
            images: r.dir.path().join("images"),
            labels: r.dir.path().join("other"),
        })
    };
    let room = room_of_images().file("other", idx(&[2], &[0, 9])).edit(test);
    room.refused(
        Exit::Data,
        &["other: label 1: \"9\" is not a class of task \"y\""],
        "\"0\", \"1\"",
    );
}

#[test]
fn images_of_another_size() {
    let test = |r: &mut Room| {
        r.data.test = Some(Source::Idx {
            images: r.dir.path().join("other"),
            labels: r.dir.path().join("labels"),
        })
    };
    let room = room_of_images().file("other", idx(&[2, 2, 2], &[0; 8])).edit(test);
    room.refused(
        Exit::Data,
        &["other", "2 × 2 pixels, the training images have 1 × 1"],
        "same size",
    );
}

#[test]
fn impossible_overlays_are_refused() {
    let shift = |shift| move |r: &mut Room| r.data.overlay = Some(Overlay { shift, seed: 0 });
    room_of_images().edit(shift(2)).refused(
        Exit::Config,
        &["data.overlay.shift: 2 pixels, the images have 1 × 1"],
        "0 to 1",
    );
    room_of_images().edit(shift(usize::MAX)).refused(
        Exit::Config,
        &["data.overlay.shift"],
        "0 to 1",
    );
    room_of_images().edit(shift(1)).refused(
        Exit::Config,
        &["task.y.target: \"y\" is not a label of overlaid images"],
        "\"left\"",
    );
    room().edit(built_in).refused(Exit::Config, &["task.y.target"], "\"right\"");
}

#[test]
fn a_built_in_set_that_is_not_there() {
    let room = room().edit(|r| r.data.train = Source::BuiltIn("digits".into()));
    room.refused(Exit::Config, &["data.train", "no built-in set \"digits\""], "digits-overlay");
}

// ---- evaluate and predict ----

#[test]
fn data_that_does_not_fit_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new.csv");
    let path = path.to_str().unwrap();
    let with =
        |schema: &Schema, text: &str, labelled| load_with(schema, text, labelled).map(|_| ());
    let schema = Schema::for_arrays(2, &[("y", &["p", "q"])]);

    std::fs::write(path, "x0,X1,y\n1,2,p\n").unwrap();
    check(
        with(&schema, path, true),
        Exit::Data,
        &["new.csv: column missing: \"x1\""],
        "\"X1\"; is that \"x1\"?",
    );
    std::fs::write(path, "x0,x1\n1,2\n").unwrap();
    check(
        with(&schema, path, true),
        Exit::Data,
        &["new.csv: column missing: \"y\""],
        "\"x0\", \"x1\"",
    );
    std::fs::write(path, "x0,x1,y\n1,2,r\n").unwrap();
    check(
        with(&schema, path, true),
        Exit::Data,
        &["new.csv:2: column \"y\": \"r\""],
        "\"p\", \"q\"",
    );
    std::fs::write(path, "x0,x1\n1,?\n").unwrap();
    check(
        with(&schema, path, false),
        Exit::Data,
        &["new.csv:2: column \"x1\": \"?\" is not a number"],
        "correct",
    );
    check(
        with(&schema, "digits-overlay:test", false),
        Exit::Data,
        &["digits-overlay", "trained on columns of a table"],
        "kind",
    );

    let image = Schema::new(digits::input(), Vec::new());
    check(with(&image, path, false), Exit::Data, &["new.csv: not an IDX file"], "IDX");
    check(
        with(&image, path, true),
        Exit::Usage,
        &["--data", "labels are missing"],
        "IMAGES,LABELS",
    );
    check(
        with(&image, "digits-overlay:all", true),
        Exit::Usage,
        &["digits-overlay:all"],
        "digits-overlay:test",
    );
    let other = Input::grey(28, 28, 1.0, None);
    let other = Schema::new(other, Vec::new());
    check(
        with(&other, "digits-overlay:test", true),
        Exit::Data,
        &["digits-overlay", "other images"],
        "IMAGES,LABELS",
    );
    check(with(&schema, "no such file", false), Exit::NoInput, &["no such file"], "path");
}

#[test]
fn a_schema_that_contradicts_itself() {
    let good = || Schema::for_arrays(2, &[("y", &["p", "q"])]);
    good().check("schema.json").unwrap();
    let bad = |edit: fn(&mut Schema), piece: &str| {
        let mut schema = good();
        edit(&mut schema);
        check(schema.check("schema.json"), Exit::Data, &["schema.json", piece], "training wrote");
    };
    fn columns(schema: &mut Schema) -> &mut Vec<Column> {
        let Input::Columns { columns } = &mut schema.input else { panic!() };
        columns
    }
    fn image(height: usize, shift: usize) -> Input {
        Input::grey(height, 1 << 40, 1.0, Some((shift, 0)))
    }
    bad(|s| columns(s).clear(), "no feature columns");
    bad(|s| columns(s)[1].name = "x0".into(), "column \"x0\" is there twice");
    fn numeric(offset: f64, factor: f64) -> Encoding {
        Encoding::Numeric {
            scale: Scale::None,
            offset,
            factor,
            indicator: false,
            blank: 0.0,
            range: None,
            notation: Default::default(),
            truth: false,
        }
    }
    bad(|s| columns(s)[0].encoding = numeric(0.0, f64::INFINITY), "not finite");
    bad(|s| columns(s)[0].encoding = numeric(f64::NAN, 1.0), "not finite");
    fn first(schema: &mut Schema) -> &mut Encoding {
        &mut columns(schema)[0].encoding
    }
    fn words(buckets: usize, slots: usize, ngrams: usize, scale: f32) -> Encoding {
        Encoding::Text { buckets, slots, ngrams, scale, embed: 0, words: Vec::new() }
    }
    fn kind(schema: &mut Schema, kind: TaskKind) -> &mut Target {
        schema.targets[0].kind = kind;
        &mut schema.targets[0]
    }
    bad(|s| *first(s) = words(0, 1, 0, 1.0), "column \"x0\": 0 buckets");
    bad(|s| *first(s) = words(usize::MAX, 1, 0, 1.0), "expected at most 1048576");
    bad(|s| *first(s) = words(1, 5000, 0, 1.0), "5000 slots");
    bad(|s| *first(s) = words(1, 1, 17, 1.0), "n-grams of 17");
    bad(|s| *first(s) = words(1, 1, 1, f32::INFINITY), "scale inf");
    bad(
        |s| {
            *first(s) =
                Encoding::Category { values: texts(&["a", "b", "a"]), blank: true, embed: 0 }
        },
        "column \"x0\": the value \"a\" stands twice",
    );
    bad(
        |s| {
            *first(s) =
                Encoding::Binary { values: ["a".into(), "a".into()], mean: 0.5, indicator: false }
        },
        "the value \"a\" stands twice",
    );
    bad(
        |s| {
            *first(s) = Encoding::Binary {
                values: ["a".into(), "b".into()],
                mean: f64::NAN,
                indicator: false,
            }
        },
        "a mean of NaN",
    );
    bad(
        |s| {
            *first(s) = Encoding::Date {
                offset: f64::NAN,
                factor: 1.0,
                time: true,
                indicator: false,
                order: Default::default(),
                range: None,
            }
        },
        "not finite",
    );
    bad(|s| s.targets[0].columns.clear(), "0 columns for a task of type multiclass");
    bad(|s| s.targets[0].columns.push("z".into()), "2 columns for a task of type multiclass");
    bad(|s| kind(s, TaskKind::Binary).classes.push("r".into()), "3 classes, expected two");
    bad(
        |s| kind(s, TaskKind::Regression).groups.clear(),
        "2 classes for a task of type regression",
    );
    bad(|s| kind(s, TaskKind::Regression).classes.clear(), "0 scales, expected 1");
    bad(|s| s.targets[0].scales.push(Scaling { offset: 0.0, factor: 1.0 }), "1 scales, expected 0");
    fn scaled(schema: &mut Schema, offset: f64, factor: f64) {
        kind(schema, TaskKind::Regression).classes.clear();
        schema.targets[0].scales = vec![Scaling { offset, factor }];
    }
    bad(|s| scaled(s, 0.0, 0.0), "a factor of 0");
    bad(|s| scaled(s, f64::INFINITY, 1.0), "not finite");
    bad(|s| s.targets[0].classes.truncate(1), "1 classes");
    bad(|s| s.targets[0].classes[1] = "p".into(), "class \"p\" is there twice");
    bad(|s| s.targets[0].groups = vec![vec!["1".into()]], "1 groups for 2 classes");
    bad(|s| s.targets.push(s.targets[0].clone()), "task \"y\" is there twice");
    bad(|s| s.input = image(1 << 40, 0), "not possible");
    bad(|s| s.input = image(100, 51), "shift of 51");
    bad(|s| s.input = image(0, 0), "not possible");
}

#[test]
fn arrays_that_do_not_fit() {
    let made = |width, features: usize, labels: &[usize]| {
        Dataset::from_arrays(
            width,
            vec![0.0; features],
            labels.iter().map(|&n| vec![0; n]).collect(),
        )
        .map(|_| ())
    };
    made(3, 6, &[2, 2]).unwrap();
    check(made(0, 6, &[]), Exit::Data, &["features: 6 values", "rows of 0"], "rows × width");
    check(made(4, 6, &[]), Exit::Data, &["features: 6 values", "rows of 4"], "rows × width");
    check(made(4, 0, &[]), Exit::Data, &["features: 0 values"], "rows × width");
    check(
        made(3, 6, &[2, 3]),
        Exit::Data,
        &["labels of task 1: 3 labels for 2 rows"],
        "one label per row",
    );

    let dataset = |width, labels| Dataset::from_arrays(width, vec![0.0; width], labels).unwrap();
    let parts = |part| {
        Parts::new(
            Schema::for_arrays(2, &[("y", &["p", "q"])]),
            dataset(2, vec![vec![0]]),
            Some(part),
            None,
        )
        .map(|_| ())
    };
    check(
        parts(dataset(3, vec![vec![0]])),
        Exit::Data,
        &["valid part: 3 features a row, the schema has 2"],
        "agree",
    );
    check(
        parts(dataset(2, vec![])),
        Exit::Data,
        &["valid part: 0 label columns, the schema has 1"],
        "agree",
    );
    check(
        parts(dataset(2, vec![vec![2]])),
        Exit::Data,
        &["valid part: label 2 of task \"y\", which has 2 classes"],
        "agree",
    );
}

// ---- anything ----

const ODD: &[u8] = b",;\"\n\r\0\xff\xef19e.-xNai\t";

/// Overwrites, removes or inserts a few bytes, which depend on `round` only.
fn mutated(bytes: &[u8], round: u64) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let draw =
        |n: usize, i: u64| rng::below(n as u64, 0, rng::Purpose::Synthetic, round, i) as usize;
    for i in 0..=draw(4, 0) as u64 {
        let (at, value) = (draw(bytes.len(), 3 * i + 1), ODD[draw(ODD.len(), 3 * i + 2)]);
        match draw(3, 3 * i + 3) {
            0 => bytes[at] = value,
            1 => bytes.insert(at, value),
            _ => drop(bytes.remove(at)),
        }
    }
    bytes
}

/// Damaged tables with columns and tasks of every type are read or refused.
#[test]
fn mutated_tables_of_all_types_are_read_or_refused() {
    let mut text = String::from("n,d,b,c,w,weight,part,m,r,k,e\n");
    for i in 0..12 {
        let (day, part) = (1 + i % 28, ["train", "train", "valid"][i % 3]);
        let blank = if i % 4 == 0 { "" } else { "7" };
        text += &format!(
            "{blank},2020-01-{day:02}T10:00,{},c{},some words \
             {i},{i},{part},{},{i}.5,{blank},x{}\n",
            ["u", "v"][i % 2],
            i % 3,
            i % 2,
            i % 2
        );
    }
    let tasks: Vec<Task> = [
        ("m", TaskKind::Multilabel),
        ("r", TaskKind::Regression),
        ("k", TaskKind::Count),
        ("e", TaskKind::Binary),
    ]
    .into_iter()
    .map(|(name, kind)| Task { kind, ..task(name) })
    .collect();
    let features = [
        ("d", FeatureKind::Date),
        ("c", FeatureKind::Category),
        ("w", FeatureKind::Text),
        ("n", FeatureKind::Numeric),
    ];
    let (mut read, mut refused) = (0, 0);
    for round in 0..1500 {
        let room = csv(mutated(text.as_bytes(), round)).edit(|r| {
            r.tasks = tasks.clone();
            (r.data.split_column, r.data.row_weight) = (Some("part".into()), Some("weight".into()));
            r.data.features = features.map(|(name, kind)| of_type(name, kind)).into();
        });
        match load(&room.data, &room.tasks) {
            Ok(parts) => {
                read += 1;
                parts.schema.check("schema").unwrap();
                Parts::new(parts.schema.clone(), (*parts.train).clone(), None, None).unwrap();
            }
            Err(error) => {
                refused += 1;
                let fault = error
                    .downcast_ref::<Fault>()
                    .unwrap_or_else(|| panic!("round {round}: no fault: {error:#}"));
                assert!(
                    matches!(fault.exit, Exit::Data | Exit::Config) && fault.hint.is_some(),
                    "round {round}: {fault}"
                );
            }
        }
    }
    assert!(
        read > 100 && refused > 500,
        "{read} read, {refused} refused: the mutations say nothing"
    );
}

/// A damaged file is either read, or refused with a code, a message and a hint.
#[test]
fn mutated_files_are_read_or_refused() {
    let text = b"\xef\xbb\xbfage,\"b\",y\r\n1,2.5,p\n3,\"4e1\",\"q\nr\"\n\n-5,6,p\n";
    let (mut read, mut refused) = (0, 0);
    for round in 0..3000 {
        let bytes = match round % 3 {
            0 => mutated(text, round),
            1 => gzip(&mutated(text, round)),
            _ => mutated(&gzip(text), round),
        };
        let pixels = mutated(&idx(&[4, 2, 3], &[7; 24]), round);
        let images = room().idx(pixels, mutated(&idx(&[4], &[0, 1, 0, 1]), round * 2 + 1));
        for room in [csv(bytes), images] {
            match load(&room.data, &room.tasks) {
                Ok(_) => read += 1,
                Err(error) => {
                    refused += 1;
                    let fault = error
                        .downcast_ref::<Fault>()
                        .unwrap_or_else(|| panic!("round {round}: no fault: {error:#}"));
                    assert!(
                        matches!(fault.exit, Exit::Data | Exit::Config) && fault.hint.is_some(),
                        "round {round}: {fault}"
                    );
                }
            }
        }
    }
    assert!(
        read > 100 && refused > 1000,
        "{read} read, {refused} refused: the mutations say nothing"
    );
}
