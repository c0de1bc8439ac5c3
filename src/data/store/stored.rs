//! Parts of a data set in a folder: rows as they were encoded, so that they are there again without
//! reading the files that they came from, or are trained on without being in memory.
//!
//! `meta` holds the schema, what is in each part, and hashes of everything, its own first. A part
//! is one file of 32-bit words, lowest byte first: the features row by row, then the labels column
//! by column, then the weights. What does not fit its hash is as if it were not there.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use crate::data::store::budget::Budget;
use crate::data::store::rows::{Block, PIECE, Stored, word};
use crate::data::{Dataset, Features, Part, Schema};
use crate::fault::{Exit, Fault};

/// Changes when what is written means something else.
const FORMAT: u64 = 1;
/// What folders are called that are not whole yet, or never will be.
pub const TEMPORARY: &str = ".tmp-";

/// What a folder holds.
#[derive(Serialize, Deserialize)]
struct Meta {
    format: u64,
    version: String,
    schema: Schema,
    notices: Vec<String>,
    parts: Vec<Shape>,
}

/// What the file of a part holds.
#[derive(Clone, Serialize, Deserialize)]
struct Shape {
    name: String,
    rows: usize,
    /// Words of the features of a row, and whether codes are among them.
    slots: usize,
    codes: bool,
    labels: usize,
    weighted: bool,
    /// BLAKE3 in hex.
    hash: String,
}

impl Shape {
    /// Words of the file.
    fn words(&self) -> Option<usize> {
        let row = self.slots.checked_add(self.labels)?.checked_add(usize::from(self.weighted))?;
        self.rows.checked_mul(row)
    }
}

/// A folder under way. It is removed with this unless it was kept.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    parts: [Option<PartFile>; 3],
    is_kept: bool,
}

/// A part under way. Labels and weights follow when all features are there.
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

fn broken(path: &Path, e: &io::Error) -> Fault {
    let hint = "make room there, or name another folder with TANDEM_CACHE_DIR";
    Fault::new(Exit::Io, format!("{}: encoded rows cannot be written: {e}", path.display()))
        .hint(hint)
}

impl Folder {
    /// An empty folder in another one.
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

    /// Completes the folder, which others may then open.
    ///
    /// # Errors
    /// 74 if it cannot be written.
    pub fn finish(&mut self, schema: &Schema, notices: &[String]) -> anyhow::Result<()> {
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
            notices: notices.to_vec(),
            parts,
        };
        let text = serde_json::to_string(&meta)?;
        let text = format!("{}\n{text}", blake3::hash(text.as_bytes()).to_hex());
        fs::write(self.path.join("meta"), text).map_err(|e| broken(&self.path, &e).into())
    }

    /// Gives the folder the name by which it is found; one that is there already is removed.
    ///
    /// # Errors
    /// 74 if it cannot be renamed.
    pub fn keep(mut self, name: &Path) -> anyhow::Result<()> {
        // Nobody reads what is being removed: it was damaged, or is the same.
        let _ = fs::remove_dir_all(name);
        fs::rename(&self.path, name).map_err(|e| broken(name, &e))?;
        self.is_kept = true;
        Ok(())
    }

    /// Where it is.
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
            Features::Cells { words, .. } => self.write(words.iter().copied())?,
            Features::U8 { .. } | Features::Stored(_) => {
                return Err(io::Error::other("only tables in memory are stored"));
            }
        }
        self.labels.iter_mut().zip(&data.labels).for_each(|(all, more)| all.extend(more));
        self.weights.iter_mut().zip(&data.weights).for_each(|(all, more)| all.extend(more));
        self.rows += data.rows;
        Ok(())
    }

    fn write(&mut self, words: impl Iterator<Item = u32>) -> io::Result<()> {
        let mut piece = Vec::with_capacity(PIECE);
        let mut words = words.peekable();
        while words.peek().is_some() {
            piece.clear();
            words.by_ref().take(PIECE / 4).for_each(|word| piece.extend(word.to_le_bytes()));
            self.hasher.update(&piece);
            self.file.write_all(&piece)?;
        }
        Ok(())
    }

    fn finish(mut self, name: &str) -> io::Result<Shape> {
        for column in std::mem::take(&mut self.labels) {
            self.labels.push(Vec::new());
            self.write(column.into_iter())?;
        }
        let weighted = self.weights.is_some();
        if let Some(weights) = self.weights.take() {
            self.write(weights.into_iter().map(f32::to_bits))?;
        }
        self.file.flush()?;
        let (rows, slots, codes, labels) = (self.rows, self.slots, self.codes, self.labels.len());
        let hash = self.hasher.finalize().to_hex().to_string();
        Ok(Shape { name: name.to_owned(), rows, slots, codes, labels, weighted, hash })
    }
}

