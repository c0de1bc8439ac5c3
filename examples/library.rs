//! Trains on arrays in memory with the library alone: no file is read, and none is written.
//!
//! Each row is a point of the plane with two labels: in which of three rings it is, and in which of
//! four quadrants.
//!
//! `cargo run --release --example library [DEVICE]`, with a DEVICE as `--device` takes it:
//! `reference` needs no adapter.

use std::f64::consts::TAU;
use std::path::Path;

use anyhow::Result;
use tandem::config::read;
use tandem::data::{Dataset, Parts, Schema};
use tandem::device::adapter::Wish;
use tandem::rng::{Purpose, uniform};
use tandem::run::machine::Machine;
use tandem::run::train::{Options, Plan, Silent, train};

/// The settings, as in a configuration file. `data.train` is required but not read: the rows are
/// given below.
const SETTINGS: &str = r#"
    [data]
    train = "memory.csv"

    [trunk]
    layers = [32, 32]
    activation = "tanh"

    [task.ring]
    [task.quadrant]

    [optimizer]
    learning_rate = 1e-2
    schedule = "cosine"

    [train]
    epochs = 15
    batch_size = 64
"#;

/// Rows with two features, the coordinates, and a label per task, which is an index into its
/// classes.
fn points(rows: usize, seed: u64) -> Result<Dataset> {
    let (mut features, mut ring, mut quadrant) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..rows as u64 {
        let radius = 3.0 * uniform(seed, Purpose::Synthetic, 0, row);
        let angle = uniform(seed, Purpose::Synthetic, 1, row);
        features
            .extend([(radius * (TAU * angle).cos()) as f32, (radius * (TAU * angle).sin()) as f32]);
        ring.push(radius as u32);
        quadrant.push((4.0 * angle) as u32);
    }
    Dataset::from_arrays(2, features, vec![ring, quadrant])
}

fn main() -> Result<()> {
    let config = read::from_text(SETTINGS, "settings", Path::new("."), &[])?;
    // The tasks in the order of the settings, each with the names of its classes.
    let schema = Schema::for_arrays(
        2,
        &[("ring", &["inner", "middle", "outer"]), ("quadrant", &["1st", "2nd", "3rd", "4th"])],
    );
    let parts =
        Parts::new(schema, points(4000, 1)?, Some(points(500, 2)?), Some(points(1000, 3)?))?;

    let plan = Plan::new(config, parts)?;
    let machine = Machine::open(&Wish { device: std::env::args().nth(1), ..Wish::default() })?;
    println!("{} parameters on {}", plan.layout.parameters(), machine.describe());

    // With an `Observer` of your own instead of `Silent` you see every point and every better
    // model, and can end the run.
    let outcome = train(&plan, machine, Options::default(), &mut Silent)?;
    println!(
        "{} steps in {:.1} s, best epoch {}",
        outcome.steps, outcome.seconds, outcome.best_epoch
    );

    // The test part is measured once, with the model of the best epoch.
    for (head, task) in
        plan.network.tasks.iter().zip(outcome.test.iter().flat_map(|point| &point.tasks))
    {
        println!(
            "{:10} test accuracy {:.4}",
            head.name,
            task.metric("accuracy").unwrap_or(f64::NAN)
        );
    }
    Ok(())
}
