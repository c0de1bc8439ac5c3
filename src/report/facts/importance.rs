//! Which columns matter for which task: by how much the loss and the primary metric of each task
//! become worse where the values of a column are permuted among the rows (Breiman, 2001; as
//! scikit-learn's `permutation_importance`).

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::data::{Dataset, Features, Input, Schema};
use crate::fault::Fault;
use crate::model::file::Model;
use crate::objective::Objective;
use crate::rng::{Purpose, permutation};
use crate::run::apply::judge::task_points;
use crate::run::apply::stored::apply_to_pieces;
use crate::run::machine::Machine;
use crate::run::train::point::{TaskPoint, higher_is_better};

/// The largest number of rows that are looked at.
pub const MOST_ROWS: usize = 10_000;
/// How often each column is permuted.
pub const REPEATS: u64 = 5;
/// The largest number of blocks on a side of an image.
const BLOCKS: usize = 12;

/// Which columns matter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// Name of the part whose rows are looked at.
    pub part: String,
    /// Number of rows that are looked at.
    pub rows: usize,
    /// Number of rows of the part.
    pub of: usize,
    /// Number of repeats.
    pub repeats: u64,
    /// Names of the columns, or of the blocks of an image, which lie row by row.
    pub columns: Vec<String>,
    /// Blocks of an image by its height and width; `None` for tables.
    pub blocks: Option<[usize; 2]>,
    /// One entry per task.
    pub tasks: Vec<TaskImportance>,
}

/// Which columns matter for one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskImportance {
    /// Name of the task.
    pub task: String,
    /// Loss without a permutation.
    pub loss: Option<f64>,
    /// Name of the primary metric.
    pub metric: String,
    /// Its value without a permutation.
    pub value: Option<f64>,
    /// For each column the change of the loss, and of the metric; above 0 means worse.
    pub columns: Vec<[Option<Change>; 2]>,
}

/// A change over the repeats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The mean.
    pub mean: f64,
    /// The standard deviation (over the repeats, not of the mean).
    pub sd: f64,
}

impl Change {
    /// The change over some repeats; `None` if one of them is not defined.
    pub fn of(values: &[Option<f64>]) -> Option<Change> {
        let values: Vec<f64> = values.iter().copied().collect::<Option<_>>()?;
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let sd = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        (mean.is_finite() && sd.is_finite()).then_some(Change { mean, sd })
    }
}

/// A column, or a block of pixels: its name and its places in a row of features.
pub struct Group {
    /// Its name.
    pub name: String,
    /// The places.
    pub places: Vec<usize>,
}

/// The columns of an input; for an image blocks of pixels, with their numbers by height and width.
pub fn groups(schema: &Schema) -> (Vec<Group>, Option<[usize; 2]>) {
    match &schema.input {
        Input::Columns { columns } => {
            let mut first = 0;
            let group = |column: &crate::data::Column| {
                let places = (first..first + column.slots()).collect();
                first += column.slots();
                Group { name: column.name.clone(), places }
            };
            (columns.iter().map(group).collect(), None)
        }
        Input::Image { height, width, channels, .. } => {
            let (down, across) = ((*height).min(BLOCKS), (*width).min(BLOCKS));
            let side = |block: usize, blocks: usize, all: usize| {
                block * all / blocks..(block + 1) * all / blocks
            };
            let group = |(row, column): (usize, usize)| {
                let (rows, columns) = (side(row, down, *height), side(column, across, *width));
                let name = format!(
                    "rows {}–{}, columns {}–{}",
                    rows.start,
                    rows.end - 1,
                    columns.start,
                    columns.end - 1
                );
                let row = |y: usize| y * width + columns.start..y * width + columns.end;
                let numbers = |pixel: usize| pixel * channels..(pixel + 1) * channels;
                let places = rows.flat_map(row).flat_map(numbers).collect();
                Group { name, places }
            };
            let all = (0..down).flat_map(|row| (0..across).map(move |column| (row, column)));
            (all.map(group).collect(), Some([down, across]))
        }
    }
}

/// The error for rows that are tokens, in a file or a part.
pub fn of_tokens(place: &str) -> Fault {
    Fault::data(place, "tokens have neighbours, so no column can be permuted alone")
        .hint("leave --importance out for a model of sentences")
}

