//! How strongly two columns of labels go together, on the rows that have both. Every row weighs 1.

use super::finite;

/// Pearson's correlation of two columns of numbers, −1 to 1. `None` where a column is constant.
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    let n = x.len() as f64;
    let (mean_x, mean_y) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (dx, dy) = (x - mean_x, y - mean_y);
        (xx, yy, xy) = (xx + dx * dx, yy + dy * dy, xy + dx * dy);
    }
    finite(xy / (xx * yy).sqrt()).map(|r| r.clamp(-1.0, 1.0))
}

/// Cramér's V of two columns of classes (Cramér, 1946): 0 where neither says anything of the other,
/// 1 where one says all. Nothing is corrected for bias. `None` where a column has one class.
pub fn cramers_v(x: &[u32], y: &[u32]) -> Option<f64> {
    let classes = |of: &[u32]| of.iter().max().map_or(0, |most| *most as usize + 1);
    let (rows, columns, n) = (classes(x), classes(y), x.len() as f64);
    let mut table = vec![0.0; rows * columns];
    x.iter().zip(y).for_each(|(x, y)| table[*x as usize * columns + *y as usize] += 1.0);
    let of_row = |row: usize| table[row * columns..][..columns].iter().sum::<f64>();
    let of_column = |column: usize| table.iter().skip(column).step_by(columns).sum::<f64>();
    let by_row: Vec<f64> = (0..rows).map(of_row).collect();
    let by_column: Vec<f64> = (0..columns).map(of_column).collect();
    let mut chi = 0.0;
    for (row, a) in by_row.iter().enumerate().filter(|(_, a)| **a > 0.0) {
        for (column, b) in by_column.iter().enumerate().filter(|(_, b)| **b > 0.0) {
            let expected = a * b / n;
            chi += (table[row * columns + column] - expected).powi(2) / expected;
        }
    }
    let there = |sums: &[f64]| sums.iter().filter(|sum| **sum > 0.0).count();
    let least = there(&by_row).min(there(&by_column)).saturating_sub(1);
    finite((chi / n / least as f64).sqrt()).map(|v| v.min(1.0))
}

/// The correlation ratio η of numbers by classes: the root of the share of the variance of the
/// numbers that lies between the means of the classes (Pearson, 1905). `None` where the numbers
/// are constant.
pub fn correlation_ratio(classes: &[u32], numbers: &[f64]) -> Option<f64> {
    let count = classes.iter().max().map_or(0, |most| *most as usize + 1);
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let mut sums = vec![(0.0, 0.0); count];
    for (class, y) in classes.iter().zip(numbers) {
        let (sum, rows) = &mut sums[*class as usize];
        (*sum, *rows) = (*sum + (y - mean), *rows + 1.0);
    }
    let between: f64 =
        sums.iter().filter(|(_, rows)| *rows > 0.0).map(|(sum, rows)| sum * sum / rows).sum();
    let all: f64 = numbers.iter().map(|y| (y - mean).powi(2)).sum();
    finite((between / all).sqrt()).map(|eta| eta.min(1.0))
}
