//! The tables of mixes and of their gates, which the kernels of mixes read, and which of them run
//! together: all mixes of a level.

use crate::kernels::params::{self, Gate, Mix, Receiver, Share, Term, rule};
use crate::model::graph::{GateNames, NodeId};

/// The mixes of a level, with their gates.
#[derive(Clone, Debug)]
pub struct MixGroup {
    /// Its name in tables.
    pub label: String,
    /// The level.
    pub level: usize,
    /// Place of its first mix in the table.
    pub first: usize,
    /// Number of its mixes.
    pub count: usize,
    /// Place of its first gate in the table.
    pub first_gate: usize,
    /// Number of its gates.
    pub gates: usize,
    /// Whether the gradients of some gates are needed.
    pub weighs: bool,
}

impl MixGroup {
    /// Whether its level is odd.
    pub fn odd(&self) -> bool {
        self.level % 2 == 1
    }
}

/// Terms of mixes whose deltas come from one dispatch.
#[derive(Clone, Debug)]
pub struct TermGroup {
    /// Its name in tables.
    pub label: String,
    /// Place of its first receiver in the table.
    pub first: usize,
    /// Number of its receivers.
    pub count: usize,
    /// Whether its level is odd.
    pub odd: bool,
}

/// The tables of mixes and gates.
#[derive(Clone, Debug, Default)]
pub struct Mixing {
    /// The gates, in the order of their mixes.
    pub gates: Vec<Gate>,
    /// For each gate its names; those of a mask have no terms.
    pub names: Vec<GateNames>,
    /// The mixes, by level.
    pub mixes: Vec<Mix>,
    /// The terms of all mixes.
    pub terms: Vec<Term>,
    /// The nodes whose deltas come from mixes.
    pub receivers: Vec<Receiver>,
    /// The mixes of all receivers.
    pub shares: Vec<Share>,
    /// The constants in the order of the layout; those that are not trained are not among them.
    pub constants: Vec<params::Constant>,
    /// The node of each mix.
    pub(super) nodes: Vec<NodeId>,
    pub(super) groups: Vec<MixGroup>,
    /// Number of gates that are not copies.
    pub(super) own_gates: usize,
    /// Number of constants that are not copies.
    pub own_constants: usize,
}

impl Mixing {
    /// The mixes of a level.
    pub(super) fn of_level(&self, level: usize) -> Option<MixGroup> {
        self.groups.iter().find(|group| group.level == level).cloned()
    }

    /// The gate of a mix that has one.
    pub(super) fn gate_of(&self, mix: usize) -> usize {
        let weights = self.mixes[mix].weights;
        self.gates.iter().position(|gate| gate.weights == weights).unwrap_or(0)
    }

    /// The nodes of a group of mixes.
    pub(super) fn nodes(&self, group: &MixGroup) -> Vec<NodeId> {
        self.nodes[group.first..group.first + group.count].to_vec()
    }

    /// The terms of a mix.
    pub fn terms(&self, mix: &Mix) -> &[Term] {
        &self.terms[mix.first_term as usize..][..mix.terms as usize]
    }

    /// The shares of a receiver.
    pub fn shares(&self, receiver: &Receiver) -> &[Share] {
        &self.shares[receiver.first_share as usize..][..receiver.shares as usize]
    }

    /// Gives the partial sums of all gates places from `first` on, and returns the end of them: an
    /// entropy per row where a gate has one, then the weights, `[terms, rows]`.
    pub fn place_partials(&mut self, first: usize, capacity: usize) -> usize {
        let mut end = first;
        for gate in self.gates.iter_mut().take(self.own_gates) {
            if gate.rule == rule::SELECT && gate.entropy > 0.0 {
                gate.entropies = end as u32;
                end += capacity;
            }
            if gate.rule != rule::MASK {
                gate.means = end as u32;
                end += gate.terms as usize * capacity;
            }
        }
        end
    }

    /// Partial sums of all gates per row.
    pub fn partials_per_row(&self) -> usize {
        self.clone().place_partials(0, 1)
    }
}
