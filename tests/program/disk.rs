//! Tables from the cache, and tables that are larger than the memory they may take, give the same
//! numbers as tables that are read into memory.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tandem::config::Config;
use tandem::config::read::from_text;
use tandem::config::write::to_toml;
use tandem::data::load::door::{chunk_with, chunks_of, load, load_with, load_with_cache};
use tandem::data::load::route::Loading;
use tandem::data::read::chunks::Chunks;
use tandem::data::split::order::{epoch_order, windowed_order};
use tandem::data::store::table_cache::TableCache;
use tandem::data::table::raw::Raw;
use tandem::data::table::shape::CellKind;
use tandem::data::write::parquet::Writer;
use tandem::data::{Dataset, Features, Parts};
use tandem::fault::hint_of;
use tandem::model::file::Model;
use tandem::objective::Objective;
use tandem::rng::{Purpose, below, normal};
use tandem::run::apply::predict::{Format, Sheet};
use tandem::run::apply::stored::{apply, apply_to_pieces};
use tandem::run::checkpoint::Snapshot;
use tandem::run::machine::Machine;
use tandem::run::train::{Observer, Options, Outcome, Plan, Silent, WINDOW, train};
use tempfile::TempDir;

const ROWS: u64 = 400;

/// Tasks with labels of every type, features of every type, and columns with properties of rows
/// (group, weight, part).
const NET: &str = r#"
[data]
train = "rows.csv"
ignore = ["part", "g", "w"]
[feature.note]
type = "text"
buckets = 16
[trunk]
layers = [6]
[task.colour]
[task.yes]
type = "binary"
[task.price]
type = "regression"
[optimizer]
learning_rate = 1e-2
[train]
epochs = 3
batch_size = 32
"#;

fn draw(most: u64, column: u64, row: u64) -> usize {
    below(most, 3, Purpose::Synthetic, column, row) as usize
}

/// A row with blanks in features and labels, categories, dates, texts. Cells are padded with
/// spaces, which readers drop, so that files are several times as large as their contents in
/// memory.
fn line(row: u64, pad: usize) -> String {
    let x = normal(3, Purpose::Synthetic, 90, row);
    let cells = [
        if row % 9 == 4 { String::new() } else { format!("{x:.3}") },
        format!("{}", row as f64 / 8.0),
        if row % 13 == 5 { String::new() } else { format!("k{}", draw(5, 1, row)) },
        format!("2020-{:02}-{:02}", 1 + draw(12, 2, row), 1 + draw(28, 3, row)),
        format!("\"the {}, old\"", ["house", "door", "tree"][draw(3, 4, row)]),
        if row % 7 == 2 {
            String::new()
        } else {
            ["red", "green", "blue"][draw(3, 5, row)].to_owned()
        },
        if row % 11 == 6 { String::new() } else { ["no", "yes"][usize::from(x > 0.3)].to_owned() },
        if row % 5 == 1 { String::new() } else { format!("{:.2}", 3.0 * x + 1.0) },
        ["train", "train", "train", "valid", "test"][draw(5, 6, row)].to_owned(),
        format!("g{}", row % 23),
        format!("{}", 1 + draw(3, 7, row)),
    ];
    cells.map(|cell| if cell.starts_with('"') { cell } else { format!("{cell:>pad$}") }).join(",")
        + "\n"
}

const HEADER: &str = "x,number,kind,day,note,colour,yes,price,part,g,w\n";

fn rows_csv(rows: impl Iterator<Item = u64>, pad: usize) -> String {
    HEADER.to_owned() + &rows.map(|row| line(row, pad)).collect::<String>()
}

struct Room(TempDir);