/// What was found in a folder.
#[derive(Debug)]
pub struct Found {
    /// How the rows were made.
    pub schema: Schema,
    /// What was noticed then.
    pub notices: Vec<String>,
    /// The parts that are there.
    pub parts: [Option<Dataset>; 3],
}

/// How the features of a folder are to be had.
#[derive(Clone, Copy, Debug)]
pub enum Place<'f> {
    /// In memory.
    Memory,
    /// Where they are, a window of rows at a time.
    Disk {
        /// What memory there is.
        budget: Budget,
        /// Rows of a window of the training part, if they are given.
        window: Option<usize>,
        /// Removed when nobody needs it any more.
        folder: Option<&'f Arc<Folder>>,
    },
}

/// Opens a folder; `None` if it is not there, not whole, or damaged, for which it is read to its
/// end.
pub fn open(path: &Path, place: Place) -> Option<Found> {
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
        parts[part as usize] = Some(dataset(&path.join(&shape.name), part, shape, place)?);
    }
    Some(Found { schema: meta.schema, notices: meta.notices, parts })
}

/// A part, if the file is what was written.
fn dataset(path: &Path, part: Part, shape: &Shape, place: Place) -> Option<Dataset> {
    let mut file = File::open(path).ok()?;
    let words = shape.words()?;
    if u64::try_from(words).ok()?.checked_mul(4) != Some(file.metadata().ok()?.len()) {
        return None;
    }
    let mut reader = Hashed { file: &mut file, hasher: blake3::Hasher::new() };
    let features = shape.rows * shape.slots;
    let in_memory = match place {
        Place::Memory => Some(reader.words(features, true)?),
        Place::Disk { .. } => reader.words(features, false).map(|_| None)?,
    };
    let labels =
        (0..shape.labels).map(|_| reader.words(shape.rows, true)).collect::<Option<Vec<_>>>()?;
    let weights = if shape.weighted { Some(reader.words(shape.rows, true)?) } else { None };
    if reader.hasher.finalize().to_hex().as_str() != shape.hash {
        return None;
    }
    let features = match (in_memory, place) {
        (Some(words), _) if shape.codes => Features::Cells { words, slots: shape.slots },
        (Some(words), _) => Features::F32(words.into_iter().map(f32::from_bits).collect()),
        (None, place) => Features::Stored(Arc::new(stored(file, path, part, shape, place))),
    };
    let weights = weights.map(|words| words.into_iter().map(f32::from_bits).collect());
    Some(Dataset { rows: shape.rows, features, labels, weights, table: None })
}

/// A file that is hashed as it is read.
struct Hashed<'f> {
    file: &'f mut File,
    hasher: blake3::Hasher,
}

impl Hashed<'_> {
    /// So many words, or only their hash.
    fn words(&mut self, count: usize, wanted: bool) -> Option<Vec<u32>> {
        let mut words = Vec::with_capacity(if wanted { count } else { 0 });
        let (mut piece, mut left) = (vec![0; PIECE.min(4 * count)], count);
        while left > 0 {
            let bytes = &mut piece[..PIECE.min(4 * left)];
            self.file.read_exact(bytes).ok()?;
            self.hasher.update(bytes);
            left -= bytes.len() / 4;
            if wanted {
                words.extend(bytes.chunks_exact(4).map(word));
            }
        }
        Some(words)
    }
}

/// The features of a part that stay on disk.
fn stored(file: File, path: &Path, part: Part, shape: &Shape, place: Place) -> Stored {
    let (budget, window, folder) = match place {
        Place::Disk { budget, window, folder } => {
            (budget, window.filter(|_| part == Part::Train), folder.cloned())
        }
        Place::Memory => (Budget(u64::MAX), None, None),
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
        block: Mutex::new(Block { file, first: 0, words: Vec::new() }),
        _folder: folder,
    }
}
