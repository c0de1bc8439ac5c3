//! The space that is searched, checked key by key and value by value before the first trial.

use anyhow::Result;

use super::base::{Base, of_key};
use super::own_space::own_space;
use super::preference;
use crate::config::{Bounds, Config, Domain, OnNan, Search, SearchMethod, Select, read};
use crate::fault::{Fault, hint_of};
use crate::search::space::{Dimension, Range, Scale, Space};

/// A space whose values are all accepted, and the trials that are given.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The dimensions that are searched.
    pub space: Space,
    /// Trials whose settings are given: a name, and values (key, TOML) that are laid over the
    /// settings as they stand.
    pub fixed: Vec<(String, Vec<(String, String)>)>,
    /// Overrides that each trial has.
    pub common: Vec<String>,
    /// Lines for the user.
    pub notes: Vec<String>,
}

/// The name of the trial of the settings as they stand.
pub const DEFAULTS: &str = "defaults";
/// The name of the trial without couplings.
pub const UNCOUPLED: &str = "λ = 0";

/// Keys that decide which rows are measured, or what a model is picked by: trials that differ in
/// them cannot be compared.
const REFUSED: &[(&str, &str)] = &[
    ("version", "it says how a file is read"),
    ("data", "trials on other rows cannot be compared"),
    ("source", "trials on other rows cannot be compared"),
    ("search", "it says how trials are chosen"),
    ("tracking", "it changes no result"),
    ("train.select", "search.objective says what is looked for"),
    ("train.seed", "the best of several seeds is luck; the best settings are trained from several"),
    ("train.evaluate", "the test part is measured once, at the end"),
    ("train.evaluate_every", "the more often a trial is looked at, the luckier its best look"),
    ("train.accumulate", "it changes no result but by rounding"),
    ("train.on_nan", "it says what happens to trials that break"),
    ("balance.observe", "it changes no result"),
    ("train.max_time", "trials that the clock ends cannot be compared"),
    ("train.keep_best", "it changes no result"),
    ("train.keep", "it changes no result"),
    ("train.log_every", "it changes no result"),
    ("train.checkpoint_every", "it changes no result"),
];

/// Keys of tasks that change how the network learns, and not what is measured of it.
const OF_TASKS: [&str; 5] = ["weight", "layers", "activation", "dropout", "pool"];
/// Keys that say what a task is. All others are of its loss.
const WHAT_TASKS_ARE: [&str; 8] =
    ["type", "target", "groups", "positive", "missing", "top_k", "scale", "scheme"];

/// Settles what is searched, in the settings as they stand.
///
/// # Errors
/// 78 with the key and the value that cannot be searched.
pub fn settle(base: &Base, config: &Config, search: &Search) -> Result<Settled> {
    let mut notes = Vec::new();
    let is_own = search.space.is_empty() && search.pareto.is_empty();
    let is_asked =
        |(key, domain): &(String, Domain)| check_key(key, domain, search, config).is_ok();
    let own = is_own.then(|| own_space(config).into_iter().filter(is_asked).collect::<Vec<_>>());
    if let Some(own) = &own {
        let keys: Vec<&str> = own.iter().map(|(key, _)| key.as_str()).collect();
        notes.push(format!("no [search.space] is given: searched are {}", keys.join(", ")));
    }
    let wanted = own.as_ref().unwrap_or(&search.space);
    let keys: Vec<String> = wanted.iter().map(|(key, _)| key.clone()).collect();
    wanted.iter().try_for_each(|(key, domain)| check_key(key, domain, search, config))?;
    let common = objective_override(search);
    // Faults of the objective are not those of a value.
    base.read(&common)?;
    let dimensions = wanted.iter().map(|(key, domain)| {
        let alone = Alone { base, common: &common, wanted };
        alone.dimension(key, domain)
    });
    let mut space = Space { dimensions: dimensions.collect::<Result<_>>()? };
    space.dimensions.extend(preference::dimensions(search));
    let mut fixed = vec![(DEFAULTS.to_owned(), Vec::new())];
    let strengths = strengths(&keys);
    if strengths.iter().any(|at| config.couplings[*at].strength != 0.0) {
        let zero = |at: &usize| (format!("coupling.{at}.strength"), "0.0".to_owned());
        fixed.push((UNCOUPLED.to_owned(), strengths.iter().map(zero).collect()));
    }
    if search.trials <= fixed.len() as u64 && search.method != SearchMethod::Grid {
        let names: Vec<&str> = fixed.iter().map(|(name, _)| name.as_str()).collect();
        let found = format!(
            "{} trials are those of {}: none is left to search",
            search.trials,
            names.join(" and of ")
        );
        return Err(Fault::config("search.trials", found).hint("give more trials").into());
    }
    check_rollback(config, search)?;
    check_preferences(config, search)?;
    if search.method == SearchMethod::Grid && space.combinations().is_none_or(|n| n > 100_000) {
        let found = "the grid has more than 100,000 points";
        return Err(Fault::config("search.space", found)
            .hint("give fewer points, or another method")
            .into());
    }
    Ok(Settled { space, fixed, common, notes })
}

