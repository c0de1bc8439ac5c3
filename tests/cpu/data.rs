//! The module `data`: how data is read, scaled, split, ordered and overlaid. Expected numbers are
//! computed by hand or, for the built-in digits, by a separate program from the same source file.

use std::io::Write;
use std::path::{Path, PathBuf};

use tandem::config::{Data, Embed, Feature, FeatureKind, Overlay, Scale, Source, Task, TaskKind};
use tandem::data::images::{digits, overlay};
use tandem::data::load::door::{DataArgument, load, load_with, parse_data_argument};
use tandem::data::look::summary::label_summary;
use tandem::data::split::{order, shares};
use tandem::data::value::dates;
use tandem::data::value::words::Hashing;
use tandem::data::{
    Column, Dataset, Encoding, Features, Input, NO_CODE, Part, Parts, Schema, Target, UNLABELLED,
};
use tandem::fault::exit_of;

fn write(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn data(train: Source) -> Data {
    Data::new(train)
}

fn table(path: PathBuf) -> Source {
    Source::Table(vec![path])
}

fn task(name: &str, target: &str) -> Task {
    Task { targets: vec![target.into()], ..Task::multiclass(name) }
}

fn groups(groups: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    groups
        .iter()
        .map(|(name, values)| (name.to_string(), values.iter().map(|v| v.to_string()).collect()))
        .collect()
}

/// A column whose numbers are not moved into the range of the training part.
fn unheld(name: &str) -> Feature {
    Feature { clip: Some(0.0), ..Feature::new(name) }
}

fn csv_parts(text: &str, edit: impl FnOnce(&mut Data), tasks: &[Task]) -> Parts {
    let dir = tempfile::tempdir().unwrap();
    let mut data = data(table(write(dir.path(), "train.csv", text)));
    edit(&mut data);
    load(&data, tasks).unwrap()
}

fn columns_of(parts: &Parts) -> &[Column] {
    let Input::Columns { columns } = &parts.schema.input else { panic!("images") };
    columns
}

fn names(parts: &Parts) -> Vec<&str> {
    columns_of(parts).iter().map(|column| column.name.as_str()).collect()
}

fn floats(dataset: &Dataset) -> &[f32] {
    match &dataset.features {
        Features::F32(values) => values,
        other => panic!("expected f32 features, found {other:?}"),
    }
}

fn bytes(dataset: &Dataset) -> &[u8] {
    match &dataset.features {
        Features::U8 { values, .. } => values,
        other => panic!("expected u8 features, found {other:?}"),
    }
}

fn close(found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(expected) {
        assert!((f64::from(*f) - e).abs() < 1e-6, "{found:?} is not {expected:?}");
    }
}

fn idx(dims: &[u32], values: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dims.len() as u8];
    file.extend(dims.iter().flat_map(|d| d.to_be_bytes()));
    file.extend(values);
    file
}

// ---- CSV ----

#[test]
fn columns_are_scaled_as_worked_out_by_hand() {
    // 1 2 3 4 10: mean 4, population variance 10; range 9; median 3, quartiles 2 and 4.
    let text = "a,b,c,d,y\n1,1,1,1,p\n2,2,2,2,q\n3,3,3,3,p\n4,4,4,4,q\n10,10,10,10,p\n";
    let scale = |column: &str, scale| Feature { scale: Some(scale), ..Feature::new(column) };
    let edit = |data: &mut Data| {
        data.features =
            vec![scale("b", Scale::MinMax), scale("c", Scale::Robust), scale("d", Scale::None)]
    };
    let parts = csv_parts(text, edit, &[task("y", "y")]);
    let s = 10f64.sqrt();
    let expected: Vec<f64> = [1.0, 2.0, 3.0, 4.0, 10.0]
        .iter()
        .flat_map(|x| [(x - 4.0) / s, (x - 1.0) / 9.0, (x - 3.0) / 2.0, *x])
        .collect();
    close(floats(&parts.train), &expected);
    assert_eq!(parts.train.labels, [[0, 1, 0, 1, 0]]);
    assert!(parts.valid.is_none() && parts.test.is_none() && parts.train.table.is_none());
}

#[test]
fn quartiles_lie_between_values() {
    // 1 2 3 4: quartiles 1.75 and 3.25, median 2.5.
    let edit = |data: &mut Data| {
        data.features = vec![Feature { scale: Some(Scale::Robust), ..Feature::new("a") }]
    };
    let parts = csv_parts("a,y\n4,p\n1,q\n3,p\n2,q\n", edit, &[task("y", "y")]);
    close(floats(&parts.train), &[1.0, -1.0, 1.0 / 3.0, -1.0 / 3.0]);
}

#[test]
fn constant_and_blank_columns_are_dropped_with_a_notice() {
    let text: String = (0..10).map(|i| format!("0.1,,x,2020-01-31,{i},{i}\n")).collect();
    let parts = csv_parts(&format!("a,b,c,d,e,y\n{text}"), |_| (), &[task("y", "y")]);
    assert_eq!(names(&parts), ["e"]);
    let expected = [
        "column \"a\" holds \"0.1\" in every row of the training part: it is dropped",
        "column \"b\" is blank in every row of the training part: it is dropped",
        "column \"c\" holds \"x\" in every row of the training part: it is dropped",
        "column \"d\" holds one date in every row of the training part: it is dropped",
    ];
    assert_eq!(parts.notices, expected);
}

#[test]
fn a_column_of_one_number_and_blanks_says_where_it_is_blank() {
    let text: String =
        (0..10).map(|i| format!("{},{i}\n", if i % 2 == 0 { "0.1" } else { "" })).collect();
    for scale in [Scale::Standard, Scale::MinMax, Scale::Robust] {
        let edit = |data: &mut Data| {
            data.features = vec![Feature { scale: Some(scale), ..Feature::new("a") }]
        };
        let parts = csv_parts(&format!("a,y\n{text}"), edit, &[task("y", "y")]);
        // Rounding errors must not give a constant column of 0.1 a spread.
        assert_eq!(floats(&parts.train), [0.0, 0.0, 0.0, 1.0].repeat(5));
        assert_eq!(
            columns_of(&parts)[0].encoding,
            Encoding::Numeric {
                scale,
                offset: 0.1,
                factor: 0.0,
                indicator: true,
                blank: 0.0,
                range: None,
                notation: Default::default(),
                truth: false
            }
        );
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), "new.csv", "a\n-1e308\n");
        let later = load_with(&parts.schema, path.to_str().unwrap(), false).unwrap().0;
        assert_eq!(floats(&later), [0.0, 0.0], "what was constant stays zero in later files");
    }
}

#[test]
fn scaling_and_classes_come_from_the_training_part_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut data = data(table(write(dir.path(), "train.csv", "a,y\n0,no\n2,yes\n")));
    data.valid = Some(table(write(dir.path(), "valid.csv", "y,extra,a\nyes,x,100\n")));
    data.test = Some(table(write(dir.path(), "test.csv.gz", gzip(b"a,y\n-1,no\n"))));
    let parts = load(&data, &[task("t", "y")]).unwrap();
    let (valid, test) = (parts.valid.unwrap(), parts.test.unwrap());
    // 98 and 1 standard deviations beyond the ends, moved to within two of them: 2 · 98 / (2 + 98)
    // and 2 · 1 / (2 + 1).
    close(floats(&valid), &[1.0 + 1.96]);
    close(floats(&test), &[-1.0 - 2.0 / 3.0]);
    assert_eq!((&valid.labels[0], &test.labels[0]), (&vec![1], &vec![0]));
    assert_eq!(parts.schema.targets[0].classes, ["no", "yes"]);
    let packed =
        blake3::hash(&std::fs::read(dir.path().join("test.csv.gz")).unwrap()).to_hex().to_string();
    assert_eq!(parts.hashes.len(), 3);
    assert!(parts.hashes[2].0.ends_with("test.csv.gz") && parts.hashes[2].1 == packed);
}

#[test]
fn classes_are_sorted_by_number_or_by_text_and_count_as_written() {
    let classes =
        |text: &str| csv_parts(text, |_| (), &[task("y", "y")]).schema.targets[0].classes.clone();
    assert_eq!(classes("a,y\n0,10\n1,9\n2,-1\n3,1.0\n4,1\n"), ["-1", "1", "9", "10"]);
    assert_eq!(classes("a,y\n0,10\n1,9\n2,x\n"), ["10", "9", "x"]);
    // "inf" is a word here, not a number, and "nan" means that there is no label.
    assert_eq!(classes("a,y\n0,nan\n1,inf\n2,10\n3,9\n"), ["10", "9", "inf"]);
}

