//! The configuration: what it accepts, what it refuses with which message, and that a written one
//! reads back as the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tandem::config::known;
use tandem::config::read::{from_file, from_text};
use tandem::config::write::to_toml;
use tandem::config::{
    Activation, BatchSize, Config, Embed, Evaluated, Every, Feature, FeatureKind, Init, Overlay,
    Patience, Scale, Schedule, Select, Source,
};
use tandem::config::{OptimizerKind, TaskKind};
use tandem::fault::{Exit, exit_of, hint_of};

const CSV: &str = "[data]\ntrain = \"x.csv\"\n";
const IDX: &str = "[data]\ntrain = { images = \"i.gz\", labels = \"l.gz\" }\n";
const DIGITS: &str = "[data]\ntrain = \"digits-overlay\"\n";
const SOURCES: &str = "[data]\n[[source]]\ntrain = \"x.csv\"\ntasks = [\"left\"]\n[[source]]\n\
                       train = \"y.csv\"\ntasks = [\"right\"]\n";
const NPY: &str = "[data]\ntrain = { features = \"x.npy\", labels = \"y.npy\" }\n";
const CONLL: &str = "[data]\ntrain = \"x.conll\"\n";
const FOLDER: &str = "[data]\ntrain = { folder = \"f\" }\n";
const LISTED: &str = "[data]\ntrain = { images = \"f\", labels = \"l.csv\", path = \"p\" }\n";
const TASKS: &str = "[task.left]\n[task.right]\n";

/// `text`, with a `[data]` table and two tasks if it has none.
fn whole(text: &str) -> String {
    let data = if text.contains("data") && !text.contains("data.") { "" } else { CSV };
    let tasks = if text.contains("[task") || text.starts_with("task") { "" } else { TASKS };
    format!("{text}\n{data}{tasks}")
}

fn set(text: &str, overrides: &[&str]) -> anyhow::Result<Config> {
    let overrides: Vec<String> = overrides.iter().map(|o| o.to_string()).collect();
    from_text(&whole(text), "config.toml", Path::new("base"), &overrides)
}

fn table(path: PathBuf) -> Source {
    Source::Table(vec![path])
}

fn read(text: &str) -> Config {
    set(text, &[]).unwrap_or_else(|e| panic!("{text}\n{e}"))
}

fn at(file: &str) -> PathBuf {
    std::path::absolute(Path::new("base").join(file)).unwrap()
}

/// Asserts exit 78, the beginning of the message and a part of the hint.
fn refused(what: &str, result: anyhow::Result<Config>, message: &str, hint: &str) {
    let error = result
        .err()
        .unwrap_or_else(|| panic!("accepted, though it should say {message:?}:\n{what}"));
    assert_eq!(exit_of(&error), Exit::Config, "{what}");
    let (said, hinted) =
        (error.to_string(), hint_of(&error).unwrap_or_else(|| panic!("no hint: {error}")));
    assert!(said.starts_with(message), "{what}\nexpected: {message}\nfound:    {said}");
    assert!(hinted.contains(hint), "{what}\nexpected hint: {hint}\nfound hint:    {hinted}");
    assert!(!said.contains('\n') && !hinted.contains('\n'), "one line each: {said:?} {hinted:?}");
}

#[test]
fn defaults_are_those_of_the_contract() {
    let c = read("");
    assert_eq!((&c.data.train, &c.data.valid, &c.data.test), (&table(at("x.csv")), &None, &None));
    assert_eq!((c.data.split, c.data.split_seed, c.data.overlay), (Some([0.8, 0.1, 0.1]), 0, None));
    assert!(c.data.ignore.is_empty() && c.data.features.is_empty() && c.couplings.is_empty());
    assert_eq!(
        (c.trunk.layers, c.trunk.activation, c.trunk.dropout, c.trunk.init),
        (vec![128, 128], Activation::Relu, 0.0, Init::Auto)
    );
    let left = &c.tasks[0];
    assert_eq!(
        (left.name.as_str(), left.targets[0].as_str(), left.kind, left.weight),
        ("left", "left", TaskKind::Multiclass, 1.0)
    );
    assert!(
        left.groups.is_empty()
            && left.layers.is_empty()
            && left.dropout == 0.0
            && left.activation == Activation::Relu
    );
    let o = &c.optimizer;
    assert_eq!(o.kind, OptimizerKind::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8 });
    assert_eq!(
        (o.learning_rate, o.weight_decay, o.decay_biases, o.clip_norm, o.warmup_steps),
        (1e-3, 0.0, true, 0.0, 0)
    );
    assert_eq!(o.schedule, Schedule::Constant);
    let t = &c.train;
    assert_eq!(
        (t.epochs, t.max_steps, t.max_time, t.batch_size),
        (20, None, None, BatchSize::Rows(128))
    );
    assert_eq!(
        (t.seed, &t.patience, &t.select, t.log_every),
        (0, &Patience::Common(0), &Select::RelativeLoss, Every::Epochs(1))
    );
    assert_eq!((t.evaluate_every, &t.evaluate[..]), (Every::Epochs(1), &[Evaluated::Valid][..]));
}

#[test]
fn values_arrive_where_they_belong() {
    let c = read(
        "[task.b]\ntarget = \"t\"\ngroups = { odd = [1, \"3\"], even = [0, 2] }\nlayers = [7, \
         5]\nactivation = \"gelu\"\ndropout = 0.5\nweight = 2\n[task.a]\n[[coupling]]\nkind = \
         \"agreement\"\nstrength = 0\npairs = [[\"b\", \"a\"]]\n[trunk]\nactivation = \
         \"tanh\"\n[optimizer]\nkind = \"sgd\"\nmomentum = 0.9\nnesterov = true\nschedule = \
         \"step\"\nstep_size = \"1000s\"\ngamma = 0.5\n[train]\nbatch_size = \"full\"\nselect = \
         \"b.log_loss\"\npatience = 3\nmax_time = \"1.5m\"\nlog_every = \
         \"100s\"\n[feature.age]\nscale = \"minmax\"\n",
    );
    let b = &c.tasks[0];
    assert_eq!(
        c.tasks.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(),
        ["b", "a"],
        "the order of the file"
    );
    let texts = |values: &[&str]| values.iter().map(|v| v.to_string()).collect::<Vec<_>>();
    assert_eq!(
        b.groups,
        [("odd".to_owned(), texts(&["1", "3"])), ("even".to_owned(), texts(&["0", "2"]))]
    );
    assert_eq!(
        (b.targets[0].as_str(), &b.layers, b.activation, b.dropout, b.weight),
        ("t", &vec![7, 5], Activation::Gelu, 0.5, 2.0)
    );
    assert_eq!(
        c.tasks[1].activation,
        Activation::Tanh,
        "a task's activation is the trunk's by default"
    );
    assert_eq!((c.couplings[0].kind.as_str(), c.couplings[0].strength), ("agreement", 0.0));
    assert_eq!(c.couplings[0].pairs, Some(vec![["b".to_owned(), "a".to_owned()]]));
    assert_eq!(c.optimizer.kind, OptimizerKind::Sgd { momentum: 0.9, nesterov: true });
    assert_eq!(c.optimizer.schedule, Schedule::Step { step_size: Every::Steps(1000), gamma: 0.5 });
    assert_eq!(c.train.select, Select::Metric { task: "b".into(), metric: "log_loss".into() });
    assert_eq!(
        (c.train.batch_size, &c.train.patience, c.train.max_time),
        (BatchSize::Full, &Patience::Common(3), Some(90.0))
    );
    assert_eq!(c.train.log_every, Every::Steps(100));
    assert_eq!(c.data.features, [Feature { scale: Some(Scale::MinMax), ..Feature::new("age") }]);
}

#[test]
fn a_task_with_dots_in_its_name_can_pick_the_model() {
    let select = read("[task.\"a.b\"]\n[train]\nselect = \"a.b.accuracy\"\n").train.select;
    assert_eq!(select, Select::Metric { task: "a.b".into(), metric: "accuracy".into() });
}

#[test]
fn only_the_split_that_is_in_effect_is_kept() {
    let split = |data: &str| {
        let c = read(&format!("[data]\n{data}\n"));
        (c.data.split, c.data.has_validation())
    };
    assert_eq!(split("train = \"x.csv\""), (Some([0.8, 0.1, 0.1]), true));
    assert_eq!(split("train = \"x.csv\"\nvalid = \"v.csv\""), (None, true));
    assert_eq!(split("train = \"x.csv\"\ntest = \"t.csv.gz\""), (None, false));
    assert_eq!(
        split("train = \"x.csv\"\nvalid = \"v.csv\"\nsplit = [0.9, 0, 0.1]"),
        (Some([0.9, 0.0, 0.1]), true)
    );
    assert_eq!(
        split("train = \"x.csv\"\ntest = \"t.csv.gz\"\nsplit = [0.9, 0.1, 0]"),
        (Some([0.9, 0.1, 0.0]), true)
    );
    // The settings of tandem 0.1.0.
    let old = |data: &str| {
        read(&format!("version = \"0.1\"\n[data]\ntrain = \"x.csv\"\n{data}\n")).data.split
    };
    assert_eq!(
        [old("valid = \"v.csv\""), old("test = \"t.csv\"")],
        [Some([0.9, 0.0, 0.1]), Some([0.9, 0.1, 0.0])]
    );
    assert_eq!(split("train = \"x.csv\"\nvalid = \"v.csv\"\ntest = \"t.csv\""), (None, true));
    assert_eq!(split("train = \"x.csv\"\nsplit = [0.7, 0, 0.3]"), (Some([0.7, 0.0, 0.3]), false));
    assert_eq!(split("train = \"x.csv\"\nsplit = [1, 0, 0]"), (None, false));
    assert_eq!(split("train = { images = \"i\", labels = \"l\" }"), (Some([0.8, 0.1, 0.1]), true));
    assert_eq!(split("train = \"digits-overlay\""), (None, true));
}

