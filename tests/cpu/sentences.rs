//! Rows that are tokens: sentences stay whole in parts, folds and steps, and labels that training
//! does not have are known as such.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;

use tandem::config::read::from_text;
use tandem::config::{Config, Scheme, TaskKind};
use tandem::data::load::door::load;
use tandem::data::look::summary::label_summary;
use tandem::data::split::order::{sentence_batches, sentence_order, sentence_steps};
use tandem::data::tokens::UNSEEN;
use tandem::data::{Dataset, Parts, UNLABELLED};
use tandem::fault::{Exit, exit_of};

const NET: &str = "[data]\ntrain = \"train.conll\"\ncolumns = [\"word\", \
                   \"tag\", \"mark\"]\n[task.tag]\ntype = \"tags\"\n[task.kind]\npool = \"max\"\n";

/// Sentences of one to nine tokens; each token names its sentence. Two comments say what part and
/// what document a sentence belongs to.
fn corpus(count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        let part = ["train", "train", "valid", "test"][number % 4];
        let _ = writeln!(text, "# kind = k{}\n# part = {part}", number % 3);
        let _ = writeln!(text, "# document = d{}", number / 5);
        for at in 0..1 + number * 7 % 9 {
            let tag = ["O", "B-X", "I-X"][at % 3];
            let _ = writeln!(text, "s{number}\t{tag}\tm{}", at % 4);
        }
        text.push('\n');
    }
    text
}

fn settings(folder: &Path, overrides: &[&str]) -> anyhow::Result<Config> {
    let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
    from_text(NET, "config.toml", folder, &overrides)
}

fn loaded(overrides: &[&str]) -> anyhow::Result<Parts> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("train.conll"), corpus(120)).unwrap();
    std::fs::write(
        folder.path().join("other.conll"),
        "s1\tB-Z\tm\ns1\tO\tm\n\n# kind = odd\ns2\tO\tm\n",
    )
    .unwrap();
    let config = settings(folder.path(), overrides)?;
    load(&config.data, &config.tasks)
}

/// The numbers of tokens of the sentences of a part.
fn lengths(part: &Dataset) -> Vec<usize> {
    part.tokens.as_ref().unwrap().sentences().map(|rows| rows.len()).collect()
}

/// Checks that the parts have all sentences, each whole; returns the number of sentences of each.
fn whole(parts: &Parts) -> Vec<usize> {
    let all: Vec<Vec<usize>> = parts.there().map(|(_, part)| lengths(part)).collect();
    let mut found = all.concat();
    let mut expected: Vec<usize> = (0..120).map(|number| 1 + number * 7 % 9).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    for (_, part) in parts.there() {
        assert_eq!(lengths(part).iter().sum::<usize>(), part.rows);
        // Labels of sentences stand once in each.
        assert_eq!(part.labelled(1), lengths(part).len());
    }
    all.iter().map(Vec::len).collect()
}

#[test]
fn sentences_stay_whole_in_every_split() {
    let [train, valid, test] = whole(&loaded(&[]).unwrap())[..] else { panic!("three parts") };
    assert!(train > 80 && valid > 3 && test > 3, "{train} {valid} {test}");
    let by_column = loaded(&["data.split_column=part"]).unwrap();
    assert_eq!(whole(&by_column), [60, 30, 30]);
    whole(&loaded(&["data.split=[0.5, 0.2, 0.3]", "data.split_seed=3"]).unwrap());
    whole(&loaded(&["data.group=document", "data.split=[0.4, 0.3, 0.3]"]).unwrap());
    let mut tested = 0;
    for fold in 1..=4 {
        let fold = format!("data.fold={fold}");
        tested += whole(&loaded(&["data.folds=4", &fold]).unwrap())[2];
        whole(&loaded(&["data.folds=4", &fold, "data.stratify=kind"]).unwrap());
    }
    assert_eq!(tested, 120, "each sentence is tested on once");
}

