//! What the page shows of a kept model and its data, in numbers: `report.json`. Equal models on
//! equal data give equal facts.

pub mod classes;
pub mod importance;
pub mod labels;
pub mod numbers;
pub mod thin;
pub mod together;
pub mod yes_no;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::TaskKind;
use crate::data::load::route::FROM_CACHE;
use crate::data::{Dataset, Part, Parts, UNLABELLED};
use crate::model::network::Network;
use crate::run::apply::evaluate::Measured;
use crate::run::apply::judge::{Truth, truths};
use crate::run::train::point::{TaskPoint, tasks_json};
use classes::Classes;
use importance::Importance;
use labels::LabelCount;
use numbers::NumbersOf;
use together::Together;
use yes_no::YesNo;

/// Name of the file in a run directory.
pub const FILE: &str = "report.json";
/// Version of the format; a file of another one is made anew.
pub const FORMAT: u64 = 1;

/// What `report.json` holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Version of the format.
    pub format: u64,
    /// BLAKE3 of the weights that they are of, `model/model.safetensors`, in hex. Facts of other
    /// weights than those that are there are none.
    pub model: String,
    /// Name of the part whose rows `tasks` is about.
    pub part: String,
    /// Number of its rows.
    pub rows: usize,
    /// Whether rows weigh differently.
    pub is_weighted: bool,
    /// How the run ended and which model it kept; `None` where that is not known.
    pub kept: Option<Kept>,
    /// Losses and metrics of the kept model by part: `{"valid": {"loss", "tasks": {…}}}`.
    pub figures: Value,
    /// A close look at each task, in task order.
    pub tasks: Vec<TaskFacts>,
    /// Labels and blanks of each label column in each part.
    pub labels: Vec<LabelCount>,
    /// How the labels of the training part go together.
    pub together: Together,
    /// What was noticed in the data.
    pub notices: Vec<String>,
    /// Which columns matter, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importance: Option<Importance>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Epoch of the kept model, 1-based.
    pub epoch: u64,
    /// Step of the kept model.
    pub step: u64,
    /// Whether validation picked it.
    pub selected: bool,
}

/// A close look at one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskFacts {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: TaskKind,
    /// Labelled rows, or labelled cells where it has several columns.
    pub labelled: u64,
    /// What is seen.
    pub seen: Seen,
}

/// What is seen of a task, by its type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// Several classes.
    Classes(Classes),
    /// One yes or no, or several.
    YesNo(Vec<YesNo>),
    /// Numbers or a count, by column.
    Numbers(Vec<NumbersOf>),
}

/// What was measured of a kept model, for its facts.
pub struct Judged<'a> {
    /// BLAKE3 of its weights.
    pub model: String,
    /// The network, with its thresholds.
    pub network: &'a Network,
    /// The part that is looked at closely.
    pub part: Part,
    /// Losses and logits on that part.
    pub measured: &'a Measured,
    /// For each part its name, the combined loss and the tasks.
    pub figures: Vec<(&'a str, Option<f64>, &'a [TaskPoint])>,
    /// How the run ended, if that is known.
    pub kept: Option<Kept>,
}

impl Facts {
    /// The facts of a kept model; `None` if the data lacks the part that was measured.
    pub fn of(parts: &Parts, judged: &Judged, notices: &[String]) -> Option<Facts> {
        let network = judged.network;
        let (_, data) = parts.there().find(|(part, _)| *part == judged.part)?;
        let of_part = |(name, loss, tasks): &(&str, Option<f64>, &[TaskPoint])| {
            let tasks = tasks_json(network, tasks, false);
            ((*name).to_owned(), json!({"loss": loss, "tasks": tasks}))
        };
        let figures = Value::Object(judged.figures.iter().map(of_part).collect());
        let tasks = truths(network, &parts.schema, data, judged.measured);
        let about = parts.notices.iter().filter(|line| *line != FROM_CACHE).chain(notices);
        Some(Facts {
            format: FORMAT,
            model: judged.model.clone(),
            part: judged.part.name().to_owned(),
            rows: data.rows,
            is_weighted: data.weights.is_some(),
            kept: judged.kept.clone(),
            figures,
            tasks: tasks.map(|truth| TaskFacts::of(&truth)).collect(),
            labels: labels::count(parts),
            together: Together::of(parts, network),
            notices: about.cloned().collect(),
            importance: None,
        })
    }
}

impl TaskFacts {
    fn of(truth: &Truth) -> TaskFacts {
        let labelled = truth.labels.iter().flatten().filter(|label| **label != UNLABELLED).count();
        let kind = truth.head.kind;
        let columns = 0..truth.labels.len();
        let seen = match kind {
            TaskKind::Multiclass | TaskKind::Tags => Seen::Classes(Classes::of(truth)),
            TaskKind::Binary | TaskKind::Multilabel => {
                Seen::YesNo(columns.map(|column| YesNo::of(truth, column)).collect())
            }
            TaskKind::Regression | TaskKind::Count => {
                Seen::Numbers(columns.map(|column| NumbersOf::of(truth, column)).collect())
            }
        };
        TaskFacts { name: truth.head.name.clone(), kind, labelled: labelled as u64, seen }
    }
}

/// The part that is looked at closely: the validation part, else the test part, else the training
/// part.
pub fn close_part(parts: &Parts) -> (Part, &Dataset) {
    match (&parts.valid, &parts.test) {
        (Some(valid), _) => (Part::Valid, valid),
        (None, Some(test)) => (Part::Test, test),
        (None, None) => (Part::Train, &parts.train),
    }
}
