//! The inputs of a graph, which take the cells of a table as they come, and the operators that
//! encode them as training did.

use anyhow::Result;

use super::graph::{Content, Graph, Value};
use super::numbers::encoded;
use super::proto::Type;
use crate::data::{Column, Encoding, Input, Schema};
use crate::export::spellings::{Spelling, spellings};
use crate::model::file::Model;
use crate::text::short;

/// The name of the input of images.
const IMAGES: &str = "image";
/// The name of the input of the columns of an array.
const FEATURES: &str = "features";

/// The names of the inputs of a model, in order.
pub fn names(schema: &Schema) -> Vec<String> {
    match &schema.input {
        Input::Image { .. } => vec![IMAGES.to_owned()],
        Input::Columns { columns } if is_array(schema, columns) => vec![FEATURES.to_owned()],
        Input::Columns { columns } => columns.iter().map(|column| column.name.clone()).collect(),
    }
}

/// Whether the columns come from an array or from indices, so that they are one input.
fn is_array(schema: &Schema, columns: &[Column]) -> bool {
    let has_no_names = schema.reading.arrays.is_some() || schema.reading.indices.is_some();
    let is_number = |column: &Column| matches!(column.encoding, Encoding::Numeric { .. });
    has_no_names && columns.iter().all(is_number)
}

/// The columns that ONNX cannot encode, each with what its input takes.
pub fn encoded_columns(schema: &Schema) -> Vec<(String, String)> {
    let Input::Columns { columns } = &schema.input else { return Vec::new() };
    columns.iter().filter_map(|c| Some((c.name.clone(), encoding_of(&c.encoding)?))).collect()
}

/// What an input takes where ONNX cannot encode the cells of its column.
fn encoding_of(encoding: &Encoding) -> Option<String> {
    match encoding {
        Encoding::Date { time, indicator, .. } => {
            let hour = if *time { ", sine and cosine of the hour" } else { "" };
            let blank = if *indicator { ", 1 for a blank" } else { "" };
            Some(format!(
                "a date as its encoded numbers: scaled years, sine and cosine of the month, day \
                 of the month, sine and cosine of the weekday{hour}{blank}"
            ))
        }
        Encoding::Text { buckets, words, .. } if words.is_empty() => {
            Some(format!("a text as the number of its words in each of {buckets} buckets"))
        }
        Encoding::Text { words, .. } => Some(format!(
            "a text as how often each of the {} words of schema.json occurs in it",
            words.len()
        )),
        _ => None,
    }
}

/// Adds the inputs of a model, with what encodes them. Returns the inputs of the network,
/// [rows, inputs].
///
/// # Errors
/// Errors of the encoder of a column.
pub fn inputs(model: &Model, graph: &mut Graph) -> Result<Value> {
    let schema = &model.schema;
    match &schema.input {
        Input::Image { height, width, channels: 1, scale, .. } => {
            Ok(images(graph, &[*height, *width], "grey values, 0 to 255", *scale))
        }
        Input::Image { height, width, channels, scale, .. } => {
            let doc = "red, green and blue of each pixel, 0 to 255";
            Ok(images(graph, &[*height, *width, *channels], doc, *scale))
        }
        Input::Columns { columns } if is_array(schema, columns) => {
            let doc = format!("{} columns in the order of training; NaN = blank", columns.len());
            let x = graph.input(FEATURES, Type::Double, &[columns.len()], doc);
            let all: Vec<&Column> = columns.iter().collect();
            let mut blocks = Blocks::default();
            blocks.add_numbers(graph, &x, &all, &places(&schema.input));
            Ok(blocks.joined(graph))
        }
        Input::Columns { columns } => table(model, graph, columns),
    }
}

fn images(graph: &mut Graph, size: &[usize], doc: &str, scale: f32) -> Value {
    let x = graph.input(IMAGES, Type::Uint8, size, doc.into());
    let x = graph.cast(&x, Type::Float);
    let scale = graph.floats("scale", &[], &[scale]);
    let x = graph.node("Mul", &[&x, &scale], &[]);
    graph.node("Flatten", &[&x], &[("axis", Content::Int(1))])
}

