//! What the columns of a data set mean: kept as `schema.json` beside a model.

mod check;
pub mod columns;

use crate::config::{Scale, TaskKind};
use crate::data::table::arrays::Arrays;
use crate::data::table::options::{Header, Options};
use crate::data::value::dates::DateOrder;
use crate::data::value::notation::Notation;
use crate::data::value::range::Range;

/// In a slot of codes: there is none.
pub const NO_CODE: u32 = u32::MAX;

/// How the slots of one column become inputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// First slot.
    pub slot: usize,
    /// Number of slots.
    pub slots: usize,
    /// First input.
    pub input: usize,
    /// Number of inputs. The inputs of codes are zeros, and each code of its slots adds `scale` to
    /// the input of its number, or `scale` times its vector to all of them.
    pub width: usize,
    /// Whether the slots hold codes; else each slot is an input.
    pub codes: bool,
    /// What a code adds.
    pub scale: f32,
    /// How many codes have a learned vector of `width` numbers; 0 = none, a code is an input.
    pub vectors: usize,
}

/// What is known of the columns; kept as `schema.json` beside a model, applied by `evaluate` and
/// `predict`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Schema {
    /// How features are made.
    pub input: Input,
    /// One per task, in task order.
    pub targets: Vec<Target>,
    /// How files are read.
    #[serde(default, skip_serializing_if = "Reading::is_default")]
    pub reading: Reading,
}

/// How the files of a table are read, and which of their columns says something of rows.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Reading {
    /// Character between the cells of a line; `None` = found in the first line.
    pub delimiter: Option<char>,
    /// Whether the first line names the columns.
    pub header: bool,
    /// Column with the weight of each row.
    pub row_weight: Option<String>,
    /// Whether words such as NA mean "blank" where a column does not know them as a value.
    #[serde(default, skip_serializing_if = "is_false")]
    pub blank_words: bool,
    /// Columns of the training file that are no features by the word of the configuration: ignored
    /// ones, and those that say which rows belong together or which part each is of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aside: Vec<String>,
    /// Of files that name only what occurs: the smallest and the largest index of the training
    /// file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub indices: Option<[u32; 2]>,
    /// Names of the columns of arrays, by place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrays: Option<Arrays>,
}

impl Default for Reading {
    fn default() -> Reading {
        let (aside, indices, arrays) = (Vec::new(), None, None);
        Reading {
            delimiter: None,
            header: true,
            row_weight: None,
            blank_words: false,
            aside,
            indices,
            arrays,
        }
    }
}

impl Schema {
    /// The label columns, task by task.
    pub fn target_names(&self) -> Vec<&str> {
        self.targets.iter().flat_map(|target| &target.columns).map(String::as_str).collect()
    }

    /// Names of the columns that features are made of.
    pub fn feature_names(&self) -> Vec<&str> {
        let Input::Columns { columns } = &self.input else { return Vec::new() };
        columns.iter().map(|column| column.name.as_str()).collect()
    }
}

impl Reading {
    pub(crate) fn is_default(&self) -> bool {
        *self == Reading::default()
    }

    /// The same for the readers of files.
    pub fn options(&self) -> Options {
        let header = if self.header { Header::First } else { Header::None };
        Options {
            delimiter: self.delimiter.and_then(|c| u8::try_from(c).ok()),
            header,
            arrays: self.arrays.clone(),
        }
    }
}

/// How features are made from a file.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Input {
    /// Columns of a table in this order.
    Columns {
        /// The columns.
        columns: Vec<Column>,
    },
    /// Images as bytes times `scale`.
    Image {
        /// Height in pixels, after overlay.
        height: usize,
        /// Width in pixels, after overlay.
        width: usize,
        /// Factor on each byte.
        scale: f32,
        /// Shift and seed, where two images lie over each other.
        overlay: Option<(usize, u64)>,
    },
}

impl Input {
    /// Number of features of a row.
    pub fn width(&self) -> usize {
        match self {
            Input::Columns { columns } => columns.iter().map(Column::width).sum(),
            Input::Image { height, width, .. } => height * width,
        }
    }

    /// How the slots of a row become inputs; empty where features are numbers as the network sees
    /// them. Slots lie in the order of the columns; of the inputs those that are learned come
    /// first, so that what has a gradient is one run of a row.
    pub fn spread(&self) -> Vec<Spread> {
        let Input::Columns { columns } = self else { return Vec::new() };
        if !columns.iter().any(Column::has_codes) {
            return Vec::new();
        }
        let (mut slot, mut learned) = (0, 0);
        let mut fixed = columns.iter().filter(|c| c.vectors() > 0).map(Column::width).sum();
        let place = |column: &Column| {
            let (slots, width, codes, vectors) =
                (column.slots(), column.width(), column.has_codes(), column.vectors());
            let input = if vectors > 0 { &mut learned } else { &mut fixed };
            let spread = Spread {
                slot,
                slots,
                input: *input,
                width,
                codes,
                scale: column.code_scale(),
                vectors,
            };
            *input += width;
            slot += slots;
            spread
        };
        columns.iter().map(place).collect()
    }
}

/// A column of a table and the inputs that are made of it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Column {
    /// Name in the header.
    pub name: String,
    /// Texts that mean that there is no value.
    pub missing: Vec<String>,
    /// What its cells mean.
    #[serde(flatten)]
    pub encoding: Encoding,
}

