//! Model directories: what is written, what is read back, and what is refused with which message.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tandem::config::{Activation, Scale};
use tandem::data::{Column, Encoding, Input, Schema, Target};
use tandem::fault::{Exit, exit_of, hint_of};
use tandem::model::file::{Model, check_savable, initial_from, load, save};
use tandem::model::layout::Layout;
use tandem::model::network::{Head, Network, Trunk};
use tandem::replace::replace;

fn head(name: &str, classes: &[&str], layers: &[usize]) -> Head {
    Head {
        layers: layers.to_vec(),
        activation: Activation::Gelu,
        dropout: 0.25,
        ..Head::multiclass(name, classes.iter().map(|c| c.to_string()).collect())
    }
}

/// Three features, a trunk of 5, a task with a tower and one without.
fn network() -> Network {
    let trunk = Trunk { layers: vec![5], activation: Activation::Relu, dropout: 0.1 };
    Network {
        inputs: 3,
        embeddings: Vec::new(),
        architecture: Default::default(),
        trunk,
        tasks: vec![head("left", &["a", "b"], &[4]), head("right", &["x", "y", "ü z"], &[])],
    }
}

fn schema(network: &Network) -> Schema {
    let encoding = |i: usize| Encoding::Numeric {
        scale: Scale::Standard,
        offset: 0.1 + i as f64 / 3.0,
        factor: 1.0 / 7.0,
        indicator: false,
        notation: Default::default(),
        blank: 0.0,
        range: None,
        truth: false,
    };
    let column = |i: usize| Column {
        name: format!("c{i}"),
        missing: Vec::new(),
        window: 0,
        encoding: encoding(i),
    };
    let target = |head: &Head| Target {
        columns: vec!["y".into()],
        ..Target::multiclass(&head.name, head.classes.clone())
    };
    let input = Input::Columns { columns: (0..network.inputs).map(column).collect() };
    Schema::new(input, network.tasks.iter().map(target).collect())
}

/// An arena in which all parameters are different, and the gaps are zero.
fn arena(layout: &Layout) -> Vec<f32> {
    let mut arena = vec![0.0; layout.len];
    for (number, block) in layout.blocks.iter().enumerate() {
        (0..block.len)
            .for_each(|i| arena[block.offset + i] = (number as f32 + 1.0) * 0.1 - i as f32 / 3.0);
    }
    arena
}

/// A saved model in a directory of its own.
struct Saved {
    root: tempfile::TempDir,
    network: Network,
    layout: Layout,
    schema: Schema,
    parameters: Vec<f32>,
}

impl Saved {
    fn new() -> Saved {
        let network = network();
        let (layout, schema) = (Layout::new(&network).unwrap(), schema(&network));
        let saved = Saved {
            root: tempfile::tempdir().unwrap(),
            parameters: arena(&layout),
            network,
            layout,
            schema,
        };
        save(&saved.dir(), &saved.network, &saved.layout, &saved.schema, &saved.parameters)
            .unwrap();
        saved
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("model")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.file(TENSORS)).unwrap()
    }

    /// The header and the data of the tensors file.
    fn parts(&self) -> (Value, Vec<u8>) {
        let bytes = self.bytes();
        let end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        (serde_json::from_slice(&bytes[8..end]).unwrap(), bytes[end..].to_vec())
    }

    fn put(&self, header: &str, data: &[u8]) {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        fs::write(self.file(TENSORS), bytes).unwrap();
    }

    fn edit_header(&self, edit: impl FnOnce(&mut Value)) {
        let (mut header, data) = self.parts();
        edit(&mut header);
        self.put(&header.to_string(), &data);
    }

    fn edit_json(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut value = serde_json::from_slice(&fs::read(self.file(name)).unwrap()).unwrap();
        edit(&mut value);
        fs::write(self.file(name), value.to_string()).unwrap();
    }

    fn edit_text(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.file(name)).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        fs::write(self.file(name), text.replacen(from, to, 1)).unwrap();
    }
}

const TENSORS: &str = "model.safetensors";
const CONFIG: &str = "config.json";
const SCHEMA: &str = "schema.json";

/// Asserts the exit code, all `words` in the message, one line without control characters, and a
/// hint.
fn check(name: &str, result: anyhow::Result<Model>, exit: Exit, words: &[&str]) {
    let error = result.map(|_| ()).expect_err(name);
    let message = format!("{error:#}");
    assert_eq!(exit_of(&error), exit, "{name}: {message}");
    for word in words {
        assert!(message.contains(word), "{name}: \"{word}\" is not in: {message}");
    }
    assert!(!message.chars().any(char::is_control), "{name}: {message:?}");
    assert!(message.len() < 600, "{name}: {message}");
    assert!(
        hint_of(&error).is_some_and(|hint| !hint.chars().any(char::is_control)),
        "{name}: no hint"
    );
}

#[test]
fn a_saved_model_is_loaded_bit_for_bit() {
    let saved = Saved::new();
    for path in [saved.root.path().to_owned(), saved.dir(), saved.file(TENSORS)] {
        let model = load(&path).unwrap();
        assert_eq!(
            (&model.network, &model.layout, &model.schema),
            (&saved.network, &saved.layout, &saved.schema)
        );
        assert!(
            model.parameters.iter().zip(&saved.parameters).all(|(a, b)| a.to_bits() == b.to_bits())
        );
        assert_eq!(model.parameters.len(), saved.layout.len);
        assert_eq!(model.directory, saved.dir());
    }
}

