//! SIGINT and SIGTERM. While the data of a new run is read, the first signal ends the program at
//! once. Later the first signal asks the run to stop after the current step and to write `last/`,
//! and the second signal ends the program at once.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::fault::Exit;

/// How often a thread checks whether a signal has arrived.
const BEAT: Duration = Duration::from_millis(20);

/// The signal that arrived, if any, and whether the next one ends the program.
#[derive(Clone)]
pub(super) struct Signals {
    arrived: Arc<AtomicUsize>,
    at_once: Arc<AtomicBool>,
}

impl Signals {
    /// Installs the handlers; until [`Signals::keep`] is called, a signal ends the program at once.
    pub(super) fn install() -> Result<Signals> {
        let arrived = Arc::new(AtomicUsize::new(0));
        let at_once = Arc::new(AtomicBool::new(true));
        for (signal, exit) in [(SIGINT, Exit::Interrupted), (SIGTERM, Exit::Terminated)] {
            // The order matters: the second signal finds `at_once` set by the first.
            flag::register_conditional_shutdown(signal, exit as i32, Arc::clone(&at_once))?;
            flag::register(signal, Arc::clone(&at_once))?;
            flag::register_usize(signal, Arc::clone(&arrived), exit as usize)?;
        }
        // A write beyond the limit of a file's size sends SIGXFSZ, which would end the process.
        // With a handler it is a failed write, with its message and exit code.
        #[cfg(unix)]
        flag::register(signal_hook::consts::SIGXFSZ, Arc::default())?;
        Ok(Signals { arrived, at_once })
    }

    /// Lets signals do nothing: another process says when this one ends.
    #[cfg(feature = "mpi")]
    pub(super) fn ignore() -> Result<()> {
        for signal in [SIGINT, SIGTERM] {
            flag::register(signal, Arc::default())?;
        }
        Ok(())
    }

    /// Says whether there is something to keep now: then the first signal is only a request to
    /// stop.
    pub(super) fn keep(&self, something: bool) {
        self.at_once.store(!something, Ordering::Relaxed);
    }

    /// The exit code of the signal that arrived, if any.
    pub(super) fn arrived(&self) -> Option<Exit> {
        match self.arrived.load(Ordering::Relaxed) {
            n if n == Exit::Interrupted as usize => Some(Exit::Interrupted),
            n if n == Exit::Terminated as usize => Some(Exit::Terminated),
            _ => None,
        }
    }

    /// From now on a signal removes `file`, which is being written, and ends the program.
    pub(super) fn remove_at_end(self, file: PathBuf) {
        self.keep(true);
        std::thread::spawn(move || {
            loop {
                if let Some(exit) = self.arrived() {
                    let _ = std::fs::remove_file(file);
                    std::process::exit(exit as i32);
                }
                std::thread::sleep(BEAT);
            }
        });
    }
}
