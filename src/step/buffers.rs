//! Buffers and tables, made by name.

use crate::schedule::{Buffer, BufferSpec, Kind, Program};

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

pub(super) fn table_spec<T: bytemuck::Pod>(
    program: &mut Program,
    name: &str,
    lines: &[T],
) -> Buffer {
    let words: Vec<u32> = bytemuck::cast_slice(lines).to_vec();
    // A binding must hold at least one line, also where there is none.
    spec(program, name, words.len().max(size_of::<T>() / 4), Kind::U32, words)
}
