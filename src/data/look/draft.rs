//! Drafts a commented configuration for a surveyed table. It is a start for editing, and trains as
//! it is.

use std::fmt::Write as _;

use crate::config::write::{key, quote, texts};
use crate::config::{Decimal, Feature, FeatureKind, TaskKind};
use crate::data::look::pictures::Pictures;
use crate::data::look::survey::{ColumnSurvey, ProposedTask, Survey, WILD, overlap};
use crate::fault::quoted;
use crate::text::short;

/// The largest number of tasks whose conflict is proposed to be measured.
const OBSERVED: usize = 32;

/// The largest number of texts in a column of numbers that are no numbers and are listed one by
/// one.
const SLIPS: usize = 16;
/// At most this many different whole numbers may be codes.
const CODES: usize = 8;
/// Number of rows from which on some are kept for validation.
const SOME: usize = 30;
/// Number of rows from which on some are kept for a test.
const FULL: usize = 300;

/// The data that a configuration is drafted from.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'d> {
    /// The value of `data.train`, as TOML.
    pub train: &'d str,
    /// The images, if features are images.
    pub pictures: Option<&'d Pictures>,
    /// Whether the file names its columns.
    pub header: bool,
    /// The character between the cells of a line, if the user gave it.
    pub delimiter: Option<char>,
    /// The survey of the table.
    pub survey: &'d Survey,
    /// The proposed tasks.
    pub tasks: &'d [ProposedTask],
    /// Notices that came up when the table was read.
    pub notices: &'d [String],
}

/// Sizes that suit a number of rows. These and the other settings were chosen on nine tables;
/// `docs/tried.md` has the figures.
struct Sizes {
    layers: &'static str,
    batch: usize,
    epochs: usize,
    rate: &'static str,
}

impl Sizes {
    /// Batches grow with the rows. The number of epochs gives a certain number of steps, within
    /// bounds.
    fn of(rows: usize, is_text: bool) -> Sizes {
        let (layers, batch, steps) = match rows {
            0..=499 => ("[256, 256]", 32, 4000),
            500..=9_999 => ("[256, 256]", 64, 8000),
            10_000..=99_999 => ("[256, 256]", 128, 2000),
            100_000..=1_999_999 => ("[128, 128]", 256, 3000),
            _ => ("[128, 128]", 1024, 3000),
        };
        let epochs = (steps * batch / rows.max(1)).clamp(3, 300);
        // The vectors of words are learned too fast at other rates, and in a few epochs, or a
        // thousand steps where rows are few.
        let few = (1000 * batch / rows.max(1)).max(40);
        match is_text {
            true => Sizes { layers, batch, epochs: epochs.min(few), rate: "3e-4" },
            false => Sizes { layers, batch, epochs, rate: "3e-3" },
        }
    }
}