impl Room {
    fn new() -> Room {
        let room = Room(tempfile::tempdir().unwrap());
        room.write("rows.csv", rows_csv(0..ROWS, 40).as_bytes());
        room
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn config(&self, overrides: &[&str]) -> Config {
        let overrides: Vec<String> = overrides.iter().map(|o| o.to_string()).collect();
        from_text(NET, "net.toml", self.0.path(), &overrides)
            .unwrap_or_else(|e| panic!("{overrides:?}: {e}"))
    }

    /// A cache of this room, which keeps every table.
    fn entries(&self) -> TableCache {
        TableCache { directory: self.path("cache"), least: 0, most: 1 << 30 }
    }

    fn cached(&self, overrides: &[&str]) -> Parts {
        let config = self.config(overrides);
        load_with_cache(
            &config.data,
            &config.tasks,
            &Loading { cache: Some(self.entries()), ..Loading::default() },
        )
        .unwrap()
    }

    fn plain(&self, overrides: &[&str]) -> Parts {
        let config = self.config(overrides);
        load(&config.data, &config.tasks).unwrap()
    }

    /// The names of the entries in the cache.
    fn kept(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.path("cache")).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn refused(&self, overrides: &[&str], words: &[&str]) {
        let config = self.config(overrides);
        let error = load(&config.data, &config.tasks).unwrap_err();
        let text =
            format!("{error} | {}", hint_of(&error).unwrap_or_else(|| panic!("no hint: {error}")));
        words.iter().for_each(|word| assert!(text.contains(word), "{word}: {text}"));
    }
}

/// Budgets of memory: all contents of the padded table fit into a quarter of the first, and about a
/// tenth fits into a quarter of the second.
const WHOLE: &str = "data.memory=400KB";
const SMALL: &str = "data.memory=20KB";

fn words(data: &Dataset) -> Vec<u32> {
    match &data.features {
        Features::F32(values) => values.iter().map(|x| x.to_bits()).collect(),
        Features::Cells { values: words, .. } => words.clone(),
        Features::Stored(stored) => stored.fetch(0..data.rows).unwrap(),
        Features::U8 { .. } => unreachable!(),
    }
}

/// Asserts that all rows of all parts, the schema and the hashes are equal.
fn same(one: &Parts, two: &Parts) {
    assert_eq!(one.schema, two.schema);
    assert_eq!(one.hashes, two.hashes);
    let all = |parts: &Parts| [Some(parts.train.clone()), parts.valid.clone(), parts.test.clone()];
    for (one, two) in all(one).into_iter().zip(all(two)) {
        assert_eq!(one.is_some(), two.is_some());
        let (Some(one), Some(two)) = (one, two) else { continue };
        assert_eq!(
            (one.rows, one.width(), &one.labels, &one.weights),
            (two.rows, two.width(), &two.labels, &two.weights)
        );
        assert!(words(&one) == words(&two), "features differ");
    }
}

fn is_cached(parts: &Parts) -> bool {
    parts.notices.iter().any(|notice| notice.contains("from the cache"))
}

fn trained(config: Config, parts: Parts, streamed: Option<u64>) -> (Vec<u32>, Outcome) {
    let plan = Plan::new(config, parts).unwrap();
    let options = Options { streamed, steps_per_submission: Some(3), ..Options::default() };
    let outcome = train(&plan, Machine::Reference, options, &mut Silent).unwrap();
    (outcome.best.iter().chain(&outcome.last).map(|x| x.to_bits()).collect(), outcome)
}

#[test]
fn a_cached_table_equals_the_table_that_was_read() {
    let room = Room::new();
    for overrides in [
        &[][..],
        &["data.row_weight=w", "data.ignore=[\"part\", \"g\"]"],
        &["data.split=[1.0, 0.0, 0.0]"],
    ] {
        let (plain, first, second) =
            (room.plain(overrides), room.cached(overrides), room.cached(overrides));
        assert!(!is_cached(&plain) && !is_cached(&first) && is_cached(&second));
        same(&plain, &first);
        same(&plain, &second);
        let [plain, second] =
            [plain, second].map(|parts| trained(room.config(overrides), parts, None).0);
        assert!(plain == second, "another model");
    }
}

#[test]
fn every_setting_that_changes_rows_changes_the_cache_entry() {
    let room = Room::new();
    let mut kept = BTreeSet::new();
    let others: [&[&str]; 9] = [
        &[],
        &["data.split_seed=1"],
        &["data.split=[0.5, 0.5, 0.0]"],
        &["feature.number.scale=minmax"],
        &["data.missing=[\"\", \"k1\"]"],
        &[
            "task.price.type=count",
            "data.ignore=[\"part\", \"g\", \"w\", \"price\"]",
            "task.price.target=number",
        ],
        &["task.yes.positive=no"],
        &["data.folds=3", "data.fold=1"],
        &["data.folds=3", "data.fold=2"],
    ];
    for overrides in others.into_iter().filter(|o| !o.contains(&"task.price.type=count")) {
        assert!(!is_cached(&room.cached(overrides)), "{overrides:?}");
        let now = room.kept();
        assert_eq!(now.len(), kept.len() + 1, "{overrides:?}");
        kept = now;
    }
    for overrides in [
        &["trunk.layers=[3, 3]"][..],
        &["task.price.weight=2.0", "task.price.loss=huber"],
        &["train.seed=4", "task.yes.layers=[2]"],
    ] {
        assert!(is_cached(&room.cached(overrides)), "{overrides:?}");
    }
    // A file of the same name with one other cell, and the same contents under another path.
    room.write("rows.csv", rows_csv(0..ROWS, 40).replace("k1", "k9").as_bytes());
    assert!(!is_cached(&room.cached(&[])));
    fs::create_dir(room.path("moved")).unwrap();
    fs::copy(room.path("rows.csv"), room.path("moved/rows.csv")).unwrap();
    let moved = room.cached(&["data.train=moved/rows.csv"]);
    assert!(
        is_cached(&moved) && moved.hashes[0].0.ends_with("moved/rows.csv"),
        "{:?}",
        moved.hashes
    );
}

#[test]
fn a_damaged_cache_entry_is_replaced() {
    let room = Room::new();
    let plain = room.plain(&[]);
    room.cached(&[]);
    let entry = room.path("cache").join(room.kept().pop_first().unwrap());
    let harm: [&dyn Fn(); 7] = [
        &|| flip(&entry.join("train"), 100),
        &|| flip(&entry.join("valid"), 8),
        &|| flip(&entry.join("meta"), 200),
        &|| flip(&entry.join("meta"), 3),
        &|| fs::write(entry.join("test"), b"").unwrap(),
        &|| fs::remove_file(entry.join("meta")).unwrap(),
        &|| fs::remove_file(entry.join("train")).unwrap(),
    ];
    for (number, harm) in harm.iter().enumerate() {
        harm();
        let parts = room.cached(&[]);
        assert!(!is_cached(&parts), "harm {number} was not noticed");
        same(&plain, &parts);
        assert!(is_cached(&room.cached(&[])), "harm {number} was not repaired");
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn the_cache_keeps_to_its_limit_and_keeps_the_entries_used_last() {
    let room = Room::new();
    let load = |seed: usize, most: u64| {
        let config = room.config(&[&format!("data.split_seed={seed}")]);
        let entries = TableCache { most, ..room.entries() };
        load_with_cache(
            &config.data,
            &config.tasks,
            &Loading { cache: Some(entries), ..Loading::default() },
        )
        .unwrap()
    };
    (0..3).for_each(|seed| drop(load(seed, 1 << 30)));
    assert_eq!(room.kept().len(), 3);
    let size = fs::read_dir(room.path("cache"))
        .unwrap()
        .map(|entry| folder_size(&entry.unwrap().path()))
        .max()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert!(is_cached(&load(0, 1 << 30)), "used");
    load(3, 2 * size + size / 2);
    assert_eq!(room.kept().len(), 2);
    assert!(is_cached(&load(0, 1 << 30)) && is_cached(&load(3, 1 << 30)), "those used last stay");
    load(4, 1);
    assert_eq!(room.kept().len(), 1);
    // The cache directory is a file, so nothing can be written there; the data that is read is the
    // same.
    let config = room.config(&[]);
    let entries = TableCache { directory: room.path("rows.csv"), least: 0, most: 1 };
    same(
        &room.plain(&[]),
        &load_with_cache(
            &config.data,
            &config.tasks,
            &Loading { cache: Some(entries), ..Loading::default() },
        )
        .unwrap(),
    );
    // Small tables are not kept.
    let entries = TableCache { least: 1 << 20, ..room.entries() };
    load_with_cache(
        &config.data,
        &config.tasks,
        &Loading { cache: Some(entries), ..Loading::default() },
    )
    .unwrap();
    assert_eq!(room.kept().len(), 1);
}

fn folder_size(folder: &Path) -> u64 {
    fs::read_dir(folder).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn windows_are_shuffled_and_so_are_the_rows_inside() {
    for (rows, window) in [(100, 7), (64, 16), (5, 1), (9, 8), (1, 1)] {
        let order = windowed_order(rows, 3, 5, window);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..rows as u32).collect::<Vec<_>>());
        let mut windows: Vec<u32> = order.iter().map(|row| row / window as u32).collect();
        windows.dedup();
        assert_eq!(
            windows.len(),
            rows.div_ceil(window),
            "each window is visited once: {windows:?}"
        );
    }
    let order = |seed, epoch| windowed_order(1000, seed, epoch, 50);
    assert_eq!(order(1, 2), order(1, 2));
    assert_ne!(order(1, 2), order(1, 3));
    assert_ne!(order(1, 2), order(2, 2));
    let first: Vec<u32> = order(1, 2).into_iter().step_by(50).map(|row| row / 50).collect();
    assert_ne!(first, (0..20).collect::<Vec<u32>>(), "windows are in order");
    let inside: BTreeSet<Vec<u32>> =
        order(1, 2).chunks(50).map(|rows| rows.iter().map(|row| row % 50).collect()).collect();
    assert_eq!(inside.len(), 20, "two windows are shuffled alike");
    for window in [1000, 1001, usize::MAX] {
        assert_eq!(
            windowed_order(1000, 1, 2, window),
            epoch_order(1000, 1, 2),
            "a window of all rows is none"
        );
    }
}

/// Splits of every kind, several files, files of their own.
const SPLITS: [&[&str]; 8] = [
    &[],
    &["data.split=[1.0, 0.0, 0.0]"],
    &["data.split_column=part", "data.ignore=[\"g\", \"w\"]"],
    &["data.stratify=colour"],
    &["data.group=g", "data.ignore=[\"part\", \"w\"]"],
    &["data.folds=3", "data.fold=2"],
    &[
        "data.row_weight=w",
        "data.ignore=[\"part\", \"g\"]",
        "data.valid=more.csv",
        "data.split=[0.8, 0.0, 0.2]",
    ],
    &[
        "data.train=[\"rows.csv\", \"more.csv\"]",
        "data.test=more.csv",
        "data.split=[0.7, 0.3, 0.0]",
    ],
];

#[test]
fn a_table_on_disk_has_the_same_rows_as_in_memory() {
    let room = Room::new();
    room.write("more.csv", rows_csv(1000..1100, 40).as_bytes());
    for overrides in SPLITS {
        let plain = room.plain(overrides);
        let stored = room.plain(&[overrides, &["data.memory=600KB"]].concat());
        assert!(plain.train.stored().is_none() && stored.train.stored().is_some(), "{overrides:?}");
        same(&plain, &stored);
        let sampled = |notice: &&String| notice.contains("sample");
        assert_eq!(stored.notices.iter().find(sampled), None, "{overrides:?}");
        assert_eq!(plain.notices[..], stored.notices[..plain.notices.len()]);
        assert!(
            stored.notices.last().unwrap().contains("larger than data.memory"),
            "{:?}",
            stored.notices
        );
    }
}

#[test]
fn training_from_disk_equals_training_in_memory_with_the_same_window() {
    let room = Room::new();
    for extra in
        [&[][..], &["train.accumulate=3"], &["data.row_weight=w", "data.ignore=[\"part\", \"g\"]"]]
    {
        let window = [extra, &["data.shuffle_window=48"]].concat();
        let (memory, outcome) = trained(room.config(&window), room.plain(&window), None);
        let streamed = [&window[..], &[WHOLE]].concat();
        let parts = room.plain(&streamed);
        assert_eq!(parts.train.stored().map(|stored| stored.window), Some(48));
        let (disk, other) = trained(room.config(&streamed), parts, Some(WINDOW));
        assert!(memory == disk, "{extra:?}: another model");
        assert_eq!(
            outcome.test.map(|point| (point.loss, point.tasks)),
            other.test.map(|point| (point.loss, point.tasks))
        );
        let (whole, _) = trained(room.config(extra), room.plain(extra), None);
        assert!(whole != memory, "{extra:?}: the window has no effect");
    }
    // Full batches are not shuffled, so a window has no effect.
    let full = ["train.batch_size=full", WHOLE];
    let parts = room.plain(&full);
    assert!(parts.train.stored().is_some());
    let plan = Plan::new(room.config(&full), parts.clone()).unwrap();
    assert_eq!(plan.config.data.shuffle_window, None);
    assert!(
        trained(room.config(&full[..1]), room.plain(&full[..1]), None).0
            == trained(room.config(&full), parts, Some(WINDOW)).0
    );
}

#[test]
fn the_window_that_memory_decided_is_written_to_the_run() {
    let room = Room::new();
    let config = room.config(&[SMALL]);
    let parts = load(&config.data, &config.tasks).unwrap();
    let stored = parts.train.stored().unwrap();
    assert!(
        stored.window < stored.rows && stored.window * stored.slots * 4 <= 5_000,
        "{} of {}",
        stored.window,
        stored.rows
    );
    let plan = Plan::new(config, parts.clone()).unwrap();
    let text = to_toml(&plan.config);
    assert!(
        text.contains("\nmemory = 20000\n")
            && text.contains(&format!("\nshuffle_window = {}\n", stored.window)),
        "{text}"
    );
    let again = from_text(&text, "config.toml", Path::new("/"), &[]).unwrap();
    assert_eq!(again, plan.config);
    let reread = load(&again.data, &again.tasks).unwrap();
    same(&parts, &reread);
    assert!(trained(plan.config, parts, Some(WINDOW)).0 == trained(again, reread, Some(WINDOW)).0);
}

/// Keeps the snapshots of a run.
#[derive(Default)]
struct Tape(Vec<Arc<Snapshot>>);

impl Observer for Tape {
    fn wants_checkpoints(&self) -> bool {
        true
    }

    fn checkpoint(&mut self, snapshot: &Arc<Snapshot>) -> anyhow::Result<()> {
        self.0.push(Arc::clone(snapshot));
        Ok(())
    }
}

#[test]
fn a_run_on_disk_goes_on_within_an_epoch() {
    let room = Room::new();
    let overrides = [SMALL, "train.checkpoint_every=4s"];
    let plan = Plan::new(room.config(&overrides), room.plain(&overrides)).unwrap();
    let mut tape = Tape::default();
    let whole = train(
        &plan,
        Machine::Reference,
        Options { streamed: Some(WINDOW), ..Options::default() },
        &mut tape,
    )
    .unwrap();
    let from = tape
        .0
        .iter()
        .find(|s| s.steps % plan.steps_per_epoch != 0 && s.steps > plan.steps_per_epoch)
        .expect("in the middle");
    let options =
        Options { streamed: Some(WINDOW), resume: Some((**from).clone()), ..Options::default() };
    let plan = Plan::new(room.config(&overrides), room.plain(&overrides)).unwrap();
    let rest = train(&plan, Machine::Reference, options, &mut Silent).unwrap();
    assert!(whole.last == rest.last && whole.best == rest.best);
}

#[test]
fn a_table_on_disk_has_an_entry_and_without_a_cache_goes_when_it_is_not_needed() {
    let room = Room::new();
    let overrides = [SMALL];
    let (first, second) = (room.cached(&overrides), room.cached(&overrides));
    assert!(!is_cached(&first) && is_cached(&second) && second.train.stored().is_some());
    same(&first, &second);
    assert!(
        !is_cached(&room.cached(&["data.memory=30KB"])),
        "another budget may be another sample"
    );
    let entry = room.path("cache").join(room.kept().pop_first().unwrap());
    flip(&entry.join("train"), 40);
    let left: Vec<bool> = (0..2)
        .map(|_| {
            is_cached(&room.cached(&overrides)) && is_cached(&room.cached(&["data.memory=30KB"]))
        })
        .collect();
    assert!(left[1], "made again");
}

#[test]
fn features_are_fitted_on_a_sample_and_classes_on_all_rows() {
    let room = Room::new();
    let mut text = rows_csv(0..ROWS, 40);
    for row in ["1.5", "-2.5"] {
        let _ = writeln!(text, "{row},1,never seen,2020-01-01,a note,violet,yes,1,train,g1,1");
    }
    room.write("rows.csv", text.as_bytes());
    let overrides = ["data.split=[1.0, 0.0, 0.0]", SMALL, "feature.kind.min_count=1"];
    let parts = room.plain(&overrides);
    let notice =
        parts.notices.iter().find(|notice| notice.contains("sample")).expect("the sample is said");
    let numbers: Vec<usize> = notice.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(numbers[0] > 20 && numbers[0] < 200 && numbers[1] == 402, "{notice}");
    assert!(
        parts.schema.targets[0].classes.contains(&"violet".to_owned()),
        "{:?}",
        parts.schema.targets[0].classes
    );
    let whole = room.plain(&overrides[..1]);
    assert_eq!(parts.schema.targets, whole.schema.targets);
    assert_ne!(parts.schema.input, whole.schema.input);
    assert_eq!(parts.train.labels, whole.train.labels);
    same(&parts, &room.plain(&overrides));
    trained(room.config(&overrides), parts, Some(WINDOW));
}

#[test]
fn faults_in_late_rows_are_found_with_their_line() {
    let room = Room::new();
    let whole = rows_csv(0..ROWS, 40);
    let lines: Vec<&str> = whole.lines().collect();
    let with = |cells: &str| {
        let mut lines = lines.clone();
        lines[390] = cells;
        // A quoted line break, so that the numbers of lines and rows differ.
        lines.insert(3, "1,1,k1,2020-01-01,\"two\nlines\",red,no,1,train,g1,1");
        room.write("rows.csv", (lines.join("\n") + "\n").as_bytes());
    };
    with("1,3O,k1,2020-01-01,a,red,no,1,train,g1,1");
    for memory in [SMALL, WHOLE] {
        room.refused(&[memory], &["rows.csv:393", "column \"number\"", "\"3O\" is not a number"]);
    }
    with("1,3,k1,2020-01-01,a,red,maybe,1,train,g1,1");
    room.refused(&[SMALL], &["3 labels, a binary task has two"]);
    with("1,3,k1,2020-01-01,a,red,no,many,train,g1,1");
    room.refused(
        &[SMALL],
        &["rows.csv:393", "column \"price\"", "\"many\" is not a finite number"],
    );
    with("1,3,k1,2020-01-01,a,red,no,1,train,g1");
    room.refused(&[SMALL], &["rows.csv:393", "10 cells, the header has 11"]);
    with("1,3,k1,2020-01-01,a,red,no,1,nowhere,g1,1");
    room.refused(
        &[SMALL, "data.split_column=part", "data.ignore=[\"g\", \"w\"]"],
        &["rows.csv:393", "names no part"],
    );
    room.refused(&[SMALL, "data.row_weight=none"], &["no column \"none\""]);
    room.write("more.csv", b"x,other\n1,2\n");
    room.refused(
        &[SMALL, "data.train=[\"rows.csv\", \"more.csv\"]"],
        &["more.csv", "column 2 is \"other\""],
    );
}

#[test]
fn a_window_that_does_not_fit_is_refused() {
    let room = Room::new();
    room.refused(
        &[SMALL, "data.shuffle_window=300"],
        &["data.shuffle_window", "a quarter of data.memory", "at most"],
    );
    let long = "word ".repeat(500);
    room.write(
        "long.csv",
        (HEADER.to_owned()
            + &(0..40).map(|row| line(row, 0).replace("the", &long)).collect::<String>())
            .as_bytes(),
    );
    room.refused(&["data.train=long.csv", "data.memory=4KB"], &["data.memory", "no training row"]);
    let error = |spec: &[&str]| {
        let overrides: Vec<String> = spec.iter().map(|o| o.to_string()).collect();
        from_text(NET, "net.toml", room.0.path(), &overrides).unwrap_err().to_string()
    };
    assert!(error(&["data.shuffle_window=10", "train.batch_size=full"]).contains("has no effect"));
    for wrong in ["0", "1", "\"2 GB\"", "\"2XB\"", "\"-1GB\"", "true", "\"\"", "\"GB\"", "2.5"] {
        assert!(error(&[&format!("data.memory={wrong}")]).contains("must be a size"), "{wrong}");
    }
    for (text, bytes) in [("\"2GB\"", 2_000_000_000), ("\"1.5MB\"", 1_500_000), ("4096", 4096)] {
        assert_eq!(room.config(&[&format!("data.memory={text}")]).data.memory, Some(bytes));
    }
    let images = "[data]\ntrain = { images = \"i\", labels = \"l\" }\nmemory = \"1GB\"\n[task.t]\n";
    assert!(
        from_text(images, "images.toml", room.0.path(), &[])
            .unwrap_err()
            .to_string()
            .contains("data.memory")
    );
}

/// Joins all chunks of some files.
fn in_chunks(paths: &[PathBuf], bytes: u64) -> (Raw, usize) {
    let source = tandem::config::Source::Table(paths.to_vec());
    let (mut whole, mut count): (Option<Raw>, usize) = (None, 0);
    for chunk in
        Chunks::new(&source, &tandem::data::table::options::Options::default(), bytes).unwrap()
    {
        let chunk = chunk.unwrap();
        count += 1;
        match &mut whole {
            Some(whole) => whole.append(chunk).unwrap(),
            None => whole = Some(chunk),
        }
    }
    (whole.unwrap(), count)
}

fn equal(one: &Raw, two: &Raw) {
    assert_eq!((&one.names, one.rows, &one.place), (&two.names, two.rows, &two.place));
    for row in 0..one.rows {
        assert_eq!(one.locate(row), two.locate(row));
        (0..one.names.len()).for_each(|at| {
            assert_eq!(one.cell(row, at), two.cell(row, at), "row {row}, column {at}")
        });
    }
}

#[test]
fn chunks_of_a_file_add_up_to_the_file() {
    let room = Room::new();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&fs::read(room.path("rows.csv")).unwrap()).unwrap();
    room.write("rows.csv.gz", &packed.finish().unwrap());
    room.write("odd.csv", b"\n\na;b\r\n1;\"x\r\ny\"\r\n\r\n2;z\r\n3;\" \"\"q\"\" \"");
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (50, 3), }";
    let mut npy =
        [b"\x93NUMPY\x01\x00", &(118u16).to_le_bytes()[..], format!("{header:<117}\n").as_bytes()]
            .concat();
    (0..150).for_each(|i| npy.extend((i as f32 / 4.0).to_le_bytes()));
    room.write("x.npy", &npy);
    let fixture =
        |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    for (path, bytes, least) in [
        (room.path("rows.csv"), 3000, 20),
        (room.path("rows.csv"), u64::MAX, 1),
        (room.path("rows.csv.gz"), 3000, 20),
        (room.path("odd.csv"), 1, 3),
        (room.path("x.npy"), 100, 7),
        (fixture("snappy.parquet"), 1, 2),
        (fixture("gzip_v2.parquet"), 1, 1),
        (fixture("encodings.parquet"), 1, 1),
    ] {
        let (chunks, count) = in_chunks(std::slice::from_ref(&path), bytes);
        assert!(count >= least, "{}: {count} chunks", path.display());
        equal(
            &tandem::data::read::read(
                std::slice::from_ref(&path),
                &tandem::data::table::options::Options::default(),
            )
            .unwrap(),
            &chunks,
        );
    }
    room.write("more.csv", rows_csv(1000..1005, 0).as_bytes());
    let paths = [room.path("rows.csv"), room.path("more.csv")];
    equal(
        &tandem::data::read::read(&paths, &tandem::data::table::options::Options::default())
            .unwrap(),
        &in_chunks(&paths, 5000).0,
    );
}

