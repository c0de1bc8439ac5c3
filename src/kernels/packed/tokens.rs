//! The tokens of a WGSL text.

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or a keyword.
    Word,
    /// A literal that begins with a digit.
    Number,
    /// Any other character.
    Mark,
}

/// A token with its place in the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'t> {
    pub kind: Kind,
    pub text: &'t str,
    /// The byte where it begins.
    pub begin: usize,
}

impl Token<'_> {
    /// The byte behind it.
    pub fn end(&self) -> usize {
        self.begin + self.text.len()
    }

    /// Whether it is this word or mark.
    pub fn is(&self, text: &str) -> bool {
        self.kind != Kind::Number && self.text == text
    }
}

/// The number of the line that holds a byte, from 1.
pub(crate) fn line(source: &str, byte: usize) -> usize {
    1 + source.as_bytes()[..byte.min(source.len())].iter().filter(|b| **b == b'\n').count()
}

/// The tokens of a text, without blanks and comments.
///
/// # Errors
/// A comment that does not end; a character that WGSL does not have outside of comments.
pub(crate) fn tokens(source: &str) -> Result<Vec<Token<'_>>, String> {
    let bytes = source.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest[0].is_ascii_whitespace() {
            at += 1;
        } else if rest.starts_with(b"//") {
            at += rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
        } else if rest.starts_with(b"/*") {
            at += block_comment(rest)
                .ok_or_else(|| format!("line {}: a comment without an end", line(source, at)))?;
        } else if !rest[0].is_ascii() {
            let line = line(source, at);
            return Err(format!("line {line}: a letter beyond ASCII outside of a comment"));
        } else {
            let (kind, len) = token(rest);
            found.push(Token { kind, text: &source[at..at + len], begin: at });
            at += len;
        }
    }
    Ok(found)
}

/// The kind and the length of the token that a text begins with.
fn token(rest: &[u8]) -> (Kind, usize) {
    let run = |is: fn(u8) -> bool| rest.iter().position(|b| !is(*b)).unwrap_or(rest.len());
    match rest[0] {
        b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
            (Kind::Word, run(|b| b.is_ascii_alphanumeric() || b == b'_'))
        }
        b'0'..=b'9' => (Kind::Number, run(|b| b.is_ascii_alphanumeric() || b == b'.')),
        _ => (Kind::Mark, 1),
    }
}

/// The length of a comment in `/*` and `*/`, which may hold others.
fn block_comment(rest: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (0, 0);
    while at + 1 < rest.len() {
        match &rest[at..at + 2] {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_numbers_are_no_words() {
        let text = "a /* b /* c */ d */ 1.5e3 // e\n.f[0u].x -> 0x7fu";
        let words: Vec<&str> =
            tokens(text).unwrap().iter().filter(|t| t.kind == Kind::Word).map(|t| t.text).collect();
        assert_eq!(words, ["a", "f", "x"]);
    }

    #[test]
    fn a_comment_without_an_end_is_refused() {
        assert_eq!(tokens("a\n/* b").unwrap_err(), "line 2: a comment without an end");
    }

    #[test]
    fn a_letter_beyond_ascii_is_refused_outside_of_comments() {
        assert!(tokens("// é").is_ok());
        assert!(tokens("let é = 1;").is_err());
    }
}
