//! The dispatches of mixes and of their gates, forward and backward.

use super::builder::Builder;
use crate::kernels;
use crate::kernels::params::{self, Gate, Mix, NONE, Receiver, pool, rule};
use crate::plan::{Chunk, ConstantRun, MixGroup, TermGroup, block};
use crate::schedule::{Buffer, Dispatch, Slice, slices};

/// Rows of a workgroup of the kernels of mixes.
const MIX_ROWS: usize = 8;

/// The largest number of workgroups of a kernel that goes through more work in turns.
const MOST_GROUPS: usize = 512;

/// Workgroups of 64 invocations for pieces of work, each of which is done by one of them.
fn groups(work: usize) -> u32 {
    work.div_ceil(64).clamp(1, MOST_GROUPS) as u32
}

/// Pieces of work of a gate: rows, or values of all rows of a mask.
fn work(gate: &Gate, rows: usize) -> usize {
    if gate.rule == rule::MASK { rows * gate.values as usize } else { rows }
}

/// A row behind every batch, where no entropy of gates is counted.
const BEHIND: u32 = 1 << 31;

impl Builder<'_> {
    /// The gates of a group.
    fn gates(&self, group: &MixGroup) -> &[Gate] {
        &self.scene.plan.mixing.gates[group.first_gate..group.first_gate + group.gates]
    }

    /// The mixes of a group.
    fn mixes(&self, group: &MixGroup) -> &[Mix] {
        &self.scene.plan.mixing.mixes[group.first..group.first + group.count]
    }

    /// The values of all gates that lie among the logits, or among the parameters.
    fn gate_values<'g>(&self, gates: impl Iterator<Item = &'g Gate>, rows: usize) -> Vec<Slice> {
        let (logits, parameters) = (self.scene.buffers.logits, self.scene.buffers.parameters);
        let of_gate = |gate: &Gate| {
            let count = gate.values as usize;
            let second = (gate.second != NONE).then_some((logits, gate.second, rows * count));
            let first = match gate.constant {
                1 => (parameters, gate.first, count),
                _ => (logits, gate.first, rows * count),
            };
            [Some(first), second].into_iter().flatten()
        };
        let slice = |(buffer, first, len): (Buffer, u32, usize)| Slice {
            buffer,
            first: first as usize,
            len,
        };
        gates.flat_map(of_gate).map(slice).collect()
    }

    /// The mixes of a level, and before them the weights of their gates.
    pub(super) fn mix(&self, group: &MixGroup, chunk: Chunk, training: bool) -> Vec<Dispatch> {
        let gates = (group.gates > 0).then(|| self.gate_forward(group, chunk, training));
        gates.into_iter().chain([self.mix_forward(group, chunk)]).collect()
    }

    fn gate_forward(&self, group: &MixGroup, chunk: Chunk, training: bool) -> Dispatch {
        let (b, rows, gates) = (&self.scene.buffers, chunk.rows, self.gates(group));
        let capacity = self.scene.plan.capacity;
        let parameters = params::GateForward {
            rows: rows as u32,
            chunk_first: if chunk.again { BEHIND } else { chunk.first as u32 },
            first_gate: group.first_gate as u32,
            gates: group.gates as u32,
            training: u32::from(training),
            watch: u32::from(!training),
            capacity: capacity as u32,
        };
        let entropies = gates.iter().filter(|g| g.entropies != NONE);
        let watched = gates.iter().filter(|g| g.means != NONE && !training);
        let means = watched
            .flat_map(|g| (0..g.terms as usize).map(|i| (g.means as usize + i * capacity, rows)));
        let grid = [groups(most(gates.iter().map(|g| work(g, rows)))), group.gates as u32, 1];
        Dispatch::new(&kernels::gate_forward, self.gate_label(group), parameters, grid)
            .bind([("gates", b.gates), ("parameters", b.parameters)])
            .bind([("logits", b.logits), ("partials", b.partials)])
            .reads(self.gate_values(gates.iter(), rows))
            .overwrites(slices(b.logits, gates.iter().map(|g| block(g.weights, rows, g.terms))))
            .overwrites(slices(b.partials, entropies.map(|g| (g.entropies as usize, rows))))
            .overwrites(slices(b.partials, means))
    }

    /// The name of the only gate of a group, or their number.
    fn gate_label(&self, group: &MixGroup) -> String {
        let names = self.scene.plan.mixing.names.get(group.first_gate..);
        match names.and_then(|names| names.get(..group.gates)) {
            Some([only]) => only.gate.clone(),
            Some(_) => format!("gates ({})", group.gates),
            None => format!("gates of {}", group.label),
        }
    }

    /// The weights that a kernel of mixes reads.
    fn weights<'m>(&self, mixes: impl Iterator<Item = &'m Mix>, rows: usize) -> Vec<Slice> {
        let weighed = mixes.filter(|mix| mix.weights != NONE);
        let run = weighed.map(|mix| block(mix.weights, rows, count(mix)));
        slices(self.scene.buffers.logits, run)
    }

    fn mix_forward(&self, group: &MixGroup, chunk: Chunk) -> Dispatch {
        let (b, rows, mixes) = (&self.scene.buffers, chunk.rows, self.mixes(group));
        let parameters = params::MixForward {
            rows: rows as u32,
            first_mix: group.first as u32,
            mixes: group.count as u32,
            spans: self.spans(mixes.iter()),
        };
        let spans = self.read_spans(mixes.iter(), rows);
        let (x, y) = (usize::from(!group.odd()), usize::from(group.odd()));
        let grid = [rows.div_ceil(MIX_ROWS) as u32, group.count as u32, 1];
        Dispatch::new(&kernels::mix_forward, group.label.clone(), parameters, grid)
            .bind([("mixes", b.mixes), ("terms", b.terms), ("x", b.activations[x])])
            .bind([("logits", b.logits), ("spans", b.codes), ("y", b.activations[y])])
            .constant("POOLS", f64::from(u8::from(!spans.is_empty())))
            .reads(spans)
            .reads(self.terms(mixes.iter(), b.activations[x], rows))
            .reads(self.weights(mixes.iter(), rows))
            .overwrites(slices(
                b.activations[y],
                mixes.iter().map(|mix| block(mix.y, rows, mix.width)),
            ))
    }

    /// The first of the spans of the rows, or NONE where none of the mixes is pooled.
    fn spans<'m>(&self, mut mixes: impl Iterator<Item = &'m Mix>) -> u32 {
        let first = self.scene.spans.filter(|_| mixes.any(|mix| mix.pool != pool::NO));
        first.map_or(NONE, |first| first as u32)
    }

    /// The spans of the rows, if one of the mixes is pooled.
    fn read_spans<'m>(&self, mixes: impl Iterator<Item = &'m Mix>, rows: usize) -> Vec<Slice> {
        let first = self.spans(mixes);
        let run = (first != NONE).then_some((first as usize, rows));
        slices(self.scene.buffers.codes, run)
    }

    /// The values of the terms of mixes, each once.
    fn terms<'m>(
        &self,
        mixes: impl Iterator<Item = &'m Mix>,
        buffer: Buffer,
        rows: usize,
    ) -> Vec<Slice> {
        let mixing = &self.scene.plan.mixing;
        let runs = mixes.flat_map(|mix| mixing.terms(mix).iter().map(|term| (term.x, mix.width)));
        let mut runs: Vec<(u32, u32)> = runs.collect();
        runs.sort_unstable();
        runs.dedup();
        slices(buffer, runs.into_iter().map(|(x, width)| block(x, rows, width)))
    }

    /// The gradients of the weights of mixes, then those of the values of their gates.
    pub(super) fn gates_backward(&self, group: &MixGroup, chunk: Chunk) -> Vec<Dispatch> {
        vec![self.mix_dots(group, chunk), self.gate_backward(group, chunk)]
    }

    fn mix_dots(&self, group: &MixGroup, chunk: Chunk) -> Dispatch {
        let (b, rows) = (&self.scene.buffers, chunk.rows);
        let parameters = params::MixDots {
            rows: rows as u32,
            first_mix: group.first as u32,
            mixes: group.count as u32,
        };
        let (x, here) = (usize::from(!group.odd()), usize::from(group.odd()));
        let weighed = || self.mixes(group).iter().filter(|mix| mix.weighs == 1);
        let grid = [rows.div_ceil(MIX_ROWS) as u32, group.count as u32, 1];
        let deltas = weighed().map(|mix| block(mix.delta, rows, mix.width));
        let weights = weighed().map(|mix| block(mix.weights, rows, count(mix)));
        Dispatch::new(&kernels::mix_dots, group.label.clone(), parameters, grid)
            .bind([("mixes", b.mixes), ("terms", b.terms), ("x", b.activations[x])])
            .bind([("mix_delta", b.deltas[here]), ("logits_delta", b.logits_delta)])
            .reads(self.terms(weighed(), b.activations[x], rows))
            .reads(slices(b.deltas[here], deltas))
            .overwrites(slices(b.logits_delta, weights))
    }

    fn gate_backward(&self, group: &MixGroup, chunk: Chunk) -> Dispatch {
        let (b, rows, gates) = (&self.scene.buffers, chunk.rows, self.gates(group));
        let parameters = params::GateBackward {
            rows: rows as u32,
            chunk_first: if chunk.again { BEHIND } else { chunk.first as u32 },
            first_gate: group.first_gate as u32,
            gates: group.gates as u32,
        };
        let needed = || gates.iter().filter(|g| g.delta != NONE || g.second_delta != NONE);
        let select = || needed().filter(|g| g.rule == rule::SELECT);
        let others = needed().filter(|g| ![rule::SELECT, rule::LINEAR].contains(&g.rule));
        let written = needed().flat_map(|g| {
            let deltas = [g.delta, g.second_delta].into_iter().filter(|delta| *delta != NONE);
            deltas.map(|delta| block(delta, rows, g.values))
        });
        let grid = [groups(most(gates.iter().map(|g| work(g, rows)))), group.gates as u32, 1];
        Dispatch::new(&kernels::gate_backward, self.gate_label(group), parameters, grid)
            .bind([("gates", b.gates), ("parameters", b.parameters), ("logits", b.logits)])
            .bind([("logits_delta", b.logits_delta)])
            .reads(self.gate_values(select(), rows))
            .reads(slices(b.logits, others.map(|g| block(g.weights, rows, g.terms))))
            .reads(slices(b.logits_delta, needed().map(|g| block(g.weights, rows, g.terms))))
            .overwrites(slices(b.logits_delta, written))
    }

    /// Deltas of nodes that are terms of mixes.
    pub(super) fn mix_backward(&self, group: &TermGroup, chunk: Chunk) -> Dispatch {
        let (b, rows, mixing) = (&self.scene.buffers, chunk.rows, &self.scene.plan.mixing);
        let receivers = &mixing.receivers[group.first..group.first + group.count];
        let parameters = params::MixBackward {
            rows: rows as u32,
            first_receiver: group.first as u32,
            receivers: group.count as u32,
            spans: NONE,
        };
        let (here, next) = (usize::from(group.odd), usize::from(!group.odd));
        let mut mixes: Vec<u32> =
            receivers.iter().flat_map(|r| mixing.shares(r)).map(|share| share.mix).collect();
        mixes.sort_unstable();
        mixes.dedup();
        let mixes = || mixes.iter().map(|mix| &mixing.mixes[*mix as usize]);
        let parameters = params::MixBackward { spans: self.spans(mixes()), ..parameters };
        let spans = self.read_spans(mixes(), rows);
        // The maximum is found again.
        let pooled = mixes().filter(|mix| mix.pool == pool::MAX);
        let pooled: Vec<Slice> =
            slices(b.activations[here], pooled.map(|mix| block(mix.x, rows, mix.width)));
        let slopes = receivers.iter().filter(|r| r.slope != NONE);
        let delta = |r: &Receiver| block(r.delta, rows, r.width);
        let (added, first): (Vec<&Receiver>, Vec<_>) =
            receivers.iter().partition(|r| r.accumulate == 1);
        let grid = [rows.div_ceil(MIX_ROWS) as u32, group.count as u32, 1];
        Dispatch::new(&kernels::mix_backward, group.label.clone(), parameters, grid)
            .bind([("receivers", b.receivers), ("shares", b.shares), ("mixes", b.mixes)])
            .bind([("logits", b.logits), ("mix_delta", b.deltas[next])])
            .bind([("slope", b.activations[here]), ("delta", b.deltas[here])])
            .bind([("spans", b.codes)])
            .constant("POOLS", f64::from(u8::from(!spans.is_empty())))
            .reads(spans)
            .reads(pooled)
            .reads(self.weights(mixes(), rows))
            .reads(slices(b.deltas[next], mixes().map(|mix| block(mix.delta, rows, mix.width))))
            .reads(slices(b.activations[here], slopes.map(|r| block(r.slope, rows, r.width))))
            .overwrites(slices(b.deltas[here], first.into_iter().map(delta)))
            .updates(slices(b.deltas[here], added.into_iter().map(delta)))
    }

    /// Gradients of the constants of a run.
    pub(super) fn constant_gradients(
        &self,
        run: &ConstantRun,
        target: Buffer,
        chunk: Chunk,
    ) -> Option<Dispatch> {
        let (b, rows) = (&self.scene.buffers, chunk.rows);
        let constants = &self.scene.plan.mixing.constants[run.first..run.first + run.count];
        let parameters = params::ConstantBackward {
            rows: rows as u32,
            first: run.first as u32,
            constants: constants.len() as u32,
            accumulate: u32::from(chunk.index > 0),
        };
        let longest = constants.iter().map(|c| c.values).max()?;
        let grid = [longest, constants.len() as u32, 1];
        let deltas = constants.iter().map(|c| block(c.delta, rows, c.values));
        let gradients = constants.iter().map(|c| (c.gradient as usize, c.values as usize));
        let dispatch = Dispatch::new(&kernels::constant_backward, "constants", parameters, grid)
            .bind([("constants", b.constants), ("logits_delta", b.logits_delta)])
            .bind([("gradients", target), ("flags", b.flags)])
            .reads(slices(b.logits_delta, deltas))
            .effect(chunk.effect(), slices(target, gradients));
        Some(dispatch)
    }
}

/// Weights per row of a mix.
fn count(mix: &Mix) -> u32 {
    if mix.is_mask == 1 { mix.width } else { mix.terms }
}

fn most(sizes: impl Iterator<Item = usize>) -> usize {
    sizes.max().unwrap_or(1)
}
