//! Malicious files, given to the program itself. Each is refused with the contract's exit code, one
//! line and a hint, within one second of processor time and within three times its size plus 64 MiB
//! of memory; and nothing outside the run directory is touched.
//!
//! The operating system enforces the limits: it kills a process that needs more, which then has no
//! exit code.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Bytes of memory that are allowed in addition to three times the size of the files.
const MEMORY: u64 = 64 << 20;

const NET: &str = "
[data]
train = \"train.csv\"
split = [1.0, 0.0, 0.0]
[trunk]
layers = [4]
[task.colour]
[task.size]
[[coupling]]
kind = \"soft_sharing\"
strength = 0.1
[train]
epochs = 2
batch_size = 16
";

const TENSORS: &str = "run/model/model.safetensors";
const NETWORK: &str = "run/model/config.json";
const SCHEMA: &str = "run/model/schema.json";
const CHECKPOINT: &str = "run/checkpoints/step-8";

const EVALUATE: &[&str] = &["evaluate", "run", "--data", "train.csv"];
const PREDICT: &[&str] = &["predict", "run", "--data", "train.csv"];
const RESUME: &[&str] = &["train", "--resume", "run", "--epochs", "3"];
pub(crate) const TRAIN: &[&str] = &["train", "net.toml", "--out", "new"];

/// A directory in which the program runs, with a run in `run/`.
pub(crate) struct Place(TempDir);

