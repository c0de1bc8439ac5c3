//! Fills the tables of mixes and gates, and puts their parts of the backward pass in order.

use super::groups::Backward;
use super::layers::{Planner, Values};
use super::mixing::{MixGroup, TermGroup};
use crate::config::Pool;
use crate::kernels::params::{self, Gate, Mix, NONE, Receiver, Share, Term, pool, rule};
use crate::model::graph::{By, NodeId, Op, Role, Rule, code_bits};

impl Planner<'_> {
    /// Fills the tables of mixes, gates and constants; the values of layers have their places.
    pub(super) fn place_mixes(&mut self) {
        let graph = &self.layout.graph;
        let mixes = graph.mixes();
        for &id in &mixes {
            self.values[id.0] = self.place_hidden(id, self.layout.graph[id].width, false);
        }
        self.plan.mixing.names = graph.gate_names();
        self.place_constants();
        for id in mixes {
            self.place_mix(id);
        }
        self.plan.mixing.own_gates = self.plan.mixing.gates.len();
        self.plan.mixing.own_constants = self.plan.mixing.constants.len();
    }

    /// Gives the gradients of constants their places.
    fn place_constants(&mut self) {
        let first_flag = 1 + 2 * self.plan.order.len() + self.layout.embeddings;
        for (number, constant) in self.layout.constants.iter().enumerate() {
            let block = &self.layout.blocks[constant.block];
            let Values { delta, .. } = self.place_beside_logits(None, block.len);
            self.values[constant.node.0] = Values { y: block.offset, slope: None, delta, arena: 2 };
            if !self.layout.is_frozen(block.owner) {
                self.plan.mixing.constants.push(params::Constant {
                    values: block.len as u32,
                    delta: delta as u32,
                    gradient: block.offset as u32,
                    flag: (first_flag + number) as u32,
                });
            }
        }
    }

    /// Adds a mix, its terms and its gate to the tables.
    fn place_mix(&mut self, id: NodeId) {
        let node = &self.layout.graph[id];
        let Op::Mix { terms, by } = &node.op else { return };
        let (values, level) = (self.values[id.0], self.levels[id.0]);
        let first_term = self.plan.mixing.terms.len() as u32;
        let x = |term: &NodeId| Term { x: self.values[term.0].y as u32 };
        let placed: Vec<Term> = terms.iter().map(x).collect();
        self.plan.mixing.terms.extend(placed);
        let number = self.plan.mixing.mixes.len() as u32;
        for (place, term) in terms.iter().enumerate() {
            self.shares[term.0].push(Share { mix: number, term: place as u32 });
        }
        let gate = self.place_gate(by, terms, node.width);
        let mix = Mix {
            width: node.width as u32,
            terms: terms.len() as u32,
            first_term,
            y: values.y as u32,
            delta: values.delta as u32,
            weights: gate.map_or(NONE, |gate| gate.weights),
            is_mask: u32::from(matches!(by, By::Mask(_))),
            weighs: u32::from(gate.is_some_and(|g| g.delta != NONE || g.second_delta != NONE)),
            pool: match by {
                By::Pool(Pool::Mean) => pool::MEAN,
                By::Pool(Pool::Max) => pool::MAX,
                _ => pool::NO,
            },
            x: self.values[terms[0].0].y as u32,
        };
        let mixing = &mut self.plan.mixing;
        if mixing.groups.last().is_none_or(|group| group.level != level) {
            let (first, first_gate) =
                (mixing.mixes.len(), mixing.gates.len() - usize::from(gate.is_some()));
            mixing.groups.push(MixGroup {
                label: node.name.clone(),
                level,
                first,
                count: 0,
                first_gate,
                gates: 0,
                weighs: false,
            });
        }
        mixing.mixes.push(mix);
        mixing.nodes.push(id);
        if let Some(group) = mixing.groups.last_mut() {
            group.count += 1;
            group.gates += usize::from(gate.is_some());
            group.weighs |= mix.weighs == 1;
            if group.count > 1 {
                group.label = format!("mixes ({})", group.count);
            }
        }
    }

    /// Adds the gate of a mix, if it has one.
    fn place_gate(&mut self, by: &By, terms: &[NodeId], width: usize) -> Option<Gate> {
        let graph = &self.layout.graph;
        let (read, weights, rule) = match by {
            By::Sum | By::Pool(_) => return None,
            By::Gate { gate, rule } => (vec![*gate], terms.len(), Some(*rule)),
            By::Mask(gates) => (gates.clone(), width, None),
        };
        let delta = |gate: NodeId| match self.needs_delta[gate.0] {
            true => self.values[gate.0].delta as u32,
            false => NONE,
        };
        let (first, second) = (read[0], read.get(1).copied());
        let mut gate = Gate {
            values: graph[first].width as u32,
            terms: weights as u32,
            first: self.values[first.0].y as u32,
            second: second.map_or(NONE, |gate| self.values[gate.0].y as u32),
            constant: u32::from(graph[first].op == Op::Constant),
            delta: delta(first),
            second_delta: second.map_or(NONE, delta),
            number: self.plan.mixing.gates.len() as u32,
            means: NONE,
            entropies: NONE,
            ..Gate::default()
        };
        set_rule(&mut gate, rule, terms.len());
        gate.weights = self.place_beside_logits(None, weights).y as u32;
        self.plan.mixing.gates.push(gate);
        Some(gate)
    }

    /// Adds the nodes of a level that are terms of mixes to the backward pass.
    pub(super) fn group_terms(&mut self, level: usize) {
        let graph = &self.layout.graph;
        let first = self.plan.mixing.receivers.len();
        for (id, node) in graph.nodes() {
            let is_here = self.levels[id.0] == level && node.role == Role::Hidden;
            if !is_here || !self.needs_delta[id.0] {
                continue;
            }
            let mixing = &mut self.plan.mixing;
            let (first_share, shares) = (mixing.shares.len(), self.shares[id.0].len());
            mixing.shares.extend(&self.shares[id.0]);
            if shares > 0 {
                let values = self.values[id.0];
                let accumulate = u32::from(self.is_read_by_layers(id));
                self.plan.mixing.receivers.push(Receiver {
                    width: node.width as u32,
                    slope: values.slope.map_or(NONE, |slope| slope as u32),
                    delta: values.delta as u32,
                    first_share: first_share as u32,
                    shares: shares as u32,
                    accumulate,
                });
            }
        }
        let count = self.plan.mixing.receivers.len() - first;
        if count > 0 {
            let (label, odd) = (format!("terms of mixes ({count})"), level % 2 == 1);
            self.plan.backward.push(Backward::Terms(TermGroup { label, first, count, odd }));
        }
    }
}

/// Sets what a rule says in the entry of a gate; no rule is that of masks.
fn set_rule(gate: &mut Gate, rule: Option<Rule>, terms: usize) {
    gate.rule = match rule {
        None => rule::MASK,
        Some(Rule::Linear) => rule::LINEAR,
        Some(Rule::Softmax) => rule::SOFTMAX,
        Some(Rule::Select { select, smooth, entropy }) => {
            (gate.select, gate.bits) = (select as u32, code_bits(terms) as u32);
            (gate.gamma, gate.entropy) = (smooth as f32, entropy as f32);
            rule::SELECT
        }
        Some(Rule::Gumbel { from, to }) => {
            (gate.inverse_from, gate.fall) = ((1.0 / from) as f32, (from / to).ln() as f32);
            rule::GUMBEL
        }
    };
}
