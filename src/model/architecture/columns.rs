//! Columns of dense layers, of which all architectures consist.

use crate::config::Activation;
use crate::model::graph::{Draft, Node, NodeId, Op, Owner, Role, Source, Start};
use crate::model::network::{Head, Trunk};

/// A dense layer; its source is set when it is added to a graph.
fn dense(name: String, width: usize, activation: Activation, dropout: f64) -> Node {
    let op = Op::Dense { source: Source::Inputs, activation, dropout };
    let (owner, role, start) = (Owner::Shared, Role::Hidden, Start::Usual);
    Node { name, series: None, width, op, owner, role, start }
}

/// One layer of `[trunk]`. `series` is the name of all layers that one dispatch runs together.
pub fn layer(trunk: &Trunk, depth: usize, name: String, owner: Owner, series: &str) -> Node {
    let node = dense(name, trunk.layers[depth], trunk.activation, trunk.dropout);
    Node { owner, series: Some(format!("{series}, layer {depth}")), ..node }
}

/// The layers of `[trunk]` as a column, called `NAME.0`, `NAME.1`, …: one for all tasks, which runs
/// alone, or one per task, which run together.
pub fn trunk<'t>(trunk: &'t Trunk, name: &'t str, owner: Owner) -> impl Iterator<Item = Node> + 't {
    (0..trunk.layers.len()).map(move |depth| {
        let node = layer(trunk, depth, format!("{name}.{depth}"), owner, "trunks");
        let series = owner.task().and(node.series);
        Node { series, ..node }
    })
}

/// The layers of `[trunk]` as those of an expert, called `NAME.0`, `NAME.1`, …; all experts run
/// together. `NAME` is `expert.E`, or ends with it.
pub fn expert<'t>(
    trunk: &'t Trunk,
    name: &'t str,
    owner: Owner,
) -> impl Iterator<Item = Node> + 't {
    let layers = 0..trunk.layers.len();
    layers.map(move |depth| layer(trunk, depth, format!("{name}.{depth}"), owner, "experts"))
}

/// A gate with this many values that reads what a node reads.
pub fn gate(name: String, source: Source, values: usize, owner: Owner) -> Node {
    let node = dense(name, values, Activation::Identity, 0.0);
    let op = Op::Dense { source, activation: Activation::Identity, dropout: 0.0 };
    Node { op, owner, series: Some("gates".into()), role: Role::Gate, ..node }
}

/// A gate whose values are learned numbers, equal for all rows.
pub fn constant(name: String, values: usize, owner: Owner, start: Start) -> Node {
    let (series, op, role) = (Some("gates".into()), Op::Constant, Role::Gate);
    Node { name, series, width: values, op, owner, role, start }
}

/// A task's own layers, `task.NAME.0`, `task.NAME.1`, …: its tower, then its output layer.
pub fn head(task: usize, head: &Head) -> impl Iterator<Item = Node> + '_ {
    head.widths().enumerate().map(move |(depth, width)| {
        let name = format!("task.{}.{depth}", head.name);
        let (node, series, role) = if depth == head.layers.len() {
            (dense(name, width, Activation::Identity, 0.0), "output layers".into(), Role::Output)
        } else {
            let node = dense(name, width, head.activation, head.dropout);
            (node, format!("towers, layer {depth}"), Role::Hidden)
        };
        Node { owner: Owner::Task(task), series: Some(series), role, ..node }
    })
}

/// Adds the task's own layers behind `from`. Where its labels are those of sentences, the values of
/// their tokens become one before.
///
/// # Errors
/// A sentence if there are too many nodes, or a sentence has nothing to pool.
pub fn add_head(draft: &mut Draft, from: Source, task: usize, own: &Head) -> Result<(), String> {
    let from = match own.pool {
        None => from,
        Some(pool) => {
            let missing = || format!("task {}: pool needs a trunk with layers", own.name);
            let read = node(from).map_err(|_| missing())?;
            let name = format!("task.{}.pool", own.name);
            Source::Node(draft.pool(&name, read, pool, Owner::Task(task))?)
        }
    };
    draft.column(from, head(task, own)).map(|_| ())
}

/// The node of a column that has layers.
///
/// # Errors
/// A sentence if it has none.
pub fn node(column: Source) -> Result<NodeId, String> {
    match column {
        Source::Node(node) => Ok(node),
        Source::Inputs => Err("the trunk has no layers".into()),
    }
}
