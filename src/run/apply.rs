//! A stored model on an engine, with one part of data.

use anyhow::Result;

use super::data::upload;
use super::evaluate::{Measured, evaluate, logits};
use super::machine::Machine;
use super::train::not_finite;
use crate::data::Dataset;
use crate::model::file::Model;
use crate::objective::Objective;
use crate::schedule::Engine;
use crate::schedule::build::{Built, PartShape, Request, build};

/// A model that is ready to evaluate or predict.
#[derive(Debug)]
pub struct Applied {
    built: Built,
    engine: Box<dyn Engine>,
}

/// Brings a model and its data onto a machine.
pub fn apply(model: &Model, data: &Dataset, machine: Machine) -> Result<Applied> {
    let objective = Objective::plain(&model.network);
    let built = build(&Request {
        network: &model.network,
        layout: &model.layout,
        objective: &objective,
        optimizer: None,
        tuning: &machine.tuning(),
        parts: &[PartShape::new("data", data.rows, &data.features)],
        batch: 1,
        shuffled: false,
    })?;
    let mut engine = machine.engine(built.program.clone())?;
    upload(engine.as_mut(), &built.parts[0], data, model.network.tasks.len())?;
    engine.upload(built.buffers.parameters, 0, bytemuck::cast_slice(&model.parameters))?;
    Ok(Applied { built, engine })
}

impl Applied {
    /// Metrics by an objective.
    pub fn evaluate(&mut self, objective: &Objective) -> Result<Measured> {
        let measured = evaluate(self.engine.as_mut(), &self.built, objective, 0, 1, 4)?;
        self.check()?;
        Ok(measured)
    }

    /// Logits of all rows: per task [rows, classes].
    pub fn logits(&mut self) -> Result<Vec<Vec<f32>>> {
        let mut all: Vec<Vec<f32>> = vec![Vec::new(); self.built.logits.len()];
        logits(self.engine.as_mut(), &self.built, 0, |_, batch| {
            all.iter_mut().zip(batch).for_each(|(all, batch)| all.extend(batch));
            Ok(())
        })?;
        self.check()?;
        Ok(all)
    }

    fn check(&self) -> Result<()> {
        self.engine.not_finite().map_or(Ok(()), |found| Err(not_finite(&self.built.program, &found, 0.0).into()))
    }
}
