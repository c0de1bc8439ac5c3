//! Sentences whose tokens have labels, from the command line: what a run says of them, what counts
//! as found, `init`, `inspect`, and steps of whole sentences.

use std::fmt::Write as _;

use crate::common::program::Room;

const NET: &str = "[data]\ntrain = \"train.conll\"\nvalid = \"valid.conll\"\ntest = \
                   \"test.conll\"\ncolumns = [\"word\", \"tag\"]\nwindow = 1\naffixes = 0\nshape = \
                   false\n[trunk]\nlayers = [16]\n[task.tag]\ntype = \"tags\"\n[task.intent]\npool \
                   = \"max\"\n[optimizer]\nlearning_rate = 2e-2\n[train]\nepochs = 20\nbatch_size \
                   = 32\n";

/// Sentences "fly from CITY to CITY" and "fares to CITY", with tags and intents; cities of two
/// words have two tags.
fn corpus(first: usize, count: usize) -> String {
    let mut text = String::new();
    for number in first..first + count {
        let city = |n: usize| [&["boston"][..], &["new", "york"], &["dallas"]][n % 3];
        let mut put = |word: &str, tag: &str| {
            let _ = writeln!(text, "{word}\t{tag}");
        };
        put(if number % 2 == 0 { "# intent = flight\nfly" } else { "# intent = fare\nfares" }, "O");
        let ways: &[(&str, usize)] = match number % 2 {
            0 => &[("from", 0), ("to", 1)],
            _ => &[("to", 2)],
        };
        for (way, shift) in ways {
            put(way, "O");
            for (at, word) in city(number / 2 + shift).iter().enumerate() {
                put(word, &format!("{}-{way}", if at == 0 { "B" } else { "I" }));
            }
        }
        text.push('\n');
    }
    text
}

/// Two sentences: in the second one a tag and an intent that training does not have.
const TEST: &str = "\
# intent = flight
fly\tO
from\tO
dallas\tB-from
to\tO
boston\tB-to

# intent = odd
fares\tO
to\tO
new\tB-far
york\tI-far
";

fn room(net: &str) -> Room {
    let room = Room::new(net);
    room.write("train.conll", corpus(0, 60));
    room.write("valid.conll", corpus(60, 12));
    room.write("test.conll", TEST);
    room
}

#[test]
fn labels_that_training_does_not_have_count_as_not_found() {
    let room = room(NET);
    let ran = room.run(&["train", "net.toml", "--out", "run", "--device", "cpu"]).expect(0);
    let ran = ran.says(&[
        "sentences: train 60 of ",
        "valid 12 of ",
        "test 2 of 9 tokens",
        "1 columns (1 category)",
        "taken for category: word.lower",
        "labelled for tag: train",
        "labelled for intent: train 60 of 60, valid 12 of 12, test 2 of 2 sentences",
        "labels of tag that training does not have, which count as not found: test 2 of 9",
        "labels of intent that training does not have, which count as not found: test 1 of 2",
    ]);
    assert!(!ran.err.contains("span"), "the place in a sentence is no column: {}", ran.err);
    let found = ["evaluate", "run", "--data", "test.conll", "--json", "--device", "cpu"];
    let found = room.run(&found).expect(0).json();
    let tag = &found["tasks"]["tag"];
    // By hand: three spans are labelled and three are found, two of them as labelled; seven
    // of nine tokens have their label.
    for (metric, expected) in [
        ("precision", 2.0 / 3.0),
        ("recall", 2.0 / 3.0),
        ("f1", 2.0 / 3.0),
        ("accuracy", 7.0 / 9.0),
    ] {
        let value = tag[metric].as_f64().unwrap();
        assert!((value - expected).abs() < 1e-9, "{metric} {value}: {tag}");
    }
    assert_eq!((&tag["unseen_labels"], &tag["rows"]), (&2.into(), &9.into()), "{found}");
    let lines = room.run(&["evaluate", "run", "--data", "test.conll", "--device", "cpu"]).expect(0);
    lines.says(&["labels of tag that training does not have, which count as not found: 2 of 9"]);
    assert_eq!(found["tasks"]["intent"]["accuracy"], 0.5, "{found}");
    assert_eq!(found["tasks"]["intent"]["rows"], 2, "labels of sentences: {found}");
}

