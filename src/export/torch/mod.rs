//! A model as a Python file, which rebuilds it with PyTorch and reads tables with numpy. It is
//! `model.py` of this room, with the parts that the model needs and with the nodes of its network.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::{Value, json};

use crate::config::Activation;
use crate::data::value::notation::Notation;
use crate::data::value::{alike, blanks};
use crate::data::{Column, Encoding, Input};
use crate::export::network::{chosen, needed};
use crate::export::spellings::spellings;
use crate::model::file::Model;
use crate::model::graph::{By, Node, NodeId, Op, Role, Rule, Source};

/// The file with all parts. A part lies between `# [NAME` and `# ]`, and may have parts inside.
const TEMPLATE: &str = include_str!("model.py");

/// The Python file of a model.
///
/// # Errors
/// Errors of the encoder of a column.
pub fn export(model: &Model) -> Result<String> {
    let nodes = nodes(model);
    let parts = parts(model, &nodes);
    let facts = facts(model, &nodes)?;
    let line = |line: &str| {
        let fact = facts.iter().find(|(name, _)| line.split(" = ").next() == Some(name));
        fact.map_or(line.to_owned(), |(name, value)| format!("{name} = {value}"))
    };
    let kept = within(TEMPLATE, &parts).into_iter().map(line);
    let text = kept.collect::<Vec<_>>().join("\n") + "\n";
    Ok(text.replace("VERSION", env!("CARGO_PKG_VERSION")))
}

/// The lines of a text but for parts that are not wanted.
fn within<'t>(text: &'t str, parts: &BTreeSet<&str>) -> Vec<&'t str> {
    let (mut open, mut kept): (Vec<bool>, Vec<&str>) = (Vec::new(), Vec::new());
    for line in text.lines() {
        match line.trim_start().strip_prefix("# ") {
            Some("]") => {
                open.pop();
            }
            Some(mark) if mark.starts_with('[') => open.push(parts.contains(&mark[1..])),
            // Parts that are left out leave no more than two empty lines behind.
            _ if line.is_empty() && kept.ends_with(&["", ""]) => {}
            _ if open.iter().all(|wanted| *wanted) => kept.push(line),
            _ => {}
        }
    }
    kept
}

/// The parts of the file that a model needs.
fn parts(model: &Model, nodes: &[Value]) -> BTreeSet<&'static str> {
    let (mut parts, reading) = (BTreeSet::new(), &model.schema.reading);
    for node in nodes {
        match node[1].as_str() {
            Some("constant") => parts.extend(["constants"]),
            Some("mask") => parts.extend(["masks"]),
            Some("sum") => parts.extend(["sums"]),
            Some("gate") => parts.extend(["gates"]),
            _ => {}
        }
        if node[4].is_array() {
            parts.extend(["selection"]);
        }
    }
    let Input::Columns { columns } = &model.schema.input else {
        parts.extend(["images"]);
        return parts;
    };
    parts.extend(["table", if reading.arrays.is_some() { "array" } else { "text" }]);
    parts.extend([if reading.header { "header" } else { "no header" }]);
    for column in columns {
        match &column.encoding {
            Encoding::Numeric { notation, truth, .. } => {
                parts.extend(["numbers", "blanks"]);
                parts.extend(truth.then_some("truths"));
                parts.extend((*notation != Notation::Plain).then_some("notations"));
                parts.extend((*notation != Notation::Plain).then_some("patterns"));
            }
            Encoding::Category { .. } => parts.extend(["categories", "values"]),
            Encoding::Binary { .. } => parts.extend(["binaries", "values"]),
            Encoding::Date { .. } => parts.extend(["dates", "blanks", "patterns"]),
            Encoding::Text { .. } => parts.extend(["words", "patterns"]),
            // Sentences are not exported.
            Encoding::Span => {}
        }
    }
    parts
}

