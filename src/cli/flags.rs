//! Flags that several verbs have.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::device::adapter::Wish;
use crate::fault::{Exit, Fault};
use crate::measure::tune::Mode;

/// Flags of `train` and `demo`.
#[derive(Args, Clone)]
pub(super) struct TrainArgs {
    /// Override a key: section.key=value (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// Run directory [default: runs/NAME-N, counting up]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Seed of order, initial weights and dropout [default: train.seed]
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Start from the weights of a model
    #[arg(long, value_name = "MODEL")]
    pub(super) init_from: Option<PathBuf>,
    /// Take that model as it is, weights that are not finite included; they are counted
    #[arg(long, requires = "init_from")]
    pub(super) allow_nonfinite: bool,
    /// How much of that model: all of it, or its trunk alone under new heads
    #[arg(long, value_name = "PART", requires = "init_from", default_value = "all")]
    pub(super) init_part: InitPart,
    /// Leave the trunk as it begins
    #[arg(long, value_name = "PART")]
    pub(super) freeze: Option<Frozen>,
    /// Passes over the training data
    #[arg(long, value_name = "N")]
    pub(super) epochs: Option<u64>,
    /// Stop after so many steps
    #[arg(long, value_name = "N")]
    pub(super) max_steps: Option<u64>,
    /// Stop after so long: 90s, 10m, 2h
    #[arg(long, value_name = "TIME")]
    pub(super) max_time: Option<String>,
    /// Write a checkpoint every 1e (epoch), 500s (steps), 10m or 2h [default: 10m]; there is always
    /// one at the end
    #[arg(long, value_name = "INTERVAL")]
    pub(super) checkpoint_every: Option<String>,
    /// Checkpoints that are kept, the newest ones [default: 2]
    #[arg(long, value_name = "N")]
    pub(super) keep: Option<u64>,
    /// When a value is not finite: stop; skip the step; rollback to the last checkpoint, with half
    /// the learning rate [default: stop]
    #[arg(long, value_name = "WHAT")]
    pub(super) on_nan: Option<String>,
    /// Work each batch off in so many parts, which takes less memory; the same result to rounding
    #[arg(long, value_name = "N")]
    pub(super) accumulate: Option<u64>,
    /// Go on so many times on a new device, from the last checkpoint, where one is lost or hangs
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) retry_device: u64,
    /// Choice of tiles: as without measurement, as measured once, measured anew; changes no result
    #[arg(long, default_value = "cached", value_name = "WHEN")]
    pub(super) tune: Tune,
    /// Steps recorded into one submission [default: by time]; changes no result
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=64))]
    pub(super) steps_per_submission: Option<u64>,
    /// Time each dispatch of the training step and print a table; steps take longer, results are
    /// the same
    #[arg(long)]
    pub(super) profile: bool,
    /// Train once for each of N folds of the table, test on the fold, and show mean and spread
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=1000))]
    pub(super) k_fold: Option<u64>,
    /// Whether the data stays on the device; off brings it there batch by batch; changes no result
    #[arg(long, default_value = "auto", value_name = "WHEN")]
    pub(super) resident: Resident,
    /// Whether a table of 8 MB or more is kept in the cache directory as it was encoded, and taken
    /// from there; changes no result
    #[arg(long, default_value = "on", value_name = "WHEN")]
    pub(super) data_cache: DataCache,
}

impl TrainArgs {
    /// What the model to start from may hold.
    pub(super) fn weights(&self) -> Weights {
        Weights { allow_nonfinite: self.allow_nonfinite }
    }
}

/// Whether encoded tables are kept and used.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
pub(super) enum DataCache {
    On,
    Off,
}

/// What a model may hold.
#[derive(Args, Clone, Copy)]
pub(super) struct Weights {
    /// Take a model as it is, weights that are not finite included; they are counted
    #[arg(long)]
    pub(super) allow_nonfinite: bool,
}

/// How much of a model a run begins with.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
pub(super) enum InitPart {
    All,
    Trunk,
}

/// What is not trained.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
pub(super) enum Frozen {
    Trunk,
}

/// Whether the data stays on the device.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
pub(super) enum Resident {
    /// Unless it takes more than two buffers of the largest size that the adapter has
    Auto,
    /// Always
    On,
    /// Never
    Off,
}

/// How predictions are written.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Format {
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
pub(super) enum Tune {
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
pub(super) struct Common {
    /// auto, an index of `tandem devices`, part of a name, or reference (float64 on the CPU)
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE")]
    pub(super) device: String,
    /// Use adapters of one kind alone: vulkan, metal, dx12, gl
    #[arg(long, global = true, value_name = "BACKEND")]
    pub(super) backend: Option<Backend>,
    /// Ask for WebGPU's default limits and nothing beyond, optional features included
    #[arg(long, global = true)]
    pub(super) default_limits: bool,
    /// One JSON document on stdout
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Progress on stderr; auto: a bar on a terminal, else a line an epoch
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    pub(super) progress: Progress,
    /// Colours on stderr
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    pub(super) color: Color,
    /// No progress and no notices
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// More notices
    #[arg(short, long, global = true)]
    pub(super) verbose: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Backend {
    Vulkan,
    Metal,
    Dx12,
    Gl,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Progress {
    Auto,
    Bar,
    Plain,
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

impl Common {
    pub(super) fn wish(&self) -> Wish {
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
    pub(super) fn check_adapter(&self, args: &TrainArgs) -> Result<(), Fault> {
        self.check_profile(args.profile)?;
        self.wants_adapter(
            args.retry_device > 0,
            "--retry-device",
            "goes on where an adapter is lost",
        )
    }

    /// Refuses `--profile` where there is nothing to time.
    pub(super) fn check_profile(&self, wanted: bool) -> Result<(), Fault> {
        self.wants_adapter(wanted, "--profile", "times what an adapter runs")
    }

    pub(super) fn wants_adapter(&self, wanted: bool, flag: &str, does: &str) -> Result<(), Fault> {
        if !wanted || self.device != "reference" {
            return Ok(());
        }
        let fault =
            Fault::new(Exit::Usage, format!("{flag} {does}, and the float64 reference is none"));
        Err(fault.hint(format!("leave {flag} out, or name an adapter (see tandem devices)")))
    }
}
