//! Which rows of one file are trained on, validated on, tested on.

use super::Part;
use crate::fault::Fault;
use crate::rng::{Purpose, uniform};

/// Row numbers of each part, ascending: [train, valid, test]. A row's part depends on `seed` and its 0-based number alone.
/// `shares` need not sum to one.
///
/// # Errors
/// 78 if a part with a share gets no row, or the training part has no share.
pub fn split(rows: usize, shares: [f64; 3], seed: u64) -> anyhow::Result<[Vec<u32>; 3]> {
    let mut parts = [const { Vec::new() }; 3];
    for row in 0..rows {
        parts[part_of(shares, uniform(seed, Purpose::Split, 0, row as u64)) as usize].push(row as u32);
    }
    let empty = |part: &Part| parts[*part as usize].is_empty() && (shares[*part as usize] > 0.0 || *part == Part::Train);
    if let Some(part) = Part::ALL.into_iter().find(empty) {
        let found = format!("the {} part is empty: none of {rows} rows fell into its share of {}", part.name(), shares[part as usize]);
        return Err(Fault::config("data.split", found)
            .hint("give it a larger share, another data.split_seed, or a file of its own")
            .into());
    }
    Ok(parts)
}

/// The part whose stretch of the shares holds `u`, which is in [0, 1).
fn part_of(shares: [f64; 3], u: f64) -> Part {
    let mut left = u * shares.iter().sum::<f64>();
    for part in Part::ALL {
        left -= shares[part as usize];
        if left < 0.0 {
            return part;
        }
    }
    // Rounding alone leads here: the last part that has a share.
    Part::ALL.into_iter().rfind(|part| shares[*part as usize] > 0.0).unwrap_or(Part::Train)
}

/// The shares of the parts that have no file of their own.
pub fn shares_without(shares: [f64; 3], valid_given: bool, test_given: bool) -> [f64; 3] {
    let [train, valid, test] = shares;
    [train, if valid_given { 0.0 } else { valid }, if test_given { 0.0 } else { test }]
}
