//! The data room: what is read, how it is scaled, split, ordered and laid over each other. Expected numbers are worked out by hand
//! or, for the built-in digits, by a separate program from the same source file.

use std::io::Write;
use std::path::{Path, PathBuf};

use tandem::config::{Data, Feature, Overlay, Scale, Source, Task};
use tandem::data::load::{Given, load, load_with, parse_source};
use tandem::data::{Dataset, Features, Input, Part, Parts, Schema, UNLABELLED, columns, digits, order, overlay, split};
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
    Data { train, valid: None, test: None, split: None, split_seed: 0, overlay: None, ignore: Vec::new(), features: Vec::new() }
}

fn task(name: &str, target: &str) -> Task {
    Task { targets: vec![target.into()], ..Task::multiclass(name) }
}

fn groups(groups: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    groups.iter().map(|(name, values)| (name.to_string(), values.iter().map(|v| v.to_string()).collect())).collect()
}

fn csv_parts(text: &str, edit: impl FnOnce(&mut Data), tasks: &[Task]) -> Parts {
    let dir = tempfile::tempdir().unwrap();
    let mut data = data(Source::Csv(write(dir.path(), "train.csv", text)));
    edit(&mut data);
    load(&data, tasks).unwrap()
}

fn floats(dataset: &Dataset) -> &[f32] {
    match &dataset.features {
        Features::F32(values) => values,
        Features::U8 { .. } => panic!("expected f32 features"),
    }
}

fn bytes(dataset: &Dataset) -> &[u8] {
    match &dataset.features {
        Features::U8 { values, .. } => values,
        Features::F32(_) => panic!("expected u8 features"),
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
    let scale = |column: &str, scale| Feature { column: column.into(), scale };
    let edit = |data: &mut Data| data.features = vec![scale("b", Scale::MinMax), scale("c", Scale::Robust), scale("d", Scale::None)];
    let parts = csv_parts(text, edit, &[task("y", "y")]);
    let s = 10f64.sqrt();
    let expected: Vec<f64> =
        [1.0, 2.0, 3.0, 4.0, 10.0].iter().flat_map(|x| [(x - 4.0) / s, (x - 1.0) / 9.0, (x - 3.0) / 2.0, *x]).collect();
    close(floats(&parts.train), &expected);
    assert_eq!(parts.train.labels, [[0, 1, 0, 1, 0]]);
    assert!(parts.valid.is_none() && parts.test.is_none() && parts.train.table.is_none());
}

#[test]
fn quartiles_lie_between_values() {
    // 1 2 3 4: quartiles 1.75 and 3.25, median 2.5.
    let edit = |data: &mut Data| data.features = vec![Feature { column: "a".into(), scale: Scale::Robust }];
    let parts = csv_parts("a,y\n4,p\n1,q\n3,p\n2,q\n", edit, &[task("y", "y")]);
    close(floats(&parts.train), &[1.0, -1.0, 1.0 / 3.0, -1.0 / 3.0]);
}

#[test]
fn a_constant_column_is_zero_whatever_rounding_says() {
    let text: String = (0..10).map(|i| format!("0.1,{i}\n")).collect();
    for scale in [Scale::Standard, Scale::MinMax, Scale::Robust] {
        let edit = |data: &mut Data| data.features = vec![Feature { column: "a".into(), scale }];
        let parts = csv_parts(&format!("a,y\n{text}"), edit, &[task("y", "y")]);
        assert_eq!(floats(&parts.train), [0.0; 10]);
        let Input::Columns { columns } = &parts.schema.input else { panic!() };
        assert_eq!((columns[0].offset, columns[0].factor), (0.1, 0.0));
    }
}

#[test]
fn a_constant_column_stays_zero_in_later_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut data = data(Source::Csv(write(dir.path(), "train.csv", "a,b,y\n1e308,5,p\n1e308,5,q\n")));
    data.valid = Some(Source::Csv(write(dir.path(), "valid.csv", "a,b,y\n-1e308,7,p\n")));
    let valid = load(&data, &[task("y", "y")]).unwrap().valid.unwrap();
    assert_eq!(floats(&valid), [0.0, 0.0]);
}

