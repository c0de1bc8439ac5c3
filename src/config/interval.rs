//! How often something happens: a number of steps, of epochs or of minutes.

use std::fmt;

use super::keys::form::Form;
use super::keys::item::{Item, MOST, Result};
use super::keys::toml::quote;

/// A number of steps or of epochs: `"100s"`, `"1e"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// A number of steps.
    Steps(u64),
    /// A number of epochs.
    Epochs(u64),
}

impl Every {
    /// The number of steps, at least 1, given the steps of an epoch.
    pub fn steps(self, epoch: u64) -> u64 {
        match self {
            Every::Steps(n) => n.max(1),
            Every::Epochs(n) => n.saturating_mul(epoch).max(1),
        }
    }
}

/// How often a checkpoint is written: `"1e"`, `"500s"`, `"10m"`, `"2h"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Interval {
    /// A number of steps or of epochs.
    Every(Every),
    /// A number of minutes.
    Minutes(f64),
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Every::Steps(n) => write!(f, "{n}s"),
            Every::Epochs(n) => write!(f, "{n}e"),
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Interval::Every(every) => every.fmt(f),
            Interval::Minutes(minutes) => write!(f, "{minutes}m"),
        }
    }
}

/// A number of steps or of epochs.
pub(super) fn every() -> impl Form<Every> {
    (|item: Item| read_every(&item), |every: &Every| quote(every))
}

/// A number of epochs, steps, minutes or hours.
pub(super) fn interval() -> impl Form<Interval> {
    (|item: Item| read_interval(&item), |interval: &Interval| quote(interval))
}

fn read_every(item: &Item) -> Result<Every> {
    let wrong = || {
        item.wrong(format!("a text such as \"1e\" (epochs) or \"100s\" (steps), from 1 to {MOST}"))
    };
    let text = item.value.as_str().ok_or_else(wrong)?;
    let (unit, digits): (fn(u64) -> Every, _) =
        match (text.strip_suffix('s'), text.strip_suffix('e')) {
            (Some(digits), _) => (Every::Steps, digits),
            (_, Some(digits)) => (Every::Epochs, digits),
            _ => return Err(wrong()),
        };
    let n = digits
        .parse()
        .ok()
        .filter(|n| (1..=MOST).contains(n) && digits.bytes().all(|b| b.is_ascii_digit()));
    n.map(unit).ok_or_else(wrong)
}

fn read_interval(item: &Item) -> Result<Interval> {
    let wrong = || {
        item.wrong(
            "a text such as \"1e\" (epochs), \"500s\" (steps), \"10m\" (minutes) or \"2h\" (hours)",
        )
    };
    let text = item.value.as_str().ok_or_else(wrong)?;
    let minutes = match (text.strip_suffix('m'), text.strip_suffix('h')) {
        (Some(number), _) => number.parse::<f64>().ok(),
        (_, Some(number)) => number.parse::<f64>().ok().map(|hours| 60.0 * hours),
        _ => return read_every(item).map(Interval::Every).map_err(|_| wrong()),
    };
    minutes.filter(|m| *m > 0.0 && *m <= MOST as f64).map(Interval::Minutes).ok_or_else(wrong)
}
