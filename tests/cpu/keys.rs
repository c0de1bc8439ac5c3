//! Every key of the configuration changes something: a test flips each key over files that need it,
//! and compares the results before and after. The results do not contain the configuration, so an
//! echo of a key does not count as a change.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tandem::config::Config;
use tandem::config::known;
use tandem::config::read::from_text;
use tandem::data::load::door::load;
use tandem::data::{Dataset, Features, Parts};
use tandem::rng::{Purpose, below, normal};
use tandem::run::checkpoint::{Context, Keeper, Snapshot, list};
use tandem::run::machine::Machine;
use tandem::run::train::point::Point;
use tandem::run::train::{Observer, Options, Outcome, Plan, train};
use tempfile::TempDir;

/// A task of every type over columns of every type. Columns that only some flips use are ignored
/// otherwise.
const TABLE: &str = r#"
[data]
train = "rows.csv"
missing = [""]
ignore = ["id", "w", "part", "g", "shape"]
[feature.kind]
type = "category"
[feature.note]
type = "text"
buckets = 16
[trunk]
layers = [6]
[task.colour]
[task.size]
layers = [4]
[task.yes]
type = "binary"
[task.tags]
type = "multilabel"
target = ["a", "b", "c"]
[task.price]
type = "regression"
target = ["price", "cost"]
[task.visits]
type = "count"
[optimizer]
learning_rate = 1e-2
[train]
epochs = 3
batch_size = 32
"#;

/// A table whose columns are named by their numbers.
const NUMBERED: &str = "[data]\ntrain = \"numbered.csv\"\n[trunk]\nlayers = [3]\n[task.t]\ntarget \
                        = \"2\"\n[train]\nepochs = 2";
/// A table that has two columns with either of two delimiters.
const ODD: &str = "[data]\ntrain = \"odd.csv\"\ndelimiter = \",\"\n[trunk]\nlayers = \
                   [3]\n[task.label]\n[train]\nepochs = 2";
/// Numbers and dates that can be read in two ways.
const WRITTEN: &str = "[data]\ntrain = \"written.csv\"\n[feature.n]\ntype = \"numeric\"\nscale = \
                       \"none\"\n[trunk]\nlayers = [3]\n[task.label]\n[train]\nepochs = 2";
const DATED: &str = "[data]\ntrain = \"written.csv\"\nignore = [\"n\"]\n[trunk]\nlayers = \
                     [3]\n[task.label]\n[train]\nepochs = 2";
const IDX: &str = "[data]\ntrain = { images = \"i\", labels = \"l\" }\n[trunk]\nlayers = \
                   [3]\n[task.left]\n[train]\nepochs = 2";
const NPY: &str = "[data]\ntrain = { features = \"x.npy\", labels = \"y.npy\" }\n[trunk]\nlayers \
                   = [3]\n[task.y]\n[train]\nepochs = 2";
const CLASSES: &str = "[data]\ntrain = { folder = \"classes\" }\n[trunk]\nlayers = \
                       [3]\n[task.t]\n[train]\nepochs = 2";
const LISTED: &str = "[data]\ntrain = { images = \"pictures\", labels = \"pictures.csv\", path = \
                      \"p\" }\n[trunk]\nlayers = [3]\n[task.t]\n[train]\nepochs = 2";
/// Two sources, each with a task.
const SOURCES: &str = "[[source]]\ntrain = \"rows.csv\"\ntasks = [\"t\"]\n[[source]]\ntrain = \
                       \"more.csv\"\ntasks = [\"u\"]\n[data]\nignore = [\"id\", \"w\", \"part\", \
                       \"g\", \"shape\", \"note\", \"size\"]\nsplit = [0.8, 0.2, 0.0]\n[trunk]\n\
                       layers = [3]\n[task.t]\ntarget = \"colour\"\n[task.u]\ntype = \
                       \"regression\"\ntarget = \"price\"\n[train]\nepochs = 2\nbatch_size = 32";
const DIGITS: &str = "[data]\ntrain = \"digits-overlay\"\n[trunk]\nlayers = \
                      [3]\n[task.left]\n[task.right]\n[train]\nmax_steps = 2";

/// Sentences whose tokens have tags, and which have a kind.
const TOKENS: &str = "[data]\ntrain = \"tokens.conll\"\ncolumns = [\"word\", \"tag\", \
                      \"role\"]\naffixes = 1\n[trunk]\nlayers = [6]\n[task.tag]\ntype = \
                      \"tags\"\n[task.kind]\npool = \"max\"\n[optimizer]\nlearning_rate = \
                      3e-2\n[train]\nepochs = 6\nbatch_size = 32";
/// Labels of tokens alone, which may be those of tokens with a predicate.
const VERBS: &str = "[data]\ntrain = \"tokens.conll\"\ncolumns = [\"word\", \"tag\", \
                     \"role\"]\naffixes = 1\n[task.tag]\n[train]\nepochs = 1";
/// Lines that can be read as tokens, or as sentences.
const BOTH: &str = "[data]\ntrain = \"both.txt\"\nformat = \"conll\"\ncolumns = [\"word\", \
                    \"tag\"]\n[trunk]\nlayers = [3]\n[task.tag]\n[train]\nepochs = 2";

