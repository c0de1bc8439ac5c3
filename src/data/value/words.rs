//! The words of a text; and their hashes, and those of their character n-grams, as numbers of
//! buckets, so that a model need not store any words.

/// Calls `take` with each word of a text (a run of letters and digits, in lower case), until it
/// returns `false`.
pub fn each_word(text: &str, mut take: impl FnMut(&str) -> bool) {
    let mut word = String::new();
    for piece in text.split(|c: char| !c.is_alphanumeric()).filter(|piece| !piece.is_empty()) {
        word.clear();
        word.extend(piece.chars().flat_map(char::to_lowercase));
        if !take(&word) {
            return;
        }
    }
}

/// How words become numbers of buckets. Stored models depend on every bit of this.
#[derive(Clone, Copy, Debug)]
pub struct Hashing {
    /// Number of buckets, 1 or more.
    pub buckets: usize,
    /// Length of the character n-grams; 0 = none.
    pub ngrams: usize,
}

impl Hashing {
    /// Calls `take` with the bucket of each word (a run of letters and digits, in lower case) and
    /// of each n-gram of `<word>`, until it returns `false`.
    pub fn buckets(&self, text: &str, mut take: impl FnMut(u32) -> bool) {
        let mut marked = String::new();
        each_word(text, |word| {
            marked.clear();
            marked.extend(["<", word, ">"]);
            take(self.bucket(0, &marked)) && self.grams(&marked, &mut take)
        });
    }

    /// Calls `take` with the n-grams of a word in its brackets; returns whether `take` wants more.
    fn grams(&self, word: &str, take: &mut impl FnMut(u32) -> bool) -> bool {
        if self.ngrams == 0 {
            return true;
        }
        let starts = word.char_indices().map(|(i, _)| i);
        let ends = word.char_indices().map(|(i, _)| i).chain([word.len()]).skip(self.ngrams);
        starts.zip(ends).all(|(start, end)| take(self.bucket(1, &word[start..end])))
    }

    /// The bucket of a text: its 64-bit FNV-1a hash, with its high bits mixed into the low ones, is
    /// mapped to the buckets by multiplication.
    fn bucket(&self, salt: u64, text: &str) -> u32 {
        let fold = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        let mut h = text.bytes().fold(0xcbf2_9ce4_8422_2325 ^ salt, fold);
        h = (h ^ (h >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        h ^= h >> 32;
        ((u128::from(h) * self.buckets as u128) >> 64) as u32
    }
}
