//! Several objectives at once.

use super::super::html::{Table, number};
use super::super::{Draft, Words};
use super::view::{View, called, directed};
use crate::report::draw::axis::Axis;
use crate::report::draw::field::Field;
use crate::report::draw::ink::Ink;
use crate::report::draw::scale::Scale;
use crate::report::draw::sign::Sign;
use crate::report::search::facts::{FrontFacts, TrialFacts};
use crate::text::short;

/// The factor by which a reference may stretch an axis; a farther one lies outside the picture.
const STRETCH: f64 = 3.0;

/// The section.
pub(super) fn section(draft: &mut Draft, view: &View, found: &FrontFacts) {
    draft.section("Objectives beside each other");
    let reference: Vec<String> = found.reference.iter().copied().map(short).collect();
    draft.say(&format!(
        "{} of {} trials are on the front: no other trial is at least as good in every objective \
         and better in one. The volume between the front and the reference ({}) is {}: the larger, \
         the better.",
        found.on_front.len(),
        found.points.len(),
        reference.join(", "),
        short(found.hypervolume)
    ));
    if let [first, second] = &found.names[..] {
        draft.plots(|draft| picture(draft, view, found, [first, second]));
    }
    table(draft, view, found);
}

/// Whether a higher figure of an objective is better.
fn is_up(found: &FrontFacts, objective: usize) -> bool {
    found.higher_is_better.get(objective).copied().unwrap_or(false)
}

/// The points that have two figures.
fn pairs(found: &FrontFacts) -> Vec<(usize, [f64; 2])> {
    let pair = |(trial, figures): &(usize, Vec<f64>)| match figures[..] {
        [x, y] if x.is_finite() && y.is_finite() => Some((*trial, [x, y])),
        _ => None,
    };
    found.points.iter().filter_map(pair).collect()
}

/// The axis of an objective; with the reference, unless that lies far away.
fn axis(found: &FrontFacts, points: &[(usize, [f64; 2])], objective: usize, name: &str) -> Axis {
    let figures = || points.iter().map(|(_, point)| point[objective]);
    let span = |values: &mut dyn Iterator<Item = f64>| {
        let ends = values
            .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], x| [low.min(x), high.max(x)]);
        ends[1] - ends[0]
    };
    let reference = found.reference.get(objective).copied().filter(|x| x.is_finite());
    let narrow = span(&mut figures());
    let near = reference.filter(|x| span(&mut figures().chain([*x])) <= STRETCH * narrow.max(1e-9));
    let scale = Scale::of(figures().chain(near), false).unwrap_or(Scale::fixed(0.0, 1.0));
    Axis::of_scale(&directed(name, is_up(found, objective)), scale)
}

fn picture(draft: &mut Draft, view: &View, found: &FrontFacts, names: [&String; 2]) {
    let points = pairs(found);
    let [across, up] = [0, 1].map(|objective| axis(found, &points, objective, names[objective]));
    let place = |[x, y]: [f64; 2]| Some([across.place(x)?, up.place(y)?]);
    let of = |number: usize| view.facts.trial(number);
    let is_on = |number: usize| found.on_front.contains(&number);
    let mut ordered = points.clone();
    ordered.sort_by_key(|(number, _)| is_on(*number));
    let sign = |(number, point): &(usize, [f64; 2])| {
        let ink = Ink::Series(usize::from(is_on(*number)));
        let share = of(*number).map_or(1.0, TrialFacts::trained);
        Some((place(*point)?, Sign::Dot(share, ink)))
    };
    let mut signs: Vec<([f64; 2], Sign)> = ordered.iter().filter_map(sign).collect();
    let mut legend = vec![
        (Sign::Dot(1.0, Ink::Series(1)), "on the front".to_owned()),
        (Sign::Dot(1.0, Ink::Series(0)), "other trial".to_owned()),
    ];
    let mut names_of = Vec::new();
    for (number, point) in &points {
        let name = of(*number).and_then(|trial| trial.name.clone());
        let best = (*number == view.facts.best).then(|| "best".to_owned());
        let Some(at) = place(*point) else { continue };
        signs.extend(best.as_ref().map(|_| (at, Sign::Ring(Ink::Text))));
        names_of.extend(best.or(name).map(|name| (at, name)));
    }
    let reference = match found.reference[..] {
        [x, y] => place([x, y]),
        _ => None,
    };
    let more = match reference {
        Some(at) => {
            signs.push((at, Sign::Cross(Ink::Text)));
            legend.push((Sign::Cross(Ink::Text), "reference".to_owned()));
            ""
        }
        None => "The reference lies outside the picture.",
    };
    let lines = vec![(stairs(found, &points, [&across, &up]), Ink::Series(1))];
    let about = format!(
        "{} of {} trials are on the front; the volume between it and the reference is {}.",
        found.on_front.len(),
        points.len(),
        short(found.hypervolume)
    );
    let title = format!("{} and {}", names[0], names[1]);
    let field = Field { across, up, lines, signs, names: names_of, legend };
    draft.picture(&Words { title: &title, about: &about, more }, field.draw());
}