/// The results of a configuration, in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// How inputs and labels are made, without texts and names from the configuration.
    Schema,
    /// The training rows: u32s of the cells, labels, weights.
    Rows,
    /// The buffers with their contents, and the dispatches, for the training rows.
    Program,
    /// Initial parameters.
    Initial,
    /// Parameters after the last step.
    Trained,
    /// The validation and test rows, the points, the parameters of the model, why and when the run
    /// ended.
    Watched,
}

use Part::{Initial, Program, Rows, Schema, Trained, Watched};

const PARTS: [Part; 6] = [Schema, Rows, Program, Initial, Trained, Watched];

/// The settings before, the key that is flipped (and other keys that it needs), and the first part
/// that must change. The parts before it must stay; the trained parameters must change too, unless
/// the key only concerns `Watched`.
struct Flip {
    base: &'static str,
    before: &'static [&'static str],
    after: &'static [&'static str],
    first: Part,
}

const fn flip(
    base: &'static str,
    before: &'static [&'static str],
    after: &'static [&'static str],
    first: Part,
) -> Flip {
    Flip { base, before, after, first }
}

const EXACT: &[&str] = &["balance.method=upgrad", "balance.space=parameters"];
const SGD: &[&str] = &["optimizer.kind=sgd", "optimizer.momentum=0.9"];
const DECAYS: &[&str] = &["optimizer.weight_decay=0.1", "optimizer.learning_rate=0.1"];
const DIVERGES: &[&str] =
    &["optimizer.kind=sgd", "optimizer.learning_rate=1e38", "feature.note.embed=0"];
const STEPS: &[&str] = &["optimizer.schedule=step", "optimizer.step_size=1e"];
const COUPLED: &[&str] = &["coupling.0.kind=agreement", "coupling.0.strength=0.5"];
const UPGRAD_COUPLED: &[&str] =
    &["coupling.0.kind=agreement", "coupling.0.strength=0.5", "balance.method=upgrad"];
/// Three tasks that can be coupled.
const THREE: &[&str] = &[
    "data.ignore=[\"id\", \"w\", \"part\", \"g\", \"yes\", \"shape\"]",
    "task.yes.type=multiclass",
    "task.yes.target=colour",
    "coupling.0.kind=agreement",
];
/// A task in which one class may be a text for blanks.
const SHAPED: &[&str] = &[
    "data.ignore=[\"id\", \"w\", \"part\", \"g\", \"yes\"]",
    "task.yes.type=multiclass",
    "task.yes.target=shape",
];
const ONE_BRANCH: [&str; 2] = [
    "architecture.kind=branched",
    "architecture.branches=[[[\"colour\", \"size\", \"yes\", \"tags\", \"price\", \"visits\"]]]",
];
const TWO_BRANCHES: &str = "architecture.branches=[[[\"colour\", \"size\", \"yes\"], [\"tags\", \
                            \"price\", \"visits\"]]]";
/// Nothing is cut off the rows that train.
const WHOLE: [&str; 1] = ["data.split=[1.0, 0.0, 0.0]"];
const FOLDED: &[&str] = &["data.folds=3", "data.fold=1"];
const OVERLAID: &[&str] = &["data.overlay={ shift = 1 }"];
const HUBER: &[&str] = &["task.price.loss=huber"];
const QUANTILE: &[&str] = &["task.price.loss=quantile"];
/// Settings with which the best epoch is not the last one, and another one by other metrics.
const PLAIN: &[&str] =
    &["train.epochs=12", "optimizer.learning_rate=0.1", "task.visits.scale_loss=false"];
/// Settings with which the best epoch is not the last one.
const LONG: &[&str] = &["train.epochs=12", "optimizer.learning_rate=0.1"];

