//! A graph that is being written: values by name, each made by one node.

use std::collections::HashSet;

use super::proto::{self, Attribute, Dimension, ML, Node, Shape, Tensor, TensorType, Type};
use super::proto::{ValueInfo, ValueType};

/// The name of a value of the graph.
pub type Value = String;

/// The name of the dimension that counts rows.
const ROWS: &str = "rows";

/// A graph that is being written. Names are handed out once each.
#[derive(Debug, Default)]
pub struct Graph {
    graph: proto::Graph,
    taken: HashSet<String>,
}

/// A setting of an operator, with its name.
pub type Setting<'s> = (&'s str, Content<'s>);

/// The value of a setting.
pub enum Content<'s> {
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f32),
    /// Whole numbers.
    Ints(&'s [i64]),
    /// Numbers.
    Floats(&'s [f32]),
    /// Texts.
    Texts(&'s [String]),
}

impl Graph {
    /// A name that nothing has yet: the wanted one, or the wanted one with a number.
    fn free(&mut self, wanted: &str) -> String {
        let numbered = |n: usize| if n == 1 { wanted.to_owned() } else { format!("{wanted}_{n}") };
        let free = (1..).map(numbered).find(|name| !self.taken.contains(name));
        let name = free.unwrap_or_default();
        self.taken.insert(name.clone());
        name
    }

    /// Keeps names for inputs and outputs, so that no value inside gets them.
    pub fn reserve<'n>(&mut self, names: impl Iterator<Item = &'n String>) {
        self.taken.extend(names.cloned());
    }

    /// Adds an input of the graph under a reserved name; its shape is `rows`, then `dims`.
    pub fn input(&mut self, name: &str, of: Type, dims: &[usize], doc: String) -> Value {
        self.graph.input.push(info(name, of, dims, doc));
        name.to_owned()
    }

    /// Makes `value`, which no node reads, an output of the graph under a reserved name; its shape
    /// is `rows`, then `dims`.
    pub fn output(&mut self, value: &Value, name: &str, of: Type, dims: &[usize], doc: String) {
        let makers = self.graph.node.iter_mut().flat_map(|node| &mut node.output);
        makers.filter(|made| *made == value).for_each(|made| name.clone_into(made));
        self.graph.output.push(info(name, of, dims, doc));
    }

    /// Adds an operator with one output.
    pub fn node(&mut self, op: &str, inputs: &[&Value], settings: &[Setting]) -> Value {
        self.nodes(op, inputs, settings, 1).remove(0)
    }

    /// Adds an operator with several outputs.
    pub fn nodes(
        &mut self,
        op: &str,
        inputs: &[&Value],
        settings: &[Setting],
        outputs: usize,
    ) -> Vec<Value> {
        let output: Vec<Value> = (0..outputs).map(|_| self.free(op)).collect();
        self.graph.node.push(Node {
            input: inputs.iter().map(|value| (*value).clone()).collect(),
            output: output.clone(),
            name: output[0].clone(),
            op_type: op.to_owned(),
            attribute: settings.iter().map(attribute).collect(),
            domain: if op == "LabelEncoder" { ML.to_owned() } else { String::new() },
        });
        output
    }

    /// Adds an operator on elements of some type.
    pub fn cast(&mut self, value: &Value, to: Type) -> Value {
        self.node("Cast", &[value], &[("to", Content::Int(to as i64))])
    }

    /// Puts values side by side; one value stays as it is.
    pub fn beside(&mut self, values: &[Value]) -> Value {
        match values {
            [one] => one.clone(),
            _ => {
                let values: Vec<&Value> = values.iter().collect();
                self.node("Concat", &values, &[("axis", Content::Int(1))])
            }
        }
    }

    /// Adds numbers of 32 bits.
    pub fn floats(&mut self, name: &str, dims: &[usize], numbers: &[f32]) -> Value {
        self.tensor(name, Type::Float, dims, numbers.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    /// Adds numbers of 64 bits.
    pub fn doubles(&mut self, name: &str, dims: &[usize], numbers: &[f64]) -> Value {
        let bytes = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.tensor(name, Type::Double, dims, bytes)
    }

    /// Adds whole numbers.
    pub fn ints(&mut self, name: &str, dims: &[usize], numbers: &[i64]) -> Value {
        self.tensor(name, Type::Int64, dims, numbers.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    fn tensor(&mut self, name: &str, of: Type, dims: &[usize], bytes: Vec<u8>) -> Value {
        self.initializer(Tensor { raw_data: Some(bytes), ..tensor(of, dims) }, name)
    }

    /// Adds a list of texts.
    pub fn texts(&mut self, name: &str, texts: &[String]) -> Value {
        let string_data = texts.iter().map(|text| text.clone().into_bytes()).collect();
        self.initializer(Tensor { string_data, ..tensor(Type::String, &[texts.len()]) }, name)
    }

    fn initializer(&mut self, tensor: Tensor, name: &str) -> Value {
        let name = self.free(name);
        self.graph.initializer.push(Tensor { name: name.clone(), ..tensor });
        name
    }

    /// The graph.
    pub fn finish(self, name: &str) -> proto::Graph {
        proto::Graph { name: name.to_owned(), ..self.graph }
    }
}

/// A tensor without content.
fn tensor(of: Type, dims: &[usize]) -> Tensor {
    let dims = dims.iter().map(|dim| *dim as i64).collect();
    Tensor { dims, data_type: of as i32, ..Tensor::default() }
}

fn attribute((name, content): &Setting) -> Attribute {
    let empty = Attribute { name: (*name).to_owned(), ..Attribute::default() };
    match content {
        Content::Float(f) => Attribute { f: Some(*f), r#type: 1, ..empty },
        Content::Int(i) => Attribute { i: Some(*i), r#type: 2, ..empty },
        Content::Floats(floats) => Attribute { floats: floats.to_vec(), r#type: 6, ..empty },
        Content::Ints(ints) => Attribute { ints: ints.to_vec(), r#type: 7, ..empty },
        Content::Texts(texts) => {
            let strings = texts.iter().map(|text| text.clone().into_bytes()).collect();
            Attribute { strings, r#type: 8, ..empty }
        }
    }
}

fn info(name: &str, of: Type, dims: &[usize], doc_string: String) -> ValueInfo {
    let rows = Dimension { dim_value: None, dim_param: Some(ROWS.to_owned()) };
    let number = |dim: &usize| Dimension { dim_value: Some(*dim as i64), dim_param: None };
    let dim = std::iter::once(rows).chain(dims.iter().map(number)).collect();
    let tensor = TensorType { elem_type: of as i32, shape: Some(Shape { dim }) };
    let r#type = Some(ValueType { tensor_type: Some(tensor) });
    ValueInfo { name: name.to_owned(), r#type, doc_string }
}
