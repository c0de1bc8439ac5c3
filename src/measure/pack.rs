//! How many runs an adapter does best in the same dispatches, by a measurement.

use std::time::Instant;

use anyhow::Result;

use crate::device::{Gpu, MOST_IN_PACK, begin_pack, engine, join};
use crate::kernels::params::Step;
use crate::run::data::upload;
use crate::run::train::Plan;
use crate::run::train::learning_rate::Course;
use crate::schedule::{Engine, SLOTS};
use crate::step::Built;

/// Numbers of runs that are tried.
const TRIED: [usize; 4] = [1, 4, 16, MOST_IN_PACK];

/// The share by which more runs must be faster than fewer to be taken.
///
/// Members that come and go, and the thread that drives them, cost something.
const GAIN: f64 = 1.3;

/// Seconds that a measurement of a number of runs takes, about.
const SECONDS: f64 = 0.15;

/// Seconds of all steps, one run after the other, below which nothing is measured but one run: then
/// most of the time goes into reading, evaluating and writing.
const SHORT: f64 = 2.0;

/// The speed of a number of runs together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// The number of runs.
    pub runs: usize,
    /// Training steps of all of them per second.
    pub steps_per_second: f64,
}

/// The speeds of numbers of runs of a plan, up to `most`, from one run on; the first is of a run
/// alone. All of them together take as many steps as `trainings` whole trainings. The speeds end
/// with the first number that gains less than 30 % over the one before, or for which there is no
/// room.
///
/// # Errors
/// A device that is lost; a program that cannot be built.
pub fn paces(gpu: &Gpu, plan: &Plan, most: usize, trainings: f64) -> Result<Vec<Pace>> {
    let built = plan.build(&gpu.tuning())?;
    // No adapter says how much memory it has; what it grants one buffer is there.
    let fits = gpu.limits.max_buffer_size / built.program.bytes().max(1);
    let most = most.min(usize::try_from(fits).unwrap_or(usize::MAX)).max(1);
    let mut found: Vec<Pace> = Vec::new();
    // A number just below all of them would leave a rest that runs alone.
    let few = TRIED.into_iter().filter(|runs| 2 * runs <= most);
    let tried = few.chain([most.clamp(1, MOST_IN_PACK)]);
    for runs in tried {
        let Some(pace) = pace_of(gpu, plan, &built, runs)? else { break };
        let before = found.last().copied();
        found.push(pace);
        let work = trainings * plan.total_steps as f64 / pace.steps_per_second;
        let is_faster = before.is_none_or(|b| pace.steps_per_second > GAIN * b.steps_per_second);
        if !is_faster || (runs == 1 && work < SHORT) {
            break;
        }
    }
    Ok(found)
}

/// The number of runs that is best: more only where that gains 30 %.
pub fn best(paces: &[Pace]) -> usize {
    let better = |best: Pace, pace: &Pace| {
        if pace.steps_per_second > GAIN * best.steps_per_second { *pace } else { best }
    };
    let Some(first) = paces.first() else { return 1 };
    paces.iter().fold(*first, better).runs
}

/// Measures a number of runs; `None` where there is no room for them.
///
/// # Errors
/// A device that is lost; a program that cannot be built.
pub fn pace(gpu: &Gpu, plan: &Plan, runs: usize) -> Result<Option<Pace>> {
    pace_of(gpu, plan, &plan.build(&gpu.tuning())?, runs)
}

fn pace_of(gpu: &Gpu, plan: &Plan, built: &Built, runs: usize) -> Result<Option<Pace>> {
    let mut engines: Vec<Box<dyn Engine>> = Vec::new();
    if runs == 1 {
        engines.push(engine(gpu.alone(), built.program.clone())?);
    } else {
        let pack = begin_pack(gpu, runs)?;
        for _ in 0..runs {
            match join(&pack, gpu, built.program.clone())? {
                Some(member) => engines.push(Box::new(member)),
                None => return Ok(None),
            }
        }
    }
    let (initial, order) = (plan.initial()?, plan.order(0));
    for engine in &mut engines {
        upload(engine.as_mut(), &built.parts[0], &plan.parts.train, built.counting)?;
        engine.upload(built.buffers.parameters, 0, bytemuck::cast_slice(&initial))?;
        let len = engine.program().buffers[built.buffers.order.0].len.min(order.len());
        engine.upload(built.buffers.order, 0, &order[..len])?;
    }
    // Kernels are compiled at their first dispatch.
    steps(&mut engines, plan, built, 1)?;
    let mut count = 1;
    loop {
        let begun = Instant::now();
        steps(&mut engines, plan, built, count)?;
        steps(&mut engines, plan, built, count)?;
        let each = begun.elapsed().as_secs_f64() / (2 * count) as f64;
        if each * (2 * count) as f64 >= SECONDS || count == SLOTS {
            let steps_per_second = runs as f64 / each.max(1e-9);
            return Ok(Some(Pace { runs, steps_per_second }));
        }
        count = ((SECONDS / 2.0 / each) as usize + 1).clamp(count + 1, SLOTS);
    }
}

/// Does some steps of the first epoch on all engines.
fn steps(engines: &mut [Box<dyn Engine>], plan: &Plan, built: &Built, count: usize) -> Result<()> {
    let course = Course::new(
        &plan.config.optimizer,
        plan.config.train.seed,
        plan.steps_per_epoch,
        plan.total_steps,
    );
    let (rows, batch) = (plan.parts.train.rows, plan.batch.min(plan.parts.train.rows));
    let step = |i: usize| course.step(i as u64, i % (rows / batch) * batch, batch, i);
    let steps: Vec<Step> = (0..count).map(step).collect();
    for engine in engines.iter_mut() {
        engine.submit(built.train.unwrap_or(0), &steps)?;
    }
    engines.iter_mut().try_for_each(|engine| engine.collect(true).map(drop))
}
