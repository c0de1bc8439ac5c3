//! The parts of a data set as encoded rows in a folder. From there they are loaded without reading
//! their original files again, or trained on without being in memory as a whole.
//!
//! The file `meta` holds its own hash, the schema, and for each part its size and its hash. Each
//! part is one file of u32, lowest byte first: the features row by row, then the labels column by
//! column, then the weights. A folder in which something does not match its hash is ignored.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use crate::data::store::budget::MemoryBudget;
use crate::data::store::rows::{Block, PIECE, Stored, u32_from_bytes};
use crate::data::{Dataset, Features, Part, Schema, SourceRows};
use crate::fault::{Exit, Fault};

/// The version of this format. It changes with the meaning of the files.
const FORMAT: u64 = 1;
/// The beginning of the names of incomplete folders.
pub const TEMPORARY: &str = ".tmp-";

/// The contents of the file `meta`.
#[derive(Serialize, Deserialize)]
struct Meta {
    format: u64,
    version: String,
    schema: Schema,
    #[serde(default)]
    sources: Vec<SourceRows>,
    notices: Vec<String>,
    parts: Vec<PartMeta>,
}

/// The contents of the file of a part.
#[derive(Clone, Serialize, Deserialize)]
struct PartMeta {
    name: String,
    rows: usize,
    /// Number of slots of a row, and whether some hold codes.
    slots: usize,
    codes: bool,
    labels: usize,
    weighted: bool,
    /// BLAKE3 of the file, in hex.
    hash: String,
}

impl PartMeta {
    /// Number of u32 in the file; `None` if it overflows.
    fn values(&self) -> Option<usize> {
        let row = self.slots.checked_add(self.labels)?.checked_add(usize::from(self.weighted))?;
        self.rows.checked_mul(row)
    }
}

/// A folder that is being written. It is removed when this is dropped, unless it was kept.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    parts: [Option<PartFile>; 3],
    is_kept: bool,
}

/// A part that is being written. Labels and weights are written after all features.
#[derive(Debug)]
struct PartFile {
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    rows: usize,
    slots: usize,
    codes: bool,
    labels: Vec<Vec<u32>>,
    weights: Option<Vec<f32>>,
}

/// The error for a folder that cannot be written.
fn broken(path: &Path, e: &io::Error) -> Fault {
    let hint = "make room there, or name another folder with TANDEM_CACHE_DIR";
    Fault::new(Exit::Io, format!("{}: encoded rows cannot be written: {e}", path.display()))
        .hint(hint)
}

