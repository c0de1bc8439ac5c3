//! Which way a table takes from its files to the training: from the cache if it was read before,
//! through memory, or in chunks to disk.

use std::fs::Metadata;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{Data, Source, Task};
use crate::data::load::large;
use crate::data::load::places;
use crate::data::load::roles::Roles;
use crate::data::load::tables;
use crate::data::read::chunks::indivisible;
use crate::data::read::stream::Stream;
use crate::data::read::{self, files};
use crate::data::store::budget::Budget;
use crate::data::store::entries::{Entries, key};

use crate::data::store::stored::{self, Folder, Found, Place};
use crate::data::{Part, Parts};

use crate::fault::{self, Exit, Fault};

/// What reading may make use of, and who is told of it.
pub struct Way<'w> {
    /// Where tables are that were read before.
    pub entries: Option<Entries>,
    /// Called before files of so many bytes are gone through, with what is done to them.
    pub stage: &'w dyn Fn(&str, u64),
}

impl Default for Way<'_> {
    fn default() -> Self {
        Way { entries: None, stage: &|_, _| {} }
    }
}

/// The files of a table.
struct Files {
    paths: Vec<PathBuf>,
    bytes: u64,
    budget: Budget,
    /// Whether they are read in chunks.
    is_large: bool,
}

/// Reads the parts of a table.
///
/// # Errors
/// Those of [`tables::load`]; 74 if rows are to go to disk and cannot.
pub fn load(data: &Data, tasks: &[Task], way: &Way) -> anyhow::Result<Parts> {
    let (files, notice) = Files::of(data)?;
    let entries = way.entries.as_ref().filter(|entries| files.bytes >= entries.least);
    let mut parts = match (files.is_large, entries) {
        (false, None) => {
            (way.stage)("reading", files.bytes);
            tables::load(data, tasks)?
        }
        (false, Some(entries)) => files.load_small(data, tasks, way, entries)?,
        (true, entries) => files.load_large(data, tasks, way, entries)?,
    };
    parts.notices.extend(notice);
    Ok(parts)
}

/// (file, BLAKE3 in hex) of each file of a table, in the order of [`Parts::hashes`].
///
/// # Errors
/// 66 if a file is missing.
pub fn hashes(data: &Data) -> anyhow::Result<Vec<(String, String)>> {
    Files::of(data)?.0.hashes(&Way::default())
}

