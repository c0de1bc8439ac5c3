//! Spans of tagged tokens are compared with seqeval: `fixtures/spans.json` holds its spans and
//! scores, written by `fixtures/spans.py`. The decoder is compared with the best of all sequences,
//! tried one by one.

use serde_json::Value;
use tandem::config::Scheme;
use tandem::rng::{Purpose, normal};
use tandem::run::apply::tags::Decoder;
use tandem::run::metrics::spans::{Counts, spans};

/// Texts of a list.
fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// The sentences of a case: those of its labels, or those that were predicted.
fn sentences<'c>(case: &'c Value, part: &str) -> Vec<Vec<&'c str>> {
    case[part].as_array().unwrap().iter().map(texts).collect()
}

/// The spans that seqeval found in a sentence; it calls "no type" "_".
fn expected(spans: &Value) -> Vec<(&str, usize, usize)> {
    let place = |value: &Value| value.as_u64().unwrap() as usize;
    let all = spans.as_array().unwrap().iter();
    all.map(|span| {
        let name = span[0].as_str().filter(|name| *name != "_").unwrap_or_default();
        (name, place(&span[1]), place(&span[2]))
    })
    .collect()
}

fn cases() -> Vec<Value> {
    let text = include_str!("../fixtures/spans.json");
    serde_json::from_str::<Value>(text).unwrap().as_array().unwrap().clone()
}

#[test]
fn spans_are_those_of_seqeval() {
    let mut seen = 0;
    for case in cases() {
        for (number, part) in ["labels", "predicted"].into_iter().enumerate() {
            for (at, tags) in sentences(&case, part).iter().enumerate() {
                let found = spans(tags);
                assert_eq!(found, expected(&case["spans"][number][at]), "{tags:?}");
                seen += found.len();
            }
        }
    }
    assert!(seen > 500, "{seen} spans");
}

#[test]
fn scores_are_those_of_seqeval() {
    for case in cases() {
        let mut counts = Counts::default();
        let pairs = sentences(&case, "labels").into_iter().zip(sentences(&case, "predicted"));
        pairs.for_each(|(labels, predicted)| counts.add(&labels, &predicted));
        let scores = [counts.precision(), counts.recall(), counts.f1()];
        for (name, found) in ["precision", "recall", "f1"].into_iter().zip(scores) {
            let expected = case[name].as_f64();
            let agree = match (found, expected) {
                (Some(found), Some(expected)) => (found - expected).abs() < 1e-12,
                (found, expected) => found == expected,
            };
            assert!(agree, "{}: {name} {found:?}, expected {expected:?}", case["name"]);
        }
    }
}

/// Whether tags are whole spans and tokens outside, one after the other, by the definition of the
/// scheme: a reader of words, not of pairs.
fn is_legal(tags: &[&str], scheme: Scheme) -> bool {
    let mut rest = tags;
    let mut last = None;
    while let [tag, behind @ ..] = rest {
        let (letter, kind) = tag.split_once('-').unwrap_or((tag, ""));
        let goes_on = |tag: &&&str| **tag == format!("I-{kind}");
        let inner = behind.iter().take_while(goes_on).count();
        let before = last.replace(kind);
        rest = match (scheme, letter) {
            (_, "O") => behind,
            (Scheme::Bio, "B") | (Scheme::Iob1, "I") => &behind[inner..],
            (Scheme::Iob1, "B") if before == Some(kind) => &behind[inner..],
            (Scheme::Bioes, "S") => behind,
            (Scheme::Bioes, "B") => match behind.get(inner) {
                Some(end) if *end == format!("E-{kind}") => &behind[inner + 1..],
                _ => return false,
            },
            _ => return false,
        };
    }
    true
}

/// All sequences of `length` numbers below `classes`.
fn all(classes: usize, length: usize) -> impl Iterator<Item = Vec<usize>> {
    let digit = move |number: usize, at: usize| number / classes.pow(at as u32) % classes;
    (0..classes.pow(length as u32)).map(move |n| (0..length).map(|at| digit(n, at)).collect())
}

fn score(logits: &[f32], classes: usize, sequence: &[usize]) -> f64 {
    sequence.iter().enumerate().map(|(at, c)| f64::from(logits[at * classes + c])).sum()
}

#[test]
fn the_decoder_finds_the_best_legal_sequence() {
    let schemes: [(Scheme, &[&str]); 5] = [
        (Scheme::Bio, &["B-X", "B-Y", "I-X", "I-Y", "O"]),
        (Scheme::Bio, &["I-Y", "O", "B-X", "I-X", "B-Z", "B-Y"]),
        (Scheme::Bioes, &["B-X", "E-X", "I-X", "O", "S-X"]),
        // No token can end a span of Y, so none begins one.
        (Scheme::Iob1, &["B-X", "I-X", "I-Y", "O"]),
        (Scheme::Bioes, &["O", "S-Y", "B-Y", "B-X", "I-X", "E-X", "S-X"]),
    ];
    for (scheme, tags) in schemes {
        let classes: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let (decoder, count, length) = (Decoder::new(&classes, scheme), classes.len(), 4);
        let named = |sequence: &[usize]| sequence.iter().map(|c| tags[*c]).collect::<Vec<_>>();
        let legal: Vec<Vec<usize>> =
            all(count, length).filter(|sequence| is_legal(&named(sequence), scheme)).collect();
        assert!(legal.len() < count.pow(4) / 2, "{} of {count}^4", legal.len());
        let mut repaired = 0;
        for draw in 0..300 {
            let z = |i: usize| normal(draw, Purpose::Synthetic, count as u64, i as u64) as f32;
            let logits: Vec<f32> = (0..count * length).map(z).collect();
            let found = decoder.decode(&logits);
            assert!(is_legal(&named(&found), scheme), "{:?}", named(&found));
            let best = legal.iter().map(|sequence| score(&logits, count, sequence));
            let best = best.fold(f64::NEG_INFINITY, f64::max);
            let of_found = score(&logits, count, &found);
            assert!((of_found - best).abs() < 1e-9, "{:?}: {of_found} of {best}", named(&found));
            let free = logits.chunks(count).map(|z| z.iter().copied().fold(f32::MIN, f32::max));
            let free: f64 = free.map(f64::from).sum();
            repaired += usize::from(free > best + 1e-9);
        }
        assert!(repaired > 100, "{repaired} sequences were not legal by themselves");
    }
}

#[test]
fn a_sentence_without_a_legal_sequence_has_its_largest_logits() {
    let classes = ["I-X", "I-Y"].map(String::from);
    let decoder = Decoder::new(&classes, Scheme::Bio);
    assert_eq!(decoder.decode(&[0.5, 1.0, 2.0, 1.0]), [1, 0]);
    assert_eq!(decoder.decode(&[]), [0; 0]);
    // What is no number decides nothing, and breaks nothing.
    let classes = ["O", "B-X", "I-X"].map(String::from);
    let decoder = Decoder::new(&classes, Scheme::Bio);
    assert_eq!(decoder.decode(&[f32::NAN, 1.0, 2.0, 0.0, f32::NAN, 1.0]).len(), 2);
    assert_eq!(decoder.decode(&[0.0, -1.0, 2.0, f32::NEG_INFINITY, 0.0, 3.0]), [1, 2]);
}
