//! What test files share: settings from text, synthetic data, and a plan with its data on the float64 engine.

#![allow(dead_code)] // every test file uses a part of it

use std::path::Path;

use tandem::config::Config;
use tandem::config::read::from_text;
use tandem::data::{Dataset, Parts, Schema};
use tandem::kernels::params::Step;
use tandem::kernels::tuning::Tuning;
use tandem::reference::Reference;
use tandem::rng::{Purpose, below, normal};
use tandem::run::data::upload;
use tandem::run::learning_rate::Course;
use tandem::run::machine::Machine;
use tandem::run::train::Plan;
use tandem::schedule::Engine;
use tandem::schedule::build::Built;

/// Settings from tables without `[data]`: the rows come from arrays.
pub fn config(tables: &str) -> Config {
    let text = format!("[data]\ntrain = \"x.csv\"\n{tables}");
    from_text(&text, "config.toml", Path::new(""), &[]).unwrap_or_else(|e| panic!("{text}\n{e}"))
}

/// A run over arrays. `classes` per task; the class names are `0`, `1`, … so that heads with equally many have the same.
pub fn plan(tables: &str, train: Dataset, classes: &[usize]) -> Plan {
    let config = config(tables);
    let names: Vec<String> = (0..classes.iter().copied().max().unwrap()).map(|c| c.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let tasks: Vec<(&str, &[&str])> = config.tasks.iter().zip(classes).map(|(t, &c)| (t.name.as_str(), &names[..c])).collect();
    let schema = Schema::for_arrays(train.width(), &tasks);
    let parts = Parts::new(schema, train, None, None).unwrap();
    Plan::new(config, parts).unwrap()
}

/// Features whose size grows along the columns and whose level grows along the rows, so that no transpose passes; random labels.
pub fn synthetic(seed: u64, rows: usize, width: usize, classes: &[usize]) -> Dataset {
    let feature = |i: usize| {
        let (row, column) = ((i / width) as f64 / rows as f64, (i % width) as f64 / width as f64);
        (normal(seed, Purpose::Synthetic, 0, i as u64) * (0.5 + column) + 0.4 * row - 0.2) as f32
    };
    let label = |task: usize, row: usize| below(classes[task] as u64, seed, Purpose::Synthetic, 1 + task as u64, row as u64) as u32;
    let labels = (0..classes.len()).map(|task| (0..rows).map(|row| label(task, row)).collect()).collect();
    Dataset::from_arrays(width, (0..rows * width).map(feature).collect(), labels).unwrap()
}

/// The reference's choices: everything in one chunk and one segment.
pub fn whole() -> Tuning {
    Machine::Reference.tuning()
}

/// A plan on the float64 engine, data uploaded.
pub struct Bench {
    pub plan: Plan,
    pub built: Built,
    pub engine: Reference<f64>,
}

impl Bench {
    pub fn new(plan: Plan, tuning: &Tuning) -> Bench {
        let built = plan.build(tuning).unwrap();
        let mut engine = Reference::<f64>::new(built.program.clone());
        upload(&mut engine, &built.parts[0], &plan.parts.train, built.counting).unwrap();
        Bench { plan, built, engine }
    }

    /// Random parameters of any layer's usual size, biases too; the gaps between blocks stay zero.
    pub fn random_parameters(&self, seed: u64) -> Vec<f64> {
        let mut arena = vec![0.0; self.plan.layout.len];
        for (number, block) in self.plan.layout.blocks.iter().enumerate() {
            let size = if block.is_bias() { 0.3 } else { (1.5 / block.shape[1] as f64).sqrt() };
            for i in 0..block.len {
                arena[block.offset + i] = size * normal(seed, Purpose::Synthetic, 100 + number as u64, i as u64);
            }
        }
        arena
    }

    /// Entry of the step table for the 0-based step `t` over `rows` rows from `first` on.
    pub fn step(&self, t: u64, first: usize, rows: usize) -> Step {
        let plan = &self.plan;
        Course::new(&plan.config.optimizer, plan.config.train.seed, plan.steps_per_epoch, plan.total_steps).step(t, first, rows, 0)
    }

    /// One training step from `parameters`: its metrics.
    pub fn train(&mut self, parameters: &[f64], step: &Step) -> Vec<f64> {
        self.engine.set_numbers(self.built.buffers.parameters, 0, parameters);
        self.engine.submit(self.built.train.unwrap(), &[*step]).unwrap();
        self.engine.collect(true).unwrap().remove(0).metrics
    }

    /// The gradients of the last step.
    pub fn gradients(&self) -> Vec<f64> {
        self.engine.numbers(self.built.program.whole(self.built.buffers.gradients))
    }

    /// NaN wherever a step must write before it reads.
    pub fn poison(&mut self) {
        let b = self.built.buffers.clone();
        let scratch = [b.activations[0], b.activations[1], b.deltas[0], b.deltas[1], b.logits, b.logits_delta, b.partials, b.metrics];
        for buffer in scratch {
            self.engine.set_numbers(buffer, 0, &vec![f64::NAN; self.built.program.buffers[buffer.0].len]);
        }
        for block in &self.plan.layout.blocks {
            self.engine.set_numbers(b.gradients, block.offset, &vec![f64::NAN; block.len]);
        }
    }
}