#[test]
fn a_tensor_file_of_any_name_is_loaded_beside_its_config() {
    let saved = Saved::new();
    fs::rename(saved.file(TENSORS), saved.file("other.safetensors")).unwrap();
    assert_eq!(load(&saved.file("other.safetensors")).unwrap().parameters, saved.parameters);
}

#[test]
fn last_is_a_model_directory_of_its_own() {
    let saved = Saved::new();
    let last = saved.root.path().join("last");
    let other: Vec<f32> = saved.parameters.iter().map(|x| -x).collect();
    save(&last, &saved.network, &saved.layout, &saved.schema, &other).unwrap();
    assert_eq!(load(&last).unwrap().parameters, other);
    assert_eq!(load(saved.root.path()).unwrap().parameters, saved.parameters);
}

#[test]
fn scaling_survives_to_the_last_bit() {
    let mut saved = Saved::new();
    let Input::Columns { columns } = &mut saved.schema.input else { panic!() };
    let mut bits = 1_u64;
    for _ in 0..300 {
        for column in columns.iter_mut() {
            let Encoding::Numeric { offset, factor, .. } = &mut column.encoding else { panic!() };
            for value in [offset, factor] {
                bits = bits.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                // Any sign and fraction, exponents around one.
                *value = f64::from_bits(
                    (bits & 0x800f_ffff_ffff_ffff) | ((1023 - 40 + bits.rotate_left(9) % 80) << 52),
                );
            }
        }
        let schema =
            Schema::new(Input::Columns { columns: columns.clone() }, saved.schema.targets.clone());
        let text = serde_json::to_string(&schema).unwrap();
        // Without serde_json's feature float_roundtrip these would be off by a bit, and predictions
        // would differ from those of the training run.
        assert_eq!(serde_json::from_str::<Schema>(&text).unwrap(), schema);
    }
    save(&saved.dir(), &saved.network, &saved.layout, &saved.schema, &saved.parameters).unwrap();
    assert_eq!(load(&saved.dir()).unwrap().schema, saved.schema);
}

#[test]
fn image_schemas_survive() {
    for overlay in [None, Some((8, u64::MAX))] {
        let mut saved = Saved::new();
        saved.network.inputs = 36 * 30;
        saved.layout = Layout::new(&saved.network).unwrap();
        saved.schema.input = Input::grey(36, 30, 1.0 / 255.0, overlay);
        save(&saved.dir(), &saved.network, &saved.layout, &saved.schema, &arena(&saved.layout))
            .unwrap();
        assert_eq!(load(&saved.dir()).unwrap().schema, saved.schema);
    }
}

#[test]
fn equal_parameters_give_equal_bytes_wherever_they_are_saved() {
    let first = Saved::new().bytes();
    for _ in 0..8 {
        assert_eq!(Saved::new().bytes(), first);
    }
    let other = Saved::new();
    // The gaps of the arena are not part of a model.
    let mut noisy = other.parameters.clone();
    noisy[other.layout.blocks[0].len] = 7.0;
    save(&other.dir(), &other.network, &other.layout, &other.schema, &noisy).unwrap();
    assert_eq!(other.bytes(), first);
}

#[test]
fn the_file_is_laid_out_as_pytorch_expects() {
    let saved = Saved::new();
    let (header, data) = saved.parts();
    let names: Vec<&String> =
        header.as_object().unwrap().keys().filter(|k| *k != "__metadata__").collect();
    assert_eq!(header["__metadata__"].as_object().unwrap().len(), 1);
    assert_eq!(names.len(), saved.layout.blocks.len());
    assert_eq!(header["trunk.0.weight"]["shape"], json!([5, 3]));
    assert_eq!(header["task.left.0.bias"]["shape"], json!([4]));
    assert_eq!(header["task.left.1.weight"]["shape"], json!([2, 4]));
    assert_eq!(header["task.right.0.weight"]["shape"], json!([3, 5]));
    assert_eq!(header["task.right.0.weight"]["dtype"], "F32");
    let begin = header["trunk.0.weight"]["data_offsets"][0].as_u64().unwrap() as usize;
    assert_eq!(data[begin + 4..begin + 8], saved.parameters[1].to_le_bytes());
    let config: Value = serde_json::from_slice(&fs::read(saved.file(CONFIG)).unwrap()).unwrap();
    assert_eq!(
        (&config["format"], &config["inputs"], &config["tasks"][0]["type"]),
        (&json!(1), &json!(3), &json!("multiclass"))
    );
}

#[test]
fn saving_again_replaces_the_model_and_leaves_nothing_else() {
    let saved = Saved::new();
    fs::write(saved.file(".model.safetensors.tmp"), "left by a process that was killed").unwrap();
    let other: Vec<f32> = saved.parameters.iter().map(|x| 2.0 * x).collect();
    save(&saved.dir(), &saved.network, &saved.layout, &saved.schema, &other).unwrap();
    assert_eq!(load(&saved.dir()).unwrap().parameters, other);
    let mut names: Vec<_> = fs::read_dir(saved.dir())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [CONFIG, TENSORS, SCHEMA]);
}

