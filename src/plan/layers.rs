//! Where all values of a step lie, and which layers run together: the tables that grouped kernels
//! read, derived from the graph.
//!
//! Layers are sorted by level: first those that read the inputs, then those that read these, and so
//! on. Within a level hidden layers come before gates, and gates before output layers; layers with
//! one activation stand together. So each forward dispatch is a run of the table. The layers that
//! read one activation are a linked list through the table, in ascending order. Activations lie in
//! two arenas by the parity of their level, so that a kernel reads one arena and writes the other.
//! Mixes run after the layers of their level, with the weights of their gates just before them.

use super::groups::{Arena, Backward, BackwardGroup, Forward, ForwardGroup};
use super::mixing::Mixing;
use super::views::{Views, Wanted};
use crate::config::Activation;
use crate::kernels::params::{Dense, Destination, NONE, Share};
use crate::kernels::tuning::Tuning;
use crate::model::graph::{Graph, NodeId, Op, Owner, Role, Source};
use crate::model::layout::{Layer, Layout};
use crate::model::network::Network;

/// The places of the values of a node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Values {
    /// Its values in their arena.
    pub y: usize,
    /// Their slopes, beside them; `None` where it has none.
    pub slope: Option<usize>,
    /// Their gradients.
    pub delta: usize,
    /// The arena of the gradients: 0 even, 1 odd, 2 logits.
    pub arena: usize,
}

/// The tables and arenas of a network, for a capacity of rows.
#[derive(Clone, Debug)]
pub struct LayerPlan {
    /// Rows that the arenas hold.
    pub capacity: usize,
    /// The table of layers.
    pub layers: Vec<Dense>,
    /// For each entry of the table the number of its layer in the layout.
    pub order: Vec<usize>,
    /// For each entry of the table whether it is trained.
    pub is_trained: Vec<bool>,
    /// For each entry of the table whether the gradient of its output is needed, for its own
    /// weights or for a layer below.
    pub needs_delta: Vec<bool>,
    /// The table of destinations.
    pub destinations: Vec<Destination>,
    /// Place of the learned inputs among the destinations, where they are trained.
    pub learned_inputs: Option<usize>,
    /// The forward dispatches, in order.
    pub forward: Vec<Forward>,
    /// The backward dispatches, in order.
    pub backward: Vec<Backward>,
    /// The tables of mixes and gates.
    pub mixing: Mixing,
    /// The deltas of each task apart, where they are wanted.
    pub views: Option<Views>,
    /// Number of tiles of the dispatch of the weight gradients.
    pub weight_tiles: usize,
    /// Elements of the two arenas of activations.
    pub activations: [usize; 2],
    /// Elements of the two arenas of deltas.
    pub deltas: [usize; 2],
    /// Elements of the arena of logits.
    pub logits: usize,
}

/// Level, role and activation code of a layer; layers with one key run in one forward dispatch.
type GroupKey = (usize, Role, u32);

/// A plan under construction, and its inputs.
pub(super) struct Planner<'a> {
    pub(super) network: &'a Network,
    pub(super) layout: &'a Layout,
    pub(super) tuning: &'a Tuning,
    /// The level of each node of the graph.
    pub(super) levels: Vec<usize>,
    /// The places of the values of each node.
    pub(super) values: Vec<Values>,
    /// For each node whether the gradient of its values is needed.
    pub(super) needs_delta: Vec<bool>,
    /// The layers that read each node, by their places in the table.
    pub(super) readers: Vec<Vec<usize>>,
    /// The layers that read the inputs.
    pub(super) input_readers: Vec<usize>,
    /// The mixes of which each node is a term.
    pub(super) shares: Vec<Vec<Share>>,
    /// Whether kernels read four values of a node at once.
    by_fours: bool,
    pub(super) plan: LayerPlan,
}

/// A dropout rate as a threshold on 32-bit hashes.
pub fn dropout_threshold(rate: f64) -> u32 {
    (rate * 4_294_967_296.0).round().min(f64::from(u32::MAX)) as u32
}

