//! The shape of a network: a trunk that all tasks share (hard parameter sharing), and one head a
//! task.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::loss::{Loss, weight_of};
use crate::config::{self, Activation, Architecture, ClassWeights, Config, Init, Task, TaskKind};
use crate::data::alike::Lookup;
use crate::data::{Input, Schema, Target};
use crate::fault::{Fault, quoted};

/// A network as its description; `config.json` of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Inputs of a row; those of the embeddings come first, in their order.
    pub inputs: usize,
    /// Columns whose values have learned vectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub embeddings: Vec<Embedding>,
    /// How the layers are shared between the tasks.
    #[serde(default, skip_serializing_if = "Architecture::is_shared")]
    pub architecture: Architecture,
    /// Layers of the trunk: one that all tasks share, or one per task.
    pub trunk: Trunk,
    /// One per task, in task order.
    pub tasks: Vec<Head>,
}

/// The learned vectors of a column: the sum of those that a row names is the column's inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Embedding {
    /// Column name.
    pub column: String,
    /// Vectors.
    pub values: usize,
    /// Numbers of a vector.
    pub width: usize,
}

impl Embedding {
    /// Those of the columns of an input.
    pub fn of(input: &Input) -> Vec<Embedding> {
        let Input::Columns { columns } = input else { return Vec::new() };
        let learned = columns.iter().filter(|column| column.vectors() > 0);
        learned
            .map(|c| Embedding { column: c.name.clone(), values: c.vectors(), width: c.width() })
            .collect()
    }
}

/// The layers of `[trunk]`.
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
    pub kind: TaskKind,
    /// Class names: those of the logits in order (multiclass), or negative and positive (binary);
    /// else empty.
    pub classes: Vec<String>,
    /// Label columns, where each has an output of its own (multilabel, regression); else empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Widths of the tower; empty = none.
    pub layers: Vec<usize>,
    /// Activation of the tower.
    pub activation: Activation,
    /// Dropout rate in the tower.
    pub dropout: f64,
    /// L_i.
    pub loss: Loss,
    /// Probability above which a row is called positive (binary), chosen on validation data; `None`
    /// = one half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// k of the metric `top_k` (multiclass).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
}

impl Head {
    /// A head of several classes without a tower.
    pub fn multiclass(name: &str, classes: Vec<String>) -> Head {
        Head {
            name: name.into(),
            kind: TaskKind::Multiclass,
            classes,
            columns: Vec::new(),
            layers: Vec::new(),
            activation: Activation::Identity,
            dropout: 0.0,
            loss: Loss::cross_entropy(),
            threshold: None,
            top_k: None,
        }
    }

    /// Probability above which a row is called positive.
    pub fn threshold(&self) -> f64 {
        self.threshold.unwrap_or(0.5)
    }

    /// Width of its output layer.
    pub fn outputs(&self) -> usize {
        match self.kind {
            TaskKind::Multiclass => self.classes.len(),
            TaskKind::Binary | TaskKind::Count => 1,
            TaskKind::Multilabel | TaskKind::Regression => self.columns.len(),
        }
    }

    /// Label words of a row.
    pub fn cells(&self) -> usize {
        if self.kind == TaskKind::Multiclass { 1 } else { self.outputs() }
    }

    /// Widths of its dense layers, the output layer last.
    pub fn widths(&self) -> impl Iterator<Item = usize> + '_ {
        self.layers.iter().copied().chain([self.outputs()])
    }
}

impl Network {
    /// The network of a configuration for data of a schema.
    pub fn new(config: &Config, schema: &Schema) -> Result<Network> {
        let same = config.tasks.len() == schema.targets.len()
            && config.tasks.iter().zip(&schema.targets).all(|(t, s)| t.name == s.task);
        if !same {
            let names: Vec<&str> = schema.targets.iter().map(|t| t.task.as_str()).collect();
            let message = format!(
                "the configuration's tasks are not those of the data: {}",
                names.join(", ")
            );
            return Err(Fault::config("task", message)
                .hint("name the same tasks in the same order")
                .into());
        }
        config
            .tasks
            .iter()
            .zip(&schema.targets)
            .try_for_each(|(task, target)| check_classes(task, target))?;
        let trunk = Trunk {
            layers: config.trunk.layers.clone(),
            activation: config.trunk.activation,
            dropout: config.trunk.dropout,
        };
        let tasks = config
            .tasks
            .iter()
            .zip(&schema.targets)
            .map(|(task, target)| head(task, target))
            .collect();
        Ok(Network {
            inputs: schema.input.width(),
            embeddings: Embedding::of(&schema.input),
            architecture: config.architecture,
            trunk,
            tasks,
        })
    }

    /// Inputs that come from embeddings.
    pub fn learned_inputs(&self) -> usize {
        self.embeddings.iter().map(|e| e.width).sum()
    }

    /// Width of what the heads read.
    pub fn trunk_width(&self) -> usize {
        self.trunk.layers.last().copied().unwrap_or(self.inputs)
    }

    /// Σ of the outputs of all tasks.
    pub fn logits(&self) -> usize {
        self.tasks.iter().map(Head::outputs).sum()
    }

    /// Label words of a row, of all tasks.
    pub fn cells(&self) -> usize {
        self.tasks.iter().map(Head::cells).sum()
    }

    /// First label word of a task among those of a row.
    pub fn first_cell(&self, task: usize) -> usize {
        self.tasks[..task].iter().map(Head::cells).sum()
    }

    /// First column of a task among the logits of all.
    pub fn first_logit(&self, task: usize) -> usize {
        self.tasks[..task].iter().map(Head::outputs).sum()
    }

    /// Widest activation of the network, inputs and logits included.
    pub fn widest(&self) -> usize {
        let hidden = self.trunk.layers.iter().chain(self.tasks.iter().flat_map(|t| &t.layers));
        hidden.copied().chain([self.inputs, self.logits()]).max().unwrap_or(1)
    }
}

/// What is said of classes holds for classes that there are.
fn check_classes(task: &Task, target: &Target) -> Result<(), Fault> {
    let place = |key: &str| format!("task.{}.{key}", task.name);
    let known = Lookup::new(target.classes.iter().map(String::as_str).zip(0..));
    if let config::Loss::CrossEntropy { class_weights: ClassWeights::Given(given), .. } = &task.loss
    {
        if let Some((unknown, _)) = given.iter().find(|(name, _)| known.get(name).is_none()) {
            let found = format!("{} is no class of the task", quoted(unknown));
            return Err(Fault::config(&place("class_weights"), found)
                .hint(format!("there are {}", target.classes.join(", "))));
        }
        if target.classes.iter().all(|class| weight_of(given, class) == 0.0) {
            return Err(Fault::config(&place("class_weights"), "all are zero")
                .hint("give a class a weight, or set the task's weight to 0"));
        }
    }
    Ok(())
}

fn head(task: &Task, target: &Target) -> Head {
    let has_columns = matches!(task.kind, TaskKind::Multilabel | TaskKind::Regression);
    Head {
        name: task.name.clone(),
        kind: task.kind,
        classes: target.classes.clone(),
        columns: if has_columns { target.columns.clone() } else { Vec::new() },
        layers: task.layers.clone(),
        activation: task.activation,
        dropout: task.dropout,
        loss: Loss::new(&task.loss, target),
        threshold: None,
        top_k: (task.kind == TaskKind::Multiclass).then_some(task.top_k),
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
