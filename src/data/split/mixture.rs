//! Rows that are drawn from several sources by given shares.
//!
//! An epoch has as many rows as the sources have together, and a fixed number of them, its quota,
//! comes from each source. A source is walked through in its own shuffled order, and again in
//! another one when that ends, over the borders of epochs. The rows of a quota are spread evenly
//! over the epoch: the j-th of m rows has its place, by chance, between the shares j/m and (j+1)/m
//! of the epoch. So every stretch of an epoch has the shares that were asked for, up to a few rows.
//! All of it is a function of seed and epoch.

use crate::config::{self, Sampling};
use crate::data::parts::SourceRows;
use crate::data::split::order::windowed_order;
use crate::fault::{Fault, quoted};
use crate::rng::{Purpose, bits, uniform};

/// How rows are drawn from several sources, whose rows follow each other in the training part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mixture {
    /// Number of rows of each source, 1 or more.
    rows: Vec<usize>,
    /// Number of rows that an epoch takes from each source, 1 or more.
    quotas: Vec<usize>,
}

impl Mixture {
    /// The mixture that the settings ask for; `None` if each row comes once an epoch.
    ///
    /// # Errors
    /// 78 if a share is so small that an epoch has no row of a source.
    pub fn of(data: &config::Data, sources: &[SourceRows]) -> anyhow::Result<Option<Mixture>> {
        let given = data.train.several();
        let is_weighted = given.iter().any(|source| source.weight.is_some());
        if sources.len() < 2 || (!is_weighted && data.sampling == Sampling::Proportional) {
            return Ok(None);
        }
        let rows: Vec<usize> = sources.iter().map(|source| source.rows).collect();
        let most = rows.iter().copied().max().unwrap_or(1) as f64;
        let weight = |(number, rows): (usize, &usize)| match data.sampling {
            _ if is_weighted => given.get(number).and_then(|source| source.weight).unwrap_or(1.0),
            Sampling::Proportional => *rows as f64,
            Sampling::Equal => 1.0,
            // Divided by the largest, so that no power is infinite.
            Sampling::Temperature(t) => (*rows as f64 / most).powf(1.0 / t),
        };
        let weights: Vec<f64> = rows.iter().enumerate().map(weight).collect();
        let mixture = Mixture::new(rows, &weights);
        let Some(none) = mixture.quotas.iter().position(|quota| *quota == 0) else {
            return Ok(Some(mixture));
        };
        let total: usize = mixture.rows.iter().sum();
        let found = format!(
            "an epoch of {total} rows would have none of source {}",
            quoted(&sources[none].name)
        );
        let key =
            if is_weighted { format!("source.{none}.weight") } else { "data.sampling".into() };
        Err(Fault::config(&key, found).hint("give the source a larger share").into())
    }

    /// Sources of so many rows, drawn from in the ratio of `weights`.
    pub fn new(rows: Vec<usize>, weights: &[f64]) -> Mixture {
        let quotas = quotas(rows.iter().sum(), weights);
        Mixture { rows, quotas }
    }

    /// The rows of an epoch in their order, as numbers of rows of the training part. Rows of a
    /// source are shuffled within `window` rows of it.
    pub fn order(&self, seed: u64, epoch: u64, window: Option<usize>) -> Vec<u32> {
        let mut drawn: Vec<Drawn> = Vec::with_capacity(self.rows.len());
        let mut first = 0;
        for (number, (&rows, &quota)) in self.rows.iter().zip(&self.quotas).enumerate() {
            let walk = walk(rows, quota, (seed, number as u64, epoch), window);
            let rows_of_part = walk.into_iter().map(|row| first + row).collect();
            let stream = epoch * self.rows.len() as u64 + number as u64;
            drawn.push(Drawn::new(rows_of_part, seed, stream));
            first += rows as u32;
        }
        let mut order = Vec::with_capacity(self.quotas.iter().sum());
        while let Some(next) = next_of(&drawn) {
            order.push(drawn[next].take());
        }
        order
    }

    /// A sentence about an epoch.
    pub fn notice(&self, sources: &[SourceRows]) -> String {
        let total: usize = self.quotas.iter().sum();
        let of = |((source, rows), quota): ((&SourceRows, &usize), &usize)| {
            let (share, times) =
                (100.0 * *quota as f64 / total as f64, *quota as f64 / *rows as f64);
            format!("{} {share:.1} % ({rows} rows, {times:.2} times over)", quoted(&source.name))
        };
        let all: Vec<String> = sources.iter().zip(&self.rows).zip(&self.quotas).map(of).collect();
        format!("one epoch is {total} rows: {}", all.join(", "))
    }
}

/// The rows of an epoch that come from one source.
struct Drawn {
    rows: Vec<u32>,
    taken: usize,
    /// Share of the epoch at which the next row has its place; infinite at the end.
    place: f64,
    key: (u64, u64),
}

impl Drawn {
    fn new(rows: Vec<u32>, seed: u64, stream: u64) -> Drawn {
        let mut drawn = Drawn { rows, taken: 0, place: 0.0, key: (seed, stream) };
        drawn.find();
        drawn
    }

    /// Finds the place of the next row.
    fn find(&mut self) {
        let (seed, stream) = self.key;
        let jitter = uniform(seed, Purpose::Source, stream, self.taken as u64);
        let is_over = self.taken == self.rows.len();
        let place = (self.taken as f64 + jitter) / self.rows.len() as f64;
        self.place = if is_over { f64::INFINITY } else { place };
    }

    fn take(&mut self) -> u32 {
        let row = self.rows[self.taken];
        self.taken += 1;
        self.find();
        row
    }
}

/// The source whose next row has the lowest place; `None` if no row is left.
fn next_of(drawn: &[Drawn]) -> Option<usize> {
    let lowest = (0..drawn.len()).min_by(|&a, &b| drawn[a].place.total_cmp(&drawn[b].place))?;
    drawn[lowest].place.is_finite().then_some(lowest)
}

/// The numbers of the rows that a source of `rows` rows gives to an epoch, in their order.
fn walk(
    rows: usize,
    quota: usize,
    (seed, source, epoch): (u64, u64, u64),
    window: Option<usize>,
) -> Vec<u32> {
    // A seed of its own, so that sources of one length have different orders.
    let seed = bits(seed, Purpose::Source, u64::MAX, source);
    let (mut at, end) = (epoch * quota as u64, (epoch + 1) * quota as u64);
    let mut walk = Vec::with_capacity(quota);
    while at < end {
        let (pass, first) = (at / rows as u64, (at % rows as u64) as usize);
        let order = windowed_order(rows, seed, pass, window.unwrap_or(rows));
        let count = (rows - first).min((end - at) as usize);
        walk.extend_from_slice(&order[first..first + count]);
        at += count as u64;
    }
    walk
}

/// Whole numbers with the sum `total` in the ratio of `weights`, by the largest remainders.
fn quotas(total: usize, weights: &[f64]) -> Vec<usize> {
    let sum: f64 = weights.iter().sum();
    let exact: Vec<f64> = weights.iter().map(|weight| total as f64 * (weight / sum)).collect();
    let mut quotas: Vec<usize> = exact.iter().map(|x| x.floor() as usize).collect();
    let mut by_remainder: Vec<usize> = (0..exact.len()).collect();
    by_remainder.sort_by(|&a, &b| exact[b].fract().total_cmp(&exact[a].fract()).then(a.cmp(&b)));
    let left = total.saturating_sub(quotas.iter().sum());
    by_remainder.into_iter().take(left).for_each(|at| quotas[at] += 1);
    quotas
}
