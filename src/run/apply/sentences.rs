//! Sentences written as they were read, with the predictions: those of tokens are further columns,
//! those of sentences comments before the first token.

use std::io::{Result, Write};

use super::predicted::{Predicted, Prediction};
use crate::data::tokens::Written;

/// Writes sentences with the predictions of tasks; `written` are the lines of all sentences, in the
/// order of the rows.
///
/// # Errors
/// Errors of the writer.
pub(super) fn write(to: &mut impl Write, tasks: &[Predicted], written: &[Written]) -> Result<()> {
    let (of_sentences, of_tokens): (Vec<&Predicted>, Vec<&Predicted>) =
        tasks.iter().partition(|task| !task.firsts.is_empty());
    let mut first = 0;
    for sentence in written {
        let tokens = sentence.lines.iter().filter(|(_, is_token)| *is_token).count();
        let (mut token, mut begun) = (0, false);
        for (line, is_token) in &sentence.lines {
            // A prediction of before is replaced.
            if !is_token && of_sentences.iter().any(|task| is_key(line, &predicted(task))) {
                continue;
            }
            let is_comment = line.starts_with('#') || line.is_empty();
            if (*is_token || !is_comment) && !begun {
                begun = true;
                for task in of_sentences.iter().filter(|_| sentence.copies > 0) {
                    comment(to, task, first, sentence)?;
                }
            }
            write!(to, "{line}")?;
            let sign = if line.contains('\t') || !line.contains(' ') { '\t' } else { ' ' };
            for copy in (0..sentence.copies).filter(|_| begun) {
                for task in &of_tokens {
                    match is_token {
                        true => {
                            let row = first + copy * tokens + token;
                            write!(to, "{sign}{}", text(task.prediction(row)))?;
                        }
                        false => write!(to, "{sign}_")?,
                    }
                }
            }
            token += usize::from(*is_token);
            writeln!(to)?;
        }
        writeln!(to)?;
        first += sentence.copies * tokens;
    }
    Ok(())
}

/// The comment with a prediction for a sentence. Where the file has a comment of its name, it is
/// `NAME.predicted`.
fn comment(to: &mut impl Write, task: &Predicted, row: usize, sentence: &Written) -> Result<()> {
    let name = &task.head.name;
    let is_there = sentence.lines.iter().any(|(line, _)| is_key(line, name));
    let name = if is_there { predicted(task) } else { name.clone() };
    writeln!(to, "# {name} = {}", text(task.prediction(row)))
}

/// The key of a prediction beside a label of the name of the task.
fn predicted(task: &Predicted) -> String {
    format!("{}.predicted", task.head.name)
}

/// Whether a line is a comment that begins with a key.
fn is_key(line: &str, key: &str) -> bool {
    let found = line.strip_prefix('#').and_then(|rest| rest.split_once('='));
    found.is_some_and(|(found, _)| found.trim_start_matches('#').trim() == key)
}

/// A prediction as one word.
fn text(prediction: Prediction) -> String {
    match prediction {
        Prediction::Class(class, _) => class.to_owned(),
        Prediction::Tag(tag) => tag.to_owned(),
        Prediction::Numbers(numbers) => {
            let numbers: Vec<String> = numbers.iter().map(|x| (*x as f32).to_string()).collect();
            numbers.join("|")
        }
    }
}