const FLIPS: &[Flip] = &[
    // [balance]
    flip(TABLE, &[], &["balance.method=upgrad"], Program),
    flip(TABLE, &["balance.method=upgrad"], &["balance.space=parameters"], Program),
    flip(TABLE, &["balance.method=upgrad"], &["balance.every=2"], Program),
    flip(TABLE, &["balance.method=upgrad"], &["balance.normalize=norm"], Program),
    flip(TABLE, EXACT, &["balance.metric=adam"], Program),
    flip(TABLE, UPGRAD_COUPLED, &["balance.couplings=balanced"], Program),
    flip(TABLE, &[], &["balance.observe=3"], Program),
    flip(TABLE, &["balance.method=uncertainty"], &["balance.most=0.01"], Program),
    flip(TABLE, &["balance.method=dwa"], &["balance.temperature=1"], Program),
    flip(TABLE, &["balance.method=stch"], &["balance.smoothing=0.5"], Program),
    flip(TABLE, &["balance.method=famo"], &["balance.learning_rate=0.1"], Program),
    flip(TABLE, &["balance.method=famo"], &["balance.decay=0.1"], Program),
    flip(TABLE, &["balance.method=gradnorm"], &["balance.alpha=0"], Program),
    flip(TABLE, &["balance.method=excess_mtl"], &["balance.learning_rate=0.1"], Program),
    flip(TABLE, &["balance.method=db_mtl"], &["balance.beta=0.5"], Program),
    flip(TABLE, &["balance.method=db_mtl"], &["balance.power=0"], Program),
    flip(TABLE, &["balance.method=gradvac"], &["balance.beta=0.1"], Program),
    flip(TABLE, &["balance.method=cagrad"], &["balance.c=0.2"], Program),
    flip(TABLE, &["balance.method=nash_mtl"], &["balance.max_norm=2"], Program),
    flip(TABLE, &["balance.method=aligned_mtl"], &["balance.scale=median"], Program),
    flip(TABLE, &["balance.method=upgrad"], &["balance.regularization=0.01"], Program),
    flip(TABLE, &["balance.method=graddrop"], &["balance.leak=0.5"], Program),
    // [architecture]
    flip(TABLE, &[], &["architecture.kind=mmoe"], Program),
    flip(TABLE, &["architecture.kind=mmoe"], &["architecture.experts=3"], Program),
    flip(TABLE, &["architecture.kind=mmoe"], &["architecture.gates=one"], Program),
    flip(TABLE, &["architecture.kind=cgc"], &["architecture.task_experts=2"], Program),
    flip(TABLE, &["architecture.kind=ple"], &["architecture.levels=3"], Program),
    flip(TABLE, &["architecture.kind=cross_stitch"], &["architecture.own=0.5"], Initial),
    flip(
        TABLE,
        &["architecture.kind=cross_stitch"],
        &["architecture.learning_rate_factor=2"],
        Program,
    ),
    flip(TABLE, &["architecture.kind=dselect_k"], &["architecture.select=3"], Program),
    flip(TABLE, &["architecture.kind=dselect_k"], &["architecture.smooth=2"], Program),
    flip(TABLE, &["architecture.kind=dselect_k"], &["architecture.entropy=0.5"], Program),
    flip(TABLE, &ONE_BRANCH, &[TWO_BRANCHES], Program),
    flip(TABLE, &[], &["architecture.learn=true", "architecture.kind=branched"], Program),
    flip(
        TABLE,
        &["architecture.kind=branched", "architecture.learn=true"],
        &["architecture.temperature=[5.0, 0.5]"],
        Program,
    ),
    // [data]
    flip(TABLE, &[], &["data.train=more.csv"], Schema),
    flip(TABLE, &["data.split=[0.8, 0.0, 0.2]"], &["data.valid=more.csv"], Watched),
    flip(TABLE, &["data.split=[0.8, 0.2, 0.0]"], &["data.test=more.csv"], Watched),
    flip(ODD, &[], &["data.delimiter=|"], Schema),
    flip(NUMBERED, &[], &["data.header=false"], Schema),
    flip(TABLE, &[], &["data.split=[0.5, 0.2, 0.3]"], Schema),
    flip(TABLE, &[], &["data.split_seed=1"], Schema),
    flip(
        TABLE,
        &[],
        &["data.split_column=part", "data.ignore=[\"id\", \"w\", \"g\", \"shape\"]"],
        Schema,
    ),
    flip(TABLE, &[], &["data.stratify=colour"], Schema),
    flip(TABLE, FOLDED, &["data.folds=4"], Schema),
    flip(TABLE, FOLDED, &["data.fold=2"], Schema),
    flip(TABLE, &[], &["data.group=g", "data.ignore=[\"id\", \"w\", \"part\", \"shape\"]"], Schema),
    flip(IDX, &[], &["data.overlay={ shift = 1 }"], Schema),
    flip(TABLE, &[], &["data.ignore=[\"id\", \"w\", \"part\", \"g\", \"shape\", \"x\"]"], Schema),
    flip(TABLE, &[], &["data.missing=[\"\", -9]"], Schema),
    flip(WRITTEN, &[], &["data.decimal=\",\""], Schema),
    flip(WRITTEN, &[], &["data.dates=dmy"], Schema),
    flip(WRITTEN, &[], &["feature.n.decimal=\",\""], Schema),
    flip(WRITTEN, &[], &["feature.d.dates=dmy"], Schema),
    flip(DATED, &[], &["version=\"0.1\""], Schema),
    flip(
        TABLE,
        &[],
        &["data.row_weight=w", "data.ignore=[\"id\", \"part\", \"g\", \"shape\"]"],
        Schema,
    ),
    flip(TABLE, &[], &["data.memory=30KB"], Schema),
    flip(SOURCES, &[], &["data.sampling=equal"], Trained),
    flip(SOURCES, &[], &["data.sampling.temperature=2"], Trained),
    // [[source]]
    flip(SOURCES, &[], &["source.0.train=more.csv", "source.0.name=one"], Schema),
    flip(SOURCES, &WHOLE, &["source.0.valid=more.csv"], Watched),
    flip(SOURCES, &WHOLE, &["source.0.test=more.csv"], Watched),
    flip(SOURCES, &[], &["source.0.tasks=[\"t\", \"u\"]"], Schema),
    flip(SOURCES, &[], &["source.0.weight=2"], Trained),
    flip(TABLE, &[], &["data.shuffle_window=16"], Trained),
    flip(IDX, &[], &["data.train.images=i2"], Rows),
    flip(IDX, &[], &["data.train.labels=l2"], Schema),
    flip(IDX, OVERLAID, &["data.overlay.shift=2"], Schema),
    flip(IDX, OVERLAID, &["data.overlay.seed=3"], Rows),
    flip(NPY, &[], &["data.train.features=x2.npy"], Schema),
    flip(NPY, &[], &["data.train.labels=y2.npy", "task.y.target=y2"], Schema),
    flip(BOTH, &[], &["data.format=lines"], Schema),
    flip(TOKENS, &[], &["data.columns=[\"word\", \"role\", \"tag\"]"], Schema),
    flip(TOKENS, &[], &["data.word=role"], Schema),
    flip(TOKENS, &[], &["data.window=1"], Schema),
    flip(TOKENS, &[], &["data.affixes=2"], Schema),
    flip(TOKENS, &[], &["data.shape=false"], Schema),
    flip(VERBS, &[], &["data.predicate=role"], Schema),
    flip(CLASSES, &[], &["data.train.folder=others"], Rows),
    flip(CLASSES, &[], &["data.size=[2, 3]"], Schema),
    flip(CLASSES, &[], &["data.channels=1"], Schema),
    flip(LISTED, &[], &["data.train.images=more_pictures"], Rows),
    flip(LISTED, &[], &["data.train.labels=more_pictures.csv"], Schema),
    flip(LISTED, &[], &["data.train.path=q"], Rows),
    // [augment]
    flip(IDX, &[], &["augment.shift=1"], Program),
    flip(CLASSES, &[], &["augment.flip=horizontal"], Program),
    flip(LISTED, &["augment.shift=1"], &["augment.erase=2"], Program),
    // [feature.*]
    flip(TOKENS, &["feature.role.type=category"], &["feature.role.vectors=vectors.txt"], Schema),
    flip(
        TOKENS,
        &["feature.role.type=category", "feature.role.vectors=vectors.txt"],
        &["feature.role.train_vectors=false"],
        Program,
    ),
    flip(TOKENS, &["feature.role.type=category"], &["feature.role.window=0"], Schema),
    flip(TABLE, &[], &["feature.x.type=category"], Schema),
    flip(TABLE, &[], &["feature.y.missing=[\"\", -9]"], Schema),
    flip(TABLE, &[], &["feature.x.scale=robust"], Schema),
    // Training rows are within their range, so only the other parts change.
    flip(TABLE, &["data.split=[0.2, 0.8, 0.0]"], &["feature.x.clip=0.5"], Watched),
    flip(TABLE, &[], &["feature.kind.min_count=1"], Schema),
    flip(TABLE, &[], &["feature.kind.max_values=2"], Schema),
    flip(TABLE, &[], &["feature.note.buckets=8"], Schema),
    flip(TABLE, &[], &["feature.note.slots=2"], Schema),
    flip(TABLE, &[], &["feature.note.ngrams=3"], Schema),
    flip(TABLE, &[], &["feature.note.embed=5"], Schema),
    flip(TABLE, &[], &["feature.kind.embed=3"], Schema),
    // [trunk]
    flip(TABLE, &[], &["trunk.layers=[5]"], Program),
    flip(TABLE, &[], &["trunk.activation=tanh"], Program),
    flip(TABLE, &[], &["trunk.dropout=0.25"], Program),
    flip(TABLE, &[], &["trunk.init=xavier"], Initial),
    flip(TABLE, &[], &["trunk.freeze=true"], Program),
    // [task.*]
    flip(TABLE, &[], &["task.visits.type=regression"], Schema),
    flip(
        TABLE,
        &[],
        &[
            "task.price.target=price",
            "data.ignore=[\"id\", \"w\", \"part\", \"g\", \"shape\", \"cost\"]",
        ],
        Schema,
    ),
    flip(
        TABLE,
        &[],
        &["task.colour.groups={ warm = [\"red\"], cold = [\"green\", \"blue\"] }"],
        Schema,
    ),
    flip(TABLE, &[], &["task.yes.positive=no"], Schema),
    flip(TABLE, SHAPED, &["task.yes.missing=[\"\", \"?\"]"], Schema),
    flip(TABLE, &[], &["task.size.layers=[5]"], Program),
    flip(TABLE, &[], &["task.size.activation=silu"], Program),
    flip(TABLE, &[], &["task.size.dropout=0.25"], Program),
    flip(TABLE, &[], &["task.visits.weight=3.0"], Program),
    flip(TABLE, &[], &["task.price.loss=absolute"], Program),
    flip(TABLE, &[], &["task.colour.label_smoothing=0.2"], Program),
    flip(TABLE, &[], &["task.colour.focal_gamma=2.0"], Program),
    flip(TABLE, &[], &["task.yes.focal_gamma=2.0"], Program),
    flip(TABLE, &[], &["task.colour.class_weights={ red = 3.0 }"], Program),
    flip(TABLE, &[], &["task.colour.class_weights=balanced"], Program),
    flip(TABLE, &[], &["task.yes.positive_weight=3.0"], Program),
    flip(TABLE, &[], &["task.tags.positive_weight=balanced"], Program),
    flip(TABLE, HUBER, &["task.price.huber_delta=0.1"], Program),
    flip(TABLE, QUANTILE, &["task.price.quantile=0.9"], Program),
    flip(TABLE, &[], &["task.visits.scale_loss=false"], Schema),
    flip(TABLE, &[], &["task.price.scale=minmax"], Schema),
    flip(TABLE, &["task.colour.top_k=1"], &["task.colour.top_k=2"], Watched),
    flip(TOKENS, &[], &["task.tag.scheme=iob1"], Watched),
    flip(TOKENS, &[], &["task.kind.pool=mean"], Program),
    // [[coupling]]
    flip(
        TABLE,
        COUPLED,
        &["coupling.0.kind=soft_sharing", "coupling.0.pairs=[[\"colour\", \"tags\"]]"],
        Program,
    ),
    flip(TABLE, COUPLED, &["coupling.0.strength=0.25"], Program),
    flip(TABLE, THREE, &["coupling.0.pairs=[[\"colour\", \"size\"]]"], Program),
    // [optimizer]
    flip(TABLE, &["optimizer.weight_decay=0.1"], &["optimizer.kind=adamw"], Program),
    flip(TABLE, &[], &["optimizer.kind=sgd"], Program),
    flip(TABLE, &[], &["optimizer.learning_rate=2e-2"], Trained),
    flip(TABLE, &[], &["optimizer.beta1=0.5"], Program),
    flip(TABLE, &[], &["optimizer.beta2=0.9"], Program),
    flip(TABLE, &[], &["optimizer.eps=0.1"], Program),
    flip(TABLE, SGD, &["optimizer.momentum=0.5"], Program),
    flip(TABLE, SGD, &["optimizer.nesterov=true"], Program),
    flip(TABLE, &[], &["optimizer.weight_decay=0.1"], Program),
    flip(TABLE, DECAYS, &["optimizer.decay_biases=false"], Program),
    flip(TABLE, &[], &["optimizer.clip_norm=0.01"], Program),
    flip(TABLE, &[], &["optimizer.schedule=cosine"], Trained),
    flip(TABLE, STEPS, &["optimizer.step_size=2s"], Trained),
    flip(TABLE, STEPS, &["optimizer.gamma=0.5"], Trained),
    flip(TABLE, &[], &["optimizer.warmup_steps=5"], Trained),
    // [train]
    flip(TABLE, &[], &["train.epochs=4"], Trained),
    flip(TABLE, &[], &["train.max_steps=4"], Trained),
    flip(TABLE, &[], &["train.max_time=1e-9"], Trained),
    flip(TABLE, &[], &["train.batch_size=24"], Program),
    flip(TABLE, &[], &["train.batch_size=full"], Program),
    flip(TABLE, &[], &["train.seed=1"], Initial),
    flip(TABLE, LONG, &["train.patience=1"], Trained),
    flip(TABLE, LONG, &["train.keep_best=per_task"], Watched),
    flip(
        TABLE,
        &["train.epochs=12", "optimizer.learning_rate=0.1", "train.patience={ colour = 1 }"],
        &["train.freeze_finished=true"],
        Trained,
    ),
    flip(TABLE, LONG, &["train.select=colour.accuracy"], Watched),
    flip(
        TABLE,
        PLAIN,
        &["train.select={ \"yes.log_loss\" = 1.0, \"colour.accuracy\" = 0.1 }"],
        Watched,
    ),
    flip(TABLE, &[], &["train.evaluate_every=2s"], Watched),
    flip(TABLE, &[], &["train.evaluate=[\"valid\", \"test\"]"], Watched),
    flip(TABLE, &[], &["train.log_every=2s"], Watched),
    flip(TABLE, &[], &["train.checkpoint_every=2s"], Watched),
    flip(TABLE, &["train.checkpoint_every=1s"], &["train.keep=3"], Watched),
    flip(TABLE, DIVERGES, &["train.on_nan=skip"], Watched),
    flip(TABLE, &[], &["train.accumulate=2"], Program),
    flip(TABLE, &[], &["train.shards=2"], Program),
    // The built-in data.
    flip(DIGITS, &[], &["task.left.weight=2.0"], Program),
    flip(DIGITS, &[], &["train.max_steps=3"], Trained),
];

