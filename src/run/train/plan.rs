//! What is settled before a training: network, layout, objective, parts.

use crate::config::{BatchSize, Config, Version};
use crate::data::encode::seen::Seen;
use crate::data::{Dataset, Features, Parts};
use crate::fault::Fault;
use crate::kernels::tuning::Tuning;
use crate::model::arena::Numbers;
use crate::model::init;
use crate::model::layout::Layout;
use crate::model::network::Network;
use crate::objective::Objective;
use crate::plan::PartShape;
use crate::run::checkpoint::Snapshot;
use crate::run::train::selection::Selection;
use crate::run::train::sums::Sums;
use crate::schedule::SLOTS;
use crate::step::{Built, LabelShape, Request, build};
use anyhow::Result;
use std::sync::Arc;

/// Bytes of the rows that are brought to the device for one submission, where the data does not
/// stay there.
pub const WINDOW: u64 = 16 << 20;

/// Everything that is settled before the first step. Clones share the data.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Settings.
    pub config: Config,
    /// Data.
    pub parts: Parts,
    /// Network.
    pub network: Network,
    /// Its layout.
    pub layout: Layout,
    /// Its objective.
    pub objective: Objective,
    /// What picks the model; `None` = the last step.
    pub selection: Option<Selection>,
    /// What a user should know of what picks the model.
    pub notices: Vec<String>,
    /// Rows of a step.
    pub batch: usize,
    /// Steps of an epoch.
    pub steps_per_epoch: u64,
    /// Steps of the run.
    pub total_steps: u64,
}

impl Plan {
    /// Settles a run.
    ///
    /// # Errors
    /// 78 if the settings do not fit the data or each other.
    pub fn new(mut config: Config, parts: Parts) -> Result<Plan> {
        if let Some(stored) = parts.train.stored() {
            // What the machine decided decides the numbers, so it is a setting from now on.
            config.data.memory = Some(stored.memory);
            config.data.shuffle_window =
                Some(stored.window).filter(|_| config.train.batch_size != BatchSize::Full);
        }
        let network = Network::new(&config, &parts.schema)?;
        let layout = Layout { frozen: config.trunk.freeze, ..Layout::new(&network)? };
        let objective = Objective::new(&config, &network)?;
        let (selection, notices) = Selection::new(&config, &network, &parts)?;
        let rows = parts.train.rows;
        let batch = match config.train.batch_size {
            BatchSize::Rows(n) => n.min(rows),
            BatchSize::Full => rows,
        };
        check_parts(config.train.accumulate, batch)?;
        let steps_per_epoch = rows.div_ceil(batch) as u64;
        let total_steps =
            (config.train.epochs * steps_per_epoch).min(config.train.max_steps.unwrap_or(u64::MAX));
        Ok(Plan {
            config,
            parts,
            network,
            layout,
            objective,
            selection,
            notices,
            batch,
            steps_per_epoch,
            total_steps,
        })
    }

    /// Steps from one evaluation to the next.
    pub fn evaluation_interval(&self) -> u64 {
        self.config.train.evaluate_every.steps(self.steps_per_epoch)
    }

    /// Whether parts are measured after so many steps.
    pub fn is_evaluated_at(&self, steps: u64) -> bool {
        steps > 0 && (steps.is_multiple_of(self.evaluation_interval()) || steps == self.total_steps)
    }

    /// Whether a row of `metrics.csv` ended where a snapshot was taken: after an evaluation, or
    /// with an epoch.
    pub fn is_end_of_row(&self, snapshot: &Snapshot) -> bool {
        let is_evaluated =
            !self.is_evaluated_at(snapshot.steps) || snapshot.steps == snapshot.validated;
        snapshot.steps == snapshot.validated
            || (is_evaluated && snapshot.steps.is_multiple_of(self.steps_per_epoch))
    }

    /// The parts in the order of the program: training first.
    pub fn named_parts(&self) -> Vec<(&'static str, &Arc<Dataset>)> {
        let others = [("valid", &self.parts.valid), ("test", &self.parts.test)];
        let others = others.into_iter().filter_map(|(name, part)| part.as_ref().map(|p| (name, p)));
        std::iter::once(("train", &self.parts.train)).chain(others).collect()
    }

    /// The same with batches of so many rows.
    pub(crate) fn with_batch(&self, batch: usize) -> Plan {
        Plan { batch, ..self.clone() }
    }

