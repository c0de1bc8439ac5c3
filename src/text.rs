//! Numbers and names in messages.

/// A number with six significant digits at most.
pub fn short(x: f64) -> String {
    let rounded: f64 = format!("{x:.5e}").parse().unwrap_or(x);
    if rounded != 0.0 && !(1e-4..1e12).contains(&rounded.abs()) {
        format!("{rounded:e}")
    } else {
        rounded.to_string()
    }
}

/// The name most like `name`, for "did you mean". Names are alike if their Jaro–Winkler similarity
/// is above 0.7, or if they are one slip apart, which that measure rates low in short names. Names
/// of one or two letters are only like names that differ in case, or are longer by one letter.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let is_short = |name: &str| name.chars().count() <= 2;
    let rate = |other: &str| {
        let slip = strsim::osa_distance(&name, other) <= 1;
        if is_short(&name) || is_short(other) {
            let goes_on = slip && (name.starts_with(other) || other.starts_with(&name));
            return f64::from(u8::from(name == other)).max(if goes_on { 0.9 } else { 0.0 });
        }
        strsim::jaro_winkler(&name, other).max(if slip { 0.9 } else { 0.0 })
    };
    let rated = names.map(|n| (rate(&n.to_lowercase()), n));
    rated.filter(|(rating, _)| *rating > 0.7).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, n)| n)
}
