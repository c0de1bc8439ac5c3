//! Buffers of a program, runs of their elements, and what a dispatch does to a run.

/// A buffer of a [`Program`](super::Program), by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Buffer(pub usize);

/// What the words of a buffer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Numbers: f32 on the device, f64 in the reference.
    F32,
    /// Integers, bit patterns and tables: the same bits on both engines.
    U32,
}

/// A buffer to allocate.
#[derive(Clone, Debug)]
pub struct BufferSpec {
    /// Name in tables and messages.
    pub name: String,
    /// Elements of four bytes; never 0.
    pub len: usize,
    /// What they are.
    pub kind: Kind,
    /// Contents at the start; empty = zeros.
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

/// What a dispatch does to a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Reads it.
    Read,
    /// Writes all of it without looking at what was there.
    Overwrite,
    /// Changes what was there.
    Update,
}

/// Slices of one buffer, from (first, length) pairs.
pub fn slices(buffer: Buffer, runs: impl IntoIterator<Item = (usize, usize)>) -> Vec<Slice> {
    runs.into_iter().map(|(first, len)| Slice { buffer, first, len }).collect()
}
