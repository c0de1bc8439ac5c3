//! The command line: verbs, flags, streams, exit codes. stdout carries the result and nothing else;
//! progress, notices and errors go to stderr.

mod bench;
mod call;
mod compare;
mod console;
mod drafted;
mod export;
mod flags;
mod kfold;
mod look;
mod members;
mod model;
mod ranks;
mod reading;
mod repeats;
mod report;
mod result;
mod search;
mod sentences;
mod shell;
mod side_by_side;
mod signals;
mod step_args;
mod summary;
mod sweep;
mod table;
mod train;
mod weights;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand, ValueHint};

use crate::fault::{Exit, exit_of, hint_of};
use console::Console;
use flags::{Common, Format, TrainArgs, Weights};

/// Multi-task learning on any GPU: one shared trunk, several heads, a pairwise coupling.
#[derive(Parser)]
#[command(name = "tandem", version, long_version = shell::VERSION.as_str())]
#[command(about, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `train` that only a new run can have.
const ONLY_NEW_RUNS: [&str; 7] =
    ["config", "out", "init_from", "init_part", "allow_nonfinite", "k_fold", "repeats"];

#[derive(Subcommand)]
enum Verb {
    /// Train the built-in demonstration: two overlaid digits, tasks `left` and `right`
    Demo(TrainArgs),
    /// Train the network that a configuration describes, or go on with a run
    Train {
        /// The configuration, TOML
        #[arg(required_unless_present = "resume")]
        config: Option<PathBuf>,
        /// Go on with the run in this directory, from its newest checkpoint; other flags change its
        /// settings
        #[arg(long, value_name = "RUN", conflicts_with_all = ONLY_NEW_RUNS)]
        resume: Option<PathBuf>,
        #[command(flatten)]
        args: TrainArgs,
    },
    /// Does sharing help? A configuration beside separate networks and plain sharing, with
    /// intervals; or runs beside each other
    Compare(compare::CompareArgs),
    /// Find settings on validation data; the best ones are trained from several seeds beside the
    /// settings as they stand, and measured on the test part once
    Search(search::SearchArgs),
    /// Print the metrics of each task for a model on labelled data
    Evaluate {
        /// A run directory, a model directory, or a .safetensors file beside its config.json
        model: PathBuf,
        /// A file, IMAGES,LABELS (IDX), or a part of the built-in data: digits-overlay:test
        #[arg(long, value_hint = ValueHint::FilePath)]
        data: String,
        /// Accept columns in which the model knows none of the values
        #[arg(long)]
        allow_unknown: bool,
        #[command(flatten)]
        weights: Weights,
    },
    /// Write one row per input row: classes and probabilities, in columns named after the tasks
    Predict {
        /// A run directory, a model directory, or a .safetensors file beside its config.json
        model: PathBuf,
        /// A file, - (CSV on stdin), IMAGES (IDX), or a part of the built-in data:
        /// digits-overlay:test
        #[arg(long, value_hint = ValueHint::FilePath)]
        data: String,
        /// File for the rows: .csv, .tsv, .jsonl, .conll (each also with .gz) or .parquet [default:
        /// stdout]
        #[arg(long)]
        out: Option<PathBuf>,
        /// Format of the rows [default: by the ending of --out; csv on stdout]
        #[arg(long, value_name = "FORMAT")]
        format: Option<Format>,
        /// Add the logits: columns TASK:logit:CLASS
        #[arg(long)]
        logits: bool,
        /// Accept columns in which the model knows none of the values
        #[arg(long)]
        allow_unknown: bool,
        /// Predict each task with the model of the run that is best for it (train.keep_best =
        /// "per_task")
        #[arg(long)]
        best_per_task: bool,
        #[command(flatten)]
        weights: Weights,
    },
    /// Write a configuration with comments for learning some columns of a table from the others
    Init {
        /// A table: .csv, .tsv, .parquet, …, or a pattern of several; a folder with a subfolder of
        /// images per class; FOLDER,TABLE: images, and a table of their paths and labels
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        data: String,
        #[command(flatten)]
        table: table::TableArgs,
        /// File for the configuration, which must not exist yet [default: stdout]
        #[arg(long, value_name = "CONFIG.toml")]
        out: Option<PathBuf>,
    },
    /// Show what a table holds, or what a model is made of
    Inspect {
        /// A table, images as for init, a run directory, a model directory, or a .safetensors file
        /// beside its config.json
        #[arg(value_hint = ValueHint::AnyPath)]
        what: String,
        #[command(flatten)]
        table: table::TableArgs,
        #[command(flatten)]
        weights: Weights,
        /// Print only the graph of a model, in the language of Graphviz
        #[arg(long)]
        dot: bool,
    },
    /// Write the page of a run anew, or one page of several runs side by side
    Report {
        /// Run directories
        #[arg(required = true, value_name = "RUN")]
        runs: Vec<PathBuf>,
        /// Directory for report.html and plots/ [default: that of the run; of several runs
        /// runs/report-N, counting up]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Measure which columns matter for which task, from the data that the runs name
        #[arg(long)]
        importance: bool,
    },
    /// Print the network, its parameters and the dispatches of one step
    Explain {
        /// The configuration, TOML, or a run directory
        config: PathBuf,
        /// Override a key: section.key=value (repeatable)
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<String>,
        /// Print only the graph of the network, in the language of Graphviz
        #[arg(long)]
        dot: bool,
    },
    /// Write a model as a file for other tools
    Export(export::ExportArgs),
    /// List the adapters, what each offers, and which one a run would take
    Devices,
    /// Check every kernel that a run may take against the float64 reference
    Doctor {
        /// Also check the kernels that this class of adapter can run and never takes
        #[arg(long)]
        all: bool,
    },
    /// Measure a training step or the matrix products on synthetic data
    Bench {
        #[command(subcommand)]
        what: bench::What,
    },
    /// Print completions of the command line for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print a page of the manual, in the language of man
    Man(shell::Page),
}

