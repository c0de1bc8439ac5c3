//! Deals rows out to parts so that every class is spread evenly: rows with one class each, rows
//! with several marks each, and whole groups of rows.
//!
//! Everything here is a function of the classes and of a seed. The random draws of a row depend on
//! the number of the row, never on its place in memory.

use crate::rng::{Purpose, bits, uniform};

/// Stream of the order in which rows are dealt out; `split/shares.rs` uses other streams.
const DEALT: u64 = 4;
/// Stream of the draws between equally good parts.
const TIES: u64 = 5;

/// Properties of rows that are to be spread evenly over parts.
#[derive(Clone, Debug, PartialEq)]
pub enum Strata {
    /// `[rows]`, one class per row; rows without a label form a class of their own.
    Classes(Vec<u32>),
    /// Marks, of which a row may have several or none.
    Marks {
        /// Number of rows.
        rows: usize,
        /// The rows of each mark, ascending.
        of: Vec<Vec<u32>>,
    },
}

impl Strata {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Strata::Classes(classes) => classes.len(),
            Strata::Marks { rows, .. } => *rows,
        }
    }

    /// The rows of each class or mark, ascending.
    fn marks(&self) -> Vec<Vec<u32>> {
        match self {
            Strata::Marks { of, .. } => of.clone(),
            Strata::Classes(classes) => {
                let (ranks, count) = ranks(classes);
                let mut rows = vec![Vec::new(); count];
                ranks.iter().enumerate().for_each(|(row, &rank)| rows[rank].push(row as u32));
                rows
            }
        }
    }

    /// For each class or mark, the positions of its rows in a list of rows, ascending.
    pub fn among(&self, rows: &[u32]) -> Vec<Vec<u32>> {
        let place = |row: &u32| rows.binary_search(row).ok().map(|place| place as u32);
        self.marks().iter().map(|of| of.iter().filter_map(place).collect()).collect()
    }

    /// Deals all rows out to `folds` parts of equal size.
    pub fn dealt(&self, folds: usize, seed: u64) -> Vec<u32> {
        match self {
            Strata::Classes(classes) => dealt_by_class(classes, folds, seed),
            Strata::Marks { rows, of } => {
                let rows: Vec<u32> = (0..*rows as u32).collect();
                dealt_by_marks(of, &rows, &vec![1.0 / folds as f64; folds], seed)
            }
        }
    }
}

/// Numbers the classes in the order of their first rows. Returns the number of each row's class,
/// and the number of classes.
fn ranks(classes: &[u32]) -> (Vec<usize>, usize) {
    let mut known = std::collections::HashMap::new();
    let rank = |class: &u32| {
        let next = known.len();
        *known.entry(*class).or_insert(next)
    };
    let ranks = classes.iter().map(rank).collect();
    (ranks, known.len())
}

/// Deals rows out to `folds` parts in a random order. Sizes differ by at most one row. Returns
/// `[rows]`, the part of each row, from 0.
pub fn dealt(rows: usize, folds: usize, seed: u64) -> Vec<u32> {
    dealt_by_class(&vec![0; rows], folds, seed)
}

/// Deals rows out to `folds` parts, one class after the other, so that parts differ by at most one
/// row in each class too. The sizes are those of scikit-learn's `StratifiedKFold`. Returns
/// `[rows]`, the part of each row.
pub fn dealt_by_class(classes: &[u32], folds: usize, seed: u64) -> Vec<u32> {
    dealt_by_classes(&[classes], folds, seed)
}

/// Deals rows out to `folds` parts by the classes of several tasks. The classes of the first task
/// are spread evenly, and within each of them the classes of the next task are spread over the
/// parts. Returns `[rows]`, the part of each row.
pub fn dealt_by_classes(tasks: &[&[u32]], folds: usize, seed: u64) -> Vec<u32> {
    let rows = tasks.first().map_or(0, |classes| classes.len());
    let ranks: Vec<Vec<usize>> = tasks.iter().map(|classes| ranks(classes).0).collect();
    let draws: Vec<u64> =
        (0..rows).map(|row| bits(seed, Purpose::Split, DEALT, row as u64)).collect();
    let mut order: Vec<usize> = (0..rows).collect();
    order.sort_by(|&a, &b| {
        let by_class = ranks.iter().map(|ranks| ranks[a].cmp(&ranks[b])).find(|by| by.is_ne());
        by_class.unwrap_or(draws[a].cmp(&draws[b])).then(a.cmp(&b))
    });
    let mut parts = vec![0; rows];
    order.iter().enumerate().for_each(|(at, &row)| parts[row] = (at % folds.max(1)) as u32);
    parts
}

