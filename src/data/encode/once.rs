//! Labels of sentences, which stand once in each.

use crate::data::UNLABELLED;
use crate::data::encode::labels::LabelColumn;
use crate::data::encode::tags::span;
use crate::data::table::raw::Raw;
use crate::fault::{Fault, quoted};

/// Keeps the labels of the first token of each sentence alone.
///
/// # Errors
/// 65 if the tokens of a sentence have several labels.
pub fn once_a_sentence(raw: &Raw, name: &str, column: &mut LabelColumn) -> Result<(), Fault> {
    let mut first = UNLABELLED;
    for row in 0..column.codes.len() {
        let Some((before, _)) = span(raw, row) else { return Ok(()) };
        let code = column.codes[row];
        if before == 0 {
            first = code;
            continue;
        }
        if code != first {
            let found = format!(
                "column {} has another label than the first token of its sentence",
                quoted(name)
            );
            return Err(Fault::data(raw.locate(row), found)
                .hint("a task with pool needs one label for all tokens of a sentence"));
        }
        column.codes[row] = UNLABELLED;
    }
    Ok(())
}
