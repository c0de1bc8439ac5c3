//! Writing: files first, then the manifest, then the name of the directory, and only then are older
//! checkpoints removed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Result, anyhow};

use super::disk::Disk;
use super::manifest::Manifest;
use super::names::{ASIDE, TEMPORARY, list, put_back};
use super::{BEST, CONFIG, Context, MANIFEST, MOMENTS, PARAMETERS, Snapshot};
use crate::fault::{Exit, Fault, of_creation};
use crate::model::arena::Numbers;
use crate::model::file::{arena, contents};
use crate::model::layout::Layout;
use crate::replace::sync_parent;

/// Commits a snapshot as `ROOT/step-N`, and removes all but the newest `keep` checkpoints.
///
/// # Errors
/// 73 if a directory cannot be made; 74 if a write fails; 3 if a number is not finite. In each case
/// what was committed before is untouched.
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

/// All files by name, the manifest last.
fn files(snapshot: &Snapshot, context: &Context) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let Context { network, layout, schema, config, .. } = context;
    let mut files = vec![(CONFIG, config.clone().into_bytes())];
    files.extend(match &snapshot.parameters {
        Numbers::F32(parameters) => contents(network, layout, schema, parameters)?,
        Numbers::F64(_) => contents(network, layout, schema, &snapshot.parameters.to_f32())?,
    });
    if matches!(snapshot.parameters, Numbers::F64(_)) {
        files.push((PARAMETERS, bytes(layout, &snapshot.parameters)?));
    }
    for (name, moment) in MOMENTS.into_iter().zip(&snapshot.moments) {
        files.push((name, bytes(layout, moment)?));
    }
    if let Some(best) = &snapshot.best {
        files.push((BEST, arena::to_bytes(layout, &best.parameters)?));
    }
    let manifest = Manifest::new(snapshot, context, &files).to_bytes()?;
    files.push((MANIFEST, manifest));
    Ok(files)
}

fn bytes(layout: &Layout, numbers: &Numbers) -> Result<Vec<u8>> {
    match numbers {
        Numbers::F32(numbers) => arena::to_bytes(layout, numbers),
        Numbers::F64(numbers) => arena::to_bytes(layout, numbers),
    }
}

fn commit(
    disk: &Disk,
    root: &Path,
    temporary: &Path,
    path: &Path,
    files: &[(&str, Vec<u8>)],
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
        // One of this step may be damaged, or from before the epoch was validated; it makes room,
        // and goes when there is a better one.
        if path.exists() {
            disk.rename(path, &aside(root, path))?;
        }
        disk.rename(temporary, path)?;
        disk.sync_directory(root)?;
        put_back(disk, root)
    };
    written().map_err(|e| cannot_write(path, &e))
}

fn aside(root: &Path, path: &Path) -> PathBuf {
    root.join(format!("{ASIDE}{}", path.file_name().unwrap_or_default().to_string_lossy()))
}

/// Removes the oldest checkpoints, and those of later steps than `newest`: they were damaged, and
/// the run came here from before them. First their names go, so that what is half removed is no
/// checkpoint.
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

/// Writes the checkpoints of a run on a thread of its own, one after the other, while the run goes
/// on.
#[derive(Debug)]
pub struct Keeper {
    root: PathBuf,
    context: Arc<Context>,
    keep: usize,
    writing: Option<JoinHandle<Result<PathBuf>>>,
    last: Option<PathBuf>,
    committed: Option<(u64, u64)>,
}

impl Keeper {
    /// A keeper of the newest `keep` checkpoints in `root`, which is made if it is not there.
    ///
    /// # Errors
    /// 73 if it cannot be made, or nothing can be made in it.
    pub fn new(root: PathBuf, context: Context, keep: usize) -> Result<Keeper> {
        // A checkpoint is on the disk when the names above it are.
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
            committed: None,
        })
    }

    /// Says that the run goes on from a checkpoint.
    pub fn resumed(&mut self, path: PathBuf, snapshot: &Snapshot) {
        self.last = Some(path);
        self.committed = Some((snapshot.steps, snapshot.validated));
    }

    /// Begins to write a snapshot, when the one before is committed.
    ///
    /// # Errors
    /// Those of [`write()`], for the snapshot before.
    pub fn keep(&mut self, snapshot: Arc<Snapshot>) -> Result<()> {
        self.finish()?;
        let place = Some((snapshot.steps, snapshot.validated));
        if self.committed == place {
            return Ok(());
        }
        self.committed = place;
        let (root, context, keep) = (self.root.clone(), Arc::clone(&self.context), self.keep);
        let write = move || write(&Disk::default(), &root, &snapshot, &context, keep);
        self.writing = Some(std::thread::Builder::new().name("checkpoint".into()).spawn(write)?);
        Ok(())
    }

    /// Waits until what was begun is committed.
    ///
    /// # Errors
    /// Those of [`write()`].
    pub fn finish(&mut self) -> Result<()> {
        if let Some(thread) = self.writing.take() {
            self.last =
                Some(thread.join().map_err(|_| anyhow!("a checkpoint could not be written"))??);
        }
        Ok(())
    }

    /// The newest checkpoint that is committed.
    pub fn last(&self) -> Option<&Path> {
        self.last.as_deref()
    }
}

impl Drop for Keeper {
    /// A checkpoint that was begun is finished, whatever ends the run.
    fn drop(&mut self) {
        let _ = self.finish();
    }
}