/// The lines of the file that a model changes: a name, and its value.
fn facts(model: &Model, nodes: &[Value]) -> Result<Vec<(&'static str, String)>> {
    let lines: Vec<String> = nodes.iter().map(|node| format!("    {node},\n")).collect();
    let outputs: BTreeMap<&str, &str> = outputs(model).collect();
    let mut facts =
        vec![("NODES", format!("[\n{}]", lines.concat())), ("OUTPUTS", json!(outputs).to_string())];
    let Input::Columns { columns } = &model.schema.input else { return Ok(facts) };
    let (reading, mut spelt) = (&model.schema.reading, BTreeMap::new());
    for column in columns {
        let other = other_spellings(column, reading.blank_words)?;
        if !other.is_empty() {
            spelt.insert(&column.name, other);
        }
    }
    let words = |words: &[&str]| {
        let known = if reading.blank_words { words } else { &[] };
        let low: BTreeSet<String> = known.iter().map(|word| word.to_lowercase()).collect();
        set(low.into_iter().chain([String::new()].into_iter().filter(|_| reading.blank_words)))
    };
    let kinds: BTreeSet<&str> = columns.iter().map(|column| column.encoding.word()).collect();
    let kinds: Vec<String> =
        kinds.iter().map(|kind| format!("\"{kind}\": {}", function(kind))).collect();
    let truths: BTreeMap<&str, u8> = alike::truths()
        .filter(|word| word.chars().all(char::is_alphabetic))
        .filter_map(|word| Some((word, u8::from(alike::truth(word)?))))
        .collect();
    let exact = if reading.blank_words { blanks::ANYWHERE } else { &[] };
    let exact = exact.iter().map(|word| (*word).to_owned()).chain([String::new()]);
    facts.extend([
        ("SPELT", json!(spelt).to_string()),
        ("BLANK", words(&[blanks::ANYWHERE, blanks::BETWEEN].concat())),
        ("NO_WORDS", set(exact)),
        ("TRUTHS", json!(truths).to_string()),
        ("KINDS", format!("{{{}}}", kinds.join(", "))),
        ("DELIMITER", delimiter(reading.delimiter)),
    ]);
    Ok(facts)
}

/// A delimiter in Python; `None` = it is found from the first line.
fn delimiter(known: Option<char>) -> String {
    known.map_or("None".to_owned(), |known| json!(known.to_string()).to_string())
}

/// A set in Python.
fn set(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.map(|word| json!(word).to_string()).collect();
    if words.is_empty() { "set()".to_owned() } else { format!("{{{}}}", words.join(", ")) }
}

/// The function of the file that encodes columns of a kind.
fn function(kind: &str) -> &str {
    if kind == "text" { "words" } else { kind }
}

/// The codes of the texts that are no values of a column as they stand in its schema.
fn other_spellings(column: &Column, blank_words: bool) -> Result<BTreeMap<String, u32>> {
    let values = match &column.encoding {
        Encoding::Category { values, .. } => &values[..],
        Encoding::Binary { values, .. } => &values[..],
        _ => return Ok(BTreeMap::new()),
    };
    let is_binary = matches!(column.encoding, Encoding::Binary { .. });
    let code = |slot: u32| if is_binary { f32::from_bits(slot) as u32 } else { slot };
    let all = spellings(column, blank_words)?;
    // A value that means "blank" has the code of blanks.
    let is_other = |(text, code): &(String, u32)| values.get(*code as usize) != Some(text);
    Ok(all.into_iter().map(|s| (s.text, code(s.slots[0]))).filter(is_other).collect())
}

/// The node of each task that makes its logits.
fn outputs(model: &Model) -> impl Iterator<Item = (&str, &str)> {
    let nodes = model.layout.graph.nodes().filter(|(_, node)| node.role == Role::Output);
    nodes.filter_map(|(_, node)| {
        let task = model.network.tasks.get(node.owner.task()?)?;
        Some((task.name.as_str(), node.name.as_str()))
    })
}

/// The nodes on which an output depends, as lists: name, kind, what it reads.
fn nodes(model: &Model) -> Vec<Value> {
    let needed = needed(model);
    let nodes = model.layout.graph.nodes().filter(|(id, _)| needed[id.0]);
    nodes.map(|(_, node)| listed(model, node)).collect()
}

fn listed(model: &Model, node: &Node) -> Value {
    let name = |id: &NodeId| model.layout.graph[*id].name.clone();
    let names = |ids: &[NodeId]| ids.iter().map(name).collect::<Vec<String>>();
    if let Some(term) = chosen(model, node) {
        return json!([node.name, "sum", [name(&term)]]);
    }
    match &node.op {
        Op::Dense { source, activation, .. } => {
            let from = match source {
                Source::Inputs => "inputs".to_owned(),
                Source::Node(from) => name(from),
            };
            json!([node.name, "dense", from, word(*activation)])
        }
        Op::Constant => json!([node.name, "constant"]),
        Op::Mix { terms, by: By::Sum | By::Pool(_) } => json!([node.name, "sum", names(terms)]),
        Op::Mix { terms, by: By::Mask(gates) } => {
            json!([node.name, "mask", name(&terms[0]), names(gates)])
        }
        Op::Mix { terms, by: By::Gate { gate, rule } } => {
            let rule = match rule {
                Rule::Softmax => json!("softmax"),
                Rule::Select { select, smooth, .. } => json!([select, smooth]),
                Rule::Linear | Rule::Gumbel { .. } => json!("linear"),
            };
            json!([node.name, "gate", names(terms), name(gate), rule])
        }
    }
}

fn word(activation: Activation) -> String {
    activation.to_string()
}
