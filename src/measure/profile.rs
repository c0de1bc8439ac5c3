//! The time of each dispatch of a training step, and its speed compared with the best of the
//! adapter.

use serde::Serialize;
use serde_json::{Value, json};

use anyhow::Result;

use crate::measure::ceilings::{Ceilings, ceilings};
use crate::run::machine::Machine;
use crate::schedule::show::aligned;
use crate::schedule::{Clock, Dispatch, Engine};

/// One dispatch of a schedule, timed.
#[derive(Clone, Debug, Serialize)]
pub struct ProfileLine {
    /// Place in the schedule, from 0.
    pub number: usize,
    /// Name of its kernel.
    pub kernel: &'static str,
    /// Its label: what it is for.
    #[serde(rename = "for")]
    pub label: String,
    /// Mean microseconds per step.
    pub us_per_step: f64,
    /// Share of the time of all dispatches.
    pub share: f64,
    /// Floating-point operations of its products.
    pub flop: u64,
    /// Bytes that it states to read and write.
    pub bytes: u64,
    /// Speed of its products, from its time.
    pub gflop_per_s: f64,
    /// Speed of its reads and writes.
    pub gb_per_s: f64,
    /// Its GFLOP/s over the best of the adapter; `None` until [`Profile::against`].
    pub of_best_gflop_per_s: Option<f64>,
    /// Its GB/s over the best of the adapter; `None` until [`Profile::against`].
    pub of_best_gb_per_s: Option<f64>,
}

/// The dispatches of a schedule, timed.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Steps that were timed.
    pub steps: u64,
    /// The clock that took the times.
    pub by: Clock,
    /// Mean microseconds per step between dispatches, copies into mirrors included; `None` unless
    /// the device took the times.
    pub us_between: Option<f64>,
    /// The dispatches, in order.
    pub lines: Vec<ProfileLine>,
}

impl Profile {
    /// The times that an engine took of a schedule since [`Engine::start_profile`]; `None` if it
    /// took none.
    pub fn of(engine: &dyn Engine, schedule: usize) -> Option<Profile> {
        let timings = engine.profile().filter(|t| t.steps[schedule] > 0)?;
        let (seconds, steps) = (&timings.seconds[schedule], timings.steps[schedule]);
        let total: f64 = seconds.iter().sum();
        let dispatches =
            engine.program().schedules[schedule].dispatches.iter().zip(seconds).enumerate();
        let lines = dispatches
            .map(|(number, (dispatch, s))| line(number, dispatch, s / steps as f64, s / total))
            .collect();
        let by = timings.clock;
        let us_between =
            (by == Clock::Device).then(|| 1e6 * timings.between[schedule] / steps as f64);
        Some(Profile { steps, by, us_between, lines })
    }

    /// Compares each dispatch with the best of its adapter.
    pub fn against(mut self, best: &Ceilings) -> Profile {
        for line in &mut self.lines {
            line.of_best_gflop_per_s = Some(line.gflop_per_s / best.gflop_per_s);
            line.of_best_gb_per_s = Some(line.gb_per_s / best.gb_per_s);
        }
        self
    }

    /// Microseconds of all dispatches of a step.
    pub fn us_per_step(&self) -> f64 {
        self.lines.iter().map(|l| l.us_per_step).sum()
    }

    /// Share of the dispatches with products in the time of all dispatches.
    pub fn product_share(&self) -> f64 {
        self.lines.iter().filter(|l| l.flop > 0).map(|l| l.share).sum()
    }

    /// The clock that took the times, in words.
    pub fn clock(&self) -> &'static str {
        match self.by {
            Clock::Device => "timestamps of the device",
            Clock::Submissions => "wall clock of single submissions",
            Clock::Host => "wall clock",
        }
    }

    /// A table with one line per dispatch, and an explanation of its figures.
    pub fn table(&self, best: &Ceilings) -> String {
        let head =
            ["", "kernel", "for", "µs per step", "share", "GFLOP/s", "of best", "GB/s", "of best"]
                .map(String::from);
        let lines = std::iter::once(head).chain(self.lines.iter().map(cells)).collect();
        let table = aligned(lines, [true, false, false, true, true, true, true, true, true]);
        format!("{table}{}\n{}", self.method(), ceilings_line(best))
    }

    /// The keys and values that a profile adds to a JSON document.
    pub fn json(&self, best: &Ceilings) -> [(&'static str, Value); 4] {
        [
            ("profile", json!(self.lines)),
            ("profile_clock", json!(self.clock())),
            ("us_between_dispatches", json!(self.us_between)),
            ("ceilings", json!(best)),
        ]
    }

    /// The sum of the times, and how they were taken.
    fn method(&self) -> String {
        let (sum, steps, clock) = (self.us_per_step(), self.steps, self.clock());
        let between = self.us_between.map_or(String::new(), |us| {
            format!(" and {us:.1} µs between them, copies into mirrors included")
        });
        let slower = |each: &str| {
            format!("; each dispatch {each}, so a step takes longer than without --profile")
        };
        let effect = match self.by {
            Clock::Device => slower("is a pass of its own"),
            Clock::Submissions => slower("is waited for"),
            Clock::Host => String::new(),
        };
        format!(
            "{sum:.1} µs per step in dispatches{between}, means of {steps} steps\ntaken by \
             {clock}{effect}"
        )
    }
}

fn ceilings_line(best: &Ceilings) -> String {
    format!(
        "best: {:.2} GFLOP/s, {}; {:.2} GB/s, {}\ntaken afterwards by the wall clock of \
         submissions of several launches; what stays in caches may be faster",
        best.gflop_per_s, best.product, best.gb_per_s, best.stream
    )
}

fn line(number: usize, dispatch: &Dispatch, seconds: f64, share: f64) -> ProfileLine {
    let (flop, bytes) = (dispatch.flop, dispatch.bytes());
    // Clocks of devices tick: a dispatch may take no time at all.
    let speed = |amount: u64| if seconds > 0.0 { amount as f64 / seconds / 1e9 } else { 0.0 };
    ProfileLine {
        number,
        kernel: dispatch.kernel.name,
        label: dispatch.label.clone(),
        us_per_step: 1e6 * seconds,
        share: if share.is_finite() { share } else { 0.0 },
        flop,
        bytes,
        gflop_per_s: speed(flop),
        gb_per_s: speed(bytes),
        of_best_gflop_per_s: None,
        of_best_gb_per_s: None,
    }
}

fn cells(line: &ProfileLine) -> [String; 9] {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let product = |text: String| if line.flop > 0 { text } else { String::new() };
    [
        line.number.to_string(),
        line.kernel.into(),
        line.label.clone(),
        format!("{:.1}", line.us_per_step),
        percent(line.share),
        product(format!("{:.2}", line.gflop_per_s)),
        product(line.of_best_gflop_per_s.map_or(String::new(), percent)),
        format!("{:.2}", line.gb_per_s),
        line.of_best_gb_per_s.map_or(String::new(), percent),
    ]
}

/// A profile compared with the best of its adapter, which is measured now; `None` for the
/// reference.
///
/// # Errors
/// A device that is lost.
pub fn against_ceilings(
    machine: &Machine,
    profile: Option<Profile>,
) -> Result<Option<(Profile, Ceilings)>> {
    if matches!(machine, Machine::Reference) {
        return Ok(None);
    }
    let Some(profile) = profile else { return Ok(None) };
    let best = ceilings(machine)?;
    Ok(Some((profile.against(&best), best)))
}
