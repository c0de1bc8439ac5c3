//! Breaks lines of WGSL at 100 columns.

/// The longest line, in characters.
const WIDTH: usize = 100;

/// The text with long lines broken: comments between words, code before an operator or behind a
/// comma. Nothing but its layout changes.
pub fn fit(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out: Vec<String> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let comments = lines[at..].iter().take_while(|line| is_comment(line)).count();
        if comments > 0 {
            out.extend(fit_comment(&lines[at..at + comments]));
        } else {
            fit_code(lines[at], &mut out);
        }
        at += comments.max(1);
    }
    out.join("\n") + "\n"
}

/// The spaces at the beginning of a line.
fn indent(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

fn is_long(line: &str) -> bool {
    line.chars().count() > WIDTH
}

/// The lines of a block of comments; a paragraph with a long line is filled anew.
fn fit_comment(lines: &[&str]) -> Vec<String> {
    let text = |line: &&str| line.trim_start().trim_start_matches('/').trim().to_owned();
    let paragraphs = lines.split(|line| text(line).is_empty());
    let mut out = Vec::new();
    for (number, paragraph) in paragraphs.enumerate() {
        let before = indent(lines[0]);
        if number > 0 {
            out.push(format!("{before}//"));
        }
        if paragraph.iter().any(|line| is_long(line)) {
            let words = paragraph.iter().map(text).collect::<Vec<_>>().join(" ");
            out.extend(filled(&format!("{before}// "), &words));
        } else {
            out.extend(paragraph.iter().map(|line| line.to_string()));
        }
    }
    out
}

/// Words in lines that begin with a prefix.
fn filled(prefix: &str, words: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut line = prefix.to_owned();
    for word in words.split(' ') {
        let wide = line.chars().count() + 1 + word.chars().count() > WIDTH;
        if wide && line.len() > prefix.len() {
            out.push(line.trim_end().to_owned());
            line = prefix.to_owned();
        }
        if line.len() > prefix.len() {
            line.push(' ');
        }
        line += word;
    }
    out.push(line);
    out
}

/// Appends a line of code, broken where it is long.
fn fit_code(line: &str, out: &mut Vec<String>) {
    if !is_long(line) {
        out.push(line.to_owned());
        return;
    }
    if let Some((code, comment)) = line.split_once(" // ") {
        out.extend(filled(&format!("{}// ", indent(line)), comment.trim()));
        return fit_code(code.trim_end(), out);
    }
    let continued = format!("{}    ", indent(line));
    let mut rest = line.to_owned();
    while is_long(&rest) {
        let Some(end) = seam(&rest) else { break };
        out.push(rest[..end].trim_end().to_owned());
        rest = format!("{continued}{}", rest[end..].trim_start());
    }
    out.push(rest);
}

/// The last place within the width where a line may be broken.
fn seam(line: &str) -> Option<usize> {
    let limit = line.char_indices().nth(WIDTH).map_or(line.len(), |(at, _)| at);
    let first = indent(line).len() + 1;
    let operators = [" + ", " - ", " || ", " && "];
    let before = operators.iter().filter_map(|o| line[..limit].rfind(o));
    let behind = line[..limit].rfind(", ").map(|at| at + 1);
    before.chain(behind).filter(|at| *at > first).max()
}