impl Draft<'_> {
    /// The text of the configuration.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let survey = self.survey;
        writeln!(
            out,
            "# {} rows and {} columns of {}; made by tandem init.",
            survey.rows,
            survey.columns.len(),
            comment(&survey.place)
        )?;
        writeln!(
            out,
            "# A start to edit: a line that begins with # says what was seen, every other one can \
             be changed."
        )?;
        for notice in self.notices {
            writeln!(out, "# Note: {}", comment(notice))?;
        }
        self.data(out)?;
        if self.pictures.is_none() {
            self.features(out)?;
        }
        if self.tasks.len() > 1 {
            writeln!(out, "\n[architecture]                   # how the tasks share the network")?;
            writeln!(out, "kind = \"shared\"                  # others: docs/architectures.md")?;
        }
        let sizes = Sizes::of(survey.rows, self.is_text());
        writeln!(out, "\n[trunk]                          # the layers that all tasks share")?;
        writeln!(out, "layers = {}", sizes.layers)?;
        writeln!(out, "activation = \"relu\"              # relu, tanh, gelu, silu, identity")?;
        writeln!(out, "dropout = 0.1")?;
        writeln!(
            out,
            "init = {:<26}# how initial weights are drawn: xavier, he, auto",
            // Vectors of words begin too large with xavier.
            if self.is_text() { "\"auto\"" } else { "\"xavier\"" }
        )?;
        self.tasks.iter().try_for_each(|task| self.task(task, out))?;
        for (a, b, rows) in overlap(self.tasks) {
            writeln!(
                out,
                "# {rows} rows are labelled for both {} and {}.",
                self.tasks[a].name, self.tasks[b].name
            )?;
        }
        if (2..=OBSERVED).contains(&self.tasks.len()) {
            let every = 50 * self.tasks.len().div_ceil(2);
            writeln!(out, "\n[balance]                        # tasks that pull apart")?;
            writeln!(out, "method = \"none\"                  # others: docs/balancing.md")?;
            writeln!(
                out,
                "{:33}# measure every so many steps how much",
                format!("observe = {every}")
            )?;
        }
        self.training(&sizes, out)
    }

    fn data(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\n[data]")?;
        writeln!(out, "train = {}", self.train)?;
        if !self.header {
            writeln!(
                out,
                "header = false                   # columns are called by their numbers, from 0"
            )?;
        }
        self.split(out)?;
        if let Some(pictures) = self.pictures {
            return pictures_of(pictures, out);
        }
        self.reading(out)?;
        for column in &self.survey.columns {
            for (text, rows) in column.doubtful.iter().filter(|_| !self.is_target(column)) {
                let (text, name) = (comment(&quoted(text)), comment(&quoted(&column.name)));
                writeln!(
                    out,
                    "# {text} in column {name} ({rows} rows) may mean \"blank\" too; it is taken \
                     for a value as long as it is not in missing."
                )?;
            }
        }
        let ids: Vec<&ColumnSurvey> =
            self.survey.columns.iter().filter(|column| self.is_ignored(column)).collect();
        if ids.is_empty() {
            return writeln!(
                out,
                "# ignore = [\"…\"]                 # columns that are neither features nor labels"
            );
        }
        let names: Vec<String> = ids.iter().map(|column| column.name.clone()).collect();
        writeln!(out, "ignore = {}  # all values differ: names of rows, it seems", texts(&names))?;
        ids.iter().filter_map(|column| Some((column, column.nearly_numbers()?))).try_for_each(
            |(column, nearly)| {
                writeln!(
                    out,
                    "# {} names no rows, perhaps: {}",
                    comment(&quoted(&column.name)),
                    comment(&nearly)
                )
            },
        )
    }

    /// Whether half of the features or more are texts.
    fn is_text(&self) -> bool {
        let features =
            self.survey.columns.iter().filter(|c| !self.is_target(c) && !self.is_ignored(c));
        let (texts, all) = features.fold((0, 0), |(texts, all), column| {
            (texts + usize::from(column.kind == FeatureKind::Text), all + 1)
        });
        texts > 0 && 2 * texts >= all
    }

    /// How cells are read, as far as it was given or found.
    fn reading(&self, out: &mut String) -> std::fmt::Result {
        let given = &self.survey.given;
        self.delimiter.iter().try_for_each(|sign| writeln!(out, "delimiter = {}", quote(sign)))?;
        if given.decimal != Decimal::Auto {
            writeln!(
                out,
                "decimal = {}                    # sign between the whole part and the fraction \
                 of numbers",
                quote(given.decimal)
            )?;
        }
        let found: Vec<String> =
            self.survey.missing.iter().map(|text| comment(&quoted(text))).collect();
        match &given.missing {
            Some(missing) => writeln!(
                out,
                "missing = {}  # texts that mean that a cell is blank",
                texts(missing)
            ),
            None => writeln!(
                out,
                "missing = \"auto\"                # texts that mean that a cell is blank; found: \
                 {}",
                found.join(", ")
            ),
        }
    }

    /// The task with the rarest class.
    fn rarest(&self) -> Option<&ProposedTask> {
        let classes = self
            .tasks
            .iter()
            .filter(|task| matches!(task.kind, TaskKind::Multiclass | TaskKind::Binary));
        classes.min_by_key(|task| task.balance.last().map(|(_, rows)| *rows))
    }

    /// The number of rows that decides the shares. It is lower if a class is rare, since a class of
    /// fewer than ten rows has none in the validation part under shares of 0.8, 0.1 and 0.1.
    fn rows_for_shares(&self) -> usize {
        let rows = self.survey.rows;
        let shared_out =
            self.rarest().map_or(rows, |task| FULL * rows / 10 / task.balance.len().max(1));
        rows.min(shared_out.max(SOME))
    }

    /// The split, chosen so that no part is empty and each class is trained on.
    fn split(&self, out: &mut String) -> std::fmt::Result {
        let rows = self.survey.rows;
        let rarest = self.rarest();
        let (shares, comment) = match self.rows_for_shares() {
            0..SOME => ("[1.0, 0.0, 0.0]", "too few rows to keep some for validation"),
            SOME..FULL => ("[0.8, 0.2, 0.0]", "shares that train, validate and test"),
            _ => ("[0.8, 0.1, 0.1]", "shares that train, validate and test"),
        };
        writeln!(
            out,
            "split = {shares}          # {comment}; valid = \"…\" and test = \"…\" name files \
             instead"
        )?;
        match rarest.filter(|_| rows >= SOME) {
            Some(task) => {
                writeln!(
                    out,
                    "stratify = {}  # each of its classes is shared out alike, so that all are \
                     trained on",
                    quote(&task.name)
                )
            }
            None => Ok(()),
        }
    }

    fn is_target(&self, column: &ColumnSurvey) -> bool {
        self.tasks.iter().any(|task| task.columns.contains(&column.name))
    }

    fn is_ignored(&self, column: &ColumnSurvey) -> bool {
        !self.is_target(column) && column.is_id(self.survey.rows)
    }

    /// The type of each feature, as a comment, and tables for the columns that need settings.
    fn features(&self, out: &mut String) -> std::fmt::Result {
        let features: Vec<&ColumnSurvey> = self
            .survey
            .columns
            .iter()
            .filter(|c| !self.is_target(c) && !self.is_ignored(c))
            .collect();
        writeln!(
            out,
            "\n# Features, each with the type that it is taken for. [feature.NAME] with type = \
             numeric, category, binary, date, text or"
        )?;
        writeln!(out, "# ignore says otherwise; docs/config.md has the other keys.")?;
        let name = |column: &ColumnSurvey| comment(&key(&column.name));
        let width =
            features.iter().map(|column| name(column).chars().count()).max().unwrap_or(0).min(32);
        for column in &features {
            let kind = if column.codes().is_some() { FeatureKind::Category } else { column.kind };
            writeln!(
                out,
                "#   {:width$}  {:8}  {}",
                name(column),
                kind.to_string(),
                comment(&values_phrase(column))
            )?;
        }
        for (column, what) in features.iter().filter_map(|column| Some((column, column.codes()?))) {
            writeln!(out, "\n[feature.{}]", key(&column.name))?;
            writeln!(
                out,
                "type = \"category\"                # {what}, by its name; numeric if more of it \
                 means more"
            )?;
        }
        features
            .iter()
            .filter(|column| !column.odd.is_empty() && column.codes().is_none())
            .try_for_each(|column| self.slips(column, out))
    }

    /// A table for a column of numbers or dates in which some cells are none.
    fn slips(&self, column: &ColumnSurvey, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\n[feature.{}]", key(&column.name))?;
        let what = if column.kind == FeatureKind::Date { "dates" } else { "numbers" };
        if column.odd.len() > SLIPS {
            return writeln!(
                out,
                "type = \"category\"                # {} of its values are no {what}",
                column.odd.len()
            );
        }
        let all: Vec<String> = column.meaning.missing.iter().chain(&column.odd).cloned().collect();
        writeln!(
            out,
            "missing = {}  # some are no {what}: correct them in the file, or leave them blank as \
             here",
            texts(&all)
        )
    }

    fn task(&self, task: &ProposedTask, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\n[task.{}]", key(&task.name))?;
        let guessed = if task.guessed { "guessed; " } else { "" };
        let or = match task.kind {
            TaskKind::Multiclass => "or regression, count if the labels are numbers",
            TaskKind::Binary => "or multiclass",
            TaskKind::Regression => "or count (0, 1, 2, …), or multiclass",
            TaskKind::Count => "or regression",
            TaskKind::Multilabel => "a yes or no for each column",
            TaskKind::Tags => "or multiclass, for labels of single tokens",
        };
        writeln!(out, "type = {}  # {guessed}{or}", quote(task.kind))?;
        match &task.columns[..] {
            [one] if *one == task.name => {}
            [one] => writeln!(out, "target = {}", quote(one))?,
            several => writeln!(out, "target = {}", texts(several))?,
        }
        if task.wild > 0 {
            writeln!(
                out,
                "loss = \"huber\"                   # {} rows lie more than {WILD} interquartile \
                 ranges from the median:",
                task.wild
            )?;
            writeln!(
                out,
                "scale = \"robust\"                 # squared, they would outweigh all others; \
                 loss = \"squared\" if they count so"
            )?;
        }
        task.positive.iter().try_for_each(|class| {
            writeln!(out, "positive = {}  # this one against all others", quote(class))
        })?;
        if !task.rare.is_empty() {
            writeln!(
                out,
                "missing = {}  # texts that mean \"not labelled\"",
                texts(&task.missing)
            )?;
            let what = if task.spread.is_empty() {
                "are labels of too few rows to be learnt"
            } else {
                "are no numbers: correct them in the file, or they count as not labelled"
            };
            writeln!(out, "# {} of these texts {what}.", task.rare.len())?;
        }
        writeln!(
            out,
            "# {} of {} rows are labelled: {}",
            task.rows(),
            self.survey.rows,
            comment(&task.labels_phrase())
        )
    }

    fn training(&self, sizes: &Sizes, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\n[optimizer]")?;
        writeln!(out, "kind = \"adamw\"                   # adam, adamw, sgd")?;
        writeln!(out, "learning_rate = {}", sizes.rate)?;
        writeln!(out, "weight_decay = 0.1")?;
        writeln!(
            out,
            "clip_norm = 1.0                  # largest norm of the whole gradient; 0 = off"
        )?;
        writeln!(out, "schedule = \"cosine\"              # constant, cosine, step")?;
        writeln!(out, "\n[train]")?;
        writeln!(out, "epochs = {}", sizes.epochs)?;
        writeln!(out, "batch_size = {}", sizes.batch)?;
        let patience = if self.rows_for_shares() < SOME { 0 } else { (sizes.epochs / 4).max(3) };
        writeln!(
            out,
            "patience = {patience:<22}# epochs without a better validation result before training \
             ends; 0 = never"
        )?;
        if sizes.epochs >= 100 {
            writeln!(
                out,
                "log_every = \"10e\"                # a training point every ten epochs; epochs \
                 are validated all the same"
            )?;
        }
        Ok(())
    }
}