impl Folder {
    /// Makes an empty folder in `parent`.
    ///
    /// # Errors
    /// 74 if it cannot be made.
    pub fn new(parent: &Path) -> anyhow::Result<Folder> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{TEMPORARY}{}-{number}", std::process::id()));
        fs::create_dir_all(parent)
            .and_then(|()| fs::create_dir(&path))
            .map_err(|e| broken(&path, &e))?;
        Ok(Folder { path, parts: [None, None, None], is_kept: false })
    }

    /// Adds rows to a part.
    ///
    /// # Errors
    /// 74 if they cannot be written.
    pub fn push(&mut self, part: Part, data: &Dataset) -> anyhow::Result<()> {
        let path = self.path.join(part.name());
        let slot = &mut self.parts[part as usize];
        if slot.is_none() {
            *slot = Some(PartFile::new(&path, data).map_err(|e| broken(&path, &e))?);
        }
        slot.as_mut().map_or(Ok(()), |file| file.push(data)).map_err(|e| broken(&path, &e).into())
    }

    /// The weights of the rows of a part so far.
    pub fn weights(&self, part: Part) -> Option<&[f32]> {
        self.parts[part as usize].as_ref()?.weights.as_deref()
    }

    /// Completes the folder, so that it can be opened.
    ///
    /// # Errors
    /// 74 if it cannot be written.
    pub fn finish(
        &mut self,
        schema: &Schema,
        sources: &[SourceRows],
        notices: &[String],
    ) -> anyhow::Result<()> {
        let mut parts = Vec::new();
        for (part, file) in Part::ALL.into_iter().zip(&mut self.parts) {
            if let Some(file) = file.take() {
                parts.push(file.finish(part.name()).map_err(|e| broken(&self.path, &e))?);
            }
        }
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let meta = Meta {
            format: FORMAT,
            version,
            schema: schema.clone(),
            sources: sources.to_vec(),
            notices: notices.to_vec(),
            parts,
        };
        let text = serde_json::to_string(&meta)?;
        let text = format!("{}\n{text}", blake3::hash(text.as_bytes()).to_hex());
        fs::write(self.path.join("meta"), text).map_err(|e| broken(&self.path, &e).into())
    }

    /// Gives the folder its final name; a folder of this name is removed before.
    ///
    /// # Errors
    /// 74 if it cannot be renamed.
    pub fn keep(mut self, name: &Path) -> anyhow::Result<()> {
        // The folder that is removed was damaged, or has the same contents.
        let _ = fs::remove_dir_all(name);
        fs::rename(&self.path, name).map_err(|e| broken(name, &e))?;
        self.is_kept = true;
        Ok(())
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

impl PartFile {
    fn new(path: &Path, data: &Dataset) -> io::Result<PartFile> {
        let file = BufWriter::with_capacity(PIECE, File::create(path)?);
        let codes = matches!(data.features, Features::Cells { .. });
        let (labels, weights) =
            (vec![Vec::new(); data.labels.len()], data.weights.is_some().then(Vec::new));
        Ok(PartFile {
            file,
            hasher: blake3::Hasher::new(),
            rows: 0,
            slots: data.width(),
            codes,
            labels,
            weights,
        })
    }

    fn push(&mut self, data: &Dataset) -> io::Result<()> {
        match &data.features {
            Features::F32(values) => self.write(values.iter().map(|x| x.to_bits()))?,
            Features::Cells { values, .. } => self.write(values.iter().copied())?,
            Features::U8 { .. } | Features::Stored(_) => {
                return Err(io::Error::other("only tables in memory are stored"));
            }
        }
        self.labels.iter_mut().zip(&data.labels).for_each(|(all, more)| all.extend(more));
        self.weights.iter_mut().zip(&data.weights).for_each(|(all, more)| all.extend(more));
        self.rows += data.rows;
        Ok(())
    }

    /// Writes values and adds them to the hash.
    fn write(&mut self, values: impl Iterator<Item = u32>) -> io::Result<()> {
        let mut piece = Vec::with_capacity(PIECE);
        let mut values = values.peekable();
        while values.peek().is_some() {
            piece.clear();
            values.by_ref().take(PIECE / 4).for_each(|value| piece.extend(value.to_le_bytes()));
            self.hasher.update(&piece);
            self.file.write_all(&piece)?;
        }
        Ok(())
    }

    /// Writes labels and weights.
    fn finish(mut self, name: &str) -> io::Result<PartMeta> {
        for column in std::mem::take(&mut self.labels) {
            self.labels.push(Vec::new());
            self.write(column.into_iter())?;
        }
        let weighted = self.weights.is_some();
        if let Some(weights) = self.weights.take() {
            self.write(weights.into_iter().map(f32::to_bits))?;
        }
        self.file.flush()?;
        Ok(PartMeta {
            name: name.to_owned(),
            rows: self.rows,
            slots: self.slots,
            codes: self.codes,
            labels: self.labels.len(),
            weighted,
            hash: self.hasher.finalize().to_hex().to_string(),
        })
    }
}

/// The parts of a folder.
#[derive(Debug)]
pub struct StoredParts {
    /// The schema that the rows were encoded with.
    pub schema: Schema,
    /// The sources of the training part.
    pub sources: Vec<SourceRows>,
    /// The notices of that time.
    pub notices: Vec<String>,
    /// The parts by number; `None` if a part is not there.
    pub parts: [Option<Dataset>; 3],
}

/// Where the features of a folder are kept once it is open.
#[derive(Clone, Copy, Debug)]
pub enum Storage<'f> {
    /// In memory.
    Memory,
    /// On disk, with one window of rows in memory at a time.
    Disk {
        /// The memory that there is.
        budget: MemoryBudget,
        /// Number of rows of a window of the training part, if the configuration gives it.
        window: Option<usize>,
        /// The folder, if it is to be removed when no part of it is in use any more.
        folder: Option<&'f Arc<Folder>>,
    },
}

