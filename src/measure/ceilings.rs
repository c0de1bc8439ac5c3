//! The best speeds measured on an adapter, which profiles are compared with.

use crate::kernels::tuning::Class;
use crate::measure::gemm::Single;
use crate::run::machine::Machine;
use anyhow::Result;
use serde::Serialize;

/// The best speeds measured on an adapter.
#[derive(Clone, Debug, Serialize)]
pub struct Ceilings {
    /// Speed of the faster of two square products.
    pub gflop_per_s: f64,
    /// The product, in words.
    pub product: String,
    /// Speed of an update of many parameters: the bytes that its dispatch states, over its time.
    pub gb_per_s: f64,
    /// The update, in words.
    pub stream: String,
}

/// Measures the best GFLOP/s of a product and the best GB/s of a kernel that streams, by the wall
/// clock of submissions with many launches.
///
/// # Errors
/// A device that is lost or out of memory.
pub fn ceilings(machine: &Machine) -> Result<Ceilings> {
    let tuning = machine.tuning();
    let (n, width) = match tuning.class {
        Class::Discrete => (2048, 4096),
        Class::Integrated | Class::Cpu => (1024, 2048),
        _ if tuning.direct => (512, 1024),
        _ => (256, 512),
    };
    let input =
        Single::new(machine, &tuning, 1, &[n, n], n, &crate::kernels::dense_backward_input)?
            .best(n)?;
    let weight = Single::new(machine, &tuning, n, &[n], n, &crate::kernels::dense_backward_weight)?
        .best(n)?;
    let (form, ms) = if input < weight { ("A·B", input) } else { ("Aᵀ·B", weight) };
    let mut update = Single::new(machine, &tuning, width, &[width], 1, &crate::kernels::adam)?;
    let bytes = update.program.schedules[0].dispatches[0].bytes();
    Ok(Ceilings {
        gflop_per_s: 2.0 * (n as f64).powi(3) / ms / 1e6,
        product: format!("{form} of {n}×{n}×{n}"),
        gb_per_s: bytes as f64 / update.best(1)? / 1e6,
        stream: format!("adam over {} parameters", update.layout.parameters()),
    })
}