#[test]
fn a_reader_beside_a_writer_always_finds_a_whole_model() {
    let saved = Saved::new();
    let other: Vec<f32> = saved.parameters.iter().map(|x| -x).collect();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for parameters in [&other, &saved.parameters].into_iter().cycle().take(60) {
                save(&saved.dir(), &saved.network, &saved.layout, &saved.schema, parameters)
                    .unwrap();
            }
        });
        while !writer.is_finished() {
            let found = load(&saved.dir()).unwrap().parameters;
            assert!(found == other || found == saved.parameters);
        }
    });
}

#[cfg(unix)]
#[test]
fn the_mode_of_a_file_is_that_of_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let saved = Saved::new();
    fs::write(saved.file("plain"), "").unwrap();
    let mode = |name: &str| fs::metadata(saved.file(name)).unwrap().permissions().mode();
    for name in [TENSORS, CONFIG, SCHEMA] {
        assert_eq!(mode(name), mode("plain"), "{name}");
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_73_and_a_failed_write_74() {
    let saved = Saved::new();
    let fails = |dir: &Path, exit: Exit| {
        let error =
            save(dir, &saved.network, &saved.layout, &saved.schema, &saved.parameters).unwrap_err();
        assert_eq!(exit_of(&error), exit, "{error:#}");
        assert!(
            format!("{error:#}").contains(&dir.display().to_string()) && hint_of(&error).is_some(),
            "{error:#}"
        );
    };
    fs::write(saved.file("a"), "").unwrap();
    fails(&saved.file("a").join("model"), Exit::CantCreate);
    let taken = saved.root.path().join("taken");
    fs::create_dir_all(taken.join(TENSORS).join("full")).unwrap();
    fails(&taken, Exit::Io);
    assert!(!taken.join(".model.safetensors.tmp").exists());
}

#[test]
fn a_model_that_is_not_finite_does_not_replace_a_good_one() {
    let saved = Saved::new();
    let before = saved.bytes();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut parameters = saved.parameters.clone();
        parameters[saved.layout.blocks[3].offset] = bad;
        let error = save(&saved.dir(), &saved.network, &saved.layout, &saved.schema, &parameters)
            .unwrap_err();
        assert_eq!(exit_of(&error), Exit::NotFinite);
        assert!(error.to_string().contains(&saved.layout.blocks[3].name), "{error}");
        assert_eq!(saved.bytes(), before);
    }
}

#[test]
fn replace_writes_all_or_nothing() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("x");
    replace(&path, b"one").unwrap();
    replace(&path, b"2").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"2");
    assert_eq!(exit_of(&replace(&path.join("y"), b"").unwrap_err()), Exit::CantCreate);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn missing_files_are_66() {
    let saved = Saved::new();
    check(
        "nothing",
        load(&saved.root.path().join("none")),
        Exit::NoInput,
        &["none", "no such file"],
    );
    check(
        "nothing.safetensors",
        load(&saved.root.path().join("none.safetensors")),
        Exit::NoInput,
        &["no such file"],
    );
    let empty = saved.root.path().join("empty");
    fs::create_dir(&empty).unwrap();
    check("empty", load(&empty), Exit::NoInput, &["empty", "no model"]);
    fs::write(empty.join("config.toml"), "").unwrap();
    let error = load(&empty).unwrap_err();
    assert!(
        exit_of(&error) == Exit::NoInput && hint_of(&error).unwrap().contains("no model yet"),
        "{error}"
    );
    for name in [TENSORS, CONFIG, SCHEMA] {
        let saved = Saved::new();
        fs::remove_file(saved.file(name)).unwrap();
        check(name, load(&saved.dir()), Exit::NoInput, &[name, "cannot be opened"]);
    }
}

#[test]
fn files_that_are_not_a_model_are_65() {
    let saved = Saved::new();
    check("a config", load(&saved.file(CONFIG)), Exit::Data, &["config.json", "not a model"]);
    fs::remove_file(saved.file(TENSORS)).unwrap();
    fs::create_dir(saved.file(TENSORS)).unwrap();
    check("a directory", load(&saved.dir()), Exit::Data, &[TENSORS, "not a plain file"]);
}

