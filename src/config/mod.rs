//! The validated settings of a run, made by [`read`] and turned back into text by [`mod@write`]:
//! nothing after this is left unchecked.

pub mod architecture;
pub mod read;
mod words;
pub mod write;

use std::path::PathBuf;

pub use architecture::Architecture;
pub use words::{BUILT_IN, COUPLING_KINDS, Word};

/// Everything that decides a training run.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[data]` and `[feature.*]`.
    pub data: Data,
    /// `[architecture]`.
    pub architecture: Architecture,
    /// `[trunk]`.
    pub trunk: Trunk,
    /// `[task.*]`, in the order of the file.
    pub tasks: Vec<Task>,
    /// `[[coupling]]`, in the order of the file.
    pub couplings: Vec<Coupling>,
    /// `[optimizer]`.
    pub optimizer: Optimizer,
    /// `[train]`.
    pub train: Train,
}

/// Which version's guesses and defaults hold, `version` at the top of a configuration. A run is
/// reproduced only by those that it was made with, so they are never changed, and every
/// `config.toml` names its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The guesses and defaults of tandem 0.1.0, which wrote no `version`.
    V0_1,
    /// Those of today.
    V0_2,
}

/// `[data]`: where rows come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    /// `version`, which stands at the top of the file: it decides above all what cells are taken
    /// for.
    pub version: Version,
    /// `train`: required. `valid` and `test` are of the same kind.
    pub train: Source,
    /// `feature_names` and `label_names` of `train`, of a pair of arrays.
    pub names: ArrayNames,
    /// `valid`, else taken from `train` by `split`.
    pub valid: Option<Source>,
    /// `test`, else taken from `train` by `split`.
    pub test: Option<Source>,
    /// Shares of `train` that train, validate and test, 0 for a part with its own file; `None` =
    /// all of `train` is trained on.
    pub split: Option<[f64; 3]>,
    /// Seed of the split, so that `--seed` never changes what is tested on; 0 without a split.
    pub split_seed: u64,
    /// Column whose cells say `train`, `valid` or `test`.
    pub split_column: Option<String>,
    /// Task whose classes get equal shares of the split.
    pub stratify: Option<String>,
    /// Rows are cut into this many folds, and one of them, from 1 up, is tested on: (fold, folds).
    pub fold: Option<(usize, usize)>,
    /// Column whose rows of one value stay in one part of the split.
    pub group: Option<String>,
    /// Lay a random partner image over each image (IDX only).
    pub overlay: Option<Overlay>,
    /// Character between the cells of a line; `None` = found in the first line.
    pub delimiter: Option<char>,
    /// Whether the first line of a text file names the columns.
    pub header: bool,
    /// Columns that are neither features nor labels.
    pub ignore: Vec<String>,
    /// Texts that mean that a cell is blank; `None` = the empty one, and those that are found.
    pub missing: Option<Vec<String>>,
    /// Sign between the whole part and the fraction of numbers.
    pub decimal: Decimal,
    /// Order of year, month and day in dates.
    pub dates: Dates,
    /// Column with the weight of each row in all losses.
    pub row_weight: Option<String>,
    /// Bytes of memory that a table may take before it goes to disk; `None` = as the machine has.
    pub memory: Option<u64>,
    /// Rows that are shuffled with each other; `None` = all, or of rows on disk as many as the
    /// memory has room for.
    pub shuffle_window: Option<usize>,
    /// `[feature.NAME]`: columns that differ from the default.
    pub features: Vec<Feature>,
}

impl Data {
    /// All of `train` is trained on, with every other setting at its default.
    pub fn new(train: Source) -> Data {
        Data {
            version: Version::V0_2,
            train,
            names: ArrayNames::default(),
            valid: None,
            test: None,
            split: None,
            split_seed: 0,
            split_column: None,
            stratify: None,
            fold: None,
            group: None,
            overlay: None,
            delimiter: None,
            header: true,
            ignore: Vec::new(),
            missing: None,
            decimal: Decimal::Auto,
            dates: Dates::Auto,
            row_weight: None,
            memory: None,
            shuffle_window: None,
            features: Vec::new(),
        }
    }