/// What becomes of image files, and how training steps may change them.
fn pictures_of(pictures: &Pictures, out: &mut String) -> std::fmt::Result {
    match pictures.size() {
        Some([height, width]) => writeln!(
            out,
            "# size = [{height}, {width}]                # height and width to resize to; all \
             images have this size"
        )?,
        None => writeln!(
            out,
            "size = [32, 32]                  # height and width that all images are resized to"
        )?,
    }
    let channels = if pictures.headers.iter().all(|header| header.is_grey) { 1 } else { 3 };
    writeln!(out, "channels = {channels}                     # 1 = grey; 3 = red, green, blue")?;
    writeln!(out, "\n[augment]                        # random changes of the images in training")?;
    writeln!(out, "shift = 0                        # by up to so many pixels, each way")?;
    writeln!(
        out,
        "flip = \"none\"                    # or horizontal: mirrored, every second time"
    )?;
    writeln!(out, "erase = 0                        # side of a square that is set to zero")
}

/// Phrases about the values of a feature column.
fn values_phrase(column: &ColumnSurvey) -> String {
    let mut phrases = vec![
        format!("{} {}", column.values, if column.values == 1 { "value" } else { "values" }),
        range(column),
    ];
    if column.blanks > 0 {
        phrases.push(format!("{} blank", column.blanks));
    }
    match column.kind {
        FeatureKind::Numeric
            if column.codes().is_none() && column.whole && (3..=CODES).contains(&column.values) =>
        {
            phrases.push("if these are codes, type = \"category\"".into());
        }
        FeatureKind::Numeric if column.is_hours() => phrases
            .push("hours of a day: type = \"category\" if each has a level of its own".into()),
        FeatureKind::Category if column.values > Feature::MAX_ONE_HOT => {
            phrases.push(
                "a learned vector each (embed), save those that stand once (min_count)".into(),
            );
        }
        _ => {}
    }
    phrases.retain(|part| !part.is_empty());
    phrases.join(", ")
}

/// The smallest and the largest number of a column, or its commonest values with their rows.
pub fn range(column: &ColumnSurvey) -> String {
    let common = |(text, rows): &(String, usize)| {
        format!("{} {rows}", quoted(&text.chars().take(24).collect::<String>()))
    };
    match column.range {
        Some([low, high]) => format!("{} to {}", short(low), short(high)),
        None => column.commonest.iter().take(2).map(common).collect::<Vec<_>>().join(", "),
    }
}

/// A text without line breaks, for a comment.
fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
