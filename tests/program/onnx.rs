//! An evaluator of ONNX files, for the operators that exports use. It reads the bytes and the field
//! numbers anew; `examples/onnx` runs the same files with onnxruntime.

use std::collections::HashMap;

use crate::protobuf::fields;

/// Numbers or texts with a shape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    pub dims: Vec<usize>,
    pub numbers: Vec<f64>,
    pub texts: Vec<String>,
    /// Whether numbers have 32 bits.
    pub is_single: bool,
}

impl Tensor {
    pub fn numbers(dims: &[usize], numbers: Vec<f64>) -> Tensor {
        assert_eq!(dims.iter().product::<usize>(), numbers.len());
        Tensor { dims: dims.to_vec(), numbers, ..Tensor::default() }
    }

    pub fn texts(texts: Vec<String>) -> Tensor {
        Tensor { dims: vec![texts.len(), 1], texts, ..Tensor::default() }
    }

    /// Rounds numbers of 32 bits.
    fn rounded(mut self) -> Tensor {
        if self.is_single {
            self.numbers.iter_mut().for_each(|x| *x = f64::from(*x as f32));
        }
        self
    }

    fn each(&self, f: impl Fn(f64) -> f64) -> Tensor {
        Tensor { numbers: self.numbers.iter().map(|x| f(*x)).collect(), ..self.clone() }
    }

    fn shaped(self, dims: Vec<usize>) -> Tensor {
        assert_eq!(dims.iter().product::<usize>(), self.numbers.len().max(self.texts.len()));
        Tensor { dims, ..self }
    }

    /// The place of an element of a result of shape `dims`, in this tensor.
    fn place(&self, dims: &[usize], mut at: usize) -> usize {
        let (mut place, mut stride) = (0, 1);
        for (back, dim) in dims.iter().rev().enumerate() {
            let own = self.dims.len().checked_sub(back + 1).map_or(1, |i| self.dims[i]);
            assert!(own == 1 || own == *dim, "{:?} for {dims:?}", self.dims);
            place += if own == 1 { 0 } else { at % dim * stride };
            stride *= own;
            at /= dim;
        }
        place
    }

    fn with(&self, other: &Tensor, f: impl Fn(f64, f64) -> f64) -> Tensor {
        let rank = self.dims.len().max(other.dims.len());
        let dim =
            |of: &Tensor, i: usize| (i + of.dims.len()).checked_sub(rank).map_or(1, |i| of.dims[i]);
        let dims: Vec<usize> = (0..rank).map(|i| dim(self, i).max(dim(other, i))).collect();
        let one =
            |at| f(self.numbers[self.place(&dims, at)], other.numbers[other.place(&dims, at)]);
        let numbers = (0..dims.iter().product()).map(one).collect();
        Tensor { numbers, dims, texts: Vec::new(), is_single: self.is_single }
    }

    /// Runs of the last dimension.
    fn rows(&self) -> std::slice::Chunks<'_, f64> {
        self.numbers.chunks(*self.dims.last().unwrap())
    }

    /// Columns of [rows, columns], in an order.
    fn columns(&self, which: &[usize]) -> Tensor {
        assert_eq!(self.dims.len(), 2);
        let numbers = self.rows().flat_map(|row| which.iter().map(|i| row[*i])).collect();
        Tensor { dims: vec![self.dims[0], which.len()], numbers, ..self.clone() }
    }
}

/// A setting of an operator.
#[derive(Debug, Default)]
struct Setting {
    float: f64,
    int: i64,
    floats: Vec<f64>,
    ints: Vec<i64>,
    texts: Vec<String>,
}

#[derive(Debug)]
struct Node {
    inputs: Vec<String>,
    outputs: Vec<String>,
    op: String,
    domain: String,
    settings: HashMap<String, Setting>,
}