/// Each case: what is done to the tensors, and what the message must contain.
#[test]
fn damaged_tensors_are_65() {
    type Damage = fn(&Saved);
    let cases: &[(&str, Damage, &[&str])] = &[
        ("empty", |s| fs::write(s.file(TENSORS), "").unwrap(), &["0 bytes"]),
        ("seven bytes", |s| fs::write(s.file(TENSORS), [0; 7]).unwrap(), &["7 bytes"]),
        (
            "huge header",
            |s| fs::write(s.file(TENSORS), (1_u64 << 40).to_le_bytes()).unwrap(),
            &["1099511627776 bytes", "0 left"],
        ),
        (
            "header of 2^64 - 1",
            |s| fs::write(s.file(TENSORS), [255; 64]).unwrap(),
            &["18446744073709551615", "56 left"],
        ),
        (
            "header over 1 MiB",
            |s| s.put(&" ".repeat(1 << 21), &[]),
            &["2097152 bytes", "at most 1048576"],
        ),
        (
            "header cut",
            |s| fs::write(s.file(TENSORS), &s.bytes()[..100]).unwrap(),
            &["the file has 92 left"],
        ),
        (
            "header not UTF-8",
            |s| fs::write(s.file(TENSORS), [2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe]).unwrap(),
            &["not UTF-8"],
        ),
        ("header not JSON", |s| s.put("{\"a\":", &[]), &["the header", "EOF"]),
        ("header a list", |s| s.put("[]", &[]), &["a map of tensors"]),
        ("header with more after it", |s| s.put("{}{}", &[]), &["trailing characters"]),
        ("header nested", |s| s.put(&"{\"a\":".repeat(5000), &[]), &["the header"]),
        ("no tensors", |s| s.put("{}", &[]), &["\"trunk.0.weight\"", "missing", "[5, 3]"]),
        (
            "tensor missing",
            |s| s.edit_header(|h| drop(h.as_object_mut().unwrap().remove("task.left.1.bias"))),
            &["\"task.left.1.bias\"", "missing"],
        ),
        (
            "tensor unknown",
            |s| s.edit_header(|h| h["../../x"] = h["trunk.0.bias"].clone()),
            &["\"../../x\"", "unknown"],
        ),
        (
            "tensor name with an escape",
            |s| s.edit_header(|h| h["\u{1b}[31mred\n"] = h["trunk.0.bias"].clone()),
            &["\\u{1b}[31mred\\n", "unknown"],
        ),
        (
            "tensor twice",
            |s| {
                let (header, data) = s.parts();
                let again = format!(
                    "{{\"trunk.0.bias\":{},{}",
                    header["trunk.0.bias"],
                    &header.to_string()[1..]
                );
                s.put(&again, &data);
            },
            &["\"trunk.0.bias\"", "twice"],
        ),
        (
            "metadata twice",
            |s| {
                let (header, data) = s.parts();
                s.put(&format!("{{\"__metadata__\":{{}},{}", &header.to_string()[1..]), &data);
            },
            &["__metadata__", "twice"],
        ),
        (
            "metadata not texts",
            |s| s.edit_header(|h| h["__metadata__"] = json!({"format": 1})),
            &["the header", "string"],
        ),
        (
            "type",
            |s| s.edit_header(|h| h["trunk.0.weight"]["dtype"] = json!("BF16")),
            &["\"trunk.0.weight\"", "\"BF16\"", "\"F32\""],
        ),
        (
            "type with an escape",
            |s| s.edit_header(|h| h["trunk.0.weight"]["dtype"] = json!("\u{7}")),
            &["\\u{7}", "\"F32\""],
        ),
        (
            "shape",
            |s| s.edit_header(|h| h["trunk.0.weight"]["shape"] = json!([3, 5])),
            &["\"trunk.0.weight\"", "[3, 5]", "[5, 3]"],
        ),
        (
            "shape of 2^64",
            |s| s.edit_header(|h| h["trunk.0.weight"]["shape"] = json!([1_u64 << 32, 1_u64 << 32])),
            &["4294967296", "[5, 3]"],
        ),
        (
            "shape negative",
            |s| s.edit_header(|h| h["trunk.0.weight"]["shape"] = json!([-5, 3])),
            &["the header", "-5"],
        ),
        (
            "shape of many",
            |s| s.edit_header(|h| h["trunk.0.weight"]["shape"] = json!(vec![1; 100_000])),
            &["\"trunk.0.weight\"", "[5, 3]"],
        ),
        (
            "key unknown",
            |s| s.edit_header(|h| h["trunk.0.weight"]["file"] = json!("/etc/passwd")),
            &["unknown field", "file"],
        ),
        (
            "key missing",
            |s| s.edit_header(|h| h["trunk.0.weight"] = json!({"dtype": "F32"})),
            &["missing field"],
        ),
        (
            "offsets near 2^64",
            |s| {
                s.edit_header(|h| {
                    h["trunk.0.weight"]["data_offsets"] = json!([u64::MAX - 60, u64::MAX])
                })
            },
            &["\"trunk.0.weight\"", "18446744073709551615", "bytes after the header"],
        ),
        (
            "offsets reversed",
            |s| s.edit_header(|h| h["trunk.0.weight"]["data_offsets"] = json!([60, 0])),
            &["at bytes 60 to 0", "60 bytes by its shape"],
        ),
        (
            "offsets too narrow",
            |s| s.edit_header(|h| h["trunk.0.bias"]["data_offsets"] = json!([0, 4])),
            &["\"trunk.0.bias\"", "20 bytes"],
        ),
        (
            "offsets of three",
            |s| s.edit_header(|h| h["trunk.0.bias"]["data_offsets"] = json!([0, 20, 40])),
            &["the header"],
        ),
        (
            "tensors overlap",
            |s| s.edit_header(|h| h["task.left.1.bias"]["data_offsets"] = json!([0, 8])),
            &["expected", "overlaps"],
        ),
        (
            "a hole",
            |s| {
                let (mut header, mut data) = s.parts();
                let [begin, end] =
                    [0, 1].map(|i| header["trunk.0.weight"]["data_offsets"][i].as_u64().unwrap());
                header["trunk.0.weight"]["data_offsets"] = json!([begin + 4, end + 4]);
                data.extend([0; 4]);
                s.put(&header.to_string(), &data);
            },
            &["\"trunk.0.weight\"", "a hole"],
        ),
        (
            "data cut",
            |s| fs::write(s.file(TENSORS), &s.bytes()[..s.bytes().len() - 1]).unwrap(),
            &["ends at byte", "bytes after the header"],
        ),
        (
            "bytes too many",
            |s| fs::write(s.file(TENSORS), [s.bytes(), vec![0; 4]].concat()).unwrap(),
            &["4 bytes too many after the last tensor"],
        ),
        (
            "not finite",
            |s| {
                let (header, mut data) = s.parts();
                let begin =
                    header["task.right.0.weight"]["data_offsets"][0].as_u64().unwrap() as usize;
                data[begin..begin + 4].copy_from_slice(&f32::NAN.to_le_bytes());
                data[begin + 8..begin + 12].copy_from_slice(&f32::INFINITY.to_le_bytes());
                s.put(&header.to_string(), &data);
            },
            &["\"task.right.0.weight\"", "not finite", "2 weights"],
        ),
    ];
    for (name, damage, words) in cases {
        let saved = Saved::new();
        damage(&saved);
        let all: Vec<&str> = words.iter().copied().chain([TENSORS]).collect();
        check(name, load(&saved.dir()), Exit::Data, &all);
    }
}

