//! A user of the library has runs that go on: `examples/arrays.rs` trains into a run directory, is
//! killed, and goes on to a model that equals one of a run without interruption.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tandem::device::adapter::Wish;
use tandem::run::job::{Deaf, Listener};

#[allow(dead_code)]
#[path = "../../examples/arrays.rs"]
mod example;

/// Names the directory of the run in a process that is to be killed.
const DIRECTORY: &str = "TANDEM_TEST_ARRAYS";

fn reference() -> Wish {
    Wish { device: Some("reference".into()), ..Wish::default() }
}

fn checkpoints(run: &Path) -> usize {
    let entries = std::fs::read_dir(run.join("checkpoints")).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("step-")).count()
}

/// Ends the process without a word at the end of the twelfth epoch, as soon as there is a
/// checkpoint.
struct Killer(PathBuf, usize);

impl Listener for Killer {
    fn figures(&mut self, _line: &str) {
        self.1 += 1;
        let begun = Instant::now();
        while self.1 >= 12 && begun.elapsed() < Duration::from_secs(60) {
            if checkpoints(&self.0) > 0 {
                std::process::abort();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
#[ignore = "a process that another test starts"]
fn is_killed() {
    let directory = PathBuf::from(std::env::var_os(DIRECTORY).unwrap());
    let mut killer = Killer(directory.clone(), 0);
    example::train_into(&directory, reference(), &mut killer).unwrap();
}

/// Keeps the sentences of a run.
#[derive(Default)]
struct Notes(Vec<String>);

impl Listener for Notes {
    fn note(&mut self, line: &str) {
        self.0.push(line.to_owned());
    }
}

#[test]
fn a_run_on_arrays_goes_on_after_a_kill() {
    let room = tempfile::tempdir().unwrap();
    let [whole, run] = ["whole", "run"].map(|name| room.path().join(name));
    drop(example::train_into(&whole, reference(), &mut Deaf).unwrap());

    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["arrays::is_killed", "--exact", "--ignored"])
        .env(DIRECTORY, &run)
        .output()
        .unwrap();
    assert!(!ended.status.success() && checkpoints(&run) > 0, "{ended:?}");
    assert!(!run.join("last").exists(), "the run came to its end");

    let mut notes = Notes::default();
    let done = example::train_into(&run, reference(), &mut notes).unwrap();
    assert!(notes.0.iter().any(|note| note.starts_with("going on after step")), "{:?}", notes.0);
    assert_eq!(done.outcome.steps, 400);
    for file in ["model/model.safetensors", "last/model.safetensors"] {
        let bytes = |run: &Path| std::fs::read(run.join(file)).unwrap();
        assert!(bytes(&run) == bytes(&whole), "{file} differs");
    }
}