#[test]
fn scaling_and_classes_come_from_the_training_part_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut data = data(Source::Csv(write(dir.path(), "train.csv", "a,y\n0,no\n2,yes\n")));
    data.valid = Some(Source::Csv(write(dir.path(), "valid.csv", "y,extra,a\nyes,x,100\n")));
    data.test = Some(Source::Csv(write(dir.path(), "test.csv.gz", gzip(b"a,y\n-1,no\n"))));
    let parts = load(&data, &[task("t", "y")]).unwrap();
    let (valid, test) = (parts.valid.unwrap(), parts.test.unwrap());
    close(floats(&valid), &[99.0]);
    close(floats(&test), &[-2.0]);
    assert_eq!((&valid.labels[0], &test.labels[0]), (&vec![1], &vec![0]));
    assert_eq!(parts.schema.targets[0].classes, ["no", "yes"]);
    let packed = blake3::hash(&std::fs::read(dir.path().join("test.csv.gz")).unwrap()).to_hex().to_string();
    assert_eq!(parts.hashes.len(), 3);
    assert!(parts.hashes[2].0.ends_with("test.csv.gz") && parts.hashes[2].1 == packed);
}

#[test]
fn classes_are_sorted_by_number_or_by_text_and_count_as_written() {
    let classes = |text: &str| csv_parts(text, |_| (), &[task("y", "y")]).schema.targets[0].classes.clone();
    assert_eq!(classes("a,y\n0,10\n1,9\n2,-1\n3,1.0\n4,1\n"), ["-1", "1", "1.0", "9", "10"]);
    assert_eq!(classes("a,y\n0,10\n1,9\n2,x\n"), ["10", "9", "x"]);
    // "nan" and "inf" are words here, not numbers.
    assert_eq!(classes("a,y\n0,nan\n1,inf\n2,10\n3,9\n"), ["10", "9", "inf", "nan"]);
}

#[test]
fn groups_keep_the_order_of_the_configuration() {
    let mut parity = task("parity", "digit");
    parity.groups = groups(&[("odd", &["1", "3"]), ("even", &["0", "2"])]);
    let parts = csv_parts("a,digit\n0,0\n1,1\n2,2\n3,3\n", |_| (), &[parity, task("digit", "digit")]);
    assert_eq!(parts.train.labels, [[1, 0, 1, 0], [0, 1, 2, 3]]);
    assert_eq!(parts.schema.targets[0].classes, ["odd", "even"]);
    assert_eq!(parts.schema.targets[0].groups, [["1", "3"], ["0", "2"]]);
}

#[test]
fn ignored_columns_and_targets_are_no_features() {
    let edit = |data: &mut Data| data.ignore = vec!["id".into()];
    let parts = csv_parts("id,a,y,z\nx1,0,0,1\nx2,1,1,0\n", edit, &[task("y", "y"), task("z", "z")]);
    let Input::Columns { columns } = &parts.schema.input else { panic!() };
    assert_eq!(columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["a"]);
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
        assert_eq!((&parts.train.features, &parts.train.labels), (&expected.train.features, &expected.train.labels), "{text:?}");
        assert_eq!(parts.schema, expected.schema, "{text:?}");
    }
}

