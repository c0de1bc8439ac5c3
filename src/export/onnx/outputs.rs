//! The outputs of a graph: what `predict` writes. For each task with classes there are `TASK`, the
//! class, and `TASK:probabilities`; a task of yes or no per column has the latter; others have
//! `TASK`, in the units of the data.

use super::graph::{Content, Graph, Value};
use super::proto::Type;
use crate::config::TaskKind;
use crate::data::Target;
use crate::model::file::Model;
use crate::model::network::Head;
use crate::run::apply::predict::free;

/// The names of the outputs of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The output of the class, or of the numbers; `None` where there are probabilities alone.
    pub prediction: Option<String>,
    /// The output of the probabilities, if the task has some.
    pub probabilities: Option<String>,
}

/// The names of the outputs of all tasks, and a sentence for each that an input has already.
pub fn names(model: &Model, inputs: &[String]) -> (Vec<Names>, Vec<String>) {
    let (mut taken, mut notes) = (inputs.to_vec(), Vec::new());
    let mut name = |wanted: String| {
        let found = free(&taken, wanted.clone());
        if found != wanted {
            notes.push(format!("an input is called {wanted}, so the output is called {found}"));
        }
        taken.push(found.clone());
        found
    };
    let of_task = |head: &Head| {
        let has_prediction = head.kind != TaskKind::Multilabel;
        let is_share = !matches!(head.kind, TaskKind::Regression | TaskKind::Count);
        Names {
            prediction: has_prediction.then(|| name(head.name.clone())),
            probabilities: is_share.then(|| name(format!("{}:probabilities", head.name))),
        }
    };
    let names = model.network.tasks.iter().map(of_task).collect();
    (names, notes)
}

/// Adds the outputs of a task; `logits` are [rows, outputs]. All is computed in 64 bits, as
/// `predict` does.
pub fn outputs(graph: &mut Graph, head: &Head, target: &Target, logits: &Value, names: &Names) {
    let z = graph.cast(logits, Type::Double);
    let (predicted, shares) = match head.kind {
        TaskKind::Multiclass | TaskKind::Tags => {
            let shares = graph.node("Softmax", &[&z], &[("axis", Content::Int(1))]);
            let keep = [("axis", Content::Int(1)), ("keepdims", Content::Int(0))];
            let place = graph.node("ArgMax", &[logits], &keep);
            (Some(class(graph, head, &place)), Some(shares))
        }
        TaskKind::Binary => {
            let no = graph.node("Neg", &[&z], &[]);
            let both = graph.beside(&[no, z.clone()]);
            let yes = sigmoid(graph, &z);
            let threshold = graph.doubles("threshold", &[], &[head.threshold()]);
            let is_yes = graph.node("Greater", &[&yes, &threshold], &[]);
            let place = graph.cast(&is_yes, Type::Int64);
            let place = flat(graph, &place);
            let shares = sigmoid(graph, &both);
            (Some(class(graph, head, &place)), Some(shares))
        }
        TaskKind::Multilabel => (None, Some(sigmoid(graph, &z))),
        TaskKind::Count => {
            let rate = graph.node("Exp", &[&z], &[]);
            (Some(flat(graph, &rate)), None)
        }
        TaskKind::Regression => {
            let units: Vec<f64> = target.scales.iter().map(|scale| 1.0 / scale.factor).collect();
            let offsets: Vec<f64> = target.scales.iter().map(|scale| scale.offset).collect();
            let units = graph.doubles("unit", &[1, units.len()], &units);
            let offsets = graph.doubles("offset", &[1, offsets.len()], &offsets);
            let scaled = graph.node("Mul", &[&z, &units], &[]);
            let numbers = graph.node("Add", &[&scaled, &offsets], &[]);
            let is_one = head.columns.len() == 1;
            (Some(if is_one { flat(graph, &numbers) } else { numbers }), None)
        }
    };
    let doc = described(head);
    if let (Some(value), Some(name)) = (predicted, &names.prediction) {
        let of = if head.classes.is_empty() { Type::Double } else { Type::String };
        let several = head.kind == TaskKind::Regression && head.columns.len() > 1;
        let dims = if several { vec![head.columns.len()] } else { Vec::new() };
        graph.output(&value, name, of, &dims, doc.clone());
    }
    if let (Some(shares), Some(name)) = (shares, &names.probabilities) {
        let shares = graph.cast(&shares, Type::Float);
        let count = if head.classes.is_empty() { head.columns.len() } else { head.classes.len() };
        graph.output(&shares, name, Type::Float, &[count], doc);
    }
}

/// 1 / (1 + e^−z). The operator of this name is not exact for small probabilities in all runtimes.
fn sigmoid(graph: &mut Graph, z: &Value) -> Value {
    let minus = graph.node("Neg", &[z], &[]);
    let power = graph.node("Exp", &[&minus], &[]);
    let one = graph.doubles("one", &[], &[1.0]);
    let sum = graph.node("Add", &[&power, &one], &[]);
    graph.node("Div", &[&one, &sum], &[])
}

/// The type of a task, and what its numbers are, in order.
fn described(head: &Head) -> String {
    let order = match (&head.classes[..], &head.columns[..]) {
        ([], []) => return head.kind.to_string(),
        ([], columns) => columns,
        (classes, _) => classes,
    };
    format!("{}: {}", head.kind, order.join(", "))
}

/// The names of classes by their places.
fn class(graph: &mut Graph, head: &Head, places: &Value) -> Value {
    let classes = graph.texts(&format!("task.{}.classes", head.name), &head.classes);
    graph.node("Gather", &[&classes, places], &[("axis", Content::Int(0))])
}

/// A value [rows, 1] as [rows].
fn flat(graph: &mut Graph, value: &Value) -> Value {
    let shape = graph.ints("rows", &[1], &[-1]);
    graph.node("Reshape", &[value, &shape], &[])
}
