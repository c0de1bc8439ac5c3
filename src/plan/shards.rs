//! The shards of a batch: fixed parts of its rows whose sums are added to each other in the order
//! of a binary tree, so that any number of ranks gives the same bits.

use std::ops::Range;

use super::scene::{Chunk, chunks};

/// A cut of batches into shards, and the share of one rank of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shards {
    /// The number of shards, a power of two; 1 = batches are not cut.
    pub count: usize,
    /// The number of ranks, a power of two that is at most `count`.
    pub ranks: usize,
    /// The number of the rank that has these shards, from 0.
    pub rank: usize,
}

impl Default for Shards {
    fn default() -> Shards {
        Shards { count: 1, ranks: 1, rank: 0 }
    }
}

impl Shards {
    /// Shards that are all of one rank.
    pub fn of(count: usize) -> Shards {
        Shards { count, ..Shards::default() }
    }

    /// True if a batch has more than one shard.
    pub fn cuts(&self) -> bool {
        self.count > 1
    }

    /// The shards of this rank, a run of them.
    pub fn own(&self) -> Range<usize> {
        let each = self.count / self.ranks;
        self.rank * each..(self.rank + 1) * each
    }

    /// The rows of this rank, of a batch with so many rows.
    pub fn rows(&self, batch: usize) -> Range<usize> {
        let own = self.own();
        self.begin(own.start, batch)..self.begin(own.end, batch)
    }

    /// The first row of a shard, of a batch with so many rows.
    fn begin(&self, shard: usize, batch: usize) -> usize {
        shard * batch / self.count
    }

    /// The chunks of each shard of this rank, of a batch with so many rows; no chunk has more than
    /// `most` rows.
    pub fn chunks(&self, batch: usize, most: usize) -> Vec<Vec<Chunk>> {
        let of_shard = |shard: usize| {
            let (first, end) = (self.begin(shard, batch), self.begin(shard + 1, batch));
            let own = chunks(end - first, most).into_iter();
            own.map(|chunk| Chunk { first: first + chunk.first, ..chunk }).collect()
        };
        self.own().map(of_shard).collect()
    }
}
