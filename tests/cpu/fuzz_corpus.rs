//! Runs every input of `fuzz/corpus` through the check that the fuzzers use.

use std::fs;
use std::path::{Path, PathBuf};

use tandem::{config, data, fault, model, run};

#[path = "../common/harmless.rs"]
mod harmless;

type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 10] = [
    ("text", harmless::text),
    ("npy", harmless::npy),
    ("svmlight", harmless::svmlight),
    ("conll", harmless::conll),
    ("parquet", harmless::parquet),
    ("idx", harmless::idx),
    ("image", harmless::image),
    ("model", harmless::model),
    ("manifest", harmless::manifest),
    ("config", harmless::config),
];

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn inputs(target: &str) -> Vec<PathBuf> {
    // A package of the crate is without the folder.
    fs::read_dir(fuzz().join("corpus").join(target))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect()
}

#[test]
fn the_corpus_does_no_harm() {
    for (name, target) in TARGETS {
        for input in inputs(name) {
            let bytes = fs::read(&input).unwrap();
            let met = std::panic::catch_unwind(|| target(&bytes));
            assert!(met.is_ok(), "{}", input.display());
        }
    }
}

#[test]
fn every_target_has_a_corpus_that_is_small() {
    let Ok(manifest) = fs::read_to_string(fuzz().join("Cargo.toml")) else { return };
    let named: Vec<&str> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""))
        .collect();
    assert_eq!(named, TARGETS.map(|(name, _)| name));
    let mut bytes = 0;
    for (name, _) in TARGETS {
        let inputs = inputs(name);
        assert!((5..=150).contains(&inputs.len()), "{name}: {} inputs", inputs.len());
        bytes += inputs.iter().map(|input| input.metadata().unwrap().len()).sum::<u64>();
    }
    assert!(bytes < 1 << 20, "{bytes} bytes");
}

#[test]
fn intact_inputs_are_accepted() {
    // The check can fail: a checkpoint with a damaged file is refused, and if the manifest has the
    // hash of the damaged file, the hash does not help.
    let seeds = harmless::seeds();
    let whole = |name: &'static str| {
        seeds.iter().filter(move |(target, ..)| *target == name).map(|(.., bytes)| bytes.clone())
    };
    assert!(whole("model").all(|bytes| harmless::is_accepted_model(&bytes)));
    assert!(whole("manifest").all(|bytes| harmless::is_accepted_checkpoint(&bytes)));
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() - 2].to_vec();
    assert!(whole("model").map(cut).all(|bytes| !harmless::is_accepted_model(&bytes)));
    assert!(
        whole("manifest")
            .map(cut)
            .filter(|bytes| bytes[0] > b'a')
            .all(|bytes| !harmless::is_accepted_checkpoint(&bytes))
    );
}

/// Writes the corpus from which the fuzzing of models and checkpoints starts: `cargo test --test
/// cpu fuzz_corpus -- --ignored`.
#[test]
#[ignore = "writes files"]
fn write_the_seeds() {
    for (target, name, bytes) in harmless::seeds() {
        fs::create_dir_all(fuzz().join("corpus").join(target)).unwrap();
        fs::write(fuzz().join("corpus").join(target).join(name), bytes).unwrap();
    }
}
