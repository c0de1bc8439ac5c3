//! A stored model on an engine, with one data set.

use std::path::Path;

use anyhow::Result;

use crate::data::{Dataset, Schema};
use crate::fault::Fault;
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
    /// Whether all weights are finite. If not, results that are not finite are no error.
    is_finite: bool,
}

/// Checks that the columns of data are encoded as a model knows them. What is read by the settings
/// of a run is so, unless the files have changed or another version of tandem trained it.
///
/// # Errors
/// 65 if they are not.
pub fn check_schema(run: &Path, model: &Model, schema: &Schema) -> Result<(), Fault> {
    if model.schema == *schema {
        return Ok(());
    }
    let found = "its columns, scaling or class names are not those that the data makes now";
    Err(Fault::data(run.join("model").display(), found).hint(
        "give back the files and settings of the run; what another version of tandem has trained \
         is to be trained again",
    ))
}

/// Rows that are on the device at a time where the data is not uploaded as a whole.
const PIECE: usize = 8192;

/// Uploads a model and all of its data to a machine.
///
/// # Errors
/// Errors of the machine, such as too little memory.
pub fn apply(model: &Model, data: &Dataset, machine: Machine) -> Result<Applied> {
    let mut applied = apply_bare(model, data, data.rows, machine)?;
    upload(applied.engine.as_mut(), &applied.built.parts[0], data, applied.built.counting)?;
    Ok(applied)
}

/// Uploads a model to a machine, with room for some rows of data of the same kind as `data`.
///
/// # Errors
/// Errors of the machine, such as too little memory.
pub fn apply_to_pieces(model: &Model, data: &Dataset, machine: Machine) -> Result<Applied> {
    let longest = data.tokens.as_ref().map_or(0, |tokens| tokens.longest());
    apply_bare(model, data, data.rows.min(PIECE.max(longest)), machine)
}

/// Uploads a model, with room for `rows` rows.
fn apply_bare(model: &Model, data: &Dataset, rows: usize, machine: Machine) -> Result<Applied> {
    let objective = Objective::plain(&model.network);
    let built = build(&Request {
        network: &model.network,
        layout: &model.layout,
        objective: &objective,
        optimizer: None,
        tuning: &machine.tuning(),
        parts: &[PartShape::new("data", rows, data)],
        batch: 1,
        shuffled: false,
        spread: &model.schema.input.spread(),
        augmented: None,
        labels: LabelShape::of([data]),
        shards: Default::default(),
    })?;
    let mut engine = machine.engine(built.program.clone())?;
    engine.upload(built.buffers.parameters, 0, bytemuck::cast_slice(&model.parameters))?;
    Ok(Applied { built, engine, is_finite: model.not_finite() == 0 })
}

impl Applied {
    /// Losses by an objective, and logits, of the data that was uploaded.
    ///
    /// # Errors
    /// 3 if a value is not finite although all weights are; errors of the engine.
    pub fn evaluate(&mut self, network: &Network, objective: &Objective) -> Result<Measured> {
        let measured = evaluate(self.engine.as_mut(), &self.built, network, objective, 0, 1)?;
        self.check()?;
        Ok(measured)
    }

    /// Losses by an objective, and logits, of data that is uploaded piece by piece.
    ///
    /// # Errors
    /// As [`Applied::evaluate`]; 74 if rows on disk cannot be read.
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

    /// Refuses results that are not finite.
    fn check(&self) -> Result<()> {
        if !self.is_finite {
            return Ok(());
        }
        self.engine
            .not_finite()
            .map_or(Ok(()), |found| Err(not_finite(&self.built.program, &found, 0.0).into()))
    }
}
