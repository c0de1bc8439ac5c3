//! Chooses how a table is loaded: from the cache if it was read before, as a whole in memory, or in
//! chunks that are encoded to disk.

use std::fs::Metadata;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{Data, Source, Task};
use crate::data::load::image_files;
use crate::data::load::large;
pub use crate::data::load::loading::Loading;
use crate::data::load::places;
use crate::data::load::roles::Roles;
use crate::data::load::tables;
use crate::data::read::chunks::indivisible;
use crate::data::read::stream::Stream;
use crate::data::read::{self, files};
use crate::data::store::budget::MemoryBudget;
use crate::data::store::stored::{self, Folder, Storage, StoredParts};
use crate::data::store::table_cache::{TableCache, key};
use crate::data::{Part, Parts};
use crate::fault::{self, Exit, Fault};

/// The files of a data set of tables.
struct Files {
    paths: Vec<PathBuf>,
    bytes: u64,
    budget: MemoryBudget,
    /// Whether the files are read in chunks.
    is_large: bool,
}

/// Reads the parts of a data set of tables.
///
/// # Errors
/// The errors of [`tables::load`]; 74 if rows are encoded to disk and cannot be written.
pub fn load(data: &Data, tasks: &[Task], loading: &Loading) -> anyhow::Result<Parts> {
    let (files, notice) = Files::of(data)?;
    let has_tokens = data.sentences.is_some();
    let cache = loading.cache.as_ref().filter(|cache| files.bytes >= cache.least && !has_tokens);
    let mut parts = match (files.is_large, cache) {
        (false, None) => {
            (loading.stage)("reading", files.bytes);
            tables::load(data, tasks)?
        }
        (false, Some(cache)) => files.load_small(data, tasks, loading, cache)?,
        (true, cache) => files.load_large(data, tasks, loading, cache)?,
    };
    parts.notices.extend(notice);
    Ok(parts)
}

/// (file, BLAKE3 in hex) of each file of a data set, in the order of [`Parts::hashes`].
///
/// # Errors
/// 66 if a file is missing.
pub fn hashes(data: &Data) -> anyhow::Result<Vec<(String, String)>> {
    if data.train.has_image_files() {
        return image_files::hashes(data);
    }
    Files::of(data)?.0.hashes(&Loading::default())
}

/// Reads the training table as a whole or in chunks, finds the roles of its columns, and calls
/// `look` with them.
///
/// # Errors
/// The errors of [`tables::load`].
pub(crate) fn with_roles<T>(
    data: &Data,
    tasks: &[Task],
    look: impl FnOnce(&Roles) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (files, _) = Files::of(data)?;
    let reading = places::reading(data)?;
    let roles = match files.is_large {
        true => large::first_pass(data, tasks, &reading, files.budget)?,
        false => {
            Roles::new(read::read_source(&data.train, &reading.options())?, None, data, tasks)?
        }
    };
    look(&roles)
}

impl Files {
    /// The files that the settings name; with a notice, if they may take more memory than allowed.
    fn of(data: &Data) -> anyhow::Result<(Files, Option<String>)> {
        let sources: Vec<&Source> = Part::sources(data).into_iter().flatten().collect();
        let mut paths = Vec::new();
        for source in &sources {
            paths.extend(files::paths(source)?);
        }
        let bytes =
            paths.iter().filter_map(|path| path.metadata().ok()).map(|meta| meta.len()).sum();
        let budget = MemoryBudget::of(data);
        let mut files = Files { paths, bytes, budget, is_large: budget.is_exceeded(&sources)? };
        let mut notice = None;
        for source in sources.into_iter().filter(|_| files.is_large) {
            notice = notice.or(indivisible(source)?);
        }
        // Sentences are read as a whole whatever their ending is.
        if files.is_large && data.sentences.is_some() {
            notice = notice.or(Some("sentences are read as a whole"));
        }
        files.is_large &= notice.is_none();
        Ok((
            files,
            notice.map(|why| {
                format!("the table may take more than data.memory, but is read as a whole: {why}")
            }),
        ))
    }

    /// (file, BLAKE3 in hex) of each file.
    fn hashes(&self, loading: &Loading) -> anyhow::Result<Vec<(String, String)>> {
        (loading.stage)("hashing", self.bytes);
        let hash = |path: &PathBuf| {
            Stream::plain(fault::open(path)?, &path.display().to_string(), 0).finish()
        };
        self.paths.iter().map(hash).collect()
    }

    /// Loads a table that fits into memory, from the cache if it is there. The files are read once
    /// for the key of the entry, and again if there is no such entry.
    fn load_small(
        &self,
        data: &Data,
        tasks: &[Task],
        loading: &Loading,
        cache: &TableCache,
    ) -> anyhow::Result<Parts> {
        let hashes = self.hashes(loading)?;
        let key = key(data, tasks, &hashes, None);
        if let Some(parts) =
            cache.find(&key, Storage::Memory).and_then(|found| found.parts(hashes.clone()))
        {
            return Ok(with_cache_notice(parts));
        }
        (loading.stage)("reading", self.bytes);
        let parts = tables::load(data, tasks)?;
        if parts.hashes == hashes {
            // If this fails, the next run reads the files again.
            let _ = store(&parts, cache, &key);
        }
        Ok(parts)
    }

