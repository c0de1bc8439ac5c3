//! The command line: verbs, flags, streams, exit codes. stdout carries the result and nothing else;
//! everything else goes to stderr.

mod bench;
mod console;
mod kfold;
mod look;
mod model;
mod reading;
mod resume;
mod signals;
mod sweep;
mod table;
mod train;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::device::adapter::Wish;
use crate::fault::{Exit, Fault, address, exit_of, hint_of};
use crate::measure::tune::Mode;
use crate::model::file::{self, Model};
use crate::run::apply::folds;
use console::Console;

/// Multi-task learning on any GPU: one shared trunk, several heads, a pairwise coupling.
#[derive(Parser)]
#[command(name = "tandem", version, about, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    common: Common,
}

#[derive(Subcommand)]
enum Verb {
    /// Train the built-in demonstration: two overlaid digits, tasks `left` and `right`
    Demo(TrainArgs),
    /// Train what a configuration says, or go on with a run
    Train {
        /// The configuration, TOML
        #[arg(required_unless_present = "resume")]
        config: Option<PathBuf>,
        /// Go on with the run in this directory, from its newest checkpoint; flags that are given
        /// change its settings
        #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "out", "init_from", "init_part", "allow_nonfinite", "k_fold"])]
        resume: Option<PathBuf>,
        #[command(flatten)]
        args: TrainArgs,
    },
    /// Per-task metrics of a model on labelled data
    Evaluate {
        /// A run directory, a model directory, or a .safetensors file beside its config.json
        model: PathBuf,
        /// A file, IMAGES,LABELS (IDX), or a part of a built-in set: digits-overlay:test
        #[arg(long)]
        data: String,
        /// Go on where a column holds nothing that the model knows
        #[arg(long)]
        allow_unknown: bool,
        #[command(flatten)]
        weights: Weights,
    },
    /// One row out per row in: classes and probabilities, columns named after the tasks
    Predict {
        /// A run directory, a model directory, or a .safetensors file beside its config.json
        model: PathBuf,
        /// A file, - (CSV on stdin), IMAGES (IDX), or a part of a built-in set: digits-overlay:test
        #[arg(long)]
        data: String,
        /// Where to write the rows, .csv, .tsv, .jsonl (all plain or .gz) or .parquet; stdout if
        /// absent
        #[arg(long)]
        out: Option<PathBuf>,
        /// How to write them [default: by the ending of --out, on stdout csv]
        #[arg(long, value_name = "FORMAT")]
        format: Option<Format>,
        /// Add the logits: columns TASK:logit:CLASS
        #[arg(long)]
        logits: bool,
        /// Go on where a column holds nothing that the model knows
        #[arg(long)]
        allow_unknown: bool,
        #[command(flatten)]
        weights: Weights,
    },
    /// Write a commented configuration for a table: what it holds, and how to learn some of its
    /// columns
    Init {
        /// A table: .csv, .tsv, .parquet, …, or a pattern of several
        #[arg(long, value_name = "FILE")]
        data: String,
        #[command(flatten)]
        table: table::TableArgs,
        /// Where to write it; must not exist yet; stdout if absent
        #[arg(long, value_name = "CONFIG.toml")]
        out: Option<PathBuf>,
    },
    /// Show what a table holds, or what a model is made of
    Inspect {
        /// A table, a run directory, a model directory, or a .safetensors file beside its
        /// config.json
        what: String,
        #[command(flatten)]
        table: table::TableArgs,
        #[command(flatten)]
        weights: Weights,
    },
    /// Print the network, its parameters and the dispatches of one step
    Explain {
        /// The configuration, TOML, or a run directory
        config: PathBuf,
        /// Override a key: section.key=value (repeatable)
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// List the adapters, what each offers, and which one a run would take
    Devices,
    /// Check every kernel on the adapter against the float64 reference
    Doctor,
    /// Measure a training step or the matrix products on synthetic data
    Bench {
        #[command(subcommand)]
        what: bench::What,
    },
}

/// Flags of `train` and `demo`.
#[derive(Args, Clone)]
struct TrainArgs {
    /// Override a key: section.key=value (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Run directory [default: runs/NAME-N, counting up]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Seed of order, initial weights and dropout [default: train.seed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Start from the weights of a model
    #[arg(long, value_name = "MODEL")]
    init_from: Option<PathBuf>,
    /// Take that model as it is, weights that are not finite included; they are counted
    #[arg(long, requires = "init_from")]
    allow_nonfinite: bool,
    /// How much of that model: all of it, or its trunk alone under new heads
    #[arg(long, value_name = "PART", requires = "init_from", default_value = "all")]
    init_part: InitPart,
    /// Leave the trunk as it begins
    #[arg(long, value_name = "PART")]
    freeze: Option<Frozen>,
    /// Passes over the training data
    #[arg(long, value_name = "N")]
    epochs: Option<u64>,
    /// Stop after so many steps
    #[arg(long, value_name = "N")]
    max_steps: Option<u64>,
    /// Stop after so long: 90s, 10m, 2h
    #[arg(long, value_name = "TIME")]
    max_time: Option<String>,
    /// Write a checkpoint every 1e (epoch), 500s (steps), 10m or 2h [default: 10m]; there is always
    /// one at the end
    #[arg(long, value_name = "INTERVAL")]
    checkpoint_every: Option<String>,
    /// Checkpoints that are kept, the newest ones [default: 2]
    #[arg(long, value_name = "N")]
    keep: Option<u64>,
    /// When a value is not finite: stop; skip the step; rollback to the last checkpoint, with half
    /// the learning rate [default: stop]
    #[arg(long, value_name = "WHAT")]
    on_nan: Option<String>,
    /// Work each batch off in so many parts, which takes less memory; the same result to rounding
    #[arg(long, value_name = "N")]
    accumulate: Option<u64>,
    /// Go on so many times on a new device, from the last checkpoint, where one is lost or hangs
    #[arg(long, value_name = "N", default_value_t = 0)]
    retry_device: u64,
    /// Choice of tiles: as without measurement, as measured once, measured anew; changes no result
    #[arg(long, default_value = "cached", value_name = "WHEN")]
    tune: Tune,
    /// Steps recorded into one submission [default: by time]; changes no result
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=64))]
    steps_per_submission: Option<u64>,
    /// Time each dispatch of the training step and print a table; steps take longer, results are
    /// the same
    #[arg(long)]
    profile: bool,
    /// Train once for each of N folds of the table, test on the fold, and show mean and spread
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=1000))]
    k_fold: Option<u64>,
    /// Whether the data stays on the device; off brings it there batch by batch; changes no result
    #[arg(long, default_value = "auto", value_name = "WHEN")]
    resident: Resident,
    /// Whether a table of 8 MB or more is kept in the cache directory as it was encoded, and taken
    /// from there; changes no result
    #[arg(long, default_value = "on", value_name = "WHEN")]
    data_cache: DataCache,
}