#[test]
fn quoted_cells_may_hold_delimiters_quotes_and_line_ends() {
    let parts = csv_parts("\"a;b\",y\n1,\"p,1\"\n2,\"say \"\"q\"\"\n!\"\n", |_| (), &[task("y", "y")]);
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
    close(floats(&dataset), &[0.0, 1.0, 2.0, 0.0]);
    assert_eq!((dataset.rows, &dataset.labels), (2, &vec![vec![1, 0]]));
    assert_eq!(name, path.to_str().unwrap());
    let table = dataset.table.unwrap();
    assert_eq!(table.header, ["name", "b", "y", "a"]);
    assert_eq!(table.records[0].iter().collect::<Vec<_>>(), ["x", "4", " yes", "1"]);
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

// ---- split and order ----

#[test]
fn a_split_is_disjoint_complete_and_of_the_right_size() {
    let parts = split::split(10_000, [0.8, 0.1, 0.1], 0).unwrap();
    let mut all: Vec<u32> = parts.iter().flatten().copied().collect();
    all.sort_unstable();
    assert_eq!(all, (0..10_000).collect::<Vec<u32>>());
    // Four standard deviations of a binomial share of .8 and of .1.
    for (part, (expected, slack)) in parts.iter().zip([(8000, 160), (1000, 120), (1000, 120)]) {
        assert!(part.len().abs_diff(expected) < slack, "{}", part.len());
        assert!(part.is_sorted());
    }
    assert_eq!(parts, split::split(10_000, [8.0, 1.0, 1.0], 0).unwrap(), "shares are relative");
    assert_ne!(parts, split::split(10_000, [0.8, 0.1, 0.1], 1).unwrap());
}

#[test]
fn a_row_keeps_its_part_when_rows_are_appended() {
    let few = split::split(500, [0.5, 0.3, 0.2], 7).unwrap();
    let many = split::split(900, [0.5, 0.3, 0.2], 7).unwrap();
    for (few, many) in few.iter().zip(&many) {
        assert_eq!(few[..], many[..few.len()]);
        assert!(many[few.len()..].iter().all(|&row| row >= 500));
    }
}

#[test]
fn a_part_with_a_file_of_its_own_gets_no_share() {
    assert_eq!(split::shares_without([0.8, 0.1, 0.1], true, false), [0.8, 0.0, 0.1]);
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..90).map(|i| format!("{i},{}\n", i % 2)).collect();
    let mut data = data(Source::Csv(write(dir.path(), "train.csv", format!("a,y\n{rows}"))));
    data.valid = Some(Source::Csv(write(dir.path(), "valid.csv", "a,y\n1,1\n")));
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
    let edit = |data: &mut Data| (data.split, data.split_seed) = (Some([0.6, 0.2, 0.2]), 3);
    let parts = csv_parts(&format!("a,y\n{rows}"), edit, &[task("y", "y")]);
    let [train, valid, _] = split::split(60, [0.6, 0.2, 0.2], 3).unwrap();
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
    assert_eq!(parts.schema.input, Input::Image { height: 2, width: 3, scale: 1.0 / 255.0, overlay: None });
    assert_eq!(parts.hashes.len(), 2);
}

#[test]
fn overlaid_idx_images_come_from_their_own_part() {
    let files = mnist();
    let mut data = data(files.source());
    data.overlay = Some(Overlay { shift: 2, seed: 11 });
    data.test = Some(files.source());
    let parts = load(&data, &[task("l", "left"), task("r", "right")]).unwrap();
    assert_eq!(parts.schema.input, Input::Image { height: 4, width: 5, scale: 1.0 / 255.0, overlay: Some((2, 11)) });
    let test = parts.test.unwrap();
    for dataset in [&parts.train, &test] {
        for k in 0..6 {
            let canvas = &bytes(dataset)[k * 20..][..20];
            // The shift is as high as the images: the partner's top row stands alone in the third.
            let partner = (canvas[12] / 10) as usize;
            assert_eq!(canvas[..3], [0, 1, 2].map(|i| (k * 10 + i) as u8));
            assert_eq!(canvas[12..15], [0, 1, 2].map(|i| (partner * 10 + i) as u8));
            assert_eq!((dataset.labels[0][k], dataset.labels[1][k]), ((k % 3) as u32, (partner % 3) as u32));
        }
    }
    assert_ne!(parts.train.features, test.features, "each part draws its own partners");
    let (again, _) = load_with(&parts.schema, &files.text(), true).unwrap();
    assert_eq!((&again.features, &again.labels), (&test.features, &test.labels), "evaluate lays images as the test part does");
    let (unlabelled, _) = load_with(&parts.schema, files.images.to_str().unwrap(), false).unwrap();
    assert_eq!(unlabelled.features, test.features);
    assert!(unlabelled.labels.is_empty());
}