#[test]
fn settings_that_would_cut_sentences_are_refused() {
    let refused = |overrides: &[&str], exit: Exit, piece: &str| {
        let error = loaded(overrides).err().unwrap_or_else(|| panic!("{overrides:?} is accepted"));
        assert_eq!(exit_of(&error), exit, "{error}");
        assert!(error.to_string().contains(piece), "{error}");
    };
    refused(&["data.stratify=kind"], Exit::Config, "sentences stay whole");
    refused(
        &["data.group=mark", "data.split=[0.5, 0.0, 0.5]", "data.split_seed=2"],
        Exit::Config,
        "a part has some tokens of a sentence only",
    );
    refused(&["task.kind.target=tag"], Exit::Data, "another label than the first token");
    refused(&["task.tag.target=kind"], Exit::Config, "\"k0\" (");
    refused(&["data.columns=[\"word\", \"word\"]"], Exit::Config, "\"word\" stands twice");
    refused(&["data.columns=[\"word\", \"sentence\"]"], Exit::Config, "is a column that is made");
    refused(&["data.word=form"], Exit::Config, "there is no column \"form\"");
    refused(&["task.tag.scheme=bioes", "task.tag.type=multiclass"], Exit::Config, "scheme");
    refused(&["task.tag.scheme=bioes"], Exit::Config, "no label of training begins with E-");
    refused(
        &["task.tag.target=word", "task.tag.type=multiclass"],
        Exit::Config,
        "\"word\" is what the feature \"word.lower\" is made of",
    );
    refused(
        &["task.tag.target=word.shape", "task.tag.type=multiclass"],
        Exit::Config,
        "is what the feature \"word.shape\" is made of",
    );
    refused(&["data.predicate=mark"], Exit::Config, "rows for each of its predicates");
    refused(&["data.shuffle_window=9"], Exit::Config, "sentences are shuffled whole");
    refused(&["data.ignore=[\"word\"]"], Exit::Config, "\"word\" is the column of words");
    refused(&["task.tag.pool=max"], Exit::Config, "tags are labels of tokens");
}

/// Sentences whose tags are those of the list, and the notices of a run on them.
fn tagged(tags: &[&str], settings: &[&str]) -> anyhow::Result<Parts> {
    let folder = tempfile::tempdir().unwrap();
    let sentence = |tags: &&str| {
        let lines = tags.split(' ').enumerate().map(|(at, tag)| format!("w{at}\t{tag}\n"));
        lines.collect::<String>() + "\n"
    };
    let text: String = tags.iter().map(sentence).collect();
    std::fs::write(folder.path().join("train.conll"), text).unwrap();
    let net = "[data]\ntrain = \"train.conll\"\ncolumns = [\"word\", \"tag\"]\n[task.tag]\n";
    let overrides: Vec<String> = settings.iter().map(|o| (*o).to_owned()).collect();
    let config = from_text(net, "config.toml", folder.path(), &overrides)?;
    load(&config.data, &config.tasks)
}

#[test]
fn the_scheme_is_that_of_the_labels() {
    let first = |tags: &[&str], settings: &[&str]| {
        let settings = [&["task.tag.type=tags", "data.split=[1, 0, 0]"], settings].concat();
        let parts = tagged(tags, &settings).unwrap();
        let about = parts.notices.iter().filter(|notice| notice.starts_with("labels of task tag"));
        (parts.schema.targets[0].scheme, about.cloned().collect::<Vec<String>>())
    };
    let bio = ["O B-X I-X O", "B-Y B-X", "B-Y I-Y O"];
    assert_eq!(first(&bio, &[]), (Some(Scheme::Bio), vec![]));
    assert_eq!(first(&["O S-X", "B-X I-X E-X O"], &[]), (Some(Scheme::Bioes), vec![]));
    // As CoNLL-2003 has them: B only where a span follows another one of its type.
    let iob1 = ["O I-X I-X O", "I-Y I-X B-X", "I-Y I-Y O"];
    let (scheme, told) = first(&iob1, &[]);
    assert_eq!((scheme, told.len()), (Some(Scheme::Iob1), 1), "{told:?}");
    assert!(told[0].contains("4 of 5 spans begin with I-"), "{told:?}");
    // A scheme that is given stands, and what breaks it is counted with its first line.
    let (scheme, told) = first(&iob1, &["task.tag.scheme=bio"]);
    assert_eq!((scheme, told.len()), (Some(Scheme::Bio), 1), "{told:?}");
    assert!(told[0].contains("4 places in 5 spans of training break"), "{told:?}");
    assert!(told[0].contains("train.conll:2: O before I-X"), "{told:?}");
    // A span that does not end breaks the scheme at the last token of its sentence.
    let (_, told) = first(&["O S-X O", "B-X E-X", "O B-X"], &[]);
    assert!(told[0].contains("1 places in 3 spans"), "{told:?}");
    assert!(told[0].contains("train.conll:9: B-X before O"), "{told:?}");
    let none =
        tagged(&bio, &["task.tag.type=tags", "task.tag.scheme=none", "data.split=[1, 0, 0]"])
            .unwrap();
    assert_eq!(none.schema.targets[0].kind, TaskKind::Multiclass);
}

