//! The schema: what the columns of a data set mean. It is kept as `schema.json` beside a model.

mod check;
pub mod columns;

use crate::config::{Pool, Scale, Scheme, Sentences, TaskKind};
use crate::data::table::arrays::Arrays;
use crate::data::table::options::{Header, Options};
use crate::data::value::dates::DateOrder;
use crate::data::value::notation::Notation;
use crate::data::value::range::Range;

/// The value of a slot of codes that holds no code.
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
    /// Number of inputs for one row of the window. If the slots hold codes, the inputs start as
    /// zeros, and each code adds `scale` to the input of its number, or `scale` times its learned
    /// vector to all inputs.
    pub width: usize,
    /// Whether the slots hold codes; if not, each slot is an input.
    pub codes: bool,
    /// The number that a code adds.
    pub scale: f32,
    /// Number of codes with a learned vector of `width` numbers; 0 = each code is an input.
    pub vectors: usize,
    /// Rows on each side whose slots give inputs too, `width` for each row from the first to the
    /// last; 0 = the row alone.
    pub window: usize,
    /// The code of rows beyond the ends of a sentence; `None` = there is none.
    pub beyond: Option<u32>,
    /// Whether its only slot is the place of the row in its sentence, which gives no inputs.
    pub is_span: bool,
}

impl Spread {
    /// Number of rows whose slots give inputs.
    pub fn places(&self) -> usize {
        2 * self.window + 1
    }

    /// Number of all of its inputs.
    pub fn inputs(&self) -> usize {
        self.places() * self.width
    }
}

/// What the columns of a data set mean. It is kept as `schema.json` beside a model, and `evaluate`
/// and `predict` apply it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Schema {
    /// How features are made.
    pub input: Input,
    /// One target per task, in task order.
    pub targets: Vec<Target>,
    /// How the files of a table are read.
    #[serde(default, skip_serializing_if = "Reading::is_default")]
    pub reading: Reading,
}

/// How the files of a table are read, and which of their columns describe rows.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Reading {
    /// Character between the cells of a line; `None` = it is found from the text.
    pub delimiter: Option<char>,
    /// Whether the first line names the columns.
    pub header: bool,
    /// Column with the weight of each row.
    pub row_weight: Option<String>,
    /// Whether words such as NA mean "blank" in a column that does not know them as values.
    #[serde(default, skip_serializing_if = "is_false")]
    pub blank_words: bool,
    /// Columns of the training file that the configuration excludes from the features: ignored
    /// columns, and columns that name groups or parts of rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aside: Vec<String>,
    /// The smallest and the largest index of the training data, if its columns are known by their
    /// indices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub indices: Option<[u32; 2]>,
    /// Names for the columns of arrays, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrays: Option<Arrays>,
    /// How files of sentences become rows; `None` = rows are no tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentences: Option<Sentences>,
    /// Columns of the training file, if it was one of sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Columns that a source of the training data lacked. Where data for the model lacks one, its
    /// cells are blank.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub optional: Vec<String>,
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
            sentences: None,
            names: Vec::new(),
            optional: Vec::new(),
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

    /// A column is made of the words of sentences, as `form.lower` and `predicate.form.lower` are;
    /// its cells are never blank.
    pub fn is_of_words(&self, column: &Column) -> bool {
        self.reading.sentences.as_ref().is_some_and(|sentences| sentences.is_derived(&column.name))
    }
}

impl Reading {
    pub(crate) fn is_default(&self) -> bool {
        *self == Reading::default()
    }

