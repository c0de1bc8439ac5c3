//! Adds to deep views what finds the products of gradients without the gradients: the products of
//! the rows that layers read, and with them those of deltas.
//!
//! The weight gradients of tasks i and j in a layer that reads x are `δᵢᵀx` and `δⱼᵀx`. Their
//! product is `⟨P δᵢ, δⱼ⟩` with `P = x xᵀ`, plus one everywhere for the bias (Li et al., "Large
//! language models can be strong differentially private learners", ICLR 2022, section 4, has it for
//! norms). `P` is found once for all tasks, so with many tasks, and batches shorter than layers are
//! wide, this takes far fewer operations than a gradient per task. The weighted sum of the deltas
//! then has a usual backward pass.

use std::collections::BTreeMap;

use super::layers::Planner;
use super::views::{ByRows, CombineGroup, Deep, Sharing};
use crate::kernels::params::{Combination, Dense, NONE, PlaneTerm, Region, RowSource};
use crate::model::layout::ALIGN;

impl Planner<'_> {
    /// The products by rows of a batch of this many rows, where all gradients by task are those of
    /// layers and this takes fewer operations.
    pub(super) fn place_by_rows(
        &mut self,
        sharing: &Sharing,
        deltas: &BTreeMap<(usize, usize), usize>,
        deep: &Deep,
        rows: usize,
    ) -> Option<ByRows> {
        let layers: Vec<usize> = (0..self.plan.order.len())
            .filter(|place| deep.place_of(self.layer(*place).weight).is_some())
            .collect();
        // Gates have their deltas beside those of logits, which stay with gradients by task.
        let is_plain = layers.iter().all(|place| self.plan.layers[*place].delta_arena < 2);
        let is_whole = is_plain && deep.blocks.len() == 2 * layers.len();
        if !is_whole || !self.is_cheaper(&layers, sharing, rows) {
            return None;
        }
        let mut found = ByRows::default();
        let products = self.place_sources(&layers, rows, &mut found);
        for arena in 0..2 {
            let mut crossed = Vec::new();
            let first = self.views().regions.len();
            for &place in &layers {
                let (layer, node) = (self.plan.layers[place], self.layer(place).node.0);
                if layer.delta_arena as usize != arena {
                    continue;
                }
                let mut places = [vec![NONE; self.network.tasks.len()], Vec::new()];
                places[1] = places[0].clone();
                for &task in sharing.tasks(node) {
                    let delta = *deltas.get(&(node, task))? as u32;
                    (places[0][task], places[1][task]) = (found.crossed_len as u32, delta);
                    let len = rows * layer.outputs as usize;
                    let sums = found.crossed_len + len.next_multiple_of(ALIGN);
                    crossed.push(Dense {
                        inputs: layer.outputs,
                        x: delta,
                        x_odd: layer.delta_arena,
                        outputs: rows as u32,
                        delta: products[&place],
                        delta_arena: 1 - layer.delta_arena,
                        weight: found.crossed_len as u32,
                        // The sums over rows have no use.
                        bias: sums as u32,
                        ..layer
                    });
                    found.crossed_len = sums + rows.next_multiple_of(ALIGN);
                }
                let (views, width) = (self.views(), layer.outputs);
                let first = views.places.len() as u32;
                views.regions.push(Region { first, width, by_row: 1, parameter: NONE });
                views.places.extend(places.concat());
            }
            found.regions[arena] = (first, self.views().regions.len() - first);
            found.crossed[arena] = self.weight_runs(crossed);
        }
        found.combine = self.combine_deltas(&layers, sharing, deltas);
        Some(found)
    }

    /// Whether the products by rows take fewer operations than those of gradients, fit the bindings
    /// of the adapter, and take no dispatch too long.
    fn is_cheaper(&self, layers: &[usize], sharing: &Sharing, rows: usize) -> bool {
        let rows = rows as u64;
        let (mut by_rows, mut by_gradients) = (0, 0);
        let (mut products, mut crossed, mut flop) = (0, 0, 0);
        let mut seen = Vec::new();
        for &place in layers {
            let layer = &self.plan.layers[place];
            let (inputs, outputs) = (u64::from(layer.inputs), u64::from(layer.outputs));
            let tasks = sharing.tasks(self.layer(place).node.0).len() as u64;
            let pairs = tasks * (tasks + 1) / 2;
            if !seen.contains(&(layer.x_odd, layer.x)) {
                seen.push((layer.x_odd, layer.x));
                by_rows += rows * rows * inputs;
                products += rows * rows + ALIGN as u64;
                flop += 2 * rows * rows * inputs;
            }
            crossed += tasks * (rows * outputs + rows + 2 * ALIGN as u64);
            by_rows += tasks * rows * rows * outputs + pairs * rows * outputs;
            by_rows += rows * inputs * outputs;
            by_gradients += tasks * rows * inputs * outputs + pairs * inputs * outputs;
        }
        let fits = 4 * products.max(crossed) <= self.tuning.binding_bytes;
        by_rows < by_gradients && fits && flop <= self.tuning.flop_per_dispatch
    }

    /// Adds the sources of layers; where the products of each layer's rows begin.
    fn place_sources(
        &mut self,
        layers: &[usize],
        rows: usize,
        found: &mut ByRows,
    ) -> BTreeMap<usize, u32> {
        let mut products = BTreeMap::new();
        for arena in 0..2 {
            let mut known: BTreeMap<u32, u32> = BTreeMap::new();
            for &place in layers {
                let layer = &self.plan.layers[place];
                if layer.x_odd as usize != arena {
                    continue;
                }
                let at = *known.entry(layer.x).or_insert_with(|| {
                    let at = found.products as u32;
                    let (x, inputs) = (layer.x, layer.inputs);
                    found.sources.push(RowSource { x, inputs, products: at });
                    found.products += (rows * rows).next_multiple_of(ALIGN);
                    at
                });
                products.insert(place, at);
            }
            found.of_arenas[arena] = known.len();
        }
        products
    }

    /// Adds the combinations of the deltas by task of the nodes of these layers, one group for each
    /// arena.
    fn combine_deltas(
        &mut self,
        layers: &[usize],
        sharing: &Sharing,
        deltas: &BTreeMap<(usize, usize), usize>,
    ) -> Vec<CombineGroup> {
        let mut groups = Vec::new();
        for arena in 0..2 {
            let first = self.views().combinations.len();
            for &place in layers {
                let (layer, node) = (self.plan.layers[place], self.layer(place).node.0);
                if layer.delta_arena as usize != arena {
                    continue;
                }
                let of_task = |task: &usize| {
                    let place = *deltas.get(&(node, *task))? as u32;
                    Some(PlaneTerm { place, weight: *task as u32 })
                };
                let terms: Vec<PlaneTerm> =
                    sharing.tasks(node).iter().filter_map(of_task).collect();
                let views = self.views();
                views.combinations.push(Combination {
                    width: layer.outputs,
                    slope: NONE,
                    delta: layer.delta,
                    first_term: views.terms.len() as u32,
                    terms: terms.len() as u32,
                });
                views.terms.extend(terms);
            }
            let count = self.views().combinations.len() - first;
            if count > 0 {
                let label = format!("shared layers ({count})");
                groups.push(CombineGroup { label, first, count, odd: arena == 1 });
            }
        }
        groups
    }
}
