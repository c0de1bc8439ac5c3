//! The features of tokens: what is made of their words, and the columns that the settings name.

use crate::config::{Data, Embed, Feature, FeatureKind, Sentences};
use crate::data::read::vectors;
use crate::fault::Fault;

/// Width of the vectors of words; of what else is made of them; of other columns and distances.
const WIDTHS: [usize; 3] = [50, 16, 10];

/// The features of a token, with their settings.
pub(crate) fn features(sentences: &Sentences, data: &Data) -> Vec<Feature> {
    let given = |name: &str| data.features.iter().find(|feature| feature.column == name);
    let mut names: Vec<(String, usize)> = Vec::new();
    let derived = sentences.derived();
    let width = |name: &String| WIDTHS[usize::from(!name.ends_with(".lower"))];
    names.extend(derived.iter().map(|name| (name.clone(), width(name))));
    if sentences.predicate.is_some() {
        names.extend(derived.iter().map(|name| (format!("predicate.{name}"), width(name))));
        names.push(("distance".to_owned(), WIDTHS[2]));
    }
    let others = data.features.iter().map(|feature| &feature.column);
    let others: Vec<String> =
        others.filter(|name| names.iter().all(|(known, _)| known != *name)).cloned().collect();
    names.extend(others.into_iter().map(|name| (name, WIDTHS[2])));
    let feature = |(name, width): (String, usize)| {
        let mut feature = given(&name).cloned().unwrap_or_else(|| Feature::new(&name));
        let kind = *feature.kind.get_or_insert(FeatureKind::Category);
        let of_predicate = name == "distance" || name.starts_with("predicate.");
        let can_have = !matches!(kind, FeatureKind::Text | FeatureKind::Date);
        let window = if of_predicate || !can_have { 0 } else { sentences.window };
        feature.window.get_or_insert(window);
        let is_auto = matches!(feature.embed, None | Some(Embed::Auto));
        if kind == FeatureKind::Category && is_auto && feature.vectors.is_none() {
            feature.embed = Some(Embed::Width(width));
        }
        feature
    };
    let features = names.into_iter().filter(|(name, _)| !data.ignore.contains(name)).map(feature);
    features.filter(|feature| feature.kind != Some(FeatureKind::Ignore)).collect()
}

/// A column whose vectors begin as a file has them: they have the width of those.
///
/// # Errors
/// 66 or 65 if the file cannot be read; 78 if the settings name another width.
pub(crate) fn with_vectors(mut feature: Feature) -> anyhow::Result<Feature> {
    let Some(path) = &feature.vectors else { return Ok(feature) };
    let width = vectors::width(path)?;
    match feature.embed {
        Some(Embed::Width(given)) if given != width => {
            let place = format!("feature.{}.embed", feature.column);
            let found = format!("is {given}, and the vectors of {} have {width}", path.display());
            Err(Fault::config(&place, found).hint("leave embed out").into())
        }
        _ => {
            feature.embed = Some(Embed::Width(width));
            Ok(feature)
        }
    }
}
