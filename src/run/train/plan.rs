//! Everything that is settled before a training: network, layout, objective, parts.

use crate::config::{BatchSize, Config, Version};
use crate::data::encode::seen::Seen;
use crate::data::split::mixture::Mixture;
use crate::data::split::order::{sentence_steps, windowed_order};
use crate::data::{Dataset, Part, Parts};
use crate::fault::Fault;
use crate::kernels::tuning::Tuning;
use crate::model::arena::Numbers;
use crate::model::init;
use crate::model::layout::Layout;
use crate::model::network::Network;
use crate::objective::Objective;
use crate::plan::{Augmented, PartShape, Shards};
use crate::run::checkpoint::Snapshot;
use crate::run::data::feature_bytes;
use crate::run::train::selection::Selection;
use crate::run::train::sums::Sums;
use crate::run::train::task_figures::{self, TaskFigures};
use crate::run::train::vectors::Vectors;
use crate::schedule::SLOTS;
use crate::step::{Built, LabelShape, Request, build};
use anyhow::Result;
use std::sync::Arc;

/// Bytes of the rows that are uploaded for one submission, where the data does not stay on the
/// device.
pub const WINDOW: u64 = 16 << 20;

/// Everything that is settled before the first step. Clones share the data.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The settings.
    pub config: Config,
    /// The data.
    pub parts: Parts,
    /// The network.
    pub network: Network,
    /// The layout of its parameters.
    pub layout: Layout,
    /// The combined loss.
    pub objective: Objective,
    /// The rule that picks the model; `None` = the model of the last step.
    pub selection: Option<Selection>,
    /// The figure of each task that selects for it alone.
    pub task_figures: TaskFigures,
    /// Lines for the user about what picks models.
    pub notices: Vec<String>,
    /// How rows are drawn from several sources; `None` = each row comes once an epoch.
    pub mixture: Option<Mixture>,
    /// The largest number of rows of a step.
    pub batch: usize,
    /// Vectors that begin as files give them.
    pub(crate) vectors: Arc<Vectors>,
    /// Rows of a step, about, where it has whole sentences.
    pub sentence_rows: Option<usize>,
    /// Steps per epoch.
    pub steps_per_epoch: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
}

impl Plan {
    /// Settles a run.
    ///
    /// # Errors
    /// 78 if the settings do not fit the data or each other.
    pub fn new(mut config: Config, parts: Parts) -> Result<Plan> {
        if let Some(stored) = parts.train.stored() {
            // The memory of this machine decided this, and it changes the numbers: so it is a
            // setting from now on.
            config.data.memory = Some(stored.memory);
            config.data.shuffle_window =
                Some(stored.window).filter(|_| config.train.batch_size != BatchSize::Full);
        }
        let network = Network::new(&config, &parts.schema)?;
        let layout = Layout { frozen: config.trunk.freeze, ..Layout::new(&network)? };
        let mut objective = Objective::new(&config, &network)?;
        let (selection, mut notices) = Selection::new(&config, &network, &parts)?;
        let (task_figures, more) = task_figures::figures(&config, &network, &parts);
        notices.extend(more);
        let (vectors, more) = Vectors::read(&layout, &parts.schema.input, &config.data.features)?;
        notices.extend(more);
        let mixture = mixture(&config, &parts)?;
        notices.extend(mixture.as_ref().map(|mixture| mixture.notice(&parts.sources)));
        let rows = parts.train.rows;
        let batch = match config.train.batch_size {
            BatchSize::Rows(n) => n.min(rows),
            BatchSize::Full => rows,
        };
        let is_shuffled = config.train.batch_size != BatchSize::Full;
        let tokens = parts.train.tokens.as_ref().filter(|_| is_shuffled);
        let (batch, sentence_rows, steps) = match tokens.map(|tokens| tokens.longest()) {
            None => (batch, None, rows.div_ceil(batch)),
            Some(longest) => {
                let size = batch.max(longest);
                if size > batch {
                    notices.push(format!(
                        "a step has whole sentences: train.batch_size is {size}, the tokens of the \
                         longest one"
                    ));
                }
                let steps = sentence_steps(rows, longest, size);
                ((size + longest).min(rows), Some(size), steps)
            }
        };
        check_accumulate(config.train.accumulate, batch)?;
        check_shards(config.train.shards.unwrap_or(1), batch, layout.graph.pools())?;
        Augmented::new(config.augment, &parts.schema.input)?;
        let steps_per_epoch = steps as u64;
        objective.per_epoch = steps_per_epoch;
        let total_steps =
            (config.train.epochs * steps_per_epoch).min(config.train.max_steps.unwrap_or(u64::MAX));
        Ok(Plan {
            config,
            parts,
            network,
            layout,
            objective,
            selection,
            task_figures,
            notices,
            mixture,
            batch,
            vectors: Arc::new(vectors),
            sentence_rows,
            steps_per_epoch,
            total_steps,
        })
    }