/// A run of two epochs, copied for each case.
fn trained() -> &'static Place {
    static TRAINED: OnceLock<Place> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let place = Place(tempfile::tempdir().unwrap());
        let row = |i: usize| {
            format!(
                "{i},{},{},{}\n",
                i * 7 % 5,
                ["red", "blue", "green"][i % 3],
                ["s", "m", "l"][i * 5 % 3]
            )
        };
        place.put(
            "train.csv",
            "a,b,colour,size\n".to_owned() + &(0..64).map(row).collect::<String>(),
        );
        place.put("net.toml", NET);
        let output = place.run(&["train", "net.toml", "--out", "run", "--keep", "1"], 1 << 30, 60);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        place
    })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to)
        } else {
            fs::copy(entry.path(), to).map(drop).unwrap()
        }
    }
}

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        copy(trained().0.path(), place.0.path());
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Replaces a file by something else.
    fn instead(&self, name: &str, make: impl FnOnce(&Path)) {
        fs::remove_file(self.path(name)).unwrap();
        make(&self.path(name));
    }

    /// A long file that takes no space on the disk.
    fn sparse(&self, name: &str, length: u64) {
        fs::File::create(self.path(name)).unwrap().set_len(length).unwrap();
    }

    fn edit(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut value: Value = serde_json::from_slice(&self.bytes(name)).unwrap();
        edit(&mut value);
        self.put(name, serde_json::to_string_pretty(&value).unwrap() + "\n");
    }

    fn text(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        self.put(name, text.replacen(from, to, 1));
    }

    /// Header and data of the tensors.
    fn tensors(&self) -> (Value, Vec<u8>) {
        let bytes = self.bytes(TENSORS);
        let end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        (serde_json::from_slice(&bytes[8..end]).unwrap(), bytes[end..].to_vec())
    }

    fn put_tensors(&self, header: impl AsRef<str>, data: &[u8]) {
        let header = header.as_ref().as_bytes();
        self.put(TENSORS, [&(header.len() as u64).to_le_bytes(), header, data].concat());
    }

    fn edit_header(&self, edit: impl FnOnce(&mut Value)) {
        let (mut header, data) = self.tensors();
        edit(&mut header);
        self.put_tensors(header.to_string(), &data);
    }

    /// Writes the first tensor's name differently in the header.
    fn rename_tensor(&self, name: &str) {
        self.edit_header(|header| {
            let entry = header.as_object_mut().unwrap().shift_remove("trunk.0.bias").unwrap();
            header[name] = entry;
        });
    }

    /// Changes a file of the checkpoint and writes a manifest with the matching hashes.
    fn forge(&self, edit: impl FnOnce(&mut Value)) {
        let manifest = format!("{CHECKPOINT}/manifest.json");
        self.edit(&manifest, |value| {
            edit(value);
            for entry in value["files"].as_array_mut().into_iter().flatten() {
                let path = self.path(CHECKPOINT).join(entry["name"].as_str().unwrap_or("-"));
                if let (Ok(bytes), true) =
                    (fs::read(&path), entry["bytes"].as_u64().is_some_and(|bytes| bytes < 1 << 40))
                {
                    entry["bytes"] = bytes.len().into();
                    entry["blake3"] = blake3::hash(&bytes).to_hex().to_string().into();
                }
            }
            value["blake3"] = "".into();
            let text = serde_json::to_string_pretty(value).unwrap() + "\n";
            value["blake3"] = blake3::hash(text.as_bytes()).to_hex().to_string().into();
        });
    }

    /// The bytes that all plain files take on the disk.
    fn size(&self) -> u64 {
        use std::os::unix::fs::MetadataExt;
        fn of(path: &Path) -> u64 {
            let entries = fs::read_dir(path).unwrap().map(Result::unwrap);
            entries
                .map(|e| {
                    if e.file_type().unwrap().is_dir() {
                        of(&e.path())
                    } else {
                        e.path().symlink_metadata().unwrap().blocks() * 512
                    }
                })
                .sum()
        }
        of(self.0.path())
    }

    fn run(&self, args: &[&str], memory: u64, seconds: u64) -> Output {
        // Limits of processor time and memory, and a time-out that only ends a hang.
        let limits = format!(
            "ulimit -d {} && ulimit -t {seconds} && exec timeout 60 \"$0\" \"$@\"",
            memory >> 10
        );
        let mut command = Command::new("sh");
        command
            .args(["-c", &limits, env!("CARGO_BIN_EXE_tandem")])
            .args(args)
            .args(["--device", "reference"]);
        command
            .current_dir(self.0.path())
            .env("TANDEM_CACHE_DIR", self.path("cache"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

/// (name, what is done to the place, arguments of the program, exit code, text in stderr)
pub(crate) type Case = (&'static str, fn(&Place), &'static [&'static str], i32, &'static str);

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn deep(n: usize) -> String {
    "[".repeat(n)
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn npy(header: &str) -> Vec<u8> {
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), &[0; 64]]
        .concat()
}

/// Tensor files that contradict themselves.
const MODELS: &[Case] = &[
    (
        "header of 2^40 bytes",
        |p| p.put(TENSORS, [&(1_u64 << 40).to_le_bytes()[..], b"{}"].concat()),
        EVALUATE,
        65,
        "header",
    ),
    (
        "header of 2^64 − 1 bytes",
        |p| p.put(TENSORS, [&[255; 8][..], b"{}"].concat()),
        PREDICT,
        65,
        "header",
    ),
    (
        "header of 2^40 bytes in a file that long",
        |p| p.sparse(TENSORS, 1 << 41),
        EVALUATE,
        65,
        "header",
    ),
    ("no byte", |p| p.put(TENSORS, ""), EVALUATE, 65, "0 bytes"),
    ("seven bytes", |p| p.put(TENSORS, [0; 7]), PREDICT, 65, "7 bytes"),
    (
        "header that is no text",
        |p| p.put(TENSORS, [&4_u64.to_le_bytes()[..], &[255; 4]].concat()),
        EVALUATE,
        65,
        "UTF-8",
    ),
    ("header that is deep", |p| p.put_tensors(deep(500_000), &[]), EVALUATE, 65, "header"),
    (
        "deep inside a tensor",
        |p| p.put_tensors(format!("{{\"a\":{{\"shape\":{}", deep(300_000)), &[]),
        EVALUATE,
        65,
        "header",
    ),
    (
        "shape of 2^64",
        |p| p.edit_header(|h| h["trunk.0.bias"]["shape"] = json!([1_u64 << 32, 1_u64 << 32])),
        EVALUATE,
        65,
        "shape",
    ),
    (
        "shape of 2^128",
        |p| p.edit_header(|h| h["trunk.0.bias"]["shape"] = json!([u64::MAX, u64::MAX])),
        EVALUATE,
        65,
        "shape",
    ),
    (
        "a number beyond 64 bits",
        |p| {
            p.put_tensors(
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,\
                 1]}}",
                &[],
            )
        },
        EVALUATE,
        65,
        "header",
    ),
    ("a name twice", |p| twice(p, "trunk.0.bias"), EVALUATE, 65, "twice"),
    ("metadata twice", |p| twice(p, "__metadata__"), EVALUATE, 65, "twice"),
    ("a hole", |p| shift(p, 4), EVALUATE, 65, "hole"),
    (
        "an overlap",
        |p| p.edit_header(|h| h["trunk.0.bias"]["data_offsets"] = json!([0, 16])),
        EVALUATE,
        65,
        "overlaps",
    ),
    (
        "offsets that end before they begin",
        |p| p.edit_header(|h| h["trunk.0.bias"]["data_offsets"] = json!([16, 0])),
        EVALUATE,
        65,
        "bytes",
    ),
    (
        "offsets at the end of 64 bits",
        |p| p.edit_header(|h| h["trunk.0.bias"]["data_offsets"] = json!([u64::MAX - 16, u64::MAX])),
        EVALUATE,
        65,
        "ends at",
    ),
    (
        "a second file behind it",
        |p| append(p, b"PK\x03\x04 and an archive"),
        EVALUATE,
        65,
        "too many",
    ),
    ("cut off", |p| p.put(TENSORS, &p.bytes(TENSORS)[..200]), EVALUATE, 65, "header"),
    ("a NaN", |p| poison(p, f32::NAN), EVALUATE, 65, "not finite"),
    ("a NaN, for predict", |p| poison(p, f32::NAN), PREDICT, 65, "not finite"),
    ("an infinity", |p| poison(p, f32::NEG_INFINITY), EVALUATE, 65, "1 weights"),
    (
        "a NaN to begin with",
        |p| poison(p, f32::NAN),
        &["train", "net.toml", "--out", "new", "--init-from", "run"],
        65,
        "not finite",
    ),
    (
        "another type",
        |p| p.edit_header(|h| h["trunk.0.bias"]["dtype"] = "F64".into()),
        EVALUATE,
        65,
        "F64",
    ),
    (
        "a type with an escape",
        |p| p.edit_header(|h| h["trunk.0.bias"]["dtype"] = "\u{1b}[31mF32".into()),
        EVALUATE,
        65,
        "type",
    ),
    ("a name that leads up", |p| p.rename_tensor("../../x"), EVALUATE, 65, "trunk.0.bias"),
    ("a name that is a path", |p| p.rename_tensor("/etc/passwd"), EVALUATE, 65, "trunk.0.bias"),
    ("a name with a NUL", |p| p.rename_tensor("trunk.0.bias\0"), EVALUATE, 65, "trunk.0.bias"),
    (
        "one name more, with control characters",
        |p| p.edit_header(|h| h["\u{1b}]0;x\u{7}\n"] = h["trunk.0.bias"].clone()),
        EVALUATE,
        65,
        "unknown",
    ),
    (
        "one name more, of 10 kB",
        |p| p.edit_header(|h| h["x".repeat(10_000)] = h["trunk.0.bias"].clone()),
        EVALUATE,
        65,
        "unknown",
    ),
    (
        "too many tensors",
        |p| {
            p.edit_header(|h| {
                (0..10_001).for_each(|i| h[i.to_string()] = h["trunk.0.bias"].clone())
            })
        },
        EVALUATE,
        65,
        "header",
    ),
    ("tensors are a pipe", |p| p.instead(TENSORS, pipe), EVALUATE, 65, "plain file"),
    (
        "tensors are a device",
        |p| p.instead(TENSORS, |at| symlink("/dev/zero", at).unwrap()),
        EVALUATE,
        65,
        "plain file",
    ),
    (
        "tensors are a directory",
        |p| p.instead(TENSORS, |at| fs::create_dir(at).unwrap()),
        EVALUATE,
        65,
        "plain file",
    ),
    (
        "tensors lead to themselves",
        |p| p.instead(TENSORS, |at| symlink(at, at).unwrap()),
        EVALUATE,
        66,
        "opened",
    ),
];

