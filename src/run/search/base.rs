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

    /// The settings with these values (key, TOML) laid over them. A key that has no effect beside
    /// the other values is left out.
    ///
    /// # Errors
    /// 78 with the sentence of a value that does not fit the others.
    pub fn with(&self, values: &[(String, String)], more: &[String]) -> Result<Config> {
        let mut left: Vec<&(String, String)> = values.iter().collect();
        loop {
            let mut all: Vec<String> = more.to_vec();
            all.extend(left.iter().map(|(key, text)| format!("{key}={text}")));
            let error = match self.read(&all) {
                Ok((config, _)) => return Ok(config),
                Err(error) => error,
            };
            let message = error.to_string();
            let idle = left.iter().position(|(key, _)| is_idle(&message, key));
            match idle {
                Some(at) if exit_of(&error) == Exit::Config => left.remove(at),
                _ => return Err(error),
            };
        }
    }
}

/// Whether a fault says that a key has no effect.
pub fn is_idle(message: &str, key: &str) -> bool {
    message.strip_prefix(key).is_some_and(|rest| rest.starts_with(": has no effect"))
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
    let mut path = split(key).into_iter();
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

/// The parts of a key path; a part in quotes may have dots.
fn split(key: &str) -> Vec<String> {
    let (mut parts, mut part, mut quote) = (Vec::new(), String::new(), None);
    for c in key.chars() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            ('.', None) => parts.push(std::mem::take(&mut part)),
            _ => part.push(c),
        }
    }
    parts.push(part);
    parts
}

/// A fault of a key of the space.
pub(super) fn of_key(key: &str, message: impl std::fmt::Display) -> Fault {
    Fault::config(&format!("search.space.{}", write::quote(key)), message)
}
