//! A stored model on an engine, with one part of data.

use anyhow::Result;

use crate::data::Dataset;
use crate::model::file::Model;
use crate::model::network::Network;
use crate::objective::Objective;
use crate::plan::PartShape;
use crate::run::apply::evaluate::{Measured, evaluate, evaluate_streamed};
use crate::run::data::upload;
use crate::run::machine::Machine;
use crate::run::train::not_finite;
use crate::schedule::Engine;
use crate::step::{Built, LabelShape, Request, build};

/// A model that is ready to evaluate or predict.
#[derive(Debug)]
pub struct Applied {
    built: Built,
    engine: Box<dyn Engine>,
    /// Whether all weights are finite; else what comes of them need not be.
    is_finite: bool,
}

/// Rows that are on the device at a time, where data is not brought there as a whole.
const PIECE: usize = 8192;

/// Brings a model and its data onto a machine.
pub fn apply(model: &Model, data: &Dataset, machine: Machine) -> Result<Applied> {
    let mut applied = apply_bare(model, data, data.rows, machine)?;
    upload(applied.engine.as_mut(), &applied.built.parts[0], data, applied.built.counting)?;
    Ok(applied)
}

/// Brings a model onto a machine, with room for some rows of data such as this.
pub fn apply_to_pieces(model: &Model, data: &Dataset, machine: Machine) -> Result<Applied> {
    apply_bare(model, data, data.rows.min(PIECE), machine)
}

fn apply_bare(model: &Model, data: &Dataset, rows: usize, machine: Machine) -> Result<Applied> {
    let objective = Objective::plain(&model.network);
    let built = build(&Request {
        network: &model.network,
        layout: &model.layout,
        objective: &objective,
        optimizer: None,
        tuning: &machine.tuning(),
        parts: &[PartShape::new("data", rows, &data.features)],
        batch: 1,
        shuffled: false,
        spread: &model.schema.input.spread(),
        labels: LabelShape::of([data]),
    })?;
    let mut engine = machine.engine(built.program.clone())?;
    engine.upload(built.buffers.parameters, 0, bytemuck::cast_slice(&model.parameters))?;
    Ok(Applied { built, engine, is_finite: model.not_finite() == 0 })
}

impl Applied {
    /// Losses by an objective, and logits.
    pub fn evaluate(&mut self, network: &Network, objective: &Objective) -> Result<Measured> {
        let measured = evaluate(self.engine.as_mut(), &self.built, network, objective, 0, 1)?;
        self.check()?;
        Ok(measured)
    }

    /// The same for data that is brought to the device a piece after the other.
    pub fn evaluate_pieces(
        &mut self,
        network: &Network,
        objective: &Objective,
        data: &Dataset,
    ) -> Result<Measured> {
        let measured =
            evaluate_streamed(self.engine.as_mut(), &self.built, network, objective, 0, 1, data)?;
        self.check()?;
        Ok(measured)
    }

    fn check(&self) -> Result<()> {
        if !self.is_finite {
            return Ok(());
        }
        self.engine
            .not_finite()
            .map_or(Ok(()), |found| Err(not_finite(&self.built.program, &found, 0.0).into()))
    }
}