#[test]
fn too_many_tensors_are_65() {
    let saved = Saved::new();
    let tensors: Vec<String> = (0..10_001)
        .map(|i| format!("\"t{i}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}"))
        .collect();
    saved.put(&format!("{{{}}}", tensors.join(",")), &[]);
    check("many", load(&saved.dir()), Exit::Data, &["more than 10000 tensors"]);
}

#[test]
fn damaged_configs_are_65() {
    type Damage = fn(&mut Value);
    let cases: &[(&str, Damage, &[&str])] = &[
        (
            "newer",
            |c| (c["format"], c["tandem"]) = (json!(2), json!("9.1.0")),
            &["format 2", "\"9.1.0\"", "newer than this program"],
        ),
        (
            "newer, with unknown keys",
            |c| (c["format"], c["graph"]) = (json!(7), json!([])),
            &["format 7", "newer"],
        ),
        ("format 0", |c| c["format"] = json!(0), &["format 0", "expected 1"]),
        ("format a text", |c| c["format"] = json!("1"), &["string", "u64"]),
        (
            "no format",
            |c| drop(c.as_object_mut().unwrap().remove("format")),
            &["missing field `format`"],
        ),
        ("unknown key", |c| c["residual"] = json!(true), &["unknown key \"residual\""]),
        (
            "unknown key within",
            |c| c["tasks"][1]["path"] = json!("../x"),
            &["unknown key \"path\""],
        ),
        ("no inputs", |c| c["inputs"] = json!(0), &["0 inputs"]),
        ("negative inputs", |c| c["inputs"] = json!(-3), &["-3"]),
        ("fractional inputs", |c| c["inputs"] = json!(3.5), &["3.5"]),
        ("too many inputs", |c| c["inputs"] = json!(u64::MAX), &["18446744073709551615 inputs"]),
        ("empty layer", |c| c["trunk"]["layers"] = json!([5, 0]), &["trunk", "0 units"]),
        (
            "wide layer",
            |c| c["trunk"]["layers"] = json!([1_u64 << 40]),
            &["trunk", "1099511627776 units"],
        ),
        ("deep trunk", |c| c["trunk"]["layers"] = json!(vec![1; 1025]), &["trunk", "1025 layers"]),
        (
            "deep head",
            |c| c["tasks"][0]["layers"] = json!(vec![1; 5000]),
            &["task \"left\"", "5000 layers"],
        ),
        (
            "more than can be counted",
            |c| c["trunk"]["layers"] = json!([1_000_000_000, 1_000_000_000]),
            &["counted"],
        ),
        (
            "more than can be counted in the first layer",
            |c| {
                (c["inputs"], c["trunk"]["layers"]) = (json!(1_000_000_000), json!([1_000_000_000]))
            },
            &["counted"],
        ),
        (
            "more than is there",
            |c| c["trunk"]["layers"] = json!([900_000_000]),
            &["\"trunk.0.weight\"", "[5, 3]", "[900000000, 3]"],
        ),
        (
            "activation",
            |c| c["trunk"]["activation"] = json!("sigmoid"),
            &["unknown variant `sigmoid`", "relu"],
        ),
        (
            "activation with an escape",
            |c| c["trunk"]["activation"] = json!("\u{1b}[0m"),
            &["\\u{1b}[0m"],
        ),
        ("dropout 1", |c| c["trunk"]["dropout"] = json!(1.0), &["trunk", "dropout 1"]),
        (
            "dropout negative",
            |c| c["tasks"][0]["dropout"] = json!(-0.5),
            &["task \"left\"", "dropout -0.5"],
        ),
        ("task type", |c| c["tasks"][0]["type"] = json!("quantile"), &["quantile", "multiclass"]),
        ("no task", |c| c["tasks"] = json!([]), &["no task"]),
        (
            "name a path",
            |c| c["tasks"][0]["name"] = json!("../left"),
            &["\"../left\"", "A-Z a-z 0-9"],
        ),
        ("name empty", |c| c["tasks"][0]["name"] = json!(""), &["\"\"", "1 to 64"]),
        ("name long", |c| c["tasks"][0]["name"] = json!("x".repeat(65)), &["1 to 64"]),
        ("name with an escape", |c| c["tasks"][0]["name"] = json!("a\u{1b}[2Jb"), &["\\u{1b}[2J"]),
        ("name twice", |c| c["tasks"][0]["name"] = json!("right"), &["\"right\"", "two tasks"]),
        ("one class", |c| c["tasks"][0]["classes"] = json!(["a"]), &["task \"left\"", "1 classes"]),
        (
            "class twice",
            |c| c["tasks"][1]["classes"] = json!(["x", "y", "x"]),
            &["task \"right\"", "\"x\""],
        ),
        ("a list", |c| *c = json!([]), &["config.json:1:"]),
        (
            "many tasks",
            |c| c["tasks"] = (0..5001).map(|i| merge(&c["tasks"][1], &format!("t{i}"))).collect(),
            &["10004 tensors"],
        ),
    ];
    for (name, damage, words) in cases {
        let saved = Saved::new();
        saved.edit_json(CONFIG, damage);
        check(name, load(&saved.dir()), Exit::Data, words);
    }
}

