//! The table of records of a launch.

use super::{Access, HEAD, Packed};
use crate::kernels::MAX_GROUPS;

/// What a member has of its own in a dispatch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// The grid that it would have alone; zeros where it does nothing.
    pub grid: [u32; 3],
    /// Its `Params`, as the dispatch holds them.
    pub params: Vec<u32>,
    /// For each binding, in the order of the list: the byte where its region begins.
    pub begins: Vec<u64>,
    /// For each binding, in the order of the list: the bytes of its region.
    pub bytes: Vec<u64>,
}

/// Whether all members have one grid, so that [`EVEN`](super::EVEN) may be true.
pub fn is_even(members: &[Member]) -> bool {
    members.iter().all(|l| l.grid == members[0].grid && !l.grid.contains(&0))
}

impl Packed {
    /// The table of records, and the grid of the launch that does all members.
    ///
    /// # Errors
    /// More members than records, a region that begins within an element, lists of other lengths
    /// than those of the kernel, and a grid that is too large for an adapter.
    pub fn table(&self, members: &[Member]) -> Result<(Vec<u32>, [u32; 3]), String> {
        if members.len() > self.most_members {
            return Err(format!("{} members, but {} records", members.len(), self.most_members));
        }
        let busy = || members.iter().filter(|l| !l.grid.contains(&0));
        let most = |axis: usize| busy().map(|l| l.grid[axis]).max().unwrap_or(0);
        let depth = most(2).max(1);
        let grid = [most(0), most(1), if most(2) == 0 { 0 } else { depth * members.len() as u32 }];
        if grid.iter().any(|n| *n > MAX_GROUPS) {
            return Err(format!("{}: a grid of {grid:?} workgroups", self.entry));
        }
        let mut words = vec![0; self.params_bytes() / 4];
        words[0] = members.len() as u32;
        words[1] = depth;
        let records = words[HEAD / 4..].chunks_exact_mut(self.record_bytes / 4);
        for (member, (record, own)) in records.zip(members).enumerate() {
            self.fill(record, own).map_err(|e| format!("{}: member {member}: {e}", self.entry))?;
        }
        Ok((words, grid))
    }

    fn fill(&self, record: &mut [u32], member: &Member) -> Result<(), String> {
        if !member.grid.contains(&0) {
            record[..3].copy_from_slice(&member.grid);
        }
        let wanted = (self.params_fields.len(), self.bindings.len(), self.bindings.len());
        let given = (member.params.len(), member.begins.len(), member.bytes.len());
        if given != wanted {
            return Err(format!("{given:?} words and regions, but {wanted:?} in the kernel"));
        }
        for ((binding, begin), bytes) in self.bindings.iter().zip(&member.begins).zip(&member.bytes)
        {
            let unit = binding.unit as u64;
            if begin % unit != 0 {
                let name = &binding.name;
                return Err(format!("{name} begins at {begin}, which is no multiple of {unit}"));
            }
            let end = (begin + bytes) / unit;
            if u32::try_from(end).is_err() {
                return Err(format!("{} ends at element {end}", binding.name));
            }
            record[binding.at / 4] = (begin / unit) as u32;
            if let Some(at) = binding.length_at {
                debug_assert!(matches!(binding.access, Access::Read | Access::Write));
                record[at / 4] = (bytes / unit) as u32;
            }
        }
        let at = self.params_at / 4;
        record[at..at + member.params.len()].copy_from_slice(&member.params);
        Ok(())
    }
}
