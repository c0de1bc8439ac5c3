//! What a part knows of its sentences, where rows are tokens.

/// The first code of labels that no training row has. Such a label is one of the part's own list;
/// it trains nothing and has no loss, but counts as one that was not found. As the bits of an f32
/// these codes are no numbers, so no label of another kind is one.
pub const UNSEEN: u32 = 0xffc0_0000;

/// The sentences of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// The first row of each sentence, ascending, and behind them the number of rows.
    pub starts: Vec<u32>,
    /// For each label column the texts that codes from [`UNSEEN`] on stand for; empty where there
    /// are none.
    pub unseen: Vec<Vec<String>>,
}

impl Tokens {
    /// The rows of each sentence.
    pub fn sentences(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        self.starts.windows(2).map(|pair| pair[0] as usize..pair[1] as usize)
    }

    /// The text of a label from [`UNSEEN`] on.
    pub fn text(&self, column: usize, label: u32) -> &str {
        let at = label.wrapping_sub(UNSEEN) as usize;
        self.unseen.get(column).and_then(|texts| texts.get(at)).map_or("", String::as_str)
    }

    /// Number of tokens of the longest sentence.
    pub fn longest(&self) -> usize {
        self.sentences().map(|rows| rows.len()).max().unwrap_or(0)
    }
}

/// The lines of a sentence as they stood in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Each line, and whether it is a token, so that it has rows.
    pub lines: Vec<(String, bool)>,
    /// Number of rows of each token: one, or one for each predicate of the sentence.
    pub copies: usize,
}

/// Whether a label is one that the training part has, so that it has a loss.
pub fn is_trained(label: u32) -> bool {
    label < UNSEEN
}
