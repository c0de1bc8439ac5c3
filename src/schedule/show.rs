//! A program as text, for `explain` and for messages of tests: the dispatches of a schedule, the
//! blocks of a network, and the buffers.

use super::{Buffer, Dispatch, Effect, Footprint, Program, Schedule};
use crate::kernels::tuning::Tuning;
use crate::model::graph::Role;
use crate::model::layout::{Block, Layer, Layout};
use crate::model::network::{Head, Network};

/// A schedule as a table with one line per dispatch: what is launched, how much of it, which
/// buffers it reads and which it writes.
pub fn table(program: &Program, schedule: &Schedule) -> String {
    let (count, flop) =
        (schedule.dispatches.len(), schedule.dispatches.iter().map(|d| d.flop).sum());
    let title = format!(
        "{}: {count} dispatches, {} rows, {} MFLOP\n",
        schedule.name,
        schedule.rows,
        millions(flop)
    );
    let head =
        ["", "kernel", "for", "grid", "workgroups", "MFLOP", "reads → writes"].map(String::from);
    let lines = schedule
        .dispatches
        .iter()
        .enumerate()
        .map(|(number, dispatch)| dispatch_line(program, number, dispatch));
    title
        + &aligned(
            std::iter::once(head).chain(lines).collect(),
            [true, false, false, true, true, true, false],
        )
}

/// The line of a dispatch.
fn dispatch_line(program: &Program, number: usize, dispatch: &Dispatch) -> [String; 7] {
    let [x, y, z] = dispatch.grid;
    let flop = if dispatch.flop > 0 { millions(dispatch.flop) } else { String::new() };
    let groups = (u64::from(x) * u64::from(y) * u64::from(z)).to_string();
    let flow = format!(
        "{} → {}",
        touched(program, dispatch, Effect::Overwrite),
        touched(program, dispatch, Effect::Read)
    );
    [
        number.to_string(),
        dispatch.kernel.name.into(),
        dispatch.label.clone(),
        format!("{x}×{y}×{z}"),
        groups,
        flop,
        flow,
    ]
}

/// The names of the buffers of all effects except one kind. An updated buffer is both read and
/// written.
fn touched(program: &Program, dispatch: &Dispatch, except: Effect) -> String {
    let mut buffers: Vec<Buffer> = Vec::new();
    for (_, slice) in dispatch.effects.iter().filter(|(e, _)| *e != except) {
        if !buffers.contains(&slice.buffer) {
            buffers.push(slice.buffer);
        }
    }
    let names: Vec<&str> = buffers.iter().map(|b| program.buffers[b.0].name.as_str()).collect();
    names.join("; ")
}

fn millions(flop: u64) -> String {
    format!("{:.2}", flop as f64 / 1e6)
}

/// The kinds of work of a step: which are done within another dispatch, and why the others are not.
pub fn fusion(network: &Network, tuning: &Tuning, schedule: &Schedule) -> String {
    let has = |name: &str| schedule.dispatches.iter().any(|d| d.kernel.twin == name);
    let widest = network.tasks.iter().map(Head::outputs).max().unwrap_or(0);
    let heads: String = match tuning.fused_classes {
        0 if tuning.unit.is_some() => "apart: products are by the matrix unit".into(),
        0 => format!("apart: adapters of class {} have no kernel for both", tuning.class),
        most if widest > most => format!("apart: a head has {widest} classes, a tile {most}"),
        _ if has("heads_cross_entropy") => "one kernel".into(),
        _ => "apart: the kernel for both knows neither blanks, weights of rows and classes, nor \
              other losses"
            .into(),
    };
    let gather = "apart: the first product would fetch each row once for every column tile, and \
                  the weight gradient again";
    let metrics = "apart: a loss that is not finite has to be known before any weight is written";
    let sharing = "apart: it adds to gradients of other tiles, and the update may not begin \
                   before all are finite";
    let mut lines = vec![
        ["bias, activation, its slope, dropout", "in the store of each forward product"],
        ["output layers and their loss", &heads],
        ["slope in the backward pass", "in the store of each product"],
        ["gradients of all weights and biases", "one dispatch"],
        ["gather", gather],
        ["metrics", metrics],
        ["update of all parameters", "one dispatch"],
    ];
    if has("soft_sharing") {
        lines.push(["soft_sharing", sharing]);
    }
    let lines = lines.into_iter().map(|line| line.map(String::from)).collect();
    "fused\n".to_string() + &aligned(lines, [false, false])
}

