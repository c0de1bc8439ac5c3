//! Files of sentences: which tokens are rows, which columns they have, where sentences end, what
//! is refused.

use std::io::Write;

use tandem::config::{SENTENCE, SPAN, Sentences, Written};
use tandem::data::read::conll::{read, read_from};
use tandem::data::table::options::Options;
use tandem::data::table::raw::Raw;
use tandem::fault::{Exit, exit_of, hint_of};

/// The settings for a file by its name, changed.
fn settings(name: &str, change: impl FnOnce(&mut Sentences)) -> Options {
    let mut sentences = Sentences::by_name(name).unwrap();
    change(&mut sentences);
    Options { sentences: Some(sentences), ..Options::default() }
}

/// Named columns, and the first of them for words.
fn named(columns: &[&str]) -> Options {
    settings("x.conll", |sentences| {
        sentences.columns = columns.iter().map(|name| (*name).to_owned()).collect();
        columns[0].clone_into(&mut sentences.word);
    })
}

fn lines(columns: &[&str]) -> Options {
    let mut options = named(columns);
    options.sentences.as_mut().unwrap().format = Written::Lines;
    options
}

fn table(text: impl AsRef<[u8]>, options: &Options) -> Raw {
    let bytes = text.as_ref();
    let whole = read_from(bytes, "x", bytes.len() as u64, options);
    whole.unwrap_or_else(|e| panic!("{e:#}"))
}

fn conllu(text: impl AsRef<[u8]>) -> Raw {
    table(text, &settings("x.conllu", |_| ()))
}

/// The cells of a column.
fn column(table: &Raw, name: &str) -> Vec<String> {
    let at = table.column(name).unwrap_or_else(|| panic!("no {name}: {:?}", table.names));
    (0..table.rows).map(|row| table.cell(row, at).into_owned()).collect()
}

/// The places of tokens: (tokens before, tokens behind).
fn places(table: &Raw) -> Vec<(usize, usize)> {
    let numbers = column(table, SPAN);
    let of = |text: &String| text.parse::<usize>().map(|n| (n & 0xffff, n >> 16)).unwrap();
    numbers.iter().map(of).collect()
}

#[track_caller]
fn refused(text: impl AsRef<[u8]>, options: &Options, place: &str, found: &str) {
    let bytes = text.as_ref();
    let error = read_from(bytes, "x", bytes.len() as u64, options).err();
    let error = error.unwrap_or_else(|| panic!("accepted, though it should say {found}"));
    let message = error.to_string();
    assert_eq!(exit_of(&error), Exit::Data, "{message}");
    assert!(message.starts_with(place), "{message}");
    assert!(message.contains(found), "{message}");
    assert!(hint_of(&error).is_some_and(|hint| !hint.contains('\n')), "{message}");
}

const TREE: &str = "\
# newdoc id = d1
# sent_id = s1
# text = Ann can't = go
1\tAnn\tAnn\tPROPN\t_\tGender=Fem|Number=Sing\t4\tnsubj\t_\tSpaceAfter=No|Entity=B
2-3\tcan't\t_\t_\t_\t_\t_\t_\t_\t_
2\tca\tcan\tAUX\t_\tVerbForm=Fin\t4\taux\t_\t_
3\tn't\tnot\tPART\t_\t_\t4\tadvmod\t_\tGloss=a=b
3.1\tsleep\tsleep\tVERB\t_\t_\t_\t_\t0:x\t_
4\tgo\tgo\tVERB\t_\tNumber=Plur\t0\troot\t_\t_

# sent_id = s2
1\t_\t_\tPUNCT\t_\t_\t0\troot\t_\t_

";

