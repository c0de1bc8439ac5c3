//! The index that pandas writes beside the rows: it numbers them and says nothing about a row.

use std::collections::HashSet;

use crate::data::table::view::View;

/// The name for a first column without one; pandas gives it this name on reading.
pub const UNNAMED: &str = "Unnamed: 0";

/// Why an index is no feature.
pub const WHY: &str =
    "numbers the rows, as pandas writes its index ([feature.NAME] with a type keeps it)";

/// Whether only an index has this name.
fn is_index_name(name: &str) -> bool {
    let rest = name.strip_prefix(UNNAMED);
    name == "__index_level_0__" || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether a column is an index: it has the name of one, and its whole numbers count the rows, once
/// or over and over from the first. If only an index has this name, the numbers may also come in
/// any order, provided that all differ. `numbers` are the numbers of the rows in their files.
pub fn is_index(view: &View, numbers: impl Iterator<Item = u32>) -> bool {
    if !(is_index_name(view.name) || ["index", "level_0"].contains(&view.name)) {
        return false;
    }
    let whole = |row: usize| {
        view.cell(row)
            .and_then(|cell| view.value(cell))
            .filter(|x| x.fract() == 0.0 && x.abs() < 1e15)
    };
    let read: Option<Vec<(f64, f64)>> =
        numbers.enumerate().map(|(row, number)| Some((f64::from(number), whole(row)?))).collect();
    let Some(read) = read else { return false };
    let Some(first) = read.first().map(|(number, x)| x - number) else { return false };
    let counts = read.windows(2).all(|pair| {
        let ((before, last), (number, x)) = (pair[0], pair[1]);
        let passed = number - before;
        x - last == passed || (first..first + passed).contains(&x)
    });
    let mut seen = HashSet::new();
    counts || (is_index_name(view.name) && read.iter().all(|(_, x)| seen.insert(*x as i64)))
}

/// A name for an index without one, as the first column; `names` are the names of the others.
pub fn unnamed(names: &[String]) -> String {
    let numbered = (1..).map(|number| format!("{UNNAMED}.{number}"));
    let mut all = std::iter::once(UNNAMED.to_owned()).chain(numbered);
    all.find(|name| !names.contains(name)).unwrap_or_default()
}
