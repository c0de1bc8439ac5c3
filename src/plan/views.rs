//! The deltas of each task apart: what balancing needs where tasks share layers.
//!
//! A node is *shared* if the outputs of at least two tasks depend on it, and *private* if those of
//! one do. A shared node that private nodes read is a *boundary*: the values that cross it are the
//! representation. Two views of the backward pass follow from that:
//!
//! - *planes*: for each boundary node and task the gradient that the private nodes of the task give
//!   its values. A weighted sum of them is the delta of the node, and all below it is as usual.
//! - *deep views*: for each shared node and task the delta that it has if the task is alone, and
//!   with it the gradient of each shared parameter by task, in an arena of its own.
//!
//! Both are further entries of the tables that the kernels of the backward pass read: no kernel
//! knows of them.

use std::collections::BTreeMap;

use super::layers::{Backward, BackwardGroup, LayerPlan, Planner, Values};
use super::mixing::{MixGroup, TermGroup};
use crate::kernels::params::{
    Combination, Dense, Destination, NONE, PlaneTerm, Receiver, Region, Run, Share,
};
use crate::model::graph::{NodeId, Op, Owner, Role, Source};
use crate::model::layout::{ALIGN, Layout};

/// The views that a program needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whether deltas of boundary nodes are combined from planes.
    pub planes: bool,
    /// The shared layers whose gradients are wanted by task.
    pub deep: Option<Depth>,
}

impl Wanted {
    fn any(self) -> bool {
        self.planes || self.deep.is_some()
    }
}

/// Shared layers whose gradients are wanted by task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// All of them.
    All,
    /// The last ones, whose values private nodes read.
    Last,
}

/// The nodes by the tasks that need them. The learned inputs stand behind the nodes of the graph.
#[derive(Clone, Debug)]
pub struct Sharing {
    /// For each node the tasks whose outputs depend on it.
    tasks: Vec<Vec<usize>>,
}

impl Sharing {
    /// The sharing of a layout.
    pub fn of(layout: &Layout, tasks: usize) -> Sharing {
        let graph = &layout.graph;
        let mut of_node = vec![Vec::new(); graph.len() + 1];
        for task in 0..tasks {
            let needed = graph.needed_by(task);
            let reads_inputs = |(id, node): (NodeId, &crate::model::graph::Node)| {
                needed[id.0] && matches!(node.op, Op::Dense { source: Source::Inputs, .. })
            };
            let inputs = graph.nodes().any(reads_inputs);
            for (node, _) in needed.iter().chain([&inputs]).enumerate().filter(|(_, n)| **n) {
                of_node[node].push(task);
            }
        }
        Sharing { tasks: of_node }
    }

    /// The tasks that need a node.
    pub fn tasks(&self, node: usize) -> &[usize] {
        &self.tasks[node]
    }

    /// Whether at least two tasks need a node.
    pub fn is_shared(&self, node: usize) -> bool {
        self.tasks[node].len() > 1
    }

    /// The only task that needs a node.
    fn owner(&self, node: usize) -> Option<usize> {
        match self.tasks[node][..] {
            [task] => Some(task),
            _ => None,
        }
    }

    /// The blocks of parameters that several tasks share and that are trained, by place, each with
    /// its node; the learned vectors belong to the inputs.
    pub fn blocks(&self, layout: &Layout) -> Vec<(usize, usize)> {
        let inputs = layout.graph.len();
        let embeddings = (0..layout.embeddings).map(|block| (block, inputs));
        let layers =
            layout.layers.iter().flat_map(|l| [(l.weight, l.node.0), (l.weight + 1, l.node.0)]);
        let constants = layout.constants.iter().map(|c| (c.block, c.node.0));
        let mut blocks: Vec<(usize, usize)> = embeddings
            .chain(layers)
            .chain(constants)
            .filter(|(block, node)| {
                self.is_shared(*node) && !layout.is_frozen(layout.blocks[*block].owner)
            })
            .collect();
        blocks.sort_unstable();
        blocks
    }
}

/// A run of a table of layers whose weight gradients one dispatch computes.
#[derive(Clone, Copy, Debug, Default)]
pub struct WeightRun {
    /// Place of its first layer.
    pub first: usize,
    /// Number of its layers.
    pub count: usize,
    /// Number of their tiles.
    pub tiles: usize,
}

