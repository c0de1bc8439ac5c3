//! Adds buffers and tables to a program.

use crate::schedule::{Buffer, BufferSpec, Kind, Program};

/// Adds a buffer to a program: its handle.
pub(super) fn spec(
    program: &mut Program,
    name: &str,
    len: usize,
    kind: Kind,
    initial: Vec<u32>,
) -> Buffer {
    program.buffers.push(BufferSpec { name: name.into(), len: len.max(1), kind, initial });
    Buffer(program.buffers.len() - 1)
}

/// Adds a table to a program: its handle.
pub(super) fn table_spec<T: bytemuck::Pod>(
    program: &mut Program,
    name: &str,
    lines: &[T],
) -> Buffer {
    let words: Vec<u32> = bytemuck::cast_slice(lines).to_vec();
    // A binding must hold at least one line, even where the table has none.
    spec(program, name, words.len().max(size_of::<T>() / 4), Kind::U32, words)
}
