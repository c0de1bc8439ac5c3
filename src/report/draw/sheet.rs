//! A sheet to draw on, in units of which about two are a pixel.

use plotters::element::{Circle, PathElement, Rectangle};
use plotters::prelude::{DrawingArea, IntoDrawingArea, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, IntoFont, ShapeStyle, TextStyle};

use super::ink::Ink;

/// Width of every picture.
pub const WIDTH: u32 = 1040;
/// Height of the letters.
pub const LETTER: f64 = 26.0;
/// Width of a letter, estimated from above for most texts.
const LETTER_WIDTH: f64 = 0.58 * LETTER;
/// The font size of plotters of which a text becomes [`LETTER`] high.
const FONT: f64 = 1.24 * LETTER;

/// Where a text lies to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
    /// Its middle is there, and it runs upwards.
    Up,
    /// It begins there, and runs upwards.
    UpFrom,
    /// It ends there, and runs upwards.
    UpTo,
}

/// A sheet that is being drawn on.
pub struct Sheet<'a> {
    area: DrawingArea<SVGBackend<'a>, plotters::coord::Shift>,
}

/// Draws on a sheet of a height; returns the elements of the picture.
pub fn drawn(height: u32, draw: impl FnOnce(&mut Sheet)) -> String {
    drawn_on([WIDTH, height], draw)
}

/// Like [`drawn`], on a sheet of a width and a height.
pub fn drawn_on([width, height]: [u32; 2], draw: impl FnOnce(&mut Sheet)) -> String {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
        let mut sheet = Sheet { area };
        draw(&mut sheet);
        // Nothing that is written to a text in memory fails.
        let _ = sheet.area.present();
    }
    let begin = text.find("<svg").and_then(|at| text[at..].find('>').map(|end| at + end + 1));
    let end = text.rfind("</svg>").unwrap_or(text.len());
    text.get(begin.unwrap_or(0)..end).unwrap_or_default().trim_start().to_owned()
}

/// The estimated width of a text.
pub fn width_of(text: &str) -> f64 {
    LETTER_WIDTH * text.chars().count() as f64
}

fn pixel([x, y]: [f64; 2]) -> (i32, i32) {
    (x.round() as i32, y.round() as i32)
}

impl Sheet<'_> {
    /// Lines from point to point.
    pub fn path(&mut self, points: &[[f64; 2]], ink: Ink, stroke: u32) {
        self.veil(points, ink, stroke, 1.0);
    }

    /// Lines from point to point, with an opacity.
    pub fn veil(&mut self, points: &[[f64; 2]], ink: Ink, stroke: u32, opacity: f64) {
        let mut places: Vec<(i32, i32)> = points.iter().copied().map(pixel).collect();
        places.dedup();
        if places.len() > 1 {
            let style = ink.light().mix(opacity).stroke_width(stroke);
            let _ = self.area.draw(&PathElement::new(places, style));
        }
    }

    /// A rectangle between two corners, with an opacity.
    pub fn fill(&mut self, [from, to]: [[f64; 2]; 2], ink: Ink, opacity: f64) {
        let style: ShapeStyle = ink.light().mix(opacity).filled();
        let _ = self.area.draw(&Rectangle::new([pixel(from), pixel(to)], style));
    }

    /// A dot.
    pub fn dot(&mut self, at: [f64; 2], radius: i32, ink: Ink, opacity: f64) {
        let style: ShapeStyle = ink.light().mix(opacity).filled();
        let _ = self.area.draw(&Circle::new(pixel(at), radius, style));
    }

    /// A circle.
    pub fn ring(&mut self, at: [f64; 2], radius: i32, ink: Ink, stroke: u32) {
        let style: ShapeStyle = ink.light().stroke_width(stroke);
        let _ = self.area.draw(&Circle::new(pixel(at), radius, style));
    }

    /// A text.
    pub fn text(&mut self, at: [f64; 2], anchor: Anchor, ink: Ink, text: &str) {
        let place = match anchor {
            Anchor::Start | Anchor::UpFrom => HPos::Left,
            Anchor::Middle | Anchor::Up => HPos::Center,
            Anchor::End | Anchor::UpTo => HPos::Right,
        };
        let font = ("sans-serif", FONT).into_font();
        let font = match anchor {
            Anchor::Up | Anchor::UpFrom | Anchor::UpTo => font.transform(FontTransform::Rotate270),
            _ => font,
        };
        let color = ink.light();
        let style = TextStyle::from(font).color(&color).pos(Pos::new(place, VPos::Center));
        // XML cannot hold these.
        let is_bad = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
        let plain: String = text.chars().map(|c| if is_bad(c) { '\u{fffd}' } else { c }).collect();
        let _ = self.area.draw_text(&plain, &style, pixel(at));
    }
}
