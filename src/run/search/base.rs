//! The settings that a search begins with, and those of a trial: the base with values laid over it.

use std::path::PathBuf;

use anyhow::Result;
use toml::Value;

use crate::config::{Config, Search, read, write};
use crate::fault::{Exit, Fault, exit_of};

/// A configuration as it was written, so that values can be laid over it as `--set` does.
#[derive(Clone, Debug)]
pub struct Base {
    /// The text of the configuration.
    pub text: String,
    /// Its name in messages.
    pub name: String,
    /// The directory where relative paths start.
    pub directory: PathBuf,
    /// Overrides of the command line, `section.key=value`.
    pub overrides: Vec<String>,
}

/// The settings of a trial.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The settings.
    pub config: Config,
    /// The value of each key that is searched, as TOML; `None` where the key has no effect beside
    /// the other values, or is not there.
    pub values: Vec<Option<String>>,
}

impl Base {
    /// The settings, with more overrides laid over them.
    ///
    /// # Errors
    /// Those of [`read::with_search`].
    pub fn read(&self, more: &[String]) -> Result<(Config, Option<Search>)> {
        let all: Vec<String> = self.overrides.iter().chain(more).cloned().collect();
        read::with_search(&self.text, &self.name, &self.directory, &all)
    }

    /// The settings with these values (key, TOML) laid over them. A value that has no effect beside
    /// the others is left out, and so is what the configuration says and has no effect beside them;
    /// but not the value of `kept`.
    ///
    /// # Errors
    /// 78 with the sentence of a value that does not fit the others.
    pub fn with(
        &self,
        values: &[(String, String)],
        more: &[String],
        kept: Option<&str>,
    ) -> Result<Config> {
        let mut left: Vec<&(String, String)> = values.iter().collect();
        let mut base = self.clone();
        loop {
            let mut all: Vec<String> = more.to_vec();
            all.extend(left.iter().map(|(key, text)| format!("{key}={text}")));
            let error = match base.read(&all) {
                Ok((config, _)) => return Ok(config),
                Err(error) => error,
            };
            let message = error.to_string();
            let idle = idle(&message).filter(|_| exit_of(&error) == Exit::Config);
            let Some(idle) = idle.filter(|idle| kept != Some(*idle)) else { return Err(error) };
            let is_value = left.iter().position(|(key, _)| key == idle);
            match (is_value, base.without(idle)) {
                (Some(at), _) => drop(left.remove(at)),
                (None, Some(without)) => base = without,
                (None, None) => return Err(error),
            }
        }
    }

    /// The configuration without the keys of `[search]` that have no effect, since its method was
    /// chosen elsewhere; with their paths.
    pub fn for_method(self) -> (Base, Vec<String>) {
        let (mut base, mut left) = (self, Vec::new());
        while let Err(error) = base.read(&[]) {
            let message = error.to_string();
            let key = idle(&message).filter(|key| key.starts_with("search."));
            // What stands on the command line beside the method is no oversight.
            let without = key.and_then(|key| Some((key, base.without(key)?)));
            let Some((key, without)) = without.filter(|(_, w)| w.overrides == base.overrides)
            else {
                break;
            };
            left.push(key.to_owned());
            base = without;
        }
        (base, left)
    }

    /// The configuration without a key; `None` if it does not have it.
    fn without(&self, key: &str) -> Option<Base> {
        let is_of = |spec: &String| read::override_parts(spec).is_some_and(|(path, _)| path == key);
        let overrides: Vec<String> =
            self.overrides.iter().filter(|spec| !is_of(spec)).cloned().collect();
        let mut table: toml::Table = self.text.parse().ok()?;
        let is_removed = remove(&mut table, &read::key_path(key));
        let is_other = is_removed || overrides.len() < self.overrides.len();
        is_other.then(|| Base {
            text: if is_removed { table.to_string() } else { self.text.clone() },
            overrides,
            ..self.clone()
        })
    }
}

/// Removes the key at a path; whether it was there.
fn remove(table: &mut toml::Table, path: &[String]) -> bool {
    match path {
        [] => false,
        [last] => table.remove(last).is_some(),
        [first, rest @ ..] => match table.get_mut(first) {
            Some(Value::Table(inner)) => remove(inner, rest),
            Some(Value::Array(list)) => {
                let at = rest[0].parse::<usize>().ok();
                let inner = at.and_then(|at| list.get_mut(at)).and_then(Value::as_table_mut);
                inner.is_some_and(|inner| remove(inner, &rest[1..]))
            }
            _ => false,
        },
    }
}

/// The key of which a fault says that it has no effect.
fn idle(message: &str) -> Option<&str> {
    message.split_once(": has no effect").map(|(key, _)| key)
}

impl Trial {
    /// A trial of these settings; `keys` are those that are searched.
    pub fn new(config: Config, keys: &[String]) -> Trial {
        let table = write::to_toml(&config).parse().unwrap_or_default();
        let values = keys.iter().map(|key| value_at(&table, key)).collect();
        Trial { config, values }
    }
}

/// The value of a key path in settings, as TOML.
fn value_at(table: &toml::Table, key: &str) -> Option<String> {
    let mut path = read::key_path(key).into_iter();
    let mut here = table.get(&path.next()?)?;
    for part in path {
        here = match here {
            Value::Table(table) => table.get(&part)?,
            Value::Array(list) => list.get(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(here.to_string())
}

/// A fault of a key of the space.
pub(super) fn of_key(key: &str, message: impl std::fmt::Display) -> Fault {
    Fault::config(&format!("search.space.{}", write::quote(key)), message)
}
