//! The readers of raw tables: what they read from files made by hand or by other programs, and what
//! they refuse. Every refusal is a fault with an exit code, a place and a hint; no reader panics or
//! allocates much, whatever bytes it is given.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::allocated::allocated;
use tandem::data::read::glob::expand;
use tandem::data::read::{npy, parquet, svmlight, text};
use tandem::data::read::{read, read_pair, read_text};
use tandem::data::table::options::{Header, Options};
use tandem::data::table::raw::{Raw, RawColumn};
use tandem::fault::{Exit, exit_of, hint_of};

// ---- helpers ----

fn write(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn given(delimiter: Option<u8>, header: Header) -> Options {
    Options { delimiter, header, ..Options::default() }
}

fn csv(text: impl AsRef<[u8]>) -> Raw {
    read_text(text.as_ref(), "standard input", &Options::default()).unwrap()
}

fn rows(table: &Raw) -> Vec<Vec<String>> {
    (0..table.rows)
        .map(|row| {
            (0..table.names.len()).map(|column| table.cell(row, column).into_owned()).collect()
        })
        .collect()
}

fn numbers(table: &Raw) -> Vec<Vec<f64>> {
    let numbers = |column: usize| match &table.columns[column] {
        RawColumn::Numbers(numbers) => numbers.clone(),
        RawColumn::Wholes(wholes) => {
            (0..wholes.len()).map(|row| wholes.get(row).map_or(f64::NAN, |n| n as f64)).collect()
        }
        RawColumn::Texts(_) => panic!("text"),
    };
    (0..table.columns.len()).map(numbers).collect()
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

#[track_caller]
fn check(name: &str, result: anyhow::Result<Raw>, exit: Exit, pieces: &[&str], hint: &str) {
    let Err(error) = result else { panic!("{name} was accepted") };
    let message = error.to_string();
    assert_eq!(exit_of(&error), exit, "{name}: {message}");
    for piece in pieces {
        assert!(message.contains(piece), "{name}: {message:?} does not say {piece:?}");
    }
    let found = hint_of(&error).unwrap_or_else(|| panic!("{name}: no hint"));
    assert!(found.contains(hint), "{name}: hint {found:?} does not say {hint:?}");
    assert!(
        !message.chars().chain(found.chars()).any(char::is_control),
        "{name}: control characters in {message:?} / {found:?}"
    );
}

/// Numbers without a pattern.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

// ---- text ----

#[test]
fn a_plain_table() {
    let table = csv("\u{feff}a, b ,c\n1, x y ,\"p, \"\"q\"\"\"\r\n\r\n2,\"two\nlines\",\"\"\n  \
                     ,\u{a0}é\u{3000},\"r\"s\"t\n");
    assert_eq!(table.names, ["a", "b", "c"]);
    assert_eq!(
        rows(&table),
        [["1", "x y", "p, \"q\""], ["2", "two\nlines", ""], ["", "é", "rs\"t"]]
    );
    assert_eq!((table.rows, table.column("b"), table.column("z")), (3, Some(1), None));
    assert_eq!(
        (0..3).map(|row| table.locate(row)).collect::<Vec<_>>(),
        ["standard input:2", "standard input:4", "standard input:6"]
    );
    assert_eq!(table.cell(7, 0), "");
    assert_eq!(table.cell(0, 7), "");
}

#[test]
fn line_numbers_are_those_of_an_editor() {
    let table = csv("a,b\r1,2\r\r3,4\r\n5,\"6\r\n\n\r\"\n7,8");
    assert_eq!(
        (0..4).map(|row| table.locate(row)).collect::<Vec<_>>(),
        [2, 4, 5, 9].map(|line| format!("standard input:{line}"))
    );
    let many = "1,2\r\n".repeat(200_000);
    let table = csv(format!("a,b\n{many}\r\n3,4\r\n"));
    assert_eq!(table.locate(199_999), "standard input:200001");
    assert_eq!(table.locate(200_000), "standard input:200003");
}

#[test]
fn delimiters_are_found() {
    for delimiter in [",", ";", "\t", "|"] {
        let table = csv(format!("a{delimiter}b\n1{delimiter}2\n"));
        assert_eq!(table.names, ["a", "b"], "{delimiter:?}");
    }
    // Decimal commas, commas in quotes, and a single column.
    assert_eq!(csv("a;b\n1,5;2,5\n").names, ["a", "b"]);
    assert_eq!(csv("\"a, b, c\";d\n1;2\n").names, ["a, b, c", "d"]);
    assert_eq!(rows(&csv("a\n1;2\n3\n")), [["1;2"], ["3"]]);
    let dir = tempfile::tempdir().unwrap();
    let tabs = write(dir.path(), "x.tsv", "a,b\tc\n1,2\t3\n");
    assert_eq!(read(&[tabs], &Options::default()).unwrap().names, ["a,b", "c"]);
    let options = given(Some(b':'), Header::First);
    assert_eq!(read_text("a:b,c\n1:2\n".as_bytes(), "x", &options).unwrap().names, ["a", "b,c"]);
}

#[test]
fn headers_may_be_given_or_missing() {
    let none = read_text("1,2\n3,4\n".as_bytes(), "x", &given(None, Header::None)).unwrap();
    assert_eq!(
        (&none.names[..], none.rows, none.locate(1)),
        (&["0".to_owned(), "1".into()][..], 2, "x:2".to_owned())
    );
    let named = read_text(
        "1,2\n".as_bytes(),
        "x",
        &given(None, Header::Given(vec!["p".into(), "q".into()])),
    )
    .unwrap();
    assert_eq!(
        (rows(&named), named.column("q")),
        (vec![vec!["1".to_owned(), "2".into()]], Some(1))
    );
}

#[test]
fn gzip_is_unpacked_and_hashed_packed() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = gzip(b"a,b\n1,2\n");
    let path = write(dir.path(), "x.csv.gz", &bytes);
    let table = read(std::slice::from_ref(&path), &Options::default()).unwrap();
    assert_eq!(rows(&table), [["1", "2"]]);
    assert_eq!(
        table.hashes,
        [(path.display().to_string(), blake3::hash(&bytes).to_hex().to_string())]
    );
    let text = "a,b\n".to_owned() + &"12345,67890\n".repeat(100_000);
    assert_eq!(csv(gzip(text.as_bytes())).rows, 100_000);
}

/// The records that the `csv` crate finds, with spaces around cells removed.
fn records(text: &str, delimiter: u8) -> Vec<Vec<String>> {
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    reader
        .records()
        .map(|record| record.unwrap().iter().map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

#[test]
fn cells_are_those_of_the_csv_crate() {
    let mut noise = Noise(1);
    let (mut accepted, mut wide) = (0, 0);
    for _ in 0..40_000 {
        let pieces =
            ["a", "\"", "\"\"", ",", ",", "\n", "\r", "\r\n", " ", "ä", "1.5", "long text here"];
        let text: String = (0..noise.below(60)).map(|_| *noise.of(&pieces)).collect();
        let read = |size| text::read(text.as_bytes(), "x", size, &given(Some(b','), Header::None));
        // A small size makes windows of 64 bytes.
        let (whole, pieces) = (read(text.len() as u64), read(1));
        assert_eq!(
            whole.as_ref().map_err(|e| e.to_string()).map(rows),
            pieces.as_ref().map_err(|e| e.to_string()).map(rows),
            "{text:?}"
        );
        let Ok(table) = pieces else { continue };
        assert_eq!(rows(&table), records(&text, b','), "{text:?}");
        accepted += 1;
        wide += usize::from(table.names.len() > 1);
    }
    assert!(accepted > 2000 && wide > 200, "{accepted} {wide}");
}

#[test]
fn cells_at_the_edges_of_windows() {
    // Windows have 256 KiB: over many windows, every kind of byte is at an edge once.
    let mut noise = Noise(2);
    for _ in 0..6 {
        let (mut text, mut lines, mut line) = (String::from("a,b,c\n"), Vec::new(), 2);
        while text.len() < 2 << 20 {
            let quoted = ["\"two\r\nlines\"", "\"a \"\"b\"\"\"", "\"\""];
            let cells = ["x", "", quoted[0], quoted[1], "äöüß€", "0.123456789", quoted[2]];
            let record: Vec<&str> = (0..3).map(|_| *noise.of(&cells)).collect();
            lines.push(line);
            line += 1 + record.concat().matches('\n').count();
            text = text + &record.join(",") + *noise.of(&["\n", "\r\n"]);
        }
        let table = csv(&text);
        assert_eq!(rows(&table), records(&text, b',')[1..]);
        assert!(
            lines
                .iter()
                .enumerate()
                .all(|(row, line)| table.locate(row) == format!("standard input:{line}"))
        );
    }
}

#[test]
fn a_record_of_many_windows() {
    let long = "q".repeat(5 << 20);
    let table = csv(format!("a,b\n1,\"{long}\"\n2,{long}\n3,4\n"));
    assert_eq!(
        (table.cell(0, 1).len(), table.cell(1, 1).len(), table.cell(2, 1).into_owned()),
        (5 << 20, 5 << 20, "4".to_owned())
    );
    assert_eq!(table.locate(2), "standard input:4");
}

// ---- NPY ----

/// A file of version 1 with this header and these values.
fn array(header: &str, values: &[u8]) -> Vec<u8> {
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), values]
        .concat()
}

fn shaped(descr: &str, fortran: bool, shape: &str, values: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    array(
        &format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n"),
        values,
    )
}

fn from_npy(bytes: &[u8]) -> anyhow::Result<Raw> {
    npy::read(bytes, "x.npy", bytes.len() as u64, "x")
}

#[test]
fn arrays_of_every_type() {
    let one = |descr: &str, bytes: &[u8]| {
        numbers(&from_npy(&shaped(descr, false, "(2,)", bytes)).unwrap())[0].to_vec()
    };
    assert_eq!(one("|u1", &[7, 255]), [7.0, 255.0]);
    assert_eq!(one("|i1", &[7, 255]), [7.0, -1.0]);
    assert_eq!(one("|b1", &[0, 1]), [0.0, 1.0]);
    assert_eq!(one("<u2", &[1, 2, 255, 255]), [513.0, 65535.0]);
    assert_eq!(one(">i2", &[1, 2, 255, 254]), [258.0, -2.0]);
    assert_eq!(one("<i4", &[[0, 0, 0, 128], [1, 0, 0, 0]].concat()), [-2147483648.0, 1.0]);
    assert_eq!(one(">u4", &[[128, 0, 0, 0], [0, 0, 0, 1]].concat()), [2147483648.0, 1.0]);
    assert_eq!(
        one("<i8", &[(-5i64).to_le_bytes(), (1i64 << 53).to_le_bytes()].concat()),
        [-5.0, 9007199254740992.0]
    );
    assert_eq!(
        one(">u8", &[5u64.to_be_bytes(), (1u64 << 63).to_be_bytes()].concat()),
        [5.0, 9223372036854775808.0]
    );
    assert_eq!(
        one("<f4", &[1.5f32.to_le_bytes(), f32::MIN_POSITIVE.to_le_bytes()].concat()),
        [1.5, f64::from(f32::MIN_POSITIVE)]
    );
    assert_eq!(
        one(">f8", &[0.1f64.to_be_bytes(), (-1e300f64).to_be_bytes()].concat()),
        [0.1, -1e300]
    );
    assert_eq!(one("<f2", &[0x00, 0x3c, 0x01, 0x80]), [1.0, -(2f64.powi(-24))]);
    assert_eq!(one(">f2", &[0x7b, 0xff, 0xfc, 0x00]), [65504.0, f64::NEG_INFINITY]);
    assert!(one("<f2", &[0x01, 0x7c, 0, 0])[0].is_nan());
}

#[test]
fn arrays_of_both_orders_and_all_versions() {
    let rows_first = from_npy(&shaped("|u1", false, "(2, 3)", &[1, 2, 3, 4, 5, 6])).unwrap();
    let columns_first = from_npy(&shaped("|u1", true, "(2, 3)", &[1, 4, 2, 5, 3, 6])).unwrap();
    assert_eq!(rows_first.names, ["x0", "x1", "x2"]);
    assert_eq!(numbers(&rows_first), [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]);
    assert_eq!(rows_first.columns, columns_first.columns);
    assert_eq!(
        (rows_first.locate(1), rows_first.cell(1, 2).into_owned()),
        ("x.npy: row 2".to_owned(), "6".to_owned())
    );
    for version in [2, 3] {
        let header = "{\"shape\": (2L,), 'fortran_order':False,'descr':'=f4'}";
        let start = [
            &b"\x93NUMPY"[..],
            &[version, 0],
            &(header.len() as u32).to_le_bytes(),
            header.as_bytes(),
        ]
        .concat();
        let table = from_npy(&[start, vec![0; 8]].concat()).unwrap();
        assert_eq!(
            (&table.names[..], numbers(&table)),
            (&["x".to_owned()][..], vec![vec![0.0, 0.0]])
        );
    }
    // More than one piece, in both byte orders.
    let values: Vec<u8> = (0..300_000u32).flat_map(|i| f64::from(i).to_le_bytes()).collect();
    let table = from_npy(&shaped("<f8", false, "(100000, 3)", &values)).unwrap();
    assert!((0..100_000).all(|row| numbers(&table)[2][row] == (3 * row + 2) as f64));
    let table = from_npy(&shaped("<f8", true, "(100000, 3)", &values)).unwrap();
    assert!((0..100_000).all(|row| numbers(&table)[2][row] == (200_000 + row) as f64));
}

#[test]
fn numbers_in_their_shortest_form() {
    let values = [1.0, -0.0, 0.1, 1e300, 1e-7, 123456789.0, f64::NAN, f64::INFINITY];
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let table = from_npy(&shaped("<f8", false, "(8,)", &bytes)).unwrap();
    assert_eq!(rows(&table).concat(), ["1", "-0", "0.1", "1e300", "1e-7", "123456789", "", "inf"]);
}

#[test]
fn a_pair_of_arrays() {
    let dir = tempfile::tempdir().unwrap();
    let x = write(dir.path(), "x.npy", shaped("|u1", false, "(2, 2)", &[1, 2, 3, 4]));
    let y = write(dir.path(), "y.npy", shaped("|i1", false, "(2,)", &[0, 1]));
    let table = read_pair(&x, Some(&y), &Options::default()).unwrap();
    assert_eq!(table.names, ["x0", "x1", "y"]);
    assert_eq!(numbers(&table), [[1.0, 3.0], [2.0, 4.0], [0.0, 1.0]]);
    assert_eq!((table.hashes.len(), table.locate(0)), (2, format!("{}: row 1", x.display())));
    assert_eq!(read_pair(&x, None, &Options::default()).unwrap().names, ["x0", "x1"]);
    let short = write(dir.path(), "z.npy", shaped("|u1", false, "(3,)", &[1, 2, 3]));
    check(
        "short",
        read_pair(&x, Some(&short), &Options::default()),
        Exit::Data,
        &["z.npy: 3 rows", "x.npy has 2"],
        "same rows",
    );
    check(
        "same",
        read_pair(&x, Some(&x), &Options::default()),
        Exit::Data,
        &["column \"x0\" is in"],
        "rename",
    );
}

// ---- SVMlight ----

fn from_svm(text: &str) -> anyhow::Result<Raw> {
    svmlight::read_from(text.as_bytes(), "x.svm", text.len() as u64)
}

#[test]
fn sparse_rows() {
    let table = from_svm("# a comment\n+1 1:0.5 3:-2 # more\n\n-1 qid:7 2:1e3\r\n0\n").unwrap();
    assert_eq!(table.names, ["label", "1", "2", "3"]);
    assert_eq!(
        numbers(&table),
        [[1.0, -1.0, 0.0], [0.5, 0.0, 0.0], [0.0, 1000.0, 0.0], [-2.0, 0.0, 0.0]]
    );
    assert_eq!(
        (table.locate(0), table.locate(2), table.sparse),
        ("x.svm:2".to_owned(), "x.svm:5".to_owned(), true)
    );
    // An index of 0 says that indices begin at 0.
    assert_eq!(from_svm("1 0:1 2:1\n").unwrap().names, ["label", "0", "1", "2"]);
    assert_eq!(from_svm("1\n").unwrap().names, ["label"]);
}

#[test]
fn several_labels_and_none() {
    let table = from_svm("1:1\n1,,2 1:2\n2:3\n,0,1\n").unwrap();
    assert_eq!(table.names, ["label0", "label1", "label2", "1", "2"]);
    let expected = [
        ["", "", "", "1", "0"],
        ["1", "", "2", "2", "0"],
        ["", "", "", "0", "3"],
        ["", "0", "1", "0", "0"],
    ];
    assert_eq!(rows(&table), expected);
    assert_eq!(rows(&from_svm("1:1\n2:1\n").unwrap()), [["", "1", "0"], ["", "0", "1"]]);
}

#[test]
fn sparse_files_of_one_table() {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        write(dir.path(), "a.svm", "1 1:1\n"),
        write(dir.path(), "b.libsvm.gz", gzip(b"\n2 3:1\n")),
    ];
    let table = read(&files, &Options::default()).unwrap();
    assert_eq!(rows(&table), [["1", "1", "0", "0"], ["2", "0", "0", "1"]]);
    assert_eq!((table.locate(1), table.hashes.len()), (format!("{}:2", files[1].display()), 2));
}

