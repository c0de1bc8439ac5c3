//! `cargo bench --bench checks`: what it costs to look for values that are not finite, as a share of a training step.

use tandem::device::Gpu;
use tandem::run::bench::{StepShape, with_and_without_checks};
use tandem::run::tune::Mode;

/// A name, then inputs, heads of ten classes, batch and steps of a run; the trunk.
type Workload = (&'static str, [usize; 4], [usize; 2]);

const SHAPES: &[Workload] =
    &[("W1", [784, 2, 128, 40], [128, 128]), ("W2", [64, 3, 128, 60], [128, 128]), ("W3", [784, 4, 256, 10], [512, 512])];

fn main() -> anyhow::Result<()> {
    let gpu = Gpu::open(&Default::default())?;
    println!("{} ({})", gpu.entry.name, gpu.entry.driver);
    for (name, [inputs, heads, batch, steps], trunk) in SHAPES {
        let shape = StepShape {
            inputs: *inputs,
            trunk: trunk.to_vec(),
            classes: vec![10; *heads],
            batch: *batch,
            rows: 10_000,
            coupling: Some("soft_sharing".into()),
            steps: *steps,
            tune: Mode::Off,
        };
        let mut ratios: Vec<f64> = with_and_without_checks(&shape, &gpu, 9)?.iter().map(|[with, without]| with / without).collect();
        ratios.sort_by(f64::total_cmp);
        let per_cent = |ratio: f64| 100.0 * (ratio - 1.0);
        let (least, median, most) = (ratios[0], ratios[ratios.len() / 2], ratios[ratios.len() - 1]);
        println!("{name}: {:+.1} % of a step ({:+.1} to {:+.1} in nine rounds)", per_cent(median), per_cent(least), per_cent(most));
    }
    Ok(())
}
