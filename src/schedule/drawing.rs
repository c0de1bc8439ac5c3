//! A network as text or as a graph for Graphviz, and which tasks share its parameters.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::show::aligned;
use crate::config::Activation;
use crate::model::graph::{By, Graph, Node, NodeId, Op, Role, Rule, Source, gates};
use crate::model::layout::Layout;
use crate::model::network::Network;

/// Longest list of names in a line.
const MOST_NAMES: usize = 4;

/// What a node reads, in words.
fn reads(graph: &Graph, node: &Node) -> String {
    let name = |id: &NodeId| graph[*id].name.clone();
    match &node.op {
        Op::Dense { source: Source::Inputs, .. } => "inputs".into(),
        Op::Dense { source: Source::Node(from), .. } => name(from),
        Op::Constant => String::new(),
        Op::Mix { terms, by } => {
            let mut names: Vec<String> = terms.iter().map(name).collect();
            let more = names.len().saturating_sub(MOST_NAMES);
            if more > 1 {
                names.truncate(MOST_NAMES - 1);
                names.push(format!("… ({} more)", more + 1));
            }
            let by: Vec<String> = gates(by).iter().map(name).collect();
            match by.is_empty() {
                true => names.join(" + "),
                false => format!("{}; {}", names.join(" + "), by.join(" + ")),
            }
        }
    }
}

/// How the values of a node are computed, in words.
fn makes(node: &Node) -> String {
    match &node.op {
        Op::Dense { activation: Activation::Identity, .. } => "dense".into(),
        Op::Dense { activation, .. } => format!("dense, {activation}"),
        Op::Constant => "learned numbers".into(),
        Op::Mix { by, terms } => match by {
            By::Sum if terms.len() == 1 => "copy".into(),
            By::Sum => "sum".into(),
            By::Mask(_) => "masked by sigmoid".into(),
            By::Pool(pool) => format!("{pool} over the sentence"),
            By::Gate { rule: Rule::Linear, .. } => "weighted sum".into(),
            By::Gate { rule: Rule::Softmax, .. } => "weighted by softmax".into(),
            By::Gate { rule: Rule::Select { select, .. }, .. } => format!("{select} are chosen"),
            By::Gate { rule: Rule::Gumbel { .. }, .. } => "one is chosen".into(),
        },
    }
}

/// The nodes of a network as a table with one line per node, in the order in which they run.
pub fn graph(network: &Network, layout: &Layout) -> String {
    let (graph, levels) = (&layout.graph, layout.graph.levels());
    let mut order: Vec<(NodeId, &Node)> = graph.nodes().collect();
    order.sort_by_key(|(id, _)| (levels[id.0], *id));
    let head = ["level", "node", "width", "values", "reads"].map(String::from);
    let inputs = ["0", "inputs", &network.inputs.to_string(), "", ""].map(String::from);
    let line = |(id, node): (NodeId, &Node)| {
        let (level, width) = (levels[id.0].to_string(), node.width.to_string());
        [level, node.name.clone(), width, makes(node), reads(graph, node)]
    };
    let lines = [head, inputs].into_iter().chain(order.into_iter().map(line));
    aligned(lines.collect(), [true, false, true, false, false])
}

/// Which tasks share how many parameters.
#[derive(Clone, Debug)]
pub struct Sharing {
    /// The tasks that read some parameters, by number, with how many these are; the largest group
    /// of tasks first.
    pub groups: Vec<(Vec<usize>, usize)>,
    /// For each task the number of parameters that its prediction takes.
    pub needed: Vec<usize>,
}

impl Sharing {
    /// Counts the parameters of a network.
    pub fn of(network: &Network, layout: &Layout) -> Sharing {
        let tasks = network.tasks.len();
        let needed: Vec<Vec<bool>> = (0..tasks).map(|t| layout.graph.needed_by(t)).collect();
        let mut groups: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        let size = |block: usize| layout.blocks[block].len;
        let layers = layout.layers.iter().map(|l| (l.node, size(l.weight) + size(l.weight + 1)));
        let constants = layout.constants.iter().map(|c| (c.node, size(c.block)));
        for (node, parameters) in layers.chain(constants) {
            let readers = (0..tasks).filter(|task| needed[*task][node.0]).collect();
            *groups.entry(readers).or_default() += parameters;
        }
        let embeddings: usize = layout.embeddings().iter().map(|b| b.len).sum();
        if embeddings > 0 {
            *groups.entry((0..tasks).collect()).or_default() += embeddings;
        }
        let of_task = |task: usize| {
            groups.iter().filter(|(readers, _)| readers.contains(&task)).map(|(_, n)| n).sum()
        };
        let needed = (0..tasks).map(of_task).collect();
        let mut groups: Vec<(Vec<usize>, usize)> = groups.into_iter().collect();
        groups.sort_by_key(|(readers, _)| std::cmp::Reverse(readers.len()));
        Sharing { groups, needed }
    }

    /// As a JSON object.
    pub fn json(&self, network: &Network) -> Value {
        let name = |task: &usize| network.tasks[*task].name.as_str();
        let group = |(readers, parameters): &(Vec<usize>, usize)| {
            let tasks: Vec<&str> = readers.iter().map(name).collect();
            json!({"tasks": tasks, "parameters": parameters})
        };
        let needed = network.tasks.iter().zip(&self.needed);
        let needed: serde_json::Map<String, Value> =
            needed.map(|(task, n)| (task.name.clone(), json!(n))).collect();
        let groups: Vec<Value> = self.groups.iter().map(group).collect();
        json!({"groups": groups, "needed": needed})
    }
}