/// A random number below `most` for a cell.
fn draw(most: u64, column: u64, row: u64) -> usize {
    below(most, 7, Purpose::Synthetic, column, row) as usize
}

/// A table with everything that the flips need: blanks, texts for blanks, rare values, classes of
/// unequal size.
fn rows_csv(first: u64, rows: u64) -> String {
    let mut text =
        "id,x,y,kind,note,day,colour,size,shape,yes,a,b,c,price,cost,visits,w,part,g\n".to_owned();
    for row in first..first + rows {
        let x = normal(7, Purpose::Synthetic, 100, row);
        let y = if row % 9 == 4 {
            "".to_owned()
        } else if row % 11 == 3 {
            "-9".to_owned()
        } else {
            format!("{:.3}", x * x + 1.0)
        };
        let kind = if row % 40 == 17 {
            format!("rare{row}")
        } else {
            ["k0", "k1", "k2", "k3"][draw(4, 1, row)].to_owned()
        };
        let note =
            ["the old red house", "a new blue door here", "some green tree by it", "one more word"]
                [draw(4, 2, row)];
        let colour = ["red", "green", "blue"][if x > 0.5 { 0 } else { draw(3, 3, row) }];
        let size = ["red", "green", "blue"][draw(3, 4, row)];
        let shape = ["round", "flat", "?"][draw(3, 5, row)];
        let yes = if x + normal(7, Purpose::Synthetic, 101, row) > 0.7 { "yes" } else { "no" };
        let bits = [6, 7, 8].map(|column| usize::from(draw(4, column, row) == 0));
        let _ = writeln!(
            text,
            "{row},{:.1},{y},{kind},{note} \
             {},2020-{:02}-{:02},{colour},{size},{shape},{yes},{},{},{},{:.3},{:.3},{},{},{},g{}",
            x,
            row % 13,
            1 + draw(12, 9, row),
            1 + draw(28, 10, row),
            bits[0],
            bits[1],
            bits[2],
            3.0 * x + normal(7, Purpose::Synthetic, 102, row),
            (normal(7, Purpose::Synthetic, 103, row)).exp(),
            draw(5, 11, row),
            1 + draw(3, 12, row),
            ["train", "train", "train", "valid", "test"][draw(5, 13, row)],
            row % 15,
        );
    }
    text
}

