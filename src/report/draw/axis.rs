//! An axis of values as they stand in a configuration: numbers on a scale, other values beside it,
//! or choices at equal distances.

use super::scale::Scale;
use super::sheet::width_of;
use crate::measure::chart::cut;
use crate::text::short;

/// Share of the axis that a place beside the scale takes, where there are few of them.
const PLACE: f64 = 0.11;
/// The largest share of the axis that such places take together.
const PLACES: f64 = 0.5;
/// The gap between them and the scale.
const GAP: f64 = 0.03;
/// The largest number of numbers that are choices, and how often each is met at least.
const FEW: [usize; 2] = [8, 3];

/// An axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Its name.
    pub name: String,
    scale: Option<Scale>,
    /// Values with a place of their own, from the low end of the axis on.
    own: Vec<Own>,
}

/// A value that is on no scale.
#[derive(Clone, Debug, PartialEq)]
enum Own {
    /// There is no value.
    Nothing,
    /// What the caller named.
    Named(String),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

impl Own {
    fn of(value: Option<&str>) -> Own {
        match (value, value.and_then(number)) {
            (None, _) => Own::Nothing,
            (_, Some(number)) => Own::Number(number),
            (Some(text), None) => Own::Text(text.to_owned()),
        }
    }

    /// What orders such values.
    fn rank(&self) -> (u8, f64, &str) {
        match self {
            Own::Nothing => (0, 0.0, ""),
            Own::Named(text) => (1, 0.0, text),
            Own::Number(number) => (2, *number, ""),
            Own::Text(text) => (3, text.chars().count() as f64, text),
        }
    }

    fn label(&self) -> String {
        match self {
            Own::Nothing => "–".to_owned(),
            Own::Named(text) => text.clone(),
            Own::Number(number) => short(*number),
            Own::Text(text) => {
                let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
                inner.unwrap_or(text).to_owned()
            }
        }
    }
}

/// The number that a value of TOML is.
fn number(text: &str) -> Option<f64> {
    let number: f64 = text.trim().replace('_', "").parse().ok()?;
    // A −0 is the same number as a 0.
    number.is_finite().then_some(number + 0.0)
}

/// Values without those that are there twice, in the order of the axis.
fn distinct(values: impl Iterator<Item = Own>) -> Vec<Own> {
    let mut all: Vec<Own> = values.collect();
    all.sort_by(|a, b| {
        let ((kind, x, text), (other, y, beside)) = (a.rank(), b.rank());
        kind.cmp(&other).then(x.total_cmp(&y)).then(text.cmp(beside))
    });
    all.dedup();
    all
}

impl Axis {
    /// An axis of numbers.
    pub fn of_scale(name: &str, scale: Scale) -> Axis {
        Axis { name: name.to_owned(), scale: Some(scale), own: Vec::new() }
    }

    /// An axis that holds the values of a key. Numbers are on a scale; a 0 on a logarithmic one,
    /// other values and a value that is missing have places beside it. Where most values are no
    /// numbers, or a few numbers come again and again, all have places of their own.
    pub fn of_values(name: &str, log: bool, values: &[Option<&str>]) -> Axis {
        let all = || values.iter().copied().map(Own::of);
        let mut own = distinct(all());
        let count = |own: &[Own], of: fn(&Own) -> bool| own.iter().filter(|o| of(o)).count();
        let numbers = count(&own, |own| matches!(own, Own::Number(_)));
        let texts = count(&own, |own| matches!(own, Own::Text(_)));
        let [few, times] = FEW;
        let repeat = all().filter(|own| matches!(own, Own::Number(_))).count();
        let are_choices = texts >= numbers || (numbers <= few && repeat >= times * numbers);
        let mut scale = None;
        if !are_choices {
            let numbers = own.iter().filter_map(|own| match own {
                Own::Number(number) => Some(*number),
                _ => None,
            });
            scale = if log { Scale::log(numbers) } else { Scale::of(numbers, false) };
        }
        if let Some(scale) = &scale {
            own.retain(|own| !matches!(own, Own::Number(x) if holds(scale, *x)));
        }
        Axis { name: name.to_owned(), scale, own }
    }

