//! Where all values of a step lie, and which layers run together: the tables that grouped kernels
//! read, derived from the graph.
//!
//! Layers are sorted by level: first those that read the inputs, then those that read these, and so
//! on. Within a level hidden layers come before gates, and gates before output layers; layers with
//! one activation stand together. So each forward dispatch is a run of the table. The layers that
//! read one activation are a linked list through the table, in ascending order. Activations lie in
//! two arenas by the parity of their level, so that a kernel reads one arena and writes the other.

use crate::config::Activation;
use crate::kernels::params::{Dense, Destination, NONE};
use crate::kernels::tuning::Tuning;
use crate::model::graph::{Owner, Role, Source};
use crate::model::layout::{Layer, Layout};
use crate::model::network::Network;

/// The arena that a group of layers writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arena {
    /// Activations of even level; the inputs are level 0.
    Even,
    /// Activations of odd level.
    Odd,
    /// Logits of all heads.
    Logits,
}

/// Layers that run in one forward dispatch.
#[derive(Clone, Debug)]
pub struct ForwardGroup {
    /// Its name in tables.
    pub label: String,
    /// Place of its first layer in the table.
    pub first: usize,
    /// Number of its layers.
    pub count: usize,
    /// Number of its column tiles.
    pub tiles: usize,
    /// Whether the level that it reads is odd.
    pub reads_odd: bool,
    /// The arena that it writes.
    pub writes: Arena,
    /// Code of the activation that its layers share.
    pub activation: u32,
}

/// Activations whose gradients come from one dispatch.
#[derive(Clone, Debug)]
pub struct BackwardGroup {
    /// Its name in tables.
    pub label: String,
    /// Place of its first destination in the table.
    pub first: usize,
    /// Number of its destinations.
    pub count: usize,
    /// Number of its column tiles.
    pub tiles: usize,
    /// Whether the level of its destinations is odd.
    pub odd: bool,
    /// Whether its destination is the learned inputs, which have no slopes.
    pub inputs: bool,
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
    pub forward: Vec<ForwardGroup>,
    /// The backward dispatches, in order.
    pub backward: Vec<BackwardGroup>,
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
struct Planner<'a> {
    network: &'a Network,
    layout: &'a Layout,
    tuning: &'a Tuning,
    /// The level of each node of the graph.
    levels: Vec<usize>,
    /// The place in the table of each node of the graph; `None` for nodes that are no layers.
    places: Vec<Option<usize>>,
    plan: LayerPlan,
}

/// A dropout rate as a threshold on 32-bit hashes.
pub fn dropout_threshold(rate: f64) -> u32 {
    (rate * 4_294_967_296.0).round().min(f64::from(u32::MAX)) as u32
}

impl LayerPlan {
    /// Plans a network for up to `capacity` rows.
    pub fn new(network: &Network, layout: &Layout, tuning: &Tuning, capacity: usize) -> LayerPlan {
        let mut planner = Planner::new(network, layout, tuning, capacity);
        (0..planner.plan.order.len()).for_each(|place| planner.place_layer(place));
        planner.link_readers();
        planner.group_forward();
        planner.group_backward();
        planner.plan
    }

    /// Elements per row of the largest arena; bounds the capacity by the size of a binding.
    pub fn elements_per_row(network: &Network, layout: &Layout, tuning: &Tuning) -> usize {
        let one = LayerPlan::new(network, layout, tuning, 1);
        one.activations.into_iter().chain(one.deltas).chain([one.logits]).max().unwrap_or(1)
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
        let product = |d: &Dense| 2 * u64::from(d.inputs) * u64::from(d.outputs);
        self.layers.iter().map(product).sum()
    }
}

