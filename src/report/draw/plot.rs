//! Curves and dots over two axes.

use super::ink::{COLOURS, Ink};
use super::scale::Scale;
use super::sheet::{Anchor, LETTER, Sheet, WIDTH, drawn, width_of};
use crate::measure::chart::cut;

/// Height of the plot itself, without legend and axes.
const PLOT: f64 = 480.0;
/// Height of a line of the legend.
const LINE: f64 = 38.0;
/// Most letters of a name in a legend.
const NAME: usize = 28;
/// The right edge of the plot.
const RIGHT: f64 = WIDTH as f64 - 24.0;

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A strong line; a point that stands alone is a dot.
    Line,
    /// A fine line.
    Fine,
    /// Large dots without a line.
    Marks,
    /// A cloud of small dots.
    Cloud,
}

/// Points with a name.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Number of its colour.
    pub colour: usize,
    /// How it is drawn.
    pub style: Style,
    /// Points (x, y) by ascending x; a y that is not finite breaks the line.
    pub points: Vec<[f64; 2]>,
}

/// A picture over two axes.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Name of the horizontal axis.
    pub x: String,
    /// Name of the vertical axis.
    pub y: String,
    /// The horizontal axis.
    pub across: Scale,
    /// The vertical axis.
    pub up: Scale,
    /// The series.
    pub series: Vec<Series>,
    /// A vertical line.
    pub mark: Option<f64>,
    /// A fine line between two points, such as that of chance.
    pub guide: Option<[[f64; 2]; 2]>,
}

/// Where the plot lies on its sheet.
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

/// An item of the legend: number of its series, and its left end and line.
type Item = (usize, f64, usize);

impl Plot {
    /// The elements of the picture, and its size.
    pub fn draw(&self) -> (String, [u32; 2]) {
        self.draw_with(true)
    }

    /// Like [`Plot::draw`], without names of series.
    pub fn without_legend(&self) -> (String, [u32; 2]) {
        self.draw_with(false)
    }

    fn draw_with(&self, has_legend: bool) -> (String, [u32; 2]) {
        let ticks = self.up.ticks();
        let widest = ticks.iter().map(|(_, text)| width_of(text)).fold(0.0, f64::max);
        let left = LETTER * 1.8 + widest + 14.0;
        let legend = if has_legend { self.legend(left) } else { Vec::new() };
        let lines = legend.last().map_or(0, |(_, _, line)| line + 1);
        let top = 20.0 + LINE * lines as f64;
        let frame = Frame { left, top, bottom: top + PLOT };
        let height = (frame.bottom + 92.0) as u32;
        let elements = drawn(height, |sheet| {
            self.draw_axes(sheet, &frame, &ticks);
            self.draw_series(sheet, &frame);
            self.draw_legend(sheet, &legend);
        });
        (elements, [WIDTH, height])
    }

    /// The places of the names of the series, none for a single one.
    fn legend(&self, left: f64) -> Vec<Item> {
        if self.series.len() < 2 {
            return Vec::new();
        }
        let (mut x, mut line, mut items) = (left, 0, Vec::new());
        for (number, series) in self.series.iter().enumerate() {
            let width = 92.0 + width_of(&cut(&series.name, NAME));
            if x + width > RIGHT && x > left {
                (x, line) = (left, line + 1);
            }
            items.push((number, x, line));
            x += width;
        }
        items
    }

    fn draw_legend(&self, sheet: &mut Sheet, items: &[Item]) {
        for (number, x, line) in items {
            let (series, y) = (&self.series[*number], 24.0 + LINE * *line as f64);
            let ink = Ink::Series(series.colour);
            match series.style {
                Style::Line if series.points.len() == 1 => sheet.dot([x + 22.0, y], 7, ink, 1.0),
                Style::Line => sheet.path(&[[*x, y], [x + 44.0, y]], ink, 5),
                Style::Fine => sheet.path(&[[*x, y], [x + 44.0, y]], ink, 3),
                Style::Marks => sheet.dot([x + 22.0, y], 9, ink, 1.0),
                Style::Cloud => sheet.dot([x + 22.0, y], 5, ink, 1.0),
            }
            sheet.text([x + 56.0, y], Anchor::Start, Ink::Text, &cut(&series.name, NAME));
        }
    }

