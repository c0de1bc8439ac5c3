//! `[optimizer]`

use super::item::{BELOW_ONE, MOST, NOT_NEGATIVE, POSITIVE, Result};
use super::known::OPTIMIZER;
use super::section::Section;
use crate::config::{Every, Optimizer, OptimizerKind, Schedule};

/// Reads `[optimizer]`.
pub(super) fn read(root: &mut Section) -> Result<Optimizer> {
    let mut section = root.section("optimizer", OPTIMIZER)?;
    let kind = kind(&mut section)?;
    let learning_rate = section.read("learning_rate", 1e-3, |item| item.number(&POSITIVE))?;
    let weight_decay = section.read("weight_decay", 0.0, |item| item.number(&NOT_NEGATIVE))?;
    let decay_biases = section.read("decay_biases", true, |item| item.flag())?;
    let clip_norm = section.read("clip_norm", 0.0, |item| item.number(&NOT_NEGATIVE))?;
    let schedule = schedule(&mut section)?;
    let warmup_steps = section.read("warmup_steps", 0, |item| item.count(0..=MOST))?;
    section.finish().map(|()| Optimizer {
        kind,
        learning_rate,
        weight_decay,
        decay_biases,
        clip_norm,
        schedule,
        warmup_steps,
    })
}

/// `kind`, with the constants that are its own; those of another kind are refused.
fn kind(section: &mut Section) -> Result<OptimizerKind> {
    let kind = section.read("kind", "adam", |item| item.one_of(&["adam", "adamw", "sgd"]))?;
    if kind == "sgd" {
        section.refuse(
            &["beta1", "beta2", "eps"],
            "kind = \"sgd\" has no moments; its own keys are momentum and nesterov",
        )?;
        return sgd(section);
    }
    section.refuse(
        &["momentum", "nesterov"],
        format!("kind = \"{kind}\" has beta1, beta2 and eps; only \"sgd\" has momentum"),
    )?;
    let beta1 = section.read("beta1", 0.9, |item| item.number(&BELOW_ONE))?;
    let beta2 = section.read("beta2", 0.999, |item| item.number(&BELOW_ONE))?;
    let eps = section.read("eps", 1e-8, |item| item.number(&POSITIVE))?;
    Ok(if kind == "adamw" {
        OptimizerKind::AdamW { beta1, beta2, eps }
    } else {
        OptimizerKind::Adam { beta1, beta2, eps }
    })
}

/// The constants of `sgd`.
fn sgd(section: &mut Section) -> Result<OptimizerKind> {
    let momentum = section.read("momentum", 0.0, |item| item.number(&BELOW_ONE))?;
    let nesterov = section.read("nesterov", false, |item| item.flag())?;
    match nesterov && momentum == 0.0 {
        true => Err(section
            .fault("nesterov", "has no effect without momentum")
            .hint("set momentum, for example momentum = 0.9")),
        false => Ok(OptimizerKind::Sgd { momentum, nesterov }),
    }
}

/// `schedule`, with the constants of `step`.
fn schedule(section: &mut Section) -> Result<Schedule> {
    let schedule = section
        .read("schedule", "constant", |item| item.one_of(&["constant", "cosine", "step"]))?;
    if schedule != "step" {
        section.refuse(
            &["step_size", "gamma"],
            format!("it belongs to schedule = \"step\", and this is \"{schedule}\""),
        )?;
        return Ok(if schedule == "cosine" { Schedule::Cosine } else { Schedule::Constant });
    }
    let step_size = section.read("step_size", Every::Epochs(10), |item| item.every())?;
    let gamma = section.read("gamma", 0.1, |item| item.number(&POSITIVE))?;
    Ok(Schedule::Step { step_size, gamma })
}
