//! Writing checkpoints: first the files, then the manifest, then the directory gets its name, and
//! only then are older checkpoints removed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Result, anyhow};

use super::disk::Disk;
use super::manifest::Manifest;
use super::names::{ASIDE, TEMPORARY, list, put_back};
use super::{BALANCE, BEST, CONFIG, Context, MANIFEST, MOMENTS, PARAMETERS, Snapshot, best_of};
use crate::fault::{Exit, Fault, of_creation};
use crate::model::arena::Numbers;
use crate::model::file::{arena, contents};
use crate::model::layout::Layout;
use crate::replace::sync_parent;

/// Commits a snapshot as `ROOT/step-N`, and removes all but the newest `keep` checkpoints.
///
/// # Errors
/// 73 if a directory cannot be created; 74 if a write fails; 3 if a number is not finite. In each
/// case the checkpoints that were committed before are untouched.
pub fn write(
    disk: &Disk,
    root: &Path,
    snapshot: &Snapshot,
    context: &Context,
    keep: usize,
) -> Result<PathBuf> {
    let files = files(snapshot, context)?;
    let path = root.join(format!("step-{}", snapshot.steps));
    let temporary = root.join(format!("{TEMPORARY}{}-{}", snapshot.steps, std::process::id()));
    let written = commit(disk, root, &temporary, &path, &files);
    if written.is_err() {
        // The first error is the one to tell.
        let _ = disk.remove_directory(&temporary);
        let _ = put_back(disk, root);
    }
    written?;
    prune(disk, root, snapshot.steps, keep).map_err(|e| cannot_write(root, &e))?;
    Ok(path)
}

/// Name and bytes of each file, the manifest last.
fn files(snapshot: &Snapshot, context: &Context) -> Result<Vec<(String, Vec<u8>)>> {
    let Context { network, layout, schema, config, .. } = context;
    let mut files = vec![(CONFIG.to_owned(), config.clone().into_bytes())];
    let model = match &snapshot.parameters {
        Numbers::F32(parameters) => contents(network, layout, schema, parameters)?,
        Numbers::F64(_) => contents(network, layout, schema, &snapshot.parameters.to_f32())?,
    };
    files.extend(model.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)));
    let mut add = |name: &str, bytes: Vec<u8>| files.push((name.to_owned(), bytes));
    if matches!(snapshot.parameters, Numbers::F64(_)) {
        add(PARAMETERS, bytes(layout, &snapshot.parameters)?);
    }
    for (name, moment) in MOMENTS.into_iter().zip(&snapshot.moments) {
        add(name, bytes(layout, moment)?);
    }
    if let Some((_, state)) = &snapshot.balance {
        add(BALANCE, state.to_bytes());
    }
    if let Some(best) = &snapshot.best {
        add(BEST, arena::to_bytes(layout, &best.parameters)?);
    }
    for (number, task) in snapshot.tasks.iter().enumerate() {
        if let Some(best) = &task.best {
            add(&best_of(number), arena::to_bytes(layout, &best.parameters)?);
        }
    }
    let manifest = Manifest::new(snapshot, context, &files).to_bytes()?;
    files.push((MANIFEST.to_owned(), manifest));
    Ok(files)
}

/// The file of an arena.
fn bytes(layout: &Layout, numbers: &Numbers) -> Result<Vec<u8>> {
    match numbers {
        Numbers::F32(numbers) => arena::to_bytes(layout, numbers),
        Numbers::F64(numbers) => arena::to_bytes(layout, numbers),
    }
}

/// Writes the files to the temporary directory, and gives it the name of the checkpoint.
fn commit(
    disk: &Disk,
    root: &Path,
    temporary: &Path,
    path: &Path,
    files: &[(String, Vec<u8>)],
) -> Result<(), Fault> {
    if temporary.exists() {
        disk.remove_directory(temporary).map_err(|e| cannot_create(temporary, &e))?;
    }
    if !root.exists() {
        disk.create_directory(root).map_err(|e| cannot_create(root, &e))?;
    }
    disk.create_directory(temporary).map_err(|e| cannot_create(temporary, &e))?;
    let written = || -> io::Result<()> {
        files.iter().try_for_each(|(name, bytes)| disk.write(&temporary.join(name), bytes))?;
        disk.sync_directory(temporary)?;
        // A checkpoint of this step may exist already: a damaged one, or one from before the epoch
        // was validated. It is moved aside, and removed once the new one has its name.
        if path.exists() {
            disk.rename(path, &aside(root, path))?;
        }
        disk.rename(temporary, path)?;
        disk.sync_directory(root)?;
        put_back(disk, root)
    };
    written().map_err(|e| cannot_write(path, &e))
}

