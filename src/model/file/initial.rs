//! `--init-from`: the weights of one model as the initial weights of another.

use anyhow::Result;

use super::Model;
use crate::data::{Column, Input};
use crate::fault::{Exit, Fault, quoted};
use crate::model::graph::Owner;
use crate::model::layout::{Block, Layout};
use crate::model::network::{Head, Network};

/// Checks that the inputs of `model` are those of a new network: the same columns in the same order
/// and of the same width, or images of the same size. Their scaling may differ.
///
/// # Errors
/// 78 with the first difference.
pub fn check_inputs(model: &Model, input: &Input) -> Result<()> {
    let found = match (&model.schema.input, input) {
        (Input::Columns { columns: before }, Input::Columns { columns: now }) => {
            let places = 0..before.len().max(now.len());
            places
                .map(|i| (format!("column {}", i + 1), column(before.get(i)), column(now.get(i))))
                .find(|(_, before, now)| before != now)
        }
        (before, now) => Some(("its input".to_owned(), kind(before), kind(now)))
            .filter(|(_, before, now)| before != now),
    };
    let Some((what, before, now)) = found else { return Ok(()) };
    let message = format!(
        "--init-from {}: {what} is {before} in the model, {now} in this configuration",
        model.directory.display()
    );
    Err(Fault::new(Exit::Config, message)
        .hint("give the run the inputs of the model in the same order, or leave --init-from out")
        .into())
}

/// A column in words.
fn column(column: Option<&Column>) -> String {
    column.map_or("absent".into(), |column| {
        format!("{} of width {}", quoted(&column.name), column.width())
    })
}

/// A kind of input in words.
fn kind(input: &Input) -> String {
    match input {
        Input::Columns { columns } => format!("{} columns of a table", columns.len()),
        Input::Image { height, width, channels: 1, .. } => {
            format!("images of {height} × {width} pixels")
        }
        Input::Image { height, width, channels, .. } => {
            format!("images of {height} × {width} pixels with {channels} channels")
        }
    }
}

/// The arena of `layout` with the parameters of `model`. Blocks are matched by name, so the order
/// of the tasks may differ.
///
/// # Errors
/// 78 if the two do not have the same tensors in the same shapes.
pub fn initial_from(model: &Model, network: &Network, layout: &Layout) -> Result<Vec<f32>> {
    check_likeness(model, network, true)?;
    let mut arena = vec![0.0; layout.len];
    for block in &layout.blocks {
        let from = find(&model.layout, block);
        match from.filter(|from| from.shape == block.shape) {
            Some(from) => arena[block.offset..][..block.len]
                .copy_from_slice(&model.parameters[from.offset..][..from.len]),
            None => return Err(differs(model, network, &block.name, from, Some(block)).into()),
        }
    }
    match model.layout.blocks.iter().find(|block| find(layout, block).is_none()) {
        Some(more) => Err(differs(model, network, &more.name, Some(more), None).into()),
        None => Ok(arena),
    }
}

/// `arena` with the shared parameters of `model` in place of those of `network`; the heads stay as
/// they are.
///
/// # Errors
/// 78 if the two do not share the same tensors in the same shapes.
pub fn trunk_from(
    model: &Model,
    network: &Network,
    layout: &Layout,
    mut arena: Vec<f32>,
) -> Result<Vec<f32>> {
    check_likeness(model, network, false)?;
    let shared = |layout: &'_ Layout| {
        layout.blocks.iter().filter(|b| b.owner == Owner::Shared).cloned().collect::<Vec<Block>>()
    };
    for block in shared(layout) {
        let from = find(&model.layout, &block);
        match from.filter(|from| from.shape == block.shape) {
            Some(from) => arena[block.offset..][..block.len]
                .copy_from_slice(&model.parameters[from.offset..][..from.len]),
            None => return Err(differs(model, network, &block.name, from, Some(&block)).into()),
        }
    }
    match shared(&model.layout).iter().find(|block| find(layout, block).is_none()) {
        Some(more) => Err(differs(model, network, &more.name, Some(more), None).into()),
        None if shared(layout).is_empty() => Err(no_trunk().into()),
        None => Ok(arena),
    }
}

fn no_trunk() -> Fault {
    Fault::new(Exit::Config, "--init-part trunk: the network has no layers that tasks share")
        .hint("leave it out, give trunk.layers, or choose another architecture")
}

/// Refuses a model whose tensors have the names and shapes of a network and mean something else:
/// that of another architecture, or with the tasks in another order where tensors lie in that
/// order. For shared parameters alone, the architectures may differ except for trees.
fn check_likeness(model: &Model, network: &Network, whole: bool) -> Result<()> {
    let (before, now) = (&model.network.architecture, &network.architecture);
    let both_trees = before.name() == now.name() && now.is_tree();
    let names = |network: &Network| -> Vec<String> {
        network.tasks.iter().map(|task| task.name.clone()).collect()
    };
    let is_like = before.is_like(now) || !(whole || both_trees);
    let in_order = names(&model.network) == names(network)
        || !(before.has_task_order() && now.has_task_order());
    if is_like && in_order {
        return Ok(());
    }
    let place = format!("--init-from {}", model.directory.display());
    let fault = match is_like {
        false => Fault::new(Exit::Config, format!("{place}: the model has another architecture"))
            .hint(format!(
                "the model has {}; this configuration has {}",
                describe(&model.network),
                describe(network)
            )),
        true => Fault::new(Exit::Config, format!("{place}: the model has another order of tasks"))
            .hint(format!(
                "parameters of {} lie in the order of the tasks: write them as {}",
                now.name(),
                names(&model.network).join(", ")
            )),
    };
    Err(fault.into())
}

/// The block of the same name.
fn find<'l>(layout: &'l Layout, like: &Block) -> Option<&'l Block> {
    layout.blocks.iter().find(|block| block.name == like.name)
}

/// The fault of a tensor that the model and the configuration do not have in the same shape.
fn differs(
    model: &Model,
    network: &Network,
    name: &str,
    found: Option<&Block>,
    expected: Option<&Block>,
) -> Fault {
    let shape = |block: Option<&Block>| block.map_or("absent".into(), |b| format!("{:?}", b.shape));
    let place = format!("--init-from {}", model.directory.display());
    let message = format!(
        "{place}: tensor \"{name}\": {} in the model, {} in this configuration",
        shape(found),
        shape(expected)
    );
    let hint = format!(
        "the model has {}; this configuration has {}",
        describe(&model.network),
        describe(network)
    );
    Fault::new(Exit::Config, message).hint(hint)
}

/// The widths of a network, for a hint.
fn describe(network: &Network) -> String {
    let task = |head: &Head| format!("{} {:?}", head.name, head.widths().collect::<Vec<_>>());
    let tasks: Vec<String> = network.tasks.iter().map(task).collect();
    format!(
        "{} inputs, architecture {}, trunk {:?}, tasks {}",
        network.inputs,
        network.architecture.name(),
        network.trunk.layers,
        tasks.join(", ")
    )
}
