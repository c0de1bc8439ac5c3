//! JSON files from strangers: their size is bounded, and keys that occur twice or are unknown are
//! refused.

use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;

use super::{malformed, plain};
use crate::fault::{Fault, quoted};

/// Bytes that a JSON file may have: room for 65,536 columns with half a kilobyte each.
const MAX_BYTES: u64 = 32 << 20;

/// The hint for a path that leads to no model.
pub(super) const WHAT: &str =
    "a model is a run directory, a model directory, or a .safetensors file beside its config.json";

/// Opens a plain file, and returns it with its length. A pipe would block, and a device might never
/// end, so both are refused.
pub(super) fn open(path: &Path) -> Result<(File, u64)> {
    let missing = |e| Fault::missing(path.display(), format!("cannot be opened: {e}")).hint(WHAT);
    if !fs::metadata(path).map_err(missing)?.is_file() {
        return Err(malformed(path.display(), "is not a plain file").into());
    }
    let file = File::open(path).map_err(missing)?;
    let length = file.metadata().map_err(missing)?.len();
    Ok((file, length))
}

/// The bytes of a JSON file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let (file, length) = open(path)?;
    if length > MAX_BYTES {
        return Err(malformed(
            path.display(),
            format!("{length} bytes, expected at most {MAX_BYTES}"),
        )
        .into());
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|e| malformed(path.display(), format!("cannot be read: {e}")))?;
    Ok(bytes)
}

/// Parses `bytes` as a value. Keys that its type does not know are ignored here.
pub(super) fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| at_line(path, &e).into())
}

/// Refuses keys of `bytes` that occur twice, or that `value`, which was parsed from them, does not
/// have. This takes many times the memory of the value, so it is for values within their limits.
pub(super) fn check_keys(path: &Path, bytes: &[u8], value: &impl Serialize) -> Result<()> {
    let known = serde_json::to_value(value)?;
    let mut text = serde_json::Deserializer::from_slice(bytes);
    Ok(Strict(Some(&known)).deserialize(&mut text).map_err(|e| at_line(path, &e))?)
}

/// The fault of a parser, with the line.
fn at_line(path: &Path, error: &serde_json::Error) -> Fault {
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    malformed(format_args!("{}:{}", path.display(), error.line()), plain(message))
}

/// Walks a JSON text along the value that was parsed from it: every key must be in the value, and
/// occur once.
struct Strict<'k>(Option<&'k Value>);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let known = self.0.and_then(|value| value.get(&key));
            if known.is_none() {
                return Err(A::Error::custom(format_args!("unknown key {}", quoted(&key))));
            }
            map.next_value_seed(Strict(known))?;
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format_args!(
                    "the key {} stands twice",
                    quoted(&key)
                )));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let mut index = 0;
        while sequence
            .next_element_seed(Strict(self.0.and_then(|value| value.get(index))))?
            .is_some()
        {
            index += 1;
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
