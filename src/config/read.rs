//! TOML text and `--set` overrides to a [`Config`]: the whole, and what sections have to do with
//! each other. Each section reads itself.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use toml::Table;

use super::keys::alike::{choices, join};
use super::keys::form::{Form, word};
use super::keys::item::Result;
use super::keys::overrides;
use super::keys::section::Section;
use super::{
    Architecture, Balance, Balancer, BatchSize, Config, Data, Sampling, Search, Source, Task,
    TaskKind, Train, Trunk, Version, architecture, augment, balance, coupling, data, feature, keys,
    known, search, several, task, train,
};
use crate::fault::{Exit, Fault, address, quoted};

/// Longest configuration in bytes.
const LONGEST: usize = 16 << 20;

/// Most lines and bytes in it that are no letters, lines of comment being one each: while it is
/// read, each may take two hundred bytes of memory.
const MOST_MARKS: usize = 300_000;

/// Reads a configuration file; one that is missing is exit 66. Relative data paths start at its
/// directory, so that a configuration and its data can be moved together and started from anywhere;
/// those of overrides do the same.
pub fn from_file(path: &Path, overrides: &[String]) -> anyhow::Result<Config> {
    let (text, base) = text_of(path)?;
    from_text(&text, &path.display().to_string(), &base, overrides)
}

/// The text of a configuration file, and the directory where its relative paths start.
///
/// # Errors
/// 66 if it cannot be read; 78 if it is too long or no text.
pub fn text_of(path: &Path) -> anyhow::Result<(String, PathBuf)> {
    let name = path.display().to_string();
    if let Some(fault) = address(&name, &name) {
        return Err(fault.into());
    }
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(LONGEST as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|e| {
        Fault::missing(&name, format!("cannot be read: {e}"))
            .hint("check the path of the configuration; \"tandem demo\" needs none")
    })?;
    check_length(&name, &bytes)?;
    let not_text =
        |_| Fault::config(&name, "is not UTF-8 text").hint("a configuration is a TOML file");
    let text = String::from_utf8(bytes).map_err(not_text)?;
    Ok((text, path.parent().unwrap_or(Path::new("")).to_owned()))
}

/// Whether a configuration is short enough to be read, be it one from a file or one that will be
/// written.
///
/// # Errors
/// 78 if it is not.
pub fn check_length(name: &str, text: &[u8]) -> Result<()> {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii();
    let inside = |line: &[u8]| line.iter().filter(|byte| !is_letter(byte)).count();
    let marks =
        |line: &[u8]| if line.trim_ascii_start().starts_with(b"#") { 1 } else { 1 + inside(line) };
    let marks: usize = text.split(|byte| *byte == b'\n').map(marks).sum();
    if text.len() <= LONGEST && marks <= MOST_MARKS {
        return Ok(());
    }
    let found = format!(
        "is too large: {marks} marks in {} bytes or more, expected at most {MOST_MARKS} in \
         {LONGEST}",
        text.len()
    );
    Err(Fault::config(name, found).hint(
        "a configuration is a TOML file; columns that are all alike need no [feature] tables",
    ))
}

/// Reads the text of a configuration with overrides (`section.key=value`) laid over it. `name`
/// stands for the text in messages, and relative data paths start at `base`.
pub fn from_text(
    text: &str,
    name: &str,
    base: &Path,
    overrides: &[String],
) -> anyhow::Result<Config> {
    Ok(with_search(text, name, base, overrides)?.0)
}

/// [`from_text`] with what `[search]` says; `None` where it is not there.
///
/// # Errors
/// Those of [`from_text`].
pub fn with_search(
    text: &str,
    name: &str,
    base: &Path,
    overrides: &[String],
) -> anyhow::Result<(Config, Option<Search>)> {
    Ok(config(laid_over(text, name, overrides)?, base)?)
}

/// The parts of a key path, which may stand in quotes; none where the path has an empty one.
pub fn key_path(key: &str) -> Vec<String> {
    overrides::split(&format!("{key}=")).map(|(path, _)| path).unwrap_or_default()
}

/// The key and the value of an override, `KEY=VALUE`; `None` where it is none. A key in quotes may
/// have equals signs.
pub fn override_parts(spec: &str) -> Option<(&str, &str)> {
    let (_, value) = overrides::split(spec)?;
    Some((spec[..spec.len() - value.len() - 1].trim(), value))
}

