//! Dots over two axes that may hold numbers and other values, with lines and names.

use std::collections::BTreeSet;

use super::axis::{Axis, fitted};
use super::ink::Ink;
use super::sheet::{Anchor, LETTER, Sheet, WIDTH, drawn, width_of};
use super::sign::Sign;
use crate::measure::chart::cut;

/// Height of the field itself, without legend and axes.
const FIELD: f64 = 480.0;
/// Height of a line of the legend.
const LINE: f64 = 38.0;
/// The largest width of a text beside the vertical axis, and of one that runs upwards.
const TICK: f64 = 200.0;
/// The right edge of the field.
const RIGHT: f64 = WIDTH as f64 - 24.0;
/// Most letters of the name of an axis.
const NAME: usize = 40;
/// From this number of dots on, dots that hide others are drawn once.
const MANY: usize = 200;

/// A picture of dots. All its points are places from 0 to 1.
#[derive(Clone, Debug)]
pub struct Field {
    /// The horizontal axis.
    pub across: Axis,
    /// The vertical axis.
    pub up: Axis,
    /// Lines from point to point.
    pub lines: Vec<(Vec<[f64; 2]>, Ink)>,
    /// Signs with their places; later ones lie on top.
    pub signs: Vec<([f64; 2], Sign)>,
    /// Names of some places.
    pub names: Vec<([f64; 2], String)>,
    /// What signs mean.
    pub legend: Vec<(Sign, String)>,
}

/// Where the field lies on its sheet.
struct Frame {
    left: f64,
    top: f64,
    bottom: f64,
}

impl Frame {
    fn at(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [self.left + x * (RIGHT - self.left), self.bottom - y * (self.bottom - self.top)]
    }
}

/// The ticks of the horizontal axis.
struct Below {
    ticks: Vec<(f64, String)>,
    is_turned: bool,
    height: f64,
}

impl Field {
    /// The elements of the picture, and its size.
    pub fn draw(&self) -> (String, [u32; 2]) {
        let fit = |(place, text): (f64, String)| (place, fitted(&text, TICK));
        let beside: Vec<(f64, String)> = self.up.ticks().into_iter().map(fit).collect();
        let widest = beside.iter().map(|(_, text)| width_of(text)).fold(0.0, f64::max);
        let left = LETTER * 1.8 + widest + 14.0;
        let legend = self.places_of_legend(left);
        let lines = legend.last().map_or(0, |(_, _, line)| line + 1);
        let top = 20.0 + LINE * lines as f64;
        let frame = Frame { left, top, bottom: top + FIELD };
        let below = self.below(left);
        let height = (frame.bottom + below.height + 54.0) as u32;
        let elements = drawn(height, |sheet| {
            self.draw_axes(sheet, &frame, &beside, &below);
            for (line, ink) in &self.lines {
                let line: Vec<[f64; 2]> = line.iter().map(|place| frame.at(*place)).collect();
                sheet.path(&line, *ink, 4);
            }
            self.draw_signs(sheet, &frame);
            self.draw_names(sheet, &frame);
            for (number, x, line) in legend {
                let (sign, text) = &self.legend[number];
                let y = 24.0 + LINE * line as f64;
                sign.draw(sheet, [x + 20.0, y], 9);
                sheet.text([x + 50.0, y], Anchor::Start, Ink::Text, text);
            }
        });
        (elements, [WIDTH, height])
    }

    /// For each item of the legend its number, its left end and its line.
    fn places_of_legend(&self, left: f64) -> Vec<(usize, f64, usize)> {
        let (mut x, mut line, mut items) = (left, 0, Vec::new());
        for (number, (_, text)) in self.legend.iter().enumerate() {
            let width = 80.0 + width_of(text);
            if x + width > RIGHT && x > left {
                (x, line) = (left, line + 1);
            }
            items.push((number, x, line));
            x += width;
        }
        items
    }

    /// Texts below the field run upwards where those that are on no scale do not fit side by side.
    fn below(&self, left: f64) -> Below {
        let ticks = self.across.ticks();
        let room = (RIGHT - left) * self.across.room() - 8.0;
        // Texts of a scale that meet others are left out; those beside it must be read.
        let own = ticks.iter().take(self.across.count());
        let is_turned = own.map(|(_, text)| width_of(text)).any(|width| width > room);
        if !is_turned {
            return Below { ticks, is_turned, height: 38.0 };
        }
        let fit = |(place, text): (f64, String)| (place, fitted(&text, TICK));
        let ticks: Vec<(f64, String)> = ticks.into_iter().map(fit).collect();
        let widest = ticks.iter().map(|(_, text)| width_of(text)).fold(0.0, f64::max);
        Below { ticks, is_turned, height: widest + 18.0 }
    }

