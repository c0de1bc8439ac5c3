//! How a table of the configuration is stated: each of its keys once, with its name, its bounds,
//! its field and when it applies. Reading the table, writing it, and the list of its keys all
//! follow from that statement, [`Keyed::keys`].

pub(super) mod alike;
pub(super) mod form;
pub(super) mod item;
pub(super) mod overrides;
pub(super) mod section;
pub(crate) mod toml;
pub(super) mod word;

use std::fmt::Display;
use std::mem::discriminant;

use crate::fault::Fault;
use form::Form;
use item::Result;
use section::Section;

/// A table of the configuration.
pub(super) trait Keyed {
    /// States each key, in the order in which they are written. Before reading, every field holds
    /// its default.
    fn keys(&mut self, pass: &mut Pass) -> Result<()>;
}

/// Reads a table.
///
/// # Errors
/// 78 with the key path, if a value is wrong or a key has no effect.
pub(super) fn read(section: Section, keyed: &mut impl Keyed) -> Result<()> {
    let mut pass = Pass(Purpose::Read(section));
    keyed.keys(&mut pass)?;
    match pass.0 {
        Purpose::Read(section) => section.finish(),
        _ => Ok(()),
    }
}

/// The keys that have an effect, with their values as TOML.
pub(super) fn entries(keyed: &mut impl Keyed) -> Vec<(&'static str, String)> {
    let mut pass = Pass(Purpose::Write(Vec::new()));
    // Only reading fails.
    let _ = keyed.keys(&mut pass);
    if let Purpose::Write(entries) = pass.0 { entries } else { Vec::new() }
}

/// The names of all keys, each once.
pub(super) fn names(keyed: &mut impl Keyed) -> Vec<&'static str> {
    let mut pass = Pass(Purpose::Names(Vec::new()));
    let _ = keyed.keys(&mut pass);
    if let Purpose::Names(names) = pass.0 { names } else { Vec::new() }
}

/// One walk over the keys of a table.
pub(super) struct Pass(Purpose);