/// Sentences with cities of one or two words, which have tags, and a mark for some words.
fn tokens_conll(sentences: u64) -> String {
    const WORDS: [&str; 8] = ["go", "to", "Paris", "Rome", "New", "x-1", "77", "..."];
    let mut text = String::new();
    for sentence in 0..sentences {
        let _ = writeln!(text, "# kind = k{}", draw(3, 70, sentence));
        for at in 0..2 + draw(4, 71, sentence) as u64 {
            let word = WORDS[draw(8, 72, 10 * sentence + at)];
            let tag = if ["Paris", "Rome", "New"].contains(&word) { "B-X" } else { "O" };
            let role = if word == "go" || word == "77" { "B-A" } else { "O" };
            let _ = writeln!(text, "{word} {tag} {role}");
            if word == "New" {
                text += "York I-X I-A\n";
            }
        }
        text.push('\n');
    }
    text
}

/// An IDX file of bytes.
fn idx(dims: &[u32], values: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|n| file.extend(n.to_be_bytes()));
    file.extend(values);
    file
}

/// An NPY file of f64.
fn npy(shape: &str, values: impl Iterator<Item = f64>) -> Vec<u8> {
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({shape}), }}");
    let header = format!("{header:<117}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.bytes());
    values.for_each(|x| file.extend(x.to_le_bytes()));
    file
}

