//! Trains on arrays in memory into a run directory. Kill it and start it again with the same
//! directory: it goes on after its last checkpoint, and the model comes out equal to the bit.
//!
//! `cargo run --release --example arrays DIRECTORY [DEVICE]`, with a DEVICE as `--device` takes it:
//! `reference` needs no adapter.

use std::path::Path;

use anyhow::{Context, Result};
use tandem::config::read;
use tandem::data::{Dataset, Parts, Schema};
use tandem::device::adapter::Wish;
use tandem::rng::{Purpose, uniform};
use tandem::run::job::{Done, Job, Listener, Place};

/// The settings, as in a configuration file. `data.train` is required but not read.
const SETTINGS: &str = r#"
    [data]
    train = "memory.csv"
    [trunk]
    layers = [16]
    [task.sum]
    [task.order]
    [train]
    epochs = 40
    batch_size = 50
    checkpoint_every = "5e"
"#;

/// Rows of two numbers, with two labels: whether their sum is above 1, and whether the first one is
/// the larger.
fn rows(rows: u64, seed: u64) -> Result<Dataset> {
    let (mut features, mut sum, mut order) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..rows {
        let [a, b] = [0, 1].map(|axis| uniform(seed, Purpose::Synthetic, axis, row));
        features.extend([a as f32, b as f32]);
        sum.push(u32::from(a + b > 1.0));
        order.push(u32::from(a > b));
    }
    Dataset::from_arrays(2, features, vec![sum, order])
}

/// Prints what the run does.
struct Printer;

impl Listener for Printer {
    fn note(&mut self, line: &str) {
        println!("{line}");
    }

    fn figures(&mut self, line: &str) {
        println!("{line}");
    }
}

/// Trains into a directory, or goes on with the run that is there.
pub fn train_into(directory: &Path, wish: Wish, listener: &mut dyn Listener) -> Result<Done> {
    let classes: [&str; 2] = ["no", "yes"];
    let schema = Schema::for_arrays(2, &[("sum", &classes), ("order", &classes)]);
    let parts = Parts::new(schema, rows(500, 1)?, Some(rows(100, 2)?), Some(rows(100, 3)?))?;
    // A directory with settings is a run that was begun before.
    let (config, place) = if directory.join("config.toml").is_file() {
        Place::resume(directory, &[], listener)?
    } else {
        let config = read::from_text(SETTINGS, "settings", Path::new("."), &[])?;
        (config, Place::new(Some(directory), "arrays"))
    };
    Job::new(wish).run(config, parts, place, None, listener)
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().context("name a directory for the run")?;
    let wish = Wish { device: arguments.next(), ..Wish::default() };
    let done = train_into(Path::new(&directory), wish, &mut Printer)?;
    let test = done.outcome.test.iter().flat_map(|point| &point.tasks);
    for (head, task) in done.plan.network.tasks.iter().zip(test) {
        println!("{}: accuracy {:.4}", head.name, task.metric("accuracy").unwrap_or(f64::NAN));
    }
    Ok(())
}
