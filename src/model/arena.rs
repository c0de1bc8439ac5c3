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
    /// The numbers, rounded to f32.
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Numbers::F32(numbers) => numbers.clone(),
            Numbers::F64(numbers) => numbers.iter().map(|x| *x as f32).collect(),
        }
    }
}