/// A file.
pub struct Onnx {
    pub ir: i64,
    pub producer: String,
    pub doc: String,
    pub facts: HashMap<String, String>,
    /// (domain, version)
    pub operators: Vec<(String, i64)>,
    /// Name, type of the elements, and what stands for each dimension.
    pub inputs: Vec<(String, i64, Vec<String>)>,
    pub outputs: Vec<(String, i64, Vec<String>)>,
    nodes: Vec<Node>,
    known: HashMap<String, Tensor>,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn int(bytes: &[u8]) -> i64 {
    i64::from_le_bytes(bytes.try_into().unwrap())
}

fn all(message: &[u8], number: u64) -> Vec<Vec<u8>> {
    fields(message).into_iter().filter(|(n, _)| *n == number).map(|(_, bytes)| bytes).collect()
}

fn first(message: &[u8], number: u64) -> Option<Vec<u8>> {
    all(message, number).into_iter().next()
}

fn texts(message: &[u8], number: u64) -> Vec<String> {
    all(message, number).iter().map(|bytes| text(bytes)).collect()
}

fn string(message: &[u8], number: u64) -> String {
    first(message, number).map_or(String::new(), |bytes| text(&bytes))
}

fn tensor(message: &[u8]) -> (String, Tensor) {
    let dims = all(message, 1).iter().map(|dim| int(dim) as usize).collect();
    let raw = first(message, 9).unwrap_or_default();
    let (texts, kind) = (texts(message, 6), int(&first(message, 2).unwrap()));
    let eights = |f: fn([u8; 8]) -> f64| raw.chunks(8).map(|b| f(b.try_into().unwrap())).collect();
    let numbers: Vec<f64> = match kind {
        1 => raw.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect(),
        7 => eights(|b| i64::from_le_bytes(b) as f64),
        11 => eights(f64::from_le_bytes),
        8 => Vec::new(),
        other => panic!("type {other}"),
    };
    let tensor = Tensor { numbers, texts, is_single: kind == 1, ..Tensor::default() };
    (string(message, 8), tensor.shaped(dims))
}

fn node(message: &[u8]) -> Node {
    let setting = |message: &Vec<u8>| {
        let float = |bytes: &Vec<u8>| f32::from_le_bytes(bytes[..].try_into().unwrap()).into();
        let setting = Setting {
            float: first(message, 2).as_ref().map_or(0.0, float),
            int: first(message, 3).map_or(0, |bytes| int(&bytes)),
            floats: all(message, 7).iter().map(float).collect(),
            ints: all(message, 8).iter().map(|bytes| int(bytes)).collect(),
            texts: texts(message, 9),
        };
        (string(message, 1), setting)
    };
    Node {
        inputs: texts(message, 1),
        outputs: texts(message, 2),
        op: string(message, 4),
        domain: string(message, 7),
        settings: all(message, 5).iter().map(setting).collect(),
    }
}

fn value(message: &[u8]) -> (String, i64, Vec<String>) {
    let kind = first(&first(message, 2).unwrap(), 1).unwrap();
    let dims = all(&first(&kind, 2).unwrap(), 1);
    let dim = |dim: &Vec<u8>| first(dim, 1).map_or_else(|| string(dim, 2), |n| int(&n).to_string());
    (string(message, 1), int(&first(&kind, 1).unwrap()), dims.iter().map(dim).collect())
}

impl Onnx {
    pub fn read(file: &[u8]) -> Onnx {
        let graph = first(file, 7).unwrap();
        let pair = |message: &Vec<u8>| (string(message, 1), string(message, 2));
        let operators = |set: &Vec<u8>| (string(set, 1), int(&first(set, 2).unwrap()));
        Onnx {
            ir: int(&first(file, 1).unwrap()),
            producer: format!("{} {}", string(file, 2), string(file, 3)),
            doc: string(file, 6),
            facts: all(file, 14).iter().map(pair).collect(),
            operators: all(file, 8).iter().map(operators).collect(),
            inputs: all(&graph, 11).iter().map(|message| value(message)).collect(),
            outputs: all(&graph, 12).iter().map(|message| value(message)).collect(),
            nodes: all(&graph, 1).iter().map(|message| node(message)).collect(),
            known: all(&graph, 5).iter().map(|message| tensor(message)).collect(),
        }
    }

