//! How many files a new kernel, loss, coupling, … touches, and that `docs/adding.md` names them.
//!
//! A section of that page lists files: numbered ones, which have a bound; ones apart, and ones only
//! where needed. What a list has to name follows from an existing thing of its kind, a member:
//! every source file whose code or shader text names the member.

use std::collections::BTreeSet;
use std::path::Path;

use super::plan::sources;

/// A section of the page.
struct Rule {
    /// Its heading.
    section: &'static str,
    /// The most numbered files that it may have.
    bound: usize,
    /// Where its members are looked for.
    within: &'static [&'static str],
    /// Existing things of its kind.
    members: &'static [Member],
}

/// An existing thing, such as a loss.
struct Member {
    /// What `NAME` stands for in the paths of its files.
    name: &'static str,
    /// Words that name it in code; with quotes, a whole text.
    words: &'static [&'static str],
    /// Whether it needs the numbered files, all of them, and none "only where needed".
    is_plain: bool,
}

const fn plain(name: &'static str, words: &'static [&'static str]) -> Member {
    Member { name, words, is_plain: true }
}

const fn special(name: &'static str, words: &'static [&'static str]) -> Member {
    Member { name, words, is_plain: false }
}

const EVERYWHERE: &[&str] = &["src", "shaders"];

const RULES: &[Rule] = &[
    Rule {
        section: "A kernel",
        bound: 3,
        within: EVERYWHERE,
        members: &[
            plain("link_cells", &["link_cells", "LinkCells"]),
            special("label_sums", &["label_sums", "LabelSums"]),
        ],
    },
    Rule {
        section: "A loss",
        bound: 5,
        within: EVERYWHERE,
        members: &[
            plain("quantile", &["Quantile", "\"quantile\"", "QUANTILE"]),
            special("huber", &["Huber", "huber", "HUBER"]),
            special("poisson", &["Poisson", "poisson", "POISSON"]),
        ],
    },
    Rule {
        section: "A coupling",
        bound: 4,
        within: EVERYWHERE,
        members: &[
            plain("agreement", &["Agreement", "agreement"]),
            special("soft_sharing", &["SoftSharing", "soft_sharing", "soft_sharing_direct"]),
        ],
    },
    Rule {
        section: "A balancer",
        bound: 3,
        within: EVERYWHERE,
        members: &[
            plain("fairgrad", &["Fairgrad", "fairgrad", "FAIRGRAD"]),
            special("famo", &["Famo", "famo", "FAMO", "FAMO_AFTER"]),
        ],
    },
    Rule {
        section: "An optimizer",
        bound: 4,
        within: EVERYWHERE,
        members: &[
            plain("sgd", &["Sgd", "sgd", "sgd_direct"]),
            special("adamw", &["AdamW", "adamw"]),
        ],
    },
    Rule {
        section: "A reader",
        bound: 2,
        within: EVERYWHERE,
        members: &[plain("svmlight", &["Svmlight", "svmlight"])],
    },
    Rule {
        section: "A verb",
        bound: 3,
        within: &["src/cli"],
        members: &[
            plain("explain", &["Explain", "explain"]),
            plain("doctor", &["Doctor", "doctor"]),
        ],
    },
    Rule {
        section: "An architecture",
        bound: 3,
        within: EVERYWHERE,
        members: &[
            plain("separate", &["Separate", "separate"]),
            special("branched", &["Branched", "branched", "Gumbel", "GUMBEL"]),
        ],
    },
    Rule {
        section: "A configuration key",
        bound: 1,
        within: &["src/config"],
        members: &[
            plain("histograms", &["histograms"]),
            plain("min_count", &["min_count"]),
            plain("evaluate_every", &["evaluate_every"]),
        ],
    },
    Rule {
        section: "A message",
        bound: 1,
        within: EVERYWHERE,
        members: &[special("in use by another process", &["Busy"])],
    },
];

/// An item of a list: the files or folders that its first words link to, any of which may be meant.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    paths: Vec<String>,
    group: Group,
}

impl Entry {
    /// Whether a file is meant by it, for a member.
    fn covers(&self, member: &Member, file: &str) -> bool {
        self.paths
            .iter()
            .map(|path| path.replace("NAME", member.name))
            .any(|path| if path.ends_with('/') { file.starts_with(&path) } else { file == path })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Group {
    Numbered,
    Apart,
    OnlyWhereNeeded,
}

/// Texts of the links in a line, which are the paths of files.
fn links(text: &str) -> Vec<String> {
    let found = text.split('[').skip(1).filter_map(|part| part.split_once("](../"));
    found.map(|(path, _)| path.to_owned()).collect()
}

/// The lists of a section of the page.
fn entries(page: &str, section: &str) -> Vec<Entry> {
    let heading = format!("\n## {section}\n");
    let begin = page.find(&heading).unwrap_or_else(|| panic!("no section {section}"));
    let body = page[begin + heading.len()..].split("\n## ").next().unwrap_or_default();
    let mut group = Group::Numbered;
    let mut items: Vec<(Group, String)> = Vec::new();
    for line in body.lines() {
        match line {
            _ if line.starts_with("**Apart") => group = Group::Apart,
            _ if line.starts_with("**Only") => group = Group::OnlyWhereNeeded,
            _ if line.starts_with("- ") || line.starts_with(|c: char| c.is_ascii_digit()) => {
                items.push((group, line.to_owned()))
            }
            _ if line.starts_with("  ") => {
                if let Some((_, item)) = items.last_mut() {
                    item.push(' ');
                    item.push_str(line.trim());
                }
            }
            _ => {}
        }
    }
    let entry = |(group, item): (Group, String)| {
        let paths = links(item.split("): ").next().unwrap_or_default());
        assert!(!paths.is_empty(), "{section}: no file before the colon: {item}");
        Entry { paths, group }
    };
    items.into_iter().map(entry).collect()
}

/// The text without its comments, line by line; texts in quotes stay.
fn uncommented(text: &str) -> String {
    let code = |line: &str| -> String {
        let mut in_text = false;
        let bytes = line.as_bytes();
        for (i, byte) in bytes.iter().enumerate() {
            let is_escaped = i > 0 && bytes[i - 1] == b'\\';
            let is_character = i > 0 && bytes[i - 1] == b'\'' && bytes.get(i + 1) == Some(&b'\'');
            in_text ^= *byte == b'"' && !is_escaped && !is_character;
            if !in_text && bytes[i..].starts_with(b"//") {
                return line[..i].to_owned();
            }
        }
        line.to_owned()
    };
    text.lines().map(|line| code(line) + "\n").collect()
}

/// Whether a word stands in the text by itself.
fn names(text: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(i, _)| {
        let (before, after) = (&text[..i], &text[i + word.len()..]);
        word.starts_with('"') || !(before.ends_with(is_word) || after.starts_with(is_word))
    })
}

/// Source files and shaders by path, without their comments.
type Files = Vec<(String, String)>;

fn files() -> Files {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: String| {
        let text = std::fs::read_to_string(root.join(&path)).unwrap();
        (path, uncommented(&text))
    };
    let rust = sources(&root.join("src"), "src/");
    let shaders =
        ["shaders/", "shaders/software/", "shaders/tiles/", "shaders/matrix/", "shaders/balance/"];
    let shaders = shaders.iter().flat_map(|folder| {
        let entries = std::fs::read_dir(root.join(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".wgsl")).map(move |name| format!("{folder}{name}"))
    });
    rust.into_iter().chain(shaders).map(read).collect()
}

/// Files that name a member.
fn touched<'a>(files: &'a Files, rule: &Rule, member: &Member) -> BTreeSet<&'a str> {
    let is_within = |path: &str| rule.within.iter().any(|folder| path.starts_with(folder));
    let named = |text: &str| member.words.iter().any(|word| names(text, word));
    let found = files.iter().filter(|(path, text)| is_within(path) && named(text));
    found.map(|(path, _)| path.as_str()).collect()
}