// ---- Parquet ----

/// (name of a column, whether it is numeric, cell of a row that is not blank)
type Written = (&'static str, bool, fn(i64) -> String);

/// The columns that `tests/fixtures/parquet.py` writes.
fn written() -> Vec<Written> {
    fn clock(seconds: i64) -> String {
        let s = seconds % 86_400;
        format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
    }
    /// The date `more` days after a date, counted day by day.
    fn day(mut year: i64, mut month: usize, mut day: i64, more: i64) -> String {
        for _ in 0..more {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length =
                [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
            day += 1;
            if day > length {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
        format!("{year}-{month:02}-{day:02}")
    }
    fn moment(i: i64) -> String {
        let date = day(1969, 12, 30, i + (86_398 + i) / 86_400);
        format!("{date}T{}.125", clock(86_398 + i))
    }
    vec![
        ("row", true, |i| i.to_string()),
        ("flag", true, |i| i64::from(i % 3 == 0).to_string()),
        ("small", true, |i| (i - 50).to_string()),
        ("int", true, |i| ((i - 50) * 1_000_003).to_string()),
        ("long", true, |i| ((i - 50) * 1_000_000_007).to_string()),
        ("huge", true, |i| ((1i64 << 60) + i).to_string()),
        ("unsigned", true, |i| ((1i64 << 32) - 1 - i).to_string()),
        ("giant", true, |i| ((1u64 << 63) + 2048 * i as u64).to_string()),
        ("half", true, |i| (i as f64 / 4.0).to_string()),
        ("float", true, |i| (i as f64 / 8.0 - 1.0).to_string()),
        ("double", true, |i| (i as f64 / 10.0).to_string()),
        ("text", false, |i| format!("text {i} äß")),
        ("group", false, |i| ["red", "green", "blue"][i as usize / 40].to_owned()),
        ("date", false, |i| day(1999, 12, 31, 60 * i)),
        ("millis", false, moment),
        ("micros", false, |i| moment(i) + "Z"),
        ("nanos", false, moment),
        ("time", false, |i| {
            let fraction = if i == 0 {
                String::new()
            } else {
                format!(".{:03}", i).trim_end_matches('0').to_owned()
            };
            format!("{:02}:{:02}:{:02}{fraction}", i % 24, i % 60, i % 60)
        }),
        ("price", true, |i| ((i - 50) as f64 / 4.0).to_string()),
    ]
}

#[test]
fn parquet_of_every_type() {
    for file in ["snappy", "gzip_v2", "encodings", "int96", "zstd"] {
        let bytes = fixture(&format!("{file}.parquet"));
        let table = parquet::read(&bytes[..], "x.parquet").unwrap();
        let is_there = |name: &str| match file {
            "int96" => ["row", "nanos"].contains(&name),
            "zstd" => ["row", "text"].contains(&name),
            _ => true,
        };
        let columns: Vec<_> = written().into_iter().filter(|(name, ..)| is_there(name)).collect();
        assert_eq!(table.names, columns.iter().map(|(name, ..)| *name).collect::<Vec<_>>());
        assert_eq!(table.rows, 100);
        for (at, (name, is_number, cell)) in columns.into_iter().enumerate() {
            assert_eq!(
                !matches!(table.columns[at], RawColumn::Texts(_)),
                is_number,
                "{file}: {name}"
            );
            for row in 0..100 {
                let expected =
                    if row % 7 == 3 && name != "row" { String::new() } else { cell(row as i64) };
                assert_eq!(table.cell(row, at), expected, "{file}: {name}, row {row}");
            }
        }
        assert_eq!(
            table.hashes,
            [("x.parquet".to_owned(), blake3::hash(&bytes).to_hex().to_string())]
        );
        assert_eq!(table.locate(99), "x.parquet: row 100");
    }
}

/// A field of a Thrift structure: number, kind, value.
type Field = (u8, u8, Vec<u8>);

fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n > 127 {
        out.push(n as u8 | 128);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

fn int(id: u8, n: i64) -> Field {
    (id, 6, varint(((n << 1) ^ (n >> 63)) as u64))
}

fn words(id: u8, text: &str) -> Field {
    (id, 8, [varint(text.len() as u64), text.as_bytes().to_vec()].concat())
}

fn structure(fields: &[Field]) -> Vec<u8> {
    let mut before = 0;
    let mut out = Vec::new();
    for (id, kind, value) in fields {
        out.push((id - before) << 4 | kind);
        out.extend(value);
        before = *id;
    }
    out.push(0);
    out
}

fn list(id: u8, items: &[Vec<u8>]) -> Field {
    (id, 9, [vec![0xfc], varint(items.len() as u64), items.concat()].concat())
}

/// Builds a Parquet file of one column of integers; each part can be replaced.
#[derive(Clone)]
struct Hand {
    root: Vec<Field>,
    element: Vec<Field>,
    page: Vec<Field>,
    data: Vec<Field>,
    body: Vec<u8>,
    chunk: Vec<Field>,
    chunks: usize,
    rows: i64,
}

fn hand() -> Hand {
    let body: Vec<u8> = [5i32, -6].iter().flat_map(|x| x.to_le_bytes()).collect();
    Hand {
        root: vec![words(4, "root"), int(5, 1)],
        element: vec![int(1, 1), int(3, 0), words(4, "a")],
        page: vec![int(1, 0), int(2, 8), int(3, 8)],
        data: vec![int(1, 2), int(2, 0), int(3, 3), int(4, 3)],
        body,
        chunk: vec![int(1, 1), int(4, 0), int(5, 2), int(9, 4)],
        chunks: 1,
        rows: 2,
    }
}

impl Hand {
    fn set(mut self, part: fn(&mut Hand) -> &mut Vec<Field>, field: Field) -> Hand {
        let fields = part(&mut self);
        fields.retain(|(id, ..)| *id != field.0);
        fields.push(field);
        fields.sort_by_key(|(id, ..)| *id);
        self
    }

    fn body(mut self, bytes: &[u8]) -> Hand {
        self.body = bytes.to_vec();
        let n = bytes.len() as i64;
        self.set(|h| &mut h.page, int(2, n)).set(|h| &mut h.page, int(3, n))
    }

    fn file(mut self) -> Vec<u8> {
        self.page.push((5, 12, structure(&self.data)));
        let page = [structure(&self.page), self.body].concat();
        if !self.chunk.iter().any(|(id, ..)| *id == 7) {
            self.chunk.push(int(7, page.len() as i64));
            self.chunk.sort_by_key(|(id, ..)| *id);
        }
        let chunk = structure(&[(3, 12, structure(&self.chunk))]);
        let group = structure(&[list(1, &vec![chunk; self.chunks]), int(3, self.rows)]);
        let schema = list(2, &[structure(&self.root), structure(&self.element)]);
        let meta = structure(&[int(1, 1), schema, int(3, self.rows), list(4, &[group])]);
        [&b"PAR1"[..], &page, &meta, &(meta.len() as u32).to_le_bytes(), b"PAR1"].concat()
    }
}

#[test]
fn parquet_by_hand() {
    let table = parquet::read(&hand().file()[..], "x").unwrap();
    assert_eq!((&table.names[..], numbers(&table)), (&["a".to_owned()][..], vec![vec![5.0, -6.0]]));
    // A Snappy literal, and a copy that overlaps itself.
    let packed = hand()
        .body(&[8, 0x00, 1, 0x0d, 1])
        .set(|h| &mut h.page, int(2, 8))
        .set(|h| &mut h.chunk, int(4, 1))
        .file();
    assert_eq!(numbers(&parquet::read(&packed[..], "x").unwrap()), [[16843009.0, 16843009.0]]);
}

/// pyarrow writes a column without any value with the type null, which fits every type.
#[test]
fn a_column_of_nothing_fits_any_kind() {
    let dir = tempfile::tempdir().unwrap();
    let null = (10, 12, structure(&[(11, 12, structure(&[]))]));
    // Two rows, each of level 0.
    let nothing = hand()
        .set(|h| &mut h.element, int(3, 1))
        .set(|h| &mut h.element, null)
        .body(&[2, 0, 0, 0, 4, 0]);
    let bytes = |text: &str| text.bytes().flat_map(|b| [1, 0, 0, 0, b]).collect::<Vec<u8>>();
    let text = hand()
        .set(|h| &mut h.element, int(1, 6))
        .set(|h| &mut h.chunk, int(1, 6))
        .body(&bytes("xy"))
        .file();
    let files = [("n", nothing.file()), ("t", text), ("i", hand().file())]
        .map(|(name, bytes)| write(dir.path(), &format!("{name}.parquet"), bytes));
    let [n, t, i] = &files;
    let of = |paths: [&PathBuf; 2]| {
        let paths = paths.map(PathBuf::clone);
        let table = read(&paths, &Options::default()).unwrap();
        // Chunk by chunk the result is the same, with the column's type of the whole.
        let source = tandem::config::Source::Table(paths.to_vec());
        let chunks =
            tandem::data::read::chunks::Chunks::new(&source, &Options::default(), 1).unwrap();
        let chunks: Vec<Raw> = chunks.map(Result::unwrap).collect();
        assert!(chunks.iter().all(|chunk| chunk.columns[0].kind() == table.columns[0].kind()));
        assert_eq!(chunks.iter().flat_map(rows).collect::<Vec<_>>(), rows(&table));
        rows(&table).concat()
    };
    assert_eq!(
        (of([n, t]), of([t, n])),
        (
            ["", "", "x", "y"].map(String::from).to_vec(),
            ["x", "y", "", ""].map(String::from).to_vec()
        )
    );
    assert_eq!(
        (of([n, i]), of([i, n])),
        (
            ["", "", "5", "-6"].map(String::from).to_vec(),
            ["5", "-6", "", ""].map(String::from).to_vec()
        )
    );
    assert_eq!(of([n, n]), ["", "", "", ""]);
    // The same for a column that is declared as text and blank according to its statistics: two
    // nulls of two cells.
    let blank = |cells: i64| {
        let hand = hand()
            .set(|h| &mut h.element, int(3, 1))
            .set(|h| &mut h.element, int(1, 6))
            .body(&[2, 0, 0, 0, 4, 0]);
        let chunk = hand
            .set(|h| &mut h.chunk, int(1, 6))
            .set(|h| &mut h.chunk, (12, 12, structure(&[int(3, cells)])));
        write(dir.path(), "b.parquet", chunk.file())
    };
    assert_eq!(of([i, &blank(2)]), ["5", "-6", "", ""]);
    let other = read(&[i.clone(), blank(1)], &Options::default());
    check("nulls", other, Exit::Data, &["b.parquet: column \"a\" holds text"], "same columns");
    let kinds = read(&[i.clone(), t.clone()], &Options::default());
    check("kinds", kinds, Exit::Data, &["t.parquet: column \"a\" holds text"], "same columns");
}

// ---- several files ----

#[test]
fn files_of_one_table() {
    let dir = tempfile::tempdir().unwrap();
    let a = write(dir.path(), "a.csv", "p,q\n1,2\n");
    let b = write(dir.path(), "b.csv", "p;q\n\n3;x\n");
    let table = read(&[a.clone(), b.clone()], &Options::default()).unwrap();
    assert_eq!(rows(&table), [["1", "2"], ["3", "x"]]);
    assert_eq!(
        (table.locate(0), table.locate(1)),
        (format!("{}:2", a.display()), format!("{}:3", b.display()))
    );
    assert_eq!(table.place, format!("{} and 1 more", a.display()));
    let other =
        |text: &str| read(&[a.clone(), write(dir.path(), "c.csv", text)], &Options::default());
    check(
        "name",
        other("p,r\n1,2\n"),
        Exit::Data,
        &["c.csv: column 2 is \"r\"", "a.csv it is \"q\""],
        "same columns",
    );
    check(
        "count",
        other("p,q,r\n1,2,3\n"),
        Exit::Data,
        &["c.csv: 3 columns", "a.csv has 2"],
        "same columns",
    );
    let arrays = [
        write(dir.path(), "x-1.npy", shaped("|u1", false, "(1,)", &[1])),
        write(dir.path(), "x-2.npy", shaped("|u1", false, "(1,)", &[2])),
    ];
    assert_eq!(rows(&read(&arrays, &Options::default()).unwrap()), [["1"], ["2"]]);
    check(
        "formats",
        read(&[a.clone(), arrays[0].clone()], &Options::default()),
        Exit::Data,
        &["x-1.npy", "another format"],
        "one format",
    );
    check("none", read(&[], &Options::default()), Exit::NoInput, &["no file"], "name");
    let pq = |name: &str, bytes: Vec<u8>| write(dir.path(), name, bytes);
    let text = hand()
        .set(|h| &mut h.element, int(1, 6))
        .set(|h| &mut h.chunk, int(1, 6))
        .body(&[1, 0, 0, 0, b'x', 0, 0, 0, 0])
        .file();
    let kinds = read(&[pq("1.parquet", hand().file()), pq("2.parquet", text)], &Options::default());
    check(
        "kinds",
        kinds,
        Exit::Data,
        &["2.parquet: column \"a\" holds text", "1.parquet it holds numbers"],
        "same columns",
    );
}

#[test]
fn patterns() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a1.csv", "a2.csv", "a10.csv", "b1.csv", ".a3.csv", "a[1].csv", "äb.csv"] {
        write(dir.path(), name, "x\n1\n");
    }
    std::fs::create_dir_all(dir.path().join("a9.csv")).unwrap();
    std::fs::create_dir_all(dir.path().join("sub1")).unwrap();
    write(&dir.path().join("sub1"), "c.csv", "");
    let found = |pattern: &str| {
        let paths = expand(&format!("{}/{pattern}", dir.path().display())).unwrap();
        paths
            .iter()
            .map(|path| path.strip_prefix(dir.path()).unwrap().display().to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(found("a*.csv"), ["a1.csv", "a10.csv", "a2.csv", "a[1].csv"]);
    assert_eq!(found("a?.csv"), ["a1.csv", "a2.csv"]);
    assert_eq!(found("[ab]1.csv"), ["a1.csv", "b1.csv"]);
    assert_eq!(found("[!a]?.csv"), ["b1.csv", "äb.csv"]);
    assert_eq!(found("*[0-9][0-9]*"), ["a10.csv"]);
    assert_eq!(found("a[1].csv"), ["a[1].csv"]);
    assert_eq!(found("a[*"), ["a[1].csv"]);
    assert_eq!(found("a**.csv"), found("a*.csv"));
    assert_eq!(found("s*/*.csv"), ["sub1/c.csv"]);
    assert_eq!(found(".a*"), [".a3.csv"]);
    assert_eq!(found("nothing.csv"), ["nothing.csv"]);
    let error = expand(&format!("{}/z*.csv", dir.path().display())).unwrap_err();
    assert_eq!((exit_of(&error), hint_of(&error).is_some()), (Exit::NoInput, true));
    assert!(error.to_string().ends_with("z*.csv: no file matches"), "{error}");
}

#[test]
fn formats_by_name() {
    for (name, format) in [
        ("a.csv", "csv"),
        ("A.TSV", "csv"),
        ("a.txt.gz", "csv"),
        ("iris.data", "csv"),
        ("x", "csv"),
    ] {
        assert_eq!(
            tandem::data::read::reader_of(Path::new(name)).unwrap().endings()[0],
            format,
            "{name}"
        );
    }
    assert_eq!(tandem::data::read::reader_of(Path::new("a.b.npy")).unwrap().endings()[0], "npy");
    assert_eq!(
        tandem::data::read::reader_of(Path::new("a.parquet")).unwrap().endings()[0],
        "parquet"
    );
    assert_eq!(tandem::data::read::reader_of(Path::new("a.svm.gz")).unwrap().endings()[0], "svm");
}

/// A configuration takes the names that some reader reads, and no others.
#[test]
fn a_configuration_knows_the_endings_of_all_readers() {
    let takes = |name: &str| {
        let text = format!("[data]\ntrain = \"{name}\"\n[task.y]\ntype = \"binary\"\n");
        tandem::config::read::from_text(&text, "c.toml", Path::new(""), &[]).is_ok()
    };
    for reader in tandem::data::read::READERS {
        for ending in reader.endings().iter().filter(|ending| !ending.is_empty()) {
            assert!(takes(&format!("x.{ending}")), "{ending}");
            assert_eq!(takes(&format!("x.{ending}.gz")), reader.may_be_gzip(), "{ending}.gz");
        }
    }
    assert!(!takes("x.xlsx"));
}

// ---- what is refused ----

fn utf16(text: &str, bom: bool, big: bool) -> Vec<u8> {
    let units = bom.then_some(0xfeff).into_iter().chain(text.encode_utf16());
    units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
}

/// (file name, contents, pieces of the message, piece of the hint)
type Bad = (&'static str, Vec<u8>, &'static [&'static str], &'static str);

fn bad_texts() -> Vec<Bad> {
    let packed = gzip(b"a,y\n1,p\n2,q\n");
    let mut flipped = packed.clone();
    let at = flipped.len() - 6;
    flipped[at] ^= 1;
    let many: Vec<String> = (0..65_537).map(|i| format!("c{i}")).collect();
    let late = format!("a,b\n{}1,2,3\n", "1,2\n".repeat(100_000));
    let late_byte = [format!("a,b\n{}", "1,2\n".repeat(100_000)).as_bytes(), b"\xff,1\n"].concat();
    vec![
        ("empty.csv", vec![], &["empty.csv: the file is empty"], "header line"),
        ("blank.csv", b"\n\r\n\n".to_vec(), &["the file is empty"], "header line"),
        ("bom.csv", b"\xef\xbb\xbf".to_vec(), &["the file is empty"], "header line"),
        ("header.csv", b"a,y\n\n".to_vec(), &["header and no rows"], "at least one row"),
        ("le.csv", utf16("a,y\n1,2\n", true, false), &["le.csv: the text is UTF-16"], "iconv"),
        ("be.csv", utf16("a,y\n1,2\n", true, true), &["the text is UTF-16"], "iconv"),
        ("le-bare.csv", utf16("a,y\n1,2\n", false, false), &["the text is UTF-16"], "iconv"),
        ("be-bare.csv", utf16("a,y\n1,2\n", false, true), &["the text is UTF-16"], "iconv"),
        (
            "latin.csv",
            b"a,y\n1,p\n2,caf\xe9\n".to_vec(),
            &["latin.csv:3", "0xE9 is not UTF-8"],
            "LATIN1",
        ),
        ("cut.csv", b"a,y\n1,p\n2,\xe2\x82".to_vec(), &["cut.csv:3", "0xE2 is not UTF-8"], "UTF-8"),
        ("late.txt", late_byte, &["late.txt:100002", "0xFF"], "UTF-8"),
        ("nul.csv", b"a,y\n1,p\n2,\0\n".to_vec(), &["nul.csv:3", "NUL byte"], "damaged"),
        ("packed.csv.gz", packed[..packed.len() - 9].to_vec(), &["truncated or damaged"], "again"),
        ("sum.csv.gz", flipped, &["truncated or damaged"], "again"),
        ("start.csv", vec![0x1f, 0x8b], &["truncated or damaged"], "again"),
        ("tail.csv", [&packed[..], b"tail"].concat(), &["truncated or damaged"], "again"),
        (
            "bomb.csv.gz",
            gzip(&vec![b'1'; 64 << 20]),
            &["unpacks to more than 200 times"],
            "unpack it first",
        ),
        (
            "members.csv.gz",
            gzip(&vec![b'\n'; 8 << 20]).repeat(8),
            &["unpacks to more than 200 times"],
            "unpack it first",
        ),
        (
            "twice.csv",
            b"a,b, a,y\n1,2,3,p\n".to_vec(),
            &["twice.csv:1", "\"a\" is in the header twice"],
            "rename",
        ),
        (
            "first.csv",
            b",a,y\nx,1,p\n".to_vec(),
            &["first.csv:1: column 1 of the header has no name"],
            "index=False",
        ),
        (
            "last.csv",
            b"\na,y,\n1,p,\n".to_vec(),
            &["last.csv:2: column 3 of the header has no name"],
            "delimiter at the end",
        ),
        (
            "many.csv",
            (many.join(",") + "\n1\n").into_bytes(),
            &["many.csv:1", "65537 columns"],
            "keep",
        ),
        (
            "short.csv",
            b"a,b,y\n1,2,p\n3,q\n".to_vec(),
            &["short.csv:3: 2 cells, the header has 3"],
            "one cell per column",
        ),
        (
            "long.csv",
            b"a,b,y\n1,2,p\n1,2,q,\n".to_vec(),
            &["long.csv:3: 4 cells, the header has 3"],
            "quote cells",
        ),
        (
            "ragged.csv",
            late.into_bytes(),
            &["ragged.csv:100002: 3 cells, the header has 2"],
            "one cell per column",
        ),
        (
            "lines.csv",
            b"\na,y\r\n\r\n1,\"p\nq\"\r\n\r\nx\r\n".to_vec(),
            &["lines.csv:7: 1 cells"],
            "one cell",
        ),
        ("mac.csv", b"a,y\r1,p\r\rx\r".to_vec(), &["mac.csv:4: 1 cells"], "one cell"),
        ("open.csv", b"a,y\n1,p\n2,\"q\n3,p\n".to_vec(), &["open.csv:3", "never closed"], "quote"),
        (
            "open-header.csv",
            b"\"a,y\n1,p\n".to_vec(),
            &["open-header.csv:1", "never closed"],
            "quote",
        ),
        ("end.csv", b"a,y\n1,p\n2,\"".to_vec(), &["end.csv:3", "never closed"], "quote"),
        (
            "endless.csv",
            format!("a,y\n1,p\n2,\"{}\n", "q".repeat(17 << 20)).into_bytes(),
            &["endless.csv:3", "longer than 16777216"],
            "quote",
        ),
        (
            "commas.csv",
            ",".repeat(17 << 20).into_bytes(),
            &["commas.csv:1", "longer than 16777216"],
            "quote",
        ),
        (
            "book.xlsx",
            b"PK\x03\x04".to_vec(),
            &["book.xlsx: no known format", "\"xlsx\""],
            ".parquet",
        ),
        ("x.npy.gz", b"x".to_vec(), &["\"npy.gz\""], ".npy"),
    ]
}

fn bad_arrays() -> Vec<Bad> {
    let odd = |header: &str| array(header, &[0; 8]);
    let hint = "numpy.save";
    vec![
        ("empty.npy", vec![], &["empty.npy: not an NPY file"], hint),
        ("text.npy", b"a,b\n1,2\n".to_vec(), &["not an NPY file: it begins [61, 2C"], hint),
        ("version.npy", b"\x93NUMPY\x04\x00\x00\x00".to_vec(), &["NPY version 4"], hint),
        ("start.npy", b"\x93NUMPY\x01\x00\x10".to_vec(), &["ends in its header"], hint),
        (
            "header.npy",
            b"\x93NUMPY\x01\x00\x10\x00{'descr'".to_vec(),
            &["ends in its header"],
            hint,
        ),
        (
            "long.npy",
            [&b"\x93NUMPY\x02\x00"[..], &[0, 0, 0, 1]].concat(),
            &["a header of 16777216 bytes"],
            hint,
        ),
        ("object.npy", shaped("|O", false, "(1,)", &[0; 8]), &["values of type \"|O\""], hint),
        ("string.npy", shaped("<U4", false, "(1,)", &[0; 16]), &["values of type \"<U4\""], hint),
        ("complex.npy", shaped("<c8", false, "(1,)", &[0; 8]), &["values of type \"<c8\""], hint),
        ("f16.npy", shaped("<f16", false, "(1,)", &[0; 16]), &["values of type \"<f16\""], hint),
        ("order.npy", shaped("|f8", false, "(1,)", &[0; 8]), &["values of type \"|f8\""], hint),
        (
            "fields.npy",
            odd("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}"),
            &["several fields"],
            hint,
        ),
        (
            "key.npy",
            odd("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'x': 1}"),
            &["the key \"x\" is not known"],
            hint,
        ),
        ("twice.npy", odd("{'descr': '<f8', 'descr': '<f8'}"), &["\"descr\" is there twice"], hint),
        (
            "no-shape.npy",
            odd("{'descr': '<f8', 'fortran_order': False}"),
            &["the key \"shape\" is missing"],
            hint,
        ),
        (
            "behind.npy",
            odd("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)} x"),
            &["something behind it"],
            hint,
        ),
        ("brace.npy", odd("'descr'"), &["\"{\" is missing"], hint),
        (
            "bool.npy",
            odd("{'descr': '<f8', 'fortran_order': 0, 'shape': (1,)}"),
            &["neither True nor False"],
            hint,
        ),
        (
            "minus.npy",
            odd("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"),
            &["\"-1\" is not a size"],
            hint,
        ),
        (
            "open.npy",
            odd("{'descr': '<f8', 'fortran_order': False, 'shape': (1,"),
            &["never closed"],
            hint,
        ),
        ("none.npy", shaped("<f8", false, "()", &[0; 8]), &["0 dimensions"], hint),
        ("three.npy", shaped("<f8", false, "(1, 1, 1)", &[0; 8]), &["3 dimensions"], hint),
        ("no-rows.npy", shaped("<f8", false, "(0, 3)", &[]), &["no values"], hint),
        (
            "wide.npy",
            shaped("|u1", false, "(1, 2000000)", &[]),
            &["2000000 columns, the limit"],
            hint,
        ),
        (
            "huge.npy",
            shaped("<f8", false, "(18446744073709551615,)", &[]),
            &["18446744073709551615 rows"],
            hint,
        ),
        (
            "product.npy",
            shaped("<f8", false, "(4294967295, 1048576)", &[]),
            &["the file holds 0"],
            hint,
        ),
        (
            "short.npy",
            shaped("<f8", false, "(2,)", &[0; 15]),
            &["= 16 bytes, the file holds 15"],
            hint,
        ),
        (
            "tail.npy",
            shaped("<f8", false, "(2,)", &[0; 17]),
            &["= 16 bytes, the file holds 17"],
            hint,
        ),
        (
            "packed.npy",
            gzip(&shaped("|u1", false, "(1,)", &[0])),
            &["not an NPY file: it begins [1F, 8B"],
            hint,
        ),
        (
            "inexact.npy",
            shaped("<i8", false, "(2,)", &[[0; 8], i64::MAX.to_le_bytes()].concat()),
            &["inexact.npy: row 2, column 0", "2^53"],
            "float64",
        ),
        (
            "two.npy",
            shaped("|b1", true, "(2, 1)", &[1, 2]),
            &["two.npy: row 2", "neither 0 nor 1"],
            "damaged",
        ),
    ]
}

fn bad_sparse() -> Vec<Bad> {
    let hint = "label index:value";
    vec![
        ("empty.svm", vec![], &["empty.svm: the file has no rows"], hint),
        ("comment.svm", b"# nothing\n\n".to_vec(), &["no rows"], hint),
        (
            "label.svm",
            b"1 1:1\nyes 1:1\n".to_vec(),
            &["label.svm:2: the label \"yes\" is not a number"],
            hint,
        ),
        (
            "nan.svm",
            b"nan 1:1\n".to_vec(),
            &["nan.svm:1: the label \"nan\" is not a finite number"],
            hint,
        ),
        ("value.svm", b"1 1:x\n".to_vec(), &["value.svm:1: the value \"x\""], hint),
        ("inf.svm", b"1 1:1e999\n".to_vec(), &["\"1e999\" is not a finite number"], hint),
        ("blank.svm", b"1 1:\n".to_vec(), &["the value \"\" is not a number"], hint),
        ("colon.svm", b"1 1:1 2\n".to_vec(), &["\"2\", expected index:value"], hint),
        ("index.svm", b"1 a:1\n".to_vec(), &["\"a:1\", expected a whole number"], hint),
        ("minus.libsvm", b"1 -1:1\n".to_vec(), &["\"-1:1\", expected a whole number"], hint),
        ("space.svm", b"1 1: 2\n".to_vec(), &["the value \"\""], hint),
        ("large.svm", b"1 16777217:1\n".to_vec(), &["\"16777217:1\" is above 16777216"], "from 1"),
        ("larger.svm", b"1 99999999999999999999999:1\n".to_vec(), &["is above 16777216"], "from 1"),
        (
            "order.svm",
            b"1 1:1\n\n1 2:1 1:1\n".to_vec(),
            &["order.svm:3: index 1 is behind 2"],
            "sort",
        ),
        (
            "twice.svmlight",
            b"1 2:1 2:1\n".to_vec(),
            &["twice.svmlight:1: index 2 is there twice"],
            "once",
        ),
        (
            "labels.svm",
            b"1,2 1:1\n1 1:1\n".to_vec(),
            &["labels.svm:2: 1 labels, the lines before have 2"],
            "blank",
        ),
        ("query.svm", b"1 qid:x 1:1\n".to_vec(), &["\"qid:x\" is no query number"], hint),
        (
            "wide.svm",
            b"1 16000000:1\n".to_vec(),
            &["wide.svm: 1 rows × 16000000 features"],
            "fewer features",
        ),
        (
            "dense.svm",
            ("1 40000:1\n".to_owned() + &"1\n".repeat(2000)).into_bytes(),
            &["16 numbers a byte"],
            "dense format",
        ),
        ("nul.svm", b"1 1:1\n\0\n".to_vec(), &["nul.svm:2: a NUL byte"], "text file"),
        (
            "long.svm",
            "1".repeat(17 << 20).into_bytes(),
            &["long.svm:1: the line is longer"],
            "one row a line",
        ),
        ("utf16.svm", utf16("1 1:1\n", true, false), &["UTF-16"], "iconv"),
    ]
}

fn bad_parquet() -> Vec<Bad> {
    let good = hand().file();
    let end = |n: u32| [&good[..good.len() - 8], &n.to_le_bytes(), b"PAR1"].concat();
    let nested = |depth: usize| {
        let meta = [vec![0x1c; depth], vec![0; depth + 1]].concat();
        [&b"PAR1"[..], &meta, &(meta.len() as u32).to_le_bytes(), b"PAR1"].concat()
    };
    let element = |field| hand().set(|h| &mut h.element, field).file();
    let page = |field| hand().set(|h| &mut h.page, field).file();
    let data = |field| hand().set(|h| &mut h.data, field).file();
    let chunk = |field| hand().set(|h| &mut h.chunk, field).file();
    let encoded =
        |encoding, body: &[u8]| hand().set(|h| &mut h.data, int(2, encoding)).body(body).file();
    let packed = |codec, body: &[u8]| {
        hand()
            .body(body)
            .set(|h| &mut h.page, int(2, 8))
            .set(|h| &mut h.chunk, int(4, codec))
            .file()
    };
    let text = |body: &[u8]| {
        hand().set(|h| &mut h.element, int(1, 6)).set(|h| &mut h.chunk, int(1, 6)).body(body).file()
    };
    let rows = |rows| Hand { rows, ..hand() }.file();
    let again = "copy or write it again";
    vec![
        ("empty.parquet", vec![], &["not a Parquet file: 0 bytes"], again),
        ("text.parquet", b"a,b\n1,2\n".to_vec(), &["not a Parquet file"], again),
        ("cut.parquet", good[..good.len() - 1].to_vec(), &["does not end as"], again),
        ("magic.parquet", b"PAR1PAR1".to_vec(), &["not a Parquet file"], again),
        ("sealed.parquet", b"PAR1\0\0\0\0PARE".to_vec(), &["encrypted"], "flat"),
        ("footer.parquet", end(u32::MAX), &["metadata of 4294967295 bytes"], again),
        ("early.parquet", end(3), &["early.parquet: "], again),
        ("deep.parquet", nested(10_000), &["nested too deeply"], again),
        ("no-schema.parquet", nested(0), &["there is no schema"], again),
        ("list.parquet", fixture("nested.parquet"), &["\"list\" is nested"], "flat"),
        (
            "zstd.parquet",
            packed(6, &[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x01]),
            &["Zstandard page is damaged"],
            again,
        ),
        (
            "window.parquet",
            packed(6, &[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 0x01]),
            &["a window that is larger"],
            again,
        ),
        ("lz4.parquet", packed(7, &[0]), &["LZ4", "Zstandard or none"], "snappy"),
        ("no-rows.parquet", fixture("no_rows.parquet"), &["no rows"], "at least one row"),
        ("minus.parquet", rows(-1), &["less than no rows"], again),
        ("rows.parquet", rows(3), &["rows.parquet: column \"a\": "], again),
        ("many.parquet", rows(1 << 40), &["more than 128 cells a byte"], again),
        (
            "chunks.parquet",
            Hand { chunks: 2, ..hand() }.file(),
            &["a row group of 2 columns, the schema has 1"],
            again,
        ),
        ("type.parquet", element(int(1, 9)), &["type 9"], again),
        (
            "other-type.parquet",
            element(int(1, 2)),
            &["\"a\" of type 1, the schema says Int64"],
            again,
        ),
        ("fixed.parquet", element(int(1, 7)), &["type 7 of length 0"], again),
        ("repeated.parquet", element(int(3, 2)), &["\"a\" is nested"], "flat"),
        ("name.parquet", element(words(4, " ")), &["a column has no name"], "name it"),
        (
            "control.parquet",
            hand()
                .set(|h| &mut h.element, words(4, "\x1b[2J"))
                .set(|h| &mut h.element, int(3, 2))
                .file(),
            &["\\u{1b}[2J"],
            "flat",
        ),
        ("interval.parquet", element(int(6, 21)), &["converted type 21 is not supported"], "flat"),
        (
            "root.parquet",
            Hand { root: vec![words(4, "root"), int(5, 7)], ..hand() }.file(),
            &["its root says 7"],
            again,
        ),
        ("outside.parquet", chunk(int(9, 1 << 40)), &["lie outside of the file"], again),
        ("before.parquet", chunk(int(9, -1)), &["lie outside of the file"], again),
        ("length.parquet", chunk(int(7, i64::MAX)), &["pages of 9223372036854775807 bytes"], again),
        ("short.parquet", chunk(int(7, 9)), &["end early"], again),
        ("codec.parquet", chunk(int(4, 99)), &["codec 99"], "flat"),
        ("brotli.parquet", chunk(int(4, 4)), &["Brotli"], "flat"),
        ("kind.parquet", page(int(1, 9)), &["a page of kind 9"], again),
        ("negative.parquet", page(int(3, -5)), &["ends behind its column"], again),
        ("behind.parquet", page(int(3, 99)), &["ends behind its column"], again),
        ("claims.parquet", page(int(2, i64::MAX)), &["more than 200 times"], "CSV"),
        ("claims-less.parquet", page(int(2, -8)), &["a page of -8 bytes"], again),
        ("unequal.parquet", page(int(2, 7)), &["unpacks to 8 bytes, its header says 7"], again),
        ("cells.parquet", data(int(1, 3)), &["a page of 3 cells, 2 rows are left"], again),
        ("less.parquet", data(int(1, -1)), &["a page of -1 cells"], again),
        ("none.parquet", data(int(1, 0)), &["end early"], again),
        ("dictionary.parquet", data(int(2, 8)), &["there is no dictionary"], again),
        ("encoding.parquet", data(int(2, 77)), &["encoding 77"], again),
        ("bits.parquet", data(int(2, 4)), &["BIT_PACKED"], "flat"),
        ("values.parquet", encoded(0, &[0; 7]), &["ends within its values"], again),
        ("delta.parquet", encoded(5, &[0, 0, 2, 0]), &["differences in blocks"], again),
        (
            "delta-width.parquet",
            encoded(5, &[128, 1, 1, 2, 0, 0, 65]),
            &["differences of 65 bits"],
            again,
        ),
        (
            "delta-short.parquet",
            encoded(5, &[128, 1, 1, 2, 0, 0, 64]),
            &["ends within its values"],
            again,
        ),
        ("snappy.parquet", packed(1, &[8, 0xf0]), &["Snappy page is damaged"], again),
        ("snappy-copy.parquet", packed(1, &[8, 0, 1, 0x0d, 9]), &["Snappy page is damaged"], again),
        ("snappy-zero.parquet", packed(1, &[8, 0, 1, 0x0d, 0]), &["Snappy page is damaged"], again),
        ("snappy-size.parquet", packed(1, &[9, 0, 1]), &["a Snappy page of 9 bytes"], again),
        (
            "snappy-long.parquet",
            packed(1, &[8, 0, 1, 0xfe, 1, 0]),
            &["Snappy page is damaged"],
            again,
        ),
        ("gzip.parquet", packed(2, b"nothing"), &["a gzip page is damaged"], again),
        (
            "gzip-long.parquet",
            packed(2, &gzip(&[0; 1 << 20])),
            &["unpacks to 9 bytes, its header says 8"],
            again,
        ),
        ("utf8.parquet", text(&[1, 0, 0, 0, 255, 0, 0, 0, 0]), &["not UTF-8"], "flat"),
        ("text-length.parquet", text(&[255, 255, 255, 255, 0]), &["ends within its values"], again),
        (
            "levels.parquet",
            hand().set(|h| &mut h.element, int(3, 1)).body(&[255, 255, 255, 255]).file(),
            &["the levels of a page lie outside"],
            again,
        ),
        (
            "levels-end.parquet",
            hand().set(|h| &mut h.element, int(3, 1)).body(&[1, 0, 0, 0, 3]).file(),
            &["ends within its values"],
            again,
        ),
    ]
}

#[test]
fn malformed_files_are_refused_with_place_and_hint() {
    let dir = tempfile::tempdir().unwrap();
    let bad = [bad_texts(), bad_arrays(), bad_sparse(), bad_parquet()].concat();
    assert!(bad.len() >= 60, "{}", bad.len());
    for (name, bytes, pieces, hint) in bad {
        let path = write(dir.path(), name, bytes);
        let size = std::fs::metadata(&path).unwrap().len();
        let (result, bytes) = allocated(|| read(std::slice::from_ref(&path), &Options::default()));
        assert!(bytes <= (20 << 20) + 2 * size, "{name}: {bytes} bytes allocated for {size}");
        let place = path.display().to_string();
        check(name, result, Exit::Data, &[&[place.as_str()], pieces].concat(), hint);
    }
}

#[test]
fn missing_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["no.csv", "no.npy", "no.svm", "no.parquet"] {
        let path = dir.path().join(name);
        check(
            name,
            read(&[path], &Options::default()),
            Exit::NoInput,
            &[name, "cannot be opened"],
            "check the path",
        );
    }
    for name in ["folder.csv", "folder.svm", "folder.parquet"] {
        let path = dir.path().join(name);
        std::fs::create_dir(&path).unwrap();
        check(
            name,
            read(&[path], &Options::default()),
            Exit::NoInput,
            &[name, "cannot be read"],
            "not a directory",
        );
    }
}

#[test]
fn impossible_options_are_refused() {
    let read = |delimiter, header| read_text("1,2\n".as_bytes(), "x", &given(delimiter, header));
    for byte in [b'"', b'\n', b'\r', 0, 0xe4] {
        check(
            "delimiter",
            read(Some(byte), Header::First),
            Exit::Config,
            &["delimiter", "cannot be a delimiter"],
            "ASCII",
        );
    }
    let names = |names: &[&str]| Header::Given(names.iter().map(|name| name.to_string()).collect());
    check(
        "count",
        read(None, names(&["a"])),
        Exit::Data,
        &["x:1: 2 cells, 1 names are given"],
        "one name per column",
    );
    check(
        "twice",
        read(None, names(&["a", "a"])),
        Exit::Data,
        &["\"a\" is in the header twice"],
        "rename",
    );
}

// ---- mutants ----

type Reader = fn(&[u8]) -> anyhow::Result<Raw>;

/// (name of the fuzz target, its reader, files that mutants are made of)
fn targets() -> Vec<(&'static str, Reader, Vec<Vec<u8>>)> {
    let text = b"a;b,c\r\n1;\"x \"\"y\"\"\n\",2\n\n\xc3\xa4; ,|\t\n".to_vec();
    let csv = b"a,b,c\n1,\"x, y\",3\n4,5,6\n".to_vec();
    let array = shaped("<f8", true, "(2, 2)", &[63; 32]);
    let svm = b"# c\n1,2 qid:1 1:0.5 3:1e-3\n,0 2:1 # x\n4:1\n".to_vec();
    vec![
        (
            "text",
            |bytes| text::read(bytes, "x", bytes.len() as u64, &Options::default()),
            vec![text, csv, gzip(b"a,b\n1,2\n")],
        ),
        (
            "npy",
            |bytes| npy::read(bytes, "x", bytes.len() as u64, "x"),
            vec![array, shaped("|b1", false, "(3,)", &[1, 0, 1])],
        ),
        ("svmlight", |bytes| svmlight::read_from(bytes, "x", bytes.len() as u64), vec![svm]),
        (
            "parquet",
            |bytes| parquet::read(bytes, "x"),
            vec![
                hand().file(),
                fixture("snappy.parquet"),
                fixture("zstd.parquet"),
                fixture("gzip_v2.parquet"),
                fixture("encodings.parquet"),
                fixture("int96.parquet"),
            ],
        ),
    ]
}

/// Makes one to four changes of kinds that happen to files.
fn mutant(seed: &[u8], noise: &mut Noise) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=noise.below(4) {
        let at = noise.below(bytes.len());
        let end = (at + 1 + noise.below(16)).min(bytes.len());
        match noise.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << noise.below(8),
            1 if at < bytes.len() => {
                bytes[at] = *noise
                    .of(&[0, 1, 2, 127, 128, 255, b'"', b'\n', b'\r', b',', b':', b'#', b'-', b'9'])
            }
            2 => _ = bytes.drain(at..end),
            3 => {
                let copy = bytes[at.min(end)..end].to_vec();
                let to = noise.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            4 => bytes.insert(at, noise.next() as u8),
            5 => bytes.truncate(at),
            // The metadata of Parquet files is at their end.
            _ => {
                let back = bytes.len().saturating_sub(1 + noise.below(600));
                if let Some(byte) = bytes.get_mut(back) {
                    *byte = noise.next() as u8;
                }
            }
        }
    }
    bytes
}

/// Reads any bytes; returns whether they were accepted. A refusal must be a fault with a hint; a
/// table must have as many cells in each column as it has rows; and the reader must not allocate
/// much more than the bytes take.
fn survive(name: &str, reader: Reader, bytes: &[u8]) -> bool {
    let (result, taken) = allocated(|| reader(bytes));
    assert!(
        taken <= (4 << 20) + 2 * bytes.len() as u64,
        "{name}: {taken} bytes allocated for {:?}",
        bytes.escape_ascii().to_string()
    );
    match result {
        Ok(table) => {
            assert!(
                table.columns.iter().all(|column| column.len() == table.rows),
                "{name}: {}",
                bytes.escape_ascii()
            );
            assert_eq!(table.columns.len(), table.names.len());
            table.cell(table.rows - 1, table.names.len() - 1);
            true
        }
        Err(error) => {
            assert!(
                matches!(exit_of(&error), Exit::Data | Exit::NoInput) && hint_of(&error).is_some(),
                "{name}: {error}"
            );
            assert!(!error.to_string().chars().any(char::is_control), "{name}: {error:?}");
            false
        }
    }
}

#[test]
fn mutants_do_no_harm() {
    for (name, reader, seeds) in targets() {
        let mut noise = Noise(3);
        let mut read = 0;
        for _ in 0..2000 {
            let seed = noise.of(&seeds);
            read += usize::from(survive(name, reader, &mutant(seed, &mut noise)));
        }
        // Some changes are harmless, and some are not.
        assert!((10..1990).contains(&read), "{name}: {read} of 2000 read");
    }
}

#[test]
fn the_fuzz_corpus_does_no_harm() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, reader, _) in targets() {
        // A package of the crate is without the folder.
        for entry in std::fs::read_dir(folder.join(name)).into_iter().flatten() {
            survive(name, reader, &std::fs::read(entry.unwrap().path()).unwrap());
        }
    }
}

/// Writes the corpus from which fuzzing starts: `cargo test --test cpu readers -- --ignored`.
#[test]
#[ignore = "writes files"]
fn write_the_fuzz_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let bad = [bad_texts(), bad_arrays(), bad_sparse(), bad_parquet()];
    for ((name, _, seeds), bad) in targets().into_iter().zip(bad) {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        let seeds = seeds
            .into_iter()
            .enumerate()
            .map(|(i, bytes)| (format!("seed-{i}"), bytes))
            .filter(|(_, bytes)| bytes.len() < 10_000);
        let bad = bad
            .into_iter()
            .filter(|(_, bytes, ..)| bytes.len() < 600)
            .step_by(3)
            .map(|(file, bytes, ..)| (file.to_owned(), bytes));
        for (file, bytes) in seeds.chain(bad) {
            write(&folder.join(name), &file, bytes);
        }
    }
}
