//! The times of dispatches and of submissions.

/// Submissions whose times an engine remembers.
pub const SUBMISSIONS: usize = 1024;

/// The time that the host spent on one submission.
#[derive(Clone, Copy, Debug)]
pub struct Encoded {
    /// Number of steps in it.
    pub steps: usize,
    /// Seconds in which its table of steps was written and its commands were recorded.
    pub recording: f64,
    /// Seconds in which the driver took it over. Some drivers that run on the CPU return only when
    /// the work is done.
    pub submitting: f64,
}

/// The times of dispatches.
#[derive(Clone, Debug)]
pub struct Timings {
    /// Seconds by schedule and dispatch, summed over steps.
    pub seconds: Vec<Vec<f64>>,
    /// Steps that were timed, by schedule.
    pub steps: Vec<u64>,
    /// Seconds between dispatches by schedule, summed over steps; zeros unless the device took the
    /// times.
    pub between: Vec<f64>,
    /// The clock that took the times.
    pub clock: Clock,
}

/// The clock that takes the times of dispatches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The device.
    Device,
    /// The host, by waiting for a submission of each dispatch.
    Submissions,
    /// The host, which runs the dispatches itself.
    Host,
}

impl Timings {
    /// Times that are zero; `dispatches` are the numbers of dispatches of the schedules.
    pub fn new(dispatches: &[usize], clock: Clock) -> Timings {
        let seconds = dispatches.iter().map(|n| vec![0.0; *n]).collect();
        Timings {
            seconds,
            steps: vec![0; dispatches.len()],
            between: vec![0.0; dispatches.len()],
            clock,
        }
    }

    /// Adds the stamps of a submission, one before and one after each dispatch of each step; a tick
    /// takes `period` seconds. Some drivers now and then leave a stamp out: a step whose stamps do
    /// not ascend is not counted.
    pub fn add_stamps(&mut self, schedule: usize, ticks: &[u64], period: f64) {
        let mut previous = None;
        for step in ticks.chunks_exact(2 * self.seconds[schedule].len()) {
            let ascends = step[0] > 0 && previous.is_none_or(|t| t <= step[0]) && step.is_sorted();
            if ascends {
                for (sum, pair) in self.seconds[schedule].iter_mut().zip(step.chunks_exact(2)) {
                    *sum += (pair[1] - pair[0]) as f64 * period;
                }
                let gaps: u64 =
                    step[1..step.len() - 1].chunks_exact(2).map(|pair| pair[1] - pair[0]).sum();
                self.between[schedule] +=
                    (gaps + previous.map_or(0, |t| step[0] - t)) as f64 * period;
                self.steps[schedule] += 1;
            }
            previous = step.last().copied().filter(|_| ascends);
        }
    }
}