/// A file that is larger than `memory`, while its contents fit into the sample that columns are
/// fitted on.
fn from_format(room: &Room, source: &str, memory: &str, net: &str) {
    let config =
        |overrides: &[String]| from_text(net, "net.toml", room.0.path(), overrides).unwrap();
    let source = format!("data.train={source}");
    let (memory, disk) =
        (config(std::slice::from_ref(&source)), config(&[source, memory.to_owned()]));
    let [plain, stored] = [&memory, &disk].map(|config| load(&config.data, &config.tasks).unwrap());
    assert!(stored.train.stored().is_some(), "{:?}", stored.notices);
    assert!(!stored.notices.iter().any(|notice| notice.contains("sample")), "{:?}", stored.notices);
    same(&plain, &stored);
}

#[test]
fn gzip_parquet_and_arrays_go_to_disk_too() {
    let room = Room::new();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    packed.write_all(&fs::read(room.path("rows.csv")).unwrap()).unwrap();
    room.write("rows.csv.gz", &packed.finish().unwrap());
    from_format(&room, "rows.csv.gz", WHOLE, NET);
    let columns = [("a", CellKind::Numbers), ("t", CellKind::Text)]
        .map(|(name, kind)| (name.to_owned(), kind));
    let mut writer =
        Writer::new(fs::File::create(room.path("p.parquet")).unwrap(), columns.to_vec()).unwrap();
    for row in 0..70_000u64 {
        writer.number(
            0,
            if row % 10 == 3 { f64::NAN } else { normal(1, Purpose::Synthetic, 0, row) },
        );
        writer.text(1, ["u", "v"][draw(2, 1, row)]);
        writer.end_row().unwrap();
    }
    writer.finish().unwrap();
    from_format(&room, "p.parquet", "data.memory=6MB", "[data]\ntrain = \"x.csv\"\n[task.t]\n");
    let array = |name: &str, kind: &str, shape: &str, values: Vec<u8>| {
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
        let head = [
            b"\x93NUMPY\x01\x00",
            &(118u16).to_le_bytes()[..],
            format!("{header:<117}\n").as_bytes(),
        ]
        .concat();
        room.write(name, &[head, values].concat());
    };
    array(
        "x.npy",
        "<f8",
        "500, 4",
        (0..2000).flat_map(|i| normal(1, Purpose::Synthetic, 5, i).to_le_bytes()).collect(),
    );
    array(
        "y.npy",
        "<i8",
        "500,",
        (0..500).flat_map(|i| (draw(3, 8, i) as i64).to_le_bytes()).collect(),
    );
    from_format(
        &room,
        "{ features = \"x.npy\", labels = \"y.npy\" }",
        "data.memory=80KB",
        "[data]\ntrain = \"x.csv\"\n[task.y]\n",
    );
    // A format that can only be read as a whole is read so, and a notice says it.
    let svm: String = (0..300u64).map(|row| format!("{} 1:{} 2:0.5\n", row % 2, row)).collect();
    room.write("rows.svm", svm.as_bytes());
    let text = "[data]\ntrain = \"rows.svm\"\nmemory = \"2KB\"\n[task.label]\n";
    let config = from_text(text, "net.toml", room.0.path(), &[]).unwrap();
    let parts = load(&config.data, &config.tasks).unwrap();
    assert!(parts.train.stored().is_none());
    assert!(
        parts.notices.iter().any(|notice| notice.contains("read as a whole")),
        "{:?}",
        parts.notices
    );
}

