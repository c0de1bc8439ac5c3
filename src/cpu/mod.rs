//! The step in f32 on the processor: what `--device cpu` runs. The twins of `reference` state all
//! of it; here are their number type, its products, and the threads.

mod number;
mod product;

use std::num::NonZero;
use std::sync::Arc;

use anyhow::{Context, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::reference::Reference;
#[cfg(target_arch = "x86_64")]
use crate::reference::widest::Set;
use crate::schedule::Program;

/// The engine in f32.
pub type Cpu = Reference<f32>;

/// The widest set of instructions of the processor for which the loops of the engine are compiled.
pub fn instructions() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    return match Set::of_processor() {
        Set::Avx512 => "AVX-512",
        Set::Avx2 => "AVX2",
        Set::Base => "SSE2",
    };
    #[cfg(target_arch = "aarch64")]
    return "NEON";
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return "no vectors";
}

/// Threads that the process may run at once.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// The precision, the instructions and a number of threads, in words.
pub fn in_words(threads: usize) -> String {
    let plural = if threads == 1 { "" } else { "s" };
    format!("f32, {}, {threads} thread{plural}", instructions())
}

/// The threads of an engine.
#[derive(Clone, Debug)]
pub struct Threads(Arc<ThreadPool>);

impl Threads {
    /// This many threads, or as many as the process may run at once.
    ///
    /// # Errors
    /// A system that starts no more threads.
    pub fn new(number: Option<NonZero<usize>>) -> Result<Threads> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(number.map_or_else(processors, NonZero::get))
            .thread_name(|i| format!("cpu {i}"))
            .build()
            .context("the threads of --device cpu cannot be started")?;
        Ok(Threads(Arc::new(pool)))
    }

    /// Their number.
    pub fn number(&self) -> usize {
        self.0.current_num_threads()
    }

    /// An engine on these threads, with the program's initial contents.
    pub fn engine(&self, program: Program) -> Cpu {
        Cpu::new(program).on(self.0.clone())
    }
}
