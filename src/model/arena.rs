//! The numbers of an arena, in the precision of an engine.

/// All elements of an arena, including the gaps between blocks.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// Numbers of a device.
    F32(Vec<f32>),
    /// Numbers of the reference.
    F64(Vec<f64>),
}

impl Numbers {
    /// Their number.
    pub fn len(&self) -> usize {
        match self {
            Numbers::F32(numbers) => numbers.len(),
            Numbers::F64(numbers) => numbers.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their bytes, little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Numbers::F32(numbers) => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Numbers::F64(numbers) => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }

    /// The numbers of these bytes, as f64 or as f32; `None` if the last one is cut short.
    pub fn from_bytes(bytes: &[u8], double: bool) -> Option<Numbers> {
        let (fours, rest) = bytes.as_chunks::<4>();
        let (eights, rest_of_eights) = bytes.as_chunks::<8>();
        match double {
            true if rest_of_eights.is_empty() => {
                Some(Numbers::F64(eights.iter().map(|b| f64::from_le_bytes(*b)).collect()))
            }
            false if rest.is_empty() => {
                Some(Numbers::F32(fours.iter().map(|b| f32::from_le_bytes(*b)).collect()))
            }
            _ => None,
        }
    }

    /// These numbers with others of the same kind behind them.
    pub fn followed_by(self, others: Numbers) -> Numbers {
        match (self, others) {
            (Numbers::F64(mut numbers), Numbers::F64(others)) => {
                numbers.extend(others);
                Numbers::F64(numbers)
            }
            (numbers, others) => Numbers::F32([numbers.to_f32(), others.to_f32()].concat()),
        }
    }

    /// The numbers before a place and those from it on; a place beyond the end is the end.
    pub fn split_at(&self, place: usize) -> [Numbers; 2] {
        let place = place.min(self.len());
        match self {
            Numbers::F32(all) => {
                [&all[..place], &all[place..]].map(|part| Numbers::F32(part.to_vec()))
            }
            Numbers::F64(all) => {
                [&all[..place], &all[place..]].map(|part| Numbers::F64(part.to_vec()))
            }
        }
    }

    /// The numbers, rounded to f32.
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Numbers::F32(numbers) => numbers.clone(),
            Numbers::F64(numbers) => numbers.iter().map(|x| *x as f32).collect(),
        }
    }
}
