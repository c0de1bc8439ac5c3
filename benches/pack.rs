//! `cargo bench --bench pack`: training steps per second of 1, 4, 16 and 64 runs that share their
//! dispatches, and the time of a step of one of them. W2's size is 64-128-128 with three heads and
//! batch 128; the others are smaller. A number of runs for which there is no room is left out.

use std::path::Path;

use anyhow::{Result, bail};
use tandem::config::read::from_text;
use tandem::data::{Dataset, Parts, Schema};
use tandem::device::Gpu;
use tandem::measure::pack::{Pace, best, pace};
use tandem::run::train::Plan;

/// Rounds, of which the fastest one counts: other work only slows a round down.
const ROUNDS: usize = 3;

fn main() -> Result<()> {
    let gpu = Gpu::open(&Default::default())?;
    println!("{} ({})", gpu.entry.name, gpu.entry.driver);
    for (layers, batch) in [("[128, 128]", 128), ("[64, 64]", 64), ("[16]", 128), ("[16]", 32)] {
        let plan = plan(layers, batch)?;
        let mut paces: Vec<Pace> = Vec::new();
        for runs in [1, 4, 16, 64] {
            let rounds = (0..ROUNDS).map(|_| pace(&gpu, &plan, runs));
            let found = rounds.collect::<Result<Option<Vec<Pace>>>>()?;
            let fastest = found.into_iter().flatten();
            let fastest = fastest.max_by(|a, b| a.steps_per_second.total_cmp(&b.steps_per_second));
            paces.extend(fastest);
        }
        let Some(alone) = paces.first() else { bail!("nothing was measured") };
        for p in &paces {
            println!(
                "64-{layers} batch {batch}: {:2} runs {:8.0} steps/s {:7.1} µs a step {:5.2} times",
                p.runs,
                p.steps_per_second,
                1e6 / p.steps_per_second,
                p.steps_per_second / alone.steps_per_second
            );
        }
        println!("64-{layers} batch {batch}: {} at a time is best", best(&paces));
    }
    Ok(())
}

/// Three tasks with eight classes on 4,000 rows of 64 numbers.
fn plan(layers: &str, batch: usize) -> Result<Plan> {
    let text = format!(
        "[data]\ntrain = \"memory.csv\"\n[trunk]\nlayers = {layers}\n[task.a]\n[task.b]\n\
         [task.c]\n[train]\nepochs = 100\nbatch_size = {batch}\n"
    );
    let config = from_text(&text, "pack.toml", Path::new("."), &[])?;
    let (rows, classes) = (4000, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    let number = |i: usize| (i.wrapping_mul(2_654_435_761) % 1000) as f32 / 500.0 - 1.0;
    let labels = |task: usize| (0..rows).map(|row| ((row * (task + 7)) % 8) as u32).collect();
    let features = (0..64 * rows).map(number).collect();
    let rows = Dataset::from_arrays(64, features, (0..3).map(labels).collect())?;
    let tasks: Vec<(&str, &[&str])> = ["a", "b", "c"].map(|task| (task, &classes[..])).into();
    Plan::new(config, Parts::new(Schema::for_arrays(64, &tasks), rows, None, None)?)
}
