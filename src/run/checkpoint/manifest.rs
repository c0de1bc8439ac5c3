//! `manifest.json`: the state of a run besides its arenas, and length and hash of every file of the
//! checkpoint.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::{Best, Context, Snapshot, TaskSelection};
use crate::fault::{Fault, quoted};
use crate::model::arena::Numbers;
use crate::model::file::FormatStamp;
use crate::run::train::conflict::Conflict;
use crate::run::train::loss_scale::LossScale;
use crate::run::train::sums::Sums;

/// Number of the format. It rises with every change that an older program would misread.
pub const FORMAT: u64 = 1;

/// The hint for a damaged checkpoint.
pub(super) const DAMAGED: &str = "the checkpoint is damaged; remove it, or copy it again";

/// The content of the file, its keys in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub format: u64,
    pub tandem: String,
    pub step: u64,
    pub validated: u64,
    pub points: u64,
    pub sums: Sums,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<Conflict>,
    /// Name of the method whose state is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<String>,
    pub worse: u64,
    pub best: Option<BestEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskEntry>,
    pub seconds: f64,
    pub rate_factor: f64,
    pub rollbacks: u64,
    pub skipped: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<LossScale>,
    /// Whether the arenas hold f64; else f32.
    pub double: bool,
    pub adapter: String,
    pub kernels: Vec<String>,
    pub data: Vec<(String, String)>,
    pub files: Vec<FileEntry>,
    /// BLAKE3 of the manifest with this field empty.
    pub blake3: String,
}

/// The best model, without its arena.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BestEntry {
    pub epoch: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    pub score: f64,
    pub thresholds: Vec<Option<f64>>,
}

impl BestEntry {
    fn of(best: &Best) -> BestEntry {
        BestEntry {
            epoch: best.epoch,
            step: best.step,
            score: best.score,
            thresholds: best.thresholds.clone(),
        }
    }
}

/// The selection of one task, without its arena.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskEntry {
    pub score: Option<f64>,
    pub worse: u64,
    pub best: Option<BestEntry>,
}

impl TaskEntry {
    fn of(task: &TaskSelection) -> TaskEntry {
        TaskEntry {
            score: task.score,
            worse: task.worse,
            best: task.best.as_deref().map(BestEntry::of),
        }
    }
}

/// A file beside the manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileEntry {
    pub name: String,
    pub bytes: u64,
    pub blake3: String,
}

/// The BLAKE3 of some bytes, in hexadecimal.
pub(super) fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

impl Manifest {
    /// The manifest of a snapshot; `files` are names and bytes of the other files.
    pub(super) fn new(
        snapshot: &Snapshot,
        context: &Context,
        files: &[(String, Vec<u8>)],
    ) -> Manifest {
        let entry = |(name, bytes): &(String, Vec<u8>)| FileEntry {
            name: name.clone(),
            bytes: bytes.len() as u64,
            blake3: hash(bytes),
        };
        Manifest {
            format: FORMAT,
            tandem: env!("CARGO_PKG_VERSION").into(),
            step: snapshot.steps,
            validated: snapshot.validated,
            points: snapshot.points,
            sums: snapshot.sums.clone(),
            conflict: snapshot.conflict.clone(),
            balance: snapshot.balance.as_ref().map(|(method, _)| method.clone()),
            worse: snapshot.worse,
            best: snapshot.best.as_deref().map(BestEntry::of),
            tasks: snapshot.tasks.iter().map(TaskEntry::of).collect(),
            seconds: snapshot.seconds,
            rate_factor: snapshot.rate_factor,
            rollbacks: snapshot.rollbacks,
            skipped: snapshot.skipped,
            scale: snapshot.scale,
            double: matches!(snapshot.parameters, Numbers::F64(_)),
            adapter: context.adapter.clone(),
            kernels: context.kernels.clone(),
            data: context.data.clone(),
            files: files.iter().map(entry).collect(),
            blake3: String::new(),
        }
    }

    /// The bytes of the file.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let sealed = Manifest { blake3: hash(&self.text("")?), ..self.clone() };
        self.text(&sealed.blake3)
    }

    /// The bytes of the file with `seal` as its own hash.
    fn text(&self, seal: &str) -> Result<Vec<u8>> {
        let sealed = Manifest { blake3: seal.into(), ..self.clone() };
        let mut text = serde_json::to_vec_pretty(&sealed).context("a manifest as JSON")?;
        text.push(b'\n');
        Ok(text)
    }

    /// Reads the bytes of a manifest; `path` is its name in messages.
    ///
    /// # Errors
    /// 65 if it is newer than this program, or a byte is not as it was written.
    pub(super) fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Manifest, Fault> {
        let damaged = |message: String| Fault::data(path.display(), message).hint(DAMAGED);
        if !is_sealed(bytes) {
            return Err(damaged("is not as it was written: its hash differs".into()));
        }
        let wrong =
            |e: serde_json::Error| damaged(quoted(&e.to_string()).trim_matches('"').to_owned());
        let stamp: FormatStamp = serde_json::from_slice(bytes).map_err(wrong)?;
        stamp.refuse_newer(path, FORMAT)?;
        serde_json::from_slice(bytes).map_err(wrong)
    }
}

/// The bytes that follow the hash in the file.
const END: &[u8] = b"\"\n}\n";

/// Whether the last value in the file is the hash of all the rest. Every format ends like this, so
/// a manifest whose format number was damaged does not count as that of a newer program.
fn is_sealed(bytes: &[u8]) -> bool {
    let rest = bytes.strip_suffix(END).unwrap_or_default();
    let Some((text, seal)) = rest.split_at_checked(rest.len().saturating_sub(2 * blake3::OUT_LEN))
    else {
        return false;
    };
    text.ends_with(b"\"blake3\": \"") && hash(&[text, END].concat()).as_bytes() == seal
}
