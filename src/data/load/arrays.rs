//! Data sets from arrays, for users of the library; and checks that parts fit a schema.

use std::sync::Arc;

use crate::config::TaskKind;
use crate::data::store::rows::Stored;
use crate::data::tokens::is_trained;
use crate::data::{Dataset, Features, Parts, Schema, Target};
use crate::fault::{Fault, quoted};

impl Dataset {
    /// A part from `features` [rows, width], which are taken as they are, and `labels`, one vector
    /// `[rows]` per label column, encoded as in [`Dataset::labels`]. Whether values are finite is
    /// not checked here.
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
        Ok(Dataset {
            rows,
            features: Features::F32(features),
            labels,
            weights: None,
            table: None,
            tokens: None,
        })
    }

    /// Number of features of a row, or of slots.
    pub fn width(&self) -> usize {
        match &self.features {
            Features::U8 { values, .. } => values.len() / self.rows.max(1),
            Features::F32(values) => values.len() / self.rows.max(1),
            Features::Cells { slots, .. } => *slots,
            Features::Stored(stored) => stored.slots,
        }
    }

    /// The features, if they are on disk.
    pub fn stored(&self) -> Option<&Stored> {
        if let Features::Stored(stored) = &self.features { Some(stored) } else { None }
    }

    /// Features of row `row`, `[width]`, as the network gets them; slots as they are stored. The
    /// result is empty if the row cannot be read from disk.
    pub fn row(&self, row: usize) -> Vec<f32> {
        let width = self.width();
        match &self.features {
            Features::U8 { values, scale } => {
                values[row * width..][..width].iter().map(|&v| f32::from(v) * scale).collect()
            }
            Features::F32(values) => values[row * width..][..width].to_vec(),
            Features::Cells { values, slots } => {
                values[row * slots..][..*slots].iter().map(|x| f32::from_bits(*x)).collect()
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
    /// A data set of parts with one schema.
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
        let (train, valid, test) = (Arc::new(train), valid.map(Arc::new), test.map(Arc::new));
        let (hashes, sources, notices) = (Vec::new(), Vec::new(), Vec::new());
        let parts = Parts { train, valid, test, schema, hashes, sources, notices };
        parts.there().try_for_each(|(part, data)| parts.schema.check_part(part.name(), data))?;
        Ok(parts)
    }
}

impl Schema {
    /// Checks that a part fits this schema.
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

    /// A label that is not the number of a class of its task, if there is one.
    fn stray_label(&self, part: &Dataset) -> Option<(&Target, u32)> {
        let targets =
            self.targets.iter().flat_map(|target| std::iter::repeat_n(target, target.cells()));
        let stray = |target: &Target, labels: &Vec<u32>| {
            let classes = match target.kind {
                TaskKind::Multiclass | TaskKind::Tags => target.classes.len(),
                TaskKind::Binary | TaskKind::Multilabel => 2,
                TaskKind::Regression | TaskKind::Count => return None,
            };
            labels.iter().copied().find(|&l| is_trained(l) && l as usize >= classes)
        };
        targets
            .zip(&part.labels)
            .find_map(|(target, labels)| stray(target, labels).map(|label| (target, label)))
    }
}
