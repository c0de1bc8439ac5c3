//! Adds deep views to a plan: the deltas of shared nodes by task, and the arena of the gradients of
//! shared parameters by task.

use std::collections::BTreeMap;

use super::groups::Backward;
use super::layers::{LayerPlan, Planner, Values, product_flop};
use super::planes::{Level, Readers, nodes_of};
use super::views::{ConstantRun, Deep, Depth, Sharing, TaskBlock, WeightRun};
use crate::kernels::params::{Constant, Dense, Mix, NONE, Region, Run, Share};
use crate::model::graph::{self, NodeId, Op};
use crate::model::layout::ALIGN;

/// A layer or a constant whose gradient lies in the arena of gradients by task.
struct InArena {
    /// Its place in its table.
    place: usize,
    /// The delta that its gradient is made from.
    delta: u32,
    /// The first element of the task in the arena.
    base: usize,
}

/// Deep views under construction.
#[derive(Default)]
struct Deepening {
    /// Whether each node is in them.
    included: Vec<bool>,
    /// The delta of a node for a task: its place, in the arena of the node.
    deltas: BTreeMap<(usize, usize), usize>,
    /// The copy of a mix for a task.
    mixes: BTreeMap<(usize, usize), u32>,
}

impl Planner<'_> {
    /// Adds the deltas of shared nodes by task, and the gradients of their parameters.
    pub(super) fn place_deep(&mut self, sharing: &Sharing, depth: Depth, rows: Option<usize>) {
        let highest = self.levels.iter().copied().max().unwrap_or(0);
        let mut found =
            Deepening { included: self.included(sharing, depth), ..Deepening::default() };
        let mut deep = Deep::default();
        for level in (0..=highest).rev() {
            let mut members = Vec::new();
            for node in self.shared_at(level, sharing) {
                if !found.included[node] {
                    continue;
                }
                for &task in sharing.tasks(node) {
                    let readers = self.deep_readers(node, task, sharing, &found);
                    let delta = self.place_delta(node);
                    found.deltas.insert((node, task), delta);
                    members.push((node, delta, readers));
                }
            }
            let label = format!("{}, by task", self.members_label(nodes_of(&members)));
            let at = Level { level, label: &label, slopes: true };
            deep.backward.extend(self.add_level(&at, members));
            deep.backward.extend(self.deep_mixes(level, sharing, &mut found));
        }
        let inputs = self.inputs();
        let learned = found.deltas.iter().filter(|((node, _), _)| *node == inputs);
        deep.learned = learned.map(|((_, task), delta)| (*task, *delta)).collect();
        self.place_task_gradients(sharing, &found, &mut deep);
        deep.by_rows =
            rows.and_then(|rows| self.place_by_rows(sharing, &found.deltas, &deep, rows));
        self.views().deep = Some(deep);
    }

    /// The nodes whose gradients are wanted: all, or those that no shared layer reads, with the
    /// terms and gates of mixes among them.
    fn included(&self, sharing: &Sharing, depth: Depth) -> Vec<bool> {
        let graph = &self.layout.graph;
        let mut included = vec![depth == Depth::All; graph.len() + 1];
        if depth == Depth::All {
            return included;
        }
        let mut is_last = vec![true; graph.len() + 1];
        let inputs = graph.len();
        for (id, node) in graph.nodes().collect::<Vec<_>>().into_iter().rev() {
            let is_mix = matches!(node.op, Op::Mix { .. });
            included[id.0] = sharing.is_shared(id.0) && is_last[id.0];
            if sharing.is_shared(id.0) && !(is_mix && is_last[id.0]) {
                graph.reads(id).iter().for_each(|from| is_last[from.0] = false);
            }
        }
        // Where only the learned inputs are shared, they are the last shared layer.
        included[inputs] = !included.contains(&true);
        included
    }

    /// The readers of a shared node for one task, with their deltas for that task.
    fn deep_readers(
        &mut self,
        node: usize,
        task: usize,
        sharing: &Sharing,
        found: &Deepening,
    ) -> Readers {
        let needs = |n: usize| sharing.tasks(n).contains(&task);
        let Readers { layers, shares } = self.readers_of(node, &needs);
        let copies = layers.into_iter().map(|place| {
            let delta = self.deep_delta(place, task, found);
            self.copy_layer(place, |dense| {
                if let Some(delta) = delta {
                    dense.delta = delta;
                }
            })
        });
        let layers = copies.collect();
        let of_task = |share: Share| {
            let mix = self.plan.mixing.nodes[share.mix as usize].0;
            Share { mix: found.mixes.get(&(mix, task)).copied().unwrap_or(share.mix), ..share }
        };
        Readers { layers, shares: shares.into_iter().map(of_task).collect() }
    }

    /// The delta of a layer for a task, where it is not the usual one.
    fn deep_delta(&self, place: usize, task: usize, found: &Deepening) -> Option<u32> {
        found.deltas.get(&(self.layer(place).node.0, task)).map(|delta| *delta as u32)
    }

    /// Adds the shared mixes of a level for each task, and the gradients of their gates.
    fn deep_mixes(
        &mut self,
        level: usize,
        sharing: &Sharing,
        found: &mut Deepening,
    ) -> Vec<Backward> {
        let Some(group) = self.plan.mixing.of_level(level) else { return Vec::new() };
        let mut gates: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
        for mix in group.first..group.first + group.count {
            let node = self.plan.mixing.nodes[mix].0;
            for &task in sharing.tasks(node) {
                let Some(&delta) = found.deltas.get(&(node, task)) else { continue };
                let mixing = &mut self.plan.mixing;
                let copy = Mix { delta: delta as u32, ..mixing.mixes[mix] };
                found.mixes.insert((node, task), mixing.mixes.len() as u32);
                mixing.mixes.push(copy);
                mixing.nodes.push(NodeId(node));
                if copy.weighs == 1 {
                    gates.entry(task).or_default().push((mix, mixing.gate_of(mix)));
                }
            }
        }
        let mut backward = Vec::new();
        for (task, places) in gates {
            for &(mix, gate) in &places {
                self.place_gate_deltas(mix, gate, task, found);
            }
            let copies: BTreeMap<usize, (u32, Vec<u32>)> = places
                .iter()
                .map(|(mix, _)| {
                    let node = self.plan.mixing.nodes[*mix];
                    let Op::Mix { by, .. } = &self.layout.graph[node].op else {
                        return (*mix, (0, Vec::new()));
                    };
                    let of_gate = |g: &NodeId| {
                        found.deltas.get(&(g.0, task)).map_or(NONE, |delta| *delta as u32)
                    };
                    let delta = found.deltas[&(node.0, task)] as u32;
                    (*mix, (delta, graph::gates(by).iter().map(of_gate).collect()))
                })
                .collect();
            let by_gate: BTreeMap<usize, Vec<u32>> =
                places.iter().map(|(mix, gate)| (*gate, copies[mix].1.clone())).collect();
            // The gradients of the weights of a mix have one place, so tasks come in turns.
            let group = self.copy_mixes(
                &places,
                level,
                |m, mix| mix.delta = copies[&m].0,
                |g, gate| {
                    gate.delta = by_gate[&g].first().copied().unwrap_or(NONE);
                    gate.second_delta = by_gate[&g].get(1).copied().unwrap_or(NONE);
                },
            );
            backward.push(Backward::Gates(group));
        }
        backward
    }

    /// Gives the gates of a mix deltas for a task, where their gradients are needed.
    fn place_gate_deltas(&mut self, mix: usize, gate: usize, task: usize, found: &mut Deepening) {
        let node = self.plan.mixing.nodes[mix];
        let Op::Mix { by, .. } = &self.layout.graph[node].op else { return };
        let gates = graph::gates(by).to_vec();
        let usual = [self.plan.mixing.gates[gate].delta, self.plan.mixing.gates[gate].second_delta];
        for (gate, usual) in gates.into_iter().zip(usual) {
            if usual != NONE {
                let width = self.width(gate.0);
                let Values { delta, .. } = self.place_beside_logits(None, width);
                found.deltas.insert((gate.0, task), delta);
            }
        }
    }

    /// Adds the arena of gradients by task: its blocks, the layers that write it, its regions.
    fn place_task_gradients(&mut self, sharing: &Sharing, found: &Deepening, deep: &mut Deep) {
        let is_here =
            |(block, node): &(usize, usize)| found.included[*node].then_some((*block, *node));
        let blocks: Vec<(usize, usize)> =
            sharing.blocks(self.layout).iter().filter_map(is_here).collect();
        for (block, node) in blocks {
            let len = self.layout.blocks[block].len;
            deep.blocks.push(TaskBlock { block, place: deep.stride, node });
            deep.stride += len.next_multiple_of(ALIGN);
        }
        self.place_runs(deep);
        let mut layers = Vec::new();
        let mut constants = Vec::new();
        for task in 0..self.network.tasks.len() {
            let base = task * deep.stride;
            layers.extend((0..self.plan.order.len()).filter_map(|place| {
                Some(InArena { place, delta: self.deep_delta(place, task, found)?, base })
            }));
            let of_task =
                self.layout.constants.iter().enumerate().filter_map(|(place, constant)| {
                    let delta = *found.deltas.get(&(constant.node.0, task))? as u32;
                    Some(InArena { place, delta, base })
                });
            constants.extend(of_task);
        }
        deep.weights = self.weights_in_arena(layers, deep);
        deep.constants = self.constants_in_arena(constants, deep);
        if self.views().objectives > self.network.tasks.len() {
            self.place_coupling_gradients(deep);
        }
        self.place_deep_regions(sharing, deep);
    }

    /// Adds the gradients of the couplings, from the usual deltas, behind those of the tasks.
    fn place_coupling_gradients(&mut self, deep: &mut Deep) {
        let base = self.network.tasks.len() * deep.stride;
        let layers = (0..self.plan.order.len()).map(|place| InArena {
            place,
            delta: self.plan.layers[place].delta,
            base,
        });
        deep.coupling_weights = self.weights_in_arena(layers.collect(), deep);
        let usual = self.plan.mixing.constants.clone();
        let constants = self.layout.constants.iter().enumerate().filter_map(|(place, constant)| {
            let offset = self.layout.blocks[constant.block].offset as u32;
            let delta = usual.iter().find(|c| c.gradient == offset)?.delta;
            Some(InArena { place, delta, base })
        });
        deep.coupling_constants = self.constants_in_arena(constants.collect(), deep);
    }

    /// Adds copies of layers whose weight gradients lie in the arena. Layers without a place there
    /// are left out.
    fn weights_in_arena(&mut self, layers: Vec<InArena>, deep: &Deep) -> Vec<WeightRun> {
        let copy = |InArena { place, delta, base }: InArena| {
            let layer = self.layer(place);
            let weight = (base + deep.place_of(layer.weight)?) as u32;
            let bias = (base + deep.place_of(layer.weight + 1)?) as u32;
            Some(Dense { delta, weight, bias, ..self.plan.layers[place] })
        };
        let copies = layers.into_iter().filter_map(copy).collect();
        self.weight_runs(copies)
    }

    /// Adds layers whose weight gradients are computed apart, in runs: as many a dispatch as its
    /// time allows, but at least one.
    pub(super) fn weight_runs(&mut self, layers: Vec<Dense>) -> Vec<WeightRun> {
        let most = self.tuning.flop_per_dispatch / self.plan.capacity.max(1) as u64;
        let mut run = WeightRun { first: self.plan.layers.len(), ..WeightRun::default() };
        let (mut runs, mut flop) = (Vec::new(), 0);
        for layer in layers {
            let of_layer = product_flop(&layer);
            if run.count > 0 && flop + of_layer > most {
                let next = WeightRun { first: run.first + run.count, ..WeightRun::default() };
                runs.push(std::mem::replace(&mut run, next));
                flop = 0;
            }
            flop += of_layer;
            let weight_tile = run.tiles as u32;
            self.plan.layers.push(Dense { next_reader: NONE, weight_tile, ..layer });
            run.tiles += self.weight_tiles(self.plan.layers.len() - 1);
            run.count += 1;
        }
        runs.push(run);
        runs
    }

    /// Adds copies of constants whose gradients lie in the arena.
    fn constants_in_arena(&mut self, wanted: Vec<InArena>, deep: &Deep) -> ConstantRun {
        let first = self.plan.mixing.constants.len();
        for InArena { place, delta, base } in wanted {
            let block = self.layout.constants[place].block;
            let offset = self.layout.blocks[block].offset as u32;
            let constants = &mut self.plan.mixing.constants;
            let usual = constants[..first].iter().find(|c| c.gradient == offset).copied();
            let Some((usual, place)) = usual.zip(deep.place_of(block)) else { continue };
            constants.push(Constant { delta, gradient: (base + place) as u32, ..usual });
        }
        ConstantRun { first, count: self.plan.mixing.constants.len() - first }
    }

    /// Adds the runs in which gradients by task lie as the parameters do.
    fn place_runs(&mut self, deep: &mut Deep) {
        let first = self.views().runs.len();
        let mut runs: Vec<Run> = Vec::new();
        for block in &deep.blocks {
            let Some(of_layout) = self.layout.blocks.get(block.block) else { continue };
            let (place, parameter) = (block.place as u32, of_layout.offset as u32);
            let len = of_layout.len.next_multiple_of(ALIGN) as u32;
            match runs.last_mut() {
                Some(run) if run.parameter + run.len == parameter => run.len += len,
                _ => runs.push(Run { place, parameter, len }),
            }
        }
        deep.runs = (first, runs.len());
        self.views().runs.extend(runs);
    }

    /// Adds one region per node with gradients by task.
    fn place_deep_regions(&mut self, sharing: &Sharing, deep: &mut Deep) {
        let tasks = self.network.tasks.len();
        let objectives = self.views().objectives;
        let first = self.views().regions.len();
        let mut nodes: Vec<usize> = deep.blocks.iter().map(|b| b.node).collect();
        nodes.dedup();
        let is_last = self.included(sharing, Depth::Last);
        nodes.sort_by_key(|node| !is_last[*node]);
        deep.last = nodes.iter().filter(|node| is_last[**node]).count();
        for node in nodes {
            let of_node: Vec<&TaskBlock> = deep.blocks.iter().filter(|b| b.node == node).collect();
            let (Some(begin), Some(end)) = (of_node.first(), of_node.last()) else { continue };
            let end = end.place + self.layout.blocks[end.block].len.next_multiple_of(ALIGN);
            // Behind the tasks the couplings, where they are balanced, and the change of the
            // parameters, as if it were one more.
            let place = |task: usize| match task >= tasks || sharing.tasks(node).contains(&task) {
                true => (task * deep.stride + begin.place) as u32,
                false => NONE,
            };
            let (width, parameter) =
                ((end - begin.place) as u32, self.layout.blocks[begin.block].offset as u32);
            deep.region_nodes.push(node);
            let views = self.plan.views.get_or_insert_default();
            let first = views.places.len() as u32;
            views.regions.push(Region { first, width, by_row: 0, parameter });
            views.places.extend((0..=objectives).map(place));
        }
        deep.regions = (first, deep.region_nodes.len());
    }
}

impl LayerPlan {
    /// The runs of private layers, or those of layers by task.
    pub fn run(&self, run: &WeightRun) -> &[Dense] {
        &self.layers[run.first..run.first + run.count]
    }
}
