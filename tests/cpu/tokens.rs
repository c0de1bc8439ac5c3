//! Tokens of sentences: windows over neighbours, one table of vectors for all places of a window, a
//! code beyond the sentence, and pooling, by differences of an independent formula that reads the
//! file itself; steps over whole sentences.

use std::collections::{BTreeMap, HashSet};
use std::fs;

use crate::common::{Bench, whole};
use tandem::config::Config;
use tandem::config::read::from_text;
use tandem::data::load::door;
use tandem::data::split::order::{sentence_batches, sentence_order, sentence_steps};
use tandem::data::{Encoding, Input};
use tandem::run::machine::Machine;
use tandem::run::train::{Options, Plan, Silent, train};

const TEXT: &str = "\
# mood = good
the DT
cat NN
sleeps VB

# mood = bad
a DT
dog NN
barks VB
the DT
cat NN

# mood = good
dog NN

# mood = bad
sleeps VB
a DT
dog NN
barks VB
barks VB
the DT
";

const TABLES: &str = "
window = 2
affixes = 1
shape = false
[feature.\"word.lower\"]
embed = 3
min_count = 1
[feature.\"word.prefix1\"]
embed = 2
min_count = 1
window = 1
[feature.\"word.suffix1\"]
embed = 0
min_count = 1
window = 1
[trunk]
layers = [5]
activation = \"tanh\"
[task.tag]
weight = 0.75
[task.mean]
target = \"mood\"
pool = \"mean\"
weight = 1.5
[task.max]
target = \"mood\"
pool = \"max\"
layers = [4]
activation = \"tanh\"
";

fn settings(name: &str, text: &str, rest: &str) -> (Config, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.conll"), text).unwrap();
    let head =
        "[data]\ntrain = \"x.conll\"\nsplit = [1.0, 0.0, 0.0]\ncolumns = [\"word\", \"tag\"]";
    let config = from_text(&format!("{head}{rest}"), name, folder.path(), &[]);
    (config.unwrap_or_else(|e| panic!("{e:#}")), folder)
}

fn plan(text: &str, rest: &str) -> Plan {
    let (config, _folder) = settings("config.toml", text, rest);
    let parts = door::load(&config.data, &config.tasks).unwrap_or_else(|e| panic!("{e:#}"));
    Plan::new(config, parts).unwrap()
}

// The independent formula.

/// Sentences as (mood, [(word, tag)]).
fn sentences() -> Vec<(String, Vec<(String, String)>)> {
    let sentence = |block: &str| {
        let mut lines = block.lines();
        let mood = lines.next().unwrap().split(" = ").nth(1).unwrap().to_owned();
        let token = |line: &str| {
            let (word, tag) = line.split_once(' ').unwrap();
            (word.to_owned(), tag.to_owned())
        };
        (mood, lines.map(token).collect())
    };
    TEXT.trim().split("\n\n").map(sentence).collect()
}

type Tensors = BTreeMap<String, Vec<Vec<f64>>>;

fn named(bench: &Bench, arena: &[f64]) -> Tensors {
    let rows = |b: &tandem::model::layout::Block| {
        let numbers = &arena[b.offset..b.offset + b.len];
        numbers.chunks(*b.shape.last().unwrap()).map(<[f64]>::to_vec).collect()
    };
    bench.plan.layout.blocks.iter().map(|b| (b.name.clone(), rows(b))).collect()
}

/// The known values of a column, in the order of their codes. Behind them come the code of other
/// values and the one beyond the sentence.
fn values(plan: &Plan, name: &str) -> Vec<String> {
    let Input::Columns { columns } = &plan.parts.schema.input else { unreachable!() };
    let column = columns.iter().find(|column| column.name == name).unwrap();
    let Encoding::Category { values, .. } = &column.encoding else { unreachable!() };
    values.clone()
}

/// What the columns make of a word.
fn letters(name: &str, word: &str) -> String {
    match name {
        "word.lower" => word.to_owned(),
        "word.prefix1" => word[..1].to_owned(),
        _ => word[word.len() - 1..].to_owned(),
    }
}

/// The codes of a column in the window of a token.
fn codes(known: &[String], name: &str, words: &[&str], at: usize, window: i64) -> Vec<usize> {
    let code = |offset: i64| {
        let place = usize::try_from(at as i64 + offset).ok().and_then(|place| words.get(place));
        let Some(word) = place else { return known.len() + 1 };
        let text = letters(name, word);
        known.iter().position(|value| *value == text).unwrap_or(known.len())
    };
    (-window..=window).map(code).collect()
}

fn dense(p: &Tensors, name: &str, x: &[f64]) -> Vec<f64> {
    let (weight, bias) = (&p[&format!("{name}.weight")], &p[&format!("{name}.bias")][0]);
    let product = |w: &Vec<f64>| w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
    weight.iter().zip(bias).map(|(w, b)| b + product(w)).collect()
}

fn tanh(x: Vec<f64>) -> Vec<f64> {
    x.into_iter().map(f64::tanh).collect()
}

fn nll(z: &[f64], label: usize) -> f64 {
    z.iter().map(|z| z.exp()).sum::<f64>().ln() - z[label]
}

fn loss(plan: &Plan, p: &Tensors) -> f64 {
    let (lower, prefix, suffix) =
        (values(plan, "word.lower"), values(plan, "word.prefix1"), values(plan, "word.suffix1"));
    let class = |task: usize, text: &str| {
        plan.network.tasks[task].classes.iter().position(|class| class == text).unwrap()
    };
    let (mut sums, mut tokens, mut number) = ([0.0; 3], 0.0, 0.0);
    for (mood, sentence) in sentences() {
        let words: Vec<&str> = sentence.iter().map(|(word, _)| word.as_str()).collect();
        let mut hidden = Vec::new();
        for (at, (_, tag)) in sentence.iter().enumerate() {
            let mut x = Vec::new();
            for (name, known, window) in [("word.lower", &lower, 2), ("word.prefix1", &prefix, 1)] {
                let vectors = &p[&format!("embedding.{name}.weight")];
                for code in codes(known, name, &words, at, window) {
                    x.extend(&vectors[code]);
                }
            }
            for code in codes(&suffix, "word.suffix1", &words, at, 1) {
                x.extend((0..suffix.len() + 2).map(|place| f64::from(u8::from(place == code))));
            }
            let h = tanh(dense(p, "trunk.0", &x));
            sums[0] += nll(&dense(p, "task.tag.0", &h), class(0, tag));
            tokens += 1.0;
            hidden.push(h);
        }
        let of_unit = |unit: usize| hidden.iter().map(move |h| h[unit]);
        let mean: Vec<f64> =
            (0..5).map(|unit| of_unit(unit).sum::<f64>() / hidden.len() as f64).collect();
        let max: Vec<f64> =
            (0..5).map(|unit| of_unit(unit).fold(f64::NEG_INFINITY, f64::max)).collect();
        sums[1] += nll(&dense(p, "task.mean.0", &mean), class(1, &mood));
        let of_max = dense(p, "task.max.1", &tanh(dense(p, "task.max.0", &max)));
        sums[2] += nll(&of_max, class(2, &mood));
        number += 1.0;
    }
    0.75 * sums[0] / tokens + 1.5 * sums[1] / number + sums[2] / number
}

/// The gradients of the whole step are differences of the formula: of vectors over all places where
/// they are read, of the code beyond the sentence, and through both poolings.
#[test]
fn gradients_over_windows_and_pools() {
    let plan = plan(TEXT, &format!("{TABLES}[train]\nbatch_size = \"full\"\n"));
    let mut bench = Bench::new(plan, &whole());
    let rows = bench.plan.parts.train.rows;
    let (parameters, step) = (bench.random_parameters(7), bench.step(0, 0, rows));
    bench.poison();
    bench.train(&parameters, &step);
    let (gradients, mut moved) = (bench.gradients(), named(&bench, &parameters));
    let mut seen = HashSet::new();
    for block in &bench.plan.layout.blocks {
        let width = *block.shape.last().unwrap();
        for i in 0..block.len {
            let here = moved[&block.name][i / width][i % width];
            let mut at = |by: f64| {
                moved.get_mut(&block.name).unwrap()[i / width][i % width] = here + by;
                loss(&bench.plan, &moved)
            };
            let h = 1e-3;
            let expected = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
            at(0.0);
            let found = gradients[block.offset + i];
            let error = (found - expected).abs() / expected.abs().max(1e-3);
            assert!(error < 1e-7, "{} [{i}]: {found:e}, by differences {expected:e}", block.name);
            if found.abs() > 1e-3 {
                seen.insert((block.name.clone(), i / width));
            }
        }
    }
    let beyond = values(&bench.plan, "word.lower").len() + 1;
    assert!(seen.contains(&("embedding.word.lower.weight".to_owned(), beyond)));
}

/// A batch whose rows lie in several segments has the gradients of one whose rows lie in one.
#[test]
fn windows_in_segments() {
    let rest: String = TABLES.split("[task.mean]").next().unwrap().to_owned();
    let rest = format!("{rest}[train]\nbatch_size = \"full\"\n");
    let text = format!("{TEXT}\n").repeat(40);
    let gradients = |tuning: &tandem::kernels::tuning::Tuning| {
        let mut bench = Bench::new(plan(&text, &rest), tuning);
        let rows = bench.plan.parts.train.rows;
        let (parameters, step) = (bench.random_parameters(7), bench.step(0, 0, rows));
        bench.poison();
        bench.train(&parameters, &step);
        (bench.gradients(), bench.built.parts[0].segments.len())
    };
    let (all, one) = gradients(&whole());
    let small = tandem::kernels::tuning::Tuning { binding_bytes: 1 << 13, ..whole() };
    let (cut, several) = gradients(&small);
    assert!(one == 1 && several > 1, "{one} and {several} segments");
    for (i, (a, b)) in all.iter().zip(&cut).enumerate() {
        assert!((a - b).abs() < 1e-12, "{i}: {a:e} and {b:e}");
    }
}

/// Where rows are on their way to the device, a sentence has no neighbours of another one that
/// stood there before.
#[test]
fn streamed_sentences_equal_those_on_the_device() {
    let rest: String = TABLES.split("[task.mean]").next().unwrap().to_owned();
    let rest = format!("{rest}[train]\nepochs = 3\nbatch_size = 8\nlog_every = \"1s\"\n");
    let plan = plan(&format!("{TEXT}\n").repeat(12), &rest);
    let run = |streamed: Option<u64>| {
        let options = Options { streamed, steps_per_submission: Some(1), ..Options::default() };
        let outcome = train(&plan, Machine::Reference, options, &mut Silent).unwrap();
        let losses: Vec<Option<f64>> = outcome.kept.iter().map(|point| point.loss).collect();
        (outcome.last, losses)
    };
    let (whole, points) = run(None);
    let (streamed, same) = run(Some(1));
    assert!(whole.iter().zip(&streamed).all(|(a, b)| a.to_bits() == b.to_bits()));
    for (a, b) in points.iter().zip(&same) {
        assert!((a.unwrap() - b.unwrap()).abs() < 1e-6, "{points:?} and {same:?}");
    }
}

/// Each sentence is in one step, each step has one, and no step has more tokens than there is room
/// for.
#[test]
fn steps_have_whole_sentences() {
    let lengths: Vec<u32> = (0..200).map(|i| 1 + (i * 7919 % 23)).collect();
    let mut starts = vec![0];
    lengths.iter().for_each(|length| starts.push(starts.last().unwrap() + length));
    let rows = *starts.last().unwrap() as usize;
    for size in [23, 24, 50, 311, rows - 1] {
        let steps = sentence_steps(rows, 23, size);
        for epoch in 0..20 {
            let (order, begins) = sentence_order(&starts, 5, epoch);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..rows as u32).collect::<Vec<_>>());
            let ends = sentence_batches(&begins, rows, size, steps);
            assert_eq!(ends.len(), steps + 1);
            assert_eq!((ends[0], ends[steps]), (0, rows as u32));
            for pair in ends.windows(2) {
                let (first, end) = (pair[0] as usize, pair[1] as usize);
                assert!(first < end && end - first <= size + 23, "{size}: {first} to {end}");
                assert!(starts.contains(&order[first]), "a step begins within a sentence");
            }
        }
    }
}