    /// Loads a table that is larger than memory, from the cache if it is there.
    fn load_large(
        &self,
        data: &Data,
        tasks: &[Task],
        loading: &Loading,
        cache: Option<&TableCache>,
    ) -> anyhow::Result<Parts> {
        let hashes = self.hashes(loading)?;
        let key = key(data, tasks, &hashes, Some(self.budget.0));
        let storage =
            Storage::Disk { budget: self.budget, window: data.shuffle_window, folder: None };
        let found = cache
            .and_then(|cache| cache.find(&key, storage))
            .and_then(|found| found.parts(hashes.clone()));
        let parts = match found {
            Some(parts) => with_cache_notice(parts),
            None => {
                let folder = self.encode(data, tasks, loading, cache)?;
                let found = match cache {
                    Some(cache) => cache.keep(folder, &key).map(|()| cache.find(&key, storage))?,
                    None => open_temporary(folder, storage),
                };
                let unreadable = || {
                    Fault::new(Exit::Io, "rows that were just written to disk cannot be read")
                        .hint("look at the disk")
                };
                found.and_then(|found| found.parts(hashes)).ok_or_else(unreadable)?
            }
        };
        check_window(data, &parts, self.budget)?;
        Ok(with_window_notice(parts))
    }

    /// Encodes the rows to a new folder and completes it.
    fn encode(
        &self,
        data: &Data,
        tasks: &[Task],
        loading: &Loading,
        cache: Option<&TableCache>,
    ) -> anyhow::Result<Folder> {
        let user = TableCache::of_user().map(|cache| cache.directory);
        let parent = cache
            .map(|cache| cache.directory.clone())
            .or(user)
            .unwrap_or_else(|| std::env::temp_dir().join("tandem"));
        let (mut folder, before) = (Folder::new(&parent)?, self.stamps());
        (loading.stage)("encoding", 2 * self.bytes);
        let (schema, sources, notices) = large::load(data, tasks, self.budget, &mut folder)?;
        folder.finish(&schema, &sources, &notices)?;
        if before != self.stamps() {
            return Err(Fault::data("data", "a file changed while it was read")
                .hint("run it again when nobody writes to the data")
                .into());
        }
        Ok(folder)
    }

    /// The length and the time of the last change of each file.
    fn stamps(&self) -> Vec<Option<(u64, Option<std::time::SystemTime>)>> {
        let stamp = |meta: Metadata| (meta.len(), meta.modified().ok());
        self.paths.iter().map(|path| path.metadata().ok().map(stamp)).collect()
    }
}

impl StoredParts {
    /// These parts as a data set; `None` if the training part is missing.
    fn parts(self, hashes: Vec<(String, String)>) -> Option<Parts> {
        let parts = Parts::of(self.parts, self.schema, hashes, self.notices)?;
        Some(Parts { sources: self.sources, ..parts })
    }
}

/// Opens a folder that is removed when its rows are not in use any more.
fn open_temporary(folder: Folder, storage: Storage) -> Option<StoredParts> {
    let folder = Arc::new(folder);
    let Storage::Disk { budget, window, .. } = storage else { return None };
    stored::open(folder.path(), Storage::Disk { budget, window, folder: Some(&folder) })
}

/// Stores parts in the cache.
fn store(parts: &Parts, cache: &TableCache, key: &str) -> anyhow::Result<()> {
    let mut folder = Folder::new(&cache.directory)?;
    for (part, data) in parts.there() {
        folder.push(part, data)?;
    }
    folder.finish(&parts.schema, &parts.sources, &parts.notices)?;
    cache.keep(folder, key)
}

/// The notice that the rows come from the cache: it is about this reading, not about the data.
pub const FROM_CACHE: &str = "the data was read before: encoded rows are taken from the cache \
                              (--data-cache off reads it again)";

/// Adds a notice that the rows come from the cache.
fn with_cache_notice(mut parts: Parts) -> Parts {
    parts.notices.push(FROM_CACHE.to_owned());
    parts
}

/// Adds a notice that only a window of the rows is in memory, if that is so.
fn with_window_notice(mut parts: Parts) -> Parts {
    if let Some(stored) = parts.train.stored() {
        let (window, rows) = (stored.window, stored.rows);
        let bytes = (4 * stored.slots * window) as f64 / 1e6;
        parts.notices.push(format!(
            "the table is larger than data.memory: encoded rows are on disk, {window} of {rows} \
             are in memory and shuffled at a time, {bytes:.1} MB"
        ));
    }
    parts
}

/// Checks that the window of the configuration fits into memory.
fn check_window(data: &Data, parts: &Parts, budget: MemoryBudget) -> anyhow::Result<()> {
    let (Some(stored), Some(window)) = (parts.train.stored(), data.shuffle_window) else {
        return Ok(());
    };
    let most = budget.rows(stored.slots);
    if window.min(stored.rows) <= most {
        return Ok(());
    }
    let found = format!(
        "{window} rows take more than a quarter of data.memory, which is {} bytes",
        budget.0
    );
    Err(Fault::config("data.shuffle_window", found)
        .hint(format!("at most {most} rows, or more memory"))
        .into())
}