#[test]
fn a_sentence_may_be_longer_than_a_batch() {
    let net = NET.replace("batch_size = 32", "batch_size = 2").replace("epochs = 20", "epochs = 1");
    let room = room(&net);
    let long = format!("# intent = flight\n{}", "fly\tO\n".repeat(700));
    room.write("test.conll", format!("{TEST}\n{long}"));
    let ran = room.run(&["train", "net.toml", "--out", "run", "--device", "cpu"]).expect(0);
    ran.says(&["a step has whole sentences: train.batch_size is 6, the tokens of the longest one"]);
    room.write("long.conll", long);
    let found = ["evaluate", "run", "--data", "long.conll", "--json", "--device", "cpu"];
    let found = room.run(&found).expect(0).json();
    assert_eq!(found["rows"], 700);
    // A run over all rows at once has no steps to fill.
    let full = ["train", "net.toml", "--out", "full", "--set", "train.batch_size=full"];
    room.run(&[&full[..], &["--device", "cpu"]].concat()).expect(0);
}

#[test]
fn init_drafts_a_configuration_that_trains() {
    let room = room(NET);
    let ran = room.run(&["inspect", "train.conll"]).expect(0);
    for piece in ["train.conll: 60 sentences, ", "intent", "classes of sentences", "tags: all"] {
        assert!(ran.out.contains(piece), "no {piece}: {}", ran.out);
    }
    room.run(&["init", "--data", "train.conll", "--out", "made.toml"]).expect(0);
    let made = room.text("made.toml");
    for piece in [
        "columns = [\"word\", \"column1\"]",
        "[task.column1]",
        "type = \"tags\"",
        "[task.intent]",
        "pool = \"max\"",
        "split = [0.8, 0.1, 0.1]",
    ] {
        assert!(made.contains(piece), "no {piece}: {made}");
    }
    let train = ["train", "made.toml", "--out", "run", "--max-steps", "2", "--device", "cpu"];
    room.run(&train).expect(0);
    // Some of the columns.
    let some = ["init", "--data", "train.conll", "--target", "intent"];
    let some = room.run(&some).expect(0);
    assert!(some.out.contains("[task.intent]") && !some.out.contains("[task.column1]"));
    let odd = ["init", "--data", "train.conll", "--target", "word"];
    room.run(&odd).refused(2, &["--target \"word\": the words", "there are word, column1, intent"]);
    let odd = ["init", "--data", "train.conll", "--target", "nowhere"];
    room.run(&odd).refused(2, &["--target \"nowhere\": there is no such column"]);
    for flags in [&["--no-header"][..], &["--delimiter", ";"], &["--missing", "NA"]] {
        let all = [&["inspect", "train.conll"][..], flags].concat();
        room.run(&all).refused(2, &["are for tables, and this is a file of sentences"]);
    }
    room.run(&["inspect", "train.conll", "--target", "x"]).refused(2, &["--target is for tables"]);
    // A table is asked for its targets as before.
    room.run(&["init", "--data", "train.csv"]).refused(2, &["--target is missing"]);
}

#[test]
fn init_knows_the_columns_of_trees() {
    let room = room(NET);
    let mut text = String::new();
    for number in 0..60 {
        let (tag, feats) =
            [("NOUN", "Number=Sing"), ("VERB", "_"), ("ADJ", "Degree=Cmp")][number % 3];
        let _ = writeln!(text, "# sent_id = s{number}");
        let _ = writeln!(text, "1\tw{number}\tl\t{tag}\t_\t{feats}\t2\tnsubj\t_\tNe=B-X");
        let _ = writeln!(text, "2\tv\tl\tVERB\t_\tNumber=Sing\t0\troot\t_\tNe=O\n");
    }
    room.write("tree.conllu", text);
    let made = room.run(&["init", "--data", "tree.conllu"]).expect(0).out;
    for piece in [
        "[task.upos]",
        "[task.deprel]",
        "[task.Ne]",
        "target = \"misc.Ne\"",
        "#   \"feats.Number\": 2 values; classes of tokens in a list, if wanted",
        "#   sent_id: 60 values; too many or too few values for so many sentences",
    ] {
        assert!(made.contains(piece), "no {piece}: {made}");
    }
    let json = room.run(&["inspect", "tree.conllu", "--json"]).expect(0).json();
    assert_eq!(
        (&json["kind"], &json["sentences"], &json["tokens"]),
        (&"sentences".into(), &60.into(), &120.into())
    );
}