/// A tree of one group of all tasks per layer, for two thousand tasks and five hundred layers.
fn hostile_tree_of_many_tasks() {
    let saved = Saved::new();
    saved.edit_json(CONFIG, |config| {
        let task = config["tasks"][1].clone();
        let names: Vec<String> = (0..2000).map(|i| format!("t{i}")).collect();
        config["tasks"] = names.iter().map(|name| merge(&task, name)).collect();
        config["trunk"]["layers"] = json!(vec![1; 500]);
        config["architecture"] = json!({"kind": "branched", "branches": vec![[names]; 500]});
    });
    let start = std::time::Instant::now();
    check("a tree of many tasks", load(&saved.dir()), Exit::Data, &["2000 tasks"]);
    println!("{:?}: a tree of many tasks", start.elapsed());
}

/// Networks that a stranger describes: each is refused at once, whatever it asks for.
#[test]
fn hostile_architectures_are_65_at_once() {
    let tree = |layers: &[&[&[&str]]]| json!({"kind": "branched", "branches": layers});
    let select = |experts: u64, select: u64, smooth: f64, entropy: f64| {
        json!({
            "kind": "dselect_k", "experts": experts, "select": select, "gates": "row",
            "smooth": smooth, "entropy": entropy,
        })
    };
    let stitches = |own: f64, factor: f64| {
        let kind = "cross_stitch";
        json!({"kind": kind, "own": own, "learning_rate_factor": factor})
    };
    let ple = |experts: u64, own: u64, levels: u64| {
        let kind = "ple";
        json!({"kind": kind, "experts": experts, "task_experts": own, "levels": levels})
    };
    let mmoe = |experts: Value| json!({"kind": "mmoe", "experts": experts, "gates": "task"});
    let learned =
        |from: f64, to: f64| json!({"kind": "branched", "learn": {"from": from, "to": to}});
    let (ends, begins) = (["left", "right"], ["left"]);
    let cases: Vec<(Value, &[usize], &[&str])> = vec![
        (mmoe(json!(u64::MAX)), &[5], &["experts = 18446744073709551615"]),
        (mmoe(json!(1_000_000)), &[5], &["experts = 1000000, expected 1 to 1024"]),
        (mmoe(json!(0)), &[5], &["experts = 0"]),
        (mmoe(json!(-1)), &[5], &["-1"]),
        (mmoe(json!([3])), &[5], &["sequence"]),
        (mmoe(json!(1024)), &[1; 1000], &["more than 10000 layers"]),
        (mmoe(json!(1000)), &[1_000_000_000, 1_000_000_000], &["counted"]),
        (mmoe(json!(4)), &[], &["mmoe needs layers"]),
        (ple(1024, 1024, 1024), &[5], &["more than"]),
        (ple(64, 64, 1024), &[5], &["more than"]),
        (ple(2, 2, u64::MAX), &[5], &["levels = 18446744073709551615"]),
        (stitches(1e300, 1.0), &[5], &["own"]),
        (stitches(0.5, -1.0), &[5], &["learning_rate_factor = -1"]),
        (select(4, 5, 1.0, 0.0), &[5], &["select = 5, expected 1 to experts = 4"]),
        (select(4, u64::MAX, 1.0, 0.0), &[5], &["select = 18446744073709551615"]),
        (select(4, 2, 0.0, 0.0), &[5], &["smooth = 0"]),
        (select(4, 2, 1.0, -1.0), &[5], &["entropy = -1"]),
        (tree(&[&[&ends]]), &[5, 4], &["branches of 1 layers, the trunk has 2"]),
        (tree(&[&[&begins]]), &[5], &["no group has \"right\""]),
        (tree(&[&[&ends, &begins]]), &[5], &["\"left\" twice"]),
        (tree(&[&[&["left"], &["right"]], &[&ends]]), &[5, 4], &["but not the layer below"]),
        (tree(&[&[&ends, &[]]]), &[5], &["a group without tasks"]),
        (tree(&[&[&["left", "right", "../x"]]]), &[5], &["no task \"../x\""]),
        (learned(1.0, 2.0), &[5], &["must not be above the first"]),
        (learned(-1.0, -2.0), &[5], &["temperature = [-1, -2]"]),
        (json!({"kind": "graph", "nodes": [{"reads": 0}]}), &[5], &["graph"]),
        (json!({"kind": "mtan", "gates": {"gates": {"gates": 1}}}), &[5], &["gates"]),
        (json!({"kind": ["mmoe"]}), &[5], &["config.json"]),
        (json!("mmoe"), &[5], &["config.json"]),
    ];
    hostile_tree_of_many_tasks();
    for (architecture, layers, words) in cases {
        let saved = Saved::new();
        saved.edit_json(CONFIG, |config| {
            config["architecture"] = architecture.clone();
            config["trunk"]["layers"] = json!(layers);
        });
        let start = std::time::Instant::now();
        check(&architecture.to_string(), load(&saved.dir()), Exit::Data, words);
        println!("{:?}: {architecture}", start.elapsed());
    }
}