/// The edge of what the front is better than, as places from one end of the field to the other.
fn stairs(found: &FrontFacts, points: &[(usize, [f64; 2])], axes: [&Axis; 2]) -> Vec<[f64; 2]> {
    let is_on = |(number, _): &&(usize, [f64; 2])| found.on_front.contains(number);
    let places = points
        .iter()
        .filter(is_on)
        .filter_map(|(_, [x, y])| Some([axes[0].place(*x)?, axes[1].place(*y)?]));
    let mut places: Vec<[f64; 2]> = places.collect();
    places.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    let ups = [is_up(found, 0), is_up(found, 1)];
    let worse = |objective: usize, a: f64, b: f64| if ups[objective] { a.min(b) } else { a.max(b) };
    // Where the reference is on the field the edge ends at it, else at the edge of the field.
    let end = |objective: usize| {
        let reference = found.reference.get(objective);
        let edge = if ups[objective] { 0.0 } else { 1.0 };
        reference.and_then(|x| axes[objective].place(*x)).unwrap_or(edge)
    };
    let (Some(first), Some(last)) = (places.first().copied(), places.last().copied()) else {
        return Vec::new();
    };
    let mut line = Vec::new();
    // On the side where x is worse the edge runs on at the height of that point.
    let (before, after) = match ups[0] {
        true => ([end(0), first[1]], [last[0], end(1)]),
        false => ([first[0], end(1)], [end(0), last[1]]),
    };
    line.push(before);
    for pair in places.windows(2) {
        let corner = [worse(0, pair[0][0], pair[1][0]), worse(1, pair[0][1], pair[1][1])];
        line.extend([pair[0], corner]);
    }
    line.extend([last, after]);
    line
}

/// The trials on the front, with their figures; the best of the first objective come first.
fn table(draft: &mut Draft, view: &View, found: &FrontFacts) {
    let is_on = |(number, _): &&(usize, Vec<f64>)| found.on_front.contains(number);
    let mut points: Vec<&(usize, Vec<f64>)> = found.points.iter().filter(is_on).collect();
    let first = |point: &(usize, Vec<f64>)| {
        let figure = point.1.first().copied().unwrap_or(f64::NAN);
        if is_up(found, 0) { -figure } else { figure }
    };
    points.sort_by(|a, b| first(a).total_cmp(&first(b)).then(a.0.cmp(&b.0)));
    let names = found.names.iter().enumerate();
    let names = names.map(|(at, name)| {
        let direction = if is_up(found, at) { "higher" } else { "lower" };
        format!("{name}, {direction} is better")
    });
    let row = |(number_of, figures): &&(usize, Vec<f64>)| {
        let name = view.facts.trial(*number_of).map_or(number_of.to_string(), called);
        let at = 0..found.names.len();
        let cells = at.map(|at| number(figures.get(at).copied(), "it was not measured"));
        (name, cells.collect())
    };
    draft.table(&Table {
        caption: "The trials on the front",
        head: ["trial".to_owned()].into_iter().chain(names).collect(),
        rows: points.iter().map(row).collect(),
    });
}
