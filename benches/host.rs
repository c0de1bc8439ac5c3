//! `cargo bench --bench host [-- FILE.csv]`: what the host does beside the device, medians of five: writing a schedule, recording a submission,
//! reading a CSV file, and reading it into a data set. Without a file one is made, 20,000 rows of 20 numbers; with one, reading is all.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tandem::config::Precision;
use tandem::config::read::from_text;
use tandem::data::load::load;
use tandem::data::raw::{self, Header, Options};
use tandem::data::{Dataset, Parts, Schema};
use tandem::device::Gpu;
use tandem::kernels::tuning::{Class, DEFAULT_BINDING, Tuning};
use tandem::rng::{Purpose, normal};
use tandem::run::bench::{StepShape, step};
use tandem::run::machine::Machine;
use tandem::run::train::Plan;
use tandem::run::tune::Mode;

const INPUTS: usize = 64;
const ROWS: usize = 256;

/// Median of five runs, in seconds.
fn median(mut run: impl FnMut()) -> f64 {
    let mut seconds: Vec<f64> = (0..5)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[2]
}

/// A trunk of 128 and 128, and so many heads of ten classes.
fn plan(heads: usize) -> anyhow::Result<Plan> {
    let mut text = "[data]\ntrain = \"x.csv\"\n".to_string();
    (0..heads).try_for_each(|t| writeln!(text, "[task.t{t}]"))?;
    text += "[[coupling]]\nkind = \"soft_sharing\"\nstrength = 0.01\n";
    let config = from_text(&text, "bench.toml", Path::new("."), &[])?;
    let classes = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let tasks: Vec<(&str, &[&str])> = config.tasks.iter().map(|t| (t.name.as_str(), &classes[..])).collect();
    let values = (0..ROWS * INPUTS).map(|i| normal(0, Purpose::Synthetic, 0, i as u64) as f32).collect();
    let labels = (0..heads).map(|t| (0..ROWS).map(|row| ((row + t) % 10) as u32).collect()).collect();
    let rows = Dataset::from_arrays(INPUTS, values, labels)?;
    let parts = Parts::new(Schema::for_arrays(INPUTS, &tasks), rows, None, None)?;
    Plan::new(config, parts)
}

fn table(folder: &Path) -> anyhow::Result<PathBuf> {
    let mut text = (0..20).map(|i| format!("x{i},")).collect::<String>() + "t\n";
    for row in 0..20_000u64 {
        (0..20).try_for_each(|i| write!(text, "{:.5},", normal(1, Purpose::Synthetic, i, row)))?;
        writeln!(text, "{}", row % 3)?;
    }
    let path = folder.join("train.csv");
    std::fs::write(&path, text)?;
    Ok(path)
}

/// Reads a file, whether or not its first line is one of names.
fn read_csv(path: &Path) -> anyhow::Result<()> {
    let options = Options { header: Header::None, ..Options::default() };
    let (mut rows, mut columns) = (0, 0);
    let seconds = median(|| {
        if let Ok(raw) = raw::read(&[path.to_path_buf()], &options) {
            (rows, columns) = (raw.rows, raw.names.len());
        }
    });
    let megabytes = std::fs::metadata(path)?.len() as f64 / 1e6;
    let rates = format!("{:.0} MB/s, {:.0} rows/s", megabytes / seconds, rows as f64 / seconds);
    println!("CSV, {rows} rows of {columns} columns: {rates}; peak memory {}", peak_memory());
    Ok(())
}

/// The most memory that this process has taken.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map_or("unknown".to_owned(), |kib| kib.trim().to_owned())
}

fn main() -> anyhow::Result<()> {
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).map(PathBuf::from);
    if let Some(path) = given {
        return read_csv(&path);
    }
    let tuning = Tuning::new(Class::Discrete, DEFAULT_BINDING, false);
    for heads in [2, 64] {
        let plan = plan(heads)?;
        let seconds = median(|| drop(plan.build(&tuning)));
        println!("schedule of {heads} heads: {:.2} ms", 1e3 * seconds);
    }

    let folder = tempfile::tempdir()?;
    let path = table(folder.path())?;
    read_csv(&path)?;
    let config = from_text("[data]\ntrain = \"train.csv\"\n[task.t]\n", "bench.toml", folder.path(), &[])?;
    let seconds = median(|| drop(load(&config.data, &config.tasks)));
    println!("the same as a data set: {:.0} MB/s", std::fs::metadata(&path)?.len() as f64 / 1e6 / seconds);

    let shape = StepShape {
        inputs: INPUTS,
        trunk: vec![128, 128],
        classes: vec![10; 3],
        batch: 128,
        rows: 10_000,
        coupling: Some("soft_sharing".into()),
        steps: 100,
        tune: Mode::Off,
        precision: Precision::F32,
    };
    let r = step(&shape, Machine::Device(Box::new(Gpu::open(&Default::default())?)))?;
    let submitting = r.submit_us_per_step.unwrap_or_default();
    let recording = r.encode_us_per_step.unwrap_or_default() - submitting;
    let each = recording / r.dispatches_per_step as f64;
    println!("recording a step: {recording:.1} µs, {each:.2} µs a dispatch; handing it to the driver: {submitting:.1} µs");
    Ok(())
}