#[test]
fn relative_paths_start_at_the_directory_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.toml");
    let absolute = dir.path().join("elsewhere").join("v.csv");
    std::fs::write(
        &path,
        whole(&format!("[data]\ntrain = \"./x.csv\"\nvalid = {:?}\n", absolute.to_str().unwrap())),
    )
    .unwrap();
    let config = from_file(&path, &[]).unwrap();
    assert_eq!(
        (config.data.train, config.data.valid),
        (table(dir.path().join("x.csv")), Some(table(absolute)))
    );
}

#[test]
fn a_file_that_is_missing_is_66_and_one_that_is_no_text_is_78() {
    let dir = tempfile::tempdir().unwrap();
    let error = from_file(&dir.path().join("no.toml"), &[]).unwrap_err();
    assert_eq!(exit_of(&error), Exit::NoInput);
    assert!(error.to_string().contains("no.toml") && hint_of(&error).is_some(), "{error}");
    let binary = dir.path().join("binary.toml");
    std::fs::write(&binary, [0x80, 0xff]).unwrap();
    assert_eq!(exit_of(&from_file(&binary, &[]).unwrap_err()), Exit::Config);
}

#[test]
fn a_slip_in_the_toml_has_line_and_column() {
    let place = |text: &str| from_text(text, "c.toml", Path::new(""), &[]).unwrap_err().to_string();
    assert!(
        place("[data]\ntrain = x\n").starts_with("c.toml:2:9: "),
        "{}",
        place("[data]\ntrain = x\n")
    );
    assert!(
        place("# \u{e4}\u{f6}\n[a]\n\u{e4} = 1").starts_with("c.toml:3:1: "),
        "{}",
        place("# \u{e4}\u{f6}\n[a]\n\u{e4} = 1")
    );
    assert!(
        place("\"\u{e4}\" = }").starts_with("c.toml:1:7: "),
        "columns are characters: {}",
        place("\"\u{e4}\" = }")
    );
    for large in ["9223372036854775808", "99999999999999999999"] {
        refused(
            large,
            set(&format!("[train]\nseed = {large}\n"), &[]),
            "config.toml:2:8: the integer is not from -92",
            "",
        );
    }
    refused("twice", set("[train]\nseed = 1\nseed = 2\n", &[]), "config.toml:3:1: ", "once");
}

#[test]
fn overrides_are_laid_over_the_file() {
    let text = "[task.left]\nweight = 1\n[task.right]\n[task.\"a.b\"]\n[[coupling]]\nkind = \
                \"agreement\"\n";
    let c = set(
        text,
        &[
            "task.left.weight=2",
            "task.\"a.b\".weight=3",
            "coupling.0.strength=0.5",
            "coupling.1.kind=soft_sharing",
            "train.epochs=7",
            "train.epochs=3",
            "data.train=y.csv",
            "trunk.layers=[4, 2]",
            "train.batch_size=full",
            "train.max_time=1h",
            "feature.'p=q r'.scale=none",
            "data.ignore=[\"id\"]",
            "trunk.layers.1=9",
            " trunk . init = \"he\"",
            "train.log_every=\"10s\"",
        ],
    )
    .unwrap();
    assert_eq!((c.tasks[0].weight, c.tasks[2].weight, c.couplings[0].strength), (2.0, 3.0, 0.5));
    assert_eq!(
        (c.couplings.len(), c.couplings[1].kind.as_str(), c.train.epochs),
        (2, "soft_sharing", 3)
    );
    assert_eq!(
        (&c.data.train, c.trunk.layers, c.trunk.init),
        (&table(at("y.csv")), vec![4, 9], Init::He)
    );
    assert_eq!(
        (c.train.batch_size, c.train.max_time, c.train.log_every),
        (BatchSize::Full, Some(3600.0), Every::Steps(10))
    );
    assert_eq!(
        (c.data.features[0].column.as_str(), c.data.ignore),
        ("p=q r", vec!["id".to_owned()])
    );
    assert_eq!(
        set("", &["coupling.0.kind=agreement"]).unwrap().couplings.len(),
        1,
        "a first coupling may come from an override"
    );
}

#[test]
fn bad_overrides_are_refused() {
    for (spec, message, hint) in [
        (
            "train.epochs",
            "--set \"train.epochs\": must read section.key=value",
            "--set train.epochs=3",
        ),
        ("=3", "--set \"=3\": ", "for example"),
        ("train..epochs=3", "--set ", "for example"),
        ("train.epoch=3", "train.epoch: unknown key", "train.epochs"),
        ("epochs=3", "epochs: unknown key", "train.epochs"),
        ("trian.epochs=3", "trian: unknown key", "train"),
        (
            "train.epochs=many",
            "train.epochs: must be an integer from 1 to 1000000000, found the text \"many\"",
            "",
        ),
        ("train.epochs=", "train.epochs: must be an integer", ""),
        ("train.epochs=3\nseed = 4", "train.epochs: must be an integer", ""),
        ("train.epochs.x=3", "train.epochs: is 5, so \"x\" cannot be set in it", ""),
        ("task.lefft.weight=2", "task.lefft: there is no such task", "\"left\""),
        (
            "coupling.1.strength=2",
            "coupling.1: coupling is a list of 0 and has no item \"1\"",
            "coupling.0=",
        ),
        ("coupling.strength=2", "coupling.strength: coupling is a list", "coupling.0="),
        ("coupling.0.strength=2", "coupling.0.kind: is missing", "soft_sharing"),
        ("coupling.99999999999999999999999.strength=2", "coupling.", ""),
        (
            "optimizer.learning_rate=-1",
            "optimizer.learning_rate: must be a finite number above 0, found -1",
            "",
        ),
        (
            "train.seed=-1",
            "train.seed: must be an integer from 0 to 9223372036854775807, found -1",
            "",
        ),
    ] {
        refused(spec, set("[train]\nepochs = 5\n", &[spec]), message, hint);
    }
}

