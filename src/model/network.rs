//! The description of a network: inputs, architecture, layers of the trunk, and one head per task.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::loss::{Loss, weight_of};
use crate::config::{
    self, Activation, Architecture, ClassWeights, Config, Init, Pool, Task, TaskKind,
};
use crate::data::value::alike::Lookup;
use crate::data::{Input, Schema, Target};
use crate::fault::{Fault, quoted};

/// The description of a network, as `config.json` of a model holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Inputs per row; the inputs from embeddings come first, in their order.
    pub inputs: usize,
    /// One embedding per column whose values have learned vectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub embeddings: Vec<Embedding>,
    /// How the layers are shared between the tasks.
    #[serde(default, skip_serializing_if = "Architecture::is_shared")]
    pub architecture: Architecture,
    /// Layers of the trunk: one that all tasks share, or one per task.
    pub trunk: Trunk,
    /// The heads, in task order.
    pub tasks: Vec<Head>,
}

/// The learned vectors of a column. The inputs of a row are the sum of the vectors of its codes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Embedding {
    /// Name of the column.
    pub column: String,
    /// Number of vectors.
    pub values: usize,
    /// Numbers per vector.
    pub width: usize,
    /// Rows of the window whose vectors are inputs of a row, one after the other.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub places: usize,
    /// Whether the vectors stay as they begin.
    #[serde(default, skip_serializing_if = "is_false")]
    pub kept: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn one() -> usize {
    1
}

fn is_one(number: &usize) -> bool {
    *number == 1
}

impl Embedding {
    /// The embeddings that the columns of an input need.
    pub fn of(input: &Input) -> Vec<Embedding> {
        let Input::Columns { columns } = input else { return Vec::new() };
        let learned = columns.iter().filter(|column| column.vectors() > 0);
        learned
            .map(|c| Embedding {
                column: c.name.clone(),
                values: c.vectors(),
                width: c.unit(),
                places: 2 * c.window + 1,
                kept: false,
            })
            .collect()
    }

    /// Number of inputs that its vectors give; `None` if there are too many.
    pub fn inputs(&self) -> Option<usize> {
        self.width.checked_mul(self.places)
    }
}

/// The layers of `[trunk]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trunk {
    /// Widths of the layers; empty for a network without a trunk.
    pub layers: Vec<usize>,
    /// Activation of each layer.
    pub activation: Activation,
    /// Dropout rate after each layer.
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
    /// Names of the classes in the order of the logits (multiclass), or of the negative and the
    /// positive class (binary); else empty.
    pub classes: Vec<String>,
    /// Names of the label columns, where there is one output for each (multilabel, regression);
    /// else empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Widths of the tower; empty for a head without a tower.
    pub layers: Vec<usize>,
    /// Activation of the layers of the tower.
    pub activation: Activation,
    /// Dropout rate after each layer of the tower.
    pub dropout: f64,
    /// The loss of the task, L_i.
    pub loss: Loss,
    /// Probability above which a row is predicted as positive (binary), chosen on validation data;
    /// `None` means 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// k of the metric `top_k` (multiclass).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
    /// How the values of the tokens of a sentence become one; `None` = each row has a label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Pool>,
}

impl Head {
    /// A multiclass head without a tower.
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
            pool: None,
        }
    }

    /// Probability above which a row is predicted as positive.
    pub fn threshold(&self) -> f64 {
        self.threshold.unwrap_or(0.5)
    }

    /// Width of the output layer.
    pub fn outputs(&self) -> usize {
        match self.kind {
            TaskKind::Multiclass | TaskKind::Tags => self.classes.len(),
            TaskKind::Binary | TaskKind::Count => 1,
            TaskKind::Multilabel | TaskKind::Regression => self.columns.len(),
        }
    }

    /// Labels per row.
    pub fn cells(&self) -> usize {
        if self.kind.has_logits_of_classes() { 1 } else { self.outputs() }
    }

    /// Widths of the layers, the output layer last.
    pub fn widths(&self) -> impl Iterator<Item = usize> + '_ {
        self.layers.iter().copied().chain([self.outputs()])
    }
}

impl Network {
    /// The network of a configuration for data of a schema.
    ///
    /// # Errors
    /// 78 if the tasks of the two differ, or class weights name a class that does not exist.
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
        let is_kept = |e: &Embedding| {
            let mut features = config.data.features.iter();
            let feature = features.find(|feature| feature.column == e.column);
            feature.is_some_and(|feature| feature.train_vectors == Some(false))
        };
        let mut embeddings = Embedding::of(&schema.input);
        embeddings.iter_mut().for_each(|e| e.kept = is_kept(e));
        Ok(Network {
            inputs: schema.input.width(),
            embeddings,
            architecture: config.architecture.clone(),
            trunk,
            tasks,
        })
    }

    /// Number of inputs that come from embeddings.
    pub fn learned_inputs(&self) -> usize {
        self.embeddings.iter().map(|e| e.width * e.places).sum()
    }

    /// Number of outputs of all tasks together.
    pub fn logits(&self) -> usize {
        self.tasks.iter().map(Head::outputs).sum()
    }

    /// Labels per row of all tasks together.
    pub fn cells(&self) -> usize {
        self.tasks.iter().map(Head::cells).sum()
    }

    /// Place of a task's first label among the labels of a row.
    pub fn first_cell(&self, task: usize) -> usize {
        self.tasks[..task].iter().map(Head::cells).sum()
    }

    /// Place of a task's first output among the outputs of all tasks.
    pub fn first_logit(&self, task: usize) -> usize {
        self.tasks[..task].iter().map(Head::outputs).sum()
    }
}

/// Refuses class weights that name an unknown class, or that are all zero.
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

/// The head of a task.
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
        pool: task.pool,
    }
}

/// Variance of the initial weights of a layer: 2 / fan-in (He et al., "Delving deep into
/// rectifiers", ICCV 2015), or 2 / (fan-in + fan-out) (Glorot and Bengio, "Understanding the
/// difficulty of training deep feedforward neural networks", AISTATS 2010).
pub fn initial_variance(init: Init, activation: Activation, inputs: usize, outputs: usize) -> f64 {
    let he = match init {
        Init::He => true,
        Init::Xavier => false,
        Init::Auto => matches!(activation, Activation::Relu | Activation::Gelu | Activation::Silu),
    };
    if he { 2.0 / inputs as f64 } else { 2.0 / (inputs + outputs) as f64 }
}