#[test]
fn a_tree_of_universal_dependencies() {
    let tree = conllu(TREE);
    assert_eq!(tree.rows, 5, "neither the range 2-3 nor the empty token 3.1 is a row");
    assert_eq!(column(&tree, "form"), ["Ann", "ca", "n't", "go", "_"], "an underscore is a word");
    assert_eq!(column(&tree, "lemma"), ["Ann", "can", "not", "go", "_"]);
    assert_eq!(column(&tree, "xpos"), [""; 5], "elsewhere an underscore is a blank");
    assert_eq!(column(&tree, SENTENCE), ["0", "0", "0", "0", "1"]);
    assert_eq!(places(&tree), [(0, 3), (1, 2), (2, 1), (3, 0), (0, 0)]);
    // A feature that a word does not have is a value of its own; other keys are blank.
    assert_eq!(column(&tree, "feats.Number"), ["Sing", "_", "_", "Plur", "_"]);
    assert_eq!(column(&tree, "feats.Gender"), ["Fem", "_", "_", "_", "_"]);
    assert_eq!(column(&tree, "misc.Entity"), ["B", "", "", "", ""]);
    assert_eq!(column(&tree, "misc.Gloss"), ["", "", "a=b", "", ""]);
    // Comments hold for their sentence; the text itself is no column.
    assert_eq!(column(&tree, "sent_id"), ["s1", "s1", "s1", "s1", "s2"]);
    // A document goes on up to the next one, and a paragraph up to the next of either.
    assert_eq!(column(&tree, "newdoc id"), ["d1"; 5]);
    let leaf = |word: &str| format!("1\t{word}\t_\t_\t_\t_\t0\t_\t_\t_\n");
    let more = format!("# newpar id = p\n{}\n# newdoc id = d2\n{}", leaf("a"), leaf("b"));
    let tree = conllu(format!("{TREE}{more}"));
    assert_eq!(column(&tree, "newdoc id")[4..], ["d1", "d1", "d2"]);
    assert_eq!(column(&tree, "newpar id")[4..], ["", "p", ""]);
    let tree = conllu(TREE);
    assert_eq!(tree.column("text"), None);
    assert_eq!(tree.locate(3), "x:9");
    assert_eq!(tree.locate(4), "x:12");
    let note = "1 lines of several words and 1 empty tokens";
    assert!(tree.notes.iter().any(|found| found.contains(note)), "{:?}", tree.notes);
}

#[test]
fn what_is_made_of_words() {
    let words = "McDonald-12\tO\nÄrger\tO\nab\tO\n...!\tO\nİx\tO\n";
    let tree = table(words, &named(&["word", "tag"]));
    assert_eq!(column(&tree, "word.lower")[..4], ["mcdonald-12", "ärger", "ab", "...!"]);
    assert_eq!(column(&tree, "word.prefix3")[..4], ["mcd", "ärg", "ab", "..."]);
    assert_eq!(column(&tree, "word.prefix1")[..4], ["m", "ä", "a", "."]);
    assert_eq!(column(&tree, "word.suffix2")[..4], ["12", "er", "ab", ".!"]);
    assert_eq!(column(&tree, "word.suffix3")[..4], ["-12", "ger", "ab", "..!"]);
    assert_eq!(column(&tree, "word.shape"), ["XxXxx-dd", "Xxx", "xx", "..!", "Xx"]);
    let few = settings("x.conll", |sentences| {
        (sentences.affixes, sentences.shape) = (1, false);
    });
    let tree = table("ab O\n", &few);
    let names = ["0", "0.lower", "0.prefix1", "0.suffix1", "1", SENTENCE, SPAN];
    let mut found = tree.names.clone();
    found.sort();
    assert_eq!(found, names);
}

#[test]
fn line_ends_blanks_and_packing_do_not_matter() {
    let plain = "a\tX\nb\tY\n\nc\tX\n";
    let options = named(&["word", "tag"]);
    let expected = table(plain, &options);
    assert_eq!(places(&expected), [(0, 1), (1, 0), (0, 0)]);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain.as_bytes()).unwrap();
    let texts = [
        plain.replace('\n', "\r\n").into_bytes(),
        plain.trim_end().into(),
        plain.replace('\t', "  ").into_bytes(),
        format!("\n \n{plain}\n\n\t\n").into_bytes(),
        format!("\u{feff}{plain}").into_bytes(),
        format!("# about the file = no column\n\n{plain}").into_bytes(),
        encoder.finish().unwrap(),
    ];
    for text in texts {
        let found = table(&text, &options);
        assert_eq!(found.columns, expected.columns, "{:?}", String::from_utf8_lossy(&text));
        // A window of a few bytes gives the same.
        let pieces = read_from(&text[..], "x", 1, &options).unwrap();
        assert_eq!(pieces.columns, expected.columns);
    }
}