/// A word says what its label is; that is no sign of a label that was copied.
#[test]
fn words_give_nothing_away() {
    let tags = ["B-X O O B-Y"; 60];
    let parts = tagged(&tags, &["task.tag.type=tags"]).unwrap();
    let odd = parts.notices.iter().find(|notice| notice.contains("determines"));
    assert_eq!(odd, None);
}

#[test]
fn labels_that_training_does_not_have_are_known_as_such() {
    let parts = loaded(&["data.test=other.conll", "data.split=[0.9, 0.1, 0]"]).unwrap();
    let test = parts.test.as_ref().unwrap();
    let tokens = test.tokens.as_ref().unwrap();
    let [tags, kinds] = &test.labels[..] else { panic!("two tasks") };
    assert!(tags[0] >= UNSEEN && tags[0] < UNLABELLED, "{}", tags[0]);
    assert_eq!(tokens.text(0, tags[0]), "B-Z");
    assert_eq!((kinds[0], kinds[1]), (UNLABELLED, UNLABELLED), "no comment, no label");
    assert_eq!(tokens.text(1, kinds[2]), "odd");
    let counts: Vec<_> = label_summary(&parts)
        .into_iter()
        .filter(|found| found.part.name() == "test")
        .map(|found| (found.task, found.labelled, found.rows, found.unseen))
        .collect();
    assert_eq!(counts, [("tag".to_owned(), 3, 3, 1), ("kind".to_owned(), 1, 2, 1)]);
    // Where rows are no tokens such a label is an error: see tests/cpu/data.rs.
}

#[test]
fn steps_have_whole_sentences_and_every_token_once() {
    for (seed, size) in [(0, 9), (1, 16), (2, 50), (3, 1000)] {
        let lengths: Vec<u32> = (0..97).map(|i| 1 + (i * 31 + seed) % 9).collect();
        let mut starts = vec![0];
        lengths.iter().for_each(|length| starts.push(starts[starts.len() - 1] + length));
        let rows = *starts.last().unwrap() as usize;
        let (order, begins) = sentence_order(&starts, u64::from(seed), 4);
        assert_eq!(order.iter().collect::<HashSet<_>>().len(), rows);
        let steps = sentence_steps(rows, 9, size);
        let cuts = sentence_batches(&begins, rows, size, steps);
        assert_eq!((cuts.len(), cuts[0], cuts[steps] as usize), (steps + 1, 0, rows));
        for step in cuts.windows(2) {
            assert!(step[0] < step[1], "every step has a sentence");
            assert!((step[1] - step[0]) as usize <= size + 9, "{step:?}");
            assert!(starts.contains(&order[step[0] as usize]), "a step begins with a sentence");
        }
        // Tokens of a sentence follow each other in the order of the file.
        for (at, begin) in begins.iter().enumerate() {
            let end = begins.get(at + 1).map_or(rows, |end| *end as usize);
            let tokens = &order[*begin as usize..end];
            assert!(tokens.windows(2).all(|pair| pair[1] == pair[0] + 1));
        }
    }
}
