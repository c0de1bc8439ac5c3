//! A second device that compiles kernels at the start of a run on a software adapter.
//!
//! The driver makes the machine code of a kernel when it is first dispatched, one kernel after the
//! other while the run waits. So a second device, in a thread of its own, dispatches the later half
//! of the kernels meanwhile, and the driver's cache on disk hands their code to the first device.
//! Nothing is computed there: the grids are empty, and the buffers small.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::gpu::Gpu;
use crate::cache;
use crate::kernels::MIRROR_ROW;
use crate::kernels::tuning::Class;
use crate::schedule::{Dispatch, Program, Schedule};

/// The smallest number of new kernels for which a second device pays.
const FEW: usize = 4;

/// Elements of a buffer of the second device: as many as the smallest mirror has.
const SMALL: usize = 3 * MIRROR_ROW;

/// The thread of the second device. It is waited for: a process should not end while the driver is
/// compiling.
#[derive(Debug)]
pub(super) struct Warm {
    thread: Option<JoinHandle<()>>,
    /// Tells the thread to stop.
    is_enough: Arc<AtomicBool>,
}

impl Drop for Warm {
    fn drop(&mut self) {
        self.is_enough.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Dispatches the first kernels of a program, `usize` of them, on a device, until it is stopped.
type Meet = fn(Gpu, Program, usize, &AtomicBool);

/// Begins to dispatch the later half of the kernels of the longest schedule by `meet`, where enough
/// of its kernels are new to the driver; `None` elsewhere.
pub(super) fn begin(gpu: &Gpu, program: &Program, meet: Meet) -> Option<Warm> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if gpu.entry.class != Class::Software || cores < 2 {
        return None;
    }
    let entry = format!("{}-met", gpu.cache_entry.as_ref()?);
    let longest = program.schedules.iter().max_by_key(|s| s.dispatches.len())?;
    let mut kernels: Vec<&Dispatch> = Vec::new();
    for dispatch in &longest.dispatches {
        if !kernels
            .iter()
            .any(|d| d.kernel.name == dispatch.kernel.name && d.constants == dispatch.constants)
        {
            kernels.push(dispatch);
        }
    }
    let mut met = cache::read(&entry).map_or_else(BTreeSet::new, |text| lines(&text));
    let new = kernels.iter().filter(|d| met.insert(key(gpu, d))).count();
    if new < FEW {
        return None;
    }
    cache::write(&entry, met.iter().map(|line| format!("{line}\n")).collect::<String>().as_bytes());
    let later = kernels.split_off(kernels.len() / 2);
    let (program, count, gpu) = (small(program, longest, &later), later.len(), gpu.clone());
    let is_enough = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&is_enough);
    let thread = std::thread::Builder::new().name("warm".into()).spawn(move || {
        if let Ok(second) = gpu.second() {
            meet(second, program, count, &stop);
        }
    });
    thread.ok().map(|thread| Warm { thread: Some(thread), is_enough })
}

/// The lines of a file of the cache.
fn lines(text: &[u8]) -> BTreeSet<String> {
    String::from_utf8_lossy(text).lines().map(str::to_owned).collect()
}

/// The name of the machine code of a dispatch: a hash of the driver, the constants and the text.
fn key(gpu: &Gpu, dispatch: &Dispatch) -> String {
    let constants: Vec<String> =
        dispatch.constants.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let text =
        format!("{}\n{}\n{}", gpu.entry.driver, constants.join(" "), dispatch.kernel.module());
    blake3::hash(text.as_bytes()).to_hex().as_str()[..16].to_owned()
}

/// The program with small buffers and a single schedule: the `later` dispatches, the last one
/// first, over empty grids.
fn small(program: &Program, schedule: &Schedule, later: &[&Dispatch]) -> Program {
    let mut small = program.clone();
    for buffer in &mut small.buffers {
        buffer.len = buffer.len.min(SMALL);
        buffer.initial.truncate(buffer.len);
    }
    let empty = |dispatch: &&Dispatch| Dispatch {
        grid: [0; 3],
        effects: Vec::new(),
        ..(*dispatch).clone()
    };
    small.schedules =
        vec![Schedule { dispatches: later.iter().rev().map(empty).collect(), ..schedule.clone() }];
    small
}
