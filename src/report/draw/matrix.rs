//! A matrix whose cells are the stronger coloured the larger they are.

use super::ink::Ink;
use super::sheet::{Anchor, LETTER, WIDTH, drawn, width_of};
use crate::measure::chart::cut;

/// Most letters of a name beside a row.
const NAME: usize = 16;
/// The strongest colour of a cell; text on it still has enough contrast.
const STRONGEST: f64 = 0.5;

/// A matrix.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// Name of the rows.
    pub down: String,
    /// Name of the columns.
    pub across: String,
    /// Names of the rows.
    pub rows: Vec<String>,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// For each row its cells: a number from −1 to 1 for the colour, and a text.
    pub cells: Vec<Vec<Option<(f64, String)>>>,
}

impl Matrix {
    /// The elements of the picture, and its size.
    pub fn draw(&self) -> (String, [u32; 2]) {
        let name = |name: &String| cut(name, NAME);
        let longest =
            |names: &[String]| names.iter().map(|text| width_of(&name(text))).fold(0.0, f64::max);
        let left = LETTER * 1.8 + longest(&self.rows) + 12.0;
        let wide = (WIDTH as f64 - left - 12.0) / self.columns.len().max(1) as f64;
        let high = wide.clamp(LETTER + 8.0, 72.0);
        let is_turned = longest(&self.columns) > wide - 6.0;
        let room = if is_turned { longest(&self.columns) + 12.0 } else { LETTER + 14.0 };
        let top = LETTER + 20.0 + room;
        let height = (top + high * self.rows.len() as f64 + 12.0) as u32;
        let elements = drawn(height, |sheet| {
            let middle = left + wide * self.columns.len() as f64 / 2.0;
            sheet.text([middle, LETTER * 0.8], Anchor::Middle, Ink::Text, &self.across);
            let side = top + high * self.rows.len() as f64 / 2.0;
            sheet.text([LETTER * 0.8, side], Anchor::Up, Ink::Text, &self.down);
            for (number, column) in self.columns.iter().enumerate() {
                let x = left + wide * (number as f64 + 0.5);
                let (y, anchor) = match is_turned {
                    true => (top - 6.0 - width_of(&name(column)) / 2.0, Anchor::Up),
                    false => (top - LETTER * 0.7, Anchor::Middle),
                };
                sheet.text([x, y], anchor, Ink::Muted, &name(column));
            }
            for (number, row) in self.rows.iter().enumerate() {
                let y = top + high * number as f64;
                let at = [left - 10.0, y + high / 2.0];
                sheet.text(at, Anchor::End, Ink::Muted, &name(row));
                for (column, cell) in self.cells[number].iter().enumerate() {
                    let x = left + wide * column as f64;
                    let ends = [[x + 1.0, y + 1.0], [x + wide - 1.0, y + high - 1.0]];
                    let Some((share, text)) = cell else {
                        sheet.fill(ends, Ink::Grid, 0.3);
                        continue;
                    };
                    let ink = Ink::Series(usize::from(*share < 0.0));
                    sheet.fill(ends, ink, 0.03 + STRONGEST * share.abs().min(1.0));
                    if width_of(text) <= wide {
                        let at = [x + wide / 2.0, y + high / 2.0];
                        sheet.text(at, Anchor::Middle, Ink::Text, text);
                    }
                }
            }
        });
        (elements, [WIDTH, height])
    }
}