impl<'a> Planner<'a> {
    fn new(
        network: &'a Network,
        layout: &'a Layout,
        tuning: &'a Tuning,
        capacity: usize,
    ) -> Planner<'a> {
        let levels = layout.graph.levels();
        let mut order: Vec<usize> = (0..layout.layers.len()).collect();
        order.sort_by_key(|&l| (group_key(&levels, &layout.layers[l]), l));
        let mut places = vec![None; levels.len()];
        for (place, &layer) in order.iter().enumerate() {
            places[layout.layers[layer].node.0] = Some(place);
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
            weight_tiles: 0,
            activations: [capacity * network.inputs, 0],
            deltas: [0, 0],
            logits: 0,
        };
        Planner { network, layout, tuning, levels, places, plan }
    }

    /// The layer at a place of the table.
    fn layer(&self, place: usize) -> &'a Layer {
        &self.layout.layers[self.plan.order[place]]
    }

    fn level(&self, place: usize) -> usize {
        self.levels[self.layer(place).node.0]
    }

    /// The place of the layer whose output a layer reads; `None` for the inputs.
    fn source(&self, layer: &Layer) -> Option<usize> {
        match layer.source {
            Source::Inputs => None,
            Source::Node(node) => self.places[node.0],
        }
    }

    /// Adds the entry of a place to the table.
    fn place_layer(&mut self, place: usize) {
        let (layer, level, layout) = (self.layer(place), self.level(place), self.layout);
        let size = self.plan.capacity * layer.outputs;
        let source = self.source(layer);
        let trained = !layout.is_frozen(layer.owner);
        let needs_delta = trained || source.is_some_and(|s| self.plan.needs_delta[s]);
        let mut dense = Dense {
            inputs: layer.inputs as u32,
            outputs: layer.outputs as u32,
            weight: layout.blocks[layer.weight].offset as u32,
            bias: layout.blocks[layer.weight + 1].offset as u32,
            x: source.map_or(0, |s| self.plan.layers[s].y),
            x_odd: ((level - 1) % 2) as u32,
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
        self.place_values(layer, level, size, &mut dense);
        // A layer that is not trained has no tiles.
        if trained {
            let tile = &self.tuning.backward_weight;
            self.plan.weight_tiles +=
                layer.outputs.div_ceil(tile.rows) * layer.inputs.div_ceil(tile.columns);
        }
        self.plan.layers.push(dense);
        self.plan.is_trained.push(trained);
        self.plan.needs_delta.push(needs_delta);
    }

    /// Gives the values of a layer, their slopes and their gradients a place.
    fn place_values(&mut self, layer: &Layer, level: usize, size: usize, dense: &mut Dense) {
        let gates = self.gates(dense.layer as usize);
        let plan = &mut self.plan;
        if layer.role == Role::Hidden {
            let parity = level % 2;
            dense.y = plan.activations[parity] as u32;
            dense.slope = (plan.activations[parity] + size) as u32;
            (dense.delta, dense.delta_arena) = (plan.deltas[parity] as u32, parity as u32);
            plan.activations[parity] += 2 * size;
            plan.deltas[parity] += size;
            return;
        }
        // Logits lie in the order of tasks, whatever the order of the table; gates lie behind them.
        let first = match (layer.role, layer.owner.task()) {
            (Role::Output, Some(task)) => plan.capacity * self.network.first_logit(task),
            _ => plan.capacity * self.network.logits() + gates,
        } as u32;
        (dense.y, dense.delta, dense.slope, dense.delta_arena) = (first, first, NONE, 2);
        plan.logits += size;
    }

    /// Number of elements of the gates before a place of the table.
    fn gates(&self, place: usize) -> usize {
        let gates = (0..place).map(|p| self.layer(p)).filter(|layer| layer.role == Role::Gate);
        gates.map(|layer| self.plan.capacity * layer.outputs).sum()
    }

    /// Links the layers that read the same values, through the table.
    fn link_readers(&mut self) {
        let mut last = vec![None; self.plan.order.len() + 1];
        for place in 0..self.plan.order.len() {
            let values = self.source(self.layer(place)).unwrap_or(self.plan.order.len());
            if let Some(before) = last[values].replace(place) {
                let before: usize = before;
                self.plan.layers[before].next_reader = place as u32;
            }
        }
    }

    /// The first entry that reads the output of an entry, or the inputs for `None`, and the number
    /// of such entries.
    fn readers(&self, place: Option<usize>) -> (u32, u32) {
        let reads = |p: &usize| self.source(self.layer(*p)) == place;
        let first = (0..self.plan.order.len()).find(reads).map_or(NONE, |p| p as u32);
        (first, (0..self.plan.order.len()).filter(reads).count() as u32)
    }

    /// Groups the layers to forward dispatches, and numbers their column tiles.
    fn group_forward(&mut self) {
        let key = |place: usize| group_key(&self.levels, self.layer(place));
        let (mut first, count) = (0, self.plan.order.len());
        let mut groups = Vec::new();
        while first < count {
            let count = (first..count).take_while(|&p| key(p) == key(first)).count();
            let (level, role, activation) = key(first);
            let writes = match role {
                Role::Hidden => [Arena::Even, Arena::Odd][level % 2],
                Role::Gate | Role::Output => Arena::Logits,
            };
            let (label, reads_odd) = (self.label(first, count), level % 2 == 0);
            groups.push(ForwardGroup {
                label,
                first,
                count,
                tiles: 0,
                reads_odd,
                writes,
                activation,
            });
            first += count;
        }
        for group in &mut groups {
            for dense in &mut self.plan.layers[group.first..group.first + group.count] {
                dense.forward_tile = group.tiles as u32;
                group.tiles += (dense.outputs as usize).div_ceil(self.tuning.forward.columns);
            }
        }
        self.plan.forward = groups;
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
    fn group_backward(&mut self) {
        let hidden: Vec<ForwardGroup> =
            self.plan.forward.iter().filter(|g| g.writes != Arena::Logits).cloned().collect();
        for group in hidden.iter().rev() {
            let (first, mut tiles) = (self.plan.destinations.len(), 0);
            for place in group.first..group.first + group.count {
                if self.plan.needs_delta[place] {
                    let destination = self.destination(place, tiles);
                    tiles +=
                        (destination.width as usize).div_ceil(self.tuning.backward_input.columns);
                    self.plan.destinations.push(destination);
                }
            }
            let count = self.plan.destinations.len() - first;
            if count > 0 {
                let (label, odd) = (group.label.clone(), self.level(group.first) % 2 == 1);
                let group = BackwardGroup { label, first, count, tiles, odd, inputs: false };
                self.plan.backward.push(group);
            }
        }
        let learned = self.network.learned_inputs();
        if learned > 0 && !self.layout.is_frozen(Owner::Shared) {
            self.plan_learned_inputs(learned);
        }
    }

    /// The entry of the table of destinations for an entry of the table of layers.
    fn destination(&self, place: usize, tiles: usize) -> Destination {
        let (first_source, sources) = self.readers(Some(place));
        let Dense { outputs: width, slope, delta, .. } = self.plan.layers[place];
        let tile = tiles as u32;
        Destination { width, slope, delta, first_source, sources, tile, ..Destination::default() }
    }

    /// Adds the destination of the learned inputs. They are the first inputs of a row; the layers
    /// that read them read further inputs, too.
    fn plan_learned_inputs(&mut self, width: usize) {
        let (first_source, sources) = self.readers(None);
        let (first, plan) = (self.plan.destinations.len(), &mut self.plan);
        let tiles = width.div_ceil(self.tuning.backward_input.columns);
        let (delta, width_u32) = (plan.deltas[0] as u32, width as u32);
        plan.destinations.push(Destination {
            width: width_u32,
            delta,
            first_source,
            sources,
            ..Destination::default()
        });
        plan.deltas[0] += plan.capacity * width;
        plan.learned_inputs = Some(first);
        let label = "embeddings".into();
        plan.backward.push(BackwardGroup {
            label,
            first,
            count: 1,
            tiles,
            odd: false,
            inputs: true,
        });
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
