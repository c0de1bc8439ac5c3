//! The built-in data set `digits-overlay`: images of two of the 1,797 UCI optical digits laid over
//! each other, with the tasks `left` and `right`. DIGITS.md beside this file states the source and
//! the licence of the digits.

use std::io::Read;
use std::ops::Range;

use anyhow::Context;

use crate::config::Overlay;
use crate::data::images::labelled::Images;
use crate::data::images::overlay;
use crate::data::{Input, Part};
use crate::rng::{Purpose, below};

/// The name of the set in a configuration, and before the colon of `digits-overlay:test`.
pub const NAME: &str = "digits-overlay";
/// The factor of each byte; pixels are 0 to 16.
pub const SCALE: f32 = 1.0 / 16.0;
/// The height and the width of a digit in pixels.
pub const SIDE: usize = 8;
/// How the second digit is laid over the first.
pub const OVERLAY: Overlay = Overlay { shift: 4, seed: 0 };

static PACKED: &[u8] = include_bytes!("digits.csv.gz");

/// BLAKE3 of the digits as they are built in, in hex.
pub fn hash() -> String {
    blake3::hash(PACKED).to_hex().to_string()
}

/// The input of a model that is trained on this set.
pub fn input() -> Input {
    let side = SIDE + OVERLAY.shift;
    Input::grey(side, side, SCALE, Some((OVERLAY.shift, OVERLAY.seed)))
}

/// The single digits, [1797, 8, 8], in the order of their source.
///
/// # Errors
/// Only in a broken build.
pub fn digits() -> anyhow::Result<Images> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(PACKED).read_to_string(&mut text)?;
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let (image, label) = line.rsplit_once(',').context("a built-in digit has no label")?;
        for pixel in image.split(',') {
            pixels.push(pixel.parse()?);
        }
        labels.push(label.parse()?);
    }
    Ok(Images {
        place: NAME.to_owned(),
        label_place: NAME.to_owned(),
        height: SIDE,
        width: SIDE,
        pixels,
        labels: vec![labels],
    })
}

/// The range of digits that a part is made from; no digit is in two parts.
pub fn range(part: Part) -> Range<usize> {
    [0..1200, 1200..1400, 1400..1797][part as usize].clone()
}

/// The pairs (left, right) of a part, as numbers of digits that are drawn with replacement: 20,000
/// pairs for training, 3,000 for validation and 4,000 for test.
pub fn pairs(part: Part) -> Vec<(usize, usize)> {
    let (range, count) = (range(part), [20_000, 3_000, 4_000][part as usize]);
    let draw = |index: u64| {
        range.start
            + below(range.len() as u64, OVERLAY.seed, Purpose::Overlay, part as u64, index) as usize
    };
    (0..count).map(|k| (draw(2 * k), draw(2 * k + 1))).collect()
}

/// The images of a part, [rows, 12, 12], labels "left" and "right".
///
/// # Errors
/// The errors of [`digits`].
pub fn part(part: Part) -> anyhow::Result<Images> {
    Ok(overlay::overlaid(&digits()?, &pairs(part), OVERLAY.shift))
}
