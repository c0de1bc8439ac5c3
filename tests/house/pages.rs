//! The pages: their width, the size of the first one, where their links lead, and that every key of
//! a configuration has its line.

use std::path::{Path, PathBuf};

use tandem::config::known;

/// The longest line, in characters.
const COLUMNS: usize = 100;
/// The largest README, in bytes: it holds what a user wants first.
const README: u64 = 9_000;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages of the project.
fn pages() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path());
    let others =
        ["README.md", "ARCHITECTURE.md", "benches/conflict/README.md", "benches/peers/README.md"];
    let others = others.into_iter().chain(["tests/pytorch/README.md", "src/data/images/DIGITS.md"]);
    let mut pages: Vec<PathBuf> = others.map(|name| root().join(name)).chain(docs).collect();
    pages.sort();
    pages
}

/// Lines of a page that are wider than they may be, by number.
fn wide(page: &str) -> Vec<usize> {
    let lines = page.lines().enumerate();
    lines.filter(|(_, line)| line.chars().count() > COLUMNS).map(|(i, _)| i + 1).collect()
}

/// Targets of the links of a page that lead to files or headings of the project.
fn links(page: &str) -> Vec<&str> {
    let targets = page.split("](").skip(1).filter_map(|part| part.split(')').next());
    targets.filter(|target| !target.contains("://")).collect()
}

/// What a heading is called in links: small letters, words joined by hyphens.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Links of a page that lead nowhere; `read` gives the page at a path, or an empty text for a file
/// of another kind, if there is one.
fn dead<'p>(page: &'p str, here: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Vec<&'p str> {
    let leads = |target: &&str| {
        let (path, heading) = target.split_once('#').unwrap_or((target, ""));
        let page = if path.is_empty() {
            Some(page.to_owned())
        } else {
            read(&here.parent().unwrap_or(here).join(path))
        };
        let has_heading = |page: String| {
            let mut headings = page.lines().filter(|line| line.starts_with('#'));
            heading.is_empty() || headings.any(|line| anchor(line) == heading)
        };
        page.is_some_and(has_heading)
    };
    links(page).into_iter().filter(|target| !leads(target)).collect()
}

#[test]
fn lines_of_pages_keep_their_width() {
    for path in pages() {
        let found = wide(&std::fs::read_to_string(&path).unwrap());
        assert!(found.is_empty(), "{}: lines {found:?} are too wide", path.display());
    }
    let bytes = root().join("README.md").metadata().unwrap().len();
    assert!(bytes <= README, "README.md has {bytes} bytes: what is not wanted first is for docs/");
}

#[test]
fn links_lead_somewhere() {
    let read = |path: &Path| {
        let is_page = path.extension().is_some_and(|ending| ending == "md");
        if is_page { std::fs::read_to_string(path).ok() } else { path.exists().then(String::new) }
    };
    let mut seen = 0;
    for path in pages() {
        let page = std::fs::read_to_string(&path).unwrap();
        seen += links(&page).len();
        let found = dead(&page, &path, &read);
        assert!(found.is_empty(), "{}: links to nowhere: {found:#?}", path.display());
    }
    assert!(seen > 150, "{seen} links");
}

/// Keys that no code of a page names.
fn unnamed<'k>(page: &str, keys: impl Iterator<Item = &'k str>) -> Vec<&'k str> {
    let code: Vec<&str> = page.split('`').skip(1).step_by(2).collect();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let is_named =
        |key: &&str| code.iter().any(|code| code.split(|c| !is_word(c)).any(|w| w == *key));
    keys.filter(|key| !is_named(key)).collect()
}

#[test]
fn every_key_of_a_configuration_has_a_line() {
    let page = std::fs::read_to_string(root().join("docs/config.md")).unwrap();
    let keys: Vec<&str> = known().into_iter().flat_map(|table| table.keys).collect();
    assert!(keys.len() > 80, "{keys:?}");
    assert_eq!(unnamed(&page, keys.into_iter()), Vec::<&str>::new(), "docs/config.md lacks keys");
}

// The tests can fail.

#[test]
fn wide_lines_and_dead_links_are_found() {
    assert_eq!(wide(&format!("short\n{}\n{}", "é".repeat(100), "a".repeat(101))), [3]);
    let page = "# A page\n\n[a](b.md) [c](b.md#two-words) [d](#a-page) [e](c.md) [f](b.md#three)\n";
    let read = |path: &Path| {
        (path == Path::new("docs/b.md")).then(|| "# One\n\n## Two `words`\n".to_owned())
    };
    assert_eq!(dead(page, Path::new("docs/a.md"), &read), ["c.md", "b.md#three"]);
}

#[test]
fn a_key_without_a_line_is_found() {
    let page = "split and `split_seed` (default `0`): `clip = 2.0`";
    assert_eq!(unnamed(page, ["split", "split_seed", "clip"].into_iter()), ["split"]);
}