/// Deals rows with marks out to parts of these shares. The mark with the fewest rows left is taken
/// again and again; each of its rows goes to the part that lacks most rows of the mark, and of
/// several such to the one that lacks most rows (Sechidis, Tsoumakas and Vlahavas, "On the
/// stratification of multi-label data", 2011). A part takes no more rows than its share, so that
/// sizes differ by at most one row if the shares are equal. `rows` are the numbers of the rows,
/// which the random draws depend on; `marks` holds positions in `rows`. Returns the part of each
/// row.
pub fn dealt_by_marks(marks: &[Vec<u32>], rows: &[u32], shares: &[f64], seed: u64) -> Vec<u32> {
    let mut table = Deal::new(marks, rows, shares, seed);
    while let Some(mark) = table.rarest() {
        let mut left: Vec<u32> =
            marks[mark].iter().copied().filter(|&row| table.parts[row as usize] == FREE).collect();
        table.shuffle(&mut left);
        left.into_iter().for_each(|row| table.give(row, Some(mark)));
    }
    let mut left: Vec<u32> =
        (0..rows.len() as u32).filter(|&row| table.parts[row as usize] == FREE).collect();
    table.shuffle(&mut left);
    left.into_iter().for_each(|row| table.give(row, None));
    table.parts
}

/// The mark of a row that is in no part yet.
const FREE: u32 = u32::MAX;

/// Rows that are being dealt out by their marks.
struct Deal<'r> {
    rows: &'r [u32],
    seed: u64,
    /// The marks of each row.
    of_row: Vec<Vec<u32>>,
    /// Number of rows of each mark that are in no part yet.
    left: Vec<usize>,
    /// Number of rows that each part still lacks, as its share has it, and that it can take.
    wanted: Vec<f64>,
    room: Vec<usize>,
    /// Number of rows of each mark that each part still lacks: [marks, parts].
    wanted_of: Vec<Vec<f64>>,
    parts: Vec<u32>,
}