    /// These settings as options of the readers of files.
    pub fn options(&self) -> Options {
        let header = if self.header { Header::First } else { Header::None };
        Options {
            delimiter: self.delimiter.and_then(|c| u8::try_from(c).ok()),
            header,
            arrays: self.arrays.clone(),
            sentences: self.sentences.clone(),
            names: self.names.clone(),
            keeps_lines: false,
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
        /// Numbers of a pixel, which lie beside each other: features are [height, width,
        /// channels]. 1 = grey; 3 = red, green, blue.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        channels: usize,
        /// Factor on each byte.
        scale: f32,
        /// Shift and seed, where two images lie over each other.
        overlay: Option<(usize, u64)>,
        /// How PNG and JPEG files are read; `None` if the training images were none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        files: Option<ImageReading>,
    },
}

/// How PNG and JPEG files are read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ImageReading {
    /// Whether files of another size are resized; if not, they are refused.
    pub resized: bool,
    /// Column of the table of labels that names the files; `None` if classes are folders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl Input {
    /// Grey images that come from no PNG or JPEG files.
    pub fn grey(height: usize, width: usize, scale: f32, overlay: Option<(usize, u64)>) -> Input {
        Input::Image { height, width, channels: 1, scale, overlay, files: None }
    }

    /// Number of features of a row.
    pub fn width(&self) -> usize {
        match self {
            Input::Columns { columns } => columns.iter().map(Column::width).sum(),
            Input::Image { height, width, channels, .. } => height * width * channels,
        }
    }

    /// How the slots of a row become inputs; empty if the features already are the inputs. Slots
    /// lie in the order of the columns. Among the inputs the learned vectors come first, so that
    /// the inputs with a gradient are contiguous.
    pub fn spread(&self) -> Vec<Spread> {
        let Input::Columns { columns } = self else { return Vec::new() };
        if !columns.iter().any(|column| column.has_codes() || column.is_span()) {
            return Vec::new();
        }
        let (mut slot, mut learned) = (0, 0);
        let mut fixed = columns.iter().filter(|c| c.vectors() > 0).map(Column::width).sum();
        let place = |column: &Column| {
            let input = if column.vectors() > 0 { &mut learned } else { &mut fixed };
            let spread = Spread {
                slot,
                slots: column.slots(),
                input: *input,
                width: column.unit(),
                codes: column.has_codes(),
                scale: column.code_scale(),
                vectors: column.vectors(),
                window: column.window,
                beyond: column.beyond().map(|code| code as u32),
                is_span: column.is_span(),
            };
            *input += spread.inputs();
            slot += spread.slots;
            spread
        };
        columns.iter().map(place).collect()
    }
}

/// A column of a table, and how inputs are made from it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Column {
    /// Name in the header.
    pub name: String,
    /// Texts that mean "blank".
    pub missing: Vec<String>,
    /// Rows of a sentence on each side of a token whose cells give it inputs too; 0 = none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub window: usize,
    /// What its cells mean.
    #[serde(flatten)]
    pub encoding: Encoding,
}