/// The numbers of the couplings whose strength is searched.
pub fn strengths(keys: &[String]) -> Vec<usize> {
    let number = |key: &String| {
        let rest = key.strip_prefix("coupling.")?;
        rest.strip_suffix(".strength")?.parse().ok()
    };
    keys.iter().filter_map(number).collect()
}

/// A preference multiplies the weight of its task.
fn check_preferences(config: &Config, search: &Search) -> Result<(), Fault> {
    let is_idle = |select: &&Select| match select {
        Select::Metric { task, .. } => {
            config.tasks.iter().any(|one| one.name == *task && one.weight == 0.0)
        }
        _ => false,
    };
    match search.pareto.iter().find(is_idle) {
        None => Ok(()),
        Some(select) => {
            let found = format!("{} is of a task of weight 0, which is not trained", select.toml());
            Err(Fault::config("search.pareto", found).hint("give the task a weight above 0"))
        }
    }
}

/// A run that goes back to checkpoints goes back to others where it was paused.
fn check_rollback(config: &Config, search: &Search) -> Result<(), Fault> {
    let is_paused = search.method == SearchMethod::Halving;
    if !is_paused || config.train.on_nan != OnNan::Rollback {
        return Ok(());
    }
    let found =
        "\"rollback\" goes back to checkpoints, and halving makes some where it pauses a trial";
    Err(Fault::config("train.on_nan", found)
        .hint("use \"stop\" or \"skip\", or search.method = \"random\" or \"tpe\""))
}

/// The override by which each trial keeps the model that the search looks for.
fn objective_override(search: &Search) -> Vec<String> {
    let objectives = [&search.objective[..], &search.pareto].concat();
    match &objectives[..] {
        [] => Vec::new(),
        [one] => vec![format!("train.select={}", one.toml())],
        all => {
            let terms: Vec<String> =
                all.iter().map(|one| format!("{} = 1.0", one.toml())).collect();
            vec![format!("train.select={{ {} }}", terms.join(", "))]
        }
    }
}

