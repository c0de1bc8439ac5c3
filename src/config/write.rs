//! A [`Config`] back to TOML: fully resolved, so that training from the text reproduces the run.

use std::fmt::{Display, Write as _};
use std::path::Path;

use super::words::{is_bare, loss_word};
use super::{
    ArrayNames, BatchSize, ClassWeights, Config, Coupling, Data, Embed, Evaluated, Feature, Loss,
    Optimizer, OptimizerKind, Overlay, PositiveWeight, Schedule, Select, Source, Task, TaskKind,
    Train, Trunk,
};

/// The text of a configuration, every key with an effect written out and paths absolute;
/// `read::from_text` makes the same [`Config`] of it again.
pub fn to_toml(config: &Config) -> String {
    let mut text = Text(String::new());
    text.set("version", quote(config.data.version));
    text.data(&config.data);
    config.data.features.iter().for_each(|feature| text.feature(feature));
    text.trunk(&config.trunk);
    config.tasks.iter().for_each(|task| text.task(task));
    config.couplings.iter().for_each(|coupling| text.coupling(coupling));
    text.optimizer(&config.optimizer);
    text.train(&config.train, &config.data);
    text.0
}

/// TOML in the making.
struct Text(String);

impl Text {
    /// Starts a table.
    fn table(&mut self, header: impl Display) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        let _ = writeln!(self.0, "{gap}{header}");
    }

    /// One key; `value` is TOML already.
    fn set(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.0, "{key} = {value}");
    }

    /// A number, in the shortest form that reads back as the same.
    fn number(&mut self, key: &str, value: f64) {
        self.set(key, format_args!("{value:?}"));
    }

    fn data(&mut self, data: &Data) {
        self.table("[data]");
        self.set("train", named(source(&data.train), &data.names));
        data.valid.iter().for_each(|valid| self.set("valid", source(valid)));
        data.test.iter().for_each(|test| self.set("test", source(test)));
        self.text_file(data);
        self.split(data);
        if let Some(Overlay { shift, seed }) = data.overlay {
            self.set("overlay", format_args!("{{ shift = {shift}, seed = {seed} }}"));
        }
        if !data.ignore.is_empty() {
            self.set("ignore", texts(&data.ignore));
        }
        if data.train.has_columns() {
            match &data.missing {
                Some(missing) => self.set("missing", texts(missing)),
                None => self.set("missing", quote("auto")),
            }
            self.set("decimal", quote(data.decimal));
            self.set("dates", quote(data.dates));
        }
        data.row_weight.iter().for_each(|column| self.set("row_weight", quote(column)));
        data.memory.iter().for_each(|bytes| self.set("memory", bytes));
        data.shuffle_window.iter().for_each(|rows| self.set("shuffle_window", rows));
    }

    /// How lines become cells.
    fn text_file(&mut self, data: &Data) {
        data.delimiter.iter().for_each(|delimiter| self.set("delimiter", quote(delimiter)));
        if !data.header {
            self.set("header", false);
        }
    }

    /// No split has to be said where the default would be one.
    fn split(&mut self, data: &Data) {
        let own = matches!(data.train, Source::BuiltIn(_)) || data.split_column.is_some();
        let splittable = !own && (data.valid.is_none() || data.test.is_none());
        match data.split {
            Some(shares) => {
                self.set("split", format_args!("{shares:?}"));
                self.set("split_seed", data.split_seed);
            }
            None if splittable => self.set("split", "[1.0, 0.0, 0.0]"),
            None => {}
        }
        if let Some((fold, folds)) = data.fold {
            if data.split.is_none() {
                self.set("split_seed", data.split_seed);
            }
            self.set("folds", folds);
            self.set("fold", fold);
        }
        for (name, value) in [
            ("split_column", &data.split_column),
            ("stratify", &data.stratify),
            ("group", &data.group),
        ] {
            value.iter().for_each(|value| self.set(name, quote(value)));
        }
    }

    fn feature(&mut self, feature: &Feature) {
        self.table(format_args!("[feature.{}]", key(&feature.column)));
        feature.kind.iter().for_each(|kind| self.set("type", quote(kind)));
        feature.missing.iter().for_each(|missing| self.set("missing", texts(missing)));
        feature.decimal.iter().for_each(|decimal| self.set("decimal", quote(decimal)));
        feature.dates.iter().for_each(|dates| self.set("dates", quote(dates)));
        feature.scale.iter().for_each(|scale| self.set("scale", quote(scale)));
        feature.clip.iter().for_each(|clip| self.number("clip", *clip));
        let numbers = [
            ("min_count", feature.min_count),
            ("max_values", feature.max_values),
            ("buckets", feature.buckets),
            ("slots", feature.slots),
            ("ngrams", feature.ngrams),
        ];
        for (name, number) in numbers {
            number.iter().for_each(|number| self.set(name, number));
        }
        match feature.embed {
            Some(Embed::Auto) => self.set("embed", quote("auto")),
            Some(Embed::Width(width)) => self.set("embed", width),
            None => {}
        }
    }

    fn trunk(&mut self, trunk: &Trunk) {
        self.table("[trunk]");
        self.set("layers", format_args!("{:?}", trunk.layers));
        self.set("activation", quote(trunk.activation));
        if !trunk.layers.is_empty() {
            self.number("dropout", trunk.dropout);
        }
        self.set("init", quote(trunk.init));
        if !trunk.layers.is_empty() {
            self.set("freeze", trunk.freeze);
        }
    }

    fn task(&mut self, task: &Task) {
        self.table(format_args!("[task.{}]", key(&task.name)));
        self.set("type", quote(task.kind));
        match &task.targets[..] {
            [one] => self.set("target", quote(one)),
            several => self.set("target", texts(several)),
        }
        if !task.groups.is_empty() {
            let groups: Vec<String> = task
                .groups
                .iter()
                .map(|(class, values)| format!("{} = {}", key(class), texts(values)))
                .collect();
            self.set("groups", format_args!("{{ {} }}", groups.join(", ")));
        }
        self.set("layers", format_args!("{:?}", task.layers));
        if !task.layers.is_empty() {
            self.set("activation", quote(task.activation));
            self.number("dropout", task.dropout);
        }
        self.number("weight", task.weight);
        self.loss(task);
        task.positive.iter().for_each(|class| self.set("positive", quote(class)));
        task.missing.iter().for_each(|missing| self.set("missing", texts(missing)));
        match task.kind {
            TaskKind::Multiclass => self.set("top_k", task.top_k),
            TaskKind::Regression => self.set("scale", quote(task.scale)),
            _ => {}
        }
    }

    fn loss(&mut self, task: &Task) {
        self.set("loss", quote(loss_word(&task.loss)));
        match &task.loss {
            Loss::CrossEntropy { label_smoothing, focal_gamma, class_weights } => {
                self.number("label_smoothing", *label_smoothing);
                self.number("focal_gamma", *focal_gamma);
                match class_weights {
                    ClassWeights::None => {}
                    ClassWeights::Balanced => self.set("class_weights", quote("balanced")),
                    ClassWeights::Given(weights) => {
                        let weights: Vec<String> = weights
                            .iter()
                            .map(|(class, w)| format!("{} = {w:?}", key(class)))
                            .collect();
                        self.set("class_weights", format_args!("{{ {} }}", weights.join(", ")));
                    }
                }
            }
            Loss::Logistic { focal_gamma, positive_weight } => {
                self.number("focal_gamma", *focal_gamma);
                match positive_weight {
                    PositiveWeight::Given(weight) => self.number("positive_weight", *weight),
                    PositiveWeight::Balanced => self.set("positive_weight", quote("balanced")),
                }
            }
            Loss::Huber { delta } => self.number("huber_delta", *delta),
            Loss::Quantile { quantile } => self.number("quantile", *quantile),
            Loss::Poisson { per_mean } => self.set("scale_loss", per_mean),
            Loss::Squared | Loss::Absolute => {}
        }
    }

    fn coupling(&mut self, coupling: &Coupling) {
        self.table("[[coupling]]");
        self.set("kind", quote(&coupling.kind));
        self.number("strength", coupling.strength);
        if let Some(pairs) = &coupling.pairs {
            let pairs: Vec<String> = pairs.iter().map(|pair| texts(pair)).collect();
            self.set("pairs", format_args!("[{}]", pairs.join(", ")));
        }
    }

    fn optimizer(&mut self, optimizer: &Optimizer) {
        self.table("[optimizer]");
        self.rule(optimizer);
        self.number("weight_decay", optimizer.weight_decay);
        self.set("decay_biases", optimizer.decay_biases);
        self.number("clip_norm", optimizer.clip_norm);
        self.schedule(optimizer.schedule);
        self.set("warmup_steps", optimizer.warmup_steps);
    }

    /// The update rule with its constants.
    fn rule(&mut self, optimizer: &Optimizer) {
        let (word, constants) = match optimizer.kind {
            OptimizerKind::Adam { beta1, beta2, eps } => {
                ("adam", vec![("beta1", beta1), ("beta2", beta2), ("eps", eps)])
            }
            OptimizerKind::AdamW { beta1, beta2, eps } => {
                ("adamw", vec![("beta1", beta1), ("beta2", beta2), ("eps", eps)])
            }
            OptimizerKind::Sgd { momentum, .. } => ("sgd", vec![("momentum", momentum)]),
        };
        self.set("kind", quote(word));
        self.number("learning_rate", optimizer.learning_rate);
        constants.into_iter().for_each(|(key, value)| self.number(key, value));
        if let OptimizerKind::Sgd { nesterov, .. } = optimizer.kind {
            self.set("nesterov", nesterov);
        }
    }

    fn schedule(&mut self, schedule: Schedule) {
        match schedule {
            Schedule::Constant => self.set("schedule", quote("constant")),
            Schedule::Cosine => self.set("schedule", quote("cosine")),
            Schedule::Step { step_size, gamma } => {
                self.set("schedule", quote("step"));
                self.set("step_size", quote(step_size));
                self.number("gamma", gamma);
            }
        }
    }

    fn train(&mut self, train: &Train, data: &Data) {
        self.table("[train]");
        self.set("epochs", train.epochs);
        train.max_steps.iter().for_each(|steps| self.set("max_steps", steps));
        train.max_time.iter().for_each(|seconds| self.number("max_time", *seconds));
        match train.batch_size {
            BatchSize::Rows(rows) => self.set("batch_size", rows),
            BatchSize::Full => self.set("batch_size", quote("full")),
        }
        self.set("seed", train.seed);
        if data.has_validation() {
            self.set("patience", train.patience);
            self.set("select", select(&train.select));
        }
        if !train.evaluate.is_empty() {
            let parts: Vec<String> = train.evaluate.iter().map(Evaluated::to_string).collect();
            self.set("evaluate_every", quote(train.evaluate_every));
            self.set("evaluate", texts(&parts));
        }
        self.set("log_every", quote(train.log_every));
        self.set("checkpoint_every", quote(train.checkpoint_every));
        self.set("keep", train.keep);
        self.set("on_nan", quote(train.on_nan));
        self.set("accumulate", train.accumulate);
        self.set("precision", quote(train.precision));
    }
}

