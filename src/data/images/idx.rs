//! Reads IDX files, the format of MNIST and similar sets, plain or gzip: two zero bytes, a type,
//! the number of dimensions, each dimension as a big-endian u32, then the values. Types other than
//! u8 do not occur in image sets and are refused.

use std::path::Path;

use crate::data::images::labelled::Images;
use crate::data::read::bytes::{self, Contents};
use crate::fault::Fault;

const U8: u8 = 0x08;

/// Reads images [N, H, W] and, where given, labels `[N]`; returns the BLAKE3 hash of each file too.
///
/// # Errors
/// 66 if a file cannot be read; 65 if it is not IDX of u8 with the right number of dimensions, if
/// its length is not what the header states, if there are no images, or if there are more or fewer
/// labels than images.
pub fn read(
    images: &Path,
    labels: Option<&Path>,
) -> anyhow::Result<(Images, Vec<(String, String)>)> {
    let contents =
        |path: &Path| Ok::<_, anyhow::Error>((path.display().to_string(), bytes::read(path)?));
    pair(contents(images)?, labels.map(contents).transpose()?)
}

/// Parses the contents of a file of images and, where given, of one of labels, each with its place
/// for messages.
///
/// # Errors
/// 65, as in [`read`].
pub fn pair(
    images: (String, Contents),
    labels: Option<(String, Contents)>,
) -> anyhow::Result<(Images, Vec<(String, String)>)> {
    let (place, contents) = images;
    let ([n, height, width], pixels) = parse(&place, contents.bytes, "images")?;
    let mut hashes = vec![(place.clone(), contents.hash)];
    let mut images =
        Images { place, label_place: String::new(), height, width, pixels, labels: Vec::new() };
    if let Some((place, contents)) = labels {
        let ([found], values) = parse(&place, contents.bytes, "labels")?;
        if found != n {
            let message = format!("{found} labels for {n} images in {}", images.place);
            return Err(Fault::data(place, message)
                .hint("give the two files of the same part")
                .into());
        }
        hashes.push((place.clone(), contents.hash));
        images.label_place = place;
        images.labels.push(values);
    }
    Ok((images, hashes))
}

/// Parses a file into its dimensions and values. No memory is allocated on the basis of the header.
fn parse<const D: usize>(
    place: &str,
    mut bytes: Vec<u8>,
    what: &str,
) -> anyhow::Result<([usize; D], Vec<u8>)> {
    let hint = "expected IDX as of MNIST: images u8 [N, H, W], labels u8 [N], plain or gzip";
    let fault = |found: String| Fault::data(place, found).hint(hint);
    let header = 4 + 4 * D;
    let &[0, 0, kind, dimensions, ..] = &bytes[..] else {
        return Err(fault(format!(
            "not an IDX file: {} bytes that begin {:02X?}",
            bytes.len(),
            &bytes[..bytes.len().min(4)]
        ))
        .into());
    };
    if kind != U8 {
        return Err(fault(format!(
            "values of IDX type 0x{kind:02X}, expected 0x08 (u8) for {what}"
        ))
        .into());
    }
    if usize::from(dimensions) != D {
        let swapped =
            if matches!(dimensions, 1 | 3) { "; are images and labels swapped?" } else { "" };
        return Err(
            fault(format!("{dimensions} dimensions, expected {D} for {what}{swapped}")).into()
        );
    }
    if bytes.len() < header {
        return Err(fault(format!(
            "the file ends in its header: {} bytes, expected {header} or more",
            bytes.len()
        ))
        .into());
    }
    let sizes: [u32; D] =
        std::array::from_fn(|i| u32::from_be_bytes(std::array::from_fn(|b| bytes[4 + 4 * i + b])));
    let expected = sizes.iter().fold(1u128, |product, &size| product * u128::from(size));
    let found = bytes.len() - header;
    if expected != found as u128 {
        return Err(fault(format!(
            "the header says {sizes:?} = {expected} values, the file holds {found}"
        ))
        .into());
    }
    if expected == 0 {
        return Err(fault(format!("no {what}: the header says {sizes:?}")).into());
    }
    bytes.drain(..header);
    Ok((sizes.map(|size| size as usize), bytes))
}
