//! What is made of a word: its small letters, its beginnings and ends, and its shape.

/// The first `length` letters of a word, or all of it.
pub fn prefix(word: &str, length: usize) -> &str {
    word.char_indices().nth(length).map_or(word, |(end, _)| &word[..end])
}

/// The last `length` letters of a word, or all of it.
pub fn suffix(word: &str, length: usize) -> &str {
    let mut starts = word.char_indices().rev().map(|(start, _)| start);
    starts.nth(length.saturating_sub(1)).map_or(word, |start| &word[start..])
}

/// The shape of a word: `X` for a capital letter, `x` for another letter, `d` for a digit, other
/// signs as they are; of more than two equal ones in a row there are two. `McDonald-12` is
/// `XxXxx-dd`.
pub fn shape(word: &str) -> String {
    let mut shape = String::new();
    let (mut last, mut run) = (None, 0);
    for letter in word.chars() {
        let kind = match letter {
            _ if letter.is_uppercase() => 'X',
            _ if letter.is_alphabetic() => 'x',
            _ if letter.is_numeric() => 'd',
            _ => letter,
        };
        run = if last == Some(kind) { run + 1 } else { 1 };
        last = Some(kind);
        if run <= 2 {
            shape.push(kind);
        }
    }
    shape
}
