//! Checkpoints on disks that fail at any operation, and checkpoints that are damaged afterwards:
//! what was committed before can be read.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::program::{Draws, memory};
use tandem::fault::{Exit, exit_of, hint_of};
use tandem::model::arena::Numbers;
use tandem::run::checkpoint::disk::{Disk, How};
use tandem::run::checkpoint::{
    Best, Context, Snapshot, TaskSelection, clean, list, load, newest, write,
};
use tandem::run::train::Plan;
use tandem::run::train::sums::Sums;

const CLASSES: [usize; 2] = [3, 3];

fn plan() -> Plan {
    crate::common::plan(
        "[trunk]\nlayers = [4]\n[task.a]\n[task.b]\n[train]\nepochs = 3\n",
        crate::common::synthetic(1, 40, 5, &CLASSES),
        &CLASSES,
    )
}

fn context(plan: &Plan) -> Context {
    Context {
        network: plan.network.clone(),
        layout: plan.layout.clone(),
        schema: plan.parts.schema.clone(),
        config: tandem::config::write::to_toml(&plan.config),
        data: vec![("rows.csv".into(), "0123".into())],
        adapter: "test".into(),
        kernels: vec!["dense_forward".into()],
    }
}

/// An arena of numbers that depend on the step; the gaps hold zeros.
fn arena(plan: &Plan, step: u64) -> Vec<f64> {
    let mut arena = vec![0.0; plan.layout.len];
    for block in &plan.layout.blocks {
        (0..block.len).for_each(|i| arena[block.offset + i] = step as f64 + i as f64 / 64.0);
    }
    arena
}

/// A snapshot of a device, or (`double`) of the reference, with every optional field.
fn snapshot(plan: &Plan, step: u64, double: bool) -> Snapshot {
    let of = |numbers: Vec<f64>| {
        if double {
            Numbers::F64(numbers)
        } else {
            Numbers::F32(numbers.iter().map(|x| *x as f32).collect())
        }
    };
    let parameters = arena(plan, 1).iter().map(|x| *x as f32).collect();
    let best = Best { parameters, thresholds: vec![None, None], epoch: 1, step: None, score: 0.5 };
    Snapshot {
        steps: step,
        validated: step,
        points: 2 * step,
        parameters: of(arena(plan, step)),
        moments: vec![of(arena(plan, step + 1000)), of(arena(plan, step + 2000))],
        sums: Sums::new(2, 0),
        conflict: None,
        balance: None,
        worse: 1,
        tasks: vec![
            TaskSelection { score: Some(-0.25), worse: 2, best: Some(Arc::new(best.clone())) },
            TaskSelection::default(),
        ],
        best: Some(Arc::new(best)),
        seconds: 1.5,
        rate_factor: 1.0,
        rollbacks: 0,
        skipped: 0,
        scale: Some(tandem::run::train::loss_scale::LossScale {
            exponent: 11,
            since: step,
            grows: true,
        }),
    }
}

/// A directory with the checkpoints of two steps.
struct Place {
    plan: Plan,
    folder: tempfile::TempDir,
    double: bool,
}

impl Place {
    fn new(double: bool) -> Place {
        let place = Place { plan: plan(), folder: memory(), double };
        for step in [10, 20] {
            place.write(&Disk::default(), step, 2).unwrap();
        }
        place
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("checkpoints")
    }

    fn write(&self, disk: &Disk, step: u64, keep: usize) -> anyhow::Result<PathBuf> {
        write(
            disk,
            &self.root(),
            &snapshot(&self.plan, step, self.double),
            &context(&self.plan),
            keep,
        )
    }

    /// Asserts that the newest complete checkpoint is the one of `step`, number by number.
    fn holds(&self, step: u64) {
        let found = newest(&self.root()).unwrap().loaded.unwrap();
        assert_eq!(found.snapshot, snapshot(&self.plan, step, self.double));
        assert_eq!(found.config, context(&self.plan).config);
    }

