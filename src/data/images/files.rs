//! Reads the image files of a data set on all processors. What comes out does not depend on how
//! many there are: each image has its own place.

use std::collections::HashMap;
use std::path::PathBuf;

use rayon::prelude::*;

use crate::data::images::decode::{Header, Shape, header, pixels, read};
use crate::data::images::listing::Listing;
use crate::fault::{Fault, quoted};

/// Called at the start of each stage with its name and the number of bytes that it reads.
pub type Stage<'s> = &'s dyn Fn(&str, u64);

/// The image files of a source, which were looked at and not yet decoded; one of each per row.
#[derive(Debug)]
pub struct Gallery {
    /// The files with their table.
    pub listing: Listing,
    /// What their headers say.
    pub headers: Vec<Header>,
    /// BLAKE3 of each file.
    pub hashes: Vec<[u8; 32]>,
    /// Bytes of all files.
    bytes: u64,
}

impl Gallery {
    /// Reads the headers of all files of a listing, and hashes the files.
    ///
    /// # Errors
    /// 66 if a file is missing; 65 if it is no image, or too large. The first file is named.
    pub fn new(listing: Listing, stage: Stage) -> anyhow::Result<Gallery> {
        let size = |file: &PathBuf| file.metadata().map_or(0, |meta| meta.len());
        let bytes = listing.files.iter().map(size).sum();
        stage("looking at", bytes);
        let one = |(row, file): (usize, &PathBuf)| {
            let named = listing.named_at(row);
            let bytes = read(file, &named)?;
            let header = header(&format!("{}{named}", file.display()), &bytes)?;
            Ok((header, *blake3::hash(&bytes).as_bytes()))
        };
        let found: Vec<anyhow::Result<(Header, [u8; 32])>> =
            listing.files.par_iter().enumerate().map(one).collect();
        let found = found.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        let (headers, hashes) = found.into_iter().unzip();
        Ok(Gallery { listing, headers, hashes, bytes })
    }

    /// Number of images.
    pub fn rows(&self) -> usize {
        self.listing.files.len()
    }

    /// Decodes all files, [rows, height, width, channels].
    ///
    /// # Errors
    /// 65 if a file is damaged, or is not the one that was looked at. The first file is named.
    pub fn decode(&self, shape: Shape, stage: Stage) -> anyhow::Result<Vec<u8>> {
        stage("decoding", self.bytes);
        let mut values = vec![0; self.rows() * shape.bytes()];
        let one = |row: usize, place: &mut [u8]| -> anyhow::Result<()> {
            let (file, named) = (&self.listing.files[row], self.listing.named_at(row));
            let bytes = read(file, &named)?;
            if blake3::hash(&bytes).as_bytes() != &self.hashes[row] {
                return Err(Fault::data(file.display(), "changed while it was read")
                    .hint("run it again when nobody writes to the data")
                    .into());
            }
            place.copy_from_slice(&pixels(&format!("{}{named}", file.display()), &bytes, shape)?);
            Ok(())
        };
        let images = values.par_chunks_mut(shape.bytes()).enumerate();
        match images.find_map_first(|(row, place)| one(row, place).err()) {
            Some(error) => Err(error),
            None => Ok(values),
        }
    }

    /// BLAKE3 of the files and their paths, in hex.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for (file, hash) in self.listing.files.iter().zip(&self.hashes) {
            let path = file.strip_prefix(&self.listing.folder).unwrap_or(file).to_string_lossy();
            hasher.update(&(path.len() as u64).to_le_bytes());
            hasher.update(path.as_bytes());
            hasher.update(hash);
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The fault of the first image of another size than [height, width], without a hint.
    pub fn other_size(&self, [height, width]: [usize; 2]) -> Option<Fault> {
        let is_other = |header: &Header| [header.height, header.width] != [height, width];
        let row = self.headers.iter().position(is_other)?;
        let header = self.headers[row];
        let found = format!(
            "has {} × {} pixels, expected {height} × {width}{}",
            header.height,
            header.width,
            self.listing.named_at(row)
        );
        Some(Fault::data(self.listing.files[row].display(), found))
    }

    /// A notice about files with equal contents, if there are some.
    pub fn copies_notice(&self) -> Option<String> {
        let mut first = HashMap::new();
        let (mut count, mut example) = (0, None);
        for (row, hash) in self.hashes.iter().enumerate() {
            let before = *first.entry(hash).or_insert(row);
            if self.listing.files[before] != self.listing.files[row] {
                count += 1;
                example.get_or_insert((before, row));
            }
        }
        let name = |row: usize| quoted(&self.listing.files[row].to_string_lossy());
        example.map(|(before, row)| {
            format!(
                "{count} of {} images are copies of others, byte by byte, such as {} and {}: a \
                 split may train on one and test on the other",
                self.rows(),
                name(before),
                name(row)
            )
        })
    }
}

/// The size and the channels of the images of a data set, `all` its files: those that are given,
/// else the size of the first image, and one channel if all are grey. Returns what the user should
/// know of it too.
///
/// # Errors
/// 65 with the first image of another size, where none is given.
pub fn shape(
    all: &[&Gallery],
    size: Option<[usize; 2]>,
    channels: Option<usize>,
) -> anyhow::Result<(Shape, Vec<String>)> {
    let headers = || all.iter().flat_map(|gallery| &gallery.headers);
    let count = headers().count();
    let first = headers().next().map_or([0, 0], |header| [header.height, header.width]);
    let [height, width] = size.unwrap_or(first);
    for gallery in all {
        let other = gallery.other_size([height, width]);
        let hint = format!("size = [{height}, {width}] in [data] resizes all images to one size");
        other.filter(|_| size.is_none()).map_or(Ok(()), |found| Err(found.hint(hint)))?;
    }
    let coloured = headers().filter(|header| !header.is_grey).count();
    let mut notices = Vec::new();
    let resized = headers().filter(|header| [header.height, header.width] != [height, width]);
    match resized.count() {
        0 => {}
        resized => notices
            .push(format!("{resized} of {count} images are resized to {height} × {width} pixels")),
    }
    notices.extend(channels.is_none().then(|| match coloured {
        0 => "images have 1 channel, since all files are grey (channels = 3 says otherwise)".into(),
        _ => format!(
            "images have 3 channels, since {coloured} of {count} files have colours (channels = 1 \
             makes them grey)"
        ),
    }));
    let channels = channels.unwrap_or(if coloured == 0 { 1 } else { 3 });
    Ok((Shape { height, width, channels }, notices))
}