#[test]
fn a_token_may_be_a_hash() {
    let tags = |text: &str| column(&table(text, &named(&["word", "tag"])), "tag");
    // Within a sentence every line is a token; before it, one with the cells of a token.
    assert_eq!(tags("a X\n# Y\n\n# Z\nb X\n"), ["X", "Y", "Z", "X"]);
    assert_eq!(tags("#\tY\na\tX\n\n#\tZ\n"), ["Y", "X", "Z"]);
    // That is told where blanks stand between cells, so that the line could be a comment.
    let doubtful = table("a X\n\n# Z\nb X\n\n# U\n", &named(&["word", "tag"]));
    let note = "x:3: a line of as many cells as a token begins with \"# \" and is taken for one (2";
    assert!(doubtful.notes.iter().any(|found| found.contains(note)), "{:?}", doubtful.notes);
    assert_eq!(table("#\tY\n", &named(&["word", "tag"])).notes, Vec::<String>::new());
    let doubtful = table("# Z\na X\n", &named(&["word", "tag"]));
    assert!(doubtful.notes.iter().any(|found| found.contains("is taken for a comment (1")));
    // Where cells have tabs between, a line without a tab is none of a token.
    let tabs = table("a\tX\n\n# Z\nb\tY\n", &named(&["word", "tag"]));
    assert_eq!((column(&tabs, "tag"), tabs.notes.len()), (vec!["X".to_owned(), "Y".into()], 0));
    // What says something is a comment, whatever its number of words or tabs.
    let said = table("a X\n\n# k = v\n# three more words\nb Y\n", &named(&["word", "tag"]));
    assert_eq!((column(&said, "k"), said.rows), (vec!["".to_owned(), "v".to_owned()], 2));
    assert_eq!(tags("# k = v\tw\na\tX\n"), ["X"]);
}

#[test]
fn comments_that_are_no_columns_of_their_own() {
    let long = "v".repeat(300);
    let text = format!("# word = x\n# sentence = 7\n# long = {long}\n# bare\n# = y\na\tX\n");
    let found = table(text, &named(&["word", "tag"]));
    assert_eq!(column(&found, "word"), ["a"]);
    assert_eq!(column(&found, "comment.word"), ["x"]);
    assert_eq!(
        (column(&found, SENTENCE), column(&found, "comment.sentence")[0].as_str()),
        (vec!["0".to_owned()], "7")
    );
    assert_eq!((found.column("long"), found.column("bare")), (None, None));
}

