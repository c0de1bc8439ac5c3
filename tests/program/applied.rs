//! Data that a model is applied to is checked as strictly as training data: columns in several
//! files, types in several row groups, values that training did not have, first indices of sparse
//! files, order of arrays. Also: what `predict` and `evaluate` report about it, and where they
//! write.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::common::program::{Ran, Room};
use serde_json::{Value, json};
use tandem::config::read::from_text;
use tandem::config::{Config, Data, Source, Version};
use tandem::data::encode::applied::MatchReport;
use tandem::data::load::door::{chunk_with, chunks_of, load};
use tandem::data::table::options::Options;
use tandem::data::table::raw::{Raw, RawColumn};
use tandem::data::table::shape::CellKind;
use tandem::data::table::wholes::Width;
use tandem::data::write::parquet::Writer;
use tandem::data::{Reading, Schema};

// ---- helpers ----

/// A regression of `y` on all other columns that trains in a moment.
const NET: &str = "[data]\ntrain = \"t.csv\"\nsplit = [1.0, 0.0, 0.0]\n[trunk]\nlayers = \
                   [4]\n[task.y]\ntype = \"regression\"\n[train]\nepochs = 1\nbatch_size = 32\n";

/// Rows of a number, a category, a yes or no, and their sum.
fn rows(count: usize) -> String {
    let row = |i: usize| {
        let (x, sex, dep) =
            (i as f64 / 10.0 - 2.0, ["female", "male"][i % 2], ["HR", "Sales", "Tech"][i / 2 % 3]);
        format!("{sex},{dep},{x},{}\n", x + (i % 2) as f64)
    };
    "sex,dep,x,y\n".to_owned() + &(0..count).map(row).collect::<String>()
}

fn trained(table: &str) -> Room {
    let room = Room::new(NET);
    room.write("t.csv", table);
    room.train("run", &[]).expect(0);
    room
}

fn predict(room: &Room, args: &[&str]) -> Ran {
    room.on_reference(&[&["predict", "run"], args].concat())
}

fn document(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {ran:#?}"))
}

/// The files of a room whose name begins with a dot: temporary files that were left.
fn hidden(room: &Room) -> Vec<PathBuf> {
    let files = std::fs::read_dir(room.path(".")).unwrap().flatten().map(|entry| entry.path());
    files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with('.')).collect()
}

fn unpacked(bytes: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

// ---- columns across files ----

#[test]
fn files_of_a_pattern_have_the_same_columns() {
    let room = trained("x,c,y\n1,u,2\n2,v,4\n3,u,6\n4,v,8\n5,w,10\n6,w,12\n");
    room.write("part-1.csv", "x,c,y\n1,u,2\n2,v,4\n");
    room.write("part-2.csv", "c,y,x\nu,2,1\nv,4,2\n");
    room.write("more-1.csv", "x,c,y\n1,u,2\n2,v,4\n");
    room.write("more-2.csv", "x,c,y,extra\n1,u,2,7\n2,v,4,7\n");
    room.write("o.csv", "as it was");
    for out in [&[][..], &["--out", "o.csv"], &["--out", "o.parquet"], &["--json"]] {
        let moved = predict(&room, &[&["--data", "part-*.csv"], out].concat());
        // No row of the first file was printed.
        assert_eq!(moved.out, "");
        moved.refused(65, &["part-2.csv: column 1 is \"c\"", "part-1.csv it is \"x\""]);
        let wider = predict(&room, &[&["--data", "more-*.csv"], out].concat());
        wider.refused(65, &["more-2.csv: 4 columns", "more-1.csv has 3"]);
    }
    room.on_reference(&["evaluate", "run", "--data", "part-*.csv"])
        .refused(65, &["column 1 is \"c\""]);
    assert_eq!(
        (room.text("o.csv").as_str(), room.path("o.parquet").exists(), hidden(&room)),
        ("as it was", false, vec![])
    );
}

// ---- whole numbers ----

/// A file of three row groups; the column `id` has another type in each.
fn grouped(room: &Room, name: &str) -> Vec<Option<i128>> {
    let file = std::fs::File::create(room.path(name)).unwrap();
    let columns = [
        ("id", CellKind::Wholes(Width::Signed)),
        ("big", CellKind::Wholes(Width::Unsigned)),
        ("x", CellKind::Numbers),
    ];
    let mut writer =
        Writer::new(file, columns.map(|(name, kind)| (name.to_owned(), kind)).to_vec()).unwrap();
    let mut ids = Vec::new();
    for row in 0..150_000i128 {
        let id = match row >> 16 {
            0 => (row % 7 != 3).then_some(row),
            1 => Some((1 << 53) + 1 + row),
            _ => Some(-row),
        };
        writer.whole(0, id);
        writer.whole(1, Some(i128::from(u64::MAX) - row));
        writer.number(2, row as f64 / 1e5);
        writer.end_row().unwrap();
        ids.push(id);
    }
    writer.finish().unwrap();
    ids
}

fn wholes(table: &Raw, name: &str) -> Vec<Option<i128>> {
    match &table.columns[table.column(name).unwrap()] {
        RawColumn::Wholes(wholes) => (0..wholes.len()).map(|row| wholes.get(row)).collect(),
        other => panic!("{:?}", other.kind()),
    }
}

#[test]
fn whole_numbers_stay_whole_in_every_format() {
    let room = trained("x,y\n0,0\n0.5,1\n1,2\n1.5,3\n");
    let ids = grouped(&room, "big.parquet");
    let written =
        tandem::data::read::read(&[room.path("big.parquet")], &Options::default()).unwrap();
    assert_eq!(wholes(&written, "id"), ids);
    for out in ["o.csv", "o.jsonl", "o.parquet"] {
        predict(&room, &["--data", "big.parquet", "--out", out]).expect(0);
    }
    let (csv, jsonl) = (room.text("o.csv"), room.text("o.jsonl"));
    for (row, (csv, jsonl)) in csv.lines().skip(1).zip(jsonl.lines()).enumerate() {
        let (id, big) =
            (ids[row].map(|id| id.to_string()), (i128::from(u64::MAX) - row as i128).to_string());
        assert!(csv.starts_with(&format!("{},{big},", id.clone().unwrap_or_default())), "{csv}");
        let id = id.unwrap_or_else(|| "null".to_owned());
        assert!(jsonl.starts_with(&format!("{{\"id\":{id},\"big\":{big},\"x\":")), "{jsonl}");
    }
    let table = tandem::data::read::read(&[room.path("o.parquet")], &Options::default()).unwrap();
    assert_eq!(wholes(&table, "id"), ids);
    assert_eq!(table.columns[1].kind(), CellKind::Wholes(Width::Unsigned));
    assert_eq!(table.cell(149_999, 1), (u64::MAX - 149_999).to_string());
}

/// A `.npy` file of little-endian values in row order.
fn npy(descr: &str, shape: &str, bytes: Vec<u8>) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), &bytes]
        .concat()
}

