//! Invariants of every reader, whatever bytes it is given: one function per target of `fuzz/`. The
//! fuzzers call them with new inputs, the tests with the inputs in `fuzz/corpus`. A refusal must be
//! a fault with the right exit code and a hint, one line each; an accepted input must be read
//! completely.

use std::fs;
use std::path::{Path, PathBuf};

use super::config::read::from_text;
use super::config::write::to_toml;
use super::config::{Overlay, Scale, Sentences, Written};
use super::data::encode::tags::span;
use super::data::images::decode::{self, Shape};
use super::data::images::{idx as images, overlay};
use super::data::read::{
    bytes, conll as sentences, npy as arrays, parquet as columns, svmlight as sparse, text as lines,
};
use super::data::table::options::{Header, Options};
use super::data::table::raw::Raw;
use super::data::{Column, Encoding, Input, Part, Schema, Target};
use super::fault::{Exit, exit_of, hint_of};
use super::model::arena::Numbers;
use super::model::file::{self, Model, contents};
use super::model::layout::Layout;
use super::model::network::{Head, Network, Trunk};
use super::run::checkpoint::disk::Disk;
use super::run::checkpoint::{Best, Context, Snapshot, changes, load, write};
use super::run::train::sums::Sums;

/// Returns what was read, or `None` after it has checked that a refusal is as it should be.
fn accepted<T>(result: anyhow::Result<T>, exits: &[Exit]) -> Option<T> {
    let error = match result {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    let message = format!("{error:#}");
    assert!(exits.contains(&exit_of(&error)), "{message}");
    assert!(message.len() < 2000, "{message}");
    let hint = hint_of(&error).expect("no hint");
    assert!(!message.chars().chain(hint.chars()).any(char::is_control), "{message:?} {hint:?}");
    None
}

// ---- tables ----

/// Checks that a table is rectangular and that each of its cells can be read.
pub fn table(result: anyhow::Result<Raw>) -> Option<Raw> {
    let table = accepted(result, &[Exit::Data, Exit::NoInput])?;
    assert_eq!(table.columns.len(), table.names.len());
    assert!(table.columns.iter().all(|column| column.len() == table.rows));
    for row in [0, table.rows - 1] {
        assert!(
            (0..table.names.len())
                .all(|column| table.cell(row, column).trim() == table.cell(row, column))
        );
        assert!(!table.locate(row).is_empty());
    }
    Some(table)
}

/// Reads a table with a header and an unknown delimiter; then without a header and with a given
/// delimiter, where windows of 64 bytes must give the same as one window.
pub fn text(bytes: &[u8]) {
    let size = bytes.len() as u64;
    table(lines::read(bytes, "x", size, &Options::default()));
    let bare = Options { delimiter: Some(b','), header: Header::None, ..Options::default() };
    let [whole, pieces] = [size, 1].map(|size| table(lines::read(bytes, "x", size, &bare)));
    assert_eq!(whole.is_some(), pieces.is_some());
    if let (Some(whole), Some(pieces)) = (whole, pieces) {
        assert_eq!(whole.columns, pieces.columns);
        assert_eq!(whole.locate(whole.rows - 1), pieces.locate(pieces.rows - 1));
    }
}

/// Reads an array of one or two dimensions.
pub fn npy(bytes: &[u8]) {
    table(arrays::read(bytes, "x", bytes.len() as u64, "x"));
}

/// Reads lines of labels and indices.
pub fn svmlight(bytes: &[u8]) {
    table(sparse::read_from(bytes, "x", bytes.len() as u64));
}

/// Reads sentences; the first byte of the input says how they are written. Every row must know its
/// place in its sentence, and windows of a few bytes must give the same as one window.
pub fn conll(input: &[u8]) {
    let Some((&how, bytes)) = input.split_first() else { return };
    let by_name = |name: &str| Sentences::by_name(name).expect("a known ending");
    let named = |columns: &[&str], predicate: Option<&str>| Sentences {
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        word: columns[0].to_owned(),
        predicate: predicate.map(str::to_owned),
        ..by_name("x.conll")
    };
    let sentences = match how {
        b'0' => by_name("x.conllu"),
        b'1' => by_name("x.conll"),
        b'2' => named(&["word", "tag"], None),
        b'3' => Sentences { format: Written::Lines, ..named(&["word", "tag", "label"], None) },
        b'4' => Sentences { predicate: Some("upos=VERB".into()), ..by_name("x.conllu") },
        _ => named(&["word", "predicate"], Some("predicate")),
    };
    let options = Options { sentences: Some(sentences), ..Options::default() };
    let size = bytes.len() as u64;
    let [whole, pieces] =
        [size, 1].map(|size| table(sentences::read_from(bytes, "x", size, &options)));
    assert_eq!(whole.is_some(), pieces.is_some());
    if let (Some(whole), Some(pieces)) = (whole, pieces) {
        assert_eq!((&whole.names, &whole.columns), (&pieces.names, &pieces.columns));
        let mut row = 0;
        while row < whole.rows {
            let (before, behind) = span(&whole, row).expect("a place");
            assert_eq!(before, 0);
            let next = |at: usize| span(&whole, row + at) == Some((at, behind - at));
            assert!((0..=behind).all(next), "row {row}");
            row += behind + 1;
        }
        assert_eq!(row, whole.rows);
    }
}

/// Reads row groups of pages.
pub fn parquet(bytes: &[u8]) {
    table(columns::read(bytes, "x"));
}

// ---- images ----

/// Reads IDX files of images and of labels; the first byte of the input says how many bytes at its
/// end are the labels' file.
pub fn idx(input: &[u8]) {
    let Some((&labels, rest)) = input.split_first() else { return };
    let (images, labels) = rest.split_at(rest.len().saturating_sub(labels.into()));
    accepted(both(images, labels), &[Exit::Data]);
}

fn both(bytes: &[u8], labels: &[u8]) -> anyhow::Result<()> {
    let contents = |place: &str, bytes: &[u8]| {
        Ok::<_, anyhow::Error>((place.to_owned(), bytes::unpacked(place, bytes.to_vec())?))
    };
    let labels = (!labels.is_empty()).then(|| contents("labels", labels)).transpose()?;
    let (found, hashes) = images::pair(contents("images", bytes)?, labels)?;
    assert_eq!(hashes.len(), 1 + found.labels.len());
    assert!(found.rows() > 0 && found.labels.iter().all(|labels| labels.len() == found.rows()));
    assert_eq!(found.image(found.rows() - 1).len(), found.height * found.width);
    if found.pixels.len() < 1 << 16 {
        overlay::overlay(&found, Overlay { shift: 1, seed: 0 }, Part::Test)?;
    }
    Ok(())
}

/// Reads a PNG or JPEG file as it is, and as a small one in grey and in colours.
pub fn image(input: &[u8]) {
    let Some(header) = accepted(decode::header("image", input), &[Exit::Data]) else { return };
    let small = |channels| Shape { height: 3, width: 2, channels };
    let own = Shape { height: header.height, width: header.width, channels: 1 };
    for shape in [small(1), small(3)].into_iter().chain((own.bytes() < 1 << 16).then_some(own)) {
        let pixels = accepted(decode::pixels("image", input, shape), &[Exit::Data]);
        assert!(pixels.is_none_or(|pixels| pixels.len() == shape.bytes()));
    }
}

// ---- models ----

const MODEL: [&str; 3] = ["config.json", "schema.json", "model.safetensors"];

/// The separator between the files of a model that are given as one input.
const CUT: &[u8] = b"\n=====\n";

/// A network with a small trunk and two tasks.
fn network() -> Network {
    let classes = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let trunk =
        Trunk { layers: vec![3], activation: super::config::Activation::Tanh, dropout: 0.1 };
    Network {
        inputs: 4,
        embeddings: Vec::new(),
        architecture: Default::default(),
        trunk,
        tasks: vec![
            Head::multiclass("left", classes(&["a", "b"])),
            Head::multiclass("right", classes(&["x", "y", "z"])),
        ],
    }
}

fn schema(network: &Network) -> Schema {
    let column = |name: &str, encoding| Column {
        name: name.into(),
        missing: vec![String::new()],
        window: 0,
        encoding,
    };
    let (blank, range, notation) = (0.0, None, Default::default());
    let numeric = Encoding::Numeric {
        scale: Scale::Standard,
        offset: 0.5,
        factor: 2.0,
        indicator: true,
        blank,
        range,
        notation,
        truth: false,
    };
    let category = Encoding::Category { values: vec!["red".into()], blank: false, embed: 0 };
    let columns = vec![column("a", numeric), column("b", category)];
    Schema::new(
        Input::Columns { columns },
        network
            .tasks
            .iter()
            .map(|head| Target::multiclass(&head.name, head.classes.clone()))
            .collect(),
    )
}

/// An arena with a number for each parameter of a layout.
fn arena(layout: &Layout) -> Vec<f32> {
    let mut arena = vec![0.0; layout.len];
    layout.blocks.iter().for_each(|block| {
        (0..block.len).for_each(|i| arena[block.offset + i] = 0.25 * i as f32 - 1.0)
    });
    arena
}

/// The files of a small model, in the order in which they are read.
fn whole_model() -> [Vec<u8>; 3] {
    let network = network();
    let layout = Layout::new(&network).unwrap();
    contents(&network, &layout, &schema(&network), &arena(&layout)).unwrap().map(|(_, bytes)| bytes)
}

/// The files of a model: an input that begins with `0`, `1` or `2` replaces that one file of a
/// small model, any other input gives all three files.
fn model_of(input: &[u8]) -> [Vec<u8>; 3] {
    let mut files = whole_model();
    match input.split_first() {
        Some((&digit @ b'0'..=b'2', rest)) => files[usize::from(digit - b'0')] = rest.to_vec(),
        _ => {
            let first = |bytes: &[u8]| bytes.windows(CUT.len()).position(|window| window == CUT);
            let mut rest = input;
            for file in &mut files {
                let end = first(rest).unwrap_or(rest.len());
                *file = rest[..end].to_vec();
                rest = rest.get(end + CUT.len()..).unwrap_or_default();
            }
        }
    }
    files
}

/// Checks that an accepted model is the same after it has been written and read again.
pub fn model(input: &[u8]) {
    is_accepted_model(input);
}

/// [`model`]; returns whether the input is accepted.
pub fn is_accepted_model(input: &[u8]) -> bool {
    let [config, schema, tensors] = model_of(input);
    let path = Path::new("model");
    let Some(model) = accepted(file::from_bytes(path, &config, &schema, &tensors), &[Exit::Data])
    else {
        return false;
    };
    assert!(
        model.parameters.iter().all(|x| x.is_finite())
            && model.parameters.len() == model.layout.len
    );
    let Model { network, layout, schema, parameters, .. } = &model;
    let [(_, config), (_, written), (_, tensors)] =
        contents(network, layout, schema, parameters).unwrap();
    let again = file::from_bytes(path, &config, &written, &tensors).unwrap();
    assert_eq!((&again.network, &again.layout, &again.schema), (network, layout, schema));
    assert_eq!(bits(&again.parameters), bits(parameters));
    true
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

// ---- checkpoints ----

/// Files of a checkpoint.
const CHECKPOINT: [&str; 8] = [
    "manifest.json",
    "config.toml",
    MODEL[0],
    MODEL[1],
    MODEL[2],
    "first_moment.safetensors",
    "second_moment.safetensors",
    "best.safetensors",
];

/// A checkpoint on the disk and the contents of its files.
struct Kept {
    path: PathBuf,
    files: Vec<Vec<u8>>,
}

thread_local! {
    static KEPT: Kept = kept();
}

fn kept() -> Kept {
    let root = std::env::temp_dir().join(format!(
        "tandem-harmless-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    fs::remove_dir_all(&root).ok();
    let (snapshot, context) = whole_checkpoint();
    let path = write(&Disk::default(), &root, &snapshot, &context, 1).unwrap();
    let files = CHECKPOINT.iter().map(|name| fs::read(path.join(name)).unwrap()).collect();
    Kept { path, files }
}

fn whole_checkpoint() -> (Snapshot, Context) {
    let network = network();
    let (layout, schema) = (Layout::new(&network).unwrap(), schema(&network));
    let parameters = arena(&layout);
    let numbers = Numbers::F32(parameters.clone());
    let best =
        Best { parameters, thresholds: vec![None, Some(0.25)], epoch: 1, step: None, score: 0.75 };
    let snapshot = Snapshot {
        steps: 7,
        validated: 5,
        points: 2,
        moments: vec![numbers.clone(), numbers.clone()],
        parameters: numbers,
        sums: Sums::new(2, 1),
        conflict: None,
        balance: None,
        worse: 1,
        best: Some(best.into()),
        tasks: Vec::new(),
        seconds: 1.5,
        rate_factor: 1.0,
        rollbacks: 0,
        skipped: 0,
        scale: None,
    };
    let config = "[data]\ntrain = \"/a.csv\"\n".into();
    let (adapter, kernels, data) =
        ("reference".into(), vec!["dense_forward".into()], vec![("/a.csv".into(), "00".into())]);
    (snapshot, Context { network, layout, schema, config, data, adapter, kernels })
}

/// Reads a complete checkpoint in which one file is replaced: a first byte of `0` to `7` says
/// which, and the manifest gets the hash of the new contents; with `a` to `h` the manifest keeps
/// the old hash.
pub fn manifest(input: &[u8]) {
    is_accepted_checkpoint(input);
}

/// [`manifest`]; returns whether the input is accepted.
pub fn is_accepted_checkpoint(input: &[u8]) -> bool {
    match input.split_first() {
        Some((choice @ b'0'..=b'7', rest)) => {
            KEPT.with(|kept| kept.with(usize::from(choice - b'0'), rest, true))
        }
        Some((choice @ b'a'..=b'h', rest)) => {
            KEPT.with(|kept| kept.with(usize::from(choice - b'a'), rest, false))
        }
        _ => false,
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.path.parent().map(fs::remove_dir_all);
    }
}

impl Kept {
    fn with(&self, index: usize, bytes: &[u8], sealed: bool) -> bool {
        let manifest = if index == 0 { bytes } else { &self.files[0] };
        let manifest = if sealed { self.seal(manifest, index, bytes) } else { manifest.to_vec() };
        self.put(index, bytes);
        self.put(0, &manifest);
        let loaded = accepted(load(&self.path), &[Exit::Data]);
        self.put(index, &self.files[index]);
        self.put(0, &self.files[0]);
        let Some(loaded) = loaded else { return false };
        assert!(
            sealed || bytes == self.files[index],
            "a file is another one, and its hash was not"
        );
        assert!(loaded.snapshot.parameters.to_f32().iter().all(|x| x.is_finite()));
        true
    }

    fn put(&self, index: usize, bytes: &[u8]) {
        fs::write(self.path.join(CHECKPOINT[index]), bytes).unwrap();
    }

    /// The manifest with the length and the hash of the replaced file, and with its own new hash.
    fn seal(&self, manifest: &[u8], index: usize, bytes: &[u8]) -> Vec<u8> {
        let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(manifest) else {
            return manifest.to_vec();
        };
        for entry in
            value.get_mut("files").and_then(|files| files.as_array_mut()).into_iter().flatten()
        {
            if index > 0 && entry["name"] == CHECKPOINT[index] {
                entry["bytes"] = bytes.len().into();
                entry["blake3"] = hash(bytes).into();
            }
        }
        let text = |value: &serde_json::Value| serde_json::to_string_pretty(value).unwrap() + "\n";
        if let Some(seal) = value.get_mut("blake3") {
            *seal = "".into();
            value["blake3"] = hash(text(&value).as_bytes()).into();
        }
        text(&value).into_bytes()
    }
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

// ---- configurations ----

/// Lines that begin with this are overrides of the command line.
const SET: &str = "--set ";

/// Checks that an accepted configuration is the same after it has been written and read again.
pub fn config(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (sets, lines): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with(SET));
    let sets: Vec<String> = sets.iter().map(|line| line[SET.len()..].to_owned()).collect();
    let base = Path::new("/data");
    let Some(config) =
        accepted(from_text(&lines.join("\n"), "c.toml", base, &sets), &[Exit::Config])
    else {
        return;
    };
    let written = to_toml(&config);
    let again = from_text(&written, "config.toml", Path::new("/"), &[])
        .unwrap_or_else(|e| panic!("{e:#}\n{written}"));
    assert_eq!(again, config, "{written}");
    assert_eq!(changes(&written, &to_toml(&again)).unwrap(), []);
}

// ---- seeds ----

/// The inputs from which the fuzzing of models, checkpoints and configurations starts.
pub fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let joined = whole_model().join(CUT);
    let model = whole_model()
        .into_iter()
        .enumerate()
        .map(|(i, bytes)| [i.to_string().into_bytes(), bytes].concat())
        .chain([joined]);
    let checkpoint = kept().files.clone().into_iter().enumerate().flat_map(|(i, bytes)| {
        ['0', 'a'].map(|c| [vec![c as u8 + i as u8], bytes.clone()].concat())
    });
    let named = |target: &'static str| move |(i, bytes)| (target, format!("seed-{i}"), bytes);
    model
        .enumerate()
        .map(named("model"))
        .chain(checkpoint.enumerate().map(named("manifest")))
        .collect()
}