fn twice(place: &Place, name: &str) {
    let (header, data) = place.tensors();
    let entry = format!("{{{}:{},", json!(name), header[name]);
    place.put_tensors(header.to_string().replacen('{', &entry, 1), &data);
}

fn shift(place: &Place, by: u64) {
    let (mut header, data) = place.tensors();
    for (_, entry) in
        header.as_object_mut().unwrap().iter_mut().filter(|(name, _)| *name != "__metadata__")
    {
        let offsets = [0, 1].map(|i| entry["data_offsets"][i].as_u64().unwrap() + by);
        entry["data_offsets"] = json!(offsets);
    }
    place.put_tensors(header.to_string(), &[&vec![0; by as usize], &data[..]].concat());
}

fn append(place: &Place, bytes: &[u8]) {
    place.put(TENSORS, [&place.bytes(TENSORS), bytes].concat());
}

fn poison(place: &Place, value: f32) {
    let mut bytes = place.bytes(TENSORS);
    let first = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[first..first + 4].copy_from_slice(&value.to_le_bytes());
    place.put(TENSORS, bytes);
}

/// Network and schema files that ask for too much.
const DESCRIPTIONS: &[Case] = &[
    ("deep", |p| p.put(NETWORK, deep(1_000_000)), EVALUATE, 65, "config.json"),
    (
        "deep under a key",
        |p| {
            p.text(
                NETWORK,
                "\"inputs\"",
                &format!("\"x\": {}1{}, \"inputs\"", deep(100), "]".repeat(100)),
            )
        },
        EVALUATE,
        65,
        "unknown key",
    ),
    ("no text", |p| p.put(NETWORK, [0xff; 40]), EVALUATE, 65, "config.json"),
    (
        "a number that is infinite",
        |p| p.text(NETWORK, "\"dropout\": 0.0", "\"dropout\": 1e999"),
        EVALUATE,
        65,
        "config.json",
    ),
    (
        "a key twice",
        |p| p.text(NETWORK, "\"inputs\"", "\"inputs\": 3, \"inputs\""),
        EVALUATE,
        65,
        "config.json",
    ),
    ("a newer format", |p| p.edit(NETWORK, |c| c["format"] = 999.into()), EVALUATE, 65, "newer"),
    (
        "a newer format by a program with an escape",
        |p| {
            p.edit(NETWORK, |c| {
                c["format"] = 2.into();
                c["tandem"] = "\u{1b}[2J\n".into()
            })
        },
        EVALUATE,
        65,
        "newer",
    ),
    (
        "10^18 weights",
        |p| p.edit(NETWORK, |c| c["trunk"]["layers"] = json!([1_000_000_000, 1_000_000_000])),
        EVALUATE,
        65,
        "counted",
    ),
    (
        "more than can be counted",
        |p| p.edit(NETWORK, |c| c["trunk"]["layers"] = json!(vec![1_000_000_000; 1000])),
        EVALUATE,
        65,
        "config.json",
    ),
    (
        "layers without end",
        |p| p.edit(NETWORK, |c| c["trunk"]["layers"] = json!(vec![1; 1_000_000])),
        EVALUATE,
        65,
        "layers",
    ),
    (
        "tasks without end",
        |p| {
            p.edit(NETWORK, |c| {
                let t = c["tasks"][0].clone();
                c["tasks"] = json!(vec![t; 10_000])
            })
        },
        EVALUATE,
        65,
        "two tasks",
    ),
    (
        "a task whose name leads up",
        |p| p.edit(NETWORK, |c| c["tasks"][0]["name"] = "../../x".into()),
        EVALUATE,
        65,
        "name",
    ),
    (
        "a task whose name is a path",
        |p| p.edit(NETWORK, |c| c["tasks"][0]["name"] = "/etc/passwd".into()),
        EVALUATE,
        65,
        "name",
    ),
    (
        "a task with a NUL",
        |p| p.edit(NETWORK, |c| c["tasks"][0]["name"] = "a\0b".into()),
        EVALUATE,
        65,
        "name",
    ),
    (
        "a task with 10 kB of name",
        |p| p.edit(NETWORK, |c| c["tasks"][0]["name"] = "x".repeat(10_000).into()),
        EVALUATE,
        65,
        "name",
    ),
    ("a pipe", |p| p.instead(NETWORK, pipe), EVALUATE, 65, "plain file"),
    (
        "a device",
        |p| p.instead(NETWORK, |at| symlink("/dev/zero", at).unwrap()),
        EVALUATE,
        65,
        "plain file",
    ),
    ("40 MiB of nothing", |p| p.sparse(NETWORK, 40 << 20), EVALUATE, 65, "at most"),
    (
        "a schema that is deep",
        |p| p.put(SCHEMA, "{\"input\":".repeat(200_000)),
        EVALUATE,
        65,
        "schema.json",
    ),
    (
        "a schema with a key twice",
        |p| p.text(SCHEMA, "\"targets\"", "\"targets\": [], \"targets\""),
        EVALUATE,
        65,
        "schema.json",
    ),
    (
        "buckets without end",
        |p| p.edit(SCHEMA, |s| s["input"] = text_column(1 << 60, 1)),
        PREDICT,
        65,
        "buckets",
    ),
    (
        "slots without end",
        |p| p.edit(SCHEMA, |s| s["input"] = text_column(2, 1 << 60)),
        PREDICT,
        65,
        "slots",
    ),
    (
        "an image of 2^64 pixels",
        |p| p.edit(SCHEMA, |s| s["input"] = images([1 << 32, 1 << 32], json!(null))),
        PREDICT,
        65,
        "features",
    ),
    (
        "an overlay larger than its image",
        |p| p.edit(SCHEMA, |s| s["input"] = images([1, 2], json!([u64::MAX, 0]))),
        PREDICT,
        65,
        "overlay",
    ),
    (
        "a scale that is infinite",
        |p| p.text(SCHEMA, "\"factor\": ", "\"factor\": 1e999, \"x\": "),
        PREDICT,
        65,
        "schema.json",
    ),
    ("80,000 columns", |p| p.edit(SCHEMA, many_columns), PREDICT, 65, "features"),
    (
        "a class with an escape",
        |p| p.edit(SCHEMA, |s| s["targets"][0]["classes"][0] = "\u{1b}[31m\n".into()),
        PREDICT,
        65,
        "classes",
    ),
];