    /// The outputs for some inputs, by name.
    pub fn run(&self, inputs: HashMap<String, Tensor>) -> HashMap<String, Tensor> {
        let mut values = self.known.clone();
        values.extend(inputs);
        for node in &self.nodes {
            let x: Vec<&Tensor> = node.inputs.iter().map(|name| &values[name]).collect();
            let made = computed(node, &x);
            assert_eq!(made.len(), node.outputs.len(), "{node:?}");
            for (name, tensor) in node.outputs.iter().zip(made) {
                assert!(values.insert(name.clone(), tensor.rounded()).is_none(), "{name} is twice");
            }
        }
        let output = |(name, ..): &(String, i64, Vec<String>)| (name.clone(), values[name].clone());
        self.outputs.iter().map(output).collect()
    }
}

fn computed(node: &Node, x: &[&Tensor]) -> Vec<Tensor> {
    let axis = node.settings.get("axis").map_or(0, |setting| setting.int as usize);
    let flag = |yes: bool| f64::from(u8::from(yes));
    let fold = |f: fn(f64, f64) -> f64| x[1..].iter().fold(x[0].clone(), |a, b| a.with(b, f));
    let one = match node.op.as_str() {
        "Add" | "Sum" => fold(|a, b| a + b),
        "Sub" => fold(|a, b| a - b),
        "Mul" => fold(|a, b| a * b),
        "Div" => fold(|a, b| a / b),
        "Max" => fold(f64::max),
        "Min" => fold(f64::min),
        "Or" => fold(|a, b| a.max(b)),
        "Equal" => x[0].with(x[1], |a, b| flag(a == b)),
        "Greater" => x[0].with(x[1], |a, b| flag(a > b)),
        "Where" => {
            let chosen = x[0].with(x[1], |c, a| if c == 1.0 { a } else { 0.0 });
            let other = x[0].with(x[2], |c, b| if c == 1.0 { 0.0 } else { b });
            Tensor { is_single: x[1].is_single, ..chosen.with(&other, |a, b| a + b) }
        }
        "Clip" => x[0].each(|z| z.max(x[1].numbers[0]).min(x[2].numbers[0])),
        "IsNaN" => x[0].each(|z| flag(z.is_nan())),
        "Neg" => x[0].each(|z| -z),
        "Exp" => x[0].each(f64::exp),
        "Relu" => x[0].each(|z| z.max(0.0)),
        "Tanh" => x[0].each(f64::tanh),
        "Sigmoid" => x[0].each(|z| 1.0 / (1.0 + (-z).exp())),
        "Erf" => x[0].each(erf),
        "Cast" => Tensor { is_single: node.settings["to"].int == 1, ..x[0].clone() },
        "Gemm" => product(x[0], x[1], node.settings["transB"].int == 1).with(x[2], |a, b| a + b),
        "MatMul" => product(x[0], x[1], false),
        "Concat" => {
            let rows = 0..x[0].dims[0];
            let row =
                |r: usize| x.iter().flat_map(move |part| part.rows().nth(r).unwrap().to_vec());
            let numbers: Vec<f64> = rows.clone().flat_map(row).collect();
            let width = x.iter().map(|part| part.dims[1]).sum();
            Tensor { dims: vec![rows.len(), width], numbers, ..x[0].clone() }
        }
        "Gather" => gather(x[0], x[1], axis),
        "Flatten" => {
            let rows = x[0].dims[0];
            x[0].clone().shaped(vec![rows, x[0].numbers.len() / rows])
        }
        "Reshape" => {
            let rest = x[1].numbers.iter().filter(|dim| **dim > 0.0).product::<f64>() as usize;
            let dim = |(i, dim): (usize, &f64)| match *dim as i64 {
                0 => x[0].dims[i],
                -1 => x[0].numbers.len() / rest,
                dim => dim as usize,
            };
            x[0].clone().shaped(x[1].numbers.iter().enumerate().map(dim).collect())
        }
        "Split" => return split(x, node.outputs.len()),
        "Softmax" => {
            let share = |row: &[f64]| {
                let peak = row.iter().copied().fold(f64::MIN, f64::max);
                let sum: f64 = row.iter().map(|z| (z - peak).exp()).sum();
                row.iter().map(|z| (z - peak).exp() / sum).collect::<Vec<f64>>()
            };
            Tensor { numbers: x[0].rows().flat_map(share).collect(), ..x[0].clone() }
        }
        "ArgMax" => {
            let best =
                |row: &[f64]| (1..row.len()).fold(0, |b, i| if row[i] > row[b] { i } else { b });
            Tensor::numbers(&x[0].dims[..1], x[0].rows().map(|row| best(row) as f64).collect())
        }
        "ReduceProd" => {
            assert_eq!(node.settings["axes"].ints, [3]);
            let numbers = x[0].rows().map(|row| row.iter().product()).collect();
            Tensor { dims: x[0].dims[..3].to_vec(), numbers, ..x[0].clone() }
        }
        "ReduceSum" => {
            let (dims, width) = (&x[0].dims, x[0].dims[2]);
            assert_eq!(x[1].numbers, [1.0]);
            let sums = |row: &[f64]| -> Vec<f64> {
                (0..width).map(|i| row.iter().skip(i).step_by(width).sum()).collect()
            };
            let numbers = x[0].numbers.chunks(dims[1] * width).flat_map(sums).collect();
            Tensor { dims: vec![dims[0], width], numbers, ..x[0].clone() }
        }
        "LabelEncoder" => {
            assert_eq!(node.domain, "ai.onnx.ml");
            return vec![labels(node, x[0])];
        }
        other => panic!("operator {other}"),
    };
    assert_eq!(node.domain, "");
    vec![one]
}

/// [rows, k] times [k, columns], or times the transpose of [columns, k].
fn product(x: &Tensor, w: &Tensor, transposed: bool) -> Tensor {
    let (k, columns) = if transposed { (w.dims[1], w.dims[0]) } else { (w.dims[0], w.dims[1]) };
    assert_eq!(x.dims[1], k);
    let weight = |i, o| w.numbers[if transposed { o * k + i } else { i * columns + o }];
    let row = |row: &[f64]| -> Vec<f64> {
        (0..columns).map(|o| row.iter().enumerate().map(|(i, x)| x * weight(i, o)).sum()).collect()
    };
    let numbers = x.rows().flat_map(row).collect();
    Tensor { dims: vec![x.dims[0], columns], numbers, texts: Vec::new(), is_single: x.is_single }
}

fn gather(x: &Tensor, places: &Tensor, axis: usize) -> Tensor {
    let which: Vec<usize> = places.numbers.iter().map(|place| *place as usize).collect();
    if axis == 1 {
        return x.columns(&which);
    }
    let width: usize = x.dims[1..].iter().product();
    let dims = [&places.dims[..], &x.dims[1..]].concat();
    let numbers = match x.texts.is_empty() {
        true => which.iter().flat_map(|i| x.numbers[i * width..][..width].to_vec()).collect(),
        false => Vec::new(),
    };
    let texts = which.iter().filter_map(|i| x.texts.get(*i).cloned()).collect();
    Tensor { dims, numbers, texts, is_single: x.is_single }
}

/// Parts of the columns: of equal width, or of those of a second input.
fn split(x: &[&Tensor], count: usize) -> Vec<Tensor> {
    let width = x[0].dims[1] / count;
    let widths = x.get(1).map_or(vec![width; count], |widths| {
        widths.numbers.iter().map(|width| *width as usize).collect()
    });
    let mut from = 0;
    let part = |width: &usize| {
        from += width;
        x[0].columns(&(from - width..from).collect::<Vec<usize>>())
    };
    widths.iter().map(part).collect()
}

fn labels(node: &Node, x: &Tensor) -> Tensor {
    let keys = &node.settings["keys_strings"].texts;
    let floats = node.settings.get("values_floats").map(|setting| setting.floats.clone());
    let ints = || node.settings["values_int64s"].ints.iter().map(|n| *n as f64).collect();
    let default = match &floats {
        Some(_) => node.settings["default_float"].float,
        None => node.settings["default_int64"].int as f64,
    };
    let is_single = floats.is_some();
    let values: Vec<f64> = floats.unwrap_or_else(ints);
    assert_eq!(keys.len(), values.len());
    let known: HashMap<&String, f64> = keys.iter().zip(values).collect();
    assert_eq!(known.len(), keys.len(), "a key is there twice");
    let numbers = x.texts.iter().map(|text| known.get(text).copied().unwrap_or(default)).collect();
    Tensor { is_single, ..Tensor::numbers(&x.dims, numbers) }
}

/// The error function by its series, or by its continued fraction (Abramowitz and Stegun, 7.1.5 and
/// 7.1.14).
fn erf(x: f64) -> f64 {
    let size = x.abs();
    let value = if size < 3.0 {
        let mut term = size;
        let mut sum = size;
        for n in 1..100 {
            term *= -size * size / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        2.0 / std::f64::consts::PI.sqrt() * sum
    } else {
        let fraction = (1..60).rev().fold(0.0, |below, n| f64::from(n) / 2.0 / (size + below));
        1.0 - (-size * size).exp() / (size + fraction) / std::f64::consts::PI.sqrt()
    };
    value.copysign(x)
}

#[test]
fn the_error_function_is_that_of_tables() {
    // Abramowitz and Stegun, table 7.1.
    for (x, y) in
        [(0.0, 0.0), (0.5, 0.520_499_877_8), (1.0, 0.842_700_792_9), (2.0, 0.995_322_265_0)]
    {
        assert!((erf(x) - y).abs() < 1e-9 && (erf(-x) + y).abs() < 1e-9, "{x}");
    }
    assert!((erf(3.5) - 0.999_999_256_9).abs() < 1e-9);
}
