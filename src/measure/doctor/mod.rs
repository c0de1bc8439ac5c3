//! Checks every kernel on an adapter against its float64 twin.
//!
//! The cases are whole programs of small networks of awkward shapes. Each dispatch of their steps
//! runs alone, on random buffers, on both engines. So a kernel is checked with the tables that the
//! builder of programs really writes, and a new kernel as soon as a schedule uses it. Slices that a
//! dispatch overwrites hold NaN before; what it does not write must keep its bits.

mod balanced;
mod cases;
mod compare;
mod pictures;
mod shapes;

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;

pub use cases::{Case, cases};
pub use compare::{Finding, check_dispatch, contents};

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

/// Checks the kernels that runs on an adapter take, or all twins as the processor computes them in
/// f32; with `everything`, also the kernels that this class of adapter can run and never takes.
/// Several threads share the work, on an adapter with a device each.
///
/// # Errors
/// A device that is lost or out of memory; a kernel that does not compile.
pub fn doctor(machine: &Machine, everything: bool) -> Result<Vec<Verdict>> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(MOST_DEVICES);
    match machine {
        Machine::Device(gpu) => {
            let cases = if everything { all_cases(gpu) } else { cases_of(gpu, &own_tunings(gpu)) };
            let others = (1..threads).map(|_| gpu.second());
            let gpus = std::iter::once(Ok(Gpu::clone(gpu))).chain(others);
            let gpus = gpus.collect::<Result<Vec<Gpu>>>()?;
            shared(&cases?, &gpus, |gpu, case, verdicts| {
                check_case(gpu, case, |k| k.module(), verdicts)
            })
        }
        Machine::Cpu(_) | Machine::Reference => {
            let machines = vec![machine.clone(); threads];
            shared(&cases(&machine.tuning())?, &machines, |machine, case, verdicts| {
                let mut subject = machine.clone().engine(case.built.program.clone())?;
                check_on(subject.as_mut(), case, verdicts)
            })
        }
    }
}

/// The most devices that are checked on at once.
const MOST_DEVICES: usize = 4;

/// Checks cases in a thread for each subject, and gathers the results in the order of the cases.
fn shared<S: Sync>(
    cases: &[Case],
    subjects: &[S],
    check: impl Fn(&S, &Case, &mut [Verdict]) -> Result<()> + Sync,
) -> Result<Vec<Verdict>> {
    let (next, check) = (AtomicUsize::new(0), &check);
    let of_subject = |subject: &S| {
        let numbers = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
        let taken = numbers.map_while(|number| Some((number, cases.get(number)?)));
        let checked = taken.map(|(number, case)| {
            let mut verdicts: Vec<Verdict> = KERNELS.iter().map(unchecked).collect();
            check(subject, case, &mut verdicts)?;
            Ok((number, verdicts))
        });
        checked.collect::<Result<Vec<_>>>()
    };
    let found = std::thread::scope(|scope| {
        let threads: Vec<_> =
            subjects.iter().map(|subject| scope.spawn(|| of_subject(subject))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect::<Result<Vec<_>>>()
    })?;
    let mut found: Vec<(usize, Vec<Verdict>)> = found.into_iter().flatten().collect();
    found.sort_by_key(|(number, _)| *number);
    let mut all: Vec<Verdict> = KERNELS.iter().map(unchecked).collect();
    for (_, verdicts) in found {
        for (all, one) in all.iter_mut().zip(verdicts) {
            all.dispatches += one.dispatches;
            all.elements += one.elements;
            all.worst = all.worst.max(one.worst);
            all.failure = all.failure.take().or(one.failure);
        }
    }
    Ok(all)
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
    cases_of(gpu, &tunings(gpu))
}

/// The cases of some tunings, each reduced to the kernels that no earlier one has.
fn cases_of(gpu: &Gpu, tunings: &[Tuning]) -> Result<Vec<Case>> {
    let (mut all, mut seen) = (Vec::new(), Vec::new());
    for tuning in tunings {
        let is_short = gpu.entry.class == Class::Software && is_other_shape(tuning);
        let mut new = cases(tuning)?;
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
    if !own.direct {
        return own_tunings(gpu);
    }
    let plain = Tuning::new(Class::Discrete, own.binding_bytes, false);
    let shapes = other_shapes(&plain);
    [own_tunings(gpu), vec![plain], shapes].concat()
}

/// The tunings that runs on an adapter may take.
fn own_tunings(gpu: &Gpu) -> Vec<Tuning> {
    let own = gpu.tuning();
    let units = Unit::ALL
        .into_iter()
        .filter(|unit| gpu.unit(unit.is_half()).is_some() && gpu.entry.units.contains(unit));
    let units: Vec<Tuning> = units.map(|unit| gpu.unit_tuning(unit)).collect();
    if !own.direct {
        let plain =
            Tuning { fours: own.fours, ..Tuning::new(Class::Discrete, own.binding_bytes, false) };
        return [vec![own], other_shapes(&plain), units].concat();
    }
    let tall = |p: Product| candidates(&p).pop().unwrap_or(p);
    let (forward, backward_input, backward_weight) =
        (tall(own.forward), tall(own.backward_input), tall(own.backward_weight));
    let tall = Tuning { forward, backward_input, backward_weight, ..own.clone() };
    [vec![own, tall], units].concat()
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