/// The `input` of a schema with one column of hashed text.
fn text_column(buckets: u64, slots: u64) -> Value {
    let column = json!({
        "name": "a",
        "missing": [],
        "type": "text",
        "buckets": buckets,
        "slots": slots,
        "ngrams": 0,
        "scale": 1.0,
    });
    json!({"kind": "columns", "columns": [column]})
}

/// The `input` of a schema of images.
fn images([height, width]: [u64; 2], overlay: Value) -> Value {
    json!({"kind": "image", "height": height, "width": width, "scale": 1.0, "overlay": overlay})
}

fn many_columns(schema: &mut Value) {
    let first = schema["input"]["columns"][0].clone();
    let column = |i: usize| {
        let mut column = first.clone();
        column["name"] = i.to_string().into();
        column
    };
    schema["input"]["columns"] = (0..80_000).map(column).collect();
}

/// Checkpoints; some have correct hashes.
const CHECKPOINTS: &[Case] = &[
    ("a bit", |p| flip(p, "model.safetensors"), RESUME, 65, "hash"),
    ("a bit of the manifest", |p| flip(p, "manifest.json"), RESUME, 65, "manifest.json"),
    (
        "no manifest",
        |p| fs::remove_file(p.path(CHECKPOINT).join("manifest.json")).unwrap(),
        RESUME,
        65,
        "manifest.json",
    ),
    (
        "a deep manifest",
        |p| p.put(&format!("{CHECKPOINT}/manifest.json"), deep(1_000_000)),
        RESUME,
        65,
        "manifest.json",
    ),
    (
        "a manifest of 2^40 bytes",
        |p| p.sparse(&format!("{CHECKPOINT}/manifest.json"), 1 << 40),
        RESUME,
        65,
        "at most",
    ),
    (
        "a manifest that is a pipe",
        |p| p.instead(&format!("{CHECKPOINT}/manifest.json"), pipe),
        RESUME,
        65,
        "plain file",
    ),
    (
        "a manifest that is a link",
        |p| {
            p.instead(&format!("{CHECKPOINT}/manifest.json"), |at| {
                symlink("/etc/hostname", at).unwrap()
            })
        },
        RESUME,
        65,
        "plain file",
    ),
    (
        "a file that is a link",
        |p| {
            p.instead(&format!("{CHECKPOINT}/config.toml"), |at| {
                symlink("/etc/hostname", at).unwrap()
            })
        },
        RESUME,
        65,
        "plain file",
    ),
    ("a newer format", |p| p.forge(|m| m["format"] = 2.into()), RESUME, 65, "newer"),
    (
        "a file above it",
        |p| p.forge(|m| m["files"][0]["name"] = "../../config.toml".into()),
        RESUME,
        65,
        "no checkpoint has",
    ),
    (
        "a model that it does not name",
        |p| p.forge(|m| m["files"].as_array_mut().unwrap().retain(|f| f["name"] != "config.json")),
        RESUME,
        65,
        "names no config.json",
    ),
    (
        "a file that it names twice",
        |p| p.forge(|m| m["files"][1] = m["files"][0].clone()),
        RESUME,
        65,
        "twice",
    ),
    (
        "a file elsewhere",
        |p| p.forge(|m| m["files"][0]["name"] = "/etc/passwd".into()),
        RESUME,
        65,
        "no checkpoint has",
    ),
    (
        "a file with a NUL",
        |p| p.forge(|m| m["files"][0]["name"] = "config.toml\0.png".into()),
        RESUME,
        65,
        "no checkpoint has",
    ),
    (
        "a file with 10 kB of name",
        |p| p.forge(|m| m["files"][0]["name"] = "x".repeat(10_000).into()),
        RESUME,
        65,
        "no checkpoint has",
    ),
    (
        "a file of 2^63 bytes",
        |p| p.forge(|m| m["files"][0]["bytes"] = (1_u64 << 63).into()),
        RESUME,
        65,
        "bytes, expected",
    ),
    ("no file", |p| p.forge(|m| m["files"] = json!([])), RESUME, 65, "names no"),
    (
        "no moments",
        |p| {
            p.forge(|m| {
                m["files"]
                    .as_array_mut()
                    .unwrap()
                    .retain(|f| !f["name"].as_str().unwrap().contains("moment"))
            })
        },
        RESUME,
        65,
        "moments",
    ),
    ("a step beyond all", |p| p.forge(|m| m["step"] = u64::MAX.into()), RESUME, 65, "of step"),
    (
        "validated after it",
        |p| p.forge(|m| m["validated"] = u64::MAX.into()),
        RESUME,
        65,
        "describes no possible run",
    ),
    (
        "sums of no task",
        |p| {
            p.forge(|m| {
                m["sums"] =
                    json!({"steps": 1, "losses": [], "hits": [], "labelled": [], "couplings": []})
            })
        },
        RESUME,
        65,
        "describes no possible run",
    ),
    (
        "a time before it began",
        |p| p.forge(|m| m["seconds"] = (-1.0).into()),
        RESUME,
        65,
        "describes no possible run",
    ),
    (
        "a learning rate times 10^300",
        |p| p.forge(|m| m["rate_factor"] = 1e300.into()),
        RESUME,
        65,
        "describes no possible run",
    ),
    (
        "parameters in f64 that are not there",
        |p| p.forge(|m| m["double"] = (!m["double"].as_bool().unwrap()).into()),
        RESUME,
        65,
        "step-8",
    ),
    (
        "a best model that is not there",
        |p| p.forge(|m| m["best"] = json!({"epoch": 1, "score": 1.0, "thresholds": [null, null]})),
        RESUME,
        65,
        "best.safetensors",
    ),
    (
        "a best model of a later step",
        |p| {
            p.forge(|m| {
                m["best"] =
                    json!({"epoch": 1, "step": u64::MAX, "score": 1.0, "thresholds": [null, null]})
            })
        },
        RESUME,
        65,
        "describes no possible run",
    ),
    (
        "settings that are no TOML",
        |p| {
            p.put(&format!("{CHECKPOINT}/config.toml"), "=\u{1b}[");
            p.forge(|_| ())
        },
        RESUME,
        65,
        "TOML",
    ),
    (
        "tensors with a header of 2^40",
        |p| {
            p.put(&format!("{CHECKPOINT}/first_moment.safetensors"), (1_u64 << 40).to_le_bytes());
            p.forge(|_| ())
        },
        RESUME,
        65,
        "header",
    ),
    (
        "deep records",
        |p| p.put("run/metrics.jsonl", format!("{}\n{}\n", deep(100_000), deep(100_000))),
        RESUME,
        65,
        "metrics.jsonl:1",
    ),
    (
        "records that are no text",
        |p| p.put("run/metrics.jsonl", [0xff, b'\n', 0xff, b'\n']),
        RESUME,
        65,
        "metrics.jsonl",
    ),
    (
        "settings of the run that are a device",
        |p| p.instead("run/config.toml", |at| symlink("/dev/zero", at).unwrap()),
        RESUME,
        66,
        "config.toml",
    ),
];

