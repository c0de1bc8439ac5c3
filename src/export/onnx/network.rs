//! The nodes of a network as operators of ONNX.

use super::graph::{Content, Graph, Value};
use crate::config::Activation;
use crate::export::network::{chosen, constant, needed, numbers};
use crate::model::file::Model;
use crate::model::graph::{By, Node, NodeId, Op, Role, Rule, Source, code_bits};

/// A network whose nodes are being written.
struct Writer<'m> {
    model: &'m Model,
    graph: &'m mut Graph,
    inputs: Value,
    /// The values of the nodes, by place; those that no output needs have no name.
    made: Vec<Value>,
}

/// Adds the nodes on which an output depends. Returns the logits of each task, [rows, outputs].
pub fn logits(model: &Model, graph: &mut Graph, inputs: Value) -> Vec<Value> {
    let needed = needed(model);
    let mut writer = Writer { model, graph, inputs, made: vec![Value::new(); needed.len()] };
    let mut outputs = vec![Value::new(); model.network.tasks.len()];
    for (id, node) in model.layout.graph.nodes().filter(|(id, _)| needed[id.0]) {
        let value = writer.value(id, node);
        if let (Role::Output, Some(task)) = (node.role, node.owner.task()) {
            outputs[task] = value.clone();
        }
        writer.made[id.0] = value;
    }
    outputs
}