fn doubles(shape: &str, values: impl Iterator<Item = f64>) -> Vec<u8> {
    npy("<f8", shape, values.flat_map(f64::to_le_bytes).collect())
}

#[test]
fn arrays_of_whole_numbers_are_written_as_such() {
    let room = Room::new(
        "[data]\ntrain = { features = \"x.npy\", labels = \"y.npy\" }\n[trunk]\nlayers = \
         [4]\n[task.y]\n[train]\nepochs = 1",
    );
    room.write(
        "x.npy",
        npy("<i4", "60, 2", (0..120i32).flat_map(|i| (i * 7 % 50).to_le_bytes()).collect()),
    );
    room.write("y.npy", npy("|u1", "60,", (0..60).map(|i| i % 2).collect()));
    room.train("run", &[]).expect(0);
    predict(&room, &["--data", "x.npy", "--out", "o.jsonl"]).expect(0);
    let first: Value = serde_json::from_str(room.text("o.jsonl").lines().nth(1).unwrap()).unwrap();
    assert!(first["features.0"].is_i64() && first["features.1"] == 21, "{first}");
    predict(&room, &["--data", "x.npy", "--out", "o.parquet"]).expect(0);
    let table = tandem::data::read::read(&[room.path("o.parquet")], &Options::default()).unwrap();
    assert_eq!(wholes(&table, "features.0")[..3], [Some(0), Some(14), Some(28)]);
}

/// One file of a pattern has a blank, so pandas wrote its whole numbers as floats; with the other
/// files they are one column, as in training.
#[test]
fn files_with_and_without_fractions_are_one_table() {
    let room = trained("x,y\n0,0\n1,1\n2,2\n3,3\n");
    for (name, kind) in
        [("p-1.parquet", CellKind::Wholes(Width::Signed)), ("p-2.parquet", CellKind::Numbers)]
    {
        let mut writer = Writer::new(
            std::fs::File::create(room.path(name)).unwrap(),
            vec![("x".to_owned(), kind)],
        )
        .unwrap();
        match kind {
            CellKind::Numbers => writer.number(0, 2.5),
            _ => writer.whole(0, Some(2)),
        }
        writer.end_row().unwrap();
        writer.finish().unwrap();
    }
    predict(&room, &["--data", "p-*.parquet", "--out", "o.parquet"]).expect(0);
    let table = tandem::data::read::read(&[room.path("o.parquet")], &Options::default()).unwrap();
    assert_eq!(table.columns[0], RawColumn::Numbers(vec![2.0, 2.5]));
}

// ---- what is said ----

#[test]
fn unknown_cells_are_counted_by_column() {
    let room = trained(&rows(60));
    room.write(
        "new.csv",
        "id,sex,dep,x\n1,Female,HR,1\n2,male,sales,\n3,female,tech,1\n4,M,Tech,2\n5,female,HR,\n",
    );
    let says = [
        "column \"sex\": 2 of 5 cells are neither \"female\" nor \"male\", such as \"Female\", \
         \"M\"",
        "column \"dep\": 2 of 5 cells are not among the 3 values of training, such as \"sales\", \
         \"tech\"",
        "column \"x\": 2 of 5 cells are blank, and none was in training",
        "columns that the model does not use are passed over: \"id\"",
    ];
    predict(&room, &["--data", "new.csv"]).expect(0).says(&says);
    predict(&room, &["--data", "new.csv", "--out", "o.csv"]).expect(0).says(&says);
    let counts = |unknown: usize, blank: usize| {
        json!({
            "unknown": unknown,
            "blank": blank,
            "out_of_range": 0,
            "cells": 5,
        })
    };
    let columns = json!({"sex": counts(2, 0), "dep": counts(2, 0), "x": counts(0, 2)});
    for args in [&["--json"][..], &["--json", "--out", "o.csv"]] {
        let found = document(
            &predict(&room, &[&["--data", "new.csv"], args].concat()).expect(0).says(&says),
        );
        assert_eq!(
            (&found["columns"], &found["passed_over"], &found["rows"]),
            (&columns, &json!(["id"]), &json!(5))
        );
    }
    // Labels are not reported, and neither are values as in training.
    room.write("same.csv", rows(12));
    let found = document(&predict(&room, &["--data", "same.csv", "--json"]).expect(0));
    assert_eq!((&found["columns"], &found["passed_over"]), (&json!({}), &json!([])));
    let quiet = predict(&room, &["--data", "same.csv"]).expect(0);
    assert!(!quiet.err.contains("column"), "{}", quiet.err);
    assert_eq!(predict(&room, &["--data", "new.csv", "-q"]).expect(0).err, "");
    room.write("labelled.csv", "sex,dep,x,y\nfemale,Ops,1,2\nmale,HR,2,3\n");
    let found =
        room.on_reference(&["evaluate", "run", "--data", "labelled.csv", "--json"]).expect(0);
    let found = document(&found.says(&["column \"dep\": 1 of 2 cells"]));
    assert_eq!(found["columns"]["dep"]["unknown"], 1);
}

