//! Learned embeddings of categories and bags of words: gradients compared with differences of an
//! independent formula, steps in pieces, equal bits, PyTorch, model files, and that a column of
//! many values is learnt.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::common::{ARCHITECTURES, Bench, config, labelled, schema, whole};
use anyhow::Result;
use safetensors::SafeTensors;
use tandem::data::encode::seen::Seen;
use tandem::data::{Column, Dataset, Encoding, Features, Input, NO_CODE, Parts};
use tandem::device::Session;
use tandem::device::adapter::Wish;
use tandem::fault::{Exit, exit_of};
use tandem::kernels::tuning::Tuning;
use tandem::model::file;
use tandem::rng::{Purpose, below};
use tandem::run::checkpoint::Snapshot;
use tandem::run::data::upload;
use tandem::run::machine::Machine;
use tandem::run::train::point::Point;
use tandem::run::train::{Ended, Observer, Options, Outcome, Plan, train};
use tandem::schedule::{Engine, MetricKind};

/// The columns of [`columns`]: a one-hot category, numbers, a category with vectors, a bag of
/// words, another category.
const ONE_HOT: usize = 4;
const NUMBERS: usize = 3;
/// (slots, codes, length of a vector, weight of a vector in the sum)
const LEARNED: [(usize, usize, usize, f32); 3] = [(1, 9, 4, 1.0), (3, 7, 5, 0.75), (1, 40, 2, 1.0)];
const CELLS: usize = 1 + NUMBERS + 1 + 3 + 1;

fn columns(scaled: &[Column]) -> Vec<Column> {
    let column = |name: &str, encoding| {
        let (name, missing, window) = (name.into(), Vec::new(), 0);
        Column { name, missing, window, encoding }
    };
    let values = |codes: usize| (1..codes).map(|value| value.to_string()).collect();
    let category =
        |codes: usize, embed| Encoding::Category { values: values(codes), blank: false, embed };
    let [(_, first, width, _), (slots, buckets, embed, scale), (_, last, narrow, _)] = LEARNED;
    let mut columns = vec![column("one hot", category(ONE_HOT, 0))];
    columns.extend(scaled.iter().cloned());
    columns.push(column("some \"city\"", category(first, width)));
    columns.push(column(
        "words",
        Encoding::Text { buckets, slots, ngrams: 0, scale, embed, words: Vec::new() },
    ));
    columns.push(column("other", category(last, narrow)));
    columns
}

/// The random u32s of a row; one code in some is none.
fn words(data: &Dataset, seed: u64, row: usize) -> Vec<u32> {
    let code = |codes: usize, column: u64| {
        let drawn =
            below(codes as u64 + 1, seed, Purpose::Synthetic, 9000 + column, row as u64) as u32;
        if drawn as usize == codes { NO_CODE } else { drawn }
    };
    let mut words = vec![code(ONE_HOT, 0)];
    words.extend(data.row(row).into_iter().map(f32::to_bits));
    for (number, (slots, codes, ..)) in LEARNED.into_iter().enumerate() {
        words.extend((0..slots).map(|slot| code(codes, (10 * number + slot) as u64 + 1)));
    }
    words
}