/// What a walk over the keys is for.
enum Purpose {
    /// Values are taken from a table and put into the fields.
    Read(Section),
    /// Fields are written as TOML.
    Write(Vec<(&'static str, String)>),
    /// The names are listed.
    Names(Vec<&'static str>),
}

impl Pass {
    /// Begins the statement of a key; [`Key::value`] or [`Key::maybe`] ends it.
    pub fn key(&mut self, name: &'static str) -> Key<'_> {
        Key { pass: self, name, refusal: None, missing: None, written: true }
    }

    /// Whether values are read.
    pub fn reads(&self) -> bool {
        matches!(self.0, Purpose::Read(_))
    }

    /// Whether the table that is read still has a key; `false` where none is read.
    pub fn has(&self, key: &str) -> bool {
        matches!(&self.0, Purpose::Read(section) if section.has(key))
    }

    /// A sentence about a key of this table.
    pub fn fault(&self, key: &str, message: impl Display) -> Fault {
        match &self.0 {
            Purpose::Read(section) => section.fault(key, message),
            _ => Fault::config(key, message),
        }
    }

    /// States the key that picks one of several kinds, each of which has keys of its own. Keys of
    /// the other kinds are refused.
    pub fn choice<T: Keyed + Clone>(
        &mut self,
        key: &'static str,
        value: &mut T,
        kinds: &[Kind<T>],
    ) -> Result<()> {
        let words: Vec<&'static str> = kinds.iter().map(|kind| kind.word).collect();
        let mut word = kind_of(value, kinds).map_or("", |kind| kind.word);
        self.key(key).value(&mut word, &form::one_of(&words))?;
        let Some(kind) = kinds.iter().find(|kind| kind.word == word).filter(|_| self.reads())
        else {
            return Ok(());
        };
        *value = kind.value.clone();
        let own = names(&mut kind.value.clone());
        let others = kinds.iter().flat_map(|other| names(&mut other.value.clone()));
        let Some(foreign) = others.into_iter().find(|name| !own.contains(name) && self.has(name))
        else {
            return Ok(());
        };
        let has = |kind: &&Kind<T>| names(&mut kind.value.clone()).contains(&foreign);
        let owners: Vec<String> =
            kinds.iter().filter(has).map(|kind| format!("\"{}\"", kind.word)).collect();
        let why = format!("it belongs to {key} = {}, and this is \"{word}\"", owners.join(" or "));
        Err(self.without_effect(foreign, &why, "leave it out"))
    }

    /// States the own keys of the kind that was picked.
    pub fn own_keys<T: Keyed + Clone>(&mut self, value: &mut T, kinds: &[Kind<T>]) -> Result<()> {
        match self.0 {
            Purpose::Names(_) => kinds.iter().try_for_each(|kind| kind.value.clone().keys(self)),
            _ => value.keys(self),
        }
    }

    /// `KEY: has no effect, since WHY`
    pub fn without_effect(&self, key: &str, why: &str, hint: &str) -> Fault {
        self.fault(key, format!("has no effect, since {why}")).hint(hint)
    }
}

/// One of several kinds that a key picks from.
#[derive(Clone, Debug)]
pub(super) struct Kind<T> {
    /// Its name in the configuration.
    pub word: &'static str,
    /// The kind, with the defaults of its own keys.
    pub value: T,
}

/// The kind that a value is of.
pub(super) fn kind_of<'k, T>(value: &T, kinds: &'k [Kind<T>]) -> Option<&'k Kind<T>> {
    kinds.iter().find(|kind| discriminant(&kind.value) == discriminant(value))
}

/// The statement of one key.
#[must_use]
pub(super) struct Key<'p> {
    pass: &'p mut Pass,
    name: &'static str,
    /// Why the key has no effect, and what to do; `None` where it has one.
    refusal: Option<(String, &'static str)>,
    /// What to say where the key is missing; `None` where it may be.
    missing: Option<String>,
    written: bool,
}

impl Key<'_> {
    /// Where the condition does not hold, the key is refused, since `why`, and not written.
    pub fn only(self, condition: bool, why: impl Display) -> Self {
        self.only_or(condition, why, "leave it out")
    }

    /// [`Key::only`] with another hint.
    pub fn only_or(mut self, condition: bool, why: impl Display, hint: &'static str) -> Self {
        if !condition && self.refusal.is_none() {
            self.refusal = Some((why.to_string(), hint));
        }
        self
    }

    /// Where the condition holds, the key must be there; `hint` says what it could be.
    pub fn required(mut self, condition: bool, hint: impl Into<String>) -> Self {
        self.missing = condition.then(|| hint.into());
        self
    }

    /// Where the condition does not hold, the key is not written.
    pub fn written(mut self, condition: bool) -> Self {
        self.written = condition;
        self
    }

    /// The field of the key.
    ///
    /// # Errors
    /// 78 where a value is wrong, has no effect, or is missing.
    pub fn value<T>(self, field: &mut T, form: &impl Form<T>) -> Result<()> {
        if let Some(value) = self.visit(|| Some(form.write(field)), |item| form.read(item))? {
            *field = value;
        }
        Ok(())
    }

    /// The field of a key that may be missing; it is written where it is `Some`.
    ///
    /// # Errors
    /// 78 likewise.
    pub fn maybe<T>(self, field: &mut Option<T>, form: &impl Form<T>) -> Result<()> {
        let write = || field.as_ref().map(|value| form.write(value));
        if let Some(value) = self.visit(write, |item| form.read(item))? {
            *field = Some(value);
        }
        Ok(())
    }

    fn visit<T>(
        self,
        write: impl FnOnce() -> Option<String>,
        read: impl FnOnce(item::Item) -> Result<T>,
    ) -> Result<Option<T>> {
        if let Some((why, hint)) = self.refusal.as_ref().filter(|_| self.pass.has(self.name)) {
            return Err(self.pass.without_effect(self.name, why, hint));
        }
        match &mut self.pass.0 {
            Purpose::Names(names) if !names.contains(&self.name) => names.push(self.name),
            Purpose::Names(_) => {}
            Purpose::Write(entries) if self.written && self.refusal.is_none() => {
                entries.extend(write().map(|value| (self.name, value)));
            }
            Purpose::Write(_) => {}
            Purpose::Read(section) => {
                return match (section.take(self.name), self.missing) {
                    (Some(item), _) => read(item).map(Some),
                    (None, Some(hint)) => Err(section.fault(self.name, "is missing").hint(hint)),
                    (None, None) => Ok(None),
                };
            }
        }
        Ok(None)
    }
}