/// The name of a checkpoint that is moved aside.
fn aside(root: &Path, path: &Path) -> PathBuf {
    root.join(format!("{ASIDE}{}", path.file_name().unwrap_or_default().to_string_lossy()))
}

/// Removes all but the newest `keep` checkpoints, and all of later steps than `newest`: those were
/// damaged, and the run restarted before them. Each is renamed first, so that one that is half
/// removed does not count as a checkpoint.
fn prune(disk: &Disk, root: &Path, newest: u64, keep: usize) -> io::Result<()> {
    let (later, others): (Vec<_>, Vec<_>) =
        list(root).into_iter().partition(|(step, _)| *step > newest);
    for (step, path) in later.into_iter().chain(others.into_iter().skip(keep.max(1))) {
        let temporary = root.join(format!("{TEMPORARY}old-{step}-{}", std::process::id()));
        disk.rename(&path, &temporary)?;
        disk.remove_directory(&temporary)?;
    }
    Ok(())
}

fn cannot_create(path: &Path, error: &io::Error) -> Fault {
    Fault::new(of_creation(error), format!("{}: cannot be created: {error}", path.display())).hint(
        "check the free space and the rights of the run directory; earlier checkpoints are \
         untouched",
    )
}

fn cannot_write(path: &Path, error: &io::Error) -> Fault {
    Fault::new(Exit::Io, format!("{}: cannot be written: {error}", path.display())).hint(
        "check the free space of the disk; earlier checkpoints are untouched, go on with tandem \
         train --resume",
    )
}

/// Writes the checkpoints of a run, one after the other, on a separate thread while the run goes
/// on.
#[derive(Debug)]
pub struct Keeper {
    root: PathBuf,
    context: Arc<Context>,
    keep: usize,
    writing: Option<JoinHandle<Result<PathBuf>>>,
    last: Option<PathBuf>,
    /// `steps` and `validated` of the last snapshot that was written, or whose writing has begun.
    newest: Option<(u64, u64)>,
}

impl Keeper {
    /// A keeper of the newest `keep` checkpoints in `root`, which is created if it does not exist.
    ///
    /// # Errors
    /// 73 if `root` cannot be created, or no directory can be created in it.
    pub fn new(root: PathBuf, context: Context, keep: usize) -> Result<Keeper> {
        // A checkpoint is safe on the disk only if the name of its parent is there too.
        std::fs::create_dir_all(&root)
            .and_then(|()| sync_parent(&root))
            .map_err(|e| cannot_create(&root, &e))?;
        let trial = root.join(format!("{TEMPORARY}{}", std::process::id()));
        std::fs::create_dir(&trial)
            .and_then(|()| std::fs::remove_dir(&trial))
            .map_err(|e| cannot_create(&root, &e))?;
        Ok(Keeper {
            root,
            context: Arc::new(context),
            keep,
            writing: None,
            last: None,
            newest: None,
        })
    }

    /// Tells the keeper that the run goes on from the checkpoint at `path`.
    pub fn resumed(&mut self, path: PathBuf, snapshot: &Snapshot) {
        self.last = Some(path);
        self.newest = Some((snapshot.steps, snapshot.validated));
    }

    /// Waits until the previous snapshot is committed, and begins to write this one. A snapshot
    /// that is already written is not written again.
    ///
    /// # Errors
    /// As [`write()`], about the previous snapshot.
    pub fn keep(&mut self, snapshot: Arc<Snapshot>) -> Result<()> {
        self.finish()?;
        let place = Some((snapshot.steps, snapshot.validated));
        if self.newest == place {
            return Ok(());
        }
        self.newest = place;
        let (root, context, keep) = (self.root.clone(), Arc::clone(&self.context), self.keep);
        let write = move || write(&Disk::default(), &root, &snapshot, &context, keep);
        self.writing = Some(std::thread::Builder::new().name("checkpoint".into()).spawn(write)?);
        Ok(())
    }

    /// Waits until the snapshot that is being written is committed.
    ///
    /// # Errors
    /// As [`write()`].
    pub fn finish(&mut self) -> Result<()> {
        if let Some(thread) = self.writing.take() {
            self.last =
                Some(thread.join().map_err(|_| anyhow!("a checkpoint could not be written"))??);
        }
        Ok(())
    }

    /// The path of the newest committed checkpoint.
    pub fn last(&self) -> Option<&Path> {
        self.last.as_deref()
    }
}

impl Drop for Keeper {
    /// Finishes the checkpoint that is being written, whatever ends the run.
    fn drop(&mut self) {
        let _ = self.finish();
    }
}