fn flip(place: &Place, name: &str) {
    let name = format!("{CHECKPOINT}/{name}");
    let mut bytes = place.bytes(&name);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    place.put(&name, bytes);
}

/// Configurations.
const CONFIGURATIONS: &[Case] = &[
    ("deep", |p| p.put("net.toml", "a = ".to_owned() + &deep(200_000)), TRAIN, 78, "net.toml:1"),
    (
        "deep and long",
        |p| p.put("net.toml", "a = ".to_owned() + &deep(1_000_000)),
        TRAIN,
        78,
        "too large",
    ),
    ("commas", |p| p.put("net.toml", format!("a = [{}]", "1,".repeat(150_000))), TRAIN, 78, "a:"),
    (
        "every pair of 5,000 tasks",
        |p| {
            p.put(
                "net.toml",
                NET.to_owned()
                    + &(0..5_000)
                        .map(|i| format!("[task.t{i}]\ntarget = \"size\"\n"))
                        .collect::<String>(),
            )
        },
        TRAIN,
        78,
        "coupling.0.pairs",
    ),
    ("deep tables", |p| p.put("net.toml", format!("[{}a]", "a.".repeat(100_000))), TRAIN, 78, ""),
    ("a table twice", |p| p.put("net.toml", NET.to_owned() + "[trunk]\n"), TRAIN, 78, "net.toml:"),
    ("no text", |p| p.put("net.toml", [0xff; 9]), TRAIN, 78, "UTF-8"),
    (
        "a device",
        |p| p.instead("net.toml", |at| symlink("/dev/zero", at).unwrap()),
        TRAIN,
        78,
        "too large",
    ),
    ("17 MiB", |p| p.sparse("net.toml", 17 << 20), TRAIN, 78, "too large"),
    (
        "an integer beyond 64 bits",
        |p| p.text("net.toml", "epochs = 2", "epochs = 99999999999999999999"),
        TRAIN,
        78,
        "net.toml",
    ),
    (
        "a number that is infinite",
        |p| p.text("net.toml", "strength = 0.1", "strength = 1e999"),
        TRAIN,
        78,
        "overflowed",
    ),
    (
        "10^18 weights",
        |p| p.text("net.toml", "layers = [4]", "layers = [1000000000, 1000000000]"),
        TRAIN,
        78,
        "",
    ),
    (
        "a task whose name leads up",
        |p| p.text("net.toml", "[task.size]", "[task.\"../../x\"]\ntarget = \"size\""),
        TRAIN,
        78,
        "name",
    ),
    (
        "a task with control characters",
        |p| p.text("net.toml", "[task.size]", "[task.\"\\u001b[2J\\n\"]"),
        TRAIN,
        78,
        "name",
    ),
    (
        "10,000 features that are not there",
        |p| {
            p.put(
                "net.toml",
                NET.to_owned()
                    + &(0..10_000)
                        .map(|i| format!("[feature.f{i}]\ntype = \"text\"\n"))
                        .collect::<String>(),
            )
        },
        TRAIN,
        78,
        "f0",
    ),
    (
        "couplings of everything",
        |p| {
            p.text(
                "net.toml",
                "strength = 0.1",
                &format!("strength = 0.1\npairs = [{}]", "[\"colour\", \"size\"],".repeat(30_000)),
            )
        },
        TRAIN,
        78,
        "pairs",
    ),
];

