//! Lays two images of a labelled set over each other, so that there is one task per image.

use crate::config::Overlay;
use crate::data::Part;
use crate::data::images::labelled::Images;
use crate::fault::Fault;
use crate::rng::{Purpose, below};

/// Lays `bottom` at the top left of `canvas`, and `top` over it, `shift` pixels further right and
/// down. Each pixel gets the larger of its values. Images are [height, width], and the canvas is
/// [height + shift, width + shift].
pub fn lay(canvas: &mut [u8], bottom: &[u8], top: &[u8], width: usize, shift: usize) {
    canvas.fill(0);
    for (image, offset) in [(bottom, 0), (top, shift)] {
        for (y, row) in image.chunks_exact(width).enumerate() {
            let start = (y + offset) * (width + shift) + offset;
            for (pixel, &value) in canvas[start..][..width].iter_mut().zip(row) {
                *pixel = (*pixel).max(value);
            }
        }
    }
}

/// Lays the images of each pair (bottom, top) over each other. Labels, if there are some, become
/// "left" (bottom) and "right" (top).
pub fn overlaid(images: &Images, pairs: &[(usize, usize)], shift: usize) -> Images {
    let (height, width) = (images.height + shift, images.width + shift);
    let mut pixels = vec![0; pairs.len() * height * width];
    for (canvas, &(bottom, top)) in pixels.chunks_exact_mut(height * width).zip(pairs) {
        lay(canvas, images.image(bottom), images.image(top), images.width, shift);
    }
    let labels = match images.labels.first() {
        Some(labels) => vec![
            pairs.iter().map(|p| labels[p.0]).collect(),
            pairs.iter().map(|p| labels[p.1]).collect(),
        ],
        None => Vec::new(),
    };
    Images {
        place: images.place.clone(),
        label_place: images.label_place.clone(),
        height,
        width,
        pixels,
        labels,
    }
}

/// Lays a random partner from the same part over each image of a part. The partner depends on
/// `overlay.seed`, the part, and the number of the image in it.
///
/// # Errors
/// 78 if the shift is larger than the images.
pub fn overlay(images: &Images, overlay: Overlay, part: Part) -> anyhow::Result<Images> {
    let limit = images.height.min(images.width);
    // With a larger shift the images would not touch, and the canvas could be of any size.
    if overlay.shift > limit {
        let found = format!(
            "{} pixels, the images have {} × {}",
            overlay.shift, images.height, images.width
        );
        return Err(Fault::config("data.overlay.shift", found)
            .hint(format!("give 0 to {limit}"))
            .into());
    }
    let n = images.rows();
    let partner =
        |k: usize| below(n as u64, overlay.seed, Purpose::Overlay, part as u64, k as u64) as usize;
    let pairs: Vec<(usize, usize)> = (0..n).map(|k| (k, partner(k))).collect();
    Ok(overlaid(images, &pairs, overlay.shift))
}
