//! The choice of matrix units for runs that ask for them. Units round and add in ways of their own,
//! so no other run uses them.

use anyhow::Result;

use crate::config::Precision;
use crate::device::Gpu;
use crate::kernels::Unit;
use crate::kernels::tuning::Tuning;
use crate::measure::doctor;
use crate::run::machine::Machine;

/// Whether an adapter is to be opened with its matrix units.
pub fn wants_units(precision: Precision) -> bool {
    precision != Precision::F32
}

/// The choices for a precision, with a notice where products are computed in f32 although the run
/// asks for something else. The kernels of the unit are compared with their twins first.
///
/// # Errors
/// A device that is lost or out of memory.
pub fn precise(
    machine: &Machine,
    tuning: Tuning,
    precision: Precision,
) -> Result<(Tuning, Option<String>)> {
    if !wants_units(precision) {
        return Ok((tuning, None));
    }
    let half = precision == Precision::Mixed;
    let why = match machine {
        Machine::Cpu(_) => "--device cpu has no matrix units".into(),
        Machine::Reference => "the float64 reference has no matrix units".into(),
        Machine::Device(gpu) => match gpu.unit(half) {
            None => format!(
                "{} has no matrix unit for operands of {}",
                gpu.entry.name,
                if half { "f16" } else { "f32" }
            ),
            Some(unit) => match trial(gpu, unit)? {
                None => return Ok((Tuning { rows: tuning.rows, ..gpu.unit_tuning(unit) }, None)),
                Some(failure) => format!(
                    "the {unit} matrix unit of {} fails its test ({failure})",
                    gpu.entry.name
                ),
            },
        },
    };
    Ok((
        tuning,
        Some(format!(
            "train.precision = \"{precision}\": {why}; products are computed as with \"f32\""
        )),
    ))
}

/// Compares the kernels of a unit with their twins, at tiles that are not full and sums over many
/// matrices; the first failure. An error of the driver is a failure, too, unless the device is
/// lost.
fn trial(gpu: &Gpu, unit: Unit) -> Result<Option<String>> {
    match doctor::of_unit(gpu, unit) {
        Ok(verdicts) => Ok(verdicts.into_iter().find_map(|verdict| verdict.failure)),
        Err(error) => gpu.check().map(|()| Some(format!("{error:#}"))),
    }
}
