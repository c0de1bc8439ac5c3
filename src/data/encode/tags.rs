//! Labels of tokens that mark spans, and the places of tokens in their sentences.

use crate::config::{SPAN, Scheme, Task};
use crate::data::table::raw::{Raw, RawColumn};
use crate::fault::{Fault, quoted};

/// A tag in two parts: the letter that says where in a span the token is, and the type of the span.
/// `O` is outside of all spans; so is what has no such letter.
pub fn parts(tag: &str) -> (char, &str) {
    match tag.split_once('-') {
        Some((letter, kind)) if letter.len() == 1 => (letter.chars().next().unwrap_or('O'), kind),
        None if ["B", "I", "E", "S", "O"].contains(&tag) => (tag.chars().next().unwrap_or('O'), ""),
        _ => ('O', ""),
    }
}

/// The scheme of the labels of a task.
///
/// # Errors
/// 78 if labels mark no spans, or by letters that the scheme does not have.
pub fn scheme(task: &Task, classes: &[String]) -> Result<Scheme, Fault> {
    let place = format!("task.{}.type", task.name);
    let fault = |found: String, hint: &str| Err(Fault::config(&place, found).hint(hint));
    let is_tag = |class: &&String| class.as_str() == "O" || "BIES".contains(parts(class).0);
    let outside = |class: &String| class != "O" && parts(class).0 == 'O';
    let odd = classes.iter().find(|class| !is_tag(class) || outside(class));
    if let Some(odd) = odd {
        return fault(
            format!("{} marks no span; tags are O, B-X, I-X and perhaps E-X, S-X", quoted(odd)),
            "type = \"multiclass\" is for labels of single tokens",
        );
    }
    let ends = classes.iter().find(|class| "ES".contains(parts(class).0));
    match (task.scheme, ends) {
        (Scheme::Bio, Some(end)) => fault(
            format!("the scheme is \"bio\", and there is the tag {}", quoted(end)),
            "say scheme = \"bioes\", or leave it out",
        ),
        (Scheme::Auto, None) => Ok(Scheme::Bio),
        (Scheme::Auto, Some(_)) => Ok(Scheme::Bioes),
        (given, _) => Ok(given),
    }
}

/// The places of tokens in their sentences, if rows are tokens: (tokens before, tokens behind).
pub fn span(raw: &Raw, row: usize) -> Option<(usize, usize)> {
    let at = raw.column(SPAN)?;
    let RawColumn::Wholes(spans) = &raw.columns[at] else { return None };
    let number = usize::try_from(spans.get(row)?).ok()?;
    Some((number & 0xffff, number >> 16))
}