/// A text as a table, with overrides laid over it.
fn laid_over(text: &str, name: &str, overrides: &[String]) -> anyhow::Result<Table> {
    let mut table = text.parse::<Table>().map_err(|e| syntax(text, name, &e))?;
    overrides.iter().try_for_each(|spec| overrides::apply(&mut table, spec))?;
    Ok(table)
}

/// The whole configuration.
fn config(table: Table, base: &Path) -> Result<(Config, Option<Search>)> {
    known::check(&table)?;
    let unnamed = if is_of_0_1(&table) { Version::V0_1 } else { Version::V0_2 };
    let mut root = Section::new("", table);
    let version = root.take("version").map_or(Ok(unnamed), |item| word().read(item))?;
    let mut data = data::data(&mut root, base, version)?;
    let has_tokens = data.sentences.is_some();
    let columns = (&data.train, &data.ignore[..]);
    data.features = feature::features(&mut root, columns, (version, has_tokens, base))?;
    let augment = augment::augment(&mut root, &data.train)?;
    let trunk: Trunk = read_section(&mut root, "trunk")?;
    let tasks = task::tasks(
        &mut root,
        trunk.activation,
        (version, task::RowKind::of(data.sentences.as_ref())),
    )?;
    check_columns(&data, &tasks)?;
    if let Source::Several(sources) = &mut data.train {
        several::settle(sources, &tasks)?;
    }
    let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
    let couplings = coupling::couplings(&mut root, &names)?;
    if version >= Version::V0_2
        && couplings.is_empty()
        && tasks.iter().all(|task| task.weight == 0.0)
    {
        let found = "every task has weight 0 and there is no coupling, so nothing is trained";
        return Err(Fault::config("task", found).hint("give one of them a weight above 0"));
    }
    let architecture = architecture::architecture(&mut root, &trunk.layers, &names)?;
    check_freeze(&trunk, &architecture)?;
    let optimizer = read_section(&mut root, "optimizer")?;
    let balance = balance::balance(&mut root, tasks.len(), &optimizer)?;
    let train = train::train(&mut root, &data, &tasks)?;
    check_order(&data, &train)?;
    check_finished(&train, &balance)?;
    let tracking = read_section(&mut root, "tracking")?;
    let search = search::search(&mut root, version, &tasks)?;
    root.finish()?;
    let config = Config {
        data,
        augment,
        architecture,
        trunk,
        tasks,
        couplings,
        balance,
        optimizer,
        train,
        tracking,
    };
    Ok((config, search))
}

/// A section that depends on no other.
fn read_section<T: keys::Keyed + Default>(root: &mut Section, key: &str) -> Result<T> {
    let mut value = T::default();
    keys::read(root.section(key)?, &mut value).map(|()| value)
}

/// Nothing is frozen where no layer is shared.
fn check_freeze(trunk: &Trunk, architecture: &Architecture) -> Result<()> {
    if !trunk.freeze || architecture.has_shared_layers() {
        return Ok(());
    }
    let kind = architecture.name();
    let message = format!("has no effect, since with kind = \"{kind}\" no layers are shared");
    Err(Fault::config("trunk.freeze", message).hint("leave it out, or choose another architecture"))
}

/// A method of balancing would give a task that is done its weight back.
fn check_finished(train: &Train, balance: &Balance) -> Result<()> {
    if !train.freeze_finished || balance.method == Balancer::None {
        return Ok(());
    }
    let message = format!(
        "cannot be with balance.method = \"{}\", which finds the weights of all tasks in each step",
        balance.method.name()
    );
    Err(Fault::config("train.freeze_finished", message).hint("leave one of the two out"))
}

/// Nothing is shuffled or drawn where a batch has all rows.
fn check_order(data: &Data, train: &Train) -> Result<()> {
    if train.batch_size != BatchSize::Full {
        return Ok(());
    }
    let weighted = data.train.several().iter().position(|source| source.weight.is_some());
    let key = match weighted {
        Some(number) => format!("source.{number}.weight"),
        None if data.sampling != Sampling::Proportional => "data.sampling".to_owned(),
        None if data.shuffle_window.is_some() => "data.shuffle_window".to_owned(),
        None => return Ok(()),
    };
    let message = "has no effect, since train.batch_size is \"full\" and nothing is shuffled";
    Err(Fault::config(&key, message).hint("leave it out, or give batches of some rows"))
}