    /// The program for a machine's choices, with all data on the device.
    pub fn build(&self, tuning: &Tuning) -> Result<Built> {
        self.build_for(tuning, None)
    }

    /// The program for a machine's choices. With a window the device holds so many rows of each
    /// part, and steps find theirs in it one after the other.
    pub fn build_for(&self, tuning: &Tuning, window: Option<usize>) -> Result<Built> {
        let tuning = &match self.config.train.accumulate {
            1 => tuning.clone(),
            parts => {
                Tuning { rows: self.batch.div_ceil(parts).next_multiple_of(4), ..tuning.clone() }
            }
        };
        let rows = |rows: usize| window.map_or(rows, |window| rows.min(window));
        let parts: Vec<PartShape> = self
            .named_parts()
            .iter()
            .map(|(n, d)| PartShape::new(n, rows(d.rows), &d.features))
            .collect();
        build(&Request {
            network: &self.network,
            layout: &self.layout,
            objective: &self.objective,
            optimizer: Some(&self.config.optimizer),
            tuning,
            parts: &parts,
            batch: self.batch,
            shuffled: self.config.train.batch_size != BatchSize::Full && window.is_none(),
            spread: &self.parts.schema.input.spread(),
            labels: LabelShape::of(self.named_parts().iter().map(|(_, part)| part.as_ref())),
        })
    }

    /// Bytes of the features and labels of all parts on a device.
    pub fn data_bytes(&self) -> u64 {
        self.named_parts().iter().map(|(_, part)| part.rows as u64 * self.row_bytes(part)).sum()
    }

    fn row_bytes(&self, part: &Dataset) -> u64 {
        let feature = if matches!(part.features, Features::U8 { .. }) { 1 } else { 4 };
        feature * part.width() as u64 + 4 * (self.network.cells() + 1) as u64
    }

    /// Rows of a window of two halves, each for the steps of one submission: about so many bytes,
    /// and a batch at least.
    pub fn window(&self, bytes: u64) -> usize {
        let by_size = (bytes / self.row_bytes(&self.parts.train).max(1)) as usize;
        2 * by_size.clamp(self.batch, SLOTS * self.batch).next_multiple_of(4)
    }

    /// Binary tasks say yes above these; the network with them is the one that is kept.
    pub fn with_thresholds(&self, thresholds: &[Option<f64>]) -> Network {
        let mut network = self.network.clone();
        network
            .tasks
            .iter_mut()
            .zip(thresholds)
            .for_each(|(head, threshold)| head.threshold = *threshold);
        network
    }

    /// Initial parameters by the seed.
    ///
    /// # Errors
    /// 74 if training rows on disk cannot be read.
    pub fn initial(&self) -> Result<Vec<f32>> {
        let mut arena =
            init::parameters(&self.layout, self.config.trunk.init, self.config.train.seed);
        init::zero_rest_vectors(&mut arena, &self.layout, &self.parts.schema.input);
        // In tandem 0.1.0 counts began at a rate of 1, and inputs that no training row has kept
        // their random weights.
        if self.config.data.version >= Version::V0_2 {
            init::start_counts_at_mean(&mut arena, &self.layout, &self.network);
            let seen = Seen::of(&self.parts.schema.input, &self.parts.train)?;
            seen.iter().for_each(|seen| init::zero_unseen(&mut arena, &self.layout, seen));
        }
        Ok(arena)
    }

    /// The run before its first step, with these parameters.
    pub fn beginning(&self, parameters: Vec<f32>) -> Snapshot {
        let moment = || Numbers::F32(vec![0.0; self.layout.len]);
        Snapshot {
            steps: 0,
            validated: 0,
            points: 0,
            parameters: Numbers::F32(parameters),
            moments: std::iter::repeat_with(moment)
                .take(self.config.optimizer.kind.moments())
                .collect(),
            sums: Sums::new(self.network.tasks.len(), self.objective.pairs.len()),
            worse: 0,
            best: None,
            seconds: 0.0,
            rate_factor: 1.0,
            rollbacks: 0,
            skipped: 0,
            scale: None,
        }
    }
}

/// A batch has no more parts than rows.
fn check_parts(parts: usize, batch: usize) -> Result<(), Fault> {
    if parts <= batch {
        return Ok(());
    }
    let found = format!("{parts} parts of a batch, and a batch has {batch} rows");
    Err(Fault::config("train.accumulate", found).hint(format!("at most {batch}")))
}