    /// Whether there will be validation rows: from a file, from the split, by a column, or in a
    /// built-in set.
    pub fn has_validation(&self) -> bool {
        let splits =
            self.split_column.is_some() || self.split.is_some_and(|shares| shares[1] > 0.0);
        matches!(self.train, Source::BuiltIn(_)) || self.valid.is_some() || splits
    }

    /// Whether there will be test rows, likewise or as a fold.
    pub fn has_test(&self) -> bool {
        let splits =
            self.split_column.is_some() || self.split.is_some_and(|shares| shares[2] > 0.0);
        matches!(self.train, Source::BuiltIn(_))
            || self.test.is_some()
            || self.fold.is_some()
            || splits
    }

    /// Columns that say something of rows, with the key that names each; they are no features.
    pub fn row_columns(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let columns = [
            ("data.row_weight", &self.row_weight),
            ("data.split_column", &self.split_column),
            ("data.group", &self.group),
        ];
        columns.into_iter().filter_map(|(key, column)| Some((key, column.as_ref()?)))
    }
}

/// A place that rows come from. Paths are absolute, so that a configuration means the same from
/// every directory.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Files of rows and columns, or patterns such as `part-*.csv`, read as one; the format of each
    /// is that of its ending.
    Table(Vec<PathBuf>),
    /// Two arrays of as many rows; their columns are known by their place.
    Npy {
        /// Numbers.
        features: PathBuf,
        /// Labels.
        labels: PathBuf,
    },
    /// IDX images with IDX labels (MNIST format, plain or gzip).
    Idx {
        /// Images, `u8`, `[N, H, W]`.
        images: PathBuf,
        /// Labels, `u8`, `[N]`.
        labels: PathBuf,
    },
    /// A built-in set by name; today `digits-overlay`.
    BuiltIn(String),
}

impl Source {
    /// Whether its rows have columns.
    pub fn has_columns(&self) -> bool {
        matches!(self, Source::Table(_) | Source::Npy { .. })
    }
}

/// What the columns of a pair of arrays are called; none = after their place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArrayNames {
    /// Columns of the features.
    pub features: Vec<String>,
    /// Columns of the labels.
    pub labels: Vec<String>,
}

/// `overlay = { shift, seed }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// Pixels by which the partner is moved right and down; the canvas grows by as much.
    pub shift: usize,
    /// Seed of the partners.
    pub seed: u64,
}

/// `[feature.NAME]`; what is `None` has its default.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// Column name.
    pub column: String,
    /// What its cells mean; `None` = guessed on the training part.
    pub kind: Option<FeatureKind>,
    /// How its numbers are scaled (numeric).
    pub scale: Option<Scale>,
    /// Standard deviations of the training part that a number can come to lie beyond its ends; 0 =
    /// it stays where it is (numeric).
    pub clip: Option<f64>,
    /// Texts that mean that a cell is blank; `None` = those of the data.
    pub missing: Option<Vec<String>>,
    /// Decimal sign of its numbers; `None` = that of the data.
    pub decimal: Option<Decimal>,
    /// Order of its dates; `None` = that of the data.
    pub dates: Option<Dates>,
    /// Rows of the training part that a value needs for an input of its own (category).
    pub min_count: Option<usize>,
    /// Most values with an input or a vector of their own (category).
    pub max_values: Option<usize>,
    /// Inputs or vectors that words share (text).
    pub buckets: Option<usize>,
    /// Most words and character n-grams of a row (text).
    pub slots: Option<usize>,
    /// Length of the character n-grams beside the words; 0 = none (text).
    pub ngrams: Option<usize>,
    /// What its values become (category, text); `None` = [`Embed::Auto`].
    pub embed: Option<Embed>,
}

