//! Labels of tokens that mark spans, and the places of tokens in their sentences.

use crate::config::{SPAN, Scheme, Task};
use crate::data::Target;
use crate::data::table::raw::{Raw, RawColumn};
use crate::fault::{Fault, quoted};

/// A tag in two parts: the letter that says where in a span the token is, and the type of the span.
/// `O` is outside of all spans; so is what has no such letter.
pub fn parts(tag: &str) -> (char, &str) {
    match tag.split_once('-') {
        Some(("B", kind)) => ('B', kind),
        Some(("I", kind)) => ('I', kind),
        Some(("E", kind)) => ('E', kind),
        Some(("S", kind)) => ('S', kind),
        None if ["B", "I", "E", "S"].contains(&tag) => (tag.chars().next().unwrap_or('O'), ""),
        _ => OUTSIDE,
    }
}

/// A span ends between these two tags, as conlleval finds spans.
pub fn ends((before, of): (char, &str), (now, kind): (char, &str)) -> bool {
    match (before, now) {
        ('O', _) => false,
        ('E' | 'S', _) | ('B' | 'I', 'B' | 'S' | 'O') => true,
        _ => of != kind,
    }
}

/// A span begins with the second of these two tags, as conlleval finds spans.
pub fn begins((before, of): (char, &str), (now, kind): (char, &str)) -> bool {
    match (before, now) {
        (_, 'O') => false,
        (_, 'B' | 'S') | ('E' | 'S' | 'O', 'E' | 'I') => true,
        _ => of != kind,
    }
}

/// A scheme lets the second of two tags follow the first. Before and behind a sentence there is [`OUTSIDE`].
pub fn may_follow(scheme: Scheme, (before, of): (char, &str), (now, kind): (char, &str)) -> bool {
    let goes_on = |now: char| now == 'I' || now == 'E';
    let is_inside = matches!(before, 'B' | 'I');
    match scheme {
        Scheme::Bioes if is_inside => goes_on(now) && of == kind,
        Scheme::Bioes => !goes_on(now),
        Scheme::Iob1 => now != 'B' || (is_inside && of == kind),
        Scheme::Auto | Scheme::Bio => now != 'I' || (is_inside && of == kind),
        Scheme::None => true,
    }
}

/// The tag of what is in no span.
pub const OUTSIDE: (char, &str) = ('O', "");

/// Settles the scheme of a task by the order of its labels in training: where most spans begin with
/// I, and the settings name no scheme, it is [`Scheme::Iob1`]. `labels` are codes of the classes of
/// the target, and `rows` those of the table that have them, whole sentences. The result says what
/// was taken, and how many labels break the scheme.
pub fn settle(
    task: &Task,
    target: &mut Target,
    labels: &[u32],
    raw: &Raw,
    rows: &[u32],
) -> Vec<String> {
    let Some(mut scheme) = target.scheme else { return Vec::new() };
    let tag = |code: &u32| {
        target.classes.get(*code as usize).map_or(OUTSIDE, |class: &String| parts(class))
    };
    let is_first = |row: u32| span(raw, row as usize).is_some_and(|(before, _)| before == 0);
    // Pairs of neighbours, with the row of the second one, or of the last of a sentence.
    let mut pairs = Vec::with_capacity(labels.len());
    let mut before = OUTSIDE;
    for (at, (row, label)) in rows.iter().zip(labels).enumerate() {
        if is_first(*row) {
            if at > 0 {
                pairs.push((rows[at - 1], before, OUTSIDE));
            }
            before = OUTSIDE;
        }
        pairs.push((*row, before, tag(label)));
        before = tag(label);
    }
    pairs.extend(rows.last().map(|row| (*row, before, OUTSIDE)));
    let begun = || pairs.iter().filter(|(_, before, now)| begins(*before, *now));
    let (spans, by_i) = (begun().count(), begun().filter(|(_, _, now)| now.0 == 'I').count());
    let name = &target.task;
    let mut notices = Vec::new();
    if task.scheme == Scheme::Auto && scheme == Scheme::Bio && 2 * by_i > spans {
        scheme = Scheme::Iob1;
        notices.push(format!(
            "labels of task {name}: {by_i} of {spans} spans begin with I-: the scheme is taken to \
             be \"iob1\" (task.{name}.scheme says otherwise)"
        ));
    }
    let broken = || pairs.iter().filter(|(_, before, now)| !may_follow(scheme, *before, *now));
    if let Some((row, before, now)) = broken().next() {
        let shown = |(letter, kind): &(char, &str)| match kind.is_empty() {
            true => letter.to_string(),
            false => format!("{letter}-{kind}"),
        };
        notices.push(format!(
            "labels of task {name}: {} places in {spans} spans of training break the scheme {}, \
             the first in {}: {} before {}; no such sequence is ever predicted \
             (task.{name}.scheme)",
            broken().count(),
            quoted(&scheme.to_string()),
            raw.locate(*row as usize),
            shown(before),
            shown(now),
        ));
    }
    target.scheme = Some(scheme);
    notices
}

/// The scheme of the labels of a task by its letters; `locate` tells where a label stands first.
///
/// # Errors
/// 78 if labels mark no spans, or by letters that the scheme does not have.
pub fn scheme(
    task: &Task,
    classes: &[String],
    locate: &dyn Fn(&str) -> Option<String>,
) -> Result<Scheme, Fault> {
    let place = format!("task.{}.type", task.name);
    let fault = |found: String, hint: &str| Err(Fault::config(&place, found).hint(hint));
    let odd = classes.iter().find(|class| class.as_str() != "O" && parts(class).0 == 'O');
    if let Some(odd) = odd {
        return fault(
            format!(
                "{}{} marks no span; tags are O, B-X, I-X and perhaps E-X, S-X",
                quoted(odd),
                locate(odd).map(|place| format!(" ({place})")).unwrap_or_default()
            ),
            "correct the label; type = \"multiclass\" is for labels of single tokens",
        );
    }
    let ends = classes.iter().find(|class| "ES".contains(parts(class).0));
    match (task.scheme, ends) {
        (Scheme::Bio | Scheme::Iob1, Some(end)) => fault(
            format!(
                "the scheme is {}, and there is the tag {}",
                quoted(&task.scheme.to_string()),
                quoted(end)
            ),
            "say scheme = \"bioes\", or leave it out",
        ),
        (Scheme::Bioes, None) => fault(
            "the scheme is \"bioes\", and no label of training begins with E- or S-".to_owned(),
            "say scheme = \"bio\", or leave it out",
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
