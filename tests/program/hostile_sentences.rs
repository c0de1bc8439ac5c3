//! Malicious and broken files of sentences, given to the program itself, within the limits of time
//! and memory of `hostile.rs`.

#![cfg(target_os = "linux")]

use crate::hostile::{Case, Place, TRAIN, check, gzip};

/// Settings for tokens with a tag.
const TAGS: &str = "columns = [\"word\", \"tag\"]\n[task.tag]\ntype = \"tags\"\n";
/// Settings for trees.
const TREES: &str = "[task.upos]\n";

/// A file of sentences, and a configuration that trains on it.
fn put(place: &Place, name: &str, settings: &str, bytes: impl AsRef<[u8]>) {
    place.put(name, bytes);
    let text = format!(
        "[data]\ntrain = \"{name}\"\nsplit = [1.0, 0.0, 0.0]\n{settings}[trunk]\nlayers = \
         [4]\n[train]\nepochs = 1\n"
    );
    place.put("net.toml", text);
}

fn tags(place: &Place, bytes: impl AsRef<[u8]>) {
    put(place, "s.conll", TAGS, bytes);
}

fn trees(place: &Place, bytes: impl AsRef<[u8]>) {
    put(place, "s.conllu", TREES, bytes);
}

fn roles(place: &Place, bytes: impl AsRef<[u8]>) {
    let settings = "columns = [\"word\", \"mark\"]\npredicate = \"mark\"\n[task.argument]\n";
    put(place, "s.conll", settings, bytes);
}

fn lines(place: &Place, bytes: impl AsRef<[u8]>) {
    let settings = "format = \"lines\"\ncolumns = [\"word\", \"tag\"]\n[task.tag]\n";
    put(place, "s.txt", settings, bytes);
}

/// Tags of the scheme BIO, said to be of another one.
fn schemes(place: &Place, scheme: &str) {
    put(place, "s.conll", &format!("{TAGS}scheme = \"{scheme}\"\n"), "a\tB-X\nb\tO\n");
}

/// Sentences whose words begin with the vectors of a file.
fn vectors(place: &Place, bytes: impl AsRef<[u8]>) {
    let settings = format!("{TAGS}[feature.\"word.lower\"]\nvectors = \"v.txt\"\nmin_count = 1\n");
    put(place, "s.conll", &settings, "a\tB-X\nb\tO\n\nb\tO\n");
    place.put("v.txt", bytes);
}

/// A line of a tree with these lists.
fn leaf(number: usize, feats: &str) -> String {
    format!("{number}\ta\ta\tNOUN\t_\t{feats}\t0\troot\t_\t_\n")
}