/// What the values of a column become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Embed {
    /// Vectors where they are many, or words; else inputs.
    Auto,
    /// A learned vector of so many numbers each; 0 = an input each.
    Width(usize),
}

impl Feature {
    /// Default of `min_count`: what stands once shares an input, as values will that nobody has
    /// seen.
    pub const MIN_COUNT: usize = 2;
    /// A category of more values gets vectors unless it is told otherwise; default of `max_values`
    /// where it gets inputs.
    pub const MAX_ONE_HOT: usize = 256;
    /// Default of `slots`.
    pub const SLOTS: usize = 32;
    /// Numbers of the vector of a word, unless told otherwise.
    const WORD_WIDTH: usize = 32;
    /// Most numbers of a vector that is not asked for.
    const MAX_AUTO: usize = 64;

    /// A column with every setting at its default.
    pub fn new(column: &str) -> Feature {
        Feature {
            column: column.to_owned(),
            kind: None,
            scale: None,
            clip: None,
            missing: None,
            decimal: None,
            dates: None,
            min_count: None,
            max_values: None,
            buckets: None,
            slots: None,
            ngrams: None,
            embed: None,
        }
    }

    /// `clip`, or the default of a version: before 0.2 a number was taken as it is, however far
    /// outside it lay.
    pub fn clip(&self, version: Version) -> f64 {
        self.clip.unwrap_or(if version >= Version::V0_2 { 2.0 } else { 0.0 })
    }

    /// `max_values`, or its default: a vector costs memory, an input the time of a product as well.
    pub fn max_values(&self) -> usize {
        self.max_values.unwrap_or(if self.embed == Some(Embed::Width(0)) {
            Feature::MAX_ONE_HOT
        } else {
            1 << 16
        })
    }

    /// `buckets`, or its default, likewise.
    pub fn buckets(&self) -> usize {
        self.buckets.unwrap_or(if self.embed == Some(Embed::Width(0)) { 1024 } else { 4096 })
    }

    /// Numbers of the vector of each of so many values; 0 = an input each. If nothing is said, the
    /// rule of thumb of fastai's tabular models, 1.6 n^0.56 (Howard and Gugger, 2020), in whole
    /// fours.
    pub fn value_width(&self, values: usize) -> usize {
        match self.embed {
            Some(Embed::Width(width)) => width,
            _ if values <= Feature::MAX_ONE_HOT => 0,
            _ => ((1.6 * (values as f64).powf(0.56)).ceil() as usize)
                .next_multiple_of(4)
                .min(Feature::MAX_AUTO),
        }
    }

    /// Numbers of the vector of a word; 0 = an input a bucket.
    pub fn word_width(&self) -> usize {
        if let Some(Embed::Width(width)) = self.embed { width } else { Feature::WORD_WIDTH }
    }
}

/// What the cells of a feature column mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureKind {
    /// Numbers.
    Numeric,
    /// One of several values.
    Category,
    /// One of two values.
    Binary,
    /// A day, perhaps with a time.
    Date,
    /// Words.
    Text,
    /// Nothing that is of use.
    Ignore,
}

/// Sign between the whole part and the fraction of the numbers in texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decimal {
    /// Found for each column, one for a table where its columns allow it.
    Auto,
    /// `1234.5`, `1,234.5`.
    Point,
    /// `1234,5`, `1.234,5`.
    Comma,
}

/// Order of year, month and day in the dates of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dates {
    /// Found for each column.
    Auto,
    /// Year, month, day.
    Ymd,
    /// Month, day, year.
    Mdy,
    /// Day, month, year.
    Dmy,
}

/// Scaling of a numeric column, fitted on the training part alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// (x − mean) / standard deviation (population).
    Standard,
    /// (x − min) / (max − min).
    MinMax,
    /// (x − median) / (third quartile − first quartile).
    Robust,
    /// As it is.
    None,
}