    /// Rows of a step, about, where steps differ.
    pub fn rows_per_step(&self) -> usize {
        self.sentence_rows.unwrap_or(self.batch)
    }

    /// The rows of the training part in the order in which an epoch takes them.
    pub fn order(&self, epoch: u64) -> Vec<u32> {
        let (seed, window) = (self.config.train.seed, self.config.data.shuffle_window);
        let rows = self.parts.train.rows;
        match &self.mixture {
            Some(mixture) => mixture.order(seed, epoch, window),
            None => windowed_order(rows, seed, epoch, window.unwrap_or(rows)),
        }
    }

    /// Steps from one evaluation to the next.
    pub fn evaluation_interval(&self) -> u64 {
        self.config.train.evaluate_every.steps(self.steps_per_epoch)
    }

    /// Whether parts are evaluated after this number of steps.
    pub fn is_evaluated_at(&self, steps: u64) -> bool {
        steps > 0 && (steps.is_multiple_of(self.evaluation_interval()) || steps == self.total_steps)
    }

    /// Whether a row of `metrics.csv` ends with the points that a snapshot knows of, the last of
    /// which is of the step `last`: the snapshot was taken at the end of a row, or no point came
    /// between the end of a row and the snapshot.
    pub fn is_end_of_row(&self, snapshot: &Snapshot, last: u64) -> bool {
        if last < snapshot.steps {
            return self.is_evaluated_at(last) || last.is_multiple_of(self.steps_per_epoch);
        }
        let is_evaluated =
            !self.is_evaluated_at(snapshot.steps) || snapshot.steps == snapshot.validated;
        snapshot.steps == snapshot.validated
            || (is_evaluated && snapshot.steps.is_multiple_of(self.steps_per_epoch))
    }

    /// The parts that the run has, with their names, in the order of the program: training first.
    pub fn named_parts(&self) -> Vec<(&'static str, &Arc<Dataset>)> {
        Part::ALL.into_iter().filter_map(|part| Some((part.name(), self.data(part)?))).collect()
    }

    /// The rows of a part, if the run has it.
    pub(crate) fn data(&self, part: Part) -> Option<&Arc<Dataset>> {
        match part {
            Part::Train => Some(&self.parts.train),
            Part::Valid => self.parts.valid.as_ref(),
            Part::Test => self.parts.test.as_ref(),
        }
    }

    /// This plan with batches of `batch` rows.
    pub(crate) fn with_batch(&self, batch: usize) -> Plan {
        Plan { batch, ..self.clone() }
    }

    /// The program for a machine's choices of kernels, with all data on the device.
    ///
    /// # Errors
    /// 78 or 69 if the network cannot be built or is too large for the device.
    pub fn build(&self, tuning: &Tuning) -> Result<Built> {
        self.build_for(tuning, None)
    }

    /// The program for a machine's choices of kernels. With a window the device holds that number
    /// of rows of each part at a time, and the rows of a step lie there one after the other.
    ///
    /// # Errors
    /// As [`Plan::build`].
    pub fn build_for(&self, tuning: &Tuning, window: Option<usize>) -> Result<Built> {
        self.build_share(tuning, window, Shards::of(self.config.train.shards.unwrap_or(1)))
    }