/// What is wrong with the lists of a section.
fn findings(entries: &[Entry], rule: &Rule, files: &Files) -> Vec<String> {
    let mut found = Vec::new();
    let section = rule.section;
    let count = entries.iter().filter(|entry| entry.group == Group::Numbered).count();
    let most = rule.bound;
    if count > most {
        found.push(format!("{section}: {count} numbered files, at most {most} allowed"));
    }
    for member in rule.members {
        found.extend(of_member(entries, rule, member, files));
    }
    for entry in entries.iter().filter(|entry| entry.group != Group::Apart) {
        let is_named = |member: &Member| {
            touched(files, rule, member).iter().any(|file| entry.covers(member, file))
        };
        if !rule.members.iter().any(is_named) {
            found.push(format!("{section}: {:?} names no member", entry.paths));
        }
    }
    found
}

/// What a member shows to be wrong with the lists.
fn of_member(entries: &[Entry], rule: &Rule, member: &Member, files: &Files) -> Vec<String> {
    let (section, name) = (rule.section, member.name);
    let mut found = Vec::new();
    let mut left = touched(files, rule, member);
    // Files first: what is left for a folder is not listed by itself.
    let is_folder = |entry: &&Entry| entry.paths.iter().any(|path| path.ends_with('/'));
    let (folders, single): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(is_folder);
    for entry in single.into_iter().chain(folders) {
        let here: Vec<&str> =
            left.iter().copied().filter(|file| entry.covers(member, file)).collect();
        left.retain(|file| !here.contains(file));
        let what = match entry.group {
            Group::Numbered if here.len() > 1 => "is more than one file",
            Group::Numbered if here.is_empty() && member.is_plain => "does not name it",
            Group::OnlyWhereNeeded if !here.is_empty() && member.is_plain => "names it",
            _ => continue,
        };
        found.push(format!("{section}, {name}: {:?} {what}: {here:?}", entry.paths));
    }
    found.extend(left.iter().map(|file| format!("{section}, {name}: {file} is not in the list")));
    found
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/adding.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn lists_name_what_is_touched_and_keep_their_bounds() {
    let (page, files) = (page(), files());
    assert!(files.len() > 250, "{} files", files.len());
    let found: Vec<String> = RULES
        .iter()
        .flat_map(|rule| findings(&entries(&page, rule.section), rule, &files))
        .collect();
    assert!(found.is_empty(), "docs/adding.md:\n{}", found.join("\n"));
    let sections = page.lines().filter(|line| line.starts_with("## ")).count();
    assert_eq!(sections, RULES.len(), "a section without a rule");
}

#[test]
fn every_file_of_the_lists_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = page();
    for rule in RULES {
        for path in entries(&page, rule.section).iter().flat_map(|entry| &entry.paths) {
            let mut members = rule.members.iter().map(|member| path.replace("NAME", member.name));
            let is_there = members.any(|path| root.join(path).exists());
            // A package of the crate is without the fuzz targets.
            assert!(is_there || path == "fuzz/", "{}: there is no {path}", rule.section);
        }
    }
}