    fn draw_axes(&self, sheet: &mut Sheet, frame: &Frame, ticks: &[(f64, String)]) {
        for (place, text) in ticks {
            sheet.path(&[frame.at([0.0, *place]), frame.at([1.0, *place])], Ink::Grid, 2);
            let [x, y] = frame.at([0.0, *place]);
            sheet.text([x - 12.0, y], Anchor::End, Ink::Muted, text);
        }
        let mut free = 0.0;
        for (place, text) in self.across.ticks() {
            let ([x, y], half) = (frame.at([place, 0.0]), width_of(&text) / 2.0);
            sheet.path(&[[x, y], [x, y + 8.0]], Ink::Muted, 2);
            let middle = x.min(WIDTH as f64 - half - 2.0);
            if middle - half > free {
                sheet.text([middle, y + 26.0], Anchor::Middle, Ink::Muted, &text);
                free = middle + half + 8.0;
            }
        }
        sheet.path(&[frame.at([0.0, 0.0]), frame.at([1.0, 0.0])], Ink::Muted, 2);
        let named = |name: &str, scale: &Scale| {
            let log = if scale.is_log { " (logarithmic)" } else { "" };
            format!("{}{log}", cut(name, 40))
        };
        let [x, y] = frame.at([0.5, 0.0]);
        sheet.text([x, y + 66.0], Anchor::Middle, Ink::Text, &named(&self.x, &self.across));
        let [_, y] = frame.at([0.0, 0.5]);
        sheet.text([LETTER * 0.8, y], Anchor::Up, Ink::Text, &named(&self.y, &self.up));
    }

    /// The place of a point; `None` outside the axes.
    fn place(&self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        let place = [self.across.place(x), self.up.place(y)];
        // A little beyond is rounding.
        let is_in = place.iter().all(|p| (-1e-6..=1.0 + 1e-6).contains(p));
        is_in.then(|| place.map(|p| p.clamp(0.0, 1.0)))
    }

    fn draw_series(&self, sheet: &mut Sheet, frame: &Frame) {
        let spot = |point: [f64; 2]| self.place(point).map(|place| frame.at(place));
        if let Some([from, to]) = self.guide
            && let (Some(from), Some(to)) = (spot(from), spot(to))
        {
            sheet.path(&[from, to], Ink::Muted, 2);
        }
        if let Some(mark) = self.mark.map(|mark| self.across.place(mark)) {
            let place = mark.clamp(0.0, 1.0);
            sheet.path(&[frame.at([place, 0.0]), frame.at([place, 1.0])], Ink::Muted, 3);
        }
        for series in &self.series {
            let ink = Ink::Series(series.colour);
            let places: Vec<Option<[f64; 2]>> = series.points.iter().map(|p| spot(*p)).collect();
            for run in places.split(Option::is_none) {
                let run: Vec<[f64; 2]> = run.iter().flatten().copied().collect();
                let (line, dot) = match series.style {
                    Style::Line => (5, (run.len() == 1).then_some((7, 1.0))),
                    Style::Fine => (3, (run.len() == 1).then_some((5, 1.0))),
                    Style::Marks => (0, Some((9, 1.0))),
                    Style::Cloud => (0, Some((5, 0.55))),
                };
                if line > 0 {
                    sheet.path(&run, ink, line);
                }
                if let Some((radius, opacity)) = dot {
                    run.iter().for_each(|at| sheet.dot(*at, radius, ink, opacity));
                }
            }
        }
    }
}

/// The largest number of series in one picture: as many as there are colours.
pub const MOST: usize = COLOURS;