/// Measures which columns matter on rows of `data`, a part called `part`. `tell` is called with
/// the columns done so far and their number.
///
/// # Errors
/// 74 if rows on disk cannot be read; errors of the machine.
pub fn measure(
    model: &Model,
    (part, data): (&str, &Dataset),
    seed: u64,
    machine: &Machine,
    tell: &mut dyn FnMut(usize, usize),
) -> Result<Importance> {
    if data.tokens.is_some() {
        return Err(of_tokens(part).into());
    }
    let mut rows: Vec<u32> = permutation(data.rows, seed, Purpose::Importance, 0);
    rows.truncate(MOST_ROWS);
    rows.sort_unstable();
    let mut sample = sample(data, &rows)?;
    let mut applied = apply_to_pieces(model, &sample, machine.clone())?;
    let objective = Objective::plain(&model.network);
    let mut points = |sample: &Dataset| -> Result<Vec<TaskPoint>> {
        let measured = applied.evaluate_pieces(&model.network, &objective, sample)?;
        Ok(task_points(&model.network, &model.schema, sample, &measured))
    };
    let before = points(&sample)?;
    let (groups, blocks) = groups(&model.schema);
    let metrics: Vec<&str> =
        model.network.tasks.iter().map(|head| head.kind.metrics()[0]).collect();
    let mut changes = vec![Vec::new(); before.len()];
    for (number, group) in groups.iter().enumerate() {
        tell(number, groups.len());
        let mut repeats = vec![[Vec::new(), Vec::new()]; before.len()];
        for repeat in 0..REPEATS {
            let stream = 1 + number as u64 * REPEATS + repeat;
            let order = permutation(sample.rows, seed, Purpose::Importance, stream);
            let kept = sample.features.clone();
            permute(&mut sample, &group.places, &order);
            for (task, point) in points(&sample)?.iter().enumerate() {
                let worse = |name: &str| {
                    let (old, new) = (before[task].figure(name)?, point.figure(name)?);
                    Some(if higher_is_better(name) { old - new } else { new - old })
                };
                repeats[task][0].push(worse("loss"));
                repeats[task][1].push(worse(metrics[task]));
            }
            sample.features = kept;
        }
        for (all, repeats) in changes.iter_mut().zip(repeats) {
            all.push(repeats.map(|values| Change::of(&values)));
        }
    }
    let of_task = |(task, columns): (usize, Vec<[Option<Change>; 2]>)| TaskImportance {
        task: model.network.tasks[task].name.clone(),
        loss: before[task].loss,
        metric: metrics[task].to_owned(),
        value: before[task].metric(metrics[task]),
        columns,
    };
    Ok(Importance {
        part: part.to_owned(),
        rows: sample.rows,
        of: data.rows,
        repeats: REPEATS,
        columns: groups.into_iter().map(|group| group.name).collect(),
        blocks,
        tasks: changes.into_iter().enumerate().map(of_task).collect(),
    })
}

/// Some rows of a part, in memory.
fn sample(data: &Dataset, rows: &[u32]) -> Result<Dataset> {
    let width = data.width();
    let chosen = || rows.iter().map(|row| *row as usize);
    let features = match &data.features {
        Features::U8 { values, scale } => Features::U8 {
            values: chosen().flat_map(|row| &values[row * width..][..width]).copied().collect(),
            scale: *scale,
        },
        Features::F32(values) => Features::F32(
            chosen().flat_map(|row| &values[row * width..][..width]).copied().collect(),
        ),
        Features::Cells { values, slots } => Features::Cells {
            values: chosen().flat_map(|row| &values[row * width..][..width]).copied().collect(),
            slots: *slots,
        },
        Features::Stored(stored) => {
            let values = stored.fetch(chosen())?;
            match stored.codes {
                true => Features::Cells { values, slots: stored.slots },
                false => Features::F32(values.into_iter().map(f32::from_bits).collect()),
            }
        }
    };
    let labels = data.labels.iter().map(|labels| chosen().map(|row| labels[row]).collect());
    Ok(Dataset {
        rows: rows.len(),
        features,
        labels: labels.collect(),
        weights: data.weights.as_ref().map(|w| chosen().map(|row| w[row]).collect()),
        table: None,
        tokens: None,
    })
}

/// Gives each row the values of another row at some places.
fn permute(data: &mut Dataset, places: &[usize], order: &[u32]) {
    fn at<T: Copy>(values: &mut [T], width: usize, places: &[usize], order: &[u32]) {
        for place in places {
            let old: Vec<T> = values.iter().skip(*place).step_by(width).copied().collect();
            for (row, from) in order.iter().enumerate() {
                values[row * width + place] = old[*from as usize];
            }
        }
    }
    let width = data.width();
    match &mut data.features {
        Features::U8 { values, .. } => at(values, width, places, order),
        Features::F32(values) => at(values, width, places, order),
        Features::Cells { values, .. } => at(values, width, places, order),
        // Rows that are looked at are in memory.
        Features::Stored(_) => {}
    }
}
