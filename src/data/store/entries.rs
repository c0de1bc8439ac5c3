//! Tables that were read before: encoded rows in the user's cache directory, by the contents of the
//! files and by whatever decides how they are encoded. Nothing depends on an entry; what is damaged
//! or in the way is made again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::cache;
use crate::config::{Activation, Data, Loss, Source, Task};
use crate::data::Part;
use crate::data::store::stored::{Folder, Found, Place, TEMPORARY, open};

/// Tables of fewer bytes are read faster than anybody notices.
const LEAST: u64 = 8 << 20;
/// Bytes that all entries may take together; the one that was used last stays whatever it takes.
const MOST: u64 = 8 << 30;
/// What was never completed goes after so long: until then somebody may be at work on it.
const ABANDONED: Duration = Duration::from_secs(48 * 3600);

/// Where entries are, and which.
#[derive(Clone, Debug)]
pub struct Entries {
    /// The directory that holds them, and nothing else.
    pub directory: PathBuf,
    /// Bytes of files from which on a table has an entry.
    pub least: u64,
    /// Bytes that all entries may take together.
    pub most: u64,
}

impl Entries {
    /// Those in the user's cache directory, if there is one.
    pub fn of_user() -> Option<Entries> {
        Some(Entries { directory: cache::directory()?.join("data"), least: LEAST, most: MOST })
    }

    /// The entry of a key.
    pub fn find(&self, key: &str, place: Place) -> Option<Found> {
        let path = self.path(key);
        let found = open(&path, place)?;
        // The order of use is the order in which entries are removed.
        let meta = fs::File::options().append(true).open(path.join("meta"));
        let _ = meta.and_then(|meta| meta.set_modified(SystemTime::now()));
        Some(found)
    }

    /// Where the entry of a key is, if there is one.
    pub fn path(&self, key: &str) -> PathBuf {
        self.directory.join(key)
    }

    /// Makes a folder that is complete the entry of a key.
    ///
    /// # Errors
    /// 74 if it cannot be renamed.
    pub fn keep(&self, folder: Folder, key: &str) -> anyhow::Result<()> {
        folder.keep(&self.path(key))?;
        self.prune(key);
        Ok(())
    }

    /// Removes what was used least lately, beyond the bytes that entries may take, and what was
    /// abandoned.
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

/// When an entry was used last.
fn used(folder: &Path) -> Option<SystemTime> {
    let meta = fs::metadata(folder.join("meta")).or_else(|_| fs::metadata(folder));
    meta.ok()?.modified().ok()
}

/// Bytes of the files in a folder.
fn size(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum()
}

/// What decides how rows are encoded, as one word: the contents of the files with their names,
/// which columns of arrays bear, this program, and all of the configuration but what is known to
/// matter later. `memory` is the budget of a table that was encoded in chunks.
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
    let data = Data { train: nowhere(), valid, test, memory, shuffle_window: None, ..data.clone() };
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

/// How many files a source has: the same files may be other parts.
fn count(source: &Source) -> usize {
    crate::data::read::files::paths(source).map_or(0, |paths| paths.len())
}

/// A task without what says nothing of its labels.
fn bare(task: &Task) -> Task {
    // Whether a count's loss is divided decides whether its mean is kept.
    let loss = if let Loss::Poisson { .. } = task.loss {
        task.loss.clone()
    } else {
        Loss::default_of(task.kind)
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
