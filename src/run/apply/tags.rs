//! The tags of tokens from their logits: of all sequences that the scheme allows, the one of the
//! highest probability, with the tokens taken as independent (Viterbi, 1967).

use std::ops::Range;

use crate::config::Scheme;
use crate::data::encode::tags::{OUTSIDE, may_follow, parts};
use crate::data::tokens::Tokens;
use crate::run::metrics::multiclass::first_largest;

/// The tags of a task, and which may follow each other.
pub struct Decoder<'t> {
    tags: Vec<(char, &'t str)>,
    scheme: Scheme,
}

impl<'t> Decoder<'t> {
    /// The decoder of tags in the order of the logits.
    pub fn new(classes: &'t [String], scheme: Scheme) -> Decoder<'t> {
        Decoder { tags: classes.iter().map(|class| parts(class)).collect(), scheme }
    }

    /// Whether one tag may follow another; `None` is the end of the sentence.
    fn follows(&self, before: Option<usize>, now: Option<usize>) -> bool {
        let tag = |class: Option<usize>| class.map_or(OUTSIDE, |class| self.tags[class]);
        may_follow(self.scheme, tag(before), tag(now))
    }

    /// Whether the scheme allows a sequence of classes.
    fn allows(&self, classes: &[usize]) -> bool {
        let all = classes.iter().map(|class| Some(*class));
        let before = std::iter::once(None).chain(all.clone());
        before.zip(all.chain([None])).all(|(before, now)| self.follows(before, now))
    }

    /// The classes of the tokens of all sentences, from their logits, [tokens, classes].
    pub fn decode_all(&self, tokens: &Tokens, logits: &[f32]) -> Vec<usize> {
        let classes = self.tags.len();
        let of =
            |rows: Range<usize>| self.decode(&logits[rows.start * classes..rows.end * classes]);
        tokens.sentences().flat_map(of).collect()
    }

    /// The classes of the tokens of a sentence, from their logits, [tokens, classes]. Where no
    /// sequence is allowed, or a logit is no number, it is the class of the largest logit of each.
    pub fn decode(&self, logits: &[f32]) -> Vec<usize> {
        let classes = self.tags.len();
        let largest: Vec<usize> = logits.chunks_exact(classes).map(first_largest).collect();
        match self.allows(&largest) {
            true => largest,
            false => self.best(logits).unwrap_or(largest),
        }
    }

    /// The best of the sequences that the scheme allows. The sum of logits decides: what turns
    /// them into logarithms of probabilities is the same for all classes of a token.
    fn best(&self, logits: &[f32]) -> Option<Vec<usize>> {
        let classes = self.tags.len();
        let mut tokens = logits.chunks_exact(classes);
        let none = f64::NEG_INFINITY;
        let begins = |(class, z): (usize, &f32)| match self.follows(None, Some(class)) {
            true => f64::from(*z),
            false => none,
        };
        let mut scores: Vec<f64> = tokens.next()?.iter().enumerate().map(begins).collect();
        let mut from: Vec<Vec<usize>> = Vec::new();
        for token in tokens {
            let best = |class: usize| {
                let before = (0..classes).filter(|b| self.follows(Some(*b), Some(class)));
                before.fold(
                    (none, 0),
                    |best, b| {
                        if scores[b] > best.0 { (scores[b], b) } else { best }
                    },
                )
            };
            let (next, places): (Vec<f64>, Vec<usize>) = token
                .iter()
                .enumerate()
                .map(|(class, z)| {
                    let (score, place) = best(class);
                    (score + f64::from(*z), place)
                })
                .unzip();
            scores = next;
            from.push(places);
        }
        let ends = (0..classes).filter(|class| self.follows(Some(*class), None));
        let (score, mut class) = ends.fold((none, 0), |best, class| {
            if scores[class] > best.0 { (scores[class], class) } else { best }
        });
        if !score.is_finite() {
            return None;
        }
        let mut path = vec![class];
        for places in from.iter().rev() {
            class = places[class];
            path.push(class);
        }
        path.reverse();
        Some(path)
    }
}