/// Opens a folder and checks all hashes, for which it is read to its end. `None` if it is missing,
/// incomplete or damaged.
pub fn open(path: &Path, storage: Storage) -> Option<StoredParts> {
    let text = fs::read_to_string(path.join("meta")).ok()?;
    let (hash, text) = text.split_once('\n')?;
    if blake3::hash(text.as_bytes()).to_hex().as_str() != hash {
        return None;
    }
    let meta: Meta = serde_json::from_str(text).ok()?;
    if meta.format != FORMAT || meta.version != env!("CARGO_PKG_VERSION") {
        return None;
    }
    let mut parts = [None, None, None];
    for shape in &meta.parts {
        let part = Part::by_name(&shape.name)?;
        parts[part as usize] = Some(dataset(&path.join(&shape.name), part, shape, storage)?);
    }
    let Meta { schema, sources, notices, .. } = meta;
    Some(StoredParts { schema, sources, notices, parts })
}

/// Opens a part; `None` if the file is not what was written.
fn dataset(path: &Path, part: Part, shape: &PartMeta, storage: Storage) -> Option<Dataset> {
    let mut file = File::open(path).ok()?;
    let values = shape.values()?;
    if u64::try_from(values).ok()?.checked_mul(4) != Some(file.metadata().ok()?.len()) {
        return None;
    }
    let mut reader = Hashed { file: &mut file, hasher: blake3::Hasher::new() };
    let features = shape.rows * shape.slots;
    let in_memory = match storage {
        Storage::Memory => Some(reader.values(features, true)?),
        Storage::Disk { .. } => reader.values(features, false).map(|_| None)?,
    };
    let labels =
        (0..shape.labels).map(|_| reader.values(shape.rows, true)).collect::<Option<Vec<_>>>()?;
    let weights = if shape.weighted { Some(reader.values(shape.rows, true)?) } else { None };
    if reader.hasher.finalize().to_hex().as_str() != shape.hash {
        return None;
    }
    let features = match (in_memory, storage) {
        (Some(values), _) if shape.codes => Features::Cells { values, slots: shape.slots },
        (Some(values), _) => Features::F32(values.into_iter().map(f32::from_bits).collect()),
        (None, storage) => Features::Stored(Arc::new(stored(file, path, part, shape, storage))),
    };
    let weights = weights.map(|values| values.into_iter().map(f32::from_bits).collect());
    Some(Dataset { rows: shape.rows, features, labels, weights, table: None, tokens: None })
}

/// A file that is hashed as it is read.
struct Hashed<'f> {
    file: &'f mut File,
    hasher: blake3::Hasher,
}

impl Hashed<'_> {
    /// Reads `count` values and adds them to the hash. Returns them if they are wanted.
    fn values(&mut self, count: usize, wanted: bool) -> Option<Vec<u32>> {
        let mut values = Vec::with_capacity(if wanted { count } else { 0 });
        let (mut piece, mut left) = (vec![0; PIECE.min(4 * count)], count);
        while left > 0 {
            let bytes = &mut piece[..PIECE.min(4 * left)];
            self.file.read_exact(bytes).ok()?;
            self.hasher.update(bytes);
            left -= bytes.len() / 4;
            if wanted {
                values.extend(bytes.chunks_exact(4).map(u32_from_bytes));
            }
        }
        Some(values)
    }
}

/// The features of a part that stay on disk.
fn stored(file: File, path: &Path, part: Part, shape: &PartMeta, storage: Storage) -> Stored {
    let (budget, window, folder) = match storage {
        Storage::Disk { budget, window, folder } => {
            (budget, window.filter(|_| part == Part::Train), folder.cloned())
        }
        Storage::Memory => (MemoryBudget(u64::MAX), None, None),
    };
    let window = window.unwrap_or(budget.rows(shape.slots)).clamp(1, shape.rows.max(1));
    let folder = folder.map(|folder| folder as Arc<dyn Debug + Send + Sync>);
    Stored {
        rows: shape.rows,
        slots: shape.slots,
        codes: shape.codes,
        window,
        memory: budget.0,
        path: path.to_owned(),
        block: Mutex::new(Block { file, first: 0, values: Vec::new() }),
        _folder: folder,
    }
}
