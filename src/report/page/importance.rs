//! Which columns matter for which task.

use super::html::{Table, number};
use super::tasks::UNDEFINED;
use super::{Draft, Words};
use crate::report::draw::bars::{Bar, horizontal};
use crate::report::draw::matrix::Matrix;
use crate::report::facts::importance::{Change, Importance, TaskImportance};
use crate::text::short;

/// The largest number of columns in a picture and in a table.
const MOST: usize = 25;

/// The section.
pub(super) fn section(draft: &mut Draft, importance: Option<&Importance>) {
    draft.section("Which columns matter");
    let Some(found) = importance else {
        draft.say("That was not measured; --importance of train and report does.");
        return;
    };
    draft.say(&format!(
        "Permutation importance on {} of the {} rows of the {} part: each column is permuted among \
         these rows {} times, and all parts of a column move together. Shown is by how much that \
         makes the loss and the primary metric worse, as the mean over the repeats with their \
         standard deviation; both are over the rows with a label. Columns that say the same stand \
         in for each other, and then neither seems to matter.",
        found.rows, found.of, found.part, found.repeats
    ));
    for task in &found.tasks {
        draft.part(&task.task);
        match found.blocks {
            Some(blocks) => draft.plots(|draft| image(draft, task, blocks)),
            None => table(draft, task, &found.columns),
        }
    }
}

/// The order of the columns: those that change the loss most come first.
fn order(task: &TaskImportance) -> Vec<usize> {
    let of = |column: &usize| task.columns[*column][0].map_or(f64::NEG_INFINITY, |c| c.mean);
    let mut order: Vec<usize> = (0..task.columns.len()).collect();
    order.sort_by(|a, b| of(b).total_cmp(&of(a)).then(a.cmp(b)));
    order
}

fn table(draft: &mut Draft, task: &TaskImportance, names: &[String]) {
    let order = order(task);
    let shown = &order[..order.len().min(MOST)];
    let rest = match order.len() - shown.len() {
        0 => String::new(),
        more => format!("The first {MOST} columns; {more} more are in report.json."),
    };
    draft.plots(|draft| {
        for (which, what) in [(0, "loss"), (1, task.metric.as_str())] {
            let bar = |column: &usize| {
                let Change { mean, sd } = task.columns[*column][which]?;
                Some(Bar { name: names[*column].clone(), value: mean, spread: sd })
            };
            let bars: Vec<Bar> = shown.iter().filter_map(bar).collect();
            let Some(first) = bars.first() else { continue };
            let about = format!("{} columns; {}: {}.", bars.len(), first.name, short(first.value));
            let title = format!("Columns for the {what} of {}", task.task);
            let words = Words { title: &title, about: &about, more: &rest };
            draft.picture(&words, horizontal(&format!("{what} becomes worse by"), &bars));
        }
    });
    let row = |column: &usize| {
        let of = |which: usize| task.columns[*column][which];
        let cells = [0, 1]
            .into_iter()
            .flat_map(|which| [of(which).map(|c| c.mean), of(which).map(|c| c.sd)]);
        (names[*column].clone(), cells.map(|x| number(x, UNDEFINED)).collect())
    };
    let head = [
        "column".to_owned(),
        "loss worse by".to_owned(),
        "sd".to_owned(),
        format!("{} worse by", task.metric),
        "sd".to_owned(),
    ];
    draft.table(&Table {
        caption: "Importance by column",
        head: head.into(),
        rows: shown.iter().map(row).collect(),
    });
}

/// The blocks of an image.
fn image(draft: &mut Draft, task: &TaskImportance, [down, across]: [usize; 2]) {
    let means: Vec<Option<f64>> =
        task.columns.iter().map(|changes| changes[0].map(|c| c.mean)).collect();
    let most = means.iter().flatten().fold(0.0, |most: f64, mean| most.max(mean.abs()));
    let cell = |mean: &Option<f64>| mean.map(|m| (m / most.max(f64::MIN_POSITIVE), String::new()));
    let matrix = Matrix {
        down: "from the top".to_owned(),
        across: "from the left".to_owned(),
        rows: (1..=down).map(|row| row.to_string()).collect(),
        columns: (1..=across).map(|column| column.to_string()).collect(),
        cells: means.chunks(across.max(1)).map(|row| row.iter().map(cell).collect()).collect(),
    };
    let about = format!("The strongest block makes the loss worse by {}.", short(most));
    let title = format!("Blocks of the image for the loss of {}", task.task);
    draft.picture(&Words { title: &title, about: &about, more: &about }, matrix.draw());
}
