//! Rows for each predicate of a sentence, the shape of semantic role labelling: every token of the
//! sentence once more, with the predicate, the distance to it, and the label of the token as its
//! argument.

use std::cell::Cell;

use super::tokens::Sentence;
use crate::fault::{Fault, quoted};

/// The column of the word of the predicate; others of it are `predicate.COLUMN`.
pub const PREDICATE: &str = "predicate";
/// The column of the distance from the predicate to the token.
pub const DISTANCE: &str = "distance";
/// The column of the label of the token as an argument of the predicate.
pub const ARGUMENT: &str = "argument";
/// The largest number of rows that sentences become: for each token …
const ROWS: usize = 64;
/// … and beside.
const MOST_ROWS: usize = 1 << 16;

/// What marks the predicates of a sentence: `COLUMN`, whose cell is not blank, or
/// `COLUMN=VALUE`.
pub struct Predicates {
    column: String,
    value: Option<String>,
    /// Tokens so far, and rows that they became.
    seen: Cell<[usize; 2]>,
}

/// A predicate of a sentence.
pub struct OfPredicate {
    /// Its place among the tokens.
    pub place: usize,
    /// For each token its label as an argument.
    pub arguments: Vec<String>,
}

impl Predicates {
    /// By the setting `data.predicate`.
    pub fn new(setting: &str) -> Predicates {
        let (column, value) = setting.split_once('=').map_or((setting, None), |(column, value)| {
            (column.trim(), Some(value.trim().to_owned()))
        });
        Predicates { column: column.trim().to_owned(), value, seen: Cell::default() }
    }

    /// The setting, for messages.
    pub fn describe(&self) -> String {
        let value = self.value.as_ref().map_or(String::new(), |value| format!("={value}"));
        format!("{}{value}", self.column)
    }

    /// Whether a cell marks a predicate.
    fn marks(&self, cell: &str) -> bool {
        match &self.value {
            Some(value) => cell == value,
            None => !["", "_", "-", "O", "0"].contains(&cell),
        }
    }

    /// The predicates of a sentence, whose first columns have these names.
    ///
    /// # Errors
    /// 65 if there is no such column, or the columns of arguments are not those of the predicates.
    pub fn of(&self, sentence: &Sentence, names: &[String]) -> Result<Vec<OfPredicate>, Fault> {
        let at = |name: &str| names.iter().position(|known| known == name);
        let Some(column) = at(&self.column) else {
            let found = format!("there is no column {} for predicates", quoted(&self.column));
            return Err(Fault::data(&sentence.place, found)
                .hint("name the column in data.columns, or another one in data.predicate"));
        };
        let tokens = &sentence.tokens;
        let width = tokens.first().map_or(0, Vec::len);
        let odd = tokens.iter().position(|t| t.len() != width || width < names.len());
        if let Some(at) = odd {
            let place = format!("{}, token {}", sentence.place, at + 1);
            let found = format!("{} columns, the sentence begins with {width}", tokens[at].len());
            return Err(
                Fault::data(place, found).hint("give every token of a sentence the same columns")
            );
        }
        let cell = |token: usize| tokens[token].get(column).map_or("", String::as_str);
        let places: Vec<usize> = (0..tokens.len()).filter(|i| self.marks(cell(*i))).collect();
        let [before, rows] = self.seen.get();
        let all = [before + tokens.len(), rows + places.len() * tokens.len()];
        self.seen.set(all);
        if all[1] > ROWS * all[0] + MOST_ROWS {
            let found = format!(
                "{} tokens with {} predicates, each token once for each, are too many rows",
                tokens.len(),
                places.len()
            );
            return Err(Fault::data(&sentence.place, found)
                .hint("put a blank line between sentences, and mark predicates alone"));
        }
        let further = width - names.len().min(width);
        if further > 0 && further != places.len() {
            let found = format!("{further} columns of arguments for {} predicates", places.len());
            return Err(Fault::data(&sentence.place, found)
                .hint("give one column for each predicate, behind those of data.columns"));
        }
        let heads = at("id").zip(at("head")).zip(at("deprel"));
        let argument = |number: usize, place: usize, token: usize| -> String {
            let cells = &tokens[token];
            if further > 0 {
                let cell = cells.get(names.len() + number).map_or("", String::as_str);
                return if cell == "_" { "O".into() } else { cell.into() };
            }
            let Some(((id, head), deprel)) = heads else { return String::new() };
            match cells[head] == tokens[place][id] {
                true => cells[deprel].clone(),
                false => "O".to_owned(),
            }
        };
        let of = |(number, place): (usize, usize)| OfPredicate {
            place,
            arguments: (0..tokens.len()).map(|token| argument(number, place, token)).collect(),
        };
        Ok(places.into_iter().enumerate().map(of).collect())
    }
}

/// The distance from a predicate to a token, `0` at the predicate; far ones in classes.
pub fn distance(token: usize, predicate: usize) -> String {
    let (sign, far) = match token < predicate {
        true => ("-", predicate - token),
        false => ("", token - predicate),
    };
    match far {
        0..=5 => format!("{sign}{far}"),
        6..=7 => format!("{sign}6 to {sign}7"),
        8..=10 => format!("{sign}8 to {sign}10"),
        11..=15 => format!("{sign}11 to {sign}15"),
        16..=30 => format!("{sign}16 to {sign}30"),
        _ => format!("{sign}31 and more"),
    }
}