#[test]
fn idx_files_can_be_split() {
    let dir = tempfile::tempdir().unwrap();
    let pixels: Vec<u8> = (0..100).collect();
    let labels: Vec<u8> = (0..100).map(|i| i % 2).collect();
    let (images, labels) = (write(dir.path(), "i", idx(&[100, 1, 1], &pixels)), write(dir.path(), "l", idx(&[100], &labels)));
    let mut data = data(Source::Idx { images, labels });
    data.split = Some([0.5, 0.25, 0.25]);
    let parts = load(&data, &[task("y", "y")]).unwrap();
    let expected = split::split(100, [0.5, 0.25, 0.25], 0).unwrap();
    for (dataset, rows) in [parts.train, parts.valid.unwrap(), parts.test.unwrap()].iter().zip(&expected) {
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
    assert_eq!(pairs.finalize().to_hex().as_str(), "24737abda1de8a54598d97a039c94d2f7286b40f3a40de8db0f4a72282a100a1");
    assert_eq!(content.finalize().to_hex().as_str(), "88ecf7a8498ead69dfe99f99e9d399bc252a88b072cd3adc5e6ba08ac16453bd");
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
    let parts = load(&data(Source::BuiltIn("digits-overlay".into())), &[task("left", "left"), task("second", "right")]).unwrap();
    let (valid, test) = (parts.valid.unwrap(), parts.test.unwrap());
    assert_eq!([parts.train.rows, valid.rows, test.rows], [20_000, 3_000, 4_000]);
    assert_eq!(parts.schema.input, Input::Image { height: 12, width: 12, scale: 1.0 / 16.0, overlay: Some((4, 0)) });
    for target in &parts.schema.targets {
        assert_eq!(target.classes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    }
    assert_eq!(parts.train.row(0).iter().fold(0.0f32, |m, &x| m.max(x)), 1.0);
    for (text, expected) in [("digits-overlay:train", &parts.train), ("digits-overlay:valid", &valid), ("digits-overlay:test", &test)] {
        let (again, name) = load_with(&parts.schema, text, true).unwrap();
        assert_eq!((&again.features, &again.labels, name.as_str()), (&expected.features, &expected.labels, text));
    }
    // The first digits of the source file are 0 1 2 3 4 5 6 7 8 9.
    assert_eq!(digits::digits().unwrap().labels[0][..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn the_text_of_data_is_read_by_what_the_model_takes() {
    let columns = Schema::for_arrays(2, &[]).input;
    let image = digits::input();
    assert_eq!(parse_source("a,b", &columns).unwrap(), Given::Csv("a,b".into()));
    assert_eq!(parse_source("a,b", &image).unwrap(), Given::Idx("a".into(), Some("b".into())));
    assert_eq!(parse_source("a", &image).unwrap(), Given::Idx("a".into(), None));
    assert_eq!(parse_source("digits-overlay:valid", &columns).unwrap(), Given::Digits(Part::Valid));
    assert_eq!(parse_source("digits-overlay.csv", &columns).unwrap(), Given::Csv("digits-overlay.csv".into()));
    for text in ["digits-overlay", "digits-overlay:", "digits-overlay:all"] {
        assert_eq!(exit_of(&parse_source(text, &image).unwrap_err()) as i32, 2);
    }
    let files = mnist();
    let comma = write(files.dir.path(), "a,b", "");
    assert_eq!(parse_source(comma.to_str().unwrap(), &image).unwrap(), Given::Idx(comma, None));
}

// ---- arrays ----

#[test]
fn arrays_make_parts() {
    let schema = Schema::for_arrays(2, &[("a", &["x", "y"]), ("b", &["0", "1", "2"])]);
    let train = Dataset::from_arrays(2, vec![1.0, f32::NAN, 3.0, 4.0], vec![vec![0, 1], vec![2, UNLABELLED]]).unwrap();
    assert_eq!((train.rows, train.width(), train.row(1)), (2, 2, vec![3.0, 4.0]));
    assert!(train.row(0)[1].is_nan(), "values are not looked at");
    let parts = Parts::new(schema.clone(), train.clone(), None, Some(train)).unwrap();
    assert_eq!((parts.test.unwrap().rows, parts.schema), (2, schema));
}

#[test]
fn the_nearest_name_is_found() {
    let names = ["age", "income", "Education"];
    assert_eq!(columns::nearest("aeg", names.into_iter()), Some("age"));
    assert_eq!(columns::nearest("educatoin", names.into_iter()), Some("Education"));
    assert_eq!(columns::nearest("zzz", names.into_iter()), None);
}
