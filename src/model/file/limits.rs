//! Checks of a network and a schema from a file, before any other code relies on them.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Result;

use super::{header, malformed};
use crate::config::TaskKind;
use crate::data::schema::columns::MAX_EMBED;
use crate::data::{Column, Input, Schema, Target};
use crate::fault::{Exit, Fault, quoted};
use crate::model::architecture;
use crate::model::graph::{MAX_WIDTH, Op};
use crate::model::network::{Embedding, Head, Network};

/// The largest number of layers in the trunk, and in a head.
const MAX_LAYERS: usize = 1024;

/// Bytes of the description of a tensor in the header, without its name and two numbers of its
/// shape.
const ENTRY_BYTES: usize = 120;

/// Checks that a model that [`save`](super::save) writes can be loaded again. It is called before
/// the training, not after it.
///
/// # Errors
/// 78 if the network is beyond the limits of a model file.
pub fn check_savable(network: &Network) -> Result<()> {
    let wrong = |e: String| {
        Fault::new(Exit::Config, format!("the network does not fit in a model file: {e}"))
    };
    Ok(problem(network).map_or(Ok(()), |e| {
        Err(wrong(e).hint("give it fewer or smaller layers in [trunk] and [task.*]"))
    })?)
}

/// Refuses a network from `config.json` that is beyond the limits.
pub(super) fn check_network(path: &Path, network: &Network) -> Result<()> {
    problem(network).map_or(Ok(()), |e| Err(malformed(path.display(), e).into()))
}

/// The first problem of a network.
fn problem(network: &Network) -> Option<String> {
    let heads = || {
        network.tasks.iter().find_map(|head| {
            head_problem(head).map(|e| format!("task {}: {e}", quoted(&head.name)))
        })
    };
    let trunk = &network.trunk;
    let own = || layers_problem(&trunk.layers, trunk.dropout).map(|e| format!("trunk: {e}"));
    width_problem("inputs", network.inputs, 1)
        .or_else(|| embeddings_problem(network))
        .or_else(own)
        .or_else(|| names_problem(network))
        .or_else(heads)
        .or_else(|| size_problem(network))
}

/// The first problem of the embeddings: repeated columns, sizes out of range, or more inputs from
/// embeddings than there are inputs.
fn embeddings_problem(network: &Network) -> Option<String> {
    let embeddings = &network.embeddings;
    if let Some(name) = repeated(embeddings.iter().map(|e| &e.column)) {
        return Some(format!("two embeddings of column {}", quoted(name)));
    }
    let size = |e: &Embedding| {
        let fits = (1..=MAX_EMBED).contains(&e.width) && (1..=MAX_WIDTH).contains(&e.values);
        (!fits).then(|| {
            format!(
                "embedding {}: {} vectors of {} numbers, expected 1 to {MAX_EMBED}",
                quoted(&e.column),
                e.values,
                e.width
            )
        })
    };
    let learned = embeddings
        .iter()
        .try_fold(0_usize, |sum, e| sum.checked_add(e.inputs()?))
        .filter(|sum| *sum <= network.inputs);
    embeddings.iter().find_map(size).or_else(|| {
        learned.is_none().then(|| format!("more than {} inputs from embeddings", network.inputs))
    })
}

fn width_problem(what: &str, width: usize, least: usize) -> Option<String> {
    let fits = (least..=MAX_WIDTH).contains(&width);
    (!fits).then(|| format!("{width} {what}, expected {least} to {MAX_WIDTH}"))
}

fn layers_problem(layers: &[usize], dropout: f64) -> Option<String> {
    if layers.len() > MAX_LAYERS {
        return Some(format!("{} layers, expected at most {MAX_LAYERS}", layers.len()));
    }
    if !(0.0..1.0).contains(&dropout) {
        return Some(format!("dropout {dropout}, expected 0 up to, not including, 1"));
    }
    layers.iter().find_map(|&width| width_problem("units in a layer", width, 1))
}

/// The first problem of the task names, which become names of tensors, columns and files.
fn names_problem(network: &Network) -> Option<String> {
    let is_plain = |name: &str| {
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
            && (1..=64).contains(&name.len())
    };
    if network.tasks.is_empty() {
        return Some("no task, expected one or more".into());
    }
    if let Some(head) = network.tasks.iter().find(|head| !is_plain(&head.name)) {
        return Some(format!(
            "the task name {} is not 1 to 64 characters of A-Z a-z 0-9 _ . -",
            quoted(&head.name)
        ));
    }
    repeated(network.tasks.iter().map(|head| &head.name))
        .map(|name| format!("two tasks are named {}", quoted(name)))
}

fn head_problem(head: &Head) -> Option<String> {
    let classes = || width_problem("outputs", head.outputs(), 1);
    let twice =
        || repeated(&head.classes).map(|name| format!("two classes are named {}", quoted(name)));
    let shape = || shape_problem(head).map(|found| format!("task {}: {found}", quoted(&head.name)));
    layers_problem(&head.layers, head.dropout).or_else(classes).or_else(twice).or_else(shape)
}

