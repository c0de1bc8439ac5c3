//! The three files of a model directory: written atomically, and read as if a stranger had written
//! them.
//!
//! | file | holds |
//! |---|---|
//! | `model.safetensors` | the parameters, f32; byte-identical for identical parameters |
//! | `config.json` | the [`Network`], after format and version of the program that wrote it |
//! | `schema.json` | the [`Schema`]: columns, scaling, class names |
//!
//! The format number is for all three. No file names another file, and no memory is allocated
//! because a file says so before its real length has confirmed it.

pub mod arena;
mod header;
mod initial;
mod json;
mod limits;
mod read;
mod write;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::layout::Layout;
use super::network::{Embedding, Head, Network, Trunk};
use crate::config::Architecture;
use crate::data::Schema;
use crate::fault::Fault;
pub use initial::{check_inputs, initial_from, trunk_from};
pub use limits::check_savable;
pub use read::{from_bytes, load, load_allowing_nonfinite};
pub use write::{contents, save, update};

/// Number of the format. It rises with every change that an older program would misread.
pub const FORMAT: u64 = 1;

/// Names of the three files.
pub const TENSORS: &str = "model.safetensors";
/// The model as `tandem export` writes it for other programs, with weights of its own.
pub const ONNX: &str = "model.onnx";
pub(crate) const CONFIG: &str = "config.json";
pub(crate) const SCHEMA: &str = "schema.json";
/// The three files of a model.
pub const FILES: [&str; 3] = [TENSORS, CONFIG, SCHEMA];

/// A trained network, with the schema that turns data into its inputs.
#[derive(Clone, Debug)]
pub struct Model {
    /// The description of the network.
    pub network: Network,
    /// The place of each block in `parameters`.
    pub layout: Layout,
    /// Columns, scaling and class names of its data.
    pub schema: Schema,
    /// The arena of parameters, including gaps.
    pub parameters: Vec<f32>,
    /// The directory that it was read from.
    pub directory: PathBuf,
}

impl Model {
    /// Number of weights that are not finite.
    pub fn not_finite(&self) -> usize {
        self.parameters.iter().filter(|x| !x.is_finite()).count()
    }
}

/// The content of `config.json`: a [`Network`], after format and version.
#[derive(Serialize, Deserialize)]
struct NetworkFile {
    format: u64,
    tandem: String,
    inputs: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    embeddings: Vec<Embedding>,
    #[serde(default, skip_serializing_if = "Architecture::is_shared")]
    architecture: Architecture,
    trunk: Trunk,
    tasks: Vec<Head>,
}

/// The keys that a file with a format number begins with. They are read alone, before it is known
/// whether this program can read the rest.
#[derive(Deserialize)]
pub(crate) struct FormatStamp {
    pub(crate) format: u64,
    /// Version of the program that wrote the file.
    tandem: String,
}

impl FormatStamp {
    /// Refuses a file in a later format than `known`.
    pub(crate) fn refuse_newer(&self, path: &Path, known: u64) -> Result<(), Fault> {
        if self.format <= known {
            return Ok(());
        }
        Err(Fault::newer_format(path.display(), self.format, &self.tandem, known))
    }
}

/// The fault of a model file that is not as tandem writes it (65).
fn malformed(place: impl std::fmt::Display, message: impl std::fmt::Display) -> Fault {
    Fault::data(place, message)
        .hint("the model is damaged or was not written by tandem; copy it again, or train again")
}

/// The message of a parser, made safe to print, because it may quote the file.
fn plain(message: &str) -> String {
    let escaped = message
        .chars()
        .take(200)
        .flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] });
    escaped.collect()
}
