//! The rungs of asynchronous successive halving, ASHA (Li et al., "A system for massively parallel
//! hyperparameter tuning", MLSys 2020, algorithm 2).

/// The trials that have ended at one rung.
#[derive(Clone, Debug, Default)]
struct Rung {
    /// Number of trials that have ended here, failed ones among them.
    ended: usize,
    /// The trials that have not failed, the best one first.
    order: Vec<(usize, f64)>,
    /// The trials that were promoted from here.
    promoted: Vec<usize>,
}

impl Rung {
    /// The best trial among the first `most` that was not promoted.
    fn best(&self, most: usize) -> Option<usize> {
        let mut first = self.order.iter().take(most).map(|(trial, _)| *trial);
        first.find(|trial| !self.promoted.contains(trial))
    }
}

/// The rungs, from the lowest to the highest.
#[derive(Clone, Debug)]
pub(super) struct Rungs {
    rungs: Vec<Rung>,
    eta: usize,
}

impl Rungs {
    /// So many rungs, of which each promotes one of `eta` trials.
    pub(super) fn new(count: usize, eta: usize) -> Rungs {
        Rungs { rungs: vec![Rung::default(); count], eta }
    }

    /// Takes the score of a trial at a rung. Of equal scores the earlier trial is better.
    pub(super) fn add(&mut self, trial: usize, rung: usize, score: Option<f64>) {
        let Some(rung) = self.rungs.get_mut(rung) else { return };
        rung.ended += 1;
        if let Some(score) = score {
            let is_before = |(other, known): &(usize, f64)| {
                known.total_cmp(&score).then(trial.cmp(other)).is_gt()
            };
            let at = rung.order.partition_point(is_before);
            rung.order.insert(at, (trial, score));
        }
    }

    /// The trial that is promoted, and to which rung: from the highest rung that has one, a trial
    /// that is among the best 1/eta there and was not promoted. A failed one never is.
    pub(super) fn promote(&mut self) -> Option<(usize, usize)> {
        let eta = self.eta;
        self.take(|rung| rung.best(rung.ended / eta))
    }

    /// The trial that is promoted where nothing runs and [`Rungs::promote`] has none: as long as no
    /// trial has a score at the last rung, the best one of the highest rung that has any left. So
    /// one trial reaches the last rung unless all fail on the way.
    pub(super) fn promote_last(&mut self) -> Option<(usize, usize)> {
        let is_reached = self.rungs.last().is_none_or(|rung| !rung.order.is_empty());
        if is_reached { None } else { self.take(|rung| rung.best(usize::MAX)) }
    }

    /// Takes what a rung below the last one has, the highest first.
    fn take(&mut self, find: impl Fn(&Rung) -> Option<usize>) -> Option<(usize, usize)> {
        let below = self.rungs.len().saturating_sub(1);
        for (number, rung) in self.rungs.iter_mut().enumerate().take(below).rev() {
            if let Some(trial) = find(rung) {
                rung.promoted.push(trial);
                return Some((trial, number + 1));
            }
        }
        None
    }
}