/// Data files, in place of the ones that the configuration names.
const DATA: &[Case] = &[
    (
        "a bomb",
        |p| p.put("x.csv.gz", gzip(&[&b"a,b,colour,size\n"[..], &vec![b'1'; 60 << 20]].concat())),
        &["train", "net.toml", "--set", "data.train=x.csv.gz"],
        65,
        "times",
    ),
    (
        "a bomb of members",
        |p| p.put("x.csv.gz", gzip(&[b'\n'; 1 << 20]).repeat(50)),
        &["train", "net.toml", "--set", "data.train=x.csv.gz"],
        65,
        "",
    ),
    (
        "gzip that is cut off",
        |p| {
            let z = gzip(&p.bytes("train.csv"));
            p.put("x.csv.gz", &z[..z.len() - 9])
        },
        &["train", "net.toml", "--set", "data.train=x.csv.gz"],
        65,
        "gzip",
    ),
    (
        "a cell of 20 MiB",
        |p| p.put("train.csv", format!("a,b,colour,size\n\"{}", "x".repeat(20 << 20))),
        TRAIN,
        65,
        "train.csv",
    ),
    (
        "70,000 columns",
        |p| {
            p.put(
                "train.csv",
                (0..70_000).map(|i| format!("c{i},")).collect::<String>() + "colour,size\n1\n",
            )
        },
        TRAIN,
        65,
        "columns",
    ),
    (
        "UTF-16",
        |p| {
            p.put(
                "train.csv",
                "a,b\n1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
            )
        },
        TRAIN,
        65,
        "UTF-16",
    ),
    ("a NUL", |p| p.put("train.csv", "a,b,colour,size\n1,\0,red,s\n"), TRAIN, 65, "NUL"),
    (
        "an array of 2^64",
        |p| {
            p.put(
                "x.npy",
                npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), \
                     }\n"),
            )
        },
        &["inspect", "x.npy"],
        65,
        "x.npy",
    ),
    (
        "an array of 2^128",
        |p| {
            p.put(
                "x.npy",
                npy("{'descr': '<f8', 'fortran_order': False, 'shape': (18446744073709551615, \
                     18446744073709551615), }\n"),
            )
        },
        &["inspect", "x.npy"],
        65,
        "x.npy",
    ),
    (
        "an array of objects",
        |p| p.put("x.npy", npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }\n")),
        &["inspect", "x.npy"],
        65,
        "x.npy",
    ),
    (
        "a header of 2^32",
        |p| p.put("x.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff{"),
        &["inspect", "x.npy"],
        65,
        "x.npy",
    ),
    (
        "an index of 2^63",
        |p| p.put("x.svm", "1 9223372036854775808:1\n"),
        &["inspect", "x.svm"],
        65,
        "x.svm:1",
    ),
    (
        "a parquet that is short",
        |p| p.put("x.parquet", "PAR1PAR1"),
        &["inspect", "x.parquet"],
        65,
        "x.parquet",
    ),
    (
        "a footer of 2^31",
        |p| p.put("x.parquet", b"PAR1\xff\xff\xff\x7fPAR1"),
        &["inspect", "x.parquet"],
        65,
        "x.parquet",
    ),
    (
        "images of 2^96",
        |p| p.put("x.idx", [&[0, 0, 8, 3][..], &[255; 12]].concat()),
        &["train", "net.toml", "--set", "data.train={ images = \"x.idx\", labels = \"x.idx\" }"],
        65,
        "x.idx",
    ),
    (
        "images that are a bomb",
        |p| p.put("x.idx", gzip(&vec![0; 60 << 20])),
        &["train", "net.toml", "--set", "data.train={ images = \"x.idx\", labels = \"x.idx\" }"],
        65,
        "times",
    ),
];

