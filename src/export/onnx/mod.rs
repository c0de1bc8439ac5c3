//! A model as an ONNX file: operators of ONNX 17 and of `ai.onnx.ml` 3. It takes the columns of the
//! table as they come and gives what `predict` writes.

mod graph;
mod inputs;
mod network;
mod numbers;
mod outputs;
mod proto;

use anyhow::Result;
use prost::Message;
use serde_json::{Map, Value, json};

use crate::fault::{Exit, Fault};
use crate::model::file::{self, Model, arena};
use crate::model::network::Head;
use graph::Graph;
use proto::{IR_VERSION, OPERATORS, OperatorSet, Property};

/// The largest number of bytes of a protobuf message.
const MOST_BYTES: usize = i32::MAX as usize;

/// A model as an ONNX file.
pub struct Onnx {
    /// The file.
    pub bytes: Vec<u8>,
    /// Names of the inputs, in order.
    pub inputs: Vec<String>,
    /// Names of the outputs, in order.
    pub outputs: Vec<String>,
    /// Columns that enter as encoded numbers, each with what its input takes.
    pub encoded: Vec<(String, String)>,
    /// Sentences about names.
    pub notes: Vec<String>,
}

/// Writes a model.
///
/// # Errors
/// 65 if the file would be larger than protobuf can read.
pub fn export(model: &Model) -> Result<Onnx> {
    let inputs = inputs::names(&model.schema);
    let (names, notes) = outputs::names(model, &inputs);
    let all = |n: &outputs::Names| n.prediction.iter().chain(&n.probabilities).cloned().collect();
    let outputs: Vec<String> = names.iter().flat_map(|n| -> Vec<String> { all(n) }).collect();
    let encoded = inputs::encoded_columns(&model.schema);
    let mut graph = Graph::default();
    graph.reserve(inputs.iter().chain(&outputs));
    let x = inputs::inputs(model, &mut graph)?;
    let logits = network::logits(model, &mut graph, x);
    let tasks = model.network.tasks.iter().zip(&model.schema.targets);
    for (((head, target), logits), names) in tasks.zip(&logits).zip(&names) {
        outputs::outputs(&mut graph, head, target, logits, names);
    }
    let operators =
        OPERATORS.map(|(domain, version)| OperatorSet { domain: domain.to_owned(), version });
    let written = proto::Model {
        ir_version: IR_VERSION,
        producer_name: "tandem".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        doc_string: doc(&encoded),
        graph: Some(graph.finish("tandem")),
        opset_import: operators.into(),
        metadata_props: properties(model)?,
    };
    if written.encoded_len() > MOST_BYTES {
        let found =
            format!("{} bytes as ONNX, which is limited to {MOST_BYTES}", written.encoded_len());
        return Err(Fault::new(Exit::Data, format!("{}: {found}", model.directory.display()))
            .hint("export it with --format torch, which has no limit")
            .into());
    }
    Ok(Onnx { bytes: written.encode_to_vec(), inputs, outputs, encoded, notes })
}

/// What a user of the file has to know.
fn doc(encoded: &[(String, String)]) -> String {
    let mut doc =
        "Written by tandem. Inputs take the cells of the table: numbers, NaN where blank; \
                   texts without blanks around them, \"\" where blank."
            .to_owned();
    for (column, what) in encoded {
        doc += &format!(" Input {column}: {what}.");
    }
    doc
}

/// Facts about the model: its tasks, and the hash of its weights.
fn properties(model: &Model) -> Result<Vec<Property>> {
    let weights = arena::to_bytes(&model.layout, &model.parameters)?;
    let tasks: Map<String, Value> = model.network.tasks.iter().map(task).collect();
    let facts = [
        ("tasks", Value::Object(tasks).to_string()),
        ("format", file::FORMAT.to_string()),
        ("model.safetensors.blake3", blake3::hash(&weights).to_hex().to_string()),
    ];
    let property = |(key, value): (&str, String)| Property { key: key.to_owned(), value };
    Ok(facts.into_iter().map(property).collect())
}

fn task(head: &Head) -> (String, Value) {
    let mut facts = json!({"type": head.kind});
    if !head.classes.is_empty() {
        facts["classes"] = json!(head.classes);
    }
    if !head.columns.is_empty() {
        facts["columns"] = json!(head.columns);
    }
    if let Some(threshold) = head.threshold {
        facts["threshold"] = json!(threshold);
    }
    (head.name.clone(), facts)
}