/// Refuses a key that trials cannot differ in.
fn check_key(key: &str, domain: &Domain, search: &Search, config: &Config) -> Result<(), Fault> {
    let is_below = |path: &str| key == path || key.starts_with(&format!("{path}."));
    let refused = REFUSED.iter().find(|(path, _)| is_below(path) && key != "data.sampling");
    if let Some((_, why)) = refused {
        return Err(of_key(key, format!("is not searched: {why}"))
            .hint("leave it out of the space; --set gives all trials the same value"));
    }
    let parts = read::key_path(key);
    let coupling = key.strip_prefix("coupling.").and_then(|rest| rest.split('.').next());
    if let Some(number) = coupling.and_then(|number| number.parse::<usize>().ok())
        && number >= config.couplings.len()
    {
        let found = match config.couplings.len() {
            0 => "there is no [[coupling]]".to_owned(),
            count => format!("there are {count} [[coupling]] tables, numbered from 0"),
        };
        return Err(of_key(key, found).hint("add it to the configuration, with its kind"));
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    // What is said of a task; empty for other keys.
    let (task, last) = match parts[..] {
        ["task", task, key, ..] => (task, key),
        _ => ("", ""),
    };
    let is_of_loss =
        !last.is_empty() && !OF_TASKS.contains(&last) && !WHAT_TASKS_ARE.contains(&last);
    if WHAT_TASKS_ARE.contains(&last) {
        return Err(of_key(key, "is not searched: it says what a task is, not how it is learned")
            .hint(format!("of tasks, these are searched: {}, loss", OF_TASKS.join(", "))));
    }
    let objective = match &[&search.objective[..], &search.pareto].concat()[..] {
        [] => vec![config.train.select.clone()],
        all => all.to_vec(),
    };
    if last == "weight" && !search.pareto.is_empty() {
        let found = "is not searched beside search.pareto, which weighs the tasks";
        return Err(of_key(key, found).hint("leave it out of the space"));
    }
    let is_loss = |select: &Select| match select {
        Select::RelativeLoss | Select::Loss => true,
        Select::Metric { metric, .. } => metric == "loss",
        Select::Weighted(terms) => terms.iter().any(|term| term.metric == "loss"),
        Select::Mean => false,
    };
    let hint = "search.objective = \"TASK.METRIC\" names a figure that it is no part of";
    if is_of_loss && objective.iter().any(is_loss) {
        return Err(of_key(key, "changes the loss that trials are compared by").hint(hint));
    }
    let weighs = is_below("coupling") || is_below("balance") || last == "weight";
    if weighs && objective.contains(&Select::Loss) {
        let found = "is a part of the combined loss that trials are compared by";
        return Err(of_key(key, found)
            .hint("search.objective = \"relative_loss\" compares tasks without their weights"));
    }
    let is_zero = |text: &String| text.parse() == Ok(0.0);
    let is_dropped = config.tasks.iter().any(|one| one.name == task && one.weight == 0.0);
    let drops = domain.others.iter().any(is_zero)
        || domain.range.is_some_and(|bounds| bounds.low <= 0.0)
        || is_dropped;
    let counts = objective.iter().any(|select| match select {
        Select::RelativeLoss | Select::Mean => true,
        Select::Metric { task: name, .. } => name == task,
        Select::Weighted(terms) => terms.iter().any(|term| term.task == task),
        Select::Loss => false,
    });
    if last == "weight" && drops && counts {
        let found = match is_dropped {
            true => "is 0 as it stands, and a task of weight 0 has no part in what is compared",
            false => "is 0 in some trials, and a task of weight 0 has no part in what is compared",
        };
        return Err(of_key(key, found).hint(hint));
    }
    Ok(())
}

/// A key that is tried out on the settings as they stand.
struct Alone<'a> {
    base: &'a Base,
    common: &'a [String],
    wanted: &'a [(String, Domain)],
}

impl Alone<'_> {
    fn dimension(&self, key: &str, domain: &Domain) -> Result<Dimension> {
        let range = domain.range.map(|bounds| self.range(key, bounds)).transpose()?;
        domain.others.iter().try_for_each(|text| self.check(key, text))?;
        Ok(Dimension { key: key.to_owned(), range, others: domain.others.clone() })
    }

    /// The range of a key: whole numbers where it takes no others.
    fn range(&self, key: &str, bounds: Bounds) -> Result<Range> {
        let Bounds { low, high, log, points } = bounds;
        let is_whole = |x: f64| x.fract() == 0.0 && x.abs() < 1e15;
        let between = low + (high - low) * 0.5 + 0.123;
        let takes_fractions = self.takes(key, &format!("{:?}", between.min(high))).is_ok();
        let whole = is_whole(low) && is_whole(high) && !takes_fractions;
        let shown_whole = |x: f64| !takes_fractions && is_whole(x);
        let text = |x: f64| if shown_whole(x) { format!("{x:.0}") } else { format!("{x:?}") };
        [low, high].into_iter().try_for_each(|end| self.check(key, &text(end)))?;
        let scale = if log { Scale::Log } else { Scale::Linear };
        Ok(Range { low, high, scale, whole, points })
    }

    /// Refuses a value that the key does not take, alone or beside some value of another key.
    fn check(&self, key: &str, text: &str) -> Result<()> {
        let Err(error) = self.takes(key, text) else { return Ok(()) };
        let message = error.to_string();
        let hint = hint_of(&error).unwrap_or("correct the values of the key").to_owned();
        Err(of_key(key, format!("the value {text} is refused: {message}")).hint(hint).into())
    }

    fn takes(&self, key: &str, text: &str) -> Result<()> {
        let own = (key.to_owned(), text.to_owned());
        let read = |other: Option<(String, String)>| {
            let values: Vec<(String, String)> = other.into_iter().chain([own.clone()]).collect();
            self.base.with(&values, self.common, Some(key)).map(|_| ())
        };
        let alone = read(None);
        let Err(error) = alone else { return Ok(()) };
        let others = self.wanted.iter().filter(|(other, _)| other != key);
        let others = others.flat_map(|(other, domain)| {
            domain.others.iter().map(move |text| (other.clone(), text.clone()))
        });
        others.into_iter().find_map(|other| read(Some(other)).ok()).ok_or(error)
    }
}