fn merge(task: &Value, name: &str) -> Value {
    let mut task = task.clone();
    task["name"] = json!(name);
    task
}

#[test]
fn damaged_json_is_65_with_its_line() {
    let cases = [
        (
            CONFIG,
            "\"inputs\": 3",
            "\"inputs\": 3,\n\"inputs\": 3",
            &["config.json:5", "duplicate field `inputs`"][..],
        ),
        (
            CONFIG,
            "\"format\": 1",
            "\"format\": 1, \"x\": 1",
            &["config.json:2", "unknown key \"x\""],
        ),
        (CONFIG, "{", "[[[", &["config.json:"]),
        (CONFIG, "3,", "1e999,", &["config.json:4", "out of range"]),
        (
            SCHEMA,
            "\"offset\"",
            "\"offset\": 1, \"offset\"",
            &["schema.json:", "duplicate field `offset`"],
        ),
        (
            SCHEMA,
            "\"kind\": \"columns\"",
            "\"kind\": \"columns\", \"kind\": \"image\"",
            &["schema.json:", "kind"],
        ),
        (SCHEMA, "\"factor\": 0", "\"factor\": 1e400, \"f\": 0", &["schema.json:", "out of range"]),
        (SCHEMA, "\"factor\": 0", "\"factor\": null, \"f\": 0", &["schema.json:", "null"]),
        (SCHEMA, "{", "", &["schema.json:"]),
    ];
    for (file, from, to, words) in cases {
        let saved = Saved::new();
        saved.edit_text(file, from, to);
        check(&format!("{file}: {to}"), load(&saved.dir()), Exit::Data, words);
    }
}

#[test]
fn json_that_is_too_large_or_too_deep_is_65() {
    let saved = Saved::new();
    fs::write(saved.file(CONFIG), "[".repeat(1_000_000)).unwrap();
    check("nested", load(&saved.dir()), Exit::Data, &[CONFIG]);
    fs::File::create(saved.file(CONFIG)).unwrap().set_len(1 << 40).unwrap();
    check("a terabyte", load(&saved.dir()), Exit::Data, &[CONFIG, "1099511627776 bytes"]);
    fs::write(saved.file(CONFIG), [0xff, 0xfe, 0]).unwrap();
    check("binary", load(&saved.dir()), Exit::Data, &[CONFIG]);
}

#[test]
fn schemas_that_do_not_belong_to_the_network_are_65() {
    type Damage = fn(&mut Value);
    let image = |height: u64, width: u64| {
        let size = json!({"kind": "image", "height": height, "width": width});
        let mut image = size.as_object().unwrap().clone();
        image.insert("scale".into(), json!(1.0));
        image.insert("overlay".into(), json!(null));
        json!(image)
    };
    let cases: &[(&str, Damage, &[&str])] = &[
        (
            "a column less",
            |s| drop(s["input"]["columns"].as_array_mut().unwrap().pop()),
            &["2 features", "3 inputs"],
        ),
        (
            "a column twice",
            |s| s["input"]["columns"][0]["name"] = json!("c1"),
            &["\"c1\"", "twice"],
        ),
        (
            "a target less",
            |s| drop(s["targets"].as_array_mut().unwrap().pop()),
            &["1 targets", "2 tasks"],
        ),
        (
            "another task",
            |s| s["targets"][0]["task"] = json!("middle"),
            &["\"middle\"", "\"left\""],
        ),
        (
            "other classes",
            |s| s["targets"][0]["classes"] = json!(["b", "a"]),
            &["\"left\"", "other classes"],
        ),
        (
            "a group less",
            |s| s["targets"][0]["groups"] = json!([["1"]]),
            &["\"left\"", "1 groups for 2 classes"],
        ),
        (
            "an unknown kind",
            |s| s["input"] = json!({"kind": "parquet", "path": "/x"}),
            &["parquet"],
        ),
        (
            "an unknown scale",
            |s| s["input"]["columns"][0]["scale"] = json!("log"),
            &["log", "standard"],
        ),
        (
            "an unknown key",
            |s| s["input"]["columns"][0]["file"] = json!("x"),
            &["unknown key \"file\""],
        ),
    ];
    for (name, damage, words) in cases {
        let saved = Saved::new();
        saved.edit_json(SCHEMA, damage);
        let all: Vec<&str> = words.iter().copied().chain([SCHEMA]).collect();
        check(name, load(&saved.dir()), Exit::Data, &all);
    }
    let images: &[(&str, Value, &[&str])] = &[
        ("another size", image(2, 2), &["4 features", "3 inputs"]),
        ("a size beyond 2^64", image(1 << 40, 1 << 40), &["too many features"]),
        (
            "an infinite scale",
            json!({"kind": "image", "height": 1, "width": 3, "scale": 1e300, "overlay": null}),
            &["scale"],
        ),
        (
            "a wide overlay",
            json!({"kind": "image", "height": 1, "width": 3, "scale": 1.0, "overlay": [9, 0]}),
            &["overlay"],
        ),
    ];
    for (name, input, words) in images {
        let saved = Saved::new();
        saved.edit_json(SCHEMA, |s| s["input"] = input.clone());
        check(name, load(&saved.dir()), Exit::Data, words);
    }
}