/// The first input of the network that each column makes.
fn places(input: &Input) -> Vec<usize> {
    let spread = input.spread();
    let Input::Columns { columns } = input else { return Vec::new() };
    if !spread.is_empty() {
        return spread.iter().map(|spread| spread.input).collect();
    }
    let mut next = 0;
    let place = |column: &Column| {
        next += column.width();
        next - column.width()
    };
    columns.iter().map(place).collect()
}

/// Values that are to stand side by side.
#[derive(Default)]
pub(super) struct Blocks {
    values: Vec<Value>,
    /// The place among the inputs of the network of each number of the values.
    order: Vec<usize>,
}

impl Blocks {
    /// Adds a value [rows, n] whose numbers have these places.
    pub(super) fn add(&mut self, value: Value, places: impl IntoIterator<Item = usize>) {
        self.values.push(value);
        self.order.extend(places);
    }

    /// Adds columns of numbers, whose cells are `x` [rows, columns].
    fn add_numbers(&mut self, graph: &mut Graph, x: &Value, columns: &[&Column], at: &[usize]) {
        let (numbers, indicators) = encoded(graph, x, columns);
        self.add(numbers, at.iter().copied());
        if let Some((indicators, has)) = indicators {
            self.add(indicators, has.into_iter().map(|column| at[column] + 1));
        }
    }

    /// All values side by side, with each number in its place.
    fn joined(self, graph: &mut Graph) -> Value {
        let joined = graph.beside(&self.values);
        if self.order.is_sorted() {
            return joined;
        }
        let mut from = vec![0; self.order.len()];
        self.order.iter().zip(0..).for_each(|(place, at)| from[*place] = at);
        let from = graph.ints("order", &[from.len()], &from);
        graph.node("Gather", &[&joined, &from], &[("axis", Content::Int(1))])
    }
}

/// The inputs of the columns of a table.
fn table(model: &Model, graph: &mut Graph, columns: &[Column]) -> Result<Value> {
    let places = places(&model.schema.input);
    let blank_words = model.schema.reading.blank_words;
    let (mut blocks, mut learned) = (Blocks::default(), model.layout.embeddings().iter());
    let (mut cells, mut numbers, mut at) = (Vec::new(), Vec::new(), Vec::new());
    for (column, &place) in columns.iter().zip(&places) {
        let vectors = (column.vectors() > 0).then(|| learned.next()).flatten().map(|block| {
            let numbers = &model.parameters[block.offset..][..block.len];
            graph.floats(&block.name, &block.shape, numbers)
        });
        let (name, width) = (&column.name, place..place + column.width());
        match &column.encoding {
            Encoding::Numeric { .. } => {
                cells.push(graph.input(name, Type::Double, &[1], numbers_doc(column)));
                numbers.push(column);
                at.push(place);
            }
            Encoding::Category { values, .. } => {
                let doc = format!("text, one of {} values; \"\" = blank", values.len());
                let x = graph.input(name, Type::String, &[1], doc);
                let code = code(graph, &x, column, blank_words)?;
                blocks.add(category(graph, &code, column.codes(), vectors), width);
            }
            Encoding::Binary { indicator, mean, .. } => {
                let x = graph.input(name, Type::String, &[1], "text; \"\" = blank".into());
                let (value, other) = binary(graph, &x, column, *mean as f32, blank_words)?;
                blocks.add(value, [place]);
                if *indicator {
                    blocks.add(other, [place + 1]);
                }
            }
            Encoding::Date { .. } => {
                let doc = encoding_of(&column.encoding).unwrap_or_default();
                blocks.add(graph.input(name, Type::Float, &[column.width()], doc), width);
            }
            // Models of sentences are refused before.
            Encoding::Span => {}
            Encoding::Text { buckets, scale, .. } => {
                let doc = encoding_of(&column.encoding).unwrap_or_default();
                let x = graph.input(name, Type::Float, &[*buckets], doc);
                let scale = graph.floats("scale", &[], &[*scale]);
                let x = graph.node("Mul", &[&x, &scale], &[]);
                let x = vectors.iter().fold(x, |x, v| graph.node("MatMul", &[&x, v], &[]));
                blocks.add(x, width);
            }
        }
    }
    if !numbers.is_empty() {
        let x = graph.beside(&cells);
        blocks.add_numbers(graph, &x, &numbers, &at);
    }
    Ok(blocks.joined(graph))
}

