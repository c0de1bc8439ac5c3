//! Finds the inputs and learned vectors that no training row has: nothing is learnt for these.

use crate::data::{Dataset, Features, Input, NO_CODE, Spread, UNLABELLED};

/// Number of rows that are looked at together.
const BLOCK: usize = 1 << 12;

/// Inputs and learned vectors that at least one training row has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// For each input of the network, whether a training row has another number than 0 there.
    /// Inputs that are sums of learned vectors always count as seen.
    pub inputs: Vec<bool>,
    /// For each column with learned vectors, in order, whether a training row has each of its
    /// codes.
    pub vectors: Vec<Vec<bool>>,
}

impl Seen {
    /// Looks at training rows until everything has been seen; `None` if the features are bytes.
    /// Rows of weight 0 and rows without any label train nothing, so they do not count.
    ///
    /// # Errors
    /// 74 if rows on disk cannot be read.
    pub fn of(input: &Input, train: &Dataset) -> anyhow::Result<Option<Seen>> {
        if matches!(train.features, Features::U8 { .. }) {
            return Ok(None);
        }
        let (spread, slots) = (input.spread(), train.width());
        let mut seen = Seen::nothing(input, &spread, slots);
        let rows: Vec<usize> = (0..train.rows).filter(|&row| trains(train, row)).collect();
        for rows in rows.chunks(BLOCK) {
            match &train.features {
                Features::Cells { values, .. } => {
                    seen.look(rows.iter().map(|row| &values[row * slots..][..slots]), &spread)
                }
                Features::Stored(stored) => seen
                    .look(stored.fetch(rows.iter().copied())?.chunks_exact(slots.max(1)), &spread),
                Features::F32(values) => {
                    seen.look_at_numbers(rows.iter().map(|row| &values[row * slots..][..slots]))
                }
                Features::U8 { .. } => {}
            }
            if seen.is_all() {
                break;
            }
        }
        Ok(Some(seen))
    }

    /// Nothing has been seen yet.
    fn nothing(input: &Input, spread: &[Spread], slots: usize) -> Seen {
        let width = if spread.is_empty() { slots } else { input.width() };
        let mut inputs = vec![false; width];
        let learned: Vec<&Spread> = spread.iter().filter(|column| column.vectors > 0).collect();
        learned.iter().for_each(|column| inputs[column.input..][..column.inputs()].fill(true));
        let mut vectors: Vec<Vec<bool>> =
            learned.iter().map(|column| vec![false; column.vectors]).collect();
        // The ends of sentences are in every data set.
        for (codes, column) in vectors.iter_mut().zip(&learned) {
            column.beyond.into_iter().for_each(|beyond| codes[beyond as usize] = true);
        }
        for column in spread.iter().filter(|column| column.vectors == 0) {
            let beyond = column.beyond.map(|beyond| beyond as usize);
            let places = inputs[column.input..][..column.inputs()].chunks_mut(column.width.max(1));
            places.for_each(|place| beyond.into_iter().for_each(|beyond| place[beyond] = true));
        }
        Seen { inputs, vectors }
    }

    fn is_all(&self) -> bool {
        self.inputs.iter().chain(self.vectors.iter().flatten()).all(|seen| *seen)
    }

    /// Looks at the slots of some rows.
    fn look<'w>(&mut self, rows: impl Iterator<Item = &'w [u32]>, spread: &[Spread]) {
        for slots in rows {
            if spread.is_empty() {
                self.look_at_numbers(std::iter::once(
                    slots.iter().map(|&value| f32::from_bits(value)).collect::<Vec<_>>().as_slice(),
                ));
                continue;
            }
            let mut learned = self.vectors.iter_mut();
            for column in spread {
                let values = &slots[column.slot..][..column.slots];
                if column.is_span {
                    continue;
                }
                let inputs = &mut self.inputs[column.input..][..column.inputs()];
                let codes = if column.vectors > 0 { learned.next() } else { None };
                let places = match codes {
                    Some(codes) => codes.chunks_mut(column.vectors),
                    None => inputs.chunks_mut(column.width.max(1)),
                };
                // What a row has, its neighbours have in their windows.
                places.for_each(|seen| mark(seen, values, column.codes));
            }
        }
    }

    /// Looks at rows of inputs.
    fn look_at_numbers<'w>(&mut self, rows: impl Iterator<Item = &'w [f32]>) {
        for row in rows {
            self.inputs.iter_mut().zip(row).for_each(|(seen, &x)| *seen |= x != 0.0);
        }
    }
}

/// Marks what the slots of a column name: codes, or inputs with another number than 0.
fn mark(seen: &mut [bool], slots: &[u32], codes: bool) {
    if !codes {
        let numbers = seen.iter_mut().zip(slots);
        return numbers.for_each(|(seen, &value)| *seen |= f32::from_bits(value) != 0.0);
    }
    for &code in slots.iter().filter(|&&code| code != NO_CODE) {
        seen.get_mut(code as usize).into_iter().for_each(|seen| *seen = true);
    }
}

/// Whether a row can change a parameter of the network.
fn trains(train: &Dataset, row: usize) -> bool {
    let weighs = train.weights.as_ref().is_none_or(|weights| weights[row] != 0.0);
    weighs && train.labels.iter().any(|labels| labels[row] != UNLABELLED)
}
