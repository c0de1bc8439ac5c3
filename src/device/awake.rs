//! Keeps processors awake while a software adapter works.
//!
//! Such an adapter hands every dispatch to threads and sleeps until they are done. So twenty times
//! per step and more a processor has nothing to do for some microseconds. A virtual machine then
//! gives it back to its host, and waking it takes longer than many dispatches take. Therefore
//! threads of the lowest scheduling class (`SCHED_IDLE`, which gives way to everything else of its
//! control group at once) spin as long as work is in flight, as the threads of OpenMP do between
//! two loops. There are no such threads where a quota counts the time of all threads, since they
//! would use up the time of the work, nor where the class is not available, since they would
//! compete with the work.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

/// The largest number of spinning threads: as many as Mesa's drivers work with.
#[cfg(target_os = "linux")]
const MOST: usize = 16;

/// State that all threads share.
#[derive(Debug, Default)]
struct State {
    /// Number of [`Awake`] values that live.
    holders: AtomicUsize,
    /// Held by a thread between its look at the holders and its sleep.
    turn: Mutex<()>,
    /// Notified when the first holder comes.
    held: Condvar,
}

/// Keeps the processors awake while it lives.
#[derive(Debug)]
pub(super) struct Awake(&'static State);

impl Awake {
    /// Keeps the processors awake from now on; `None` where that would do harm, see the top of this
    /// file.
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

/// Starts a thread that spins while there are holders and sleeps otherwise.
fn spawn(state: &'static State) {
    // Without the thread a step is slower, and nothing else.
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

/// Number of processors to keep awake: all that the process may use, or 0 where it may use them
/// only part of the time.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn processors() -> usize {
    // SAFETY: the set consists of plain bits, and the call writes as many bytes as it is told.
    let allowed = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) != 0 {
            return 0;
        }
        libc::CPU_COUNT(&set) as usize
    };
    // Rust counts fewer processors where a control group has a quota, but never less than one.
    let is_whole =
        allowed > 1 && std::thread::available_parallelism().is_ok_and(|n| n.get() == allowed);
    if is_whole { allowed.min(MOST) } else { 0 }
}

/// Puts this thread into the lowest scheduling class; whether that was possible.
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