// The tests can fail.

const KINDS: Rule = Rule {
    section: "A kind",
    bound: 2,
    within: EVERYWHERE,
    members: &[plain("one", &["One", "\"one\""])],
};

fn kinds() -> Files {
    let files = [
        ("src/kinds/one.rs", "struct One;"),
        ("src/kinds/mod.rs", "use one::One;"),
        ("src/run/show.rs", "// One is not named here\nlet OneMore = 1;"),
    ];
    files.map(|(path, text)| (path.to_owned(), uncommented(text))).into()
}

const PAGE: &str = "# Adding\n\n## A kind\n\n\
                    1. [src/kinds/NAME.rs](../src/kinds/): the\n   thing.\n\
                    2. [src/kinds/mod.rs](../src/kinds/mod.rs): a line, see [x](../x).\n\n\
                    **Apart:**\n\n- [tests/kinds.rs](../tests/kinds.rs): a test.\n";

#[test]
fn a_file_that_a_list_lacks_is_found() {
    let entries = entries(PAGE, "A kind");
    let paths: Vec<_> = entries.iter().map(|entry| entry.paths.join(" ")).collect();
    assert_eq!(paths, ["src/kinds/NAME.rs", "src/kinds/mod.rs", "tests/kinds.rs"]);
    assert_eq!(findings(&entries, &KINDS, &kinds()), Vec::<String>::new());
    for lost in 0..2 {
        let mut fewer = entries.clone();
        let gone = fewer.remove(lost).paths[0].replace("NAME", "one");
        let expected = format!("A kind, one: {gone} is not in the list");
        assert_eq!(findings(&fewer, &KINDS, &kinds()), [expected]);
    }
    let mut more = kinds();
    more.push(("src/run/other.rs".into(), "match kind { \"one\" => 1 }".into()));
    let expected = "A kind, one: src/run/other.rs is not in the list";
    assert_eq!(findings(&entries, &KINDS, &more), [expected]);
}

#[test]
fn a_list_that_is_too_long_or_names_too_much_is_found() {
    let long =
        PAGE.replace("\n\n**Apart", "\n3. [src/run/show.rs](../src/run/show.rs): it.\n\n**Apart");
    let found = findings(&entries(&long, "A kind"), &KINDS, &kinds());
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].contains("3 numbered files, at most 2 allowed"), "{found:?}");
    assert!(found[1].contains("\"src/run/show.rs\"] does not name it"), "{found:?}");
    assert!(found[2].contains("\"src/run/show.rs\"] names no member"), "{found:?}");
}

#[test]
fn a_folder_is_one_file() {
    let page = PAGE.replace("[src/kinds/mod.rs](../src/kinds/mod.rs)", "[src/run/](../src/run/)");
    let mut files = kinds();
    files.remove(1);
    files.push(("src/run/here.rs".into(), "One".into()));
    assert_eq!(findings(&entries(&page, "A kind"), &KINDS, &files), Vec::<String>::new());
    files.push(("src/run/there.rs".into(), "One".into()));
    let found = findings(&entries(&page, "A kind"), &KINDS, &files);
    assert!(found.len() == 1 && found[0].contains("is more than one file"), "{found:?}");
}

#[test]
fn comments_name_nothing_and_texts_do() {
    let text = "let a = \"https://one\"; // two\nlet b = '\"'; // three\nlet c = \"\\\"four\";";
    let text = uncommented(text);
    let named = ["one", "two", "three", "four"].map(|word| names(&text, word));
    assert_eq!(named, [true, false, false, true], "{text}");
    assert!(!names("soft_sharing", "sharing") && names("soft_sharing()", "soft_sharing"));
}
