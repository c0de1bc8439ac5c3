//! The sums over the shards of a batch, in the order of a binary tree. A rank adds those of its own
//! shards, the ranks exchange what they have, and each finishes the same tree.

use super::balance::groups;
use super::balancing::Way;
use super::buffers::spec;
use super::build::Step;
use super::builder::Builder;
use crate::kernels::{self, params};
use crate::plan::Chunk;
use crate::schedule::{Buffer, Dispatch, Effect, Kind, Peer, SLOTS, Slice, slices};

/// Elements from which each of more than two ranks finishes the tree for a section of them alone,
/// and gives the others the sums.
const SECTIONED: usize = 1 << 15;

/// Numbers that are summed over a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Summed {
    run: Slice,
    /// Elements from one row of metrics to the next; 0 where they are no metrics.
    stride: usize,
}

impl Builder<'_> {
    /// Makes the buffers for sums of shards.
    pub(super) fn place_shards(&mut self) {
        let shards = self.shards;
        if !shards.cuts() || self.optimizer.is_none() {
            return;
        }
        let b = &self.scene.buffers;
        let of = |buffer: Buffer| self.program.buffers.get(buffer.0).map_or(0, |spec| spec.len);
        let balance = [b.balance.task_gradients, b.balance.gramian].map(of);
        let len = of(b.gradients) + self.chunk_metrics + balance.iter().sum::<usize>();
        let levels = shards.own().len().ilog2() as usize;
        let ranks = if shards.ranks > 1 { shards.ranks } else { 0 };
        // Of many numbers what the other ranks have comes in sections.
        let of_ranks = if ranks > 2 { len.min(SECTIONED).max(len.div_ceil(ranks)) } else { len };
        self.shard_sums = (0..levels.max(ranks))
            .map(|slot| {
                let name = format!("sums of shards {slot}");
                let len = if slot < levels.max(1) { len } else { of_ranks };
                spec(&mut self.program, &name, len, Kind::F32, Vec::new())
            })
            .collect();
    }

    fn summed(&self, buffer: Buffer, first: usize, len: usize) -> Option<Summed> {
        let run = Slice { buffer, first, len };
        (len > 0).then_some(Summed { run, stride: 0 })
    }

    /// What weights of tasks follow from.
    pub(super) fn sums_of_measured(&self, way: Way) -> Vec<Summed> {
        let (at, gramian) = (self.gramian(), self.b().gramian);
        let products = if way == Way::Planes { at.scaled() } else { 0 };
        let losses = if self.needs_losses() { self.tasks() } else { 0 };
        let sums = [self.summed(gramian, 0, products), self.summed(gramian, at.losses(), losses)];
        sums.into_iter().flatten().collect()
    }

    /// What the backward pass of a batch leaves; with `by_task` the gradients of the tasks as well,
    /// with `losses` their losses.
    pub(super) fn sums_of_descent(&self, by_task: bool, losses: bool) -> Vec<Summed> {
        let (b, at) = (&self.scene.buffers, self.gramian());
        let stride = self.program.metrics_stride();
        let by_task = self.deep().filter(|_| by_task).map(|(_, deep)| deep.stride);
        let by_task = self.objectives() * by_task.unwrap_or(0);
        let losses = if losses { self.tasks() } else { 0 };
        let metrics = Slice { buffer: b.metrics, first: 1, len: self.chunk_metrics };
        let sums = [
            Some(Summed { run: self.program.whole(b.gradients), stride: 0 }),
            Some(Summed { run: metrics, stride }),
            self.summed(b.balance.task_gradients, 0, by_task),
            self.summed(b.balance.gramian, at.losses(), losses),
        ];
        sums.into_iter().flatten().collect()
    }

    /// The losses after the update.
    pub(super) fn sums_of_losses_after(&self) -> Vec<Summed> {
        let (at, tasks) = (self.gramian(), self.tasks());
        self.summed(self.b().gramian, at.losses() + tasks, tasks).into_iter().collect()
    }

    /// Dispatches of all chunks, with the sums over the shards of what each chunk adds up.
    pub(super) fn over_batch(
        &self,
        step: &Step,
        of_chunk: impl Fn(Chunk) -> Vec<Dispatch>,
        sums: &[Summed],
    ) -> Vec<Dispatch> {
        let shards = self.shards;
        let own = |chunks: &Vec<Chunk>| chunks.iter().copied().flat_map(&of_chunk).collect();
        if !shards.cuts() {
            return step
                .shards
                .iter()
                .flat_map(|chunks| -> Vec<Dispatch> { own(chunks) })
                .collect();
        }
        let mut dispatches = Vec::new();
        for (i, chunks) in step.shards.iter().enumerate() {
            let of_shard: Vec<Dispatch> = own(chunks);
            dispatches.extend(of_shard);
            let carries = i.trailing_ones() as usize;
            for level in 0..carries {
                dispatches.extend(self.taken(level, sums, true));
            }
            if i + 1 < step.shards.len() {
                dispatches.extend(self.kept(carries, sums));
            }
        }
        if shards.ranks > 1 {
            dispatches.extend(self.over_ranks(sums));
        }
        dispatches
    }

    /// The exchange of what the ranks have, and the rest of the tree. The own sums are in the first
    /// slot, and there all sums are at the end.
    ///
    /// Few numbers are sent to each rank as they are. Of many a rank gets its section alone from
    /// each other one; it finishes the tree for that, and sends the sums to the others, who do the
    /// same for theirs: 2 (R - 1) / R times their bytes in place of R - 1 times (Rabenseifner's
    /// algorithm: Thakur, Rabenseifner, Gropp 2005, Optimization of Collective Communication
    /// Operations in MPICH).
    fn over_ranks(&self, sums: &[Summed]) -> Vec<Dispatch> {
        let (ranks, rank) = (self.shards.ranks, self.shards.rank);
        let len: usize = sums.iter().map(|sum| sum.run.len).sum();
        let is_sectioned = ranks > 2 && len >= SECTIONED;
        // The section of the own slot of which a rank makes the sums.
        let section = |of: usize| {
            let (first, end) = match is_sectioned {
                true => (of * len / ranks, (of + 1) * len / ranks),
                false => (0, len),
            };
            Slice { buffer: self.shard_sums[0], first, len: end - first }
        };
        let own = section(rank);
        // What a rank has of the own section.
        let of_rank = |other: usize| match other {
            _ if other == rank => own,
            _ => {
                let slot = if other < rank { other + 1 } else { other };
                Slice { buffer: self.shard_sums[slot], first: 0, len: own.len }
            }
        };
        let others = (0..ranks).filter(|other| *other != rank);
        let mut dispatches = self.kept(0, sums);
        exchange(
            &mut dispatches,
            others.clone().map(|other| Peer {
                rank: other,
                sends: section(other),
                gets: of_rank(other),
            }),
        );
        let mut apart = 1;
        while apart < ranks {
            for left in (0..ranks).step_by(2 * apart) {
                let (to, from) = (of_rank(left), of_rank(left + apart));
                dispatches.push(self.sum_shards("ranks", (from, 0), (to, 0), true));
            }
            apart *= 2;
        }
        if rank > 0 {
            dispatches.push(self.sum_shards("ranks", (of_rank(0), 0), (own, 0), false));
        }
        if is_sectioned {
            let sums = |other| Peer { rank: other, sends: own, gets: section(other) };
            exchange(&mut dispatches, others.map(sums));
        }
        dispatches.extend(self.taken(0, sums, false));
        dispatches
    }

    /// Keeps sums in a slot.
    fn kept(&self, slot: usize, sums: &[Summed]) -> Vec<Dispatch> {
        let of = |(place, sum): (Slice, &Summed)| {
            self.sum_shards("kept", (sum.run, sum.stride), (place, 0), false)
        };
        self.places(slot, sums).into_iter().zip(sums).map(of).collect()
    }

    /// Adds a slot to sums, or puts it in their place.
    fn taken(&self, slot: usize, sums: &[Summed], add: bool) -> Vec<Dispatch> {
        let label = if add { "shards" } else { "all shards" };
        let of = |(place, sum): (Slice, &Summed)| {
            self.sum_shards(label, (place, 0), (sum.run, sum.stride), add)
        };
        self.places(slot, sums).into_iter().zip(sums).map(of).collect()
    }

    /// The places of sums in a slot, one behind the other.
    fn places(&self, slot: usize, sums: &[Summed]) -> Vec<Slice> {
        let mut first = 0;
        let of = |sum: &Summed| {
            first += sum.run.len;
            let len = sum.run.len;
            Slice { buffer: self.shard_sums[slot], first: first - len, len }
        };
        sums.iter().map(of).collect()
    }

    fn sum_shards(
        &self,
        label: &str,
        (source, source_stride): (Slice, usize),
        (target, target_stride): (Slice, usize),
        add: bool,
    ) -> Dispatch {
        let parameters = params::SumShards {
            count: source.len as u32,
            source_first: source.first as u32,
            target_first: target.first as u32,
            source_stride: source_stride as u32,
            target_stride: target_stride as u32,
            add: u32::from(add),
        };
        // The row of the step is one of all rows.
        let all = |run: Slice, stride: usize| match stride {
            0 => run,
            _ => slices(run.buffer, [(0, SLOTS * stride)])[0],
        };
        let is_slot = self.shard_sums.contains(&target.buffer);
        let effect = if is_slot && !add { Effect::Overwrite } else { Effect::Update };
        Dispatch::new(&kernels::sum_shards, label, parameters, [groups(source.len), 1, 1])
            .bind([("source", source.buffer), ("sums", target.buffer)])
            .reads([all(source, source_stride)])
            .effect(effect, [all(target, target_stride)])
    }
}

/// Adds an exchange behind the last of some dispatches.
fn exchange(dispatches: &mut [Dispatch], peers: impl Iterator<Item = Peer>) {
    if let Some(last) = dispatches.last_mut() {
        last.exchange = peers.collect();
    }
}