    /// The program of one of several ranks, which has its share of the shards.
    ///
    /// # Errors
    /// As [`Plan::build`].
    pub fn build_share(
        &self,
        tuning: &Tuning,
        window: Option<usize>,
        shards: Shards,
    ) -> Result<Built> {
        let tuning = &match self.config.train.accumulate {
            1 => tuning.clone(),
            parts => {
                Tuning { rows: self.batch.div_ceil(parts).next_multiple_of(4), ..tuning.clone() }
            }
        };
        let rows = |rows: usize| window.map_or(rows, |window| rows.min(window));
        let parts: Vec<PartShape> =
            self.named_parts().iter().map(|(n, d)| PartShape::new(n, rows(d.rows), d)).collect();
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
            augmented: Augmented::new(self.config.augment, &self.parts.schema.input)?,
            labels: LabelShape::of(self.named_parts().iter().map(|(_, part)| part.as_ref())),
            shards,
        })
    }

    /// The shards of one of several ranks.
    ///
    /// # Errors
    /// 78 if the shards of a batch cannot be shared by so many ranks.
    pub fn shards_of(&self, ranks: usize, rank: usize) -> Result<Shards> {
        let count = self.config.train.shards.unwrap_or(1);
        if ranks.is_power_of_two() && ranks <= count {
            return Ok(Shards { count, ranks, rank });
        }
        let found = format!("{count} shards of a batch, and {ranks} ranks that share them");
        Err(Fault::config("train.shards", found)
            .hint(match count {
                1 => "go on without mpirun, or begin a new run with it: batches are then cut",
                _ => "start 1, 2, 4, 8, … ranks, and have at least as many shards",
            })
            .into())
    }

    /// Bytes of the features and labels of all parts on a device.
    pub fn data_bytes(&self) -> u64 {
        self.named_parts().iter().map(|(_, part)| part.rows as u64 * self.row_bytes(part)).sum()
    }

    /// Bytes of the features, labels and weight of a row.
    fn row_bytes(&self, part: &Dataset) -> u64 {
        feature_bytes(part) as u64 + 4 * (self.network.cells() + 1) as u64
    }

    /// Rows of a window of two halves, each for the steps of one submission: a half has about
    /// `bytes` bytes, and at least one batch, and the longest sentence of any part.
    pub fn window(&self, bytes: u64) -> usize {
        let by_size = (bytes / self.row_bytes(&self.parts.train).max(1)) as usize;
        let half = by_size.clamp(self.batch, SLOTS * self.batch);
        let parts = self.named_parts();
        let sentences = parts.iter().filter_map(|(_, part)| part.tokens.as_ref());
        let longest = sentences.map(|tokens| tokens.longest()).max().unwrap_or(0);
        2 * half.max(longest).next_multiple_of(4)
    }

    /// The network with the thresholds of its binary tasks, as it is kept with a model.
    pub fn with_thresholds(&self, thresholds: &[Option<f64>]) -> Network {
        let mut network = self.network.clone();
        network
            .tasks
            .iter_mut()
            .zip(thresholds)
            .for_each(|(head, threshold)| head.threshold = *threshold);
        network
    }

    /// The arena of initial parameters, by the seed.
    ///
    /// # Errors
    /// 74 if training rows on disk cannot be read.
    pub fn initial(&self) -> Result<Vec<f32>> {
        let mut arena =
            init::parameters(&self.layout, self.config.trunk.init, self.config.train.seed);
        init::zero_rest_vectors(&mut arena, &self.layout, &self.parts.schema.input);
        // In tandem 0.1.0 counts started at a rate of 1, and inputs that no training row uses had
        // random weights.
        if self.config.data.version >= Version::V0_2 {
            init::shrink_words(&mut arena, &self.layout, &self.parts.schema.input);
            init::start_counts_at_mean(&mut arena, &self.layout, &self.network);
            let seen = Seen::of(&self.parts.schema.input, &self.parts.train)?;
            seen.iter().for_each(|seen| init::zero_unseen(&mut arena, &self.layout, seen));
        }
        self.vectors.set(&mut arena);
        Ok(arena)
    }

    /// The state of a run before its first step, with these parameters.
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
            conflict: None,
            balance: None,
            worse: 0,
            best: None,
            tasks: Vec::new(),
            seconds: 0.0,
            rate_factor: 1.0,
            rollbacks: 0,
            skipped: 0,
            scale: None,
        }
    }
}

/// How rows are drawn from several sources.
///
/// # Errors
/// 78 if they stay on disk, where rows are read in windows; or if an epoch has none of a source.
fn mixture(config: &Config, parts: &Parts) -> Result<Option<Mixture>> {
    let mixture = Mixture::of(&config.data, &parts.sources)?;
    if mixture.is_none() || parts.train.stored().is_none() {
        return Ok(mixture);
    }
    let found = "rows that do not fit into data.memory are drawn from all sources alike";
    Err(Fault::config("data.sampling", found)
        .hint("give more data.memory, or leave data.sampling and the weights of sources out")
        .into())
}

/// Refuses `train.shards` if a batch has no such shards.
fn check_shards(shards: usize, batch: usize, pools: bool) -> Result<(), Fault> {
    let refused = |found: String, hint: &str| Err(Fault::config("train.shards", found).hint(hint));
    if !shards.is_power_of_two() {
        let found = format!("must be a power of two, found {shards}");
        return refused(found, "1, 2, 4, 8, 16, …");
    }
    if shards > batch {
        let found = format!("{shards} shards of a batch, and a batch has {batch} rows");
        return refused(found, "fewer shards, or a larger train.batch_size");
    }
    if shards > 1 && pools {
        let found = "batches whose tokens are pooled are not cut: a sentence stays whole";
        return refused(found.into(), "train.shards = 1");
    }
    Ok(())
}

/// Refuses `train.accumulate` if it asks for more parts of a batch than a batch has rows.
fn check_accumulate(parts: usize, batch: usize) -> Result<(), Fault> {
    if parts <= batch {
        return Ok(());
    }
    let found = format!("{parts} parts of a batch, and a batch has {batch} rows");
    Err(Fault::config("train.accumulate", found).hint(format!("at most {batch}")))
}
