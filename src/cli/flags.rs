//! The flags that several verbs share.

use std::ffi::OsStr;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};

use crate::device::adapter::Wish;
use crate::fault::{Exit, Fault};
use crate::measure::tune::Mode;
use crate::ranks::{Net, Pace};

/// Flags of `train` and `demo`.
#[derive(Args, Clone)]
pub(super) struct TrainArgs {
    /// Override a key: section.key=value (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// Run directory [default: runs/NAME-N, counting up]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Seed of the row order, the initial weights and dropout [default: train.seed]
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Start from the weights of a model
    #[arg(long, value_name = "MODEL")]
    pub(super) init_from: Option<PathBuf>,
    /// Accept that model even if some of its weights are not finite, and say how many
    #[arg(long, requires = "init_from")]
    pub(super) allow_nonfinite: bool,
    /// How much of that model to take: all of it, or only its trunk, with new heads
    #[arg(long, value_name = "PART", requires = "init_from", default_value = "all")]
    pub(super) init_part: InitPart,
    /// Do not train this part: its weights stay as they are at the start
    #[arg(long, value_name = "PART")]
    pub(super) freeze: Option<Frozen>,
    /// Passes over the training data
    #[arg(long, value_name = "N")]
    pub(super) epochs: Option<u64>,
    /// Stop after N steps
    #[arg(long, value_name = "N")]
    pub(super) max_steps: Option<u64>,
    /// Stop after this time: 90s, 10m, 2h
    #[arg(long, value_name = "TIME")]
    pub(super) max_time: Option<String>,
    /// How often to write a checkpoint: 1e (every epoch), 500s (every 500 steps), 10m, 2h [default:
    /// 10m]; one is always written at the end
    #[arg(long, value_name = "INTERVAL")]
    pub(super) checkpoint_every: Option<String>,
    /// How many checkpoints to keep: the N newest ones [default: 2]
    #[arg(long, value_name = "N")]
    pub(super) keep: Option<u64>,
    /// What to do when a value is not finite: stop, skip (the step), or rollback (to the last
    /// checkpoint, with half the learning rate) [default: stop]
    #[arg(long, value_name = "WHAT")]
    pub(super) on_nan: Option<String>,
    /// Process each batch in N parts, which takes less memory; the result is the same up to
    /// rounding
    #[arg(long, value_name = "N")]
    pub(super) accumulate: Option<u64>,
    /// If the device is lost or hangs, open it anew and go on from the last checkpoint, up to N
    /// times
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) retry_device: u64,
    /// When to choose the tile sizes of the products by measurement; changes no result
    #[arg(long, default_value = "cached", value_name = "WHEN")]
    pub(super) tune: Tune,
    /// Steps per submission to the device [default: chosen by time]; changes no result
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=64))]
    pub(super) steps_per_submission: Option<u64>,
    /// Time each dispatch of the training step and print a table; steps take longer, results stay
    /// the same
    #[arg(long)]
    pub(super) profile: bool,
    /// Divide the table into N folds, train N times, each time testing on another fold, and show
    /// the mean and the spread
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=1000))]
    pub(super) k_fold: Option<u64>,
    /// Train N times, each time from another seed, and show the mean and the spread; predict
    /// averages the models
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=1000))]
    #[arg(conflicts_with = "k_fold")]
    pub(super) repeats: Option<u64>,
    /// Also write the figures of metrics.csv for TensorBoard, in tb/ of the run directory
    #[arg(long)]
    pub(super) tensorboard: bool,
    /// Whether all data stays on the device; off copies it there batch by batch; changes no result
    #[arg(long, default_value = "auto", value_name = "WHEN")]
    pub(super) resident: Resident,
    /// Do not write report.html, report.json and plots/ at the end
    #[arg(long, conflicts_with = "importance")]
    pub(super) no_report: bool,
    /// Measure for the page which columns matter for which task; takes the time of several
    /// evaluations per column
    #[arg(long)]
    pub(super) importance: bool,
    /// Whether an encoded table of 8 MB or more is kept in the cache directory and read from there
    /// the next time; changes no result
    #[arg(long, default_value = "on", value_name = "WHEN")]
    pub(super) data_cache: DataCache,
}

impl TrainArgs {
    /// Which weights the model to start from may have.
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

/// Which weights a model may have.
#[derive(Args, Clone, Copy)]
pub(super) struct Weights {
    /// Accept a model even if some of its weights are not finite, and say how many
    #[arg(long)]
    pub(super) allow_nonfinite: bool,
}

/// The part of a model that a run begins with.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
pub(super) enum InitPart {
    All,
    Trunk,
}

/// The part of the network that is not trained.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
pub(super) enum Frozen {
    Trunk,
}

/// Whether the data stays on the device.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
pub(super) enum Resident {
    /// On, unless the data needs more than two buffers of the largest size that the adapter has
    Auto,
    /// Always
    On,
    /// Never
    Off,
}

/// How predictions are written.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Format {
    /// A line of column names, then one line per row
    Csv,
    /// Like csv, with tabs instead of commas
    Tsv,
    /// One JSON object per row, each on a line
    Jsonl,
    /// The file of sentences that was read, with the predictions as further columns
    Conll,
    /// Parquet, only with --out
    Parquet,
}

