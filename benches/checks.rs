//! `cargo bench --bench checks`: the cost of looking for values that are not finite, as a share of
//! a training step.

use tandem::config::Precision;
use tandem::device::Gpu;
use tandem::measure::hooks::with_and_without_checks;
use tandem::measure::step::StepShape;
use tandem::measure::tune::Mode;

/// (name, [inputs, heads of ten classes, batch, steps of a turn], trunk, pairs of turns)
type Workload = (&'static str, [usize; 4], [usize; 2], usize);

const SHAPES: &[Workload] = &[
    ("W1", [784, 2, 128, 20], [128, 128], 400),
    ("W2", [64, 3, 128, 40], [128, 128], 400),
    ("W3", [784, 4, 256, 4], [512, 512], 200),
];

fn main() -> anyhow::Result<()> {
    let gpu = Gpu::open(&Default::default())?;
    println!("{} ({})", gpu.entry.name, gpu.entry.driver);
    for (name, [inputs, heads, batch, steps], trunk, pairs) in SHAPES {
        let shape = StepShape {
            architecture: Default::default(),
            balance: Default::default(),
            inputs: *inputs,
            trunk: trunk.to_vec(),
            classes: vec![10; *heads],
            batch: *batch,
            rows: 10_000,
            coupling: Some("soft_sharing".into()),
            steps: *steps,
            tune: Mode::Off,
            precision: Precision::F32,
        };
        let mut ratios: Vec<f64> = with_and_without_checks(&shape, &gpu, *pairs)?
            .iter()
            .map(|[with, without]| with / without)
            .collect();
        ratios.sort_by(f64::total_cmp);
        // The median lies between the order statistics n/2 -+ 0.98 sqrt(n) in 95 of 100 samples
        // (binomial, p = 1/2).
        let (n, half) = (ratios.len(), 0.98 * (ratios.len() as f64).sqrt());
        let per_cent = |rank: f64| 100.0 * (ratios[(rank as usize).min(n - 1)] - 1.0);
        let [least, median, most] =
            [-half, 0.0, half].map(|offset| per_cent(n as f64 / 2.0 + offset));
        println!(
            "{name}: {median:+.1} % of a step (95 % interval {least:+.1} to {most:+.1}, {n} pairs \
             of turns)"
        );
    }
    Ok(())
}