/// Which tasks share how many parameters, and how many each task's prediction takes.
pub fn sharing(network: &Network, layout: &Layout) -> String {
    let sharing = Sharing::of(network, layout);
    let all = layout.parameters();
    let share = |n: usize| format!("{:.1} %", 100.0 * n as f64 / all.max(1) as f64);
    let name = |task: &usize| network.tasks[*task].name.clone();
    let mut lines = vec![["parameters", "share", "read by"].map(String::from)];
    let mut own = 0;
    for (readers, parameters) in &sharing.groups {
        let names: Vec<String> = readers.iter().map(name).collect();
        let line = match readers.len() {
            0 => "no task".into(),
            1 => {
                own += parameters;
                continue;
            }
            n if n == network.tasks.len() => "all tasks".into(),
            n if n > MOST_NAMES => format!("{n} tasks: {}, …", names[..MOST_NAMES].join(", ")),
            _ => names.join(", "),
        };
        lines.push([parameters.to_string(), share(*parameters), line]);
    }
    lines.push([own.to_string(), share(own), "one task alone".into()]);
    let mut text = aligned(lines, [true, true, false]);
    let needed: Vec<String> = (network.tasks.iter().zip(&sharing.needed))
        .take(MOST_NAMES)
        .map(|(task, n)| format!("{} {n}", task.name))
        .collect();
    let more = network.tasks.len() - needed.len();
    let more = if more > 0 { format!(", … ({more} more)") } else { String::new() };
    let _ = writeln!(text, "a prediction takes: {}{more}", needed.join(", "));
    text
}

/// The graph in the language of Graphviz: dense layers are boxes, mixes are ellipses, gates are
/// diamonds.
pub fn dot(network: &Network, layout: &Layout) -> String {
    let graph = &layout.graph;
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut text = String::from("digraph network {\n  rankdir = BT;\n");
    let _ = writeln!(text, "  inputs [shape = plaintext, label = \"{} inputs\"];", network.inputs);
    for (NodeId(id), node) in graph.nodes() {
        let shape = match (&node.op, node.role) {
            (Op::Mix { .. }, _) => "ellipse",
            (_, Role::Gate) => "diamond",
            _ => "box",
        };
        let label = quoted(&format!("{}\n{} × {}", node.name, node.width, makes(node)));
        let label = label.replace('\n', "\\n");
        let _ = writeln!(text, "  n{id} [shape = {shape}, label = {label}];");
        let from_inputs = matches!(node.op, Op::Dense { source: Source::Inputs, .. });
        if from_inputs {
            let _ = writeln!(text, "  inputs -> n{id};");
        }
        for NodeId(from) in graph.reads(NodeId(id)) {
            let is_gate = graph[NodeId(from)].role == Role::Gate;
            let style = if is_gate { " [style = dashed]" } else { "" };
            let _ = writeln!(text, "  n{from} -> n{id}{style};");
        }
    }
    text + "}\n"
}

/// The learned numbers of a network by which it mixes columns, and the tree that it has chosen; an
/// empty text where it has none. `parameters` is its arena.
pub fn learned(network: &Network, layout: &Layout, parameters: &[f32]) -> String {
    let mut lines: Vec<[String; 2]> = Vec::new();
    for id in layout.graph.mixes() {
        let Op::Mix { terms, by: By::Gate { gate, rule } } = &layout.graph[id].op else { continue };
        let Some(constant) = layout.constants.iter().find(|c| c.node == *gate) else { continue };
        let block = &layout.blocks[constant.block];
        let values = &parameters[block.offset..][..block.len];
        let names = terms.iter().map(|term| layout.graph[*term].name.as_str());
        let says = match rule {
            Rule::Linear => {
                let each: Vec<String> =
                    names.zip(values).map(|(name, value)| format!("{value:.4} {name}")).collect();
                each.join(" + ")
            }
            Rule::Gumbel { .. } => names.collect::<Vec<_>>()[largest(values)].to_owned(),
            Rule::Softmax | Rule::Select { .. } => continue,
        };
        lines.push([block.name.trim_end_matches(".weight").to_owned(), says]);
    }
    let tree = chosen_branches(network, layout, parameters);
    let tree = tree.map_or(String::new(), |branches| {
        format!("the tree that was learned: branches = {branches:?}\n")
    });
    let title = if lines.is_empty() { "" } else { "learned\n" };
    format!("{title}{}{tree}", aligned(lines, [false, false]))
}

/// The place of the first of the largest.
fn largest(values: &[f32]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

/// The tree that a network has chosen, as `branches` of a configuration: the tasks that share each
/// layer. Nodes that no task has chosen are left out.
pub fn chosen_branches(
    network: &Network,
    layout: &Layout,
    parameters: &[f32],
) -> Option<Vec<Vec<Vec<String>>>> {
    let chooses = |(_, node): (NodeId, &Node)| {
        matches!(node.op, Op::Mix { by: By::Gate { rule: Rule::Gumbel { .. }, .. }, .. })
    };
    let is_learned = layout.graph.nodes().any(chooses);
    let choice = |name: String| {
        let block = layout.blocks.iter().find(|block| block.name == name)?;
        Some(largest(parameters.get(block.offset..block.offset + block.len)?))
    };
    let depth = network.trunk.layers.len();
    let mut branches = vec![BTreeMap::<usize, Vec<String>>::new(); depth];
    for task in network.tasks.iter().filter(|_| is_learned) {
        let mut node = choice(format!("task.{}.parent.weight", task.name))?;
        for layer in (0..depth).rev() {
            branches[layer].entry(node).or_default().push(task.name.clone());
            if layer > 0 {
                node = choice(format!("branch.{layer}.{node}.parent.weight"))?;
            }
        }
    }
    let groups = |layer: BTreeMap<usize, Vec<String>>| layer.into_values().collect();
    is_learned.then(|| branches.into_iter().map(groups).collect())
}