impl From<Format> for crate::run::apply::predict::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv,
            Format::Tsv => Self::Tsv,
            Format::Jsonl => Self::Jsonl,
            Format::Conll => Self::Conll,
            Format::Parquet => Self::Parquet,
        }
    }
}

/// When the tiles of the products are chosen by measurement.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Tune {
    /// Never
    Off,
    /// Once per adapter, driver and version, if the run is long enough to gain from it; later runs
    /// read the choice from the cache directory
    Cached,
    /// Now, whatever was measured before
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
    /// auto, an index that `tandem devices` prints, part of a name, cpu (the processor, without a
    /// driver), or reference (the processor, in float64) [default: $TANDEM_DEVICE, else auto]
    #[arg(long, global = true, value_name = "DEVICE")]
    #[arg(value_parser = Device, hide_possible_values = true)]
    pub(super) device: Option<String>,
    /// Threads of --device cpu; changes no result [default: all]
    #[arg(long, global = true, value_name = "N")]
    pub(super) threads: Option<NonZero<usize>>,
    /// Use only adapters of one backend: vulkan, metal, dx12, gl
    #[arg(long, global = true, value_name = "BACKEND")]
    pub(super) backend: Option<Backend>,
    /// Use only WebGPU's default limits, and no optional features
    #[arg(long, global = true)]
    pub(super) default_limits: bool,
    /// Print the result as one JSON document on stdout
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Progress on stderr; auto: a bar on a terminal, else one line per epoch
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    pub(super) progress: Progress,
    /// Colours on stderr
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    pub(super) color: Color,
    /// Print no progress and no notices
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Print more notices
    #[arg(short, long, global = true)]
    pub(super) verbose: bool,
    /// The ranks that train together, where an MPI launcher has started several.
    #[arg(skip)]
    pub(super) ranks: Option<Arc<dyn Net>>,
    /// The pace of their messages, where there are several.
    #[arg(skip)]
    pub(super) pace: Option<Pace>,
}

/// Any text; the words that are no adapter's are there for completions.
#[derive(Clone)]
struct Device;

impl TypedValueParser for Device {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(["auto", "cpu", "reference"].into_iter().map(PossibleValue::new)))
    }
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
            device: self.device.clone(),
            backend,
            default_limits: self.default_limits,
            units: false,
            threads: self.threads.or_else(|| self.own_threads()),
            turn: self.ranks.as_ref().map_or(0, |net| net.local().0),
        }
    }

    /// The threads of one of several ranks on a machine, where the processor is asked for.
    fn own_threads(&self) -> Option<NonZero<usize>> {
        let (_, local) = self.ranks.as_ref()?.local();
        let plain = Wish { device: self.device.clone(), ..Wish::default() };
        let is_cpu = plain.asked().is_some_and(|(name, _)| name == "cpu");
        let all = std::thread::available_parallelism().ok().filter(|_| is_cpu && local > 1)?;
        NonZero::new((all.get() / local).max(1))
    }

    /// Refuses `--quiet` with `--verbose`.
    pub(super) fn check_notices(&self) -> Result<(), Fault> {
        if !(self.quiet && self.verbose) {
            return Ok(());
        }
        let fault = Fault::new(
            Exit::Usage,
            "-q (--quiet) and -v (--verbose) are both given: one asks for no notices, the other \
             for more",
        );
        Err(fault.hint("leave one of the two out"))
    }

    /// Refuses flags that say which adapter, where none is asked for.
    pub(super) fn check_choice(&self) -> Result<(), Fault> {
        let engines = ["cpu", "reference"];
        let which = "says which adapters are looked at";
        self.refuse(self.backend.is_some(), "--backend", which, &engines)?;
        let limits = "says what an adapter may grant";
        self.refuse(self.default_limits, "--default-limits", limits, &engines)
    }

    /// Refuses flags of `train` that need an adapter where there is none.
    pub(super) fn check_adapter(&self, args: &TrainArgs) -> Result<(), Fault> {
        self.check_profile(args.profile)?;
        let (wanted, does) = (args.retry_device > 0, "goes on where an adapter is lost");
        self.refuse(wanted, "--retry-device", does, &["cpu", "reference"])
    }

    /// Refuses `--profile` where there is nothing to compare times with.
    pub(super) fn check_profile(&self, wanted: bool) -> Result<(), Fault> {
        self.refuse(wanted, "--profile", "times what an adapter runs, or cpu", &["reference"])
    }

    /// Refuses a flag on engines that cannot do it. `does`: what the flag does.
    fn refuse(&self, wanted: bool, flag: &str, does: &str, on: &[&str]) -> Result<(), Fault> {
        let asked = self.wish().asked().filter(|(name, _)| on.contains(&name.as_str()));
        let (true, Some((name, by))) = (wanted, asked) else { return Ok(()) };
        let fault =
            Fault::new(Exit::Usage, format!("{flag} {does}; {by} {name} is not an adapter"));
        Err(fault.hint(format!("leave {flag} out, or name an adapter (see tandem devices)")))
    }
}
