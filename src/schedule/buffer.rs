//! Buffers of a program, runs of their elements, and what a dispatch does to a run.

/// A buffer of a program, by its place in the list of buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Buffer(pub usize);

/// The type of the elements of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Numbers: f32 on the device, f64 in the reference.
    F32,
    /// Integers, bit patterns and tables, as u32 on both engines.
    U32,
}

/// A buffer of a program, to be allocated.
#[derive(Clone, Debug)]
pub struct BufferSpec {
    /// Its name in tables and messages.
    pub name: String,
    /// Number of elements of four bytes; never 0.
    pub len: usize,
    /// The type of its elements.
    pub kind: Kind,
    /// Its contents at the start; empty where they are zeros.
    pub initial: Vec<u32>,
}

/// A run of elements of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The buffer.
    pub buffer: Buffer,
    /// First element.
    pub first: usize,
    /// Number of elements.
    pub len: usize,
}

impl Slice {
    /// Whether two slices share an element.
    pub fn overlaps(&self, other: &Slice) -> bool {
        self.buffer == other.buffer
            && self.first < other.first + other.len
            && other.first < self.first + self.len
    }
}

/// The effect of a dispatch on a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The dispatch reads it.
    Read,
    /// The dispatch writes all of it, and reads nothing of it.
    Overwrite,
    /// The dispatch changes its contents.
    Update,
}

/// Slices of one buffer, from (first, length) pairs.
pub fn slices(buffer: Buffer, runs: impl IntoIterator<Item = (usize, usize)>) -> Vec<Slice> {
    runs.into_iter().map(|(first, len)| Slice { buffer, first, len }).collect()
}