/// A file of sentences comes back line by line, with its comments and its lines of several words;
/// tags are further columns, and labels of sentences comments.
#[test]
fn predictions_are_written_into_the_file() {
    let net = NET.replace(
        "columns = [\"word\", \"tag\"]",
        "columns = [\"id\", \"word\", \"tag\"]\nword = \"word\"",
    );
    let room = Room::new(&net);
    let numbered = |text: String| {
        let mut number = 0;
        let line = |line: &str| {
            let is_token = line.contains('\t');
            number = if is_token { number + 1 } else { 0 };
            if is_token { format!("{number}\t{line}\n") } else { format!("{line}\n") }
        };
        text.lines().map(line).collect::<String>()
    };
    room.write("train.conll", numbered(corpus(0, 60)));
    room.write("valid.conll", numbered(corpus(60, 12)));
    room.write("test.conll", numbered(TEST.to_owned()));
    room.run(&["train", "net.toml", "--out", "run", "--device", "cpu"]).expect(0);
    let asked = "\
# a remark
# intent = fare
1-2\tfly from\t_
1\tfly\tO
2\tfrom\tO
3\tnew\tO
4\tyork\tO

1\tfares\tO
2\tto\tO
3\tdallas\tO
";
    room.write("asked.conll", asked);
    let predict = ["predict", "run", "--data", "asked.conll", "--device", "cpu"];
    let printed = room.run(&predict).expect(0).out;
    let expected = "\
# a remark
# intent = fare
# intent.predicted = flight
1-2\tfly from\t_\t_
1\tfly\tO\tO
2\tfrom\tO\tO
3\tnew\tO\tB-from
4\tyork\tO\tI-from

# intent = fare
1\tfares\tO\tO
2\tto\tO\tO
3\tdallas\tO\tB-to

";
    assert_eq!(printed, expected);
    room.run(&[&predict[..], &["--out", "out.conll"]].concat()).expect(0);
    assert_eq!(room.text("out.conll"), expected);
    // A prediction of before is replaced.
    room.write(
        "asked.conll",
        asked.replace("# intent = fare", "# intent = x\n# intent.predicted = y"),
    );
    let again = room.run(&predict).expect(0).out;
    assert_eq!(again, expected.replacen("# intent = fare", "# intent = x", 1));
    let table = room.run(&[&predict[..], &["--format", "csv"]].concat()).expect(0).out;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 8, "a line for each token: {table}");
    room.run(&[&predict[..], &["--logits"]].concat()).refused(2, &["--logits"]);
}

/// What is predicted of a sentence does not depend on the other sentences of the file, nor on their
/// number.
#[test]
fn sentences_of_a_file_do_not_meet() {
    let net = NET.replace("\"tags\"", "\"multiclass\"").replace("epochs = 20", "epochs = 1");
    let room = room(&net.replace("window = 1", "window = 3"));
    room.run(&["train", "net.toml", "--out", "run", "--device", "cpu"]).expect(0);
    let predicted = |text: String| {
        room.write("asked.conll", text);
        let predict = ["predict", "run", "--data", "asked.conll", "--device", "cpu"];
        let table = room.run(&[&predict[..], &["--format", "csv"]].concat()).expect(0).out;
        let probabilities = |line: &str| line.split(',').filter_map(|x| x.parse().ok()).collect();
        table.lines().skip(1).map(probabilities).collect::<Vec<Vec<f64>>>()
    };
    let all = predicted(corpus(0, 400));
    let alone: Vec<Vec<f64>> = (0..40).flat_map(|at| predicted(corpus(10 * at, 10))).collect();
    assert!(all.len() > 3 * 512, "several steps: {} rows", all.len());
    assert_eq!(all.len(), alone.len());
    for (row, (all, alone)) in all.iter().zip(&alone).enumerate() {
        // The first number is that of the sentence.
        assert!(all.len() > 4 && all.len() == alone.len(), "row {row}: {all:?}");
        let far = |(a, b): (&f64, &f64)| (a - b).abs() > 1e-5;
        assert!(!all[1..].iter().zip(&alone[1..]).any(far), "row {row}: {all:?}, alone {alone:?}");
    }
    // A sentence may be longer than the rows that are on the device at a time.
    let long = "fly\tO\n".repeat(9000);
    assert_eq!(predicted(format!("{}\n{long}", corpus(0, 40))).len(), 9180);
}