/// How cells become inputs; fitted on the training part.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Encoding {
    /// `(x − offset) · factor`, where `x` far outside of the training part's numbers is held near
    /// them.
    Numeric {
        /// How offset and factor were fitted.
        scale: Scale,
        /// Subtracted first.
        offset: f64,
        /// Then multiplied with; 0 for a constant column.
        factor: f64,
        /// Whether a second input says 1 where the cell is blank.
        indicator: bool,
        /// What blanks become: the mean of the training part, scaled. It is 0 where the column is
        /// standardised, and in models of tandem 0.1.0.
        #[serde(default, skip_serializing_if = "is_nought")]
        blank: f64,
        /// The training part's numbers; `None` in models of tandem 0.1.0, and where they have no
        /// spread.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        range: Option<Range>,
        /// How the numbers are written.
        #[serde(default, skip_serializing_if = "Notation::is_plain")]
        notation: Notation,
        /// Whether the training part held 1 and 0 alone, so that words for yes and no are these;
        /// never in models of tandem 0.1.0.
        #[serde(default, skip_serializing_if = "is_false")]
        truth: bool,
    },
    /// One input a value (one-hot), or a learned vector; the one after them is for rare and unseen
    /// values, and for blanks where there is none of their own.
    Category {
        /// Known values.
        values: Vec<String>,
        /// Whether the last one is for blanks.
        blank: bool,
        /// Numbers of a learned vector; 0 = one-hot.
        #[serde(default, skip_serializing_if = "is_zero")]
        embed: usize,
    },
    /// 0 for the first value, 1 for the second; `mean` for blanks and for all other values.
    Binary {
        /// The two values.
        values: [String; 2],
        /// Share of the second value.
        mean: f64,
        /// Whether a second input says 1 where the cell holds none of them.
        indicator: bool,
    },
    /// `(years since 1970 − offset) · factor`; sine and cosine of the month; the day of the month
    /// from −1 to 1; sine and cosine of the weekday, and of the hour where there are times. Blanks
    /// are zeros.
    Date {
        /// Subtracted from the years.
        offset: f64,
        /// Then multiplied with.
        factor: f64,
        /// Whether there are times.
        time: bool,
        /// Whether a last input says 1 where the cell is blank.
        indicator: bool,
        /// How the dates are written.
        #[serde(default, skip_serializing_if = "DateOrder::is_iso")]
        order: DateOrder,
        /// The training part's years since 1970, by which dates far outside are told, not held;
        /// `None` in models of tandem 0.1.0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        range: Option<Range>,
    },
    /// The words of a text, and perhaps character n-grams, counted in buckets by their hash, see
    /// [`words`](super::value::words); or the sum of the learned vectors of their buckets.
    Text {
        /// Number of inputs or vectors.
        buckets: usize,
        /// Most words and n-grams of a row; what follows them does not count.
        slots: usize,
        /// Length of the n-grams; 0 = none.
        ngrams: usize,
        /// What each adds to the input of its bucket, or factor on its vector.
        scale: f32,
        /// Numbers of a learned vector; 0 = an input a bucket.
        #[serde(default, skip_serializing_if = "is_zero")]
        embed: usize,
    },
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_nought(number: &f64) -> bool {
    *number == 0.0
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Encoding {
    /// Its name in the configuration.
    pub fn word(&self) -> &'static str {
        match self {
            Encoding::Numeric { .. } => "numeric",
            Encoding::Category { .. } => "category",
            Encoding::Binary { .. } => "binary",
            Encoding::Date { .. } => "date",
            Encoding::Text { .. } => "text",
        }
    }
}

/// `(y − offset) · factor`
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Scaling {
    /// Subtracted first.
    pub offset: f64,
    /// Then multiplied with; never 0.
    pub factor: f64,
}

/// The labels of a task.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Target {
    /// Task name.
    pub task: String,
    /// Task type.
    #[serde(rename = "type")]
    pub kind: TaskKind,
    /// Label columns.
    pub columns: Vec<String>,
    /// Class names: those of the logits in order (multiclass), or negative and positive (binary);
    /// else empty.
    pub classes: Vec<String>,
    /// Class groups: for each class the label values that it stands for; empty when the label
    /// values are the classes.
    pub groups: Vec<Vec<String>>,
    /// Texts that mean "not labelled".
    pub missing: Vec<String>,
    /// Whether words such as NA mean so too, unless they are classes.
    #[serde(default, skip_serializing_if = "is_false")]
    pub blank_words: bool,
    /// How the numbers of each column are written (regression, count); empty where all are plain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notations: Vec<Notation>,
    /// Scaling of each column (regression); else empty.
    pub scales: Vec<Scaling>,
    /// Mean of the training part's counts, by which the loss is divided (count); `None` = it is not
    /// divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// Per column, labelled rows of the training part by class (negative and positive, for binary
    /// and multilabel), or as one number.
    pub counts: Vec<Vec<u64>>,
}

impl Target {
    /// A target of several classes, in a column named as the task, of which no row has been
    /// counted.
    pub fn multiclass(task: &str, classes: Vec<String>) -> Target {
        Target {
            task: task.to_owned(),
            kind: TaskKind::Multiclass,
            columns: vec![task.to_owned()],
            counts: vec![vec![0; classes.len()]],
            classes,
            groups: Vec::new(),
            missing: Vec::new(),
            blank_words: false,
            notations: Vec::new(),
            scales: Vec::new(),
            mean: None,
        }
    }

    /// Label words of a row.
    pub fn cells(&self) -> usize {
        self.columns.len()
    }
}