/// All files that the bases and flips name.
fn files() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: Vec<u8>| fs::write(dir.path().join(name), bytes).unwrap();
    write("rows.csv", rows_csv(0, 120).into_bytes());
    write("more.csv", rows_csv(1000, 60).into_bytes());
    let line =
        |row: u64| format!("{},{},{}\n", draw(9, 20, row), draw(7, 21, row), draw(3, 22, row));
    write(
        "numbered.csv",
        ("0,1,2\n".to_owned() + &(0..60).map(line).collect::<String>()).into_bytes(),
    );
    let line =
        |row: u64| format!("{},{}|{}\n", draw(2, 23, row), draw(2, 24, row), draw(2, 25, row));
    write(
        "odd.csv",
        ("label,x|label\n".to_owned() + &(0..60).map(line).collect::<String>()).into_bytes(),
    );
    let line = |row: u64| {
        let (month, day) = (1 + draw(12, 26, row), 1 + draw(12, 27, row));
        format!(
            "\"{},{:03}\",{month:02}/{day:02}/2020,{}\n",
            1 + draw(9, 28, row),
            draw(1000, 29, row),
            draw(2, 60, row)
        )
    };
    write(
        "written.csv",
        ("n,d,label\n".to_owned() + &(0..60).map(line).collect::<String>()).into_bytes(),
    );
    write("tokens.conll", tokens_conll(60).into_bytes());
    write("vectors.txt", b"B-A 0.5 -0.25\nO 1 0\n".to_vec());
    let line = |row: u64| format!("w{}:O w{}:X\n\n", draw(4, 73, row), draw(4, 74, row));
    write("both.txt", (0..60).map(line).collect::<String>().into_bytes());
    for (number, (images, labels)) in [("i", "l"), ("i2", "l2")].into_iter().enumerate() {
        let column = 30 + 2 * number as u64;
        write(images, idx(&[60, 3, 4], (0..720).map(|i| draw(256, column, i) as u8)));
        write(labels, idx(&[60], (0..60).map(|i| draw(3, column + 5, i) as u8)));
    }
    pictures(dir.path());
    for (number, (features, labels)) in
        [("x.npy", "y.npy"), ("x2.npy", "y2.npy")].into_iter().enumerate()
    {
        let column = 40 + 2 * number as u64;
        write(features, npy("60, 2", (0..120).map(|i| normal(7, Purpose::Synthetic, column, i))));
        write(labels, npy("60,", (0..60).map(|i| draw(3, column + 1, i) as f64)));
    }
    dir
}

/// Two folders of 40 images of 3 × 4 colours each, as classes and with tables of paths, in which
/// the columns `p` and `q` name them in another order.
fn pictures(dir: &Path) {
    for (number, (classes, folder)) in
        [("classes", "pictures"), ("others", "more_pictures")].into_iter().enumerate()
    {
        let column = 70 + 3 * number as u64;
        let mut table = "p,q,t\n".to_owned();
        for row in 0..40 {
            let byte = |i: u64| draw(256, column, 36 * row + i) as u8;
            let image = image::RgbImage::from_raw(4, 3, (0..36).map(byte).collect()).unwrap();
            let class = dir.join(classes).join(["u", "v"][(row % 2) as usize]);
            for folder in [class, dir.join(folder)] {
                fs::create_dir_all(&folder).unwrap();
                image.save(folder.join(format!("{row}.png"))).unwrap();
            }
            let label = draw(2, column + 1, row);
            table += &format!("{row}.png,{}.png,{label}\n", 39 - row);
        }
        fs::write(dir.join(format!("{folder}.csv")), table).unwrap();
    }
}

