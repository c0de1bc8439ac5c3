//! A table that is read key by key. What is taken leaves it, so that at the end whatever is left
//! had no effect.

use toml::{Table, Value};

use super::item::{Item, Result};
use super::known::{Keys, join, unknown};
use crate::fault::Fault;

/// A table with its key path.
pub(super) struct Section {
    path: String,
    table: Table,
}

impl Section {
    /// Opens a table; an unknown key is refused at once, for it explains a missing one.
    pub fn open(path: impl Into<String>, table: Table, keys: Keys) -> Result<Section> {
        let path = path.into();
        match table.keys().find(|key| !keys.keys.contains(&key.as_str())) {
            Some(key) => Err(unknown(&path, key, keys)),
            None => Ok(Section { path, table }),
        }
    }

    /// Opens the table that an item should be.
    pub fn open_item(item: Item, keys: Keys) -> Result<Section> {
        let path = item.path.clone();
        Section::open(path, item.table("a table")?, keys)
    }

    /// Takes the table under `key`; one that is not there is empty.
    pub fn section(&mut self, key: &str, keys: Keys) -> Result<Section> {
        let item = self.take(key).unwrap_or_else(|| Item {
            path: join(&self.path, key),
            value: Value::Table(Table::new()),
        });
        Section::open_item(item, keys)
    }

    /// Takes a value.
    pub fn take(&mut self, key: &str) -> Option<Item> {
        self.table.remove(key).map(|value| Item { path: join(&self.path, key), value })
    }

    /// Takes and reads a value, if it is there.
    pub fn maybe<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(Item) -> Result<T>,
    ) -> Result<Option<T>> {
        self.take(key).map(read).transpose()
    }

    /// Takes and reads a value, or takes the default.
    pub fn read<T>(
        &mut self,
        key: &str,
        default: T,
        read: impl FnOnce(Item) -> Result<T>,
    ) -> Result<T> {
        Ok(self.maybe(key, read)?.unwrap_or(default))
    }

    /// Takes and reads a value that has to be there; `hint` says what it could be.
    pub fn require<T>(
        &mut self,
        key: &str,
        hint: &str,
        read: impl FnOnce(Item) -> Result<T>,
    ) -> Result<T> {
        self.maybe(key, read)?.ok_or_else(|| self.fault(key, "is missing").hint(hint))
    }

    /// A sentence about one of its keys.
    pub fn fault(&self, key: &str, message: impl std::fmt::Display) -> Fault {
        Fault::config(&join(&self.path, key), message)
    }

    /// Whether a key is there.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Refuses keys that would have no effect, and says why.
    pub fn refuse(&self, keys: &[&str], why: impl std::fmt::Display) -> Result<()> {
        match keys.iter().find(|key| self.table.contains_key(**key)) {
            Some(key) => {
                Err(self.fault(key, format!("has no effect, since {why}")).hint("leave it out"))
            }
            None => Ok(()),
        }
    }

    /// Ends the reading. A key that nobody took is a gap in this room; it is refused all the same,
    /// never ignored.
    pub fn finish(self) -> Result<()> {
        match self.table.keys().next() {
            Some(key) => Err(self.fault(key, "has no effect here").hint("leave it out")),
            None => Ok(()),
        }
    }
}