/// Keys that tandem 0.1.0 wrote into the `config.toml` of every run; it wrote no `version`, and
/// nobody writes all of these by hand.
const OF_0_1: [(&str, &[&str]); 3] = [
    ("trunk", &["layers", "activation", "init"]),
    (
        "optimizer",
        &[
            "kind",
            "learning_rate",
            "weight_decay",
            "decay_biases",
            "clip_norm",
            "schedule",
            "warmup_steps",
        ],
    ),
    ("train", &["epochs", "batch_size", "seed", "log_every", "checkpoint_every", "keep", "on_nan"]),
];

/// Whether a configuration without `version` is one that tandem 0.1.0 wrote.
fn is_of_0_1(table: &Table) -> bool {
    let has = |section: &str, key: &str| {
        table.get(section).and_then(|section| section.get(key)).is_some()
    };
    OF_0_1.iter().all(|(section, keys)| keys.iter().all(|key| has(section, key)))
}

/// A label column is neither ignored nor a feature, and a column that says something of rows is
/// neither of them.
fn check_columns(data: &Data, tasks: &[Task]) -> Result<()> {
    let task_of = |column: &str| {
        tasks.iter().find(|task| task.targets.iter().any(|t| t == column)).map(|task| &task.name)
    };
    if let Some((column, task)) = data.ignore.iter().find_map(|c| Some((c, task_of(c)?))) {
        return Err(Fault::config(
            "data.ignore",
            format!("the column {} is the target of task {}", quoted(column), quoted(task)),
        )
        .hint("label columns are never features, so they need not be ignored"));
    }
    if let Some((column, task)) =
        data.features.iter().find_map(|f| Some((&f.column, task_of(&f.column)?)))
    {
        return Err(Fault::config(
            &join("feature", column),
            format!("is the target of task {}", quoted(task)),
        )
        .hint("label columns are never features: leave this table out, or change the target"));
    }
    for (key, column) in data.row_columns() {
        check_row_column(key, column, data, task_of(column))?;
    }
    data.stratify.as_ref().map_or(Ok(()), |name| check_stratify(name, tasks))
}

/// A column that says something of rows has no other use.
fn check_row_column(key: &str, column: &str, data: &Data, task: Option<&String>) -> Result<()> {
    if let Some(task) = task {
        return Err(Fault::config(
            key,
            format!("the column {} is the target of task {}", quoted(column), quoted(task)),
        )
        .hint("name another column, or change the target"));
    }
    if data.ignore.iter().any(|c| c == column) {
        return Err(Fault::config(
            "data.ignore",
            format!("the column {} is that of {key}", quoted(column)),
        )
        .hint("it is no feature anyway, so it need not be ignored"));
    }
    match data.features.iter().any(|f| f.column == column) {
        true => Err(Fault::config(
            &join("feature", column),
            format!("has no effect, since the column is that of {key}"),
        )
        .hint("leave this table out")),
        false => Ok(()),
    }
}

/// Only tasks with classes can be stratified by.
fn check_stratify(name: &str, tasks: &[Task]) -> Result<()> {
    let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
    let Some(task) = tasks.iter().find(|task| task.name == name) else {
        return Err(Fault::config("data.stratify", format!("there is no task {}", quoted(name)))
            .hint(choices(name, &names)));
    };
    match task.kind {
        TaskKind::Multiclass | TaskKind::Binary | TaskKind::Multilabel => Ok(()),
        kind => Err(Fault::config(
            "data.stratify",
            format!(
                "the task {} is of type {kind}, expected multiclass or binary, or multilabel",
                quoted(name)
            ),
        )
        .hint("name a task whose labels are classes, or leave it out")),
    }
}

/// `NAME:LINE:COLUMN: …` for text that is not TOML.
fn syntax(text: &str, name: &str, error: &toml::de::Error) -> Fault {
    let before = &text.as_bytes()[..error.span().map_or(0, |span| span.start.min(text.len()))];
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    // The only value of good form that a table cannot hold; the parser's own words for it name
    // types of Rust.
    let message = match ["invalid type: integer", "u64 value"]
        .iter()
        .any(|start| error.message().starts_with(start))
    {
        true => format!("the integer is not from {} to {}", i64::MIN, i64::MAX),
        false => error.message().lines().map(str::trim).collect::<Vec<_>>().join("; "),
    };
    Fault::new(Exit::Config, format!("{name}:{line}:{column}: {message}")).hint(
        "texts stand in quotes, a table starts with [name], and a key stands once in its table",
    )
}