/// A verb, done with the arguments of a process.
type Run = fn(Cli, &Console) -> Result<Option<Exit>>;

/// Runs the program with the arguments of this process and returns its exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap chooses the stream for help, version and usage errors, and their codes 0 and 2.
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    let console = Console::new(&cli.common);
    match ranks::run_on_ranks(cli, &console, run) {
        Ok(exit) => exit.map_or(ExitCode::SUCCESS, code),
        Err(error) => {
            let exit = exit_of(&error);
            console.error(&one_line(&error), hint_of(&error), exit == Exit::Internal);
            code(exit)
        }
    }
}

/// The exit code of what came of a verb.
#[cfg(feature = "mpi")]
fn code_of(ended: &Result<Option<Exit>>) -> u8 {
    match ended {
        Ok(exit) => exit.map_or(0, |exit| exit as u8),
        Err(error) => exit_of(error) as u8,
    }
}

fn code(exit: Exit) -> ExitCode {
    ExitCode::from(exit as u8)
}

/// An error and its causes on one line.
fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}")
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs a verb; `Some` is an exit code without an error message, such as a signal's.
fn run(cli: Cli, console: &Console) -> Result<Option<Exit>> {
    let common = &cli.common;
    common.check_notices()?;
    common.check_choice()?;
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
        Verb::Compare(args) => compare::compare(&args, common, console),
        Verb::Search(args) => search::search(&args, common, console),
        Verb::Predict {
            model,
            data,
            out,
            format,
            logits,
            allow_unknown,
            best_per_task,
            weights,
        } => {
            let wanted = model::Wanted {
                out,
                format: format.map(Into::into),
                logits,
                weights,
                allow_unknown,
                best_per_task,
            };
            model::predict(&model, &data, &wanted, common, console).map(|()| None)
        }
        Verb::Init { data, table, out } => {
            table::init(&data, &table, out.as_deref(), console).map(|()| None)
        }
        Verb::Inspect { what, table, weights, dot } => {
            table::inspect(&what, &table, weights, dot, console).map(|()| None)
        }
        Verb::Report { runs, out, importance } => {
            let wanted = report::Wanted { runs, out, importance };
            report::report(&wanted, common, console).map(|()| None)
        }
        Verb::Explain { config, set, dot } => {
            look::explain(&config, &set, dot, common, console).map(|()| None)
        }
        Verb::Export(args) => export::export(&args, console).map(|()| None),
        Verb::Devices => look::devices(common, console).map(|()| None),
        Verb::Doctor { all } => look::doctor(all, common, console),
        Verb::Bench { what } => bench::run(&what, common, console).map(|()| None),
        Verb::Completions { shell } => {
            shell::completions(shell, Cli::command(), console).map(|()| None)
        }
        Verb::Man(page) => shell::man(&page, Cli::command(), console).map(|()| None),
    }
}
