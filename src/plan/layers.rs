//! Where everything of a step lies and which layers run together: the tables that grouped kernels
//! read.
//!
//! Layers stand in the order of their level: the trunk, then the first layers of all heads, then
//! their second layers, …; within a level hidden layers before output layers, layers of one
//! activation together. So each forward dispatch is a run of the table, and so are the layers that
//! read one activation. Activations lie in two arenas by the parity of their level: a kernel reads
//! one and writes the other.

use crate::config::Activation;
use crate::kernels::params::{Dense, Destination, NONE};
use crate::kernels::tuning::Tuning;
use crate::model::layout::{Layer, Layout};
use crate::model::network::Network;

/// Where a group of layers writes.
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
pub struct Group {
    /// What it is called.
    pub label: String,
    /// First layer in the table.
    pub first: usize,
    /// Number of layers.
    pub count: usize,
    /// Column tiles of all of them.
    pub tiles: usize,
    /// Parity of the level that it reads.
    pub reads_odd: bool,
    /// Where it writes.
    pub writes: Arena,
    /// Code of the activation that its layers share.
    pub activation: u32,
}

/// Activations whose gradients come from one dispatch.
#[derive(Clone, Debug)]
pub struct BackwardGroup {
    /// What it is called.
    pub label: String,
    /// First destination in the table.
    pub first: usize,
    /// Number of destinations.
    pub count: usize,
    /// Column tiles of all of them.
    pub tiles: usize,
    /// Parity of the level of the destinations.
    pub odd: bool,
    /// Whether they are the learned inputs, which have no slopes.
    pub inputs: bool,
}

/// The plan of a network for a capacity of rows.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Rows that the arenas hold.
    pub capacity: usize,
    /// The table of layers.
    pub layers: Vec<Dense>,
    /// First entry of the table that is trained.
    pub trained_from: usize,
    /// For each entry of the table its layer in the layout.
    pub order: Vec<usize>,
    /// The table of destinations.
    pub destinations: Vec<Destination>,
    /// Forward dispatches in order.
    pub forward: Vec<Group>,
    /// Backward dispatches in order.
    pub backward: Vec<BackwardGroup>,
    /// Tiles of the weight gradient's dispatch.
    pub weight_tiles: usize,
    /// Elements of the activation arenas.
    pub activations: [usize; 2],
    /// Elements of the delta arenas.
    pub deltas: [usize; 2],
    /// Elements of the logits.
    pub logits: usize,
}

/// Level of a layer's output: the inputs are 0.
fn level(network: &Network, layer: &Layer) -> usize {
    1 + layer.depth + if layer.task.is_some() { network.trunk.layers.len() } else { 0 }
}

/// Layers of one key run in one forward dispatch.
fn group_key(network: &Network, layer: &Layer) -> (usize, bool, u32) {
    (level(network, layer), layer.is_output, activation_code(layer.activation))
}

/// Dropout rate as a threshold on 32-bit hashes.
pub fn dropout_threshold(rate: f64) -> u32 {
    (rate * 4_294_967_296.0).round().min(f64::from(u32::MAX)) as u32
}

impl Plan {
    /// Plans a network; `flags` are the numbers of the first pre-activation flag and of the first
    /// gradient flag, in table order.
    pub fn new(network: &Network, layout: &Layout, tuning: &Tuning, capacity: usize) -> Plan {
        let mut order: Vec<usize> = (0..layout.layers.len()).collect();
        order.sort_by_key(|&l| (group_key(network, &layout.layers[l]), l));
        let mut plan = Plan {
            capacity,
            layers: Vec::new(),
            trained_from: 0,
            order,
            destinations: Vec::new(),
            forward: Vec::new(),
            backward: Vec::new(),
            weight_tiles: 0,
            activations: [capacity * network.inputs, 0],
            deltas: [0, 0],
            logits: 0,
        };
        for place in 0..plan.order.len() {
            plan.place_layer(network, layout, tuning, place);
        }
        plan.group_forward(network, layout);
        plan.plan_backward(network, layout, tuning);
        plan
    }

