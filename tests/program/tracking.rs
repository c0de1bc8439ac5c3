//! `[tracking]`: event files for TensorBoard hold what `metrics.csv` holds, also after going on.

use std::collections::BTreeMap;
use std::fs;

use crate::common::program::{NET, Room};
use crate::protobuf::fields;

/// (tag, step) → value.
type Scalars = BTreeMap<(String, u64), f32>;

/// CRC-32C, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
}

fn masked(bytes: &[u8]) -> [u8; 4] {
    let crc = crc(bytes);
    crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// The fields of a scalar or a histogram.
type Entry = Vec<(u64, Vec<u8>)>;

/// The events of a file, each with its step and its entries: fields of `Summary.Value`. Checksums
/// and first record must be right.
fn events(mut file: &[u8]) -> Vec<(u64, Vec<Entry>)> {
    let mut found = Vec::new();
    let mut is_first = true;
    while !file.is_empty() {
        let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        assert_eq!(file[8..12], masked(&file[..8]));
        let content = &file[12..12 + length];
        assert_eq!(file[12 + length..16 + length], masked(content));
        file = &file[16 + length..];
        let event = fields(content);
        let field = |number: u64| event.iter().find(|(n, _)| *n == number).map(|(_, bytes)| bytes);
        if std::mem::take(&mut is_first) {
            assert_eq!(field(3).map(Vec::as_slice), Some(&b"brain.Event:2"[..]));
            continue;
        }
        let step = u64::from_le_bytes(field(2).expect("a step")[..8].try_into().unwrap());
        let entries = fields(field(5).expect("a summary")).into_iter();
        found.push((step, entries.map(|(_, value)| fields(&value)).collect()));
    }
    found
}

fn tag(entry: &[(u64, Vec<u8>)]) -> String {
    assert_eq!(entry[0].0, 1);
    String::from_utf8(entry[0].1.clone()).unwrap()
}

/// The scalars of an event file.
fn scalars(file: &[u8]) -> Scalars {
    let mut found = Scalars::new();
    for (step, entries) in events(file) {
        for entry in entries {
            let (tag, number) = (tag(&entry), &entry[1]);
            assert_eq!(number.0, 2, "{tag}");
            let number = f32::from_le_bytes(number.1[..4].try_into().unwrap());
            assert_eq!(found.insert((tag.clone(), step), number), None, "{tag} {step} is twice");
        }
    }
    found
}

fn doubles(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
}

/// The numbers of `metrics.csv` but for those that say where a row stands. Of rows of one step the
/// last one counts.
fn table(room: &Room, run: &str) -> Scalars {
    let text = room.text(&format!("{run}/metrics.csv"));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let mut found = Scalars::new();
    for record in reader.records() {
        let record = record.unwrap();
        let step: u64 = record[1].parse().unwrap();
        for (name, cell) in header.iter().zip(&record) {
            if !["epoch", "step", "seconds"].contains(&name) && !cell.is_empty() {
                found.insert((name.to_owned(), step), cell.parse().unwrap());
            }
        }
    }
    found
}

const FILE: &str = "tb/events.out.tfevents.0.tandem";

#[test]
fn tensorboard_gets_every_figure_of_the_table() {
    let room = Room::new(NET);
    room.train("plain", &[]).expect(0);
    assert!(!room.path("plain/tb").exists(), "nobody asked for it");
    room.train("flag", &["--tensorboard"]).expect(0);
    room.train("key", &["--set", "tracking.tensorboard=true"]).expect(0);
    for run in ["flag", "key"] {
        let (found, expected) = (scalars(&room.bytes(&format!("{run}/{FILE}"))), table(&room, run));
        assert!(expected.len() > 20, "{expected:?}");
        assert_eq!(found, expected, "{run}");
    }
    room.same("flag", "plain");
    // The configuration of the run asks for it, too.
    room.on_reference(&["train", "flag/config.toml", "--out", "again"]).expect(0);
    assert_eq!(scalars(&room.bytes(&format!("again/{FILE}"))), table(&room, "again"));
}

#[test]
fn tensorboard_goes_on_with_a_run_and_can_begin_in_the_middle() {
    let room = Room::new(&format!("{NET}keep = 50\n[tracking]\ntensorboard = true\n"));
    room.train("whole", &[]).expect(0);
    let whole = scalars(&room.bytes(&format!("whole/{FILE}")));
    assert!(room.program("cp").args(["-r", "whole", "part"]).status().unwrap().success());
    for step in room.checkpoints("part").into_iter().filter(|step| *step > 60) {
        fs::remove_dir_all(room.path(&format!("part/checkpoints/step-{step}"))).unwrap();
    }
    room.resume("part", &[]).expect(0).says(&["going on after step 60"]);
    assert_eq!(scalars(&room.bytes(&format!("part/{FILE}"))), whole);
    assert_eq!(whole, table(&room, "part"));

    let off = ["--set", "tracking.tensorboard=false", "--set", "optimizer.schedule=constant"];
    room.train("late", &[&off[..], &["--max-steps", "30"]].concat()).expect(0);
    assert!(!room.path("late/tb").exists());
    room.resume("late", &["--max-steps", "60", "--tensorboard"]).expect(0);
    assert_eq!(scalars(&room.bytes(&format!("late/{FILE}"))), table(&room, "late"));
}

const LAYERS: &str = "tb/layers/events.out.tfevents.0.tandem";

#[test]
fn histograms_count_the_weights_of_layers() {
    let more = "keep = 50\n[tracking]\ntensorboard = true\nhistograms = \"7s\"\n";
    let room = Room::new(&format!("{NET}{more}"));
    room.train("whole", &["--max-steps", "63"]).expect(0);
    let file = room.bytes(&format!("whole/{LAYERS}"));
    let all = events(&file);
    assert_eq!(
        all.iter().map(|(step, _)| *step).collect::<Vec<_>>(),
        [7, 14, 21, 28, 35, 42, 49, 56, 63]
    );
    // The last ones are those of last/.
    let bytes = room.bytes("whole/last/model.safetensors");
    let model = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let entries = &all.last().unwrap().1;
    assert_eq!(entries.len(), model.len());
    for entry in entries {
        let weights: Vec<f64> = model
            .tensor(&tag(entry))
            .unwrap()
            .data()
            .chunks_exact(4)
            .map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap())))
            .collect();
        let field = |number: u64| {
            let histogram = fields(&entry[1].1);
            let found =
                histogram.iter().find(|(n, _)| *n == number).map(|(_, bytes)| doubles(bytes));
            found.unwrap_or_else(|| vec![0.0])
        };
        let least = weights.iter().copied().fold(f64::INFINITY, f64::min);
        let most = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert_eq!([field(1)[0], field(2)[0], field(3)[0]], [least, most, weights.len() as f64]);
        assert!((field(4)[0] - weights.iter().sum::<f64>()).abs() < 1e-9);
        assert!((field(5)[0] - weights.iter().map(|w| w * w).sum::<f64>()).abs() < 1e-9);
        let (ends, counts) = (field(6), field(7));
        assert_eq!((ends.len(), counts.iter().sum::<f64>()), (30, weights.len() as f64));
        // By hand, the values up to an end in the middle.
        let below = weights.iter().filter(|w| **w < ends[13]).count() as f64;
        assert!((counts[..14].iter().sum::<f64>() - below).abs() <= 1.0, "{}", tag(entry));
    }
    // They change no figure, and survive an interruption.
    let off = ["--set", "tracking.histograms=5e", "--max-steps", "63"];
    room.train("rare", &off).expect(0);
    room.same("rare", "whole");
    for step in room.checkpoints("whole").into_iter().filter(|step| *step > 30) {
        std::fs::remove_dir_all(room.path(&format!("whole/checkpoints/step-{step}"))).unwrap();
    }
    let before = room.bytes(&format!("whole/{LAYERS}"));
    room.resume("whole", &[]).expect(0).says(&["going on after step 30"]);
    assert_eq!(events(&room.bytes(&format!("whole/{LAYERS}"))), events(&before));
    room.train("no", &["--set", "tracking.tensorboard=false"])
        .refused(78, &["tracking.histograms: has no effect"]);
}