/// Keeps the points, and the checkpoints if there is a directory for them.
#[derive(Default)]
struct Points {
    points: Vec<Point>,
    keeper: Option<Keeper>,
}

impl Observer for Points {
    fn point(&mut self, point: &Point) -> anyhow::Result<()> {
        self.points.push(point.clone());
        Ok(())
    }

    fn wants_checkpoints(&self) -> bool {
        self.keeper.is_some()
    }

    fn checkpoint(&mut self, snapshot: &Arc<Snapshot>) -> anyhow::Result<()> {
        self.keeper.as_mut().map_or(Ok(()), |keeper| keeper.keep(Arc::clone(snapshot)))
    }
}

/// Keeps the checkpoints of a run that writes nothing else.
fn keeper(plan: &Plan, root: &Path) -> Keeper {
    let (network, layout, schema) =
        (plan.network.clone(), plan.layout.clone(), plan.parts.schema.clone());
    let context = Context {
        network,
        layout,
        schema,
        config: String::new(),
        data: Vec::new(),
        adapter: String::new(),
        kernels: Vec::new(),
    };
    Keeper::new(root.to_owned(), context, plan.config.train.keep).unwrap()
}

/// The results of a configuration, one text per part, without the configuration.
struct Print([String; 6]);

impl Print {
    fn of(config: Config) -> Print {
        let parts = load(&config.data, &config.tasks).unwrap();
        let plan = Plan::new(config, parts).unwrap();
        let root = tempfile::tempdir().unwrap();
        let mut points = Points { points: Vec::new(), keeper: Some(keeper(&plan, root.path())) };
        let options = Options { steps_per_submission: Some(1), ..Options::default() };
        let outcome = train(&plan, Machine::Reference, options, &mut points).unwrap();
        points.keeper.take().unwrap().finish().unwrap();
        let kept: Vec<u64> = list(root.path()).into_iter().map(|(step, _)| step).collect();
        Print([
            schema(&plan),
            rows(&plan.parts.train),
            program(&plan),
            bits(&plan.initial().unwrap()),
            bits(&outcome.last),
            watched(&plan, &outcome, &points.points) + &format!(" {kept:?}"),
        ])
    }

    /// The parts in which two results differ.
    fn differs(&self, other: &Print) -> Vec<Part> {
        PARTS.into_iter().filter(|part| self.0[*part as usize] != other.0[*part as usize]).collect()
    }
}

/// The program over the training part only: it has one more schedule for each part that is
/// evaluated.
fn program(plan: &Plan) -> String {
    let parts = Parts { valid: None, test: None, ..plan.parts.clone() };
    let plan = Plan::new(plan.config.clone(), parts).unwrap();
    format!("{:?}", plan.build(&Machine::Reference.tuning()).unwrap().program)
}

/// The schema without texts from the configuration.
fn schema(plan: &Plan) -> String {
    let mut value = serde_json::to_value(&plan.parts.schema).unwrap();
    value.as_object_mut().unwrap().remove("reading");
    value["input"].as_object_mut().unwrap().remove("overlay");
    // The name of a column.
    value["input"].get_mut("files").into_iter().for_each(|files| forget(files, &["path"]));
    let columns =
        value["input"].get_mut("columns").and_then(Value::as_array_mut).into_iter().flatten();
    columns.for_each(|column| {
        forget(column, &["missing", "slots", "ngrams"]);
        column.get_mut("range").into_iter().for_each(|range| forget(range, &["clip"]));
    });
    value["targets"].as_array_mut().unwrap().iter_mut().for_each(|target| {
        forget(target, &["missing", "type", "columns", "groups", "scheme", "pool"])
    });
    value.to_string()
}

/// Removes keys from an object. The name of a scaling is removed too; its numbers stay.
fn forget(value: &mut Value, keys: &[&str]) {
    let object = value.as_object_mut().unwrap();
    keys.iter().for_each(|key| drop(object.remove(*key)));
    if object.get("scale").is_some_and(Value::is_string) {
        object.remove("scale");
    }
}

fn rows(data: &Dataset) -> String {
    let features = match &data.features {
        Features::F32(values) => bits(values),
        // Where rows are stored does not matter.
        Features::Stored(stored) => format!("{:?}", stored.fetch(0..data.rows).unwrap()),
        other => format!("{other:?}"),
    };
    format!("{} {features} {:?} {:?}", data.rows, data.labels, data.weights)
}

fn bits(values: &[f32]) -> String {
    format!("{:?}", values.iter().map(|x| x.to_bits()).collect::<Vec<_>>())
}

fn watched(plan: &Plan, outcome: &Outcome, points: &[Point]) -> String {
    let others: String = plan.named_parts()[1..]
        .iter()
        .map(|(name, data)| format!("{name} {}", rows(data)))
        .collect();
    let still = |point: &Point| Point { seconds: 0.0, learning_rate: 0.0, ..point.clone() };
    let points: Vec<Point> = points.iter().map(still).collect();
    format!(
        "{others} {points:?} {} {} {:?} {:?} {}",
        bits(&outcome.best),
        outcome.best_epoch,
        outcome.best_for_tasks.iter().map(|best| best.epoch).collect::<Vec<_>>(),
        outcome.ended,
        outcome.steps
    )
}

