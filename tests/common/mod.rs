//! Helpers that test files share: the adapter, settings from text, synthetic data, and a plan with
//! its data on the float64 engine.

#![allow(dead_code)] // every test file uses a part of it

pub mod images;
pub mod program;
pub mod ranks;
pub mod recorded;
pub mod xml;

use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::Result;
use tandem::config::read::from_text;
use tandem::config::{Config, Task, TaskKind};
use tandem::data::{
    Column, Dataset, Encoding, Features, Input, NO_CODE, Parts, Scaling, Schema, Target, UNLABELLED,
};
use tandem::device::Gpu;
use tandem::device::adapter::Wish;
use tandem::fault::hint_of;
use tandem::kernels::params::Step;
use tandem::kernels::tuning::Tuning;
use tandem::reference::Reference;
use tandem::rng::{Purpose, below, normal, uniform};
use tandem::run::checkpoint::Snapshot;
use tandem::run::data::upload;
use tandem::run::machine::Machine;
use tandem::run::train::learning_rate::Course;
use tandem::run::train::point::Point;
use tandem::run::train::{Observer, Plan};
use tandem::schedule::Engine;
use tandem::step::Built;

/// The tables `[architecture]` of all kinds but `shared`, for tasks `a` and `b` and two layers.
pub const ARCHITECTURES: [&str; 11] = [
    "kind = \"separate\"",
    "kind = \"mmoe\"\nexperts = 3",
    "kind = \"mmoe\"\nexperts = 2\ngates = \"one\"",
    "kind = \"cgc\"\nexperts = 1\ntask_experts = 2",
    "kind = \"ple\"\nexperts = 2\ntask_experts = 1\nlevels = 2",
    "kind = \"cross_stitch\"\nlearning_rate_factor = 5.0",
    "kind = \"mtan\"",
    "kind = \"dselect_k\"\nexperts = 5",
    "kind = \"dselect_k\"\nexperts = 4\ngates = \"task\"\nentropy = 0.25",
    "kind = \"branched\"\nbranches = [[[\"a\", \"b\"]], [[\"b\"], [\"a\"]]]",
    "kind = \"branched\"\nlearn = true",
];

/// Opens an adapter. A machine without one fails here, with the name of the package to install.
pub fn open(wish: &Wish) -> Gpu {
    Gpu::open(wish).unwrap_or_else(|e| panic!("{e:#}: {:?}", hint_of(&e)))
}

/// The adapter of all tests of one binary that neither lose nor break it, opened once.
pub fn gpu() -> &'static Gpu {
    static GPU: OnceLock<Gpu> = OnceLock::new();
    GPU.get_or_init(|| open(&Wish::default()))
}

/// [`gpu`] as a machine to train on.
pub fn device() -> Machine {
    Machine::Device(Box::new(gpu().clone()))
}

/// The processor as a machine to train on, with this many threads.
pub fn cpu(threads: usize) -> Machine {
    let device = Some("cpu".into());
    let wish = Wish { device, threads: NonZero::new(threads), ..Wish::default() };
    Machine::open(&wish).unwrap_or_else(|e| panic!("{e:#}"))
}

/// Settings from TOML without `[data]`, for rows that come from arrays.
pub fn config(tables: &str) -> Config {
    let text = format!("[data]\ntrain = \"x.csv\"\n{tables}");
    from_text(&text, "config.toml", Path::new(""), &[]).unwrap_or_else(|e| panic!("{text}\n{e}"))
}