/// The layers of a network with their blocks in the arena of parameters, and how many parameters
/// there are.
pub fn network(network: &Network, layout: &Layout) -> String {
    let title = format!(
        "{} features, {} trunk layers, {} tasks\n",
        network.inputs,
        network.trunk.layers.len(),
        network.tasks.len()
    );
    let mut lines = vec![["block", "shape", "offset", "parameters", ""].map(String::from)];
    for block in layout.embeddings() {
        lines.push(block_line(block, "embedding".into()));
    }
    let mut notes = vec![String::new(); layout.blocks.len()];
    for layer in &layout.layers {
        notes[layer.weight] = makes(layer);
    }
    for constant in &layout.constants {
        notes[constant.block] = "learned numbers".into();
    }
    for (block, note) in layout.blocks.iter().zip(notes).skip(layout.embeddings) {
        lines.push(block_line(block, note));
    }
    lines.push([
        "total".into(),
        String::new(),
        String::new(),
        layout.parameters().to_string(),
        String::new(),
    ]);
    title + &aligned(lines, [false, true, true, true, false])
}

fn block_line(block: &Block, note: String) -> [String; 5] {
    let shape = block.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
    [block.name.clone(), shape, block.offset.to_string(), block.len.to_string(), note]
}

/// What a layer computes, as a note.
fn makes(layer: &Layer) -> String {
    match layer.role {
        Role::Output => return "logits".into(),
        Role::Gate => return "gate".into(),
        Role::Hidden => {}
    }
    let activation = format!("{:?}", layer.activation).to_lowercase();
    if layer.dropout > 0.0 {
        format!("{activation}, dropout {}", layer.dropout)
    } else {
        activation
    }
}

/// The buffers of a program with their sizes, and the other memory that it takes on a device.
pub fn memory(program: &Program) -> String {
    let size = |bytes: u64| format!("{:.1}", bytes as f64 / 1024.0);
    let mut lines = vec![["buffer", "elements", "KiB"].map(String::from)];
    lines.extend(
        program.buffers.iter().map(|b| [b.name.clone(), b.len.to_string(), size(4 * b.len as u64)]),
    );
    let f = program.footprint();
    let elements = program.buffers.iter().map(|b| 4 * b.len as u64).sum::<u64>();
    let (padding, mirrors) = if program.shared_mirrors {
        (f.buffers + f.mirrors - elements, 0)
    } else {
        (f.buffers - elements, f.mirrors)
    };
    let others = [
        ("padding", padding),
        ("mirrors beside their buffers", mirrors),
        ("tables of steps and dispatches", f.tables),
        ("read-back of metrics", f.read_backs),
        ("zeros of wgpu", Footprint::ZEROS),
    ];
    lines.extend(others.map(|(name, bytes)| [name.into(), String::new(), size(bytes)]));
    lines.push(["total".into(), String::new(), size(program.bytes())]);
    aligned(lines, [false, true, true])
}

/// A table as text. Columns are as wide as their widest cell, and set to the right where `right`
/// says so.
pub fn aligned<const N: usize>(lines: Vec<[String; N]>, right: [bool; N]) -> String {
    let width = |column: usize| lines.iter().map(|l| l[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut out = String::new();
    for line in &lines {
        let cell = |c: usize| {
            if right[c] {
                format!("{:>1$}", line[c], widths[c])
            } else {
                format!("{:<1$}", line[c], widths[c])
            }
        };
        let text = (0..N).map(cell).collect::<Vec<_>>().join("  ");
        out += text.trim_end();
        out.push('\n');
    }
    out
}
