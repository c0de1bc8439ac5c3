//! A sentence about the conflict of the tasks at the end of a run: how much, between which tasks,
//! in which layer, and whether a method that balances them is likely to help.

use super::conflict::{Conflict, Mean, pairs};
use crate::config::Balancer;
use crate::measure::chart::rounded;

/// Fewer observed steps say nothing.
const LEAST_STEPS: u64 = 20;

/// A balancer is likely to help below this alignment. `docs/balancing.md` has the evidence.
const LIKELY: f64 = 0.8;

/// Likewise if the longest gradient is more than this times the shortest.
const DOMINATED: f64 = 10.0;

/// A balancer is unlikely to help above this alignment.
const UNLIKELY: f64 = 1.1;

/// Gradients are of unequal length if the longest is more than this times the shortest.
const UNEQUAL: f64 = 5.0;

/// The prospect that a balancer helps a run whose tasks have constant weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prospect {
    Likely,
    Open,
    Unlikely,
}

impl Prospect {
    fn of(alignment: f64, ratio: f64) -> Prospect {
        if alignment < LIKELY || ratio > DOMINATED {
            Prospect::Likely
        } else if alignment <= UNLIKELY {
            Prospect::Open
        } else {
            Prospect::Unlikely
        }
    }
}

/// The sentence; `names` are those of the objectives, `layers` those of the shared layers. `None`
/// if nothing was observed.
pub(super) fn verdict(
    conflict: &Conflict,
    names: &[&str],
    layers: &[String],
    balancer: Balancer,
) -> Option<String> {
    let steps = conflict.steps();
    if steps == 0 {
        return None;
    }
    let Some(alignment) = conflict.alignment() else {
        let none = "no two tasks had a gradient in the same observed step; larger batches may tell";
        return Some(format!("conflict: {none}"));
    };
    let mut parts = vec![format!(
        "alignment of the tasks' gradients {alignment:.2} in {steps} observed steps (1 = at right \
         angles and of one length)"
    )];
    if let Some((pair, cosine)) = least(&conflict.pairs) {
        let (a, b) = pairs(conflict.tasks).nth(pair)?;
        let mut part = format!("lowest cosine {cosine:.2}, of {} and {}", names[a], names[b]);
        let in_layers: Vec<Mean> = conflict.layers.iter().map(|of_pairs| of_pairs[pair]).collect();
        if let Some((layer, cosine)) = least(&in_layers).filter(|_| layers.len() > 1) {
            part += &format!(" ({cosine:.2} in {})", layers[layer]);
        }
        parts.push(part);
    }
    let lengths = (least(&conflict.norms), most(&conflict.norms));
    let ratio = match lengths {
        (Some((short, least)), Some((long, most))) if least > 0.0 => {
            let ratio = most / least;
            if ratio > UNEQUAL {
                parts.push(format!(
                    "the gradient of {} is {} times as long as that of {}",
                    names[long],
                    rounded(ratio, 2),
                    names[short]
                ));
            }
            ratio
        }
        _ => 1.0,
    };
    parts.push(match (steps < LEAST_STEPS, balancer) {
        (true, _) => format!("fewer than {LEAST_STEPS} steps say nothing about a balancer"),
        (_, Balancer::None) => advice(Prospect::of(alignment, ratio), ratio),
        (_, balancer) => applied(conflict, names, balancer),
    });
    Some(format!("conflict: {}", parts.join("; ")))
}

/// Advice for a run whose tasks have constant weights.
fn advice(prospect: Prospect, ratio: f64) -> String {
    let methods = match ratio > UNEQUAL {
        true => "balance.method = \"log\" or \"cagrad\", or other weights",
        false => "balance.method = \"uncertainty\"",
    };
    match prospect {
        Prospect::Likely => format!("a balancer is likely to help: try {methods}"),
        Prospect::Open => format!("whether a balancer helps is open: one could try {methods}"),
        Prospect::Unlikely => "a balancer is unlikely to help".to_owned(),
    }
}

/// A clause about the tasks for which the updates of a balanced run went uphill.
fn applied(conflict: &Conflict, names: &[&str], balancer: Balancer) -> String {
    let uphill =
        |task: &usize| conflict.to_update[*task].value().is_some_and(|cosine| cosine < 0.0);
    let uphill: Vec<&str> = (0..conflict.tasks).filter(uphill).map(|task| names[task]).collect();
    let method = balancer.name();
    match uphill.is_empty() {
        true => format!(
            "with {method} the updates went downhill in the mean for every task with a gradient"
        ),
        false => {
            format!("with {method} the updates went uphill in the mean for {}", uphill.join(", "))
        }
    }
}

/// The place of the least of these means that exist, and its value.
fn least(means: &[Mean]) -> Option<(usize, f64)> {
    let known = means.iter().enumerate().filter_map(|(i, mean)| Some((i, mean.value()?)));
    known.reduce(|a, b| if b.1 < a.1 { b } else { a })
}

/// The place of the largest of these means that exist, and its value.
fn most(means: &[Mean]) -> Option<(usize, f64)> {
    let known = means.iter().enumerate().filter_map(|(i, mean)| Some((i, mean.value()?)));
    known.reduce(|a, b| if b.1 > a.1 { b } else { a })
}