    fn draw_axes(&self, sheet: &mut Sheet, frame: &Frame, beside: &[(f64, String)], below: &Below) {
        let mut free = f64::INFINITY;
        for (place, text) in beside {
            let ends = [frame.at([0.0, *place]), frame.at([1.0, *place])];
            sheet.path(&ends, Ink::Grid, 2);
            let [x, y] = ends[0];
            if y < free {
                sheet.text([x - 12.0, y], Anchor::End, Ink::Muted, text);
                free = y - LETTER;
            }
        }
        if let Some(border) = self.up.border() {
            let ends = [frame.at([0.0, border]), frame.at([1.0, border])];
            sheet.path(&ends, Ink::Muted, 2);
        }
        if let Some(border) = self.across.border() {
            let ends = [frame.at([border, 0.0]), frame.at([border, 1.0])];
            sheet.path(&ends, Ink::Muted, 2);
        }
        draw_below(sheet, frame, below);
        sheet.path(&[frame.at([0.0, 0.0]), frame.at([1.0, 0.0])], Ink::Muted, 2);
        let [x, y] = frame.at([0.5, 0.0]);
        let at = [x, y + below.height + 28.0];
        sheet.text(at, Anchor::Middle, Ink::Text, &self.across.title(NAME));
        let [_, y] = frame.at([0.0, 0.5]);
        sheet.text([LETTER * 0.8, y], Anchor::Up, Ink::Text, &self.up.title(NAME));
    }

    fn draw_signs(&self, sheet: &mut Sheet, frame: &Frame) {
        let radius = match self.signs.len() {
            0..100 => 9,
            100..MANY => 7,
            _ => 5,
        };
        let mut taken = BTreeSet::new();
        let mut shown = Vec::new();
        for (place, sign) in self.signs.iter().rev() {
            let at = frame.at(*place);
            let cell = at.map(|x| (x / 4.0).round() as i64);
            if taken.insert(cell) || self.signs.len() < MANY || matches!(sign, Sign::Ring(_)) {
                shown.push((at, *sign));
            }
        }
        shown.iter().rev().for_each(|(at, sign)| sign.draw(sheet, *at, radius));
    }

    /// Names beside their places, where no other name is and as few signs and lines as may be.
    fn draw_names(&self, sheet: &mut Sheet, frame: &Frame) {
        let hidden = self.may_be_hidden(frame);
        let mut taken: Vec<[f64; 4]> = Vec::new();
        for (place, name) in &self.names {
            let (at, name) = (frame.at(*place), cut(name, 24));
            let areas = areas(at, width_of(&name));
            let is_free = |area: &&[f64; 4]| {
                let [x0, y0, x1, y1] = **area;
                let is_in = x0 >= frame.left && x1 <= RIGHT && y0 >= frame.top - 8.0;
                let meets = |b: &[f64; 4]| x0 < b[2] && b[0] < x1 && y0 < b[3] && b[1] < y1;
                is_in && y1 <= frame.bottom && !taken.iter().any(meets)
            };
            let hides = |area: &&[f64; 4]| {
                let [x0, y0, x1, y1] = **area;
                let is_in = |[x, y]: &&[f64; 2]| (x0..=x1).contains(x) && (y0..=y1).contains(y);
                hidden.iter().filter(is_in).count()
            };
            let best = areas.iter().filter(is_free).min_by_key(hides);
            let Some([x0, y0, x1, y1]) = best.or(areas.first()).copied() else { continue };
            sheet.fill([[x0, y0], [x1, y1]], Ink::Paper, 0.8);
            let at = [x0 + 4.0, (y0 + y1) / 2.0];
            sheet.text(at, Anchor::Start, Ink::Text, &name);
            taken.push([x0, y0, x1, y1]);
        }
    }

    /// Points that a name would hide: signs, and points of lines.
    fn may_be_hidden(&self, frame: &Frame) -> Vec<[f64; 2]> {
        let signs = self.signs.iter().map(|(place, _)| frame.at(*place));
        let between = |pair: &[[f64; 2]]| {
            let [from, to] = [frame.at(pair[0]), frame.at(pair[1])];
            (0..=50).map(move |k| [0, 1].map(|i| from[i] + (to[i] - from[i]) * f64::from(k) / 50.0))
        };
        let lines = self.lines.iter().flat_map(|(line, _)| line.windows(2).flat_map(between));
        signs.chain(lines).collect()
    }
}

/// Where a name of a width may stand beside a point: left, top, right and bottom.
fn areas([x, y]: [f64; 2], width: f64) -> Vec<[f64; 4]> {
    let beside = [[x + 20.0, y], [x - 20.0 - width, y]];
    let starts = [-0.5, 0.0, -1.0].map(|part| x + part * width);
    let above = [-32.0, 32.0, -62.0, 62.0].map(|far| starts.map(|x| [x, y + far]));
    let spots = beside.into_iter().chain(above.into_iter().flatten());
    let half = LETTER * 0.6;
    spots.map(|[x, y]| [x - 4.0, y - half, x + width + 4.0, y + half]).collect()
}

fn draw_below(sheet: &mut Sheet, frame: &Frame, below: &Below) {
    let mut free = 0.0;
    for (place, text) in &below.ticks {
        let [x, y] = frame.at([*place, 0.0]);
        sheet.path(&[[x, y], [x, y + 8.0]], Ink::Muted, 2);
        let (half, anchor) = match below.is_turned {
            true => (LETTER / 2.0, Anchor::UpTo),
            false => (width_of(text) / 2.0, Anchor::Middle),
        };
        let middle = x.min(WIDTH as f64 - half - 2.0);
        let down = if below.is_turned { 14.0 } else { 26.0 };
        if middle - half > free {
            sheet.text([middle, y + down], anchor, Ink::Muted, text);
            free = middle + half + if below.is_turned { 0.0 } else { 8.0 };
        }
    }
}