#[test]
fn predictions_in_chunks_equal_those_of_the_whole_table() {
    let room = Room::new();
    let plan = Plan::new(room.config(&[]), room.plain(&[])).unwrap();
    let parameters =
        train(&plan, Machine::Reference, Options::default(), &mut Silent).unwrap().best;
    let (network, layout, schema) =
        (plan.network.clone(), plan.layout.clone(), plan.parts.schema.clone());
    let model = Model { network, layout, schema, parameters, directory: PathBuf::new() };
    let file = room.path("rows.csv");
    for format in [Format::Csv, Format::Jsonl, Format::Parquet] {
        let [whole, parts] = [u64::MAX, 7000].map(|bytes| {
            let mut chunks =
                chunks_of(&model.schema, file.to_str().unwrap(), bytes).unwrap().unwrap();
            let mut next =
                || chunks.next().map(|chunk| chunk_with(&model.schema, chunk.unwrap()).unwrap());
            let mut data = next();
            let mut applied =
                apply_to_pieces(&model, data.as_ref().unwrap(), Machine::Reference).unwrap();
            let path = room.path("out");
            let mut sheet = Sheet::new(
                fs::File::create(&path).unwrap(),
                &model,
                data.as_ref().unwrap(),
                format,
                true,
            )
            .unwrap();
            let mut count = 0;
            while let Some(rows) = data {
                let measured = applied
                    .evaluate_pieces(&model.network, &Objective::plain(&model.network), &rows)
                    .unwrap();
                sheet.add(&rows, &measured.logits).unwrap();
                (data, count) = (next(), count + 1);
            }
            assert_eq!((sheet.rows, count > 5), (ROWS as usize, bytes < u64::MAX));
            sheet.finish().unwrap();
            fs::read(path).unwrap()
        });
        assert!(whole == parts, "{format:?}");
        // Data that is copied to the device at once.
        if format == Format::Csv {
            let (data, _) = load_with(&model.schema, file.to_str().unwrap(), false).unwrap();
            let logits = apply(&model, &data, Machine::Reference)
                .unwrap()
                .evaluate(&model.network, &Objective::plain(&model.network))
                .unwrap()
                .logits;
            let mut text = Vec::new();
            let mut sheet = Sheet::new(&mut text, &model, &data, format, true).unwrap();
            sheet.add(&data, &logits).unwrap();
            sheet.finish().unwrap();
            assert!(text == whole);
        }
    }
}