/// `[trunk]`: the layers that all tasks share.
#[derive(Clone, Debug, PartialEq)]
pub struct Trunk {
    /// Widths; empty = none.
    pub layers: Vec<usize>,
    /// Activation of every layer.
    pub activation: Activation,
    /// Dropout rate after every layer, in [0, 1).
    pub dropout: f64,
    /// Initial weights, of the whole network.
    pub init: Init,
    /// Whether it stays as it begins.
    pub freeze: bool,
}

/// An activation function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// max(z, 0)
    Relu,
    /// tanh z
    Tanh,
    /// z Φ(z), exact, by erf (Hendrycks and Gimpel, 2016)
    Gelu,
    /// z / (1 + e^−z)
    Silu,
    /// z
    Identity,
}

/// How weights start; biases start at zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// He for relu, gelu and silu, Xavier for tanh and identity.
    Auto,
    /// Normal with variance 2 / inputs (He et al., 2015).
    He,
    /// Normal with variance 2 / (inputs + outputs) (Glorot and Bengio, 2010).
    Xavier,
}

/// `[task.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its name everywhere.
    pub name: String,
    /// What it learns.
    pub kind: TaskKind,
    /// Label columns: one; several for multilabel and regression.
    pub targets: Vec<String>,
    /// Classes made of label values: (class name, label values as text). Empty = the label values
    /// are the classes.
    pub groups: Vec<(String, Vec<String>)>,
    /// Widths of its own tower; empty = none.
    pub layers: Vec<usize>,
    /// Activation of its tower; the trunk's where there is no tower.
    pub activation: Activation,
    /// Dropout rate in its tower.
    pub dropout: f64,
    /// w_i in the objective.
    pub weight: f64,
    /// L_i.
    pub loss: Loss,
    /// The class that counts as positive (binary only); `None` = the second one.
    pub positive: Option<String>,
    /// Scaling of the labels, turned back in predictions and metrics (regression only).
    pub scale: Scale,
    /// Texts of its label columns that mean "not labelled"; `None` = those of the data.
    pub missing: Option<Vec<String>>,
    /// k of the metric `top_k` (multiclass only).
    pub top_k: usize,
}

impl Task {
    /// A task of several classes with every other setting at its default: no tower, weight one.
    pub fn multiclass(name: &str) -> Task {
        Task {
            name: name.into(),
            kind: TaskKind::Multiclass,
            targets: vec![name.into()],
            groups: Vec::new(),
            layers: Vec::new(),
            activation: Activation::Relu,
            dropout: 0.0,
            weight: 1.0,
            loss: Loss::default_of(TaskKind::Multiclass),
            positive: None,
            scale: Scale::Standard,
            missing: None,
            top_k: 5,
        }
    }
}

impl Loss {
    /// The loss of a task that names none.
    pub fn default_of(kind: TaskKind) -> Loss {
        match kind {
            TaskKind::Multiclass => Loss::CrossEntropy {
                label_smoothing: 0.0,
                focal_gamma: 0.0,
                class_weights: ClassWeights::None,
            },
            TaskKind::Binary | TaskKind::Multilabel => {
                Loss::Logistic { focal_gamma: 0.0, positive_weight: PositiveWeight::Given(1.0) }
            }
            TaskKind::Regression => Loss::Squared,
            TaskKind::Count => Loss::Poisson { per_mean: true },
        }
    }
}

/// Type of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// One of C classes, C logits.
    Multiclass,
    /// One of two classes, one logit, that of the positive class.
    Binary,
    /// Several columns, each yes or no, one logit each.
    Multilabel,
    /// One number or several, one output each.
    Regression,
    /// A count, 0, 1, 2, …; the output is the logarithm of its rate.
    Count,
}

