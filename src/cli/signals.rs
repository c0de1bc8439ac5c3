//! SIGINT and SIGTERM: the first one asks the run to stop and to leave `last/` whole, the second one ends the program at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Result;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::fault::Exit;

/// The signal that arrived, if any.
#[derive(Clone)]
pub(super) struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// Installs the handlers.
    pub(super) fn install() -> Result<Signals> {
        let arrived = Arc::new(AtomicUsize::new(0));
        let again = Arc::new(AtomicBool::new(false));
        for (signal, exit) in [(SIGINT, Exit::Interrupted), (SIGTERM, Exit::Terminated)] {
            // In this order: the second signal finds `again` set by the first.
            flag::register_conditional_shutdown(signal, exit as i32, Arc::clone(&again))?;
            flag::register(signal, Arc::clone(&again))?;
            flag::register_usize(signal, Arc::clone(&arrived), exit as usize)?;
        }
        // A file that may not grow is a failed write, with its message and code, and not the end of the process.
        #[cfg(unix)]
        flag::register(signal_hook::consts::SIGXFSZ, Arc::default())?;
        Ok(Signals(arrived))
    }

    /// The exit code of the signal that arrived.
    pub(super) fn arrived(&self) -> Option<Exit> {
        match self.0.load(Ordering::Relaxed) {
            n if n == Exit::Interrupted as usize => Some(Exit::Interrupted),
            n if n == Exit::Terminated as usize => Some(Exit::Terminated),
            _ => None,
        }
    }
}