/// Looks at a table with the uses of its columns, by the way that it comes to the training.
///
/// # Errors
/// Those of [`tables::load`].
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
    /// With what is to be said of them.
    fn of(data: &Data) -> anyhow::Result<(Files, Option<String>)> {
        let sources: Vec<&Source> = Part::sources(data).into_iter().flatten().collect();
        let mut paths = Vec::new();
        for source in &sources {
            paths.extend(files::paths(source)?);
        }
        let bytes =
            paths.iter().filter_map(|path| path.metadata().ok()).map(|meta| meta.len()).sum();
        let budget = Budget::of(data);
        let mut files = Files { paths, bytes, budget, is_large: budget.is_exceeded(&sources)? };
        let mut notice = None;
        for source in sources.into_iter().filter(|_| files.is_large) {
            notice = notice.or(indivisible(source)?);
        }
        files.is_large &= notice.is_none();
        Ok((
            files,
            notice.map(|why| {
                format!("the table may take more than data.memory, but is read as a whole: {why}")
            }),
        ))
    }

    /// (file, BLAKE3 in hex) of each.
    fn hashes(&self, way: &Way) -> anyhow::Result<Vec<(String, String)>> {
        (way.stage)("hashing", self.bytes);
        let hash = |path: &PathBuf| {
            Stream::plain(fault::open(path)?, &path.display().to_string(), 0).finish()
        };
        self.paths.iter().map(hash).collect()
    }

    fn load_small(
        &self,
        data: &Data,
        tasks: &[Task],
        way: &Way,
        entries: &Entries,
    ) -> anyhow::Result<Parts> {
        let hashes = self.hashes(way)?;
        let key = key(data, tasks, &hashes, None);
        if let Some(parts) =
            entries.find(&key, Place::Memory).and_then(|found| found.parts(hashes.clone()))
        {
            return Ok(told_of_cache(parts));
        }
        (way.stage)("reading", self.bytes);
        let parts = tables::load(data, tasks)?;
        if parts.hashes == hashes {
            // Whoever comes next reads the files again where this fails.
            let _ = store(&parts, entries, &key);
        }
        Ok(parts)
    }

    fn load_large(
        &self,
        data: &Data,
        tasks: &[Task],
        way: &Way,
        entries: Option<&Entries>,
    ) -> anyhow::Result<Parts> {
        let hashes = self.hashes(way)?;
        let key = key(data, tasks, &hashes, Some(self.budget.0));
        let place = Place::Disk { budget: self.budget, window: data.shuffle_window, folder: None };
        let found = entries
            .and_then(|entries| entries.find(&key, place))
            .and_then(|found| found.parts(hashes.clone()));
        let parts = match found {
            Some(parts) => told_of_cache(parts),
            None => {
                let folder = self.encode(data, tasks, way, entries)?;
                let found = match entries {
                    Some(entries) => {
                        entries.keep(folder, &key).map(|()| entries.find(&key, place))?
                    }
                    None => lent(folder, place),
                };
                let unreadable = || {
                    Fault::new(Exit::Io, "rows that were just written to disk cannot be read")
                        .hint("look at the disk")
                };
                found.and_then(|found| found.parts(hashes)).ok_or_else(unreadable)?
            }
        };
        check_window(data, &parts, self.budget)?;
        Ok(told_of_window(parts))
    }

    /// A complete folder with the encoded rows.
    fn encode(
        &self,
        data: &Data,
        tasks: &[Task],
        way: &Way,
        entries: Option<&Entries>,
    ) -> anyhow::Result<Folder> {
        let user = Entries::of_user().map(|entries| entries.directory);
        let parent = entries
            .map(|entries| entries.directory.clone())
            .or(user)
            .unwrap_or_else(|| std::env::temp_dir().join("tandem"));
        let (mut folder, before) = (Folder::new(&parent)?, self.stamps());
        (way.stage)("encoding", 2 * self.bytes);
        let (schema, notices) = large::load(data, tasks, self.budget, &mut folder)?;
        folder.finish(&schema, &notices)?;
        if before != self.stamps() {
            return Err(Fault::data("data", "a file changed while it was read")
                .hint("run it again when nobody writes to the data")
                .into());
        }
        Ok(folder)
    }

    /// Length and time of the last change of each file.
    fn stamps(&self) -> Vec<Option<(u64, Option<std::time::SystemTime>)>> {
        let stamp = |meta: Metadata| (meta.len(), meta.modified().ok());
        self.paths.iter().map(|path| path.metadata().ok().map(stamp)).collect()
    }
}

impl Found {
    /// As a data set; `None` without anything to train on.
    fn parts(self, hashes: Vec<(String, String)>) -> Option<Parts> {
        Parts::of(self.parts, self.schema, hashes, self.notices)
    }
}

/// What is in a folder that goes when nobody needs its rows any more.
fn lent(folder: Folder, place: Place) -> Option<Found> {
    let folder = Arc::new(folder);
    let Place::Disk { budget, window, .. } = place else { return None };
    stored::open(folder.path(), Place::Disk { budget, window, folder: Some(&folder) })
}

/// Keeps parts for the next time.
fn store(parts: &Parts, entries: &Entries, key: &str) -> anyhow::Result<()> {
    let mut folder = Folder::new(&entries.directory)?;
    for (part, data) in parts.there() {
        folder.push(part, data)?;
    }
    folder.finish(&parts.schema, &parts.notices)?;
    entries.keep(folder, key)
}

fn told_of_cache(mut parts: Parts) -> Parts {
    parts.notices.push(
        "the data was read before: encoded rows are taken from the cache (--data-cache off reads \
         it again)"
            .to_owned(),
    );
    parts
}

fn told_of_window(mut parts: Parts) -> Parts {
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

/// A window that is asked for has to fit.
fn check_window(data: &Data, parts: &Parts, budget: Budget) -> anyhow::Result<()> {
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
