//! Stand-in of the text reader.

use std::io::Read;

use super::bytes::Contents;
use super::csv::Sheet;
use super::raw::{Header, Lines, Options, Raw, RawColumn, Texts};

/// Reads text.
pub fn read(mut reader: impl Read, place: &str, _size: u64, options: &Options) -> anyhow::Result<Raw> {
    let mut bytes = Vec::new();
    reader
        .read_to_end(&mut bytes)
        .map_err(|e| crate::fault::Fault::missing(place, format!("cannot be read: {e}")).hint("give a readable file, not a directory"))?;
    let hash = blake3::hash(&bytes).to_hex().to_string();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        bytes = super::bytes::unpack(std::path::Path::new(place), &bytes)?;
    }
    let mut names = None;
    if options.header != Header::First {
        let first = String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().split(',').count();
        let header: Vec<String> = match &options.header {
            Header::Given(names) => names.clone(),
            _ => (0..first).map(|i| i.to_string()).collect(),
        };
        bytes = [header.join(",").as_bytes(), b"\n", &bytes].concat();
        names = Some(header);
    }
    let sheet = Sheet::from_contents(place.to_owned(), Contents { bytes, hash }, options.delimiter)?;
    let mut columns = vec![Texts::default(); sheet.header.len()];
    let (mut records, mut record, mut lines) = (sheet.records()?, ::csv::StringRecord::new(), Lines::default());
    let mut row = 0;
    while let Some(line) = records.next(&mut record)? {
        columns.iter_mut().zip(&record).for_each(|(column, cell)| column.push(cell));
        lines.push(row, line - u64::from(names.is_some()));
        row += 1;
    }
    let mut raw = Raw::new(place, sheet.header.clone(), columns.into_iter().map(RawColumn::Texts).collect(), Some(lines))?;
    raw.hashes.push((place.to_owned(), sheet.hash.clone()));
    Ok(raw)
}
