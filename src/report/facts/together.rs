//! How the labels of the training part go together, column by column.

use serde::{Deserialize, Serialize};

use crate::config::TaskKind;
use crate::data::{Dataset, Parts, UNLABELLED};
use crate::model::network::Network;
use crate::run::metrics::association::{correlation_ratio, cramers_v, pearson};

/// The largest number of label columns that are compared.
pub const MOST: usize = 16;

/// A comparison of label columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Together {
    /// Names of the columns that are compared: the first [`MOST`].
    pub columns: Vec<String>,
    /// Number of all label columns.
    pub of: usize,
    /// The pairs of columns, in the order (0, 1), (0, 2), …, (1, 2), …
    pub pairs: Vec<Pair>,
}

/// Two label columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// Their numbers.
    pub of: [usize; 2],
    /// Number of rows that are labelled in both.
    pub rows: usize,
    /// The measure: `r`, `V` or `η`.
    pub measure: String,
    /// Its value; `None` where it is not defined.
    pub value: Option<f64>,
}

/// A label column.
struct Column<'a> {
    name: String,
    labels: &'a [u32],
    is_number: bool,
}

impl Together {
    /// Compares the label columns of the training part.
    pub fn of(parts: &Parts, network: &Network) -> Together {
        let all = columns(&parts.train, network, parts);
        let shown = &all[..all.len().min(MOST)];
        let second = |i: usize| (i + 1..shown.len()).map(move |j| (i, j));
        let pairs = (0..shown.len()).flat_map(second);
        Together {
            columns: shown.iter().map(|column| column.name.clone()).collect(),
            of: all.len(),
            pairs: pairs.map(|(i, j)| pair([i, j], [&shown[i], &shown[j]])).collect(),
        }
    }

    /// The pair of two columns, in whichever order.
    pub fn pair(&self, a: usize, b: usize) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.of == [a.min(b), a.max(b)])
    }
}

/// The label columns of all tasks, with names that tell columns of one task apart.
fn columns<'a>(train: &'a Dataset, network: &Network, parts: &Parts) -> Vec<Column<'a>> {
    let mut found = Vec::new();
    for (head, target) in network.tasks.iter().zip(&parts.schema.targets) {
        let is_number = matches!(head.kind, TaskKind::Regression | TaskKind::Count);
        for column in &target.columns {
            let is_alone = target.columns.len() == 1;
            let name =
                if is_alone { head.name.clone() } else { format!("{}: {column}", head.name) };
            found.push((name, is_number));
        }
    }
    let labels = train.labels.iter();
    let column = |((name, is_number), labels): ((String, bool), &'a Vec<u32>)| Column {
        name,
        labels,
        is_number,
    };
    found.into_iter().zip(labels).map(column).collect()
}

fn pair(of: [usize; 2], [a, b]: [&Column; 2]) -> Pair {
    let both =
        a.labels.iter().zip(b.labels).filter(|(a, b)| **a != UNLABELLED && **b != UNLABELLED);
    let (x, y): (Vec<u32>, Vec<u32>) = both.unzip();
    let number = |labels: &[u32]| -> Vec<f64> {
        labels.iter().map(|label| f64::from(f32::from_bits(*label))).collect()
    };
    let (measure, value) = match (a.is_number, b.is_number) {
        (true, true) => ("r", pearson(&number(&x), &number(&y))),
        (false, false) => ("V", cramers_v(&x, &y)),
        (false, true) => ("η", correlation_ratio(&x, &number(&y))),
        (true, false) => ("η", correlation_ratio(&y, &number(&x))),
    };
    Pair { of, rows: x.len(), measure: measure.to_owned(), value }
}