#[test]
fn a_sentence_a_line() {
    let columns = ["word", "tag", "label"];
    let text = "show:O me:O 10:30:B-time <=> flight\n\nfares:O <=> fare;x\n";
    let found = table(text, &lines(&columns));
    assert_eq!(column(&found, "word"), ["show", "me", "10:30", "fares"]);
    assert_eq!(column(&found, "tag"), ["O", "O", "B-time", "O"]);
    assert_eq!(column(&found, "label"), ["flight", "flight", "flight", "fare;x"]);
    assert_eq!(places(&found), [(0, 2), (1, 1), (2, 0), (0, 0)]);
    assert_eq!(found.locate(3), "x:3");
    // Files to predict on have words alone; a word may have a colon then.
    let bare = table("show me 10:30 flights\n", &lines(&columns));
    assert_eq!(column(&bare, "word"), ["show", "me", "10:30", "flights"]);
    assert_eq!(bare.column("tag"), None);
    // The first line says whether tokens have labels.
    let bare = table("show me\n10:30\n", &lines(&columns));
    assert_eq!(column(&bare, "word"), ["show", "me", "10:30"]);
    refused("show me\na:O b:O\n", &lines(&columns), "x:2", "all tokens have labels");
    let bare = table("show me <=> flight\n10:30 <=> time\n", &lines(&columns));
    assert_eq!(column(&bare, "word"), ["show", "me", "10:30"]);
    assert_eq!(column(&bare, "label"), ["flight", "flight", "time"]);
    // A file of another ending has a token a line.
    let options = lines(&columns);
    let text = "# label = flight\nshow\tO\nme\tO\n";
    let other = read_from(text.as_bytes(), "x.conll", text.len() as u64, &options).unwrap();
    assert_eq!(
        (column(&other, "word"), column(&other, "tag")),
        (vec!["show".into(), "me".into()], vec!["O".to_owned(); 2])
    );
    assert_eq!(column(&other, "label"), ["flight"; 2]);
    // With two names there is no label of the sentence, and no mark.
    let found = table("a:X <=>:Y\n", &lines(&["word", "tag"]));
    assert_eq!(column(&found, "word"), ["a", "<=>"]);
    refused("a:X b <=> c\n", &lines(&columns), "x:1", "\"b\" is no token with its label");
    refused("a:X\n\nb\n", &lines(&columns), "x:3", "\"b\" is no token with its label");
    refused("a:X <=> c\n <=> c\n", &lines(&columns), "x:2", "\"<=>\" is no token with its label");
}

#[test]
fn several_files_are_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let paths = [write("a.conll", "a X\nb Y\n\n# k = v\nc X\n"), write("b.conll", "d Y\n")];
    let found = read(&paths, &named(&["word", "tag"])).unwrap();
    assert_eq!(column(&found, "word"), ["a", "b", "c", "d"]);
    assert_eq!(column(&found, SENTENCE), ["0", "0", "1", "2"]);
    assert_eq!(column(&found, "k"), ["", "", "v", ""]);
    assert!(found.locate(3).ends_with("b.conll:1"), "{}", found.locate(3));
    assert_eq!(found.hashes.len(), 2);
    // A file of another width is no part of it.
    let odd = write("c.conll", "e Y Z\n");
    let error = read(&[paths[0].clone(), odd], &named(&["word", "tag"])).unwrap_err();
    assert!(error.to_string().contains("c.conll:1: 3 columns"), "{error}");
}

/// Three tokens with two predicates, one column of arguments for each, as in CoNLL-2009.
const ROLES: &str = "a\t_\tA0\t_\nsees\tsee\t_\tA1\nruns\trun\tA1\t_\n\nb\t_\n\nc\tgo\tV\n";

#[test]
fn a_row_for_each_predicate() {
    let mut options = named(&["word", "predicate"]);
    options.sentences.as_mut().unwrap().predicate = Some("predicate".into());
    let found = table(ROLES, &options);
    assert_eq!(column(&found, "word"), ["a", "sees", "runs", "a", "sees", "runs", "c"]);
    assert_eq!(column(&found, "argument"), ["A0", "O", "A1", "O", "A1", "O", "V"]);
    assert_eq!(column(&found, "distance"), ["-1", "0", "1", "-2", "-1", "0", "0"]);
    assert_eq!(
        column(&found, "predicate.word"),
        ["sees", "sees", "sees", "runs", "runs", "runs", "c"]
    );
    assert_eq!(column(&found, "predicate.word.lower")[3], "runs");
    // A sentence without a predicate has no row; the rows of one sentence have one number.
    assert_eq!(column(&found, SENTENCE), ["0", "0", "0", "0", "0", "0", "2"]);
    assert_eq!(places(&found)[3..6], [(0, 2), (1, 1), (2, 0)]);
    refused("a\tx\tA0\tA1\n", &options, "x:1", "2 columns of arguments for 1 predicates");
    refused("a\tx\tA0\nb\t_\n", &options, "x:1, token 2", "2 columns, the sentence begins with 3");
    refused("a\t_\n", &options, "x", "no token is a predicate by predicate");
    options.sentences.as_mut().unwrap().predicate = Some("verb".into());
    refused(ROLES, &options, "x:1", "there is no column \"verb\" for predicates");
}

