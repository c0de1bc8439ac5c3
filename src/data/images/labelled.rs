//! Labelled images in memory, and their encoding as a [`Dataset`].

use crate::config::{Task, Version};
use crate::data::encode::labels::{self, LabelColumn, Labels};
use crate::data::encode::per_mean;
use crate::data::value::meaning::{Meaning, TextKind};
use crate::data::{Dataset, Features, Input, Target};
use crate::fault::{Fault, quoted};

/// Images with their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Images {
    /// The file of the images, for messages.
    pub place: String,
    /// The file of the labels, for messages.
    pub label_place: String,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// [rows, height, width]
    pub pixels: Vec<u8>,
    /// No vector; or one vector `[rows]` of labels; or two such vectors, "left" and "right".
    pub labels: Vec<Vec<u8>>,
}

impl Images {
    /// Number of images.
    pub fn rows(&self) -> usize {
        self.pixels.len() / (self.height * self.width)
    }

    /// One image, [height, width].
    pub fn image(&self, row: usize) -> &[u8] {
        let size = self.height * self.width;
        &self.pixels[row * size..][..size]
    }

    /// The images of `rows`, in that order.
    pub fn select(&self, rows: &[u32]) -> Images {
        let pixels = rows.iter().flat_map(|&row| self.image(row as usize)).copied().collect();
        let labels = self
            .labels
            .iter()
            .map(|labels| rows.iter().map(|&row| labels[row as usize]).collect())
            .collect();
        Images { pixels, labels, ..self.empty() }
    }

    /// No images, with the places and the size of these.
    fn empty(&self) -> Images {
        let (place, label_place) = (self.place.clone(), self.label_place.clone());
        Images {
            place,
            label_place,
            height: self.height,
            width: self.width,
            pixels: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// Fits the target of every task. All images are training images.
    ///
    /// # Errors
    /// 78 if a target is not among the labels; the errors of [`labels::fit`].
    pub fn fit(&self, tasks: &[Task]) -> anyhow::Result<Vec<Target>> {
        let rows: Vec<u32> = (0..self.rows() as u32).collect();
        let fit = |task: &Task| {
            let columns = self.label_columns(&task.targets).map_err(|name| no_label(task, name))?;
            let bytes = vec![Meaning::given(Some(&[]), TextKind::Texts); columns.len()];
            let locate = |_: usize, row: usize| self.locate(row);
            let labels = self.labels_of(&columns, &locate);
            let fitted = labels::fit(task, &labels, &rows, &bytes, Version::V0_2)?;
            let mut target = fitted.target;
            per_mean::fit(task, &mut target, &fitted.encoded, None);
            Ok(target)
        };
        tasks.iter().map(fit).collect()
    }

    /// Makes a data set whose features are the bytes times `scale`. Without targets it has no
    /// labels.
    ///
    /// # Errors
    /// 65 if a label does not fit its task, or a target is not among the labels.
    pub fn into_dataset(self, targets: &[Target], scale: f32) -> anyhow::Result<Dataset> {
        let rows: Vec<u32> = (0..self.rows() as u32).collect();
        let encode = |target: &Target| {
            let columns = self.label_columns(&target.columns).map_err(|name| {
                let found = format!(
                    "there are no labels {} for task {}",
                    quoted(name),
                    quoted(&target.task)
                );
                Fault::data(&self.place, found)
                    .hint("give data of the kind that the model was trained on")
            })?;
            labels::encode(target, &self.labels_of(&columns, &|_, row| self.locate(row)), &rows)
        };
        let labels: Vec<Vec<Vec<u32>>> =
            targets.iter().map(encode).collect::<anyhow::Result<_>>()?;
        let labels = labels.into_iter().flatten().collect();
        Ok(Dataset {
            rows: rows.len(),
            features: Features::U8 { values: self.pixels, scale },
            labels,
            weights: None,
            table: None,
            tokens: None,
        })
    }

    /// The label vectors of these names; `Err` is the first name that is not there.
    fn label_columns<'n>(&self, names: &'n [String]) -> Result<Vec<LabelColumn>, &'n str> {
        let column = |name: &'n String| {
            self.label_index(name)
                .map(|i| LabelColumn::from_bytes(&self.labels[i]))
                .ok_or(name.as_str())
        };
        names.iter().map(column).collect()
    }

    fn labels_of<'l>(
        &'l self,
        columns: &'l [LabelColumn],
        locate: &'l dyn Fn(usize, usize) -> String,
    ) -> Labels<'l> {
        Labels { columns: columns.iter().collect(), place: &self.label_place, locate }
    }

    fn locate(&self, row: usize) -> String {
        format!("{}: label {row}", self.label_place)
    }

    /// Checks that the images have the size that a model was trained on.
    ///
    /// # Errors
    /// 65 with both sizes.
    pub fn check_size(&self, input: &Input) -> anyhow::Result<()> {
        let Input::Image { height, width, channels, .. } = input else { return Ok(()) };
        if *channels != 1 {
            let found = "grey images, and the model was trained on colours";
            return Err(Fault::data(&self.place, found).hint("give PNG or JPEG files").into());
        }
        if (self.height, self.width) == (*height, *width) {
            return Ok(());
        }
        let found = format!(
            "images of {} × {} pixels, the training images have {height} × {width}",
            self.height, self.width
        );
        Err(Fault::data(&self.place, found)
            .hint("give images of the same size (with an overlay: before its shift is added)")
            .into())
    }

    /// The number of the label vector of a name. A single label vector has any name.
    fn label_index(&self, target: &str) -> Option<usize> {
        match self.labels.len() {
            0 => None,
            1 => Some(0),
            _ => ["left", "right"].iter().position(|name| *name == target),
        }
    }
}

/// The error for a target that is not among the labels.
fn no_label(task: &Task, name: &str) -> Fault {
    let place = format!("task.{}.target", task.name);
    Fault::config(&place, format!("{} is not a label of overlaid images", quoted(name)))
        .hint("target = \"left\" or target = \"right\"")
}