#[test]
fn a_column_without_one_known_value_is_refused() {
    let room = trained(&rows(60));
    room.write("new.csv", "sex,dep,x,y\nFemale,HR,1,1\nMale,HR,2,1\n");
    room.write("o.csv", "as it was");
    let pieces = [
        "new.csv: column \"sex\": none of 2 cells",
        "\"Female\", \"Male\"",
        "\"female\", \"male\"",
        "--allow-unknown",
    ];
    let refused = predict(&room, &["--data", "new.csv"]);
    assert_eq!(refused.out, "");
    refused.refused(65, &pieces);
    predict(&room, &["--data", "new.csv", "--out", "o.csv"]).refused(65, &pieces);
    room.on_reference(&["evaluate", "run", "--data", "new.csv"]).refused(65, &pieces);
    assert_eq!((room.text("o.csv").as_str(), hidden(&room)), ("as it was", vec![]));
    predict(&room, &["--data", "new.csv", "--allow-unknown"])
        .expect(0)
        .says(&["column \"sex\": 2 of 2 cells are neither"]);
    room.on_reference(&["evaluate", "run", "--data", "new.csv", "--allow-unknown"])
        .expect(0)
        .says(&["column \"sex\""]);
    room.write("blank.csv", "sex,dep,x\nfemale,HR,\nmale,HR,\n");
    predict(&room, &["--data", "blank.csv"])
        .refused(65, &["column \"x\": all 2 cells are blank, and none was in training"]);
}

/// A column that is blank in every row is refused even if training had blanks.
#[test]
fn a_column_of_blanks_alone_is_refused_whatever_training_had() {
    let word = |i: usize| {
        ["red green blue house", "old tree by a lake", "new road to the sea", "cold rain and wind"]
            [i % 4]
    };
    let note = |i: usize| format!("{} {i}, {} {}", word(i), word(i / 4), i * 7);
    let dep = |i: usize| ["HR", "Sales", "Tech"][i % 3];
    let sex = |i: usize| ["f", "m"][i % 2];
    let day = |i: usize| format!("2020-01-{:02}", 1 + i % 28);
    let row = |i: usize| match i {
        // One blank in each column.
        7 => "1,,,,,\"\"\n".to_owned(),
        _ => format!(
            "{},{},{},{},{},\"{}\"\n",
            i as f64 / 7.0,
            i as f64 / 10.0,
            sex(i),
            dep(i),
            day(i),
            note(i)
        ),
    };
    let table = |count: usize| {
        "y,x,sex,dep,day,note\n".to_owned() + &(0..count).map(row).collect::<String>()
    };
    let room = trained(&table(120));
    let columns = ["x", "sex", "dep", "day", "note"];
    for (at, name) in columns.into_iter().enumerate() {
        let cells = ["0.5", "f", "HR", "2020-01-05", "old tree"]
            .into_iter()
            .enumerate()
            .map(|(c, cell)| if c == at { "" } else { cell });
        let line = format!("1,{}\n", cells.collect::<Vec<_>>().join(","));
        room.write("new.csv", "y,x,sex,dep,day,note\n".to_owned() + &line.repeat(2));
        let says = format!("column \"{name}\": all 2 cells are blank");
        for verb in ["predict", "evaluate"] {
            room.on_reference(&[verb, "run", "--data", "new.csv"])
                .refused(65, &["new.csv", &says, "--allow-unknown"]);
            room.on_reference(&[verb, "run", "--data", "new.csv", "--allow-unknown"])
                .expect(0)
                .says(&[&says]);
        }
        let found = document(
            &predict(&room, &["--data", "new.csv", "--allow-unknown", "--json"]).expect(0),
        );
        assert_eq!(found["columns"][name]["blank"], 2, "{found}");
    }
    // A blank beside a value is as in training.
    room.write(
        "new.csv",
        table(120).lines().take(9).map(|line| format!("{line}\n")).collect::<String>(),
    );
    let said = predict(&room, &["--data", "new.csv"]).expect(0).err;
    assert!(!said.contains("blank"), "{said}");
}