impl LayerPlan {
    /// Plans a network for up to `capacity` rows.
    pub fn new(network: &Network, layout: &Layout, tuning: &Tuning, capacity: usize) -> LayerPlan {
        LayerPlan::with_views(network, layout, tuning, capacity, Wanted::default())
    }

    /// Plans a network for up to `capacity` rows, with the views that are wanted.
    pub fn with_views(
        network: &Network,
        layout: &Layout,
        tuning: &Tuning,
        capacity: usize,
        wanted: Wanted,
    ) -> LayerPlan {
        let mut planner = Planner::new(network, layout, tuning, capacity, wanted);
        (0..planner.plan.order.len()).for_each(|place| planner.place_values(place));
        planner.place_mixes();
        (0..planner.plan.order.len()).for_each(|place| planner.place_layer(place));
        planner.link_readers();
        planner.group_forward();
        planner.group_backward();
        planner.place_views(wanted);
        planner.plan
    }

    /// Elements of the largest arena. In a plan for one row it bounds the capacity by the size of
    /// a binding.
    pub fn elements_per_row(&self) -> usize {
        let arenas = self.activations.into_iter().chain(self.deltas).chain([self.logits]);
        arenas.max().unwrap_or(1)
    }

    /// The layers that read a destination, in the order of the table.
    pub fn sources(&self, destination: &Destination) -> impl Iterator<Item = &Dense> {
        let at = |place: u32| self.layers.get(place as usize);
        std::iter::successors(at(destination.first_source), move |layer| at(layer.next_reader))
    }

    /// The layers that are trained.
    pub fn trained(&self) -> impl Iterator<Item = &Dense> {
        self.layers.iter().zip(&self.is_trained).filter(|(_, trained)| **trained).map(|(d, _)| d)
    }

    /// The slopes that nothing reads, since the gradient of their activation is not needed: (parity
    /// of the level, first element, length).
    pub fn spare(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let hidden = self
            .layers
            .iter()
            .zip(&self.needs_delta)
            .filter(|(d, needs)| !**needs && d.slope != NONE);
        hidden.map(|(d, _)| {
            (usize::from(d.x_odd == 0), d.slope as usize, self.capacity * d.outputs as usize)
        })
    }

    /// Floating-point operations per row of the dispatch of the weight gradients, which has the
    /// most.
    pub fn flop_per_row(&self) -> u64 {
        self.layers[..self.order.len()].iter().map(product_flop).sum()
    }
}

/// Floating-point operations per row of the product of a layer.
pub(super) fn product_flop(layer: &Dense) -> u64 {
    2 * u64::from(layer.inputs) * u64::from(layer.outputs)
}

/// For each node whether the gradient of its values is needed: for its own parameters, or for those
/// of a node below.
fn needs_delta(layout: &Layout, graph: &Graph) -> Vec<bool> {
    let mut needs: Vec<bool> = Vec::with_capacity(graph.len());
    for (id, node) in graph.nodes() {
        let trained = !matches!(node.op, Op::Mix { .. }) && !layout.is_frozen(node.owner);
        needs.push(trained || graph.reads(id).iter().any(|from| needs[from.0]));
    }
    needs
}

