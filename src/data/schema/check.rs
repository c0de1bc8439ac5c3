//! Schemas of arrays, and the checks of a schema that came from a file.

use std::collections::HashSet;

use crate::config::{Scale, TaskKind};
use crate::data::schema::{Column, Encoding, Input, Reading, Scaling, Schema, Target};
use crate::data::value::notation::Notation;
use crate::fault::{Fault, quoted};

impl Schema {
    /// The schema of `width` unscaled features `x0`, `x1`, … and of tasks with the given class
    /// names.
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
        let column = |i| {
            let (name, missing, window) = (format!("x{i}"), Vec::new(), 0);
            Column { name, missing, window, encoding: numeric.clone() }
        };
        let target = |&(task, classes): &(&str, &[&str])| {
            Target::multiclass(task, classes.iter().map(|&class| class.to_owned()).collect())
        };
        Schema::new(
            Input::Columns { columns: (0..width).map(column).collect() },
            tasks.iter().map(target).collect(),
        )
    }

    /// A schema of files that are read with the default settings.
    pub fn new(input: Input, targets: Vec<Target>) -> Schema {
        Schema { input, targets, reading: Reading::default() }
    }

    /// Checks a schema that came from a file for what its types leave open: names are unique,
    /// numbers are finite, sizes are not zero and do not overflow, and there are as many groups as
    /// classes. `place` is the file, for messages.
    ///
    /// # Errors
    /// 65 with the first contradiction.
    pub fn check(&self, place: &str) -> anyhow::Result<()> {
        let input = match &self.input {
            Input::Columns { columns } => check_columns(columns),
            Input::Image { height, width, channels, scale, overlay, .. } => {
                check_image([*height, *width, *channels], *scale, *overlay)
            }
        };
        let targets = self.targets.iter().try_for_each(check_target);
        let tasks = unique("task", self.targets.iter().map(|target| &target.task));
        let hint = "the file was changed by hand or damaged; take the one that the training wrote";
        input.and(targets).and(tasks).map_err(|found| Fault::data(place, found).hint(hint).into())
    }
}

fn check_columns(columns: &[Column]) -> Result<(), String> {
    if columns.is_empty() {
        return Err("no feature columns".into());
    }
    let has_span = columns.iter().any(Column::is_span);
    let window = columns.iter().find_map(|column| column.window_problem(has_span));
    match columns.iter().find_map(Column::problem).or(window) {
        Some(problem) => Err(problem),
        None => unique("column", columns.iter().map(|column| &column.name)),
    }
}

fn check_image(
    [height, width, channels]: [usize; 3],
    scale: f32,
    overlay: Option<(usize, u64)>,
) -> Result<(), String> {
    let shift = overlay.map_or(0, |(shift, _)| shift);
    // A larger shift than half of the canvas would let a small file ask for any amount of memory.
    if height == 0
        || width == 0
        || !matches!(channels, 1 | 3)
        || height.checked_mul(width).and_then(|pixels| pixels.checked_mul(channels)).is_none()
        || shift > height.min(width) / 2
    {
        return Err(format!(
            "images of {height} × {width} × {channels} numbers with a shift of {shift} are not \
             possible"
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
    /// What is wrong with a target that came from a file; `None` if it is good.
    pub fn problem(&self) -> Option<String> {
        let (classes, columns) = (self.classes.len(), self.columns.len());
        let several = matches!(self.kind, TaskKind::Multilabel | TaskKind::Regression);
        if columns == 0 || (columns > 1 && !several) {
            return Some(format!("{columns} columns for a task of type {}", self.kind));
        }
        match self.kind {
            TaskKind::Multiclass | TaskKind::Tags if classes < 2 => {
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