/// Models of folds predict together, and what each predicts of its rows is kept with their words.
#[test]
fn folds_of_sentences_predict_together() {
    let room = room(&NET.replace("valid = \"valid.conll\"\ntest = \"test.conll\"\n", ""));
    room.run(&["train", "net.toml", "--k-fold", "2", "--out", "run", "--device", "cpu"]).expect(0);
    let kept = room.text("run/folds.csv");
    assert!(kept.starts_with("row,fold,sentence,word,tag,intent,tag:predicted"), "{kept}");
    assert!(kept.lines().count() > 200 && kept.contains(",0,fly,O,flight,"), "{kept}");
    let predict = ["predict", "run", "--data", "test.conll", "--device", "cpu"];
    let found = room.run(&predict).expect(0);
    assert!(found.out.starts_with("# intent = flight\n# intent.predicted = flight\nfly\tO\tO\n"));
    let table = room.run(&[&predict[..], &["--format", "csv"]].concat()).expect(0).out;
    assert!(
        table.starts_with("intent,word,tag,sentence,tag:predicted,intent:predicted"),
        "{table}"
    );
    let importance = ["train", "net.toml", "--importance", "--out", "no", "--device", "cpu"];
    room.run(&importance).refused(65, &["no column can be permuted alone"]);
}

/// Behind the first token of a sentence a pooled task has no logits that could agree.
#[test]
fn tasks_of_sentences_do_not_agree_with_others() {
    let net = NET.replace("[optimizer]", "[task.again]\ntarget = \"intent\"\n[optimizer]");
    let room = room(&net);
    let coupled = "[[coupling]]\nkind = \"agreement\"\nstrength = 1.0\n";
    room.write("net.toml", format!("{net}{coupled}pairs = [[\"intent\", \"again\"]]\n"));
    let train = ["train", "net.toml", "--out", "no", "--device", "cpu"];
    room.run(&train).refused(78, &["\"intent\" has labels of sentences (pool)"]);
    room.write("net.toml", format!("{net}{coupled}"));
    room.run(&train).refused(78, &["agreement applies to no pair of tasks"]);
}

/// Ways of training are compared by spans, over sentences.
#[test]
fn sentences_are_compared_by_their_spans() {
    let room = room(&NET.replace("epochs = 20", "epochs = 2"));
    let compare = ["compare", "net.toml", "--repeats", "2", "--against", "separate", "--json"];
    let ran = room.run(&[&compare[..], &["--out", "both", "--device", "cpu"]].concat()).expect(0);
    let found = ran.json();
    assert_eq!(found["tasks"]["tag"]["metric"], "f1");
    assert_eq!(found["tasks"]["intent"]["metric"], "accuracy");
    let resampled = &found["resampled"];
    assert_eq!((&resampled["of"], &resampled["number"]), (&"sentences".into(), &2.into()));
    assert_eq!(found["tasks"]["tag"]["labels"], 9);
    let evaluate = ["evaluate", "both/configured-1", "--data", "test.conll", "--json"];
    let alone = room.run(&[&evaluate[..], &["--device", "cpu"]].concat()).expect(0).json();
    for (task, metric) in [("tag", "f1"), ("intent", "accuracy")] {
        let compared = &found["tasks"][task]["values"]["configured"]["seeds"][0];
        assert_eq!(compared, &alone["tasks"][task][metric], "{task}");
    }
    assert!(!found["sentences"].to_string().contains("belong together"), "{found}");
}

