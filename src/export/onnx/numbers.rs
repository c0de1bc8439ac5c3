//! Columns of numbers: blanks, numbers far outside of the range of training, scales. All columns go
//! through each operator together, in 64 bits, as training computes them.

use super::graph::{Content, Graph, Value};
use super::proto::Type;
use crate::data::{Column, Encoding};

/// The numbers of columns as vectors, one entry per column.
#[derive(Default)]
struct Vectors {
    offset: Vec<f64>,
    factor: Vec<f64>,
    low: Vec<f64>,
    high: Vec<f64>,
    deviation: Vec<f64>,
    clip: Vec<f64>,
    blank: Vec<f32>,
    /// The columns that have an indicator.
    indicated: Vec<usize>,
}

impl Vectors {
    fn of(columns: &[&Column]) -> Vectors {
        let mut all = Vectors::default();
        for (number, column) in columns.iter().enumerate() {
            let Encoding::Numeric { offset, factor, indicator, blank, range, .. } =
                &column.encoding
            else {
                continue;
            };
            // A constant column is moved to its offset, so that no number of a later file is
            // infinite times 0. A number without a range is not moved.
            let free = [f64::NEG_INFINITY, f64::INFINITY, 1.0, 1.0];
            let [low, high, deviation, clip] = match range {
                _ if *factor == 0.0 => [*offset, *offset, 1.0, 1.0],
                Some(range) if range.clip > 0.0 => {
                    [range.low, range.high, range.deviation, range.clip]
                }
                _ => free,
            };
            all.offset.push(*offset);
            all.factor.push(*factor);
            all.low.push(low);
            all.high.push(high);
            all.deviation.push(deviation);
            all.clip.push(clip);
            all.blank.push(*blank as f32);
            all.indicated.extend(indicator.then_some(number));
        }
        all
    }
}

/// The inputs of the network that columns of numbers make of `x` [rows, columns]: the scaled
/// numbers, [rows, columns], and, where columns have indicators, these with their columns.
pub(super) fn encoded(
    graph: &mut Graph,
    x: &Value,
    columns: &[&Column],
) -> (Value, Option<(Value, Vec<usize>)>) {
    let (all, dims) = (Vectors::of(columns), [1, columns.len()]);
    let is_blank = blanks(graph, x, columns);
    let held = held(graph, x, &all, &dims);
    let offset = graph.doubles("offset", &dims, &all.offset);
    let factor = graph.doubles("factor", &dims, &all.factor);
    let moved = graph.node("Sub", &[&held, &offset], &[]);
    let scaled = graph.node("Mul", &[&moved, &factor], &[]);
    let scaled = graph.cast(&scaled, Type::Float);
    let blank = graph.floats("blank", &dims, &all.blank);
    let numbers = graph.node("Where", &[&is_blank, &blank, &scaled], &[]);
    if all.indicated.is_empty() {
        return (numbers, None);
    }
    let mut flags = graph.cast(&is_blank, Type::Float);
    if all.indicated.len() < columns.len() {
        let which: Vec<i64> = all.indicated.iter().map(|column| *column as i64).collect();
        let which = graph.ints("indicated", &[which.len()], &which);
        flags = graph.node("Gather", &[&flags, &which], &[("axis", Content::Int(1))]);
    }
    (numbers, Some((flags, all.indicated)))
}

/// Which cells are blank: NaN, and the numbers that the texts of `missing` mean.
fn blanks(graph: &mut Graph, x: &Value, columns: &[&Column]) -> Value {
    let numbers = |column: &&Column| -> Vec<f64> {
        let numbers = column.missing.iter().filter_map(|text| text.parse().ok());
        numbers.filter(|x: &f64| !x.is_nan()).collect()
    };
    let missing: Vec<Vec<f64>> = columns.iter().map(numbers).collect();
    let most = missing.iter().map(Vec::len).max().unwrap_or(0);
    let is_nan = graph.node("IsNaN", &[x], &[]);
    (0..most).fold(is_nan, |is_blank, nth| {
        // NaN equals nothing.
        let nth = |numbers: &Vec<f64>| numbers.get(nth).copied().unwrap_or(f64::NAN);
        let numbers: Vec<f64> = missing.iter().map(nth).collect();
        let numbers = graph.doubles("missing", &[1, numbers.len()], &numbers);
        let is_missing = graph.node("Equal", &[x, &numbers], &[]);
        graph.node("Or", &[&is_blank, &is_missing], &[])
    })
}

/// Numbers as [`crate::data::value::range::Range::held`] moves them.
fn held(graph: &mut Graph, x: &Value, all: &Vectors, dims: &[usize]) -> Value {
    if all.low.iter().all(|low| low.is_infinite()) {
        return x.clone();
    }
    let [low, high] = [("low", &all.low), ("high", &all.high)]
        .map(|(name, numbers)| graph.doubles(name, dims, numbers));
    let deviation = graph.doubles("deviation", dims, &all.deviation);
    let clip = graph.doubles("clip", dims, &all.clip);
    let [none, one] = [("none", 0.0), ("one", 1.0)].map(|(name, x)| graph.doubles(name, &[], &[x]));
    let mut bend = |larger: &Value, smaller: &Value| {
        let beyond = graph.node("Sub", &[larger, smaller], &[]);
        let beyond = graph.node("Max", &[&beyond, &none], &[]);
        let beyond = graph.node("Div", &[&beyond, &deviation], &[]);
        let share = graph.node("Div", &[&clip, &beyond], &[]);
        let share = graph.node("Add", &[&share, &one], &[]);
        let by = graph.node("Div", &[&clip, &share], &[]);
        graph.node("Mul", &[&by, &deviation], &[])
    };
    let (above, below) = (bend(x, &high), bend(&low, x));
    let within = graph.node("Max", &[x, &low], &[]);
    let within = graph.node("Min", &[&within, &high], &[]);
    let raised = graph.node("Add", &[&within, &above], &[]);
    graph.node("Sub", &[&raised, &below], &[])
}
