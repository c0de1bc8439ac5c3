//! The flags of `bench step`.

use std::path::PathBuf;

use clap::Args;

use super::flags::Tune;
use crate::config::{Precision, Word};

/// Flags of `bench step`.
#[derive(Args)]
pub(super) struct StepArgs {
    /// Features of a row
    #[arg(long, default_value_t = 784, value_parser = size)]
    pub(super) inputs: usize,
    /// Widths of the trunk's layers, comma-separated; none = no trunk
    #[arg(long, default_value = "128,128")]
    pub(super) trunk: String,
    /// Classes of each head, comma-separated
    #[arg(long, default_value = "10,10")]
    pub(super) classes: String,
    /// Kind of the network with its keys, as in `[architecture]`: mmoe, or mmoe,experts=8
    #[arg(long, default_value = "shared", value_name = "KIND[,KEY=VALUE]…")]
    pub(super) architecture: String,
    /// Method that balances the tasks with its keys, as in `[balance]`: upgrad, or cagrad,c=0.2
    #[arg(long, default_value = "none", value_name = "METHOD[,KEY=VALUE]…")]
    pub(super) balance: String,
    /// Where the gradients of tasks are compared: representation, or parameters
    #[arg(long, value_name = "SPACE")]
    pub(super) space: Option<String>,
    /// Rows of a step [default: 128]
    #[arg(long, value_parser = size)]
    pub(super) batch: Option<usize>,
    /// Rows of the data set on the device
    #[arg(long, default_value_t = 10_000, value_parser = size)]
    pub(super) rows: usize,
    /// Kind of the coupling between all pairs of heads; none = no coupling
    #[arg(long, default_value = "none")]
    pub(super) coupling: String,
    /// Steps to measure
    #[arg(long, default_value_t = 200, value_parser = size)]
    pub(super) steps: usize,
    /// Measure a step for several values of batch, trunk (the width of all its layers) or heads:
    /// batch=32,64,96, or batch=32..4096 (doubling)
    #[arg(long, value_name = "AXIS=VALUES")]
    pub(super) sweep: Option<String>,
    /// Time each dispatch of the step and print a table
    #[arg(long, conflicts_with = "sweep")]
    pub(super) profile: bool,
    /// When to choose the tile sizes of the products by measurement
    #[arg(long, default_value = "cached", value_name = "WHEN")]
    pub(super) tune: Tune,
    /// Precision of the products, as in `train.precision`
    #[arg(long, default_value = "f32", value_name = "WHAT", value_parser = precision)]
    pub(super) precision: Precision,
    /// Draw the sweep as a picture into this SVG file
    #[arg(long, value_name = "FILE")]
    pub(super) svg: Option<PathBuf>,
}

/// Reads a size of the command line.
pub(super) fn size(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(n) if (1..=1_000_000).contains(&n) => Ok(n),
        _ => Err("expected a whole number from 1 to 1000000".into()),
    }
}

/// Reads a precision of the command line.
pub(super) fn precision(text: &str) -> Result<Precision, String> {
    let known = || Precision::ALL.iter().map(|p| p.word()).collect::<Vec<_>>().join(", ");
    Precision::ALL
        .iter()
        .copied()
        .find(|p| p.word() == text)
        .ok_or_else(|| format!("expected one of {}", known()))
}