#[test]
fn arguments_are_found_by_heads_where_no_column_has_them() {
    let options = settings("x.conllu", |sentences| sentences.predicate = Some("upos=VERB".into()));
    let found = table(TREE, &options);
    assert_eq!(column(&found, "form"), ["Ann", "ca", "n't", "go"]);
    assert_eq!(column(&found, "argument"), ["nsubj", "aux", "advmod", "O"]);
    assert_eq!(column(&found, "predicate.lemma"), ["go"; 4]);
    // Blanks and lists of the predicate are those of its token.
    assert_eq!(column(&found, "predicate.xpos"), [""; 4]);
    assert_eq!(column(&found, "predicate.feats.Number"), ["Plur"; 4]);
}

#[test]
fn far_predicates_have_distances_in_classes() {
    let mut text = String::new();
    (0..40).for_each(|at| text += if at == 20 { "w p\n" } else { "w _\n" });
    let mut options = named(&["word", "mark"]);
    options.sentences.as_mut().unwrap().predicate = Some("mark".into());
    let found = column(&table(text, &options), "distance");
    let expected =
        ["-16 to -30", "-11 to -15", "-8 to -10", "-6 to -7", "-5", "0", "5", "16 to 30"];
    assert_eq!([0, 5, 12, 13, 15, 20, 25, 36].map(|at| found[at].as_str()), expected);
}

#[test]
fn lines_that_are_no_tokens_are_refused_with_their_place() {
    let two = named(&["word", "tag"]);
    refused("a X\nb\n", &two, "x:2", "1 columns, the lines before have 2");
    refused("a X\n\nb Y Z\n", &two, "x:3", "3 columns, the lines before have 2");
    refused("a X Z\n", &two, "x:1", "3 columns, data.columns names 2");
    refused("", &two, "x", "the file has no sentence");
    refused("\n\n# k = v\n", &two, "x", "the file has no sentence");
    let second = settings("x.conll", |sentences| {
        sentences.columns = vec!["tag".into(), "word".into()];
        sentences.word = "word".into();
    });
    refused("X\n", &second, "x:1", "1 columns, and none is \"word\", which holds the words");
    refused("a\tX\nb\u{0}\tY\n", &two, "x:2", "NUL");
    refused(b"a\tX\n\xe4\tY\n", &two, "x:2", "0xE4");
    let tall = "a X\n".repeat(65_536);
    refused(&tall, &two, "x:1", "a sentence of more than 65535 tokens");
    assert_eq!(table(&tall[4..], &two).rows, 65_535);
    let wide = format!("a {}\n", "b ".repeat(5000));
    refused(wide, &settings("x.conll", |_| ()), "x:1", "more than 4096 columns");
    let keys = |row: usize| format!("{0}\ta\ta\tX\t_\tK{0}=v\t0\tr\t_\t_\n\n", row + 1);
    let many: String = (0..10_000).map(keys).collect();
    refused(many, &settings("x.conllu", |_| ()), "x:", "columns, most of them of keys");
    let notes: String = (0..2000).map(|i| format!("# k{i} = v\n")).collect();
    refused(notes + "a X\n", &two, "x:1025", "more than 1024 values before a sentence");
}

#[test]
fn columns_that_the_training_file_has_are_in_every_file() {
    let first = conllu(TREE);
    let mut options = settings("x.conllu", |_| ());
    options.names.clone_from(&first.names);
    let text = "# extra = 1\n1\tHe\the\tPRON\t_\tCase=Nom\t0\troot\t_\tX=1\n";
    let found = table(text, &options);
    assert_eq!((found.column("extra"), found.column("feats.Case")), (None, None));
    assert_eq!(column(&found, "feats.Gender"), ["_"]);
    assert_eq!(
        (column(&found, "misc.Entity"), column(&found, "sent_id")),
        (vec!["".to_owned()], vec!["".to_owned()])
    );
}
