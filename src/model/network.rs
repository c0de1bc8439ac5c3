//! The shape of a network: a trunk that all tasks share (hard parameter sharing), and one head a task.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::config::{Activation, Config, Init, Task, TaskKind};
use crate::data::Schema;
use crate::fault::Fault;

/// A shared trunk with several heads; `config.json` of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Features of a row.
    pub inputs: usize,
    /// Shared layers.
    pub trunk: Trunk,
    /// One per task, in task order.
    pub tasks: Vec<Head>,
}

/// The layers that all tasks share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trunk {
    /// Widths; empty = none.
    pub layers: Vec<usize>,
    /// Activation of every layer.
    pub activation: Activation,
    /// Dropout rate after every layer.
    pub dropout: f64,
}

/// A task's own layers: a tower, then the output layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Task name.
    pub name: String,
    /// Task type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Class names in the order of the logits.
    pub classes: Vec<String>,
    /// Widths of the tower; empty = none.
    pub layers: Vec<usize>,
    /// Activation of the tower.
    pub activation: Activation,
    /// Dropout rate in the tower.
    pub dropout: f64,
}

/// What a head's outputs mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Logits of one class out of several.
    Multiclass,
}

impl Head {
    /// Widths of its dense layers, the output layer last.
    pub fn widths(&self) -> impl Iterator<Item = usize> + '_ {
        self.layers.iter().copied().chain([self.classes.len()])
    }
}

impl Network {
    /// The network of a configuration for data of a schema.
    pub fn new(config: &Config, schema: &Schema) -> Result<Network> {
        let same = config.tasks.len() == schema.targets.len() && config.tasks.iter().zip(&schema.targets).all(|(t, s)| t.name == s.task);
        if !same {
            let names: Vec<&str> = schema.targets.iter().map(|t| t.task.as_str()).collect();
            let message = format!("the configuration's tasks are not those of the data: {}", names.join(", "));
            return Err(Fault::config("task", message).hint("name the same tasks in the same order").into());
        }
        let trunk = Trunk { layers: config.trunk.layers.clone(), activation: config.trunk.activation, dropout: config.trunk.dropout };
        let tasks = config.tasks.iter().zip(&schema.targets).map(|(task, target)| head(task, &target.classes)).collect();
        Ok(Network { inputs: schema.input.width(), trunk, tasks })
    }

    /// Width of what the heads read.
    pub fn trunk_width(&self) -> usize {
        self.trunk.layers.last().copied().unwrap_or(self.inputs)
    }

    /// Σ of the classes of all tasks.
    pub fn logits(&self) -> usize {
        self.tasks.iter().map(|t| t.classes.len()).sum()
    }

    /// First column of a task among the logits of all.
    pub fn first_logit(&self, task: usize) -> usize {
        self.tasks[..task].iter().map(|t| t.classes.len()).sum()
    }

    /// Widest activation of the network, inputs and logits included.
    pub fn widest(&self) -> usize {
        let hidden = self.trunk.layers.iter().chain(self.tasks.iter().flat_map(|t| &t.layers));
        hidden.copied().chain([self.inputs, self.logits()]).max().unwrap_or(1)
    }
}

fn head(task: &Task, classes: &[String]) -> Head {
    let kind = match task.kind {
        TaskKind::Multiclass => Kind::Multiclass,
    };
    Head {
        name: task.name.clone(),
        kind,
        classes: classes.to_vec(),
        layers: task.layers.clone(),
        activation: task.activation,
        dropout: task.dropout,
    }
}

/// Gain² of the initial weights of a layer: variance = gain² / fan.
pub fn initial_variance(init: Init, activation: Activation, inputs: usize, outputs: usize) -> f64 {
    let he = match init {
        Init::He => true,
        Init::Xavier => false,
        Init::Auto => matches!(activation, Activation::Relu | Activation::Gelu | Activation::Silu),
    };
    if he { 2.0 / inputs as f64 } else { 2.0 / (inputs + outputs) as f64 }
}
