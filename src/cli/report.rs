//! `report`, and the page at the end of a run.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use super::console::Console;
use super::flags::Common;
use super::reading::read_data;
use crate::fault::hint_of;
use crate::report::files::RunFiles;
use crate::report::{of_run, write};
use crate::run::apply::group::Group;
use crate::run::directory::{RUNS, RunDirectory, make, numbered};
use crate::run::job::Done;
use crate::run::machine::Machine;

/// Name of the directories of pages of several runs.
const NAME: &str = "report";

/// Writes the page of a run that has ended. That it cannot be written is told and is no error: the
/// run is whole without it. `machine` measures which columns matter.
pub(super) fn at_end(done: &Done, machine: Option<&Machine>, console: &Console, is_of_many: bool) {
    let (run, begun) = (done.directory.path(), Instant::now());
    let written = || -> Result<PathBuf> {
        let mut tell = progress(console);
        let facts =
            of_run::ended(done, machine.map(|machine| (machine, &mut tell as of_run::Tell)));
        // Without facts the page has the rest.
        if let Some(facts) = facts? {
            write::facts(run, &facts)?;
        }
        write::page(&[RunFiles::read(run)?], run)
    };
    match written() {
        Ok(path) => {
            let line = format!("page: {}", path.display());
            if is_of_many {
                console.detail(&line)
            } else {
                console.note(&line)
            }
            console.detail(&format!("page made in {:.2} s", begun.elapsed().as_secs_f64()));
        }
        Err(error) => console.note(&format!("warning: {}: no page: {error:#}", run.display())),
    }
}

/// Tells how many columns were permuted, where details are wanted.
fn progress(console: &Console) -> impl FnMut(usize, usize) {
    move |done, all| {
        if done == 0 {
            console.note(&format!("importance: {all} columns are permuted, one after the other"));
        }
    }
}

/// What `report` is asked for.
pub(super) struct Wanted {
    /// The run directories.
    pub(super) runs: Vec<PathBuf>,
    /// The directory for the page.
    pub(super) out: Option<PathBuf>,
    /// Whether to measure which columns matter.
    pub(super) importance: bool,
}

pub(super) fn report(wanted: &Wanted, common: &Common, console: &Console) -> Result<()> {
    let runs: Vec<PathBuf> = wanted.runs.iter().flat_map(|run| members(run)).collect();
    let mut files: Vec<RunFiles> =
        runs.iter().map(|run| RunFiles::read(run)).collect::<Result<_>>()?;
    let is_own = wanted.out.is_none() && wanted.runs.len() == 1;
    // Whoever trains in the directory would write the same files.
    let own = match (is_own, &runs[..]) {
        (true, [run]) => Some(RunDirectory::open(run)?),
        _ => None,
    };
    for (run, files) in runs.iter().zip(&mut files) {
        complete(run, files, own.is_some(), wanted.importance, (common, console))?;
    }
    let out = match &wanted.out {
        Some(out) => {
            make(out)?;
            out.clone()
        }
        None if is_own => wanted.runs[0].clone(),
        None => numbered(Path::new(RUNS), NAME)?,
    };
    let path = write::page(&files, &out)?;
    match console.json {
        true => console.result_json(&json!({"page": path, "runs": runs})),
        false => console.result(&format!("page: {}", path.display())),
    }
}

/// The directories that a run stands for: its folds or repeats, or itself.
fn members(run: &Path) -> Vec<PathBuf> {
    let Some((group, count)) = Group::of(run) else { return vec![run.to_owned()] };
    let all = (1..=count).map(|number| group.directory(run, number));
    let there: Vec<PathBuf> = all.filter(|path| path.is_dir()).collect();
    if there.is_empty() { vec![run.to_owned()] } else { there }
}

/// Measures what the files of a run lack, from the data that its settings name. Where that cannot
/// be read, the page goes without.
///
/// # Errors
/// Where the importance of columns is wanted and cannot be measured; 73 or 74 if `report.json`
/// cannot be written, which is done where the directory is `is_own`.
fn complete(
    run: &Path,
    files: &mut RunFiles,
    is_own: bool,
    importance: bool,
    (common, console): (&Common, &Console),
) -> Result<()> {
    let lacks = |files: &RunFiles| match &files.facts {
        None => true,
        Some(facts) => importance && facts.importance.is_none(),
    };
    if !lacks(files) {
        return Ok(());
    }
    let mut tell = progress(console);
    let tell: Option<of_run::Tell> = if importance { Some(&mut tell) } else { None };
    let measured = || {
        let parts = read_data(&files.config, true, console)?;
        let machine = Machine::open_to_apply(&common.wish())?;
        console.machine(&machine);
        of_run::again(run, files, parts, &machine, tell)
    };
    match measured() {
        Ok(Some(facts)) => {
            if is_own {
                write::facts(run, &facts)?;
            }
            files.facts = Some(facts);
        }
        Ok(None) => {}
        Err(error) if importance => return Err(error),
        Err(error) => {
            let hint = hint_of(&error).map_or(String::new(), |hint| format!(" ({hint})"));
            console.note(&format!(
                "{}: its kept model cannot be measured again, so the page goes without confusions, \
                 curves and counts of labels: {error:#}{hint}",
                run.display()
            ));
        }
    }
    Ok(())
}
