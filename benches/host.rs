//! `cargo bench --bench host`: the host's work beside the device: building a schedule, recording a
//! submission, reading a CSV file as a raw table and as a data set. The file is generated, with
//! 20,000 rows of 20 numbers; `CSV=FILE cargo bench --bench host reading` reads another one.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tandem::config::read::from_text;
use tandem::data::load::door::load;
use tandem::data::read;
use tandem::data::table::options::{Header, Options};
use tandem::data::{Dataset, Parts, Schema};
use tandem::device::{Gpu, Session};
use tandem::kernels::params::Step;
use tandem::kernels::tuning::{Class, DEFAULT_BINDING, Tuning};
use tandem::rng::{Purpose, normal};
use tandem::run::train::Plan;
use tandem::schedule::{Engine, SLOTS};

const INPUTS: usize = 64;
const ROWS: usize = 256;

/// A plan with the trunk 128, 128 and `heads` heads of ten classes.
fn plan(heads: usize) -> anyhow::Result<Plan> {
    let mut text = "[data]\ntrain = \"x.csv\"\n".to_string();
    (0..heads).try_for_each(|t| writeln!(text, "[task.t{t}]"))?;
    text += "[[coupling]]\nkind = \"soft_sharing\"\nstrength = 0.01\n";
    let config = from_text(&text, "bench.toml", Path::new("."), &[])?;
    let classes = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let tasks: Vec<(&str, &[&str])> =
        config.tasks.iter().map(|t| (t.name.as_str(), &classes[..])).collect();
    let values =
        (0..ROWS * INPUTS).map(|i| normal(0, Purpose::Synthetic, 0, i as u64) as f32).collect();
    let labels =
        (0..heads).map(|t| (0..ROWS).map(|row| ((row + t) % 10) as u32).collect()).collect();
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

/// Reads a file, whether or not its first line has column names.
fn reading(c: &mut Criterion, path: &Path) {
    let options = Options { header: Header::None, ..Options::default() };
    let mut group = c.benchmark_group("reading");
    group
        .sample_size(10)
        .throughput(Throughput::BytesDecimal(std::fs::metadata(path).unwrap().len()));
    group
        .bench_function("CSV", |b| b.iter(|| read::read(&[path.to_path_buf()], &options).unwrap()));
}

fn csv(c: &mut Criterion) {
    if let Some(path) = std::env::var_os("CSV") {
        return reading(c, Path::new(&path));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = table(folder.path()).unwrap();
    reading(c, &path);
    let config =
        from_text("[data]\ntrain = \"train.csv\"\n[task.t]\n", "bench.toml", folder.path(), &[])
            .unwrap();
    let mut group = c.benchmark_group("reading");
    group
        .sample_size(10)
        .throughput(Throughput::BytesDecimal(std::fs::metadata(&path).unwrap().len()));
    group.bench_function("CSV to a data set", |b| {
        b.iter(|| load(&config.data, &config.tasks).unwrap())
    });
}

fn schedules(c: &mut Criterion) {
    let tuning = Tuning::new(Class::Discrete, DEFAULT_BINDING, false);
    for heads in [2, 64] {
        let plan = plan(heads).unwrap();
        c.bench_function(&format!("schedule of {heads} heads"), |b| {
            b.iter(|| plan.build(&tuning).unwrap())
        });
    }
}

/// Records steps, without the driver's work in the submit call; the result is per dispatch.
fn recording(c: &mut Criterion) {
    let gpu = Gpu::open(&Default::default()).unwrap();
    let plan = plan(3).unwrap();
    let built = plan.build(&gpu.tuning()).unwrap();
    let train = built.train.unwrap();
    let dispatches = built.program.schedules[train].dispatches.len();
    let mut session = Session::new(gpu, built.program).unwrap();
    let mut number = 0;
    let mut submission = || {
        let step = |slot| Step {
            number: number + slot + 1,
            slot,
            rows: 128,
            inverse_rows: 1.0 / 128.0,
            ..Step::default()
        };
        let steps: Vec<Step> = (0..SLOTS as u32).map(step).collect();
        number += SLOTS as u32;
        session.submit(train, &steps).unwrap();
        session.collect(true).unwrap();
        session
            .take_encoded()
            .iter()
            .map(|e| e.recording / (e.steps * dispatches) as f64)
            .sum::<f64>()
    };
    let mut of_dispatches = |count: u64| {
        Duration::from_secs_f64((0..5).map(|_| submission()).sum::<f64>() / 5.0 * count as f64)
    };
    let mut group = c.benchmark_group("recording");
    group
        .sample_size(20)
        .measurement_time(Duration::from_millis(1))
        .warm_up_time(Duration::from_millis(1));
    group.bench_function("a dispatch", |b| b.iter_custom(&mut of_dispatches));
}

criterion_group!(host, schedules, recording, csv);
criterion_main!(host);