/// True and false are 1 and 0 in Parquet, and words in a text file of the same table.
#[test]
fn words_for_yes_and_no_match_a_column_trained_on_numbers() {
    let room = Room::new(&NET.replace("t.csv", "t.parquet"));
    let columns = [
        ("f", CellKind::Wholes(Width::Signed)),
        ("i", CellKind::Wholes(Width::Signed)),
        ("y", CellKind::Numbers),
    ];
    let file = std::fs::File::create(room.path("t.parquet")).unwrap();
    let mut writer =
        Writer::new(file, columns.map(|(name, kind)| (name.to_owned(), kind)).to_vec()).unwrap();
    for row in 0..60i128 {
        let (f, i) = (row * 7 % 3 % 2, row % 3);
        writer.whole(0, Some(f));
        writer.whole(1, Some(i));
        writer.number(2, (2 * f + i) as f64);
        writer.end_row().unwrap();
    }
    writer.finish().unwrap();
    room.train("run", &[]).expect(0);
    let of = |words: [&str; 2]| {
        room.write(
            "new.csv",
            (0..6)
                .map(|row| format!("{},{},1\n", words[row % 2], row % 3))
                .fold("f,i,y\n".to_owned(), |a, b| a + &b),
        );
        room.on_reference(&["evaluate", "run", "--data", "new.csv"]).expect(0);
        let out = predict(&room, &["--data", "new.csv"]).expect(0).out;
        out.lines().map(|line| line.rsplit(',').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let numbers = of(["0", "1"]);
    assert_ne!(numbers[1], numbers[2]);
    for words in [["False", "True"], ["no", "yes"], ["N", "Y"], ["0.0", "1.0"]] {
        assert_eq!(of(words), numbers, "{words:?}");
    }
    // Other words are refused, and so is another column.
    room.write("new.csv", "f,i\nmaybe,1\n");
    predict(&room, &["--data", "new.csv"])
        .refused(65, &["column \"f\": \"maybe\" is not a number"]);
    room.write("new.csv", "f,i\n1,True\n");
    predict(&room, &["--data", "new.csv"]).refused(65, &["column \"i\": \"True\" is not a number"]);
}

/// A table with dates of January 2020, written by `write`.
fn dated(count: usize, write: impl Fn(usize) -> String) -> String {
    "d,y\n".to_owned()
        + &(0..count).map(|i| format!("{},{i}\n", write(1 + i % 31))).collect::<String>()
}

#[test]
fn dates_far_out_of_range_are_reported() {
    let table = dated(62, |day| format!("2020-01-{day:02}"));
    let room = Room::new(&NET.replace("split", "valid = \"v.csv\"\nsplit"));
    room.write("t.csv", &table);
    // The deviation of the days 1 to 31 is sqrt((31^2 - 1) / 12) = 8.94 days.
    room.write("v.csv", "d,y\n2020-02-09,1\n2020-02-08,1\n2019-12-24,1\n2019-12-22,1\n");
    let far = "2 of 4 dates of the valid part lie far outside of 2020-01-01 to 2020-01-31, on \
               which it was fitted, and are taken as they are";
    room.train("run", &[]).expect(0).says(&[far]);
    room.train("disk", &["--set", "data.memory=20KB", "--data-cache", "off"])
        .expect(0)
        .says(&[far]);
    let says = "column \"d\": 2 of 4 cells are far out of the range of training, such as \
                \"2020-02-09\", \"2019-12-22\"";
    let found = document(&predict(&room, &["--data", "v.csv", "--json"]).expect(0).says(&[says]));
    assert_eq!(
        found["columns"]["d"],
        json!({"unknown": 0, "blank": 0, "out_of_range": 2, "cells": 4})
    );
    // Such dates are reported, but not moved into the range: without the range in the schema the
    // model predicts the same.
    let path = room.path("run/model/schema.json");
    let before = predict(&room, &["--data", "v.csv"]).expect(0).out;
    let mut schema: Value = serde_json::from_str(&room.text("run/model/schema.json")).unwrap();
    schema["input"]["columns"][0].as_object_mut().unwrap().remove("range").unwrap();
    std::fs::write(path, schema.to_string()).unwrap();
    let ran = predict(&room, &["--data", "v.csv"]).expect(0);
    assert!(ran.out == before && !ran.err.contains("range"), "{ran:#?}");
}

/// A date that begins with the year is never meant as a day first, so every model reads it.
#[test]
fn dates_with_the_year_first_are_read_by_every_model() {
    let writings: [fn(usize) -> String; 2] =
        [|day| format!("{day}/1/2020"), |day| format!("1/{day}/2020")];
    for write in writings {
        let room = trained(&dated(62, write));
        room.write("own.csv", dated(31, write));
        room.write("iso.csv", dated(31, |day| format!("2020-01-{day:02}")));
        room.write("time.csv", dated(31, |day| format!("2020-01-{day:02}T00:00:00")));
        let last = |name: &str| {
            let out = predict(&room, &["--data", name]).expect(0).out;
            out.lines().map(|line| line.rsplit(',').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!((last("iso.csv"), last("time.csv")), (last("own.csv"), last("own.csv")));
    }
}

#[test]
fn validation_files_are_reported_on_too() {
    let room = Room::new(&NET.replace(
        "split = [1.0, 0.0, 0.0]",
        "valid = \"v.csv\"\nsplit = [1.0, 0.0, 0.0]\nignore = [\"id\"]",
    ));
    let with_id = |text: &str| {
        text.lines()
            .enumerate()
            .map(|(i, l)| format!("{},{l}\n", if i == 0 { "id" } else { "7" }))
            .collect::<String>()
    };
    room.write("t.csv", with_id(&rows(60)));
    room.write("v.csv", "new,id,sex,dep,x,y\n1,2,female,hr,1,1\n1,2,male,Tech,2,1\n");
    let says = ["valid: column \"dep\": 1 of 2 cells are not among the 3 values of training, \
                 such as \"hr\""];
    let ran = room
        .train("run", &[])
        .expect(0)
        .says(&says)
        .says(&["valid: columns that the model does not use are passed over: \"new\""]);
    assert!(!ran.err.contains("passed over: \"id\""), "{}", ran.err);
    // Ignored columns are not reported later either; dropped columns are.
    room.write("both.csv", "id,same,new,sex,dep,x\n7,1,2,female,HR,1\n");
    let found = document(&predict(&room, &["--data", "both.csv", "--json"]).expect(0));
    assert_eq!(found["passed_over"], json!(["same", "new"]));
    // In chunks it is the same.
    room.train("disk", &["--set", "data.memory=20KB", "--data-cache", "off"]).expect(0).says(&says);
}

/// The counts of several chunks add up to those of the whole table.
#[test]
fn counts_of_chunks_add_up() {
    let room = trained(&rows(60));
    let schema = tandem::model::file::load(&room.path("run/model")).unwrap().schema;
    let line = |i: usize| {
        format!(
            "{i},{},{},{}\n",
            ["male", "M"][i % 2],
            ["HR", "hr", "Ops", "", "x"][i % 5],
            ["1", "", "3"][i % 3]
        )
    };
    room.write("new.csv", "id,sex,dep,x\n".to_owned() + &(0..500).map(line).collect::<String>());
    let path = room.path("new.csv");
    let met = |bytes: u64| {
        let (mut met, mut count) = (MatchReport::default(), 0);
        for chunk in chunks_of(&schema, path.to_str().unwrap(), bytes).unwrap().unwrap() {
            met.add(chunk_with(&schema, chunk.unwrap()).unwrap().table.unwrap().matched);
            count += 1;
        }
        (met, count)
    };
    let ((whole, one), (parts, many)) = (met(u64::MAX), met(300));
    assert!(one == 1 && many > 10 && whole == parts, "{many}: {whole:?} {parts:?}");
    let counts = |at: usize| (whole.columns[at].unknown, whole.columns[at].unexpected_blanks);
    assert_eq!([counts(0), counts(1), counts(2)], [(250, 0), (300, 100), (0, 167)]);
}

/// Files of 0.1.0 keep their meaning: columns of arrays are named after the files, and their schema
/// has no new keys.
#[test]
fn columns_of_arrays_keep_the_names_of_version_0_1() {
    let room = Room::new("");
    pair(&room, "x.npy", "y.npy");
    room.write("t.svm", sparse(1) + "1\n");
    let task = |target: &str| {
        read(&format!("[data]\ntrain = \"x.csv\"\n[task.t]\ntarget = \"{target}\"\n")).tasks
    };
    let arrays = Source::Npy { features: room.path("x.npy"), labels: room.path("y.npy") };
    let of = |train: Source, target: &str, version: Version| {
        let data = Data {
            version,
            ignore: vec![if target == "label" { "2" } else { "y0" }.to_owned()],
            ..Data::new(train)
        };
        load(&data, &task(target)).unwrap().schema
    };
    for (train, target) in [(arrays, "y1"), (Source::Table(vec![room.path("t.svm")]), "label")] {
        let [old, new] =
            [Version::V0_1, Version::V0_2].map(|version| of(train.clone(), target, version));
        assert_eq!((&old.reading, &old.targets[0].columns[0][..]), (&Reading::default(), target));
        assert_ne!(new.reading, old.reading);
        let names = |schema: &Schema| {
            serde_json::to_value(schema).unwrap()["input"]["columns"][0]["name"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let expected = if target == "label" { ["1", "1"] } else { ["x0", "features.0"] };
        assert_eq!([names(&old), names(&new)], expected);
    }
}

fn read(text: &str) -> Config {
    from_text(text, "net.toml", Path::new("/"), &[]).unwrap()
}

// ---- SVMlight ----

/// Lines with indices from `first` on, in which the first and the last index occur.
fn sparse(first: usize) -> String {
    let line = |i: usize| {
        format!(
            "{} {}:{} {}:1.5\n",
            if i.is_multiple_of(3) { 1 } else { -1 },
            first + i % 3,
            1 + i % 5,
            first + 3
        )
    };
    (0..60).map(line).collect()
}

#[test]
fn sparse_files_are_counted_from_one_index() {
    for (trained, other, says) in [
        (1, 0, "index 0 occurs"),
        (0, 1, "the indices are 1 to 4, those of the training data are 0 to 3"),
    ] {
        let room = Room::new(
            "[data]\ntrain = \"t.svm\"\n[trunk]\nlayers = [4]\n[task.t]\ntarget = \"label\"\ntype \
             = \"binary\"\n[train]\nepochs = 1",
        );
        // The last index is in all lines except one, so that it is not a constant.
        room.write("t.svm", sparse(trained) + "1\n");
        room.write("o.svm", sparse(other));
        room.train("run", &[]).expect(0);
        for verb in ["evaluate", "predict"] {
            room.on_reference(&[verb, "run", "--data", "t.svm"]).expect(0);
            room.on_reference(&[verb, "run", "--data", "o.svm"]).refused(65, &["o.svm", says]);
        }
        room.train("other", &["--set", "data.test=o.svm"]).refused(65, &["o.svm", says]);
    }
}

#[test]
fn sparse_files_of_a_pattern_are_counted_from_one_index() {
    let net = "[data]\ntrain = \"q-*.svm\"\n[trunk]\nlayers = [4]\n[task.t]\ntarget = \
               \"label\"\ntype = \"binary\"\n[train]\nepochs = 1";
    let room = Room::new(net);
    for (one, other) in [(0, 1), (1, 0)] {
        room.write("q-1.svm", sparse(one));
        room.write("q-2.svm", sparse(other) + "1\n");
        let says = format!("q-{}.svm: the indices are 1 to 4, in ", 2 - one);
        room.train("run", &[])
            .refused(65, &[&says, "they are 0 to 3: one counts from 1, the other from 0"]);
    }
    // Index 0 does not occur in these rows, and they end where the others do: they are a part of a
    // table that begins at 0.
    room.write("q-1.svm", sparse(0));
    room.write("q-2.svm", "1 2:1 3:2\n-1 3:3\n");
    room.train("run", &[]).expect(0);
}

#[test]
fn unknown_and_missing_indices_are_reported() {
    let room = Room::new(
        "[data]\ntrain = \"t.svm\"\n[trunk]\nlayers = [4]\n[task.t]\ntarget = \"label\"\ntype = \
         \"binary\"\n[train]\nepochs = 1",
    );
    room.write("t.svm", sparse(1) + "1\n");
    room.write("new.svm", "1 1:1 4:2\n-1 2:1 9:3\n");
    room.write("two.svm", "1,0 1:1\n0,1 2:1\n");
    room.train("run", &[]).expect(0);
    let found = predict(&room, &["--data", "new.svm", "--json"]).expect(0);
    let found = document(
        &found.says(&["passed over: \"9\"", "indices of the model that occur in no row: \"3\""]),
    );
    assert_eq!((&found["passed_over"], &found["absent"]), (&json!(["9"]), &json!(["3"])));
    room.write("other.svm", "1 8:1\n-1 9:3\n");
    let says = "other.svm: none of the 4 indices of the model occurs: \"1\", \"2\", \"3\", \"4\"";
    for verb in ["predict", "evaluate"] {
        room.on_reference(&[verb, "run", "--data", "other.svm"])
            .refused(65, &[says, "--allow-unknown"]);
        let allowed =
            room.on_reference(&[verb, "run", "--data", "other.svm", "--allow-unknown"]).expect(0);
        allowed.says(&["indices of the model that occur in no row: \"1\", \"2\", \"3\", \"4\""]);
    }
    // A missing label is not a label of zero.
    room.on_reference(&["evaluate", "run", "--data", "two.svm"])
        .refused(65, &["column missing: \"label\""]);
}

// ---- where it is written ----

#[test]
fn formats_follow_endings() {
    let room = trained("x,c,y\n1,\"a\tb\",2\n2,\"c,d\",4\n3,\"a\tb\",6\n4,\"c,d\",8\n");
    let printed = predict(&room, &["--data", "t.csv"]).expect(0).out;
    for name in ["o.csv.gz", "o.tsv", "o.tsv.gz", "o.jsonl.gz", "o.ndjson", "o.CSV"] {
        predict(&room, &["--data", "t.csv", "--out", name]).expect(0);
    }
    assert_eq!(unpacked(&room.bytes("o.csv.gz")), printed);
    assert_eq!(room.text("o.CSV"), printed);
    assert_eq!(room.text("o.tsv").lines().take(3).collect::<Vec<_>>()[0], "x\tc\ty\ty:predicted");
    assert!(
        room.text("o.tsv").contains("1\t\"a\tb\"\t2\t")
            && room.text("o.tsv").contains("2\tc,d\t4\t"),
        "{}",
        room.text("o.tsv")
    );
    assert_eq!(unpacked(&room.bytes("o.tsv.gz")), room.text("o.tsv"));
    assert_eq!(unpacked(&room.bytes("o.jsonl.gz")), room.text("o.ndjson"));
    // The written file can be read again.
    let again = tandem::data::read::read(&[room.path("o.tsv")], &Options::default()).unwrap();
    assert_eq!(
        (again.cell(0, 1).into_owned(), again.cell(1, 1).into_owned()),
        ("a\tb".to_owned(), "c,d".to_owned())
    );
    let tabs = predict(&room, &["--data", "t.csv", "--format", "tsv"]).expect(0).out;
    assert_eq!(tabs, room.text("o.tsv"));
    for name in ["o.json", "o.xlsx", "o", "o.gz", "o.txt"] {
        // These flags are refused before anything is read: the data does not even exist.
        predict(&room, &["--data", "gone.csv", "--out", name])
            .refused(2, &[name, ".csv, .tsv, .jsonl", ".parquet", "--format"]);
        assert!(!room.path(name).exists());
    }
    predict(&room, &["--data", "t.csv", "--out", "o.parquet.gz"]).refused(2, &["o.parquet.gz"]);
    predict(&room, &["--data", "t.csv", "--out", "o.txt", "--format", "csv"]).expect(0);
    assert_eq!(room.text("o.txt"), printed);
}

#[test]
fn an_existing_file_stays_until_the_new_one_is_complete() {
    let room = trained(&rows(40));
    room.write("old.csv", "as it was");
    // The error comes in the second chunk of the file.
    let mut long = rows(40);
    let line = long.lines().nth(1).unwrap().to_owned() + "\n";
    long.push_str(&line.repeat((70 << 20) / line.len()));
    room.write("long.csv", long + "female,HR,word,1\n");
    let ran = predict(&room, &["--data", "long.csv", "--out", "old.csv"]);
    ran.refused(65, &["\"word\" is not a number"]);
    assert_eq!((room.text("old.csv").as_str(), hidden(&room)), ("as it was", vec![]));
}

#[cfg(unix)]
#[test]
fn a_signal_leaves_nothing_half_written() {
    let room = trained(&rows(40));
    room.write("old.csv", "as it was");
    room.write("long.csv", rows(40) + &"female,HR,1,1\n".repeat(1_000_000));
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let args = [
            "predict",
            "run",
            "--data",
            "long.csv",
            "--out",
            "old.csv",
            "--device",
            "reference",
            "-q",
        ];
        let mut child = room.command(&args).spawn().unwrap();
        while hidden(&room).is_empty() {
            assert_eq!(child.try_wait().unwrap(), None, "it ended before it wrote");
            std::thread::sleep(Duration::from_millis(1));
        }
        // Lets the program start the thread that removes the file.
        std::thread::sleep(Duration::from_millis(50));
        crate::common::program::signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert_eq!((room.text("old.csv").as_str(), hidden(&room)), ("as it was", vec![]));
    }
}

#[cfg(unix)]
#[test]
fn links_devices_and_modes_are_kept() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let room = trained(&rows(40));
    room.write("real.csv", "as it was");
    std::fs::set_permissions(room.path("real.csv"), PermissionsExt::from_mode(0o600)).unwrap();
    symlink("real.csv", room.path("link.csv")).unwrap();
    symlink("later.csv", room.path("dangling.csv")).unwrap();
    let printed = predict(&room, &["--data", "t.csv"]).expect(0).out;
    for (name, file) in [("link.csv", "real.csv"), ("dangling.csv", "later.csv")] {
        predict(&room, &["--data", "t.csv", "--out", name]).expect(0);
        assert!(std::fs::symlink_metadata(room.path(name)).unwrap().is_symlink());
        assert_eq!(room.text(file), printed);
    }
    assert_eq!(
        std::fs::metadata(room.path("real.csv")).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(predict(&room, &["--data", "t.csv", "--out", "/dev/stdout"]).expect(0).out, printed);
    predict(&room, &["--data", "t.csv", "--out", "t.csv"]).refused(73, &["is one of the files"]);
    predict(&room, &["--data", "t*.csv", "--out", "t.csv"]).refused(73, &["is one of the files"]);
}

// ---- arrays ----

/// Writes 60 rows of two features and two labels.
fn pair(room: &Room, features: &str, labels: &str) {
    room.write(features, doubles("60, 2", (0..120).map(|i| (i * 37 % 101) as f64 / 50.0)));
    room.write(labels, doubles("60, 2", (0..120).map(|i| (i % 3) as f64)));
}

const PAIR: &str = "[data]\ntrain = { features = \"x_train.npy\", labels = \"y_train.npy\" \
                    }\n[trunk]\nlayers = [4]\n[train]\nepochs = 1\n";

#[test]
fn columns_of_arrays_are_identified_by_their_position() {
    for target in ["y_train1", "labels.1"] {
        let room = Room::new(&format!(
            "{PAIR}[task.t]\ntarget = \"{target}\"\n[feature.\"x_train0\"]\nscale = \"none\"\n"
        ));
        pair(&room, "x_train.npy", "y_train.npy");
        pair(&room, "x_test.npy", "y_test.npy");
        room.train("run", &["--set", "data.ignore=[\"labels.0\"]"]).expect(0);
        let schema: Value = serde_json::from_str(&room.text("run/model/schema.json")).unwrap();
        assert_eq!(schema["targets"][0]["columns"], json!(["labels.1"]));
        let names = |at: usize| schema["input"]["columns"][at]["name"].clone();
        assert_eq!((names(0), names(1)), (json!("features.0"), json!("features.1")));
        assert_eq!(schema["input"]["columns"][0]["scale"], "none");
        // The same numbers under another name give the same predictions.
        let out = |data: &str| predict(&room, &["--data", data]).expect(0).out;
        assert_eq!(out("x_test.npy"), out("x_train.npy"));
        room.on_reference(&["evaluate", "run", "--data", "x_test.npy,y_test.npy"]).expect(0);
        let says =
            ["x_test.npy: the array of features has no labels", "--data FEATURES.npy,LABELS.npy"];
        room.on_reference(&["evaluate", "run", "--data", "x_test.npy"]).refused(65, &says);
        room.write("x3.npy", doubles("60, 3", (0..180).map(f64::from)));
        predict(&room, &["--data", "x3.npy"])
            .refused(65, &["x3.npy: the array has 3 columns, that of the training data has 2"]);
        room.on_reference(&["evaluate", "run", "--data", "x_test.npy,x3.npy"])
            .refused(65, &["x3.npy: the array has 3 columns"]);
        // The configuration that the run wrote gives the same.
        room.on_reference(&["train", "run/config.toml", "--out", "again"]).expect(0);
        assert_eq!(
            room.bytes("run/model/model.safetensors"),
            room.bytes("again/model/model.safetensors")
        );
        // In chunks too.
        let sets = ["data.memory=20KB", "data.ignore=[\"y_train0\"]"];
        room.train("disk", &["--set", sets[0], "--set", sets[1], "--data-cache", "off"]).expect(0);
        assert_eq!(room.text("run/model/schema.json"), room.text("disk/model/schema.json"));
    }
}

#[test]
fn other_pairs_of_arrays_may_have_other_names() {
    let net = PAIR.replace(
        "}\n[trunk]",
        "}\ntest = { features = \"x_test.npy\", labels = \"y_test.npy\" }\n[trunk]",
    );
    let room = Room::new(&format!(
        "{net}[task.t]\ntarget = [\"y_train0\", \"y_train1\"]\ntype = \"regression\"\n"
    ));
    pair(&room, "x_train.npy", "y_train.npy");
    pair(&room, "x_test.npy", "y_test.npy");
    room.train("run", &[]).expect(0);
    room.write("x_test.npy", doubles("60, 3", (0..180).map(f64::from)));
    room.train("other", &[]).refused(65, &["x_test.npy: the array has 3 columns"]);
    room.train("twice", &["--set", "task.t.target=[\"labels.0\", \"y_train0\"]"])
        .refused(78, &["task.t.target", "\"labels.0\" twice"]);
}

#[test]
fn columns_of_arrays_may_be_named() {
    let net = PAIR.replace(
        "y_train.npy\" }",
        "y_train.npy\", label_names = [\"a\", \"b\"], feature_names = [\"age\", \"height\"] }",
    );
    let room = Room::new(&format!("{net}[task.b]\n[feature.age]\nscale = \"robust\"\n"));
    pair(&room, "x_train.npy", "y_train.npy");
    room.train("run", &["--set", "data.ignore=[\"a\"]"]).expect(0);
    let printed = predict(&room, &["--data", "x_train.npy"]).expect(0).out;
    assert!(printed.starts_with("age,height,b,b:0"), "{printed}");
    assert!(
        room.text("run/config.toml").contains("label_names = [\"a\", \"b\"]"),
        "{}",
        room.text("run/config.toml")
    );
    room.on_reference(&["train", "run/config.toml", "--out", "again"]).expect(0);
    assert_eq!(
        room.bytes("run/model/model.safetensors"),
        room.bytes("again/model/model.safetensors")
    );
    // A label that no task learns is no feature.
    let ran = room.train("leak", &[]).expect(0);
    ran.says(&["column \"a\" of an array of labels is learned by no task: it is dropped"]);
    let printed = room.on_reference(&["predict", "leak", "--data", "x_train.npy"]).expect(0).out;
    assert!(printed.starts_with("age,height,b"), "{printed}");
    room.train("named", &["--set", "feature.a.type=numeric"])
        .refused(78, &["feature.a", "is a column of an array of labels"]);
    let set = |value: &str| format!("data.train.label_names={value}");
    room.train("few", &["--set", &set("[\"a\"]")])
        .refused(78, &["data.train.label_names: 1 names", "y_train.npy has 2 columns"]);
    room.train("same", &["--set", &set("[\"age\", \"b\"]")])
        .refused(78, &["data.train.label_names", "\"age\""]);
}

#[test]
fn names_of_one_letter_do_not_collide() {
    let nearest =
        |name: &str, names: &[&'static str]| tandem::text::nearest(name, names.iter().copied());
    assert_eq!(nearest("u", &["features.2", "v", "vu"]), None);
    assert_eq!(nearest("features.2", &["u", "fe"]), None);
    assert_eq!((nearest("X1", &["x2", "x1"]), nearest("U", &["u"])), (Some("x1"), Some("u")));
    assert_eq!(
        (nearest("aeg", &["ae", "age"]), nearest("w", &["x", "ww"])),
        (Some("age"), Some("ww"))
    );
}

#[test]
fn columns_of_one_array_are_identified_by_position_too() {
    let room = Room::new(
        "[data]\ntrain = \"all.npy\"\n[trunk]\nlayers = [4]\n[task.t]\ntarget = \
         \"all2\"\n[train]\nepochs = 1\n",
    );
    room.write(
        "all.npy",
        doubles(
            "60, 3",
            (0..180).map(|i| (i * 37 % 101 % (7 - 5 * usize::from(i % 3 == 2))) as f64),
        ),
    );
    room.write("new.npy", doubles("4, 2", (0..8).map(f64::from)));
    room.write("wide.npy", doubles("4, 4", (0..16).map(f64::from)));
    room.write("narrow.npy", doubles("4,", (0..4).map(f64::from)));
    room.train("run", &[]).expect(0);
    assert!(predict(&room, &["--data", "new.npy"]).expect(0).out.starts_with("0,1,t,"));
    predict(&room, &["--data", "wide.npy"]).refused(65, &["wide.npy: the array has 4 columns"]);
    predict(&room, &["--data", "narrow.npy"]).refused(65, &["column missing: \"1\""]);
}

/// Folds find the columns of arrays under both names that a configuration may use, as a single
/// training run does.
#[test]
fn folds_accept_both_names_of_columns_of_arrays() {
    let room = Room::new("");
    pair(&room, "x_a.npy", "y_a.npy");
    for target in ["y_a1", "labels.1"] {
        let aside = target.replace('1', "0");
        room.write(
            "k.toml",
            format!(
                "[data]\ntrain = {{ features = \"x_a.npy\", labels = \"y_a.npy\" }}\nignore = \
                 [\"{aside}\"]\n[task.t]\ntype = \"regression\"\ntarget = \
                 \"{target}\"\n[train]\nepochs = 1\n"
            ),
        );
        let out = format!("run-{target}");
        room.on_reference(&["train", "k.toml", "--k-fold", "2", "--out", &out]).expect(0);
        assert!(room.text(&format!("{out}/folds.csv")).lines().count() > 2);
    }
}