fn settings(dir: &Path, base: &str, overrides: &[&[&str]]) -> Config {
    let overrides: Vec<String> = overrides.concat().iter().map(|o| o.to_string()).collect();
    from_text(base, "config.toml", dir, &overrides).unwrap_or_else(|e| panic!("{overrides:?}: {e}"))
}

/// The key of an override, as the list of known keys has it.
fn key_of(spec: &str) -> String {
    let path: Vec<&str> = spec.split('=').next().unwrap().split('.').collect();
    match path[..] {
        [table @ ("feature" | "task"), _, key] => format!("{table}.NAME.{key}"),
        _ => path.join("."),
    }
}

#[test]
fn every_key_has_a_flip() {
    let mut flipped: BTreeSet<String> = FLIPS.iter().map(|flip| key_of(flip.after[0])).collect();
    // A table counts as flipped if its keys are.
    let tables: Vec<String> =
        flipped.iter().map(|key| key.split('.').next().unwrap().to_owned()).collect();
    flipped.extend(tables.into_iter().filter(|table| table != "version"));
    let path = |table: &str, key: &str| {
        if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
    };
    let tables = known();
    let known: BTreeSet<String> =
        tables.iter().flat_map(|t| t.keys.iter().map(move |key| path(t.table, key))).collect();
    // This key concerns adapters only: tests/gpu/precision.rs.
    flipped.insert("train.precision".into());
    // These keys concern files only: tests/program/tracking.rs.
    flipped.extend(["", ".tensorboard", ".histograms"].map(|key| format!("tracking{key}")));
    // These keys concern the search alone: tests/program/search.rs.
    let of_search = tandem::config::known().into_iter().filter(|table| table.table == "search");
    flipped.extend(of_search.flat_map(|t| t.keys).map(|key| format!("search.{key}")));
    flipped.insert("search".into());
    // This key names a source in messages: tests/program/sources.rs.
    flipped.insert("source.0.name".into());
    // These keys name columns, and no number depends on that: tests/program/applied.rs.
    flipped.extend(["feature_names", "label_names"].map(|key| format!("data.train.{key}")));
    assert_eq!(flipped, known);
}

#[test]
fn every_key_changes_what_it_should() {
    let dir = files();
    let mut wrong = String::new();
    for flip in FLIPS {
        let before = Print::of(settings(dir.path(), flip.base, &[flip.before]));
        let after = Print::of(settings(dir.path(), flip.base, &[flip.before, flip.after]));
        let changed = before.differs(&after);
        let must = match (flip.first, flip.after[0]) {
            // The parts of a batch add up to the same gradient, up to rounding in f64.
            (Program, "train.accumulate=2" | "train.shards=2") => vec![Program, Watched],
            // Who observes a run does not change it, to the last bit.
            (Program, "balance.observe=3") => vec![Program, Watched],
            (Watched, _) => vec![Watched],
            (first, _) => vec![first, Trained, Watched],
        };
        if changed.first() != Some(&flip.first)
            || !must.iter().all(|part| changed.contains(part))
            || changed.contains(&Trained) != must.contains(&Trained)
        {
            let _ = writeln!(
                wrong,
                "{:?}: changed {changed:?}, expected {:?} first",
                flip.after, flip.first
            );
        }
    }
    assert_eq!(wrong, "");
}

/// Otherwise the test of an unchanged part would prove nothing.
#[test]
fn equal_settings_give_equal_results() {
    let dir = files();
    for base in [
        TABLE, ODD, NUMBERED, WRITTEN, DATED, IDX, NPY, SOURCES, CLASSES, LISTED, DIGITS, TOKENS,
        BOTH,
    ] {
        let [one, two] = [0, 1].map(|_| Print::of(settings(dir.path(), base, &[])));
        assert_eq!(one.differs(&two), [], "{base}");
    }
}

/// A key that only repeats the default, or what the files say, changes nothing: no part contains
/// the configuration.
#[test]
fn keys_that_repeat_the_default_change_nothing() {
    let dir = files();
    let plain = Print::of(settings(dir.path(), TABLE, &[]));
    for spec in [
        "data.delimiter=,",
        "data.header=true",
        "data.missing=[\"\", \"never there\"]",
        "feature.x.missing=[\"\", \"never there\"]",
        "feature.x.type=numeric",
        "feature.kind.max_values=200",
        "task.yes.missing=[\"\", \"never there\"]",
        "task.yes.positive=yes",
        "task.tags.positive_weight=1.0",
        "train.max_time=1h",
        "train.log_every=3s",
        "train.checkpoint_every=2h",
        "train.keep=7",
        "train.on_nan=rollback",
    ] {
        assert_eq!(
            plain.differs(&Print::of(settings(dir.path(), TABLE, &[&[spec]]))),
            [],
            "{spec}"
        );
    }
}

#[test]
fn time_that_is_over_ends_a_run_early() {
    let dir = files();
    let steps = |time: &str| {
        let config = settings(dir.path(), TABLE, &[&[&format!("train.max_time={time}")]]);
        let parts = load(&config.data, &config.tasks).unwrap();
        let plan = Plan::new(config, parts).unwrap();
        let outcome =
            train(&plan, Machine::Reference, Options::default(), &mut Points::default()).unwrap();
        (outcome.steps, plan.total_steps)
    };
    let (done, total) = steps("1e-9");
    assert!(done < total, "{done} of {total}");
    let (done, total) = steps("1h");
    assert_eq!(done, total);
}
