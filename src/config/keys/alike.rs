//! Which known word an unknown one may be a misspelling of.

use super::toml::is_bare;
use crate::fault::quoted;

/// From this likeness on, one word may be a misspelling of the other.
pub(in crate::config) const ALIKE: f64 = 0.5;

/// A key path, spelt as in the file and as `--set` takes it.
pub(in crate::config) fn join(path: &str, key: &str) -> String {
    let key = if is_bare(key) { key.to_owned() } else { quoted(key) };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// How much a word is like a known one, in [0, 1]; `lr` is very much like `learning_rate`.
pub(in crate::config) fn likeness(word: &str, known: &str) -> f64 {
    let (word, known) = (word.to_lowercase(), known.to_lowercase());
    let initials: String = known.split('_').filter_map(|part| part.chars().next()).collect();
    if word.len() > 1 && word == initials {
        0.9
    } else {
        strsim::normalized_damerau_levenshtein(&word, &known)
    }
}

/// The candidate that `word` may be a misspelling of.
pub(in crate::config) fn alike<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let scored =
        candidates.iter().map(|&c| (likeness(word, c), c)).filter(|(score, _)| *score >= ALIKE);
    scored
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, candidate)| candidate)
}

/// The hint `did you mean "relu"? known: relu, tanh, …`.
pub(in crate::config) fn choices(word: &str, candidates: &[&str]) -> String {
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