/// A run of the table of constants whose gradients one dispatch computes.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConstantRun {
    /// Place of its first constant.
    pub first: usize,
    /// Number of its constants.
    pub count: usize,
}

/// Combinations of planes that one dispatch computes.
#[derive(Clone, Debug)]
pub struct CombineGroup {
    /// Its name in tables.
    pub label: String,
    /// Place of its first combination.
    pub first: usize,
    /// Number of its combinations.
    pub count: usize,
    /// Whether its deltas lie in the odd arena.
    pub odd: bool,
}

/// A dispatch of the backward pass through shared nodes.
#[derive(Clone, Debug)]
pub enum SharedBackward {
    /// As in the usual pass.
    Usual(Backward),
    /// Deltas of boundary nodes from planes.
    Combine(CombineGroup),
}

/// A run of the arena of gradients by task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskBlock {
    /// Place of the block among the blocks of the layout.
    pub block: usize,
    /// First element within the gradients of a task.
    pub place: usize,
    /// The node that it belongs to; the number of nodes for learned vectors.
    pub node: usize,
}

/// The planes of boundary nodes, and what is done with them.
#[derive(Clone, Debug, Default)]
pub struct Planes {
    /// The dispatches that make them; all private nodes have their deltas before.
    pub backward: Vec<Backward>,
    /// The backward pass of the shared nodes, from the weights of the tasks on.
    pub shared: Vec<SharedBackward>,
    /// The regions that are compared, first those of even planes: (first, number) for each arena.
    pub regions: [(usize, usize); 2],
}

/// The deltas of shared nodes by task, and the gradients of shared parameters by task.
#[derive(Clone, Debug, Default)]
pub struct Deep {
    /// The dispatches that make the deltas.
    pub backward: Vec<Backward>,
    /// The weight gradients by task.
    pub weights: WeightRun,
    /// The gradients of constants by task.
    pub constants: ConstantRun,
    /// The deltas of the learned inputs: (task, first element) in the even arena.
    pub learned: Vec<(usize, usize)>,
    /// The blocks in the order of the arena.
    pub blocks: Vec<TaskBlock>,
    /// Elements of the gradients of one task.
    pub stride: usize,
    /// The regions that are compared, one per node: (first, number).
    pub regions: (usize, usize),
    /// Number of regions of the last shared layers, which stand first.
    pub last: usize,
    /// The node of each region.
    pub region_nodes: Vec<usize>,
    /// Runs of parameters: (first, number).
    pub runs: (usize, usize),
}

/// All views of a plan, with the tables that only they have.
#[derive(Clone, Debug, Default)]
pub struct Views {
    /// Number of tasks that are compared.
    pub tasks: usize,
    /// The backward pass of the private nodes.
    pub private: Vec<Backward>,
    /// The weight gradients of private layers.
    pub private_weights: WeightRun,
    /// The gradients of private constants.
    pub private_constants: ConstantRun,
    /// The planes of boundary nodes.
    pub planes: Option<Planes>,
    /// The deep views.
    pub deep: Option<Deep>,
    /// The table of combinations.
    pub combinations: Vec<Combination>,
    /// The terms of all combinations.
    pub terms: Vec<PlaneTerm>,
    /// The table of regions.
    pub regions: Vec<Region>,
    /// The first element of each task in each region, or NONE.
    pub places: Vec<u32>,
    /// The table of runs.
    pub runs: Vec<Run>,
}

/// What a pass needs to know of the readers of a shared node.
#[derive(Default)]
struct Readers {
    layers: Vec<usize>,
    shares: Vec<Share>,
}

impl Readers {
    fn is_empty(&self) -> bool {
        self.layers.is_empty() && self.shares.is_empty()
    }
}

/// Deltas that one dispatch can make, under construction: those of one level.
struct Level<'l> {
    level: usize,
    label: &'l str,
    slopes: bool,
}