/// A plan over such rows, with a validation part.
fn plan(tables: &str, rows: usize, classes: &[usize], blank: f64) -> Plan {
    let config = config(tables);
    let mut schema = schema(&config, NUMBERS, classes);
    let Input::Columns { columns: scaled } = &mut schema.input else { unreachable!() };
    *scaled = columns(scaled);
    let part = |seed: u64, rows: usize| {
        let data = labelled(tables, seed, rows, NUMBERS, classes, blank);
        let words = (0..rows).flat_map(|row| words(&data, seed, row)).collect();
        Dataset { features: Features::Cells { values: words, slots: CELLS }, ..data }
    };
    let (train, valid) = (Arc::new(part(60, rows)), Some(Arc::new(part(61, 70))));
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

/// Two heads of one shape and one of another, on a trunk or on the inputs.
const HEADS: &str =
    "[task.a]\nlayers = [4]\nactivation = \"tanh\"\nweight = 0.75\n[task.b]\nweight = 1.5\n";
const CLASSES: [usize; 2] = [3, 4];

fn tables(trunk: &str, rest: &str) -> String {
    format!("[trunk]\nlayers = {trunk}\nactivation = \"tanh\"\n{HEADS}{rest}")
}

// The independent formula: tensors by name, rows as u32s.

type Tensors = BTreeMap<String, Vec<Vec<f64>>>;

fn named(bench: &Bench, arena: &[f64]) -> Tensors {
    let rows = |b: &tandem::model::layout::Block| {
        arena[b.offset..b.offset + b.len]
            .chunks(*b.shape.last().unwrap())
            .map(<[f64]>::to_vec)
            .collect()
    };
    bench.plan.layout.blocks.iter().map(|b| (b.name.clone(), rows(b))).collect()
}

/// The inputs of a row: learned ones first, then the others, each in the order of the columns.
fn inputs(p: &Tensors, words: &[u32]) -> Vec<f64> {
    let mut inputs = Vec::new();
    let mut cells = &words[1 + NUMBERS..];
    for ((slots, _, width, scale), name) in
        LEARNED.into_iter().zip(["some \"city\"", "words", "other"])
    {
        let vectors = &p[&format!("embedding.{name}.weight")];
        let sum = |d: usize| {
            cells[..slots]
                .iter()
                .filter(|code| **code != NO_CODE)
                .map(|code| vectors[*code as usize][d])
                .sum::<f64>()
        };
        inputs.extend((0..width).map(|d| f64::from(scale) * sum(d)));
        cells = &cells[slots..];
    }
    inputs.extend((0..ONE_HOT).map(|place| f64::from(u8::from(words[0] as usize == place))));
    inputs.extend(words[1..1 + NUMBERS].iter().map(|word| f64::from(f32::from_bits(*word))));
    inputs
}

fn dense(p: &Tensors, name: &str, x: &[f64]) -> Vec<f64> {
    let (weight, bias) = (&p[&format!("{name}.weight")], &p[&format!("{name}.bias")][0]);
    weight
        .iter()
        .zip(bias)
        .map(|(w, b)| b + w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>())
        .collect()
}

fn loss(p: &Tensors, data: &Dataset, rows: &[usize]) -> f64 {
    let Features::Cells { values: words, slots } = &data.features else { unreachable!() };
    let tanh = |x: Vec<f64>| x.into_iter().map(f64::tanh).collect::<Vec<_>>();
    let of_row = |&row: &usize| {
        let mut x = inputs(p, &words[row * slots..][..*slots]);
        for i in (0..).take_while(|i| p.contains_key(&format!("trunk.{i}.weight"))) {
            x = tanh(dense(p, &format!("trunk.{i}"), &x));
        }
        let logits =
            [dense(p, "task.a.1", &tanh(dense(p, "task.a.0", &x))), dense(p, "task.b.0", &x)];
        let nll =
            |z: &[f64], label: u32| z.iter().map(|z| z.exp()).sum::<f64>().ln() - z[label as usize];
        0.75 * nll(&logits[0], data.labels[0][row]) + 1.5 * nll(&logits[1], data.labels[1][row])
    };
    rows.iter().map(of_row).sum::<f64>() / rows.len() as f64
}

/// Compares all gradients of the last step with differences of fourth order.
fn compare_with_formula(bench: &Bench, parameters: &[f64], rows: &[usize]) {
    let (gradients, mut moved) = (bench.gradients(), named(bench, parameters));
    let data = &bench.plan.parts.train;
    for block in &bench.plan.layout.blocks {
        let width = *block.shape.last().unwrap();
        let mut largest: f64 = 0.0;
        for i in 0..block.len {
            let here = moved[&block.name][i / width][i % width];
            let mut at = |by: f64| {
                moved.get_mut(&block.name).unwrap()[i / width][i % width] = here + by;
                loss(&moved, data, rows)
            };
            let h = 1e-3;
            let expected = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
            at(0.0);
            let found = gradients[block.offset + i];
            let error = (found - expected).abs() / expected.abs().max(1e-3);
            assert!(
                error < 1e-7,
                "{} [{i}]: gradient {found:e}, by differences {expected:e}",
                block.name
            );
            largest = largest.max(found.abs());
        }
        assert!(largest > 1e-3, "{}: no gradient above 1e-3", block.name);
    }
}

fn check_gradients(trunk: &str) {
    let mut bench = Bench::new(
        plan(&tables(trunk, "[train]\nbatch_size = \"full\"\n"), 32, &CLASSES, 0.0),
        &whole(),
    );
    let (parameters, step) = (bench.random_parameters(60), bench.step(0, 0, 32));
    bench.poison();
    bench.train(&parameters, &step);
    compare_with_formula(&bench, &parameters, &(0..32).collect::<Vec<_>>());
}

#[test]
fn gradients_under_a_trunk() {
    check_gradients("[6, 5]");
}

/// Without a trunk all heads read the vectors themselves.
#[test]
fn gradients_without_trunk() {
    check_gradients("[]");
}

/// Values that no row of a batch has get the gradient zero, whatever the buffer held before; a
/// later batch does not keep old gradients.
/// The vectors under experts, gates, masks and stitches, by differences of the loss of the step.
#[test]
fn gradients_under_every_architecture() {
    for architecture in ARCHITECTURES.iter().filter(|kind| !kind.contains("separate")) {
        let tables = format!(
            "[architecture]\n{architecture}\n{}",
            tables("[6, 5]", "[train]\nbatch_size = \"full\"\n")
        );
        let mut bench = Bench::new(plan(&tables, 16, &CLASSES, 0.0), &whole());
        let parameters = bench.random_parameters(3);
        bench.poison();
        let step = bench.step(0, 0, 16);
        bench.train(&parameters, &step);
        let gradients = bench.gradients();
        let (objective, kinds) =
            (bench.plan.objective.clone(), bench.built.program.metrics.clone());
        let mut loss = |place: usize, by: f64| {
            let mut moved = parameters.clone();
            moved[place] += by;
            let metrics = bench.train(&moved, &step);
            let parts = kinds.iter().zip(metrics).map(|(kind, value)| match kind {
                MetricKind::Loss(task) => f64::from(objective.weights[*task]) * value,
                MetricKind::GateEntropy(_) => objective.entropy * value,
                _ => 0.0,
            });
            parts.sum::<f64>()
        };
        let h = 1e-4;
        let mut largest = 0.0f64;
        for place in (0..LEARNED.iter().map(|(_, codes, width, _)| codes * width).sum()).step_by(3)
        {
            let near = loss(place, h) - loss(place, -h);
            let expected = (8.0 * near - loss(place, 2.0 * h) + loss(place, -2.0 * h)) / (12.0 * h);
            let error = (gradients[place] - expected).abs() / expected.abs().max(1e-3);
            assert!(error < 1e-6, "{architecture}: [{place}]: {} {expected}", gradients[place]);
            largest = largest.max(expected.abs());
        }
        assert!(largest > 1e-3, "{architecture}: no gradient");
    }
}

#[test]
fn values_that_are_not_in_the_batch_have_no_gradient() {
    let mut bench =
        Bench::new(plan(&tables("[6]", "[train]\nbatch_size = 8\n"), 32, &CLASSES, 0.0), &whole());
    bench.engine.upload(bench.built.buffers.order, 0, &(0..32).collect::<Vec<u32>>()).unwrap();
    let (parameters, steps) =
        (bench.random_parameters(60), [bench.step(0, 0, 8), bench.step(1, 16, 8)]);
    for (first, step) in [0, 16].into_iter().zip(steps) {
        bench.poison();
        bench.train(&parameters, &step);
        compare_rows(&bench, first..first + 8);
    }
}

/// Asserts that exactly the vectors that these rows name have a gradient, in the last embedding.
fn compare_rows(bench: &Bench, rows: std::ops::Range<usize>) {
    let Features::Cells { values: words, slots } = &bench.plan.parts.train.features else {
        unreachable!()
    };
    let (block, gradients) = (&bench.plan.layout.embeddings()[2], bench.gradients());
    let is_named =
        |value: usize| rows.clone().any(|row| words[row * slots + CELLS - 1] as usize == value);
    for value in 0..block.shape[0] {
        let vector = &gradients[block.offset + value * block.shape[1]..][..block.shape[1]];
        assert_eq!(vector.iter().any(|g| *g != 0.0), is_named(value), "value {value}: {vector:?}");
    }
}

// The device.

fn device() -> Machine {
    Machine::open(&Wish::default()).unwrap_or_else(|e| panic!("{e:#}"))
}

/// Keeps the points of a run, without the seconds, which differ from run to run.
#[derive(Default)]
struct Points(Vec<Point>);

impl Observer for Points {
    fn point(&mut self, point: &Point) -> Result<()> {
        self.0.push(Point { seconds: 0.0, ..point.clone() });
        Ok(())
    }
}

fn run(plan: &Plan, machine: Machine, options: Options) -> (Outcome, Vec<Point>) {
    let mut points = Points::default();
    let outcome = train(plan, machine, options, &mut points).unwrap();
    assert!(matches!(outcome.ended, Ended::Finished), "{:?}", outcome.ended);
    (outcome, points.0)
}

const RUN: &str = "[optimizer]\nlearning_rate = 1e-2\nclip_norm = 1.0\nweight_decay = \
                   0.01\n[train]\nepochs = 2\nbatch_size = 48\nlog_every = \"1s\"\n";

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn a_run_repeats_to_the_bit_however_it_is_submitted() {
    for trunk in ["[12]", "[]"] {
        let plan = plan(&tables(trunk, RUN), 400, &CLASSES, 0.2);
        let (first, points) =
            run(&plan, device(), Options { steps_per_submission: Some(1), ..Options::default() });
        assert_ne!(bits(&first.last), bits(&plan.initial().unwrap()));
        let all = Options { steps_per_submission: Some(64), ..Options::default() };
        let streamed =
            Options { streamed: Some(48 * 4 * (CELLS + 3) as u64), ..Options::default() };
        for options in [all, streamed] {
            let (again, same) = run(&plan, device(), options);
            assert!(
                same == points
                    && bits(&again.last) == bits(&first.last)
                    && bits(&again.best) == bits(&first.best)
            );
            // The rows of the training part are evaluated in other pieces, which round differently.
            for (found, expected) in again.kept.iter().zip(&first.kept) {
                assert_eq!((found.step, &found.split), (expected.step, &expected.split));
                let far = (found.loss.unwrap() - expected.loss.unwrap()).abs();
                assert!(far <= 1e-6, "{found:?}, expected {expected:?}");
            }
            assert!(again.measured_training() && first.measured_training());
        }
    }
}

#[test]
fn ten_steps_follow_the_reference() {
    let plan = plan(&tables("[12]", &format!("{RUN}max_steps = 10\n")), 400, &CLASSES, 0.2);
    let [found, expected] =
        [device(), Machine::Reference].map(|machine| run(&plan, machine, Options::default()));
    assert_eq!(found.1.len(), expected.1.len());
    for (found, expected) in found.1.iter().zip(&expected.1) {
        let (found, expected) = (found.loss.unwrap(), expected.loss.unwrap());
        assert!((found - expected).abs() <= 1e-5 * expected, "{found} and {expected}");
    }
    let norm = |values: &mut dyn Iterator<Item = f32>| {
        values.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt()
    };
    for block in &plan.layout.blocks {
        let run = block.offset..block.offset + block.len;
        let apart = norm(
            &mut found.0.last[run.clone()]
                .iter()
                .zip(&expected.0.last[run.clone()])
                .map(|(a, b)| a - b),
        );
        assert!(
            apart <= 1e-4 * norm(&mut expected.0.last[run].iter().copied()),
            "{}: {apart:e}",
            block.name
        );
    }
}

/// Gradients of one step on the device.
fn gradients(plan: &Plan, tuning: &Tuning) -> (usize, Vec<f32>) {
    let Machine::Device(gpu) = device() else { unreachable!() };
    let built = plan.build(tuning).unwrap();
    let mut session = Session::new(*gpu, built.program.clone()).unwrap();
    upload(&mut session, &built.parts[0], &plan.parts.train, built.counting).unwrap();
    session.upload(built.buffers.parameters, 0, &bits(&plan.initial().unwrap())).unwrap();
    let course = tandem::run::train::learning_rate::Course::new(
        &plan.config.optimizer,
        0,
        plan.steps_per_epoch,
        plan.total_steps,
    );
    session.submit(built.train.unwrap(), &[course.step(0, 0, plan.batch, 0)]).unwrap();
    session.collect(true).unwrap();
    let chunks = built.program.schedules[0]
        .dispatches
        .iter()
        .filter(|d| d.kernel.name == "embedding_backward")
        .count();
    (chunks, session.download(built.program.whole(built.buffers.gradients)).unwrap())
}

/// A batch in chunks and data in segments give the same up to rounding.
#[test]
fn pieces_change_nothing_but_rounding() {
    let plan = plan(&tables("[12]", "[train]\nbatch_size = \"full\"\n"), 600, &CLASSES, 0.2);
    let Machine::Device(gpu) = device() else { unreachable!() };
    let small = Tuning { binding_bytes: 8 << 10, ..gpu.tuning() };
    let ((one, whole), (many, pieces)) =
        (gradients(&plan, &gpu.tuning()), gradients(&plan, &small));
    assert!(one == 1 && many > 3, "{one} and {many} chunks");
    assert!(plan.build(&small).unwrap().parts[0].segments.len() > 1);
    let scale = whole.iter().fold(0.0, |most: f32, g| most.max(g.abs()));
    for (i, (found, expected)) in pieces.iter().zip(&whole).enumerate() {
        assert!(
            (found - expected).abs() <= 1e-6 * scale,
            "{i}: {found} in pieces, {expected} in one"
        );
    }
    assert_eq!(bits(&pieces), bits(&gradients(&plan, &small).1));
}

/// Vectors begin with a length of about one. Exceptions are the vectors of rare and unseen values
/// and of values that no training row has, which begin at zero.
#[test]
fn vectors_begin_with_a_length_of_about_one() {
    let plan = plan(&tables("[6]", RUN), 96, &CLASSES, 0.0);
    let initial = plan.initial().unwrap();
    let seen = Seen::of(&plan.parts.schema.input, &plan.parts.train).unwrap().unwrap();
    for ((block, has_rest), seen) in
        plan.layout.embeddings().iter().zip([true, false, true]).zip(&seen.vectors)
    {
        let vectors: Vec<f64> = initial[block.offset..block.offset + block.len]
            .chunks(block.shape[1])
            .map(|vector| norm(vector.iter().map(|x| f64::from(*x))))
            .collect();
        let begins: Vec<bool> = (0..seen.len())
            .map(|code| seen[code] && !(has_rest && code + 1 == seen.len()))
            .collect();
        assert_eq!(
            vectors.iter().map(|length| *length > 0.0).collect::<Vec<_>>(),
            begins,
            "{}",
            block.name
        );
        let (count, squares) = (
            begins.iter().filter(|begins| **begins).count(),
            vectors.iter().map(|length| length * length).sum::<f64>(),
        );
        // Vectors of words begin with deviation 0.001.
        let is_word = block.name.contains("words");
        let expected = if is_word { 1e-6 * block.shape[1] as f64 } else { 1.0 };
        let ratio = squares / count as f64 / expected;
        assert!((0.6..1.6).contains(&ratio), "{}: {vectors:?}", block.name);
    }
}

/// With a frozen trunk, the vectors are not trained either.
#[test]
fn a_frozen_trunk_keeps_its_vectors() {
    let plan =
        plan(&tables("[6]", RUN).replace("[trunk]", "[trunk]\nfreeze = true"), 96, &CLASSES, 0.0);
    let (outcome, _) = run(&plan, Machine::Reference, Options::default());
    let changed: Vec<&str> = plan
        .layout
        .blocks
        .iter()
        .filter(|b| {
            outcome.last[b.offset..b.offset + b.len]
                != plan.initial().unwrap()[b.offset..b.offset + b.len]
        })
        .map(|b| b.name.as_str())
        .collect();
    assert!(
        !changed.is_empty() && changed.iter().all(|name| name.starts_with("task.")),
        "{changed:?}"
    );
}

/// A gradient that overflows is reported with the column's name. The large weights are multiplied
/// by an input of zero, so the logits stay finite.
#[test]
fn gradients_that_are_not_finite_are_named() {
    let tables =
        tables("[]", "[train]\nbatch_size = \"full\"\n").replace("weight = 1.5", "weight = 1e5");
    let mut bench = Bench::new(plan(&tables, 32, &CLASSES, 0.0), &whole());
    let (mut parameters, step) = (bench.random_parameters(60), bench.step(0, 0, 32));
    let [weight, vectors] = ["task.b.0.weight", "embedding.words.weight"]
        .map(|name| bench.plan.layout.blocks.iter().find(|b| b.name == name).unwrap());
    parameters[weight.offset + LEARNED[0].2] = 1e307;
    (0..vectors.shape[0])
        .for_each(|value| parameters[vectors.offset + value * vectors.shape[1]] = 0.0);
    bench.train(&parameters, &step);
    let raised = bench.engine.not_finite().unwrap().flags;
    let flags = &bench.built.program.flags;
    assert_eq!(
        raised.iter().map(|flag| flags[flag - 1].to_string()).collect::<Vec<_>>(),
        ["gradient of embedding.words"]
    );
}

// PyTorch.

/// The rows of `pytorch/embeddings.py`, and its numbers by name.
fn recorded() -> (Plan, BTreeMap<String, Vec<f64>>) {
    let bytes = std::fs::read(
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pytorch/embeddings.safetensors"),
    )
    .unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let words = |name: &str| -> Vec<u32> {
        tensors
            .tensor(name)
            .unwrap()
            .data()
            .chunks_exact(4)
            .map(|b| u32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    };
    let rest = "[optimizer]\nkind = \"adamw\"\nlearning_rate = 1e-2\nweight_decay = \
                0.05\n[train]\nepochs = 30\nbatch_size = \"full\"\nlog_every = \"1s\"\n";
    let mut plan = plan(&tables("[6]", rest), 64, &CLASSES, 0.0);
    let labels =
        (0..2).map(|task| words("labels").into_iter().skip(task).step_by(2).collect()).collect();
    let features = Features::Cells { values: words("cells"), slots: CELLS };
    plan.parts.train = Arc::new(Dataset { labels, features, ..Dataset::clone(&plan.parts.train) });
    plan.parts.valid = None;
    let plan = Plan::new(plan.config, plan.parts).unwrap();
    let mut numbers = BTreeMap::new();
    for (name, tensor) in tensors
        .tensors()
        .into_iter()
        .filter(|(name, _)| !["cells", "labels"].contains(&name.as_str()))
    {
        let values = match name.as_str() {
            "loss" => tensor
                .data()
                .chunks_exact(8)
                .map(|b| f64::from_le_bytes(b.try_into().unwrap()))
                .collect(),
            _ => words(&name).into_iter().map(|bits| f64::from(f32::from_bits(bits))).collect(),
        };
        numbers.insert(name, values);
    }
    (plan, numbers)
}

/// The arena of a stage (initial or final).
fn arena(plan: &Plan, numbers: &BTreeMap<String, Vec<f64>>, stage: &str) -> Vec<f64> {
    let mut arena = vec![0.0; plan.layout.len];
    for block in &plan.layout.blocks {
        arena[block.offset..block.offset + block.len]
            .copy_from_slice(&numbers[&format!("{stage}.{}", block.name)]);
    }
    arena
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum::<f64>().sqrt()
}

/// Asserts that |found − expected| ≤ most · |expected| for each block.
fn assert_near(plan: &Plan, found: &[f64], expected: &[f64], most: f64) {
    for block in &plan.layout.blocks {
        let run = block.offset..block.offset + block.len;
        let apart = norm(found[run.clone()].iter().zip(&expected[run.clone()]).map(|(f, e)| f - e));
        let size = norm(expected[run].iter().copied());
        assert!(apart <= most * size, "{}: {:e} apart, relatively", block.name, apart / size);
    }
}

#[test]
fn the_first_gradient_is_that_of_pytorch() {
    let (plan, numbers) = recorded();
    let mut bench = Bench::new(plan, &whole());
    let step = bench.step(0, 0, 64);
    bench.train(&arena(&bench.plan, &numbers, "initial"), &step);
    assert_near(&bench.plan, &bench.gradients(), &arena(&bench.plan, &numbers, "gradient"), 1e-6);
}

#[test]
fn thirty_steps_follow_pytorch() {
    for (machine, most) in [(Machine::Reference, [1e-6, 1e-6]), (device(), [1e-5, 1e-4])] {
        let (plan, numbers) = recorded();
        let initial = arena(&plan, &numbers, "initial").into_iter().map(|x| x as f32).collect();
        let (outcome, points) =
            run(&plan, machine, Options { initial: Some(initial), ..Options::default() });
        assert_eq!(points.len(), 30);
        for (point, expected) in points.iter().zip(&numbers["loss"]) {
            let loss = point.loss.unwrap();
            assert!(
                (loss - expected).abs() <= most[0] * expected,
                "step {}: {loss}, in PyTorch {expected}",
                point.step
            );
        }
        let last: Vec<f64> = outcome.last.into_iter().map(f64::from).collect();
        assert_near(&plan, &last, &arena(&plan, &numbers, "final"), most[1]);
    }
}

// Files.

/// Settings for a table.
fn load_csv(text: &str, more: &str) -> Parts {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("rows.csv"), text).unwrap();
    let settings =
        format!("[data]\ntrain = \"rows.csv\"\nsplit = [1.0, 0.0, 0.0]\n{more}[task.y]\n");
    let config =
        tandem::config::read::from_text(&settings, "config.toml", dir.path(), &[]).unwrap();
    tandem::data::load::door::load(&config.data, &config.tasks).unwrap()
}

/// A table in which each of `values` values is in three rows.
fn many_values(values: usize) -> String {
    let row =
        |row: usize| format!("v{},{},some words of {} more\n", row % values, row % 2, row % 7);
    "city,y,note\n".to_owned() + &(0..3 * values).map(row).collect::<String>()
}

fn embeds(parts: &Parts) -> Vec<(String, usize, usize)> {
    let Input::Columns { columns } = &parts.schema.input else { unreachable!() };
    columns.iter().map(|c| (c.name.clone(), c.vectors(), c.width())).collect()
}

/// Categories with many values, and words, get vectors, unless the configuration says otherwise.
#[test]
fn many_values_get_vectors() {
    let of = |values: usize, more: &str| embeds(&load_csv(&many_values(values), more)).remove(0);
    let city = |vectors, width| ("city".to_owned(), vectors, width);
    assert_eq!(of(256, ""), city(0, 257), "as many as have an input each");
    // 1.6 · 257^0.56 = 35.8 and 1.6 · 900^0.56 = 72.2.
    assert_eq!((of(257, ""), of(900, "")), (city(258, 36), city(901, 64)));
    assert_eq!(of(900, "[feature.city]\nembed = 0\n"), city(0, 257));
    assert_eq!(of(900, "[feature.city]\nmax_values = 300\nembed = 6\n"), city(301, 6));
    assert_eq!(of(10, "[feature.city]\nembed = 6\n"), city(11, 6));
    let note = |more: &str| {
        embeds(&load_csv(&many_values(9), &format!("[feature.note]\ntype = \"text\"\n{more}")))
            .remove(1)
    };
    let words = |vectors, width| ("note".to_owned(), vectors, width);
    assert_eq!(
        (note(""), note("embed = 0\n"), note("embed = 3\nbuckets = 50\n")),
        // some, words, of, more, and seven numbers.
        (words(11, 16), words(0, 11), words(50, 3))
    );
}

/// Rare, unknown and blank values have vectors of their own, the last ones.
#[test]
fn values_without_a_vector_share_one() {
    let text = many_values(300) + "rare,0,x\n,1,y\n";
    let parts = load_csv(&text, "");
    assert_eq!(embeds(&parts)[0], ("city".to_owned(), 302, 40));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("later.csv");
    std::fs::write(&path, "city,note\nv0,a\nrare,a\nnever seen,a\n,a\n").unwrap();
    let (later, _) =
        tandem::data::load::door::load_with(&parts.schema, path.to_str().unwrap(), false).unwrap();
    let Features::Cells { values: words, slots } = &later.features else { panic!("numbers") };
    assert_eq!(words.iter().step_by(*slots).copied().collect::<Vec<_>>(), [0, 300, 300, 301]);
}

/// A schema without embeddings is read and written as in earlier versions.
#[test]
fn older_schemas_are_read() {
    let old = r#"{"name":"c","missing":[""],"type":"category","values":["a","b"],"blank":true}"#;
    let column: Column = serde_json::from_str(old).unwrap();
    assert_eq!(
        column.encoding,
        Encoding::Category { values: vec!["a".into(), "b".into()], blank: true, embed: 0 }
    );
    assert_eq!(serde_json::to_string(&column).unwrap(), old);
    let old =
        r#"{"name":"t","missing":[],"type":"text","buckets":9,"slots":2,"ngrams":0,"scale":0.5}"#;
    let column: Column = serde_json::from_str(old).unwrap();
    assert_eq!(
        (column.width(), column.vectors(), serde_json::to_string(&column).unwrap().as_str()),
        (9, 0, old)
    );
}

/// A model is read as it was written, and refused if its files do not agree.
#[test]
fn models_keep_their_vectors() {
    let (plan, root) = (plan(&tables("[6]", RUN), 8, &CLASSES, 0.0), tempfile::tempdir().unwrap());
    let (dir, initial) = (root.path().join("model"), plan.initial().unwrap());
    file::save(&dir, &plan.network, &plan.layout, &plan.parts.schema, &initial).unwrap();
    let model = file::load(&dir).unwrap();
    assert_eq!(
        (&model.network, &model.layout, &model.schema),
        (&plan.network, &plan.layout, &plan.parts.schema)
    );
    assert_eq!(bits(&model.parameters), bits(&initial));
    let bytes = std::fs::read(dir.join("model.safetensors")).unwrap();
    let tensor = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensor.tensor("embedding.some \"city\".weight").unwrap().shape(), [9, 4]);

    let refused = |name: &str, from: &str, to: &str, words: &str| {
        let path = dir.join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let error = file::load(&dir).unwrap_err();
        assert_eq!(exit_of(&error), Exit::Data);
        assert!(error.to_string().contains(words), "{words}: {error}");
        std::fs::write(&path, text).unwrap();
    };
    refused(
        "config.json",
        "\"values\": 9,",
        "\"values\": 10,",
        "other embeddings than in config.json",
    );
    refused("config.json", "\"values\": 9,", "\"values\": 0,", "0 vectors of 4 numbers");
    refused(
        "config.json",
        "\"values\": 9,",
        "\"values\": 999999999999999999,",
        "999999999999999999 vectors of 4 numbers",
    );
    refused("config.json", "\"width\": 4\n", "\"width\": 4000\n", "9 vectors of 4000 numbers");
    refused(
        "config.json",
        "\"width\": 4\n",
        "\"width\": 400\n",
        "more than 18 inputs from embeddings",
    );
    refused(
        "config.json",
        "\"column\": \"other\"",
        "\"column\": \"words\"",
        "two embeddings of column \"words\"",
    );
    refused(
        "schema.json",
        "\"embed\": 2",
        "\"embed\": 3",
        "19 features, config.json has 18 inputs",
    );
    refused(
        "schema.json",
        "\"name\": \"other\"",
        "\"name\": \"others\"",
        "other embeddings than in config.json",
    );
    refused(
        "schema.json",
        "\"embed\": 2",
        "\"embed\": 2000",
        "vectors of 2000 numbers, expected at most 1024",
    );
    file::load(&dir).unwrap();
}

