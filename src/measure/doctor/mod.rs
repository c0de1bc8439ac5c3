//! Checks every kernel on an adapter against its float64 twin.
//!
//! The cases are whole programs of small networks of awkward shapes. Each dispatch of their steps
//! runs alone, on random buffers, on both engines. So a kernel is checked with the tables that the
//! builder of programs really writes, and a new kernel as soon as a schedule uses it. Slices that a
//! dispatch overwrites hold NaN before; what it does not write must keep its bits.

mod balanced;
mod cases;
mod compare;
mod shapes;

use anyhow::Result;

pub use cases::{Case, cases};
pub use compare::{Finding, check_dispatch};

use crate::device::{Gpu, Session};
use crate::kernels::params::Step;
use crate::kernels::tuning::{Class, Product, Tuning, candidates, ladder};
use crate::kernels::{KERNELS, Kernel, Unit};
use crate::reference::Reference;
use crate::reference::real::Bounded;
use crate::run::machine::Machine;
use crate::schedule::Engine;

/// The result of the check of a kernel.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// Number of dispatches that were checked.
    pub dispatches: usize,
    /// Number of elements that were compared.
    pub elements: usize,
    /// Largest error, in units of eps · magnitude.
    pub worst: f64,
    /// The first failure, if any.
    pub failure: Option<String>,
}

impl Verdict {
    /// Whether the kernel kept its bound everywhere. A kernel without checked dispatches cannot run
    /// on this adapter.
    pub fn passed(&self) -> bool {
        self.failure.is_none()
    }
}

/// Checks all kernels of an adapter, or all twins as the processor computes them in f32.
///
/// # Errors
/// A device that is lost or out of memory; a kernel that does not compile.
pub fn doctor(machine: &Machine) -> Result<Vec<Verdict>> {
    let mut verdicts: Vec<Verdict> = KERNELS.iter().map(unchecked).collect();
    match machine {
        Machine::Device(gpu) => {
            for case in all_cases(gpu)? {
                check_case(gpu, &case, |k| k.module(), &mut verdicts)?;
            }
        }
        Machine::Cpu(_) | Machine::Reference => {
            for case in cases(&machine.tuning())? {
                let mut subject = machine.clone().engine(case.built.program.clone())?;
                check_on(subject.as_mut(), &case, &mut verdicts)?;
            }
        }
    }
    Ok(verdicts)
}

/// The result of a kernel that was not checked yet.
fn unchecked(kernel: &&'static Kernel) -> Verdict {
    Verdict { kernel, dispatches: 0, elements: 0, worst: 0.0, failure: None }
}

/// The cases for the other shapes of tiles on software adapters, where compiling a pipeline takes
/// longer than all its dispatches. The files of these shapes differ from the file of the plain tile
/// in constants alone, so that some activations are left out.
const SHAPE_CASES: [&str; 3] = ["around the tile", "chunks and segments", "whole vec4s"];

/// Cases with sums over many matrices of a unit, and with tiles that are not full.
const UNIT_CASES: [&str; 3] =
    ["around the tile", "mixed towers", "wide, many classes, large values"];

/// The case that is repeated with gradients scaled beyond f16.
const OVERFLOWS: &str = "mixed towers";

/// Checks the product kernels of a matrix unit.
///
/// # Errors
/// A device that is lost or out of memory; a kernel that does not compile.
pub fn of_unit(gpu: &Gpu, unit: Unit) -> Result<Vec<Verdict>> {
    let mut verdicts: Vec<Verdict> =
        KERNELS.iter().filter(|k| k.unit == Some(unit)).map(unchecked).collect();
    let tuning = gpu.unit_tuning(unit);
    let mut all: Vec<Case> =
        cases(&tuning)?.into_iter().filter(|case| UNIT_CASES.contains(&case.name)).collect();
    if unit.is_half() {
        // Many gradients are beyond f16 here. They have to become infinite, since loss scaling
        // notices that alone.
        let beyond = cases(&tuning)?.into_iter().filter(|case| case.name == OVERFLOWS);
        all.extend(beyond.map(|case| Case {
            step: Step { delta_scale: 65536.0, inverse_scale: 1.0 / 65536.0, ..case.step },
            ..case
        }));
    }
    for mut case in all {
        for schedule in &mut case.built.program.schedules {
            schedule.dispatches.retain(|d| d.kernel.unit == Some(unit));
        }
        check_case(gpu, &case, |k| k.module(), &mut verdicts)?;
    }
    Ok(verdicts)
}

