//! Random numbers of a search, in order. Each is keyed by (seed, stream, index), so two draws never
//! share a number.

use crate::rng::{Purpose, below, uniform};

/// What is drawn. Streams never share numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    /// The shift of the Sobol points.
    Shift,
    /// The coordinates of Sobol point n beyond the dimensions that have direction numbers.
    Beyond(u64),
    /// The point of a trial that the Parzen estimators propose.
    Trial(u64),
    /// One tree of the forest.
    Tree(u64),
}

impl Stream {
    /// The number of the stream.
    fn number(self) -> u64 {
        match self {
            Stream::Shift => 0,
            Stream::Beyond(n) => n.wrapping_mul(4).wrapping_add(1),
            Stream::Trial(n) => n.wrapping_mul(4).wrapping_add(2),
            Stream::Tree(n) => n.wrapping_mul(4).wrapping_add(3),
        }
    }
}

/// A row of random numbers.
#[derive(Clone, Debug)]
pub(super) struct Draw {
    seed: u64,
    stream: u64,
    index: u64,
}

impl Draw {
    /// The row of a stream, from its beginning.
    pub(super) fn new(seed: u64, stream: Stream) -> Draw {
        Draw { seed, stream: stream.number(), index: 0 }
    }

    /// The index of the next number.
    fn next(&mut self) -> u64 {
        self.index += 1;
        self.index - 1
    }

    /// A uniform number in [0, 1).
    pub(super) fn uniform(&mut self) -> f64 {
        let index = self.next();
        uniform(self.seed, Purpose::Search, self.stream, index)
    }

    /// A uniform whole number in 0..n.
    pub(super) fn below(&mut self, n: usize) -> usize {
        let index = self.next();
        below(n as u64, self.seed, Purpose::Search, self.stream, index) as usize
    }
}