#[test]
fn groups_keep_the_order_of_the_configuration() {
    let mut parity = task("parity", "digit");
    parity.groups = groups(&[("odd", &["1", "3"]), ("even", &["0", "2"])]);
    let parts =
        csv_parts("a,digit\n0,0\n1,1\n2,2\n3,3\n", |_| (), &[parity, task("digit", "digit")]);
    assert_eq!(parts.train.labels, [[1, 0, 1, 0], [0, 1, 2, 3]]);
    assert_eq!(parts.schema.targets[0].classes, ["odd", "even"]);
    assert_eq!(parts.schema.targets[0].groups, [["1", "3"], ["0", "2"]]);
}

#[test]
fn ignored_columns_and_targets_are_no_features() {
    let edit = |data: &mut Data| data.ignore = vec!["id".into()];
    let parts =
        csv_parts("id,a,y,z\nx1,0,0,1\nx2,1,1,0\n", edit, &[task("y", "y"), task("z", "z")]);
    assert_eq!(names(&parts), ["a"]);
    assert_eq!(parts.schema.input.width(), 1);
}

#[test]
fn csv_dialects_read_the_same() {
    let expected = csv_parts("a,b,y\n1,2,p\n3,5,q\n", |_| (), &[task("y", "y")]);
    let same = [
        "a;b;y\n1;2;p\n3;5;q\n",
        "a\tb\ty\n1\t2\tp\n3\t5\tq\n",
        "a, b, y\r\n1, 2, p\r\n 3 ,5,q \r\n",
        "\u{feff}\"a\",b,y\n\n1,\"2\",\"p\"\n\n\n3,5e0,q",
        "a,b,y\r1,2,p\r3,5,q\r",
    ];
    for text in same {
        let parts = csv_parts(text, |_| (), &[task("y", "y")]);
        assert_eq!(
            (&parts.train.features, &parts.train.labels),
            (&expected.train.features, &expected.train.labels),
            "{text:?}"
        );
        assert_eq!(parts.schema, expected.schema, "{text:?}");
    }
}

#[test]
fn quoted_cells_may_hold_delimiters_quotes_and_line_ends() {
    let parts =
        csv_parts("\"a;b\",y\n1,\"p,1\"\n2,\"say \"\"q\"\"\n!\"\n", |_| (), &[task("y", "y")]);
    assert_eq!(parts.schema.targets[0].classes, ["p,1", "say \"q\"\n!"]);
    assert!(matches!(&parts.schema.input, Input::Columns { columns } if columns[0].name == "a;b"));
}

#[test]
fn a_stored_schema_is_applied_and_never_fitted_again() {
    let parts = csv_parts("a,b,y\n0,0,no\n2,4,yes\n", |_| (), &[task("y", "y")]);
    let text = serde_json::to_string(&parts.schema).unwrap();
    let schema: Schema = serde_json::from_str(&text).unwrap();
    assert_eq!(schema, parts.schema);
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "new.csv", "name,b,y,a\nx,4, yes,1\ny,2,no,3\n");
    let (dataset, name) = load_with(&schema, path.to_str().unwrap(), true).unwrap();
    // 3 is one standard deviation beyond 2, and is moved to two thirds of one.
    close(floats(&dataset), &[0.0, 1.0, 5.0 / 3.0, 0.0]);
    assert_eq!((dataset.rows, &dataset.labels), (2, &vec![vec![1, 0]]));
    assert_eq!(name, path.to_str().unwrap());
    let table = dataset.table.unwrap();
    assert_eq!(table.header, ["name", "b", "y", "a"]);
    assert_eq!(table.record(0).collect::<Vec<_>>(), ["x", "4", "yes", "1"]);
    assert_eq!(table.record(1).collect::<Vec<_>>(), ["y", "2", "no", "3"]);
}

#[test]
fn predict_needs_no_labels_and_does_not_look_at_them() {
    let schema = csv_parts("a,y\n0,no\n2,yes\n", |_| (), &[task("y", "y")]).schema;
    let dir = tempfile::tempdir().unwrap();
    for text in ["a\n1\n", "a,y\n1,\n", "a,y\n1,never seen\n"] {
        let path = write(dir.path(), "new.csv", text);
        let (dataset, _) = load_with(&schema, path.to_str().unwrap(), false).unwrap();
        assert!(dataset.labels.is_empty() && dataset.table.is_some());
        close(floats(&dataset), &[0.0]);
    }
}

// ---- columns of other types ----

/// The u32s of the cells, row by row: codes, or bits of f32 numbers; and the number of slots per
/// row.
fn cells(dataset: &Dataset) -> (&[u32], usize) {
    match &dataset.features {
        Features::Cells { values: words, slots } => (words, *slots),
        other => panic!("expected cells, found {other:?}"),
    }
}

fn of_type(column: &str, kind: FeatureKind) -> Feature {
    Feature { kind: Some(kind), ..Feature::new(column) }
}

/// Reads a table with the schema of `parts`, without labels.
fn later(parts: &Parts, text: &str) -> Dataset {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "later.csv", text);
    load_with(&parts.schema, path.to_str().unwrap(), false).unwrap().0
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| text.to_string()).collect()
}

