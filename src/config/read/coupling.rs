//! `[[coupling]]`

use super::item::{Item, NOT_NEGATIVE, Result};
use super::known::COUPLING;
use super::section::Section;
use crate::config::{COUPLING_KINDS, Coupling, Task};
use crate::fault::quoted;

/// Reads the couplings, in the order of the file.
pub(super) fn read(root: &mut Section, tasks: &[Task]) -> Result<Vec<Coupling>> {
    let Some(item) = root.take("coupling") else { return Ok(vec![]) };
    let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
    let tables =
        item.list("tables").map_err(|fault| fault.hint("write [[coupling]], with two brackets"))?;
    if !tables.is_empty() && names.len() < 2 {
        return Err(item
            .fault("has no effect, since there is one task")
            .hint("a coupling ties two tasks together: add one, or leave it out"));
    }
    tables.into_iter().map(|item| coupling(item, &names)).collect()
}

/// One `[[coupling]]`
fn coupling(item: Item, names: &[&str]) -> Result<Coupling> {
    let mut section = Section::open_item(item, COUPLING)?;
    let hint = format!("one of {}", COUPLING_KINDS.join(", "));
    let kind = section.require("kind", &hint, |item| item.one_of(COUPLING_KINDS))?.to_owned();
    let strength = section.read("strength", 0.01, |item| item.number(&NOT_NEGATIVE))?;
    let pairs = section.maybe("pairs", |item| pairs(&item, names))?;
    section.finish().map(|()| Coupling { kind, strength, pairs })
}

/// `pairs = [["left", "right"]]`
fn pairs(item: &Item, names: &[&str]) -> Result<Vec<[String; 2]>> {
    let mut pairs: Vec<[String; 2]> = Vec::new();
    for item in item.list("pairs of task names")? {
        let [a, b] = pair(&item, names)?;
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

/// Two different tasks.
fn pair(item: &Item, names: &[&str]) -> Result<[String; 2]> {
    let wrong = || item.wrong("a pair of task names, such as [\"left\", \"right\"]");
    let both = item.list("task names").map_err(|_| wrong())?;
    let [a, b] = both.as_slice() else {
        return Err(item.fault(format!("must be two task names, found {}", both.len())));
    };
    let pair = [a.one_of(names)?.to_owned(), b.one_of(names)?.to_owned()];
    if pair[0] == pair[1] {
        Err(item.fault(format!(
            "a task cannot be coupled with itself, found {} twice",
            quoted(&pair[0])
        )))
    } else {
        Ok(pair)
    }
}