/// Where rows are copied to the device batch by batch, a run over sentences has the same bytes.
#[test]
fn streamed_sentences_give_the_same_bytes() {
    let room = room(&NET.replace("epochs = 20", "epochs = 3"));
    for (out, resident) in [("on", "on"), ("off", "off")] {
        let train = ["train", "net.toml", "--out", out, "--resident", resident];
        room.run(&[&train[..], &["--device", "cpu"]].concat()).expect(0);
    }
    let model = |run: &str| room.bytes(&format!("{run}/model/model.safetensors"));
    assert_eq!(model("on"), model("off"));
}

/// A run over sentences goes on to the bit.
#[test]
fn sentences_go_on_to_the_bit() {
    let room = room(NET);
    room.run(&["train", "net.toml", "--out", "whole", "--device", "cpu"]).expect(0);
    room.run(&["train", "net.toml", "--out", "part", "--device", "cpu", "--max-steps", "23"])
        .expect(0);
    room.run(&["train", "--resume", "part", "--device", "cpu", "--max-steps", "1000000"]).expect(0);
    let model = |run: &str| room.bytes(&format!("{run}/model/model.safetensors"));
    assert_eq!(model("whole"), model("part"));
}

/// Vectors begin as the file says; kept ones stay so, and trained ones do not.
#[test]
fn vectors_begin_as_a_file_has_them() {
    let net = |more: &str| {
        format!("{NET}[feature.\"word.lower\"]\nvectors = \"vectors.txt\"\n{more}")
            .replace("epochs = 20", "epochs = 2")
    };
    let room = room(&net("train_vectors = false\n"));
    room.write("vectors.txt", "3 4\nboston 0.5 -1 2 0.25\nfly 1 1 1 1\nunknown 9 9 9 9\n");
    let says = "column \"word.lower\": 2 of 8 values have a vector in";
    room.run(&["train", "net.toml", "--out", "kept", "--device", "cpu"]).expect(0).says(&[says]);
    room.write("net.toml", net(""));
    room.run(&["train", "net.toml", "--out", "trained", "--device", "cpu"]).expect(0);
    let row = |run: &str| {
        let schema: serde_json::Value =
            serde_json::from_str(&room.text(&format!("{run}/model/schema.json"))).unwrap();
        let columns = schema["input"]["columns"].as_array().unwrap();
        let values = columns[1]["values"].as_array().unwrap();
        let place = values.iter().position(|value| value == "boston").unwrap();
        let bytes = room.bytes(&format!("{run}/model/model.safetensors"));
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let tensor = file.tensor("embedding.word.lower.weight").unwrap();
        assert_eq!(tensor.shape()[1], 4, "vectors have the width of the file");
        let number =
            |at: usize| f32::from_le_bytes(tensor.data()[4 * at..][..4].try_into().unwrap());
        (4 * place..4 * place + 4).map(number).collect::<Vec<f32>>()
    };
    assert_eq!(row("kept"), [0.5, -1.0, 2.0, 0.25]);
    room.run(&["predict", "kept", "--data", "test.conll", "--device", "cpu"]).expect(0);
    assert_ne!(row("trained"), [0.5, -1.0, 2.0, 0.25]);
    let refused = |text: &str, code: i32, pieces: &[&str]| {
        room.write("vectors.txt", text);
        room.run(&["train", "net.toml", "--out", "no", "--device", "cpu"]).refused(code, pieces);
    };
    refused("boston 1 2\nfly 1\n", 65, &["vectors.txt:2", "1 numbers for \"fly\""]);
    refused("boston 1 x\n", 65, &["vectors.txt:1", "\"x\" is not a finite number"]);
    refused("", 65, &["vectors of 0 numbers"]);
    refused("9 2\nboston 1 2\n", 65, &["says 9 words, the file has 1"]);
    refused("1 3\nboston 1 2\n", 65, &["says vectors of 3 numbers, the second has 2"]);
    refused("boston 1 2\nfly 1 2 3\n", 65, &["vectors.txt:2", "3 numbers for \"fly\""]);
    // A word may have blanks.
    room.write("vectors.txt", "boston 1 2\nnew york 1 2\n. . 1 2\n");
    room.run(&["train", "net.toml", "--out", "blanks", "--device", "cpu"]).expect(0);
    std::fs::remove_file(room.path("vectors.txt")).unwrap();
    room.run(&["train", "net.toml", "--out", "no", "--device", "cpu"])
        .refused(66, &["vectors.txt"]);
}