    /// Elements per row of the largest arena; bounds the capacity by the size of a binding.
    pub fn elements_per_row(network: &Network, layout: &Layout, tuning: &Tuning) -> usize {
        let one = Plan::new(network, layout, tuning, 1);
        one.activations.into_iter().chain(one.deltas).chain([one.logits]).max().unwrap_or(1)
    }

    fn place_layer(&mut self, network: &Network, layout: &Layout, tuning: &Tuning, place: usize) {
        let layer = &layout.layers[self.order[place]];
        let level = level(network, layer);
        let size = self.capacity * layer.outputs;
        let source = self.source_of(layout, layer);
        let mut dense = Dense {
            inputs: layer.inputs as u32,
            outputs: layer.outputs as u32,
            weight: layout.blocks[layer.weight].offset as u32,
            bias: layout.blocks[layer.weight + 1].offset as u32,
            x: source.map_or(0, |s| self.layers[s].y),
            x_odd: ((level - 1) % 2) as u32,
            dropout_threshold: dropout_threshold(layer.dropout),
            dropout_scale: (1.0 / (1.0 - layer.dropout)) as f32,
            layer: place as u32,
            weight_tile: self.weight_tiles as u32,
            z_flag: 1 + 2 * place as u32,
            gradient_flag: 2 + 2 * place as u32,
            task: layer.task.unwrap_or(0) as u32,
            ..Dense::default()
        };
        if layer.is_output {
            // Logits lie in task order, whatever the order of the table.
            let first =
                (self.capacity * layer.task.map_or(0, |task| network.first_logit(task))) as u32;
            (dense.y, dense.delta, dense.slope, dense.delta_arena) = (first, first, NONE, 2);
            self.logits += size;
        } else {
            let parity = level % 2;
            (dense.y, dense.slope) =
                (self.activations[parity] as u32, (self.activations[parity] + size) as u32);
            (dense.delta, dense.delta_arena) = (self.deltas[parity] as u32, parity as u32);
            self.activations[parity] += 2 * size;
            self.deltas[parity] += size;
        }
        if layout.is_frozen(layer.task) {
            // It stands before all others in the table, and has no tiles.
            self.trained_from = place + 1;
            self.layers.push(dense);
            return;
        }
        self.weight_tiles += layer.outputs.div_ceil(tuning.backward_weight.rows)
            * layer.inputs.div_ceil(tuning.backward_weight.columns);
        self.layers.push(dense);
    }

    /// The entry whose output a layer reads; `None` = the inputs.
    fn source_of(&self, layout: &Layout, layer: &Layer) -> Option<usize> {
        let reads = |l: &Layer| match (layer.depth, layer.task) {
            (0, None) => false,
            (0, Some(_)) => {
                l.task.is_none()
                    && !layout.layers.iter().any(|m| m.task.is_none() && m.depth > l.depth)
            }
            (depth, task) => l.task == task && l.depth + 1 == depth,
        };
        self.order[..self.layers.len()].iter().position(|&l| reads(&layout.layers[l]))
    }

    fn group_forward(&mut self, network: &Network, layout: &Layout) {
        let key = |place: usize| group_key(network, &layout.layers[self.order[place]]);
        let mut first = 0;
        while first < self.order.len() {
            let count = (first..self.order.len()).take_while(|&p| key(p) == key(first)).count();
            let (level, is_output, activation) = key(first);
            let layer = &layout.layers[self.order[first]];
            let label = match (layer.task, is_output) {
                (None, _) => layer.name.clone(),
                (_, true) => format!("output layers ({count})"),
                (_, false) => format!("towers, layer {} ({count})", layer.depth),
            };
            let writes =
                if is_output { Arena::Logits } else { [Arena::Even, Arena::Odd][level % 2] };
            self.forward.push(Group {
                label,
                first,
                count,
                tiles: 0,
                reads_odd: level % 2 == 0,
                writes,
                activation,
            });
            first += count;
        }
    }