#[test]
fn types_are_guessed_from_the_training_rows() {
    let mut text = String::from("n,i,d,b,c,w,x,y\n");
    for i in 0..400 {
        let words = format!("the {i}th report of {} words and {} more", i % 37, i % 41);
        let day = format!("20{:02}-{:02}-{:02}", i % 90, 1 + i % 12, 1 + i % 28);
        text += &format!(
            "{}.5,{},{day},{},{},{words},name{},{}\n",
            i,
            i % 3,
            ["no", "yes"][i % 2],
            i % 17 * 1000 + 7,
            i / 2,
            i % 2
        );
    }
    text = text.replace("7,the", "7u,the");
    let kinds = |parts: &Parts| {
        let kind = |column: &Column| {
            serde_json::to_value(&column.encoding).unwrap()["type"].as_str().unwrap().to_owned()
        };
        columns_of(parts)
            .iter()
            .map(|column| format!("{}: {}", column.name, kind(column)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let parts = csv_parts(&text, |_| (), &[task("y", "y")]);
    assert_eq!(
        kinds(&parts),
        "n: numeric, i: numeric, d: date, b: binary, c: category, w: text, x: category"
    );
    let edit = |data: &mut Data| {
        let (i, b) = (of_type("i", FeatureKind::Category), of_type("b", FeatureKind::Category));
        data.features = vec![
            i,
            b,
            of_type("x", FeatureKind::Text),
            of_type("d", FeatureKind::Ignore),
            of_type("w", FeatureKind::Text),
        ];
    };
    let parts = csv_parts(&text, edit, &[task("y", "y")]);
    assert_eq!(
        kinds(&parts),
        "n: numeric, i: category, b: category, c: category, w: text, x: text"
    );
}

#[test]
fn the_training_rows_alone_decide_on_types() {
    let dir = tempfile::tempdir().unwrap();
    let mut data =
        data(table(write(dir.path(), "train.csv", "a,b,y\n1,u,p\n2,v,q\n3,w,q\n4,u,p\n5,v,p\n")));
    data.valid = Some(table(write(dir.path(), "valid.csv", "a,b,y\n3,7,p\n")));
    let parts = load(&data, &[task("y", "y")]).unwrap();
    let Encoding::Category { values, .. } = &columns_of(&parts)[1].encoding else { panic!() };
    assert_eq!(values, &["u", "v"]);
    assert_eq!(cells(&parts.valid.unwrap()).0, [0f32.to_bits(), 2]);
}

#[test]
fn blanks_are_the_mean_with_an_indicator() {
    let parts = csv_parts("a,b,y\n1,1,p\n,2,q\n3,3,p\n", |_| (), &[task("y", "y")]);
    let s = (2f64 / 3.0).sqrt();
    close(floats(&parts.train), &[-1.0, 0.0, -1.0 / s, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0 / s]);
    assert_eq!(parts.schema.input.width(), 3);
    // Column b had no blanks in training, so it has no indicator; a later blank becomes its mean.
    close(floats(&later(&parts, "b,a\n,\n2,2\n")), &[0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn texts_for_blank_are_set_for_all_columns_or_for_one() {
    let text = "a,b,c,y\n1,NA,u,p\n-9,2,NA,q\n3,3,u,p\n4,4,v,NA\n,5,w,q\n6,6,v,p\n";
    let edit = |data: &mut Data| {
        data.missing = Some(texts(&["", "NA"]));
        data.features = vec![
            Feature { missing: Some(texts(&["-9.0", "-9", ""])), ..Feature::new("a") },
            Feature { missing: Some(texts(&[""])), ..Feature::new("c") },
        ];
    };
    let parts = csv_parts(text, edit, &[task("y", "y")]);
    let [a, b, c] = columns_of(&parts) else { panic!() };
    assert!(matches!(a.encoding, Encoding::Numeric { offset: 3.5, indicator: true, .. }), "{a:?}");
    assert!(matches!(b.encoding, Encoding::Numeric { offset: 4.0, indicator: true, .. }), "{b:?}");
    // In this column NA is a value.
    assert_eq!(
        c.encoding,
        Encoding::Category { values: texts(&["u", "v"]), blank: false, embed: 0 }
    );
    assert_eq!(parts.train.labels, [[0, 1, 0, UNLABELLED, 1, 0]]);
    assert_eq!(
        (&a.missing[1], &parts.schema.targets[0].missing),
        (&"-9".to_owned(), &texts(&["", "NA"]))
    );
}

#[test]
fn categories_are_codes_with_places_for_the_rare_the_unseen_and_the_blank() {
    let text = "c,a,y\nred,1,p\nblue,2,q\nred,3,p\nblue,4,p\ngreen,5,q\n,6,q\n red ,7,p\n";
    let parts = csv_parts(text, |_| (), &[task("y", "y")]);
    assert_eq!(
        columns_of(&parts)[0].encoding,
        Encoding::Category { values: texts(&["blue", "red"]), blank: true, embed: 0 }
    );
    let codes =
        |dataset: &Dataset| cells(dataset).0.chunks(2).map(|row| row[0]).collect::<Vec<_>>();
    // blue, red, other, blank
    assert_eq!(codes(&parts.train), [1, 0, 1, 0, 2, 3, 1]);
    assert_eq!(codes(&later(&parts, "a,c\n1,green\n1,violet\n1,\n1,blue\n")), [2, 2, 3, 0]);
    let spread = parts.schema.input.spread();
    assert_eq!(
        (spread[0].slot, spread[0].slots, spread[0].input, spread[0].width, spread[0].codes),
        (0, 1, 0, 4, true)
    );
    assert_eq!(
        (spread[1].slot, spread[1].slots, spread[1].input, spread[1].width, spread[1].codes),
        (1, 1, 4, 1, false)
    );
    assert_eq!((parts.schema.input.width(), parts.train.width()), (5, 2));
    // Without blanks in training, a later blank counts as an unknown value.
    let parts = csv_parts(&text.replace("\n,6", "\nred,6"), |_| (), &[task("y", "y")]);
    assert_eq!(codes(&later(&parts, "a,c\n1,\n")), [2]);
}

#[test]
fn the_rarest_categories_share_an_input() {
    let text: String = "aaaaabbbbcccdde"
        .chars()
        .enumerate()
        .map(|(i, c)| format!("{c},{i},{}\n", i % 2))
        .collect();
    let values = |min_count, max_values| {
        let feature = Feature {
            kind: Some(FeatureKind::Category),
            min_count,
            max_values,
            ..Feature::new("c")
        };
        let parts = csv_parts(
            &format!("c,a,y\n{text}"),
            |data: &mut Data| data.features = vec![feature],
            &[task("y", "y")],
        );
        let Encoding::Category { values, .. } = &columns_of(&parts)[0].encoding else { panic!() };
        values.concat()
    };
    assert_eq!(values(None, None), "abcd");
    assert_eq!((values(Some(1), None), values(Some(4), None)), ("abcde".into(), "ab".into()));
    assert_eq!((values(None, Some(3)), values(Some(5), Some(3))), ("abc".into(), "a".into()));
}

#[test]
fn a_column_that_identifies_rows_is_dropped() {
    let rows: String = (0..50).map(|i| format!("row{i},{i},{}\n", i % 2)).collect();
    let parts = csv_parts(&format!("id,a,y\n{rows}"), |_| (), &[task("y", "y")]);
    assert_eq!(names(&parts), ["a"]);
    assert!(
        parts.notices[0].starts_with("column \"id\" has 50 values and none in 2 rows")
            && parts.notices[0].contains("names rows")
    );
    assert_eq!(parts.notices.len(), 1);
}

#[test]
fn some_of_many_dropped_columns_are_named() {
    let header: Vec<String> = (0..30).map(|i| format!("c{i}")).collect();
    let rows: String = (0..4).map(|i| format!("{}{i},{}\n", "7,".repeat(30), i % 2)).collect();
    let parts = csv_parts(&format!("{},a,y\n{rows}", header.join(",")), |_| (), &[task("y", "y")]);
    assert_eq!(
        (parts.notices.len(), parts.notices[20].as_str()),
        (21, "10 more columns are dropped")
    );
}

#[test]
fn blocks_of_rows_are_encoded_alike() {
    let rows: String = (0..1000).map(|i| format!("{i},v{},{}\n", i % 5, i % 2)).collect();
    let none = |data: &mut Data| {
        data.features = vec![Feature { scale: Some(Scale::None), ..Feature::new("n") }]
    };
    let parts = csv_parts(&format!("n,c,y\n{rows}"), none, &[task("y", "y")]);
    let expected: Vec<u32> = (0..1000u32).flat_map(|i| [(i as f32).to_bits(), i % 5]).collect();
    assert_eq!(cells(&parts.train), (&expected[..], 2));
}

#[test]
fn a_column_of_two_values_is_one_input() {
    let parts =
        csv_parts("b,a,y\nyes,1,p\nno,2,q\nyes,3,p\n,4,q\nyes,5,q\n", |_| (), &[task("y", "y")]);
    let expected =
        Encoding::Binary { values: ["no".into(), "yes".into()], mean: 0.75, indicator: true };
    assert_eq!(columns_of(&parts)[0].encoding, expected);
    let pairs = |dataset: &Dataset| {
        floats(dataset).chunks(3).map(|row| (row[0], row[1])).collect::<Vec<_>>()
    };
    assert_eq!(pairs(&parts.train), [(1.0, 0.0), (0.0, 0.0), (1.0, 0.0), (0.75, 1.0), (1.0, 0.0)]);
    assert_eq!(pairs(&later(&parts, "a,b\n1,maybe\n1,no\n")), [(0.75, 1.0), (0.0, 0.0)]);
    let parts = csv_parts("b,y\nyes,p\nno,q\nno,q\nno,p\n", |_| (), &[task("y", "y")]);
    assert_eq!(floats(&parts.train), [1.0, 0.0, 0.0, 0.0]);
    assert_eq!(floats(&later(&parts, "b\nmaybe\n")), [0.25]);
}

#[test]
fn dates_are_read_as_iso_writes_them() {
    let read = |text: &str| dates::Date::read(text);
    let date = read("2000-02-29").unwrap();
    assert_eq!(
        (date.days, date.month, date.day, date.seconds, date.weekday()),
        (11_016, 2, 29, None, 1)
    );
    assert_eq!((read("1970-01-01").unwrap().days, read("1969-12-31").unwrap().days), (0, -1));
    assert_eq!(
        (read("0001-01-01").unwrap().days, read("9999-12-31").unwrap().days),
        (-719_162, 2_932_896)
    );
    assert_eq!(read("2024-05-05").unwrap().weekday(), 6, "a Sunday");
    for text in [
        "2020-01-31T12:30:15.5",
        "2020-01-31 12:30:15.5",
        "2020-01-31T12:30:15.500Z",
        "2020-01-31t12:30:15.5z",
    ] {
        assert_eq!(read(text).unwrap().seconds, Some(45_015.5), "{text}");
    }
    assert_eq!(read("2020-01-31T12:30").unwrap().seconds, Some(45_000.0));
    for text in [
        "",
        "2020",
        "2020-01",
        "2020-1-31",
        "2020-01-31T",
        "2020-01-31T1",
        "2020-01-31T12:30:",
        "2020-01-31T12:30:15.",
        "2020-01-31Z",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
    for text in
        ["é020-01-31", "2020-01-3é", "2020-01-31T12:30:15.1234567890", "2020-04-31", "+020-01-31"]
    {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn dates_become_years_and_points_on_circles() {
    let parts =
        csv_parts("d,y\n2020-01-01,p\n2020-07-16T18:00:00,q\n,q\n", |_| (), &[task("y", "y")]);
    let Encoding::Date { offset, factor, time: true, indicator: true, .. } =
        columns_of(&parts)[0].encoding
    else {
        panic!()
    };
    assert_eq!((parts.schema.input.width(), parts.train.width()), (9, 9));
    let rows: Vec<&[f32]> = floats(&parts.train).chunks(9).collect();
    // 50 years of 18,262 days, and half a year and 18 hours later. Each of two values lies one
    // standard deviation from their mean.
    let years = [18_262.0 / 365.2425, (18_262.0 + 197.75) / 365.2425];
    assert!(
        (offset - (years[0] + years[1]) / 2.0).abs() < 1e-9
            && (1.0 / factor - (years[1] - years[0]) / 2.0).abs() < 1e-9
    );
    // January, the first, a Wednesday, midnight.
    let (sin, cos) = (2.0 * std::f64::consts::TAU / 7.0).sin_cos();
    close(rows[0], &[-1.0, 0.0, 1.0, -1.0, sin, cos, 0.0, 1.0, 0.0]);
    // July, the sixteenth, a Thursday, three quarters of a day.
    let (sin, cos) = (3.0 * std::f64::consts::TAU / 7.0).sin_cos();
    close(rows[1], &[1.0, 0.0, -1.0, 0.0, sin, cos, -1.0, 0.0, 0.0]);
    close(rows[2], &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    let parts = csv_parts("d,y\n2020-01-01,p\n2020-07-16,q\n", |_| (), &[task("y", "y")]);
    assert_eq!(parts.schema.input.width(), 6, "no times, no blanks");
}

#[test]
fn texts_become_buckets_of_words() {
    let hashed = |text: &str, ngrams| {
        let mut found = Vec::new();
        Hashing { buckets: 1000, ngrams }.buckets(text, |bucket| {
            found.push(bucket);
            true
        });
        found
    };
    assert_eq!(hashed("The cat's  hat; the CAT", 0).len(), 6);
    let words = hashed("the cat s hat the cat", 0);
    assert_eq!(hashed("The cat's  hat; the CAT", 0), words);
    assert_eq!((words[0], words[1]), (words[4], words[5]));
    assert!(
        words[0] != words[1] && words[1] != words[3] && words.iter().all(|&bucket| bucket < 1000)
    );
    // <äb> has the pairs <ä, äb, b>; <c> has <c and c>; each after its word.
    assert_eq!(
        (hashed("Äb c", 2).len(), hashed("Äb c", 5).len(), hashed("Äb c", 4).len()),
        (7, 2, 3)
    );
    assert_eq!(hashed("äb", 0)[..1], hashed("Äb", 2)[..1]);
    assert!(hashed(" ,; ", 3).is_empty());
    // A model on the disk depends on these numbers.
    assert_eq!(hashed("hello world", 0), PINNED);
}

/// Worked out in Python.
const PINNED: [u32; 2] = [283, 499];

#[test]
fn a_row_of_text_is_its_words_in_slots() {
    let text = "w,y\none two three four,p\none,q\n,p\n!,p\na b c d e f g,q\n";
    let feature = Feature {
        kind: Some(FeatureKind::Text),
        buckets: Some(50),
        slots: Some(5),
        embed: Some(Embed::Width(0)),
        ..Feature::new("w")
    };
    let parts = csv_parts(text, |data: &mut Data| data.features = vec![feature], &[task("y", "y")]);
    // Rows with words have 4, 1 and 5 of them: 10 in 3.
    let scale = (0.3f64).sqrt() as f32;
    assert_eq!(
        columns_of(&parts)[0].encoding,
        Encoding::Text { buckets: 50, slots: 5, ngrams: 0, scale, embed: 0, words: Vec::new() }
    );
    let (words, slots) = cells(&parts.train);
    let rows: Vec<&[u32]> = words.chunks(slots).collect();
    assert_eq!((slots, parts.schema.input.width()), (5, 50));
    assert!(rows[0][..4].iter().all(|&code| code < 50) && rows[0][4] == NO_CODE);
    assert_eq!(
        (rows[1][0], &rows[1][1..], rows[2], rows[3]),
        (rows[0][0], &[NO_CODE; 4][..], &[NO_CODE; 5][..], &[NO_CODE; 5][..])
    );
    assert!(rows[4].iter().all(|&code| code < 50), "the first five of seven");
    let spread = parts.schema.input.spread();
    assert_eq!(
        (spread.len(), spread[0].slots, spread[0].width, spread[0].codes, spread[0].scale),
        (1, 5, 50, true, scale)
    );
    assert_eq!(cells(&later(&parts, "w\nONE\n")).0[0], rows[1][0]);
}

#[test]
fn spreads_cover_all_slots_and_inputs_in_order() {
    let mut text = String::from("n,c,d,w,b,y\n");
    for i in 0..60 {
        let blank = i % 10 == 0;
        let number = if blank { String::new() } else { i.to_string() };
        text += &format!(
            "{number},v{},2020-01-{:02},some words and number {i} here,{},{}\n",
            i % 5,
            1 + i % 28,
            ["l", "r"][i % 2],
            i % 3
        );
    }
    let embed = Some(Embed::Width(0));
    let one_hot = Feature { embed, min_count: Some(2), ..Feature::new("w") };
    let parts =
        csv_parts(&text, |data: &mut Data| data.features = vec![one_hot], &[task("y", "y")]);
    let (mut slot, mut input) = (0, 0);
    for (spread, column) in parts.schema.input.spread().iter().zip(columns_of(&parts)) {
        assert_eq!((spread.slot, spread.input), (slot, input));
        assert_eq!(
            (spread.slots, spread.width, spread.codes),
            (column.slots(), column.width(), column.has_codes())
        );
        assert!(spread.codes || spread.slots == spread.width);
        (slot, input) = (slot + spread.slots, input + spread.width);
    }
    // Number and indicator; 5 values and the unknown one; 6 for a date; five words that are in
    // two texts or more; one of two values.
    assert_eq!((slot, input), (2 + 1 + 6 + 5 + 1, 2 + 6 + 6 + 5 + 1));
    assert_eq!((cells(&parts.train).1, parts.schema.input.width()), (slot, input));
    let text = serde_json::to_string(&parts.schema).unwrap();
    assert_eq!(serde_json::from_str::<Schema>(&text).unwrap(), parts.schema);
    parts.schema.check("schema").unwrap();
    Parts::new(parts.schema.clone(), (*parts.train).clone(), None, None).unwrap();
}

#[test]
fn features_that_give_a_label_away_are_reported() {
    let mut text = String::from("copy,coarse,linear,honest,code,y,z\n");
    for i in 0..200u32 {
        let (y, z) = (i * 7 % 4, i * i % 97);
        let honest = if i % 3 == 0 { 0 } else { y };
        text += &format!(
            "k{y},{},{},h{honest},{},c{y},{z}\n",
            ["low", "high"][(y / 2) as usize],
            f64::from(z) * -2.5 + 1.0,
            y * 10
        );
    }
    let z = Task { kind: TaskKind::Regression, ..task("z", "z") };
    let parts = csv_parts(&text, |_| (), &[task("y", "y"), z]);
    let found: Vec<String> =
        parts.notices.iter().map(|notice| notice.split(':').next().unwrap().to_owned()).collect();
    let expected = [
        "column \"copy\" nearly determines task \"y\"",
        "column \"code\" nearly determines task \"y\"",
        "column \"linear\" nearly determines task \"z\"",
    ];
    assert_eq!(found, expected);
}

// ---- labels of other types ----

fn of_kind(kind: TaskKind, targets: &[&str]) -> Task {
    Task { kind, targets: texts(targets), ..Task::multiclass("t") }
}

fn target_of(text: &str, task: Task) -> (Target, Vec<Vec<u32>>) {
    let parts = csv_parts(text, |_| (), &[task]);
    (parts.schema.targets[0].clone(), parts.train.labels.clone())
}

#[test]
fn blank_labels_are_unlabelled_and_counted() {
    let (target, labels) =
        target_of("a,y\n1,q\n2,\n3,p\n4,q\n", of_kind(TaskKind::Multiclass, &["y"]));
    assert_eq!(
        (labels, target.classes, target.counts),
        (vec![vec![1, UNLABELLED, 0, 1]], texts(&["p", "q"]), vec![vec![1, 2]])
    );
    let own = Task { missing: Some(texts(&["?"])), ..of_kind(TaskKind::Multiclass, &["y"]) };
    let (target, labels) = target_of("a,y\n1,q\n2,?\n3,\"\"\n4,q\n", own);
    assert_eq!((labels, target.classes), (vec![vec![1, UNLABELLED, 0, 1]], texts(&["", "q"])));
    assert_eq!((target.counts, target.missing), (vec![vec![1, 2]], texts(&["?"])));
    let grouped = Task {
        groups: groups(&[("a", &["p"]), ("b", &["q", "r"])]),
        ..of_kind(TaskKind::Multiclass, &["y"])
    };
    let (target, labels) = target_of("a,y\n1,q\n2,\n3,p\n4,r\n", grouped);
    assert_eq!((labels, target.counts), (vec![vec![1, UNLABELLED, 0, 1]], vec![vec![1, 2]]));
}

#[test]
fn the_positive_class_is_found() {
    let classes = |first: &str, second: &str, positive: Option<&str>| {
        let task =
            Task { positive: positive.map(str::to_owned), ..of_kind(TaskKind::Binary, &["y"]) };
        let (target, labels) =
            target_of(&format!("a,y\n1,{first}\n2,\n3,{second}\n4,{first}\n"), task);
        let code = target.classes.iter().position(|class| class == first).unwrap() as u32;
        assert_eq!(labels, [[code, UNLABELLED, 1 - code, code]]);
        assert_eq!(target.counts[0][code as usize], 2);
        target.classes.join(" ")
    };
    assert_eq!(
        (classes("1", "0", None), classes("2", "10", None), classes("-1", "-2", None)),
        ("0 1".into(), "2 10".into(), "-2 -1".into())
    );
    assert_eq!(
        (classes("True", "False", None), classes("yes", "zero", None)),
        ("False True".into(), "zero yes".into())
    );
    assert_eq!((classes("N", "Y", None), classes("+", "-", None)), ("N Y".into(), "- +".into()));
    assert_eq!(
        (classes("positive", "unknown", None), classes("cat", "dog", None)),
        ("unknown positive".into(), "cat dog".into())
    );
    assert_eq!(
        (classes("yes", "no", Some("no")), classes("1", "0", Some("0"))),
        ("yes no".into(), "1 0".into())
    );
}

#[test]
fn one_label_against_the_others_is_a_binary_task() {
    let task = Task { positive: Some("single".into()), ..of_kind(TaskKind::Binary, &["y"]) };
    let (target, labels) = target_of("a,y\n1,single\n2,wed\n3,\n4,widowed\n", task);
    assert_eq!(
        (target.classes.clone(), &target.groups[0]),
        (texts(&["not single", "single"]), &texts(&["wed", "widowed"]))
    );
    assert_eq!(
        (labels, target.counts.clone()),
        (vec![vec![1, 0, UNLABELLED, 0]], vec![vec![2, 1]])
    );
    assert_eq!(target.problem(), None);
}

#[test]
fn two_groups_of_labels_are_a_binary_task() {
    let text = "a,y\n1,single\n2,wed\n3,\n4,widowed\n";
    let of = |positive: Option<&str>| {
        let groups = groups(&[("never", &["single"]), ("once", &["wed", "widowed"])]);
        let task = Task {
            groups,
            positive: positive.map(str::to_owned),
            ..of_kind(TaskKind::Binary, &["y"])
        };
        let (target, labels) = target_of(text, task);
        (target.classes.join(" "), labels[0].clone(), target.counts[0].clone())
    };
    assert_eq!(of(None), ("never once".into(), vec![0, 1, UNLABELLED, 1], vec![1, 2]));
    assert_eq!(of(Some("never")), ("once never".into(), vec![1, 0, UNLABELLED, 0], vec![2, 1]));
}

#[test]
fn several_columns_of_yes_and_no_are_one_task() {
    let task = of_kind(TaskKind::Multilabel, &["u", "v"]);
    let (target, labels) = target_of("a,u,v\n1,0,yes\n2,1,NO\n3,True,\n4,,false\n", task);
    assert_eq!(labels, [[0, 1, 1, UNLABELLED], [1, 0, UNLABELLED, 0]]);
    assert_eq!(
        (target.columns, target.counts, target.classes),
        (texts(&["u", "v"]), vec![vec![1, 2], vec![2, 1]], vec![])
    );
}

#[test]
fn regression_labels_are_scaled_by_the_training_part() {
    let text = "a,u,v\n1,1,5\n2,2,5\n3,,5\n4,3,\n5,4,5\n6,10,5\n";
    let scaled =
        |scale| target_of(text, Task { scale, ..of_kind(TaskKind::Regression, &["u", "v"]) });
    let s = 10f64.sqrt();
    for (scale, offset, factor) in [
        (Scale::Standard, 4.0, 1.0 / s),
        (Scale::None, 0.0, 1.0),
        (Scale::MinMax, 1.0, 1.0 / 9.0),
        (Scale::Robust, 3.0, 0.5),
    ] {
        let (target, labels) = scaled(scale);
        assert!(
            (target.scales[0].offset - offset).abs() < 1e-12
                && (target.scales[0].factor - factor).abs() < 1e-12
        );
        assert_eq!(labels[0][2], UNLABELLED);
        let found: Vec<f32> = labels[0]
            .iter()
            .filter(|&&word| word != UNLABELLED)
            .map(|&word| f32::from_bits(word))
            .collect();
        close(&found, &[1.0, 2.0, 3.0, 4.0, 10.0].map(|y| (y - offset) * factor));
        // A constant label is not scaled.
        assert_eq!(target.scales[1].factor, 1.0);
        assert_eq!(f32::from_bits(labels[1][0]), if scale == Scale::None { 5.0 } else { 0.0 });
        assert_eq!(
            (labels[1][3], target.counts, target.classes),
            (UNLABELLED, vec![vec![5], vec![5]], vec![])
        );
    }
}

#[test]
fn regression_labels_of_other_parts_take_the_scaling_of_training() {
    let dir = tempfile::tempdir().unwrap();
    let mut data = data(table(write(dir.path(), "train.csv", "a,y\n0,0\n2,2\n")));
    data.valid = Some(table(write(dir.path(), "valid.csv", "a,y\n1,5\n1,\n")));
    let parts = load(&data, &[Task { kind: TaskKind::Regression, ..task("y", "y") }]).unwrap();
    assert_eq!(parts.valid.as_ref().unwrap().labels, [[4f32.to_bits(), UNLABELLED]]);
    let summary: Vec<_> = label_summary(&parts)
        .into_iter()
        .map(|l| (l.task, l.column, l.part, l.labelled, l.rows))
        .collect();
    let y = || ("y".to_owned(), "y".to_owned());
    assert_eq!(summary, [(y().0, y().1, Part::Train, 2, 2), (y().0, y().1, Part::Valid, 1, 2)]);
    let path = dir.path().join("valid.csv");
    let (again, _) = load_with(&parts.schema, path.to_str().unwrap(), true).unwrap();
    assert_eq!(
        (&again.labels, &again.features),
        (&parts.valid.as_ref().unwrap().labels, &parts.valid.as_ref().unwrap().features)
    );
}

#[test]
fn counts_are_whole_numbers() {
    let (target, labels) =
        target_of("a,y\n1,0\n2,3\n3,\n4,2.0\n5,16777216\n", of_kind(TaskKind::Count, &["y"]));
    let bits = |x: f32| x.to_bits();
    assert_eq!(labels, [[bits(0.0), bits(3.0), UNLABELLED, bits(2.0), bits(16_777_216.0)]]);
    assert_eq!((target.counts, target.scales, target.classes), (vec![vec![4]], vec![], vec![]));
}

#[test]
fn several_tasks_have_their_label_columns_one_after_the_other() {
    let tasks =
        [Task { name: "r".into(), ..of_kind(TaskKind::Regression, &["v", "u"]) }, task("y", "y")];
    let parts = csv_parts("a,u,y,v\n1,0,p,10\n2,1,q,20\n", |_| (), &tasks);
    assert_eq!(names(&parts), ["a"]);
    let bits = |x: f32| x.to_bits();
    assert_eq!(
        parts.train.labels,
        [vec![bits(-1.0), bits(1.0)], vec![bits(-1.0), bits(1.0)], vec![0, 1]]
    );
    assert_eq!((parts.schema.targets[0].cells(), parts.schema.targets[1].cells()), (2, 1));
    let summary: Vec<_> = label_summary(&parts).into_iter().map(|l| (l.task, l.column)).collect();
    assert_eq!(
        summary,
        [("r", "v"), ("r", "u"), ("y", "y")].map(|(t, c)| (t.to_owned(), c.to_owned()))
    );
}

#[test]
fn rows_have_weights() {
    let dir = tempfile::tempdir().unwrap();
    let mut data = data(table(write(dir.path(), "train.csv", "a,w,y\n0,0,p\n2,2.5,q\n")));
    data.valid = Some(table(write(dir.path(), "valid.csv", "w,a,y\n7,5,p\n")));
    data.row_weight = Some("w".into());
    let parts = load(&data, &[task("y", "y")]).unwrap();
    assert_eq!(names(&parts), ["a"]);
    assert_eq!(
        (&parts.train.weights, &parts.valid.as_ref().unwrap().weights),
        (&Some(vec![0.0, 2.5]), &Some(vec![7.0]))
    );
    let path = dir.path().join("valid.csv");
    let labelled =
        |labelled| load_with(&parts.schema, path.to_str().unwrap(), labelled).unwrap().0.weights;
    assert_eq!(
        (labelled(true), labelled(false)),
        (Some(vec![7.0]), None),
        "weights matter to losses alone"
    );
}

#[test]
fn a_file_without_a_header_is_read_again_without_one() {
    let edit = |data: &mut Data| (data.header, data.delimiter) = (false, Some('|'));
    let parts = csv_parts("0|p|1\n2|q|2\n4|q|0\n", edit, &[task("t", "1")]);
    assert_eq!(names(&parts), ["0", "2"]);
    let schema: Schema =
        serde_json::from_str(&serde_json::to_string(&parts.schema).unwrap()).unwrap();
    assert_eq!(schema, parts.schema);
    assert_eq!(later(&parts, "2|p|1\n").row(0), [0.0, 0.0]);
}

#[test]
fn several_files_and_patterns_are_one_table() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "part-2.csv", "a,y\n3,p\n");
    write(dir.path(), "part-1.csv", "a,y\n1,p\n2,q\n");
    let more = write(dir.path(), "more.csv", "a,y\n4,q\n");
    let features = vec![Feature { scale: Some(Scale::None), ..Feature::new("a") }];
    let parts = load(
        &Data { features, ..data(Source::Table(vec![dir.path().join("part-?.csv"), more])) },
        &[task("y", "y")],
    )
    .unwrap();
    assert_eq!(floats(&parts.train), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!((parts.train.labels.clone(), parts.hashes.len()), (vec![vec![0, 1, 0, 1]], 3));
}

// ---- other formats ----

/// A `.npy` file of f64 in row order.
fn npy(shape: &str, values: &[f64]) -> Vec<u8> {
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({shape}), }}");
    header += &" ".repeat(63 - (10 + header.len()) % 64);
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(values.iter().flat_map(|x| x.to_le_bytes()));
    file
}

#[test]
fn two_arrays_are_features_and_labels() {
    let dir = tempfile::tempdir().unwrap();
    let features = write(dir.path(), "x.npy", npy("3, 2", &[0.0, 1.0, 2.0, f64::NAN, 4.0, 3.0]));
    let labels = write(dir.path(), "y.npy", npy("3,", &[7.0, f64::NAN, -7.0]));
    let task = Task { kind: TaskKind::Binary, ..task("t", "y") };
    let parts =
        load(&data(Source::Npy { features: features.clone(), labels: labels.clone() }), &[task])
            .unwrap();
    assert_eq!(names(&parts), ["features.0", "features.1"]);
    assert_eq!(
        (parts.schema.targets[0].classes.clone(), parts.train.labels.clone()),
        (texts(&["-7", "7"]), vec![vec![1, UNLABELLED, 0]])
    );
    let s = 1.5f64.sqrt();
    close(floats(&parts.train), &[-s, -1.0, 0.0, 0.0, 0.0, 1.0, s, 1.0, 0.0]);
    let both = format!("{},{}", features.display(), labels.display());
    let evaluated = load_with(&parts.schema, &both, true).unwrap().0;
    assert_eq!(
        (&evaluated.features, &evaluated.labels),
        (&parts.train.features, &parts.train.labels)
    );
    let predicted = load_with(&parts.schema, features.to_str().unwrap(), false).unwrap().0;
    assert_eq!(predicted.features, parts.train.features);
    assert_eq!(predicted.table.unwrap().record(1).collect::<Vec<_>>(), ["2", ""]);
}

#[test]
fn a_sparse_file_names_only_what_is_not_zero() {
    let dir = tempfile::tempdir().unwrap();
    let mut data =
        data(table(write(dir.path(), "train.svm", "1 1:2 2:5\n-1 2:1\n1 1:4 3:9\n-1 1:2\n")));
    data.valid = Some(table(write(dir.path(), "valid.svm", "1 1:2\n")));
    data.features = ["1", "2", "3"]
        .map(|name| Feature { scale: Some(Scale::None), ..Feature::new(name) })
        .into();
    let parts = load(&data, &[Task { kind: TaskKind::Binary, ..task("t", "label") }]).unwrap();
    assert_eq!(floats(&parts.train), [2.0, 5.0, 0.0, 0.0, 1.0, 0.0, 4.0, 0.0, 9.0, 2.0, 0.0, 0.0]);
    assert_eq!(parts.train.labels, [[1, 0, 1, 0]]);
    // The columns 2 and 3 are not in this file at all.
    let valid = parts.valid.unwrap();
    assert_eq!((floats(&valid), &valid.labels), (&[2.0, 0.0, 0.0][..], &vec![vec![1]]));
}

// ---- split and order ----

#[test]
fn a_split_is_disjoint_complete_and_of_the_right_size() {
    let parts = shares::split(10_000, [0.8, 0.1, 0.1], 0).unwrap();
    let mut all: Vec<u32> = parts.iter().flatten().copied().collect();
    all.sort_unstable();
    assert_eq!(all, (0..10_000).collect::<Vec<u32>>());
    // Four standard deviations of a binomial share of .8 and of .1.
    for (part, (expected, slack)) in parts.iter().zip([(8000, 160), (1000, 120), (1000, 120)]) {
        assert!(part.len().abs_diff(expected) < slack, "{}", part.len());
        assert!(part.is_sorted());
    }
    assert_eq!(parts, shares::split(10_000, [8.0, 1.0, 1.0], 0).unwrap(), "shares are relative");
    assert_ne!(parts, shares::split(10_000, [0.8, 0.1, 0.1], 1).unwrap());
}

#[test]
fn a_row_keeps_its_part_when_rows_are_appended() {
    let few = shares::split(500, [0.5, 0.3, 0.2], 7).unwrap();
    let many = shares::split(900, [0.5, 0.3, 0.2], 7).unwrap();
    for (few, many) in few.iter().zip(&many) {
        assert_eq!(few[..], many[..few.len()]);
        assert!(many[few.len()..].iter().all(|&row| row >= 500));
    }
}

#[test]
fn a_part_with_a_file_of_its_own_gets_no_share() {
    assert_eq!(shares::shares_without([0.8, 0.1, 0.1], true, false), [0.8, 0.0, 0.1]);
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..90).map(|i| format!("{i},{}\n", i % 2)).collect();
    let mut data = data(table(write(dir.path(), "train.csv", format!("a,y\n{rows}"))));
    data.valid = Some(table(write(dir.path(), "valid.csv", "a,y\n1,1\n")));
    data.split = Some([0.5, 0.4, 0.5]);
    let parts = load(&data, &[task("y", "y")]).unwrap();
    let (train, test) = (parts.train.rows, parts.test.unwrap().rows);
    assert_eq!((parts.valid.unwrap().rows, train + test), (1, 90));
    assert!((30..60).contains(&train), "{train}");
    data.split = None;
    assert_eq!(load(&data, &[task("y", "y")]).unwrap().train.rows, 90);
}

#[test]
fn a_split_file_is_scaled_by_its_training_rows() {
    let rows: String = (0..60).map(|i| format!("{},{}\n", i * i, i % 2)).collect();
    let edit = |data: &mut Data| {
        (data.split, data.split_seed, data.features) = (Some([0.6, 0.2, 0.2]), 3, vec![unheld("a")])
    };
    let parts = csv_parts(&format!("a,y\n{rows}"), edit, &[task("y", "y")]);
    let [train, valid, _] = shares::split(60, [0.6, 0.2, 0.2], 3).unwrap();
    let x = |row: &u32| f64::from(row * row);
    let n = train.len() as f64;
    let mean = train.iter().map(x).sum::<f64>() / n;
    let deviation = (train.iter().map(x).map(|x| x * x).sum::<f64>() / n - mean * mean).sqrt();
    let expected: Vec<f64> = valid.iter().map(|row| (x(row) - mean) / deviation).collect();
    let found = parts.valid.unwrap();
    close(floats(&found), &expected);
    assert_eq!(found.labels[0], valid.iter().map(|row| row % 2).collect::<Vec<_>>());
}

#[test]
fn a_column_says_which_part_a_row_is_in() {
    let text = "a,s,y\n1,test,p\n2,train,p\n3,valid,q\n4,train,q\n5,valid,p\n";
    let parts = csv_parts(text, |data| data.split_column = Some("s".into()), &[task("y", "y")]);
    assert_eq!(names(&parts), ["a"]);
    let (valid, test) = (parts.valid.unwrap(), parts.test.unwrap());
    assert_eq!((parts.train.rows, valid.rows, test.rows), (2, 2, 1));
    // 2 and 4: mean 3, standard deviation 1; 5 and 1 are one beyond the ends, and are moved to two
    // thirds.
    let held = 5.0 / 3.0;
    assert_eq!(
        (floats(&parts.train), floats(&valid), floats(&test)),
        (&[-1.0, 1.0][..], &[0.0, held][..], &[-held][..])
    );
    let parts = csv_parts(
        "a,s,y\n2,train,p\n4,train,q\n",
        |data| data.split_column = Some("s".into()),
        &[task("y", "y")],
    );
    assert!(
        parts.valid.is_none() && parts.notices[0].starts_with("no row says valid"),
        "{:?}",
        parts.notices
    );
}

#[test]
fn rows_of_a_group_stay_together() {
    let rows: String = (0..600).map(|i| format!("{i},g{},{}\n", i * 7 % 100, i % 2)).collect();
    let text = format!("a,g,y\n{rows}");
    let edit = |seed| {
        move |data: &mut Data| {
            (data.group, data.split, data.split_seed) =
                (Some("g".into()), Some([0.6, 0.2, 0.2]), seed)
        }
    };
    let parts = csv_parts(&text, edit(0), &[task("y", "y")]);
    assert_eq!(names(&parts), ["a"]);
    let Encoding::Numeric { offset, factor, .. } = columns_of(&parts)[0].encoding else { panic!() };
    let rows = |dataset: &Dataset| {
        floats(dataset)
            .iter()
            .map(|x| (f64::from(*x) / factor + offset).round() as usize)
            .collect::<Vec<_>>()
    };
    let of = [
        rows(&parts.train),
        rows(parts.valid.as_ref().unwrap()),
        rows(parts.test.as_ref().unwrap()),
    ];
    assert_eq!(of.iter().map(Vec::len).sum::<usize>(), 600);
    let mut part_of = [None; 100];
    for (part, rows) in of.iter().enumerate() {
        for row in rows {
            assert!(
                part_of[row * 7 % 100].is_none_or(|other| other == part),
                "group {}",
                row * 7 % 100
            );
            part_of[row * 7 % 100] = Some(part);
        }
        // Twenty groups are four standard deviations.
        assert!((rows.len() / 6).abs_diff([60, 20, 20][part]) < 20, "{}", rows.len());
    }
    assert_ne!(csv_parts(&text, edit(1), &[task("y", "y")]).train.labels, parts.train.labels);
    // The part of a group does not depend on the rest of the file.
    let alone = shares::group_number("g7");
    assert_eq!(shares::group_number("g7"), alone);
    assert_ne!(shares::group_number("g8"), alone);
}

#[test]
fn each_class_gets_the_shares() {
    let class = |i: usize| if i.is_multiple_of(10) { "rare" } else { ["p", "q", ""][i % 3] };
    let rows: String = (0..1000).map(|i| format!("{i},{}\n", class(i))).collect();
    let edit = |seed| {
        move |data: &mut Data| {
            (data.stratify, data.split, data.split_seed) =
                (Some("y".into()), Some([0.7, 0.2, 0.1]), seed)
        }
    };
    let parts = csv_parts(&format!("a,y\n{rows}"), edit(0), &[task("y", "y")]);
    let all: Vec<&Dataset> =
        vec![&parts.train, parts.valid.as_ref().unwrap(), parts.test.as_ref().unwrap()];
    for (dataset, share) in all.iter().zip([0.7, 0.2, 0.1]) {
        for label in [0, 1, 2, UNLABELLED] {
            let count =
                |dataset: &Dataset| dataset.labels[0].iter().filter(|&&l| l == label).count();
            let expected = share * all.iter().map(|d| count(d)).sum::<usize>() as f64;
            assert!(
                (count(dataset) as f64 - expected).abs() <= 1.0,
                "{label}: {} for {expected}",
                count(dataset)
            );
        }
    }
    let again = csv_parts(&format!("a,y\n{rows}"), edit(1), &[task("y", "y")]);
    assert_ne!(again.train.labels, parts.train.labels);
}

#[test]
fn folds_are_about_equal_and_fixed_by_their_seed() {
    let folds: Vec<usize> = (0..5000).map(|row| shares::fold_of(3, row, 5)).collect();
    for fold in 0..5 {
        // Four standard deviations.
        assert!(folds.iter().filter(|&&f| f == fold).count().abs_diff(1000) < 115);
    }
    assert_eq!(folds[..100], (0..100).map(|row| shares::fold_of(3, row, 5)).collect::<Vec<_>>());
    assert_ne!(folds, (0..5000).map(|row| shares::fold_of(4, row, 5)).collect::<Vec<_>>());
}

#[test]
fn an_epoch_is_a_permutation_of_its_own() {
    let first = order::epoch_order(1000, 5, 0);
    let mut sorted = first.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..1000).collect::<Vec<u32>>());
    assert_ne!(first, sorted);
    assert_eq!(first, order::epoch_order(1000, 5, 0));
    assert_ne!(first, order::epoch_order(1000, 5, 1));
    assert_ne!(first, order::epoch_order(1000, 6, 0));
}

#[test]
fn the_last_short_batch_is_kept() {
    assert_eq!(order::batches(10, 4).collect::<Vec<_>>(), [(0, 4), (4, 4), (8, 2)]);
    assert_eq!(order::batches(8, 4).collect::<Vec<_>>(), [(0, 4), (4, 4)]);
    assert_eq!(order::batches(3, 100).collect::<Vec<_>>(), [(0, 3)]);
    assert_eq!(order::batches(0, 4).count(), 0);
}

// ---- images ----

#[test]
fn two_images_lie_over_each_other_by_pixelwise_maximum() {
    let mut canvas = [99; 9];
    overlay::lay(&mut canvas, &[1, 2, 3, 4], &[5, 6, 7, 8], 2, 1);
    assert_eq!(canvas, [1, 2, 0, 3, 5, 6, 0, 7, 8]);
    overlay::lay(&mut canvas, &[1, 2, 3, 9], &[5, 6, 7, 8], 2, 1);
    assert_eq!(canvas, [1, 2, 0, 3, 9, 6, 0, 7, 8]);
    let mut wide = [99; 12];
    overlay::lay(&mut wide, &[1, 2, 3], &[4, 5, 6], 3, 1);
    assert_eq!(wide[..8], [1, 2, 3, 0, 0, 4, 5, 6]);
}

struct Mnist {
    dir: tempfile::TempDir,
    images: PathBuf,
    labels: PathBuf,
}

/// Six images of 2 × 3 pixels, image k filled with 10 k + position; labels 0 1 2 0 1 2.
fn mnist() -> Mnist {
    let dir = tempfile::tempdir().unwrap();
    let pixels: Vec<u8> = (0..36).map(|i| i / 6 * 10 + i % 6).collect();
    let images = write(dir.path(), "images.idx.gz", gzip(&idx(&[6, 2, 3], &pixels)));
    let labels = write(dir.path(), "labels.idx", idx(&[6], &[0, 1, 2, 0, 1, 2]));
    Mnist { dir, images, labels }
}

impl Mnist {
    fn source(&self) -> Source {
        Source::Idx { images: self.images.clone(), labels: self.labels.clone() }
    }

    fn text(&self) -> String {
        format!("{},{}", self.images.display(), self.labels.display())
    }
}

#[test]
fn idx_images_are_bytes_by_255_and_every_task_reads_the_one_label() {
    let files = mnist();
    let mut grouped = task("low", "anything");
    grouped.groups = groups(&[("low", &["0"]), ("high", &["1", "2", "3"])]);
    let parts = load(&data(files.source()), &[task("digit", "digit"), grouped]).unwrap();
    assert_eq!(parts.train.rows, 6);
    assert_eq!(bytes(&parts.train)[6..12], [10, 11, 12, 13, 14, 15]);
    close(&parts.train.row(1), &[10.0, 11.0, 12.0, 13.0, 14.0, 15.0].map(|v| v / 255.0));
    assert_eq!(parts.train.labels, [[0, 1, 2, 0, 1, 2], [0, 1, 1, 0, 1, 1]]);
    assert_eq!(parts.schema.targets[0].classes, ["0", "1", "2"]);
    assert_eq!(parts.schema.input, Input::grey(2, 3, 1.0 / 255.0, None));
    assert_eq!(parts.hashes.len(), 2);
}

#[test]
fn overlaid_idx_images_come_from_their_own_part() {
    let files = mnist();
    let mut data = data(files.source());
    data.overlay = Some(Overlay { shift: 2, seed: 11 });
    data.test = Some(files.source());
    let parts = load(&data, &[task("l", "left"), task("r", "right")]).unwrap();
    assert_eq!(parts.schema.input, Input::grey(4, 5, 1.0 / 255.0, Some((2, 11))));
    let test = parts.test.unwrap();
    for dataset in [&parts.train, &test] {
        for k in 0..6 {
            let canvas = &bytes(dataset)[k * 20..][..20];
            // The shift equals the height of the images: the partner's top row is alone in the
            // third row.
            let partner = (canvas[12] / 10) as usize;
            assert_eq!(canvas[..3], [0, 1, 2].map(|i| (k * 10 + i) as u8));
            assert_eq!(canvas[12..15], [0, 1, 2].map(|i| (partner * 10 + i) as u8));
            assert_eq!(
                (dataset.labels[0][k], dataset.labels[1][k]),
                ((k % 3) as u32, (partner % 3) as u32)
            );
        }
    }
    assert_ne!(parts.train.features, test.features, "each part draws its own partners");
    let (again, _) = load_with(&parts.schema, &files.text(), true).unwrap();
    assert_eq!(
        (&again.features, &again.labels),
        (&test.features, &test.labels),
        "evaluate lays images as the test part does"
    );
    let (unlabelled, _) = load_with(&parts.schema, files.images.to_str().unwrap(), false).unwrap();
    assert_eq!(unlabelled.features, test.features);
    assert!(unlabelled.labels.is_empty());
}

#[test]
fn idx_files_can_be_split() {
    let dir = tempfile::tempdir().unwrap();
    let pixels: Vec<u8> = (0..100).collect();
    let labels: Vec<u8> = (0..100).map(|i| i % 2).collect();
    let (images, labels) = (
        write(dir.path(), "i", idx(&[100, 1, 1], &pixels)),
        write(dir.path(), "l", idx(&[100], &labels)),
    );
    let mut data = data(Source::Idx { images, labels });
    data.split = Some([0.5, 0.25, 0.25]);
    let parts = load(&data, &[task("y", "y")]).unwrap();
    let expected = shares::split(100, [0.5, 0.25, 0.25], 0).unwrap();
    for (dataset, rows) in
        [parts.train, parts.valid.unwrap(), parts.test.unwrap()].iter().zip(&expected)
    {
        assert_eq!(bytes(dataset), rows.iter().map(|&row| row as u8).collect::<Vec<_>>());
        assert_eq!(dataset.labels[0], rows.iter().map(|row| row % 2).collect::<Vec<_>>());
    }
}

// ---- the built-in digits ----

#[test]
fn every_built_in_pair_is_pinned() {
    let (mut pairs, mut content) = (blake3::Hasher::new(), blake3::Hasher::new());
    for part in Part::ALL {
        for (left, right) in digits::pairs(part) {
            pairs.update(&(left as u32).to_le_bytes());
            pairs.update(&(right as u32).to_le_bytes());
        }
        let images = digits::part(part).unwrap();
        for (k, canvas) in images.pixels.chunks_exact(144).enumerate() {
            content.update(canvas);
            content.update(&[images.labels[0][k], images.labels[1][k]]);
        }
    }
    assert_eq!(
        pairs.finalize().to_hex().as_str(),
        "24737abda1de8a54598d97a039c94d2f7286b40f3a40de8db0f4a72282a100a1"
    );
    assert_eq!(
        content.finalize().to_hex().as_str(),
        "88ecf7a8498ead69dfe99f99e9d399bc252a88b072cd3adc5e6ba08ac16453bd"
    );
}

#[test]
fn no_digit_is_in_two_parts() {
    let mut part_of = [None; 1797];
    for part in Part::ALL {
        for image in digits::pairs(part).into_iter().flat_map(|(left, right)| [left, right]) {
            assert!(part_of[image].is_none_or(|other| other == part), "digit {image}");
            part_of[image] = Some(part);
        }
    }
    assert!(part_of.iter().all(Option::is_some), "every digit is used");
}

#[test]
fn the_built_in_set_loads_with_its_parts() {
    let parts = load(
        &data(Source::BuiltIn("digits-overlay".into())),
        &[task("left", "left"), task("second", "right")],
    )
    .unwrap();
    let (valid, test) = (parts.valid.unwrap(), parts.test.unwrap());
    assert_eq!([parts.train.rows, valid.rows, test.rows], [20_000, 3_000, 4_000]);
    assert_eq!(parts.schema.input, Input::grey(12, 12, 1.0 / 16.0, Some((4, 0))));
    for target in &parts.schema.targets {
        assert_eq!(target.classes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    }
    assert_eq!(parts.train.row(0).iter().fold(0.0f32, |m, &x| m.max(x)), 1.0);
    for (text, expected) in [
        ("digits-overlay:train", &parts.train),
        ("digits-overlay:valid", &valid),
        ("digits-overlay:test", &test),
    ] {
        let (again, name) = load_with(&parts.schema, text, true).unwrap();
        assert_eq!(
            (&again.features, &again.labels, name.as_str()),
            (&expected.features, &expected.labels, text)
        );
    }
    // The first digits of the source file are 0 1 2 3 4 5 6 7 8 9.
    assert_eq!(digits::digits().unwrap().labels[0][..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn the_data_flag_is_read_by_the_kind_of_inputs_of_the_model() {
    let columns = Schema::for_arrays(2, &[]).input;
    let image = digits::input();
    assert_eq!(parse_data_argument("a,b", &columns).unwrap(), DataArgument::Table("a,b".into()));
    assert_eq!(
        parse_data_argument("a,b", &image).unwrap(),
        DataArgument::Idx("a".into(), Some("b".into()))
    );
    assert_eq!(parse_data_argument("-", &columns).unwrap(), DataArgument::Stdin);
    assert_eq!(
        parse_data_argument("x.npy,y.NPY", &columns).unwrap(),
        DataArgument::Arrays("x.npy".into(), "y.NPY".into())
    );
    assert_eq!(
        parse_data_argument("x.npy", &columns).unwrap(),
        DataArgument::Table("x.npy".into())
    );
    assert_eq!(parse_data_argument("a", &image).unwrap(), DataArgument::Idx("a".into(), None));
    assert_eq!(
        parse_data_argument("digits-overlay:valid", &columns).unwrap(),
        DataArgument::Digits(Part::Valid)
    );
    assert_eq!(
        parse_data_argument("digits-overlay.csv", &columns).unwrap(),
        DataArgument::Table("digits-overlay.csv".into())
    );
    for text in ["digits-overlay", "digits-overlay:", "digits-overlay:all"] {
        assert_eq!(exit_of(&parse_data_argument(text, &image).unwrap_err()) as i32, 2);
    }
    let files = mnist();
    let comma = write(files.dir.path(), "a,b", "");
    assert_eq!(
        parse_data_argument(comma.to_str().unwrap(), &image).unwrap(),
        DataArgument::Idx(comma, None)
    );
}

// ---- arrays ----

#[test]
fn arrays_make_parts() {
    let schema = Schema::for_arrays(2, &[("a", &["x", "y"]), ("b", &["0", "1", "2"])]);
    let train = Dataset::from_arrays(
        2,
        vec![1.0, f32::NAN, 3.0, 4.0],
        vec![vec![0, 1], vec![2, UNLABELLED]],
    )
    .unwrap();
    assert_eq!((train.rows, train.width(), train.row(1)), (2, 2, vec![3.0, 4.0]));
    assert!(train.row(0)[1].is_nan(), "values are not looked at");
    let parts = Parts::new(schema.clone(), train.clone(), None, Some(train)).unwrap();
    assert_eq!((parts.test.unwrap().rows, parts.schema), (2, schema));
}

#[test]
fn the_nearest_name_is_found() {
    let names = ["age", "income", "Education"];
    assert_eq!(tandem::text::nearest("aeg", names.into_iter()), Some("age"));
    assert_eq!(tandem::text::nearest("educatoin", names.into_iter()), Some("Education"));
    assert_eq!(tandem::text::nearest("zzz", names.into_iter()), None);
}