/// Runs a case and returns what is wrong with its end, if anything.
fn complaint((name, spoil, args, code, word): &Case) -> Option<String> {
    let place = Place::new();
    spoil(&place);
    let output = place.run(args, MEMORY + 3 * place.size(), 1);
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().collect();
    let (error, hint) = match lines[..] {
        [.., error, hint] => (error, hint),
        _ => ("", ""),
    };
    let is_plain = !said.chars().any(|c| c.is_control() && c != '\n') && error.len() < 1000;
    let fits = output.status.code() == Some(*code)
        && error.starts_with("error: ")
        && error.contains(word)
        && hint.starts_with("hint: ");
    (!(fits && is_plain))
        .then(|| format!("{name}: {}, expected {code} and {word:?}:\n{said}", output.status))
}

#[track_caller]
pub(crate) fn check(cases: &[Case]) {
    let complaints: Vec<String> = cases.iter().filter_map(complaint).collect();
    assert!(
        complaints.is_empty(),
        "{} of {}:\n{}",
        complaints.len(),
        cases.len(),
        complaints.join("\n")
    );
}

#[test]
fn tensors() {
    check(MODELS);
}

#[test]
fn descriptions() {
    check(DESCRIPTIONS);
}

#[test]
fn checkpoints() {
    check(CHECKPOINTS);
}

#[test]
fn configurations() {
    check(CONFIGURATIONS);
}

#[test]
fn data() {
    check(DATA);
}

#[test]
fn there_are_many_cases() {
    assert!(
        [MODELS, DESCRIPTIONS, CHECKPOINTS, CONFIGURATIONS, DATA]
            .map(<[Case]>::len)
            .iter()
            .sum::<usize>()
            >= 100
    );
    // The check can fail: a good run succeeds where an error is expected, and a text that is not
    // printed is missed.
    assert!(complaint(&("whole", |_| (), EVALUATE, 65, "")).is_some());
    assert!(
        complaint(&("another word", |p| flip(p, "manifest.json"), RESUME, 65, "overlap")).is_some()
    );
    assert!(complaint(&("another code", |p| flip(p, "manifest.json"), RESUME, 66, "")).is_some());
}

#[test]
fn a_process_that_exceeds_the_limits_is_killed() {
    let place = Place::new();
    place.put("net.toml", "a = ".to_owned() + &deep(200_000));
    assert_eq!(place.run(TRAIN, 1 << 30, 60).status.code(), Some(78));
    assert_eq!(place.run(TRAIN, 4 << 20, 60).status.code(), None);
}

// ---- nothing leaves the run directory ----

/// Asserts that going on with a foreign run directory in which `name` is a link to `victim` is
/// refused, and that the victim does not change.
fn leads_out(name: &str, is_directory: bool) {
    let place = Place::new();
    let (victim, link) = (place.path("victim"), place.path("run").join(name));
    if is_directory {
        fs::remove_dir_all(&link).ok()
    } else {
        fs::remove_file(&link).ok()
    };
    if is_directory {
        fs::create_dir(&victim).unwrap()
    } else {
        fs::write(&victim, "precious\n").unwrap()
    }
    symlink(&victim, &link).unwrap();
    let output = place.run(RESUME, 1 << 30, 10);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(65), "{name}: {said}");
    assert!(said.contains(name) && said.contains("hint: "), "{said}");
    if is_directory {
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 0, "{name}");
    } else {
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious\n", "{name}");
    }
}