/// A plan over arrays with `classes[t]` classes for task t. The classes are named `0`, `1`, …, so
/// that heads with equally many classes have the same names.
pub fn plan(tables: &str, train: Dataset, classes: &[usize]) -> Plan {
    let config = config(tables);
    let names: Vec<String> =
        (0..classes.iter().copied().max().unwrap()).map(|c| c.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let tasks: Vec<(&str, &[&str])> =
        config.tasks.iter().zip(classes).map(|(t, &c)| (t.name.as_str(), &names[..c])).collect();
    let schema = Schema::for_arrays(train.width(), &tasks);
    let parts = Parts::new(schema, train, None, None).unwrap();
    Plan::new(config, parts).unwrap()
}

/// Features whose size grows along the columns and whose mean grows along the rows, so that a
/// transposed matrix is noticed; labels are random.
pub fn synthetic(seed: u64, rows: usize, width: usize, classes: &[usize]) -> Dataset {
    let feature = |i: usize| {
        let (row, column) = ((i / width) as f64 / rows as f64, (i % width) as f64 / width as f64);
        (normal(seed, Purpose::Synthetic, 0, i as u64) * (0.5 + column) + 0.4 * row - 0.2) as f32
    };
    let label = |task: usize, row: usize| {
        below(classes[task] as u64, seed, Purpose::Synthetic, 1 + task as u64, row as u64) as u32
    };
    let labels =
        (0..classes.len()).map(|task| (0..rows).map(|row| label(task, row)).collect()).collect();
    Dataset::from_arrays(width, (0..rows * width).map(feature).collect(), labels).unwrap()
}

/// The reference's tuning: all rows in one chunk, all data in one segment.
pub fn whole() -> Tuning {
    Machine::Reference.tuning()
}

/// A plan on the float64 engine, with its data uploaded.
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

    /// Random parameters of the usual size, biases too; the gaps between blocks stay zero.
    pub fn random_parameters(&self, seed: u64) -> Vec<f64> {
        let mut arena = vec![0.0; self.plan.layout.len];
        for (number, block) in self.plan.layout.blocks.iter().enumerate() {
            let size = if block.is_bias() { 0.3 } else { (1.5 / block.shape[1] as f64).sqrt() };
            for i in 0..block.len {
                arena[block.offset + i] =
                    size * normal(seed, Purpose::Synthetic, 100 + number as u64, i as u64);
            }
        }
        arena
    }

    /// The entry of the step table for step `t`, counted from 0, over `rows` rows from `first` on.
    pub fn step(&self, t: u64, first: usize, rows: usize) -> Step {
        let plan = &self.plan;
        Course::new(
            &plan.config.optimizer,
            plan.config.train.seed,
            plan.steps_per_epoch,
            plan.total_steps,
        )
        .step(t, first, rows, 0)
    }

    /// Runs one training step from `parameters` and returns its metrics.
    pub fn train(&mut self, parameters: &[f64], step: &Step) -> Vec<f64> {
        self.engine.set_numbers(self.built.buffers.parameters, 0, parameters);
        self.engine.submit(self.built.train.unwrap(), &[*step]).unwrap();
        self.engine.collect(true).unwrap().remove(0).metrics
    }

    /// The gradients of the last step.
    pub fn gradients(&self) -> Vec<f64> {
        self.engine.numbers(self.built.program.whole(self.built.buffers.gradients))
    }

    /// Puts NaN wherever a step must write before it reads.
    pub fn poison(&mut self) {
        let b = self.built.buffers.clone();
        let scratch = [
            b.activations[0],
            b.activations[1],
            b.deltas[0],
            b.deltas[1],
            b.logits,
            b.logits_delta,
            b.partials,
            b.metrics,
        ];
        for buffer in scratch {
            self.engine.set_numbers(
                buffer,
                0,
                &vec![f64::NAN; self.built.program.buffers[buffer.0].len],
            );
        }
        for block in &self.plan.layout.blocks {
            self.engine.set_numbers(b.gradients, block.offset, &vec![f64::NAN; block.len]);
        }
    }
}

// Plans with tasks of any type.