/// Loss of one task, as the configuration states it.
#[derive(Clone, Debug, PartialEq)]
pub enum Loss {
    /// −Σ t ln softmax(z) (multiclass).
    CrossEntropy {
        /// Share of the target that is spread over all classes (Szegedy et al., 2016).
        label_smoothing: f64,
        /// γ of the focal loss (Lin et al., 2017); 0 = cross-entropy.
        focal_gamma: f64,
        /// Weights of the classes.
        class_weights: ClassWeights,
    },
    /// Cross-entropy on the logit (binary, multilabel).
    Logistic {
        /// γ of the focal loss; 0 = cross-entropy.
        focal_gamma: f64,
        /// Weight of the positive class.
        positive_weight: PositiveWeight,
    },
    /// (z − y)² (regression).
    Squared,
    /// |z − y| (regression).
    Absolute,
    /// ½ d² up to δ, then δ (d − ½ δ) (Huber, 1964) (regression).
    Huber {
        /// Where it turns linear, in units of the scaled label.
        delta: f64,
    },
    /// max(q (y − z), (q − 1) (y − z)) (Koenker and Bassett, 1978) (regression).
    Quantile {
        /// The quantile, in (0, 1).
        quantile: f64,
    },
    /// e^z − y z (count).
    Poisson {
        /// Whether it is divided by the mean of the training part's counts (`scale_loss`).
        per_mean: bool,
    },
}

/// Weights of the classes of a multiclass task.
#[derive(Clone, Debug, PartialEq)]
pub enum ClassWeights {
    /// All one.
    None,
    /// rows / (classes · rows of the class), over the training part.
    Balanced,
    /// By class name; classes that are not named have 1.
    Given(Vec<(String, f64)>),
}

/// Weight of the positive class of a binary task or of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PositiveWeight {
    /// So much.
    Given(f64),
    /// Negative rows over positive rows of the training part, column by column.
    Balanced,
}

/// `[[coupling]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Coupling {
    /// Name of the kind, one of `objective::couplings`.
    pub kind: String,
    /// λ in the objective.
    pub strength: f64,
    /// Pairs of task names; `None` = every pair to which the kind applies.
    pub pairs: Option<Vec<[String; 2]>>,
}

/// `[optimizer]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimizer {
    /// Update rule.
    pub kind: OptimizerKind,
    /// Base learning rate.
    pub learning_rate: f64,
    /// L2 in adam and sgd, decoupled in adamw.
    pub weight_decay: f64,
    /// Whether biases decay too.
    pub decay_biases: bool,
    /// Largest global gradient norm; 0 = off.
    pub clip_norm: f64,
    /// Course of the learning rate after the warm-up.
    pub schedule: Schedule,
    /// Steps over which the learning rate rises linearly from 0 (exclusive) to its base.
    pub warmup_steps: u64,
}

/// Update rule with its own constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimizerKind {
    /// Kingma and Ba, 2015; weight decay as L2.
    Adam {
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the root of the second moment.
        eps: f64,
    },
    /// Loshchilov and Hutter, 2019; weight decay decoupled.
    AdamW {
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the root of the second moment.
        eps: f64,
    },
    /// Stochastic gradient descent, momentum as in PyTorch (no dampening).
    Sgd {
        /// Momentum; 0 = none.
        momentum: f64,
        /// Nesterov's form.
        nesterov: bool,
    },
}

impl OptimizerKind {
    /// Arenas of what it remembers.
    pub fn moments(self) -> usize {
        match self {
            OptimizerKind::Adam { .. } | OptimizerKind::AdamW { .. } => 2,
            OptimizerKind::Sgd { .. } => 1,
        }
    }
}

/// Course of the learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// No change.
    Constant,
    /// ½ (1 + cos π t) per step, to 0 at the end (Loshchilov and Hutter, 2017, without restarts).
    Cosine,
    /// Times `gamma` after every `step_size`.
    Step {
        /// How long each level lasts.
        step_size: Every,
        /// Factor.
        gamma: f64,
    },
}