fn numbers_doc(column: &Column) -> String {
    let Encoding::Numeric { offset, factor, .. } = column.encoding else { return String::new() };
    let (offset, factor) = (short(offset), short(factor));
    format!("number, becomes (x - {offset}) * {factor}; NaN = blank")
}

/// The codes of the values of a category, [rows, 1].
fn code(graph: &mut Graph, x: &Value, column: &Column, blank_words: bool) -> Result<Value> {
    let known = spellings(column, blank_words)?;
    let keys: Vec<String> = known.iter().map(|spelling| spelling.text.clone()).collect();
    let codes: Vec<i64> = known.iter().map(|spelling| i64::from(spelling.slots[0])).collect();
    let rest = column.rest().unwrap_or_default() as i64;
    if keys.is_empty() {
        // LabelEncoder wants a key: that of blanks means no more than others here.
        return Ok(encoder(graph, x, &[String::new()], Codes::Ints(&[rest], rest)));
    }
    Ok(encoder(graph, x, &keys, Codes::Ints(&codes, rest)))
}

/// What a LabelEncoder gives for each key, and for other texts.
enum Codes<'c> {
    Ints(&'c [i64], i64),
    Floats(&'c [f32], f32),
}

fn encoder(graph: &mut Graph, x: &Value, keys: &[String], codes: Codes) -> Value {
    let keys = ("keys_strings", Content::Texts(keys));
    let (values, default) = match codes {
        Codes::Ints(codes, default) => {
            (("values_int64s", Content::Ints(codes)), ("default_int64", Content::Int(default)))
        }
        Codes::Floats(numbers, default) => (
            ("values_floats", Content::Floats(numbers)),
            ("default_float", Content::Float(default)),
        ),
    };
    graph.node("LabelEncoder", &[x], &[keys, values, default])
}

/// One input per code, or the learned vector of the code.
fn category(graph: &mut Graph, code: &Value, codes: usize, vectors: Option<Value>) -> Value {
    if let Some(vectors) = vectors {
        let found = graph.node("Gather", &[&vectors, code], &[("axis", Content::Int(0))]);
        return graph.node("Flatten", &[&found], &[("axis", Content::Int(1))]);
    }
    let all: Vec<i64> = (0..codes as i64).collect();
    let all = graph.ints("codes", &[1, codes], &all);
    let is_code = graph.node("Equal", &[code, &all], &[]);
    graph.cast(&is_code, Type::Float)
}

/// The number of a cell of two values, and 1 where it is neither of them; both [rows, 1].
fn binary(
    graph: &mut Graph,
    x: &Value,
    column: &Column,
    mean: f32,
    blank_words: bool,
) -> Result<(Value, Value)> {
    let known = spellings(column, blank_words)?;
    let keys: Vec<String> = known.iter().map(|spelling| spelling.text.clone()).collect();
    let number = |spelling: &Spelling| f32::from_bits(spelling.slots[0]);
    let numbers: Vec<f32> = known.iter().map(number).collect();
    let value = encoder(graph, x, &keys, Codes::Floats(&numbers, mean));
    let is_known = vec![0.0; keys.len()];
    Ok((value, encoder(graph, x, &keys, Codes::Floats(&is_known, 1.0))))
}
