//! The space that is searched, checked key by key and value by value before the first trial.

use anyhow::Result;

use super::base::{Base, of_key};
use super::own_space::own_space;
use super::preference;
use crate::config::{Bounds, Config, Domain, Search, SearchMethod, Select};
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
    ("train.max_time", "trials that the clock ends cannot be compared"),
    ("train.keep_best", "it changes no result"),
    ("train.keep", "it changes no result"),
    ("train.log_every", "it changes no result"),
    ("train.checkpoint_every", "it changes no result"),
];

/// Keys of tasks that change how the network learns, and not what is measured of it.
const OF_TASKS: [&str; 5] = ["weight", "layers", "activation", "dropout", "pool"];

/// Settles what is searched, in the settings as they stand.
///
/// # Errors
/// 78 with the key and the value that cannot be searched.
pub fn settle(base: &Base, config: &Config, search: &Search) -> Result<Settled> {
    let mut notes = Vec::new();
    let is_own = search.space.is_empty() && search.pareto.is_empty();
    let own = is_own.then(|| own_space(config));
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
    let strengths: Vec<(String, String)> =
        keys.iter().filter(|key| is_strength(key)).map(|key| (key.clone(), "0.0".into())).collect();
    if !strengths.is_empty() && config.couplings.iter().any(|coupling| coupling.strength != 0.0) {
        fixed.push((UNCOUPLED.to_owned(), strengths));
    }
    if search.method == SearchMethod::Grid && space.combinations().is_none_or(|n| n > 100_000) {
        let found = "the grid has more than 100,000 points";
        return Err(Fault::config("search.space", found)
            .hint("give fewer points, or another method")
            .into());
    }
    Ok(Settled { space, fixed, common, notes })
}

/// Whether a key is the strength of a coupling.
fn is_strength(key: &str) -> bool {
    key.starts_with("coupling.") && key.ends_with(".strength")
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
    let last = key.rsplit('.').next().unwrap_or_default();
    if is_below("task") && !OF_TASKS.contains(&last) && !key.contains(".loss") {
        return Err(of_key(key, "is not searched: it says what a task is, not how it is learned")
            .hint(format!("of tasks, these are searched: {}, loss", OF_TASKS.join(", "))));
    }
    let objective = match &[&search.objective[..], &search.pareto].concat()[..] {
        [] => vec![config.train.select.clone()],
        all => all.to_vec(),
    };
    if last == "weight" && is_below("task") && !search.pareto.is_empty() {
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
    if is_below("task") && key.contains(".loss") && objective.iter().any(is_loss) {
        return Err(of_key(key, "changes the loss that trials are compared by").hint(hint));
    }
    let weighs = is_below("coupling") || is_below("balance") || last == "weight";
    if weighs && objective.contains(&Select::Loss) {
        let found = "is a part of the combined loss that trials are compared by";
        return Err(of_key(key, found)
            .hint("search.objective = \"relative_loss\" compares tasks without their weights"));
    }
    let is_zero = |text: &String| text.parse() == Ok(0.0);
    let drops = domain.others.iter().any(is_zero);
    let counts = objective.iter().any(|s| matches!(s, Select::RelativeLoss | Select::Mean));
    if is_below("task") && last == "weight" && drops && counts {
        let found = "a task of weight 0 has no part in what trials are compared by";
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
        let own = format!("{key}={text}");
        let read = |other: Option<String>| {
            let more = self.common.iter().cloned().chain(other).chain([own.clone()]);
            self.base.read(&more.collect::<Vec<_>>()).map(|_| ())
        };
        let alone = read(None);
        let Err(error) = alone else { return Ok(()) };
        let others = self.wanted.iter().filter(|(other, _)| other != key);
        let others = others.flat_map(|(other, domain)| {
            domain.others.iter().map(move |text| format!("{other}={text}"))
        });
        others.into_iter().find_map(|other| read(Some(other)).ok()).ok_or(error)
    }
}