impl TrainArgs {
    /// What the model to start from may hold.
    fn weights(&self) -> Weights {
        Weights { allow_nonfinite: self.allow_nonfinite }
    }
}

/// Whether encoded tables are kept and used.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum DataCache {
    On,
    Off,
}

/// What a model may hold.
#[derive(Args, Clone, Copy)]
struct Weights {
    /// Take a model as it is, weights that are not finite included; they are counted
    #[arg(long)]
    allow_nonfinite: bool,
}

impl Weights {
    /// Loads a model.
    fn load(self, path: &Path, console: &Console) -> Result<Model> {
        if let Some(fault) = path.to_str().and_then(|text| address(text, text)) {
            return Err(fault.into());
        }
        if let Some(folds) = folds::count(path) {
            let found = format!("is a run of {folds} folds, each with a model of its own");
            let hint = format!(
                "name one of them: {}; tandem predict averages all of them",
                folds::directory(path, 1).display()
            );
            return Err(Fault::missing(path.display(), found).hint(hint).into());
        }
        if !self.allow_nonfinite {
            return file::load(path);
        }
        let model = file::load_any(path)?;
        if model.not_finite() > 0 {
            console.note(&format!(
                "{}: {} of its {} weights are not finite",
                path.display(),
                model.not_finite(),
                model.layout.parameters()
            ));
        }
        Ok(model)
    }
}

/// How much of a model a run begins with.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum InitPart {
    All,
    Trunk,
}

/// What is not trained.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Frozen {
    Trunk,
}

/// Whether the data stays on the device.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Resident {
    /// Unless it takes more than two buffers of the largest size that the adapter has
    Auto,
    /// Always
    On,
    /// Never
    Off,
}

/// How predictions are written.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// A line of names, then a line a row
    Csv,
    /// The same with tabs
    Tsv,
    /// A JSON object a line
    Jsonl,
    /// Parquet, for --out alone
    Parquet,
}

impl From<Format> for crate::run::apply::predict::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv,
            Format::Tsv => Self::Tsv,
            Format::Jsonl => Self::Jsonl,
            Format::Parquet => Self::Parquet,
        }
    }
}

/// When the tiles of the products are chosen by measurement.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Tune {
    /// Never
    Off,
    /// Once for adapter, driver and version, where the run is long enough to gain from it; then
    /// from the cache directory
    Cached,
    /// Now
    Force,
}

