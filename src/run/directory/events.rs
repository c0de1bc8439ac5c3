//! TensorBoard's event file, `tb/events.out.tfevents.0.tandem`: the figures of each row of
//! `metrics.csv` as scalars, with the column's name as the tag.
//!
//! A record is the length of its content, u64, little-endian; the masked CRC-32C of these eight
//! bytes; the content, a message `Event`; its masked CRC-32C. Messages hold the fields that are
//! written here, with TensorFlow's numbers (`event.proto`, `summary.proto`).

use std::path::Path;

use anyhow::Result;
use prost::Message;

use super::appended::{Appended, cannot_create};

/// Directory and name of the file. TensorBoard knows event files by the middle part.
const PLACE: [&str; 2] = ["tb", "events.out.tfevents.0.tandem"];

/// What the first record has to say.
const VERSION: &str = "brain.Event:2";

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
    value: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// The file of a run.
#[derive(Debug)]
pub(super) struct Events(Appended);

impl Events {
    /// Opens the file below a run directory. A new file gets its first record.
    ///
    /// # Errors
    /// 73 if it cannot be created, 74 if it cannot be written.
    pub(super) fn open(run: &Path) -> Result<Events> {
        let folder = run.join(PLACE[0]);
        std::fs::create_dir_all(&folder).map_err(|e| cannot_create(&folder, &e))?;
        let mut events = Events(Appended::open(folder.join(PLACE[1]))?);
        if events.0.len()? == 0 {
            events.begin()?;
        }
        Ok(events)
    }

    /// Forgets all scalars.
    ///
    /// # Errors
    /// 74 if the file cannot be written.
    pub(super) fn clear(&mut self) -> Result<()> {
        self.0.cut(0)?;
        self.begin()
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
        let value =
            scalars.map(|(tag, value)| Scalar { tag, simple_value: Some(value as f32) }).collect();
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

/// The CRC-32C of bytes, rotated by 15 and moved, so that a checksum within the content does not
/// meet its own.
fn masked(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}
