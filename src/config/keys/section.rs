//! A table that is read key by key. A key that is read leaves the table; whatever is left at the
//! end had no effect.

use toml::Table;

use super::alike::join;
use super::item::{Item, Result};
use crate::fault::Fault;

/// A table with its key path.
pub(in crate::config) struct Section {
    path: String,
    table: Table,
}

impl Section {
    /// Opens a table.
    pub fn new(path: impl Into<String>, table: Table) -> Section {
        Section { path: path.into(), table }
    }

    /// Opens the table that an item should be.
    ///
    /// # Errors
    /// 78 if the item is no table.
    pub fn of(item: Item) -> Result<Section> {
        let path = item.path.clone();
        Ok(Section::new(path, item.table("a table")?))
    }

    /// Takes the table under `key`; a missing one is empty.
    ///
    /// # Errors
    /// 78 if there is a value that is no table.
    pub fn section(&mut self, key: &str) -> Result<Section> {
        match self.take(key) {
            Some(item) => Section::of(item),
            None => Ok(Section::new(join(&self.path, key), Table::new())),
        }
    }

    /// Takes a value.
    pub fn take(&mut self, key: &str) -> Option<Item> {
        self.table.remove(key).map(|value| Item { path: join(&self.path, key), value })
    }

    /// Whether the table still has a key.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// A sentence about one of its keys.
    pub fn fault(&self, key: &str, message: impl std::fmt::Display) -> Fault {
        Fault::config(&join(&self.path, key), message)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 78 if a key is left: it would be ignored, and no key is ignored.
    pub fn finish(self) -> Result<()> {
        match self.table.keys().next() {
            Some(key) => Err(self.fault(key, "has no effect here").hint("leave it out")),
            None => Ok(()),
        }
    }
}