/// The cases of all tunings, each reduced to the kernels that no earlier tuning has.
pub fn all_cases(gpu: &Gpu) -> Result<Vec<Case>> {
    let (mut all, mut seen) = (Vec::new(), Vec::new());
    for tuning in tunings(gpu) {
        let is_short = gpu.entry.class == Class::Software && is_other_shape(&tuning);
        let mut new = cases(&tuning)?;
        new.retain(|case| !is_short || SHAPE_CASES.contains(&case.name));
        for schedule in new.iter_mut().flat_map(|case| &mut case.built.program.schedules) {
            schedule.dispatches.retain(|d| !seen.contains(&d.kernel.name));
        }
        let dispatches =
            new.iter().flat_map(|case| &case.built.program.schedules).flat_map(|s| &s.dispatches);
        seen.extend(dispatches.map(|d| d.kernel.name));
        all.extend(new);
    }
    Ok(all)
}

/// The tuning of the adapter, the tunings for kernels of other classes that it can run, and those
/// for the other shapes of tiles.
pub fn tunings(gpu: &Gpu) -> Vec<Tuning> {
    let own = gpu.tuning();
    let plain = Tuning::new(Class::Discrete, own.binding_bytes, false);
    let units = Unit::ALL
        .into_iter()
        .filter(|unit| gpu.unit(unit.is_half()).is_some() && gpu.entry.units.contains(unit));
    let shapes: Vec<Tuning> =
        other_shapes(&plain).into_iter().chain(units.map(|unit| gpu.unit_tuning(unit))).collect();
    if !own.direct {
        return [vec![own], shapes].concat();
    }
    let tall = |p: Product| candidates(&p).pop().unwrap_or(p);
    let (forward, backward_input, backward_weight) =
        (tall(own.forward), tall(own.backward_input), tall(own.backward_weight));
    let tall = Tuning { forward, backward_input, backward_weight, ..own.clone() };
    [vec![own, plain, tall], shapes].concat()
}

/// The tunings with the other shapes of each product.
fn other_shapes(plain: &Tuning) -> Vec<Tuning> {
    let [forward, backward_input, backward_weight] =
        [plain.forward, plain.backward_input, plain.backward_weight].map(|p| ladder(p.kernel));
    let products = forward.into_iter().zip(backward_input).zip(backward_weight);
    let all = products.map(|((forward, backward_input), backward_weight)| Tuning {
        forward,
        backward_input,
        backward_weight,
        ..plain.clone()
    });
    all.filter(is_other_shape).collect()
}

fn is_other_shape(tuning: &Tuning) -> bool {
    tuning.unit.is_none()
        && tuning.forward.kernel.name
            != Tuning::new(tuning.class, tuning.binding_bytes, tuning.direct).forward.kernel.name
}

/// Checks the dispatches of a case. `source` gives the text of each kernel, so that tests can check
/// mutants.
///
/// # Errors
/// A device that is lost or out of memory; a kernel that does not compile.
pub fn check_case(
    gpu: &Gpu,
    case: &Case,
    source: impl Fn(&Kernel) -> String,
    verdicts: &mut [Verdict],
) -> Result<()> {
    let program = case.built.program.clone();
    check_on(&mut Session::with_sources(gpu.clone(), program, source)?, case, verdicts)
}

/// Checks the dispatches of a case on an engine that was made for it.
fn check_on(subject: &mut dyn Engine, case: &Case, verdicts: &mut [Verdict]) -> Result<()> {
    let program = &case.built.program;
    let mut reference = Reference::<Bounded>::new(program.clone());
    for (s, schedule) in program.schedules.iter().enumerate() {
        for (d, dispatch) in schedule.dispatches.iter().enumerate() {
            let Some(verdict) = verdicts.iter_mut().find(|v| v.kernel.name == dispatch.kernel.name)
            else {
                continue;
            };
            let finding = check_dispatch(subject, &mut reference, case, s, d)?;
            verdict.dispatches += 1;
            verdict.elements += finding.elements;
            verdict.worst = verdict.worst.max(finding.worst);
            if verdict.failure.is_none() {
                verdict.failure = finding
                    .failure
                    .map(|f| format!("{}, {}, {}: {f}", case.name, schedule.name, dispatch.label));
            }
        }
    }
    Ok(())
}