    /// Fills in the column tiles of the forward dispatches.
    fn tile_forward(&mut self, tuning: &Tuning) {
        for group in &mut self.forward {
            for dense in &mut self.layers[group.first..group.first + group.count] {
                dense.forward_tile = group.tiles as u32;
                group.tiles += (dense.outputs as usize).div_ceil(tuning.forward.columns);
            }
        }
    }

    fn plan_backward(&mut self, network: &Network, layout: &Layout, tuning: &Tuning) {
        self.tile_forward(tuning);
        let hidden: Vec<Group> =
            self.forward.iter().filter(|g| g.writes != Arena::Logits).cloned().collect();
        let trained =
            |group: &&Group| !layout.is_frozen(layout.layers[self.order[group.first]].task);
        let hidden: Vec<&Group> = hidden.iter().rev().filter(trained).collect();
        for group in hidden {
            let first = self.destinations.len();
            let mut tiles = 0;
            for place in group.first..group.first + group.count {
                let (first_source, sources) = self.readers_of(layout, Some(place));
                let dense = self.layers[place];
                let tile = tiles as u32;
                let (first_source, sources) = (first_source as u32, sources as u32);
                let (width, slope, delta) = (dense.outputs, dense.slope, dense.delta);
                self.destinations.push(Destination {
                    width,
                    slope,
                    delta,
                    first_source,
                    sources,
                    tile,
                    ..Destination::default()
                });
                tiles += (dense.outputs as usize).div_ceil(tuning.backward_input.columns);
            }
            let odd = level(network, &layout.layers[self.order[group.first]]) % 2 == 1;
            self.backward.push(BackwardGroup {
                label: group.label.clone(),
                first,
                count: group.count,
                tiles,
                odd,
                inputs: false,
            });
        }
        if network.learned_inputs() > 0 && !layout.is_frozen(None) {
            self.plan_learned_inputs(network.learned_inputs(), layout, tuning);
        }
    }

    /// The last destination: the first so many inputs of a row, whatever else the layers read
    /// beside them.
    fn plan_learned_inputs(&mut self, width: usize, layout: &Layout, tuning: &Tuning) {
        let (first_source, sources) = self.readers_of(layout, None);
        let (first_source, sources, delta) =
            (first_source as u32, sources as u32, self.deltas[0] as u32);
        let (first, tiles) =
            (self.destinations.len(), width.div_ceil(tuning.backward_input.columns));
        self.destinations.push(Destination {
            width: width as u32,
            delta,
            first_source,
            sources,
            ..Destination::default()
        });
        self.deltas[0] += self.capacity * width;
        self.backward.push(BackwardGroup {
            label: "embeddings".into(),
            first,
            count: 1,
            tiles,
            odd: false,
            inputs: true,
        });
    }

    /// The layers that read a destination.
    pub fn sources(&self, destination: &Destination) -> &[Dense] {
        &self.layers[destination.first_source as usize..][..destination.sources as usize]
    }

    /// The run of entries that read the output of an entry, or the inputs.
    fn readers_of(&self, layout: &Layout, place: Option<usize>) -> (usize, usize) {
        let reads = |p: usize| self.source_of(layout, &layout.layers[self.order[p]]) == place;
        let first = (0..self.order.len()).find(|&p| reads(p)).unwrap_or(0);
        let count = (first..self.order.len()).take_while(|&p| reads(p)).count();
        (first, count)
    }

    /// Slopes that nobody reads, since what would read them is not trained: (parity of their level,
    /// first element, length).
    pub fn spare(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let slope = |d: &Dense| {
            (usize::from(d.x_odd == 0), d.slope as usize, self.capacity * d.outputs as usize)
        };
        self.layers[..self.trained_from].iter().map(slope)
    }

    /// Most floating-point operations per row in one dispatch.
    pub fn flop_per_row(&self) -> u64 {
        let product = |d: &Dense| 2 * u64::from(d.inputs) * u64::from(d.outputs);
        self.layers.iter().map(product).sum()
    }
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