impl<'r> Deal<'r> {
    fn new(marks: &[Vec<u32>], rows: &'r [u32], shares: &[f64], seed: u64) -> Deal<'r> {
        let sum: f64 = shares.iter().sum();
        let of = |count: usize| {
            shares.iter().map(|share| share / sum * count as f64).collect::<Vec<f64>>()
        };
        let mut of_row = vec![Vec::new(); rows.len()];
        for (mark, places) in marks.iter().enumerate() {
            places.iter().for_each(|&row| of_row[row as usize].push(mark as u32));
        }
        let (wanted, left) = (of(rows.len()), marks.iter().map(Vec::len).collect());
        let wanted_of = marks.iter().map(|places| of(places.len())).collect();
        let (room, parts) = (whole(&wanted, rows.len()), vec![FREE; rows.len()]);
        Deal { rows, seed, of_row, left, wanted, room, wanted_of, parts }
    }

    /// The mark with the fewest free rows, of those with at least one.
    fn rarest(&self) -> Option<usize> {
        (0..self.left.len()).filter(|&mark| self.left[mark] > 0).min_by_key(|&mark| self.left[mark])
    }

    /// Orders positions by the random numbers of their rows.
    fn shuffle(&self, places: &mut [u32]) {
        let number = |place: &u32| {
            bits(self.seed, Purpose::Split, DEALT, u64::from(self.rows[*place as usize]))
        };
        places.sort_by_key(|place| (number(place), *place));
    }

    /// Gives a row to the part that lacks rows of `mark` most.
    fn give(&mut self, row: u32, mark: Option<usize>) {
        let draw = |part: usize| {
            let index = u64::from(self.rows[row as usize]) * self.wanted.len() as u64 + part as u64;
            uniform(self.seed, Purpose::Split, TIES, index)
        };
        let lack = |part: usize| mark.map_or(0.0, |mark| self.wanted_of[mark][part]);
        let better = |a: &usize, b: &usize| {
            let by_rows = self.wanted[*a].total_cmp(&self.wanted[*b]);
            lack(*a).total_cmp(&lack(*b)).then(by_rows).then(draw(*a).total_cmp(&draw(*b)))
        };
        let Some(part) = (0..self.room.len()).filter(|&part| self.room[part] > 0).max_by(better)
        else {
            return;
        };
        self.parts[row as usize] = part as u32;
        self.room[part] -= 1;
        self.wanted[part] -= 1.0;
        for mark in self.of_row[row as usize].iter().map(|&mark| mark as usize) {
            self.left[mark] -= 1;
            self.wanted_of[mark][part] -= 1.0;
        }
    }
}

/// Whole numbers near the numbers in `wanted`, with the sum `sum`: those with the largest
/// remainders are rounded up.
fn whole(wanted: &[f64], sum: usize) -> Vec<usize> {
    let mut whole: Vec<usize> = wanted.iter().map(|x| (x + 1e-9).floor() as usize).collect();
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    let rest = |i: &usize| wanted[*i] - whole[*i] as f64;
    order.sort_by(|a, b| rest(b).total_cmp(&rest(a)).then(a.cmp(b)));
    let missing = sum.saturating_sub(whole.iter().sum());
    order.into_iter().cycle().take(missing).for_each(|i| whole[i] += 1);
    whole
}

/// Deals whole groups out to `folds` parts, the largest group first, each to the part with the
/// fewest rows. `groups` has a code for each row, and `keys` a random number for each group.
pub fn dealt_groups(groups: &[u32], keys: &[u64], folds: usize) -> Vec<u32> {
    let mut sizes = vec![0usize; keys.len()];
    groups.iter().for_each(|&group| sizes[group as usize] += 1);
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by_key(|&group| (std::cmp::Reverse(sizes[group]), keys[group], group));
    let (mut rows, mut parts) = (vec![0usize; folds], vec![0u32; keys.len()]);
    for group in order {
        let part = (0..folds).min_by_key(|&part| rows[part]).unwrap_or(0);
        rows[part] += sizes[group];
        parts[group] = part as u32;
    }
    groups.iter().map(|&group| parts[group as usize]).collect()
}

/// Deals whole groups out to `folds` parts, with classes or marks spread as evenly as whole groups
/// allow. The groups with the most uneven classes come first. Each goes to the part where the
/// shares of the classes then differ least between the parts, as in scikit-learn's
/// `StratifiedGroupKFold`.
pub fn dealt_groups_by_class(
    groups: &[u32],
    keys: &[u64],
    strata: &Strata,
    folds: usize,
) -> Vec<u32> {
    let marks = strata.marks();
    let mut counts = vec![vec![0.0; marks.len()]; keys.len()];
    for (mark, rows) in marks.iter().enumerate() {
        rows.iter().for_each(|&row| counts[groups[row as usize] as usize][mark] += 1.0);
    }
    let mut order: Vec<usize> = (0..keys.len()).collect();
    let deviations: Vec<f64> = counts.iter().map(|counts| deviation(counts)).collect();
    order.sort_by(|&a, &b| {
        deviations[b].total_cmp(&deviations[a]).then(keys[a].cmp(&keys[b])).then(a.cmp(&b))
    });
    let totals: Vec<f64> = marks.iter().map(|rows| rows.len().max(1) as f64).collect();
    let (mut held, mut parts) = (vec![vec![0.0; marks.len()]; folds], vec![0u32; keys.len()]);
    for group in order {
        let part = best_part(&held, &counts[group], &totals);
        held[part].iter_mut().zip(&counts[group]).for_each(|(sum, count)| *sum += count);
        parts[group] = part as u32;
    }
    groups.iter().map(|&group| parts[group as usize]).collect()
}

/// The part that a group goes to, given how many rows of each class each part holds: the part where
/// the deviation of the shares between parts is least on average over the classes, and of several
/// such parts the one with the fewest rows. The sums are of whole numbers, so they are exact.
fn best_part(held: &[Vec<f64>], group: &[f64], totals: &[f64]) -> usize {
    let parts = held.len() as f64;
    let sums = |power: i32| {
        (0..totals.len())
            .map(|class| held.iter().map(|held| held[class].powi(power)).sum::<f64>())
            .collect::<Vec<f64>>()
    };
    let (sums, squares) = (sums(1), sums(2));
    let (mut best, mut least) = (0, (f64::INFINITY, f64::INFINITY));
    for (part, held) in held.iter().enumerate() {
        let of_class = |class: usize| {
            let added = group[class];
            let square = squares[class] + 2.0 * held[class] * added + added * added;
            let deviation =
                (parts * square - (sums[class] + added).powi(2)).max(0.0).sqrt() / parts;
            deviation / totals[class]
        };
        let mean = (0..totals.len()).map(of_class).sum::<f64>() / totals.len().max(1) as f64;
        let rows = held.iter().sum::<f64>();
        let is_equal = (mean - least.0).abs() <= 1e-8 + 1e-5 * least.0.abs();
        if (mean < least.0 && !is_equal) || (is_equal && rows < least.1) || least.0.is_infinite() {
            (best, least) = (part, (mean, rows));
        }
    }
    best
}

/// The standard deviation of a population.
fn deviation(values: &[f64]) -> f64 {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt()
}