impl From<Tune> for Mode {
    fn from(tune: Tune) -> Mode {
        match tune {
            Tune::Off => Mode::Off,
            Tune::Cached => Mode::Cached,
            Tune::Force => Mode::Force,
        }
    }
}

/// Flags of all verbs.
#[derive(Args, Clone)]
struct Common {
    /// auto, an index of `tandem devices`, part of a name, or reference (float64 on the CPU)
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE")]
    device: String,
    /// Use adapters of one kind alone: vulkan, metal, dx12, gl
    #[arg(long, global = true, value_name = "BACKEND")]
    backend: Option<Backend>,
    /// Ask for WebGPU's default limits and nothing beyond, optional features included
    #[arg(long, global = true)]
    default_limits: bool,
    /// One JSON document on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Progress on stderr; auto: a bar on a terminal, else a line an epoch
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    progress: Progress,
    /// Colours on stderr
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    color: Color,
    /// No progress and no notices
    #[arg(short, long, global = true)]
    quiet: bool,
    /// More notices
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backend {
    Vulkan,
    Metal,
    Dx12,
    Gl,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Progress {
    Auto,
    Bar,
    Plain,
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

impl Common {
    fn wish(&self) -> Wish {
        let backend =
            self.backend.and_then(|b| b.to_possible_value()).map(|v| v.get_name().to_string());
        Wish {
            device: Some(self.device.clone()),
            backend,
            default_limits: self.default_limits,
            units: false,
        }
    }

    /// Refuses flags of `train` that say something of an adapter where there is none.
    fn check_adapter(&self, args: &TrainArgs) -> Result<(), Fault> {
        self.check_profile(args.profile)?;
        self.wants_adapter(
            args.retry_device > 0,
            "--retry-device",
            "goes on where an adapter is lost",
        )
    }

    /// Refuses `--profile` where there is nothing to time.
    fn check_profile(&self, wanted: bool) -> Result<(), Fault> {
        self.wants_adapter(wanted, "--profile", "times what an adapter runs")
    }

    fn wants_adapter(&self, wanted: bool, flag: &str, does: &str) -> Result<(), Fault> {
        if !wanted || self.device != "reference" {
            return Ok(());
        }
        let fault =
            Fault::new(Exit::Usage, format!("{flag} {does}, and the float64 reference is none"));
        Err(fault.hint(format!("leave {flag} out, or name an adapter (see tandem devices)")))
    }
}

/// The program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap knows which stream help, version and usage errors belong to, and the codes 0 and
            // 2.
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    let console = Console::new(&cli.common);
    match run(cli, &console) {
        Ok(exit) => exit.map_or(ExitCode::SUCCESS, code),
        Err(error) => {
            let exit = exit_of(&error);
            console.error(&one_line(&error), hint_of(&error), exit == Exit::Internal);
            code(exit)
        }
    }
}

fn code(exit: Exit) -> ExitCode {
    ExitCode::from(exit as u8)
}

/// The chain of an error on one line.
fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}")
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs a verb; `Some` is an exit code that is no error of ours, such as that of a signal.
fn run(cli: Cli, console: &Console) -> Result<Option<Exit>> {
    let common = &cli.common;
    if common.quiet && common.verbose {
        let fault = Fault::new(
            Exit::Usage,
            "-q (--quiet) and -v (--verbose) stand together: one asks for no notices, the other for more",
        );
        return Err(fault.hint("leave one of the two out").into());
    }
    match cli.verb {
        Verb::Demo(args) => train::demo(&args, common, console),
        Verb::Train { resume: Some(run), args, .. } => train::go_on(&run, &args, common, console),
        Verb::Train { config, args, .. } => {
            train::train(&config.unwrap_or_default(), &args, common, console)
        }
        Verb::Evaluate { model, data, allow_unknown, weights } => {
            model::evaluate(&weights.load(&model, console)?, &data, allow_unknown, common, console)
                .map(|()| None)
        }
        Verb::Predict { model, data, out, format, logits, allow_unknown, weights } => {
            let wanted = model::Wanted {
                out,
                format: format.map(Into::into),
                logits,
                weights,
                allow_unknown,
            };
            model::predict(&model, &data, &wanted, common, console).map(|()| None)
        }
        Verb::Init { data, table, out } => {
            table::init(&data, &table, out.as_deref(), console).map(|()| None)
        }
        Verb::Inspect { what, table, weights } => {
            table::inspect(&what, &table, weights, console).map(|()| None)
        }
        Verb::Explain { config, set } => {
            look::explain(&config, &set, common, console).map(|()| None)
        }
        Verb::Devices => look::devices(common, console).map(|()| None),
        Verb::Doctor => look::doctor(common, console),
        Verb::Bench { what } => bench::run(&what, common, console).map(|()| None),
    }
}
