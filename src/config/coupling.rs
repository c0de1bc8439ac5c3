//! `[[coupling]]`: the terms of the objective that tie two tasks together.

use super::keys::form::{number, one_of};
use super::keys::item::{Item, NOT_NEGATIVE, Result};
use super::keys::section::Section;
use super::keys::toml::{list, texts};
use super::keys::{Keyed, Pass, names, read};
use crate::fault::quoted;

/// Kinds of coupling. This floor knows their names only; `objective::couplings` has one file for
/// each.
pub const COUPLING_KINDS: &[&str] = &["soft_sharing", "agreement"];

/// `[[coupling]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Coupling {
    /// Name of the kind, one of [`COUPLING_KINDS`].
    pub kind: String,
    /// λ in the objective.
    pub strength: f64,
    /// Pairs of task names; `None` = every pair to which the kind applies.
    pub pairs: Option<Vec<[String; 2]>>,
}

/// A coupling beside the names of all tasks.
struct Statement<'a> {
    coupling: Coupling,
    tasks: &'a [&'a str],
}

impl Keyed for Statement<'_> {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        let mut kind = COUPLING_KINDS
            .iter()
            .copied()
            .find(|kind| *kind == self.coupling.kind)
            .unwrap_or(COUPLING_KINDS[0]);
        pass.key("kind")
            .required(true, format!("one of {}", COUPLING_KINDS.join(", ")))
            .value(&mut kind, &one_of(COUPLING_KINDS))?;
        self.coupling.kind = kind.to_owned();
        pass.key("strength").value(&mut self.coupling.strength, &number(&NOT_NEGATIVE))?;
        let form = (
            |item: Item| read_pairs(&item, self.tasks),
            |pairs: &Vec<[String; 2]>| {
                list(&pairs.iter().map(|pair| texts(pair)).collect::<Vec<_>>())
            },
        );
        pass.key("pairs").maybe(&mut self.coupling.pairs, &form)
    }
}

fn statement<'a>(coupling: Option<&Coupling>, tasks: &'a [&'a str]) -> Statement<'a> {
    let default = Coupling { kind: String::new(), strength: 0.01, pairs: None };
    Statement { coupling: coupling.cloned().unwrap_or(default), tasks }
}

/// Reads the couplings, in the order of the file.
pub(super) fn couplings(root: &mut Section, tasks: &[&str]) -> Result<Vec<Coupling>> {
    let Some(item) = root.take("coupling") else { return Ok(vec![]) };
    let tables =
        item.list("tables").map_err(|fault| fault.hint("write [[coupling]], with two brackets"))?;
    if !tables.is_empty() && tasks.len() < 2 {
        return Err(item
            .fault("has no effect, since there is one task")
            .hint("a coupling ties two tasks together: add one, or leave it out"));
    }
    let coupling = |item| {
        let mut statement = statement(None, tasks);
        read(Section::of(item)?, &mut statement).map(|()| statement.coupling)
    };
    tables.into_iter().map(coupling).collect()
}

/// The keys of a coupling, with their values as TOML.
pub(super) fn entries(coupling: &Coupling) -> Vec<(&'static str, String)> {
    super::keys::entries(&mut statement(Some(coupling), &[]))
}

pub(super) fn keys() -> Vec<&'static str> {
    names(&mut statement(None, &[]))
}

/// `pairs = [["left", "right"]]`
fn read_pairs(item: &Item, names: &[&str]) -> Result<Vec<[String; 2]>> {
    let mut pairs: Vec<[String; 2]> = Vec::new();
    for item in item.list("pairs of task names")? {
        let [a, b] = read_pair(&item, names)?;
        if pairs.iter().any(|[x, y]| (*x == a && *y == b) || (*x == b && *y == a)) {
            return Err(item.fault(format!(
                "the pair of {} and {} stands here twice",
                quoted(&a),
                quoted(&b)
            )));
        }
        pairs.push([a, b]);
    }
    match pairs.is_empty() {
        true => Err(item
            .fault("must have a pair, found none")
            .hint("leave pairs out to couple every pair, or leave the coupling out")),
        false => Ok(pairs),
    }
}

/// The names of two different tasks.
fn read_pair(item: &Item, names: &[&str]) -> Result<[String; 2]> {
    let wrong = || item.wrong("a pair of task names, such as [\"left\", \"right\"]");
    let both = item.list("task names").map_err(|_| wrong())?;
    let [a, b] = both.as_slice() else {
        return Err(item.fault(format!("must be two task names, found {}", both.len())));
    };
    let pair = [a.one_of(names)?.to_owned(), b.one_of(names)?.to_owned()];
    if pair[0] == pair[1] {
        let twice =
            format!("a task cannot be coupled with itself, found {} twice", quoted(&pair[0]));
        Err(item.fault(twice))
    } else {
        Ok(pair)
    }
}
