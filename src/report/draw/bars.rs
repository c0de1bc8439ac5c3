//! Bars: horizontal ones with names, and the upright ones of a histogram.

use super::ink::Ink;
use super::scale::Scale;
use super::sheet::{Anchor, LETTER, WIDTH, drawn, width_of};
use crate::measure::chart::cut;
use crate::text::short;

/// Most letters of a name beside a bar.
const NAME: usize = 26;
/// Height of a bar with its gap.
const BAR: f64 = 40.0;

/// A bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Half the length of the line across its end.
    pub spread: f64,
}

/// Horizontal bars from 0; `x` is the name of the axis.
pub fn horizontal(x: &str, bars: &[Bar]) -> (String, [u32; 2]) {
    let name = |bar: &Bar| cut(&bar.name, NAME);
    let left = bars.iter().map(|bar| width_of(&name(bar))).fold(60.0, f64::max) + 14.0;
    let right = WIDTH as f64 - 30.0;
    let ends = bars.iter().flat_map(|bar| [bar.value - bar.spread, bar.value + bar.spread]);
    let scale = Scale::of(ends.chain([0.0]), false).unwrap_or(Scale::fixed(0.0, 1.0));
    let spot = |value: f64| left + scale.place(value).clamp(0.0, 1.0) * (right - left);
    let bottom = 10.0 + BAR * bars.len() as f64;
    let height = (bottom + 92.0) as u32;
    let elements = drawn(height, |sheet| {
        for (place, text) in scale.ticks() {
            let x = left + place * (right - left);
            sheet.path(&[[x, 10.0], [x, bottom]], Ink::Grid, 2);
            sheet.text([x, bottom + 26.0], Anchor::Middle, Ink::Muted, &text);
        }
        for (number, bar) in bars.iter().enumerate() {
            let y = 10.0 + BAR * (number as f64 + 0.5);
            sheet.text([left - 12.0, y], Anchor::End, Ink::Muted, &name(bar));
            let (from, to) = (spot(bar.value.min(0.0)), spot(bar.value.max(0.0)));
            let ink = Ink::Series(usize::from(bar.value < 0.0));
            sheet.fill([[from, y - 12.0], [to, y + 12.0]], ink, 0.75);
            let ends = [spot(bar.value - bar.spread), spot(bar.value + bar.spread)];
            sheet.path(&ends.map(|x| [x, y]), Ink::Text, 3);
        }
        sheet.path(&[[spot(0.0), 10.0], [spot(0.0), bottom]], Ink::Muted, 2);
        sheet.text([(left + right) / 2.0, bottom + 66.0], Anchor::Middle, Ink::Text, x);
    });
    (elements, [WIDTH, height])
}

/// Upright bars of equal width from `low` to `high`; `x` and `y` name the axes.
pub fn histogram(x: &str, y: &str, [low, high]: [f64; 2], counts: &[u64]) -> (String, [u32; 2]) {
    let most = counts.iter().copied().max().unwrap_or(0) as f64;
    let up = Scale::fixed(0.0, 1.05 * most.max(1.0));
    let across = match high > low {
        true => Scale::fixed(low, high),
        false => Scale::of([low].into_iter(), false).unwrap_or(Scale::fixed(0.0, 1.0)),
    };
    let ticks = up.ticks();
    let widest = ticks.iter().map(|(_, text)| width_of(text)).fold(0.0, f64::max);
    let (left, right) = (LETTER * 1.8 + widest + 14.0, WIDTH as f64 - 30.0);
    let (top, bottom) = (20.0, 440.0);
    let elements = drawn(532, |sheet| {
        for (place, text) in &ticks {
            let y = bottom - place * (bottom - top);
            sheet.path(&[[left, y], [right, y]], Ink::Grid, 2);
            sheet.text([left - 12.0, y], Anchor::End, Ink::Muted, text);
        }
        let wide = (right - left) / counts.len().max(1) as f64;
        for (number, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let x = left + wide * number as f64;
            let y = bottom - up.place(*count as f64) * (bottom - top);
            sheet.fill([[x + 1.0, y], [x + wide - 1.0, bottom]], Ink::Series(0), 0.75);
        }
        sheet.path(&[[left, bottom], [right, bottom]], Ink::Muted, 2);
        let mut free = 0.0;
        for (place, text) in across.ticks() {
            let half = width_of(&text) / 2.0;
            let x = (left + place * (right - left)).min(WIDTH as f64 - half - 2.0);
            if x - half > free {
                sheet.text([x, bottom + 26.0], Anchor::Middle, Ink::Muted, &text);
                free = x + half + 8.0;
            }
        }
        let middle = (left + right) / 2.0;
        sheet.text([middle, bottom + 66.0], Anchor::Middle, Ink::Text, x);
        sheet.text([LETTER * 0.8, (top + bottom) / 2.0], Anchor::Up, Ink::Text, y);
    });
    (elements, [WIDTH, 532])
}

/// A count in few letters: `12345` as it is, larger ones rounded to three digits.
pub fn brief(count: f64) -> String {
    match count {
        x if x >= 1e9 => format!("{:.3e}", x),
        x if x >= 1e6 => {
            format!("{}M", short(x / 1e4).parse::<f64>().unwrap_or(0.0).round() / 100.0)
        }
        x => short(x),
    }
}