impl<'a> Planner<'a> {
    fn new(
        network: &'a Network,
        layout: &'a Layout,
        tuning: &'a Tuning,
        capacity: usize,
        wanted: Wanted,
    ) -> Planner<'a> {
        let levels = layout.graph.levels();
        let mut order: Vec<usize> = (0..layout.layers.len()).collect();
        order.sort_by_key(|&l| (group_key(&levels, &layout.layers[l]), l));
        let (mut readers, mut input_readers) = (vec![Vec::new(); levels.len()], Vec::new());
        for (place, &layer) in order.iter().enumerate() {
            match layout.layers[layer].source {
                Source::Inputs => input_readers.push(place),
                Source::Node(node) => readers[node.0].push(place),
            }
        }
        let plan = LayerPlan {
            capacity,
            layers: Vec::new(),
            order,
            is_trained: Vec::new(),
            needs_delta: Vec::new(),
            destinations: Vec::new(),
            learned_inputs: None,
            forward: Vec::new(),
            backward: Vec::new(),
            mixing: Mixing::default(),
            views: None,
            weight_tiles: 0,
            activations: [0, 0],
            deltas: [0, 0],
            logits: capacity * network.logits(),
        };
        let needs_delta = needs_delta(layout, &layout.graph);
        let values = vec![Values::default(); levels.len()];
        let shares = vec![Vec::new(); levels.len()];
        let by_fours = wanted != Wanted::default()
            || layout.graph.nodes().any(|(_, node)| matches!(node.op, Op::Mix { .. }));
        let mut planner = Planner {
            network,
            layout,
            tuning,
            levels,
            values,
            needs_delta,
            readers,
            input_readers,
            shares,
            by_fours,
            plan,
        };
        planner.plan.activations[0] = planner.size(network.inputs);
        if by_fours {
            planner.plan.logits = planner.plan.logits.next_multiple_of(4);
        }
        planner
    }

    /// Elements of the values of a node of this width. Kernels of mixes and of views read four at
    /// once.
    pub(super) fn size(&self, width: usize) -> usize {
        let size = self.plan.capacity * width;
        if self.by_fours { size.next_multiple_of(4) } else { size }
    }

    /// The layer at a place of the table.
    pub(super) fn layer(&self, place: usize) -> &'a Layer {
        &self.layout.layers[self.plan.order[place]]
    }

    fn level(&self, place: usize) -> usize {
        self.levels[self.layer(place).node.0]
    }

    /// Gives the values of a layer, their slopes and their gradients a place.
    fn place_values(&mut self, place: usize) {
        let layer = self.layer(place);
        let values = match (layer.role, layer.owner.task()) {
            (Role::Hidden, _) => self.place_hidden(layer.node, layer.outputs, true),
            // Logits lie in the order of tasks, whatever the order of the table.
            (Role::Output, Some(task)) => self
                .place_beside_logits(Some(self.plan.capacity * self.network.first_logit(task)), 0),
            _ => self.place_beside_logits(None, layer.outputs),
        };
        self.values[layer.node.0] = values;
    }

    /// A place in the arena of a node's level.
    pub(super) fn place_hidden(&mut self, node: NodeId, width: usize, slopes: bool) -> Values {
        let (parity, size) = (self.levels[node.0] % 2, self.size(width));
        let plan = &mut self.plan;
        let y = plan.activations[parity];
        let values = Values {
            y,
            slope: slopes.then_some(y + size),
            delta: plan.deltas[parity],
            arena: parity,
        };
        plan.activations[parity] += if slopes { 2 * size } else { size };
        plan.deltas[parity] += size;
        values
    }

    /// A place in the arena of logits: a given one, or one behind all others.
    pub(super) fn place_beside_logits(&mut self, given: Option<usize>, width: usize) -> Values {
        let first = given.unwrap_or(self.plan.logits);
        self.plan.logits += self.size(width);
        Values { y: first, slope: None, delta: first, arena: 2 }
    }

    /// Adds the entry of a place to the table.
    fn place_layer(&mut self, place: usize) {
        let (layer, level, layout) = (self.layer(place), self.level(place), self.layout);
        let trained = !layout.is_frozen(layer.owner);
        let values = self.values[layer.node.0];
        let x = match layer.source {
            Source::Inputs => 0,
            Source::Node(node) => self.values[node.0].y,
        };
        let dense = Dense {
            inputs: layer.inputs as u32,
            outputs: layer.outputs as u32,
            weight: layout.blocks[layer.weight].offset as u32,
            bias: layout.blocks[layer.weight + 1].offset as u32,
            x: x as u32,
            x_odd: ((level - 1) % 2) as u32,
            y: values.y as u32,
            slope: values.slope.map_or(NONE, |slope| slope as u32),
            delta: values.delta as u32,
            delta_arena: values.arena as u32,
            dropout_threshold: dropout_threshold(layer.dropout),
            dropout_scale: (1.0 / (1.0 - layer.dropout)) as f32,
            layer: place as u32,
            weight_tile: self.plan.weight_tiles as u32,
            z_flag: 1 + 2 * place as u32,
            gradient_flag: 2 + 2 * place as u32,
            task: layer.owner.task().unwrap_or(0) as u32,
            next_reader: NONE,
            ..Dense::default()
        };
        // A layer that is not trained has no tiles.
        if trained {
            let tile = &self.tuning.backward_weight;
            self.plan.weight_tiles +=
                layer.outputs.div_ceil(tile.rows) * layer.inputs.div_ceil(tile.columns);
        }
        self.plan.layers.push(dense);
        self.plan.is_trained.push(trained);
        self.plan.needs_delta.push(self.needs_delta[layer.node.0]);
    }

    /// Links the layers that read the same values, through the table.
    fn link_readers(&mut self) {
        for readers in self.readers.iter().chain([&self.input_readers]) {
            for pair in readers.windows(2) {
                self.plan.layers[pair[0]].next_reader = pair[1] as u32;
            }
        }
    }

    /// Whether layers read a node.
    pub(super) fn is_read_by_layers(&self, node: NodeId) -> bool {
        !self.readers[node.0].is_empty()
    }

    /// Groups the layers to forward dispatches, and numbers their column tiles; each level's mixes
    /// follow its layers.
    fn group_forward(&mut self) {
        let groups = self.layer_groups();
        let mut groups = groups.into_iter().peekable();
        let highest = self.levels.iter().copied().max().unwrap_or(0);
        for level in 0..=highest {
            while let Some((_, group)) = groups.next_if(|(at, _)| *at == level) {
                self.plan.forward.push(Forward::Layers(group));
            }
            let mixes = self.plan.mixing.of_level(level);
            self.plan.forward.extend(mixes.map(Forward::Mixes));
        }
    }

    /// The groups of layers, each with its level.
    fn layer_groups(&mut self) -> Vec<(usize, ForwardGroup)> {
        let (mut first, all) = (0, self.plan.order.len());
        let mut groups = Vec::new();
        while first < all {
            let key = group_key(&self.levels, self.layer(first));
            let same = |&p: &usize| group_key(&self.levels, self.layer(p)) == key;
            let count = (first..all).take_while(same).count();
            let (level, role, activation) = key;
            let writes = match role {
                Role::Hidden => [Arena::Even, Arena::Odd][level % 2],
                Role::Gate | Role::Output => Arena::Logits,
            };
            let (label, reads_odd) = (self.label(first, count), level % 2 == 0);
            let mut tiles = 0;
            for dense in &mut self.plan.layers[first..first + count] {
                dense.forward_tile = tiles as u32;
                tiles += (dense.outputs as usize).div_ceil(self.tuning.forward.columns);
            }
            let group =
                ForwardGroup { label, first, count, tiles, reads_odd, writes, role, activation };
            groups.push((level, group));
            first += count;
        }
        groups
    }

    /// The name of a run of the table: its series with the number of layers, or the name of its
    /// only layer.
    fn label(&self, first: usize, count: usize) -> String {
        let series = |place: usize| {
            let node = &self.layout.graph[self.layer(place).node];
            node.series.clone().unwrap_or_else(|| node.name.clone())
        };
        let mut names: Vec<String> = (first..first + count).map(series).collect();
        names.dedup();
        let is_alone = self.layout.graph[self.layer(first).node].series.is_none() && count == 1;
        match is_alone {
            true => names.concat(),
            false => format!("{} ({count})", names.join(" and ")),
        }
    }

    /// Groups the activations whose gradients are needed to backward dispatches, from the top down.
    /// On each level come deltas that layers make, then those that mixes make, then gates.
    fn group_backward(&mut self) {
        let highest = self.levels.iter().copied().max().unwrap_or(0);
        let forward = self.plan.forward.clone();
        for level in (1..=highest).rev() {
            let hidden = forward.iter().rev().filter_map(|step| match step {
                Forward::Layers(group) if group.role == Role::Hidden => Some(group),
                _ => None,
            });
            for group in hidden {
                let places = group.first..group.first + group.count;
                let nodes: Vec<NodeId> = places.map(|place| self.layer(place).node).collect();
                if self.levels[nodes[0].0] == level {
                    self.group_destinations(group.label.clone(), nodes, true);
                }
            }
            if let Some(mixes) = self.plan.mixing.of_level(level) {
                let nodes = self.plan.mixing.nodes(&mixes);
                self.group_destinations(mixes.label.clone(), nodes, false);
            }
            self.group_terms(level);
            let gates = self.plan.mixing.of_level(level).filter(|mixes| mixes.weighs);
            self.plan.backward.extend(gates.map(Backward::Gates));
        }
        let learned = self.network.learned_inputs();
        if learned > 0 && !self.layout.is_frozen(Owner::Shared) {
            self.plan_learned_inputs(learned);
        }
    }

    /// Adds the destinations among the nodes of a level, which layers read, as one group.
    fn group_destinations(&mut self, label: String, nodes: Vec<NodeId>, slopes: bool) {
        let (first, mut tiles) = (self.plan.destinations.len(), 0);
        let is_destination =
            |node: &NodeId| self.needs_delta[node.0] && self.is_read_by_layers(*node);
        let nodes: Vec<NodeId> = nodes.into_iter().filter(is_destination).collect();
        let Some(odd) = nodes.first().map(|node| self.levels[node.0] % 2 == 1) else { return };
        for node in nodes {
            let destination = self.destination(node, tiles);
            tiles += (destination.width as usize).div_ceil(self.tuning.backward_input.columns);
            self.plan.destinations.push(destination);
        }
        let count = self.plan.destinations.len() - first;
        let group = BackwardGroup { label, first, count, tiles, odd, slopes };
        self.plan.backward.push(Backward::Inputs(group));
    }

    /// The entry of the table of destinations for a node.
    fn destination(&self, node: NodeId, tiles: usize) -> Destination {
        let (readers, values) = (&self.readers[node.0], self.values[node.0]);
        Destination {
            width: self.layout.graph[node].width as u32,
            // Nothing reads the slope where there is none.
            slope: values.slope.unwrap_or(0) as u32,
            delta: values.delta as u32,
            first_source: readers.first().map_or(NONE, |first| *first as u32),
            sources: readers.len() as u32,
            tile: tiles as u32,
            ..Destination::default()
        }
    }

    /// Adds the destination of the learned inputs. They are the first inputs of a row; the layers
    /// that read them read further inputs, too.
    fn plan_learned_inputs(&mut self, width: usize) {
        let (first, size) = (self.plan.destinations.len(), self.size(width));
        let (plan, readers) = (&mut self.plan, &self.input_readers);
        let tiles = width.div_ceil(self.tuning.backward_input.columns);
        plan.destinations.push(Destination {
            width: width as u32,
            delta: plan.deltas[0] as u32,
            first_source: readers.first().map_or(NONE, |first| *first as u32),
            sources: readers.len() as u32,
            ..Destination::default()
        });
        plan.deltas[0] += size;
        plan.learned_inputs = Some(first);
        let (label, count, odd, slopes) = ("embeddings".into(), 1, false, false);
        let group = BackwardGroup { label, first, count, tiles, odd, slopes };
        plan.backward.push(Backward::Inputs(group));
    }
}

fn group_key(levels: &[usize], layer: &Layer) -> GroupKey {
    (levels[layer.node.0], layer.role, activation_code(layer.activation))
}

/// The code of an activation in the WGSL.
pub fn activation_code(activation: Activation) -> u32 {
    match activation {
        Activation::Relu => 0,
        Activation::Tanh => 1,
        Activation::Gelu => 2,
        Activation::Silu => 3,
        Activation::Identity => 4,
    }
}
