//! Handles for benchmarks: kernels that do otherwise than they should. Nothing of the program calls
//! them.

use anyhow::Result;

use super::step::{Runner, StepShape, synthetic_plan, upload_synthetic};
use crate::device::{Gpu, Session};
use crate::kernels::Kernel;
use crate::schedule::{Engine, SLOTS};

/// Milliseconds per step with the shipped kernels, and with kernels that do not test for values
/// that are not finite: `pairs` pairs, measured in turn. For the benchmark of these tests.
///
/// # Errors
/// A device that is lost or out of memory.
#[doc(hidden)]
pub fn with_and_without_checks(
    shape: &StepShape,
    gpu: &Gpu,
    pairs: usize,
) -> Result<Vec<[f64; 2]>> {
    let plan = synthetic_plan(shape)?;
    let built = plan.build(&gpu.tuning())?;
    let unchecked = |kernel: &Kernel| {
        let text = kernel.module();
        let text = text.replace("return any(exponents == vec4(0x7f800000u));", "return false;");
        text.replace("return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;", "return true;")
    };
    let mut sessions = [
        Session::new(gpu.clone(), built.program.clone())?,
        Session::with_sources(
            gpu.trusting(gpu.tuning().trusted),
            built.program.clone(),
            unchecked,
        )?,
    ];
    let mut done = [0, 0];
    let mut pairs = vec![[0.0; 2]; pairs + 1];
    for session in &mut sessions {
        upload_synthetic(shape, &plan, &built, session)?;
    }
    for (i, pair) in pairs.iter_mut().enumerate() {
        for which in [i % 2, 1 - i % 2] {
            let engine: &mut dyn Engine = &mut sessions[which];
            let mut runner = Runner {
                plan: &plan,
                built: &built,
                engine,
                done: done[which],
                per_submission: SLOTS.min(shape.steps),
            };
            pair[which] = runner.timed(shape.steps)?;
            done[which] = runner.done;
        }
    }
    // The first pair only warms up.
    Ok(pairs.split_off(1))
}
