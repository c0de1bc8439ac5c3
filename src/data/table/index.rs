//! The numbers of rows that pandas writes beside them: its index, which says nothing of a row.

use std::collections::HashSet;

use crate::data::table::view::View;

/// What a first column is called that has no name, as pandas calls it when it reads one.
pub const UNNAMED: &str = "Unnamed: 0";

/// Why such a column is no feature.
pub const WHY: &str =
    "numbers the rows, as pandas writes its index ([feature.NAME] with a type keeps it)";

/// Whether only an index has such a name.
fn is_its_own(name: &str) -> bool {
    let rest = name.strip_prefix(UNNAMED);
    name == "__index_level_0__" || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether a column is an index: by its name, and because its whole numbers count the rows, one by
/// one or over and over from the first. Under a name that only an index has they may come in any
/// order, if all differ. `numbers` are those of the rows in their files.
pub fn is_index(view: &View, numbers: impl Iterator<Item = u32>) -> bool {
    if !(is_its_own(view.name) || ["index", "level_0"].contains(&view.name)) {
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
    counts || (is_its_own(view.name) && read.iter().all(|(_, x)| seen.insert(*x as i64)))
}

/// A name for a first column without one that is an index; `names` are those of the others.
pub fn unnamed(names: &[String]) -> String {
    let numbered = (1..).map(|number| format!("{UNNAMED}.{number}"));
    let mut all = std::iter::once(UNNAMED.to_owned()).chain(numbered);
    all.find(|name| !names.contains(name)).unwrap_or_default()
}
