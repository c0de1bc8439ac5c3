//! `bench step` and `bench gemm`.

use anyhow::Result;
use clap::Subcommand;
use serde_json::json;

use super::console::Console;
use super::flags::{Common, Tune};
use super::step_args::{StepArgs, precision, size};
use super::sweep;
use crate::config::{Architecture, Balance, COUPLING_KINDS, Precision};
use crate::device::adapter::Wish;
use crate::fault::{Exit, Fault};
use crate::measure::precision::{precise, wants_units};
use crate::measure::step::{self, StepReport, StepShape};
use crate::measure::tune::tune_shapes;
use crate::run::machine::Machine;

#[derive(Subcommand)]
pub(super) enum What {
    /// Measure a whole training step on synthetic data: gather, forward, backward, coupling,
    /// update, metrics
    Step(Box<StepArgs>),
    /// Measure the products A·B, A·Bᵀ and Aᵀ·B with [m, n] outputs and inner length k
    Gemm {
        /// Rows of the output
        #[arg(long, default_value_t = 768, value_parser = size)]
        m: usize,
        /// Columns of the output
        #[arg(long, default_value_t = 768, value_parser = size)]
        n: usize,
        /// Inner length
        #[arg(long, default_value_t = 512, value_parser = size)]
        k: usize,
        /// When to choose the tile sizes of the products by measurement
        #[arg(long, default_value = "cached", value_name = "WHEN")]
        tune: Tune,
        /// Precision of the products, as in `train.precision`
        #[arg(long, default_value = "f32", value_name = "WHAT", value_parser = precision)]
        precision: Precision,
    },
}

/// Reads the sizes that a flag lists; `none` is an empty list.
fn sizes(flag: &str, text: &str) -> Result<Vec<usize>> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let parse = |part: &str| {
        let bad = |e| {
            Fault::new(Exit::Usage, format!("{flag} {text}: \"{part}\": {e}"))
                .hint("give sizes separated by commas, such as 128,128")
        };
        size(part.trim()).map_err(bad)
    };
    Ok(text.split(',').map(parse).collect::<Result<Vec<_>, _>>()?)
}

pub(super) fn run(what: &What, common: &Common, console: &Console) -> Result<()> {
    match what {
        What::Step(args) => run_step(args, common, console),
        What::Gemm { m, n, k, tune, precision } => {
            let wish = Wish { units: wants_units(*precision), ..common.wish() };
            let machine = Machine::open(&wish)?;
            let (by_unit, fallback) = precise(&machine, machine.tuning(), *precision)?;
            fallback.iter().for_each(|line| console.note(line));
            let tuning = match (&machine, by_unit.unit) {
                (Machine::Device(gpu), None) => {
                    tune_shapes(gpu, [[*m, *n, *k]; 3], true, (*tune).into())?.0
                }
                _ => by_unit,
            };
            let report = crate::measure::gemm::gemm(*m, *n, *k, &machine, &tuning)?;
            if console.json {
                return console.result_json(&json!(report));
            }
            let line = |name: &str, p: &crate::measure::gemm::ProductReport| {
                format!(
                    "{name} {:>10.3} ms {:>10.2} GFLOP/s, largest error {:.2e}\n",
                    p.ms, p.gflop_per_s, p.max_error
                )
            };
            let lines = line("A·B  (NN)", &report.nn)
                + &line("A·Bᵀ (NT)", &report.nt)
                + &line("Aᵀ·B (TN)", &report.tn);
            console.result(&format!("{} ({}): {m}×{n}×{k}\n{lines}", report.adapter, report.driver))
        }
    }
}

fn run_step(args: &StepArgs, common: &Common, console: &Console) -> Result<()> {
    common.check_profile(args.profile)?;
    let wanted = args.sweep.as_deref().map(sweep::wanted).transpose()?;
    let shape = shape(args)?;
    match &wanted {
        Some(wanted) => sweep::check(wanted, args, &shape)?,
        None if args.svg.is_some() => {
            return Err(Fault::new(Exit::Usage, "--svg draws a sweep, but --sweep is missing")
                .hint("add --sweep batch=32..512")
                .into());
        }
        None => {}
    }
    args.svg.as_deref().map(sweep::check_svg).transpose()?;
    let machine = Machine::open(&Wish { units: wants_units(args.precision), ..common.wish() })?;
    console.machine(&machine);
    match wanted {
        Some(wanted) => sweep::run(&wanted, &shape, args.svg.as_deref(), &machine, console),
        None => step(
            &StepShape { rows: shape.rows.max(shape.batch), ..shape },
            machine,
            args.profile,
            console,
        ),
    }
}

