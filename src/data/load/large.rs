//! Tables that are larger than the memory of the host. Two passes over the files, a chunk of rows
//! at a time: the first keeps the label columns, the columns that say something of rows, and a
//! sample of all others, on which features are fitted; the second encodes, and what it encodes goes
//! to disk. Labels, weights and the order of the rows stay in memory.

use crate::config::{Data, Source, Task};
use crate::data::encode::applied::Met;

use crate::data::encode::outside::{self, Outside};
use crate::data::load::apply::{all_rows, apply, apply_rows};
use crate::data::load::folds;
use crate::data::load::places;
use crate::data::load::roles::all_zero;
use crate::data::load::roles::{Roles, check_columns};
use crate::data::look::giveaway;
use crate::data::read::chunks::Chunks;
use crate::data::store::budget::Budget;
use crate::data::store::stored::Folder;
use crate::data::table::raw::Raw;
use crate::data::{Part, Reading, Schema};
use crate::fault::Fault;
use crate::rng::{Purpose, bits};

/// Stream of the random numbers that choose the sample; those of the split have others.
const SAMPLE: u64 = 3;

/// Reads and encodes the parts of a data set into a folder; returns the schema and what is to be
/// said of it.
///
/// # Errors
/// What [`super::tables::load`] refuses; 74 if the folder cannot be written; 78 if the budget leaves no row to
/// fit on.
pub fn load(
    data: &Data,
    tasks: &[Task],
    budget: Budget,
    folder: &mut Folder,
) -> anyhow::Result<(Schema, Vec<String>)> {
    let reading = places::reading(data)?;
    let roles = first_pass(data, tasks, &reading, budget)?;
    let rows = folds::split(&roles)?;
    let (schema, mut notices) = roles.fit(&rows, reading)?;
    notices.extend(roles.said_of_sample(&rows[0]));
    notices.extend(giveaway::notices(&schema, &roles.fitted_on(&schema, &rows[0])?));
    // What the first pass kept is not in memory during the second.
    let (place, names) = (roles.place().to_owned(), roles.names().to_vec());
    drop(roles);
    let mut outside = [Outside::default(), Outside::default(), Outside::default()];
    encode((&schema, &data.train), &rows, budget, folder, &mut outside)?;
    for (part, given) in [(Part::Valid, &data.valid), (Part::Test, &data.test)] {
        let Some(source) = given else { continue };
        let mut met = Met::default();
        for chunk in Chunks::new(source, &schema.reading.options(), budget.chunk())? {
            let chunk = chunk?;
            outside[part as usize].look(&schema, &chunk, &all_rows(&chunk));
            folder.push(part, &apply(&schema, &chunk)?)?;
            met.add(Met::of(&schema, &chunk));
        }
        notices.extend(met.said_of(part, &schema, &names));
    }
    if folder.weights(Part::Train).is_some_and(|weights| weights.iter().all(|&w| w == 0.0)) {
        return Err(all_zero(data, &place).into());
    }
    notices.extend(outside::notices(&schema, &outside));
    Ok((schema, notices))
}

/// What there is to know before anything can be encoded.
pub(crate) fn first_pass<'t>(
    data: &'t Data,
    tasks: &'t [Task],
    reading: &Reading,
    budget: Budget,
) -> anyhow::Result<Roles<'t>> {
    let (mut narrow, mut sample): (Option<Raw>, Option<Sample>) = (None, None);
    for chunk in Chunks::new(&data.train, &reading.options(), budget.chunk())? {
        let chunk = chunk?;
        // Whether all files have the same columns is asked of the sample, which has all of them.
        match (&mut sample, &narrow) {
            (Some(sample), Some(narrow)) => sample.take(&chunk, narrow.rows)?,
            _ => {
                check_columns(&chunk, data, tasks)?;
                sample = Some(Sample::new(&chunk, data.split_seed, budget.sample()));
            }
        }
        let wanted: Vec<usize> =
            of_rows(data, tasks).filter_map(|name| chunk.column(name)).collect();
        let all: Vec<u32> = (0..chunk.rows as u32).collect();
        let cut = chunk.cut(&wanted, &all);
        match &mut narrow {
            Some(narrow) => narrow.append(cut)?,
            None => narrow = Some(cut),
        }
    }
    match narrow.zip(sample) {
        Some((narrow, sample)) => {
            Roles::new(narrow, Some((sample.table, sample.numbers)), data, tasks)
        }
        None => Err(Fault::config("data.train", "there are no rows")
            .hint("give rows to train on")
            .into()),
    }
}

