//! The page of a search.

mod course;
mod front;
mod outcome;
mod settings;
mod trials;
mod view;

use super::{Draft, Page};
use crate::report::search::facts::SearchFacts;
use view::View;

/// The page of a search.
pub fn search(facts: &SearchFacts) -> Page {
    let view = View::of(facts);
    let mut draft = Draft::new(&facts.title, &view.lead());
    outcome::section(&mut draft, &view);
    course::section(&mut draft, &view);
    settings::section(&mut draft, &view);
    settings::importance(&mut draft, &view);
    if let Some(found) = &facts.front {
        front::section(&mut draft, &view, found);
    }
    trials::section(&mut draft, &view);
    draft.finish()
}