/// The first of classes, columns, threshold and loss that does not belong to the type of a task.
fn shape_problem(head: &Head) -> Option<String> {
    let (classes, columns) = (head.classes.len(), head.columns.len());
    let (has_classes, has_columns) = match head.kind {
        TaskKind::Multiclass | TaskKind::Tags => (classes >= 2, columns == 0),
        TaskKind::Binary => (classes == 2, columns == 0),
        TaskKind::Multilabel | TaskKind::Regression => (classes == 0, columns >= 1),
        TaskKind::Count => (classes == 0, columns == 0),
    };
    if !has_classes || !has_columns {
        return Some(format!("{classes} classes and {columns} columns for the type {}", head.kind));
    }
    if head.threshold.is_some_and(|t| !(0.0..=1.0).contains(&t)) {
        return Some("a threshold that is no probability".into());
    }
    let fits = head.loss.suits(head.kind, classes, head.outputs());
    (!fits).then(|| {
        format!("a loss that is none of the type {}, or has numbers that it cannot have", head.kind)
    })
}

/// The first name that occurs twice.
fn repeated<'n>(names: impl IntoIterator<Item = &'n String>) -> Option<&'n String> {
    let mut seen = HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

/// Whether there are too many parameters to count without overflow, or too many tensors for a
/// header.
fn size_problem(network: &Network) -> Option<String> {
    let graph = match architecture::graph(network) {
        Ok(graph) => graph,
        Err(problem) => return Some(problem),
    };
    let (mut parameters, mut tensors, mut header) = (Some(0_usize), 0, 0);
    for (_, node) in graph.nodes() {
        let (blocks, numbers) = match node.op {
            Op::Dense { source, .. } => {
                let inputs = graph.source_width(source, network.inputs);
                let weights = node.width.checked_mul(inputs);
                (2, weights.and_then(|n| n.checked_add(node.width)))
            }
            Op::Constant => (1, Some(node.width)),
            Op::Mix { .. } => continue,
        };
        parameters = parameters.and_then(|sum| sum.checked_add(numbers?));
        // `ENTRY_BYTES` has room for the rest of `task.NAME.0`.
        let name = node.name.len().saturating_sub("task..0".len());
        (tensors, header) = (tensors + blocks, header + blocks * (name + ENTRY_BYTES));
    }
    for e in &network.embeddings {
        parameters = parameters.and_then(|sum| sum.checked_add(e.values.checked_mul(e.width)?));
        // In the header each character of a name may be escaped to six bytes.
        (tensors, header) = (tensors + 1, header + 6 * e.column.len() + ENTRY_BYTES);
    }
    if tensors > header::MAX_TENSORS || header as u64 > header::MAX_BYTES {
        return Some(format!(
            "{tensors} tensors with a header of {header} bytes, expected at most {} with {}",
            header::MAX_TENSORS,
            header::MAX_BYTES
        ));
    }
    // So the bytes of four arenas with their gaps can still be counted.
    let fits = parameters.is_some_and(|n| n <= usize::MAX / 64);
    (!fits).then(|| "more parameters than can be counted".into())
}

/// Refuses a schema that is not consistent, or does not belong to the network.
pub(super) fn check_schema(path: &Path, schema: &Schema, network: &Network) -> Result<()> {
    let inputs = input_problem(&schema.input, network.inputs);
    // Whether vectors are trained is not in the schema.
    let trained = |e: &Embedding| Embedding { kept: false, ..e.clone() };
    let embeddings: Vec<Embedding> = network.embeddings.iter().map(trained).collect();
    let others = || {
        (Embedding::of(&schema.input) != embeddings)
            .then(|| "other embeddings than in config.json".to_owned())
    };
    inputs
        .or_else(others)
        .or_else(|| targets_problem(&schema.targets, network))
        .map_or(Ok(()), |e| Err(malformed(path.display(), e).into()))
}

fn input_problem(input: &Input, inputs: usize) -> Option<String> {
    let width = match input {
        Input::Columns { columns } => {
            if let Some(name) = repeated(columns.iter().map(|column| &column.name)) {
                return Some(format!("the column {} stands twice", quoted(name)));
            }
            if let Some(problem) = columns.iter().find_map(Column::problem) {
                return Some(problem);
            }
            // After these limits, and in a file of bounded length, the sum has room.
            Some(input.width())
        }
        Input::Image { scale, overlay, height, width, channels, .. } => {
            if !scale.is_finite() {
                return Some("the scale of the images is not a finite number".into());
            }
            if overlay.is_some_and(|(shift, _)| shift >= *height.min(width)) {
                return Some(format!("an overlay as large as the image of {height} by {width}"));
            }
            height.checked_mul(*width).and_then(|pixels| pixels.checked_mul(*channels))
        }
    };
    let found = || width.map_or("too many".into(), |n| n.to_string());
    (width != Some(inputs))
        .then(|| format!("{} features, config.json has {inputs} inputs", found()))
}

fn targets_problem(targets: &[Target], network: &Network) -> Option<String> {
    if targets.len() != network.tasks.len() {
        return Some(format!(
            "{} targets, config.json has {} tasks",
            targets.len(),
            network.tasks.len()
        ));
    }
    targets.iter().zip(&network.tasks).find_map(|(target, head)| target_problem(target, head))
}

fn target_problem(target: &Target, head: &Head) -> Option<String> {
    let task = quoted(&target.task);
    if target.task != head.name {
        return Some(format!(
            "a target for task {task}, config.json has {} in its place",
            quoted(&head.name)
        ));
    }
    if target.classes != head.classes {
        return Some(format!("task {task}: other classes than in config.json"));
    }
    if target.kind != head.kind {
        return Some(format!("task {task}: of type {}, in config.json {}", target.kind, head.kind));
    }
    if target.columns.len() != head.cells() {
        return Some(format!(
            "task {task}: {} columns, config.json has {}",
            target.columns.len(),
            head.cells()
        ));
    }
    target.problem().map(|problem| format!("task {task}: {problem}"))
}
