//! Columns of dense layers, of which all architectures consist.

use crate::config::Activation;
use crate::model::graph::{Node, Op, Owner, Role, Source};
use crate::model::network::{Head, Trunk};

/// A hidden dense layer; its source is set when it is added to a graph.
fn dense(name: String, width: usize, activation: Activation, dropout: f64) -> Node {
    let op = Op::Dense { source: Source::Inputs, activation, dropout };
    Node { name, series: None, width, op, owner: Owner::Shared, role: Role::Hidden }
}

/// The layers of `[trunk]`, called `NAME.0`, `NAME.1`, …
pub fn trunk<'t>(trunk: &'t Trunk, name: &'t str, owner: Owner) -> impl Iterator<Item = Node> + 't {
    trunk.layers.iter().enumerate().map(move |(depth, &width)| {
        let node = dense(format!("{name}.{depth}"), width, trunk.activation, trunk.dropout);
        let series = owner.task().map(|_| format!("trunks, layer {depth}"));
        Node { owner, series, ..node }
    })
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
