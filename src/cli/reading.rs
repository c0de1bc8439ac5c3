//! Reads data and shows the progress of reading.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::console::Console;
use super::flags::Progress;
use crate::config::Config;
use crate::data::Parts;
use crate::data::load::door::load_with_cache;
use crate::data::load::route::Loading;
use crate::data::read::stream::bytes_read;
use crate::data::store::table_cache::TableCache;

/// How often a bar moves.
const BEAT: Duration = Duration::from_millis(100);
/// How often a line says how far reading is, where no bar is shown.
const LONG: Duration = Duration::from_secs(10);

/// The work on files that is under way: its name, the bytes of these files, and the bytes that had
/// been read of all files when it began.
type Stage = (String, u64, u64);

/// Reads the data of a configuration; with `cached` from the cache directory if it is there.
pub(super) fn read_data(config: &Config, cached: bool, console: &Console) -> Result<Parts> {
    let stage: Mutex<Stage> = Mutex::new(("reading".to_owned(), 0, bytes_read()));
    let begin = |what: &str, bytes: u64| {
        if let Ok(mut stage) = stage.lock() {
            *stage = (what.to_owned(), bytes, bytes_read());
        }
    };
    let way = Loading { cache: TableCache::of_user().filter(|_| cached), stage: &begin };
    let (done, is_done) = channel::<()>();
    let stage = &stage;
    std::thread::scope(|scope| {
        scope.spawn(move || show(stage, &is_done, console));
        let parts = load_with_cache(&config.data, &config.tasks, &way);
        drop(done);
        parts
    })
}

/// Shows how far reading is, until the sender of `is_done` is dropped.
fn show(stage: &Mutex<Stage>, is_done: &Receiver<()>, console: &Console) {
    let (bar, mut told) = (console.bytes_bar(), Instant::now());
    while let Err(RecvTimeoutError::Timeout) = is_done.recv_timeout(BEAT) {
        let Ok((what, bytes, before)) = stage.lock().map(|stage| stage.clone()) else { break };
        let read = bytes_read().saturating_sub(before).min(bytes);
        bar.set_message(what.clone());
        bar.set_length(bytes);
        bar.set_position(read);
        if console.progress() == Progress::Plain && told.elapsed() >= LONG {
            told = Instant::now();
            console.note(&format!(
                "{what} data: {:.0} of {:.0} MB",
                read as f64 / 1e6,
                bytes as f64 / 1e6
            ));
        }
    }
    bar.finish_and_clear();
}