/// The schema of unscaled features and labels for the tasks of a configuration. `classes` has one
/// entry per task, which counts for multiclass and binary tasks only; every class has been seen
/// equally often.
pub fn schema(config: &Config, width: usize, classes: &[usize]) -> Schema {
    let target = |(task, classes): (&Task, &usize)| {
        let has_classes = matches!(task.kind, TaskKind::Multiclass | TaskKind::Binary);
        let (columns, numbers) = (
            task.targets.len(),
            if task.kind == TaskKind::Regression { task.targets.len() } else { 0 },
        );
        Target {
            task: task.name.clone(),
            kind: task.kind,
            columns: task.targets.clone(),
            classes: if has_classes {
                (0..*classes).map(|c| c.to_string()).collect()
            } else {
                Vec::new()
            },
            groups: Vec::new(),
            missing: Vec::new(),
            blank_words: false,
            notations: Vec::new(),
            scales: vec![Scaling { offset: 0.0, factor: 1.0 }; numbers],
            mean: None,
            scheme: None,
            pool: None,
            open: false,
            counts: vec![vec![8; *classes]; columns],
        }
    };
    let targets = config.tasks.iter().zip(classes).map(target).collect();
    Schema { targets, ..Schema::for_arrays(width, &[]) }
}

/// A plan over arrays with tasks of any type.
pub fn plan_of(tables: &str, train: Dataset, valid: Option<Dataset>, classes: &[usize]) -> Plan {
    let config = config(tables);
    let schema = schema(&config, train.width(), classes);
    let parts = Parts {
        train: Arc::new(train),
        valid: valid.map(Arc::new),
        test: None,
        schema,
        hashes: Vec::new(),
        sources: Vec::new(),
        notices: Vec::new(),
    };
    Plan::new(config, parts).unwrap()
}

/// Features as in [`synthetic`], and random labels for the tasks of a configuration; the share
/// `blank` of the labels is blank.
pub fn labelled(
    tables: &str,
    seed: u64,
    rows: usize,
    width: usize,
    classes: &[usize],
    blank: f64,
) -> Dataset {
    let mut data = synthetic(seed, rows, width, &[]);
    let mut column = 0;
    for (task, classes) in config(tables).tasks.iter().zip(classes) {
        for _ in &task.targets {
            column += 1;
            data.labels.push(
                (0..rows)
                    .map(|row| any_label(task.kind, *classes, (seed, column, row as u64), blank))
                    .collect(),
            );
        }
    }
    data
}

/// A random label as a u32. The share `blank` decides which labels are blank, and does not change
/// the others.
fn any_label(
    kind: TaskKind,
    classes: usize,
    (seed, column, row): (u64, u64, u64),
    blank: f64,
) -> u32 {
    if uniform(seed, Purpose::Synthetic, 1000 + column, row) < blank {
        return UNLABELLED;
    }
    let draw = |below_this: u64| below(below_this, seed, Purpose::Synthetic, column, row) as u32;
    match kind {
        TaskKind::Multiclass | TaskKind::Tags => draw(classes as u64),
        TaskKind::Binary | TaskKind::Multilabel => draw(2),
        TaskKind::Regression => {
            (normal(seed, Purpose::Synthetic, 2000 + column, row) as f32).to_bits()
        }
        TaskKind::Count => (draw(6) as f32).to_bits(),
    }
}

/// Tasks with every loss and with several columns; there are pairs of heads of one logit, and of
/// one and two logits.
pub const EVERY_LOSS: &str = r#"
[trunk]
layers = [6]
activation = "tanh"
[task.plain]
weight = 0.75
[task.weights]
class_weights = { 0 = 0.5, 1 = 2.0, 3 = 3.25 }
[task.smooth]
label_smoothing = 0.125
[task.both]
label_smoothing = 0.25
class_weights = { 0 = 0.5, 1 = 2.0 }
weight = 1.25
[task.focal]
focal_gamma = 2.0
class_weights = { 2 = 0.25 }
[task.all]
focal_gamma = 1.5
label_smoothing = 0.125
class_weights = { 1 = 1.75 }
[task.two]
weight = 1.5
[task.binary]
type = "binary"
[task.positive]
type = "binary"
positive_weight = 3.5
weight = 0.625
[task.focus]
type = "binary"
focal_gamma = 1.5
positive_weight = 0.75
[task.labels]
type = "multilabel"
target = ["l0", "l1", "l2", "l3"]
positive_weight = 2.0
weight = 1.75
[task.squared]
type = "regression"
target = ["s0", "s1"]
[task.absolute]
type = "regression"
loss = "absolute"
weight = 0.875
[task.huber]
type = "regression"
loss = "huber"
huber_delta = 0.75
target = ["h0", "h1"]
[task.quantile]
type = "regression"
loss = "quantile"
quantile = 0.875
[task.count]
type = "count"
weight = 0.5
"#;