    fn steps(&self) -> Vec<u64> {
        list(&self.root()).iter().map(|(step, _)| *step).collect()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.root())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

const WAYS: [How; 4] = [How::Full, How::Error, How::CrashBefore, How::CrashAfter];

/// Asserts the exit code of a failed operation: a failed write, or a directory that cannot be made.
fn is_told(error: &anyhow::Error, at: usize, how: How, directories: &[usize]) {
    let expected =
        if how != How::Full && directories.contains(&at) { Exit::CantCreate } else { Exit::Io };
    assert_eq!(exit_of(error), expected, "operation {at}, {how:?}: {error:#}");
    assert!(
        hint_of(error).is_some_and(|hint| hint.contains("earlier checkpoints are untouched")),
        "{error:#}"
    );
}

/// Makes each operation of writing a checkpoint fail in each way, and returns the number of
/// operations. `prepare` makes a directory whose newest checkpoint is `before`; then `step` is
/// written. `directories` are the numbers of the operations that make a directory.
fn every_fault(
    prepare: impl Fn() -> Place,
    before: Option<u64>,
    step: u64,
    keep: usize,
    directories: &[usize],
) -> usize {
    let disk = Disk::default();
    prepare().write(&disk, step, keep).unwrap();
    let operations = disk.operations();
    for how in WAYS {
        for at in 0..operations {
            let place = prepare();
            let error = place.write(&Disk::failing(at, how), step, keep).unwrap_err();
            if matches!(how, How::Full | How::Error) {
                is_told(&error, at, how, directories);
            }
            // What the next start does.
            clean(&place.root());
            assert!(
                place.names().iter().all(|name| name.starts_with("step-")),
                "{how:?} at {at}: {:?}",
                place.names()
            );
            let found = place.steps().first().copied();
            assert!(found == before || found == Some(step), "{how:?} at {at}: {:?}", place.steps());
            let whole = |step: &u64| load(&place.root().join(format!("step-{step}"))).is_ok();
            assert!(
                place.steps().iter().filter(|step| whole(step)).count()
                    >= usize::from(before.is_some()),
                "{how:?} at {at}"
            );
            // Then the run goes on.
            place.write(&Disk::default(), step + 1, keep).unwrap();
            place.holds(step + 1);
            assert!(place.steps().len() <= keep);
        }
        assert!(
            prepare().write(&Disk::failing(operations, how), step, keep).is_ok(),
            "{how:?}: operations are not counted"
        );
    }
    operations
}

/// The newest checkpoint is complete: whatever fails, afterwards either it or the new one is the
/// newest, and can be read.
#[test]
fn a_fault_at_every_operation() {
    for double in [false, true] {
        let operations = every_fault(|| Place::new(double), Some(20), 30, 2, &[0]);
        // Make the directory; open, write and sync nine or ten files; sync the directory, rename
        // it, sync; rename and remove the oldest.
        assert_eq!(operations, 1 + 3 * (9 + usize::from(double)) + 3 + 2);
        for how in WAYS {
            for at in 0..operations {
                let place = Place::new(double);
                let before = fs::read(place.root().join("step-20/manifest.json")).unwrap();
                let _ = place.write(&Disk::failing(at, how), 30, 2);
                clean(&place.root());
                // The rename is the commit.
                let step = place.steps()[0];
                place.holds(step);
                assert!(
                    step == 30 || place.steps() == [20, 10],
                    "{how:?} at {at}: {:?}",
                    place.steps()
                );
                assert_eq!(fs::read(place.root().join("step-20/manifest.json")).unwrap(), before);
            }
        }
    }
}

/// With one checkpoint to keep, the old one is removed when the new one is there.
#[test]
fn a_fault_with_one_checkpoint_to_keep() {
    let prepare = || {
        let place = Place::new(false);
        place.write(&Disk::default(), 20, 1).unwrap();
        assert_eq!(place.steps(), [20]);
        place
    };
    every_fault(prepare, Some(20), 30, 1, &[0]);
}

/// The first checkpoint of a run, which also makes the directory of checkpoints.
#[test]
fn a_fault_in_the_first_checkpoint() {
    let prepare = || {
        let place = Place::new(false);
        fs::remove_dir_all(place.root()).unwrap();
        place
    };
    let disk = Disk::default();
    prepare().write(&disk, 5, 2).unwrap();
    for how in WAYS {
        for at in 0..disk.operations() {
            let place = prepare();
            let error = place.write(&Disk::failing(at, how), 5, 2).unwrap_err();
            if how == How::Error {
                is_told(&error, at, how, &[0, 1]);
            }
            clean(&place.root());
            assert!(
                place.steps().is_empty() || load(&place.root().join("step-5")).is_ok(),
                "{how:?} at {at}"
            );
            assert!(newest(&place.root()).unwrap().damaged.is_empty(), "{how:?} at {at}");
            place.write(&Disk::default(), 6, 2).unwrap();
            place.holds(6);
        }
    }
}

/// A checkpoint replaces another one of the same step, intact or damaged. At every time one of the
/// two is there, even if it is the only checkpoint.
#[test]
fn a_fault_while_a_checkpoint_is_replaced() {
    let prepare = || {
        let place = Place::new(false);
        place.write(&Disk::default(), 20, 1).unwrap();
        place
    };
    every_fault(prepare, Some(20), 20, 1, &[0]);
}

/// A checkpoint that is newer than the one just written was damaged, or the run would have gone on
/// from it.
#[test]
fn damaged_checkpoints_do_not_count_among_those_that_are_kept() {
    let place = Place::new(false);
    fs::write(place.root().join("step-20/manifest.json"), "{}").unwrap();
    place.holds(10);
    place.write(&Disk::default(), 15, 1).unwrap();
    assert_eq!(place.steps(), [15]);
    place.holds(15);
}

/// The files of a checkpoint and their contents.
fn files(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = paths.map(|path| (path.clone(), fs::read(&path).unwrap())).collect();
    all.sort();
    all
}

/// A flipped bit or a truncated file: 1,000 cases, and the number of the format bit by bit.
#[test]
fn a_thousand_flips_and_truncations() {
    let mut draws = Draws::new(6);
    for double in [false, true] {
        let place = Place::new(double);
        let path = place.root().join("step-20");
        let files = files(&path);
        assert_eq!(files.len(), 9 + usize::from(double));
        let check = |(path, bytes): &(PathBuf, Vec<u8>), damaged: &[u8], what: &str| {
            fs::write(path, damaged).unwrap();
            let found = newest(&place.root())
                .unwrap_or_else(|e| panic!("{what} of {}: {e:#}", path.display()));
            fs::write(path, bytes).unwrap();
            let [message] = found.damaged.as_slice() else {
                panic!("{what} of {} went unnoticed", path.display())
            };
            assert!(
                message.contains(&path.display().to_string()) && !message.contains('\n'),
                "{what}: {message}"
            );
            assert_eq!(found.loaded.unwrap().snapshot.steps, 10, "{what} of {}", path.display());
        };
        for number in 0..500 {
            let file = &files[draws.below(files.len() as u64) as usize];
            let bytes = &file.1;
            if number % 4 == 3 {
                let length = draws.below(bytes.len() as u64) as usize;
                check(file, &bytes[..length], &format!("the first {length} bytes"));
            } else {
                let bit = draws.below(8 * bytes.len() as u64) as usize;
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                check(file, &flipped, &format!("bit {bit}"));
            }
        }
        let manifest = files.iter().find(|(path, _)| path.ends_with("manifest.json")).unwrap();
        let format = String::from_utf8_lossy(&manifest.1).find("\"format\": 1").unwrap()
            + "\"format\": ".len();
        for bit in 0..8 {
            let mut flipped = manifest.1.clone();
            flipped[format] ^= 1 << bit;
            check(manifest, &flipped, &format!("bit {bit} of the format"));
        }
        // An additional file does no harm; a missing one does.
        fs::remove_file(path.join("best.safetensors")).unwrap();
        assert!(newest(&place.root()).unwrap().damaged[0].contains("best.safetensors"));
    }
}