/// With random damage the answer is a model or one of the two exit codes, never a panic.
#[test]
fn damaged_files_never_panic() {
    let saved = Saved::new();
    let mut state = 1_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    for round in 0..3000 {
        let name = [TENSORS, TENSORS, CONFIG, SCHEMA][round % 4];
        let whole = fs::read(saved.file(name)).unwrap();
        let mut bytes = whole.clone();
        for _ in 0..=random(3) {
            let at = random(bytes.len().max(1));
            match random(4) {
                0 => bytes.truncate(at),
                1 if at < bytes.len() => bytes[at] ^= 1 << random(8),
                2 if at < bytes.len() => bytes[at] = b"0129{}[]\",:-e"[random(13)],
                _ => bytes
                    .splice(at..at, whole[random(whole.len())..].iter().take(random(40)).copied())
                    .for_each(drop),
            }
        }
        fs::write(saved.file(name), &bytes).unwrap();
        if let Err(error) = load(&saved.dir()) {
            let message = format!("{error:#}");
            assert!(
                matches!(exit_of(&error), Exit::Data | Exit::NoInput),
                "round {round}: {message}"
            );
            assert!(!message.chars().any(char::is_control), "round {round}: {message:?}");
        }
        fs::write(saved.file(name), whole).unwrap();
    }
}

#[test]
fn a_network_that_would_not_load_is_refused_before_training() {
    check_savable(&network()).unwrap();
    let mut deep = network();
    deep.trunk.layers = vec![2; 2000];
    let mut many = network();
    many.tasks = (0..5000).map(|i| head(&format!("t{i}"), &["a", "b"], &[])).collect();
    for (network, words) in [(deep, "2000 layers"), (many, "tensors")] {
        let error = check_savable(&network).unwrap_err();
        assert_eq!(exit_of(&error), Exit::Config);
        assert!(error.to_string().contains(words) && hint_of(&error).is_some(), "{error}");
    }
}

/// The largest network that is allowed can be saved and loaded.
#[test]
fn a_network_at_the_limits_loads_again() {
    let mut network = network();
    let name = |i: usize| format!("{}{i:04}", "n".repeat(60));
    network.tasks = (0..4900).map(|i| head(&name(i), &["a", "b"], &[])).collect();
    while check_savable(&network).is_err() {
        network.tasks.truncate(network.tasks.len() - 50);
    }
    assert!(network.tasks.len() > 2000, "{}", network.tasks.len());
    let (root, layout) = (tempfile::tempdir().unwrap(), Layout::new(&network).unwrap());
    save(root.path(), &network, &layout, &schema(&network), &arena(&layout)).unwrap();
    assert_eq!(load(root.path()).unwrap().network, network);
}

#[test]
fn initial_parameters_go_by_name() {
    let saved = Saved::new();
    let model = load(&saved.dir()).unwrap();
    assert_eq!(initial_from(&model, &saved.network, &saved.layout).unwrap(), saved.parameters);
    let mut turned = saved.network.clone();
    turned.tasks.reverse();
    let layout = Layout::new(&turned).unwrap();
    let initial = initial_from(&model, &turned, &layout).unwrap();
    for block in &layout.blocks {
        let from = saved.layout.blocks.iter().find(|b| b.name == block.name).unwrap();
        assert_eq!(
            initial[block.offset..][..block.len],
            saved.parameters[from.offset..][..from.len],
            "{}",
            block.name
        );
    }
}

#[test]
fn initial_parameters_of_another_network_are_78() {
    let saved = Saved::new();
    let model = load(&saved.dir()).unwrap();
    let fails = |edit: fn(&mut Network), words: &[&str]| {
        let mut network = saved.network.clone();
        edit(&mut network);
        let error = initial_from(&model, &network, &Layout::new(&network).unwrap()).unwrap_err();
        assert_eq!(exit_of(&error), Exit::Config);
        words.iter().for_each(|word| assert!(error.to_string().contains(word), "{word}: {error}"));
        assert!(hint_of(&error).unwrap().contains("left [4, 2]"), "{error}");
    };
    fails(
        |n| n.inputs = 7,
        &["\"trunk.0.weight\"", "[5, 3] in the model", "[5, 7] in this configuration"],
    );
    fails(|n| n.trunk.layers = vec![], &["\"task.left.0.weight\"", "[4, 5]", "[4, 3]"]);
    fails(
        |n| drop(n.tasks.pop()),
        &["\"task.right.0.weight\"", "[3, 5] in the model", "absent in this configuration"],
    );
    fails(
        |n| n.tasks.push(head("new", &["a", "b"], &[])),
        &["\"task.new.0.weight\"", "absent in the model", "[2, 5]"],
    );
}