impl Planner<'_> {
    /// Adds the views that are wanted.
    pub(super) fn place_views(&mut self, wanted: Wanted) {
        if !wanted.any() {
            return;
        }
        let tasks = self.network.tasks.len();
        let sharing = Sharing::of(self.layout, tasks);
        self.plan.views = Some(Views { tasks, ..Views::default() });
        let private = |node: usize| !sharing.is_shared(node);
        let backward = self.usual_pass(&private);
        let places: Vec<usize> =
            (0..self.plan.order.len()).filter(|place| private(self.layer(*place).node.0)).collect();
        let private_weights = self.weight_run(&places);
        let constants = self.constant_run(&sharing, false);
        if let Some(views) = &mut self.plan.views {
            (views.private, views.private_weights, views.private_constants) =
                (backward, private_weights, constants);
        }
        if wanted.planes {
            self.place_planes(&sharing);
        }
        if let Some(depth) = wanted.deep {
            self.place_deep(&sharing, depth);
        }
    }

    fn views(&mut self) -> &mut Views {
        self.plan.views.get_or_insert_default()
    }

    /// The pseudo node of the learned inputs.
    fn inputs(&self) -> usize {
        self.layout.graph.len()
    }

    fn width(&self, node: usize) -> usize {
        match node == self.inputs() {
            true => self.network.learned_inputs(),
            false => self.layout.graph[NodeId(node)].width,
        }
    }

    fn level_of(&self, node: usize) -> usize {
        self.levels.get(node).copied().unwrap_or(0)
    }

    fn slope_of(&self, node: usize) -> Option<usize> {
        self.values.get(node).and_then(|values| values.slope)
    }

    /// Whether the learned inputs get gradients.
    fn trains_inputs(&self) -> bool {
        self.network.learned_inputs() > 0 && !self.layout.is_frozen(Owner::Shared)
    }

    /// Whether a node is one whose delta is made from those of its readers.
    fn is_target(&self, node: usize) -> bool {
        if node == self.inputs() {
            return self.trains_inputs();
        }
        let role = self.layout.graph[NodeId(node)].role;
        self.needs_delta[node] && role == Role::Hidden
    }

    /// The layers and mixes that read a node and are among those that `include` names.
    fn readers_of(&self, node: usize, include: &dyn Fn(usize) -> bool) -> Readers {
        let layers = match node == self.inputs() {
            true => &self.input_readers,
            false => &self.readers[node],
        };
        let layers = layers.iter().copied().filter(|p| include(self.layer(*p).node.0));
        let shares = self.shares.get(node).map_or(&[][..], |shares| shares);
        let of_mix = |share: &&Share| include(self.plan.mixing.nodes[share.mix as usize].0);
        Readers {
            layers: layers.collect(),
            shares: shares.iter().filter(of_mix).copied().collect(),
        }
    }

    /// The usual backward pass of the nodes that `include` names, with groups of their own.
    fn usual_pass(&mut self, include: &dyn Fn(usize) -> bool) -> Vec<Backward> {
        let highest = self.levels.iter().copied().max().unwrap_or(0);
        (0..=highest).rev().flat_map(|level| self.usual_level(level, include)).collect()
    }

    /// One level of it.
    fn usual_level(&mut self, level: usize, include: &dyn Fn(usize) -> bool) -> Vec<Backward> {
        let all = |_: usize| true;
        let nodes: Vec<usize> = (0..=self.inputs())
            .filter(|n| self.level_of(*n) == level && self.is_target(*n) && include(*n))
            .collect();
        let mut members = Vec::new();
        for node in nodes {
            let readers = self.readers_of(node, &all);
            members.push((node, self.delta_of(node), readers));
        }
        let label = self.members_label(members.iter().map(|(node, ..)| *node));
        let mut backward = self.add_level(&Level { level, label: &label, slopes: true }, members);
        backward.extend(self.gates_of(level, include));
        backward
    }

    /// The place of the usual delta of a node. The learned inputs have one if they are trained.
    fn delta_of(&self, node: usize) -> usize {
        match self.values.get(node) {
            Some(values) => values.delta,
            None => {
                let learned = self.plan.learned_inputs.map(|at| self.plan.destinations[at].delta);
                learned.unwrap_or(0) as usize
            }
        }
    }

    /// The name of nodes in tables.
    fn members_label(&self, nodes: impl Iterator<Item = usize>) -> String {
        let name = |node: usize| match node == self.inputs() {
            true => "embeddings".to_owned(),
            false => {
                let node = &self.layout.graph[NodeId(node)];
                node.series.clone().unwrap_or_else(|| node.name.clone())
            }
        };
        let nodes: Vec<usize> = nodes.collect();
        let mut names: Vec<String> = nodes.iter().map(|node| name(*node)).collect();
        names.dedup();
        match (&names[..], nodes.len()) {
            ([one], 1) => one.clone(),
            ([one], many) => format!("{one} ({many})"),
            (several, _) => format!("layers ({})", several.len()),
        }
    }

    /// Adds deltas of one level to the tables: first what layers give them, then what mixes do.
    /// Members are (node, place of the delta, readers).
    fn add_level(&mut self, at: &Level, members: Vec<(usize, usize, Readers)>) -> Vec<Backward> {
        let odd = at.level % 2 == 1;
        let mut backward = Vec::new();
        // Destinations with slopes and those without have dispatches of their own.
        for with_slopes in [true, false] {
            let (first, mut tiles) = (self.plan.destinations.len(), 0);
            for (node, delta, readers) in &members {
                let slope = self.slope_of(*node).filter(|_| at.slopes);
                if readers.layers.is_empty() || slope.is_some() != with_slopes {
                    continue;
                }
                self.link(&readers.layers);
                let width = self.width(*node);
                self.plan.destinations.push(Destination {
                    width: width as u32,
                    slope: slope.unwrap_or(0) as u32,
                    delta: *delta as u32,
                    first_source: readers.layers[0] as u32,
                    sources: readers.layers.len() as u32,
                    tile: tiles as u32,
                    ..Destination::default()
                });
                tiles += width.div_ceil(self.tuning.backward_input.columns);
            }
            let count = self.plan.destinations.len() - first;
            if count > 0 {
                let (label, slopes) = (at.label.to_owned(), with_slopes);
                let group = BackwardGroup { label, first, count, tiles, odd, slopes };
                backward.push(Backward::Inputs(group));
            }
        }
        let first = self.plan.mixing.receivers.len();
        for (node, delta, readers) in members.iter().filter(|(.., r)| !r.shares.is_empty()) {
            let slope = self.slope_of(*node).filter(|_| at.slopes);
            let width = self.width(*node) as u32;
            let mixing = &mut self.plan.mixing;
            let first_share = mixing.shares.len();
            mixing.shares.extend(&readers.shares);
            mixing.receivers.push(Receiver {
                width,
                slope: slope.map_or(NONE, |slope| slope as u32),
                delta: *delta as u32,
                first_share: first_share as u32,
                shares: readers.shares.len() as u32,
                accumulate: u32::from(!readers.layers.is_empty()),
            });
        }
        let count = self.plan.mixing.receivers.len() - first;
        if count > 0 {
            let label = format!("{}, of mixes", at.label);
            backward.push(Backward::Terms(TermGroup { label, first, count, odd }));
        }
        backward
    }

    /// Links copies of layers as the readers of one destination, and returns nothing: the layers
    /// are entries that no other destination has.
    fn link(&mut self, places: &[usize]) {
        for pair in places.windows(2) {
            self.plan.layers[pair[0]].next_reader = pair[1] as u32;
        }
        if let Some(last) = places.last() {
            self.plan.layers[*last].next_reader = NONE;
        }
    }

    /// Adds a copy of a layer to the table; its place.
    fn copy_layer(&mut self, place: usize, change: impl FnOnce(&mut Dense)) -> usize {
        let mut copy = self.plan.layers[place];
        copy.next_reader = NONE;
        change(&mut copy);
        self.plan.layers.push(copy);
        self.plan.layers.len() - 1
    }

    /// The gates of the mixes of a level that `include` names.
    fn gates_of(&mut self, level: usize, include: &dyn Fn(usize) -> bool) -> Option<Backward> {
        let mixing = &self.plan.mixing;
        let group = mixing.of_level(level)?;
        let wanted: Vec<usize> = (group.first..group.first + group.count)
            .filter(|m| mixing.mixes[*m].weighs == 1 && include(mixing.nodes[*m].0))
            .collect();
        if wanted.is_empty() {
            return None;
        }
        if wanted.len() == group.count {
            return Some(Backward::Gates(group));
        }
        let places: Vec<(usize, usize)> =
            wanted.iter().map(|mix| (*mix, self.plan.mixing.gate_of(*mix))).collect();
        let group = self.copy_mixes(&places, level, |_, _| {}, |_, _| {});
        Some(Backward::Gates(group))
    }

    /// Adds copies of mixes and of their gates to the tables, as a group.
    fn copy_mixes(
        &mut self,
        places: &[(usize, usize)],
        level: usize,
        mix: impl Fn(usize, &mut crate::kernels::params::Mix),
        gate: impl Fn(usize, &mut crate::kernels::params::Gate),
    ) -> MixGroup {
        let mixing = &mut self.plan.mixing;
        let (first, first_gate) = (mixing.mixes.len(), mixing.gates.len());
        for (m, g) in places {
            let (mut of_mix, mut of_gate) = (mixing.mixes[*m], mixing.gates[*g]);
            mix(*m, &mut of_mix);
            gate(*g, &mut of_gate);
            mixing.mixes.push(of_mix);
            mixing.gates.push(of_gate);
            mixing.nodes.push(mixing.nodes[*m]);
        }
        let names: Vec<String> =
            places.iter().map(|(m, _)| self.layout.graph[mixing.nodes[*m]].name.clone()).collect();
        let label = match &names[..] {
            [one] => one.clone(),
            several => format!("mixes ({})", several.len()),
        };
        let count = places.len();
        MixGroup { label, level, first, count, first_gate, gates: count, weighs: true }
    }

    /// A run of copies of layers whose weight gradients are computed apart.
    fn weight_run(&mut self, places: &[usize]) -> WeightRun {
        let (first, mut tiles) = (self.plan.layers.len(), 0);
        for &place in places {
            let next = tiles;
            let copy = self.copy_layer(place, |dense| dense.weight_tile = next as u32);
            if self.plan.is_trained[place] {
                tiles += self.weight_tiles(copy);
            }
        }
        WeightRun { first, count: places.len(), tiles }
    }

    fn weight_tiles(&self, place: usize) -> usize {
        let (dense, tile) = (&self.plan.layers[place], &self.tuning.backward_weight);
        (dense.outputs as usize).div_ceil(tile.rows)
            * (dense.inputs as usize).div_ceil(tile.columns)
    }

    /// A run of copies of the private constants, or of the shared ones.
    fn constant_run(&mut self, sharing: &Sharing, shared: bool) -> ConstantRun {
        let nodes = self.layout.constants.iter();
        let nodes = nodes.filter(|c| !self.layout.is_frozen(self.layout.blocks[c.block].owner));
        let wanted: Vec<usize> = nodes
            .enumerate()
            .filter(|(_, c)| sharing.is_shared(c.node.0) == shared)
            .map(|(place, _)| place)
            .collect();
        let constants = &mut self.plan.mixing.constants;
        let first = constants.len();
        for place in &wanted {
            constants.push(constants[*place]);
        }
        ConstantRun { first, count: wanted.len() }
    }

    /// A place for deltas of a node in the arena of its level.
    fn place_delta(&mut self, node: usize) -> usize {
        let (parity, size) = (self.level_of(node) % 2, self.size(self.width(node)));
        let place = self.plan.deltas[parity].next_multiple_of(4);
        self.plan.deltas[parity] = place + size;
        place
    }

    /// Adds the planes of boundary nodes and the shared backward pass from them on.
    fn place_planes(&mut self, sharing: &Sharing) {
        let highest = self.levels.iter().copied().max().unwrap_or(0);
        let (mut planes, mut regions) = (Planes::default(), [Vec::new(), Vec::new()]);
        // For each boundary node: the planes of tasks.
        let mut boundary: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
        for level in (0..=highest).rev() {
            let mut members = Vec::new();
            for node in self.shared_at(level, sharing) {
                for &task in sharing.tasks(node) {
                    let readers = self.readers_of(node, &|n| sharing.owner(n) == Some(task));
                    if readers.is_empty() {
                        continue;
                    }
                    let layers =
                        readers.layers.iter().map(|p| self.copy_layer(*p, |_| {})).collect();
                    let delta = self.place_delta(node);
                    boundary.entry(node).or_default().push((task, delta));
                    members.push((node, delta, Readers { layers, ..readers }));
                }
            }
            let label = format!("planes of {}", self.members_label(nodes_of(&members)));
            let at = Level { level, label: &label, slopes: false };
            planes.backward.extend(self.add_level(&at, members));
        }
        for (node, of_tasks) in &boundary {
            let mut places = vec![NONE; self.network.tasks.len()];
            of_tasks.iter().for_each(|(task, delta)| places[*task] = *delta as u32);
            regions[self.level_of(*node) % 2].push((*node, places));
        }
        for (parity, of_arena) in regions.into_iter().enumerate() {
            planes.regions[parity] = (self.views().regions.len(), of_arena.len());
            for (node, places) in of_arena {
                let (width, views) = (self.width(node) as u32, self.views());
                let first = views.places.len() as u32;
                views.regions.push(Region { first, width, by_row: 1, parameter: NONE });
                views.places.extend(places);
            }
        }
        for level in (0..=highest).rev() {
            let steps = self.shared_level(level, sharing, &boundary);
            planes.shared.extend(steps);
        }
        self.views().planes = Some(planes);
    }

    /// The shared nodes of a level whose deltas are needed.
    fn shared_at(&self, level: usize, sharing: &Sharing) -> Vec<usize> {
        (0..=self.inputs())
            .filter(|n| self.level_of(*n) == level && sharing.is_shared(*n) && self.is_target(*n))
            .collect()
    }

    /// The shared backward pass of a level: usual where no private node reads, else planes.
    fn shared_level(
        &mut self,
        level: usize,
        sharing: &Sharing,
        boundary: &BTreeMap<usize, Vec<(usize, usize)>>,
    ) -> Vec<SharedBackward> {
        let is_usual = |n: usize| sharing.is_shared(n) && !boundary.contains_key(&n);
        let mut steps: Vec<SharedBackward> = Vec::new();
        let mut members = Vec::new();
        let mut combined = Vec::new();
        for node in self.shared_at(level, sharing).into_iter().filter(|n| boundary.contains_key(n))
        {
            let readers = self.readers_of(node, &|n| sharing.is_shared(n));
            let mut terms: Vec<PlaneTerm> = boundary[&node]
                .iter()
                .map(|(task, delta)| PlaneTerm { place: *delta as u32, weight: *task as u32 })
                .collect();
            if !readers.is_empty() {
                let layers = readers.layers.iter().map(|p| self.copy_layer(*p, |_| {})).collect();
                let delta = self.place_delta(node);
                terms.push(PlaneTerm { place: delta as u32, weight: NONE });
                members.push((node, delta, Readers { layers, ..readers }));
            }
            combined.push((node, terms));
        }
        let label = format!(
            "shared plane of {}",
            self.members_label(members.iter().map(|(node, ..)| *node))
        );
        let at = Level { level, label: &label, slopes: false };
        steps.extend(self.add_level(&at, members).into_iter().map(SharedBackward::Usual));
        if !combined.is_empty() {
            let label = self.members_label(combined.iter().map(|(node, _)| *node));
            let (first, count) = (self.views().combinations.len(), combined.len());
            for (node, terms) in combined {
                let (width, slope) = (self.width(node) as u32, self.slope_of(node));
                let delta = self.delta_of(node) as u32;
                let views = self.views();
                views.combinations.push(Combination {
                    width,
                    slope: slope.map_or(NONE, |slope| slope as u32),
                    delta,
                    first_term: views.terms.len() as u32,
                    terms: terms.len() as u32,
                });
                views.terms.extend(terms);
            }
            let odd = level % 2 == 1;
            steps.push(SharedBackward::Combine(CombineGroup { label, first, count, odd }));
        }
        let usual = self.usual_shared(level, &is_usual, sharing);
        steps.extend(usual.into_iter().map(SharedBackward::Usual));
        steps
    }

    /// The usual deltas of shared nodes of a level, and the gates of all its shared mixes.
    fn usual_shared(
        &mut self,
        level: usize,
        is_usual: &dyn Fn(usize) -> bool,
        sharing: &Sharing,
    ) -> Vec<Backward> {
        let all = |_: usize| true;
        let mut members = Vec::new();
        let nodes: Vec<usize> = (0..=self.inputs())
            .filter(|n| self.level_of(*n) == level && is_usual(*n) && self.is_target(*n))
            .collect();
        for node in nodes {
            let readers = self.readers_of(node, &all);
            let layers = readers.layers.iter().map(|p| self.copy_layer(*p, |_| {})).collect();
            members.push((node, self.delta_of(node), Readers { layers, ..readers }));
        }
        let label = self.members_label(members.iter().map(|(node, ..)| *node));
        let mut backward = self.add_level(&Level { level, label: &label, slopes: true }, members);
        backward.extend(self.gates_of(level, &|n| sharing.is_shared(n)));
        backward
    }
}

