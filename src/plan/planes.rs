//! Adds the planes of boundary nodes to a plan, and the backward passes of private and of shared
//! nodes apart.

use std::collections::BTreeMap;

use super::groups::{Backward, BackwardGroup};
use super::layers::Planner;
use super::mixing::{MixGroup, TermGroup};
use super::views::{
    CombineGroup, ConstantRun, Planes, SharedBackward, Sharing, Views, Wanted, WeightRun,
};
use crate::kernels::params::{
    Combination, Dense, Destination, Gate, Mix, NONE, PlaneTerm, Receiver, Region, Share,
};
use crate::model::graph::{NodeId, Owner, Role};

/// What a pass needs to know of the readers of a shared node.
#[derive(Default)]
pub(super) struct Readers {
    pub(super) layers: Vec<usize>,
    pub(super) shares: Vec<Share>,
}

impl Readers {
    fn is_empty(&self) -> bool {
        self.layers.is_empty() && self.shares.is_empty()
    }
}

/// Deltas that one dispatch can make, under construction: those of one level.
pub(super) struct Level<'l> {
    pub(super) level: usize,
    pub(super) label: &'l str,
    pub(super) slopes: bool,
}

impl Planner<'_> {
    /// Adds the views that are wanted.
    pub(super) fn place_views(&mut self, wanted: Wanted) {
        if !wanted.any() {
            return;
        }
        let tasks = self.network.tasks.len();
        let sharing = Sharing::of(self.layout, tasks);
        let objectives = tasks + usize::from(wanted.couplings);
        self.plan.views = Some(Views { objectives, ..Views::default() });
        let private = |node: usize| !sharing.is_shared(node);
        self.views().private = self.usual_pass(&private);
        let places = 0..self.plan.order.len();
        let (of_shared, of_tasks): (Vec<usize>, Vec<usize>) =
            places.partition(|place| sharing.is_shared(self.layer(*place).node.0));
        self.views().private_weights = self.weight_run(&of_tasks);
        self.views().private_constants = self.constant_run(&sharing, false);
        if wanted.couplings {
            self.views().shared_weights = self.weight_run(&of_shared);
            self.views().shared_constants = self.constant_run(&sharing, true);
        }
        if wanted.planes {
            self.place_planes(&sharing, wanted.couplings);
        }
        if let Some(depth) = wanted.deep {
            self.place_deep(&sharing, depth, wanted.rows);
        }
    }

    pub(super) fn views(&mut self) -> &mut Views {
        self.plan.views.get_or_insert_default()
    }

    /// The pseudo node of the learned inputs.
    pub(super) fn inputs(&self) -> usize {
        self.layout.graph.len()
    }

    pub(super) fn width(&self, node: usize) -> usize {
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
    pub(super) fn readers_of(&self, node: usize, include: &dyn Fn(usize) -> bool) -> Readers {
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
    pub(super) fn members_label(&self, nodes: impl Iterator<Item = usize>) -> String {
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
    pub(super) fn add_level(
        &mut self,
        at: &Level,
        members: Vec<(usize, usize, Readers)>,
    ) -> Vec<Backward> {
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
    pub(super) fn copy_layer(&mut self, place: usize, change: impl FnOnce(&mut Dense)) -> usize {
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
    pub(super) fn copy_mixes(
        &mut self,
        places: &[(usize, usize)],
        level: usize,
        mix: impl Fn(usize, &mut Mix),
        gate: impl Fn(usize, &mut Gate),
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

    pub(super) fn weight_tiles(&self, place: usize) -> usize {
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
    pub(super) fn place_delta(&mut self, node: usize) -> usize {
        let (parity, size) = (self.level_of(node) % 2, self.size(self.width(node)));
        let place = self.plan.deltas[parity].next_multiple_of(4);
        self.plan.deltas[parity] = place + size;
        place
    }

    /// Adds the planes of boundary nodes and the shared backward pass from them on.
    fn place_planes(&mut self, sharing: &Sharing, couplings: bool) {
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
        if couplings {
            for level in (0..=highest).rev() {
                planes.couplings.extend(self.coupling_planes(level, sharing, &mut boundary));
            }
        }
        for (node, of_tasks) in &boundary {
            let mut places = vec![NONE; self.views().objectives];
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

    /// Adds the planes that couplings have at a level, each from all private nodes that read.
    fn coupling_planes(
        &mut self,
        level: usize,
        sharing: &Sharing,
        boundary: &mut BTreeMap<usize, Vec<(usize, usize)>>,
    ) -> Vec<Backward> {
        let couplings = self.network.tasks.len();
        let mut members = Vec::new();
        for (&node, of_objectives) in boundary.iter_mut() {
            if self.level_of(node) == level {
                let readers = self.readers_of(node, &|n| !sharing.is_shared(n));
                let layers = readers.layers.iter().map(|p| self.copy_layer(*p, |_| {})).collect();
                let delta = self.place_delta(node);
                of_objectives.push((couplings, delta));
                members.push((node, delta, Readers { layers, ..readers }));
            }
        }
        let label = format!("couplings at {}", self.members_label(nodes_of(&members)));
        self.add_level(&Level { level, label: &label, slopes: false }, members)
    }

    /// The shared nodes of a level whose deltas are needed.
    pub(super) fn shared_at(&self, level: usize, sharing: &Sharing) -> Vec<usize> {
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
pub(super) fn nodes_of(members: &[(usize, usize, Readers)]) -> impl Iterator<Item = usize> + use<> {
    let mut nodes: Vec<usize> = members.iter().map(|(node, ..)| *node).collect();
    nodes.dedup();
    nodes.into_iter()
}
