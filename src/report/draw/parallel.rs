//! Parallel coordinates: upright axes side by side, and a line per thing through its places.

use super::axis::{Axis, fitted};
use super::ink::{GRADES, Ink};
use super::sheet::{Anchor, LETTER, Sheet, WIDTH, drawn_on, width_of};

/// Height of the axes.
const HIGH: f64 = 560.0;
/// Number of axes up to which the picture is as wide as others; beyond it has twice the width.
const NARROW: usize = 2;
/// Most letters of the name of an axis, and the largest width of a text beside one.
const NAME: usize = 36;
const TICK: f64 = 200.0;

/// Axes with lines.
#[derive(Clone, Debug)]
pub struct Parallel {
    /// The axes, from left to right.
    pub axes: Vec<Axis>,
    /// The lines; later ones lie on top.
    pub strands: Vec<Strand>,
}

/// A line through all axes.
#[derive(Clone, Debug)]
pub struct Strand {
    /// For each axis its place; `None` breaks the line.
    pub places: Vec<Option<f64>>,
    /// Its colour.
    pub ink: Ink,
    /// Its width.
    pub stroke: u32,
    /// Its opacity.
    pub opacity: f64,
}

/// Where the axes lie on the sheet.
struct Frame {
    left: f64,
    step: f64,
    top: f64,
    is_turned: bool,
}

impl Frame {
    fn x(&self, axis: usize) -> f64 {
        self.left + self.step * axis as f64
    }

    fn y(&self, place: f64) -> f64 {
        self.top + (1.0 - place) * HIGH
    }
}

impl Parallel {
    /// The elements of the picture, and its size.
    pub fn draw(&self) -> (String, [u32; 2]) {
        let count = self.axes.len();
        let width = if count <= NARROW { WIDTH } else { 2 * WIDTH };
        let widest = |axis: Option<&Axis>| {
            let ticks = axis.map(Axis::ticks).unwrap_or_default();
            let widths = ticks.iter().map(|(_, text)| width_of(text).min(TICK));
            widths.fold(60.0, f64::max) + 20.0
        };
        let (left, right) = (widest(self.axes.first()), widest(self.axes.last()));
        let gaps = count.saturating_sub(1).max(1) as f64;
        let step = (f64::from(width) - left - right) / gaps;
        let names: Vec<f64> = self.axes.iter().map(|axis| width_of(&axis.title(NAME))).collect();
        let longest = names.iter().copied().fold(0.0, f64::max);
        // The outer names have half their width beyond their axes.
        let is_turned = longest > step - 12.0;
        let half = |names: &[f64]| names.first().map_or(0.0, |name| name / 2.0 + 4.0);
        let ends = [&names[..], &names[count.saturating_sub(1)..]].map(half);
        let [left, right] = match is_turned {
            true => [left, right],
            false => [left.max(ends[0]), right.max(ends[1])],
        };
        let step = (f64::from(width) - left - right) / gaps;
        let is_turned = is_turned || longest > step - 12.0;
        let room = if is_turned { longest + 24.0 } else { LETTER + 30.0 };
        let top = LETTER + 28.0 + room;
        let frame = Frame { left, step, top, is_turned };
        let height = (top + HIGH + 24.0) as u32;
        let elements = drawn_on([width, height], |sheet| {
            draw_legend(sheet, f64::from(width));
            for number in 0..count {
                let x = frame.x(number);
                sheet.path(&[[x, frame.y(0.0)], [x, frame.y(1.0)]], Ink::Muted, 2);
            }
            self.strands.iter().for_each(|strand| draw_strand(sheet, &frame, strand));
            for (number, axis) in self.axes.iter().enumerate() {
                self.draw_axis(sheet, &frame, number, axis);
            }
        });
        (elements, [width, height])
    }

    fn draw_axis(&self, sheet: &mut Sheet, frame: &Frame, number: usize, axis: &Axis) {
        let x = frame.x(number);
        let name = axis.title(NAME);
        match frame.is_turned {
            true => {
                sheet.text([x, frame.top - 16.0], Anchor::UpFrom, Ink::Text, &name);
            }
            false => sheet.text([x, frame.top - 30.0], Anchor::Middle, Ink::Text, &name),
        }
        if let Some(border) = axis.border() {
            let y = frame.y(border);
            sheet.path(&[[x - 10.0, y + 5.0], [x + 10.0, y - 5.0]], Ink::Text, 3);
        }
        // The text of the last axis stands outside, as that of the first does.
        let is_last = number > 0 && number + 1 == self.axes.len();
        let room = if number == 0 || is_last { TICK } else { frame.step - 20.0 };
        let mut free = f64::INFINITY;
        for (place, text) in axis.ticks() {
            let y = frame.y(place);
            sheet.path(&[[x - 7.0, y], [x + 7.0, y]], Ink::Muted, 3);
            if y > free {
                continue;
            }
            free = y - LETTER;
            let text = fitted(&text, room.min(TICK));
            let width = width_of(&text);
            match is_last {
                true => sheet.text([x + 14.0, y], Anchor::Start, Ink::Text, &text),
                false => {
                    let corners = [[x - 14.0 - width, y - 13.0], [x - 10.0, y + 13.0]];
                    sheet.fill(corners, Ink::Paper, 0.85);
                    sheet.text([x - 12.0, y], Anchor::End, Ink::Text, &text);
                }
            }
        }
    }
}

fn draw_strand(sheet: &mut Sheet, frame: &Frame, strand: &Strand) {
    let places = strand.places.iter().enumerate();
    let spots: Vec<Option<[f64; 2]>> =
        places.map(|(axis, place)| place.map(|p| [frame.x(axis), frame.y(p)])).collect();
    for run in spots.split(Option::is_none) {
        let run: Vec<[f64; 2]> = run.iter().flatten().copied().collect();
        match run[..] {
            [only] => sheet.dot(only, strand.stroke as i32 + 2, strand.ink, strand.opacity),
            _ => sheet.veil(&run, strand.ink, strand.stroke, strand.opacity),
        }
    }
}

/// What colours and widths mean.
fn draw_legend(sheet: &mut Sheet, width: f64) {
    let (y, mut x) = (LETTER * 0.8, 16.0);
    let say = |sheet: &mut Sheet, x: &mut f64, text: &str| {
        sheet.text([*x, y], Anchor::Start, Ink::Text, text);
        *x += width_of(text) + 6.0;
    };
    say(sheet, &mut x, "worst");
    for grade in 0..GRADES {
        sheet.fill([[x, y - 11.0], [x + 24.0, y + 11.0]], Ink::Rank(grade), 1.0);
        x += 24.0;
    }
    x += 10.0;
    say(sheet, &mut x, "best");
    if x + 440.0 < width {
        x += 40.0;
        sheet.path(&[[x, y], [x + 50.0, y]], Ink::Muted, 2);
        x += 60.0;
        say(sheet, &mut x, "in part");
        x += 30.0;
        sheet.path(&[[x, y], [x + 50.0, y]], Ink::Muted, 5);
        x += 60.0;
        say(sheet, &mut x, "whole training");
    }
}
