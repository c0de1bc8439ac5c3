//! The cache of tables that were read before: folders of encoded rows in the user's cache
//! directory. The key of an entry is a hash of the contents of the files and of everything that
//! decides how they are encoded. No run depends on an entry: one that is damaged or in the way is
//! made again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::cache;
use crate::config::{Activation, Data, Loss, Sampling, Source, Task, TaskSource, Version};
use crate::data::Part;
use crate::data::store::stored::{Folder, Storage, StoredParts, TEMPORARY, open};

/// Bytes of files below which a table gets no entry, because reading it takes no noticeable time.
const LEAST: u64 = 8 << 20;
/// Bytes that all entries may take together. The entry that was used last stays whatever its size.
const MOST: u64 = 8 << 30;
/// Age at which an incomplete folder is removed; until then another process may be writing it.
const ABANDONED: Duration = Duration::from_secs(48 * 3600);

/// The cache of encoded tables.
#[derive(Clone, Debug)]
pub struct TableCache {
    /// The directory that holds the entries and nothing else.
    pub directory: PathBuf,
    /// Bytes of files from which on a table gets an entry.
    pub least: u64,
    /// Bytes that all entries may take together.
    pub most: u64,
}

impl TableCache {
    /// The cache in the user's cache directory, if there is such a directory.
    pub fn of_user() -> Option<TableCache> {
        Some(TableCache { directory: cache::directory()?.join("data"), least: LEAST, most: MOST })
    }

    /// Opens the entry of a key.
    pub fn find(&self, key: &str, storage: Storage) -> Option<StoredParts> {
        let path = self.path(key);
        let found = open(&path, storage)?;
        self.touch(key);
        Some(found)
    }

    /// Notes that the entry of a key was used: entries are removed in the order of their last use.
    pub fn touch(&self, key: &str) {
        let meta = fs::File::options().append(true).open(self.path(key).join("meta"));
        let _ = meta.and_then(|meta| meta.set_modified(SystemTime::now()));
    }

    /// The path of the entry of a key, whether or not there is one.
    pub fn path(&self, key: &str) -> PathBuf {
        self.directory.join(key)
    }

    /// Makes a complete folder the entry of a key.
    ///
    /// # Errors
    /// 74 if it cannot be renamed.
    pub fn keep(&self, folder: Folder, key: &str) -> anyhow::Result<()> {
        folder.keep(&self.path(key))?;
        self.prune(key);
        Ok(())
    }

    /// Removes the entries that were used least recently until the others fit into `most` bytes,
    /// and abandoned folders.
    fn prune(&self, newest: &str) {
        let folders =
            fs::read_dir(&self.directory).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut entries: Vec<(SystemTime, u64, PathBuf)> =
            folders.filter_map(|path| Some((used(&path)?, size(&path), path))).collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.0));
        let mut sum = size(&self.path(newest));
        for (used, size, path) in
            entries.into_iter().filter(|(.., path)| *path != self.path(newest))
        {
            let is_temporary =
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(TEMPORARY));
            let is_old = used.elapsed().is_ok_and(|age| age > ABANDONED);
            sum += if is_temporary { 0 } else { size };
            if (is_temporary && is_old) || (!is_temporary && sum > self.most) {
                let _ = fs::remove_dir_all(path);
            }
        }
    }
}

/// The time when an entry was used last.
fn used(folder: &Path) -> Option<SystemTime> {
    let meta = fs::metadata(folder.join("meta")).or_else(|_| fs::metadata(folder));
    meta.ok()?.modified().ok()
}

/// The bytes of the files in a folder.
fn size(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum()
}

/// The key of a table: a hash of everything that decides how its rows are encoded. These are the
/// contents and names of the files (columns of arrays are named after them), the version of the
/// program, and all settings except those that cannot matter before training. `memory` is the
/// budget of a table that is encoded in chunks.
pub fn key(
    data: &Data,
    tasks: &[Task],
    hashes: &[(String, String)],
    memory: Option<u64>,
) -> String {
    let nowhere = || Source::Table(Vec::new());
    let (valid, test) =
        (data.valid.as_ref().map(|_| nowhere()), data.test.as_ref().map(|_| nowhere()));
    let kinds = Part::sources(data).map(|source| source.map(count));
    let (train, sampling) = (bare_source(&data.train), Sampling::Proportional);
    let data = Data { train, valid, test, memory, sampling, shuffle_window: None, ..data.clone() };
    let mut hasher = blake3::Hasher::new();
    let mut add = |text: String| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    add(env!("CARGO_PKG_VERSION").to_owned());
    for (file, hash) in hashes {
        add(Path::new(file).file_name().unwrap_or_default().to_string_lossy().into_owned());
        add(hash.clone());
    }
    add(format!("{kinds:?} {data:?}"));
    tasks.iter().for_each(|task| add(format!("{:?}", bare(task))));
    hasher.finalize().to_hex().chars().take(32).collect()
}

/// Number of files of a source. It is part of the key, because the same files may be divided into
/// parts in another way.
fn count(source: &Source) -> usize {
    crate::data::read::files::paths(source).map_or(0, |paths| paths.len())
}

/// A source without its files, and without how rows are drawn from it.
fn bare_source(source: &Source) -> Source {
    let without_names = |files: &Vec<PathBuf>| vec![PathBuf::new(); files.len()];
    let bare = |source: &TaskSource| TaskSource {
        train: without_names(&source.train),
        valid: without_names(&source.valid),
        test: without_names(&source.test),
        weight: None,
        ..source.clone()
    };
    match source {
        Source::Several(sources) => Source::Several(sources.iter().map(bare).collect()),
        Source::Arrays { labels, .. } => {
            let labels = labels.iter().map(|(name, _)| (name.clone(), PathBuf::new())).collect();
            Source::Arrays { features: PathBuf::new(), labels }
        }
        _ => Source::Table(Vec::new()),
    }
}

/// A task without the settings that do not affect its labels.
fn bare(task: &Task) -> Task {
    // This loss decides whether the mean of the counts is fitted.
    let loss = if let Loss::Poisson { .. } = task.loss {
        task.loss.clone()
    } else {
        Loss::default_of(task.kind, Version::V0_2)
    };
    let activation = Activation::Relu;
    Task {
        layers: Vec::new(),
        activation,
        dropout: 0.0,
        weight: 1.0,
        loss,
        top_k: 1,
        ..task.clone()
    }
}
