//! Checks every kernel on the adapter in hand against its float64 twin.
//!
//! The cases are whole programs of small networks of awkward shapes; each dispatch of their steps is run alone, on random buffers, on
//! both engines. So a kernel is checked with the tables that the schedule builder really writes, and a new one as soon as a schedule
//! uses it. What a dispatch overwrites is filled with NaN before; what it does not write must keep its bits.

mod cases;
mod compare;

use anyhow::Result;

pub use cases::{Case, cases};
pub use compare::{Finding, check_dispatch};

use crate::device::{Gpu, Session};
use crate::kernels::tuning::{Class, Tuning};
use crate::kernels::{KERNELS, Kernel};
use crate::reference::Reference;
use crate::reference::real::Bounded;

/// What was found out about a kernel.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// Dispatches that were looked at.
    pub dispatches: usize,
    /// Elements that were compared.
    pub elements: usize,
    /// Largest error, in units of eps times magnitude.
    pub worst: f64,
    /// The first thing that was wrong, if any.
    pub failure: Option<String>,
}

impl Verdict {
    /// Whether the kernel kept its bound everywhere; one that was not looked at is not on this adapter.
    pub fn passed(&self) -> bool {
        self.failure.is_none()
    }
}

/// Checks all kernels.
pub fn doctor(gpu: &Gpu) -> Result<Vec<Verdict>> {
    let new = |kernel: &&'static Kernel| Verdict { kernel, dispatches: 0, elements: 0, worst: 0.0, failure: None };
    let mut verdicts: Vec<Verdict> = KERNELS.iter().map(new).collect();
    for tuning in tunings(gpu) {
        for case in cases(&tuning)? {
            check_case(gpu, &case, |k| k.module(), &mut verdicts)?;
        }
    }
    Ok(verdicts)
}

/// The adapter's own choices, and those of the other class where the adapter can run them.
pub fn tunings(gpu: &Gpu) -> Vec<Tuning> {
    let own = gpu.tuning();
    let plain = Tuning::new(Class::Discrete, own.binding_bytes, false);
    if own.forward.kernel.name == plain.forward.kernel.name { vec![own] } else { vec![own, plain] }
}

/// Checks the dispatches of one case; `source` gives the text of each kernel, so that tests may put in mutants.
pub fn check_case(gpu: &Gpu, case: &Case, source: impl Fn(&Kernel) -> String, verdicts: &mut [Verdict]) -> Result<()> {
    let program = &case.built.program;
    let mut device = Session::with_sources(gpu.clone(), program.clone(), source)?;
    let mut reference = Reference::<Bounded>::new(program.clone());
    for (s, schedule) in program.schedules.iter().enumerate() {
        for (d, dispatch) in schedule.dispatches.iter().enumerate() {
            let Some(verdict) = verdicts.iter_mut().find(|v| v.kernel.name == dispatch.kernel.name) else { continue };
            let finding = check_dispatch(&mut device, &mut reference, case, s, d)?;
            verdict.dispatches += 1;
            verdict.elements += finding.elements;
            verdict.worst = verdict.worst.max(finding.worst);
            if verdict.failure.is_none() {
                verdict.failure = finding.failure.map(|f| format!("{}, {}, {}: {f}", case.name, schedule.name, dispatch.label));
            }
        }
    }
    Ok(())
}
