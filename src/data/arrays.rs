//! Data from arrays, for users of the library; and the checks of a schema that came from a file.

use std::collections::HashSet;
use std::sync::Arc;

use super::notation::Notation;
use super::stored::Stored;
use super::{
    Column, Dataset, Encoding, Features, Input, Parts, Reading, Scaling, Schema, Target, UNLABELLED,
};
use crate::config::{Scale, TaskKind};
use crate::fault::{Fault, quoted};

impl Dataset {
    /// A part from `features` [rows, width], taken as they are, and per label column `labels`
    /// `[rows]`: a word as in [`Dataset::labels`]. Values are not looked at: what is not finite
    /// shows where it is used.
    ///
    /// # Errors
    /// 65 if `width` is 0, there are no rows, or a length does not fit.
    pub fn from_arrays(
        width: usize,
        features: Vec<f32>,
        labels: Vec<Vec<u32>>,
    ) -> anyhow::Result<Dataset> {
        if width == 0 || features.is_empty() || !features.len().is_multiple_of(width) {
            let found = format!("{} values, expected one or more rows of {width}", features.len());
            return Err(Fault::data("features", found).hint("give rows × width values").into());
        }
        let rows = features.len() / width;
        if let Some((task, wrong)) =
            labels.iter().enumerate().find(|(_, labels)| labels.len() != rows)
        {
            let found = format!("{} labels for {rows} rows", wrong.len());
            return Err(Fault::data(format!("labels of task {task}"), found)
                .hint("give one label per row, UNLABELLED where there is none")
                .into());
        }
        Ok(Dataset { rows, features: Features::F32(features), labels, weights: None, table: None })
    }

    /// Features of a row, or slots of cells.
    pub fn width(&self) -> usize {
        match &self.features {
            Features::U8 { values, .. } => values.len() / self.rows.max(1),
            Features::F32(values) => values.len() / self.rows.max(1),
            Features::Cells { slots, .. } => *slots,
            Features::Stored(stored) => stored.slots,
        }
    }

    /// The features where they are on disk.
    pub fn stored(&self) -> Option<&Stored> {
        if let Features::Stored(stored) = &self.features { Some(stored) } else { None }
    }

    /// Features of row `row`, `[width]`, as the network sees them; cells as they lie. What cannot
    /// be read from disk is not there.
    pub fn row(&self, row: usize) -> Vec<f32> {
        let width = self.width();
        match &self.features {
            Features::U8 { values, scale } => {
                values[row * width..][..width].iter().map(|&v| f32::from(v) * scale).collect()
            }
            Features::F32(values) => values[row * width..][..width].to_vec(),
            Features::Cells { words, slots } => {
                words[row * slots..][..*slots].iter().map(|w| f32::from_bits(*w)).collect()
            }
            Features::Stored(stored) => stored
                .fetch(std::iter::once(row))
                .unwrap_or_default()
                .into_iter()
                .map(f32::from_bits)
                .collect(),
        }
    }
}

impl Parts {
    /// Parts of one schema.
    ///
    /// # Errors
    /// 65 if the schema contradicts itself, or a part has another width, another number of tasks or
    /// a label that is no class.
    pub fn new(
        schema: Schema,
        train: Dataset,
        valid: Option<Dataset>,
        test: Option<Dataset>,
    ) -> anyhow::Result<Parts> {
        schema.check("schema")?;
        for (name, part) in
            [("train", Some(&train)), ("valid", valid.as_ref()), ("test", test.as_ref())]
        {
            part.map_or(Ok(()), |part| schema.check_part(name, part))?;
        }
        Ok(Parts {
            train: Arc::new(train),
            valid: valid.map(Arc::new),
            test: test.map(Arc::new),
            schema,
            hashes: Vec::new(),
            notices: Vec::new(),
        })
    }
}

impl Schema {
    /// The schema of `width` unscaled features `x0`, `x1`, … and tasks of given class names.
    pub fn for_arrays(width: usize, tasks: &[(&str, &[&str])]) -> Schema {
        let (blank, range, notation) = (0.0, None, Notation::Plain);
        let (indicator, truth) = (false, false);
        let numeric = Encoding::Numeric {
            scale: Scale::None,
            offset: 0.0,
            factor: 1.0,
            indicator,
            blank,
            range,
            notation,
            truth,
        };
        let column =
            |i| Column { name: format!("x{i}"), missing: Vec::new(), encoding: numeric.clone() };
        let target = |&(task, classes): &(&str, &[&str])| {
            Target::multiclass(task, classes.iter().map(|&class| class.to_owned()).collect())
        };
        Schema::new(
            Input::Columns { columns: (0..width).map(column).collect() },
            tasks.iter().map(target).collect(),
        )
    }

    /// A schema of files that are read as they say themselves.
    pub fn new(input: Input, targets: Vec<Target>) -> Schema {
        Schema { input, targets, reading: Reading::default() }
    }

    /// Checks what the types leave open, for a schema from a file: names are unique, numbers
    /// finite, sizes not zero and not overflowing, groups as many as classes. `place` is the file,
    /// for messages.
    ///
    /// # Errors
    /// 65 with the first contradiction.
    pub fn check(&self, place: &str) -> anyhow::Result<()> {
        let input = match &self.input {
            Input::Columns { columns } => check_columns(columns),
            Input::Image { height, width, scale, overlay } => {
                check_image(*height, *width, *scale, *overlay)
            }
        };
        let targets = self.targets.iter().try_for_each(check_target);
        let tasks = unique("task", self.targets.iter().map(|target| &target.task));
        let hint = "the file was changed by hand or damaged; take the one that the training wrote";
        input.and(targets).and(tasks).map_err(|found| Fault::data(place, found).hint(hint).into())
    }