#[test]
fn links_do_not_lead_out_of_a_run() {
    for name in
        [".lock", "train.log", "metrics.jsonl", "metrics.csv", "config.toml", "environment.json"]
    {
        leads_out(name, false);
    }
    for name in ["model", "last", "checkpoints"] {
        leads_out(name, true);
    }
}

#[test]
fn links_inside_a_model_are_replaced_and_not_followed() {
    let place = Place::new();
    place.put("victim", "precious\n");
    for name in ["run/last/model.safetensors", "run/model/config.json", "run/last/.schema.json.tmp"]
    {
        fs::remove_file(place.path(name)).ok();
        symlink(place.path("victim"), place.path(name)).unwrap();
    }
    place.instead("run/model/schema.json", pipe);
    let output = place.run(RESUME, 1 << 30, 10);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(place.bytes("victim"), b"precious\n");
    assert!(place.path("run/last/model.safetensors").symlink_metadata().unwrap().is_file());
    assert!(place.path("run/model/schema.json").symlink_metadata().unwrap().is_file());
}

#[test]
fn a_run_with_a_strange_name_stays_in_runs() {
    for name in [
        "...toml",
        "..toml",
        "a\\b.toml",
        "CON.toml",
        "-x\u{1b}[2J.toml",
        "x y.toml",
        &("x".repeat(250) + ".toml"),
    ] {
        let place = Place::new();
        fs::rename(place.path("net.toml"), place.path(name)).unwrap();
        let before = names(place.0.path());
        let output = place.run(&["train", &format!("./{name}")], 1 << 30, 10);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let after: Vec<String> = names(place.0.path())
            .into_iter()
            .filter(|n| !before.contains(n) && n != "cache")
            .collect();
        assert_eq!(after, ["runs"], "{name}");
        assert_eq!(names(&place.path("runs")).len(), 1, "{name}");
        assert!(!names(&place.path("runs"))[0].contains(|c: char| c.is_control() || c == '\\'));
    }
}

fn names(path: &Path) -> Vec<String> {
    fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn points_of_another_objective_are_ignored() {
    let place = Place::new();
    let lines = String::from_utf8(place.bytes("run/metrics.jsonl")).unwrap();
    let without = |line: &str| {
        let mut point: Value = serde_json::from_str(line).unwrap();
        point["couplings"] = json!([]);
        point.to_string() + "\n"
    };
    place.put("run/metrics.jsonl", lines.lines().map(without).collect::<String>());
    let output = place.run(&["train", "--resume", "run"], 1 << 30, 10);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn control_characters_in_names_are_escaped() {
    let place = Place::new();
    let bad = "\u{1b}[2J\u{7}";
    place.edit(NETWORK, |c| c["tasks"][0]["classes"][0] = bad.into());
    place.edit(SCHEMA, |s| {
        s["targets"][0]["classes"][0] = bad.into();
        s["input"]["columns"][0]["name"] = format!("a{bad}").into();
    });
    place.put("named.csv", format!("a{bad},b,colour,size\n1,2,{bad},s\n"));
    for args in [
        &["inspect", "run"][..],
        &["inspect", "named.csv"],
        &["evaluate", "run", "-v", "--data", "named.csv"],
    ] {
        let output = place.run(args, 1 << 30, 10);
        let said =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert!(output.status.success(), "{args:?}: {said}");
        assert!(
            said.contains("\\u{1b}[2J") && !said.contains(|c: char| c.is_control() && c != '\n'),
            "{args:?}: {said:?}"
        );
    }
}

// ---- weights that are not finite, where they are asked for ----

#[test]
fn weights_that_are_not_finite_are_accepted_with_the_flag() {
    let place = Place::new();
    poison(&place, f32::NAN);
    let allowed = |args: &[&str]| place.run(&[args, &["--allow-nonfinite"]].concat(), 1 << 30, 10);
    for args in [EVALUATE, PREDICT, &["inspect", "run"]] {
        let output = allowed(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 of its"), "{args:?}: {said}");
    }
    let predicted = String::from_utf8(allowed(PREDICT).stdout).unwrap();
    assert_eq!(predicted.lines().count(), 65);
    assert!(predicted.lines().nth(1).unwrap().contains("NaN"), "{predicted}");
    // All weights of the trunk are finite, so a run can begin with the trunk; with the whole model
    // the first step is not finite.
    let from = ["train", "net.toml", "--init-from", "run", "--out"];
    assert_eq!(
        allowed(&[&from[..], &["trunk", "--init-part", "trunk"]].concat()).status.code(),
        Some(0)
    );
    assert_eq!(allowed(&[&from[..], &["all"]].concat()).status.code(), Some(3));
    // With the flag, a model whose weights are finite is accepted without a notice.
    let whole = Place::new();
    let output = whole.run(&[EVALUATE, &["--allow-nonfinite"]].concat(), 1 << 30, 10);
    assert!(output.status.success() && !String::from_utf8_lossy(&output.stderr).contains("finite"));
}
