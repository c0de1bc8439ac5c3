//! `cargo bench --bench checkpoint`: how large a checkpoint is, how long training stops for it
//! (while the device's memory is read back), and how long it is then being written beside the
//! training. It measures the demonstration, a network of 33 million parameters, and one of 50
//! million, whose arenas do not fit into one storage binding on every adapter.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use tandem::config::read::from_text;
use tandem::data::load::door::load;
use tandem::data::{Dataset, Parts, Schema};
use tandem::device::Gpu;
use tandem::kernels::tuning::Tuning;
use tandem::run::checkpoint::disk::Disk;
use tandem::run::checkpoint::{Best, Context, Snapshot, write};
use tandem::run::machine::Machine;
use tandem::run::train::Plan;
use tandem::run::train::sums::Sums;

const ROUNDS: usize = 5;

fn main() -> Result<()> {
    let gpu = Gpu::open(&Default::default())?;
    println!("{} ({})", gpu.entry.name, gpu.entry.driver);
    let machine = Machine::Device(Box::new(gpu));
    measure("demonstration", &demonstration()?, &machine)?;
    measure("4096-4096-3900", &large("[4096, 3900]")?, &machine)?;
    let largest = large("[4096, 4096, 4096]")?;
    if let Err(error) = measure("4096-4096-4096-4096", &largest, &machine) {
        println!("4096-4096-4096-4096: {error}; on the float64 reference instead:");
        measure("4096-4096-4096-4096", &largest, &Machine::Reference)?;
    }
    Ok(())
}

fn demonstration() -> Result<Plan> {
    let config =
        from_text(include_str!("../examples/demo.toml"), "demo.toml", Path::new("."), &[])?;
    let parts = load(&config.data, &config.tasks)?;
    Plan::new(config, parts)
}

fn large(layers: &str) -> Result<Plan> {
    let text = format!(
        "[data]\ntrain = \"memory.csv\"\n[trunk]\nlayers = \
         {layers}\n[task.a]\n[task.b]\n[train]\nbatch_size = 8\n"
    );
    let config = from_text(&text, "large.toml", Path::new("."), &[])?;
    let rows = Dataset::from_arrays(4096, vec![0.5; 8 * 4096], vec![vec![0; 8], vec![1; 8]])?;
    Plan::new(
        config,
        Parts::new(
            Schema::for_arrays(4096, &[("a", &["no", "yes"]), ("b", &["no", "yes"])]),
            rows,
            None,
            None,
        )?,
    )
}

fn measure(name: &str, plan: &Plan, machine: &Machine) -> Result<()> {
    let root = tempfile::tempdir()?;
    let built = plan.build(&match machine {
        Machine::Device(_) | Machine::Cpu(_) => machine.tuning(),
        // The reference keeps to the limits of every adapter by default, and does not need to.
        Machine::Reference => Tuning { binding_bytes: 1 << 30, ..machine.tuning() },
    })?;
    let mut engine = machine.clone().engine(built.program.clone())?;
    let initial = plan.initial()?;
    engine.upload(built.buffers.parameters, 0, bytemuck::cast_slice(&initial))?;
    let best = || {
        Best {
            parameters: initial.clone(),
            thresholds: vec![None; plan.network.tasks.len()],
            epoch: 1,
            step: None,
            score: 0.0,
        }
        .into()
    };
    let (mut still, mut writing, mut bytes) = (Vec::new(), Vec::new(), 0);
    for round in 0..ROUNDS {
        let begun = Instant::now();
        let parameters = engine.save(built.buffers.parameters)?;
        let moments = vec![
            engine.save(built.buffers.first_moment)?,
            engine.save(built.buffers.second_moment)?,
        ];
        still.push(1e3 * begun.elapsed().as_secs_f64());
        let snapshot = Snapshot {
            steps: 1 + round as u64,
            validated: 0,
            points: 0,
            parameters,
            moments,
            sums: Sums::new(plan.network.tasks.len(), plan.objective.pairs.len()),
            conflict: None,
            balance: None,
            worse: 0,
            tasks: Vec::new(),
            best: plan.parts.valid.is_some().then(best),
            seconds: 0.0,
            rate_factor: 1.0,
            rollbacks: 0,
            skipped: 0,
            scale: None,
        };
        let begun = Instant::now();
        let path = write(&Disk::default(), root.path(), &snapshot, &context(plan, machine), 1)?;
        writing.push(1e3 * begun.elapsed().as_secs_f64());
        bytes = std::fs::read_dir(path)?
            .map(|entry| Ok(entry?.metadata()?.len()))
            .sum::<Result<u64>>()?;
    }
    let (parameters, megabytes) = (plan.layout.parameters(), bytes as f64 / 1e6);
    println!(
        "{name}: {parameters} parameters, {megabytes:.1} MB; stands still for {}; is written in {}",
        said(still),
        said(writing)
    );
    Ok(())
}

fn context(plan: &Plan, machine: &Machine) -> Context {
    Context {
        network: plan.network.clone(),
        layout: plan.layout.clone(),
        schema: plan.parts.schema.clone(),
        config: tandem::config::write::to_toml(&plan.config),
        data: plan.parts.hashes.clone(),
        adapter: machine.name(),
        kernels: Vec::new(),
    }
}

fn said(mut ms: Vec<f64>) -> String {
    ms.sort_by(f64::total_cmp);
    format!("{:.1} ms ({:.1} to {:.1})", ms[ms.len() / 2], ms[0], ms[ms.len() - 1])
}
