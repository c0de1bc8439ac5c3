//! TensorBoard's event files: `tb/` holds the figures of each row of `metrics.csv` as scalars, with
//! the column's name as the tag, and `tb/layers/` histograms of the weights of each layer.
//!
//! A record is the length of its content, u64, little-endian; the masked CRC-32C of these eight
//! bytes; the content, a message `Event`; its masked CRC-32C. Messages hold the fields that are
//! written here, with TensorFlow's numbers (`event.proto`, `summary.proto`).

use std::path::Path;

use anyhow::Result;
use prost::Message;

use super::appended::{Appended, cannot_create};
use crate::model::layout::{Block, Layout};

/// Directory of the files, below that of a run.
const FOLDER: &str = "tb";
/// Directory of the histograms, below that.
const LAYERS: &str = "layers";
/// Name of each file. TensorBoard knows event files by the middle part.
const FILE: &str = "events.out.tfevents.0.tandem";

/// What the first record has to say.
const VERSION: &str = "brain.Event:2";

/// Number of the classes of a histogram.
const CLASSES: usize = 30;

#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds; TensorBoard's relative time counts from the first event.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Entry>,
}

/// A scalar or a histogram.
#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "5")]
    histo: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(double, tag = "1")]
    min: f64,
    #[prost(double, tag = "2")]
    max: f64,
    #[prost(double, tag = "3")]
    num: f64,
    #[prost(double, tag = "4")]
    sum: f64,
    #[prost(double, tag = "5")]
    sum_squares: f64,
    /// The upper ends of the classes.
    #[prost(double, repeated, tag = "6")]
    bucket_limit: Vec<f64>,
    /// How many values each class has.
    #[prost(double, repeated, tag = "7")]
    bucket: Vec<f64>,
}

impl Histogram {
    /// Classes of equal width between the least and the largest value.
    fn of(values: &[f32]) -> Histogram {
        let all = || values.iter().map(|value| f64::from(*value));
        let (min, max) =
            all().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let width = (max - min) / CLASSES as f64;
        let mut bucket = vec![0.0; CLASSES];
        for value in all() {
            // Without a width all values are in the first class.
            let class = if width > 0.0 { ((value - min) / width) as usize } else { 0 };
            bucket[class.min(CLASSES - 1)] += 1.0;
        }
        Histogram {
            min,
            max,
            num: values.len() as f64,
            sum: all().sum(),
            sum_squares: all().map(|value| value * value).sum(),
            bucket_limit: (1..=CLASSES).map(|class| min + width * class as f64).collect(),
            bucket,
        }
    }
}

/// One of the files of a run.
#[derive(Debug)]
pub(super) struct Events(Appended);

impl Events {
    /// Opens the file of the scalars of a run. A new file gets its first record.
    ///
    /// # Errors
    /// 73 if it cannot be created, 74 if it cannot be written.
    pub(super) fn scalars_of(run: &Path) -> Result<Events> {
        Events::open(&run.join(FOLDER))
    }

    /// Opens the file of the histograms of a run. A new file gets its first record.
    ///
    /// # Errors
    /// As [`Events::scalars_of`].
    pub(super) fn layers_of(run: &Path) -> Result<Events> {
        Events::open(&run.join(FOLDER).join(LAYERS))
    }

    fn open(folder: &Path) -> Result<Events> {
        std::fs::create_dir_all(folder).map_err(|e| cannot_create(folder, &e))?;
        let mut events = Events(Appended::open(folder.join(FILE))?);
        if events.0.len()? == 0 {
            events.begin()?;
        }
        Ok(events)
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// 74 if the file cannot be written.
    pub(super) fn clear(&mut self) -> Result<()> {
        self.0.cut(0)?;
        self.begin()
    }

    /// Forgets everything from the first record on that is of a later step, or is not whole.
    ///
    /// # Errors
    /// 74 if the file cannot be read or written.
    pub(super) fn cut_after(&mut self, step: u64) -> Result<()> {
        let bytes = std::fs::read(&self.0.path).map_err(|e| self.0.failed(&e))?;
        let mut kept = 0;
        while let Some((event, length)) = record(&bytes[kept..]) {
            if event.step > i64::try_from(step).unwrap_or(i64::MAX) {
                break;
            }
            kept += length;
        }
        if kept == 0 { self.clear() } else { self.0.cut(kept as u64) }
    }

    fn begin(&mut self) -> Result<()> {
        let file_version = Some(VERSION.to_owned());
        self.write(&Event { wall_time: 0.0, step: 0, file_version, summary: None })
    }

    /// Appends scalars, each with its tag, of a step, `seconds` after the start of the run.
    ///
    /// # Errors
    /// 74 if the file cannot be written.
    pub(super) fn scalars(
        &mut self,
        step: u64,
        seconds: f64,
        scalars: impl Iterator<Item = (String, f64)>,
    ) -> Result<()> {
        let entry = |(tag, value): (String, f64)| Entry {
            tag,
            simple_value: Some(value as f32),
            histo: None,
        };
        self.entries(step, seconds, scalars.map(entry).collect())
    }

    /// Appends a histogram of each block of parameters, by the block's name.
    ///
    /// # Errors
    /// 74 if the file cannot be written.
    pub(super) fn layers(
        &mut self,
        step: u64,
        seconds: f64,
        layout: &Layout,
        parameters: &[f32],
    ) -> Result<()> {
        let entry = |block: &Block| Entry {
            tag: block.name.clone(),
            simple_value: None,
            histo: Some(Histogram::of(&parameters[block.offset..][..block.len])),
        };
        let blocks = layout.blocks.iter().filter(|block| block.len > 0);
        self.entries(step, seconds, blocks.map(entry).collect())
    }

    fn entries(&mut self, step: u64, seconds: f64, value: Vec<Entry>) -> Result<()> {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        let summary = Some(Summary { value });
        self.write(&Event { wall_time: seconds, step, file_version: None, summary })
    }

    fn write(&mut self, event: &Event) -> Result<()> {
        let content = event.encode_to_vec();
        let length = (content.len() as u64).to_le_bytes();
        let parts = [&length[..], &masked(&length), &content, &masked(&content)];
        self.0.write(&parts.concat())
    }
}

/// The first record of some bytes, with its length; `None` if it is not whole.
fn record(bytes: &[u8]) -> Option<(Event, usize)> {
    let length = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let end = 12_usize.checked_add(usize::try_from(length).ok()?)?;
    let content = bytes.get(12..end)?;
    let sum = bytes.get(end..end.checked_add(4)?)?;
    (sum == masked(content)).then_some(())?;
    Some((Event::decode(content).ok()?, end + 4))
}

/// The CRC-32C of bytes, rotated by 15 and moved, so that a checksum within the content does not
/// meet its own.
fn masked(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}
