//! Every key that a configuration can have, and what to say of a key that is not among them.

use crate::config::words::is_bare;
use crate::fault::{Fault, quoted};

/// The keys of one table.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// Key path of the table, with `NAME` where the user chooses a name.
    pub table: &'static str,
    /// Its keys, in the order in which they are written.
    pub keys: &'static [&'static str],
}

/// The top level.
pub(super) const ROOT: Keys = Keys {
    table: "",
    keys: &["version", "data", "feature", "trunk", "task", "coupling", "optimizer", "train"],
};
/// `[data]`
pub(super) const DATA: Keys = Keys {
    table: "data",
    keys: &[
        "train",
        "valid",
        "test",
        "delimiter",
        "header",
        "split",
        "split_seed",
        "split_column",
        "stratify",
        "folds",
        "fold",
        "group",
        "overlay",
        "ignore",
        "missing",
        "decimal",
        "dates",
        "row_weight",
        "memory",
        "shuffle_window",
    ],
};
/// `[feature.NAME]`
pub(super) const FEATURE: Keys = Keys {
    table: "feature.NAME",
    keys: &[
        "type",
        "missing",
        "decimal",
        "dates",
        "scale",
        "clip",
        "min_count",
        "max_values",
        "buckets",
        "slots",
        "ngrams",
        "embed",
    ],
};
/// `[trunk]`
pub(super) const TRUNK: Keys =
    Keys { table: "trunk", keys: &["layers", "activation", "dropout", "init", "freeze"] };
/// `[task.NAME]`
pub(super) const TASK: Keys = Keys {
    table: "task.NAME",
    keys: &[
        "type",
        "target",
        "groups",
        "positive",
        "missing",
        "layers",
        "activation",
        "dropout",
        "weight",
        "loss",
        "label_smoothing",
        "focal_gamma",
        "class_weights",
        "positive_weight",
        "huber_delta",
        "quantile",
        "scale_loss",
        "scale",
        "top_k",
    ],
};
/// `[[coupling]]`
pub(super) const COUPLING: Keys =
    Keys { table: "coupling.0", keys: &["kind", "strength", "pairs"] };
/// `[optimizer]`
pub(super) const OPTIMIZER: Keys = Keys {
    table: "optimizer",
    keys: &[
        "kind",
        "learning_rate",
        "beta1",
        "beta2",
        "eps",
        "momentum",
        "nesterov",
        "weight_decay",
        "decay_biases",
        "clip_norm",
        "schedule",
        "step_size",
        "gamma",
        "warmup_steps",
    ],
};
/// `[train]`
pub(super) const TRAIN: Keys = Keys {
    table: "train",
    keys: &[
        "epochs",
        "max_steps",
        "max_time",
        "batch_size",
        "seed",
        "patience",
        "select",
        "evaluate_every",
        "evaluate",
        "log_every",
        "checkpoint_every",
        "keep",
        "on_nan",
        "accumulate",
        "precision",
    ],
};
/// `{ images = "…", labels = "…" }` in place of a file.
pub(super) const IDX: Keys = Keys { table: "data.train", keys: &["images", "labels"] };
/// `{ features = "…", labels = "…" }` in place of a file.
pub(super) const NPY: Keys =
    Keys { table: "data.train", keys: &["features", "labels", "feature_names", "label_names"] };
/// `overlay = { shift = 8, seed = 0 }`
pub(super) const OVERLAY: Keys = Keys { table: "data.overlay", keys: &["shift", "seed"] };

/// Every table with its keys.
pub const KNOWN: &[Keys] =
    &[ROOT, DATA, FEATURE, TRUNK, TASK, COUPLING, OPTIMIZER, TRAIN, IDX, NPY, OVERLAY];

/// A key path, spelt as in the file and as `--set` takes it.
pub(super) fn join(path: &str, key: &str) -> String {
    let key = if is_bare(key) { key.to_owned() } else { quoted(key) };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// What to say of `key`, which the table `path` with these `keys` does not have.
pub(super) fn unknown(path: &str, key: &str, keys: Keys) -> Fault {
    let (nearest, score) = nearest(path, key, keys);
    let hint = match score >= ALIKE {
        // What a column can be told is not what other tables can.
        true if keys.table == FEATURE.table => {
            format!("did you mean {nearest}? known here: {}", keys.keys.join(", "))
        }
        true => format!("did you mean {nearest}?"),
        false => {
            format!("the nearest known key is {nearest}; known here: {}", keys.keys.join(", "))
        }
    };
    Fault::config(&join(path, key), "unknown key").hint(hint)
}

/// From this likeness on, one word may be a slip of the pen for the other.
const ALIKE: f64 = 0.5;

/// The most similar key anywhere, since a right key in the wrong table is as common as a misspelt
/// one; this table's win a draw.
fn nearest(path: &str, key: &str, keys: Keys) -> (String, f64) {
    let here = keys.keys.iter().map(|k| (join(path, k), likeness(key, k) + 0.1));
    let elsewhere =
        KNOWN.iter().flat_map(|t| t.keys.iter().map(|k| (join(t.table, k), likeness(key, k))));
    here.chain(elsewhere)
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
        .unwrap_or_default()
}

/// How much a word is like a known one, in [0, 1]; `lr` is very much like `learning_rate`.
fn likeness(word: &str, known: &str) -> f64 {
    let (word, known) = (word.to_lowercase(), known.to_lowercase());
    let initials: String = known.split('_').filter_map(|part| part.chars().next()).collect();
    if word.len() > 1 && word == initials {
        0.9
    } else {
        strsim::normalized_damerau_levenshtein(&word, &known)
    }
}

/// The candidate that `word` may be a misspelling of.
pub(super) fn alike<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let scored =
        candidates.iter().map(|&c| (likeness(word, c), c)).filter(|(score, _)| *score >= ALIKE);
    scored
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, candidate)| candidate)
}

/// `did you mean "relu"? known: relu, tanh, …`
pub(super) fn choices(word: &str, candidates: &[&str]) -> String {
    // A name from a file may hold anything, and a message is one line.
    let shown = |name: &&str| {
        if name.contains(char::is_control) { quoted(name) } else { (*name).to_owned() }
    };
    let named: Vec<String> = candidates.iter().take(24).map(shown).collect();
    let listed = match candidates.len() {
        0..=24 => named.join(", "),
        n => format!("{}, … ({n} in all)", named.join(", ")),
    };
    match alike(word, candidates) {
        Some(near) => format!("did you mean {}? known: {listed}", quoted(near)),
        None => format!("known: {listed}"),
    }
}
