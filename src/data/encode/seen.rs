//! Which inputs the training rows have: what none of them has cannot be learnt from them.

use crate::data::{Dataset, Features, Input, NO_CODE, Spread, UNLABELLED};

/// Rows that are looked at together.
const BLOCK: usize = 1 << 12;

/// Inputs and learned vectors that at least one training row has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// For each input of the network whether a training row has another number than 0 there; inputs
    /// that are sums of learned vectors always have.
    pub inputs: Vec<bool>,
    /// For each column with learned vectors, in order, which of its codes a training row has.
    pub vectors: Vec<Vec<bool>>,
}

impl Seen {
    /// Looks at training rows until all has been seen; `None` where the features are bytes. A row
    /// that weighs nothing, or that has no label at all, trains nothing, so it does not count.
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
                Features::Cells { words, .. } => {
                    seen.look(rows.iter().map(|row| &words[row * slots..][..slots]), &spread)
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

    fn nothing(input: &Input, spread: &[Spread], slots: usize) -> Seen {
        let width = if spread.is_empty() { slots } else { input.width() };
        let mut inputs = vec![false; width];
        let learned: Vec<&Spread> = spread.iter().filter(|column| column.vectors > 0).collect();
        learned.iter().for_each(|column| inputs[column.input..][..column.width].fill(true));
        Seen { inputs, vectors: learned.iter().map(|column| vec![false; column.vectors]).collect() }
    }

    fn is_all(&self) -> bool {
        self.inputs.iter().chain(self.vectors.iter().flatten()).all(|seen| *seen)
    }

    fn look<'w>(&mut self, rows: impl Iterator<Item = &'w [u32]>, spread: &[Spread]) {
        for words in rows {
            if spread.is_empty() {
                self.look_at_numbers(std::iter::once(
                    words.iter().map(|&word| f32::from_bits(word)).collect::<Vec<_>>().as_slice(),
                ));
                continue;
            }
            let mut learned = self.vectors.iter_mut();
            for column in spread {
                let words = &words[column.slot..][..column.slots];
                let inputs = &mut self.inputs[column.input..][..column.width];
                if !column.codes {
                    inputs
                        .iter_mut()
                        .zip(words)
                        .for_each(|(seen, &word)| *seen |= f32::from_bits(word) != 0.0);
                    continue;
                }
                let codes = if column.vectors > 0 {
                    learned.next().map_or(&mut [][..], |codes| &mut codes[..])
                } else {
                    inputs
                };
                for &code in words.iter().filter(|&&code| code != NO_CODE) {
                    codes.get_mut(code as usize).into_iter().for_each(|seen| *seen = true);
                }
            }
        }
    }

    fn look_at_numbers<'w>(&mut self, rows: impl Iterator<Item = &'w [f32]>) {
        for row in rows {
            self.inputs.iter_mut().zip(row).for_each(|(seen, &x)| *seen |= x != 0.0);
        }
    }
}

/// Whether a row can change a weight.
fn trains(train: &Dataset, row: usize) -> bool {
    let weighs = train.weights.as_ref().is_none_or(|weights| weights[row] != 0.0);
    weighs && train.labels.iter().any(|labels| labels[row] != UNLABELLED)
}