/// The nodes of members, each once.
fn nodes_of(members: &[(usize, usize, Readers)]) -> impl Iterator<Item = usize> + use<> {
    let mut nodes: Vec<usize> = members.iter().map(|(node, ..)| *node).collect();
    nodes.dedup();
    nodes.into_iter()
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
    fn place_deep(&mut self, sharing: &Sharing, depth: Depth) {
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
                let copy = crate::kernels::params::Mix { delta: delta as u32, ..mixing.mixes[mix] };
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
                    (*mix, (delta, crate::model::graph::gates(by).iter().map(of_gate).collect()))
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
        let gates = crate::model::graph::gates(by).to_vec();
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
        let place_of = |deep: &Deep, block: usize| {
            deep.blocks.iter().find(|b| b.block == block).map(|b| b.place)
        };
        let (first, mut tiles, mut count) = (self.plan.layers.len(), 0, 0);
        let first_constant = self.plan.mixing.constants.len();
        for task in 0..self.network.tasks.len() {
            for place in 0..self.plan.order.len() {
                let layer = self.layer(place);
                let Some(delta) = self.deep_delta(place, task, found) else { continue };
                let weight = place_of(deep, layer.weight);
                let Some((weight, bias)) = weight.zip(place_of(deep, layer.weight + 1)) else {
                    continue;
                };
                let (base, next) = (task * deep.stride, tiles);
                let copy = self.copy_layer(place, |dense| {
                    dense.delta = delta;
                    dense.weight = (base + weight) as u32;
                    dense.bias = (base + bias) as u32;
                    dense.weight_tile = next as u32;
                });
                tiles += self.weight_tiles(copy);
                count += 1;
            }
            for constant in &self.layout.constants {
                let delta = found.deltas.get(&(constant.node.0, task));
                let Some((delta, place)) = delta.zip(place_of(deep, constant.block)) else {
                    continue;
                };
                let offset = self.layout.blocks[constant.block].offset as u32;
                let constants = &mut self.plan.mixing.constants;
                let usual = constants[..first_constant].iter().find(|c| c.gradient == offset);
                let Some(&usual) = usual else { continue };
                constants.push(crate::kernels::params::Constant {
                    delta: *delta as u32,
                    gradient: (task * deep.stride + place) as u32,
                    ..usual
                });
            }
        }
        deep.weights = WeightRun { first, count, tiles };
        let count = self.plan.mixing.constants.len() - first_constant;
        deep.constants = ConstantRun { first: first_constant, count };
        self.place_deep_regions(sharing, deep);
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
            // Behind the tasks the change of the parameters, as if it were one more.
            let place = |task: usize| match task == tasks || sharing.tasks(node).contains(&task) {
                true => (task * deep.stride + begin.place) as u32,
                false => NONE,
            };
            let (width, parameter) =
                ((end - begin.place) as u32, self.layout.blocks[begin.block].offset as u32);
            deep.region_nodes.push(node);
            let views = self.plan.views.get_or_insert_default();
            let first = views.places.len() as u32;
            views.regions.push(Region { first, width, by_row: 0, parameter });
            views.places.extend((0..=tasks).map(place));
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
