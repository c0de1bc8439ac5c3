//! Processors that stay awake while a software adapter works.
//!
//! Such an adapter hands every dispatch to threads and sleeps until they are done: twenty times a
//! step and more a processor has nothing to do for some microseconds. A virtual machine gives it
//! back to its host then, and waking it takes longer than many a dispatch. So threads of the lowest
//! class there is (`SCHED_IDLE`, which gives way to everything else of its control group at once)
//! spin as long as work is in flight, as the threads of OpenMP do between two loops. Where a quota
//! counts the time of all threads they would take it from the work, and where the class is not to
//! be had they would compete with it: there is none then.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

/// Most threads, as many as Mesa's drivers work with.
#[cfg(target_os = "linux")]
const MOST: usize = 16;

#[derive(Debug, Default)]
struct State {
    holders: AtomicUsize,
    turn: Mutex<()>,
    held: Condvar,
}

/// Keeps the processors awake while it lives.
#[derive(Debug)]
pub(super) struct Awake(&'static State);

impl Awake {
    /// Keeps them awake from now on; `None` where that is not wanted, see the top of this file.
    pub fn hold() -> Option<Awake> {
        static STATE: OnceLock<Option<State>> = OnceLock::new();
        static THREADS: OnceLock<()> = OnceLock::new();
        let state = STATE.get_or_init(|| (processors() > 0).then(State::default)).as_ref()?;
        THREADS.get_or_init(|| (0..processors()).for_each(|_| spawn(state)));
        if state.holders.fetch_add(1, Ordering::AcqRel) == 0 {
            // Under the lock, so that no thread is between its look at the holders and its sleep.
            let _turn = state.turn.lock().unwrap_or_else(PoisonError::into_inner);
            state.held.notify_all();
        }
        Some(Awake(state))
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.0.holders.fetch_sub(1, Ordering::AcqRel);
    }
}

fn spawn(state: &'static State) {
    // Without the thread things are slower, and that is all.
    let _ =
        std::thread::Builder::new().name("awake".into()).stack_size(64 << 10).spawn(move || {
            while become_idle() {
                while state.holders.load(Ordering::Acquire) > 0 {
                    (0..64).for_each(|_| std::hint::spin_loop());
                }
                let mut turn = state.turn.lock().unwrap_or_else(PoisonError::into_inner);
                while state.holders.load(Ordering::Acquire) == 0 {
                    turn = state.held.wait(turn).unwrap_or_else(PoisonError::into_inner);
                }
            }
        });
}

/// Processors to keep awake: those that the process may use, none where it may use them for a part
/// of the time only.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn processors() -> usize {
    // SAFETY: the set is plain bits, and the call writes no more of them than the size it is told.
    let allowed = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) != 0 {
            return 0;
        }
        libc::CPU_COUNT(&set) as usize
    };
    // What Rust counts is less where a control group has a quota, but never less than one.
    let is_whole =
        allowed > 1 && std::thread::available_parallelism().is_ok_and(|n| n.get() == allowed);
    if is_whole { allowed.min(MOST) } else { 0 }
}

/// Puts this thread into the lowest class.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn become_idle() -> bool {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the structure outlives the call, which only reads it; 0 is the calling thread.
    unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, libc::SCHED_IDLE, &parameters) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn processors() -> usize {
    0
}

#[cfg(not(target_os = "linux"))]
fn become_idle() -> bool {
    false
}