const CASES: &[Case] = &[
    ("no byte", |p| tags(p, ""), TRAIN, 65, "s.conll: the file has no sentence"),
    ("comments alone", |p| tags(p, "# a = b\n\n#\n"), TRAIN, 65, "the file has no sentence"),
    ("a column less", |p| tags(p, "a\tO\nb\n"), TRAIN, 65, "s.conll:2: 1 columns"),
    ("a column more", |p| tags(p, "a O\n\nb O X\n"), TRAIN, 65, "s.conll:3: 3 columns"),
    ("columns without names", |p| tags(p, "a O X\n"), TRAIN, 65, "data.columns names 2"),
    (
        "100,000 columns",
        |p| put(p, "s.conll", "[task.1]\n", "a ".repeat(100_000)),
        TRAIN,
        65,
        "s.conll:1: more than 4096 columns",
    ),
    (
        "a sentence of 70,000 tokens",
        |p| tags(p, "a\tO\n".repeat(70_000)),
        TRAIN,
        65,
        "s.conll:1: a sentence of more than 65535 tokens",
    ),
    (
        "a line of 20 MB",
        |p| tags(p, "a".repeat(20 << 20)),
        TRAIN,
        65,
        "s.conll:1: the line is longer than 16777216 bytes",
    ),
    (
        "a token of 1 MB",
        |p| tags(p, format!("{}\tO\n", "a".repeat(1 << 20))),
        TRAIN,
        65,
        "s.conll:1: a cell of 1048576 bytes",
    ),
    (
        "a comment of 20 MB",
        |p| tags(p, format!("# {}\na\tO\n", "a".repeat(20 << 20))),
        TRAIN,
        65,
        "s.conll:1: the line is longer",
    ),
    (
        "100,000 comments",
        |p| tags(p, "# a = b\n".repeat(100_000) + "a\tO\n"),
        TRAIN,
        65,
        "s.conll:1025: more than 1024 values before a sentence",
    ),
    (
        "long comments about 60,000 tokens",
        |p| {
            let comment = |i: usize| format!("# k{i} = {}\n", "v".repeat(250));
            tags(p, (0..1000).map(comment).collect::<String>() + &"a\tO\n".repeat(60_000))
        },
        TRAIN,
        65,
        "comments with 250000 bytes of values, which each token would have",
    ),
    ("binary", |p| tags(p, b"\x7fELF\x02\x01\x01\0\0\0"), TRAIN, 65, "s.conll:1: a NUL byte"),
    ("Latin-1", |p| tags(p, b"a\tO\n\nf\xfcr\tO\n"), TRAIN, 65, "s.conll:3: the byte 0xFC"),
    ("UTF-16", |p| tags(p, b"\xff\xfea\0\t\0O\0\n\0"), TRAIN, 65, "UTF-16"),
    (
        "a gzip bomb",
        |p| put(p, "s.conll.gz", TAGS, gzip(&b"# ------------\n".repeat(4 << 20))),
        TRAIN,
        65,
        "s.conll.gz: the gzip stream unpacks to more than 200 times",
    ),
    (
        "half a gzip stream",
        |p| {
            let whole = gzip(&b"a\tO\n\n".repeat(1000));
            put(p, "s.conll.gz", TAGS, &whole[..whole.len() / 2])
        },
        TRAIN,
        65,
        "s.conll.gz: the gzip stream is truncated",
    ),
    (
        "10,000 features",
        |p| trees(p, (1..=10_000).map(|i| leaf(i, &format!("F{i}=v"))).collect::<String>()),
        TRAIN,
        65,
        "columns, most of them of keys in lists or comments that few tokens have",
    ),
    (
        "features that one token of many has",
        |p| {
            let keys: Vec<String> = (0..4000).map(|i| format!("F{i}=v")).collect();
            let rest = (0..200_000).map(|_| "1\ta\n\n").collect::<String>();
            let settings = "columns = [\"id\", \"form\", \"feats\"]\n[task.id]\n";
            let first = format!("1\ta\t{}\n\n", keys.join("|"));
            put(p, "s.conllu", settings, first + &rest.replace("1\ta\n", "1\ta\t_\n"))
        },
        TRAIN,
        65,
        "columns, most of them of keys in lists or comments that few tokens have",
    ),
    ("no predicate", |p| roles(p, "a _\nb _\n"), TRAIN, 65, "no token is a predicate by mark"),
    (
        "arguments of a predicate that is not there",
        |p| roles(p, "a x A0 A1\nb _ O O\n"),
        TRAIN,
        65,
        "s.conll:1: 2 columns of arguments for 1 predicates",
    ),
    (
        "all of 2,000 tokens are predicates",
        |p| roles(p, "a x\n".repeat(2000)),
        TRAIN,
        65,
        "2000 tokens with 2000 predicates, each token once for each, are too many rows",
    ),
    (
        "many sentences of predicates",
        |p| roles(p, ("a x\n".repeat(200) + "\n").repeat(2000)),
        TRAIN,
        65,
        "are too many rows",
    ),
    (
        "another column for predicates",
        |p| put(p, "s.conll", "predicate = \"verb\"\n[task.argument]\n", "a x\n"),
        TRAIN,
        65,
        "there is no column \"verb\" for predicates",
    ),
    (
        "no column for words",
        |p| put(p, "s.conll", "word = \"7\"\n[task.1]\n", "a x\nb y\n"),
        TRAIN,
        65,
        "s.conll:1: 2 columns, and none is \"7\", which holds the words",
    ),
    (
        "no column for labels",
        |p| put(p, "s.conll", "columns = [\"word\"]\n[task.tag]\n", "a\nb\n"),
        TRAIN,
        78,
        "tag",
    ),
    (
        "labels that are no tags",
        |p| tags(p, "a NOUN\nb VERB\n"),
        TRAIN,
        78,
        "task.tag.type: \"NOUN\" (",
    ),
    (
        "labels of sentences that differ within one",
        |p| {
            put(
                p,
                "s.conll",
                "columns = [\"word\", \"tag\"]\n[task.tag]\npool = \"max\"\n",
                "a O\nb X\n",
            )
        },
        TRAIN,
        65,
        "s.conll:2: column \"tag\" has another label than the first token of its sentence",
    ),
    ("vectors of no numbers", |p| vectors(p, "a\nb\n"), TRAIN, 65, "v.txt: vectors of 0 numbers"),
    (
        "vectors of 100,000 numbers",
        |p| vectors(p, format!("a{}\n", " 1".repeat(100_000))),
        TRAIN,
        65,
        "v.txt: vectors of 100000 numbers",
    ),
    (
        "a vector in a line of 4 MB",
        |p| vectors(p, "1".repeat(4 << 20)),
        TRAIN,
        65,
        "v.txt:1: the line is longer",
    ),
    (
        "vectors of several widths",
        |p| vectors(p, "a 1 2\nb 1 2 3\n"),
        TRAIN,
        65,
        "v.txt:2: 3 numbers for \"b\", the vectors before have 2",
    ),
    (
        "an infinite vector",
        |p| vectors(p, "a 1 inf\nb 1 2\n"),
        TRAIN,
        65,
        "v.txt:1: \"inf\" is not",
    ),
    (
        "vectors that are said to be many",
        |p| vectors(p, "18446744073709551615 2\na 1 2\n"),
        TRAIN,
        65,
        "says 18446744073709551615 words, the file has 1",
    ),
    (
        "vectors in binary",
        |p| vectors(p, b"3 2\na \x00\x80?\0\0\x80?\n"),
        TRAIN,
        65,
        "v.txt:2: a NUL byte",
    ),
    ("a scheme of other tags", |p| schemes(p, "bioes"), TRAIN, 78, "begins with E- or S-"),
    (
        "words as labels",
        |p| {
            let settings = "columns = [\"word\", \"tag\"]\n[task.tag]\ntarget = \"word\"\n";
            put(p, "s.conll", settings, "a\tX\nb\tY\n");
        },
        TRAIN,
        78,
        "the label \"word\" is what the feature",
    ),
    ("a token without a label", |p| lines(p, "a:X\nb\n"), TRAIN, 65, "s.txt:2: \"b\" is no token"),
    (
        "a line of 4,000,000 tokens",
        |p| lines(p, "a:X ".repeat(4_000_000)),
        TRAIN,
        65,
        "s.txt:1: a sentence of more than 65535 tokens",
    ),
    (
        "a name with control characters",
        |p| tags(p, "\u{1b}[2J\tO\n\u{7}\tX\n"),
        TRAIN,
        78,
        "marks no span",
    ),
];

#[test]
fn files_of_sentences() {
    assert!(CASES.len() >= 25);
    check(CASES);
}