/// Runs the program as a user does: exit code, stdout, stderr.
fn program(room: &Room, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command
        .args(arguments)
        .args(["--device", "reference"])
        .current_dir(room.0.path())
        .env("TANDEM_CACHE_DIR", room.path("user"));
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn model(room: &Room, run: &str) -> Vec<u8> {
    fs::read(room.path(run).join("model/model.safetensors")).unwrap()
}

#[test]
fn the_program_says_where_the_rows_are() {
    let room = Room::new();
    room.write("net.toml", NET.as_bytes());
    let run = |out: &str, more: &[&str]| {
        let (code, _, err) =
            program(&room, &[&["train", "net.toml", "--out", out][..], more].concat());
        assert_eq!(code, Some(0), "{err}");
        err
    };
    let small = ["--set", "data.memory=20KB"];
    let first = run("one", &small);
    assert!(
        first.contains("larger than data.memory")
            && first.contains("fitted on a sample")
            && !first.contains("cache"),
        "{first}"
    );
    let config = fs::read_to_string(room.path("one/config.toml")).unwrap();
    assert!(config.contains("memory = 20000") && config.contains("shuffle_window = "), "{config}");
    // From the configuration that the run wrote, and when it goes on.
    let (code, _, err) = program(&room, &["train", "one/config.toml", "--out", "two"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(model(&room, "one") == model(&room, "two"));
    let (code, _, err) = program(&room, &["train", "--resume", "two", "--epochs", "4"]);
    assert_eq!(code, Some(0), "{err}");
    let four = run("four", &[&small[..], &["--epochs", "4"]].concat());
    assert!(model(&room, "two") == model(&room, "four"), "{four}");
    let (code, _, err) =
        program(&room, &["train", "--resume", "two", "--set", "data.shuffle_window=7"]);
    assert!(code == Some(78) && err.contains("data.shuffle_window"), "{err}");
    // Small tables leave nothing behind.
    assert!(fs::read_dir(room.path("user/data")).map_or(0, |entries| entries.count()) == 0);
    // A table that is large enough is kept in the cache, unless `--data-cache off` is given.
    room.write("rows.csv", rows_csv(0..60_000, 12).as_bytes());
    let short = ["--max-steps", "3"];
    let off = run("off", &[&short[..], &["--data-cache", "off"]].concat());
    let (fresh, again) = (run("fresh", &short), run("again", &short));
    assert!(
        !off.contains("cache")
            && !fresh.contains("cache")
            && again.contains("taken from the cache"),
        "{again}"
    );
    assert!(
        model(&room, "off") == model(&room, "fresh")
            && model(&room, "off") == model(&room, "again")
    );
}