/// The columns that are wanted of all rows at once, each once.
fn of_rows<'t>(data: &'t Data, tasks: &'t [Task]) -> impl Iterator<Item = &'t String> {
    let mut seen = std::collections::HashSet::new();
    let targets = tasks.iter().flat_map(|task| &task.targets);
    targets.chain(data.row_columns().map(|(_, name)| name)).filter(move |name| seen.insert(*name))
}

/// Encodes the parts that come from one source.
fn encode(
    (schema, source): (&Schema, &Source),
    rows: &[Vec<u32>; 3],
    budget: Budget,
    folder: &mut Folder,
    outside: &mut [Outside; 3],
) -> anyhow::Result<()> {
    let mut first = 0;
    for chunk in Chunks::new(source, &schema.reading.options(), budget.chunk())? {
        let chunk = chunk?;
        let end = first + chunk.rows as u32;
        for (part, rows) in Part::ALL.into_iter().zip(rows) {
            let [from, to] = [first, end].map(|row| rows.partition_point(|&r| r < row));
            let here: Vec<u32> = rows[from..to].iter().map(|row| row - first).collect();
            if !here.is_empty() {
                outside[part as usize].look(schema, &chunk, &here);
                folder.push(part, &apply_rows(schema, &chunk, &here)?)?;
            }
        }
        first = end;
    }
    Ok(())
}

/// Rows of a table, each chosen by a hash of the seed and of its number: all of them, or every
/// second, fourth, … on average, as few as the bytes that they may take ask for.
struct Sample {
    table: Raw,
    /// Where in the whole table its rows are.
    numbers: Vec<u32>,
    seed: u64,
    most: u64,
    /// A row is in it if so many of the lowest bits of its hash are zero.
    zeros: u32,
}

impl Sample {
    fn new(chunk: &Raw, seed: u64, most: u64) -> Sample {
        let numbers: Vec<u32> = (0..chunk.rows as u32).collect();
        let mut sample = Sample { table: chunk.clone(), numbers, seed, most, zeros: 0 };
        sample.thin();
        sample
    }

    fn holds(&self, row: u32) -> bool {
        bits(self.seed, Purpose::Split, SAMPLE, u64::from(row)).trailing_zeros() >= self.zeros
    }

    /// Adds those of the rows of a chunk that are in it; `first` is the number of its first row.
    fn take(&mut self, chunk: &Raw, first: usize) -> anyhow::Result<()> {
        let rows: Vec<u32> =
            (0..chunk.rows as u32).filter(|row| self.holds(first as u32 + row)).collect();
        let columns: Vec<usize> = (0..chunk.names.len()).collect();
        self.table.append(chunk.cut(&columns, &rows))?;
        self.numbers.extend(rows.iter().map(|row| first as u32 + row));
        self.thin();
        Ok(())
    }

    /// Leaves rows out until the rest is small enough.
    fn thin(&mut self) {
        while self.table.bytes() > self.most && !self.numbers.is_empty() && self.zeros < 64 {
            self.zeros += 1;
            let left: Vec<u32> = (0..self.numbers.len() as u32)
                .filter(|&at| self.holds(self.numbers[at as usize]))
                .collect();
            let columns: Vec<usize> = (0..self.table.names.len()).collect();
            self.table = self.table.cut(&columns, &left);
            self.numbers = left.iter().map(|&at| self.numbers[at as usize]).collect();
        }
    }
}
