//! Signs for trials, and for what a legend names.

use super::ink::Ink;
use super::sheet::Sheet;

/// A sign for a trial, or for a line in the legend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sign {
    /// A circle, of whose area a share is filled.
    Dot(f64, Ink),
    /// Two strokes that cross.
    Cross(Ink),
    /// A wide circle around a dot.
    Ring(Ink),
    /// A line.
    Line(Ink),
}

impl Sign {
    /// Draws it; `radius` is that of a dot.
    pub fn draw(self, sheet: &mut Sheet, [x, y]: [f64; 2], radius: i32) {
        let wide = f64::from(radius);
        match self {
            Sign::Dot(share, ink) => {
                let inner = (wide * share.clamp(0.0, 1.0).sqrt()).round() as i32;
                sheet.dot([x, y], radius, Ink::Paper, 0.6);
                sheet.dot([x, y], inner.max(1), ink, 0.9);
                if inner < radius {
                    sheet.ring([x, y], radius, ink, 2);
                }
            }
            Sign::Cross(ink) => {
                let far = 0.7 * wide;
                sheet.path(&[[x - far, y - far], [x + far, y + far]], ink, 3);
                sheet.path(&[[x - far, y + far], [x + far, y - far]], ink, 3);
            }
            Sign::Ring(ink) => sheet.ring([x, y], radius + 6, ink, 3),
            Sign::Line(ink) => sheet.path(&[[x - 20.0, y], [x + 20.0, y]], ink, 4),
        }
    }
}