impl Writer<'_> {
    fn value(&mut self, id: NodeId, node: &Node) -> Value {
        if let Some(term) = chosen(self.model, node) {
            return self.made[term.0].clone();
        }
        match &node.op {
            Op::Dense { source, activation, .. } => self.dense(id, *source, *activation),
            Op::Constant => {
                let numbers = constant(self.model, id);
                self.graph.floats(&format!("{}.weight", node.name), &[1, numbers.len()], numbers)
            }
            Op::Mix { terms, by } => {
                let terms: Vec<Value> =
                    terms.iter().map(|term| self.made[term.0].clone()).collect();
                self.mix(&terms, by)
            }
        }
    }

    fn dense(&mut self, id: NodeId, source: Source, activation: Activation) -> Value {
        let layout = &self.model.layout;
        let Some(layer) = layout.layers.iter().find(|layer| layer.node == id) else {
            return Value::new();
        };
        let x = match source {
            Source::Inputs => self.inputs.clone(),
            Source::Node(from) => self.made[from.0].clone(),
        };
        let [weight, bias] = [0, 1].map(|next| &layout.blocks[layer.weight + next]);
        let [weight, bias] = [weight, bias]
            .map(|block| self.graph.floats(&block.name, &block.shape, numbers(self.model, block)));
        let z = self.graph.node("Gemm", &[&x, &weight, &bias], &[("transB", Content::Int(1))]);
        self.activated(z, activation)
    }

    fn activated(&mut self, z: Value, activation: Activation) -> Value {
        match activation {
            Activation::Identity => z,
            Activation::Relu => self.graph.node("Relu", &[&z], &[]),
            Activation::Tanh => self.graph.node("Tanh", &[&z], &[]),
            Activation::Silu => {
                let share = self.graph.node("Sigmoid", &[&z], &[]);
                self.graph.node("Mul", &[&z, &share], &[])
            }
            Activation::Gelu => {
                let scaled = self.times(&z, std::f32::consts::FRAC_1_SQRT_2);
                let erf = self.graph.node("Erf", &[&scaled], &[]);
                let one = self.graph.floats("one", &[], &[1.0]);
                let sum = self.graph.node("Add", &[&erf, &one], &[]);
                let half = self.times(&z, 0.5);
                self.graph.node("Mul", &[&half, &sum], &[])
            }
        }
    }

    /// A value times a number.
    fn times(&mut self, value: &Value, number: f32) -> Value {
        let factor = self.graph.floats("factor", &[], &[number]);
        self.graph.node("Mul", &[value, &factor], &[])
    }

    fn mix(&mut self, terms: &[Value], by: &By) -> Value {
        let weighed = match by {
            // Models of sentences are refused before.
            By::Sum | By::Pool(_) => terms.to_vec(),
            By::Mask(gates) => {
                let gates: Vec<Value> =
                    gates.iter().map(|gate| self.made[gate.0].clone()).collect();
                let z = self.sum(&gates);
                let mask = self.graph.node("Sigmoid", &[&z], &[]);
                vec![self.graph.node("Mul", &[&terms[0], &mask], &[])]
            }
            By::Gate { gate, rule } => {
                let z = self.made[gate.0].clone();
                let weights = self.weights(z, *rule, terms.len());
                let axis = [("axis", Content::Int(1))];
                let weights = match terms.len() {
                    1 => vec![weights],
                    count => self.graph.nodes("Split", &[&weights], &axis, count),
                };
                let pairs = terms.iter().zip(&weights);
                pairs.map(|(x, weight)| self.graph.node("Mul", &[x, weight], &[])).collect()
            }
        };
        self.sum(&weighed)
    }

    /// The sum of values of one shape.
    fn sum(&mut self, values: &[Value]) -> Value {
        match values {
            [one] => one.clone(),
            _ => self.graph.node("Sum", &values.iter().collect::<Vec<_>>(), &[]),
        }
    }

    /// The weights of `terms` terms, [rows, terms], from the values of a gate.
    fn weights(&mut self, z: Value, rule: Rule, terms: usize) -> Value {
        match rule {
            Rule::Linear | Rule::Gumbel { .. } => z,
            Rule::Softmax => self.graph.node("Softmax", &[&z], &[("axis", Content::Int(1))]),
            Rule::Select { select, smooth, .. } => self.selection(&z, terms, select, smooth),
        }
    }

    /// The weights of [`Rule::Select`] for two terms or more.
    fn selection(&mut self, z: &Value, terms: usize, select: usize, smooth: f64) -> Value {
        let bits = code_bits(terms);
        let widths = [select as i64, (select * bits) as i64];
        let widths = self.graph.ints("widths", &[2], &widths);
        let parts = self.graph.nodes("Split", &[z, &widths], &[("axis", Content::Int(1))], 2);
        let share = self.graph.node("Softmax", &[&parts[0]], &[("axis", Content::Int(1))]);
        let step = self.smooth_step(&parts[1], smooth);
        let shape = self.graph.ints("shape", &[4], &[0, select as i64, 1, bits as i64]);
        let step = self.graph.node("Reshape", &[&step, &shape], &[]);
        // A term has S where its bit is set and 1 − S elsewhere: base + slope · S.
        let set = |place: usize| (place / bits) >> (place % bits) & 1 == 1;
        let places = 0..terms * bits;
        let base: Vec<f32> = places.clone().map(|p| if set(p) { 0.0 } else { 1.0 }).collect();
        let slope: Vec<f32> = places.map(|p| if set(p) { 1.0 } else { -1.0 }).collect();
        let slope = self.graph.floats("slope", &[1, 1, terms, bits], &slope);
        let base = self.graph.floats("base", &[1, 1, terms, bits], &base);
        let factors = self.graph.node("Mul", &[&step, &slope], &[]);
        let factors = self.graph.node("Add", &[&factors, &base], &[]);
        let over = [("axes", Content::Ints(&[3])), ("keepdims", Content::Int(0))];
        let code = self.graph.node("ReduceProd", &[&factors], &over);
        let shape = self.graph.ints("shape", &[3], &[0, select as i64, 1]);
        let share = self.graph.node("Reshape", &[&share, &shape], &[]);
        let weighed = self.graph.node("Mul", &[&code, &share], &[]);
        let axis = self.graph.ints("axis", &[1], &[1]);
        self.graph.node("ReduceSum", &[&weighed, &axis], &[("keepdims", Content::Int(0))])
    }

    /// The smooth step: ½ + 1.5 s − 2 s³ for s = z / γ, held within −½ and ½.
    fn smooth_step(&mut self, z: &Value, smooth: f64) -> Value {
        let s = self.times(z, (1.0 / smooth) as f32);
        let low = self.graph.floats("low", &[], &[-0.5]);
        let high = self.graph.floats("high", &[], &[0.5]);
        let s = self.graph.node("Clip", &[&s, &low, &high], &[]);
        let square = self.graph.node("Mul", &[&s, &s], &[]);
        let bend = self.times(&square, -2.0);
        let slope = self.graph.floats("slope", &[], &[1.5]);
        let slope = self.graph.node("Add", &[&bend, &slope], &[]);
        let rise = self.graph.node("Mul", &[&s, &slope], &[]);
        self.graph.node("Add", &[&rise, &high], &[])
    }
}