/// The number of classes of each task of [`EVERY_LOSS`].
pub const EVERY_CLASSES: [usize; 16] = [3, 4, 5, 3, 4, 4, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1];

/// Random row weights: 0, 0.5, 1, 1.5 or 2.
pub fn row_weights(seed: u64, rows: usize) -> Vec<f32> {
    (0..rows).map(|row| below(5, seed, Purpose::Synthetic, 5000, row as u64) as f32 / 2.0).collect()
}

/// The number of inputs of each of the two category columns of [`every_plan`], which follow three
/// numeric columns.
pub const CATEGORIES: [usize; 2] = [6, 5];

/// A plan with [`EVERY_LOSS`] and agreement, over rows with blanks, weights and categories, with a
/// validation part.
pub fn every_plan(tables: &str, rows: usize) -> Plan {
    let tables =
        format!("{EVERY_LOSS}[[coupling]]\nkind = \"agreement\"\nstrength = 0.5\n{tables}");
    let config = config(&tables);
    let mut schema = schema(&config, 3, &EVERY_CLASSES);
    let Input::Columns { columns } = &mut schema.input else { unreachable!() };
    for (number, width) in CATEGORIES.into_iter().enumerate() {
        let values = (1..width).map(|value| value.to_string()).collect();
        let encoding = Encoding::Category { values, blank: false, embed: 0 };
        let (name, missing, window) = (format!("c{number}"), Vec::new(), 0);
        columns.push(Column { name, missing, window, encoding });
    }
    let part = |seed: u64, rows: usize| {
        let data = labelled(&tables, seed, rows, 3, &EVERY_CLASSES, 0.3);
        Dataset {
            features: with_categories(&data, seed),
            weights: Some(row_weights(seed, rows)),
            ..data
        }
    };
    let (train, valid) = (Arc::new(part(50, rows)), Some(Arc::new(part(51, 70))));
    Plan::new(
        config,
        Parts {
            train,
            valid,
            test: None,
            schema,
            hashes: Vec::new(),
            sources: Vec::new(),
            notices: Vec::new(),
        },
    )
    .unwrap()
}

/// The features of `data`, and for each category column a code or none.
fn with_categories(data: &Dataset, seed: u64) -> Features {
    let code = |row: usize, column: usize| {
        let width = CATEGORIES[column] as u64;
        let drawn = below(width + 1, seed, Purpose::Synthetic, 7000 + column as u64, row as u64);
        if drawn == width { NO_CODE } else { drawn as u32 }
    };
    let row = |row: usize| {
        let numbers = data.row(row).into_iter().map(f32::to_bits);
        numbers
            .chain((0..CATEGORIES.len()).map(move |column| code(row, column)))
            .collect::<Vec<u32>>()
    };
    Features::Cells {
        values: (0..data.rows).flat_map(row).collect(),
        slots: data.width() + CATEGORIES.len(),
    }
}

/// Points and checkpoints of a run.
#[derive(Default)]
pub struct Tape {
    pub points: Vec<Point>,
    pub snapshots: Vec<Arc<Snapshot>>,
}

impl Observer for Tape {
    fn point(&mut self, point: &Point) -> Result<()> {
        // Only the seconds may differ.
        self.points.push(Point { seconds: 0.0, ..point.clone() });
        Ok(())
    }

    fn wants_checkpoints(&self) -> bool {
        true
    }

    fn checkpoint(&mut self, snapshot: &Arc<Snapshot>) -> Result<()> {
        self.snapshots.push(Arc::clone(snapshot));
        Ok(())
    }
}