/// The balancer of the flags `--balance` and `--space`.
fn balance(args: &StepArgs, tasks: usize) -> Result<Balance> {
    let space = args.space.iter().map(|space| format!(",space={space}"));
    let text = format!("{}{}", args.balance, space.collect::<String>());
    Balance::from_flag(&text, tasks)
}

fn shape(args: &StepArgs) -> Result<StepShape> {
    let (trunk, classes) = (sizes("--trunk", &args.trunk)?, sizes("--classes", &args.classes)?);
    if classes.is_empty() || classes.iter().any(|c| *c < 2) {
        let fault =
            Fault::new(Exit::Usage, "--classes: at least one head, at least two classes each");
        return Err(fault.hint("such as --classes 10,10").into());
    }
    let coupling = (args.coupling != "none").then(|| args.coupling.clone());
    if let Some(kind) = coupling.as_deref().filter(|kind| !COUPLING_KINDS.contains(kind)) {
        let fault = Fault::new(Exit::Usage, format!("--coupling {kind}: unknown kind"));
        return Err(fault.hint(format!("one of none, {}", COUPLING_KINDS.join(", "))).into());
    }
    let tasks: Vec<String> = (0..classes.len()).map(|t| format!("t{t}")).collect();
    let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
    let architecture = Architecture::from_flag(&args.architecture, &trunk, &tasks)?;
    let balance = balance(args, tasks.len())?;
    let (batch, rows) = (args.batch.unwrap_or(128), args.rows);
    Ok(StepShape {
        inputs: args.inputs,
        trunk,
        classes,
        batch,
        rows,
        coupling,
        steps: args.steps,
        tune: args.tune.into(),
        precision: args.precision,
        architecture,
        balance,
    })
}

fn step(shape: &StepShape, machine: Machine, profile: bool, console: &Console) -> Result<()> {
    let report = step::step(shape, machine.clone())?;
    report.fallback.iter().for_each(|line| console.note(line));
    let profiled = if profile {
        crate::measure::profile::against_ceilings(&machine, report.profile.clone())?
    } else {
        None
    };
    if console.json {
        let mut document = json!(report);
        let added = profiled.iter().flat_map(|(profile, best)| profile.json(best));
        added.for_each(|(key, value)| document[key] = value);
        return console.result_json(&document);
    }
    let table =
        profiled.map_or(String::new(), |(profile, best)| format!("\n\n{}", profile.table(&best)));
    console.result(&(text(&report) + &table))
}

fn text(report: &StepReport) -> String {
    let (t, r) = (&report.ms_per_step, report);
    let lines = [
        format!("{} ({})", r.adapter, r.driver),
        format!("ms per step: min {:.3}, median {:.3}, max {:.3}", t.min, t.median, t.max),
        format!(
            "{} dispatches, {:.1} MFLOP, {:.2} GFLOP/s, {} steps, {} per submission",
            r.dispatches_per_step,
            r.flop_per_step as f64 / 1e6,
            r.gflop_per_s,
            r.steps,
            r.steps_per_submission
        ),
        format!("first step after {:.2} s, with opening and compiling", r.first_step_seconds),
    ];
    lines.join("\n") + &memory(report) + &encoding(report).unwrap_or_default()
}

fn memory(report: &StepReport) -> String {
    let mib = |bytes: u64| format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20));
    let allocated = report
        .device_bytes
        .allocated
        .map_or("this backend does not say how much is allocated".into(), |bytes| {
            format!("{} allocated", mib(bytes))
        });
    format!("\nmemory: {} estimated, {allocated}", mib(report.device_bytes.estimated))
}

/// The lines about the host's work and the products; only an adapter has these figures.
fn encoding(report: &StepReport) -> Option<String> {
    let (step, dispatch, share) =
        (report.encode_us_per_step?, report.encode_us_per_dispatch?, report.product_share?);
    let submitting = report.submit_us_per_step?;
    Some(format!(
        "\nhost: {step:.1} µs per step, {dispatch:.2} µs per dispatch; {submitting:.1} µs per step \
         in the driver's submit call\nproducts: {:.1} % of the time in dispatches",
        100.0 * share
    ))
}
