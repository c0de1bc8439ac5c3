//! What the page of a search shows.

/// Name of the trial whose settings are those that stand in the configuration.
pub const DEFAULTS: &str = "defaults";

/// What a search has found.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchFacts {
    /// Title of the page.
    pub title: String,
    /// Name of the figure that was looked for.
    pub objective: String,
    /// Whether a higher figure is better.
    pub higher_is_better: bool,
    /// The keys that were searched.
    pub keys: Vec<SearchedKey>,
    /// The trials.
    pub trials: Vec<TrialFacts>,
    /// Keys, and the share of the variance of the ranks of trials that each explains alone.
    pub importance: Vec<(String, f64)>,
    /// What was found for several objectives at once, where there are several.
    pub front: Option<FrontFacts>,
    /// Number of the best trial; 0 where no trial has a figure.
    pub best: usize,
    /// Tables of figures: a title, and a text in columns.
    pub tables: Vec<(String, String)>,
    /// Sentences about the outcome.
    pub sentences: Vec<String>,
}

/// A key that was searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchedKey {
    /// Its name.
    pub key: String,
    /// Whether its numbers belong on a logarithmic axis.
    pub log: bool,
}

/// A trial.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialFacts {
    /// Its number, from 1.
    pub number: usize,
    /// Its name, if it has one, such as `defaults` or `λ = 0`.
    pub name: Option<String>,
    /// The last rung that it has reached, from 0.
    pub rung: usize,
    /// Share of a whole training that it was trained for, from 0 to 1.
    pub share: f64,
    /// Steps that it was trained for.
    pub steps: u64,
    /// The figure of the objective, as users know it; `None` if the trial failed.
    pub figure: Option<f64>,
    /// For each key its value as TOML; `None` where the key has no effect in this trial.
    pub values: Vec<Option<String>>,
    /// Why the trial failed.
    pub failed: Option<String>,
}

/// What was found for several objectives at once.
#[derive(Clone, Debug, PartialEq)]
pub struct FrontFacts {
    /// Names of the objectives.
    pub names: Vec<String>,
    /// For each objective whether a higher figure is better.
    pub higher_is_better: Vec<bool>,
    /// Numbers of trials, each with a figure per objective.
    pub points: Vec<(usize, Vec<f64>)>,
    /// Numbers of the trials that no other one beats: as good in every objective, better in one.
    pub on_front: Vec<usize>,
    /// Volume between the front and the reference.
    pub hypervolume: f64,
    /// The reference: a figure per objective.
    pub reference: Vec<f64>,
}

impl SearchFacts {
    /// The trial of a number.
    pub fn trial(&self, number: usize) -> Option<&TrialFacts> {
        self.trials.iter().find(|trial| trial.number == number)
    }
}

impl TrialFacts {
    /// The figure, where it is a number.
    pub fn known(&self) -> Option<f64> {
        self.figure.filter(|figure| figure.is_finite())
    }

    /// The value of a key as TOML.
    pub fn value(&self, key: usize) -> Option<&str> {
        self.values.get(key)?.as_deref()
    }

    /// The share of a whole training, from 0 to 1 whatever it says.
    pub fn trained(&self) -> f64 {
        if self.share.is_finite() { self.share.clamp(0.0, 1.0) } else { 0.0 }
    }
}