// Going on, and learning.

/// Keeps the snapshots that a run could go on from.
#[derive(Default)]
struct Snapshots(Vec<Arc<Snapshot>>);

impl Observer for Snapshots {
    fn wants_checkpoints(&self) -> bool {
        true
    }

    fn checkpoint(&mut self, snapshot: &Arc<Snapshot>) -> Result<()> {
        self.0.push(Arc::clone(snapshot));
        Ok(())
    }
}

#[test]
fn a_run_goes_on_with_the_same_bits() {
    let plan =
        plan(&tables("[12]", &format!("{RUN}checkpoint_every = \"5s\"\n")), 400, &CLASSES, 0.2);
    let mut snapshots = Snapshots::default();
    let whole = train(&plan, device(), Options::default(), &mut snapshots).unwrap();
    let middle = snapshots.0.iter().find(|s| s.steps == 5).unwrap();
    let (rest, _) = run(
        &plan,
        device(),
        Options { resume: Some(Snapshot::clone(middle)), ..Options::default() },
    );
    assert!(bits(&rest.last) == bits(&whole.last) && bits(&rest.best) == bits(&whole.best));
}

/// A column of 2,000 values decides a label of two classes; one value is in ten of 20,000 rows.
/// Rows that were not trained on are classified by what was learnt about their value.
#[test]
fn a_column_of_many_values_is_learnt() {
    const VALUES: u64 = 2000;
    let tables = "[trunk]\nlayers = [16]\n[task.y]\n[optimizer]\nlearning_rate = \
                  1e-2\n[train]\nepochs = 3\nbatch_size = 256\n";
    let config = config(tables);
    let part = |seed: u64, rows: usize| {
        let words: Vec<u32> = (0..rows as u64)
            .map(|row| below(VALUES, seed, Purpose::Synthetic, 1, row) as u32)
            .collect();
        let labels = words
            .iter()
            .map(|v| below(2, 99, Purpose::Synthetic, 2, u64::from(*v)) as u32)
            .collect();
        let features = Features::Cells { values: words, slots: 1 };
        Arc::new(Dataset {
            features,
            labels: vec![labels],
            ..labelled(tables, seed, rows, 1, &[2], 0.0)
        })
    };
    let mut schema = schema(&config, 1, &[2]);
    let Input::Columns { columns } = &mut schema.input else { unreachable!() };
    let values = (1..VALUES).map(|value| value.to_string()).collect();
    columns[0].encoding = Encoding::Category { values, blank: false, embed: 16 };
    let parts = Parts {
        train: part(70, 20_000),
        valid: Some(part(71, 4_000)),
        test: None,
        schema,
        hashes: Vec::new(),
        sources: Vec::new(),
        notices: Vec::new(),
    };
    let (_, points) = run(&Plan::new(config, parts).unwrap(), device(), Options::default());
    let valid = points.iter().rfind(|point| point.split == "valid").unwrap();
    let accuracy = valid.tasks[0].metric("accuracy").unwrap();
    assert!(accuracy > 0.97, "accuracy {accuracy}, by chance 0.5");
}