/// A source as TOML.
fn source(source: &Source) -> String {
    match source {
        Source::Table(files) => match &files[..] {
            [one] => path(one),
            several => format!(
                "[{}]",
                several.iter().map(|file| path(file)).collect::<Vec<_>>().join(", ")
            ),
        },
        Source::Npy { features, labels } => {
            format!("{{ features = {}, labels = {} }}", path(features), path(labels))
        }
        Source::Idx { images, labels } => {
            format!("{{ images = {}, labels = {} }}", path(images), path(labels))
        }
        Source::BuiltIn(name) => quote(name),
    }
}

/// A source with the names of its columns, where they have some.
fn named(source: String, names: &ArrayNames) -> String {
    let mut source = source;
    for (key, names) in [("feature_names", &names.features), ("label_names", &names.labels)] {
        if let (false, Some(start)) = (names.is_empty(), source.strip_suffix(" }")) {
            source = format!("{start}, {key} = {} }}", texts(names));
        }
    }
    source
}

/// A path as TOML, absolute since the text will be read in another directory.
fn path(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    quote(absolute.display())
}

/// What picks the model, as TOML.
fn select(select: &Select) -> String {
    match select {
        Select::RelativeLoss => quote("relative_loss"),
        Select::Loss => quote("loss"),
        Select::Mean => quote("mean"),
        Select::Metric { task, metric } => quote(format_args!("{task}.{metric}")),
        Select::Weighted(terms) => {
            let terms: Vec<String> = terms
                .iter()
                .map(|t| {
                    format!("{} = {:?}", quote(format_args!("{}.{}", t.task, t.metric)), t.weight)
                })
                .collect();
            format!("{{ {} }}", terms.join(", "))
        }
    }
}

/// A list of texts as TOML.
pub(crate) fn texts(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(quote).collect();
    format!("[{}]", quoted.join(", "))
}

/// A key as TOML: bare where it can be.
pub(crate) fn key(key: &str) -> String {
    if is_bare(key) { key.to_owned() } else { quote(key) }
}

/// A basic string of TOML.
pub(crate) fn quote(text: impl Display) -> String {
    let mut out = String::from('"');
    for c in text.to_string().chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", c as u32);
            }
            c => out.push(c),
        }
    }
    out + "\""
}