/// How cells become inputs; fitted on the training part.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Encoding {
    /// The input is `(x − offset) · factor`. A number `x` far outside of the range of the training
    /// part is moved near it first.
    Numeric {
        /// How offset and factor were fitted.
        scale: Scale,
        /// Subtracted first.
        offset: f64,
        /// Then multiplied with; 0 for a constant column.
        factor: f64,
        /// Whether a second input is 1 if the cell is blank.
        indicator: bool,
        /// The input of blank cells: the scaled mean of the training part. It is 0 if the column is
        /// standardised, and in models of tandem 0.1.0.
        #[serde(default, skip_serializing_if = "is_nought")]
        blank: f64,
        /// The range of the training part; `None` in models of tandem 0.1.0, and for numbers
        /// without spread.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        range: Option<Range>,
        /// How the numbers are written.
        #[serde(default, skip_serializing_if = "Notation::is_plain")]
        notation: Notation,
        /// Whether the training part held only 1 and 0, so that words for yes and no are read as
        /// these. Always `false` in models of tandem 0.1.0.
        #[serde(default, skip_serializing_if = "is_false")]
        truth: bool,
    },
    /// One input per value (one-hot), or one learned vector per value. The next code is for rare
    /// and unseen values, and for blanks if these have no code of their own.
    Category {
        /// Known values.
        values: Vec<String>,
        /// Whether there is a last code for blanks.
        blank: bool,
        /// Width of a learned vector; 0 = one-hot.
        #[serde(default, skip_serializing_if = "is_zero")]
        embed: usize,
    },
    /// The input is 0 for the first value, 1 for the second, and `mean` for blanks and other
    /// values.
    Binary {
        /// The two values.
        values: [String; 2],
        /// Share of the second value.
        mean: f64,
        /// Whether a second input is 1 if the cell holds neither value.
        indicator: bool,
    },
    /// The inputs are `(years since 1970 − offset) · factor`; sine and cosine of the month; the day
    /// of the month, from −1 to 1; sine and cosine of the weekday; and sine and cosine of the hour
    /// if there are times. The inputs of blanks are zeros.
    Date {
        /// Subtracted from the years.
        offset: f64,
        /// Then multiplied with.
        factor: f64,
        /// Whether there are times.
        time: bool,
        /// Whether a last input is 1 if the cell is blank.
        indicator: bool,
        /// How the dates are written.
        #[serde(default, skip_serializing_if = "DateOrder::is_iso")]
        order: DateOrder,
        /// The range of the years since 1970 in the training part. Dates far outside are reported,
        /// but not moved. `None` in models of tandem 0.1.0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        range: Option<Range>,
    },
    /// The place of a token in its sentence: the number of tokens before it, and 65,536 times that
    /// of those behind it. It gives no inputs, but says where the windows of others end.
    Span,
    /// The known words of a text; or all words, and perhaps their character n-grams, hashed to
    /// buckets (see `value/words.rs`). Each known word or bucket has an input that counts it, or a
    /// learned vector; the vectors are summed.
    Text {
        /// Number of inputs or vectors.
        buckets: usize,
        /// The largest number of words and n-grams of a row; further ones are ignored.
        slots: usize,
        /// Length of the n-grams; 0 = none.
        ngrams: usize,
        /// The number that each adds to the input of its bucket, or the factor of its vector.
        scale: f32,
        /// Width of a learned vector; 0 = each bucket is an input.
        #[serde(default, skip_serializing_if = "is_zero")]
        embed: usize,
        /// The known words, one for each input or vector; others count for nothing. If there are
        /// none, words are hashed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        words: Vec<String>,
    },
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn one() -> usize {
    1
}

fn is_one(number: &usize) -> bool {
    *number == 1
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
            Encoding::Span => "span",
            Encoding::Text { .. } => "text",
        }
    }
}

/// The scaling of a label: `(y − offset) · factor`.
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
    /// Names of the classes: in the order of the logits (multiclass), or the negative and the
    /// positive class (binary); otherwise empty.
    pub classes: Vec<String>,
    /// For each class, the label values that it stands for; empty if the label values are the
    /// classes.
    pub groups: Vec<Vec<String>>,
    /// Texts that mean "not labelled".
    pub missing: Vec<String>,
    /// Whether words such as NA mean "not labelled" too, unless they are classes.
    #[serde(default, skip_serializing_if = "is_false")]
    pub blank_words: bool,
    /// How the numbers of each column are written (regression, count); empty if all are plain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notations: Vec<Notation>,
    /// Scaling of each column (regression); otherwise empty.
    pub scales: Vec<Scaling>,
    /// Mean of the counts in the training part, by which the loss is divided (count); `None` = the
    /// loss is not divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// How labels mark spans (tags).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// How the values of the tokens of a sentence become one, if labels are those of sentences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Pool>,
    /// Whether a label that no training row has is one that is not found, instead of an error.
    #[serde(default, skip_serializing_if = "is_false")]
    pub open: bool,
    /// For each column, the number of labelled rows in the training part: per class, per negative
    /// and positive (binary and multilabel), or in all (regression and count).
    pub counts: Vec<Vec<u64>>,
}

impl Target {
    /// A target of several classes, in a column with the name of the task. No rows are counted.
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
            scheme: None,
            pool: None,
            open: false,
        }
    }

    /// Number of label columns, each of which gives one label per row.
    pub fn cells(&self) -> usize {
        self.columns.len()
    }
}
