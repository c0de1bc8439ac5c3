//! Kernels that do the dispatches of many runs in one launch.
//!
//! A *member* is a run that is trained beside others: it has the same list of dispatches, with
//! sizes, tables, parameters and steps of its own. [`packed`] rewrites the text of a kernel so that
//! one launch does a dispatch for all members: the workgroups of the members lie behind one another
//! along z, and each workgroup works in the region that its member has in every buffer. What a
//! workgroup computes, and in which order, stays as it is in the text.
//!
//! The text keeps its lines, so that those in error reports are those of the file of the kernel.
//! What is added has names that begin with `packed_` and `Packed`.
//!
//! - `params` becomes a table: a head of [`HEAD`] bytes, then a record per member. A record holds
//!   the grid that the member would have alone, the place of its region in each binding, its
//!   lengths where the kernel asks for one, and its `Params`.
//! - `step` becomes a table with a `Step` per member.
//! - `name[e]` becomes `name[packed_at_name + (e)]`; the texel of a `textureLoad` is moved by rows;
//!   `arrayLength(&name)` becomes the length that the record states.
//! - Inside the entry point, values of the record are local, so that they are as uniform as they
//!   were; functions read copies of them in private variables. Only what is used is read, once.
//! - A workgroup beyond the grid of its member returns before all else; [`EVEN`] leaves that out.
//! - A member that has nothing to do in a whole submission needs no record: the records and the
//!   steps of the others stand in one order of their own. A launch whose grid is cut along z leaves
//!   out the last members of that order.

mod module;
mod names;
mod table;
mod tokens;
mod write;

pub use super::signature::Access;
pub use table::{Member, is_even};

/// Bytes at the beginning of the table of records: the number of members, the workgroups along z of
/// each of them, and eight bytes that nothing reads.
pub const HEAD: usize = 16;

/// A pipeline-overridable constant of all kernels for many members, by default false. True says
/// that all members of the launch have one grid ([`is_even`]), so that no workgroup lies beyond the
/// grid of its member and none has to ask: on software adapters a kernel that may return early is
/// slower as a whole.
pub const EVEN: &str = "PACKED_EVEN";

/// Bytes that a table may have: what every adapter grants a uniform binding.
pub const MOST_BYTES: usize = 64 << 10;

/// A kernel for many members, with what the host has to know to launch it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The text of the module.
    pub source: String,
    /// The name of its entry point: that of the kernel.
    pub entry: String,
    /// The records of its tables. A launch may have fewer members.
    pub most_members: usize,
    /// The slot of the table of records.
    pub params_slot: u32,
    /// Bytes from one record to the next, a multiple of 16. The first one begins at [`HEAD`].
    pub record_bytes: usize,
    /// The place of the `Params` of a member in its record, in bytes. The grid is at 0.
    pub params_at: usize,
    /// The fields of `Params`, which are four bytes each.
    pub params_fields: Vec<(String, String)>,
    /// The table of steps, where the kernel reads one.
    pub step: Option<StepTable>,
    /// The bindings of buffers and mirrors, in the order of slots.
    pub bindings: Vec<Binding>,
}

/// The table of the steps of all members. It is bound with a dynamic offset: a submission has a
/// table for each of its steps. With a number of records that is a multiple of 4, tables end at
/// multiples of 256 bytes, to which dynamic offsets are bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepTable {
    /// Its slot.
    pub slot: u32,
    /// Bytes from the step of one member to that of the next, a multiple of 16.
    pub record_bytes: usize,
    /// Bytes of a `Step`, without those that are added to its end.
    pub step_bytes: usize,
}

/// A binding that is split into the regions of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The name of the variable.
    pub name: String,
    /// Its slot.
    pub slot: u32,
    /// How the kernel uses it.
    pub access: Access,
    /// Bytes of an element, or of a row of a mirror. Regions begin at multiples of it, and a record
    /// counts in it.
    pub unit: usize,
    /// The place of the region in a record, in bytes: a u32 that counts units.
    pub at: usize,
    /// The place of the length in a record, in bytes, where the kernel asks for `arrayLength`: a
    /// u32 that counts elements.
    pub length_at: Option<usize>,
}

impl Packed {
    /// Bytes of the table of records, which is bound whole.
    pub fn params_bytes(&self) -> usize {
        HEAD + self.most_members * self.record_bytes
    }

    /// Bytes of the table of the steps of one dispatch; 0 where the kernel reads none.
    pub fn step_bytes(&self) -> usize {
        self.step.as_ref().map_or(0, |s| self.most_members * s.record_bytes)
    }
}

/// The kernel for up to `most_members` members. `source` is the text of a kernel with its prelude.
///
/// # Errors
/// A text that is not understood, or that uses a binding in a way that cannot be moved to a region;
/// tables that exceed [`MOST_BYTES`].
pub fn packed(source: &str, most_members: usize) -> Result<Packed, String> {
    write::packed(source, most_members)
}
