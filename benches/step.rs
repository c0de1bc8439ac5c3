//! `cargo bench --bench step`: measures a training step of several shapes on the adapter that a run
//! would take; prints medians of five runs.

use tandem::config::Precision;
use tandem::device::Gpu;
use tandem::measure::step::{StepShape, step};
use tandem::measure::tune::Mode;
use tandem::run::machine::Machine;

/// (name, inputs, trunk, heads of ten classes, batch)
const SHAPES: &[(&str, usize, &[usize], usize, usize)] = &[
    ("W1", 784, &[128, 128], 2, 128),
    ("W2", 64, &[128, 128], 3, 128),
    ("W3", 784, &[512, 512], 4, 256),
];

fn main() -> anyhow::Result<()> {
    let gpu = Gpu::open(&Default::default())?;
    println!("{} ({})", gpu.entry.name, gpu.entry.driver);
    for (name, inputs, trunk, heads, batch) in SHAPES {
        let shape = StepShape {
            balance: Default::default(),
            architecture: Default::default(),
            inputs: *inputs,
            trunk: trunk.to_vec(),
            classes: vec![10; *heads],
            batch: *batch,
            rows: 10_000,
            coupling: Some("soft_sharing".into()),
            steps: 100,
            tune: Mode::Off,
            precision: Precision::F32,
        };
        let r = step(&shape, Machine::Device(Box::new(gpu.clone())))?;
        println!(
            "{name}: {:.3} ms a step, {:.2} GFLOP/s, {} dispatches",
            r.ms_per_step.median, r.gflop_per_s, r.dispatches_per_step
        );
    }
    Ok(())
}
