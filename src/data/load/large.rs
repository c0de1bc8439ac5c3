//! Loads tables that are larger than memory, in two passes over the files, a chunk of rows at a
//! time. The first pass keeps the label columns, the columns that describe rows, and a sample of
//! rows with all columns, on which features are fitted. The second pass encodes the rows to disk.
//! Labels, weights and the order of the rows stay in memory.

use crate::config::{Data, Source, Task};
use crate::data::encode::applied::MatchReport;
use crate::data::encode::outside::{self, OutOfRange};
use crate::data::load::apply::{all_rows, apply, apply_rows};
use crate::data::load::folds;
use crate::data::load::places;
use crate::data::load::roles::{Fit, Roles, all_zero, check_columns};
use crate::data::load::sources;
use crate::data::look::giveaway;
use crate::data::read::chunks::Chunks;
use crate::data::store::budget::MemoryBudget;
use crate::data::store::stored::Folder;
use crate::data::table::raw::Raw;
use crate::data::{Part, Reading, Schema, SourceRows};
use crate::fault::Fault;
use crate::rng::{Purpose, bits};

/// Stream of the random numbers that choose the sample; `split` uses other streams.
const SAMPLE: u64 = 3;

/// Reads the parts of a data set and encodes them to a folder. Returns the schema, the sources of
/// the training part, and what the user should know.
///
/// # Errors
/// The errors of `tables::load`; 74 if the folder cannot be written; 78 if the budget leaves no row
/// to fit on.
pub fn load(
    data: &Data,
    tasks: &[Task],
    budget: MemoryBudget,
    folder: &mut Folder,
) -> anyhow::Result<(Schema, Vec<SourceRows>, Vec<String>)> {
    let reading = places::reading(data)?;
    let roles = first_pass(data, tasks, &reading, budget)?;
    let told = sources::look(data, tasks, &reading.options())?;
    let rows = folds::split(&roles)?;
    let sources = sources::training_rows(&roles.raw, data, &rows[0])?;
    let Fit { schema, mut notices, .. } = roles.fit(&rows, reading)?;
    notices.extend(told);
    notices.extend(roles.sample_notice(&rows[0]));
    notices.extend(giveaway::notices(&schema, &roles.fitted_rows(&schema, &rows[0])?));
    // The second pass needs the memory that the first pass took.
    let (place, names) = (roles.place().to_owned(), roles.names().to_vec());
    drop(roles);
    let mut outside = [const { OutOfRange::new() }; 3];
    encode((&schema, &data.train), &rows, budget, folder, &mut outside)?;
    for (part, source) in Part::other_sources(data) {
        let mut matched = MatchReport::default();
        for chunk in Chunks::new(source, &schema.reading.options(), budget.chunk())? {
            let chunk = chunk?;
            outside[part as usize].count(&schema, &chunk, &all_rows(&chunk));
            folder.push(part, &apply(&schema, &chunk)?)?;
            matched.add(MatchReport::of(&schema, &chunk));
        }
        notices.extend(matched.part_notices(part, &schema, &names));
    }
    if folder.weights(Part::Train).is_some_and(|weights| weights.iter().all(|&w| w == 0.0)) {
        return Err(all_zero(data, &place).into());
    }
    notices.extend(outside::notices(&schema, &outside));
    Ok((schema, sources, notices))
}

/// The first pass: collects what has to be known before rows can be encoded.
pub(crate) fn first_pass<'t>(
    data: &'t Data,
    tasks: &'t [Task],
    reading: &Reading,
    budget: MemoryBudget,
) -> anyhow::Result<Roles<'t>> {
    let (mut narrow, mut sample): (Option<Raw>, Option<Sample>) = (None, None);
    for chunk in Chunks::new(&data.train, &reading.options(), budget.chunk())? {
        let chunk = chunk?;
        // The sample has all columns, so it checks whether all files have the same ones.
        match (&mut sample, &narrow) {
            (Some(sample), Some(narrow)) => sample.take(&chunk, narrow.rows)?,
            _ => {
                check_columns(&chunk, data, tasks)?;
                sample = Some(Sample::new(&chunk, data.split_seed, budget.sample()));
            }
        }
        let wanted: Vec<usize> =
            wanted_of_all_rows(data, tasks).filter_map(|name| chunk.column(name)).collect();
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

/// The columns that are kept of all rows, each once: labels, and columns that describe rows.
fn wanted_of_all_rows<'t>(data: &'t Data, tasks: &'t [Task]) -> impl Iterator<Item = &'t String> {
    let mut seen = std::collections::HashSet::new();
    let targets = tasks.iter().flat_map(|task| &task.targets);
    targets.chain(data.row_columns().map(|(_, name)| name)).filter(move |name| seen.insert(*name))
}

/// Encodes the parts that are cut from one source.
fn encode(
    (schema, source): (&Schema, &Source),
    rows: &[Vec<u32>; 3],
    budget: MemoryBudget,
    folder: &mut Folder,
    outside: &mut [OutOfRange; 3],
) -> anyhow::Result<()> {
    let mut first = 0;
    for chunk in Chunks::new(source, &schema.reading.options(), budget.chunk())? {
        let chunk = chunk?;
        let end = first + chunk.rows as u32;
        for (part, rows) in Part::ALL.into_iter().zip(rows) {
            let [from, to] = [first, end].map(|row| rows.partition_point(|&r| r < row));
            let here: Vec<u32> = rows[from..to].iter().map(|row| row - first).collect();
            if !here.is_empty() {
                outside[part as usize].count(schema, &chunk, &here);
                folder.push(part, &apply_rows(schema, &chunk, &here)?)?;
            }
        }
        first = end;
    }
    Ok(())
}

/// A sample of the rows of a table. Each row is chosen by a hash of the seed and of its number: all
/// rows, or on average every second, fourth, …, so that the sample takes at most `most` bytes.
struct Sample {
    table: Raw,
    /// The numbers of its rows in the whole table.
    numbers: Vec<u32>,
    seed: u64,
    most: u64,
    /// A row is in the sample if this many of the lowest bits of its hash are zero.
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

    /// Adds the chosen rows of a chunk whose first row has the number `first`.
    fn take(&mut self, chunk: &Raw, first: usize) -> anyhow::Result<()> {
        let rows: Vec<u32> =
            (0..chunk.rows as u32).filter(|row| self.holds(first as u32 + row)).collect();
        let columns: Vec<usize> = (0..chunk.names.len()).collect();
        self.table.append(chunk.cut(&columns, &rows))?;
        self.numbers.extend(rows.iter().map(|row| first as u32 + row));
        self.thin();
        Ok(())
    }

    /// Halves the sample until it is small enough.
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
