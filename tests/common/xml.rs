//! Whether a text is well-formed XML, as far as pictures need it.

use std::collections::BTreeSet;

/// Whether a text of XML is well-formed: every `&` begins an entity.
fn is_text(text: &str) -> bool {
    let entities = text
        .split('&')
        .skip(1)
        .all(|after| ["amp;", "lt;", "gt;", "quot;"].iter().any(|e| after.starts_with(e)));
    entities && !text.contains(['<', '>']) && !text.chars().any(|c| c.is_control() && c != '\n')
}

/// The name of a tag, if its attributes are in order.
fn tag_name(tag: &str) -> Result<&str, String> {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    let mut names = BTreeSet::new();
    while !rest.is_empty() {
        let (attribute, after) =
            rest.split_once("=\"").ok_or_else(|| format!("<{tag}>: no value"))?;
        let (value, after) =
            after.split_once('"').ok_or_else(|| format!("<{tag}>: no end of a value"))?;
        let is_name = !attribute.is_empty()
            && attribute.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !is_name || !names.insert(attribute) || !is_text(value) {
            return Err(format!("<{tag}>: {attribute}"));
        }
        rest = after.strip_prefix(' ').unwrap_or(after);
        if rest.len() == after.len() && !rest.is_empty() {
            return Err(format!("<{tag}>: no space after {attribute}"));
        }
    }
    Ok(name)
}

/// The elements of a well-formed document, in the order in which they begin.
pub fn elements(xml: &str) -> Result<Vec<String>, String> {
    let (mut found, mut open) = (Vec::new(), Vec::new());
    for (number, piece) in xml.split('<').enumerate() {
        let Some((tag, after)) = piece.split_once('>').filter(|_| number > 0) else {
            if piece.trim().is_empty() && number == 0 {
                continue;
            }
            return Err(format!("not in a tag: {piece}"));
        };
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop().as_deref() != Some(name) {
                return Err(format!("</{name}> ends another element"));
            }
        } else {
            let name = tag_name(tag.trim_end_matches('/'))?.to_owned();
            found.push(name.clone());
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
        if !is_text(after) || (open.is_empty() && !after.trim().is_empty()) {
            return Err(format!("after <{tag}>: {after}"));
        }
    }
    if open.is_empty() && !found.is_empty() {
        Ok(found)
    } else {
        Err(format!("not closed: {open:?}"))
    }
}
