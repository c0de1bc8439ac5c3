//! Numbers of an arena, as an engine holds them.

/// All elements of an arena, gaps included.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// A device's.
    F32(Vec<f32>),
    /// The reference's.
    F64(Vec<f64>),
}

impl Numbers {
    /// Rounded to f32.
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Numbers::F32(numbers) => numbers.clone(),
            Numbers::F64(numbers) => numbers.iter().map(|x| *x as f32).collect(),
        }
    }
}