    fn check_part(&self, name: &str, part: &Dataset) -> anyhow::Result<()> {
        let columns: usize = self.targets.iter().map(Target::cells).sum();
        let width = match &part.features {
            Features::Cells { .. } => self.input.spread().iter().map(|spread| spread.slots).sum(),
            Features::Stored(stored) if stored.codes => {
                self.input.spread().iter().map(|spread| spread.slots).sum()
            }
            _ => self.input.width(),
        };
        let found = if part.width() != width {
            format!("{} features a row, the schema has {width}", part.width())
        } else if part.labels.len() != columns {
            format!("{} label columns, the schema has {columns}", part.labels.len())
        } else if let Some(weights) =
            part.weights.as_ref().filter(|weights| weights.len() != part.rows)
        {
            format!("{} weights for {} rows", weights.len(), part.rows)
        } else if let Some((target, label)) = self.stray_label(part) {
            format!(
                "label {label} of task {}, which has {} classes",
                quoted(&target.task),
                target.classes.len()
            )
        } else {
            return Ok(());
        };
        Err(Fault::data(format!("{name} part"), found).hint("make arrays and schema agree").into())
    }

    /// A label that is none of its task's classes.
    fn stray_label(&self, part: &Dataset) -> Option<(&Target, u32)> {
        let targets =
            self.targets.iter().flat_map(|target| std::iter::repeat_n(target, target.cells()));
        let stray = |target: &Target, labels: &Vec<u32>| {
            let classes = match target.kind {
                TaskKind::Multiclass => target.classes.len(),
                TaskKind::Binary | TaskKind::Multilabel => 2,
                TaskKind::Regression | TaskKind::Count => return None,
            };
            labels.iter().copied().find(|&l| l != UNLABELLED && l as usize >= classes)
        };
        targets
            .zip(&part.labels)
            .find_map(|(target, labels)| stray(target, labels).map(|label| (target, label)))
    }
}

fn check_columns(columns: &[Column]) -> Result<(), String> {
    if columns.is_empty() {
        return Err("no feature columns".into());
    }
    match columns.iter().find_map(Column::problem) {
        Some(problem) => Err(problem),
        None => unique("column", columns.iter().map(|column| &column.name)),
    }
}

fn check_image(
    height: usize,
    width: usize,
    scale: f32,
    overlay: Option<(usize, u64)>,
) -> Result<(), String> {
    let shift = overlay.map_or(0, |(shift, _)| shift);
    // At most half of the canvas: a larger shift would let a small file ask for any amount of
    // memory.
    if height == 0
        || width == 0
        || height.checked_mul(width).is_none()
        || shift > height.min(width) / 2
    {
        return Err(format!(
            "images of {height} × {width} pixels with a shift of {shift} are not possible"
        ));
    }
    if scale.is_finite() { Ok(()) } else { Err("the scale of the images is not finite".into()) }
}

fn check_target(target: &Target) -> Result<(), String> {
    target
        .problem()
        .map_or(Ok(()), |problem| Err(format!("task {}: {problem}", quoted(&target.task))))?;
    unique("class", target.classes.iter())
}

impl Target {
    /// What is wrong with a target that came from a file.
    pub fn problem(&self) -> Option<String> {
        let (classes, columns) = (self.classes.len(), self.columns.len());
        let several = matches!(self.kind, TaskKind::Multilabel | TaskKind::Regression);
        if columns == 0 || (columns > 1 && !several) {
            return Some(format!("{columns} columns for a task of type {}", self.kind));
        }
        match self.kind {
            TaskKind::Multiclass if classes < 2 => {
                return Some(format!("{classes} classes, expected two or more"));
            }
            TaskKind::Binary if classes != 2 => {
                return Some(format!("{classes} classes, expected two"));
            }
            TaskKind::Multilabel | TaskKind::Regression | TaskKind::Count if classes > 0 => {
                return Some(format!("{classes} classes for a task of type {}", self.kind));
            }
            _ => {}
        }
        if !self.groups.is_empty() && self.groups.len() != classes {
            return Some(format!("{} groups for {classes} classes", self.groups.len()));
        }
        let scales = if self.kind == TaskKind::Regression { columns } else { 0 };
        if self.scales.len() != scales {
            return Some(format!("{} scales, expected {scales}", self.scales.len()));
        }
        if self
            .mean
            .is_some_and(|mean| self.kind != TaskKind::Count || !(mean.is_finite() && mean > 0.0))
        {
            return Some("a mean of counts that is none".into());
        }
        let is_good = |s: &Scaling| s.offset.is_finite() && s.factor.is_finite() && s.factor != 0.0;
        (!self.scales.iter().all(is_good))
            .then(|| "an offset or a factor that is not finite, or a factor of 0".into())
    }
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Result<(), String> {
    let mut seen = HashSet::new();
    let mut names = names;
    names
        .find(|name| !seen.insert(name.as_str()))
        .map_or(Ok(()), |twice| Err(format!("{what} {} is there twice", quoted(twice))))
}