    /// The axis with a place beside its scale that has a name.
    pub fn beside(mut self, text: &str) -> Axis {
        self.own = distinct(self.own.drain(..).chain([Own::Named(text.to_owned())]));
        self
    }

    /// Share of the axis that a value with its own place takes.
    pub fn room(&self) -> f64 {
        let count = self.own.len().max(1) as f64;
        if self.scale.is_some() { (PLACES / count).min(PLACE) } else { 1.0 / count }
    }

    /// Where the scale begins.
    fn floor(&self) -> f64 {
        match self.own.len() {
            0 => 0.0,
            count => self.room() * count as f64 + GAP,
        }
    }

    /// The place between values with places of their own and the scale.
    pub fn border(&self) -> Option<f64> {
        (self.scale.is_some() && !self.own.is_empty()).then(|| self.floor() - GAP / 2.0)
    }

    /// The place of a number on the scale, from 0 to 1.
    pub fn place(&self, x: f64) -> Option<f64> {
        let place = self.scale.as_ref()?.place(x);
        // A little beyond is rounding.
        let is_in = (-1e-6..=1.0 + 1e-6).contains(&place);
        is_in.then(|| self.floor() + place.clamp(0.0, 1.0) * (1.0 - self.floor()))
    }

    /// The place that [`Axis::beside`] has made.
    pub fn named(&self, text: &str) -> Option<f64> {
        self.own_place(&Own::Named(text.to_owned()))
    }

    fn own_place(&self, value: &Own) -> Option<f64> {
        let at = self.own.iter().position(|own| own == value)?;
        Some((at as f64 + 0.5) * self.room())
    }

    /// The place of a value as TOML, and whether other trials with this value are there as well.
    pub fn spot(&self, value: Option<&str>) -> Option<(f64, bool)> {
        let value = Own::of(value);
        match (self.own_place(&value), value) {
            (Some(place), _) => Some((place, true)),
            (None, Own::Number(x)) => self.place(x).map(|place| (place, false)),
            _ => None,
        }
    }

    /// The places that are named, with their texts: those of their own, then round numbers.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let room = self.room();
        let own = self.own.iter().enumerate();
        let own = own.map(|(at, own)| ((at as f64 + 0.5) * room, own.label()));
        let floor = self.floor();
        let on_scale = self.scale.as_ref().map(Scale::ticks).unwrap_or_default();
        let on_scale =
            on_scale.into_iter().map(|(place, text)| (floor + place * (1.0 - floor), text));
        own.chain(on_scale).collect()
    }

    /// Whether it has no scale.
    pub fn is_choice(&self) -> bool {
        self.scale.is_none()
    }

    /// Number of values with places of their own.
    pub fn count(&self) -> usize {
        self.own.len()
    }

    /// The name, of at most so many letters, with a word where the scale is logarithmic.
    pub fn title(&self, most: usize) -> String {
        let is_log = self.scale.as_ref().is_some_and(|scale| scale.is_log);
        let log = if is_log { " (log)" } else { "" };
        format!("{}{log}", squeezed(&self.name, most - log.len()))
    }
}

fn holds(scale: &Scale, x: f64) -> bool {
    // On a logarithmic scale a 0 is infinitely far away, and a negative number has no place.
    (-1e-6..=1.0 + 1e-6).contains(&scale.place(x))
}

/// A text of at most `most` letters, without its middle where it has more: the end of a key says as
/// much as its beginning.
pub fn squeezed(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let after = most.saturating_sub(1) / 2;
    let head = text.chars().take(most.saturating_sub(1) - after);
    head.chain(['…']).chain(text.chars().skip(count - after)).collect()
}

/// The text of a tick within a width: as it is, a number with an exponent, or cut.
pub fn fitted(text: &str, width: f64) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let brief = text.parse::<f64>().map(|x| format!("{x:e}"));
    let most = (width / width_of("m")).max(2.0) as usize;
    match brief {
        Ok(brief) if brief.chars().count() < text.chars().count() => brief,
        Ok(_) => text.to_owned(),
        Err(_) => cut(text, most),
    }
}