/// A number of steps or of epochs: `"100s"`, `"1e"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// Steps.
    Steps(u64),
    /// Epochs.
    Epochs(u64),
}

impl Every {
    /// The same in steps, given those of an epoch; 1 at least.
    pub fn steps(self, epoch: u64) -> u64 {
        match self {
            Every::Steps(n) => n.max(1),
            Every::Epochs(n) => n.saturating_mul(epoch).max(1),
        }
    }
}

/// `[train]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Train {
    /// Passes over the training part.
    pub epochs: u64,
    /// Stop after this many steps.
    pub max_steps: Option<u64>,
    /// Stop after this many seconds.
    pub max_time: Option<f64>,
    /// Rows a step.
    pub batch_size: BatchSize,
    /// Seed of order, initial weights and dropout.
    pub seed: u64,
    /// Evaluations without improvement before training stops; 0 = never.
    pub patience: u64,
    /// What picks `model/`.
    pub select: Select,
    /// How often the parts of `evaluate` are measured; they always are after the last step.
    pub evaluate_every: Every,
    /// Parts that are measured during training, those of [`Data`] that there are; the test part
    /// never selects.
    pub evaluate: Vec<Evaluated>,
    /// How often a training point is logged.
    pub log_every: Every,
    /// How often a checkpoint is written; there is always one at the end.
    pub checkpoint_every: Interval,
    /// Checkpoints that are kept, the newest ones.
    pub keep: usize,
    /// What is done when a value is not finite.
    pub on_nan: OnNan,
    /// Parts of equal size that a batch is worked off in.
    pub accumulate: usize,
    /// What products are computed with.
    pub precision: Precision,
}

/// What products are computed with. Parameters, moments, sums and everything else are f32 in any
/// case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// f32, in an order of sums that every adapter of a class shares.
    F32,
    /// f32 by the adapter's matrix unit, in the unit's own order.
    F32Matrix,
    /// Operands rounded to f16, by the matrix unit, gradients scaled so that they keep within its
    /// range.
    Mixed,
}

/// How often a checkpoint is written: `"1e"`, `"500s"`, `"10m"`, `"2h"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Interval {
    /// Every so many steps or epochs.
    Every(Every),
    /// Every so many minutes.
    Minutes(f64),
}

/// What is done when a value is not finite. The step that made it changes nothing in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnNan {
    /// The run ends.
    Stop,
    /// The step is left out; ten in a row end the run.
    Skip,
    /// The run goes back to its last checkpoint and on with half the learning rate; the fourth time
    /// it ends.
    Rollback,
}

/// Rows of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchSize {
    /// So many; the last of an epoch may be shorter.
    Rows(usize),
    /// All of them.
    Full,
}

/// A part that is measured during training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluated {
    /// The validation part, which selects and stops.
    Valid,
    /// The test part, which is shown and nothing more.
    Test,
}

/// Which figure of the validation part picks the best model.
#[derive(Clone, Debug, PartialEq)]
pub enum Select {
    /// Mean over the tasks of their loss divided by that of predicting the training mean or the
    /// class shares.
    RelativeLoss,
    /// The combined loss, with weights and couplings.
    Loss,
    /// Mean of the tasks' primary metrics.
    Mean,
    /// One metric of one task, or its loss.
    Metric {
        /// Task name.
        task: String,
        /// Metric name, or `loss`.
        metric: String,
    },
    /// The weighted mean of several.
    Weighted(Vec<Term>),
}

impl Select {
    /// What picks the model where nothing is said.
    pub fn default_of(version: Version) -> Select {
        if version == Version::V0_1 { Select::Mean } else { Select::RelativeLoss }
    }
}

/// A metric of a task in what picks the best model.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Task name.
    pub task: String,
    /// Metric name, or `loss`.
    pub metric: String,
    /// Its weight.
    pub weight: f64,
}