/// (text, start of the message, part of the hint)
const BAD: &[(&str, &str, &str)] = &[
    // keys
    ("trunc = 1", "trunc: unknown key", "did you mean trunk?"),
    ("[optimiser]", "optimiser: unknown key", "did you mean optimizer?"),
    (
        "[train]\nlearning_rate = 0.1",
        "train.learning_rate: unknown key",
        "did you mean optimizer.learning_rate?",
    ),
    (
        "[optimizer]\nlearning_rat = 0.1",
        "optimizer.learning_rat: unknown key",
        "did you mean optimizer.learning_rate?",
    ),
    ("lr = 1", "lr: unknown key", "did you mean optimizer.learning_rate?"),
    ("[train]\nEpochs = 1", "train.Epochs: unknown key", "did you mean train.epochs?"),
    ("[train]\nzzzzzz = 1", "train.zzzzzz: unknown key", "known here: epochs, max_steps"),
    ("[task.left]\nwieght = 1", "task.left.wieght: unknown key", "did you mean task.left.weight?"),
    ("[task.\"a.b\"]\nlayer = []", "task.\"a.b\".layer: unknown key", "task.\"a.b\".layers"),
    ("[[coupling]]\nstrenght = 1", "coupling.0.strenght: unknown key", "coupling.0.strength"),
    ("[feature.age]\nscaling = 1", "feature.age.scaling: unknown key", "feature.age.scale"),
    ("[data]\ntrian = \"x.csv\"", "data.trian: unknown key", "did you mean data.train?"),
    (
        "[data]\ntrain = { image = \"i\", labels = \"l\" }",
        "data.train.image: unknown key",
        "data.train.images",
    ),
    (
        "[data]\ntrain = { images = \"i\", labels = \"l\" }\noverlay = { shif = 1 }",
        "data.overlay.shif: unknown key",
        "data.overlay.shift",
    ),
    // [data]
    ("[data]", "data.train: is missing", ".csv.gz"),
    ("data = 3", "data: must be a table, found 3", ""),
    ("[data]\ntrain = 3", "data.train: must be a path", "IDX"),
    (
        "[data]\ntrain = \"x\"",
        "data.train: \"x\" is neither a file of a known format nor a built-in set",
        ".csv.gz",
    ),
    (
        "[data]\ntrain = \"digit-overlay\"",
        "data.train: \"digit-overlay\" is neither",
        "did you mean \"digits-overlay\"?",
    ),
    ("[data]\ntrain = { images = \"i\" }", "data.train.labels: is missing", "IDX"),
    (
        "[data]\ntrain = { images = \"\", labels = \"l\" }",
        "data.train.images: must be a text that is not empty, found the text \"\"",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nvalid = \"digits-overlay\"",
        "data.valid: is a built-in set, while data.train is a table",
        "one format",
    ),
    (
        "[data]\ntrain = \"x.csv\"\ntest = { images = \"i\", labels = \"l\" }",
        "data.test: is a pair of IDX files, while",
        "one format",
    ),
    (
        "[data]\ntrain = \"digits-overlay\"\nvalid = \"x.csv\"",
        "data.valid: has no effect, since digits-overlay has its own",
        "leave it out",
    ),
    (
        "[data]\ntrain = \"digits-overlay\"\nsplit = [1, 0, 0]",
        "data.split: has no effect",
        "leave it out",
    ),
    (
        "[data]\ntrain = \"digits-overlay\"\nsplit_seed = 1",
        "data.split_seed: has no effect",
        "leave it out",
    ),
    (
        "[data]\ntrain = \"digits-overlay\"\noverlay = {}",
        "data.overlay: has no effect, since only IDX",
        "leave it out",
    ),
    (
        "[data]\ntrain = \"digits-overlay\"\nignore = [\"a\"]",
        "data.ignore: has no effect, since only tables have columns",
        "leave it out",
    ),
    (
        "[feature.a]\n[data]\ntrain = \"digits-overlay\"",
        "feature: has no effect, since only tables have columns",
        "leave it out",
    ),
    ("[data]\ntrain = \"x.csv\"\noverlay = { shift = 1 }", "data.overlay: has no effect", ""),
    (
        "[data]\ntrain = \"x.csv\"\nvalid = \"v.csv\"\ntest = \"t.csv\"\nsplit = [1, 0, 0]",
        "data.split: has no effect, since data.valid and",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nvalid = \"v.csv\"\ntest = \"t.csv\"\nsplit_seed = 1",
        "data.split_seed: has no effect",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nsplit = [1, 0, 0]\nsplit_seed = 1",
        "data.split_seed: has no effect, since nothing is split",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nvalid = \"v.csv\"\nsplit = [0.8, 0.1, 0.1]",
        "data.split: the share 0.1 of valid has no effect",
        "split = [0.9, 0.0, 0.1]",
    ),
    ("[data]\ntrain = \"x.csv\"\nsplit = [0.8, 0.1]", "data.split: must be three shares", ""),
    (
        "[data]\ntrain = \"x.csv\"\nsplit = 0.8",
        "data.split: must be three shares for train, valid and test, such as [0.8, 0.1, 0.1], \
         found 0.8",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nsplit = [0.8, 0.1, 0.2]",
        "data.split: the shares must sum to 1, found 1.1",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nsplit = [0.8, 0.1, 0.09999]",
        "data.split: the shares must sum to 1, found 0.99999",
        "--set data.split=",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nsplit = [1.1, -0.1, 0]",
        "data.split.1: must be a finite number, 0 or above, found -0.1",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nsplit = [0, 0.5, 0.5]",
        "data.split: the first share, of training, must be above 0",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nsplit_seed = -1",
        "data.split_seed: must be an integer from 0 to",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nignore = \"id\"",
        "data.ignore: must be a list of texts, found the text \"id\"",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nignore = [\"id\", 3]",
        "data.ignore.1: must be a text that is not empty, found 3",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nignore = [\"id\", \"id\"]",
        "data.ignore.1: \"id\" stands twice",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nignore = [\"left\"]",
        "data.ignore: the column \"left\" is the target of task \"left\"",
        "label columns",
    ),
    ("[data]\ntrain = []", "data.train: must be one path or more, found a list", ".parquet"),
    (
        "[data]\ntrain = [\"x.csv\", 3]",
        "data.train.1: must be a text that is not empty, found 3",
        "",
    ),
    ("[data]\ntrain = [\"x.csv\", \"y\"]", "data.train.1: \"y\" is neither a file", ".tsv.gz"),
    ("[data]\ntrain = [\"x.csv\", \"x.csv\"]", "data.train.1: \"", ""),
    ("[data]\ntrain = { features = \"x.npy\" }", "data.train.labels: is missing", ".npy"),
    (
        "[data]\ntrain = { features = \"x.csv\", labels = \"y.npy\" }",
        "data.train.features: must be the path of a .npy file",
        "",
    ),
    (
        "[data]\ntrain = { features = \"x.npy\", labels = \"y.npy\", feature_names = [\"a\"], \
         label_names = [\"a\"] }",
        "data.train.label_names: \"a\" is a name of a feature too",
        "rename",
    ),
    (
        "[data]\ntrain = { features = \"x.npy\", labels = \"y.npy\", label_names = [] }",
        "data.train.label_names: must be one name per column",
        "",
    ),
    (
        "[data]\ntrain = { features = \"x.npy\", labels = \"y.npy\" }\nvalid = { features = \
         \"x.npy\", labels = \"y.npy\", label_names = [\"a\"] }",
        "data.valid.label_names: has no effect, since columns have the names that stand in \
         data.train",
        "leave it out",
    ),
    (
        "[data]\ntrain = { features = \"x.npy\", label = \"y.npy\" }",
        "data.train.label: unknown key",
        "data.train.labels",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nvalid = { features = \"x.npy\", labels = \"y.npy\" }",
        "data.valid: is a pair of NPY files, while data.train is a table",
        "one format",
    ),
    ("[data]\ntrain = \"x.csv\"\ndelimiter = \"ab\"", "data.delimiter: must be one character", ""),
    ("[data]\ntrain = \"x.csv\"\ndelimiter = \"x\"", "data.delimiter: must be one character", ""),
    (
        "[data]\ntrain = \"x.csv\"\ndelimiter = \"\\\"\"",
        "data.delimiter: must be one character",
        "",
    ),
    ("[data]\ntrain = \"x.csv\"\ndelimiter = \"é\"", "data.delimiter: must be one character", ""),
    (
        "[data]\ntrain = \"x.parquet\"\ndelimiter = \";\"",
        "data.delimiter: has no effect, since only text files",
        "leave it out",
    ),
    (
        "[data]\ntrain = \"x.npy\"\nheader = false",
        "data.header: has no effect, since only text files",
        "leave it out",
    ),
    (
        "[data]\ntrain = \"digits-overlay\"\nheader = true",
        "data.header: has no effect, since only tables",
        "leave it out",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nheader = \"yes\"",
        "data.header: must be true or false, found the text \"yes\"",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nmissing = \"?\"",
        "data.missing: must be a list of texts that mean \"blank\", found the text \"?\"",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nmissing = [0.5]",
        "data.missing.0: must be a text or an integer, found 0.5",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nmissing = [\" NA\"]",
        "data.missing.0: \" NA\" begins or ends with a space",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nmissing = [-9, \"-9\"]",
        "data.missing.1: \"-9\" stands twice",
        "",
    ),
    (
        "[data]\ntrain = \"digits-overlay\"\nmissing = []",
        "data.missing: has no effect, since only tables",
        "leave it out",
    ),
    (
        "[data]\ntrain = \"digits-overlay\"\nrow_weight = \"w\"",
        "data.row_weight: has no effect, since only tables",
        "leave it out",
    ),
    (
        "[data]\ntrain = \"digits-overlay\"\nmemory = 5000",
        "data.memory: has no effect, since only tables",
        "leave it out",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nmemory = \"2 GB\"",
        "data.memory: must be a size of 1 KB to 1000 TB",
        "--set data.memory",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nshuffle_window = 0",
        "data.shuffle_window: must be an integer from 1 to",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nshuffle_window = 9\n[train]\nbatch_size = \"full\"",
        "data.shuffle_window: has no effect, since train.batch_size is \"full\"",
        "leave it out",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nrow_weight = \"left\"",
        "data.row_weight: the column \"left\" is the target of task \"left\"",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nrow_weight = \"w\"\nignore = [\"w\"]",
        "data.ignore: the column \"w\" is that of data.row_weight",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nrow_weight = \"w\"\n[feature.w]",
        "feature.w: has no effect, since the column is that of data.row_weight",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nsplit_column = \"s\"\nsplit = [1, 0, 0]",
        "data.split: has no effect, since data.split_column says",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nsplit_column = \"s\"\nvalid = \"v.csv\"",
        "data.valid: has no effect, since data.split_column says",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nsplit_column = \"s\"\nsplit_seed = 1",
        "data.split_seed: has no effect",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nsplit_column = \"s\"\ngroup = \"g\"",
        "data.group: has no effect",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nsplit_column = \"right\"",
        "data.split_column: the column \"right\" is the target",
        "another column",
    ),
    (
        "[data]\ntrain = { images = \"i\", labels = \"l\" }\nsplit_column = \"s\"",
        "data.split_column: has no effect, since only tables",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nstratify = \"leftt\"",
        "data.stratify: there is no task \"leftt\"",
        "did you mean \"left\"?",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nstratify = \"a\"\n[task.a]\ntype = \"regression\"",
        "data.stratify: the task \"a\" is of type regression, expected multiclass or binary",
        "classes",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nstratify = \"left\"\ngroup = \"g\"",
        "data.group: has no effect, since data.stratify",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nsplit = [1, 0, 0]\nstratify = \"left\"",
        "data.stratify: has no effect, since nothing is split",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nsplit = [1, 0, 0]\ngroup = \"g\"",
        "data.group: has no effect, since nothing is split",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\ngroup = 3",
        "data.group: must be a text that is not empty, found 3",
        "",
    ),
    (
        "[data]\ntrain = \"x.csv\"\nignore = [\"a\"]\n[feature.a]",
        "feature.a: has no effect, since data.ignore",
        "",
    ),
    ("[feature.a]\nmissing = 3", "feature.a.missing: must be a list of texts", ""),
    (
        "[feature.a]\ntype = \"ignore\"\nmissing = []",
        "feature.a.missing: has no effect, since the column is ignored",
        "leave it out",
    ),
    (
        "[feature.a]\ntype = \"categry\"",
        "feature.a.type: \"categry\" is not known",
        "did you mean \"category\"?",
    ),
    (
        "[feature.a]\ntype = \"category\"\nscale = \"none\"",
        "feature.a.scale: has no effect, since the column is of type category",
        "",
    ),
    (
        "[feature.a]\ntype = \"numeric\"\nmin_count = 3",
        "feature.a.min_count: has no effect, since the column is of type numeric",
        "",
    ),
    (
        "[feature.a]\ntype = \"binary\"\nmax_values = 3",
        "feature.a.max_values: has no effect, since the column is of type binary",
        "",
    ),
    (
        "[feature.a]\ntype = \"date\"\nslots = 3",
        "feature.a.slots: has no effect, since the column is of type date",
        "",
    ),
    (
        "[feature.a]\ntype = \"category\"\nbuckets = 3",
        "feature.a.buckets: has no effect",
        "leave it out",
    ),
    ("[feature.a]\nmin_count = 0", "feature.a.min_count: must be an integer from 1 to", ""),
    (
        "[feature.a]\ntype = \"numeric\"\nembed = 3",
        "feature.a.embed: has no effect, since the column is of type numeric, and the key is for \
         category and text",
        "leave it out",
    ),
    (
        "[feature.a]\nembed = 2000",
        "feature.a.embed: must be an integer from 0 to 1024, found 2000",
        "",
    ),
    (
        "[feature.a]\nembed = \"wide\"",
        "feature.a.embed: must be an integer from 0 to 1024, or \"auto\", found the text \"wide\"",
        "",
    ),
    (
        "[feature.a]\nmax_values = 0",
        "feature.a.max_values: must be an integer from 1 to 1048576, found 0",
        "",
    ),
    (
        "[feature.a]\nbuckets = 2000000",
        "feature.a.buckets: must be an integer from 1 to 1048576",
        "",
    ),
    (
        "[feature.a]\nslots = 5000",
        "feature.a.slots: must be an integer from 1 to 4096, found 5000",
        "",
    ),
    ("[feature.a]\nngrams = 17", "feature.a.ngrams: must be an integer from 0 to 16, found 17", ""),
    (
        "[feature.a]\ntype = \"numerik\"",
        "feature.a.type: \"numerik\" is not known",
        "did you mean \"numeric\"?",
    ),
    (
        "[feature.a]\nscale = \"zscore\"",
        "feature.a.scale: \"zscore\" is not known",
        "known: standard, minmax, robust, none",
    ),
    ("[feature.left]", "feature.left: is the target of task \"left\"", ""),
    ("feature = 3", "feature: must be tables [feature.NAME], found 3", ""),
    (
        "[data]\ntrain = { images = \"i\", labels = \"l\" }\noverlay = { shift = -1 }",
        "data.overlay.shift: must be an integer from 0 to 1000, found -1",
        "",
    ),
    // [trunk] and [task.*]
    ("[trunk]\nlayers = 128", "trunk.layers: must be a list of layer widths, found 128", ""),
    (
        "[trunk]\nlayers = [128, 0]",
        "trunk.layers.1: must be an integer from 1 to 1000000, found 0",
        "",
    ),
    (
        "[trunk]\nlayers = [12.5]",
        "trunk.layers.0: must be an integer from 1 to 1000000, found 12.5",
        "",
    ),
    (
        "[trunk]\nactivation = \"rellu\"",
        "trunk.activation: \"rellu\" is not known",
        "did you mean \"relu\"? known: relu, tanh, gelu, silu, identity",
    ),
    (
        "[trunk]\nactivation = 3",
        "trunk.activation: must be one of the texts relu, tanh, gelu, silu, identity, found 3",
        "",
    ),
    ("[trunk]\ninit = \"glorot\"", "trunk.init: \"glorot\" is not known", "auto, he, xavier"),
    ("[trunk]\ndropout = 1.0", "trunk.dropout: must be a number from 0 to below 1, found 1.0", ""),
    (
        "[trunk]\ndropout = 0.99999999999",
        "trunk.dropout: must be a number from 0 to below 1, found 9.9999999999e-1, which is 1 in \
         32 bits",
        "",
    ),
    (
        "[trunk]\ndropout = true",
        "trunk.dropout: must be a number from 0 to below 1, found the boolean true",
        "",
    ),
    ("[trunk]\nlayers = []\ndropout = 0.5", "trunk.dropout: has no effect, since layers = []", ""),
    ("task = 3", "task: must be tables [task.NAME], found 3", ""),
    ("task = {}", "task: there is no task", "[task.NAME]"),
    ("[task.\"a b\"]", "task.\"a b\": the name of a task must be 1 to 64 characters", "target"),
    ("[task.\"\"]", "task.\"\": the name of a task", ""),
    (
        "[task.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]",
        "task.aaaaaaaaa",
        "",
    ),
    ("[task]\nleft = 3", "task.left: must be a table, found 3", ""),
    (
        "[task.left]\nmissing = [\"a \"]",
        "task.left.missing.0: \"a \" begins or ends with a space",
        "",
    ),
    (
        "[task.left]\ntype = \"multi_class\"",
        "task.left.type: \"multi_class\" is not known",
        "did you mean \"multiclass\"?",
    ),
    ("[task.left]\ntarget = \"\"", "task.left.target: must be a text that is not empty", ""),
    (
        "[task.left]\nweight = -0.5",
        "task.left.weight: must be a finite number, 0 or above, found -0.5",
        "",
    ),
    (
        "[task.left]\nweight = nan",
        "task.left.weight: must be a finite number, 0 or above, found NaN",
        "",
    ),
    ("[task.left]\ndropout = 0.5", "task.left.dropout: has no effect, since layers = []", ""),
    (
        "[task.left]\nactivation = \"relu\"",
        "task.left.activation: has no effect, since the task has no layers",
        "",
    ),
    ("[task.left]\ngroups = [1, 2]", "task.left.groups: must be a table of classes", ""),
    (
        "[task.left]\ngroups = { a = [1] }",
        "task.left.groups: there must be 2 groups or more, found 1",
        "",
    ),
    ("[task.left]\ngroups = {}", "task.left.groups: there must be 2 groups or more, found 0", ""),
    (
        "[task.left]\ngroups = { a = [1], b = [] }",
        "task.left.groups.b: must have a label value",
        "",
    ),
    (
        "[task.left]\ngroups = { a = [1], b = [2, \"1\"] }",
        "task.left.groups.b.1: the label \"1\" is in the group \"a\" already",
        "",
    ),
    (
        "[task.left]\ngroups = { a = [1, 1], b = [2] }",
        "task.left.groups.a.1: the label \"1\" stands twice",
        "",
    ),
    (
        "[task.left]\ngroups = { a = [1.5], b = [2] }",
        "task.left.groups.a.0: must be an integer or a text, found 1.5",
        "",
    ),
    (
        "[task.left]\ngroups = { a = 1, b = [2] }",
        "task.left.groups.a: must be a list of label values",
        "",
    ),
    // [[coupling]]
    (
        "[coupling]\nkind = \"agreement\"",
        "coupling: must be a list of tables, found a table",
        "[[coupling]]",
    ),
    ("[[coupling]]", "coupling.0.kind: is missing", "soft_sharing, agreement"),
    (
        "[[coupling]]\nkind = \"soft-sharing\"",
        "coupling.0.kind: \"soft-sharing\" is not known",
        "did you mean \"soft_sharing\"?",
    ),
    (
        "[[coupling]]\nkind = \"agreement\"\nstrength = -1",
        "coupling.0.strength: must be a finite number, 0 or above, found -1",
        "",
    ),
    (
        "[[coupling]]\nkind = \"agreement\"\nstrength = inf",
        "coupling.0.strength: must be a finite number, 0 or above, found inf",
        "",
    ),
    (
        "[[coupling]]\nkind = \"agreement\"\npairs = []",
        "coupling.0.pairs: must have a pair",
        "every pair",
    ),
    (
        "[[coupling]]\nkind = \"agreement\"\npairs = [\"left\"]",
        "coupling.0.pairs.0: must be a pair of task names",
        "",
    ),
    (
        "[[coupling]]\nkind = \"agreement\"\npairs = [[\"left\"]]",
        "coupling.0.pairs.0: must be two task names, found 1",
        "",
    ),
    (
        "[[coupling]]\nkind = \"agreement\"\npairs = [[\"left\", \"left\"]]",
        "coupling.0.pairs.0: a task cannot be coupled with itself",
        "",
    ),
    (
        "[[coupling]]\nkind = \"agreement\"\npairs = [[\"left\", \"rihgt\"]]",
        "coupling.0.pairs.0.1: \"rihgt\" is not known",
        "did you mean \"right\"?",
    ),
    (
        "[[coupling]]\nkind = \"agreement\"\npairs = [[\"left\", \"right\"], [\"right\", \
         \"left\"]]",
        "coupling.0.pairs.1: the pair of",
        "",
    ),
    (
        "[task.left]\n[[coupling]]\nkind = \"agreement\"",
        "coupling: has no effect, since there is one task",
        "add one",
    ),
    // [optimizer]
    (
        "[optimizer]\nkind = \"adamax\"",
        "optimizer.kind: \"adamax\" is not known",
        "known: adam, adamw, sgd",
    ),
    (
        "[optimizer]\nlearning_rate = -1",
        "optimizer.learning_rate: must be a finite number above 0, found -1",
        "",
    ),
    (
        "[optimizer]\nlearning_rate = 0",
        "optimizer.learning_rate: must be a finite number above 0, found 0",
        "",
    ),
    (
        "[optimizer]\nlearning_rate = \"1e-3\"",
        "optimizer.learning_rate: must be a finite number above 0, found the text \"1e-3\"",
        "",
    ),
    (
        "[optimizer]\nlearning_rate = 1e-50",
        "optimizer.learning_rate: must be a finite number above 0, found 1e-50, which is 0 in 32 \
         bits",
        "",
    ),
    (
        "[optimizer]\nlearning_rate = 1e50",
        "optimizer.learning_rate: must be a finite number above 0, found 1e50, which is inf in 32 \
         bits",
        "",
    ),
    (
        "[optimizer]\nlearning_rate = 1e-40",
        "optimizer.learning_rate: must be a finite number above 0, found 1e-40, which is 0",
        "",
    ),
    (
        "[optimizer]\nweight_decay = -1e-3",
        "optimizer.weight_decay: must be a finite number, 0 or above, found -0.001",
        "",
    ),
    ("[optimizer]\ndecay_biases = 1", "optimizer.decay_biases: must be true or false, found 1", ""),
    ("[optimizer]\nclip_norm = -1", "optimizer.clip_norm: must be", ""),
    ("[optimizer]\nbeta1 = 1", "optimizer.beta1: must be a number from 0 to below 1, found 1", ""),
    ("[optimizer]\neps = 0.0", "optimizer.eps: must be a finite number above 0, found 0.0", ""),
    (
        "[optimizer]\nmomentum = 0.9",
        "optimizer.momentum: has no effect, since it belongs to kind = \"sgd\"",
        "leave it out",
    ),
    (
        "[optimizer]\nkind = \"adamw\"\nnesterov = true",
        "optimizer.nesterov: has no effect, since it belongs to kind = \"sgd\"",
        "",
    ),
    (
        "[optimizer]\nkind = \"sgd\"\nbeta2 = 0.9",
        "optimizer.beta2: has no effect, since it belongs to kind = \"adam\" or \"adamw\"",
        "",
    ),
    (
        "[optimizer]\nkind = \"sgd\"\nnesterov = true",
        "optimizer.nesterov: has no effect without momentum",
        "momentum = 0.9",
    ),
    (
        "[optimizer]\nschedule = \"cosin\"",
        "optimizer.schedule: \"cosin\" is not known",
        "did you mean \"cosine\"?",
    ),
    ("[optimizer]\nschedule = \"cosine\"\ngamma = 0.1", "optimizer.gamma: has no effect", ""),
    ("[optimizer]\nstep_size = \"1e\"", "optimizer.step_size: has no effect", ""),
    (
        "[optimizer]\nschedule = \"step\"\nstep_size = \"0e\"",
        "optimizer.step_size: must be a text such as",
        "",
    ),
    (
        "[optimizer]\nschedule = \"step\"\ngamma = 0",
        "optimizer.gamma: must be a finite number above 0",
        "",
    ),
    ("[optimizer]\nwarmup_steps = -1", "optimizer.warmup_steps: must be an integer from 0 to", ""),
    // [train]
    ("[train]\nepochs = 0", "train.epochs: must be an integer from 1 to 1000000000, found 0", ""),
    (
        "[train]\nepochs = 2.5",
        "train.epochs: must be an integer from 1 to 1000000000, found 2.5",
        "",
    ),
    ("[train]\nmax_steps = 0", "train.max_steps: must be", ""),
    ("[train]\nmax_time = \"10\"", "train.max_time: must be a time above 0", ""),
    ("[train]\nmax_time = \"-1s\"", "train.max_time: must be a time above 0", ""),
    (
        "[train]\nmax_time = 0",
        "train.max_time: must be a time above 0 and up to 1000000000 seconds",
        "",
    ),
    ("[train]\nmax_time = inf", "train.max_time: must be a time above 0", ""),
    (
        "[train]\nbatch_size = 0",
        "train.batch_size: must be an integer from 1 to 1000000000 or \"full\", found 0",
        "",
    ),
    (
        "[train]\nbatch_size = \"ful\"",
        "train.batch_size: must be an integer from 1 to 1000000000 or \"full\", found the text \
         \"ful\"",
        "",
    ),
    (
        "[train]\nseed = 1.0",
        "train.seed: must be an integer from 0 to 9223372036854775807, found 1.0",
        "",
    ),
    (
        "[train]\nlog_every = \"+1e\"",
        "train.log_every: must be a text such as \"1e\" (epochs) or \"100s\" (steps)",
        "",
    ),
    ("[train]\nlog_every = 100", "train.log_every: must be a text", ""),
    (
        "[train]\ncheckpoint_every = \"0m\"",
        "train.checkpoint_every: must be a text such as \"1e\" (epochs), \"500s\" (steps)",
        "",
    ),
    ("[train]\ncheckpoint_every = 10", "train.checkpoint_every: must be a text", ""),
    (
        "[train]\naccumulate = 0",
        "train.accumulate: must be an integer from 1 to 1000000000, found 0",
        "",
    ),
    ("[train]\nshards = 0", "train.shards: must be an integer from 1 to 1000000000, found 0", ""),
    (
        "[trunk]\nlayers = []\nfreeze = true",
        "trunk.freeze: has no effect, since layers = []",
        "leave it out",
    ),
    ("[train]\nkeep = 0", "train.keep: must be an integer from 1 to 1000000000, found 0", ""),
    ("[train]\nprecision = \"f16\"", "train.precision: \"f16\" is not known", "f32-matrix"),
    (
        "[train]\non_nan = \"rolback\"",
        "train.on_nan: \"rolback\" is not known",
        "did you mean \"rollback\"?",
    ),
    (
        "[train]\nselect = \"lefft.accuracy\"",
        "train.select: \"lefft.accuracy\" is not known",
        "did you mean \"left.accuracy\"?",
    ),
    (
        "[train]\nselect = \"left.rmse\"",
        "train.select: \"left.rmse\" is not known",
        "left.log_loss",
    ),
    (
        "[train]\npatience = 2\n[data]\ntrain = \"x.csv\"\nsplit = [0.5, 0, 0.5]",
        "train.patience: has no effect, since there is no valid",
        "data.valid",
    ),
    (
        "[train]\nselect = \"mean\"\n[data]\ntrain = \"x.csv\"\nsplit = [1, 0, 0]",
        "train.select: has no effect, since there is no valid",
        "data.valid",
    ),
];

#[test]
fn bad_configurations_are_refused_with_their_message() {
    assert!(BAD.len() >= 100);
    for (text, message, hint) in BAD {
        refused(text, set(text, &[]), message, hint);
    }
}

/// (base configuration, key, values): for each key, values that differ from the base's.
const TRIES: &[(&str, &str, &[&str])] = &[
    (
        "",
        CSV,
        &[
            "data.train=z.csv",
            "data.valid=v.csv",
            "data.test=t.csv",
            "data.split=[0.5, 0.3, 0.2]",
            "data.split_seed=1",
            "data.split_column=s",
            "data.stratify=left",
            "data.group=g",
            "data.delimiter=;",
            "data.header=false",
            "data.ignore=[\"id\"]",
            "data.missing=[\"\", \"NA\"]",
            "data.decimal=\",\"",
            "data.dates=dmy",
            "data.row_weight=w",
            "data.memory=1GB",
            "data.shuffle_window=100",
            "feature.age.type=category",
            "feature.age.missing=[\"?\"]",
            "feature.age.decimal=\".\"",
            "feature.age.dates=mdy",
            "feature.age.scale=robust",
            "feature.age.clip=1.5",
            "feature.age.min_count=3",
            "feature.age.max_values=3",
            "feature.age.buckets=3",
            "feature.age.slots=3",
            "feature.age.ngrams=3",
            "feature.age.embed=3",
            "trunk.layers=[3]",
            "trunk.activation=silu",
            "trunk.dropout=0.25",
            "trunk.init=xavier",
            "task.left.target=label",
            "task.left.groups={ a = [1], b = [2] }",
            "task.left.layers=[2]",
            "task.left.weight=0",
            "optimizer.kind=adamw",
            "optimizer.learning_rate=1",
            "optimizer.beta1=0",
            "optimizer.beta2=0",
            "optimizer.eps=1",
            "optimizer.weight_decay=1",
            "optimizer.decay_biases=false",
            "optimizer.clip_norm=1",
            "optimizer.schedule=cosine",
            "optimizer.warmup_steps=1",
            "train.epochs=1",
            "train.max_steps=1",
            "train.max_time=1",
            "train.batch_size=1",
            "train.seed=1",
            "train.patience=1",
            "train.keep_best=per_task",
            "tracking.tensorboard=true",
            "train.select=left.accuracy",
            "train.evaluate_every=20s",
            "train.evaluate=[\"valid\", \"test\"]",
            "train.log_every=2e",
            "train.checkpoint_every=3s",
            "train.keep=1",
            "train.on_nan=skip",
            "train.accumulate=2",
            "train.shards=4",
            "train.precision=mixed",
            "trunk.freeze=true",
            "coupling.0.kind=agreement",
            "architecture.kind=mtan",
        ],
    ),
    ("[train]\npatience = { left = 1 }\n", DIGITS, &["train.freeze_finished=true"]),
    (
        "[task.left]\ntype = \"tags\"\n[task.right]\n",
        CONLL,
        &[
            "data.format=lines",
            "data.columns=[\"a\", \"b\"]",
            "data.word=form",
            "data.window=5",
            "data.affixes=1",
            "data.shape=false",
            "data.predicate=role=V",
            "feature.age.window=1",
            "task.left.scheme=bioes",
        ],
    ),
    ("", CONLL, &["task.left.pool=mean"]),
    (
        "[feature.age]\nvectors = \"v.txt\"\n",
        CONLL,
        &["feature.age.vectors=w.txt", "feature.age.train_vectors=false"],
    ),
    ("[tracking]\ntensorboard = true\n", CSV, &["tracking.histograms=2e"]),
    (
        "[architecture]\nkind = \"mmoe\"\n",
        CSV,
        &["architecture.experts=3", "architecture.gates=one"],
    ),
    (
        "[architecture]\nkind = \"ple\"\n",
        CSV,
        &["architecture.task_experts=2", "architecture.levels=3"],
    ),
    (
        "[architecture]\nkind = \"cross_stitch\"\n",
        CSV,
        &["architecture.own=0.5", "architecture.learning_rate_factor=1"],
    ),
    (
        "[architecture]\nkind = \"dselect_k\"\n",
        CSV,
        &["architecture.select=1", "architecture.smooth=2", "architecture.entropy=0"],
    ),
    (
        "[architecture]\nkind = \"branched\"\nbranches = [[[\"left\", \"right\"]], [[\"left\", \
         \"right\"]]]\n",
        CSV,
        &["architecture.branches=[[[\"left\", \"right\"]], [[\"left\"], [\"right\"]]]"],
    ),
    (
        "[architecture]\nkind = \"branched\"\nlearn = true\n",
        CSV,
        &["architecture.temperature=[5.0, 0.5]"],
    ),
    ("", CSV, &["architecture={ kind = \"branched\", learn = true }"]),
    ("", CSV, &["balance.method=mgda", "balance.observe=50"]),
    (
        "[balance]\nmethod = \"upgrad\"\n",
        CSV,
        &[
            "balance.space=parameters",
            "balance.every=3",
            "balance.normalize=loss",
            "balance.couplings=balanced",
            "balance.regularization=0.01",
        ],
    ),
    ("[balance]\nmethod = \"mgda\"\nspace = \"parameters\"\n", CSV, &["balance.metric=adam"]),
    ("[balance]\nmethod = \"uncertainty\"\n", CSV, &["balance.most=3"]),
    ("[balance]\nmethod = \"dwa\"\n", CSV, &["balance.temperature=3"]),
    ("[balance]\nmethod = \"stch\"\n", CSV, &["balance.smoothing=3"]),
    ("[balance]\nmethod = \"famo\"\n", CSV, &["balance.learning_rate=3", "balance.decay=0"]),
    ("[balance]\nmethod = \"gradnorm\"\n", CSV, &["balance.alpha=3"]),
    ("[balance]\nmethod = \"excess_mtl\"\n", CSV, &["balance.learning_rate=3"]),
    ("[balance]\nmethod = \"db_mtl\"\n", CSV, &["balance.beta=0.5", "balance.power=0"]),
    ("[balance]\nmethod = \"gradvac\"\n", CSV, &["balance.beta=0.5"]),
    ("[balance]\nmethod = \"cagrad\"\n", CSV, &["balance.c=0.5"]),
    ("[balance]\nmethod = \"nash_mtl\"\n", CSV, &["balance.max_norm=0"]),
    ("[balance]\nmethod = \"aligned_mtl\"\n", CSV, &["balance.scale=median"]),
    ("[balance]\nmethod = \"graddrop\"\n", CSV, &["balance.leak=0.5"]),
    (
        "[task.left]\nlayers = [2]\n[task.right]\n",
        CSV,
        &["task.left.activation=tanh", "task.left.dropout=0.5"],
    ),
    (
        "[[coupling]]\nkind = \"agreement\"\n",
        CSV,
        &["coupling.0.strength=3", "coupling.0.pairs=[[\"left\", \"right\"]]"],
    ),
    (
        "[optimizer]\nkind = \"sgd\"\nmomentum = 0.5\nschedule = \"step\"\n",
        CSV,
        &[
            "optimizer.momentum=0.75",
            "optimizer.nesterov=true",
            "optimizer.step_size=1s",
            "optimizer.gamma=1",
        ],
    ),
    (
        "",
        IDX,
        &[
            "data.train.images=j",
            "data.train.labels=j",
            "data.overlay={}",
            "data.overlay.shift=1",
            "data.overlay.seed=1",
        ],
    ),
    (
        "",
        CSV,
        &[
            "task.left.missing=[\"?\", \"\"]",
            "task.left.label_smoothing=0.1",
            "task.left.focal_gamma=2",
            "task.left.class_weights=balanced",
            "task.left.top_k=3",
        ],
    ),
    (
        "[task.left]\ntype = \"binary\"\n[task.right]\n",
        CSV,
        &["task.left.positive=no", "task.left.positive_weight=balanced"],
    ),
    (
        "[task.left]\ntype = \"regression\"\n[task.right]\n",
        CSV,
        &["task.left.scale=none", "task.left.loss=absolute"],
    ),
    ("[task.left]\ntype = \"count\"\n[task.right]\n", CSV, &["task.left.scale_loss=false"]),
    (
        "[task.left]\ntype = \"regression\"\nloss = \"huber\"\n[task.right]\n",
        CSV,
        &["task.left.huber_delta=2"],
    ),
    (
        "[task.left]\ntype = \"regression\"\nloss = \"quantile\"\n[task.right]\n",
        CSV,
        &["task.left.quantile=0.9"],
    ),
    ("", "[data]\ntrain = \"x.csv\"\nfolds = 3\nfold = 1\n", &["data.folds=4", "data.fold=2"]),
    ("", NPY, &["data.train.features=z.npy", "data.train.labels=z.npy"]),
    ("", FOLDER, &["data.train.folder=g", "data.size=[8, 9]", "data.channels=3"]),
    ("", FOLDER, &["augment.shift=1", "augment.flip=horizontal", "augment.erase=2"]),
    ("", LISTED, &["data.train.path=q", "data.train.images=g", "data.train.labels=k.csv"]),
    ("", LISTED, &["data.row_weight=w", "data.group=g", "data.split_column=s", "data.memory=1GB"]),
    (
        "",
        SOURCES,
        &[
            "data.sampling=equal",
            "data.sampling.temperature=2",
            "source.0.name=one",
            "source.0.train=[\"z.csv\", \"y-*.csv\"]",
            "source.0.valid=v.csv",
            "source.1.test=t.csv",
            "source.0.tasks=[\"left\", \"right\"]",
            "source.0.weight=2",
        ],
    ),
    ("", NPY, &["data.train.feature_names=[\"p\", \"q\"]", "data.train.label_names=[\"r\"]"]),
];

#[test]
fn every_key_has_an_effect() {
    let mut seen = BTreeSet::new();
    for (text, data, specs) in TRIES {
        let base = format!("{text}{data}");
        for spec in *specs {
            let with = set(&base, &[spec]).unwrap_or_else(|e| panic!("{spec}: {e}"));
            assert_ne!(with, read(&base), "{spec} changes nothing");
            assert_eq!(
                from_text(&to_toml(&with), "again", Path::new("/"), &[]).unwrap(),
                with,
                "{spec}"
            );
            let path = spec.split('=').next().unwrap();
            let path = if path == "architecture" { "architecture.learn" } else { path };
            let path = path.replace("source.1.", "source.0.");
            seen.insert(path.replace(".left.", ".NAME.").replace(".age.", ".NAME."));
        }
    }
    let alone = ["task.NAME.type"];
    seen.extend(alone.map(str::to_owned));
    // A configuration is read without them: `search_keys_are_read`.
    seen.extend(SEARCH_TRIES.iter().map(|(_, spec)| format!("search.{}", key_of(spec))));
    let known = known();
    let tables = known.iter().filter(|keys| !keys.table.is_empty());
    let known: BTreeSet<String> =
        tables.flat_map(|t| t.keys.iter().map(move |key| format!("{}.{key}", t.table))).collect();
    assert_eq!(seen, known);
}

/// For each key of `[search]` settings beside which it holds, and a value that is not its default.
const SEARCH_TRIES: &[(&str, &str)] = &[
    ("", "method=tpe"),
    ("", "trials=7"),
    ("", "max_time=30m"),
    ("", "objective=left.accuracy"),
    ("", "pareto=[\"left.accuracy\", \"right.accuracy\"]"),
    ("objective=[\"left.accuracy\", \"right.accuracy\"]", "reference=[0.5, 0.25]"),
    ("", "seed=4"),
    ("", "eta=2"),
    ("method=tpe", "workers=3"),
    ("", "seeds=2"),
    ("", "space.\"trunk.dropout\"={ linear = [0, 0.5] }"),
];

fn key_of(spec: &str) -> &str {
    spec.split(['=', '.']).next().unwrap()
}

#[test]
fn search_keys_are_read() {
    let read = |specs: &[&str]| {
        let of_search = |spec: &&str| format!("search.{spec}");
        let specs: Vec<String> =
            specs.iter().filter(|spec| !spec.is_empty()).map(of_search).collect();
        tandem::config::read::with_search(&whole(""), "x", Path::new("/"), &specs).unwrap()
    };
    for (beside, spec) in SEARCH_TRIES {
        let ((before, without), (after, with)) = (read(&[beside]), read(&[beside, spec]));
        assert_ne!(without.unwrap_or_default(), with.unwrap(), "{spec} changes nothing");
        assert_eq!(before, after, "{spec} changes what is trained");
    }
}

/// Keys of the space may stand as tables, as TOML has them without quotes.
#[test]
fn a_space_is_read_from_flags_and_tables() {
    let space = |text: &str| {
        let text = whole("") + &format!("\n[search.space]\n{text}");
        let (_, search) =
            tandem::config::read::with_search(&text, "x", Path::new("/"), &[]).unwrap();
        search.unwrap().space
    };
    let quoted = space("\"optimizer.learning_rate\" = { log = [1e-4, 1e-2], or = [0.5] }");
    assert_eq!(quoted, space("optimizer.learning_rate = { log = [1e-4, 1e-2], or = [0.5] }"));
    assert_eq!(quoted[0].0, "optimizer.learning_rate");
    let range = quoted[0].1.range.unwrap();
    assert_eq!((range.low, range.high, range.log), (1e-4, 1e-2, true));
    assert_eq!(quoted[0].1.others, ["0.5"]);
    for (flag, table) in [
        ("log:1e-4..10|0", "{ log = [1e-4, 10], or = [0] }"),
        ("linear:0..0.5", "{ linear = [0, 0.5] }"),
        ("[64]|[128, 64]", "{ choice = [[64], [128, 64]] }"),
        ("shared|mmoe", "{ choice = [\"shared\", \"mmoe\"] }"),
        ("choice:1|2", "{ choice = [1, 2] }"),
    ] {
        assert_eq!(tandem::config::Domain::of_flag(flag).unwrap(), table);
    }
}

#[test]
fn keys_of_sentences_are_for_files_of_sentences() {
    let conll = |keys: &str| format!("[data]\ntrain = \"x.conll\"\n{keys}\n");
    let sentences = |text: &str| read(text).data.sentences.unwrap();
    let known = sentences(&conll(""));
    assert_eq!((known.columns.len(), known.word.as_str(), known.window), (0, "0", 2));
    let known = sentences("[data]\ntrain = \"X.CONLLU.gz\"\n");
    assert_eq!((known.columns.len(), known.word.as_str()), (10, "form"));
    let known = sentences("[data]\ntrain = \"x.txt\"\nformat = \"lines\"\n");
    assert_eq!(
        (known.columns, known.word.as_str()),
        (["word", "tag", "label"].map(String::from).into(), "word")
    );
    assert_eq!(sentences(&conll("columns = [\"id\", \"token\"]")).word, "token");
    assert_eq!(read(CSV).data.sentences, None);
    for (text, message, hint) in [
        (format!("{CSV}window = 1"), "data.window: has no effect", "leave it out"),
        (format!("{NPY}format = \"conll\""), "data.format: has no effect", "leave it out"),
        (conll("format = \"csv\""), "data.format: \"csv\" is not known", "conll"),
        (conll("columns = []"), "data.columns: must have a name", "name all columns"),
        (
            conll("columns = [\"a\", \"b\", \"a\"]"),
            "data.columns.2: \"a\" stands twice in data.columns",
            "data.columns.2",
        ),
        (conll("columns = [\"sentence.span\"]"), "data.columns: \"sentence.span\"", "another"),
        (conll("columns = [\"a\"]\nword = \"b\""), "data.word: there is no column \"b\"", "words"),
        (conll("window = 17"), "data.window: must be an integer from 0 to 16", ""),
        (conll("affixes = 9"), "data.affixes: must be an integer from 0 to 8", ""),
        (conll("stratify = \"left\""), "data.stratify: has no effect", "leave it out"),
        (conll("header = false"), "data.header: has no effect", "leave it out"),
        (
            "[data]\ntrain = \"x.txt\"\nformat = \"lines\"\ncolumns = [\"a\"]".into(),
            "data.columns: must be two or three names",
            "word",
        ),
        (format!("{CSV}[feature.a]\nwindow = 1"), "feature.a.window: has no effect", ""),
        (format!("{CSV}[task.a]\ntype = \"tags\""), "task.a.type: is \"tags\"", "multiclass"),
        (format!("{CSV}[task.a]\npool = \"max\""), "task.a.pool: has no effect", "leave it out"),
        (
            conll("[task.a]\nscheme = \"bio\""),
            "task.a.scheme: has no effect, since the task is of type multiclass",
            "leave it out",
        ),
        (
            conll("[task.a]\ntype = \"tags\"\npool = \"max\""),
            "task.a.pool: has no effect, since tags are labels of tokens",
            "leave it out",
        ),
    ] {
        refused(&text, set(&text, &[]), message, hint);
    }
}

#[test]
fn every_key_refuses_a_wrong_type_by_its_path() {
    for keys in known() {
        for key in &keys.keys {
            let path = if keys.table.is_empty() {
                key.to_string()
            } else {
                format!("{}.{key}", keys.table.replace("NAME", "left"))
            };
            let base = match keys.table.starts_with("data.") {
                _ if keys.table == "source.0" || keys.table == "data.sampling" => SOURCES,
                true if keys.keys.contains(&"features") => NPY,
                true if keys.keys.contains(&"folder") => FOLDER,
                true if keys.keys.contains(&"path") => LISTED,
                true => IDX,
                false => CSV,
            };
            let text = format!("[[coupling]]\nkind = \"agreement\"\n{base}");
            refused(&path, set(&text, &[&format!("{path}=1979-05-27")]), &format!("{path}: "), "");
        }
    }
}

/// Valid configurations of every form.
fn good() -> Vec<Config> {
    let mut texts: Vec<String> = [CSV, IDX, DIGITS, NPY, FOLDER, LISTED].map(str::to_owned).into();
    for kind in [
        "kind = \"adamw\"\nbeta1 = 0.1\nbeta2 = 0.2\neps = 1e-30",
        "kind = \"adam\"\neps = 3",
        "kind = \"sgd\"",
        "kind = \"sgd\"\nmomentum = 0.1",
    ] {
        for schedule in ["constant", "cosine", "step", "step\"\ngamma = 1e-7\nstep_size = \"7s"] {
            texts.push(format!(
                "[optimizer]\n{kind}\nschedule = \"{schedule}\"\ndecay_biases = \
                 false\nlearning_rate = 0.30000000000000004\n"
            ));
        }
    }
    for data in [
        "valid = \"v.csv\"",
        "test = \"sub/../t.CSV.gz\"",
        "valid = \"v.csv\"\ntest = \"t.csv\"",
        "split = [1, 0, 0]",
        "split = [0.5, 0, 0.5]",
        "split = [0.3333333, 0.3333333, 0.3333334]\nsplit_seed = 9223372036854775807",
        "split_column = \"s\"",
        "stratify = \"right\"",
        "group = \"g \\\"\"\nsplit = [0.5, 0.5, 0]",
        "delimiter = \"\\t\"\nheader = false\nmissing = []\nrow_weight = \"w\"",
        "missing = [\"NA\", -9, \"\"]",
        "memory = \"2GB\"\nshuffle_window = 100",
        "memory = 1000",
        "valid = [\"v.parquet\", \"*.tsv\"]\ntest = \"t.svm\"",
        "ignore = [\"a\\\"b\", \"c\\\\d\", \"e\\nf\\u0001\\u007F\", \"\u{e4}\"]",
    ] {
        texts.push(format!("[data]\ntrain = \"a \\\"b\\\\'.csv\"\n{data}\n"));
    }
    for data in [
        "conllu\"\npredicate = \"upos=VERB\"\nwindow = 0",
        "bio.gz\"\ncolumns = [\"w\", \"t\"]\nshape = false\naffixes = 0",
        "txt\"\nformat = \"lines\"\ncolumns = [\"w\", \"t\"]\nmissing = \"auto\"",
    ] {
        let pool = if data.contains("predicate") { "" } else { "pool = \"mean\"\n" };
        texts.push(format!(
            "[data]\ntrain = \"x.{data}\n[feature.f]\nwindow = 0\n[task.a]\ntype = \
             \"tags\"\nscheme = \"bioes\"\n[task.b]\n{pool}"
        ));
    }
    for overlay in
        ["{}", "{ shift = 0 }", "{ seed = 3 }", "{ shift = 4, seed = 9223372036854775807 }"]
    {
        texts.push(format!(
            "[data]\ntrain = {{ images = \"i\", labels = \"l\" }}\nvalid = {{ images = \"vi\", \
             labels = \"vl\" }}\noverlay = {overlay}\n"
        ));
    }
    for scale in ["standard", "minmax", "robust", "none"] {
        texts.push(format!(
            "[feature.\"a.b \\\" \\n=\"]\nscale = \"{scale}\"\n[feature.plain]\ntype = \
             \"numeric\"\n[feature.\"\u{df}\"]\n"
        ));
    }
    for feature in [
        "type = \"category\"\nmin_count = 1",
        "max_values = 7\nmissing = [\"?\"]",
        "type = \"text\"\nngrams = 3",
        "buckets = 9\nslots = 2",
        "type = \"category\"\nembed = 0",
        "type = \"text\"\nembed = 12",
        "embed = \"auto\"",
        "type = \"binary\"",
        "type = \"date\"\nmissing = []",
        "type = \"ignore\"",
    ] {
        texts.push(format!("[feature.a]\n{feature}\n"));
    }
    for activation in ["relu", "tanh", "gelu", "silu", "identity"] {
        texts.push(format!(
            "[trunk]\nlayers = []\nactivation = \"{activation}\"\ninit = \"he\"\n[task.a]\nlayers \
             = [1]\n[task.b]\nlayers = [2, 3]\ndropout = 0.1\n"
        ));
        texts.push(format!(
            "[trunk]\ndropout = 0.9\ninit = \"xavier\"\n[task.\"z.1\"]\nlayers = \
             [1000000]\nactivation = \"{activation}\"\n[task.a-_]\nweight = 1e-9\n"
        ));
    }
    for train in [
        "max_steps = 1",
        "max_time = \"0.1h\"",
        "max_time = 1e-3",
        "batch_size = \"full\"",
        "seed = 9223372036854775807",
        "patience = 5\nlog_every = \"1s\"\ncheckpoint_every = \"1.5h\"\nkeep = 4\non_nan = \
         \"rollback\"\naccumulate = 3\nshards = 4\nprecision = \"f32-matrix\"",
        "patience = { left = 3 }\nkeep_best = \"per_task\"",
        "select = \"left.accuracy\"",
        "select = \"mean\"",
        "select = \"right.log_loss\"\nepochs = 1000000000",
    ] {
        texts.push(format!("[train]\n{train}\n"));
    }
    texts.push(
        "[task.\"mean.accuracy\"]\ngroups = { \"x y\" = [\"\\t\"], \"\u{e4}.\" = [-1, \"01\"], c \
         = [1] }\ntarget = \"t\"\n[task.9]\ntarget = \"t\"\n[train]\nselect = \
         \"mean.accuracy.log_loss\"\n[[coupling]]\nkind = \"soft_sharing\"\n[[coupling]]\nkind = \
         \"agreement\"\nstrength = 12\npairs = [[\"9\", \"mean.accuracy\"]]\n"
            .to_owned(),
    );
    texts.iter().map(|text| read(text)).collect()
}

#[test]
fn a_written_configuration_reads_back_as_the_same() {
    let configs = good();
    assert!(configs.len() >= 50);
    for config in configs {
        let text = to_toml(&config);
        let again = from_text(&text, "again", Path::new("/another/place"), &[])
            .unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(again, config, "{text}");
        assert_eq!(to_toml(&again), text, "writing is stable");
    }
}

#[test]
fn a_written_configuration_has_absolute_paths_and_only_keys_with_an_effect() {
    let mut config = read("[data]\ntrain = \"x.csv\"\nsplit = [1, 0, 0]\n[trunk]\nlayers = []\n");
    config.data.train = table("base/x.csv".into());
    let text = to_toml(&config);
    assert!(text.contains(&format!("train = \"{}\"\n", at("x.csv").display())), "{text}");
    for idle in [
        "split_seed",
        "dropout",
        "patience",
        "select",
        "momentum",
        "\ngamma",
        "pairs",
        "coupling",
        "overlay",
        "max_steps",
        "max_time",
        "groups",
    ] {
        assert!(!text.contains(idle), "{idle} has no effect:\n{text}");
    }
    let places: Vec<_> =
        ["[data]", "[trunk]", "[task.left]", "[task.right]", "[optimizer]", "[train]"]
            .iter()
            .map(|t| text.find(t).unwrap())
            .collect();
    assert!(places.is_sorted(), "the order of the contract:\n{text}");
}

/// Damages good texts byte by byte. Each is refused with one line and exit 78, or it is read and
/// then equals what is written from it.
#[test]
fn damaged_texts_never_panic() {
    let mut state = 1u64;
    let mut next = |n: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % n
    };
    let texts: Vec<String> = good().iter().map(to_toml).collect();
    let (mut read, mut refused) = (0, 0);
    for _ in 0..4000 {
        let mut bytes = texts[next(texts.len())].clone().into_bytes();
        for _ in 0..1 + next(2) {
            let i = next(bytes.len());
            match next(3) {
                0 => bytes[i] = b"0123456789.-eE\"'[]{}=, \n_ab"[next(27)],
                1 => drop(bytes.remove(i)),
                _ => bytes.insert(i, bytes[next(bytes.len())]),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        match from_text(&text, "c", Path::new("/"), &[]) {
            Ok(config) => {
                read += 1;
                assert_eq!(
                    from_text(&to_toml(&config), "again", Path::new("/"), &[]).unwrap(),
                    config,
                    "{text}"
                );
            }
            Err(error) => {
                refused += 1;
                assert_eq!(exit_of(&error), Exit::Config, "{error}");
                assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
    }
    assert!(read > 200 && refused > 200, "{read} read, {refused} refused");
}

#[test]
fn a_type_brings_the_defaults_of_its_keys_along() {
    let feature = |text: &str| read(&format!("[feature.a]\n{text}\n")).data.features.remove(0);
    let bare = Feature::new("a");
    assert_eq!(feature(""), bare);
    let of = |kind| Feature { kind: Some(kind), ..bare.clone() };
    assert_eq!(
        feature("type = \"numeric\""),
        Feature { scale: Some(Scale::Standard), clip: Some(2.0), ..of(FeatureKind::Numeric) }
    );
    let embed = |embed| Feature { embed: Some(embed), ..bare.clone() };
    let category = Feature {
        min_count: Some(2),
        max_values: Some(65536),
        embed: Some(Embed::Auto),
        ..of(FeatureKind::Category)
    };
    assert_eq!(feature("type = \"category\""), category);
    let one_hot = Feature { max_values: Some(256), embed: Some(Embed::Width(0)), ..category };
    assert_eq!(feature("type = \"category\"\nembed = 0"), one_hot);
    let text = Feature {
        min_count: Some(1),
        max_values: Some(65536),
        embed: Some(Embed::Auto),
        ..of(FeatureKind::Text)
    };
    assert_eq!(feature("type = \"text\"\nembed = \"auto\""), text);
    let hashed = Feature {
        buckets: Some(32768),
        ngrams: Some(3),
        embed: Some(Embed::Auto),
        ..of(FeatureKind::Text)
    };
    assert_eq!(feature("type = \"text\"\nngrams = 3"), hashed);
    let spread_out = Feature { max_values: Some(1024), embed: Some(Embed::Width(0)), ..text };
    assert_eq!(feature("type = \"text\"\nembed = 0"), spread_out);
    assert_eq!(
        (feature("embed = 8"), feature("embed = \"auto\"")),
        (embed(Embed::Width(8)), embed(Embed::Auto))
    );
    assert_eq!(
        feature("type = \"date\"\nmissing = [0]"),
        Feature { missing: Some(vec!["0".into()]), ..of(FeatureKind::Date) }
    );
}

#[test]
fn data_can_be_files_of_many_kinds() {
    let train = |text: &str| read(&format!("[data]\ntrain = {text}\n")).data.train;
    for name in [
        "x.CSV",
        "x.tsv",
        "x.txt",
        "x.data",
        "x.csv.gz",
        "x.parquet",
        "x.npy",
        "x.svm",
        "x.libsvm.gz",
        "part-*.csv",
    ] {
        assert_eq!(train(&format!("\"{name}\"")), table(at(name)));
    }
    assert_eq!(train("[\"a.csv\", \"b.csv\"]"), Source::Table(vec![at("a.csv"), at("b.csv")]));
    let pair = Source::Npy { features: at("x.npy"), labels: at("y.npy") };
    assert_eq!(train("{ features = \"x.npy\", labels = \"y.npy\" }"), pair);
    assert!(read("[data]\ntrain = \"x.csv\"\nsplit_column = \"s\"\n").data.has_validation());
}

#[test]
fn overlay_is_read_with_its_defaults() {
    let overlay = |text: &str| read(&format!("{IDX}overlay = {text}\n")).data.overlay;
    assert_eq!(overlay("{}"), Some(Overlay { shift: 8, seed: 0 }));
    assert_eq!(overlay("{ shift = 3, seed = 4 }"), Some(Overlay { shift: 3, seed: 4 }));
}

#[test]
fn a_configuration_is_of_bounded_size() {
    use tandem::config::read::check_length;
    let says = |text: &[u8]| check_length("c.toml", text).map_err(|fault| fault.message);
    let lines = |line: &str, count: usize| line.repeat(count).into_bytes();
    // The largest draft: one comment line per column, and one table for each of twenty thousand
    // columns.
    assert_eq!(says(&lines("# column_12345: numeric, from -1.5 to 2.5\n", 65_536)), Ok(()));
    assert_eq!(says(&lines("[feature.c12345]\ntype = \"text\"\n", 20_000)), Ok(()));
    // A delimiter after a # counts, because the # may be inside a string.
    assert!(says(&lines("#\n", 300_000)).is_err());
    assert!(
        says(&lines("1,", 299_999)).is_ok()
            && says(&lines("1,", 300_001)).unwrap_err().contains("300002 marks")
    );
    assert!(says(&[&b"a = [\"#\""[..], &lines(",1", 300_000)].concat()).is_err());
    assert!(says(&lines("a", (16 << 20) + 1)).unwrap_err().contains("too large"));
}

#[test]
fn the_configuration_names_every_coupling() {
    let kinds: Vec<&str> = tandem::objective::COUPLINGS.iter().map(|kind| kind.name()).collect();
    assert_eq!(kinds, tandem::config::COUPLING_KINDS);
}
